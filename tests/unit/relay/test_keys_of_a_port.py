"""Keys that a peer sends as telephone events at a port."""

from time import monotonic_ns

import pytest
from doubles.connected_ports import ONE, OTHER, ConnectedPorts
from doubles.sockets.rtp import rtp

from vosd.media.keys import REPEATED_MS, PressedKey
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


class PressedPorts:
    """A telephone that sends telephone events, and a gateway to which keys of its INFO are sent as such, on one clock.

    The telephone repeats the last packet of an event.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, are_taken: bool = False) -> None:
        self.now_ns = 1_000_000_000
        self.ports = ConnectedPorts()
        for module in ("media_port", "peer_sender"):
            monkeypatch.setattr(f"vosd.relay.{module}.monotonic_ns", lambda: self.now_ns)
        self.reported: list[PressedKey] = []
        self.ports.owner.key_pressed = lambda _port, pressed: self.reported.append(pressed)
        self.ports.ports[0].report_keys(are_reported=True, are_taken=are_taken)
        self._sequence, self._begun_ns = 100, 0
        self.arrived: list[bytes] = []
        """Packets that the gateway has received."""

    def passes(self, ms: int) -> None:
        """Let time pass, in which keys are sent."""
        for _ in range(ms // 10):
            self.now_ns += 10_000_000
            self.ports.ports[1].sender.send_due(self.now_ns)
            self.arrived += [data for data, _ in self.ports.sockets[1].sent]
            self.ports.sockets[1].sent.clear()

    def info(self, key: str, ms: int = 100) -> None:
        """Let an INFO of the telephone come."""
        self.ports.ports[1].sender.press(key, ms, as_tone=False)

    def speaks(self, ms: int) -> None:
        """Let audio of the telephone come."""
        for _ in range(ms // 20):
            self._comes(0, self.now_ns // 125_000, bytes(160))
            self.passes(20)

    def presses(self, key: int, ms: int, *, begins: bool = True, ends: bool = True) -> None:
        """Let events of one key come, or those of a part of its time."""
        if begins:
            self._begun_ns = self.now_ns
        for _ in range(ms // 20):
            self.passes(20)
            self._event(key, 0x0A)
        for _ in range(3 if ends else 0):
            self._event(key, 0x8A)

    def _event(self, key: int, flags: int) -> None:
        units = (self.now_ns - self._begun_ns) // 125_000
        segment, units = divmod(units, 0xFFFF)
        stamp = self._begun_ns // 125_000 + 0xFFFF * segment
        self._comes(101, stamp, bytes((key, flags)) + units.to_bytes(2, "big"))

    def _comes(self, payload: int, stamp: int, body: bytes) -> None:
        self._sequence += 1
        sent = self.ports.give(0, rtp(self._sequence, stamp, payload=payload, body=body), ONE)
        self.arrived += [data for data, target in sent if target == OTHER]

    @property
    def keys(self) -> list[int]:
        """The keys that the gateway has received, by their time stamps."""
        found = {data[4:8]: data[12] for data in self.arrived if data[1] & 0x7F == 101}
        return list(found.values())


def test_a_key_whose_info_comes_first_arrives_once(monkeypatch):
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    for key, before_ms in ((5, 0), (6, 100), (5, REPEATED_MS - 30), (5, 40)):
        pressed.info(str(key))
        pressed.passes(before_ms)
        pressed.presses(key, 300)
        pressed.speaks(200)
    assert pressed.keys == [5, 6, 5, 5]
    sequences = [int.from_bytes(data[2:4], "big") for data in pressed.arrived]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert [each.key for each in pressed.reported] == ["5", "6", "5", "5"]


def test_a_key_whose_info_comes_while_it_is_pressed_or_soon_after_arrives_once(monkeypatch):
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    for before_ms, after_ms in ((40, 200), (1_000, 1_000), (100, 0)):
        pressed.presses(7, before_ms, ends=not after_ms)
        pressed.info("7")
        if after_ms:
            pressed.presses(7, after_ms, begins=False)
        pressed.speaks(400)
    pressed.presses(7, 100)
    pressed.passes(REPEATED_MS - 20)
    pressed.info("7")
    pressed.speaks(400)
    assert pressed.keys == [7, 7, 7, 7]
    assert [each.duration_ms for each in pressed.reported] == [240, 2_000, 100, 100]


def test_keys_that_are_pressed_one_after_the_other_arrive_all(monkeypatch):
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    pressed.info("1")
    pressed.info("2")
    for key in (1, 2):
        pressed.passes(20)
        pressed.presses(key, 60)
    pressed.speaks(400)
    pressed.info("3")  # its event never comes
    pressed.speaks(400)
    pressed.presses(3, 100)
    pressed.speaks(400)
    pressed.info("4")
    pressed.presses(5, 100)
    pressed.speaks(400)
    assert sorted(pressed.keys) == [1, 2, 3, 3, 4, 5]


def test_an_event_that_was_sent_already_is_left_out_over_all_its_segments(monkeypatch):
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    pressed.info("9")
    pressed.presses(9, 9_000)
    pressed.speaks(400)
    assert pressed.keys == [9]


def test_a_key_that_is_taken_out_of_the_media_is_sent_though_it_was_just_read(monkeypatch):
    """It is sent because it was read: by the tones of a telephone."""
    pressed = PressedPorts(monkeypatch, are_taken=True)
    pressed.speaks(100)
    pressed.presses(5, 100)
    pressed.info("5")
    pressed.speaks(400)
    assert pressed.keys == [5]
