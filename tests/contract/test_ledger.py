"""Reading the ledger: entries in the order of booking, and the sums of a time, over SQLite and MariaDB."""

from contextlib import aclosing
from decimal import Decimal

import pytest

from vosd.storage import ledger
from vosd.storage.books import SqlBooks
from vosd.storage.ledger import EntryFilter, Movement, SqlLedger, Statement
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.testing.data.records import STARTED, answered_call, call_id

DAY_MS = 86_400_000
FEE, COST = Decimal("0.012345"), Decimal("0.009876")


async def pay(database, amount, reference, made_at, **changes):
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "operator": "ann"} | changes
    await SqlPayments(database).add(Payment(reference=reference, made_at=made_at, amount=Decimal(amount), **fields))


@pytest.fixture
async def booked(database):
    """A payment on the first day, three calls on the second, a payment and an adjustment on the third."""
    await pay(database, "10", "p1", STARTED)
    calls = [
        answered_call(index, customer_account="acme", vendor_account="carrier", ended_at=STARTED + DAY_MS + index)
        for index in range(3)
    ]
    await SqlBooks(database).book(calls)
    await pay(database, "5", "p2", STARTED + 2 * DAY_MS, memo="wire")
    await pay(database, "-1", "a1", STARTED + 2 * DAY_MS, kind=EntryKind.ADJUSTMENT, operator="bob")
    return database


async def listed(database, **criteria):
    async with aclosing(SqlLedger(database).entries(EntryFilter(**criteria))) as entries:
        return [entry async for entry in entries]


async def test_the_entries_of_an_account_are_listed_as_they_were_booked(booked):
    found = await listed(booked, account="acme")
    assert [each.seq for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each.kind for each in found] == ["payment", "call", "call", "call", "payment", "adjustment"]
    assert [each.balance_after for each in found][-1] == 14 - 3 * FEE
    assert (found[1].amount, found[1].call_id, found[1].created_at) == (-FEE, call_id(0), STARTED + DAY_MS)
    assert (found[4].operator, found[4].memo, found[4].currency) == ("ann", "wire", None)


async def test_without_account_those_of_all_are_listed_in_the_order_of_booking(booked):
    found = await listed(booked)
    assert len(found) == 9
    assert [each.id for each in found] == sorted(each.id for each in found)
    assert {each.account for each in found} == {"acme", "carrier"}


async def test_pages_join_without_gap_and_repetition(booked, monkeypatch):
    whole = await listed(booked, account="acme"), await listed(booked)
    for size in (1, 2, 3):
        monkeypatch.setattr(ledger, "ENTRIES_AT_ONCE", size)
        assert (await listed(booked, account="acme"), await listed(booked)) == whole


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"since": STARTED + DAY_MS}, [2, 3, 4, 5, 6]),
        ({"until": STARTED + DAY_MS}, [1]),
        ({"since": STARTED + DAY_MS + 1, "until": STARTED + DAY_MS + 2}, [3]),
        ({"kinds": ("payment", "adjustment")}, [1, 5, 6]),
        ({"operator": "bob"}, [6]),
        ({"operator": "bob\udcff"}, []),
    ],
)
async def test_each_criterion_selects(booked, criteria, found):
    assert [each.seq for each in await listed(booked, account="acme", **criteria)] == found


async def test_a_statement_has_the_balance_before_the_sums_by_kind_and_the_balance_after(booked):
    entries = SqlLedger(booked)
    assert await entries.statement("acme", STARTED + DAY_MS, STARTED + 2 * DAY_MS) == Statement(
        Decimal(10), (Movement("call", 3, -3 * FEE),), 10 - 3 * FEE
    )
    assert await entries.statement("acme", STARTED + 2 * DAY_MS, STARTED + 3 * DAY_MS) == Statement(
        10 - 3 * FEE,
        (Movement("adjustment", 1, Decimal(-1)), Movement("payment", 1, Decimal(5))),
        14 - 3 * FEE,
    )
    assert await entries.statement("carrier", STARTED, STARTED + 9 * DAY_MS) == Statement(
        Decimal(0), (Movement("call", 3, -3 * COST),), -3 * COST
    )
    assert await entries.statement("idle", STARTED, STARTED + DAY_MS) == Statement(Decimal(0), (), Decimal(0))
