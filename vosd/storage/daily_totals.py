"""Totals of dropped calls by day, accounts, gateways and currencies; the calls themselves are gone (ADR 73).

They are added in the transaction that drops the calls, so that every call is in one of both and never in both.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, and_, bindparam, delete, func, insert, select, update

from vosd.cdr.columns import iso_utc
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note as note_audit
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.sums import money_sum

NEEDED: Final = tuple(
    schema.cdr.c[name]
    for name in (
        "call_id", "started_at", "answered_at", "customer_account", "vendor_account", "mapping_gateway",
        "routing_gateway", "currency", "vendor_currency", "billed_seconds", "vendor_billed_seconds",
        "fee", "tax", "cost", "cost_tax",
    )
)  # fmt: skip
"""Columns of a call that its totals are made of."""
_total: Final = schema.daily_total
_KEYS: Final = tuple(column.name for column in _total.primary_key)
_COUNTED: Final = ("calls", "answered", "billed_seconds", "vendor_billed_seconds", "fee", "tax", "cost", "cost_tax")


class TotalsLine(NamedTuple):
    """Sums of the dropped calls of a span, by accounts, gateways and currencies."""

    day: str
    customer_account: str
    vendor_account: str
    mapping_gateway: str
    routing_gateway: str
    currency: str
    vendor_currency: str
    calls: int
    answered: int
    billed_seconds: int
    vendor_billed_seconds: int
    fee: Decimal
    tax: Decimal
    cost: Decimal
    cost_tax: Decimal


async def add_calls(connection: AsyncConnection, calls: Iterable[Row[Any]]) -> None:
    """Add calls, rows of ``NEEDED``, to the totals of their days."""
    sums: dict[tuple[str, ...], list[Any]] = {}
    for call in calls:
        key = (iso_utc(call.started_at)[:10], *(getattr(call, name) or "" for name in _KEYS if name != "day"))
        added = (
            1,
            call.answered_at is not None,
            call.billed_seconds or 0,
            call.vendor_billed_seconds or 0,
            call.fee,
            call.tax,
            call.cost,
            call.cost_tax,
        )
        before = sums.get(key)
        sums[key] = list(added) if before is None else [a + b for a, b in zip(before, added, strict=True)]
    if not sums:
        return
    days = sorted({key[0] for key in sums})
    there = await connection.execute(select(_total).where(_total.c.day.in_(days)).with_for_update())
    known = {tuple(row[: len(_KEYS)]): row for row in there}
    new, changed = [], []
    for key, values in sorted(sums.items()):
        row = known.get(key)
        if row is None:
            new.append(dict(zip((*_KEYS, *_COUNTED), (*key, *values), strict=True)))
        else:
            summed = [getattr(row, name) + value for name, value in zip(_COUNTED, values, strict=True)]
            changed.append(
                {f"new_{name}": value for name, value in zip((*_KEYS, *_COUNTED), (*key, *summed), strict=True)}
            )
    if new:
        await connection.execute(insert(_total), new)
    if changed:
        own = and_(*(_total.c[name] == bindparam(f"new_{name}") for name in _KEYS))
        statement = update(_total).where(own).values({name: bindparam(f"new_{name}") for name in _COUNTED})
        await connection.execute(statement, changed)


class SqlDailyTotals(SqlStore):
    """Reads the totals of dropped calls, and drops those whose time is over."""

    async def lines(self, first_day: str, last_day: str, *, by_month: bool) -> Sequence[TotalsLine]:
        """Return the totals from the first to the last day, each of a day or of a month."""
        day = func.substr(_total.c.day, 1, 7) if by_month else _total.c.day
        keys = [day.label("day"), *(column for column in _total.primary_key if column.name != "day")]
        sums = [func.sum(_total.c[name]) for name in _COUNTED[:4]]
        money = [money_sum(_total.c[name]) for name in _COUNTED[4:]]
        query = select(*keys, *sums, *money).where(_total.c.day >= first_day, _total.c.day <= last_day)
        rows = await self._database.rows(query.group_by(*keys).order_by(*keys), unhurried=True)
        return [TotalsLine(*row[:7], *map(int, row[7:11]), *row[11:]) for row in rows]

    async def count(self, first_day_kept: str) -> int:
        """Return how many lines ``drop`` would drop."""
        old = select(func.count()).select_from(_total).where(_total.c.day < first_day_kept)
        async with self._database.reading(unhurried=True) as connection:
            return int((await connection.execute(old)).scalar_one())

    @repeated
    async def drop(self, first_day_kept: str, audit: Callable[[], AuditLine] | None = None) -> int:
        """Drop the totals of days before; return how many lines. ``audit`` makes the line of the audit, if any goes."""
        async with self._database.writing() as connection:
            dropped = (await connection.execute(delete(_total).where(_total.c.day < first_day_kept))).rowcount
            if dropped and audit is not None:
                await note_audit(connection, audit())
        return dropped
