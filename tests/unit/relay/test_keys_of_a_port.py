"""Keys that a peer sends as telephone events at a port."""

from time import monotonic_ns

import pytest
from doubles.sockets.rtp import rtp

from vosd.media.keys import PressedKey
from vosd.media.record import RECORD_BYTES
from vosd.media.source import MediaSource, RelayPort
from vosd.relay.media_port import MediaPort
from vosd.relay.peer_sender import PeerSender
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


def port_of(peer: Peer, worker: Worker, formats) -> MediaPort:
    """Return a port whose keys are reported, and taken out of the media."""
    port = MediaPort(
        OpenPort(RelayPort(1, "127.0.0.1", 2, None), 0, 0), peer, None, memoryview(bytearray(RECORD_BYTES)), worker
    )
    payloads, clocks, codecs = zip(*formats, strict=True)
    host, number = PEER
    port.expect(MediaSource(host, number, host, None, host, MediaTrust.LEARN, payloads, clocks, codecs), PEER)
    port.report_keys(are_reported=True, are_taken=True)
    return port


def test_neighbouring_packets_of_two_keys_in_the_wrong_order_are_two_keys():
    peer, worker = Peer(), Worker()
    port = port_of(peer, worker, ((0, 8_000, "PCMU"), (101, 8_000, "telephone-event")))
    for key in range(2):
        for turn in range(1, 8):
            body = bytes((key + 1, 0x8A if turn >= 5 else 0x0A)) + (min(turn, 5) * 160).to_bytes(2, "big")
            peer.waiting.append(rtp(7 * key + turn, 10_000 + 2_000 * key, payload=101, body=body))
    peer.waiting[6:8] = peer.waiting[7:5:-1]
    while peer.waiting:
        port.receive()
    assert worker.keys == [PressedKey("1", 100), PressedKey("2", 100)]


@pytest.mark.parametrize("formats", [WIDE, WIDE[::-1], WEB, WEB[::-1]])
def test_the_duration_of_a_key_is_by_the_clock_of_its_payload_type(formats):
    peer, worker = Peer(), Worker()
    port = port_of(peer, worker, formats)
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


class Listener:
    """A socket whose packets are kept, and the worker that it is of."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def sendto(self, data, _target):
        self.got.append(data)
        return len(data)

    def sends_itself(self, _sender, _due_ns):
        """Send by order of the test."""


def test_packets_in_whose_place_a_key_is_sent_are_not_counted():
    listener = Listener()
    sender = PeerSender(listener, memoryview(bytearray(RECORD_BYTES)), 0, listener)
    sender.target = PEER
    host, number = PEER
    sender.describe(
        MediaSource(
            host, number, host, None, host, MediaTrust.LEARN, (0, 101), (8_000, 8_000), ("PCMU", "telephone-event")
        )
    )
    sender.press("5", 100, as_tone=False)
    now_ns = monotonic_ns()
    sender.send_due(now_ns)
    assert len(listener.got) > 0
    for sequence in range(3):
        sender.forward(rtp(sequence, 160 * sequence))
    assert sender.packets_out == len(listener.got)
