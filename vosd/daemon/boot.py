"""Identity of the boot of this machine, and when this process began; the monotonic clock begins anew with each boot."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE: Final = Path("/proc/sys/kernel/random/boot_id")
VARIABLE: Final = "VOSD_BOOT_ID"
"""Set by the systemd unit, which hides the file."""
_STARTED: Final = 19
"""Field of /proc/PID/stat after the process's name (proc(5): 22): ticks since the boot."""


def boot_id(environ: Mapping[str, str] = os.environ, file: Path = FILE) -> str:
    """Return the kernel's id of this boot as 32 hexadecimal digits; empty where it is hidden."""
    text = environ.get(VARIABLE, "")
    if not text:
        try:
            text = file.read_text()
        except OSError:
            return ""
    return text.strip().replace("-", "").lower()


def process_age_ms() -> int | None:
    """Return how long ago this process was started, to a hundredth of a second; None where the kernel hides it."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    started_s = int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")
    return round(1_000 * (time.clock_gettime(time.CLOCK_BOOTTIME) - started_s))
