"""Files and directories that a verb writes where its user says."""

from pathlib import Path

from vosd.cli.command import OperationError
from vosd.processes.whole_file import write_parts


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a whole file; a pipe or a device is written to.

    Raises:
        OperationError: it cannot be written; the message names it.
    """
    try:
        write_parts(path, (content,), mode)
    except OSError as error:
        raise _unwritten(path, error) from error


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, unless it is there.

    Raises:
        OperationError: it cannot be made; the message names it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> OperationError:
    return OperationError(f"{path} cannot be written: {error.strerror or error}")
