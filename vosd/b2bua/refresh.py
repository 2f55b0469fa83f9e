"""Refresh the session of one leg: UPDATE, or the unchanged offer again (RFC 4028 section 10).

It is a proposal like any other, but with an unchanged session: the other side is not involved, and a refusal ends the
call only with 481. The session expires by its timer.
"""

from typing import TYPE_CHECKING, Final

from vosd.b2bua.renegotiation import Proposal
from vosd.base.clock import Instant
from vosd.sdp.direction import inactive, may_answer
from vosd.sdp.media import BadSession, media_of
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired
from vosd.sip.transaction.client import InviteClient

if TYPE_CHECKING:
    from vosd.b2bua.bridge import Bridge
    from vosd.b2bua.call_port import TransferPort
    from vosd.b2bua.leg import Leg
    from vosd.b2bua.supervision import Supervision

NOT_AGAINST_UPDATE: Final = frozenset({408, 422, 481, 491, 500, 503, 504})
"""Refusals of an UPDATE that a re-INVITE would get as well."""


class Refresh(Proposal):
    """One refresh that we send. Both legs may be refreshed at once, independently."""

    __slots__ = ("_supervision",)

    def __init__(self, endpoint: Endpoint, supervision: "Supervision", far: "Leg", method: str, offer: bytes) -> None:
        super().__init__(endpoint, None, far, method, offer)
        self._supervision = supervision

    @classmethod
    def of(cls, endpoint: Endpoint, supervision: "Supervision", far: "Leg") -> "Refresh":
        """Prepare a refresh by UPDATE, else by the unchanged offer."""
        facts = supervision.facts
        # A re-INVITE without SDP asks for an offer (RFC 3261 section 14.1), which only the other leg could answer.
        by_update = far.facts.allows_update and not facts.update_failed and not facts.offers_again
        if by_update or not far.sessions.said:
            return cls(endpoint, supervision, far, "UPDATE", b"")
        return cls(endpoint, supervision, far, "INVITE", far.sessions.said)

    def gives_way_to(self, leg: "Leg") -> bool:
        """Return whether a proposal of ``leg`` takes precedence: an UPDATE without offer never conflicts on its leg."""
        return super().gives_way_to(leg) or (self.facts.method == "UPDATE" and leg is self.far)

    def withdraw(self, now: Instant, _status: int = 487) -> None:
        """Abandon the refresh: another proposal takes precedence, or the call is over."""
        self._release(now)
        self._over()
        self._supervision.postponed(now)

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        if invite is not None:
            self._acknowledge(invite, b"", now)
        self._over()
        self._supervision.succeeded()
        call = self.far.call
        if session and call.callee is not None and call.conversation.is_established:
            call.conversation.bridge_to(call.callee).answer_changed(self.far, session, now)

    def _refused(self, status: int, now: Instant) -> None:
        if self.facts.method == "UPDATE" and status not in NOT_AGAINST_UPDATE and self.far.sessions.said:
            self._supervision.facts.update_failed = True
            self.facts.method, self.offer = "INVITE", self.far.sessions.said
            self.begin(now)
            return
        self._over()
        self._supervision.failed(status, self.facts.asked_at or now, now)

    def _far_is_gone(self, status: int, now: Instant) -> None:
        """Do nothing: ``Supervision.failed`` decides, and 408 does not end the call at once."""


class ChangedAnswer(Proposal):
    """A changed answer to a refresh, which has to be forwarded to the other leg."""

    __slots__ = ("said_before",)

    def __init__(
        self, endpoint: Endpoint, bridge: "Bridge | None", far: "Leg", session: bytes, said_before: bytes
    ) -> None:
        """``said_before`` is the description that the far side had before."""
        super().__init__(endpoint, bridge, far, "INVITE", session)
        self.said_before = said_before

    def alarm_fired(self, event: AlarmFired) -> None:
        """Offer it now, or when the far side is free."""
        self.alarm = None
        self.begin_when_free(event.at)

    def withdraw(self, now: Instant, status: int = 487) -> None:
        """Abandon it: another proposal takes precedence, which may be refused (491), or the call is over."""
        super().withdraw(now, status)

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        if invite is not None:
            self._acknowledge(invite, b"", now)
        self._over()
        if self.far.supervision is not None:
            self.far.supervision.offer_taken()
        if not session or self._bridge is None:
            return
        if self.facts.is_last:
            self._bridge.answer_kept(self.far, now)
        else:
            self._bridge.answer_changed(self.far, session, now, is_last=True)

    def _refused(self, status: int, now: Instant) -> None:
        """Ignore the refusal: the call goes on unchanged, and where the offer has come too early, it follows later."""
        sessions = self.far.sessions
        if self.facts.is_after_doubt:
            sessions.given_up = sessions.said
        sessions.take_back(self.said_before)
        self._over()
        if status == 491 and self._bridge is not None and self.far.supervision is not None:
            self.far.supervision.offer_later(now)


class MediaHold(ChangedAnswer):
    """Put a side on hold while the other one talks to a third party; a refusal changes nothing."""

    __slots__ = ()

    def __init__(self, endpoint: Endpoint, far: "Leg", session: bytes, said_before: bytes) -> None:
        super().__init__(endpoint, None, far, session, said_before)

    @classmethod
    def of(cls, endpoint: Endpoint, far: "Leg") -> "MediaHold":
        """Prepare the hold of a side as it is now."""
        return cls(endpoint, far, inactive(far.sessions.said), far.sessions.said)

    def withdraw(self, now: Instant, _status: int = 487) -> None:
        """Abandon it; the side may have accepted it meanwhile, and is on hold until it is offered something else."""
        self._release(now)
        self._over()


class WantedOffer(Proposal):
    """Ask a side that is transferred for an offer, which has all of its codecs: an answer has those it has chosen.

    The session goes on: what the side was sent last is the answer to that offer, too.
    """

    __slots__ = ("_described", "transfer")

    transfer: "TransferPort"

    def __init__(self, endpoint: Endpoint, far: "Leg") -> None:
        """``transfer``, which wants the offer, is set before anything is sent."""
        super().__init__(endpoint, None, far, "INVITE", b"")
        self._described = far.sessions.active_remote()

    def alarm_fired(self, event: AlarmFired) -> None:
        """Ask now, or when the far side is free."""
        self.alarm = None
        self.begin_when_free(event.at)

    def withdraw(self, now: Instant, _status: int = 487) -> None:
        """Abandon it: the transfer is over."""
        self._release(now)
        self._over()

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        far = self.far
        if invite is not None:
            said = far.sessions.said
            answer = said if may_answer(said, session) else inactive(said)
            self._acknowledge(invite, answer if session else b"", now)
        self._over()
        call, has_moved = far.call, _places(far.sessions.active_remote()) != _places(self._described)
        if has_moved and session and call.callee is not None and call.conversation.is_established:
            call.conversation.bridge_to(call.callee).answer_changed(far, session, now, is_last=True)
        self.transfer.offer_came(now)

    def _refused(self, _status: int, now: Instant) -> None:
        self._over()
        self.transfer.offer_came(now)

    def _far_is_gone(self, status: int, now: Instant) -> None:
        """End the call after 481 alone: a side that ignores such a request talks on."""
        if status == 481:
            super()._far_is_gone(status, now)


def _places(session: bytes) -> list[tuple[str, int]]:
    """Return where the media of a description go; empty where it cannot be read."""
    try:
        return [(medium.host, medium.port) for medium in media_of(session)]
    except BadSession:
        return []
