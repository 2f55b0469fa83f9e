"""Copy of an SQLite database by its online backup API: one state of it, while others go on writing.

The copy is made in steps within one read transaction, so what is committed meanwhile neither gets into it nor makes it
begin again.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from vosd.cdr.ports import StoreDamaged, StoreUnavailable
from vosd.storage import schema

PAGES_AT_ONCE: Final = 1_000
_BUSY_S: Final = 30.0
_BESIDE: Final = ("-wal", "-shm")
"""Endings of the files that SQLite keeps beside a database."""


def copy_database(source: Path, target: Path, begun: Callable[[], None], show: Callable[[float, int], None]) -> None:
    """Copy a database to a new file.

    ``begun`` is called when it is certain which commits are in the copy. ``show`` receives how far it is: a part of 1,
    and pages.

    Raises:
        StoreUnavailable: it cannot be read.
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
        message = f"{source} cannot be copied ({error}): is there room for a copy of it?"
        raise StoreUnavailable(message) from error


def check_copy(file: Path) -> dict[str, int]:
    """Check the pages of a copy, and return the rows of each table.

    Raises:
        StoreDamaged: it is no sound database.
    """
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                message = f"{file} is damaged: {found}"
                raise StoreDamaged(message)
            return _rows_in(connection)
    except sqlite3.Error as error:
        message = f"{file} is no sound database ({error})"
        raise StoreDamaged(message) from error


def rows_of_file(file: Path) -> dict[str, int]:
    """Return the rows of each table of ours that a copy has."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return _rows_in(connection)


def put_in_place(copy: Path, target: Path, replaced: Path) -> bool:
    """Give a copy the name of the database; return whether there was another one, which is ``replaced`` now.

    Raises:
        OSError: a name cannot be given.
    """
    had_one = target.exists()
    if had_one:
        for ending in ("", *_BESIDE):
            path = target.with_name(target.name + ending)
            if path.exists():
                path.replace(replaced.with_name(replaced.name + ending))
    copy.replace(target)
    return had_one


def _rows_in(connection: sqlite3.Connection) -> dict[str, int]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    statement = "SELECT count(*) FROM {}"  # names of our own schema
    return {
        name: connection.execute(statement.format(name)).fetchone()[0]
        for name in schema.metadata.tables
        if name in there
    }
