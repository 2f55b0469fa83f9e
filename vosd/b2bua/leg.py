"""The two sides of a call: a leg knows its dialog and its transaction, and speaks SIP for the call.

The call tells a leg what to do in words of telephony (ring, answer, hang up); a leg tells the call what happened.
"""

from typing import TYPE_CHECKING, Final

from vosd.base.clock import Instant
from vosd.routing.pipeline import RouteChoice
from vosd.routing.tables import Address
from vosd.sip.compose import InviteParts, Peer, escape_user, host_text
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.identity import Dialog
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AckArrived, NoResponse, RequestArrived, ResponseArrived
from vosd.sip.message import Message, Request, Response
from vosd.sip.screening import ACCEPT, ALLOW
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.states import State

if TYPE_CHECKING:
    from vosd.b2bua.call import Call

SDP: Final = "Content-Type: application/sdp\r\n"
RINGING: Final = range(180, 190)
ANONYMOUS: Final = "anonymous"
"""Who calls when nobody says so (RFC 3261 section 8.1.1.3)."""


class CallerLeg:
    """The side that called: we are the server of its INVITE."""

    __slots__ = ("_acceptance", "_endpoint", "_sent_early_media", "_transaction", "call", "dialog", "offer")

    call: "Call"

    def __init__(
        self, endpoint: Endpoint, transaction: InviteServer, request: Request, source: Peer, now: Instant
    ) -> None:
        """Begin the leg and answer 100.

        Raises:
            ParseError: the INVITE has no Contact to call back.
        """
        self._endpoint = endpoint
        self._transaction = transaction
        self._sent_early_media = False
        self._acceptance: Acceptance | None = None
        self.dialog = Dialog.of_caller(request, endpoint.token(), source)
        self.offer = request.body
        transaction.owner = self
        transaction.respond(100, "", endpoint.server_header, now)
        endpoint.adopt(self.dialog.local_tag, self)

    def ring(self, status: int, body: bytes, now: Instant) -> None:
        """Pass a provisional response on, with its early media if there is any."""
        if body:
            self._sent_early_media = True
        self._transaction.respond(status, self.dialog.local_tag, self._establishing(body), now, body)

    def begin_attempt(self, now: Instant) -> None:
        """Another gateway is about to speak: early media of the last one has used its To tag up."""
        if not self._sent_early_media:
            return
        self._sent_early_media = False
        old = self.dialog.local_tag
        new = self._endpoint.token()
        self.dialog.local = self.dialog.local.removesuffix(old) + new
        self.dialog.local_tag = new
        self._endpoint.forget(old, now)
        self._endpoint.adopt(new, self)

    def answer(self, body: bytes, now: Instant) -> None:
        """Answer the call with 200, repeated until its ACK."""
        headers = self._establishing(body) + ALLOW
        self._acceptance = self._endpoint.send_success(self._transaction, self.dialog, headers, body, self, now)

    def reject(self, status: int, reason: str, now: Instant) -> None:
        """End an unanswered call with a failure; ``reason`` is a whole Reason line."""
        headers = self._endpoint.server_header + reason
        self._transaction.respond(status, self.dialog.local_tag, headers, now)
        self._endpoint.forget(self.dialog.local_tag, now)

    def hang_up(self, reason: str, now: Instant) -> None:
        """End an answered call from our side; the BYE waits for the ACK of our 200 if that is still missing."""
        if self._acceptance is not None:
            self._endpoint.bye_after_ack(self._acceptance, reason)
            return
        if self._transaction.state is State.PROCEEDING:  # answered by the gateway, but a mistake of ours came between
            self.reject(500, reason, now)
            return
        self._endpoint.send_bye(self.dialog, reason, now)
        self._endpoint.forget(self.dialog.local_tag, now)

    def close(self, now: Instant) -> None:
        """The caller itself has ended the dialog: nothing is left to say."""
        if self._acceptance is not None:
            self._acceptance.acknowledged()
        self._endpoint.forget(self.dialog.local_tag, now)

    def cancelled(self, now: Instant) -> None:
        """Hear a CANCEL."""
        self.call.caller_cancelled(now)

    def ack_came(self, event: AckArrived) -> None:
        """Hear the ACK of our 200; a repeated one says nothing new."""
        if self._acceptance is not None:
            self._acceptance.acknowledged()
            self._acceptance = None
            self.call.acknowledged(_session(event.request))

    def ack_missing(self, now: Instant) -> None:
        """Hear that our 200 was never acknowledged."""
        self._acceptance = None
        self.call.ack_missing(now)

    def request_came(self, event: RequestArrived) -> None:
        """Hear a request within the dialog."""
        if event.request.method == "BYE":
            event.transaction.respond(200, "", self._endpoint.server_header, event.at)
            self.call.caller_hung_up(event.at)
        else:
            decline(self._endpoint, event)

    def _establishing(self, body: bytes) -> str:
        """Return the headers of a response that makes or confirms the dialog (RFC 3261 section 12.1.1)."""
        flow = self.dialog.peer.flow
        routes = "".join(f"Record-Route: {route}\r\n" for route in self.dialog.routes)
        return f"{routes}{self._endpoint.contacts[flow]}{SDP if body else ''}"


class CalleeLeg:
    """One attempt at one gateway: we are the client of its INVITE, and of the call if it wins."""

    __slots__ = (
        "_acknowledged",
        "_endpoint",
        "_transaction",
        "answer",
        "call",
        "choice",
        "dialog",
        "peer",
        "rang",
        "rang_at",
        "started_at",
    )

    def __init__(
        self, endpoint: Endpoint, call: "Call", choice: RouteChoice, address: Address, hops: int, now: Instant
    ) -> None:
        self._endpoint = endpoint
        self.call = call
        self.choice = choice
        self.started_at = now
        self.rang = False
        self.rang_at: Instant | None = None
        self.answer = b""
        self.dialog: Dialog | None = None
        self._acknowledged = False
        offer = call.caller.offer
        flow = endpoint.flow_towards(address.host)
        self.peer = Peer(flow, address.host, address.port)
        ours = host_text(endpoint.listeners[flow].host)
        theirs = f"sip:{escape_user(choice.callee_out)}@{host_text(address.host)}"
        tag = endpoint.token()
        parts = InviteParts(
            uri=f"{theirs}:{address.port}",
            via=endpoint.new_via(flow),
            from_=f"<sip:{escape_user(choice.caller_out) or ANONYMOUS}@{ours}>;tag={tag}",
            to=f"<{theirs}>",
            call_id=f"{endpoint.token()}@{ours}",
            sequence=1,
            peer=self.peer,
        )
        headers = f"{endpoint.contacts[flow]}{endpoint.agent_header}{ALLOW}{SDP if offer else ACCEPT}"
        self._transaction: InviteClient = endpoint.send_invite(parts, hops, headers, offer, self, now)

    @property
    def sip_call_id(self) -> str:
        """The Call-ID of this leg."""
        return self._transaction.parts.call_id

    @property
    def heard(self) -> bool:
        """Whether the gateway has said anything at all."""
        return self._transaction.state is State.PROCEEDING

    def response_came(self, event: ResponseArrived) -> None:
        """Hear a response to the INVITE."""
        response = event.response
        status = response.status
        if status < 200:
            if status in RINGING:
                self._note_ringing(event.at)
            self.call.progressed(self, status, _session(response), event.at)
        elif status < 300:
            self._note_ringing(event.at, rang=False)
            self._establish(response)
            self.call.answered(self, event.at)
        else:
            self.call.attempt_failed(self, status, event.at)

    def no_response(self, event: NoResponse) -> None:
        """Hear that the INVITE found nobody (timer B)."""
        self.call.attempt_silent(self, event.at)

    def request_came(self, event: RequestArrived) -> None:
        """Hear a request within the dialog."""
        if event.request.method == "BYE":
            event.transaction.respond(200, "", self._endpoint.server_header, event.at)
            self.call.callee_hung_up(event.at)
        else:
            decline(self._endpoint, event)

    def ack_came(self, event: AckArrived) -> None:
        """Let an ACK pass: no 200 of ours waits for one on this side."""

    def acknowledge(self, body: bytes) -> None:
        """Acknowledge the gateway's 200, with the caller's answer where the offer was the gateway's."""
        if self.dialog is not None:
            self._acknowledged = True
            self._endpoint.send_ack(self._transaction, self.dialog, SDP if body else "", body)

    def give_up(self, reason: str, now: Instant) -> None:
        """Leave an unanswered attempt: CANCEL, and hang up should it answer all the same, or have answered."""
        if self.dialog is not None:
            self.hang_up(reason, now)
        else:
            self._transaction.abandon(reason, now)

    def hang_up(self, reason: str, now: Instant) -> None:
        """End an answered call from our side."""
        self.close(now)
        if self.dialog is not None:
            self._endpoint.send_bye(self.dialog, reason, now)

    def close(self, now: Instant) -> None:
        """Keep the dialog no longer; a 200 that still waits for the caller's answer is acknowledged without one."""
        if self.dialog is not None:
            if not self._acknowledged:
                self.acknowledge(b"")
            self._endpoint.forget(self.dialog.local_tag, now)

    def _establish(self, response: Response) -> None:
        parts = self._transaction.parts
        self.answer = _session(response)
        self.dialog = Dialog.of_callee(parts, parts.from_.rpartition(";tag=")[2], response)
        self._endpoint.adopt(self.dialog.local_tag, self)

    def _note_ringing(self, now: Instant, *, rang: bool = True) -> None:
        self.rang = self.rang or rang
        if self.rang_at is None:
            self.rang_at = now


def decline(endpoint: Endpoint, event: RequestArrived) -> None:
    """Answer a request within a dialog that changes nothing: a new session is refused and the old one lives on."""
    status, headers = (200, ALLOW + ACCEPT) if event.request.method == "OPTIONS" else (488, "")
    event.transaction.respond(status, "", endpoint.server_header + headers, event.at)


def _session(message: Message) -> bytes:
    """Return the session description that a message carries; bodies of another kind are not passed on."""
    kind = (message.header("content-type") or "").partition(";")[0].strip().lower()
    return message.body if kind == "application/sdp" else b""
