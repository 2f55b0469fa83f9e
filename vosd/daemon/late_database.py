"""A start without the database: calls are taken by what was known last, until it answers (ADR 68)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from vosd.base.errors import VosError
from vosd.cdr.lease import LeaseHeld
from vosd.cdr.ports import StoreUnavailable
from vosd.engine import background
from vosd.engine.background import kept_going
from vosd.obs.events import Event
from vosd.obs.outage import Outage

RETRY_S: Final = 2.0
"""Interval of attempts to use the database."""

_log = structlog.get_logger()


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
        self._task: asyncio.Task[None] | None = None

    def begin(self, error: StoreUnavailable) -> None:
        """Wait from now on."""
        self._outage.found(error, means="calls are taken by the last known balances, overrides and registrations")
        self._task = asyncio.create_task(kept_going("late database", self._run), name="late database")

    async def end(self) -> None:
        """Wait no longer."""
        if self._task is not None:
            await background.end([self._task])

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
