"""What calls cost in a time, from the charges and, for older calls, from the CDRs."""

from decimal import Decimal

import pytest
from doubles.data.records import STARTED, answered_call, call_id
from sqlalchemy import delete

from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.storage import consumption, schema
from vosd.storage.books import SqlBooks
from vosd.storage.consumption import SqlConsumption
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database_clock import time_of
from vosd.storage.stored_objects import SqlObjects

DAY_MS = 86_400_000
FEE, COST = Decimal("0.25"), Decimal("0.10")
BUYER = (CUSTOMER, AGENT)


@pytest.fixture
async def consumed(database):
    """Seven calls of a day, of which one left no CDR, and one of the next day."""
    parties = {"customer_account": "acme", "vendor_account": "carrier", "fee": FEE, "cost": COST, "tax": Decimal(1)}
    calls = [answered_call(index, **parties, ended_at=STARTED + index) for index in range(6)]
    unrecorded = answered_call(6, **parties, ended_at=STARTED + 6, recorded=False)
    await SqlBooks(database).book([*calls, unrecorded, answered_call(7, **parties, ended_at=STARTED + DAY_MS)])
    return database


async def test_fees_without_tax_of_the_calls_that_ended_in_the_time_are_added_up(consumed, monkeypatch):
    read = SqlConsumption(consumed)
    for size in (5_000, 2):
        monkeypatch.setattr(consumption, "_ENTRIES_AT_ONCE", size)
        assert await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 7 * FEE
        assert await read.consumed("acme", BUYER, STARTED + 1, STARTED + 3) == 2 * FEE
        assert await read.consumed("carrier", (VENDOR,), STARTED, STARTED + 2 * DAY_MS) == 8 * COST
        assert await read.consumed("idle", BUYER, STARTED, STARTED + DAY_MS) == 0


async def test_a_role_that_the_account_does_not_have_counts_nothing(consumed):
    assert await SqlConsumption(consumed).consumed("carrier", BUYER, STARTED, STARTED + DAY_MS) == 0


async def test_a_call_of_an_account_that_is_its_own_vendor_counts_once_wherever_pages_end(database, monkeypatch):
    parties = {"customer_account": "acme", "vendor_account": "acme", "fee": FEE, "cost": COST}
    await SqlBooks(database).book([answered_call(index, **parties, ended_at=STARTED + index) for index in range(3)])
    monkeypatch.setattr(consumption, "_ENTRIES_AT_ONCE", 1)
    assert await SqlConsumption(database).consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 3 * FEE
    assert await SqlConsumption(database).consumed("acme", (VENDOR,), STARTED, STARTED + DAY_MS) == 3 * COST


async def test_calls_without_charges_count_by_their_cdr(consumed):
    async with consumed.writing() as connection:
        of_two = schema.cdr_charge.c.call_id.in_([call_id(1), call_id(2)])
        await connection.execute(delete(schema.cdr_charge).where(of_two))
    read = SqlConsumption(consumed)
    assert await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 7 * FEE
    assert await read.consumed("carrier", (VENDOR,), STARTED, STARTED + DAY_MS) == 7 * COST


async def test_a_call_counts_as_it_was_corrected_also_where_it_had_been_free(database, monkeypatch):
    """A call without a charge has no entry of its own in the ledger."""
    parties = {"customer_account": "acme", "vendor_account": "carrier", "tax": Decimal(0)}
    fees = dict.fromkeys(range(4), FEE) | dict.fromkeys(range(4, 7), Decimal(0))
    await SqlBooks(database).book(
        [answered_call(index, **parties, fee=fee, ended_at=STARTED + index) for index, fee in fees.items()]
    )
    later = answered_call(7, **parties, fee=Decimal(0), ended_at=STARTED + DAY_MS)  # its INVITE came the day before
    await SqlBooks(database).book([later])
    corrections = SqlCorrections(database)
    for index, reference, fee in (
        (0, "dearer", 1),
        (4, "first", 3),
        (4, "second", 5),
        (5, "free again", 5),
        (5, "free", 0),
        (7, "next day", 7),
    ):
        change = ChargeChange(CUSTOMER, 0, Amounts(Decimal(fee), Decimal(0), 60))
        made = Correction(call_id(index), (change,), reference, "ann", "was free", STARTED + 2 * DAY_MS)
        await corrections.book([made])
    cost = ChargeChange(VENDOR, 0, Amounts(Decimal(9), Decimal(0), 60))
    await corrections.book([Correction(call_id(6), (cost,), "invoice", "ann", "invoice", STARTED + 2 * DAY_MS)])
    read = SqlConsumption(database)
    for size in (5_000, 1):
        monkeypatch.setattr(consumption, "_ENTRIES_AT_ONCE", size)
        assert await read.consumed("acme", BUYER, STARTED, STARTED + DAY_MS) == 3 * FEE + 1 + 5
        assert await read.consumed("acme", BUYER, STARTED + DAY_MS, STARTED + 2 * DAY_MS) == 7
        assert await read.consumed("acme", (VENDOR,), STARTED, STARTED + DAY_MS) == 0


async def test_an_account_has_begun_with_its_first_entry(consumed):
    read = SqlConsumption(consumed)
    assert await read.has_begun("acme", STARTED + 1)
    assert not await read.has_begun("acme", STARTED)
    assert not await read.has_begun("idle", STARTED + DAY_MS)


async def test_an_account_without_entries_has_begun_when_its_row_was_opened(database):
    read = SqlConsumption(database)
    await SqlBooks(database).open_accounts(["idle"])
    now = await time_of(database)
    assert await read.has_begun("idle", now + DAY_MS)
    assert not await read.has_begun("idle", now - DAY_MS)
    assert not await read.has_begun("other", now + DAY_MS)


async def test_an_account_without_entries_has_begun_with_its_first_definition(database):
    idle = {"kind": "accounts", "name": "idle", "made_at": STARTED + DAY_MS, "operator": "ann"}
    read, objects = SqlConsumption(database), SqlObjects(database)
    await objects.add([ObjectVersion(**idle, version=1, body="{}", begins_at=STARTED)])
    await objects.add([ObjectVersion(**idle, version=2, body="{}", begins_at=STARTED + DAY_MS)])
    await objects.add([ObjectVersion(**idle | {"name": "gone"}, version=1, body=None, begins_at=STARTED)])
    assert await read.has_begun("idle", STARTED + 1)
    assert not await read.has_begun("idle", STARTED)
    assert not await read.has_begun("gone", STARTED + 1)
