"""One attempt at a gateway: its INVITE, from the first byte to the final response, and the leg that an answer makes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.early_dialogs import EARLY_MAX, EarlyDialogs, Pracking
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.leg_facts import LegSessions
from vosd.b2bua.outgoing.headers import SDP, of_prack
from vosd.b2bua.outgoing.invitation import Invitation, written
from vosd.b2bua.outgoing.presentation import shows_number
from vosd.b2bua.outgoing.reasons import NO_CAUSES, given_by_caller, reason_headers
from vosd.b2bua.outgoing.signatures import SignatureLines, signature_lines
from vosd.b2bua.renegotiation import TRIES_MAX
from vosd.b2bua.stamps import kept_text
from vosd.b2bua.supervision import Supervision, SupervisionFacts
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.cdr.record import DIRECT, FORKED, RELAYED, Attempt
from vosd.routing.failover import AttemptOutcome, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.codec import first_audio_codec
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import rseq_of
from vosd.sip.digest.answer import Answers
from vosd.sip.door.messages import OutgoingAck, OutgoingCancel, OutgoingInvite, OutgoingRequest
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import NoResponse, ResponseArrived, UnwantedAnswer
from vosd.sip.flows import peer_of
from vosd.sip.headers.reason import q850_cause, reason_text
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.states import TransactionState
from vosd.sip.wire.body import hides_session
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import Reliability
from vosd.trunks.gateways import Address

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort

_TRYING = 100
_NO_COMMON_CODEC = EndReason.NO_COMMON_CODEC.text
_EARLY_MEDIA = "p-early-media"
_INACTIVE = "inactive"


class GatewayAttempt:
    """An attempt at a gateway, and the gateway's part in the call once it has answered."""

    __slots__ = (
        "_endpoint", "_invite_sequence", "address", "answer", "call", "choice", "leg", "peer", "progress", "reasons",
        "tag", "transaction",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        call: "CallPort",
        choice: RouteChoice,
        address: Address,
        progress: AttemptProgress,
        leg: Leg | None = None,
        invite_sequence: int = 0,
    ) -> None:
        """Nothing is sent before ``begin``, and it has neither tag nor address of the peer.

        ``leg`` is one that has a dialog; ``invite_sequence`` is the CSeq of an INVITE whose 2xx has its ACK.
        """
        dialect = choice.gateway.dialect
        self._endpoint = endpoint
        self.call = call
        self.choice = choice
        self.address = address
        self.progress = progress
        self.reasons = dialect.reasons
        self.leg = leg or Leg(endpoint, dialect.session_timer, dialect.sent_as, call)
        self.leg.route_choice = choice
        self.answer = b""
        """Session description of the gateway's answer."""
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
        early = self._begin_early(None)
        early.offered = offer = self.leg.as_sent(offer)
        invitation = written(
            endpoint, choice, address, self.peer, hops,
            caller_identity=caller.caller_identity,
            tag=self.tag,
            offer=offer,
            # A reliable offer would have to be answered by the caller in a PRACK: only if it can (RFC 3262 section 5),
            # and only one, so not where several telephones ring.
            may_be_reliable=dialect.reliability is not Reliability.OFF
            and (bool(offer) or (caller.takes_100rel and not choice.gateway.rings_with)),
            answers=None if login is None else Answers(login, self.call.settings.challenges_max, choice.gateway.name),
            signed=self._signed(now) if dialect.stir is not None or caller.caller_identity.signatures else None,
        )  # fmt: skip
        self._invite(early, invitation, now)
        return invitation.parts.call_id

    def begin_again(self, now: Instant) -> None:
        """Send the INVITE that waited to be sent when the process before ended."""
        early = self.leg.early
        if self.transaction.is_unsent and early is not None and early.invitation is not None:
            self._invite(self._begin_early(early.speaker, early.offered), early.invitation, now)

    def _signed(self, now: Instant) -> SignatureLines:
        """Sign the call for a gateway that wants that, or pass the caller's signatures."""
        caller_identity, choice = self.call.caller.caller_identity, self.choice
        lines = signature_lines(
            caller_identity,
            choice,
            self.call.board.gateways.attested(choice),
            shows_number=shows_number(caller_identity, choice.gateway.dialect),
            now=now,
        )
        self.call.journey.attestation = lines.attestation or None
        return lines

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def trunk(self) -> str:
        """Name of the phone or trunk that was called, or has taken the call over from one; empty for a vendor's leg.

        A trunk of the vendor's account that has taken that over is none: the call goes on at the vendor's price.
        """
        return (self.progress.newcomer or self.choice.gateway.name) if self.choice.gateway.is_phone else ""

    @property
    def invite_sequence(self) -> int:
        """The CSeq of the INVITE; 0 where it was the peer's: a phone that has taken the call over has sent its own."""
        return self._invite_sequence or self.transaction.parts.sequence

    @property
    def has_responded(self) -> bool:
        """Whether the gateway has sent any response."""
        return self.transaction.state is TransactionState.PROCEEDING

    def row(self, code: int, reason: str, now: Instant) -> Attempt:
        """Return the row of this attempt, which came to an end, or to an answer, at ``now``."""
        began_ms, rang_at = self.progress.started_at.mono, self.progress.rang_at
        pdd_ms = None if rang_at is None else rang_at.mono - began_ms  # written out: every call has such a row
        duration_ms = max(0, now.mono - now.waited_ms - began_ms)
        media, path, step, fault = self.leg.facts.media, None, None, None
        if media is not None and media.step is not None:
            path, step = RELAYED if media.is_relayed else DIRECT, media.step
        if media is not None and reason == _NO_COMMON_CODEC:
            fault = media.refused_for
        return Attempt(self.choice.gateway.name, code, duration_ms, pdd_ms, reason, path, step, fault)

    def own_deadline(self) -> int:
        """Return the deadline of the attempt, whatever other gateways do."""
        if self.has_responded:
            return self.progress.waits_until_ms(self.choice.gateway)
        return self.progress.started_at.mono + self.choice.gateway.response_timeout_ms

    def rings_until_ms(self) -> int:
        """Return the deadline of an attempt beside which others ring: no other gateway waits for its turn."""
        if self.has_responded:
            return self.progress.rings_until_ms(self.choice.gateway)
        return self.progress.started_at.mono + self.choice.gateway.response_timeout_ms

    @property
    def fork_shown(self) -> str:
        """Tag of the fork whose session the caller was sent, or that has answered; empty = of none."""
        early, dialog = self.leg.early, self.leg.dialog
        if dialog is not None:
            return dialog.remote_tag
        return "" if early is None or early.speaker is None else early.speaker

    @property
    def early_media(self) -> bytes:
        """Session of the fork that has sent early media last; empty = none has."""
        return self.leg.sessions.remote if self._has_media else b""

    def fork_key(self, tag: str) -> str:
        """Return the key of a fork among those of all attempts: telephones that ring together may have equal tags."""
        return f"{self.tag} {tag}"

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
        early = self.leg.early
        return early is not None and early.speaker is not None

    # -- events -------------------------------------------------------------------------------------------------

    def response_came(self, event: ResponseArrived) -> None:
        """Take a response to the INVITE."""
        self.call.conversation.to_forward = response = event.response
        leg = self.leg
        status = response.status
        if status > _TRYING and (response.header("privacy") or response.header("remote-party-id")):
            leg.note_privacy(response)
        product = None if status <= _TRYING else response.header("server") or response.header("user-agent")
        if product is not None:
            product = kept_text(product)
            if self.choice.gateway.rings_with:
                self.progress.product = product
            if self.call.callee is self:
                self.call.journey.callee_user_agent = product
        if status < 200:
            self._take_provisional(response, event.at)
        elif status < 300:
            if self.progress.rang_at is None:
                self.progress.rang_at = event.at.came
            self._establish(response, event.at)
            caller = self.call.caller.leg
            if (not self.answer and hides_session(response)) or (
                leg.door is not None
                and caller is not None
                and leg.door.keeper.refuses(self.answer, leg, caller, event.at, is_final=True)
            ):
                if self.call.search is not None:
                    self.call.search.session_unusable(self, event.at)
            else:
                self.call.answered(self, event.at)
        elif status == 422 and self.progress.intervals_refused < TRIES_MAX - 1 and leg.timer.accept_min_se(response):
            # The gateway wants a longer session interval (RFC 4028 section 7.3), and a proxy behind it a longer one.
            self.progress.intervals_refused += 1
            self._invite_again(event.at)
        else:
            self._refused(response, event.at)

    def no_response(self, event: NoResponse) -> None:
        """The INVITE got no response (timer B), or could not be delivered."""
        self.transaction.witness = self.remembered()
        outcome = AttemptOutcome.unreachable() if event.is_unreachable else AttemptOutcome.silent()
        if self.call.search is not None:
            self.call.search.attempt_silent(self, outcome, event.at)

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Record that another fork answered too; it is hung up already."""
        if event.response.cseq.number == self.invite_sequence:  # else to a re-INVITE, which no vendor bills
            given_up = self.remembered()
            given_up.fork = event.response.to_tag
            self.call.unwanted_answer(self.row(200, FORKED, event.at), event.at, given_up)

    # -- actions ------------------------------------------------------------------------------------------------

    def acknowledge(self, answer: bytes, now: Instant) -> None:
        """Acknowledge the gateway's 200, with the caller's answer if the offer was the gateway's."""
        leg = self.leg
        if leg.dialog is not None and not self.progress.acknowledged:
            self.progress.acknowledged = True
            answer = leg.as_sent(answer) if answer else b""
            leg.send(OutgoingAck(SDP if answer else "", answer, self.transaction, leg.dialog), now)
            self._invite_sequence = self.transaction.parts.sequence
            self.transaction = self._endpoint.acknowledged_invite

    def answer_early_offer(self, answer: bytes, now: Instant) -> None:
        """Send the caller's answer, which came in a PRACK, to the offer of the gateway: in a PRACK, or in the ACK.

        A gateway that has sent its 200 meanwhile, against RFC 3262 section 3, gets it in both: its PRACK is owed all
        the same, but such a gateway may take its 200 for the offer. The caller's 200 and ACK have no description.
        """
        early = self.leg.early
        if early is not None and early.pracking is not None:
            pracking, early.pracking = early.pracking, None
            answer = self.leg.as_sent(answer)
            if answer:
                self._settle(early, pracking.dialog.remote_tag)
            self._send_prack(pracking, answer, now)
        elif answer and self.leg.dialog is not None and not self.progress.acknowledged:
            self.call.journey.codec = self.call.journey.vendor_codec = first_audio_codec(answer)
            if self.progress.owed_rack:
                answer = self.leg.as_sent(answer)
                self._send_prack(Pracking(self.leg.dialog, self.progress.owed_rack), answer, now)
            self.acknowledge(answer, now)

    def give_up(self, reason: EndReason, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """Send CANCEL, or BYE if the attempt was answered; a late 2xx is answered with ACK and BYE.

        ``given`` are causes by protocol that the caller gave.
        """
        lines = (
            given_by_caller(self.reasons, reason, given)
            if given
            else reason_headers(self.reasons, reason, reason.q850_cause, reason.sip_status)
        )
        if self.leg.dialog is not None:
            self.hang_up(lines, now)
        else:
            self._abandon(lines, now)

    def leave(self, outcome: AttemptOutcome, now: Instant) -> None:
        """Send CANCEL to a gateway that has not answered in time, with the reason that the caller may get."""
        end = verdict([outcome])
        cause = end.reason.q850_cause if end.q850 is None else end.q850
        self._abandon(reason_headers(self.reasons, end.reason, cause, end.status), now)

    def hang_up(self, reason: str, now: Instant) -> None:
        """Send BYE to a gateway that has answered; a 200 that waits for the caller's answer gets its ACK before."""
        if self.progress.has_left:
            return
        if not self.progress.acknowledged:
            self.acknowledge(b"", now)
        self.leg.hang_up(reason, now)

    def close(self, now: Instant) -> None:
        """Drop the dialog; a 200 that still waits for the caller's answer is acknowledged without one."""
        if self.progress.has_left:
            return
        if not self.progress.acknowledged:
            self.acknowledge(b"", now)
        if self.transaction.owner is self:  # the INVITE has no final response: a late 2xx needs ACK and BYE
            self._withdraw("", now)
        self.leg.close(now)
        if self.leg.dialog is None:  # there may be early dialogs
            self._endpoint.dialogs.forget(self.tag, now)

    def depart(self, now: Instant, *, has_hung_up: bool) -> None:
        """Let a callee leave its call by a transfer: send BYE, unless it ``has_hung_up`` itself."""
        self.progress.has_left = True
        if has_hung_up:
            self.leg.close(now)
        else:
            self.leg.hang_up("", now)
        self.call.board.gateways.vacate(self.choice)

    # -- inside -------------------------------------------------------------------------------------------------

    def _begin_early(self, speaker: str | None, offered: bytes = b"") -> EarlyDialogs:
        """Begin an INVITE; ``speaker`` is the fork of the one before whose session the caller was sent."""
        endpoint = self._endpoint
        self.transaction = transaction = InviteClient(store=endpoint.store, owner=self)
        early = EarlyDialogs(
            endpoint.flows, self.tag, self.peer, transaction, self.progress, speaker=speaker, offered=offered
        )
        self.leg.early = early
        return early

    def _invite(self, early: EarlyDialogs, invitation: Invitation, now: Instant) -> None:
        early.invitation, leg = invitation, self.leg
        headers = f"{invitation.headers}{leg.timer.first_offer()}{invitation.content}"
        parts, hops, is_fixed = invitation.parts, invitation.hops, invitation.is_fixed
        leg.send(OutgoingInvite(headers, invitation.body, early.transaction, parts, hops, is_fixed), now)

    def _invite_again(self, now: Instant) -> None:
        """Send the INVITE again with other headers.

        The refusal of the last one has ended its early dialogs (RFC 3261 section 13.2.2.3).
        """
        early = self._forked()
        if early.invitation is None:
            raise RuntimeError(f"{self!r} came without its INVITE")
        invitation = early.invitation.again(self._endpoint, self.transaction.parts, early.forks.values())
        self._endpoint.dialogs.forget(self.tag, now)
        self.progress.is_settled = False
        self.leg.sessions = LegSessions(said=early.offered)
        self._invite(self._begin_early(early.speaker, early.offered), invitation, now)

    def _abandon(self, headers: str, now: Instant) -> None:
        self._endpoint.dialogs.forget(self.tag, now)
        self._withdraw(headers, now)
        if self.leg.door is not None:
            self.leg.door.keeper.leg_over(self.leg, now)

    def _withdraw(self, headers: str, now: Instant) -> None:
        self.leg.send(OutgoingCancel(headers, b"", self.transaction, True, self.remembered()), now)

    def remembered(self) -> GivenUp:
        """Return what has to be known of this attempt if a phone answers it in vain."""
        dialog = self.leg.dialog
        sip_call_id = self.transaction.parts.call_id if dialog is None else dialog.call_id
        address, progress = str(self.peer), self.progress
        gateway = self.choice.gateway.name
        return GivenUp(
            self.call, gateway, self.choice, sip_call_id, address, progress.started_at, progress.pdd_ms, self.tag
        )

    def _forked(self) -> EarlyDialogs:
        """Return the forks of an INVITE that has no final response."""
        if self.leg.early is None:
            raise RuntimeError(f"{self!r} was answered already")
        return self.leg.early

    def _refused(self, response: Response, now: Instant) -> None:
        """Report a final refusal, with its Q.850 cause as the trunk counts it."""
        leg = self.leg
        self.progress.q850 = q850_cause(response)
        if leg.sent_as is not None and leg.sent_as.causes is not None:
            self.progress.q850 = leg.sent_as.causes.counted_as(self.progress.q850)
        self.remembered().keep()
        if self.call.search is not None:
            self.call.search.attempt_failed(self, response, now)

    def _take_provisional(self, response: Response, now: Instant) -> None:
        status, progress = response.status, self.progress
        if status == 100:  # of the next hop alone: it says nothing of the called party (RFC 3261 section 8.2.6.1)
            progress.tried_at = progress.tried_at or now
            if self.call.search is not None:
                self.call.search.progressed(self, status, b"", now)
            return
        tag, leg = response.to_tag, self.leg
        early = leg.early
        if early is None:
            return
        session = leg.session_in(response) if response.body else b""
        if session and tag in early.settled:
            session = self._other_session(early, tag, session, now) if early.offered else b""
        number = None if response.header("rseq") is None else rseq_of(response)
        if number is not None and not self._take_reliable(response, session, number, now):
            return
        if status in RINGING:
            progress.rang = True
            if progress.rang_at is None:
                progress.rang_at = now.came if now.waited_ms else now
        elif progress.tried_at is None:
            progress.tried_at = now
        if tag and number is None and tag not in early.unread and len(early.unread) < EARLY_MAX:
            if not early.unread and not early.dialogs:
                self._endpoint.dialogs.adopt(self.tag, leg)
            early.unread[tag] = response
        leg.facts.take_capabilities(response)
        # The header is looked for in the bytes, as few responses have it; ``in`` raises and drops an error first.
        if session or response.raw.find(b"arly-") >= 0 or response.raw.find(b"ARLY-") >= 0:
            session = self._early_media(early, response, session, now, is_sure=number is not None)
        if self.call.search is not None:
            self.call.search.progressed(self, status, session, now)

    def _early_media(
        self, early: EarlyDialogs, response: Response, session: bytes, now: Instant, *, is_sure: bool
    ) -> bytes:
        """Note the session of a fork, and switch to it; return what the caller is sent of it, which may be nothing."""
        tag = response.to_tag
        if session and not is_sure:
            # Without an offer of ours it is an offer, and only a reliable response may carry one (RFC 3261 13.2.1).
            has_room = tag in early.sessions or len(early.sessions) < EARLY_MAX
            session = session if early.offered and has_room else b""
        if session:
            early.sessions_of(tag).note(session)
        session = self._gated(early, response, session)
        if session:
            self._switch_to(early, tag, now)
        return session

    def _gated(self, early: EarlyDialogs, response: Response, session: bytes) -> bytes:
        """Return the session that the caller may be sent now; nothing while P-Early-Media is inactive (RFC 5009).

        A session that was held back is sent with the response that opens it, or with the answer. A caller whose trunk
        is sent the header decides by itself.
        """
        lines, tag = response.values(_EARLY_MEDIA), response.to_tag
        rules = self.call.caller.dialect.headers
        if not lines or (rules is not None and rules.responses.passes_header(_EARLY_MEDIA)):
            return session
        if _INACTIVE in {word.strip().lower() for line in lines for word in line.split(",")}:
            if session:
                early.held_back.add(tag)
            return b""
        if tag in early.held_back:
            early.held_back.discard(tag)
            session = session or early.sessions_of(tag).remote
        return session

    def _take_reliable(self, response: Response, session: bytes, number: int, now: Instant) -> bool:
        """Acknowledge a reliable response; return whether it counts.

        One does not that is repeated or out of order (RFC 3262 section 4), or that ends the attempt by its session, nor
        an offer while the caller has not answered that of another fork: the fork repeats it until its PRACK.
        """
        tag, leg = response.to_tag, self.leg
        # RSeq numbers count for each early dialog by itself. The first one may have any number; a gap means that a
        # response is missing, and the gateway repeats it until its PRACK: acknowledging later ones would hide it.
        early = self._forked()
        last = early.rseqs.get(tag)
        if not tag or (last is not None and number != last + 1) or (session and early.awaits_answer):
            return False
        dialog = early.dialogs.get(tag)
        if dialog is None:
            if len(early.dialogs) >= EARLY_MAX:
                return False
            dialog = early.dialogs[tag] = early.dialog_of(response)
            self._endpoint.dialogs.adopt(self.tag, leg)
        early.rseqs[tag] = number
        pracking = Pracking(dialog, f"RAck: {number} {self.transaction.parts.sequence} INVITE\r\n")
        is_unread = not session and tag not in early.settled and hides_session(response)
        if is_unread or (session and self._is_unusable(session, now)):
            # It is the answer, whatever the 2xx has (RFC 3261 section 13.2.1). An offer is not answered.
            if early.offered:
                self._send_prack(pracking, b"", now)
            if self.call.search is not None:
                self.call.search.session_unusable(self, now)
            return False
        if session:
            self._switch_to(early, tag, now)
        if session and not early.offered:
            # The session is an offer: the PRACK carries the answer, and waits for the caller's (RFC 3262 section 5).
            early.pracking = pracking
        else:
            if session:
                self._settle(early, tag)
            self._send_prack(pracking, b"", now)
        return True

    def _other_session(self, early: EarlyDialogs, tag: str, session: bytes, now: Instant) -> bytes:
        """Return a description of a fork after its reliable one; empty where it is ignored.

        RFC 3261 section 13.2.1 has all of them ignored. But some gateways answer by the reliable description of an
        announcement, or offer it, and have their media elsewhere in the 200. After an UPDATE its session is the latest.
        """
        has_media = b"\nm=" in session
        is_other = has_media and tag not in early.changed and session != early.sessions_of(tag).remote
        return session if is_other and not self._is_unusable(session, now) else b""

    def _is_unusable(self, session: bytes, now: Instant) -> bool:
        """Return whether the caller cannot be sent a description of the gateway."""
        door, caller = self.leg.door, self.call.caller.leg
        return door is not None and caller is not None and door.keeper.refuses(session, self.leg, caller, now)

    def _send_prack(self, pracking: Pracking, body: bytes, now: Instant) -> None:
        headers = of_prack(self._endpoint, pracking.rack, body)
        transaction = Client(store=self._endpoint.store)
        self.leg.send(OutgoingRequest(headers, body, transaction, pracking.dialog, "PRACK"), now)

    def _settle(self, early: EarlyDialogs, tag: str) -> None:
        """Note that offer and answer were exchanged with the fork whose session the caller was sent."""
        early.settled.add(tag)
        self.progress.is_settled = True

    def _switch_to(self, early: EarlyDialogs, tag: str, now: Instant, *, answers: bool = False) -> None:
        """Switch the caller to this fork; a session agreed with another one is not one with it (RFC 3261 12.1)."""
        if early.speaker is not None and early.speaker != tag and self.call.search is not None:
            left, found = self.fork_key(early.speaker), self.fork_key(tag)
            self.call.search.fork_changed(self, left, found, now, answers=answers)
        early.speaker = tag
        self.progress.is_settled = tag in early.settled
        self.leg.sessions = early.sessions_of(tag)

    def _establish(self, response: Response, now: Instant) -> None:
        """Make the confirmed dialog of a 2xx."""
        tag, leg, early = response.to_tag, self.leg, self._forked()
        latest = leg.sessions.remote
        if early.speaker != tag and (early.sessions or early.speaker is not None):
            self._switch_to(early, tag, now, answers=True)
        # The early dialog has used CSeq numbers for PRACK and UPDATE, so it becomes the confirmed one. A 2xx
        # with an unknown tag comes from another fork and makes a dialog of its own (RFC 3261 section 13.2.2.4).
        dialog = early.dialogs.get(tag)
        if dialog is not None:
            dialog.confirm(response)
        else:
            dialog = Dialog.of_callee(self.transaction.parts, self.tag, response, self._endpoint.flows.next_hop)
        leg.dialog = dialog
        if early.pracking is not None and early.pracking.dialog is dialog:
            self.progress.owed_rack = early.pracking.rack
        if dialog.user or not (early.unread or early.dialogs):
            self._endpoint.dialogs.adopt(self.tag, leg)  # else it was adopted with its first early dialog
        leg.early = None
        leg.facts.is_confirmed = True
        # A 2xx after a reliable answer need not repeat it (RFC 3261 section 13.2.1).
        if self.progress.is_settled or self.progress.owed_rack:
            leg.facts.take_capabilities(response)
            session = leg.session_in(response) if response.body else b""
            if session and self._other_session(early, tag, session, now):
                leg.sessions.note(session)  # a caller that has the first answer, or gives it, is offered this one
                if early.offered:
                    self.progress.is_settled = False
            self.answer = leg.sessions.remote
        else:
            self.answer = leg.take_session(response) or leg.sessions.remote or latest
            if self.answer is not leg.sessions.remote:
                leg.sessions.note(self.answer)
        leg.timer.answered(response, now)
        leg.facts.last_seen_at = now
        leg.supervision = Supervision(self._endpoint, leg, SupervisionFacts(now))
        leg.supervision.begin(now)


def leg_of(callee: GatewayAttempt | None) -> Leg | None:
    """Return the leg of the callee of a call; None while there is none, and once it has left by a transfer."""
    return None if callee is None or callee.progress.has_left else callee.leg
