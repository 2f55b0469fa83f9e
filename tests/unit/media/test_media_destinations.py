"""Addresses to which no media is sent."""

import pytest

from vosd.media.destinations import open_ports
from vosd.trunks.media import PortRange

OWN = [("192.0.2.1", PortRange(10_000, 10_999)), ("2001:db8::1", PortRange(10_000, 10_999))]


@pytest.mark.parametrize(
    ("own", "host", "port", "is_so"),
    [
        ("192.0.2.1", "198.51.100.7", 4_000, True),
        ("192.0.2.1", "10.0.0.5", 4_000, True),
        ("192.0.2.1", "192.0.2.1", 4_000, True),
        ("192.0.2.1", "192.0.2.1", 10_500, False),
        ("192.0.2.9", "192.0.2.1", 10_999, False),
        ("192.0.2.1", "127.0.0.1", 4_000, False),
        ("127.0.0.1", "127.0.0.2", 4_000, True),
        ("192.0.2.1", "224.0.0.1", 4_000, False),
        ("192.0.2.1", "255.255.255.255", 4_000, False),
        ("192.0.2.1", "0.0.0.0", 4_000, False),
        ("192.0.2.1", "0.0.0.1", 4_000, False),
        ("192.0.2.1", "0.255.0.9", 4_000, False),
        ("192.0.2.1", "198.51.100.7", 0, False),
        ("192.0.2.1", "2001:db8::7", 4_000, False),
        ("192.0.2.1", "peer.example", 4_000, False),
        ("2001:db8::1", "2001:db8::7", 4_000, True),
        ("2001:db8::1", "2001:db8:0::1", 10_000, False),
        ("2001:db8::1", "::1", 4_000, False),
        ("2001:db8::1", "::", 4_000, False),
        ("2001:db8::1", "ff02::1", 4_000, False),
    ],
)
def test_media_go_to_one_host_that_is_not_ours(own, host, port, is_so):
    assert open_ports(own, host, (port,), OWN) == [port] * is_so


@pytest.mark.parametrize(
    ("host", "port", "is_here", "is_so"),
    [
        ("192.0.2.5", 5_060, True, False),
        ("192.0.2.5", 5_061, True, True),
        ("198.51.100.7", 5_060, False, True),
        ("2001:db8::5", 5_060, True, False),
    ],
)
def test_a_socket_at_all_addresses_of_this_machine_is_spared_at_each(host, port, is_here, is_so):
    own = "2001:db8::1" if ":" in host else "192.0.2.1"
    spared = [("0.0.0.0", PortRange(5_060, 5_060)), ("::", PortRange(5_060, 5_060))]
    assert open_ports(own, host, (4_000, port), spared, is_here=is_here) == [4_000, *[port] * is_so]
