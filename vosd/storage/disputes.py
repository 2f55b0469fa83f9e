"""Disputes with vendors about the differences of a reconciliation."""

from decimal import Decimal
from enum import Enum
from typing import Any, Final

import msgspec
from sqlalchemy import select, update
from sqlalchemy.engine import Row

from vosd.base.errors import VosError
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.ports import SETTLED_AS, Payment
from vosd.storage.types import descriptive

_dispute: Final = schema.reconciliation_dispute


class DisputeMovedError(VosError):
    """The dispute was changed by another person meanwhile."""


class DisputeState(Enum):
    """State of a dispute with a vendor."""

    OPEN = "open"
    SENT = "sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SETTLED = "settled"


class StoredDispute(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute; times are UTC milliseconds."""

    reconciliation: int
    account: str
    state: DisputeState
    amount: Decimal
    currency: str | None
    reference: str | None
    memo: str | None
    opened_at: int
    changed_at: int
    operator: str
    booked: Decimal | None = None
    """Amount of the entry that settled it, as the ledger has it; None = nothing was booked."""
    undone: int = 0
    """Number of entries that settled it and were taken back."""

    @property
    def settled_as(self) -> str:
        """Reference of the entry that settles it: one that was taken back keeps its own."""
        reference = f"{SETTLED_AS}{self.reconciliation}"
        return f"{reference}/{self.undone + 1}" if self.undone else reference


async def reopen(connection: AsyncConnection, undo: Payment, reference: str) -> None:
    """Open a dispute again whose settlement an entry of the open transaction takes back; another one stays.

    One that is not settled yet, since its confirmed entry is undone before the order is repeated, keeps its state; its
    next entry has another reference, too.
    """
    settled = {
        "state": DisputeState.OPEN.value,
        "booked": None,
        "changed_at": undo.made_at,
        "operator": descriptive(undo.operator or "", NAME_LENGTH),
    }
    of_account = select(_dispute).where(_dispute.c.account == undo.account)
    for dispute in map(dispute_of, (await connection.execute(of_account)).all()):
        if dispute.settled_as == reference:
            values = {"undone": dispute.undone + 1} | (settled if dispute.state is DisputeState.SETTLED else {})
            own = _dispute.c.reconciliation == dispute.reconciliation
            await connection.execute(update(_dispute).where(own).values(values))


def dispute_of(row: Row[Any]) -> StoredDispute:
    """Return the dispute of a row."""
    return StoredDispute(**{**row._mapping, "state": DisputeState(row.state)})
