"""Orders and replies of the protocol "ng" in bencode, for what JSON has no words for: contents of files."""

import re
from collections.abc import Mapping
from typing import Final

_VALUE: Final = re.compile(rb"(\d{1,5}):|i-?\d+e")
"""Begin of a text, or a whole number."""


def bencoded(values: Mapping[str, str | int | bytes]) -> bytes:
    """Return a dictionary."""
    return b"d%be" % b"".join(part for pair in values.items() for part in map(_encoded, pair))


def _encoded(value: str | int | bytes) -> bytes:
    if isinstance(value, int):
        return b"i%de" % value
    octets = value.encode() if isinstance(value, str) else value
    return b"%d:%b" % (len(octets), octets)


def texts_of(content: bytes) -> Mapping[str, str]:
    """Return a dictionary of texts and numbers, these as empty texts; it is empty where there are other values."""
    texts: list[str] = []
    place = 1
    while found := _VALUE.match(content, place):
        place = found.end() + int(found[1] or 0)
        texts.append(content[found.end() : place].decode("latin-1"))
    is_whole = content[:1] == b"d" and content[place:] == b"e"
    return dict(zip(texts[::2], texts[1::2], strict=False)) if is_whole else {}
