"""Old records are dropped once a day, by a process beside the switch, and what it did is logged (ADR 73).

The process drops nothing when the switch stops: the run of the next day goes on.
"""

from dataclasses import replace
from typing import Final

from vosd.admin.retention import KindSheet, RetentionRun
from vosd.base.clock import Clock
from vosd.cdr.retention import RecordKind
from vosd.daemon.daily import Daily, answer_of, why_failed
from vosd.daemon.retention_process import RetentionOrder, RetentionOutcome
from vosd.engine.settings import RetentionSettings, Settings
from vosd.obs.events import GONE, Event, log as _log

PROCESS: Final = "vosd.daemon.retention_process"


class RetentionPart:
    """The daily run of one switch."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.database_url = settings.database_url
        self._state_dir = settings.state_dir
        self._settings = settings.retention
        self._is_begun = False
        self._daily = Daily("retention", clock, self.run, settings.state_dir)

    async def begin(self) -> None:
        """Begin to wait for the time."""
        self._is_begun = True
        self._daily.begin(self._settings.at_s, self._settings.zone)

    async def end(self) -> None:
        """End a run; what it has dropped is written down."""
        await self._daily.end()

    async def adjust(self, settings: RetentionSettings) -> None:
        """Apply other settings; a run that goes on is ended."""
        if settings != self._settings:
            gone = _kinds(self._settings) - _kinds(settings)
            self._settings = settings
            if self._is_begun:
                await self.end()
                for kind in sorted(gone):  # kept for good or dropped by hand alone from now on: no alarm
                    _log.info(Event.RETENTION_DONE.value, kind=kind, why=GONE)
                self._daily.begin(self._settings.at_s, self._settings.zone, is_anew=True)

    async def run(self, now: int) -> None:
        """Drop what is old enough at a time (UTC milliseconds); a run that fails, for whatever reason, is an alarm."""
        try:
            outcome = await self._outcome(now)
        except (EOFError, OSError) as error:
            self._blocked(why_failed(error))
            return
        except Exception as error:  # noqa: BLE001  the boundary: else it would be silent until the next day
            _log.exception("retention_failed")
            self._blocked(why_failed(error))
            return
        if outcome.run is None:
            self._blocked(outcome.error)
        else:
            report(outcome.run)

    async def _outcome(self, now: int) -> RetentionOutcome:
        settings = replace(self._settings, at_s=None, zone=None)
        order = RetentionOrder(self.database_url.reveal(), str(self._state_dir), now, settings)
        return await answer_of(PROCESS, order, RetentionOutcome)

    def _blocked(self, why: str) -> None:
        for kind in (each.value for each in RecordKind):
            if getattr(self._settings, kind) is not None:
                _log.error(Event.RETENTION_BLOCKED.value, kind=kind, guard="error", why=why)


def _kinds(settings: RetentionSettings) -> set[str]:
    """Return the kinds of records that are dropped every day."""
    if settings.at_s is None:
        return set()
    return {each.value for each in RecordKind if getattr(settings, each.value) is not None}


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
