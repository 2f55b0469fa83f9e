"""The control socket: framing, bounds, rights, and what a command's failure looks like to its caller."""

import asyncio
import json
import socket
import stat
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import structlog
from doubles.few_files import used_up

from vosd.api.offices import ORDERS_AT_ONCE
from vosd.base.errors import VosError
from vosd.base.text import escaped
from vosd.control import server as control
from vosd.control.calls import ListCalls
from vosd.control.client import RunningSwitch
from vosd.control.installation import GetStatus
from vosd.control.order import NAMES_MAX, PROTOCOL, Following, Handler, Order, OrderDone, fitting_names
from vosd.control.server import CommandError, ControlServer, ControlSocketError
from vosd.control.wire import request_line


class Echo(Order[Any], frozen=True, tag="echo"):
    a: int = 0


class Select(Order[str], frozen=True, tag="select"):
    gateway: str


class Refuse(Order[OrderDone], frozen=True, tag="refuse"):
    """Refused with problems."""


class Fail(Order[OrderDone], frozen=True, tag="fail"):
    """Refused with a sentence."""


class Break(Order[OrderDone], frozen=True, tag="break"):
    """Meets a bug."""


class Wait(Order[str], frozen=True, tag="wait"):
    """Waits."""


class Look(Order[str], frozen=True, tag="look"):
    """Waits, as long as its client does."""

    ends_with_client: ClassVar[bool] = True


class Agents(Order[list[str]], frozen=True, tag="agents"):
    """Lists text of peers."""


class Count(Following[int], frozen=True, tag="follow"):
    times: int = 0
    breaks: bool = False


class DatabaseAwayError(VosError):
    """The database does not answer."""


async def echo(order: msgspec.Struct) -> object:
    return {name: value for name, value in msgspec.structs.asdict(order).items() if value}


async def select(order: Select) -> str:
    return order.gateway


async def refuse(_order: Refuse) -> OrderDone:
    raise CommandError("the file is bad", ["vosd.yaml:3: sip: unknown key"])


async def fail(_order: Fail) -> OrderDone:
    raise DatabaseAwayError("the database is away; start it")


async def break_down(_order: Break) -> OrderDone:
    raise ZeroDivisionError


class Watched:
    """A series of results: counts until its client disconnects."""

    def __init__(self) -> None:
        self.is_left = asyncio.Event()

    async def follow(self, order: Count) -> AsyncGenerator[int, None]:
        try:
            for count in range(order.times):
                yield count
                await asyncio.sleep(0)
            if order.breaks:
                raise ZeroDivisionError
        finally:
            self.is_left.set()


HANDLERS = (
    Echo.answered_by(echo),
    Select.answered_by(select),
    Refuse.answered_by(refuse),
    Fail.answered_by(fail),
    Break.answered_by(break_down),
)


def line(order: str, **fields: object) -> bytes:
    return json.dumps({"protocol": PROTOCOL, "order": {"order": order, **fields}}).encode()


def body(text: bytes) -> dict[str, Any]:
    """Return an answer without what every answer has."""
    answer: dict[str, Any] = json.loads(text)
    assert answer.pop("protocol") == PROTOCOL
    assert answer.pop("switch")
    return answer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "run" / "vosd.sock"
    server = ControlServer(path, HANDLERS)
    await server.open()
    yield path
    await server.close()
    assert not path.exists()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def ask(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path)
    answers = []
    for each in lines:
        writer.write(each + b"\n")
        answers.append(body(await asyncio.wait_for(reader.readline(), 30)))
    writer.close()
    await writer.wait_closed()
    return answers


async def test_several_commands_on_one_connection_are_answered_in_turn(server: Path) -> None:
    answers = await ask(server, line("echo", a=1), line("select", gateway="g"))
    assert answers == [{"result": {"a": 1}}, {"result": "g"}]


async def test_only_the_switch_s_user_may_open_the_socket(server: Path) -> None:
    assert mode_of(server) == 0o600


async def test_a_refused_command_names_its_problems(server: Path) -> None:
    (answer,) = await ask(server, line("refuse"))
    assert answer == {"error": "the file is bad", "problems": ["vosd.yaml:3: sip: unknown key"], "code": "command"}


async def test_an_expected_failure_has_a_remedy(server: Path) -> None:
    (answer,) = await ask(server, line("fail"))
    assert (answer["error"], answer["code"]) == ("the database is away; start it", "database_away")


async def test_a_bug_in_a_command_is_logged_once_and_the_socket_lives_on(server: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        broken, echoed = await ask(server, line("break"), line("echo"))
    assert "failed inside the switch" in broken["error"]
    assert "ZeroDivisionError" not in broken["error"]
    assert [(line["event"], line["verb"]) for line in logs] == [("command_failed", "break")]
    assert echoed == {"result": {}}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not a request"),
        (b"[]", "not a request"),
        (b'{"protocol": 3, "order": {"order": 5}}', "not a request"),
        (b'{"protocol": 3}', "not a request"),
        (line("echo", extra=1), "unknown field `extra`"),
        (line("dance"), "knows no 'dance'; it answers echo, select"),
        (line("select", colour="red"), "unknown field `colour`"),
        (b"\xff\xfe", "not a request"),
        (b'{"protocol": 3, "order": {"order": "\xff"}}', "not a request"),
        (b'{"protocol": 3, "order": ' + b"[" * 20_000, "not a request"),
    ],
)
async def test_what_is_not_a_command_is_answered_with_why(server: Path, line: bytes, says: str) -> None:
    (answer,) = await ask(server, line)
    assert says in answer["error"]


async def test_a_request_line_is_bounded(server: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(server)
    writer.write(b"x" * (control.LINE_MAX + 1))
    answer = body(await asyncio.wait_for(reader.readline(), 30))
    assert f"at most {control.LINE_MAX} bytes" in answer["error"]
    assert await reader.read() == b""
    writer.close()


def test_an_order_with_as_many_of_the_longest_names_as_it_may_have_fits_into_a_line() -> None:
    names = frozenset(f"{number:06}" + 58 * "\U0001f4de" for number in range(NAMES_MAX))
    assert fitting_names(names) is names
    assert len(request_line(ListCalls(names))) < control.LINE_MAX
    assert fitting_names(names | {"one more"}) is fitting_names(None) is None


async def test_clients_without_a_request_shut_no_other_out(server: Path) -> None:
    idle = [await asyncio.open_unix_connection(server) for _ in range(100)]
    for _ in range(2):
        answers = await ask(server, line("echo"), line("echo"))
        assert answers == [{"result": {}}, {"result": {}}]
    most = control.CLIENTS_MAX + control.RESERVED
    closed = [await asyncio.wait_for(reader.read(), 30) for reader, _ in idle[: len(idle) - most]]
    assert closed == [b""] * (len(idle) - most), "the oldest go first"
    for _, writer in idle:
        writer.close()


async def test_commands_at_once_are_bounded_and_status_is_always_answered(tmp_path: Path) -> None:
    path, released = tmp_path / "vosd.sock", asyncio.Event()

    async def wait(_order: Wait) -> str:
        await released.wait()
        return "waited"

    async def follow(_order: Count) -> AsyncGenerator[int, None]:
        await released.wait()
        yield 7

    server = ControlServer(
        path,
        (Wait.answered_by(wait), Handler(GetStatus, answer=echo), Echo.answered_by(echo), Count.followed_by(follow)),
    )
    await server.open()
    busy = []
    for number in range(control.CLIENTS_MAX):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line("follow") + b"\n" if number % 2 else line("wait") + b"\n")
        busy.append((reader, writer))
    idle = [await asyncio.open_unix_connection(path) for _ in range(20)]
    refused, status = await ask(path, line("echo"), line("status"))
    assert refused["error"] == "32 commands are carried out at once already, try again"
    assert status == {"result": {}}
    released.set()
    assert [body(await asyncio.wait_for(reader.readline(), 30))["result"] for reader, _ in busy] == [
        "waited", 7
    ] * (control.CLIENTS_MAX // 2)  # fmt: skip
    assert await ask(path, line("echo")) == [{"result": {}}]
    for _, writer in (*busy, *idle):
        writer.close()
    await server.close()


class Waiting:
    """An order that waits until it may answer."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.given_up = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()

    async def wait(self, _order: Look | Wait) -> str:
        self.begun.release()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up.release()
            raise
        return "waited"


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[tuple[Path, Waiting]]:
    waiting = Waiting()
    handlers = (*HANDLERS, Look.answered_by(waiting.wait), Wait.answered_by(waiting.wait))
    server = ControlServer(tmp_path / "vosd.sock", handlers)
    await server.open()
    yield tmp_path / "vosd.sock", waiting
    await server.close()


async def begin(path: Path, waiting: Waiting, order: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Give an order as ``RunningSwitch`` does: nothing more is sent."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line(order) + b"\n")
    writer.write_eof()
    await asyncio.wait_for(waiting.begun.acquire(), 30)
    return reader, writer


async def test_an_order_that_may_wait_for_long_is_given_up_when_its_client_disconnects(
    waiting: tuple[Path, Waiting],
) -> None:
    path, order = waiting
    clients = [await begin(path, order, "look") for _ in range(control.CLIENTS_MAX)]
    (refused,) = await ask(path, line("echo"))
    assert refused["code"] == "busy"
    kept, *gone = clients
    for _, writer in gone:
        writer.close()
    for _ in gone:
        await asyncio.wait_for(order.given_up.acquire(), 30)
    assert await ask(path, line("echo")) == [{"result": {}}]
    order.may_answer.set()
    assert body(await asyncio.wait_for(kept[0].readline(), 30)) == {"result": "waited"}
    kept[1].close()


async def test_a_client_that_disconnects_between_two_orders_ends_none_of_another_one(
    waiting: tuple[Path, Waiting],
) -> None:
    path, order = waiting
    order.may_answer.set()
    reader, writer = await asyncio.open_unix_connection(path)
    for _ in range(2):
        writer.write(line("look") + b"\n")
        assert body(await asyncio.wait_for(reader.readline(), 30)) == {"result": "waited"}
    writer.close()
    assert await ask(path, line("look"), line("look")) == [{"result": "waited"}] * 2
    assert order.given_up.locked()


async def test_another_order_is_carried_out_though_its_client_disconnects(waiting: tuple[Path, Waiting]) -> None:
    path, order = waiting
    _, writer = await begin(path, order, "wait")
    writer.close()
    await writer.wait_closed()
    assert await ask(path, line("echo")) == [{"result": {}}]
    assert order.given_up.locked()


async def test_a_program_that_takes_turns_is_never_refused(tmp_path: Path) -> None:
    path = tmp_path / "vosd.sock"

    async def wait(_order: Wait) -> str:
        await asyncio.sleep(0)
        return "waited"

    server = ControlServer(path, (Wait.answered_by(wait),))
    await server.open()
    switch = RunningSwitch(path, turns=asyncio.Semaphore(ORDERS_AT_ONCE))
    assert await asyncio.gather(*(switch.ask(Wait()) for _ in range(200))) == ["waited"] * 200
    await server.close()


async def test_a_silent_client_is_sent_away(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_S", 0.01)
    reader, writer = await asyncio.open_unix_connection(server)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


async def test_a_second_switch_is_refused_and_the_first_one_lives_on(server: Path) -> None:
    with pytest.raises(ControlSocketError, match="another switch answers"):
        await ControlServer(server, HANDLERS).open()
    assert (await ask(server, line("echo"))) == [{"result": {}}]


async def test_a_socket_left_behind_by_a_killed_switch_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "vosd.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    server = ControlServer(path, HANDLERS)
    await server.open()
    assert (await ask(path, line("echo"))) == [{"result": {}}]
    await server.close()


async def answered_at(path: Path) -> list[Any]:
    """Ask until a socket is there, as the switch looks for it."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await ask(path, line("echo"))
            except OSError:
                await asyncio.sleep(0)


async def test_a_socket_that_is_removed_is_made_anew_and_its_clients_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "LOOK_S", 0.01)
    path = tmp_path / "run" / "vosd.sock"
    server = ControlServer(path, HANDLERS)
    await server.open()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line("echo") + b"\n")
    assert body(await reader.readline()) == {"result": {}}
    with structlog.testing.capture_logs() as logged:
        path.unlink()
        path.parent.rmdir()
        assert await answered_at(path) == [{"result": {}}]
        writer.write(line("echo") + b"\n")
        assert body(await reader.readline()) == {"result": {}}
        path.unlink()
        path.write_text("notes")
        async with asyncio.timeout(30):
            while True:
                if "control_socket_missing" in [each["event"] for each in logged]:
                    break
                await asyncio.sleep(0)
        path.unlink()
        assert await answered_at(path) == [{"result": {}}]
    assert [each["event"] for each in logged] == [
        "control_socket_made_anew",
        "control_socket_missing",
        "control_socket_made_anew",
    ]
    writer.close()
    await server.close()
    assert not path.exists()


async def test_a_switch_that_stops_leaves_the_socket_of_another_one(tmp_path: Path) -> None:
    path = tmp_path / "vosd.sock"
    first, second = ControlServer(path, HANDLERS), ControlServer(path, HANDLERS)
    await first.open()
    path.rename(tmp_path / "old")
    await second.open()
    await first.close()
    assert await ask(path, line("echo")) == [{"result": {}}]
    await second.close()


async def test_a_file_of_another_kind_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "vosd.sock"
    path.write_text("notes")
    with pytest.raises(ControlSocketError, match="another kind"):
        await ControlServer(path, HANDLERS).open()
    assert path.read_text() == "notes"


async def test_a_path_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 200)
    with pytest.raises(ControlSocketError, match="cannot be opened"):
        await ControlServer(path, HANDLERS).open()


async def test_closing_drops_clients_that_wait(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "vosd.sock", HANDLERS)
    await server.open()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "vosd.sock")
    writer.write(line("echo") + b"\n")
    await reader.readline()
    await server.close()
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


# -- verbs that follow something ----------------------------------------------------------------------------------


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[tuple[Path, Watched]]:
    watched = Watched()
    server = ControlServer(tmp_path / "vosd.sock", (*HANDLERS, Count.followed_by(watched.follow)))
    await server.open()
    yield tmp_path / "vosd.sock", watched
    await server.close()


async def test_a_verb_that_follows_answers_again_and_again_and_the_next_command_comes_after(watched) -> None:
    path, _ = watched
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line("follow", times=3) + b"\n" + line("echo") + b"\n")
    lines = [body(await asyncio.wait_for(reader.readline(), 30)) for _ in range(4)]
    assert lines == [{"result": 0}, {"result": 1}, {"result": 2}, {"result": {}}]
    writer.close()


async def test_a_client_who_goes_away_is_followed_for_no_longer(watched) -> None:
    path, thing = watched
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line("follow", times=1000000000) + b"\n")
    await reader.readline()
    assert not thing.is_left.is_set()
    writer.close()
    await asyncio.wait_for(thing.is_left.wait(), 30)


async def test_closing_the_socket_ends_what_is_followed(tmp_path: Path) -> None:
    thing = Watched()
    server = ControlServer(tmp_path / "vosd.sock", (*HANDLERS, Count.followed_by(thing.follow)))
    await server.open()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "vosd.sock")
    writer.write(line("follow", times=1000000000) + b"\n")
    await reader.readline()
    await server.close()
    assert thing.is_left.is_set()
    writer.close()


async def test_an_error_of_a_series_is_sent_after_its_earlier_results(watched) -> None:
    path, thing = watched
    with structlog.testing.capture_logs() as logs:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line("follow", times=1, breaks=True) + b"\n")
        lines = [body(await asyncio.wait_for(reader.readline(), 30)) for _ in range(2)]
        writer.close()
    assert lines[0] == {"result": 0}
    assert "follow failed inside the switch" in lines[1]["error"]
    assert [line["verb"] for line in logs] == ["follow"]
    assert thing.is_left.is_set()


async def test_verbs_that_follow_are_among_those_that_are_known(watched) -> None:
    (answer,) = await ask(watched[0], line("dance"))
    assert answer["error"].endswith("it answers echo, select, refuse, fail, break, follow")


# -- without descriptors -------------------------------------------------------------------------------------------


class OpenedBefore:
    """Clients whose own descriptors were opened before this process has used up all others."""

    def __init__(self, path: Path, clients: int) -> None:
        self._path = path
        self._left = [socket.socket(socket.AF_UNIX) for _ in range(clients)]
        for each in self._left:
            each.setblocking(False)

    async def connected(self) -> socket.socket:
        sock = self._left.pop()
        await asyncio.get_running_loop().sock_connect(sock, str(self._path))
        return sock

    async def answered(self, sock: socket.socket) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, line("echo", a=1) + b"\n")
        async with asyncio.timeout(30):
            return body(await loop.sock_recv(sock, 65_536))


async def test_commands_are_answered_one_after_the_other_where_no_file_may_be_opened(server: Path) -> None:
    clients = OpenedBefore(server, 6)
    with structlog.testing.capture_logs() as logged, used_up():
        for _ in range(6):
            sock = await clients.connected()
            assert await clients.answered(sock) == {"result": {"a": 1}}
            sock.close()
    assert [line["event"] for line in logged] == ["file_limit_reached"]
    assert "LimitNOFILE" in logged[0]["do"]


async def test_a_client_without_request_gives_up_its_descriptor_to_the_next(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PAUSE_S", 0.01)
    clients = OpenedBefore(server, control.SPARE + 3)
    with used_up():
        idle = [await clients.connected() for _ in range(control.SPARE)]
        asked = [await clients.connected() for _ in range(3)]
        for sock in asked:
            assert await clients.answered(sock) == {"result": {"a": 1}}
            sock.close()
        async with asyncio.timeout(30):
            assert await asyncio.get_running_loop().sock_recv(idle[0], 1) == b""
    for sock in idle:
        sock.close()


async def test_rows_of_a_long_answer_are_encoded_in_turns_of_the_loop(tmp_path, monkeypatch):
    """One phone whose User-Agent is not UTF-8 had those of 20,000 escaped in one turn, which took 150 ms."""
    turn, turns = 0, Counter[int]()

    def noted(row: object) -> Any:
        turns[turn] += 1
        return escaped(row)

    async def agents(_order: Agents) -> list[str]:
        return ["Ger\udce4t", "Phone"] * control.ROWS_AT_ONCE

    async def count_turns() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    monkeypatch.setattr(control, "escaped", noted)
    server = ControlServer(tmp_path / "vosd.sock", [Agents.answered_by(agents)])
    await server.open()
    counting = asyncio.create_task(count_turns())
    [answer] = await ask(tmp_path / "vosd.sock", line("agents"))
    counting.cancel()
    await server.close()
    assert answer == {"result": ["Ger\\udce4t", "Phone"] * control.ROWS_AT_ONCE}
    assert [*turns.values()] == [control.ROWS_AT_ONCE // 2] * 2


async def test_requests_that_come_together_are_carried_out_in_turns_of_the_loop(tmp_path: Path) -> None:
    turn, turns = 0, Counter[int]()

    async def note(_order: Echo) -> int:
        turns[turn] += 1
        return 1

    async def count_turns() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    server = ControlServer(tmp_path / "vosd.sock", [Echo.answered_by(note)])
    await server.open()
    counting = asyncio.create_task(count_turns())
    reader, writer = await asyncio.open_unix_connection(tmp_path / "vosd.sock")
    writer.write(b"%s\n" % line("echo") * 20)
    answers = [body(await reader.readline()) for _ in range(20)]
    writer.close()
    counting.cancel()
    await server.close()
    assert answers == [{"result": 1}] * 20
    assert max(turns.values()) == 1
