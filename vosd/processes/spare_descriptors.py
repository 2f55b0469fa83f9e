"""File descriptors that a process keeps for work that goes on when it has used up all others (``LimitNOFILE``)."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

USED_UP: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors of a process, or of a machine, that may open no more files: they say nothing about the disk."""
MORE_FILES: Final = "let the service open more files (LimitNOFILE); the switch tries again"
"""Advice for a line of the log about such an error."""


def is_used_up(error: OSError) -> bool:
    """Return whether an error says that no more files may be opened."""
    return error.errno in USED_UP


def advice(error: OSError, else_do: str) -> str:
    """Return what to do about an error of a file; ``else_do`` where the disk has it."""
    return MORE_FILES if is_used_up(error) else else_do


class SpareDescriptors:
    """Some descriptors that stand for nothing, until work needs them."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._held: list[int] = []

    def obtain(self) -> None:
        """Open those that are missing, as far as files may be opened."""
        while len(self._held) < self._most:
            try:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            except OSError:  # that of the work itself is reported
                return

    def release(self) -> None:
        """Close them all."""
        while self._held:
            os.close(self._held.pop())

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Leave them to files that are opened inside; afterwards open again those that can be."""
        self.release()
        try:
            yield
        finally:
            self.obtain()
