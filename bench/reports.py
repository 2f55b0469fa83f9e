"""Reports over a month of 20 million calls: adding calls up, and how long each report takes.

python -m bench.reports [CALLS]

CALLS (2,000,000) of three days are made in MariaDB by SQL, plausible in who calls what, and added up. The sums of these
days stand for the others of the month. 60 customers with their destinations, 200 in all, 30 vendors.
"""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from zoneinfo import ZoneInfo

from doubles.data.records import STARTED, answered_call
from doubles.process.mariadb import MariaDb

from vosd.admin.office.principal import ALL, Means, Principal, Role
from vosd.admin.office.reports import ShowReport, show_report
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.migrate import migrate
from vosd.storage.stores import SqlStores
from vosd.storage.traffic import SqlTraffic
from vosd.traffic.counted import MEASURES, SLOTS_OF_DAY
from vosd.traffic.reports import REPORTS

DAY_MS: Final = 86_400_000
BEGIN: Final = STARTED // DAY_MS * DAY_MS
DAYS: Final = 3
MONTH: Final = 30
_AT_ONCE: Final = 250_000
_REASONS: Final = ("'Busy'", "'No Answer'", "'Cancelled'", "'Unavailable'", "'Rejected'")
_CODES: Final = (486, 480, 487, 503, 603)
OPTIONS: Final = (
    "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G",
)  # fmt: skip
ROOT: Final = Principal(role=Role.OPERATOR, name="root", login="root", means=Means.TERMINAL, permissions=ALL)


class Office:
    """What a report needs of an office."""

    def __init__(self, database: Database) -> None:
        self.stores = SqlStores(database)
        self.definitions = SimpleNamespace(accounts=dict)

    def scope_of(self, _who: Principal) -> Any:
        return type("Everything", (), {"agent": None, "visible": None, "require_operator": lambda _self: None})()

    def now(self) -> int:
        return BEGIN + 60 * DAY_MS


def _dice(number: str) -> str:
    """Return an expression between 0 and 1 that looks random; RAND of neighbours is nearly the same."""
    return f"(CRC32(CONCAT({number}, 'x')) / 4294967296)"


def make_calls(cursor: Any, calls: int) -> None:
    """Insert calls like the one that is there."""
    cursor.execute("SET time_zone = '+00:00'")
    cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
                   " AND table_name = 'cdr' ORDER BY ordinal_position")  # fmt: skip
    names = [row[0] for row in cursor.fetchall()]
    step = DAYS * DAY_MS / calls
    answered = "x.dice < 0.55"
    moment = f"FROM_UNIXTIME(({BEGIN} + FLOOR((x.seq - 1) * {step})) / 1000)"
    milliseconds = f"UNHEX(LPAD(HEX({BEGIN} + FLOOR((x.seq - 1) * {step})), 12, '0'))"
    of = {
        "call_id": f"CONCAT({milliseconds}, UNHEX(LPAD(HEX(x.seq), 20, '7')))",
        "export_seq": "1000 + x.seq",
        "customer_account": "CONCAT('customer-', x.customer)", "mapping_gateway": "CONCAT('pbx-', x.customer)",
        "vendor_account": "CONCAT('vendor-', x.vendor)", "routing_gateway": "CONCAT('trunk-', x.vendor)",
        "rate_area": "CONCAT('area-', x.area)", "started_at": moment, "ringing_at": moment, "ended_at": moment,
        "acknowledged_at": "NULL", "answered_at": f"IF({answered}, {moment}, NULL)", "vendor_answered_at": "NULL",
        "end_reason": f"IF({answered}, 'Normal', ELT(1 + x.seq % 5, {', '.join(_REASONS)}))",
        "sip_code": f"IF({answered}, 200, ELT(1 + x.seq % 5, {', '.join(map(str, _CODES))}))",
        "hangup_source": "IF(x.seq % 2, 'caller', 'callee')", "pdd_ms": "FLOOR(500 + 5000 * x.dice * x.dice)",
        "callee_in": f"CONCAT(1000 + 41 * x.area + FLOOR(5 * {_dice('x.seq + 11')}), LPAD(x.seq MOD 10000000, 7, '0'))",
        "caller_in": f"CONCAT(100 + 8 * x.customer + FLOOR(20 * {_dice('x.seq + 13')}), LPAD(x.seq, 8, '0'))",
        "callee_billing": "NULL",
        "hold_time_ms": f"IF({answered}, FLOOR(300000 * x.dice), 0)",
        "hold_time_s": f"IF({answered}, FLOOR(300 * x.dice), 0)",
        "fee": f"IF({answered}, ROUND(x.dice, 6), 0)", "cost": f"IF({answered}, ROUND(x.dice * 0.8, 6), 0)",
    }  # fmt: skip
    columns = ", ".join(of.get(name, f"one.{name}") for name in names)
    for first in range(1, calls + 1, _AT_ONCE):
        last = min(calls, first + _AT_ONCE - 1)
        customers = f"FLOOR(60 * POW({_dice('seq')}, 2)) AS customer"
        plain = f"SELECT seq, {customers}, {_dice('seq + 7')} AS dice FROM seq_{first}_to_{last}"
        areas = f"SELECT *, (customer * 37 + FLOOR(25 * POW({_dice('seq + 99')}, 2))) % 200 AS area FROM ({plain}) p"
        vendors = f"SELECT *, (area + FLOOR(3 * POW({_dice('seq + 5')}, 3))) % 30 AS vendor FROM ({areas}) a"
        cursor.execute(f"INSERT INTO cdr ({', '.join(names)}) SELECT {columns} FROM ({vendors}) x JOIN one")
        cursor.execute(
            "INSERT INTO cdr_attempt (call_id, position, gateway, code, ms, pdd_ms, reason)"
            f" SELECT call_id, 0, routing_gateway, sip_code, 3000, pdd_ms, end_reason FROM cdr"
            f" WHERE export_seq BETWEEN {1000 + first} AND {1000 + last}"
        )


def spread(cursor: Any) -> None:
    """Let the sums of the days stand for those of a month."""
    sums = ", ".join(MEASURES)
    for table in ("traffic", "traffic_day"):
        for day in range(DAYS, MONTH, DAYS):
            cursor.execute(
                f"INSERT INTO {table} (kind, slot, key_id, {sums})"
                f" SELECT kind, slot + {day * SLOTS_OF_DAY}, key_id, {sums}"
                f" FROM {table} WHERE slot < {BEGIN // 900_000 + DAYS * SLOTS_OF_DAY}"
            )
    end = BEGIN // 900_000 + MONTH * SLOTS_OF_DAY
    cursor.execute(f"UPDATE counter SET value = {end} WHERE name = 'traffic_days'")
    cursor.execute("ANALYZE TABLE traffic, traffic_day, traffic_key")


async def book_one(url: str) -> None:
    database = Database(url)
    await SqlBooks(database).book([answered_call(0)])
    await database.close()


async def add_up(url: str) -> int:
    database = Database(url)
    traffic, added = SqlTraffic(database), 0
    while some := await traffic.advance():
        added += some
    while await traffic.close_day(BEGIN + 60 * DAY_MS):
        pass
    await database.close()
    return added


async def add_up_days_of(url: str, zone: str) -> tuple[int, float]:
    """Make the sums of the days of a zone; return how many, and how many seconds each took."""
    database, days, begun = Database(url), 0, time.monotonic()
    while await SqlTraffic(database).close_zone_day(BEGIN + (MONTH + 1) * DAY_MS, [ZoneInfo(zone)]):
        days += 1
    await database.close()
    return days, (time.monotonic() - begun) / max(days, 1)


async def show(url: str) -> None:
    database = Database(url)
    office: Any = Office(database)
    print(
        f"{'report':<20}{'day s':>8}{'rows':>8}{'month s':>9}{'rows':>8}{'month by the day in Berlin s':>30}{'rows':>8}"
    )
    for name in REPORTS:
        line = f"{name:<20}"
        for days, group, zone in ((1, "whole", "UTC"), (MONTH, "whole", "UTC"), (MONTH - 1, "day", "Europe/Berlin")):
            since = BEGIN + (DAY_MS - 7_200_000 if group == "day" else 0)
            order = ShowReport(name=name, since=since, until=since + days * DAY_MS, group=group, zone=zone)
            begun = time.monotonic()
            try:
                rows: object = len((await show_report(office, ROOT, order)).rows)
            except Exception as error:  # noqa: BLE001 - one that is refused is shown so
                rows = type(error).__name__[:7]
            line += f"{time.monotonic() - begun:>{(8, 9, 30)[(days > 1) + (group == 'day')]}.2f}{rows!s:>8}"
        print(line, flush=True)
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("performance", {"group": "5min"}), ("durations", {"callee_digits": 4}), ("durations", {"caller_digits": 3}),
        ("durations", {"callee_digits": 4, "group": "hour"}), ("durations", {"callee_digits": 5}),
        ("durations", {"callee_digits": 4, "days": MONTH}),
    )  # fmt: skip
    for name, more in asked:
        days = more.pop("days", 1)
        since = BEGIN + (DAY_MS if days == 1 else 0)
        order = ShowReport(name=name, since=since, until=since + days * DAY_MS, **more)
        begun = time.monotonic()
        rows = len((await show_report(office, ROOT, order)).rows)
        print(f"{name} {more}: {days} days in {time.monotonic() - begun:.2f} s, {rows} rows", flush=True)
    await database.close()


def fill(server: MariaDb, calls: int) -> str:
    """Make a month of calls and the sums of it, and return the URL of the database."""
    url = server.create_database("vosd")
    migrate(url)
    asyncio.run(book_one(url))
    with server.connection(autocommit=True, database="vosd") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE one AS SELECT * FROM cdr LIMIT 1")
        begun = time.monotonic()
        make_calls(cursor, calls)
        cursor.execute("DROP TABLE one")
        cursor.execute("UPDATE counter SET value = (SELECT MAX(export_seq) FROM cdr) + 1 WHERE name = 'commits'")
        print(f"{calls:,} calls made in {time.monotonic() - begun:.0f} s", flush=True)
        begun, theirs = time.monotonic(), server.cpu_seconds()
        own = resource.getrusage(resource.RUSAGE_SELF)
        added = asyncio.run(add_up(url))
        used = resource.getrusage(resource.RUSAGE_SELF)
        mine = (used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime) / added * 1e6
        theirs = (server.cpu_seconds() - theirs) / added * 1e6
        print(f"{added:,} calls added up in {time.monotonic() - begun:.0f} s:"
              f" {mine:.0f} us of processor time a call here, {theirs:.0f} in the server")  # fmt: skip
        cursor.execute("SELECT kind, COUNT(*) FROM traffic GROUP BY kind")
        kinds = ", ".join(f"{count:,} of kind {kind}" for kind, count in cursor.fetchall())
        print(f"sums of quarters in {DAYS} days: {kinds}", flush=True)
        spread(cursor)
    days, seconds = asyncio.run(add_up_days_of(url, "Europe/Berlin"))
    print(f"{days} days of Berlin, {seconds:.1f} s each", flush=True)
    return url


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as directory:
        server = MariaDb(Path(directory), options=OPTIONS)
        server.start()
        try:
            asyncio.run(show(fill(server, calls)))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
