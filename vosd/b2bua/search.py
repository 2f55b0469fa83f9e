"""The search for a callee: attempts at gateways one after another, telephones that ring together, failover.

It begins with the routes of the call, and is over when one is answered or none is left to try. ``Hunt`` knows which
gateway is next; here is what each attempt makes of the call.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from vosd.b2bua import states
from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.call_port import CallPort, ConversationPort
from vosd.b2bua.caller import Caller
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.hunt import Failure, Hunt, is_trying
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.outgoing.reasons import NO_CAUSES
from vosd.b2bua.ports import Switchboard
from vosd.b2bua.stamps import NO_ATTEMPT, GatewayPlaying, LatestAttempt
from vosd.b2bua.states import ACCEPTED, CallEvent
from vosd.b2bua.takeover import in_place_of
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.cdr.record import ANNOUNCEMENT, LATE_ANSWER, PICKED_UP_ELSEWHERE, REFUSED_ELSEWHERE, Attempt
from vosd.routing.failover import AttemptOutcome, tries_next, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.media import with_codecs
from vosd.sdp.pairing import answer_of
from vosd.sip.door.messages import OutgoingInvite
from vosd.sip.headers.reason import SIP
from vosd.sip.wire.message import Response
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.gateways import Address

_ELSEWHERE: Final[Mapping[str, int]] = {SIP: 200}
"""Cause of the CANCEL to a telephone whose call another one has taken: it lists no missed call (RFC 3326 3.1)."""
TOGETHER_MAX: Final = 20
"""Most telephones of a call that ring at the same time; the others ring when none of these has answered."""
_RINGING: Final = 180
_PROGRESS: Final = 183


class SearchingConversation(ConversationPort, Protocol):
    """The conversation of such a call: ``conversation.Conversation``, which its call makes."""

    def drop_bridge(self, now: Instant) -> None:
        """Abandon a change of the session in progress, before the dialogs end."""


class SearchingCall(CallPort, Protocol):
    """A call as its search knows it: ``call.Call``, whose module imports this one."""

    @property
    def conversation(self) -> "SearchingConversation":
        """The conversation of the two sides."""

    def search_failed(self, failure: Failure, now: Instant) -> None:
        """End the call: no gateway is left to try."""


class CalleeSearch(msgspec.Struct, eq=False):
    """The attempts of one call in progress, and what is left to try.

    The foremost attempt is the ``callee`` of the call: its responses and media go to the caller (ADR 176).
    """

    _call: SearchingCall
    hunt: Hunt
    _board: Switchboard
    hops: int
    """Max-Forwards of its INVITEs."""
    beside: tuple[GatewayAttempt, ...] = ()
    """Attempts in progress beside the foremost one: telephones that ring together."""
    latest_sent: LatestAttempt = NO_ATTEMPT
    """The attempt before the latest one, whose INVITE may still have to wait, and is not sent then."""

    @property
    def in_progress(self) -> tuple[GatewayAttempt, ...]:
        """The attempts in progress."""
        return self.beside if self._call.callee is None else (self._call.callee, *self.beside)

    @property
    def occupied(self) -> Sequence[RouteChoice]:
        """The routes whose capacity is taken: of attempts, those to one phone once, or of a gateway's sound."""
        call = self._call
        if call.callee is not None:
            return list({each.choice.gateway.name: each.choice for each in self.in_progress}.values())
        is_playing = call.state is states.ANNOUNCING and call.journey.announced is None
        return [call.journey.choice] if is_playing and call.journey.choice is not None else []

    @property
    def has_unsent(self) -> bool:
        """Whether the attempt in progress has not left: ``latest_sent`` is the one that is paid."""
        return self._call.callee is not None and self._is_unsent(self._call.callee)

    def try_next(self, now: Instant) -> None:
        """Send an INVITE to the next gateway that has room; end the call if there is none."""
        next_hop = self.hunt.take(self._call, now)
        if next_hop is None:
            self._fail(now)
            return
        choice, address = next_hop
        if choice.gateway.sound is not None:
            self._play(choice, choice.gateway.sound, now)
            return
        if self._call.state is not states.SETUP:
            self._call.caller.begin_attempt(now)
        self._call.state = states.HUNTING
        try:
            attempt = GatewayAttempt(self._call.endpoint, self._call, choice, address, AttemptProgress(now))
            sip_call_id = attempt.begin(self._call.caller.offer, self.hops, now)
            self._call.callee = attempt
        finally:
            if self._call.callee is None:  # an error occurred: nothing else releases the capacity of the gateway
                self._board.gateways.vacate(choice)
        journey = self._call.journey
        before = journey.foremost_call_id or (journey.sip_call_ids_out[-1] if journey.sip_call_ids_out else "")
        self.latest_sent = journey.choice, before, journey.destination_address, journey.callee_user_agent
        journey.note_attempt(choice, sip_call_id, str(attempt.peer))
        if self._call.settings.charges_ringing and not self._charge(attempt, now):
            return
        if journey.vendor_invited_at is not None and attempt.transaction.is_unsent:
            journey.vendor_left(now)
            self._board.money.vendor_left()
        self._board.set_deadline(now.mono + choice.gateway.response_timeout_ms)
        if choice.protect_times:
            self.hunt.wait(self._call, attempt, attempt.own_deadline(), now)
        if choice.gateway.rings_with:
            self._ring_beside(attempt, now)

    # -- responses, and the end of an attempt --------------------------------------------------------------------------

    def progressed(self, attempt: GatewayAttempt, status: int, session: bytes, now: Instant) -> None:
        """Handle a provisional response: the gateway is trying (100), rings, or sends early media."""
        if (attempt is not self._call.callee and attempt not in self.beside) or states.PROGRESS not in ACCEPTED[
            self._call.state
        ]:
            return
        if self.beside:
            self._progressed_beside(attempt, status, session, now)
            return
        self._board.set_deadline(attempt.progress.waits_until_ms(attempt.choice.gateway))
        if status not in RINGING:
            if attempt.choice.protect_times:
                self.hunt.wait(self._call, attempt, attempt.progress.waits_until_ms(attempt.choice.gateway), now)
            return
        self._board.gateways.attempt_rings(attempt)
        self._call.state = states.RINGING
        self._call.journey.note_ringing(now.came)
        self._call.caller.ring(status, session, now)

    def fork_changed(self, attempt: GatewayAttempt, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Prepare the caller for another fork of the INVITE, which sends early media or answers; both by their keys."""
        if attempt is self._call.callee:
            self._call.conversation.drop_bridge(now)
            self._call.caller.switch_fork(before, after, now, answers=answers)

    def attempt_failed(self, attempt: GatewayAttempt, response: Response, now: Instant) -> None:
        """Handle a final refusal of a gateway."""
        if not self._awaits(attempt):
            return
        self._board.gateways.refused(attempt, response, now)
        outcome = attempt.refusal(response)
        goes_on = self.hunt.continues_at_gateway(attempt, outcome, response, now)
        self._attempt_over(attempt, outcome, now, code=response.status, goes_on=goes_on)

    def attempt_silent(self, attempt: GatewayAttempt, outcome: AttemptOutcome, now: Instant) -> None:
        """Handle a gateway that sent no response, or could not be reached."""
        if self._awaits(attempt):
            self._attempt_over(attempt, outcome, now)

    def session_unusable(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Give up a gateway whose description the caller cannot be sent, and try the next one.

        The vendor charges for an answer, not for a reliable response before it.
        """
        if not self._awaits(attempt):
            return
        media, code = attempt.leg.facts.media, 0
        refusal = None if media is None else media.refusal
        reason = EndReason.NO_COMMON_CODEC if refusal is None else refusal.end_reason
        answered = None
        if attempt.leg.dialog is not None:
            code = 200
            answered = attempt.row(code, LATE_ANSWER, now), now, attempt.remembered()
        attempt.give_up(reason, now)
        self._attempt_over(attempt, AttemptOutcome.withheld(reason), now, code=code, is_telling=False)
        if answered is not None:  # it is known now whether the call pays this attempt
            self.answered_late(answered[2])
            self._board.unwanted_answer(*answered, is_recorded=True)

    def invite_left(self, leg: Leg, message: OutgoingInvite, now: Instant) -> None:
        """Count the time of a gateway from now on: its INVITE had to wait."""
        attempt = self._attempt_of(leg)
        if attempt is None or not self._awaits(attempt):
            return
        if message.parts.sequence > 1:
            return  # it follows a 422: the time of its attempt goes on
        attempt.progress.started_at = now
        if self._call.settings.charges_ringing:
            if not self._charge(attempt, now):
                return
            self._call.endpoint.placed(attempt.transaction)  # its vendor charges from now on
        self._wait(attempt, now)

    def begin_again(self, now: Instant) -> None:
        """Send the INVITEs that waited to be sent when the process before ended."""
        for attempt in [each for each in self.in_progress if each.transaction.is_unsent]:
            if not self._awaits(attempt):
                return  # the call has ended
            is_first = attempt.transaction.parts.sequence == 1
            if is_first:  # else it follows a 422: the time of its attempt goes on
                attempt.progress.started_at = now
            attempt.begin_again(now)
            if attempt.transaction.is_unsent or not is_first:
                continue
            if not self._call.settings.charges_ringing or self._charge(attempt, now):
                self._wait(attempt, now)

    def invite_not_sent(self, leg: Leg, now: Instant) -> None:
        """Try the next gateway: the door has not let the INVITE out."""
        attempt = self._attempt_of(leg)
        if attempt is None or not self._awaits(attempt):
            return
        media = leg.facts.media
        refusal = None if media is None else media.refusal
        reason = EndReason.NO_MEDIA_PORT if refusal is None else refusal.end_reason  # None: there was no answer in time
        self._note_unsent(attempt)
        # it says nothing of the vendor
        self._attempt_over(attempt, AttemptOutcome.withheld(reason), now, is_telling=False)

    def answered_late(self, given_up: GivenUp) -> None:
        """Note that the late answer of an attempt is paid apart.

        The call does not pay that attempt, also where the INVITEs of those behind it are not sent.
        """
        if self.latest_sent[1] == given_up.sip_call_id:
            self.latest_sent = NO_ATTEMPT

    def deadline_due(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Handle the deadline of the foremost attempt, or the earliest one of several."""
        if self.beside:
            self._due_together(now)
        else:
            self._attempt_due(attempt, now)

    def go_on(self, now: Instant, *, again: bool) -> None:
        """Call the last gateway once more, for which there is another offer, or end the call (not ``again``)."""
        if again:
            self.hunt.repeat()
            self.try_next(now)
        else:
            self._fail(now)

    # -- the end of the search -----------------------------------------------------------------------------------------

    def won(self, attempt: GatewayAttempt, row: str, now: Instant) -> None:
        """Let one of several telephones be the callee, and cancel the others: the call is completed elsewhere."""
        if attempt is not self._call.callee:
            self._put_first(attempt, now, answers=True)
        for each in self.beside:
            self._cancel_beside(each, EndReason.CANCELLED, row, now, _ELSEWHERE)

    def pick_up(self, newcomer: Caller, replaced: Leg, choice: RouteChoice, now: Instant) -> int:
        """Answer a call that rings by another phone (RFC 3891 section 3); return the status if that is refused, else 0.

        The offers of both are answers to each other. ``choice`` is the route to the newcomer, in place of the phone
        that rings, which is cancelled with all that ring beside it. A device of that phone goes on with its place.
        """
        ringing, caller = self._attempt_of(replaced), self._call.caller
        if ringing is None or states.ANSWER not in ACCEPTED[self._call.state]:
            return 481
        to_newcomer, to_caller = answer_of(newcomer.offer, caller.offer), answer_of(caller.offer, newcomer.offer)
        if not (to_newcomer and to_caller and _may_have(to_caller, newcomer.leg, caller.leg)):
            return 488
        peer = newcomer.dialog.peer
        next_hop = choice, Address(peer.host, peer.port)
        has_place = choice.gateway.name == ringing.choice.gateway.name
        is_ringing_too = self.beside and not has_place and is_trying(self.in_progress, choice.gateway.name)
        if is_ringing_too:  # its own ringing call ends now
            self.won(ringing, PICKED_UP_ELSEWHERE, now)
        if self._board.gateways.occupy(next_hop, now, is_counted=not has_place) is None:
            return 486
        if self.beside:
            self.won(ringing, PICKED_UP_ELSEWHERE, now)
        self._call.conversation.drop_bridge(now)
        ringing.give_up(EndReason.CANCELLED, now, _ELSEWHERE)
        self._call.journey.attempts.append(ringing.row(0, PICKED_UP_ELSEWHERE, now))
        self._board.gateways.attempt_over(ringing, None, now, frees_place=not has_place)
        caller.begin_attempt(now)
        newcomer.leg.route_choice = choice  # its 200 is that of a callee, as the media see it
        newcomer.answer(to_newcomer, now)
        attempt = self._call.callee = in_place_of(ringing, newcomer, self._call.endpoint, now, choice)
        attempt.answer = to_caller
        self._call.journey.note_attempt(choice, newcomer.dialog.call_id, str(peer))
        if self._call.settings.charges_ringing and not self._begin_to_charge(now):
            return 0
        self._call.answered(attempt, now)
        self._board.moved(at_once=True)
        return 0

    def give_up(self, reason: EndReason, row: str, now: Instant, given: Mapping[str, int]) -> None:
        """Cancel all attempts; ``row`` is the reason in their rows, ``given`` are causes that the caller gave."""
        attempt = self._call.callee
        if attempt is None:
            return
        for each in self.beside:
            self._cancel_beside(each, reason, row, now, given)
        outcome = attempt.given_up(now)
        self._call.conversation.drop_bridge(now)
        self._note_unsent(attempt)
        attempt.give_up(reason, now, given)
        self._call.journey.attempts.append(attempt.row(0, row, now))
        self._leave_place(attempt, outcome, now)
        self._call.callee = None

    def close(self, now: Instant) -> None:
        """Drop all attempts after an error in the switch, and the capacity of all but the foremost one."""
        if self._call.callee is not None:
            self._note_unsent(self._call.callee)
        for attempt in self.in_progress:
            attempt.close(now)
        for choice in self.occupied[1:]:
            self._board.gateways.vacate(choice)
        self.beside = ()

    # -- the sound of a gateway ----------------------------------------------------------------------------------------

    def sound_due(self, now: Instant) -> None:
        """Handle the deadline of the sound of a gateway."""
        playing, choice = self._call.journey.playing, self._call.journey.choice
        if playing is None or choice is None or choice.gateway.sound is None:
            self._fail(now)  # a reload in between has made it a trunk
        elif now.mono < playing.until_ms:
            self._board.set_deadline(playing.until_ms)
        else:
            self._sound_over(choice, AttemptOutcome.final(choice.gateway.sound.code), playing.began_at, now)

    def sound_failed(self, now: Instant) -> None:
        """Go on without the sound of a gateway: it cannot be played."""
        playing, choice = self._call.journey.playing, self._call.journey.choice
        if playing is not None and choice is not None:
            self._sound_over(choice, AttemptOutcome.withheld(EndReason.NO_MEDIA_PORT), playing.began_at, now)

    def sound_ended(self, now: Instant) -> None:
        """Record that the call has ended during the sound of a gateway."""
        playing, choice = self._call.journey.playing, self._call.journey.choice
        if playing is not None and choice is not None:
            self._note_sound(choice, 0, playing.began_at, now)

    def _play(self, choice: RouteChoice, sound: GatewaySound, now: Instant) -> None:
        """Play the caller the sound of a gateway; where that is not possible, try the next gateway.

        Of a call that is charged since a vendor was sent it, the gateway has its code alone: the customer would pay for
        the sound, and the record would lose that vendor.
        """
        if self._call.journey.invited_at is not None:
            self._sound_over(choice, AttemptOutcome.final(sound.code), now, now)
            return
        inviter = self._call.caller.inviter
        self._call.state, self._call.journey.choice = states.HUNTING, choice
        has_media = inviter is not None and self._call.endpoint.doors is not None
        offer = self._board.media.gateway_sound(sound, now) if has_media else None
        if inviter is None or offer is None:
            self._sound_over(choice, AttemptOutcome.withheld(EndReason.NO_MEDIA_PORT), now, now)
            return
        self._call.state = states.ANNOUNCING
        self._call.journey.playing = GatewayPlaying(now.mono + offer.lasts_ms, Instant(now.mono, now.wall))
        inviter.begin_attempt(now)
        inviter.ring(_PROGRESS, offer.session, now)
        self._board.set_deadline(self._call.journey.playing.until_ms)

    def _sound_over(self, choice: RouteChoice, outcome: AttemptOutcome, began_at: Instant, now: Instant) -> None:
        """Go on after the sound of a gateway, as after the refusal of a vendor."""
        self._note_sound(choice, outcome.code, began_at, now)
        self._call.state = states.HUNTING
        self.hunt.note(choice, outcome)
        if tries_next(choice.gateway, outcome):
            self.try_next(now)
        else:
            self._fail(now)

    def _note_sound(self, choice: RouteChoice, code: int, began_at: Instant, now: Instant) -> None:
        """Record that the sound of a gateway is over, and release its capacity."""
        self._board.media.sound_over(now)
        lasted_ms = max(0, now.mono - began_at.mono)
        self._call.journey.attempts.append(Attempt(choice.gateway.name, code, lasted_ms, None, ANNOUNCEMENT))
        self._board.gateways.vacate(choice)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _attempt_of(self, leg: Leg) -> GatewayAttempt | None:
        callee = self._call.callee
        if callee is None or callee.leg is leg:
            return callee
        return next((each for each in self.beside if each.leg is leg), None)

    def _awaits(self, attempt: GatewayAttempt) -> bool:
        is_known = attempt is self._call.callee or attempt in self.beside
        return is_known and CallEvent.ATTEMPT_FAILED in ACCEPTED[self._call.state]

    def _charge(self, attempt: GatewayAttempt, now: Instant) -> bool:
        """Charge a call whose ringing is charged from an INVITE on, once that has left; False = it has ended instead.

        Of telephones that ring together the first one whose INVITE leaves counts for the customer.
        """
        if attempt.transaction.is_unsent:
            return True
        if attempt is not self._call.callee and self._call.journey.invited_at is not None:
            return True
        return self._begin_to_charge(now)

    def _begin_to_charge(self, now: Instant) -> bool:
        """Charge the call from the INVITE on that is about to be sent; end it where that cannot be journalled."""
        self._call.journey.charged_from(now)
        if self._board.money.rings(now):
            return True
        self._call.end(EndReason.OVERLOAD, now)
        return False

    def _note_unsent(self, attempt: GatewayAttempt) -> None:
        """Give the call back to the attempt before, which it pays, if the INVITE of this one has not left.

        One that waits after a 422 follows an INVITE that had left.
        """
        if self._is_unsent(attempt):
            self._call.journey.note_not_sent(self.latest_sent)

    def _is_unsent(self, attempt: GatewayAttempt) -> bool:
        """Return whether no INVITE of an attempt that began alone has left."""
        transaction = attempt.transaction
        if not transaction.is_unsent or transaction.parts.sequence > 1:
            return False
        return all(transaction.parts.call_id != each for each, _ in self._call.journey.rung_together)

    def _wait(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Set the deadline of an attempt, or the earliest one of several."""
        if self.beside:
            self._board.set_deadline(min(each.rings_until_ms() for each in self.in_progress))
        else:
            self.hunt.wait(self._call, attempt, attempt.own_deadline(), now)

    def _attempt_due(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Leave a gateway whose time is over, or one for which a protected gateway joins."""
        is_telling = True
        outcome = attempt.timed_out()
        may_leave = tries_next(attempt.choice.gateway, outcome)
        if attempt.choice.protect_times and now.mono < (until_ms := attempt.own_deadline()):
            if not (may_leave and self.hunt.has_next(self._call, attempt, now, only_protected=True)):
                self.hunt.wait(self._call, attempt, until_ms, now)
                return
            is_telling = attempt.given_up(now) is not None
        # ``progress_timeout`` has passed after 100 alone: leave the gateway only if there is another one to try.
        elif (
            attempt.progress.is_only_trying(attempt.choice.gateway)
            and now.mono < (until_ms := attempt.progress.rings_until_ms(attempt.choice.gateway))
            and not (may_leave and self.hunt.has_next(self._call, attempt, now, only_protected=False))
        ):
            self.hunt.wait(self._call, attempt, until_ms, now)
            return
        self._note_unsent(attempt)
        attempt.leave(outcome, now)
        is_telling = is_telling and not attempt.transaction.is_unsent
        self._attempt_over(attempt, outcome, now, is_telling=is_telling)

    def _attempt_over(
        self, attempt: GatewayAttempt, outcome: AttemptOutcome, now: Instant, *, code: int = 0, goes_on: bool = False,
        is_telling: bool = True,
    ) -> None:  # fmt: skip
        """Record an attempt, and try the next one.

        ``code`` is the gateway's own; ``goes_on``: its other addresses are tried even if no other gateway would be;
        ``is_telling``: whether the outcome says anything of the vendor.
        """
        if self.beside:
            self._one_over(attempt, outcome, now, code=code, is_telling=is_telling)
            return
        if attempt.choice.gateway.rings_with and not goes_on:
            self.hunt.note_beside(
                attempt.choice, outcome, attempt.address.device
            )  # the last of those that rang together
        else:
            self.hunt.note(attempt.choice, outcome, device=attempt.address.device, redirected=goes_on)
        text = verdict([outcome]).reason.text
        self._call.journey.attempts.append(attempt.row(code, text, now))
        self._leave_place(attempt, outcome if is_telling else None, now)
        self._call.conversation.drop_bridge(now)
        attempt.close(now)
        self._call.callee = None
        if goes_on or (tries_next(attempt.choice.gateway, outcome) and not self.hunt.is_refused):
            self.try_next(now)
        else:
            self._fail(now)

    def _fail(self, now: Instant) -> None:
        """End the call: no gateway is left to try, unless a transfer has another offer for the last one."""
        failure, transfer = self.hunt.failure(), self._call.conversation.transfer
        if transfer is None or not transfer.asks_for_offer(failure.status, now):
            self._call.search_failed(failure, now)
        elif self._call.journey.vendor_invited_at is not None:
            self._call.journey.vendor_left(now)
            self._board.money.vendor_left()

    def _leave_place(self, attempt: GatewayAttempt, outcome: AttemptOutcome | None, now: Instant) -> None:
        """Note the outcome of an attempt (None = nothing learnt of the vendor), and release what it has occupied.

        Attempts at one phone are one call of it: the last one gives its place back.
        """
        is_last = not self.beside or not self._shares_place(attempt)
        self._board.gateways.attempt_over(attempt, outcome, now, frees_place=is_last)

    def _shares_place(self, attempt: GatewayAttempt) -> bool:
        """Return whether another attempt in progress is at the same phone, which counts them as one call."""
        name = attempt.choice.gateway.name
        return any(each is not attempt and each.choice.gateway.name == name for each in self.in_progress)

    # -- inside: telephones that ring together -------------------------------------------------------------------------

    def _ring_beside(self, tried: GatewayAttempt, now: Instant) -> None:
        """Call the other telephones that ring together with the one that is tried."""
        gateway, journey = tried.choice.gateway, self._call.journey
        while len(self.beside) < TOGETHER_MAX - 1 and (
            next_hop := self.hunt.take_beside(gateway, self.in_progress, now)
        ):
            choice, address = next_hop
            attempt = GatewayAttempt(self._call.endpoint, self._call, choice, address, AttemptProgress(now))
            try:
                sip_call_id = attempt.begin(self._call.caller.offer, self.hops, now)
                self.beside = (*self.beside, attempt)
            finally:
                if attempt not in self.beside and not self._shares_place(attempt):
                    self._board.gateways.vacate(choice)
            if not journey.foremost_call_id:
                journey.note_together(journey.sip_call_ids_out[-1], gateway.name)
            journey.sip_call_ids_out.append(sip_call_id)
            journey.note_together(sip_call_id, choice.gateway.name)
            if self._call.settings.charges_ringing and not self._charge(attempt, now):
                return
        self._wait(tried, now)

    def _progressed_beside(self, attempt: GatewayAttempt, status: int, session: bytes, now: Instant) -> None:
        """Handle a provisional response of one of several telephones.

        The foremost one is that which has sent media last; while none has, the one that rang first.
        """
        self._wait(attempt, now)
        if status not in RINGING:
            return
        if attempt is not self._call.callee and (session or self._call.state is not states.RINGING):
            self._put_first(attempt, now)
        if attempt is self._call.callee:
            self._board.gateways.attempt_rings(attempt)
            self._call.state = states.RINGING
            self._call.journey.note_ringing(now.came)
            self._call.caller.ring(status, session, now)

    def _put_first(self, attempt: GatewayAttempt, now: Instant, *, answers: bool = False) -> None:
        """Make another one of several attempts the foremost; ``answers``: its telephone has answered."""
        before, self._call.callee = self._call.callee, attempt
        others = (each for each in (before, *self.beside) if each is not attempt and each is not None)
        self.beside = tuple(others)
        self._note_foremost(attempt)
        left = before.fork_key(before.fork_shown) if before else ""
        self.fork_changed(attempt, left, attempt.fork_key(attempt.fork_shown), now, answers=answers)

    def _note_foremost(self, attempt: GatewayAttempt) -> None:
        sip_call_id, product = attempt.transaction.parts.call_id, attempt.progress.product
        self._call.journey.note_foremost(attempt.choice, sip_call_id, str(attempt.peer), product)

    def _cancel_beside(
        self, attempt: GatewayAttempt, reason: EndReason, row: str, now: Instant, given: Mapping[str, int] = NO_CAUSES
    ) -> None:
        outcome = attempt.given_up(now)
        attempt.give_up(reason, now, given)
        self._call.journey.attempts.append(attempt.row(0, row, now))
        self._leave_place(attempt, outcome, now)
        self.beside = tuple(each for each in self.beside if each is not attempt)

    def _one_over(
        self, attempt: GatewayAttempt, outcome: AttemptOutcome, now: Instant, *, code: int, is_telling: bool
    ) -> None:
        """Record one of several attempts; the others go on, unless it has refused the call for all of them."""
        reason = verdict([outcome]).reason
        self._call.journey.attempts.append(attempt.row(code, reason.text, now))
        if self.hunt.note_beside(attempt.choice, outcome, attempt.address.device):
            self._note_foremost(attempt)
            others = tuple(each for each in self.in_progress if each is not attempt)
            self._call.callee, self.beside = attempt, others
            self._call.conversation.drop_bridge(now)
            attempt.close(now)  # it rings no more when the others end
            for each in others:
                self._cancel_beside(each, reason, REFUSED_ELSEWHERE, now)
            self._leave_place(attempt, outcome if is_telling else None, now)
            self._call.callee = None
            if self.hunt.is_refused:
                self._fail(now)
            else:
                self.try_next(now)
            return
        self._leave_place(attempt, outcome if is_telling else None, now)
        if attempt is self._call.callee:
            self._put_another_first(now)
        self.beside = tuple(each for each in self.beside if each is not attempt)
        attempt.close(now)
        if self._call.callee is not None:
            self._wait(self._call.callee, now)

    def _put_another_first(self, now: Instant) -> None:
        """Put another attempt in place of the foremost one, which has failed; forward its media, or that it rings."""
        caller = self._call.caller
        was_playing = caller.leg is None or caller.progress.sent_early_media  # the side of a transfer has ring-back
        attempt = max(self.beside, key=lambda each: (bool(each.fork_shown), each.progress.rang))
        self._put_first(attempt, now)
        if was_playing and attempt.progress.rang:
            self._call.conversation.to_forward, session = None, attempt.early_media
            self._call.caller.ring(_PROGRESS if session else _RINGING, session, now)

    def _due_together(self, now: Instant) -> None:
        """End those of several attempts whose time is over; the last one is not one of several."""
        for attempt in self.in_progress:
            if not self.beside or attempt.rings_until_ms() > now.mono:
                continue
            outcome = attempt.timed_out()
            attempt.leave(outcome, now)
            self._one_over(attempt, outcome, now, code=0, is_telling=not attempt.transaction.is_unsent)
        if self._call.callee is not None:
            self._wait(self._call.callee, now)


def _may_have(session: bytes, *legs: Leg | None) -> bool:
    """Return whether the ``codecs`` of the trunks of all these legs leave a codec of a description."""
    left: bytes | None = session
    for leg in legs:
        media = None if leg is None else leg.facts.media
        if left is not None and media is not None and media.settings.codecs:
            left = with_codecs(left, media.settings.codecs)
    return left is not None
