"""Average use of accounts, by which their money may be low: cost of an hour, over the days that are added up.

It is read from the sums for reports, once a day for each account: no call is looked at.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from vosd.base.money import EXACT, ZERO
from vosd.billing.accounts import Account, AccountType
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.background import BackgroundTasks
from vosd.engine.booking.balances import ACCOUNTS_AT_ONCE, Balances
from vosd.obs.events import Event
from vosd.obs.outage import Outage
from vosd.storage.average_use import SqlAverageUse
from vosd.storage.database import Database
from vosd.traffic.counted import SLOTS_OF_HOUR

DAYS: Final = 7
"""Whole days of UTC over which use is averaged."""
READ_S: Final = 60.0
"""Interval at which accounts are looked for whose use is not read."""
_AT_ONCE: Final = 1_000
"""Accounts of one query, each of which looks through the sums of all."""


class AverageUse:
    """Reads the average use of accounts with ``balance_low_hours`` while the switch runs."""

    def __init__(self, balances: Balances, accounts: Callable[[], Mapping[str, Account]], database: Database) -> None:
        """``accounts`` returns those that are in force."""
        self._balances: Final = balances
        self._accounts: Final = accounts
        self._store: Final = SqlAverageUse(database)
        self._tasks: Final = BackgroundTasks()
        self._read: dict[str, int] = {}
        """End of the days of which the use of an account was read, quarters since 1970."""

    async def begin(self) -> None:
        """Begin to read; an alarm of before the start holds until the use of its account is known."""
        self._tasks.run("average use of accounts", self._keep)

    async def end(self) -> None:
        """End the task."""
        await self._tasks.stop()

    async def _keep(self) -> None:
        outage = Outage(Event.DATABASE_AWAY, part="average use")
        while True:
            try:
                await self.read()
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="the average use that was read last holds")
            await asyncio.sleep(READ_S)

    async def read(self) -> None:
        """Read the use of the accounts whose hours are new, and of all of them when another day is added up.

        Raises:
            StoreUnavailable: that of some may be read; try again.
        """
        wanted = []
        for count, account in enumerate(self._accounts().values(), 1):
            if account.balance_low_hours is None:
                self._read.pop(account.id, None)
            elif account.id in self._balances.credits:
                wanted.append(account)
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        if not wanted:
            return
        end = await self._store.added_up()
        wanted = [each for each in wanted if self._read.get(each.id) != end]
        for start in range(0, len(wanted), _AT_ONCE):
            await self._read_of(wanted[start : start + _AT_ONCE], end)

    async def _read_of(self, accounts: Sequence[Account], end: int) -> None:
        known = self._balances.currencies
        currencies = {each.id: known.get(each.id, each.currency) for each in accounts}
        vendors = [each.id for each in accounts if each.type is AccountType.CLEARING]
        found = await self._store.used(currencies, vendors, end, DAYS)
        for name in currencies:
            per_hour = ZERO
            if name in found:  # an account may be newer than the first of the days
                used = found[name]
                per_hour = EXACT.divide(used.cost * SLOTS_OF_HOUR, Decimal(end - used.since))
            self._balances.credits[name].set_use(per_hour)
            self._read[name] = end
