"""Streams that the kernel forwards: real workers, real nftables, parties in networks of their own."""

import asyncio
import errno
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

import pytest
from doubles.home import Namespace
from doubles.sockets.relay import PATIENCE_S, RelayStage, now, source, until
from doubles.sockets.rtp import RtpPeer, rtp, sender_report
from doubles.two_networks import (
    ATTACKER,
    CUSTOMER,
    CUSTOMER6,
    SWITCH,
    SWITCH6,
    SWITCH6_OF_VENDOR,
    SWITCH_OF_VENDOR,
    VENDOR,
    VENDOR6,
    TwoNetworks,
)
from e2e.namespaces import forwarding_networks
from msgspec.structs import replace
from structlog.testing import capture_logs

from vosd.media.figures import PortFigures
from vosd.media.g711 import linear
from vosd.media.rtp import HEADER
from vosd.media.source import RelayPort
from vosd.relay.netlink import Message, Netlink
from vosd.relay.protocol import OffloadFailed
from vosd.relay.routes import KernelRoutes, Route
from vosd.relay.sockets import KnownReaches
from vosd.relay.stream_table import StreamTable, kernel_stream
from vosd.relay.table_changes import TableChange
from vosd.trunks.media import PortRange

PORTS = PortRange(30_500, 30_599)
TOS = 0xB8
BEYOND = "192.0.2.1"
IP_RECVTOS = 13
SO_NO_CHECK = 11


@pytest.fixture(scope="module")
def networks() -> Iterator[TwoNetworks]:
    with forwarding_networks() as made, made.switch.inside():
        yield made


@pytest.fixture
async def stage(networks: TwoNetworks, tmp_path: Path) -> AsyncIterator[RelayStage]:
    stage = RelayStage(tmp_path, SWITCH, are_offloaded=True)
    await stage.relay.start()
    yield stage
    await stage.relay.stop(keep=False)
    assert "vosd" not in rules()


class Party:
    """A telephone that takes media from one port of the relay alone."""

    def __init__(self, network: Namespace, host: str, ssrc: int, port: RelayPort) -> None:
        with network.inside():
            self.rtp, self.control = RtpPeer(host, ssrc=ssrc), RtpPeer(host)
        self.port = port
        self.rtp.sock.connect((port.host, port.rtp))
        self.control.sock.connect((port.host, port.rtcp))

    def send(self, packets: int = 1, *, payload: int = 0) -> None:
        self.rtp.send((self.port.host, self.port.rtp), packets, payload=payload)

    def close(self) -> None:
        self.rtp.close()
        self.control.close()


class Talk:
    """Two parties whose ports are connected."""

    def __init__(
        self, stage: RelayStage, networks: TwoNetworks, hosts: tuple[str, str, str, str], bound: str | None = None
    ) -> None:
        """``bound`` is where both ports are opened, in place of the address that their party sends to."""
        self.relay = stage.relay
        customer, switch, switch_of_vendor, vendor = hosts
        self.of_caller, self.of_callee = self.opened(bound or switch), self.opened(bound or switch_of_vendor)
        self.caller = Party(networks.customer, customer, 1, replace(self.of_caller, host=switch))
        self.callee = Party(networks.vendor, vendor, 2, replace(self.of_callee, host=switch_of_vendor))
        self.describe()
        self.relay.connect(self.of_caller, self.of_callee)

    def describe(self) -> None:
        for party in (self.caller, self.callee):
            self.relay.expect(party.port, source(party.rtp.host, party.rtp.port, rtcp=party.control.port))

    def opened(self, host: str) -> RelayPort:
        port = self.relay.open(host, PORTS, is_multiplexed=False, tos=TOS, now=now())
        assert port is not None
        return port

    def figures(self) -> tuple[PortFigures, PortFigures]:
        return self.relay.figures(self.of_caller), self.relay.figures(self.of_callee)

    async def talks_until(self, condition: Callable[[], bool]) -> None:
        """Send packets of both parties until a condition holds."""

        def is_so() -> bool:
            for party in (self.caller, self.callee):
                party.send()
                party.rtp.has(0)  # their sockets hold 256 packets
            return condition()

        await until(is_so)

    async def is_forwarded_by_the_kernel(self) -> None:
        before = [each.forwarded for each in self.figures()]
        await self.talks_until(
            lambda: all(each.forwarded > count for each, count in zip(self.figures(), before, strict=True))
        )

    async def arrives(self) -> None:
        """Wait until each party has received all that the other one has sent."""
        for party, other in ((self.caller, self.callee), (self.callee, self.caller)):
            await until(lambda party=party, other=other: party.rtp.has(other.rtp.sequence - 1_000))

    def close(self) -> None:
        self.caller.close()
        self.callee.close()
        for port in (self.of_caller, self.of_callee):
            self.relay.close(port, now())


@pytest.fixture
def talk(stage: RelayStage, networks: TwoNetworks) -> Iterator[Talk]:
    talk = Talk(stage, networks, (CUSTOMER, SWITCH, SWITCH_OF_VENDOR, VENDOR))
    yield talk
    talk.close()


def rules() -> str:
    return subprocess.run(("nft", "list", "tables"), capture_output=True, text=True, check=True).stdout


def elements(chosen: str = "streams") -> int:
    """Return how many streams an operator sees in the kernel, as docs/media.md says."""
    (table,) = (line.split()[2] for line in rules().splitlines())
    told = subprocess.run(("nft", "-j", "list", "map", "netdev", table, chosen), capture_output=True, check=True).stdout
    (found,) = (each["map"] for each in json.loads(told)["nftables"] if "map" in each)
    return len(found.get("elem", ()))


async def test_a_stream_that_only_passes_is_forwarded_by_the_kernel_until_something_changes(
    talk: Talk, networks: TwoNetworks
) -> None:
    talk.callee.rtp.sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    talk.caller.rtp.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)  # it comes to the switch, and no further
    await talk.is_forwarded_by_the_kernel()
    assert elements() == 2
    await talk.arrives()

    talk.callee.rtp.taken()
    talk.caller.send()
    await until(lambda: bool(_peeked(talk.callee.rtp.sock)))
    _, ancillary, _, _ = talk.callee.rtp.sock.recvmsg(2_048, 64)
    assert [(level, kind, data[0]) for level, kind, data in ancillary] == [(socket.IPPROTO_IP, socket.IP_TOS, TOS)]

    talk.caller.control.sock.send(sender_report(1))
    await until(lambda: talk.callee.control.has(1))
    with networks.customer.inside():
        attacker = RtpPeer(ATTACKER, ssrc=1)
    attacker.sequence = talk.caller.rtp.sequence
    attacker.send((SWITCH, talk.of_caller.rtp), 5)
    await until(lambda: talk.figures()[0].foreign == 5)
    assert talk.callee.rtp.taken() == []
    attacker.close()

    talk.caller.rtp.sequence += 3  # these are lost on their way
    talk.caller.send(10)
    talk.describe()
    await until(lambda: not elements())
    talk.caller.send()
    talk.callee.send()
    sent = [talk.caller.rtp.sequence - 1_000 - 3, talk.callee.rtp.sequence - 1_000]
    passed = [(sent[0], sent[1]), (sent[1], sent[0])]
    await until(lambda: [(each.packets_in, each.packets_out) for each in talk.figures()] == passed)
    caller, callee = talk.figures()
    assert (caller.lost, callee.lost) == (3, 0)
    assert caller.expected == sent[0] + 3
    assert caller.forwarded >= 10


def _peeked(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


async def test_a_datagram_that_ends_before_its_ssrc_is_no_packet_of_a_stream(talk: Talk, networks: TwoNetworks) -> None:
    """The padding of its frame has what is missing."""
    await talk.is_forwarded_by_the_kernel()
    await talk.arrives()
    talk.callee.rtp.taken()
    (before,) = (each.foreign for each in talk.figures()[:1])
    source_port, port = talk.caller.rtp.port, talk.of_caller.rtp
    whole = rtp(talk.caller.rtp.sequence, 160, ssrc=1)
    udp = struct.pack(">HHHH", source_port, port, 8 + 4, 0) + whole[:18]
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + 8 + 4, 1, 0, 9, 17, 0, *map(socket.inet_aton, (CUSTOMER, SWITCH))
    )
    total = sum(struct.unpack(">10H", header))
    header = header[:10] + struct.pack(">H", 0xFFFF - (total % 0xFFFF)) + header[12:]
    with networks.switch.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as theirs:
        theirs.bind(("outside", 0x0800))
        neighbour = theirs.getsockname()[4]
    with networks.customer.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as raw:
        raw.sendto(header + udp, ("line", 0x0800, 0, 0, neighbour))
    await until(lambda: talk.figures()[0].foreign == before + 1)
    assert talk.callee.rtp.taken() == []


async def test_a_key_is_reported_and_taken_out_of_a_stream_that_the_kernel_forwards(talk: Talk) -> None:
    pressed: list[tuple[int, str, int]] = []
    talk.relay.key_pressed = lambda *key: pressed.append(key)
    talk.relay.report_keys(talk.of_caller, are_reported=True, are_taken=True)
    await talk.is_forwarded_by_the_kernel()
    await talk.arrives()
    talk.callee.rtp.taken()
    for duration, end in ((160, 0), (800, 0x80)):
        body = bytes((11, end | 10)) + duration.to_bytes(2, "big")
        talk.caller.rtp.sock.send(rtp(talk.caller.rtp.sequence, 5, payload=101, ssrc=1, body=body))
        talk.caller.rtp.sequence += 1
    await until(lambda: bool(pressed))
    assert pressed == [(talk.of_caller.id, "#", 100)]
    talk.caller.send()
    await until(lambda: talk.callee.rtp.has(1))
    assert len(talk.callee.rtp.taken()) == 1
    assert talk.figures()[0].lost == 0


async def test_a_stream_comes_back_to_the_kernel_behind_a_warning_of_the_end(talk: Talk) -> None:
    await talk.is_forwarded_by_the_kernel()
    assert talk.relay.warn(talk.of_caller, -1, {})

    def has_heard_all() -> bool:
        talk.caller.rtp.taken()
        return sum(max(linear(each[12:], "PCMU")) > 7_000 for each in talk.caller.rtp.all_received) == 30

    await talk.talks_until(has_heard_all)
    await talk.is_forwarded_by_the_kernel()
    talk.caller.rtp.taken()
    numbers = [HEADER.unpack_from(each)[2] for each in talk.caller.rtp.all_received]
    assert numbers == list(range(1_000, 1_000 + len(numbers)))
    assert [each.lost for each in talk.figures()] == [0, 0]


async def test_packets_of_ipv6_and_without_a_check_sum_are_forwarded_as_well(
    stage: RelayStage, networks: TwoNetworks, talk: Talk
) -> None:
    talk6 = Talk(stage, networks, (CUSTOMER6, SWITCH6, SWITCH6_OF_VENDOR, VENDOR6))
    talk.caller.rtp.sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    talk6.caller.rtp.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
    await asyncio.gather(talk.is_forwarded_by_the_kernel(), talk6.is_forwarded_by_the_kernel())
    await talk.arrives()
    await talk6.arrives()
    assert (elements(), elements("streams6")) == (2, 2)
    talk6.close()


async def test_a_worker_that_is_killed_leaves_no_table_and_its_successor_goes_on(stage: RelayStage, talk: Talk) -> None:
    await talk.is_forwarded_by_the_kernel()
    before, worker = rules(), stage.relay.links[0].pid
    os.kill(worker, signal.SIGKILL)
    await until(lambda: str(worker) not in rules())
    await talk.is_forwarded_by_the_kernel()
    assert before not in rules()
    await talk.arrives()


async def test_a_stream_whose_way_is_another_one_by_now_is_taken_back(talk: Talk, networks: TwoNetworks) -> None:
    await talk.is_forwarded_by_the_kernel()
    networks.switch.run("ip", "route", "add", "prohibit", f"{VENDOR}/32")
    await until(lambda: not elements())
    networks.switch.run("ip", "route", "delete", "prohibit", f"{VENDOR}/32")
    await talk.is_forwarded_by_the_kernel()
    assert elements() == 2


TRANSLATION = """\
table {family} translating {{
  chain in {{
    type nat hook prerouting priority dstnat;
    {family} daddr {outer} udp dport 30500-30599 dnat to {inner}
  }}
}}
"""


@pytest.mark.parametrize(
    ("hosts", "outer"),
    [
        ((CUSTOMER, SWITCH, SWITCH_OF_VENDOR, VENDOR), "203.0.113.9"),
        ((CUSTOMER6, SWITCH6, SWITCH6_OF_VENDOR, VENDOR6), "2001:db8:2::9"),
    ],
)
async def test_a_stream_whose_addresses_this_machine_translates_stays_with_the_worker(
    stage: RelayStage, networks: TwoNetworks, talk: Talk, hosts: tuple[str, str, str, str], outer: str
) -> None:
    """A receiver behind it takes no packets from the address before the translation."""
    run, family, bits = networks.switch.run, *(("ip6", 64) if ":" in outer else ("ip", 24))
    run("ip", "address", "add", f"{outer}/{bits}", "dev", "inside", *(("nodad",) if ":" in outer else ()))
    run("nft", "-f", "-", lines=TRANSLATION.format(family=family, outer=outer, inner=hosts[2]))
    translated = Talk(stage, networks, hosts)
    translated.callee.rtp.sock.connect((outer, translated.of_callee.rtp))
    translated.callee.port = replace(translated.of_callee, host=outer)
    translated.callee.send(3)  # these are the first of their flow
    try:
        await translated.talks_until(lambda: all(each.packets_in > 60 for each in translated.figures()))
        await asyncio.gather(
            translated.talks_until(lambda: talk.figures()[0].forwarded > 100),
            talk.talks_until(lambda: talk.figures()[0].forwarded > 100),
        )
        await translated.arrives()
        assert [each.forwarded for each in translated.figures()] == [0, 0]
    finally:
        translated.close()
        run("nft", "delete", "table", family, "translating")
        run("ip", "address", "delete", f"{outer}/{bits}", "dev", "inside")


async def test_a_frame_to_another_machine_is_not_forwarded(talk: Talk, networks: TwoNetworks) -> None:
    await talk.is_forwarded_by_the_kernel()
    await talk.arrives()
    talk.callee.rtp.taken()
    mac = hardware_address("outside")
    other = bytes((2, 0, 0, 0, 0, 9))
    with networks.customer.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as line:
        line.bind(("line", 0))
        for receiver, stamp in ((other, 111), (mac, 222)):
            packet = rtp(talk.caller.rtp.sequence, stamp, ssrc=1)
            line.send(receiver + other + b"\x08\x00" + udp(talk.caller.rtp.sock, packet))
    await until(lambda: talk.callee.rtp.has(1))
    assert [int.from_bytes(data[4:8], "big") for data in talk.callee.rtp.taken()] == [222]


def hardware_address(device: str) -> bytes:
    told = subprocess.run(("ip", "-j", "link", "show", device), capture_output=True, check=True).stdout
    return bytes.fromhex(json.loads(told)[0]["address"].replace(":", ""))


def udp(sock: socket.socket, body: bytes) -> bytes:
    """Return a packet of IPv4 as a connected socket sends it, without a check sum of UDP."""
    own, peer = sock.getsockname(), sock.getpeername()
    addresses = socket.inet_aton(own[0]) + socket.inet_aton(peer[0])
    start = struct.pack(">BBHHHBB", 0x45, 0, 28 + len(body), 0, 0, 64, socket.IPPROTO_UDP)
    total = sum(struct.unpack(">9H", start + addresses))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return start + struct.pack(">H", total) + addresses + struct.pack(">4H", own[1], peer[1], 8 + len(body), 0) + body


async def test_a_machine_with_policies_of_ipsec_leaves_streams_to_the_worker(talk: Talk, networks: TwoNetworks) -> None:
    await talk.is_forwarded_by_the_kernel()
    policy = ("src", "192.0.2.0/24", "dst", f"{VENDOR}/32", "dir", "out")
    networks.switch.run("ip", "xfrm", "policy", "add", *policy, "action", "block")
    try:
        await until(lambda: "vosd" not in rules())
        networks.switch.run("ip", "xfrm", "policy", "delete", *policy)
        await talk.arrives()
        forwarded = [each.forwarded for each in talk.figures()]
        await talk.talks_until(lambda: all(each.packets_in > 200 for each in talk.figures()))
        assert [each.forwarded for each in talk.figures()] == forwarded
    finally:
        networks.switch.run("ip", "xfrm", "policy", "flush")


@pytest.mark.parametrize(
    ("hosts", "bound"),
    [
        ((CUSTOMER, SWITCH, SWITCH_OF_VENDOR, VENDOR), "0.0.0.0"),
        ((CUSTOMER6, SWITCH6, SWITCH6_OF_VENDOR, VENDOR6), "::"),
    ],
)
async def test_a_stream_of_ports_at_all_addresses_is_forwarded_where_its_packets_come_to(
    stage: RelayStage, networks: TwoNetworks, hosts: tuple[str, str, str, str], bound: str
) -> None:
    talk = Talk(stage, networks, hosts, bound)
    await talk.is_forwarded_by_the_kernel()
    assert elements("streams6" if bound == "::" else "streams") == 2
    await talk.arrives()
    talk.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine have time for each change."""
    monkeypatch.setattr("vosd.relay.table_changes.PATIENCE_S", PATIENCE_S)


@pytest.mark.usefixtures("networks", "patient")
def test_all_streams_of_a_worker_are_taken_back_at_once_with_their_counts() -> None:
    tables = [StreamTable(), StreamTable()]  # two workers may have one process number, in containers
    ways = (Route(1, bytes(16)), Route(1, bytes(16)))
    streams = [
        kernel_stream(("fd00::1", port), ("fd01::1", port), (0, 7), ("fd01::2", 6_000), ("fd00::2", 7_000), 0, ways)
        for port in range(1_000, 2_500)
    ]
    for start in range(0, len(streams), 50):
        tables[1].add(streams[start : start + 50])
    assert tables[1].remove(streams) == {each.key: 0 for each in streams}
    for table in tables:
        table.close()


@pytest.mark.usefixtures("networks", "patient")
async def test_streams_that_no_worker_takes_back_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed keeps its table as long as a thread of it waits for a disk."""
    monkeypatch.setattr("vosd.relay.stream_table.ABANDONED_MS", 2_000)
    table, ways = StreamTable(), (Route(1, bytes(4)), Route(1, bytes(4)))
    ended, later = (
        kernel_stream((VENDOR, port), (SWITCH, port), (0, 7), (SWITCH, 6_000), (CUSTOMER, 7_000), 0, ways)
        for port in (1_000, 2_000)
    )
    table.add([ended])
    await until(lambda: not elements())
    table.add([later])
    assert table.remove([ended, later]) == {later.key: 0}
    table.close()


@pytest.mark.usefixtures("networks", "patient")
async def test_streams_that_have_ended_by_themselves_are_removed_by_few_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each change that the kernel refuses lets the worker stand still for 10 ms."""
    monkeypatch.setattr("vosd.relay.stream_table.ABANDONED_MS", 1_000)
    table, ways = StreamTable(), (Route(1, bytes(4)), Route(1, bytes(4)))
    streams = [
        kernel_stream((VENDOR, port), (SWITCH, port), (0, 7), (SWITCH, 6_000), (CUSTOMER, 7_000), 0, ways)
        for port in range(1_000, 1_200)
    ]
    table.add(streams[:-1])
    await until(lambda: not elements())
    table.add(streams[-1:])
    change, changes = table._change, []
    monkeypatch.setattr(table, "_change", lambda *content: [changes.append(content), change(*content)][1])
    assert table.remove(streams) == {streams[-1].key: 0}
    assert len(changes) == 2
    table.close()


@pytest.mark.usefixtures("networks", "patient")
async def test_a_worker_does_not_wait_while_another_program_changes_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that loads a list of 60,000 networks has them to itself for half a minute."""
    lets_changes, request = Event(), Netlink.request
    lets_changes.set()

    def waiting(connection: Netlink, messages: Sequence[bytes]) -> list[Message]:
        assert lets_changes.wait(PATIENCE_S)
        return request(connection, messages)

    table, ways = StreamTable(), (Route(1, bytes(4)), Route(1, bytes(4)))
    ended, removed, added = (
        kernel_stream((VENDOR, port), (SWITCH, port), (0, 7), (SWITCH, 6_000), (CUSTOMER, 7_000), 0, ways)
        for port in (1_000, 2_000, 3_000)
    )
    monkeypatch.setattr(Netlink, "request", waiting)
    table.add([removed])  # the other one is as if it had ended by itself
    for change in (table.remove, table.add):
        lets_changes.clear()
        monkeypatch.setattr("vosd.relay.table_changes.PATIENCE_S", 0.01)
        assert not change([added] if change == table.add else [ended, removed])
        table.forget(None)  # of devices that are gone
        assert table.is_waiting
        assert table.settled() == {}
        monkeypatch.setattr("vosd.relay.table_changes.PATIENCE_S", PATIENCE_S)
        lets_changes.set()
        counts: dict[bytes, int] = {}
        await until(lambda counts=counts: counts.update(table.settled()) or not table.is_waiting)
        assert counts == ({} if change == table.add else {removed.key: 0})
    assert table.remove([added]) == {added.key: 0}
    table.close()


@pytest.mark.usefixtures("networks")
async def test_a_device_that_goes_while_its_change_waits_leaves_the_table_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before 6.16 the kernel sees the packets of no device that there is not."""
    table, lets_changes = StreamTable(), Event()
    await until(lambda: not table.settled() and not table.is_waiting)

    def refusing(_connection: Netlink, _messages: Sequence[bytes]) -> list[Message]:
        assert lets_changes.wait(PATIENCE_S)
        raise FileNotFoundError(errno.ENOENT, "no device")

    monkeypatch.setattr(Netlink, "request", refusing)
    table.hook(99, "gone")
    assert table.is_waiting
    lets_changes.set()
    await until(lambda: not table.settled() and not table.is_waiting)
    monkeypatch.setattr("vosd.relay.table_changes.PATIENCE_S", PATIENCE_S)
    with pytest.raises(FileNotFoundError):
        table.hook(98, "gone")
    table.close()


@pytest.mark.usefixtures("networks", "patient")
def test_a_change_that_is_refused_leaves_nothing_behind() -> None:
    """A worker collects no garbage."""
    table, ways = StreamTable(), (Route(1, bytes(4)), Route(1, bytes(4)))
    ended = kernel_stream((VENDOR, 1_000), (SWITCH, 1_000), (0, 7), (SWITCH, 6_000), (CUSTOMER, 7_000), 0, ways)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            assert table.remove([ended]) == {}
        # The thread has the last one until there is another.
        assert sum(isinstance(each, TableChange) for each in gc.get_objects()) <= 1
    finally:
        gc.enable()
    table.close()


@pytest.mark.usefixtures("networks")
async def test_a_table_is_closed_without_the_worker_while_another_program_changes_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel lets each connection of netfilter that is closed wait, too."""
    table, lets_changes, closed, close = StreamTable(), Event(), list[Netlink](), Netlink.close

    def waiting(connection: Netlink) -> None:
        assert lets_changes.wait(PATIENCE_S)
        close(connection)
        closed.append(connection)

    monkeypatch.setattr(Netlink, "close", waiting)
    table.close()
    assert closed == []
    lets_changes.set()
    await until(lambda: len(closed) == 3)


@pytest.fixture
def routes(networks: TwoNetworks) -> Iterator[KernelRoutes]:
    """Routes of a switch which reaches ``BEYOND`` by its customers."""
    run = networks.switch.run
    run("ip", "route", "add", f"{BEYOND}/32", "via", CUSTOMER)
    routes = KernelRoutes()
    yield routes
    routes.close()
    run("ip", "route", "delete", f"{BEYOND}/32")


def device_of(route: Route | None) -> str | None:
    return None if route is None else socket.if_indextoname(route.device)


def test_no_stream_is_forwarded_by_a_route_that_puts_packets_into_others(
    networks: TwoNetworks, routes: KernelRoutes
) -> None:
    assert routes.find((SWITCH, 4_000), (BEYOND, 5_000)) is not None
    wrapped = ("ip", "route", "replace", f"{BEYOND}/32", "encap", "ip", "id", "1", "dst", VENDOR, "dev", "inside")
    networks.switch.run(*wrapped)
    assert routes.find((SWITCH, 4_000), (BEYOND, 5_000)) is None


@pytest.fixture(
    params=[
        "ipproto udp sport 4000-4999",
        "dport 5000",
        "iif lo dport 5000",
        "tos 0x10",
        "fwmark 7",
        "fwmark 0/7",
        "iif lo fwmark 7",
        "iif outside fwmark 7",
    ]
)
def rule(networks: TwoNetworks, routes: KernelRoutes, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return what a rule chooses by, and let packets to ``BEYOND`` leave by the vendors then."""
    run, chosen_by = networks.switch.run, str(request.param)
    assert device_of(routes.find((SWITCH, 4_000), (BEYOND, 5_000), 0x10)) == "outside"
    run("ip", "route", "add", f"{BEYOND}/32", "via", VENDOR, "table", "100")
    run("ip", "rule", "add", *chosen_by.split(), "lookup", "100")
    routes.read_changes()
    yield chosen_by
    run("ip", "rule", "delete", *chosen_by.split(), "lookup", "100")
    run("ip", "route", "flush", "table", "100")
    routes.read_changes()
    assert routes.kind_of(4_000, 5_000) == routes.kind_of(3_000, 4_000)


def test_the_route_of_a_stream_is_that_by_which_the_worker_sends_its_packets(rule: str, routes: KernelRoutes) -> None:
    """A route that marks choose is not known."""
    devices = [
        device_of(routes.find((SWITCH, own), (BEYOND, peer), tos))
        for own, peer, tos in ((4_000, 5_000, 0x10), (3_000, 4_000, 0))
    ]
    unknown = [None, None]
    assert devices == {
        "fwmark 7": unknown,
        "fwmark 0/7": unknown,
        "iif lo fwmark 7": unknown,
        "iif outside fwmark 7": ["outside", "outside"],
    }.get(rule, ["inside", "outside"])
    assert (routes.kind_of(4_000, 5_000) != routes.kind_of(3_000, 4_000)) is ("port" in rule)
    assert routes.kind_of(4_000, 5_000) == routes.kind_of(4_999, 5_000)


def test_a_next_hop_that_is_replaced_beneath_a_route_is_a_change_of_routes(
    networks: TwoNetworks, routes: KernelRoutes
) -> None:
    """A kernel that need not be compatible says nothing of the routes themselves."""
    run = networks.switch.run
    far = "192.0.2.2"
    way = (SWITCH, 4_000), (far, 5_000)
    run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/nexthop_compat_mode")
    run("ip", "nexthop", "add", "id", "7", "dev", "inside")
    run("ip", "route", "add", f"{far}/32", "nhid", "7")
    routes.read_changes()
    assert device_of(routes.find(*way)) == "inside"
    assert select.select([routes.descriptor], [], [], 0)[0] == []
    run("ip", "nexthop", "replace", "id", "7", "dev", "outside")
    try:
        assert select.select([routes.descriptor], [], [], 0)[0] == [routes.descriptor]
        assert device_of(routes.find(*way)) == "outside"
    finally:
        run("ip", "nexthop", "delete", "id", "7")
        run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/nexthop_compat_mode")


@pytest.mark.parametrize(("mtu", "device"), [("1500", "inside"), ("1499", None)])
def test_a_route_that_divides_usual_packets_is_none_for_the_kernel(
    networks: TwoNetworks, routes: KernelRoutes, mtu: str, device: str | None
) -> None:
    far = "192.0.2.2"
    networks.switch.run("ip", "route", "add", f"{far}/32", "dev", "inside", "mtu", mtu)
    try:
        assert device_of(routes.find((SWITCH, 4_000), (far, 5_000))) == device
    finally:
        networks.switch.run("ip", "route", "delete", f"{far}/32")


def test_each_address_of_a_device_is_one_of_this_machine(networks: TwoNetworks) -> None:
    """Packets to the second one have the first as their source."""
    addresses = "198.18.7.1", "198.18.7.2"
    for each in addresses:
        networks.switch.run("ip", "address", "add", f"{each}/24", "dev", "inside")
    assert [KnownReaches().is_here(each) for each in (*addresses, SWITCH6)] == [True, True, True]
    assert [KnownReaches().is_here(each) for each in (VENDOR, VENDOR6, "198.18.7.3", "192.0.2.1")] == [False] * 4
    for each in reversed(addresses):
        networks.switch.run("ip", "address", "delete", f"{each}/24", "dev", "inside")


@pytest.mark.usefixtures("networks")
def test_the_right_to_change_the_network_is_all_that_offload_needs() -> None:
    unprivileged = ("--reuid=65534", "--regid=65534", "--clear-groups")
    given = ("--inh-caps=+net_admin", "--ambient-caps=+net_admin")
    program = "from vosd.relay.offload import Offload; Offload(); print('made')"
    results = [
        subprocess.run(
            ("setpriv", *unprivileged, *rights, sys.executable, "-c", program),
            capture_output=True,
            text=True,
            check=False,
        )
        for rights in (given, ())
    ]
    assert results[0].stdout == "made\n", results[0].stderr
    assert "PermissionError: [Errno 1]" in results[1].stderr


async def test_the_log_says_once_why_the_kernel_forwards_nothing_and_what_to_do(tmp_path: Path) -> None:
    stage = RelayStage(tmp_path, SWITCH, are_offloaded=True)
    with capture_logs() as lines:
        for _ in range(2):
            stage.relay._not_offloaded(OffloadFailed(1, "Operation not permitted"))
    (line,) = lines
    assert (line["event"], line["error"]) == ("media_offload_unavailable", "Operation not permitted")
    assert "CAP_NET_ADMIN" in line["remedy"]
