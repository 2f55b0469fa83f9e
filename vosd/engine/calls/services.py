"""Services that all live calls of a switch share: counters, the sink of records, deadlines, and the list of calls."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from vosd.base.wheel import TICK_MS, TimerWheel
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.ports import CallObserver, CallReporter, CallSink
from vosd.callcontrol.questions import Asker, Step
from vosd.cdr.record import CallRecord
from vosd.engine.calls.attempts import Attempts
from vosd.engine.calls.notices import Notices
from vosd.engine.calls.open_setup import UnusedAnswer
from vosd.obs.figures import Figure
from vosd.obs.log import call_line

if TYPE_CHECKING:
    from vosd.engine.calls.live_call import LiveCall
    from vosd.engine.media.relayed_calls import RelayedCalls


SentTo = tuple[str, int | None, str, str]
"""Host, port, called and calling number of an attempt, as sent."""


class RunningCalls:
    """The live calls by their ids, oldest first."""

    def __init__(self) -> None:
        self._by_id: Final[dict[str, LiveCall]] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._most = 0
        """Most calls at a time since ``take_peak``, noted before one ends."""
        self.sent: Final[dict[SentTo, dict[LiveCall, None]]] = {}
        """Unanswered calls, oldest first, that were sent to another host than they came from (ADR 211)."""

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, call_id: str, live_call: "LiveCall") -> None:
        """Add a new call."""
        if not self._by_id:
            self._empty.clear()
        self._by_id[call_id] = live_call

    def remove(self, call_id: str) -> None:
        """Remove a call that has ended; raises KeyError if it is not in the list."""
        self._most = max(self._most, len(self._by_id))
        del self._by_id[call_id]
        if not self._by_id:
            self._empty.set()

    def forget_sent(self, live_call: "LiveCall") -> None:
        """Drop a call that is answered, or over, from those that were sent."""
        for sent_to in live_call.gateways.sent_to:
            calls = self.sent.get(sent_to, {})
            calls.pop(live_call, None)
            if not calls:
                self.sent.pop(sent_to, None)
        live_call.gateways.sent_to.clear()

    def get(self, call_id: str) -> "LiveCall | None":
        """Return the live call with that id."""
        return self._by_id.get(call_id)

    def passed(self, call_id: str) -> "Iterator[LiveCall]":
        """Yield a call, the one whose INVITE a proxy has sent back as it, and so on, as far as they last."""
        call = self._by_id.get(call_id)
        while call is not None:
            yield call
            call = self._by_id.get(call.call_request.sent_back_from)

    def all(self) -> "tuple[LiveCall, ...]":
        """Return the live calls, oldest first."""
        return tuple(self._by_id.values())

    def take_peak(self) -> int:
        """Return the most calls at a time since this was asked last, and begin anew."""
        most, self._most = max(self._most, len(self._by_id)), 0
        return most

    async def emptied(self) -> None:
        """Wait until there is no live call."""
        await self._empty.wait()


class CallServices:
    """The parts of the switch that a live call uses."""

    def __init__(
        self,
        node: str,
        admission: Admission,
        sink: CallSink,
        notices: Notices,
        observer: CallObserver,
        *,
        steps: tuple[Step, ...],
        asker: Asker,
    ) -> None:
        """``steps`` set up new calls; ``asker`` answers their questions."""
        self.node = node
        self.adopt(admission)
        self.live = admission.live
        self.sink = sink
        self.notices = notices
        self.observer = observer
        self.reporter: CallReporter | None = None
        """Reports states of calls to another program; None = nothing is reported."""
        self.media: RelayedCalls | None = None
        """The media of calls; None = they go from party to party."""
        self.attempts = Attempts(self.live)
        self.deadlines: TimerWheel[LiveCall] = TimerWheel(TICK_MS)
        self.running = RunningCalls()
        self.steps = steps
        self.asker = asker
        self.unused_answers: Counter[UnusedAnswer] = Counter()
        """Answers that were not used, by reason."""

    def adopt(self, admission: Admission) -> None:
        """Admit new calls by another catalogue."""
        self.admission = admission
        """The catalogue and live state that the steps of new calls use."""
        self.records_own_ends = admission.catalogue.parameters.record_server_hang_up
        """Whether answered calls that the switch ended leave a CDR (SERVER_BILLING_RECORD_SERVER_HANG_UP)."""
        self.registering_vendors = [
            each.name for each in admission.catalogue.routing_gateways.values() if each.registers
        ]
        """Names of the routing gateways that are called where they register with us."""
        self.emergency = admission.catalogue.parameters.special_numbers.emergency
        """Called numbers whose calls always leave a CDR."""
        self.records_zero = admission.catalogue.parameters.record_zero_hold_time
        """Whether calls without a second of talk leave a CDR (SERVER_BILLING_RECORD_ZERO_HOLD_TIME)."""

    def close(self, record: CallRecord, call_request: CallRequest) -> None:
        """Journal the priced record, then move its money from held to owed."""
        credits = self.live.credits
        if call_request.watched is not None and record.answered_at is not None:
            call_request.watched.use.ended(record.hold_time_ms, record.fee + record.tax, record.ended_at)
        if not record.recorded:
            self.notices.counted[Figure.CALLS_WITHOUT_CDR] += 1
            self.notices.without_cdr.note(record)
        try:
            self.sink.ended(record)
        finally:
            call_request.give_back()
        for posting in record.postings:
            credits[posting.account].post(posting.amount)
        call_line(record)

    def book(self, record: CallRecord) -> None:
        """Journal a record of which nothing was held, and take its money."""
        self.sink.ended(record)
        for posting in record.postings:
            self.live.credits[posting.account].post(posting.amount)
        call_line(record)
