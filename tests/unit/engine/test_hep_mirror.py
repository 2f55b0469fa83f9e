"""Copies of messages for a capture server: every packet is read by a decoder of the published format."""

import json
from ipaddress import IPv4Address, IPv6Address

import msgspec
import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.data.records import answered_call
from doubles.hep import read_hep
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import refuses
from hypothesis import given, strategies as st

from vosd.base.secret import Secret
from vosd.engine.settings import HepOnly, HepServer, HepSettings
from vosd.engine.trace.hep_mirror import AT_ONCE_MAX, TOGETHER_MAX, TOGETHER_S, HepMirror
from vosd.obs.hep import PACKET_MAX, SIP, hep_middle, hep_packet, hep_route, hep_trailer
from vosd.obs.traced import Direction
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import HepCopies

SERVER = HepServer("udp", "192.0.2.99", 9060)
IN = Direction.IN
PEER = Peer(0, "203.0.113.9", 5_060)
ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)


class AtOnce:
    """Event loop on which nothing waits."""

    def call_soon(self, work):
        work()

    def call_later(self, _seconds, work):
        work()


class ByHand:
    """Event loop that keeps what is to be done."""

    def __init__(self):
        self.soon, self.later = [], []

    def call_soon(self, work):
        self.soon.append(work)

    def call_later(self, seconds, work):
        self.later.append((seconds, work))


def mirror_of(packets, loop):
    return HepMirror(HepSettings(SERVER), (Listener("192.0.2.1", 5_060),), packets.append, loop)


def contents(packets):
    return [read_hep(each)["content"] for each in packets]


def copied_scene(only=HepOnly.ALL, caller=HepCopies.USUAL, vendor=HepCopies.USUAL):
    """Return a scene whose messages are copied, and the packets."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", hep=caller), vendor_gateway(0, hep=vendor)]
    content = catalogue(trunks)
    scene, packets = Scene(content), []
    settings = HepSettings(SERVER, 7, only, Secret("open sesame"))
    node = scene.exchange.node
    node.copy_messages(HepMirror(settings, node.endpoint.flows.listeners, packets.append, AtOnce()), content)
    return scene, packets


def messages_in(packets):
    return [found for each in packets if (found := read_hep(each))["kind"] == 1]


@given(
    source=ADDRESSES,
    port=st.integers(0, 65_535),
    content=st.binary(max_size=300),
    correlation=st.text(max_size=40),
    key=st.text(max_size=20),
    wall_ms=st.integers(0, 4_000_000_000_000),
)
def test_every_packet_is_read_by_the_published_format(source, port, content, correlation, key, wall_ms):
    target = IPv4Address("192.0.2.1") if source.version == 4 else IPv6Address("2001:db8::1")
    route = hep_route("tls", str(source), port, str(target), 5_061)
    middle = hep_middle(hep_trailer(SIP, 2_001, key), wall_ms, correlation.encode())
    found = read_hep(hep_packet(route, middle, content))
    assert (found["source"], found["source_port"], found["target"]) == (str(source), port, str(target))
    assert (found["protocol"], found["content"], found["correlation"]) == ("TCP", content, correlation)
    assert 1_000 * found["seconds"] + found["microseconds"] // 1_000 == wall_ms
    assert found.get("key", "") == key


@pytest.mark.parametrize("data", [b"", b"\r\nCall-ID: ", b"x\r\nCall-ID: " + b"a" * 70_000, b"INVITE\xff\x00" * 400])
def test_no_message_is_too_odd_to_be_copied(data):
    packets = []
    mirror = HepMirror(HepSettings(SERVER), (Listener("switch.example", 5_060),), packets.append, AtOnce())
    mirror.message(1_000, IN, PEER, data)
    assert [read_hep(each)["content"] for each in packets] == ([data] if len(data) < 65_000 else [])


def test_all_messages_of_a_call_are_copied_with_the_id_of_the_call_on_both_legs():
    scene, packets = copied_scene()
    call, _ = scene.talk()
    record = scene.finish(call)
    found = messages_in(packets)
    of_call = [each for each in found if each["correlation"] == record.call_id]
    wire = [packet.data for packet in scene.wire.packets]
    assert {each["content"] for each in found} == set(wire)
    assert len(found) == len(wire)
    assert {each["content"].split(b" ")[0] for each in of_call} >= {b"INVITE", b"ACK", b"BYE", b"SIP/2.0"}
    assert {each["capture_id"] for each in found} == {7}
    assert {each["key"] for each in found} == {"open sesame"}
    (line,) = (json.loads(each["content"]) for each in map(read_hep, packets) if each["kind"] == 100)
    assert (line["reason"], line["call_id"]) == ("Normal", record.call_id)


def test_only_the_messages_of_failed_calls_are_copied_where_that_is_wanted():
    scene, packets = copied_scene(HepOnly.FAILED)
    scene.finish(scene.talk()[0])
    assert packets == []
    scene, packets = copied_scene(HepOnly.FAILED)
    call = scene.begun_call(script=refuses(486))
    scene.wire.run_until(lambda: call.final == 486)
    record = scene.close()
    starts = [each["content"].split(b" ")[0] for each in messages_in(packets)]
    assert starts.count(b"INVITE") == 2
    assert any(each["content"].startswith(b"SIP/2.0 486") for each in messages_in(packets))
    assert {each["correlation"] for each in map(read_hep, packets)} == {record.call_id}


@pytest.mark.parametrize(
    ("only", "caller", "vendor", "is_copied"),
    [
        (HepOnly.ALL, HepCopies.NO, HepCopies.USUAL, False),
        (HepOnly.ALL, HepCopies.YES, HepCopies.NO, False),
        (HepOnly.FAILED, HepCopies.YES, HepCopies.USUAL, True),
        (HepOnly.FAILED, HepCopies.USUAL, HepCopies.YES, True),
    ],
)
def test_a_trunk_says_whether_its_calls_are_copied(only, caller, vendor, is_copied):
    scene, packets = copied_scene(only, caller, vendor)
    record = scene.finish(scene.talk()[0])
    copied = [each for each in messages_in(packets) if each["correlation"] == record.call_id]
    assert any(b"200" in each["content"][:15] for each in copied) is is_copied
    assert any(each["kind"] == 100 for each in map(read_hep, packets)) is is_copied


@pytest.mark.parametrize(
    ("caller", "vendor", "is_copied"),
    [
        (HepCopies.NO, HepCopies.USUAL, False),
        (HepCopies.USUAL, HepCopies.NO, True),
        (HepCopies.USUAL, HepCopies.YES, True),
    ],
)
def test_a_partner_that_calls_and_is_called_under_one_name_says_for_each_whether_calls_are_copied(
    caller, vendor, is_copied
):
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", hep=caller)
    other = msgspec.structs.replace(vendor_gateway(1, hep=vendor), name="acme")
    content = catalogue([trunk, vendor_gateway(0), other])
    scene, packets = Scene(content), []
    node = scene.exchange.node
    node.copy_messages(HepMirror(HepSettings(SERVER), node.endpoint.flows.listeners, packets.append, AtOnce()), content)
    record = scene.finish(scene.talk()[0])
    assert (record.mapping_gateway, record.routing_gateway) == ("acme", "vendor-0")
    copied = [each for each in messages_in(packets) if each["correlation"] == record.call_id]
    assert any(b"200" in each["content"][:15] for each in copied) is is_copied


@pytest.mark.parametrize(("wish", "is_copied"), [(HepCopies.NO, False), (HepCopies.USUAL, True)])
def test_a_phone_that_is_called_says_whether_its_calls_are_copied(wish, is_copied):
    content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32")], phones=[phone("442079460000", hep=wish)])
    packets = []
    mirror = mirror_of(packets, AtOnce())
    mirror.adopt(content)
    mirror.ended(answered_call(1, mapping_gateway="acme", routing_gateway="442079460000"), (), has_failed=False)
    assert bool(packets) is is_copied


def test_credentials_are_blanked_in_copies():
    scene, packets = copied_scene()
    call = scene.answered_call(Intent(headers=('Authorization: Digest username="u", response="f00f"',)))
    assert any(b"Authorization: blanked" in each["content"] for each in messages_in(packets))
    assert not any(b"f00f" in each for each in packets)
    scene.finish(call)


def test_a_message_that_is_too_long_once_it_is_blanked_is_not_copied():
    packets, loop = [], ByHand()
    mirror = mirror_of(packets, loop)
    lines = b"Authorization:\r\n" * (PACKET_MAX // 20)
    mirror.message(1_000, IN, Peer(0, "203.0.113.9", 5_060), b"OPTIONS sip:x SIP/2.0\r\n" + lines + b"\r\n")
    loop.later[0][1]()
    assert packets == []


def test_copies_are_made_after_a_time_and_not_with_the_message():
    packets, loop = [], ByHand()
    mirror = mirror_of(packets, loop)
    mirror.message(1_000, IN, PEER, b"one")
    mirror.message(1_001, IN, PEER, b"two")
    ((seconds, work),) = loop.later
    assert (seconds, packets, loop.soon) == (TOGETHER_S, [], [])
    work()
    assert contents(packets) == [b"one", b"two"]
    mirror.message(1_002, IN, PEER, b"three")
    assert len(loop.later) == 2


def test_of_many_messages_some_are_copied_in_each_turn_of_the_loop():
    packets, loop = [], ByHand()
    mirror = mirror_of(packets, loop)
    for number in range(TOGETHER_MAX + 1):
        mirror.message(1_000, IN, PEER, b"%d" % number)
    assert packets == []
    turns = 0
    while loop.soon:
        loop.soon.pop(0)()
        turns += 1
        assert len(packets) == min(turns * AT_ONCE_MAX, TOGETHER_MAX + 1)
    assert contents(packets) == [b"%d" % number for number in range(TOGETHER_MAX + 1)]


def test_a_flood_fills_no_memory_with_copies_to_be_made():
    packets, loop = [], ByHand()
    mirror = mirror_of(packets, loop)
    for _ in range(20):
        for _ in range(3 * TOGETHER_MAX):
            mirror.message(1_000, IN, PEER, b"x")
        turn, loop.soon = loop.soon, []
        for work in turn:
            work()
    assert len(mirror._noted) < 6 * TOGETHER_MAX


def test_an_error_costs_one_copy_alone():
    packets, loop = [], ByHand()
    mirror = mirror_of(packets, loop)
    for host in ("203.0.113.9", "no address", "203.0.113.10"):
        mirror.message(1_000, IN, Peer(0, host, 5_060), host.encode())
    with pytest.raises(ValueError, match="no address"):
        loop.later[0][1]()
    loop.soon.pop(0)()
    assert contents(packets) == [b"203.0.113.9", b"203.0.113.10"]


def test_copies_are_made_before_a_mirror_is_given_up():
    packets = []
    mirror = mirror_of(packets, ByHand())
    for _ in range(3 * AT_ONCE_MAX):
        mirror.message(1_000, IN, PEER, b"x")
    mirror.make_all()
    assert len(packets) == 3 * AT_ONCE_MAX
