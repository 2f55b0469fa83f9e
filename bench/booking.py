"""Cost of booking: processor time per call in this process, and in the database server.

python -m bench.booking [CALLS] [BATCH]
python -m bench.booking --beside [PAIRS] [SECONDS] [RATE]

A call is one CDR, one attempt and two ledger entries, as for an answered call.

``--beside`` books RATE calls a second (100) in batches of 20 in MariaDB, by turns of SECONDS (15) with and without the
process beside them that adds calls up for reports.
"""

import asyncio
import gc
import itertools
import resource
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from doubles.data.records import answered_call
from doubles.process.mariadb import DURABLE, MariaDb

from vosd.cdr.record import CallRecord
from vosd.daemon.traffic import PROCESS
from vosd.daemon.traffic_process import TrafficOrder
from vosd.processes.channel import send
from vosd.processes.child import Child, ended, started
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.migrate import migrate
from vosd.storage.traffic import SqlTraffic

_BATCH: Final = 20


class Turn(NamedTuple):
    """Measured costs of the bookings of one turn."""

    own: float
    """Microseconds of processor time a call in this process."""
    served: float
    """Microseconds in the thread of MariaDB that serves it."""
    others: float
    """Microseconds in all other threads of MariaDB."""
    adding: float
    """Microseconds in the process that adds up."""
    batches: list[float]
    """Milliseconds of each batch by the clock."""


def own_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def migrated_server() -> Iterator[tuple[MariaDb, str]]:
    """Run a server of MariaDB that writes each commit to the disk; the URL is that of a migrated and empty database."""
    with tempfile.TemporaryDirectory() as directory:
        server = MariaDb(Path(directory), options=DURABLE)
        server.start()
        try:
            url = server.create_database("vosd")
            migrate(url)
            yield server, url
        finally:
            server.stop()


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


class BookingBeside:
    """Bookings at a steady rate, and the process that adds calls up."""

    def __init__(self, server: MariaDb, url: str, seconds: float, rate: int) -> None:
        self._server = server
        self._url = url
        self._seconds = seconds
        self._rate = rate
        self._database = Database(url)
        self._books = SqlBooks(self._database)
        self._numbers = itertools.count()
        self._threads: list[Path] = []

    async def begin(self) -> None:
        """Open the connection, and note the thread that serves it."""
        await self._books.book([answered_call(next(self._numbers)) for _ in range(_BATCH)])
        with self._server.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT tid FROM information_schema.processlist"
                           " WHERE id <> CONNECTION_ID() AND db = 'vosd'")  # fmt: skip
            self._threads = [Path(f"/proc/{self._server.pid}/task/{tid}/schedstat") for (tid,) in cursor.fetchall()]

    async def end(self) -> None:
        await self._database.close()

    def _spent(self, child: Child | None) -> tuple[float, float, float, float]:
        served = sum(map(_seconds, self._threads))
        adding = _seconds(Path(f"/proc/{child.process.pid}/schedstat")) if child else 0.0
        return own_cpu_seconds(), served, self._server.cpu_seconds() - served, adding

    async def turn(self, child: Child | None = None) -> Turn:
        """Book for the time of a turn, beside the process if there is one."""
        made = [[self._call() for _ in range(_BATCH)] for _ in range(round(self._seconds * self._rate / _BATCH))]
        gc.collect()
        gc.freeze()
        loop, batches = asyncio.get_running_loop(), list[float]()
        begin, before = loop.time(), self._spent(child)
        for number, batch in enumerate(made):
            await asyncio.sleep(begin + number * _BATCH / self._rate - loop.time())
            begun = loop.time()
            await self._books.book(batch)
            batches.append((loop.time() - begun) * 1e3)
        spent = [
            (now - then) / (len(made) * _BATCH) * 1e6 for now, then in zip(self._spent(child), before, strict=True)
        ]
        own, served, others, adding = spent
        return Turn(own, served, others, adding, batches)

    def _call(self) -> CallRecord:
        number = next(self._numbers)
        called = f"{1000 + number * 7919 % 1000}{number:07d}"
        return answered_call(number, rate_area=f"area-{number * 7919 % 200}", callee_billing=called, callee_in=called)

    async def adder(self) -> Child:
        """Start the process, and wait until it has added what was booked without it."""
        child = await started(PROCESS)
        send(child.writer, msgspec.msgpack.encode(TrafficOrder(self._url, ())))
        traffic = SqlTraffic(self._database)
        while (await traffic.behind()).calls:  # noqa: ASYNC110 - another process adds them
            await asyncio.sleep(0.2)
        return child


def _seconds(schedstat: Path) -> float:
    return int(schedstat.read_text().split()[0]) / 1e9


def _line(name: str, turns: list[Turn]) -> str:
    own, served, others, adding = (statistics.median(column) for column in list(zip(*turns, strict=True))[:4])
    batches = sorted(itertools.chain.from_iterable(each.batches for each in turns))
    return (
        f"{name:<12}{own:7.0f} here,{served:6.0f} in its thread of MariaDB,{others:6.0f} in the others,"
        f"{adding:6.0f} adding up;"
        f" a batch {statistics.median(batches):.1f} ms, p99 {batches[len(batches) * 99 // 100]:.1f} ms"
    )


async def by_turns(server: MariaDb, url: str, pairs: int, seconds: float, rate: int) -> list[str]:
    """Measure by turns, and return lines of text."""
    bookings = BookingBeside(server, url, seconds, rate)
    await bookings.begin()
    alone, beside = list[Turn](), list[Turn]()
    for _ in range(pairs):
        alone.append(await bookings.turn())
        child = await bookings.adder()
        beside.append(await bookings.turn(child))
        await ended(child)
    await bookings.end()
    more = statistics.median((b.own + b.served) / (a.own + a.served) - 1 for a, b in zip(alone, beside, strict=True))
    return [
        _line("alone", alone), _line("beside", beside), f"a booking takes {more:+.1%}: median of {pairs} pairs",
    ]  # fmt: skip


def measure_beside(pairs: int = 8, seconds: int = 15, rate: int = 100) -> None:
    print(f"{rate} calls a second in batches of {_BATCH}; microseconds of processor time per call, medians of turns")
    with migrated_server() as (server, url):
        print(*asyncio.run(by_turns(server, url, pairs, seconds, rate)), sep="\n")


def main() -> None:
    if sys.argv[1:2] == ["--beside"]:
        measure_beside(*map(int, sys.argv[2:]))
        return
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    print(f"{calls} calls in batches of {batch}; microseconds of processor time per call")
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite+aiosqlite:///{directory}/vosd.db"
        migrate(url)
        own, _ = asyncio.run(cost_per_call(url, calls, batch, None))
        print(f"SQLite   {own:6.1f} here")
    with migrated_server() as (server, url):
        own, theirs = asyncio.run(cost_per_call(url, calls, batch, server))
    print(f"MariaDB  {own:6.1f} here, {theirs:6.1f} in the server")


if __name__ == "__main__":
    main()
