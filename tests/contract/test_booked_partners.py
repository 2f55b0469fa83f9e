"""What a partner earns in the books, over SQLite and MariaDB: entries, corrections, the audit and spend limits."""

from decimal import Decimal

import pytest
from doubles.data.records import call_id, partner_call
from sqlalchemy import update

from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import VENDOR
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.ledger import SqlLedger
from vosd.storage.ledger_values import Movement
from vosd.storage.queries import SqlQueries
from vosd.storage.verify import verify_ledger

FEE, COST = Decimal("0.51"), Decimal("0.30")
MADE = 1_790_000_500_000


@pytest.fixture
async def booked(database):
    """A call of a customer to a partner, one of the partner to its own gateway, and one of each without CDR."""
    terms = {"fee": FEE, "cost": COST}
    calls = [
        partner_call(1, "acme", "peer", **terms),
        partner_call(2, "peer", "peer", **terms),
        partner_call(3, "acme", "peer", recorded=False, **terms),
        partner_call(4, "peer", "peer", recorded=False, **terms),
    ]
    await SqlBooks(database).book(calls)
    return database


async def balance(database, account):
    return (await SqlQueries(database).standing(account)).balance


async def differences(database):
    return (await verify_ledger(database)).differences


async def test_the_balance_of_a_partner_moves_both_ways_and_the_audit_agrees(booked):
    assert await balance(booked, "peer") == 4 * COST - 2 * FEE
    assert await balance(booked, "acme") == -2 * FEE
    assert await differences(booked) == ()


async def test_what_a_partner_earned_counts_for_no_spend_limit(booked):
    assert await SqlBooks(booked).spent_since([("peer", 0)]) == [2 * FEE]


async def test_a_statement_of_a_partner_has_what_it_paid_and_what_it_earned_apart(booked):
    statement = await SqlLedger(booked).statement("peer", 0, MADE)
    assert statement.movements == (Movement("call", 2, -2 * FEE), Movement("earned", 4, 4 * COST))
    assert statement.closing == 4 * COST - 2 * FEE
    assert (await SqlLedger(booked).statement("acme", 0, MADE)).movements == (Movement("call", 2, -2 * FEE),)


async def test_a_charge_is_read_back_as_earned(booked):
    charges = (await SqlQueries(booked).call(call_id(1))).record.charges
    assert charges == partner_call(1, "acme", "peer", fee=FEE, cost=COST).charges


async def test_a_lower_cost_takes_from_the_partner_and_is_booked_once(booked):
    before = await balance(booked, "peer")
    cheaper = ChargeChange(VENDOR, 0, Amounts(Decimal("0.20"), Decimal(0), 60))
    correction = Correction(call_id(1), (cheaper,), "ticket 7", "ann", "their invoice", MADE)
    (change,) = await SqlCorrections(booked).book([correction])
    assert change.amount == Decimal("-0.10")
    assert await balance(booked, "peer") == before - Decimal("0.10")
    (again,) = await SqlCorrections(booked).book([correction])
    assert (again.is_repeated, again.amount) == (True, Decimal("-0.10"))
    assert [each.amount for each in await SqlCorrections(booked).history(call_id(1))] == [Decimal("-0.10")]
    assert await balance(booked, "peer") == before - Decimal("0.10")
    assert await differences(booked) == ()


@pytest.mark.parametrize(
    ("index", "fault"), [(1, BookFault.CALL), (2, BookFault.CALL), (3, BookFault.CHARGES_WITHOUT_CDR)]
)  # fmt: skip
async def test_a_charge_that_lost_its_sign_is_found(booked, index, fault):
    charge = schema.cdr_charge
    async with booked.writing() as connection:
        edited = update(charge).where(charge.c.call_id == call_id(index), charge.c.role == VENDOR)
        await connection.execute(edited.values(earned=None))
    said = -COST - FEE if index == 2 else -COST
    found = COST - FEE if index == 2 else COST
    assert await differences(booked) == (BookDifference(fault, "peer", said, found, call_id=call_id(index)),)
