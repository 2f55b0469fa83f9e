"""A call of which everyone pays in another currency: booked, kept and verified, over memory, SQLite and MariaDB."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import applied_rate, rating_policy
from doubles.data.records import call_id
from doubles.ended_calls import ended_call
from doubles.recomputed import recompute

from vosd.billing.parties import CallSide, Party
from vosd.billing.rater import tax_by
from vosd.billing.rates import AppliedRate
from vosd.cdr.ports import RejectedRecords
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.storage.books import SqlBooks
from vosd.storage.verify import verify_ledger


def in_currency(currency: str, exchange_rate: str, fee_precision: int, price: str, tax_rate: str = "0") -> AppliedRate:
    rate = applied_rate(price, tax_rate=tax_rate, policy=rating_policy(fee_precision=fee_precision))
    return msgspec.structs.replace(rate, exchange_rate=Decimal(exchange_rate), paid_in=currency)


SELL = in_currency("EUR", "0.9215", 2, "0.60", "19")
AGENTS = (Party("reseller", CallSide.AGENT, 1, in_currency("KWD", "0.3068", 3, "0.50")),)
BUY = in_currency("JPY", "156.7", 0, "0.30")
CALL = ended_call(1, SELL, BUY, AGENTS, held_ms=61_000)


async def test_every_charge_is_in_the_currency_of_its_account_and_computes_again(store):
    standings = (await store.books.book([CALL])).standings
    stored = await store.queries.call(call_id(1))
    assert stored is not None
    record = stored.record
    assert (record.fee, record.tax, record.currency) == (Decimal("0.56"), Decimal("0.11"), "EUR")
    assert (record.cost, record.vendor_currency) == (Decimal(48), "JPY")
    assert [(each.role, each.fee, each.currency) for each in record.charges] == [
        (CUSTOMER, Decimal("0.56"), "EUR"),
        (AGENT, Decimal("0.156"), "KWD"),
        (VENDOR, Decimal(48), "JPY"),
    ]
    kept = msgspec.json.decode(record.fee_breakdown)
    agent = msgspec.json.decode(record.charges[1].breakdown or "")
    for steps, charge in zip((kept["customer"], agent, kept["vendor"]), record.charges, strict=True):
        again = recompute(steps)
        assert (again.fee, again.tax, again.billed_seconds) == (charge.fee, charge.tax, charge.billed_seconds)
    assert tax_by(kept["customer"], Decimal("1.00")) == Decimal("0.19"), "what a correction adds"
    assert await store.books.currencies(["reseller"]) == {"reseller": "KWD"}
    assert standings["reseller"].balance == Decimal("-0.156")


async def test_the_audit_agrees(database):
    await SqlBooks(database).book([CALL])
    result = await verify_ledger(database)
    assert (result.differences, result.calls) == ((), 1)


async def test_the_money_of_an_account_in_the_currency_of_the_rate_takes_no_converted_charge(store):
    await store.books.settle_currencies({"reseller": "USD"})
    await store.books.book([ended_call(2, None, None, (Party("reseller", CallSide.AGENT, 1, applied_rate("0.5")),))])
    with pytest.raises(RejectedRecords):
        await store.books.book([CALL])
