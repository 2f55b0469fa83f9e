"""Gateways whose media are of another address family than the caller's."""

import json

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, routing_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.callcontrol.media_outlook import out_of_reach
from vosd.sdp.family import family_of
from vosd.sip.flows import Listener
from vosd.trunks.gateways import Address
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

LISTENERS = (Listener("192.0.2.1", 5060), Listener("2001:db8::1", 5060))
V6 = (Address("2001:db8::66", 5060),)
OFF = MediaSettings(mode=MediaMode.OFF)


@pytest.mark.parametrize(
    ("session", "family"),
    [
        (b"v=0\r\no=- 1 1 IN IP6 ::1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4 RTP/AVP 0\r\n", 4),
        (b"v=0\r\nm=audio 4 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n", 6),
        (b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n", 0),
        (b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4 RTP/AVP 0\r\na=altc:1 IP6 2001:db8::1 4\r\n", 0),
        (b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4 RTP/AVP 0\r\na=candidate:1 1 UDP 1 ::1 4 typ host\r\n", 0),
        (b"v=0\r\nc=IN IP6 ::1\r\nm=audio 4 RTP/AVP 0\r\na=candidate:1 1 UDP 1 ::1 4 typ host\r\n", 6),
        (b"v=0\r\nc=IN IP6 ::1\r\nm=audio 4 RTP/AVP 0\r\na=candidate:1 1 udp 1 a.local 4 typ host\r\n", 0),
        (b"v=0\r\nc=IN IP6 ::1\r\nm=audio 4 RTP/AVP 0\r\na=candidate:1 1 TCP 1 192.0.2.1 9 typ host\r\n", 6),
        (b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4 RTP/AVP 0\r\n", 0),
        (b"v=0\r\nc=IN IP6 ::\r\nm=audio 4 RTP/AVP 0\r\n", 0),
        (b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4 RTP/AVP 0\r\nc=IN IP6 ::1\r\n", 6),
        (b"", 0),
    ],
)
def test_the_family_of_an_offer(session, family):
    assert family_of(session) == family


def parameters(mode=MediaMode.AUTO, engine=MediaEngine.RELAY, **more):
    return MediaParameters(engine=engine, mode=mode, **more)


@pytest.mark.parametrize(
    ("media", "gateway", "hosts", "why"),
    [
        (parameters(engine=MediaEngine.NONE), {}, ["2001:db8::66"], "there is no media.engine"),
        (parameters(engine=MediaEngine.NONE), {}, ["2001:db8::66", "203.0.113.66"], None),
        (parameters(engine=MediaEngine.NONE), {}, ["sip.example.com"], None),
        (parameters(engine=MediaEngine.NONE), {}, [], None),
        (parameters(), {}, ["2001:db8::66"], None),
        (parameters(), {"media": OFF}, ["2001:db8::66"], "not relayed (step 2)"),
        (parameters(MediaMode.OFF), {}, ["2001:db8::66"], "not relayed (SS_MEDIAPROXYMODE)"),
        (parameters(MediaMode.MUST_ON), {"media": OFF}, ["2001:db8::66"], None),
        (parameters(between_networks=False), {}, ["2001:db8::66"], "not relayed (step 8)"),
        (parameters(between_networks=False), {"credentials": credentials("v", "secret")}, ["2001:db8::66"], None),
        (
            parameters(between_networks=False, behind_nat=False),
            {"credentials": credentials("v", "secret")},
            ["2001:db8::66"],
            "(step 8)",
        ),
    ],
)
def test_a_gateway_is_out_of_reach_where_nothing_relays_between_the_families(media, gateway, hosts, why):
    reason = out_of_reach(media, mapping_gateway("acme", "192.0.2.9/32"), 4, routing_gateway("v", **gateway), hosts)
    assert (reason is None) is (why is None)
    if why is not None:
        assert reason.startswith("the caller's media are IPv4, those of the gateway IPv6, and ")
        assert why in reason


def scene_with(*gateways, listeners=LISTENERS, media=None, relay=None):
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways]
    return Scene(catalogue(trunks, media=media or MediaParameters()), listeners=listeners, relay=relay)


def test_it_is_left_out_and_the_next_one_gets_the_call():
    scene = scene_with(vendor_gateway(1, addresses=V6, priority=0), vendor_gateway(0))
    call, there = scene.talk()
    assert there.invite.start_line.startswith(f"INVITE sip:{CALLEE}@203.0.113.1:")
    record = scene.finish(call)
    assert [row.gateway for row in record.attempts] == ["vendor-0"]


def test_it_is_left_out_for_the_target_of_a_transfer_too():
    scene = scene_with(vendor_gateway(1, addresses=V6, priority=0), vendor_gateway(0))
    call, party = scene.talk()
    call.ask("REFER", headers=[f"Refer-To: <sip:442071111111@{SWITCH}>"])
    scene.wire.run_for(5_000)
    target = scene.vendor.calls[-1]
    assert target.invite.start_line.startswith("INVITE sip:442071111111@")
    assert scene.bytes_to(Endpoint(V6[0].host, 5060)) == b""
    party.hang_up()
    scene.wire.run_until(lambda: target.is_over)


def test_a_call_without_another_one_ends_with_488_and_the_record_says_why():
    scene = scene_with(vendor_gateway(1, addresses=V6))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 488)
    record = scene.close()
    assert (record.end_reason, record.attempts) == ("No Common Codec", ())
    (left,) = json.loads(record.verdicts)["left"]
    assert left["reason"].startswith("address family: the caller's media are IPv4, those of the gateway IPv6")


def test_a_switch_with_sockets_of_one_family_does_not_look_at_families():
    scene = scene_with(vendor_gateway(1, addresses=V6), listeners=LISTENERS[:1])
    call = scene.settled_call()
    assert call.final != 488


def test_it_is_tried_where_the_relay_has_both_families():
    media = parameters(MediaMode.AUTO)
    scene = scene_with(vendor_gateway(1, addresses=V6), media=media, relay=VirtualRelay())
    call = scene.begun_call(after_ms=1_000)
    (invite,) = [each.data for each in scene.wire.packets if each.target.host == V6[0].host][:1]
    assert b"c=IN IP6 2001:db8::1\r\n" in invite
    call.cancel()
    scene.wire.run_for(40_000)
