"""The encoding of a text file: UTF-16 or UTF-8, else the Windows code page of Western Europe."""

import codecs
from pathlib import Path
from typing import Final

from vosd.config.decks.assumptions import Assumptions

UTF_8: Final = "utf-8-sig"
_WESTERN: Final = "cp1252"
_MARKS: Final = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_PART: Final = 1 << 20


def encoding_of(path: Path, assumed: Assumptions) -> str:
    """Return the encoding of a file.

    Digits, points and commas are the same in every code page, so only names of destinations may be wrong where the
    code page is another one than that of Western Europe.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if start[1::2] == b"\0\0" and b"\0" not in start[::2]:
        return "utf-16-le"
    if start[::2] == b"\0\0" and b"\0" not in start[1::2]:
        return "utf-16-be"
    for name in (UTF_8, _WESTERN):
        if _fits(path, name):
            if name == _WESTERN:
                assumed.note(
                    name, "no UTF-8, so Windows-1252; if names of destinations look wrong, say encoding in a map"
                )
            return name
    return UTF_8


def _fits(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while part := file.read(_PART):
                decoder.decode(part)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
