"""A start without the database: what was known last holds until the database answers (ADR 68)."""

import asyncio
from typing import Final

from vosd.base.clock import Clock
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.booking.away_terms import AwayTerms
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.database_watch import DatabaseWatch
from vosd.engine.booking.last_standings import NOTED_EVERY_S, StandingsCopier
from vosd.engine.booking.overrides import OverrideWatch
from vosd.engine.booking.recorder import Recorder
from vosd.engine.calls.snapshots import accounts_of
from vosd.engine.node import Node
from vosd.obs.events import log as _log

TIME_NOTED_EVERY_S: Final = 60.0
"""Interval at which the copy gets the time, by which its age is known."""

CLOCK_BEHIND_S: Final = 60
"""A clock that is further behind the copy is wrong, and says nothing about the age of it."""


class WithoutDatabase:
    """Begins with the last known balances and overrides, and replaces them by those of the database.

    The copy is as old as the time that has gone by since this switch ran: as long as it runs without the database, it
    is the only one that spends, and knows all. Once it is stopped, another machine may be the switch.
    """

    def __init__(
        self,
        balances: Balances,
        overrides: OverrideWatch,
        recorder: Recorder,
        watch: DatabaseWatch,
        terms: AwayTerms,
        copier: StandingsCopier,
        node: Node,
        clock: Clock,
        max_age_s: int,
    ) -> None:
        """``max_age_s`` is the greatest age of the copy with which a start goes on; 0 = any."""
        self._balances: Final = balances
        self._overrides: Final = overrides
        self._recorder: Final = recorder
        self._watch: Final = watch
        self._terms: Final = terms
        self._copier: Final = copier
        self._copy: Final = copier.copy
        self._node: Final = node
        self._clock: Final = clock
        self._max_age_s: Final = max_age_s
        self._holds_turn = False
        """Whether nothing is booked until ``catch_up``."""

    async def obstacle(self) -> str | None:
        """Return why a start cannot go on without the database; None = it can."""
        try:
            if not await self._copy.standings():
                return "no earlier run has left balances"
            age_s = await self._age_s()
        except StoreUnavailable as error:
            _log.error("last_known_unreadable", error=str(error), means="a start waits for the database")
            return "what was known last cannot be read"
        if self._max_age_s and age_s is not None and age_s < -CLOCK_BEHIND_S:
            return f"the clock is {-age_s} s behind what this switch noted last (database.start_without_age)"
        if self._max_age_s and (age_s is None or age_s > self._max_age_s):
            ago = "unknown" if age_s is None else f"{age_s} s ago"
            return f"this switch ran last {ago}, and another one may have since (database.start_without_age)"
        return None

    async def begin(self) -> None:
        """Use what was known last, instead of ``SwitchService.learn``; nothing is booked until ``catch_up``.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """
        catalogue = self._node.switch.catalogue
        standings, age_s = await self._copy.standings(), await self._age_s()
        self._watch.wait()
        await self._recorder.turn.acquire()
        self._holds_turn = True
        self._balances.adopt_last_known(catalogue.accounts, standings)
        self._overrides.restore()
        await self._node.registrar.restore_copy(catalogue)
        await self._terms.set_away(True)
        _log.warning(
            "started_without_database",
            accounts=len(standings),
            overrides=len(self._overrides.in_force.by_key),
            age_s=age_s,
        )

    async def catch_up(self) -> None:
        """Replace the last known balances and overrides by those of the database, and book from now on; once.

        So are the registrations of the copy, apart from those that have changed here since the start.

        Calls go on: one ends only where its account can pay no more of it, when its hold is to be extended.

        Raises:
            CurrencyChangedError: the configuration has another currency for an account with money.
            StoreUnavailable: what was known last still holds; try again.
        """
        if not self._holds_turn:
            return
        switch = self._node.switch
        await self._terms.note_used()
        await self._balances.adopt_anew(switch.catalogue.accounts, lambda: accounts_of(switch.calls()))
        await self._overrides.refresh()
        self._overrides.apply_again()
        await self._node.registrar.catch_up()
        await self._terms.set_away(False)
        self._watch.caught_up()
        self._holds_turn = False
        self._recorder.turn.release()

    async def run(self) -> None:
        """Note again and again that this switch runs; runs until cancelled."""
        while True:
            is_of_now = await self.copy_all()
            await asyncio.sleep(TIME_NOTED_EVERY_S if is_of_now else NOTED_EVERY_S)

    async def copy_all(self) -> bool:
        """Write to the copy what has changed, and note that it is of this moment if it has all; return whether it is.

        A comparison that is due leaves it as it was: older than this moment, unless nothing has changed since. What
        changes while it is written is of a later moment.
        """
        at = self._clock.now().wall
        is_of_now = await self._copier.write()
        if self._watch.refuses_calls:  # another switch has the lease, or the balances may be wrong
            return False
        if is_of_now:
            await self._copy.note_time(at)
        return is_of_now

    async def _age_s(self) -> int | None:
        at = await self._copy.known_at()
        return None if at is None else (self._clock.now().wall - at) // 1_000
