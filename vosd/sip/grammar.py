"""Fragments of the grammar that more than one reader needs (RFC 3261 section 25)."""

import re
from typing import Final

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - a word of the grammar, not a secret
QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
HOST: Final = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+"

COMPACT: Final = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "n": "identity-info", "o": "event", "r": "refer-to",
    "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
"""Compact header names (RFC 3261 section 7.3.3 and the IANA registry)."""

_PARAMETER: Final = re.compile(rf";\s*({TOKEN})\s*(?:=\s*({QUOTED}|\[[0-9A-Fa-f:.]*\]|[^\s;,\"]*))?")


def parameters(text: str) -> dict[str, str | None]:
    """Read ``;name=value;flag`` into a mapping by lower-case name; the first of equal names wins."""
    found: dict[str, str | None] = {}
    for name, value in _PARAMETER.findall(text):
        found.setdefault(name.lower(), value or None)
    return found


def split_list(text: str) -> list[str]:
    """Split a comma list, leaving commas in quotes and angle brackets alone (RFC 3261 section 7.3.1)."""
    if "," not in text:
        return [text]
    items, start, quoted, bracketed, escaped = [], 0, False, False, False
    for position, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char == "<":
            bracketed = True
        elif char == ">":
            bracketed = False
        elif char == "," and not bracketed:
            items.append(text[start:position].strip())
            start = position + 1
    items.append(text[start:].strip())
    return items
