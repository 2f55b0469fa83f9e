"""Keys that a peer sends as telephone events at a port."""

import pytest
from doubles.sockets.rtp import rtp

from vosd.media.keys import PressedKey
from vosd.media.record import RECORD_BYTES
from vosd.media.source import MediaSource, RelayPort
from vosd.relay.media_port import MediaPort
from vosd.relay.protocol import OpenPort
from vosd.trunks.media import MediaTrust

PEER = ("127.0.0.9", 4_000)
WIDE = ((96, 16_000, "AMR-WB"), (100, 16_000, "telephone-event"), (101, 8_000, "telephone-event"))
WEB = ((111, 48_000, "opus"), (110, 48_000, "telephone-event"), (126, 8_000, "telephone-event"))


class Peer:
    """A socket with packets that are given to it."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def recvfrom(self, _size):
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(0), PEER

    def recv(self, size):
        return self.recvfrom(size)[0]

    def sendto(self, _data, _target):
        raise AssertionError("nothing is forwarded")

    def setsockopt(self, *_):
        """Take any option."""


class Worker:
    """A worker with one port."""

    def __init__(self) -> None:
        self.keys: list[PressedKey] = []

    def open_ports(self, _own_host, _host, ports):
        return ports

    def key_pressed(self, _port, pressed):
        self.keys.append(pressed)

    def source_found(self, port: int, leg: int, host: str) -> None:
        raise AssertionError("no source is judged")

    def changed(self, port):
        """Write nothing."""

    def serve(self, _sock, _handler):
        """Serve nothing by itself."""

    def take_back(self, *_ports):
        """The kernel forwards nothing."""


@pytest.mark.parametrize("formats", [WIDE, WIDE[::-1], WEB, WEB[::-1]])
def test_the_duration_of_a_key_is_by_the_clock_of_its_payload_type(formats):
    peer, worker = Peer(), Worker()
    port = MediaPort(
        OpenPort(RelayPort(1, "127.0.0.1", 2, None), 0, 0), peer, None, memoryview(bytearray(RECORD_BYTES)), worker
    )
    payloads, clocks, codecs = zip(*formats, strict=True)
    host, number = PEER
    port.expect(MediaSource(host, number, host, None, host, MediaTrust.LEARN, payloads, clocks, codecs), PEER)
    port.report_keys(are_reported=True, are_taken=True)
    sequence = 0
    for payload, clock, codec in formats:
        if codec == "telephone-event":
            for turn in range(1, 6):
                sequence += 1
                flags = 0x8A if turn == 5 else 0x0A
                body = bytes((5, flags)) + (turn * clock // 50).to_bytes(2, "big")
                peer.waiting.append(rtp(sequence, 10_000 + payload, payload=payload, body=body))
    for _ in range(sequence):
        port.receive()
    assert worker.keys == [PressedKey("5", 100)] * 2
