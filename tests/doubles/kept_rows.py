"""Rows of a database that many tests begin with, booked once and written for each of them; changes beside vosd."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Executable, Table, select

from vosd.storage import schema
from vosd.storage.database import Database

_OF_THE_DATABASE: Final = (schema.identity, schema.schema_compatibility)
Rows = Mapping[Table, Sequence[Mapping[str, Any]]]


async def rows_of(database: Database) -> Rows:
    """Return all rows, those that others refer to first."""
    async with database.reading() as connection:
        return {
            table: [{**row} for row in (await connection.execute(select(table))).mappings()]
            for table in schema.metadata.sorted_tables
            if table not in _OF_THE_DATABASE
        }


async def write_rows(database: Database, rows: Rows) -> None:
    """Replace all rows of a database whose tables have none but those of its migration."""
    async with database.writing() as connection:
        for table, found in rows.items():
            if table is schema.counter:  # which a new database has as well
                await connection.execute(table.delete())
            if found:
                await connection.execute(table.insert(), found)


async def damage(database: Database, *statements: Executable) -> None:
    """Execute statements that no part of vosd would, in one transaction."""
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(statement)
