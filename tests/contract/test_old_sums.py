"""Dropping of old sums for reports: what goes, what is refused then, and that no sum of then comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call
from doubles.office import office_on, operator
from sqlalchemy import func, select, text

from vosd.admin.office.office import Office
from vosd.admin.office.report_sums import CheckReports, RebuildReports, check_reports, rebuild_reports
from vosd.admin.office.reports import ListReports, ReportSheet, ShowReport, list_reports, show_report
from vosd.admin.retention import KindSheet, Retention
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.cdr.retention import DAY_MS, Age, DroppedPeriod, DroppedSums, DropPlan, RecordKind
from vosd.engine.settings import RetentionSettings
from vosd.storage import old_sums, schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.database import Database
from vosd.storage.drop_history import drop_history
from vosd.storage.dropped import sums_dropped_before
from vosd.storage.retention import SqlRetention
from vosd.storage.traffic import SqlTraffic, locked_mark
from vosd.storage.traffic_sums import SqlTrafficSums, TrafficQuery
from vosd.traffic.counted import SLOT_MS, YEAR_SLOTS, TrafficKey, TrafficKind, digest_of
from vosd.traffic.ledger_reports import LEDGER_REPORTS
from vosd.traffic.live_counts import AttemptCount, LiveCounts, PeakSide, TrafficPeak
from vosd.traffic.spans import Grouping, ReportSpan, begin_of, spans_of

FIRST = STARTED - STARTED % DAY_MS + DAY_MS
NOW = FIRST + 400 * DAY_MS
HOUR_MS = 3_600_000
KEPT = Age(days=200)
EDGE = FIRST + 200 * DAY_MS
DAYS = (0, 100, 199, 200, 300)
BERLIN = ZoneInfo("Europe/Berlin")
TABLES = (schema.traffic, schema.traffic_day, schema.traffic_zone, schema.traffic_zone_day, schema.traffic_peak)


def call(day: int, index: int = 1, at: int = DAY_MS // 2) -> CallRecord:
    begun = FIRST + day * DAY_MS + at
    plain = answered_call(begun - STARTED + index, customer_account="acme", vendor_account="carrier")
    times = {"started_at": begun, "ringing_at": begun + 900, "answered_at": begun + 4_000, "ended_at": begun + 64_000}
    return msgspec.structs.replace(plain, **times)


async def add_up(database: Database) -> None:
    traffic = SqlTraffic(database)
    while await traffic.advance():
        pass
    while await traffic.close_day(NOW):
        pass
    for day in DAYS:
        while await traffic.close_zone_day(FIRST + (day + 5) * DAY_MS, [BERLIN]):
            pass


@pytest.fixture
async def counted(database: Database) -> Database:
    """Calls, peaks and attempts of five days around the edge, closed and added up."""
    await SqlBooks(database).book([call(day, index) for day in DAYS for index in (1, 2)])
    peaks = [
        TrafficPeak((FIRST + day * DAY_MS) // SLOT_MS, PeakSide.SWITCH, name, 3, 1)
        for day in DAYS
        for name in ("", "b", "c")
    ]
    await SqlTraffic(database).add_live(LiveCounts(1, (), tuple(peaks)))
    await add_up(database)
    await SqlCheckpoints(database).close(FIRST + 390 * DAY_MS, "ann", None, NOW)
    return database


Run = Callable[..., Awaitable[dict[str, KindSheet]]]


@pytest.fixture
def run(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "journal").mkdir()
    monkeypatch.setattr("vosd.admin.retention.PAUSE_S", 0)
    monkeypatch.setattr(old_sums, "AT_ONCE", 2)

    async def run(*, dry_run: bool = False, now: int = NOW, **ages: Age) -> dict[str, KindSheet]:
        settings = RetentionSettings(**{"calls": Age(days=100), "sums": KEPT} | ages)
        work = Retention(database, settings, tmp_path, "ann", lambda: now, is_trial=dry_run)
        return {sheet.kind: sheet for sheet in (await work.run()).kinds}

    return run


async def slots(database: Database) -> dict[str, list[int]]:
    """Return the first and the last slot of each table with sums, and how many rows it has."""
    async with database.reading() as connection:
        return {
            table.name: [
                *(
                    await connection.execute(
                        select(func.min(table.c.slot), func.max(table.c.slot), func.count()).select_from(table)
                    )
                ).one()
            ]
            for table in TABLES
        }


async def shown(office: Office, since: int, until: int, **terms: str) -> dict[str, ReportSheet]:
    """Return every report of calls of a time, as a whole or as ``terms`` say."""
    terms, found = {"group": "whole"} | terms, {}
    for kind in await list_reports(office, operator(), ListReports()):
        if kind.name not in LEDGER_REPORTS and terms["group"] in kind.groups:
            order = ShowReport(name=kind.name, since=since, until=until, **terms)
            found[kind.name] = await show_report(office, operator(), order)
    return found


@pytest.fixture
def office(counted: Database) -> Office:
    return office_on(counted, account("acme"), account("carrier"), now=NOW)


async def test_sums_from_before_the_edge_go_and_those_behind_it_stay(counted: Database, run: Run) -> None:
    before = await slots(counted)
    assert all(first < EDGE // SLOT_MS for first, _, _ in before.values())
    sheet = (await run())["sums"]
    assert (sheet.age, sheet.dropped_before, sheet.held) == ("200 days", iso_utc(EDGE), ())
    after = await slots(counted)
    assert all(first >= EDGE // SLOT_MS for first, _, _ in after.values())
    assert [last for _, last, _ in after.values()] == [last for _, last, _ in before.values()]
    rows = [(after[name][2], before[name][2] * 2 // 5) for name in ("traffic", "traffic_day", "traffic_peak")]
    assert all(left == kept for left, kept in rows)
    gone = sum(each[2] for each in before.values()) - sum(each[2] for each in after.values())
    assert sum(month.records for month in sheet.months) == gone
    assert {each.kind for each in await drop_history(counted)} == {"calls", "sums"}
    assert not (await run())["sums"].months


async def test_a_trial_counts_what_a_run_drops_and_drops_nothing(counted: Database, run: Run) -> None:
    before = await slots(counted)
    trial = (await run(dry_run=True))["sums"]
    assert await slots(counted) == before
    assert (await run())["sums"].months == trial.months != ()


@pytest.mark.parametrize("terms", [{"group": "whole"}, {"zone": "Europe/Berlin", "group": "day"}])
async def test_reports_of_dropped_sums_are_refused_and_those_behind_them_as_before(
    office: Office, run: Run, terms: dict[str, str]
) -> None:
    until = FIRST + 310 * DAY_MS
    since = begin_of(Grouping.DAY, EDGE + DAY_MS - 1, BERLIN if "zone" in terms else ZoneInfo("UTC"))
    before = await shown(office, since, until, **terms)
    assert before["revenue"].rows
    await run()
    assert await shown(office, since, until, **terms) == before
    for name in before:
        for early in (since - DAY_MS, EDGE - 1, FIRST - 30 * DAY_MS):
            order = ShowReport(name=name, since=early, until=until, **terms)
            with pytest.raises(DroppedSums, match=f"sums for reports from before {iso_utc(EDGE)} were dropped"):
                await show_report(office, operator(), order)
    with pytest.raises(DroppedSums):
        await office.stores.traffic_sums.peaks([ReportSpan(EDGE - 1, until, "")], PeakSide.SWITCH)


async def test_where_no_sums_are_so_old_no_report_is_refused(office: Office, run: Run) -> None:
    sheet = (await run(sums=Age(days=500)))["sums"]
    assert (sheet.dropped_before, sheet.held) == (None, ())
    assert (await shown(office, FIRST - 300 * DAY_MS, FIRST + DAY_MS))["revenue"].rows


async def test_dropped_sums_are_neither_verified_nor_made_anew(office: Office, run: Run) -> None:
    await run()
    for since in (FIRST, EDGE - 1):
        with pytest.raises(DroppedPeriod):
            _ = [each async for each in check_reports(office, operator(), CheckReports(since, NOW))]
        with pytest.raises(DroppedPeriod):
            _ = [each async for each in rebuild_reports(office, operator(), RebuildReports(since, NOW))]
    left = await slots(office.stores.database)
    since = NOW - 100 * DAY_MS
    assert [each async for each in rebuild_reports(office, operator(), RebuildReports(since, since + DAY_MS))]
    assert [each async for each in check_reports(office, operator(), CheckReports(since, NOW))] == []
    assert await slots(office.stores.database) == left


async def test_no_day_of_a_zone_is_made_of_dropped_sums_where_the_clock_was_ahead(counted: Database, run: Run) -> None:
    """Made while a run drops, it would lose its mark and keep rows, and could not be made the next time."""
    await run()
    assert not await SqlTraffic(counted).close_zone_day(EDGE + 5 * DAY_MS, [BERLIN])
    assert all(first >= EDGE // SLOT_MS for first, _, _ in (await slots(counted)).values())


async def test_sums_without_calls_are_not_made_anew_of_a_late_call(database: Database, run: Run) -> None:
    """Attempts without CDR alone were counted: no call was ever dropped, so one of then may be booked yet."""
    key = TrafficKey(kind=TrafficKind.NO_CDR, mapping_gateway="scan")
    await SqlTraffic(database).add_live(LiveCounts(1, (AttemptCount(FIRST // SLOT_MS, key, 5, 0, 0),), ()))
    await SqlBooks(database).book([call(300)])
    await add_up(database)
    await SqlCheckpoints(database).close(FIRST + 390 * DAY_MS, "ann", None, NOW)
    sheets = await run()
    assert (sheets["calls"].dropped_before, sheets["sums"].dropped_before) == (None, iso_utc(EDGE))
    await SqlBooks(database).book([call(3), call(250)])
    await add_up(database)
    assert (await slots(database))["traffic"][0] >= (FIRST + 250 * DAY_MS) // SLOT_MS
    found = [each async for each in SqlTraffic(database).differences(EDGE, EDGE + 60 * DAY_MS)]
    assert found == []
    for work in (SqlTraffic(database).differences, SqlTraffic(database).rebuild):
        with pytest.raises(DroppedSums):
            _ = [each async for each in work(FIRST, NOW)]


async def test_sums_stay_as_long_as_their_calls(counted: Database, run: Run) -> None:
    sheet = (await run(calls=Age(days=350), sums=KEPT))["sums"]
    assert sheet.dropped_before == iso_utc(FIRST + 50 * DAY_MS)
    (hold,) = sheet.held
    assert (hold.guard, hold.kept_from) == ("calls", sheet.dropped_before)
    assert hold.why == f"calls are kept from {sheet.dropped_before[:10]} on, and so are their sums"


async def test_a_run_that_was_killed_is_completed_by_the_next_one(
    counted: Database, office: Office, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0

    async def killed(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps > 7:
            raise KeyboardInterrupt

    monkeypatch.setattr("vosd.admin.retention.asyncio.sleep", killed)
    await run(sums=Age(days=500), calls=Age(days=100))
    steps = 0
    with pytest.raises(KeyboardInterrupt):
        await run()
    assert (await slots(counted))["traffic"][0] < EDGE // SLOT_MS, "some are left"
    with pytest.raises(DroppedSums):
        await shown(office, EDGE - DAY_MS, NOW)
    monkeypatch.undo()
    assert (await run())["sums"].months
    assert all(first >= EDGE // SLOT_MS for first, _, _ in (await slots(counted)).values())


async def test_two_machines_that_drop_at_once_drop_each_row_once(
    counted: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vosd.admin.retention.PAUSE_S", 0)
    monkeypatch.setattr(old_sums, "AT_ONCE", 2)
    before, settings = await slots(counted), RetentionSettings(calls=Age(days=100), sums=KEPT)

    async def run_on(name: str) -> int:
        (tmp_path / name / "journal").mkdir(parents=True)
        async with Database(counted.url) as database:
            done = await Retention(database, settings, tmp_path / name, name, lambda: NOW).run()
        return sum(month.records for sheet in done.kinds if sheet.kind == "sums" for month in sheet.months)

    dropped = await asyncio.gather(run_on("one"), run_on("other"))
    after = await slots(counted)
    assert all(first >= EDGE // SLOT_MS for first, _, _ in after.values())
    assert sum(dropped) == sum(each[2] for each in before.values()) - sum(each[2] for each in after.values())
    assert sum(each.records for each in await drop_history(counted) if each.kind == "sums") == sum(dropped)


@pytest.mark.mariadb
@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_who_adds_up_meanwhile_has_committed_before_sums_go(database: Database) -> None:
    waits = text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
    async with database.writing() as connection:
        await locked_mark(connection)
        begun = asyncio.create_task(SqlRetention(database).begin(DropPlan(RecordKind.SUMS, EDGE, EDGE, ())))
        async with database.reading() as other:
            while not begun.done() and (await other.execute(waits)).one()[1] == "0":
                pass
        assert not begun.done()
    await begun
    async with database.reading() as connection:
        assert await sums_dropped_before(connection) == EDGE


async def keys(database: Database) -> set[str]:
    async with database.reading() as connection:
        return set(await connection.scalars(select(schema.traffic_key.c.digest)))


async def calls_by_day(database: Database, since: int, until: int) -> dict[str, int]:
    spans = spans_of(since, until, Grouping.DAY, BERLIN)
    query = TrafficQuery(TrafficKind.CALL, (), ("calls",))
    (rows,) = (await SqlTrafficSums(database).rows(spans, [query])).rows
    return {spans[row.span].label: row.sums[0] for row in rows}


async def test_keys_go_with_the_last_sums_of_their_year_and_no_process_uses_them_again(
    counted: Database, run: Run
) -> None:
    traffic = SqlTraffic(counted)  # it remembers keys of both years
    await SqlBooks(counted).book([call(1, 3), call(301, 3)])
    assert await traffic.advance() == 2
    before, last = await keys(counted), digest_of(EDGE // SLOT_MS // YEAR_SLOTS)
    assert min(before) < last < max(before)
    await run()
    assert await keys(counted) == {each for each in before if each > last}
    await SqlBooks(counted).book([call(302, 4)])
    assert await traffic.advance() == 1
    of_then = AttemptCount(FIRST // SLOT_MS, TrafficKey(kind=TrafficKind.NO_CDR), 5, 0, 0)
    await traffic.add_live(LiveCounts(2, (of_then,), ()))
    assert await keys(counted) == {each for each in before if each > last}
    assert [*(await calls_by_day(counted, EDGE, NOW)).values()] == [2, 2, 1, 1]
    assert [each async for each in traffic.differences(NOW - 100 * DAY_MS, NOW)] == []


async def test_keys_that_a_killed_run_has_left_go_with_the_next_one(
    counted: Database, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_database: Database) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(old_sums, "_drop_some_keys", killed)
    with pytest.raises(KeyboardInterrupt):
        await run()
    last, before = digest_of(EDGE // SLOT_MS // YEAR_SLOTS), await keys(counted)
    monkeypatch.undo()
    assert min(before) < last
    await run()
    assert min(await keys(counted)) > last


async def test_a_day_of_a_zone_that_is_of_two_years_has_the_calls_of_both(database: Database) -> None:
    border = -(-FIRST // SLOT_MS // YEAR_SLOTS) * YEAR_SLOTS * SLOT_MS
    day = (border - FIRST) // DAY_MS
    await SqlBooks(database).book([call(day - 1, 1, DAY_MS - HOUR_MS // 2), call(day, 2, HOUR_MS // 2)])
    traffic = SqlTraffic(database)
    assert await traffic.advance() == 2
    while await traffic.close_day(border + 3 * DAY_MS) or await traffic.close_zone_day(border + 3 * DAY_MS, [BERLIN]):
        pass
    await SqlBooks(database).book([call(day, 3, HOUR_MS // 2), call(day - 1, 4, DAY_MS - HOUR_MS // 2)])
    assert await traffic.advance() == 2
    since, until = border - 2 * DAY_MS, border + 2 * DAY_MS
    assert sum((await calls_by_day(database, since, until)).values()) == 4
    assert max((await calls_by_day(database, since, until)).values()) == 4, "all are of one day there"
    assert [each async for each in traffic.differences(since, until)] == []
    left = await slots(database)
    _ = [each async for each in traffic.rebuild(since, until)]
    assert await slots(database) == left
