"""Keys that a peer sends as tones in G.711 (ITU-T Q.23), read from the packets of its audio.

Blocks of 20 ms are compared with the eight frequencies (a discrete Fourier transform at these alone). A key is a pair
of them, one of each group, which has nearly all the power of two blocks in a row: speech has not (ITU-T Q.24).
"""

import math
from array import array
from operator import mul
from typing import Final

from vosd.media.g711 import RATE, linear
from vosd.media.keys import COLUMNS, KEY_OF_PLACE, ROWS, PressedKey

BLOCK: Final = 160
"""Samples of 20 ms: the frequencies are 73 Hz apart, and one block tells 50 Hz apart."""
BLOCK_MS: Final = 20
_LEAST_BLOCKS: Final = 2
"""Blocks of a key in a row: 40 ms always have one whole block, 60 ms have two."""
_LEAST_POWER: Final = BLOCK * 500**2
"""Sum of the squares of a block, in which each tone has an amplitude of 500: some -36 dBm0."""
_SHARE: Final = 0.8
"""Least share of the power that both tones have, each at its best of three frequencies."""
_COARSE_SHARE: Final = 0.3
"""Least share at the middle ones: a tone that is 1.5 % beside has lost half of its power there."""
_DETUNED: Final = (0.99, 1.0, 1.01)
_APART: Final = 6.0
"""The tone of a group has at least this multiple of the power of each other one (8 dB)."""
_TWIST: Final = 10.0
"""Most that the power of one tone may be above that of the other (10 dB)."""
_SCALE: Final = 2 / BLOCK
"""From a squared sum to the power of a tone, as the sum of squares has it."""

_ADMITTED_NS: Final = BLOCK * 1_000_000_000 // (2 * RATE)
"""Least time for each block: twice as many are read as a stream has, else a flood would take the time of all calls."""
_BURST_NS: Final = 2_000_000_000

_Waves = tuple[tuple[float, ...], tuple[float, ...]]


def _waves(frequency: float) -> _Waves:
    angles = [2 * math.pi * frequency * at / RATE for at in range(BLOCK)]
    return tuple(map(math.cos, angles)), tuple(map(math.sin, angles))


_ROW_WAVES: Final = tuple(tuple(_waves(each * factor) for factor in _DETUNED) for each in ROWS)
_COLUMN_WAVES: Final = tuple(tuple(_waves(each * factor) for factor in _DETUNED) for each in COLUMNS)


class ToneReader:
    """Reads the tones of one stream: each is one key, reported at its end."""

    __slots__ = ("_blocks", "_has_missed", "_key", "_next_ns", "_samples", "_seen_ns", "is_tone", "sequence")

    def __init__(self) -> None:
        self.is_tone = False
        """Whether the latest block had the tones of a key."""
        self.sequence = -1
        """Sequence number of the latest packet: a copy of it is not read."""
        self._samples: array[int] = array("h")
        self._key: str | None = None
        self._blocks = 0
        self._has_missed = False
        """Whether the block before had no key: one such block ends none."""
        self._seen_ns = 0
        self._next_ns = -_BURST_NS

    def read(self, octets: bytes, codec: str, now_ns: int) -> list[PressedKey]:
        """Read the payload of a packet, ``PCMU`` or ``PCMA``; return keys that have ended."""
        self._seen_ns = now_ns
        samples = self._samples
        samples += linear(octets, codec)
        pressed: list[PressedKey] = []
        start, next_ns = 0, max(self._next_ns, now_ns - _BURST_NS)
        while start + BLOCK <= len(samples):
            if next_ns > now_ns:
                start = len(samples)
                break
            next_ns += _ADMITTED_NS
            pressed += self._next(key_in(samples[start : start + BLOCK]))
            start += BLOCK
        self._samples, self._next_ns = samples[start:], next_ns
        return pressed

    def _next(self, key: str | None) -> list[PressedKey]:
        self.is_tone = key is not None
        if key is not None and key == self._key:
            self._blocks += 1
            self._has_missed = False
            return []
        if key is None and self._key is not None and not self._has_missed:
            self._has_missed = True
            return []
        ended = self.end()
        self._key, self._blocks = key, 1
        return ended

    def end(self) -> list[PressedKey]:
        """Return the key that is not reported yet."""
        key, self._key, self._has_missed = self._key, None, False
        return [PressedKey(key, self._blocks * BLOCK_MS)] if key is not None and self._blocks >= _LEAST_BLOCKS else []

    def ended_before(self, moment_ns: int) -> list[PressedKey]:
        """Return the key whose last packet came before a moment: the peer sends nothing in pauses."""
        return self.end() if self._key is not None and self._seen_ns < moment_ns else []


def key_in(block: "array[int]") -> str | None:
    """Return the key whose tones are in a block of samples; None where it has none."""
    power = sum(map(mul, block, block))
    if power < _LEAST_POWER:
        return None
    row = _strongest(block, _ROW_WAVES)
    if row is None or row[1] < power * _COARSE_SHARE / (1 + _TWIST):
        return None  # speech, mostly: the other group need not be looked at
    column = _strongest(block, _COLUMN_WAVES)
    if column is None or row[1] + column[1] < power * _COARSE_SHARE:
        return None
    first, second = (
        max(_power(block, each) for each in waves) for waves in (_ROW_WAVES[row[0]], _COLUMN_WAVES[column[0]])
    )
    if first + second < power * _SHARE or max(first, second) > _TWIST * min(first, second):
        return None
    return KEY_OF_PLACE[row[0], column[0]]


def _strongest(block: "array[int]", waves: tuple[tuple[_Waves, ...], ...]) -> tuple[int, float] | None:
    """Return the place of the strongest frequency of a group, and its power; None where two are nearly as strong."""
    powers = [_power(block, middle) for _, middle, _ in waves]
    best = max(range(len(powers)), key=powers.__getitem__)
    others = (power for place, power in enumerate(powers) if place != best)
    return None if any(powers[best] < _APART * each for each in others) else (best, powers[best])


def _power(block: "array[int]", waves: _Waves) -> float:
    """Return the power of a block at a frequency, as the sum of its squares has it."""
    cosine, sine = waves
    real: float = sum(map(mul, block, cosine))
    imaginary: float = sum(map(mul, block, sine))
    return _SCALE * (real * real + imaginary * imaginary)
