"""Addresses to which a media port sends before its peer has sent, and the end of a port."""

import gc
import socket
import weakref

import pytest
from doubles.sockets.relay import source

from vosd.media.record import RECORD_BYTES
from vosd.media.source import RelayPort
from vosd.relay.media_port import MediaPort
from vosd.relay.protocol import OpenPort
from vosd.trunks.media import MediaTrust

PUBLIC = "203.0.113.9"


class Owner:
    """A worker with one port that may send anywhere."""

    def source_found(self, port: int, leg: int, host: str) -> None:
        raise AssertionError("no source is judged")

    def changed(self, port):
        """Write nothing."""

    def open_ports(self, _own_host, _host, ports):
        return ports

    def take_back(self, *_ports):
        """Have nothing forwarded by the kernel: it forwards nothing."""

    def sends_itself(self, _sender, due_ns):
        assert due_ns > 0


@pytest.mark.parametrize(
    ("host", "sip_host", "trust", "is_sent"),
    [
        ("10.0.0.11", PUBLIC, MediaTrust.LEARN, False),
        ("fd00::11", "2001:db8::9", MediaTrust.LEARN, False),
        ("10.0.0.11", "192.168.0.4", MediaTrust.LEARN, True),
        ("10.0.0.11", PUBLIC, MediaTrust.SDP, True),
        ("198.51.100.4", PUBLIC, MediaTrust.LEARN, True),
    ],
)
def test_nothing_is_sent_to_a_private_address_that_a_peer_at_a_public_one_announces(host, sip_host, trust, is_sent):
    order = OpenPort(RelayPort(1, "192.0.2.1", 4_000, 4_001), 0, 0)
    with socket.socket(type=socket.SOCK_DGRAM) as rtp, socket.socket(type=socket.SOCK_DGRAM) as control:
        port = MediaPort(order, rtp, control, memoryview(bytearray(RECORD_BYTES)), Owner())
        port.expect(source(host, 2_222, rtcp=2_223, trust=trust, sip_host=sip_host), None)
        assert (port.sender.target is not None) is is_sent
        assert (port._control_destination() is not None) is is_sent
        port.expect(source(host, 2_224, sip_host=sip_host), (PUBLIC, 5_000))
        assert port.sender.target == (PUBLIC, 5_000), "it is believed"


@pytest.mark.parametrize(
    ("own", "host", "is_sent"),
    [("192.0.2.1", "2001:db8::9", False), ("2001:db8::1", PUBLIC, False), ("2001:db8::1", "2001:db8::9", True)],
)
def test_nothing_is_sent_to_a_described_address_of_the_other_family(own, host, is_sent):
    """The kernel would refuse it, which Python reports for each packet as a fault of the program."""
    order = OpenPort(RelayPort(1, own, 4_000, 4_001), 0, 0)
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as rtp, socket.socket(family, socket.SOCK_DGRAM) as control:
        port = MediaPort(order, rtp, control, memoryview(bytearray(RECORD_BYTES)), Owner())
        port.expect(source(host, 2_222, rtcp=2_223), None)
        assert (port.sender.target is not None) is is_sent
        assert (port._control_destination() is not None) is is_sent


def test_rtcp_leaves_for_its_own_port_where_a_peer_multiplexes_no_more():
    """Also from a port that has no other one for it."""
    order = OpenPort(RelayPort(1, "192.0.2.1", 4_000, None), 0, 0)
    with socket.socket(type=socket.SOCK_DGRAM) as rtp:
        port = MediaPort(order, rtp, None, memoryview(bytearray(RECORD_BYTES)), Owner())
        port.expect(source(PUBLIC, 5_000), None)
        assert port._control_destination() == (PUBLIC, 5_000)
        port.expect(source(PUBLIC, 5_000, rtcp=5_001), None)
        assert port._control_destination() == (PUBLIC, 5_001)


def test_a_port_that_is_closed_while_it_plays_and_sends_keys_is_free_at_once():
    """A worker collects no garbage, so nothing may refer to itself."""
    order = OpenPort(RelayPort(1, "192.0.2.1", 4_000, None), 0, 0)
    gc.disable()
    try:
        rtp = socket.socket(type=socket.SOCK_DGRAM)
        left = weakref.ref(rtp)
        port = MediaPort(order, rtp, None, memoryview(bytearray(RECORD_BYTES)), Owner())
        port.expect(source(PUBLIC, 5_000), None)
        port.sender.play_ring_back(0, 0)
        port.sender.press("5", 100, as_tone=False)
        port.close()
        del port, rtp
        assert left() is None
    finally:
        gc.enable()
