"""The directory of exported files: each file appears whole and once, whenever the program is killed (ADR 71).

What will appear is written to the state before it appears, so the next run knows what to complete. It does not know
what is in a file.
"""

import fcntl
import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE
from vosd.processes.whole_file import sync_directory, sync_file

STATE_VERSION: Final = 1
FETCHED: Final = 0o640
"""Mode of files with telephone numbers: for the owner, and for the group that fetches them."""
KEPT: Final = 0o600
"""Mode of files of the state directory: for the owner alone."""
KEPT_DIRECTORY: Final = 0o700
"""Mode of directories with such files."""
_READ_AT_ONCE: Final = 1 << 20
_GZIP_LEVEL: Final = 6
_STATE: Final = ".state.json"


class ExportBlocked(VosError):  # noqa: N818 - states what was found
    """The directory cannot be exported to; the message says what to do."""


class ExportManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Content of a file; stands beside it as JSON."""

    name: str
    number: int
    """1, 2, 3 ... without gap within the directory and name."""
    file: str
    first: int
    """``export_seq`` of the first call."""
    last: int
    """``export_seq`` of the last call."""
    rows: int
    sums: dict[str, dict[str, str]]
    """By currency: fee, tax, cost, cost_tax of all calls."""
    corrected_rows: int
    """Calls whose charges were corrected: an earlier file may have them with other amounts."""
    corrected_sums: dict[str, dict[str, str]]
    """The part of ``sums`` that is of these calls."""
    bytes: int
    sha256: str
    """Digest of the file as it is, compressed or not."""
    format: str
    compression: str
    profile_sha256: str | None
    made_at: str
    version: str
    formulas_neutralised: bool = False
    """The file is for programs: its cells are as they are, and may be formulas to a spreadsheet."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Position up to which the calls of the database were examined."""

    last: int = 0
    """``export_seq`` up to which calls were exported, or are of no interest to the profile."""
    witnesses: dict[int, str] = {}
    """The newest numbers and their calls, wanted or not: shows a database that was restored to an earlier state."""
    witnessed_after: int
    """All calls with a number above this, up to ``last``, are in ``witnesses``."""


class ExportState(Position, frozen=True, kw_only=True):
    """Position of the export."""

    version: int = STATE_VERSION
    number: int = 0
    """Number of the newest file."""
    pending: ExportManifest | None = None
    """A file that is about to appear; the position is behind it."""
    before: Position | None = None
    """The position before the pending file; None = none is pending."""

    def at(
        self, position: Position, *, pending: ExportManifest | None = None, before: Position | None = None
    ) -> "ExportState":
        """Return the state with another position."""
        return ExportState(
            last=position.last,
            witnesses=position.witnesses,
            witnessed_after=position.witnessed_after,
            number=self.number,
            pending=pending,
            before=before,
        )

    def position(self) -> Position:
        """Return the position alone."""
        return Position(last=self.last, witnesses=self.witnesses, witnessed_after=self.witnessed_after)

    def appeared(self) -> Position:
        """Return the position behind the files that have certainly appeared."""
        return self.position() if self.before is None else self.before


class ExportDirectory:
    """One directory and name; made by ``opened``, which holds its lock."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._state_file = directory / f".{name}{_STATE}"
        self.part: Final = directory / f".{name}.part"
        """The file that is being written."""
        self.state = ExportState(witnessed_after=0)
        self.is_new = True
        """Whether nothing was exported here before."""

    def recover(self) -> ExportManifest | None:
        """Read the state, complete a file that was about to appear, and return its manifest.

        Raises:
            ExportBlocked: the state cannot be read.
        """
        found = self.read_state()
        if found is not None:
            self.state, self.is_new = found, False
        pending = self.state.pending
        if pending is None:
            return None
        if self.part.exists() and _digest(self.part) != pending.sha256:
            # It was on the disk before the state was, so the disk is damaged. Nothing has appeared yet: write it again,
            # from where it began.
            self._save(self.state.at(self.state.appeared()))
            return None
        self._show(pending)
        return pending

    def begin_after(self, after: int) -> None:
        """Start behind a number; nothing was exported here before."""
        self.state = ExportState(last=after, witnessed_after=after)

    def advance(self, position: Position) -> None:
        """Remember that the profile wants none of the calls up to a position; also where a new directory begins."""
        if position.last != self.state.last or (self.is_new and position.last):
            self._save(self.state.at(position))

    def publish(self, manifest: ExportManifest, position: Position) -> None:
        """Let the written part appear under its name, then its manifest; calls are behind the position next."""
        self._save(self.state.at(position, pending=manifest, before=self.state.position()))
        self._show(manifest)

    def _show(self, manifest: ExportManifest) -> None:
        if self.part.exists():  # else it has appeared, and who fetches files may have taken it
            self.part.replace(self._directory / manifest.file)
        self._write(self._directory / f"{manifest.file}.json", msgspec.json.format(msgspec.json.encode(manifest)))
        self._save(msgspec.structs.replace(self.state, number=manifest.number, pending=None, before=None))

    def read_state(self) -> ExportState | None:
        """Return how far the export is; None if nothing was exported yet.

        Raises:
            ExportBlocked: it cannot be read.
        """
        try:
            text = self._state_file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            advice = f"if another user ran the export, give {self._directory} to the user of the switch (chown -R)"
            raise ExportBlocked(f"{self._state_file} cannot be read ({error.strerror}): {advice}") from error
        try:
            found = msgspec.json.decode(text, type=ExportState)
        except UNDECODABLE as error:
            advice = "remove it, and say `after` with the last of the newest manifest"
            raise ExportBlocked(f"{self._state_file} is damaged ({error}): {advice}") from error
        if found.version != STATE_VERSION:
            message = f"{self._state_file} was written by another version of vosd (form {found.version}): use that one"
            raise ExportBlocked(message)
        return found

    def _save(self, state: ExportState) -> None:
        self._write(self._state_file, msgspec.json.format(msgspec.json.encode(state)))
        self.state = state

    def _write(self, path: Path, content: bytes) -> None:
        """Replace a file at once, also where the power fails."""
        draft = self._directory / f".{self._name}.draft"
        with open_private(draft) as file:
            file.write(content)
            sync_file(file)
        draft.replace(path)
        sync_directory(self._directory)


def positions(directory: Path) -> dict[str, int]:
    """Return up to which ``export_seq`` calls are in the files of each export of a directory, by its name.

    Raises:
        ExportBlocked: a state cannot be read.
    """
    files = sorted(directory.glob(f".*{_STATE}"))
    names = [file.name.removeprefix(".").removesuffix(_STATE) for file in files]
    found = {}
    for name in names:
        state = ExportDirectory(directory, name).read_state()
        if state is not None:
            found[name] = state.appeared().last
    return found


@contextmanager
def opened(directory: Path, name: str, mode: int = FETCHED) -> Iterator[ExportDirectory]:
    """Yield a directory that no other run exports to meanwhile; ``mode`` is that of the file with the lock.

    Raises:
        ExportBlocked: it does not exist, or another run has it.
    """
    try:
        lock = open_private(directory / f".{name}.lock", mode)
    except FileNotFoundError as error:
        raise ExportBlocked(f"{directory} is no directory: make it, for the user who runs this") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExportBlocked(f"another run exports {name} to {directory} now: wait for its end") from error
        yield ExportDirectory(directory, name)


class ExportPart:
    """The file that is being written: counts and digests what is written to the disk.

    One that cannot be written is removed: it would keep a disk full that may be the one of the journal.
    """

    def __init__(self, path: Path, *, is_compressed: bool, mode: int = FETCHED) -> None:
        self._path = path
        self._file = open_private(path, mode)
        # Without name and time, so that the same calls give the same file.
        self._out: Any = gzip.GzipFile("", "wb", _GZIP_LEVEL, self._file, mtime=0) if is_compressed else self._file

    def write(self, data: bytes) -> None:
        """Append to the file."""
        with self._whole():
            self._out.write(data)

    def finish(self) -> tuple[int, str]:
        """Bring the file to the disk; return its size in bytes and its SHA-256."""
        with self._whole():
            if self._out is not self._file:
                self._out.close()
            sync_file(self._file)
        self._file.close()
        sync_directory(self._path.parent)  # a state that names the file is never on the disk without it
        return self._path.stat().st_size, _digest(self._path)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._path.unlink(missing_ok=True)
            with suppress(OSError):  # the rest of its buffer finds no room, either
                self._file.close()
            raise


def open_private(path: Path, mode: int = FETCHED) -> Any:
    """Open a file for writing, which others than its owner and the group of ``mode`` may not read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb")


def make_kept_directory(directory: Path) -> None:
    """Make a directory for its owner alone, with those above it; one that is there becomes such a directory."""
    directory.mkdir(mode=KEPT_DIRECTORY, parents=True, exist_ok=True)
    directory.chmod(KEPT_DIRECTORY)


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_AT_ONCE):
            found.update(data)
    return found.hexdigest()
