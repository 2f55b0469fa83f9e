"""What a header's name is, however it is written (RFC 3261 section 7.3)."""

from typing import Final

from vosd.sip.grammar import COMPACT

_REMEMBERED: Final = 1_024


class MalformedNameError(ValueError):
    """What stands before the colon is no header name."""


class _Names(dict[str, str]):
    """Spellings and the canonical name of each: lower case, compact forms expanded.

    Spellings are remembered as they come, up to a bound, so that no text is made for one that comes again.
    """

    def __missing__(self, written: str) -> str:
        name = written.strip().lower()
        name = COMPACT.get(name, name)
        if not name or " " in name:
            raise MalformedNameError(written)
        if len(self) < _REMEMBERED:
            self[written] = name
        return name


CANONICAL: Final = _Names()
"""``CANONICAL["v"] == CANONICAL["VIA"] == "via"``; a name that is none raises MalformedNameError."""
