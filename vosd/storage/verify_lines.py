"""Lines of an audit: amounts, tax and currency that two places say of an account in a call, added up and compared.

All calls are compared by few columns, and only those that differ by all of them. It does not know which places are
compared (``verify``, ``verify_charges``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from vosd.base.money import ZERO
from vosd.cdr.kinds import CURRENCY_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.sums import fitting_sum, money_sum
from vosd.storage.types import Money

Within = Callable[[ColumnElement[Any]], ColumnElement[bool]]
"""Condition for a column with call ids: which calls are audited."""

_Mark = TypeVar("_Mark", int, str)

_entry: Final = schema.ledger_entry.c
_CALL_ID: Final = schema.cdr.c.call_id.type
_AFTER: Final = bindparam("after", type_=_CALL_ID)
_LAST: Final = bindparam("last", type_=_CALL_ID)
_CALLS: Final = bindparam("calls", type_=_CALL_ID, expanding=True)


class Unlikeness(Enum):
    """Kinds of values in which two places differ."""

    AMOUNT = "amount"
    TAX = "tax"
    CURRENCY = "currency"
    SECONDS = "billed seconds"


class Unequal(NamedTuple):
    """An account of a call for which two places differ; amounts are signed as in the ledger.

    Currencies have no amounts: both are zero.
    """

    call_id: str
    account: str
    expected: Decimal
    found: Decimal
    what: Unlikeness = Unlikeness.AMOUNT


class AuditedAmount(NamedTuple):
    """An amount with its tax, both signed as in the ledger."""

    total: ColumnElement[Any]
    tax: ColumnElement[Any]
    """Null where an earlier version has not written it: the taxes of the account in the call are not compared then."""
    currency: ColumnElement[Any] | None = None


class AuditedLine(NamedTuple):
    """A line for each row of a place."""

    call_id: ColumnElement[Any]
    account: ColumnElement[Any]
    amount: AuditedAmount
    where: Sequence[ColumnElement[bool]]
    is_found: bool = False
    """Whether the place is audited; else it is believed."""
    role: str | ColumnElement[Any] | None = None
    """Accounts are compared in each role by itself; None = in all together."""
    seconds: ColumnElement[Any] | None = None
    """Billed seconds; they are compared where the audited place has a row."""
    joined: FromClause | None = None


class AuditedCalls(NamedTuple):
    """Calls that are audited at a time: a condition, and the values of its parameters."""

    within: Within
    values: Mapping[str, object]


def calls_behind(after: str, last: str | None) -> AuditedCalls:
    """Return the calls behind one, up to another one; None = all of them."""
    return (
        AuditedCalls(_behind, {"after": after})
        if last is None
        else AuditedCalls(_up_to, {"after": after, "last": last})
    )


def these_calls(calls: Iterable[str]) -> AuditedCalls:
    """Return some calls."""
    return AuditedCalls(_among, {"calls": sorted(set(calls))})


def _behind(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column > _AFTER


def _up_to(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(column > _AFTER, column <= _LAST)


def _among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column.in_(_CALLS)


def charged(fee: ColumnElement[Any], tax: ColumnElement[Any], currency: ColumnElement[Any]) -> AuditedAmount:
    """Return what an account pays for a fee and a tax.

    The currency counts only where there is an amount: what costs nothing may be rated in any.
    """
    return AuditedAmount(-(fee + tax), -tax, case((fee + tax != literal(ZERO, Money), currency)))


def booked(*where: ColumnElement[bool]) -> AuditedLine:
    """Return the line of ledger entries."""
    amount = AuditedAmount(_entry.amount, _entry.tax, _entry.currency)
    return AuditedLine(_entry.call_id, _entry.account, amount, where, is_found=True)


async def differences(
    connection: AsyncConnection,
    lines_of: Callable[[Within, _Mark], Sequence[AuditedLine]],
    mark: _Mark,
    calls: AuditedCalls,
) -> list[Unequal]:
    """Return where the lines of some calls differ: the first of amount, tax, currency and seconds of each account.

    ``lines_of`` is the same function for all calls, and ``mark`` what it needs to know: its statements are kept.
    """
    unlike = list(await connection.scalars(_unlike(lines_of, mark, calls.within), calls.values))
    if not unlike:
        return []
    some = these_calls(unlike)
    rows = await connection.execute(_compared(lines_of(some.within, mark)), some.values)
    return [found for found in map(_difference, rows) if found is not None]


@lru_cache(maxsize=16)
def _unlike(lines_of: Callable[[Within, Any], Sequence[AuditedLine]], mark: object, within: Within) -> Select[Any]:
    """Select the ids of the calls whose lines may differ; the same statement for all ranges of an audit."""
    lines = lines_of(within, mark)
    has_role, has_seconds = (
        any(each.role is not None for each in lines),
        any(each.seconds is not None for each in lines),
    )
    every = union_all(*(_short(each, has_role=has_role, has_seconds=has_seconds) for each in lines)).subquery().c
    unlike = [
        fitting_sum(every.total) != literal(ZERO, Money),
        and_(fitting_sum(every.tax) != literal(ZERO, Money), func.count(every.tax) == func.count()),
        func.min(every.currency) != func.max(every.currency),
    ]
    if has_seconds:
        unlike.append(func.sum(every.seconds) != 0)
    of_role = [every.role] if has_role else []
    return select(every.call_id).group_by(every.call_id, every.account, *of_role).having(or_(*unlike))


def _short(line: AuditedLine, *, has_role: bool, has_seconds: bool) -> Select[Any]:
    """Select amounts that add up to zero where both places say the same."""

    def signed(value: ColumnElement[Any]) -> ColumnElement[Any]:
        return -value if line.is_found else value

    columns = [
        line.call_id.label("call_id"),
        line.account.label("account"),
        type_coerce(signed(line.amount.total), Money).label("total"),
        type_coerce(signed(line.amount.tax), Money).label("tax"),
        _currency(line),
    ]
    if has_role:
        columns.append(_role(line))
    if has_seconds:
        columns.append((literal(0, Integer) if line.seconds is None else signed(line.seconds)).label("seconds"))
    return _rows(line, columns)


def _compared(lines: Iterable[AuditedLine]) -> Select[Any]:
    """Select what both places say of each account of some calls."""
    every = union_all(*map(_long, lines)).subquery().c
    currency = func.min(every.currency) != func.max(every.currency)
    columns = select(
        every.call_id,
        every.account,
        money_sum(every.expected).label("expected"),
        money_sum(every.found).label("found"),
        money_sum(every.expected_tax).label("expected_tax"),
        money_sum(every.found_tax).label("found_tax"),
        case((func.count(every.found_tax) == func.count(), 1), else_=0).label("is_taxed"),
        case((currency, 1), else_=0).label("is_other_currency"),
        func.sum(every.expected_seconds).label("expected_seconds"),
        func.sum(every.found_seconds).label("found_seconds"),
    )
    return columns.group_by(every.call_id, every.account, every.role)


def _long(line: AuditedLine) -> Select[Any]:
    amount, tax, seconds = line.amount.total, line.amount.tax, line.seconds
    nothing, none = literal(ZERO, Money), type_coerce(null(), Integer)
    believed = (nothing, nothing, none) if line.is_found else (amount, tax, seconds)
    audited = (amount, tax, seconds) if line.is_found else (nothing, nothing, none)
    columns = [line.call_id.label("call_id"), line.account.label("account"), _role(line), _currency(line)]
    for name, (total, of_tax, time) in (("expected", believed), ("found", audited)):
        columns.append(type_coerce(total, Money).label(name))
        columns.append(type_coerce(of_tax, Money).label(f"{name}_tax"))
        columns.append((none if time is None else time).label(f"{name}_seconds"))
    return _rows(line, columns)


def _difference(row: Any) -> Unequal | None:
    if row.expected != row.found:
        return Unequal(row.call_id, row.account, row.expected, row.found)
    if row.is_taxed and row.expected_tax != row.found_tax:
        return Unequal(row.call_id, row.account, row.expected_tax, row.found_tax, Unlikeness.TAX)
    if row.is_other_currency:
        return Unequal(row.call_id, row.account, ZERO, ZERO, Unlikeness.CURRENCY)
    if row.found_seconds is not None and row.expected_seconds != row.found_seconds:
        seconds = Decimal(row.expected_seconds or 0), Decimal(row.found_seconds)
        return Unequal(row.call_id, row.account, *seconds, Unlikeness.SECONDS)
    return None


def _rows(line: AuditedLine, columns: Iterable[ColumnElement[Any]]) -> Select[Any]:
    query = select(*columns)
    return (query if line.joined is None else query.select_from(line.joined)).where(*line.where)


def _role(line: AuditedLine) -> ColumnElement[Any]:
    role = "" if line.role is None else line.role
    return (literal(role) if isinstance(role, str) else role).label("role")


def _currency(line: AuditedLine) -> ColumnElement[Any]:
    currency = null() if line.amount.currency is None else line.amount.currency
    return type_coerce(currency, String(CURRENCY_LENGTH)).label("currency")
