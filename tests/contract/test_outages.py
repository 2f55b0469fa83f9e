"""A database that is away, locked or restarted: a typed error, and nothing twice afterwards."""

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from decimal import Decimal

import pytest
from click.testing import CliRunner
from doubles.data.records import answered_call
from doubles.full_disk import fill, mounted
from doubles.migrated import migrate_on_server, migrated
from doubles.mysql import mortal_server
from doubles.process.mariadb import MariaDb

from vosd.cdr.ports import OutcomeUnknown, Standing, StoreUnavailable
from vosd.cli.main import main
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.database import PATIENCE_S, Database
from vosd.storage.ports import CallFilter
from vosd.storage.queries import SqlQueries

FEE = Decimal("0.012345")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server that may be killed."""
    yield from mortal_server(tmp_path_factory.mktemp("mariadb"))


@pytest.fixture
async def mortal(installed, request):
    """That server, and a migrated database in it."""
    url = installed.create_database(f"vosd_{abs(hash(request.node.name))}")
    await asyncio.to_thread(migrate_on_server, url)
    async with Database(url, patience_s=1) as database:
        yield installed, database


@pytest.mark.mariadb
async def test_a_killed_server_is_unavailable_and_books_once_after_its_restart(mortal):
    server, database = mortal
    books = SqlBooks(database)
    first, second = (answered_call(index, customer_account="acme") for index in (1, 2))
    await books.book([first])
    server.kill()
    with pytest.raises(StoreUnavailable, match="is the server running") as outage:
        await books.book([first, second])
    assert "secret" not in str(outage.value)
    server.start()
    assert (await books.book([first, second])).standings["acme"] == Standing(-2 * FEE, 2)
    assert len(await SqlQueries(database).calls(CallFilter())) == 2


@pytest.mark.mariadb
async def test_a_server_killed_in_the_middle_of_a_transaction_has_booked_nothing(mortal):
    server, database = mortal

    async def interrupted():
        async with database.writing() as connection:
            await connection.exec_driver_sql("UPDATE counter SET value = 1000")
            server.kill()
            await connection.exec_driver_sql("UPDATE counter SET value = 2000")

    with pytest.raises(StoreUnavailable):
        await interrupted()
    server.start()
    async with database.reading() as connection:
        assert (await connection.exec_driver_sql("SELECT value FROM counter")).scalar() == 0


@pytest.mark.mariadb
async def test_a_server_that_is_killed_before_its_commit_is_answered_leaves_the_outcome_open(mortal):
    server, database = mortal

    async def read_and_commit():
        async with database.writing() as connection:
            await connection.execute(schema.audit.select())
            server.kill()

    with pytest.raises(OutcomeUnknown, match="is the server running"):
        await read_and_commit()
    server.start()


@pytest.mark.mariadb
async def test_a_server_that_hangs_is_unavailable_and_books_once_when_it_goes_on(mortal):
    server, database = mortal
    books = SqlBooks(database)
    call = answered_call(1, customer_account="acme")
    await books.open_accounts(["acme"])
    server.hang()
    try:
        with pytest.raises(StoreUnavailable, match="did not answer within 1 s"):
            await books.book([call])
    finally:
        server.go_on()
    assert (await books.book([call])).standings["acme"] == Standing(-FEE, 1)


@pytest.mark.mariadb
async def test_a_command_does_not_wait_long_for_a_server_that_hangs(mortal, tmp_path, monkeypatch):
    server, database = mortal
    for module in ("daemon.definitions", "storage.stores", "wiring.database"):
        monkeypatch.setattr(f"vosd.{module}.COMMAND_PATIENCE_S", 0.5)
    config = tmp_path / "vosd.yaml"
    url = database.engine.url.render_as_string(hide_password=False)
    config.write_text(
        f"database: {{url: '{url}'}}\nstate_dir: {tmp_path}/var\ncontrol_socket: {tmp_path}/vosd.sock\n"
        "accounts: [{id: acme, type: direct}]\n"
    )
    block = ["account", "block", "acme", "--memo", "fraud", "-c", str(config)]
    server.hang()
    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            refused = await asyncio.to_thread(CliRunner().invoke, main, block)
    finally:
        server.go_on()
    assert refused.exit_code != 0
    assert "did not answer within 0.5 s" in refused.stderr
    done = await asyncio.to_thread(CliRunner().invoke, main, block)
    assert done.exit_code == 0, done.output


@pytest.mark.mariadb
async def test_a_missing_mysql_database_says_what_to_do(mariadb_server):
    database = Database(mariadb_server.url("nowhere"))
    with pytest.raises(StoreUnavailable, match="make the database, then run vosd migrate"):
        await database.check_schema()
    await database.close()


async def test_a_file_that_cannot_be_opened_says_what_to_do(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/no/such/directory/vosd.db")
    with pytest.raises(StoreUnavailable, match="does the directory exist"):
        await database.check_schema()
    await database.close()


async def test_a_server_that_does_not_listen_is_unavailable(unused_tcp_port):
    database = Database(f"mysql+aiomysql://vosd:secret@127.0.0.1:{unused_tcp_port}/vosd")
    with pytest.raises(StoreUnavailable, match="is the server running") as outage:
        await database.check_schema()
    assert "secret" not in str(outage.value)
    await database.close()


async def test_a_writer_that_waits_too_long_for_a_lock_gives_up_and_books_once_later(database, database_url):
    hasty = Database(database_url, patience_s=0.2)
    books = SqlBooks(hasty)
    call = answered_call(1, customer_account="acme")
    async with database.writing() as holder:
        await holder.exec_driver_sql("UPDATE counter SET value = value + 1")
        with pytest.raises(
            StoreUnavailable, match=r"did not answer within 0\.2 s|is locked.* an order must be given again"
        ):
            await books.book([call])
    patient = SqlBooks(database)
    assert (await patient.book([call])).standings["acme"] == Standing(-FEE, 1)
    hasty._patience_s = PATIENCE_S  # nothing is locked any more, but the machine may be busy
    assert (await books.book([call])).standings["acme"] == Standing(-FEE, 1)
    await hasty.close()


async def test_writers_at_the_same_time_lose_no_money(database, database_url):
    others = [Database(database_url) for _ in range(3)]
    batches = [[answered_call(100 * n + i, customer_account="acme") for i in range(20)] for n in range(6)]
    await asyncio.gather(*(SqlBooks([database, *others][n % 4]).book(batch) for n, batch in enumerate(batches)))
    assert await SqlQueries(database).standing("acme") == Standing(-120 * FEE, 120)
    for other in others:
        await other.close()


async def test_a_writer_whose_task_is_cancelled_releases_its_locks(database, database_url):
    probe = Database(database_url, patience_s=1)
    moments = random.Random(9)
    rows = [{"name": f"counter-{number}", "value": number} for number in range(100)]

    async def write():
        async with database.writing() as connection:
            await connection.execute(schema.counter.delete().where(schema.counter.c.name.like("counter-%")))
            await connection.execute(schema.counter.insert(), rows)

    for attempt in range(120):
        writing = asyncio.ensure_future(write())
        await asyncio.wait({writing}, timeout=moments.random() * 0.006)  # in whichever statement it is
        writing.cancel()
        (ended,) = await asyncio.gather(writing, return_exceptions=True)
        assert ended is None or isinstance(ended, asyncio.CancelledError), attempt
        async with probe.writing() as connection:
            await connection.execute(schema.counter.delete().where(schema.counter.c.name.like("counter-%")))
    await probe.close()


async def test_an_sqlite_connection_that_fails_to_roll_back_is_discarded_all_the_same(tmp_path, monkeypatch):
    async def fail():
        raise sqlite3.OperationalError("disk I/O error")

    database = Database(migrated(tmp_path / "vosd.db"))
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        monkeypatch.setattr(raw.driver_connection, "rollback", fail)
        await connection.invalidate()
    await database.check_schema()  # through a new connection
    await database.close()


async def test_a_full_disk_of_sqlite_is_no_matter_of_a_server(tmp_path):
    with mounted(tmp_path / "disk", "2m") as disk:
        database = Database(migrated(disk / "vosd.db"))
        fill(disk)
        with pytest.raises(StoreUnavailable, match=r"\): is its disk full \(df, df -i\), and may this user write"):
            await database.check_schema()
        await database.close()
