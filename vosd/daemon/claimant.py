"""The boot of this machine, this process as the holder of a lease, and whether an earlier holder here has ended.

An earlier holder has ended if it locked the ``state_dir`` that this process has locked now, or if its pid is gone.
Either counts only under the same boot of the same kernel: a copy of a machine has the same pids and files.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from vosd.cdr.lease import Claimant

BOOT_TOLERANCE_S: Final = 5
"""Largest difference of two readings of the boot time: clocks are adjusted by so much."""

_PROC: Final = Path("/proc")
_STATE, _STARTED = 0, 19
"""Fields of /proc/PID/stat after the process's name (proc(5): 3 and 22)."""
BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
BOOT_ID_VARIABLE: Final = "VOSD_BOOT_ID"
"""Set by the systemd unit, which hides the file."""


def boot_id(environ: Mapping[str, str] = os.environ, file: Path = BOOT_ID_FILE) -> str:
    """Return the kernel's id of this boot as 32 hexadecimal digits; empty where it is hidden."""
    text = environ.get(BOOT_ID_VARIABLE, "")
    if not text:
        try:
            text = file.read_text()
        except OSError:
            return ""
    return text.strip().replace("-", "").lower()


def process_age_ms() -> int | None:
    """Return how long ago this process was started, to a hundredth of a second; None where the kernel hides it."""
    fields = _fields(os.getpid())
    if not fields:
        return None
    started_s = int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")
    return round(1_000 * (time.clock_gettime(time.CLOCK_BOOTTIME) - started_s))


class _Process(NamedTuple):
    """Fields of ``Claimant.process``, in order; empty = not known."""

    boot_id: str
    booted_s: str
    """Seconds since 1970; used where the service manager hides the kernel's boot id."""
    pid_namespace: str
    started: str
    state_dir: str


def claimant_of(node: str, state_dir: Path) -> Claimant:
    """Return this process as claimant of the lease for ``node``; call it after locking ``state_dir``."""
    return Claimant(node, str(uuid4()), socket.gethostname(), os.getpid(), " ".join(_this_process(state_dir)))


def has_ended(other: Claimant, state_dir: Path) -> bool:
    """Return whether a process of this host has ended; False if that cannot be known.

    ``state_dir`` is locked by this process.
    """
    theirs, ours = _of_this_boot(other, state_dir)
    if theirs is None:
        return False
    if theirs.state_dir and theirs.state_dir == ours.state_dir:
        return True
    return bool(theirs.pid_namespace) and theirs.pid_namespace == ours.pid_namespace and _is_gone(other.pid, theirs)


def worked_elsewhere(other: Claimant, state_dir: Path) -> bool:
    """Return whether an earlier holder of this host had another ``state_dir``; False if that cannot be known.

    After a boot it cannot: a disk may have another number then.
    """
    theirs, ours = _of_this_boot(other, state_dir)
    return theirs is not None and bool(theirs.state_dir) and theirs.state_dir != ours.state_dir


def _of_this_boot(other: Claimant, state_dir: Path) -> tuple[_Process | None, _Process]:
    """Return another process, None where it is not known to be of this boot of this host, and this one."""
    words, ours = other.process.split(" "), _this_process(state_dir)
    if len(words) != len(_Process._fields):
        return None, ours
    theirs = _Process(*words)
    return theirs if _same_boot(theirs, ours) else None, ours


def _same_boot(theirs: _Process, ours: _Process) -> bool:
    if theirs.boot_id and ours.boot_id:
        return theirs.boot_id == ours.boot_id
    if not theirs.booted_s.isdecimal():
        return False
    return abs(int(theirs.booted_s) - int(ours.booted_s)) <= BOOT_TOLERANCE_S


def _is_gone(pid: int, process: _Process) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    fields = _fields(pid)
    return bool(fields) and (fields[_STATE] == "Z" or fields[_STARTED] != process.started)


def _this_process(state_dir: Path) -> _Process:
    own = _fields(os.getpid())
    booted_s = round(time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME))
    return _Process(
        _read(lambda: (_PROC / "sys/kernel/random/boot_id").read_text().strip()),
        str(booted_s),
        _read(lambda: str((_PROC / "self/ns/pid").readlink())),
        own[_STARTED] if own else "",
        _read(lambda: "{0.st_dev}:{0.st_ino}".format(state_dir.stat())),
    )


def _fields(pid: int) -> list[str]:
    """Return the fields of a process after its name; empty = they cannot be read."""
    return _read(lambda: (_PROC / str(pid) / "stat").read_text().rpartition(")")[2]).split()


def _read(look: Callable[[], str]) -> str:
    try:
        return look()
    except OSError:
        return ""
