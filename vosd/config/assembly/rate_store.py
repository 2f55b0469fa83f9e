"""The directory of compiled rate files: written under a temporary name, checked before they are used, removed when old.

Files are named by content (``rate_orders``), so it does no harm when two processes write the same one.
"""

import hashlib
import mmap
import os
import tempfile
import time
from collections.abc import Iterable, Set
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from vosd.billing.rate_file import RateFile
from vosd.billing.rate_layout import DamagedRateFileError, decode_header
from vosd.config.assembly.rate_orders import SUFFIX

DIRECTORY: Final = "rates"
"""Name of the directory within ``state_dir``."""
_READ_AT_ONCE: Final = 1 << 20
_HEADER_BYTES: Final = 8_192
_TEMPORARY: Final = ".compiling-"
KEPT_S: Final = 3_600.0
"""A file that is not in use stays so long after it was written: another process may be about to use it."""


class RateStore:
    """Compiled rate files in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Create the directory if it is missing; raises OSError where it cannot be created."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self, name: str, *, is_checked: bool = False) -> RateFile | None:
        """Map a file into memory; None where there is none that is whole.

        ``is_checked``: another process has just checked or written it, so only its header and size are looked at.
        """
        try:
            with (self.directory / name).open("rb") as file:
                if not is_checked and not _is_whole(file):
                    return None
                return RateFile(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except (OSError, ValueError, DamagedRateFileError):  # ValueError: the file is empty
            return None

    def write(self, name: str, parts: Iterable[bytes | bytearray]) -> None:
        """Write a file, readable for its owner alone; it exists as a whole or not at all.

        Raises:
            OSError: it cannot be written, and nothing is left of it.
        """
        descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=self.directory)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                file.writelines(parts)
            Path(temporary).replace(self.directory / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def sweep(self, in_use: Set[str]) -> None:
        """Remove files that no table uses, and what processes left that were killed while they wrote."""
        oldest = time.time() - KEPT_S  # noqa: TID251 - compared with times of the file system
        with suppress(OSError):
            for path in self.directory.iterdir():
                is_ours = path.name.endswith(SUFFIX) or path.name.startswith(_TEMPORARY)
                if is_ours and path.name not in in_use and path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)


def is_own(directory: Path) -> bool:
    """Return whether a directory exists and belongs to the user of this process, who may write to it."""
    try:
        found = directory.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and os.access(directory, os.W_OK)


def _is_whole(file: BinaryIO) -> bool:
    """Return whether the digest of a file holds; it is read and not mapped, so that its pages do not stay."""
    try:
        header, begin = decode_header(file.read(_HEADER_BYTES))
    except DamagedRateFileError:
        return False
    if os.fstat(file.fileno()).st_size != begin + header.body_bytes:
        return False
    file.seek(begin)
    digest = hashlib.sha256()
    while part := file.read(_READ_AT_ONCE):
        digest.update(part)
    return digest.hexdigest() == header.digest
