"""Migrations of MySQL and MariaDB that can be repeated after a kill: each step asks what is there already.

Every change of a table is a transaction of its own there, so a migration that is killed leaves the half that it has
done. The next ``vosd migrate`` begins with the same migration. Importing this module has Alembic use it.
"""

from typing import Any

from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import Column, Index, Table, inspect
from sqlalchemy.engine import Inspector


class RepeatedMigrations(MySQLImpl):
    """Leaves out what an attempt that was killed has done."""

    __dialect__ = "mysql"

    def create_table(self, table: Table, **terms: Any) -> None:
        """Create a table and its indexes, as far as they are missing."""
        if not self._now().has_table(table.name):
            super().create_table(table, **terms)
            return
        for index in table.indexes:
            self.create_index(index)

    def drop_table(self, table: Table, **terms: Any) -> None:
        """Drop a table, unless it is gone."""
        if self._now().has_table(table.name):
            super().drop_table(table, **terms)

    def add_column(self, table_name: str, column: Column[Any], **terms: Any) -> None:
        """Add a column, unless it is there."""
        if column.name not in self._columns(table_name):
            super().add_column(table_name, column, **terms)

    def drop_column(self, table_name: str, column: Column[Any], **terms: Any) -> None:
        """Drop a column, unless it is gone."""
        if column.name in self._columns(table_name):
            super().drop_column(table_name, column, **terms)

    def create_index(self, index: Index, **terms: Any) -> None:
        """Create an index, unless there is one of its name."""
        if index.name not in self._indexes(index):
            super().create_index(index, **terms)

    def drop_index(self, index: Index, **terms: Any) -> None:
        """Drop an index, unless it is gone."""
        if index.name in self._indexes(index):
            super().drop_index(index, **terms)

    def _now(self) -> Inspector:
        """Return an inspector that knows nothing of before."""
        return inspect(self.connection)

    def _columns(self, table: str) -> set[str]:
        return {each["name"] for each in self._now().get_columns(table)}

    def _indexes(self, index: Index) -> set[str | None]:
        table = index.table
        return set() if table is None else {each["name"] for each in self._now().get_indexes(table.name)}
