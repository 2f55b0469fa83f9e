"""Facade of the SIP core: datagrams and time in, events and datagrams out.

Owns the transactions, the table of dialogs and what remains of both after their end; its user owns the calls. Never
reads a clock, opens a socket or draws a random number. Requests of peers are handled in ``server_core``, our own
requests in ``client_core``.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from vosd.base.clock import Instant
from vosd.base.nat import Nat
from vosd.base.wheel import Timer
from vosd.sip.auth_gate import OPEN_GATE, AuthGate
from vosd.sip.client_core import ClientCore, Placed, not_noted
from vosd.sip.dialog.acceptance import Acceptance, PendingBye
from vosd.sip.dialog.table import DialogTable
from vosd.sip.door.door import Doorkeeper, Doors, KeeperFailed
from vosd.sip.drops import Drop, Drops
from vosd.sip.events import AckMissing, AlarmFired, Event
from vosd.sip.flows import Flows, IsHere, Listener, Locator, is_on_loopback, resolve_no_name
from vosd.sip.headers.via import branch_of
from vosd.sip.owners import AlarmOwner, ClientOwner
from vosd.sip.repetitions import key_prefix
from vosd.sip.server_core import ServerCore
from vosd.sip.settings import SipSettings
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.server import InviteServer
from vosd.sip.transaction.store import Sender, TimerOwner, TransactionStore, sent_ack
from vosd.sip.wire.classify import MessageKind, answered, call_and_peer, classify, own_tag, to_tag, top_via
from vosd.sip.wire.compose import response
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.lenient import mended
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import OF_RESPONSES, Datagram, Peer, ProvenAck, ResponseStem
from vosd.sip.wire.parse import parse_message

_OUTSIDE_DIALOGS: Final = frozenset({"INVITE", "OPTIONS", "REGISTER"})
"""Methods that begin something; another address may be tried where one cannot be reached."""
_BY_BRANCH: Final = (b"ACK ", b"CANC")
"""First bytes of the requests that have the branch of an INVITE."""


def detect_nat(_host: str, _port: int) -> Nat:
    """Return the setting of a source of which nothing is configured."""
    return Nat.AUTO


def are_of_one_host(one: Peer, other: Peer) -> bool:
    """Return whether two places are of one host: of no trunk is known that it has several, or one port alone."""
    return one.host == other.host


def have_no_vendor(_host: str, _other: str) -> bool:
    """Return that no vendor has both hosts."""
    return False


class Endpoint:
    """The SIP core of one switch, without I/O."""

    def __init__(
        self,
        settings: SipSettings,
        listeners: Sequence[Listener],
        token: Callable[[], str],
        knows: Callable[[str, int], bool],
        locate: Locator = resolve_no_name,
        auth_gate: AuthGate = OPEN_GATE,
        placed: Placed = not_noted,
        nat_at: Callable[[str, int], Nat] = detect_nat,
        is_of_one_trunk: Callable[[Peer, Peer], bool] = are_of_one_host,
        are_of_one_vendor: Callable[[str, str], bool] = have_no_vendor,
        is_here: IsHere = is_on_loopback,
    ) -> None:
        """Create it without transactions.

        Args:
            settings: how it behaves.
            listeners: the sockets, by flow.
            token: draws a random token.
            knows: return whether a host and port are a known source.
            locate: finds the addresses of names.
            auth_gate: authenticates requests.
            placed: called for every INVITE that begins a dialog, before it is sent, and when its phone has moved.
            nat_at: return the setting of the trunk at a host and port, for responses that no trunk decides about.
            is_of_one_trunk: return whether what comes from two places belongs to the same trunk.
            are_of_one_vendor: return whether two hosts are of the same vendor.
            is_here: return whether this machine has an address.
        """
        self._settings = settings
        self.token = token
        self.flows = Flows(listeners, token, locate, is_here)
        product = settings.product
        self.server_header = f"Server: {product}\r\n" if product else ""
        self.agent_header = f"User-Agent: {product}\r\n" if product else ""
        self.dropped: Drops = Counter()
        """Dropped datagrams and requests by reason."""
        self.store = TransactionStore(settings.timers, self.flows.reliable)
        """Transactions and timers; for this package, and for snapshots."""
        self.next_timer = self.store.wheel.next_due
        """Return when ``handle_timers`` is due next, in milliseconds of the monotonic clock, or None."""
        self.placed = placed
        """Notes the INVITE of an attempt, and once more where its vendor charges from a later moment."""
        self.doors: Doors | None = None
        """Doors of the legs that begin from now on; None = they have none, and all messages leave at once."""
        self.answered_invite = InviteServer.answered(self.store)
        """Takes the place of an INVITE that was answered with 2xx: its call lasts longer than what responses repeat."""
        self.acknowledged_invite = InviteClient.acknowledged(self.store)
        """Takes the place of an INVITE of ours whose 2xx has its ACK."""
        self.dialogs = DialogTable(self.store, placed)
        """Dialogs, whose owners are legs and pending BYEs."""
        self.client = ClientCore(
            self.store,
            self.flows,
            self.dialogs,
            agent_header=self.agent_header,
            dropped=self.dropped,
            token=token,
            knows=knows,
            are_of_one_vendor=are_of_one_vendor,
            placed=placed,
        )
        """Our own requests."""
        self._server = ServerCore(
            self.store,
            self.flows,
            self.dialogs,
            settings,
            token=token,
            knows=knows,
            nat_at=nat_at,
            is_of_one_trunk=is_of_one_trunk,
            auth_gate=auth_gate,
            server_header=self.server_header,
            send_pending_bye=self._send_pending_bye,
            dropped=self.dropped,
        )

    def examine_by(self, doorkeeper: Doorkeeper, failed: KeeperFailed) -> None:
        """Have the messages of legs that begin from now on examined before they leave."""
        self.doors = Doors(doorkeeper, self.store.wheel, self.placed, failed)

    # -- in -----------------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, source: Peer, now: Instant) -> Event | None:
        """Process one message; return the event for the user, if any. Never raises for what was received."""
        message: Request | Response | None = None
        try:
            message = parse_message(data, self._settings.limits)
            if isinstance(message, Response):
                return self.client.take_response(message, source, now)
            return self._server.take_request(message, source, now)
        except ParseError as error:
            return self._take_leniently(data, error, message, source, now)

    def refuse_overload(self, data: bytes, source: Peer, headers: str, now: Instant) -> Datagram | Event | None:
        """Refuse a request with the 503 that is returned, and keep no state; never raises for what was received.

        A retransmission of an accepted request is processed as usual.
        """
        refusal = self._server.refuse_common_invite(data, source, headers, now)
        if refusal is not None:
            return refusal
        try:
            message = parse_message(data, self._settings.limits)
            if isinstance(message, Response):
                return self.client.take_response(message, source, now)
            return self._server.refuse_overload(message, source, headers, now)
        except ParseError:
            self.dropped[Drop.MALFORMED_IN_OVERLOAD] += 1
            return None

    def belongs(self, kind: MessageKind, data: bytes) -> bool:
        """Return whether a message belongs to a live or recently finished transaction or dialog, without parsing it."""
        store = self.store
        if kind is MessageKind.RESPONSE:
            key = answered(data)
            return key.startswith(self.flows.mark) and (key in store.clients or store.finished.get(key) is not None)
        tag = to_tag(data).decode("utf-8", "surrogateescape")
        if tag and (self._may_be_of(tag, data) or (tag == self.flows.refusal_tag and data[:4] == b"ACK ")):
            return True
        return data[:4] in _BY_BRANCH and self._is_for_invite(data)

    def dialog_of(self, data: bytes) -> str:
        """Return our tag of the live dialog that a message is of, without parsing it; empty if it is of none.

        A request has its Call-ID and both tags. A response that ``belongs`` has a branch of ours, which cannot be
        guessed, and may be the first with the tag of the peer.
        """
        kind = classify(data)
        tag = own_tag(kind, data)
        if kind is MessageKind.RESPONSE:
            return tag if tag in self.dialogs.owners else ""
        return tag if self.dialogs.has_live(tag, *call_and_peer(kind, data)) else ""

    def _may_be_of(self, tag: str, data: bytes) -> bool:
        """Return whether a request with a tag of ours may be of its dialog, which may have ended a moment ago.

        A live one must have the Call-ID and the tag of its peer, if that is known yet and these can be seen.
        """
        owner = self.dialogs.owners.get(tag)
        if owner is None:
            return self.dialogs.has(tag)
        call_id, remote_tag = call_and_peer(MessageKind.WITHIN, data)
        return not call_id or owner.dialog is None or self.dialogs.has_live(tag, call_id, remote_tag)

    def transport_failed(self, peer: Peer, now: Instant, names: Collection[str] | None = None) -> list[Event]:
        """Process the loss of the connection to ``peer``, or the failure to open it; return the events that follow.

        ``names``: only requests for these names are concerned, an empty one for all without a name; None = all of them.
        ``OF_RESPONSES`` is among them if responses are concerned.
        """
        waiting = self.store.streams.pop(peer, {})
        if names is not None:
            others = {each: None for each in waiting if _server_name(each) not in names}
            waiting = {each: None for each in waiting if each not in others}
            if others:
                self.store.streams[peer] = others
        events = [owner.transport_failed(now) for owner in tuple(waiting)]
        return [event for event in events if event is not None]

    def server_name_of(self, data: bytes) -> str:
        """Return the name that the certificate of a connection must bear for a message of ours; empty = any fitting.

        Responses go where the requests of their dialog come from, whatever its Contact says.
        """
        if data.startswith(b"SIP/2.0 "):
            owner = self.dialogs.owners.get(own_tag(MessageKind.WITHIN, data))
            if owner is not None and owner.dialog is not None:
                return owner.dialog.server_name
            invite = self._answered_by(data)  # it is refused
            return "" if invite is None else invite.server_name
        key = answered(data)
        transaction = self.store.clients.get(key)
        if transaction is not None:
            return transaction.server_name
        if data.startswith(b"ACK "):  # that of a failure has the branch of its INVITE
            kept = self.store.finished.get(sent_ack(key)) or self.store.finished.get(f"{key[:-4]} INVITE")
            if isinstance(kept, ProvenAck):
                return kept.server_name
        owner = self.dialogs.owners.get(own_tag(MessageKind.RESPONSE, data))  # ours is that of From: an ACK of a 2xx
        return "" if owner is None or owner.dialog is None else owner.dialog.expected_name

    def ends_call(self, data: bytes) -> bool:
        """Return whether a response is the failure by which a call has ended, and waits for its ACK."""
        invite = self._answered_by(data)
        return invite is not None and invite.is_of_call

    def _answered_by(self, data: bytes) -> InviteServer | None:
        """Return the INVITE that a response is for; None = it is for none, or for one that waits for nothing."""
        found = self.store.servers.get(f"{key_prefix(top_via(data))}INVITE")
        return found if isinstance(found, InviteServer) else None

    def unsent(self, data: bytes, now: Instant) -> Event | None:
        """Process a message that could not be sent: the INVITE of a new leg fails at once (RFC 3261 section 8.1.3.1).

        Other datagrams are left to their timers: within a call the route may come back, and a BYE must not be given up.
        So is an INVITE that was sent before: the peer may have it, and answer. Over connections a BYE is repeated.
        """
        transaction = self.store.clients.get(answered(data))
        if transaction is not None and self.store.reliable[transaction.peer.flow]:
            return transaction.transport_failed(now)
        if not isinstance(transaction, InviteClient) or transaction.dialog is not None:
            return None
        return transaction.transport_failed(now) if transaction.is_at_first_try else None

    def undelivered(self, quoted: bytes, peer: Peer, now: Instant) -> Event | None:
        """Process an ICMP error about a datagram to ``peer``: it has failed (RFC 3261 section 18.4).

        That holds for the INVITE of a new leg, for OPTIONS and for REGISTER, whose senders have other addresses to try.
        Such an error can be forged. So the request must be in flight to that very address, and ``quoted`` must have
        its branch, which cannot be guessed. All else is left to its timers, as in ``unsent``.
        """
        method = quoted[: quoted.find(b" ")].decode("ascii", "replace")
        if method not in _OUTSIDE_DIALOGS or (method != "INVITE" and to_tag(quoted)):
            return None
        transaction = self.store.clients.get(f"{branch_of(top_via(quoted))} {method}")
        if transaction is None or (isinstance(transaction, InviteClient) and transaction.dialog is not None):
            return None
        return transaction.not_delivered(now) if transaction.peer == peer else None

    def handle_timers(self, now: Instant) -> Iterator[Event]:
        """Fire every due timer, one at a time: the user handles each event before the next timer fires."""
        for owner in self.store.wheel.expire(now.mono):
            event = owner.timer_due(now)
            if event is not None and not self._is_residue(event):
                yield event

    def pass_bodies(self, types: frozenset[str]) -> None:
        """Take INVITEs that require bodies of these types, too, because some trunk is sent them."""
        self._server.passed_bodies = types

    def relay(self, methods: frozenset[str]) -> None:
        """Report requests of these methods outside of dialogs (``StandaloneArrived``); all others are refused."""
        self._server.relay(methods)

    @property
    def awaits_answers(self) -> bool:
        """Return whether any request of ours has no final response yet."""
        return bool(self.store.clients)

    @property
    def answers_unknown_sources(self) -> bool:
        """Return whether requests of unknown sources are answered."""
        return self._settings.answers_unknown_sources

    # -- what a call does ---------------------------------------------------------------------------------------

    def bye_after_ack(self, acceptance: Acceptance, headers: str) -> None:
        """Release a caller that has not acknowledged our 200: the BYE waits for the ACK (RFC 3261 section 15.1.1)."""
        acceptance.owner = None
        acceptance.bye_headers = headers
        self.dialogs.adopt(acceptance.dialog.local_tag, PendingBye(acceptance))

    def take_left_over(self, key: str, stem: ResponseStem) -> InviteServer | None:
        """Return an INVITE that was open when the process ended; its retransmissions are absorbed from now on.

        One received meanwhile is a new call, or was one: then None is returned.
        """
        if key in self.store.servers or self.store.finished.get(key) is not None:
            return None
        return InviteServer.received(self.store, key, stem)

    def repeat_refusal(self, key: str, stem: ResponseStem, status: int, tag: str, now: Instant) -> None:
        """Refuse an INVITE again if it comes again: an earlier process has done so."""
        if key not in self.store.servers and self.store.finished.get(key) is None:
            refusal = Datagram(stem.peer, response(stem, status, tag, self.server_header))
            self.store.finished.keep(key, refusal, self.store.timers.transaction_ms, now)

    def ignore(self, transaction: InviteServer) -> None:
        """Forget an INVITE without answering it."""
        transaction.forget()

    def clear(self) -> None:
        """Forget all transactions, dialogs and timers, because their restoration has failed; nothing is sent."""
        self.store.clear()
        self.dialogs.clear()

    def set_alarm(self, owner: AlarmOwner, at: Instant) -> Timer[TimerOwner]:
        """Send an ``AlarmFired`` event to ``owner`` at ``at``."""
        return self.store.set_timer(at.mono, UserTimer(owner))

    def call_off(self, alarm: Timer[TimerOwner]) -> None:
        """Cancel an alarm; one that has fired is ignored."""
        self.store.wheel.cancel(alarm)

    def set_unclaimed_owner(self, owner: ClientOwner) -> None:
        """Set the ``owner`` of requests without one, such as a BYE: it is called if they get no response."""
        self.store.unclaimed = owner

    def census(self) -> dict[str, int]:
        """Count live objects, for ``vosd status``."""
        store = self.store
        return {
            "dialogs": len(self.dialogs),
            "transactions": len(store.servers) + len(store.clients) + len(store.finished),
            "timers": len(store.wheel) - store.finished.timers,
        }

    # -- what a strict reader refuses ---------------------------------------------------------------------------

    def _take_leniently(
        self, data: bytes, error: ParseError, read: Request | Response | None, source: Peer, now: Instant
    ) -> Event | None:
        """Process a message that confirms or ends something in spite of its faults; refuse any other one."""
        message = mended(data, error, read, source, self._settings.limits)
        try:
            if isinstance(message, Response) and self.client.expects(message):
                return self.client.take_response(message, source, now)
            if isinstance(message, Request) and self._server.expects(message):
                return self._server.take_request(message, source, now)
        except ParseError as again:
            error = again
        return self._server.refuse_malformed(error, read or error.request or error.response, source, now)

    # -- residue ------------------------------------------------------------------------------------------------

    def _is_for_invite(self, data: bytes) -> bool:
        """Return whether an ACK or CANCEL has the branch of an INVITE that we accepted."""
        key = f"{key_prefix(top_via(data))}INVITE"
        return key in self.store.servers or self.store.finished.get(key) is not None

    def _is_residue(self, event: Event) -> bool:
        """Send the pending BYE of an ended call whose ACK never arrived; return whether the event was that."""
        if isinstance(event, AckMissing) and event.owner is None:
            self._send_pending_bye(event.acceptance, event.at)
            return True
        return False

    def _send_pending_bye(self, acceptance: Acceptance, now: Instant) -> None:
        headers = acceptance.bye_headers
        acceptance.acknowledged()
        self.client.send_bye(acceptance.dialog, headers or "", now)
        self.dialogs.forget(acceptance.dialog.local_tag, now, acceptance.overtaken)


class UserTimer:
    """A timer of the endpoint's user (``Endpoint.set_alarm``)."""

    __slots__ = ("_owner",)

    def __init__(self, owner: AlarmOwner) -> None:
        self._owner = owner

    def timer_due(self, now: Instant) -> AlarmFired:
        """Return the event."""
        return AlarmFired(self._owner, now)


def _server_name(sender: Sender) -> str:
    """Return the name that the certificate must bear for a request, empty = any fitting; or ``OF_RESPONSES``."""
    return sender.server_name if isinstance(sender, Client | InviteClient) else OF_RESPONSES
