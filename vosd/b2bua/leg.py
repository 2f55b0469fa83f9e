"""Common part of both legs of a call: a dialog, its session descriptions, and requests in both directions.

The call controls a leg by its methods; a leg reports events by methods of the call.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.b2bua.early_dialogs import EarlyDialogs
from vosd.b2bua.leg_facts import LegFacts, LegSessions, is_alive
from vosd.b2bua.outgoing.connected import identity_came, withholds_session
from vosd.b2bua.outgoing.headers import SDP, of_agreement, of_response
from vosd.b2bua.outgoing.ruled import parts_for, rule, with_enclosed
from vosd.b2bua.states import CallState
from vosd.b2bua.supervision import Supervision
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.session_timer import SessionTimerSettings
from vosd.media.leg_media import LegMedia
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.anonymous import anonymous
from vosd.sdp.lines import MEDIUM, fitted, without_foreign
from vosd.sdp.origin import raised
from vosd.sdp.rewrite import Authored, Hidden
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.session_timer import SessionTimer
from vosd.sip.dialog.session_wish import Wish, objection
from vosd.sip.dialog.snapshot import COUNTED_SINCE
from vosd.sip.dialog.table import NO_FORKS
from vosd.sip.door.door import Door
from vosd.sip.door.messages import (
    Outgoing,
    OutgoingAck,
    OutgoingBye,
    OutgoingCancel,
    OutgoingInvite,
    OutgoingReinvite,
    OutgoingReliable,
    OutgoingRequest,
    OutgoingResponse,
    OutgoingSuccess,
)
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import (
    AckArrived,
    AckMissing,
    CancelArrived,
    EarlierAnswer,
    NoResponse,
    RequestArrived,
    UnwantedAnswer,
)
from vosd.sip.headers.reason import q850_cause, reason_text
from vosd.sip.owners import ClientOwner
from vosd.sip.screening import CAPABILITIES
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.transaction.states import TransactionState
from vosd.sip.wire.body import SESSION, session_of
from vosd.sip.wire.message import Message, Request, Response
from vosd.trunks.dialect import Privacy
from vosd.trunks.header_rules import SentAs

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort, PressedKeys

RINGING: Final = range(180, 190)
_ANONYMISE: Final = Privacy.ANONYMISE  # access to enum members is slow


class Move(NamedTuple):
    """A target refresh request; its Contact holds once it is accepted (RFC 3261 section 12.2.2)."""

    transaction: Server | InviteServer
    dialog: Dialog
    request: Request


class Leg:
    """One leg of a call."""

    __slots__ = (
        "_endpoint", "acceptance", "call", "dialog", "door", "early", "facts", "informing", "keypad", "moving",
        "proposing", "route_choice", "sent_as", "sessions", "supervision", "timer",
    )  # fmt: skip

    call: "CallPort"
    dialog: Dialog | None

    def __init__(
        self,
        endpoint: Endpoint,
        session_timer: SessionTimerSettings,
        sent_as: SentAs | None,
        call: "CallPort | None" = None,
    ) -> None:
        """``call`` is set later where it is not known yet, but before anything happens."""
        self._endpoint = endpoint
        self.sent_as = sent_as
        """Name and headers by which its trunk knows the switch; None = the usual ones."""
        self.route_choice: RouteChoice | None = None
        """The route of the attempt that the leg is of; None for a caller."""
        if call is not None:
            self.call = call
        self.dialog = None
        self.early: EarlyDialogs | None = None
        """Our INVITE and its forks, until it has a final response."""

        doors = endpoint.doors
        self.door = None if doors is None else Door(doors, doors.keeper)
        """Messages that have not left; None = all leave at once."""
        self.facts = LegFacts()
        if self.door is not None and (number := self.door.keeper.number_of_leg()):
            self.facts.media = LegMedia(number)
        self.sessions = LegSessions()
        self.acceptance: Acceptance | None = None
        """Our 200 that waits for its ACK."""
        self.moving: Move | None = None
        """The target refresh request that this side has made last."""
        self.proposing: Server | None = None
        """The PRACK of this side whose offer was forwarded."""
        self.informing = 0
        """INFO requests of this side that the other one has not answered yet."""
        self.keypad: PressedKeys | None = None
        """The keys that it has pressed, if they may transfer its call."""
        self.timer = SessionTimer(session_timer)
        self.supervision: Supervision | None = None
        """Session timer and limits, from the answer to the end."""

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """Early dialogs by their remote tags."""
        return NO_FORKS if self.early is None else self.early.forks

    @property
    def usable_dialog(self) -> Dialog:
        """The dialog in which requests are sent: the confirmed one, before the answer that of a fork.

        Raises:
            RuntimeError: there is none yet.
        """
        dialog = self.dialog
        if dialog is None and self.early is not None:
            dialog = self.early.speaking
        if dialog is None:
            raise RuntimeError(f"{self!r} has no dialog yet")
        return dialog

    @property
    def host(self) -> str:
        """Address that packets of this side come from."""
        if self.dialog is not None:
            return self.dialog.seen_at.host
        return self.usable_dialog.seen_at.host if self.early is None else self.early.host

    def moved(self) -> None:
        """Report a changed remote target, session or session timer to the call."""
        self.call.board.moved()

    def note_privacy(self, message: Message) -> None:
        """Note a wish for privacy: from now on no description of this side names anyone, nor one received before."""
        if self.facts.is_anonymous or self.call.state is CallState.OVER or not withholds_session(message):
            return
        self.withhold_names()

    def withhold_names(self) -> None:
        """Leave out what this side has written about itself, and writes till the call ends."""
        early, inviter = self.early, self.call.caller.inviter
        self.facts.is_anonymous = True
        self.sessions.withhold_names()
        if early is not None:
            for sessions in early.sessions.values():
                sessions.withhold_names()
        if inviter is not None and inviter.leg is self:
            inviter.withhold_names()
        self.moved()

    def note_response(self, response: Response, now: Instant) -> None:
        """Note a final response within the dialog: it may prove that the peer is alive, or have a wish for privacy."""
        if is_alive(response.status):
            self.facts.last_seen_at = now
        if response.header("privacy") or response.header("remote-party-id"):
            self.note_privacy(response)

    def take_session(self, message: Message) -> bytes:
        """Take the capabilities and the session description from a message; return the latter."""
        if message.header("allow") is not None:
            self.facts.take_capabilities(message)
        session = message.body
        if not session:
            return session
        dialog = self.dialog
        facts = self.facts
        is_plain = dialog is not None and not dialog.is_behind_nat and not facts.is_anonymous
        is_bare = message.header("content-type") == SESSION and message.header("content-encoding") is None
        if not (is_plain and is_bare):
            session = self.session_in(message)
        elif facts.media is not None:
            session = Authored(session, facts.media.number)
        if session and self.sessions.remote:
            self.sessions.note(session)
            self.moved()
        elif session:
            self.sessions.remote = session
        return session

    def session_in(self, message: Message) -> bytes:
        """Return the session description of a message of this side, empty if it has none.

        That of a peer behind NAT carries the address it came from; ``as_sent`` rewrites it for the other side. Where
        the switch handles media, a description carries its author; of a peer that asked for privacy it names no one.
        """
        session = session_of(message)
        dialog, media = self.dialog, self.facts.media
        if self.facts.is_anonymous:
            session = anonymous(session)
        if not session or (dialog is not None and not dialog.is_behind_nat and media is None):
            return session
        host, author = self._host_behind_nat(message), 0 if media is None else media.number
        if host:
            return Hidden(session, host, author)
        return Authored(session, author) if author else session

    def as_sent(self, session: bytes, offer: bytes = b"") -> bytes:
        """Return a description as it is sent, as the successor of the one before (RFC 3264 section 8).

        It has the next version of the same origin, and as many media as ``offer``, which it answers or follows, or as
        before; a first answer has no fewer than the offer (RFC 3264 section 6). A gateway that all calling numbers are
        withheld from is sent no names either.
        """
        if session:
            author, before = session.author if isinstance(session, Authored) else 0, offer or self.sessions.said
            is_repeated = session is self.sessions.said
            if isinstance(session, Hidden):
                session = session.for_one_at(self.host)
            if self.route_choice is not None and self.route_choice.gateway.dialect.privacy is _ANONYMISE:
                session = anonymous(session)
            media, offered = session.count(MEDIUM), self.sessions.remote.count(MEDIUM)
            if before and media != before.count(MEDIUM):
                session = fitted(session, before)
            elif not before and 0 < media < offered:  # the first answer: it is left as it is where it has more
                session = fitted(session, self.sessions.remote)
            if self.sessions.said or self.sessions.given_up:
                session = self.sessions.numbered(session)
            if author and not isinstance(session, Authored):
                session = Authored(session, author)
                session.is_repeated = is_repeated
            self.sessions.said = session
        return session

    def _host_behind_nat(self, message: Message) -> str:
        """Return the address that a message of this side came from if it is behind NAT, else nothing."""
        dialog = self.dialog
        if dialog is not None:
            return dialog.seen_at.host if dialog.is_behind_nat else ""
        return "" if self.early is None else self.early.host_behind_nat(message)

    # -- requests of ours ---------------------------------------------------------------------------------------

    def ask(self, method: str, headers: str, body: bytes, owner: ClientOwner | None, now: Instant) -> Client:
        """Send a request that changes no session."""
        client = Client(store=self._endpoint.store, owner=owner)
        self.send(OutgoingRequest(headers, body, client, self.usable_dialog, method), now)
        return client

    # -- requests of the peer -----------------------------------------------------------------------------------

    def agree(
        self, transaction: Server | InviteServer, session: bytes, now: Instant, forwarded: Message | None = None
    ) -> None:
        """Answer an offer of this side with 200; other bodies of the response that is ``forwarded`` pass by rule."""
        parts = parts_for(self, forwarded)
        if transaction is self.proposing:
            self.proposing = None
            session = self.as_sent(session, self.sessions.remote)
            headers = of_response(self._endpoint, 200, SDP if session else "")
            agreed_in = None if forwarded is None else self.call.conversation.bridge
            self.send(OutgoingResponse(headers, session, transaction, 200, "", agreed_in, enclosed=parts), now)
            return
        moving, lines, offer = self.moving, "", b""
        if moving is not None and moving.transaction is transaction:
            if moving.request.body:
                offer = self.sessions.remote
            if self._endpoint.dialogs.refresh(moving.dialog, moving.request):
                self.moved()
            self.moving = None
            if self.supervision is not None:
                before = self.timer.agreed, self.timer.floor_s
                lines = self.timer.accept(Wish.of(moving.request), now)
                self.supervision.refreshed(now)
                if (self.timer.agreed, self.timer.floor_s) != before:
                    self.moved()
        dialog = self.usable_dialog
        session = self.as_sent(session, offer)
        headers = of_agreement(self._endpoint, dialog, session, self.timer, lines)
        if isinstance(transaction, InviteServer):
            self.acceptance = Acceptance(dialog, transaction.sequence, store=self._endpoint.store, owner=self)
            is_agreed = forwarded is not None
            self.send(OutgoingSuccess(headers, session, transaction, self.acceptance, is_agreed, enclosed=parts), now)
            if transaction.state is TransactionState.PROCEEDING:
                self.moving = moving  # its 200 waits: after a kill the next process refuses it
        else:
            agreed_in = None if forwarded is None else self.call.conversation.bridge
            self.send(OutgoingResponse(headers, session, transaction, 200, "", agreed_in, enclosed=parts), now)

    def respond(
        self,
        transaction: Server | InviteServer,
        status: int,
        now: Instant,
        headers: str = "",
        forwarded: Message | None = None,
    ) -> None:
        """Answer a request of this side without changing the session; ``forwarded`` is as in ``agree``."""
        if transaction is self.proposing:
            self.proposing = None
        tag, lines = "" if self.dialog is None else self.dialog.local_tag, of_response(self._endpoint, status, headers)
        parts = () if forwarded is None else parts_for(self, forwarded)
        self.send(OutgoingResponse(lines, b"", transaction, status, tag, enclosed=parts), now)

    def request_came(self, event: RequestArrived) -> None:
        """Handle a request within the dialog."""
        request, transaction, now = event.request, event.transaction, event.at
        self.facts.last_seen_at = now
        if request.method != "BYE" and (request.header("privacy") or request.header("remote-party-id")):
            self.note_privacy(request)
        match request.method:
            case "BYE" if self.dialog is None:  # the called side may end no early dialog (RFC 3261 section 15)
                self.respond(transaction, 481, now)
            case "BYE":
                self.call.conversation.to_forward = request
                self.send(OutgoingResponse(self._endpoint.server_header, b"", transaction, 200, ""), now)
                text = cause = None
                if request.header("reason") is not None:
                    text, cause = reason_text(request), self._cause_in(request)
                self.call.journey.reason_text = text
                self.call.hung_up(self, cause, now)
                self.call.conversation.to_forward = None  # after a transfer the call goes on, and another BYE ends it
            case "INVITE" | "UPDATE" if (refusal := objection(Wish.of(request), self.timer.settings)) is not None:
                status, line = refusal
                self.respond(transaction, status, now, line)
            case "INVITE" | "UPDATE":
                if self.moving is None or self.moving.transaction.state is not TransactionState.PROCEEDING:
                    # The Contact of a target refresh request holds once it is accepted (RFC 3261 section 12.2.2). A
                    # second offer before that is refused with 500, and must not replace the first one here.
                    self.moving = Move(transaction, event.dialog, request)
                if isinstance(transaction, InviteServer):
                    transaction.owner = self
                    self.respond(transaction, 100, now)
                listener = self.call.caller.leg  # written out: most calls have none that is shown the other's number
                if listener is None or listener is self or listener.sent_as is None:
                    self.call.conversation.asked(self, event)
                else:
                    self._asked_by_callee(listener, listener.sent_as, event)
            case "INFO" | "REFER" | "PRACK":
                self.call.conversation.asked(self, event)
            case _:
                self.respond(transaction, 200, now, CAPABILITIES)

    def _cause_in(self, request: Request) -> int | None:
        """Return the Q.850 cause of a BYE as the trunk counts it."""
        cause, sent_as = q850_cause(request), self.sent_as
        return cause if sent_as is None or sent_as.causes is None else sent_as.causes.counted_as(cause)

    def _asked_by_callee(self, caller: "Leg", sent_as: SentAs, event: RequestArrived) -> None:
        """Forward a re-INVITE or UPDATE; show the caller the number of the callee if that has changed (RFC 4916)."""
        if sent_as.shows_connected:
            identity_came(self, event.request)
        self.call.conversation.asked(self, event)
        supervision = caller.supervision
        if self.facts.asserted not in {"", caller.facts.connected} and supervision is not None:
            supervision.show_identity(event.at)

    def cancelled(self, event: CancelArrived) -> None:
        """Handle a CANCEL of a re-INVITE of this side, or hang up where it waited for a start, as the answer did.

        That is the BYE of a caller that has gone before it was answered: it sends no ACK.
        """
        journey, bridge = self.call.journey, self.call.conversation.bridge
        answered_at = None if self is not self.call.caller.leg else journey.answered_at
        if event.transaction is not None:
            if bridge is not None:
                bridge.session_unwanted(self, event.at)
        elif answered_at is not None and event.at.came.mono < answered_at.mono:
            journey.reason_text = reason_text(event.request)
            self.call.hung_up(self, q850_cause(event.request), event.at)

    def ack_came(self, event: AckArrived) -> None:
        """Take the ACK of our 200; ignore a repeated one."""
        acceptance = self.acceptance
        if acceptance is not None and acceptance.is_acknowledged_by(event.request):
            acceptance.acknowledged()
            self.acceptance = None
            if not self.facts.is_confirmed:
                self.facts.is_confirmed = True
                if self is not self.call.caller.leg:  # it has taken a side over, and was written when it had no ACK
                    self.call.board.moved()
            self.facts.last_seen_at = event.at
            session = b""
            if event.request.body:
                if event.request.header("privacy") or event.request.header("remote-party-id"):
                    self.note_privacy(event.request)
                session = self.session_in(event.request)
            if session:
                if self.call.conversation.is_media_blocked(self, session, self.sessions.remote, event.at):
                    self.call.end(EndReason.GEOFENCE_BLOCKED, event.at)  # an ACK has no response
                    return
                self.sessions.note(session)
                self.moved()
            if event.request.body:
                self.call.conversation.to_forward = event.request
            self.call.acknowledged(self, session, event.at)
            self.call.conversation.to_forward = None

    def ack_missing(self, event: AckMissing) -> None:
        """Report that our 200 was never acknowledged (RFC 3261 section 13.3.1.4)."""
        self.acceptance = None
        self.call.ack_missing(self, event.at)

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Report a second answer under another tag, which is hung up already: another fork of our INVITE may charge."""
        callee = self.call.callee
        if callee is not None and callee.leg is self:
            callee.unwanted_answer(event)

    def earlier_answer_came(self, event: EarlierAnswer) -> None:
        """Offer this side the session in force again: it has accepted one that the other side was refused.

        A restart was between offer and answer, a connection was lost, or it has crossed our CANCEL. A repeated answer
        changes nothing.
        """
        dialog, call, sessions, known = self.dialog, self.call, self.sessions, self.facts.known_sequence
        if known is not None and known < event.response.cseq.number <= known + COUNTED_SINCE:
            self.facts.known_sequence = None  # a side has one INVITE at a time: what follows is a repetition
            # The offer of the last second before a kill is not known, nor how far its version was raised.
            sessions.given_up = sessions.given_up or raised(sessions.said, COUNTED_SINCE)
        if not sessions.given_up or dialog is None:
            return
        if self._endpoint.dialogs.refresh(dialog, event.response):
            self.moved()
        if call.callee is not None and call.conversation.is_established:
            call.conversation.bridge_to(call.callee).offer_again(self, event.at)

    # -- the end ------------------------------------------------------------------------------------------------

    def hang_up(self, reason: str, now: Instant) -> None:
        """Send BYE; ``reason`` are whole Reason lines."""
        if self.keypad is not None:
            self.keypad.stop()
        dialog = self.dialog or self.usable_dialog
        # The called party must not send BYE before the ACK of its 2xx or the time-out of that (RFC 3261 section 15).
        if self.acceptance is not None and not self.facts.is_confirmed:
            self.acceptance.overtaken = self.facts.overtaken
            supervision, self.supervision = self.supervision, None
            if supervision is not None:
                supervision.stop(now)
            if self.door is not None:  # requests of the peer are answered for a call that is over from now on
                self._endpoint.bye_after_ack(self.acceptance, reason)
                self.door.keeper.leg_over(self, now)
            self.send(OutgoingBye(reason, b"", dialog, self.acceptance), now)
            return
        self.close(now)
        self.send(OutgoingBye(reason, b"", dialog, None), now)

    def close(self, now: Instant) -> None:
        """Drop the dialog without sending anything, but a BYE that waits for an ACK."""
        if self.keypad is not None:
            self.keypad.stop()
        if self.acceptance is not None and self.acceptance.owner is None:
            return
        supervision, self.supervision = self.supervision, None
        if supervision is not None and supervision.pending is not None:
            supervision.stop(now)
        if self.acceptance is not None:
            unsent = None if self.door is None else self.door.withdraw(self.acceptance, now)
            if isinstance(unsent, OutgoingSuccess):
                self._refuse_instead(unsent, 487, now)
            else:
                self.acceptance.acknowledged()
            self.acceptance = None
        if self.dialog is not None:
            self._endpoint.dialogs.forget(self.dialog.local_tag, now, self.facts.overtaken)
        if self.door is not None:
            self.door.keeper.leg_over(self, now)

    # -- the door -----------------------------------------------------------------------------------------------

    def send(self, message: Outgoing, now: Instant, *, is_examined: bool = False) -> None:
        """Let a message leave, at once or by the door: every message of a leg passes here."""
        if self.sent_as is not None and not is_examined:
            rule(message, self, self.sent_as)
        if self.door is not None and not is_examined and not self.door.take(message, self, now):
            return
        if message.body and message.body.count(MEDIUM) > (known := self.sessions.remote).count(MEDIUM) > 0:
            message.body = without_foreign(message.body, known)
        if message.enclosed:
            with_enclosed(message)
        endpoint = self._endpoint
        headers, body = message.headers, message.body
        # ``match`` asks the metaclass of a struct for each class: too dear for the messages of every call.
        if type(message) is OutgoingResponse:
            message.transaction.respond(message.status, message.tag, headers, now, body)
        elif type(message) is OutgoingAck:
            endpoint.client.send_ack(message.transaction, message.dialog, headers, body)
        elif type(message) is OutgoingBye and message.acceptance is None:
            endpoint.client.send_bye(message.dialog, headers, now, body)
        elif type(message) is OutgoingInvite:
            endpoint.client.begin_invite(
                message.transaction, message.parts, message.hops, headers, body, now, is_fixed=message.is_fixed
            )
        elif type(message) is OutgoingSuccess:
            message.acceptance.begin(message.transaction, headers, body, now)
            if self.door is not None and not is_examined:
                self.call.sent(self, message, now, has_waited=False)
        else:
            self._send_rarer(message, now)

    def _send_rarer(self, message: Outgoing, now: Instant) -> None:
        """Let a message leave that most calls do not have."""
        client, headers, body, choice = self._endpoint.client, message.headers, message.body, self.route_choice
        is_fixed = choice is not None and choice.gateway.keeps_transport
        match message:
            case OutgoingRequest():
                client.begin_request(
                    message.transaction, message.dialog, message.method, headers, body, now, is_fixed=is_fixed
                )
            case OutgoingReinvite():
                client.begin_reinvite(message.transaction, message.dialog, headers, body, now, is_fixed=is_fixed)
            case OutgoingReliable():
                message.provisional.begin(message.transaction, message.status, message.tag, headers, body, now)
            case OutgoingCancel(is_abandoned=True):
                message.transaction.abandon(headers, now, message.witness)
            case OutgoingCancel():
                message.transaction.cancel(headers, now)
            case OutgoingBye(acceptance=acceptance) if acceptance is not None:
                self._endpoint.bye_after_ack(acceptance, headers)

    def sent(self, message: Outgoing, now: Instant) -> None:
        """Report an INVITE, or its 200, that has left after a wait."""
        if type(message) is OutgoingInvite or type(message) is OutgoingSuccess:
            self.call.sent(self, message, now)

    def not_sent(self, message: Outgoing, now: Instant) -> None:
        """Handle that the door has not let a message out: its answer will not come."""
        match message:
            case OutgoingInvite():
                message.transaction.withdraw()
                self.call.not_sent(self, message, now)
            case OutgoingReinvite() | OutgoingRequest():
                transaction, owner = message.transaction, message.transaction.owner
                transaction.withdraw()
                if owner is not None:
                    owner.no_response(NoResponse(owner, transaction, now, is_unreachable=True))
            case OutgoingAck(transaction=transaction, dialog=dialog):
                self.send(OutgoingAck("", b"", transaction, dialog), now, is_examined=True)
                # Its offer has no answer that it may be sent.
                self.call.lost(self, 488, now, self._withheld_for)
            case OutgoingSuccess() if not self.call.not_sent(self, message, now):
                self._refuse_instead(message, 500, now)
                if message.is_agreed:
                    # The other side has its answer: they have no session in common.
                    self.call.lost(self, 488, now, self._withheld_for)
            case OutgoingResponse(transaction=transaction, agreed_in=agreed_in) if (
                (bridge := self.call.conversation.bridge) is not None
                and bridge is agreed_in  # else that other side has left the call
            ):
                bridge.refuse_agreed(self, transaction, 500, now, self._withheld_for)
            case OutgoingResponse(transaction=transaction):
                self.respond(transaction, 500, now)

    @property
    def _withheld_for(self) -> EndReason:
        """Why the call ends where the doorkeeper has withheld the description of the other side."""
        refusal = None if self.facts.media is None else self.facts.media.refusal
        return EndReason.NO_COMMON_CODEC if refusal is None else refusal.end_reason

    def _refuse_instead(self, message: OutgoingSuccess, status: int, now: Instant) -> None:
        """Refuse an INVITE whose 200 was not let out."""
        if message.acceptance.owner is None:  # the call is over, and a BYE would have followed
            self._endpoint.dialogs.forget(message.acceptance.dialog.local_tag, now)
        if self.acceptance is message.acceptance:
            self.acceptance = None
        tag = message.acceptance.dialog.local_tag
        refusal = OutgoingResponse(of_response(self._endpoint, status), b"", message.transaction, status, tag)
        self.send(refusal, now)
