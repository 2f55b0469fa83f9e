"""Figures of a media port in memory that the relay worker and the switch share.

The worker writes; the switch reads at any moment. Each part begins and ends with the same number, which changes with
the part: a reader that finds two different ones has read it while it was written, and reads again.
"""

from mmap import mmap
from struct import Struct
from typing import Any, Final

from vosd.media.figures import DroppedPackets, PeerReport, PortFigures

Buffer = bytearray | memoryview | mmap

ID: Final = Struct("=q")
PACKETS: Final = Struct("=qqqqddq")
"""Written for each RTP packet: packets received, extended highest sequence number, time of the last packet, number of
jitter values, their sum and maximum, packets received."""
SENT: Final = Struct("=qq")
"""Packets that were sent, and packets that the kernel refused to send."""
STATE: Final = Struct("=q16qqdqdqq48sq")
"""Written when something else changes: see ``written_state``."""
RECORD_BYTES: Final = 1_024
"""Size of a record: the id of the port, the three parts, and the figures of workers before (a length, and content)."""
ORDERS_AT: Final = 8
"""Place of the number of messages with orders that the switch has sent, in the form of an id: in the record with the
number 0, behind the time of the worker's last turn."""
PACKETS_AT: Final = 8
SENT_AT: Final = 64
STATE_AT: Final = 80
_LAST_AT: Final = PACKETS_AT + 2 * ID.size
"""Time of the last RTP packet, in its part."""
_ALIVE_AT: Final = STATE_AT + 7 * ID.size
"""Time of the last RTCP packet, in its part."""
BASE_AT: Final = 512
NO_REPORT: Final = -1.0
"""Jitter of a peer that has sent no report."""
_NO_PACKETS: Final = bytes(STATE_AT - PACKETS_AT)
_NO_STATE: Final = STATE.pack(*[0] * 8, -1, 0, -1, *[0] * 7, 0.0, 0, NO_REPORT, -1, 0, b"", 0)[ID.size : -ID.size]

_TRIES: Final = 1_000
_NS_PER_MS: Final = 1_000_000


def figures_of(record: Buffer, at: int, number: int, wall_offset_ns: int) -> PortFigures:
    """Return the figures of a port; those of a record of another port are none.

    ``wall_offset_ns`` is the time since the Unix epoch at which the monotonic clock was 0.
    """
    if ID.unpack_from(record, at)[0] != number or _has_nothing(record, at):
        return PortFigures(number)
    received, extended, last_ns, jitters, jitter_sum_ns, jitter_max_ns = _consistent(PACKETS, record, at + PACKETS_AT)
    (
        base, received_start, expected_before, lost_before, has_sequence, first_ns, alive_ns, payload, payload_since,
        common, common_count, unknown, broken, foreign_payload, excess, unread, forwarded, peer_lost_percent, peer_lost,
        peer_jitter_ms, trip_ns, latched_port, host,
    ) = _consistent(STATE, record, at + STATE_AT)  # fmt: skip
    sent, unsent = SENT.unpack_from(record, at + SENT_AT)
    expected_now = extended - base + 1 if has_sequence else 0
    alive_ns = max(alive_ns, last_ns)

    def wall_ms(moment_ns: int) -> int | None:
        return (moment_ns + wall_offset_ns) // _NS_PER_MS if moment_ns else None

    return PortFigures(  # in the order of its fields: by their names it takes three times as long
        number,
        host.rstrip(b"\0").decode() or None,
        latched_port or None,
        (common if common_count > received - payload_since else payload) if payload >= 0 else None,
        received + unread,
        sent,
        unsent,
        expected_before + expected_now,
        lost_before + max(0, expected_now - (received - received_start)),
        round(jitter_sum_ns / jitters / _NS_PER_MS, 3) if jitters else 0.0,
        round(jitter_max_ns / _NS_PER_MS, 3),
        wall_ms(first_ns),
        wall_ms(last_ns),
        wall_ms(alive_ns),
        alive_ns // _NS_PER_MS if alive_ns else None,
        DroppedPackets(unknown, broken, foreign_payload, excess),
        PeerReport(peer_lost_percent, peer_lost, peer_jitter_ms) if peer_jitter_ms != NO_REPORT else None,
        round(trip_ns / _NS_PER_MS, 1) if trip_ns >= 0 else None,
        forwarded,
    )


def _has_nothing(record: Buffer, at: int) -> bool:
    """Return whether nothing has come to a port, nor was sent from it, as to most whose call is not answered."""
    if record[at + PACKETS_AT : at + STATE_AT] != _NO_PACKETS:
        return False
    return record[at + STATE_AT + ID.size : at + STATE_AT + STATE.size - ID.size] == _NO_STATE


def last_packet_ns(record: Buffer, at: int, number: int) -> int:
    """Return when the last packet came to a port, on the monotonic clock; 0 = none has."""
    if ID.unpack_from(record, at)[0] != number:
        return 0
    last: int = max(ID.unpack_from(record, at + _LAST_AT)[0], ID.unpack_from(record, at + _ALIVE_AT)[0])
    return last


def _consistent(part: Struct, record: Buffer, at: int) -> tuple[Any, ...]:
    """Return the values of a part between its first and last one, read while it was not written."""
    values = part.unpack_from(record, at)
    for _ in range(_TRIES):
        if values[0] == values[-1]:
            break
        values = part.unpack_from(record, at)
    return values[0:-1] if part is PACKETS else values[1:-1]
