"""``vosd restore``: a backup into an empty database, and into a state directory that has no journal (ADR 73).

Nothing is changed before every checksum is compared. A later journal of the same database stays: the next start books
from it what the database lacks.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from vosd.admin.backup import CONFIGURATION, JOURNAL, SQLITE_FILE, STATE, TABLES, Show
from vosd.admin.backup_file import BackupError, BackupReader
from vosd.engine.booking.database_watch import MEMO, Memo, MemoFile
from vosd.engine.journal.files import ENDS, all_files
from vosd.engine.journal.frames import frames_in
from vosd.engine.settings import Settings
from vosd.processes.whole_file import sync_directory
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.copies import rows, sqlite, target
from vosd.storage.database import Database
from vosd.storage.migrate import migrate_async, upgrade
from vosd.storage.migration_lock import alone, check_held
from vosd.storage.migrations import newest_revision, revisions

DRAFT: Final = ".restoring"
"""Directory in that of the journal, while the files of a journal are written; ending of another file till then."""
_DIRECTORY_MODE: Final = 0o700


class JournalChoice(Enum):
    """Treatment of a journal that is there."""

    KEEP = "keep"
    REPLACE = "replace"


class RestoredState(NamedTuple):
    """Result of a restore for ``state_dir``."""

    state: str
    replaced_journal: str | None = None
    left_out: tuple[str, ...] = ()


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
    """``restored``, ``kept`` because a later journal is there, or ``none`` where the backup has no files of state."""
    replaced_journal: str | None
    """Directory to which the journal that was there was moved; None = it was not replaced."""
    left_out: tuple[str, ...]
    """Files of state of the backup that were not written and differ from those that are there."""


class StateClaim(Protocol):
    """The state directory, which one process may use at a time."""

    def claim(self) -> None:
        """Take it for this process; an error says that another one has it."""

    def release(self) -> None:
        """Give it back."""


async def put_back(
    backup: BackupReader,
    settings: Settings,
    journal: JournalChoice | None,
    state: StateClaim,
    show: Show,
    now: Callable[[], int],
    *,
    may_replace: bool,
) -> Restored:
    """Put a backup into the database and the state directory of ``settings``, while no switch may run on them.

    Every checksum of the backup has been compared. Whether its journal may be written is decided before the database
    is touched, and the journal is written after that: a restore that has failed is begun again.

    Raises:
        BackupError, DatabaseOccupied, RowTooLong, StoreUnavailable, OSError: as ``check_state``, ``restore_database``
            and ``restore_state``; and those of ``StateClaim.claim``.
    """
    state.claim()
    try:
        choice = check_state(backup, settings, journal)
        url = settings.database_url.reveal()
        replaced = await restore_database(backup, url, show, now, may_replace=may_replace)
        return Restored(
            made_at=backup.manifest.made_at,
            node=backup.manifest.node,
            schema=newest_revision(),
            tables=await rows_now(url),
            replaced=replaced,
            **restore_state(backup, settings, choice, now)._asdict(),
        )
    finally:
        state.release()


def check_fits(backup: BackupReader, database: Database) -> None:
    """Check that this version can put a backup into this kind of database; raises BackupError where it cannot."""
    manifest = backup.manifest
    kind = "sqlite" if database.is_sqlite else "mysql"
    if manifest.database != kind:
        message = f"the backup is of {manifest.database}, database.url is of {kind}: restore into the same kind"
        raise BackupError(message)
    if manifest.schema not in revisions():
        raise BackupError(
            f"the backup was made by vosd {manifest.version} (schema {manifest.schema}): use that version or a newer"
        )


async def restore_database(
    backup: BackupReader, url: str, show: Show, now: Callable[[], int], *, may_replace: bool
) -> str | None:
    """Put a backup into the database; return what became of the one that was there, None = there was none.

    Every checksum of the backup has been compared. After a failure say ``may_replace`` to begin again.

    Raises:
        BackupError: the backup does not fit, or is not what its manifest says.
        DatabaseOccupied: the database has content and ``may_replace`` is not given, or a switch runs on it, also one
            that has begun to do so meanwhile.
        RowTooLong: the database does not accept a row of the backup, and was not changed.
        StoreUnavailable: the database is away, or another restore or a migration is under way.
        OSError: a file cannot be written.
    """
    async with Database(url) as database:
        check_fits(backup, database)
        if database.file is not None:
            replaced = await _restore_file(backup, database, database.file, show, now, may_replace=may_replace)
        else:
            replaced = await _restore_rows(backup, database, url, show, may_replace=may_replace)
    if backup.manifest.schema != newest_revision():
        await migrate_async(url)
    return replaced


async def rows_now(url: str) -> dict[str, int]:
    """Return the rows of each table."""
    async with Database(url) as database:
        return await target.rows_in(database)


def check_state(backup: BackupReader, settings: Settings, choice: JournalChoice | None) -> JournalChoice | None:
    """Return the treatment of the journal that is there; None = there is none with a record.

    A file without a record does not count: every start of a switch begins one.

    Raises:
        BackupError: it is not known to be later than that of the backup, and ``choice`` is not given.
    """
    names = set(backup.names(f"{STATE}/{JOURNAL}"))
    journal = settings.state_dir / JOURNAL
    there = {f"{STATE}/{JOURNAL}/{path.name}" for path in _with_records(journal)}
    was_interrupted = (journal / DRAFT).exists() and there <= names
    if not there or was_interrupted:
        return None
    if choice is not None or not names or _is_later(settings.state_dir, backup):
        return choice or JournalChoice.KEEP
    raise BackupError(
        f"the journal in {journal} is not known to be later than that of the backup, whose calls may be nowhere else:"
        " `vosd restore FILE --state replace` restores that of the backup and moves this one aside, `--state keep`"
        " goes on with this one"
    )


def restore_state(
    backup: BackupReader, settings: Settings, choice: JournalChoice | None, now: Callable[[], int]
) -> RestoredState:
    """Write the journal and the other files of state; where the journal stays, those that are missing.

    The files of the journal get their names when all of them are on the disk. One that has failed, or was killed, is
    begun again. ``choice`` is the result of ``check_state``.

    Raises:
        OSError: a file cannot be written.
    """
    journal = settings.state_dir / JOURNAL
    names = backup.names(STATE)
    if choice is JournalChoice.KEEP:
        return RestoredState("kept", left_out=_add_missing(backup, settings.state_dir))
    replaced = None
    if choice is JournalChoice.REPLACE:
        replaced = str(journal.rename(journal.with_name(f"{JOURNAL}-replaced-{now()}")))
        sync_directory(settings.state_dir)
    draft = journal / DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    for name in names:
        path = settings.state_dir / name.removeprefix(f"{STATE}/")
        if path.parent == journal:
            path = draft / path.name
        _make_directory(path.parent)
        path.unlink(missing_ok=True)
        backup.extract(name, path)
    if draft.exists():
        for path in set(all_files(journal)) - set(_with_records(journal)):  # else two files have one number
            path.unlink()
            path.with_suffix(ENDS).unlink(missing_ok=True)
        for path in draft.iterdir():
            path.replace(journal / path.name)
        sync_directory(journal)
        draft.rmdir()
    return RestoredState("restored" if names else "none", replaced)


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
        raise BackupError(f"{error.filename} is there already: say an empty directory") from error
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
    await target.check_free(database, may_replace=may_replace)
    for table in backup.manifest.tables:
        with backup.member(f"{TABLES}/{table}.rows") as file:
            await rows.check_rows_fit(database, table, file)
    # the lock has a connection of its own: a migration changes the settings of its session
    async with (
        Database(url) as locking,
        locking.writing(unhurried=True) as connection,
        alone(connection, locking.place),
    ):
        # Another restore may have ended since, and a switch may have begun to run.
        had_content = await target.check_free(database, may_replace=may_replace)
        await _begin_anew(connection, backup.manifest.schema)
        await _fill(backup, database, show, lambda: check_held(connection, locking.place))
    return "its tables were dropped" if had_content else None


async def _begin_anew(connection: AsyncConnection, revision: str) -> None:
    """Drop the tables and make those of a revision, unfinished."""
    await target.empty(connection)
    await upgrade(connection, revision)
    await rows.begin_unfinished(connection)
    await connection.exec_driver_sql("COMMIT")


async def _fill(backup: BackupReader, database: Database, show: Show, check: rows.Check) -> None:
    """Write the rows of a backup, and let switches start when all are there; ``check``: the lock is still held."""
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
            found[table] = await rows.put_rows(database, table, file, count, check)
        if table == schema.lease.name:
            leases = await target.leases(database)
    _compare(backup, found)
    await target.check_untouched(database, leases)
    _compare(backup, await target.rows_in(database))  # those that are there now, whatever others have done
    await target.check_untouched(database, leases)
    await check()
    await rows.finish(database, backup.manifest.schema)


def _with_records(journal: Path) -> list[Path]:
    """Return the files of a journal that contain a record, or a damaged one."""
    found = []
    for path in all_files(journal):
        with path.open("rb") as file:
            if next(frames_in(file), None) is not None:
                found.append(path)
    return found


def _is_later(state_dir: Path, backup: BackupReader) -> bool:
    """Say whether a switch wrote to ``state_dir`` about the database of the backup, and after the backup."""
    here = MemoFile(state_dir / MEMO).read()
    if here is None or f"{STATE}/{MEMO}" not in backup.names(STATE):
        return False
    with backup.member(f"{STATE}/{MEMO}") as file:
        then = msgspec.json.decode(file.read(), type=Memo)
    return here.state.identity == then.state.identity and here.state.commits >= then.state.commits


def _add_missing(backup: BackupReader, state_dir: Path) -> tuple[str, ...]:
    """Write the files that are missing beside a journal that stays; return those that are there and differ.

    What is known of the database belongs to that journal.
    """
    differ = []
    for member in backup.manifest.members:
        name = member.name.removeprefix(f"{STATE}/")
        if name == member.name or name.startswith(f"{JOURNAL}/") or name == MEMO:
            continue
        path = state_dir / name
        if not path.exists():
            _make_directory(path.parent)
            draft = path.with_name(f".{path.name}{DRAFT}")
            draft.unlink(missing_ok=True)
            backup.extract(member.name, draft)
            draft.replace(path)
        elif member.sha256 != _digest(path):
            differ.append(name)
    return tuple(differ)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
