"""Databases of one kind share what they have compiled, and have the rows that they would have without."""

from doubles.shared_statements import SharedStatements, share_statements
from sqlalchemy import Column, Dialect, Integer, MetaData, Table, insert, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.event import listen

from vosd.storage.database import Database

TABLE = Table("shelf", MetaData(), Column("book", Integer))


async def books_in_a_new_database(*books: int) -> tuple[list[int], list[str]]:
    """Return the books of a database of its own, and for each statement whether it was compiled already."""
    database, found = Database("sqlite+aiosqlite:///:memory:"), list[str]()

    def note(_connection, _cursor, _statement, _terms, context, _is_many) -> None:
        found.append(context.cache_hit.name)

    async with database.writing() as connection:
        await connection.run_sync(TABLE.create)
        listen(database.engine.sync_engine, "after_cursor_execute", note)
        await connection.execute(insert(TABLE), [{"book": book} for book in books])
        read = [*await connection.scalars(select(TABLE.c.book).where(TABLE.c.book > books[0]))]
    await database.close()
    return read, found


async def test_the_second_database_finds_what_the_first_has_compiled_and_reads_its_own_rows():
    share_statements()
    assert await books_in_a_new_database(1, 2, 3) == ([2, 3], ["CACHE_MISS"] * 2)
    assert await books_in_a_new_database(5, 6, 7) == ([6, 7], ["CACHE_HIT"] * 2)


def test_servers_of_two_kinds_or_versions_share_nothing():
    def of(dialect: Dialect, *version: int) -> tuple[Dialect, SharedStatements]:
        dialect.server_version_info = version
        return dialect, SharedStatements(dialect)

    first, others = of(sqlite.dialect(), 3, 40), [of(sqlite.dialect(), 3, 39), of(mysql.dialect(), 3, 40)]
    first[1][first[0], "a statement"] = "compiled"
    assert first[1].get((first[0], "a statement")) == "compiled"
    assert [shared.get((dialect, "a statement")) for dialect, shared in others] == [None, None]
