"""The audit compares charges with CDRs and with the ledger, and knows which calls were booked before there were any."""

from decimal import Decimal

import pytest
from doubles.data.records import answered_call, call_id, charge_row
from sqlalchemy import delete, insert, select, update

from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Posting
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.verify import verify_ledger

FEE, COST, SHARE = Decimal("0.012345"), Decimal("0.009876"), Decimal("0.011")

entry, cdr, charge = schema.ledger_entry, schema.cdr, schema.cdr_charge


def call_of_an_agent(index: int, *, recorded: bool = True):
    plain = answered_call(index, customer_account="acme", vendor_account="carrier")
    charges = (plain.charges[0], charge_row("reseller", AGENT, 1, SHARE), plain.charges[1])
    postings = (*plain.postings, Posting("reseller", -SHARE, f"{call_id(index)}/agent-1", "USD"))
    return answered_call(
        index,
        customer_account="acme",
        vendor_account="carrier",
        charges=charges,
        postings=postings,
        recorded=recorded,
    )


@pytest.fixture
async def booked(database):
    """Two plain calls, one of an agent's customer, and one of those without CDR."""
    plain = [answered_call(index, customer_account="acme", vendor_account="carrier") for index in range(2)]
    await SqlBooks(database).book([*plain, call_of_an_agent(2), call_of_an_agent(3, recorded=False)])
    return database


async def damage(database, *statements):
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_charges_of_agents_and_of_calls_without_cdr_agree_with_the_ledger(booked):
    result = await verify_ledger(booked)
    assert result.differences == ()
    assert (result.entries, result.calls, result.calls_without_cdr) == (10, 3, 3)


async def test_an_edited_charge_of_the_customer_is_unlike_its_cdr(booked):
    edited = update(charge).where(charge.c.call_id == call_id(0), charge.c.role == CUSTOMER)
    await damage(booked, edited.values(fee=Decimal(2)))
    (found,) = (await verify_ledger(booked)).differences
    assert found == BookDifference(BookFault.CHARGES, "acme", -FEE, Decimal(-2), call_id=call_id(0))
    assert str(found) == (
        f"account acme call {call_id(0)}: the charges of a call are not what its CDR says:"
        " expected -0.012345, found -2.00"
    )


@pytest.mark.parametrize(("role", "name", "amount"), [(CUSTOMER, "acme", FEE), (VENDOR, "carrier", COST)])
async def test_a_removed_charge_is_found(booked, role, name, amount):
    await damage(booked, delete(charge).where(charge.c.call_id == call_id(1), charge.c.role == role))
    found = (await verify_ledger(booked)).differences
    assert found == (BookDifference(BookFault.CHARGES, name, -amount, Decimal(0), call_id=call_id(1)),)


async def test_an_edited_charge_of_an_agent_is_unlike_the_ledger(booked):
    edited = update(charge).where(charge.c.call_id == call_id(2), charge.c.role == AGENT)
    await damage(booked, edited.values(tax=Decimal(1)))
    found = (await verify_ledger(booked)).differences
    assert found == (BookDifference(BookFault.CALL, "reseller", -SHARE - 1, -SHARE, call_id=call_id(2)),)


async def test_an_edited_charge_of_a_call_without_cdr_is_unlike_its_entry(booked):
    edited = update(charge).where(charge.c.call_id == call_id(3), charge.c.role == AGENT)
    await damage(booked, edited.values(fee=Decimal(1)))
    found = (await verify_ledger(booked)).differences
    assert found == (
        BookDifference(BookFault.CHARGES_WITHOUT_CDR, "reseller", Decimal(-1), -SHARE, call_id=call_id(3)),
    )


async def test_a_removed_charge_of_a_call_without_cdr_is_found_from_its_entry(booked):
    await damage(booked, delete(charge).where(charge.c.call_id == call_id(3), charge.c.role == VENDOR))
    found = (await verify_ledger(booked)).differences
    assert found == (BookDifference(BookFault.CHARGES_WITHOUT_CDR, "carrier", Decimal(0), -COST, call_id=call_id(3)),)


async def test_a_charge_of_a_call_that_has_neither_cdr_nor_entry_is_found(booked):
    row = {"call_id": call_id(99), "position": 1, "role": CUSTOMER, "level": 0, "account": "acme", "corrected": 0}
    await damage(booked, insert(charge).values(**row, billed_seconds=60, fee=FEE, tax=Decimal(0)))
    found = (await verify_ledger(booked)).differences
    assert found == (BookDifference(BookFault.CHARGES_WITHOUT_CDR, "acme", -FEE, Decimal(0), call_id=call_id(99)),)


async def test_calls_booked_before_there_were_charges_need_none(booked):
    """The migration notes up to where: later calls still do."""
    async with booked.reading() as connection:
        newest_entry = (await connection.execute(select(entry.c.id).order_by(entry.c.id.desc()).limit(1))).scalar_one()
    old = (await verify_ledger(booked)).calls
    marks = {schema.CHARGES_FROM_ENTRY: newest_entry, schema.CHARGES_FROM_CDR: await _newest_cdr(booked)}
    changes = [
        update(schema.counter).where(schema.counter.c.name == name).values(value=value) for name, value in marks.items()
    ]
    await damage(booked, *changes, delete(charge).where(charge.c.role != AGENT))
    try:
        assert (await verify_ledger(booked)).differences == ()
        await SqlBooks(booked).book([answered_call(old + 5, customer_account="acme", vendor_account="carrier")])
        await damage(booked, delete(charge).where(charge.c.call_id == call_id(old + 5)))
        assert {each.fault for each in (await verify_ledger(booked)).differences} == {BookFault.CHARGES}
    finally:
        await damage(booked, update(schema.counter).where(schema.counter.c.name.in_(marks)).values(value=0))


async def _newest_cdr(database):
    async with database.reading() as connection:
        return max(await connection.scalars(select(cdr.c.export_seq)))
