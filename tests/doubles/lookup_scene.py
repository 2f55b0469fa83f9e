"""The usual stage with the servers that the switch asks about numbers: a redirect server on the wire."""

from typing import Any, Final

from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Script, Vendor
from vosd.base.clock import Instant
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.lookups.asker import Lookups
from vosd.engine.lookups.sip_question import Wiring
from vosd.engine.settings import LookupSettings, PortabilitySettings
from vosd.trunks.gateways import Address

SERVER: Final = Endpoint("203.0.113.80", 5080)
ADDRESS: Final = Address(*SERVER)


class _ClockOfScene:
    """The clock of an exchange that is made later."""

    scene: Scene | None = None
    ahead_ms = 0
    """Time that has passed since the event that the switch handles, as on a busy machine."""

    def now(self) -> Instant:
        assert self.scene is not None
        return self.scene.exchange.clock.now().plus(self.ahead_ms)


class LookupScene(Scene):
    """A customer, vendors, and a server that is asked before calls are routed."""

    def __init__(self, content: Catalogue, settings: LookupSettings, script: Script | None = None) -> None:
        self.clock = clock = _ClockOfScene()
        self.lookups = Lookups(clock, settings)
        super().__init__(content, asker=self.lookups)
        clock.scene = self
        exchange = self.exchange
        switch = exchange.switch
        self.lookups.connect(
            Wiring(exchange.endpoint, switch.take_answer, exchange.take_answer, switch.terms.vendors_at)
        )
        self.server: Vendor = exchange.vendor(SERVER, script)

    def dial(self, callee: str = CALLEE, *, script: Script | None = None, **intent: Any) -> OutgoingCall:
        """Make a call and let it end."""
        if script is not None:
            self.server.script = script
        call = self.caller.call(callee, Intent(**{"hang_up_after_ms": 1_000, **intent}))
        self.wire.run_until(lambda: call.is_over, within_ms=120_000)
        return call

    def tried(self) -> list[tuple[str, str | None]]:
        """Return the gateways of the latest call, and the number that the last of them was called by."""
        record = self.exchange.sink.records[-1]
        return [(each.gateway, record.callee_out) for each in record.attempts]


def content_of(*gateways: Any, customer: dict[str, Any] | None = None, **parameters: Any) -> Catalogue:
    """Make a catalogue of ``acme`` and gateways, by default two vendors."""
    vendors = gateways or (vendor_gateway(0), vendor_gateway(1))
    return catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", **(customer or {})), *vendors], **parameters)


def by_sip(**terms: Any) -> LookupSettings:
    """Return settings that ask the redirect server about portability."""
    return LookupSettings(portability=PortabilitySettings(server=ADDRESS, **terms))
