"""Audit of the books: balances against entries, each entry against the one before, entries against CDRs, invoices.

The database computes the sums and returns only the differences, a range of entries or calls at a time, so the memory
of this process does not grow with the books. The whole audit sees one state of the database. It starts from the latest
period close (ADR 62). Accounts are in ``verify_accounts``, charges in ``verify_charges``, invoices in
``verify_invoices``.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from sqlalchemy import ColumnElement, func, select

from vosd.base.ids import bounds
from vosd.cdr.retention import LONGEST_CALL_MS
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.checkpoints import base_of
from vosd.storage.database import Database
from vosd.storage.dropped import dropped_before
from vosd.storage.faults import BookDifference, BookFault, Verification
from vosd.storage.ports import EntryKind
from vosd.storage.verify_accounts import Report, audit_accounts, audit_checkpoints, without_account
from vosd.storage.verify_charges import (
    ChargeMarks,
    agents_said,
    earned_said,
    marks_of,
    not_dropped,
    unlike_their_cdr,
    unlike_their_corrections,
    without_charge,
    without_entry,
)
from vosd.storage.verify_invoices import audit_invoices
from vosd.storage.verify_lines import (
    AuditedCalls,
    AuditedLine,
    Unequal,
    Unlikeness,
    Within,
    booked,
    calls_behind,
    charged,
    differences,
    these_calls,
)

_CALLS_AT_ONCE: Final = 20_000

_account: Final = schema.account.c
_entry: Final = schema.ledger_entry.c
_cdr: Final = schema.cdr.c


async def verify_ledger(
    database: Database,
    report: Report | None = None,
    *,
    whole: bool = False,
    passed: Callable[[float, int], None] | None = None,
) -> Verification:
    """Recompute balances from entries and entries from CDRs and charges.

    Each difference is given to ``report`` as it is found; without it all are collected. What is closed was verified
    before it was closed, and is verified again with ``whole`` only. What was dropped since is left out. ``passed``
    receives the part of the calls that are done, of 1, and their number; 0 and 0 while accounts are compared.
    """
    differences: list[BookDifference] = []
    report = report or differences.append
    show = passed or (lambda _part, _calls: None)
    async with database.reading(unhurried=True) as connection:
        base = None if whole else await base_of(connection)
        dropped = await dropped_before(connection)
        start = (dropped.entries or None) if base is None else base.closed_until
        without_cdr = await _calls_without_cdr(connection, 0 if base is None else base.entry_id)
        await _report_counter_behind(connection, report)
        await without_account(connection, report)
        compared = await audit_accounts(connection, start, report, lambda: show(0.0, 0))
        await audit_invoices(connection, None if base is None else base.closed_until, report)
        if whole:
            await audit_checkpoints(connection, dropped.entries, report)
        marks, first_call = await marks_of(connection, dropped.first_call), _FIRST_CALL
        if base is not None:
            first_call, _ = bounds(f"{base.closed_until - LONGEST_CALL_MS:012x}")
            await _verify_older_calls(connection, base.entry_id, first_call, marks, report)
            marks = marks._replace(entry_id=max(marks.entry_id, base.entry_id))
        calls = await _count(connection, _cdr.call_id > first_call)
        last_call: str | None = first_call
        done = 0
        while last_call is not None:
            last_call = await _verify_calls(connection, last_call, report, marks)
            done = calls if last_call is None else min(done + _CALLS_AT_ONCE, calls)
            show(done / max(calls, 1), done)
        unexplained = await without_charge(connection, marks)
        _report_unequal(BookFault.CHARGES_WITHOUT_CDR, unexplained, report)
    return Verification(compared.accounts, compared.entries, calls, without_cdr, tuple(differences))


async def _calls_without_cdr(connection: AsyncConnection, after: int) -> int:
    """Count calls without a record whose entries are behind the number of one; each party has an entry of its own."""
    calls = func.count(func.substr(_entry.reference, 1, _CALL_ID_LENGTH).distinct())
    unrecorded = (_entry.kind == EntryKind.CALL.value, _entry.call_id.is_(None), _entry.id > after)
    return int((await connection.execute(select(calls).where(*unrecorded))).scalar_one())


_CALL_ID_LENGTH: Final = 36
"""Length of a call's id, with which the reference of its entries begins (``rows.reference_of``)."""
_OF_CALLS: Final = (EntryKind.CALL.value, EntryKind.CORRECTION.value)
"""Kinds of the entries that make up what a call costs."""
_NUMBERED: Final = (_cdr.export_seq, _account.changed)
_OF_TAX: Final = {
    BookFault.CALL: BookFault.CALL_TAX,
    BookFault.CHARGES: BookFault.CHARGES_TAX,
    BookFault.CHARGES_WITHOUT_CDR: BookFault.TAX_WITHOUT_CDR,
    BookFault.CORRECTION: BookFault.CORRECTION_TAX,
}
"""Faults of taxes by the fault of an amount in the same places."""
_OF_VALUES: Final = {Unlikeness.CURRENCY: BookFault.CALL_CURRENCY, Unlikeness.SECONDS: BookFault.SECONDS}
_FIRST_CALL: Final = "00000000-0000-0000-0000-000000000000"


async def _count(connection: AsyncConnection, condition: ColumnElement[bool]) -> int:
    return int((await connection.execute(select(func.count()).where(condition))).scalar_one())


async def _report_counter_behind(connection: AsyncConnection, report: Report) -> None:
    """Compare the counter with the greatest numbers that were taken from it."""
    of_commits = select(schema.counter.c.value).where(schema.counter.c.name == schema.COMMITS)
    value = (await connection.execute(of_commits)).scalar() or 0
    newest = [(await connection.execute(select(func.max(each)))).scalar() or 0 for each in _NUMBERED]
    if max(newest) > value:
        report(BookDifference(BookFault.COUNTER, "", Decimal(max(newest)), Decimal(value)))


async def _verify_older_calls(
    connection: AsyncConnection, entry_id: int, first_call: str, marks: ChargeMarks, report: Report
) -> None:
    """Audit the calls before ``first_call`` that have entries from after the close: corrected, or booked late."""
    after: int | None = entry_id
    while after is not None:
        touched = select(_entry.id, _entry.call_id).where(_entry.id > after, _entry.call_id <= first_call)
        rows = (await connection.execute(touched.order_by(_entry.id).limit(_CALLS_AT_ONCE))).all()
        after = rows[-1].id if len(rows) == _CALLS_AT_ONCE else None
        if rows:
            await _verify_some(connection, these_calls(row.call_id for row in rows), marks, report)


async def _verify_calls(connection: AsyncConnection, after: str, report: Report, marks: ChargeMarks) -> str | None:
    """Audit the next calls after ``after``; return the last one, or None after the last CDR."""
    calls = select(_cdr.call_id).where(_cdr.call_id > after).order_by(_cdr.call_id)
    last = (await connection.execute(calls.offset(_CALLS_AT_ONCE - 1).limit(1))).scalar()
    await _verify_some(connection, calls_behind(after, last), marks, report)
    return None if last is None else str(last)


async def _verify_some(connection: AsyncConnection, calls: AuditedCalls, marks: ChargeMarks, report: Report) -> None:
    """Audit some calls: entries, charges and corrections."""
    _report_unequal(BookFault.CALL, await _miscounted(connection, calls, marks), report)
    _report_unequal(BookFault.CHARGES, await unlike_their_cdr(connection, calls, marks), report)
    _report_unequal(BookFault.CORRECTION, await unlike_their_corrections(connection, calls, marks), report)
    _report_unequal(BookFault.CHARGES_WITHOUT_CDR, await without_entry(connection, calls), report)


def _report_unequal(fault: BookFault, found: Iterable[Unequal], report: Report) -> None:
    for each in found:
        of_value = _OF_VALUES.get(each.what) or (_OF_TAX[fault] if each.what is Unlikeness.TAX else fault)
        report(BookDifference(of_value, each.account, each.expected, each.found, call_id=each.call_id))


async def _miscounted(connection: AsyncConnection, calls: AuditedCalls, marks: ChargeMarks) -> list[Unequal]:
    """Return where the CDR, with the charges of agents, and the ledger differ, of some calls."""
    return await differences(connection, _of_calls, marks.first_call, calls)


def _of_calls(within: Within, first_call: str) -> list[AuditedLine]:
    """Return the lines of CDRs, of the charges of agents, and of the entries of calls that were not dropped."""
    customer, vendor = _cdr.customer_account, _cdr.vendor_account
    fee = charged(_cdr.fee, _cdr.tax, _cdr.currency)
    cost = charged(_cdr.cost, _cdr.cost_tax, _cdr.vendor_currency)
    of_kind, of_calls = _entry.kind.in_(_OF_CALLS), not_dropped(_entry.call_id, first_call)
    return [
        AuditedLine(_cdr.call_id, customer, fee, (customer.is_not(None), within(_cdr.call_id))),
        AuditedLine(_cdr.call_id, vendor, cost, (vendor.is_not(None), within(_cdr.call_id))),
        agents_said(within),
        earned_said(within),
        booked(of_kind, within(_entry.call_id), *of_calls),
    ]
