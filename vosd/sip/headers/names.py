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


class _Names(dict[str, str]):
    """Canonical name of each spelling: lower case, compact forms expanded.

    Spellings are cached as they are received, so that no string is built for a repeated one. A full cache is cleared
    except for the usual spellings: a peer that invents names slows others only briefly.
    """

    def __missing__(self, written: str) -> str:
        name = written.strip().lower()
        name = COMPACT.get(name, name)
        if not name or " " in name:
            raise MalformedNameError(written)
        if len(written) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
                self.update(_KNOWN)
            self[written] = name
        return name


CANONICAL: Final = _Names(_KNOWN)
"""``CANONICAL["v"] == CANONICAL["VIA"] == "via"``; an invalid name raises MalformedNameError."""
