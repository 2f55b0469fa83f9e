"""The database for one verb: open the configured URL, check the schema, close it afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vosd.storage.database import Database


@asynccontextmanager
async def database_of(url: str) -> AsyncIterator[Database]:
    """Yield the database.

    Raises:
        StoreUnavailable: it cannot be reached, or (``SchemaOutdated``) has not this version's schema.
    """
    database = Database(url)
    try:
        await database.check_schema()
        yield database
    finally:
        await database.close()
