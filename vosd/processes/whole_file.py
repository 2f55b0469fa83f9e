"""Files that exist as a whole or not at all, whatever happens while they are written."""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final

DRAFT: Final = ".draft"
"""Suffix of a file that is being written; one that a kill left is written over by the next."""

_DESCRIPTORS: Final = "/proc/self/fd"
_LINKS_MAX: Final = 40
"""MAXSYMLINKS"""


def replace_file(path: Path, content: bytes, *, synced: bool = False) -> None:
    """Put a private file in the place of the one before; ``synced`` = it is on the disk before it has its name.

    Raises:
        OSError: the one before stays.
    """
    draft = path.with_suffix(DRAFT)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if synced:
            sync_file(file)
    draft.replace(path)


def write_parts(path: Path, parts: Iterable[bytes], mode: int) -> None:
    """Write a file that a user has named, as ``open_whole`` does.

    Raises:
        OSError: the one before stays.
    """
    with open_whole(path, mode) as file:
        file.writelines(parts)


@contextmanager
def open_whole(path: Path, mode: int) -> Iterator[BinaryIO]:
    """Open a file that a user has named, in a directory that others may write to.

    At the end it takes the place of the one before, which may be readable for others, and which an error leaves. A pipe
    or a device is written to, and so is a file that is open already, as behind /dev/stdout: it may have lines, and gets
    more.

    Raises:
        OSError: the one before stays.
    """
    if _own_descriptor(path) is not None or (path.exists() and not path.is_file()):
        with open_growing(path) as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    if path.is_symlink():  # one that leads to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    descriptor, draft = tempfile.mkstemp(DRAFT, ".vosd-", path.parent)  # 0600, and no file of another user
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            os.fchmod(descriptor, mode)
            sync_file(file)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink()
        raise


def open_growing(path: Path) -> BinaryIO:
    """Open a file that a user has named and that grows, without its lines from before; a new one is private.

    A file that is open already, as behind /dev/stdout, keeps its lines and gets more.

    Raises:
        OSError: it cannot be written.
    """
    own = _own_descriptor(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600) if own is None else os.dup(own), "wb")


def _own_descriptor(path: Path) -> int | None:
    """Return the descriptor of this process that a path leads to, as /dev/stdout does; None = it is another file."""
    descriptors = Path(_DESCRIPTORS).resolve()
    for _ in range(_LINKS_MAX):
        if not path.is_symlink():
            return None
        if path.parent.resolve() == descriptors:
            return int(path.name)
        path = path.parent / path.readlink()
    return None


def sync_file(file: IO[bytes]) -> None:
    """Bring what was written to the disk; raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Bring the names of a directory's files to the disk; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
