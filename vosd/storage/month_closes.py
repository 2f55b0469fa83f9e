"""Months that were closed: the auditor's page of each, as it was written then (ADR 134)."""

from typing import Any, Final

import msgspec
from sqlalchemy import Select, insert, select

from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.types import descriptive

_table: Final = schema.month_close


class StoredMonthClose(msgspec.Struct, frozen=True):
    """A month that was closed."""

    month: str
    """Such as ``2026-10``."""
    zone: str
    closed_at: int
    """UTC milliseconds."""
    operator: str
    page: str
    """JSON of the auditor's page."""


_COLUMNS: Final = [_table.c[name] for name in StoredMonthClose.__struct_fields__]


class SqlMonthCloses(SqlStore):
    """Reads and writes them in MySQL and SQLite."""

    async def of_month(self, month: str) -> StoredMonthClose | None:
        """Return the close of a month; None = it is not closed."""
        return next(iter(await self._found(select(*_COLUMNS).where(_table.c.month == month))), None)

    async def all(self) -> list[StoredMonthClose]:
        """Return the closes of all months in the order in which they were made."""
        return await self._found(select(*_COLUMNS).order_by(_table.c.closed_at, _table.c.month))

    async def _found(self, query: Select[*tuple[Any, ...]]) -> list[StoredMonthClose]:
        return [StoredMonthClose(*row) for row in await self._database.rows(query)]

    @repeated
    async def add(self, made: StoredMonthClose, audit: AuditLine) -> StoredMonthClose:
        """Write the close of a month with its line of the audit; return it, or the one that was there before."""
        values = msgspec.structs.asdict(made) | {"operator": descriptive(made.operator, NAME_LENGTH)}
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(_table).values(values))
                await note(connection, audit)
        except AlreadyThere:  # another process has written it since
            found = await self.of_month(made.month)
            if found is None:
                raise
            return found
        return made
