"""Orders about money: what calls hold and owe, withdrawals, bookings of other processes, refused records."""

from decimal import Decimal

import msgspec

from vosd.control.order import Order, OrderDone


class Commitments(msgspec.Struct, frozen=True):
    """Money that the calls of an account hold and owe, as text."""

    reserved: str = "0.00"
    """Held by running calls."""
    unbooked: str = "0.00"
    """Owed of calls that ended and are not booked."""

    @property
    def taken(self) -> Decimal:
        """Amount that nothing else may use: held by running calls, and owed of those that ended."""
        return Decimal(self.reserved) - Decimal(self.unbooked)


class ListCommitments(Order[dict[str, Commitments]], frozen=True, tag="commitments"):
    """Return the reserved and unbooked amounts of each account that has any."""

    accounts: frozenset[str] | None = None
    """Only of these; None = of all."""


class ListUnbooked(Order[dict[str, str]], frozen=True, tag="unbooked"):
    """Return what each account owes of calls that ended in a time and are not booked; UTC milliseconds."""

    since_ms: int
    until_ms: int


class CountUnbooked(Order[int], frozen=True, tag="count_unbooked"):
    """Return how many calls that began before a time have ended and wait for the database; UTC milliseconds."""

    before_ms: int


class CountRefused(Order[int], frozen=True, tag="count_refused"):
    """Return how many records that the database refused may be of calls of a vendor that began in a span.

    Times are UTC milliseconds.
    """

    vendor: str
    since_ms: int
    until_ms: int


class RefreshBalances(Order[OrderDone], frozen=True, tag="refresh_balances"):
    """Read what other processes have booked; answered when it counts."""


class Withdrawal(msgspec.Struct, frozen=True):
    """An amount that is withheld from calls, or why it is not."""

    id: str | None = None
    """None = the amount is not withheld: no switch runs, or less is available."""
    available: Decimal | None = None
    """The amount that is available, where that is less than the amount."""


class BeginWithdrawal(Order[Withdrawal], frozen=True, tag="begin_withdrawal"):
    """Keep from calls an amount that is about to be taken from an account."""

    account: str
    amount: Decimal

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("the amount of a withdrawal is above zero")


class EndWithdrawal(Order[OrderDone], frozen=True, tag="end_withdrawal"):
    """Read the booked balances, then release what was kept from calls; answered when done."""

    id: str


class BookingOutcome(msgspec.Struct):
    """Result of booking records again."""

    booked: list[str] = []
    """Ids of calls that are in the database now."""
    refused: dict[str, str] = {}
    """Reasons by call id."""


class RetryRefused(Order[BookingOutcome], frozen=True, tag="spool_retry"):
    """Offer records that the database refused to it again; none named = all."""

    is_change = True

    call_ids: tuple[str, ...] = ()


class SalvageJournal(Order[BookingOutcome], frozen=True, tag="spool_salvage"):
    """Book the readable ended calls of a journal file."""

    is_change = True

    file: str
    """Absolute path."""
