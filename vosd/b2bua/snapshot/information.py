"""Snapshots of INFOs that wait for the other side's answer: of live calls, and of calls that have ended since."""

import msgspec

from vosd.b2bua.call_port import CallPort
from vosd.b2bua.information import Information
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import of_response
from vosd.b2bua.renegotiation import status_for_origin
from vosd.b2bua.snapshot.references import LegReference, RestoredCalls, is_present
from vosd.base.clock import Instant
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.client_snapshot import ClientSnapshot
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.server_snapshot import ServerSnapshot


class InformationSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Snapshot of an INFO that the other side has not answered."""

    origin: LegReference
    far: LegReference
    asked: ClientSnapshot
    server: ServerSnapshot
    has_key: bool = False

    @classmethod
    def of(cls, client: Client, information: Information, call: CallPort) -> "InformationSnapshot":
        """Describe it by the request that asks the other side."""
        flows = call.endpoint.flows
        origin, far = LegReference.to(information.origin, call), LegReference.to(information.far, call)
        asked, server = ClientSnapshot.of(client, flows), ServerSnapshot.of(information.server, flows)
        return cls(origin, far, asked, server, information.has_key)

    def restored(self, call: CallPort, calls: RestoredCalls) -> None:
        """Go on waiting for the answer."""
        restoration = calls.restoration
        origin, far = calls.leg(self.origin, call), calls.leg(self.far, call)
        server = restoration.once(self.server)
        restoration.once(self.asked).owner = Information(origin, far, server, has_key=self.has_key)


class LateInformation:
    """An INFO whose sender has left the call, or whose call has ended: it is still to be answered."""

    __slots__ = ("_endpoint", "far", "origin", "server")

    def __init__(self, endpoint: Endpoint, origin: Leg | None, far: Leg | None, server: Server) -> None:
        """``origin`` sent it, ``far`` was asked; None = that leg is part of no call any more."""
        self._endpoint = endpoint
        self.origin = origin
        if origin is not None:
            origin.informing += 1
        self.far = far
        self.server = server

    def response_came(self, event: ResponseArrived) -> None:
        """Forward the final response of the other side."""
        status, far = event.response.status, self.far
        if status < 200:
            return
        if far is not None:
            far.note_response(event.response, event.at)
        self._respond(200 if status < 300 else status_for_origin(status), event.at)
        if status == 481 and far is not None:
            far.call.lost(far, status, event.at)

    def no_response(self, event: NoResponse) -> None:
        """Answer 504: the other side gave no response."""
        self._respond(504, event.at)

    def _respond(self, status: int, now: Instant) -> None:
        """Answer by the leg of the sender; without one, the name of its trunk is not known (ADR 116)."""
        if self.origin is None:
            self.server.respond(status, "", of_response(self._endpoint, status), now)
        else:
            self.origin.informing -= 1
            self.origin.respond(self.server, status, now)


class LateInformationSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Snapshot of an INFO without an answer whose sender has left the call, or whose call has ended."""

    origin: LegReference | None
    far: LegReference | None
    asked: ClientSnapshot
    server: ServerSnapshot

    @classmethod
    def of(cls, client: Client, owner: Information | LateInformation, endpoint: Endpoint) -> "LateInformationSnapshot":
        """Describe it by the request that asks the other side."""
        asked, server = ClientSnapshot.of(client, endpoint.flows), ServerSnapshot.of(owner.server, endpoint.flows)
        return cls(_reference(owner.origin), _reference(owner.far), asked, server)

    def restored(self, calls: RestoredCalls) -> None:
        """Go on waiting for the answer."""
        restoration = calls.restoration
        origin, far = _leg(self.origin, calls), _leg(self.far, calls)
        late = LateInformation(restoration.endpoint, origin, far, restoration.once(self.server))
        restoration.once(self.asked).owner = late


def _reference(leg: Leg | None) -> LegReference | None:
    if leg is None or not is_present(leg):
        return None
    return LegReference(LegReference.to(leg, leg.call).name, leg.call.arrival.call_id)


def _leg(reference: LegReference | None, calls: RestoredCalls) -> Leg | None:
    if reference is None or reference.call_id not in calls.calls:
        return None
    return calls.leg(reference, calls.calls[reference.call_id])


def is_late(information: Information) -> bool:
    """Return whether one of the two legs is part of its call no more."""
    return not (is_present(information.origin) and is_present(information.far))


def late_informations(endpoint: Endpoint) -> tuple[LateInformationSnapshot, ...]:
    """Describe the INFOs that wait for an answer, and whose two legs are not both part of a call."""
    found = []
    for client in endpoint.store.clients.values():
        owner = client.owner
        if not isinstance(client, Client) or not isinstance(owner, Information | LateInformation):
            continue
        if isinstance(owner, LateInformation) or is_late(owner):
            found.append(LateInformationSnapshot.of(client, owner, endpoint))
    return tuple(found)
