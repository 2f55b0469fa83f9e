"""Reuse of a connection that a gateway has opened, for requests to it (RFC 5923): what ``alias`` in Via asks for.

Only the first Via of a request is read. Whether the sender may ask for it is decided by ``StreamFlow``.
"""

import re
from typing import Final, NamedTuple

from vosd.sip.wire.uri import DEFAULT_PORTS

_VIA: Final = re.compile(
    rb"\r\n(?:via|v)[ \t]*+:[ \t]*+SIP/2\.0/(TCP|TLS)[ \t]++([A-Za-z0-9.\-]++|\[[0-9A-Fa-f:.]++\])"
    rb"(?::(\d{1,5}))?+((?:;[^,\r\n]*+)?)",
    re.IGNORECASE,
)
_ANY_VIA: Final = re.compile(rb"\r\n(?:via|v)[ \t]*+:", re.IGNORECASE)
_ALIAS: Final = re.compile(rb";[ \t]*+alias[ \t]*+(?:[;=]|\Z)", re.IGNORECASE)
_HEAD_MAX: Final = 4_096
"""The first Via stands at the beginning of a message; one behind so many bytes is not looked for."""


class AliasWish(NamedTuple):
    """The address for which the sender of a request offers its connection."""

    host: str
    """An address without brackets, or a name; in lower case."""
    port: int


def alias_in(message: bytes) -> AliasWish | None:
    """Return what the first Via of a request asks for; None without ``alias``, and for a response."""
    if message[:8] == b"SIP/2.0 ":
        return None
    head = message[:_HEAD_MAX]
    first = _ANY_VIA.search(head)
    found = None if first is None else _VIA.match(head, first.start())
    if found is None or not _ALIAS.search(found[4]):
        return None
    transport = found[1].decode().lower()
    port = int(found[3]) if found[3] else DEFAULT_PORTS[transport]
    return AliasWish(found[2].decode().strip("[]").lower(), port) if 0 < port < 65_536 else None
