"""Reports at fixed times: made and delivered by a process beside the switch, each period once.

The periods that were delivered are kept in ``state_dir``, so those that fell into a stop are made up for. One that
fails is an alarm, and is tried again with growing pauses until it is delivered.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.office.reports import WITH_TERMS, terms_of
from vosd.base.clock import Clock, KeptTime
from vosd.billing.accounts import Account
from vosd.billing.agents import Hierarchy
from vosd.cdr.columns import iso_utc
from vosd.control.installation import ListScheduledReports, ScheduledReportRow
from vosd.daemon.daily import answer_of, why_failed
from vosd.daemon.report_process import ReportDelivery, ReportOrder
from vosd.engine.alarms.mail import MAIL_S, TAKEN_S
from vosd.engine.background import BackgroundTasks
from vosd.engine.kept_file import KeptFile
from vosd.engine.settings import ScheduledReport, Settings
from vosd.engine.steady_clock import SteadyClock
from vosd.obs.events import GONE, Event, log as _log
from vosd.traffic.schedule import DuePeriod, ReportRhythm, first_period, period_at

PROCESS: Final = "vosd.daemon.report_process"
DELIVERED: Final = "reports.json"
LOOK_S: Final = 1.0
RUN_S: Final = 600.0 + MAIL_S + TAKEN_S
"""Longest work on one report, with its mail: one that is given up while its server scans it would go out again."""
RETRY_MS: Final = 60_000
RETRY_MAX_MS: Final = 3_600_000
"""The pause after a failure doubles from the first to the second."""
MADE_UP_MS: Final = 35 * 86_400_000
"""Periods that were due longer ago are left out: a switch that was off for a year sends no year of reports.

The periods of a report that was taken out are kept for so long.
"""
RUNNING_MS: Final = 7_200_000
"""Time for which a report waits for calls of its period that still run; then it says how many are missing."""
RESCAN_MS: Final = 5_000
"""Pause before calls that a report waits for are counted again: each count looks at every call that runs."""
SETTLED_MS: Final = 15_000
"""Time from the last count that found such calls to the report: sums of booked calls are made every five seconds."""
AHEAD_MS: Final = 86_400_000
"""A last period that ends later than so long from now was delivered by a wrong clock, and counts no more."""


def delivered_reports(state_dir: Path) -> KeptFile[dict[str, KeptTime]]:
    """Return the file of the ends of the last periods that were delivered, by report."""
    return KeptFile(state_dir / DELIVERED, dict[str, KeptTime], "delivered_reports")


def next_period(wanted: ScheduledReport, last: int | None, now: int) -> DuePeriod:
    """Return the next period of a report; ``last`` is the end of the last one that was delivered, None = none was."""
    zone = ZoneInfo(wanted.zone)
    if last is None:
        return first_period(now, wanted.every, wanted.at_s, zone)
    return period_at(max(last, now - MADE_UP_MS), wanted.every, wanted.at_s, zone)


def scheduled_row(
    wanted: ScheduledReport, coming: DuePeriod, done_until: int, why: str | None = None, retry_at: int | None = None
) -> ScheduledReportRow:
    """Return a report with its next period, as ``vosd report scheduled`` lists it; ``why`` it is not delivered yet."""
    return ScheduledReportRow(
        name=wanted.name,
        period=coming.name,
        due_at=iso_utc(coming.due_at),
        done_until=iso_utc(done_until),
        why=why,
        retry_at=None if retry_at is None else iso_utc(retry_at),
        report=wanted.report,
        every=wanted.every.value,
        timezone=wanted.zone,
        form=wanted.form.value,
        account=wanted.account,
        gateway=wanted.gateway,
        area=wanted.area,
        criteria=", ".join(f"{name} {_said(value)}" for name, value in wanted.chosen().items()),
        mail=list(wanted.mail),
        directory=None if wanted.directory is None else str(wanted.directory),
        source=wanted.source,
    )


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A report that could not be delivered."""

    why: str
    pause_ms: int
    """Pause before it is tried again."""
    retry_at: int


class CallsOutside(NamedTuple):
    """Calls that began before a time and are not in the database."""

    running: int
    waiting: int
    """They have ended and are not booked."""


class ReportState(msgspec.Struct, frozen=True):
    """Facts of a report that are kept beside the end of its last period; times are UTC milliseconds."""

    every: ReportRhythm
    content: str
    """Digest of its keys without those that say where and when it goes."""
    until: KeptTime = 0
    """End of the period whose mail some recipients have and others do not; 0 = there is none."""
    sent: tuple[str, ...] = ()
    """Recipients that have the mail of that period."""
    gone_at: KeptTime | None = None
    """Time at which it was taken out; None = it is defined."""
    before: "ReportState | None" = None
    """State with the content before, for a change that is undone; that one has none itself."""

    def changed_to(self, every: ReportRhythm, content: str) -> "ReportState":
        """Return the state of the report with another content: that of before, or a new one."""
        left = msgspec.structs.replace(self, gone_at=None, before=None)
        if self.before is not None and self.before.content == content:
            return msgspec.structs.replace(self.before, before=left)
        return ReportState(every, content, before=left)


def content_of(wanted: ScheduledReport) -> str:
    """Return a digest of a report that its recipients, its directory, its time and its place do not change."""
    content = replace(wanted, at_s=0, directory=None, mail=(), source="")
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


class ScheduledReportPart:
    """The reports of one switch, while it runs."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        accounts: Callable[[], Mapping[str, Account]],
        outside: Callable[[int], CallsOutside],
    ) -> None:
        """``accounts`` returns the accounts that are in force, ``outside`` counts calls that began before a time."""
        self._accounts = accounts
        self._outside = outside
        self._database = settings.database_url.reveal()
        self._replica, self._statement_s = settings.replica, settings.report_statement_s
        self._node = settings.node
        self._reports = settings.reports
        self._mail = settings.alarms.mail
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._kept = delivered_reports(settings.state_dir)
        self._done: dict[str, int] = {}
        """Ends of the last periods that were delivered, by report."""
        self._kept_states = KeptFile(
            Path(settings.state_dir) / "report_states.json", dict[str, ReportState], "report_states"
        )
        self._states: dict[str, ReportState] = {}
        """States of the reports by name, for a while also of those that were taken out."""
        self._written_done: dict[str, int] = {}
        self._written_states: dict[str, ReportState] = {}
        self._failed: dict[str, FailedDelivery] = {}
        """Reports that have failed, by name."""
        self._awaited: dict[str, str] = {}
        """Calls that reports wait for which are due, by name."""
        self._waited_at: dict[str, int] = {}
        """Time of the last count that found such calls, by name, UTC milliseconds."""
        self._raised: set[str] = set()
        self._tasks = BackgroundTasks()

    async def begin(self) -> None:
        """Begin to wait for the times."""
        self.read_kept()
        self._tasks.run("reports", self._keep)

    def read_kept(self) -> None:
        """Read what was delivered before the start, and compare the reports with those of then."""
        self._done, self._states = self._kept.read() or {}, self._kept_states.read() or {}
        self._written_done, self._written_states = dict(self._done), dict(self._states)
        self._compare()

    async def end(self) -> None:
        """End work that goes on; its report is made again after the next start."""
        await self._tasks.stop()
        await self._write()

    def adjust(self, settings: Settings) -> None:
        """Apply other settings from the next report on; one that is taken out has no alarm."""
        reports = settings.reports
        gone = {each.name for each in self._reports} - {each.name for each in reports}
        for name in sorted(gone & self._raised):
            self._raised.discard(name)
            _log.info(Event.REPORT_SENT.value, report=name, why=GONE)
        for name in {each.name for each in set(reports) - set(self._reports)} | gone:
            self._forget(name)
        self._reports, self._mail = reports, settings.alarms.mail
        self._database = settings.database_url.reveal()
        self._replica, self._statement_s = settings.replica, settings.report_statement_s
        self._compare()
        now = self._clock.now().wall
        for each in reports:
            # one that has another rhythm, or begins anew, may have nothing to deliver for weeks
            if each.name in self._raised and now < next_period(each, self._done.get(each.name), now).due_at:
                self._raised.discard(each.name)
                _log.info(Event.REPORT_SENT.value, report=each.name, why=GONE)

    def _compare(self) -> None:
        """Compare the reports with their states: note changes, and drop those that were taken out long ago."""
        now, done, states = self._clock.now().wall, dict(self._done), dict(self._states)
        named = {each.name for each in self._reports}
        for name in {*done, *states} - named:
            # a version that kept no states has left the end of the last period alone: it says of what it was nowhere
            state = states.get(name) or ReportState(ReportRhythm.DAY, "")
            states[name] = msgspec.structs.replace(state, gone_at=min(now, state.gone_at or now))
        for name, state in [*states.items()]:
            if state.gone_at is not None and now - state.gone_at > MADE_UP_MS:
                del states[name]
                done.pop(name, None)
        for each in self._reports:
            content = content_of(each)
            before = states.get(each.name) or ReportState(each.every, content)
            if before.content == content:
                states[each.name] = msgspec.structs.replace(before, gone_at=None)
                continue
            states[each.name] = before.changed_to(each.every, content)
            is_new = before.every is not each.every or before.gone_at is not None
            if before.content and is_new and each.name in done:
                # else each day since the last month, or since another report of that name was taken out, would be sent
                first = first_period(now, each.every, each.at_s, ZoneInfo(each.zone))
                done[each.name] = max(done[each.name], first.since)
        self._done, self._states = done, states

    def _forget(self, name: str) -> None:
        self._awaited.pop(name, None)
        self._waited_at.pop(name, None)
        self._failed.pop(name, None)

    def _await_calls(self, name: str, why: str) -> None:
        self._awaited[name] = why

    async def _write(self) -> None:
        """Write what has changed, again until there is room: else a report would be delivered again."""
        done, states = dict(self._done), dict(self._states)
        if done != self._written_done and await asyncio.to_thread(self._kept.write, done):
            self._written_done = done
        if states != self._written_states and await asyncio.to_thread(self._kept_states.write, states):
            self._written_states = states

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._write()
            for name in [each.name for each in self._reports]:
                wanted = self._named(name)  # the one before it may have taken long enough for a reload
                if wanted is not None:
                    await self.look(wanted)

    def _named(self, name: str) -> ScheduledReport | None:
        return next((each for each in self._reports if each.name == name), None)

    async def look(self, wanted: ScheduledReport) -> None:
        """Make a report if one of its periods is due."""
        await self._look(wanted)
        await self._write()

    async def _look(self, wanted: ScheduledReport) -> None:
        now = self._steady.now()
        if now is None:
            return
        if self._done.get(wanted.name, now) > now + AHEAD_MS:
            self._done[wanted.name] = period_at(now, wanted.every, wanted.at_s, ZoneInfo(wanted.zone)).since
        period = self._next(wanted, now)
        failed = self._failed.get(wanted.name)
        # a wall clock that was ahead when the delivery failed has left a time that is further away than the pause
        waits = failed is not None and now < failed.retry_at <= now + failed.pause_ms
        if now < period.due_at or waits:
            return
        waited_ms = now - self._waited_at.get(wanted.name, 0)
        if 0 <= waited_ms < RESCAN_MS:
            return
        outside = self._outside(period.until)
        if outside.waiting or (outside.running and now < period.due_at + RUNNING_MS):
            self._await_calls(
                wanted.name,
                f"{outside.running} calls of the period or before run, {outside.waiting} are not booked yet",
            )
            self._waited_at[wanted.name] = now
            return
        if 0 <= waited_ms < SETTLED_MS:
            return  # a call that was booked a moment ago may not be in the sums yet
        self._awaited.pop(wanted.name, None)
        order = self.order(wanted, period, outside.running)
        outcome = await self._delivered(order)
        if outcome.failed:
            if outcome.refused:
                self._note_sent(wanted, period, order, outcome.refused)
            if self._named(wanted.name) != wanted:
                return  # a reload has changed it or taken it out meanwhile: it is tried at once, or has no alarm
            pause = RETRY_MS if failed is None else min(2 * failed.pause_ms, RETRY_MAX_MS)
            retry_at = self._clock.now().wall + pause
            self._failed[wanted.name] = FailedDelivery(outcome.failed, pause, retry_at)
            self._raised.add(wanted.name)
            facts = {"period": period.name, "why": outcome.failed, "retry_s": pause // 1_000}
            _log.error(Event.REPORT_FAILED.value, report=wanted.name, **facts)
            return
        self._forget(wanted.name)
        self._raised.discard(wanted.name)
        if self._is_all_of(wanted):
            # a reload may have given it another rhythm meanwhile, which begins later
            self._done[wanted.name] = max(period.until, self._done.get(wanted.name, 0))
            state = self._states.get(wanted.name)
            if state is not None and state.until:
                self._states[wanted.name] = msgspec.structs.replace(state, until=0, sent=())
        else:
            self._note_sent(wanted, period, order, ())
        _log.info(Event.REPORT_SENT.value, report=wanted.name, period=period.name, running=outside.running)

    def _is_all_of(self, delivered: ScheduledReport) -> bool:
        """Return whether nothing is left to deliver of a period: a reload may have changed the report meanwhile."""
        now = self._named(delivered.name)
        if now is None or now.every is not delivered.every:
            return True
        is_everywhere = {*now.mail} <= {*delivered.mail} and now.directory in {None, delivered.directory}
        return is_everywhere and content_of(now) == content_of(delivered)

    def _note_sent(
        self, wanted: ScheduledReport, period: DuePeriod, order: ReportOrder, refused: Sequence[str]
    ) -> None:
        """Note who has the mail of a period that others do not have, also for a report that is another one by now."""
        state, content = self._states.get(wanted.name), content_of(wanted)
        if order.mail is None or state is None:
            return
        delivered = state if state.content == content else state.before  # a reload may have changed it meanwhile
        if delivered is None or delivered.content != content:
            return
        has_it = (*(delivered.sent if delivered.until == period.until else ()), *order.mail.recipients)
        sent = tuple(each for each in has_it if each not in refused)
        noted = msgspec.structs.replace(delivered, until=period.until, sent=sent)
        self._states[wanted.name] = noted if delivered is state else msgspec.structs.replace(state, before=noted)

    async def listed(self, _order: ListScheduledReports) -> list[ScheduledReportRow]:
        """List the reports with what was delivered of each, and what comes next."""
        return [self._row(each) for each in self._reports]

    def _row(self, wanted: ScheduledReport) -> ScheduledReportRow:
        coming, failed = self._next(wanted, self._clock.now().wall), self._failed.get(wanted.name)
        why = self._awaited.get(wanted.name) if failed is None else failed.why
        return scheduled_row(wanted, coming, self._done[wanted.name], why, None if failed is None else failed.retry_at)

    def _below(self, wanted: ScheduledReport) -> tuple[str, ...]:
        """Return the accounts that count with that of a report, as they are configured now."""
        if not wanted.below or wanted.account is None:
            return ()
        return tuple(Hierarchy.of(self._accounts()).all_below(wanted.account))

    def _next(self, wanted: ScheduledReport, now: int) -> DuePeriod:
        """Return the next period of a report, and note its first one."""
        last = self._done.get(wanted.name)
        coming = next_period(wanted, last, now)
        if last is None:
            self._done[wanted.name] = coming.since
        return coming

    async def _delivered(self, order: ReportOrder) -> ReportDelivery:
        if order.mail is None and order.directory is None:
            return ReportDelivery()  # all who are to have it by now have it
        try:
            async with asyncio.timeout(RUN_S):
                return await answer_of(PROCESS, order, ReportDelivery)
        except Exception as error:  # noqa: BLE001  the boundary: else a report that is not made would be silent
            why = f"not made within {RUN_S:.0f} s" if isinstance(error, TimeoutError) else why_failed(error)
            return ReportDelivery(why)

    def _has_mail(self, wanted: ScheduledReport, period: DuePeriod) -> tuple[str, ...]:
        """Return who has the mail of a period that is not delivered to all."""
        state = self._states.get(wanted.name)
        return state.sent if state is not None and state.until == period.until else ()

    def order(self, wanted: ScheduledReport, period: DuePeriod, running: int = 0) -> ReportOrder:
        """Return the order for a report over a period; ``running`` calls of it have not ended."""
        has_it = self._has_mail(wanted, period)
        recipients = tuple(each for each in wanted.mail if each not in has_it)
        mail = replace(self._mail, recipients=recipients) if recipients and self._mail is not None else None
        return ReportOrder(
            url=self._database,
            node=self._node,
            name=wanted.name,
            period=period.name,
            since=period.since,
            until=period.until,
            report=wanted.report,
            zone=wanted.zone,
            group=wanted.group,
            criteria=wanted.chosen(),
            form=wanted.form,
            directory=None if wanted.directory is None else str(wanted.directory),
            mail=mail,
            replica=None if self._replica is None else self._replica.reveal(),
            statement_s=self._statement_s,
            below=self._below(wanted),
            terms=dict(terms_of(self._accounts())) if wanted.report in WITH_TERMS else {},
            running=running,
        )


def _said(value: str | int | bool) -> str:
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"
