"""Hosts that a worker sends to, and how often the kernel is asked about them."""

import errno
import os

import pytest

from vosd.relay import sockets
from vosd.relay.sockets import REACH_KEPT_NS, KnownReaches, MediaReach, address_towards
from vosd.trunks.media import PortRange

OWN, PEER = "192.0.2.1", "198.51.100.7"


def test_the_kernel_is_asked_once_a_second_where_packets_to_a_host_would_come(worker, monkeypatch):
    now_ns, asked, reach = 10**12, [], MediaReach.ELSEWHERE

    def reach_of(host):
        asked.append(host)
        return reach

    monkeypatch.setattr(sockets, "monotonic_ns", lambda: now_ns)
    monkeypatch.setattr(sockets, "reach_of", reach_of)
    worker._spared = (("0.0.0.0", PortRange(4_000, 4_000)),)
    for _ in range(2):
        assert worker.open_ports(OWN, PEER, (4_000, 4_002)) == [4_000, 4_002]
    assert worker.open_ports(OWN, "198.51.100.8", (4_000,)) == [4_000]
    assert asked == [PEER, "198.51.100.8"]
    reach = MediaReach.HERE
    now_ns += REACH_KEPT_NS - 1
    assert worker.open_ports(OWN, PEER, (4_000, 4_002)) == [4_000, 4_002]
    now_ns += 1
    assert worker.open_ports(OWN, PEER, (4_000, 4_002)) == [4_002], "it has become an address of this machine"
    reach = MediaReach.REFUSED
    now_ns += REACH_KEPT_NS
    assert worker.open_ports(OWN, PEER, (4_000, 4_002)) == ()
    assert worker.open_ports(OWN, "peer.example", (4_000,)) == ()
    assert len(asked) == 4, "a name is no host that media are sent to"


@pytest.mark.parametrize(("host", "expected"), [("127.8.0.1", True), ("::1", True), ("192.0.2.1", False)])
def test_the_kernel_says_whether_this_machine_has_an_address(host, expected):
    assert KnownReaches().is_here(host) is expected


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EMFILE])
def test_an_address_is_announced_where_the_kernel_cannot_be_asked(monkeypatch, number):
    """A machine without IPv6 has no socket for it: the switch starts all the same, and other calls have media."""

    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("vosd.relay.sockets.socket.socket", refused)
    assert address_towards("2001:db8::1") == "2001:db8::1"
