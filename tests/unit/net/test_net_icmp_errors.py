"""ICMP errors about our datagrams: real ones of the loopback, where a port that nothing listens at refuses each."""

import asyncio
import socket
import struct

import pytest
import uvloop
from doubles.turns import until
from structlog.testing import capture_logs

from vosd.net import icmp_errors, udp
from vosd.net.settings import TransportSettings
from vosd.net.transports import Transports
from vosd.sip.settings import Limits
from vosd.sip.wire.outgoing import Peer

from .conftest import Ear


def dead_port(host: str = "127.0.0.1") -> tuple[str, int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[:2]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_that_nothing_listens_at_is_reported_with_the_bytes_that_it_refused(opened, host):
    node, there = await opened(("udp", host)), dead_port(host)
    node.send(b"INVITE of a call", there)
    await until(lambda: node.ear.undelivered)
    assert node.ear.undelivered == [(b"INVITE of a call", Peer(0, *there))]


async def test_the_error_of_one_datagram_costs_no_other_one(opened):
    """The kernel fails the next send on the socket by it, to any destination."""
    node, there = await opened(("udp", "127.0.0.1")), dead_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as vendor:
        vendor.bind(("127.0.0.1", 0))
        vendor.settimeout(30)
        for number in range(20):
            node.send(b"to the dead port", there)
            node.send(b"%d" % number, vendor.getsockname())
        assert [vendor.recv(100) for _ in range(20)] == [b"%d" % number for number in range(20)]
    await until(lambda: len(node.ear.undelivered) == 20)
    assert node.ear.unsent == []


def test_the_event_loop_of_the_switch_goes_on_reading_after_an_error():
    """libuv stops watching a file that reports an error: the switch would be deaf."""

    async def errors_and_datagrams() -> int:
        ear = Ear()
        node = Transports([("udp", "127.0.0.1", 0)], TransportSettings(), None, Limits(), ear.core)
        await node.open()
        there, here = dead_port(), node.local_address(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for number in range(5):
                node.transmit[0](b"to the dead port", there)
                peer.sendto(b"SIP/2.0 200 %d" % number, here)
                assert (await ear.message())[1] == b"SIP/2.0 200 %d" % number
                node.transmit[0](b"to the dead port", there)
                await until(lambda number=number: len(ear.undelivered) == 2 * number + 2)
        await node.close()
        return len(ear.undelivered)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(errors_and_datagrams()) == 10


async def test_too_many_errors_are_ignored_for_a_while(opened, monkeypatch):
    """Forged ones fill the buffer that datagrams wait in."""
    monkeypatch.setattr(icmp_errors, "ERRORS_A_SECOND", 5)
    monkeypatch.setattr(udp, "PAUSE_OF_ERRORS_S", 0.01)
    node, there = await opened(("udp", "127.0.0.1")), dead_port()
    with capture_logs() as lines:
        for _ in range(50):
            node.send(b"to the dead port", there)
        await until(lambda: len(node.ear.undelivered) > 5)
    assert [line["event"] for line in lines] == ["icmp_errors_ignored"]
    before = len(node.ear.undelivered)

    def is_read_again() -> bool:
        node.send(b"to the dead port", there)
        return len(node.ear.undelivered) > before

    await until(is_read_again)


async def test_a_socket_that_is_handed_on_reports_no_errors(opened):
    """A program of an earlier version does not read them, and would be kept awake by one."""
    node, there = await opened(("udp", "127.0.0.1")), dead_port()
    node.send(b"to the dead port", there)
    node.transports.pause()
    [sock] = node.transports.sockets().values()
    node.send(b"to the dead port", there)
    assert list(icmp_errors.queued(sock)) == []


class Quoting:
    """A socket whose error queue holds one error."""

    family = socket.AF_INET

    def __init__(self, origin: int, kind: int, code: int) -> None:
        self._errors = [struct.pack("=IBBB", 111, origin, kind, code)]

    def recvmsg(self, *_sizes: int):
        if not self._errors:
            raise BlockingIOError
        return b"INVITE", [(socket.IPPROTO_IP, 11, self._errors.pop())], 0, ("192.0.2.1", 5060)


@pytest.mark.parametrize(
    ("origin", "kind", "code", "is_final"),
    [
        (2, 3, 0, True),  # network unreachable
        (2, 3, 1, True),  # host unreachable
        (2, 3, 3, True),  # port unreachable
        (2, 3, 13, True),  # a firewall
        (2, 12, 0, True),  # parameter problem
        (2, 3, 4, False),  # fragmentation needed: the next datagram is cut
        (2, 4, 0, False),  # source quench
        (2, 11, 0, False),  # time to live exceeded
        (3, 1, 4, True),  # ICMPv6: port unreachable
        (3, 3, 0, False),  # ICMPv6: time exceeded
        (1, 3, 3, False),  # an error of this machine: the send has failed already
    ],
)
def test_errors_that_mean_that_the_peer_cannot_be_reached(origin, kind, code, is_final):
    """RFC 3261 section 18.4."""
    expected = (b"INVITE", "192.0.2.1", 5060) if is_final else None
    assert list(icmp_errors.queued(Quoting(origin, kind, code))) == [expected]
