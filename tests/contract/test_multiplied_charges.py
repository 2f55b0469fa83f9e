"""A call whose prices a period has multiplied, to more decimals than a column has: booked, kept and computed again."""

from decimal import Decimal

import msgspec
from doubles.data.builders import applied_rate, rating_policy
from doubles.data.records import call_id
from doubles.ended_calls import ended_call, open_call
from doubles.recomputed import recompute

from vosd.billing.parties import CallSide, Party
from vosd.billing.period_rates import Period, PeriodTable
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.open_call import OpenCall
from vosd.cdr.record import CUSTOMER
from vosd.storage.books import SqlBooks
from vosd.storage.queries import charges_beginning
from vosd.storage.verify import verify_ledger

TWO_HOURS_MS = 7_200_000


def in_period(price: str, multiplier: str, fee_precision: int = 6, **terms: str) -> AppliedRate:
    """Return the rate of a period that multiplies those of its group."""
    rate = applied_rate(price, **terms).rate
    policy = rating_policy(fee_precision=fee_precision)
    periods = PeriodTable("tariff")
    group = RateGroup("sell", "USD", policy, RateRows([rate], "1"), "1")
    periods.add(Period("weekend", multiplier=Decimal(multiplier)), None, group)
    applied = periods.find(rate.prefix, 0)
    assert applied is not None
    return applied


SELL = in_period("0.012345", "0.333")
AGENTS = (
    Party("reseller", CallSide.AGENT, 1, in_period("0.01", "0.12345678", 8, sections="0.00000001@60;0.00012345@90")),
)
YEN = msgspec.structs.replace(in_period("0.00312345", "0.90000001", 4), exchange_rate=Decimal("156.789"), paid_in="JPY")


async def test_the_fee_has_all_digits_of_the_price_and_its_column_the_first_eight(store):
    await store.books.book([ended_call(1, SELL, YEN, AGENTS, held_ms=TWO_HOURS_MS)])
    stored = await store.queries.call(call_id(1))
    assert stored is not None
    record = stored.record
    assert [(each.unit_price, each.fee) for each in record.charges] == [
        (Decimal("0.00411089"), Decimal("0.493306")),  # 120 times 0.004110885
        (Decimal("0.00123457"), Decimal("0.14631153")),  # 0.000015240739491 and 118.5 times 0.0012345678
        (Decimal("0.00281111"), Decimal("52.8900")),  # 120 times 0.0028111050312345 times 156.789
    ]
    kept = msgspec.json.decode(record.fee_breakdown)
    assert kept["customer"][0]["billing_rate"] == "0.004110885"
    agent = msgspec.json.decode(record.charges[1].breakdown or "")
    for steps, charge in zip((kept["customer"], agent, kept["vendor"]), record.charges, strict=True):
        again = recompute(steps)
        assert (again.fee, again.tax, again.billed_seconds) == (charge.fee, charge.tax, charge.billed_seconds)


async def test_a_call_without_cdr_computes_again_from_the_steps_of_its_charges(database):
    await SqlBooks(database).book([ended_call(1, SELL, YEN, AGENTS, held_ms=TWO_HOURS_MS, recorded=False)])
    assert (await verify_ledger(database)).differences == ()
    stored = (await charges_beginning(database, call_id(1), 1))[call_id(1)]
    assert [recompute(msgspec.json.decode(each.breakdown or "")).fee for each in stored] == [
        each.fee for each in stored
    ]
    assert [each.fee for each in stored] == [Decimal("0.493306"), Decimal("0.14631153"), Decimal("52.8900")]


def test_a_running_call_is_read_from_the_journal_with_every_digit():
    call = open_call(1, SELL, YEN, AGENTS)
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(call), type=OpenCall) == call


def test_a_call_that_an_earlier_version_has_priced_computes_again_as_it_was_booked():
    """It multiplied to eight decimals, and its breakdown has that price."""
    earlier = msgspec.structs.replace(SELL, rate=msgspec.structs.replace(SELL.rate, billing_rate=Decimal("0.00411089")))
    record = ended_call(1, earlier, None, held_ms=TWO_HOURS_MS)
    assert [(each.role, each.unit_price) for each in record.charges] == [(CUSTOMER, Decimal("0.00411089"))]
    assert recompute(msgspec.json.decode(record.fee_breakdown)["customer"]).fee == record.fee == Decimal("0.493307")
