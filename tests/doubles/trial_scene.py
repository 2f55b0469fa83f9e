"""A scene with a test call to its first vendor."""

from typing import Any

import msgspec

from doubles.virtual.scene import CALLEE, Scene, usual_catalogue
from doubles.virtual.vendor import Script
from vosd.b2bua.settings import CallSettings
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.signatures import attested
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.calls.trial import TrialCall, TrialOrder
from vosd.routing.pipeline import RouteChoice


class Trial:
    """A scene with a test call to its first vendor."""

    def __init__(
        self,
        script: Script,
        terms: dict[str, Any] | None = None,
        content: Catalogue | None = None,
        *,
        charges_ringing: bool = False,
        switch: dict[str, Any] | None = None,
        **order: Any,
    ) -> None:
        """``switch`` are arguments of ``Exchange``, ``order`` those of ``TrialOrder``."""
        self.scene = Scene(content or usual_catalogue(terms=terms), **(switch or {}))
        self.scene.vendor.script = script
        self.exchange = self.scene.exchange
        live_switch = self.exchange.switch
        gateway = live_switch.catalogue.routing_gateways["vendor-0"]
        now = self.exchange.clock.now()
        terms_of = LiveVendors(live_switch.catalogue, live_switch.live).terms(gateway, CALLEE, now.wall, "")
        self.call = TrialCall(
            self.exchange.endpoint, live_switch.live, live_switch.services.sink, "sw1",
            RouteChoice(gateway, "*", CALLEE, order.get("caller", ""), terms_of), TrialOrder(CALLEE, **order), now,
            attested(CallRequest("", 0, 0, at=now), order.get("caller", ""), live_switch.catalogue),
            CallSettings(charges_ringing=charges_ringing),
        )  # fmt: skip

    def run(self) -> dict[str, Any]:
        """Make the call, and return its report."""
        self.begin()
        self.scene.wire.run_until(lambda: self.call.is_over, within_ms=120_000)
        return self.over()

    def begin(self) -> None:
        """Send the INVITE."""
        self.call.begin()
        self.exchange.flush()

    def over(self) -> dict[str, Any]:
        """Require that nothing is left of it, and return its report."""
        assert self.exchange.leftovers() == {}
        assert self.exchange.residue() == {}
        return dict(msgspec.to_builtins(self.call.report()))


def said(report: dict[str, Any]) -> list[str]:
    """Return the steps of a report without their times."""
    return [step["what"] for step in report["steps"]]
