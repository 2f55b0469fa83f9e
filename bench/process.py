"""Resources of a process, as the kernel counts them: all threads, user and system time."""

import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """Processor seconds."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def since(self, earlier: "Cpu") -> "Cpu":
        return Cpu(self.user - earlier.user, self.system - earlier.system)


def cpu_of(pid: int) -> Cpu:
    """Return the processor time of the process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cpu(int(fields[11]) / _TICKS, int(fields[12]) / _TICKS)


def family_cpu_of(pid: int) -> Cpu:
    """Return the processor time of a process and of its running children."""
    parts = [cpu_of(pid)]
    for task in Path(f"/proc/{pid}/task").iterdir():
        parts += [cpu_of(int(child)) for child in (task / "children").read_text().split()]
    return Cpu(sum(part.user for part in parts), sum(part.system for part in parts))


def proportional_bytes(pid: int) -> int:
    """Return the resident memory of the process, its part of what it shares with others: parts of all are a sum."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def resident_bytes(pid: int) -> int:
    """Return the resident memory of the process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
