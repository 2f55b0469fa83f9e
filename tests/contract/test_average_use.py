"""Money that is low by hours of average use: the use is that of the sums for reports, whatever calls were dropped."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call, charge_row
from sqlalchemy import delete

from vosd.base.money import ZERO
from vosd.billing.accounts import Account, AccountType
from vosd.cdr.record import AGENT, CallRecord, Posting
from vosd.daemon.average_use import AverageUse
from vosd.engine.booking.balances import Balances
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.traffic import DAY_CLOSED_MS, SqlTraffic

DAY = 86_400_000
TODAY = STARTED // DAY * DAY + 30 * DAY
ACCOUNTS = {
    each.id: each
    for each in (
        account("acme", balance_low_hours=24),
        account("south", balance_low_hours=10),
        account("new", balance_low_hours=24, balance_low=Decimal(3)),
        account("idle", balance_low_hours=24, balance_low=Decimal(3)),
        account("plain", balance_low=Decimal(3)),
        account("carrier", type=AccountType.CLEARING, balance_low_hours=24),
    )
}


def call_on(day: int, index: int, customer: str, fee: str, **changes: object) -> CallRecord:
    """Return a call of so many days before today."""
    plain = answered_call(index, customer_account=customer, vendor_account="carrier", fee=Decimal(fee), **changes)
    shift = TODAY - day * DAY - plain.started_at
    times = ("started_at", "ringing_at", "answered_at", "ended_at")
    return msgspec.structs.replace(plain, **{each: getattr(plain, each) + shift for each in times})


def paid_by_an_agent(call: CallRecord, amount: str) -> CallRecord:
    fee = Decimal(amount)
    charges = (call.charges[0], charge_row("south", AGENT, 1, fee), call.charges[1])
    return msgspec.structs.replace(
        call, charges=charges, postings=(*call.postings, Posting("south", -fee, f"{call.call_id}/agent1", "USD"))
    )


@pytest.fixture
async def used(database: Database) -> Database:
    """A week of calls: before it, on its first and last day, and today."""
    cost = Decimal(0)
    await SqlBooks(database).book([
        call_on(8, 1, "acme", "900", cost=cost),
        paid_by_an_agent(call_on(7, 2, "acme", "10", tax=Decimal(4), cost=cost), "8.40"),
        call_on(1, 3, "acme", "28", cost=cost),
        call_on(2, 4, "new", "4.80", cost=Decimal(6), cost_tax=Decimal("1.20")),
        call_on(0, 5, "acme", "700", cost=cost),
    ])  # fmt: skip
    traffic = SqlTraffic(database)
    while await traffic.advance():
        pass
    while await traffic.close_day(TODAY + DAY_CLOSED_MS):
        pass
    return database


async def lows(database: Database, accounts: Mapping[str, Account] = ACCOUNTS) -> dict[str, Decimal | None]:
    """Return below what the accounts of a switch are low that has just begun."""
    balances = Balances(SqlBooks(database))
    await balances.adopt(accounts)
    await AverageUse(balances, lambda: accounts, database).read()
    return {name: balances.credits[name].low_below for name in accounts}


EXPECTED = {
    "acme": Decimal("6.00"),  # 42 in 168 hours, with tax
    "south": Decimal("0.50"),
    "new": Decimal(3),  # 2.40 a day since two days ago
    "idle": Decimal(3),
    "plain": Decimal(3),
    "carrier": Decimal("3.60"),
}


async def test_less_than_so_many_hours_of_the_past_week_cost_is_low(used: Database) -> None:
    assert await lows(used) == EXPECTED


async def test_use_is_known_also_where_its_calls_and_entries_were_dropped(used: Database) -> None:
    async with used.writing() as connection:
        for table in (schema.cdr_attempt, schema.cdr_charge, schema.cdr, schema.ledger_entry):
            await connection.execute(delete(table))
    assert await lows(used) == EXPECTED


async def test_money_in_another_currency_than_that_of_the_account_does_not_count(used: Database) -> None:
    async with used.writing() as connection:
        for table in (schema.cdr_charge, schema.ledger_entry):
            await connection.execute(delete(table))
        await connection.execute(schema.account.update().values(currency=None, seq=0))
    euros = {"acme": msgspec.structs.replace(ACCOUNTS["acme"], currency="EUR")}
    assert await lows(used, euros) == {"acme": None}


async def test_of_the_money_of_two_currencies_that_of_the_account_counts(used: Database) -> None:
    key = schema.traffic_key
    async with used.writing() as connection:
        in_euros = {"customer_account": "acme", "currency": "EUR"}
        await connection.execute(key.update().where(key.c.customer_account == "new").values(in_euros))
    assert (await lows(used))["acme"] == EXPECTED["acme"]


async def test_use_is_read_once_for_each_day_that_is_added_up(used: Database) -> None:
    accounts = {"acme": ACCOUNTS["acme"], "late": account("late")}
    balances = Balances(SqlBooks(used))
    await balances.adopt(accounts)
    credit, use = balances.credits["acme"], AverageUse(balances, lambda: accounts, used)
    assert (credit.awaits_use, credit.is_low) == (True, False)
    read = []
    for is_over in (False, False, True):
        while is_over and await SqlTraffic(used).close_day(TODAY + DAY + DAY_CLOSED_MS + 1):
            pass
        credit.set_use(ZERO)
        await use.read()
        read.append(credit.low_below)
    assert read == [Decimal("6.00"), None, Decimal("364.00")], "728 in 48 hours: a week ago no more"
    accounts["late"] = msgspec.structs.replace(accounts["late"], balance_low_hours=24)
    await use.read()
    assert not balances.credits["late"].awaits_use
