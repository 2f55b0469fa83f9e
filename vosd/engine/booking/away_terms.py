"""Accounts while the database is away: which take no calls, and what the calls of others may cost (ADR 68)."""

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from vosd.base.clock import Clock
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.booking.balances import ACCOUNTS_AT_ONCE
from vosd.engine.booking.recorder import Recorder
from vosd.obs.events import Event, log as _log

REARM_MS: Final = 60_000
"""For so long the database has to stay before the next outage counts caps anew."""


class AwayTerms:
    """Puts in force what the accounts say about outages of the database.

    An outage that follows another one soon goes on with its caps: what calls have cost in that one counts until all of
    them are booked and the database has stayed for ``REARM_MS``. By then every call that runs has been extended on
    balances that were read since.
    """

    def __init__(self, live: LiveState, catalogue: Callable[[], Catalogue], bookings: Recorder, clock: Clock) -> None:
        """``catalogue`` returns the one in force."""
        self._live: Final = live
        self._catalogue = catalogue
        self._bookings: Final = bookings
        self._clock: Final = clock
        self._caps: dict[str, Decimal] = {}
        self._reported: set[str] = set()
        self._used: dict[str, Decimal] = {}
        """Used part of caps, by account, until that is confirmed."""
        self._confirmed_at = (0, 0)
        """Number of calls that have to be booked for that, and the earliest time."""

    async def set_away(self, is_away: bool) -> None:
        """Begin or end an outage; call ``note_used`` before balances are read at its end.

        One that goes on has no further cap for accounts that have theirs: a start without the database, which came and
        went before balances could be read, is one outage. Accounts that were not known yet as it began get theirs.
        """
        was_away, self._live.is_database_away = self._live.is_database_away, is_away
        if is_away:
            if not was_away:
                self._rearm()
            catalogue = self._catalogue()
            await self._bound(caps_of(catalogue.accounts.values(), catalogue.parameters.away_cap))
        else:
            self._confirmed_at = (self._bookings.ended, self._clock.now().mono + REARM_MS)
            await self._release()

    async def note_used(self) -> None:
        """Note what calls have used up of the caps: the outage ends, if the balances can be read."""
        for count, (name, cap) in enumerate(self._caps.items(), 1):
            left = self._live.credits[name].left_in_bound
            if left is not None and left < cap:
                self._used[name] = cap - left
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run

    def note_owed(self) -> None:
        """Count what the calls of an earlier run owe as used up: they have waited for the database, too."""
        if not self._live.is_database_away:
            self._used = {name: -each.unbooked for name, each in self._live.credits.items() if each.unbooked < 0}
            self._confirmed_at = (self._bookings.ended, self._clock.now().mono + REARM_MS)

    def report(self) -> None:
        """Log the accounts of which a call was refused because of their cap, each once in an outage."""
        if not self._live.is_database_away:
            self._rearm()
        for name in self._caps.keys() - self._reported:
            if self._live.credits[name].is_capped:
                self._reported.add(name)
                _log.warning(
                    Event.AWAY_CAP_REACHED.value,
                    account=name,
                    cap=format_amount(self._caps[name]),
                    do="mend the database; database_away_cap of the account sets the cap of the next outage",
                )

    def _rearm(self) -> None:
        calls, mono = self._confirmed_at
        if self._used and self._bookings.confirmed >= calls and self._clock.now().mono >= mono:
            self._used.clear()

    async def _bound(self, caps: dict[str, Decimal]) -> None:
        for count, (name, cap) in enumerate(caps.items(), 1):
            credit = self._live.credits.get(name)
            if credit is not None and name not in self._caps:
                credit.bound(cap - self._used.get(name, ZERO))
                self._caps[name] = cap
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run

    async def _release(self) -> None:
        for count in range(1, len(self._caps) + 1):
            self._live.credits[self._caps.popitem()[0]].bound(None)  # where this is cancelled, the others have theirs
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._reported.clear()


def caps_of(accounts: Iterable[Account], default: Decimal | None) -> dict[str, Decimal]:
    """Return what the calls of each account may cost in an outage, of those that have such a cap.

    ``default`` holds for accounts with a limit; None = there is none.
    """
    caps: dict[str, Decimal] = {}
    for account in accounts:
        cap = account.database_away_cap
        if cap is None and account.overdraft_limit is not None:
            cap = default
        if cap is not None:
            caps[account.id] = cap
    return caps
