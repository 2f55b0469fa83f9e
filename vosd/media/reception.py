"""Statistics of a received RTP stream (RFC 3550 section 6.4.1 and appendices A.1, A.3, A.8)."""

from typing import Final

from vosd.media.record import PACKETS, PACKETS_AT, RECORD_BYTES, Buffer
from vosd.media.rtp import SEQUENCE, STAMP

_DROPOUT_MAX: Final = 3_000
"""A gap of more packets is a stream that began anew (RFC 3550 appendix A.1)."""
_MISORDER_MAX: Final = 100
"""A packet that is older than this many packets is one of a stream that began anew (RFC 3550 appendix A.1)."""
_JUMP_NS: Final = 5_000_000_000
"""A packet that is later or earlier than its time stamp says by more is no jitter: the time stamps began anew."""
_GAIN: Final = 16
"""Divisor of the running mean (RFC 3550 section 6.4.1)."""


class Reception:
    """Packets, loss and jitter of a port, over all streams of its peer, written into a record (``record``)."""

    __slots__ = (
        "_arrived_ns", "_at", "_extended", "_highest", "_jitter_max_ns", "_jitter_ns", "_jitter_sum_ns", "_jitters",
        "_passed_over", "_record", "_restart", "_skipped", "_stamp", "base", "common_count", "common_payload",
        "expected_before", "first_ns", "is_changed", "last_ns", "lost_before", "payload", "payload_since", "payloads",
        "received", "received_start", "ssrc",
    )  # fmt: skip

    def __init__(self, record: Buffer | None = None, at: int = 0) -> None:
        self._record = bytearray(RECORD_BYTES) if record is None else record
        self._at = at + PACKETS_AT
        self.is_changed = False
        """Whether values changed that are not written for each packet; the owner sets it back."""
        self.received = 0
        """Packets, duplicates included."""
        self.first_ns = 0
        """Time of the first packet; 0 = none was received."""
        self.last_ns = 0
        """Time of the last packet; 0 = none was received."""
        self.ssrc = -1
        """SSRC of the stream; -1 = nothing was received."""
        self.base = 0
        """Extended sequence number of the first packet of this sequence."""
        self.received_start = 0
        """Packets received before this sequence, and those of it that no later packet has confirmed."""
        self.expected_before = 0
        """Packets of sequences before that were sent, as far as sequence numbers tell."""
        self.lost_before = 0
        self.payload = -1
        """Payload type of the last packet; -1 = none was received."""
        self.payload_since = 0
        """Packets received so far of all other payload types."""
        self.common_payload = -1
        """Payload type of the most packets, without the last one."""
        self.common_count = 0
        self.payloads: dict[int, int] = {}
        """Packets of each payload type before it changed; at most 128."""
        self._highest = 0
        self._extended = 0
        """Extended highest sequence number: it counts on where the number in the packet begins again."""
        self._restart = -1
        """Sequence number that would confirm that the sequence began anew."""
        self._skipped = 0
        """Packets since the last one that were not looked at."""
        self._passed_over = 0
        """Packets since then that are not counted."""
        self._stamp = 0
        self._arrived_ns = 0
        self._jitter_ns = 0.0
        self._jitter_sum_ns = 0.0
        self._jitter_max_ns = 0.0
        self._jitters = 0

    # Called for every packet: one call, no allocation but of numbers.
    def add(self, sequence: int, stamp: int, ssrc: int, payload: int, unit_ns: float, now_ns: int) -> None:
        """Count a packet; ``unit_ns`` = nanoseconds of a unit of its time stamp."""
        self.last_ns = now_ns
        if ssrc != self.ssrc or payload != self.payload:
            self._change(sequence, stamp, ssrc, payload, now_ns)
        if sequence - self._highest == 1:
            self._highest = sequence
            self._extended += 1
        elif not self._is_counted(sequence, stamp, now_ns):
            return
        self.received += 1
        # Packets with the time stamp of the packet before are parts of one frame, or repeat an event (RFC 4733).
        if stamp != self._stamp:
            deviation_ns = now_ns - self._arrived_ns - (stamp - self._stamp) * unit_ns
            if not -_JUMP_NS < deviation_ns < _JUMP_NS:
                deviation_ns = _without_wrap(deviation_ns, unit_ns)
            jitter_ns = self._jitter_ns
            jitter_ns += ((deviation_ns if deviation_ns >= 0.0 else -deviation_ns) - jitter_ns) / _GAIN
            self._jitter_ns = jitter_ns
            self._jitter_sum_ns += jitter_ns
            self._jitters += 1
            if jitter_ns > self._jitter_max_ns:  # noqa: PLR1730 - a call of max takes longer
                self._jitter_max_ns = jitter_ns
            self._stamp = stamp
            self._arrived_ns = now_ns
        PACKETS.pack_into(
            self._record,
            self._at,
            self.received,
            self._extended,
            now_ns,
            self._jitters,
            self._jitter_sum_ns,
            self._jitter_max_ns,
            self.received,
        )

    def note_time(self, now_ns: int) -> None:
        """Note the time of packets that are not looked at."""
        self.last_ns = now_ns
        self._write()

    def skip(self, packets: int) -> None:
        """Count packets that were not looked at: they follow the last one.

        They count for the loss when the next packet shows how many were sent. Where none comes, their loss is unknown.
        """
        self.received += packets
        self.received_start += packets
        self._skipped += packets
        self._write()

    def pass_over(self) -> None:
        """Note a packet of the stream that is not counted, but not lost either."""
        self._passed_over += 1

    def lose_track(self) -> None:
        """Begin anew with the next packet: it is not known how many were not looked at."""
        self._end_sequence()
        self.ssrc = -1

    def _write(self) -> None:
        PACKETS.pack_into(
            self._record,
            self._at,
            self.received,
            self._extended,
            self.last_ns,
            self._jitters,
            self._jitter_sum_ns,
            self._jitter_max_ns,
            self.received,
        )

    @property
    def has_sequence(self) -> bool:
        """Whether a sequence has begun."""
        return self.ssrc >= 0

    def last_packet(self) -> tuple[int, int, int, int]:
        """Return SSRC and sequence number of the last packet, but for those out of order, a time stamp and its time."""
        return self.ssrc, (self._highest + self._skipped) % SEQUENCE, self._stamp, self._arrived_ns

    def _change(self, sequence: int, stamp: int, ssrc: int, payload: int, now_ns: int) -> None:
        self.is_changed = True
        if payload != self.payload:
            if self.payload >= 0:
                count = self.received - self.payload_since
                self.payloads[self.payload] = count
                if count > self.common_count:
                    self.common_payload, self.common_count = self.payload, count
            self.payload, self.payload_since = payload, self.received - self.payloads.pop(payload, 0)
            if payload == self.common_payload:
                self.common_payload = max(self.payloads, key=self.payloads.__getitem__, default=-1)
                self.common_count = self.payloads.get(self.common_payload, 0)
        if ssrc != self.ssrc:
            self.first_ns = self.first_ns or now_ns
            self._end_sequence()
            self.ssrc = ssrc
            self._begin_sequence(sequence, stamp, now_ns)
            self._highest = self._extended = sequence - 1  # the caller counts this packet as the next one

    def _is_counted(self, sequence: int, stamp: int, now_ns: int) -> bool:
        """Judge a packet that is not the next one; False = the first of a sequence that may have begun anew."""
        step = sequence - self._highest - self._skipped & SEQUENCE - 1
        if step >= _DROPOUT_MAX and self._skipped + step > SEQUENCE:
            step -= SEQUENCE  # it still follows the last one: some that were not looked at were duplicates
        if step < _DROPOUT_MAX:
            self._highest = sequence
            self._extended += self._skipped + step
            if self._skipped or self._passed_over:
                self.is_changed = True
                self.received_start -= self._skipped + min(self._passed_over, max(0, step - 1))
                self._skipped = self._passed_over = 0
        elif step <= SEQUENCE - _MISORDER_MAX:
            if sequence != self._restart:
                self._restart = sequence + 1 & SEQUENCE - 1
                return False
            self.is_changed = True
            self._end_sequence()
            self._begin_sequence(sequence, stamp, now_ns)
        return True

    def _begin_sequence(self, sequence: int, stamp: int, now_ns: int) -> None:
        self.base = self._extended = self._highest = sequence
        self.received_start = self.received
        self._skipped = self._passed_over = 0
        self._restart = -1
        self._stamp, self._arrived_ns = stamp, now_ns

    def _end_sequence(self) -> None:
        if self.has_sequence:
            expected = self._extended - self.base + 1
            self.expected_before += expected
            self.lost_before += max(0, expected - (self.received - self.received_start))


def _without_wrap(deviation_ns: float, unit_ns: float) -> float:
    """Return a deviation without the wrap of the time stamp; 0 if the time stamps began anew."""
    wrap_ns = STAMP * unit_ns
    for each in (deviation_ns - wrap_ns, deviation_ns + wrap_ns):
        if -_JUMP_NS < each < _JUMP_NS:
            return each
    return 0.0
