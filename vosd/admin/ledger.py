"""Entries and statements of the ledger for display; money and times as text."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.names import configured
from vosd.base.money import AmountText, format_amount
from vosd.billing.accounts import Account
from vosd.catalogue.overrides import UNLIMITED
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import Standing
from vosd.cdr.shown import shown_as
from vosd.control.money import Commitments
from vosd.storage.ledger_values import LedgerEntry, Statement

if TYPE_CHECKING:
    from vosd.storage.queries import SqlQueries

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Month(NamedTuple):
    """A month of the calendar."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def before(cls, wall_ms: int, zone: ZoneInfo) -> "Month":
        """Return the month that is over last at a moment, UTC milliseconds."""
        today = datetime.fromtimestamp(wall_ms / 1_000, UTC).astimezone(zone)
        return cls(today.year, today.month - 1) if today.month > 1 else cls(today.year - 1, 12)

    def bounds(self, zone: ZoneInfo) -> tuple[int, int]:
        """Return its beginning and its end in a zone, UTC milliseconds; the end is the beginning of the next month."""
        following = Month(self.year + self.month // 12, self.month % 12 + 1)
        return self._beginning(zone), following._beginning(zone)

    def _beginning(self, zone: ZoneInfo) -> int:
        return (datetime(self.year, self.month, 1, tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)


def shown_limit(limit: Decimal | None) -> str:
    """Return an overdraft limit as text; None = there is none."""
    return UNLIMITED if limit is None else format_amount(limit)


def available(balance: Decimal, overdraft_limit: str, committed: Commitments) -> str:
    """Return the amount that further calls may hold, as text; the limit is that of ``shown_limit``."""
    if overdraft_limit == UNLIMITED:
        return UNLIMITED
    return format_amount(balance + Decimal(overdraft_limit) - committed.taken)


class MovementSheet(msgspec.Struct, frozen=True):
    """All entries of one kind."""

    kind: str
    """Kind of the entries, such as ``payment`` or ``call``."""
    count: int
    """Number of the entries."""
    amount: str
    """Sum of the entries, as text."""
    net: str | None
    """The part of the amount that is no tax; None = not known of some entries that an earlier version booked."""
    tax: str | None


class StatementSheet(msgspec.Struct, frozen=True):
    """One month of an account, as ``vosd ledger statement`` prints it."""

    account: str
    currency: str | None
    month: str
    zone: str
    """Time zone of the month."""
    since: str
    until: str
    opening: AmountText
    """Balance at the beginning, as text."""
    movements: tuple[MovementSheet, ...]
    """Sums of the entries, a row a kind."""
    closing: AmountText
    """Balance at the end, as text."""
    closed: bool
    """Whether the books are closed until the end of the month: it does not change any more."""


class EntrySheet(msgspec.Struct, frozen=True):
    """An entry as ``vosd ledger list`` prints it; money as text."""

    id: int
    """Number of the entry among all."""
    account: str
    seq: int
    """Number of the entry in its account, from 1, without gaps."""
    amount: AmountText
    """Amount, as text; below zero: the account pays."""
    balance_after: AmountText
    """Balance of the account behind the entry, as text."""
    kind: str
    """Kind of the entry, such as ``payment`` or ``call``."""
    reference: str
    call_id: str | None
    """Id of the call that was charged; None = the entry is about no call."""
    operator: str | None
    memo: str | None
    created_at: str
    """Date of the entry, RFC 3339."""
    currency: str | None
    tax: AmountText | None
    """None = not known: an earlier version booked it, and its charge was corrected since."""
    net: AmountText | None
    """The part of the amount that is no tax."""


class ListedEntry(EntrySheet, frozen=True, kw_only=True):
    """An entry of the ledger as it is now; money as text."""

    taken_back_by: int | None
    """Number of the entry that takes this one back; None = it was not taken back."""


class PaymentSheet(EntrySheet, frozen=True, kw_only=True):
    """A payment, refund, adjustment, zeroing or transfer as ``vosd payment list`` prints it; money as text."""

    balance_before: AmountText
    """Balance of the account before the entry, as text."""
    account_name: str | None
    """The owner of the account, in words, as configured now; None = none is configured."""
    taken_back_by: int | None
    """Number of the entry that takes this one back; None = it was not taken back."""


class BalanceSheet(msgspec.Struct, frozen=True):
    """The balance of an account at a moment; money as text."""

    account: str
    currency: str | None
    balance: AmountText
    """Balance at the moment, as text."""


class ProfitSheet(msgspec.Struct, frozen=True):
    """Income and cost of calls in one currency, without tax; money as text."""

    currency: str | None
    calls: int
    """Number of the calls."""
    income: AmountText
    """Charges of the customers, as text."""
    cost: AmountText
    """Charges of the vendors, as text."""
    profit: AmountText
    """Income less cost, as text."""
    margin_percent: AmountText | None
    """Profit in percent of the income; None = no income, or calls in ``in_two_currencies``."""
    in_two_currencies: int
    """Calls that bring money in this currency and cost in another one, or the other way round; their other half is in
    the row of that one."""


class ClosingSheet(msgspec.Struct, frozen=True):
    """A period that was closed."""

    closed_until: str
    accounts: int
    """Checkpoints that were made; fewer than there are accounts where an earlier attempt made the others."""
    entries: int


def entry_sheet(entry: LedgerEntry) -> EntrySheet:
    """Return an entry for people and programs."""
    return shown_as(EntrySheet, entry, **_net_and_tax(entry.amount, entry.tax))


def listed_entry(entry: LedgerEntry, taken_back_by: int | None) -> ListedEntry:
    """Return an entry for people and programs, with the number of the one that takes it back."""
    return ListedEntry(**msgspec.structs.asdict(entry_sheet(entry)), taken_back_by=taken_back_by)


def payment_sheet(entry: LedgerEntry, taken_back_by: int | None, accounts: Mapping[str, Account]) -> PaymentSheet:
    """Return an entry that was booked by hand for people and programs; ``accounts`` are those configured now."""
    account = accounts.get(entry.account)
    return PaymentSheet(
        **msgspec.structs.asdict(entry_sheet(entry)),
        balance_before=format_amount(entry.balance_after - entry.amount),
        account_name=None if account is None else account.name,
        taken_back_by=taken_back_by,
    )


def _net_and_tax(amount: Decimal, tax: Decimal | None) -> dict[str, str | None]:
    if tax is None:
        return {"tax": None, "net": None}
    return {"tax": format_amount(tax), "net": format_amount(amount - tax)}


async def known_standing(
    accounts: Callable[[], Mapping[str, Account]], queries: "SqlQueries", account_id: str
) -> Standing | None:
    """Return an account's standing; None for one that is configured and has never been opened.

    The configured ``accounts`` are read only if the ledger does not have it.

    Raises:
        UnknownAccountError: it is neither configured nor in the ledger.
        StoreUnavailable: the ledger cannot be read.
    """
    standing = await queries.standing(account_id)
    if standing is None:
        configured(accounts(), account_id)
    return standing


def statement_sheet(
    account_id: str, currency: str | None, month: Month, zone: ZoneInfo, found: Statement
) -> StatementSheet:
    """Return the statement of a month for people and programs."""
    since, until = month.bounds(zone)
    return StatementSheet(
        account=account_id,
        currency=currency,
        month=str(month),
        zone=zone.key,
        since=iso_utc(since),
        until=iso_utc(until),
        opening=format_amount(found.opening),
        movements=tuple(
            MovementSheet(each.kind, each.entries, format_amount(each.amount), **_net_and_tax(each.amount, each.tax))
            for each in found.movements
        ),
        closing=format_amount(found.closing),
        closed=found.is_closed,
    )
