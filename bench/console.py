"""The console in Chromium over the example installation: ``python -m bench.console``.

How much is loaded at first, how soon the overview can be used with the processor throttled to a quarter, how long it
takes to go to a page whose data are there, frames that are dropped while 10,000 running calls change and are scrolled,
and how the heap grows in an hour of the overview and of running calls. The hour is shortened: its readings and events
come as fast as they are taken. What open consoles cost the switch: ``bench.consoles``.
"""

import tempfile
from pathlib import Path
from statistics import median

from console.conftest import opened_browser
from console.made_run import first_log_in, make_run, said_in
from doubles.sockets.loopback import free_endpoint
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, sync_playwright
from rich.table import Table

from .beside import CONSOLE

CALLS = 10_000
PAGE_ROWS = 1_000
THROTTLE = 4
SCROLLED_S = 10
LOADED_MAX_KB = 350
USABLE_MAX_S = 1.5
GONE_TO_MAX_MS = 100
GROWTH_MAX_MB = 20
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
    return median(float(page.evaluate(GONE_TO, way)) for _ in range(3) for way in ways)


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


def main() -> None:
    """Measure all, and print a table; figures of a busy machine are worse than the console."""
    with tempfile.TemporaryDirectory(prefix="vosd-console-") as scratch:
        example = Path(scratch) / "example"
        with make_run("DEMO=1", f"API={free_endpoint()}", f"EXAMPLE={example}") as lines:
            said = said_in(lines)
            with sync_playwright() as playwright:
                browser = opened_browser(playwright)
                shown = _measured(browser, said["base"], f"{said['base']}/{said['link']}")
                browser.close()
    table = Table("figure", "measured", "bar", box=None)
    for row in shown:
        table.add_row(*row)
    CONSOLE.print(table)


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


if __name__ == "__main__":
    main()
