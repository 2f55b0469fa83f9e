"""Accounts for display: configured limits, balances of the ledger, and what running calls reserve."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from vosd.admin.names import near
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account, AccountType
from vosd.billing.validity import NEVER
from vosd.catalogue.overrides import NO_OVERRIDES, Overrides, Setting, Target
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import Books, Changes, Standing
from vosd.control.client import RunningSwitch
from vosd.control.money import Commitments, ListCommitments
from vosd.routing.calendar import Calendar
from vosd.storage.ports import Queries

UNLIMITED: Final = "unlimited"
WORKING: Final = "working"
NON_WORKING: Final = "non-working"
AGENT: Final = "agent"
"""Category of an account that others name as their agent."""


class UnknownAccountError(VosError):
    """No account with that id is configured."""


class AccountSheet(msgspec.Struct, frozen=True):
    """One account, as ``vosd account show`` prints it; money as text."""

    id: str
    type: str | None
    """None for an account that has a balance but is no longer configured."""
    balance: str
    overdraft_limit: str | None
    reserved: str
    available: str | None
    currency: str | None
    blocked: bool
    category: str | msgspec.UnsetType = msgspec.UNSET
    """``agent`` while other accounts name this one as theirs; else absent."""
    agent: str | msgspec.UnsetType = msgspec.UNSET
    """The account above it; absent for an account at the top."""
    work_state: str | msgspec.UnsetType = msgspec.UNSET
    """Whether it is working time by the account's calendar; absent for an account without calendar."""
    expires_at: str | msgspec.UnsetType = msgspec.UNSET
    """From when on its calls are refused; absent for an account that does not expire."""
    closed: bool | msgspec.UnsetType = msgspec.UNSET
    """True for an account that was closed, else absent."""
    group: str | msgspec.UnsetType = msgspec.UNSET
    """Its ``group``; absent for an account without."""
    name: str | msgspec.UnsetType = msgspec.UNSET
    """As its ``contact`` and ``memo`` as the configuration has it; absent for an account without."""
    contact: str | msgspec.UnsetType = msgspec.UNSET
    memo: str | msgspec.UnsetType = msgspec.UNSET
    consumed_today: str | msgspec.UnsetType = msgspec.UNSET
    """Cost of its calls since midnight of its ``timezone``, and this month, without tax; absent unless asked for."""
    consumed_month: str | msgspec.UnsetType = msgspec.UNSET
    net_exposure: str | msgspec.UnsetType = msgspec.UNSET
    """Of a partner: what it owes if running calls use all they hold; negative = what is owed to it. Else absent."""


class WorkTimes:
    """What the calendars of accounts say of one moment."""

    def __init__(self, calendars: Callable[[], Mapping[str, Calendar]], wall_ms: int) -> None:
        """``calendars`` is called if an account has one; ``wall_ms`` is the moment (UTC milliseconds)."""
        self._read = calendars
        self._calendars: Mapping[str, Calendar] | None = None
        self._wall_ms = wall_ms

    def state_of(self, account: Account) -> str | msgspec.UnsetType:
        """Return whether it is working time for an account; UNSET where no calendar says so."""
        if account.calendar is None:
            return msgspec.UNSET
        if self._calendars is None:
            self._calendars = self._read()
        calendar = self._calendars.get(account.calendar)
        if calendar is None:
            return msgspec.UNSET
        return WORKING if calendar.is_working_time(self._wall_ms, account.calendar_use) else NON_WORKING


def configured(accounts: Mapping[str, Account], account_id: str) -> Account:
    """Return a configured account.

    Raises:
        UnknownAccountError: it is not configured.
    """
    account = accounts.get(account_id)
    if account is None:
        found = near(account_id, accounts)
        hint = f"did you mean {' or '.join(map(repr, found))}?" if found else "vosd account list names them"
        message = f"no account {account_id!r} is configured; {hint}"
        raise UnknownAccountError(message)
    return account


async def show_account(
    accounts: Mapping[str, Account],
    books: Books,
    queries: Queries,
    switch: RunningSwitch,
    account_id: str,
    overrides: Overrides = NO_OVERRIDES,
    work_times: WorkTimes | None = None,
    expires_at: int | None = None,
    agents: Collection[str] = (),
) -> AccountSheet:
    """Return one account, including what the calls of a running switch reserve.

    ``expires_at`` is when it expires by the ledger, UTC milliseconds; None = as configured. ``agents`` are the accounts
    that are one.

    Raises:
        UnknownAccountError: it is neither configured nor in the ledger.
        StoreUnavailable: the balance cannot be read.
        DaemonUnreachableError: a switch runs but does not report what its calls reserve.
    """
    standing = await queries.standing(account_id)
    if standing is None:
        configured(accounts, account_id)
    standings = {} if standing is None else {account_id: standing}
    held = await _held(books, accounts, [account_id])
    expiries = {} if expires_at is None else {account_id: expires_at}
    changes = Changes(standings, 0, expiries)
    committed, is_agent = await commitments(switch), account_id in agents
    return _sheet(account_id, accounts, changes, committed, held, overrides, work_times, is_agent=is_agent)


async def list_accounts(
    accounts: Mapping[str, Account],
    books: Books,
    switch: RunningSwitch,
    overrides: Overrides = NO_OVERRIDES,
    work_times: WorkTimes | None = None,
    agents: Collection[str] = (),
) -> list[AccountSheet]:
    """Return all accounts in the order of the configuration, then those that only have a balance.

    ``agents`` are the accounts that are one.

    Raises:
        StoreUnavailable: the balances cannot be read.
        DaemonUnreachableError: a switch runs but does not report what its calls reserve.
    """
    changes = await books.standings()
    standings = changes.standings
    committed = await commitments(switch)
    left_over = sorted(name for name, standing in standings.items() if name not in accounts and standing.balance)
    held = await _held(books, accounts, left_over)
    return [
        _sheet(name, accounts, changes, committed, held, overrides, work_times, is_agent=name in agents)
        for name in (*accounts, *left_over)
    ]


async def _held(books: Books, accounts: Mapping[str, Account], names: Sequence[str]) -> Mapping[str, str | None]:
    """Return the currencies of accounts that are no longer configured."""
    left_over = [name for name in names if name not in accounts]
    return await books.currencies(left_over) if left_over else {}


async def commitments(switch: RunningSwitch) -> Mapping[str, Commitments]:
    """Return what the calls of a running switch reserve and owe, of each account that has any.

    Raises:
        DaemonUnreachableError: a switch runs but does not answer.
    """
    answer = await switch.ask_if_running(ListCommitments())
    return answer or {}


def _sheet(
    account_id: str,
    accounts: Mapping[str, Account],
    changes: Changes,
    committed_by: Mapping[str, Commitments],
    held: Mapping[str, str | None],
    overrides: Overrides,
    work_times: WorkTimes | None,
    *,
    is_agent: bool,
) -> AccountSheet:
    balance = changes.standings.get(account_id, Standing(ZERO, 0)).balance
    committed = committed_by.get(account_id, Commitments())
    account = accounts.get(account_id)
    if account is None:
        return AccountSheet(
            id=account_id,
            type=None,
            balance=format_amount(balance),
            overdraft_limit=None,
            reserved=committed.reserved,
            available=None,
            currency=held.get(account_id),
            blocked=True,
        )
    limit = overrides.overdraft_limit(account)
    is_closed = overrides.has(Target.ACCOUNT, account_id, Setting.CLOSED)
    return AccountSheet(
        id=account_id,
        type=account.type.value,
        balance=format_amount(balance),
        overdraft_limit=shown_limit(limit),
        reserved=committed.reserved,
        available=UNLIMITED if limit is None else _available(balance, limit, committed),
        currency=account.currency,
        blocked=not account.enabled or account_id in overrides.without_calls(),
        category=AGENT if is_agent else msgspec.UNSET,
        agent=account.agent or msgspec.UNSET,
        work_state=msgspec.UNSET if work_times is None else work_times.state_of(account),
        expires_at=_expiry_of(account, changes),
        closed=is_closed or msgspec.UNSET,
        group=account.group or msgspec.UNSET,
        name=account.name or msgspec.UNSET,
        contact=account.contact or msgspec.UNSET,
        memo=account.memo or msgspec.UNSET,
        net_exposure=format_amount(-_left(balance, committed))
        if account.type is AccountType.PARTNER
        else msgspec.UNSET,
    )


class GroupSheet(msgspec.Struct, frozen=True):
    """Sums over the accounts of a group in one currency; money as text."""

    group: str | None
    """None = accounts without group."""
    currency: str | None
    accounts: int
    balance: str
    reserved: str


def groups_of(sheets: Iterable[AccountSheet]) -> list[GroupSheet]:
    """Return the sums of each group in each currency, in the order of the accounts."""
    grouped: dict[tuple[str | None, str | None], list[AccountSheet]] = {}
    for sheet in sheets:
        grouped.setdefault((sheet.group or None, sheet.currency), []).append(sheet)
    return [
        GroupSheet(
            group,
            currency,
            len(members),
            format_amount(sum((Decimal(each.balance) for each in members), ZERO)),
            format_amount(sum((Decimal(each.reserved) for each in members), ZERO)),
        )
        for (group, currency), members in grouped.items()
    ]


def _expiry_of(account: Account, changes: Changes) -> str | msgspec.UnsetType:
    expires_at = changes.expiries.get(account.id, account.expires_at)
    return msgspec.UNSET if expires_at is None or expires_at >= NEVER else iso_utc(expires_at)


def shown_limit(limit: Decimal | None) -> str:
    """Return an overdraft limit as it is written; None = unlimited."""
    return UNLIMITED if limit is None else format_amount(limit)


def _available(balance: Decimal, limit: Decimal, committed: Commitments) -> str:
    return format_amount(limit + _left(balance, committed))


def _left(balance: Decimal, committed: Commitments) -> Decimal:
    """Return the balance that is left when what running calls hold and ended calls owe is paid."""
    return balance + Decimal(committed.unbooked) - Decimal(committed.reserved)
