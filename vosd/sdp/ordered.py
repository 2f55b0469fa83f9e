"""Descriptions for a reader that insists on the lines of RFC 8866 and their order, as rtpengine does."""

import re
from typing import Final

from vosd.sdp.media import media_of

_CONNECTION: Final = rb"(?:c=IN IP[46] [\dA-Fa-f:.]+ *\r?(?:\n|\Z))?+"
IN_ORDER: Final = re.compile(
    rb"v=0\r?\n(?:s=[^\r\n]*\r?\n)?+o=(?:[^ \r\n]+ ){5}[^ \r\n]+ *\r?\n"
    rb"(?:[abeikprstuz]=[^\r\n]*\r?\n)*+" + _CONNECTION + rb"(?:[abeikprstuz]=[^\r\n]*\r?(?:\n|\Z))*+"
    rb"(?:m=[^\r\n]*\r?(?:\n|\Z)(?:[biku]=[^\r\n]*\r?\n)*+" + _CONNECTION + rb"(?:[abiktu]=[^\r\n]*\r?(?:\n|\Z))*+)*+\Z"
)
"""Matches a description that is read as it is by rtpengine 10.5.3."""
_MEDIUM: Final = re.compile(rb"(?:\n|\A)m=")
_ORIGIN: Final = re.compile(rb"^o=(\S+)[ \t]+(\d+)[ \t]+(\d+)[ \t]+IN[ \t]+IP[46][ \t]+\S+[ \t\r]*$", re.MULTILINE)
_NOWHERE: Final = "0.0.0.0"


def ordered(session: bytes) -> bytes:
    """Return a description with the lines alone that say where and how media go, in the order of RFC 8866.

    Those that describe its author and the times of a conference are left out, and those that there are none of.

    Raises:
        BadSession: as ``media_of``.
    """
    described = media_of(session)
    above, *parts = _MEDIUM.split(session)
    hosts = [each.host for each in described if each.host]
    user, number, version = found.groups() if (found := _ORIGIN.search(above)) else (b"-", b"1", b"1")
    own = hosts[0] if hosts else _NOWHERE
    lines = [b"v=0", b"o=%b %b %b %b" % (user, number, version, _address(own)), b"s=-", b"t=0 0", *_attributes(above)]
    for part, medium in zip(parts, described, strict=True):
        first, _, rest = part.partition(b"\n")
        lines += [b"m=" + first.strip(), b"c=" + _address(medium.host or own), *_attributes(rest)]
    return b"".join(line + b"\r\n" for line in lines)


def _address(host: str) -> bytes:
    return b"IN IP%d %b" % (6 if ":" in host else 4, host.encode())


def _attributes(text: bytes) -> list[bytes]:
    return [line.rstrip() for line in text.split(b"\n") if line.startswith(b"a=")]
