"""A switch with IPv4 and IPv6, and a vendor that a socket on loopback cannot send to."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer, compose, response_lines

from .addresses import DUAL_SWITCH
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
        sock.settimeout(5)
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
    text = text.replace("routing_gateways:", "routing_gateways:" + GATEWAYS.rstrip())
    with Daemon(tmp_path_factory.mktemp("dual"), text.replace("$vendor", str(vendor.getsockname()[1]))) as daemon:
        stage = Stage(daemon, DUAL_SWITCH)
        stage.pay("acme", "100")
        yield stage


def received(vendor: socket.socket) -> tuple[Message, tuple[str, int]]:
    data, source = vendor.recvfrom(65_536)
    return Message(data, Endpoint(*source[:2])), source[:2]


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


def test_a_vendor_that_cannot_be_sent_to_is_an_error_in_the_log_and_the_next_one_is_tried_at_once(dual, vendor):
    began = time.monotonic()
    with Peer(dual.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, dual.address, dual.number("4491"))
        call.invite()
        invite, source = received(vendor)
        assert time.monotonic() - began < 3.0, "no timer ran: the response time-out is 5 s"
        refuse(vendor, invite, source)
        assert call.refused().status == 486
    dual.expect_nothing_left()
    attempts = dual.record_of(call.callee)["attempts"]
    assert [attempt["gateway"] for attempt in attempts] == ["carrier-nowhere", "carrier-six"]
    assert "datagram_not_sent" in dual.daemon.log_file.read_text()
