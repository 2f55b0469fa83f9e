"""Accounting of calls at RADIUS servers: Start, Interim-Update and Stop, from the spool of reports (ADR 74, 169).

A record is handed to the operating system before the message of the call is sent, so a kill loses none. Records of one
call arrive in their order. Accounting-On and -Off say that all sessions of the switch are over, so they are sent only
where that is true: a start that goes on with calls of the earlier process sends none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.clock import Clock
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.ports import CallReporter
from vosd.cdr.record import CallRecord
from vosd.engine.poster import UndeliveredError
from vosd.engine.radius.client import RadiusClient, RadiusUnreachableError
from vosd.engine.reports.accounting_record import (
    OFF,
    ON,
    STOP,
    AccountingRecord,
    of_answered_call,
    of_ended_call,
    of_switch,
    of_talking_call,
)
from vosd.engine.reports.report import CallReport, encoded
from vosd.engine.reports.reporter import OutletWords, ReportOutlet
from vosd.engine.settings import AccountedCalls, AccountingSettings
from vosd.obs.events import Event, log as _log
from vosd.obs.figures import Figure
from vosd.radius.packets import RadiusCode
from vosd.radius.settings import RadiusPurpose, RadiusSettings
from vosd.routing.pipeline import RouteChoice

LAST_RECORD_S: Final = 2.0
"""Time that a stop waits for the answer to Accounting-Off."""
TAKEN: Final = 200
"""Status of a record that a server has taken."""
ENDED_KEPT_MAX: Final = 1_000
"""Moments of calls that have ended are removed where there are so many more of them than of calls."""
INTERIMS_AT_ONCE: Final = 500
"""Interim-Updates that may be due in one turn; the others follow in the next turns, and their intervals are longer."""
UNREADABLE: Final = 400
"""Status of one that cannot be sent."""

_decode: Final = msgspec.json.Decoder(AccountingRecord).decode


class TalkingCall(NamedTuple):
    """An answered call, as far as accounting needs it."""

    arrival: Arrival
    journey: Journey
    request: CallRequest


class _Session(NamedTuple):
    """A call that gets Interim-Updates."""

    start: AccountingRecord
    answered_mono: int
    interval_ms: int


class _Courier:
    """Sends accounting records to the first server that takes them."""

    def __init__(
        self,
        client: RadiusClient,
        announce: Callable[[], Awaitable[None]],
        is_doubtful: Callable[[str], bool],
        answered_late: Callable[[CallReport], None],
    ) -> None:
        """Take what all couriers share.

        Args:
            client: the way to the servers.
            announce: sends what has to come before all records, if it was not sent yet.
            is_doubtful: whether the oldest record of a call has failed before.
            answered_late: called with a report that a server has taken when it was no longer waited for.
        """
        self._client, self._announce = client, announce
        self._is_doubtful, self._answered_late = is_doubtful, answered_late

    async def deliver(self, report: CallReport) -> int:
        """Send a record; one that cannot be read, of another version, is refused."""
        await self._announce()
        record = _record_in(report)
        if record is None:
            return UNREADABLE
        late = partial(self._answered_late, report)
        await _send(self._client, record, late, is_doubtful=self._is_doubtful(report.call_id))
        return TAKEN

    def hang_up(self) -> None:
        """Do nothing: the client is shared by all couriers."""


class CallAccounting(ReportOutlet[AccountingSettings]):
    """The accounting records of one switch."""

    words = OutletWords(
        Event.RADIUS_ACCOUNTING_DOWN,
        Event.RADIUS_ACCOUNTING_UNWRITTEN,
        Event.RADIUS_ACCOUNTING_DROPPED,
        Event.RADIUS_ACCOUNTING_RESTORED,
        Event.RADIUS_ACCOUNTING_LEFT,
        Event.RADIUS_RECORD_REFUSED,
        Event.RADIUS_RECORD_NOT_MADE,
        Figure.RADIUS_ACCOUNTING,
        Figure.RADIUS_ACCOUNTING_DROPPED,
    )

    def __init__(
        self,
        clock: Clock,
        settings: AccountingSettings | None,
        state_dir: Path,
        attach: Callable[[CallReporter | None], None],
        running: Callable[[], Iterable[TalkingCall]],
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """``running`` returns the live calls; the others are as in ``CallReports``."""
        super().__init__(clock, settings, state_dir / "radius-accounting", is_busy)
        self._client = RadiusClient(clock, RadiusPurpose.ACCOUNTING, _servers(settings))
        self._attach_calls = attach
        self._running = running
        self._is_serving = False
        self._accounts_all = False
        self._interim_ms = 0
        self._sessions: dict[str, _Session] = {}
        self._due: list[tuple[int, str]] = []
        """Moments of the next Interim-Updates, the earliest first; those of calls that have ended stay until then."""
        self._left: set[str] = set()
        """Calls of which an earlier run has left a Stop, until ``serve``."""
        self._announcement: AccountingRecord | None = None
        self._announcing = asyncio.Lock()

    # -- life ---------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Take up what an earlier run has left; it is delivered from ``serve`` on."""
        await super().begin()
        if self._settings is None:
            return
        if self._is_serving:
            self._open_accounting()
        else:
            self._left = {each.call_id for each in self._queue.waiting() if _is_stop(each)}

    def serve(self) -> None:
        """Deliver from now on: the calls of the earlier process that go on are live by now.

        A Stop of such a call was written in the moment of the kill, before the journal had its end: it is withdrawn,
        and the call has one Stop when it ends.
        """
        self._is_serving = True
        live = {each.arrival.call_id for each in self._running()}
        wrong = live & self._left
        for report in [each for each in self._queue.waiting() if each.call_id in wrong and _is_stop(each)]:
            self._queue.remove(report)
            self._spool.done(report)
        self._left.clear()
        if self._settings is not None:
            self._open_accounting()
            self._go(self._settings)

    async def end(self) -> None:
        """Deliver the last records; Accounting-Off follows if no call goes on and nothing waits that may be taken."""
        settings = self._settings
        await super().end()
        is_last = settings is not None and self._queue.is_hopeless and not any(True for _ in self._running())
        if is_last and self._is_serving and self._announcement is None:
            try:
                async with asyncio.timeout(LAST_RECORD_S):
                    await _send(self._client, of_switch(OFF, self._clock.now().wall))
            except (TimeoutError, UndeliveredError) as error:
                _log.warning("radius_accounting_off_unanswered", error=str(error) or "no answer in time")
        self._client.close()

    async def adjust(self, settings: AccountingSettings | None) -> None:
        """Apply other settings; without any, what waits is dropped."""
        if settings != self._settings:
            self._client.adjust(_servers(settings))
        await super().adjust(settings)

    def _go(self, settings: AccountingSettings) -> None:
        self._attach(settings)
        if not self._is_serving:
            return
        super()._go(settings)
        self._sessions.clear()
        self._due.clear()
        for call in self._running():
            if call.journey.answered_at is not None:
                self._begun(call)
        self._tasks.run("accounting begins", partial(self._begin_accounting, settings.retry_interval_ms / 1_000))

    def _courier(self, _settings: AccountingSettings) -> _Courier:
        return _Courier(self._client, self._announce, self._queue.is_doubtful, self._delivery.answered_late)

    def _attach(self, settings: AccountingSettings) -> None:
        self._accounts_all = settings.calls is AccountedCalls.ALL
        self._interim_ms = 1_000 * settings.interim_s
        self._attach_calls(self)

    def _detach(self) -> None:
        self._attach_calls(None)
        self._sessions.clear()
        self._due.clear()

    def _open_accounting(self) -> None:
        """Have Accounting-On sent before all records, unless calls are running that a server may have sessions of."""
        is_idle = not any(True for _ in self._running())
        self._announcement = of_switch(ON, self._clock.now().wall) if is_idle else None

    async def _begin_accounting(self, retry_s: float) -> None:
        """Send Accounting-On until it is taken."""
        while self._announcement is not None:
            try:
                await self._announce()
            except UndeliveredError:
                await asyncio.sleep(retry_s)

    async def _announce(self) -> None:
        """Send Accounting-On if it was not taken yet: a server that gets it later ends the sessions before it."""
        if self._announcement is None:
            return
        async with self._announcing:
            if self._announcement is not None:
                await _send(self._client, self._announcement)
                self._announcement = None

    # -- counts -------------------------------------------------------------------------------------------------

    def census(self) -> Mapping[Figure, int]:
        """Count the records that wait, and the servers that are out of service."""
        return {**super().census(), Figure.RADIUS_SERVERS_DOWN: self._client.dead}

    def totals(self) -> Mapping[Figure, int]:
        """Count the records that were lost, and the requests without an answer."""
        return {**super().totals(), Figure.RADIUS_FAILED: self._client.failed_total}

    def tidy(self) -> None:
        """Write the Interim-Updates that are due, beside what every outlet does."""
        now, due = self._clock.now(), self._due
        if len(due) > 2 * len(self._sessions) + ENDED_KEPT_MAX:
            due[:] = [each for each in due if each[1] in self._sessions]
            heapify(due)
        left = INTERIMS_AT_ONCE
        while left and due and due[0][0] <= now.mono:
            _, call_id = heappop(due)
            session = self._sessions.get(call_id)
            if session is None:
                continue
            left -= 1
            heappush(due, (now.mono + session.interval_ms, call_id))
            # A later one says more, and the Stop says all. But nothing else may tell that a server is well.
            if not self._queue.is_away or not (self._queue.has_untried or self._queue.waits_of(call_id)):
                talking = of_talking_call(session.start, now.mono - session.answered_mono)
                self._report(call_id, partial(encoded, talking), is_minor=True)
        super().tidy()

    # -- what calls report --------------------------------------------------------------------------------------

    def trying(
        self, arrival: Arrival, journey: Journey, request: CallRequest, choice: RouteChoice, mono_ms: int, /
    ) -> None:
        """Do nothing: an attempt is not accounted."""

    def ringing(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Do nothing: a call that rings is not accounted."""

    def answered(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Account the Start."""
        self._report(arrival.call_id, lambda: encoded(self._begun(TalkingCall(arrival, journey, request))))

    def ended(self, record: CallRecord, /) -> None:
        """Account the Stop; of a call without an answer where all calls are accounted."""
        self._sessions.pop(record.call_id, None)
        was_answered = record.answered_at is not None
        if (was_answered or self._accounts_all) and record.call_id not in self._left:
            # Nothing is billed by the record of a refused call: those of a flood push out no other.
            self._report(record.call_id, lambda: encoded(of_ended_call(record)), is_minor=not was_answered)

    def lost(self, call_id: str, /) -> None:
        """Do nothing: nothing is known of a call without an answer that a kill has ended."""

    # -- inside -------------------------------------------------------------------------------------------------

    def _is_minor(self, report: CallReport) -> bool:
        record = _record_in(report)
        return record is not None and record.is_minor

    def _begun(self, call: TalkingCall) -> AccountingRecord:
        """Return the Start of a call, which gets Interim-Updates from now on."""
        start = of_answered_call(*call)
        answered = call.journey.answered_at
        asked_s = call.request.interim_s
        interval_ms = self._interim_ms if asked_s is None else 1_000 * asked_s
        if interval_ms and answered is not None:
            self._sessions[call.arrival.call_id] = _Session(start, answered.mono, interval_ms)
            talked_ms = max(0, self._clock.now().mono - answered.mono)
            # by its own answer, so that calls which are taken up together do not stay in step
            due = answered.mono + interval_ms * (talked_ms // interval_ms + 1)
            heappush(self._due, (due, call.arrival.call_id))
        return start


def _record_in(report: CallReport) -> AccountingRecord | None:
    """Return the record of a report; None if this version cannot read it."""
    try:
        return _decode(report.body)
    except msgspec.DecodeError:
        return None


def _servers(settings: AccountingSettings | None) -> RadiusSettings | None:
    return None if settings is None else settings.radius


def _is_stop(report: CallReport) -> bool:
    record = _record_in(report)
    return record is not None and record.status == STOP


async def _send(
    client: RadiusClient, record: AccountingRecord, late: Callable[[], None] | None = None, *, is_doubtful: bool = False
) -> None:
    """Send a record; ``late`` is called where a server takes it after that. The others are as in ``RadiusClient.ask``.

    Raises:
        UndeliveredError: no server has taken it.
    """
    try:
        await client.ask(RadiusCode.ACCOUNTING_REQUEST, record.sent_at, late, is_doubtful=is_doubtful)
    except RadiusUnreachableError as error:
        raise UndeliveredError(str(error)) from error
