"""Parts of a call: its two sides, its state, its history. Its events are in ``call``."""

from vosd.b2bua import states
from vosd.b2bua.bridge import Bridge
from vosd.b2bua.callee_leg import CalleeLeg
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.hunt import Hunt
from vosd.b2bua.lifetime import Lifetime
from vosd.b2bua.ports import Switchboard
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.b2bua.states import ACCEPTED, CallEvent
from vosd.b2bua.transfer import Transfer
from vosd.base.clock import Instant
from vosd.sip.endpoint import Endpoint


class CallParts:
    """The parts of one call, and simple questions about them."""

    __slots__ = (
        "_asks",
        "_board",
        "arrival",
        "bridge",
        "callee",
        "caller",
        "ending",
        "endpoint",
        "hops",
        "hunt",
        "journey",
        "lifetime",
        "settings",
        "state",
        "transfer",
    )
    __deletable__ = ("caller", "hunt")  # for a compiler (ADR 84)

    def __init__(
        self,
        arrival: Arrival,
        caller: CallerSide,
        hunt: Hunt | None,
        hops: int,
        endpoint: Endpoint,
        board: Switchboard,
        settings: CallSettings,
        *,
        asks: bool = False,
    ) -> None:
        """``hunt`` is None once the call is answered; ``asks``: a question of its set-up has to be answered first."""
        self.arrival = arrival
        self.caller = caller
        self.callee: CalleeLeg | None = None
        self.transfer: Transfer | None = None
        self.bridge: Bridge | None = None
        """Bridge between the two legs; made when the first request within a dialog needs it."""
        self.state = states.SETUP
        self.journey = Journey()
        self.ending: Ending | None = None
        self.endpoint = endpoint
        self._asks = asks
        if hunt is not None:
            self.hunt = hunt
        self.hops = hops
        self._board = board
        self.settings = settings
        self.lifetime: Lifetime | None = None
        """Time limit, once the call is answered."""

    def __repr__(self) -> str:
        return f"<Call {self.arrival.call_id} {self.state.name}>"

    @property
    def customer(self) -> str | None:
        """Name of the trunk that the call came from."""
        return self._board.customer

    @property
    def legs(self) -> int:
        """Return the number of established legs."""
        return 0 if self.state is states.OVER else 1 + (self.callee is not None)

    @property
    def is_conversing(self) -> bool:
        """Return whether both legs are established and have agreed on a session."""
        if self.state is not states.TALKING or self.callee is None or not self.callee.is_acknowledged:
            return False
        return self.bridge is not None or self.caller.leg is not None

    def drop_bridge(self, now: Instant) -> None:
        """Abandon a change of the session in progress, before the dialogs end."""
        bridge, self.bridge = self.bridge, None
        if bridge is not None:
            bridge.over(now)

    def talk(self, callee: CalleeLeg) -> Bridge:
        """Return the bridge between the two legs."""
        if self.bridge is None:
            caller = self.caller.leg
            if caller is None:
                raise RuntimeError(f"the customer has left {self!r}")
            self.bridge = Bridge(self.endpoint, caller, callee)
        return self.bridge

    def _accepts(self, call_event: CallEvent) -> bool:
        return call_event in ACCEPTED[self.state]
