"""Connections of gateways that are used for requests to them (RFC 5923), and who must not draw calls to itself."""

import socket
from contextlib import ExitStack, closing

import pytest
from doubles.turns import until
from doubles.virtual.probe import SDP, request
from hypothesis import given, strategies as st

from vosd.net import tcp
from vosd.net.aliases import AliasWish, alias_in
from vosd.net.settings import ConnectionLimits, TlsIdentity, TlsSettings, TransportSettings, VerifyClient
from vosd.net.tls import TlsContexts
from vosd.sip.flows import Flows, Listener

from .conftest import PATIENCE_S, PeerEnd

HOST = "127.0.0.1"
REUSE = TransportSettings(connections=ConnectionLimits(alias=True))


def asking(sent_by: str, transport: str = "TCP", parameters: str = ";alias") -> bytes:
    return request("OPTIONS", via=f"SIP/2.0/{transport} {sent_by}{parameters};branch=z9hG4bK-1")


@pytest.mark.parametrize(
    ("via", "wish"),
    [
        ("SIP/2.0/TLS h.example:5071;alias;branch=z9hG4bK-1", AliasWish("h.example", 5071)),
        ("SIP/2.0/TLS H.example;branch=z9hG4bK-1;alias", AliasWish("h.example", 5061)),
        ("SIP/2.0/TCP [2001:db8::1];rport;ALIAS;branch=z9hG4bK-1", AliasWish("2001:db8::1", 5060)),
        ("SIP/2.0/TCP h.example:5071;branch=z9hG4bK-1", None),
        ("SIP/2.0/TCP h.example:5071;aliases;branch=z9hG4bK-1", None),
        ("SIP/2.0/TCP h.example:0;alias", None),
        ("SIP/2.0/TCP h.example:70000;alias", None),
        ("SIP/2.0/UDP h.example;alias", None),
        ("SIP/2.0/TCP one.example;branch=z9hG4bK-1, SIP/2.0/TCP two.example;alias", None),
        ("SIP/2.0/TCP one.example;branch=z9hG4bK-1\r\nVia: SIP/2.0/TCP two.example;alias", None),
        ("SIP/2.0/SCTP one.example\r\nVia: SIP/2.0/TCP two.example;alias", None),
    ],
)
def test_the_first_via_of_a_request_alone_asks_for_reuse(via, wish):
    assert alias_in(request("OPTIONS", via=via)) == wish
    assert alias_in(f"SIP/2.0 200 OK\r\nVia: {via}\r\n\r\n".encode()) is None


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange_to_be_looked_at(data):
    for message in (data, b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS " + data):
        wish = alias_in(message)
        assert wish is None or 0 < wish.port < 65_536


async def test_requests_to_a_gateway_take_the_connection_that_it_has_opened_and_asked_to_reuse(
    opened, connect, silent_vendor
):
    node = await opened(settings=REUSE)
    node.ear.gateways.add(HOST)
    place = PeerEnd(HOST, 5_071)
    peer = await connect(node.address())
    peer.writer.write(asking(f"{HOST}:5071"))
    await node.ear.message()
    node.send(b"to the gateway", place)
    assert await peer.read(14) == b"to the gateway"
    assert node.transports.connections == 1
    peer.writer.close()
    assert {await node.ear.parting(), await node.ear.parting()} == {(0, peer.address), (0, place)}
    assert {await node.ear.failure(), await node.ear.failure()} == {(0, peer.address), (0, place)}, "it was sent last"
    await silent_vendor.listen()
    node.send(b"another", silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(7) == b"another"


async def test_calls_over_a_connection_of_a_gateway_go_on_where_another_one_to_its_address_was_not_opened(
    opened, connect, monkeypatch
):
    """Behind a firewall that drops, an answer whose connection is lost waits for one while the gateway is back."""
    monkeypatch.setattr(tcp, "CONNECT_S", PATIENCE_S)
    node = await opened(settings=REUSE)
    node.ear.gateways.add(HOST)
    with ExitStack() as sockets:
        listening = sockets.enter_context(closing(socket.create_server((HOST, 0), backlog=0)))
        place = listening.getsockname()
        for _ in range(4):  # the kernel drops what comes while its queue is full
            sockets.enter_context(closing(full := socket.socket())).setblocking(False)
            full.connect_ex(place)
        node.send(b"an answer", place)
        peer = await connect(node.address())
        peer.writer.write(asking(f"{HOST}:{place[1]}"))
        await node.ear.message()
        node.send(b"a new call, ", place)
        assert await peer.read(12) == b"a new call, "
        listening.close()  # the kernel's next attempt is refused
        assert await peer.read(9) == b"an answer"
    assert node.ear.failures == 0


@pytest.mark.parametrize("ended", ["not configured", "no gateway"])
async def test_a_reload_ends_the_use_of_a_connection_that_a_gateway_has_opened(opened, connect, vendor, ended):
    node = await opened(settings=REUSE)
    node.ear.gateways.add(HOST)
    peer = await connect(node.address())
    peer.writer.write(asking(f"{HOST}:{vendor.address.port}"))
    await node.ear.message()
    node.send(b"before", vendor.address)
    assert await peer.read(6) == b"before"
    if ended == "not configured":
        node.transports.adjust(TransportSettings(), None)
    else:
        node.ear.gateways.clear()
    node.send(b"after", vendor.address)
    assert await (await vendor.arrival()).read(5) == b"after"


@pytest.mark.parametrize("refused", ["not configured", "no gateway", "another host", "not asked"])
async def test_a_connection_that_may_not_is_not_used_for_requests_to_another_address(
    opened, connect, silent_vendor, refused
):
    """A host that could name others would draw their calls to itself (RFC 5923 section 9)."""
    await silent_vendor.listen()
    node = await opened(settings=TransportSettings() if refused == "not configured" else REUSE)
    if refused != "no gateway":
        node.ear.gateways.update({HOST, "127.0.0.2"})
    peer = await connect(node.address(), "127.0.0.2" if refused == "another host" else HOST)
    parameters = "" if refused == "not asked" else ";alias"
    peer.writer.write(asking(f"{HOST}:{silent_vendor.address.port}", parameters=parameters))
    await node.ear.message()
    node.send(b"to the gateway", silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(14) == b"to the gateway"


async def test_the_first_connection_that_asks_for_an_address_keeps_it_and_none_takes_it_from_ours(
    opened, connect, silent_vendor
):
    await silent_vendor.listen()
    node = await opened(settings=REUSE)
    node.ear.gateways.add(HOST)
    node.send(b"ours", silent_vendor.address)
    ours = await silent_vendor.arrival()
    assert await ours.read(4) == b"ours"
    peers = [await connect(node.address()) for _ in range(2)]
    for peer in peers:
        for port in (silent_vendor.address.port, 5_071):
            peer.writer.write(asking(f"{HOST}:{port}"))
            await node.ear.message()
    node.send(b"again", silent_vendor.address)
    assert await ours.read(5) == b"again"
    node.send(b"first", (HOST, 5_071))
    assert await peers[0].read(5) == b"first"


@pytest.mark.parametrize(
    ("shown", "wanted", "is_reused"),
    [
        ("sip.vendor.example", "", True),
        ("other.example", "", False),
        (None, "", False),
        ("other.example", "other.example", True),
        ("127.0.0.1", None, True),
    ],
)
async def test_over_tls_the_certificate_must_bear_the_name_that_we_would_demand(
    opened, connect, authority, silent_vendor, shown, wanted, is_reused
):
    ours = authority.issue("switch", HOST)
    settings = TlsSettings(
        ours.file, ours.key, authority.root.file, VerifyClient.OPTIONAL,
        identities=(TlsIdentity("vendor", server_name=wanted or ""),),
    )  # fmt: skip
    node = await opened(("tls", HOST), settings=REUSE, tls=TlsContexts.load(settings))
    node.ear.gateways.add(HOST)
    node.ear.identities[HOST] = "vendor"
    if wanted is not None:
        node.ear.names[HOST] = "sip.vendor.example"
    certificate = None if shown is None else authority.issue(f"vendor-{shown}", shown)
    peer = await connect(node.address(), ssl=authority.client_context(certificate))
    peer.writer.write(asking(f"{HOST}:9", "TLS") + asking(f"{HOST}:9", "TLS"))
    for _ in range(2):
        await node.ear.message()
    node.send(b"to the gateway", (HOST, 9))
    if is_reused:
        assert await peer.read(14) == b"to the gateway"
    else:
        assert await node.ear.failure() == (0, PeerEnd(HOST, 9)), "a connection of ours is refused there"
        await until(lambda: node.transports.connections == 1)


@pytest.fixture
async def reused(opened, connect, authority, silent_vendor):
    """A connection that one.example has opened and is used for its place, which other.example has, too."""
    ours = authority.issue("switch", HOST)
    settings = TlsSettings(ours.file, ours.key, authority.root.file, VerifyClient.OPTIONAL)
    node = await opened(("tls", HOST), settings=REUSE, tls=TlsContexts.load(settings))
    node.ear.gateways.add(HOST)
    node.ear.names[HOST] = "one.example"
    node.ear.server_names |= {b"to one": "one.example", b"to other": "other.example"}
    await silent_vendor.listen(authority.server_context(authority.issue("other", "other.example")))
    peer = await connect(node.address(), ssl=authority.client_context(authority.issue("one", "one.example")))
    peer.writer.write(asking(f"{HOST}:{silent_vendor.address.port}", "TLS"))
    await node.ear.message()
    return node, peer


@pytest.mark.parametrize("ended", ["one", "other"])
async def test_another_vendor_at_the_place_of_a_reused_connection_gets_its_own(reused, silent_vendor, ended):
    """The end of either concerns its own vendor."""
    node, peer = reused
    for data in (b"to one", b"to other"):
        node.send(data, silent_vendor.address)
    other = await silent_vendor.arrival()
    assert await other.read(8) == b"to other"
    node.send(b"to one", silent_vendor.address)
    assert await peer.read(12) == 2 * b"to one"
    assert node.transports.connections == 2
    await (peer if ended == "one" else other).close()
    await until(lambda: node.transports.connections == 1)
    assert node.ear.failed_names == [(silent_vendor.address, {f"{ended}.example"})]
    reported = [await node.ear.failure() for _ in range(node.ear.failures)]
    assert (0, silent_vendor.address) not in reported


@pytest.mark.parametrize("name", ["one.example", ""])
async def test_the_ack_of_a_failure_takes_the_reused_connection_of_its_invite(reused, silent_vendor, name):
    node, peer = reused
    invite = request("INVITE", branch="z9hG4bK-failed", body=SDP)
    node.ear.server_names[invite] = name
    for data in (invite, b"to other"):
        node.send(data, silent_vendor.address)
    other = await silent_vendor.arrival()
    assert await other.read(8) == b"to other"
    ack = request("ACK", branch="z9hG4bK-failed")
    node.send(ack, silent_vendor.address)
    assert await peer.read(len(invite + ack)) == invite + ack


def test_our_own_requests_ask_for_reuse_where_that_is_configured():
    asks, plain = (Listener("192.0.2.1", 5061, "tls", "", each) for each in (True, False))
    flows = Flows((asks, plain), lambda: "token")
    assert alias_in(request("OPTIONS", via=flows.new_via(0), body=SDP)) == AliasWish("192.0.2.1", 5061)
    assert alias_in(request("OPTIONS", via=flows.new_via(1), body=SDP)) is None
