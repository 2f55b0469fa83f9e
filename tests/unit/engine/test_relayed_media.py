"""Media of calls on virtual time: ports of a relay in session descriptions, from the first offer to the end."""

import json
from unittest.mock import Mock

import msgspec
import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import follows, revised
from doubles.desk_scene import DESK, attended, blind, called, office, registered
from doubles.keypad_scene import TARGET, keypad_scene, press, talking
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers, refuses
from structlog.testing import capture_logs

from vosd.admin.advice import advice
from vosd.b2bua.outgoing.headers import SDP
from vosd.b2bua.settings import DeadCallBilling
from vosd.base.clock import Instant
from vosd.engine.media.leg_ports import LegPorts
from vosd.engine.media.sides import address_of
from vosd.media.figures import DroppedPackets, PortFigures
from vosd.media.leg_media import LegMedia, MediaRefusal
from vosd.obs.events import Event
from vosd.sdp.media import SessionFault, media_of
from vosd.sdp.rewrite import Authored
from vosd.sip.door.door import MessageChange, MessageWait, WaitingMessage
from vosd.sip.door.messages import OutgoingReinvite, OutgoingResponse
from vosd.sip.flows import Listener
from vosd.trunks.media import (
    MediaAddress,
    MediaEngine,
    MediaMode,
    MediaParameters,
    MediaSettings,
    MediaWatch,
    PortRange,
)

SWITCH_HOST = "192.0.2.1"
ON = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
OTHER_ANSWER = ANSWER.replace("192.0.2.20", "192.0.2.30")
VIDEO = "m=video 30002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
MESSAGES = "m=message 2855 TCP/MSRP *\r\na=path:msrp://192.0.2.20:2855/x;tcp\r\n"
ONLY_G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")


def scene_with(relay=None, *, mode=MediaMode.ON, caller=None, vendor=None, vendors=1, media_addresses=(), **more):
    """Return a scene whose switch relays; ``caller`` and ``vendor`` are the keys of their trunks about media."""
    relay = relay or VirtualRelay()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(**(caller or {}))),
        *(vendor_gateway(index, media=MediaSettings(**(vendor or {}))) for index in range(vendors)),
    ]
    parameters = MediaParameters(engine=MediaEngine.RELAY, mode=mode)
    content = catalogue(trunks, media=parameters, **more)
    return Scene(content, relay=relay, media_addresses=media_addresses), relay


def place(session):
    """Return where a description wants its first medium."""
    medium = media_of(session.encode())[0]
    return medium.host, medium.port


def media(record):
    return json.loads(record.media)


def replacing(side):
    """Return the header of an INVITE that takes the place of a side."""
    return f"Replaces: {side.replaces}"


def hear(scene, port, *, after_ms=0):
    """Let a packet come to a port."""
    scene.wire.run_for(after_ms)
    now = scene.exchange.clock.now()
    packets = port.figures.packets_in + 1
    port.figures = msgspec.structs.replace(port.figures, packets_in=packets, alive_at=now.wall, alive_mono=now.mono)


def ports(relay, call, there):
    """Return the ports of the caller's and of the callee's leg."""
    return relay.at(place(call.theirs)[1]), relay.at(place(there.theirs)[1])


# -- connected ----------------------------------------------------------------------------------------------------


def test_both_sides_are_told_ports_of_the_switch_that_are_connected():
    scene, relay = scene_with()
    call, there = scene.talk()
    assert place(there.theirs)[0] == place(call.theirs)[0] == SWITCH_HOST
    of_caller, of_callee = ports(relay, call, there)
    assert of_callee.other == of_caller.port
    assert of_caller.other == of_callee.port
    assert (of_caller.source.host, of_caller.source.rtp) == place(OFFER)
    assert (of_callee.source.host, of_callee.source.rtp) == place(ANSWER)
    record = scene.finish(call)
    assert relay.open_ports == {}
    legs = media(record)["legs"]
    assert [legs[side]["address"] for side in ("caller", "callee")] == ["192.0.2.10:20000", "192.0.2.20:30000"]


def test_lost_packets_are_counted_of_the_customer_and_of_the_vendor_that_have_sent_them():
    scene, relay = scene_with()
    call, there = scene.talk()
    of_caller, of_callee = ports(relay, call, there)
    for port, lost in ((of_caller, 400), (of_callee, 40)):
        port.figures = msgspec.structs.replace(port.figures, expected=4_000, lost=lost)
    scene.finish(call)
    parts, now = scene.exchange.media.parts, scene.exchange.clock.now()
    assert dict(parts.customer_losses.percents(now.mono)) == {"acme": 10.0}
    assert dict(parts.losses.percents(now.mono)) == {"vendor-0": 1.0}


@pytest.mark.parametrize(
    ("mode", "trunks", "is_relayed"),
    [
        (MediaMode.OFF, {"caller": {"mode": MediaMode.MUST_ON}}, False),
        (MediaMode.ON, {"vendor": {"mode": MediaMode.OFF}}, False),
        (MediaMode.MUST_ON, {"vendor": {"mode": MediaMode.OFF}}, True),
        (MediaMode.AUTO, {"vendor": {"mode": MediaMode.ON}}, True),
        (MediaMode.AUTO, {}, False),
    ],
)
def test_a_call_is_relayed_as_the_installation_and_its_trunks_say(mode, trunks, is_relayed):
    scene, relay = scene_with(mode=mode, **trunks)
    call, there = scene.talk()
    assert (relay.opened > 0) is is_relayed
    assert (place(there.theirs)[0] == SWITCH_HOST) is is_relayed
    record = scene.finish(call)
    assert (record.media is not None) is is_relayed


def test_a_transport_in_lower_case_is_relayed_and_its_codecs_are_limited():
    """Silence ends such a call, too, and its record has figures of the media."""
    scene, relay = scene_with(vendor={"codecs": ("PCMU",), "timeout_ms": 10_000})
    offer = OFFER.replace("m=audio 20000 RTP/AVP 0", "m=Audio\t20000 rtp/avp 18 0")
    call, there = scene.talk(Intent(offer=offer), Script((Line(0, 200, ANSWER.replace("RTP/AVP", "rtp/avp")),)))
    assert place(there.theirs)[0] == place(call.theirs)[0] == SWITCH_HOST
    assert media_of(there.theirs.encode())[0].codecs == ("PCMU", "telephone-event")
    of_caller, of_callee = ports(relay, call, there)
    assert (of_caller.source.rtp, of_callee.source.rtp) == (20_000, 30_000)
    record = scene.end_of(call)
    assert record.end_reason == "No Media"
    assert media(record)["legs"]["caller"]["address"] == "192.0.2.10:20000"


def test_audio_that_a_relay_cannot_carry_is_rejected_beside_audio_that_it_can():
    scene, _ = scene_with()
    offer = OFFER + "m=audio 20010 TCP/RTP/AVP 0\r\nm=message 20012 TCP/MSRP *\r\nc=IN IP4 192.0.2.11\r\n"
    answer = ANSWER + "m=audio 0 TCP/RTP/AVP 0\r\nm=message 0 TCP/MSRP *\r\n"
    call, there = scene.talk(Intent(offer=offer), Script((Line(0, 200, answer),)))
    assert [each.port for each in media_of(there.theirs.encode())][1:] == [0, 20_012]
    assert "192.0.2.10" not in there.theirs
    scene.finish(call)


def test_a_call_that_is_not_relayed_keeps_its_descriptions_to_the_byte():
    scene, _ = scene_with(mode=MediaMode.OFF)
    call, there = scene.talk()
    assert (there.theirs, call.theirs) == (OFFER, ANSWER)
    scene.finish(call)


def test_a_rejected_call_leaves_no_port_open():
    scene, relay = scene_with()
    call = scene.begun_call(script=refuses(486))
    scene.wire.run_until(lambda: call.final == 486)
    assert relay.open_ports == {}
    assert relay.opened == 2
    assert scene.close().media is None


def test_a_cancelled_call_leaves_no_port_open():
    scene, relay = scene_with()
    call = scene.begun_call(Intent(cancel_after_ms=2_000), script=Script((Line(0, 180),)))
    scene.wire.run_until(lambda: call.final == 487)
    assert relay.open_ports == {}
    scene.close()


def test_the_next_vendor_gets_a_port_of_its_own_and_the_caller_keeps_its_port():
    scene, relay = scene_with(vendors=2)
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    scene.vendors[1].script = Script((Line(0, 200, OTHER_ANSWER),))
    call = scene.answered_call(talk_ms=1_000)
    early, last = (place(response.body) for response in call.responses if response.body)
    assert early == last
    of_caller, of_callee = ports(relay, call, scene.vendors[1].only_call)
    assert of_callee.source.host == "192.0.2.30"
    assert of_caller.other == of_callee.port
    assert len(relay.open_ports) == 2
    scene.finish(call)


SIX = "2001:db8::1"
BOTH_FAMILIES = ((MediaAddress(SWITCH_HOST, SWITCH_HOST), MediaAddress(SIX, SIX)),)


def in_version_6(session):
    return session.replace("c=IN IP4 192.0.2.", "c=IN IP6 2001:db8::")


def scene_past_the_relay(**first):
    """Return a scene whose first vendor is relayed, and whose second one is not."""
    relay, off = VirtualRelay(), MediaSettings(mode=MediaMode.OFF)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, media=MediaSettings(**first))]
    return Scene(catalogue([*trunks, vendor_gateway(1, media=off)], media=ON), relay=relay), relay


@pytest.mark.parametrize("early", [(Line(0, 183, ANSWER),), (Line(0, 180),)])
@pytest.mark.parametrize("ring_back", [False, True])
def test_the_caller_has_no_port_any_more_when_a_vendor_answers_that_is_not_relayed(early, ring_back):
    """The next early dialog of the caller has the vendor's own description, and so has the answer there."""
    scene, relay = scene_past_the_relay(local_ring=ring_back)
    scene.vendor.script = Script((*early, Line(500, 503)))
    scene.vendors[1].script = Script((Line(500, 183, OTHER_ANSWER), Line(1_000, 200, OTHER_ANSWER)))
    call = scene.begun_call(after_ms=700)
    assert len(relay.open_ports) == 1
    scene.await_answer(call, talk_ms=100)
    assert relay.open_ports == {}
    described = {(response.to_tag, place(response.body)[0]) for response in call.responses if response.body}
    tag = call.response(200).to_tag
    assert {host for to, host in described if to == tag} == {"192.0.2.30"}
    assert {host for to, host in described if to != tag} <= {SWITCH_HOST}
    scene.propose(call, "a=sendonly")
    assert (place(call.theirs), place(scene.vendors[1].only_call.theirs)) == (place(OTHER_ANSWER), place(OFFER))
    assert scene.finish(call).media is None


def test_a_caller_gets_a_port_of_the_family_of_its_media_whatever_its_sip_has():
    scene, relay = scene_with(media_addresses=BOTH_FAMILIES)
    call, there = scene.talk(Intent(in_version_6(OFFER)))
    assert (place(call.theirs)[0], place(there.theirs)[0]) == (SIX, SWITCH_HOST)
    assert f"c=IN IP6 {SIX}" in call.theirs
    of_caller, of_callee = ports(relay, call, there)
    assert (of_caller.port.host, of_callee.port.host) == (SIX, SWITCH_HOST)
    call.propose("a=sendonly")
    scene.propose(there)
    assert ports(relay, call, there) == (of_caller, of_callee)
    assert (place(call.theirs)[0], place(there.theirs)[0]) == (SIX, SWITCH_HOST)
    scene.finish(call)


MAPPED = ((MediaAddress("10.1.1.1", "203.0.113.9"),),)


def test_a_family_without_an_address_of_ours_leaves_the_address_of_the_sip():
    """Ports are bound where they are announced, and not at the socket of SIP."""
    scene, relay = scene_with(media_addresses=MAPPED)
    call, there = scene.talk(Intent(in_version_6(OFFER)))
    assert (place(call.theirs)[0], place(there.theirs)[0]) == ("203.0.113.9", "203.0.113.9")
    assert {each.port.host for each in relay.open_ports.values()} == {"10.1.1.1"}
    assert relay.announced["203.0.113.9"] == "10.1.1.1", "a call may come back with the announced address"
    scene.finish(call)


@pytest.mark.parametrize(("other", "expected"), [(SIX, SIX), ("fd00::1", SWITCH_HOST)])
def test_a_family_that_another_socket_alone_has_is_used_where_its_address_can_be_reached(other, expected):
    addresses = ((MediaAddress(SWITCH_HOST, SWITCH_HOST),), (MediaAddress(other, other),))
    scene, relay = scene_with(media_addresses=addresses)
    call, there = scene.talk(Intent(in_version_6(OFFER)))
    of_caller, of_callee = ports(relay, call, there)
    assert (place(call.theirs)[0], place(there.theirs)[0]) == (expected, SWITCH_HOST)
    assert (of_caller.port.host, of_callee.port.host) == (expected, SWITCH_HOST)
    scene.propose(call, "a=sendonly")
    assert place(call.theirs)[0] == expected
    scene.finish(call)


@pytest.mark.parametrize("other", ["fd00:9::1", "::1"])
def test_a_party_behind_nat_is_not_sent_a_private_address_of_another_socket(other):
    """The private address that the party describes is in its own network, not in one of ours."""
    addresses = ((MediaAddress(SWITCH_HOST, SWITCH_HOST),), (MediaAddress(other, other),))
    scene, relay = scene_with(media_addresses=addresses)
    call, there = scene.talk(Intent(OFFER.replace("IP4 192.0.2.10", "IP6 fd00::10")))
    assert place(call.theirs)[0] == ports(relay, call, there)[0].port.host == SWITCH_HOST
    scene.finish(call)


@pytest.mark.parametrize(
    ("seen_at", "described", "ours", "expected"),
    [
        ("10.0.0.10", "fd00::10", ("192.0.2.1", "fd00:9::1"), "fd00:9::1"),
        ("10.0.0.10", "fd00::10", ("192.0.2.1", "::1", "fd00:9::1"), "fd00:9::1"),
        ("10.0.0.10", "fd00::10", ("192.0.2.1", "::1"), "192.0.2.1"),
        ("127.0.0.1", "fd00::10", ("192.0.2.1", "::1"), "::1"),
        ("2001:db8::10", "192.168.0.10", ("2001:db8::1", "127.0.0.1", "10.0.0.1"), "2001:db8::1"),
        ("2001:db8::10", "192.168.0.10", ("2001:db8::1", "192.0.2.1"), "2001:db8::1"),
        ("2001:db8::10", "192.0.2.10", ("2001:db8::1", "127.0.0.1", "192.0.2.1"), "192.0.2.1"),
    ],
)
def test_a_party_is_sent_an_address_of_another_socket_that_is_in_its_network(seen_at, described, ours, expected):
    listeners = [Listener(host, 5060) for host in ours]
    addresses = [[MediaAddress(host, host)] for host in ours]
    leg = Mock(host=seen_at, **{"dialog.peer.flow": 0, "facts.media": None})
    assert address_of(leg, listeners, addresses, described).announced == expected


@pytest.mark.parametrize(
    ("private", "expected"), [(False, SWITCH_HOST), (True, "fd00::1")], ids=["ours is public", "ours is private"]
)
def test_a_private_address_of_another_family_is_used_where_ours_is_private_too(private, expected):
    """A telephone behind NAT sends to a public address by the family of its SIP alone."""
    inside = ((MediaAddress(SWITCH_HOST, SWITCH_HOST), MediaAddress("fd00::1", "fd00::1")),)
    scene, relay = scene_with(media_addresses=inside if private else BOTH_FAMILIES)
    call, there = scene.talk(Intent(OFFER.replace("IP4 192.0.2.10", "IP6 fd00::10")))
    assert place(call.theirs)[0] == ports(relay, call, there)[0].port.host == expected
    scene.finish(call)


def test_an_address_of_no_host_names_no_family():
    """A caller that begins on hold describes one (RFC 3264 section 8.4), whatever its telephone writes for it."""
    scene, relay = scene_with(media_addresses=BOTH_FAMILIES)
    call, there = scene.talk(Intent(OFFER.replace("IP4 192.0.2.10", "IP6 ::")))
    assert place(call.theirs)[0] == ports(relay, call, there)[0].port.host == SWITCH_HOST
    scene.finish(call)


@pytest.mark.parametrize("status", [200, 488])
def test_a_side_that_comes_to_another_family_gets_a_port_of_it_once_that_is_agreed(status):
    """It could not send to the port that it has, nor be sent anything from there."""
    scene, relay = scene_with(media_addresses=BOTH_FAMILIES)
    call, there = scene.talk()
    before, (_, of_callee) = call.theirs, ports(relay, call, there)
    there.will("INVITE", Reply(status))
    call.ask("INVITE", body=revised(in_version_6(OFFER)))
    scene.wire.run_for(1_000)
    if status == 200:
        assert f"c=IN IP6 {SIX}" in call.theirs
        assert follows(before, call.theirs), "the next version of the same origin"
        (of_caller, callee) = ports(relay, call, there)
        assert (of_caller.port.host, callee.port) == (SIX, of_callee.port)
        assert (of_caller.source.host, of_caller.other) == ("2001:db8::10", of_callee.port)
    else:
        assert call.theirs == before
    assert len(relay.open_ports) == 2
    call.ask("INVITE", body=revised(revised(OFFER)))
    scene.wire.run_for(1_000)
    assert place(call.theirs)[0] == ports(relay, call, there)[0].port.host == SWITCH_HOST
    scene.finish(call)
    assert relay.open_ports == {}


@pytest.mark.parametrize("used", ["audio", "image"])
def test_a_side_that_comes_to_another_family_without_its_first_medium_gets_a_port_of_it(used):
    """A medium that it does not use any more, or never has, was described in the family before."""
    above, audio = OFFER.split("m=audio", 1)
    fax = "m=image 20002 udptl t38\r\n"
    if used == "audio":
        first = f"{above}m=video 0 RTP/AVP 96\r\nm=audio{audio}"
        then = revised(in_version_6(first))
    else:
        first = OFFER + fax.replace("20002", "0")
        then = revised(in_version_6(OFFER.replace("m=audio 20000", "m=audio 0"))) + fax
    scene, relay = scene_with(media_addresses=BOTH_FAMILIES)
    answer = ANSWER if used == "image" else first.replace("192.0.2.10", "192.0.2.20")
    call, there = scene.talk(Intent(first), answers(body=answer))
    there.mine = answer if used == "audio" else ANSWER + fax
    call.ask("INVITE", body=then)
    scene.wire.run_for(1_000)
    medium = media_of(call.theirs.encode())[1]
    assert (medium.kind, medium.host) == (used, SIX)
    assert relay.at(medium.port).port.host == SIX
    scene.finish(call)


def test_a_vendor_that_offers_first_gets_a_port_of_its_family():
    """The caller leaves its description for the ACK."""
    scene, _ = scene_with(media_addresses=BOTH_FAMILIES)
    call, there = scene.talk(Intent(offer=""), Script((Line(0, 200, in_version_6(ANSWER)),)))
    assert (place(call.theirs)[0], place(there.theirs)[0]) == (SWITCH_HOST, SIX)
    scene.finish(call)


def test_a_hold_keeps_the_ports_and_reaches_the_other_side():
    scene, relay = scene_with()
    call, there = scene.talk()
    before = ports(relay, call, there)
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in there.theirs
    assert "a=recvonly" in call.theirs or "a=sendonly" not in call.theirs
    assert ports(relay, call, there) == before
    assert relay.opened == 2
    scene.finish(call)


def zero(session):
    """Return a description that holds as RFC 2543 has it."""
    host, _ = place(session)
    return revised(session).replace(f"c=IN IP4 {host}", "c=IN IP4 0.0.0.0")


@pytest.mark.parametrize("status", [200, 488])
def test_a_side_that_holds_by_the_zero_address_may_send_from_its_own_and_is_sent_nothing(status):
    """RFC 3264 section 8.4."""
    scene, relay = scene_with()
    call, there = scene.talk()
    of_caller, of_callee = ports(relay, call, there)
    before, talks = of_caller.source, call.mine
    there.will("INVITE", Reply(status, zero(there.mine) if status == 200 else None))
    call.ask("INVITE", body=zero(talks))
    scene.wire.run_for(1_000)
    is_held = status == 200
    assert of_caller.source == msgspec.structs.replace(before, takes_nothing=is_held)
    assert of_callee.source.takes_nothing is is_held
    assert (place(there.theirs)[0] == "0.0.0.0") is is_held
    call.ask("INVITE", body=revised(revised(talks)))
    there.will("INVITE", Reply(200, revised(revised(ANSWER))))
    scene.wire.run_for(1_000)
    assert of_caller.source == before
    assert not of_callee.source.takes_nothing
    scene.finish(call)


def test_a_call_that_begins_on_hold_by_the_zero_address_is_received_once_it_has_another_one():
    scene, relay = scene_with()
    call, there = scene.talk(Intent(zero(OFFER)))
    of_caller, _ = ports(relay, call, there)
    assert (of_caller.source.rtp, of_caller.source.takes_nothing) == (0, True)
    call.ask("INVITE", body=revised(revised(OFFER)))
    scene.wire.run_for(1_000)
    assert (of_caller.source.host, of_caller.source.rtp, of_caller.source.takes_nothing) == (*place(OFFER), False)
    scene.finish(call)


def test_a_side_that_moves_its_media_is_believed_at_the_new_address():
    scene, relay = scene_with()
    call, there = scene.talk()
    of_caller, of_callee = ports(relay, call, there)
    there.mine = ANSWER.replace("30000", "30500").replace("o=- 1 1", "o=- 1 2")
    scene.propose(there)
    assert of_callee.source.rtp == 30_500
    assert place(call.theirs)[1] == of_caller.port.rtp
    scene.finish(call)


def test_either_side_may_send_by_the_payload_types_of_the_other_one_from_the_answer_on():
    """RFC 3264 section 5.1: the caller sends keys by the number of the answer; it is sent them by its own."""
    scene, relay = scene_with()
    call, there = scene.talk(script=Script((Line(0, 200, ANSWER.replace("101", "96")),)))
    of_caller, of_callee = ports(relay, call, there)
    events = "telephone-event"
    assert dict(zip(of_caller.source.payloads, of_caller.source.codecs, strict=True)) == {
        0: "PCMU", 101: events, 96: events,
    }  # fmt: skip
    assert set(of_callee.source.payloads) == {0, 101, 96}
    assert (of_caller.source.taken()[0], of_callee.source.taken()[0]) == ((0, 101), (0, 96))
    before = of_caller.source, of_callee.source
    scene.propose(call, "a=sendrecv")
    assert (of_caller.source, of_callee.source) == before
    scene.finish(call)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("is_refused", [True, False])
def test_media_stay_as_they_were_where_an_offer_is_refused(method, is_refused):
    """A fax at another port, which the vendor does not take: the caller goes on to receive at the port of its audio."""
    scene, relay = scene_with()
    call, there = scene.talk()
    of_caller, _ = ports(relay, call, there)
    before = of_caller.source
    call.mine = OFFER.split("m=")[0] + "m=image 20500 udptl t38\r\n"
    there.mine = ANSWER.split("m=")[0] + "m=image 30500 udptl t38\r\n"
    if is_refused:
        there.will("INVITE", Reply(488))
        there.will("UPDATE", Reply(488))
    scene.propose(call, method=method)
    assert (of_caller.source == before) is is_refused
    assert of_caller.source.rtp == (20_000 if is_refused else 20_500)
    assert [media.before_offer for media in scene.exchange.media.parts.legs.all_media()] == [None, None]
    scene.finish(call)


def test_a_side_that_rejects_all_media_shows_no_address_of_its_own():
    """A held line, a fax that is refused: the description has no place, and still leaves as one of the switch."""
    scene, _ = scene_with()
    call, there = scene.talk()
    there.mine = ANSWER.replace("30000", "0").replace("o=- 1 1", "o=- 1 2")
    scene.propose(there)
    assert "m=audio 0 " in call.theirs
    assert "192.0.2.20" not in call.theirs
    assert call.theirs.count(f"IN IP4 {SWITCH_HOST}\r\n") == 2
    scene.finish(call)


def test_an_answer_that_rejects_all_media_shows_no_address_of_the_vendor():
    scene, relay = scene_with()
    call, _ = scene.talk(script=Script((Line(0, 183, ANSWER.replace("30000", "0")), Line(500, 200, ANSWER))))
    (early,) = [response.body for response in call.responses if response.status == 183]
    assert "m=audio 0 " in early
    assert "192.0.2.20" not in early
    scene.finish(call)
    assert relay.open_ports == {}


def test_a_leg_that_is_over_gets_no_port_for_what_it_is_still_sent():
    """A call goes on, whose description would be sent to a leg of another one that has ended."""
    scene, relay = scene_with()
    call, _ = scene.talk()
    (live,) = scene.exchange.switch.services.running.all()
    leg = live.call.caller.leg
    scene.finish(call)
    call, _ = scene.talk()
    (live,) = scene.exchange.switch.services.running.all()
    other = live.call.caller.leg
    session = Authored(OFFER.encode(), other.facts.media.number)
    message = OutgoingResponse("X-Kept: 1\r\n" + SDP, session, None, 200, "")
    change = scene.exchange.media.keeper.examine(WaitingMessage(leg.door, message, leg), scene.exchange.clock.now())
    assert change == MessageChange("X-Kept: 1\r\n", b"")
    assert relay.opened == 4
    scene.hang_up(call)
    assert relay.open_ports == {}


@pytest.mark.parametrize(
    "broken", [OFFER.replace("c=IN IP4 192.0.2.10", "c=IN IP4 pbx.example"), OFFER.replace("20000", "70000")]
)
def test_a_description_that_cannot_be_relayed_is_not_sent_where_its_author_has_left(broken):
    """No address of that author leaves, and no port is opened: offers and answers are withheld, 183 has none."""
    scene, relay = scene_with()
    call, _ = scene.talk()
    (live,) = scene.exchange.switch.services.running.all()
    leg, keeper, now = live.call.caller.leg, scene.exchange.media.keeper, scene.exchange.clock.now()
    session = Authored(broken.encode(), 1)
    offer = OutgoingReinvite(SDP, session, None, leg.dialog)
    assert keeper.examine(WaitingMessage(leg.door, offer, leg), now) == MessageWait(0, may_leave=False)
    assert leg.facts.media.refusal is MediaRefusal.BAD_SESSION
    answer, ringing = (OutgoingResponse("X-Kept: 1\r\n" + SDP, session, None, status, "") for status in (200, 183))
    assert keeper.examine(WaitingMessage(leg.door, answer, leg), now) == MessageWait(0, may_leave=False)
    assert keeper.examine(WaitingMessage(leg.door, ringing, leg), now) == MessageChange("X-Kept: 1\r\n", b"")
    assert relay.opened == 2
    scene.finish(call)


# -- refused ------------------------------------------------------------------------------------------------------


def test_a_call_without_a_free_port_gets_503_and_one_that_is_not_relayed_passes():
    scene, _ = scene_with(VirtualRelay(free=1))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 503)
    record = scene.close()
    assert (record.end_reason, record.q850_cause, record.hangup_source) == ("No Media Port", 47, "switch")
    assert [(row.code, row.reason) for row in record.attempts] == [(0, "No Media Port")]
    scene, _ = scene_with(VirtualRelay(free=0), vendor={"mode": MediaMode.OFF})
    call, _ = scene.talk()
    scene.finish(call)


def test_the_log_names_the_range_in_which_no_port_was_free():
    scene, _ = scene_with(VirtualRelay(free=0), vendor={"ports": PortRange(12_000, 12_003)})
    with capture_logs() as lines:
        call = scene.caller.call(CALLEE)
        scene.wire.run_until(lambda: call.final == 503)
    assert [line["ports"] for line in lines if line["event"] == Event.RTP_PORT_EXHAUSTED] == ["12000,12003"]
    scene.close()


def test_the_alarm_of_a_full_range_is_over_when_it_has_room_again_also_without_another_call():
    scene, _ = scene_with(VirtualRelay(free=2))
    media = scene.exchange.media
    with capture_logs() as lines:
        call, _ = scene.talk()
        for _ in range(2):  # a second time within a minute
            other = scene.caller.call(CALLEE)
            scene.wire.run_until(lambda other=other: other.final == 503)
            assert media.used_percents(scene.exchange.clock.now())[ON.ports] == 100
            scene.hang_up(call)
            assert media.used_percents(scene.exchange.clock.now())[ON.ports] == 0
            call, _ = scene.talk()
    alarms = [line["event"] for line in lines if line["event"] in {Event.RTP_PORT_EXHAUSTED, Event.RTP_PORTS_FREE}]
    assert alarms == [Event.RTP_PORT_EXHAUSTED, Event.RTP_PORTS_FREE] * 2


def test_the_alarm_of_a_full_range_holds_while_each_port_that_becomes_free_is_taken_at_once():
    scene, _ = scene_with(VirtualRelay(free=2))
    media = scene.exchange.media
    with capture_logs() as lines:
        call, _ = scene.talk()
        for _ in range(3):
            other = scene.caller.call(CALLEE)
            scene.wire.run_until(lambda other=other: other.final == 503)
            scene.hang_up(call)
            call, _ = scene.talk()
            assert media.used_percents(scene.exchange.clock.now())[ON.ports] == 100
        scene.hang_up(call)
        assert media.used_percents(scene.exchange.clock.now())[ON.ports] == 0
    alarms = [line["event"] for line in lines if line["event"] in {Event.RTP_PORT_EXHAUSTED, Event.RTP_PORTS_FREE}]
    assert alarms == [Event.RTP_PORT_EXHAUSTED, Event.RTP_PORTS_FREE]


def test_a_range_of_a_gateway_stays_exhausted_while_others_have_room():
    ours, vendors = PortRange(10_000, 39_999), PortRange(12_000, 12_003)
    scene, relay = scene_with(vendor={"ports": vendors}, caller={"ports": ours})
    media = scene.exchange.media
    open_, full = relay.open, True
    relay.open = lambda host, ports, **terms: None if full and ports == vendors else open_(host, ports, **terms)
    relay.used_percent = lambda ports, now: 100.0 if full and ports == vendors else 1.0
    with capture_logs() as lines:
        for _ in range(3):
            call = scene.caller.call(CALLEE)
            scene.wire.run_until(lambda call=call: call.final == 503)
            assert media.used_percents(scene.exchange.clock.now()) == {ours: 1, ON.ivr_ports: 1, vendors: 100}
            media.parts.leg_ports.adopt(media.parts.parameters)
            scene.wire.run_for(70_000)
        full = False
        assert media.used_percents(scene.exchange.clock.now())[ON.ports] == 1
    alarms = [line["event"] for line in lines if line["event"] in {Event.RTP_PORT_EXHAUSTED, Event.RTP_PORTS_FREE}]
    assert alarms == [Event.RTP_PORT_EXHAUSTED] * 3 + [Event.RTP_PORTS_FREE]


def test_a_change_of_a_definition_ends_no_alarm_about_ports():
    """Agents make such changes all day, and each would send two mails."""
    ours, vendors = ON.ports, PortRange(12_000, 12_003)
    scene, relay = scene_with(VirtualRelay(free=0), vendor={"ports": vendors})
    relay.used_percent = lambda _ports, _now: 1.0
    media = scene.exchange.media

    def watched_after(*trunks, **parameters):
        with capture_logs() as lines:
            scene.exchange.swap_catalogue(catalogue(trunks, media=msgspec.structs.replace(ON, **parameters)))
        events = [line["event"] for line in lines if line["event"] in {Event.RTP_PORT_EXHAUSTED, Event.RTP_PORTS_FREE}]
        return events, [*media.used_percents(scene.exchange.clock.now())]

    acme = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    vendor = vendor_gateway(0, media=MediaSettings(ports=vendors))
    for trunks in ([acme, vendor], [acme, vendor_gateway(0)]):
        scene.exchange.swap_catalogue(catalogue(trunks, media=ON))
        call = scene.caller.call(CALLEE)
        scene.wire.run_until(lambda call=call: call.final == 503)
    assert watched_after(acme, vendor_gateway(0, priority=7)) == ([], [ours, ON.ivr_ports])
    assert watched_after(acme, ports=PortRange(20_000, 29_999))[0] == [Event.RTP_PORTS_FREE]
    scene.exchange.swap_catalogue(catalogue([acme, vendor], media=ON))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 503)
    again = vendor_gateway(0, media=MediaSettings(ports=vendors), priority=7)
    assert watched_after(acme, again) == ([], [ours, ON.ivr_ports, vendors])
    assert watched_after(acme)[0] == [Event.RTP_PORTS_FREE]


def test_a_change_of_a_definition_looks_once_at_all_trunks_for_their_ranges():
    """With 100,000 phones and ranges of 50 trunks the switch would stand still for most of a second otherwise."""
    ranges = [PortRange(first, first + 3) for first in (12_000, 12_004, 12_008)]
    relay, now, place = VirtualRelay(free=2), Instant(0, 0), MediaAddress("192.0.2.1", "192.0.2.1")
    leg_ports, asked = LegPorts(relay, [], [], ON), []
    for ports in ranges:  # the last one finds no port
        leg_ports.open(LegMedia(number=1, settings=MediaSettings(ports=ports)), 0, place, now)

    def of_trunks(watched):
        asked.append({*watched})
        return watched & {*ranges[:2]}

    leg_ports.adopt(ON, of_trunks)
    leg_ports.adopt(ON, of_trunks)
    assert asked == [{*ranges}, {*ranges[:2]}]
    assert [*leg_ports.used_percents(now)] == [ON.ports, ON.ivr_ports, *ranges[:2]]


def test_the_range_of_a_gateway_is_watched_after_a_restart_and_a_reload_with_its_next_call():
    relay, now, place = VirtualRelay(), Instant(0, 0), MediaAddress("192.0.2.1", "192.0.2.1")
    one, wide = PortRange(12_000, 12_999), PortRange(20_000, 29_999)
    leg = LegMedia(number=1, settings=MediaSettings(ports=one))
    port = LegPorts(relay, [], [], ON).open(leg, 0, place, now)
    relay.close(port, now)

    later = LegPorts(relay, [], [[place]], ON)
    assert one not in later.used_percents(now)
    assert later.resume(leg, 0, port, place.announced)
    assert one in later.used_percents(now)

    later.adopt(msgspec.structs.replace(ON, ports=wide))
    assert [*later.used_percents(now)] == [wide, ON.ivr_ports]
    # The range that was that of the installation is one of a gateway by now, and spared already.
    assert later.open(LegMedia(number=2, settings=MediaSettings(ports=ON.ports)), 0, place, now) is not None
    assert [*later.used_percents(now)] == [wide, ON.ivr_ports, ON.ports]


def test_a_range_with_ports_at_one_of_two_addresses_is_reported_once_a_minute():
    relay = VirtualRelay()
    leg_ports = LegPorts(relay, [], [], ON)
    one, other = PortRange(12_000, 12_999), PortRange(13_000, 13_999)

    def has_port(ports, at, host="192.0.2.1"):
        relay.free = 0 if host == "192.0.2.2" else 1_000
        leg = LegMedia(number=1, settings=MediaSettings(ports=ports))
        return leg_ports.open(leg, 0, MediaAddress(host, host), Instant(at, at)) is not None

    def events(at, *exhausted, free=()):
        with capture_logs() as lines:
            assert not any(has_port(ports, at, "192.0.2.2") for ports in exhausted)
            assert all(has_port(ports, at) for ports in free)
        return [(line["event"], line.get("ports")) for line in lines]

    of_one, of_other = ((Event.RTP_PORT_EXHAUSTED, str(ports)) for ports in (one, other))
    calls = [events(at, one, free=[one]) for at in range(0, 30_000, 1_000)]
    calls += [events(at, one, other, free=[one, other]) for at in range(30_000, 200_000, 1_000)]
    assert [each for logged in calls for each in logged] == [*([of_one, of_other] * 3), of_one], "each once a minute"
    assert events(258_999, free=[one, other]) == [], "calls have failed within a minute"
    assert events(259_000, free=[one]) == []
    assert events(259_001, free=[other]) == [(Event.RTP_PORTS_FREE, None)]
    assert events(259_002, one, free=[one]) == [of_one], "it was over, and is reported again at once"


def test_packets_to_a_trunk_have_its_own_mark():
    scene, relay = scene_with(vendor={"traffic_class": 0xB8})
    call, _ = scene.talk()
    marks = {port.source.host: port.tos for port in relay.open_ports.values()}
    assert marks == {"192.0.2.20": 0xB8, "192.0.2.10": 0xA0}
    scene.finish(call)


def test_codecs_are_limited_and_ordered_for_either_side():
    offer = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 0 8 18 101")
    scene, _ = scene_with(caller={"codecs": ("PCMA", "PCMU")}, vendor={"codecs": ("PCMU", "PCMA", "G729")})
    _, there = scene.talk(Intent(offer=offer))
    assert "RTP/AVP 0 8 101" in there.theirs


def test_a_call_without_a_common_codec_ends_with_488():
    scene, relay = scene_with(vendors=2, vendor={"codecs": ("PCMU",)}, mode=MediaMode.OFF)
    call = scene.caller.call(CALLEE, Intent(offer=ONLY_G729))
    scene.wire.run_until(lambda: call.final == 488)
    record = scene.close()
    assert record.end_reason == "No Common Codec"
    assert [(row.gateway, row.media_fault) for row in record.attempts] == [("vendor-0", None), ("vendor-1", None)]
    told = advice(record)
    assert told is not None
    assert told.said == "The caller offers no codec that `codecs` of the trunks let through, so no INVITE was sent."
    assert told.todo.endswith("`codecs` of acme, vendor-0, vendor-1")
    assert relay.opened == 0


@pytest.mark.parametrize(
    ("offer", "fault"),
    [
        (OFFER.replace("c=IN IP4 192.0.2.10\r\n", ""), SessionFault.NO_CONNECTION),
        (OFFER.replace("c=IN IP4 192.0.2.10", "c=IN IP4 pbx.example"), SessionFault.NO_ADDRESS),
        (OFFER.replace("20000", "70000"), SessionFault.BAD_PORT),
        (OFFER.replace(" 0 101", ""), SessionFault.NO_FORMATS),
        (OFFER + "m=audio 20002 RTP/AVP 0\r\n" * 8, SessionFault.TOO_MANY_MEDIA),
        (OFFER.replace("RTP/AVP", "TCP/RTP/AVP"), SessionFault.NOT_RELAYABLE),
    ],
)
def test_an_offer_that_cannot_be_relayed_gets_488_and_opens_no_port(offer, fault):
    scene, relay = scene_with()
    call = scene.caller.call(CALLEE, Intent(offer=offer))
    scene.wire.run_until(lambda: call.final == 488)
    assert relay.opened == 0
    record = scene.close()
    assert [(row.code, row.reason, row.media_fault) for row in record.attempts] == [(0, "No Common Codec", fault.value)]
    assert advice(record).said == f"A session description could not be forwarded: {fault.value}."


@pytest.mark.parametrize(
    ("mode", "vendor", "path"),
    [
        (MediaMode.ON, {}, ("relayed", 0)),
        (MediaMode.OFF, {}, ("direct", 0)),
        (MediaMode.AUTO, {"mode": MediaMode.ON}, ("relayed", 3)),
        (MediaMode.AUTO, {"mode": MediaMode.OFF}, ("direct", 2)),
        (MediaMode.AUTO, {}, ("direct", 8)),
    ],
)
def test_each_attempt_has_the_step_that_decides_its_media(mode, vendor, path):
    """Also one that has failed, and in a call that is not relayed."""
    scene, _ = scene_with(mode=mode, vendor=vendor, vendors=2)
    scene.vendor.script = refuses(503)
    scene.vendors[1].script = Script((Line(0, 180), Line(500, 200, OTHER_ANSWER)))
    call = scene.answered_call(talk_ms=1_000)
    record = scene.finish(call)
    assert [(row.code, row.media_path, row.media_step, row.media_fault) for row in record.attempts] == [
        (503, *path, None), (200, *path, None)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        (ANSWER.replace("30000", "70000"), {}),
        (ANSWER.replace("c=IN IP4 192.0.2.20", "c=IN IP4 pbx.example"), {}),
        (ANSWER.partition("m=")[0], {}),
        (ANSWER.replace("30000", "0"), {}),
        ("hello world\r\n", {}),
        (ANSWER.replace("RTP/AVP", "tcp/rtp/avp"), {}),
        (ANSWER.replace("RTP/AVP 0", "RTP/AVP 8"), {"caller": {"codecs": ("PCMU",)}}),
    ],
)
def test_an_answer_that_the_caller_cannot_be_sent_is_hung_up_and_the_next_gateway_tried(answer, more):
    scene, relay = scene_with(vendors=2, **more)
    scene.vendor.script = Script((Line(0, 180), Line(500, 200, answer)))
    scene.vendors[1].script = Script((Line(0, 200, OTHER_ANSWER),))
    call = scene.answered_call(talk_ms=1_000)
    refused = scene.vendor.only_call
    assert refused.is_over
    assert ports(relay, call, scene.vendors[1].only_call)[1].source.host == "192.0.2.30"
    record = scene.finish(call)
    assert [(row.gateway, row.code, row.reason) for row in record.attempts] == [
        ("vendor-0", 200, "No Common Codec"),
        ("vendor-1", 200, "Answered"),
    ]
    assert relay.open_ports == {}


@pytest.mark.parametrize("rejected", ["m=audio 0", "m= audio  00", ""])
@pytest.mark.parametrize("mode", [MediaMode.ON, MediaMode.OFF])
@pytest.mark.parametrize("offer", [OFFER, ""])
def test_an_answer_that_rejects_all_media_is_hung_up_and_not_charged(mode, rejected, offer):
    """FreeSWITCH gives one to keys beside RTP/AVP, and the caller would pay for silence."""
    scene, _ = scene_with(mode=mode)
    answer = ANSWER.replace("m=audio 30000", rejected) if rejected else "no description"
    call = scene.begun_call(Intent(offer=offer), script=answers(body=answer))
    scene.wire.run_until(lambda: call.final == 488)
    assert scene.vendor.only_call.is_over
    record = scene.close()
    assert (record.end_reason, record.hold_time_ms, record.fee) == ("No Common Codec", 0, 0)
    assert [row.media_fault for row in record.attempts] == [SessionFault.NO_MEDIA.value]


@pytest.mark.parametrize("mode", [MediaMode.ON, MediaMode.OFF])
@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (OFFER + VIDEO, ANSWER + "m=video 0 RTP/AVP 96\r\n"),
        (OFFER, ANSWER.replace("m=audio 30000", "m= audio  030000")),
        (OFFER + VIDEO, ANSWER.replace("30000", "0") + VIDEO),
        (OFFER, ANSWER.replace("192.0.2.20\r\nt=", "0.0.0.0\r\nt=")),
        (OFFER, ANSWER + "a=inactive\r\n"),
        (OFFER.replace("20000", "0"), ANSWER.replace("30000", "0")),
        (OFFER + MESSAGES, ANSWER.replace("30000", "0") + MESSAGES),
    ],
)
def test_an_answer_that_takes_some_media_or_that_there_were_none_for_is_passed_on(mode, offer, answer):
    scene, _ = scene_with(mode=mode)
    call, party = scene.talk(Intent(offer=offer), answers(body=answer))
    party.will("INVITE", Reply(200, revised(party.mine.replace("30000", "0"))))
    scene.propose(call)
    assert call.got["INVITE"][-1] == 200
    party.will("UPDATE", Reply(200, revised(party.mine)))
    scene.propose(call, method="UPDATE")
    assert call.got["UPDATE"][-1] == 200
    assert scene.finish(call).end_reason == "Normal"


def test_a_call_whose_only_answer_cannot_be_relayed_ends_with_488():
    scene, relay = scene_with()
    call = scene.begun_call(script=Script((Line(0, 200, ANSWER.replace("30000", "70000")),)))
    scene.wire.run_until(lambda: call.final == 488)
    record = scene.close()
    assert record.end_reason == "No Common Codec"
    assert [row.media_fault for row in record.attempts] == [SessionFault.BAD_PORT.value]
    assert relay.open_ports == {}


@pytest.mark.parametrize("broken", [ANSWER.replace("30000", "70000"), ANSWER.partition("m=")[0], "hello world"])
def test_early_media_that_cannot_be_relayed_are_left_out_of_the_response(broken):
    scene, _ = scene_with()
    call, _ = scene.talk(script=Script((Line(0, 183, broken), Line(500, 200, ANSWER))))
    assert [response.body != "" for response in call.responses if response.status == 183] == [False]
    scene.finish(call)


@pytest.mark.parametrize("is_restored", [False, True], ids=["one process", "restored"])
@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL], ids=["plain", "reliable"])
def test_early_media_that_are_left_out_of_the_response_do_not_shape_the_answer(headers, is_restored, tmp_path):
    relay = VirtualRelay()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = KilledScene(tmp_path, catalogue(trunks, media=ON), relay=relay)
    broken = ANSWER.replace("30000", "70000") + "m=video 0 RTP/AVP 31\r\n" * 9
    scene.vendor.script = Script((Line(0, 183, broken), Line(5_000, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=headers), after_ms=2_000)
    assert [response.body for response in call.responses if response.status == 183] == [""]
    if is_restored:
        scene.stop_and_keep()
    scene.wire.run_until(lambda: call.final == 200)
    assert len(media_of(call.theirs.encode())) == 1
    scene.finish(call)


# -- silence ------------------------------------------------------------------------------------------------------


def silent_call(caller=None, vendor=None, **more):
    usual = {"timeout_ms": 10_000}
    return scene_with(caller={**usual, **(caller or {})}, vendor={**usual, **(vendor or {})}, **more)


def test_a_call_whose_both_sides_are_silent_ends_when_the_time_is_over():
    scene, relay = silent_call()
    call, there = scene.talk()
    for port in ports(relay, call, there):
        hear(scene, port, after_ms=2_000)
    scene.wire.run_for(9_900)
    assert not call.is_over
    record = scene.end_of(call)
    assert (record.end_reason, record.hangup_source) == ("No Media", "switch")
    assert record.hold_time_ms == 1 + 1_000 + 4_000 + 10_000  # the answer takes a millisecond to the caller


def test_a_call_goes_on_while_one_side_talks_where_both_must_be_silent():
    scene, relay = silent_call()
    call, there = scene.talk()
    of_caller, _ = ports(relay, call, there)
    for _ in range(6):
        hear(scene, of_caller, after_ms=5_000)
    assert not call.is_over
    scene.finish(call)


@pytest.mark.parametrize(
    ("watch", "talks", "ends"),
    [
        (MediaWatch.ANY, 0, True),
        (MediaWatch.FROM_PEER, 0, False),
        (MediaWatch.FROM_PEER, 1, True),
        (MediaWatch.TO_PEER, 0, True),
        (MediaWatch.TO_PEER, 1, False),
        (MediaWatch.OFF, None, False),
    ],
)
def test_a_trunk_says_which_silence_ends_its_calls(watch, talks, ends):
    """``talks``: 0 = the caller alone, 1 = the callee alone; the trunk of the caller watches."""
    scene, relay = silent_call(caller={"watch": watch}, vendor={"watch": MediaWatch.OFF})
    call, there = scene.talk()
    both = ports(relay, call, there)
    for _ in range(4):
        if talks is not None and not call.is_over:
            hear(scene, both[talks])
        scene.wire.run_for(5_000)
    assert call.is_over is ends
    if not ends:
        scene.hang_up(call)
    scene.close()


def test_a_call_on_hold_may_be_silent_for_longer():
    scene, _ = silent_call(caller={"hold_timeout_ms": 60_000}, vendor={"hold_timeout_ms": 60_000})
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=50_000)
    assert not call.is_over
    assert scene.end_of(call).end_reason == "No Media"


def test_a_call_that_one_side_only_listens_to_may_be_silent_for_longer():
    """The silence of that side says nothing, and its other one may have nothing to say."""
    terms = {"watch": MediaWatch.ANY, "hold_timeout_ms": 60_000}
    scene, _ = silent_call(caller=terms, vendor=terms)
    call, there = scene.talk()
    there.will("INVITE", Reply(200, revised(there.mine, "a=sendonly")))
    scene.propose(call, "a=recvonly", wait_ms=50_000)
    assert not call.is_over
    assert scene.end_of(call).end_reason == "No Media"


def test_fax_may_be_silent():
    scene, _ = silent_call()
    call, there = scene.talk()
    fax = "m=image 20000 udptl t38\r\na=T38FaxVersion:0\r\n"
    call.mine = there.answers = None or OFFER.split("m=")[0] + fax
    there.mine = ANSWER.split("m=")[0] + fax.replace("20000", "30000")
    scene.propose(call, wait_ms=60_000)
    assert not call.is_over
    scene.finish(call)


@pytest.mark.parametrize(("billing", "held_ms"), [("detection", 13_001), ("proof", 3_001)])
def test_a_silent_call_is_billed_to_its_deadline_or_to_the_last_proof_of_life(billing, held_ms):
    scene, relay = silent_call(dead_call_billing=DeadCallBilling(billing))
    call, there = scene.talk()
    for port in ports(relay, call, there):
        hear(scene, port, after_ms=1_000)
    record = scene.end_of(call)
    assert record.hold_time_ms == held_ms
    assert f'"dead_call_billing":"{billing}"' in record.fee_breakdown


def test_the_record_has_what_came_on_both_legs():
    scene, relay = scene_with()
    call, there = scene.talk()
    of_caller, of_callee = ports(relay, call, there)
    of_caller.figures = PortFigures(
        of_caller.port.id, "192.0.2.10", 20_000, 0, 500, expected=510, lost=10, dropped=DroppedPackets(unknown=2)
    )
    of_callee.figures = PortFigures(of_callee.port.id, packets_out=50)
    legs = media(scene.finish(call))["legs"]
    assert (legs["caller"]["latched"], legs["caller"]["codec"]) == ("192.0.2.10:20000", "PCMU")
    assert [legs["caller"][name] for name in ("lost_percent", "foreign", "mos")] == [2.0, 2, 4.2]
    assert (legs["callee"]["packets_in"], legs["callee"]["packets_out"], legs["callee"]["codec"]) == (0, 50, None)
    assert [legs["callee"][name] for name in ("lost_percent", "jitter_ms", "jitter_max_ms")] == [None] * 3


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("transfer", ["blind", "attended"])
def test_the_record_has_the_media_of_a_caller_that_has_left_by_a_transfer(tmp_path, transfer, is_killed):
    relay = VirtualRelay()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = KilledScene(tmp_path, catalogue(trunks, media=ON), relay=relay)
    scene.vendor.script = Script((Line(0, 200, ANSWER),))
    calls = [scene.caller.call(CALLEE) for _ in range(1 if transfer == "blind" else 2)]
    scene.wire.run_for(2_000)
    for call, there, packets in zip(calls, scene.vendor.calls, (152, 30), strict=False):
        of_caller, _ = ports(relay, call, there)
        of_caller.figures = PortFigures(of_caller.port.id, "192.0.2.10", 20_000, 0, packets, expected=packets)
    party, (call, *others) = scene.vendor.calls[0], calls
    if transfer == "blind":
        blind(call, CALLEE)
    else:
        attended(call, *others)
    scene.wire.run_for(3_000)
    assert call.is_over
    if is_killed:
        scene.kill()
    scene.hang_up(party, wait_ms=3_000)
    records = sorted(scene.exchange.sink.records, key=lambda record: record.call_id)
    first, second = (media(record)["legs"] for record in records)
    assert (first["caller"]["packets_in"], first["caller"]["latched"]) == (152, "192.0.2.10:20000")
    assert first["callee"] is not None
    assert second["callee"] is not None
    assert (second["caller"] and second["caller"]["packets_in"]) == (None if transfer == "blind" else 30)


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_record_has_the_media_of_phones_whose_place_others_have_taken(tmp_path, is_killed):
    relay = VirtualRelay()
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = KilledScene(tmp_path, catalogue(trunks, media=ON), relay=relay)
    call = scene.begun_call(script=Script((Line(0, 200, ANSWER),)), after_ms=2_000)
    other = scene.vendor.calls[0]
    for number, packets in enumerate((4_000, 2_000, 1_000)):
        port = relay.at(place(call.theirs)[1])
        port.figures = PortFigures(port.port.id, "192.0.2.10", 20_000 + number, 0, packets, expected=packets, lost=40)
        if number < 2:
            call = scene.begun_call(Intent(headers=(replacing(call),)), after_ms=3_000)
            assert call.final == 200
    if is_killed:
        scene.kill()
    scene.hang_up(other, wait_ms=3_000)
    (record,) = scene.exchange.sink.records
    legs = media(record)["legs"]
    assert (legs["caller"]["packets_in"], legs["caller"]["latched"]) == (7_000, "192.0.2.10:20002")
    if not is_killed:
        parts, now = scene.exchange.media.parts, scene.exchange.clock.now().mono
        assert dict(parts.customer_losses.percents(now)) == {"acme": 100 * 120 / 7_000}


def test_the_record_has_the_media_of_a_called_phone_whose_place_another_has_taken():
    relay = VirtualRelay()
    scene = Scene(office(media=ON), relay=relay)
    desk, mate = registered(scene)
    call, there = called(scene, desk)
    for packets in (100, 50):
        port = relay.at(place(there.theirs)[1])
        port.figures = PortFigures(port.port.id, "192.0.2.10", 20_000, 0, packets)
        if packets == 100:
            there = mate.call(DESK, Intent(headers=(replacing(there),)))
            scene.wire.run_for(3_000)
            assert there.final == 200
    record = scene.finish(call)
    assert media(record)["legs"]["callee"]["packets_in"] == 150


@pytest.mark.parametrize("later", ["image 20000 udptl t38", "audio 20000 RTP/AVP 8"])
def test_the_codec_of_the_most_packets_is_named_where_the_last_description_has_it_not(later):
    """A call that ends as a fax, or with another codec."""
    scene, relay = scene_with()
    call, there = scene.talk()
    call.mine = OFFER.partition("m=")[0] + f"m={later}\r\n"
    there.mine = ANSWER.partition("m=")[0] + f"m={later}\r\n".replace("20000", "30000")
    scene.propose(call)
    for each in ports(relay, call, there):
        each.figures = PortFigures(each.port.id, "192.0.2.10", 20_000, 0, 500, expected=500)
    legs = media(scene.finish(call))["legs"]
    assert [(leg["codec"], leg["mos"]) for leg in legs.values()] == [("PCMU", 4.4)] * 2


@pytest.mark.parametrize("keys", ["*1", "*2"])
@pytest.mark.parametrize("early", ["", ANSWER.replace("192.0.2.20", "192.0.2.30")])
def test_both_sides_hear_each_other_while_the_target_of_a_transfer_rings_and_after_it_was_busy(keys, early):
    relay = VirtualRelay()
    scene = keypad_scene(parameters={"media": ON}, relay=relay)
    scene.vendor.by_number = {TARGET: Script((Line(2_000, 183, early), Line(5_000, 486)))}
    call = talking(scene)
    before = {number: port.other for number, port in relay.open_ports.items()}
    press(scene, call, f"{keys}{TARGET}#")
    for _ in range(8):
        scene.wire.run_for(1_000)
        assert {number: relay.open_ports[number].other for number in before} == before
    assert len(scene.vendor.calls) == 2
    assert len(relay.open_ports) == 2
    scene.expect_nothing_left(call)


def test_a_side_that_refuses_another_phone_hears_the_one_that_it_had():
    scene, relay = scene_with()
    call, party = scene.talk()
    before = {number: (port.other, port.source) for number, port in relay.open_ports.items()}
    party.will("INVITE", Reply(488))
    other = Intent(OFFER.replace("audio 20000", "audio 20002"), headers=(f"Replaces: {call.replaces}",))
    pickup = scene.settled_call(other)
    scene.wire.run_for(1_000)
    assert pickup.final == 488
    assert {number: (port.other, port.source) for number, port in relay.open_ports.items()} == before
    scene.finish(call)
