"""G.711: linear samples of 16 bits to the octets of PCMU (µ-law) and PCMA (A-law)."""

from array import array
from collections.abc import Iterable
from functools import cache
from typing import Final

RATE: Final = 8_000
"""Samples a second."""
PAYLOADS: Final = {0: "PCMU", 8: "PCMA"}
"""Payload types (RFC 3551 section 6)."""
_MU_BIAS: Final = 0x84
_MU_MAX: Final = 32_635
_SIGN: Final = 0x80
_STEP: Final = 16
"""Samples are rounded to it: A-law has 13 bits and µ-law 14, of which soft tones use no more."""


def encoded(samples: Iterable[int], codec: str) -> bytes:
    """Return samples as ``PCMU`` or ``PCMA``; those beyond 16 bits are cut."""
    table = _table(codec)
    return bytes(table[(32_767 if each > 32_767 else max(each, -32_768)) + 32_768 >> 2] for each in samples)


def samples_of(content: bytes, *, is_little: bool = True) -> "array[int]":
    """Return 16-bit samples of a file."""
    samples = array("h")
    samples.frombytes(content[: len(content) // 2 * 2])
    if not is_little:
        samples.byteswap()
    return samples


@cache
def _table(codec: str) -> bytes:
    """Return the octet for each quarter of the linear range."""
    encode = {"PCMU": _mu_law, "PCMA": _a_law}[codec]
    return bytes(encode((quarter << 2) - 32_768) for quarter in range(0x4000))


def _mu_law(sample: int) -> int:
    sign = _SIGN if sample < 0 else 0
    magnitude = min(abs(sample), _MU_MAX) + _MU_BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def _a_law(sample: int) -> int:
    sign = 0 if sample < 0 else _SIGN
    magnitude = (~sample if sample < 0 else sample) >> 4
    if magnitude < 0x10:
        code = magnitude
    else:
        exponent = magnitude.bit_length() - 4
        code = exponent << 4 | magnitude >> exponent - 1 & 0x0F
    return (sign | code) ^ 0x55
