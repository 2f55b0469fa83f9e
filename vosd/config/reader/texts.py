"""The files of YAML that a configuration is read from: those on the disk, with what was read of them."""

import hashlib
import os
from glob import glob
from pathlib import Path
from typing import Protocol

from vosd.base.file_modes import may_wait


def absolute(path: Path) -> str:
    """Return an absolute path without ``..``; symbolic links stay."""
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve follows links


def digest_of(content: bytes) -> str:
    """Return what content is known by."""
    return hashlib.sha256(content).hexdigest()


FileStamp = tuple[int, ...]
"""Numbers that change when a file is written or replaced."""


def stamp_of(found: os.stat_result) -> FileStamp:
    """Return the stamp of a file."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class NoRegularFileError(ValueError):
    """A file is a pipe, a socket or a device: to read it may take for ever."""


def require_regular(path: Path) -> None:
    """Refuse to read pipes, sockets and devices.

    Raises:
        NoRegularFileError: it is one.
        OSError: it is not there.
    """
    if may_wait(path.stat().st_mode):
        raise NoRegularFileError("no pipe, socket or device")


class Texts(Protocol):
    """Source of the text of each file."""

    contents: dict[str, bytes]
    """Contents that were read, by absolute path."""
    matched: dict[str, list[str]]
    """The files that fit each pattern that was asked for."""

    def read(self, path: Path, bytes_max: int, *, only_regular: bool = False) -> bytes:
        """Return the content of a file, at most one byte more than ``bytes_max``.

        Raises:
            NoRegularFileError: it is none, and nothing else is read where ``only_regular`` is set.
            OSError: it cannot be read.
            ValueError: it has an impossible name.
        """

    def matching(self, pattern: str) -> list[str]:
        """Return the files that fit a pattern; raises ValueError where it is no pattern."""


class DiskTexts:
    """Files as they are now (implements ``Texts``)."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.matched: dict[str, list[str]] = {}

    def read(self, path: Path, bytes_max: int, *, only_regular: bool = False) -> bytes:
        """Return the content of a file."""
        if only_regular:
            require_regular(path)
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
        self.contents[absolute(path)] = content
        return content

    def matching(self, pattern: str) -> list[str]:
        """Return the files that fit a pattern."""
        found = self.matched[pattern] = sorted(glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern
        return found
