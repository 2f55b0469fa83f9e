"""Lock of the state directory: one switch only; the kernel releases it when the process ends in any way.

Two switches on one journal would book each other's calls, so a start takes the lock first. The directory belongs to
the configuration that used it last: another one with the same relative ``state_dir`` is refused, because it would go on
with the calls of that one.
"""

import errno
import fcntl
import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final

from vosd.base.errors import VosError
from vosd.config.places import LOCK, Installation, recorded_in

ROOM_BYTES: Final = 1 << 20
"""Less room than this is none: what did not fit may have been larger."""
_RUNNING: Final = "running"
"""Stands behind the pid of a switch until it has ended in order; earlier versions, and commands, have the pid alone."""


class EndOfClaim(Enum):
    """The way in which a process gives its state directory up."""

    IN_ORDER = "in order"
    """It was ready, and was asked to stop."""
    HANDED_OVER = "handed over"
    """Another process goes on with the calls, and has not claimed the directory yet."""
    OF_START = "of a start"
    """It was never ready: what the switch before has left is still so."""


class StateDirectoryError(VosError):
    """The state directory cannot be used, or it is another switch's."""


class StateDirectory:
    """The directory of journal and compiled state, while this process holds its lock."""

    def __init__(self, path: Path, installation: Installation | None = None) -> None:
        """``installation`` is recorded for commands; None leaves the record of the last switch as it is."""
        self.path = path
        self._installation = installation
        self._lock: int | None = None
        self._left = ""
        """The first line as the switch before has left it."""

    def claim(self) -> None:
        """Create the directory if it is missing, and lock it.

        Raises:
            StateDirectoryError: it cannot be created or written, another switch runs on it, or it has what the switch
                of another configuration left.
        """
        lock_file = self.path / LOCK
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with expected_usable(self.path):
                lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            advice = "make it writable for vosd"
            if error.errno == errno.EROFS:
                advice += f"; under systemd ReadWritePaths={self.path} (systemctl edit vosd)"
            raise StateDirectoryError(f"state_dir {self.path} cannot be used: {error.strerror}; {advice}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = _first_line(lock).partition(" ")[0]
            os.close(lock)
            message = f"another switch (pid {owner}) runs on state_dir {self.path}; stop it or use another one"
            raise StateDirectoryError(message) from error
        recorded = recorded_in(self.path)
        if self._installation is not None:
            if recorded is not None and not recorded.is_of(Path(self._installation.configuration)):
                os.close(lock)
                raise StateDirectoryError(
                    f"state_dir {self.path} has the journal of the switch {recorded}; give this configuration a "
                    f"state_dir of its own, or, if it replaces that one, rename or remove {recorded.configuration}"
                )
            recorded = self._installation
        self._left = _first_line(lock)
        _record(lock, str(os.getpid()) if self._installation is None else f"{os.getpid()} {_RUNNING}", recorded)
        self._lock = lock

    def release(self, ending: EndOfClaim = EndOfClaim.IN_ORDER) -> None:
        """Release the lock, and note how a switch has ended; a command leaves what it has found."""
        if self._lock is None:
            return
        with suppress(OSError):  # a disk that has become read-only: the next start may take this one for killed
            if self._installation is None or ending is EndOfClaim.OF_START:
                _record(self._lock, self._left, recorded_in(self.path))
            elif ending is EndOfClaim.IN_ORDER:
                _record(self._lock, f"{os.getpid()} ended", recorded_in(self.path))
        os.close(self._lock)
        self._lock = None


@contextmanager
def expected_usable(state_dir: Path) -> Iterator[None]:
    """Say what to do where a file of a state directory belongs to another user, or its disk is full.

    Raises:
        StateDirectoryError: it is so before, or an operation within met it.
    """
    if (why := why_closed(state_dir)) is not None:
        raise StateDirectoryError(why)
    try:
        yield
    except OSError as error:
        file = error.filename
        is_within = isinstance(file, str | os.PathLike) and Path(file).is_relative_to(state_dir)
        if isinstance(error, PermissionError) and is_within:
            raise StateDirectoryError(_closed(file, state_dir)) from error
        # To write names no file. It may have been another disk, or the kernel has no more watches of files.
        if error.errno == errno.ENOSPC and (is_within or (file is None and _is_full(state_dir))):
            message = f"state_dir {state_dir}: {error.strerror}: make room there (df, df -i)"
            raise StateDirectoryError(message) from error
        raise


def why_closed(state_dir: Path) -> str | None:
    """Return what to do where a state directory is closed to this user; None = it is not, or will be made."""
    needed = os.R_OK | os.W_OK | os.X_OK
    is_there = os.path.exists(state_dir)  # noqa: PTH110 - false, not an error, where the one above is closed
    is_closed = is_there and not os.access(state_dir, needed, effective_ids=True)
    if is_closed and not os.statvfs(state_dir).f_flag & os.ST_RDONLY:  # what is read-only is closed to its owner, too
        return _closed(state_dir, state_dir)
    return None


def _is_full(directory: Path) -> bool:
    """Return whether the disk of a directory has no room for this user, or for further files."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize < ROOM_BYTES or (disk.f_files > 0 and not disk.f_favail)


def other_owner(directory: Path) -> int | None:
    """Return the owner of a directory where this is root and the owner is not; None = it is not so."""
    try:
        return (directory.stat().st_uid or None) if os.geteuid() == 0 else None
    except OSError:  # it will be made
        return None


def warning_to_root(directory: Path) -> str | None:
    """Return what to do where root is about to make files in the directory of another user; None = it is not so."""
    if (owner := other_owner(directory)) is None:
        return None
    name = user_name(owner)
    closed = f"{directory} belongs to the user {name}, who may not use what root makes there"
    return f"{closed}: run this as that user, or chown -R {name}: {directory} afterwards"


def user_name(user: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _closed(file: str | os.PathLike[str], state_dir: Path) -> str:
    user = os.geteuid()
    with suppress(OSError):
        if os.stat(file).st_uid == user:  # noqa: PTH116 - as the error has it, text or path
            return f"{file} may not be used by its own user: chmod -R u+rwX {state_dir}"
    own = f"chown -R {user_name(user)}: {state_dir}"
    return f"{file} may not be used by this user: run this as the user of the switch; if it is that, {own}"


def was_killed(state_dir: Path) -> bool:
    """Return whether the switch that used a state directory last did not end in order, and none runs on it now."""
    try:
        with (state_dir / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return _first_line(lock.fileno()).endswith(f" {_RUNNING}")
    except OSError:  # there was none, or it runs
        return False


def goes_on(state_dir: Path) -> bool:
    """Return whether a switch runs on a state directory, or did not end in order: the next start goes on with it."""
    try:
        with (state_dir / LOCK).open("rb") as lock:
            return _first_line(lock.fileno()).endswith(f" {_RUNNING}")
    except OSError:
        return False


def _first_line(lock: int) -> str:
    return os.pread(lock, 64, 0).decode(errors="replace").partition("\n")[0]


def _record(lock: int, first: str, installation: Installation | None) -> None:
    """Write the file over the one before, which has the same size or nearly: a full disk cannot empty it."""
    lines = [first] if installation is None else [first, json.dumps(installation._asdict())]
    content = "".join(f"{line}\n" for line in lines).encode()
    os.pwrite(lock, content, 0)
    os.ftruncate(lock, len(content))
