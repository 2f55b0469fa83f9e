"""Migrations lead from nothing to exactly the schema of this version."""

import asyncio
import os
import re
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from doubles.data.records import answered_call
from doubles.migrated import migrate_on_server, migrated
from doubles.mysql import server_of_tests

from vosd.cdr.ports import StoreUnavailable
from vosd.storage import migrate as migrating, migration_lock, migrations, schema
from vosd.storage.access import AT_TERMINAL, SqlAccess, StoredToken
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.driver_errors import SchemaOutdated
from vosd.storage.migrate import migrate, migrate_async
from vosd.storage.migrations import MigrationsMissing, migrations_path, newest_revision
from vosd.storage.partitions import TABLES, is_partitioned
from vosd.storage.traffic import DAY_CLOSED_MS, SqlTraffic
from vosd.traffic.counted import SLOT_MS, TrafficKey, TrafficKind
from vosd.traffic.live_counts import AttemptCount, LiveCounts


@pytest.fixture(params=["sqlite_url", pytest.param("mariadb_url", marks=pytest.mark.mariadb)])
def url(request) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def database(url):
    async with Database(url) as database:
        yield database


async def copy_migrated(url: str) -> None:
    """Have an empty database as the migrations leave it, without making them."""
    if url.startswith("sqlite"):
        migrated(Path(url.removeprefix("sqlite+aiosqlite:///")))
    else:
        await asyncio.to_thread(migrate_on_server, url)


@pytest.mark.mariadb
async def test_a_server_that_prefers_the_row_format_of_old_ones_is_migrated(tmp_path):
    server = server_of_tests(tmp_path)
    server.start("--innodb-default-row-format=compact")
    try:
        await migrate_async(server.create_database("vosd"))
        with server.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT row_format FROM information_schema.tables WHERE table_schema = 'vosd'")
            assert set(cursor.fetchall()) - {(None,)} == {("Dynamic",)}  # a view has none
    finally:
        server.kill()


async def test_migrations_make_what_the_schema_says(url, database):
    await migrate_async(url)
    async with database.reading() as connection:

        def differences(synchronous):
            context = MigrationContext.configure(synchronous, opts={"compare_type": True})
            return compare_metadata(context, schema.metadata)

        found = await connection.run_sync(differences)
        if await is_partitioned(connection, "cdr"):
            # A unique key of a partitioned table has the column that partitions it, so these are not unique, or longer.
            changed = {getattr(each[-1], "name", None) for each in found}
            assert changed == {"cdr_export", "ledger_entry_once", "ledger_entry_chain", "period"}
        else:
            assert found == []


async def test_migrating_again_keeps_what_is_there(url, database):
    await copy_migrated(url)
    await SqlBooks(database).book([answered_call(1, customer_account="acme")])
    await migrate_async(url)
    assert "acme" in (await SqlBooks(database).standings()).standings
    await database.check_schema()


def test_the_newest_migration_is_the_one_that_alembic_upgrades_to():
    script = ScriptDirectory(str(migrations_path()))
    assert script.get_heads() == [newest_revision()]


async def test_a_migration_can_be_taken_back_and_made_again(url, database):
    await migrate_async(url)

    def back_and_forth(synchronous, to="base"):
        config = Config()
        config.set_main_option("script_location", str(migrations_path()))
        config.attributes["connection"] = synchronous
        command.downgrade(config, to)
        command.upgrade(config, "head")

    attempts = [AttemptCount(7, TrafficKey(TrafficKind.NO_CDR, minute=minute), 1, 0) for minute in (0, 5)]
    await SqlTraffic(database).add_live(LiveCounts(1, tuple(attempts)))
    async with database.writing() as connection:
        await connection.run_sync(back_and_forth, "0086")
    await SqlTraffic(database).add_live(LiveCounts(2, tuple(attempts)))
    counts = "SELECT k.minute, s.calls FROM traffic s JOIN traffic_key k ON k.id = s.key_id ORDER BY s.calls, k.minute"
    async with database.writing() as connection:
        found = [tuple(row) for row in await connection.exec_driver_sql(counts)]
        # The attempt of minute 5 from before is one of the quarter, and none of later attempts is counted with it.
        assert found == [(0, 1), (5, 1), (0, 2)]
        await connection.run_sync(back_and_forth)
    await database.check_schema()
    assert (await SqlBooks(database).standings()).standings == {}


async def test_tokens_of_before_have_their_makers_from_the_audit(url, database):
    await copy_migrated(url)
    access, line = SqlAccess(database), AuditLine(1, "ann", "operator", "ann", "page", "", "AddToken", "token a", "{}")
    for token_id, means, login in (("a", "page", "ann"), ("b", "token", "token a"), ("c", "terminal", "ann")):
        made = StoredToken(id=token_id, name="crm", digest="0", role="viewer", created_at=1, created_by="ann")
        await access.add_token(made, line._replace(subject=f"token {token_id}", means=means, login=login))

    def back_and_forth(synchronous):
        config = Config()
        config.set_main_option("script_location", str(migrations_path()))
        config.attributes["connection"] = synchronous
        command.downgrade(config, "0095")
        command.upgrade(config, "head")

    async with database.writing() as connection:
        await connection.run_sync(back_and_forth)
    assert {each.id: each.maker for each in await access.tokens()} == {"a": "ann", "b": "token a", "c": AT_TERMINAL}


async def test_a_switch_that_takes_its_lease_meanwhile_is_no_hindrance(url, database):
    """The row that it changes is made by it where it is missing, as until the last migrations."""

    def back_and_forth(synchronous):
        config = Config()
        config.set_main_option("script_location", str(migrations_path()))
        config.attributes["connection"] = synchronous
        command.downgrade(config, "0104")
        synchronous.exec_driver_sql("INSERT INTO counter (name, value) VALUES ('lease', 3)")
        command.upgrade(config, "head")

    await copy_migrated(url)
    async with database.writing() as connection:
        await connection.run_sync(back_and_forth)
        taken = await connection.exec_driver_sql("SELECT value FROM counter WHERE name = 'lease'")
        assert taken.scalar_one() == 3


async def test_attempts_of_before_that_ended_without_an_answer_stay_reached(url, database):
    """In the sums of quarters, UTC days and days of other zones alike; to make the sums anew keeps them."""
    await copy_migrated(url)
    day, traffic = 96 * 20_000, SqlTraffic(database)
    since, until = day * SLOT_MS, (day + 96) * SLOT_MS
    ends = ("No Answer", 480), ("No Answer", 408), ("Gateway Failed", 503)
    keys = [TrafficKey(TrafficKind.NO_CDR, end_reason=reason, sip_code=code) for reason, code in ends]
    await traffic.add_live(LiveCounts(1, tuple(AttemptCount(day + 5, key, 50, 0) for key in keys)))
    await traffic.close_day(until + DAY_CLOSED_MS)
    while await traffic.close_zone_day(until + 2 * DAY_CLOSED_MS + 86_400_000, [ZoneInfo("Asia/Shanghai")]):
        pass

    def back_and_forth(synchronous):
        config = Config()
        config.set_main_option("script_location", str(migrations_path()))
        config.attributes["connection"] = synchronous
        command.downgrade(config, "0103")
        command.upgrade(config, "head")

    async def reached() -> dict[str, list[tuple[object, ...]]]:
        query = "SELECT k.end_reason, k.sip_code, s.progressed FROM {} s JOIN traffic_key k ON k.id = s.key_id"
        tables = ("traffic", "traffic_day", "traffic_zone")
        async with database.reading() as connection:
            return {each: sorted(map(tuple, await connection.exec_driver_sql(query.format(each)))) for each in tables}

    async with database.writing() as connection:
        await connection.run_sync(back_and_forth)
    wanted = sorted((*end, 50 if end == ("No Answer", 480) else 0) for end in ends)
    assert await reached() == {"traffic": wanted, "traffic_day": wanted, "traffic_zone": wanted}
    assert [each async for each in traffic.differences(since, until)] == []
    async for _ in traffic.rebuild(since, until):
        pass
    assert await reached() == {"traffic": wanted, "traffic_day": wanted, "traffic_zone": wanted}


async def test_the_view_of_calls_is_replaced_and_comes_back(url, database):
    """Billing bases of both sides, and what was paid before; the columns around them stay in their order."""
    added = ["billing_base_ms", "vendor_billing_base_ms", "vendor_paid_ms"]

    async def columns() -> list[str]:
        async with database.reading() as connection:
            return list((await connection.exec_driver_sql("SELECT * FROM cdr_report")).keys())

    def back(synchronous):
        config = Config()
        config.set_main_option("script_location", str(migrations_path()))
        config.attributes["connection"] = synchronous
        command.downgrade(config, "0017")

    await migrate_async(url, "0017")
    before = await columns()
    await migrate_async(url)
    after = await columns()
    assert [after[after.index(name) + 1] for name in added] == [
        "billed_seconds", "vendor_paid_ms", "vendor_billed_seconds",
    ]  # fmt: skip
    assert [name for name in after if name not in added] == before
    async with database.writing() as connection:
        await connection.run_sync(back)
    assert await columns() == before


async def test_a_database_without_tables_asks_for_vosd_migrate(database):
    with pytest.raises(SchemaOutdated, match="run vosd migrate"):
        await database.check_schema()
    with pytest.raises(SchemaOutdated, match="run vosd migrate"):
        await SqlBooks(database).book([answered_call(1)])


async def test_another_revision_is_refused_with_advice(url, database):
    await copy_migrated(url)
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE schema_compatibility SET oldest = '9999'")
    for revision, advice in (("0000", "run vosd migrate"), ("9999", "newer vosd")):
        async with database.writing() as connection:
            await connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
        with pytest.raises(SchemaOutdated, match=advice):
            await database.check_schema()


async def test_an_upgrade_can_be_taken_back(url, database, monkeypatch):
    """The program before a migration works on what the migration has made, if that is declared."""
    await copy_migrated(url)
    known = migrations.revisions()
    earlier = known[: known.index("0015") + 1]
    monkeypatch.setattr("vosd.storage.database.revisions", lambda: earlier)
    await database.check_schema()
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE schema_compatibility SET oldest = '0016'")
    with pytest.raises(SchemaOutdated, match="newer vosd"):
        await database.check_schema()
    async with database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM schema_compatibility")
    with pytest.raises(SchemaOutdated, match="newer vosd"):
        await database.check_schema()


def test_every_migration_says_which_programs_work_with_it():
    """From 0015 on; what an earlier migration has ended no later one gives back."""
    known = migrations.revisions()
    script = ScriptDirectory(str(migrations_path()))
    later = known[known.index("0015") :]
    oldest = [known.index(script.get_revision(each).module.compatible_with) for each in later]
    assert oldest == sorted(oldest)
    assert all(place <= known.index(each) for each, place in zip(later, oldest, strict=True))


@pytest.mark.mariadb
async def test_no_migration_makes_bookings_wait(mariadb_url):
    """All of them on tables with calls: what changes a large table says that it copies and locks nothing."""
    await migrate_async(mariadb_url, "0019")
    database = Database(mariadb_url)
    async with database.writing() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO ledger_entry (account, seq, amount, balance_after, kind, reference, created_at)"
            " VALUES ('acme', 1, 1, 1, 'payment', 'INV-1', '2026-01-01')"
        )
    statements = []
    guard = migrating.without_locks

    def noted(statement: str) -> str:
        statements.append(guard(statement))
        return statements[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrating, "without_locks", noted)
        await migrate_async(mariadb_url)
    changes = [
        each for each in statements if re.match(rf"\s*(ALTER TABLE|CREATE INDEX).*\b({'|'.join(TABLES)})\b", each)
    ]
    assert changes
    assert [each for each in changes if "LOCK=NONE" not in each] == []
    async with database.reading() as connection:
        assert not await is_partitioned(connection, "cdr")  # that would have copied the table
    await database.close()


@pytest.mark.mariadb
async def test_a_change_that_would_lock_a_table_of_calls_is_refused(mariadb_url):
    await copy_migrated(mariadb_url)
    database = Database(mariadb_url)

    def change(synchronous) -> None:
        migrating.guard(synchronous)
        synchronous.exec_driver_sql("ALTER TABLE cdr ADD COLUMN more INTEGER")
        synchronous.exec_driver_sql("CREATE INDEX cdr_more ON cdr (more)")
        synchronous.exec_driver_sql("ALTER TABLE cdr MODIFY node INTEGER")

    with pytest.raises(StoreUnavailable, match="ALGORITHM=INPLACE is not supported"):
        async with database.writing() as connection:
            await connection.run_sync(change)
    await database.close()


async def test_a_database_without_its_counter_asks_for_vosd_migrate(url, database):
    await copy_migrated(url)
    async with database.writing() as connection:
        await connection.execute(schema.counter.delete())
    with pytest.raises(SchemaOutdated, match="counter"):
        await SqlBooks(database).book([answered_call(1)])


def test_an_sqlite_file_is_made_with_its_directory_and_for_its_owner_alone(tmp_path):
    mask = os.umask(0)
    try:
        migrate(f"sqlite+aiosqlite:///{tmp_path}/var/lib/vosd.db")
    finally:
        os.umask(mask)
    assert stat.filemode((tmp_path / "var/lib/vosd.db").stat().st_mode) == "-rw-------"
    assert stat.filemode((tmp_path / "var/lib").stat().st_mode) == "drwx------"


def test_an_installed_package_carries_its_migrations_inside(tmp_path, monkeypatch):
    monkeypatch.setattr(migrations, "_PACKAGE", tmp_path / "vosd")
    with pytest.raises(MigrationsMissing, match="install vosd again"):
        migrations_path()
    for place in (tmp_path / "migrations", tmp_path / "vosd" / "_migrations"):
        place.mkdir(parents=True)
        (place / "env.py").touch()
        assert migrations_path() == place
        with pytest.raises(MigrationsMissing, match="install vosd again"):
            newest_revision()


def test_a_schema_of_another_version_is_not_touched_and_explained(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
    migrate(url)
    with closing(sqlite3.connect(tmp_path / "vosd.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    migrate(url)  # this version works with it: there is nothing to do
    with closing(sqlite3.connect(tmp_path / "vosd.db")) as connection:
        connection.execute("UPDATE schema_compatibility SET oldest = '9998'")
        connection.commit()
    with pytest.raises(SchemaOutdated, match=r"9999.*migrated by a newer vosd"):
        migrate(url)


def test_an_sqlite_file_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "var").touch()
    with pytest.raises(StoreUnavailable, match=f"{tmp_path}/var/vosd.db of database.url cannot be made"):
        migrate(f"sqlite+aiosqlite:///{tmp_path}/var/vosd.db")


@pytest.fixture
def add(tmp_path, monkeypatch) -> Callable[[str, str], None]:
    """Return a function that installs a migration behind another, beside a program that has none yet."""
    monkeypatch.setattr(migrations, "_PACKAGE", tmp_path / "vosd")
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").touch()

    def added(revision: str, before: str) -> None:
        (versions / f"{revision}_some.py").write_text(f'revision = "{revision}"\ndown_revision = {before}\n')

    return added


def test_the_order_of_migrations_is_that_of_their_predecessors_not_of_their_numbers(add):
    for revision, before in (("0001", "None"), ("0003", '"0001"'), ("0002", '"0003"')):
        add(revision, before)
    assert migrations.revisions() == ["0001", "0003", "0002"]


def test_what_is_installed_while_a_program_runs_is_not_what_it_needs(add):
    add("0001", "None")
    assert newest_revision() == "0001"
    add("0002", '"0001"')
    assert newest_revision() == "0001"


@pytest.mark.mariadb
async def test_one_process_alone_migrates_a_database_of_a_server(mariadb_server, mariadb_url, monkeypatch):
    begun, go_on, upgrade = threading.Event(), threading.Event(), migrating._upgrade

    def slow_upgrade(*arguments):
        begun.set()
        assert go_on.wait(60)
        upgrade(*arguments)

    monkeypatch.setattr(migrating, "_upgrade", slow_upgrade)
    first = asyncio.create_task(asyncio.to_thread(migrate, mariadb_url))
    await asyncio.to_thread(begun.wait, 60)
    try:
        with pytest.raises(StoreUnavailable, match="another vosd migrate or restore works on "):
            await migrate_async(mariadb_url)
        other = mariadb_server.create_database(f"{mariadb_url.rpartition('/')[2]}_beside")
        monkeypatch.setattr(migrating, "_upgrade", upgrade)
        await migrate_async(other)
    finally:
        go_on.set()
        await first
    await migrate_async(mariadb_url)
    database = Database(mariadb_url)
    await database.check_schema()
    await database.close()


@pytest.mark.mariadb
async def test_the_lock_of_a_migration_is_on_the_connection_that_upgrades(mariadb_url, monkeypatch):
    """The server keeps it while it completes a statement of a process that was killed; none is idle with it."""
    held, upgrade = [], migrating._upgrade

    def noted(connection, *arguments):
        held.append(
            connection.exec_driver_sql(f"SELECT IS_USED_LOCK({migration_lock.NAME}) = CONNECTION_ID()").scalar()
        )
        upgrade(connection, *arguments)

    monkeypatch.setattr(migrating, "_upgrade", noted)
    await migrate_async(mariadb_url)
    assert held == [1]


@pytest.mark.mariadb
@pytest.mark.parametrize("stage", ["_upgrade", "add_months"])
async def test_a_migration_whose_connection_ends_says_so(mariadb_url, monkeypatch, stage):
    """The lock is gone with the connection: that it cannot be released hides no error."""

    def ended(connection, *_arguments):
        connection.exec_driver_sql(f"KILL {connection.exec_driver_sql('SELECT CONNECTION_ID()').scalar()}")

    async def ended_later(connection, *_arguments, **_terms):
        await connection.run_sync(ended)

    monkeypatch.setattr(migrating, stage, ended if stage == "_upgrade" else ended_later)
    with pytest.raises(StoreUnavailable, match=r"KILL|interrupted|killed"):
        await migrate_async(mariadb_url)
    monkeypatch.undo()
    await migrate_async(mariadb_url)
