"""The switch: passes the events of the SIP core to the live calls, and makes calls of INVITEs.

Only ``engine.calls`` holds live calls; everything else gets snapshots. Synchronous: a message or a timer is processed
completely, then ``engine.loop`` flushes the journal and the datagrams.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol, runtime_checkable

from vosd.b2bua.call import Call
from vosd.b2bua.ports import SetupAnswer
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.states import CallState
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.live_state import AddressesOf, IsLocated, LiveState, as_configured
from vosd.callcontrol.ports import CallObserver, CallReporter, CallSink
from vosd.callcontrol.questions import Asker, CannotAsk, Step, Ticket
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.calls.continuation import Continuation
from vosd.engine.calls.intake import Intake
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.media_events import MediaEvents
from vosd.engine.calls.notices import Notices, caller_listed
from vosd.engine.calls.open_setup import UnusedAnswer
from vosd.engine.calls.refusals import Refusals
from vosd.engine.calls.services import CallServices
from vosd.engine.calls.terms_in_force import TermsInForce
from vosd.engine.calls.trial import TrialCall
from vosd.engine.counting import Counting
from vosd.obs.events import log as _log
from vosd.obs.figures import Figure
from vosd.sip.door.door import WaitingMessage
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import (
    AckArrived,
    Event,
    InviteArrived,
    InviteRefused,
    RegisterArrived,
    RequestArrived,
    ResponseArrived,
    StandaloneArrived,
    UnknownSourceIgnored,
)
from vosd.sip.wire.errors import Flaw, ParseError

DEADLINES_AT_ONCE: Final = 100
"""Deadlines that are handled before messages get their turn, some 20 ms: a start finds that most calls are due."""


@runtime_checkable
class CallPart(Protocol):
    """Part of a call, which is ended after an error in that part."""

    @property
    def call(self) -> Call | TrialCall:
        """The call."""


class Switch(Counting):
    """Passes the events of the SIP core and the deadlines to the live calls."""

    def __init__(
        self,
        *,
        node: str,
        endpoint: Endpoint,
        catalogue: Catalogue,
        sink: CallSink,
        entropy: Callable[[], bytes],
        credits: dict[str, AccountCredit],
        observer: CallObserver,
        register: Callable[[RegisterArrived], None],
        relay: Callable[[StandaloneArrived], None],
        addresses_of: AddressesOf = as_configured,
        is_located: IsLocated | None = None,
        steps: tuple[Step, ...] = STEPS,
        asker: Asker | None = None,
    ) -> None:
        """``steps`` set up new calls; ``asker`` answers their questions, without it every one is unanswered."""
        self._take_register = register
        self._relay = relay
        self._endpoint = endpoint
        self.live = LiveState(credits, addresses_of, is_located, entropy)
        self.notices = Notices(endpoint)
        self.live.dynamic_lists.on_listed = caller_listed
        self.services = CallServices(
            node, Admission(catalogue, self.live), sink, self.notices, observer, steps=steps, asker=asker or CannotAsk()
        )
        """Services that the live calls share."""
        self._calls, self._deadlines = self.services.running, self.services.deadlines
        self.next_deadline = self._deadlines.next_due
        """A function: the next deadline, in milliseconds of the monotonic clock, or None."""
        self._refusals = Refusals(node, endpoint, sink, self.notices, observer, entropy, self.services.admission)
        self.takes_calls = True
        """False once a stop was asked for: new calls are refused with 503."""
        self._intake = Intake(
            endpoint, self.services, self._refusals, entropy, closed=self.closed, settings=CallSettings()
        )
        self.terms = TermsInForce(endpoint, self.services, self._refusals, self._intake)
        """Puts other catalogues in force."""
        self.continuation = Continuation(endpoint, self.services, self._intake, self._begin_again)
        """Gives the live calls to another process, and goes on with those of an earlier one."""
        self.media_events = MediaEvents(self.services, self._end, self._abort)

    # -- in -----------------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Handle one event of the SIP core."""
        try:
            # ``isinstance`` asks the metaclass of a struct, which takes longer than all of these comparisons.
            if type(event) is ResponseArrived:
                event.owner.response_came(event)
            elif type(event) is RequestArrived:
                event.owner.request_came(event)
            elif type(event) is InviteArrived:
                self._intake.take_invite(event)
            elif type(event) is AckArrived:
                event.owner.ack_came(event)
            elif type(event) is RegisterArrived:
                self._take_register(event)
            elif isinstance(event, StandaloneArrived | UnknownSourceIgnored | InviteRefused):
                self._handle_beside_calls(event)
            else:
                event.notify_owner()
        except ParseError as error:
            self._refusals.unreadable(event, error)
        except Exception:  # noqa: BLE001  the boundary: an error ends one call, never the switch
            _log.exception("call_aborted", call_event=type(event).__name__)
            call = _call_of(event)
            if call is None or isinstance(event, RequestArrived):
                self._refusals.unreadable(event, ParseError(500, Flaw.OWN_ERROR))
            if call is not None:
                self._abort(call, event.at)

    def _handle_beside_calls(self, event: StandaloneArrived | UnknownSourceIgnored | InviteRefused) -> None:
        if isinstance(event, StandaloneArrived):
            self._relay(event)
        elif isinstance(event, UnknownSourceIgnored):
            self._refusals.unknown_source(event)
        else:
            self._refusals.note_refused(event)

    def take_answer(self, ticket: Ticket, answer: SetupAnswer, now: Instant) -> None:
        """Pass the answer to a question of its set-up to a call; count and ignore one that no call waits for."""
        live_call = self._calls.get(ticket.call_id)
        if live_call is None or live_call.open_setup is None or not live_call.open_setup.awaits(ticket):
            self.services.unused_answers[UnusedAnswer.LATE] += 1
            return
        call = live_call.call
        try:
            call.question_answered(answer, now)
        except Exception:  # noqa: BLE001  the same boundary as in ``handle``
            _log.exception("call_aborted", call_event="answer to a question")
            self._abort(call, now)

    def answer_waiting(self, waiting: WaitingMessage, act: Callable[[Instant], None], now: Instant) -> None:
        """Do something with a message that waits at its door."""
        try:
            act(now)
        except Exception:  # noqa: BLE001  the same boundary as in ``handle``
            _log.exception("call_aborted", call_event="answer for a message")
            if isinstance(waiting.call, Call):
                self._abort(waiting.call, now)

    def handle_deadlines(self, now: Instant) -> None:
        """Handle the deadlines that have passed, the earliest first, at most so many before messages get their turn."""
        for live_call in islice(self._deadlines.expire(now.mono), DEADLINES_AT_ONCE):
            live_call.timer = None
            if now.mono < live_call.due_ms:  # it was moved meanwhile
                live_call.timer = self._deadlines.schedule(live_call.due_ms, live_call)
                continue
            call = live_call.call
            try:
                call.deadline_due(now)
            except Exception:  # noqa: BLE001  the same boundary
                _log.exception("call_aborted", call_event="deadline")
                self._abort(call, now)

    # -- people -------------------------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue for new calls."""
        return self.services.admission.catalogue

    @property
    def admission(self) -> Admission:
        """Admission of new calls, for ``explain --live``."""
        return self.services.admission

    def report_calls(self, reporter: CallReporter | None) -> None:
        """Have a reporter receive each change of the state of a call from now on; None = no one."""
        self.services.reporter = self._refusals.reporter = reporter

    @property
    def has_calls(self) -> bool:
        """Whether there are live calls."""
        return bool(self._calls)

    def calls(self) -> Sequence[LiveCall]:
        """Return the live calls, oldest first."""
        return self._calls.all()

    def end_calls(self, chosen: Iterable[LiveCall], reason: EndReason, now: Instant) -> int:
        """End calls by order; return how many there were."""
        ended = 0
        for live_call in chosen:
            if not live_call.is_over:  # a transfer may have joined it to one that was ended before it
                self._end(live_call.call, reason, now)
            ended += 1
        return ended

    def census(self) -> Mapping[Figure, int]:
        """Count calls, legs, dialogs, transactions, timers and holds, for ``vosd status``."""
        calls = self._calls.all()
        return {
            Figure.CALLS: len(calls),
            Figure.LEGS: sum(len(each.call.conversation.all_legs) for each in calls),
            Figure.HOLDS: sum(1 for each in calls if each.call_request.hold is not None),
            **self.sip_census(),
        }

    def sip_census(self) -> Mapping[Figure, int]:
        """Count all of that but the calls; it takes no longer where there are more."""
        sip = self._endpoint.census()
        return {
            Figure.DIALOGS: sip["dialogs"],
            Figure.TRANSACTIONS: sip["transactions"],
            Figure.TIMERS: sip["timers"] + len(self._deadlines),
            Figure.BLACKLISTED: self.live.dynamic_lists.size,
        }

    def totals(self) -> Mapping[Figure, int]:
        """Return the counters since the start, for ``vosd status``."""
        return {
            Figure.BLACKLIST_FORGOTTEN: self.live.dynamic_lists.forgotten,
            Figure.CALLS_LOST: self.continuation.lost,
        }

    # -- inside -------------------------------------------------------------------------------------------------

    def closed(self) -> Refusal | None:
        """Return the refusal of new calls while the switch stops, or cannot journal calls."""
        if not self.takes_calls:
            return Refusal(EndReason.SHUTDOWN, 503, "the switch is stopping")
        if self.services.sink.refuses_calls:
            why = "calls cannot be written to disk, or the database has lost some or is used by another switch"
            return Refusal(EndReason.OVERLOAD, 503, why)
        return None

    def _begin_again(self, live_call: LiveCall, now: Instant) -> None:
        call, setup = live_call.call, live_call.open_setup
        try:
            if setup is not None:
                ticket, answer = setup.ticket, setup.ask_again()
                if answer is not None:
                    self.take_answer(ticket, answer, now)
            elif call.search is not None:
                call.search.begin_again(now)
            elif call.conversation.transfer is not None:
                call.conversation.transfer.begin_again(now)
        except Exception:  # noqa: BLE001  the same boundary as in ``handle``
            _log.exception("call_aborted", call_event="beginning again")
            self._abort(call, now)

    def _abort(self, call: Call | TrialCall, now: Instant) -> None:
        """End a call that an error has left in an unknown state; it still leaves its record."""
        if call.state is not CallState.OVER:
            self._end(call, EndReason.LOST, now)

    def _end(self, call: Call | TrialCall, reason: EndReason, now: Instant) -> None:
        try:
            call.end(reason, now)
        except Exception:  # noqa: BLE001  the call is dropped, and leaves its record
            _log.exception("call_not_ended", call_id=call.arrival.call_id)
            if call.state is not CallState.OVER:
                call.drop(now)


def _call_of(event: Event) -> Call | TrialCall | None:
    """Return the call that an event belongs to; None if there is none yet."""
    if isinstance(event, InviteRefused | RegisterArrived | StandaloneArrived | UnknownSourceIgnored):
        return None
    owner: object = event.transaction.owner if isinstance(event, InviteArrived) else event.owner
    try:
        return owner.call if isinstance(owner, CallPart) else None
    except AttributeError:  # a leg whose constructor failed has no call
        return None
