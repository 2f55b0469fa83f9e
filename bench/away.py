"""``python -m bench.away [CALLS] [RATE]``: an hour without the database, then the backlog beside calls that go on.

CALLS (360,000: an hour at 100 a second) are answered and ended while MariaDB is stopped, by the journal, the recorder
and the bookkeeper of the switch, as fast as the machine can; the work of SIP is not in it. Then MariaDB is started, and
RATE (100) calls a second go on to end while the backlog is booked. Printed are memory, disk and time; last, how long a
start takes that finds such a backlog.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from doubles.data.records import answered_call
from doubles.process.mariadb import DURABLE, MariaDb

from vosd.callcontrol.open_call import OpenCall
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings
from vosd.storage.database import Database
from vosd.storage.migrate import migrate
from vosd.storage.separate_books import SeparateBooks

from .backlog import AT_ONCE, BUY, SELL, write_backlog


def resident_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 / 1_048_576


def end(journal: Journal, recorder: Recorder, balances: Balances, index: int) -> None:
    """Answer and end a call."""
    record = answered_call(index)
    journal.answered(OpenCall(record, SELL, BUY, index))
    journal.ended(record)
    recorder.add(record)
    balances.add_owed(record.postings)


async def outage(directory: Path, server: MariaDb, url: str, calls: int, rate: int) -> None:
    """Measure the outage and what follows it."""
    database = Database(url)
    books = SeparateBooks(database)
    journal = Journal(directory / "journal")
    journal.open()
    journal.settle()
    balances = Balances(books)
    recorder = Recorder(books, journal, balances.credits, CdrSettings())
    await books.start()
    booking = asyncio.create_task(recorder.run())
    for index in range(1_000):  # connections, caches and account rows
        end(journal, recorder, balances, index)
    journal.flush()
    await recorder.drained()
    before = resident_mb()
    await asyncio.to_thread(server.stop)
    began = time.perf_counter()
    for index in range(1_000, 1_000 + calls):
        end(journal, recorder, balances, index)
        if index % AT_ONCE == 0:
            journal.flush()
            await asyncio.sleep(0)
    journal.flush()
    print(
        f"{calls} calls in {time.perf_counter() - began:.0f} s: {len(recorder)} wait,"
        f" {journal.waiting.megabytes()} MiB on disk; memory {before:.0f} MiB before, {resident_mb():.0f} MiB now"
    )
    await asyncio.to_thread(server.start)
    began, index, most, ended = time.perf_counter(), 1_000 + calls, 0.0, 0
    while len(recorder) > 2 * rate:
        due = int((time.perf_counter() - began) * rate)
        while ended < due:
            end(journal, recorder, balances, index)
            ended, index = ended + 1, index + 1
        journal.flush()
        most = max(most, resident_mb())
        await asyncio.sleep(0.01)
    took_s = time.perf_counter() - began
    print(
        f"booked in {took_s:.0f} s, {(calls + ended) / took_s:.0f} a second beside {rate} that ended;"
        f" memory at most {most:.0f} MiB"
    )
    await recorder.drained()
    booking.cancel()
    await asyncio.gather(booking, return_exceptions=True)
    await books.close()
    await database.close()
    journal.close()


async def restart(directory: Path, calls: int) -> None:
    """Measure a start that finds the journal of such an outage."""
    await write_backlog(directory / "journal", calls)
    before, began = resident_mb(), time.perf_counter()
    again = Journal(directory / "journal")
    remains = again.open()
    owed = remains.owed_on_disk
    again.settle()
    print(
        f"a start with {len(remains.unbooked) + len(remains.on_disk)} waiting, of {len(owed)} accounts:"
        f" {time.perf_counter() - began:.0f} s, memory {before:.0f} MiB before, {resident_mb():.0f} MiB then"
    )
    again.close()


def main() -> None:
    """Measure, and print."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 360_000
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        (directory / "mariadb").mkdir()
        server = MariaDb(directory / "mariadb", options=DURABLE)
        server.start()
        try:
            url = server.create_database("vosd")
            migrate(url)
            asyncio.run(outage(directory / "outage", server, url, calls, rate))
        finally:
            server.stop()
        asyncio.run(restart(directory / "restart", calls))


if __name__ == "__main__":
    main()
