"""Copies of a database, taken and put back while the switch runs, as after a failover or a restore."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

import pymysql
from sqlalchemy import make_url

from vosd.storage import schema

_LOCK_WAIT_TIMEOUT: Final = 1205
"""Error of MariaDB."""


class Copies(Protocol):
    """A database that can be brought back to where it was."""

    url: str

    def take(self) -> None:
        """Copy the database as it is now."""

    def put_back(self) -> None:
        """Bring the database back to where it was when the copy was taken."""

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on the database."""

    def is_locked(self) -> bool:
        """Return whether a transaction of the switch keeps others from writing."""


class SqliteCopies:
    """The file of an SQLite database."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "vosd.db"
        self.url = f"sqlite+aiosqlite:///{self.file}"
        self._copy = directory / "copy.db"

    def take(self) -> None:
        """Copy the file as a consistent whole."""
        self._move(self.file, self._copy)

    def put_back(self) -> None:
        """Write the copy over the file, as ``.restore`` of SQLite's command line does."""
        self._move(self._copy, self.file)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement."""
        with closing(sqlite3.connect(self.file, timeout=60)) as connection, connection:
            return connection.execute(statement).fetchall()

    def is_locked(self) -> bool:
        """Try to begin a transaction that writes."""
        with closing(sqlite3.connect(self.file, timeout=0.5, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    def _move(self, source: Path, target: Path) -> None:
        with closing(sqlite3.connect(source)) as from_, closing(sqlite3.connect(target, timeout=60)) as to:
            from_.backup(to)


class MariaDbCopies:
    """A database of a MariaDB server, copied into another one of the same server."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = make_url(url)
        self._port, self._name = parsed.port, parsed.database

    def take(self) -> None:
        """Copy every table."""
        self._ask(f"CREATE DATABASE {self._name}_copy")
        for (table,) in self._tables():
            self._ask(f"CREATE TABLE {self._name}_copy.{table} LIKE {table}")
            self._ask(f"INSERT INTO {self._name}_copy.{table} SELECT * FROM {table}")

    def put_back(self) -> None:
        """Replace the content of every table in one transaction."""
        statements = [
            f"{verb} {self._name}.{table}{more}"
            for (table,) in self._tables()
            for verb, more in (("DELETE FROM", ""), ("INSERT INTO", f" SELECT * FROM {self._name}_copy.{table}"))
        ]
        self._ask("START TRANSACTION", *statements, "COMMIT")

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement."""
        return self._ask(statement)

    def is_locked(self) -> bool:
        """Try to lock the row that is locked by who takes or renews the lease."""
        try:
            self._ask(
                "SET SESSION innodb_lock_wait_timeout = 1",
                f"SELECT value FROM counter WHERE name = '{schema.LEASES}' FOR UPDATE",
            )
        except pymysql.err.OperationalError as error:
            if error.args[0] != _LOCK_WAIT_TIMEOUT:
                raise
            return True
        return False

    def _tables(self) -> list[tuple[Any, ...]]:
        """Return the name of each table; views have no content of their own."""
        return [(name,) for name, kind in self._ask("SHOW FULL TABLES") if kind == "BASE TABLE"]

    def _ask(self, *statements: str) -> list[tuple[Any, ...]]:
        connection = pymysql.connect(
            host="127.0.0.1", port=self._port, user="vosd", password="secret", db=self._name, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())
