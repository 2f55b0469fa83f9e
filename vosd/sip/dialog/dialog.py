"""One dialog: its ends, its sequence numbers, and how requests within it are written (RFC 3261 section 12)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Generic

import msgspec

from vosd.base.host import is_address
from vosd.base.nat import Nat
from vosd.sip.device import Device
from vosd.sip.digest.answer import Answers
from vosd.sip.flows import hop_of
from vosd.sip.forms import NOT_YET, PeerT, TextT
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.record_route import is_loose, route_set
from vosd.sip.nat import is_behind_nat, is_hidden
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import first_of
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import InviteParts, Peer
from vosd.sip.wire.uri import Uri, for_request_line

NextHopOf = Callable[[str, Peer], Peer]
"""Return where a request for a URI is sent, given the latest source address of the peer: ``Flows.next_hop``."""

_AUTO: Final = Nat.AUTO  # access to enum members is slow
_NO: Final = Nat.NO


class DialogState(msgspec.Struct, Generic[TextT, PeerT], array_like=True, gc=False):
    """A dialog as seen from this end; ``local`` and ``remote`` are whole From and To values with their tags."""

    call_id: TextT
    local: TextT
    remote: TextT
    target: TextT
    routes: tuple[TextT, ...]
    local_sequence: int
    seen_at: PeerT
    """The latest source address of the peer."""
    is_behind_nat: bool
    """Whether requests are sent to the latest source address of the peer instead of its Contact."""


class Dialog(DialogState[str, Peer], eq=False, gc=True):
    """A dialog of this process; every call makes two, by position: to pass fifteen names takes twice as long."""

    local_tag: str
    remote_tag: str
    next_hop_of: NextHopOf
    answers: Answers | None = None
    """Answers to the challenges of the peer; None = we have no login there."""
    remote_sequence: int = -1
    nat: Nat = Nat.NO
    user: str = ""
    """The registered user that the peer is; empty = none. Only REGISTERs of that user change the peer's address."""
    device: Device | None = None
    """The device of that user that has the call; None = unknown."""
    guessed_at: Peer | None = None
    """An address that may be that of another device of the user; None = the present one was not guessed."""
    invites: int = 0
    """Our INVITEs within the dialog that have no final response, also those that nothing waits for any more."""
    hops: int = 70
    """Max-Forwards of our requests: less in one that is relayed."""
    request_uri: str = ""
    route: str = ""
    peer: Peer = NOT_YET
    """Peer that requests are sent to."""
    server_name: str = ""
    """The name that the certificate of a connection to ``seen_at`` must bear (``InviteParts``).

    It is that of the vendor, or the one that a caller, a ``user`` then, has proven by its own certificate.
    """
    has_left_contact: bool = False
    """Whether the device has left the host of its Contact, without NAT: requests go where it was seen."""

    def __post_init__(self) -> None:
        """Find out where requests are sent."""
        if self.routes:
            self._aim(self.target)
        else:
            self.request_uri = target = self.target
            seen = self.seen_at
            found = seen if self.is_behind_nat or self.has_left_contact else self.next_hop_of(target, seen)
            self.peer = found if found.host == seen.host else self._judged(found)

    @classmethod
    def of_caller(
        cls,
        request: Request,
        local_tag: str,
        source: Peer,
        next_hop_of: NextHopOf,
        nat: Nat = Nat.NO,
        user: str = "",
        *,
        is_elsewhere: bool = False,
        server_name: str = "",
    ) -> "Dialog":
        """Make the dialog of an INVITE that came from ``source`` (RFC 3261 section 12.1.1).

        ``is_elsewhere``: requests do not reach its sender at its Contact, although that may be a public address.
        ``server_name`` is what the certificate of its connection has proven.

        Raises:
            ParseError: 400 for an INVITE without a usable Contact.
        """
        contact = request.header("contact")
        if contact is None:
            raise ParseError(400, Flaw.MISSING_CONTACT, request)
        local_sequence = 0
        answers: Answers | None = None
        return cls(
            request.call_id,
            f"{request.header('to')};tag={local_tag}",
            request.header("from") or "",
            _target_in(contact),
            () if request.header("record-route") is None else route_set(request),
            local_sequence,
            source,
            is_elsewhere or (nat is not _NO and is_behind_nat(nat, request, source)),
            local_tag,
            request.from_tag,
            next_hop_of,
            answers,
            request.sequence,
            nat,
            user,
            server_name=server_name,
        )

    @classmethod
    def of_callee(cls, parts: InviteParts, local_tag: str, response: Response, next_hop_of: NextHopOf) -> "Dialog":
        """Make the dialog that a response to our INVITE establishes (RFC 3261 section 12.1.2).

        A response without a usable Contact, which RFC 3261 forbids but peers send, is answered where the INVITE went.
        """
        remote_sequence = -1
        return cls(
            parts.call_id,
            parts.from_,
            response.header("to") or parts.to,
            _target_or_none(response) or parts.uri,
            () if response.header("record-route") is None else route_set(response),
            parts.sequence,
            parts.peer,
            parts.nat is not _NO and is_behind_nat(parts.nat, response, parts.peer),
            local_tag,
            response.to_tag,
            next_hop_of,
            parts.answers,
            remote_sequence,
            parts.nat,
            parts.user,
            parts.device,
            server_name=parts.server_name,
        )

    @classmethod
    def outside(
        cls,
        *,
        call_id: str,
        local: str,
        target: str,
        remote: str,
        peer: Peer,
        answers: Answers | None,
        server_name: str = "",
    ) -> "Dialog":
        """Make what requests outside a dialog share with each other, such as REGISTERs (RFC 3261 section 10.2).

        They all go to ``peer``; nothing that it answers makes a dialog of it.
        """
        return cls(
            call_id,
            local,
            remote,
            target,
            routes=(),
            local_sequence=0,
            seen_at=peer,
            is_behind_nat=False,
            local_tag="",
            remote_tag="",
            next_hop_of=_straight,
            answers=answers,
            server_name=server_name,
        )

    @property
    def is_guessed(self) -> bool:
        """Whether the latest source address may be that of another device of the user."""
        return self.seen_at == self.guessed_at

    def may_be_of_another(self, peer: Peer) -> bool:
        """Return whether an address that a request was sent to may be that of another device of the user."""
        is_moving = self.is_behind_nat and self.user != ""
        return is_moving and (self.is_guessed or (peer.flow == self.seen_at.flow and peer != self.seen_at))

    @property
    def is_where_seen(self) -> bool:
        """Whether requests go where the peer was seen: it is behind NAT, or its own Contact leads there."""
        return self.is_behind_nat or (self.peer == self.seen_at and not self.routes)

    @property
    def expected_name(self) -> str:
        """The name that the certificate of a connection to ``peer`` must bear; empty = any that fits.

        A Contact or Route may lead to another place, where the certificate is not that of the vendor's name. A trunk
        that is known by its certificate has proven its name from wherever it has come, and does so at its Contact. The
        name of another host that is written there is what the certificate of that host bears (RFC 5922 section 7.3).
        """
        if self.peer == self.seen_at or (self.user and is_address(_host_of(self.next_stop))):
            return self.server_name
        return ""

    @property
    def next_stop(self) -> str:
        """The first route, or without one the target: what requests are sent to."""
        return self.routes[0] if self.routes else self.target

    def confirm(self, response: Response) -> None:
        """Replace route set and target of an early dialog by those of the 2xx (RFC 3261 section 13.2.2.4)."""
        self.routes = () if response.header("record-route") is None else route_set(response)
        self.is_behind_nat = self.is_behind_nat or is_behind_nat(self.nat, response, self.seen_at)
        self._aim(_target_or_none(response) or self.target)

    def refresh(self, message: Request | Response) -> bool:
        """Take a new Contact as the target (RFC 3261 section 12.2); return whether there was one.

        The route set stays.
        """
        target = _target_or_none(message)
        if target is None or target == self.target:
            return False
        if not self.routes and not self.is_behind_nat:
            self.is_behind_nat = is_behind_nat(self.nat, message, self.seen_at)
        self._aim(target)
        return True

    def reach_by(self, peer: Peer, *, is_guessed: bool = False) -> None:
        """Use another connection or address from now on: the peer has sent from there, or NAT has changed it."""
        self.seen_at = peer
        self.guessed_at = peer if is_guessed else None
        self._aim(self.target)

    def registered_at(self, peer: Peer, *, is_guessed: bool = False) -> None:
        """Use the address that the device has registered from.

        At another host its Contact is one that it has left; its media are where it says, for it is not behind NAT.
        """
        if peer.host != self.seen_at.host and self.is_where_seen:
            self.has_left_contact = not self.is_behind_nat and peer.host != _host_of(self.target)
        self.reach_by(peer, is_guessed=is_guessed)

    def follow(self, source: Peer, *, keeps_name: bool = False) -> None:
        """Use the address that the peer has sent from, perhaps over a connection that it opened itself.

        Callers that connect to us need no certificate: none is demanded of it on the way back, unless that connection
        has proven the name, too (``keeps_name``).
        """
        if not keeps_name:
            self.server_name = ""
        self.reach_by(source)

    def moved_over(self, before: Peer) -> Peer | None:
        """Return the address where a registered user is seen, if it has surely moved there from ``before``."""
        has_moved = self.user and self.is_where_seen and self.seen_at != before and self.seen_at.flow == before.flow
        return self.seen_at if has_moved and not self.is_guessed else None

    def request(self, method: str, via: str, sequence: int, headers: str, body: bytes = b"") -> bytes:
        """Write a request within the dialog (RFC 3261 section 12.2.1.1)."""
        head = (
            f"{method} {self.request_uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: {self.hops}\r\n{self.route}"
            f"From: {self.local}\r\nTo: {self.remote}\r\nCall-ID: {self.call_id}\r\nCSeq: {sequence} {method}\r\n"
            f"{headers}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("utf-8", "surrogateescape") + body

    def invite_parts(self, via: str) -> InviteParts:
        """Return the parts of a re-INVITE, which has the next sequence number."""
        self.local_sequence += 1
        return InviteParts(
            uri=self.request_uri,
            via=via,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            sequence=self.local_sequence,
            peer=self.peer,
            route=self.route,
            answers=self.answers,
            server_name=self.expected_name,
        )

    def fits(self, request: Request) -> bool:
        """Return whether a request with our tag belongs to the dialog: same Call-ID, same remote tag."""
        return request.call_id == self.call_id and request.from_tag == self.remote_tag

    def _aim(self, target: str) -> None:
        """Set request line, Route and next hop for a target (RFC 3261 section 12.2.1.1).

        A first route without ``lr`` is a strict router: it stands in the request line, and the target ends the Route.
        """
        routes = self.routes
        if self.has_left_contact and (routes or _host_of(target) != _host_of(self.target)):
            self.has_left_contact = False  # by now it says where it is
        self.target = target
        if not routes:
            self.request_uri, self.route, next_stop = target, "", target
        else:
            if is_loose(routes[0]):
                self.request_uri, listed = target, routes
            else:
                self.request_uri, listed = _uri_of_route(routes[0], target), (*routes[1:], f"<{target}>")
            self.route = f"Route: {', '.join(map(_bracketed, listed))}\r\n"
            next_stop = routes[0]
        seen = self.seen_at
        found = seen if self.is_behind_nat or self.has_left_contact else self.next_hop_of(next_stop, seen)
        self.peer = found if found.host == seen.host else self._judged(found)

    def _judged(self, found: Peer) -> Peer:
        """Return the peer at a Contact or Route value: its name may lead into a network that the peer is not in."""
        return self.seen_at if self.nat is _AUTO and is_hidden(found.host, self.seen_at.host) else found


def _host_of(target: str) -> str:
    hop = hop_of(target)
    return "" if hop is None else hop.host


def _straight(_target: str, peer: Peer) -> Peer:
    """Send every request to the peer itself (``NextHopOf``)."""
    return peer


def _bracketed(route: str) -> str:
    """Write a Route value with angle brackets, which some Record-Routes lack (RFC 3261 section 20.34)."""
    return route if "<" in route else f"<{route}>"


def _uri_of_route(route: str, otherwise: str) -> str:
    """Return the URI of a Route value without the parts that a request line may not have (RFC 3261 section 19.1.1)."""
    try:
        return for_request_line(NameAddr.parse(route).uri)
    except ParseError:
        return otherwise


def _target_or_none(message: Request | Response) -> str | None:
    value = message.header("contact")
    try:
        return None if value is None else _target_in(value)
    except ParseError:
        return None


# A trunk sends the same Contact in every call, so parsed ones are cached.
@lru_cache(maxsize=1024)
def _target_in(contact: str) -> str:
    uri = NameAddr.parse(first_of(contact)).uri
    Uri.parse(uri)  # one that cannot be read is no target
    # Headers may stand neither in the Contact of a dialog nor in a request line (RFC 3261 section 19.1.1, table 1).
    return for_request_line(uri)
