"""Questions to a database of those that have no office: the objects that it defines, and currencies of money."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import time_ns

from vosd.base.errors import VosError
from vosd.catalogue.stored_objects import ObjectVersion
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


def planned_in(url: str) -> Sequence[ObjectVersion]:
    """Return the versions of objects that begin later, the first to begin first; none if they cannot be read."""

    async def run() -> Sequence[ObjectVersion]:
        database = Database(url, patience_s=COMMAND_PATIENCE_S)
        try:
            return await SqlObjects(database).planned(time_ns() // 1_000_000)
        except VosError:
            return ()
        finally:
            await database.close()

    return asyncio.run(run())


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
