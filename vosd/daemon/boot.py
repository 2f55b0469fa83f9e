"""Identity of the boot of this machine: the monotonic clock begins anew with each."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE: Final = Path("/proc/sys/kernel/random/boot_id")
VARIABLE: Final = "VOSD_BOOT_ID"
"""Set by the systemd unit, which hides the file."""


def boot_id(environ: Mapping[str, str] = os.environ, file: Path = FILE) -> str:
    """Return the kernel's id of this boot as 32 hexadecimal digits; empty where it is hidden."""
    text = environ.get(VARIABLE, "")
    if not text:
        try:
            text = file.read_text()
        except OSError:
            return ""
    return text.strip().replace("-", "").lower()
