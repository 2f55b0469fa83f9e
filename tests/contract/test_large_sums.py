"""Sums of amounts that fit in no int64, over SQLite and MariaDB: each amount fits, the sum of a day is larger."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.data.records import STARTED, answered_call, call_id
from sqlalchemy import select, text, update

from vosd.billing.destination_past import Span
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import CUSTOMER
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.consumption import SqlConsumption
from vosd.storage.corrections import SqlCorrections
from vosd.storage.daily_totals import NEEDED, SqlDailyTotals, add_calls
from vosd.storage.destination_past import SqlDestinationPast
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.invoice_sums import read_invoiced
from vosd.storage.ledger import SqlLedger
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.profit import Profit, profit_of
from vosd.storage.sums import fitting_sum, money_sum
from vosd.storage.traffic import SqlTraffic
from vosd.storage.traffic_sums import SqlTrafficSums, TrafficQuery
from vosd.storage.verify import verify_ledger
from vosd.traffic.counted import TrafficKind
from vosd.traffic.spans import Grouping, spans_of

LARGE = Decimal("90000000000.00000001")
TAX = Decimal("2000000000.5")
DAY = 86_400_000
BEGIN = STARTED // DAY * DAY
END = BEGIN + 3 * DAY


async def pay(database, amount, reference):
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "made_at": STARTED}
    await SqlPayments(database).add(Payment(amount=amount, reference=reference, **fields))


@pytest.fixture
async def booked(database):
    """Three calls of a quarter of an hour, each for the largest price, and the payments that paid them."""
    for number in range(3):
        await pay(database, LARGE + TAX, f"bank/{number}")
        call = answered_call(number, customer_account="acme", vendor_account="carrier", fee=LARGE, tax=TAX)
        await SqlBooks(database).book([call])
    return database


async def add_up(database):
    traffic = SqlTraffic(database)
    while await traffic.advance():
        pass
    while await traffic.close_day(BEGIN + 40 * DAY):
        pass
    while await traffic.close_zone_day(BEGIN + 40 * DAY, [ZoneInfo("Asia/Shanghai")]):
        pass
    return traffic


async def reported(database, since=BEGIN, until=END, zone="UTC"):
    """Return the sums of fees and taxes of a span by account."""
    spans = spans_of(since, until, Grouping.WHOLE, ZoneInfo(zone))
    query = TrafficQuery(TrafficKind.CALL, ("customer_account",), ("calls", "fee", "tax"))
    (rows,) = (await SqlTrafficSums(database).rows(spans, [query])).rows
    return {row.by[0]: row.sums for row in rows}


async def differences(traffic):
    return [each async for each in traffic.differences(BEGIN, END)]


async def test_reports_add_up_any_sum_and_count_the_calls_behind_it(booked):
    traffic = await add_up(booked)
    assert await reported(booked) == {"acme": (3, 3 * LARGE, 3 * TAX)}
    begin = STARTED - STARTED % 900_000
    assert await reported(booked, begin, begin + 900_000) == {"acme": (3, 3 * LARGE, 3 * TAX)}
    small = answered_call(7, customer_account="acme", vendor_account="carrier", fee=Decimal("0.00000001"))
    await SqlBooks(booked).book([small])
    assert await traffic.advance() == 1, "a call of a day that has its sum"
    assert (await reported(booked))["acme"] == (4, 3 * LARGE + Decimal("0.00000001"), 3 * TAX)
    assert await differences(traffic) == []
    [done async for done in traffic.rebuild(BEGIN, END)]
    assert (await reported(booked))["acme"] == (4, 3 * LARGE + Decimal("0.00000001"), 3 * TAX)
    assert await differences(traffic) == []


async def test_sums_of_many_days_are_added_up_by_their_parts(booked):
    await add_up(booked)
    assert await reported(booked, BEGIN - 40 * DAY, BEGIN + 40 * DAY) == {"acme": (3, 3 * LARGE, 3 * TAX)}
    assert await reported(booked, BEGIN - 8 * 3_600_000, END, "Asia/Shanghai") == {"acme": (3, 3 * LARGE, 3 * TAX)}


async def test_a_sum_that_was_large_is_a_number_again_when_its_calls_are_corrected(booked):
    traffic = await add_up(booked)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.20"), Decimal(0), 30))
    for number in range(3):
        await pay(booked, -LARGE, f"back/{number}")  # else the balance would not fit
        await SqlCorrections(booked).book([Correction(call_id(number), (change,), f"t{number}", "ann", "", END)])
    while await traffic.advance():
        pass
    assert await reported(booked) == {"acme": (3, Decimal("0.60"), Decimal(0))}
    assert await differences(traffic) == []
    if booked.is_sqlite:
        async with booked.reading() as connection:
            kinds = "SELECT DISTINCT typeof(fee) FROM traffic UNION SELECT DISTINCT typeof(fee) FROM traffic_day"
            assert [*await connection.scalars(text(kinds))] == ["integer"]


async def test_the_books_and_their_audit_have_any_sum(booked):
    ledger = SqlLedger(booked)
    statement = await ledger.statement("acme", BEGIN, END)
    assert {each.kind: each.amount for each in statement.movements} == {
        "call": -3 * (LARGE + TAX),
        "payment": 3 * (LARGE + TAX),
    }
    assert statement.closing == 0
    assert [each.amount for each in await ledger.by_kind(BEGIN, [END], None, 1)] == [3 * (LARGE + TAX)]
    [profit] = await profit_of(booked, BEGIN, END)
    assert profit == Profit("USD", 3, 3 * LARGE, Decimal("0.029628"))
    assert await SqlConsumption(booked).consumed("acme", [CUSTOMER], BEGIN, END) == 3 * LARGE
    audit = await verify_ledger(booked)
    assert not audit.differences
    [past] = await SqlDestinationPast(booked).begun_in("acme", [Span(BEGIN, END)], 4)
    assert past.usage.spend == 3 * (LARGE + TAX)


async def test_an_audit_finds_a_difference_in_large_amounts(booked):
    async with booked.writing() as connection:
        own = schema.cdr_charge.c.call_id == call_id(0), schema.cdr_charge.c.role == CUSTOMER
        await connection.execute(update(schema.cdr_charge).where(*own).values(fee=LARGE - Decimal("0.00000001")))
    assert (await verify_ledger(booked)).differences


async def test_an_invoice_has_sums_of_any_size(booked):
    invoiced = await read_invoiced(booked, "acme", BEGIN, END, ZoneInfo("UTC"), None, None)
    assert [each.net for each in invoiced.part.charged] == [3 * LARGE]
    assert [each.tax for each in invoiced.part.charged] == [3 * TAX]
    assert invoiced.part.total == 0


async def test_totals_of_dropped_calls_have_any_sum(booked):
    for _ in range(2):  # new lines, then lines that are there
        async with booked.writing() as connection:
            await add_calls(connection, (await connection.execute(select(*NEEDED))).all())
    [line] = await SqlDailyTotals(booked).lines("2000-01-01", "2100-01-01", by_month=True)
    assert (line.calls, line.fee, line.tax) == (6, 6 * LARGE, 6 * TAX)


async def test_a_sum_in_two_parts_is_exact_on_either_side_of_an_int64(database):
    charge = schema.cdr_charge.c
    largest = Decimal("92233720368.54775807")
    for index, amount in enumerate((largest, Decimal("0.00000001"), -largest, -largest, Decimal("-0.00000002"))):
        call = answered_call(index, customer_account="acme", fee=amount, tax=Decimal(0))
        await SqlBooks(database).book([msgspec.structs.replace(call, postings=())])
        async with database.reading() as connection:
            of_customers = charge.role == CUSTOMER
            for total in (money_sum(charge.fee), fitting_sum(charge.fee)):
                found = await connection.scalar(select(total).where(of_customers))
                expected = sum(await connection.scalars(select(charge.fee).where(of_customers)))
                assert found == expected
            differs = select(charge.role).where(of_customers).group_by(charge.role)
            assert (await connection.scalar(differs.having(fitting_sum(charge.fee) != Decimal(0)))) == CUSTOMER
            assert await connection.scalar(select(money_sum(charge.fee)).where(charge.role == "none")) is None


async def test_a_sum_of_more_than_twelve_digits_is_refused_by_either_database(database):
    values = {"day": "2026-01-01", "calls": 1, "answered": 1, "billed_seconds": 1, "vendor_billed_seconds": 1}
    values |= {column.name: "" for column in schema.daily_total.primary_key if column.name != "day"}
    amounts = dict.fromkeys(("fee", "tax", "cost", "cost_tax"), Decimal("999999999999.99999999"))
    async with database.writing() as connection:
        await connection.execute(schema.daily_total.insert().values(**values, **amounts))
    larger = {**values, "day": "2026-01-02", **amounts, "fee": Decimal(1_000_000_000_000)}
    with pytest.raises(ContentRefused):
        async with database.writing() as connection:
            await connection.execute(schema.daily_total.insert().values(**larger))
    [line] = await SqlDailyTotals(database).lines("2000-01-01", "2100-01-01", by_month=True)
    assert line.fee == amounts["fee"]
