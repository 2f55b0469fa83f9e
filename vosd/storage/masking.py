"""Masking of the numbers of old calls, a few at a time (ADR 83).

Each step is a short transaction that masks some calls, writes down how many, and notes up to where all are masked, so
that a kill between two steps leaves nothing undone and the next run does not begin again. It does not know how a number
is masked, and up to when.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, Row, Select, bindparam, insert, select, union, update

from vosd.cdr.columns import RECORD_COLUMNS
from vosd.cdr.kinds import Masking
from vosd.cdr.masking import Mask, phones_in
from vosd.cdr.retention import DropPlan
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SqlStore
from vosd.storage.drop_history import Drops
from vosd.storage.dropped import began, first_id
from vosd.traffic.counted import TrafficKind

AT_ONCE: Final = 500
"""Calls of a step."""
_PROGRESS: Final = "masked_until"
"""Counter of how far masking has come: all calls that began before are masked, UTC milliseconds."""
_HOW: Final = {column.name: column.masking for column in RECORD_COLUMNS if column.masking is not Masking.NONE}
_CHANGED: Final = tuple(_HOW)
_NUMBERS: Final = tuple(name for name, how in _HOW.items() if how is Masking.NUMBER)
_GATEWAYS: Final = tuple(name for name, how in _HOW.items() if how is Masking.NAME)
_PREFIXES: Final = ("rate_prefix", "vendor_rate_prefix")

_cdr: Final = schema.cdr
_attempt: Final = schema.cdr_attempt
_charge: Final = schema.cdr_charge.c
_counter: Final = schema.counter
_key: Final = schema.traffic_key.c
_PAID_BY: Final = ("billing_method", "vendor_account")
_BY_TRUNK: Final = "gateway"
_TRIED: Final[tuple[Column[Any], ...]] = (_attempt.c.call_id, _attempt.c.position, _attempt.c.gateway)
_READ: Final = tuple(
    _cdr.c[name] for name in ("call_id", "started_at", "forward_prefix", *_PAID_BY, *_PREFIXES, *_CHANGED)
)
_MASK_CALL: Final = (
    update(_cdr)
    .where(_cdr.c.call_id == bindparam("key"))
    .values({_cdr.c[name]: bindparam(f"new_{name}") for name in _CHANGED})
)
_MASK_ATTEMPT: Final = (
    update(_attempt)
    .where(_attempt.c.call_id == bindparam("key"), _attempt.c.position == bindparam("place"))
    .values(gateway=bindparam("new_gateway"))
)
MASKED: Final = (
    update(_cdr).values({name: _cdr.c[name] for name in _CHANGED}),
    update(_attempt).values(gateway=_attempt.c.gateway),
)
"""Changes of the same columns that leave each as it is: they ask for the same rights."""


class SqlMasking(SqlStore):
    """Masks the numbers of old calls in MySQL and SQLite."""

    async def mask_calls(self, plan: DropPlan, drops: Drops, gone_before: int = 0) -> AsyncGenerator[int, None]:
        """Mask the calls of a plan that are not masked yet, and yield after each step how many were looked at.

        In a trial calls from before ``gone_before`` count as dropped, but for those that are kept.

        Raises:
            StoreUnavailable: what was masked so far is written down.
        """
        async with self._database.reading() as connection:
            done = await _progress(connection) or 0
            trunks = await _trunks(connection)
        after = ""
        while True:
            query = select(*_READ).where(_cdr.c.call_id >= first_id(done), _cdr.c.call_id < first_id(plan.until))
            query = query.where(_cdr.c.call_id > after) if after else query
            query = query.order_by(_cdr.c.call_id).limit(AT_ONCE)
            rows = await drops.step(self._database, partial(_mask, query, plan, drops, gone_before, trunks))
            if not rows:
                break
            after = rows[-1].call_id
            yield len(rows)


async def _mask(
    query: Select[Any], plan: DropPlan, drops: Drops, gone_before: int, trunks: Set[str], connection: AsyncConnection
) -> Sequence[Row[Any]]:
    """Mask the numbers of some calls; return those that were looked at."""
    rows: Sequence[Row[Any]] = (await connection.execute(query if drops.is_trial else query.with_for_update())).all()
    attempts = await _attempts(connection, rows)
    masks = await _masks(connection, rows, attempts, trunks)
    there = [row for row in rows if not drops.is_trial or _stays(row.call_id, drops, gone_before)]
    calls = [(row, values) for row in there if (values := _changes(row, masks[row.call_id]))]
    if not drops.is_trial:
        if calls:
            await connection.execute(_MASK_CALL, [values for _, values in calls])
        await _mask_attempts(connection, attempts, masks)
        await _note(connection, began(rows[-1].call_id) if len(rows) == AT_ONCE else plan.until)
    drops.add_masked(row for row, _ in calls)
    return rows


def _stays(call_id: str, drops: Drops, gone_before: int) -> bool:
    return call_id >= first_id(gone_before) or call_id in drops.kept_calls


async def _attempts(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    query = select(*_TRIED).where(_attempt.c.call_id.in_([row.call_id for row in rows]))
    return (await connection.execute(query)).all() if rows else ()


async def _trunks(connection: AsyncConnection) -> Set[str]:
    """Return the names of all trunks that the sums of reports have, also of those that were deleted since.

    A call of a trunk says so in its billing method, and a vendor alone has an account: phones have none.
    """
    is_call = _key.kind == TrafficKind.CALL.value
    found = union(
        select(_key.mapping_gateway).where(is_call, _key.billing_method == _BY_TRUNK),
        select(_key.routing_gateway).where(is_call, _key.vendor_account != ""),
    )
    return frozenset(await connection.scalars(found))


def _is_trunk(name: str | None, row: Row[Any], trunks: Set[str]) -> bool:
    """Return whether a name is a trunk's where a call has it."""
    if name == row.mapping_gateway and row.billing_method is not None:
        return bool(row.billing_method == _BY_TRUNK)
    return name in trunks or (name == row.routing_gateway and row.vendor_account is not None)


async def _masks(
    connection: AsyncConnection, rows: Sequence[Row[Any]], attempts: Sequence[Row[Any]], trunks: Set[str]
) -> Mapping[str, Mask]:
    """Return what masks each of these calls: its numbers, its phones, and the prefixes that anyone paid for it by."""
    prefixes: dict[str, list[str | None]] = {row.call_id: [getattr(row, name) for name in _PREFIXES] for row in rows}
    found = select(_charge.call_id, _charge.rate_prefix).where(_charge.call_id.in_(prefixes))
    if rows:
        for call_id, prefix in await connection.execute(found):
            prefixes[call_id].append(prefix)
    for row in rows:
        in_front = row.forward_prefix
        if in_front:  # the number was sold with these digits in front of it
            prefixes[row.call_id] += [each.removeprefix(in_front) for each in prefixes[row.call_id] if each]
    gateways = {
        row.call_id: [*(getattr(row, name) for name in _GATEWAYS), *phones_in(row.verdicts or "")] for row in rows
    }
    for attempt in attempts:
        gateways[attempt.call_id].append(attempt.gateway)
    masks = {}
    for row in rows:
        phones = [each for each in gateways[row.call_id] if not _is_trunk(each, row, trunks)]
        masks[row.call_id] = Mask([getattr(row, name) for name in _NUMBERS], prefixes[row.call_id], phones)
    return masks


def _changes(row: Row[Any], mask: Mask) -> dict[str, Any]:
    """Return the values of a call's row when it is masked; none if it is as it should be."""
    before = {name: getattr(row, name) for name in _CHANGED}
    after = {name: None if value is None else mask.column(_HOW[name], value) for name, value in before.items()}
    if after == before:
        return {}
    return {"key": row.call_id, **{f"new_{name}": value for name, value in after.items()}}


async def _mask_attempts(connection: AsyncConnection, attempts: Sequence[Row[Any]], masks: Mapping[str, Mask]) -> None:
    """Mask the names of phones that were tried."""
    changes = [
        {"key": row.call_id, "place": row.position, "new_gateway": name}
        for row in attempts
        if (name := masks[row.call_id].name(row.gateway)) != row.gateway
    ]
    if changes:
        await connection.execute(_MASK_ATTEMPT, changes)


async def _progress(connection: AsyncConnection) -> int | None:
    value: int | None = await connection.scalar(select(_counter.c.value).where(_counter.c.name == _PROGRESS))
    return value


async def _note(connection: AsyncConnection, until: int) -> None:
    """Note up to when all calls are masked; it never goes back."""
    known = await _progress(connection)
    if known is None:
        await connection.execute(insert(_counter).values(name=_PROGRESS, value=until))
    elif known < until:
        await connection.execute(update(_counter).where(_counter.c.name == _PROGRESS).values(value=until))
