"""The statements behind a listing of calls: the keys of the calls that fit a filter, newest first.

Every filter uses an index of ``schema.cdr``. Account, gateway, reason and time walk theirs from the newest call back
until the limit is reached; a SIP Call-ID is one entry. A number is a range, which is not in the order of time. A
database that sees the limit therefore likes to walk the whole table by time until it has met enough calls, which
takes the longest where they are few and old. So numbers are sought twice: among the newest calls only, and, where
those are not enough, over the range of the number with its order hidden.

A listing that continues after a call begins at that call's key, not at a count of rows. Executes nothing.
"""

from itertools import product
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, union
from sqlalchemy.sql.selectable import FromClause

from vosd.base.number import for_matching
from vosd.storage import schema
from vosd.storage.ports import CallFilter, CallPosition
from vosd.storage.types import descriptive

NEWEST_SEARCHED: Final = 10_000
"""Calls that are read to find a number among the newest: a twentieth of a second."""
RECENT_LIMIT_MAX: Final = 1_000
"""A longer listing is hardly ever filled by the newest calls."""

_LAST_CHARACTER: Final = "\U0010ffff"
_SEARCHED_AT_MOST: Final = 1_000


def newest(wanted: CallFilter) -> Select[Any]:
    """Return the statement for the keys ``started_at``, ``call_id`` of the calls that fit.

    It is a union of arms, one for each way in which "either column" can be true: an OR over two columns would make
    the database choose between no index and no order.
    """
    table = schema.cdr
    hide_order = _seeks_number(wanted)
    arms = [
        select(table.c.started_at, table.c.call_id)
        .where(*_at_the_time(wanted, table), *conditions)
        .order_by(*_newest_first(table, hidden=hide_order))
        .limit(wanted.limit)
        for conditions in _alternatives(wanted, table)
    ]
    if len(arms) == 1:
        return arms[0]
    found = union(*(select(arm.subquery()) for arm in arms)).subquery()
    return select(found).order_by(*_newest_first(found)).limit(wanted.limit)


def newest_of_recent(wanted: CallFilter) -> Select[Any] | None:
    """Return the statement for the same keys among the newest ``NEWEST_SEARCHED`` calls of the time that is wanted.

    Where it finds as many as the limit, they are the answer. None where ``newest`` is as quick, or quicker.
    """
    if not _seeks_number(wanted) or wanted.limit > RECENT_LIMIT_MAX:
        return None
    table = schema.cdr
    recent = (
        select(table)
        .where(*_at_the_time(wanted, table))
        .order_by(*_newest_first(table))
        .limit(NEWEST_SEARCHED)
        .subquery("recent")
    )
    fitting = or_(*(and_(*conditions) for conditions in _alternatives(wanted, recent)))
    found = select(recent.c.started_at, recent.c.call_id).where(fitting)
    return found.order_by(*_newest_first(recent)).limit(wanted.limit)


def as_stored(text: str) -> str:
    """Spell what was typed as it would have been stored, so that bytes that are no text can be searched."""
    return descriptive(text, _SEARCHED_AT_MOST)


def _seeks_number(wanted: CallFilter) -> bool:
    return wanted.sip_call_id is None and (wanted.caller is not None or wanted.callee is not None)


def _newest_first(table: FromClause, *, hidden: bool = False) -> tuple[ColumnElement[Any], ...]:
    """Return the order of a listing; ``hidden`` spells it so that no index is seen to have it."""
    started_at = table.c.started_at
    key = func.coalesce(started_at, started_at) if hidden else started_at
    return key.desc(), table.c.call_id.desc()


def _at_the_time(wanted: CallFilter, table: FromClause) -> list[ColumnElement[bool]]:
    started_at = table.c.started_at
    return [
        *([started_at >= wanted.since] if wanted.since is not None else []),
        *([started_at < wanted.until] if wanted.until is not None else []),
        *(_after(wanted.before, table) if wanted.before is not None else []),
    ]


def _after(position: CallPosition, table: FromClause) -> list[ColumnElement[bool]]:
    """Say that a call is listed after a position, in two parts, of which the first is a range of an index."""
    started_at = table.c.started_at
    return [
        started_at <= position.started_at,
        or_(started_at < position.started_at, table.c.call_id < position.call_id),
    ]


def _alternatives(wanted: CallFilter, table: FromClause) -> list[list[ColumnElement[bool]]]:
    """Return the ways in which a call of the wanted time can fit, each as what must hold."""
    cdr = table.c
    always = [cdr.end_reason == as_stored(wanted.reason)] if wanted.reason is not None else []
    ways = product(
        _either(wanted.account, cdr.customer_account, cdr.vendor_account),
        _either(wanted.gateway, cdr.mapping_gateway, cdr.routing_gateway),
        _either(wanted.sip_call_id, cdr.sip_call_id_in, cdr.sip_call_id_out),
        _beginning(wanted.caller, cdr.caller_in),
        _beginning(wanted.callee, cdr.callee_in),
    )
    return [[*always, *(condition for condition in way if condition is not None)] for way in ways]


def _either(value: str | None, *columns: ColumnElement[Any]) -> list[ColumnElement[bool] | None]:
    return [None] if value is None else [column == as_stored(value) for column in columns]


def _beginning(number: str | None, column: ColumnElement[Any]) -> list[ColumnElement[bool] | None]:
    """Say that the column begins with the number, as ranges, which use an index where LIKE may not."""
    if number is None:
        return [None]
    digits = for_matching(as_stored(number))
    return [and_(column >= start, column < start + _LAST_CHARACTER) for start in (digits, f"+{digits}")]
