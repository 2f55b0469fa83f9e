"""UDP listeners with real sockets, and what all listeners have in common."""

import asyncio
import errno
import socket
import time
from functools import partial
from types import SimpleNamespace
from typing import Protocol

import pytest
from doubles.turns import until
from doubles.virtual.probe import request
from structlog.testing import capture_logs

from vosd.net import entrance, transports, udp
from vosd.net.datagrams import BATCH
from vosd.net.sockets import ListenerUnusableError, named, reachable_address
from vosd.sip.drops import Drop

from .conftest import PATIENCE_S

OPTIONS = request("OPTIONS")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_come_and_go(opened, host):
    node = await opened(("udp", "127.0.0.2"), ("udp", host))
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((host, 0))
        peer.settimeout(PATIENCE_S)
        peer.sendto(OPTIONS, node.address(1))
        assert await node.ear.message() == (1, OPTIONS, peer.getsockname()[:2])
        node.send(b"answer", peer.getsockname()[:2], flow=1)
        assert await asyncio.to_thread(peer.recv, 100) == b"answer"


async def test_a_backlog_of_several_turns_is_read_completely_and_in_order(opened, monkeypatch):
    monkeypatch.setattr(udp, "BATCHES_AT_ONCE", 2)
    node = await opened(("udp", "127.0.0.1"))
    backlog = [request("OPTIONS", branch=f"z9hG4bK-{number}") for number in range(3 * 2 * BATCH + 5)]
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        for data in backlog:
            peer.sendto(data, node.address())
        received = [(await node.ear.message())[1] for _ in backlog]
    assert received == backlog


class Later(Protocol):
    """Let so many seconds pass on the monotonic clock, and on the wall clock."""

    def __call__(self, mono_s: float, wall_s: float, *, stands: bool = False) -> None:
        """``stands`` = both stand still from then on: however busy the machine is, nothing has waited for longer."""


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    def let_pass(mono_s: float, wall_s: float, *, stands: bool = False) -> None:
        mono, wall = time.monotonic, time.time  # noqa: TID251 - the clock of the kernel's stamps
        if stands:
            mono, wall = partial(float, mono()), partial(float, wall())
        clocks = SimpleNamespace(monotonic=lambda: mono() + mono_s, time=lambda: wall() + wall_s)
        monkeypatch.setattr(udp, "time", clocks)
        monkeypatch.setattr(entrance, "time", clocks)
        monkeypatch.setattr(transports, "time", clocks)

    return let_pass


def is_between(earliest: float, came: float, latest: float) -> bool:
    """Return whether a datagram counts from a time between two, which may be far apart where the machine is busy.

    The clock of the kernel's stamps is another one than that of the test, and both are read one after the other.
    """
    return earliest - 0.1 < came < latest + 0.1


async def after_a_start(opened, *waiting: bytes, host: str = "127.0.0.1", served_mono: float = 0.0):
    """Return the listener of a process that has found datagrams in the socket of an earlier one; it has read them."""
    before = await opened(("udp", host))
    before.transports.pause()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for data in waiting:
            peer.sendto(data, before.address())
    [kept] = before.transports.sockets().values()
    node = await opened(("udp", host), handed={named("udp", host, 0): kept.dup()}, served_mono=served_mono)
    await until(lambda: node.ear.serves)
    return node


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_what_has_waited_for_a_start_counts_from_when_it_came(opened, later, host):
    began = time.monotonic()
    later(60.0, 60.0)
    node = await after_a_start(opened, request("BYE"), host=host)
    [came] = node.ear.came
    assert is_between(began, came, time.monotonic())
    flow, data, sender = await node.ear.message()
    assert (flow, data, sender.host) == (0, request("BYE"), host)


@pytest.mark.parametrize(("jump_s", "counts_s"), [(3_600.0, -2.0), (-3_600.0, 60.0)], ids=["ahead", "back"])
async def test_a_clock_that_was_set_meanwhile_takes_no_more_than_the_time_without_a_process(
    opened, later, jump_s, counts_s
):
    began = time.monotonic()
    later(60.0, 60.0 + jump_s)
    node = await after_a_start(opened, request("BYE"), served_mono=began - 2.0)
    [came] = node.ear.came
    assert is_between(began + counts_s, came, time.monotonic() + counts_s)


@pytest.mark.parametrize(("away_s", "served"), [(3.0, True), (5.0, False)])
async def test_a_new_call_that_has_waited_so_long_that_its_caller_may_have_given_up_is_not_served(
    opened, later, away_s, served
):
    later(away_s, away_s, stands=served)
    within = request("INVITE", to="<sip:4420@192.0.2.1>;tag=ours")
    node = await after_a_start(opened, request("INVITE"), within)
    received = [(await node.ear.message())[1] for _ in range(node.ear.messages)]
    assert received == ([request("INVITE")] if served else []) + [within]
    assert node.ear.dropped == ({} if served else {Drop.WAITED_FOR_START: 1})


@pytest.mark.parametrize(("away_s", "served"), [(31.0, True), (33.0, False)])
async def test_a_request_that_its_sender_has_given_up_is_not_carried_out_but_ends_of_calls_are(
    opened, later, away_s, served
):
    later(away_s, away_s, stands=served)
    within = "<sip:4420@192.0.2.1>;tag=ours"
    given_up = [request("MESSAGE"), request("REGISTER"), *(request(each, to=within) for each in ("REFER", "INVITE"))]
    kept = [
        request("BYE", to=within),
        b"\r\n" + request("BYE", to=within),
        request("CANCEL"),
        b"SIP/2.0 200 OK\r\n\r\n",
    ]
    node = await after_a_start(opened, *given_up, *kept)
    received = [(await node.ear.message())[1] for _ in range(node.ear.messages)]
    assert received == (given_up if served else []) + kept
    assert node.ear.dropped == ({} if served else {Drop.WAITED_FOR_START: len(given_up)})


async def test_what_has_waited_in_several_sockets_is_served_in_the_order_in_which_it_came(opened):
    """The side that hung up first has ended the call."""
    hosts = ("127.0.0.1", "127.0.0.2")
    before = await opened(*(("udp", host) for host in hosts))
    before.transports.pause()
    requests = [request("BYE", branch=f"z9hG4bK-{number}") for number in range(6)]
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        for number, each in enumerate(requests):
            peer.sendto(each, before.address(1 - number % 2))
    handed = {
        named("udp", host, 0): kept.dup()
        for host, kept in zip(hosts, before.transports.sockets().values(), strict=True)
    }
    node = await opened(*(("udp", host) for host in hosts), handed=handed)
    assert [(await node.ear.message())[1] for _ in requests] == requests
    assert node.ear.serves == 1


async def test_a_clock_that_was_set_back_changes_no_order(opened, monkeypatch):
    """A datagram from before the clock was set back has too late a stamp, and counts as of the next true one."""
    began, now = time.monotonic(), time.time()  # noqa: TID251 - the clock of the kernel's stamps
    stamps = iter([now + 3_600.0, now - 20.0, now - 10.0])
    monkeypatch.setattr(udp, "_wall_of", lambda _stamps: next(stamps))
    requests = [request("BYE", branch=f"z9hG4bK-{number}") for number in range(3)]
    node = await after_a_start(opened, *requests)
    assert [(await node.ear.message())[1] for _ in requests] == requests
    assert [came - began for came in node.ear.came] == pytest.approx([-20.0, -20.0, -10.0], abs=1.0)


async def test_more_than_a_turn_that_has_waited_is_read_in_order_and_what_comes_next_as_ever(opened, monkeypatch):
    monkeypatch.setattr(udp, "BATCHES_AT_ONCE", 1)
    backlog = [request("OPTIONS", branch=f"z9hG4bK-{number}") for number in range(2 * BATCH + 5)]
    node = await after_a_start(opened, *backlog)
    assert [(await node.ear.message())[1] for _ in backlog] == backlog
    assert node.ear.processed == []
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        for _ in range(2):  # the sender is known from the first
            peer.sendto(request("BYE"), node.address())
            await node.ear.message()
    assert node.ear.processed


def send_all(host: str, to: tuple[str, int], *waiting: bytes) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for data in waiting:
            peer.sendto(data, to)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_what_has_waited_while_the_process_stood_still_counts_from_when_it_came(opened, later, host):
    node = await opened(("udp", host))
    began = time.monotonic()
    ends = [request("BYE", branch=f"z9hG4bK-{number}") for number in range(BATCH + 1)]
    send_all(host, node.address(), request("INVITE"), *ends)
    sent = time.monotonic()
    later(60.0, 60.0)
    assert [(await node.ear.message())[1] for _ in ends] == ends
    assert node.ear.dropped == {Drop.WAITED_FOR_START: 1}  # a caller that is still there repeats its INVITE
    assert len(node.ear.came) == len(ends)
    assert all(is_between(began, came, sent) for came in node.ear.came)


async def test_more_than_a_turn_that_has_waited_meanwhile_counts_from_when_it_came(opened, later, monkeypatch):
    monkeypatch.setattr(udp, "BATCHES_AT_ONCE", 2)
    node = await opened(("udp", "127.0.0.1"))
    began = time.monotonic()
    ends = [request("BYE", branch=f"z9hG4bK-{number}") for number in range(2 * 2 * BATCH + 5)]
    send_all("127.0.0.1", node.address(), *ends)
    sent = time.monotonic()
    later(60.0, 60.0)
    assert [(await node.ear.message())[1] for _ in ends] == ends
    assert len(node.ear.came) == len(ends)
    assert all(is_between(began, came, sent) for came in node.ear.came)
    send_all("127.0.0.1", node.address(), request("BYE"))
    later(120.0, 7_200.0)
    await node.ear.message()
    assert is_between(began + 60.0, node.ear.came[-1], time.monotonic() + 60.0)


async def test_what_a_turn_has_left_and_is_late_then_counts_from_when_it_came(opened, monkeypatch):
    """Those that were read before were not late yet: they had waited for less than two seconds."""
    monkeypatch.setattr(udp, "BATCHES_AT_ONCE", 1)
    monkeypatch.setattr(udp, "LATE_S", 45.0)
    node = await opened(("udp", "127.0.0.1"))
    began, wall = time.monotonic(), time.time  # noqa: TID251 - the clock of the kernel's stamps

    def passed_s() -> float:
        return 60.0 if len(node.ear.came) >= BATCH else 30.0

    clocks = SimpleNamespace(monotonic=lambda: time.monotonic() + passed_s(), time=lambda: wall() + passed_s())
    monkeypatch.setattr(udp, "time", clocks)
    ends = [request("BYE", branch=f"z9hG4bK-{number}") for number in range(BATCH + 5)]
    send_all("127.0.0.1", node.address(), *ends)
    sent = time.monotonic()
    assert [(await node.ear.message())[1] for _ in ends] == ends
    assert [is_between(began, came, sent) for came in node.ear.came[BATCH:]] == [True] * 5


async def test_a_clock_that_was_set_ahead_meanwhile_takes_no_more_than_the_time_since_the_latest_reading(opened, later):
    began = time.monotonic()
    node = await opened(("udp", "127.0.0.1"))
    send_all("127.0.0.1", node.address(), request("BYE"))
    sent = time.monotonic()
    later(60.0, 3_660.0)
    await node.ear.message()
    [came] = node.ear.came
    assert is_between(began, came, sent)


async def test_what_is_read_before_it_is_late_is_new(opened, later, monkeypatch):
    monkeypatch.setattr(udp, "LATE_S", 60.0)  # the machine may be busy
    node = await opened(("udp", "127.0.0.1"))
    began = time.monotonic()
    send_all("127.0.0.1", node.address(), request("INVITE"))
    later(30.0, 30.0)
    await node.ear.message()
    assert node.ear.came[0] >= began + 30.0


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_an_address_that_is_taken_is_named_and_nothing_is_left_open(opened, kind):
    with socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.9", 0))
        if kind == "tcp":
            taken.listen()
        port = taken.getsockname()[1]
        free = await opened()
        address = free.address()
        await free.transports.close()
        with pytest.raises(
            ListenerUnusableError, match=f"{kind}:127.0.0.9:{port}: Address already in use; .* free the port"
        ):
            await opened(("tcp", *address), (kind, "127.0.0.9", port))
    await opened(("tcp", *address))


async def test_an_address_of_another_machine_cannot_be_listened_on(opened):
    with pytest.raises(ListenerUnusableError, match=r"does not have the address .* change sip\.listen"):
        await opened(("udp", "192.0.2.1"))


def test_an_address_is_reachable_as_itself():
    assert reachable_address("127.0.0.3") == "127.0.0.3"


@pytest.mark.parametrize(("wildcard", "family"), [("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)])
def test_a_wildcard_is_reachable_at_an_address_of_this_machine(wildcard, family):
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((reachable_address(wildcard), 0))
        assert probe.getsockname()[0] != wildcard


class Narrow:
    """A socket that no one may widen beyond what the operator allows."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed

    def setsockopt(self, _level: int, option: int, _value: int) -> None:
        if option not in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            raise PermissionError

    def getsockopt(self, _level: int, _option: int) -> int:
        return 2 * self.allowed

    def getsockname(self) -> tuple[str, int, int, int]:
        return ("2001:db8::1", 5_060, 0, 0)


@pytest.mark.parametrize(("allowed", "told"), [(212_992, 2), (udp.BUFFER_BYTES // 2, 0), (udp.BUFFER_BYTES, 0)])
def test_a_much_smaller_buffer_is_logged_with_the_setting(allowed, told, monkeypatch):
    said: list[dict[str, object]] = []
    monkeypatch.setattr(
        udp, "_log", type("Log", (), {"warning": staticmethod(lambda _text, **what: said.append(what))})
    )
    udp._widen(Narrow(allowed))
    assert len(said) == told
    if told:
        assert (said[0]["bytes"], said[0]["set"]) == (allowed, f"net.core.rmem_max={udp.BUFFER_BYTES}")
        assert said[0]["address"] == "[2001:db8::1]:5060"


HOSTS_OF_FAILURES = ("::1", "not an address", "2001:db8::9%\udcff", "192.0.2.9\0", "127.0.0.1")


async def test_a_datagram_that_cannot_be_sent_is_logged_once_a_minute_and_reported_to_the_core(opened):
    node = await opened(("udp", "127.0.0.1"))
    with capture_logs() as lines:
        for number in range(5):
            node.send(b"to the other family %d" % number, ("::1", 5060))
        node.send(b"to nowhere", ("not an address", 5060))
        node.send(b"to nowhere", ("2001:db8::9%\udcff", 5060))
        node.send(b"to nowhere", ("192.0.2.9\0", 5060))
        node.send(b"too large" * 10_000, ("127.0.0.1", 5060))
        await until(lambda: len(node.ear.unsent) == 9)
    assert node.ear.unsent[0] == b"to the other family 0"
    said = [(line["log_level"], line["event"], line["host"]) for line in lines]
    assert said == [("error", "datagram_not_sent", host) for host in HOSTS_OF_FAILURES]
    assert lines[0]["listener"] == "udp:{}:{}".format(*node.address())


async def test_the_log_has_an_address_of_ipv6_in_brackets(opened):
    node = await opened(("udp", "::1"), ("tcp", "::1"))
    with capture_logs() as lines:
        node.send(b"to the other family", ("127.0.0.1", 5060))
        node.send(b"OPTIONS", ("::1", 1), flow=1)
        await until(lambda: len(lines) == 2)
    assert {key: line[key] for line in lines for key in ("listener", "peer") if key in line} == {
        "listener": f"udp:[::1]:{node.address()[1]}", "peer": "[::1]:1",
    }  # fmt: skip


async def test_nothing_is_reported_from_within_a_send(opened):
    node = await opened(("udp", "127.0.0.1"))
    node.send(b"to the other family", ("::1", 5060))
    assert node.ear.unsent == []
    await until(lambda: node.ear.unsent)


async def test_a_datagram_of_a_timer_that_fires_after_the_stop_is_not_sent_and_is_no_error(opened):
    node = await opened(("udp", "127.0.0.1"))
    send = node.transports.transmit[0]
    await node.transports.close()
    with capture_logs() as lines:
        send(b"a repeated refusal", ("127.0.0.1", 5060))
    assert lines == []


async def test_a_datagram_that_the_kernel_has_no_room_for_is_lost_like_any_other(opened, monkeypatch):
    node = await opened(("udp", "127.0.0.1"))
    flow = node.transports._flows[0]
    monkeypatch.setattr(flow._datagrams, "send", lambda _data, _to: False)
    monkeypatch.setattr(flow, "_socket", Full(flow._socket))
    with capture_logs() as lines:
        node.send(b"lost", ("127.0.0.1", 5060))
        await asyncio.sleep(0)
    assert [line["log_level"] for line in lines] == ["debug"]
    assert node.ear.unsent == []


class Full:
    """A socket whose buffer is full."""

    def __init__(self, real: socket.socket) -> None:
        self.family = real.family
        self.fileno = real.fileno
        self.getsockname = real.getsockname
        self.close = real.close

    def sendto(self, _data: bytes, _to: tuple[str, int]) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    def recvmsg(self, *_sizes: int) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
