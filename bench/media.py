"""Processor time of the media of a call: not relayed, relayed by a worker, relayed by an rtpengine.

python -m bench.media [--turns 20] [--calls 50] [--count] [--kinds ...]

The packets of calls on virtual time are recorded first, each call with descriptions of its own: more than the switch
remembers. Each turn gives them to a new switch, by turns without and with media, so that the parties cost nothing and
other programs slow both alike.
``virtual`` is a relay without sockets: what deciding and rewriting cost. The worker of ``relay`` and the rtpengine are
real, and so are ports and messages to them. Printed is what media cost the switch's process more: median and quartiles
over the pairs of turns, and the difference of the quickest turns, which others slowed least; and the worker's quickest.
``--count`` has valgrind count instructions, without those of the kernel: the same on a busy machine.
"""

import argparse
import asyncio
import gc
import os
import pickle
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
import uvloop
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import answers as answering
from doubles.virtual.wire import Packet
from interop.rtpengine import Rtpengine

from vosd.base.clock import Instant
from vosd.engine.tokens import TokenSource
from vosd.relay.client import Relay
from vosd.rtpengine.client import RtpEngines
from vosd.sip.door.door import WaitingMessage
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.media import MediaAddress, MediaEngine, MediaMode, MediaParameters

from .beside import take_precedence

KINDS: Final = ("passed", "virtual", "relay", "rtpengine")
NONE: Final = "none"
WARM_UP: Final = 2
COUNTED: Final = (10, 40)
"""Calls of two runs under valgrind, of which the difference is taken."""
AFTER_A_CALL_MS: Final = 70_000
"""Longer than twice 64·T1: the timers of each call have fired before the next one."""
HOST: Final = "127.79.0.9"
PORTS: Final = (20_000, 29_999)
_INSTRUCTIONS: Final = re.compile(r"I\s+refs:\s+([\d,]+)")


class Cost(NamedTuple):
    """Processor time of a call in microseconds, user and system time together."""

    switch: float
    worker: float


class _NotPinged(RtpEngines):
    """The rtpengines without pings: they come every 2 s, whatever the calls."""

    def begin(self) -> None:
        """Ping none."""


def recorded(calls: int) -> list[Packet]:
    """Make calls one after the other, each with descriptions of its own; return what the parties sent."""
    scene = _scene(MediaMode.MUST_ON, relay=VirtualRelay())
    for number in range(calls):
        offer, answer = (each.replace("o=- 1 1", f"o=- {number + 1} 1") for each in (OFFER, ANSWER))
        scene.vendor.script = answering(body=answer.replace("30000", str(30_000 + 2 * number)))
        intent = Intent(offer=offer.replace("20000", str(20_000 + 2 * number)), hang_up_after_ms=10_000)
        call = scene.caller.call(CALLEE, intent)
        scene.wire.run_until(partial(getattr, call, "is_over"))
        scene.wire.run_for(AFTER_A_CALL_MS)
    return [packet for packet in scene.wire.packets if packet.target == SWITCH]


def _scene(mode: MediaMode | None = None, **switch: Any) -> Scene:
    trunks: list[MappingGateway | RoutingGateway] = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    if mode is None:
        return Scene(catalogue(trunks))
    media = MediaParameters(engine=MediaEngine.RELAY, mode=mode)
    return Scene(catalogue(trunks, media=media), media_addresses=[(MediaAddress(HOST, HOST),)], **switch)


class Answers:
    """Waits for rtpengines; in place of the loop of the switch."""

    def __init__(self, scene: Scene) -> None:
        self._exchange = scene.exchange
        self._came = asyncio.Event()
        if scene.exchange.rtp_calls is not None:
            scene.exchange.rtp_calls.in_turn = self.in_turn

    def in_turn(self, waiting: WaitingMessage, act: Callable[[Instant], None]) -> None:
        """Let a message leave that has waited, as ``engine.loop`` does."""
        self._exchange.in_turn(waiting, act)
        self._came.set()

    async def wait(self) -> None:
        """Wait until no message waits."""
        doors = self._exchange.endpoint.doors
        while doors is not None and doors.waiting:
            self._came.clear()
            await self._came.wait()


class Stage(NamedTuple):
    """What is beside a switch: a relay with its worker, and rtpengines, where they are measured."""

    relay: Relay | None
    engines: RtpEngines | None

    def scene(self, kind: str) -> Scene:
        """Return a new switch."""
        if kind == NONE:
            return _scene()
        if kind == "passed":
            return _scene(MediaMode.OFF, relay=VirtualRelay())
        if kind == "virtual":
            return _scene(MediaMode.MUST_ON, relay=VirtualRelay(100_000))
        if kind == "relay":
            return _scene(MediaMode.MUST_ON, relay=self.relay)
        return _scene(MediaMode.MUST_ON, rtpengines=self.engines)

    def worker_ns(self) -> int:
        """Return the processor time that the worker has taken."""
        if self.relay is None:
            return 0
        return int(Path(f"/proc/{self.relay.links[0].pid}/schedstat").read_text().split()[0])


@asynccontextmanager
async def stage(kinds: Sequence[str]) -> AsyncIterator[Stage]:
    """Start a worker and an rtpengine."""
    relay = engines = None
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vosd-media-")))
        if "rtpengine" in kinds:
            engine = stack.enter_context(Rtpengine(directory, "one", Endpoint("127.79.0.10", 2223), PORTS))
            engines = _NotPinged([engine.config])
        if "relay" in kinds:
            relay = Relay(directory, 1, TokenSource().entropy)
            await relay.start()
        try:
            yield Stage(relay, engines)
        finally:
            if engines is not None:
                engines.close()
            if relay is not None:
                await relay.stop(keep=False)


async def play(scene: Scene, packets: Sequence[Packet]) -> None:
    """Give recorded packets to a switch at their times; between them its relay and its rtpengines have their turn."""
    wire, answers = scene.wire, Answers(scene)
    for address in (scene.caller.address, *(vendor.address for vendor in scene.vendors)):
        wire.attach(address, lambda _packet: None)
    start = scene.exchange.clock.now().mono
    for packet in packets:
        wire.run_for(packet.sent_at - start - (scene.exchange.clock.now().mono - start))
        wire.after(0, partial(wire.send, packet.source, packet.target, packet.data))
        wire.run_for(1)
        await asyncio.sleep(0)
        await answers.wait()
    wire.run_for(AFTER_A_CALL_MS)
    await asyncio.sleep(0)
    answered = sum(record.answered_at is not None for record in scene.exchange.sink.records)
    if answered * 7 != len(packets):
        raise RuntimeError(f"{answered} calls were answered; the packets are of another version")


async def cost_of(place: Stage, kind: str, packets: Sequence[Packet], calls: int) -> Cost:
    """Return what a call costs a new switch."""
    scene = place.scene(kind)
    gc.collect()
    before, worker = time.process_time(), place.worker_ns()
    await play(scene, packets)
    switch = time.process_time() - before
    await asyncio.sleep(0.02)  # it closes the last ports
    return Cost(switch / calls * 1e6, (place.worker_ns() - worker) / calls / 1e3)


async def by_turns(kinds: Sequence[str], turns: int, calls: int) -> None:
    """Measure and print."""
    packets = recorded(calls)
    take_precedence()
    gc.disable()
    async with stage(kinds) as place:
        rounds: list[dict[str, Cost]] = []
        for turn in range(WARM_UP + turns):
            order = (NONE, *kinds) if turn % 2 else (*kinds[::-1], NONE)
            costs = {kind: await cost_of(place, kind, packets, calls) for kind in order}
            if turn >= WARM_UP:
                rounds.append(costs)
    whole = [each[NONE].switch for each in rounds]
    print(f"a whole call without media: {statistics.median(whole):.0f} µs, the quickest turn {min(whole):.0f}")
    print(
        f"{'more for':12}{'median':>10}{'quartiles':>14}{'of a call':>11}{'quickest':>10}{'of a call':>11}{'worker':>8}"
    )
    for kind in kinds:
        more = [each[kind].switch - each[NONE].switch for each in rounds]
        low, middle, high = statistics.quantiles(more, n=4)
        share = statistics.median(one / two for one, two in zip(more, whole, strict=True))
        quickest = min(each[kind].switch for each in rounds) - min(whole)
        worker = min(each[kind].worker for each in rounds)
        print(
            f"{kind:12}{middle:10.0f}{low:7.0f}{high:7.0f}{share:11.0%}"
            f"{quickest:10.0f}{quickest / min(whole):11.0%}{worker:8.0f}"
        )


def count(kinds: Sequence[str]) -> None:
    """Print the instructions of a call."""
    with tempfile.TemporaryDirectory(prefix="vosd-count-") as directory:
        plain = 0.0
        for kind in (NONE, *kinds):
            few, many = (_instructions(kind, number, Path(directory)) for number in COUNTED)
            a_call = (many - few) / (COUNTED[1] - COUNTED[0])
            plain = plain or a_call
            print(f"{kind:12}{a_call:12,.0f} instructions a call, {a_call / plain - 1:+.1%}", flush=True)


def _instructions(kind: str, calls: int, directory: Path) -> int:
    file = directory / f"{calls}.packets"
    if not file.exists():
        file.write_bytes(pickle.dumps(recorded(calls)))
    command = [
        "valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null",
        sys.executable, "-m", "bench.media", "--play", str(file), "--kinds", kind,
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    found = _INSTRUCTIONS.search(done.stderr)
    if found is None:
        raise RuntimeError(f"valgrind counted nothing: {done.stderr[-500:]}")
    return int(found[1].replace(",", ""))


async def _play_all(packets: Sequence[Packet], kind: str) -> None:
    gc.disable()  # one collection of everything is as much as ten calls
    async with stage([kind]) as place:
        await play(place.scene(kind), packets)


def main() -> None:
    """Measure by turns, or count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--calls", type=int, default=50, help="of a turn")
    parser.add_argument("--kinds", nargs="+", choices=(NONE, *KINDS), default=KINDS)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--play", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the switch has it
        if arguments.play:
            runner.run(_play_all(pickle.loads(arguments.play.read_bytes()), *arguments.kinds))
        elif arguments.count:
            count(arguments.kinds)
        else:
            runner.run(by_turns(arguments.kinds, arguments.turns, arguments.calls))


if __name__ == "__main__":
    main()
