"""A scene of calls with session timers: packets take no time, so what happens at a second happens at its beginning."""

from typing import Any, Final

from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.customer import KNOWS_TIMER, KNOWS_UPDATE, Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import IncomingCall, Script, answers_timed
from vosd.base.session_timer import SessionTimerSettings
from vosd.trunks.dialect import CalleeDialect, CallerDialect

KNOWS_ALL: Final = Intent(headers=(*KNOWS_TIMER, *KNOWS_UPDATE))
KNOWS_TIMER_ONLY: Final = Intent(headers=KNOWS_TIMER)
TIMED: Final = answers_timed("600;refresher=uac")
TIMED_WITHOUT_UPDATE: Final = answers_timed("600;refresher=uac", knows_update=False)


class TimedScene(Scene):
    """The stage, with terms of either trunk as ``SessionTimerSettings`` has them."""

    def __init__(
        self,
        customer: dict[str, Any] | None = None,
        vendor: dict[str, Any] | None = None,
        *,
        vendors: int = 1,
        parameters: dict[str, Any] | None = None,
        **switch: Any,
    ) -> None:
        """``switch`` is what ``Exchange`` takes."""
        theirs = CallerDialect(session_timer=SessionTimerSettings(**(customer or {})))
        dialect = CalleeDialect(session_timer=SessionTimerSettings(**(vendor or {})))
        gateways = [vendor_gateway(index, dialect=dialect) for index in range(vendors)]
        trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=theirs)
        super().__init__(catalogue([trunk, *gateways], **(parameters or {})), balance="100000", **switch)
        self.wire.delays = lambda _packet: (0,)

    def answered(self, intent: Intent = KNOWS_ALL, script: Script = TIMED) -> tuple[OutgoingCall, IncomingCall]:
        """Make a call; return its ends at the moment of the answer."""
        self.vendor.script = script
        call = self.caller.call(CALLEE, intent)
        self.wire.run_until(lambda: call.acks or call.final == 200)
        return call, self.vendor.calls[-1]

    def run(self, seconds: int) -> None:
        """Let time pass."""
        self.wire.run_for(1_000 * seconds)

    def end(self) -> tuple[float, str]:
        """Let the call come to its end; return its length in seconds and why it ended."""
        self.wire.run_until(lambda: self.exchange.sink.records, within_ms=10**9)
        assert self.exchange.residue() == {}
        assert faults_of(self.wire.packets, SWITCH) == []
        return self.record.hold_time_ms / 1_000, self.record.end_reason
