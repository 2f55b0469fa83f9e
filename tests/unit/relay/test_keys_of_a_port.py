"""Keys that a peer sends as telephone events at a port."""

from itertools import pairwise
from time import monotonic_ns

import pytest
from doubles.pressed_ports import PressedPorts
from doubles.sockets.rtp import rtp

from vosd.media.keys import REPEATED_MS, PressedKey, tone
from vosd.media.record import RECORD_BYTES
from vosd.media.source import MediaSource, RelayPort
from vosd.relay.media_port import MediaPort
from vosd.relay.peer_sender import PeerSender
from vosd.relay.protocol import OpenPort, PlaySound
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


def port_of(peer: Peer, worker: Worker, formats, *, is_believed: bool = True) -> MediaPort:
    """Return a port whose keys are reported, and taken out of the media."""
    port = MediaPort(
        OpenPort(RelayPort(1, "127.0.0.1", 2, None), 0, 0), peer, None, memoryview(bytearray(RECORD_BYTES)), worker
    )
    payloads, clocks, codecs = zip(*formats, strict=True)
    host, number = PEER
    source = MediaSource(host, number, host, None, host, MediaTrust.LEARN, payloads, clocks, codecs)
    port.expect(source, PEER if is_believed else None)
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


def test_a_side_that_sends_nothing_but_keys_is_believed_by_them():
    peer, worker = Peer(), Worker()
    port = port_of(peer, worker, ((18, 8_000, "G729"), (101, 8_000, "telephone-event")), is_believed=False)
    for turn in range(1, 8):
        body = bytes((5, 0x8A if turn >= 5 else 0x0A)) + (min(turn, 5) * 160).to_bytes(2, "big")
        peer.waiting.append(rtp(turn, 10_000, payload=101, body=body))
    while peer.waiting:
        port.receive()
    assert (worker.keys, port.latch.believed) == ([PressedKey("5", 100)], PEER)


def test_a_number_that_both_sides_have_named_is_what_the_other_side_has_named():
    """A party sends by the numbers of the other one (RFC 3264 section 5.1), which may name them otherwise later."""
    peer, worker = Peer(), Worker()
    port = port_of(peer, worker, ((0, 8_000, "PCMU"), (96, 8_000, "iLBC"), (101, 8_000, "telephone-event")))
    assert port.source is not None
    own = port.source.taken()
    named = port.source.with_payloads((0, 96), (8_000, 8_000), ("pcmu", "telephone-event"))
    assert (named.taken(), len(named.payloads)) == (own, 4)
    port.widen(named)
    for turn in range(1, 6):
        body = bytes((5, 0x8A if turn == 5 else 0x0A)) + (turn * 160).to_bytes(2, "big")
        peer.waiting.append(rtp(turn, 10_000, payload=96, body=body))
    while peer.waiting:
        port.receive()
    assert worker.keys == [PressedKey("5", 100)]
    anew = named.with_payloads((0, 96, 101), (8_000,) * 3, ("PCMU", "iLBC", "telephone-event"))
    assert (anew, anew.named) == (port_of(peer, worker, zip(*own, strict=True)).source, 0)
    port.widen(anew)
    peer.waiting.append(rtp(6, 20_000, payload=96))
    port.receive()
    assert (worker.keys, port.reception.payload) == ([PressedKey("5", 100)], 96)


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
    due_ns = sender.send_due(monotonic_ns())
    assert due_ns is not None
    sender.send_due(due_ns)
    assert len(listener.got) > 0
    for sequence in range(3):
        sender.forward(rtp(sequence, 160 * sequence))
    assert sender.packets_out == len(listener.got)


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


def gaps(packets: list[bytes]) -> list[int]:
    """Return the differences of sequence numbers that are no 1."""
    numbers = [int.from_bytes(data[2:4], "big") for data in packets]
    return [step for one, other in pairwise(numbers) if (step := other - one) != 1]


def test_packets_of_keys_that_are_taken_out_leave_no_gap(monkeypatch):
    """Their receiver would count them as lost, and conceal them."""
    ports = PressedPorts(monkeypatch, are_taken=True)
    for key in range(3):
        ports.speaks(200)
        ports.presses(key, 200)
        ports.give(ports.packet(key, 0x8A))
    ports.speaks(100)
    assert [pressed.key for pressed in ports.reported] == ["0", "1", "2"]
    assert (len(ports.arrived), gaps(ports.arrived)) == (35, [])
    assert ports.keys == []


def test_a_late_packet_of_the_first_key_that_is_taken_out_leaves_the_numbers_as_they_are(monkeypatch):
    ports = PressedPorts(monkeypatch, are_taken=True)
    ports.speaks(100)
    late = ports.packet(1, 0x8A)
    ports.speaks(100)
    ports.give(late)
    ports.speaks(100)
    numbers = [int.from_bytes(data[2:4], "big") for data in ports.arrived]
    assert numbers == [*range(101, 106), *range(107, 117)]  # one is lost as far as is known when the others come


def test_packets_of_tones_that_are_taken_out_leave_no_gap(monkeypatch):
    ports = PressedPorts(monkeypatch, are_taken=True)
    ports.ports.ports[0].report_keys(are_reported=True, are_taken=True, in_tones=True)
    ports.speaks(200)
    for key in "15":
        for start in range(0, 1_600, 160):
            ports.says(tone(key, start, 160, "PCMU"))
        ports.speaks(200)
    assert [pressed.key for pressed in ports.reported] == ["1", "5"]
    assert len(ports.arrived) < 50
    assert gaps(ports.arrived) == []


def test_tones_in_short_packets_that_come_twice_are_read_once(monkeypatch):
    ports = PressedPorts(monkeypatch, are_taken=True)
    ports.ports.ports[0].report_keys(are_reported=True, are_taken=True, in_tones=True)
    ports.speaks(200)
    for key in "159#":
        for start in range(0, 800, 80):
            ports.says(tone(key, start, 80, "PCMU"), ms=10, times=2)
        ports.speaks(200)
    assert [pressed.key for pressed in ports.reported] == [*"159#"]


def test_a_key_that_is_taken_out_of_the_media_is_sent_though_it_was_just_read(monkeypatch):
    """It is sent because it was read: by the tones of a telephone."""
    pressed = PressedPorts(monkeypatch, are_taken=True)
    pressed.speaks(100)
    pressed.presses(5, 100)
    pressed.info("5")
    pressed.speaks(400)
    assert pressed.keys == [5]


FAST = [(250, 40, 40), (250, 60, 40), (250, 60, 60), (250, 80, 60), (160, 40, 40), (250, 100, 100), (100, 200, 200)]
"""Duration that INFO tells, how long a key is pressed, and the pause behind it, in ms."""


def press_both_ways(pressed: PressedPorts, key: int, duration_ms: int, on_ms: int, *, is_info_first: bool) -> None:
    """Let a key be pressed that comes as INFO and as event."""
    if is_info_first:
        pressed.info(str(key), duration_ms)
        pressed.presses(key, on_ms)
    else:
        pressed.presses(key, 20, ends=False)
        pressed.info(str(key), duration_ms)
        pressed.presses(key, on_ms - 20, begins=False)


@pytest.mark.parametrize(("duration_ms", "on_ms", "gap_ms"), FAST)
@pytest.mark.parametrize("is_first", [True, False])
def test_fast_keys_whose_info_and_event_come_in_turns_first_arrive_once_each(
    monkeypatch, duration_ms, on_ms, gap_ms, is_first
):
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    for key in (1, 2, 3, 4):
        press_both_ways(pressed, key, duration_ms, on_ms, is_info_first=is_first is (key % 2 == 1))
        pressed.speaks(gap_ms)
    pressed.speaks(1_600)
    assert pressed.keys == [1, 2, 3, 4]
    assert [each.key for each in pressed.reported] == ["1", "2", "3", "4"]
    sequences = [int.from_bytes(data[2:4], "big") for data in pressed.arrived]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


@pytest.mark.parametrize("ends", [True, False])
def test_an_event_without_info_that_begins_while_another_key_is_sent_arrives(monkeypatch, ends):
    """It does so as well where its last packets are lost."""
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    pressed.info("1", 400)
    pressed.presses(1, 60)
    pressed.speaks(40)
    pressed.presses(2, 60, ends=ends)
    pressed.speaks(600)
    pressed.ports.ports[0].end_keys(pressed.now_ns)
    pressed.speaks(400)
    assert pressed.keys == [1, 2]


def test_an_event_that_begins_while_a_key_waits_does_not_come_before_it(monkeypatch):
    """The pause between two keys that are sent is no time for a third one."""
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    pressed.info("1", 100)
    pressed.info("2", 100)
    pressed.passes(100)
    pressed.presses(3, 40)
    pressed.speaks(600)
    assert pressed.keys == [1, 2, 3]


def test_a_late_packet_of_an_event_that_was_left_out_is_left_out_too(monkeypatch):
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    pressed.info("1", 100)
    pressed.presses(1, 60, ends=False)
    late = pressed.packet(1, 0x8A)
    pressed.info("2", 100)
    pressed.presses(2, 60)
    pressed.speaks(400)
    pressed.give(late)
    pressed.speaks(200)
    assert pressed.keys == [1, 2]


def test_a_key_is_sent_whose_event_was_not_forwarded(monkeypatch):
    """Nothing is forwarded while the other side is played something; its keys are sent all the same."""
    pressed = PressedPorts(monkeypatch)
    pressed.speaks(100)
    sender = pressed.ports.ports[1].sender
    sender.play(PlaySound(1, "", 0, 160, 20, 0), bytes(160))
    pressed.presses(1, 60, ends=False)
    pressed.info("1", 100)
    sender.stop_playing()
    pressed.presses(1, 60, begins=False)
    pressed.speaks(400)
    assert pressed.keys == [1]


def test_a_key_that_is_taken_leaves_no_gap_behind_packets_that_the_kernel_has_just_forwarded(monkeypatch):
    """They were counted behind the packet of the key, and the sender went on four numbers too high."""
    ports = PressedPorts(monkeypatch, are_taken=True)
    ports.speaks(200)
    ports._sequence += 4
    for _ in range(4):
        ports.passes(20)
    port, taken = ports.ports.ports[0], []

    def take_back(_owner, _port):
        if not taken:
            taken.append(True)
            port.note_forwarded(4, ports.now_ns)
            port.return_stream(ports.now_ns)

    monkeypatch.setattr(type(ports.ports.owner), "take_back", take_back, raising=False)
    before = int.from_bytes(ports.arrived[-1][2:4], "big")
    ports.presses(1, 100)
    ports.speaks(100)
    numbers = [int.from_bytes(each[2:4], "big") for each in ports.arrived]
    behind = numbers[numbers.index(before) + 1 :]
    assert taken
    assert behind == [*range(before + 5, before + 5 + len(behind))]


def test_packets_stay_as_they_are_once_the_parties_encrypt_them(monkeypatch):
    """Numbers that go on without a gap behind a key would be others than those that the sender has signed."""
    ports = PressedPorts(monkeypatch)
    ports.speaks(100)
    ports.info("1")
    ports.speaks(400)
    assert ports.keys == [1]
    ports.info("2")
    ports.ports.ports[0].report_keys(are_reported=False, are_taken=False)
    ports.arrived.clear()
    before = ports._sequence
    ports.speaks(400)
    assert [int.from_bytes(each[2:4], "big") for each in ports.arrived] == [*range(before + 1, before + 21)]
    assert ports.keys == []
