"""Sums of calls as reports read them: of spans, by what calls have in common (ADR 133)."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, Integer, String, TextualSelect, bindparam, column, text
from sqlalchemy.types import TypeEngine

from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.types import Money
from vosd.traffic.counted import AMOUNTS, TrafficKey, TrafficKind
from vosd.traffic.reports import REACHED
from vosd.traffic.spans import Piece, Pieces, ReportSpan, pieces_of

_PIECES_AT_ONCE: Final = 100
"""Pieces of one statement; SQLite takes at most 500."""
_NUMBERS: Final = {"sip_code", "wait_ms"}
_DAYS_UNTIL: Final = text("SELECT value FROM counter WHERE name = 'traffic_days'")

_REACHED: Final = (
    "CASE WHEN k.end_reason IN ('Busy', 'No Answer', 'Rejected') THEN s.calls - s.answered ELSE 0 END + s.answered"
)


Condition = tuple[tuple[str, ...], Collection[str]]
"""Names, one of which must have one of the values."""


class TrafficQuery(NamedTuple):
    """Sums that a report asks for; all names are of ``TrafficKey`` and ``MEASURES``."""

    kind: TrafficKind
    by: tuple[str, ...]
    """Names whose values the calls of a row have in common."""
    measures: tuple[str, ...]
    where: Sequence[Condition] = ()


class TrafficRow(NamedTuple):
    """Sums of the calls of a span that have something in common."""

    span: int
    """Number of the span."""
    by: tuple[str | int, ...]
    sums: tuple[Any, ...]
    """In the order of the query's measures."""


class SqlTrafficSums:
    """Reads the sums of one state of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, spans: Sequence[ReportSpan], queries: Sequence[TrafficQuery]) -> list[list[TrafficRow]]:
        """Return for each query the sums of its spans, of one state of the database, in no order.

        Raises:
            StoreUnavailable: the database is away, or the report takes too long.
        """
        async with self._database.searching(unhurried=True) as connection:
            pieces = pieces_of(spans, int(await connection.scalar(_DAYS_UNTIL) or 0))
            return [await _rows(connection, pieces, query) for query in queries]


async def _rows(connection: AsyncConnection, pieces: Pieces, query: TrafficQuery) -> list[TrafficRow]:
    found: dict[tuple[int, tuple[str | int, ...]], list[Any]] = {}
    names = {*query.by, *(name for some, _ in query.where for name in some)}
    assert names.issubset(TrafficKey._fields), "else they are no names of our own"
    values = {f"in_{number}": list(some) for number, (_, some) in enumerate(query.where)}
    width = len(query.by) + 1
    are_money = [name in AMOUNTS for name in query.measures]  # a sum of whole numbers is a decimal in MariaDB
    for table, some in (("traffic_day", pieces.days), ("traffic", pieces.quarters)):
        for start in range(0, len(some), _PIECES_AT_ONCE):
            statement = _statement(table, some[start : start + _PIECES_AT_ONCE], query)
            for row in await connection.execute(statement, {"kind": query.kind.value, **values}):
                place = row[0], tuple(row[1:width])
                sums = [
                    value if is_money else int(value) for value, is_money in zip(row[width:], are_money, strict=True)
                ]
                before = found.get(place)
                found[place] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
    return [TrafficRow(span, by, tuple(sums)) for (span, by), sums in found.items() if any(sums)]


def _statement(table: str, pieces: Sequence[Piece], query: TrafficQuery) -> TextualSelect:
    """Return one statement for some pieces: each adds its rows up by key, and then by what they have in common."""
    stored = sorted({*query.measures, "calls", "answered"} - {REACHED})
    inner = ", ".join(f"SUM({name}) AS {name}" for name in stored)
    by = ", ".join(f"k.{name}" for name in query.by)
    filters = "".join(
        f" AND ({' OR '.join(f'k.{name} IN :in_{number}' for name in names)})"
        for number, (names, _) in enumerate(query.where)
    )
    parts = []
    for piece in pieces:
        sums = ", ".join(
            f"{piece.sign} * SUM({_REACHED if name == REACHED else f's.{name}'})" for name in query.measures
        )
        every = (
            f"SELECT key_id, {inner} FROM {table} WHERE slot >= {piece.first} AND slot < {piece.end} GROUP BY key_id"  # noqa: S608 - ours
        )
        joined = f"({every}) s JOIN traffic_key k ON k.id = s.key_id WHERE k.kind = :kind{filters}"
        parts.append(f"SELECT {piece.span}{', ' * bool(by)}{by}, {sums} FROM {joined} GROUP BY {by or 'k.kind'}")  # noqa: S608 - ours
    values: list[BindParameter[str]] = [bindparam(f"in_{number}", expanding=True) for number in range(len(query.where))]
    kinds: list[TypeEngine[Any]] = [Integer(), *(Integer() if name in _NUMBERS else String() for name in query.by)]
    kinds += [Money() if name in AMOUNTS else Integer() for name in query.measures]
    columns = [column(f"c{place}", kind) for place, kind in enumerate(kinds)]
    return text(" UNION ALL ".join(parts)).bindparams(*values).columns(*columns)
