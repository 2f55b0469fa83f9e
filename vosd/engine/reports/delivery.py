"""Delivery of reports: tasks with one courier each, which send what waits and repeat what fails.

A server may be away, silent, slow or wrong: the courier limits the time and the size of its answers; the queue decides
when to try again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from vosd.base.clock import Clock
from vosd.base.secret import Secret
from vosd.engine.poster import Poster, UndeliveredError, is_of_the_server, signed
from vosd.engine.reports.queue import ReportQueue
from vosd.engine.reports.report import CallReport
from vosd.engine.reports.spool import ReportSpool
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.obs.outage import outage_of

BUSY_S: Final = 0.5
"""Pause of delivery while the switch is overloaded, before it looks again."""
WELL_MS: Final = 60_000
"""Time without a failure after which an outage is over: else a server that fails now and then would begin one a second.
"""


class Courier(Protocol):
    """Delivers one report after the other."""

    async def deliver(self, report: CallReport) -> int:
        """Send a report, and return the status of the answer, in the terms of HTTP.

        Raises:
            UndeliveredError: there was no answer in time, or one that asks to try again.
        """

    def hang_up(self) -> None:
        """Close what was kept open for the next report."""


class HttpCourier:
    """Posts reports to an HTTP server."""

    def __init__(self, poster: Poster, secret: Secret | None, clock: Clock) -> None:
        """``secret`` signs the reports; None = they are not signed."""
        self._poster = poster
        self._secret = secret
        self._clock = clock

    async def deliver(self, report: CallReport) -> int:
        """Post a report."""
        return await self._poster.post(report.body, signed(report.body, self._secret, self._clock.now().wall))

    def hang_up(self) -> None:
        """Close the connection."""
        self._poster.hang_up()


class Delivery:
    """Delivers the reports of one queue."""

    def __init__(
        self,
        queue: ReportQueue,
        spool: ReportSpool,
        clock: Clock,
        is_busy: Callable[[], bool],
        refused: Callable[[CallReport, int], None],
        receiver: str | None = None,
        *,
        down: Event = Event.CALL_REPORTS_DOWN,
        refusal: Event = Event.CALL_REPORT_REFUSED,
    ) -> None:
        """``is_busy`` returns whether the switch is overloaded: nothing is sent then.

        ``refused`` is called with a report that the server will not take later either, and its status. ``receiver``
        is named in lines of the log; ``down`` is the event of a server that takes nothing, ``refusal`` that of a report
        which it does not take.
        """
        self._refusal = refusal
        self._refused = refused
        self._facts = {} if receiver is None else {"receiver": receiver}
        self._queue = queue
        self._spool = spool
        self._clock = clock
        self._is_busy = is_busy
        self._idle: deque[asyncio.Future[None]] = deque()
        """Couriers that wait for something to send."""
        self._attempted = asyncio.Event()
        self._outage = outage_of(down, receiver)
        self._failed_at = 0
        """Time of the last failure, milliseconds of the monotonic clock."""
        self._log_limiter = LogLimiter()

    def wake(self) -> None:
        """Look for a report to send: one courier does, as a report needs no more."""
        while self._idle:
            waiting = self._idle.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    async def all_tried(self) -> None:
        """Wait until nothing waits any more but what has failed, or the server is taken as away."""
        while self._queue.has_untried and not self._queue.is_away:
            self._attempted.clear()
            await self._attempted.wait()

    def forget_outage(self) -> None:
        """Note that the server is none of ours any more."""
        self._outage.over()

    def tidy(self) -> None:
        """End the outage of a server that has failed nothing for a while."""
        is_well = not self._queue.is_failing and self._clock.now().mono >= self._failed_at + WELL_MS
        if self._outage.goes_on and is_well:
            self._outage.over()

    async def run(self, courier: Courier) -> None:
        """Send what waits, one report after the other; runs until cancelled."""
        try:
            while True:
                if self._is_busy():
                    await asyncio.sleep(BUSY_S)
                    continue
                now_ms = self._clock.now().mono
                report = self._queue.take(now_ms)
                if report is None:
                    await self._wait(self._queue.wait_ms(now_ms))
                else:
                    if self._queue.wait_ms(now_ms) is not None:
                        self.wake()  # another one watches meanwhile
                    await self._send(report, courier)
        finally:
            courier.hang_up()

    def answered_late(self, report: CallReport) -> None:
        """Note that the server has taken a report by an attempt that was given up."""
        if self._queue.delivered_late(report):
            self._spool.done(report)
        self.wake()

    async def _wait(self, wait_ms: int | None) -> None:
        """Wait for something to send, or for the time to try again."""
        waiting = asyncio.get_running_loop().create_future()
        self._idle.append(waiting)
        try:
            await asyncio.wait((waiting,), timeout=None if wait_ms is None else wait_ms / 1_000)
        finally:
            if waiting in self._idle:
                self._idle.remove(waiting)

    async def _send(self, report: CallReport, courier: Courier) -> None:
        try:
            status = await courier.deliver(report)
        except UndeliveredError as error:
            self._failed(report, str(error))
        except BaseException:
            self._queue.put_back(report)
            raise
        else:
            if is_of_the_server(status):
                self._failed(report, f"status {status}")
            else:
                self._settled(report, status)
        self._attempted.set()

    def _failed(self, report: CallReport, why: str) -> None:
        self._failed_at = self._clock.now().mono
        if self._queue.failed(report, self._failed_at):
            self._spool.done(report)
        if self._queue.is_failing:
            self._outage.found(why, waiting=len(self._queue))

    def _settled(self, report: CallReport, status: int) -> None:
        """Note that the server has taken a report, or will not take it later either."""
        if status < 300:
            self._queue.delivered(report)
        else:
            self._queue.refused(report)
            self._refused(report, status)
            if self._log_limiter.admits(str(status), self._clock.now().mono):
                _log.warning(self._refusal, status=status, call_id=report.call_id, **self._facts)
        self._spool.done(report)
