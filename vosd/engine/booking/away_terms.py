"""Accounts while the database is away: which take no calls, and what the calls of others may cost (ADR 68)."""

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import structlog

from vosd.base.money import format_amount
from vosd.billing.accounts import Account
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.booking.balances import ACCOUNTS_AT_ONCE
from vosd.obs.events import Event

_log = structlog.get_logger()


class AwayTerms:
    """Puts in force what the accounts say about outages of the database."""

    def __init__(self, live: LiveState, catalogue: Callable[[], Catalogue]) -> None:
        """``catalogue`` returns the one in force."""
        self._live: Final = live
        self._catalogue = catalogue
        self._caps: dict[str, Decimal] = {}
        self._reported: set[str] = set()

    async def set_away(self, is_away: bool) -> None:
        """Begin or end an outage."""
        self._live.is_database_away = is_away
        if is_away:
            catalogue = self._catalogue()
            await self._bound(caps_of(catalogue.accounts.values(), catalogue.parameters.away_cap))
        else:
            await self._release()

    def report(self) -> None:
        """Log the accounts of which a call was refused because of their cap, each once in an outage."""
        for name in self._caps.keys() - self._reported:
            if self._live.credits[name].is_capped:
                self._reported.add(name)
                _log.warning(
                    Event.AWAY_CAP_REACHED.value,
                    account=name,
                    cap=format_amount(self._caps[name]),
                    do="mend the database; database_away_cap of the account sets the cap of the next outage",
                )

    async def _bound(self, caps: dict[str, Decimal]) -> None:
        for count, (name, cap) in enumerate(caps.items(), 1):
            credit = self._live.credits.get(name)
            if credit is not None:
                credit.bound(cap)
                self._caps[name] = cap
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run

    async def _release(self) -> None:
        for count, name in enumerate(self._caps, 1):
            self._live.credits[name].bound(None)
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._caps.clear()
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
