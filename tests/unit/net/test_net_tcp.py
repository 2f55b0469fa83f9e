"""TCP listeners with real sockets: whole messages in, one connection for each peer out, and limits for all."""

import asyncio
import socket
import time
from unittest.mock import Mock

import pytest
from doubles.filtered import filtered
from doubles.turns import turns, until
from doubles.virtual.probe import SDP, request
from structlog.testing import capture_logs

from vosd.net import connection as patience, entrance, stream_turns, tcp
from vosd.net.connection import Connection
from vosd.net.settings import TransportSettings
from vosd.net.shield import ShieldSettings
from vosd.net.sockets import named
from vosd.net.tcp import UnsentMessages
from vosd.net.tls import TlsContexts
from vosd.sip.drops import Drop
from vosd.sip.settings import Limits
from vosd.sip.wire.stream import MESSAGES_AT_ONCE, PONG

from .conftest import PATIENCE_S, UNKNOWN_SOURCE, connections

INVITE = request(body=SDP)
OPTIONS = request("OPTIONS")
RESET = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER with which closing resets the connection."""
KERNEL_TICK_S = 0.02
"""The kernel's clock of connections goes on every 4 or 10 ms."""


# -- what comes ---------------------------------------------------------------------------------------------------


async def test_messages_come_whole_with_the_address_of_their_connection(opened, connect):
    node = await opened(("udp", "127.0.0.1"), ("tcp", "127.0.0.1"))
    peer = await connect(node.address(1))
    peer.writer.write(INVITE[:100])
    await peer.writer.drain()
    peer.writer.write(INVITE[100:] + OPTIONS)
    assert await node.ear.message() == (1, INVITE, peer.address)
    assert await node.ear.message() == (1, OPTIONS, peer.address)


async def a_tick() -> None:
    """Wait until the kernel's clock of connections, of 4 or 10 ms, has gone on."""
    began = time.monotonic()
    await until(lambda: time.monotonic() - began > 0.02)


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_new_call_whose_caller_has_closed_its_connection_before_a_start_is_not_set_up(opened, is_reset):
    """A BYE on it ends its call; callers that wait, and those that close after the start, are served.

    A caller that was killed, or a firewall, resets the connection. The kernel hands the bytes out all the same.
    """
    before = await opened()
    before.transports.pause()
    bye, waits = request("BYE", to="<sip:4420@192.0.2.1>;tag=ours"), request(branch="z9hG4bK-waits")
    with socket.create_connection(before.address()) as gone, socket.create_connection(before.address()) as there:
        gone.sendall(INVITE + bye)
        there.sendall(waits)
        if is_reset:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        gone.close()
        await a_tick()
        [kept] = before.transports.sockets().values()
        node = await opened(("tcp", "127.0.0.1"), handed={named("tcp", "127.0.0.1", 0): kept.dup()})
        received = {(await node.ear.message())[1] for _ in range(2)}
    await a_tick()
    with socket.create_connection(node.address()) as late:
        late.sendall(INVITE)
    assert (await node.ear.message())[1] == INVITE
    assert received == {bye, waits}
    assert node.ear.dropped == {Drop.WAITED_FOR_START: 1}


@pytest.mark.parametrize("given_up_s", [0.01, 32.0])
async def test_requests_that_their_senders_have_given_up_before_a_start_are_not_carried_out(
    opened, monkeypatch, given_up_s
):
    """The connection stays open, as those of a switch do: messages behind them are served, and so are ends of calls."""
    monkeypatch.setattr(tcp, "GIVEN_UP_S", given_up_s)
    monkeypatch.setattr(entrance, "GIVEN_UP_S", given_up_s)
    monkeypatch.setattr(entrance, "REPEATED_S", 0.0)
    before = await opened()
    before.transports.pause()
    within = "<sip:4420@192.0.2.1>;tag=ours"
    given_up = [INVITE, request("MESSAGE"), request("REFER", to=within)]
    ends = [request("BYE", to=within), request("CANCEL")]
    with socket.create_connection(before.address()) as there:
        there.sendall(b"".join(given_up + ends))
        await a_tick()
        [kept] = before.transports.sockets().values()
        node = await opened(("tcp", "127.0.0.1"), handed={named("tcp", "127.0.0.1", 0): kept.dup()})
        served = ends if given_up_s < 1 else given_up + ends
        assert [(await node.ear.message())[1] for _ in served] == served
        there.sendall(INVITE)
        assert (await node.ear.message())[1] == INVITE
    assert node.ear.dropped == ({Drop.WAITED_FOR_START: len(given_up)} if given_up_s < 1 else {})


async def test_what_has_waited_while_the_process_stood_still_counts_from_when_it_came(opened, monkeypatch):
    """Messages behind it count as they are read. New calls are served: no caller repeats its INVITE on a connection."""
    monkeypatch.setattr(stream_turns, "LATE_S", 0.05)
    monkeypatch.setattr(patience, "LATE_S", 0.05)
    node = await opened()
    bye = request("BYE", to="<sip:4420@192.0.2.1>;tag=ours")
    with socket.create_connection(node.address()) as peer:
        peer.sendall(OPTIONS)
        await node.ear.message()
        began = time.monotonic()
        peer.sendall(bye + INVITE)
        sent = time.monotonic()
        while time.monotonic() < sent + 0.2:  # nothing is read meanwhile
            pass
        assert [(await node.ear.message())[1] for _ in range(2)] == [bye, INVITE]
        assert all(began - KERNEL_TICK_S <= came <= sent + KERNEL_TICK_S for came in node.ear.came[-2:])
        read_at = time.monotonic()
        peer.sendall(bye)
        await node.ear.message()
        assert node.ear.came[-1] >= read_at - KERNEL_TICK_S


async def test_an_answer_takes_the_connection_that_its_request_came_on(opened, connect):
    node = await opened()
    peers = [await connect(node.address()) for _ in range(3)]
    node.ear.on_receive = lambda flow, data, source: node.send(b"answer to " + data[:7], source)
    for peer in peers:
        peer.writer.write(OPTIONS)
        assert await peer.read(17) == b"answer to OPTIONS"
    assert node.transports.connections == 3


async def test_over_ipv6_it_is_the_same(opened, connect):
    node = await opened(("tcp", "::1"))
    peer = await connect(node.address(), "::1")
    peer.writer.write(OPTIONS)
    assert await node.ear.message() == (0, OPTIONS, ("::1", peer.address[1]))
    node.send(b"answer", peer.address)
    assert await peer.read(6) == b"answer"


async def test_a_keep_alive_is_answered(opened, connect):
    """RFC 5626 4.4.1."""
    node = await opened()
    peer = await connect(node.address())
    peer.writer.write(PONG * 2)
    assert await peer.read(2) == PONG


async def test_the_core_may_ask_about_connections_while_all_are_closed(opened, connect):
    node = await opened(("tcp", "127.0.0.1"), ("tcp", "127.0.0.1"))
    peers = [await connect(node.address(flow)) for flow in (0, 1)]
    for peer in peers:
        peer.writer.write(OPTIONS)
        await node.ear.message()
    asked = []

    def ask(flow, place):
        asks = (node.transports.has_connection, node.transports.has_accepted)
        asked.append((flow, *(each(at, *place) for at in (0, 1) for each in asks)))

    node.ear.on_closed = ask
    await node.transports.close()
    assert asked == [(1, *[False] * 4), (0, *[False] * 4)]


async def test_every_end_of_a_connection_is_reported_for_either_side(opened, connect):
    node = await opened()
    first, second = await connect(node.address()), await connect(node.address())
    for peer in (first, second):
        peer.writer.write(OPTIONS)
        await node.ear.message()
    first.writer.close()
    assert await node.ear.parting() == (0, first.address)
    assert [node.transports.has_connection(0, *each.address) for each in (first, second)] == [False, True]
    assert [node.transports.has_accepted(0, *each.address) for each in (first, second)] == [False, True]
    node.transports.hang_up(0, *second.address, "enough")
    assert await node.ear.parting() == (0, second.address)
    assert not node.transports.has_connection(0, *second.address)
    assert node.ear.failures == 0


async def test_the_end_of_a_connection_is_not_that_of_the_next_one_from_the_same_port(opened, connect):
    """A phone that starts anew may take the port that it had before: its registrations would be removed."""
    node = await opened()
    first, other = await connect(node.address()), await connect(node.address())
    for peer in (first, other):
        peer.writer.write(OPTIONS)
        await node.ear.message()
    connections = node.transports._flows[0]._open
    connections[first.address], before = connections[other.address], connections[first.address]
    first.writer.close()
    await until(lambda: before._transport is None)
    other.writer.close()
    assert await node.ear.parting() == (0, other.address)
    del connections[first.address]


async def test_many_messages_of_one_read_are_passed_on_in_turns_of_their_own(opened, connect):
    """A read has up to 256 kB: other work comes between. Those of a turn are served together."""
    node = await opened()
    peer = await connect(node.address())
    await until(lambda: node.transports.connections == 1)
    [connection] = node.transports._flows[0]._open.values()
    connection.data_received(OPTIONS * 99 + INVITE)
    assert node.ear.messages == MESSAGES_AT_ONCE
    assert not connection._transport.is_reading()
    assert [(await node.ear.message())[1] for _ in range(100)] == [OPTIONS] * 99 + [INVITE]
    assert node.ear.serves == -(-100 // MESSAGES_AT_ONCE)
    peer.writer.write(INVITE)
    assert await node.ear.message() == (0, INVITE, peer.address)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_many_messages_that_a_peer_sends_before_it_closes_are_all_passed_on(
    opened, connect, authority, transport
):
    tls = TlsContexts(authority.server_context(authority.issue("many", "127.0.0.1")), authority.client_context())
    node = await opened((transport, "127.0.0.1"), tls=tls)
    options = {"ssl": authority.client_context(), "server_hostname": "127.0.0.1"} if transport == "tls" else {}
    peer = await connect(node.address(), **options)
    peer.writer.write(OPTIONS * 200)
    peer.writer.close()
    assert [(await node.ear.message())[1] for _ in range(200)] == [OPTIONS] * 200
    assert await node.ear.parting() == (0, peer.address)


async def test_a_connection_is_read_again_after_a_bug_with_messages_that_were_left(opened, connect, monkeypatch):
    node = await opened()
    peer = await connect(node.address())
    await until(lambda: node.transports.connections == 1)
    flow = node.transports._flows[0]
    [connection] = flow._open.values()
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(str(context["exception"])))
    connection.data_received(OPTIONS * (MESSAGES_AT_ONCE + 1))
    with monkeypatch.context() as bug:
        bug.setattr(flow, "serve", Mock(side_effect=RuntimeError("a bug")))
        await until(lambda: bool(reported))
    assert reported == ["a bug"]
    for _ in range(MESSAGES_AT_ONCE + 1):
        await node.ear.message()
    peer.writer.write(INVITE)
    assert await node.ear.message() == (0, INVITE, peer.address)


async def test_a_connection_goes_on_turn_by_turn_when_the_time_of_its_message_is_over(opened, connect, monkeypatch):
    node = await opened()
    await connect(node.address())
    await until(lambda: node.transports.connections == 1)
    [connection] = node.transports._flows[0]._open.values()
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(str(context["exception"])))
    monkeypatch.setattr(patience, "MESSAGE_S", 0.0)
    connection.data_received(OPTIONS * 99)
    for _ in range(99):
        await node.ear.message()
    assert reported == []


async def test_a_connection_that_is_lost_amid_many_messages_passes_on_no_more(opened, connect):
    node = await opened()
    await connect(node.address())
    await until(lambda: node.transports.connections == 1)
    [connection] = node.transports._flows[0]._open.values()
    connection.data_received(OPTIONS * 99)
    connection.cut("enough")
    await node.ear.parting()
    assert node.ear.messages == MESSAGES_AT_ONCE


async def test_many_connections_of_a_source_get_no_more_than_one(opened, connect):
    """Each had 16 messages, and 4 ms of the core, in every turn of the event loop."""
    node = await opened()
    for _ in range(5):
        await connect(node.address())
    await until(lambda: node.transports.connections == 5)
    connections = [*node.transports._flows[0]._open.values()]
    for connection in connections:
        connection.data_received(OPTIONS * 40)
    assert (node.ear.messages, node.ear.serves) == (MESSAGES_AT_ONCE, 1)
    assert not any(connection._transport.is_reading() for connection in connections)
    connections[1].data_received(INVITE)  # as a TLS connection may, although it is paused
    got = [await node.ear.message() for _ in range(5 * 40 + 1)]
    assert [data for _, data, source in got if source == connections[1].peer] == [OPTIONS] * 40 + [INVITE]
    await until(lambda: all(connection._transport.is_reading() for connection in connections))


FLOODED = TransportSettings(shield=ShieldSettings(gateway_rate=MESSAGES_AT_ONCE))


async def flooding(opened, connect, count=4 * MESSAGES_AT_ONCE):
    """Give a node and the connection of a peer that has sent many more requests than it may."""
    node = await opened(settings=FLOODED)
    peer = await connect(node.address())
    await until(lambda: node.transports.connections == 1)
    [connection] = node.transports._flows[0]._open.values()
    peer.writer.write(OPTIONS * count)
    await until(lambda: len(node.ear.refused) >= MESSAGES_AT_ONCE // 2)
    return node, peer, connection


async def test_a_connection_whose_messages_are_refused_is_not_read_from_for_a_while(opened, connect, monkeypatch):
    monkeypatch.setattr(stream_turns, "REST_S", 2 * PATIENCE_S)
    monkeypatch.setattr(patience, "MESSAGE_S", 0.01)  # the peer is not slow: it is not read from
    node, _, connection = await flooding(opened, connect, 20 * MESSAGES_AT_ONCE)
    await until(lambda: node.transports._turns._resting)
    assert not connection._transport.is_reading()
    refused = len(node.ear.refused)
    assert node.ear.messages + refused < 20 * MESSAGES_AT_ONCE
    other = await connect(node.address(), "127.0.0.2")
    other.writer.write(INVITE)
    while (await node.ear.message())[2] != other.address:
        pass
    assert len(node.ear.refused) == refused
    monkeypatch.setattr(stream_turns, "REST_S", 0.0)
    node.transports._turns._wake(connection._source)
    await until(lambda: len(node.ear.refused) > refused)
    await until(connection._transport.is_reading)
    assert node.transports.connections == 2


async def test_the_kernel_takes_little_of_a_connection_that_is_not_read_from(opened, connect):
    node = await opened(("tcp", "127.0.0.1"), ("ws", "127.0.0.1"))
    for flow, listener in enumerate(node.transports._flows):
        await connect(node.address(flow))
        await until(lambda flow=listener: len(flow._open) == 1)
        [connection] = listener._open.values()
        receives = connection._transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert receives == 2 * tcp.RECEIVE_BYTES


async def test_a_connection_is_served_while_others_of_its_source_rest(opened, connect, monkeypatch):
    """Each message had waited 0.1 s for each of the others: the BYE of a running call for some seconds."""
    monkeypatch.setattr(stream_turns, "REST_S", 2 * PATIENCE_S)
    node, peer, _ = await flooding(opened, connect)
    other = await connect(node.address())
    other.writer.write(PONG * 2)
    assert await other.read(2) == PONG
    peer.writer.transport.abort()


async def test_what_a_refused_peer_has_left_unread_when_it_closed_is_dropped(opened, connect, monkeypatch):
    monkeypatch.setattr(stream_turns, "REST_S", 0.05)
    node, peer, _ = await flooding(opened, connect, 20 * MESSAGES_AT_ONCE)
    with capture_logs() as logs:
        await peer.close()
        assert await node.ear.parting() == (0, peer.address)
    assert [line["why"] for line in logs] == ["the peer has closed and left more than could be served"]
    assert node.ear.dropped[Drop.GATEWAY_RATE] < 10 * MESSAGES_AT_ONCE


async def test_what_was_left_of_a_refused_connection_that_is_lost_is_dropped(opened, connect, monkeypatch):
    monkeypatch.setattr(stream_turns, "REST_S", 0.05)
    node, peer, connection = await flooding(opened, connect)
    connection._transport.abort()
    assert await node.ear.parting() == (0, peer.address)
    assert node.ear.dropped[Drop.GATEWAY_RATE] < 2 * MESSAGES_AT_ONCE


@pytest.mark.parametrize("source", ["127.0.0.1", UNKNOWN_SOURCE])
async def test_a_flood_of_keep_alives_ends_the_connection(opened, connect, source):
    """Half a megabyte of blank lines had cost the event loop as much as some hundred messages, without a limit."""
    node = await opened()
    peer = await connect(node.address(), source)
    peer.writer.write(OPTIONS + PONG * 2 * (patience.IDLE_FRAMES_AT_ONCE + 2))
    with capture_logs() as logs:
        assert await peer.is_closed()
    assert [line["why"] for line in logs] == ["too many keep-alives or WebSocket frames without a message"]
    assert node.ear.messages == 1


async def test_a_keep_alive_with_each_message_is_no_flood(opened, connect):
    node = await opened()
    peer = await connect(node.address())
    peer.writer.write((OPTIONS + PONG * 3) * (3 * patience.IDLE_FRAMES_AT_ONCE))
    for _ in range(3 * patience.IDLE_FRAMES_AT_ONCE):
        await node.ear.message()
    assert node.transports.connections == 1


# -- what is sent -------------------------------------------------------------------------------------------------


async def test_the_first_message_opens_a_connection_and_the_next_ones_take_it(opened, vendor):
    node = await opened()
    for data in (b"one ", b"two ", b"three"):
        node.send(data, vendor.address)
    peer = await vendor.arrival()
    assert await peer.read(13) == b"one two three"
    node.send(b"four", vendor.address)
    assert await peer.read(4) == b"four"
    assert vendor.waiting == 0


async def test_a_message_on_our_own_connection_has_the_vendors_address(opened, vendor):
    node = await opened()
    node.send(OPTIONS, vendor.address)
    (await vendor.arrival()).writer.write(INVITE)
    assert await node.ear.message() == (0, INVITE, vendor.address)
    assert node.transports.has_connection(0, *vendor.address)
    assert not node.transports.has_accepted(0, *vendor.address)


async def test_our_connections_leave_from_the_address_that_we_listen_on(opened, vendor):
    node = await opened(("tcp", "127.0.0.77"))
    node.send(OPTIONS, vendor.address)
    peer = await vendor.arrival()
    assert peer.writer.get_extra_info("peername")[0] == "127.0.0.77"


async def test_a_vendor_that_closed_its_connection_is_connected_to_anew(opened, vendor):
    node = await opened()
    node.send(OPTIONS, vendor.address)
    peer = await vendor.arrival()
    peer.writer.write(OPTIONS)
    await node.ear.message()
    peer.writer.close()
    await until(lambda: node.transports.connections == 0)
    node.send(INVITE, vendor.address)
    assert await (await vendor.arrival()).read(len(INVITE)) == INVITE
    assert node.ear.failures == 0


def response(status, method, via):
    return (
        f"SIP/2.0 {status} X\r\nVia: SIP/2.0/TCP {via};branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:c@d>;tag=2\r\nCall-ID: 1@a\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def lost(node, peer):
    """Return where a request came from over a connection that the peer has closed since."""
    peer.writer.write(OPTIONS)
    _, _, source = await node.ear.message()
    peer.writer.close()
    await until(lambda: node.transports.connections == 0)
    return source


@pytest.mark.parametrize(("status", "method"), [(200, "OPTIONS"), (180, "INVITE")])
async def test_a_response_whose_connection_is_lost_goes_to_the_port_of_its_via(opened, connect, vendor, status, method):
    node = await opened()
    source = await lost(node, await connect(node.address()))
    answer = response(status, method, f"192.0.2.1:{vendor.address.port};received=127.0.0.1")
    node.send(answer, source)
    assert await (await vendor.arrival()).read(len(answer)) == answer
    assert node.ear.failures == 0


async def test_a_response_whose_via_has_no_port_that_can_be_is_a_failure_like_any_other(opened, connect):
    """A BYE is carried out in spite of such a Via."""
    node = await opened()
    source = await lost(node, await connect(node.address()))
    node.send(response(200, "BYE", "127.0.0.1:99999"), source)
    assert await node.ear.failure() == (0, source)
    assert node.transports._flows[0]._unsent == {}


@pytest.mark.parametrize(("status", "method"), [(200, "OPTIONS"), (180, "INVITE"), (486, "INVITE"), (200, "INVITE")])
async def test_a_response_over_a_lost_connection_that_we_had_opened_goes_to_where_we_had(
    opened, silent_vendor, status, method
):
    """A trunk that registers over TLS, or is reached at a proxy, writes a port of its own into Via."""
    await silent_vendor.listen()
    node = await opened()
    node.send(OPTIONS, silent_vendor.address)
    first = await silent_vendor.arrival()
    first.writer.write(INVITE)
    _, _, source = await node.ear.message()
    first.writer.close()
    await until(lambda: node.transports.connections == 0)
    answer = response(status, method, "127.0.0.1:5999;received=127.0.0.1")
    node.send(answer, source)
    assert await (await silent_vendor.arrival()).read(len(answer)) == answer
    assert node.ear.failures == 0


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE"])
async def test_a_response_after_a_restart_goes_to_the_place_of_a_vendor(opened, vendor, method):
    node = await opened()
    node.ear.no_places.add(("127.0.0.1", 5_999))
    answer = response(200, method, "127.0.0.1:5999")
    node.send(answer, vendor.address)
    assert await (await vendor.arrival()).read(len(answer)) == answer


async def test_places_of_lost_connections_that_we_had_opened_are_forgotten_in_order(opened, vendor, monkeypatch):
    monkeypatch.setattr(tcp, "LOST_MAX", 0)
    node = await opened()
    node.send(OPTIONS, vendor.address)
    (await vendor.arrival()).writer.close()
    await until(lambda: node.transports.connections == 0)
    with socket.create_server(("127.0.0.1", 0)) as port:
        node.send(response(200, "OPTIONS", f"127.0.0.1:{port.getsockname()[1]}"), vendor.address)
        await until(lambda: node.transports.connections == 1)
    assert vendor.waiting == 0


@pytest.mark.parametrize("ends_call", [True, False])
@pytest.mark.parametrize("port", ["that of sent-by", "its own"])
@pytest.mark.parametrize(("status", "method"), [(401, "OPTIONS"), (100, "INVITE"), (401, "INVITE")])
async def test_no_connection_is_opened_to_an_unknown_source_without_a_call(
    opened, connect, silent_vendor, status, method, port, ends_call
):
    """It could have the switch connect to every port of an address that it shares with others behind NAT."""
    await silent_vendor.listen(host=UNKNOWN_SOURCE)
    node = await opened()
    source = await lost(node, await connect(node.address(), UNKNOWN_SOURCE))
    gone = source if port == "that of sent-by" else silent_vendor.address
    answer = response(status, method, f"{UNKNOWN_SOURCE}:{silent_vendor.address.port}")
    node.send(answer, gone)
    assert await node.ear.failure() == (0, gone)
    assert node.transports.connections == 0
    if ends_call:
        node.ear.last_responses.add(answer)
    else:
        node.ear.has_dialog = "2".__eq__
    node.send(answer, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(answer)) == answer
    assert silent_vendor.waiting == 0


async def test_the_core_sends_the_final_response_to_an_invite_elsewhere(opened, connect, vendor):
    """It waits for an ACK, or for the failure of that connection, too. Nothing is sent to where the peer came from."""
    node = await opened()
    source = await lost(node, await connect(node.address()))
    with socket.create_server(source) as port:
        node.send(response(486, "INVITE", f"127.0.0.1:{vendor.address.port}"), source)
        assert await node.ear.failure() == (0, source)
        port.setblocking(False)
        with pytest.raises(BlockingIOError):
            port.accept()


# -- what fails ---------------------------------------------------------------------------------------------------


async def test_a_refused_connection_is_reported_once_and_never_while_sending(opened):
    node = await opened()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()
        node.send(INVITE, closed)
        node.send(OPTIONS, closed)
        assert node.ear.failures == 0
        assert await node.ear.failure() == (0, closed)
    assert node.ear.failures == 0
    assert node.transports.connections == 0


@pytest.mark.parametrize("host", ["2001:db8::9%\udcff", "2001:db8::9%\0"])
async def test_a_host_that_is_no_address_is_a_failure_like_any_other(opened, host):
    node = await opened(("tcp", "::1"))
    node.send(INVITE, (host, 5060))
    assert await node.ear.failure() == (0, (host, 5060))
    assert node.transports._flows[0]._unsent == {}
    assert node.transports.connections == 0


async def test_a_socket_of_the_other_family_is_named_in_the_log_by_its_transport(opened):
    node = await opened()
    with capture_logs() as logs:
        node.send(INVITE, ("2001:db8::9", 5061))
        assert await node.ear.failure() == (0, ("2001:db8::9", 5061))
    assert [line["why"] for line in logs] == ["no connection: sip.listen has no tcp socket with an IPv6 address"]


async def test_each_place_that_is_connected_to_in_vain_has_its_line_in_the_log(opened):
    """The end of a connection that a peer had opened comes first: it hides no reason of the place behind it."""
    node = await opened()
    with capture_logs() as logs, socket.socket() as one, socket.socket() as other:
        for taken in (one, other, one):
            if taken.getsockname()[1] == 0:
                taken.bind(("127.0.0.1", 0))
            node.send(INVITE, taken.getsockname())
            await node.ear.failure()
        places = [f"127.0.0.1:{taken.getsockname()[1]}" for taken in (one, other)]
    assert [line["peer"] for line in logs] == places


async def test_many_places_of_one_host_have_few_lines(opened):
    node = await opened()
    with capture_logs() as logs:
        for _ in range(8):
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                node.send(INVITE, closed.getsockname())
                await node.ear.failure()
    assert [line["count"] for line in logs] == [1, 1, 1]


async def test_a_connection_that_is_not_accepted_times_out(opened, monkeypatch):
    monkeypatch.setattr(tcp, "CONNECT_S", 0.05)
    node = await opened()
    with filtered() as address:
        node.send(INVITE, address)
        assert await node.ear.failure() == (0, address)


async def test_the_core_sets_the_time_limit_for_connecting(opened):
    node = await opened()
    node.ear.patience_s = 0.05
    with filtered() as address:
        node.send(INVITE, address)
        assert await node.ear.failure() == (0, address)


async def test_a_connection_that_is_given_up_as_it_is_made_keeps_no_slot(opened, vendor, monkeypatch):
    """uvloop closes it without a word, and what is sent to its place later was lost."""
    node = await opened()
    node.ear.elsewhere.add(vendor.address.host)
    made = Connection.connection_made

    def made_and_given_up(connection, transport):
        node.transports._slots._give_up_attempt(vendor.address.host)
        made(connection, transport)

    monkeypatch.setattr(Connection, "connection_made", made_and_given_up)
    node.send(OPTIONS, vendor.address)
    assert await node.ear.failure() == (0, vendor.address)
    monkeypatch.undo()
    assert node.transports.connections == 0
    await vendor.arrival()
    node.send(INVITE, vendor.address)
    assert await (await vendor.arrival()).read(len(INVITE)) == INVITE


@pytest.mark.parametrize("later", range(8))
async def test_a_stop_does_not_wait_for_a_connection_that_was_just_made(opened, vendor, later):
    node = await opened()
    node.send(OPTIONS, vendor.address)
    await turns(later)
    await asyncio.wait_for(node.transports.close(), PATIENCE_S)
    assert node.transports.connections == 0


async def test_a_connection_that_breaks_is_reported(opened, vendor):
    node = await opened()
    node.send(INVITE, vendor.address)
    peer = await vendor.arrival()
    await peer.read(len(INVITE))
    raw = peer.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.writer.transport.abort()
    assert await node.ear.failure() == (0, vendor.address)


async def test_a_connection_closed_after_our_last_message_is_reported(opened, vendor):
    """The peer's end and our INVITE may have crossed."""
    node = await opened()
    node.send(INVITE, vendor.address)
    (await vendor.arrival()).writer.close()
    assert await node.ear.failure() == (0, vendor.address)


async def test_a_peer_that_does_not_read_loses_its_connection(opened, vendor):
    node = await opened()
    node.send(OPTIONS, vendor.address)
    (await vendor.arrival()).writer.transport.pause_reading()
    with capture_logs() as logs:
        await node.flood(vendor.address)
    assert await node.ear.failure() == (0, vendor.address)
    assert [line["why"] for line in logs] == ["the peer does not read"]


async def test_of_what_waits_for_a_connection_the_message_that_is_too_much_fails_alone(opened, vendor):
    node, messages = await opened(), [b"%d" % number + b"x" * 65_000 for number in range(9)]
    with capture_logs() as logs:
        for each in messages:
            node.send(each, vendor.address)
        peer, waited = await vendor.arrival(), b"".join(messages[:8])
        assert await peer.read(len(waited)) == waited
    assert (node.ear.unsent, node.ear.failures) == (messages[8:], 0)
    assert node.ear.dropped == {Drop.WAITED_FOR_CONNECTION: 1}
    assert [line["why"] for line in logs] == ["more than 512 kB wait until it is open"]


def test_messages_that_wait_no_more_leave_their_room_to_others():
    waiting = UnsentMessages(b"first")
    waiting.add(b"second")
    waiting.keep([b"second"])
    assert (waiting.messages, waiting.size) == ([b"second"], 6)


class Measured(bytes):
    """A message that counts how often its length is asked for."""

    times = 0

    def __len__(self) -> int:
        self.times += 1
        return super().__len__()


async def test_messages_that_wait_for_a_connection_are_not_counted_again_for_each_further_one(opened, vendor):
    """A peer that closes its connections leaves ten thousand responses: else calls would wait for seconds."""
    node, first = await opened(), Measured(OPTIONS)
    node.send(first, vendor.address)
    for _ in range(100):
        node.send(OPTIONS, vendor.address)
    assert first.times < 10
    peer, waited = await vendor.arrival(), OPTIONS * 101
    assert await peer.read(len(waited)) == waited


# -- what is too much ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x00\xa5", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5_000])
async def test_junk_is_never_answered_and_ends_the_connection(opened, connect, junk):
    node = await opened()
    peer = await connect(node.address())
    peer.writer.write(junk)
    assert await asyncio.wait_for(peer.reader.read(-1), PATIENCE_S) == b""
    peer.writer.write(OPTIONS)
    other = await connect(node.address())
    other.writer.write(INVITE)
    assert await node.ear.message() == (0, INVITE, other.address)


async def test_a_huge_content_length_is_answered_and_ends_the_connection(opened, connect):
    node = await opened(limits=Limits(max_message_bytes=2_000))
    peer = await connect(node.address())
    head = OPTIONS.replace(b"Content-Length: 0", b"Content-Length: 2000000000")
    node.ear.on_receive = lambda flow, data, source: node.send(b"400", source)
    peer.writer.write(head)
    assert await asyncio.wait_for(peer.reader.read(-1), PATIENCE_S) == b"400"
    assert (await node.ear.message())[1] == head


async def test_a_message_that_trickles_in_ends_the_connection(opened, connect, monkeypatch):
    monkeypatch.setattr(patience, "MESSAGE_S", 0.1)
    node = await opened()
    peer = await connect(node.address())
    peer.writer.write(OPTIONS + INVITE[:50])
    await node.ear.message()
    with capture_logs() as logs:
        assert await peer.is_closed()
    assert [line["why"] for line in logs if line["event"] == "connection"] == ["a message came too slowly"]


async def test_each_message_of_a_connection_has_its_own_time(opened, connect):
    node = await opened()
    peer = await connect(node.address())
    peer.writer.write(OPTIONS)
    await node.ear.message()
    connection = node.transports._flows[0]._open[peer.address]
    connection._began_at -= 2 * patience.MESSAGE_S  # the first one is older than that
    peer.writer.write(INVITE[:50])
    await until(lambda: connection._framer.is_amid_message)
    peer.writer.write(INVITE[50:])
    assert (await node.ear.message())[1] == INVITE


async def test_a_silent_new_connection_is_closed(opened, connect, monkeypatch):
    monkeypatch.setattr(patience, "MESSAGE_S", 0.05)
    node = await opened()
    silent, talking = await connect(node.address()), await connect(node.address())
    talking.writer.write(PONG * 2)
    assert await talking.read(2) == PONG
    assert await silent.is_closed()
    assert node.transports.connections == 1


async def test_a_silent_vendor_keeps_the_connection_that_we_opened(opened, connect, vendor, monkeypatch):
    monkeypatch.setattr(patience, "MESSAGE_S", 0.02)
    node = await opened()
    node.send(OPTIONS, vendor.address)
    peer = await vendor.arrival()
    silent = await connect(node.address())
    assert await silent.is_closed()  # so that time enough has passed
    node.send(OPTIONS, vendor.address)
    assert await peer.read(2 * len(OPTIONS)) == 2 * OPTIONS


async def test_an_idle_connection_is_closed_and_nothing_is_reported(opened, connect):
    node = await opened(settings=connections(idle_ms=100))
    peer = await connect(node.address())
    peer.writer.write(OPTIONS)
    await node.ear.message()
    node.send(b"answer", peer.address)
    assert await peer.is_closed()
    assert node.ear.failures == 0


async def test_our_own_connections_count_too(opened, vendor):
    node = await opened(settings=connections(most=0))
    node.send(INVITE, vendor.address)
    assert await node.ear.failure() == (0, vendor.address)


async def test_a_thousand_connections_come_and_go(opened, connect):
    node = await opened(settings=connections(most=5_000, per_source=5_000))
    node.ear.on_receive = lambda flow, data, source: node.send(data[:7], source)
    peers = []
    for _ in range(20):
        peers += await asyncio.gather(*(connect(node.address()) for _ in range(50)))
    for peer in peers:
        peer.writer.write(OPTIONS)
    assert {await peer.read(7) for peer in peers} == {b"OPTIONS"}
    assert node.transports.connections == 1_000
    for peer in peers:
        peer.writer.close()
    await until(lambda: node.transports.connections == 0)


async def test_when_the_process_may_open_no_more_files_the_rest_waits(opened, connect, monkeypatch):
    monkeypatch.setattr(tcp, "PAUSE_S", 0.05)
    node = await opened()
    flow = node.transports._flows[0]
    listening, refusals = flow._listening, [OSError(24, "Too many open files")]

    class Exhausted:
        def __getattr__(self, name):
            return getattr(listening, name)

        def accept(self):
            if refusals:
                raise refusals.pop()
            return listening.accept()

    flow._listening = Exhausted()
    with capture_logs() as logs:
        peer = await connect(node.address())
        peer.writer.write(OPTIONS)
        assert (await node.ear.message())[1] == OPTIONS
    assert [line["event"] for line in logs] == ["accept_failed"]


async def test_closing_sends_the_remaining_bytes(opened, connect):
    node = await opened()
    peer = await connect(node.address())
    peer.writer.write(OPTIONS)
    await node.ear.message()
    address = node.address()
    node.send(b"last one" * 1_000, peer.address)
    await asyncio.wait_for(node.transports.close(), PATIENCE_S)
    assert await peer.read(8_000) == b"last one" * 1_000
    assert node.ear.failures == 0
    with pytest.raises(OSError, match="refused"):
        await connect(address)


@pytest.mark.parametrize("is_reading", [True, False])
async def test_a_closed_connection_waits_for_a_peer_that_reads_late_and_for_no_other(
    opened, connect, monkeypatch, is_reading
):
    monkeypatch.setattr(patience, "CLOSE_S", PATIENCE_S if is_reading else 0.05)
    monkeypatch.setattr(patience, "MESSAGE_S", 2 * PATIENCE_S)  # nothing else shall end the connection
    monkeypatch.setattr(tcp, "DEAD_PEER_MS", 2_000 * int(PATIENCE_S))
    node = await opened()
    peer = await connect(node.address())
    peer.writer.transport.pause_reading()
    peer.writer.write(OPTIONS)
    await node.ear.message()
    connection = node.transports._flows[0]._open[peer.address]
    sent = 0
    while not connection._transport.get_write_buffer_size():
        node.send(b"x" * 65_000, peer.address)
        sent += 65_000
        await turns(3)  # until the kernel takes no more
    connection.close()
    await turns(3)
    if is_reading:
        peer.writer.transport.resume_reading()
        assert await peer.read(sent) == b"x" * sent
        assert await peer.is_closed()
    await until(lambda: node.transports.connections == 0)


async def test_a_connection_for_which_there_is_no_file_left_is_a_failure_like_any_other(opened, vendor, monkeypatch):
    def exhausted(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(tcp, "unbound", exhausted)
    node = await opened()
    node.send(INVITE, vendor.address)
    assert await node.ear.failure() == (0, vendor.address)
    assert node.transports.connections == 0
