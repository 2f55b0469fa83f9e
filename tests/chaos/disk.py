"""The small disk of the journal, which can be filled."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SIZE: Final = "192m"
_RESERVED: Final = 4096


class Disk:
    """A directory; where root has mounted a file system of few megabytes there, it can be filled."""

    def __init__(self, place: Path, *, is_small: bool) -> None:
        self.place = place
        self.is_small = is_small
        self._ballast = place / "ballast"

    def fill(self) -> None:
        """Leave no free block."""
        with self._ballast.open("wb", buffering=0) as ballast:
            free = os.statvfs(self.place)
            size = free.f_bavail * free.f_frsize - (1 << 20)
            if size > 0:
                os.posix_fallocate(ballast.fileno(), 0, size)
                ballast.seek(0, os.SEEK_END)
            try:
                while True:
                    ballast.write(bytes(_RESERVED))
            except OSError:
                return

    def save_to(self, directory: Path) -> None:
        """Copy what is on it, for people; the file system itself ends with the run."""
        if self.is_small:
            self.make_room()
            shutil.copytree(self.place, directory)

    def make_room(self) -> None:
        """Remove what fills it."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def mounted(place: Path) -> Iterator[Disk]:
    """Mount a small file system at ``place``, where that is permitted."""
    place.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place))
    is_small = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield Disk(place, is_small=is_small)
    finally:
        if is_small:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
