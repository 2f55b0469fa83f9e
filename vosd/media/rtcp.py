"""Reports of RTCP (RFC 3550 section 6.4): when a peer sent, and how it received."""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from vosd.media.rtp import VERSION, VERSION_MASK

_HEADER: Final = Struct("!BBH")
_SENDER: Final = Struct("!IIIIII")
"""SSRC, NTP time stamp (two words), RTP time stamp, packets, octets."""
_BLOCK: Final = Struct("!IIIIII")
"""SSRC, fraction and number of lost packets, highest sequence number, jitter, last SR, delay since then."""
_SENDER_REPORT: Final = 200
_RECEIVER_REPORT: Final = 201
_KINDS: Final = range(192, 224)
_FRACTION_PER_PERCENT: Final = 2.56
_UNITS_PER_SECOND: Final = 65_536
"""DLSR counts in units of 1/65536 second."""
_SIGN: Final = 0x80_0000
_PACKETS_MAX: Final = 16
"""Packets of a compound one that are read. Usual ones have two to four; a datagram has room for hundreds."""


class ReceptionReport(NamedTuple):
    """Report of a peer about one stream that it receives."""

    ssrc: int
    lost_percent: float
    """Since its report before."""
    lost: int
    """Packets lost since the beginning; negative with duplicates."""
    jitter: int
    """In units of the time stamps."""
    last_report: int
    """Middle 32 bits of the NTP time stamp of the sender report that it received last; 0 = none."""
    delay_ns: int
    """Time between that reception and this report."""


class RtcpPacket(NamedTuple):
    """Content of a compound packet."""

    sent_report: int | None
    """Middle 32 bits of the NTP time stamp of its sender report; None = it has none."""
    receptions: tuple[ReceptionReport, ...]


def read_rtcp(data: bytes) -> RtcpPacket | None:
    """Return the reports of a compound packet; None for anything that is no RTCP.

    Any type may come first (reduced-size packets, RFC 5506). Reports are read as far as headers are valid: in SRTCP all
    behind the first header is encrypted, and its reports are of sources that no one knows (RFC 3711 section 3.4).
    """
    sent_report: int | None = None
    receptions: list[ReceptionReport] = []
    at, size = 0, len(data)
    for _ in range(_PACKETS_MAX):
        if size - at < _HEADER.size:
            break
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first & VERSION_MASK != VERSION or kind not in _KINDS or end > size:
            break
        body = at + 8
        if kind == _SENDER_REPORT and end >= at + 4 + _SENDER.size:
            _, high, low, _, _, _ = _SENDER.unpack_from(data, at + 4)
            sent_report = (high & 0xFFFF) << 16 | low >> 16
            body = at + 4 + _SENDER.size
        if kind in {_SENDER_REPORT, _RECEIVER_REPORT}:
            receptions += _receptions(data, body, min(first & 0x1F, max(end - body, 0) // _BLOCK.size))
        at = end
    return RtcpPacket(sent_report, tuple(receptions)) if at else None


def _receptions(data: bytes, at: int, count: int) -> Iterator[ReceptionReport]:
    for number in range(count):
        ssrc, lost, _, jitter, last_report, delay = _BLOCK.unpack_from(data, at + number * _BLOCK.size)
        total = lost & 0xFF_FFFF
        yield ReceptionReport(
            ssrc,
            (lost >> 24) / _FRACTION_PER_PERCENT,
            total - (_SIGN << 1) if total & _SIGN else total,
            jitter,
            last_report,
            delay * 1_000_000_000 // _UNITS_PER_SECOND,
        )
