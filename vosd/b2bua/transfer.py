"""Call transfer: the transferor leaves, and the two that it talked to are connected (RFC 3515, RFC 5589).

Billing does not change: each call goes on until its other side hangs up, and is paid by the account that made it. After
a transfer there are two calls with one leg each, joined: a ``Substitute`` stands for a caller that has left, and a
callee that has left stays as the side that was called, without its leg (ADR 180). Each of these two sides may transfer
the other one again: the call of the side that leaves has no leg then, and ends (ADR 193).
"""

from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from vosd.b2bua.attempt import leg_of
from vosd.b2bua.bridge import Bridge
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import of_notification
from vosd.b2bua.refresh import MediaHold, WantedOffer
from vosd.b2bua.renegotiation import OTHER_CODECS
from vosd.b2bua.substitute import Substitute
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sdp.origin import alike
from vosd.sdp.security import has_keys
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.status import phrase

if TYPE_CHECKING:
    from vosd.b2bua.call import Call


class Stage(Enum):
    """Stage of a transfer."""

    CALLING = auto()
    """The target is called; the first call goes on."""
    CONSULTING = auto()
    """The transferor talks to the target; the other side waits."""
    OVER = 4  # as the journal has it: 3 was a stage of earlier versions
    """The two that stay were connected, or the target was not reached."""


class TransferFacts(msgspec.Struct, omit_defaults=True):
    """Facts of a transfer: a field of it is written to snapshots and read from them without another line."""

    stage: Stage
    notifies: bool = False
    """Whether the transferor wants NOTIFYs (RFC 4488)."""
    consults: bool = False
    """Whether the transferor talks to the target before it leaves."""
    notified: tuple[int, ...] = ()
    """Statuses that the transferor was notified of, in order."""
    first_called: bool = False
    """Whether the first call was made to the transferor, not by it."""
    second_called: bool = False
    """Whether the second call was made to the transferor."""
    has_asked: bool = False
    """Whether the side that the target is called for was asked for an offer."""


class CallTransfer:
    """One transfer: ``first`` is the call whose other side is transferred, ``second`` the one to the target."""

    __slots__ = ("_endpoint", "alarm", "event", "facts", "first", "hold", "second", "wanted")

    def __init__(self, endpoint: Endpoint, first: "Call", event: str, facts: TransferFacts) -> None:
        """``event`` names the REFER in NOTIFYs."""
        self.facts = facts
        self.hold: MediaHold | None = None
        """Holds the side that waits."""
        self.wanted: WantedOffer | None = None
        """Asks the side that the target is called for to make an offer."""
        self._endpoint = endpoint
        self.event = event
        self.alarm: Timer[TimerOwner] | None = None
        self.first = first
        self.second: Call | None = None

    @classmethod
    def to_be_called(
        cls,
        endpoint: Endpoint,
        first: "Call",
        event: str,
        *,
        notifies: bool,
        first_called: bool,
        consults: bool = False,
    ) -> "CallTransfer":
        """Prepare the transfer of the other side of a call."""
        facts = TransferFacts(Stage.CALLING, notifies, consults, first_called=first_called)
        return cls(endpoint, first, event, facts)

    @property
    def call(self) -> "Call":
        """The call that is ended after an error here."""
        return self.first

    @property
    def is_under_way(self) -> bool:
        """Whether the transferor is still there, or needed."""
        return self.facts.stage is Stage.CALLING or self.facts.stage is Stage.CONSULTING

    def transferor_in(self, call: "Call") -> Leg | None:
        """Return the leg of the transferor in one of the two calls; None once it has left that."""
        return leg_of(call.callee) if self._is_called_in(call) else call.caller.leg

    def staying_in(self, call: "Call") -> Leg | None:
        """Return the leg of the other side of one of the two calls, which may be that of a call joined with it."""
        joined = call.conversation.joined
        if joined is not None:
            return joined.caller.leg or leg_of(joined.callee)
        return call.caller.leg if self._is_called_in(call) else leg_of(call.callee)

    @property
    def side_of_target(self) -> Leg | None:
        """The leg that the target is called for: of the transferor where it will consult it, if it has not left."""
        transferor = self.transferor_in(self.first) if self.facts.consults else None
        return self.staying_in(self.first) if transferor is None else transferor

    def is_transferor(self, leg: Leg | None) -> bool:
        """Return whether a leg is that of the transferor in the first call, which it has not left."""
        return leg is not None and self.is_under_way and leg is self.transferor_in(self.first)

    # -- a target that is called --------------------------------------------------------------------------------

    def begin(self, second: "Call", timeout_ms: int, now: Instant) -> None:
        """Call the target, for at most ``timeout_ms``."""
        self.second = second
        if self.facts.notifies:
            self.first.board.moved(at_once=True)  # after a crash the transferor has to be notified of the end
        self._notify(100, now)
        self.alarm = self._endpoint.set_alarm(self, now.plus(timeout_ms))
        second.begin(now)

    def begin_again(self, now: Instant) -> None:
        """End a transfer of an earlier process that was killed while it called the target: its INVITE is cancelled."""
        if self.second is None:
            self.failed(503, now)

    def progressed(self, status: int, now: Instant) -> None:
        """The target rings."""
        self._notify(status, now)

    def answered(self, now: Instant) -> None:
        """Connect the two that stay, or the transferor and the target where it talks to the target first."""
        if self.second is None:
            return
        transferor = self.transferor_in(self.first)
        if self.facts.consults and transferor is not None:
            self._consult(self.second, transferor, now)
            return
        self._notify(200, now)
        self._join(now)

    def failed(self, status: int, now: Instant) -> None:
        """The target was not reached: end the first call if the transferor has left, else let it go on."""
        if self.facts.stage is not Stage.CALLING:
            return
        self._stop(now)
        self._notify(status, now)
        first = self.first
        first.conversation.transfer = None
        first.board.moved(at_once=True)
        # After a REFER the transferor keeps its dialog and may resume the call (RFC 5589 section 6). Where it has hung
        # up already, the side that stays has no other party.
        if self.transferor_in(first) is None:
            first.hung_up(None, None, now)

    def asks_for_offer(self, status: int, now: Instant) -> bool:
        """Ask the side that the target is called for to make an offer, if that refuses its latest description.

        That one may be an answer of a single codec (RFC 3264 section 6.1). An encrypted side is not asked while the
        transferor is there and is encrypted, too: other keys would have to go to it.
        """
        leg, bridge = self.side_of_target, self.first.conversation.bridge
        if self.facts.has_asked or status not in OTHER_CODECS or leg is None:
            return False
        if _shares_keys(leg, self.transferor_in(self.first)):
            return False
        if bridge is not None and not bridge.is_quiet:
            return False
        self.facts.has_asked = True
        self.wanted = WantedOffer(self._endpoint, leg)
        self.wanted.transfer = self
        self.wanted.begin_when_free(now)
        return True

    def offer_came(self, now: Instant) -> None:
        """Call the target again with an offer that has other codecs; without one it is not reached."""
        self.wanted, leg, second = None, self.side_of_target, self.second
        if leg is None or second is None or second.search is None:
            return
        before, second.caller.offer = second.caller.offer, leg.sessions.active_remote()
        second.search.go_on(now, again=not alike(second.caller.offer, before))

    def alarm_fired(self, event: AlarmFired) -> None:
        """The target takes too long."""
        self.alarm = None
        if self.facts.stage is Stage.CALLING and self.second is not None:
            self.second.caller_cancelled(event.at)

    def take_back(self, now: Instant) -> None:
        """Cancel the transfer: the transferor resumes the first call."""
        if self.second is None:
            return
        if self.facts.stage is Stage.CALLING:
            self.second.caller_cancelled(now)
        elif self.facts.stage is Stage.CONSULTING:
            self.second.hung_up(None, None, now)

    # -- calls and legs that end --------------------------------------------------------------------------------

    def transferor_left(self, cause: int | None, now: Instant) -> None:
        """Go on without the transferor, which has hung up before the target answered, or after a consultation.

        ``cause`` is the Q.850 cause of its BYE, for the record of a call that has no leg without it.
        Its BYE does not end the call: that is how a blind transfer usually goes on (RFC 5589 section 6).
        """
        self._let_go(self.first, now, has_hung_up=True, cause=cause)
        self.first.journey.reason_text = None  # of a BYE that does not end the call
        self.first.board.moved(at_once=True)
        if self.facts.stage is Stage.CONSULTING:
            self._join(now)
        else:
            self._go_on_with_other_side(now)

    def release_transferor(self, now: Instant) -> None:
        """Send the transferor a BYE, by its own keys: while the target rings, or after a consultation."""
        if self.facts.stage is Stage.CONSULTING:
            self._join(now)
        elif self.facts.stage is Stage.CALLING and self.transferor_in(self.first) is not None:
            self._let_go(self.first, now)
            self.first.board.moved(at_once=True)
            self._go_on_with_other_side(now)

    def first_ends(self, now: Instant) -> None:
        """Notify the transferor that its transfer fails, before its call ends (RFC 3515 section 2.4.7)."""
        if self.facts.stage is Stage.CALLING:
            self._notify(487, now)

    def ended(self, call: "Call", at: Instant, now: Instant) -> None:
        """One of the two calls ended at ``at``; ``now`` may be later when the switch lags."""
        match self.facts.stage:
            case Stage.CALLING if call is self.second:  # usually ``failed`` has come before, with the target's status
                self.failed(500, now)
            case Stage.CALLING if self.second is not None:
                self._stop(now)
                self.second.caller_cancelled(now)
            case Stage.CONSULTING if call is self.second:
                self._resume(now)
            case Stage.CONSULTING if self.second is not None:
                self._stop(now)
                self.second.conversation.partner_ended(at, now)

    # -- a target that was called before ------------------------------------------------------------------------

    def attended(self, second: "Call", now: Instant, *, is_called: bool) -> None:
        """Connect the other sides of two calls of the transferor; ``is_called``: the second was made to it."""
        self.second, self.facts.second_called = second, is_called
        # The target has answered the second call already, so the NOTIFY is final (RFC 3515 section 2.4.7). It goes out
        # in the dialog of the REFER, before the BYE to that leg in ``_join``.
        self._notify(200, now)
        self._let_go(second, now)
        self._join(now)

    def attended_early(self, second: "Call", substitute: Substitute, timeout_ms: int, now: Instant) -> None:
        """Go on with a call of the transferor whose target still rings: the transferor has it no more.

        Its INVITE is refused with 487, as if it had cancelled that (RFC 5589 section 7.6).
        """
        self.second = second
        self.first.board.moved(at_once=True)
        self._notify(100, now)
        if second.journey.ringing_at is not None:
            self._notify(180, now)
        self.alarm = self._endpoint.set_alarm(self, now.plus(timeout_ms))
        second.conversation.drop_bridge(now)
        second.conversation.transfer = self
        left, second.caller = second.caller, substitute
        substitute.call = second
        left.reject(487, "", now)
        self._report_ringing(now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _go_on_with_other_side(self, now: Instant) -> None:
        """Call the target for the side that stays; a transferor that has left is asked for an offer no more."""
        self._report_ringing(now)
        if self.wanted is not None and self.wanted.far is not self.side_of_target:
            self.wanted.withdraw(now)
            self.offer_came(now)

    def _report_ringing(self, now: Instant) -> None:
        """Let the side that waits be played the ringing of a target that has rung before that side waited for it."""
        second = self.second
        if second is not None and second.callee is not None and second.callee.progress.rang:
            second.board.media.target_rings(second.callee.early_media, now)

    def _consult(self, second: "Call", transferor: Leg, now: Instant) -> None:
        """Connect the transferor and the target, and put the other side on hold."""
        self._stop(now)
        self.facts.stage = Stage.CONSULTING
        first = self.first
        first.board.moved(at_once=True)
        second.board.moved(at_once=True)
        target, waiting = self.staying_in(second), self.staying_in(first)
        first.conversation.drop_bridge(now)
        if (joined := first.conversation.joined) is not None:
            joined.conversation.drop_bridge(now)
            joined.board.moved(at_once=True)
        if target is not None and waiting is not None:
            # Both calls share the bridge: requests of the transferor come to the first call, those of the target to
            # the second. The side that waits is on no bridge; ``Conversation`` answers its requests itself. It may be
            # that of a call joined with the first.
            first.conversation.bridge = second.conversation.bridge = Bridge(self._endpoint, target, transferor)
            first.conversation.bridge.introduce(now, transferor)
            self.hold = MediaHold.of(self._endpoint, waiting)
            self.hold.begin_when_free(now)

    def _resume(self, now: Instant) -> None:
        """Connect the transferor and the side that waits again: the target is gone."""
        self._stop(now)
        first = self.first
        first.board.moved(at_once=True)
        first.conversation.transfer = None
        first.conversation.drop_bridge(now)
        transferor, waiting, joined = self.transferor_in(first), self.staying_in(first), first.conversation.joined
        if joined is not None and transferor is not None and waiting is not None:
            joined.board.moved(at_once=True)
            first.conversation.bridge = joined.conversation.bridge = Bridge(self._endpoint, waiting, transferor)
            first.conversation.bridge.introduce(now)
        elif first.callee is not None and first.caller.leg is not None and leg_of(first.callee) is not None:
            first.conversation.bridge_to(first.callee).introduce(now)

    def _join(self, now: Instant) -> None:
        """Join the two calls, and connect the two that stay."""
        self._stop(now)
        if self.transferor_in(self.first) is not None:
            self._let_go(self.first, now)
        first, second = self.first, self.second
        if second is None:
            raise RuntimeError(f"{first!r} has no call to join")
        one, other = self.staying_in(first), self.staying_in(second)
        first.conversation.transfer = second.conversation.transfer = None
        first.conversation.joined, second.conversation.joined = second, first
        first.board.moved(at_once=True)
        second.board.moved(at_once=True)
        second.conversation.drop_bridge(now)
        if one is not None and other is not None:
            first.conversation.bridge = second.conversation.bridge = Bridge(self._endpoint, one, other)
            first.conversation.bridge.introduce(now)

    def _let_go(self, call: "Call", now: Instant, *, has_hung_up: bool = False, cause: int | None = None) -> None:
        """Let the transferor leave one of the two calls: send it BYE, unless it ``has_hung_up`` itself."""
        if call.conversation.joined is not None:
            self._end_without_legs(call, call.conversation.joined, cause, now, has_hung_up=has_hung_up)
            return
        call.conversation.drop_bridge(now)
        if self._is_called_in(call):
            if call.callee is not None:
                call.callee.depart(now, has_hung_up=has_hung_up)
            return
        # The substitute comes before the BYE: a BYE of that leg that crosses ours must not end the call.
        left, leg = call.caller, call.caller.leg
        call.caller = Substitute(call, left_media=None if leg is None else leg.facts.media)
        if has_hung_up:
            left.close(now)
        else:
            left.hang_up("", now)

    def _end_without_legs(
        self, call: "Call", joined: "Call", cause: int | None, now: Instant, *, has_hung_up: bool
    ) -> None:
        """Go on with the call that one of the two was joined with: without the transferor the latter has no leg.

        It ends as hung up by the transferor.
        """
        leg, is_called = self.transferor_in(call), joined.caller.leg is not None
        if call is self.first:
            self.first, self.facts.first_called = joined, is_called
            joined.conversation.transfer = self
        else:
            self.second, self.facts.second_called = joined, is_called
        call.conversation.transfer = call.conversation.joined = joined.conversation.joined = None
        joined.conversation.drop_bridge(now)
        if leg is not None and not has_hung_up:
            leg.hang_up("", now)
        call.hung_up(leg, cause, now)

    def _is_called_in(self, call: "Call") -> bool:
        return self.facts.first_called if call is self.first else self.facts.second_called

    def _stop(self, now: Instant) -> None:
        self.facts.stage = Stage.OVER
        if self.alarm is not None:
            self._endpoint.call_off(self.alarm)
            self.alarm = None
        open_offers, self.hold, self.wanted = (self.hold, self.wanted), None, None
        for each in open_offers:
            if each is not None:
                each.withdraw(now)

    def _notify(self, status: int, now: Instant) -> None:
        """Send the transferor a NOTIFY (RFC 3515 section 2.4.4), if it is in the call and wants it."""
        # One NOTIFY for each status, because a target may send 180 many times. The final one ends the subscription.
        leg = self.transferor_in(self.first)
        if not self.facts.notifies or status in self.facts.notified or leg is None or leg.dialog is None:
            return
        self.facts.notified = (*self.facts.notified, status)
        headers = of_notification(self._endpoint, leg.dialog, self.event, status)
        leg.ask("NOTIFY", headers, f"SIP/2.0 {status} {phrase(status)}\r\n".encode(), None, now)


def _shares_keys(leg: Leg, transferor: Leg | None) -> bool:
    """Return whether a side encrypts by keys that the transferor has, or that an rtpengine has agreed on with both."""
    media = leg.facts.media
    is_alone = transferor is None or not has_keys(transferor.sessions.remote)
    return has_keys(leg.sessions.remote) and not (media is not None and media.is_terminated and is_alone)
