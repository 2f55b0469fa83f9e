"""The usual scene with telephones at unknown addresses, which prove who they are."""

from collections.abc import Sequence
from typing import Any, Final

from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.request_client import RequestClient
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from vosd.catalogue.catalogue import Catalogue
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.settings import SipSettings
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.phone import Phone

Gateway = MappingGateway | RoutingGateway

DESK: Final = Endpoint("203.0.113.66", 41_234)
"""A telephone at an unknown address."""
OTHER_DESK: Final = Endpoint("203.0.113.67", 41_234)
RIGHT: Final = Login("1001", "secret")
WRONG: Final = Login("1001", "guess")


def content(
    *phones: Phone, gateways: Sequence[Gateway] = (), digest: DigestSettings | None = None, **parameters: Any
) -> Catalogue:
    """Return a catalogue with the trunk of the usual scene, and with phones; without any, with that of ``RIGHT``."""
    known: list[Gateway] = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0), *gateways]
    digest = digest or DigestSettings()
    return catalogue(known, phones=phones or [phone("1001", digest=digest)], digest=digest, **parameters)


def scene(*phones: Phone, sip: SipSettings | None = None, **more: Any) -> Scene:
    """Make a scene with ``content``."""
    return Scene(content(*phones, **more), sip=sip)


def call(stage: Scene, login: Login, *, address: Endpoint = DESK, **intent: Any) -> OutgoingCall:
    """Call from an address, and hang up a while after an answer."""
    made = stage.exchange.caller(address).call(CALLEE, Intent(login=login, hang_up_after_ms=10_000, **intent))
    stage.wire.run_for(500)
    return made


def at_once(stage: Scene, address: Endpoint) -> RequestClient:
    """Return a client whose requests take no time on the wire."""
    stage.wire.delays = lambda _packet: (0,)
    return stage.exchange.request_client(address, wait_ms=0)
