"""Reports of phones to another program, which may be down."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from doubles.data.registering import register_request
from doubles.turns import until
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.engine import poster
from vosd.engine.registration import phone_service
from vosd.engine.registration.bindings import RegistrantKind, Registrations
from vosd.engine.registration.phone_service import PhoneService
from vosd.engine.settings import PhoneServiceSettings
from vosd.sip.flows import Flows, Listener
from vosd.sip.settings import RegistrarSettings
from vosd.sip.wire.outgoing import Peer

PLACE = Peer(0, "203.0.113.9", 40_000)
PATIENCE_S = 30.0
TAKEN = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"


class Unwritten:
    def put(self, name, binding, earlier):
        """Take no note."""

    def drop(self, name, slot):
        """Take no note."""

    def is_known(self, name, slot):
        return False


class Program:
    """A program that listens to HTTP; what it answers is to be had."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, dict[str, str], dict[str, object]]] = asyncio.Queue()
        self.answers: list[bytes] = []
        """Whole answers for the next requests; after them 204."""
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def settings(self) -> PhoneServiceSettings:
        return PhoneServiceSettings("127.0.0.1", self.port, "/phones?from=sw1")

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()

    async def report(self) -> dict[str, object]:
        return (await asyncio.wait_for(self.heard.get(), PATIENCE_S))[2]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                writer.write(self.answers.pop(0) if self.answers else TAKEN)
                self.heard.put_nowait((first, headers, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Home:
    """A table of registrations that reports to a program."""

    def __init__(self, settings: PhoneServiceSettings | None) -> None:
        self.clock = ManualClock()
        self.service = PhoneService(self.clock, settings, lambda: self.table)
        flows = Flows((Listener("192.0.2.1", 5060),), str)
        self.table = Registrations(RegistrarSettings(), flows, Unwritten(), self.clock, presence=self.service.changed)
        self._cseq = 0

    def register(self, name="1001", kind=RegistrantKind.PHONE, expires=600, place=PLACE) -> None:
        self._cseq += 1
        request = register_request(f"<sip:{name}@192.168.1.100>", cseq=self._cseq, expires=expires)
        self.table.register(name, kind, request, place, self.clock.now())


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(phone_service, "BACK_OFF_S", 0.01)
    monkeypatch.setattr(phone_service, "BACK_OFF_MAX_S", 0.02)


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    made = Program()
    await made.listen()
    yield made
    await made.close()


@pytest.fixture
async def home(program: Program) -> AsyncIterator[Home]:
    made = Home(program.settings)
    task = asyncio.create_task(made.service.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def told(logs) -> list[dict[str, object]]:
    return [line for line in logs if line["event"].startswith("phone_service")]


async def test_a_phone_is_reported_with_address_and_time(home, program):
    home.register()
    first, headers, body = await asyncio.wait_for(program.heard.get(), PATIENCE_S)
    assert first == "POST /phones?from=sw1 HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{program.port}"
    assert headers["content-type"] == "application/json"
    assert body == {
        "phone": "1001", "state": "online", "ip": PLACE.host, "port": PLACE.port, "ts": "2026-09-21T14:13:20.000Z"
    }  # fmt: skip
    home.register()
    home.register(expires=0)
    assert await program.report() == {**body, "state": "offline"}, "a refresh is no news"
    assert program.connections == 1


async def test_expiry_is_reported_and_gateways_are_not_phones(home, program):
    home.register("trunk", RegistrantKind.GATEWAY)
    home.register()
    assert (await program.report())["phone"] == "1001"
    home.clock.move_to(home.clock.now().mono + 700_000)
    home.table.expire(home.clock.now())
    report = await program.report()
    assert (report["phone"], report["state"]) == ("1001", "offline")
    assert program.heard.empty()


async def test_while_the_program_is_away_the_latest_of_each_phone_waits(home, program):
    await program.close()
    with capture_logs() as logs:
        for _ in range(20):
            home.register()
            home.register(expires=0)
        home.register("1002")
        await until(lambda: bool(told(logs)))
        assert len(home.service) == 2
        await program.listen()
        states = {(await program.report())["phone"]: None for _ in range(2)}
        await until(lambda: not len(home.service))
    assert set(states) == {"1001", "1002"}
    assert program.heard.empty()
    assert [line["event"] for line in told(logs)] == ["phone_service_down", "phone_service_up"]


async def test_a_program_that_is_away_and_configured_no_more_is_reported_as_over(home, program):
    await program.close()
    with capture_logs() as logs:
        home.register()
        await until(lambda: bool(told(logs)))
        home.service.adjust(None)
        home.service.adjust(program.settings)
    assert [(line["event"], line.get("why") == "gone") for line in told(logs)] == [
        ("phone_service_down", False),
        ("phone_service_up", True),
    ]


async def test_a_program_that_is_replaced_while_it_is_asked_is_not_reported_as_away(home, program):
    other = Program()
    await other.listen()
    program.answers.append(b"")
    home.register()
    await program.report()
    with capture_logs() as logs:
        home.service.adjust(other.settings)
        assert (await other.report())["phone"] == "1001"
        await until(lambda: not len(home.service))
    await other.close()
    assert told(logs) == []


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_a_temporary_failure_is_retried(home, program, status):
    program.answers.append(b"HTTP/1.1 %d Later\r\nContent-Length: 2\r\n\r\nno" % status)
    home.register()
    assert [(await program.report())["state"] for _ in range(2)] == ["online", "online"]


@pytest.mark.parametrize("status", [301, 400, 404])
async def test_a_rejected_report_is_logged_and_not_repeated(home, program, status):
    program.answers.append(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status)
    with capture_logs() as logs:
        home.register()
        home.register("1002")
        assert [(await program.report())["phone"] for _ in range(2)] == ["1001", "1002"]
        await until(lambda: not len(home.service))
    assert [(line["event"], line["status"]) for line in told(logs)] == [("phone_service_refused", status)]


@pytest.mark.parametrize(
    "answer",
    [b"SIP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n", ENDLESS],
    ids=["not HTTP", "no status", "too long"],
)
async def test_an_answer_that_cannot_be_read_is_a_failure(home, program, answer):
    program.answers.append(answer)
    home.register()
    assert [(await program.report())["state"] for _ in range(2)] == ["online", "online"]


@pytest.mark.parametrize(
    "head", ["Connection: close", "Transfer-Encoding: chunked", "X: y", "Content-Length: 99999999"]
)
async def test_a_connection_whose_answer_has_no_known_end_is_not_used_again(home, program, head):
    program.answers.append(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
    home.register()
    await program.report()
    home.register("1002")
    await program.report()
    assert program.connections == 2


async def test_a_new_program_receives_all_online_phones(home, program):
    home.register()
    home.register("1002")
    for _ in range(2):
        await program.report()
    home.service.adjust(None)
    home.register("1003")
    assert len(home.service) == 0
    home.service.adjust(program.settings)
    assert sorted([str((await program.report())["phone"]) for _ in range(3)]) == ["1001", "1002", "1003"]
    home.service.adjust(program.settings)
    assert len(home.service) == 0, "the same is nothing new"


async def test_a_silent_program_is_given_up_after_the_timeout(home, program, monkeypatch):
    monkeypatch.setattr(poster, "TIMEOUT_S", 0.05)
    program.answers.append(b"")
    home.register()
    assert [(await program.report())["state"] for _ in range(2)] == ["online", "online"]


async def test_nothing_waits_where_no_program_is_named():
    home = Home(None)
    home.service.begin()
    home.register()
    assert len(home.service) == 0


def test_ipv6_is_in_brackets():
    assert str(PhoneServiceSettings("::1", 80, "/x")) == "http://[::1]:80/x"
