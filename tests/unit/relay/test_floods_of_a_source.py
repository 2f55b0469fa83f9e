"""A believed source that sends without end."""

import socket
from contextlib import ExitStack
from itertools import count

from doubles.sockets.relay import source
from doubles.sockets.rtp import rtp

from vosd.media.record import RECORD_BYTES
from vosd.media.source import RelayPort
from vosd.relay.media_port import FILTER_AFTER, MediaPort
from vosd.relay.protocol import OpenPort

PEER = ("127.0.0.9", 4_000)
MOST = 3_000


class Flood:
    """A socket with another packet whenever it is read."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.read = 0

    def recvfrom(self, _size):
        self.read = next(self.numbers)
        assert self.read < MOST, "it is read without end"
        return rtp(self.read, 160 * self.read, ssrc=1), PEER

    def recv(self, size):
        return self.recvfrom(size)[0]

    def sendto(self, data, _target):
        return len(data)

    def setsockopt(self, *_):
        """Take any option."""


class Owner:
    """A worker with one port."""

    def source_found(self, port: int, leg: int, host: str) -> None:
        raise AssertionError("no source is judged")

    def changed(self, port):
        """Write nothing."""

    def open_ports(self, _own_host, _host, ports):
        return ports

    def serve(self, _sock, _handler):
        """Serve nothing by itself."""

    def take_back(self, *_ports):
        """The kernel forwards nothing."""


def test_a_flood_of_a_source_leaves_other_ports_their_turn():
    flood, record = Flood(), memoryview(bytearray(RECORD_BYTES))
    port = MediaPort(OpenPort(RelayPort(1, "127.0.0.1", 2, None), 0, 0), flood, None, record, Owner())
    port.expect(source(*PEER), None)
    while flood.read < FILTER_AFTER + 10:
        port.receive()
    assert not port.is_filtered
    before = flood.read
    for _ in range(500):
        port.receive()
    assert flood.read == before + 500


def test_a_flood_at_the_port_of_rtcp_is_left_to_the_kernel_while_the_peer_sends():
    ours = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2)]
    peer, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with ExitStack() as stack:
        for sock, host in zip((*ours, peer, other), ("127.79.4.1", "127.79.4.1", PEER[0], "127.79.4.9"), strict=True):
            stack.enter_context(sock).bind((host, 0))
        rtp_port, control_port = (sock.getsockname()[1] for sock in ours)
        order = OpenPort(RelayPort(1, "127.79.4.1", rtp_port, control_port), 0, 0)
        port = MediaPort(order, ours[0], ours[1], memoryview(bytearray(RECORD_BYTES)), Owner())
        port.expect(source(*peer.getsockname()), None)
        for number in range(FILTER_AFTER + 10):
            peer.sendto(rtp(number, 160 * number, ssrc=1), ours[0].getsockname())
            port.receive()
        assert port.is_filtered
        other.sendto(b"junk", ours[1].getsockname())
        peer.sendto(b"of the peer", ours[1].getsockname())
        assert ours[1].recv(100) == b"of the peer"
        port.take_all_sources()
        other.sendto(b"junk", ours[1].getsockname())
        assert ours[1].recv(100) == b"junk"
