"""What a scrape of the metrics takes from the calls: ``python -m bench.scrape [SCRAPES]`` (ADR 69).

A switch with 1,000 gateways and 5,000 calls, the real exporter beside it, and a client that asks it. Shown is for how
long the event loop of the switch was held by one step of a reading, in time of its thread, so that other processes of a
busy machine do not count; and how long a client waited. The calls are one real call, seen 5,000 times.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import uvloop
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.data.records import answered_call
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.scene import Scene

from vosd.base.histogram import Histogram
from vosd.base.secret import Secret
from vosd.cdr.record import Attempt
from vosd.control.installation import MachineUse
from vosd.daemon.lifecycle import DaemonState
from vosd.daemon.live_events import LiveEventPart
from vosd.daemon.metrics.exporter import Exporter
from vosd.daemon.metrics.readings import Readings
from vosd.daemon.silenced import Silenced
from vosd.daemon.status import Status
from vosd.engine.clock import SystemClock
from vosd.engine.reports.accounting import CallAccounting
from vosd.engine.reports.reporter import CallReports
from vosd.engine.reports.reporters import CallReporters
from vosd.engine.service import SwitchService
from vosd.engine.settings import HttpListener, MetricsSettings, Settings
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener
from vosd.sip.settings import SipSettings

GATEWAYS = 1_000
CALLS = 5_000
ADDRESS = HttpListener("127.0.0.9", 15_098)


def switch(directory: Path) -> SwitchService:
    """Return a switch whose gateways have all had calls."""
    settings = Settings(
        node="sw1",
        listen=(),
        advertise=(),
        sip=SipSettings(),
        database_url=Secret(""),
        state_dir=directory,
        control_socket=directory / "unused",
    )
    vendors = [routing_gateway(f"carrier-{number}", account="carrier") for number in range(GATEWAYS // 2)]
    customers = [
        mapping_gateway(f"customer-{number}", f"10.0.{number // 250}.{number % 250}/32", account="acme")
        for number in range(GATEWAYS // 2)
    ]
    store = MemoryStore()
    lease = MemoryLease(store, has_ended=lambda _: True)
    listeners = [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")]
    content = catalogue([*vendors, *customers])
    service = SwitchService(
        settings, content, store, MemoryRegistrations(), lease, SystemClock(), listeners, NameServerResolver((), 1, 1)
    )
    now = SystemClock().now().mono
    for number in range(GATEWAYS // 2):
        name = f"carrier-{number}"
        attempt = Attempt(name, 200, 4_000, 880, "Normal")
        service.gateways.note(
            answered_call(number, mapping_gateway=f"customer-{number}", routing_gateway=name, attempts=(attempt,))
        )
        service.switch.live.quality.answered(name, "44", 880, now)
        service.switch.live.quality.talked(name, "44", 60_000, now)
    return service


def one_call() -> object:
    """Return a call that talks."""
    scene = Scene()
    scene.talk()
    return scene.exchange.switch.calls()[0]


async def longest_turn(stop: asyncio.Event) -> float:
    """Return the longest time for which the event loop did not come back, in milliseconds."""
    longest, before = 0.0, time.thread_time()
    while not stop.is_set():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    return 1_000 * longest


async def measured(work: Coroutine[Any, Any, float]) -> tuple[float, float]:
    """Return the longest turn of the loop beside some work, and what the work returns."""
    stop = asyncio.Event()
    turns = asyncio.create_task(longest_turn(stop))
    result = await work
    stop.set()
    return await turns, result


async def scrape() -> float:
    """Scrape once over HTTP, and return the milliseconds that the client waited."""
    began = time.perf_counter()
    await asyncio.to_thread(lambda: urlopen(f"http://{ADDRESS}/metrics", timeout=20).read())
    return 1_000 * (time.perf_counter() - began)


async def idle() -> float:
    """Wait as long as a scrape takes: what the machine alone does to the loop."""
    await asyncio.sleep(0.3)
    return 300


def shown(values: Iterable[float]) -> str:
    found = sorted(values)
    return f"median {statistics.median(found):.2f}, least {found[0]:.2f}, most {found[-1]:.2f}"


async def main(scrapes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="vosd-scrape-") as directory:
        service = switch(Path(directory))
        calls = (one_call(),) * CALLS
        service.switch.calls = lambda: calls  # type: ignore[method-assign, assignment, return-value]
        clock = SystemClock()
        catalogue = service.switch.catalogue
        loaded = SimpleNamespace(settings=SimpleNamespace(node="sw1"), catalogue=catalogue, certificate_ends={})
        configuration = SimpleNamespace(loaded=loaded, loaded_at=0, last_error=None)
        transports: Any = SimpleNamespace(blocked=dict)
        silenced = Silenced(service.node.authenticator, transports, clock)
        reports = CallReports("sw1", clock, None, Path(directory), service.switch.report_calls)
        accounting = CallAccounting(clock, None, Path(directory), service.switch.report_calls, tuple, lambda: False)
        settings = SimpleNamespace(node="sw1", state_dir=Path(directory), webhooks=())
        events = LiveEventPart(settings, service, CallReporters(service.switch.report_calls), clock)  # type: ignore[arg-type]
        terms = service, configuration, silenced, reports, accounting, events, clock, MachineUse
        status = Status(*terms)  # type: ignore[arg-type]
        books = SimpleNamespace(pid=None, failures=0, times=Histogram((1,)))
        lease = SimpleNamespace(failures=0, times=Histogram((1,)))
        readings = Readings(status, lambda: DaemonState.RUNNING, books, lease, clock, dict)  # type: ignore[arg-type]
        exporter = Exporter(readings, status, lambda: DaemonState.RUNNING, MetricsSettings(ADDRESS))
        await exporter.begin()
        await asyncio.sleep(2)
        page = await asyncio.to_thread(lambda: urlopen(f"http://{ADDRESS}/metrics", timeout=20).read())
        alone, beside, waits, works = [], [], [], []
        for _ in range(scrapes):
            await asyncio.sleep(1.1)
            alone.append((await measured(idle()))[0])
            turn, waited = await measured(scrape())
            beside.append(turn)
            waits.append(waited)
            before = time.process_time()
            async for _part in readings.parts(0, 2_000):
                pass
            works.append(1_000 * (time.process_time() - before))
        await exporter.end()
    print(f"{GATEWAYS} gateways, {CALLS} calls, {len(page)} bytes, {page.count(10)} lines, {scrapes} scrapes; ms")
    print(f"longest turn of the loop beside a scrape: {shown(beside)}")
    print(f"the same without one:                     {shown(alone)}")
    print(f"processor time of a reading in the switch: {shown(works)}")
    print(f"a client waited:                          {shown(waits)}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
