"""Rows of a copy of MariaDB: values that are too long for the server are never written as something else."""

import asyncio
import io
from contextlib import aclosing

import pytest
from doubles.migrated import migrate_on_server
from sqlalchemy import insert, select

from vosd.storage import schema
from vosd.storage.copies import rows
from vosd.storage.copies.rows import RowTooLong, put_rows, written_rows
from vosd.storage.database import Database

pytestmark = pytest.mark.mariadb

MEBIBYTE = 1 << 20
TEMPLATE = schema.invoice_template


@pytest.fixture
def small_packets(mariadb_server):
    """New connections to the server may not send or receive more than a MiB at once."""
    with mariadb_server.connection(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        usual = cursor.fetchone()[0]
        cursor.execute(f"SET GLOBAL max_allowed_packet = {MEBIBYTE}")
        yield
        cursor.execute(f"SET GLOBAL max_allowed_packet = {usual}")


@pytest.fixture
async def database(small_packets, mariadb_url):
    await asyncio.to_thread(migrate_on_server, mariadb_url)
    async with Database(mariadb_url) as database:
        yield database


async def copied(database: Database) -> io.BytesIO:
    copy = io.BytesIO()
    async with database.reading(unhurried=True) as connection:
        columns = (await rows.columns_of(connection))[TEMPLATE.name]
        async with aclosing(written_rows(connection, TEMPLATE.name, columns)) as parts:
            async for content, _ in parts:
                copy.write(content)
    copy.seek(0)
    return copy


async def keep(database: Database, content: bytes, digest: str = "a" * 64) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(TEMPLATE).values(digest=digest, content=content))


async def unhindered() -> None:
    """Let all rows be written."""


async def clear(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(TEMPLATE.delete())


async def test_a_value_that_fits_comes_back(database):
    content = b"\x00\xff" * (MEBIBYTE // 5)
    await keep(database, content)
    copy = await copied(database)
    await clear(database)
    assert await put_rows(database, TEMPLATE.name, copy, lambda _: None, unhindered) == 1
    async with database.reading() as connection:
        assert await connection.scalar(select(TEMPLATE.c.content)) == content


async def test_a_value_that_is_too_long_ends_the_copy(database):
    await keep(database, b"\x80" * (MEBIBYTE * 6 // 10))
    with pytest.raises(RowTooLong, match=f"invoice_template is too long for max_allowed_packet .*{MEBIBYTE}"):
        await copied(database)


async def test_a_row_that_just_fits_comes_back_also_behind_others(database):
    """It fits into a statement of its own alone, however many bytes of others wait before it."""
    content = b"\x80" * (MEBIBYTE // 2 - 200)
    for digit in "0123":
        await keep(database, b"\x01" * 30_000, digit * 64)
    await keep(database, content, "e" * 64)
    await keep(database, b"\x02", "f" * 64)
    copy = await copied(database)
    await clear(database)
    assert await put_rows(database, TEMPLATE.name, copy, lambda _: None, unhindered) == 6
    async with database.reading() as connection:
        assert await connection.scalar(select(TEMPLATE.c.content).where(TEMPLATE.c.digest == "e" * 64)) == content


async def test_a_row_that_is_in_a_copy_fits_into_a_statement(database):
    outcomes = set()
    for length in range(MEBIBYTE // 2 - 120, MEBIBYTE // 2 + 2, 8):
        await clear(database)
        await keep(database, b"\x80" * length)
        try:
            copy = await copied(database)
        except RowTooLong:
            outcomes.add("refused")
            continue
        await clear(database)
        outcomes.add(await put_rows(database, TEMPLATE.name, copy, lambda _: None, unhindered))
    assert outcomes == {"refused", 1}


async def test_a_row_that_another_server_does_not_take_is_named_before_anything_is_written(database, mariadb_server):
    await keep(database, b"\x80" * (MEBIBYTE // 4))
    copy = await copied(database)
    await clear(database)
    await database.close()
    with mariadb_server.connection(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL max_allowed_packet = {MEBIBYTE // 4}")
    for take in (
        rows.check_rows_fit(database, TEMPLATE.name, copy),
        put_rows(database, TEMPLATE.name, copy, print, unhindered),
    ):
        copy.seek(0)
        with pytest.raises(RowTooLong, match=f"invoice_template is too long for max_allowed_packet .*{MEBIBYTE // 4}"):
            await take


async def test_a_row_that_no_restore_reads_ends_the_copy(database, monkeypatch):
    await keep(database, b"\x80" * 500)
    row = list(rows.read_rows(await copied(database)))[1]
    monkeypatch.setattr(rows, "_ROW_BYTES_MAX", len(row))
    assert list(rows.read_rows(await copied(database)))[1] == row
    monkeypatch.setattr(rows, "_ROW_BYTES_MAX", len(row) - 1)
    with pytest.raises(RowTooLong, match=f"table invoice_template is longer than {len(row) - 1} bytes") as refused:
        await copied(database)
    assert refused.value.remedy == "find the longest value of the table, and shorten or delete it"
