"""Canonical names of headers (RFC 3261 section 7.3)."""

from typing import Final

from vosd.sip.wire.grammar import COMPACT

_REMEMBERED: Final = 1_024
_LONGEST: Final = 40
_COMMON: Final = (
    "Accept", "Allow", "Allow-Events", "Call-ID", "Contact", "Content-Disposition", "Content-Encoding",
    "Content-Length", "Content-Type", "CSeq", "Date", "Diversion", "Event", "Expires", "From", "History-Info",
    "Max-Forwards", "Min-SE", "P-Asserted-Identity", "P-Early-Media", "Privacy", "RAck", "RSeq", "Reason",
    "Record-Route", "Refer-To", "Remote-Party-ID", "Require", "Retry-After", "Route", "Server", "Session-Expires",
    "Session-ID", "Supported", "Timestamp", "To", "Unsupported", "User-Agent", "Via", "Warning",
)  # fmt: skip
"""The usual spellings."""
_KNOWN: Final = {**{name: name.lower() for name in _COMMON}, **COMPACT}


class MalformedNameError(ValueError):
    """The text before the colon is no header name."""


SPELLINGS: Final = dict(_KNOWN)
"""Canonical name of each spelling: lower case, compact forms expanded.

Spellings are cached as they are received, so that no string is built for a repeated one. A full cache is cleared
except for the usual spellings: a peer that invents names slows others only briefly.
"""


def canonical(written: str) -> str:
    """Return the canonical name of a header: ``via`` for ``v`` and ``VIA``.

    Raises:
        MalformedNameError: the text is no header name.
    """
    known = SPELLINGS.get(written)
    if known is not None:
        return known
    name = written.strip(" \t").lower()
    name = COMPACT.get(name, name)
    if not name or " " in name:
        raise MalformedNameError(written)
    if len(written) <= _LONGEST:
        if len(SPELLINGS) >= _REMEMBERED:
            SPELLINGS.clear()
            SPELLINGS.update(_KNOWN)
        SPELLINGS[written] = name
    return name
