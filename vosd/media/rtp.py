"""Headers of RTP packets (RFC 3550 section 5.1) and their payload types."""

from functools import lru_cache
from struct import Struct
from typing import Final

HEADER: Final = Struct("!BBHII")
"""First byte (version, padding, extension, CSRC count), marker and payload type, sequence number, time stamp, SSRC."""
HEADER_BYTES: Final = HEADER.size
VERSION_MASK: Final = 0xC0
VERSION: Final = 0x80
SEQUENCE: Final = 0x1_0000
"""Sequence numbers count modulo this."""
STAMP: Final = 0x1_0000_0000
"""Time stamps count modulo this."""

FOREIGN: Final = 0.0
"""In place of a unit: this payload type was not agreed."""
RTCP: Final = -1.0
"""In place of a unit: RTCP that shares the port, whose packet types are 192 to 223 (RFC 5761 section 4)."""
_RTCP_TYPES: Final = range(192, 224)
_DTLS: Final = frozenset(bytes((first,)) for first in range(20, 64))
_STUN: Final = frozenset({b"\x00\x01", b"\x01\x01"})
"""A binding request, and its success (RFC 8489 section 5)."""
_STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
_STUN_HEADER_BYTES: Final = 20
_UDPTL_LENGTH_AT: Final = 2
"""Place of the length of the first part, behind a number of two octets."""
_UDPTL_LONG: Final = 0x80
"""From here on the length has more octets than one."""
_MARKER: Final = 0x80
_NS_PER_SECOND: Final = 1e9


def is_whole(data: bytes) -> bool:
    """Return whether a packet is long enough for its header, its CSRCs, its extension and any padding."""
    size = len(data)
    if size < HEADER_BYTES or data[0] & VERSION_MASK != VERSION:
        return False
    end = HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        end += 4 + 4 * int.from_bytes(data[end + 2 : end + 4], "big")  # beyond the packet where it ends before
    if data[0] & 0x20:
        return size > end  # how much of it is padding is encrypted in SRTP (RFC 3711 section 3.1)
    return size >= end


def is_like_fax(data: bytes) -> bool:
    """Return whether a packet may be one of UDPTL (T.38): a number, a length and what has it; and neither RTP nor RTCP.

    What keeps a NAT open is none: no octets or a few, and checks by STUN, whose third octet is 0.
    """
    if len(data) <= _UDPTL_LENGTH_AT or data[0] & VERSION_MASK == VERSION:
        return False
    length = data[_UDPTL_LENGTH_AT]
    return length >= _UDPTL_LONG or 0 < length < len(data) - _UDPTL_LENGTH_AT


def is_handshake(data: bytes) -> bool:
    """Return whether a packet beside RTP is one of DTLS, by its first byte (RFC 7983 section 7), or a check by STUN.

    The side that waits for DTLS sends such a check, so that its NAT lets the handshake in (RFC 5763 section 6.7.2).
    """
    return data[:1] in _DTLS or (
        data[:2] in _STUN
        and data[4:8] == _STUN_COOKIE
        and len(data) == _STUN_HEADER_BYTES + int.from_bytes(data[2:4], "big")
    )


def payload_start(data: bytes) -> int:
    """Return where the payload of a whole packet begins, behind CSRCs and an extension."""
    start = HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    return start


# The agreed payload types of different calls are the same few.
@lru_cache(maxsize=256)
def units_by_kind(payloads: tuple[int, ...], clocks: tuple[int, ...], *, is_multiplexed: bool) -> tuple[float, ...]:
    """Return nanoseconds of a unit of the time stamp for each value of a packet's second byte.

    Or else ``FOREIGN``, or ``RTCP``. Where a payload type with the marker bit is a packet type of RTCP, it is RTCP
    on a port with both (RFC 5761).
    """
    units = [FOREIGN] * 256
    for payload, clock in zip(payloads, clocks, strict=True):
        units[payload] = units[payload | _MARKER] = _NS_PER_SECOND / clock
    if is_multiplexed:
        for kind in _RTCP_TYPES:
            units[kind] = RTCP
    return tuple(units)
