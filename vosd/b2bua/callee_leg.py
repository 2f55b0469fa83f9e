"""The leg of a vendor: one attempt at one gateway, and the dialog of the call if that gateway answers first."""

from collections.abc import Mapping

from vosd.b2bua.callee_parts import CalleeParts, Pracking
from vosd.b2bua.given_up import GivenUp, released
from vosd.b2bua.invitation import written
from vosd.b2bua.leg import RINGING, SDP
from vosd.b2bua.reasons import NO_CAUSES, given_by_caller, reason_headers
from vosd.b2bua.supervision import Supervision
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.routing.failover import AttemptOutcome, verdict
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import rseq_of
from vosd.sip.dialog.table import NO_FORKS
from vosd.sip.digest.answer import Answers
from vosd.sip.events import NoResponse, ResponseArrived, UnwantedAnswer
from vosd.sip.flows import peer_of
from vosd.sip.headers.reason import q850_cause, reason_text
from vosd.sip.nat import is_behind_nat
from vosd.sip.transaction.states import State
from vosd.sip.wire.message import Message, Response
from vosd.trunks.dialect import Reliability

EARLY_MAX = 16
"""Most early dialogs of one INVITE; a gateway hardly rings more phones at once."""


class CalleeLeg(CalleeParts):
    """The leg of a vendor."""

    __slots__ = ()

    def begin(self, offer: bytes, hops: int, now: Instant) -> str:
        """Send the INVITE with ``offer``, the caller's or one that a media engine has rewritten; return its Call-ID."""
        endpoint, choice, address, caller = self._endpoint, self.choice, self._address, self.call.caller
        dialect, login = choice.gateway.dialect, choice.gateway.login
        self._tag = endpoint.token()
        flow = address.flow
        if flow is None:
            flow = endpoint.flows.towards(address.host, address.transport, dialect.interface)
        self.peer = peer_of(flow, address.host, address.port or 5060)
        offer = self._as_sent(offer)
        self._invitation = written(
            endpoint, choice, address, self.peer, hops,
            caller_identity=caller.caller_identity,
            tag=self._tag,
            offer=offer,
            # A reliable offer would have to be answered by the caller in a PRACK: only if it can (RFC 3262 section 5).
            may_be_reliable=dialect.reliability is not Reliability.OFF and (bool(offer) or caller.takes_100rel),
            answers=None if login is None else Answers(login, self.call.settings.challenges_max, choice.gateway.name),
        )  # fmt: skip
        self._transaction = self._invitation.send(endpoint, self.timer.first_offer(), self, now)
        return self._invitation.parts.call_id

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """Early dialogs by their remote tags; those of unreliable responses are made when one is needed."""
        if self._unread is not None:
            early = self._early = self._early or {}
            for tag, response in self._unread.items():
                if tag not in early and len(early) < EARLY_MAX:
                    early[tag] = self._dialog_of(response)
            self._unread = None
        return NO_FORKS if self._early is None else self._early

    @property
    def owns_call_id(self) -> bool:  # type: ignore[override]
        """Whether the INVITE was ours: a phone that has taken the call over has sent its own."""
        return self.invite_sequence > 0

    @property
    def invite_sequence(self) -> int:
        """The CSeq of the INVITE; 0 where it was the peer's."""
        return self._invite_sequence or self._transaction.parts.sequence

    @property
    def host(self) -> str:
        """Address that packets of this side come from."""
        dialog = self.dialog or self.early_dialog
        return self.peer.host if dialog is None else dialog.seen_at.host

    @property
    def has_responded(self) -> bool:
        """Whether the gateway has sent any response."""
        return self._transaction.state is State.PROCEEDING

    @property
    def rings_until_ms(self) -> int:
        """End of the trunk's ``ring_timeout``."""
        return self.started_at.mono + self.choice.gateway.ring_timeout_ms

    @property
    def is_only_trying(self) -> bool:
        """Whether it has sent 100 and nothing more, on a trunk with ``progress_timeout``."""
        return self.tried_at is not None and not self.rang and self.choice.gateway.progress_timeout_ms is not None

    @property
    def is_acknowledged(self) -> bool:
        """Whether the gateway's 200 has its ACK."""
        return self._acknowledged

    @property
    def is_early(self) -> bool:
        """Whether the gateway has not answered yet."""
        return self.dialog is None

    @property
    def pdd_ms(self) -> int | None:
        """Milliseconds to the first 18x or 200; None while there is none."""
        return None if self.rang_at is None else self.rang_at.mono - self.started_at.mono

    @property
    def early_dialog(self) -> Dialog | None:
        """The early dialog in which offer and answer have gone through, if there is one."""
        if self._early is None or self._speaker is None or not self.is_settled:
            return None
        return self._early.get(self._speaker)

    @property
    def speaking_dialog(self) -> Dialog | None:
        """The dialog of the fork whose session the caller was sent, else of the latest one; None before any 18x."""
        if self.dialog is not None:
            return self.dialog
        forks = self.forks
        return forks.get(self._speaker or "") or next(reversed(list(forks.values())), None)

    # -- events -------------------------------------------------------------------------------------------------

    def response_came(self, event: ResponseArrived) -> None:
        """Take a response to the INVITE."""
        response = event.response
        status = response.status
        if status < 200:
            self._take_provisional(response, event.at)
        elif status < 300:
            if self.rang_at is None:
                self.rang_at = event.at.came
            self._establish(response, event.at)
            self.call.answered(self, event.at)
        elif status == 422 and not self.timer.has_min_se and self.timer.accept_min_se(response):
            # The gateway wants a longer session interval (RFC 4028 section 7.3). Once: a second 422 is a refusal.
            self._invite_again(event.at)
        else:
            self.q850 = q850_cause(response)
            self.call.attempt_failed(self, response, event.at)

    def no_response(self, event: NoResponse) -> None:
        """The INVITE got no response (timer B), or could not be delivered."""
        self._transaction.witness = self.remembered()
        outcome = AttemptOutcome.unreachable() if event.is_unreachable else AttemptOutcome.silent()
        self.call.attempt_silent(self, outcome, event.at)

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Record that another fork answered too; it is hung up already."""
        row = released(self.choice.gateway.name, self.started_at, self.pdd_ms, "Forked", event.at)
        self.call.unwanted_answer(row, event.at, None)

    # -- actions ------------------------------------------------------------------------------------------------

    def acknowledge(self, answer: bytes) -> None:
        """Acknowledge the gateway's 200, with the caller's answer if the offer was the gateway's."""
        if self.dialog is not None and not self._acknowledged:
            self._acknowledged = True
            answer = self._as_sent(answer) if answer else b""
            self._endpoint.client.send_ack(self._transaction, self.dialog, SDP if answer else "", answer)
            self._invite_sequence = self._transaction.parts.sequence
            self._transaction = self._endpoint.acknowledged_invite

    def answer_early_offer(self, answer: bytes, now: Instant) -> None:
        """Send the caller's answer to an offer of the ringing gateway, in a PRACK."""
        pracking, self._pracking = self._pracking, None
        if pracking is not None:
            answer = self._as_sent(answer)
            self.is_settled = bool(answer)
            self._send_prack(pracking, SDP if answer else "", answer, now)

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

    def waits_until_ms(self) -> int:
        """Return the deadline of the attempt after a provisional response."""
        gateway = self.choice.gateway
        rings_until_ms = self.started_at.mono + gateway.ring_timeout_ms
        if self.rang or self.tried_at is None or gateway.progress_timeout_ms is None:
            return rings_until_ms
        return min(rings_until_ms, self.tried_at.mono + gateway.progress_timeout_ms)

    def timed_out(self) -> AttemptOutcome:
        """Return the outcome of an attempt that was not answered in time."""
        outcome = AttemptOutcome.ring_timeout(rang=self.rang, had_media=self._speaker is not None)
        return outcome if self.has_responded else AttemptOutcome.silent()

    def given_up(self, now: Instant) -> AttemptOutcome | None:
        """Return the outcome of an attempt that its call ends before the time-out; None = it says nothing.

        Callers may hang up before ``response_timeout``: half of it without any response counts as silence.
        """
        patience_ms = self.choice.gateway.response_timeout_ms // 2
        is_silent = not self.has_responded and now.mono - self.started_at.mono >= patience_ms
        return AttemptOutcome.silent() if is_silent else None

    def refusal(self, response: Response) -> AttemptOutcome:
        """Return the outcome that a final response is; the trunk's ``reject_codes`` apply."""
        code = self.choice.gateway.dialect.counted_as(response.status)
        text, had_media = reason_text(response), self._speaker is not None
        return AttemptOutcome.final(code, rang=self.rang, q850=self.q850, text=text, had_media=had_media)

    def attempt(self, code: int, reason: str, now: Instant) -> Attempt:
        """Return the row of this attempt, which came to an end, or to an answer, at ``now``."""
        began_ms = self.started_at.mono
        pdd_ms = None if self.rang_at is None else self.rang_at.mono - began_ms
        return Attempt(self.choice.gateway.name, code, max(0, now.mono - now.waited_ms - began_ms), pdd_ms, reason)

    def host_behind_nat(self, message: Message) -> str:
        """Return the address that a message of this side came from if it is behind NAT, else nothing."""
        dialog = self.dialog or self.early_dialog
        if dialog is not None:
            return dialog.seen_at.host if dialog.is_behind_nat else ""
        return self.peer.host if is_behind_nat(self._transaction.parts.nat, message, self.peer) else ""

    def remembered(self) -> GivenUp:
        """Return what has to be known of this attempt if it is answered after it was given up."""
        sip_call_id, address = self._transaction.parts.call_id, str(self.peer)
        gateway = self.choice.gateway.name
        return GivenUp(self.call, gateway, self.choice, sip_call_id, address, self.started_at, self.pdd_ms)

    def close(self, now: Instant) -> None:
        """Drop the dialog; a 200 that still waits for the caller's answer is acknowledged without one."""
        if self.dialog is not None and not self._acknowledged:
            self.acknowledge(b"")
        if self._transaction.owner is self:  # the INVITE has no final response: a late 2xx needs ACK and BYE
            self._transaction.abandon("", now, self.remembered())
        super().close(now)
        if self.dialog is None:  # there may be early dialogs
            self._endpoint.forget(self._tag, now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _abandon(self, headers: str, now: Instant) -> None:
        self._endpoint.forget(self._tag, now)
        self._transaction.abandon(headers, now, self.remembered())

    def _established(self) -> Dialog:
        return self.speaking_dialog or super()._established()

    def _take_provisional(self, response: Response, now: Instant) -> None:
        status = response.status
        if status == 100:  # of the next hop alone: it says nothing of the called party (RFC 3261 section 8.2.6.1)
            self.tried_at = self.tried_at or now
            self.call.progressed(self, status, b"", now)
            return
        number = None if response.header("rseq") is None else rseq_of(response)
        if number is not None and not self._take_reliable(response, number, now):
            return
        if status in RINGING:
            self.rang = True
            if self.rang_at is None:
                self.rang_at = now.came
        elif self.tried_at is None:
            self.tried_at = now
        tag = response.to_tag
        if tag and number is None:
            if self._unread is None:
                if self._early is None:
                    self._endpoint.adopt(self._tag, self)
                self._unread = {tag: response}
            elif len(self._unread) < EARLY_MAX:
                self._unread.setdefault(tag, response)
        session = self.take_session(response)
        if session:
            session = self._early_media(response.to_tag, session, now, is_sure=number is not None)
        self.call.progressed(self, status, session, now)

    def _early_media(self, tag: str, session: bytes, now: Instant, *, is_sure: bool) -> bytes:
        """Switch to the fork that sends media; return its session, nothing if it may not be used."""
        if not self.said and not is_sure:
            # Without an offer of ours it is an offer, and only a reliable response may carry one (RFC 3261 13.2.1).
            return b""
        if self._sessions is None:
            self._sessions = {}
        if tag not in self._sessions and len(self._sessions) >= EARLY_MAX:
            return b""
        self._switch_to(tag, now)
        self._sessions[tag] = session
        return session

    def _take_reliable(self, response: Response, number: int, now: Instant) -> bool:
        """Acknowledge a reliable response; False for a repeated one, or one out of order (RFC 3262 section 4)."""
        tag = response.to_tag
        # RSeq numbers count for each early dialog by itself. The first one may have any number; a gap means that a
        # response is missing, and the gateway repeats it until its PRACK: acknowledging later ones would hide it.
        if self._received_rseq is None:
            self._received_rseq = {}
        last = self._received_rseq.get(tag)
        if not tag or (last is not None and number != last + 1):
            return False
        if self._early is None:
            self._early = {}
        dialog = self._early.get(tag)
        if dialog is None:
            if len(self._early) >= EARLY_MAX:
                return False
            dialog = self._early[tag] = self._dialog_of(response)
            self._endpoint.adopt(self._tag, self)
        self._received_rseq[tag] = number
        pracking = Pracking(dialog, f"RAck: {number} {self._transaction.parts.sequence} INVITE\r\n")
        session = self.session_in(response)
        if session:
            self._switch_to(tag, now)
        if session and not self.said and not self.is_settled:
            # The session is an offer: the PRACK carries the answer, and waits for the caller's (RFC 3262 section 5).
            self._pracking = pracking
        else:
            self.is_settled = self.is_settled or bool(session)
            self._send_prack(pracking, "", b"", now)
        return True

    def _send_prack(self, pracking: Pracking, headers: str, body: bytes, now: Instant) -> None:
        headers = f"{self._endpoint.agent_header}{pracking.rack}{headers}"
        self._endpoint.client.send_request(pracking.dialog, "PRACK", headers, body, None, now)

    def _dialog_of(self, response: Response) -> Dialog:
        return Dialog.of_callee(self._transaction.parts, self._tag, response, self._endpoint.flows.next_hop)

    def _switch_to(self, tag: str, now: Instant, *, answers: bool = False) -> None:
        """Switch the caller to this fork; a session agreed with another one is void (RFC 3261 section 12.1)."""
        if self._speaker is not None and self._speaker != tag:
            self.is_settled = False
            self.call.fork_changed(self._speaker, tag, now, answers=answers)
        self._speaker = tag

    def _establish(self, response: Response, now: Instant) -> None:
        tag = response.to_tag
        if tag != self._speaker:
            self._switch_to(tag, now, answers=True)
        # The early dialog has used CSeq numbers for PRACK and UPDATE, so it becomes the confirmed one. A 2xx
        # with an unknown tag comes from another fork and makes a dialog of its own (RFC 3261 section 13.2.2.4).
        early = None if self._early is None else self._early.get(tag)
        if early is not None:
            early.confirm(response)
            self.dialog = early
        else:
            parts = self._transaction.parts
            self.dialog = Dialog.of_callee(parts, self._tag, response, self._endpoint.flows.next_hop)
        self._pracking = None
        if self.dialog.is_behind_nat or (self._unread is None and self._early is None):
            self._endpoint.adopt(self._tag, self)  # else it was adopted with its first early dialog
        self._early = self._unread = None
        self._invitation = None
        self._is_confirmed = True
        # A 2xx after a reliable answer need not repeat it (RFC 3261 section 13.2.1): use the one of that fork.
        before = None if self._sessions is None else self._sessions.get(tag)
        self.answer = self.take_session(response) or before or self.remote_session
        if self.answer is not self.remote_session:
            self.note_session(self.answer)
        self._sessions = self._received_rseq = None
        self.timer.answered(response, now)
        self.last_seen_at = now
        self.supervision = Supervision(self._endpoint, self, now)
        self.supervision.begin(now)

    def _invite_again(self, now: Instant) -> None:
        """Send the INVITE again with other headers.

        The refusal of the last one has ended its early dialogs (RFC 3261 section 13.2.2.3).
        """
        if self._invitation is None:
            raise RuntimeError(f"{self!r} was answered already")
        self._invitation = self._invitation.again(self._endpoint, self._transaction.parts, self.forks.values())
        self._endpoint.forget(self._tag, now)
        self._early = self._unread = self._received_rseq = self._pracking = self._sessions = None
        self.is_settled = False
        self._transaction = self._invitation.send(self._endpoint, self.timer.first_offer(), self, now)
