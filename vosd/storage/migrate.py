"""Bringing a database to this version's schema with Alembic, from the tree or from an installed wheel.

Owns where the migrations lie and how they are run. Refuses to run them unasked: the daemon only checks
(``Database.check_schema``).
"""

import asyncio
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, make_url

from vosd.base.errors import VosError
from vosd.storage.database import Database

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
        StoreUnavailable: the database is away or refuses; the message says what to do.
    """
    asyncio.run(migrate_async(url))


async def migrate_async(url: str) -> None:
    """Do what ``migrate`` does inside a running event loop."""
    database = Database(url)
    path = make_url(url).database
    if database.is_sqlite and path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        async with database.writing(unhurried=True) as connection:
            await connection.run_sync(_upgrade)
    finally:
        await database.close()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
