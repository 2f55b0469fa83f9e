"""Live events to HTTP servers: each receiver has a queue, a spool, tasks and dead letters of its own (ADR 126)."""

import secrets
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from vosd.base.clock import Clock
from vosd.cdr.columns import iso_utc
from vosd.control.events import DeadLetter, SwitchEvent, document_of
from vosd.engine.reports.live_events import LiveEvents
from vosd.engine.reports.queue import ReportOutcome
from vosd.engine.reports.report import CallReport
from vosd.engine.reports.reporter import HttpOutlet
from vosd.engine.reports.spool import ReportSpool
from vosd.engine.settings import CallReportSettings, ReceiverSettings

WEBHOOKS: Final = "webhooks"
DEAD: Final = "dead"
"""Directories of ``state_dir``: of all receivers, and of the dead letters of one."""
DEAD_MAX: Final = 1_000
"""Most dead letters of one receiver; of more the oldest are dropped."""


class EventWebhook(HttpOutlet):
    """Delivers the live events that one receiver wants."""

    def __init__(
        self, clock: Clock, settings: ReceiverSettings, state_dir: Path, events: LiveEvents, is_busy: Callable[[], bool]
    ) -> None:
        """``is_busy`` returns whether the switch is overloaded: events wait then."""
        directory = state_dir / WEBHOOKS / settings.name
        super().__init__(clock, settings.delivery, directory, is_busy, receiver=settings.name)
        self.name: Final = settings.name
        self._types = settings.types
        self._series = secrets.token_hex(4)
        """Part of the ids of this start: numbers of an earlier one come again when no file of the spool has them."""
        self._events = events
        self._is_attached = False
        self._dead = ReportSpool(directory / DEAD, receiver=settings.name)
        self._letters: deque[CallReport] = deque()

    async def begin(self) -> None:
        """Take up what an earlier run has left, and deliver from now on."""
        self._letters.extend(self._dead.open().reports[-DEAD_MAX:])
        self._next_number = 1 + max((each.number for each in self._letters), default=0)
        await super().begin()

    async def end(self) -> None:
        """Deliver the last events if the receiver is well; the others stay in the spool."""
        await super().end()
        self._dead.close()

    async def change(self, settings: ReceiverSettings) -> None:
        """Apply other settings."""
        self._types = settings.types
        await self.adjust(settings.delivery)

    async def remove(self) -> None:
        """Deliver nothing more, and remove what waits and the dead letters: the receiver is configured no more."""
        await self.adjust(None)
        self._dead.remove_all()

    def put(self, event: SwitchEvent) -> None:
        """Take an event."""
        if event.type in self._types:
            self._report(event.series, partial(document_of, event, f"{self.name}-{self._series}-{self._next_number}"))

    def tidy(self) -> None:
        """Drop old events, log losses, and write to the disk what is done."""
        super().tidy()
        self._dead.tidy()

    def dead_letters(self) -> list[DeadLetter]:
        """Return the events that were not delivered and will not be, the oldest first."""
        return [dead_letter(self.name, each) for each in self._letters]

    def replay(self, number: int | None) -> int:
        """Deliver dead letters again: one, or all (None); return how many."""
        chosen = [each for each in self._letters if number in {None, each.number}]
        for letter in chosen:
            self._letters.remove(letter)
            self._dead.done(letter)
            self._report("replayed", partial(bytes, letter.body))
        return len(chosen)

    def _attach(self, _settings: CallReportSettings) -> None:
        if not self._is_attached:
            self._is_attached = True
            self._events.add(self)

    def _detach(self) -> None:
        if self._is_attached:
            self._is_attached = False
            self._events.remove(self)

    def _lost(self, report: CallReport, outcome: ReportOutcome) -> None:
        self._bury(report, outcome.value)

    def _refused(self, report: CallReport, status: int) -> None:
        self._bury(report, f"status-{status}")

    def _bury(self, report: CallReport, why: str) -> None:
        letter = report._replace(call_id=why)
        self._letters.append(letter)
        self._dead.add(letter)
        while len(self._letters) > DEAD_MAX:
            self._dead.done(self._letters.popleft())


def dead_letter(receiver: str, report: CallReport) -> DeadLetter:
    """Return an event that a receiver did not get, as a list shows it."""
    return DeadLetter(receiver, report.number, iso_utc(report.made_at), report.call_id, report.body.decode())
