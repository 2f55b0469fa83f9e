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


def encoded(samples: Iterable[int], codec: str) -> bytes:
    """Return samples as ``PCMU`` or ``PCMA``; those beyond 16 bits are cut."""
    table = _table(codec)
    return bytes(table[(32_767 if each > 32_767 else max(each, -32_768)) + 32_768 >> 2] for each in samples)


def linear(octets: bytes, codec: str) -> "array[int]":
    """Return octets of ``PCMU`` or ``PCMA`` as samples of 16 bits."""
    return array("h", map(_values(codec).__getitem__, octets))


def encoded_array(samples: "array[int]", codec: str) -> bytes:
    """Return samples of 16 bits as ``PCMU`` or ``PCMA``, a file of them in a tenth of the time."""
    return bytes(map(_wide_table(codec).__getitem__, memoryview(samples).cast("B").cast("H")))


@cache
def _table(codec: str) -> bytes:
    """Return the octet for each quarter of the linear range."""
    encode = {"PCMU": _mu_law, "PCMA": _a_law}[codec]
    return bytes(encode((quarter << 2) - 32_768) for quarter in range(0x4000))


@cache
def _wide_table(codec: str) -> bytes:
    """Return the octet for each sample, negative ones above the others as in two's complement."""
    octets = b"".join(bytes((octet,)) * 4 for octet in _table(codec))
    return octets[32_768:] + octets[:32_768]


@cache
def _values(codec: str) -> tuple[int, ...]:
    return tuple(map({"PCMU": _from_mu_law, "PCMA": _from_a_law}[codec], range(256)))


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


def _from_mu_law(octet: int) -> int:
    code = ~octet & 0xFF
    magnitude = ((code & 0x0F) * 8 + _MU_BIAS << (code >> 4 & 7)) - _MU_BIAS
    return -magnitude if code & _SIGN else magnitude


def _from_a_law(octet: int) -> int:
    code = octet ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 0x0F
    magnitude = (mantissa << 4) + 8 if not exponent else (mantissa << 4) + 0x108 << exponent - 1
    return magnitude if code & _SIGN else -magnitude
