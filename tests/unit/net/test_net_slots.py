"""Connection limits of gateways, unknown and authenticated sources, and what keeps a connection open."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from types import SimpleNamespace

import pytest
from doubles.turns import until
from doubles.virtual import probe
from doubles.virtual.probe import SDP, Keeper, Probe, request
from structlog.testing import capture_logs

from vosd.net import connection as patience
from vosd.net.connection import PeerEnd
from vosd.net.settings import ConnectionLimits, TransportSettings
from vosd.net.shield import ShieldSettings
from vosd.net.slots import ConnectionOrigin, ConnectionSlots
from vosd.net.tls import TlsContexts
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.settings import SipSettings
from vosd.sip.wire.classify import MessageKind
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message
from vosd.sip.wire.stream import PONG

from .conftest import UNKNOWN_SOURCE, Vendor, connections

INVITE = request(body=SDP)
OPTIONS = request("OPTIONS")
BYE = request("BYE", to="<sip:4420@192.0.2.1>;tag=ours")
RINGING = (
    b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKmarktoken1\r\nFROM: <sip:1@h>;tag=ours\r\n"
    b"To: <sip:2@h>;tag=theirs\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
OTHER_UNKNOWN_SOURCE = "127.0.0.67"


class OwnConnection:
    """A connection of ours to a place that no gateway has."""

    def __init__(self, slots: ConnectionSlots, host: str) -> None:
        self._slots = slots
        self._host = host
        self.is_unused = False
        self.is_closed = False
        slots.opened(self, host)

    def close(self) -> None:
        self.is_closed = True
        self._slots.closed(self, self._host)
        self._slots.give_back(ConnectionOrigin.ELSEWHERE, self._host)


class Attempt:
    """A connection of ours to such a place that is being opened."""

    is_unused = True

    def __init__(self, slots: ConnectionSlots, host: str) -> None:
        self._slots = slots
        self._host = host
        self.is_closed = False
        assert slots.take(ConnectionOrigin.ELSEWHERE, host, 0.0) is None
        slots.opening(self, host, self.close)

    def succeed(self) -> None:
        self.is_unused = False
        self._slots.opened(self, self._host)

    def close(self) -> None:
        self.is_closed = True
        self._slots.closed(self, self._host)
        self._slots.give_back(ConnectionOrigin.ELSEWHERE, self._host)


class ManualTimer:
    """A timer of ``ManualClock``."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.at = float("inf")


class ManualClock:
    """The time and the timers of connections, moved by the test: a busy machine cannot let a time limit pass."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._timers: list[ManualTimer] = []

    def time(self) -> float:
        return self._now

    def call_at(self, at: float, callback: Callable[[], None]) -> ManualTimer:
        self._timers.append(ManualTimer(at, callback))
        return self._timers[-1]

    def advance(self, by_s: float) -> None:
        self._now += by_s
        due = [timer for timer in self._timers if timer.at <= self._now]
        self._timers = [timer for timer in self._timers if timer.at > self._now]
        for timer in due:
            timer.callback()


@pytest.fixture
def core() -> Probe:
    """Give a core that has one dialog, and has sent one INVITE."""
    found = Probe(SipSettings(answers_unknown_sources=True))
    found.call_vendor(Keeper())
    found.endpoint.dialogs.adopt("ours", keeper_of("ours"))
    return found


def keeper_of(tag: str) -> Keeper:
    """Give the owner of a dialog with the peer that sends INVITE and BYE."""
    owner, invite = Keeper(), parse_message(INVITE)
    assert isinstance(invite, Request)
    owner.dialog = Dialog.of_caller(invite, tag, probe.CUSTOMER, probe.straight)
    return owner


async def test_one_source_may_have_only_so_many_connections(opened, connect):
    node = await opened(settings=connections(per_source=2))
    for _ in range(2):
        peer = await connect(node.address(), "127.0.0.2")
        peer.writer.write(OPTIONS)
        await node.ear.message()
    assert await (await connect(node.address(), "127.0.0.2")).is_closed()
    other = await connect(node.address(), "127.0.0.3")
    other.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == other.address
    peer.writer.close()
    await until(lambda: node.transports.connections == 2)
    again = await connect(node.address(), "127.0.0.2")
    again.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == again.address


async def test_unknown_sources_cannot_use_up_the_slots_of_gateways(opened, connect):
    node = await opened(settings=connections(unknown=1))
    first = await connect(node.address(), UNKNOWN_SOURCE)
    first.writer.write(OPTIONS)
    await node.ear.message()
    await connect(node.address(), UNKNOWN_SOURCE)
    assert await first.is_closed(), "its slot is that of the second one"
    gateway = await connect(node.address())
    gateway.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == gateway.address
    assert node.transports.connections == 2


async def test_one_unknown_source_leaves_slots_to_others(opened, connect):
    node = await opened(settings=connections(unknown=3, unknown_per_source=2))
    node.ear.unknown_sources.add("127.0.0.67")
    held = [await connect(node.address(), UNKNOWN_SOURCE) for _ in range(2)]
    for peer in held:
        peer.writer.write(OPTIONS)
        await node.ear.message()
    with capture_logs() as logs:
        assert await (await connect(node.address(), UNKNOWN_SOURCE)).is_closed()
    assert "max_unknown_per_source" in logs[0]["why"]
    other = await connect(node.address(), "127.0.0.67")
    other.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == other.address
    held[0].writer.close()
    await until(lambda: node.transports.connections == 2)
    again = await connect(node.address(), UNKNOWN_SOURCE)
    again.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == again.address


@pytest.mark.parametrize("is_new", [True, False], ids=["a new connection", "an open connection"])
async def test_phones_behind_the_address_of_one_that_has_registered_are_served_at_once(opened, connect, is_new):
    node = await opened(settings=TransportSettings(shield=ShieldSettings(unknown_rate=1, unknown_burst=2)))
    first = await connect(node.address(), UNKNOWN_SOURCE)
    for _ in range(2):
        first.writer.write(OPTIONS)
        await node.ear.message()
    node.ear.unknown_sources.discard(UNKNOWN_SOURCE)
    if is_new:
        neighbour = await connect(node.address(), UNKNOWN_SOURCE)
    else:
        first.writer.write(PONG * 2)  # by these it is looked up
        assert await first.read(2) == PONG
        neighbour = first
    for _ in range(5):
        neighbour.writer.write(OPTIONS)
        assert (await node.ear.message())[2] == neighbour.address
    assert not node.ear.dropped


@pytest.mark.parametrize("blank", [PONG, PONG * 2], ids=["one blank line", "a keep-alive"])
async def test_blank_lines_do_not_keep_the_connection_of_an_unknown_source(opened, connect, monkeypatch, blank):
    monkeypatch.setattr(patience, "MESSAGE_S", 0.2)
    node = await opened(settings=connections(idle_ms=200))
    silent, talking = await connect(node.address(), UNKNOWN_SOURCE), await connect(node.address(), UNKNOWN_SOURCE)
    talking.writer.write(OPTIONS)
    await node.ear.message()
    assert await asyncio.gather(*(peer.is_closed_despite(blank) for peer in (silent, talking))) == [True, True]
    await until(lambda: node.transports.connections == 0)


async def test_an_authenticated_source_is_kept_by_blank_lines_and_counts_as_known(opened, connect, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    monkeypatch.setattr(patience, "MESSAGE_S", 0.2)
    node = await opened(settings=connections(unknown=1, idle_ms=200))
    node.ear.unknown_sources.add("127.0.0.67")
    node.ear.on_receive = lambda *_: node.ear.unknown_sources.discard(UNKNOWN_SOURCE)
    phone = await connect(node.address(), UNKNOWN_SOURCE)
    phone.writer.write(OPTIONS)
    await node.ear.message()
    for _ in range(5):
        clock.advance(0.15)
        phone.writer.write(PONG * 2)
        assert await phone.read(2) == PONG
    unknown = await connect(node.address(), "127.0.0.67")
    unknown.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == unknown.address
    phone.writer.write(INVITE)
    assert await node.ear.message() == (0, INVITE, phone.address)
    clock.advance(0.25)
    assert await phone.is_closed()


@pytest.mark.parametrize(
    "limits", [ConnectionLimits(unknown_rate_per_source=1), ConnectionLimits(unknown_rate=1)], ids=["source", "all"]
)
async def test_new_connections_of_unknown_sources_are_limited_by_rate(opened, connect, limits):
    """Each connection costs a task, over TLS a handshake; a gateway's are not counted."""
    node = await opened(settings=TransportSettings(connections=limits))
    for _ in range(2):
        peer = await connect(node.address(), UNKNOWN_SOURCE)
        peer.writer.write(OPTIONS)
        await node.ear.message()
    assert await (await connect(node.address(), UNKNOWN_SOURCE)).is_closed()
    for _ in range(5):
        peer = await connect(node.address())
        peer.writer.write(OPTIONS)
        await node.ear.message()


def test_an_office_may_shake_hands_at_once_and_a_flood_of_handshakes_is_bounded():
    """Each handshake costs a millisecond in which calls wait; what needs none is not counted."""
    slots = ConnectionSlots(ConnectionLimits())

    def begun(host: str, number: int, now: float, *, is_tls: bool = True) -> list[str | None]:
        return [slots.take(ConnectionOrigin.GATEWAY, host, now, is_tls=is_tls) for _ in range(number)]

    assert begun("192.0.2.1", 201, 1.0) == [None] * 200 + ["tls_rate_per_source"]
    assert begun("192.0.2.1", 101, 2.0) == [None] * 100 + ["tls_rate_per_source"]
    assert begun("192.0.2.1", 300, 2.0, is_tls=False) == [None] * 300
    assert begun("192.0.2.2", 201, 9.0) == [None] * 200 + ["tls_rate_per_source"]
    assert begun("192.0.2.3", 201, 9.0) == [None] * 200 + ["tls_rate_per_source"]
    assert begun("192.0.2.4", 1, 9.0) == ["tls_rate"]
    trunk = ConnectionOrigin.GATEWAY, "192.0.2.5", 9.0
    found = [slots.take(*trunk, is_tls=True, is_trunk=True) for _ in range(201)]
    assert found == [None] * 200 + ["tls_rate_per_source"], "phones that come back keep out no trunk"


@pytest.mark.parametrize("network", ["203.0.113.{}", "2001:db8:1:{}::1"])
def test_the_owner_of_a_network_leaves_half_of_the_new_connections_to_the_phones_of_others(network):
    slots = ConnectionSlots(ConnectionLimits())
    flood = [slots.take(ConnectionOrigin.UNKNOWN, network.format(number), 1.0) for number in range(1, 61)]
    assert flood == [None] * 50 + ["unknown_rate"] * 10
    for phone in ("198.51.100.7", "2001:db8:2::7"):
        assert slots.take(ConnectionOrigin.UNKNOWN, phone, 1.0) is None
    flood = [slots.take(ConnectionOrigin.UNKNOWN, network.format(number), 2.0) for number in range(101, 161)]
    assert flood == [None] * 25 + ["unknown_rate"] * 35


def test_of_the_connections_of_an_unknown_source_the_one_without_a_message_for_longest_ends_first():
    slots = ConnectionSlots(ConnectionLimits(most_unknown=3))
    ended: list[str] = []
    for name in ("one", "two", "three"):
        assert slots.take(ConnectionOrigin.UNKNOWN, "203.0.113.1", 1.0) is None
        slots.offer(name, "203.0.113.1", lambda name=name: ended.append(name) or True)
    slots.used("one", "203.0.113.1")
    slots.used("another", "198.51.100.7")
    assert [slots.take(ConnectionOrigin.UNKNOWN, "198.51.100.7", 1.0) for _ in range(2)] == [None, None]
    assert ended == ["two", "three"]


@pytest.mark.parametrize("network", ["203.0.113.{}", "2001:db8:1:{}::1"])
def test_a_network_of_many_sources_ends_its_own_connections_for_further_ones(network):
    """The connection of a phone that came first stays, though each source has one."""
    slots = ConnectionSlots(ConnectionLimits(most_unknown=4))
    ended: list[str] = []

    def opens(host: str) -> str | None:
        def end() -> bool:
            ended.append(host)
            slots.give_back(ConnectionOrigin.UNKNOWN, host)
            return True

        full = slots.take(ConnectionOrigin.UNKNOWN, host, 1.0)
        if full is None:
            slots.offer(object(), host, end)
        return full

    first = "198.51.100.7"
    assert [opens(host) for host in (first, *(network.format(number) for number in range(1, 7)))] == [None] * 7
    assert ended == [network.format(number) for number in (1, 2, 3)]


async def test_an_unknown_source_that_sends_too_much_is_disconnected(opened, connect):
    node = await opened(settings=TransportSettings(shield=ShieldSettings(unknown_burst=2)))
    peer = await connect(node.address(), UNKNOWN_SOURCE)
    peer.writer.write(OPTIONS * 5)
    assert await peer.is_closed()
    assert node.ear.messages == 2


async def test_the_connection_of_an_unknown_source_can_be_closed(opened, connect):
    node = await opened()
    node.ear.on_receive = lambda flow, data, source: node.transports.hang_up(flow, *source, "unknown source")
    peer = await connect(node.address(), UNKNOWN_SOURCE)
    peer.writer.write(OPTIONS * 3)
    assert await peer.is_closed()
    assert node.ear.messages == 1


# -- when the slots are full --------------------------------------------------------------------------------------


async def test_an_unknown_source_with_many_silent_connections_keeps_no_other_one_out(opened, connect):
    """The connection without a message for longest is ended, and none of a source with fewer connections."""
    node = await opened(settings=connections(unknown=4))
    node.ear.unknown_sources |= {OTHER_UNKNOWN_SOURCE, "127.0.0.68"}
    few = await connect(node.address(), OTHER_UNKNOWN_SOURCE)
    many = [await connect(node.address(), UNKNOWN_SOURCE) for _ in range(3)]
    for peer in (few, many[1], many[0], many[2], many[1]):
        peer.writer.write(OPTIONS)
        await node.ear.message()
    phone = await connect(node.address(), "127.0.0.68")
    phone.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == phone.address
    assert await node.ear.parting() == (0, many[0].address)
    for peer in (few, many[1], many[2], phone):
        peer.writer.write(OPTIONS)
        assert (await node.ear.message())[2] == peer.address


@pytest.mark.parametrize("message", [BYE, RINGING], ids=["request", "response"])
async def test_a_connection_is_ended_for_no_other_one_while_it_has_a_call(opened, connect, core, message):
    node = await opened(settings=connections(unknown=1))
    node.ear.use(core.endpoint)
    node.ear.unknown_sources.add(OTHER_UNKNOWN_SOURCE)
    peer = await connect(node.address(), UNKNOWN_SOURCE)
    peer.writer.write(message)
    await node.ear.message()
    with capture_logs() as logs:
        assert await (await connect(node.address(), OTHER_UNKNOWN_SOURCE)).is_closed()
    assert "limit max_unknown of" in logs[0]["why"]
    peer.writer.write(BYE)
    assert (await node.ear.message())[2] == peer.address
    core.endpoint.dialogs.clear()
    phone = await connect(node.address(), OTHER_UNKNOWN_SOURCE)
    phone.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == phone.address
    assert await peer.is_closed()


async def test_a_connection_whose_peer_is_known_by_now_is_ended_for_no_other_one(opened, connect):
    """Others behind the address have registered in the meantime, which leaves slots free."""
    node = await opened(settings=connections(unknown=3))
    node.ear.unknown_sources |= {OTHER_UNKNOWN_SOURCE, "127.0.0.68"}
    office = [await connect(node.address(), UNKNOWN_SOURCE) for _ in range(2)]
    other = await connect(node.address(), OTHER_UNKNOWN_SOURCE)
    for peer in (*office, other):
        peer.writer.write(OPTIONS)
        await node.ear.message()
    node.ear.unknown_sources.discard(UNKNOWN_SOURCE)
    new = await connect(node.address(), "127.0.0.68")
    for peer in (new, other, *office):
        peer.writer.write(OPTIONS)
        assert (await node.ear.message())[2] == peer.address
    assert node.transports.connections == 4


@pytest.mark.parametrize("refusal", ["stateless", "with a transaction"])
async def test_the_ack_of_a_refusal_keeps_no_connection(opened, connect, core, monkeypatch, refusal):
    """Any host can have its INVITE refused, and send the ACK."""
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened(settings=connections(unknown=1, idle_ms=3_600_000))
    node.ear.use(core.endpoint)
    node.ear.unknown_sources.add(OTHER_UNKNOWN_SOURCE)
    tag = core.endpoint.flows.refusal_tag
    if refusal != "stateless":
        tag = "refused"
        core.receive(INVITE, probe.UNKNOWN_SOURCE).transaction.respond(403, tag, "", core.now)
    ack = request("ACK", to=f"<sip:4420@192.0.2.1>;tag={tag}")
    assert core.endpoint.belongs(MessageKind.WITHIN, ack)
    for source in (UNKNOWN_SOURCE, OTHER_UNKNOWN_SOURCE):  # the second one takes the slot of the first
        peer = await connect(node.address(), source)
        peer.writer.write(ack)
        assert (await node.ear.message())[2] == peer.address
    with capture_logs() as logs:
        clock.advance(patience.PROOF_S)
        assert await peer.is_closed()
    assert [line["why"] for line in logs] == ["the peer has not authenticated"]


async def test_the_connection_of_a_call_is_closed_some_time_after_its_end(opened, connect, core, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened(settings=connections(idle_ms=3_600_000))
    node.ear.use(core.endpoint)
    peer = await connect(node.address(), UNKNOWN_SOURCE)
    peer.writer.write(BYE)
    await node.ear.message()
    for _ in range(30):
        clock.advance(patience.PROOF_S)
    core.endpoint.dialogs.clear()
    clock.advance(patience.PROOF_S - 1)
    peer.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == peer.address
    with capture_logs() as logs:
        clock.advance(1)
        assert await peer.is_closed()
    assert not logs, "the far end of a call has done nothing wrong"


@pytest.mark.parametrize(
    "other", [(b"in@192.0.2.10", b"chosen"), (b"tag=theirs", b"tag=chosen")], ids=["Call-ID", "tag of the peer"]
)
async def test_a_tag_of_ours_alone_keeps_no_connection(opened, connect, core, other):
    node = await opened(settings=connections(unknown=1))
    node.ear.use(core.endpoint)
    node.ear.unknown_sources.add(OTHER_UNKNOWN_SOURCE)
    forger = await connect(node.address(), UNKNOWN_SOURCE)
    forger.writer.write(BYE.replace(*other))
    await node.ear.message()
    phone = await connect(node.address(), OTHER_UNKNOWN_SOURCE)
    phone.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == phone.address
    assert await forger.is_closed()


async def test_a_call_keeps_the_two_connections_that_brought_its_last_messages(opened, connect, core, monkeypatch):
    """A peer of a dialog can send messages of it from any number of addresses."""
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened(settings=connections(unknown=3, idle_ms=3_600_000))
    node.ear.use(core.endpoint)
    node.ear.unknown_sources.add(OTHER_UNKNOWN_SOURCE)
    many = [await connect(node.address(), UNKNOWN_SOURCE) for _ in range(3)]
    for peer in (*many, many[0]):
        peer.writer.write(BYE)
        await node.ear.message()
    phone = await connect(node.address(), OTHER_UNKNOWN_SOURCE)
    phone.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == phone.address
    assert await many[1].is_closed()
    for _ in range(3):
        clock.advance(patience.PROOF_S)
    for peer in (many[0], many[2]):
        peer.writer.write(BYE)
        assert (await node.ear.message())[2] == peer.address
    many[2].writer.close()
    await node.ear.parting()
    last = await connect(node.address(), UNKNOWN_SOURCE)
    last.writer.write(BYE)
    await node.ear.message()
    node.ear.unknown_sources.discard(UNKNOWN_SOURCE)
    core.endpoint.dialogs.clear()
    clock.advance(patience.PROOF_S)
    assert not node.transports._far_ends._kept, "known peers keep no place"


async def test_a_connection_of_several_calls_is_kept_until_the_last_of_them_is_over(opened, connect, core, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened(settings=connections(idle_ms=3_600_000))
    node.ear.use(core.endpoint)
    dialogs = core.endpoint.dialogs
    peer = await connect(node.address(), UNKNOWN_SOURCE)
    for tag in ("ours", "second", "third"):
        dialogs.adopt(tag, keeper_of(tag))
        peer.writer.write(BYE.replace(b"tag=ours", b"tag=" + tag.encode()))
        await node.ear.message()
    for ended in ("third", "ours"):
        del dialogs.owners[ended]
        for _ in range(3):
            clock.advance(patience.PROOF_S)
        peer.writer.write(OPTIONS)
        assert (await node.ear.message())[2] == peer.address
    dialogs.clear()
    with capture_logs() as logs:
        clock.advance(patience.PROOF_S)
        assert await peer.is_closed()
    assert not logs, "the far end of a call has done nothing wrong"


async def test_a_handshake_that_does_not_go_on_is_ended_for_another_peer(opened, connect, authority):
    tls = TlsContexts(authority.server_context(authority.issue("full", "127.0.0.1")), authority.client_context())
    node = await opened(("tls", "127.0.0.1"), settings=connections(unknown=1), tls=tls)
    node.ear.unknown_sources.add(OTHER_UNKNOWN_SOURCE)
    mute = await connect(node.address(), UNKNOWN_SOURCE)
    await until(lambda: bool(node.transports._slots._unproven))
    options = {"ssl": authority.client_context(), "server_hostname": "127.0.0.1"}
    phone = await connect(node.address(), OTHER_UNKNOWN_SOURCE, **options)
    assert await mute.is_closed()
    phone.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == phone.address
    assert node.transports.connections == 1


async def test_a_peer_that_does_not_authenticate_is_disconnected_although_it_sends(opened, connect, core, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened()
    unproven = {UNKNOWN_SOURCE, OTHER_UNKNOWN_SOURCE, "127.0.0.68"}
    node.ear.unknown_sources |= unproven
    visitor, phone, far_end = [await connect(node.address(), source) for source in sorted(unproven)]
    for _ in range(3):
        for peer in (visitor, phone, far_end):
            peer.writer.write(OPTIONS)
            await node.ear.message()
        clock.advance(9)
    node.ear.use(core.endpoint)
    far_end.writer.write(BYE)
    await node.ear.message()
    node.ear.unknown_sources.discard(phone.address.host)
    with capture_logs() as logs:
        clock.advance(4)
        assert await visitor.is_closed()
    assert [line["why"] for line in logs] == ["the peer has not authenticated"]
    for peer in (phone, far_end):
        peer.writer.write(OPTIONS)
        assert (await node.ear.message())[2] == peer.address


def test_the_addresses_of_one_network_of_ipv6_are_one_source():
    slots = ConnectionSlots(ConnectionLimits(most_per_source=3))
    hosts = [f"2001:db8:1:1::{number}" for number in range(1, 5)]
    assert [slots.take(ConnectionOrigin.GATEWAY, host, 0.0) for host in hosts] == [None, None, None, "max_per_source"]
    assert slots.take(ConnectionOrigin.GATEWAY, "2001:db8:1:2::1", 0.0) is None
    slots.give_back(ConnectionOrigin.GATEWAY, hosts[0])
    assert slots.take(ConnectionOrigin.GATEWAY, hosts[3], 0.0) is None


def test_peers_leave_a_tenth_of_all_connections_to_the_switch():
    slots = ConnectionSlots(ConnectionLimits(most=20, unknown_rate=0, unknown_rate_per_source=0))
    assert slots.take(ConnectionOrigin.SWITCH, "192.0.2.1", 0.0) is None
    accepted = [slots.take(ConnectionOrigin.GATEWAY, "192.0.2.1", 0.0) for _ in range(17)]
    accepted += [slots.take(ConnectionOrigin.UNKNOWN, "192.0.2.2", 0.0) for _ in range(2)]
    assert accepted == [None] * 18 + ["max"]
    assert slots.take(ConnectionOrigin.SWITCH, "192.0.2.1", 0.0) is None
    assert slots.take(ConnectionOrigin.SWITCH, "192.0.2.1", 0.0) == "max"


def opened_elsewhere(slots: ConnectionSlots, *hosts: str) -> list[OwnConnection | str]:
    """Open a connection of ours to each host; give the limit where one is reached."""
    return [slots.take(ConnectionOrigin.ELSEWHERE, host, 0.0) or OwnConnection(slots, host) for host in hosts]


def test_the_switch_leaves_a_tenth_of_all_connections_to_its_peers():
    slots = ConnectionSlots(ConnectionLimits(most=20))
    assert [slots.take(ConnectionOrigin.SWITCH, "192.0.2.1", 0.0) for _ in range(19)] == [None] * 18 + ["max"]
    assert [slots.take(ConnectionOrigin.GATEWAY, "192.0.2.2", 0.0) for _ in range(3)] == [None, None, "max"]


@pytest.mark.parametrize(
    "hosts", [["192.0.2.1"] * 4, [f"2001:db8:1:1::{number}" for number in range(4)]], ids=["one address", "one network"]
)
def test_a_host_whose_ports_a_peer_names_gets_few_connections(hosts):
    slots = ConnectionSlots(ConnectionLimits(most_own_per_source=3))
    *opened, full = opened_elsewhere(slots, *hosts)
    assert full == "max_own_per_source"
    assert opened_elsewhere(slots, "192.0.2.2") != ["max_own_per_source"]
    assert slots.take(ConnectionOrigin.SWITCH, hosts[0], 0.0) is None, "the place of a gateway there"
    opened[1].is_unused = opened[2].is_unused = True
    slots.carried(opened[0])
    [another] = opened_elsewhere(slots, hosts[3])
    assert [each.is_closed for each in (*opened, another)] == [False, True, False, False]
    another.close()
    opened_elsewhere(slots, hosts[0])
    assert not opened[2].is_closed, "there was a slot"


def test_hosts_that_peers_name_leave_slots_to_gateways_and_a_host_with_many_keeps_none_out():
    slots = ConnectionSlots(ConnectionLimits(most=80))
    many = opened_elsewhere(slots, *["192.0.2.1"] * 3)
    [few] = opened_elsewhere(slots, "192.0.2.2")
    assert opened_elsewhere(slots, "192.0.2.1") == ["max"]
    [new] = opened_elsewhere(slots, "192.0.2.3")
    assert [each.is_closed for each in (*many, few, new)] == [True, False, False, False, False]
    assert opened_elsewhere(slots, "192.0.2.3") == ["max"], "the other host has no more than two"
    slots.carried(many[1])
    opened_elsewhere(slots, "192.0.2.4")
    assert [each.is_closed for each in (*many, few, new)] == [True, False, True, False, False], "the silent one"
    assert [slots.take(ConnectionOrigin.SWITCH, "192.0.2.9", 0.0) for _ in range(68)] == [None] * 68


def test_of_all_hosts_that_peers_name_the_connection_unused_for_longest_ends_first():
    slots = ConnectionSlots(ConnectionLimits(most=80))
    many = opened_elsewhere(slots, "192.0.2.1", "192.0.2.1")
    few = opened_elsewhere(slots, "192.0.2.2", "192.0.2.3")
    for each in (*few, *many):
        slots.carried(each)
    for each in few:
        each.is_unused = True
    slots.carried(few[0])
    [new] = opened_elsewhere(slots, "192.0.2.4")
    assert [each.is_closed for each in (*many, *few, new)] == [False, False, False, True, False]
    few[0].is_unused = False
    assert opened_elsewhere(slots, "192.0.2.1") == ["max"], "none is unused, and no other host has more"


def test_the_oldest_attempt_to_connect_to_a_host_is_given_up_for_another_port_of_it():
    slots = ConnectionSlots(ConnectionLimits(most_own_per_source=3))
    [used, unused] = opened_elsewhere(slots, "192.0.2.1", "192.0.2.1")
    unused.is_unused = True
    slots.carried(used)
    first, second = Attempt(slots, "192.0.2.1"), Attempt(slots, "192.0.2.1")
    assert (first.is_closed, unused.is_closed) == (False, True), "an unused connection ends before"
    third = Attempt(slots, "192.0.2.1")
    second.succeed()
    Attempt(slots, "192.0.2.1")
    assert [each.is_closed for each in (first, second, third, used)] == [True, False, True, False]
    last = Attempt(slots, "192.0.2.1")
    last.succeed()
    assert opened_elsewhere(slots, "192.0.2.1") == ["max_own_per_source"], "all are in use"


def test_attempts_to_connect_to_one_host_keep_no_other_out():
    slots = ConnectionSlots(ConnectionLimits(most=80))
    [used] = opened_elsewhere(slots, "192.0.2.1")
    attempts = [Attempt(slots, "192.0.2.1") for _ in range(3)]
    opened_elsewhere(slots, "192.0.2.2")
    assert [each.is_closed for each in (used, *attempts)] == [False, True, False, False]
    fourth = Attempt(slots, "192.0.2.1")
    assert [each.is_closed for each in (used, *attempts, fourth)] == [False, True, True, False, False]
    assert len(slots) == 4


@pytest.fixture
def firewall() -> Iterator[list[PeerEnd]]:
    """Places at one host of which each drops every packet: a queue of connections that is full."""
    with ExitStack() as stack:
        places = []
        for _ in range(3):
            listening = stack.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            place = PeerEnd(*listening.getsockname())
            stack.enter_context(socket.create_connection(place))
            places.append(place)
        yield places


async def test_ports_behind_a_firewall_keep_no_other_port_of_a_host_from_being_connected_to(opened, vendor, firewall):
    node = await opened(settings=TransportSettings(connections=ConnectionLimits(most_own_per_source=3)))
    node.ear.elsewhere.add("127.0.0.1")
    for place in firewall:
        node.send(OPTIONS, place)
    await until(lambda: node.transports.connections == 3)
    with capture_logs() as logs:
        node.send(OPTIONS, vendor.address)
        assert await (await vendor.arrival()).read(len(OPTIONS)) == OPTIONS
        assert await node.ear.failure() == (0, firewall[0])
    assert [line["why"] for line in logs] == ["no connection: the slot was needed for another place"]
    assert node.transports.connections == 3


async def test_a_handshake_with_one_port_of_a_host_is_given_up_for_another_port(opened, authority, vendor):
    tls = TlsContexts(authority.server_context(authority.issue("full", "127.0.0.1")), authority.client_context())
    settings = TransportSettings(connections=ConnectionLimits(most_own_per_source=1))
    node = await opened(("tls", "127.0.0.1"), settings=settings, tls=tls)
    node.ear.elsewhere.add("127.0.0.1")
    node.send(OPTIONS, vendor.address)
    mute = await vendor.arrival()
    async with AsyncExitStack() as ending:
        other = Vendor()
        ending.push_async_callback(other.close)
        await other.listen(authority.server_context(authority.issue("other", "127.0.0.1")))
        node.send(OPTIONS, other.address)
        assert await (await other.arrival()).read(len(OPTIONS)) == OPTIONS
        assert await node.ear.failure() == (0, vendor.address)
        assert await mute.is_closed()
        assert node.transports.connections == 1


@pytest.mark.parametrize("sender", ["switch", "peer"])
async def test_a_message_in_either_direction_lets_another_connection_end_before(opened, monkeypatch, sender):
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened(settings=TransportSettings(connections=ConnectionLimits(most_own_per_source=2)))
    node.ear.elsewhere.add("127.0.0.1")
    vendors = [Vendor() for _ in range(3)]
    peers = []
    async with AsyncExitStack() as ending:
        for each in vendors:
            ending.push_async_callback(each.close)
            await each.listen()
        for each in vendors[:2]:
            node.send(OPTIONS, each.address)
            peers.append(await each.arrival())
            assert await peers[-1].read(len(OPTIONS)) == OPTIONS
        if sender == "switch":
            node.send(OPTIONS, vendors[0].address)
        else:
            peers[0].writer.write(OPTIONS)
            await node.ear.message()
        clock.advance(patience.UNUSED_S)
        node.send(OPTIONS, vendors[2].address)
        assert await node.ear.parting() == (0, vendors[1].address)
        assert await (await vendors[2].arrival()).read(len(OPTIONS)) == OPTIONS


async def test_one_call_takes_no_more_connections_than_one_host_may_have(opened, connect, vendor, monkeypatch):
    """A Contact may name another port each time."""
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened(settings=TransportSettings(connections=ConnectionLimits(most_own_per_source=1)))
    node.ear.elsewhere.add("127.0.0.1")
    node.send(OPTIONS, vendor.address)
    first = await vendor.arrival()
    assert await first.read(len(OPTIONS)) == OPTIONS
    other = Vendor()
    await other.listen()
    with capture_logs() as logs:
        node.send(OPTIONS, other.address)
        assert await node.ear.failure() == (0, other.address)
    assert [line["why"] for line in logs] == [
        "no connection: the limit max_own_per_source of sip.connections is reached"
    ]
    clock.advance(patience.UNUSED_S)
    node.send(OPTIONS, other.address)
    assert await first.is_closed()
    assert await node.ear.parting() == (0, vendor.address)
    assert await (await other.arrival()).read(len(OPTIONS)) == OPTIONS
    await other.close()


async def test_a_connection_to_a_place_that_a_peer_has_named_is_closed_soon(opened, vendor, monkeypatch):
    """Answers to keep-alives do not keep it, messages do; that of a gateway is kept."""
    clock = ManualClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    node = await opened(settings=connections(idle_ms=3_600_000))
    for is_named in (False, True):
        node.ear.elsewhere = {"127.0.0.1"} if is_named else set()
        node.send(OPTIONS, vendor.address)
        peer = await vendor.arrival()
        assert await peer.read(len(OPTIONS)) == OPTIONS
        clock.advance(patience.ELSEWHERE_S - 1)
        peer.writer.write(OPTIONS)
        await node.ear.message()
        clock.advance(patience.ELSEWHERE_S - 1)
        peer.writer.write(PONG * 2)
        assert await peer.read(2) == PONG
        clock.advance(1)
        if is_named:
            assert await peer.is_closed()
        assert node.transports.connections == (not is_named)
        peer.writer.close()
        await node.ear.parting()
