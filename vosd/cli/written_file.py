"""Files and directories that a verb writes where its user says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from vosd.cli.command import OperationError
from vosd.cli.output import output_of_files
from vosd.processes.whole_file import open_whole, write_parts

TEXT_FILE: Final = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
"""A file that ``written_text`` writes."""
_OUTPUT: Final = Path("-")


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a whole file; a pipe or a device is written to.

    Raises:
        OperationError: it cannot be written; the message names it.
    """
    try:
        write_parts(path, (content,), mode)
    except OSError as error:
        raise _unwritten(path, error) from error


@contextmanager
def written_text(path: Path) -> Iterator[Callable[[str], object]]:
    """Return what writes a part of a text that is a file once all is written; ``-`` is standard output.

    Raises:
        OperationError: it cannot be written; the message names it. The file of before stays.
    """
    if path == _OUTPUT:
        yield output_of_files().write
        return
    try:
        with open_whole(path, 0o600) as file:
            yield lambda part: file.write(part.encode())
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
