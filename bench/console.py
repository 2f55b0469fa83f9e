"""The console in Chromium over the example installation: ``python -m bench.console [CONSOLES]``.

How much is loaded at first, how soon the overview can be used with the processor throttled to a quarter, how long it
takes to go to a page whose data are there, frames that are dropped while 10,000 running calls change and are scrolled,
how the heap grows in an hour of the overview and of running calls, and what 30 open consoles cost the switch. The hour
is shortened: its readings and events come as fast as they are taken.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from console.conftest import opened_browser
from console.made_run import first_log_in, make_run, said_in
from doubles.sockets.loopback import free_endpoint
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, sync_playwright
from rich.table import Table

from .beside import CONSOLE
from .process import cpu_of

CONSOLES = 30
CALLS = 10_000
PAGE_ROWS = 1_000
THROTTLE = 4
SCROLLED_S = 10
LOADED_MAX_KB = 350
USABLE_MAX_S = 1.5
GONE_TO_MAX_MS = 100
GROWTH_MAX_MB = 20
COST_MAX_PERCENT = 3.0
WATCHED_S = 20
CHANGES_OF_HOUR = 7_200
CHANGED_AT_ONCE = 20

FAKE_EVENTS = """
globalThis.streams = [];
globalThis.EventSource = class extends EventTarget {
  static CLOSED = 2;
  readyState = 1;
  constructor() { super(); streams.push(this); setTimeout(() => this.dispatchEvent(new Event("open"))); }
  close() {}
};
globalThis.changed = (count, first) => {
  for (let number = first; number < first + count; number++) {
    const call = number % 10000;
    const data = {call_id: `call-${call}`, caller_in: `44${number}`, callee_in: `${1000 + (call % 400)}${call}`,
      customer_account: `customer-${call % 50}`, mapping_gateway: "pbx", routing_gateway: "north-1",
      vendor_account: "north", started_at: "2026-11-01T10:00:00Z", answered_at: "2026-11-01T10:00:03Z",
      price_per_minute: "0.0123", currency: "EUR"};
    const said = JSON.stringify({id: "", type: "call.answered", at: "", data});
    const event = new MessageEvent("call.answered", {data: said});
    for (const stream of streams) stream.dispatchEvent(event);
  }
};
"""
SCROLLED = """
async (seconds) => {
  const frame = document.querySelector(".table-frame");
  const taken = [];
  let before = performance.now(), number = 0;
  const end = before + seconds * 1000;
  const changing = setInterval(() => changed(100, (number += 100)), 25);
  await new Promise((done) => {
    const step = (now) => {
      taken.push(now - before);
      before = now;
      frame.scrollTop = (frame.scrollTop + 60) % (frame.scrollHeight - frame.clientHeight);
      if (now < end) requestAnimationFrame(step); else done();
    };
    requestAnimationFrame(step);
  });
  clearInterval(changing);
  return taken.slice(1);
}
"""
GONE_TO = """
async ([link, title]) => {
  const begun = performance.now();
  [...document.querySelectorAll("nav a")].find((each) => each.textContent === link).click();
  const there = () => document.querySelector("main h1")?.textContent === title && document.querySelector("main td");
  while (!there()) await new Promise((next) => requestAnimationFrame(next));
  return performance.now() - begun;
}
"""


def running_calls(route: Route) -> None:
    """Answer a page of 10,000 calls, of 50 customers to 400 destinations."""
    first = int(route.request.url.partition("cursor=")[2].partition("&")[0] or 0)
    rows = [
        {"call_id": f"call-{number}", "state": "talking", "caller": f"44{number}",
         "callee": f"{1000 + number % 400}{number}", "customer_account": f"customer-{number % 50}",
         "mapping_gateway": "pbx", "vendor_account": "north", "routing_gateway": "north-1",
         "started_at": "2026-11-01T10:00:00Z", "answered_at": "2026-11-01T10:00:03Z",
         "price_per_minute": "0.0123", "currency": "EUR"}
        for number in range(first, first + PAGE_ROWS)
    ]  # fmt: skip
    last = first + PAGE_ROWS
    route.fulfill(json={"items": rows, "next": str(last) if last < CALLS else None})


def usable_in_s(context: BrowserContext, base: str) -> tuple[float, float]:
    """Return KB of the first load and seconds until the overview shows figures, throttled; the cache is empty."""
    page = context.new_page()
    sizes: list[int] = []
    page.on(
        "requestfinished",
        lambda request: sizes.append(0 if "/api/" in request.url else request.sizes()["responseBodySize"]),
    )
    session = context.new_cdp_session(page)
    session.send("Network.clearBrowserCache")
    session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    page.goto(base)
    page.get_by_role("region", name="Now").wait_for()
    took_ms: float = page.evaluate("performance.now()")
    page.close()
    return sum(sizes) / 1_000, took_ms / 1_000


def gone_to_in_ms(page: Page, base: str) -> float:
    """Return how long it takes to show a page whose data and code are there, in the median."""
    page.goto(base)
    page.get_by_role("region", name="Now").wait_for()
    ways = [("Accounts", "Accounts"), ("Gateways", "Gateways"), ("Call search", "Call search")]
    for way in ways:
        page.evaluate(GONE_TO, way)
    return median(page.evaluate(GONE_TO, way) for _ in range(3) for way in ways)


def frames_of(context: BrowserContext, base: str, group: str) -> list[float]:
    """Return the milliseconds of each frame while 10,000 calls change, and they or their groups are scrolled."""
    page = context.new_page()
    page.add_init_script(FAKE_EVENTS)
    page.route("**/api/v1/calls?*", running_calls)
    page.goto(f"{base}/calls?group={group}")
    page.get_by_text(f"{CALLS} calls").wait_for()
    taken: list[float] = page.evaluate(SCROLLED, SCROLLED_S)
    page.close()
    return taken


def heap_mb(session: CDPSession) -> float:
    """Return what is in use after a collection."""
    session.send("HeapProfiler.enable")
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def growth_of_calls_mb(context: BrowserContext, base: str) -> float:
    """Return by how much the page of running calls grows by the changes of an hour."""
    page = context.new_page()
    page.add_init_script(FAKE_EVENTS)
    page.route("**/api/v1/calls?*", running_calls)
    page.goto(f"{base}/calls")
    page.get_by_text(f"{CALLS} calls").wait_for()
    session = context.new_cdp_session(page)
    change = "([count, first]) => changed(count, first)"
    page.evaluate(change, [CALLS, 0])
    page.wait_for_timeout(2_000)
    before = heap_mb(session)
    for number in range(0, CHANGES_OF_HOUR * CHANGED_AT_ONCE, CALLS):
        page.evaluate(change, [CALLS, number])
        page.wait_for_timeout(100)
    page.wait_for_timeout(2_000)
    growth = heap_mb(session) - before
    page.close()
    return growth


def growth_of_overview_mb(context: BrowserContext, base: str) -> float:
    """Return by how much the overview grows in an hour of its own clock; ten minutes are let pass before."""
    page = context.new_page()
    page.clock.install()
    page.goto(base)
    page.get_by_role("region", name="Now").wait_for()
    session = context.new_cdp_session(page)

    def minutes(count: int) -> None:
        for _ in range(count * 15):  # the gateways are read every four seconds, the state twice as often
            with page.expect_response("**/api/v1/gateways/quality?*"):
                page.clock.run_for(4_000)

    minutes(10)
    before = heap_mb(session)
    minutes(60)
    growth = heap_mb(session) - before
    page.close()
    return growth


def asked_by(context: BrowserContext, base: str) -> Counter[str]:
    """Return what an open overview asks in a while, by path."""
    page = context.new_page()
    page.goto(base)
    page.get_by_role("region", name="Now").wait_for()
    asked: Counter[str] = Counter()
    page.on("request", lambda request: asked.update([request.url.removeprefix(base)]))
    page.wait_for_timeout(WATCHED_S * 1_000)
    page.close()
    return asked


async def _ask(endpoint: tuple[str, int], cookie: str, path: str, times: int) -> None:
    """Ask so often within the time, as one page does, over a connection of its own, from a moment of its own on."""
    await asyncio.sleep(random.uniform(0, WATCHED_S / times))
    reader, writer = await asyncio.open_connection(*endpoint)
    for _ in range(times):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {endpoint[0]}:{endpoint[1]}\r\nCookie: {cookie}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if not head.startswith("http/1.1 200"):
            REFUSED.update([f"{path}: {head[9:12]}"])
        await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        await asyncio.sleep(WATCHED_S / times)
    writer.close()


def cost_percent(base: str, cookie: str, asked: Counter[str], consoles: int, pids: dict[str, int]) -> dict[str, float]:
    """Return by how many percent of a core each process works more with so many consoles that ask the same."""
    host, port = base.removeprefix("http://").split(":")

    async def all_of_them() -> None:
        await asyncio.gather(
            *(_ask((host, int(port)), cookie, path, times) for path, times in asked.items() for _ in range(consoles))
        )

    spent: dict[str, list[float]] = {name: [] for name in pids}
    for is_asked in (False, True):
        before, begun = {name: cpu_of(pid).total for name, pid in pids.items()}, time.perf_counter()
        if is_asked:
            asyncio.run(all_of_them())
        else:
            time.sleep(WATCHED_S)
        took = time.perf_counter() - begun
        for name, pid in pids.items():
            spent[name].append(100 * (cpu_of(pid).total - before[name]) / took)
    return {name: asked_ - idle for name, (idle, asked_) in spent.items()}


def processes_of(directory: Path) -> dict[str, int]:
    """Return the process of the switch of this directory, and that of its API."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
            children = (process / f"task/{process.name}/children").read_text().split()
        except OSError:
            continue
        if "run" in words and str(directory / "vosd.yaml") in words and "vosd" in words[1]:
            found["switch"] = int(process.name)
            for child in children:
                if "vosd.api.process" in Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0"):
                    found["API"] = int(child)
    return found


def main() -> None:
    """Measure all, and print a table; figures of a busy machine are worse than the console."""
    consoles = int(sys.argv[1]) if len(sys.argv) > 1 else CONSOLES
    with tempfile.TemporaryDirectory(prefix="vosd-console-") as scratch:
        example = Path(scratch) / "example"
        with make_run("DEMO=1", f"API={free_endpoint()}", f"EXAMPLE={example}") as lines:
            said = said_in(lines)
            with sync_playwright() as playwright:
                browser = opened_browser(playwright)
                shown = _measured(browser, said["base"], f"{said['base']}/{said['link']}")
                asked, cookie = _asked(browser, said["base"])
                browser.close()
            cost = cost_percent(said["base"], cookie, asked, consoles, processes_of(example))
    shown.append(
        (f"{consoles} open consoles, the switch", f"{cost['switch']:.1f} % of a core", f"{COST_MAX_PERCENT} %")
    )
    shown.append((f"{consoles} open consoles, the API's process beside it", f"{cost['API']:.1f} % of a core", ""))
    table = Table("figure", "measured", "bar", box=None)
    for row in shown:
        table.add_row(*row)
    CONSOLE.print(table)
    if REFUSED:
        CONSOLE.print(f"refused: {json.dumps(REFUSED)}", soft_wrap=True)
    CONSOLE.print(f"an open overview asks in {WATCHED_S} s: {json.dumps(asked)}", soft_wrap=True)


REFUSED: Counter[str] = Counter()
"""Answers that were no success, such as 503 where too much is asked of the switch at one moment."""
STATE: dict[str, Any] = {}
"""Cookies of the administrator."""


def _measured(browser: Browser, base: str, link: str) -> list[tuple[str, str, str]]:
    context = browser.new_context(viewport={"width": 1_440, "height": 900}, locale="en")
    page = context.new_page()
    first_log_in(page, link)
    loads = [usable_in_s(context, base) for _ in range(3)]
    gone = gone_to_in_ms(page, base)
    page.close()
    frames = [
        (f"frames of {SCROLLED_S} s of scrolling {CALLS} calls{by}", _frames_said(frames_of(context, base, group)), "0")
        for group, by in (("none", ""), ("destination", ", by destination"))
    ]
    growth = {"calls": growth_of_calls_mb(context, base), "overview": growth_of_overview_mb(context, base)}
    STATE.update(context.storage_state())
    context.close()
    return [
        ("first load, compressed", f"{loads[0][0]:.0f} kB", f"{LOADED_MAX_KB} kB"),
        (
            f"overview usable, processor throttled {THROTTLE} times",
            f"{median(s for _, s in loads):.2f} s",
            f"{USABLE_MAX_S} s",
        ),
        ("to a page whose data are there", f"{gone:.0f} ms", f"{GONE_TO_MAX_MS} ms"),
        *frames,
        ("growth by an hour of running calls", f"{growth['calls']:.1f} MB", f"{GROWTH_MAX_MB} MB"),
        ("growth by an hour of the overview", f"{growth['overview']:.1f} MB", f"{GROWTH_MAX_MB} MB"),
    ]


def _frames_said(frames: list[float]) -> str:
    usual = median(frames)
    dropped = sum(round(each / usual) - 1 for each in frames if each > 1.5 * usual)
    return f"{len(frames)}, {dropped} dropped, longest {max(frames):.0f} ms"


def _asked(browser: Browser, base: str) -> tuple[Counter[str], str]:
    context = browser.new_context(storage_state=STATE)
    asked = asked_by(context, base)
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in context.cookies())
    context.close()
    return asked, cookie


if __name__ == "__main__":
    main()
