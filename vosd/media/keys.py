"""Keys in media: telephone events (RFC 4733), read and written, and their tones in G.711."""

import math
from collections import deque
from enum import Enum, auto
from struct import Struct
from typing import Final, NamedTuple

from vosd.media.g711 import PAYLOADS, RATE, encoded
from vosd.media.rtp import HEADER, SEQUENCE, STAMP, VERSION, payload_start

KEYS: Final = "0123456789*#ABCD"
"""Keys by the number of their event."""
FLASH: Final = "!"
"""The flash of the hook, which is an event as keys are, but no tone."""
_EVENTS: Final = f"{KEYS}{FLASH}"
EVENT_NAME: Final = "telephone-event"
SHORTEST_MS: Final = 40
LONGEST_MS: Final = 8_000
KEYS_WAITING: Final = 32
"""Keys that wait to be sent; more are dropped: no hand is so quick, and a program may wait."""
REPEATED_MS: Final = 200
"""A key that comes by the other way as well within this time is the same one: some telephones send both."""

_REPEATED_NS: Final = REPEATED_MS * 1_000_000
_READ_NS: Final = 80_000_000
"""Time of one key that is read and of the pause behind it, on average: neither is shorter (ITU-T Q.24)."""
_LEFT_OUT: Final = 8
"""Events that are not forwarded, and whose packets may still come late."""
_LATE_PACKETS: Final = 100
_LATE_NS: Final = 2_000_000_000
"""Packets are late up to this difference of sequence numbers, those of an earlier event within this time."""
_EVENT: Final = Struct("!BBH")
"""Number of the event; end, reserved, volume; duration in units of the time stamp."""
_END: Final = 0x80
_VOLUME: Final = 10
"""In dB below 1 mW."""
_MARKER: Final = 0x80
_UNITS_MAX: Final = 0xFFFF
_INTERVAL_NS: Final = 20_000_000
_ENDS: Final = 3
"""Repetitions of the last packet of an event (RFC 4733 section 2.5.1.4)."""
_PAUSE_NS: Final = 60_000_000
"""Pause between two keys, from the last packet of one to the beginning of the next."""
ROWS: Final = (697, 770, 852, 941)
COLUMNS: Final = (1209, 1336, 1477, 1633)
"""Frequencies of the two tones of a key (ITU-T Q.23), in Hz."""
KEY_OF_PLACE: Final = {divmod(place, 4): key for place, key in enumerate("123A456B789C*0#D")}
_PLACES: Final = {key: place for place, key in KEY_OF_PLACE.items()}
_AMPLITUDE: Final = 8_000
"""Amplitude of each of the two tones: some -10 dBm0."""


class PressedKey(NamedTuple):
    """A key, and how long it was pressed."""

    key: str
    duration_ms: int


class _Arrival(Enum):
    """State of the event that is read: whether its key reaches the other side, and by which way."""

    OPEN = auto()
    """Nothing of it was forwarded yet."""
    ARRIVES = auto()
    """It was forwarded, or its key is sent in its place."""
    WAITS = auto()
    """Another key is being sent: it is not forwarded, and its key is sent when it ends."""
    SENT = auto()
    """It is not forwarded, for its key was sent otherwise."""


_UNDECIDED: Final = (_Arrival.OPEN, _Arrival.WAITS)
"""States in which the key of the event has not arrived."""


class KeyReader:
    """Reads the events of one stream: each is one key, reported at its end."""

    __slots__ = (
        "_arrival", "_before", "_duration", "_event", "_is_over", "_is_reported", "_left_out", "_next_ns", "_seen_ns",
        "_sent", "_sequence", "_ssrc", "_stamp", "_unit_ns", "_unsent",
    )  # fmt: skip

    def __init__(self) -> None:
        self._unit_ns = 0.0
        """Nanoseconds of a unit of the time stamp, by the payload type of the key."""
        self._stamp = -1
        self._ssrc = -1
        self._sequence = 0
        """Sequence number of the newest packet."""
        self._event = 0
        self._before = 0
        """Duration of earlier segments of the event (RFC 4733 section 2.5.1.3)."""
        self._duration = 0
        self._is_over = True
        """Whether the event has ended: the next one of its kind is another key."""
        self._is_reported = True
        self._seen_ns = 0
        self._next_ns = -KEYS_WAITING * _READ_NS
        """Keys are admitted from here on, each for ``_READ_NS``; those of a whole burst may come at once."""
        self._sent: dict[int, int] = {}
        """Events of keys that were sent otherwise already, until when they may begin."""
        self._arrival = _Arrival.SENT
        self._left_out: deque[int] = deque(maxlen=_LEFT_OUT)
        """Time stamps of the latest events that are not forwarded."""
        self._unsent: list[PressedKey] = []
        """Keys of events that have waited, and are over."""

    def read(self, data: bytes, unit_ns: float, now_ns: int, *, is_held: bool = False) -> list[PressedKey]:
        """Read a whole packet of an event; return keys that have ended, among them one whose last packets were lost.

        ``unit_ns`` are the nanoseconds of a unit of its time stamp: events may have several clocks. ``is_held`` = an
        event that begins now is not forwarded: another key is being sent.
        """
        start = payload_start(data)
        if len(data) < start + _EVENT.size:
            return []
        _, _, sequence, stamp, ssrc = HEADER.unpack_from(data)
        event, flags, duration = _EVENT.unpack_from(data, start)
        is_late = (
            ssrc == self._ssrc
            and 0 < self._sequence - sequence & SEQUENCE - 1 <= _LATE_PACKETS
            and now_ns - self._seen_ns <= _LATE_NS
        )
        if is_late and stamp != self._stamp:
            return []  # an earlier event, which has been reported: not another key
        if not is_late:
            self._sequence, self._ssrc = sequence, ssrc
        ended: list[PressedKey] = []
        if stamp != self._stamp and (event, stamp) == (self._event, self._next_segment()):
            if self._stamp in self._left_out:
                self._left_out.append(stamp)
            self._before += _UNITS_MAX
            self._stamp, self._duration = stamp, 0
        elif stamp != self._stamp:
            ended += self.end()
            self._stamp, self._event, self._before, self._duration, self._unit_ns = stamp, event, 0, 0, unit_ns
            self._is_over = False
            self._arrival = _Arrival.OPEN
            if self._sent and now_ns <= self._sent.pop(event, -1):
                self._arrival = _Arrival.SENT
            elif (is_held or self._unsent) and event < len(_EVENTS):
                self._arrival = _Arrival.WAITS
            if self._arrival is not _Arrival.OPEN:
                self._left_out.append(stamp)
            self._is_reported = event >= len(_EVENTS) or not self._is_admitted(now_ns)
        self._duration = max(self._duration, duration)
        self._seen_ns = now_ns
        return ended + self.end() if flags & _END else ended

    def has_forwarded(self, key: str, now_ns: int) -> bool:
        """Return whether a key arrives by an event, which is pressed now, or was within ``REPEATED_MS``."""
        return self._arrival is _Arrival.ARRIVES and self._is_latest(key, now_ns)

    def note_forwarded(self, stamp: int) -> None:
        """Note that a packet of an event was forwarded."""
        if stamp == self._stamp and self._arrival is _Arrival.OPEN:
            self._arrival = _Arrival.ARRIVES

    def note_sent(self, key: str, now_ns: int) -> None:
        """Note a key that is sent otherwise: its event is not another one.

        That is the latest one, where nothing of it has arrived, else one that begins within ``REPEATED_MS``.
        """
        if self._arrival in _UNDECIDED and self._is_latest(key, now_ns):
            self._arrival = _Arrival.SENT
            self._left_out.append(self._stamp)
        else:
            self._sent[_EVENTS.index(key)] = now_ns + _REPEATED_NS

    def is_left_out(self, stamp: int) -> bool:
        """Return whether a packet, by its time stamp, is one of an event whose key is sent in its place."""
        return stamp in self._left_out

    def take_unsent(self) -> list[PressedKey]:
        """Return keys that are to be sent now, whose events were not forwarded."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def _is_latest(self, key: str, now_ns: int) -> bool:
        return _EVENTS[self._event : self._event + 1] == key and now_ns - self._seen_ns <= _REPEATED_NS

    def _next_segment(self) -> int | None:
        """Return the time stamp by which the event goes on when its duration has no room for more."""
        return None if self._is_over else self._stamp + _UNITS_MAX & STAMP - 1

    def _is_admitted(self, now_ns: int) -> bool:
        """Return whether one more key is taken: a flood of them would take the time of all calls."""
        from_ns = max(self._next_ns, now_ns - KEYS_WAITING * _READ_NS)
        if from_ns > now_ns:
            return False
        self._next_ns = from_ns + _READ_NS
        return True

    def end(self) -> list[PressedKey]:
        """Return the key that is not reported yet: it is over."""
        self._is_over = True
        self._end_wait()
        if self._is_reported:
            return []
        self._is_reported = True
        return [self._pressed()]

    def end_wait(self, other: str) -> None:
        """Let the key of an event wait no longer, for another one is to be sent: its last packets were lost."""
        if _EVENTS[self._event : self._event + 1] != other:
            self._end_wait()

    def _end_wait(self) -> None:
        if self._arrival is _Arrival.WAITS:
            self._arrival = _Arrival.ARRIVES
            self._unsent.append(self._pressed())

    def _pressed(self) -> PressedKey:
        return PressedKey(_EVENTS[self._event], round((self._before + self._duration) * self._unit_ns / 1e6))

    def ended_before(self, moment_ns: int) -> list[PressedKey]:
        """Return the key whose last packet came before a moment."""
        return self.end() if self._seen_ns < moment_ns else []


class _Sending:
    """The key that is being sent."""

    __slots__ = ("event", "payload", "segment", "sent_units", "stamp", "units")

    def __init__(self, event: int, payload: int, stamp: int, units: int) -> None:
        self.event = event
        self.payload = payload
        self.stamp = stamp
        self.units = units
        self.sent_units = 0
        self.segment = 0
        """Units before the segment that is being sent (RFC 4733 section 2.5.1.3)."""


class KeySender:
    """Puts keys into a stream that is forwarded: packets of a key take the place of audio.

    Sequence numbers go on without a gap, with the SSRC of the stream; where none was forwarded, one begins here.
    """

    __slots__ = (
        "_clock", "_clocks", "_codec", "_event_payload", "_events", "_in_use", "_key_stamp", "_left_out", "_offset",
        "_resumes", "_sending", "_sequence", "_ssrc", "_stamp", "_stamp_ns", "_waiting", "due_ns",
    )  # fmt: skip

    def __init__(self, ssrc: int) -> None:
        """``ssrc`` is that of a stream that begins with a key: random."""
        self._ssrc = ssrc
        self._sequence = ssrc & SEQUENCE - 1
        self._stamp = ssrc
        self._stamp_ns = 0
        """Time at which ``_stamp`` was sent."""
        self._offset = 0
        """Added to the sequence numbers of forwarded packets."""
        self._resumes = False
        """Whether the next forwarded packet follows a key, or one that was left out."""
        self._left_out = -1
        """Latest number of the stream at a gap; -1 = none is near. Copies of packets before it may come late."""
        self._in_use = -1
        """Payload type of the stream; -1 = none was forwarded."""
        self._clocks: dict[int, int] = {}
        """Clocks of the receiver's codecs, by payload type."""
        self._events: dict[int, int] = {}
        """Payload types of its events, by clock."""
        self._event_payload: int | None = None
        self._codec: int | None = None
        self._clock = RATE
        self._waiting: deque[tuple[PressedKey, bool]] = deque()
        """Keys, and whether they are sent as tones."""
        self._sending: _Sending | None = None
        self._key_stamp = -1
        """Time stamp of the last key; -1 = none was sent."""
        self.due_ns: int | None = None
        """Time of the next packet of a key; None = none is being sent."""

    def describe(self, payloads: tuple[int, ...], clocks: tuple[int, ...], codecs: tuple[str, ...]) -> None:
        """Note the payload types that the receiver has agreed to; keys that it takes no more are not sent."""
        self._clocks, self._events = {}, {}
        for payload, clock, codec in zip(payloads, clocks, codecs, strict=False):
            if codec.lower() == EVENT_NAME:
                self._events.setdefault(clock, payload)
            else:
                self._clocks.setdefault(payload, clock)
        self._choose()
        self._waiting = deque(each for each in self._waiting if self._payload(as_tone=each[1]) is not None)
        sending = self._sending
        if sending is not None and sending.payload not in {self._event_payload, self._codec}:
            self._sending = None
            self._stamp = sending.stamp + sending.sent_units & STAMP - 1

    def _choose(self) -> None:
        """Choose payload types of keys: events with the clock of the codec in use, whose stream they are in, else any.

        Of several codecs the first one counts as used until a packet was forwarded.
        """
        first = next(iter(self._clocks.values()), RATE)
        clock = self._clocks.get(self._in_use, first)
        if clock not in self._events:
            clock = next(iter(self._events), clock)
        self._clock, self._event_payload = clock, self._events.get(clock)
        tones = [payload for payload in self._clocks if payload in PAYLOADS]
        self._codec = self._in_use if self._in_use in tones else next(iter(tones), None)

    def _payload(self, *, as_tone: bool) -> int | None:
        """Return the payload type of a key; None = the receiver takes none."""
        return self._codec if as_tone else self._event_payload

    def follow(self, ssrc: int, sequence: int, stamp: int, sent_ns: int, payload: int) -> None:
        """Note the last packet of a stream that was forwarded before."""
        self._ssrc, self._sequence, self._stamp, self._stamp_ns = ssrc, sequence, stamp, sent_ns
        self._note_payload(payload)

    def _note_payload(self, payload: int) -> None:
        if payload != self._in_use and payload in self._clocks:
            self._in_use = payload
            self._choose()

    def press(self, key: str, duration_ms: int, now_ns: int, *, as_tone: bool) -> bool:
        """Send a key; False if too many wait, or the receiver has neither events nor, ``as_tone``, G.711.

        False for a flash that is to be a tone.
        """
        is_no_tone = as_tone and key == FLASH
        if is_no_tone or len(self._waiting) >= KEYS_WAITING or self._payload(as_tone=as_tone) is None:
            return False
        self._waiting.append((PressedKey(key, min(max(duration_ms, SHORTEST_MS), LONGEST_MS)), as_tone))
        if self.due_ns is None:
            self.due_ns = now_ns
        return True

    def forwarded(self, data: bytes, now_ns: int) -> bytes | None:
        """Return a packet of the forwarded stream as it is to be sent; None = it is not to be.

        So while a key is being sent, and for one that comes late: those behind it have other numbers, perhaps its own.
        """
        _, kind, sequence, stamp, ssrc = HEADER.unpack_from(data)
        if self._sending is not None:
            if ssrc == self._ssrc:
                self._note_left_out(sequence)
            return None
        self._note_payload(kind & ~_MARKER)
        if ssrc != self._ssrc:
            self._ssrc, self._offset, self._resumes, self._left_out = ssrc, 0, False, -1
            self._sequence = sequence - 1 & SEQUENCE - 1
        elif self._left_out >= 0 and _is_late(sequence, self._left_out):
            return None
        elif self._resumes:
            self._offset = self._sequence + 1 - sequence
            self._resumes = False
        if self._left_out >= 0 and sequence - self._left_out & SEQUENCE - 1 > _LATE_PACKETS:
            self._left_out = -1
        sequence = sequence + self._offset & SEQUENCE - 1
        if not _is_late(sequence, self._sequence):
            self._sequence, self._stamp, self._stamp_ns = sequence, stamp, now_ns
        return data if not self._offset else data[:2] + sequence.to_bytes(2, "big") + data[4:]

    def _note_left_out(self, sequence: int) -> None:
        if self._left_out < 0 or not _is_late(sequence, self._left_out):
            self._left_out = sequence

    def holds(self, stamp: int) -> bool:
        """Return whether an event of the stream is not forwarded, by its time stamp.

        A key is being sent or waits, or the last one that was sent would be read as a later one, or as the same.
        """
        if self._event_payload is None or self._sending is not None or self._waiting:
            return self._event_payload is not None
        return self._key_stamp >= 0 and (self._key_stamp - stamp & STAMP - 1) <= self._clock

    def leave_out(self, sequence: int) -> None:
        """Note that a packet of the stream is not forwarded: the numbers of those behind it go on without a gap."""
        self._note_left_out(sequence)
        self._resumes = True

    def due(self, now_ns: int) -> list[bytes]:
        """Return packets of keys that are to be sent now."""
        packets: list[bytes] = []
        while self.due_ns is not None and self.due_ns <= now_ns:
            if self._sending is None and not self._waiting:
                self.due_ns = None
                break
            packets += self._next(now_ns)
        return packets

    def _next(self, now_ns: int) -> list[bytes]:
        assert self.due_ns is not None
        sending = self._sending
        if sending is None:
            self._sending = self._begun(*self._waiting.popleft(), now_ns)
            self._note_left_out(self._sequence - self._offset & SEQUENCE - 1)
            self._resumes = True
            # As a packet of audio does, the first one leaves at the end of the time that it covers: else the stream
            # would go on behind the key with a time stamp from within it, and keys in a row would run ahead of it.
            self.due_ns += _INTERVAL_NS
            return []
        step = self._rate(sending.payload) // 50
        before = sending.sent_units
        sending.sent_units = min(sending.sent_units + step, sending.units)
        is_end = sending.sent_units >= sending.units
        if sending.payload in PAYLOADS:
            packets = [self._tone(sending, before)]
        else:
            packets = []
            if sending.sent_units - sending.segment > _UNITS_MAX:
                packets.append(self._event(sending, _UNITS_MAX))
                sending.segment += _UNITS_MAX
            units = sending.sent_units - sending.segment
            packets += [
                self._event(sending, units, begins=not before and not number, is_end=is_end)
                for number in range(_ENDS if is_end else 1)
            ]
        self.due_ns += _PAUSE_NS if is_end else _INTERVAL_NS
        if is_end:
            self._sending = None
            self._stamp = sending.stamp + sending.units & STAMP - 1
            self._stamp_ns = now_ns
        return packets

    def _begun(self, pressed: PressedKey, as_tone: bool, now_ns: int) -> _Sending:
        passed = (now_ns - self._stamp_ns) * self._clock // 1_000_000_000 if self._stamp_ns else 0
        payload = self._payload(as_tone=as_tone)
        assert payload is not None  # else ``describe`` has dropped the key
        units = pressed.duration_ms * self._rate(payload) // 1_000
        stamp = self._stamp + max(passed, self._clock // 50) & STAMP - 1
        self._key_stamp = stamp
        return _Sending(_EVENTS.index(pressed.key), payload, stamp, units)

    def _rate(self, payload: int) -> int:
        """Return how many units a second of a key has: tones are G.711, whatever the other codecs are."""
        return RATE if payload in PAYLOADS else self._clock

    def _event(self, sending: _Sending, units: int, *, begins: bool = False, is_end: bool = False) -> bytes:
        self._sequence = self._sequence + 1 & SEQUENCE - 1
        marker = _MARKER if begins else 0
        stamp = sending.stamp + sending.segment & STAMP - 1
        header = HEADER.pack(VERSION, sending.payload | marker, self._sequence, stamp, self._ssrc)
        return header + _EVENT.pack(sending.event, _VOLUME | (_END if is_end else 0), units)

    def _tone(self, sending: _Sending, start: int) -> bytes:
        self._sequence = self._sequence + 1 & SEQUENCE - 1
        marker = 0 if start else _MARKER
        stamp = sending.stamp + start & STAMP - 1
        header = HEADER.pack(VERSION, sending.payload | marker, self._sequence, stamp, self._ssrc)
        return header + tone(KEYS[sending.event], start, sending.sent_units - start, PAYLOADS[sending.payload])


def _is_late(sequence: int, latest: int) -> bool:
    """Return whether a packet is the latest one or a little before it; one far before it begins its numbers anew."""
    return (latest - sequence & SEQUENCE - 1) <= _LATE_PACKETS


def tone(key: str, start: int, samples: int, codec: str) -> bytes:
    """Return G.711 samples of the two tones of a key, from sample ``start`` on."""
    row, column = _PLACES[key]
    low, high = (2 * math.pi * each / RATE for each in (ROWS[row], COLUMNS[column]))
    return encoded(
        (
            int(_AMPLITUDE * (math.sin(low * number) + math.sin(high * number)))
            for number in range(start, start + samples)
        ),
        codec,
    )
