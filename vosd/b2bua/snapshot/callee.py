"""Snapshot of the leg of a vendor: an attempt in progress, or the one that was answered."""

from collections.abc import Mapping

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.callee_leg import CalleeLeg
from vosd.b2bua.callee_parts import Pracking
from vosd.b2bua.invitation import Invitation
from vosd.b2bua.snapshot.leg import LegSnapshot
from vosd.b2bua.snapshot.session import NO_SESSION, SessionSnapshot
from vosd.base.clock import Instant
from vosd.billing.rates import AppliedRate
from vosd.routing.pipeline import RouteChoice
from vosd.sip.dialog.snapshot import DialogSnapshot, PeerSnapshot, text_of
from vosd.sip.endpoint import Endpoint
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client_snapshot import InviteClientSnapshot, PartsSnapshot, dialog_with_login
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.wire.compose import encode
from vosd.trunks.gateways import Address, RoutingGateway
from vosd.trunks.scope import Limit

Gateways = Mapping[str, RoutingGateway]


class ChoiceSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Snapshot of a route: name of the gateway, outgoing numbers, and terms."""

    gateway: str
    prefix: str
    callee_out: bytes
    caller_out: bytes
    terms: AppliedRate | None
    is_last_resort: bool
    is_redirected: bool = False
    priority: int = 1
    weight: int = 100
    limits: tuple[Limit, ...] = ()
    routing_number: str = ""
    protect_times: tuple[int, ...] = ()

    @classmethod
    def of(cls, choice: RouteChoice) -> "ChoiceSnapshot":
        """Return the snapshot of a route."""
        terms = choice.terms
        if terms is not None and not isinstance(terms, AppliedRate):
            raise TypeError(f"{choice.gateway.name} has terms that cannot be written down")
        return cls(
            choice.gateway.name,
            choice.prefix,
            encode(choice.callee_out),
            encode(choice.caller_out),
            terms,
            choice.is_last_resort,
            choice.is_redirected,
            choice.priority,
            choice.weight,
            choice.limits,
            choice.routing_number,
            choice.protect_times,
        )

    def restored(self, gateways: Gateways) -> RouteChoice:
        """Return the route; raises KeyError if the gateway is no longer configured."""
        return RouteChoice(
            gateways[self.gateway],
            self.prefix,
            text_of(self.callee_out),
            text_of(self.caller_out),
            self.terms,
            self.is_last_resort,
            self.is_redirected,
            self.priority,
            self.weight,
            self.limits,
            routing_number=self.routing_number,
            protect_times=self.protect_times,
        )


class InvitationSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Snapshot of the INVITE of an attempt, which is sent again after 422."""

    parts: PartsSnapshot
    hops: int
    headers: bytes
    content: bytes
    body: bytes
    is_fixed: bool

    @classmethod
    def of(cls, invitation: Invitation, endpoint: Endpoint) -> "InvitationSnapshot":
        """Describe an INVITE."""
        parts = PartsSnapshot.of(invitation.parts, endpoint.flows)
        headers, content = encode(invitation.headers), encode(invitation.content)
        return cls(parts, invitation.hops, headers, content, invitation.body, invitation.is_fixed)

    def restored(self, restoration: Restoration) -> Invitation:
        """Return the INVITE."""
        parts, headers = self.parts.restored(restoration), text_of(self.headers)
        return Invitation(parts, self.hops, headers, text_of(self.content), self.body, self.is_fixed)


class EarlySnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of the fields of an attempt without a final response."""

    tag: str
    """Ours."""
    invitation: InvitationSnapshot | None = None
    dialogs: tuple[DialogSnapshot, ...] | None = None
    rseqs: tuple[tuple[bytes, int], ...] = ()
    """The latest number of a reliable response, by the tag of who sent it."""
    sessions: tuple[tuple[bytes, SessionSnapshot], ...] = ()
    pracking: tuple[DialogSnapshot, str] | None = None


class CalleeLegSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The leg of a vendor."""

    leg: LegSnapshot
    choice: ChoiceSnapshot
    peer: PeerSnapshot
    address: Address
    started_at: Instant
    invite: InviteClientSnapshot | None = None
    """Until its 2xx has its ACK."""
    early: EarlySnapshot | None = None
    speaker: bytes | None = None
    rang: bool = False
    rang_at: Instant | None = None
    tried_at: Instant | None = None
    answer: SessionSnapshot = NO_SESSION
    q850: int | None = None
    is_settled: bool = False
    acknowledged: bool = False

    @classmethod
    def of(cls, leg: CalleeLeg, call: Call) -> "CalleeLegSnapshot":
        """Describe a leg."""
        flows = call.endpoint.flows
        return cls(
            leg=LegSnapshot.of(leg, call, leg.invite_sequence),
            choice=ChoiceSnapshot.of(leg.choice),
            peer=PeerSnapshot.of(leg.peer, flows),
            address=leg._address,
            started_at=leg.started_at,
            invite=None if leg.is_acknowledged else InviteClientSnapshot.of(leg._transaction, flows),
            early=_early(leg, call.endpoint) if leg.dialog is None else None,
            speaker=None if leg._speaker is None else encode(leg._speaker),
            rang=leg.rang,
            rang_at=leg.rang_at,
            tried_at=leg.tried_at,
            answer=SessionSnapshot.of(leg.answer),
            q850=leg.q850,
            is_settled=leg.is_settled,
            acknowledged=leg.is_acknowledged,
        )

    def restored(self, call: Call, gateways: Gateways, restoration: Restoration) -> CalleeLeg:
        """Return the leg; responses and requests within its dialogs find it."""
        choice, early, endpoint = self.choice.restored(gateways), self.early or EarlySnapshot(""), restoration.endpoint
        leg = CalleeLeg(endpoint, call, choice, self.address, self.started_at)
        self.leg.restore(leg, restoration)
        described, pracking = self.leg.dialog, early.pracking
        dialog = None if described is None else restoration.dialog(described)
        tag = early.tag if dialog is None else dialog.local_tag
        forks = None if early.dialogs is None else [restoration.dialog(each) for each in early.dialogs]
        leg.restore_attempt(
            self._restored_invite(leg, restoration),
            self.peer.restored(restoration.flows),
            tag,
            invite_sequence=0 if self.invite is not None or described is None else described.invite_sequence,
            dialog=dialog,
            early=None if forks is None else {fork.remote_tag: fork for fork in forks},
            invitation=None if early.invitation is None else early.invitation.restored(restoration),
            received_rseq={text_of(tag): number for tag, number in early.rseqs} or None,
            pracking=None if pracking is None else Pracking(restoration.dialog(pracking[0]), pracking[1]),
            speaker=None if self.speaker is None else text_of(self.speaker),
            sessions={text_of(tag): session.restored() for tag, session in early.sessions} or None,
            rang=self.rang,
            rang_at=self.rang_at,
            tried_at=self.tried_at,
            answer=self.answer.restored(),
            q850=self.q850,
            is_settled=self.is_settled,
            acknowledged=self.acknowledged,
        )
        if dialog is not None or forks is not None:
            endpoint.adopt(tag, leg)
        return leg

    def _restored_invite(self, leg: CalleeLeg, restoration: Restoration) -> InviteClient:
        """Return the transaction of its INVITE; of one whose 2xx has its ACK only the number is left."""
        if self.invite is None:
            return restoration.endpoint.acknowledged_invite
        invite = restoration.invite_client(self.invite)
        invite.owner = leg if self.invite.is_live else None
        return invite


def _early(leg: CalleeLeg, endpoint: Endpoint) -> EarlySnapshot:
    flows, invitation, dialogs, pracking = endpoint.flows, leg._invitation, leg.forks, leg._pracking
    return EarlySnapshot(
        leg._tag,
        None if invitation is None else InvitationSnapshot.of(invitation, endpoint),
        None if not dialogs else tuple(dialog_with_login(each, flows) for each in dialogs.values()),
        tuple((encode(tag), number) for tag, number in (leg._received_rseq or {}).items()),
        tuple((encode(tag), SessionSnapshot.of(session)) for tag, session in (leg._sessions or {}).items()),
        None if pracking is None else (dialog_with_login(pracking.dialog, flows), pracking.rack),
    )
