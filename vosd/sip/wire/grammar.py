"""Fragments of the grammar that several parsers need (RFC 3261 section 25)."""

import re
from typing import Final

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - a word of the grammar, not a secret
QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
HOST: Final = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+"
PORT: Final = r"(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
"""A port as it is usually written: from 1 to 65535, without leading zeros."""

COMPACT: Final = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "n": "identity-info", "o": "event", "r": "refer-to",
    "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
"""Compact header names (RFC 3261 section 7.3.3 and the IANA registry)."""

_OPEN_QUOTED: Final = r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_ELEMENT: Final = re.compile(
    rf'((?:[^,"<]++|{_OPEN_QUOTED}|<(?:[^>"]++|{_OPEN_QUOTED})*+(?:>|\Z))*+)(?:,|\Z)', re.DOTALL
)
"""One element of a comma list; an unclosed quote or bracket extends to the end."""
_PARAMETER: Final = re.compile(rf";\s*({TOKEN})\s*(?:=\s*({QUOTED}|\[[0-9A-Fa-f:.]*\]|[^\s;,\"]*))?")


def parameters(text: str) -> dict[str, str | None]:
    """Read ``;name=value;flag`` into a mapping by lower-case name; the first of equal names wins."""
    # From last to first, so that the first of equal names wins.
    return {name.lower(): value or None for name, value in reversed(_PARAMETER.findall(text))}


def first_of(text: str) -> str:
    """Return the first element of a comma list without reading the others."""
    if "," not in text:
        return text
    if '"' not in text and "<" not in text:
        return text.partition(",")[0].strip()
    found = _ELEMENT.match(text)
    return found[1].strip() if found else ""


def split_list(text: str) -> list[str]:
    """Split a comma list, ignoring commas in quotes and angle brackets (RFC 3261 section 7.3.1).

    Elements are stripped and may be empty.
    """
    if "," not in text:
        return [text]
    if '"' not in text and "<" not in text:
        return [element.strip() for element in text.split(",")]
    return [element.strip() for element in _ELEMENT.findall(text)[:-1]]  # the last match is the empty one at the end
