"""The leg of a vendor: one attempt at one gateway, and the dialog of the call if that gateway answers first."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vosd.b2bua.attempt_progress import AttemptProgress, EarlyDialogs, Pracking
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.outgoing.headers import SDP, of_prack
from vosd.b2bua.outgoing.invitation import Invitation, written
from vosd.b2bua.outgoing.reasons import NO_CAUSES, given_by_caller, reason_headers
from vosd.b2bua.supervision import Supervision, SupervisionFacts
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.cdr.record import FORKED
from vosd.routing.failover import AttemptOutcome, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import rseq_of
from vosd.sip.dialog.table import NO_FORKS
from vosd.sip.digest.answer import Answers
from vosd.sip.door.messages import Outgoing, OutgoingAck, OutgoingCancel, OutgoingInvite, OutgoingRequest
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import NoResponse, ResponseArrived, UnwantedAnswer
from vosd.sip.flows import peer_of
from vosd.sip.headers.reason import q850_cause, reason_text
from vosd.sip.nat import is_behind_nat
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.states import TransactionState
from vosd.sip.wire.message import Message, Response
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import Reliability
from vosd.trunks.gateways import Address

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort

EARLY_MAX = 16
"""Most early dialogs of one INVITE; a gateway hardly rings more phones at once."""


class CalleeLeg(Leg):
    """The leg of a vendor."""

    __slots__ = ("_invite_sequence", "address", "answer", "choice", "early", "peer", "progress", "tag", "transaction")

    def __init__(
        self,
        endpoint: Endpoint,
        call: "CallPort",
        choice: RouteChoice,
        address: Address,
        progress: AttemptProgress,
        invite_sequence: int = 0,
    ) -> None:
        """Nothing is sent before ``begin``, and it has neither tag nor address of the peer.

        ``invite_sequence`` is the CSeq of an INVITE whose 2xx has its ACK.
        """
        dialect = choice.gateway.dialect
        super().__init__(endpoint, dialect.reasons, dialect.session_timer, dialect.sent_as)
        self.call = call
        self.choice = choice
        self.address = address
        self.progress = progress
        self.early: EarlyDialogs | None = None
        """Until the gateway has answered."""
        self.answer = b""
        self.dialog: Dialog | None = None
        self._invite_sequence = invite_sequence
        self.transaction: InviteClient
        """Transaction of the INVITE, until its 2xx has its ACK."""
        self.peer: Peer
        self.tag: str
        """Ours."""

    def begin(self, offer: bytes, hops: int, now: Instant) -> str:
        """Send the INVITE with ``offer``, the caller's or one that a media engine has rewritten; return its Call-ID."""
        endpoint, choice, address, caller = self._endpoint, self.choice, self.address, self.call.caller
        dialect, login = choice.gateway.dialect, choice.gateway.login
        self.tag = endpoint.token()
        flow = address.flow
        if flow is None:
            flow = endpoint.flows.towards(address.host, address.transport, dialect.interface)
        self.peer = peer_of(flow, address.host, address.port or 5060)
        offer = self._as_sent(offer)
        invitation = written(
            endpoint, choice, address, self.peer, hops,
            caller_identity=caller.caller_identity,
            tag=self.tag,
            offer=offer,
            # A reliable offer would have to be answered by the caller in a PRACK: only if it can (RFC 3262 section 5).
            may_be_reliable=dialect.reliability is not Reliability.OFF and (bool(offer) or caller.takes_100rel),
            answers=None if login is None else Answers(login, self.call.settings.challenges_max, choice.gateway.name),
        )  # fmt: skip
        self.early = EarlyDialogs(invitation)
        self._invite(invitation, now)
        return invitation.parts.call_id

    def begin_again(self, now: Instant) -> None:
        """Send the INVITE that waited to be sent when the process before ended."""
        if self.transaction.is_unsent and self.early is not None and self.early.invitation is not None:
            self._invite(self.early.invitation, now)

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def route_choice(self) -> RouteChoice:
        """The route of the attempt."""
        return self.choice

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """Early dialogs by their remote tags; those of unreliable responses are made when one is needed."""
        early = self.early
        if early is None:
            return NO_FORKS
        dialogs = early.dialogs
        for tag, response in early.unread.items():
            if tag not in dialogs and len(dialogs) < EARLY_MAX:
                dialogs[tag] = self._dialog_of(response)
        early.unread.clear()
        return dialogs

    @property
    def owns_call_id(self) -> bool:  # type: ignore[override]
        """Whether the INVITE was ours: a phone that has taken the call over has sent its own."""
        return self.invite_sequence > 0

    @property
    def invite_sequence(self) -> int:
        """The CSeq of the INVITE; 0 where it was the peer's."""
        return self._invite_sequence or self.transaction.parts.sequence

    @property
    def host(self) -> str:
        """Address that packets of this side come from."""
        dialog = self.dialog or self.early_dialog
        return self.peer.host if dialog is None else dialog.seen_at.host

    @property
    def has_responded(self) -> bool:
        """Whether the gateway has sent any response."""
        return self.transaction.state is TransactionState.PROCEEDING

    @property
    def is_acknowledged(self) -> bool:
        """Whether the gateway's 200 has its ACK."""
        return self.progress.acknowledged

    @property
    def is_early(self) -> bool:
        """Whether the gateway has not answered yet."""
        return self.dialog is None

    @property
    def early_dialog(self) -> Dialog | None:
        """The early dialog in which offer and answer have gone through, if there is one."""
        early = self.early
        if early is None or early.speaker is None or not self.progress.is_settled:
            return None
        return early.dialogs.get(early.speaker)

    @property
    def speaking_dialog(self) -> Dialog | None:
        """The dialog of the fork whose session the caller was sent, else of the latest one; None before any 18x."""
        if self.dialog is not None:
            return self.dialog
        forks = self.forks
        speaker = "" if self.early is None else self.early.speaker
        return forks.get(speaker or "") or next(reversed(list(forks.values())), None)

    # -- events -------------------------------------------------------------------------------------------------

    def response_came(self, event: ResponseArrived) -> None:
        """Take a response to the INVITE."""
        self.call.to_forward = response = event.response
        status = response.status
        if status < 200:
            self._take_provisional(response, event.at)
        elif status < 300:
            if self.progress.rang_at is None:
                self.progress.rang_at = event.at.came
            self._establish(response, event.at)
            self.call.answered(self, event.at)
        elif status == 422 and not self.timer.has_min_se and self.timer.accept_min_se(response):
            # The gateway wants a longer session interval (RFC 4028 section 7.3). Once: a second 422 is a refusal.
            self._invite_again(event.at)
        else:
            self.progress.q850 = q850_cause(response)
            self.call.attempt_failed(self, response, event.at)

    def no_response(self, event: NoResponse) -> None:
        """The INVITE got no response (timer B), or could not be delivered."""
        self.transaction.witness = self._remembered()
        outcome = AttemptOutcome.unreachable() if event.is_unreachable else AttemptOutcome.silent()
        self.call.attempt_silent(self, outcome, event.at)

    def sent(self, message: Outgoing, now: Instant) -> None:
        """Let the time of the gateway to respond begin when its INVITE leaves."""
        if isinstance(message, OutgoingInvite):
            self.call.attempt_sent(self, now)

    def not_sent(self, message: Outgoing, now: Instant) -> None:
        """End the attempt if its INVITE was not let out: that says nothing of the vendor."""
        if isinstance(message, OutgoingInvite):
            self.transaction.withdraw()
            self.call.attempt_withheld(self, now)
        else:
            super().not_sent(message, now)

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Record that another fork answered too; it is hung up already."""
        if event.response.cseq.number == self.invite_sequence:  # else to a re-INVITE, which no vendor bills
            row = self.progress.row(self.choice.gateway.name, 200, FORKED, event.at)
            self.call.unwanted_answer(row, event.at, self._remembered())

    # -- actions ------------------------------------------------------------------------------------------------

    def acknowledge(self, answer: bytes, now: Instant) -> None:
        """Acknowledge the gateway's 200, with the caller's answer if the offer was the gateway's."""
        if self.dialog is not None and not self.progress.acknowledged:
            self.progress.acknowledged = True
            answer = self._as_sent(answer) if answer else b""
            self.send(OutgoingAck(SDP if answer else "", answer, self.transaction, self.dialog), now)
            self._invite_sequence = self.transaction.parts.sequence
            self.transaction = self._endpoint.acknowledged_invite

    def answer_early_offer(self, answer: bytes, now: Instant) -> None:
        """Send the caller's answer to an offer of the ringing gateway, in a PRACK."""
        early = self.early
        if early is not None and early.pracking is not None:
            pracking, early.pracking = early.pracking, None
            answer = self._as_sent(answer)
            self.progress.is_settled = bool(answer)
            self._send_prack(pracking, answer, now)

    def give_up(self, reason: EndReason, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """Send CANCEL, or BYE if the attempt was answered; a late 2xx is answered with ACK and BYE.

        ``given`` are causes by protocol that the caller gave.
        """
        lines = (
            given_by_caller(self.reasons, reason, given)
            if given
            else reason_headers(self.reasons, reason, reason.q850_cause, reason.sip_status)
        )
        if self.dialog is not None:
            self.hang_up(lines, now)
        else:
            self._abandon(lines, now)

    def leave(self, outcome: AttemptOutcome, now: Instant) -> None:
        """Send CANCEL to a gateway that has not answered in time, with the reason that the caller may get."""
        end = verdict([outcome])
        cause = end.reason.q850_cause if end.q850 is None else end.q850
        self._abandon(reason_headers(self.reasons, end.reason, cause, end.status), now)

    def timed_out(self) -> AttemptOutcome:
        """Return the outcome of an attempt that was not answered in time."""
        outcome = AttemptOutcome.ring_timeout(rang=self.progress.rang, had_media=self._has_media)
        return outcome if self.has_responded else AttemptOutcome.silent()

    def given_up(self, now: Instant) -> AttemptOutcome | None:
        """Return the outcome of an attempt that its call ends before the time-out; None = it says nothing.

        Callers may hang up before ``response_timeout``: half of it without any response counts as silence, but not of
        a gateway whose INVITE still waits to be sent.
        """
        if self.transaction.is_unsent:
            return None
        patience_ms = self.choice.gateway.response_timeout_ms // 2
        is_silent = not self.has_responded and now.mono - self.progress.started_at.mono >= patience_ms
        return AttemptOutcome.silent() if is_silent else None

    def refusal(self, response: Response) -> AttemptOutcome:
        """Return the outcome that a final response is; the trunk's ``reject_codes`` apply."""
        code = self.choice.gateway.dialect.counted_as(response.status)
        text, had_media = reason_text(response), self._has_media
        return AttemptOutcome.final(
            code, rang=self.progress.rang, q850=self.progress.q850, text=text, had_media=had_media
        )

    @property
    def _has_media(self) -> bool:
        """Whether a fork has sent early media."""
        return self.early is not None and self.early.speaker is not None

    def _host_behind_nat(self, message: Message) -> str:
        """Return the address that a message of this side came from if it is behind NAT, else nothing."""
        dialog = self.dialog or self.early_dialog
        if dialog is not None:
            return dialog.seen_at.host if dialog.is_behind_nat else ""
        return self.peer.host if is_behind_nat(self.transaction.parts.nat, message, self.peer) else ""

    def _remembered(self) -> GivenUp:
        """Return what has to be known of this attempt if a phone answers it in vain."""
        sip_call_id = self.transaction.parts.call_id if self.dialog is None else self.dialog.call_id
        address, progress = str(self.peer), self.progress
        gateway = self.choice.gateway.name
        return GivenUp(self.call, gateway, self.choice, sip_call_id, address, progress.started_at, progress.pdd_ms)

    def close(self, now: Instant) -> None:
        """Drop the dialog; a 200 that still waits for the caller's answer is acknowledged without one."""
        if self.dialog is not None and not self.progress.acknowledged:
            self.acknowledge(b"", now)
        if self.transaction.owner is self:  # the INVITE has no final response: a late 2xx needs ACK and BYE
            self._withdraw("", now)
        super().close(now)
        if self.dialog is None:  # there may be early dialogs
            self._endpoint.forget(self.tag, now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _invite(self, invitation: Invitation, now: Instant) -> None:
        headers = f"{invitation.headers}{self.timer.first_offer()}{invitation.content}"
        self.transaction = transaction = InviteClient(store=self._endpoint.store, owner=self)
        self.send(
            OutgoingInvite(
                headers, invitation.body, transaction, invitation.parts, invitation.hops, invitation.is_fixed
            ),
            now,
        )

    def _abandon(self, headers: str, now: Instant) -> None:
        self._endpoint.forget(self.tag, now)
        self._withdraw(headers, now)
        if self.door is not None:
            self.door.leg_over(self, now)

    def _withdraw(self, headers: str, now: Instant) -> None:
        self.send(OutgoingCancel(headers, b"", self.transaction, True, self._remembered()), now)

    def _forked(self) -> EarlyDialogs:
        """Return the forks of an INVITE that has no final response."""
        if self.early is None:
            raise RuntimeError(f"{self!r} was answered already")
        return self.early

    def _established(self) -> Dialog:
        return self.speaking_dialog or super()._established()

    def _take_provisional(self, response: Response, now: Instant) -> None:
        status, progress = response.status, self.progress
        if status == 100:  # of the next hop alone: it says nothing of the called party (RFC 3261 section 8.2.6.1)
            progress.tried_at = progress.tried_at or now
            self.call.progressed(self, status, b"", now)
            return
        number = None if response.header("rseq") is None else rseq_of(response)
        if number is not None and not self._take_reliable(response, number, now):
            return
        if status in RINGING:
            progress.rang = True
            if progress.rang_at is None:
                progress.rang_at = now.came if now.waited_ms else now
        elif progress.tried_at is None:
            progress.tried_at = now
        tag = response.to_tag
        early = self.early
        if tag and number is None and early is not None and tag not in early.unread and len(early.unread) < EARLY_MAX:
            if not early.unread and not early.dialogs:
                self._endpoint.adopt(self.tag, self)
            early.unread[tag] = response
        session = self._take_session(response)
        if session:
            session = self._early_media(response.to_tag, session, now, is_sure=number is not None)
        self.call.progressed(self, status, session, now)

    def _early_media(self, tag: str, session: bytes, now: Instant, *, is_sure: bool) -> bytes:
        """Switch to the fork that sends media; return its session, nothing if it may not be used."""
        if not self.sessions.said and not is_sure:
            # Without an offer of ours it is an offer, and only a reliable response may carry one (RFC 3261 13.2.1).
            return b""
        early = self._forked()
        sessions = early.sessions
        if tag not in sessions and len(sessions) >= EARLY_MAX:
            return b""
        self._switch_to(early, tag, now)
        sessions[tag] = session
        return session

    def _take_reliable(self, response: Response, number: int, now: Instant) -> bool:
        """Acknowledge a reliable response; False for a repeated one, or one out of order (RFC 3262 section 4)."""
        tag = response.to_tag
        # RSeq numbers count for each early dialog by itself. The first one may have any number; a gap means that a
        # response is missing, and the gateway repeats it until its PRACK: acknowledging later ones would hide it.
        early = self._forked()
        last = early.rseqs.get(tag)
        if not tag or (last is not None and number != last + 1):
            return False
        dialog = early.dialogs.get(tag)
        if dialog is None:
            if len(early.dialogs) >= EARLY_MAX:
                return False
            dialog = early.dialogs[tag] = self._dialog_of(response)
            self._endpoint.adopt(self.tag, self)
        early.rseqs[tag] = number
        pracking = Pracking(dialog, f"RAck: {number} {self.transaction.parts.sequence} INVITE\r\n")
        session = self.session_in(response)
        if session:
            self._switch_to(early, tag, now)
        if session and not self.sessions.said and not self.progress.is_settled:
            # The session is an offer: the PRACK carries the answer, and waits for the caller's (RFC 3262 section 5).
            early.pracking = pracking
        else:
            self.progress.is_settled = self.progress.is_settled or bool(session)
            self._send_prack(pracking, b"", now)
        return True

    def _send_prack(self, pracking: Pracking, body: bytes, now: Instant) -> None:
        headers = of_prack(self._endpoint, pracking.rack, body)
        transaction = Client(store=self._endpoint.store)
        self.send(OutgoingRequest(headers, body, transaction, pracking.dialog, "PRACK"), now)

    def _dialog_of(self, response: Response) -> Dialog:
        return Dialog.of_callee(self.transaction.parts, self.tag, response, self._endpoint.flows.next_hop)

    def _switch_to(self, early: EarlyDialogs, tag: str, now: Instant, *, answers: bool = False) -> None:
        """Switch the caller to this fork; a session agreed with another one is void (RFC 3261 section 12.1)."""
        if early.speaker is not None and early.speaker != tag:
            self.progress.is_settled = False
            self.call.fork_changed(early.speaker, tag, now, answers=answers)
        early.speaker = tag

    def _establish(self, response: Response, now: Instant) -> None:
        tag, early = response.to_tag, self.early or EarlyDialogs(None)
        if early.speaker is not None and early.speaker != tag:
            self._switch_to(early, tag, now, answers=True)
        # The early dialog has used CSeq numbers for PRACK and UPDATE, so it becomes the confirmed one. A 2xx
        # with an unknown tag comes from another fork and makes a dialog of its own (RFC 3261 section 13.2.2.4).
        self.dialog = early.dialogs.get(tag)
        if self.dialog is not None:
            self.dialog.confirm(response)
        else:
            parts = self.transaction.parts
            self.dialog = Dialog.of_callee(parts, self.tag, response, self._endpoint.flows.next_hop)
        if self.dialog.is_behind_nat or not (early.unread or early.dialogs):
            self._endpoint.adopt(self.tag, self)  # else it was adopted with its first early dialog
        self.early = None
        self.facts.is_confirmed = True
        # A 2xx after a reliable answer need not repeat it (RFC 3261 section 13.2.1): use the one of that fork.
        self.answer = self._take_session(response) or early.sessions.get(tag) or self.sessions.remote
        if self.answer is not self.sessions.remote:
            self.note_session(self.answer)
        self.timer.answered(response, now)
        self.facts.last_seen_at = now
        self.supervision = Supervision(self._endpoint, self, SupervisionFacts(now))
        self.supervision.begin(now)

    def _invite_again(self, now: Instant) -> None:
        """Send the INVITE again with other headers.

        The refusal of the last one has ended its early dialogs (RFC 3261 section 13.2.2.3).
        """
        early = self._forked()
        if early.invitation is None:
            raise RuntimeError(f"{self!r} came without its INVITE")
        invitation = early.invitation.again(self._endpoint, self.transaction.parts, self.forks.values())
        self._endpoint.forget(self.tag, now)
        self.early = EarlyDialogs(invitation, speaker=early.speaker)
        self.progress.is_settled = False
        self._invite(invitation, now)
