"""Write the requests that are relayed: a MESSAGE in the name of its sender, or one of a subscription as it came."""

from typing import Final, NamedTuple

from vosd.b2bua.identity import CallerIdentity
from vosd.b2bua.outgoing.invitation import addressed, as_wanted
from vosd.b2bua.outgoing.presentation import present, shows_number
from vosd.base.host import bracketed
from vosd.engine.messages.delivery import RelayPlace
from vosd.routing.routes import RouteChoice
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.digest.answer import Answers
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import LARGEST_DATAGRAM, peer_of
from vosd.sip.wire.compose import escape_user
from vosd.sip.wire.message import Message, Request
from vosd.sip.wire.outgoing import Peer

BODY_MAX: Final = 8_192
"""Most bytes of a body that is relayed, over connections too."""
VALUE_MAX: Final = 512
_ADDED: Final = 160
"""Bytes that credentials are not counted among: a Via with its branch, at most."""
_CONTENT: Final = ("content-type", "content-disposition", "content-language", "content-encoding")
_LISTS: Final = frozenset({"accept", "content-encoding", "content-language"})
"""Headers whose values may be on several lines (RFC 3261 section 7.3.1); of others that come twice the first counts."""
_WRITTEN: Final = {
    "content-type": "Content-Type",
    "content-disposition": "Content-Disposition",
    "content-language": "Content-Language",
    "content-encoding": "Content-Encoding",
    "event": "Event",
    "expires": "Expires",
    "accept": "Accept",
    "subscription-state": "Subscription-State",
    "min-expires": "Min-Expires",
}


class OutgoingMessage(NamedTuple):
    """A request that is ready to be sent."""

    dialog: Dialog
    method: str
    headers: str
    body: bytes

    def fits(self, endpoint: Endpoint) -> bool:
        """Return whether it is not too large for the transport of its peer (RFC 3428 section 8)."""
        if endpoint.flows.reliable[self.dialog.peer.flow]:
            return True
        return len(self.dialog.request(self.method, "", 1, self.headers, self.body)) + _ADDED <= LARGEST_DATAGRAM


class MessageSender(NamedTuple):
    """The sender of a MESSAGE, as header rules and headers of its identity know it."""

    account: str
    name: str
    identity: CallerIdentity
    callee_in: str
    caller_in: str
    hops: int
    challenges_max: int
    drops_caller: bool = False


class _MessageFacts(NamedTuple):
    """Facts of a MESSAGE that values of header rules may contain (``MessageFacts``); it has no call id."""

    sender: MessageSender
    place: RelayPlace

    def fact(self, name: str) -> str:
        sender, place, is_shown = self.sender, self.place, self._shows_number()
        found = {
            "account": sender.account, "customer": sender.name, "gateway": place.gateway.name,
            "callee": escape_user(place.callee), "callee_in": escape_user(sender.callee_in),
            "caller": escape_user(place.caller) if is_shown else "",
            "caller_in": escape_user(sender.caller_in) if is_shown and not sender.drops_caller else "",
        }  # fmt: skip
        return found.get(name, "")

    def hides_caller(self) -> bool:
        return self.sender.drops_caller or not self._shows_number()

    def _shows_number(self) -> bool:
        return shows_number(self.sender.identity, self.place.gateway.dialect)


def written_message(endpoint: Endpoint, request: Request, sender: MessageSender, place: RelayPlace) -> OutgoingMessage:
    """Write a MESSAGE for one place: a request of its own, with the identity and the headers that its trunk wants."""
    peer, uri, to, route = _target(endpoint, place)
    gateway, dialect = place.gateway, place.gateway.dialect
    ours = bracketed(endpoint.flows.listeners[peer.flow].host)
    shown = present(sender.identity, place.caller, place.callee, dialect.from_host or ours, dialect)
    login = gateway.login
    dialog = Dialog.outside(
        call_id=f"{endpoint.token()}@{ours}",
        local=f"{shown.from_};tag={endpoint.token()}",
        target=uri,
        remote=to,
        peer=peer,
        answers=None if login is None else Answers(login, sender.challenges_max, gateway.name),
        server_name=place.address.name,
    )
    dialog.route, dialog.hops = route, sender.hops
    headers = f"{endpoint.agent_header}{shown.headers}{copied(request, 'expires', *_CONTENT)}"
    sent_as = dialect.sent_as
    if sent_as is not None:
        headers = sent_as.named(headers)
        if sent_as.headers is not None:
            headers = sent_as.headers.requests.applied(headers, request, _MessageFacts(sender, place))
    return OutgoingMessage(dialog, "MESSAGE", headers, request.body)


def written_as_it_came(
    endpoint: Endpoint, request: Request, place: RelayPlace, contact_user: str, hops: int
) -> OutgoingMessage:
    """Write a request of a subscription for one place: both ends share its dialog, the switch keeps none of it."""
    peer, uri, _, route = _target(endpoint, place)
    dialog = Dialog.outside(
        call_id=request.call_id,
        local=request.header("from") or "",
        target=uri,
        remote=request.header("to") or "",
        peer=peer,
        answers=None,
        server_name=place.address.name,
    )
    dialog.route, dialog.hops, dialog.local_sequence = route, hops, request.cseq.number - 1
    names = ("event", "expires", "accept", "subscription-state", *_CONTENT)
    user = f"{escape_user(contact_user)}@" if contact_user else ""
    contact = f"Contact: <sip:{user}{endpoint.flows.listeners[peer.flow].address}>\r\n"
    headers = f"{contact}{endpoint.agent_header}{copied(request, *names)}"
    return OutgoingMessage(dialog, request.method, headers, request.body)


def copied(message: Message, *names: str) -> str:
    """Return the headers of these names as they came, each on one line, without values that could not be sent."""
    lines = ""
    for name in names:
        value = ", ".join(message.values(name)) if name in _LISTS else message.header(name)
        if value and len(value) <= VALUE_MAX and value.isprintable():
            lines += f"{_WRITTEN[name]}: {value}\r\n"
    return lines


def _target(endpoint: Endpoint, place: RelayPlace) -> tuple[Peer, str, str, str]:
    """Return where a request goes: the peer, the Request-URI, To and the Route line."""
    gateway, address, dialect = place.gateway, place.address, place.gateway.dialect
    flow = address.flow
    if flow is None:
        flow = endpoint.flows.towards(address.host, address.transport, dialect.interface)
    peer = peer_of(flow, address.host, address.port or 5060)
    choice = RouteChoice(gateway, "", place.callee, place.caller)
    uri, to = addressed(choice, address, peer, endpoint.flows.listeners[flow])
    route = address.path
    if not dialect.is_usual:
        uri, to, route = as_wanted(choice, address, uri, to)
    return peer, uri, to, f"Route: {', '.join(route)}\r\n" if route else ""
