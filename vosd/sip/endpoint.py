"""The SIP engine's one door: datagrams and time in, events and datagrams out.

Owns transactions, the dialogs' addresses and what is left of both; whoever uses it owns the calls. Never
reads a clock, never opens a socket, never draws a random number.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from vosd.base.clock import Instant
from vosd.sip.compose import (
    Datagram,
    InviteParts,
    Peer,
    ResponseStem,
    host_text,
    invite,
    parts_acknowledged,
    response,
    response_stem,
)
from vosd.sip.dialog.acceptance import Acceptance, Farewell
from vosd.sip.dialog.identity import Dialog
from vosd.sip.errors import ParseError
from vosd.sip.events import (
    AckArrived,
    AckMissing,
    CancelArrived,
    Event,
    InviteArrived,
    RequestArrived,
    StrangerIgnored,
)
from vosd.sip.headers.name_addr import tag_of
from vosd.sip.headers.via import branch_of
from vosd.sip.message import Request, Response
from vosd.sip.parse import parse_message
from vosd.sip.screening import ACCEPT, ALLOW, has_looped, objection
from vosd.sip.settings import SipSettings
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.spent import Mark
from vosd.sip.transaction.store import TransactionStore

MAGIC = "z9hG4bK"
"""What every branch made by an RFC 3261 element begins with (section 8.1.1.7)."""


class DialogOwner(Protocol):
    """Whoever keeps a dialog: the engine finds it by our tag and asks whether a request fits."""

    @property
    def dialog(self) -> Dialog | None:
        """The dialog as it stands, or None while there is none."""
        ...


class Listener(NamedTuple):
    """A socket of ours as peers are told of it."""

    host: str
    port: int

    @property
    def sent_by(self) -> str:
        """``host:port`` for Via and Contact."""
        return f"{host_text(self.host)}:{self.port}"


class Endpoint:
    """Everything SIP of one switch, sans I/O."""

    def __init__(
        self,
        settings: SipSettings,
        listeners: Sequence[Listener],
        token: Callable[[], str],
        knows: Callable[[str, int], bool],
    ) -> None:
        self._settings = settings
        self.listeners = tuple(listeners)
        self._mark = f"{MAGIC}{token()}"
        """How every branch of ours begins, and nobody else's."""
        self._sent_by = frozenset(listener.sent_by for listener in listeners)
        self._via = tuple(f"SIP/2.0/UDP {listener.sent_by};rport;branch={self._mark}" for listener in listeners)
        self.contacts = tuple(f"Contact: <sip:{listener.sent_by}>\r\n" for listener in listeners)
        families = [":" in listener.host for listener in listeners]
        self._flow_v4 = families.index(False) if False in families else 0
        self._flow_v6 = families.index(True) if True in families else 0
        self.token = token
        self._knows = knows
        self._store = TransactionStore(settings.timers)
        self._owners: dict[str, DialogOwner] = {}
        product = settings.product
        self.server_header = f"Server: {product}\r\n" if product else ""
        self.agent_header = f"User-Agent: {product}\r\n" if product else ""
        self.dropped: Counter[str] = Counter()
        """Datagrams and requests that came to nothing, by why."""

    # -- in -----------------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, source: Peer, now: Instant) -> Event | None:
        """Take one datagram; return what its reader must hear of, if anything. Never raises for what came."""
        message: Request | Response | None = None
        try:
            message = parse_message(data, self._settings.limits)
            if isinstance(message, Response):
                return self._take_response(message, now)
            return self._take_request(message, source, now)
        except ParseError as error:
            self._refuse_malformed(error, message or error.request, source)
            return None

    def handle_timers(self, now: Instant) -> list[Event]:
        """Fire every timer that is due."""
        self._store.spent.expire(now.mono)
        events = (owner.timer_due(now) for owner in self._store.wheel.expire(now.mono))
        return [event for event in events if event is not None and not self._is_residue(event)]

    def next_timer(self) -> int | None:
        """Return when ``handle_timers`` is wanted next, in milliseconds of the monotonic clock."""
        times = [due for due in (self._store.wheel.next_due(), self._store.spent.next_due()) if due is not None]
        return min(times, default=None)

    def datagrams_to_send(self) -> list[Datagram]:
        """Return what is to be sent, in order, and forget it."""
        out = self._store.out
        if out:
            self._store.out = []
        return out

    @property
    def awaits_answers(self) -> bool:
        """Whether any request of ours has no final response yet."""
        return bool(self._store.clients)

    @property
    def answers_strangers(self) -> bool:
        """Whether requests of unknown sources get an answer."""
        return self._settings.answers_strangers

    # -- what a call does ---------------------------------------------------------------------------------------

    def adopt(self, tag: str, owner: DialogOwner) -> None:
        """Bring requests that bear our ``tag`` to ``owner``."""
        self._owners[tag] = owner

    def forget(self, tag: str, now: Instant) -> None:
        """End a dialog: its owner hears no more, a BYE that crosses ours is still answered."""
        if self._owners.pop(tag, None) is not None:
            self._store.retire(f"dialog {tag}", Mark.CLOSED_DIALOG, self._settings.timers.transaction_ms, now)

    def send_invite(
        self, parts: InviteParts, max_forwards: int, headers: str, body: bytes, owner: Any, now: Instant
    ) -> InviteClient:
        """Send the INVITE of a new leg."""
        data = invite(parts, max_forwards, headers, body)
        return InviteClient(self._store, f"{branch_of(parts.via)} INVITE", parts, data, owner, now)

    def send_ack(self, transaction: InviteClient, dialog: Dialog, headers: str, body: bytes) -> None:
        """Acknowledge a 2xx, now and whenever it is repeated."""
        ack = dialog.request("ACK", self.new_via(dialog.peer.flow), transaction.parts.sequence, headers, body)
        transaction.acknowledge(Datagram(dialog.peer, ack))

    def send_bye(self, dialog: Dialog, headers: str, now: Instant) -> None:
        """End a dialog; nobody waits for the answer."""
        dialog.local_sequence += 1
        via = self.new_via(dialog.peer.flow)
        data = dialog.request("BYE", via, dialog.local_sequence, self.agent_header + headers)
        Client(self._store, f"{branch_of(via)} BYE", dialog.peer, data, None, now)

    def send_success(
        self, transaction: InviteServer, dialog: Dialog, headers: str, body: bytes, owner: Any, now: Instant
    ) -> Acceptance:
        """Answer an INVITE with 200 and repeat that until its ACK."""
        data = transaction.respond(200, dialog.local_tag, self.server_header + headers, now, body)
        return Acceptance(self._store, dialog, transaction.stem.peer, data, owner, now)

    def bye_after_ack(self, acceptance: Acceptance, headers: str) -> None:
        """Hang up a caller that has not acknowledged our 200 yet: the BYE waits for the ACK (section 15.1.1)."""
        acceptance.owner = None
        acceptance.goodbye = headers
        self._owners[acceptance.dialog.local_tag] = Farewell(acceptance)

    def ignore(self, transaction: InviteServer) -> None:
        """Leave an INVITE without any answer, as if it had never come."""
        transaction.forget()

    def flow_towards(self, host: str) -> int:
        """Return the listener that packets to ``host`` leave from: the first of the same address family."""
        return self._flow_v6 if ":" in host else self._flow_v4

    def has_looped(self, request: Request) -> bool:
        """Say whether a Via of ours is among those of the request: our own request has come back to us."""
        return has_looped(request, self._mark, self._sent_by)

    def new_via(self, flow: int) -> str:
        """Return a Via value with a fresh branch."""
        return self._via[flow] + self.token()

    def census(self) -> dict[str, int]:
        """Count what is alive, for ``vosd status``."""
        store = self._store
        return {
            "dialogs": len(self._owners),
            "transactions": len(store.servers) + len(store.clients) + len(store.spent),
            "timers": len(store.wheel),
        }

    # -- requests -----------------------------------------------------------------------------------------------

    def _take_request(self, request: Request, source: Peer, now: Instant) -> Event | None:
        via = request.via
        method = request.method
        if request.cseq.method != method:
            raise ParseError(400, "CSeq Method Differs", request)
        branch = via.branch
        if not branch.startswith(MAGIC) or branch == MAGIC:  # an RFC 2543 peer: section 17.2.3
            branch = f"{branch}|{request.call_id}|{request.from_tag}|{request.cseq.number}|{request.uri}"
        prefix = f"{branch} {via.host}:{via.port} "
        if method == "ACK":
            return self._take_ack(request, prefix + "INVITE", now)
        key = prefix + method
        known = self._store.servers.get(key)
        if known is not None:
            known.request_repeated()
            return None
        spent = self._store.spent.get(key)
        if spent is not None:
            if isinstance(spent, Datagram):
                self._store.out.append(spent)
            return None
        if not self._may_be_answered(request, source):
            self.dropped["unknown source"] += 1
            return StrangerIgnored(source, f"{method} {request.uri}", now)
        if method == "CANCEL":
            return self._take_cancel(response_stem(request, source), prefix, key, now)
        return self._take_new_request(request, source, key, now)

    def _may_be_answered(self, request: Request, source: Peer) -> bool:
        """Say whether a request comes from a known source, or belongs to a dialog whose peer may have moved."""
        tag = request.to_tag
        if tag and (tag in self._owners or self._store.spent.get(f"dialog {tag}") is not None):
            return True
        return self._settings.answers_strangers or self._knows(source.host, source.port)

    def _take_new_request(self, request: Request, source: Peer, key: str, now: Instant) -> Event | None:
        method = request.method
        stem = response_stem(request, source)
        refusal = objection(request)
        if refusal is not None:
            self._answer(stem, key, method, refusal.status, refusal.headers, now)
            return None
        if stem.tagged:
            return self._take_request_in_dialog(request, stem, key, now)
        if method == "INVITE":
            return InviteArrived(InviteServer(self._store, key, stem), request, source, now)
        if method == "OPTIONS":
            self._answer(stem, key, method, 200, ALLOW + ACCEPT, now)
        else:
            self._answer(stem, key, method, 481, "", now)
        return None

    def _take_request_in_dialog(
        self, request: Request, stem: ResponseStem, key: str, now: Instant
    ) -> RequestArrived | None:
        to_tag = request.to_tag
        owner = self._owners.get(to_tag)
        dialog = owner.dialog if owner is not None else None
        method = request.method
        if owner is None or dialog is None or not dialog.fits(request):
            crossed = method == "BYE" and self._store.spent.get(f"dialog {to_tag}") is Mark.CLOSED_DIALOG
            self._answer(stem, key, method, 200 if crossed else 481, "", now)
            return None
        if request.cseq.number <= dialog.remote_sequence:  # section 12.2.2
            self._answer(stem, key, method, 500, "", now)
            return None
        dialog.remote_sequence = request.cseq.number
        if isinstance(owner, Farewell):
            self._answer(stem, key, method, 200 if method == "BYE" else 481, "", now)
            if method == "BYE":
                owner.acceptance.acknowledged()
                self.forget(to_tag, now)
            return None
        kind = InviteServer if method == "INVITE" else Server
        return RequestArrived(owner, kind(self._store, key, stem), request, now)

    def _take_ack(self, request: Request, invite_key: str, now: Instant) -> Event | None:
        transaction = self._store.servers.get(invite_key)
        if isinstance(transaction, InviteServer):
            transaction.acknowledged(now)
            return None
        owner = self._owners.get(request.to_tag)
        dialog = owner.dialog if owner is not None else None
        if owner is None or dialog is None or not dialog.fits(request):
            return None  # an ACK is never answered
        if isinstance(owner, Farewell):
            self._say_goodbye(owner.acceptance, now)
            return None
        return AckArrived(owner, request, now)

    def _take_cancel(self, stem: ResponseStem, prefix: str, key: str, now: Instant) -> CancelArrived | None:
        """Answer a CANCEL by whether its INVITE is there (section 9.2), and pass it on while that still matters."""
        transaction = self._store.servers.get(prefix + "INVITE")
        found = transaction is not None or self._store.spent.get(prefix + "INVITE") is not None
        owner = transaction.owner if isinstance(transaction, InviteServer) else None
        dialog = owner.dialog if owner is not None else None
        tag = self.token() if dialog is None else dialog.local_tag  # the one that the INVITE is answered with
        Server(self._store, key, stem).respond(200 if found else 481, tag, self.server_header, now)
        return CancelArrived(owner, now) if owner is not None else None

    def _answer(self, stem: ResponseStem, key: str, method: str, status: int, headers: str, now: Instant) -> None:
        """Give the one and final response to a request that goes no further."""
        kind = InviteServer if method == "INVITE" else Server
        kind(self._store, key, stem).respond(status, self.token(), self.server_header + headers, now)

    def _refuse_malformed(self, error: ParseError, message: Request | Response | None, source: Peer) -> None:
        """Answer what RFC 3261 wants answered, without keeping a transaction; drop and count the rest."""
        self.dropped[error.reason.lower() if message is not None else "not SIP"] += 1
        if not isinstance(message, Request) or not error.status or message.method == "ACK":
            return
        if not self._settings.answers_strangers and not self._knows(source.host, source.port):
            return
        try:
            stem = response_stem(message, source)
        except ParseError:
            return  # without a Via there is nobody to answer
        headers = f'{self.server_header}Warning: 399 {self.listeners[source.flow].sent_by} "{error.reason}"\r\n'
        self._store.send(stem.peer, response(stem, error.status, self.token(), headers))

    # -- responses ----------------------------------------------------------------------------------------------

    def _take_response(self, message: Response, now: Instant) -> Event | None:
        key = f"{branch_of(message.header('via') or '')} {message.cseq.method}"
        transaction = self._store.clients.get(key)
        if transaction is None:
            spent = self._store.spent.get(key)
            if isinstance(spent, Datagram):
                if message.status >= 200:
                    self._acknowledge_again(key, spent, message, now)
            elif spent is None:
                self.dropped["response to no request"] += 1
            return None
        event = transaction.response_came(message, now)
        if event is not None and event.owner is None:
            if isinstance(transaction, InviteClient) and 200 <= message.status < 300:
                self._end_late_answer(key, transaction.parts, message, now)
            return None
        return event

    def _acknowledge_again(self, key: str, ack: Datagram, response: Response, now: Instant) -> None:
        """Repeat the ACK of a final response; a 2xx of another fork has a dialog to be ended (section 13.2.2.4)."""
        if response.status < 300 and response.to_tag:
            parts = parts_acknowledged(ack)
            if response.to_tag != tag_of(parts.to):
                key = f"{key} {response.to_tag}"
                known = self._store.spent.get(key)
                if not isinstance(known, Datagram):
                    self._end_late_answer(key, parts, response, now)
                    return
                ack = known
        self._store.out.append(ack)

    def _end_late_answer(self, key: str, parts: InviteParts, answer: Response, now: Instant) -> None:
        """ACK a 2xx that no call waits for, now and whenever it is repeated, and hang up at once."""
        self.dropped["late answer"] += 1
        dialog = Dialog.of_callee(parts, "", answer)
        ack = Datagram(dialog.peer, dialog.request("ACK", self.new_via(dialog.peer.flow), parts.sequence, ""))
        self._store.out.append(ack)
        self._store.retire(key, ack, self._settings.timers.transaction_ms, now)
        self.send_bye(dialog, "", now)

    # -- residue ------------------------------------------------------------------------------------------------

    def _is_residue(self, event: Event) -> bool:
        """Deal with the ACK that never came for a call that is over; say whether that was it."""
        if isinstance(event, AckMissing) and event.owner is None:
            self._say_goodbye(event.acceptance, event.at)
            return True
        return False

    def _say_goodbye(self, acceptance: Acceptance, now: Instant) -> None:
        acceptance.acknowledged()
        self.send_bye(acceptance.dialog, acceptance.goodbye or "", now)
        self.forget(acceptance.dialog.local_tag, now)
