"""Errors in a worker."""

import socket

import pytest

from vosd.relay.protocol import MarkUnset


def test_an_error_about_a_packet_costs_that_packet(worker):
    """An error about orders ends the worker: the next one gets all of them anew."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    seen = []

    def receive() -> None:
        seen.append(ours.recv(10))
        worker._is_ending = len(seen) == 2
        raise ValueError(seen)

    worker._add(ours.fileno(), receive)
    theirs.send(b"first")
    theirs.send(b"second")
    worker.run()
    assert seen == [b"first", b"second"]
    worker._is_ending = False
    worker._handlers[worker._listening.fileno()] = receive
    theirs.send(b"third")
    worker._remove(ours.fileno())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as switch:
        switch.connect(worker._listening.getsockname())
        with pytest.raises(ValueError, match="third"):
            worker.run()
    ours.close()
    theirs.close()


def test_marks_that_the_system_refuses_are_reported_once(worker, monkeypatch):
    reports = []
    monkeypatch.setattr(worker, "_report", reports.append)

    class Refusing:
        def setsockopt(self, *_option):
            raise PermissionError(1, "Operation not permitted")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as permitted:
        worker._mark([permitted], "192.0.2.1", 0xB8)
        assert permitted.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xB8
    assert reports == []
    for host in ("192.0.2.1", "192.0.2.1", "2001:db8::1"):
        worker._mark([Refusing()], host, 0xB8)
    assert reports == [MarkUnset(0xB8, "[Errno 1] Operation not permitted")]


def test_an_error_about_what_the_kernel_forwards_ends_that_alone(worker):
    class Broken:
        closed = 0

        def look(self, _ports, _now_ns):
            raise KeyError("stream")

        def handlers(self):
            return {}

        def close(self, _now_ns):
            self.closed += 1
            worker._is_ending = True

    worker._offload = broken = Broken()
    worker._ports = {}
    worker.run()
    assert broken.closed == 1
    assert worker._offload is None
    assert worker._errors == 1
