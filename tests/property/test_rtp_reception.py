"""Loss and jitter of received streams, against a second plain implementation of RFC 3550."""

from dataclasses import dataclass

from hypothesis import given, strategies as st

from vosd.media.figures import PortFigures
from vosd.media.reception import Reception
from vosd.media.record import ID, RECORD_BYTES, SENT, STATE, STATE_AT, figures_of

UNIT_NS = 125_000
FRAME = 160


@dataclass
class Packet:
    number: int
    """Sequence number without wraps."""
    stamp: int
    ssrc: int
    payload: int
    at_ns: int


@st.composite
def streams(draw: st.DrawFn) -> list[Packet]:
    """Streams one after the other, with losses, duplicates, packets out of order, late packets and events."""
    packets: list[Packet] = []
    at_ns = 10**9
    for ssrc in draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True)):
        number = draw(st.sampled_from((0, 17, 65_500, 65_535, 200_000)))
        stamp = draw(st.sampled_from((0, 2**32 - 500, 12_345)))
        sent: list[Packet] = []
        for kind in draw(st.lists(st.sampled_from("....ledk"), min_size=1, max_size=60)):
            at_ns += 20_000_000
            delay_ns = draw(st.integers(0, 60_000_000))
            packet = Packet(number, stamp, ssrc, 101 if kind == "e" else 0, at_ns + delay_ns)
            if kind != "l":
                sent.append(packet)
            if kind == "d":
                sent.append(Packet(number, stamp, ssrc, 0, at_ns + delay_ns + 1_000_000))
            number += 1
            if kind not in "ek":  # events, and parts of one frame, have the same time stamp
                stamp += FRAME
        at_ns += 200_000_000
        packets += sorted(sent, key=lambda each: each.at_ns)
    return packets


def plain(packets: list[Packet]) -> tuple[int, int, float, float]:
    """Return packets expected and lost, mean and maximum of the jitter in milliseconds."""
    expected = lost = 0
    values: list[float] = []
    jitter = 0.0
    for ssrc in dict.fromkeys(each.ssrc for each in packets):
        stream = [each for each in packets if each.ssrc == ssrc]
        sent = max(each.number for each in stream) - stream[0].number + 1
        expected += sent
        lost += max(0, sent - len(stream))
        before = stream[0]
        for each in stream[1:]:
            if each.stamp % 2**32 == before.stamp % 2**32:
                continue
            transit = each.at_ns - before.at_ns - (each.stamp - before.stamp) * UNIT_NS
            jitter += (abs(transit) - jitter) / 16
            values.append(jitter / 1e6)
            before = each
    return expected, lost, sum(values) / len(values) if values else 0.0, max(values, default=0.0)


def read(packets: list[Packet]) -> PortFigures:
    record = bytearray(2 * RECORD_BYTES)
    ID.pack_into(record, RECORD_BYTES, 7)
    reception = Reception(record, RECORD_BYTES)
    for each in packets:
        reception.add(each.number % 65_536, each.stamp % 2**32, each.ssrc, each.payload, UNIT_NS, each.at_ns)
    STATE.pack_into(
        record, RECORD_BYTES + STATE_AT, 1, reception.base, reception.received_start, reception.expected_before,
        reception.lost_before, reception.has_sequence, reception.first_ns, 0, reception.payload,
        reception.payload_since, reception.common_payload, reception.common_count, 0, 0, 0, 0, 0, 0, 0.0, 0, -1.0, -1,
        0, b"", 1,
    )  # fmt: skip
    assert SENT.size == 16
    return figures_of(record, RECORD_BYTES, 7, 0)


@given(streams())
def test_figures_are_those_of_a_plain_implementation(packets):
    figures = read(packets)
    expected, lost, jitter_ms, jitter_max_ms = plain(packets)
    assert (figures.packets_in, figures.expected, figures.lost) == (len(packets), expected, lost)
    assert abs(figures.jitter_ms - jitter_ms) < 0.002
    assert abs(figures.jitter_max_ms - jitter_max_ms) < 0.002
    assert (figures.first_at, figures.last_at) == (packets[0].at_ns // 10**6, packets[-1].at_ns // 10**6)


@given(st.lists(st.sampled_from(".pl"), min_size=1, max_size=60), st.sampled_from((0, 65_530)))
def test_packets_that_are_passed_over_are_neither_counted_nor_lost(kinds, first):
    """Packets behind the last one that is counted are not known."""
    reception, numbers = Reception(), range(first, first + len(kinds) + 2)
    for number, kind in zip(numbers, (".", *kinds, "."), strict=True):
        if kind == ".":
            reception.add(number % 65_536, 0, 1, 0, UNIT_NS, 1)
        elif kind == "p":
            reception.pass_over()
    reception.lose_track()
    assert reception.received == kinds.count(".") + 2
    assert (reception.expected_before, reception.lost_before) == (len(numbers), kinds.count("l"))


@given(streams())
def test_the_payload_type_is_that_of_the_most_packets(packets):
    counts: dict[int, int] = {}
    for each in packets:
        counts[each.payload] = counts.get(each.payload, 0) + 1
    assert counts.get(read(packets).payload) == max(counts.values(), default=None)


@given(streams(), st.integers(0, 60))
def test_figures_of_two_workers_are_added_up(packets, cut):
    first, second = read(packets[:cut]), read(packets[cut:])
    both = first.plus(second)
    assert both.packets_in == len(packets)
    assert both.lost == first.lost + second.lost
    assert both.jitter_max_ms == max(first.jitter_max_ms, second.jitter_max_ms)
    assert both.plus(PortFigures(7)) == both
