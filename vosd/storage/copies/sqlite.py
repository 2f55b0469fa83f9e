"""Copy of an SQLite database by its online backup API: one state of it, while others go on writing.

The copy is made in steps within one read transaction, so what is committed meanwhile neither gets into it nor makes it
begin again.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from vosd.cdr.ports import StoreDamaged, StoreUnavailable
from vosd.processes.whole_file import sync_directory
from vosd.storage import schema

PAGES_AT_ONCE: Final = 1_000
_BUSY_S: Final = 30.0


def copy_database(source: Path, target: Path, begun: Callable[[], None], show: Callable[[float, int], None]) -> None:
    """Copy a database to a new file.

    ``begun`` is called when it is certain which commits are in the copy. ``show`` receives how far it is: a part of 1,
    and pages.

    Raises:
        OSError: the target cannot be written.
    """
    with target.open("xb"):
        target.chmod(0o600)
    try:
        with closing(sqlite3.connect(source, timeout=_BUSY_S, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            begun()
            with closing(sqlite3.connect(target, isolation_level=None)) as writer:
                reader.backup(
                    writer,
                    pages=PAGES_AT_ONCE,
                    progress=lambda _, left, total: show(1 - left / max(total, 1), total - left),
                )
                writer.execute("PRAGMA journal_mode = DELETE")  # one file; the switch sets its own mode again
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{source} cannot be copied ({error}): is there room for a copy of it?") from error


def check_copy(file: Path) -> dict[str, int]:
    """Check the pages of a copy, and return the rows of each table.

    Raises:
        StoreDamaged: it is no sound database.
    """
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise StoreDamaged(f"{file} is damaged: {found}")
            return _rows_in(connection)
    except sqlite3.Error as error:
        raise StoreDamaged(f"{file} is no sound database ({error})") from error


def rows_of_file(file: Path) -> dict[str, int]:
    """Return the rows of each table of ours that a copy has."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return _rows_in(connection)


def put_in_place(copy: Path, target: Path, replaced: Path) -> Path | None:
    """Give a copy the name of the database; return the first file of another one that was there, with its new name.

    A database that is one file gets its other name beside its present one, so that there is one at every moment. One
    that SQLite cannot read is moved, and until the copy has its name there is none.

    What SQLite keeps beside a database is moved also where the database itself is gone, because an operator has moved
    it or an earlier attempt was killed: SQLite would apply it to the copy.

    Raises:
        OSError: a name cannot be given.
    """
    if _is_one_file(target):
        with suppress(OSError):  # a file system without links
            replaced.hardlink_to(target)
            sync_directory(target.parent)
            copy.replace(target)
            return replaced
    moved = []
    # The database first: without what lies beside it, it would be an earlier state of itself, or damaged.
    for path, name in zip(files_of(target), files_of(replaced), strict=True):
        if path.exists():
            moved.append(path.replace(name))
    sync_directory(target.parent)  # after a power failure the copy is never beside a file of another database
    copy.replace(target)
    return moved[0] if moved else None


def _is_one_file(database: Path) -> bool:
    """Have SQLite write what lies beside a database into it; return False where it cannot, or there is none."""
    if not database.exists() or not database.stat().st_size:
        return False
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error:
        return False
    return not any(path.exists() for path in files_of(database)[1:])


def files_of(database: Path) -> list[Path]:
    """Return the names of a database file, and of all files that SQLite may keep beside it."""
    return [database.with_name(database.name + ending) for ending in ("", "-wal", "-shm", "-journal")]


def _rows_in(connection: sqlite3.Connection) -> dict[str, int]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    statement = "SELECT count(*) FROM {}"  # names of our own schema
    return {
        name: connection.execute(statement.format(name)).fetchone()[0]
        for name in schema.metadata.tables
        if name in there
    }
