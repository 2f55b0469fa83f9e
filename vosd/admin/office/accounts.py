"""Use cases of accounts: limits as configured, balances of the ledger, amounts that running calls reserve, validity."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Final

import msgspec

from vosd.admin.consumption import charged_today, consumption_of
from vosd.admin.ledger import available, known_standing, shown_limit
from vosd.admin.names import configured
from vosd.admin.office.below_agents import accounts_below, names_of_group, require_agent
from vosd.admin.office.bookings import refresh_balances
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.base.errors import VosError
from vosd.base.money import ZERO, AmountText, format_amount
from vosd.billing.accounts import NEVER, Account, AccountType
from vosd.billing.rights import Right
from vosd.catalogue.overrides import INCOMING, Override, Overrides, Setting, Target
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import ChangedStandings, Standing
from vosd.control.calls import AccountCalls, CountCalls
from vosd.control.client import RunningSwitch
from vosd.control.money import Commitments, ListCommitments
from vosd.control.order import fitting_names
from vosd.routing.calendar import Calendar

WORKING: Final = "working"
NON_WORKING: Final = "non-working"
_AT_ONCE: Final = 200
"""Accounts that are read in one turn of the event loop."""
_NO_STANDING: Final = Standing(ZERO, 0)
AGENT: Final = "agent"
"""Category of an account that others name as their agent."""


class NoSuchGroupError(VosError):
    """No account has the group."""


class AccountSheet(msgspec.Struct, frozen=True):
    """One account, as ``vosd account show`` prints it; money as text."""

    id: str
    """Name of the account."""
    type: str | None
    """``direct``, ``clearing`` or ``partner``; None = it has a balance but is no longer configured."""
    balance: AmountText
    """Balance, as text."""
    overdraft_limit: AmountText | None
    """Amount to which calls may take the balance below zero, or ``unlimited``; None = it is no longer configured."""
    reserved: AmountText
    """Amount that running calls hold, as text."""
    available: AmountText | None
    """Amount that further calls may hold, or ``unlimited``; None = it is no longer configured."""
    currency: str | None
    """ISO 4217, in force: of its entries, or in which the first one will be booked."""
    blocked: bool
    """Whether its calls are refused: by the configuration, or by an operator or agent."""
    blocked_since: str | msgspec.UnsetType = msgspec.UNSET
    """Time at which an operator or agent has blocked it; absent where the configuration alone does."""
    blocked_until: str | msgspec.UnsetType = msgspec.UNSET
    """End of that block; absent where it has to be ended."""
    blocked_by: str | msgspec.UnsetType = msgspec.UNSET
    """Name of the operator or agent who has blocked it."""
    blocked_memo: str | msgspec.UnsetType = msgspec.UNSET
    """Reason of the block; to operators alone."""
    blocked_incoming: bool | msgspec.UnsetType = msgspec.UNSET
    """True where that block refuses calls to its phones and numbers, too; else absent."""
    category: str | msgspec.UnsetType = msgspec.UNSET
    """``agent`` while other accounts name this one as theirs; else absent."""
    agent: str | msgspec.UnsetType = msgspec.UNSET
    """The account above it; absent for an account at the top."""
    work_state: str | msgspec.UnsetType = msgspec.UNSET
    """Whether it is working time by the account's calendar; absent for an account without calendar."""
    expires_at: str | msgspec.UnsetType = msgspec.UNSET
    """From when on its calls are refused; absent for an account that does not expire."""
    configured_currency: str | msgspec.UnsetType = msgspec.UNSET
    """Currency that the configuration says where that is another one, which is not in force; else absent."""
    closed: bool | msgspec.UnsetType = msgspec.UNSET
    """True for an account that was closed, else absent."""
    closed_since: str | msgspec.UnsetType = msgspec.UNSET
    """Time at which it was closed; absent for an account that is open."""
    closed_by: str | msgspec.UnsetType = msgspec.UNSET
    """Name of the operator who has closed it."""
    close_unfinished: bool | msgspec.UnsetType = msgspec.UNSET
    """True where a closed account has a balance, or calls that run or are not booked: its close was interrupted, or
    something was booked later. The same close again, or the end of its override, settles it. Else absent."""
    group: str | msgspec.UnsetType = msgspec.UNSET
    """Group of the account; absent for an account without."""
    name: str | msgspec.UnsetType = msgspec.UNSET
    """Name for people, as ``contact`` and ``memo`` from the configuration; absent for an account without."""
    contact: str | msgspec.UnsetType = msgspec.UNSET
    """Free text of the configuration: the person in charge."""
    memo: str | msgspec.UnsetType = msgspec.UNSET
    consumed_today: AmountText | msgspec.UnsetType = msgspec.UNSET
    """Cost of its calls since midnight of its ``timezone``, and this month, without tax; absent unless asked for."""
    consumed_month: AmountText | msgspec.UnsetType = msgspec.UNSET
    """Cost of the calls of this month, without tax, as text."""
    charged_today: AmountText | msgspec.UnsetType = msgspec.UNSET
    """Amount that it was charged since midnight of its ``timezone``, with tax: calls by their beginning, as
    corrected, no minimums and no payments; absent of vendors, and unless asked for."""
    timezone: str | msgspec.UnsetType = msgspec.UNSET
    """Time zone of the days and months of these amounts; of one account alone, where they are asked for."""
    last_call: str | msgspec.UnsetType = msgspec.UNSET
    """Time of its last call, paid for by it or carried by its gateways; absent without one, or unless asked."""
    calls_now: int | msgspec.UnsetType = msgspec.UNSET
    """Number of its running calls, of a vendor those that its gateways carry; to an agent and a customer those that it
    pays for. Absent unless asked for, to those who may not see calls, and while no switch runs."""
    net_exposure: AmountText | msgspec.UnsetType = msgspec.UNSET
    """Debt of a partner if running calls use all they hold; negative = what is owed to it. Else absent."""
    gateways: int | msgspec.UnsetType = msgspec.UNSET
    """Number of its gateways, as configured; to an agent and a customer without those of vendors. Absent unless asked
    for."""
    phones: int | msgspec.UnsetType = msgspec.UNSET
    """Number of its phones, as configured; absent unless asked for."""


class WorkTimes:
    """Working times of accounts' calendars at one moment."""

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


class ShowAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One account."""

    account: str
    consumption: bool = False
    """Whether to add what its calls cost today and this month, without tax, and what it was charged today, with tax."""
    calls: bool = False
    """Whether to add how many of its calls run now."""
    counts: bool = False
    """Whether to add how many gateways and phones it has."""


@needs(Permission.ACCOUNTS_SEE, by_account=True)
async def show_account(office: Office, who: Principal, order: ShowAccount) -> AccountSheet:
    """Return one account, including what the calls of a running switch reserve.

    Raises:
        DroppedPeriod: calls of this month were dropped.
        DaemonUnreachableError: a switch runs but does not report what its calls reserve.
    """
    scope, name = office.scope_of(who), order.account
    scope.require_visible(name)
    accounts, stores = office.definitions.accounts(), office.stores
    standing = await known_standing(lambda: accounts, stores.queries, name)
    expiry = await stores.validity.expiry(name)
    held = {account: each for account, each in (await stores.books.currencies([name])).items() if each is not None}
    changes = ChangedStandings(
        {} if standing is None else {name: standing}, 0, {} if expiry is None else {name: expiry}, held
    )
    (sheet,) = await _sheets(office, scope, [name], changes)
    if order.calls:
        (sheet,) = await _with_calls(office, who, [sheet])
    if order.counts:
        (sheet,) = await _with_counts(office, scope, [sheet])
    if not order.consumption or name not in accounts:
        return sheet
    account, now = accounts[name], office.now()
    today, month = await consumption_of(stores.consumption, account, now)
    charged = await charged_today(stores, [account], now)
    return msgspec.structs.replace(
        sheet, consumed_today=today, consumed_month=month, charged_today=charged.get(name, msgspec.UNSET),
        timezone=account.timezone,
    )  # fmt: skip


class ListAccounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accounts: those named, those of a group, those directly below an agent, or every one; all criteria must hold."""

    group: str | None = None
    """Name of an account group."""
    agent: str | None = None
    """Agent: accounts directly below it."""
    all: bool = False
    """With an agent: those below its sub-agents, too."""
    containing: str = ""
    """Only those with this in their id, name, contact or memo, whether letters are capital or small; agents and
    customers: in id or name. One that is no longer configured: whose id it is."""
    accounts: tuple[str, ...] = ()
    r"""Names with commas, a comma of a name as ``\,``; those that are no account are left out. Empty = all."""
    limit: int | None = None
    """Only so many, the first ones; None = all."""
    after: str | None = None
    """By name, only those after this one; None = in the order of the configuration."""
    last_call: bool = False
    """Whether to add when the last call of each began; of vendors and partners to operators alone."""
    consumption: bool = False
    """Whether to add what each was charged today."""
    calls: bool = False
    """Whether to add how many calls of each run now."""
    counts: bool = False
    """Whether to add how many gateways and phones each has."""

    def __post_init__(self) -> None:
        require_agent(self.agent, is_whole=self.all)


@needs(Permission.ACCOUNTS_SEE, by_account=True)
async def list_accounts(office: Office, who: Principal, order: ListAccounts) -> list[AccountSheet]:
    """Return accounts in the order of the configuration, then those that only have a balance.

    Raises:
        NoSuchGroupError: no account has the group.
        DaemonUnreachableError: a switch runs but does not report what its calls reserve.
    """
    scope = office.scope_of(who)
    choice = _Choice(office, scope, order)
    wanted, changes = await choice.made()
    sheets = await _sheets(office, scope, wanted, changes)
    if order.group is not None and order.agent is None and not sheets:
        raise NoSuchGroupError(f"no account has the group {order.group!r}; vosd account groups lists them")
    shown = sheets[: order.limit]
    if order.last_call:
        shown = await _with_last_calls(office, scope, shown)
    if order.calls:
        shown = await _with_calls(office, who, shown)
    if order.counts:
        shown = await _with_counts(office, scope, shown)
    if order.consumption:
        shown = await _with_charges(office, choice.accounts, shown)
    return shown


class _Choice:
    """The accounts that an order asks for: their names, and the balances that were read to find them.

    Balances are read of few accounts where the order says which: an installation may have 100,000.
    """

    def __init__(self, office: Office, scope: Scope, order: ListAccounts) -> None:
        self._office, self._scope, self._order = office, scope, order
        self._books = office.stores.books
        self.accounts = office.definitions.accounts()
        agent = order.agent
        self._below = None if agent is None else accounts_below(office, scope, agent, is_whole=order.all)

    async def made(self) -> tuple[Sequence[str], ChangedStandings]:
        """Return the names, at least as many as the order's limit where there are, and what they have."""
        order = self._order
        if order.containing:
            return await self._containing(order.containing, order.after or "")
        if order.accounts:
            return await self._named(order.accounts)
        if order.group is not None:
            return await self._members()
        if order.after is not None:
            return await self._behind(order.after)
        return await self._all()

    async def _containing(self, part: str, after: str) -> tuple[Sequence[str], ChangedStandings]:
        texts = await self._office.definitions.search_text("accounts")
        visible, named = self._scope.visible, self._order.accounts
        found: Iterable[str] = (
            texts.having(part, after)
            if visible is None
            else (name for name in sorted(visible) if name > after and texts.has(name, part, is_inner=False))
        )
        some = [*islice(await self._fitting(name for name in found if not named or name in named), self._order.limit)]
        changes = await self._books.standings_of([*some, part])
        left_over = await self._fitting(name for name in self._left_over(changes) if name > after)
        return sorted((*some, *left_over)), changes

    async def _named(self, names: Sequence[str]) -> tuple[Sequence[str], ChangedStandings]:
        after = self._order.after
        named = [*dict.fromkeys(names)] if after is None else sorted({name for name in names if name > after})
        changes = await self._books.standings_of(named)
        there = {*self.accounts, *self._left_over(changes)}
        return [name for name in await self._fitting(named) if name in there], changes

    async def _members(self) -> tuple[Sequence[str], ChangedStandings]:
        members, after = await self._fitting(self.accounts), self._order.after
        if after is not None:
            members = sorted(name for name in members if name > after)
        wanted = [*islice(members, self._order.limit)]
        return wanted, await self._books.standings_of(wanted)

    async def _behind(self, after: str) -> tuple[Sequence[str], ChangedStandings]:
        names = [name for name in sorted(self._listed(self.accounts)) if name > after]
        some = names[: self._order.limit]
        changes = await self._books.standings_between(after, some[-1] if len(some) < len(names) else None)
        return sorted((*some, *self._listed(self._left_over(changes)))), changes

    async def _all(self) -> tuple[Sequence[str], ChangedStandings]:
        limit = self._order.limit
        if limit is not None and len(first := [*islice(self._listed(self.accounts), limit)]) == limit:
            return first, await self._books.standings_of(first)
        changes = await self._books.standings_between("", None)
        return [*self._listed(chain(self.accounts, self._left_over(changes)))], changes

    def _listed(self, names: Iterable[str]) -> Iterator[str]:
        """Return those that the principal sees, and that are below the agent of the order."""
        below = self._below
        return (name for name in names if (below is None or name in below) and self._scope.sees(name))

    async def _fitting(self, names: Iterable[str]) -> Iterable[str]:
        """Return those of them that are of the group of the order, too."""
        listed, group = self._listed(names), self._order.group
        if group is None:
            return listed
        agent = self._scope.agent
        return await names_of_group(self.accounts, group, (name for name in listed if name != agent))

    def _left_over(self, changes: ChangedStandings) -> list[str]:
        """Return those that are no longer configured and have a balance."""
        return sorted(name for name, each in changes.standings.items() if each.balance and name not in self.accounts)


async def _with_last_calls(office: Office, scope: Scope, sheets: list[AccountSheet]) -> list[AccountSheet]:
    last = await office.stores.queries.last_calls([each.id for each in sheets], as_vendors=scope.agent is None)
    return [
        msgspec.structs.replace(each, last_call=iso_utc(last[each.id])) if each.id in last else each for each in sheets
    ]


async def _with_charges(
    office: Office, accounts: Mapping[str, Account], sheets: list[AccountSheet]
) -> list[AccountSheet]:
    configured_ones = (accounts[each.id] for each in sheets if each.id in accounts)
    charged = await charged_today(office.stores, configured_ones, office.now())
    return [msgspec.structs.replace(each, charged_today=charged.get(each.id, msgspec.UNSET)) for each in sheets]


async def _with_counts(office: Office, scope: Scope, sheets: list[AccountSheet]) -> list[AccountSheet]:
    """Return accounts with how many gateways and phones they have; an agent does not learn of those of vendors."""
    kinds = ("phones", "mapping_gateways", *(("routing_gateways",) if scope.agent is None else ()))
    phones, *gateways = [await asyncio.to_thread(_counted, office.definitions.accounts_of(kind)) for kind in kinds]
    return [
        msgspec.structs.replace(each, gateways=sum(found[each.id] for found in gateways), phones=phones[each.id])
        for each in sheets
    ]


def _counted(accounts_of: Callable[[], Mapping[str, str]]) -> Counter[str]:
    return Counter(accounts_of().values())


async def _with_calls(office: Office, who: Principal, sheets: list[AccountSheet]) -> list[AccountSheet]:
    """Return accounts with how many of their calls run; an agent does not learn which calls its gateways carry."""
    if Permission.CALLS_SEE not in who.permissions:
        return sheets
    is_operator = office.scope_of(who).agent is None
    names = None if is_operator else fitting_names(frozenset(each.id for each in sheets))
    counts = await office.switch.ask_if_running(CountCalls(names))
    if counts is None:
        return sheets
    none = AccountCalls()
    found = ((each, counts.get(each.id, none)) for each in sheets)
    return [
        msgspec.structs.replace(each, calls_now=count.as_customer + (count.as_vendor if is_operator else 0))
        for each, count in found
    ]


async def _sheets(office: Office, scope: Scope, names: Sequence[str], changes: ChangedStandings) -> list[AccountSheet]:
    """Return accounts as the principal sees them.

    An agent does not see what operators note, its own group, nor an account above its own.
    """
    definitions, stores, now = office.definitions, office.stores, office.now()
    accounts, hierarchy = definitions.accounts(), definitions.hierarchy()
    overrides = (await stores.overrides.load()).at(now)
    work_times = WorkTimes(definitions.calendars, now)
    asked = ListCommitments(None if scope.agent is None else fitting_names(frozenset(names)))
    answer = await office.switch.ask_if_running(asked)
    committed, is_running = answer or {}, answer is not None
    without_calls, blocks = overrides.without_calls(), overrides.named(Target.ACCOUNT, Setting.BLOCKED)
    closes = overrides.named(Target.ACCOUNT, Setting.CLOSED)
    sheets = []
    for number, name in enumerate(names, start=1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)  # else the API would answer nothing else until all of many accounts are there
        is_agent, is_blocked = hierarchy.is_agent(name), name in without_calls
        sheet = _sheet(
            name, accounts, changes, committed, overrides, work_times, is_agent=is_agent, is_blocked=is_blocked
        )
        if name in accounts:
            sheet = _with_currency(sheet, accounts[name], changes, is_running=is_running)
        if name in blocks:
            sheet = _with_block(sheet, blocks[name], scope)
        if name in closes and name in accounts:
            is_unfinished = name in committed or bool(changes.standings.get(name, _NO_STANDING).balance)
            sheet = _with_close(sheet, closes[name], scope, is_unfinished=is_unfinished)
        if scope.agent is not None:
            sheet = msgspec.structs.replace(sheet, contact=msgspec.UNSET, memo=msgspec.UNSET)
            if name == scope.agent:
                sheet = msgspec.structs.replace(sheet, group=msgspec.UNSET)
            if sheet.agent is not msgspec.UNSET and not scope.sees(sheet.agent):
                sheet = msgspec.structs.replace(sheet, agent=msgspec.UNSET)
        sheets.append(sheet)
    return sheets


def _with_currency(
    sheet: AccountSheet, account: Account, changes: ChangedStandings, *, is_running: bool
) -> AccountSheet:
    currency = _currency_of(account, changes, is_running=is_running)
    other = msgspec.UNSET if currency == account.currency else account.currency
    return msgspec.structs.replace(sheet, currency=currency, configured_currency=other)


def _with_block(sheet: AccountSheet, block: Override, scope: Scope) -> AccountSheet:
    """Return an account with the block that it has, as the principal sees it."""
    return msgspec.structs.replace(
        sheet,
        blocked_since=iso_utc(block.since),
        blocked_until=msgspec.UNSET if block.until is None else iso_utc(block.until),
        blocked_by=scope.shown_operator(block.operator),
        blocked_memo=block.memo if block.memo and scope.agent is None else msgspec.UNSET,
        blocked_incoming=block.value == INCOMING or msgspec.UNSET,
    )


def _with_close(sheet: AccountSheet, close: Override, scope: Scope, *, is_unfinished: bool) -> AccountSheet:
    """Return a closed account with its close, as the principal sees it."""
    return msgspec.structs.replace(
        sheet,
        closed=True,
        closed_since=iso_utc(close.since),
        closed_by=scope.shown_operator(close.operator),
        close_unfinished=is_unfinished or msgspec.UNSET,
    )


async def commitments(switch: RunningSwitch, accounts: frozenset[str] | None = None) -> Mapping[str, Commitments]:
    """Return what the calls of a running switch reserve and owe, of each account that has any, or some that do."""
    answer = await switch.ask_if_running(ListCommitments(fitting_names(accounts)))
    return answer or {}


def _sheet(
    account_id: str,
    accounts: Mapping[str, Account],
    changes: ChangedStandings,
    committed_by: Mapping[str, Commitments],
    overrides: Overrides,
    work_times: WorkTimes,
    *,
    is_agent: bool,
    is_blocked: bool,
) -> AccountSheet:
    balance = changes.standings.get(account_id, _NO_STANDING).balance
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
            currency=changes.currencies.get(account_id),
            blocked=True,
        )
    limit = shown_limit(overrides.overdraft_limit(account))
    return AccountSheet(
        id=account_id,
        type=account.type.value,
        balance=format_amount(balance),
        overdraft_limit=limit,
        reserved=committed.reserved,
        available=available(balance, limit, committed),
        currency=account.currency,
        blocked=not account.enabled or is_blocked,
        category=AGENT if is_agent else msgspec.UNSET,
        agent=account.agent or msgspec.UNSET,
        work_state=work_times.state_of(account),
        expires_at=_expiry_of(account, changes),
        group=account.group or msgspec.UNSET,
        name=account.name or msgspec.UNSET,
        contact=account.contact or msgspec.UNSET,
        memo=account.memo or msgspec.UNSET,
        net_exposure=format_amount(committed.taken - balance) if account.type is AccountType.PARTNER else msgspec.UNSET,
    )


class GroupSheet(msgspec.Struct, frozen=True):
    """Sums over the accounts of a group in one currency; money as text."""

    group: str | None
    """None = accounts without group."""
    currency: str | None
    accounts: int
    balance: str
    reserved: str


class ListAccountGroups(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order for the sums of balances and reserved amounts of each group of accounts."""


@needs(Permission.ACCOUNTS_SEE)
async def list_account_groups(office: Office, who: Principal, _order: ListAccountGroups) -> list[GroupSheet]:
    """Return the sums of each group in each currency, in the order of the accounts.

    Raises:
        DaemonUnreachableError: a switch runs but does not report what its calls reserve.
    """
    accounts, books = office.definitions.accounts(), office.stores.books
    changes, answer = await books.standings(), await office.switch.ask_if_running(ListCommitments())
    committed, is_running = answer or {}, answer is not None
    standings = changes.standings
    left_over = sorted(name for name, each in standings.items() if each.balance and name not in accounts)
    keys: dict[str, tuple[str | None, str | None]] = {
        name: (account.group or None, _currency_of(account, changes, is_running=is_running))
        for name, account in accounts.items()
    }
    keys |= {name: (None, changes.currencies.get(name)) for name in left_over}
    members, nothing = Counter(keys.values()), Standing(ZERO, 0)
    balances, reserved = dict.fromkeys(members, ZERO), dict.fromkeys(members, ZERO)
    for name, key in keys.items():
        balances[key] += standings.get(name, nothing).balance
    for name, each in committed.items():
        if name in keys:
            reserved[keys[name]] += Decimal(each.reserved)
    return [
        GroupSheet(group, currency, count, format_amount(balances[key]), format_amount(reserved[key]))
        for key, count in members.items()
        for group, currency in [key]
    ]


class SetExpiry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Time until which an account may be used; it wins over the configuration until payments or this change it."""

    account: str
    expires_at: int | None
    """UTC milliseconds; None = as configured, ``billing.accounts.NEVER`` = it does not expire."""
    memo: str | None = None

    def __post_init__(self) -> None:
        if self.expires_at is not None and not 0 <= self.expires_at <= NEVER:
            raise OrderError("expires_at", "is not a time of the years 1970 to 9999")


class ExpirySheet(msgspec.Struct, frozen=True):
    """When an account expires now."""

    account: str
    expires_at: str | None
    """None = it does not expire."""
    untold: str = ""
    """Why a running switch does not know it yet; empty if it does, or if none runs."""


@needs(Permission.ACCOUNTS_CHANGE, by_account=True)
async def set_expiry(office: Office, who: Principal, order: SetExpiry) -> ExpirySheet:
    """Set when an account expires; the running switch knows it afterwards."""
    office.scope_of(who).require_below(order.account, Right.ACCOUNTS)
    account = configured(office.definitions.accounts(), order.account)
    audit = office.audit_line(who, order, account.id)
    await office.stores.validity.set(
        account.id, order.expires_at, account.expires_at, who.recorded, order.memo, office.now(), audit
    )
    holds = account.expires_at if order.expires_at is None else order.expires_at
    shown = None if holds is None or holds >= NEVER else iso_utc(holds)
    return ExpirySheet(account.id, shown, await refresh_balances(office.switch))


def _currency_of(account: Account, changes: ChangedStandings, *, is_running: bool) -> str:
    """Return the currency of an account's entries, or that in which the first one will be booked.

    An account without entries keeps it until a reload while a switch runs, and else takes the configured one.
    """
    standing = changes.standings.get(account.id)
    if not is_running and (standing is None or not standing.seq):
        return account.currency
    # the configured one may be refused because of these entries, or not be in force yet
    return changes.currencies.get(account.id) or account.currency


def _expiry_of(account: Account, changes: ChangedStandings) -> str | msgspec.UnsetType:
    expires_at = changes.expiries.get(account.id, account.expires_at)
    return msgspec.UNSET if expires_at is None or expires_at >= NEVER else iso_utc(expires_at)
