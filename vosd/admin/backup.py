"""``vosd backup``: one file with everything that a switch needs to begin again elsewhere (ADR 73).

The order makes it consistent: first it is settled which commits are in the copy of the database, then the journal is
copied. So a call that is not in the one is in the other.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import chain, count
from pathlib import Path
from typing import Final

import msgspec

from vosd import __version__
from vosd.admin.backup_file import BackupError, BackupManifest, BackupWriter, check_room, reserved, written
from vosd.cdr.columns import iso_utc
from vosd.engine.journal.files import IN_USE, UNBOOKED, all_files, entries, opened
from vosd.engine.journal.quarantine import DIRECTORY as QUARANTINE
from vosd.engine.settings import Settings
from vosd.storage.copies import rows, sqlite, target
from vosd.storage.database import Database

CONFIGURATION: Final = "configuration"
STATE: Final = "state"
TABLES: Final = "database"
SQLITE_FILE: Final = f"{TABLES}/vosd.db"
JOURNAL: Final = "journal"
DOCUMENTS: Final = ("archive", "months")
"""Directories of state whose files are nowhere else: archived payments, pages of closed months."""

Show = Callable[[float, int], None]
"""Receiver of progress: a part of 1, and a count."""


class ConfigurationFiles(msgspec.Struct, frozen=True):
    """The files of a configuration, by absolute paths."""

    main: Path
    all: Sequence[Path]


def target_in(place: Path, node: str, now: int) -> Path:
    """Return the file of a backup: in a directory it is named after the node and the time (UTC milliseconds).

    A name in a directory is reserved: backups of one second are numbered.

    Raises:
        BackupError: there is no such directory; a single file has to be called ``.zip``.
        OSError: the directory cannot be written to.
    """
    if not place.is_dir():
        if place.suffix != ".zip":
            raise BackupError(f"there is no directory {place}: make it, or name a file that ends in .zip")
        return place
    stamp = iso_utc(now)[:19].replace("-", "").replace(":", "")
    endings = chain([""], (f"-{number}" for number in count(2)))
    return next(filter(reserved, (place / f"vosd-{node}-{stamp}Z{ending}.zip" for ending in endings)))


async def make_backup(
    database: Database, settings: Settings, files: ConfigurationFiles, place: Path, now: Callable[[], int], show: Show
) -> BackupManifest:
    """Write a backup to a file that appears when it is complete, and return its manifest.

    A switch may run meanwhile; ``now`` gives UTC milliseconds.

    Raises:
        BackupError: there is too little room, or the file exists.
        StoreUnavailable: the database went away.
        OSError: a file cannot be read or written.
    """
    with written(place) as writer:
        copy = _Copy(writer, settings.state_dir, now)
        if database.file is not None:
            await copy.take_file(database.file, place, show)
        else:
            await copy.take_rows(database, show)
        copy.take_documents()  # behind the database: what is archived meanwhile is in both
        missing = _add_configuration(writer, files)
        return writer.finish(
            BackupManifest(
                version=__version__,
                schema=copy.revision,
                node=settings.node,
                made_at=iso_utc(copy.made_at),
                database="sqlite" if database.is_sqlite else "mysql",
                commits=copy.commits,
                tables=copy.tables,
                configuration=_relative(files.main),
                missing=tuple(missing),
            )
        )


class _Copy:
    """The database and the state of a switch, on their way into a backup."""

    def __init__(self, writer: BackupWriter, state_dir: Path, now: Callable[[], int]) -> None:
        self._writer = writer
        self._state_dir = state_dir
        self._now = now
        self.made_at = self.commits = 0
        self.revision = ""
        self.tables: dict[str, int] = {}

    async def take_file(self, file: Path, place: Path, show: Show) -> None:
        """Take an SQLite database: its pages into a file beside the backup, which then goes into it."""
        copy = place.with_name(f".{place.name}.db")
        _remove(copy)
        try:
            self._take_pages(file, copy, show)
            url = f"sqlite+aiosqlite:///{copy}"
            async with Database(url) as of_copy, of_copy.reading(unhurried=True) as connection:
                self.revision = await target.revision_of(connection)
                self.commits = await target.commits_of(connection)
            self._add_pages(copy, show)
        finally:
            _remove(copy)

    async def take_rows(self, database: Database, show: Show) -> None:
        """Take the rows of a MySQL database, in one state of it."""
        done = 0
        async with database.reading(unhurried=True) as connection:
            self.commits = await target.commits_of(connection)  # from here on the transaction sees one state
            self._take_state()
            self.revision = await target.revision_of(connection)
            estimated = await rows.rows_estimated(connection)
            for table, columns in (await rows.columns_of(connection)).items():
                self.tables[table] = 0
                with self._writer.member(f"{TABLES}/{table}.rows") as write:
                    async with aclosing(rows.written_rows(connection, table, columns)) as parts:
                        async for content, count in parts:
                            write(content)
                            self.tables[table] += count
                            done += count
                            show(done / max(estimated, done, 1), done)

    def _take_pages(self, file: Path, copy: Path, show: Show) -> None:
        check_room(copy.parent, 2 * file.stat().st_size)
        sqlite.copy_database(file, copy, self._take_state, show)
        self.tables = sqlite.rows_of_file(copy)

    def _add_pages(self, copy: Path, show: Show) -> None:
        size = copy.stat().st_size
        with copy.open("rb") as pages:
            self._writer.add(SQLITE_FILE, pages, lambda read: show(read / size, read))

    def _take_state(self) -> None:
        """Copy the journal and the small files of state: the copy of the database has been settled."""
        self.made_at = self._now()
        for path in all_files(self._state_dir / JOURNAL):
            file = opened(path)  # it may have another name by now
            if file is None:
                _check_was_old(path)
                continue
            with file:
                self._writer.add(f"{STATE}/{JOURNAL}/{Path(file.name).name}", file)
        for directory in (self._state_dir / QUARANTINE, self._state_dir):
            self._take_files(sorted(entries(directory, "*.json")))

    def take_documents(self) -> None:
        """Copy the files that the database does not have any more, or never had."""
        for directory in DOCUMENTS:
            self._take_files(sorted(files_below(self._state_dir / directory)))

    def _take_files(self, paths: Iterable[Path]) -> None:
        for path in paths:
            try:
                with path.open("rb") as file:
                    self._writer.add(f"{STATE}/{path.relative_to(self._state_dir).as_posix()}", file)
            except FileNotFoundError:
                continue  # a refused call was booked meanwhile


def files_below(directory: Path) -> Iterator[Path]:
    """Yield all files below a directory; none where it is not there.

    Raises:
        OSError: one of its directories cannot be read, as one that root has made: a backup must not lack it.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for place, _, names in os.walk(directory, onerror=refuse):
        yield from (path for path in map(Path(place).joinpath, names) if path.is_file())


def _check_was_old(path: Path) -> None:
    """Check that a file of the journal that is gone was booked before the copy of the database was settled.

    Raises:
        BackupError: its calls may be in neither of the two.
    """
    if path.suffix in {IN_USE, UNBOOKED}:
        raise BackupError(
            f"{path} was removed while the journal was copied, and the backup might lack its calls: try again, and keep"
            " booked files with journal.keep_minutes and journal.keep_files"
        )


def _add_configuration(writer: BackupWriter, files: ConfigurationFiles) -> list[str]:
    """Add the files of the configuration; return those that cannot be read."""
    missing = []
    for path in files.all:
        try:
            with path.open("rb") as file:
                writer.add(f"{CONFIGURATION}/{_relative(path)}", file)
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            missing.append(str(path))
    if str(files.main) in missing:
        raise BackupError(f"{files.main} cannot be read")
    return missing


def _remove(copy: Path) -> None:
    """Remove a copy of an SQLite database, and what SQLite has made beside it."""
    for path in sqlite.files_of(copy):
        path.unlink(missing_ok=True)


def _relative(path: Path) -> str:
    return path.relative_to("/").as_posix()
