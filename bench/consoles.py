"""Cost of open consoles to the switch: ``python -m bench.consoles [CONSOLES] [SECONDS] [GATEWAYS,…] [CALLS/S,…]``.

A browser shows each page once, beside the calls and gateways that are measured, and what it asks is noted: when, with
which headers, and which answers are streams. Then so many clients that draw nothing ask the same, each from a moment of
its own on and in a session of its own. The processor time of each process is compared with that of turns without a
console before and behind it.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from console.conftest import PASSWORD, opened_browser
from doubles.process.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from playwright.sync_api import Browser, Request, sync_playwright
from rich.table import Table

from .beside import CONSOLE
from .load import caller, vendor
from .process import cpu_of
from .targets import SWITCH, configuration, mariadb

CONSOLES = 30
SECONDS = 60
GATEWAYS = "10,1000"
CALLS = "0,50"
HELD_MS = 20_000
"""So long is each call: 1,000 run at 50 a second."""
COST_MAX_PERCENT = 3.0
PEOPLE = 3
"""One person has at most 20 streams of live events."""
LISTENER = Endpoint("127.0.0.9", 15_098)
BASE = f"http://{LISTENER}"
SETTLED_S = 10
"""After that no one waits for what a page reads again."""
WATCHED_S = 60
PAGES = {"overview": "/", "running calls": "/calls", "call search": "/cdrs", "gateways": "/gateways"}
OWN_HEADERS = {"cookie", "host", "connection"}
"""Headers of a connection and of a session; the others of the browser are sent as they were."""


class Asked(NamedTuple):
    """One request of a page: seconds since the watch began, path, headers."""

    at_s: float
    path: str
    headers: Mapping[str, str]


class Watched(NamedTuple):
    """All that a page asks in ``WATCHED_S``, and the streams that it keeps open."""

    asked: list[Asked]
    streams: list[Asked]


@contextmanager
def running(gateways: int) -> Iterator[tuple[dict[str, int], list[str]]]:
    """Run a switch with so many gateways on MariaDB; yield the processes by their names, and links of first log-ins."""
    with tempfile.TemporaryDirectory(prefix="vosd-bench-") as scratch, mariadb(Path(scratch)) as (server, url):
        others = "".join(
            f'  - {{name: other-{number}, account: carrier, address: "127.0.0.1:{20_000 + number}", prefixes: ["9"]}}\n'
            for number in range(gateways - 3)
        )
        text = f"{configuration(url)}\n{others}api: {{listen: '{LISTENER}'}}\nalarms: {{cpu: 0}}\n"
        with Daemon(Path(scratch), text) as daemon:
            daemon.succeed("payment", "add", "--account", "acme", "--amount", "1000000", "--yes")
            links = [
                daemon.ask("user", "add", f"p{number}", "--role", "administrator")["link"] for number in range(PEOPLE)
            ]
            children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
            api = next(
                int(each) for each in children if b"vosd.api.process" in Path(f"/proc/{each}/cmdline").read_bytes()
            )
            yield {"switch": daemon.pid, "API": api, "MariaDB": server.pid}, links


def log_in(number: int) -> str:
    """Return the cookie of a new session."""
    answer = _post("/session", {"name": f"p{number % PEOPLE}", "password": PASSWORD})
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


def _post(path: str, order: Mapping[str, str]) -> Any:
    request = urllib.request.Request(
        f"{BASE}/api/v1{path}", json.dumps(order).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer


def asked_by_pages(browser: Browser) -> dict[str, Watched]:
    """Return what each page asks once it stands; all stand beside each other, in a browser each."""
    found, requests = dict[str, Watched](), dict[str, list[tuple[float, Request]]]()

    def note(name: str) -> Callable[[Request], None]:
        return lambda request: requests[name].append((time.perf_counter(), request))

    contexts = [browser.new_context(viewport={"width": 1_440, "height": 900}, locale="en") for _ in PAGES]
    for context, (name, path) in zip(contexts, PAGES.items(), strict=True):
        context.request.post(f"{BASE}/api/v1/session", data={"name": "p0", "password": PASSWORD})
        page, requests[name] = context.new_page(), []
        page.on("request", note(name))
        page.goto(BASE + path)
        page.locator("main h1").wait_for()
    begun = time.perf_counter() + SETTLED_S
    contexts[0].pages[0].wait_for_timeout(1_000 * (SETTLED_S + WATCHED_S))
    for name in PAGES:
        found[name] = Watched([], [])
        for at, request in requests[name]:
            headers = {field: text for field, text in request.all_headers().items() if field not in OWN_HEADERS}
            asked = Asked(at - begun, request.url.removeprefix(BASE), headers)
            if request.resource_type == "eventsource":
                found[name].streams.append(asked)
            elif asked.path.startswith("/api/") and 0 <= asked.at_s < WATCHED_S:
                found[name].asked.append(asked)
    for context in contexts:
        context.close()
    return found


class Client:
    """One console that draws nothing: it asks what the page asked, again and again, and reads its streams."""

    def __init__(self, page: Watched, cookie: str, until: float) -> None:
        self._page = page
        self._cookie = cookie
        self._until = until

    async def follow(self) -> None:
        """Ask until the end, over one connection as a page that is left alone does."""
        streams = [asyncio.create_task(self._read_stream(each)) for each in self._page.streams]
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        begun = time.perf_counter()
        phase = random.uniform(0, WATCHED_S)
        dues = [
            (begun + turn * WATCHED_S + asked.at_s - phase, asked)
            for turn in range(2 + int((self._until - begun) / WATCHED_S))
            for asked in self._page.asked
        ]
        for due, asked in dues:
            if not begun <= due < self._until:
                continue
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            connection = connection or await asyncio.open_connection(LISTENER.host, LISTENER.port)
            if not await self._ask(*connection, asked):
                connection[1].close()
                connection = await asyncio.open_connection(LISTENER.host, LISTENER.port)
                await self._ask(*connection, asked)
        await asyncio.sleep(max(0.0, self._until - time.perf_counter()))
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        if connection is not None:
            connection[1].close()

    def _send(self, writer: asyncio.StreamWriter, asked: Asked) -> None:
        fields = {"Host": str(LISTENER), **asked.headers, "Cookie": self._cookie}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET {asked.path} HTTP/1.1\r\n{lines}\r\n".encode())

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> bool:
        """Return whether the connection goes on: the switch closes one that has been idle for ten seconds."""
        self._send(writer, asked)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        ANSWERS.update([(asked.path.partition("?")[0], head[9:12])])
        length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        await reader.readexactly(length)
        return True

    async def _read_stream(self, asked: Asked) -> None:
        reader, writer = await asyncio.open_connection(LISTENER.host, LISTENER.port)
        self._send(writer, asked)
        try:
            while part := await reader.read(65_536):
                ANSWERS.update({("bytes of streams", ""): len(part)})
        finally:
            writer.close()


ANSWERS: Counter[tuple[str, str]] = Counter()
"""Answers of all clients by path and status, so that refusals are seen."""


def spent(pids: Mapping[str, int], seconds: int, page: Watched | None, cookies: list[str]) -> dict[str, float]:
    """Return percent of a core that each process takes, with a client for each session where a page is given."""

    async def all_of_them(page: Watched) -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(Client(page, cookie, until).follow() for cookie in cookies))

    begun, before = time.perf_counter(), {name: cpu_of(pid).total for name, pid in pids.items()}
    if page is None:
        time.sleep(seconds)
    else:
        asyncio.run(all_of_them(page))
    took = time.perf_counter() - begun
    return {name: 100 * (cpu_of(pid).total - before[name]) / took for name, pid in pids.items()}


def measure(consoles: int, seconds: int, gateways: int, rate: int, table: Table) -> None:
    """Add a row for each page."""
    with ExitStack() as stack:
        pids, links = stack.enter_context(running(gateways))
        for link in links:
            _post("/session/link", {"link": link.rpartition("/")[2], "password": PASSWORD}).close()
        cookies = [log_in(number) for number in range(consoles)]
        if rate:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vosd-bench-")))
            stack.enter_context(vendor(scratch))
            stack.enter_context(caller(scratch, SWITCH, rate=rate, calls=1_000_000, held_ms=HELD_MS))
            time.sleep(HELD_MS / 1_000)
        with sync_playwright() as playwright:
            browser = opened_browser(playwright)
            pages = asked_by_pages(browser)
            browser.close()
        alone = spent(pids, seconds, None, [])
        for name, page in pages.items():
            ANSWERS.clear()
            beside = spent(pids, seconds, page, cookies)
            after = spent(pids, seconds, None, [])
            usual = {each: (alone[each] + after[each]) / 2 for each in pids}
            more = [f"{beside[each] - usual[each]:+.1f} ({usual[each]:.1f})" for each in pids]
            table.add_row(f"{gateways:,}", str(rate), name, f"{len(page.asked) / WATCHED_S:.2f}", *more)
            CONSOLE.print(f"{gateways} gateways, {rate} calls/s, {name}: {more} {dict(ANSWERS)}", soft_wrap=True)
            alone = after


def main(consoles: int, seconds: int, gateways: str, rates: str) -> None:
    """Measure all, and print a table."""
    table = Table("gateways", "calls/s", "page", "requests/s of one", "switch", "API", "MariaDB", box=None)
    for count in map(int, gateways.split(",")):
        for rate in map(int, rates.split(",")):
            measure(consoles, seconds, count, rate, table)
    CONSOLE.print(f"percent of a core that {consoles} consoles take more; in brackets what it takes without them")
    CONSOLE.print(table)
    CONSOLE.print(f"bar for the switch: {COST_MAX_PERCENT:g} %")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        int(given[0]) if given else CONSOLES,
        int(given[1]) if given[1:] else SECONDS,
        given[2] if given[2:] else GATEWAYS,
        given[3] if given[3:] else CALLS,
    )
