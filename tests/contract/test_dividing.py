"""Division by month of tables that hold calls, while others are booked, corrected and paid."""

import asyncio
import re
from contextlib import aclosing
from decimal import Decimal
from itertools import groupby

import pytest
from doubles.data.records import STARTED, answered_call, call_id
from doubles.installation import Installation
from doubles.migrated import Statements, write_on_server, written_on_server
from sqlalchemy import select, text

from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import CUSTOMER
from vosd.cdr.retention import DropPlan, RecordKind
from vosd.storage import dividing, migration_lock, schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.corrections import SqlCorrections
from vosd.storage.daily_totals import SqlDailyTotals
from vosd.storage.database import Database
from vosd.storage.dividing import divide
from vosd.storage.drop_history import Drops, DropTerms
from vosd.storage.dropped import DivisionRuns
from vosd.storage.export import SqlExport
from vosd.storage.migrate import migrate_async
from vosd.storage.months import KEPT
from vosd.storage.partitions import TABLES, PartitionRefused, is_partitioned, partitions_of
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import CallFilter, EntryKind, Payment
from vosd.storage.queries import SqlQueries
from vosd.storage.retention import SqlRetention
from vosd.storage.verify import verify_ledger

pytestmark = pytest.mark.mariadb

BEFORE_MONTHS = "0019"
"""The schema in which the database has its first row of a call."""
AN_ATTEMPT = "INSERT INTO cdr_attempt (call_id, position, gateway, code, ms, reason) VALUES (x'00', 0, 'old', 0, 0, '')"
NOW = STARTED + 40 * 86_400_000


@pytest.fixture(scope="module")
def undivided(mariadb_server) -> Statements:
    """What makes a database that had calls before there were partitions."""
    url = mariadb_server.create_database("vosd_undivided")
    asyncio.run(_fill(url))
    return written_on_server(url)


async def _fill(url: str) -> None:
    """Book calls where the migration left the tables undivided, for there was a call in them."""
    await migrate_async(url, BEFORE_MONTHS)
    database = Database(url)
    async with database.writing() as connection:
        await connection.exec_driver_sql(AN_ATTEMPT)
    await migrate_async(url)
    async with database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM cdr_attempt")
    await SqlBooks(database).book([call(index) for index in range(20, 60)])
    await SqlPayments(database).add(payment("INV-1"))
    await database.close()


@pytest.fixture
async def database(undivided, mariadb_url):
    """Such a database."""
    await asyncio.to_thread(write_on_server, undivided, mariadb_url)
    async with Database(mariadb_url) as database:
        yield database


def call(index: int):
    """Every third call leaves no CDR."""
    return answered_call(index, customer_account="acme", vendor_account="carrier", recorded=index % 3 != 0)


def payment(reference: str) -> Payment:
    return Payment(account="acme", kind=EntryKind.PAYMENT, reference=reference, made_at=STARTED, amount=Decimal(9))


async def change(database: Database, count: int) -> None:
    """Book a call that began before all that are copied, one that is copied later, correct one and pay."""
    await SqlBooks(database).book([call(19 - count), call(60 + count)])
    await SqlPayments(database).add(payment(f"INV-{count + 2}"))
    dearer = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.5") + count, Decimal(0), 60))
    corrected = call_id(22 + 3 * count)
    await SqlCorrections(database).book([Correction(corrected, (dearer,), "run", "ann", "rate", STARTED)])


async def all_calls(database: Database) -> list:
    return list(await SqlQueries(database).calls(CallFilter(limit=1_000)))


async def test_all_that_is_booked_meanwhile_is_there_and_an_interrupted_division_goes_on(database):
    count, tables = 0, []
    while tables[-1:] != ["end"]:
        async with aclosing(divide(database, NOW, rows_at_once=7)) as steps:
            async for step in steps:
                tables.append(step.table)
                if count < 12 and len(tables) % 2:
                    await change(database, count)
                    count += 1
                if len(tables) in {3, 20, 30}:
                    break  # as a kill would
            else:
                tables.append("end")
    assert [table for table, _ in groupby(tables) if table != "end"].count("cdr") > 1
    async with database.reading() as connection:
        for table in TABLES:
            assert len(await partitions_of(connection, table)) > 2
            counts = [
                (await connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}")).scalar()
                for name in (table, f"{table}_undivided")
            ]
            assert counts[0] == counts[1] > 40
        months = {each.name: each for each in await partitions_of(connection, "ledger_entry")}
        kept = (await connection.exec_driver_sql(f"SELECT COUNT(*) FROM ledger_entry PARTITION ({KEPT})")).scalar()
    assert kept == 13
    assert "p2026_09" in months
    found = await verify_ledger(database)
    assert found.differences == ()
    assert found.calls_without_cdr > 0
    corrected = [each for each in await all_calls(database) if any(charge.corrected for charge in each.record.charges)]
    assert len(corrected) == 12
    await change(database, 13)  # bookings go on in the divided tables
    await SqlBooks(database).book([call(index) for index in range(60)])  # and nothing is booked twice
    assert (await verify_ledger(database)).differences == ()
    pages = [row async for page in SqlExport(database).pages(0, 10**9, ["call_id"]) for row in page]
    assert len(pages) == len({row[0] for row in pages}) == len(await all_calls(database))


async def test_nothing_is_dropped_meanwhile_since_what_is_copied_would_come_back(database):
    store, until = SqlRetention(database), NOW - 86_400_000
    await SqlCheckpoints(database).close(until, "ann", None, NOW)
    plan = DropPlan(RecordKind.CALLS, until, until, ())

    async def drop() -> None:
        await store.begin(plan)
        await drop_some()

    async def drop_some() -> None:
        drops = Drops(RecordKind.CALLS, DropTerms(until, NOW, "ann"), lambda: NOW, is_trial=False)
        async for _ in store.drop_calls(plan, until, drops):
            pass

    before = len(await all_calls(database))
    async with aclosing(divide(database, NOW, rows_at_once=7)) as steps:
        await anext(steps)
        for attempt in (drop, drop_some):
            with pytest.raises(DivisionRuns, match="vosd migrate --partition"):
                await attempt()
    assert len(await all_calls(database)) == before
    async for _ in divide(database, NOW):
        pass
    await drop()
    assert await all_calls(database) == []
    lines = await SqlDailyTotals(database).lines("2000", "2100", by_month=True)
    assert sum(line.calls for line in lines) == before


async def test_the_tables_are_those_of_a_new_database(database, mariadb_server):
    async for _ in divide(database, NOW):
        pass
    url = mariadb_server.create_database("vosd_new")
    await migrate_async(url)
    new = Database(url)
    async with database.reading() as divided, new.reading() as made:
        for table in TABLES:
            texts = []
            for connection in (divided, made):
                shown = (await connection.exec_driver_sql(f"SHOW CREATE TABLE {table}")).one()[1]
                columns, _, _ = re.sub(r" AUTO_INCREMENT=\d+| CHARACTER SET utf8mb4", "", shown).partition("(PARTITION")
                texts.append(sorted(line.strip(" ,") for line in columns.splitlines()))
            assert texts[0] == texts[1]
    await new.close()


async def test_what_is_divided_is_not_divided_again(database):
    async for _ in divide(database, NOW):
        pass
    with pytest.raises(PartitionRefused, match="partitioned already"):
        async for _ in divide(database, NOW):
            pass
    async with database.writing() as connection:
        for table in TABLES:
            await connection.exec_driver_sql(f"ALTER TABLE {table} REMOVE PARTITIONING")
    with pytest.raises(PartitionRefused, match=r"cdr_undivided, .* of an earlier division: drop them"):
        async for _ in divide(database, NOW):
            pass


async def test_a_division_that_was_killed_after_the_tables_were_exchanged_is_ended_by_the_next(database, monkeypatch):
    until = NOW - 86_400_000
    await SqlCheckpoints(database).close(until, "ann", None, NOW)
    plan = DropPlan(RecordKind.CALLS, until, until, ())
    before = await all_calls(database)

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as context:
        context.setattr(dividing, "delete", killed)
        with pytest.raises(KilledError):
            [step async for step in divide(database, NOW)]
    async with database.reading() as connection:
        assert await is_partitioned(connection, "cdr")
    with pytest.raises(DivisionRuns, match="start it again"):
        await SqlRetention(database).begin(plan)
    assert [step async for step in divide(database, NOW)] == []
    async with database.reading() as connection:
        names = set(await connection.scalars(select(schema.counter.c.name)))
    assert not names & {schema.DIVIDE_CDR, schema.DIVIDE_ENTRY}
    await SqlRetention(database).begin(plan)
    assert await all_calls(database) == before
    with pytest.raises(PartitionRefused, match="partitioned already"):
        await anext(divide(database, NOW))


class KilledError(Exception):
    """The process ends here."""


async def test_sqlite_has_no_partitions(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
    await migrate_async(url)
    database = Database(url)
    with pytest.raises(PartitionRefused, match="SQLite has no partitions"):
        async for _ in divide(database, NOW):
            pass
    await database.close()


async def test_the_command_divides_and_says_what_stays(database, mariadb_url, tmp_path):
    installation = Installation(tmp_path)
    written = installation.config.read_text()
    installation.config.write_text(written.replace(installation.url, mariadb_url))
    done = await asyncio.to_thread(installation.vosd, "migrate", "--partition")
    assert (done.exit_code, "_undivided" in done.output) == (0, True)
    async with database.reading() as connection:
        assert await is_partitioned(connection, "cdr")
    again = await asyncio.to_thread(installation.vosd, "migrate", "--partition")
    assert (again.exit_code, "partitioned already" in again.output) == (1, True)


@pytest.mark.parametrize(
    "change_of_upgrade",
    [
        "ALTER TABLE cdr ADD COLUMN later INTEGER",
        "CREATE INDEX later ON ledger_entry (kind)",
        "DROP TABLE cdr_by_month",
    ],
)
async def test_a_division_that_an_upgrade_has_overtaken_begins_anew(database, change_of_upgrade):
    async with aclosing(divide(database, NOW, rows_at_once=7)) as steps:
        await anext(steps)
    async with database.writing() as connection:
        await connection.exec_driver_sql(change_of_upgrade)
    before = await all_calls(database)
    async for _ in divide(database, NOW, rows_at_once=7):
        pass
    assert await all_calls(database) == before
    async with database.reading() as connection:
        assert await is_partitioned(connection, "cdr")
        made = await connection.exec_driver_sql(
            "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()"
            " AND table_name = 'cdr' AND column_name = 'later'"
        )
        assert made.scalar_one() == ("COLUMN" in change_of_upgrade)


async def test_no_migration_and_no_other_division_begins_during_one(database, mariadb_url):
    async with aclosing(divide(database, NOW, rows_at_once=7)) as steps:
        await anext(steps)
        with pytest.raises(StoreUnavailable, match="another vosd migrate or restore works on "):
            await migrate_async(mariadb_url)
        with pytest.raises(StoreUnavailable, match="another vosd migrate or restore works on "):
            await anext(divide(database, NOW))
    await migrate_async(mariadb_url)


async def test_a_division_that_has_lost_its_lock_ends(database):
    async with aclosing(divide(database, NOW, rows_at_once=7)) as steps:
        await anext(steps)
        async with database.reading() as connection:
            holder = await connection.scalar(text(f"SELECT IS_USED_LOCK({migration_lock.NAME})"))
            await connection.exec_driver_sql(f"KILL {holder}")
        with pytest.raises(StoreUnavailable, match="vosd_"):
            await anext(steps)
    async for _ in divide(database, NOW):
        pass
    assert (await verify_ledger(database)).differences == ()


async def test_tables_that_were_changed_while_they_were_copied_are_not_exchanged(database, monkeypatch):
    """A change by hand at the worst moment: its column stays, and the next division copies it."""
    fits = dividing._fit

    async def changed_before(connection) -> bool:
        async with database.writing() as other:
            await other.exec_driver_sql("ALTER TABLE cdr ADD COLUMN IF NOT EXISTS later INTEGER DEFAULT 7")
        return await fits(connection)

    monkeypatch.setattr(dividing, "_fit", changed_before)
    with pytest.raises(PartitionRefused, match="start the same command again"):
        async for _ in divide(database, NOW):
            pass
    async with database.reading() as connection:
        assert not await is_partitioned(connection, "cdr")
    async for _ in divide(database, NOW):
        pass
    async with database.reading() as connection:
        assert await is_partitioned(connection, "cdr")
        assert await connection.scalar(text("SELECT MIN(later) FROM cdr")) == 7


async def test_tables_of_a_newer_version_are_not_divided_by_this_one(database):
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(PartitionRefused, match=r"a newer vosd has migrated the tables \(schema 9999\)"):
        await anext(divide(database, NOW))


async def test_a_division_of_an_earlier_version_is_completed_by_this_one(mariadb_url):
    await migrate_async(mariadb_url, BEFORE_MONTHS)
    database = Database(mariadb_url)
    async with database.writing() as connection:
        await connection.exec_driver_sql(AN_ATTEMPT)
    await migrate_async(mariadb_url, "0024")
    assert await dividing._prepare(database, NOW)  # and then its process was killed
    await migrate_async(mariadb_url)
    await SqlBooks(database).book([call(index) for index in range(20)])
    async for _ in divide(database, NOW):
        pass
    assert (await verify_ledger(database)).differences == ()
    await SqlBooks(database).book([call(index) for index in range(30)])
    await database.close()
