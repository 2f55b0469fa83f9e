"""Reading of all calls of a span for tools that route or rate them again: a few columns, page by page.

Newest first, as ``storage.listing`` chooses the index. No transaction is open between two pages.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import replace
from itertools import starmap
from typing import Any, Final

from sqlalchemy import Row, or_, select

from vosd.callcontrol.verdicts import verdicts_in
from vosd.cdr.past import ALWAYS_READ, PastAgent, PastCall, PastCorrection
from vosd.cdr.record import AGENT, VENDOR
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SqlStore
from vosd.storage.dropped import check_there, check_unmasked, dropped_before
from vosd.storage.listing import as_stored, in_order, listed_keys
from vosd.storage.ports import CallFilter, CallPosition, EntryKind

CALLS_AT_ONCE: Final = 2_000
"""Calls of a page: about two megabytes."""

_cdr: Final = schema.cdr.c
_COLUMNS: Final = tuple(_cdr[name] for name in ALWAYS_READ)


class SqlSpans(SqlStore):
    """Reads spans of calls."""

    async def pages(
        self,
        wanted: CallFilter,
        *,
        with_breakdown: bool = False,
        with_tried: bool = False,
        with_vendor_group: bool = False,
        with_refusals: bool = False,
    ) -> AsyncGenerator[Sequence[PastCall], None]:
        """Yield the calls that fit in the order of the listing, some thousands at a time.

        They have what agents have paid, and say which charges were corrected.

        Raises:
            DroppedPeriod: the span begins with calls that were dropped, or whose numbers are masked.
            StoreUnavailable: the calls yielded so far are correct, the rest is not known.
        """
        columns = (*_COLUMNS, _cdr.fee_breakdown) if with_breakdown else _COLUMNS
        left = wanted.limit
        while left > 0:
            part = replace(wanted, limit=min(left, CALLS_AT_ONCE))
            async with self._database.reading() as connection:
                dropped = await dropped_before(connection)  # for each page: calls may be dropped between two
                check_there(dropped.calls, wanted.since or 0, "calls")
                check_unmasked(dropped.numbers, wanted.since)
                calls = list(starmap(PastCall, await _rows(connection, part, columns)))
                if with_tried and calls:
                    calls = await _with_tried(connection, calls)
                if calls:
                    calls = await _with_charges(connection, calls)
                if with_vendor_group and calls:
                    calls = await _with_vendor_group(connection, calls)
                if with_refusals and calls:
                    calls = await _with_refusals(connection, calls)
            if calls:
                yield calls
            if len(calls) < part.limit:
                return
            left -= len(calls)
            wanted = replace(wanted, after=CallPosition(calls[-1].started_at, calls[-1].call_id))

    async def has_agents_entries(self, account: str) -> bool:
        """Return whether the ledger has entries of calls for which an account has paid as an agent."""
        entry = schema.ledger_entry.c
        own = entry.account == as_stored(account), entry.kind == EntryKind.CALL.value
        query = select(entry.reference).where(*own, entry.reference.like(f"%/{AGENT}-%")).limit(1)
        found = await self._database.row(query, unhurried=True)  # it may read all entries of the account
        return found is not None


async def _rows(connection: AsyncConnection, wanted: CallFilter, columns: Sequence[Any]) -> Sequence[Row[Any]]:
    """Return the wanted columns of one page of calls, in their order."""
    keys = listed_keys(wanted)
    if wanted.account is None and wanted.gateway is None and wanted.sip_call_id is None and wanted.customers is None:
        return (await connection.execute(keys.with_only_columns(*columns))).all()
    # The keys are a union over two columns: the rows are read by them.
    found = keys.subquery()
    query = select(*columns).join(found, _cdr.call_id == found.c.call_id)
    return (await connection.execute(query.order_by(*in_order(wanted, schema.cdr)))).all()


async def _with_tried(connection: AsyncConnection, calls: Sequence[PastCall]) -> list[PastCall]:
    attempt = schema.cdr_attempt.c
    tried: dict[str, list[str]] = {}
    query = select(attempt.call_id, attempt.gateway).where(
        attempt.call_id.in_([call.call_id for call in calls]), schema.ATTEMPT_WAS_SENT
    )
    for call_id, gateway in await connection.execute(query.order_by(attempt.call_id, attempt.position)):
        tried.setdefault(call_id, []).append(gateway)
    return [call._replace(tried=tuple(tried.get(call.call_id, ()))) for call in calls]


async def _with_charges(connection: AsyncConnection, calls: list[PastCall]) -> list[PastCall]:
    """Return the calls with what agents have paid for them, and with the corrections of their charges."""
    charge = schema.cdr_charge.c
    columns = charge.call_id, charge.role, charge.corrected, charge.account, charge.level, charge.fee, charge.tax
    query = select(*columns, charge.currency, charge.rate_group).where(
        charge.call_id.in_([call.call_id for call in calls]), or_(charge.role == AGENT, charge.corrected > 0)
    )
    agents: dict[str, list[PastAgent]] = {}
    corrected: set[str] = set()
    for call_id, role, times, *values in await connection.execute(query.order_by(charge.call_id, charge.level)):
        if role == AGENT:
            agents.setdefault(call_id, []).append(PastAgent(*values))
        if times:
            corrected.add(call_id)
    corrections = await _corrections(connection, corrected) if corrected else {}
    if not agents and not corrections:
        return calls
    return [
        call._replace(agents=tuple(agents.get(call.call_id, ())), corrections=corrections.get(call.call_id, ()))
        for call in calls
    ]


async def _with_vendor_group(connection: AsyncConnection, calls: list[PastCall]) -> list[PastCall]:
    """Return the calls with the rate groups by which their vendors are paid."""
    charge = schema.cdr_charge.c
    query = select(charge.call_id, charge.rate_group).where(
        charge.call_id.in_([call.call_id for call in calls]), charge.role == VENDOR
    )
    groups = {row.call_id: row.rate_group for row in await connection.execute(query)}
    return [call._replace(vendor_rate_group=groups.get(call.call_id)) for call in calls]


async def _with_refusals(connection: AsyncConnection, calls: list[PastCall]) -> list[PastCall]:
    """Return the calls with the reasons for which they had no gateway."""
    refused = [call.call_id for call in calls if call.routing_gateway is None]
    rows = await connection.execute(select(_cdr.call_id, _cdr.verdicts).where(_cdr.call_id.in_(refused)))
    found = {row.call_id: verdicts_in(row.verdicts) for row in rows}
    return [
        call._replace(refusal=verdicts.refusal) if (verdicts := found.get(call.call_id)) is not None else call
        for call in calls
    ]


async def _corrections(connection: AsyncConnection, call_ids: Collection[str]) -> dict[str, tuple[PastCorrection, ...]]:
    """Return the latest correction of each charge of the calls."""
    correction = schema.cdr_correction.c
    query = select(correction.call_id, correction.role, correction.level, correction.reference)
    latest: dict[str, dict[tuple[str, int], PastCorrection]] = {}
    for call_id, *values in await connection.execute(
        query.where(correction.call_id.in_(list(call_ids))).order_by(correction.id)
    ):
        made = PastCorrection(*values)
        latest.setdefault(call_id, {})[made.role, made.level] = made
    return {call_id: tuple(made.values()) for call_id, made in latest.items()}
