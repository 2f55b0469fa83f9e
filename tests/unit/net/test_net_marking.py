"""The class of traffic is on every packet."""

import asyncio
import socket

import pytest
from doubles.virtual.probe import request
from structlog.testing import capture_logs

from vosd.net.marking import TrafficClass
from vosd.net.settings import TransportSettings
from vosd.net.sockets import Marker

from .conftest import PATIENCE_S

OPTIONS = request("OPTIONS")
EXPEDITED = TrafficClass(0xB8)


def marked(byte: int) -> TransportSettings:
    return TransportSettings(marking=TrafficClass(byte))


def option(sock) -> int:
    if sock.family == socket.AF_INET6:
        return sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    return sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)


async def received_class(node, host: str) -> int:
    """Send a datagram and return the byte that its packet bore when it arrived."""
    version6 = ":" in host
    with socket.socket(socket.AF_INET6 if version6 else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE_S)
        peer.bind((host, 0))
        if version6:
            peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        node.send(OPTIONS, peer.getsockname()[:2])
        _, ancillary, _, _ = await asyncio.to_thread(peer.recvmsg, 65_535, 1_024)
        ((_, _, value),) = ancillary
        return int.from_bytes(value, "little")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("byte", [0x00, 0x60, 0xA0, 0xB8])
async def test_every_datagram_bears_the_byte(opened, host, byte):
    node = await opened(("udp", host), settings=marked(byte))
    assert await received_class(node, host) == byte


async def test_without_a_word_of_the_operator_it_is_vos3000s_cs5(opened):
    node = await opened(("udp", "127.0.0.1"))
    assert await received_class(node, "127.0.0.1") == 0xA0


async def test_a_reload_changes_the_byte_of_what_is_sent_from_then_on(opened):
    node = await opened(("udp", "127.0.0.1"))
    node.transports.adjust(marked(0x20), None)
    assert await received_class(node, "127.0.0.1") == 0x20


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_connections_of_both_directions_are_marked(opened, connect, silent_vendor, host):
    node = await opened(("tcp", host), settings=TransportSettings(marking=EXPEDITED))
    flow = node.transports._flows[0]
    assert option(flow._listening) == 0xB8
    peer = await connect(node.address(), host)
    peer.writer.write(OPTIONS)
    await node.ear.message()
    await silent_vendor.listen(host=host)
    node.send(OPTIONS, silent_vendor.address)
    (await silent_vendor.arrival()).writer.write(OPTIONS)
    await node.ear.message()
    sockets = [each._transport.get_extra_info("socket") for each in flow._open.values()]
    assert [option(sock) for sock in sockets] == [0xB8, 0xB8]


class Refusing:
    """A socket of a kernel without the option."""

    family = socket.AF_INET

    def setsockopt(self, *_):
        raise PermissionError(1, "Operation not permitted")


def test_a_kernel_that_refuses_is_complained_of_once_and_calls_go_on():
    marker = Marker(EXPEDITED)
    with capture_logs() as logs:
        marker.mark(Refusing())
        marker.mark(Refusing())
    assert [(line["event"], line["wanted"]) for line in logs] == [("packets_not_marked", "EF")]


@pytest.mark.parametrize("byte", [0x01, 0xA2, 0xFF, 0x100, -4])
def test_a_byte_with_bits_of_ecn_is_none(byte):
    with pytest.raises(ValueError):
        TrafficClass(byte)


@pytest.mark.parametrize(
    ("byte", "name"), [(0x28, "AF11"), (0x98, "AF43"), (0xB8, "EF"), (0xE0, "CS7"), (0x04, "DSCP 1"), (0xA8, "DSCP 42")]
)
def test_a_class_has_the_name_that_the_field_gives_it(byte, name):
    assert TrafficClass(byte).name == name
