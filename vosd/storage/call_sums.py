"""Sums of calls by prefixes of numbers, made of the calls themselves: sums of quarters of an hour have no numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, literal, not_, or_, select
from sqlalchemy.sql.selectable import Select

from vosd.base.cause import EndReason
from vosd.cdr.masking import KEPT, MASK
from vosd.storage import schema
from vosd.storage.among import among
from vosd.storage.database import SqlStore
from vosd.storage.dropped import check_there, check_unmasked, dropped_before
from vosd.storage.listing import area_of
from vosd.storage.traffic_sums import Condition, TrafficRow
from vosd.traffic.counted import BANDS
from vosd.traffic.spans import ReportSpan

SHORT: Final = "masked"
"""In place of the prefix of a number of which masking has left fewer digits than are asked for."""

_cdr: Final = schema.cdr.c
_is_answered: Final = _cdr.answered_at.is_not(None)
_IS_COST_ALONE: Final = and_(
    _cdr.routing_gateway.is_not(None),
    or_(
        _cdr.mapping_gateway.is_(None),
        and_(_cdr.customer_account.is_(None), _cdr.end_reason == EndReason.CANCELLED.text),
    ),
)
"""Whether a CDR is no call: ``is_test`` and ``is_cost_of_another`` of ``TrafficCall``."""


def _in_band(number: int) -> ColumnElement[bool]:
    held = _cdr.hold_time_s
    above = [held > BANDS[number - 1]] if number else []
    below = [held <= BANDS[number]] if number < len(BANDS) else []
    return and_(_is_answered, *above, *below)


def _counted(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


_MEASURES: Final[Mapping[str, ColumnElement[Any]]] = {
    "calls": func.count(),
    "answered": func.count(_cdr.answered_at),
    "hold_ms": func.coalesce(func.sum(case((_is_answered, _cdr.hold_time_ms), else_=0)), 0),
    **{f"band_{number}": _counted(_in_band(number)) for number in range(len(BANDS) + 1)},
}
"""Measures of ``vosd.traffic.counted`` that can be made here."""
_COMMON: Final[Mapping[str, ColumnElement[Any]]] = {
    **{name: _cdr[name] for name in ("customer_account", "vendor_account", "mapping_gateway", "routing_gateway")},
    "area": area_of(schema.cdr),
    "end_reason": _cdr.end_reason,
    "hangup_source": case((_is_answered, ""), else_=_cdr.hangup_source),
}
"""Values by which calls are chosen, named as in ``TrafficKey``."""


class PrefixQuery(NamedTuple):
    """Sums by the first digits of numbers; a number of digits that is None leaves the number out."""

    caller_digits: int | None
    callee_digits: int | None
    measures: tuple[str, ...]
    where: Sequence[Condition] = ()
    caller: str = ""
    """Beginning of the calling numbers; empty = of any."""
    callee: str = ""


class SqlCallSums(SqlStore):
    """Adds up the calls of a time by prefixes."""

    async def rows(
        self, spans: Sequence[ReportSpan], query: PrefixQuery, rows_max: int
    ) -> tuple[int, list[TrafficRow]]:
        """Return the number of the latest commit, and the sums of each span by prefixes, in no order.

        Prefixes are that of the caller and that of the callee, as far as they are asked for. Where there are more than
        ``rows_max`` rows, those that follow are left out. Numbers of which masking has left fewer digits are one row.

        Raises:
            DroppedPeriod: calls of a span were dropped, or their numbers are masked.
            StoreUnavailable: the database is away, or the report takes too long.
        """
        found: list[TrafficRow] = []
        async with self._database.searching(unhurried=True) as connection:
            dropped, since = await dropped_before(connection), min(span.since for span in spans)
            check_there(dropped.calls, since, "calls")
            if query.caller or query.callee or max(query.caller_digits or 0, query.callee_digits or 0) > KEPT:
                check_unmasked(dropped.numbers, since)
            mark = await connection.scalar(select(func.max(_cdr.export_seq))) or 0
            for number, span in enumerate(spans):
                if len(found) > rows_max:
                    break
                statement = _statement(span, query, dropped.numbers).limit(rows_max + 1)
                for row in await connection.execute(statement):
                    width = len(row) - len(query.measures)
                    found.append(TrafficRow(number, tuple(row[:width]), tuple(map(int, row[width:]))))
        return int(mark), found


def _statement(span: ReportSpan, query: PrefixQuery, masked_until: int) -> Select[Any]:
    callee = func.coalesce(_cdr.callee_billing, _cdr.callee_in)
    numbers = ((_cdr.caller_in, query.caller_digits), (callee, query.callee_digits))
    by: list[ColumnElement[Any]] = [
        _prefix(number, digits, span, masked_until) for number, digits in numbers if digits is not None
    ]
    where = [_cdr.started_at >= span.since, _cdr.started_at < span.until, not_(_IS_COST_ALONE)]
    for number, begin in ((_cdr.caller_in, query.caller), (callee, query.callee)):
        if begin:
            where.append(func.substr(number, 1, len(begin)) == begin)
    for names, values in query.where:
        where.append(or_(*(among(_COMMON[name], values) for name in names)))
    return select(*by, *(_MEASURES[name] for name in query.measures)).where(*where).group_by(*by)


def _prefix(number: ColumnElement[str], digits: int, span: ReportSpan, masked_until: int) -> ColumnElement[str]:
    """Return the first digits of a number, and ``SHORT`` where a short one has lost some of them."""
    prefix = func.substr(number, 1, literal(digits))
    if span.since >= masked_until:
        return prefix
    is_short = and_(_cdr.started_at < masked_until, func.instr(prefix, MASK) > 0)
    return case((is_short, literal(SHORT)), else_=prefix)
