"""Where tests write: in memory, where there is enough of it.

Databases and journals of a run are some gigabytes, written to the disk more than a hundred thousand times, and are
removed with it. No test needs the disk: a process that is killed loses nothing that it has written, and a full disk is
one that its test makes.

Processes that tests kill leave temporary files: those of a run are in one directory, which ends with it. Where a test
has failed they stay until the next run but one. A run that was killed has removed nothing, nor unmounted its small
disks: the next one does it, for pytest waits three days. A run holds a lock on its directory: several containers may
have this memory in common, and do not see each other's processes.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")
_NEEDED: Final = 8 << 30
"""Bytes: a run takes some three gigabytes, and what is left of two failed runs may lie there."""

_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""What is written counts as memory of its container, in both versions of control groups."""


_PREFIX: Final = "vosd-tests-"
"""The process that has made the directory follows, and what tells it from those of other containers with its number."""


def write_in_memory() -> Path | None:
    """Choose the place of temporary files, also of processes that tests start, unless the environment has.

    Returns:
        The directory that ends with this process, if it has made one.
    """
    if "TMPDIR" in os.environ or not _IN_MEMORY.is_dir():
        return None
    with suppress(OSError):  # another run that begins does the same
        remove_what_has_ended(_IN_MEMORY)
    if min(shutil.disk_usage(_IN_MEMORY).free, _available()) < _NEEDED:
        return None
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_IN_MEMORY))
    fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_SH)  # as long as this process lives
    os.environ["TMPDIR"] = str(directory)
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))  # it keeps what failed tests have written itself
    tempfile.tempdir = None
    return directory


def remove_what_has_ended(place: Path) -> None:
    """Remove what runs have left that were killed, and all but the last directory of those that have failed.

    Nothing says which run has made a directory of pytest's, unless by a process that is seen from here: they stay while
    any run goes on elsewhere. What other users have made, who keep it to themselves, does not matter.
    """
    readable = [each for each in place.glob(f"{_PREFIX}*") if os.access(each, os.R_OK)]
    made = [(each, _runs(each.name.removeprefix(_PREFIX).partition("-")[0])) for each in readable]
    left = [each for each, runs in made if not runs and not _is_held(each)]
    left.sort(key=lambda each: each.stat().st_mtime)
    goes_on_elsewhere = any(not runs and each not in left for each, runs in made)
    locks = [] if goes_on_elsewhere else [*place.glob("pytest-of-*/pytest-*/.lock")]
    ended = [lock.parent for lock in locks if not _runs(lock.read_text())]
    for directory in (*left[:-1], *ended):
        for mounted in _mounted_below(directory):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _runs(number: str) -> bool:
    return Path("/proc", number).exists()


def _is_held(directory: Path) -> bool:
    """Return whether a run has its lock on a directory, also one whose processes are not seen from here."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _mounted_below(directory: Path) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = line.split()[1]
        if place.startswith(f"{directory}/"):
            yield place


def _available() -> int:
    """Return how many bytes of memory can be had without swapping; a container may have less than the machine."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    limits = [file.read_text().strip() for file in _LIMITS if file.exists()]
    return min([int(lines["MemAvailable"].split()[0]) << 10, *(int(limit) for limit in limits if limit != "max")])
