"""Measure what the machine has left: disk, processor, memory."""

import asyncio
import os
import time
from collections import deque
from pathlib import Path
from typing import Final

MEMINFO: Final = Path("/proc/meminfo")
CPU_WINDOW_S: Final = 60


class Processor:
    """Use of one core by this process over the last minute; over less where it was watched for less."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()
        """Monotonic and processor time, in seconds."""

    def percent(self) -> float | None:
        """Return the percentage since a minute ago, or since the first look, which itself returns None."""
        return self.note(time.monotonic(), time.process_time())

    @property
    def is_of_a_minute(self) -> bool:
        """Whether the latest percentage is that of a whole minute."""
        return len(self._samples) > 1 and self._samples[-1][0] - self._samples[0][0] >= CPU_WINDOW_S

    def note(self, now_s: float, used_s: float) -> float | None:
        """Return the same for given times."""
        samples = self._samples
        samples.append((now_s, used_s))
        while len(samples) > 1 and samples[1][0] <= now_s - CPU_WINDOW_S:
            samples.popleft()
        began_s, before_s = samples[0]
        return 100 * (used_s - before_s) / (now_s - began_s) if now_s > began_s else None


def memory_percent(meminfo: str) -> float | None:
    """Return how much of the memory is in use, by the text of ``/proc/meminfo``; None if it does not say."""
    kib = {}
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if name in {"MemTotal", "MemAvailable"}:
            kib[name] = int(rest.split()[0])
    if len(kib) != 2 or not kib["MemTotal"]:
        return None
    return 100 * (1 - kib["MemAvailable"] / kib["MemTotal"])


def memory_in_use() -> float | None:
    """Return how many percent of the machine's memory are in use; None where the system does not say."""
    try:
        return memory_percent(MEMINFO.read_text(encoding="ascii"))
    except OSError:
        return None


async def disk_free_percent(directory: Path) -> float | None:
    """Return how much of a directory's disk is free; None where that cannot be read. A slow disk delays no call."""
    try:
        disk = await asyncio.to_thread(os.statvfs, directory)
    except OSError:
        return None
    return 100 * disk.f_bavail / disk.f_blocks if disk.f_blocks else None
