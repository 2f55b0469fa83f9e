"""A switch with IPv4 and IPv6, whose relay has both, and a vendor that a socket on loopback cannot send to."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer, compose, response_lines
from doubles.sockets.rtp import RtpPeer

from vosd.media.rtp import HEADER
from vosd.sdp.media import media_of

from .addresses import DUAL_SWITCH
from .conditions import eventually
from .stage import Stage, configuration

SIX = "::1"
GATEWAYS = """
  - {name: carrier-nowhere, account: vendors, address: "192.0.2.7:5060", prefixes: ["4491"], priority: 1}
  - {name: carrier-six, account: vendors, address: "[::1]:$vendor", prefixes: ["449"], priority: 2}
"""


@pytest.fixture(scope="module")
def vendor() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sock:
        sock.bind((SIX, 0))
        sock.settimeout(30)
        yield sock


@pytest.fixture(scope="module")
def switch_port() -> int:
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sock:
        sock.bind((SIX, 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def dual(tmp_path_factory, vendor: socket.socket, switch_port: int) -> Iterator[Stage]:
    text = configuration("switch.yaml", DUAL_SWITCH)
    listen = f'listen: ["udp:{DUAL_SWITCH}", "udp:[::1]:{switch_port}"]\n  advertise: {DUAL_SWITCH.host}'
    text = text.replace(f'listen: ["udp:{DUAL_SWITCH}"]', listen)
    relay = "media: {engine: relay}\nparameters: {SS_RTP_PORT_RANGE: '30400,30459'}\n"
    text = text.replace("database:", relay + "database:", 1)
    text = text.replace("routing_gateways:", "routing_gateways:" + GATEWAYS.rstrip())
    with Daemon(tmp_path_factory.mktemp("dual"), text.replace("$vendor", str(vendor.getsockname()[1]))) as daemon:
        stage = Stage(daemon, DUAL_SWITCH)
        stage.pay("acme", "100")
        yield stage


def received(vendor: socket.socket) -> tuple[Message, tuple[str, int]]:
    data, source = vendor.recvfrom(65_536)
    return Message(data, Endpoint(*source[:2])), source[:2]


def described(party: RtpPeer) -> str:
    """Return the session description of a party."""
    family = 6 if ":" in party.host else 4
    return (
        f"v=0\r\no=- 1 1 IN IP{family} {party.host}\r\ns=-\r\nc=IN IP{family} {party.host}\r\nt=0 0\r\n"
        f"m=audio {party.port} RTP/AVP 0\r\n"
    )


def place(message: Message) -> tuple[str, int]:
    """Return the place that a message asks media to be sent to."""
    medium = media_of(message.body.encode())[0]
    return medium.host, medium.port


def refuse(vendor: socket.socket, invite: Message, source: tuple[str, int]) -> None:
    """Answer 486, and take the ACK."""
    lines = response_lines(invite, 486, "six", f"[::1]:{vendor.getsockname()[1]}")
    vendor.sendto(compose(lines).encode(), source)
    while (method := received(vendor)[0].method) == "INVITE":
        pass  # repeated, because a busy machine let the switch wait
    assert method == "ACK"


def test_a_vendor_with_ipv6_gets_its_packets_from_the_ipv6_socket_which_names_itself(dual, vendor, switch_port):
    with Peer(dual.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, dual.address, dual.number("4490"))
        call.invite()
        invite, source = received(vendor)
        assert source == (SIX, switch_port)
        assert f"[::1]:{switch_port};" in invite["Via"]
        assert invite["Contact"] == f"<sip:[::1]:{switch_port}>"
        refuse(vendor, invite, source)
        refused = call.refused()
        assert refused.status == 486
    dual.expect_nothing_left()


def beside_the_switch(ssrc: int) -> RtpPeer:
    """Return a party at the address of the switch, and at none of the ports that its relay has there."""
    for port in range(50_000, 60_000, 2):
        try:
            return RtpPeer(SIX, port, ssrc)
        except OSError:
            continue
    raise AssertionError("every port is taken")


def test_a_caller_with_ipv4_and_a_vendor_with_ipv6_hear_each_other(dual, vendor):
    with (
        Peer(dual.endpoint_of("acme")) as customer,
        closing(RtpPeer(customer.address.host, ssrc=1)) as caller,
        closing(beside_the_switch(ssrc=2)) as callee,
    ):
        call = OutgoingCall(customer, dual.address, dual.number("4490"))
        call.send(call.request("INVITE", body=described(caller)))
        invite, source = received(vendor)
        lines = response_lines(invite, 200, "six", f"[::1]:{vendor.getsockname()[1]}")
        vendor.sendto(compose(lines, described(callee)).encode(), source)
        of_callee, of_caller = place(invite), place(call.answered())
        assert (of_callee[0], of_caller[0]) == (SIX, DUAL_SWITCH.host)
        for sender, port, listener in ((caller, of_caller, callee), (callee, of_callee, caller)):

            def is_received(sender=sender, port=port, listener=listener) -> bool:
                sender.send(port, 2)
                return listener.has(1)

            eventually(is_received, "the other side hears it")
            ssrcs = {HEADER.unpack_from(packet)[4] for packet in listener.taken()}
            assert ssrcs == {sender.ssrc}
        assert call.hang_up().status == 200
        while (request := received(vendor)[0]).method != "BYE":
            pass
        vendor.sendto(compose(response_lines(request, 200, "six", f"[::1]:{vendor.getsockname()[1]}")).encode(), source)
    media = dual.record_of(call.callee)["media"]
    assert (media["engine"], media["step"]) == ("relay", 6)
    assert media["legs"]["callee"]["latched"] == f"[{SIX}]:{media['legs']['callee']['address'].rpartition(':')[2]}"
    dual.expect_nothing_left()


def test_a_vendor_that_cannot_be_sent_to_is_an_error_in_the_log_and_the_next_one_is_tried_at_once(dual, vendor):
    with Peer(dual.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, dual.address, dual.number("4491"))
        call.invite()
        invite, source = received(vendor)
        refuse(vendor, invite, source)
        assert call.refused().status == 486
    dual.expect_nothing_left()
    attempts = dual.record_of(call.callee)["attempts"]
    assert [attempt["gateway"] for attempt in attempts] == ["carrier-nowhere", "carrier-six"]
    assert (attempts[0]["code"], attempts[0]["reason"]) == (0, "Unreachable"), "no time-out, which has another reason"
    assert "datagram_not_sent" in dual.daemon.log_file.read_text()
