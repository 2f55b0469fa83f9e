"""The usual scene, its first vendor behind guards."""

from typing import Any, Final

from doubles.data.builders import catalogue, mapping_gateway
from doubles.guard import Guard, GuardedVendor
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import Script
from vosd.base.credentials import Login
from vosd.base.secret import Secret

LOGIN: Final = Login("vosd", Secret("secret"))
BRIEF: Final = 1_000


class GuardedScene(Scene):
    """The usual scene, its first vendor behind guards."""

    def __init__(
        self, *guards: Guard, script: Script | None = None, login: Login | None = LOGIN, **switch: Any
    ) -> None:
        terms = switch.pop("parameters", {})
        first = {"login": login, **switch.pop("first", {})}
        gateways = [vendor_gateway(0, **first), vendor_gateway(1)][: switch.pop("vendors", 2)]
        content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways], **terms)
        super().__init__(content, **switch)
        self.guarded = GuardedVendor(self.wire, VENDORS[0], SWITCH, *guards, script=script)
        self.vendors[0] = self.vendor = self.guarded

    def call_through(self, **intent: Any) -> OutgoingCall:
        """Make a call and see it to its end."""
        return self.whole_call(Intent(**{"hang_up_after_ms": BRIEF, **intent}))
