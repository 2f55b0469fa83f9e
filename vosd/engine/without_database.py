"""A start without the database: what was known last holds until the database answers (ADR 68)."""

from typing import Final

import structlog

from vosd.cdr.ports import StoreUnavailable
from vosd.engine.booking.away_terms import AwayTerms
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.database_watch import DatabaseWatch
from vosd.engine.booking.last_standings import StandingsCopier
from vosd.engine.booking.overrides import OverrideWatch
from vosd.engine.booking.recorder import Recorder
from vosd.engine.calls.snapshots import accounts_of
from vosd.engine.node import Node

_log = structlog.get_logger()


class WithoutDatabase:
    """Begins with the last known balances and overrides, and replaces them by those of the database."""

    def __init__(
        self,
        balances: Balances,
        overrides: OverrideWatch,
        recorder: Recorder,
        watch: DatabaseWatch,
        terms: AwayTerms,
        copier: StandingsCopier,
        node: Node,
    ) -> None:
        self._balances: Final = balances
        self._overrides: Final = overrides
        self._recorder: Final = recorder
        self._watch: Final = watch
        self._terms: Final = terms
        self._copier: Final = copier
        self._node: Final = node

    async def is_possible(self) -> bool:
        """Return whether any balance is known from an earlier run."""
        try:
            return bool(await self._copier.known())
        except StoreUnavailable as error:
            _log.error("last_known_unreadable", error=str(error), means="a start waits for the database")
            return False

    async def begin(self) -> None:
        """Use what was known last, instead of ``SwitchService.learn``; nothing is booked until ``catch_up``.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """
        catalogue = self._node.switch.catalogue
        standings = await self._copier.known()
        self._watch.wait()
        await self._recorder.turn.acquire()
        self._balances.adopt_last_known(catalogue.accounts, standings)
        self._overrides.restore()
        await self._node.registrar.restore(catalogue)
        await self._terms.set_away(True)
        _log.warning(
            "started_without_database", accounts=len(standings), overrides=len(self._overrides.in_force.by_key)
        )

    async def catch_up(self) -> None:
        """Replace the last known balances and overrides by those of the database, and book from now on.

        The registrations of this switch are written there.

        Calls go on: one ends only where its account can pay no more of it, when its hold is to be extended.

        Raises:
            CurrencyChangedError: the configuration has another currency for an account with money.
            StoreUnavailable: what was known last still holds; try again.
        """
        switch = self._node.switch
        await self._terms.note_used()
        await self._balances.adopt_anew(switch.catalogue.accounts, lambda: accounts_of(switch.calls()))
        await self._overrides.refresh()
        self._overrides.apply_again()
        await self._node.registrations.write_again()
        await self._terms.set_away(False)
        self._watch.caught_up()
        self._recorder.turn.release()
