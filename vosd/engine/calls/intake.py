"""New calls: INVITEs of customers, targets of their transfers, and phones that take over calls.

An admitted request becomes a ``LiveCall``; a refused one releases everything that its set-up has taken.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.call import Call
from vosd.b2bua.caller import Caller
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.extensions import extension_objection
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.hunt import Hunt
from vosd.b2bua.identity import CallerIdentity, caller_identity_of
from vosd.b2bua.invite_progress import Newcomer
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.connected import note_number
from vosd.b2bua.referral import leg_named_by
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.stamps import Arrival, kept_text
from vosd.b2bua.states import CallState
from vosd.b2bua.substitute import Substitute
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.ids import uuid7
from vosd.base.number import for_matching, without_separators
from vosd.callcontrol.access import origin_objection
from vosd.callcontrol.bookkeeping import answer_id, paid_in_vain_ms
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.invite_numbers import NUMBER_MAX, InviteNumbers
from vosd.callcontrol.media_outlook import between_families
from vosd.callcontrol.setup import Setup
from vosd.cdr.record import FORKED, Attempt
from vosd.engine.calls.late_answers import Tried, cost_of_late_answer
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.open_setup import OpenSetup
from vosd.engine.calls.refusals import Refusals
from vosd.engine.calls.services import CallServices, RunningCalls
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.family import family_of
from vosd.sip.dialog.session_wish import Wish, objection
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import InviteArrived
from vosd.sip.headers import phone_context
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.phone_context import number_of
from vosd.sip.headers.replaces import Replaces
from vosd.sip.screening import hops_left, own_branch
from vosd.sip.transaction.client import InviteClient
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CalleeSource, CallerDialect, CallerPrivacy, CallerSource, TransferDisplay
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.media import Encryption

PASSES_MAX: Final = 5
"""Calls that one INVITE may become before it comes back once more: ISDN counts as many diversions (ITU-T Q.732.2)."""


def sent_back(request: Request, branch: str, endpoint: Endpoint, running: RunningCalls) -> str | Refusal:
    """Return the id of the call of which a proxy has sent the INVITE back to another number; a refusal if it may not.

    ``branch`` is that of the INVITE as we have sent it.

    Raises:
        ParseError: the number cannot be read.
    """
    sent = endpoint.store.clients.get(f"{branch} INVITE")
    if not isinstance(sent, InviteClient) or not sent.is_wanted or not isinstance(sent.owner, GatewayAttempt):
        return Refusal(EndReason.LOOP, 482, "the call has come back after its end here")
    if _number(request.uri) == _number(sent.parts.uri):
        return Refusal(EndReason.LOOP, 482, "the call has come back with the number that was sent")
    if request.header("record-route") is None:
        # Requests of both calls would go from us to us, which no Contact may ask for (``Flows.is_ours``).
        return Refusal(EndReason.LOOP, 482, "a proxy has sent the call back to another number without Record-Route")
    call_id = sent.owner.call.arrival.call_id
    if sum(1 for _ in running.passed(call_id)) >= PASSES_MAX:
        return Refusal(EndReason.LOOP, 482, f"the call has come back {PASSES_MAX} times")
    return call_id


def _number(uri: str) -> str:
    return for_matching(without_separators(number_of(uri)))


class TransferNumbers:
    """The numbers of a call that a REFER asks for, for ``callcontrol.admission``."""

    __slots__ = ("_callee", "_caller", "context")

    is_withheld = False
    """The identity of the transferor says it."""

    def __init__(self, caller: str, callee: str) -> None:
        self._caller = caller
        self._callee, self.context = phone_context.read(callee)

    def called(self, _source: CalleeSource) -> str:
        """Return the number that the transferor has sent; raises ParseError."""
        if len(self._callee) > NUMBER_MAX:
            raise ParseError(484, Flaw.ADDRESS_INCOMPLETE)
        return self._callee

    def calling(self, _order: Iterable[CallerSource]) -> str:
        """Return the calling number that is presented to the target."""
        return self._caller

    def is_forwarded(self) -> bool:
        """Return False: who transfers a call has answered it."""
        return False

    def agent(self) -> None:
        """Return None: the call that is transferred has passed the rules."""

    def media_hosts(self) -> tuple[str, ...]:
        """Return none: that call has passed the rules."""
        return ()


class _Transferor(NamedTuple):
    """Side that transfers a call: where it is, its login, and its trunk or phone."""

    host: str
    port: int
    user: str
    """Empty = it is identified by its address."""
    trunk: MappingGateway | None
    arrival: Arrival
    """The call that is transferred, as if that side had made it, with the calling number that it knows."""
    caller_privacy: CallerPrivacy
    """Privacy of that number."""
    longest_s: int | None
    interim_s: int | None
    radius_classes: tuple[bytes, ...]


def _permitted(identity: CallerIdentity, display: str | None, call_request: CallRequest) -> CallerIdentity:
    """Return what of an identity the caller may say, withheld as its diversion asks if that has its number.

    ``display`` is the name of the header that has its number; None = that of From.
    """
    if display is not None:
        identity = identity.named(display)
    identity = identity.withheld_as(call_request.caller_privacy)
    own = None if call_request.mapping is None else call_request.mapping.caller_numbers
    return identity if own is None else identity.of_user(own.permits)


def _shown(transferor: _Transferor, substitute: Substitute) -> str:
    """Return the calling number that is presented to the target, by ``transfer_display`` of the transferor's trunk."""
    match substitute.dialect.transfer_display:
        case TransferDisplay.NUMBER:
            return substitute.dialect.transfer_number
        case TransferDisplay.PHONE:
            return _own_number(transferor.trunk, substitute.named) or transferor.arrival.caller_in
        case TransferDisplay.CALLER:
            return transferor.arrival.caller_in


def _own_number(trunk: MappingGateway | None, named: str) -> str:
    """Return the number of a transferor, whose address in the dialog is ``named``."""
    numbers = None if trunk is None else trunk.caller_numbers
    return _user_of(named) if numbers is None else numbers.own


def _user_of(named: str) -> str:
    """Return the user part of an address in a header; empty if it has none."""
    try:
        return phone_context.number_of(NameAddr.parse(named).uri)[:NUMBER_MAX]
    except ParseError:
        return ""


class Intake:
    """Admits calls and makes a ``LiveCall`` of each; ``closed`` returns why the switch accepts none."""

    def __init__(
        self,
        endpoint: Endpoint,
        services: CallServices,
        refusals: Refusals,
        entropy: Callable[[], bytes],
        *,
        closed: Callable[[], Refusal | None],
        settings: CallSettings,
    ) -> None:
        self._endpoint = endpoint
        self._services = services
        self._refusals = refusals
        self._entropy = entropy
        self._closed = closed
        self._has_both_families = len({":" in each.host for each in endpoint.flows.listeners}) > 1
        self.settings = settings
        self.settings_by_plan: Mapping[str, CallSettings] = {}
        """Settings of calls with a routing plan that has limits of its own, by name of the plan."""

    def take_invite(self, event: InviteArrived) -> None:
        """Make a call of an INVITE, or refuse it; raises ParseError where a header that is needed is malformed."""
        request, source, at = event.request, event.source, event.at
        if request.header("replaces") is not None:
            self._take_over(event)
            return
        services, identity = self._services, caller_identity_of(request)
        branch = own_branch(request, self._endpoint.flows.mark)
        back = sent_back(request, branch, self._endpoint, services.running) if branch else ""
        call_request = CallRequest(
            source_host=source.host,
            source_port=source.port,
            hops=hops_left(request),
            looped=back if isinstance(back, Refusal) else None,
            at=at,
            numbers=(numbers := InviteNumbers(request)),
            closed=self._closed(),
            user=event.user,
            longest_s=event.longest_s,
            interim_s=event.interim_s,
            radius_classes=event.radius_classes,
            required_types=request.required_types,
            media_family=family_of(request.body) if self._has_both_families else 0,
            sent_back_from="" if isinstance(back, Refusal) else back,
        )
        if not identity.is_simple:
            call_request.caller_privacy = identity.privacy
        call_id = uuid7(at.wall, self._entropy())
        setup = Setup(services.admission, call_request, iter(services.steps))
        try:
            outcome = setup.advance()
            call_request.numbers = None  # a call that lasts for hours need not keep the INVITE
            mapping, caller, callee = call_request.mapping, call_request.caller_in, call_request.callee_in
            came = at.came if at.waited_ms else at
            product = request.header("user-agent")
            kept = None if product is None else kept_text(product)
            arrival = Arrival(call_id, caller, callee, request.call_id, str(source), came, kept)
            if isinstance(outcome, Refusal) and call_request.fingerprints:
                services.live.replays.forget(call_request.fingerprints)
            if isinstance(outcome, Refusal) and not self._is_announced(call_request, outcome):
                self._refusals.refuse(event, arrival, call_request, outcome)
                return
            dialect, wish = CallerDialect() if mapping is None else mapping.dialect, Wish.of(request)
            unfit = extension_objection(request, wish, dialect)
            if unfit is not None:
                if call_request.fingerprints:
                    services.live.replays.forget(call_request.fingerprints)  # it may come again without that extension
                call_request.give_back()
                self._refusals.refuse_extension(event, arrival, call_request, *unfit)
                return
            if not identity.is_simple or numbers.display is not None:
                identity = _permitted(identity, numbers.display, call_request)
            calling = Caller.of_invite(
                self._endpoint, event.transaction, request, source, dialect, wish, event.user, identity,
                event.server_name,
            )  # fmt: skip
            calling.progress.identity_status = call_request.identity_status
            media, account = calling.leg.facts.media, call_request.account
            if media is not None and mapping is not None:
                media.settings = mapping.media
                media.customer = "" if mapping.is_phone else mapping.name
                media.recorded_share = 0 if account is None else account.record
        except Exception:
            call_request.give_back()
            raise
        call = self._make(arrival, calling, setup)
        if mapping is not None and mapping.numbers is not None and mapping.numbers.caller_drop:
            calling.leg.withhold_names()
        call.begin(at, outcome if isinstance(outcome, Refusal) else None)

    def _is_announced(self, call_request: CallRequest, refusal: Refusal) -> bool:
        """Return whether a refusal may be announced to the caller: then the refusal is that of a call."""
        media, mapping = self._services.media, call_request.mapping
        return (
            media is not None
            and mapping is not None
            and bool(media.sound_for(mapping.dialect.announcements, refusal.reason))
        )

    def book_late_answer(
        self, given_up: GivenUp, call_request: CallRequest, row: Attempt, now: Instant, ended_mono: int | None
    ) -> None:
        """Book what a vendor charges for its answer to an attempt that was given up.

        ``ended_mono`` is the end of the call for its vendor: its record may charge the attempt. None = it goes on, and
        pays another one. A further phone that answers is a call of its own.
        """
        services, call, arrival = self._services, given_up.call, given_up.call.arrival
        paid_ms = None
        if ended_mono is not None and row.reason != FORKED:
            paid_ms = paid_in_vain_ms(call.journey, ended_mono, given_up.sip_call_id)
        record_id = uuid7(now.wall, self._entropy())
        if given_up.fork:  # it may repeat its answer to the next process
            record_id = answer_id(arrival.at.wall, arrival.call_id, given_up.sip_call_id, given_up.fork)
            if services.sink.has_ended(record_id):
                return
        record = cost_of_late_answer(
            services.node,
            record_id,
            arrival,
            call_request,
            Tried(given_up.choice, given_up.sip_call_id, given_up.address, given_up.started_at),
            row,
            now,
            charged_from_invite=call.journey.invited_at is not None,
            paid_ms=paid_ms,
        )
        if record is not None:
            services.book(record)

    def place_transfer(
        self, first: Call, paid_by: CallRequest, substitute: Substitute, number: str, now: Instant, *, is_called: bool
    ) -> Call | int:
        """Set up the call to a transfer's target as if the transferor had made it; return a status if it is refused.

        ``paid_by`` is the request of the first call, to whose callee the transferor is if it ``is_called``. While a
        question is open the call is returned undecided.
        """
        if is_called:
            transferor = self._called_transferor(first, paid_by, substitute.named)
            credentials = None if transferor.trunk is None else transferor.trunk.credentials
            if credentials is not None and credentials.is_remote:
                return 403  # the servers of RADIUS permit and limit the calls of this side, and cannot be asked here
        else:
            transferor = self._transferor_of(first, paid_by)
        caller = _shown(transferor, substitute)
        if caller == transferor.arrival.caller_in:  # also where another phone has taken the call over since
            substitute.caller_identity = substitute.caller_identity.withheld_as(transferor.caller_privacy)
        call_request = CallRequest(
            source_host=transferor.host,
            source_port=transferor.port,
            hops=paid_by.hops - 1,  # ends the calls of two phones that move each other every call
            at=now,
            numbers=TransferNumbers(caller, number),
            closed=self._closed(),
            user=transferor.user,
            longest_s=transferor.longest_s,
            interim_s=transferor.interim_s,
            radius_classes=transferor.radius_classes,
            caller_privacy=substitute.caller_identity.privacy,
            media_family=family_of(substitute.offer) if self._has_both_families else 0,
        )
        setup = Setup(self._services.admission, call_request, iter(self._services.steps))
        outcome = setup.advance()
        call_request.numbers = None
        call_id, callee = uuid7(now.wall, self._entropy()), call_request.callee_in or number
        arrival = replace(transferor.arrival, call_id=call_id, caller_in=caller, callee_in=callee, at=now.came)
        if isinstance(outcome, Refusal):
            self._refusals.record(arrival, call_request, outcome)
            return outcome.status
        return self._make(arrival, substitute, setup)

    def _take_over(self, event: InviteArrived) -> None:
        """Let a phone of the same account take over a side of a running call (RFC 3891 section 3)."""
        request = event.request
        if request.comes_twice("replaces"):
            raise ParseError(400, Flaw.SEVERAL_REPLACES, request)
        replaces = Replaces.parse(request.header("replaces") or "")
        call, leg = leg_named_by(self._endpoint, replaces)
        newcomer = None if call is None or leg is None else self._may_replace(call, leg, event)
        if call is None or leg is None or newcomer is None:
            self._refusals.answer(event, 481, "")  # the calls of other customers must not be guessed
        elif self._is_refused_for_origin(call, newcomer, event):
            return
        elif call.state is CallState.TALKING and replaces.early_only:
            self._refusals.answer(event, 486, "")
        elif call.state is CallState.TALKING:
            self._begin_takeover(call, leg, newcomer, None, event)
        elif (choice := self._choice_of(leg, newcomer)) is not None:
            self._begin_takeover(call, leg, newcomer, choice, event)
        else:
            self._refusals.answer(event, 481, "")

    def _is_refused_for_origin(self, call: Call, newcomer: MappingGateway, event: InviteArrived) -> bool:
        """Refuse a newcomer in a country, or with an agent, that its own calls are refused for, as these are.

        Calls to emergency numbers are taken over from everywhere, as they are made.
        """
        admission, request, source, at = self._services.admission, event.request, event.source, event.at
        catalogue, numbers = admission.catalogue, InviteNumbers(request)
        account = catalogue.accounts[newcomer.account]
        running = self._services.running.get(call.arrival.call_id)
        dialled = for_matching(call.arrival.callee_in)
        called = {dialled} if running is None else {dialled, running.call_request.callee_billing}
        if any(map(catalogue.parameters.special_numbers.is_emergency, called)):
            return False
        refusal = origin_objection(source.host, newcomer, account, numbers, admission.live.country_of)
        if refusal is None:
            return False
        call_request = CallRequest(source.host, source.port, 0, at=at, user=event.user)
        call_request.mapping, call_request.account = newcomer, account
        caller, callee = numbers.calling(newcomer.dialect.caller_from), numbers.called()
        came = at.came if at.waited_ms else at
        arrival = Arrival(uuid7(at.wall, self._entropy()), caller, callee, request.call_id, str(source), came)
        self._refusals.refuse(event, arrival, call_request, refusal)
        return True

    def _transferor_of(self, first: Call, paid_by: CallRequest) -> _Transferor:
        """Return the side that transfers a call: the one that made it, or has taken it over from there (RFC 3891).

        It needs no proof, even if a reload has made its trunk require one.
        """
        caller, admitted, trunks = first.caller.inviter, paid_by.mapping, self._services.admission.catalogue
        newcomer = None if caller is None else caller.progress.newcomer
        if caller is None or newcomer is None:
            present = None if admitted is None else trunks.mapping_gateways.get(admitted.name)
            user = paid_by.user if present is None or not present.proves_itself else present.name
            return _Transferor(
                paid_by.source_host, paid_by.source_port, user, admitted, first.arrival, paid_by.caller_privacy,
                paid_by.longest_s, paid_by.interim_s, paid_by.radius_classes,
            )  # fmt: skip
        present = trunks.mapping_gateways.get(newcomer.trunk)
        arrival = replace(
            first.arrival,
            sip_call_id_in=caller.dialog.call_id,
            source_address=str(Peer(0, newcomer.host, newcomer.port)),
            caller_user_agent=None,
        )
        user = newcomer.trunk if present is None or present.proves_itself else ""
        asked = newcomer.longest_s, newcomer.interim_s, newcomer.radius_classes
        return _Transferor(newcomer.host, newcomer.port, user, present, arrival, paid_by.caller_privacy, *asked)

    def _called_transferor(self, first: Call, paid_by: CallRequest, named: str) -> _Transferor:
        """Return the called side that transfers a call: a phone, or a trunk that registers; it needs no proof.

        It is another customer: neither its record nor the target may have a calling number that it was not shown.
        """
        callee = first.callee
        dialog = None if callee is None else callee.leg.dialog
        if callee is None or dialog is None:
            raise RuntimeError(f"{first!r} has no callee")
        seen, name = dialog.seen_at, callee.trunk
        present = self._services.admission.catalogue.mapping_gateways.get(name)
        shown = "" if callee.choice.hides_caller else callee.choice.caller_out
        arrival = replace(
            first.arrival,
            caller_in=shown or _own_number(present, named),
            sip_call_id_in=dialog.call_id,
            source_address=str(Peer(0, seen.host, seen.port)),
            caller_user_agent=None if callee.progress.newcomer else first.journey.callee_user_agent,
        )
        user = name if present is None or present.proves_itself else ""
        privacy = paid_by.caller_privacy if shown else CallerPrivacy.SHOWN
        return _Transferor(seen.host, seen.port, user, present, arrival, privacy, None, None, ())

    def _may_replace(self, call: Call, leg: Leg, event: InviteArrived) -> MappingGateway | None:
        """Return the mapping gateway or phone that sends an INVITE, if it has the account of the leg to be replaced.

        One that is disabled or blocked, or whose account or an agent above it is, may not call, and takes no call over.
        It is found by login if it has one, else by address. The account of a vendor's leg is the vendor's.
        """
        catalogue, source = self._services.admission.catalogue, event.source
        gateways, choice = catalogue.mapping_gateways, leg.route_choice
        if choice is not None and not choice.gateway.is_phone:
            account = choice.gateway.account
        else:
            trunk = call.board.customer if choice is None else choice.gateway
            present = None if trunk is None else gateways.get(trunk.name)
            account = None if present is None else present.account
        payer = None if account is None else catalogue.accounts.get(account)
        if payer is None:
            return None  # none, or a reload has removed it
        blocks, agents = self._services.live.blocks, catalogue.agents.get(payer.id, ())
        if any(not each.enabled or each.id in blocks.accounts for each in (payer, *agents)):
            return None
        if event.user:
            senders = [gateways[event.user]] if event.user in gateways else []
        else:
            senders = [
                each
                for each in catalogue.sources.gateways_at(source.host)
                if not each.proves_itself and catalogue.sources.is_from(each.name, source.host, source.port)
            ]
        able = (each for each in senders if each.enabled and each.name not in blocks.callers)
        return next((each for each in able if each.account == account), None)

    def _choice_of(self, leg: Leg, newcomer: MappingGateway) -> RouteChoice | None:
        """Return the route to a phone that wants to pick up the call of one that rings; None = it may not."""
        phone, rings = self._services.admission.catalogue.routes.phone(newcomer.name), leg.route_choice
        if phone is None or rings is None or not rings.gateway.is_phone:
            return None
        return replace(rings, gateway=phone, limits=phone.shared_limits)

    def _has_common_media(self, call: Call, newcomer: MappingGateway, choice: RouteChoice, offer: bytes) -> bool:
        """Return whether a caller and a phone that picks its call up with an offer can exchange media.

        The offers of both are answers to each other: neither has keys for a party that has to encrypt.
        """
        customer = call.board.customer
        parties = (newcomer,) if customer is None else (newcomer, customer)
        if any(each.media.encryption is Encryption.REQUIRED for each in parties):
            return False
        family, other = family_of(call.caller.offer), family_of(offer)
        if not self._has_both_families or customer is None or 0 in (family, other) or family == other:
            return True
        media = self._services.admission.catalogue.parameters.media
        return between_families(media, customer, family, choice.gateway, other) is None

    def _is_reached(self, call: Call, replaced: Leg, offer: bytes) -> bool:
        """Return whether a phone that takes over a running call with an offer can exchange media with the far side.

        Media that are not relayed stay so, and cannot pass between IPv4 and IPv6.
        """
        if not self._has_both_families or call.callee is None or not call.conversation.may_be_transferred:
            return True
        far = call.conversation.bridge_to(call.callee).opposite(replaced)
        media = far.facts.media
        if media is not None and (media.origin or media.is_relayed):
            return True
        family, other = family_of(bytes(far.sessions.remote)), family_of(offer)
        return 0 in (family, other) or family == other

    def _begin_takeover(
        self, call: Call, replaced: Leg, newcomer: MappingGateway, choice: RouteChoice | None, event: InviteArrived
    ) -> None:
        """Begin a takeover; with ``choice`` of a call that rings."""
        dialect, wish = newcomer.dialect, Wish.of(event.request)
        refusal = objection(wish, dialect.session_timer)
        if refusal is not None:
            self._refusals.answer(event, *refusal)
            return
        identity, own = caller_identity_of(event.request), newcomer.caller_numbers
        if own is not None:
            identity = identity.of_user(own.permits)
        caller = Caller.of_invite(
            self._endpoint, event.transaction, event.request, event.source, dialect, wish, event.user, identity,
            event.server_name,
        )  # fmt: skip
        note_number(caller.leg, event.request, own)
        media = caller.leg.facts.media
        if media is not None:
            media.settings = newcomer.media
            media.customer = "" if newcomer.is_phone else newcomer.name
            account = self._services.admission.catalogue.accounts.get(newcomer.account)
            media.recorded_share = 0 if account is None else account.record
        caller.progress.newcomer = Newcomer(
            newcomer.name, event.source.host, event.source.port, event.interim_s, event.radius_classes, event.longest_s
        )
        caller.call = caller.leg.call = call
        caller.begin(event.at)
        if newcomer.drops_caller:
            caller.leg.withhold_names()
            caller.withhold_names()
        if caller.offer and call.board.media.is_media_blocked(caller.offer, b"", event.at):
            status = 403
        elif choice is not None and not self._has_common_media(call, newcomer, choice, caller.offer):
            status = 488  # the phone rings on
        elif choice is not None:
            status = 481 if call.search is None else call.search.pick_up(caller, replaced, choice, event.at)
        elif not self._is_reached(call, replaced, caller.offer):
            status = 488  # the call goes on without it
        else:
            status = 0 if call.conversation.take_over(caller, replaced, event.transaction, event.at) else 491
        if status:
            caller.reject(status, "", event.at)

    def _settings_of(self, call_request: CallRequest) -> CallSettings:
        mapping, account = call_request.mapping, call_request.account
        if mapping is None or account is None:
            return self.settings
        return self.settings_by_plan.get(mapping.routing_plan or account.routing_plan or "", self.settings)

    def _make(self, arrival: Arrival, caller: CallerSide, setup: Setup) -> Call:
        """Make the call of a set-up that is complete, or that waits for an answer."""
        services, call_request = self._services, setup.call_request
        live_call = LiveCall(services, self, arrival.call_id, call_request, services.admission.vendors)
        asks, endpoint = setup.asked is not None, self._endpoint
        hunt = Hunt(iter(()) if asks else call_request.choices, live_call, endpoint.flows)
        settings = self._settings_of(call_request) if self.settings_by_plan else self.settings
        call = Call(arrival, caller, hunt, call_request.hops, endpoint, live_call, settings, asks=asks)
        live_call.call = call
        if asks:
            live_call.open_setup = OpenSetup(
                setup, arrival.call_id, services.asker, services.unused_answers, live_call.set_deadline
            )
        services.running.add(arrival.call_id, live_call)
        return call
