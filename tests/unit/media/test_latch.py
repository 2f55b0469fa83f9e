"""The source that is believed."""

import msgspec
import pytest

from vosd.media.latch import CANDIDATES_MAX, HELD_MAX, HOSTS_MAX, LEFT_NS, MOVED_NS, REPEATED_NS, Latch
from vosd.media.source import MediaSource
from vosd.trunks.media import MediaTrust

PEER = ("198.51.100.7", 4_000)
OTHER_PORT = ("198.51.100.7", 4_100)
UNKNOWN = ("203.0.113.9", 4_000)
MS = 1_000_000


def description(
    host: str = PEER[0], rtp: int = PEER[1], trust: MediaTrust = MediaTrust.LEARN, sip: str = PEER[0]
) -> MediaSource:
    return MediaSource(host, rtp, host, None, sip, trust, (0,), (8_000,))


def latch(**named) -> Latch:
    made = Latch()
    made.expect(description(**named))
    return made


def sends(
    latch: Latch, source, numbers, *, ssrc: int = 1, last_ns: int = 0, at_ns: int = 0
) -> list[list[bytes] | None]:
    return [
        without_times(latch.consider(source, number, ssrc, b"%d" % number, last_ns, at_ns + 20 * MS * turn))
        for turn, number in enumerate(numbers)
    ]


def without_times(packets: list[tuple[bytes, int]] | None) -> list[bytes] | None:
    return None if packets is None else [data for data, _ in packets]


def test_packets_that_were_held_keep_the_time_of_their_arrival():
    one = latch()
    held = [one.consider(PEER, number, 1, b"%d" % number, 0, 20 * MS * number) for number in range(3)]
    assert held[2] == [(b"0", 0), (b"1", 20 * MS), (b"2", 40 * MS)]


def test_three_packets_in_sequence_make_a_source_believed_and_none_is_lost():
    one = latch()
    assert sends(one, PEER, (5, 6)) == [[], []]
    assert one.believed is None
    assert sends(one, PEER, (7,)) == [[b"5", b"6", b"7"]]
    assert one.believed == PEER


@pytest.mark.parametrize(
    "numbers", [(5, 6, 8), (5, 7, 9), (5, 5, 5), (5, 5, 5, 5), (7, 6, 5), (5, 6, 6, 5), (5, 6, 4, 7)]
)
def test_packets_out_of_sequence_copies_and_older_ones_make_no_source_believed(numbers):
    one = latch()
    sends(one, PEER, numbers)
    assert one.believed is None


@pytest.mark.parametrize("numbers", [(5, 5, 6, 6, 7), (5, 6, 5, 7), (65_535, 65_535, 0, 65_535, 1)])
def test_copies_of_packets_neither_count_nor_begin_anew(numbers):
    one = latch()
    *before, believed = sends(one, PEER, numbers)
    assert before == [[]] * (len(numbers) - 1)
    assert believed == [b"%d" % number for number in dict.fromkeys(numbers)]


def test_a_number_of_another_ssrc_is_no_copy():
    one = latch()
    sends(one, PEER, (5, 6), ssrc=1)
    assert sends(one, PEER, (6, 7, 8), ssrc=2) == [[], [], [b"6", b"7", b"8"]]


def test_sequence_numbers_wrap():
    one = latch()
    sends(one, PEER, (65_534, 65_535, 0))
    assert one.believed == PEER


def test_another_ssrc_begins_anew():
    one = latch()
    sends(one, PEER, (5, 6), ssrc=1)
    sends(one, PEER, (7,), ssrc=2)
    assert one.believed is None


@pytest.mark.parametrize(
    ("trust", "source", "is_believed"),
    [
        (MediaTrust.LEARN, OTHER_PORT, True),
        (MediaTrust.LEARN, UNKNOWN, False),
        (MediaTrust.SDP, PEER, True),
        (MediaTrust.SDP, OTHER_PORT, False),
        (MediaTrust.SDP, UNKNOWN, False),
        (MediaTrust.ANY, UNKNOWN, True),
    ],
)
def test_a_source_is_believed_from_where_the_trunk_allows_it(trust, source, is_believed):
    one = latch(trust=trust)
    sends(one, source, (1, 2, 3))
    assert (one.believed == source) is is_believed


@pytest.mark.parametrize(
    ("announced", "is_believed"),
    [("10.0.0.5", True), ("0.0.0.0", True), ("198.51.100.99", False), ("100.64.1.1", True)],
)
def test_the_source_of_sip_is_believed_behind_nat_alone(announced, is_believed):
    one = latch(host=announced, sip=UNKNOWN[0])
    sends(one, UNKNOWN, (1, 2, 3))
    assert (one.believed is not None) is is_believed


def test_behind_nat_the_source_of_sip_is_believed_whatever_is_announced():
    """A company or a mobile network may use addresses inside that are public elsewhere."""
    one = Latch()
    one.expect(msgspec.structs.replace(description(sip=UNKNOWN[0]), is_behind_nat=True))
    sends(one, UNKNOWN, (1, 2, 3))
    assert one.believed == UNKNOWN


def test_nothing_is_believed_before_a_session_description_nor_where_the_medium_is_refused():
    for one in (Latch(), *(latch(rtp=0, trust=trust) for trust in MediaTrust)):
        assert sends(one, PEER, (1, 2, 3)) == [None, None, None]
        assert not one.may_shake_hands(PEER)
    refused = Latch()
    refused.expect(description(rtp=0), PEER)
    assert refused.believed is None, "who was believed before a restart is not, either"


def test_keys_are_agreed_with_a_source_that_the_description_allows_and_then_with_the_believed_one_alone():
    one = latch()
    assert [one.may_shake_hands(each) for each in (PEER, OTHER_PORT, UNKNOWN)] == [True, True, False]
    sends(one, PEER, (1, 2, 3))
    assert [one.may_shake_hands(each) for each in (PEER, OTHER_PORT, UNKNOWN)] == [True, False, False]


def test_only_the_first_source_is_believed():
    one = latch(trust=MediaTrust.ANY)
    sends(one, PEER, (1, 2, 3))
    assert sends(one, UNKNOWN, (1, 2, 3), last_ns=60 * MS, at_ns=80 * MS) == [None, None, None]
    assert sends(one, UNKNOWN, (1, 2, 3), last_ns=60 * MS, at_ns=60 * MS + 2 * MOVED_NS) == [None, None, None]


def test_a_port_that_nat_moved_is_followed_after_two_seconds_of_silence():
    one = latch()
    sends(one, PEER, (1, 2, 3))
    early = 60 * MS + MOVED_NS - 1
    assert sends(one, OTHER_PORT, (4,), last_ns=60 * MS, at_ns=early) == [None]
    assert sends(one, OTHER_PORT, (5, 6, 7), last_ns=60 * MS, at_ns=60 * MS + MOVED_NS)[-1] == [b"5", b"6", b"7"]
    assert one.believed == OTHER_PORT


def test_a_port_is_not_followed_while_the_believed_one_sends_nor_with_an_exact_one():
    one = latch()
    sends(one, PEER, (1, 2, 3))
    sends(one, OTHER_PORT, (4, 5), last_ns=60 * MS, at_ns=60 * MS + MOVED_NS)
    last_ns, at_ns = 90 * MS + MOVED_NS, 100 * MS + 2 * MOVED_NS
    assert sends(one, OTHER_PORT, (6, 7, 8, 9), last_ns=last_ns, at_ns=at_ns) == [None, [], [], [b"7", b"8", b"9"]]
    exact = latch(trust=MediaTrust.SDP)
    sends(exact, PEER, (1, 2, 3))
    assert sends(exact, OTHER_PORT, (4, 5, 6), last_ns=60 * MS, at_ns=2 * MOVED_NS) == [None] * 3


def test_the_announced_port_takes_the_place_of_another_one_that_sends_and_keeps_it():
    one = latch()
    sends(one, OTHER_PORT, (1, 2, 3))
    assert one.believed == OTHER_PORT, "a branch of the call before, at the same host"
    assert sends(one, PEER, (7, 8), last_ns=80 * MS, at_ns=60 * MS) == [[], []]
    assert sends(one, PEER, (9,), last_ns=100 * MS, at_ns=100 * MS) == [[b"7", b"8", b"9"]]
    assert sends(one, OTHER_PORT, (4, 5, 6), last_ns=160 * MS, at_ns=120 * MS) == [None, None, None]
    assert one.believed == PEER


def test_another_session_description_is_another_source():
    one = latch()
    sends(one, PEER, (1, 2, 3))
    one.expect(description(rtp=4_100))
    assert one.believed is None
    assert sends(one, OTHER_PORT, (1, 2, 3))[-1]


def test_the_place_that_a_peer_has_left_is_heard_for_a_second_and_not_believed():
    one = latch()
    sends(one, PEER, (1, 2, 3))
    one.expect(description(rtp=OTHER_PORT[1]))
    assert [one.is_left(PEER, at_ns) for at_ns in (100 * MS, 100 * MS + LEFT_NS - 1)] == [True, True]
    assert not one.is_left(PEER, 100 * MS + LEFT_NS), "it goes on: the peer sends from where it receives nothing"
    assert not one.is_left(("198.51.100.7", 4_200), 100 * MS), "it was not believed before"
    sends(one, OTHER_PORT, (1, 2, 3))
    assert not one.is_left(PEER, 200 * MS), "the peer is where it said"
    one.expect(description())
    assert one.is_left(OTHER_PORT, 2 * LEFT_NS), "each place has its own second"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"host": "10.0.0.5"}, {"host": "10.0.0.5", "rtp": 4_100}, id="behind NAT it may be where it was"),
        pytest.param({}, {"host": UNKNOWN[0]}, id="the description allows another host alone"),
        pytest.param({}, {"rtp": 4_100, "trust": MediaTrust.SDP}, id="the description allows another port alone"),
        pytest.param({}, {"trust": MediaTrust.ANY}, id="the place is the same"),
        pytest.param({}, {"rtp": 0}, id="the medium is refused"),
    ],
)
def test_a_source_is_not_left_where(before, after):
    one = latch(**before)
    sends(one, PEER, (1, 2, 3))
    assert one.believed == PEER
    one.expect(description(**after))
    assert not one.is_left(PEER, 100 * MS)


def test_a_place_that_was_left_stays_so_while_the_description_of_the_new_one_is_repeated():
    one = latch()
    sends(one, PEER, (1, 2, 3))
    for _ in range(2):
        one.expect(description(rtp=OTHER_PORT[1]))
    assert one.is_left(PEER, 100 * MS)


def test_a_place_that_was_left_is_judged_as_any_other_one():
    one = Latch(lambda _leg, host: None)
    one.expect(description())
    sends(one, PEER, (1, 2, 3))
    one.expect(msgspec.structs.replace(description(rtp=OTHER_PORT[1]), judged_for=7))
    assert one.is_left(PEER, 100 * MS)
    one.judge(PEER[0], may_send=False)
    assert not one.is_left(PEER, 120 * MS)


def test_a_repeated_session_description_keeps_the_source_until_another_one_takes_its_place():
    one = latch(host="10.0.0.5", sip=PEER[0])
    sends(one, PEER, (1, 2, 3))
    one.expect(description("10.0.0.5", sip=PEER[0]))
    assert one.believed == PEER
    early = 60 * MS + REPEATED_NS - 1
    assert sends(one, OTHER_PORT, (4,), last_ns=60 * MS, at_ns=early) == [None]
    sends(one, OTHER_PORT, (5, 6, 7), last_ns=60 * MS, at_ns=early + 1)
    assert one.believed == OTHER_PORT
    silent_from = early + 60 * MS
    assert sends(one, PEER, (8, 9, 10), last_ns=silent_from, at_ns=silent_from + REPEATED_NS) == [None] * 3


def test_sources_that_send_a_little_do_not_keep_the_announced_one_out():
    one = latch(trust=MediaTrust.ANY)
    for number in range(4 * CANDIDATES_MAX):
        sends(one, ("203.0.113.9", 5_000 + number), (1, 2), at_ns=number)
    sends(one, PEER, (1, 2, 3), at_ns=100)
    assert one.believed == PEER


def test_a_source_beyond_those_that_are_considered_waits_until_one_of_them_is_idle():
    one = latch(trust=MediaTrust.ANY)
    *considered, further = [(UNKNOWN[0], 5_000 + number) for number in range(CANDIDATES_MAX + 1)]
    for each in considered:
        sends(one, each, (1, 2))
    assert sends(one, further, (1, 2, 3), at_ns=900 * MS) == [None] * 3
    assert sends(one, further, (4, 5, 6), at_ns=1_100 * MS) == [[], [], [b"4", b"5", b"6"]]


@pytest.mark.parametrize(("place", "is_kept"), [(0, True), (1, False), (2, True), (3, True)])
def test_the_source_that_is_idle_for_the_longest_gives_way_and_never_the_announced_one(place, is_kept):
    one = latch(trust=MediaTrust.ANY)
    considered = [PEER, *((UNKNOWN[0], 5_000 - number) for number in range(1, CANDIDATES_MAX))]
    for number, each in enumerate(considered):
        sends(one, each, (1, 2), at_ns=number * 50 * MS)
    assert sends(one, (UNKNOWN[0], 6_000), (1,), at_ns=1_300 * MS) == [[]]
    assert sends(one, considered[place], (3,), at_ns=1_300 * MS) == [[b"1", b"2", b"3"] if is_kept else []]


def test_what_is_no_rtp_is_believed_from_the_announced_address_at_once():
    one = latch()
    assert one.consider_unread(OTHER_PORT, b"a", 0, 0) == []
    assert one.consider_unread(PEER, b"b", 0, 1) == [(b"b", 1)]
    assert one.believed == PEER
    assert one.consider_unread(UNKNOWN, b"c", 0, 1) is None


def test_control_packets_are_of_the_believed_source_or_else_of_an_announced_one():
    one = latch(trust=MediaTrust.ANY)
    assert (one.is_of_peer(PEER[0]), one.is_of_peer(UNKNOWN[0])) == (True, False)
    sends(one, UNKNOWN, (1, 2, 3))
    assert (one.is_of_peer(PEER[0]), one.is_of_peer(UNKNOWN[0])) == (False, True)


def test_what_is_no_rtp_is_believed_from_another_port_after_three_packets():
    one = latch()
    assert [one.consider_unread(OTHER_PORT, each, 0, at) for at, each in enumerate((FAX, b"b", b"c"))] == [
        [], [], [(FAX, 0), (b"b", 1), (b"c", 2)],
    ]  # fmt: skip
    assert one.consider_unread(PEER, FAX, 2, 3) == [], "the announced one takes its place by three, too"


@pytest.mark.parametrize(("trust", "is_believed"), [(MediaTrust.LEARN, True), (MediaTrust.SDP, False)])
def test_a_peer_that_describes_another_family_than_that_of_its_sip_may_send_from_where_that_comes_from(
    trust, is_believed
):
    """A switch without an address of that family has sent it one of the other, at which it may be reached as well."""
    one = latch(host="2001:db8::7", sip=PEER[0], trust=trust)
    sends(one, OTHER_PORT, (1, 2, 3))
    assert (one.believed == OTHER_PORT) is is_believed
    sends(one, UNKNOWN, (1, 2, 3))
    assert one.believed != UNKNOWN


BEHIND_NAT = {"host": "192.168.1.20", "sip": PEER[0]}
FAX = bytes.fromhex("000001060000")
"""A packet of UDPTL: the first one, that hears the tone of a calling fax machine."""


def test_what_is_no_rtp_is_believed_at_once_from_the_nat_of_a_peer_that_describes_a_private_address():
    """A fax machine that calls may send a single packet, and then wait for the other one."""
    one = latch(**BEHIND_NAT)
    assert one.consider_unread(UNKNOWN, FAX, 0, 0) is None
    assert one.consider_unread(OTHER_PORT, FAX, 0, 1) == [(FAX, 1)]
    assert one.believed == OTHER_PORT


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\xc8\x01rtcp",
        b"",
        b"\0",
        b"\r\n\r\n",
        bytes(20),
        bytes.fromhex("000100002112a442") + bytes(12),
        bytes.fromhex("000100082112a442") + bytes(20),
    ],
)
def test_what_may_be_left_of_the_audio_before_a_fax_is_not_believed_at_once(data):
    """RTCP, and packets that keep a port of the NAT open, would keep the fax from being heard until they end."""
    one = latch(**BEHIND_NAT)
    assert one.consider_unread(OTHER_PORT, data, 0, 0) == []
    assert one.believed is None


def test_what_is_no_rtp_is_not_believed_at_once_where_any_source_may_be():
    one = latch(trust=MediaTrust.ANY, **BEHIND_NAT)
    assert one.consider_unread(UNKNOWN, FAX, 0, 0) == []
    assert one.believed is None


class TestJudgedSources:
    """Sources that the switch is asked about (``scope: rtp``)."""

    def judged(self) -> tuple[Latch, list[tuple[int, str]]]:
        asked: list[tuple[int, str]] = []
        made = Latch(lambda leg, host: asked.append((leg, host)))
        made.expect(msgspec.structs.replace(description(), judged_for=7))
        return made, asked

    def test_packets_are_held_until_the_switch_allows_their_source_and_none_is_lost(self):
        one, asked = self.judged()
        assert sends(one, PEER, range(5)) == [[]] * 5
        assert (asked, one.believed) == ([(7, PEER[0])], None)
        assert not one.is_of_peer(PEER[0])
        one.judge(PEER[0], may_send=True)
        assert sends(one, PEER, (5,)) == [[b"%d" % number for number in range(6)]]
        assert one.believed == PEER
        assert asked == [(7, PEER[0])]

    def test_packets_of_a_refused_source_are_dropped_until_another_description(self):
        one, asked = self.judged()
        sends(one, PEER, range(3))
        one.judge(PEER[0], may_send=False)
        assert sends(one, PEER, range(3, 9)) == [None] * 6
        assert sends(one, OTHER_PORT, range(3)) == [None] * 3
        assert not one.is_of_peer(PEER[0])
        assert asked == [(7, PEER[0])]
        one.expect(msgspec.structs.replace(description(), judged_for=7))
        one.judge(PEER[0], may_send=True)
        sends(one, PEER, range(3))
        assert (asked, one.believed) == ([(7, PEER[0])] * 2, None), "the answer was about the description before"

    def test_verdicts_are_kept_of_as_many_hosts_as_are_counted(self):
        one, asked = self.judged()
        one.expect(msgspec.structs.replace(description(trust=MediaTrust.ANY), judged_for=7))
        hosts = [f"203.0.113.{number}" for number in range(HOSTS_MAX + 1)]
        for host in (*hosts[:-1], hosts[0], hosts[-1], hosts[0]):
            one.may_shake_hands((host, 4_000))
        assert [host for _, host in asked] == [*hosts, hosts[0]]

    def test_a_switch_that_does_not_answer_is_asked_again(self):
        one, asked = self.judged()
        given = sends(one, PEER, range(HELD_MAX + 3))
        assert (given.count(None), len(asked)) == (1, 2)

    def test_fax_is_held_as_well(self):
        one, _ = self.judged()
        assert [one.consider_unread(PEER, b"fax", 0, turn) for turn in range(2)] == [[], []]
        one.judge(PEER[0], may_send=True)
        assert without_times(one.consider_unread(PEER, b"fax", 0, 2)) == [b"fax"] * 3
