"""A start without the database: calls are taken by what was known last, until it answers (ADR 68)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from vosd.base.errors import VosError
from vosd.cdr.lease import LeaseHeld
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.background import BackgroundTasks
from vosd.obs.events import Event, log as _log
from vosd.obs.outage import Outage

RETRY_S: Final = 2.0
"""Interval of attempts to use the database."""

NAME: Final = "started-without-database"
"""Name of a file in ``state_dir`` with the identity of the boot: after another one the database may just be
starting."""


class KnownOutage:
    """Whether a start of the same outage has waited for the database already: the next one does not."""

    def __init__(self, state_dir: Path, boot: str) -> None:
        self._file: Final = state_dir / NAME
        self._boot: Final = boot

    def shortened(self, wait_s: int) -> int:
        """Return how long to wait: not at all if an earlier start of this boot has, and none found it since."""
        try:
            return 0 if self._boot and self._file.read_bytes() == self._boot.encode() else wait_s
        except OSError:
            return wait_s

    def found(self) -> None:
        """Note that this start goes on without the database."""
        try:
            self._file.write_text(self._boot)
        except OSError as error:
            _log.warning("outage_not_noted", file=str(self._file), error=str(error), means="the next start waits again")

    async def over(self) -> None:
        """Note that the database answers."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            if self._file.exists():
                means = "the next start of this boot does not wait for the database"
                _log.warning("outage_not_noted", file=str(self._file), error=str(error), means=means)


class LateDatabase:
    """Waits beside the calls for the database that did not answer at the start."""

    def __init__(self, attempts: tuple[Callable[[], Awaitable[None]], ...], held: Callable[[LeaseHeld], None]) -> None:
        """Take what is to be done.

        Args:
            attempts: what has to succeed, in this order, before the switch goes on as with any database.
            held: what to do while another switch runs on it.
        """
        self._attempts = attempts
        self._held = held
        self._outage = Outage(Event.DATABASE_AWAY, is_error=True, part="start")
        self._tasks = BackgroundTasks()

    def begin(self, error: StoreUnavailable) -> None:
        """Wait from now on."""
        self._outage.found(error, means="calls are taken by the last known balances, overrides and registrations")
        self._tasks.run("late database", self._run)

    async def end(self) -> None:
        """Wait no longer."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            if await self._succeeds():
                self._outage.over()
                return
            await asyncio.sleep(RETRY_S)

    async def _succeeds(self) -> bool:
        try:
            for attempt in self._attempts:
                await attempt()
        except LeaseHeld as held:
            self._held(held)
        except VosError as error:
            self._outage.found(error, means="calls are taken by the last known balances, overrides and registrations")
        else:
            return True
        return False
