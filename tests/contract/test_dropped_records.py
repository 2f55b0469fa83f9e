"""Dropping of old calls and entries: what goes, what stays, that audits hold, and that nothing is booked again."""

import asyncio
import fcntl
import json
import random
import re
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from doubles.collisions import LOCKED, UNDONE, colliding
from doubles.data.records import STARTED, answered_call, partner_call, refused_call
from doubles.exploring import examples
from doubles.kept_rows import Rows, rows_of, write_rows
from doubles.migrated import migrate_on_server
from doubles.office import office_on, operator
from doubles.statements import statements_of
from sqlalchemy import func, insert, select

from vosd.admin.export_files import ExportBlocked
from vosd.admin.office.ledger import ClosePeriod, close_period
from vosd.admin.office.retention import RunRetention
from vosd.admin.retention import Retention, RetentionError
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.ports import RejectedRecords
from vosd.cdr.record import CUSTOMER
from vosd.cdr.retention import DAY_MS, Age, DroppedPeriod, DropPlan, RecordKind
from vosd.engine.journal.entries import Ended, frame_of
from vosd.engine.settings import RetentionSettings
from vosd.storage import retention, schema
from vosd.storage.audit import SqlAudit
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import SqlBooks
from vosd.storage.call_sums import PrefixQuery, SqlCallSums
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.consumption import SqlConsumption
from vosd.storage.corrections import NoSuchCall, SqlCorrections
from vosd.storage.daily_totals import NEEDED, SqlDailyTotals, add_calls
from vosd.storage.database import Database
from vosd.storage.drop_history import Drops, DropTerms, drop_history
from vosd.storage.dropped import Dropped, dropped_before
from vosd.storage.export import SqlExport
from vosd.storage.invoices import SqlInvoices, StoredInvoice
from vosd.storage.ledger import SqlLedger
from vosd.storage.partitions import TABLES, partitions_of
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import CallFilter, EntryKind, Payment
from vosd.storage.queries import SqlQueries
from vosd.storage.retention import SqlRetention
from vosd.storage.spans import SqlSpans
from vosd.storage.traffic import SqlTraffic
from vosd.storage.verify import verify_ledger
from vosd.traffic.spans import ReportSpan

FIRST = STARTED - STARTED % DAY_MS + DAY_MS
NOW = FIRST + 400 * DAY_MS
FEE, COST = Decimal("0.25"), Decimal("0.1")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What is decided without SQL of one kind is shown on one database."""


def call(index, day, **changes):
    """A call of noon on a day."""
    at = FIRST + day * DAY_MS + DAY_MS // 2
    parties = {"customer_account": "acme", "vendor_account": "carrier", "fee": FEE, "cost": COST}
    made = answered_call(at - STARTED + index, **(parties | changes))
    return msgspec.structs.replace(made, started_at=at, answered_at=at + 4_000, ended_at=at + 64_000)


async def pay(database, amount, day, **changes):
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "reference": f"bank/{day}"} | changes
    made_at = FIRST + day * DAY_MS
    return await SqlPayments(database).add(Payment(made_at=made_at, amount=Decimal(amount), **fields))


@pytest.fixture
def state_dir(tmp_path) -> Path:
    (tmp_path / "var" / "journal").mkdir(parents=True)
    return tmp_path / "var"


@pytest.fixture
def run(database, state_dir):
    async def run(*, dry_run=False, now=NOW, **settings):
        kept = {"calls": Age(days=100), "ledger": Age(days=200)} | settings
        while await SqlTraffic(database).advance():
            pass
        work = Retention(database, RetentionSettings(**kept), state_dir, "ann", lambda: now, is_trial=dry_run)
        return {sheet.kind: sheet for sheet in (await work.run()).kinds}

    return run


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("vosd.admin.retention.PAUSE_S", 0)
    monkeypatch.setattr(retention, "AT_ONCE", 7)


_YEAR: dict[bool, Rows] = {}
"""By whether it is SQLite."""


@pytest.fixture
async def booked(database):
    """A year: a call every ten days, some without CDR, a payment a month, closed every 30 days."""
    if database.is_sqlite in _YEAR:
        await write_rows(database, _YEAR[database.is_sqlite])
        return database
    for month in range(0, 400, 30):
        if month:
            await SqlCheckpoints(database).close(FIRST + month * DAY_MS, "ann", None, NOW)
            await pay(database, "3", month)
        records = []
        for day in range(month, min(month + 30, 400), 10):
            records.append(call(1, day))
            records.append(refused_call(call(2, day).started_at - STARTED, call_id=call(2, day).call_id))
            if day % 20 == 0:
                records.append(call(3, day, recorded=False))
        await SqlBooks(database).book(records)
    _YEAR[database.is_sqlite] = await rows_of(database)
    return database


async def count(database, table, *conditions):
    async with database.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(table).where(*conditions))).scalar_one()


def amounts(sheet, name):
    return sum((Decimal(each.amounts.get("USD", {}).get(name, "0")) for each in sheet.months), Decimal(0))


async def audited(database):
    found = [await verify_ledger(database), await verify_ledger(database, whole=True)]
    return [str(each) for result in found for each in result.differences]


async def test_calls_and_entries_go_and_the_books_stay_right(booked, run):
    before = await SqlBooks(booked).standings()
    calls = await count(booked, schema.cdr)
    trial = await run(dry_run=True)
    assert await count(booked, schema.cdr) == calls
    assert await drop_history(booked) == []

    done = await run()

    assert done == trial
    sheet = done["calls"]
    assert (sheet.older_than, sheet.dropped_before, sheet.held) == (*[_iso(300)] * 2, ())
    dropped = 30 + 30 + 15
    assert sum(each.records for each in sheet.months) == dropped
    assert await count(booked, schema.cdr) == calls - 60
    assert amounts(sheet, "fee") == 45 * FEE
    assert amounts(sheet, "cost") == 45 * COST
    for table in (schema.cdr_attempt, schema.cdr_charge):
        assert await count(booked, table, table.c.call_id < call(0, 300).call_id) == 0
    # The latest close up to day 200 is that of day 180.
    assert done["ledger"].dropped_before == _iso(180)
    assert sum(each.records for each in done["ledger"].months) == 2 * (18 + 9)
    assert amounts(done["ledger"], "amount") == -27 * (FEE + COST)
    entry = schema.ledger_entry.c
    assert await count(booked, schema.ledger_entry, entry.kind == "payment") == 13
    assert (await SqlBooks(booked).standings()).standings == before.standings
    assert await audited(booked) == []
    history = await drop_history(booked)
    assert {(each.kind, each.month, each.records) for each in history} == {
        (kind, each.month, each.records) for kind, made in done.items() for each in made.months
    }
    again = await run()
    assert [each.months for each in again.values()] == [(), ()]


async def test_entries_of_many_accounts_go_in_few_steps_and_later_runs_look_at_no_account(
    database, state_dir, monkeypatch
):
    monkeypatch.setattr(retention, "ACCOUNTS_AT_ONCE", 4)
    accounts = 10
    early = [call(number, 10, customer_account=f"customer-{number}") for number in range(accounts)]
    late = [call(accounts + number, 40, customer_account=f"customer-{number}") for number in range(accounts)]
    await SqlBooks(database).book(early)
    await SqlCheckpoints(database).close(FIRST + 30 * DAY_MS, "ann", None, NOW)
    await SqlBooks(database).book(late)
    await SqlCheckpoints(database).close(FIRST + 50 * DAY_MS, "ann", None, NOW)
    while await SqlTraffic(database).advance():
        pass
    seen = [0]
    settings = RetentionSettings(calls=Age(days=100), ledger=Age(days=200))
    work = Retention(database, settings, state_dir, "ann", lambda: NOW, show=seen.append)

    await work.run()

    entry = schema.ledger_entry.c
    kept = await database.rows(select(entry.account, entry.seq).order_by(entry.account, entry.seq))
    carriers = [("carrier", accounts + number) for number in range(1, accounts + 1)]
    assert [(*each,) for each in kept] == carriers + [(f"customer-{number}", 2) for number in range(accounts)]
    steps = [after - before for before, after in pairwise(seen)]
    assert steps == [7, 7, 6, *(7, 6, 4, 3)]  # of calls, of entries
    assert await audited(database) == []
    with statements_of(database, "ledger_entry.account = ") as asked:
        await work.run()
    assert [each.text for each in asked if "ledger_checkpoint" not in each.text] == []


@pytest.mark.parametrize("error", [UNDONE, LOCKED])
async def test_steps_that_collide_are_done_again_and_count_once(error, booked, run, monkeypatch):
    monkeypatch.setattr("vosd.storage.database._COLLISION_PAUSES_S", (0, 0))
    kept = {"numbers": Age(days=50), "payments": Age(days=200)}
    with colliding(booked, "retention_drop", lambda before: before % 11 == 0, error) as written:
        trial = await run(dry_run=True, **kept)
        done = await run(**kept)
    assert len(written) > 50
    assert done == trial
    assert {kind: sum(each.records for each in made.months) for kind, made in done.items()} == {
        "calls": 75, "ledger": 54, "numbers": 10, "payments": 5,
    }  # fmt: skip
    assert {(each.kind, each.month, each.records) for each in await drop_history(booked)} == {
        (kind, each.month, each.records) for kind, made in done.items() for each in made.months
    }
    assert await audited(booked) == []


@on_sqlite
async def test_what_was_dropped_is_in_the_totals_of_its_day_once(booked, run):
    await run()
    await run(calls=Age(days=90))
    days = await SqlDailyTotals(booked).lines("0001", "9999", by_month=False)
    answered = [each for each in days if each.customer_account]
    assert len(answered) == 31
    assert sum(each.fee for each in days) == 31 * FEE
    assert (answered[0].calls, answered[0].answered, answered[0].billed_seconds) == (1, 1, 60)
    assert (answered[0].day, answered[0].mapping_gateway) == (_iso(0)[:10], "acme-pbx")
    months = await SqlDailyTotals(booked).lines("0001", "9999", by_month=True)
    assert sum(each.calls for each in months) == sum(each.calls for each in days) == 62
    await run(daily_totals=Age(days=390))
    kept = await SqlDailyTotals(booked).lines("0001", "9999", by_month=False)
    assert kept[0].day >= _iso(10)[:10]


async def test_calls_that_are_dropped_in_several_steps_are_in_the_lines_of_their_own_days_and_accounts(database):
    made = [("acme", 1, 10), ("acme", 2, 11), ("peer", 4, 10), ("acme", 8, 10), ("peer", 16, 10)]
    calls = [call(index, day, customer_account=name, fee=Decimal(fee)) for index, (name, fee, day) in enumerate(made)]
    await SqlBooks(database).book(calls)
    async with database.writing() as connection:
        for some in (calls[:3], calls[3:]):
            step = select(*NEEDED).where(schema.cdr.c.call_id.in_([each.call_id for each in some]))
            await add_calls(connection, (await connection.execute(step)).all())
    first, second = _iso(10)[:10], _iso(11)[:10]
    lines = [(first, "acme", 2, 9), (first, "peer", 2, 20), (second, "acme", 1, 2)]
    for since, until, wanted in ((first, second, lines), (first, first, lines[:2]), (second, second, lines[2:])):
        found = await SqlDailyTotals(database).lines(since, until, by_month=False)
        assert [(each.day, each.customer_account, each.calls, each.fee) for each in found] == wanted


@on_sqlite
async def test_a_trial_counts_the_totals_that_a_run_drops(booked, run, tmp_path):
    await run()
    settings, totals = RetentionSettings(daily_totals=Age(days=390)), SqlDailyTotals(booked)
    before = await totals.lines("0001", "9999", by_month=False)

    async def dropped(*, is_trial: bool) -> int:
        return (
            await Retention(booked, settings, tmp_path, "ann", lambda: NOW, is_trial=is_trial).run()
        ).daily_totals_dropped

    would = await dropped(is_trial=True)
    assert await totals.lines("0001", "9999", by_month=False) == before
    assert would == await dropped(is_trial=False) > 0


async def test_a_dropped_call_is_never_booked_again_and_a_payment_under_its_reference_neither(booked, run):
    books = SqlBooks(booked)
    before = (await books.standings()).standings
    await run()
    old = [call(1, 20), call(3, 20, recorded=False), call(9, 250)]
    assert await books.lacking(old) == []
    with pytest.raises(RejectedRecords) as refused:
        await books.book([*old, call(9, 399)])
    assert {each.record.call_id for each in refused.value.rejected} == {each.call_id for each in old}
    assert "were dropped" in refused.value.rejected[0].reason
    assert (await books.standings()).standings["acme"].balance == before["acme"].balance - FEE
    assert (await pay(booked, "3", 30)).repeated
    assert await audited(booked) == []


async def test_a_run_without_any_call_that_old_leaves_every_period_complete(database, run):
    books, store = SqlBooks(database), SqlRetention(database)
    await books.book([call(1, 350)])
    for day in (60, 370):
        await close_period(office_on(database, now=NOW), operator("ann"), ClosePeriod(FIRST + day * DAY_MS))
    tried, ran = await run(dry_run=True), await run()
    assert tried == ran
    for kind in ("calls", "ledger"):
        assert (ran[kind].dropped_before, ran[kind].months) == (None, ())
    async with database.reading() as connection:
        assert await dropped_before(connection) == Dropped()
    late = call(2, 250)
    await books.book([late])  # nothing of it can have been dropped
    assert await SqlQueries(database).call(late.call_id) is not None
    await close_period(office_on(database, now=NOW + DAY_MS), operator("ann"), ClosePeriod(NOW))
    assert sum(each.records for each in (await run(now=NOW + DAY_MS))["calls"].months) == 1
    assert await store.calls_dropped_before() == FIRST + 301 * DAY_MS
    with pytest.raises(RejectedRecords):
        await books.book([late])
    assert await audited(database) == []


@on_sqlite
async def test_nothing_goes_that_is_not_closed(database, run):
    await SqlBooks(database).book([call(1, 10), call(2, 60)])
    held = (await run())["calls"]
    assert (held.dropped_before, held.months, held.held[0].guard) == (None, (), "close")
    await close_period(office_on(database, now=NOW), operator("ann"), ClosePeriod(FIRST + 20 * DAY_MS))
    sheet = (await run())["calls"]
    assert (sheet.dropped_before, sheet.held[0].kept_from) == (_iso(12), _iso(12))
    assert sum(each.records for each in sheet.months) == 1
    assert await audited(database) == []


@on_sqlite
async def test_a_call_that_was_booked_late_or_corrected_lately_stays_until_that_is_over(booked, run):
    late = call(50, 33)
    await SqlBooks(booked).book([late])  # behind the latest close
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.2"), Decimal(0), 60))
    corrected = Correction(call(1, 50).call_id, (change,), "fix", "ann", "wrong rate", NOW - 5 * DAY_MS)
    await SqlCorrections(booked).book([corrected])
    assert [(await run(dry_run=is_trial))["calls"].late for is_trial in (True, False)] == [2, 2]
    for kept in (late.call_id, corrected.call_id):
        assert await SqlQueries(booked).call(kept) is not None
    assert await audited(booked) == []
    await close_period(office_on(booked, now=NOW), operator("ann"), ClosePeriod(NOW))
    assert (await run())["calls"].late == 1
    assert await SqlQueries(booked).call(late.call_id) is None
    assert await SqlQueries(booked).call(corrected.call_id) is not None
    assert await audited(booked) == []
    later = NOW + 200 * DAY_MS
    await close_period(office_on(booked, now=later), operator("ann"), ClosePeriod(later))
    await run(now=later)
    assert await count(booked, schema.cdr_correction) == 0
    assert await audited(booked) == []
    await run(now=later + 300 * DAY_MS)
    assert await count(booked, schema.ledger_entry, schema.ledger_entry.c.kind != "payment") == 0
    assert await audited(booked) == []


@on_sqlite
async def test_a_call_that_the_journal_or_the_quarantine_has_stays(booked, run, state_dir):
    (state_dir / "quarantine").mkdir()
    (state_dir / "quarantine" / f"{call(1, 50).call_id}.json").write_text("{}")
    sheet = (await run())["calls"]
    assert (sheet.dropped_before, [each.guard for each in sheet.held]) == (_iso(50), ["journal"])
    assert "vosd spool list" in sheet.held[0].why
    (state_dir / "journal").rmdir()
    with pytest.raises(RetentionError, match="run this where the switch runs"):
        await run()


@on_sqlite
@pytest.mark.parametrize(("suffix", "what_to_do"), [(".kept", r"journal\.keep_minutes"), (".log", "vosd spool list")])
async def test_what_keeps_calls_of_the_journal_says_what_ends_it(booked, run, state_dir, suffix, what_to_do):
    (state_dir / "journal" / f"journal-00000001{suffix}").write_bytes(frame_of(Ended(call(1, 50))))
    (hold,) = (await run())["calls"].held
    assert (hold.guard, hold.kept_from[:10]) == ("journal", _iso(50)[:10])
    assert re.search(what_to_do, hold.why)


@on_sqlite
async def test_a_call_that_is_not_in_the_sums_of_reports_stays(booked, run, state_dir):
    settings = RetentionSettings(calls=Age(days=100))
    (sheet,) = (await Retention(booked, settings, state_dir, "ann", lambda: NOW).run()).kinds
    assert (sheet.months, sheet.held[0].guard) == ((), "sums")
    assert (await run())["calls"].months


async def test_a_call_that_an_export_has_not_taken_stays(booked, run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    held = (await run(exports=(out,)))["calls"]
    assert (held.months, held.held[0].guard) == ((), "export")
    number = (await SqlQueries(booked).call(call(1, 70).call_id)).export_seq
    state = {"version": 1, "last": number - 1, "number": 1, "witnesses": {}, "witnessed_after": 0, "pending": None}
    (out / ".billing.state.json").write_text(json.dumps(state))
    sheet = (await run(exports=(out,)))["calls"]
    assert (sheet.dropped_before, sheet.held[0].why) == (
        _iso(70),
        f"{out} (billing) has not taken all calls yet: vosd cdr export",
    )
    (out / ".billing.state.json").write_text("{")
    with pytest.raises(ExportBlocked, match="is damaged"):
        await run(exports=(out,))
    (out / ".billing.state.json").unlink()
    (out / ".billing.state.json").mkdir()  # refuses to be read, to root as well
    with pytest.raises(ExportBlocked, match=r"cannot be read .*chown"):
        await run(exports=(out,))


async def rated_again(database, since):
    """Return how many calls of a span are read to be rated or routed again."""
    async with aclosing(SqlSpans(database).pages(CallFilter(since=since))) as pages:
        return sum([len(page) async for page in pages])


@on_sqlite
async def test_what_was_dropped_is_not_read_as_if_it_were_nothing(booked, run):
    await run()
    ledger, consumption = SqlLedger(booked), SqlConsumption(booked)
    with pytest.raises(DroppedPeriod, match="ledger entries from before"):
        await ledger.statement("acme", FIRST + 150 * DAY_MS, FIRST + 180 * DAY_MS)
    kept = await ledger.statement("acme", FIRST + 180 * DAY_MS, FIRST + 210 * DAY_MS)
    assert (kept.opening, kept.is_closed) == (5 * 3 - 27 * FEE, True)
    with pytest.raises(DroppedPeriod, match="calls from before"):
        await consumption.consumed("acme", [CUSTOMER], FIRST + 290 * DAY_MS, FIRST + 320 * DAY_MS)
    assert await consumption.consumed("acme", [CUSTOMER], FIRST + 330 * DAY_MS, FIRST + 350 * DAY_MS) == 3 * FEE
    assert await consumption.has_begun("carrier", FIRST + 60 * DAY_MS)
    reports, by_prefix = SqlCallSums(booked), PrefixQuery(None, 6, ("calls",))
    spans = [ReportSpan(FIRST + day * DAY_MS, FIRST + (day + 30) * DAY_MS, "") for day in (290, 330)]
    with pytest.raises(DroppedPeriod, match="calls from before"):
        await reports.rows(spans, by_prefix, 10)
    _, rows = await reports.rows(spans[1:], by_prefix, 10)
    assert sum(row.sums[0] for row in rows) > 0
    for since in (None, FIRST + 290 * DAY_MS):
        with pytest.raises(DroppedPeriod, match="calls from before"):
            await rated_again(booked, since)
    assert await rated_again(booked, FIRST + 330 * DAY_MS) > 0


async def in_one_list(pages):
    """Return all that a reader yields, page after page."""
    async with aclosing(pages) as parts:
        return [part async for part in parts]


SINCE, UNTIL = FIRST + 90 * DAY_MS, FIRST + 380 * DAY_MS
"""Span that begins with records that retention drops."""
INVOICE = StoredInvoice(
    issuer="",
    account="acme",
    period="2026",
    since=SINCE,
    until=UNTIL,
    begin_until=0,
    begin_seq=0,
    floor_seq=0,
    end_seq=1_000,
    open_seq=1_000,
    currency="USD",
    net=Decimal(0),
    tax=Decimal(0),
    opening=Decimal(0),
    carried=Decimal(0),
    closing=Decimal(0),
    made_at=NOW,
    operator="ann",
    document="",
)
READERS = {
    "counted": lambda database: in_one_list(SqlLedger(database).counted(SINCE, UNTIL)),
    "balances": lambda database: in_one_list(SqlLedger(database).balances(SINCE)),
    "balances_at": lambda database: SqlLedger(database).balances_at([SINCE, UNTIL], None),
    "turnovers": lambda database: SqlLedger(database).turnovers(SINCE, [UNTIL], None, 100),
    "by_kind": lambda database: SqlLedger(database).by_kind(SINCE, [UNTIL], None, 100),
    "charged_beside_calls": lambda database: SqlLedger(database).charged_beside_calls([(SINCE, UNTIL)], None),
    "invoice": lambda database: in_one_list(SqlInvoices(database).calls(INVOICE)),
    "consumed": lambda database: SqlConsumption(database).consumed("acme", [CUSTOMER], FIRST + 10 * DAY_MS, UNTIL),
    "of_span": lambda database: in_one_list(SqlExport(database).of_span(SINCE, UNTIL, ["callee_in"])),
    "pages": lambda database: in_one_list(SqlSpans(database).pages(CallFilter(since=SINCE, until=UNTIL))),
}


@pytest.mark.parametrize("reader", READERS)
async def test_records_that_are_dropped_between_two_pages_are_not_left_out_silently(booked, run, monkeypatch, reader):
    sizes = (
        "ledger.ACCOUNTS",
        "ledger.ENTRIES",
        "invoices._CALLS",
        "consumption._ENTRIES",
        "export.CALLS",
        "spans.CALLS",
    )
    for size in sizes:
        monkeypatch.setattr(f"vosd.storage.{size}_AT_ONCE", 1)
    reading = booked.reading

    @asynccontextmanager
    async def dropping(**options):
        async with reading(**options) as connection:
            yield connection
        monkeypatch.setattr(booked, "reading", reading)
        await run()

    await READERS[reader](booked)
    monkeypatch.setattr(booked, "reading", dropping)
    with pytest.raises(DroppedPeriod, match="were dropped"):
        await READERS[reader](booked)


@on_sqlite
async def test_two_runs_do_not_go_on_at_once(booked, run, state_dir):
    with (state_dir / "retention.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RetentionError, match="another run"):
            await run()
    assert (await run())["calls"].months


@pytest.mark.parametrize("seed", range(examples(1, 5)))
async def test_random_years_keep_their_books(database, run, seed):
    """Calls, late bookings, corrections, payments and closes in any order, then runs between them."""
    draw = random.Random(2 * seed + database.is_sqlite)
    made, balance = [], Decimal(0)
    for day in range(0, 300, 10):
        today = FIRST + day * DAY_MS + DAY_MS - 1
        for index in range(draw.randrange(3)):
            began = max(day - draw.choice([0, 0, 0, 1, 15, 90]), 0)
            record = draw.choice([call, _earned])(day * 10 + index, began)
            record = msgspec.structs.replace(record, recorded=draw.random() < 0.8)
            try:
                await SqlBooks(database).book([record])
            except RejectedRecords:
                continue  # so old that calls of its time were dropped
            made.append(record)
            balance += sum(each.amount for each in record.postings)
        if draw.random() < 0.3 and made:
            balance += await _corrected(database, draw.choice(made), day, today)
        if draw.random() < 0.4:
            await pay(database, "1", day)
            balance += 1
        if draw.random() < 0.3:
            await SqlCheckpoints(database).close(FIRST + day * DAY_MS, "ann", None, today)
        if draw.random() < 0.4:
            kept = {"calls": Age(days=draw.choice([20, 60])), "ledger": Age(days=draw.choice([60, 120]))}
            await run(now=today, **kept)
            assert await audited(database) == []
    total = sum((each.balance for each in (await SqlBooks(database).standings()).standings.values()), Decimal(0))
    assert total == balance
    assert await drop_history(database)


def _earned(index, day):
    at = FIRST + day * DAY_MS + DAY_MS // 2
    made = partner_call(at - STARTED + index, "acme", "partner", fee=FEE, cost=COST)
    return msgspec.structs.replace(made, started_at=at, answered_at=at + 4_000, ended_at=at + 64_000)


async def _corrected(database, record, day, now):
    if await SqlQueries(database).call(record.call_id) is None:
        return Decimal(0)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal(day) / 1_000, Decimal(0), 60))
    made = await SqlCorrections(database).book([Correction(record.call_id, (change,), f"fix/{day}", "ann", "why", now)])
    return sum((each.amount for each in made), Decimal(0))


def _iso(day):
    return datetime.fromtimestamp((FIRST + day * DAY_MS) / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.mariadb
async def test_a_month_that_is_empty_afterwards_is_dropped_as_a_partition(mariadb_url, state_dir):
    await asyncio.to_thread(migrate_on_server, mariadb_url)
    database = Database(mariadb_url)

    async def months(table):
        async with database.reading() as connection:
            return [each for each in await partitions_of(connection, table) if each.until is not None]

    before = await months("cdr")
    until = before[0].until
    of_until = (until - FIRST) // DAY_MS
    await SqlBooks(database).book([call(1, of_until - 20), call(2, of_until + 5), call(3, of_until + 90)])
    await SqlPayments(database).add(
        Payment(account="acme", kind=EntryKind.PAYMENT, reference="1", made_at=until - DAY_MS, amount=Decimal(1))
    )
    now = until + 100 * DAY_MS
    for days in (10, 60):
        await SqlCheckpoints(database).close(until + days * DAY_MS, "ann", None, now)
    while await SqlTraffic(database).advance():
        pass
    kept = RetentionSettings(calls=Age(days=75), ledger=Age(days=80))
    done = await Retention(database, kept, state_dir, "ann", lambda: now).run()
    assert [sum(month.records for month in sheet.months) for sheet in done.kinds] == [2, 4]
    assert set(done.partitions_dropped) == {f"{table} {before[0].name}" for table in TABLES}
    for table in TABLES:
        assert [each.name for each in await months(table)] == [each.name for each in before[1:]]
    assert await audited(database) == []
    await SqlBooks(database).book([call(4, of_until + 91)])
    assert await count(database, schema.ledger_entry) == 5
    assert await audited(database) == []
    await database.close()


@pytest.fixture
async def on_server(mariadb_url):
    await asyncio.to_thread(migrate_on_server, mariadb_url)
    async with Database(mariadb_url) as database:
        yield database


async def _closed_call(database):
    """Book a call, close the books and make the sums of reports; return the plan that drops it, and the close."""
    await SqlBooks(database).book([call(1, 0)])
    while await SqlTraffic(database).advance():
        pass
    await SqlCheckpoints(database).close(FIRST + 10 * DAY_MS, "ann", None, NOW)
    until = FIRST + 5 * DAY_MS
    plan = DropPlan(RecordKind.CALLS, until, until, ())
    await SqlRetention(database).begin(plan)
    return plan, (await SqlRetention(database).closes())[-1]


async def _drop(database, plan, closed_until):
    drops = Drops(RecordKind.CALLS, DropTerms(plan.until, NOW, "ann"), lambda: NOW, is_trial=False)
    async for _ in SqlRetention(database).drop_calls(plan, closed_until, drops):
        pass


def _correction_of(index, day):
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.6"), Decimal(0), 60))
    return Correction(call(index, day).call_id, (change,), "ticket", "ann", "why", NOW)


@pytest.mark.mariadb
async def test_a_call_is_not_corrected_while_it_is_dropped(mariadb_server, on_server, monkeypatch):
    plan, closed_until = await _closed_call(on_server)
    deleted, go_on, add_calls = asyncio.Event(), asyncio.Event(), retention.add_calls

    async def slow_to_commit(*arguments):
        deleted.set()
        await go_on.wait()
        await add_calls(*arguments)

    monkeypatch.setattr(retention, "add_calls", slow_to_commit)
    dropping = asyncio.create_task(_drop(on_server, plan, closed_until))
    await deleted.wait()
    correcting = asyncio.create_task(SqlCorrections(on_server).book([_correction_of(1, 0)]))
    await _waits_for_a_row(mariadb_server, correcting)
    go_on.set()
    await dropping
    with pytest.raises(NoSuchCall):
        await correcting
    assert await count(on_server, schema.cdr_correction) == 0
    assert await audited(on_server) == []


async def _waits_for_a_row(server, task):
    """Return once the task waits for a row that is locked, or has ended."""
    with server.connection(autocommit=True) as connection, connection.cursor() as cursor:
        while not task.done():
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
            if int(cursor.fetchone()[1]):
                return
            await asyncio.wait({task}, timeout=0.02)


async def test_a_correction_that_an_earlier_version_booked_for_a_dropped_call_keeps_no_books_open(booked, run):
    await run()
    gone = call(1, 0)
    row = {
        "call_id": gone.call_id,
        "reference": "ticket",
        "position": 1,
        "account": "acme",
        "role": CUSTOMER,
        "level": 0,
    }
    amounts = {"fee_before": FEE, "fee_after": FEE * 2, "tax_before": Decimal(0), "tax_after": Decimal(0)}
    others = {"operator": "ann", "memo": "why", "corrected_at": NOW, "seconds_before": 60, "seconds_after": 60}
    async with booked.writing() as connection:
        await connection.execute(insert(schema.cdr_correction).values(row | amounts | others))
    assert await audited(booked) == []


async def test_the_audit_has_a_line_of_each_kind_of_records_that_an_order_drops(booked, state_dir):
    while await SqlTraffic(booked).advance():
        pass
    kept = RetentionSettings(calls=Age(days=100), ledger=Age(days=200), daily_totals=Age(days=300))

    async def subjects(**how) -> list[str]:
        work = Retention(booked, kept, state_dir, "ann", lambda: NOW, audit=line_of, **how)
        await work.run()
        return [each.subject for each in await SqlAudit(booked).newest(9)][::-1]

    def line_of(kind: str) -> AuditLine:
        return operator().audit_line(RunRetention(), kind, NOW)

    assert await subjects(is_trial=True) == []
    assert await subjects() == ["calls", "ledger", "daily_totals"]
    assert await subjects() == ["calls", "ledger", "daily_totals"]
