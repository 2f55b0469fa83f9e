"""Snapshots of requests in progress between two legs: changes of the session, refreshes, INFOs."""

from typing import Final, Literal, TypeAlias

from vosd.b2bua.bridge import Bridge
from vosd.b2bua.call_port import CallPort
from vosd.b2bua.leg import Leg
from vosd.b2bua.refresh import ChangedAnswer, MediaHold, Refresh, WantedOffer
from vosd.b2bua.renegotiation import Introduction, Proposal, ProposalFacts, Renegotiation
from vosd.b2bua.snapshot.facts import facts_in, named
from vosd.b2bua.snapshot.references import LegReference, RestoredCalls
from vosd.b2bua.snapshot.session import NO_SESSION, SessionSnapshot
from vosd.b2bua.supervision import Supervision, SupervisionFacts
from vosd.b2bua.takeover import Takeover
from vosd.sip.endpoint import Endpoint
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.client_snapshot import (
    ClientSnapshot,
    InviteClientSnapshot,
    request_restored,
    request_snapshot,
)
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.transaction.server_snapshot import InviteServerSnapshot, ServerSnapshot
from vosd.sip.transaction.timer_snapshot import TimerSnapshot

AskedSnapshot: TypeAlias = ClientSnapshot | InviteClientSnapshot
AnsweredSnapshot: TypeAlias = ServerSnapshot | InviteServerSnapshot


def answered_snapshot(server: Server | InviteServer, endpoint: Endpoint) -> AnsweredSnapshot:
    """Describe the transaction of a request of a peer."""
    if isinstance(server, InviteServer):
        return InviteServerSnapshot.of(server, endpoint.flows)
    return ServerSnapshot.of(server, endpoint.flows)


def answered_restored(snapshot: AnsweredSnapshot, restoration: Restoration) -> Server | InviteServer:
    """Return the transaction of a request of a peer."""
    if isinstance(snapshot, ServerSnapshot):
        return restoration.once(snapshot)
    return restoration.once(snapshot)


def _asked(asked: Client | InviteClient | None, endpoint: Endpoint) -> AskedSnapshot | None:
    """Describe a request of ours; one that waits to be sent is lost with the process."""
    return None if asked is None or asked.is_unsent else request_snapshot(asked, endpoint.flows)


Kind: TypeAlias = Literal[
    "renegotiation", "refresh", "changed answer", "hold", "introduction", "takeover", "wanted offer"
]  # fmt: skip
KINDS: Final[dict[type[Proposal], Kind]] = {
    Renegotiation: "renegotiation",
    Refresh: "refresh",
    ChangedAnswer: "changed answer",
    MediaHold: "hold",
    Introduction: "introduction",
    Takeover: "takeover",
    WantedOffer: "wanted offer",
}


class ProposalSnapshot(ProposalFacts, kw_only=True, omit_defaults=True):
    """Snapshot of a change of the session in progress, or of a refresh."""

    kind: Kind
    far: LegReference
    offer: SessionSnapshot = NO_SESSION
    asked: AskedSnapshot | None = None
    alarm: TimerSnapshot | None = None
    said_before: SessionSnapshot = NO_SESSION
    origin: LegReference | None = None
    server: AnsweredSnapshot | None = None
    answers_in_ack: InviteClientSnapshot | None = None
    introduced: tuple[LegReference, LegReference] | None = None

    @classmethod
    def of(cls, proposal: Proposal, call: CallPort) -> "ProposalSnapshot":
        """Describe a proposal of which ``call`` takes part."""
        endpoint = call.endpoint
        said_before = proposal.said_before if isinstance(proposal, Renegotiation | ChangedAnswer) else b""
        origin, server, in_ack, introduced = None, None, None, None
        if isinstance(proposal, Renegotiation):
            origin, server = LegReference.to(proposal.origin, call), proposal.server
            in_ack = proposal.answers_in_ack
        elif isinstance(proposal, Introduction):
            introduced = LegReference.to(proposal.first, call), LegReference.to(proposal.second, call)
            in_ack = proposal.answers_in_ack
        return cls(
            kind=KINDS[type(proposal)],
            far=LegReference.to(proposal.far, call),
            offer=SessionSnapshot.of(proposal.offer),
            asked=_asked(proposal.asked, endpoint),
            alarm=TimerSnapshot.of(proposal.alarm, endpoint.store),
            said_before=SessionSnapshot.of(said_before),
            origin=origin,
            server=None if server is None else answered_snapshot(server, endpoint),
            answers_in_ack=None if in_ack is None else InviteClientSnapshot.of(in_ack, endpoint.flows),
            introduced=introduced,
            **named(proposal.facts),
        )

    def restored(self, call: CallPort, bridge: Bridge | None, calls: RestoredCalls) -> Proposal:
        """Return the proposal, with its transaction or its timer for the next try."""
        restoration = calls.restoration
        proposal = self._made(call, bridge, calls)
        asked = None if self.asked is None else request_restored(self.asked, restoration)
        if asked is not None:
            asked.owner = proposal
        proposal.facts = facts_in(self, ProposalFacts)
        proposal.asked = asked
        proposal.alarm = restoration.alarm(self.alarm, proposal)
        return proposal

    def _made(self, call: CallPort, bridge: Bridge | None, calls: RestoredCalls) -> Proposal:
        """Return a proposal of this kind, which has not been sent."""
        endpoint, far = calls.restoration.endpoint, calls.leg(self.far, call)
        offer, said_before = self.offer.restored(), self.said_before.restored()
        match self.kind:
            case "renegotiation" | "takeover" if self.origin is not None:
                return self._renegotiation(self.origin, call, bridge, calls)
            case "introduction" if self.introduced is not None:
                first, second = (calls.leg(each, call) for each in self.introduced)
                return Introduction(endpoint, bridge, first, second, far, offer, self._in_ack(calls))
            case "hold":
                return MediaHold(endpoint, far, offer, said_before)
            case "wanted offer":
                return WantedOffer(endpoint, far)
            case "changed answer":
                return ChangedAnswer(endpoint, bridge, far, offer, said_before)
            case "refresh" if far.supervision is not None:
                return Refresh(endpoint, far.supervision, far, self.method, offer)
        raise ValueError(f"a {self.kind} without what it is part of")

    def _in_ack(self, calls: RestoredCalls) -> InviteClient | None:
        return None if self.answers_in_ack is None else calls.restoration.once(self.answers_in_ack)

    def _renegotiation(
        self, origin: LegReference, call: CallPort, bridge: Bridge | None, calls: RestoredCalls
    ) -> Renegotiation:
        restoration, far, said_before = calls.restoration, calls.leg(self.far, call), self.said_before.restored()
        server = None if self.server is None else answered_restored(self.server, restoration)
        in_ack = self._in_ack(calls)
        if self.kind == "takeover":
            newcomer = calls.caller(origin, call)
            if isinstance(server, InviteServer):
                server.owner = newcomer
            return Takeover(
                restoration.endpoint, bridge, newcomer.call, newcomer, far, server, said_before=said_before,
                answers_in_ack=in_ack,
            )  # fmt: skip
        leg = calls.leg(origin, call)
        if isinstance(server, InviteServer):
            server.owner = leg
        return Renegotiation(
            restoration.endpoint, bridge, leg, far, server, method=self.method, offer=self.offer.restored(),
            said_before=said_before, answers_in_ack=in_ack,
        )  # fmt: skip


class SupervisionSnapshot(SupervisionFacts, kw_only=True, omit_defaults=True):
    """Snapshot of the supervision of one leg."""

    refresh: ProposalSnapshot | None = None
    options: ClientSnapshot | None = None

    @classmethod
    def of(cls, supervision: Supervision, call: CallPort) -> "SupervisionSnapshot":
        """Describe a supervision."""
        pending = supervision.pending
        return cls(
            refresh=ProposalSnapshot.of(pending, call) if isinstance(pending, Refresh) else None,
            options=(
                ClientSnapshot.of(pending, call.endpoint.flows)
                if isinstance(pending, Client) and not pending.is_unsent
                else None
            ),
            **named(supervision.facts),
        )

    def restored(self, leg: Leg, restoration: Restoration) -> Supervision:
        """Return the supervision; a refresh in progress is added when both legs are restored."""
        supervision = Supervision(restoration.endpoint, leg, facts_in(self, SupervisionFacts))
        if self.options is not None:
            supervision.pending = client = restoration.once(self.options)
            client.owner = supervision
        return supervision
