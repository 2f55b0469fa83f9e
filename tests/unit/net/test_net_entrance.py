"""Datagrams that are processed as they are read, and those that are queued: who may, and for how long."""

from collections import Counter

import pytest
from doubles.virtual.probe import request

from vosd.base.clock import Instant
from vosd.net.entrance import IDLE_MAX, SENT_TOGETHER, Core, Entrance
from vosd.net.shield import CHANGES_AT_ONCE, LOOKUP_VALID_S, ShieldSettings
from vosd.sip.wire.classify import Rank
from vosd.sip.wire.outgoing import Peer

GATEWAY, UNKNOWN_SOURCE = Peer(0, "192.0.2.1", 5060), Peer(0, "192.0.2.66", 5060)
INVITE, OPTIONS = request("INVITE"), request("OPTIONS")
RINGING = b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\n\r\n"
ENDED = b"BYE sip:a@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2\r\nTo: <sip:a@b>;tag=1\r\n\r\n"


class Stage:
    """An entrance whose core says what it was asked, in order."""

    def __init__(self, **settings: int) -> None:
        self.said: list[str] = []
        self.is_idle = True
        self.is_event = True
        self.ours: set[bytes] = set()
        self.now = Instant(1_000_000, 0)
        self.dropped: Counter[str] = Counter()
        self.entrance = Entrance(
            Core(
                begin=lambda: self.now if self.is_idle else None,
                process=self._process,
                flush=lambda _now: self.said.append("sent"),
                take=lambda rank, _flow, data, _host, _port, _came: self.said.append(
                    f"{rank.name} {_name(data)} queued"
                ),
                refuse=lambda _flow, data, _host, _port: self.said.append(f"{_name(data)} refused"),
                serve=lambda: self.said.append("served"),
                belongs=lambda _kind, data: data in self.ours,
                has_dialog=lambda _tag: False,
                dialog_of=lambda _data: "",
                dropped=self.dropped,
                failed=lambda _flow, _host, _port, _names: None,
                unsent=lambda _data: None,
                undelivered=lambda _quoted, _peer: None,
                closed=lambda _flow, _host, _port: None,
                certified=lambda _flow, _host, _port, _names: None,
                identity_at=lambda _host, _port: "",
                is_vendor_at=lambda _host, _port: False,
                is_gateway=lambda _host: False,
                is_known_source=lambda host: host == GATEWAY.host,
                allowance_at=lambda _host: None,
                name_of=lambda _host, _port: None,
                connects_within=lambda _host: 1.0,
            ),
            ShieldSettings(**settings),
            lambda: None,
        )

    def _process(self, data: bytes, _peer: Peer, now: Instant) -> bool:
        assert now is self.now
        self.said.append(_name(data))
        return self.is_event

    def take(self, *messages: bytes, source: Peer = GATEWAY) -> list[str]:
        """Pass datagrams to the entrance; return what was said."""
        self.said.clear()
        self.entrance.take([(data, source) for data in messages])
        return list(self.said)


def _name(data: bytes) -> str:
    return data.split(b" ")[1 if data.startswith(b"SIP") else 0].decode()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Give an entrance that has looked the gateway up."""
    stage = Stage(gateway_rate=10)
    monkeypatch.setattr("time.monotonic", lambda: stage.now.mono / 1000)
    assert stage.take(INVITE) == ["CALL INVITE queued", "served"]
    return stage


def test_messages_of_a_known_source_are_processed_as_they_are_read_and_answered_some_together(stage):
    assert stage.take(INVITE, RINGING, ENDED) == ["INVITE", "180", "BYE", "sent"]
    many = stage.take(*[ENDED] * (2 * SENT_TOGETHER + 1))
    assert [place for place, said in enumerate(many) if said == "sent"] == [
        SENT_TOGETHER, 2 * SENT_TOGETHER + 1, 2 * SENT_TOGETHER + 3,
    ]  # fmt: skip
    assert stage.take(*[ENDED] * SENT_TOGETHER)[-2:] == ["BYE", "sent"], "once"


def test_those_of_an_unknown_source_are_queued_and_served_after_the_others(stage):
    stage.entrance.take([(INVITE, UNKNOWN_SOURCE), (RINGING, GATEWAY)])
    assert stage.said[-4:] == [f"{Rank.UNKNOWN.name} INVITE queued", "180", "sent", "served"]


@pytest.mark.parametrize("first", [RINGING, INVITE], ids=["180", "INVITE"])
def test_no_message_overtakes_an_earlier_one_of_its_source_that_waits(stage, first):
    """The first of a batch is queued where its source has to be looked up; the others find it known."""
    stage.now = Instant(stage.now.mono + int(1000 * LOOKUP_VALID_S), 0)
    said = stage.take(first, ENDED)
    assert [entry.split()[-1] for entry in said] == ["queued", "queued", "served"]
    assert stage.take(ENDED) == ["BYE", "sent"]


def test_while_something_waits_everything_is_queued(stage):
    stage.is_idle = False
    assert stage.take(INVITE, OPTIONS) == ["CALL INVITE queued", "OTHER OPTIONS queued", "served"]


def test_junk_is_dropped_and_new_requests_have_their_limit(stage):
    assert stage.take(b"junk", *[INVITE] * 10) == [
        *["INVITE"] * 7, "sent", *["INVITE"] * 2, "INVITE refused", "sent",
    ]  # fmt: skip
    assert sum(stage.dropped.values()) == 2


@pytest.mark.parametrize("changed", [request("INFO"), request("UPDATE")], ids=["INFO", "UPDATE"])
def test_requests_that_change_calls_have_a_limit_and_the_end_of_calls_has_none(stage, changed):
    stage.ours |= {changed, ENDED}
    said = stage.take(*[changed] * (CHANGES_AT_ONCE + 1), ENDED)
    assert said.count(_name(changed)) == CHANGES_AT_ONCE
    assert said[-2:] == ["BYE", "sent"]
    assert sum(stage.dropped.values()) == 1


def test_a_source_is_looked_up_again_after_a_while(stage):
    stage.now = Instant(stage.now.mono + int(1000 * LOOKUP_VALID_S), 0)
    assert stage.take(OPTIONS) == ["OTHER OPTIONS queued", "served"]
    assert stage.take(OPTIONS) == ["OPTIONS", "sent"]


def test_messages_that_match_no_call_are_judged_one_by_one_when_there_are_too_many(stage):
    """Anyone can send in the name of a gateway: what is no event of a call has a limit of its own then."""
    stage.is_event = False
    for _ in range(IDLE_MAX):
        assert stage.take(ENDED) == ["BYE", "sent"]
    assert stage.take(ENDED) == ["OTHER BYE queued", "served"]
    stage.now = Instant(stage.now.mono + 1_000, 0)
    assert stage.take(ENDED) == ["BYE", "sent"]


def test_each_event_of_a_call_allows_for_one_more_that_is_none(stage):
    for _ in range(IDLE_MAX):
        stage.is_event = False
        assert stage.take(ENDED) == ["BYE", "sent"]
        stage.is_event = True
        assert stage.take(RINGING) == ["180", "sent"]
    assert stage.take(ENDED) == ["BYE", "sent"]
