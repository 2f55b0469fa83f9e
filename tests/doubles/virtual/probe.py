"""One SIP endpoint on virtual time; the test is every peer, and sees the exact bytes and times.

For what a transaction or a dialog does by itself; whole calls have ``exchange``.
"""

from collections.abc import Callable, Mapping
from itertools import chain, count
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.sip.auth_gate import OPEN_GATE, AuthGate
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import ReliableProvisional
from vosd.sip.dialog.table import NO_FORKS
from vosd.sip.endpoint import Endpoint, are_of_one_host, have_no_vendor
from vosd.sip.events import Event
from vosd.sip.flows import Flows, Listener, Locator, resolve_no_name
from vosd.sip.owners import AcceptanceOwner, ClientOwner, ProvisionalOwner
from vosd.sip.settings import SipSettings
from vosd.sip.transaction.client import InviteClient
from vosd.sip.transaction.server import InviteServer
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import InviteParts, Peer
from vosd.sip.wire.parse import parse_message

START: Final = Instant(1_000_000, 1_790_000_000_000)
CUSTOMER: Final = Peer(0, "192.0.2.10", 5060)
VENDOR: Final = Peer(0, "198.51.100.7", 5060)
UNKNOWN_SOURCE: Final = Peer(0, "203.0.113.66", 5060)
LISTENER: Final = Listener("192.0.2.1", 5060)
straight: Final = Flows((LISTENER, Listener("2001:db8::1", 5060)), str).next_hop
"""The next hop in a dialog that uses only UDP and plain addresses (``sip.dialog.dialog.NextHopOf``)."""
SDP: Final = b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Sent(NamedTuple):
    """One datagram of the endpoint: when it left, in milliseconds since the probe began, and where to."""

    at: int
    peer: Peer
    data: bytes

    @property
    def request(self) -> Request:
        """The datagram read as a request."""
        return read_request(self.data)

    @property
    def response(self) -> Response:
        """The datagram read as a response."""
        message = parse_message(self.data)
        assert isinstance(message, Response), f"not a response: {message!r}"
        return message

    @property
    def title(self) -> str:
        """The method, or the status: what most tests compare."""
        message = parse_message(self.data)
        return message.method if isinstance(message, Request) else str(message.status)


class Keeper:
    """Owner of a dialog, or of an INVITE, without a call."""

    dialog: Dialog | None = None
    forks: Mapping[str, Dialog] = NO_FORKS
    acceptance: Acceptance | None = None
    keypad: None = None

    def moved(self) -> None:
        """Do nothing."""


class Probe:
    """The endpoint, its clock, and everything it has sent so far."""

    def __init__(
        self,
        settings: SipSettings | None = None,
        *,
        knows: Callable[[str, int], bool] = lambda host, _port: host != UNKNOWN_SOURCE.host,
        listeners: tuple[Listener, ...] = (LISTENER,),
        locate: Locator = resolve_no_name,
        auth_gate: AuthGate = OPEN_GATE,
        is_of_one_trunk: Callable[[Peer, Peer], bool] = are_of_one_host,
        are_of_one_vendor: Callable[[str, str], bool] = have_no_vendor,
    ) -> None:
        tokens = chain(["mark", "busy"], (f"token{number}" for number in count(1)))
        self.endpoint = Endpoint(
            settings or SipSettings(), listeners, lambda: next(tokens), knows, locate, auth_gate,
            is_of_one_trunk=is_of_one_trunk, are_of_one_vendor=are_of_one_vendor,
        )  # fmt: skip
        self.now = START
        self._log: list[Sent] = []
        self._taken = 0

    @property
    def has_nothing_left(self) -> bool:
        """Whether the endpoint keeps no state."""
        return not any(self.endpoint.census().values())

    # -- time and the wire ----------------------------------------------------------------------------------------

    def receive(self, data: bytes, source: Peer = CUSTOMER) -> Event | None:
        """Pass the endpoint one datagram at the present instant."""
        event = self.endpoint.receive_datagram(data, source, self.now)
        self._collect()
        return event

    def fail(self, peer: Peer) -> list[Event]:
        """Tell the endpoint that the connection to ``peer`` is closed; return the events that follow."""
        self._collect()
        events = self.endpoint.transport_failed(peer, self.now)
        self._collect()
        return events

    def advance(self, ms: int) -> list[Event]:
        """Let time pass, and run each timer of the endpoint exactly when it is due; return the events."""
        self._collect()
        until = self.now.plus(ms)
        events: list[Event] = []
        while (due := self.endpoint.next_timer()) is not None and due <= until.mono:
            self.now = self.now.plus(max(0, due - self.now.mono))
            events += self.endpoint.handle_timers(self.now)
            self._collect()
        self.now = until
        return events

    @property
    def log(self) -> list[Sent]:
        """All datagrams sent since the start."""
        self._collect()
        return self._log

    def sent(self) -> list[Sent]:
        """Return the datagrams sent since the last call of this method."""
        new, self._taken = self.log[self._taken :], len(self.log)
        return new

    def titles(self) -> list[str]:
        """Return the methods and statuses sent since the last call of this method or ``sent``."""
        return [sent.title for sent in self.sent()]

    def times_of(self, title: str) -> list[int]:
        """Return the times of all datagrams of this method or status."""
        return [sent.at for sent in self.log if sent.title == title]

    def _collect(self) -> None:
        at = self.now.mono - START.mono
        store = self.endpoint.store
        out, store.out = store.out, []
        self._log += [Sent(at, each.peer, each.data) for each in out]

    # -- calls ----------------------------------------------------------------------------------------------------

    def call_vendor(
        self,
        owner: ClientOwner,
        *,
        peer: Peer = VENDOR,
        body: bytes = SDP,
        is_fixed: bool = True,
        server_name: str = "",
    ) -> InviteClient:
        """Send an INVITE to ``peer``; ``is_fixed``: by its flow only, without a change of transport.

        ``server_name``: the name that the certificate of the connection must bear; empty = any.
        """
        parts = InviteParts(
            uri="sip:4420@198.51.100.7:5060",
            via=self.endpoint.flows.new_via(peer.flow),
            from_="<sip:4930@192.0.2.1>;tag=ours",
            to="<sip:4420@198.51.100.7>",
            call_id="out@192.0.2.1",
            sequence=1,
            peer=peer,
            server_name=server_name,
        )
        headers = f"{self.endpoint.flows.contacts[peer.flow]}Content-Type: application/sdp\r\n"
        return self.endpoint.client.send_invite(parts, 69, headers, body, owner, self.now, is_fixed=is_fixed)

    def invite_again(
        self, dialog: Dialog, owner: ClientOwner, *, headers: str = "", body: bytes = SDP, is_fixed: bool = False
    ) -> InviteClient:
        """Send a re-INVITE."""
        transaction = InviteClient(store=self.endpoint.store, owner=owner, dialog=dialog)
        self.endpoint.client.begin_reinvite(transaction, dialog, headers, body, self.now, is_fixed=is_fixed)
        return transaction

    def accept(self, transaction: InviteServer, dialog: Dialog, owner: AcceptanceOwner) -> Acceptance:
        """Answer an INVITE with 200."""
        acceptance = Acceptance(dialog, transaction.sequence, store=self.endpoint.store, owner=owner)
        acceptance.begin(transaction, self.endpoint.server_header, b"", self.now)
        return acceptance

    def ring_reliably(
        self, transaction: InviteServer, owner: ProvisionalOwner, *, headers: str, body: bytes
    ) -> ReliableProvisional:
        """Answer an INVITE with 183, number 17, as a leg does."""
        reliable = ReliableProvisional(17, bool(body), owner=owner)
        headers = f"{self.endpoint.server_header}Require: 100rel\r\nRSeq: 17\r\n{headers}"
        reliable.begin(transaction, 183, "ours", headers, body, self.now)
        return reliable


def request(
    method: str = "INVITE",
    *,
    uri: str = "sip:4420@192.0.2.1",
    branch: str = "z9hG4bK-1",
    via: str | None = None,
    from_: str = "<sip:4930@192.0.2.10>;tag=theirs",
    to: str = "<sip:4420@192.0.2.1>",
    call_id: str = "in@192.0.2.10",
    cseq: str | None = None,
    headers: str = "",
    body: bytes = b"",
) -> bytes:
    """Write a request as the customer would; an INVITE has a Contact."""
    if method == "INVITE" and "Contact:" not in headers:
        headers += "Contact: <sip:4930@192.0.2.10:5060>\r\n"
    if body and "Content-Type:" not in headers:
        headers += "Content-Type: application/sdp\r\n"
    head = (
        f"{method} {uri} SIP/2.0\r\nVia: {via or f'SIP/2.0/UDP 192.0.2.10:5060;branch={branch}'}\r\n"
        f"Max-Forwards: 70\r\nFrom: {from_}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n"
        f"CSeq: {cseq or f'1 {method}'}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + body


def read_request(data: bytes) -> Request:
    """Return the request that bytes are."""
    message = parse_message(data)
    assert isinstance(message, Request), f"not a request: {message!r}"
    return message


def reply(sent: Sent, status: int, *, to_tag: str = "vendor", headers: str = "", body: bytes = b"") -> bytes:
    """Answer a request of the endpoint's as a peer would; a 2xx to INVITE has a Contact."""
    asked = sent.request
    to = asked.header("to") or ""
    if status > 100 and to_tag and not asked.to_tag:
        to += f";tag={to_tag}"
    if asked.method == "INVITE" and 200 <= status < 300 and "Contact:" not in headers:
        headers += "Contact: <sip:vendor@198.51.100.7:5060>\r\n"
    head = (
        f"SIP/2.0 {status} Whatever\r\nVia: {asked.header('via')}\r\nFrom: {asked.header('from')}\r\nTo: {to}\r\n"
        f"Call-ID: {asked.call_id}\r\nCSeq: {asked.header('cseq')}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
