"""What the running switch knows of accounts' money, brought together from the database and the journal.

An account has a credit from the moment that its money moves here or that it is configured, until the process ends:
whether it is in the catalogue decides if it may be called on, never what it owes.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Final

import structlog

from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account
from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import Books, Standing, StoreUnavailable
from vosd.cdr.record import Posting
from vosd.obs.events import Event
from vosd.obs.outage import Outage

POLL_S: Final = 1.0
"""How often bookings of others are looked for."""
LOWS_AT_ONCE: Final = 100
"""Lines of ``report_lows``."""

_log = structlog.get_logger()


class CurrencyChangedError(VosError):
    """Accounts have money in another currency than they are configured with; ``held`` is what they have."""

    def __init__(self, held: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"account {name} has money in {currency}" for name, currency in held.items()))
        self.held = dict(held)


class Balances:
    """The credits of all accounts, and how they follow the database."""

    def __init__(self, books: Books) -> None:
        self.credits: dict[str, AccountCredit] = {}
        """By account; none is ever removed, since calls of an account that left the configuration still end."""
        self._lows: list[AccountCredit] = []
        """Where less is left for calls than people want to know of; each at most once."""
        self._books = books
        self._currencies: dict[str, str] = {}
        """What each account was adopted with."""
        self._mark = 0
        self._refreshing = asyncio.Lock()
        self.behind: set[str] = set()
        """Accounts that were found with fewer entries than were known; read by who watches over the database."""

    async def adopt(self, accounts: Mapping[str, Account], in_calls: Callable[[], Collection[str]] = frozenset) -> None:
        """Open a row for every account that has none, settle its currency, and read balances that are not known yet.

        ``in_calls`` returns the accounts of the calls that run, which will be booked in the currencies of now. Whether
        any currency may change is looked at last, so that it holds until the caller awaits something.

        Raises:
            CurrencyChangedError: some have money in another currency; the credits are as they were.
            StoreUnavailable: nothing of it is certain; ask again.
        """
        unread = [name for name in accounts if name not in self.credits or not self.credits[name].is_read]
        standings: Mapping[str, Standing] = {}
        if unread:
            await self._books.open_accounts(unread)
            standings = (await self._books.standings()).standings
        await self._settle_currencies({name: account.currency for name, account in accounts.items()}, in_calls)
        for name in unread:
            credit = self._credit(name)
            credit.committed(*standings[name])
            credit.set_terms(accounts[name].overdraft_limit, accounts[name].balance_low)

    async def _settle_currencies(self, wanted: Mapping[str, str], in_calls: Callable[[], Collection[str]]) -> None:
        """Have the database say whether accounts may have these currencies, where it has not said so yet."""
        news = {name: currency for name, currency in wanted.items() if self._currencies.get(name) != currency}
        if not news:
            return
        others = self._spoken_for(news, in_calls()) or await self._books.settle_currencies(news)
        if others:
            raise CurrencyChangedError(others)
        late = self._spoken_for(news, in_calls())
        if late:  # by a call that was admitted while the database was asked
            await self._books.settle_currencies({name: self._currencies.get(name, news[name]) for name in news})
            raise CurrencyChangedError(late)
        self._currencies |= news

    def _spoken_for(self, names: Iterable[str], in_calls: Collection[str]) -> dict[str, str]:
        """Return those whose present currency is that of calls which run, or wait to be booked."""
        return {name: self._currencies[name] for name in names if self._has_calls_in(name, in_calls)}

    def _has_calls_in(self, name: str, in_calls: Collection[str]) -> bool:
        credit = self.credits.get(name)
        if credit is None or name not in self._currencies:
            return False
        return name in in_calls or bool(credit.reserved or credit.unbooked)

    async def run(self) -> None:
        """Look for the bookings of others, and report low balances; runs until cancelled."""
        outage = Outage(Event.DATABASE_AWAY, part="balances")
        while True:
            await asyncio.sleep(POLL_S)
            self.report_lows()
            try:
                await self.refresh()
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="the last known balances hold")

    async def refresh(self) -> None:
        """Take in what others have booked since the last look.

        Raises:
            StoreUnavailable: the balances stay as they were known.
        """
        async with self._refreshing:
            changes = await self._books.standings(self._mark)
            self._mark = changes.mark
            for name, standing in changes.standings.items():
                credit = self.credits.get(name)
                if credit is not None:
                    if standing.seq < credit.seq:
                        self.behind.add(name)
                    credit.committed(standing.balance, standing.seq)

    @property
    def mark(self) -> int:
        """The newest commit that a balance was read of."""
        return self._mark

    def committed(self) -> dict[str, Decimal]:
        """Return the balance of each account as it was committed last."""
        return {name: credit.balance for name, credit in self.credits.items() if credit.is_read}

    async def account_behind(self) -> str | None:
        """Return an account that has fewer entries in the database than were known to be committed.

        Raises:
            StoreUnavailable: ask again.
        """
        known = {name: credit.seq for name, credit in self.credits.items() if credit.is_read}
        found = (await self._books.standings()).standings
        return next((name for name, seq in known.items() if seq and (name not in found or found[name].seq < seq)), None)

    async def read_anew(self) -> None:
        """Take in what the database says of every account, whatever it said before.

        Raises:
            StoreUnavailable: the balances stay as they were known.
        """
        async with self._refreshing:
            changes = await self._books.standings()
            known = [name for name, credit in self.credits.items() if credit.is_read]
            gone = [name for name in known if name not in changes.standings]
            if gone:
                await self._books.open_accounts(gone)
                settled = {name: self._currencies[name] for name in gone if name in self._currencies}
                await self._books.settle_currencies(settled)
                changes = await self._books.standings()
            self._mark = changes.mark
            for name in known:
                self.credits[name].restore(*changes.standings[name])

    def owe(self, postings: Iterable[Posting]) -> None:
        """Take in what an ended call will book, also on accounts that are not configured now.

        Such an account may come back before the call is booked, and its balance in the database lacks the call.
        """
        for posting in postings:
            self._credit(posting.account).post(posting.amount)

    def report_lows(self) -> None:
        """Say in the log which accounts have little left, so many at a time that calls go on meanwhile."""
        told, self._lows[:] = self._lows[:LOWS_AT_ONCE], self._lows[LOWS_AT_ONCE:]
        for credit in told:
            left = (
                credit.available if credit.available is not None else credit.balance + credit.unbooked - credit.reserved
            )
            _log.warning(
                Event.BALANCE_LOW.value,
                account=credit.account,
                left=format_amount(left),
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
