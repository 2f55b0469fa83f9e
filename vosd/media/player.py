"""Play audio into a stream: sounds of files, and a ring-back tone in G.711, made here."""

import math
import mmap
from collections.abc import Sequence
from functools import cache
from typing import Final

from vosd.media.g711 import PAYLOADS, RATE, encoded
from vosd.media.rtp import HEADER, SEQUENCE, STAMP, VERSION

FRAME: Final = 160
"""Bytes and samples of a packet of G.711: 20 ms."""
_FRAME_MS: Final = 20
_NS_PER_MS: Final = 1_000_000
_LATE_NS: Final = 200_000_000
"""Packets that are later are left out: the process was away."""
_MARKER: Final = 0x80
_HERTZ: Final = 425
_TONE_MS: Final = 1_000
_PAUSE_MS: Final = 4_000
_AMPLITUDE: Final = 6_000
"""Amplitude of the tone: some -13 dBm0."""


class Player:
    """Plays a sound from a moment on, as often as said."""

    __slots__ = (
        "_bytes", "_left", "_packet_ns", "_payload", "_place", "_sequence", "_sound", "_ssrc", "_stamp", "_units",
        "due_ns", "has_begun",
    )  # fmt: skip

    def __init__(
        self,
        sound: bytes | mmap.mmap,
        payload: int,
        ssrc: int,
        begin_ns: int,
        *,
        packet_bytes: int = FRAME,
        packet_ms: int = _FRAME_MS,
        times: int = 0,
    ) -> None:
        """``sound`` has the payloads of whole packets; 0 ``times`` = without end.

        ``ssrc`` is random, and its parts begin the other numbers.
        """
        self._sound = sound
        self._bytes = packet_bytes
        self._packet_ns = packet_ms * _NS_PER_MS
        self._units = packet_ms * RATE // 1_000
        self._left = times * (len(sound) // packet_bytes) if times else -1
        """Packets that are still to be sent; negative = without end."""
        self.has_begun = False
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
        while self.due_ns <= now_ns and self._left:
            packets.append(self._next())
            self.due_ns += self._packet_ns
            self._left -= 1
        return packets

    def wait(self, until_ns: int) -> None:
        """Begin later: it is not known yet where to send."""
        self.due_ns = max(self.due_ns, until_ns)

    @property
    def is_over(self) -> bool:
        """Whether all was sent."""
        return not self._left

    def _next(self) -> bytes:
        marker = 0 if self._place else _MARKER
        self.has_begun = True
        header = HEADER.pack(VERSION, self._payload | marker, self._sequence, self._stamp, self._ssrc)
        body = self._sound[self._place : self._place + self._bytes]
        self._place = (self._place + self._bytes) % len(self._sound)
        self._sequence = self._sequence + 1 & SEQUENCE - 1
        self._stamp = self._stamp + self._units & STAMP - 1
        return header + body


@cache
def ring_back(payload: int) -> bytes:
    """Return one ring and its pause (ITU-T E.180: 425 Hz, 1 s, and 4 s of silence) for a payload type of G.711."""
    angle = 2 * math.pi * _HERTZ / RATE
    tone = (int(_AMPLITUDE * math.sin(angle * number)) for number in range(RATE * _TONE_MS // 1_000))
    codec = PAYLOADS[payload]
    return encoded(tone, codec) + encoded([0], codec) * (RATE * _PAUSE_MS // 1_000)
