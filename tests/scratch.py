"""Where tests write: in memory, where there is enough of it.

Databases and journals of a run are some gigabytes, written to the disk more than a hundred thousand times, and are
removed with it. No test needs the disk: a process that is killed loses nothing that it has written, and a full disk is
one that its test makes.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")
_NEEDED: Final = 8 << 30
"""Bytes: a run takes some three gigabytes, and what is left of two failed runs may lie there."""

_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""What is written counts as memory of its container, in both versions of control groups."""


def write_in_memory() -> None:
    """Choose the place of temporary files, also of processes that tests start, unless the environment has."""
    if "TMPDIR" in os.environ or not _IN_MEMORY.is_dir():
        return
    if min(shutil.disk_usage(_IN_MEMORY).free, _available()) >= _NEEDED:
        os.environ["TMPDIR"] = str(_IN_MEMORY)
        tempfile.tempdir = None


def _available() -> int:
    """Return how many bytes of memory can be had without swapping; a container may have less than the machine."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    limits = [file.read_text().strip() for file in _LIMITS if file.exists()]
    return min([int(lines["MemAvailable"].split()[0]) << 10, *(int(limit) for limit in limits if limit != "max")])
