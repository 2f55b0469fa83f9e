"""Audit of ``cdr_charge``: against the columns of its CDR, and against the ledger where a call left no CDR.

Calls booked before there were charges have none: the migration has noted up to where (ADR 54). It does not know how
differences are worded (``verify``).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select

from vosd.base.money import ZERO
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.ports import EntryKind
from vosd.storage.rows import CALL_KIND, reference_of
from vosd.storage.verify_lines import (
    AuditedAmount,
    AuditedCalls,
    AuditedLine,
    Unequal,
    Unlikeness,
    Within,
    booked,
    charged,
    differences,
)

_ENTRIES_AT_ONCE: Final = 5_000

_cdr: Final = schema.cdr.c
_charge: Final = schema.cdr_charge.c
_entry: Final = schema.ledger_entry.c


class ChargeMarks(NamedTuple):
    """Up to where calls have no charges."""

    export_seq: int
    entry_id: int
    first_call: str = ""
    """The least id of a call that was not dropped, unless it had to stay; empty = none were dropped."""


def not_dropped(call_id: ColumnElement[Any], first_call: str) -> Sequence[ColumnElement[bool]]:
    """Return the conditions that a call is not one that was dropped, because its time was over (``ChargeMarks``)."""
    if not first_call:
        return ()
    return (or_(call_id >= first_call, select(_cdr.call_id).where(_cdr.call_id == call_id).exists()),)


async def marks_of(connection: AsyncConnection, first_call: str = "") -> ChargeMarks:
    """Return up to where calls were booked before there were charges; those before ``first_call`` were dropped."""
    counter = schema.counter.c
    names = (schema.CHARGES_FROM_CDR, schema.CHARGES_FROM_ENTRY)
    rows = await connection.execute(select(counter.name, counter.value).where(counter.name.in_(names)))
    values = {row.name: row.value for row in rows}
    return ChargeMarks(values.get(schema.CHARGES_FROM_CDR, 0), values.get(schema.CHARGES_FROM_ENTRY, 0), first_call)


def agents_said(within: Within) -> AuditedLine:
    """Return the line of what the agents of calls with a CDR pay, as ``verify`` adds them up."""
    recorded = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id).exists()
    amount = charged(_charge.fee, _charge.tax, _charge.currency)
    return AuditedLine(
        _charge.call_id, _charge.account, amount, (_charge.role == AGENT, within(_charge.call_id), recorded)
    )


def earned_said(within: Within) -> AuditedLine:
    """Return the line that turns the cost of calls with a CDR into what a partner earned: twice as much, below zero."""
    recorded = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id).exists()
    where = (_charge.earned == 1, within(_charge.call_id), recorded)
    return AuditedLine(_charge.call_id, _charge.account, _twice(_charge.fee, _charge.tax), where)


def _twice(fee: ColumnElement[Any], tax: ColumnElement[Any]) -> AuditedAmount:
    total = fee + tax
    return AuditedAmount(total + total, tax + tax)


async def unlike_their_cdr(connection: AsyncConnection, calls: AuditedCalls, marks: ChargeMarks) -> list[Unequal]:
    """Return where charges of customer or vendor are not what the CDR says, of some calls.

    ``expected`` is the CDR's; what a partner earns is below zero here, as every cost.
    """
    return await differences(connection, _of_cdr, marks.export_seq, calls)


def _of_cdr(within: Within, export_seq: int) -> list[AuditedLine]:
    """Return the lines of the CDRs behind the number of one, and of their charges."""
    recent, of_cdr, of_charge = _cdr.export_seq > export_seq, within(_cdr.call_id), within(_charge.call_id)
    customer, vendor = _cdr.customer_account, _cdr.vendor_account
    fee = charged(_cdr.fee, _cdr.tax, _cdr.currency)
    cost = charged(_cdr.cost, _cdr.cost_tax, _cdr.vendor_currency)
    amount = charged(_charge.fee, _charge.tax, _charge.currency)
    of_recent = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id, recent).exists()
    sold = AuditedLine(_cdr.call_id, customer, fee, (customer.is_not(None), recent, of_cdr), role=CUSTOMER)
    bought = AuditedLine(_cdr.call_id, vendor, cost, (vendor.is_not(None), recent, of_cdr), role=VENDOR)
    of_charges = AuditedLine(
        _charge.call_id,
        _charge.account,
        amount,
        (_charge.role != AGENT, of_charge, of_recent),
        is_found=True,
        role=_charge.role,
        seconds=_charge.billed_seconds,
    )
    return [sold._replace(seconds=_cdr.billed_seconds), bought._replace(seconds=_cdr.vendor_billed_seconds), of_charges]


async def unlike_their_corrections(
    connection: AsyncConnection, calls: AuditedCalls, marks: ChargeMarks
) -> list[Unequal]:
    """Return where the table of corrections and the ledger differ, of some calls.

    ``expected`` is what the table says.
    """
    return await differences(connection, _of_corrections, marks.first_call, calls)


def _of_corrections(within: Within, first_call: str) -> list[AuditedLine]:
    """Return the lines of the corrections, and of their entries, of the calls that were not dropped."""
    table = schema.cdr_correction.c
    fee, tax = table.fee_after - table.fee_before, table.tax_after - table.tax_before
    same = and_(_charge.call_id == table.call_id, _charge.position == table.position)
    with_charge = schema.cdr_correction.join(schema.cdr_charge, same)
    is_correction = _entry.kind == EntryKind.CORRECTION.value
    there = (within(table.call_id), *not_dropped(table.call_id, first_call))
    return [
        AuditedLine(table.call_id, table.account, charged(fee, tax, table.currency), there),
        AuditedLine(table.call_id, table.account, _twice(fee, tax), (_charge.earned == 1, *there), joined=with_charge),
        booked(is_correction, within(_entry.call_id), *not_dropped(_entry.call_id, first_call)),
    ]


async def without_entry(connection: AsyncConnection, calls: AuditedCalls) -> list[Unequal]:
    """Return charges of some calls without CDR that the ledger has no entry of, or another one.

    ``expected`` is what the charge says.
    """
    recorded = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id).exists()
    columns = select(
        *(_charge.call_id, _charge.account, _charge.role, _charge.level),
        *(_charge.fee, _charge.tax, _charge.currency, _charge.earned),
    )
    unrecorded = columns.where(~recorded, calls.within(_charge.call_id))
    rows = (await connection.execute(unrecorded, calls.values)).all()
    charges = {(row.account, reference_of(row.call_id, row.role, row.level)): row for row in rows if row.fee or row.tax}
    references: dict[str, list[str]] = {}
    for account, reference in charges:
        references.setdefault(account, []).append(reference)
    entries: dict[tuple[str, str], Any] = {}
    for account, some in references.items():  # with the account the entries are found by their unique key
        query = select(_entry.reference, _entry.amount, _entry.tax, _entry.currency)
        query = query.where(_entry.account == account, _entry.kind == CALL_KIND, _entry.reference.in_(some))
        entries |= {(account, row.reference): row for row in await connection.execute(query)}
    found = (_unlike_entry(charge, entries.get(key)) for key, charge in charges.items())
    return [each for each in found if each is not None]


def _unlike_entry(charge: Any, entry: Any | None) -> Unequal | None:
    """Return the difference between a charge and its entry; None = there is none."""
    sign = 1 if charge.earned else -1
    amount, tax = sign * (charge.fee + charge.tax), sign * charge.tax
    if entry is None or entry.amount != amount:
        return Unequal(charge.call_id, charge.account, amount, ZERO if entry is None else entry.amount)
    if entry.tax is not None and entry.tax != tax:
        return Unequal(charge.call_id, charge.account, tax, entry.tax, Unlikeness.TAX)
    if None not in {charge.currency, entry.currency} and charge.currency != entry.currency:
        return Unequal(charge.call_id, charge.account, ZERO, ZERO, Unlikeness.CURRENCY)
    return None


async def without_charge(connection: AsyncConnection, marks: ChargeMarks) -> list[Unequal]:
    """Return entries of calls without CDR that no charge explains; ``found`` is the amount of the entry."""
    missing: list[Unequal] = []
    after = marks.entry_id
    while True:
        query = select(_entry.id, _entry.account, _entry.reference, _entry.amount)
        unrecorded = and_(_entry.kind == CALL_KIND, _entry.call_id.is_(None), _entry.id > after)
        rows = (await connection.execute(query.where(unrecorded).order_by(_entry.id).limit(_ENTRIES_AT_ONCE))).all()
        if not rows:
            break
        after = rows[-1].id
        charged = await _charged(connection, {call for call in (call_in(row.reference) for row in rows) if call})
        missing += [
            Unequal(call_in(row.reference) or row.reference, row.account, ZERO, row.amount)
            for row in rows
            if (row.account, row.reference) not in charged
            and (call_in(row.reference) or marks.first_call) >= marks.first_call
        ]
    return missing


async def _charged(connection: AsyncConnection, call_ids: Iterable[str]) -> set[tuple[str, str]]:
    """Return account and reference of every charge of the calls."""
    columns = select(_charge.call_id, _charge.account, _charge.role, _charge.level)
    rows = await connection.execute(columns.where(_charge.call_id.in_(list(call_ids))))
    return {(row.account, reference_of(row.call_id, row.role, row.level)) for row in rows}


def call_in(reference: str) -> str | None:
    """Return the call id in the reference of a ledger entry, None if there is none."""
    try:
        return str(UUID(reference.partition("/")[0]))
    except ValueError:
        return None
