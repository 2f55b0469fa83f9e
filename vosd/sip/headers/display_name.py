"""Display names (RFC 3261 section 25.1, ``display-name``): decode what a peer wrote, and encode it for another.

Text of one side must not end a header of the other: control characters and invalid UTF-8 become blanks, quotes and
backslashes are escaped. Letters of all languages are kept.
"""

import re
from typing import Final

CHARACTERS_MAX: Final = 128
"""Longer names are cut: no telephone shows more."""

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def text_of(written: str) -> str:
    """Return the text of a display name as written in a header, quoted or as plain words."""
    text = written.strip()
    if text[:1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))
    return _UNFIT.sub(" ", text).strip()[:CHARACTERS_MAX]


def quoted(text: str) -> str:
    """Return a text as a quoted display name."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
