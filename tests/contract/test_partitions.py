"""Partitions by month on a real server: where rows lie, that nothing is booked twice, what is added and dropped."""

import time
from decimal import Decimal
from typing import Any

import msgspec
import pymysql
import pytest
from contract.conftest import emptied
from doubles.data.records import answered_call
from doubles.ledger_entries import entries_of
from doubles.migrated import migrate_on_server
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import make_url

from vosd.base.ids import uuid7
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.ports import RejectedRecords, StoreUnavailable
from vosd.cdr.record import CUSTOMER, CallRecord, Posting
from vosd.storage import partitions
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database import Database
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.export import SqlExport
from vosd.storage.faults import BookFault
from vosd.storage.migrate import migrate_async
from vosd.storage.months import AHEAD, KEPT, LATER, PartitionMonth, from_now, month_of
from vosd.storage.partitions import (
    TABLES,
    PartitionRefused,
    add_months,
    bound,
    drop_partition,
    last_bound,
    partitions_of,
)
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import CallFilter, EntryKind, Payment, ReferenceTaken
from vosd.storage.queries import SqlQueries
from vosd.storage.verify import verify_ledger

pytestmark = pytest.mark.mariadb

OCTOBER, NOVEMBER, DECEMBER, JANUARY = (PartitionMonth(2031, 10).after(count) for count in range(4))
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def url(mariadb_server) -> str:
    url = mariadb_server.create_database("vosd_partitions")
    migrate_on_server(url)
    return url


@pytest.fixture
async def database(url):
    """An empty database whose months are October to December 2031."""
    async with emptied(url) as database:
        async with database.writing() as connection:
            for table in TABLES:
                of_ledger = table == "ledger_entry"
                months = [bound(table, month) for month in (OCTOBER, NOVEMBER, DECEMBER)]
                kept = [f"PARTITION {KEPT} VALUES LESS THAN (1)"] if of_ledger else []
                by = "RANGE (period)" if of_ledger else "RANGE COLUMNS (call_id)"
                bounds = ", ".join([*kept, *months, last_bound(table)])
                await connection.exec_driver_sql(f"ALTER TABLE {table} PARTITION BY {by} ({bounds})")
        yield database


def call(index: int, began: int, *, customer: str = "acme", **changes: Any) -> CallRecord:
    """A call of a minute that began at a time, UTC milliseconds."""
    plain = answered_call(index, customer_account=customer, vendor_account="carrier", **changes)
    identity = uuid7(began, index.to_bytes(10, "big"))
    times = ("started_at", "ringing_at", "answered_at", "ended_at", "acknowledged_at", "vendor_answered_at")
    moved = {name: getattr(plain, name) - plain.started_at + began for name in times}
    postings = tuple(
        Posting(each.account, each.amount, f"{identity}/{each.reference.partition('/')[2]}", each.currency)
        for each in plain.postings
    )
    return msgspec.structs.replace(plain, call_id=identity, postings=postings, **moved)


def within(month: PartitionMonth) -> int:
    return month.until - 15 * DAY_MS


def payment(reference: str, made_at: int, amount: str = "10") -> Payment:
    kind, paid = EntryKind.PAYMENT, Decimal(amount)
    return Payment(account="acme", kind=kind, reference=reference, made_at=made_at, amount=paid, currency="USD")


async def rows_in(database: Database, table: str) -> dict[str, int]:
    """The rows of each partition that has any."""
    counts = {}
    async with database.reading() as connection:
        for each in await partitions_of(connection, table):
            query = f"SELECT COUNT(*) FROM {table} PARTITION ({each.name})"
            counts[each.name] = (await connection.exec_driver_sql(query)).scalar()
    return {name: count for name, count in counts.items() if count}


async def test_calls_lie_in_the_month_in_which_they_began_and_money_by_hand_is_kept_apart(database):
    calls = [call(place, within(OCTOBER.after(months))) for place, months in enumerate((-5, 0, 1, 2, 3))]
    without_cdr = call(9, within(NOVEMBER), recorded=False)
    await SqlBooks(database).book([*calls, without_cdr])
    await SqlPayments(database).add(payment("INV-7", within(NOVEMBER)))
    months = [OCTOBER.partition, NOVEMBER.partition, DECEMBER.partition, LATER]
    assert await rows_in(database, "cdr") == dict(zip(months, (2, 1, 1, 1), strict=True))
    assert await rows_in(database, "cdr_attempt") == dict(zip(months, (2, 1, 1, 1), strict=True))
    assert await rows_in(database, "cdr_charge") == dict(zip(months, (4, 4, 2, 2), strict=True))
    assert await rows_in(database, "ledger_entry") == {KEPT: 1} | dict(zip(months, (4, 4, 2, 2), strict=True))


async def test_the_first_millisecond_of_a_month_is_in_it_on_all_tables(database):
    last, first = call(1, NOVEMBER.until - 1), call(2, NOVEMBER.until)
    await SqlBooks(database).book([last, first])
    for table in TABLES:
        rows = 1 if table in {"cdr", "cdr_attempt"} else 2
        assert await rows_in(database, table) == {NOVEMBER.partition: rows, DECEMBER.partition: rows}


async def test_a_repeat_books_nothing_whatever_the_month_and_with_or_without_cdr(database):
    ended = within(NOVEMBER)
    batch = [call(1, ended), call(2, ended, recorded=False), call(3, OCTOBER.until - 1, recorded=False)]
    for _ in range(2):
        await SqlBooks(database).book(batch)
        await SqlPayments(database).add(payment("INV-7", within(NOVEMBER)))
    again = await SqlPayments(database).add(payment("INV-7", within(DECEMBER)))
    assert again.repeated
    with pytest.raises(ReferenceTaken):
        await SqlPayments(database).add(payment("INV-7", within(JANUARY), "11"))
    assert sum((await rows_in(database, "ledger_entry")).values()) == 7
    assert (await verify_ledger(database)).differences == ()


async def test_the_key_itself_refuses_a_second_entry_of_one_reference(database):
    """What a program of an earlier version relies on, which does not know of months."""
    await SqlBooks(database).book([call(1, within(NOVEMBER), recorded=False)])
    await SqlPayments(database).add(payment("INV-7", within(NOVEMBER)))
    columns = "account, amount, balance_after, kind, reference, created_at"
    for kind in ("call", "payment"):
        with pytest.raises(AlreadyThere):
            async with database.writing() as connection:
                await connection.exec_driver_sql(
                    f"INSERT INTO ledger_entry ({columns}, seq) SELECT account, amount, balance_after, kind, reference,"
                    f" '2032-05-05', seq + 1000 FROM ledger_entry WHERE kind = '{kind}' AND account = 'acme'"
                )


async def test_a_reference_of_another_call_is_found_in_its_month(database):
    first, second = call(1, within(OCTOBER)), call(2, within(DECEMBER))
    await SqlBooks(database).book([first])
    with pytest.raises(RejectedRecords) as refused:
        await SqlBooks(database).book([msgspec.structs.replace(second, postings=first.postings)])
    assert [each.record.call_id for each in refused.value.rejected] == [second.call_id]


@given(
    kind=st.sampled_from(["call", "correction", "payment"]),
    reference=st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60).filter(
            lambda text: not text.endswith(" ")
        ),
        st.uuids().map(lambda identity: f"{identity}/customer"),
        st.uuids().map(lambda identity: f"some/run/{identity}/agent-1"),
    ),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_reference_has_a_period_and_the_same_one_again(url, kind, reference):
    """The server computes it in its strict mode: no text may be an error, for then a batch would not be booked."""
    insert = (
        "INSERT INTO ledger_entry (account, seq, amount, balance_after, kind, reference, created_at)"
        " VALUES ('any', %s, 0, 0, %s, %s, '2031-01-01')"
    )
    server = make_url(url)
    with (
        pymysql.connect(
            host="127.0.0.1", port=server.port, user="vosd", password="secret", database=server.database
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO'")
        cursor.execute(insert, (1, kind, reference))
        cursor.execute("SELECT period FROM ledger_entry WHERE account = 'any'")
        assert (cursor.fetchone()[0] == 0) == (kind == "payment")
        with pytest.raises(pymysql.err.IntegrityError, match="ledger_entry_once"):
            cursor.execute(insert, (2, kind, reference))
        connection.rollback()


async def test_audits_listings_exports_and_closes_read_over_all_months(database):
    calls = [call(number, within(OCTOBER) + number * 20 * DAY_MS) for number in range(6)]
    books, payments = SqlBooks(database), SqlPayments(database)
    for each in calls:
        await books.book([each])
        await payments.add(payment(f"INV-{each.call_id}", each.ended_at))
    ids = [each.call_id for each in calls]
    assert [found.record.call_id for found in await SqlQueries(database).calls(CallFilter(limit=9))] == ids[::-1]
    entries = await entries_of(database, account="acme")
    assert [entry.seq for entry in entries] == list(range(1, 13))
    assert [entry.id for entry in entries] == sorted(entry.id for entry in entries)
    exported = [row async for page in SqlExport(database).pages(0, 10**9, ["call_id"]) for row in page]
    assert [row[0] for row in exported] == ids
    found = await verify_ledger(database)
    assert (found.entries, found.calls, found.differences) == (18, 6, ())

    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.02"), Decimal(0), 60))
    correction = Correction(ids[0], (change,), "run 3", "ann", "wrong rate", within(JANUARY))
    for _ in range(2):
        await SqlCorrections(database).book([correction])
    checkpoints = SqlCheckpoints(database)
    await checkpoints.close(OCTOBER.until, "ann", None, within(JANUARY))
    assert (await verify_ledger(database)).differences == ()
    assert (await verify_ledger(database, whole=True)).differences == ()
    assert [row[0] async for page in SqlExport(database).pages(0, 10**9, ["call_id"]) for row in page] == [
        *ids[1:], ids[0],
    ]  # fmt: skip


async def test_the_audit_names_a_number_that_an_account_has_twice_in_two_months(database):
    """The one thing that no key refuses over months: the locked row of the account gives each number once."""
    await SqlBooks(database).book([call(1, within(OCTOBER))])
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE account SET seq = 0, balance = 0 WHERE id = 'acme'")
    await SqlBooks(database).book([call(2, within(NOVEMBER))])
    faults = {each.fault for each in (await verify_ledger(database)).differences if each.account == "acme"}
    assert {BookFault.COUNT, BookFault.CHAIN} <= faults


async def test_a_month_is_dropped_and_nothing_else(database):
    await SqlBooks(database).book([call(1, within(OCTOBER)), call(2, within(NOVEMBER))])
    await SqlPayments(database).add(payment("INV-7", within(OCTOBER)))
    await SqlCheckpoints(database).close(NOVEMBER.until, "ann", None, within(JANUARY))
    async with database.writing() as connection:
        for table in TABLES:
            await drop_partition(connection, table, OCTOBER.partition)
        for table, name in (
            ("cdr", LATER),
            ("ledger_entry", KEPT),
            ("cdr", OCTOBER.partition),
            ("account", "p2031_11"),
        ):
            with pytest.raises(PartitionRefused, match=f"{name} is no month of {table}"):
                await drop_partition(connection, table, name)
    assert await rows_in(database, "cdr") == {NOVEMBER.partition: 1}
    assert await rows_in(database, "ledger_entry") == {KEPT: 1, NOVEMBER.partition: 2}
    await SqlBooks(database).book([call(3, within(OCTOBER))])  # a call that is booked so late has a place still
    assert await rows_in(database, "cdr") == {NOVEMBER.partition: 2}
    assert (await SqlPayments(database).add(payment("INV-7", within(OCTOBER)))).repeated


async def test_months_are_added_ahead_and_take_what_lay_behind_the_last(database):
    await SqlBooks(database).book([call(1, within(JANUARY)), call(2, within(JANUARY.after(40)))])
    async with database.writing() as connection:
        await add_months(connection, within(DECEMBER))
        await add_months(connection, within(DECEMBER))  # nothing is missing any more
        names = [each.name for each in await partitions_of(connection, "cdr")]
    ahead = [month.partition for month in from_now(within(DECEMBER))]
    assert names == [OCTOBER.partition, NOVEMBER.partition, *ahead, LATER]
    assert await rows_in(database, "ledger_entry") == {JANUARY.partition: 2, LATER: 2}
    assert (await verify_ledger(database)).differences == ()


async def test_a_reader_of_a_table_delays_a_change_of_its_partitions_only_so_long(database, monkeypatch):
    monkeypatch.setattr(partitions, "LOCK_WAIT_S", 1)
    async with database.reading() as audit:
        await audit.exec_driver_sql("SELECT COUNT(*) FROM cdr")
        with pytest.raises(StoreUnavailable, match=r"another transaction holds locks.* an order must be given again"):
            async with database.writing() as connection:
                await drop_partition(connection, "cdr", OCTOBER.partition)
    async with database.writing() as connection:
        await drop_partition(connection, "cdr", OCTOBER.partition)


async def test_a_new_database_has_the_months_of_half_a_year_ahead(mariadb_url):
    begun = month_of(time.time_ns() // 1_000_000)
    await migrate_async(mariadb_url)
    ended = month_of(time.time_ns() // 1_000_000)
    database = Database(mariadb_url)
    async with database.reading() as connection:
        for table in TABLES:
            found = await partitions_of(connection, table)
            months = [[now.after(count).partition for count in range(AHEAD + 1)] for now in (begun, ended)]
            assert [each.name for each in found if each.until is not None] in months
            assert found[-1].name == LATER
    await database.close()


async def test_a_migration_makes_months_that_are_missing_ahead(mariadb_url):
    await migrate_async(mariadb_url)
    database = Database(mariadb_url)
    async with database.writing() as connection:
        before = {table: await partitions_of(connection, table) for table in TABLES}
        for table, found in before.items():
            await drop_partition(connection, table, found[-2].name)
    await migrate_async(mariadb_url)
    async with database.reading() as connection:
        after = {table: await partitions_of(connection, table) for table in TABLES}
    await database.close()
    assert after == before
