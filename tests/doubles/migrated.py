"""Migrated databases: a process migrates one of each kind and copies it; all migrations from nothing take a while."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import uuid4

import pymysql
from sqlalchemy import make_url

from doubles.shared_statements import share_statements
from vosd.storage.migrate import migrate

share_statements()

Statements = list[tuple[str, tuple[Any, ...]]]
"""What makes the tables of a database and their rows."""

_of_migrations: Final[Statements] = []
"""Those of a migrated database, once there was one."""


def migrate_on_server(url: str) -> None:
    """Migrate an empty database of a server: really the first one, the others get its tables."""
    if _of_migrations:
        write_on_server(_of_migrations, url)
        return
    migrate(url)
    _of_migrations.extend(written_on_server(url))


def written_on_server(url: str) -> Statements:
    """Return what makes a small database of a server."""
    with _connected(url) as connection:
        return _written(connection.cursor(), str(make_url(url).database))


def write_on_server(statements: Statements, url: str) -> None:
    """Make the tables and rows of another database in an empty one, with an identity of its own."""
    with _connected(url) as connection:
        cursor = connection.cursor()
        cursor.execute("SET foreign_key_checks = 0")
        for statement, values in statements:
            cursor.execute(statement, values or None)
        cursor.execute("UPDATE identity SET id = %s", (str(uuid4()),))


def is_empty(url: str) -> bool:
    """Return whether a database of a server has no tables."""
    with _connected(url) as connection:
        return not connection.cursor().execute("SHOW TABLES")


def _connected(url: str) -> Any:
    parsed = make_url(url)
    place = {"host": "127.0.0.1", "port": parsed.port, "db": parsed.database}
    return pymysql.connect(user=parsed.username, password=parsed.password or "secret", autocommit=True, **place)


def _written(cursor: Any, database: str) -> Statements:
    cursor.execute("SHOW FULL TABLES")
    of_kind: dict[str, list[str]] = {"BASE TABLE": [], "VIEW": []}
    for name, kind in cursor.fetchall():
        of_kind[kind].append(name)
    made: Statements = []
    for table in of_kind["BASE TABLE"]:
        cursor.execute(f"SHOW CREATE TABLE {table}")
        made.append((cursor.fetchone()[1], ()))
        cursor.execute(f"SELECT * FROM {table}")
        made += [(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})", row) for row in cursor.fetchall()]
    for view in of_kind["VIEW"]:
        cursor.execute(f"SHOW CREATE VIEW {view}")
        statement = cursor.fetchone()[1].replace(f"`{database}`.", "")
        made.append((re.sub(r"DEFINER=\S+ ", "", statement), ()))  # the user of a server without users has no name
    return made


def migrated(file: Path) -> str:
    """Make a migrated and empty database at ``file``; return its URL. Its directory is made, too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(content())
    return _url(file)


def copy_database(before: Path, file: Path) -> None:
    """Replace a database without connections, and what a killed process has left beside it, by a closed one.

    A ``Database`` on the file can be used again: what it has compiled for one copy it knows for the next.
    """
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
    shutil.copy(before, file)


@cache
def content() -> bytes:
    """Return the file of a migrated and empty database; all copies have the same identity."""
    with TemporaryDirectory(prefix="vosd-migrated-") as directory:
        file = Path(directory) / "vosd.db"
        with ThreadPoolExecutor(1) as apart:  # the fixture that asks first may be within a loop
            apart.submit(migrate, _url(file)).result()
        return file.read_bytes()


def _url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"
