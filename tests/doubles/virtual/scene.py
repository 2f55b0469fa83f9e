"""A customer, three vendors and a switch between them on virtual time, for tests of call flows."""

from functools import cache
from typing import Any, Final

from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Caller, Intent, OutgoingCall
from doubles.virtual.exchange import Exchange
from doubles.virtual.side import Side
from doubles.virtual.vendor import IncomingCall, Script, Vendor
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import CallRecord
from vosd.trunks.gateways import Address as GatewayAddress, RoutingGateway

CUSTOMER: Final = Endpoint("198.51.100.10", 5060)
VENDORS: Final = (Endpoint("203.0.113.1", 5060), Endpoint("203.0.113.2", 5070), Endpoint("203.0.113.3", 5060))
CALLEE: Final = "442079460000"


def vendor_gateway(index: int, **terms: Any) -> RoutingGateway:
    """Make the trunk of one vendor; a lower index is tried first."""
    host, port = VENDORS[index]
    terms = {"addresses": (GatewayAddress(host, port),), "priority": index, "account": "carriers", **terms}
    return routing_gateway(f"vendor-{index}", "44", **terms)


def usual_catalogue(
    *, vendors: int = 2, terms: dict[str, Any] | None = None, customer: dict[str, Any] | None = None, **parameters: Any
) -> Catalogue:
    """Make a catalogue of ``acme``, which may dial 44, and some vendors; ``terms`` are all vendors'."""
    gateways = [vendor_gateway(index, **(terms or {})) for index in range(vendors)]
    return catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32", **(customer or {})), *gateways], **parameters)


@cache
def _plain_catalogue() -> Catalogue:
    """Make the catalogue of most scenes once; nothing changes a catalogue."""
    return usual_catalogue()


def sides(first: str, call: OutgoingCall, there: IncomingCall) -> tuple[Side, Side]:
    """Return both ends of a call, that one first which ``first`` names: ``caller`` or ``callee``."""
    return (call, there) if first == "caller" else (there, call)


class Scene:
    """The parties of a call flow, and the checks after every call."""

    def __init__(self, content: Catalogue | None = None, *, balance: str = "100", **switch: Any) -> None:
        """``switch`` are arguments of ``Exchange``."""
        self.exchange = Exchange(content or _plain_catalogue(), balances={"acme": balance}, **switch)
        self.wire = self.exchange.wire
        self.caller: Caller = self.exchange.caller(CUSTOMER)
        self.vendors: list[Vendor] = [self.exchange.vendor(address) for address in VENDORS]
        self.vendor = self.vendors[0]

    @property
    def record(self) -> CallRecord:
        """The record; there must be exactly one."""
        return self.exchange.record

    def begun_call(
        self, intent: Intent | None = None, *, script: Script | None = None, callee: str = CALLEE, after_ms: int = 0
    ) -> OutgoingCall:
        """Make a call and return it that long after its INVITE; ``script`` is the first vendor's from now on."""
        if script is not None:
            self.vendor.script = script
        call = self.caller.call(callee, intent)
        if after_ms:
            self.wire.run_for(after_ms)
        return call

    def answered_call(self, intent: Intent | None = None, *, talk_ms: int = 0, **terms: Any) -> OutgoingCall:
        """Make a call and return it that long after it is answered; ``terms`` are those of ``begun_call``."""
        call = self.begun_call(intent, **terms)
        self.await_answer(call, talk_ms=talk_ms)
        return call

    def settled_call(self, intent: Intent | None = None, **terms: Any) -> OutgoingCall:
        """Make a call and return it once it has a final response; ``terms`` are those of ``begun_call``."""
        call = self.begun_call(intent, **terms)
        self.wire.run_until(lambda: call.final is not None)
        return call

    def whole_call(self, intent: Intent | None = None, **terms: Any) -> OutgoingCall:
        """Make a call and return it once it is over; ``terms`` are those of ``begun_call``.

        A call that is answered ends where ``intent`` says when its caller hangs up (``hang_up_after_ms``).
        """
        call = self.begun_call(intent, **terms)
        self.wire.run_until(lambda: call.is_over)
        return call

    def talk(self, intent: Intent | None = None, script: Script | None = None) -> tuple[OutgoingCall, IncomingCall]:
        """Make a call that is answered; return both ends once they are a second into it."""
        return self.answered_call(intent, script=script, talk_ms=1_000), self.vendor.calls[-1]

    def await_answer(self, call: OutgoingCall, *, talk_ms: int) -> None:
        """Wait until a call is answered, and so long after it."""
        self.wire.run_until(lambda: call.final == 200)
        if talk_ms:
            self.wire.run_for(talk_ms)

    def propose(self, side: Side, *attributes: str, wait_ms: int = 1_000, **terms: Any) -> None:
        """Let a side offer its next session, as ``Side.propose`` does, and let time pass."""
        side.propose(*attributes, **terms)
        self.wire.run_for(wait_ms)

    def end_of(self, call: OutgoingCall) -> CallRecord:
        """Wait until a call is over, and close."""
        self.wire.run_until(lambda: call.is_over)
        return self.close()

    def hang_up(self, side: Side, *, wait_ms: int | None = None) -> None:
        """Let a side hang up, and wait until its call is over, or as long as is said."""
        side.hang_up()
        if wait_ms is None:
            self.wire.run_until(lambda: side.is_over)
        else:
            self.wire.run_for(wait_ms)

    def poll_rtpengines(self, *, wait_ms: int = 100) -> None:
        """Ask the rtpengines for the figures of all calls, and let time pass."""
        self.exchange.poll_rtpengines()
        self.wire.run_for(wait_ms)

    def finish(self, call: OutgoingCall) -> CallRecord:
        """Let the caller hang up, and close."""
        self.hang_up(call)
        return self.close()

    def expect_nothing_left(self, *sides: Side, within_ms: int = 3_000) -> None:
        """Let these hang up, and require that nothing is left of any call."""
        for side in sides:
            side.hang_up()
        self.wire.run_for(within_ms)
        assert self.exchange.leftovers() == {}
        assert self.exchange.residue() == {}

    def bytes_to(self, address: Endpoint) -> bytes:
        """Return everything the switch sent there."""
        return b"\n".join(packet.data for packet in self.wire.packets if packet.target == address)

    def close(self) -> CallRecord:
        """Require that nothing is left, at once and after 64·T1, and return the one record."""
        self.expect_nothing_left(within_ms=0)
        return self.record
