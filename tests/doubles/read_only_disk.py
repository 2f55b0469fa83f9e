"""A real file system that the kernel makes read-only while files on it are open for writing, as after a disk error."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from e2e.conditions import eventually

_SIZE: Final = 96 * 1024 * 1024


class Disk:
    """A directory of its own file system (ext4 on a file)."""

    def __init__(self, place: Path, image: Path) -> None:
        self.place = place
        self._image = image

    def mount(self) -> None:
        """Mount it, for reading and writing; skip the test where that is not permitted."""
        options = ("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.place))
        done = subprocess.run(options, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        """Unmount it; its last open file ends it."""
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)

    def make_read_only(self) -> None:
        """Report an error to the file system, which takes no more writes (EROFS), on open files neither.

        What was written before is on the disk.
        """
        subprocess.run(["sync", "-f", str(self.place)], check=True)
        (self._in_kernel() / "trigger_fs_error").write_text("a test")

    def mend(self) -> None:
        """Repair it and mount it again, once the processes that have files open on it have ended."""
        in_kernel = self._in_kernel()
        self.unmount()
        # Mounted again before, it is the same one with the error: a process beside the switch outlives it for a moment.
        eventually(lambda: not in_kernel.exists(), "the file system is released")
        subprocess.run(["e2fsck", "-fy", str(self._image)], capture_output=True, check=False)
        self.mount()

    def _in_kernel(self) -> Path:
        """Return the directory of the mounted file system in that of the kernel."""
        found = subprocess.run(
            ["findmnt", "-no", "SOURCE", str(self.place)], capture_output=True, text=True, check=True
        )
        return Path("/sys/fs/ext4") / Path(found.stdout.strip()).name


@contextmanager
def read_only_disk(directory: Path) -> Iterator[Disk]:
    """Make such a file system and mount it at ``disk`` of the directory; skip the test where that is not possible."""
    place, image = directory / "disk", directory / "disk.img"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(_SIZE)
    done = subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], capture_output=True, check=False)
    if done.returncode != 0 or not Path("/sys/fs/ext4").exists():
        pytest.skip("no ext4 can be made here")
    disk = Disk(place, image)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
