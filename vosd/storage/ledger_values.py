"""Values of the ledger: entries, statements, balances, profit and closed periods, without the statements of SQL."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from vosd.base.money import EXACT, ZERO, Rounding, format_amount, round_to_unit, unit_of


class LedgerEntry(NamedTuple):
    """One entry, as it is stored; ``created_at`` is UTC milliseconds: of a call its end, else when it was booked."""

    id: int
    account: str
    seq: int
    amount: Decimal
    balance_after: Decimal
    kind: str
    reference: str
    call_id: str | None
    operator: str | None
    memo: str | None
    created_at: int
    currency: str | None
    tax: Decimal | None
    """Tax in the amount; None = not known: an earlier version booked it, and its charge was corrected since."""


class EntryFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Entries by the order of booking; all given criteria must hold.

    ``since`` is inclusive and ``until`` exclusive, UTC milliseconds of the entry's date.
    """

    account: str | None = None
    """None = those of all accounts, in the order of booking."""
    since: int | None = None
    until: int | None = None
    kinds: tuple[str, ...] = ()
    """Kinds of entries; empty = all."""
    operator: str | None = None
    newest: int | None = None
    """Only so many of them, the ones that were booked last."""
    after: int | None = None
    """Entries that are listed after the one with this id."""
    limit: int | None = None
    """Only so many of them, the ones that are listed first."""
    newest_first: bool = False
    """Whether the entry that was booked last comes first."""


EARNED: Final = "earned"
"""The movement of call entries above zero: what the gateways of a partner have carried."""


class Movement(NamedTuple):
    """All entries of one kind in a time, those of calls apart by what was paid and earned: how many, and their sum."""

    kind: str
    entries: int
    amount: Decimal
    tax: Decimal | None = ZERO
    """Tax in the amount; None = it is not known of some entries (``LedgerEntry.tax``)."""


class Balance(NamedTuple):
    """The balance of an account at a moment."""

    account: str
    currency: str | None
    balance: Decimal


class ChargedBeside(NamedTuple):
    """Charges of an account in a time that are not of calls, or that corrections have changed."""

    account: str
    currency: str | None
    kind: str
    amount: Decimal
    """Above zero = the account pays."""
    time: int
    """Number of the time."""


class KindSum(NamedTuple):
    """The entries of an account and a kind in a time."""

    account: str
    currency: str | None
    kind: str
    entries: int
    amount: Decimal
    time: int
    """Number of the time."""


class Statement(NamedTuple):
    """An account over a time: its balance at the beginning, what moved it, its balance at the end."""

    opening: Decimal
    movements: tuple[Movement, ...]
    closing: Decimal
    is_closed: bool = False
    """Whether the books are closed until its end, so that the sums do not change any more."""


class Turnover(NamedTuple):
    """An account over a time, as in a statement without taxes."""

    currency: str | None
    opening: Decimal
    by_kind: Mapping[str, tuple[int, Decimal]]
    """Number and sum of the entries, as movements have them."""
    closing: Decimal


class Profit(NamedTuple):
    """Sums in one currency, without tax."""

    currency: str | None
    calls: int
    """Calls that brought something in this currency, or would have."""
    income: Decimal
    cost: Decimal
    in_two: int = 0
    """Calls that were paid for in this currency and cost in another one, or the other way round."""

    @property
    def margin_percent(self) -> str | None:
        """Return the profit as percent of the income, to two decimals; None where there is no income, or not all of it.

        Income whose cost stands in the row of another currency is no profit.
        """
        if not self.income or self.in_two:
            return None
        percent = EXACT.divide(EXACT.multiply(self.income - self.cost, Decimal(100)), self.income)
        return format_amount(round_to_unit(percent, unit_of(2), Rounding.HALF_UP))


class Closing(NamedTuple):
    """Result of a period close."""

    closed_until: int
    accounts: int
    """Checkpoints that were made; fewer than there are accounts where an earlier attempt made the others."""
    entries: int
    """Entries that the period has, of these accounts."""
