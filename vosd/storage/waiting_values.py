"""Values of payments that wait for a second person, without the statements of SQL."""

from decimal import Decimal
from typing import Final, NamedTuple

from vosd.base.errors import VosError
from vosd.storage.ports import EntryKind

WAITING: Final = "waiting"
BOOKED: Final = "booked"
REFUSED: Final = "refused"


class NotWaiting(VosError):  # noqa: N818 - states what was found
    """There is no such payment, or it was booked or refused meanwhile."""


class WaitingPayment(NamedTuple):
    """A payment that someone has asked for; times are UTC milliseconds."""

    id: int
    account: str
    target: str
    """The account that gets a transfer; empty = it is none."""
    kind: EntryKind
    reference: str
    amount: Decimal
    """As the ledger gets it, of ``ZERO`` for the balance when it was asked for; of a transfer what is moved."""
    forced: bool
    memo: str | None
    operator: str
    login: str
    asked_at: int
    state: str = WAITING
    decided_by: str | None = None
    decided_at: int | None = None
    reason: str | None = None
    currency: str | None = None
    """ISO 4217, of both accounts of a transfer; None = that of the account."""
