"""Masking of the numbers of old calls: nothing of them is left in the database, and the money stays."""

import json
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from doubles.data.records import STARTED, answered_call, charge_row
from sqlalchemy import String, Text, select

from vosd.admin.retention import Retention
from vosd.callcontrol.verdicts import Excluded, Verdicts, verdicts_in
from vosd.cdr.columns import RECORD_COLUMNS
from vosd.cdr.kinds import Masking
from vosd.cdr.record import AGENT, Attempt
from vosd.cdr.retention import DAY_MS, Age, DroppedPeriod
from vosd.engine.settings import RetentionSettings
from vosd.storage import masking, schema
from vosd.storage.books import SqlBooks
from vosd.storage.call_sums import PrefixQuery, SqlCallSums
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.drop_history import drop_history
from vosd.storage.ports import CallFilter
from vosd.storage.queries import SqlQueries
from vosd.storage.spans import SqlSpans
from vosd.storage.traffic import SqlTraffic
from vosd.storage.types import Document
from vosd.storage.verify import verify_ledger
from vosd.traffic.spans import ReportSpan

FIRST = STARTED - STARTED % DAY_MS + DAY_MS
NOW = FIRST + 100 * DAY_MS
CLOSED = FIRST + 80 * DAY_MS
MONEY = ("fee", "tax", "cost", "cost_tax", "billed_seconds", "fee_breakdown", "rate_prefix", "export_seq")


def called(index: int) -> str:
    return f"4420794{index:05}"


def caller(index: int) -> str:
    return f"+493012{index:05}"


def call(index: int, day: int):
    """A call from a phone, named by its number, to a phone; sold by a longer prefix than it was bought by."""
    at, number, from_ = FIRST + day * DAY_MS + index, called(index), caller(index)
    made = answered_call(
        at - STARTED, customer_account="acme", vendor_account="carrier",
        fee=Decimal("0.25"), cost=Decimal("0.1"), caller_in=from_, callee_in=f"00{number}",
        caller_out=from_.lstrip("+"), callee_out=number, callee_billing=number,
        routing_number=number, mapping_gateway=from_, routing_gateway=number, rate_prefix="442079",
        sip_call_id_in=f"7f3a-{number}@10.0.0.1", sip_call_id_out=f"{number}", reason_text=f"{number} is busy",
        verdicts=json.dumps({"refusal": f"0{number[2:]} has no route", "left": []}),
        attempts=(Attempt("carrier-a", 503, 100, None, "Busy"), Attempt(number, 200, 900, 300, "Answered")),
    )  # fmt: skip
    unfilled = [each for each in RECORD_COLUMNS if each.masking is not Masking.NONE and not getattr(made, each.name)]
    made = msgspec.structs.replace(made, **{each.name: f'"{number}"' for each in unfilled})
    agent = msgspec.structs.replace(charge_row("reseller", AGENT, 1, Decimal(0)), rate_prefix="4420794")
    charges = (made.charges[0], agent, *made.charges[1:])
    return msgspec.structs.replace(made, started_at=at, answered_at=at + 4_000, ended_at=at + 64_000, charges=charges)


@pytest.fixture
def run(database, tmp_path):
    state_dir: Path = tmp_path / "var"
    (state_dir / "journal").mkdir(parents=True)

    async def run(*, dry_run=False, **settings):
        kept = RetentionSettings(**{"numbers": Age(days=30)} | settings)
        work = Retention(database, kept, state_dir, "ann", lambda: NOW, is_trial=dry_run)
        return {sheet.kind: sheet for sheet in (await work.run()).kinds}

    return run


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("vosd.admin.retention.PAUSE_S", 0)
    monkeypatch.setattr(masking, "AT_ONCE", 7)


@pytest.fixture
async def booked(database):
    """Calls of 20 days that are masked, and of three that are not."""
    await SqlBooks(database).book([call(day, day) for day in (*range(20), 78, 85, 99)])
    await SqlCheckpoints(database).close(CLOSED, "ann", None, NOW)
    return database


async def texts(database):
    """All text of the database by table and column, documents as they are read."""
    found = []
    async with database.reading() as connection:
        for table in schema.metadata.sorted_tables:
            columns = [each for each in table.columns if isinstance(each.type, String | Text | Document)]
            for row in (await connection.execute(select(*columns))).all() if columns else ():
                found += [
                    (f"{table.name}.{column.name}", value) for column, value in zip(columns, row, strict=True) if value
                ]
    return found


def places_of(day, found):
    """Return the places that have the called number of a day."""
    return sorted(place for place, text in found if called(day)[-8:] in text)


async def rows(database, *names):
    columns = [schema.cdr.c[name] for name in ("call_id", *names)]
    async with database.reading() as connection:
        return (await connection.execute(select(*columns).order_by(schema.cdr.c.call_id))).all()


def iso(moment):
    return datetime.fromtimestamp(moment / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_nothing_is_left_of_the_numbers_of_old_calls(booked, run):
    money, shown = await rows(booked, *MONEY), await rows(booked, *masking._CHANGED)
    standings, before = (await SqlBooks(booked).standings()).standings, await texts(booked)
    trial = await run(dry_run=True)
    assert await rows(booked, *masking._CHANGED) == shown

    done = await run()

    assert done == trial
    sheet = done["numbers"]
    assert sheet.dropped_before == iso(FIRST + 70 * DAY_MS)
    assert (sum(each.records for each in sheet.months), sheet.held) == (20, ())
    everything = await texts(booked)
    for day in range(20):
        for digits in (called(day)[-8:], caller(day)[-8:]):
            assert [place for place, text in everything if digits in text] == []
    for day in (78, 85, 99):
        assert places_of(day, everything) == places_of(day, before) != []
    first = (await rows(booked, *masking._CHANGED))[0]
    assert (first.caller_in, first.callee_in, first.callee_billing) == (
        "+4930xxxxxxx",
        "0044xxxxxxxxxx",
        "4420794xxxxx",
    )
    assert (first.mapping_gateway, first.routing_gateway) == ("+4930xxxxxxx", "4420794xxxxx")
    # Money and steps are as they were, and so the books hold.
    assert await rows(booked, *MONEY) == money
    assert (await SqlBooks(booked).standings()).standings == standings
    audits = [await verify_ledger(booked), await verify_ledger(booked, whole=True)]
    assert [str(each) for audit in audits for each in audit.differences] == []
    assert [(each.kind, each.operator) for each in await drop_history(booked)] == [("numbers", "ann")] * len(
        sheet.months
    )
    listed = await SqlQueries(booked).calls(CallFilter(callee="0044", until=FIRST + 20 * DAY_MS))
    assert len(listed) == 20
    assert {each.record.fee for each in listed} == {Decimal("0.25")}
    again = await run()
    assert again["numbers"].months == ()


async def test_the_numbers_of_phones_go_where_the_call_has_other_numbers(database, run):
    """A phone shows another number, is rung by one of the inventory, or has transferred the call of another caller."""
    made = msgspec.structs.replace(
        call(1, 5), mapping_gateway="493077001122", routing_gateway="7002", vendor_account=None,
        verdicts=json.dumps({"refusal": "493077001122 has its 3 calls"}), reason_text="7001 is busy",
        attempts=(Attempt("7001", 486, 100, None, "Busy"), Attempt("carrier-2", 503, 100, None, "Busy"),
                  Attempt("7002", 200, 900, 300, "Answered")),
    )  # fmt: skip
    await SqlBooks(database).book([made])
    await SqlCheckpoints(database).close(CLOSED, "ann", None, NOW)
    await run()
    (row,) = await rows(database, "mapping_gateway", "routing_gateway", "verdicts", "reason_text")
    assert row[1:] == ("4930xxxxxxxx", "xxxx", '{"refusal":"4930xxxxxxxx has its 3 calls"}', "xxxx is busy")
    (listed,) = await SqlQueries(database).calls(CallFilter())
    assert [each.gateway for each in listed.record.attempts] == ["xxxx", "carrier-2", "xxxx"]
    assert (await run())["numbers"].months == ()


async def test_trunks_whose_names_are_digits_keep_them(database, run):
    """Also one that was deleted since, where a call has only tried it, or does not say who pays."""
    left = Excluded("2001", "no route"), Excluded("7002", "unregistered")
    verdicts = Verdicts(refusal="7002 (phone not registered)", left=left)
    tried = Attempt("2001", 503, 100, None, "Busy"), Attempt("7001", 486, 90, 50, "Busy")
    first, second, third = (
        msgspec.structs.replace(call(day, day), mapping_gateway="1001", billing_method="gateway") for day in (5, 6, 7)
    )
    made = [
        msgspec.structs.replace(first, routing_gateway="2001"),
        msgspec.structs.replace(
            second, routing_gateway="7001", vendor_account=None, attempts=tried, reason_text="no answer of 2001",
            verdicts=msgspec.json.encode(verdicts).decode(),
        ),
        msgspec.structs.replace(third, routing_gateway="2002", billing_method=None),
    ]  # fmt: skip
    await SqlBooks(database).book(made)
    while await SqlTraffic(database).advance():
        pass
    await SqlCheckpoints(database).close(CLOSED, "ann", None, NOW)
    await run()
    first, second, third = await rows(database, "mapping_gateway", "routing_gateway", "verdicts", "reason_text")
    assert (first[1:3], second[1:3], third[1:3]) == (("1001", "2001"), ("1001", "xxxx"), ("1001", "2002"))
    assert second.reason_text == "no answer of 2001"
    assert verdicts_in(second.verdicts) == Verdicts(
        refusal="xxxx (phone not registered)", left=(left[0], Excluded("xxxx", "unregistered"))
    )
    listed = await SqlQueries(database).calls(CallFilter())
    assert ["2001", "xxxx"] in [[each.gateway for each in call.record.attempts] for call in listed]


async def test_the_name_of_a_trunk_that_was_deleted_is_masked_where_a_phone_has_it_since(database, run):
    trunk = msgspec.structs.replace(call(1, 5), mapping_gateway="1001", billing_method="gateway")
    phone = msgspec.structs.replace(call(2, 6), mapping_gateway="1001", billing_method="phone")
    await SqlBooks(database).book([trunk, phone])
    while await SqlTraffic(database).advance():
        pass
    await SqlCheckpoints(database).close(CLOSED, "ann", None, NOW)
    await run()
    assert [row.mapping_gateway for row in await rows(database, "mapping_gateway")] == ["1001", "xxxx"]


async def test_the_number_of_a_phone_that_was_not_called_goes_from_the_verdicts(database, run):
    left = [Excluded("493077001122", "unregistered"), Excluded("carrier-2", "no route")]
    verdicts = Verdicts(refusal="493077001122 (phone not registered)", left=tuple(left))
    made = msgspec.structs.replace(call(1, 5), verdicts=msgspec.json.encode(verdicts).decode())
    await SqlBooks(database).book([made])
    await SqlCheckpoints(database).close(CLOSED, "ann", None, NOW)
    await run()
    ((_, kept),) = await rows(database, "verdicts")
    assert verdicts_in(kept) == Verdicts(
        refusal="4930xxxxxxxx (phone not registered)", left=(Excluded("4930xxxxxxxx", "unregistered"), left[1])
    )


async def test_a_run_that_is_killed_goes_on_where_it_was(booked, run, monkeypatch):
    steps = masking.SqlMasking.mask_calls
    looked_at = []

    async def killed(*terms):
        async with aclosing(steps(*terms)) as going:
            async for number in going:
                looked_at.append(number)
                raise KeyboardInterrupt
        yield 0

    with monkeypatch.context() as patch:
        patch.setattr(masking.SqlMasking, "mask_calls", killed)
        with pytest.raises(KeyboardInterrupt):
            await run()
    left = [row for row in await rows(booked, "callee_out") if not row.callee_out.endswith("x")]
    assert (looked_at, len(left)) == ([7], 16)
    done = await run()
    assert sum(each.records for each in done["numbers"].months) == 13
    assert sum(each.records for each in await drop_history(booked)) == 20


async def test_masked_calls_are_not_rated_again(booked, run):
    async def read(since):
        async with aclosing(SqlSpans(booked).pages(CallFilter(since=since))) as pages:
            return [each async for page in pages for each in page]

    assert len(await read(None)) == 23
    await run()
    for since in (None, FIRST, FIRST + 69 * DAY_MS):
        with pytest.raises(DroppedPeriod, match="masked"):
            await read(since)
    assert len(await read(FIRST + 70 * DAY_MS)) == 3


async def test_masked_calls_are_not_reported_by_their_numbers(booked, run):
    reports, by_prefix = SqlCallSums(booked), PrefixQuery(None, 6, ("calls",))
    month = ReportSpan(FIRST, FIRST + 30 * DAY_MS, "")
    _, rows = await reports.rows([month], by_prefix, 10)
    assert sum(row.sums[0] for row in rows) == 20
    await run()
    for refused in (by_prefix, by_prefix._replace(callee_digits=4, callee="4420")):
        with pytest.raises(DroppedPeriod, match="masked"):
            await reports.rows([month], refused, 10)
    _, rows = await reports.rows([month], by_prefix._replace(callee_digits=4), 10)  # which masking keeps
    assert {row.by: row.sums[0] for row in rows} == {("4420",): 20}
    _, rows = await reports.rows([ReportSpan(FIRST + 70 * DAY_MS, NOW, "")], by_prefix, 10)
    assert sum(row.sums[0] for row in rows) == 3


async def test_short_numbers_that_are_masked_are_one_row_of_a_report_by_prefixes(booked, database, run):
    extensions = {"1001": "100500", "1002": "110", "1003": "4930123", "1004": "fax"}
    made = [
        msgspec.structs.replace(
            call(50 + index, 85 if number == "fax" else 5), caller_in=from_, caller_out=from_, callee_in=number,
            callee_out=number, callee_billing=number, routing_number=number, rate_prefix=number[:2],
            mapping_gateway="pbx",
        )
        for index, (from_, number) in enumerate(extensions.items())
    ]  # fmt: skip
    await SqlBooks(database).book(made)
    all_days = ReportSpan(FIRST, NOW, "")

    async def by_prefix(query):
        _, rows = await SqlCallSums(booked).rows([all_days], query, 50)
        return {row.by: row.sums[0] for row in rows}

    of_callees = PrefixQuery(None, 4, ("calls",), where=((("mapping_gateway",), ("pbx",)),))
    of_callers = of_callees._replace(caller_digits=3, callee_digits=None)
    assert await by_prefix(of_callees) == {("1005",): 1, ("110",): 1, ("4930",): 1, ("fax",): 1}
    assert await by_prefix(of_callers) == {("100",): 4}
    await run()
    assert await by_prefix(of_callees) == {("masked",): 3, ("fax",): 1}
    assert await by_prefix(of_callers) == {("masked",): 3, ("100",): 1}


async def test_guards_hold_numbers_as_they_hold_calls(booked, run):
    (held,) = (await run(numbers=Age(days=10)))["numbers"].held
    assert (held.guard, held.kept_from) == ("close", iso(CLOSED - 8 * DAY_MS))


async def test_masked_calls_are_dropped_at_their_time_with_all_they_cost(booked, run):
    while await SqlTraffic(booked).advance():
        pass
    trial = await run(dry_run=True, calls=Age(days=90), numbers=Age(days=30))
    assert sum(each.records for each in trial["numbers"].months) == 10
    await run()
    done = await run(calls=Age(days=90), numbers=Age(days=30))
    assert sum(Decimal(each.amounts["USD"]["fee"]) for each in done["calls"].months) == Decimal("2.5")
    assert done["numbers"].months == ()
