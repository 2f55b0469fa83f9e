"""Registrations in MySQL and SQLite: one row for each binding."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Insert, String, delete, select, tuple_
from sqlalchemy.dialects import mysql, sqlite

from vosd.sip.ports import BindingKey, StoredBinding
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.types import descriptive

_table: Final = schema.registration
GONE_AT_ONCE: Final = 500
"""Rows that one statement removes."""
_READ_AT_ONCE: Final = 500
"""Rows that are read before packets have their turn."""
_BETWEEN_HOPS: Final = "\n"
_LENGTHS: Final = {
    column.name: column.type.length
    for column in _table.columns
    if isinstance(column.type, String) and column.type.length is not None
}
_KEY: Final = ("node", "name", "slot")
_CHANGING: Final = tuple(column.name for column in _table.columns if column.name not in _KEY)


class SqlRegistrations:
    """Implements ``vosd.sip.ports.BindingStore`` for one node."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._upsert = _upsert_of(database)

    async def load(self) -> Sequence[StoredBinding]:
        """Return all bindings of this node, by name and slot."""
        columns = _table.c
        fields = [columns[name] for name in StoredBinding._fields]
        query = select(*fields).where(columns.node == self._node).order_by(columns.name, columns.slot)
        found: list[StoredBinding] = []
        async with self._database.reading() as connection:
            for rows in (await connection.execute(query)).partitions(_READ_AT_ONCE):
                found += [StoredBinding(*row)._replace(path=_hops(row.path)) for row in rows]
                await asyncio.sleep(0)  # calls go on meanwhile
        return found

    async def save(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        """Write and remove in one transaction.

        Raises:
            StoreUnavailable: probably nothing was written; try the same again.
            ContentRefused: a binding can never be stored; nothing was written.
        """
        async with self._database.writing() as connection:
            await self.write(connection, bindings, gone)

    async def note(self, _bindings: Sequence[StoredBinding], _gone: Collection[BindingKey]) -> bool:
        """Write nothing: there is no copy."""
        return True

    async def write(
        self, connection: AsyncConnection, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]
    ) -> None:
        """Write and remove in a transaction that the caller has begun.

        Raises:
            ContentRefused: a binding can never be stored.
        """
        keys = list(gone)
        for start in range(0, len(keys), GONE_AT_ONCE):
            some = keys[start : start + GONE_AT_ONCE]
            fitting = tuple_(_table.c.name, _table.c.slot).in_(some)
            await connection.execute(delete(_table).where(_table.c.node == self._node, fitting))
        if bindings:
            await connection.execute(self._upsert, [self._row(binding) for binding in bindings])

    def _row(self, binding: StoredBinding) -> dict[str, Any]:
        row = {**binding._asdict(), "node": self._node, "path": _BETWEEN_HOPS.join(binding.path)}
        row["user_agent"] = descriptive(binding.user_agent, schema.AGENT_LENGTH)
        for name, most in _LENGTHS.items():
            if len(row[name]) > most:
                raise ContentRefused(f"{name} of a binding of {binding.name} has more than {most} characters")
        return row


def _hops(path: str) -> tuple[str, ...]:
    return tuple(path.split(_BETWEEN_HOPS)) if path else ()


def _upsert_of(database: Database) -> Insert:
    """Return the statement that inserts or updates a row."""
    if database.is_sqlite:
        into = sqlite.insert(_table)
        return into.on_conflict_do_update(index_elements=_KEY, set_={name: into.excluded[name] for name in _CHANGING})
    anew = mysql.insert(_table)
    return anew.on_duplicate_key_update({name: anew.inserted[name] for name in _CHANGING})
