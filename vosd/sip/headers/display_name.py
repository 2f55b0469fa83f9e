"""Display names (RFC 3261 section 25.1, ``display-name``): from what a peer wrote to text, and back to a header.

Text of one side may end no header of the other: control characters and bytes that are no UTF-8 become blanks, quotes
and backslashes are escaped. Letters of every language stay.
"""

import re
from typing import Final

CHARACTERS_MAX: Final = 128
"""What is longer is cut: no telephone shows more."""

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def text_of(written: str) -> str:
    """Return the text of a display name as it stands in a header, in quotes or as plain words."""
    text = written.strip()
    if text[:1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))
    return _UNFIT.sub(" ", text).strip()[:CHARACTERS_MAX]


def quoted(text: str) -> str:
    """Write a text of ``text_of`` as a display name."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
