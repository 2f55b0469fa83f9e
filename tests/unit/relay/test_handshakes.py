"""DTLS of parties that encrypt themselves: it passes a port before the first RTP, by which sources are believed."""

import pytest
from doubles.connected_ports import ONE, OTHER, ConnectedPorts
from doubles.sockets.relay import source
from doubles.sockets.rtp import rtp
from msgspec.structs import replace

from vosd.media.latch import PACKETS
from vosd.relay import media_port
from vosd.relay.media_port import CONTROL_BUDGET
from vosd.trunks.media import MediaTrust

CHECK = bytes.fromhex("000100002112a442000102030405060708090a0b")
HELLO = bytes.fromhex("16fefd0000000000000000002f01") + bytes(46)


def test_a_handshake_passes_both_ways_before_any_source_is_believed():
    stage = ConnectedPorts()
    assert stage.give(1, HELLO, OTHER) == [(HELLO, ONE)]
    assert stage.give(0, HELLO, ONE) == [(HELLO, OTHER)]
    packets = [rtp(number) for number in range(PACKETS)]
    sent = [each for data in packets for each in stage.give(0, data, ONE)]
    assert sent == [(data, OTHER) for data in packets]
    assert stage.give(0, HELLO, ONE) == [(HELLO, OTHER)]
    assert stage.give(0, HELLO, (ONE[0], 9_999)) == [], "a source is believed, and this is another one"
    assert (stage.ports[0]._broken, stage.ports[0]._unknown) == (1, 0)


def test_an_answer_goes_where_the_handshake_came_from():
    """A telephone behind NAT describes a private address, and sends from another one."""
    stage = ConnectedPorts()
    hidden = replace(source("10.0.0.7", 4_000, sip_host=ONE[0]), has_handshake=True)
    stage.ports[0].expect(hidden, None)
    assert stage.give(1, HELLO, OTHER) == [], "it is not known yet where to"
    assert stage.give(0, HELLO, (ONE[0], 61_000)) == [(HELLO, OTHER)]
    assert stage.give(1, HELLO, OTHER) == [(HELLO, (ONE[0], 61_000))]
    assert stage.ports[0].sender.target is None, "media are sent to a believed source alone"
    stage.ports[0].expect(replace(hidden, rtp=4_002), None)
    assert stage.give(1, HELLO, OTHER) == [], "another description"


def test_a_side_that_waits_for_the_handshake_behind_nat_is_found_by_its_check():
    """RFC 5763 section 6.7.2: the passive side opens its NAT by a STUN request, which the active one answers."""
    stage = ConnectedPorts()
    stage.ports[0].expect(replace(source("10.0.0.7", 4_000, sip_host=ONE[0]), has_handshake=True), None)
    assert stage.give(1, HELLO, OTHER) == [], "it is not known yet where to"
    assert stage.give(0, CHECK, (ONE[0], 61_000)) == [(CHECK, OTHER)]
    found = b"\x01" + CHECK[1:]
    assert stage.give(1, found, OTHER) == [(found, (ONE[0], 61_000))]
    assert stage.give(1, HELLO, OTHER) == [(HELLO, (ONE[0], 61_000))], "sent again, as DTLS does"
    assert stage.ports[0].sender.target is None, "media are sent to a believed source alone"
    assert stage.give(0, CHECK, ("198.51.100.9", 61_000)) == []
    stage.ports[0].expect(source(*ONE), None)
    assert stage.give(0, CHECK, ONE) == [], "no handshake is described"


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (CHECK[:-1], ONE),
        (b"\x00\x02" + CHECK[2:], ONE),
        (CHECK.replace(b"\x21\x12", b"\x21\x13"), ONE),
        (HELLO, ("198.51.100.9", 4_000)),
        (HELLO, ("192.0.2.1", 6_000)),
        (b"", ONE),
        (b"\x13" + HELLO[1:], ONE),
        (b"\x40" + HELLO[1:], ONE),
    ],
)
def test_nothing_else_passes(data, address):
    stage = ConnectedPorts(trust=MediaTrust.ANY if address[0] == "192.0.2.1" else MediaTrust.LEARN)
    assert stage.give(0, data, address) == []
    assert stage.ports[0]._broken + stage.ports[0]._unknown == 1


def test_a_handshake_of_a_call_that_describes_none_is_broken():
    stage = ConnectedPorts()
    stage.ports[0].expect(source(*ONE), None)
    assert stage.give(0, HELLO, ONE) == []
    assert stage.ports[0]._broken == 1


def test_a_source_that_is_judged_shakes_hands_once_it_is_allowed():
    stage = ConnectedPorts()
    judged = replace(source(*ONE), has_handshake=True, judged_for=7)
    stage.ports[0].expect(judged, None)
    assert stage.give(0, HELLO, ONE) == []
    assert stage.owner.asked == [ONE[0]]
    stage.ports[0].latch.judge(ONE[0], may_send=False)
    assert stage.give(0, HELLO, ONE) == []
    stage.ports[0].latch.judge(ONE[0], may_send=True)
    assert stage.give(0, HELLO, ONE) == [(HELLO, OTHER)]


def test_of_a_flood_of_handshakes_no_more_pass_than_of_rtcp(monkeypatch):
    monkeypatch.setattr(media_port, "monotonic_ns", lambda: 10**12)
    stage = ConnectedPorts()
    sent = [each for _ in range(CONTROL_BUDGET + 10) for each in stage.give(0, HELLO, ONE)]
    assert len(sent) == CONTROL_BUDGET
    assert (stage.ports[0]._excess, stage.ports[0]._broken) == (10, 0)


def test_rtcp_with_a_port_of_its_own_has_its_own_handshake():
    stage = ConnectedPorts(has_control=True)
    stage.controls[0].waiting.append((HELLO, (ONE[0], ONE[1] + 1)))
    stage.ports[0].receive_control()
    assert stage.controls[1].sent == [(HELLO, (OTHER[0], OTHER[1] + 1))]
    assert stage.sockets[1].sent == []
    stage.controls[0].waiting.append((HELLO, ("198.51.100.9", 4_001)))
    stage.ports[0].receive_control()
    assert len(stage.controls[1].sent) == 1


def test_of_a_flood_at_the_port_of_rtcp_no_more_is_read_than_passes(monkeypatch):
    monkeypatch.setattr(media_port, "monotonic_ns", lambda: 10**12)
    stage = ConnectedPorts(has_control=True)
    for _ in range(CONTROL_BUDGET + 10):
        stage.controls[0].waiting.append((b"\x80\xc8\x00\x09", (ONE[0], ONE[1] + 1)))
        stage.ports[0].receive_control()
    assert (stage.ports[0]._excess, stage.ports[0]._broken) == (10, CONTROL_BUDGET)
