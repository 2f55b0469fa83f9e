"""Balances of accounts in the running switch, from the database and the journal.

An account has a credit from its first posting or its configuration until the process ends: the catalogue decides
whether it may be used for calls, not what it owes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple
from uuid import uuid4

from vosd.base.clock import Clock
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.base.parts import in_parts
from vosd.billing.accounts import Account
from vosd.billing.holds import AccountCredit
from vosd.billing.spending import Spending, SpendPeriod
from vosd.cdr.ports import Books, ChangedStandings, LastStanding, Standing, StoreUnavailable
from vosd.cdr.record import Posting
from vosd.engine.clock import SystemClock
from vosd.engine.counting import Counting
from vosd.obs.events import Event, log as _log
from vosd.obs.outage import Outage

WITHDRAWAL_MS: Final = 60_000
"""Longest time of a withdrawal: a booking takes half as long at most, or is undone."""


class _Withdrawal(NamedTuple):
    credit: AccountCredit | None
    """None = no call can use the account."""
    amount: Decimal
    until_mono: int


class Withdrawals:
    """Money that operators take from accounts, kept from calls while it is being booked (ADR 91): in no balance yet.

    A command asks for a withdrawal, books it itself, and reports that it is done.
    """

    def __init__(self, credits: Mapping[str, AccountCredit]) -> None:
        self._credits = credits
        self._open: dict[str, _Withdrawal] = {}
        self._reported: set[str] = set()

    def begin(self, account: str, amount: Decimal, mono_ms: int) -> str | Decimal:
        """Withhold an amount and return the id of the withdrawal, or what is available where that is less."""
        credit = self._credits.get(account)
        if credit is not None and not credit.is_read:
            credit = None
        if credit is not None and not credit.withhold(amount):
            assert credit.available is not None, "an unlimited account is never short"
            return credit.available
        name = str(uuid4())
        self._open[name] = _Withdrawal(credit, amount, mono_ms + WITHDRAWAL_MS)
        return name

    def report(self, name: str) -> None:
        """Note that it is booked, or never will be: balances that are read from now on contain it or need not."""
        if name in self._open:
            self._reported.add(name)

    def over(self, mono_ms: int) -> list[str]:
        """Return the withdrawals that were reported, or not in time; call it before balances are read."""
        if not self._open:
            return []
        late = [name for name, each in self._open.items() if each.until_mono <= mono_ms and name not in self._reported]
        for name in late:
            amount = format_amount(self._open[name].amount)
            _log.warning(
                "withdrawal_not_reported", amount=amount, means="its command was killed before or after it booked"
            )
        self._reported.update(late)
        return list(self._reported)

    def put_back(self, over: list[str]) -> None:
        """Release them once the balances are read. For that moment an amount counts twice, never not at all."""
        for name in over:
            withdrawal = self._open.pop(name)
            self._reported.discard(name)
            if withdrawal.credit is not None:
                withdrawal.credit.put_back(withdrawal.amount)


POLL_S: Final = 1.0
"""Interval at which bookings of other processes are read."""
ACCOUNTS_AT_ONCE: Final = 1_000
"""Accounts of a catalogue that are looked at before calls get their turn, which takes well under a millisecond."""
LIMITED_AT_ONCE: Final = 250
"""Accounts with spend limits whose hours are begun at once, which takes five milliseconds."""
LOWS_AT_ONCE: Final = 100
"""Most lines that ``report_lows`` logs at once."""

_LATEST: Final = 2**62
"""Later than any call ends, in UTC milliseconds."""


class CurrencyChangedError(VosError):
    """Accounts have money in another currency than configured; ``held`` is the currency of each."""

    def __init__(self, held: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"account {name} has money in {currency}" for name, currency in held.items()))
        self.held = dict(held)


class _Past(NamedTuple):
    """A period of an account whose calls of before are to be counted."""

    account: str
    spending: Spending
    per: SpendPeriod
    began: int
    counted: Decimal
    """Cost that is counted already."""

    def add(self, amount: Decimal) -> None:
        """Count what its calls have cost, if the period has not ended since that was read."""
        if self.spending.began(self.per) == self.began:
            self.spending.add(amount, self.per)


class Balances(Counting):
    """The credits of all accounts, kept up to date with the database."""

    def __init__(self, books: Books, clock: Clock | None = None) -> None:
        """``clock`` says in which hour and day spend limits count; None = that of the machine."""
        self.credits: dict[str, AccountCredit] = {}
        """By account; none is ever removed, because calls of an account that left the configuration still end."""
        self.withdrawals: Final = Withdrawals(self.credits)
        self._limited: set[str] = set()
        """Accounts with spend limits."""
        self._partly_counted: set[str] = set()
        """Accounts of which only calls since the last start count, for the database was away then."""
        self._lows: list[AccountCredit] = []
        """Credits below their ``balance_low``, each at most once."""
        self._books = books
        self._clock = clock or SystemClock()
        self._currencies: dict[str, str] = {}
        """Currency with which each account was adopted."""
        self._unsettled: set[str] = set()
        """Accounts that may have another currency in the database, which is looked up before they keep theirs."""
        self._mark = 0
        self._refreshing = asyncio.Lock()
        self._adopting = asyncio.Lock()
        self._changed: dict[str, None] = {}
        """Accounts whose standing has changed since ``take_changed``."""
        self.owed_of: Callable[[int, int], Awaitable[Mapping[str, Decimal]]] | None = None
        """Returns what accounts owe of calls that ended in a time and are not booked, as ``Recorder.owed_of``; None =
        all that is owed is of the present hour. It is None while the earlier run is not recovered, for its calls are
        counted by that."""
        self.booked_elsewhere: Callable[[str, str, str | None], None] = _untold
        """Called for each account on which another process has booked: its name, balance and currency."""
        self.behind: set[str] = set()
        """Accounts with fewer entries in the database than were committed; read by ``DatabaseWatch``."""

    async def adopt(
        self,
        accounts: Mapping[str, Account],
        in_calls: Callable[[], Collection[str]] = frozenset,
        other: Set[str] | None = None,
    ) -> None:
        """Insert a row for each account that has none, set its currency, and read balances that are not known yet.

        ``in_calls`` returns the accounts of running calls, which will be booked in the present currencies. Whether a
        currency may change is checked last, so that the result holds until the caller awaits something. ``other`` has
        all accounts that may differ from those adopted last; None = any may.

        Raises:
            CurrencyChangedError: some have money in another currency; the terms in force are not changed.
            StoreUnavailable: rows may be inserted, and no terms are changed; try again.
        """
        async with self._adopting:
            names: Collection[str] = accounts if other is None else (other | self._unsettled) & accounts.keys()
            unread, currencies, limits = await self._to_settle(accounts, names)
            are_first = not self._mark and self.credits.keys() <= set(unread)
            changes = ChangedStandings({}, 0)
            known: list[str] = []
            if unread:
                changes = await self._opened(unread, currencies)
                known = [name for name in unread if name in self.credits]
                await self._enter([accounts[name] for name in unread], changes)
            limited = [name for name in limits if accounts[name].spend_limits]
            counting: list[AccountCredit] = []
            try:
                past = await self._to_count([accounts[name] for name in limited], counting)
                spent = await self._spent_before(past)
                await self._settle_currencies(currencies, in_calls, changes.currencies)
            except BaseException:
                for credit in counting:
                    credit.spending = None  # with a part of its sums it would never be read again
                raise
            # From here on nothing can fail and nothing is awaited: what is refused changes no terms that are in force.
            for name in known:
                self.credits[name].set_terms(accounts[name].overdraft_limit, *accounts[name].low_terms)
            self._changed |= dict.fromkeys(currencies)  # their balances may have been taken before these were known
            if are_first:  # else the first look would read all balances a second time, while calls wait
                self._mark = changes.mark
            for name in self.credits if other is None else other & self.credits.keys():
                if name not in accounts:  # an account that is gone is not low
                    self.credits[name].set_terms(self.credits[name].own_limit, None)
            for each, amount in zip(past, spent, strict=True):
                each.add(amount)
            wall_ms = self._clock.now().wall
            for name in limits:
                account, credit = accounts[name], self.credits[name]
                if not account.spend_limits:
                    credit.spending = None
                elif credit.spending is not None:
                    credit.spending.set_limits(account.spend_limits, account.timezone, wall_ms)
            self._partly_counted.difference_update(limits)
            # Calls of an account that is gone go on within its limits, whose hours and days begin anew.
            changed = self._limited if other is None else self._limited & other
            going_on = [name for name in changed if name not in accounts and self.credits[name].holds]
            self._limited -= self._limited.difference(limited) if other is None else other
            self._limited.update(limited, going_on)

    async def _enter(self, accounts: Iterable[Account], found: ChangedStandings) -> None:
        """Give accounts the standings that were read, and those without a credit one with their terms; let calls run.

        No call uses the credit of a new account before its catalogue is in force.
        """
        for count, account in enumerate(accounts, 1):
            name, credit, standing = account.id, self.credits.get(account.id), found.standings[account.id]
            if credit is not None:
                credit.committed(*standing)
            else:  # as of each account at a start
                credit = AccountCredit(name, account.overdraft_limit, *standing, lows=self._lows)
                if account.low_terms != (None, None):
                    credit.set_terms(account.overdraft_limit, *account.low_terms)
                self.credits[name] = credit
            credit.expires_at = found.expiries.get(name)
            self._changed[name] = None
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def adopt_last_known(self, accounts: Mapping[str, Account], standings: Sequence[LastStanding]) -> None:
        """Give every account the balance that was known last, zero where none is: the database is away.

        Spend limits count from now on.
        """
        wall_ms = self._clock.now().wall
        known = {each.account: each for each in standings}
        for name, account in accounts.items():
            last = known.get(name) or LastStanding(name, ZERO, 0, None, account.currency)
            credit = self._credit(name)
            credit.committed(last.balance, last.seq)
            credit.expires_at = last.expires_at
            credit.set_terms(account.overdraft_limit, *account.low_terms)
            if last.currency is not None:
                self._currencies[name] = last.currency
            if account.spend_limits:
                credit.spending = Spending(account.spend_limits, account.timezone, wall_ms, credit)
                self._limited.add(name)

    async def adopt_anew(self, accounts: Mapping[str, Account], in_calls: Callable[[], Collection[str]]) -> None:
        """Read every balance and all that calls have cost, as at a start: what was known last ends.

        Raises:
            CurrencyChangedError: some have money in another currency.
            StoreUnavailable: some of it may be done, and the spend limits hold as they did; try again.
        """
        self._currencies.clear()
        self._partly_counted = {name for name, credit in self.credits.items() if credit.spending is not None}
        for credit in self.credits.values():
            credit.forget()
        await self.adopt(accounts, in_calls)

    @property
    def currencies(self) -> dict[str, str]:
        """The currency of each account, as far as it is known."""
        return dict(self._currencies)

    @property
    def changed(self) -> int:
        """Number of accounts whose standing has changed since it was taken last."""
        return len(self._changed)

    def take_changed(self, most: int) -> list[LastStanding]:
        """Return the standings that have changed since they were taken last, of at most so many accounts.

        Those that changed first come first.
        """
        names = list(islice(self._changed, most))
        for name in names:
            del self._changed[name]
        found = ((name, self.credits[name]) for name in names)
        return [
            LastStanding(name, each.balance, each.seq, each.expires_at, self._currencies.get(name))
            for name, each in found
            if each.is_read
        ]

    def note_changed(self, accounts: Iterable[str]) -> None:
        """Have ``take_changed`` return the standings of these accounts, on which calls were booked."""
        self._changed |= dict.fromkeys(accounts)

    async def _to_settle(
        self, accounts: Mapping[str, Account], names: Iterable[str]
    ) -> tuple[list[str], dict[str, str], list[str]]:
        """Return the accounts whose balance is unknown, the currencies that change, and who has or had spend limits."""
        unread: list[str] = []
        currencies: dict[str, str] = {}
        limits: list[str] = []
        for count, name in enumerate(names, 1):
            account, credit = accounts[name], self.credits.get(name)
            if credit is None or not credit.is_read:
                unread.append(name)
            if self._currencies.get(name) != account.currency or name in self._unsettled:
                currencies[name] = account.currency
            if account.spend_limits or (credit is not None and credit.spending is not None):
                limits.append(name)
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return unread, currencies, sorted(limits)

    async def _to_count(self, accounts: Iterable[Account], counting: list[AccountCredit]) -> list[_Past]:
        """Return the present periods of accounts whose calls of before are not counted yet; let calls run.

        A credit without ``Spending`` gets one without limits, which counts what ends from here on, and is added to
        ``counting``.
        """
        wanted: list[tuple[str, Spending]] = []
        for some in in_parts(accounts, LIMITED_AT_ONCE):
            for account in some:
                credit = self._credit(account.id)
                if credit.spending is None:
                    credit.spending = Spending((), account.timezone, self._clock.now().wall, credit)
                    counting.append(credit)
                elif account.id in self._limited and account.id not in self._partly_counted:
                    continue
                wanted.append((account.id, credit.spending))
            await asyncio.sleep(0)
        # The periods are read in the turn in which it is asked what is owed: a call that ended before is in both.
        past, wall_ms = [], self._clock.now().wall
        for name, spending in wanted:
            spending.roll(wall_ms)
            past += [_Past(name, spending, per, spending.began(per), spending.spent(per)) for per in SpendPeriod]
        return past

    async def _spent_before(self, past: Sequence[_Past]) -> list[Decimal]:
        """Return what calls have cost in each of these periods and is not counted yet.

        Calls that end from here on add themselves; one that is booked meanwhile counts twice, never not at all.
        """
        if not past:
            return []
        if self.owed_of is None:
            owed = [-self._credit(each.account).unbooked for each in past]
        else:
            since = {began: await self.owed_of(began, _LATEST) for began in sorted({each.began for each in past})}
            owed = [since[each.began].get(each.account, ZERO) for each in past]
        spent = await self._books.spent_since([(each.account, each.began) for each in past])
        return [booked + waiting - each.counted for each, booked, waiting in zip(past, spent, owed, strict=True)]

    async def _opened(self, names: Collection[str], currencies: Mapping[str, str]) -> ChangedStandings:
        """Return the standings of accounts; those that have no row get one in their currency."""
        if len(names) <= ACCOUNTS_AT_ONCE:
            await self._books.open_accounts(names, currencies)
            return await self._books.standings_of(names)
        # All are read before: at a start nearly all have a row, and to look for that one by one takes a second.
        found = await self._books.standings()
        missing = [name for name in names if name not in found.standings]
        await self._books.open_accounts(missing, currencies)
        return await self._books.standings() if missing else found

    async def _settle_currencies(
        self, wanted: Mapping[str, str], in_calls: Callable[[], Collection[str]], read: Mapping[str, str]
    ) -> None:
        """Set the currencies of accounts in the database, unless they are known to be set.

        ``read`` are those that accounts had there just now.
        """
        changed: dict[str, str] = {}
        already: dict[str, str] = {}
        for name, currency in wanted.items():
            known = self._currencies.get(name)
            if known is None and read.get(name) == currency:
                already[name] = currency
            elif known != currency or name in self._unsettled:
                changed[name] = currency
        if not changed:
            self._currencies |= already
            return
        moved = [name for name, currency in changed.items() if self._currencies.get(name) != currency]
        if used := self.in_use(moved, in_calls()):
            raise CurrencyChangedError(used)
        self._unsettled |= changed.keys()
        others = await self._books.settle_currencies(changed)
        if not others:
            others = self.in_use(moved, in_calls())  # of calls that were admitted during the query
            if not others:
                self._unsettled -= changed.keys()
                self._currencies |= already | changed
                return
        before = {name: self._currencies.get(name, changed[name]) for name in changed}
        if not await self._books.settle_currencies(before):
            self._unsettled -= changed.keys()
        raise CurrencyChangedError(others)

    async def check_currencies(
        self, accounts: Mapping[str, Account], in_calls: Callable[[], Collection[str]] = frozenset
    ) -> None:
        """Check the currencies of accounts as ``adopt`` does, and change nothing.

        Raises:
            CurrencyChangedError: some have money in another currency.
            StoreUnavailable: try again.
        """
        _, changed, _ = await self._to_settle(accounts, accounts)
        if changed:
            moved = [name for name, currency in changed.items() if self._currencies.get(name) != currency]
            others = self.in_use(moved, in_calls()) or await self._books.other_currencies(changed)
            if others:
                raise CurrencyChangedError(others)

    def in_use(self, names: Iterable[str], in_calls: Collection[str]) -> dict[str, str]:
        """Return the accounts whose present currency running or unbooked calls have, with that currency."""
        return {name: self._currencies[name] for name in names if self._has_calls_in(name, in_calls)}

    def _has_calls_in(self, name: str, in_calls: Collection[str]) -> bool:
        credit = self.credits.get(name)
        if credit is None or name not in self._currencies:
            return False
        return name in in_calls or bool(credit.reserved or credit.unbooked)

    async def run(self) -> None:
        """Read the bookings of other processes, again and again; runs until cancelled."""
        outage = Outage(Event.DATABASE_AWAY, part="balances")
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.refresh()
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="the last known balances hold")

    async def watch(self) -> None:
        """Report low balances and begin hours and days of spend limits, however slow the database is; never returns."""
        while True:
            await asyncio.sleep(POLL_S)
            self.report_lows()
            limited = sorted(self._limited)
            for first in range(0, len(limited), LIMITED_AT_ONCE):
                some = limited[first : first + LIMITED_AT_ONCE]
                for name in some:
                    while (spending := self.credits[name].spending) is not None:
                        if not spending.look_on():
                            break
                        await asyncio.sleep(0)  # let calls run
                self.watch_spending(some)
                await asyncio.sleep(0)

    async def refresh(self) -> None:
        """Read what other processes have booked since the last time.

        Raises:
            StoreUnavailable: the balances are not changed.
        """
        async with self._refreshing:
            mark, withdrawn = self._mark, self.withdrawals.over(self._clock.now().mono)
            changes = await self._books.standings(mark)
            newer: dict[str, int] = {}
            for count, (name, standing) in enumerate(changes.standings.items(), 1):
                credit = self.credits.get(name)
                if credit is not None:
                    if self._currencies.get(name) not in {None, changes.currencies.get(name)}:
                        self._unsettled.add(name)
                    if standing.seq < credit.seq:
                        newer[name] = credit.seq
                    elif standing.seq > credit.seq and credit.is_read and standing.balance != credit.balance:
                        self.tell_of_others(name, standing)
                    credit.committed(standing.balance, standing.seq)
                    credit.expires_at = changes.expiries.get(name)
                    self._changed[name] = None
                if count % ACCOUNTS_AT_ONCE == 0:
                    await asyncio.sleep(0)  # let calls run
            self._mark = changes.mark  # not before: one that is cancelled has not read the rest
            self.withdrawals.put_back(withdrawn)
            if newer:
                # Calls booked during the query are usually why. A query that begins later must have their entries; to
                # compare the journal for nothing would read all calls of the last minutes.
                found = (await self._books.standings(mark)).standings
                self.behind.update(name for name, seq in newer.items() if name not in found or found[name].seq < seq)

    def tell_of_others(self, account: str, standing: Standing) -> None:
        """Say that another process has booked on an account, and what its standing is now."""
        self.booked_elsewhere(account, format_amount(standing.balance), self._currencies.get(account))

    def freeze(self, *, is_frozen: bool) -> None:
        """Grant running calls nothing more that costs anything, on accounts with a limit, or grant it again."""
        for credit in self.credits.values():
            credit.is_frozen = is_frozen

    @property
    def mark(self) -> int:
        """The newest commit of which a balance was read."""
        return self._mark

    def committed(self) -> dict[str, Standing]:
        """Return the last committed standing of each account."""
        return {name: Standing(credit.balance, credit.seq) for name, credit in self.credits.items() if credit.is_read}

    async def account_behind(self) -> str | None:
        """Return an account with fewer entries in the database than were committed; None = there is none.

        Raises:
            StoreUnavailable: try again.
        """
        known = {name: credit.seq for name, credit in self.credits.items() if credit.is_read}
        found = (await self._books.standings()).standings
        return next((name for name, seq in known.items() if seq and (name not in found or found[name].seq < seq)), None)

    async def read_anew(self) -> Mapping[str, Standing]:
        """Read the balance of every account again, also where it has fewer entries than before; return them.

        Raises:
            StoreUnavailable: the balances are not changed.
        """
        async with self._refreshing:
            changes = await self._books.standings()
            known = [name for name, credit in self.credits.items() if credit.is_read]
            gone = [name for name in known if name not in changes.standings]
            if gone:
                await self._books.open_accounts(gone, self._currencies)
                changes = await self._books.standings()
            for count, name in enumerate(known, 1):
                self.credits[name].restore(*changes.standings[name])
                self.credits[name].expires_at = changes.expiries.get(name)
                self._changed[name] = None
                if count % ACCOUNTS_AT_ONCE == 0:
                    await asyncio.sleep(0)  # let calls run
            self._mark = changes.mark
            return changes.standings

    def add_owed(self, postings: Iterable[Posting], ended_at: int | None = None) -> None:
        """Count what an ended call will book as owed, also on accounts that are not configured.

        Such an account may be configured again before the call is booked, when its balance lacks the call.
        ``ended_at`` is when it has ended, UTC milliseconds, for spend limits; None = just now.
        """
        for posting in postings:
            self._credit(posting.account).post(posting.amount, ended_at)

    def add_owed_sums(self, sums: Mapping[str, Decimal], ended_by: int) -> None:
        """Count what several ended calls will take from each account as owed; what they earn is not in the sums.

        ``ended_by`` is when the last of them has ended, UTC milliseconds.
        """
        for account, amount in sums.items():
            self._credit(account).post(amount, ended_by)

    def watch_spending(self, names: Iterable[str] | None = None) -> None:
        """Begin the hours and days of spend limits that have ended anew, and log the limits that are reached.

        ``names`` are those of accounts that have limits; None = all.
        """
        wall_ms = self._clock.now().wall
        for name in sorted(self._limited) if names is None else names:
            credit = self.credits[name]
            if credit.spending is None:
                continue
            credit.spending.roll(wall_ms)
            for limit in credit.spending.reached(credit.reserved):
                spent, reserved = credit.spending.parts(limit.per, credit.reserved)
                _log.warning(
                    Event.SPEND_LIMIT_REACHED.value,
                    account=credit.account,
                    per=limit.per.value,
                    limit=format_amount(limit.amount),
                    action=limit.action.value,
                    spent=format_amount(spent),
                    reserved=format_amount(reserved),
                    currency=self._currencies.get(credit.account),
                )

    def report_lows(self) -> None:
        """Log accounts with low balances, at most ``LOWS_AT_ONCE``, so that calls are not delayed."""
        low, self._lows[:] = self._lows[:LOWS_AT_ONCE], self._lows[LOWS_AT_ONCE:]
        for credit in low:
            if not credit.is_low:
                continue  # money was added meanwhile, or its terms have changed
            _log.warning(
                Event.BALANCE_LOW.value,
                account=credit.account,
                left=format_amount(credit.left),
                currency=self._currencies.get(credit.account),
                balance=format_amount(credit.balance),
                reserved=format_amount(credit.reserved),
                balance_low=format_amount(credit.low_below or ZERO),
            )

    def _credit(self, name: str) -> AccountCredit:
        credit = self.credits.get(name)
        if credit is None:
            credit = self.credits[name] = AccountCredit.unread(name)
            credit.lows = self._lows
        return credit


def _untold(_account: str, _balance: str, _currency: str | None) -> None:
    """Tell no one."""
