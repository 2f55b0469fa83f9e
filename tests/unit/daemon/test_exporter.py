"""The process that answers HTTP: started again when it ends, and no harm when it cannot listen."""

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import structlog
from e2e.conditions import a_moment

from vosd.daemon import kept_process
from vosd.daemon.lifecycle import DaemonState
from vosd.daemon.metrics import exporter
from vosd.daemon.metrics.exporter import Exporter
from vosd.daemon.metrics.readings import readiness
from vosd.engine.booking.database_watch import Condition
from vosd.engine.overload.load import Load
from vosd.engine.settings import HttpListener, MetricsSettings
from vosd.metrics import exporter as exporter_process, server
from vosd.metrics.exporter import AskedSwitch, Pages
from vosd.metrics.reading import ExporterAnswer, ExporterOpening, GatewayReading, Sample
from vosd.processes.channel import message

WARNINGS = """\
the database is away: calls are taken and wait in the journal
overload: calls that have waited too long are refused
the latest configuration was not taken, an older one is in force (vosd status)
"""


class OneFigure:
    """Readings with one sample."""

    async def parts(self, number, max_gateways):
        yield ExporterAnswer(number, samples=[Sample("vosd_calls", 3, ("talking",))])


def status_of(
    *, refuses=False, is_short=False, sink_refuses=False, condition=Condition.WELL, load=Load.NORMAL, error=None
):
    service = SimpleNamespace(
        database=SimpleNamespace(refuses_calls=refuses, condition=condition),
        journal_is_short=is_short,
        switch=SimpleNamespace(services=SimpleNamespace(sink=SimpleNamespace(refuses_calls=sink_refuses))),
        inbox=SimpleNamespace(load=load),
    )
    return SimpleNamespace(service=service, configuration=SimpleNamespace(last_error=error))


@pytest.fixture
def listen():
    with socket.socket() as probe:
        probe.bind(("127.0.0.8", 0))
        return HttpListener("127.0.0.8", probe.getsockname()[1])


@asynccontextmanager
async def running(settings, state=DaemonState.RUNNING):
    made = Exporter(OneFigure(), status_of(), lambda: state, settings)
    await made.begin()
    try:
        yield made
    finally:
        await made.end()


async def asked(listen, path, wanted):
    """Ask until the answer begins with that status; return its text."""
    async with asyncio.timeout(30):
        while True:
            try:
                reader, writer = await asyncio.open_connection(*listen)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                found = await reader.read()
                writer.close()
                if found.startswith(f"HTTP/1.1 {wanted} ".encode()):
                    return found.partition(b"\r\n\r\n")[2].decode()
            except OSError:
                pass
            await a_moment()


def children():
    """Return the exporters of this process."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    found = [child for task in tasks for child in task.read_text().split()]
    return [int(each) for each in found if "vosd.metrics.exporter" in Path(f"/proc/{each}/cmdline").read_text()]


async def test_the_process_is_started_again_when_it_was_killed_and_ends_with_the_switch(listen, monkeypatch):
    monkeypatch.setattr(kept_process, "RETRY_S", 0.01)
    async with running(MetricsSettings(listen)):
        assert 'vosd_calls{state="talking"} 3.0\n' in await asked(listen, "/metrics", 200)
        (first,) = children()
        with structlog.testing.capture_logs() as logs:
            os.kill(first, signal.SIGKILL)
            assert await asked(listen, "/healthz", 200) == "healthy\n"
        assert [each["event"] for each in logs] == ["metrics_process_ended"]
        assert first not in children()
    assert children() == []


async def left_by_the_switch():
    """Run the process until the switch has gone, while a client is silent; return whether it ends."""
    of_switch, of_process = socket.socketpair()
    with of_switch, socket.create_server(("127.0.0.8", 0)) as listener:
        serving = asyncio.create_task(exporter_process.serve(of_process, listener))
        of_switch.sendall(message(msgspec.msgpack.encode(ExporterOpening(("127.0.0.0/8",)))))
        at = HttpListener(*listener.getsockname())
        _, silent = await asyncio.open_connection(*at)
        await asked(at, "/elsewhere", 404)
        of_switch.close()
        ended, _ = await asyncio.wait({serving}, timeout=30)
        silent.close()
        return ended


def test_a_silent_client_does_not_keep_the_process_of_a_switch_that_has_gone(monkeypatch):
    for name in ("REQUEST_S", "CONNECTION_S"):
        monkeypatch.setattr(server, name, 60)
    monkeypatch.setattr(exporter_process.gc, "freeze", list)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # as in the process itself
        assert runner.run(left_by_the_switch())


class ReadingOfManyGateways:
    """One that does not end."""

    async def parts(self, number, max_gateways):
        yield ExporterAnswer(number, is_last=False, samples=[Sample("vosd_calls", number, ("talking",))])
        gateway = GatewayReading("carrier-a", "routing", True, 1, None, (1,), 1, 1, 1)
        yield ExporterAnswer(number, is_last=False, gateways=[gateway])
        await asyncio.Future()


@asynccontextmanager
async def busy_switch(monkeypatch):
    """Yield the pages of a switch whose readings take longer than they may."""
    monkeypatch.setattr(exporter_process, "READING_S", 0.2)
    for_switch, for_pages = socket.socketpair()
    child = SimpleNamespace(
        **dict(zip(("reader", "writer"), await asyncio.open_connection(sock=for_switch), strict=True))
    )
    made = Exporter(ReadingOfManyGateways(), status_of(), lambda: DaemonState.RUNNING, None)
    serving = asyncio.create_task(made._serve(child, MetricsSettings(HttpListener("127.0.0.1", 1))))
    reader, writer = await asyncio.open_connection(sock=for_pages)
    switch = AskedSwitch(reader, writer)
    listening = asyncio.create_task(switch.listen())
    yield Pages(switch, 7)
    writer.close()
    await serving
    child.writer.close()
    await listening


async def test_a_busy_switch_has_the_figures_that_have_come_in_time(monkeypatch):
    async with busy_switch(monkeypatch) as pages:
        for _ in range(2):
            page = await pages.metrics("")
            assert page.status == 200
            assert b'vosd_calls{state="talking"}' in page.content
            assert b"carrier-a" not in page.content


async def test_a_switch_is_ready_and_healthy_while_it_is_read(monkeypatch):
    async with busy_switch(monkeypatch) as pages:
        monkeypatch.setattr(exporter_process, "READING_S", 60)
        scraped = asyncio.create_task(pages.metrics(""))
        await asyncio.sleep(0)
        assert (await pages.readiness("")).content == b"ready\n"
        assert (await pages.health("")).content == b"healthy\n"
        assert not scraped.done()
        scraped.cancel()


async def test_a_switch_that_does_not_answer_is_taken_for_one_that_hangs(monkeypatch):
    for name in ("READING_S", "ANSWER_S"):
        monkeypatch.setattr(exporter_process, name, 0.01)
    pages = Pages(AskedSwitch(None, SimpleNamespace(is_closing=lambda: False, writelines=list)), 7)
    for asked_for in (pages.metrics, pages.health, pages.readiness):
        page = await asked_for("")
        assert page.status == 503
        assert b"its event loop hangs" in page.content


async def test_a_busy_port_is_reported_once_and_tried_again(listen, monkeypatch):
    monkeypatch.setattr(exporter, "RETRY_S", 0.01)
    with socket.socket() as other, structlog.testing.capture_logs() as logs:
        other.bind(tuple(listen))
        other.listen()
        async with running(MetricsSettings(listen)):
            async with asyncio.timeout(30):
                while not logs:  # noqa: ASYNC110  it is another task that logs
                    await asyncio.sleep(0)
            other.close()
            assert await asked(listen, "/readyz", 200) == "ready\n"
    assert [(each["event"], each["listen"]) for each in logs] == [("metrics_unavailable", str(listen))]


async def test_a_reload_changes_where_it_listens_and_who_may_ask(listen):
    async with running(None, DaemonState.DRAINING) as made:
        assert children() == []
        await made.adjust(MetricsSettings(listen))
        assert await asked(listen, "/readyz", 503) == "not ready\nthe switch is stopping\n"
        await made.adjust(None)
        assert children() == []


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        (DaemonState.STARTING, status_of(), (False, "the switch is starting\n")),
        (DaemonState.DRAINING, status_of(), (False, "the switch is stopping\n")),
        (DaemonState.RUNNING, status_of(), (True, "")),
        (
            DaemonState.RUNNING,
            status_of(refuses=True, condition=Condition.LEASE_LOST),
            (False, "the database is lease_lost: no new call is taken (vosd status)\n"),
        ),
        (
            DaemonState.RUNNING,
            status_of(sink_refuses=True, condition=Condition.AWAY),
            (False, "the database refuses too many calls: no new call is taken (vosd spool list)\n"),
        ),
        (
            DaemonState.RUNNING,
            status_of(is_short=True, sink_refuses=True, condition=Condition.AWAY),
            (False, "the disk of state_dir is full or fails: no new call is taken (vosd alarms)\n"),
        ),
        (DaemonState.RUNNING, status_of(condition=Condition.AWAY, load=Load.OVERLOADED, error="bad"), (True, WARNINGS)),
    ],
)
def test_a_switch_is_ready_while_it_takes_calls_and_says_why_not(state, status, expected):
    found = readiness(status, lambda: state)
    assert (found.is_ready, found.text) == expected
