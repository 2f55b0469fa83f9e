"""The database for one verb: open the configured URL, check the schema, close it afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vosd.engine.settings import Settings
from vosd.storage.database import Database


@asynccontextmanager
async def database_of(settings: Settings) -> AsyncIterator[Database]:
    """Yield the configured database.

    Raises:
        StoreUnavailable: it cannot be reached, or (``SchemaOutdated``) has not this version's schema.
    """
    database = Database(settings.database_url.reveal())
    try:
        await database.check_schema()
        yield database
    finally:
        await database.close()
