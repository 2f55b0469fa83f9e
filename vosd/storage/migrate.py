"""Bringing a database to this version's schema with Alembic, from the tree or from an installed wheel.

Owns where the migrations lie and how they are run. Refuses to run them unasked: the daemon only checks
(``Database.check_schema``).
"""

import asyncio
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import Connection, make_url

from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable
from vosd.storage.database import Database, SchemaOutdated

_PACKAGE: Final = Path(__file__).resolve().parent.parent


class MigrationsMissing(VosError):  # noqa: N818 - describes the installation
    """The installation lacks its migrations."""


def migrations_path() -> Path:
    """Return the directory of the migrations: inside the package when installed, beside it in the tree.

    Raises:
        MigrationsMissing: neither is there.
    """
    for candidate in (_PACKAGE / "_migrations", _PACKAGE.parent / "migrations"):
        if (candidate / "env.py").is_file():
            return candidate
    message = f"this installation has no migrations below {_PACKAGE}: install vosd again"
    raise MigrationsMissing(message)


def migrate(url: str) -> None:
    """Bring the database to this version, making what is missing; a database that is current is left alone.

    The file and directory of an SQLite database are made; a MySQL database must exist. Not to be called inside
    a running event loop: there, ``migrate_async``.

    Raises:
        StoreUnavailable: the database is away or refuses, or (``SchemaOutdated``) this version does not know its
            schema; the message says what to do.
    """
    asyncio.run(migrate_async(url))


async def migrate_async(url: str) -> None:
    """Do what ``migrate`` does inside a running event loop."""
    database = Database(url)
    path = make_url(url).database
    try:
        if database.is_sqlite and path:
            _make_file(Path(path))
        async with database.writing(unhurried=True) as connection:
            await connection.run_sync(_upgrade)
    except CommandError as error:
        message = f"{database.place} cannot be brought to this version ({error}): was it migrated by a newer vosd?"
        raise SchemaOutdated(message) from error
    finally:
        await database.close()


def _make_file(file: Path) -> None:
    """Make the file of a new database; who called whom and who has what money is nobody else's to read."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError as error:
        message = f"the file {file} of database.url cannot be made: {error.strerror}; make its directory or change it"
        raise StoreUnavailable(message) from error


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
