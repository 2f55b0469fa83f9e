"""Questions to a database of those that have no office: the objects that it defines, and currencies of money."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import time_ns
from typing import TypeVar

from vosd.base.errors import VosError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.processes import loops
from vosd.storage.currencies import others_than
from vosd.storage.database import COMMAND_PATIENCE_S, Database
from vosd.storage.driver_errors import SchemaOutdated
from vosd.storage.stored_objects import SqlObjects

Answer = TypeVar("Answer")


def has_objects(url: str) -> bool:
    """Return whether a database defines objects of the configuration, or cannot be read."""
    with ThreadPoolExecutor(1) as reader:  # a use case may run in an event loop already
        return reader.submit(_answer, url, lambda database: SqlObjects(database).has_any(), otherwise=True).result()


def planned_in(url: str) -> Sequence[ObjectVersion]:
    """Return the versions of objects that begin later, the first to begin first; none if they cannot be read."""
    return _answer(url, lambda database: SqlObjects(database).planned(time_ns() // 1_000_000), otherwise=())


def held_in(url: str, wanted: Mapping[str, str]) -> Mapping[str, str]:
    """Return the accounts with money in another currency than is wanted, with that; none if it cannot be read."""
    return _answer(url, lambda database: others_than(database, wanted), otherwise={})


def outdated_in(url: str) -> str:
    """Return why no switch of this version starts on the tables, and what to do; empty if one does, or it is away."""

    async def judged(database: Database) -> str:
        try:
            await database.check_schema()
        except SchemaOutdated as error:
            return str(error)
        return ""

    return _answer(url, judged, otherwise="")


def _answer(url: str, ask: Callable[[Database], Awaitable[Answer]], otherwise: Answer) -> Answer:
    async def run() -> Answer:
        try:
            async with Database(url, patience_s=COMMAND_PATIENCE_S) as database:
                return await ask(database)
        except VosError:
            return otherwise

    return loops.run(run())
