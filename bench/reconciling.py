"""``python -m bench.reconciling``: a vendor's file of a million rows against a million calls.

The calls are copied from one that was booked. ``vosd reconcile import`` is a process of its own: its time, its
processor time and the greatest memory that it had (VmHWM) are printed, beside the classes that it found and those that
were made.
"""

import argparse
import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pymysql
from doubles.data.builders import applied_rate
from doubles.data.records import STARTED
from doubles.ended_calls import ended_call
from doubles.process.mariadb import FAST, MariaDb
from rich.console import Console

from vosd.billing.rater import rate_call
from vosd.cdr.columns import iso_utc
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.migrate import migrate
from vosd.storage.types import call_key, moment_text, money_units

GOAL_S = 60.0
GOAL_MIB = 300
SPAN_MS = 30 * 86_400_000
ROWS_AT_ONCE = 2_000
CONSOLE = Console(width=140, highlight=False)
RATE, OTHER_UNIT, OTHER_RATE = applied_rate("0.0123"), applied_rate("0.0123", 60), applied_rate("0.0147")
CONFIGURATION = """
database: {{url: "{url}"}}
state_dir: {directory}/state
rate_groups: [{{name: buy, rates: [{{prefix: "44", billing_rate: "0.0123", billing_cycle: 1}}]}}]
accounts: [{{id: carrier, type: clearing, rate_group: buy, overdraft_limit: unlimited, currency: USD}}]
"""
MAP = """
columns: {callee: number, start: start, duration: seconds, price: price}
strip: ["00"]
"""
FAULTS = ("unit_differs", "rate_differs", "duration_differs", "missing_here", "missing_there")


class Call(NamedTuple):
    """A call of both books."""

    place: int
    started: int
    number: str
    ms: int
    fault: str


def calls(count: int, share: float) -> Iterator[Call]:
    """Yield calls; ``share`` of them differ, by turns in each way."""
    random = Random(1)
    for index in range(count):
        fault = random.choice(FAULTS) if random.random() < share else ""
        yield Call(
            index,
            STARTED + index * SPAN_MS // count,
            f"44{random.randrange(200_000):06d}",
            random.randrange(3_000, 600_000),
            fault,
        )


def write_bill(file: Path, made: Iterator[Call]) -> Counter[str]:
    """Write the vendor's file, somewhat out of order; return how many calls of each class there are."""
    random, found = Random(2), Counter[str]()
    rows: list[str] = []
    with file.open("w") as out:
        out.write("number,start,seconds,price\n")
        for call in made:
            is_whole = rate_call(OTHER_UNIT, call.ms) == rate_call(RATE, call.ms)
            found["matched" if call.fault == "unit_differs" and is_whole else call.fault or "matched"] += 1
            if call.fault == "missing_there":
                continue
            number = "4499" + call.number[2:] if call.fault == "missing_here" else call.number
            found["missing_there"] += call.fault == "missing_here"
            ms = call.ms + 30_000 if call.fault == "duration_differs" else call.ms
            rate = {"unit_differs": OTHER_UNIT, "rate_differs": OTHER_RATE}.get(call.fault, RATE)
            start = iso_utc(call.started + 4_000 + random.randrange(-900, 900))
            rows.append(f"00{number},{start},{Decimal(ms) / 1_000},{rate_call(rate, ms).fee}\n")
            if len(rows) >= 5_000:
                random.shuffle(rows)
                out.writelines(rows)
                rows.clear()
        out.writelines(rows)
    return found


async def book_one(url: str) -> None:
    """Book the call that the others are copied from."""
    database = Database(url)
    record = msgspec.structs.replace(ended_call(0, applied_rate("0.60"), RATE), vendor_account="carrier")
    await SqlBooks(database).book([record])
    await database.close()


def copy_calls(connection: Any, mark: str, made: Iterator[Call], *, is_sqlite: bool) -> None:
    """Copy the call that was booked."""
    cursor = connection.cursor()
    cursor.execute("SELECT * FROM cdr")
    names = [column[0] for column in cursor.description]
    template = dict(zip(names, cursor.fetchone(), strict=True))
    cursor.execute("DELETE FROM cdr")
    statement = f"INSERT INTO cdr ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"

    def text(ms: int) -> str:
        return moment_text(ms) if is_sqlite else moment_text(ms)[:-1]

    rows: list[Sequence[Any]] = []
    for call in made:
        charge = rate_call(RATE, call.ms)
        values = template | {
            "call_id": call_key(f"{call.started:012x}7000{0x8000000000000000 + call.place:016x}"),
            "export_seq": call.place + 1,
            "callee_out": call.number,
            "callee_billing": call.number,
            "started_at": text(call.started),
            "vendor_answered_at": text(call.started + 4_000),
            "ended_at": text(call.started + 4_000 + call.ms),
            "vendor_billed_seconds": charge.billed_seconds,
            "cost": money_units(charge.fee) if is_sqlite else charge.fee,
        }
        rows.append(tuple(values.values()))
        if len(rows) == ROWS_AT_ONCE:
            cursor.executemany(statement, rows)
            rows.clear()
    cursor.executemany(statement, rows)
    connection.commit()


@contextmanager
def filled(name: str, directory: Path, made: Iterator[Call]) -> Iterator[str]:
    """Yield the URL of a database with the calls."""
    if name == "sqlite":
        url = f"sqlite+aiosqlite:///{directory}/vosd.db"
        migrate(url)
        asyncio.run(book_one(url))
        connection = sqlite3.connect(directory / "vosd.db")
        copy_calls(connection, "?", made, is_sqlite=True)
        connection.close()
        yield url
        return
    data = directory / "mariadb"
    data.mkdir()
    server = MariaDb(data, FAST)
    server.start()
    try:
        url = server.create_database("bench")
        migrate(url)
        asyncio.run(book_one(url))
        there = pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="bench")
        copy_calls(there, "%s", made, is_sqlite=False)
        there.close()
        server.stop()  # what was written is on the disk then, and the measurement does not wait for it
        server.start()
        yield url
    finally:
        server.kill()


def measured(words: list[str]) -> tuple[float, float, float, str]:
    """Run a verb; return its seconds, processor seconds, greatest memory in MiB, and what it printed."""
    begun = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said


def main() -> int:
    """Run all and print the results; return 1 if a class differs from what was made."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconciling", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--differ", type=float, default=0.02, help="share of the calls that differ (default 0.02)")
    parser.add_argument("--database", choices=("sqlite", "mariadb"), default="sqlite")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vosd-reconciling-") as name:
        directory = Path(name)
        made = write_bill(directory / "bill.csv", calls(wanted.calls, wanted.differ))
        with filled(wanted.database, directory, calls(wanted.calls, wanted.differ)) as url:
            (directory / "vosd.yaml").write_text(CONFIGURATION.format(url=url, directory=directory))
            (directory / "map.yaml").write_text(MAP)
            files = (str(directory / "bill.csv"), "--map", str(directory / "map.yaml"))
            vosd = [str(Path(sys.executable).with_name("vosd")), "-c", str(directory / "vosd.yaml")]
            took, cpu, mib, said = measured([*vosd, "reconcile", "import", "carrier", *files, "--json"])
    found = Counter[str]()
    for each in msgspec.json.decode(said)["comparison"]["classes"]:
        found[each["result"]] += each["calls"]
        CONSOLE.print(f"{each['result']:18} {each['explanation']:40} {each['calls']:>10,}")
    CONSOLE.print(
        f"{wanted.database}, {wanted.calls:,} calls, {wanted.differ:.0%} differ: {took:.1f} s (goal {GOAL_S:.0f}), "
        f"{cpu:.1f} s of processor, {mib:.0f} MiB (goal {GOAL_MIB})"
    )
    if found != made:
        CONSOLE.print(f"made were {dict(made)}")
    return int(found != made)


if __name__ == "__main__":
    raise SystemExit(main())
