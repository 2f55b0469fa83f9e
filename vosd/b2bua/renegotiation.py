"""One change of the session: an offer of one leg is forwarded to the other, and the answer back (RFC 3264, RFC 3311).

A bridge has at most one at a time. Offer and answer are forwarded unchanged; codecs, hold, fax and video are for the
peers to agree on. A refusal changes nothing.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.b2bua.outgoing.headers import SDP, of_proposal
from vosd.b2bua.outgoing.ruled import parts_for
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.media.leg_media import MediaRefusal
from vosd.routing.failover import OURS_TO_SETTLE
from vosd.sdp.lines import MEDIUM, fitted
from vosd.sdp.origin import alike
from vosd.sdp.rewrite import Hidden
from vosd.sdp.security import has_ice, has_keys
from vosd.sip.door.messages import OutgoingAck, OutgoingCancel, OutgoingReinvite, OutgoingRequest
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, NoResponse, ResponseArrived
from vosd.sip.headers.retry_after import retry_after_s
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.transaction.states import TransactionState
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.multipart import BodyPart

if TYPE_CHECKING:
    from vosd.b2bua.bridge import Bridge
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.leg import Leg

TRIES_MAX: Final = 5
"""Number of times that an offer is sent to a side that answers 491 or 422, an INVITE to a gateway that answers 422."""
FREE_MS: Final = 200
"""Wait before a side that has an INVITE in progress is looked at again."""
PORTS_MS: Final = 1_000
"""Wait before ports are asked for again: the loss of an rtpengine is noticed before the last of ``TRIES_MAX``."""
RETRY_AFTER_MAX_S: Final = 10
"""Longest wait that a side asks for which has not answered an INVITE before ours (RFC 3261 section 14.2)."""
OTHER_CODECS: Final = frozenset({488, 606})
"""Refusals of a description. An answer has only the codecs that its author has chosen, often a single one: an offer of
that side has all of them."""


class ProposalFacts(msgspec.Struct, omit_defaults=True):
    """Facts of a proposal: a field of it is written to snapshots and read from them without another line."""

    method: str
    asked_at: Instant | None = None
    tries: int = 0
    is_cancelled: bool = False
    """Whether its origin has cancelled it; a 2xx of the far side holds for both all the same."""
    is_early: bool = False
    """Whether it was begun before the answer of the call, or before the caller's ACK."""
    is_last: bool = False
    """Whether the far side's answer is offered to the other side no more."""
    displaces_introduction: bool = False
    """Whether it took the place of an ``Introduction``, which follows where this offer is refused: without either the
    two sides send their media to who has connected them."""
    displaces_answer: bool = False
    """Whether it took the place of what had to tell the caller the media of the answer, which follows likewise."""
    is_after_doubt: bool = False
    """Whether the far side may have taken an earlier offer that was given up: it is in doubt again if this is refused.
    """
    is_repeated: bool = False
    """Whether it is such an ``Introduction``: both sides get an offer, for one may have refused that of before."""
    has_turned: bool = False
    """Whether it is an ``Introduction`` that was refused in one way, by the latest description of the second side or by
    an offer that this side was asked for, and goes the other way."""


class Proposal:
    """One offer to one side: sent, sent again after 491 (glare), answered or refused."""

    __slots__ = ("_bridge", "_endpoint", "alarm", "asked", "facts", "far", "offer", "parts", "returns")

    def __init__(self, endpoint: Endpoint, bridge: "Bridge | None", far: "Leg", method: str, offer: bytes) -> None:
        """``bridge`` is None while ``far`` is not connected to another leg."""
        self.far = far
        self._endpoint = endpoint
        self._bridge = bridge
        self.facts = ProposalFacts(method)
        self.offer = offer
        self.asked: Client | InviteClient | None = None
        """The request that the far side has not answered."""
        self.alarm: Timer[TimerOwner] | None = None
        """Timer of the next try."""
        self.parts: tuple[BodyPart, ...] = ()
        """Other bodies of the request, which go with ours; they are not kept over a restart."""
        self.returns: Response | None = None
        """The response of the far side while it is handled: other bodies of it go back by rule."""

    @property
    def call(self) -> "CallPort":
        """The call that is ended after an error here."""
        return self.far.call

    def gives_way_to(self, _leg: "Leg") -> bool:
        """Return whether the far side has answered 491, and may send an offer of its own now (section 14.1)."""
        return self.alarm is not None

    def begin(self, now: Instant) -> None:
        """Send the offer to the far side."""
        self.facts.tries += 1
        self.facts.asked_at = now
        self.asked = self._sent(now)

    def begin_when_free(self, now: Instant) -> None:
        """Send the offer as soon as no INVITE is in progress with the far side (RFC 3261 section 14.1).

        That may be a refresh, or what was withdrawn before its final response. A refresh that waits gives way.
        """
        far, refresh = self.far, refresh_of(self.far)
        if refresh is not None and refresh.gives_way_to(far):
            refresh.withdraw(now)
            refresh = None
        if refresh is None and may_be_offered(far):
            self.begin(now)
        else:
            self.alarm = self._endpoint.set_alarm(self, now.plus(FREE_MS))

    # -- what comes back ----------------------------------------------------------------------------------------

    def response_came(self, event: ResponseArrived) -> None:
        """Handle the response of the far side."""
        status, now = event.response.status, event.at
        if status < 200:
            return
        asked, self.asked = self.asked, None
        self.far.note_response(event.response, now)
        self.returns = event.response
        if status < 300:
            before, invite = self.far.sessions.remote, asked if isinstance(asked, InviteClient) else None
            self._follow(event.response, now)
            session = self.far.session_in(event.response)
            if self.call.conversation.is_media_blocked(self.far, session, before, now):
                if invite is not None:
                    self._acknowledge(invite, b"", now)
                self.call.end(EndReason.GEOFENCE_BLOCKED, now)
            else:
                self._agreed(session, invite, now)
        elif self._may_be_sent_again and self._comes_too_early(event.response):
            self.alarm = self._endpoint.set_alarm(self, now.plus(self._wait_ms(event.response)))
        elif status == 422 and self._may_be_sent_again and self.far.timer.accept_min_se(event.response):
            self.begin(now)  # for a longer session interval (RFC 4028 section 7.3)
        elif status == 481 and self._endpoint.dialogs.is_asked_elsewhere(self.far.dialog, event.transaction.peer):
            self._answered_by_another(event, now)
        else:
            # Without a CANCEL of ours 487 is of a side that hangs up (RFC 3261 section 15.1.2), after one it was late.
            is_given_up = isinstance(asked, InviteClient) and asked.cancel_headers is not None
            self._refused(504 if status == 487 and is_given_up and not self.facts.is_cancelled else status, now)
            if status in {408, 481}:  # the far side has no such dialog any more (RFC 3261 section 12.2.1.2)
                self._far_is_gone(status, now)
            else:
                self._catch_up(now)
        self.returns = None

    def no_response(self, event: NoResponse) -> None:
        """End the call if the far side is silent; without a connection to it, only the change is refused.

        So it is where that side does not know our INVITE any more, for its 481 to a CANCEL says nothing of the dialog.
        """
        self.asked, asked = None, event.transaction
        if event.is_unreachable or self._endpoint.dialogs.is_asked_elsewhere(self.far.dialog, asked.peer):
            was_sent = not asked.is_withdrawn if isinstance(asked, InviteClient) else asked.owner is not None
            self.facts.is_after_doubt |= was_sent  # its connection may have broken after it had arrived
            self._go_on_without(event.at)
        elif isinstance(asked, InviteClient) and asked.is_unknown:
            self.facts.is_after_doubt = True  # its 2xx may have been lost with a connection
            self._refused(504, event.at)
            self._catch_up(event.at)
        else:
            self._not_answered(event.at)

    def alarm_fired(self, event: AlarmFired) -> None:
        """Send the offer again, or for the first time when the far side is free."""
        self.alarm = None
        if self.facts.tries:
            self.begin(event.at)
        else:
            self.begin_when_free(event.at)

    def cancel(self, now: Instant) -> None:
        """Cancel the offer: its origin has cancelled its own request."""
        self.facts.is_cancelled = True
        if isinstance(self.asked, InviteClient):
            self._cancel(self.asked, now)
            if self.asked.state is TransactionState.TERMINATED:  # it was never sent
                self.asked = None
                self.withdraw(now)
                self._catch_up(now)
        elif self.asked is None:
            self.withdraw(now)
            self._catch_up(now)

    def withdraw(self, now: Instant, status: int = 487) -> None:
        """Abandon the offer: the other side's takes precedence (491), or the call is over."""
        self._release(now)
        self._refused(status, now)

    # -- its messages -------------------------------------------------------------------------------------------

    def _sent(self, now: Instant) -> Client | InviteClient:
        """Send the offer by INVITE or UPDATE; without a session the far side is to make one."""
        far, endpoint, session = self.far, self._endpoint, self.offer
        dialog = far.usable_dialog
        if session:
            sessions, before = far.sessions, far.sessions.said
            # an offer that was given up may have been taken, with all its media
            session = far.as_sent(session, max(before, sessions.given_up, key=_media))
            if session != before:
                far.call.board.moved(at_once=True)  # no other description is to have its version
        offered = "" if far.supervision is None else far.timer.offer()
        headers, parts = of_proposal(endpoint, dialog, session, far.timer, offered), self.parts
        if self.facts.method == "INVITE":
            invite = InviteClient(store=endpoint.store, owner=self, dialog=dialog)
            far.send(OutgoingReinvite(headers, session, invite, dialog, enclosed=parts), now)
            return invite
        client = Client(store=endpoint.store, owner=self)
        far.send(OutgoingRequest(headers, session, client, dialog, self.facts.method, enclosed=parts), now)
        return client

    def _acknowledge(
        self, transaction: InviteClient, answer: bytes, now: Instant, parts: tuple[BodyPart, ...] = ()
    ) -> None:
        """Acknowledge the far side's 200 to a re-INVITE."""
        answer = self.far.as_sent(answer, self.far.sessions.remote)
        if answer:
            self.far.call.board.moved(at_once=True)  # no other description is to have its version
        headers, dialog = SDP if answer else "", self.far.usable_dialog
        self.far.send(OutgoingAck(headers, answer, transaction, dialog, enclosed=parts), now)

    def _cancel(self, transaction: Client | InviteClient, now: Instant, *, is_abandoned: bool = False) -> None:
        """Cancel a re-INVITE; where it ``is_abandoned``, a failure is ignored, and a 2xx acknowledged.

        An UPDATE cannot be cancelled: its response is ignored, but no other offer is made before it.
        """
        sessions = self.far.sessions
        door = self.far.door
        if isinstance(transaction, Client):
            if door is None or door.withdraw(transaction, now) is None:
                transaction.owner = None
                if self.offer:
                    sessions.updating, sessions.given_up = transaction, sessions.said
            return
        if is_abandoned:  # a 2xx may have crossed the CANCEL
            sessions.given_up = sessions.said
        self.far.send(OutgoingCancel("", b"", transaction, is_abandoned, None), now)

    def _follow(self, response: Response, now: Instant) -> None:
        """Take from a 2xx the far side's Contact, its capabilities and its session description."""
        far = self.far
        if far.dialog is not None and self._endpoint.dialogs.refresh(far.dialog, response):
            far.moved()
        far.take_session(response)
        if far.supervision is not None:
            agreed = far.timer.agreed
            far.timer.answered(response, self.facts.asked_at or now)
            far.supervision.refreshed(now)
            if far.timer.agreed != agreed:
                far.moved()

    # -- inside -------------------------------------------------------------------------------------------------

    @abstractmethod
    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        """Go on with the far side's answer; ``invite`` is the transaction where an ACK is wanted."""

    @abstractmethod
    def _refused(self, status: int, now: Instant) -> None:
        """Go on without the change."""

    @property
    def _may_be_sent_again(self) -> bool:
        """Whether a refusal may be followed by another try: its origin still wants the offer."""
        return self.facts.tries < TRIES_MAX and not self.facts.is_cancelled

    def _answered_by_another(self, event: ResponseArrived, now: Instant) -> None:
        """Send the offer to another place of the far side's user, or go on without it: that side may have the call."""
        dialog = self.far.dialog
        has_moved = dialog is not None and dialog.peer != event.transaction.peer
        if has_moved and self._may_be_sent_again:
            self.begin(now)
        else:
            self._go_on_without(now)

    def _go_on_without(self, now: Instant) -> None:
        """Go on after the far side was not reached."""
        self._not_reached(now)
        self._catch_up(now)

    def _not_reached(self, now: Instant) -> None:
        """Go on without the change, as after 503 (RFC 3261 section 8.1.3.1): the far side may have the call."""
        self._refused(503, now)

    def _is_unfit(self) -> bool:
        """Return whether the offer was withheld because its session is not one for the far side; it is asked once."""
        media = self.far.facts.media
        refusal = None if media is None else media.refusal
        if media is not None:
            media.refusal = None
        return refusal not in {None, MediaRefusal.NO_MEDIA_PORT}

    def _not_answered(self, now: Instant) -> None:
        self.facts.is_after_doubt = True
        self._refused(408, now)
        self._far_is_gone(408, now)

    def _far_is_gone(self, status: int, now: Instant) -> None:
        """End the call of a side that has no such call (481) or does not answer (408)."""
        self.far.call.lost(self.far, status, now)

    def _release(self, now: Instant) -> None:
        """Ignore the response to the request in progress."""
        if self.asked is not None:
            self._cancel(self.asked, now, is_abandoned=True)
        self.asked = None

    def _catch_up(self, now: Instant) -> None:
        """Offer what this offer kept back, now that it is refused: media of the answer, or an introduction."""
        if self.facts.is_early or self.facts.displaces_answer:
            self.call.conversation.offer_answer(now)
        elif self.facts.displaces_introduction and self._bridge is not None and self._bridge.is_quiet:
            self._bridge.introduce(now, is_repeated=True)

    def _comes_too_early(self, response: Response) -> bool:
        """Return whether the offer is to be sent again after a refusal."""
        return response.status == 491

    def _wait_ms(self, _response: Response) -> int:
        """Return the wait after 491 (RFC 3261 section 14.1).

        The side that made the Call-ID waits from 2.1 to 4 seconds, the other one up to 2: so they do not collide again.
        """
        draw, callee = int(self._endpoint.token()[-4:], 36), self.call.callee
        owns_call_id = callee is not None and callee.leg is self.far and callee.invite_sequence > 0
        return 2_100 + 10 * (draw % 191) if owns_call_id else 10 * (draw % 201)

    def _over(self) -> None:
        if self.alarm is not None:
            self._endpoint.call_off(self.alarm)
            self.alarm = None
        if self._bridge is not None:
            self._bridge.settled(self)


class Renegotiation(Proposal):
    """An offer of one side to the other, from its request to the last ACK."""

    __slots__ = ("answers_in_ack", "origin", "said_before", "server")

    def __init__(
        self,
        endpoint: Endpoint,
        bridge: "Bridge | None",
        origin: "Leg",
        far: "Leg",
        server: Server | InviteServer | None,
        *,
        method: str,
        offer: bytes,
        said_before: bytes,
        answers_in_ack: InviteClient | None = None,
    ) -> None:
        """``server`` is the request with the offer; without ``offer`` the far side is asked to make one.

        ``said_before`` is the description that the far side had before the offer.
        """
        super().__init__(endpoint, bridge, far, method, offer)
        self.origin = origin
        self.said_before = said_before
        self.server = server
        self.answers_in_ack = answers_in_ack
        """The far side's 200 with an offer, unacknowledged until the origin has answered."""

    def acknowledged(self, answer: bytes, now: Instant) -> None:
        """Handle the origin's ACK of our 200: it has the answer if the far side made the offer."""
        if self.answers_in_ack is not None:
            ack = self.origin.call.conversation.to_forward
            parts = parts_for(self.far, ack) if isinstance(ack, Request) else ()
            self._acknowledge(self.answers_in_ack, answer, now, parts)
            self.answers_in_ack = None
        self._over()

    def withdraw(self, now: Instant, status: int = 487) -> None:
        """Abandon the offer; one of the far side that will not be answered is acknowledged without SDP."""
        if self.answers_in_ack is not None:
            self._acknowledge(self.answers_in_ack, b"", now)
            self.answers_in_ack = None
        super().withdraw(now, status)

    def take_back(self) -> None:
        """End the offer after a kill: the session of before holds, although the far side may have taken this one."""
        sessions = self.far.sessions
        if not self.offer or sessions.said != self.said_before:
            sessions.given_up, sessions.said = sessions.said, self.said_before
        self._over()

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        if invite is not None:
            if self.offer or not session:
                self._acknowledge(invite, b"", now)
            else:
                # The re-INVITE had no SDP, so the 2xx is the offer and our ACK has to carry the answer (RFC 3261
                # section 13.2.1). It is sent when the origin's ACK brings that answer.
                self.answers_in_ack = invite
        if self.offer and not session and self.server is not None:
            self._agreed_without_answer(self.server, now)
            return
        server, self.server = self.server, None
        if isinstance(server, Server) and self._bridge is not None and self._is_unusable(session, now):
            self._bridge.refuse_agreed(self.origin, server, 488, now)
        else:
            if self.offer:
                self._note_offer()
                for leg in (self.origin, self.far):
                    if leg.early is not None and leg.early.speaker is not None:
                        leg.early.changed.add(leg.early.speaker)
            if server is not None:
                self._answer(server, session, now)
        if not isinstance(server, InviteServer):  # an INVITE transaction lasts until its ACK: see ``acknowledged``
            self._over()

    def _agreed_without_answer(self, server: Server | InviteServer, now: Instant) -> None:
        """Repeat the answer of before to an offer of before; refuse another one, for the origin needs an answer.

        The far side has accepted the offer, but by RFC 3264 section 5 it has to say how: it is offered the session of
        before.
        """
        sessions = self.origin.sessions
        if sessions.said and alike(self.offer, sessions.remote):
            self.server = None
            self._note_offer()
            self._answer(server, sessions.said, now)
            if not isinstance(server, InviteServer):
                self._over()
            return
        self.facts.is_after_doubt = True
        self._refused(488, now)
        if self.facts.is_early:
            self.call.conversation.offer_answer(now)
            return
        self._catch_up(now)
        if self._bridge is not None:
            self._bridge.offer_again(self.far, now)

    def _note_offer(self) -> None:
        """Note the offer as the latest session description of the origin."""
        self.origin.sessions.note(self.offer)
        self.origin.moved()

    def _answer(self, server: Server | InviteServer, session: bytes, now: Instant) -> None:
        """Answer the origin with the far side's session."""
        self.origin.agree(server, session, now, self.returns)
        self._note_settled(server)

    def _is_unusable(self, session: bytes, now: Instant) -> bool:
        """Return whether the origin cannot be sent the answer to an UPDATE, or to a PRACK with an offer."""
        door = self.origin.door
        return bool(session) and door is not None and door.keeper.refuses(session, self.far, self.origin, now)

    def _refused(self, status: int, now: Instant) -> None:
        server, self.server = self.server, None
        if server is not None:
            self._restore_said(status)
            if self._is_refresh() and status not in {481, 487} and (status != 491 or self.returns is not None):
                if self.origin.door is not None:
                    self.origin.door.keeper.offer_forgotten(self.origin, now)
                self.origin.agree(server, self.origin.sessions.said, now)
            else:
                final = 487 if self.facts.is_cancelled else status_for_origin(status)
                self.origin.respond(server, final, now, forwarded=self.returns)
            self._note_settled(server)
        self._over()

    def _is_refresh(self) -> bool:
        """Return whether nothing but the session in force was offered: it goes on, also where the far side refuses it.

        A peer whose refreshes are refused ends the call, or its interval runs out. Silence does not end the call
        either, as after a refresh of ours.
        """
        sessions, facts = self.origin.sessions, self.facts
        is_of_change = facts.is_cancelled or facts.is_early or facts.displaces_introduction or facts.displaces_answer
        is_alone = self.origin.supervision is not None and not is_of_change and not self.parts
        return is_alone and bool(self.offer and sessions.said) and alike(self.offer, sessions.remote)

    def _far_is_gone(self, status: int, now: Instant) -> None:
        if status != 408 or not self._is_refresh():
            super()._far_is_gone(status, now)

    def _note_settled(self, server: Server | InviteServer) -> None:
        """Journal the call before the response to a re-INVITE leaves: it was written while that one waited for it.

        After a transfer the far side is of another call, which has the media that it was offered.
        """
        if isinstance(server, InviteServer):
            self.origin.call.board.moved(at_once=True)
        if self.far.call is not self.origin.call:
            self.far.call.board.moved(at_once=True)

    def _restore_said(self, status: int) -> None:
        """Describe the far side as before the offer: the session in force is that one (RFC 3261 section 14.1).

        A peer that refuses an offer by another code than 491 may have read it, and noted its version.
        """
        sessions = self.far.sessions
        if self.facts.is_after_doubt:
            sessions.given_up = sessions.said
        elif status != 491 and sessions.said != self.said_before:
            sessions.refused = sessions.said
        sessions.said = self.said_before

    def _not_reached(self, now: Instant) -> None:
        """Refuse the change: by 488 where its session is not one for the far side (RFC 3261 section 14.2), else by 503.

        503 says that the switch is out of order: some peers try no further call after it.
        """
        self._refused(488 if self._is_unfit() else 503, now)


class Introduction(Proposal):
    """An offer of the switch itself, for two legs that did not call each other.

    The first side is offered the last SDP of the second; a different answer is then offered to the second. Keys are
    agreed by one offer and its answer, and none of an earlier one holds: where a side is encrypted, the second is asked
    for an offer, which the first answers.
    """

    __slots__ = ("answers_in_ack", "first", "second")

    def __init__(
        self,
        endpoint: Endpoint,
        bridge: "Bridge | None",
        first: "Leg",
        second: "Leg",
        far: "Leg",
        offer: bytes,
        answers_in_ack: InviteClient | None = None,
    ) -> None:
        """``far`` is the side that has the ``offer``; without one it is the second, which is asked for its own."""
        super().__init__(endpoint, bridge, far, "INVITE", offer)
        self.first = first
        self.second = second
        self.answers_in_ack = answers_in_ack
        """The second side's 200 with an offer, unacknowledged until the first has answered."""

    @classmethod
    def of(cls, endpoint: Endpoint, bridge: "Bridge", first: "Leg", second: "Leg") -> "Introduction":
        """Prepare the first offer, or ask for it."""
        described = first.sessions.remote, second.sessions.remote
        if any(map(has_keys, described)):
            if has_ice(described[1]) and not has_ice(described[0]):
                first, second = second, first  # ICE begins anew by an offer to the one that has it (RFC 8839)
            return cls(endpoint, bridge, first, second, second, b"")
        return cls(endpoint, bridge, first, second, first, second.sessions.active_remote())

    def begin_when_free(self, now: Instant) -> None:
        """Send the offer when the far side is free: the other one may have another description by then."""
        if self.far is self.first and self.answers_in_ack is None:
            self.offer = self.second.sessions.active_remote()
        super().begin_when_free(now)

    def alarm_fired(self, event: AlarmFired) -> None:
        """Send the offer now, or when the far side is free."""
        self.alarm = None
        self.begin_when_free(event.at)

    def withdraw(self, now: Instant, _status: int = 487) -> None:
        """Abandon it: an offer of a side has the same effect and takes precedence, or the call is over."""
        super().withdraw(now)

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        first, second = self.first, self.second
        if self.far is second and not self.offer and session:
            self.answers_in_ack = invite
            self._go_on(first, session, now)
            return
        if invite is not None:
            self._acknowledge(invite, b"", now)
        if self.far is second and not self.offer:
            self._go_on(first, b"", now)
        elif self.answers_in_ack is not None:
            self._answer_second(session, now)
            self._over()
        # The first side may have chosen other codecs or another address than the second was sent by its former peer:
        # then the second needs an offer, too. The same description again would only start another exchange.
        elif self.far is first and session and self._is_new_to(second, session):
            self._go_on(second, session, now)
        else:
            self._over()
            if self.far is second and session and self._bridge is not None:
                self._bridge.answer_changed(second, session, now, is_last=True)

    def _is_new_to(self, second: "Leg", session: bytes) -> bool:
        return self.facts.is_repeated or not second.sessions.is_latest_said(as_reached(session, second))

    def _go_on(self, far: "Leg", offer: bytes, now: Instant) -> None:
        self.far, self.offer, self.facts.tries = far, offer, 0
        self.begin_when_free(now)

    def _answer_second(self, answer: bytes, now: Instant) -> None:
        """Acknowledge the offer of the second side; empty = there is no answer."""
        invite, self.answers_in_ack = self.answers_in_ack, None
        if invite is not None:
            far, self.far = self.far, self.second
            self._acknowledge(invite, answer, now)
            self.far = far

    def _comes_too_early(self, response: Response) -> bool:
        # 500 with Retry-After: the side has not answered an INVITE before this one (section 14.2).
        is_busy = response.status == 500 and retry_after_s(response) is not None
        return is_busy or super()._comes_too_early(response)

    def _wait_ms(self, response: Response) -> int:
        wait_s = retry_after_s(response) if response.status == 500 else None
        return super()._wait_ms(response) if wait_s is None else 1_000 * min(wait_s, RETRY_AFTER_MAX_S)

    def _not_reached(self, now: Instant) -> None:
        """End the call: without the offer the two sides have no session with each other.

        A description that the side may not be sent, as one without a codec of its trunk, is taken for a refused one.
        One for which there are no ports is offered again: an rtpengine may be lost for seconds before that is noticed.
        """
        media = self.far.facts.media
        has_no_port = media is not None and media.refusal is MediaRefusal.NO_MEDIA_PORT
        if self._is_unfit():
            self._refused(488, now)
        elif not has_no_port:
            self._not_answered(now)
        elif self._may_be_sent_again:
            self.alarm = self._endpoint.set_alarm(self, now.plus(PORTS_MS))
        else:
            self._refused(408, now)
            self.far.call.lost(self.far, 488, now, EndReason.NO_MEDIA_PORT)

    def _refused(self, status: int, now: Instant) -> None:
        if status not in {408, 481, 487} and not self.facts.has_turned:
            makes_none = self.far is self.second and not self.offer  # its latest description is the best that there is
            if makes_none or (self.far is self.first and self.answers_in_ack is None and status in OTHER_CODECS):
                self.facts.has_turned = True
                self._go_on(self.first if makes_none else self.second, b"", now)
                return
        self._answer_second(b"", now)
        self._over()
        # 408 and 481 end the call as a lost leg; 487 means that an offer of a side took precedence.
        if status not in {408, 481, 487} and self._bridge is not None:
            one = self._bridge.one  # the two have no media in common, and an answered leg costs money
            one.call.lost(one, 488, now)


def refresh_of(leg: "Leg") -> Proposal | None:
    """Return the refresh of ours that a side has not answered, if there is one."""
    return None if leg.supervision is None else leg.supervision.refresh


def has_open_offer(leg: "Leg") -> bool:
    """Return whether an offer of ours has no final response: then none may be sent (RFC 3261 14.1, RFC 3311 5.1)."""
    if leg.dialog is None:
        return False
    updating = leg.sessions.updating
    return leg.dialog.invites > 0 or (updating is not None and not updating.is_over)


def may_be_offered(leg: "Leg") -> bool:
    """Return whether no INVITE is in progress with a side, nor an offer of ours."""
    return not has_open_offer(leg) and leg.acceptance is None


def as_reached(session: bytes, leg: "Leg") -> bytes:
    """Return a description as this leg would be offered it: with addresses that it reaches, and media as before."""
    session = session.for_one_at(leg.host) if isinstance(session, Hidden) else session
    return fitted(session, leg.sessions.said) if leg.sessions.said else session


def _media(session: bytes) -> int:
    """Return the number of media of a description."""
    return session.count(MEDIUM)


def status_for_origin(status: int) -> int:
    """Return the status for the origin of a request that the far side refused.

    408 and 481 would end the origin's own dialog (RFC 3261 section 12.2.1.2). Redirections and challenges concern only
    the far leg.
    """
    if status in {408, 481}:
        return 504
    return 503 if status in OURS_TO_SETTLE or status < 400 else status
