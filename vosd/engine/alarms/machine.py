"""Measure what the machine has left: disk, processors, memory; and what the network carries."""

import asyncio
import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Final, NamedTuple, TypeVar

MEMINFO: Final = Path("/proc/meminfo")
PROC: Final = Path("/proc")
OWN_GROUP: Final = Path("/proc/self/cgroup")
CGROUPS: Final = Path("/sys/fs/cgroup")
SYS_NET: Final = Path("/sys/class/net")
_RECLAIMABLE: Final = frozenset({"active_file", "inactive_file", "slab_reclaimable"})
"""Counts of ``memory.stat`` of a group that the kernel takes back before it ends a process."""
WINDOW_S: Final = 60
MACHINE: Final = "machine"
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")

Found = TypeVar("Found")


def has_address(host: str) -> bool:
    """Return whether this machine has an IP address; True where it cannot be known."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


class MinuteRate:
    """Rate of a total over the last minute; over less where it was watched for less."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()
        """Monotonic seconds, and the total."""

    @property
    def is_of_a_minute(self) -> bool:
        """Whether the latest rate is that of a whole minute."""
        return len(self._samples) > 1 and self._samples[-1][0] - self._samples[0][0] >= WINDOW_S

    def note(self, now_s: float, total: float) -> float | None:
        """Return the rate a second since a minute ago, or since the first look, which itself returns None."""
        samples = self._samples
        samples.append((now_s, total))
        while len(samples) > 1 and samples[1][0] <= now_s - WINDOW_S:
            samples.popleft()
        began_s, before = samples[0]
        return max(0.0, (total - before) / (now_s - began_s)) if now_s > began_s else None


class ProcessorUse(NamedTuple):
    """Use of processors in percent."""

    percent: float
    is_of_a_minute: bool


class MachineMeter:
    """Use of the processors and the network by the machine, and of one core by each process of the switch."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, int], MinuteRate] = {}
        self._received, self._sent = MinuteRate(), MinuteRate()
        self.processors: dict[str, ProcessorUse] = {}
        """By process; ``machine`` = all processors together."""
        self.network: tuple[float | None, float | None] = (None, None)
        """Bytes a second in and out; None = not known yet, or the system does not say."""

    def look(self, processes: Mapping[str, int]) -> None:
        """Look at the machine and at processes, whose ids are given by their names."""
        now_s = time.monotonic()
        used = {(MACHINE, 0): _read("stat", machine_seconds)}
        used |= {(name, pid): _read(f"{pid}/stat", process_seconds) for name, pid in processes.items()}
        self._rates = {
            each: self._rates.get(each) or MinuteRate() for each, seconds in used.items() if seconds is not None
        }
        self.processors = {}
        for each, rate in self._rates.items():
            share = rate.note(now_s, used[each] or 0.0)
            if share is not None:
                self.processors[each[0]] = ProcessorUse(100 * share, rate.is_of_a_minute)
        bytes_of = _read("net/dev", network_bytes)
        if bytes_of is not None:
            self.network = self._received.note(now_s, bytes_of[0]), self._sent.note(now_s, bytes_of[1])


def _read(name: str, read: Callable[[str], Found]) -> Found | None:
    """Return what a file of ``/proc`` says; None where there is none, as of a process that has ended."""
    try:
        return read((PROC / name).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def machine_seconds(stat: str) -> float:
    """Return how long each processor of the machine was busy on average, by the text of ``/proc/stat``."""
    lines = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
    user, nice, system, _idle, _iowait, *others = map(int, lines[0][1:9])  # guests are counted as user already
    return (user + nice + system + sum(others)) / _TICKS_A_SECOND / max(1, len(lines) - 1)


def process_seconds(stat: str) -> float:
    """Return the processor time of a process, by the text of ``/proc/PID/stat`` (proc_pid_stat(5))."""
    fields = stat.rpartition(")")[2].split()  # its name may have blanks
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def network_bytes(dev: str) -> tuple[int, int]:
    """Return the bytes received and sent by the interfaces of a device, by the text of ``/proc/net/dev``.

    Bonds, VLANs and bridges count the packets of their devices again, and so does a device with a virtual function
    below it (Azure, net_failover). Where no interface has a device, as in a container, all but the loopback are added.
    """
    counts = {}
    for line in dev.splitlines()[2:]:
        name, _, fields = line.partition(":")
        counts[name.strip()] = fields.split()
    counts.pop("lo", None)
    of_devices = [fields for name, fields in counts.items() if _is_counted(SYS_NET / name)]
    counted = of_devices or counts.values()
    return sum(int(fields[0]) for fields in counted), sum(int(fields[8]) for fields in counted)


def _is_counted(interface: Path) -> bool:
    """Return whether an interface is of a device that no other such interface has for its own."""
    return (interface / "device").exists() and not (interface / "master" / "device").exists()


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
    """Return how many percent of the memory are in use that this process may have; None where the system does not say.

    That is the machine's, or what a group of processes is limited to that this one belongs to (``MemoryMax`` of its
    service, a container), whichever has less left: the kernel ends a process where either is used up.
    """
    try:
        of_machine = memory_percent(MEMINFO.read_text(encoding="ascii"))
    except OSError:
        of_machine = None
    shares = (of_machine, *map(_share_of_limit, _groups()))
    return max((share for share in shares if share is not None), default=None)


def _groups() -> list[Path]:
    """Return the directories of the control groups of this process, of version 2, from the inside to the outside."""
    try:
        lines = OWN_GROUP.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = next((line[len("0::/") :] for line in lines if line.startswith("0::/")), None)
    return [] if found is None else [CGROUPS / each for each in (PurePath(found), *PurePath(found).parents)]


def _share_of_limit(group: Path) -> float | None:
    """Return how much of its limit a group uses, in percent; None where it has none, as the outermost of a machine."""
    try:
        limit, current, counts = (
            (group / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current", "memory.stat")
        )
    except OSError:
        return None
    if limit.strip() == "max":
        return None
    reclaimable = sum(int(count) for name, count in map(str.split, counts.splitlines()) if name in _RECLAIMABLE)
    return 100 * max(0, int(current) - reclaimable) / max(1, int(limit))


async def disk_free_percent(directory: Path) -> float | None:
    """Return how much of a directory's disk is free, of its room or of its inodes, whichever is less.

    None where that cannot be read. A slow disk delays no call.
    """
    try:
        disk = await asyncio.to_thread(os.statvfs, directory)
    except OSError:
        return None
    parts = ((disk.f_bavail, disk.f_blocks), (disk.f_favail, disk.f_files))  # some file systems count no inodes
    return min((100 * free / most for free, most in parts if most), default=None)
