"""End of a month: how long each step of ``vosd month close`` takes, and with how much memory.

python -m bench.months [CALLS]

The calls of a day, of 60 customers and 30 vendors, three of four answered, are booked in MariaDB as the switch books
them; SQL makes copies for the other days, CALLS (500,000) in all, with their ledger. They are added up. Then the
month is closed.
"""

import asyncio
import functools
import inspect
import random
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call, refused_call
from doubles.office import office_on, operator
from doubles.process.mariadb import MariaDb

from vosd.admin import month_archive
from vosd.admin.ledger import Month
from vosd.admin.month_page import MonthObstacle
from vosd.admin.office import months
from vosd.admin.office.month_checks import MonthChecks
from vosd.admin.office.months import CloseMonth, close_month
from vosd.billing.accounts import AccountType
from vosd.cdr.record import Attempt, CallRecord
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.migrate import migrate

DAY_MS: Final = 86_400_000
BEGIN: Final = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1_000)
DAYS: Final = 31
CUSTOMERS: Final = 60
VENDORS: Final = 30
_AT_ONCE: Final = 1_000
_spent: Final[dict[str, list[float]]] = defaultdict(lambda: [0.0, 0.0, 0.0])
"""Seconds by step: by the clock, of processor time here, of processor time in the server."""
_servers: Final[list[MariaDb]] = []


def clocks() -> tuple[float, float, float]:
    return time.perf_counter(), time.process_time(), _servers[0].cpu_seconds()


def note(step: str, begun: tuple[float, float, float]) -> None:
    for place, (now, before) in enumerate(zip(clocks(), begun, strict=True)):
        _spent[step][place] += now - before


def some_call(number: int, begun: int, dice: random.Random) -> CallRecord:
    """Return a call that began then, of a random customer, area and vendor."""
    customer, vendor = f"customer-{int(CUSTOMERS * dice.random() ** 2)}", f"vendor-{dice.randrange(VENDORS)}"
    attempt = Attempt(f"{vendor}-trunk", 200, 3_000, 900, "Normal")
    terms: dict[str, Any] = {
        "customer_account": customer, "vendor_account": vendor, "rate_area": f"area-{number % 200}",
        "attempts": (attempt,),
    }  # fmt: skip
    if number % 4 == 0:
        return refused_call(begun - STARTED, **terms)
    terms |= {"fee": Decimal(dice.randrange(10**6)) / 10**6, "cost": Decimal(dice.randrange(8 * 10**5)) / 10**6}
    return answered_call(begun - STARTED, **terms)


def copy_days(cursor: Any, calls: int) -> None:
    """Make the calls of the other days from the ``calls`` of the first one, and a ledger that is in order."""
    cursor.execute("SET time_zone = '+00:00'")
    tables = ("cdr", "cdr_attempt", "cdr_charge", "ledger_entry")
    for table in tables:
        cursor.execute(f"CREATE TABLE one_{table} AS SELECT * FROM {table}")
    for day in range(1, DAYS):
        shift = day * DAY_MS
        key = f"CONCAT(UNHEX(LPAD(HEX(CONV(HEX(LEFT(call_id, 6)), 16, 10) + {shift}), 12, '0')), RIGHT(call_id, 10))"
        parts = ", ".join(
            f"SUBSTR(HEX({key}), {first}, {length})" for first, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        )
        of = {"call_id": key, "export_seq": f"export_seq + {day * (calls + 1)}", "id": f"id + {day * 10 * calls}",
              "seq": f"seq + {day * 10 * calls}",
              "reference": f"CONCAT(LOWER(CONCAT_WS('-', {parts})), SUBSTR(reference, 37))"}  # fmt: skip
        for table in tables:
            cursor.execute("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema ="
                           f" DATABASE() AND table_name = '{table}' ORDER BY ordinal_position")  # fmt: skip
            columns = [
                (name, f"{name} + INTERVAL {day} DAY" if kind == "datetime" else of.get(name, name))
                for name, kind in cursor.fetchall()
            ]
            names, values = (", ".join(each) for each in zip(*columns, strict=True))
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM one_{table}")
    order = "PARTITION BY account ORDER BY id"
    cursor.execute(
        f"CREATE TABLE chain AS SELECT id, ROW_NUMBER() OVER ({order}) AS seq, SUM(amount) OVER ({order}) AS balance"
        " FROM ledger_entry"
    )
    cursor.execute("ALTER TABLE chain ADD PRIMARY KEY (id)")
    cursor.execute("UPDATE ledger_entry SET seq = -seq")
    cursor.execute("UPDATE ledger_entry e JOIN chain c ON c.id = e.id SET e.seq = c.seq, e.balance_after = c.balance")
    cursor.execute(
        "UPDATE account a JOIN (SELECT account, MAX(seq) AS seq, SUM(amount) AS balance FROM ledger_entry"
        " GROUP BY account) s ON s.account = a.id SET a.seq = s.seq, a.balance = s.balance"
    )
    cursor.execute("UPDATE counter SET value = (SELECT MAX(export_seq) FROM cdr) + 1 WHERE name = 'commits'")
    cursor.execute("ANALYZE TABLE cdr, cdr_attempt, cdr_charge, ledger_entry")


def timed(where: Any, name: str, step: str) -> None:
    """Note the time that a coroutine or an asynchronous generator takes."""
    plain: Callable[..., Any] = getattr(where, name)

    @functools.wraps(plain)
    async def coroutine(*args: Any, **more: Any) -> Any:
        begun = clocks()
        try:
            return await plain(*args, **more)
        finally:
            note(step, begun)

    @functools.wraps(plain)
    async def generator(*args: Any, **more: Any) -> AsyncGenerator[Any, None]:
        begun = clocks()
        async with aclosing(plain(*args, **more)) as found:
            async for each in found:
                yield each
        note(step, begun)

    setattr(where, name, generator if inspect.isasyncgenfunction(plain) else coroutine)


async def book_day(url: str, calls: int) -> None:
    database, dice = Database(url), random.Random(1)
    books, step = SqlBooks(database), DAY_MS // calls
    for first in range(0, calls, _AT_ONCE):
        some = range(first, min(calls, first + _AT_ONCE))
        await books.book([some_call(number, BEGIN + number * step, dice) for number in some])
    await database.close()


async def add_up(url: str) -> None:
    database = Database(url)
    stores = office_on(database, now=BEGIN).stores
    while await stores.traffic.advance() or await stores.traffic.close_day(BEGIN + 60 * DAY_MS):
        pass
    await database.close()


async def close(url: str, calls: int, directory: Path) -> None:
    database = Database(url)
    accounts = [account(f"customer-{each}", minimum_consumption=Decimal(1)) for each in range(CUSTOMERS)]
    accounts += [account(f"vendor-{each}", type=AccountType.CLEARING) for each in range(VENDORS)]
    office = office_on(database, *accounts, now=BEGIN + 40 * DAY_MS, socket=directory / "vosd.sock")
    order = CloseMonth(month=Month(2026, 10), despite=(MonthObstacle.VENDOR_UNMATCHED,), reason="no bills")
    begun = clocks()
    await close_month(office, operator(), order, lambda *_: None)
    note("in all", begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    print(f"{'microseconds a call':<24}{'by the clock':>14}{'here':>8}{'MariaDB':>9}")
    for step, seconds in _spent.items():
        wall, own, theirs = (1e6 * each / calls for each in seconds)
        print(f"  {step:<22}{wall:>14.0f}{own:>8.0f}{theirs:>9.0f}")
    print(f"{calls:,} calls closed in {_spent['in all'][0]:.1f} s, {peak} MiB", flush=True)
    await database.close()


def main() -> None:
    """Fill a server, and close the month."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    for where, name, step in (
        (MonthChecks, "_ledger", "check of the ledger"), (MonthChecks, "_sums", "check of the sums"),
        (MonthChecks, "_vendors", "vendors' bills"), (months, "book_minimums", "minimums"),
        (months, "close_period", "close of the ledger"), (months, "_invoiced", "invoices"),
        (month_archive.MonthArchive, "_calls", "file of calls"),
        (month_archive.MonthArchive, "_ledger", "file of entries"),
        (month_archive.MonthArchive, "_balances", "balances"),
    ):  # fmt: skip
        timed(where, name, step)
    with tempfile.TemporaryDirectory() as directory:
        options = ("--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G")
        server = MariaDb(Path(directory), options=options)
        server.start()
        _servers.append(server)
        try:
            url = server.create_database("vosd")
            migrate(url)
            begun, of_day = time.perf_counter(), calls // DAYS
            calls = of_day * DAYS
            asyncio.run(book_day(url, of_day))
            with server.connection(autocommit=True, database="vosd") as connection, connection.cursor() as cursor:
                copy_days(cursor, of_day)
            asyncio.run(add_up(url))
            print(f"{calls:,} calls made and added up in {time.perf_counter() - begun:.0f} s", flush=True)
            asyncio.run(close(url, calls, Path(directory)))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
