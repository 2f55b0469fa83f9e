"""The switch: passes the events of the SIP core to the live calls, and makes calls of INVITEs.

Only ``engine.calls`` holds live calls; everything else gets snapshots. Synchronous: a message or a timer is processed
completely, then ``engine.loop`` flushes the journal and the datagrams.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import structlog

from vosd.b2bua.call import Call
from vosd.b2bua.ports import CallPart, SetupAnswer
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.states import CallState
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.live_state import AddressesOf, IsLocated, LiveState, as_configured
from vosd.callcontrol.open_call import UNDESCRIBED, ClosedCalls, Description
from vosd.callcontrol.ports import CallObserver, CallReporter, CallSink
from vosd.callcontrol.questions import Asker, CannotAsk, Step, Ticket
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Overrides
from vosd.engine.calls.intake import Intake
from vosd.engine.calls.kept import KeptSwitch, described, kept_switch
from vosd.engine.calls.known import KnownObjects
from vosd.engine.calls.live_call import LiveCall, undo
from vosd.engine.calls.notices import Notices, caller_listed, vendors_by_host
from vosd.engine.calls.open_setup import OpenSetup
from vosd.engine.calls.refusals import Refusals
from vosd.engine.calls.resumption import Resumed, Resumption
from vosd.engine.calls.saved import SavedSwitch
from vosd.engine.calls.services import CallServices, UnusedAnswer
from vosd.engine.counting import Counting
from vosd.engine.journal import Remains
from vosd.media.source import RelayPort
from vosd.obs.figures import Figure
from vosd.routing.access import AccessAction
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
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.flaws import Flaw
from vosd.trunks.gateways import RoutingGateway

DEADLINES_AT_ONCE: Final = 100
"""Deadlines that are handled before messages get their turn, some 20 ms: a start finds that most calls are due."""

_log = structlog.get_logger()


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
            node,
            Admission(catalogue, self.live),
            sink,
            self.notices,
            observer,
            steps=steps,
            asker=asker or CannotAsk(),
        )
        """Services that the live calls share."""
        self._calls, self._deadlines = self.services.running, self.services.deadlines
        self.next_deadline = self._deadlines.next_due
        """Return the next deadline, in milliseconds of the monotonic clock, or None."""
        self._refusals = Refusals(node, endpoint, sink, self.notices, observer, entropy, self.services.admission)
        self._overrides = Overrides()
        self.takes_calls = True
        """False once a stop was asked for: new calls are refused with 503."""
        self._intake = Intake(
            endpoint, self.services, self._refusals, entropy, closed=self.closed, settings=CallSettings()
        )
        self.swap_catalogue(catalogue)

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

    def key_pressed(self, port: int, key: str, duration_ms: int, now: Instant) -> None:
        """Handle a key that came in the media at a port of the relay."""
        media = self.services.media
        leg = None if media is None else media.leg_at(port)
        if media is None or leg is None:
            return
        live_call = self._calls.get(leg.call.arrival.call_id)
        if live_call is None:
            return
        call = live_call.call
        try:
            far = call.conversation.key_pressed(leg, key, now)
            if far is not None:
                media.send_key(leg, far, key, duration_ms, now)
        except Exception:  # noqa: BLE001  the same boundary as in ``handle``
            _log.exception("call_aborted", call_event="key")
            self._abort(call, now)

    def source_found(self, port: RelayPort, number: int, host: str, now: Instant) -> None:
        """Judge an address that media of a leg come from.

        A blocked address ends the call only if the peer of the leg has named it. ``media_source: any`` lets in other
        addresses, too. Their packets are dropped: a forged address must not end a call.
        """
        media = self.services.media
        leg = None if media is None else media.leg_of(number)
        live_call = None if leg is None else self._calls.get(leg.call.arrival.call_id)
        if media is None or leg is None or live_call is None:
            return
        action = live_call.media.judged_source(host, now)
        media.judge_source(port, host, may_send=action is AccessAction.ALLOW)
        sources = () if leg.facts.media is None else leg.facts.media.sources
        if action is AccessAction.BLOCK and any(each is not None and host in each.hosts() for each in sources):
            self._end(live_call.call, EndReason.GEOFENCE_BLOCKED, now)

    def sound_failed(self, port: int, now: Instant) -> None:
        """Handle that the peer of a port of the relay is not played its sound after all."""
        media = self.services.media
        leg = None if media is None else media.sound_failed(port)
        live_call = None if leg is None else self._calls.get(leg.call.arrival.call_id)
        if live_call is None:
            return
        try:
            live_call.call.sound_failed(now)
        except Exception:  # noqa: BLE001  the same boundary as in ``handle``
            _log.exception("call_aborted", call_event="sound")
            self._abort(live_call.call, now)

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
            if not live_call.is_due(now):
                continue
            call = live_call.call
            try:
                call.deadline_due(now)
            except Exception:  # noqa: BLE001  the same boundary
                _log.exception("call_aborted", call_event="deadline")
                self._abort(call, now)

    def vendors_at(self, host: str) -> Sequence[RoutingGateway]:
        """Return the routing gateways that are configured at a host."""
        gateways = self.catalogue.routing_gateways
        return [gateways[name] for name in self.vendor_hosts.get(host, ()) if name in gateways]

    # -- people -------------------------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue for new calls."""
        return self.services.admission.catalogue

    @property
    def admission(self) -> Admission:
        """Admission of new calls, for ``explain --live``."""
        return self.services.admission

    def swap_catalogue(self, catalogue: Catalogue, changed: Iterable[Account] | None = None) -> None:
        """Use another catalogue for new calls; live calls keep the terms that they were admitted with.

        Every account of the catalogue must have a credit by now, except in the constructor. ``changed`` are the
        accounts whose terms may differ from those in force; None = all.
        """
        self.services.adopt(Admission(catalogue, self.live))
        self._refusals.adopt(self.services.admission)
        self.live.blocks.set(self._overrides, catalogue)
        self.services.attempts.keep(catalogue.routing_gateways)
        self.live.address_turns.keep(catalogue.routing_gateways.keys())
        self.live.quality.adjust(catalogue.parameters.quality_slice_ms, catalogue.parameters.quality_slices)
        self.live.quality.keep(catalogue.routing_gateways.keys())
        self.live.false_answers.adjust(catalogue.parameters.short_calls, catalogue.routing_gateways.keys())
        self.live.dynamic_lists.keep(catalogue.mapping_gateways.keys())
        self.live.pool_turns.keep(catalogue.number_pools.keys())
        self.live.turns.keep({catalogue.routes.plan.name, *catalogue.plans}, catalogue.routing_gateways.keys())
        self.notices.near_matches.catalogue = catalogue
        self.sources = catalogue.sources
        """The addresses that customers' calls come from."""
        self.vendor_hosts = self.notices.vendors = vendors_by_host(catalogue.routing_gateways.values())
        """Names of the routing gateways by the addresses that they have in the configuration."""
        vendors = (*catalogue.routing_gateways.values(), *catalogue.called_trunks.values())
        self._endpoint.pass_bodies(frozenset[str]().union(*(each.dialect.bodies for each in vendors)))
        parameters = catalogue.parameters
        self._intake.settings = settings = CallSettings(
            parameters.max_attempts, parameters.search_ms, parameters.challenges_max, parameters.dead_call_billing,
            parameters.charges_ringing,
        )  # fmt: skip
        self._intake.settings_by_plan = {
            name: replace(
                settings,
                max_attempts=table.plan.max_attempts or settings.max_attempts,
                search_ms=table.plan.search_ms or settings.search_ms,
            )
            for name, table in catalogue.plans.items()
            if table.plan.max_attempts is not None or table.plan.search_ms is not None
        }
        overridden = self._overrides.accounts()
        for account in catalogue.accounts.values() if changed is None else changed:
            credit = self.live.credits.get(account.id)
            if credit is not None and account.id not in overridden:
                credit.set_terms(account.overdraft_limit, account.balance_low)
        self._set_overdraft_limits(overridden)

    def relocate(self, catalogue: Catalogue) -> None:
        """Use the catalogue in force with other addresses of customers' names; live calls stay whose they are."""
        self.services.adopt(Admission(catalogue, self.live))
        self._refusals.adopt(self.services.admission)
        self.notices.near_matches.catalogue = catalogue
        self.sources = catalogue.sources

    def override(self, catalogue: Catalogue, overrides: Overrides) -> None:
        """Use the catalogue in force with other overridden values, and block what is to be blocked.

        Live calls keep the terms that they were admitted with, but what they hold of an account counts against its new
        overdraft limit.
        """
        self.services.adopt(Admission(catalogue, self.live))
        self.notices.near_matches.catalogue = catalogue
        self.live.blocks.set(overrides, catalogue)
        before, self._overrides = self._overrides, overrides
        self._set_overdraft_limits(before.accounts() | overrides.accounts())

    def describe(self, call_id: str) -> Description:
        """Describe an answered call as it is now, for the switch that goes on with it after a crash."""
        live_call = self._calls.get(call_id)
        return UNDESCRIBED if live_call is None else described(live_call, self.services)

    def open_doors(self, now: Instant) -> None:
        """Let the messages leave that wait to be sent, before the calls are described for another process."""
        if self._endpoint.doors is not None:
            self._endpoint.doors.open(now)

    def keep(self) -> KeptSwitch:
        """Describe all live calls and the endpoint for the next process, which goes on with them."""
        return kept_switch(self._endpoint, self.services)

    def resume(self, remains: Remains, now: Instant) -> Resumed:
        """Go on with the answered calls of an earlier process; those that cannot be continued stay in ``remains``."""
        resumption = Resumption(self._endpoint, self.services, self._intake, self._intake.settings, now)
        return resumption.run(remains)

    def report_calls(self, reporter: CallReporter | None) -> None:
        """Have a reporter receive each change of the state of a call from now on; None = no one."""
        self.services.reporter = self._refusals.reporter = reporter

    def report_closed(self, closed: ClosedCalls) -> None:
        """Report the end of the calls of an earlier process that do not go on."""
        reporter = self.services.reporter
        if reporter is not None:
            for record in closed.lost:
                reporter.ended(record)
            for call_id in closed.unanswered:
                reporter.lost(call_id)

    @property
    def has_calls(self) -> bool:
        """Whether there are live calls."""
        return bool(self._calls)

    async def emptied(self) -> None:
        """Wait until there is no live call."""
        await self._calls.emptied()

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

    def snapshot(self) -> tuple[SavedSwitch, Sequence[Call]]:
        """Describe all live calls as data (ADR 39); return the calls beside that cannot be described."""
        return SavedSwitch.of(self._endpoint, self.services)

    def missing_for(self, saved: SavedSwitch) -> str | None:
        """Return a gateway or an account that a call needs and that is not configured; None if all are there."""
        known, credits = KnownObjects.of(self.catalogue), self.live.credits
        return next(filter(None, (each.missing(known, credits) for each in saved.calls)), None)

    def restore(self, saved: SavedSwitch, now: Instant) -> None:
        """Go on with the calls of another process; this switch has none yet, and the credits of all accounts.

        Questions that are open are asked again, with the deadlines that they had; INVITEs that waited to be sent are
        examined again. Nothing else is sent.

        Raises:
            NotRestoredError: some calls cannot be restored, such as one whose gateway is not in the catalogue; the
                switch has no calls then.
        """
        try:
            saved.restored(self._endpoint, self.services, self._intake)
        except Exception:
            self.forget_calls()
            raise
        for live_call in self._calls.all():
            if live_call.open_setup is not None:
                self._ask_again(live_call.call, live_call.open_setup, now)
            elif live_call.call.search is not None:
                for attempt in live_call.call.search.in_progress:
                    attempt.begin_again(now)

    def forget_calls(self) -> None:
        """Forget all calls, and what the endpoint has of them and beside them, because a start with them has failed.

        Nothing is sent, and no record is written: the journal of the earlier process still has them.
        """
        self._endpoint.clear()
        for live_call in self._calls.all():
            undo(live_call, self.services)

    def census(self) -> Mapping[Figure, int]:
        """Count calls, legs, dialogs, transactions, timers and holds, for ``vosd status``."""
        calls = self._calls.all()
        return {
            Figure.CALLS: len(calls),
            Figure.LEGS: sum(each.call.legs for each in calls),
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
        return {Figure.BLACKLIST_FORGOTTEN: self.live.dynamic_lists.forgotten}

    # -- inside -------------------------------------------------------------------------------------------------

    def _set_overdraft_limits(self, names: Iterable[str]) -> None:
        """Set the overdraft limits of accounts whose limit is, or was, overridden."""
        for name in names:
            credit, account = self.live.credits.get(name), self.catalogue.accounts.get(name)
            if credit is not None and account is not None:
                credit.set_terms(self._overrides.overdraft_limit(account), account.balance_low)

    def closed(self) -> Refusal | None:
        """Return the refusal of new calls while the switch stops, or cannot journal calls."""
        if not self.takes_calls:
            return Refusal(EndReason.SHUTDOWN, 503, "the switch is stopping")
        if self.services.sink.refuses_calls:
            return Refusal(EndReason.OVERLOAD, 503, "calls cannot be written to disk, or the database has lost some")
        return None

    def _ask_again(self, call: Call, setup: OpenSetup, now: Instant) -> None:
        ticket = setup.ticket
        try:
            answer = setup.ask_again()
        except Exception:  # noqa: BLE001  the same boundary as in ``handle``
            _log.exception("call_aborted", call_event="question")
            self._abort(call, now)
            return
        if answer is not None:
            self.take_answer(ticket, answer, now)

    def _abort(self, call: Call, now: Instant) -> None:
        """End a call that an error has left in an unknown state; it still leaves its record."""
        if call.state is not CallState.OVER:
            self._end(call, EndReason.LOST, now)

    def _end(self, call: Call, reason: EndReason, now: Instant) -> None:
        try:
            call.end(reason, now)
        except Exception:  # noqa: BLE001  the call is dropped, and leaves its record
            _log.exception("call_not_ended", call_id=call.arrival.call_id)
            if call.state is not CallState.OVER:
                call.drop(now)


def _call_of(event: Event) -> Call | None:
    """Return the call that an event belongs to; None if there is none yet."""
    if isinstance(event, InviteRefused | RegisterArrived | StandaloneArrived | UnknownSourceIgnored):
        return None
    owner: object = event.transaction.owner if isinstance(event, InviteArrived) else event.owner
    try:
        return owner.call if isinstance(owner, CallPart) else None
    except AttributeError:  # a leg whose constructor failed has no call
        return None
