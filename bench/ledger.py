"""Cost of auditing the ledger: time, and the greatest memory of the process that audits.

python -m bench.ledger [CALLS_IN_SQLITE] [CALLS_IN_MARIADB]

A call makes a CDR, two entries and two charges, which are copied from one call that was booked. A third of the calls
are of one customer, the others of 50; all are of 7 vendors. The audit is made of the whole ledger, then once three
quarters of it are closed.
"""

import asyncio
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymysql
from doubles.data.records import STARTED, answered_call
from doubles.process.mariadb import FAST, MariaDb

from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.database import Database
from vosd.storage.migrate import migrate
from vosd.storage.types import call_key, moment_text, money_units
from vosd.storage.verify import verify_ledger

ROWS_AT_ONCE = 2_000
SPAN_MS = 40 * 86_400_000
FEE, COST = Decimal("0.012345"), Decimal("0.009876")
Answer = tuple[float, int, int, int, float]


def parties(index: int) -> tuple[str, str]:
    """Return customer and vendor of a call."""
    return "big" if index % 3 == 0 else f"customer-{index % 50}", f"vendor-{index % 7}"


def key_of(index: int, started: int) -> bytes:
    return call_key(f"{started:012x}7000{0x8000000000000000 + index:016x}")


class Copier:
    """Writes rows that are those of one booked call, with other keys, times and balances."""

    def __init__(self, connection: Any, mark: str, money: Callable[[Decimal], Any], text: Callable[[int], str]) -> None:
        self._cursor = connection.cursor()
        self._mark, self._money, self._text = mark, money, text
        self._seqs: Counter[str] = Counter()

    def copy(self, calls: int, *, drop: str) -> None:
        """Copy the call; ``drop`` drops an index, and those of ``cdr`` are dropped: the audit needs none of them."""
        for index in schema.cdr.indexes:
            self._cursor.execute(drop.format(index.name))
        for name in ("cdr", "ledger_entry", "cdr_charge"):
            self._cursor.execute(f"SELECT * FROM {name}")
            names = [column[0] for column in self._cursor.description]
            template = [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]
            self._cursor.execute(f"DELETE FROM {name}")
            marks = ", ".join([self._mark] * len(names))
            statement = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({marks})"
            rows: list[Sequence[Any]] = []
            for values in getattr(self, f"_{name}")(template, calls):
                rows.append(tuple(values.values()))
                if len(rows) == ROWS_AT_ONCE:
                    self._cursor.executemany(statement, rows)
                    rows.clear()
            self._cursor.executemany(statement, rows)
        self._cursor.execute("DELETE FROM account")
        statement = f"INSERT INTO account (id, balance, seq, changed, currency) VALUES ({', '.join([self._mark] * 5)})"
        amounts = {name: COST if name.startswith("vendor") else FEE for name in self._seqs}
        accounts = [(name, self._money(-amounts[name] * seq), seq, 1, "USD") for name, seq in self._seqs.items()]
        self._cursor.executemany(statement, accounts)
        self._cursor.execute(f"UPDATE counter SET value = {calls + 1} WHERE name = 'commits'")

    def _times(self, calls: int) -> Iterator[tuple[int, int]]:
        return ((index, STARTED + index * SPAN_MS // calls) for index in range(calls))

    def _cdr(self, template: list[dict[str, Any]], calls: int) -> Iterator[dict[str, Any]]:
        for index, started in self._times(calls):
            customer, vendor = parties(index)
            yield template[0] | {
                "call_id": key_of(index, started),
                "export_seq": index + 1,
                "customer_account": customer,
                "vendor_account": vendor,
                "started_at": self._text(started),
                "ended_at": self._text(started + 60_000),
            }

    def _ledger_entry(self, template: list[dict[str, Any]], calls: int) -> Iterator[dict[str, Any]]:
        number = 0
        for index, started in self._times(calls):
            key, ended = key_of(index, started), self._text(started + 60_000)
            for account, amount in zip(parties(index), (FEE, COST), strict=True):
                number += 1
                self._seqs[account] += 1
                yield template[0] | {
                    "id": number,
                    "account": account,
                    "seq": self._seqs[account],
                    "amount": self._money(-amount),
                    "balance_after": self._money(-amount * self._seqs[account]),
                    "reference": f"{key.hex()}/{account}",
                    "call_id": key,
                    "created_at": ended,
                }

    def _cdr_charge(self, template: list[dict[str, Any]], calls: int) -> Iterator[dict[str, Any]]:
        for index, started in self._times(calls):
            key = key_of(index, started)
            for row, account in zip(template, parties(index), strict=True):
                yield row | {"call_id": key, "account": account}


async def book_one(url: str) -> None:
    database = Database(url)
    await SqlBooks(database).book([answered_call(0, fee=FEE, cost=COST)])
    await database.close()


def memory_kib(figure: str) -> int:
    """Return a figure of the memory of this process: VmRSS = now, VmHWM = the greatest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{figure}:")))


def audit(url: str, answer: "multiprocessing.Queue[Answer]") -> None:
    """Audit the ledger in a process of its own."""

    async def run() -> Answer:
        database = Database(url)
        before = memory_kib("VmRSS")
        began = time.monotonic()
        result = await verify_ledger(database)
        took = time.monotonic() - began
        after = memory_kib("VmHWM")
        await database.close()
        return took, result.entries, result.calls, len(result.differences), (after - before) / 1024

    answer.put(asyncio.run(run()))


def report(name: str, url: str, server: MariaDb | None) -> None:
    """Audit in a new process, and print what that took."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    cpu = server.cpu_seconds() if server else 0.0
    process = context.Process(target=audit, args=(url, queue))
    process.start()
    took, entries, calls, differences, grown = queue.get()
    process.join()
    theirs = f", {server.cpu_seconds() - cpu:.1f} s of the server's processor" if server else ""
    print(
        f"{name}: {entries:,} entries, {calls:,} calls, {differences} differences in {took:.1f} s{theirs}; "
        f"memory grew by {grown:.0f} MiB",
        flush=True,
    )


async def close(url: str) -> float:
    """Close three quarters of the time; return the seconds that it took."""
    database = Database(url)
    began = time.monotonic()
    await SqlCheckpoints(database).close(STARTED + SPAN_MS * 3 // 4, "bench", None, STARTED + 2 * SPAN_MS)
    took = time.monotonic() - began
    await database.close()
    return took


def measure(name: str, url: str, server: MariaDb | None, copy: Callable[[], None]) -> None:
    migrate(url)
    asyncio.run(book_one(url))
    began = time.monotonic()
    copy()
    print(f"{name}: filled in {time.monotonic() - began:.0f} s", flush=True)
    report(f"{name}, from the first entry", url, server)
    print(f"{name}: closed in {asyncio.run(close(url)):.1f} s", flush=True)
    report(f"{name}, from the close", url, server)


def main() -> None:
    in_sqlite = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    in_mariadb = int(sys.argv[2]) if len(sys.argv) > 2 else 500_000
    with tempfile.TemporaryDirectory() as directory:
        if in_sqlite:
            file = Path(directory) / "vosd.db"

            def into_sqlite() -> None:
                with closing(sqlite3.connect(file)) as connection, connection:
                    copier = Copier(connection, "?", money_units, moment_text)
                    copier.copy(in_sqlite, drop="DROP INDEX {}")
                connection.close()

            measure("SQLite", f"sqlite+aiosqlite:///{file}", None, into_sqlite)
        if in_mariadb:
            server = MariaDb(Path(directory), options=FAST)
            server.start()

            def into_mariadb() -> None:
                with pymysql.connect(host="127.0.0.1", port=server.port, user="vosd", database="vosd") as connection:
                    copier = Copier(connection, "%s", lambda amount: amount, lambda ms: moment_text(ms)[:-1])
                    copier.copy(in_mariadb, drop="DROP INDEX {} ON cdr")
                    connection.commit()

            try:
                measure("MariaDB", server.create_database("vosd"), server, into_mariadb)
            finally:
                server.stop()


if __name__ == "__main__":
    main()
