"""Old records are dropped once a day, by a process beside the switch, and what it did is logged (ADR 73).

The process drops nothing when the switch stops: the run of the next day goes on.
"""

import asyncio
from datetime import datetime, timedelta, tzinfo
from typing import Final

import msgspec
import structlog

from vosd.admin.retention import KindSheet, RetentionRun
from vosd.base.clock import Clock
from vosd.daemon.retention_process import Order, Outcome
from vosd.engine.background import kept_going
from vosd.engine.settings import RetentionSettings, Settings
from vosd.obs.events import GONE, Event
from vosd.processes.channel import received, send
from vosd.processes.child import ended, started

PROCESS: Final = "vosd.daemon.retention_process"
RUN_S: Final = 23 * 3_600
"""Longest run: one that waits for something for ever must not be silent until the next day, and the next."""
LOOK_S: Final = 1.0
"""How often the time is looked at: a clock that is set, or summer time, changes how long to wait."""

_log = structlog.get_logger()


def next_run(after: int, at_s: int, zone: tzinfo | None) -> int:
    """Return the next time at which records are dropped after a time; UTC milliseconds, None = the machine's zone."""
    day = datetime.fromtimestamp(after / 1_000, zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    hours = timedelta(seconds=at_s)
    moments = ((day + timedelta(days=days) + hours).replace(tzinfo=zone) for days in (0, 1, 2))
    return next(wall for each in moments if (wall := round(each.timestamp() * 1_000)) > after)


class RetentionPart:
    """The daily run of one switch."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._url = settings.database_url
        self._state_dir = settings.state_dir
        self._settings = settings.retention
        self._clock = clock
        self._is_begun = False
        self._task: asyncio.Task[None] | None = None
        self._held: set[str] = set()
        """Kinds whose records are kept although their time is over."""

    async def begin(self) -> None:
        """Begin to wait for the time."""
        self._is_begun = True
        if self._settings.at_s is not None:
            self._task = asyncio.create_task(kept_going("retention", self._keep), name="retention")

    async def end(self) -> None:
        """End a run; what it has dropped is written down."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def adjust(self, settings: RetentionSettings) -> None:
        """Apply other settings; a run that goes on is ended."""
        if settings != self._settings:
            self._settings = settings
            if self._is_begun:
                await self.end()
                self._forget_held()
                await self.begin()

    async def _keep(self) -> None:
        """Run every day at the time; runs until cancelled."""
        at_s, zone = self._settings.at_s, self._settings.zone
        assert at_s is not None, "begin() starts this only with a time"
        due = next_run(self._clock.now().wall, at_s, zone)
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._clock.now().wall
            if now >= due:
                await self.run()
                due = next_run(self._clock.now().wall, at_s, zone)
            else:
                due = min(due, next_run(now, at_s, zone))

    async def run(self) -> None:
        """Drop what is old enough now; a run that fails, for whatever reason, is an alarm."""
        try:
            outcome = await self._outcome()
        except (EOFError, ConnectionError):
            self._blocked("its process was killed")
            return
        except TimeoutError:
            self._blocked(f"it has not ended within {RUN_S // 3_600} hours")
            return
        except Exception as error:  # noqa: BLE001  the boundary: else it would be silent until the next day
            _log.exception("retention_failed")
            self._blocked(repr(error))
            return
        if outcome.run is None:
            self._blocked(outcome.error)
        else:
            report(outcome.run)
            for sheet in outcome.run.kinds:
                (self._held.add if sheet.held else self._held.discard)(sheet.kind)

    async def _outcome(self) -> Outcome:
        order = Order.of(self._url, self._state_dir, self._settings)
        try:
            child = await started(PROCESS)
        except OSError as error:
            return Outcome(None, f"its process cannot be started: {error}")
        try:
            async with asyncio.timeout(RUN_S):
                send(child.writer, msgspec.msgpack.encode(order))
                return msgspec.msgpack.decode(await received(child.reader), type=Outcome)
        finally:
            await asyncio.shield(ended(child))

    def _blocked(self, why: str) -> None:
        for kind in ("calls", "ledger", "numbers"):
            if getattr(self._settings, kind) is not None:
                self._held.add(kind)
                _log.error(Event.RETENTION_BLOCKED.value, kind=kind, guard="error", why=why)

    def _forget_held(self) -> None:
        """Note that records which are kept for good, or dropped by hand alone from now on, are no alarm."""
        settings = self._settings
        for kind in sorted(self._held):
            if settings.at_s is None or getattr(settings, kind) is None:
                self._held.discard(kind)
                _log.info(Event.RETENTION_DONE.value, kind=kind, why=GONE)


def report(run: RetentionRun) -> None:
    """Log what a run has done."""
    for sheet in run.kinds:
        _report_kind(sheet)
    if run.partitions_dropped or run.partitions_left:
        _log.info("empty_months_dropped", months=list(run.partitions_dropped), left=run.partitions_left)


def _report_kind(sheet: KindSheet) -> None:
    for month in sheet.months:
        facts = {"month": month.month, "records": month.records, "amounts": month.amounts}
        _log.info(Event.RETENTION_DROPPED.value, kind=sheet.kind, before=sheet.dropped_before, **facts)
    for hold in sheet.held[:1]:
        facts = {"guard": hold.guard, "why": hold.why, "kept_from": hold.kept_from}
        _log.warning(Event.RETENTION_BLOCKED.value, kind=sheet.kind, **facts)
    if not sheet.held:
        _log.info(Event.RETENTION_DONE.value, kind=sheet.kind, before=sheet.dropped_before)
