"""Questions to a database of those that have no office: whether it defines objects at all, and currencies of money."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from vosd.base.errors import VosError
from vosd.storage.currencies import others_than
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


def held_in(url: str, wanted: Mapping[str, str]) -> Mapping[str, str]:
    """Return the accounts with money in another currency than is wanted, with that; none if it cannot be read."""

    async def run() -> Mapping[str, str]:
        database = Database(url, patience_s=COMMAND_PATIENCE_S)
        try:
            return await others_than(database, wanted)
        except VosError:
            return {}
        finally:
            await database.close()

    return asyncio.run(run())
