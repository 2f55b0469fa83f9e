"""Invoices of a month: how long a run takes, and whether its sums are those of the ledger.

python -m bench.invoices [CALLS [ACCOUNTS]]

CALLS (1,000,000) of a month are made in MariaDB by SQL with their charges and ledger entries, on ACCOUNTS (200), with
200 prefixes and tax. Then the invoices of the month are made and issued; the sums are compared with the ledger.
"""

import asyncio
import resource
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from doubles.data.records import STARTED, answered_call
from doubles.office import office_on, operator
from doubles.process.mariadb import MariaDb
from sqlalchemy import text

from vosd.admin.office.invoice_run import RunInvoices, run_invoices
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.migrate import migrate

DAY_MS: Final = 86_400_000
BEGIN: Final = 1_790_812_800_000
"""1 October 2026, UTC."""
DAYS: Final = 31
_AT_ONCE: Final = 200_000
_STEPS: Final = '{"customer":[{"step":"rate","tax_rate":"19"}]}'


async def book_one(url: str) -> None:
    database = Database(url)
    shift = BEGIN - STARTED
    one = answered_call(0, customer_account="customer-0", fee_breakdown=_STEPS)
    times = {name: getattr(one, name) + shift for name in ("started_at", "ringing_at", "answered_at", "ended_at")}
    await SqlBooks(database).book([answered_call(0, customer_account="customer-0", fee_breakdown=_STEPS, **times)])
    await database.close()


def make_calls(cursor: Any, calls: int, accounts: int) -> None:
    """Insert calls, charges and entries like those that are there."""
    cursor.execute("SET time_zone = '+00:00'")
    cursor.execute("CREATE TABLE one AS SELECT * FROM cdr")
    cursor.execute("CREATE TABLE charge AS SELECT * FROM cdr_charge WHERE role = 'customer'")
    step = DAYS * DAY_MS / (calls + 1)
    ms = f"({BEGIN} + FLOOR(x.seq * {step}))"
    key = f"CONCAT(UNHEX(LPAD(HEX({ms}), 12, '0')), UNHEX(LPAD(HEX(x.seq), 20, '7')))"
    moment = f"FROM_UNIXTIME({ms} / 1000)"
    fee, tax = "ROUND(0.01 + (x.seq % 9973) / 99730, 6)", "ROUND(ROUND(0.01 + (x.seq % 9973) / 99730, 6) * 0.19, 6)"
    customer, seq = f"CONCAT('customer-', x.seq % {accounts})", f"10 + x.seq DIV {accounts}"
    prefix = "CONCAT('44', 100 + (x.seq * 7) % 200)"
    parts = ", ".join(
        f"SUBSTR(HEX(k), {first}, {length})" for first, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )
    identity = f"LOWER(CONCAT_WS('-', {parts}))"
    changed = {
        "cdr": {
            "call_id": key, "export_seq": "1000 + x.seq", "customer_account": customer, "rate_prefix": prefix,
            "rate_area": "CONCAT('area-', (x.seq * 7) % 200 % 60)", "started_at": moment, "ringing_at": moment,
            "answered_at": moment, "ended_at": moment, "fee": fee, "tax": tax,
        },
        "cdr_charge": {
            "call_id": key, "account": customer, "rate_prefix": prefix, "fee": fee, "tax": tax, "tax_rate": "19",
        },
    }  # fmt: skip
    for first in range(1, calls + 1, _AT_ONCE):
        rows = f"seq_{first}_to_{min(calls, first + _AT_ONCE - 1)} x"
        for table, source in (("cdr", "one"), ("cdr_charge", "charge")):
            cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
                           f" AND table_name = '{table}' ORDER BY ordinal_position")  # fmt: skip
            names = [row[0] for row in cursor.fetchall()]
            columns = ", ".join(changed[table].get(name, f"{source}.{name}") for name in names)
            cursor.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {columns} FROM {rows} JOIN {source}")
        cursor.execute(
            "INSERT INTO ledger_entry"
            " (account, seq, amount, balance_after, kind, reference, call_id, created_at, currency, tax)"
            f" SELECT customer, seq, -(fee + tax), 0, 'call', CONCAT({identity}, '/customer'), k, moment, 'USD', -tax"
            f" FROM (SELECT {customer} AS customer, {seq} AS seq, {fee} AS fee, {tax} AS tax, {key} AS k,"
            f" {moment} AS moment"
            f" FROM {rows}) made"
        )
    cursor.execute(
        "REPLACE INTO account (id, balance, seq, changed, currency)"
        " SELECT account, SUM(amount), MAX(seq), 1, 'USD' FROM ledger_entry GROUP BY account"
    )
    cursor.execute("ANALYZE TABLE cdr, cdr_charge, ledger_entry")


async def run(url: str, server: MariaDb) -> None:
    database = Database(url)
    office = office_on(database, now=BEGIN + (DAYS + 2) * DAY_MS)
    begun, spent, theirs = time.perf_counter(), time.process_time(), server.cpu_seconds()
    made = await run_invoices(office, operator(), RunInvoices(period="2026-10"))
    took, cpu = time.perf_counter() - begun, time.process_time() - spent
    theirs = server.cpu_seconds() - theirs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    total = sum((Decimal(each.gross or 0) for each in made), Decimal(0))
    wanted = text("SELECT -SUM(amount) FROM ledger_entry WHERE account LIKE 'customer-%'")
    async with database.reading(unhurried=True) as connection:
        booked = (await connection.execute(wanted)).scalar()
    agrees = "agree with the ledger" if booked == total else f"are {total}, but the ledger has {booked}"
    print(
        f"{len(made)} invoices in {took:.1f} s, {cpu:.1f} s of processor time here, {theirs:.1f} s in MariaDB,"
        f" {peak} MiB; the sums {agrees}"
    )
    await database.close()


def main() -> None:
    """Fill a server, and make the invoices."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    accounts = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as directory:
        options = ("--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G")
        server = MariaDb(Path(directory), options=options)
        server.start()
        try:
            url = server.create_database("vosd")
            migrate(url)
            asyncio.run(book_one(url))
            with server.connection(autocommit=True, database="vosd") as connection, connection.cursor() as cursor:
                begun = time.perf_counter()
                make_calls(cursor, calls, accounts)
            print(f"{calls:,} calls made in {time.perf_counter() - begun:.0f} s", flush=True)
            asyncio.run(run(url, server))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
