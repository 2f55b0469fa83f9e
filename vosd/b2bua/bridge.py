"""Two legs that talk to each other, and the change of their session that is in progress.

Mostly the two legs of one call; after a transfer those of two calls, each billed by itself.
"""

from typing import TYPE_CHECKING

from vosd.b2bua.caller import Caller
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import retry_later
from vosd.b2bua.outgoing.ruled import parts_for, types_sent
from vosd.b2bua.refresh import ChangedAnswer
from vosd.b2bua.renegotiation import (
    Introduction,
    Proposal,
    Renegotiation,
    as_reached,
    has_open_offer,
    may_be_offered,
    refresh_of,
)
from vosd.b2bua.takeover import Takeover
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.sdp.direction import may_answer
from vosd.sdp.media import BadSession, sends_elsewhere, takes_less
from vosd.sdp.origin import alike
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import RequestArrived
from vosd.sip.screening import accepting
from vosd.sip.transaction.server import InviteServer, Server

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort


class Bridge:
    """Connects two legs; at most one change of the session is in progress at a time."""

    __slots__ = ("_endpoint", "one", "other", "proposal")

    def __init__(self, endpoint: Endpoint, one: Leg, other: Leg) -> None:
        self._endpoint = endpoint
        self.one = one
        self.other = other
        self.proposal: Proposal | None = None

    def holds(self, leg: Leg) -> bool:
        """Return whether a leg is one of the two; the third leg of a transfer is on hold."""
        return leg is self.one or leg is self.other

    def opposite(self, leg: Leg) -> Leg:
        """Return the leg at the other end."""
        return self.other if leg is self.one else self.one

    def session_wanted(self, leg: Leg, event: RequestArrived) -> None:
        """Handle a re-INVITE or UPDATE of one leg.

        A refresh (unchanged SDP) is answered locally and not forwarded, unless other bodies of it pass.
        """
        offer, server, now = leg.session_in(event.request), event.transaction, event.at
        pending, change, far = self._pending_for(leg), self.proposal, self.opposite(leg)
        has_no_session = not offer and not isinstance(server, InviteServer)
        types = frozenset[str]() if has_no_session and not far.facts.allows_update else types_sent(far)
        if event.request.required_types and not types.issuperset(event.request.required_types):
            leg.respond(server, 415, now, accepting(types))
            return
        carries = bool(types) and bool(parts_for(far, event.request))
        if has_no_session and not carries and not _is_of(pending, leg):
            leg.agree(server, b"", now)  # without an offer it conflicts with nothing (RFC 3311 section 5.2)
            return
        # After a 491 both sides wait for a random time, and the one whose timer fires first may offer again (RFC 3261
        # section 14.1). A proposal of ours that waits has lost: it is withdrawn, if the offer can be taken.
        if pending is not None and pending.gives_way_to(leg) and not _is_of(pending, leg):
            pending = None
        # What another fork may have agreed on is offered to this leg as soon as the other one has sent its ACK.
        if pending is not None or leg.acceptance is not None or (far.acceptance is not None and leg.sessions.given_up):
            self._refuse_crossing(leg, pending, event)
            return
        refresh, theirs = refresh_of(leg), refresh_of(far)
        # An unchanged offer is a refresh. Not so where a change is withdrawn in its favour: the offer then has to be
        # forwarded, because the answer gives this leg the new media of the other side. So it is where the other side
        # made the last offer, which leg has answered: that may be no answer. One that crosses an offer of ours is
        # refused as any other (RFC 3261 section 14.2).
        if change is None and not carries and not has_open_offer(leg) and self._is_refresh(leg, offer):
            if refresh is not None:
                refresh.withdraw(now)
            leg.agree(server, leg.sessions.said, now)
            return
        # Our refreshes are offers, too: two at once on one dialog would collide (RFC 3311 section 5.1). So would an
        # offer and an INVITE of ours that was withdrawn before its final response.
        is_refreshing = any(each is not None and not each.gives_way_to(leg) for each in (refresh, theirs))
        if is_refreshing or has_open_offer(leg) or has_open_offer(far):
            leg.respond(server, 491, now)
            return
        for each in (change, refresh, theirs):
            if each is not None:
                each.withdraw(now, 491)
        self._renegotiate(leg, event, offer, change)

    @staticmethod
    def _is_refresh(leg: Leg, offer: bytes) -> bool:
        """Return whether an offer is that of before, and what the leg was sent last may be the answer."""
        sessions = leg.sessions
        return offer == sessions.remote and bool(offer and sessions.said) and may_answer(sessions.said, offer)

    @property
    def is_quiet(self) -> bool:
        """Whether no change of the session is in progress."""
        return self.proposal is None

    @property
    def is_being_taken_over(self) -> bool:
        """Whether a newcomer waits for the far side to go on with it."""
        return isinstance(self.proposal, Takeover) and self.proposal.server is not None

    def newcomer_for(self, leg: Leg) -> Leg | None:
        """Return the leg that another one is asked to go on with (RFC 3891); None = it is not."""
        proposal = self.proposal
        return proposal.newcomer.leg if isinstance(proposal, Takeover) and proposal.far is leg else None

    def answer_changed(self, leg: Leg, session: bytes, now: Instant, *, is_last: bool = False) -> None:
        """Offer an answer of one leg to the other, if that was sent another description (RFC 3264 section 8.3.1).

        So it is where that one may have taken another description than the one that holds.

        ``is_last``: it is the answer to an offer that follows another answer. It goes on only where media have to go
        elsewhere, or are held or rejected, and what the other leg answers to it goes no further, for the two might go
        on for ever.
        """
        if not self.holds(leg):
            return
        other = self.opposite(leg)
        said, reached = other.sessions.said, as_reached(session, other)
        if is_last:
            is_other = _matters(reached, said, leg.sessions.said)
        else:
            is_other = bool(other.sessions.given_up) or not alike(reached, said)
        if self.proposal is None and said and is_other:
            self.proposal = change = ChangedAnswer(self._endpoint, self, other, session, other.sessions.said)
            change.facts.is_last, change.facts.is_after_doubt = is_last, bool(other.sessions.given_up)
            change.begin_when_free(now)
        elif is_last:
            self.answer_kept(leg, now)

    def answer_kept(self, leg: Leg, now: Instant) -> None:
        """Note that an answer of a leg goes no further."""
        if leg.door is not None and self.holds(leg):
            leg.door.keeper.answer_kept(leg, self.opposite(leg), now)

    def offer_again(self, leg: Leg, now: Instant) -> None:
        """Offer the session in force to a leg that may have taken another one (RFC 3261 section 14.1).

        A change in progress goes first: it tells the leg that session, too, unless it is refused.
        """
        other = self.opposite(leg)
        if not self.holds(leg) or not other.sessions.remote:
            return
        if self.proposal is None:
            self.answer_changed(other, other.sessions.remote, now)
        elif leg.supervision is not None:
            leg.supervision.offer_later(now)

    def session_unwanted(self, leg: Leg, now: Instant) -> None:
        """Handle a CANCEL of a proposal."""
        if self.proposal is not None and _is_of(self.proposal, leg):
            self.proposal.cancel(now)

    def acknowledged(self, leg: Leg, session: bytes, now: Instant) -> None:
        """Handle the ACK of a 200 to a proposal of that leg; that of another 200 leaves an unanswered one as it is."""
        proposal = self.proposal
        if isinstance(proposal, Renegotiation) and proposal.origin is leg and proposal.server is None:
            proposal.acknowledged(session, now)

    def introduce(self, now: Instant, first: Leg | None = None, *, is_repeated: bool = False) -> None:
        """Renegotiate the media of two legs that were just connected, with ``first`` before the other one.

        If they have no codec in common, the call of the leg that was named first at the construction ends.
        """
        first = first or self.one
        self.proposal = introduction = Introduction.of(self._endpoint, self, first, self.opposite(first))
        introduction.facts.is_repeated = is_repeated
        introduction.begin_when_free(now)

    def take_over(self, call: "CallPort", replaced: Leg, newcomer: Caller, server: InviteServer, now: Instant) -> bool:
        """Ask the far side to go on with another leg (RFC 3891); False while another change is in progress."""
        far = self.opposite(replaced)
        if self.proposal is not None or refresh_of(far) is not None or not may_be_offered(far):
            return False
        self.proposal = Takeover(self._endpoint, self, call, newcomer, far, server, said_before=far.sessions.said)
        self.proposal.facts.is_after_doubt = bool(far.sessions.given_up)
        self.proposal.begin(now)
        return True

    def replace(self, gone: Leg, newcomer: Leg) -> None:
        """Replace one leg by another."""
        if self.one is gone:
            self.one = newcomer
        else:
            self.other = newcomer

    def refuse_agreed(
        self,
        leg: Leg,
        transaction: Server | InviteServer,
        status: int,
        now: Instant,
        reason: EndReason = EndReason.NO_COMMON_CODEC,
    ) -> None:
        """Refuse an offer of a leg that the other one has accepted by an answer that this one cannot be sent.

        That ends what has such a session now: a gateway that still rings, else the call, by that ``reason``.
        """
        call = leg.call
        leg.respond(transaction, status, now)
        if call.search is not None and call.callee is not None and call.callee.leg is not leg:
            call.search.session_unusable(call.callee, now)  # before its 200, which a vendor would charge for
        else:
            call.end(reason, now)

    def settled(self, proposal: Proposal) -> None:
        """Note the end of a proposal."""
        if self.proposal is proposal:
            self.proposal = None

    def over(self, now: Instant) -> None:
        """Abandon the change that is in progress."""
        pending, self.proposal = self.proposal, None
        if pending is not None:
            pending.withdraw(now)

    def _pending_for(self, leg: Leg) -> Proposal | None:
        """Return the proposal in progress that one of that leg would conflict with."""
        return refresh_of(leg) if self.proposal is None else self.proposal

    def _renegotiate(self, leg: Leg, event: RequestArrived, offer: bytes, displaced: Proposal | None) -> None:
        far, server = self.opposite(leg), event.transaction
        # A peer may allow UPDATE on one leg only: the method is chosen for each. UPDATE needs no ACK, but must be
        # answered at once, so a re-INVITE, which a person may have to accept, stays one (RFC 3311 section 5.1).
        method = "INVITE" if isinstance(server, InviteServer) or not far.facts.allows_update else "UPDATE"
        is_early = far.supervision is None
        if is_early:  # no re-INVITE before the first INVITE is answered (RFC 3261 section 14.1)
            if not far.facts.allows_update:
                leg.respond(server, 488, event.at)
                return
            method = "UPDATE"
        if isinstance(server, Server):  # an INVITE has its 100 already
            server.defer_response(self._endpoint.server_header, event.at)
        else:
            leg.call.board.moved(at_once=True)  # its peer repeats it no more
        self.proposal = Renegotiation(
            self._endpoint, self, leg, far, server, method=method, offer=offer, said_before=far.sessions.said
        )
        facts = self.proposal.facts
        awaits_ack = far.acceptance is not None and not far.facts.is_confirmed
        if displaced is not None:
            before = displaced.facts
            facts.displaces_introduction = isinstance(displaced, Introduction) or before.displaces_introduction
            facts.displaces_answer = isinstance(displaced, ChangedAnswer) or before.is_early or before.displaces_answer
        facts.is_early = is_early or (awaits_ack and not facts.displaces_introduction)
        facts.is_after_doubt = bool(far.sessions.given_up)
        self.proposal.parts = parts_for(far, event.request)
        self.proposal.begin_when_free(event.at)  # not before the other side's ACK

    def _refuse_crossing(self, leg: Leg, pending: Proposal | None, event: RequestArrived) -> None:
        """Refuse a proposal: with 500 a second one of one leg, with 491 one of each (RFC 3261 14.2, RFC 3311 5.2).

        With 491, too, one that comes before the ACK of our 200 to that leg (RFC 5407 section 3.1.4).
        """
        if _is_of(pending, leg):
            leg.respond(event.transaction, 500, event.at, retry_later(self._endpoint))
        else:
            leg.respond(event.transaction, 491, event.at)


def _is_of(proposal: Proposal | None, leg: Leg) -> bool:
    return isinstance(proposal, Renegotiation) and proposal.origin is leg


def _matters(session: bytes, before: bytes, offered: bytes) -> bool:
    """Return whether the reader of a description ``before`` has to know the answer to what was ``offered`` to it."""
    try:
        return sends_elsewhere(session, before) or takes_less(session, before, offered)
    except BadSession:
        return False
