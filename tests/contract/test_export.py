"""Reading calls by their export numbers, over SQLite and MariaDB, while others book, correct, and roll back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from decimal import Decimal

from doubles.data.records import answered_call, call_id, refused_call
from sqlalchemy import text

from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import CUSTOMER
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database import Database
from vosd.storage.export import CALLS_AT_ONCE, CORRECTED, SqlExport
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.queries import SqlQueries
from vosd.storage.verify import verify_ledger
from vosd.storage.writers import writer_for

COLUMNS = ("export_seq", "call_id", "fee", CORRECTED)
WRITERS, ROUNDS, BATCH = 4, 8, 3


def call(index: int):
    return answered_call(index, customer_account=f"customer-{index % 5}", vendor_account="carrier")


def correction(index: int, fee: str, reference: str) -> Correction:
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal(fee), Decimal(0), 60))
    return Correction(call_id(index), (change,), reference, "ann", "wrong rate", 1_790_000_500_000)


async def read(database, after: int = 0, columns=COLUMNS):
    export = SqlExport(database)
    async with aclosing(export.pages(after, await export.newest(), columns)) as pages:
        return [row async for page in pages for row in page]


async def taken(write: Callable[[], Awaitable[object]]) -> None:
    """Write once more what SQLite has refused: on a busy machine a writer may wait too long for the others."""
    for _ in range(WRITERS * ROUNDS):
        with suppress(StoreUnavailable):
            await write()
            return
    await write()


async def test_a_reader_misses_nothing_while_several_connections_commit_and_roll_back(database_url, database):
    """Every reader goes on after the highest number that it has seen, as programs do that export."""
    is_over = asyncio.Event()

    async def write(writer: int) -> None:
        own = Database(database_url)
        for number in range(ROUNDS):
            first = (number * WRITERS + writer) * BATCH + 1
            if number % 3 == 2:  # a transaction that has its numbers and is taken back
                with suppress(RuntimeError, StoreUnavailable):
                    async with own.writing() as connection:
                        await writer_for(own).take_numbers(connection, 5)
                        await asyncio.sleep(0)
                        raise RuntimeError("taken back")
            calls = [call(index) for index in range(first, first + BATCH)]
            await taken(lambda calls=calls: SqlBooks(own).book(calls))
            if number % 4 == 1:
                corrections = [correction(first, f"0.{number:02d}", f"t{first}")]
                await taken(lambda corrections=corrections: SqlCorrections(own).book(corrections))
            if number % 4 == 3:
                payment = Payment(
                    account="acme", kind=EntryKind.PAYMENT, reference=f"{writer}/{number}", made_at=1, amount=Decimal(1)
                )
                await taken(lambda payment=payment: SqlPayments(own).add(payment))
        await own.close()

    async def follow() -> list:
        own = Database(database_url)
        found, is_last = [], False
        while not is_last:
            is_last = is_over.is_set()
            found += await read(own, found[-1][0] if found else 0)
        await own.close()
        return found

    followers = [asyncio.create_task(follow()) for _ in range(2)]
    await asyncio.gather(*map(write, range(WRITERS)))
    is_over.set()
    calls = {row[1]: row for row in await read(database)}
    assert len(calls) == WRITERS * ROUNDS * BATCH
    for follower in followers:
        found = await follower
        numbers = [row[0] for row in found]
        assert numbers == sorted(set(numbers)), "each number once, in order"
        assert {row[1]: row for row in found} == calls, "the newest row of each call is what the books have"
    assert (await verify_ledger(database)).differences == ()


async def test_a_corrected_call_has_a_new_number_and_says_how_often_it_was_corrected(database):
    await SqlBooks(database).book([call(1), call(2), refused_call(3)])
    before = await read(database)
    assert [row[3] for row in before] == [0, 0, 0]
    newest = before[-1][0]
    await SqlCorrections(database).book([correction(2, "0.36", "t1"), correction(1, "0.40", "t1")])
    assert [(row[1], row[2], row[3]) for row in await read(database, newest)] == [
        (call_id(2), Decimal("0.36"), 1),
        (call_id(1), Decimal("0.40"), 1),
    ]
    await SqlCorrections(database).book([correction(2, "0.36", "t2")])
    assert len(await read(database, newest)) == 2, "nothing was changed, so nothing is exported again"
    assert [row[1] for row in await read(database)] == [call_id(3), call_id(2), call_id(1)]
    assert (await verify_ledger(database)).differences == ()


async def test_a_reader_behind_a_number_that_was_corrected_reads_the_call_once(database):
    await SqlBooks(database).book([call(1), call(2)])
    (first, *_), _ = await read(database)
    await SqlCorrections(database).book([correction(1, "0.36", "t1")])
    assert [row[1] for row in await read(database, first)] == [call_id(2), call_id(1)]
    assert [row[1] for row in await read(database)] == [call_id(2), call_id(1)]


async def test_pages_have_all_columns_as_the_call_has_them(database, monkeypatch):
    monkeypatch.setattr("vosd.storage.export.CALLS_AT_ONCE", 2)
    await SqlBooks(database).book([call(index) for index in range(1, 6)])
    rows = await read(database, columns=("call_id", "attempts", "charges", "answered_at", "export_seq"))
    for row in rows:
        stored = await SqlQueries(database).call(row[0])
        record = stored.record
        assert row == (
            *(record.call_id, list(record.attempts), list(record.charges), record.answered_at, stored.export_seq),
        )
    assert [row[0] for row in rows] == [call_id(index) for index in range(1, 6)]


async def test_a_number_of_another_call_is_found(database):
    await SqlBooks(database).book([call(1), call(2)])
    numbers = {row[0]: row[1] for row in await read(database)}
    export = SqlExport(database)
    first, last = min(numbers), max(numbers)
    assert await export.replaced(numbers, 0, last) is None
    assert await export.replaced({**numbers, last + 50: call_id(9)}, 0, last + 50) is None, (
        "it was corrected, or removed"
    )
    assert await export.replaced(dict.fromkeys(numbers, call_id(9)), last, last) == first
    assert await export.replaced({last: numbers[last]}, 0, last) == first, "none of those that may be there"
    assert await export.replaced({first: numbers[first]}, 0, last) == last
    assert await export.replaced({last: numbers[last]}, first, last) is None
    assert await export.replaced({}, 0, 0) is None


async def test_a_page_is_found_by_the_index_of_the_numbers(database):
    await SqlBooks(database).book([call(index) for index in range(1, 200)])
    query = f"SELECT fee FROM cdr WHERE export_seq > 5 AND export_seq <= 9999 ORDER BY export_seq LIMIT {CALLS_AT_ONCE}"
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN FORMAT=TRADITIONAL "
    async with database.reading() as connection:
        plan = str((await connection.execute(text(explain + query))).all())
    assert schema.cdr.name in plan
    assert "temp b-tree" not in plan.lower()
