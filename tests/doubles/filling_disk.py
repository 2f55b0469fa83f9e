"""A disk that is soon full, in place of the one that the journal is written to."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from doubles import small_disk as small_disk_module
from vosd.engine.journal import output


class Disk(small_disk_module.Disk):
    """It counts what is tried, and says how much room it has."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.tries = 0
        self._removable: list[Path] = []
        self._of_each = 0

    def write(self, descriptor: int, data: bytes) -> int:
        self.tries += 1
        return super().write(descriptor, data)

    def gains(self, directory: Path, names: Sequence[str], room: int) -> None:
        """Let the disk have so much more room once one of these files is removed, and again for each other."""
        self._removable, self._of_each = [directory / name for name in names], room

    def posix_fallocate(self, descriptor: int, offset: int, length: int) -> None:
        gone = [path for path in self._removable if not path.exists()]
        for path in gone:
            self._removable.remove(path)
        self.room += len(gone) * self._of_each
        super().posix_fallocate(descriptor, offset, length)

    def statvfs(self, _descriptor: int) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=self.room, f_frsize=1)


def small_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Disk]:
    """Return what puts such a disk in place; it has room for so many bytes."""

    def with_room(room: int) -> Disk:
        disk = Disk(room)
        monkeypatch.setattr(output, "system_write", disk.write)
        monkeypatch.setattr(os, "posix_fallocate", disk.posix_fallocate)
        monkeypatch.setattr(os, "statvfs", disk.statvfs)
        return disk

    return with_room
