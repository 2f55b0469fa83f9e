"""A disk that is soon full, in place of the one that the journal is written to."""

import errno
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from vosd.engine.journal import output


class Disk:
    """Stands in for a file system: takes what it has room for, then says that it is full. What is allocated is."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tries = 0
        self._write, self._allocate = os.write, os.posix_fallocate

    def write(self, descriptor: int, data: bytes) -> int:
        self.tries += 1
        allocated = max(0, os.fstat(descriptor).st_size - os.lseek(descriptor, 0, os.SEEK_CUR))
        if not self.room + allocated:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._write(descriptor, data[: self.room + allocated])
        self.room -= max(0, taken - allocated)
        return taken

    def statvfs(self, _descriptor: int) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=self.room, f_frsize=1)

    def posix_fallocate(self, descriptor: int, offset: int, length: int) -> None:
        more = max(0, offset + length - os.fstat(descriptor).st_size)
        if self.room < more:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._allocate(descriptor, offset, length)
        self.room -= more


def small_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Disk]:
    """Return what puts such a disk in place; it has room for so many bytes."""

    def with_room(room: int) -> Disk:
        disk = Disk(room)
        monkeypatch.setattr(output, "system_write", disk.write)
        monkeypatch.setattr(os, "posix_fallocate", disk.posix_fallocate)
        monkeypatch.setattr(os, "statvfs", disk.statvfs)
        return disk

    return with_room
