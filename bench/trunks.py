"""Processor time of what trunks may have besides: copies by HEP for each message, ten header rules for each call.

python -m bench.trunks [TURNS] [CALLS]

The packets of plain calls on virtual time are recorded once. Each turn gives them to a new switch, by turns without
and with what is measured, so that the parties cost nothing and other programs slow both alike. Printed are quartiles
and median over the pairs of the difference, and the difference of the two quickest turns, which others slowed least.
"""

import asyncio
import gc
import socket
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog
from doubles.data.builders import catalogue, mapping_gateway
from doubles.hep import read_hep
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.wire import Packet

from vosd.engine.settings import HepOnly, HepServer, HepSettings
from vosd.engine.trace.hep_mirror import HepMirror
from vosd.engine.trace.hep_sender import HepSender
from vosd.obs.figures import Figure
from vosd.obs.hep import SIP
from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.header_rules import HeaderRules, TrunkHeaders

WARM_UP: Final = 3
AFTER_A_CALL_MS: Final = 70_000
"""Longer than twice 64·T1: the timers of each call have fired before the next one."""
CARRIED: Final = (
    "X-Campaign: spring", "X-Internal: secret", "X-Route: trunk=42", "User-to-User: 3132;encoding=hex",
    "P-Charge-Info: <sip:1@a.example>", "Alert-Info: <http://a.example/ring>", "Subject: Hello",
)  # fmt: skip
REQUESTS: Final = HeaderRules(
    passes=("x-*", "user-to-user", "p-charge-info"),
    removes=("x-internal", "accept-language"),
    sets=(("X-Tenant", "{account}"), ("X-Trunk", "{header X-Route match ^trunk=([0-9]+)}")),
    adds=(("X-Call", "{call_id}"),),
)
RESPONSES: Final = HeaderRules(passes=("x-*",), adds=(("X-Carrier", "{gateway}"),))


def plain() -> Scene:
    """Return a switch without rules and copies."""
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]))


def ruled() -> Scene:
    """Return one whose trunks have ten header rules."""
    customer = CallerDialect(headers=TrunkHeaders(responses=RESPONSES))
    vendor = CalleeDialect(headers=TrunkHeaders(REQUESTS))
    trunks = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=customer), vendor_gateway(0, dialect=vendor)
    return Scene(catalogue(trunks))


class BusyLoop:
    """Event loop with more than a hundred calls a second: enough copies are made together before their time is over."""

    def call_soon(self, work: Callable[[], object]) -> None:
        """Do something at once."""
        work()

    def call_later(self, _seconds: float, _work: Callable[[], object]) -> None:
        """Do nothing."""


def copied(send: Callable[[bytes], None]) -> Scene:
    """Return one that copies all messages."""
    scene = plain()
    node, settings = scene.exchange.node, HepSettings(HepServer("udp", "127.0.0.1", 9), 7, only=HepOnly.ALL)
    loop: Any = BusyLoop()
    node.copy_messages(HepMirror(settings, node.endpoint.flows.listeners, send, loop), node.switch.catalogue)
    return scene


def recorded(calls: int) -> list[Packet]:
    """Make calls one after the other; return what the parties sent to the switch."""
    scene = plain()
    for _ in range(calls):
        call = scene.caller.call(CALLEE, Intent(headers=CARRIED, hang_up_after_ms=10_000))
        scene.wire.run_until(partial(getattr, call, "is_over"))
        scene.wire.run_for(AFTER_A_CALL_MS)
    return [packet for packet in scene.wire.packets if packet.target == SWITCH]


def seconds_of(scene: Scene, packets: Sequence[Packet]) -> float:
    """Give recorded packets to a switch at their times; return the processor time that it takes."""
    for address in (scene.caller.address, *(vendor.address for vendor in scene.vendors)):
        scene.wire.attach(address, lambda _packet: None)
    start = scene.exchange.clock.now().mono
    for packet in packets:
        scene.wire.after(packet.sent_at - start, partial(scene.wire.send, packet.source, packet.target, packet.data))
    gc.collect()
    began = time.thread_time()
    scene.wire.run_for(packets[-1].sent_at - start + AFTER_A_CALL_MS)
    return time.thread_time() - began


def differences(packets: Sequence[Packet], turns: int, measured: Callable[[], Scene], each: int) -> list[float]:
    """Return what is measured, in microseconds for ``each`` of a turn: quartiles, and that of the quickest turns."""
    pairs = []
    for turn in range(WARM_UP + turns):
        if turn % 2:
            without, beside = seconds_of(plain(), packets), seconds_of(measured(), packets)
        else:
            beside, without = seconds_of(measured(), packets), seconds_of(plain(), packets)
        if turn >= WARM_UP:
            pairs.append((without / each * 1e6, beside / each * 1e6))
    quickest = min(beside for _, beside in pairs) - min(without for without, _ in pairs)
    return [*statistics.quantiles([beside - without for without, beside in pairs], n=4), quickest]


async def main() -> None:
    """Measure and print."""
    turns, calls = (int(given) if given else default for given, default in zip(
        [*sys.argv[1:], "", ""][:2], (40, 100), strict=True
    ))  # fmt: skip
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    packets = recorded(calls)
    kept: list[bytes] = []
    seconds_of(copied(kept.append), packets)
    messages = sum(read_hep(each)["kind"] == SIP for each in kept)  # each call has the line of its end beside
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    sender = HepSender()
    sender.begin(HepServer("udp", *receiver.getsockname()))
    await asyncio.sleep(1)  # until it is connected
    gc.disable()
    whole = [seconds_of(plain(), packets) / calls * 1e6 for _ in range(WARM_UP + 5)][WARM_UP:]
    print(f"{calls} calls a turn, of which {messages} messages are copied, {turns} pairs of turns; microseconds")
    print(f"a whole call: {statistics.median(whole):.0f}, the quickest turn {min(whole):.0f}")
    print(f"{'':44}{'quartile':>10}{'median':>10}{'quartile':>10}{'quickest':>10}")
    for name, make, each in (
        ("HEP, a message: the packet alone", partial(copied, lambda _packet: None), messages),
        ("HEP, a message: sent over UDP, too", partial(copied, sender.send), messages),
        ("ten header rules, a call", ruled, calls),
        ("nothing, a call: how far chance goes", plain, calls),
    ):
        print(f"{name:44}" + "".join(f"{each:10.1f}" for each in differences(packets, turns, make, each)), flush=True)
    assert not sender.totals()[Figure.HEP_DROPPED], "it was not connected"
    await sender.end()


if __name__ == "__main__":
    asyncio.run(main())
