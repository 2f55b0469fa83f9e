"""Old records are dropped, and numbers masked, at their time by the running switch; an alarm says what keeps them."""

import asyncio
import time
from datetime import UTC, datetime

import msgspec
from doubles.data.records import answered_call
from doubles.moved_clock import MovedClock
from doubles.quick_alarms import nights_on_moved_clock
from e2e.conditions import eventually

from vosd.base.ids import uuid7
from vosd.cdr.record import CallRecord
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

from .conftest import CONFIGURATION

DAY_MS = 86_400_000
AT_S = 3 * 3_600 + 1_800
RETENTION = """
retention:
  {at: "03:30", timezone: UTC, minimum: 99 days, calls: 100 days, ledger: 7 months, numbers: 80 days,
   exports: $directory/out}
"""


def book(scene, days_ago):
    """Book a call of so many days ago."""
    at = time.time_ns() // 1_000_000 - days_ago * DAY_MS
    made = answered_call(0, customer_account="acme", vendor_account="carrier")
    of_then = msgspec.json.encode(made).replace(made.call_id.encode(), uuid7(at, bytes(10)).encode())
    record = msgspec.json.decode(of_then, type=CallRecord)
    record = msgspec.structs.replace(record, started_at=at, answered_at=at + 4_000, ended_at=at + 64_000)

    async def run():
        database = Database(f"sqlite+aiosqlite:///{scene.daemon.directory}/vosd.db")
        await SqlBooks(database).book([record])
        await database.close()

    asyncio.run(run())


def test_calls_are_dropped_every_night_once_nothing_keeps_them(stage, tmp_path):
    midnight = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    clock = MovedClock(tmp_path, midnight + 1_000 * AT_S - 5_000)
    (tmp_path / "out").mkdir()
    scene = stage(configuration=CONFIGURATION + RETENTION, prepare=nights_on_moved_clock)
    for days_ago in (300, 200, 90):
        book(scene, days_ago)
    before = scene.daemon.ask("account", "show", "acme")["balance"]
    until = datetime.fromtimestamp((midnight - 60 * DAY_MS) / 1_000, UTC).isoformat()
    scene.daemon.succeed("ledger", "close", "--yes", "--until", until)

    clock.stand_at(6_000)
    (blocked,) = eventually(lambda: scene.events("retention_blocked")[:1], "the export keeps them")
    assert (blocked["kind"], blocked["guard"]) == ("calls", "export")
    alarms = eventually(lambda: scene.daemon.ask("alarms"), "the alarm")
    assert "retention_blocked" in {each["alarm"] for each in alarms}
    assert len(scene.records()) == 3

    scene.daemon.succeed("cdr", "export", "--out", str(tmp_path / "out"))
    scene.daemon.succeed("report", "rebuild")  # the switch adds calls up by its clock, which stands
    would_go = scene.daemon.ask("retention", "run", "--dry-run")
    assert sum(month["records"] for month in would_go["kinds"][0]["months"]) == 2
    clock.stand_at(DAY_MS + 6_000)
    eventually(lambda: len(scene.records()) == 1, "two calls dropped")
    done = eventually(lambda: scene.events("retention_done")[2:], "the run has ended")
    assert done[0]["kind"] == "numbers"
    eventually(lambda: "retention_blocked" not in {each["alarm"] for each in scene.daemon.ask("alarms")}, "cleared")
    history = scene.daemon.ask("retention", "history")
    lines = {(each["kind"], each["records"], each["operator"]) for each in history}
    assert lines >= {("calls", 1, "the switch"), ("numbers", 1, "the switch")}
    (left,) = scene.records()
    assert (left["callee_in"][-4:], left["callee_billing"][-4:], left["fee"]) == ("xxxx", "xxxx", "0.012345")
    for days_ago, why in ((300, "were dropped"), (90, "are masked")):
        since = datetime.fromtimestamp((midnight - days_ago * DAY_MS) / 1_000, UTC).isoformat()
        again = scene.daemon.verb("rerate", "--since", since, "--until", until)
        assert (again.code, why in again.stderr) == (1, True), again.stderr
    totals = scene.daemon.ask("retention", "totals", "--by-month")
    assert [(each["calls"], each["customer_account"], each["fee"]) for each in totals] == [(1, "acme", "0.012345")] * 2
    assert scene.daemon.ask("account", "show", "acme")["balance"] == before
    scene.daemon.succeed("ledger", "verify", "--whole")
