"""Calls that were charged and left no CDR (SERVER_BILLING_RECORD_SERVER_HANG_UP 0), by their entries and charges."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.engine import Row

from vosd.cdr.charges import steps_of
from vosd.cdr.record import CUSTOMER, VENDOR
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.dropped import first_id
from vosd.storage.invoice_sums import charges_without_cdr
from vosd.storage.ports import EntryKind
from vosd.storage.rows import reference_of

_CALLS_AT_ONCE: Final = 500

_entry: Final = schema.ledger_entry.c
_long: Final = schema.long_call.c


class UnrecordedCall(NamedTuple):
    """A charge of a call without CDR: the numbers and gateways of the call are not kept."""

    call_id: str
    ended_at: int
    role: str
    prefix: str
    """Prefix of the rate, which the called number begins with; empty = it had none."""
    hold_time_s: int
    billed_seconds: int
    fee: Decimal
    tax: Decimal
    breakdown: str
    """Steps of the charge, JSON."""

    @property
    def began_at(self) -> int:
        """The time of the INVITE in UTC milliseconds, with which the id begins."""
        return int(self.call_id.replace("-", "")[:12], 16)


async def unrecorded_calls(
    connection: AsyncConnection, account: str, since: int, until: int, began: tuple[int, int], most: int | None = None
) -> Sequence[UnrecordedCall]:
    """Return the charges of an account for calls without CDR that ended in a span; UTC milliseconds.

    ``began``: span of their INVITEs, by which the entries are found. ``most``: number of entries that are read;
    None = all.
    """
    first, last = began
    # No index is of the ends. A reference begins with the id of its call, and that with the time of the INVITE.
    query = _entries(account, since, until).where(
        _entry.reference >= first_id(max(0, first)), _entry.reference < first_id(last)
    )
    return await _charges(connection, await connection.execute(query.limit(most)))


async def long_unrecorded_calls(
    connection: AsyncConnection, account: str, since: int, until: int, began: int
) -> Sequence[UnrecordedCall]:
    """Return those that ``long_calls`` has noted, whose INVITEs arrived before ``began``."""
    noted = select(_long.call_id).where(_long.ended_at >= since, _long.ended_at < until)
    calls = list(await connection.scalars(noted.where(_long.call_id < first_id(max(0, began)))))
    found: list[UnrecordedCall] = []
    for place in range(0, len(calls), _CALLS_AT_ONCE):
        some = calls[place : place + _CALLS_AT_ONCE]
        references = [reference_of(each, role, 0) for each in some for role in (CUSTOMER, VENDOR)]
        query = _entries(account, since, until).where(_entry.reference.in_(references))
        found += await _charges(connection, await connection.execute(query))
    return found


def _entries(account: str, since: int, until: int) -> Select[Any]:
    own = _entry.account == account, _entry.kind == EntryKind.CALL.value, _entry.call_id.is_(None)
    ended = _entry.created_at >= since, _entry.created_at < until
    return select(_entry.reference, _entry.created_at).where(*own, *ended)


async def _charges(connection: AsyncConnection, entries: Iterable[Row[Any]]) -> Sequence[UnrecordedCall]:
    ends = {row.reference: row.created_at for row in entries}
    charges = await charges_without_cdr(connection, ends)
    return [_unrecorded(charges[each], ended_at) for each, ended_at in ends.items() if each in charges]


def _unrecorded(charge: Row[Any], ended_at: int) -> UnrecordedCall:
    breakdown = charge.breakdown or "[]"
    held = next((step["seconds"] for step in steps_of(breakdown) if step.get("step") == "hold_time"), 0)
    return UnrecordedCall(
        charge.call_id, ended_at, charge.role, charge.rate_prefix or "", held, charge.billed_seconds, charge.fee,
        charge.tax, breakdown,
    )  # fmt: skip
