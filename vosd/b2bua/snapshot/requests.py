"""What is under way between two legs, as data: changes of the session, refreshes, INFOs."""

from typing import Literal, TypeAlias

import msgspec

from vosd.b2bua.bridge import Bridge
from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.refresh import ChangedAnswer, Refresh
from vosd.b2bua.renegotiation import Proposal, Renegotiation
from vosd.b2bua.snapshot.session import NO_SESSION, SessionSnapshot
from vosd.b2bua.supervision import Supervision
from vosd.base.clock import Instant
from vosd.base.errors import VosError
from vosd.sip.endpoint import Endpoint
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.client_snapshot import ClientSnapshot, InviteClientSnapshot
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.server_snapshot import InviteServerSnapshot, ServerSnapshot
from vosd.sip.transaction.snapshot import TimerSnapshot

LegName: TypeAlias = Literal["caller", "callee"]
AskedSnapshot: TypeAlias = ClientSnapshot | InviteClientSnapshot
AnsweredSnapshot: TypeAlias = ServerSnapshot | InviteServerSnapshot


class NoSnapshotError(VosError):
    """A call takes part in something that is not written down: a transfer, or its caller is being replaced."""


def asked_snapshot(client: Client | InviteClient, endpoint: Endpoint) -> AskedSnapshot:
    """Describe the transaction of a request of ours."""
    if isinstance(client, InviteClient):
        return InviteClientSnapshot.of(client, endpoint.flows)
    return ClientSnapshot.of(client, endpoint.flows)


def answered_snapshot(server: Server | InviteServer, endpoint: Endpoint) -> AnsweredSnapshot:
    """Describe the transaction of a request of a peer."""
    if isinstance(server, InviteServer):
        return InviteServerSnapshot.of(server, endpoint.flows)
    return ServerSnapshot.of(server, endpoint.flows)


def leg_name(call: Call, leg: Leg) -> LegName:
    """Return which leg of a call it is; raises NoSnapshotError for one of another call."""
    if leg is call.caller.leg:
        return "caller"
    if leg is call.callee:
        return "callee"
    raise NoSnapshotError(f"{call!r} has joined another call")


def named_leg(call: Call, name: LegName) -> Leg:
    """Return the leg of that name."""
    leg = call.caller.leg if name == "caller" else call.callee
    if leg is None:
        raise TypeError(f"{call!r} has no {name}")
    return leg


class ProposalSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the session that is under way, or a refresh."""

    kind: Literal["renegotiation", "refresh", "news"]
    far: LegName
    method: str
    offer: SessionSnapshot = NO_SESSION
    asked: AskedSnapshot | None = None
    asked_at: Instant | None = None
    tries: int = 0
    alarm: TimerSnapshot | None = None
    is_cancelled: bool = False
    said_before: SessionSnapshot = NO_SESSION
    server: AnsweredSnapshot | None = None
    answers_in_ack: InviteClientSnapshot | None = None

    @classmethod
    def of(cls, proposal: Proposal, call: Call) -> "ProposalSnapshot":
        """Describe a proposal within one call.

        Raises:
            NoSnapshotError: it belongs to a transfer.
        """
        endpoint = call.endpoint
        said_before, server, in_ack = b"", None, None
        kind: Literal["renegotiation", "refresh", "news"]
        if type(proposal) is Renegotiation:
            kind, said_before, server, in_ack = "renegotiation", proposal._said_before, proposal._server, None
            in_ack = proposal._answers_in_ack
        elif type(proposal) is ChangedAnswer:
            kind, said_before = "news", proposal._said_before
        elif type(proposal) is Refresh:
            kind = "refresh"
        else:
            raise NoSnapshotError(f"{call!r} is joined with another call, or its caller replaced")
        return cls(
            kind,
            leg_name(call, proposal.far),
            proposal._method,
            SessionSnapshot.of(proposal._offer),
            None if proposal._asked is None else asked_snapshot(proposal._asked, endpoint),
            proposal._asked_at,
            proposal._tries,
            TimerSnapshot.of(proposal._alarm, endpoint.store),
            proposal._is_cancelled,
            SessionSnapshot.of(said_before),
            None if server is None else answered_snapshot(server, endpoint),
            None if in_ack is None else InviteClientSnapshot.of(in_ack, endpoint.flows),
        )

    def restored(
        self, call: Call, bridge: Bridge | None, supervision: Supervision | None, restoration: Restoration
    ) -> Proposal:
        """Go on with it: its answer is waited for, or its time to ask again."""
        far = named_leg(call, self.far)
        proposal: Proposal
        if self.kind == "renegotiation" and bridge is not None:
            proposal = self._renegotiation(far, bridge, restoration)
        elif self.kind == "news":
            proposal = ChangedAnswer.__new__(ChangedAnswer)
            proposal._said_before = self.said_before.restored()
        elif supervision is not None:
            proposal = Refresh.__new__(Refresh)
            proposal._supervision = supervision
        else:
            raise ValueError(f"a {self.kind} without what it is part of")
        proposal.far = far
        proposal._endpoint = restoration.endpoint
        proposal._bridge = bridge
        proposal._method = self.method
        proposal._offer = self.offer.restored()
        proposal._asked_at = self.asked_at
        proposal._tries = self.tries
        proposal._is_cancelled = self.is_cancelled
        proposal._alarm = restoration.alarm(self.alarm, proposal)
        proposal._asked = None
        if self.asked is not None:
            proposal._asked = restoration.asked(self.asked)
            proposal._asked.owner = proposal
        return proposal

    def _renegotiation(self, far: Leg, bridge: Bridge, restoration: Restoration) -> Renegotiation:
        proposal = Renegotiation.__new__(Renegotiation)
        proposal.origin = bridge.opposite(far)
        proposal._said_before = self.said_before.restored()
        proposal._server = None if self.server is None else restoration.answered(self.server)
        if isinstance(proposal._server, InviteServer):
            proposal._server.owner = proposal.origin
        in_ack = self.answers_in_ack
        proposal._answers_in_ack = None if in_ack is None else restoration.invite_client(in_ack)
        return proposal


class SupervisionSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What looks after the session of one leg."""

    began_at: Instant
    alarm: TimerSnapshot | None = None
    refresh: ProposalSnapshot | None = None
    options: ClientSnapshot | None = None
    tried_at: Instant | None = None
    failures: int = 0
    update_failed: bool = False

    @classmethod
    def of(cls, supervision: Supervision, call: Call) -> "SupervisionSnapshot":
        """Describe a supervision."""
        pending, endpoint = supervision._pending, call.endpoint
        return cls(
            supervision._began_at,
            TimerSnapshot.of(supervision._alarm, endpoint.store),
            ProposalSnapshot.of(pending, call) if isinstance(pending, Refresh) else None,
            ClientSnapshot.of(pending, endpoint.flows) if isinstance(pending, Client) else None,
            supervision._tried_at,
            supervision._failures,
            supervision.update_failed,
        )

    def restored(self, leg: Leg, restoration: Restoration) -> Supervision:
        """Go on with it; a refresh that is under way is added when both legs are there."""
        supervision = Supervision(restoration.endpoint, leg, self.began_at)
        supervision._alarm = restoration.alarm(self.alarm, supervision)
        supervision._tried_at = self.tried_at
        supervision._failures = self.failures
        supervision.update_failed = self.update_failed
        if self.options is not None:
            client = restoration.client(self.options)
            client.owner = supervision
            supervision._pending = client
        return supervision
