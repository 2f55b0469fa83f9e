"""``vosd restore``: a backup into an empty database, and into a state directory that has no journal (ADR 73).

Nothing is changed before every checksum is compared. A journal that is there stays: it is newer than the one of the
backup, and the next start books from it what the database lacks.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.backup import CONFIGURATION, JOURNAL, SQLITE_FILE, STATE, TABLES, Show
from vosd.admin.backup_file import BackupError, BackupReader, sync_directory
from vosd.engine.journal.files import all_files
from vosd.engine.settings import Settings
from vosd.storage import schema
from vosd.storage.copies import rows, sqlite, target
from vosd.storage.database import Database
from vosd.storage.migrate import migrate_async
from vosd.storage.migrations import newest_revision, revisions

DRAFT: Final = ".restoring"
"""Directory in that of the journal, while the files of a journal are written."""
_DIRECTORY_MODE: Final = 0o700


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a restore."""

    made_at: str
    """Time of the backup: later commits are not in it."""
    node: str
    schema: str
    """Schema of the database now."""
    tables: dict[str, int]
    replaced: str | None
    """Treatment of the database that was there; None = there was none."""
    state: str
    """``restored``, ``kept`` because there is a journal already, or ``none`` where the backup has none."""


def check_fits(backup: BackupReader, database: Database) -> None:
    """Check that this version can put a backup into this kind of database.

    Raises:
        BackupError: it cannot.
    """
    manifest = backup.manifest
    kind = "sqlite" if database.is_sqlite else "mysql"
    if manifest.database != kind:
        message = f"the backup is of {manifest.database}, database.url is of {kind}: restore into the same kind"
        raise BackupError(message)
    if manifest.schema not in revisions():
        message = (
            f"the backup was made by vosd {manifest.version} (schema {manifest.schema}): use that version or a newer"
        )
        raise BackupError(message)


async def restore_database(
    backup: BackupReader, url: str, show: Show, now: Callable[[], int], *, may_replace: bool
) -> str | None:
    """Put a backup into the database; return what became of the one that was there, None = there was none.

    Every checksum of the backup has been compared. After a failure say ``may_replace`` to begin again.

    Raises:
        BackupError: the backup does not fit, or is not what its manifest says.
        DatabaseOccupied: the database has content and ``may_replace`` is not given, or a switch runs on it, also one
            that has begun to do so meanwhile.
        StoreUnavailable: the database is away.
        OSError: a file cannot be written.
    """
    database = Database(url)
    try:
        check_fits(backup, database)
        if database.file is not None:
            replaced = await _restore_file(backup, database, database.file, show, now, may_replace=may_replace)
        else:
            replaced = await _restore_rows(backup, database, url, show, may_replace=may_replace)
    finally:
        await database.close()
    if backup.manifest.schema != newest_revision():
        await migrate_async(url)
    return replaced


async def rows_now(url: str) -> dict[str, int]:
    """Return the rows of each table."""
    database = Database(url)
    try:
        return await target.rows_in(database)
    finally:
        await database.close()


def restore_state(backup: BackupReader, settings: Settings) -> str:
    """Write the journal and the other files of state, unless there is a journal; return what was done.

    The files of the journal get their names when all of them are on the disk. One that has failed, or was killed, is
    begun again.

    Raises:
        OSError: a file cannot be written.
    """
    names = backup.names(STATE)
    journal = settings.state_dir / JOURNAL
    draft = journal / DRAFT
    there = {f"{STATE}/{JOURNAL}/{path.name}" for path in all_files(journal)}
    was_interrupted = draft.exists() and there <= set(names)
    if there and not was_interrupted:
        return "kept"
    shutil.rmtree(draft, ignore_errors=True)
    for name in names:
        path = settings.state_dir / name.removeprefix(f"{STATE}/")
        if path.parent == journal:
            path = draft / path.name
        _make_directory(path.parent)
        path.unlink(missing_ok=True)
        backup.extract(name, path)
    if draft.exists():
        for path in draft.iterdir():
            path.replace(journal / path.name)
        sync_directory(journal)
        draft.rmdir()
    return "restored" if names else "none"


def restore_configuration(backup: BackupReader, directory: Path) -> Path:
    """Write the files of the configuration below a directory, as they lay below the root; return the main file.

    Raises:
        BackupError: one of them is there already.
        OSError: one cannot be written.
    """
    try:
        for name in backup.names(CONFIGURATION):
            path = directory / name.removeprefix(f"{CONFIGURATION}/")
            _make_directory(path.parent)
            backup.extract(name, path)
    except FileExistsError as error:
        message = f"{error.filename} is there already: say an empty directory"
        raise BackupError(message) from error
    return directory / backup.manifest.configuration


async def _restore_file(
    backup: BackupReader, database: Database, file: Path, show: Show, now: Callable[[], int], *, may_replace: bool
) -> str | None:
    if _has_content(file):
        await target.check_free(database, may_replace=may_replace)
    copy = file.with_name(f".{file.name}.restoring")
    copy.unlink(missing_ok=True)
    _make_directory(file.parent)
    size = max(next(member.bytes for member in backup.manifest.members if member.name == SQLITE_FILE), 1)
    try:
        backup.extract(SQLITE_FILE, copy, lambda written: show(written / size, written))
        _compare(backup, sqlite.check_copy(copy))
        replaced = file.with_name(f"{file.name}.replaced-{now()}")
        if _has_content(file):  # a switch may have begun to run on it meanwhile
            await target.check_free(database, may_replace=may_replace)
        await database.close()
        moved = sqlite.put_in_place(copy, file, replaced)
    finally:
        copy.unlink(missing_ok=True)
    sync_directory(file.parent)
    return None if moved is None else str(moved)


async def _restore_rows(
    backup: BackupReader, database: Database, url: str, show: Show, *, may_replace: bool
) -> str | None:
    had_content = await target.check_free(database, may_replace=may_replace)
    await target.empty(database)
    await migrate_async(url, backup.manifest.schema)
    await rows.begin_unfinished(database)
    total, done = max(sum(backup.manifest.tables.values()), 1), 0

    def count(added: int) -> None:
        nonlocal done
        done += added
        show(done / total, done)

    found, leases = {}, await target.leases(database)
    for table in backup.manifest.tables:
        if table == schema.lease.name:
            await target.check_untouched(database, leases)
        with backup.member(f"{TABLES}/{table}.rows") as file:
            found[table] = await rows.put_rows(database, table, file, count)
        if table == schema.lease.name:
            leases = await target.leases(database)
    _compare(backup, found)
    await target.check_untouched(database, leases)
    await rows.finish(database, backup.manifest.schema)
    return "its tables were dropped" if had_content else None


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def _compare(backup: BackupReader, found: dict[str, int]) -> None:
    """Compare the rows of each table with the manifest."""
    expected = backup.manifest.tables
    for table in sorted({*expected, *found}):
        if expected.get(table) != found.get(table):
            message = f"table {table} has {found.get(table)} rows, {expected.get(table)} in the manifest of the backup"
            raise BackupError(message)


def _make_directory(directory: Path) -> None:
    os.makedirs(directory, mode=_DIRECTORY_MODE, exist_ok=True)  # noqa: PTH103 - modes of parents follow the umask
