"""Audit of ``cdr_charge``: against the columns of its CDR, and against the ledger where a call left no CDR.

Calls booked before there were charges have none: the migration has noted up to where (ADR 54). It does not know how
differences are worded (``verify``).
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, type_coerce, union_all

from vosd.base.money import ZERO
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.ports import EntryKind
from vosd.storage.rows import CALL_KIND, reference_of
from vosd.storage.types import Money

_ENTRIES_AT_ONCE: Final = 5_000

Within = Callable[[ColumnElement[Any]], ColumnElement[bool]]
"""Condition for a column with call ids: which calls are audited."""

_cdr: Final = schema.cdr.c
_charge: Final = schema.cdr_charge.c
_entry: Final = schema.ledger_entry.c


class Unequal(NamedTuple):
    """An account of a call for which two places have different sums; amounts are signed as in the ledger."""

    call_id: str
    account: str
    expected: Decimal
    found: Decimal


class ChargeMarks(NamedTuple):
    """Up to where calls have no charges."""

    export_seq: int
    entry_id: int
    first_call: str = ""
    """The least id of a call that was not dropped, unless it had to stay; empty = none were dropped."""


def not_dropped(call_id: ColumnElement[Any], marks: ChargeMarks) -> Sequence[ColumnElement[bool]]:
    """Return the conditions that a call is not one that was dropped, because its time was over."""
    if not marks.first_call:
        return ()
    return (or_(call_id >= marks.first_call, select(_cdr.call_id).where(_cdr.call_id == call_id).exists()),)


async def marks_of(connection: AsyncConnection, first_call: str = "") -> ChargeMarks:
    """Return up to where calls were booked before there were charges; those before ``first_call`` were dropped."""
    counter = schema.counter.c
    names = (schema.CHARGES_FROM_CDR, schema.CHARGES_FROM_ENTRY)
    rows = await connection.execute(select(counter.name, counter.value).where(counter.name.in_(names)))
    values = {row.name: row.value for row in rows}
    return ChargeMarks(values.get(schema.CHARGES_FROM_CDR, 0), values.get(schema.CHARGES_FROM_ENTRY, 0), first_call)


def agents_said(within: ColumnElement[bool]) -> Select[Any]:
    """Select what the agents of calls with a CDR pay: call_id, account, rated, booked, as ``verify`` adds them up."""
    recorded = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id).exists()
    rated = type_coerce(-(_charge.fee + _charge.tax), Money)
    columns = select(_charge.call_id, _charge.account, rated.label("rated"), literal(ZERO, Money).label("booked"))
    return columns.where(_charge.role == AGENT, within, recorded)


def earned_said(within: ColumnElement[bool]) -> Select[Any]:
    """Select what turns the cost of calls with a CDR into what a partner earned: twice as much, of the other sign."""
    recorded = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id).exists()
    total = _charge.fee + _charge.tax
    columns = select(
        _charge.call_id,
        _charge.account,
        type_coerce(total + total, Money).label("rated"),
        literal(ZERO, Money).label("booked"),
    )
    return columns.where(_charge.earned == 1, within, recorded)


async def unlike_their_cdr(connection: AsyncConnection, within: Within, marks: ChargeMarks) -> list[Unequal]:
    """Return where charges of customer or vendor are not what the CDR says, of some calls.

    ``expected`` is the CDR's amount; what a partner earns is below zero here, as every cost.
    """
    nothing = literal(ZERO, Money)
    recent = _cdr.export_seq > marks.export_seq
    sides = [
        (CUSTOMER, _cdr.customer_account, _cdr.fee + _cdr.tax),
        (VENDOR, _cdr.vendor_account, _cdr.cost + _cdr.cost_tax),
    ]
    lines = [
        select(
            _cdr.call_id,
            account.label("account"),
            literal(role).label("role"),
            type_coerce(-amount, Money).label("said"),
            nothing.label("charged"),
        ).where(account.is_not(None), recent, within(_cdr.call_id))
        for role, account, amount in sides
    ]
    of_recent = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id, recent).exists()
    lines.append(
        select(
            _charge.call_id,
            _charge.account,
            _charge.role,
            nothing.label("said"),
            type_coerce(-(_charge.fee + _charge.tax), Money).label("charged"),
        ).where(_charge.role != AGENT, within(_charge.call_id), of_recent)
    )
    all_lines = union_all(*lines).subquery().c
    said = type_coerce(func.sum(all_lines.said), Money)
    charged = type_coerce(func.sum(all_lines.charged), Money)
    query = select(all_lines.call_id, all_lines.account, said.label("said"), charged.label("charged"))
    query = query.group_by(all_lines.call_id, all_lines.account, all_lines.role).having(said != charged)
    return [Unequal(row.call_id, row.account, row.said, row.charged) for row in await connection.execute(query)]


async def unlike_their_corrections(connection: AsyncConnection, within: Within, marks: ChargeMarks) -> list[Unequal]:
    """Return where the table of corrections and the ledger have different sums, of some calls.

    ``expected`` is what the table says.
    """
    nothing = literal(ZERO, Money)
    table = schema.cdr_correction.c
    before, now = table.fee_before + table.tax_before, table.fee_after + table.tax_after
    said = select(
        table.call_id, table.account, type_coerce(before - now, Money).label("said"), nothing.label("booked")
    ).where(within(table.call_id), *not_dropped(table.call_id, marks))
    same = and_(_charge.call_id == table.call_id, _charge.position == table.position)
    change = now - before
    of_earned = (
        select(table.call_id, table.account, type_coerce(change + change, Money), nothing)
        .join(schema.cdr_charge, same)
        .where(_charge.earned == 1, within(table.call_id), *not_dropped(table.call_id, marks))
    )
    held = select(_entry.call_id, _entry.account, nothing.label("said"), _entry.amount.label("booked"))
    of_calls = not_dropped(_entry.call_id, marks)
    held = held.where(_entry.kind == EntryKind.CORRECTION.value, within(_entry.call_id), *of_calls)
    lines = union_all(said, of_earned, held).subquery().c
    sum_said, sum_booked = type_coerce(func.sum(lines.said), Money), type_coerce(func.sum(lines.booked), Money)
    query = select(lines.call_id, lines.account, sum_said.label("said"), sum_booked.label("booked"))
    query = query.group_by(lines.call_id, lines.account).having(sum_said != sum_booked)
    return [Unequal(row.call_id, row.account, row.said, row.booked) for row in await connection.execute(query)]


async def without_entry(connection: AsyncConnection, within: Within) -> list[Unequal]:
    """Return charges of some calls without CDR that the ledger has no entry of, or of another amount.

    ``expected`` is the amount of the charge.
    """
    recorded = select(_cdr.call_id).where(_cdr.call_id == _charge.call_id).exists()
    columns = select(
        _charge.call_id, _charge.account, _charge.role, _charge.level, _charge.fee, _charge.tax, _charge.earned
    )
    rows = (await connection.execute(columns.where(~recorded, within(_charge.call_id)))).all()
    charged = {
        (row.account, reference_of(row.call_id, row.role, row.level)): (
            row.call_id,
            row.fee + row.tax if row.earned else -(row.fee + row.tax),
        )
        for row in rows
        if row.fee or row.tax
    }
    references: dict[str, list[str]] = {}
    for account, reference in charged:
        references.setdefault(account, []).append(reference)
    booked: dict[tuple[str, str], Decimal] = {}
    for account, some in references.items():  # with the account the entries are found by their unique key
        query = select(_entry.reference, _entry.amount).where(_entry.account == account, _entry.kind == CALL_KIND)
        found = await connection.execute(query.where(_entry.reference.in_(some)))
        booked |= {(account, row.reference): row.amount for row in found}
    return [
        Unequal(call_id, key[0], amount, booked.get(key, ZERO))
        for key, (call_id, amount) in charged.items()
        if booked.get(key, ZERO) != amount
    ]


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
