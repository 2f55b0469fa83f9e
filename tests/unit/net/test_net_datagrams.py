"""Reading by the batch, on real sockets: every byte, every sender, nothing waited for."""

import mmap
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from vosd.net import datagrams as net_datagrams
from vosd.net.datagrams import BATCH, DATAGRAM_MAX, Datagrams

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def sockets(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours and a peer's."""
    with ExitStack() as stack:
        pair = [stack.enter_context(socket.socket(request.param, socket.SOCK_DGRAM)) for _ in range(2)]
        for sock in pair:
            sock.bind((HOSTS[request.param], 0))
            sock.setblocking(False)
        yield pair[0], pair[1]


def test_nothing_is_there_and_nothing_is_waited_for(sockets):
    assert Datagrams(sockets[0], 0).read() == []


@pytest.mark.parametrize("size", [0, 1, 1_500, 60_000])
def test_every_byte_comes_and_goes(sockets, size):
    ours, peer = sockets
    datagrams, data = Datagrams(ours, 0), bytes(index % 251 for index in range(size))
    peer.sendto(data, ours.getsockname())
    ((read, sender),) = datagrams.read()
    assert (read, sender) == (data, (0, *peer.getsockname()[:2]))
    assert datagrams.send(read, sender[1:])
    back, us = peer.recvfrom(65_536)
    assert (back, us[:2]) == (data, ours.getsockname()[:2])


def test_a_batch_is_read_in_order_and_the_rest_with_the_next(sockets):
    ours, peer = sockets
    datagrams = Datagrams(ours, 0)
    sent = [b"%d" % index * (index % 7 + 1) for index in range(BATCH + 3)]
    for data in sent:
        peer.sendto(data, ours.getsockname())
    first, rest = [data for data, _ in datagrams.read()], [data for data, _ in datagrams.read()]
    assert first == sent[:BATCH]
    assert rest == sent[BATCH:]
    assert datagrams.read() == []


def test_senders_are_distinguished(sockets):
    ours, peer = sockets
    datagrams = Datagrams(ours, 0)
    with socket.socket(ours.family, socket.SOCK_DGRAM) as other:
        other.bind((*peer.getsockname()[:1], 0))
        for sock in (peer, other, peer):
            sock.sendto(b"x", ours.getsockname())
        senders = [sender[1:] for _, sender in datagrams.read()]
        assert senders == [sock.getsockname()[:2] for sock in (peer, other, peer)]


def test_a_failed_send_is_reported(sockets):
    datagrams = Datagrams(sockets[0], 0)
    for host in ("no address", "127.0.0.1" if ":" in sockets[0].getsockname()[0] else "::1", ""):
        assert not datagrams.send(b"x", (host, 5060))
    assert not datagrams.send(b"x" * 70_000, sockets[1].getsockname()[:2])


def test_a_closed_socket_is_not_used(sockets):
    ours, peer = sockets
    datagrams = Datagrams(ours, 0)
    peer.sendto(b"x", ours.getsockname())
    datagrams.close()
    assert datagrams.read() == []
    assert not datagrams.send(b"x", peer.getsockname()[:2])


def test_what_is_remembered_of_addresses_is_bounded(sockets, monkeypatch):
    monkeypatch.setattr(net_datagrams, "ADDRESSES_MAX", 3)
    ours, _ = sockets
    datagrams = Datagrams(ours, 0)
    with ExitStack() as stack:
        for _ in range(8):
            peer = stack.enter_context(socket.socket(ours.family, socket.SOCK_DGRAM))
            peer.bind((ours.getsockname()[0], 0))
            peer.sendto(b"x", ours.getsockname())
            ((_, sender),) = datagrams.read()
            assert datagrams.send(b"y", sender[1:])
            assert peer.recv(10) == b"y"
    assert len(datagrams._senders_by_name) <= 3
    assert len(datagrams._names_by_sender) <= 3


def test_listeners_take_no_memory_for_datagrams_that_never_come(sockets):
    """Each has room for 2 MB of them, of which most listeners use a few pages."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before = resident()
    listeners = [Datagrams(sockets[0], 0) for _ in range(20)]
    assert resident() - before < len(listeners) * BATCH * DATAGRAM_MAX / 10
