"""Sort more calls than memory holds: sorted runs in a temporary file, merged while they are read."""

import heapq
import os
import tempfile
from collections.abc import Iterator
from operator import attrgetter
from types import TracebackType
from typing import Final, Generic, Protocol, TypeVar

import msgspec

RUN: Final = 25_000
"""Calls that are sorted in memory at once."""
BLOCK: Final = 250
"""Calls of a run that are read at once."""


class Timed(Protocol):
    """A call with the moment by which it is sorted."""

    @property
    def at(self) -> int:
        """UTC milliseconds."""


Call = TypeVar("Call", bound=Timed)
_at: Final = attrgetter("at")


class SortedCalls(Generic[Call]):
    """Calls that are added in any order and read in that of their time, once all are added."""

    def __init__(self, kind: type[Call]) -> None:
        self._file = tempfile.TemporaryFile(prefix="vosd-calls-")  # noqa: SIM115 - closed by __exit__
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[kind]).decode  # type: ignore[valid-type]
        self._waiting: list[Call] = []
        self._runs: list[list[tuple[int, int]]] = []
        """Offset and length of each block, by run."""
        self._end = 0
        self.count = 0

    def __enter__(self) -> "SortedCalls[Call]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, call: Call) -> None:
        """Add a call."""
        self._waiting.append(call)
        self.count += 1
        if len(self._waiting) >= RUN:
            self._write_run()

    def __iter__(self) -> Iterator[Call]:
        self._waiting.sort(key=_at)
        return heapq.merge(*(self._read(blocks) for blocks in self._runs), iter(self._waiting), key=_at)

    def _write_run(self) -> None:
        self._waiting.sort(key=_at)
        blocks = []
        for first in range(0, len(self._waiting), BLOCK):
            content = self._encode(self._waiting[first : first + BLOCK])
            self._file.write(content)
            blocks.append((self._end, len(content)))
            self._end += len(content)
        self._file.flush()
        self._runs.append(blocks)
        self._waiting = []

    def _read(self, blocks: list[tuple[int, int]]) -> Iterator[Call]:
        for offset, length in blocks:
            yield from self._decode(os.pread(self._file.fileno(), length, offset))
