"""The version of all definitions in the database: a counter that each change of any of them advances (ADR 59)."""

from typing import Final

from sqlalchemy import case, select, update

from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.writers import no_counter

_counter: Final = schema.counter.c
_is_ours: Final = _counter.name == schema.CATALOGUE
_version: Final = select(_counter.value).where(_is_ours)
_advanced: Final = update(schema.counter).where(_is_ours).values({_counter.value: _counter.value + 1})
_LEAP: Final = 1_000
"""More than the changes that the switch has not read yet when a database loses them: it reads each within a second."""


async def version_in(connection: AsyncConnection) -> int:
    """Return the version of the definitions as the transaction sees it."""
    version = (await connection.execute(_version)).scalar()
    if version is None:
        raise no_counter(schema.CATALOGUE)
    return int(version)


async def advance(connection: AsyncConnection) -> None:
    """Advance the version: a running switch reads the definitions again within a second after the commit.

    The lock on the counter's row keeps other changes of definitions away until the transaction ends.
    """
    changed = await connection.execute(_advanced)
    if changed.rowcount != 1:
        raise no_counter(schema.CATALOGUE)


async def advance_beyond(connection: AsyncConnection, lost: int) -> None:
    """Advance the version beyond one that a database has lost, and beyond those that others may have read since.

    As many changes as were lost make the same version again: who knows it would keep what was lost.
    """
    beyond = case((_counter.value > lost, _counter.value), else_=lost) + _LEAP
    changed = await connection.execute(update(schema.counter).where(_is_ours).values({_counter.value: beyond}))
    if changed.rowcount != 1:
        raise no_counter(schema.CATALOGUE)
