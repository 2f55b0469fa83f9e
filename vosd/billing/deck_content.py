"""The content of a deck as compressed chunks of whole lines, with a header in the first one."""

import csv
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from vosd.billing.deck_rows import COLUMNS_AHEAD

CHUNK_CHARACTERS: Final = 1 << 20
"""Text of one chunk before it is compressed."""
_LEVEL: Final = 3


class UnknownColumnsError(ValueError):
    """The rows have columns that this version does not know."""


class Chunk(NamedTuple):
    """A part of a content: whole lines, compressed."""

    first_prefix: str
    """Prefix of the first rate; empty where there is none."""
    compressed: bytes


def packed(header: str, lines: Iterable[str], put: Callable[[Chunk], None]) -> str:
    """Hand the chunks of a content to ``put`` one by one, so that never more than one is in memory.

    Return the SHA-256 of its uncompressed bytes, 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    part, characters, first = [header], 0, ""

    def finish() -> None:
        content = "\n".join([*part, ""]).encode()
        digest.update(content)
        put(Chunk(first, zlib.compress(content, _LEVEL)))

    for line in lines:
        if characters >= CHUNK_CHARACTERS:
            finish()
            part, characters, first = [], 0, ""
        first = first or line.partition(",")[0]
        part.append(line)
        characters += len(line)
    if part:
        finish()
    return digest.hexdigest()


def header_and_lines(compressed: Iterable[bytes]) -> tuple[str, Iterator[str]]:
    """Return the header of a content, and its lines from the chunks that are given, the first of which has it."""
    lines = _lines(compressed)
    return next(lines), lines


def under(header: str, own: str, lines: Iterator[str]) -> Iterator[str]:
    """Return lines of a content with header ``own`` as they are under another header; columns may be added.

    Raises:
        UnknownColumnsError: a column is lost.
    """
    if own == header:
        return lines
    wanted, present = header.split(","), own.split(",")
    if not set(present) <= set(wanted):
        message = f"it has columns that this version does not know: {', '.join(sorted({*present} - {*wanted}))}"
        raise UnknownColumnsError(message)
    return _rearranged(wanted, present, lines)


def columns_of(header: str, line: str) -> Mapping[str, str]:
    """Return the columns of a line that are not empty."""
    (cells,) = csv.reader([line], strict=True)
    return {name: cell for name, cell in zip(header.split(","), cells, strict=True) if cell}


def _rearranged(wanted: list[str], present: list[str], lines: Iterator[str]) -> Iterator[str]:
    behind = wanted[len(COLUMNS_AHEAD) :]
    at = {name: index for index, name in enumerate(present)}
    for line in lines:
        (cells,) = csv.reader([line], strict=True)
        ahead = [cells[at[name]] for name in COLUMNS_AHEAD]
        others = [cells[at[name]] if name in at else "" for name in behind]
        yield ",".join((*ahead, *map(_quoted, others)))


def _quoted(cell: str) -> str:
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if any(each in cell for each in ',"') else cell


def _lines(compressed: Iterable[bytes]) -> Iterator[str]:
    for each in compressed:
        *lines, _ = zlib.decompress(each).decode().split("\n")
        yield from lines
