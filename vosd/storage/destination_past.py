"""Past use of destinations: sums of answered calls by the first digits of the called number.

Calls to free numbers are left out, as they are while they run. Every query is of one account and bounded in time; it
reads the index over account and start.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Row, Select, String, func, literal, or_, select, type_coerce, union_all

from vosd.base.money import ZERO
from vosd.billing.destination_past import PastUsage, Span
from vosd.billing.destinations import Usage
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.storage import schema
from vosd.storage.database import SqlStore
from vosd.storage.sums import money_sum

_cdr: Final = schema.cdr.c


class SqlDestinationPast(SqlStore):
    """Implements ``vosd.billing.destination_past.DestinationPast``."""

    async def first_call(self, account: str) -> int | None:
        """Return when the first call of an account arrived that the database has, UTC milliseconds; None = none."""
        query = select(_cdr.started_at).where(_cdr.customer_account == account).order_by(_cdr.started_at).limit(1)
        found = await self._database.value(query, unhurried=True)
        return None if found is None else int(found)

    async def begun_in(self, account: str, spans: Sequence[Span], digits: int) -> list[PastUsage]:
        """Return what the answered calls of an account used that began in each of the spans."""
        if not spans:
            return []
        parts = [_sums(account, place, span, digits) for place, span in enumerate(spans)]
        return _read(await self._database.rows(union_all(*parts), unhurried=True))

    async def ended_in(self, account: str, span: Span, digits: int, longest_ms: int) -> list[PastUsage]:
        """Return what answered calls of an account used that ended in a span; none is longer than ``longest_ms``."""
        begun = Span(span.begin - longest_ms, span.end)
        query = _sums(account, 0, begun, digits).where(_cdr.ended_at >= span.begin, _cdr.ended_at < span.end)
        return _read(await self._database.rows(query, unhurried=True))


def _sums(account: str, place: int, span: Span, digits: int) -> Select[Any]:
    first = func.substr(_cdr.callee_billing, 1, digits, type_=String)
    columns: tuple[ColumnElement[Any], ...] = (
        literal(place).label("place"),
        first.label("digits"),
        func.count().label("calls"),
        type_coerce(func.sum(_cdr.hold_time_ms), Integer).label("talk_ms"),
        money_sum(_cdr.fee).label("fee"),
        money_sum(_cdr.tax).label("tax"),
    )
    return (
        select(*columns)
        .where(
            _cdr.customer_account == account,
            _cdr.started_at >= span.begin,
            _cdr.started_at < span.end,
            _cdr.answered_at.is_not(None),
            _cdr.callee_billing.is_not(None),
            or_(_cdr.rate_group.is_(None), _cdr.rate_group != FREE_NUMBER),
        )
        .group_by(first)
    )


def _read(rows: Iterable[Row[Any]]) -> list[PastUsage]:
    return [
        PastUsage(row.place, row.digits, Usage(row.calls, int(row.talk_ms), (row.fee or ZERO) + (row.tax or ZERO)))
        for row in rows
    ]
