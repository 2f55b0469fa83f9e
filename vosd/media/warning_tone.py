"""The tone that warns a party of the end of its call: three beeps, laid over the G.711 that it is sent.

Each packet that is forwarded keeps its header, so that its receiver counts nothing as lost, and what follows needs no
other numbers. A party that is sent nothing gets packets of their own.
"""

import math
from functools import cache
from itertools import chain
from typing import Final

from vosd.media.g711 import PAYLOADS, RATE, encoded
from vosd.media.player import FRAME, Player
from vosd.media.rtp import STAMP, is_whole, payload_start

_HERTZ: Final = 1_000
"""Between the rows and the columns of keys (ITU-T Q.23): no part of the tone is read as a part of one."""
_BEEPS: Final = 3
_BEEP_MS: Final = 200
_PAUSE_MS: Final = 100
TONE_MS: Final = _BEEPS * (_BEEP_MS + _PAUSE_MS)
"""Duration of the tone, with the pause after its last beep."""
_OCTETS: Final = TONE_MS * RATE // 1_000
_AMPLITUDE: Final = 8_000
"""Some -9 dBm0: no less than speech, whose place it takes."""
_PAYLOAD: Final = 0x7F
_COMFORT_NOISE: Final = 13
"""Payload type (RFC 3389)."""
_PADDED: Final = 0x20
_NS_PER_MS: Final = 1_000_000
_QUIET_NS: Final = 150 * _NS_PER_MS
"""Silence after which packets are sent that none are forwarded for."""
_STEP_NS: Final = 20 * _NS_PER_MS
_LONGEST_NS: Final = 5_000 * _NS_PER_MS
"""Time after which a tone ends that could not be sent: its receiver takes nothing, or is sent another codec."""


class WarningTone:
    """One tone on its way to one party."""

    __slots__ = ("_ends_ns", "_own", "_payload", "_place", "_quiet_ns", "_ssrc", "due_ns")

    def __init__(self, payload: int, ssrc: int, now_ns: int) -> None:
        """``payload`` is the one of packets of their own, negative = none are sent; ``ssrc`` is theirs: random."""
        self._payload = payload
        self._ssrc = ssrc
        self._own: Player | None = None
        """Sends packets while none are forwarded."""
        self._place = 0
        """Octets that were sent."""
        self._quiet_ns = now_ns + _QUIET_NS
        """Time at which packets of their own are sent, unless one is forwarded before."""
        self._ends_ns = now_ns + _LONGEST_NS
        self.due_ns = now_ns + _STEP_NS
        """Time at which it is seen whether a packet is to be sent."""

    @property
    def is_over(self) -> bool:
        """Whether all of it was sent."""
        return self._place >= _OCTETS

    def laid_over(self, data: bytes, now_ns: int) -> bytes:
        """Return a packet that is forwarded with the tone in place of its audio; one of another codec as it is."""
        if not is_whole(data):
            return data
        payload = data[1] & _PAYLOAD
        if payload != _COMFORT_NOISE:  # which its sender sends in place of silence
            self._quiet_ns = now_ns + _QUIET_NS
        codec = PAYLOADS.get(payload)
        if codec is None or data[0] & _PADDED:
            return data
        self._own = None
        audio = data[payload_start(data) :]
        beeps = _beeps(codec)[self._place : self._place + len(audio)]
        self._place += len(beeps)
        return data[: len(data) - len(audio)] + beeps + audio[len(beeps) :]

    def due(self, now_ns: int, *, is_alone: bool) -> list[bytes]:
        """Return packets that are to be sent now, as none are forwarded; ``is_alone``: nor is a sound played."""
        self.due_ns = now_ns + _STEP_NS
        if now_ns >= self._ends_ns:
            self._place = _OCTETS
        if not is_alone or self.is_over or self._payload < 0:
            return []
        if self._own is None and now_ns >= self._quiet_ns:
            rest = _beeps(PAYLOADS[self._payload])[self._place :]
            self._own = Player(rest, self._payload, self._ssrc, now_ns, times=1)
            self._ssrc = self._ssrc + 1 & STAMP - 1  # the next one begins other numbers
        if self._own is None:
            return []
        packets = list(self._own.due(now_ns))
        self._place += FRAME * len(packets)
        self.due_ns = self._own.due_ns
        return packets


@cache
def _beeps(codec: str) -> bytes:
    angle = 2 * math.pi * _HERTZ / RATE
    beep = [int(_AMPLITUDE * math.sin(angle * number)) for number in range(RATE * _BEEP_MS // 1_000)]
    pause = [0] * (RATE * _PAUSE_MS // 1_000)
    return encoded(chain.from_iterable([beep, pause] * _BEEPS), codec)
