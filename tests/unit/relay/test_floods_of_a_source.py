"""A believed source that sends without end."""

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
