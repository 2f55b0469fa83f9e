"""Snapshots of requests in progress between two legs: changes of the session, refreshes, INFOs."""

from typing import Final, Literal, TypeAlias

import msgspec

from vosd.b2bua.bridge import Bridge
from vosd.b2bua.call_port import CallPort
from vosd.b2bua.leg import Leg
from vosd.b2bua.refresh import ChangedAnswer, Hold, Refresh
from vosd.b2bua.renegotiation import Introduction, Proposal, Renegotiation
from vosd.b2bua.snapshot.references import LegReference, RestoredCalls
from vosd.b2bua.snapshot.session import NO_SESSION, SessionSnapshot
from vosd.b2bua.supervision import NEVER, Supervision
from vosd.b2bua.takeover import Takeover
from vosd.base.clock import Instant
from vosd.sip.endpoint import Endpoint
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.client_snapshot import ClientSnapshot, InviteClientSnapshot, request_snapshot
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.server_snapshot import InviteServerSnapshot, ServerSnapshot
from vosd.sip.transaction.snapshot import TimerSnapshot

AskedSnapshot: TypeAlias = ClientSnapshot | InviteClientSnapshot
AnsweredSnapshot: TypeAlias = ServerSnapshot | InviteServerSnapshot


def answered_snapshot(server: Server | InviteServer, endpoint: Endpoint) -> AnsweredSnapshot:
    """Describe the transaction of a request of a peer."""
    if isinstance(server, InviteServer):
        return InviteServerSnapshot.of(server, endpoint.flows)
    return ServerSnapshot.of(server, endpoint.flows)


Kind: TypeAlias = Literal["renegotiation", "refresh", "changed answer", "hold", "introduction", "takeover"]
KINDS: Final[dict[type[Proposal], Kind]] = {
    Renegotiation: "renegotiation",
    Refresh: "refresh",
    ChangedAnswer: "changed answer",
    Hold: "hold",
    Introduction: "introduction",
    Takeover: "takeover",
}


class ProposalSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of a change of the session in progress, or of a refresh."""

    kind: Kind
    far: LegReference
    method: str
    offer: SessionSnapshot = NO_SESSION
    asked: AskedSnapshot | None = None
    asked_at: Instant | None = None
    tries: int = 0
    alarm: TimerSnapshot | None = None
    is_cancelled: bool = False
    is_over: bool = False
    """Of a hold."""
    said_before: SessionSnapshot = NO_SESSION
    origin: LegReference | None = None
    server: AnsweredSnapshot | None = None
    answers_in_ack: InviteClientSnapshot | None = None
    introduced: tuple[LegReference, LegReference] | None = None

    @classmethod
    def of(cls, proposal: Proposal, call: CallPort) -> "ProposalSnapshot":
        """Describe a proposal of which ``call`` takes part."""
        endpoint = call.endpoint
        said_before = proposal._said_before if isinstance(proposal, Renegotiation | ChangedAnswer) else b""
        origin, server, in_ack, introduced = None, None, None, None
        if isinstance(proposal, Renegotiation):
            origin, server = LegReference.to(proposal.origin, call), proposal._server
            in_ack = proposal._answers_in_ack
        elif isinstance(proposal, Introduction):
            introduced = LegReference.to(proposal._first, call), LegReference.to(proposal._second, call)
        return cls(
            kind=KINDS[type(proposal)],
            far=LegReference.to(proposal.far, call),
            method=proposal._method,
            offer=SessionSnapshot.of(proposal._offer),
            asked=None if proposal._asked is None else request_snapshot(proposal._asked, endpoint.flows),
            asked_at=proposal._asked_at,
            tries=proposal._tries,
            alarm=TimerSnapshot.of(proposal._alarm, endpoint.store),
            is_cancelled=proposal._is_cancelled,
            is_over=isinstance(proposal, Hold) and proposal.is_over,
            said_before=SessionSnapshot.of(said_before),
            origin=origin,
            server=None if server is None else answered_snapshot(server, endpoint),
            answers_in_ack=None if in_ack is None else InviteClientSnapshot.of(in_ack, endpoint.flows),
            introduced=introduced,
        )

    def restored(self, call: CallPort, bridge: Bridge | None, calls: RestoredCalls) -> Proposal:
        """Return the proposal, with its transaction or its timer for the next try."""
        restoration = calls.restoration
        proposal = self._made(call, bridge, calls)
        asked = None if self.asked is None else restoration.asked(self.asked)
        if asked is not None:
            asked.owner = proposal
        proposal.restore(
            asked=asked,
            asked_at=self.asked_at,
            tries=self.tries,
            alarm=restoration.alarm(self.alarm, proposal),
            is_cancelled=self.is_cancelled,
        )
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
                return Introduction(endpoint, bridge, first, second, far, offer)
            case "hold":
                return Hold(endpoint, far, offer, said_before, is_over=self.is_over)
            case "changed answer":
                return ChangedAnswer(endpoint, bridge, far, offer, said_before)
            case "refresh" if far.supervision is not None:
                return Refresh(endpoint, far.supervision, far, self.method, offer)
        raise ValueError(f"a {self.kind} without what it is part of")

    def _renegotiation(
        self, origin: LegReference, call: CallPort, bridge: Bridge | None, calls: RestoredCalls
    ) -> Renegotiation:
        restoration, far, said_before = calls.restoration, calls.leg(self.far, call), self.said_before.restored()
        server = None if self.server is None else restoration.answered(self.server)
        in_ack = None if self.answers_in_ack is None else restoration.invite_client(self.answers_in_ack)
        leg = calls.leg(origin, call)
        if isinstance(server, InviteServer):
            server.owner = leg
        if self.kind == "takeover":
            newcomer = calls.caller_leg(origin, call)
            return Takeover(
                restoration.endpoint, bridge, newcomer.call, newcomer, far, server, said_before=said_before,
                answers_in_ack=in_ack,
            )  # fmt: skip
        return Renegotiation(
            restoration.endpoint, bridge, leg, far, server, method=self.method, offer=self.offer.restored(),
            said_before=said_before, answers_in_ack=in_ack,
        )  # fmt: skip


class SupervisionSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of the supervision of one leg."""

    began_at: Instant
    refresh_ms: int = NEVER
    due_ms: int = NEVER
    refresh: ProposalSnapshot | None = None
    options: ClientSnapshot | None = None
    tried_at: Instant | None = None
    failures: int = 0
    update_failed: bool = False

    @classmethod
    def of(cls, supervision: Supervision, call: CallPort) -> "SupervisionSnapshot":
        """Describe a supervision."""
        pending, endpoint = supervision.pending, call.endpoint
        return cls(
            supervision._began_at,
            supervision.refresh_ms,
            supervision.due_ms,
            ProposalSnapshot.of(pending, call) if isinstance(pending, Refresh) else None,
            ClientSnapshot.of(pending, endpoint.flows) if isinstance(pending, Client) else None,
            supervision._tried_at,
            supervision._failures,
            supervision.update_failed,
        )

    def restored(self, leg: Leg, restoration: Restoration) -> Supervision:
        """Return the supervision; a refresh in progress is added when both legs are restored."""
        supervision = Supervision(
            restoration.endpoint,
            leg,
            self.began_at,
            refresh_ms=self.refresh_ms,
            due_ms=self.due_ms,
            tried_at=self.tried_at,
            failures=self.failures,
            update_failed=self.update_failed,
        )
        if self.options is not None:
            client = restoration.client(self.options)
            client.owner = supervision
            supervision.wait(client)
        return supervision
