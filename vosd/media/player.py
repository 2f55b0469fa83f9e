"""Play audio in G.711 into a stream: a ring-back tone, made here."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Final

from vosd.media.g711 import PAYLOADS, RATE, encoded
from vosd.media.rtp import HEADER, SEQUENCE, STAMP, VERSION

FRAME: Final = 160
"""Samples of a packet: 20 ms."""
_FRAME_NS: Final = 20_000_000
_LATE_NS: Final = 200_000_000
"""Packets that are later are left out: the process was away."""
_MARKER: Final = 0x80
_HERTZ: Final = 425
_TONE_MS: Final = 1_000
_PAUSE_MS: Final = 4_000
_AMPLITUDE: Final = 6_000
"""Amplitude of the tone: some -13 dBm0."""


class Player:
    """Plays a sound again and again, from a moment on."""

    __slots__ = ("_payload", "_place", "_sequence", "_sound", "_ssrc", "_stamp", "due_ns")

    def __init__(self, sound: bytes, payload: int, ssrc: int, begin_ns: int) -> None:
        """``sound`` is G.711 of whole packets; ``ssrc`` is random, and its parts begin the other numbers."""
        self._sound = sound
        self._payload = payload
        self._ssrc = ssrc
        self._sequence = ssrc & SEQUENCE - 1
        self._stamp = ssrc
        self._place = 0
        self.due_ns = begin_ns
        """Time of the next packet."""

    def due(self, now_ns: int) -> Sequence[bytes]:
        """Return packets that are to be sent now."""
        packets = []
        self.due_ns = max(self.due_ns, now_ns - _LATE_NS)
        while self.due_ns <= now_ns:
            packets.append(self._next())
            self.due_ns += _FRAME_NS
        return packets

    def _next(self) -> bytes:
        marker = 0 if self._place else _MARKER
        header = HEADER.pack(VERSION, self._payload | marker, self._sequence, self._stamp, self._ssrc)
        body = self._sound[self._place : self._place + FRAME]
        self._place = (self._place + FRAME) % len(self._sound)
        self._sequence = self._sequence + 1 & SEQUENCE - 1
        self._stamp = self._stamp + FRAME & STAMP - 1
        return header + body


@cache
def ring_back(payload: int) -> bytes:
    """Return one ring and its pause (ITU-T E.180: 425 Hz, 1 s, and 4 s of silence) for a payload type of G.711."""
    angle = 2 * math.pi * _HERTZ / RATE
    tone = (int(_AMPLITUDE * math.sin(angle * number)) for number in range(RATE * _TONE_MS // 1_000))
    codec = PAYLOADS[payload]
    return encoded(tone, codec) + encoded([0], codec) * (RATE * _PAUSE_MS // 1_000)
