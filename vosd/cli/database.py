"""The database for one verb: open the configured URL, check the schema, close it afterwards."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from vosd.base.errors import VosError
from vosd.storage.database import Database
from vosd.storage.stored_objects import SqlObjects


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


def has_objects(url: str) -> bool:
    """Return whether a database defines objects of the configuration, or cannot be read."""

    async def run() -> bool:
        database = Database(url)
        try:
            return await SqlObjects(database).has_any()
        except VosError:
            return True
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as reader:  # a verb may run in an event loop already
        return reader.submit(asyncio.run, run()).result()
