"""INFOs that wait for the other side's answer, as data: of running calls, and of calls that have ended meanwhile."""

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.information import Information
from vosd.b2bua.renegotiation import status_for_origin
from vosd.b2bua.snapshot.references import LegReference, RestoredCalls
from vosd.b2bua.states import CallState
from vosd.base.clock import Instant
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.restoration import Restoration
from vosd.sip.screening import EXPLAINED
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.client_snapshot import ClientSnapshot
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.server_snapshot import ServerSnapshot


class InformationSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """An INFO that one side sent and the other has not answered."""

    origin: LegReference
    far: LegReference
    asked: ClientSnapshot
    server: ServerSnapshot

    @classmethod
    def of(cls, client: Client, information: Information, call: Call) -> "InformationSnapshot":
        """Describe it by the request that asks the other side."""
        flows = call.endpoint.flows
        origin, far = LegReference.to(information._origin, call), LegReference.to(information._far, call)
        return cls(origin, far, ClientSnapshot.of(client, flows), ServerSnapshot.of(information._server, flows))

    def restored(self, call: Call, calls: RestoredCalls) -> None:
        """Go on waiting for the answer."""
        restoration = calls.restoration
        origin, far = calls.leg(self.origin, call), calls.leg(self.far, call)
        restoration.client(self.asked).owner = Information(origin, far, restoration.server(self.server))


class LateInformation:
    """An INFO whose call has ended: its sender is still to be answered."""

    __slots__ = ("_endpoint", "_server")

    def __init__(self, endpoint: Endpoint, server: Server) -> None:
        self._endpoint = endpoint
        self._server = server

    def response_came(self, event: ResponseArrived) -> None:
        """Pass the other side's final response on."""
        status = event.response.status
        if status >= 200:
            self._respond(200 if status < 300 else status_for_origin(status), event.at)

    def no_response(self, event: NoResponse) -> None:
        """Answer 504: the other side gave no response."""
        self._respond(504, event.at)

    def _respond(self, status: int, now: Instant) -> None:
        self._server.respond(status, "", self._endpoint.server_header + EXPLAINED.get(status, ""), now)


class LateInformationSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """An INFO that waits for an answer, and whose call has ended."""

    asked: ClientSnapshot
    server: ServerSnapshot

    @classmethod
    def of(cls, client: Client, owner: Information | LateInformation, endpoint: Endpoint) -> "LateInformationSnapshot":
        """Describe it by the request that asks the other side."""
        return cls(ClientSnapshot.of(client, endpoint.flows), ServerSnapshot.of(owner._server, endpoint.flows))

    def restored(self, restoration: Restoration) -> None:
        """Go on waiting for the answer."""
        late = LateInformation(restoration.endpoint, restoration.server(self.server))
        restoration.client(self.asked).owner = late


def late_informations(endpoint: Endpoint) -> tuple[LateInformationSnapshot, ...]:
    """Describe the INFOs that wait for an answer, and whose calls have ended."""
    found = []
    for client in endpoint.store.clients.values():
        owner = client.owner
        if not isinstance(client, Client) or not isinstance(owner, Information | LateInformation):
            continue
        if isinstance(owner, LateInformation) or owner.call.state is CallState.OVER:
            found.append(LateInformationSnapshot.of(client, owner, endpoint))
    return tuple(found)
