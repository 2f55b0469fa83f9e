"""History of dropped and masked records: a line for each run, kind and month, written with each step (ADR 73)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Row, insert, select, update

from vosd.base.money import ZERO, format_amount
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import VENDOR
from vosd.cdr.retention import RecordKind
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note as note_audit
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import Database, repeated
from vosd.storage.dropped import began, hold_off_drops
from vosd.storage.ledger_values import LedgerEntry

_table: Final = schema.retention_drop
LISTED_AT_MOST: Final = 1_000

_Result = TypeVar("_Result")
Amounts = dict[str, dict[str, Decimal]]
"""Sums by currency and name."""


class DropTerms(NamedTuple):
    """Terms of a run: the time before which records are dropped, its begin in UTC milliseconds, and its operator."""

    dropped_before: int
    begun_at: int
    operator: str


class MonthOfDrops:
    """Records of a month that a run has dropped."""

    def __init__(self) -> None:
        self.id: int | None = None
        self.records = 0
        self.amounts: Amounts = {}

    def add(self, currency: str | None, **amounts: Decimal) -> None:
        """Add amounts of a currency; zero leaves no trace."""
        for name, amount in amounts.items():
            if amount:
                sums = self.amounts.setdefault(currency or "", {})
                sums[name] = sums.get(name, ZERO) + amount

    def shown(self) -> dict[str, dict[str, str]]:
        """Return the sums as text."""
        return {
            currency: {name: format_amount(amount) for name, amount in sorted(sums.items())}
            for currency, sums in sorted(self.amounts.items())
        }


class Drops:
    """Records of one kind that one run drops."""

    def __init__(
        self,
        kind: RecordKind,
        terms: DropTerms,
        now: Any,
        *,
        is_trial: bool,
        audit: Callable[[], AuditLine] | None = None,
    ) -> None:
        """``now`` returns UTC milliseconds. In a trial nothing is dropped and nothing written down.

        ``audit`` makes the line of the audit, written with the first records that are dropped; None = no person has
        ordered the run.
        """
        self.kind = kind
        self.is_trial = is_trial
        self.months: dict[str, MonthOfDrops] = {}
        self.kept_calls: set[str] = set()
        """Calls that stay although their time is over; in a trial for the entries behind them as well."""
        self._terms = terms
        self._now = now
        self._changed: set[str] = set()
        self._audit = audit

    async def step(self, database: Database, drop: Callable[[AsyncConnection], Awaitable[_Result]]) -> _Result:
        """Have some records dropped in a transaction, and write them down in it at its end; return the result.

        Where another one is in its way it is done again, so ``drop`` keeps nothing but what it notes here.
        """
        if self.is_trial:
            async with database.reading() as connection:
                return await drop(connection)
        return await self._dropped(database, drop)

    @repeated
    async def _dropped(self, database: Database, drop: Callable[[AsyncConnection], Awaitable[_Result]]) -> _Result:
        before, self._changed = deepcopy(self.months), set()
        try:
            async with database.writing() as connection:
                await hold_off_drops(connection, self.kind)
                result = await drop(connection)
                for month in sorted(self._changed):
                    await self._write(connection, month)
                if self._audit is not None and self._changed:
                    await note_audit(connection, self._audit())
        except StoreUnavailable:
            self.months = before
            raise
        if self._changed:
            self._audit = None
        return result

    def add_calls(self, calls: Iterable[Row[Any]]) -> None:
        """Note calls that were dropped."""
        for call in calls:
            month = self._month(call.started_at)
            month.add(call.currency, fee=call.fee, tax=call.tax)
            month.add(call.vendor_currency or call.currency, cost=call.cost, cost_tax=call.cost_tax)

    def add_charges(self, charges: Sequence[Row[Any]]) -> None:
        """Note charges of calls without CDR that were dropped; a call counts once."""
        counted = set[str]()
        for charge in charges:
            month = self._month(began(charge.call_id), records=charge.call_id not in counted)
            counted.add(charge.call_id)
            if charge.role == VENDOR:
                month.add(charge.currency, cost=charge.fee, cost_tax=charge.tax)
            else:
                month.add(charge.currency, fee=charge.fee, tax=charge.tax)

    def add_masked(self, calls: Iterable[Row[Any]]) -> None:
        """Note calls whose numbers were masked; nothing of their money is gone."""
        for call in calls:
            self._month(call.started_at)

    def add_entries(self, entries: Iterable[Row[Any] | LedgerEntry]) -> None:
        """Note entries that were dropped."""
        for entry in entries:
            self._month(entry.created_at).add(entry.currency, amount=entry.amount)

    def add_sums(self, moments: Iterable[int]) -> None:
        """Note sums for reports that were dropped, by the beginning of their time; their money is in other records."""
        for moment, records in Counter(moments).items():
            self._month(moment, records)

    def _month(self, moment: int, records: int = 1) -> MonthOfDrops:
        name = iso_utc(moment)[:7]
        self._changed.add(name)
        month = self.months.setdefault(name, MonthOfDrops())
        month.records += records
        return month

    async def _write(self, connection: AsyncConnection, name: str) -> None:
        month = self.months[name]
        values: dict[str, Any] = {
            "records": month.records,
            "amounts": msgspec.json.encode(month.shown()).decode(),
            "ended_at": self._now(),
        }
        if month.id is not None:
            await connection.execute(update(_table).where(_table.c.id == month.id).values(**values))
            return
        added = await connection.execute(
            insert(_table).values(kind=self.kind.value, month=name, **self._terms._asdict(), **values)
        )
        month.id = added.inserted_primary_key[0] if added.inserted_primary_key else None


class DropRecord(NamedTuple):
    """A line of the history; times are UTC milliseconds."""

    kind: str
    month: str
    dropped_before: int
    records: int
    amounts: Mapping[str, Mapping[str, str]]
    begun_at: int
    ended_at: int
    operator: str


async def drop_history(database: Database) -> Sequence[DropRecord]:
    """Return what was dropped, the latest first."""
    columns = [_table.c[name] for name in DropRecord._fields]
    rows = await database.rows(select(*columns).order_by(_table.c.id.desc()).limit(LISTED_AT_MOST))
    return [DropRecord._make(row)._replace(amounts=msgspec.json.decode(row.amounts)) for row in rows]
