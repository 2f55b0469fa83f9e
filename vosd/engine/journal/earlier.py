"""What an earlier run of the switch has left in the journal's directory, read before anything is written to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from vosd.engine.journal.files import IN_USE, UNBOOKED, listed
from vosd.engine.journal.replay import JournalUnusableError, Remains, read_segments


class Earlier(NamedTuple):
    """What an earlier run has left."""

    segments: list[Path]
    """Its files, the oldest first."""
    remains: Remains


def read_earlier(directory: Path) -> Earlier:
    """Read the files of an earlier run; this may take a second for each that has to be read whole.

    Raises:
        JournalUnusableError: the directory cannot be made or read.
    """
    with usable(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        segments = listed(directory, IN_USE, UNBOOKED)
        return Earlier(segments, read_segments(segments))


@contextmanager
def usable(directory: Path) -> Iterator[None]:
    """Turn errors of the disk into ``JournalUnusableError``."""
    try:
        yield
    except OSError as error:
        message = f"the journal in {directory} cannot be used: {error.strerror or error}; mend state_dir"
        raise JournalUnusableError(message) from error
