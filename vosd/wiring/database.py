"""Question whether a database defines objects of the configuration at all; most do not."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from vosd.base.errors import VosError
from vosd.storage.database import COMMAND_PATIENCE_S, Database
from vosd.storage.stored_objects import SqlObjects


def has_objects(url: str) -> bool:
    """Return whether a database defines objects of the configuration, or cannot be read."""

    async def run() -> bool:
        database = Database(url, patience_s=COMMAND_PATIENCE_S)
        try:
            return await SqlObjects(database).has_any()
        except VosError:
            return True
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as reader:  # a use case may run in an event loop already
        return reader.submit(asyncio.run, run()).result()
