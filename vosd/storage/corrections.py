"""Corrections of charges in MySQL and SQLite: CDR, charges, ledger and balances in one transaction (ADR 55).

The ledger only grows: a correction is a new entry of the difference. What a charge was before stands in the table of
corrections.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Select, Table, and_, bindparam, case, insert, literal, select, update

from vosd.base.errors import VosError
from vosd.base.money import ZERO
from vosd.base.parts import in_parts
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.cdr.charges import loss_of, sold_in, with_breakdowns
from vosd.cdr.corrections import Amounts, CorrectedCharge, Correction, corrected
from vosd.cdr.kinds import NAME_LENGTH
from vosd.cdr.ports import Standing
from vosd.cdr.record import CUSTOMER, VENDOR, CallRecord, ChargeRow
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import LockedAccount, check_size, lock_accounts
from vosd.storage.database import Database, repeated
from vosd.storage.ports import REFERENCE_MAX, EntryKind, OtherCurrency, ReferenceTaken
from vosd.storage.queries import CALLS_AT_ONCE, calls_with_ids
from vosd.storage.rows import reference_of
from vosd.storage.traffic import SqlTraffic, locked_mark
from vosd.storage.types import descriptive, identifying
from vosd.storage.writers import writer_for

_correction: Final = schema.cdr_correction
_charge: Final = schema.cdr_charge
_columns_of_cdr: Final[Mapping[str, tuple[str, str, str]]] = {
    CUSTOMER: ("fee", "tax", "billed_seconds"),
    VENDOR: ("cost", "cost_tax", "vendor_billed_seconds"),
}
_CALLS_CHANGED: Final = 100
"""Calls that a statement changes, each with some ten values."""
_ALIKE: Final = (
    "call_id", "position", "account", "role", "level", "currency", "reference", "corrected_at", "tax_rate_before",
    "tax_rate_after",
)  # fmt: skip
"""Fields of a corrected charge that are columns of its row."""


class NoSuchCall(VosError):  # noqa: N818 - states what was found
    """The call has no CDR."""


class SqlCorrections:
    """Corrects the charges of booked calls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_for(database)
        self._traffic = SqlTraffic(database)

    async def preview(self, corrections: Sequence[Correction]) -> list[CorrectedCharge]:
        """Return what ``book`` would change, and change nothing.

        Raises:
            NoSuchCall, NoSuchCharge, ReferenceTaken: as ``book``.
        """
        async with self._database.reading() as connection:
            return await _changes(connection, corrections, {})

    @repeated
    async def book(self, corrections: Sequence[Correction], audit: AuditLine | None = None) -> list[CorrectedCharge]:
        """Correct calls, all in one transaction or none; return the changed charges.

        ``audit`` is written with them, where anything is booked.

        A charge that is as wanted already is left out. A call of which a charge was corrected since the change was
        computed (``ChargeChange.follows``) stays as it is, and its changes are returned as overtaken. One that was
        corrected under the same reference is returned as it was booked then, and nothing is booked.

        Raises:
            NoSuchCall: a call has no CDR, or was dropped meanwhile because its time was over.
            NoSuchCharge: a call has no charge for that party.
            ReferenceTaken: the reference has corrected the call otherwise.
            OtherCurrency: an account has its money in another currency than the charge.
            BalanceTooLarge: an amount, or the balance of an account with it, fits in no column.
            ContentRefused: an amount has too many digits, or a text cannot be stored.
            StoreUnavailable: as far as is known nothing was booked; try again with the same reference.
        """
        async with self._database.writing() as connection:
            counted = await locked_mark(connection)
            mark = await self._writer.take_numbers(connection, 1)
            await _lock_calls(connection, {each.call_id for each in corrections})
            stored: dict[str, CallRecord] = {}
            changes = await _changes(connection, corrections, stored)
            new = [each for each in changes if each.is_new]
            if new:
                names = sorted({each.account for each in new})
                accounts = await lock_accounts(connection, names, mark, {each.account: each.currency for each in new})
                _check_currencies(new, accounts)
                await self._traffic.take_out(connection, counted, {each.call_id for each in new})
                await _post(connection, new, accounts, mark)
                numbers = await self._numbers_for(connection, new)
                for call_ids in in_parts(numbers, _CALLS_CHANGED):
                    some = [each for each in new if each.call_id in call_ids]
                    await _update_calls(connection, some, stored, {each: numbers[each] for each in call_ids})
                await connection.execute(insert(_correction), [_row(each) for each in new])
                await note(connection, audit)
        return changes

    async def _numbers_for(self, connection: AsyncConnection, changes: Iterable[CorrectedCharge]) -> Mapping[str, int]:
        """Return new export numbers of corrected calls: a program that has exported them reads them again (ADR 71)."""
        call_ids = list(dict.fromkeys(each.call_id for each in changes))
        last = await self._writer.take_numbers(connection, len(call_ids))
        return dict(zip(call_ids, range(last - len(call_ids) + 1, last + 1), strict=True))

    async def history(self, call_id: str) -> list[CorrectedCharge]:
        """Return the corrections of a call, in the order in which they were made."""
        query = _with_sign().where(_correction.c.call_id == call_id).order_by(_correction.c.id)
        return [_made(row) for row in await self._database.rows(query)]


async def _lock_calls(connection: AsyncConnection, call_ids: Iterable[str]) -> None:
    """Lock the CDRs of calls until the transaction ends, in the order in which they are dropped and masked.

    A correction of a call that is dropped at the same time then waits, and finds no call; it would otherwise be booked
    for a call that is gone. In SQLite the transaction has locked out all others already.
    """
    wanted = sorted(call_ids)
    for start in range(0, len(wanted), CALLS_AT_ONCE):
        some = schema.cdr.c.call_id.in_(wanted[start : start + CALLS_AT_ONCE])
        await connection.execute(
            select(schema.cdr.c.call_id).where(some).order_by(schema.cdr.c.call_id).with_for_update()
        )


async def _changes(
    connection: AsyncConnection, corrections: Sequence[Correction], stored: dict[str, CallRecord]
) -> list[CorrectedCharge]:
    """Return what corrections change; ``stored`` is filled with the records of their calls."""
    call_ids = {each.call_id for each in corrections}
    stored.update({call.record.call_id: call.record for call in await calls_with_ids(connection, call_ids)})
    earlier = await _earlier(connection, call_ids)
    found: list[CorrectedCharge] = []
    for correction in corrections:
        identifying(correction.reference, REFERENCE_MAX)
        record = stored.get(correction.call_id)
        if record is None:
            message = f"call {correction.call_id} has no CDR: book what is wrong as an adjustment (vosd payment add)"
            raise NoSuchCall(message)
        history = earlier.get(correction.call_id, ())
        tax_rates = {each.position: each.tax_rate_after for each in history}
        changes = corrected(with_breakdowns(record), correction, tax_rates)
        if any(each.reference == correction.reference for each in history):
            changes = _repeated(correction, changes, history)
        elif _is_overtaken(correction, history):  # as a whole: a repeat corrects it once under the same reference
            changes = [each._replace(is_overtaken=True) for each in changes]
        found += changes
    return found


def _with_sign() -> Select[Any]:
    """Select corrections, each with whether its charge is what a partner earns."""
    same = and_(_charge.c.call_id == _correction.c.call_id, _charge.c.position == _correction.c.position)
    return select(_correction, _charge.c.earned).join(_charge, same)


async def _earlier(connection: AsyncConnection, call_ids: Iterable[str]) -> dict[str, list[CorrectedCharge]]:
    """Return the corrections of each call, in the order in which they were made."""
    query = _with_sign().where(_correction.c.call_id.in_(list(call_ids))).order_by(_correction.c.id)
    found: dict[str, list[CorrectedCharge]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.call_id, []).append(_made(row))
    return found


def _is_overtaken(correction: Correction, history: Sequence[CorrectedCharge]) -> bool:
    """Return whether a charge was corrected since its change was computed."""
    latest = {(each.role, each.level): each.reference for each in history}
    return any(
        each.follows is not None and each.follows != latest.get((each.role, each.level), "")
        for each in correction.changes
    )


def _repeated(
    correction: Correction, changes: Sequence[CorrectedCharge], history: Sequence[CorrectedCharge]
) -> list[CorrectedCharge]:
    """Return what was booked under the reference; ``changes`` is what would be changed now.

    Raises:
        ReferenceTaken: something else was booked under it, or more is wanted now.
    """
    booked = [each for each in history if each.reference == correction.reference]
    wanted = {(change.role, change.level): change.after for change in correction.changes}
    is_other = any(wanted.get((each.role, each.level)) != each.after for each in booked)
    # A charge that was as wanted already was not booked then, and may have been corrected since.
    later = history[history.index(booked[-1]) + 1 :]
    then = {each.position: each.before for each in reversed(later)}
    places = {each.position for each in booked}
    if is_other or any(then.get(each.position) != each.after for each in changes if each.position not in places):
        raise ReferenceTaken(f"reference {correction.reference} has corrected call {correction.call_id} otherwise")
    outdated = {each.position for each in changes}
    return [each._replace(is_repeated=True, is_outdated=each.position in outdated) for each in booked]


def _check_currencies(changes: Iterable[CorrectedCharge], accounts: Mapping[str, LockedAccount]) -> None:
    for each in changes:
        held = accounts[each.account].currency
        if held is not None and each.currency is not None and held != each.currency:
            raise OtherCurrency(f"account {each.account} has its money in {held}, the charge is in {each.currency}")


async def _post(
    connection: AsyncConnection, changes: Iterable[CorrectedCharge], accounts: Mapping[str, LockedAccount], mark: int
) -> None:
    """Append the entries, and set the balances of the locked accounts.

    Raises:
        BalanceTooLarge: an amount, or a balance with it, fits in no column.
    """
    standings = {name: account.standing for name, account in accounts.items()}
    entries = []
    for each in changes:
        if not each.is_booked:
            continue
        before = standings[each.account]
        after = standings[each.account] = Standing(before.balance + each.amount, before.seq + 1)
        check_size(each.account, each.amount, after.balance, connection.dialect.name)
        entries.append(
            {
                "account": each.account,
                "seq": after.seq,
                "amount": each.amount,
                "balance_after": after.balance,
                "kind": EntryKind.CORRECTION.value,
                "reference": f"{each.reference}/{reference_of(each.call_id, each.role, each.level)}",
                "call_id": each.call_id,
                "operator": descriptive(each.operator, NAME_LENGTH),
                "memo": descriptive(each.memo, schema.MEMO_LENGTH),
                "created_at": each.corrected_at,
                "currency": each.currency or accounts[each.account].currency,
                "tax": each.tax,
            }
        )
    if not entries:
        return
    await connection.execute(insert(schema.ledger_entry), entries)
    moved = [
        {"name": name, "balance_now": standing.balance, "seq_now": standing.seq}
        for name, standing in standings.items()
        if standing != accounts[name].standing
    ]
    table = schema.account
    statement = update(table).where(table.c.id == bindparam("name"))
    values = {"balance": bindparam("balance_now"), "seq": bindparam("seq_now"), "changed": mark}
    await connection.execute(statement.values(values), moved)


async def _update_calls(
    connection: AsyncConnection,
    changes: Sequence[CorrectedCharge],
    stored: Mapping[str, CallRecord],
    numbers: Mapping[str, int],
) -> None:
    """Show the corrected amounts in the charges, and in the CDR those of customer and vendor, with its new number.

    A statement has all calls: one for each call and table would be a trip to the database each.
    """
    for position in sorted({each.position for each in changes}):
        of_place = {each.call_id: each.after for each in changes if each.position == position}
        times = Counter(each.call_id for each in changes if each.position == position)
        values: dict[str, Any] = {
            "fee": _of_calls(_charge.c.fee, _charge, {call: after.fee for call, after in of_place.items()}),
            "tax": _of_calls(_charge.c.tax, _charge, {call: after.tax for call, after in of_place.items()}),
            "billed_seconds": _of_calls(
                _charge.c.billed_seconds, _charge, {call: after.billed_seconds for call, after in of_place.items()}
            ),
            "corrected": _charge.c.corrected + _of_calls(literal(0, Integer), _charge, times),
        }
        own = _charge.c.call_id.in_(list(of_place)) & (_charge.c.position == position)
        await connection.execute(update(_charge).where(own).values(values))
    cdr = schema.cdr
    wanted: dict[str, dict[str, Any]] = {name: {} for columns in _columns_of_cdr.values() for name in columns}
    fees: dict[str, dict[int, Decimal]] = {}
    for each in changes:
        for name, value in zip(_columns_of_cdr.get(each.role, ()), each.after, strict=False):
            wanted[name][each.call_id] = value
        fees.setdefault(each.call_id, {})[each.position] = each.after.fee
    losses = {call_id: _loss_after(stored[call_id], after) for call_id, after in fees.items()}
    wanted |= {
        "loss": losses,
        "loss_currency": {call: _loss_currency_after(stored[call], loss) for call, loss in losses.items()},
        "export_seq": dict(numbers),
    }
    columns = {name: _of_calls(cdr.c[name], cdr, by_call) for name, by_call in wanted.items() if by_call}
    await connection.execute(update(cdr).where(cdr.c.call_id.in_(list(fees))).values(columns))


def _of_calls(column: ColumnElement[Any], table: Table, values: Mapping[str, Any]) -> ColumnElement[Any]:
    """Return the value of each call by its id; that of the column for other calls."""
    own = table.c.call_id
    wanted = ((literal(call_id, own.type), literal(value, column.type)) for call_id, value in values.items())
    return case(*wanted, value=own, else_=column)


def _loss_after(record: CallRecord, fees: Mapping[int, Decimal]) -> Decimal | None:
    """Return the loss of a call with other fees, by the position of their charges.

    A call that the vendor has answered and the caller has not charges the vendor alone: it brings nothing. Without the
    exchange rate between two currencies, as in records of earlier versions, the loss is not known any more.
    """
    if record.rate_group in {None, FREE_NUMBER}:
        return record.loss
    charges = dict(enumerate(record.charges, start=1))
    amounts = {place: fees.get(place, charge.fee) for place, charge in charges.items()}
    cost = next((amounts[place] for place, charge in charges.items() if charge.role == VENDOR), ZERO)
    sold_by = {charge.level: place for place, charge in charges.items() if charge.role != VENDOR}
    sold = sold_by[max(sold_by)] if sold_by else None
    income, before = (ZERO, ZERO) if sold is None else (amounts[sold], charges[sold].fee)
    if record.cost_rate is not None:
        return loss_of(income, cost, Decimal(record.cost_rate))
    if _has_one_currency(record, None if sold is None else charges[sold]):
        return loss_of(income, cost, None)
    return record.loss if (income, cost) == (before, record.cost) else None


def _loss_currency_after(record: CallRecord, loss: Decimal | None) -> str | None:
    """Return the currency of the loss of a corrected call; a call that ended without loss has none in its record."""
    if loss is None or record.loss_currency is not None:
        return record.loss_currency
    if any(charge.role != VENDOR for charge in record.charges):
        return sold_in(record)
    if record.cost_rate is None:
        return record.vendor_currency if _has_one_currency(record, None) else None
    # Where the customer pays in the vendor's currency, it is an agent, which is not in the record, who pays in another.
    return record.currency if record.currency != record.vendor_currency else None


def _has_one_currency(record: CallRecord, sold: ChargeRow | None) -> bool:
    """Return whether income and cost of a call without an exchange rate have one currency.

    Without a charge of the side that pays, its currency may be that of an agent, which is not in the record: the loss
    is then the cost itself where both are the same.
    """
    if sold is not None:
        return sold.currency == record.vendor_currency
    return record.loss == record.cost if record.cost else record.currency == record.vendor_currency


def _row(change: CorrectedCharge) -> dict[str, Any]:
    return {name: getattr(change, name) for name in _ALIKE} | {
        "fee_before": change.before.fee,
        "fee_after": change.after.fee,
        "tax_before": change.before.tax,
        "tax_after": change.after.tax,
        "seconds_before": change.before.billed_seconds,
        "seconds_after": change.after.billed_seconds,
        "operator": descriptive(change.operator, NAME_LENGTH),
        "memo": descriptive(change.memo, schema.MEMO_LENGTH),
    }


def _made(row: Any) -> CorrectedCharge:
    return CorrectedCharge(
        before=Amounts(row.fee_before, row.tax_before, row.seconds_before),
        after=Amounts(row.fee_after, row.tax_after, row.seconds_after),
        operator=row.operator,
        memo=row.memo,
        earned=row.earned,
        **{name: getattr(row, name) for name in _ALIKE},
    )
