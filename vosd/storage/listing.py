"""Statements of a listing of calls: the keys of the calls that fit a filter, newest first or oldest first (ADR 29).

Every filter uses an index of ``schema.cdr``. For account, gateway, reason and time the index is read from the newest
call back, or from the oldest one on, until the limit is reached; a SIP Call-ID is one entry. A number is a range of its
index, which is not in the order of time. A database that sees the limit would rather read the whole table by time until
it has found enough calls, which takes longest where the calls are few and come last. So a number is searched twice:
among the first calls only, and, if those are not enough, over the range of the number with the order hidden from the
database.

The calls of many customers are searched among the first calls, too, and then by the index of those customers whose
first call comes first, some of them at a time: with each part the page has a last call, up to which the next are read.
Where a criterion without an index leaves few calls, all calls of many customers are read at a time.

Neither calls sold below cost, nor answered ones, nor those of an area, of a type of rates, of a currency, of a final
code or of the side that ended them have an index: they are looked for among those that the other criteria leave.

A listing that continues after a call begins at that call's key, not at a count of rows. Executes nothing.
"""

from collections.abc import Collection
from dataclasses import replace
from itertools import product
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, false, func, literal, or_, select, true, union, union_all
from sqlalchemy.sql.selectable import FromClause

from vosd.base.number import for_matching
from vosd.cdr.retention import LONGEST_CALL_MS
from vosd.storage import schema
from vosd.storage.among import among
from vosd.storage.ports import CallFilter, CallPosition
from vosd.storage.types import descriptive

FIRST_SEARCHED: Final = 10_000
"""Calls at the beginning of a listing that are read to find a number: about 50 ms."""
RECENT_LIMIT_MAX: Final = 1_000
"""Greatest limit for which those calls are searched first; they seldom fill a longer listing."""
CUSTOMERS_APART: Final = 30
"""Most customers whose calls are searched one customer after the other."""
CUSTOMERS_NAMED: Final = 400
"""Most customers in a statement that reads the first call of each; SQLite takes 500 parts of a union."""

_BY_TIME: Final = "FORCE INDEX FOR ORDER BY (cdr_started)"
"""For the first of many calls the server would rather sort a table that is partitioned."""
_LAST_CHARACTER: Final = "\U0010ffff"
_SEARCHED_AT_MOST: Final = 1_000


def listed_keys(wanted: CallFilter) -> Select[Any]:
    """Return the statement for the keys ``started_at``, ``call_id`` of the calls that fit.

    It is a union of one query for each column that may match ("customer or vendor"): for an OR over two columns the
    database would use no index, or lose the order.
    """
    table = schema.cdr
    hide_order = _seeks_number(wanted) or are_many(wanted)
    arms = [
        select(table.c.started_at, table.c.call_id)
        .where(*_at_the_time(wanted, table), *conditions)
        .order_by(*in_order(wanted, table, hidden=hide_order))
        .limit(wanted.limit)
        for conditions in _alternatives(wanted, table)
    ]
    if len(arms) == 1:
        return arms[0]
    found = union(*(select(arm.subquery()) for arm in arms)).subquery()
    return select(found).order_by(*in_order(wanted, found)).limit(wanted.limit)


def keys_among_first(wanted: CallFilter) -> Select[Any] | None:
    """Return the statement for the same keys among the first ``FIRST_SEARCHED`` calls of the wanted time.

    If it finds as many as the limit, they are the result. None if ``listed_keys`` is as fast.
    """
    if not (_seeks_number(wanted) or are_many(wanted)) or wanted.limit > RECENT_LIMIT_MAX:
        return None
    table = schema.cdr
    recent = (
        select(table)
        .where(*_at_the_time(wanted, table))
        .order_by(*in_order(wanted, table))
        .limit(FIRST_SEARCHED)
        .with_hint(table, _BY_TIME, "mysql")
        .subquery("recent")
    )
    found = select(recent.c.started_at, recent.c.call_id).where(_has_all(wanted, recent))
    return found.order_by(*in_order(wanted, recent)).limit(wanted.limit)


def fits(wanted: CallFilter, table: FromClause) -> ColumnElement[bool]:
    """Return the condition that a call fits, which has no index: another condition says by which one calls are read.

    Without statistics SQLite would rather read all calls of an account than those of a minute.
    """
    return case((and_(true(), *_at_the_time(wanted, table), _has_all(wanted, table)), 1)) == 1


def are_many(wanted: CallFilter) -> bool:
    """Return whether a page is of so many customers that they are searched in parts.

    A listing of many customers alone has no index of its own: the databases would read all calls of each, or walk back
    by time until the page is full, through the whole table where these customers have stopped calling.
    """
    others = (
        wanted.account, wanted.customer, wanted.vendor, wanted.gateway, wanted.mapping_gateway, wanted.routing_gateway,
        wanted.caller, wanted.callee, wanted.reason, wanted.sip_call_id,
    )  # fmt: skip
    is_page = wanted.limit <= RECENT_LIMIT_MAX
    return is_page and len(wanted.customers or ()) > CUSTOMERS_APART and all(each is None for each in others)


def first_of_each(wanted: CallFilter, customers: Collection[str]) -> Select[Any]:
    """Return the statement for customers with the moment of the first call of each in the order of a listing.

    It is one entry of an index for each, so no criterion without an index is looked at: none that fits is before it.
    """
    cdr = schema.cdr
    named = union_all(*(select(literal(as_stored(name)).label("name")) for name in customers)).subquery("named")
    order, _ = in_order(wanted, cdr)
    first = (
        select(cdr.c.started_at)
        .where(cdr.c.customer_account == named.c.name, *_at_the_time(wanted, cdr))
        .order_by(order)
        .limit(1)
        .scalar_subquery()
    )
    return select(named.c.name, first.label("first"))


def within(wanted: CallFilter, last: int) -> CallFilter:
    """Return the same listing up to the calls that began at a moment, UTC milliseconds."""
    if wanted.oldest_first:
        until = last + 1 if wanted.until is None else min(wanted.until, last + 1)
        return replace(wanted, until=until)
    return replace(wanted, since=last if wanted.since is None else max(wanted.since, last))


def last_of_each(accounts: Collection[str], *, as_vendors: bool) -> Select[Any]:
    """Return the statement for the beginning of the last call of each account that has a row in ``account``.

    Each is the last entry of an account in the index of its role: the databases read all of its calls for a maximum.
    The order names both columns of the index, else MySQL sorts all calls of the account, or looks through all calls.
    """
    account, cdr = schema.account.c, schema.cdr.c
    roles = (cdr.customer_account, cdr.vendor_account) if as_vendors else (cdr.customer_account,)
    last = [
        select(cdr.started_at)
        .where(role == account.id)
        .order_by(role.desc(), cdr.started_at.desc())
        .limit(1)
        .scalar_subquery()
        for role in roles
    ]
    return select(account.id, *last).where(among(account.id, accounts))


def area_of(cdr: FromClause) -> ColumnElement[str]:
    """Return the area of the customer's rate of each call; where the rate has none, its prefix, else empty text."""
    return func.coalesce(func.nullif(cdr.c.rate_area, ""), cdr.c.rate_prefix, "")


def as_stored(text: str) -> str:
    """Write a search text as it would be stored, so that escaped bytes are found."""
    return descriptive(text, _SEARCHED_AT_MOST)


def _seeks_number(wanted: CallFilter) -> bool:
    return wanted.sip_call_id is None and (wanted.caller is not None or wanted.callee is not None)


def in_order(wanted: CallFilter, table: FromClause, *, hidden: bool = False) -> tuple[ColumnElement[Any], ...]:
    """Return the order of a listing; ``hidden`` writes it so that the database sees no index for it."""
    started_at, call_id = table.c.started_at, table.c.call_id
    key = func.coalesce(started_at, started_at) if hidden else started_at
    return (key.asc(), call_id.asc()) if wanted.oldest_first else (key.desc(), call_id.desc())


def _at_the_time(wanted: CallFilter, table: FromClause) -> list[ColumnElement[bool]]:
    started_at, ended_at = table.c.started_at, table.c.ended_at
    ended_since, ended_until = wanted.ended_since, wanted.ended_until
    return [
        # No index is of the end: that of the beginning says from where and up to where calls are read.
        *([ended_at >= ended_since, started_at >= ended_since - LONGEST_CALL_MS] if ended_since is not None else []),
        *([ended_at < ended_until, started_at < ended_until] if ended_until is not None else []),
        *([started_at >= wanted.since] if wanted.since is not None else []),
        *([started_at < wanted.until] if wanted.until is not None else []),
        *(_after(wanted.after, table, oldest_first=wanted.oldest_first) if wanted.after is not None else []),
    ]


def _after(position: CallPosition, table: FromClause, *, oldest_first: bool) -> list[ColumnElement[bool]]:
    """Return the condition that a call is listed after a position; its first part is a range of an index."""
    started_at, call_id = table.c.started_at, table.c.call_id
    if oldest_first:
        return [started_at >= position.started_at, or_(started_at > position.started_at, call_id > position.call_id)]
    return [started_at <= position.started_at, or_(started_at < position.started_at, call_id < position.call_id)]


def _has_all(wanted: CallFilter, table: FromClause) -> ColumnElement[bool]:
    return or_(*(and_(true(), *conditions) for conditions in _alternatives(wanted, table)))


def _alternatives(wanted: CallFilter, table: FromClause) -> list[list[ColumnElement[bool]]]:
    """Return the alternatives in which a call of the wanted time fits, each as a list of conditions."""
    cdr = table.c
    always = [cdr.end_reason == as_stored(wanted.reason)] if wanted.reason is not None else []
    if wanted.area is not None:
        always.append(area_of(table) == as_stored(wanted.area))
    if wanted.rate_type is not None:
        always.append(func.coalesce(cdr.rate_type, "") == wanted.rate_type)
    for column, wanted_in in ((cdr.currency, wanted.currencies), (cdr.vendor_currency, wanted.vendor_currencies)):
        if wanted_in is not None:
            always.append(func.coalesce(column, "").in_(sorted(wanted_in)))
    if wanted.sip_code is not None:
        always.append(func.coalesce(cdr.sip_code, 0) == wanted.sip_code)
    if wanted.hangup_source is not None:
        always.append(cdr.hangup_source == wanted.hangup_source)
    if wanted.answered is not None:
        always.append(cdr.answered_at.is_not(None) if wanted.answered else cdr.answered_at.is_(None))
    if wanted.loss:
        always.append(cdr.loss.is_not(None))
    ways = product(
        _paid_by(wanted.customers, cdr.customer_account),
        _either(wanted.account, cdr.customer_account, cdr.vendor_account),
        _either(wanted.customer, cdr.customer_account),
        _either(wanted.vendor, cdr.vendor_account),
        _either(wanted.mapping_gateway, cdr.mapping_gateway),
        _either(wanted.routing_gateway, cdr.routing_gateway),
        _either(wanted.gateway, cdr.mapping_gateway, cdr.routing_gateway),
        _either(wanted.sip_call_id, cdr.sip_call_id_in, cdr.sip_call_id_out),
        _beginning(wanted.caller, cdr.caller_in),
        _beginning(wanted.callee, cdr.callee_in),
    )
    return [[*always, *(condition for condition in way if condition is not None)] for way in ways]


def _either(value: str | None, *columns: ColumnElement[Any]) -> list[ColumnElement[bool] | None]:
    if value is None:
        return [None]
    if value.endswith(" "):  # MySQL ignores it, and what is stored in these columns ends in none
        return [false()]
    return [column == as_stored(value) for column in columns]


def _paid_by(customers: frozenset[str] | None, column: ColumnElement[Any]) -> list[ColumnElement[bool] | None]:
    """Return the condition that one of some customers pays: for few of them by the index of each, in its order."""
    if customers is None:
        return [None]
    names = [as_stored(name) for name in sorted(customers)]
    return [column == name for name in names] if 0 < len(names) <= CUSTOMERS_APART else [among(column, names)]


def _beginning(number: str | None, column: ColumnElement[Any]) -> list[ColumnElement[bool] | None]:
    """Return the condition that the column begins with the number, as ranges: LIKE may not use an index."""
    if number is None:
        return [None]
    digits = for_matching(as_stored(number))
    return [and_(column >= start, column < start + _LAST_CHARACTER) for start in (digits, f"+{digits}")]
