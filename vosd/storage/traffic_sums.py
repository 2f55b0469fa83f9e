"""Sums of calls as reports read them: of spans, by what calls have in common (ADR 133)."""

from collections.abc import Collection, Mapping, Sequence, Set
from sys import maxsize
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BindParameter,
    Integer,
    String,
    TextualSelect,
    bindparam,
    column,
    func,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.types import TypeEngine

from vosd.storage import schema
from vosd.storage.among import NAMED_APART, as_list, values_of
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SqlStore
from vosd.storage.dropped import check_sums_there
from vosd.storage.sums import SumParts, parts_of_sum, summed
from vosd.storage.types import Money
from vosd.traffic.counted import AMOUNTS, FIVES_OF_SLOT, KIND_NUMBERS, SLOT_MS, SLOTS_OF_DAY, TrafficKey, TrafficKind
from vosd.traffic.live_counts import PeakSide
from vosd.traffic.reports import REACHED
from vosd.traffic.spans import Piece, Pieces, ReportSpan, pieces_of

_PIECES_AT_ONCE: Final = 100
"""Pieces of one statement; SQLite takes at most 500."""
_PIECES_BY_DIGITS: Final = 10
"""Pieces of one statement where each may have ten thousand rows."""
_VALUES_AT_ONCE: Final = 10_000
"""Most values of conditions in one statement that has them for each piece; SQLite takes 32,766 parameters."""
_NUMBERS: Final = {"sip_code", "wait_ms", "minute"}
_zone_day: Final = schema.traffic_zone_day.c.slot
_COUNTERS: Final = select(schema.counter).where(schema.counter.c.name.in_([schema.TRAFFIC, schema.TRAFFIC_DAYS]))

_REACHED: Final = (
    "CASE WHEN k.end_reason IN ('Busy', 'Rejected') THEN s.calls "
    "WHEN s.progressed > 0 THEN s.progressed WHEN s.pdd_calls > s.answered THEN s.pdd_calls ELSE s.answered END"
)
"""Calls of a row that were answered, have rung, or were refused by the called party itself; sums by five minutes have
no ``progressed``."""


Condition = tuple[tuple[str, ...], Collection[str]]
"""Names, one of which must have one of the values."""


class TrafficQuery(NamedTuple):
    """Sums that a report asks for; all names are of ``TrafficKey`` and ``MEASURES``."""

    kind: TrafficKind
    by: tuple[str, ...]
    """Names whose values the calls of a row have in common."""
    measures: tuple[str, ...]
    where: Sequence[Condition] = ()
    area_digits: int | None = None
    """First characters of ``area`` that the calls of a row have in common; None = all of it."""
    area_begins: str = ""
    """Beginning of ``area``."""


class TrafficRow(NamedTuple):
    """Sums of the calls of a span that have something in common."""

    span: int
    """Number of the span."""
    by: tuple[str | int, ...]
    sums: tuple[Any, ...]
    """In the order of the query's measures."""


class SumsRead(NamedTuple):
    """Sums of one state of the database."""

    mark: int
    """Number of the latest commit that is in the sums of this state; a replica may be behind the database."""
    rows: list[list[TrafficRow]]
    """Rows by query."""


class PeakRow(NamedTuple):
    """Most calls of an object within a span."""

    span: int
    name: str
    concurrent: int
    per_second: int


class SqlTrafficSums(SqlStore):
    """Reads the sums of one state of the database."""

    async def rows(
        self,
        spans: Sequence[ReportSpan],
        queries: Sequence[TrafficQuery],
        rows_max: int = maxsize,
        *,
        may_lag: bool = True,
    ) -> SumsRead:
        """Return for each query the sums of its spans, of one state of the database, in no order.

        Of a query that has more than ``rows_max`` rows some more than these are returned, but not all. ``may_lag``:
        a replica may be read, which lacks what was added up a moment ago.

        Raises:
            DroppedSums: sums of then were dropped.
            StoreUnavailable: the database is away, or the report takes too long.
        """
        opened = self._database.searching if may_lag else self._database.reading
        async with opened(unhurried=True) as connection:
            await check_sums_there(connection, spans[0].since)
            days = select(_zone_day).where(
                _zone_day >= spans[0].since // SLOT_MS, _zone_day < spans[-1].until // SLOT_MS
            )
            counters = {row.name: row.value for row in await connection.execute(_COUNTERS)}
            zone_days = await connection.scalars(days)
            pieces = pieces_of(spans, counters.get(schema.TRAFFIC_DAYS, 0), {*zone_days})
            rows = [await _rows(connection, pieces, query, rows_max) for query in queries]
            return SumsRead(counters.get(schema.TRAFFIC, 0), rows)

    async def rows_by_five(self, spans: Sequence[ReportSpan], queries: Sequence[TrafficQuery]) -> SumsRead:
        """Return for each query the sums of spans of five minutes, as ``rows`` does.

        The kinds of the queries are such as are kept by five minutes, and the first span begins a quarter of an hour.

        Raises:
            DroppedSums: sums of then were dropped.
            StoreUnavailable: the database is away, or the report takes too long.
        """
        quarters = [ReportSpan(span.since, span.since + SLOT_MS, "") for span in spans[::FIVES_OF_SLOT]]
        read = await self.rows(quarters, [query._replace(by=("minute", *query.by)) for query in queries])
        rows = [
            [TrafficRow(row.span * FIVES_OF_SLOT + int(row.by[0]) // 5, row.by[1:], row.sums) for row in some]
            for some in read.rows
        ]
        return read._replace(rows=rows)

    async def area_prefixes(self) -> Mapping[str, str]:
        """Return the digits with which the prefixes of the rates of each area begin, by the name of the area."""
        area = schema.traffic_area
        async with self._database.searching(unhurried=True) as connection:
            return {row.area: row.prefix for row in await connection.execute(select(area.c.area, area.c.prefix))}

    async def peaks(self, spans: Sequence[ReportSpan], side: PeakSide) -> list[PeakRow]:
        """Return the peaks of gateways, or of the whole switch, in each span; one without calls has none.

        Raises:
            DroppedSums: sums of then were dropped.
            StoreUnavailable: the database is away, or the report takes too long.
        """
        table, found = schema.traffic_peak, []
        highest = func.max(table.c.concurrent), func.max(table.c.per_second)
        async with self._database.searching(unhurried=True) as connection:
            await check_sums_there(connection, spans[0].since)
            for start in range(0, len(spans), _PIECES_AT_ONCE):
                parts = []
                for number, span in enumerate(spans[start : start + _PIECES_AT_ONCE], start):
                    within = (table.c.slot >= span.since // SLOT_MS) & (table.c.slot < span.until // SLOT_MS)
                    part = select(literal(number), table.c.name, *highest).where(within, table.c.side == side.value)
                    parts.append(part.group_by(table.c.name))
                found += [PeakRow(*row) for row in await connection.execute(union_all(*parts))]
        return found


async def _rows(connection: AsyncConnection, pieces: Pieces, query: TrafficQuery, rows_max: int) -> list[TrafficRow]:
    found: dict[tuple[int, tuple[str | int, ...]], list[Any]] = {}
    names = {*query.by, *(name for some, _ in query.where for name in some)}
    assert names.issubset(TrafficKey._fields), "else they are no names of our own"
    is_sqlite = connection.dialect.name == "sqlite"
    values: dict[str, Any] = {
        f"in_{number}": as_list(some) if is_sqlite and len(some) > NAMED_APART else list(some)
        for number, (_, some) in enumerate(query.where)
    }
    lists = {name for name, some in values.items() if isinstance(some, str)}
    if query.area_begins:
        values["begins"] = query.area_begins
    width = len(query.by) + 1
    count = _PIECES_AT_ONCE if query.area_digits is None else _PIECES_BY_DIGITS
    are_money = [name in AMOUNTS for name in query.measures]  # a sum of whole numbers is a decimal in MariaDB
    of_tables = (("traffic_day", pieces.days), ("traffic", pieces.quarters), ("traffic_zone", pieces.zone_days))
    for table, some in of_tables:
        for start in range(0, len(some), count):
            at_once = some[start : start + count]
            if len(found) > rows_max:
                break
            statement = _statement(table, at_once, query, lists, is_sqlite=is_sqlite)
            for row in await connection.execute(statement, values):
                sums = [
                    value if is_money else int(value) for value, is_money in zip(row[width:], are_money, strict=True)
                ]
                for span, sign in at_once[row[0]].signs:
                    _count(found, (span, tuple(row[1:width])), sums, sign)
    # Where some pieces were not read, a sum that is nothing so far may be something.
    is_cut = len(found) > rows_max
    return [TrafficRow(span, by, tuple(sums)) for (span, by), sums in found.items() if is_cut or any(sums)]


def _count(
    found: dict[tuple[int, tuple[str | int, ...]], list[Any]],
    place: tuple[int, tuple[str | int, ...]],
    sums: Sequence[Any],
    sign: int,
) -> None:
    """Add sums to those of a place, or take them away."""
    before = found.get(place)
    signed = sums if sign == 1 else [-value for value in sums]
    found[place] = [*signed] if before is None else [a + b for a, b in zip(before, signed, strict=True)]


def _summed(name: str, *, is_sqlite: bool, by_key: bool) -> str:
    """Return the sum of a measure of the rows of a statement, which are those of the table or already sums by key."""
    if name == REACHED:
        return f"SUM({_REACHED})"
    if name not in AMOUNTS or not is_sqlite:
        return f"SUM(s.{name})"
    return summed(SumParts(f"s.{name}_high", f"s.{name}_low") if by_key else parts_of_sum(f"s.{name}")).text


def _summed_by_key(name: str, *, is_sqlite: bool) -> str:
    if name not in AMOUNTS or not is_sqlite:
        return f"SUM({name}) AS {name}"
    high, low = summed(parts_of_sum(name))
    return f"{high} AS {name}_high, {low} AS {name}_low"


def _statement(
    table: str, pieces: Sequence[Piece], query: TrafficQuery, lists: Set[str], *, is_sqlite: bool
) -> TextualSelect:
    """Return one statement for some pieces: each adds its rows up by key, and then by what they have in common.

    ``lists`` are the parameters of values that are one each (``as_list``).
    """
    is_long_list = sum(len(some) * len(names) for names, some in query.where) * len(pieces) > _VALUES_AT_ONCE
    stored = sorted({*query.measures, "calls", "answered", "progressed", "pdd_calls"} - {REACHED})
    inner = ", ".join(_summed_by_key(name, is_sqlite=is_sqlite) for name in stored)
    area = "k.area" if query.area_digits is None else f"SUBSTR(k.area, 1, {query.area_digits:d})"
    by = ", ".join(area if name == "area" else f"k.{name}" for name in query.by)
    given = [f"in_{number}" for number in range(len(query.where))]
    found_in = [values_of(f":{name}") if name in lists else f":{name}" for name in given]
    filters = "".join(
        f" AND ({' OR '.join(f'k.{name} IN {some}' for name in names)})"
        for (names, _), some in zip(query.where, found_in, strict=True)
    )
    if query.area_begins:
        filters += f" AND SUBSTR(k.area, 1, {len(query.area_begins)}) = :begins"
    kind = KIND_NUMBERS[query.kind.value]
    parts = []
    for number, piece in enumerate(pieces):
        where = f"s.kind = {kind} AND s.slot >= {piece.first} AND s.slot < {piece.end}"
        if is_long_list:
            parts.append(f"SELECT {number} AS piece, key_id, {inner} FROM {table} s WHERE {where} GROUP BY key_id")  # noqa: S608 - ours
            continue
        is_long = piece.end - piece.first > SLOTS_OF_DAY
        # Over many days a key has many rows: they are added up before they are looked up.
        rows = f"(SELECT key_id, {inner} FROM {table} s WHERE {where} GROUP BY key_id)" if is_long else table  # noqa: S608 - ours
        sums = ", ".join(_summed(name, is_sqlite=is_sqlite, by_key=is_long) for name in query.measures)
        found = f"{rows} s JOIN traffic_key k ON k.id = s.key_id WHERE {'TRUE' if is_long else where}{filters}"
        parts.append(f"SELECT {number}{', ' * bool(by)}{by}, {sums} FROM {found} GROUP BY {by or 'k.kind'}")  # noqa: S608 - ours
    statement = " UNION ALL ".join(parts)
    if is_long_list:  # which is in the statement once
        sums = ", ".join(_summed(name, is_sqlite=is_sqlite, by_key=True) for name in query.measures)
        common = f"s.piece{', ' * bool(by)}{by}"
        found = f"({statement}) s JOIN traffic_key k ON k.id = s.key_id WHERE TRUE{filters}"
        statement = f"SELECT {common}, {sums} FROM {found} GROUP BY {common}"  # noqa: S608 - ours
    values: list[BindParameter[str]] = [bindparam(name, expanding=name not in lists) for name in given]
    kinds: list[TypeEngine[Any]] = [Integer(), *(Integer() if name in _NUMBERS else String() for name in query.by)]
    kinds += [Money() if name in AMOUNTS else Integer() for name in query.measures]
    columns = [column(f"c{place}", kind) for place, kind in enumerate(kinds)]
    return text(statement).bindparams(*values).columns(*columns)
