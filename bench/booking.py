"""Cost of booking: processor time per call in this process, and in the database server.

python -m bench.booking [CALLS] [BATCH]

A call is one CDR, one attempt and two ledger entries, as for an answered call.
"""

import asyncio
import gc
import resource
import sys
import tempfile
from pathlib import Path

from doubles.data.records import answered_call
from doubles.process.mariadb import DURABLE, MariaDb

from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.migrate import migrate


def own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def cost_per_call(url: str, calls: int, batch: int, server: MariaDb | None) -> tuple[float, float]:
    """Return (own, server's) microseconds of processor time per booked call."""
    database = Database(url)
    books = SqlBooks(database)
    records = [answered_call(index) for index in range(batch + calls)]
    await books.book(records[:batch])  # connections, caches and account rows
    gc.collect()
    gc.freeze()  # the calls are made here, not read from a journal: keep them out of the figure
    own, theirs = own_cpu_seconds(), server.cpu_seconds() if server else 0.0
    for start in range(batch, batch + calls, batch):
        await books.book(records[start : start + batch])
    own, theirs = own_cpu_seconds() - own, (server.cpu_seconds() if server else 0.0) - theirs
    await database.close()
    return own / calls * 1e6, theirs / calls * 1e6


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    print(f"{calls} calls in batches of {batch}; microseconds of processor time per call")
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite+aiosqlite:///{directory}/vosd.db"
        migrate(url)
        own, _ = asyncio.run(cost_per_call(url, calls, batch, None))
        print(f"SQLite   {own:6.1f} here")
    with tempfile.TemporaryDirectory() as directory:
        server = MariaDb(Path(directory), options=DURABLE)
        server.start()
        try:
            url = server.create_database("vosd")
            migrate(url)
            own, theirs = asyncio.run(cost_per_call(url, calls, batch, server))
        finally:
            server.stop()
        print(f"MariaDB  {own:6.1f} here, {theirs:6.1f} in the server")


if __name__ == "__main__":
    main()
