"""What one source may have of us, on virtual time."""

from collections import Counter

import pytest
from doubles.virtual.probe import request
from hypothesis import given, strategies as st

from vosd.base.bucket import Allowance
from vosd.net import shield as net_shield
from vosd.net.shield import (
    BLOCK_PER_S,
    CHANGES_AT_ONCE,
    CHANGES_PER_S,
    LOOKUP_VALID_S,
    SCANNERS,
    UNMATCHED_PER_S,
    WITHIN_AT_ONCE,
    WITHIN_PER_S,
    Shield,
    ShieldAnswer,
    ShieldSettings,
)
from vosd.sip.wire.classify import MessageKind, Rank

GATEWAY, UNKNOWN_SOURCE = "192.0.2.1", "198.51.100.1"
REGISTER = request("REGISTER")
SETTINGS = ShieldSettings(unknown_rate=10, unknown_burst=20, gateway_rate=100, block_s=30)


class AuthGate:
    """A shield with a world around it."""

    def __init__(self, settings: ShieldSettings = SETTINGS) -> None:
        self.known = {GATEWAY}
        self.ours: set[bytes] = set()
        self.blocked: list[tuple[str, float]] = []
        self.dropped: Counter[str] = Counter()
        self.now = 1_000.0
        self.allowances: dict[str, Allowance] = {}
        self.denied: set[str] = set()
        self.reported: list[str] = []
        self.shield = Shield(
            settings,
            lambda host: host in self.known,
            lambda _kind, data: data in self.ours,
            lambda host, until: self.blocked.append((host, until)),
            self.dropped,
            self.allowances.get,
            lambda host: host in self.denied,
            self.reported.append,
        )

    def judge(self, kind: MessageKind, host: str, data: bytes = REGISTER) -> Rank | ShieldAnswer:
        return self.shield.judge(kind, data, host, self.now)

    def heard(self, count: int, kind: MessageKind, host: str, data: bytes = REGISTER) -> int:
        return sum(isinstance(self.judge(kind, host, data), Rank) for _ in range(count))


@pytest.fixture
def auth_gate() -> AuthGate:
    return AuthGate()


@pytest.mark.parametrize(
    ("kind", "rank"),
    [
        (MessageKind.CALL, Rank.CALL),
        (MessageKind.OTHER, Rank.OTHER),
        (MessageKind.WITHIN, Rank.RUNNING),
        (MessageKind.RESPONSE, Rank.RUNNING),
    ],
)
def test_what_a_gateway_sends_has_its_rank(auth_gate, kind, rank):
    auth_gate.ours.add(b"ours")
    assert auth_gate.judge(kind, GATEWAY, b"ours") is rank


def test_a_gateway_that_asks_for_too_much_is_refused_and_never_blocked(auth_gate):
    assert auth_gate.heard(250, MessageKind.CALL, GATEWAY) == 100
    assert auth_gate.judge(MessageKind.CALL, GATEWAY) is ShieldAnswer.REFUSE
    assert auth_gate.dropped["too many requests of a gateway"] == 151
    auth_gate.now += 0.5
    assert auth_gate.heard(250, MessageKind.CALL, GATEWAY) == 50
    assert auth_gate.heard(100_000, MessageKind.JUNK, GATEWAY) == 0
    assert auth_gate.blocked == []


def test_the_addresses_of_a_gateway_share_what_it_may_ask(auth_gate):
    auth_gate.known |= {"192.0.2.2", "192.0.2.3"}
    auth_gate.allowances.update(dict.fromkeys((GATEWAY, "192.0.2.2"), Allowance("acme", 10)))
    assert [
        auth_gate.heard(8, kind, host) for kind, host in ((MessageKind.CALL, GATEWAY), (MessageKind.OTHER, "192.0.2.2"))
    ] == [8, 2]
    assert auth_gate.judge(MessageKind.OTHER, GATEWAY) is ShieldAnswer.REFUSE
    assert auth_gate.heard(50, MessageKind.CALL, "192.0.2.3") == 50, "another gateway"
    auth_gate.ours.add(b"ours")
    assert auth_gate.heard(500, MessageKind.WITHIN, GATEWAY, b"ours") == 500, "what belongs to calls is not counted"
    assert auth_gate.dropped == {"more than max_requests of a gateway": 7}
    auth_gate.now += 0.5
    assert auth_gate.heard(8, MessageKind.CALL, "192.0.2.2") == 5


@pytest.mark.parametrize("lead", [b"SIP/2.0 200 OK", b"ACK sip:a", b"BYE sip:a", b"CANCEL sip:a", b"PRACK sip:a"])
def test_what_sets_up_and_ends_calls_of_a_gateway_is_never_limited(auth_gate, lead):
    auth_gate.ours |= {lead, b"INFO sip:a"}
    kind = MessageKind.RESPONSE if lead.startswith(b"SIP") else MessageKind.WITHIN
    auth_gate.heard(1_000, MessageKind.CALL, GATEWAY)
    auth_gate.heard(10_000, MessageKind.WITHIN, GATEWAY, b"INFO sip:a")
    assert auth_gate.heard(10_000, kind, GATEWAY, lead) == 10_000


@pytest.mark.parametrize("is_denied", [False, True])
@pytest.mark.parametrize("method", [b"INVITE", b"UPDATE", b"INFO", b"REFER", b"NOTIFY", b"MESSAGE"])
def test_requests_that_change_calls_of_a_gateway_have_a_limit_of_their_own(auth_gate, method, is_denied):
    auth_gate.ours.add(method + b" sip:a")
    if is_denied:
        auth_gate.denied.add(GATEWAY)
    change = MessageKind.WITHIN, GATEWAY, method + b" sip:a"
    assert auth_gate.heard(10_000, *change) == CHANGES_AT_ONCE
    assert auth_gate.judge(*change) is ShieldAnswer.SILENCE
    auth_gate.now += 1
    assert auth_gate.heard(10_000, *change) == CHANGES_PER_S
    assert auth_gate.dropped == {
        "too many requests of a gateway within its calls": 20_001 - CHANGES_AT_ONCE - CHANGES_PER_S
    }
    assert auth_gate.blocked == []
    if not is_denied:
        assert auth_gate.heard(200, MessageKind.CALL, GATEWAY) == 100


@pytest.mark.parametrize("kind", [MessageKind.WITHIN, MessageKind.RESPONSE])
def test_a_gateways_message_within_a_call_must_match_one(auth_gate, kind):
    assert auth_gate.judge(kind, GATEWAY, b"forged") is Rank.OTHER
    assert auth_gate.heard(10_000, kind, GATEWAY, b"forged") == UNMATCHED_PER_S - 1
    assert auth_gate.judge(kind, GATEWAY, b"forged") is ShieldAnswer.SILENCE
    assert auth_gate.dropped == {"too much of no call of ours": 10_002 - UNMATCHED_PER_S}
    assert auth_gate.heard(100, MessageKind.CALL, GATEWAY) == 100, "what is forged in its name leaves it its calls"
    assert auth_gate.blocked == []


def test_an_unknown_source_has_a_low_limit_and_gets_no_answer(auth_gate):
    assert auth_gate.judge(MessageKind.CALL, UNKNOWN_SOURCE) is Rank.UNKNOWN
    assert auth_gate.heard(39, MessageKind.OTHER, UNKNOWN_SOURCE) == 19
    assert auth_gate.judge(MessageKind.CALL, UNKNOWN_SOURCE) is ShieldAnswer.SILENCE
    assert auth_gate.dropped["too many requests of a stranger"] == 21
    auth_gate.now += 1.0
    assert auth_gate.heard(30, MessageKind.OTHER, UNKNOWN_SOURCE) == 10
    assert auth_gate.blocked == []


@pytest.mark.parametrize("kind", [MessageKind.WITHIN, MessageKind.RESPONSE])
def test_what_only_looks_as_if_it_belonged_to_a_call_counts(auth_gate, kind):
    auth_gate.ours.add(b"ours")
    assert auth_gate.judge(kind, UNKNOWN_SOURCE, b"forged") is Rank.UNKNOWN
    assert auth_gate.heard(30, kind, UNKNOWN_SOURCE, b"forged") == 19
    assert auth_gate.heard(100, kind, UNKNOWN_SOURCE, b"ours") == 100
    assert auth_gate.judge(kind, UNKNOWN_SOURCE, b"ours") is Rank.RUNNING
    assert auth_gate.heard(30, MessageKind.OTHER, UNKNOWN_SOURCE) == 20, (
        "what is forged in its name leaves it its requests"
    )


def test_an_unknown_source_within_a_call_is_served_up_to_a_limit(auth_gate):
    auth_gate.ours.add(b"ours")
    assert auth_gate.heard(2 * WITHIN_AT_ONCE, MessageKind.WITHIN, UNKNOWN_SOURCE, b"ours") == WITHIN_AT_ONCE
    auth_gate.now += 1.0
    assert auth_gate.heard(2 * WITHIN_AT_ONCE, MessageKind.RESPONSE, UNKNOWN_SOURCE, b"ours") == WITHIN_PER_S


def test_junk_is_dropped_and_much_of_it_blocks_its_source(auth_gate):
    assert auth_gate.heard(10_000, MessageKind.JUNK, UNKNOWN_SOURCE) == 0
    assert auth_gate.blocked == [(UNKNOWN_SOURCE, auth_gate.now + 30)]
    assert auth_gate.dropped["not SIP"] == BLOCK_PER_S + 1
    assert auth_gate.dropped["blocked source"] == 10_000 - BLOCK_PER_S - 1
    auth_gate.ours.add(b"ours")
    assert auth_gate.judge(MessageKind.WITHIN, UNKNOWN_SOURCE, b"ours") is ShieldAnswer.SILENCE
    auth_gate.now += 30.1
    assert auth_gate.heard(1, MessageKind.OTHER, UNKNOWN_SOURCE) == 1


@pytest.mark.parametrize(("size", "served"), [(200, BLOCK_PER_S), (1_400, BLOCK_PER_S // 2), (8_000, BLOCK_PER_S // 8)])
def test_long_messages_that_match_nothing_block_their_source_sooner(auth_gate, size, served):
    data = b"ACK".ljust(size)
    auth_gate.heard(10_000, MessageKind.WITHIN, UNKNOWN_SOURCE, data)
    assert auth_gate.blocked == [(UNKNOWN_SOURCE, auth_gate.now + 30)]
    assert auth_gate.dropped["too much of no call of ours"] == served + 1


def test_junk_with_the_forged_address_of_a_phone_does_not_use_up_its_requests(auth_gate):
    """The sender of a datagram is easily forged: a few forged ones must not block the real source."""
    for _ in range(100):
        assert auth_gate.heard(BLOCK_PER_S // 20, MessageKind.JUNK, UNKNOWN_SOURCE) == 0
        auth_gate.now += 0.1
    assert auth_gate.heard(10, MessageKind.OTHER, UNKNOWN_SOURCE) == 10
    assert auth_gate.blocked == []


def test_an_unknown_source_slightly_over_its_rate_is_not_blocked(auth_gate):
    for _ in range(200):
        auth_gate.heard(4, MessageKind.OTHER, UNKNOWN_SOURCE)  # 40 a second: 10 are served, 30 dropped
        auth_gate.now += 0.1
    assert auth_gate.blocked == []


def test_keep_alives_are_nothing_to_be_served_and_no_offence(auth_gate):
    for _ in range(100):
        assert auth_gate.heard(1, MessageKind.KEEP_ALIVE, UNKNOWN_SOURCE) == 0
        auth_gate.now += 1.0
    assert auth_gate.heard(1, MessageKind.KEEP_ALIVE, GATEWAY) == 0
    assert auth_gate.dropped == {"keep-alive": 101}
    assert auth_gate.heard(1, MessageKind.JUNK, GATEWAY) == 0
    assert auth_gate.dropped == {"keep-alive": 101, "not SIP": 1}


@pytest.mark.parametrize("agent", [*SCANNERS, "VaxSIPUserAgent/3.5", "FRIENDLY-scanner"])
def test_scanners_are_dropped(auth_gate, agent):
    data = REGISTER.replace(b"CSeq:", f"user-agent:  {agent} x\r\nCSeq:".encode())
    assert auth_gate.heard(5, MessageKind.OTHER, UNKNOWN_SOURCE, data) == 0
    assert auth_gate.dropped["scanner"] == 5
    assert auth_gate.heard(1, MessageKind.OTHER, GATEWAY, data) == 1


def test_a_scanner_named_elsewhere_is_none(auth_gate):
    data = REGISTER.replace(b"CSeq:", b"Subject: sipvicious\r\nCSeq:")
    assert auth_gate.heard(1, MessageKind.OTHER, UNKNOWN_SOURCE, data) == 1


def test_who_becomes_a_gateway_is_one_within_seconds_and_the_other_way_round(auth_gate):
    assert auth_gate.judge(MessageKind.CALL, UNKNOWN_SOURCE) is Rank.UNKNOWN
    auth_gate.known = {UNKNOWN_SOURCE}
    assert auth_gate.judge(MessageKind.CALL, GATEWAY) is Rank.UNKNOWN
    auth_gate.now += LOOKUP_VALID_S
    assert auth_gate.judge(MessageKind.CALL, UNKNOWN_SOURCE) is Rank.CALL
    auth_gate.known = {GATEWAY}
    auth_gate.now += LOOKUP_VALID_S
    assert auth_gate.judge(MessageKind.CALL, UNKNOWN_SOURCE) is Rank.UNKNOWN
    assert auth_gate.judge(MessageKind.CALL, GATEWAY) is Rank.CALL


def test_a_source_that_is_reported_as_known_is_so_at_once_and_keeps_its_count(auth_gate):
    assert auth_gate.heard(30, MessageKind.OTHER, UNKNOWN_SOURCE) == 20
    auth_gate.shield.recognise(UNKNOWN_SOURCE)
    assert auth_gate.judge(MessageKind.OTHER, UNKNOWN_SOURCE) is ShieldAnswer.SILENCE, "it is not known yet"
    auth_gate.known.add(UNKNOWN_SOURCE)
    assert auth_gate.judge(MessageKind.OTHER, UNKNOWN_SOURCE) is ShieldAnswer.SILENCE, "by the last lookup"
    auth_gate.shield.recognise(UNKNOWN_SOURCE)
    assert auth_gate.heard(50, MessageKind.OTHER, UNKNOWN_SOURCE) == 50
    auth_gate.shield.recognise(GATEWAY)
    assert auth_gate.judge(MessageKind.CALL, GATEWAY) is Rank.CALL


def test_who_becomes_a_gateway_is_not_blocked_meanwhile(auth_gate):
    auth_gate.heard(1, MessageKind.OTHER, UNKNOWN_SOURCE)
    auth_gate.known.add(UNKNOWN_SOURCE)
    auth_gate.heard(10_000, MessageKind.JUNK, UNKNOWN_SOURCE)
    assert auth_gate.blocked == []


def test_sources_that_are_looked_up_again_have_no_new_allowance(auth_gate):
    """As by each change of a definition: else a flood would begin anew with it."""
    assert auth_gate.heard(200, MessageKind.OTHER, GATEWAY) == 100
    assert auth_gate.heard(30, MessageKind.OTHER, UNKNOWN_SOURCE) == 20
    auth_gate.shield.look_again()
    assert auth_gate.judge(MessageKind.OTHER, GATEWAY) is ShieldAnswer.REFUSE
    assert auth_gate.judge(MessageKind.OTHER, UNKNOWN_SOURCE) is ShieldAnswer.SILENCE
    auth_gate.known = {UNKNOWN_SOURCE}
    auth_gate.shield.look_again()
    assert auth_gate.judge(MessageKind.OTHER, GATEWAY) is Rank.UNKNOWN
    assert auth_gate.judge(MessageKind.OTHER, UNKNOWN_SOURCE) is Rank.OTHER


def test_the_limit_of_a_gateway_is_kept_while_one_of_its_addresses_is_a_known_source(auth_gate):
    """Reloads may remove any number of gateways, whose limits would be kept for ever."""
    auth_gate.allowances[GATEWAY] = Allowance("acme", 10)
    assert auth_gate.heard(20, MessageKind.OTHER, GATEWAY) == 10
    auth_gate.shield.look_again()
    assert auth_gate.judge(MessageKind.OTHER, GATEWAY) is ShieldAnswer.REFUSE
    auth_gate.known = set()
    auth_gate.shield.look_again()
    assert auth_gate.judge(MessageKind.OTHER, GATEWAY) is Rank.UNKNOWN
    auth_gate.known = {GATEWAY}
    auth_gate.shield.look_again()
    assert auth_gate.heard(20, MessageKind.OTHER, GATEWAY) == 10, "it is another gateway"


def test_other_settings_hold_at_once_and_unblock(auth_gate):
    auth_gate.heard(10_000, MessageKind.JUNK, UNKNOWN_SOURCE)
    auth_gate.shield.settings = ShieldSettings(unknown_rate=0, scanners=(), block_s=0)
    assert (
        auth_gate.heard(
            5_000, MessageKind.OTHER, UNKNOWN_SOURCE, REGISTER.replace(b"CSeq", b"User-Agent: sipcli\r\nCSeq")
        )
        == 5_000
    )


@pytest.mark.parametrize("host", [UNKNOWN_SOURCE, "2001:db8::7"])
def test_a_released_source_is_served_at_once(auth_gate, host):
    auth_gate.heard(10_000, MessageKind.JUNK, host)
    assert auth_gate.judge(MessageKind.OTHER, host) is ShieldAnswer.SILENCE
    auth_gate.now += 1.0
    auth_gate.shield.release(host)
    assert auth_gate.judge(MessageKind.OTHER, host) is Rank.UNKNOWN


def test_an_ipv6_customer_has_one_allowance_and_a_gateway_in_it_its_own(auth_gate):
    auth_gate.known = {"2001:db8::1"}
    heard = sum(auth_gate.heard(1, MessageKind.OTHER, f"2001:db8::{index:x}") for index in range(2, 102))
    assert heard == 20
    assert auth_gate.heard(50, MessageKind.CALL, "2001:db8::1") == 50
    assert auth_gate.heard(1, MessageKind.OTHER, "2001:db8:0:1::1") == 1


def test_sources_without_end_take_no_memory_without_end(auth_gate, monkeypatch):
    monkeypatch.setattr(net_shield, "SOURCES_MAX", 100)
    for index in range(1_000):
        assert auth_gate.heard(1, MessageKind.OTHER, f"203.0.{index >> 8}.{index & 255}") == 1
    assert len(auth_gate.shield) == 100


def test_the_source_that_was_looked_up_longest_ago_is_forgotten_first(auth_gate, monkeypatch):
    monkeypatch.setattr(net_shield, "SOURCES_MAX", 2)
    auth_gate.heard(10_000, MessageKind.OTHER, UNKNOWN_SOURCE)
    assert auth_gate.heard(1, MessageKind.OTHER, "203.0.113.1") == 1
    auth_gate.now += LOOKUP_VALID_S
    assert auth_gate.heard(1, MessageKind.OTHER, UNKNOWN_SOURCE) == 0
    assert auth_gate.heard(1, MessageKind.OTHER, "203.0.113.2") == 1
    assert auth_gate.heard(1, MessageKind.OTHER, UNKNOWN_SOURCE) == 0, "it is still blocked"


@given(st.lists(st.tuples(st.sampled_from(list(MessageKind)), st.integers(1, 60), st.floats(0, 3)), max_size=60))
def test_an_unknown_source_is_never_served_more_than_its_limit(traffic):
    auth_gate = AuthGate()
    began, heard = auth_gate.now, 0
    for kind, count, pause in traffic:
        heard += auth_gate.heard(count, kind, UNKNOWN_SOURCE)
        auth_gate.now += pause
        assert heard <= 2 * (20 + 10 * (auth_gate.now - began)) + 1e-6  # its requests, and what belongs to nothing


class TestDeniedSources:
    """Sources that the rules of access deny."""

    @pytest.fixture
    def auth_gate(self) -> AuthGate:
        auth_gate = AuthGate()
        auth_gate.denied |= {GATEWAY, UNKNOWN_SOURCE}
        return auth_gate

    @pytest.mark.parametrize("kind", [MessageKind.CALL, MessageKind.OTHER, MessageKind.WITHIN, MessageKind.RESPONSE])
    @pytest.mark.parametrize("host", [GATEWAY, UNKNOWN_SOURCE])
    def test_what_belongs_to_no_call_is_dropped(self, auth_gate, host, kind):
        assert auth_gate.heard(5, kind, host) == 0
        assert auth_gate.dropped == {"source that access denies": 5}

    @pytest.mark.parametrize("host", [GATEWAY, UNKNOWN_SOURCE])
    def test_what_belongs_to_a_call_passes(self, auth_gate, host):
        auth_gate.ours.add(b"ours")
        for _ in range(2):
            assert auth_gate.judge(MessageKind.WITHIN, host, b"ours") is Rank.RUNNING
            assert auth_gate.judge(MessageKind.RESPONSE, host, b"ours") is Rank.RUNNING
            assert auth_gate.judge(MessageKind.CALL, host, b"ours") is ShieldAnswer.SILENCE

    def test_only_a_known_source_is_reported_and_only_for_requests(self, auth_gate):
        for host in (GATEWAY, UNKNOWN_SOURCE):
            for kind in (MessageKind.CALL, MessageKind.OTHER, MessageKind.WITHIN, MessageKind.JUNK):
                auth_gate.judge(kind, host)
        assert auth_gate.reported == [GATEWAY, GATEWAY]

    def test_messages_of_a_denied_gateway_are_always_judged(self, auth_gate):
        auth_gate.judge(MessageKind.CALL, GATEWAY)
        assert not auth_gate.shield.knows(GATEWAY, auth_gate.now)

    def test_a_flood_of_an_unknown_one_is_blocked_and_a_gateway_is_not(self, auth_gate):
        assert auth_gate.heard(BLOCK_PER_S + 1, MessageKind.CALL, GATEWAY) == 0
        assert auth_gate.blocked == []
        assert auth_gate.heard(BLOCK_PER_S + 1, MessageKind.CALL, UNKNOWN_SOURCE) == 0
        assert [host for host, _ in auth_gate.blocked] == [UNKNOWN_SOURCE]

    def test_messages_of_a_blocked_one_are_not_looked_up(self, auth_gate):
        auth_gate.ours.add(b"ours")
        auth_gate.heard(BLOCK_PER_S + 1, MessageKind.CALL, UNKNOWN_SOURCE)
        assert auth_gate.heard(3, MessageKind.WITHIN, UNKNOWN_SOURCE, b"ours") == 0
        assert auth_gate.dropped["blocked source"] == 3
        auth_gate.now = auth_gate.blocked[0][1]
        assert auth_gate.heard(3, MessageKind.WITHIN, UNKNOWN_SOURCE, b"ours") == 3

    def test_of_one_site_of_ipv6_a_single_address_may_be_denied(self, auth_gate):
        auth_gate.denied.add("2001:db8::1")
        assert auth_gate.heard(2, MessageKind.CALL, "2001:db8::1") == 0
        assert auth_gate.heard(2, MessageKind.CALL, "2001:db8::2") == 2
        assert auth_gate.heard(2, MessageKind.CALL, "2001:db8::1") == 0

    def test_other_rules_hold_at_once_and_a_country_that_changes_within_seconds(self, auth_gate):
        assert auth_gate.heard(1, MessageKind.CALL, GATEWAY) == 0
        auth_gate.denied.clear()
        assert auth_gate.heard(1, MessageKind.CALL, GATEWAY) == 0
        auth_gate.now += LOOKUP_VALID_S
        assert auth_gate.heard(1, MessageKind.CALL, GATEWAY) == 1
        auth_gate.denied.add(GATEWAY)
        auth_gate.shield.settings = SETTINGS
        assert auth_gate.heard(1, MessageKind.CALL, GATEWAY) == 0
