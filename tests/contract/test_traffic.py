"""Sums of calls for reports: each call is in them once, corrected or late, and any division has the same totals."""

import tracemalloc
from contextlib import aclosing
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.data.records import STARTED, answered_call, call_id, charge_row, refused_call
from doubles.office import office_on, operator
from sqlalchemy import delete, event, func, insert, select, update

from vosd.admin.office.principal import Scope
from vosd.admin.office.report_sums import CheckReports, RebuildReports, check_reports, rebuild_reports
from vosd.admin.office.reports import ShowReport, report_of
from vosd.cdr.columns import iso_utc
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import AGENT, ANSWERED_ELSEWHERE, CUSTOMER, FORKED, LATE_ANSWER, VENDOR, Attempt
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.call_sums import PrefixQuery, SqlCallSums
from vosd.storage.corrections import SqlCorrections
from vosd.storage.stores import SqlStores
from vosd.storage.traffic import AT_ONCE, SqlTraffic
from vosd.storage.traffic_sums import SqlTrafficSums, TrafficQuery
from vosd.traffic.counted import SLOT_MS, TrafficKey, TrafficKind
from vosd.traffic.live_counts import AttemptCount, LiveCounts, PeakSide, TrafficPeak
from vosd.traffic.reports import REACHED
from vosd.traffic.spans import Grouping, ReportSpan, spans_of

HOUR = 3_600_000
DAY = 24 * HOUR
BEGIN = STARTED // DAY * DAY
LATER = BEGIN + 40 * DAY
LORD_HOWE = "Australia/Lord_Howe"


def call_at(index: int, begin: int, **changes):
    shift = begin - STARTED - index
    record = answered_call(index, **changes)
    times = {name: getattr(record, name) for name in ("started_at", "ringing_at", "answered_at", "ended_at")}
    moved = {name: None if value is None else value + shift for name, value in times.items()}
    return answered_call(index, **{**changes, **moved})


async def advance(database, now: int = LATER) -> int:
    traffic, added = SqlTraffic(database), 0
    while some := await traffic.advance():
        added += some
    while await traffic.close_day(now):
        pass
    return added


async def differences(database, since: int = BEGIN, until: int = BEGIN + 3 * DAY):
    return [each async for each in SqlTraffic(database).differences(since, until)]


async def test_a_comparison_keeps_nothing_of_each_hour_of_a_long_time(database):
    assert await differences(database) == []  # what is made once is there
    tracemalloc.start()
    try:
        assert await differences(database, BEGIN, BEGIN + 1_500 * DAY) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2_000_000


@pytest.mark.parametrize("is_added", [False, True])
async def test_a_check_until_for_ever_ends_behind_the_last_calls_and_sums(booked, is_added):
    """Each of 70 million hours would be looked at, and written by a rebuild."""
    if is_added:
        await advance(booked)
        async with booked.writing() as connection:
            await connection.execute(delete(schema.cdr))
    traffic, for_ever = SqlTraffic(booked), 253_402_300_799_999
    assert await traffic.reach(BEGIN + DAY) == BEGIN + DAY
    assert BEGIN + 3 * DAY <= await traffic.reach(for_ever) <= BEGIN + 5 * DAY
    office = office_on(booked, now=LATER)
    ends = [each async for each in rebuild_reports(office, operator(), RebuildReports(BEGIN, for_ever))]
    assert 3 * 24 <= len(ends) <= 5 * 24
    assert [each async for each in check_reports(office, operator(), CheckReports(BEGIN, for_ever))] == []


async def sums(database, *by: str, measures=("calls", "answered", "fee", "cost"), since=BEGIN, until=BEGIN + 3 * DAY,
               grouping=Grouping.WHOLE, zone="UTC", kind=TrafficKind.CALL, **where):  # fmt: skip
    spans = spans_of(since, until, grouping, ZoneInfo(zone))
    query = TrafficQuery(kind, by, measures, [((name,), values) for name, values in where.items()])
    (rows,) = (await SqlTrafficSums(database).rows(spans, [query])).rows
    return {(spans[row.span].label, *row.by): row.sums for row in rows}


@pytest.fixture
async def booked(database):
    """Calls of three days, one of them refused; all but the first are of one account."""
    calls = [
        call_at(1, BEGIN + HOUR, customer_account="acme", vendor_account="carrier", fee=Decimal("0.50")),
        call_at(2, BEGIN + 23 * HOUR, customer_account="zen", vendor_account="carrier", fee=Decimal("0.25")),
        call_at(
            3, BEGIN + DAY + HOUR // 2, customer_account="zen", vendor_account="carrier", fee=Decimal("0.12345678")
        ),
        refused_call(4),
    ]
    await SqlBooks(database).book(calls)
    return database


async def test_calls_are_added_once_however_often_the_job_runs(booked):
    assert await advance(booked) == 4
    assert await advance(booked) == 0
    assert (await sums(booked))["",][:2] == (4, 3)
    by_account = await sums(booked, "customer_account", measures=("calls", "fee"))
    assert by_account["", "zen"] == (2, Decimal("0.37345678"))
    assert await differences(booked) == []


async def counters(database):
    async with database.reading() as connection:
        rows = (await connection.execute(select(schema.counter))).all()
    return {row.name: row.value for row in rows if row.name != schema.COMMITS}


@pytest.mark.parametrize("are_taken", [False, True])
async def test_keys_that_the_database_has_lost_are_not_those_of_other_calls(booked, are_taken):
    """A replica that takes over, or a backup, gives their numbers to others: a customer had the calls of another."""
    traffic, key = SqlTraffic(booked), schema.traffic_key
    assert await traffic.advance() == 4
    before = await counters(booked)
    async with booked.reading() as connection:
        last = await connection.scalar(select(func.max(key.c.id)))
        kept = (await connection.execute(select(schema.traffic))).mappings().all()
    await SqlBooks(booked).book([call_at(5, BEGIN + 2 * HOUR, customer_account="lost", vendor_account="carrier")])
    assert await traffic.advance() == 1
    async with booked.writing() as connection:
        await connection.execute(delete(schema.traffic))
        await connection.execute(insert(schema.traffic), [dict(row) for row in kept])
        lost = (await connection.execute(select(key).where(key.c.id > last))).mappings().all()
        await connection.execute(delete(key).where(key.c.id > last))
        if are_taken:  # by another process, which was first
            others = [{**row, "digest": row["digest"][::-1], "customer_account": "third"} for row in lost]
            await connection.execute(insert(key), others)
        mark = update(schema.counter).where(schema.counter.c.name == schema.TRAFFIC)
        await connection.execute(mark.values(value=before[schema.TRAFFIC]))
    await SqlBooks(booked).book([call_at(6, BEGIN + 2 * HOUR, customer_account="other", vendor_account="carrier")])
    assert await traffic.advance() == 2
    by_account = await sums(booked, "customer_account", measures=("calls",))
    assert (by_account["", "lost"], by_account["", "other"]) == ((1,), (1,))
    assert await differences(booked) == []


async def test_a_corrected_call_counts_as_it_is_now(booked):
    await advance(booked)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.20"), Decimal(0), 30))
    correction = Correction(call_id(1), (change,), "ticket", "ann", "wrong", LATER)
    await SqlCorrections(booked).book([correction])
    assert (await sums(booked, "customer_account", measures=("calls", "fee")))["", "zen"][0] == 2
    assert await advance(booked) == 1
    assert (await sums(booked, "customer_account", measures=("calls", "billed_seconds", "fee")))["", "acme"] == (
        1, 30, Decimal("0.20"),
    )  # fmt: skip
    assert await differences(booked) == []


async def test_a_call_that_is_corrected_before_it_was_added_counts_once(booked):
    change = ChargeChange(VENDOR, 0, Amounts(Decimal("0.02"), Decimal(0), 60))
    await SqlCorrections(booked).book([Correction(call_id(1), (change,), "ticket", "ann", "wrong", LATER)])
    await advance(booked)
    assert (await sums(booked, "customer_account", measures=("calls", "cost")))["", "acme"] == (1, Decimal("0.02"))
    assert await differences(booked) == []


async def test_a_test_call_counts_as_cost_alone(booked):
    """The vendor charges it, and it is neither a call of a customer nor a failure of its gateway."""
    record = call_at(9, BEGIN + HOUR, customer_account="acme", vendor_account="carrier", cost=Decimal("0.50"))
    none = dict.fromkeys(("customer_account", "mapping_gateway", "answered_at", "currency", "billing_method"))
    test = msgspec.structs.replace(record, **none, fee=Decimal(0), billed_seconds=0, charges=(), postings=())
    before = await advance(booked) and {kind: await sums(booked, kind=kind) for kind in TrafficKind}
    by_digits = PrefixQuery(None, 4, ("calls", "answered"), [(("routing_gateway",), [record.routing_gateway])])
    days = spans_of(BEGIN, BEGIN + 3 * DAY, Grouping.WHOLE, ZoneInfo("UTC"))
    _, read = await SqlCallSums(booked).rows(days, by_digits, 10)
    await SqlBooks(booked).book([test])
    assert read and (await SqlCallSums(booked).rows(days, by_digits, 10))[1] == read  # noqa: PT018
    await advance(booked)
    after = {kind: await sums(booked, kind=kind) for kind in TrafficKind}
    calls, answered, fee, cost = before[TrafficKind.CALL]["",]
    assert after.pop(TrafficKind.CALL)["",] == (calls, answered, fee, cost + Decimal("0.50"))
    assert after.items() <= before.items()
    assert await differences(booked) == []


def in_vain(index: int, begin: int, reason: str, cost: Decimal):
    """Return the record of the cost of an answer in vain."""
    record = call_at(index, begin, customer_account="acme", vendor_account="carrier", cost=cost)
    none = dict.fromkeys(("customer_account", "answered_at", "currency", "billing_method", "pdd_ms", "ringing_at"))
    rows = (Attempt(record.routing_gateway or "", 200, 9_000, None, reason),)
    return msgspec.structs.replace(
        record, **none, fee=Decimal(0), billed_seconds=0, hold_time_ms=0, hold_time_s=0, charges=record.charges[1:],
        postings=(), attempts=rows, end_reason="Cancelled", sip_code=None, hangup_source="switch",
    )  # fmt: skip


@pytest.mark.parametrize("reason", [LATE_ANSWER, FORKED])
async def test_an_answer_in_vain_counts_as_cost_alone(booked, reason):
    """The call has a record of its own, with one row for each attempt and beside them one for the answer."""
    before = await advance(booked) and {kind: await sums(booked, kind=kind) for kind in TrafficKind}
    costs = {kind: await sums(booked, "routing_gateway", kind=kind, measures=("cost",)) for kind in TrafficKind}
    by_digits, days = PrefixQuery(None, 4, ("calls", "answered")), [ReportSpan(BEGIN, BEGIN + 3 * DAY, "")]
    _, read = await SqlCallSums(booked).rows(days, by_digits, 10)
    record = in_vain(9, BEGIN + HOUR, reason, Decimal("0.06"))
    assert record.is_cost_of_another
    await SqlBooks(booked).book([record])
    assert read and (await SqlCallSums(booked).rows(days, by_digits, 10))[1] == read  # noqa: PT018
    await advance(booked)
    after = {kind: await sums(booked, kind=kind) for kind in TrafficKind}
    calls, answered, fee, cost = before[TrafficKind.CALL]["",]
    assert after.pop(TrafficKind.CALL)["",] == (calls, answered, fee, cost + Decimal("0.06"))
    assert after.items() <= before.items()
    place = "", record.routing_gateway
    of_gateway = await sums(booked, "routing_gateway", measures=("cost",))
    assert of_gateway[place][0] == costs[TrafficKind.CALL][place][0] + Decimal("0.06")
    assert await differences(booked) == []


async def test_an_attempt_that_was_answered_late_counts_once_and_as_unanswered(database):
    attempts = (
        Attempt("slow", 0, 5_000, None, "No Response"), Attempt("slow", 200, 9_000, None, LATE_ANSWER),
        Attempt("good", 200, 4_000, 940, "Answered"), Attempt("good", 200, 4_100, 940, FORKED),
    )  # fmt: skip
    await SqlBooks(database).book([answered_call(1, attempts=attempts)])
    await advance(database)
    measures = ("calls", "answered", "failed_over")
    tried = await sums(database, "routing_gateway", kind=TrafficKind.ATTEMPT, measures=measures)
    assert tried == {("", "slow"): (1, 0, 1), ("", "good"): (1, 1, 0)}


async def test_a_late_record_changes_the_day_that_was_closed(booked):
    await advance(booked)
    await SqlBooks(booked).book([call_at(9, BEGIN + 2 * HOUR, customer_account="acme", fee=Decimal("1.00"))])
    await advance(booked)
    by_day = await sums(booked, "customer_account", grouping=Grouping.DAY, measures=("calls", "fee"))
    label = min(key[0] for key in by_day)
    assert by_day[label, "acme"] == (2, Decimal("1.50"))
    assert await differences(booked) == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York"])
async def test_every_division_in_every_zone_has_the_same_totals(booked, zone):
    await advance(booked)
    whole = (await sums(booked))["",]
    for grouping in {*Grouping} - {Grouping.FIVE_MINUTES}:  # which is for other kinds of sums
        divided = await sums(booked, "customer_account", grouping=grouping, zone=zone)
        assert tuple(map(sum, zip(*divided.values(), strict=True))) == whole


async def test_a_day_is_that_of_the_zone(booked):
    await advance(booked)
    by_day = await sums(booked, grouping=Grouping.DAY, zone="Europe/Berlin", measures=("calls",))
    utc = await sums(booked, grouping=Grouping.DAY, measures=("calls",))
    assert by_day != utc, "the call at 23 h UTC is of the next day there"


async def test_a_report_says_from_when_to_when_its_spans_last(database):
    """Each row of an hour counts the calls of its span, also where the clock is put forward by half an hour."""
    shift = 1_791_041_400_000  # 2026-10-03T15:30:00Z
    begins = [shift + quarter * SLOT_MS for quarter in range(-8, 8)]
    await SqlBooks(database).book([call_at(index, begin) for index, begin in enumerate(begins, 1)])
    await advance(database)
    order = ShowReport(name="performance", since=begins[0], until=begins[-1] + HOUR, group="hour", zone=LORD_HOWE)
    sheet = await report_of(SqlStores(database), order, Scope(None), LATER, is_inside=True)
    assert [each.since for each in sheet.spans] == [sheet.since, *(each.until for each in sheet.spans[:-1])]
    assert sheet.spans[-1].until == sheet.until
    moments = [iso_utc(begin) for begin in begins]
    counted = {each.span: sum(each.since <= moment < each.until for moment in moments) for each in sheet.spans}
    assert {row["span"]: row["calls"] for row in sheet.rows} == {
        span: calls for span, calls in counted.items() if calls
    }
    assert {*counted.values()} > {2, 4}, "hours of half the length"


ZONES = [ZoneInfo(name) for name in ("Europe/Berlin", "Asia/Kathmandu", "UTC")]


async def test_days_of_zones_have_sums_that_stay_right(booked):
    """Calls that are late, corrected, or counted anew change the days of zones, too."""
    await advance(booked)
    traffic = SqlTraffic(booked)
    made = 0
    while await traffic.close_zone_day(LATER, ZONES):
        made += 1
    assert made > 60
    assert not await traffic.close_zone_day(LATER, ZONES)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.20"), Decimal(0), 30))
    await SqlCorrections(booked).book([Correction(call_id(1), (change,), "ticket", "ann", "wrong", LATER)])
    await SqlBooks(booked).book([call_at(9, BEGIN + DAY + HOUR, customer_account="acme", fee=Decimal(7))])
    await advance(booked)
    assert await differences(booked) == []
    for zone in ("Europe/Berlin", "Asia/Kathmandu"):
        by_day = await sums(booked, "customer_account", grouping=Grouping.DAY, zone=zone)
        whole = (await sums(booked))["",]
        assert tuple(map(sum, zip(*by_day.values(), strict=True))) == whole
    async with booked.writing() as connection:
        await connection.execute(update(schema.traffic_zone).values(calls=schema.traffic_zone.c.calls + 1))
    wrong = await sums(booked, grouping=Grouping.DAY, zone="Europe/Berlin")
    assert wrong != by_day, "they are read"
    assert {each.measure for each in await differences(booked)} == {"calls"}
    async for _ in traffic.rebuild(
        BEGIN, BEGIN + 2 * DAY + 2 * HOUR
    ):  # until the last day of a zone that has calls ends
        pass
    assert await differences(booked) == []


async def test_masked_numbers_are_not_counted_again(booked):
    await advance(booked)
    query = TrafficQuery(TrafficKind.CALLEES, ("area",), ("calls",))
    spans = [ReportSpan(BEGIN, BEGIN + 3 * DAY, "")]
    before = (await SqlTrafficSums(booked).rows(spans, [query])).rows
    async with booked.writing() as connection:
        await connection.execute(update(schema.cdr).values(callee_in="xxxx", callee_billing="xxxx", caller_in="xxxx"))
    assert {each.key.kind for each in await differences(booked)} == {"callees", "callers"}
    async with booked.writing() as connection:
        await connection.execute(insert(schema.counter).values(name="masked_calls", value=BEGIN + 3 * DAY))
    assert await differences(booked) == []
    async for _ in SqlTraffic(booked).rebuild(BEGIN, BEGIN + 2 * DAY):
        pass
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.20"), Decimal(0), 30))
    await SqlCorrections(booked).book([Correction(call_id(1), (change,), "ticket", "ann", "wrong", LATER)])
    await advance(booked)
    after = (await SqlTrafficSums(booked).rows(spans, [query])).rows
    assert sorted(after[0]) == sorted(before[0])


async def test_sums_of_phones_agree_with_calls_whose_numbers_are_masked(database):
    phones = [answered_call(index, mapping_gateway=name, routing_gateway="7002") for index, name in enumerate(
        ("493077001122", "493077001133", "7001", "7002", "pbx"))]  # fmt: skip
    await SqlBooks(database).book(phones)
    await advance(database)
    assert await differences(database) == []
    async with database.writing() as connection:
        rows = schema.cdr.c
        await connection.execute(
            update(schema.cdr).where(rows.mapping_gateway.startswith("49")).values(mapping_gateway="4930xxxxxxxx")
        )
        await connection.execute(
            update(schema.cdr).where(rows.mapping_gateway.startswith("70")).values(mapping_gateway="xxxx")
        )
        await connection.execute(update(schema.cdr).values(routing_gateway="xxxx"))
        await connection.execute(insert(schema.counter).values(name="masked_calls", value=BEGIN + 3 * DAY))
    assert await differences(database) == []
    async with database.writing() as connection:
        await connection.execute(update(schema.cdr).where(rows.mapping_gateway == "pbx").values(billed_seconds=7))
    assert {each.measure for each in await differences(database)} == {"billed_seconds"}


async def test_a_planted_difference_is_found_and_mended(booked):
    await advance(booked)
    table = schema.traffic
    async with booked.writing() as connection:
        await connection.execute(update(table).where(table.c.slot == (BEGIN + HOUR) // SLOT_MS).values(fee=Decimal(7)))
        await connection.execute(update(schema.traffic_day).values(calls=schema.traffic_day.c.calls + 1))
    found = await differences(booked)
    assert {each.measure for each in found} == {"fee", "calls"}
    assert Decimal(7) in {each.stored for each in found}
    async with aclosing(SqlTraffic(booked).rebuild(BEGIN, BEGIN + 2 * DAY)) as interrupted:
        assert await anext(interrupted) == BEGIN + HOUR
    left = await differences(booked)
    assert len(left) == len(found), "the hour that was made anew had no difference, and no sum of its day was lost"
    ends = [end async for end in SqlTraffic(booked).rebuild(BEGIN, BEGIN + 2 * DAY)]
    assert ends[-1] == BEGIN + 2 * DAY
    assert await differences(booked) == []


async def test_days_without_calls_are_passed_over_and_sums_behind_them_compared(booked):
    far, end = BEGIN + 20 * DAY, BEGIN + 39 * DAY
    await SqlBooks(booked).book([call_at(9, far + HOUR), call_at(10, end - HOUR)])
    await advance(booked)
    statements, asked = [], []
    assert await differences(booked, until=far) == []  # the session has the level of reads from now on
    event.listen(booked.engine.sync_engine, "before_cursor_execute", lambda *_: statements.append(1))
    for until in (far + 3 * DAY, end - DAY):
        assert await differences(booked, until=until) == []
        asked.append(len(statements))
        statements.clear()
    assert asked[0] == asked[1]
    days, is_far = schema.traffic_day, schema.traffic_day.c.slot == far // SLOT_MS
    async with booked.writing() as connection:
        await connection.execute(update(days).where(is_far).values(calls=days.c.calls + 1))
    assert {each.slot * SLOT_MS for each in await differences(booked, until=end)} == {far}
    async with booked.writing() as connection:
        await connection.execute(update(days).where(is_far).values(slot=days.c.slot + 9 * DAY // SLOT_MS))
    found = [each for each in await differences(booked, until=end) if each.measure == "calls"]
    assert {each.slot * SLOT_MS: each.stored > 0 for each in found} == {far: False, far + 9 * DAY: True}


async def test_agents_attempts_and_waits_are_counted_beside_the_calls(database):
    plain = answered_call(1, customer_account="acme", vendor_account="carrier", fee=Decimal(1), cost=Decimal("0.3"))
    charges = (plain.charges[0], charge_row("reseller", AGENT, 1, Decimal("0.4")), plain.charges[1])
    beside = Attempt("beside", 0, 3_000, 100, ANSWERED_ELSEWHERE)
    attempts = (Attempt("first", 503, 900, None, "Unavailable"), beside, Attempt("second", 200, 4_000, 940, "Normal"))
    terms = {"customer_account": "acme", "vendor_account": "carrier", "fee": Decimal(1), "cost": Decimal("0.3")}
    await SqlBooks(database).book([answered_call(1, charges=charges, attempts=attempts, **terms)])
    await advance(database)
    whole = {"since": BEGIN, "until": BEGIN + DAY}
    assert await sums(database, "party", kind=TrafficKind.AGENT, measures=("calls", "fee"), **whole) == {
        ("", "reseller"): (1, Decimal("0.4"))
    }
    tried = await sums(
        database, "routing_gateway", kind=TrafficKind.ATTEMPT, measures=("calls", "answered", "failed_over"), **whole
    )
    assert tried == {("", "first"): (1, 0, 1), ("", "beside"): (1, 0, 0), ("", "second"): (1, 1, 0)}
    waits = await sums(database, "wait_ms", kind=TrafficKind.WAIT, measures=("calls",), **whole)
    assert waits == {("", 900): (1,)}
    assert await sums(database, measures=("income", REACHED), **whole) == {("",): (Decimal("0.4"), 1)}


async def test_many_calls_are_added_in_several_transactions(database):
    await SqlBooks(database).book([answered_call(index) for index in range(1, AT_ONCE + 3)])
    traffic = SqlTraffic(database)
    assert [await traffic.advance() for _ in range(3)] == [AT_ONCE, 2, 0]
    assert await traffic.behind() == (0, 0)
    assert await differences(database) == []


async def test_a_report_counts_the_calls_of_its_time_that_are_not_added_up_and_no_numbers_of_commits(booked):
    cdr = schema.cdr.c
    async with booked.writing() as connection:
        first = cdr.started_at == BEGIN + HOUR
        await connection.execute(update(schema.cdr).where(first).values(export_seq=cdr.export_seq + 50))
    for since, calls in ((BEGIN, 3), (BEGIN + DAY, 1), (BEGIN + 2 * DAY, 0)):
        order = ShowReport(name="performance", since=since, until=since + DAY, group="whole")
        sheet = await report_of(SqlStores(booked), order, Scope(None), LATER, is_inside=True)
        assert (sheet.missing, sheet.missing_in_replica) == (calls, 0)


async def test_of_many_calls_that_are_not_added_up_their_numbers_are_counted_and_not_the_calls(booked, monkeypatch):
    traffic = SqlTraffic(booked)
    counted = await traffic.behind(since=BEGIN + 2 * DAY)
    monkeypatch.setattr("vosd.storage.traffic.COUNTED_NUMBERS", 1)
    numbers = await traffic.behind(since=BEGIN + 2 * DAY)
    assert (counted.calls, numbers.calls >= 4) == (0, True)


@pytest.mark.parametrize("is_exact", [False, True])
async def test_calls_that_are_added_up_while_a_report_is_made_are_none_that_a_replica_lacks(
    booked, monkeypatch, is_exact
):
    await advance(booked)
    rows = SqlTrafficSums.rows

    async def rows_and_more_calls(self, *query):
        read = await rows(self, *query)
        await SqlBooks(booked).book([call_at(11, BEGIN + HOUR)])
        await advance(booked)
        return read

    monkeypatch.setattr(SqlTrafficSums, "rows", rows_and_more_calls)
    order = ShowReport(name="performance", since=BEGIN, until=BEGIN + 3 * DAY, group="whole")
    sheet = await report_of(SqlStores(booked), order, Scope(None), LATER, is_inside=True, is_exact=is_exact)
    assert sheet.missing >= 1
    assert sheet.missing_in_replica == 0


def attempts_at(moment: int, **common):
    key = TrafficKey(TrafficKind.NO_CDR, **{"customer_account": "acme", "end_reason": "Busy", **common})
    return AttemptCount(moment // SLOT_MS, key, 3, 1)


async def test_attempts_without_cdr_are_written_once_and_stay_through_checks_and_rebuilding(booked):
    await advance(booked)
    traffic = SqlTraffic(booked)
    # The second is of a day without any call with a CDR, the third comes before the sums of its day.
    moments = (BEGIN + HOUR, BEGIN + 3 * DAY, BEGIN + 2 * DAY + HOUR)
    some = LiveCounts(77, tuple(map(attempts_at, moments)))
    await traffic.add_live(some)
    await traffic.add_live(some)
    await traffic.close_day(LATER)
    await traffic.add_live(LiveCounts(78, (attempts_at(moments[0], end_reason="Cancelled"),)))
    while await traffic.close_day(LATER):
        pass
    whole = {"since": BEGIN, "until": BEGIN + 10 * DAY}
    wanted = {"kind": TrafficKind.NO_CDR, "measures": ("calls", "answered", REACHED), **whole}
    assert await sums(booked, **wanted) == {("",): (12, 4, 10)}
    assert sum(values[0] for values in (await sums(booked, grouping=Grouping.DAY, **wanted)).values()) == 12
    assert await differences(booked) == []
    async for _ in traffic.rebuild(BEGIN, BEGIN + 3 * DAY + HOUR):
        pass
    assert await sums(booked, **wanted) == {("",): (12, 4, 10)}


async def test_a_peak_is_the_highest_of_its_span(database):
    traffic, slot = SqlTraffic(database), BEGIN // SLOT_MS
    for number, (behind, concurrent, per_second) in enumerate([(0, 5, 2), (0, 3, 4), (1, 9, 1), (96, 2, 2)], 1):
        peak = TrafficPeak(slot + behind, PeakSide.ROUTING, "telco", concurrent, per_second)
        other = TrafficPeak(slot, PeakSide.MAPPING, "telco", 90, 90)
        await traffic.add_live(LiveCounts(number, (), (peak, other)))
    spans = spans_of(BEGIN, BEGIN + 2 * DAY, Grouping.DAY, ZoneInfo("UTC"))
    found = await SqlTrafficSums(database).peaks(spans, PeakSide.ROUTING)
    assert sorted(found) == [(0, "telco", 9, 4), (1, "telco", 2, 2)]
