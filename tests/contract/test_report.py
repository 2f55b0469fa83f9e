"""The view cdr_report says of a call what ``vosd cdr list --json`` says, one column for each thing."""

from decimal import Decimal
from typing import Any

import msgspec
from doubles.data.records import answered_call, call_id, charge_row, partner_call, refused_call
from manuals.cdr import AGENTS, REPORT

from vosd.cdr.columns import json_object
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import AGENT, CUSTOMER, CallRecord, Posting
from vosd.storage import schema
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.ports import CallFilter
from vosd.storage.queries import SqlQueries
from vosd.storage.types import Money

SHARES = (Decimal("0.40"), Decimal("0.31"), Decimal("0.30000001"))


def with_agents(index: int) -> CallRecord:
    plain = answered_call(index, customer_account="acme", vendor_account="carrier", tax=Decimal("0.001"))
    levels = range(1, len(SHARES) + 1)
    agents = tuple(charge_row(f"reseller-{level}", AGENT, level, SHARES[level - 1]) for level in levels)
    postings = tuple(Posting(each.account, -each.fee, f"{call_id(index)}/agent-{each.level}", "USD") for each in agents)
    charges = (plain.charges[0], *agents, plain.charges[1])
    return msgspec.structs.replace(plain, charges=charges, postings=(*plain.postings, *postings))


def expected(shown: dict[str, Any]) -> dict[str, Any]:
    """The row of the view for an object of ``--json``."""
    by_party = {each["role"] + (str(each["level"]) if each["level"] else ""): each for each in shown["charges"]}
    row = {name: shown[name] for name in REPORT if name in shown and name != "attempts"}
    for name in REPORT:
        party, _, column = name.partition("_")
        if name not in shown and party in {"customer", "vendor", *(f"agent{level}" for level in range(1, AGENTS + 1))}:
            row[name] = by_party.get(party, {}).get(column)
    row["attempts"] = len(shown["attempts"])
    row["corrected"] = max((each["corrected"] for each in shown["charges"]), default=0)
    return row


def plain(name: str, value: Any) -> Any:
    """A value of either side in one notation: amounts as decimals, times to the millisecond."""
    if value is None:
        return None
    if name.rpartition("_")[2] in {"fee", "tax", "cost", "price"}:
        return Decimal(value)
    return str(value).replace(" ", "T").rstrip("Z").ljust(23, "0")[:23] if name.endswith("_at") else value


async def test_it_says_what_the_listing_says(database):
    partner = partner_call(4, "acme", "partner")
    from_invite = answered_call(5, customer_account="acme", billing_base_ms=64_321, vendor_billing_base_ms=63_000)
    late = answered_call(6, vendor_billing_base_ms=63_000, vendor_paid_ms=60_000)
    calls = [with_agents(1), answered_call(2, customer_account="acme"), refused_call(3), partner, from_invite, late]
    await SqlBooks(database).book(calls)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.02"), Decimal("0.003"), 120))
    await SqlCorrections(database).book([Correction(call_id(2), (change,), "run", "ann", "rate", 1_790_000_500_000)])
    listed = await SqlQueries(database).calls(CallFilter(limit=9))
    shown = {each.record.call_id: expected(json_object(each.record, each.export_seq)) for each in listed}
    async with database.reading() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM cdr_report")).mappings().all()
    assert [*rows[0]] == [*REPORT]
    assert len(rows) == len(calls)
    for row in rows:
        wanted = shown[row["call_id"]]
        assert set(wanted) == set(REPORT)
        for name in REPORT:
            moment = row[name].isoformat() if hasattr(row[name], "isoformat") else row[name]
            if name.endswith("_at") and moment is not None and "." not in moment:
                moment += "."
            assert plain(name, moment) == plain(name, wanted[name]), name


def test_every_amount_of_the_view_is_known_as_one():
    money = {
        column.name for table in (schema.cdr, schema.cdr_charge) for column in table.c if type(column.type) is Money
    }
    shown = {name for name in REPORT if name.rpartition("_")[2] in {"fee", "tax", "cost", "price"}}
    assert {name for name in REPORT if name in money} <= shown
