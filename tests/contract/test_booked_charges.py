"""Charges are booked with their call, over memory, SQLite and MariaDB."""

from decimal import Decimal

import msgspec
from doubles.data.builders import applied_rate
from doubles.data.records import STARTED, answered_call, call_id, charge_row
from doubles.ended_calls import ended_call
from doubles.memory import MemoryStore
from doubles.recomputed import recompute
from sqlalchemy import select

from vosd.b2bua.stamps import Ending
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.callcontrol.bookkeeping import answered_late
from vosd.cdr.record import AGENT, Attempt, CallRecord, ChargeRow, Posting
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.queries import stored_charge
from vosd.storage.reconcile import SqlBookedCalls
from vosd.storage.verify import verify_ledger

SHARE = Decimal("0.011")


async def charges_of(store, identity: str) -> list[ChargeRow]:
    """Return the stored charges of a call that has no CDR."""
    if isinstance(store.books, MemoryStore):
        return list(store.books.charges_without_cdr.get(identity, ()))
    assert isinstance(store.books, SqlBooks)
    table = schema.cdr_charge
    async with store.books._database.reading() as connection:
        rows = await connection.execute(select(table).where(table.c.call_id == identity).order_by(table.c.position))
        return [stored_charge(row) for row in rows]


async def test_the_charges_of_a_call_come_back_in_their_order(store):
    agents = (charge_row("reseller", AGENT, 1, SHARE), charge_row("wholesaler", AGENT, 2, SHARE))
    plain = answered_call(1)
    charges = (plain.charges[0], *agents, plain.charges[1])
    await store.books.book([answered_call(1, charges=charges), answered_call(2)])
    stored = await store.queries.call(call_id(1))
    assert stored is not None
    assert stored.record.charges == charges


async def test_a_call_without_cdr_keeps_the_steps_of_every_charge(store):
    """Years later its fees are computed again from what is stored."""
    record = ended_call(1, applied_rate("0.60", tax_rate="10"), applied_rate("0.30", 60), recorded=False)
    await store.books.book([record])
    assert await store.queries.call(call_id(1)) is None
    charges = await charges_of(store, call_id(1))
    assert [(each.role, each.fee, each.tax) for each in charges] == [
        (each.role, each.fee, each.tax) for each in record.charges
    ]
    for each in charges:
        assert each.breakdown is not None
        again = recompute(msgspec.json.decode(each.breakdown))
        assert (again.fee, again.tax, again.billed_seconds) == (each.fee, each.tax, each.billed_seconds)


async def test_a_call_without_cdr_is_booked_once(store):
    record = answered_call(1, recorded=False)
    await store.books.book([record])
    before = await store.queries.standing("customer-1")
    await store.books.book([record, answered_call(2)])
    assert await store.queries.standing("customer-1") == before
    assert len(await charges_of(store, call_id(1))) == 2


async def test_a_call_without_cdr_that_costs_nothing_keeps_nothing(store):
    await store.books.book([answered_call(1, recorded=False, fee=Decimal(0), cost=Decimal(0))])
    assert await charges_of(store, call_id(1)) == []


async def test_a_charge_of_an_agent_moves_its_balance_with_the_call(store):
    plain = answered_call(1)
    posting = Posting("reseller", -SHARE, f"{call_id(1)}/agent-1", "USD")
    record = answered_call(
        1, charges=(*plain.charges, charge_row("reseller", AGENT, 1, SHARE)), postings=(*plain.postings, posting)
    )
    standings = (await store.books.book([record])).standings
    assert standings["reseller"].balance == -SHARE
    stored = await store.queries.call(call_id(1))
    assert stored is not None
    assert stored.record.charges[2].account == "reseller"


async def test_the_cost_of_a_late_answer_is_booked_and_audited(database):
    """A record without customer; its vendor has answered an attempt that was given up."""
    ending = Ending(EndReason.CANCELLED, HangupSource.SWITCH, Instant(10_000, STARTED + 10_000), None, 127)
    given_up = CallRecord(
        call_id=call_id(7), node="sw1", routing_gateway="vendor-0", vendor_account="carrier", vendor_currency="USD",
        started_at=STARTED, ended_at=STARTED, hangup_source="switch", end_reason="Cancelled",
        attempts=(Attempt("vendor-0", 200, 9_000, None, "Late Answer"),),
    )  # fmt: skip
    rate = applied_rate("0.06", billing_cycle=60, tax_rate="10")
    record = answered_late(given_up, rate, ending, invited_mono=None, earns=False)
    assert record is not None
    await SqlBooks(database).book([record])
    standings = (await SqlBooks(database).standings()).standings
    assert standings["carrier"].balance == Decimal("-0.066")
    assert (await verify_ledger(database, whole=True)).differences == ()
    assert await SqlBookedCalls(database).compare([record]) == []
