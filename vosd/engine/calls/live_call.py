"""One live call of the switch: its set-up, money and journal entries, and its parts for gateways and media.

It implements ``b2bua.ports.Switchboard`` for its call, so that nothing is looked up by the call's id.
"""

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.ports import Decision, SetupAnswer
from vosd.b2bua.stamps import Ending
from vosd.b2bua.states import TALKING
from vosd.b2bua.substitute import Substitute
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.callcontrol.bookkeeping import conclude, draft
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.open_call import Description, OpenCall
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.callcontrol.verdicts import verdicts, with_refusal
from vosd.cdr.record import Attempt, CallRecord
from vosd.engine.calls.established import Established, legs_of
from vosd.engine.calls.gateways_of_call import GatewaysOfCall
from vosd.engine.calls.known import GONE
from vosd.engine.calls.media_of_call import MediaOfCall
from vosd.engine.calls.money_of_call import MoneyOfCall, opened_now
from vosd.engine.calls.notices import LATE_PRACK_MS
from vosd.engine.calls.open_setup import OpenSetup
from vosd.engine.calls.services import CallServices
from vosd.obs.events import Event, log as _log
from vosd.routing.false_answers import AnsweredCall
from vosd.routing.pipeline import RouteChoice
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.gateways import MappingGateway

_SWITCH: Final = HangupSource.SWITCH  # access to enum members is slow
_EXHAUSTED: Final = EndReason.BALANCE_EXHAUSTED
NO_ROUTES: Final[Iterator[RouteChoice]] = iter(())


class CallIntake(Protocol):
    """Admits and books what comes of a live call."""

    def place_transfer(
        self, first: Call, paid_by: CallRequest, substitute: Substitute, number: str, now: Instant, *, is_called: bool
    ) -> Call | int:
        """Set up the call to a transfer's target; return a status if it is refused."""

    def book_late_answer(
        self, given_up: GivenUp, call_request: CallRequest, row: Attempt, now: Instant, ended_mono: int | None
    ) -> None:
        """Book what a vendor charges for its answer to an attempt that was given up."""


class LiveCall:
    """State of the switch for one call, and its ``Switchboard``; ``call`` is set before the call begins."""

    __slots__ = (
        "_ending", "_intake", "call", "call_id", "call_request", "due_ms", "established", "gateways", "has_moved",
        "is_over", "kept", "media", "money", "open_setup", "services", "timer",
    )  # fmt: skip
    __deletable__ = ("call", "gateways", "media", "money")  # for a compiler (ADR 84)

    call: Call
    """Deleted at the end, as are its parts: they refer to each other, and so are freed without a garbage collection."""

    def __init__(
        self,
        services: CallServices,
        intake: CallIntake,
        call_id: str,
        call_request: CallRequest,
        vendors: LiveVendors,
        *,
        kept: OpenCall | None = None,
        due_ms: int = 0,
        has_moved: bool = False,
    ) -> None:
        """``intake`` admits the calls that a transfer of this one asks for."""
        self.services = services
        self._intake = intake
        self.call_id = call_id
        self.call_request = call_request

        self.open_setup: OpenSetup | None = None
        """The set-up, while a question of it is open."""

        self.kept = kept
        """The call as journalled, once it is answered."""
        self.timer: Timer[LiveCall] | None = None
        """The wake-up, not after ``due_ms``."""
        self.due_ms = due_ms
        """The deadline of the call on the monotonic clock, once it has one."""
        self.has_moved = has_moved
        """Whether the call is no longer as it was answered: its session, a leg or who takes part has changed."""
        self.established: Established | None = None
        """Description of its answer until the ACK of the caller: it is written again if the 200 waits for media."""

        self.is_over = False
        self._ending: Ending | None = None
        self.gateways = GatewaysOfCall(self, vendors)
        self.media = MediaOfCall(self)
        self.money = MoneyOfCall(self)

    @property
    def customer(self) -> MappingGateway | None:
        """The trunk or phone that the call came from."""
        return self.call_request.mapping

    @property
    def is_emergency(self) -> bool:
        """Whether it is a call to an emergency number."""
        numbers = self.services.admission.catalogue.parameters.special_numbers
        return numbers.is_emergency(self.call_request.callee_billing)

    def ask(self, now: Instant) -> Decision:
        """Ask the open question of the set-up; return the decision if the answer is known at once."""
        return self._decided(self._waiting_setup.ask(now))

    def settle(self, answer: SetupAnswer | None, now: Instant) -> Decision:
        """Go on with the set-up by the answer to its question; None = the deadline has passed."""
        return self._decided(self._waiting_setup.settle(answer, now))

    def unwanted_answer(self, attempt: Attempt, now: Instant, given_up: GivenUp, *, is_recorded: bool) -> None:
        """Warn about a late 2xx that the vendor charges for, and book what it costs, unless that is not known.

        After the end of the call every warning is logged, because the record is written already and does not have it.
        """
        if given_up.choice is None or not given_up.choice.gateway.is_phone:  # no one charges for that of a phone
            self.services.notices.late_answer(self.call_id, attempt, now, is_recorded=is_recorded)
        ending = self._ending
        if ending is None:
            ended_mono = self.money.paid_until_ms()
        else:
            ended_mono = ending.at.mono if ending.vendor_mono is None else ending.vendor_mono
        self._intake.book_late_answer(given_up, self.call_request, attempt, now, ended_mono)
        if self.kept is None:
            self.services.sink.answered_in_vain(self.call_id, given_up.sip_call_id)
        if ended_mono is None and self.money.ringing is not None:
            self.money.vendor_left()

    # -- while it lasts -----------------------------------------------------------------------------------------

    def dialect_of(self, trunk: str) -> CallerDialect:
        """Return how a mapping gateway or phone speaks SIP now; one that is gone transfers nothing."""
        catalogue = self.services.admission.catalogue
        found = catalogue.overridden.get(trunk) or catalogue.mapping_gateways.get(trunk)
        return GONE if found is None else found.dialect

    def place_transfer(self, substitute: Substitute, number: str, now: Instant, *, is_called: bool) -> Call | int:
        """Admit the call that a transfer asks for, on the account of the side that transfers."""
        call_request = self.call_request
        return self._intake.place_transfer(self.call, call_request, substitute, number, now, is_called=is_called)

    def set_deadline(self, at_ms: int) -> None:
        """Let ``call.deadline_due`` be called at ``at_ms``, in place of the deadline before.

        Most deadlines are moved to a later time before they are reached: a timer that fires earlier is left, and set
        again when it fires.
        """
        if self.money.ringing is not None:
            at_ms = self.money.ringing.deadline(at_ms)
        self.due_ms = at_ms
        deadlines, timer = self.services.deadlines, self.timer
        if timer is not None:
            if timer.tick * deadlines.tick_ms <= at_ms:
                return
            deadlines.cancel(timer)
        self.timer = deadlines.schedule(at_ms, self)

    def vendor_answered(self) -> bool:
        """Journal a call that a gateway has answered, in place of its entry before; False if that fails.

        Where the caller's 200 waits for a PRACK this is done then, and again by ``answered`` before the 200 is sent.
        """
        services, call = self.services, self.call
        kept = opened_now(self, call)
        answered_at, choice = call.journey.vendor_answered_at, call.journey.choice
        if kept is None or answered_at is None or choice is None:
            raise RuntimeError(f"{call!r} was answered by no gateway")
        services.live.health.answered(choice.gateway.name, answered_at.mono)
        if self.kept is None and not choice.gateway.is_phone:  # else it waited for a PRACK, and was counted then
            rate, pdd_ms = kept.vendor_rate, kept.record.attempts[-1].pdd_ms
            destination = choice.prefix if rate is None else rate.rate.prefix
            services.live.quality.answered(choice.gateway.name, destination, pdd_ms, answered_at.mono)
        if call.callee is not None:
            services.attempts.rings(call.callee, self.call_request.account)
        if len(kept.record.attempts) > 1:  # the last one is the answer
            services.notices.account_refused(kept.record, answered_at)
        # A call whose 200 still waits is ended after a crash.
        caller = call.caller.inviter
        written = b""
        if call.journey.answered_at is not None:
            established, written = Established.of(call, caller, self.call_request)
            if established is not None and established.caller_media is not None:
                self.established = established
        if services.sink.answered(kept, Description(legs_of(call, caller), written)):
            self.kept = kept
            return True
        _log.error(Event.ANSWERED_CALL_REFUSED, call_id=self.call_id, why="the journal cannot be written")
        return False

    def answered(self) -> int | None:
        """Journal the answer before the caller's 200; return the seconds that are paid for, None if that fails.

        They are within ``max_call_seconds`` of the gateway that answered.
        """
        hold, journey = self.call_request.hold, self.call.journey
        if hold is None:
            raise RuntimeError(f"{self.call!r} answered without a hold")
        choice = journey.choice
        if choice is not None and choice.gateway.max_call_seconds is not None:
            hold.end_within(choice.gateway.max_call_seconds)  # before the terms of the call are journalled
        came, answered_at = journey.vendor_answered_at, journey.answered_at
        if hold.vendors and self.money.ringing is None and answered_at is not None and came is not None:
            hold.answered(answered_at.mono - came.mono)
        if not self.vendor_answered():
            return None
        self.money.ringing = None
        # What is left of the search would stay for the whole call.
        self.call_request.choices, self.call_request.searched = NO_ROUTES, None
        # Those of the search keep a catalogue in memory that a reload may have replaced since.
        self.gateways.vendors = self.services.admission.vendors
        if self.gateways.sent_to:
            self.services.running.forget_sent(self)
        if self.call_request.watched is not None or self.services.reporter is not None:
            caller = self.call.caller.leg
            if caller is None or caller.door is None:
                self.answer_sent()
        return min(hold.granted_s, hold.ceiling_s)

    def answer_sent(self, *, has_waited: bool = False) -> None:
        """Count the call for the fraud watch, and report its answer; journal one that ``has_waited`` for its media."""
        call_request, journey, reporter = self.call_request, self.call.journey, self.services.reporter
        if call_request.watched is not None and journey.answered_at is not None and call_request.hold is not None:
            call_request.watched.answered(journey.answered_at.mono, call_request.hold.holds[0])
        if reporter is not None:
            reporter.answered(self.call.arrival, journey, call_request)
        if has_waited and self.kept is not None and self.call.state is TALKING:
            self.services.sink.moved(self.call_id)  # else it is as it was answered

    def answer_taken_back(self) -> None:
        """Forget the journalled answer: the call ends in this turn, and is recorded by its facts of then."""
        self.kept = None

    def moved(self, *, at_once: bool = False) -> None:
        """Journal a call that talks as it is now."""
        if self.kept is not None and not self.is_over and self.call.state is TALKING:
            self.has_moved = True
            self.services.sink.moved(self.call_id, at_once=at_once)

    def acknowledged(self, at: Instant) -> None:
        """Journal that the caller has acknowledged our 200."""
        self.established = None
        self.services.sink.acknowledged(self.call_id, at.mono)

    def refresh_failed(self, gateway: str | None, status: int, now: Instant) -> None:
        """Warn about a trunk that refuses session refreshes: its calls will time out."""
        customer = "" if self.customer is None else self.customer.name
        self.services.notices.refresh_failed(gateway or customer, self.call_id, status, now)

    def _unanswered(self, at: Instant) -> None:
        """Count the call for the blacklist, and let its signature be used again, by another way to us."""
        call_request = self.call_request
        if call_request.counted is not None:
            call_request.counted.unanswered(at.mono)
        if call_request.fingerprints:
            self.services.live.replays.forget(call_request.fingerprints)

    def over(self, ending: Ending) -> None:
        """Rate and journal the call, release what it holds, and drop it."""
        services, call, call_request = self.services, self.call, self.call_request
        services.running.remove(self.call_id)
        if self.gateways.sent_to:
            services.running.forget_sent(self)
        # A call that was not answered is charged with ``SS_STARTBILLINGTIME`` 1 only, by its facts of now.
        was_answered = call.journey.vendor_answered_at is not None
        kept = (self.kept if was_answered else None) or opened_now(self, call)
        self.is_over = True
        self._ending = ending
        del self.call, self.gateways, self.media, self.money
        if call.journey.answered_at is None and (call_request.counted is not None or call_request.fingerprints):
            self._unanswered(ending.at)
        timer, self.timer = self.timer, None  # it refers to the call, too
        if timer is not None:
            services.deadlines.cancel(timer)
        zero_too = services.records_zero or call_request.callee_billing in services.emergency
        if kept is None:
            record = draft(services.node, call.arrival, call_request, call.journey, ending, recorded=zero_too)
        else:
            late = call.journey.attempts[len(kept.record.attempts) :]
            recorded = ending.source is not _SWITCH or services.records_own_ends
            acked = call.journey.acknowledged_at
            record = conclude(
                kept,
                ending,
                call.journey.codec,
                call.journey.vendor_codec,
                recorded=recorded,
                zero_too=zero_too,
                late_answers=late,
                acknowledged=acked,
            )
        try:
            record = self._noted(call, record, kept if was_answered else None, ending)
        except Exception:  # noqa: BLE001  the boundary: what is noted of a call costs no record, and no report
            _log.exception("end_of_call_not_reported", call_id=self.call_id)
        if services.reporter is not None:  # before the journal: a kill in between leaves a report, none is missing
            try:
                services.reporter.ended(record)
            except Exception:  # noqa: BLE001  the boundary: a report that fails costs no record
                _log.exception("end_of_call_not_reported", call_id=self.call_id)
        services.close(record, call_request)
        services.observer.ended(call.arrival, call.journey, record)
        setup, self.open_setup = self.open_setup, None
        if setup is not None:
            setup.abandon()

    def _noted(self, call: Call, record: CallRecord, answered: OpenCall | None, ending: Ending) -> CallRecord:
        """Note the end of a call for quality and warnings, and return its record with what is known of its media.

        ``answered`` is the call as it was journalled with the answer of a gateway; None = there was none.
        """
        services, choice = self.services, call.journey.choice
        if ending.reason is _EXHAUSTED:
            record = self._with_account_used_up(call, record)
        if answered is None:
            services.notices.account_refused(record, ending.at)
        elif choice is not None and not choice.gateway.is_phone:
            rate = answered.vendor_rate
            destination = choice.prefix if rate is None else rate.rate.prefix
            quality, talk_ms = services.live.quality, record.hold_time_ms
            sold_by = "" if answered.customer_rate is None else answered.customer_rate.rate.prefix
            quality.talked(choice.gateway.name, destination, talk_ms, ending.at.mono, sold_by)
            if services.live.false_answers.terms.percent:
                self._note_answer(choice.gateway.name, destination, record, ending.at)
        came_at, answered_at = record.vendor_answered_at, record.answered_at
        if answered is not None and (
            answered_at is None or (came_at is not None and answered_at - came_at >= LATE_PRACK_MS)
        ):
            services.notices.unacknowledged_answer(record, ending.at)
        if record.loss is not None and (answered is None or answered_at is not None):
            services.notices.sold_below_cost(record, ending.at)
        if services.media is not None and (media := services.media.report(call, ending.at)) is not None:
            record = msgspec.structs.replace(record, media=media)
        return record

    # -- inside -------------------------------------------------------------------------------------------------

    @property
    def _waiting_setup(self) -> OpenSetup:
        if self.open_setup is None:
            raise RuntimeError(f"{self.call!r} has no open question")
        return self.open_setup

    def _with_account_used_up(self, call: Call, record: CallRecord) -> CallRecord:
        """Return the record with what ``vosd why`` says of the account that pays for no further second."""
        call_request = self.call_request
        if call_request.hold is None or not call_request.hold.used_up:
            return record
        call_request.refusal = call_request.hold.used_up
        if record.verdicts is None:
            found = verdicts(call_request, call.journey.choice)
        else:  # behind a restart the record alone has the gateways that were left out
            found = with_refusal(record.verdicts, call_request.refusal)
        return msgspec.structs.replace(record, verdicts=found)

    def _note_answer(self, gateway: str, destination: str, record: CallRecord, at: Instant) -> None:
        """Count an answered call for the signs of false answers."""
        answered = (each for each in reversed(record.attempts) if each.gateway == gateway and 200 <= each.code < 300)
        answer = next(answered, None)
        if answer is None or record.answered_at is None:
            return
        caller, callee, talk_ms = record.caller_in, record.callee_in, record.hold_time_ms
        ended = AnsweredCall(gateway, destination, caller, callee, answer.pdd_ms, answer.ms, talk_ms)
        self.services.live.false_answers.note(ended, at.mono)

    def _decided(self, decision: Decision) -> Decision:
        """Drop the set-up once it is decided, which keeps a whole catalogue alive; the caller learns its findings."""
        if decision is not None:
            self.open_setup, caller = None, self.call.caller.inviter
            if caller is not None:
                caller.progress.identity_status = self.call_request.identity_status
        return decision


def undo(live_call: LiveCall, services: CallServices) -> None:
    """Undo a restoration: the call occupies nothing any more, and leaves no record.

    It does not go on, or is restored once more. What the endpoint has of it stays.
    """
    services.running.remove(live_call.call_id)
    live_call.is_over = True
    timer = live_call.timer
    if timer is not None:
        services.deadlines.cancel(timer)
    for occupied in live_call.gateways.occupied:
        live_call.gateways.vacate(occupied)
    if services.media is not None:
        services.media.leave(live_call.call)
    live_call.call_request.give_back()
