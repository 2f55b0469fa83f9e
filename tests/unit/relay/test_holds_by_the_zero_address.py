"""A peer that holds by the address 0.0.0.0: it is sent nothing, and what it sends itself is received as before."""

import pytest
from doubles.connected_ports import ONE, OTHER, ConnectedPorts
from doubles.sockets.relay import source
from doubles.sockets.rtp import rtp, sender_report
from msgspec.structs import replace

from vosd.media.latch import MOVED_NS, PACKETS
from vosd.relay import media_port

UNKNOWN = ("203.0.113.9", 4_000)
HELLO = bytes.fromhex("16fefd0000000000000000002f01") + bytes(46)


@pytest.fixture
def now_ns(monkeypatch) -> list[int]:
    now = [10**12]
    monkeypatch.setattr(media_port, "monotonic_ns", lambda: now[0])
    return now


def talking(*, has_control: bool = False) -> ConnectedPorts:
    """Return two ports at which both sources are believed."""
    stage = ConnectedPorts(has_control=has_control)
    for number, peer in enumerate((ONE, OTHER)):
        send(stage, number, peer, range(PACKETS))
        assert stage.ports[number].latch.believed == peer
    return stage


def send(stage: ConnectedPorts, number: int, peer, sequences) -> list[tuple[bytes, tuple[str, int]]]:
    return [each for sequence in sequences for each in stage.give(number, rtp(sequence), peer)]


def hold(stage: ConnectedPorts, number: int = 0) -> None:
    port = stage.ports[number]
    port.expect(replace(port.source, takes_nothing=True), None)


def resume(stage: ConnectedPorts, number: int = 0) -> None:
    port = stage.ports[number]
    port.expect(replace(port.source, takes_nothing=False), None)


def test_it_is_received_without_a_break_and_sent_nothing_until_it_holds_no_longer(now_ns):
    stage = talking()
    hold(stage)
    assert send(stage, 0, ONE, (3, 4)) == [(rtp(3), OTHER), (rtp(4), OTHER)]
    assert send(stage, 1, OTHER, (3, 4)) == []
    assert stage.ports[0].plain_stream() is None
    assert stage.ports[1].plain_stream() is None, "the kernel would send it what comes here"
    resume(stage)
    assert send(stage, 1, OTHER, (5,)) == [(rtp(5), ONE)]


@pytest.mark.parametrize("has_control", [True, False])
def test_it_is_sent_no_rtcp_and_its_own_is_forwarded(now_ns, has_control):
    stage = talking(has_control=has_control)
    report, places = sender_report(1), [ONE, OTHER]
    if has_control:
        places = [(host, port + 1) for host, port in places]

    def control(number: int) -> list[tuple[bytes, tuple[str, int]]]:
        if not has_control:
            return stage.give(number, report, places[number])
        stage.controls[number].waiting.append((report, places[number]))
        stage.ports[number].receive_control()
        sent, stage.controls[1 - number].sent = stage.controls[1 - number].sent, []
        return sent

    assert control(1) == [(report, places[0])]
    assert control(0) == [(report, places[1])]
    hold(stage)
    assert control(1) == []
    assert control(0) == [(report, places[1])]
    resume(stage)
    assert control(1) == [(report, places[0])]


def test_it_is_sent_no_handshake(now_ns):
    stage = ConnectedPorts()
    assert stage.give(0, HELLO, ONE) == [(HELLO, OTHER)]
    hold(stage)
    assert stage.give(1, HELLO, OTHER) == []


def test_another_port_of_its_host_is_followed_and_sent_nothing_either(now_ns):
    stage = talking()
    hold(stage)
    now_ns[0] += MOVED_NS
    moved = ONE[0], ONE[1] + 100
    assert send(stage, 0, moved, range(7, 10)) == [(rtp(number), OTHER) for number in range(7, 10)]
    assert send(stage, 1, OTHER, (3,)) == []
    resume(stage)
    assert send(stage, 1, OTHER, (4,)) == [(rtp(4), moved)]


def test_others_are_received_as_little_as_before(now_ns):
    stage = talking()
    hold(stage)
    now_ns[0] += MOVED_NS
    assert send(stage, 0, UNKNOWN, range(5)) == []
    assert stage.ports[0].latch.believed == ONE


def test_one_that_has_had_no_address_yet_is_not_received(now_ns):
    stage = ConnectedPorts()
    stage.ports[0].expect(replace(source("", 0), takes_nothing=True), None)
    assert send(stage, 0, ONE, range(5)) == []
    assert send(stage, 1, OTHER, range(5)) == []
