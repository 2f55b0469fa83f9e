"""The version of all definitions in the database: a counter that each change of any of them advances (ADR 59)."""

from typing import Final

from sqlalchemy import select, update

from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SchemaOutdated

_counter: Final = schema.counter.c
_version: Final = select(_counter.value).where(_counter.name == schema.CATALOGUE)
_advanced: Final = (
    update(schema.counter).where(_counter.name == schema.CATALOGUE).values({_counter.value: _counter.value + 1})
)


async def version_in(connection: AsyncConnection) -> int:
    """Return the version of the definitions as the transaction sees it."""
    version = (await connection.execute(_version)).scalar()
    if version is None:
        raise _no_counter()
    return int(version)


async def advance(connection: AsyncConnection) -> None:
    """Advance the version: a running switch reads the definitions again within a second after the commit.

    The lock on the counter's row keeps other changes of definitions away until the transaction ends.
    """
    changed = await connection.execute(_advanced)
    if changed.rowcount != 1:
        raise _no_counter()


def _no_counter() -> SchemaOutdated:
    return SchemaOutdated("the counter of definitions is missing from the database: run vosd migrate")
