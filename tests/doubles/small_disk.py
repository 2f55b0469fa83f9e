"""A disk under the journal that has as much room as a test says."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch

import structlog

from vosd.engine.journal import output

PLENTY: Final = 10**9


class Disk:
    """A file system with so much room; what was allocated is there."""

    room = PLENTY

    def __init__(self) -> None:
        self._write, self._allocate = os.write, os.posix_fallocate

    def write(self, descriptor: int, data: bytes) -> int:
        allocated = max(0, os.fstat(descriptor).st_size - os.lseek(descriptor, 0, os.SEEK_CUR))
        if not self.room + allocated:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._write(descriptor, data[: self.room + allocated])
        self.room -= max(0, taken - allocated)
        return taken

    def posix_fallocate(self, descriptor: int, offset: int, length: int) -> None:
        more = max(0, offset + length - os.fstat(descriptor).st_size)
        if self.room < more:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._allocate(descriptor, offset, length)
        self.room -= more

    @contextmanager
    def in_place(self) -> Iterator[None]:
        with (
            patch.object(output, "system_write", self.write),
            patch.object(os, "posix_fallocate", self.posix_fallocate),
            patch.object(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=self.room, f_frsize=1)),
            patch.object(os, "fdatasync", lambda _descriptor: None),
            patch.object(os, "fsync", lambda _descriptor: None),
            structlog.testing.capture_logs(),
        ):
            yield
