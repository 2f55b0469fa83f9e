"""Hosts that a worker sends to, and how often the kernel is asked about them."""

import socket

import pytest

from vosd.relay import worker as module
from vosd.relay.sockets import MediaReach
from vosd.relay.worker import REACH_KEPT_NS, Worker
from vosd.trunks.media import PortRange

OWN, PEER = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def worker(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_take_real_time", lambda: False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(tmp_path / "w"))
        yield Worker(listening)


def test_the_kernel_is_asked_once_a_second_where_packets_to_a_host_would_come(worker, monkeypatch):
    now_ns, asked, reach = 10**12, [], MediaReach.ELSEWHERE

    def reach_of(host):
        asked.append(host)
        return reach

    monkeypatch.setattr(module, "monotonic_ns", lambda: now_ns)
    monkeypatch.setattr(module, "reach_of", reach_of)
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
