"""Calls that were charged and left no CDR (SERVER_BILLING_RECORD_SERVER_HANG_UP 0), by their entries and charges."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Row

from vosd.cdr.charges import steps_of
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.invoice_sums import charges_without_cdr
from vosd.storage.ports import EntryKind

_entry: Final = schema.ledger_entry.c


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
    connection: AsyncConnection, account: str, since: int, until: int, most: int | None = None
) -> Sequence[UnrecordedCall]:
    """Return the charges of an account for calls without CDR that ended in a span; UTC milliseconds.

    ``most``: number of entries that are read; None = all.
    """
    own = _entry.account == account, _entry.kind == EntryKind.CALL.value, _entry.call_id.is_(None)
    query = select(_entry.reference, _entry.created_at).where(
        *own, _entry.created_at >= since, _entry.created_at < until
    )
    ends = {row.reference: row.created_at for row in await connection.execute(query.limit(most))}
    charges = await charges_without_cdr(connection, ends)
    return [_unrecorded(charges[each], ended_at) for each, ended_at in ends.items() if each in charges]


def _unrecorded(charge: Row[Any], ended_at: int) -> UnrecordedCall:
    breakdown = charge.breakdown or "[]"
    held = next((step["seconds"] for step in steps_of(breakdown) if step.get("step") == "hold_time"), 0)
    return UnrecordedCall(
        charge.call_id, ended_at, charge.role, charge.rate_prefix or "", held, charge.billed_seconds, charge.fee,
        charge.tax, breakdown,
    )  # fmt: skip
