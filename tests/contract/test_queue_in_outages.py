"""Calls that end while a real server is stopped, killed, hung, read-only, full, slow or exchanged: each is booked once.

The window in memory is small, so that most calls are read back from the journal's files.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import structlog
from doubles.data.builders import account
from doubles.data.records import answered_call, call_id
from doubles.full_disk import fill, mounted
from doubles.journals import not_noted, opened
from doubles.migrated import migrate_on_server
from doubles.mysql import mortal_server, server_of_tests
from doubles.process.mariadb import MariaDb

from vosd.cdr.ports import Standing
from vosd.engine.background import kept_going
from vosd.engine.booking import recorder as recorder_module
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.comparison import JournalComparison
from vosd.engine.booking.last_standings import NoLastStandings
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal.kept import BEGINNING
from vosd.engine.settings import CdrSettings
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.queries import SqlQueries

pytestmark = pytest.mark.mariadb

WINDOW = 20
BEFORE, DURING, AFTER = 15, 200, 25
FEE = Decimal("0.012345")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    yield from mortal_server(tmp_path_factory.mktemp("mariadb"))


@pytest.fixture
def url(installed: MariaDb, request: pytest.FixtureRequest) -> str:
    url = installed.create_database(f"vosd_{abs(hash(request.node.name))}")
    migrate_on_server(url)
    return url


class Booking:
    """Journal, recorder and balances of a switch that uses a database."""

    def __init__(
        self, url: str, directory: Path, log: Sequence[Mapping[str, object]], *, patience_s: float = 1
    ) -> None:
        self._log = log
        self.database = Database(url, patience_s=patience_s)
        self.journal = opened(directory / "journal", segment_bytes=40_000)
        self.balances = Balances(SqlBooks(self.database))
        settings = CdrSettings(batch_rows=10, batch_ms=5)
        credits = self.balances.credits
        self.recorder = Recorder(SqlBooks(self.database), self.journal, credits, settings, window=WINDOW)
        self.most_in_memory = 0
        self._ended = 0
        self.task = asyncio.create_task(kept_going("booking", self.recorder.run))

    async def end(self, calls: int, *, customer: str = "acme") -> None:
        """Let calls end, and let the recorder see each of them."""
        for index in range(self._ended, self._ended + calls):
            record = answered_call(index, customer_account=customer, vendor_account="carrier")
            self.journal.ended(record)
            self.recorder.add(record)
            self.balances.add_owed(record.postings)
            self.journal.flush()
            await asyncio.sleep(0)
            in_memory = len(self.recorder) - self.journal.waiting.on_disk
            self.most_in_memory = max(self.most_in_memory, in_memory)
        self._ended += calls

    async def failed(self) -> None:
        """Wait until a batch has failed."""
        while not self.recorder._outage.goes_on:
            await asyncio.wait({self.task}, timeout=0.02)

    async def drained(self) -> None:
        """Wait until all calls are booked; a failure shows what the recorder has logged."""
        try:
            await asyncio.wait_for(self.recorder.drained(), 60)
        except TimeoutError:
            pytest.fail(f"{len(self.recorder)} of {self._ended} calls still wait: {self._log[-20:]}")

    async def check_each_booked_once(self, *, in_order: bool = True) -> None:
        await self.drained()
        credit = self.balances.credits["acme"]
        assert (credit.balance, credit.unbooked, credit.seq) == (-FEE * self._ended, 0, self._ended)
        assert await SqlQueries(self.database).standing("acme") == Standing(-FEE * self._ended, self._ended)
        async with self.database.reading() as connection:
            cdrs = await connection.exec_driver_sql("SELECT COUNT(*), COUNT(DISTINCT call_id) FROM cdr")
            assert tuple(cdrs.one()) == (self._ended, self._ended)
            query = "SELECT reference FROM ledger_entry WHERE account = 'acme' ORDER BY seq"
            order = list((await connection.exec_driver_sql(query)).scalars())
        assert (order if in_order else sorted(order)) == [f"{call_id(index)}/customer" for index in range(self._ended)]
        assert self.most_in_memory <= WINDOW
        assert self.journal.unbooked == 0

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.database.close()
        self.journal.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(recorder_module, "_RETRY_MOST_S", 0.05)


@pytest.fixture
async def booking(url: str, tmp_path: Path, quick: None) -> AsyncIterator[Booking]:
    with structlog.testing.capture_logs() as log:
        booking = Booking(url, tmp_path, log)
        await booking.balances.adopt({name: account(name) for name in ("acme", "carrier")})
        await booking.end(BEFORE)
        await booking.drained()
        yield booking
        await booking.close()


def _restart_read_only(server: MariaDb) -> None:
    server.stop()
    server.start("--innodb-read-only")


def _restart(server: MariaDb) -> None:
    server.stop()
    server.start()


OUTAGES = {
    "stopped": (MariaDb.stop, MariaDb.start),
    "killed": (MariaDb.kill, MariaDb.start),
    "hung": (MariaDb.hang, MariaDb.go_on),
    "read-only": (_restart_read_only, _restart),
}


@pytest.mark.parametrize("kind", OUTAGES)
async def test_calls_that_end_in_an_outage_are_booked_once_and_in_their_order(
    kind: str, installed: MariaDb, booking: Booking
) -> None:
    begin, end = OUTAGES[kind]
    await asyncio.to_thread(begin, installed)
    try:
        await booking.end(DURING)
        await booking.failed()
        assert booking.journal.waiting.on_disk >= DURING - WINDOW
        await booking.end(AFTER)
    finally:
        await asyncio.to_thread(end, installed)
    await booking.check_each_booked_once()


async def test_a_server_that_is_killed_again_and_again_books_each_call_once(
    installed: MariaDb, booking: Booking
) -> None:
    for _ in range(3):
        await booking.end(DURING // 2)
        await asyncio.to_thread(installed.kill)
        await booking.end(AFTER)
        await asyncio.to_thread(installed.start)
    # A call that fails in two kills, with a server between them that takes others, goes behind those.
    await booking.check_each_booked_once(in_order=False)


async def test_a_database_that_takes_its_time_for_a_commit_books_each_call_once(url: str, booking: Booking) -> None:
    async with booking.database.writing() as connection:
        slow = "CREATE TRIGGER slow BEFORE UPDATE ON counter FOR EACH ROW DO SLEEP(0.2)"
        await connection.exec_driver_sql(slow)
    await booking.end(DURING)
    assert booking.journal.waiting.on_disk > 0
    async with booking.database.writing() as connection:
        await connection.exec_driver_sql("DROP TRIGGER slow")
    await booking.check_each_booked_once()


async def test_rows_that_another_program_holds_keep_the_calls_of_their_accounts_alone_waiting(
    url: str, tmp_path: Path, quick: None
) -> None:
    held = ("acme", "gamma")
    with structlog.testing.capture_logs() as log:
        booking = Booking(url, tmp_path, log, patience_s=2)
        await booking.balances.adopt({name: account(name) for name in (*held, "carrier", "beta")})
        await booking.end(BEFORE)
        await booking.drained()
        other = Database(url)
        async with other.writing() as rows:
            await rows.exec_driver_sql("SELECT balance FROM account WHERE id IN ('acme', 'gamma') FOR UPDATE")
            for customer in held:
                await booking.end(1, customer=customer)
                async with asyncio.timeout(30):
                    while customer not in booking.recorder._locked:
                        await asyncio.wait({booking.task}, timeout=0.02)
            await booking.end(WINDOW - 2, customer="beta")
            async with asyncio.timeout(30):
                while len(booking.recorder) > len(held):
                    await asyncio.wait({booking.task}, timeout=0.02)
            async with asyncio.timeout(30):  # and other programs book on other accounts meanwhile
                await SqlBooks(other).open_accounts({"delta"})
            assert await SqlQueries(booking.database).standing("beta") == Standing(-FEE * (WINDOW - 2), WINDOW - 2)
            assert await SqlQueries(booking.database).standing("acme") == Standing(-FEE * BEFORE, BEFORE)
        await other.close()
        await booking.drained()
        assert await SqlQueries(booking.database).standing("acme") == Standing(-FEE * (BEFORE + 1), BEFORE + 1)
        await booking.close()
    away = [each for each in log if each["event"] == "database_away"]
    assert [each["error"].rpartition("; ")[2] for each in away] == [
        "the rows of accounts acme are locked",
        "the rows of accounts acme, gamma are locked",
    ]
    assert [each["event"] for each in log if each["event"] == "database_back"] == ["database_back"]


async def test_a_row_that_another_program_holds_keeps_no_batch_of_other_accounts_waiting(url: str) -> None:
    """As some servers do, which read all rows of a table where a statement names many of them."""
    names = [f"acc-{number:02}" for number in range(50)]
    async with Database(url, patience_s=2) as database, Database(url) as other:
        await SqlBooks(database).open_accounts(names)
        async with other.writing() as rows:
            await rows.exec_driver_sql("SELECT balance FROM account WHERE id = 'acc-05' FOR UPDATE")
            named = [name for name in names if name != "acc-05"]
            async with asyncio.timeout(30):
                await SqlBooks(database).open_accounts(named)
                assert await SqlBooks(database).locked_accounts(names) == {"acc-05"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "160m") as disk:
        yield disk


async def test_calls_wait_for_a_server_whose_disk_is_full(small_disk: Path, tmp_path: Path, quick: None) -> None:
    server = server_of_tests(small_disk)
    server.start()
    try:
        url = server.create_database("vosd")
        await asyncio.to_thread(migrate_on_server, url)
        with structlog.testing.capture_logs() as log:
            booking = Booking(url, tmp_path, log)
            await booking.balances.adopt({name: account(name) for name in ("acme", "carrier")})
            fill(small_disk)
            await booking.end(10 * DURING)
            await booking.failed()
            (small_disk / "ballast").unlink()
            await booking.end(AFTER)
            # A disk that is nearly full takes one call and refuses another.
            await booking.check_each_booked_once(in_order=False)
            await booking.close()
    finally:
        server.kill()


@pytest.mark.parametrize("lost", [0, 10])
async def test_another_server_at_the_same_address_gets_what_waits(
    lost: int, tmp_path: Path, quick: None, restore: Callable[[MariaDb, Path], None]
) -> None:
    """The copy has all commits, or lacks the last: the waiting calls are booked, the lost ones are compared later."""
    data = tmp_path / "mariadb"
    data.mkdir()
    server = server_of_tests(data)
    server.start()
    try:
        url = server.create_database("vosd")
        await asyncio.to_thread(migrate_on_server, url)
        with structlog.testing.capture_logs() as log:
            booking = Booking(url, tmp_path, log)
            await booking.balances.adopt({name: account(name) for name in ("acme", "carrier")})
            await booking.end(BEFORE)
            await booking.drained()
            await booking.database.close()
            await asyncio.to_thread(server.stop)
            shutil.copytree(data, tmp_path / "replica")
            if lost:
                await asyncio.to_thread(server.start)
                await booking.end(lost)
                await booking.drained()
                await asyncio.to_thread(server.stop)
            await booking.end(DURING)
            await booking.failed()
            await asyncio.to_thread(restore, server, tmp_path / "replica")
            await booking.drained()
            comparison = JournalComparison(
                SqlBooks(booking.database), booking.balances, booking.recorder, booking.journal, NoLastStandings()
            )
            mended = await comparison.mend(BEGINNING, not_noted)
            assert mended.booked == lost
            assert await SqlQueries(booking.database).standing("acme") == Standing(
                -FEE * (BEFORE + lost + DURING), BEFORE + lost + DURING
            )
            await booking.close()
    finally:
        server.stop()


@pytest.fixture
def restore() -> Callable[[MariaDb, Path], None]:
    """Put a copy of the data in the place of the server's, and start it."""

    def exchange(server: MariaDb, copy: Path) -> None:
        data = copy.parent / "mariadb"
        shutil.rmtree(data)
        copy.rename(data)
        server.start()

    return exchange
