"""Reports each change of the state of a call to an HTTP server, beside the calls (ADR 74).

A call makes its report and hands it to the spool; some tasks deliver what waits. Nothing waits for them.
"""

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.clock import Clock
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.ports import CallReporter
from vosd.cdr.record import CallRecord
from vosd.engine.background import BackgroundTasks, every
from vosd.engine.counting import Counting
from vosd.engine.poster import Poster
from vosd.engine.reports.delivery import Courier, Delivery, HttpCourier
from vosd.engine.reports.queue import ReportOutcome, ReportQueue
from vosd.engine.reports.report import CallReport, encoded, of_ended_call, of_lost_call, of_running_call
from vosd.engine.reports.spool import ReportSpool
from vosd.engine.settings import CallReportSettings, CallReportState, DeliverySettings
from vosd.engine.steady_clock import SteadyClock
from vosd.obs.events import Event, log as _log
from vosd.obs.figures import Figure
from vosd.routing.pipeline import RouteChoice

TICK_S: Final = 1.0
"""Interval at which old reports are dropped, and drops are logged."""
LAST_REPORTS_S: Final = 3.0
"""Time that a stop waits for the delivery of the last reports; the others stay in the spool."""
LOG_MS: Final = 60_000
"""Losses are logged at most so often."""

_TRYING: Final = CallReportState.TRYING  # access to enum members is slow
_RINGING: Final = CallReportState.RINGING
_ANSWERED: Final = CallReportState.ANSWERED
_ENDED: Final = CallReportState.ENDED


_Settings = TypeVar("_Settings", bound=DeliverySettings)


class OutletWords(NamedTuple):
    """Events and figures of one kind of reports."""

    down: Event = Event.CALL_REPORTS_DOWN
    """The server takes nothing."""
    unwritten: Event = Event.CALL_REPORTS_UNWRITTEN
    """The disk takes nothing."""
    dropped: Event = Event.CALL_REPORTS_DROPPED
    """Reports were lost."""
    restored: Event = Event.CALL_REPORTS_RESTORED
    """Reports of an earlier run are delivered."""
    left: Event = Event.CALL_REPORTS_LEFT
    """Reports wait for the next start."""
    refused: Event = Event.CALL_REPORT_REFUSED
    """The server will not take a report later either."""
    unmade: Event = Event.CALL_REPORT_NOT_MADE
    """An error in a report."""
    waiting: Figure = Figure.CALL_REPORTS
    lost: Figure = Figure.CALL_REPORTS_DROPPED


class ReportOutlet(Counting, Generic[_Settings]):
    """Reports that wait for one server, in memory and on the disk, and the tasks that deliver them."""

    words: OutletWords = OutletWords()

    def __init__(
        self,
        clock: Clock,
        settings: _Settings | None,
        directory: Path,
        is_busy: Callable[[], bool],
        receiver: str | None = None,
    ) -> None:
        """Take what is needed; nothing is read or sent before ``begin``.

        Args:
            clock: the time.
            settings: None = nothing is reported.
            directory: where the spool is.
            is_busy: whether the switch is overloaded: reports wait then.
            receiver: its name, for lines of the log.
        """
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._settings = settings
        self._facts = {} if receiver is None else {"receiver": receiver}
        self._queue = ReportQueue(settings or DeliverySettings())
        self._spool = ReportSpool(directory, receiver, self.words.unwritten)
        self._next_number = 1
        words = self.words
        self._delivery = Delivery(
            self._queue, self._spool, clock, is_busy, self._refused, receiver, down=words.down, refusal=words.refused
        )
        self._tasks = BackgroundTasks()
        self._logged: Counter[ReportOutcome] = Counter()
        """Reports that the log knows of."""
        self._log_again = 0

    # -- life ---------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Take up what an earlier run has left, and deliver from now on; nothing without settings."""
        if self._settings is None:
            return
        spooled = await asyncio.to_thread(self._spool.open)
        self._next_number = max(self._next_number, spooled.last_number + 1)
        for report in spooled.reports:
            self._put(report, is_minor=self._is_minor(report), is_left=True)
        if spooled.reports or spooled.unreadable:
            _log.info(self.words.restored, reports=len(spooled.reports), unreadable=spooled.unreadable)
        self._drop_old()  # else couriers send what is too old before it is looked for
        self._go(self._settings)

    async def end(self) -> None:
        """Deliver the last reports if the server is well, for ``LAST_REPORTS_S``; the others stay in the spool."""
        if self._settings is None:
            return
        try:
            async with asyncio.timeout(LAST_REPORTS_S):
                await self._delivery.all_tried()
        except TimeoutError:
            pass
        if len(self._queue):
            _log.warning(self.words.left, reports=len(self._queue), means="the next start delivers them")
        self._detach()
        await self._tasks.stop()
        self._spool.close()

    async def adjust(self, settings: _Settings | None) -> None:
        """Apply other settings: what waits goes to the new server, or nowhere without one."""
        if settings == self._settings:
            return
        before, self._settings = self._settings, settings
        if settings is None:
            self._detach()
        await self._tasks.stop()  # what calls report meanwhile waits
        self._delivery.forget_outage()
        if settings is None:
            self._queue.drop_all()
            self._spool.remove_all()
        elif before is None:
            self._queue.settings = settings
            await self.begin()
        else:
            self._queue.settings = settings
            while (dropped := self._queue.drop_surplus()) is not None:
                self._drop(dropped)
            self._queue.try_again()
            self._go(settings)

    def _go(self, settings: _Settings) -> None:
        self._tasks = BackgroundTasks()
        for number in range(settings.couriers):
            self._tasks.run(f"reports {number}", partial(self._delivery.run, self._courier(settings)))
        self._tasks.run("spool of reports", lambda: every(TICK_S, self.tidy))
        self._delivery.wake()
        self._attach(settings)

    @abstractmethod
    def _courier(self, settings: _Settings) -> Courier:
        """Return a way to the server, for one report at a time."""

    @abstractmethod
    def _attach(self, settings: _Settings) -> None:
        """Have reports made from now on."""

    @abstractmethod
    def _detach(self) -> None:
        """Have no more made."""

    def _lost(self, report: CallReport, outcome: ReportOutcome) -> None:
        """Note that a report was not delivered and will not be."""

    def _refused(self, report: CallReport, status: int) -> None:
        """Note that the server does not take a report."""

    def _is_minor(self, _report: CallReport) -> bool:
        """Return whether a report of an earlier run is dropped before others where too many wait."""
        return False

    def _report(self, call_id: str, make: Callable[[], bytes], *, is_minor: bool = False) -> None:
        try:
            report = CallReport(self._next_number, call_id, self._clock.now().wall, make())
            self._next_number += 1
            self._spool.add(report)
            self._put(report, is_minor=is_minor)
        except Exception:  # noqa: BLE001  the boundary: an error in a report ends no call
            _log.exception(self.words.unmade, call_id=call_id)
        self._delivery.wake()

    def _put(self, report: CallReport, *, is_minor: bool, is_left: bool = False) -> None:
        dropped = self._queue.put(report, is_minor=is_minor, is_left=is_left)
        if dropped is not None:
            self._drop(dropped)

    def _drop(self, report: CallReport) -> None:
        self._spool.done(report)
        self._lost(report, ReportOutcome.FULL)

    def _drop_old(self) -> None:
        believed = self._steady.now()
        for report in () if believed is None else self._queue.drop_old(believed):
            self._spool.done(report)
            self._lost(report, ReportOutcome.EXPIRED)

    # -- counts -------------------------------------------------------------------------------------------------

    @property
    def counted(self) -> Counter[ReportOutcome]:
        """Reports that are done, by what became of them, since the start."""
        return self._queue.counted

    @property
    def failures(self) -> int:
        """Failed deliveries since the start; most reports are delivered later."""
        return self._queue.failures

    def census(self) -> Mapping[Figure, int]:
        """Count the reports that wait."""
        return {self.words.waiting: len(self._queue)}

    def totals(self) -> Mapping[Figure, int]:
        """Count the reports that were lost."""
        counted = self._queue.counted
        return {self.words.lost: sum(counted.values()) - counted[ReportOutcome.DELIVERED]}

    def tidy(self) -> None:
        """Drop old reports, log losses, end an outage that is over, and write to the disk what is done."""
        self._delivery.tidy()
        now = self._clock.now()
        self._drop_old()
        self._spool.tidy()
        lost = self._queue.counted - self._logged
        lost.pop(ReportOutcome.DELIVERED, None)
        if lost and now.mono >= self._log_again:
            self._log_again = now.mono + LOG_MS
            self._logged = self._queue.counted.copy()
            why = {outcome.value: count for outcome, count in lost.items()}
            _log.warning(
                self.words.dropped, reports=sum(lost.values()), why=why, waiting=len(self._queue), **self._facts
            )


class HttpOutlet(ReportOutlet[CallReportSettings]):
    """Reports that are posted to an HTTP server."""

    def _courier(self, settings: CallReportSettings) -> Courier:
        return HttpCourier(Poster(settings.url, allow_private=settings.allow_private), settings.secret, self._clock)


class CallReports(HttpOutlet):
    """The reports of the calls of one switch."""

    def __init__(
        self,
        node: str,
        clock: Clock,
        settings: CallReportSettings | None,
        state_dir: Path,
        attach: Callable[[CallReporter | None], None],
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """``node`` names the switch in reports; ``attach`` has the calls report here, or (None) not at all.

        The others are as in ``ReportOutlet``.
        """
        super().__init__(clock, settings, state_dir / "call-reports", is_busy)
        self._node = node
        self._attach_calls = attach
        self._states: frozenset[CallReportState] = frozenset()

    def _attach(self, settings: CallReportSettings) -> None:
        self._states = frozenset(settings.states)
        self._attach_calls(self)

    def _detach(self) -> None:
        self._attach_calls(None)

    # -- what calls report --------------------------------------------------------------------------------------

    def trying(
        self, arrival: Arrival, journey: Journey, request: CallRequest, choice: RouteChoice, mono_ms: int, /
    ) -> None:
        """Report that a gateway is about to be tried."""
        if _TRYING in self._states:
            made = partial(of_running_call, self._node, arrival, journey, request, choice, _TRYING, mono_ms)
            self._report(arrival.call_id, lambda: encoded(made()))

    def ringing(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Report that a gateway rings."""
        if _RINGING in self._states:
            at = self._clock.now().mono
            made = partial(of_running_call, self._node, arrival, journey, request, journey.choice, _RINGING, at)
            self._report(arrival.call_id, lambda: encoded(made()))

    def answered(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Report that the caller gets a 200."""
        if _ANSWERED in self._states and journey.answered_at is not None:
            at = journey.answered_at.mono
            made = partial(of_running_call, self._node, arrival, journey, request, journey.choice, _ANSWERED, at)
            self._report(arrival.call_id, lambda: encoded(made()))

    def ended(self, record: CallRecord, /) -> None:
        """Report that a call has ended, or was refused."""
        if _ENDED in self._states:
            self._report(record.call_id, lambda: encoded(of_ended_call(record)))

    def lost(self, call_id: str, /) -> None:
        """Report that a call without an answer has ended with the process that was killed before this one."""
        if _ENDED in self._states:
            wall_ms = self._clock.now().wall
            self._report(call_id, lambda: encoded(of_lost_call(self._node, call_id, wall_ms)))
