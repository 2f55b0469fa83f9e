"""The last known balances on disk, for a start without the database (ADR 68) and one after lost commits (ADR 22)."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from vosd.cdr.ports import LastStanding
from vosd.engine.booking.balances import Balances

NOTED_EVERY_S: Final = 5.0
"""Age of the copy at most: a kill loses what came later, and the database has it."""
NOTED_AT_ONCE: Final = 500


class LastStandings(Protocol):
    """A copy of the balances; ``storage`` implements it."""

    async def standings(self) -> Sequence[LastStanding]:
        """Return the last known standing of every account; raises StoreUnavailable where the copy cannot be read."""

    async def note(self, standings: Sequence[LastStanding]) -> bool:
        """Write the standings of accounts that have changed; return whether that was possible.

        The copy reports its failures itself.
        """

    async def known_at(self) -> int | None:
        """Return when the switch ran last, UTC milliseconds; None = it is not known.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """

    async def note_time(self, at: int) -> None:
        """Write that the switch runs at this time, UTC milliseconds; the copy reports its failures itself."""


class NoLastStandings:
    """No copy."""

    async def standings(self) -> Sequence[LastStanding]:
        """Return nothing."""
        return ()

    async def note(self, _standings: Sequence[LastStanding]) -> bool:
        """Write nothing."""
        return True

    async def known_at(self) -> int | None:
        """Return that it is not known."""
        return None

    async def note_time(self, at: int) -> None:
        """Write nothing."""


class StandingsCopier:
    """Writes to the copy what has changed."""

    def __init__(self, balances: Balances, copy: LastStandings, may_write: Callable[[], bool]) -> None:
        """``may_write``: False while the database may have lost commits, for a comparison needs the copy as it is."""
        self.copy: Final = copy
        self._balances = balances
        self._may_write = may_write
        self._turn = asyncio.Lock()

    async def known(self) -> Sequence[LastStanding]:
        """Return what the copy has; raises StoreUnavailable where it cannot be read."""
        return await self.copy.standings()

    async def run(self) -> None:
        """Write again and again; runs until cancelled."""
        while True:
            await asyncio.sleep(NOTED_EVERY_S)
            await self.write()

    async def write(self) -> bool:
        """Write what has changed until now; a failure or a cancellation leaves it for the next time.

        Return whether the copy has all of this moment, also where nothing may be written. Later changes are left for
        the next time: on a slow disk they would come faster than they are written.
        """
        async with self._turn:
            left, is_noted = self._balances.changed, True
            while left > 0 and is_noted and self._may_write():
                changed = self._balances.take_changed(min(left, NOTED_AT_ONCE))
                left, is_noted = left - NOTED_AT_ONCE, False
                try:
                    is_noted = not changed or await self.copy.note(changed)
                finally:
                    if not is_noted:
                        self._balances.note_changed(each.account for each in changed)
            return left <= 0 and is_noted
