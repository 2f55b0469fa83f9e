"""Programs that let the kernel drop datagrams."""

import socket

import pytest

from vosd.relay.source_filter import drops_of, take_all, take_only


@pytest.fixture(params=["127.79.3.1", "::1"])
def sockets(request):
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    made = [socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(3)]
    for sock in made:
        sock.bind((request.param, 0))
    yield made
    for sock in made:
        sock.close()


def received(sock: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(sock.recv(100))
        except BlockingIOError:
            return found


def test_one_source_gets_through_and_the_others_are_counted(sockets):
    ours, peer, other = sockets
    assert take_only(ours, *peer.getsockname()[:2])
    for sock in (peer, other, other, peer):
        sock.sendto(b"from %d" % sock.getsockname()[1], ours.getsockname())
    assert received(ours) == [b"from %d" % peer.getsockname()[1]] * 2
    assert drops_of(ours) == 2


def test_without_a_port_all_of_a_host_get_through(sockets):
    ours, peer, other = sockets
    assert take_only(ours, peer.getsockname()[0])
    other.sendto(b"from the host", ours.getsockname())
    assert received(ours) == [b"from the host"]
    if ":" not in ours.getsockname()[0]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
            elsewhere.bind(("127.79.3.2", 0))
            elsewhere.sendto(b"from another", ours.getsockname())
        assert received(ours) == []
        assert drops_of(ours) == 1


def test_all_get_through_again(sockets):
    ours, peer, other = sockets
    take_all(ours)
    take_only(ours, *peer.getsockname()[:2])
    take_all(ours)
    other.sendto(b"heard", ours.getsockname())
    assert received(ours) == [b"heard"]
    assert drops_of(ours) == 0
