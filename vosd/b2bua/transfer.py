"""REFER: the side that called leaves, and those it talked to go on with each other (RFC 3515, RFC 5589; XFR-07).

Every leg stays what it was for money: the call to whom it was made goes on until that party is gone, and is paid by
the account that made it. So after a transfer there are two calls with a vendor's leg each, and no customer's; in
either of them a ``Substitute`` stands for the side that left.
"""

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from vosd.b2bua.bridge import Bridge
from vosd.b2bua.caller_leg import CallerLeg
from vosd.b2bua.refresh import Hold
from vosd.b2bua.substitute import Substitute
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.status import phrase

if TYPE_CHECKING:
    from vosd.b2bua.call import Call
    from vosd.b2bua.parts import CallParts

SIPFRAG: Final = "Content-Type: message/sipfrag;version=2.0\r\n"


class Stage(Enum):
    """How far a transfer has come."""

    CALLING = auto()
    """The target is called; the old call stands."""
    CONSULTING = auto()
    """The transferor talks to the target; the other side waits."""
    JOINED = auto()
    """The two that stay talk to each other."""
    OVER = auto()


class Transfer:
    """One transfer: ``first`` is the call whose other side is transferred, ``second`` the one to the target."""

    __slots__ = (
        "_alarm",
        "_endpoint",
        "_event",
        "_hold",
        "_notifies",
        "_stage",
        "_told",
        "consults",
        "first",
        "second",
    )

    def __init__(
        self, endpoint: Endpoint, first: "Call", event: str, *, notifies: bool, consults: bool = False
    ) -> None:
        """``event`` names the REFER to the transferor; ``notifies``: it wants to hear how it goes (RFC 4488).

        ``consults``: it talks to the target before it leaves.
        """
        self.consults = consults
        self._hold: Hold | None = None
        """What tells the side that waits so."""
        self._endpoint = endpoint
        self._event = event
        self._notifies = notifies
        self._stage = Stage.CALLING
        self._told: set[int] = set()
        self._alarm: Timer[TimerOwner] | None = None
        self.first = first
        self.second: Call | None = None

    @property
    def call(self) -> "Call":
        """The call that suffers from a mistake here."""
        return self.first

    @property
    def is_calling(self) -> bool:
        """Whether the target has not answered yet."""
        return self._stage is Stage.CALLING

    @property
    def is_under_way(self) -> bool:
        """Whether the transferor is still there, or needed."""
        return self._stage is Stage.CALLING or self._stage is Stage.CONSULTING

    # -- a target that is called --------------------------------------------------------------------------------

    def begin(self, second: "Call", timeout_ms: int, now: Instant) -> None:
        """Call the target, for at most so long (XFR-02)."""
        self.second = second
        self._tell(100, now)
        self._alarm = self._endpoint.set_alarm(self, now.plus(timeout_ms))
        second.begin(now)

    def progressed(self, status: int, now: Instant) -> None:
        """The target rings."""
        self._tell(status, now)

    def answered(self, now: Instant) -> None:
        """The target has answered: the transferor's part is done."""
        if self.second is None:
            return
        transferor = self.first.caller.leg
        if self.consults and transferor is not None:
            self._consult(self.second, transferor, now)
            return
        self._tell(200, now)
        self._join(self.second, now)

    def failed(self, status: int, now: Instant) -> None:
        """The target was not to be had: whoever is still there talks on, and one who was left alone is let go."""
        if self._stage is not Stage.CALLING:
            return
        self._stop(now)
        self._tell(status, now)
        first = self.first
        first.transfer = None
        if first.caller.leg is None:
            first.hung_up(first.caller, None, now)

    def alarm_fired(self, event: AlarmFired) -> None:
        """The target takes too long."""
        self._alarm = None
        if self._stage is Stage.CALLING and self.second is not None:
            self.second.caller_cancelled(event.at)

    def take_back(self, now: Instant) -> None:
        """The transferor does not want it any more: it talks on with its party."""
        if self.second is None:
            return
        if self._stage is Stage.CALLING:
            self.second.caller_cancelled(now)
        elif self._stage is Stage.CONSULTING:
            self.second.hung_up(self.second.caller, None, now)

    # -- those who leave ----------------------------------------------------------------------------------------

    def transferor_left(self, now: Instant) -> None:
        """The transferor does not wait for the answer, or has talked to the target."""
        first = self.first
        first.caller.close(now)
        first.caller = Substitute(self, first)
        if self._stage is Stage.CONSULTING and self.second is not None:
            self._join(self.second, now)

    def release_transferor(self, now: Instant) -> None:
        """Hang the transferor up, which has asked for that: the target rings, or has been talked to."""
        first, left = self.first, self.first.caller
        if self._stage is Stage.CONSULTING and self.second is not None:
            self._join(self.second, now)
            return
        if self._stage is Stage.CALLING and left.leg is not None:
            first.drop_bridge(now)
            first.caller = Substitute(self, first)
            left.hang_up("", now)

    def ended(self, call: "CallParts", at: Instant, now: Instant) -> None:
        """One of the two calls is over since ``at``, whoever ended it; a switch that lags finds that out ``now``."""
        match self._stage:
            case Stage.CALLING if call is self.second:
                self.failed(500, now)
            case Stage.CALLING if self.second is not None:
                self._stop(now)
                self.second.caller_cancelled(now)
            case Stage.CONSULTING if call is self.second:
                self._resume(now)
            case Stage.CONSULTING:
                self._stop(now)
                self._part(self.second, at, now)
            case Stage.JOINED:
                self._part(self.second if call is self.first else self.first, at, now)

    # -- two calls that are there already -----------------------------------------------------------------------

    def attended(self, second: "Call", now: Instant) -> None:
        """Connect the other sides of two calls of the transferor."""
        self.second = second
        self._tell(200, now)
        left = second.caller
        second.transfer = self
        second.caller = Substitute(self, second)
        left.hang_up("", now)
        self._join(second, now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _consult(self, second: "Call", transferor: CallerLeg, now: Instant) -> None:
        """Let the transferor talk to the target, and hold the other side: a party must not hear two at once."""
        self._stop(now)
        self._stage = Stage.CONSULTING
        first = self.first
        first.drop_bridge(now)
        second.drop_bridge(now)
        if first.callee is not None and second.callee is not None:
            first.bridge = second.bridge = Bridge(self._endpoint, second.callee, transferor)
            first.bridge.introduce(now, transferor)
            self._hold = Hold(self._endpoint, first.callee)
            self._hold.begin_when_free(now)

    def _resume(self, now: Instant) -> None:
        """Let the transferor and its party talk again: the target is gone."""
        self._stop(now)
        first = self.first
        first.transfer = None
        first.drop_bridge(now)
        if first.callee is not None and first.caller.leg is not None:
            first.talk(first.callee).introduce(now)

    def _join(self, second: "Call", now: Instant) -> None:
        self._stop(now)
        self._stage = Stage.JOINED
        first = self.first
        if first.caller.leg is not None:
            left, first.caller = first.caller, Substitute(self, first)
            first.drop_bridge(now)
            left.hang_up("", now)
        second.drop_bridge(now)
        if first.callee is not None and second.callee is not None:
            first.bridge = second.bridge = Bridge(self._endpoint, first.callee, second.callee)
            first.bridge.introduce(now)

    def _part(self, left: "Call | None", at: Instant, now: Instant) -> None:
        """End the other call too, at the same instant: nobody pays for how late that was found (DESIGN D13)."""
        self._stage = Stage.OVER
        if left is not None and left.journey.answered_at is not None:
            left.hung_up(left.caller, None, now, max(at.came, left.journey.answered_at))

    def _stop(self, now: Instant) -> None:
        self._stage = Stage.OVER
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None
        hold, self._hold = self._hold, None
        if hold is not None and not hold.is_over:
            hold.withdraw(now)

    def _tell(self, status: int, now: Instant) -> None:
        """Let the transferor know (RFC 3515 section 2.4.4), if it is there and wants to."""
        caller = self.first.caller.leg
        if not self._notifies or status in self._told or caller is None:
            return
        self._told.add(status)
        state = "active;expires=180" if status < 200 else "terminated;reason=noresource"
        headers = f"{caller.contact()}Event: {self._event}\r\nSubscription-State: {state}\r\n{SIPFRAG}"
        caller.ask("NOTIFY", headers, f"SIP/2.0 {status} {phrase(status)}\r\n".encode(), None, now)
