"""The audit compares charges with CDRs and with the ledger, and knows which calls were booked before there were any."""

from decimal import Decimal

import pytest
from doubles.data.records import STARTED, answered_call, call_id, charge_row, partner_call
from doubles.kept_rows import damage
from sqlalchemy import delete, insert, select, update

from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Posting
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.verify import verify_ledger

FEE, COST, SHARE = Decimal("0.012345"), Decimal("0.009876"), Decimal("0.011")

entry, cdr, charge = schema.ledger_entry, schema.cdr, schema.cdr_charge


def call_of_an_agent(index: int, *, recorded: bool = True):
    plain = answered_call(index, customer_account="acme", vendor_account="carrier")
    charges = (plain.charges[0], charge_row("reseller", AGENT, 1, SHARE), plain.charges[1])
    postings = (*plain.postings, Posting("reseller", -SHARE, f"{call_id(index)}/agent-1", "USD"))
    return answered_call(
        index, customer_account="acme", vendor_account="carrier", charges=charges, postings=postings, recorded=recorded
    )


@pytest.fixture
async def booked(database):
    """Two plain calls, one of an agent's customer, and one of those without CDR."""
    plain = [answered_call(index, customer_account="acme", vendor_account="carrier") for index in range(2)]
    await SqlBooks(database).book([*plain, call_of_an_agent(2), call_of_an_agent(3, recorded=False)])
    return database


async def test_charges_of_agents_and_of_calls_without_cdr_agree_with_the_ledger(booked):
    result = await verify_ledger(booked)
    assert result.differences == ()
    assert (result.entries, result.calls, result.calls_without_cdr) == (10, 3, 1)


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


async def test_an_entry_of_a_call_whose_reference_names_no_call_is_found(booked):
    nameless = update(entry).where(entry.c.reference == f"{call_id(3)}/vendor").values(reference="damaged/vendor")
    await damage(booked, nameless)
    found = {(each.call_id, each.expected, each.found) for each in (await verify_ledger(booked)).differences}
    assert found == {(call_id(3), -COST, Decimal(0)), ("damaged/vendor", Decimal(0), -COST)}


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


TAX, OTHER = Decimal("0.002"), Decimal("0.5")


@pytest.fixture
async def taxed(database):
    """Calls with tax: of an agent's customer, of a partner, two that are corrected, and one without CDR.

    The vendor's charge that is corrected has the position of what the partner has earned with its call.
    """
    parties = {"customer_account": "acme", "vendor_account": "carrier", "tax": TAX, "cost_tax": TAX}
    plain = answered_call(0, **parties)
    agent = charge_row("reseller", AGENT, 1, SHARE, TAX)
    posting = Posting("reseller", -SHARE - TAX, f"{call_id(0)}/agent-1", "USD")
    of_agent = {"charges": (*plain.charges, agent), "postings": (*plain.postings, posting)}
    calls = [answered_call(0, **parties, **of_agent), answered_call(1, **parties)]
    await SqlBooks(database).book([*calls, answered_call(2, recorded=False, **parties), partner_call(3, "acme", "isp")])
    change = ChargeChange(CUSTOMER, 0, Amounts(FEE * 2, TAX * 2, 70))
    await SqlBooks(database).book([answered_call(4, **parties)])
    dearer = ChargeChange(VENDOR, 0, Amounts(COST * 2, TAX * 2, 70))
    corrections = [
        Correction(call_id(index), (each,), "ticket", "ann", "why", STARTED)
        for index, each in ((1, change), (4, dearer))
    ]
    await SqlCorrections(database).book(corrections)
    return database


async def test_taxes_that_agree_show_no_difference(taxed):
    assert (await verify_ledger(taxed)).differences == ()


def of_call(table, index, **equal):
    return update(table).where(table.c.call_id == call_id(index), *(table.c[key] == equal[key] for key in equal))


@pytest.mark.parametrize(
    ("statement", "faults"),
    [
        (of_call(entry, 0, account="acme").values(tax=OTHER), {BookFault.CALL_TAX}),
        (of_call(entry, 0, account="reseller").values(tax=OTHER), {BookFault.CALL_TAX}),
        (of_call(entry, 0, account="carrier").values(tax=OTHER), {BookFault.CALL_TAX}),
        (of_call(cdr, 0).values(fee=FEE + TAX, tax=0), {BookFault.CALL_TAX, BookFault.CHARGES_TAX}),
        (of_call(cdr, 0).values(cost=COST + TAX, cost_tax=0), {BookFault.CALL_TAX, BookFault.CHARGES_TAX}),
        (of_call(charge, 0, role=CUSTOMER).values(fee=FEE + TAX, tax=0), {BookFault.CHARGES_TAX}),
        (of_call(charge, 0, role=AGENT).values(fee=SHARE + TAX, tax=0), {BookFault.CALL_TAX}),
        (of_call(charge, 2, role=CUSTOMER).values(fee=FEE + TAX, tax=0), {BookFault.TAX_WITHOUT_CDR}),
        (of_call(charge, 2, role=CUSTOMER).values(currency="EUR"), {BookFault.CALL_CURRENCY}),
        (of_call(entry, 1, kind="correction").values(tax=OTHER), {BookFault.CALL_TAX, BookFault.CORRECTION_TAX}),
        (of_call(schema.cdr_correction, 1).values(fee_after=FEE * 2 + TAX, tax_after=TAX), {BookFault.CORRECTION_TAX}),
        (of_call(schema.cdr_correction, 1).values(currency="EUR"), {BookFault.CALL_CURRENCY}),
        (of_call(entry, 3, account="isp").values(tax=OTHER), {BookFault.CALL_TAX}),
        (of_call(cdr, 0).values(currency="EUR"), {BookFault.CALL_CURRENCY}),
        (of_call(cdr, 0).values(vendor_currency="EUR"), {BookFault.CALL_CURRENCY}),
        (of_call(charge, 0, role=CUSTOMER).values(currency="EUR"), {BookFault.CALL_CURRENCY}),
        (of_call(charge, 0, role=AGENT).values(currency="EUR"), {BookFault.CALL_CURRENCY}),
        (of_call(cdr, 0).values(billed_seconds=1), {BookFault.SECONDS}),
        (of_call(charge, 0, role=VENDOR).values(billed_seconds=1), {BookFault.SECONDS}),
    ],
)  # fmt: skip
async def test_a_damaged_tax_currency_or_time_is_found(taxed, statement, faults):
    await damage(taxed, statement)
    found = (await verify_ledger(taxed)).differences
    assert {each.fault for each in found} == faults
    assert all(str(each).endswith(each.fault.value) or "expected" in str(each) for each in found)


async def test_entries_that_an_earlier_version_booked_without_their_tax_are_no_difference(taxed):
    await damage(taxed, update(entry).values(tax=None, currency=None))
    assert (await verify_ledger(taxed)).differences == ()


async def test_a_call_that_costs_nothing_may_be_rated_in_any_currency(database):
    free = answered_call(0, customer_account="acme", vendor_account="carrier", fee=Decimal(0), cost=Decimal(0))
    await SqlBooks(database).book([free])
    await damage(database, update(cdr).values(vendor_currency="EUR"))
    assert (await verify_ledger(database)).differences == ()
