"""Delivery of reports of calls to a real HTTP server that may be away, slow or wrong, over restarts."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from doubles.data.records import answered_call, call_id, refused_call
from doubles.report_server import ReportServer
from doubles.turns import turns, until
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.base.clock import Instant
from vosd.base.secret import Secret
from vosd.callcontrol.ports import CallReporter
from vosd.engine import poster
from vosd.engine.clock import SystemClock
from vosd.engine.poster import UndeliveredError
from vosd.engine.reports import delivery, reporter
from vosd.engine.reports.delivery import Delivery
from vosd.engine.reports.queue import ReportOutcome, ReportQueue
from vosd.engine.reports.report import CallReport
from vosd.engine.reports.reporter import CallReports
from vosd.engine.reports.spool import ReportSpool
from vosd.engine.settings import CallReportSettings, DeliverySettings
from vosd.obs.figures import Figure

PATIENCE_S = 30.0
SECRET = "not a secret"
MONEY = ("fee", "tax", "cost", "cost_tax")


class Desk:
    """The reports of a switch; ``attached`` is where calls report."""

    def __init__(self, directory: Path, clock: Any = None) -> None:
        self.directory = directory
        self.attached: CallReporter | None = None
        self._clock = clock or SystemClock()
        self.running: CallReports | None = None
        self.is_busy = False

    async def begin(self, url: str, **settings: Any) -> CallReports:
        wanted = CallReportSettings(url, **{"secret": Secret(SECRET), "retry_interval_ms": 20, **settings})
        made = CallReports("sw1", self._clock, wanted, self.directory, self._attach, lambda: self.is_busy)
        self.running = made
        await made.begin()
        return made

    def _attach(self, to: CallReporter | None) -> None:
        self.attached = to

    async def kill(self) -> None:
        """End the tasks as a kill would, with nothing written."""
        assert self.running is not None
        await self.running._tasks.stop()
        self.running = None


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    if made.running is not None:
        await made.running.end()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "LAST_REPORTS_S", 0.5)
    monkeypatch.setattr(reporter, "TICK_S", 0.01)
    monkeypatch.setattr(delivery, "WELL_MS", 0)


async def taken(server: ReportServer, count: int) -> list[dict[str, Any]]:
    return await asyncio.to_thread(server.wait_for, count)


async def test_without_a_server_nothing_is_attached_and_nothing_is_written(desk, tmp_path):
    made = CallReports("sw1", SystemClock(), None, tmp_path / "state", desk._attach)
    await made.begin()
    assert desk.attached is None
    assert not (tmp_path / "state").exists()
    await made.end()


async def test_text_that_is_not_utf_8_is_escaped_and_an_error_in_a_report_ends_no_call(desk):
    with ReportServer(secret=SECRET.encode()) as server:
        made = await desk.begin(server.url)
        made.ended(refused_call(1, caller_in="\udcff" + "9" * 5_000))
        (report,) = await taken(server, 1)
        assert (report["caller_in"][:7], len(report["caller_in"])) == ("\\udcff9", 261)
        with capture_logs() as logs:
            made.ended(refused_call(2, started_at=10**18))
        assert [line["event"] for line in logs] == ["call_report_not_made"]


# -- delivery -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [500, 503, 429, 302, 401, 404, "close"])
async def test_a_failed_delivery_is_repeated_in_order(desk, failure):
    with ReportServer(secret=SECRET.encode()) as server, capture_logs() as logs:
        server.fails = [failure] * 3
        made = await desk.begin(server.url)
        made.trying(*_arguments(), 1_000)
        made.ended(answered_call(1))
        found = await taken(server, 2)
        await until(lambda: not made.census()[Figure.CALL_REPORTS])
        await until(lambda: any(line["event"] == "call_reports_up" for line in logs))
    assert [each["state"] for each in found] == ["trying", "ended"]
    assert [line["event"] for line in logs] == ["call_reports_down", "call_reports_up"]
    assert made.counted == {ReportOutcome.DELIVERED: 2}
    assert made.failures == 3
    assert len(server.reports) == 2


def _arguments() -> tuple[Any, Any, Any, Any]:
    """Return a call that begins, as it reports."""
    from vosd.b2bua.stamps import Arrival, Journey
    from vosd.callcontrol.call_request import CallRequest

    at = Instant(1_000, 1_790_000_000_000)
    arrival = Arrival(call_id(1), "4930123", "4420123", "x@y", "192.0.2.1:5060", at)
    return arrival, Journey(), CallRequest("192.0.2.1", 5060, 70, at=at), None


async def test_an_interim_answer_says_nothing_of_the_report():
    answers = iter((b"503 Busy", b"200 OK"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % next(answers))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        sender = poster.Poster(f"http://{host}:{port}/")
        with pytest.raises(poster.UndeliveredError, match="status 503"):
            await sender.post(b"{}", {})
        assert await sender.post(b"{}", {}) == 200
        sender.hang_up()


@pytest.mark.parametrize("status", [400, 410, 422])
async def test_a_refusal_is_final(desk, status):
    with ReportServer(secret=SECRET.encode()) as server, capture_logs() as logs:
        server.fails = [status]
        made = await desk.begin(server.url, connections=1)
        made.ended(answered_call(1))
        made.ended(answered_call(2))
        (only,) = await taken(server, 1)
        await until(lambda: not made.census()[Figure.CALL_REPORTS])
        await until(lambda: any(line["event"] == "call_reports_dropped" for line in logs))
        assert only["call_id"] == call_id(2)
        assert server.attempts == 2
    assert made.counted == {ReportOutcome.REFUSED: 1, ReportOutcome.DELIVERED: 1}
    assert made.totals()[Figure.CALL_REPORTS_DROPPED] == 1
    lost = next(line for line in logs if line["event"] == "call_reports_dropped")
    assert (lost["reports"], lost["why"]) == (1, {"refused": 1})


async def test_a_silent_server_and_a_huge_answer_cost_a_bounded_time(desk, monkeypatch):
    monkeypatch.setattr(poster, "TIMEOUT_S", 0.5)
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = ["silent", "huge"]
        made = await desk.begin(server.url, connections=1)
        for number in range(3):
            made.ended(answered_call(number))
        await until(lambda: len(server.different()) == 3)
        await until(lambda: not made.census()[Figure.CALL_REPORTS])
    assert made.counted == {ReportOutcome.DELIVERED: 3}
    assert made.failures >= 1


async def test_a_report_that_the_server_cannot_take_delays_no_other_call(desk):
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [500]
        made = await desk.begin(server.url, connections=1, retry_interval_ms=300)
        for number in range(5):
            made.ended(answered_call(number))
        found = await taken(server, 5)
        assert [each["call_id"] for each in found] == [call_id(number) for number in (1, 2, 3, 4, 0)]


async def test_a_report_wakes_one_courier(desk, monkeypatch):
    """Else each would cost as much as there are connections."""
    with ReportServer(secret=SECRET.encode()) as server:
        made = await desk.begin(server.url, connections=32)
        await until(lambda: len(made._delivery._idle) == 32)
        looks = []
        take = made._queue.take
        monkeypatch.setattr(made._queue, "take", lambda now_ms: (looks.append(now_ms), take(now_ms))[1])
        made.ended(answered_call(1))
        await until(lambda: not made.census()[Figure.CALL_REPORTS] and len(made._delivery._idle) == 32)
        assert len(looks) == 2, "one for the report, and one behind it"


class Flaky:
    """A courier to a server that fails the first two of five reports, until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False
        self._sent = itertools.count()

    async def deliver(self, _report: CallReport) -> int:
        if next(self._sent) % 5 < 2 and not self.is_mended:
            raise UndeliveredError("status 500")
        return 200

    def hang_up(self) -> None: ...


class Stuck(Flaky):
    """A courier to a server that never answers one report."""

    def __init__(self, never: CallReport) -> None:
        super().__init__()
        self._never = never

    async def deliver(self, report: CallReport) -> int:
        if report == self._never:
            await asyncio.get_running_loop().create_future()
        return 200


async def test_behind_an_outage_a_repetition_waits_for_no_courier_that_is_busy(tmp_path):
    """All couriers slept: while the server was away each of them had nothing to wait for."""
    queue = ReportQueue(DeliverySettings(retry_interval_ms=100))
    failed, stuck, taken = (CallReport(number, f"call-{number}", 0, b"") for number in range(3))
    clock = SystemClock()
    made = Delivery(queue, ReportSpool(tmp_path), clock, lambda: False, lambda *_: None)
    couriers = [asyncio.create_task(made.run(Stuck(stuck))) for _ in range(3)]
    await until(lambda: len(made._idle) == 3)
    queue.put(failed)
    assert queue.take(clock.now().mono) == failed
    queue.failed(failed, clock.now().mono)
    queue._failed_in_row = 9
    queue._paused_until = 0
    queue.put(stuck)
    queue.put(taken)
    made.wake()
    await until(lambda: list(queue.waiting()) == [stuck])
    for each in couriers:
        each.cancel()
    await asyncio.gather(*couriers, return_exceptions=True)


async def test_without_retry_a_report_has_one_attempt(desk):
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [500, 500, 500]
        made = await desk.begin(server.url, connections=1, retry=False)
        for number in range(4):
            made.ended(answered_call(number))
        (only,) = await taken(server, 1)
        await until(lambda: not made.census()[Figure.CALL_REPORTS])
    assert only["call_id"] == call_id(3)
    assert made.counted == {ReportOutcome.FAILED: 3, ReportOutcome.DELIVERED: 1}


async def test_while_the_switch_is_overloaded_reports_wait(desk):
    with ReportServer(secret=SECRET.encode()) as server:
        desk.is_busy = True
        made = await desk.begin(server.url)
        made.ended(answered_call(1))
        await turns(20)
        assert server.attempts == 0
        desk.is_busy = False
        await taken(server, 1)


async def test_of_too_many_the_oldest_are_dropped_and_the_loss_is_reported_once_a_minute(desk):
    closed = ReportServer()
    with closed:
        pass
    with capture_logs() as logs:
        made = await desk.begin(closed.url, queue=3)
        for number in range(10):
            made.ended(answered_call(number))
        await until(lambda: any(line["event"] == "call_reports_dropped" for line in logs))
        for number in range(10, 20):
            made.ended(answered_call(number))
        await until(lambda: made.counted[ReportOutcome.FULL] >= 17)
    assert made.census()[Figure.CALL_REPORTS] == 3
    assert [line["event"] for line in logs].count("call_reports_dropped") == 1


async def test_a_report_that_is_too_old_is_dropped(desk, monkeypatch):
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [503] * 1_000
        made = await desk.begin(server.url, max_age_s=1)
        made.ended(answered_call(1))
        await until(lambda: made.counted[ReportOutcome.EXPIRED] == 1)
        assert made.census()[Figure.CALL_REPORTS] == 0


async def test_a_start_sends_no_report_that_has_become_too_old_while_the_switch_was_stopped(desk):
    desk._clock = clock = ManualClock(wall=SystemClock().now().wall)
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [503] * 1_000
        made = await desk.begin(server.url, max_age_s=60, retry_interval_ms=60_000)
        made.ended(answered_call(1))
        await until(lambda: made.failures)
        await desk.kill()
        clock.move_to(clock.now().mono + 61_000)
        server.fails = []
        asked = server.attempts
        made = await desk.begin(server.url, max_age_s=60)
        assert (made.census()[Figure.CALL_REPORTS], made.counted[ReportOutcome.EXPIRED]) == (0, 1)
        made.ended(answered_call(2))
        await until(lambda: made.counted[ReportOutcome.DELIVERED])
        assert server.attempts == asked + 1


async def test_a_clock_that_is_ahead_for_a_moment_drops_no_report(desk):
    desk._clock = clock = ManualClock()
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = [503] * 1_000
        made = await desk.begin(server.url, retry_interval_ms=60_000)
        made.ended(answered_call(1))
        for hours in (2, -2):
            clock.set_wall(hours * 3_600_000)
            made.tidy()
        assert (made.census()[Figure.CALL_REPORTS], made.counted[ReportOutcome.EXPIRED]) == (1, 0)


# -- changes and restarts -----------------------------------------------------------------------------------------


async def test_another_server_gets_what_waits_and_none_gets_nothing(desk):
    with ReportServer(secret=b"old") as old, ReportServer(secret=b"new") as new:
        old.fails = [503] * 1_000
        made = await desk.begin(old.url, secret=Secret("old"), retry_interval_ms=60_000)
        for number in range(3):
            made.ended(answered_call(number))
        await until(lambda: made.failures >= 2)
        await made.adjust(CallReportSettings(new.url, Secret("new")))
        found = await taken(new, 3)
        assert {each["call_id"] for each in found} == {call_id(number) for number in range(3)}
        await made.adjust(None)
        assert desk.attached is None
        assert list((desk.directory / "call-reports").iterdir()) == []
        await made.adjust(CallReportSettings(new.url, Secret("new")))
        made.ended(answered_call(7))
        assert (await taken(new, 4))[-1]["call_id"] == call_id(7)
        assert new.faults == []


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
async def test_what_waits_survives_the_process(desk, is_killed):
    server = ReportServer(secret=SECRET.encode())
    with server:
        made = await desk.begin(server.url)
        made.ended(answered_call(1))
        await taken(server, 1)
        await until(lambda: not made.census()[Figure.CALL_REPORTS])
        made.tidy()
    for number in range(2, 5):
        made.ended(answered_call(number))
    await (desk.kill() if is_killed else made.end())
    with server, capture_logs() as logs:
        again = await desk.begin(server.url)
        again.ended(answered_call(5))
        found = await taken(server, 5)
    assert sorted(each["call_id"] for each in found) == [call_id(number) for number in range(1, 6)]
    assert len(server.reports) == 5
    assert {"event": "call_reports_restored", "log_level": "info", "reports": 3, "unreadable": 0} in logs


async def test_the_end_of_a_switch_waits_for_no_longer_than_it_may(desk):
    with ReportServer(secret=SECRET.encode()) as server:
        server.fails = ["silent"] * 100
        made = await desk.begin(server.url)
        made.ended(answered_call(1))
        async with asyncio.timeout(PATIENCE_S):
            await made.end()
        desk.running = None
    assert [each.call_id for each in ReportSpool(desk.directory / "call-reports").open().reports] == [call_id(1)]


async def test_the_end_of_a_switch_waits_for_a_server_that_is_well(desk, monkeypatch):
    monkeypatch.setattr(reporter, "LAST_REPORTS_S", PATIENCE_S)
    with ReportServer(secret=SECRET.encode()) as server:
        made = await desk.begin(server.url)
        for number in range(50):
            made.ended(answered_call(number))
        await made.end()
        desk.running = None
        assert len(server.different()) == 50


async def test_a_server_that_fails_now_and_then_is_one_outage_until_a_minute_after_its_last_failure(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(delivery, "WELL_MS", 60_000)
    clock, queue, courier = ManualClock(), ReportQueue(DeliverySettings(retry_interval_ms=20)), Flaky()
    made = Delivery(queue, ReportSpool(tmp_path), clock, lambda: False, lambda *_: None)

    async def send_next() -> None:
        clock.move_to(clock.now().mono + 100)
        report = queue.take(clock.now().mono)
        assert report is not None
        await made._send(report, courier)
        made.tidy()

    with capture_logs() as logs:
        for number in range(300):
            queue.put(CallReport(number, f"call-{number}", 0, b""))
            await send_next()
        assert [line["event"] for line in logs] == ["call_reports_down"]
        courier.is_mended = True
        while len(queue):
            await send_next()
        assert len(logs) == 1
        clock.move_to(clock.now().mono + 60_000)
        made.tidy()
    assert [line["event"] for line in logs] == ["call_reports_down", "call_reports_up"]
