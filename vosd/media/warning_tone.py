"""The tone that warns a party of the end of its call: beeps in G.711, or a sound, laid over the audio that it is sent.

Each packet that is forwarded keeps its header, so that its receiver counts nothing as lost, and what follows needs no
other numbers. A party that is sent nothing gets packets of their own.
"""

import math
import mmap
import struct
from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from vosd.media.g711 import PAYLOADS, RATE, encoded
from vosd.media.player import Player
from vosd.media.rtp import STAMP, is_whole, payload_start
from vosd.media.sounds import G711, SoundCodec

_HERTZ: Final = 1_000
"""Between the rows and the columns of keys (ITU-T Q.23): no part of the tone is read as a part of one."""
BEEPS: Final = 3
_BEEP_MS: Final = 200
_PAUSE_MS: Final = 100
TONE_MS: Final = BEEPS * (_BEEP_MS + _PAUSE_MS)
"""Duration of the beeps, with the pause after the last one."""
_AMPLITUDE: Final = 8_000
"""Some -9 dBm0: no less than speech, whose place it takes."""
_FILE_RATE: Final = 4 * _HERTZ
"""Samples a second of a file: four for each wave, two above the middle and two below it."""
_MIDDLE: Final = 128
_PAYLOAD: Final = 0x7F
_COMFORT_NOISE: Final = 13
"""Payload type (RFC 3389)."""
_PADDED: Final = 0x20
_NS_PER_MS: Final = 1_000_000
_UNITS_PER_MS: Final = RATE // 1_000
_QUIET_NS: Final = 150 * _NS_PER_MS
"""Silence after which packets are sent that none are forwarded for."""
_STEP_NS: Final = 20 * _NS_PER_MS
_LATE_NS: Final = 4_000 * _NS_PER_MS
"""Time behind its duration after which a tone ends that could not be sent: its receiver takes nothing, or is sent
another codec."""


class WarningSound(NamedTuple):
    """The tone, or a sound in its place, in one codec."""

    codec: SoundCodec
    content: bytes | mmap.mmap
    """Payloads of whole packets."""

    def units(self, octets: int) -> int:
        """Return the duration of so many octets in units of RATE."""
        return octets * self.codec.packet_ms * _UNITS_PER_MS // self.codec.packet_bytes

    def place(self, units: int) -> int:
        """Return where its content is to go on behind so many units, at the begin of a frame."""
        octets = units * self.codec.packet_bytes // (self.codec.packet_ms * _UNITS_PER_MS)
        return octets // self.codec.frame_bytes * self.codec.frame_bytes


class WarningTone:
    """One tone on its way to one party."""

    __slots__ = ("_duration", "_ends_ns", "_own", "_passed", "_payload", "_quiet_ns", "_sounds", "_ssrc", "due_ns")

    def __init__(self, payload: int, ssrc: int, now_ns: int, sounds: Mapping[int, WarningSound] | None = None) -> None:
        """``payload`` is the one of packets of their own, negative = none are sent; ``ssrc`` is theirs: random.

        ``sounds`` by their payload types go before the beeps.
        """
        self._payload = payload
        self._ssrc = ssrc
        self._sounds = {**_beeps(), **(sounds or {})}
        self._own: Player | None = None
        """Sends packets while none are forwarded."""
        self._duration = max(each.units(len(each.content)) for each in self._sounds.values())
        self._passed = 0
        """Units that were sent."""
        self._quiet_ns = now_ns + _QUIET_NS
        """Time at which packets of their own are sent, unless one is forwarded before."""
        self._ends_ns = now_ns + self._duration * _NS_PER_MS // _UNITS_PER_MS + _LATE_NS
        self.due_ns = now_ns + _STEP_NS
        """Time at which it is seen whether a packet is to be sent."""

    @property
    def is_over(self) -> bool:
        """Whether all of it was sent."""
        return self._passed >= self._duration

    def laid_over(self, data: bytes, now_ns: int) -> bytes:
        """Return a packet that is forwarded with the tone in place of its audio; one of another codec as it is."""
        if not is_whole(data):
            return data
        payload = data[1] & _PAYLOAD
        if payload != _COMFORT_NOISE:  # which its sender sends in place of silence
            self._quiet_ns = now_ns + _QUIET_NS
        sound = self._sounds.get(payload)
        if sound is None or data[0] & _PADDED:
            return data
        audio = data[payload_start(data) :]
        if len(audio) % sound.codec.frame_bytes:  # it ends in a frame of silence
            return data
        self._own = None
        place = sound.place(self._passed)
        laid = sound.content[place : place + len(audio)]
        self._passed += sound.units(len(audio))
        return data[: len(data) - len(audio)] + laid + audio[len(laid) :]

    def due(self, now_ns: int, *, is_alone: bool) -> list[bytes]:
        """Return packets that are to be sent now, as none are forwarded; ``is_alone``: nor is a sound played."""
        self.due_ns = now_ns + _STEP_NS
        if now_ns >= self._ends_ns:
            self._passed = self._duration
        sound = self._sounds.get(self._payload)
        if sound is None or not is_alone or self.is_over:
            return []
        codec = sound.codec
        if self._own is None and now_ns >= self._quiet_ns:
            rest = sound.content[sound.place(self._passed) :]
            self._own = Player(
                rest,
                self._payload,
                self._ssrc,
                now_ns,
                packet_bytes=codec.packet_bytes,
                packet_ms=codec.packet_ms,
                times=1,
            )
            self._ssrc = self._ssrc + 1 & STAMP - 1  # the next one begins other numbers
        if self._own is None:
            return []
        packets = list(self._own.due(now_ns))
        self._passed += sound.units(len(packets) * codec.packet_bytes)
        if self._own.is_over:
            self._passed = self._duration
        self.due_ns = self._own.due_ns
        return packets


@cache
def _beeps() -> Mapping[int, WarningSound]:
    """Return the beeps by payload types."""
    angle = 2 * math.pi * _HERTZ / RATE
    beep = [int(_AMPLITUDE * math.sin(angle * number)) for number in range(RATE * _BEEP_MS // 1_000)]
    samples = list(chain.from_iterable([beep, [0] * (RATE * _PAUSE_MS // 1_000)] * BEEPS))
    by_name = {each.name: WarningSound(each, encoded(samples, each.name)) for each in G711}
    return {payload: by_name[name] for payload, name in PAYLOADS.items()}


@cache
def beep_file() -> bytes:
    """Return one beep and its pause as a WAV file with 8 bits, so small that an order with it is one packet."""
    level = round(_AMPLITUDE / 256 / math.sqrt(2))
    wave = bytes((_MIDDLE + level, _MIDDLE + level, _MIDDLE - level, _MIDDLE - level))
    audio = wave * (_HERTZ * _BEEP_MS // 1_000) + bytes((_MIDDLE,)) * (_FILE_RATE * _PAUSE_MS // 1_000)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _FILE_RATE, _FILE_RATE, 1, 8)
    content = b"WAVE" + form + struct.pack("<4sI", b"data", len(audio)) + audio
    return struct.pack("<4sI", b"RIFF", len(content)) + content
