"""Dropping and masking of old calls is killed again and again: nothing is half done, and the next run goes on."""

import asyncio
import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data.records import STARTED, answered_call
from doubles.dying import Steps, is_killed
from doubles.migrated import migrate_on_server, migrated
from sqlalchemy import event, func, select

from vosd.admin import retention as admin_retention
from vosd.admin.retention import Retention
from vosd.cdr.record import Attempt
from vosd.cdr.retention import DAY_MS, Age, DroppedSums, RecordKind
from vosd.engine.settings import RetentionSettings
from vosd.storage import masking, old_sums, retention, schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.daily_totals import SqlDailyTotals
from vosd.storage.database import Database
from vosd.storage.drop_history import drop_history
from vosd.storage.dropped import began
from vosd.storage.traffic import SqlTraffic
from vosd.storage.traffic_sums import SqlTrafficSums
from vosd.storage.verify import verify_ledger
from vosd.traffic.counted import SLOT_MS
from vosd.traffic.spans import ReportSpan

pytestmark = pytest.mark.usefixtures("late_server")
FIRST = STARTED - STARTED % DAY_MS + DAY_MS
NOW = FIRST + 100 * DAY_MS
CALLS = 20
DROPPED = 10
SETTINGS = RetentionSettings(calls=Age(days=90), ledger=Age(days=80), numbers=Age(days=30), sums=Age(days=90))
PAID = Decimal("0.25")
WRITES = ("UPDATE", "DELETE", "INSERT")


def call(day: int):
    """A call of a phone whose name is its number, to a gateway that had no room and one that had."""
    at, caller, number = FIRST + day * DAY_MS, f"493012{day:05}", f"4420794{day:05}"
    made = answered_call(
        at - STARTED, customer_account="acme", vendor_account="carrier", fee=PAID, cost=Decimal("0.1"),
        caller_in=caller, callee_in=number, caller_out=caller, callee_out=number, callee_billing=number,
        routing_number=number, mapping_gateway=caller, sip_call_id_in=number, reason_text=f"{number} is busy",
        verdicts=json.dumps({"refusal": f"{number} has no route", "left": []}),
        attempts=(Attempt("carrier-a", 503, 100, None, "Busy"), Attempt(number, 200, 900, 300, "Answered")),
    )  # fmt: skip
    return msgspec.structs.replace(made, started_at=at, answered_at=at + 4_000, ended_at=at + 64_000)


async def booked(database: Database) -> None:
    """Book a call a day; the books are closed behind all of them."""
    await SqlBooks(database).book([call(day) for day in (*range(CALLS), 85)])
    while await SqlTraffic(database).advance() or await SqlTraffic(database).close_day(NOW):
        pass
    await SqlCheckpoints(database).close(FIRST + 80 * DAY_MS, "ann", None, NOW)


async def calls_of(database: Database) -> dict[str, tuple[object, ...]]:
    """Return of each call all that is masked, in its row and in its attempts, and that its money is there."""
    cdr, attempt, charge, entry = schema.cdr.c, schema.cdr_attempt.c, schema.cdr_charge.c, schema.ledger_entry.c
    changed = [cdr[name] for name in masking._CHANGED]
    async with database.reading() as connection:
        rows = (await connection.execute(select(cdr.call_id, cdr.export_seq, cdr.fee, cdr.cost, *changed))).all()
        tried: dict[str, list[str]] = {}
        for row in await connection.execute(select(attempt.call_id, attempt.gateway).order_by(attempt.position)):
            tried.setdefault(row.call_id, []).append(row.gateway)
        charges = dict(tuple(row) for row in await connection.execute(_count(charge.call_id)))
        booked = dict(tuple(row) for row in await connection.execute(_count(entry.call_id)))
    found = {row.call_id: (*row[1:], *tried[row.call_id]) for row in rows}
    assert charges == dict.fromkeys(found, 2)
    assert tried.keys() == found.keys()
    assert all(booked[each] == 2 for each in found)
    return found


async def sums_of(database: Database) -> tuple[int, int]:
    """Return how many sums for reports there are from before the day from which they are kept, and since then."""
    old = since = 0
    async with database.reading() as connection:
        for table in (schema.traffic, schema.traffic_day):
            for row in await connection.execute(select(table.c.slot)):
                is_old = row.slot * SLOT_MS < NOW - 90 * DAY_MS
                old, since = old + is_old, since + (not is_old)
    return old, since


def _count(column):
    return select(column, func.count()).where(column.is_not(None)).group_by(column)


def run(killed_at: int, url: str, state_dir: Path) -> int:
    """Run in a process of its own, which is killed at a writing statement or commit."""
    steps = Steps(killed_at)

    def count(*terms: object) -> None:
        if len(terms) == 1 or str(terms[2]).startswith(WRITES):
            steps.step()

    database = Database(url)
    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    event.listen(database.engine.sync_engine, "commit", count)
    asyncio.run(run_on(database, state_dir))
    return 0


async def run_on(database: Database, state_dir: Path) -> None:
    await Retention(database, SETTINGS, state_dir, "ann", lambda: NOW).run()


async def check(
    database: Database, before: dict, after: dict, standings: object, sums: tuple[int, int]
) -> tuple[int, int, int]:
    """Check that each call is as it was, as it shall be, or gone with its money noted; return how many are which.

    The third number is that of sums of the dropped days that are left.
    """
    there = await calls_of(database)
    masked = {each for each in there if there[each] != before[each]}
    assert {each: there[each] for each in masked} == {each: after[each] for each in masked}
    gone = before.keys() - there.keys()
    totals = await SqlDailyTotals(database).lines("2000-01-01", "2100-01-01", by_month=True)
    assert (sum(each.calls for each in totals), sum(each.fee for each in totals)) == (len(gone), PAID * len(gone))
    noted = {kind.value: 0 for kind in RecordKind}
    for line in await drop_history(database):
        noted[line.kind] += line.records
    assert (noted["calls"], noted["numbers"]) == (len(gone), len(masked))
    old, since = await sums_of(database)
    assert (old + noted["sums"], since) == sums
    assert await SqlTrafficSums(database).rows([ReportSpan(NOW - 90 * DAY_MS, NOW, "")], [])
    if old < sums[0]:
        with pytest.raises(DroppedSums):
            await SqlTrafficSums(database).rows([ReportSpan(FIRST, NOW, "")], [])
    async with database.reading() as connection:
        until = await masking._progress(connection) or 0
    assert {each for each in there if began(each) < until} <= masked
    assert (await SqlBooks(database).standings()).standings == standings
    return len(gone), len(masked), old


def test_a_run_that_is_killed_anywhere_leaves_no_call_half_done(mariadb_url, tmp_path, monkeypatch):
    monkeypatch.setattr(admin_retention, "PAUSE_S", 0)
    monkeypatch.setattr(masking, "AT_ONCE", 4)
    monkeypatch.setattr(retention, "AT_ONCE", 4)
    monkeypatch.setattr(old_sums, "AT_ONCE", 20)
    state_dir = tmp_path / "var"
    (state_dir / "journal").mkdir(parents=True)

    migrate_on_server(mariadb_url)
    other, database = Database(migrated(tmp_path / "other.db")), Database(mariadb_url)

    async def begun() -> tuple[Any, Any, Any, Any]:
        for each in (other, database):
            await booked(each)
        before, sums = await calls_of(database), await sums_of(database)
        await run_on(other, state_dir)
        return before, await calls_of(other), (await SqlBooks(database).standings()).standings, sums

    with asyncio.Runner() as runner:
        before, after, standings, sums = runner.run(begun())
        states = []
        for step in range(3, 100, 2):
            was_killed = is_killed(partial(run, step, mariadb_url, state_dir))
            states.append(runner.run(check(database, before, after, standings, sums)))
            if not was_killed:
                break
        audit = runner.run(verify_ledger(database, whole=True))
        for each in (other, database):
            runner.run(each.close())
    assert states[-1] == (DROPPED, CALLS - DROPPED, 0)
    assert len({each[2] for each in states}) > 3
    assert not was_killed
    assert [str(each) for each in audit.differences] == []
    assert len(states) > 6
    assert len(set(states)) > 5
