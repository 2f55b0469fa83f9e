"""Snapshot of a whole call: state, history, both legs and the requests between them."""

from collections.abc import Iterable, Mapping
from copy import copy

import msgspec

from vosd.b2bua.boards import NextHop
from vosd.b2bua.call import Call, CallBoard
from vosd.b2bua.call_port import CallPort
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.hunt import Hunt
from vosd.b2bua.information import Information
from vosd.b2bua.leg import Leg
from vosd.b2bua.lifetime import Granted, Lifetime
from vosd.b2bua.ports import Switchboard
from vosd.b2bua.refresh import Refresh
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.snapshot.callee import CalleeLegSnapshot, ChoiceSnapshot, Gateways
from vosd.b2bua.snapshot.information import InformationSnapshot, is_late
from vosd.b2bua.snapshot.leg import CallerLegSnapshot, DialectOf, LegSnapshot, customer_of, forwarded_in
from vosd.b2bua.snapshot.references import NoSnapshotError, RestoredCalls, newcomer_of
from vosd.b2bua.snapshot.transfer import BridgeSnapshot, SubstituteSnapshot, TransferSnapshot
from vosd.b2bua.stamps import NO_ATTEMPT, Arrival, Journey, JourneyFacts, LatestAttempt
from vosd.b2bua.states import CallState
from vosd.base.clock import Instant
from vosd.base.text import as_received, portable
from vosd.cdr.record import Attempt
from vosd.routing.failover import AttemptOutcome
from vosd.routing.pipeline import RouteChoice
from vosd.sip.endpoint import Endpoint
from vosd.sip.headers.name_addr import tag_of
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.client_snapshot import InviteClientSnapshot
from vosd.trunks.gateways import Address

Requests = Iterable[Client | InviteClient]
NextHopSnapshot = tuple[ChoiceSnapshot, Address]


def requests_by_call(endpoint: Endpoint) -> Mapping[CallPort, Requests]:
    """Return the requests that are known to their transactions alone: INFOs that were passed on, attempts given up."""
    found: dict[CallPort, list[Client | InviteClient]] = {}
    for client in endpoint.store.clients.values():
        if isinstance(client, InviteClient):
            if isinstance(client.witness, GivenUp):
                found.setdefault(client.witness.call, []).append(client)
        elif isinstance(client.owner, Information) and not is_late(client.owner):
            found.setdefault(client.owner.call, []).append(client)
    return found


class JourneySnapshot(JourneyFacts, omit_defaults=True):
    """History of a call so far."""

    attempts: tuple[Attempt, ...] = ()
    choice: ChoiceSnapshot | None = None
    sip_call_ids_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, journey: Journey) -> "JourneySnapshot":
        """Describe a journey."""
        stamps = msgspec.structs.asdict(journey)
        stamps["attempts"], stamps["sip_call_ids_out"] = tuple(journey.attempts), tuple(journey.sip_call_ids_out)
        stamps["choice"] = None if journey.choice is None else ChoiceSnapshot.of(journey.choice)
        return portable(cls(**stamps))

    def restored(self, gateways: Gateways) -> Journey:
        """Return the journey; its text is as it was received."""
        stamps, choice = msgspec.structs.asdict(self), self.choice
        stamps["attempts"], stamps["sip_call_ids_out"] = list(self.attempts), list(self.sip_call_ids_out)
        stamps["choice"] = None if choice is None else choice.restored(gateways)
        return Journey(**stamps)


class HuntSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The search for a gateway."""

    choices: tuple[ChoiceSnapshot, ...] = ()
    next_hops: tuple[NextHopSnapshot, ...] = ()
    has_responded: str | None = None
    latest: NextHopSnapshot | None = None
    named: tuple[tuple[str, ...], ...] | None = None
    stays: bool = False
    outcomes: tuple[AttemptOutcome, ...] = ()
    refused_number: str | None = None
    is_refused: bool = False
    together_from: int | None = None
    is_reached: bool = False
    phones_tried: int = 0
    phones_until_ms: int = 0

    @classmethod
    def of(cls, hunt: Hunt) -> "HuntSnapshot":
        """Describe a search; the gateways that remain are judged now, not when their turn comes."""
        described = cls(
            tuple(map(ChoiceSnapshot.of, hunt.remaining())),
            tuple((ChoiceSnapshot.of(choice), address) for choice, address in hunt.next_hops),
            hunt.responding,
            None if hunt.latest is None else (ChoiceSnapshot.of(hunt.latest[0]), hunt.latest[1]),
            None if hunt.named is None else tuple(sorted(hunt.named)),
            hunt.stays,
            tuple(hunt.outcomes),
            hunt.refused_number,
            hunt.is_refused,
            hunt.together_from,
            hunt.is_reached,
            hunt.phones_tried,
            hunt.phones_until_ms,
        )
        return portable(described)

    def restored(self, board: Switchboard, gateways: Gateways, restoration: Restoration) -> Hunt:
        """Return the search; gateways that are gone are left out."""
        it = as_received(self)
        known = [choice.restored(gateways) for choice in it.choices if choice.gateway in gateways]
        latest = _next_hops(() if it.latest is None else (it.latest,), gateways)
        hunt = Hunt(iter(known), board, restoration.flows)
        hunt.next_hops = _next_hops(it.next_hops, gateways)
        hunt.responding = it.has_responded
        hunt.refused_number = it.refused_number
        hunt.latest = latest[0] if latest else None
        hunt.named = None if it.named is None else set(it.named)
        hunt.stays = it.stays
        hunt.is_refused = it.is_refused
        hunt.together_from = it.together_from
        hunt.is_reached = it.is_reached
        hunt.phones_tried = it.phones_tried
        hunt.phones_until_ms = it.phones_until_ms
        hunt.outcomes = list(it.outcomes)
        return hunt


def _route(choice: ChoiceSnapshot | None, gateways: Gateways) -> RouteChoice | None:
    """Return the route of an attempt that is over; None where its gateway is gone, and its terms with it."""
    return None if choice is None or choice.gateway not in gateways else choice.restored(gateways)


def _next_hops(described: Iterable[NextHopSnapshot], gateways: Gateways) -> list[NextHop]:
    """Return next hops; those of the same choice share it, for ``Hunt`` compares choices by identity."""
    known = [(choice, address) for choice, address in described if choice.gateway in gateways]
    choices = {choice: choice.restored(gateways) for choice in dict.fromkeys(choice for choice, _ in known)}
    return [(choices[choice], address) for choice, address in known]


def _described(latest: LatestAttempt) -> JourneySnapshot | None:
    """Return an attempt as the part of a journey that it is; None for none."""
    choice, sip_call_id, address, product = latest
    if latest == NO_ATTEMPT:
        return None
    return portable(
        JourneySnapshot(
            choice=None if choice is None else ChoiceSnapshot.of(choice),
            foremost_call_id=sip_call_id,
            destination_address=address,
            callee_user_agent=product,
        )
    )


def _attempt_in(journey: JourneySnapshot | None, gateways: Gateways) -> LatestAttempt:
    if journey is None:
        return NO_ATTEMPT
    choice = _route(journey.choice, gateways)
    return choice, journey.foremost_call_id, journey.destination_address, journey.callee_user_agent


class GivenUpSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """An attempt that was given up, and may be answered all the same."""

    invite: InviteClientSnapshot
    gateway: str
    started_at: Instant
    pdd_ms: int | None
    choice: ChoiceSnapshot | None = None
    """An earlier version writes none."""
    address: str = ""


class RefusedSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """An attempt that was refused, and which another fork may answer all the same."""

    tag: str
    gateway: str
    sip_call_id: str
    address: str
    started_at: Instant
    pdd_ms: int | None
    choice: ChoiceSnapshot | None

    @classmethod
    def of(cls, attempt: GivenUp) -> "RefusedSnapshot":
        """Describe an attempt."""
        choice = None if attempt.choice is None else ChoiceSnapshot.of(attempt.choice)
        return cls(
            attempt.tag,
            attempt.gateway,
            attempt.sip_call_id,
            attempt.address,
            attempt.started_at,
            attempt.pdd_ms,
            choice,
        )

    def restored(self, call: Call, gateways: Gateways) -> GivenUp:
        """Return the attempt of a call."""
        choice = _route(self.choice, gateways)
        return GivenUp(
            call, self.gateway, choice, self.sip_call_id, self.address, self.started_at, self.pdd_ms, self.tag
        )


class CallPartsSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parts of one call."""

    arrival: Arrival
    hops: int
    state: CallState
    settings: CallSettings
    journey: JourneySnapshot
    caller: CallerLegSnapshot | None = None
    substitute: SubstituteSnapshot | None = None
    """In place of the caller, once it has left by a transfer."""
    newcomer: CallerLegSnapshot | None = None
    """The caller that is about to replace the present one (RFC 3891)."""
    callee: CalleeLegSnapshot | None = None
    beside: tuple[CalleeLegSnapshot, ...] = ()
    """Attempts in progress beside it."""
    bridge: BridgeSnapshot | None = None
    hunt: HuntSnapshot | None = None
    """Until a gateway has answered."""
    lifetime: Granted | None = None
    transfer: TransferSnapshot | None = None
    informations: tuple[InformationSnapshot, ...] = ()
    given_up: tuple[GivenUpSnapshot, ...] = ()
    refused: tuple[RefusedSnapshot, ...] = ()
    to_forward: bytes = b""
    """The latest response to an INVITE of ours, until the caller is answered."""
    latest_sent: JourneySnapshot | None = None
    """Route, Call-ID, address and product of the attempt before the latest one."""
    joined: str = ""
    """Id of the call that it is joined with by a transfer; empty = there is none."""

    @classmethod
    def of(cls, call: Call, requests: Requests) -> "CallPartsSnapshot":
        """Describe a call; ``requests`` are those of ``requests_by_call``.

        Raises:
            NoSnapshotError: it is over.
        """
        if call.state is CallState.OVER:
            raise NoSnapshotError(f"{call!r} is over")
        callee, search, endpoint, newcomer = call.callee, call.search, call.endpoint, newcomer_of(call)
        joined = call.conversation.joined
        informations, given_up = [], []
        for client in requests:
            if isinstance(client, InviteClient) and isinstance(client.witness, GivenUp):
                given_up.append(_given_up(client, client.witness, endpoint))
            elif isinstance(client, Client) and isinstance(client.owner, Information):
                informations.append(InformationSnapshot.of(client, client.owner, call))
        return cls(
            arrival=portable(call.arrival),
            hops=0 if search is None else search.hops,
            state=call.state,
            settings=call.settings,
            journey=JourneySnapshot.of(call.journey),
            caller=None if call.caller.inviter is None else CallerLegSnapshot.of(call.caller.inviter, call),
            substitute=SubstituteSnapshot.of(call.caller) if call.caller.inviter is None else None,
            newcomer=None if newcomer is None else CallerLegSnapshot.of(newcomer, call),
            callee=None if callee is None else CalleeLegSnapshot.of(callee, call),
            beside=() if search is None else tuple(CalleeLegSnapshot.of(each, call) for each in search.beside),
            bridge=None if call.conversation.bridge is None else BridgeSnapshot.of(call.conversation.bridge, call),
            hunt=None if search is None else HuntSnapshot.of(search.hunt),
            lifetime=None if call.lifetime is None else copy(call.lifetime.granted),
            transfer=None if call.conversation.transfer is None else TransferSnapshot.of(call.conversation.transfer),
            informations=tuple(informations),
            given_up=tuple(given_up),
            refused=tuple(map(RefusedSnapshot.of, call.refused)),
            to_forward=b"" if call.conversation.to_forward is None else call.conversation.to_forward.raw,
            latest_sent=None if search is None else _described(search.latest_sent),
            joined="" if joined is None else joined.arrival.call_id,
        )

    def as_received(self) -> "CallPartsSnapshot":
        """Return it with the text of arrival and journey as it was received."""
        latest_sent = None if self.latest_sent is None else as_received(self.latest_sent)
        arrival, journey = as_received(self.arrival), as_received(self.journey)
        return msgspec.structs.replace(self, arrival=arrival, journey=journey, latest_sent=latest_sent)

    def restored(self, board: CallBoard, dialect_of: DialectOf, gateways: Gateways, calls: RestoredCalls) -> Call:
        """Return the call with its legs; ``connect`` restores the requests between them.

        The text of arrival and journey is as it was received.
        """
        restoration, arrival, call_id = calls.restoration, self.arrival, self.arrival.call_id
        hunt = None if self.hunt is None else self.hunt.restored(board, gateways, restoration)
        caller = self._restored_caller(board, dialect_of, calls)
        call = Call(arrival, caller, hunt, self.hops, restoration.endpoint, board, self.settings)
        call.state = self.state
        call.conversation.to_forward = forwarded_in(self.to_forward)
        call.journey = self.journey.restored(gateways)
        call.lifetime = None if self.lifetime is None else Lifetime(board, copy(self.lifetime))
        call.callee = None if self.callee is None else self.callee.restored(call, dialect_of, gateways, restoration)
        if call.search is not None:
            call.search.beside = tuple(each.restored(call, dialect_of, gateways, restoration) for each in self.beside)
            call.search.latest_sent = _attempt_in(self.latest_sent, gateways)
        for attempt in self.refused:
            attempt.restored(call, gateways).keep()
        calls.calls[call_id] = call
        calls.given_up[call_id] = [_route(each.choice, gateways) for each in self.given_up]
        if self.newcomer is not None:
            calls.newcomers[call_id] = newcomer = self.newcomer.restored(board, dialect_of, restoration)
            newcomer.call = newcomer.leg.call = call
        return call

    def _restored_caller(self, board: Switchboard, dialect_of: DialectOf, calls: RestoredCalls) -> CallerSide:
        if self.caller is not None:
            return self.caller.restored(board, dialect_of, calls.restoration)
        if self.substitute is None:
            raise ValueError("a call without a calling side")
        return self.substitute.restored(dialect_of(customer_of(board)))

    def connect(self, calls: RestoredCalls) -> None:
        """Restore bridge, transfer and requests between the legs of the call, or of two calls that are joined."""
        call, restoration = calls.calls[self.arrival.call_id], calls.restoration
        if self.bridge is not None:
            call.conversation.bridge = self.bridge.restored(call, calls)
        if self.joined:
            call.conversation.joined = calls.calls[self.joined]
        if self.transfer is not None:
            call.conversation.transfer = self.transfer.restored(calls)
        for side, leg in (
            (self.caller, call.caller.leg),
            (self.callee, None if call.callee is None else call.callee.leg),
        ):
            if side is not None and leg is not None:
                _restore_refresh(side.leg, leg, calls)
        for information in self.informations:
            information.restored(call, calls)
        for each, choice in zip(self.given_up, calls.given_up[self.arrival.call_id], strict=True):
            client = restoration.once(each.invite)
            client.witness = GivenUp(
                call,
                each.gateway,
                choice,
                client.parts.call_id,
                each.address,
                each.started_at,
                each.pdd_ms,
                tag_of(client.parts.from_),
            )


def _given_up(client: InviteClient, witness: GivenUp, endpoint: Endpoint) -> GivenUpSnapshot:
    invite, choice = InviteClientSnapshot.of(client, endpoint.flows), witness.choice
    return GivenUpSnapshot(
        invite,
        witness.gateway,
        witness.started_at,
        witness.pdd_ms,
        None if choice is None else ChoiceSnapshot.of(choice),
        witness.address,
    )


def _restore_refresh(snapshot: LegSnapshot, leg: Leg, calls: RestoredCalls) -> None:
    """Go on with a refresh of a leg's session that is under way."""
    if leg.supervision is not None and snapshot.supervision is not None and snapshot.supervision.refresh is not None:
        refresh = snapshot.supervision.refresh.restored(leg.call, None, calls)
        if isinstance(refresh, Refresh):
            leg.supervision.pending = refresh
