"""Use cases of the ledger: entries, statements, balances, profit, verification, and the close of a period."""

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from vosd.admin.ledger import (
    BalanceSheet,
    ClosingSheet,
    EntrySheet,
    ListedEntry,
    Month,
    PaymentSheet,
    ProfitSheet,
    StatementSheet,
    known_standing,
    listed_entry,
    payment_sheet,
    statement_sheet,
)
from vosd.admin.names import configured
from vosd.admin.office.below_agents import names_of_group
from vosd.admin.office.criteria import refuse_empty, zone_named
from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.payments import without_second_person, without_unseen_account
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.base.errors import VosError
from vosd.base.money import format_amount
from vosd.base.parts import in_parts
from vosd.cdr.columns import iso_utc
from vosd.storage.faults import BookDifference
from vosd.storage.ledger_values import EntryFilter, LedgerEntry

if TYPE_CHECKING:
    from vosd.storage.stores import SqlStores

PAYMENT_KINDS: Final = ("payment", "adjustment", "zero", "refund", "transfer")
"""Kinds of entries that people book."""
_STATEMENTS_AT_ONCE: Final = 100
"""Accounts whose entries of a month are added up together."""
_VERIFIED: Final = 0.8
"""Part of the time of a close after which the ledger is verified."""
Sheet = TypeVar("Sheet", bound=EntrySheet)


class BooksUnsoundError(VosError):
    """The ledger has differences, which a close would hide."""


class ListEntries(EntryFilter, frozen=True, kw_only=True):
    """Entries by the order of booking; all given criteria must hold. Times are UTC milliseconds of the entry's date."""

    account: str | None = None
    """None = those of all accounts, in the order of booking; of an agent its own."""

    def __post_init__(self) -> None:
        refuse_empty(self)


@needs(Permission.MONEY_SEE, by_account=True)
async def list_entries(office: Office, who: Principal, order: ListEntries) -> AsyncGenerator[ListedEntry, None]:
    """Yield entries as they are read.

    Raises:
        OrderError: an agent or a customer asks for those of an operator that it does not see.
    """
    async with aclosing(_entries(office, who, order)) as entries:
        async for entry, undo in entries:
            yield _seen(listed_entry(entry, undo), office, office.scope_of(who))


@needs(Permission.MONEY_SEE, by_account=True)
async def are_more_entries(office: Office, who: Principal, order: ListEntries, count: int) -> bool:
    """Return whether a list has more entries than so many; not said of one that begins behind an entry.

    Raises as ``list_entries`` does.
    """
    wanted = await _filter_of(office, office.scope_of(who), order)
    return order.after is None and await office.stores.ledger.are_more(wanted, count)


@needs(Permission.MONEY_SEE, by_account=True)
async def list_payments(office: Office, who: Principal, order: ListEntries) -> AsyncGenerator[PaymentSheet, None]:
    """Yield entries that people have booked, of some of ``PAYMENT_KINDS``, as they are read.

    Raises:
        OrderError: another kind is asked for, or by an agent or a customer those of an operator that it does not see.
    """
    for kind in order.kinds:
        if kind not in PAYMENT_KINDS:
            raise OrderError("kinds", f"has {kind!r}", f"one of {', '.join(PAYMENT_KINDS)}")
    accounts = office.definitions.accounts()
    order = msgspec.structs.replace(order, kinds=order.kinds or PAYMENT_KINDS)
    async with aclosing(_entries(office, who, order)) as entries:
        async for entry, undo in entries:
            yield _seen(payment_sheet(entry, undo, accounts), office, office.scope_of(who))


async def _entries(
    office: Office, who: Principal, order: ListEntries
) -> AsyncGenerator[tuple[LedgerEntry, int | None], None]:
    """Yield each entry with the number of the one that takes it back."""
    wanted, ledger = await _filter_of(office, office.scope_of(who), order), office.stores.ledger
    async with aclosing(ledger.pages(wanted)) as pages:
        async for page in pages:
            undos = await ledger.undos(page)
            for entry in page:
                yield entry, undos.get(entry.id)


async def _filter_of(office: Office, scope: Scope, order: ListEntries) -> ListEntries:
    """Return an order with the account that it is about, which its principal may read."""
    if order.operator is not None and not scope.sees_operator(order.operator):
        raise OrderError("operator", "is not for agents and customers")
    account = scope.agent if order.account is None else order.account
    if account is not None:
        scope.require_ledger(account)
        await known_standing(office.definitions.accounts, office.stores.queries, account)
    return msgspec.structs.replace(order, account=account)


def _seen(sheet: Sheet, office: Office, scope: Scope) -> Sheet:
    """Return an entry as a principal sees it: agents and customers without operators, and accounts of others."""
    if scope.agent is None:
        return sheet
    operator = None if sheet.operator is None else scope.shown_operator(sheet.operator)
    memo = None if sheet.memo is None else without_second_person(sheet.kind, sheet.memo)
    if memo is not None:
        memo = without_unseen_account(sheet.kind, memo, office.definitions.accounts(), scope.sees) or None
    return msgspec.structs.replace(sheet, operator=operator, memo=memo)


class ShowStatements(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A month of accounts: those named, those of a group, or all; an agent names one."""

    month: Month
    zone: str = ""
    """In which the month begins and ends; empty = that of invoices, in which months are closed."""
    accounts: tuple[str, ...] = ()
    group: str | None = None
    of_all: bool = False
    after: str | None = None
    """Accounts behind this one, in the order of the list."""
    limit: int | None = None
    """Only so many of them."""


@needs(Permission.MONEY_SEE, by_account=True)
async def show_statements(
    office: Office, who: Principal, order: ShowStatements
) -> AsyncGenerator[StatementSheet, None]:
    """Yield a statement for each account.

    Raises:
        OrderError: the zone is none, none or several of the three are given, or an agent names more than one account,
            or ``after`` is none of the accounts.
    """
    if sum((bool(order.accounts), order.group is not None, order.of_all)) != 1:
        raise OrderError("accounts", "or `group` or `all`: say one of the three")
    scope = office.scope_of(who)
    if scope.agent is not None:
        if len(order.accounts) != 1:
            raise OrderError("accounts", f"of {scope.agent}: statements are shown one by one")
        scope.require_ledger(order.accounts[0])
    accounts, stores = office.definitions.accounts(), office.stores
    zone = zone_named(order.zone or office.definitions.settings.invoices.zone)
    names: Sequence[str] = order.accounts
    if order.group is not None:
        names = await names_of_group(accounts, order.group, accounts)
    elif order.of_all:
        names = await _all_accounts(stores, accounts, order)
    begins = 0
    if order.after is not None:
        if order.after not in names:
            raise OrderError("after", f"{order.after} is none of these accounts")
        begins = names.index(order.after) + 1
    names = names[begins : None if order.limit is None else begins + order.limit]
    currencies = await stores.books.currencies(names)
    since, until = order.month.bounds(zone)
    for name in names:
        if name not in currencies:
            configured(accounts, name)
    for some in in_parts(names, _STATEMENTS_AT_ONCE):
        found = await stores.ledger.statements(some, since, until)
        for name in some:
            currency = currencies.get(name) or (accounts[name].currency if name in accounts else None)
            yield statement_sheet(name, currency, order.month, zone, found[name])


async def _all_accounts(stores: "SqlStores", accounts: Collection[str], order: ShowStatements) -> Sequence[str]:
    """Return the configured accounts, then those that are in the ledger alone, unless a page ends before these."""
    names = [*accounts]
    if order.limit is not None and (order.after is None or order.after in accounts):
        begins = 0 if order.after is None else names.index(order.after) + 1
        if begins + order.limit <= len(names):
            return names
    there = (await stores.books.standings_between("", None)).standings
    return [*names, *sorted(each for each in there if each not in accounts)]


class ListBalances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The balance of every account at a moment, UTC milliseconds; entries dated before count."""

    at: int
    """Moment; entries dated before it count."""
    after: str | None = None
    """Accounts behind this one, in their order."""
    limit: int | None = None
    """Only so many of them."""


@needs(Permission.BOOKS_SEE)
async def list_balances(office: Office, who: Principal, order: ListBalances) -> list[BalanceSheet]:
    """Return the balances; the ledger of accounts behind the last one that is wanted is hardly read."""
    sheets: list[BalanceSheet] = []
    async with aclosing(office.stores.ledger.balances(order.at, order.after or "")) as found:
        async for each in found:
            if len(sheets) == order.limit:
                break
            sheets.append(BalanceSheet(each.account, each.currency, format_amount(each.balance)))
    return sheets


class ShowProfit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order for the income and cost of the calls that ended in a time; UTC milliseconds."""

    since: int
    until: int


@needs(Permission.BOOKS_SEE)
async def show_profit(office: Office, who: Principal, order: ShowProfit) -> list[ProfitSheet]:
    """Return the sums, by currency.

    Raises:
        DroppedPeriod: calls of then were dropped.
    """
    return [
        ProfitSheet(
            each.currency,
            each.calls,
            format_amount(each.income),
            format_amount(each.cost),
            format_amount(each.income - each.cost),
            each.margin_percent,
            each.in_two,
        )
        for each in await office.stores.ledger.profit(order.since, order.until)
    ]


class VerifyLedger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order to recompute the books; ``whole``: from the first entry, not from the latest close."""

    whole: bool = False


class VerifiedLedger(msgspec.Struct, frozen=True):
    """Numbers of accounts and entries that were compared."""

    accounts: int
    entries: int
    calls: int
    calls_without_cdr: int
    journal_records: int | None
    """Ended calls in the journal; None = there is no journal here."""
    waiting: int | None
    """Calls on their way to the database."""


@needs(Permission.BOOKS_SEE)
async def verify_ledger(
    office: Office,
    who: Principal,
    order: VerifyLedger,
    report: Callable[[BookDifference], None],
    passed: Callable[[float, int], None] | None = None,
) -> VerifiedLedger:
    """Compare balances with entries, entries with call records, and these with the journal; report each difference.

    ``passed`` receives a part of 1 and a count of calls.

    Raises:
        JournalUnreadableError: the journal cannot be read.
    """
    from vosd.admin.reconcile import reconcile  # loads the journal of the switch, which the other orders need not

    result = await office.stores.verify(report, whole=order.whole, passed=passed)
    journal = await reconcile(office.stores.booked_calls, office.definitions.settings.state_dir)
    for difference in journal.differences if journal is not None else ():
        report(difference)
    found = None if journal is None else journal.journal_records, None if journal is None else journal.waiting
    return VerifiedLedger(result.accounts, result.entries, result.calls, result.calls_without_cdr, *found)


class ClosePeriod(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entries dated before a moment (UTC milliseconds) belong to a closed period."""

    until: int
    memo: str | None = None
    is_forced: bool = False
    """Also where the ledger has differences."""


@needs(Permission.BOOKS_CHANGE)
@waits_for_rows
async def close_period(
    office: Office, who: Principal, order: ClosePeriod, passed: Callable[[float, int], None] | None = None
) -> ClosingSheet:
    """Make a checkpoint of every account. After a failure the same order completes it.

    ``passed`` receives a part of 1 and a count of calls that are verified, or 0 while the checkpoints are made.

    Raises:
        BadClosingDate: the date is in the future, or a later one is closed.
        ClockAhead: it is in the future by the database's clock.
        BooksUnsoundError: an audit finds differences, and it is not forced.
        StoreUnavailable: some checkpoints may be made; try the same again.
    """
    now, checkpoints = office.now(), office.stores.checkpoints
    await checkpoints.check_date(order.until, now)
    show = passed or (lambda _part, _calls: None)
    begin = 0.0
    if not order.is_forced:
        found, begin = _First(), _VERIFIED
        await office.stores.verify(found.add, passed=lambda part, calls: show(part * _VERIFIED, calls))
        if found.first is not None:
            message = f"{found.count} differences, the first is: {found.first}; vosd ledger verify names all"
            raise BooksUnsoundError(message)
    audit = office.audit_line(who, order, "ledger")
    closing = await checkpoints.close(
        order.until, who.recorded, order.memo, now, audit, lambda part: show(begin + (1 - begin) * part, 0)
    )
    return ClosingSheet(iso_utc(closing.closed_until), closing.accounts, closing.entries)


class _First:
    """Counts differences and keeps the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first: BookDifference | None = None

    def add(self, difference: BookDifference) -> None:
        self.count += 1
        self.first = self.first or difference
