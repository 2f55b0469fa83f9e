"""The kernel blocks blocked sources and no others: real sockets, read by an event loop as in the daemon."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
from doubles.turns import until
from doubles.virtual.probe import request

from vosd.net import entrance
from vosd.net.kernel_filter import ADDRESSES_MAX, drop_in_kernel
from vosd.net.settings import TransportSettings
from vosd.net.shield import ShieldSettings
from vosd.obs.events import Event

from .conftest import UNKNOWN_SOURCE

OPTIONS = request("OPTIONS")
JUNK = b"\x01" * 400


@pytest.fixture
def listening():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


def arrives(listening: socket.socket, source: str) -> bool:
    """Return whether a datagram from an address is received once it was sent: loopback delivers before it returns."""
    with socket.socket(listening.family, socket.SOCK_DGRAM) as peer:
        peer.bind((source, 0))
        peer.sendto(b"x", listening.getsockname())
    try:
        listening.recv(10)
    except BlockingIOError:
        return False
    return True


def test_what_is_kept_out_does_not_arrive_and_all_else_does(listening):
    assert drop_in_kernel(listening, ["127.0.0.9", "127.0.0.11"])
    assert [arrives(listening, f"127.0.0.{last}") for last in (8, 9, 10, 11)] == [True, False, True, False]
    assert drop_in_kernel(listening, ["127.0.0.8"])
    assert [arrives(listening, f"127.0.0.{last}") for last in (8, 9, 10, 11)] == [False, True, True, True]
    assert drop_in_kernel(listening, [])
    assert arrives(listening, "127.0.0.8")
    assert drop_in_kernel(listening, [])


def test_as_many_as_are_allowed_are_kept_out_and_no_more(listening):
    assert drop_in_kernel(listening, [f"127.0.1.{last}" for last in range(1, ADDRESSES_MAX + 2)])
    kept = [arrives(listening, f"127.0.1.{last}") for last in range(1, ADDRESSES_MAX + 3)]
    assert kept == [False] * ADDRESSES_MAX + [True, True]


def test_ipv6_is_kept_out_by_whole_address(listening):
    with ExitStack() as stack:
        sock = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        sock.bind(("::1", 0))
        sock.setblocking(False)
        assert drop_in_kernel(sock, ["::2", "1::1", "0:0:1::1", "0:0:0:1::1", "::1:0:1", "::1:0:0:1", "127.0.0.1"])
        assert arrives(sock, "::1")
        assert drop_in_kernel(sock, ["2001:db8::1", "::1"])
        assert not arrives(sock, "::1")
        assert drop_in_kernel(sock, ["127.0.0.1"])  # of the other family: nothing to do
        assert arrives(sock, "::1")


def test_where_the_kernel_does_not_filter_all_goes_on():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.close()
        assert drop_in_kernel(sock, ["192.0.2.1"]) is False


async def test_a_source_of_junk_is_blocked_in_the_kernel_and_others_are_served(opened, monkeypatch):
    told: list[tuple[str, dict[str, object]]] = []
    log = type("Log", (), {"warning": staticmethod(lambda name, **what: told.append((name, what)))})
    monkeypatch.setattr(entrance, "_log", log)
    node = await opened(("udp", "127.0.0.1"), settings=TransportSettings(shield=ShieldSettings(block_s=30)))
    with socket.socket(type=socket.SOCK_DGRAM) as unknown, socket.socket(type=socket.SOCK_DGRAM) as gateway:
        unknown.bind((UNKNOWN_SOURCE, 0))
        gateway.bind(("127.0.0.1", 0))
        while not told:
            unknown.sendto(JUNK, node.address())
            await asyncio.sleep(0)
        dropped = node.ear.dropped.total()
        assert told == [(Event.SOURCE_BLOCKED, {"source": UNKNOWN_SOURCE, "seconds": 30})]
        for _ in range(50):
            unknown.sendto(JUNK, node.address())
        gateway.sendto(OPTIONS, node.address())
        assert await node.ear.message() == (0, OPTIONS, gateway.getsockname())
        assert node.ear.dropped.total() == dropped  # the fifty never came so far

        node.transports.adjust(TransportSettings(shield=ShieldSettings(block_s=30)), None)
        unknown.sendto(OPTIONS, node.address())
        gateway.sendto(OPTIONS, node.address())
        assert await node.ear.message() == (0, OPTIONS, gateway.getsockname()), "a reload ends no flood"

        other = TransportSettings(shield=ShieldSettings(block_s=60))
        node.transports.adjust(other, None)  # other settings unblock all sources
        unknown.sendto(OPTIONS, node.address())
        assert await node.ear.message() == (0, OPTIONS, unknown.getsockname())


async def test_a_reload_unblocks_a_source_that_is_a_gateway_by_it(opened):
    settings = TransportSettings(shield=ShieldSettings(block_s=30))
    node = await opened(("udp", "127.0.0.1"), settings=settings)
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.bind((UNKNOWN_SOURCE, 0))
        while not node.transports._entrance.blocked:
            peer.sendto(JUNK, node.address())
            await asyncio.sleep(0)
        node.ear.unknown_sources.clear()
        node.transports.adjust(settings, None)
        assert node.transports._entrance.blocked == {}
        peer.sendto(OPTIONS, node.address())
        assert await node.ear.message() == (0, OPTIONS, peer.getsockname())


async def test_a_blocked_source_is_served_again_after_its_time(opened, monkeypatch):
    """The clock is advanced: the next source to release is searched for when its timer fires."""
    now = [1_000.0]
    monkeypatch.setattr(entrance.time, "monotonic", lambda: now[0])
    node = await opened(("udp", "127.0.0.1"), settings=TransportSettings(shield=ShieldSettings(block_s=30)))
    with socket.socket(type=socket.SOCK_DGRAM) as unknown:
        unknown.bind((UNKNOWN_SOURCE, 0))
        while not node.transports._entrance.blocked:
            unknown.sendto(JUNK, node.address())
            await asyncio.sleep(0)
        dropped = node.ear.dropped.total()
        now[0] += 29.0
        node.transports._entrance.release_due()
        unknown.sendto(JUNK, node.address())
        now[0] += 1.5
        node.transports._entrance.release_due()
        unknown.sendto(OPTIONS, node.address())
        assert await node.ear.message() == (0, OPTIONS, unknown.getsockname())
        assert node.ear.dropped.total() == dropped


async def test_a_gateway_that_asks_for_too_much_is_refused(opened):
    node = await opened(("udp", "127.0.0.1"), settings=TransportSettings(shield=ShieldSettings(gateway_rate=3)))
    with socket.socket(type=socket.SOCK_DGRAM) as gateway:
        gateway.bind(("127.0.0.1", 0))
        for _ in range(5):
            gateway.sendto(OPTIONS, node.address())
        await until(lambda: len(node.ear.refused) == 2)
        assert node.ear.messages == 3
        assert node.ear.refused == [(0, gateway.getsockname())] * 2
