"""Live events to HTTP servers: real ones on this machine that fail, hang, redirect, or are not of the internet."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.live_events import balance_low
from doubles.report_server import ReportServer

from vosd.base.host import is_public
from vosd.base.secret import Secret
from vosd.control.events import BalanceChanged, BalanceChangedFacts, BalanceLow, EventType, SwitchEvent
from vosd.engine.clock import SystemClock
from vosd.engine.poster import Poster, UndeliveredError
from vosd.engine.reports.live_events import LiveEvents
from vosd.engine.reports.queue import ReportQueue
from vosd.engine.reports.report import CallReport
from vosd.engine.reports.webhooks import EventWebhook
from vosd.engine.settings import CallReportSettings, ReceiverSettings

SECRET = "not a secret"
PAGE = Path(__file__).parents[3] / "docs" / "api.md"
TYPES = frozenset({EventType.BALANCE_LOW, EventType.GATEWAY_DOWN})


def events_of() -> LiveEvents:
    return LiveEvents("sw1", SystemClock(), lambda _reporter: None)


def low(number: int) -> BalanceLow:
    return balance_low(f"a{number}")


@asynccontextmanager
async def delivering(
    events: LiveEvents, directory: Path, url: str, name: str = "crm", **delivery: Any
) -> AsyncGenerator[EventWebhook, None]:
    terms = {"retry_interval_ms": 10, "retry_max_ms": 100} | delivery
    settings = ReceiverSettings(name, TYPES, CallReportSettings(url, Secret(SECRET), **terms))
    webhook = EventWebhook(SystemClock(), settings, directory, events, lambda: False)
    await webhook.begin()
    try:
        yield webhook
    finally:
        await webhook.end()


def tell(events: LiveEvents, *told: SwitchEvent) -> None:
    for each in told:
        events._put(each)


async def taken(server: ReportServer, count: int) -> list[str]:
    found = await asyncio.to_thread(server.wait_for, count)
    return [each["data"]["account"] for each in found]


async def test_an_event_is_signed_as_the_recipe_of_the_page_checks_it_and_others_are_not_sent(tmp_path):
    events = events_of()
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (recipe,) = (each for each in programs if "hmac.new" in each)
    names: dict[str, Any] = {}
    exec(recipe, names)
    kept: list[tuple[Any, bytes]] = []

    class Checking(ReportServer):
        def take(self, path: str, headers: Any, body: bytes) -> int | str:
            kept.append((dict(headers), body))
            return super().take(path, headers, body)

    with Checking(secret=SECRET.encode()) as server:
        async with delivering(events, tmp_path, server.url):
            tell(events, BalanceChanged("", BalanceChangedFacts("a1", "1", None)), low(1))
            assert await taken(server, 1) == ["a1"]
        assert server.faults == []
        (document,) = server.taken()
    assert re.fullmatch("crm-[0-9a-f]{8}-1", document.pop("id"))
    assert document == {"type": "balance.low", "at": low(1).at, "data": msgspec.to_builtins(low(1).data)}
    ((headers, body),) = kept
    assert names["is_genuine"](headers, body, SECRET.encode())
    assert not names["is_genuine"](headers, body + b" ", SECRET.encode())
    assert not names["is_genuine"](headers, body, b"another")
    old = {**headers, "X-Vosd-Timestamp": "1700000000"}
    assert not names["is_genuine"](old, body, SECRET.encode())


async def test_a_receiver_that_answers_500_redirects_or_closes_gets_the_event_again(tmp_path):
    events = events_of()
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [500, 302, "close"]
        async with delivering(events, tmp_path, server.url) as webhook:
            tell(events, low(1))
            assert await taken(server, 1) == ["a1"]
            assert (server.attempts, server.faults, webhook.dead_letters()) == (4, [], [])


async def test_a_dead_receiver_does_not_hold_up_another(tmp_path):
    events = events_of()
    with ReportServer(secret=SECRET.encode()) as dead, ReportServer(secret=SECRET.encode()) as well:
        dead.fails = ["silent"] * 10
        async with delivering(events, tmp_path, well.url), delivering(events, tmp_path, dead.url, "dead"):
            tell(events, *(low(number) for number in range(50)))
            assert len(await taken(well, 50)) == 50
            assert dead.taken() == []
            dead.closing.set()


async def test_what_is_not_delivered_waits_over_a_restart(tmp_path):
    events = events_of()
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [503] * 1_000
        async with delivering(events, tmp_path, server.url, retry_interval_ms=60_000) as webhook:
            tell(events, low(1), low(2))
            await asyncio.to_thread(server.wait_for_attempt)
            assert len(webhook._queue) == 2
        server.fails = []
        async with delivering(events, tmp_path, server.url):
            assert await taken(server, 2) == ["a1", "a2"]


async def test_ids_are_of_one_event_also_after_a_start_that_has_removed_the_files_of_all_before(tmp_path):
    with ReportServer(secret=SECRET.encode()) as server:
        for told in ((low(1),), (), (low(2),)):
            events = events_of()
            async with delivering(events, tmp_path, server.url) as webhook:
                tell(events, *told)
                await webhook._delivery.all_tried()
                webhook.tidy()
                webhook.tidy()
        assert len({each["id"] for each in server.taken()}) == 2


async def test_events_that_a_receiver_refuses_are_dead_letters_until_they_are_replayed(tmp_path):
    events = events_of()
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [410, 422]
        async with delivering(events, tmp_path, server.url) as webhook:
            tell(events, low(1), low(2), low(3))
            assert await taken(server, 1) == ["a3"]
            assert [(each.number, each.why) for each in webhook.dead_letters()] == [
                (1, "status-410"),
                (2, "status-422"),
            ]
        async with delivering(events, tmp_path, server.url) as webhook:
            assert [each.number for each in webhook.dead_letters()] == [1, 2]
            assert webhook.replay(2) == 1
            assert await taken(server, 2) == ["a3", "a2"]
            assert webhook.replay(7) == 0
            assert webhook.replay(None) == 1
            assert await taken(server, 3) == ["a3", "a2", "a1"]
            assert webhook.dead_letters() == []
        async with delivering(events, tmp_path, server.url) as webhook:
            assert webhook.dead_letters() == []


async def test_events_for_which_a_reload_leaves_no_room_are_dead_letters(tmp_path):
    events = events_of()
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [503] * 1_000
        async with delivering(events, tmp_path, server.url, retry_interval_ms=60_000) as webhook:
            tell(events, *(low(number) for number in range(5)))
            await asyncio.to_thread(server.wait_for_attempt)
            terms = CallReportSettings(server.url, Secret(SECRET), retry_interval_ms=60_000, queue=2)
            await webhook.change(ReceiverSettings("crm", TYPES, terms))
            assert [(each.number, each.why) for each in webhook.dead_letters()] == [
                (1, "full"),
                (2, "full"),
                (3, "full"),
            ]
            assert len(webhook._queue) == 2


async def test_a_name_of_this_machine_is_not_connected_to_unless_it_is_allowed():
    with ReportServer() as server:
        for host in ("127.0.0.1", "localhost"):
            poster = Poster(server.url.replace("127.0.0.1", host), allow_private=False)
            with pytest.raises(UndeliveredError, match=f"{host} is no address of the internet: set allow_private"):
                await poster.post(b"{}", {})
        assert (server.attempts, server.faults) == (0, [])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "192.0.2.1", "::127.0.0.1", "::10.0.0.1", "fec0::1",
        "64:ff9b:1::a00:1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_internet(host: str) -> None:
    assert not is_public(host)


def test_addresses_of_the_internet():
    assert all(map(is_public, ("1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101")))


def test_gaps_grow_to_their_maximum_and_begin_anew_with_another_event():
    queue = ReportQueue(CallReportSettings("", retry_interval_ms=1_000, retry_max_ms=5_000))
    gaps, now = [], 0
    queue.put(CallReport(1, "a", 0, b""))
    for _ in range(5):
        report = queue.take(now)
        assert report is not None
        queue.failed(report, now)
        gaps.append(queue.wait_ms(now))
        now += gaps[-1] or 0
    assert gaps == [1_000, 2_000, 4_000, 5_000, 5_000]
    report = queue.take(now)
    assert report is not None
    queue.delivered(report)
    queue.put(CallReport(2, "a", 0, b""))
    report = queue.take(now)
    assert report is not None
    queue.failed(report, now)
    assert queue.wait_ms(now) == 1_000
