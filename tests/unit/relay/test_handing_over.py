"""When streams are handed to the kernel and taken back, on virtual time and without a kernel."""

import pytest
from doubles.sockets.relay import source
from doubles.sockets.rtp import rtp

from vosd.media.record import RECORD_BYTES, figures_of
from vosd.media.source import RelayPort
from vosd.relay import offload as module
from vosd.relay.media_port import FILTER_AFTER, MediaPort
from vosd.relay.offload import (
    ABANDONED_NS,
    COUNTED_NS,
    FORWARDED_FIRST_NS,
    FORWARDED_NS,
    MOST_PACKETS,
    PAUSE_MAX_NS,
    ROUTES_NS,
    SAMPLED_BRIEFLY_NS,
    SAMPLED_NS,
    SETTLED_NS,
    Offload,
)
from vosd.relay.protocol import OpenPort
from vosd.relay.routes import Route
from vosd.relay.stream_table import MAPS

PEERS = (("127.0.0.9", 4_000), ("127.0.0.8", 4_002))


class Table:
    """A table that forwards what the test says."""

    descriptor = -1
    questions = None

    def __init__(self):
        self.packets: dict[bytes, int] = {}
        self.asked: list[str] = []
        self.is_waiting = False
        """Whether another program changes the tables."""
        self.waiting: list = []
        """Streams that are removed when it has done so."""

    def hook(self, _device, _name):
        """See all devices."""

    def forget(self, _devices):
        """See all devices."""

    def add(self, streams):
        self.packets.update({each.key: 0 for each in streams})

    def remove(self, streams):
        if self.is_waiting:
            self.waiting += streams
            return {}
        return {each.key: self.packets.pop(each.key) for each in streams if each.key in self.packets}

    def settled(self):
        streams, self.waiting = ([], self.waiting) if self.is_waiting else (self.waiting, [])
        return self.remove(streams) if streams else {}

    def ask_for_counts(self, chosen):
        self.asked.append(chosen)

    def read_counts(self):
        return (list(self.packets.items()) if self.asked[-1] == MAPS[0] else []), True

    def close(self):
        self.packets.clear()


class Routes:
    """A machine with one line."""

    descriptor = -2

    def __init__(self):
        self.gateway = bytes(4)
        self.asked = []

    def kind_of(self, own, _peer):
        return (own >= 5,)

    def find(self, own, peer, tos):
        self.asked.append((own, peer, tos))
        return Route(1, self.gateway)

    def expect_no_policies(self):
        """Have none."""

    def name_of(self, _device):
        return "line"

    def read_changes(self):
        """Find other routes from now on."""
        self.gateway = bytes((1, 2, 3, 4))
        return frozenset()

    def close(self):
        """Close nothing."""


class Translations:
    """A firewall that translates what the test says."""

    def __init__(self, _connection):
        self.translated = None

    def has(self, own, peer):
        return (own, peer) == self.translated


class Socket:
    """Packets of one peer, each read once."""

    def __init__(self, peer):
        self.peer = peer
        self.waiting = []
        self.descriptor = 5

    def fileno(self):
        return self.descriptor

    def close(self):
        self.descriptor = -1

    def recvfrom(self, _size):
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(0), self.peer

    def recv(self, size, flags=0):
        if flags and self.waiting:
            return self.waiting[0][:size]
        return self.recvfrom(size)[0]

    def sendto(self, data, _target):
        return len(data)

    def setsockopt(self, *_):
        """Take any option."""


class Streams:
    """A worker with two connected ports whose peers talk."""

    def __init__(self):
        self.now_ns = 10**12
        self.offload = Offload()
        self.table = self.offload._table
        self.record = memoryview(bytearray(3 * RECORD_BYTES))
        self.sockets = [Socket(peer) for peer in PEERS]
        self.handlers = {}
        self.ports = [self.port(number) for number in (0, 1)]
        self.ports[0].connect(self.ports[1])
        self.sequence = 0
        self.talk(FILTER_AFTER + 5)

    def port(self, number):
        order = OpenPort(RelayPort(number + 1, "127.0.0.1", 5_000 + 2 * number, None), 0xA0, number + 1)
        made = MediaPort(order, self.sockets[number], None, self.record, self)
        self.handlers[self.sockets[number]] = made.receive
        made.expect(source(*PEERS[number]), None)
        return made

    def talk(self, packets, payload=0, ssrc=1):
        """Let packets of both peers come to the worker."""
        for _ in range(packets):
            self.sequence += 1
            for each in self.sockets:
                each.waiting.append(rtp(self.sequence, 160 * self.sequence, payload=payload, ssrc=ssrc))
                self.handlers[each]()

    def forward(self, packets):
        """Let packets of both peers be forwarded by the kernel."""
        self.sequence += packets
        self.table.packets = {key: count + packets for key, count in self.table.packets.items()}

    def look(self, later_ns=0):
        self.now_ns += later_ns
        self.offload.look(self.ports, self.now_ns)

    def count(self):
        """Read the counts of both maps."""
        for _ in MAPS:
            self.offload._read_counts(self.now_ns)

    def figures(self):
        for port in self.ports:
            port.write_state()
        return [figures_of(self.record, (number + 1) * RECORD_BYTES, number + 1, 0) for number in (0, 1)]

    # what ports need of a worker

    def source_found(self, port: int, leg: int, host: str) -> None:
        raise AssertionError("no source is judged")

    def changed(self, port):
        """Write the state when it is looked at."""

    def open_ports(self, _own_host, _host, ports):
        return ports

    def serve(self, sock, handler):
        self.handlers[sock] = handler

    def take_back(self, *ports):
        self.offload.take_back(ports, self.now_ns)

    def sends_itself(self, port, *_):
        """Send nothing: no time passes."""

    def left_over(self, port):
        self.offload.left_over(port, self.now_ns)


@pytest.fixture
def streams(monkeypatch):
    monkeypatch.setattr(module, "StreamTable", Table)
    monkeypatch.setattr(module, "KernelRoutes", Routes)
    monkeypatch.setattr(module, "Translations", Translations)
    made = Streams()
    made.look()
    made.count()
    assert len(made.table.packets) == 2
    return made


def test_a_stream_comes_back_for_two_seconds_in_thirty_and_its_figures_are_whole(streams):
    for port in streams.ports:
        port.kernel.spell_ns = FORWARDED_NS
    streams.forward(1_400)
    streams.look(FORWARDED_NS - 1)
    assert len(streams.table.packets) == 2
    streams.look(1)
    assert streams.table.packets == {}
    streams.talk(40)
    streams.look(SAMPLED_NS - 1)
    assert streams.table.packets == {}
    streams.look(1)
    assert len(streams.table.packets) == 2
    for each in streams.figures():
        assert (each.packets_in, each.expected, each.lost, each.forwarded) == (
            streams.sequence,
            streams.sequence,
            0,
            1_400,
        )
        assert each.packets_out == streams.sequence


def test_packets_lost_while_the_kernel_forwards_are_found_by_the_sample(streams):
    streams.forward(1_400)
    streams.sequence += 14
    streams.look(FORWARDED_NS)
    streams.talk(10)
    assert [(each.lost, each.expected) for each in streams.figures()] == [(14, streams.sequence)] * 2


def test_packets_of_streams_that_have_ended_by_themselves_are_not_taken_for_lost_ones(streams):
    """The worker stood still: their number is not known."""
    streams.forward(1_400)
    streams.table.packets.clear()
    streams.look(FORWARDED_NS)
    streams.talk(10)
    assert [each.lost for each in streams.figures()] == [0, 0]


def test_streams_that_have_ended_by_themselves_are_taken_back_with_the_first_of_them(streams):
    """The kernel needs 10 ms to say that there is none."""
    streams.forward(1_400)
    streams.table.packets.clear()
    streams.now_ns += ABANDONED_NS
    streams.sequence += 1
    streams.sockets[0].waiting.append(rtp(streams.sequence, 160 * streams.sequence))
    streams.handlers[streams.sockets[0]]()
    assert [each.kernel.stream for each in streams.ports] == [None, None]


def test_a_packet_that_the_kernel_has_left_takes_its_own_stream_back_alone(streams):
    streams.now_ns += SETTLED_NS
    streams.sequence += 1
    streams.sockets[0].waiting.append(rtp(streams.sequence, 160 * streams.sequence))
    streams.handlers[streams.sockets[0]]()
    assert [each.kernel.stream is None for each in streams.ports] == [True, False]


@pytest.mark.parametrize("packets", [1_400, 70_000])
@pytest.mark.parametrize("duplicates", [5, 12, 99, 150, 1_300])
def test_duplicates_that_the_kernel_forwards_leave_the_loss_measured(streams, duplicates, packets):
    """The next packets seem older than those that were forwarded, or as if the stream had begun anew."""
    for _ in range(3):
        streams.forward(packets)
        streams.sequence -= duplicates
        streams.look(FORWARDED_NS)
        streams.talk(10)
        streams.look(SAMPLED_NS)
    sent = streams.sequence
    assert [(each.lost, each.expected) for each in streams.figures()] == [(0, sent)] * 2
    streams.talk(1)
    streams.sequence += 14
    streams.talk(1)
    for port in streams.ports:
        assert port.reception.last_packet()[1] == streams.sequence % 65_536
    assert [each.expected for each in streams.figures()] == [streams.sequence] * 2


def test_a_route_is_asked_for_once_for_all_streams_between_two_hosts_whose_ports_are_of_one_kind(streams):
    """A change of routes has all streams of a worker looked at, between two packets of the others."""
    asked = [(("192.0.2.1", own), ("192.0.2.9", 9), tos) for own, tos in ((1, 0), (3, 0), (1, 0x10), (5, 0), (7, 0))]
    asked.append((("192.0.2.1", 1), ("192.0.2.8", 9), 0))
    routes = streams.offload._routes
    routes.asked.clear()
    for each in asked:
        streams.offload._route(*each)
    assert routes.asked == [asked[0], asked[2], asked[3], asked[5]]


def test_streams_come_back_at_growing_intervals_so_that_short_calls_are_measured(streams):
    spells = []
    for _ in range(6):
        begun_ns = streams.now_ns
        while streams.table.packets:
            streams.look(SAMPLED_BRIEFLY_NS)
        spells.append((streams.now_ns - begun_ns) // FORWARDED_FIRST_NS)
        streams.talk(1)
        streams.look(SAMPLED_NS)
        assert len(streams.table.packets) == 2
    assert spells == [1, 2, 4, 8, 14, 14]


@pytest.mark.parametrize("ssrc", [None, 7])
def test_the_loss_of_packets_that_no_later_one_follows_is_not_known(streams, ssrc):
    """At the end of a call, and where another stream begins."""
    seen = streams.sequence
    streams.forward(100)
    streams.sequence += 50
    streams.take_back(*streams.ports)
    if ssrc is not None:
        streams.talk(3, ssrc=ssrc)
        seen += 3
    for each in streams.figures():
        assert (each.packets_in, each.forwarded, each.expected, each.lost) == (seen + 100, 100, seen, 0)


def test_packets_are_counted_each_second_and_say_that_the_peers_live(streams):
    for port in streams.ports:
        port.kernel.spell_ns = FORWARDED_NS
    for _ in range(2):
        streams.forward(50)
        streams.look(COUNTED_NS)
        streams.count()
        asked = [*streams.table.asked]
        streams.look()
        assert streams.table.asked == asked
        assert [each.packets_in for each in streams.figures()] == [streams.sequence] * 2
        assert streams.ports[0].reception.last_ns == streams.now_ns
        assert [each.lost for each in streams.figures()] == [0, 0]


def test_a_stream_with_too_many_packets_is_left_to_the_worker(streams):
    for port in streams.ports:
        port.kernel.spell_ns = FORWARDED_NS
    streams.forward(MOST_PACKETS)
    streams.look(COUNTED_NS)
    streams.count()
    assert len(streams.table.packets) == 2
    streams.forward(MOST_PACKETS + 1)
    streams.look(COUNTED_NS)
    streams.count()
    assert streams.table.packets == {}
    streams.look(PAUSE_MAX_NS - 1)
    assert streams.table.packets == {}


def test_a_packet_of_another_stream_takes_it_back_and_the_kernel_gets_that_one_later(streams):
    before = set(streams.table.packets)
    streams.now_ns += SETTLED_NS
    streams.talk(3, ssrc=7)
    assert streams.table.packets == {}
    streams.look(SAMPLED_NS)
    assert len(set(streams.table.packets) - before) == 2
    assert [each.lost for each in streams.figures()] == [0, 0]


def test_packets_that_are_no_rtp_leave_a_stream_with_the_kernel(streams):
    streams.now_ns += SETTLED_NS
    for data in (b"", b"\0", bytes(4), bytes(12)):
        streams.sockets[0].waiting.append(data)
        streams.handlers[streams.sockets[0]]()
    assert len(streams.table.packets) == 2
    assert streams.figures()[0].foreign == 4


def test_streams_between_ipv4_and_ipv6_are_left_to_the_worker(streams):
    streams.take_back(*streams.ports)
    streams.ports[1].port = RelayPort(2, "::1", 5_002, None)
    streams.look(SAMPLED_NS)
    assert streams.table.packets == {}


def fail(*_):
    raise OSError(19, "No such device")


@pytest.mark.parametrize("missing", ["route", "device", "hook"])
def test_a_stream_to_where_the_kernel_has_no_way_is_left_to_the_worker_and_looked_at_seldom(
    streams, monkeypatch, missing
):
    streams.take_back(*streams.ports)
    routes, find = streams.offload._routes, streams.offload._routes.find
    if missing == "route":
        monkeypatch.setattr(routes, "find", lambda own, peer, tos: find(own, peer, tos) if peer == PEERS[0] else None)
    elif missing == "device":
        monkeypatch.setattr(routes, "name_of", lambda _device: None)
    else:
        monkeypatch.setattr(streams.table, "hook", fail)
    asked = []
    for later_ns in (0, SAMPLED_NS - 1, 1):
        routes.asked.clear()
        streams.look(later_ns)
        asked.append(bool(routes.asked))
    assert asked == [True, False, True]
    assert streams.table.packets == {}


def test_a_stream_of_a_port_at_all_addresses_leaves_from_the_one_of_its_route(streams, monkeypatch):
    streams.take_back(*streams.ports)
    streams.ports[1].port = RelayPort(2, "0.0.0.0", 5_002, None)
    monkeypatch.setattr(streams.offload._routes, "find", lambda *_: Route(1, bytes(4), "127.0.0.5"))
    streams.look()
    forwarded = streams.ports[0].kernel.stream
    assert forwarded is not None
    assert forwarded.stream.value[4:8] == bytes((127, 0, 0, 5))


def test_a_stream_whose_packets_are_translated_is_left_to_the_worker_as_long_as_they_are(streams):
    streams.take_back(*streams.ports)
    sender = streams.ports[1].port
    streams.offload._translations.translated = ((sender.host, sender.rtp), PEERS[1])
    streams.look(0)
    assert [each.kernel.stream is None for each in streams.ports] == [True, False]
    streams.offload._translations.translated = None
    streams.look(PAUSE_MAX_NS - 1)
    assert streams.ports[0].kernel.stream is None
    streams.look(1)
    assert streams.ports[0].kernel.stream is not None


def test_translated_streams_are_asked_for_a_few_at_a_time_and_seldom(streams, monkeypatch):
    """Thousands at once would hold up all media, each time."""
    monkeypatch.setattr(module, "HANDED_AT_ONCE", 1)
    asked = []
    monkeypatch.setattr(streams.offload._translations, "has", lambda *ways: asked.append(ways) or True)
    streams.take_back(*streams.ports)
    numbers = []
    for _ in range(4):
        streams.look(SAMPLED_NS)
        numbers.append(len(asked))
    assert numbers == [1, 2, 2, 2]


def test_pauses_grow_where_the_kernel_sees_nothing_of_a_stream(streams):
    pauses = []
    for _ in range(6):
        streams.now_ns += SETTLED_NS
        streams.talk(1)
        assert streams.table.packets == {}
        begun_ns = streams.now_ns
        while not streams.table.packets:
            streams.look(SAMPLED_NS // 2)
        pauses.append((streams.now_ns - begun_ns) // SAMPLED_NS)
    assert pauses == [1, 2, 4, 8, 16, 16]


def test_while_the_tables_are_not_to_be_changed_the_kernel_goes_on_and_packets_count(streams):
    streams.table.is_waiting = True
    streams.forward(1_400)
    streams.offload._read_changes(streams.now_ns)
    streams.look(FORWARDED_NS)
    assert len(streams.table.packets) == 2
    assert streams.table.waiting == []
    streams.count()
    for each in streams.figures():
        assert (each.packets_in, each.lost, each.forwarded) == (streams.sequence, 0, 1_400)
        assert each.alive_mono == streams.now_ns // 1_000_000
    streams.table.is_waiting = False
    streams.look()
    assert streams.table.packets == {}  # a sample was due meanwhile


def test_a_packet_that_the_kernel_leaves_is_no_loss_while_it_cannot_be_told(streams):
    streams.table.is_waiting = True
    streams.forward(1_400)
    streams.now_ns += SETTLED_NS
    streams.talk(1)
    for _ in range(2):
        streams.forward(50)
        streams.look(COUNTED_NS)
        streams.count()
    for each in streams.figures():
        assert (each.packets_in, each.lost, each.forwarded) == (streams.sequence, 0, 1_500)


def test_a_stream_that_is_taken_back_counts_until_the_kernel_can_be_told(streams):
    streams.table.is_waiting = True
    streams.take_back(streams.ports[0])
    streams.talk(1)
    for packets in (500, 100):
        streams.forward(packets)
        streams.look(COUNTED_NS)
        streams.count()
    streams.forward(50)
    streams.table.is_waiting = False
    streams.look()
    streams.talk(10)
    for each in streams.figures():
        assert (each.packets_in, each.packets_out) == (streams.sequence, streams.sequence)
        assert (each.lost, each.forwarded) == (0, 650)


def test_the_record_of_a_closed_port_is_left_alone_while_the_kernel_cannot_be_told(streams):
    """It may be that of another port."""
    streams.table.is_waiting = True
    streams.take_back(streams.ports[0])
    streams.sockets[0].close()
    before, _ = streams.figures()
    streams.forward(500)
    streams.look(COUNTED_NS)
    streams.count()
    after, other = streams.figures()
    assert after == before
    assert other.forwarded == 500


def test_other_routes_take_a_stream_back_and_the_kernel_gets_it_by_them(streams):
    before = dict(streams.table.packets)
    streams.offload._read_changes(streams.now_ns)
    streams.look()
    assert len(streams.table.packets) == 2
    assert streams.ports[0].kernel.stream is not None
    assert streams.ports[0].kernel.stream.stream.value.endswith(bytes((1, 2, 3, 4)))
    assert before.keys() == streams.table.packets.keys()


def test_routes_that_change_all_the_time_are_asked_for_once_a_second(streams):
    asked = []
    for _ in range(9):
        streams.offload._read_changes(streams.now_ns)
        streams.offload._routes.asked.clear()
        streams.look(ROUTES_NS // 4)
        asked.append(bool(streams.offload._routes.asked))
    assert asked == [True, False, False, False] * 2 + [True]


def test_a_stream_that_is_recorded_or_played_over_is_not_handed_over(streams):
    port = streams.ports[0]
    streams.take_back(port)
    port.report_keys(are_reported=True, are_taken=False, in_tones=True)
    streams.look(SAMPLED_NS)
    assert len(streams.table.packets) == 1  # that of the other peer
    streams.take_back(port)
    port.report_keys(are_reported=False, are_taken=False)
    port.sender.play_ring_back(0, 0)
    streams.look(SAMPLED_NS)
    assert len(streams.table.packets) == 1
    streams.take_back(port)
    streams.ports[1].sender.recording = object()
    streams.look(SAMPLED_NS)
    assert streams.table.packets == {}


def test_without_the_table_the_worker_forwards_everything_and_takes_nothing_for_lost(streams):
    def is_gone(_streams):
        raise OSError(2, "No such file or directory")

    streams.forward(30)
    streams.table.remove = is_gone
    streams.offload.close(streams.now_ns)
    assert all(port.kernel.stream is None for port in streams.ports)
    streams.talk(10)
    assert [(each.lost, each.expected) for each in streams.figures()] == [(0, streams.sequence - 30)] * 2
