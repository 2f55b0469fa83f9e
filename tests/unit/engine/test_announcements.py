"""Announcements before a refusal: what the caller is sent, hears and is charged, and what is left."""

import pytest
from doubles.announcing import ONLY_OPUS, PORTS, scene_with
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import INSISTS_ON_RELIABLE, SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene
from doubles.virtual.vendor import Line, Script
from structlog.testing import capture_logs

from vosd.base.cause import EndReason
from vosd.base.nat import Nat
from vosd.obs.events import Event
from vosd.obs.figures import Figure
from vosd.sdp.media import media_of
from vosd.trunks.announcements import NO_SOUND
from vosd.trunks.dialect import Passing
from vosd.trunks.media import MediaAddress


def refused(scene: Scene, status: int = 486, intent: Intent | None = None):
    scene.vendor.script = Script((Line(100, status),))
    return scene.caller.call(CALLEE, intent or Intent())


def early(scene: Scene, call):
    scene.wire.run_until(lambda: any(response.status == 183 for response in call.responses))
    return next(response for response in call.responses if response.status == 183)


def record(scene: Scene):
    (found,) = scene.exchange.sink.records
    return found


def counted(scene: Scene) -> tuple[int, int]:
    counts = scene.exchange.switch.services.notices.counted
    return counts[Figure.ANNOUNCEMENTS], counts[Figure.ANNOUNCEMENTS_MISSED]


def hear_all(scene: Scene, call, relay: VirtualRelay, status: int = 486):
    """Wait for the refusal; return the early response and the record."""
    response = early(scene, call)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == status
    assert relay.open_ports == {}
    scene.close()
    return response, record(scene)


def test_a_caller_hears_why_its_call_fails_and_then_gets_the_code():
    scene, relay = scene_with()
    call = refused(scene)
    response = early(scene, call)
    (medium,) = media_of(response.body.encode())
    assert (medium.host, medium.codecs, medium.direction) == ("192.0.2.1", ("PCMU",), "sendrecv")
    port = relay.at(medium.port)
    assert PORTS.first <= medium.port <= PORTS.last
    assert (port.playing[0].codec.name, port.playing[1:]) == ("PCMU", (0, 1))
    assert port.source.host == "192.0.2.10"
    failed_ms = scene.wire.clock.now().mono
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 486
    assert call.refusal["Reason"].startswith("Q.850;cause=17")
    assert 2_250 <= scene.wire.clock.now().mono - failed_ms <= 2_400
    assert relay.open_ports == {}
    scene.close()
    found = record(scene)
    assert (found.end_reason, found.sip_code, found.answered_at, found.fee) == ("Busy", 486, None, 0)
    assert found.ended_at < failed_ms + 50 + found.started_at
    assert '"played":[{"to":"caller","sound":"busy","codec":"PCMU","ms":2000}]' in found.media
    assert counted(scene) == (1, 0)


def test_a_caller_behind_nat_opens_the_way_for_its_announcement_from_where_its_sip_comes():
    scene, relay = scene_with(nat=Nat.YES)
    response = early(scene, refused(scene, intent=Intent(offer=OFFER.replace("192.0.2.10", "25.0.0.4"))))
    (medium,) = media_of(response.body.encode())
    assert relay.at(medium.port).source.hosts() == {"25.0.0.4", CUSTOMER.host}


def test_a_refusal_that_waited_ends_the_announced_call_when_it_came():
    scene, relay = scene_with()
    call = refused(scene)
    scene.wire.run_until(lambda: bool(scene.vendor.calls))
    scene.exchange.waiting_ms = 70
    early(scene, call)
    scene.exchange.waiting_ms = 0
    _, found = hear_all(scene, call, relay)
    (attempt,) = found.attempts
    assert abs(attempt.ms - (found.ended_at - found.started_at)) <= 10


def test_a_caller_whose_family_has_no_address_of_ours_is_announced_the_one_that_peers_send_to():
    scene, relay = scene_with(media_addresses=((MediaAddress("10.1.1.1", "203.0.113.9"),),))
    call = refused(scene, intent=Intent(OFFER.replace("IP4 192.0.2.10", "IP6 2001:db8::10")))
    (medium,) = media_of(early(scene, call).body.encode())
    assert (medium.host, relay.at(medium.port).port.host) == ("203.0.113.9", "10.1.1.1")
    scene.wire.run_until(lambda: call.final is not None)


def test_a_caller_that_gives_up_meanwhile_leaves_the_reason_for_which_its_call_failed():
    scene, relay = scene_with()
    call = refused(scene, intent=Intent(cancel_after_ms=900))
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 487
    assert relay.open_ports == {}
    scene.close()
    found = record(scene)
    assert (found.end_reason, found.sip_code) == ("Busy", 487)
    assert '"ms":798' in found.media


@pytest.mark.parametrize("intent", [Intent(headers=SUPPORTS_100REL), Intent(headers=INSISTS_ON_RELIABLE)])
def test_a_caller_that_wants_reliable_responses_acknowledges_the_description(intent):
    scene, relay = scene_with()
    call = refused(scene, intent=intent)
    response, _ = hear_all(scene, call, relay)
    assert response["Require"] == "100rel"
    assert len([each for each in call.responses if each.status == 183]) == 1


def test_without_its_prack_the_description_is_repeated_until_the_refusal():
    scene, relay = scene_with()
    call = refused(scene, intent=Intent(headers=INSISTS_ON_RELIABLE, pracks=False))
    hear_all(scene, call, relay)
    assert len([each for each in call.responses if each.status == 183]) > 1


def test_a_lost_description_costs_no_more_than_the_sound():
    scene, relay = scene_with()
    scene.wire.delays = lambda packet: [] if b"SIP/2.0 183" in packet.data else [1]
    call = refused(scene)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 486
    assert relay.open_ports == {}
    scene.close()


def test_another_early_dialog_begins_after_early_media_of_the_vendor():
    scene, _ = scene_with()
    call = scene.settled_call(script=Script((Line(100, 183, ANSWER), Line(500, 486))))
    first, second = [each for each in call.responses if each.status == 183]
    assert first["To"] != second["To"]
    assert media_of(first.body.encode())[0].host == "192.0.2.20"
    assert media_of(second.body.encode())[0].host == "192.0.2.1"
    scene.close()


@pytest.mark.parametrize(
    "named",
    [
        {"intent": Intent("")},
        {"intent": Intent(ONLY_OPUS)},
        {"intent": Intent(OFFER.replace("RTP/AVP", "RTP/SAVP"))},
        {"intent": Intent(OFFER + "a=sendonly\r\n")},
        {"free": 0},
        {"early_media": Passing.STRIP},
        {"announcements": {"Busy": "gone"}},
        {"has_memory": False},
    ],
    ids=["no offer", "no codec", "encrypted", "on hold", "no port", "no early media", "no sound", "no memory"],
)
def test_a_caller_that_cannot_hear_it_gets_the_code_alone(named):
    named = dict(named)
    intent, has_memory = named.pop("intent", None), named.pop("has_memory", True)
    scene, relay = scene_with(named.pop("announcements", None), **named)
    relay.has_memory = has_memory
    call = refused(scene, intent=intent)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.statuses == [486]
    assert relay.open_ports == {}
    assert counted(scene) == (0, 1)
    scene.close()
    assert record(scene).media is None


def test_an_alarm_says_that_no_port_is_free_for_announcements():
    scene, _ = scene_with(free=0)
    with capture_logs() as lines:
        call = refused(scene)
        scene.wire.run_until(lambda: call.final is not None)
    assert [each["ports"] for each in lines if each["event"] == Event.IVR_PORT_EXHAUSTED] == ["40000,40099"]
    scene.close()


def test_a_sound_that_the_worker_cannot_have_after_all_ends_at_once_and_was_not_played():
    scene, relay = scene_with()
    call = refused(scene)
    early(scene, call)
    (port,) = relay.open_ports
    failed_at = scene.wire.clock.now()
    scene.exchange.switch.media_events.sound_failed(port + 1, failed_at)
    scene.wire.run_for(100)
    assert call.final is None
    scene.exchange.switch.media_events.sound_failed(port, failed_at)
    scene.exchange.flush()
    scene.wire.run_for(20)
    assert call.final == 486
    assert relay.open_ports == {}
    scene.close()
    found = record(scene)
    assert (found.end_reason, found.sip_code, found.media) == ("Busy", 486, None)


def test_other_media_of_an_offer_are_rejected():
    scene, relay = scene_with()
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    offer = OFFER.replace("m=audio", video + "m=audio").replace("m=audio", "a=rtcp-mux\r\nm=audio", 1)
    call = refused(scene, intent=Intent(offer))
    response, _ = hear_all(scene, call, relay)
    assert [(each.kind, bool(each.port)) for each in media_of(response.body.encode())] == [
        ("video", False),
        ("audio", True),
    ]


def test_the_trunk_of_the_caller_says_what_it_hears_before_the_installation():
    scene, relay = scene_with(announcements={"Busy": "busy"}, own={"Busy": "other"})
    _, found = hear_all(scene, refused(scene), relay)
    assert '"sound":"other"' in found.media
    scene, relay = scene_with(own={"Busy": NO_SOUND})
    call = refused(scene)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.statuses == [486]
    assert counted(scene) == (0, 0)
    scene.close()


def test_a_reason_without_a_sound_is_refused_at_once():
    scene, _ = scene_with()
    call = refused(scene, 404)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.statuses == [404]
    scene.close()


def test_a_call_that_is_not_admitted_is_announced_too():
    scene, relay = scene_with({"Insufficient Balance": "busy"}, balance="0")
    call = scene.caller.call(CALLEE)
    response, found = hear_all(scene, call, relay, 402)
    assert response.body
    assert (found.end_reason, found.sip_code, found.fee) == ("Insufficient Balance", 402, 0)
    assert found.hangup_source == "switch"
    assert scene.vendor.calls == []


def test_no_sound_lasts_longer_than_half_a_minute():
    scene, relay = scene_with({"Busy": "long"})
    call = refused(scene)
    _, found = hear_all(scene, call, relay)
    assert '"ms":30000' in found.media


@pytest.mark.parametrize("is_ordered", [True, False])
def test_an_order_or_a_bye_of_the_caller_ends_it_at_once(is_ordered):
    scene, relay = scene_with()
    call = refused(scene)
    early(scene, call)
    if is_ordered:
        scene.exchange.end_all(EndReason.SHUTDOWN)
    else:
        call.hang_up()
    scene.wire.run_for(200)
    assert call.final == (486 if is_ordered else 487)
    assert relay.open_ports == {}
    scene.close()


def test_the_next_switch_goes_on_with_it():
    scene, relay = scene_with()
    call = refused(scene)
    early(scene, call)
    scene.wire.run_for(500)
    (port,) = relay.open_ports.values()
    replace_node(scene)
    assert port.playing is not None
    response, found = hear_all(scene, call, relay)
    assert response.body
    assert '"ms":2000' in found.media


def test_a_killed_switch_leaves_no_port(tmp_path):
    scene, relay = scene_with(directory=tmp_path)
    call = refused(scene)
    early(scene, call)
    scene.kill(then_ms=60_000)
    assert relay.open_ports == {}


def test_a_call_that_is_charged_before_its_answer_is_not_charged_for_the_sound():
    ended = []
    for announcements in ({}, {"Busy": "busy"}):
        scene, _ = scene_with(announcements, charges_ringing=True)
        call = refused(scene)
        scene.wire.run_until(lambda call=call: call.final is not None)
        scene.close()
        ended.append((record(scene).hold_time_ms, record(scene).fee))
    assert ended[0] == ended[1]
