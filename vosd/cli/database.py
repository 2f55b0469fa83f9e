"""The database for one verb: opened on the configuration's URL, its schema checked, closed again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vosd.engine.settings import Settings
from vosd.storage.database import Database


@asynccontextmanager
async def database_of(settings: Settings) -> AsyncIterator[Database]:
    """Give the database that the configuration names.

    Raises:
        StoreUnavailable: it is away, or (``SchemaOutdated``) not at this version's schema.
    """
    database = Database(settings.database_url.reveal())
    try:
        await database.check_schema()
        yield database
    finally:
        await database.close()
