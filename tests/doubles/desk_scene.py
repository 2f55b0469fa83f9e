"""A scene in which a customer calls a telephone of another account, which transfers the call (ADR 180)."""

from typing import Any, Final

from doubles.conformance import faults_of
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.keypad_scene import KEYS
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Side
from doubles.virtual.vendor import IncomingCall, Script
from vosd.catalogue.catalogue import Catalogue
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.gateways import MappingGateway, RoutingGateway

DESK: Final = "44201"
MATE: Final = "44202"
TARGET: Final = "442071111111"
"""A number of the vendor's."""
ANYWHERE: Final = "192.0.2.1"


def office(*, dialect: CallerDialect | None = None, desk: dict[str, Any] | None = None, **parameters: Any) -> Catalogue:
    """Make a customer, a vendor and an office with two telephones; ``desk`` are other terms of the first one."""
    terms: dict[str, Any] = {"account": "office", "dialect": dialect or CallerDialect(transfer_keys=KEYS)}
    known: list[MappingGateway | RoutingGateway] = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    phones = phone(DESK, **{**terms, **(desk or {})}), phone(MATE, **terms)
    rich = account("office", overdraft_limit=None)
    return catalogue(known, **{"phones": phones, "accounts": [rich], **parameters})


def registered(scene: Scene) -> tuple[VirtualPhone, VirtualPhone]:
    """Return both telephones, once they are registered."""
    desk = scene.exchange.telephone(DESK, Endpoint("203.0.113.66", 41_234))
    mate = scene.exchange.telephone(MATE, Endpoint("203.0.113.77", 5_070))
    desk.register()
    mate.register()
    return desk, mate


def called(scene: Scene, desk: VirtualPhone, **intent: Any) -> tuple[OutgoingCall, IncomingCall]:
    """Let the customer call the desk; return both sides a second after the answer."""
    call = scene.answered_call(Intent(**intent), callee=DESK, talk_ms=1_000)
    return call, desk.calls[-1]


def dialled(scene: Scene, desk: VirtualPhone, number: str = MATE) -> OutgoingCall:
    """Let the desk call a number; return its side a second after the answer."""
    call = desk.call(number)
    scene.wire.run_until(lambda: call.final == 200)
    scene.wire.run_for(1_000)
    return call


def blind(side: Side, number: str, *headers: str) -> None:
    """Ask for a transfer to a number."""
    side.ask("REFER", headers=[f"Refer-To: <sip:{number}@{ANYWHERE}>", *headers])


def transferring(
    scene: Scene, script: Script | None = None, after_ms: int = 3_000
) -> tuple[OutgoingCall, IncomingCall, VirtualPhone]:
    """Let the desk transfer its caller to its mate; return both sides of the call of the desk, and the mate."""
    desk, mate = registered(scene)
    mate.script = script or mate.script
    call, at_desk = called(scene, desk)
    blind(at_desk, MATE)
    scene.wire.run_for(after_ms)
    return call, at_desk, mate


def attended(side: Side, other: Side) -> None:
    """Ask for a transfer to the other side of another call."""
    side.ask("REFER", headers=[f"Refer-To: <sip:x@{ANYWHERE}?Replaces={other.replaces_in_uri}>"])


def notified(side: Side) -> list[str]:
    """Return what the NOTIFYs of a transfer said."""
    return [notify.body.removeprefix("SIP/2.0 ").strip() for notify in side.asked["NOTIFY"]]


def are_connected(one: Side, other: Side) -> bool:
    """Return whether two sides that did not call each other have each other's media."""
    return _media(one.theirs) == _media(other.mine) and _media(other.theirs) == _media(one.mine)


def assert_no_faults(scene: Scene) -> None:
    """Expect that strict peers have found no fault; the checker knows no registrations and no challenges."""
    packets = [each for each in scene.wire.packets if b"REGISTER" not in each.data and b" 401 " not in each.data]
    assert faults_of(packets, SWITCH) == []


def _media(session: str) -> str:
    return session.partition("\r\nt=")[2]
