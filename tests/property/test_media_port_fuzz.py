"""No datagram ends a relay worker: whatever comes, from anywhere, in any order of orders."""

from collections import deque
from collections.abc import Callable, Collection, Sequence

from doubles.exploring import examples
from doubles.sockets.relay import source
from doubles.sockets.rtp import report_block, rtp, sender_report
from hypothesis import given, settings, strategies as st

from vosd.media.record import RECORD_BYTES, figures_of
from vosd.media.source import RelayPort
from vosd.relay.media_port import ForwardedStream, MediaPort
from vosd.relay.peer_sender import PeerSender
from vosd.relay.protocol import OpenPort
from vosd.relay.stream_table import KernelStream
from vosd.trunks.media import MediaTrust

PLACES = (("127.0.0.9", 4_000), ("127.0.0.9", 4_002), ("127.0.0.66", 4_000))
WELL_FORMED = st.builds(
    rtp,
    st.integers(0, 65_535),
    st.integers(0, 2**32 - 1),
    payload=st.sampled_from((0, 8, 101, 72, 101 | 0x80)),
    ssrc=st.sampled_from((1, 2)),
    body=st.binary(max_size=12),
)
CONTROL = st.builds(
    lambda ntp, jitter, count: sender_report(1, ntp, report_block(1, jitter=jitter, last=ntp), count),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 31),
)
DATAGRAMS = st.one_of(
    st.binary(max_size=40), WELL_FORMED, CONTROL,
    st.builds(lambda data, at, value: data[:at] + bytes((value,)) + data[at + 1 :], WELL_FORMED | CONTROL,
              st.integers(0, 40), st.integers(0, 255)),
    st.builds(lambda data, end: data[:end], WELL_FORMED | CONTROL, st.integers(0, 60)),
)  # fmt: skip


class Wire:
    """A socket that has what is put into it; sending fails now and then."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[bytes, tuple[str, int]]] = deque()
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.popleft()

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self.waiting[0][0][:size] if flags and self.waiting else self.recvfrom(size)[0]

    def sendto(self, data: bytes, target: tuple[str, int]) -> int:
        if len(self.sent) % 7 == 3:
            self.sent.append((b"", target))
            raise PermissionError
        self.sent.append((data, target))
        return len(data)

    def setsockopt(self, *_: object) -> None:
        """Take any option."""


class Owner:
    """A worker with two ports."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.sending: set[PeerSender] = set()
        self.handlers: dict[int, Callable[[], None]] = {}

    def source_found(self, port: int, leg: int, host: str) -> None:
        raise AssertionError("no source is judged")

    def changed(self, port: MediaPort) -> None:
        port.write_state()

    def serve(self, sock: Wire, handler: Callable[[], None]) -> None:
        self.handlers[id(sock)] = handler

    def key_pressed(self, port: int, pressed: tuple[str, int]) -> None:
        self.keys.append(pressed[0])

    def sends_itself(self, sender: PeerSender, due_ns: int) -> None:
        assert due_ns >= 0
        self.sending.add(sender)

    def open_ports(self, own_host: str, host: str, ports: Sequence[int]) -> Collection[int]:
        return [port for port in ports if port != 4_002]

    def take_back(self, *ports: MediaPort) -> None:
        for port in ports:
            if port.kernel.stream is not None:
                port.return_stream(0)

    def left_over(self, port: MediaPort) -> None:
        self.take_back(port)


STEPS = st.one_of(
    st.tuples(st.just("packet"), st.integers(0, 2), st.sampled_from(PLACES), DATAGRAMS),
    st.tuples(st.just("stream"), st.sampled_from(PLACES), st.integers(1, 60)),
    st.tuples(st.just("expect"), st.sampled_from(MediaTrust), st.sampled_from(((0, 101), (), (8,)))),
    st.tuples(st.just("press"), st.sampled_from("19#D"), st.integers(0, 9_000), st.booleans()),
    st.tuples(st.sampled_from(("connect", "disconnect", "keys", "ring", "due", "silence", "kernel"))),
)


@settings(max_examples=examples(75, 1_500))
@given(st.lists(STEPS, max_size=40), st.booleans())
def test_no_datagram_and_no_order_ends_a_worker(steps, is_multiplexed):
    owner, record = Owner(), memoryview(bytearray(3 * RECORD_BYTES))
    wires = [Wire(), Wire(), Wire()]
    control = None if is_multiplexed else wires[1]
    port = MediaPort(OpenPort(RelayPort(1, "127.0.0.1", 1, None), 0, 1), wires[0], control, record, owner)
    other = MediaPort(OpenPort(RelayPort(2, "127.0.0.1", 3, None), 0, 2), wires[2], None, record, owner)
    other.expect(source("127.0.0.9", 4_004), ("127.0.0.9", 4_004))
    number = 0

    def stream(place, count):
        nonlocal number
        for _ in range(count):
            number += 1
            wires[0].waiting.append((rtp(number, 160 * number, ssrc=1), place))
            if port.is_filtered and place == port.latch.believed:
                owner.handlers[id(wires[0])]()
            else:
                port.receive()

    for step in steps:
        match step:
            case ("packet", where, place, data):
                wires[where].waiting.append((data, place))
                (port.receive, port.receive_control if control else port.receive, other.receive)[where]()
            case ("stream", place, count):
                stream(place, count)
            case ("expect", trust, payloads):
                port.expect(source("127.0.0.9", 4_000, trust=trust, payloads=payloads), None)
            case ("press", key, duration, as_tone):
                port.sender.press(key, duration, as_tone=as_tone)
            case ("connect",):
                port.connect(other)
            case ("disconnect",):
                port.disconnect()
            case ("keys",):
                port.report_keys(are_reported=True, are_taken=True, in_tones=True)
            case ("ring",):
                port.sender.play_ring_back(0, 0)
            case ("due",):
                port.sender.send_due(10**18)
            case ("kernel",):
                if port.kernel.stream is None:
                    port.expect(source("127.0.0.9", 4_000), None)
                    port.connect(other)
                    stream(PLACES[0], 60)
                if port.kernel.stream is None and port.plain_stream() is not None:
                    key = KernelStream(b"", b"", is_version6=False)
                    port.forward_by_kernel(ForwardedStream(port, other, key, 0))
                elif port.kernel.stream is not None:
                    number += 50
                    port.note_forwarded(50, 10**18)
            case ("silence",):
                port.take_all_sources()
                port.end_keys(10**18)
    port.write_state()
    figures = figures_of(record, RECORD_BYTES, 1, 0)
    assert figures.packets_in >= 0
    assert figures.lost <= figures.expected
    assert all(target != ("127.0.0.66", 4_000) for _, target in wires[0].sent) or any(
        step[0] == "expect" and step[1] is MediaTrust.ANY for step in steps
    )
