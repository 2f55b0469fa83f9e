"""Any number of lines sorted in bounded memory: parts are sorted, written to temporary files, and merged."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import merge
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Final

AT_ONCE: Final = 250_000
"""Lines that are held in memory, some 30 MB."""


def in_order(lines: Iterable[str], at_once: int = AT_ONCE) -> Iterator[str]:
    """Yield lines, which have no line ends, in the order of text.

    Raises:
        OSError: there is no room for temporary files.
    """
    source = iter(lines)
    with ExitStack() as files:
        parts: list[IO[str]] = []
        last = sorted(islice(source, at_once))
        while len(last) == at_once:
            file = files.enter_context(TemporaryFile("w+", encoding="utf-8", newline="\n"))
            file.writelines(f"{line}\n" for line in last)
            file.seek(0)
            parts.append(file)
            last = sorted(islice(source, at_once))
        if not parts:
            yield from last
            return
        yield from merge(*(map(_without_end, part) for part in parts), last)


def _without_end(line: str) -> str:
    return line[:-1]
