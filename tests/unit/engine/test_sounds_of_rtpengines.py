"""Sounds that rtpengines play: music on hold, and announcements before a refusal."""

import json
import re

import pytest
from doubles.announcing import sound
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised, with_ice
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.pooled_rtpengines import PooledRtpEngines
from doubles.virtual.rtpengines import HOSTS, HOSTS_6, VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers, refuses
from msgspec.structs import replace

from vosd.media.rtpengine_orders import RtpAnswer, RtpOffer, RtpReply
from vosd.media.sounds import Sound
from vosd.sdp.family import families_of_ice
from vosd.sdp.media import media_of
from vosd.sdp.security import Protection, protection_of
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.media import Encryption, IceMode, MediaEngine, MediaMode, MediaParameters, MediaSettings, MediaTrust

SOUNDS = {"busy": Sound("busy", sound("busy").by_codec, "/srv/busy.wav")}
KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:caller+keyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
UNREAD_SUITE = f"a=crypto:2 AEAD_AES_256_GCM_8 inline:{59 * 'A'}=\r\n"
FINGERPRINT = "a=setup:actpass\r\na=fingerprint:sha-256 " + 31 * "AB:" + "CD\r\n"
RINGS = Line(0, 180)
SEALED_OFFER = OFFER.replace("RTP/AVP", "RTP/SAVP") + KEY


@pytest.fixture
def engines():
    return VirtualRtpEngines()


def scene_with(engines, *more, music="", ring_back="", customer_media=None):
    parameters = MediaParameters(
        engine=MediaEngine.RTPENGINE,
        mode=MediaMode.ON,
        music_on_hold=music,
        ring_back=ring_back,
        announcements={"Busy": "busy"},
    )
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=customer_media or MediaSettings()),
        *(more or (vendor_gateway(0),)),
    ]
    return Scene(catalogue(trunks, media=parameters, sounds=SOUNDS), rtpengines=engines)


def run(scene, ms=500):
    scene.wire.run_for(ms)


def test_the_side_that_is_held_hears_music_and_not_the_holder(engines):
    scene = scene_with(engines, music="busy")
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=3_000)
    ((name, holder),) = {(each[1], each[2]) for each in engines.blocked}
    ((played_at, held),) = engines.playing
    assert (played_at, engines.playing[played_at, held][0]) == (name, "/srv/busy.wav")
    assert held != holder
    scene.propose(call)
    assert (engines.playing, engines.blocked) == ({}, set())
    media = json.loads(scene.finish(call).media)
    assert [(each["to"], each["sound"]) for each in media["played"]] == [("callee", "busy")]
    assert 2_900 < media["played"][0]["ms"] < 3_100


def test_music_that_was_played_by_an_rtpengine_that_is_lost_is_recorded(engines):
    scene = scene_with(engines, music="busy")
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=3_000)
    engines.lose("one")
    run(scene)
    media = json.loads(scene.finish(call).media)
    assert [(each["to"], each["sound"]) for each in media["played"]] == [("callee", "busy")]
    assert 2_900 < media["played"][0]["ms"] < 3_100


def test_music_begins_again_at_the_next_rtpengine(engines):
    """The holder was heard there: it may send, and nothing was played in its place."""
    scene = scene_with(engines, music="busy")
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=3_000)
    engines.lose("one")
    engines.blocked.clear()
    for _ in range(20):
        scene.exchange.poll_rtpengines()
        run(scene)
    assert [file for file, _ in engines.playing.values()] == ["/srv/busy.wav"]
    assert [engine for engine, *_ in engines.blocked] == ["two"]
    scene.propose(call)
    assert (engines.playing, engines.blocked) == ({}, set())
    scene.finish(call)


def test_a_side_that_asked_to_listen_alone_hears_the_other_one(engines):
    scene = scene_with(engines, music="busy")
    call, party = scene.talk()
    party.will("INVITE", Reply(200, revised(party.mine, "a=sendonly")))
    scene.propose(call, "a=recvonly")
    assert (engines.playing, engines.blocked) == ({}, set())
    scene.finish(call)


def test_a_side_that_is_offered_inactive_is_told_that_it_may_listen(engines):
    scene = scene_with(engines, music="busy")
    call, party = scene.talk()
    scene.propose(call, "a=inactive")
    assert media_of(engines.sessions[-2].sdp.encode())[0].direction == "sendonly"
    assert media_of(party.theirs.encode())[0].direction == "sendonly"
    assert len(engines.playing) == 1
    scene.finish(call)
    assert engines.calls == {}


@pytest.mark.parametrize("hold", ["sendonly", "inactive"])
def test_a_refused_offer_leaves_the_engine_a_side_that_it_can_play_to(engines, hold):
    """It is given the offer again that was agreed on last, as it was given it at first."""
    scene = scene_with(engines, music="busy")
    call, party = scene.talk()
    scene.propose(call, f"a={hold}")
    party.will("INVITE", Reply(488))
    scene.propose(call)
    assert call.got["INVITE"][-1] == 488
    last = next(each for each in reversed(engines.sessions) if isinstance(each, RtpOffer))
    assert media_of(last.sdp.encode())[0].direction == "sendonly"
    assert len(engines.playing) == 1
    scene.finish(call)


def test_music_that_cannot_be_played_leaves_the_media_of_the_holder(engines):
    engines.cannot_play = True
    scene = scene_with(engines, music="busy")
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly")
    assert engines.blocked == set()
    assert json.loads(scene.finish(call).media)["played"] == []


@pytest.mark.parametrize(
    ("keys", "is_played"),
    [(KEY, True), (FINGERPRINT, False), (UNREAD_SUITE, False), (UNREAD_SUITE + KEY, True), (FINGERPRINT + KEY, True)],
)
def test_a_side_that_is_held_is_played_no_music_without_the_encryption_that_the_parties_have_made(
    engines, keys, is_played
):
    scene = scene_with(engines, music="busy")
    offer = OFFER.replace("RTP/AVP", "RTP/SAVP") + keys
    answer = ANSWER.replace("RTP/AVP", "RTP/SAVP") + (KEY if KEY in keys else keys)
    call, _ = scene.talk(Intent(offer=offer), answers(body=answer))
    scene.propose(call, "a=sendonly")
    assert (bool(engines.playing), bool(engines.blocked)) == (is_played, is_played)
    assert bool(json.loads(scene.finish(call).media)["played"]) is is_played


@pytest.mark.parametrize("is_held_by_caller", [True, False])
@pytest.mark.parametrize("keys", [UNREAD_SUITE, FINGERPRINT])
def test_parties_that_agree_on_plain_media_are_played_music_though_one_has_offered_keys(
    engines, keys, is_held_by_caller
):
    scene = scene_with(engines, music="busy")
    call, party = scene.talk(Intent(offer=OFFER + keys), answers(body=ANSWER))
    scene.propose(call if is_held_by_caller else party, "a=sendonly")
    assert (bool(engines.playing), bool(engines.blocked)) == (True, True)
    assert json.loads(scene.finish(call).media)["played"] != []


def given_keys(engines, first=0):
    """Return which orders an rtpengine was given: the kind, what it does with keys, and the suites that it reads."""
    return [
        (
            each.__struct_config__.tag,
            *(flag for flag in each.flags if "passthrough" in flag),
            *re.findall(r"crypto:\d+ (\S+)", each.sdp),
        )
        for each in engines.sessions[first:]
    ]


def test_an_rtpengine_reads_keys_again_from_the_second_offer_on_once_they_are_agreed(engines):
    """Until then packets pass as they are. It takes the flag back by the first one, whose keys it forgets (10.5.3)."""
    scene = scene_with(engines)
    offer, answer = (each.replace("RTP/AVP", "RTP/SAVP") + UNREAD_SUITE for each in (OFFER, ANSWER))
    call, party = scene.talk(Intent(offer=offer), answers(body=answer))
    passed = [("offer", "passthrough", "AEAD_AES_256_GCM_8"), ("answer", "passthrough", "AEAD_AES_256_GCM_8")]
    assert given_keys(engines) == passed
    call.mine = call.mine.replace(UNREAD_SUITE, KEY)
    party.will("INVITE", Reply(488))
    scene.propose(call)
    offered = ("offer", "passthrough", "AES_CM_128_HMAC_SHA1_80")
    assert given_keys(engines, 2) == [offered, *passed]
    party.will("INVITE", Reply(200, revised(party.mine.replace(UNREAD_SUITE, KEY))))
    scene.propose(call)
    read = ("offer", "no-passthrough", "AES_CM_128_HMAC_SHA1_80")
    assert given_keys(engines, 5) == [offered, read, read, ("answer", "AES_CM_128_HMAC_SHA1_80")]
    scene.finish(call)


@pytest.mark.parametrize(("flag", "status"), [("passthrough", 503), ("no-passthrough", 500)])
def test_nothing_is_given_behind_an_offer_that_an_rtpengine_has_refused(engines, monkeypatch, flag, status):
    """It would forget the keys of the next one. A re-INVITE is refused; a call whose keys were agreed on ends."""
    scene = scene_with(engines, music="busy")
    offer, answer = (each.replace("RTP/AVP", "RTP/SAVP") + UNREAD_SUITE for each in (OFFER, ANSWER))
    call, party = scene.talk(Intent(offer=offer), answers(body=answer))
    take, refused = engines._reply, []

    def refuse_one(engine, order):
        if isinstance(order, RtpOffer) and flag in order.flags and not refused:
            refused.append(order)
            return RtpReply("error", error="Internal error")
        return take(engine, order)

    monkeypatch.setattr(engines, "_reply", refuse_one)
    call.mine = call.mine.replace(UNREAD_SUITE, KEY)
    party.will("INVITE", Reply(200, revised(party.mine.replace(UNREAD_SUITE, KEY))))
    scene.propose(call)
    assert len(refused) == 1
    assert {flag for _, flag, _ in given_keys(engines)} == {"passthrough"}
    assert call.got["INVITE"] == [status]
    if status == 500:
        assert scene.close().end_reason == "No Media Port"
        return
    scene.propose(party, "a=sendonly")
    assert engines.playing == {}, "what it would play would be in clear"
    scene.finish(call)


def test_an_offer_that_is_refused_leaves_an_rtpengine_the_keys_that_it_reads(engines):
    scene = scene_with(engines)
    call, party = scene.talk(
        Intent(offer=SEALED_OFFER + UNREAD_SUITE), answers(body=ANSWER.replace("RTP/AVP", "RTP/SAVP") + KEY)
    )
    read = ("offer", "no-passthrough", "AES_CM_128_HMAC_SHA1_80")
    chosen = ("answer", "AES_CM_128_HMAC_SHA1_80")
    assert given_keys(engines) == [read, chosen]
    call.mine = call.mine.replace(KEY, FINGERPRINT)
    party.will("INVITE", Reply(488))
    scene.propose(call)
    passing = ("offer", "passthrough", "AEAD_AES_256_GCM_8")
    assert given_keys(engines, 2) == [passing, read, read, chosen]
    scene.finish(call)


def have_one_family(monkeypatch, hosts):
    """Let rtpengines have addresses of one family alone."""
    for name in hosts:
        monkeypatch.setitem(HOSTS, name, hosts[name])
        monkeypatch.setitem(HOSTS_6, name, hosts[name])


@pytest.mark.parametrize("of_engines", ["both families", "its own family"])
@pytest.mark.parametrize("described", ["IP6 2001:db8::10", "IP4 192.0.2.10", "IP6 fd00::10"])
def test_a_caller_gets_a_sound_in_the_family_of_its_media_whatever_its_sip_has(described, of_engines, monkeypatch):
    """A private address behind NAT says nothing."""
    wanted = dict(HOSTS_6 if "2001" in described else HOSTS)
    if of_engines == "its own family":
        have_one_family(monkeypatch, wanted)
    scene = scene_with(PooledRtpEngines())
    call = scene.begun_call(Intent(offer=OFFER.replace("IP4 192.0.2.10", described)), script=refuses(486))
    run(scene, 1_000)
    early = next(each for each in call.responses if each.status == 183)
    assert media_of(early.body.encode())[0].host in wanted.values()
    run(scene, 3_000)
    assert call.final == 486
    scene.close()


def test_a_caller_of_a_family_of_which_no_rtpengine_has_an_address_gets_the_code_at_once(monkeypatch):
    have_one_family(monkeypatch, dict(HOSTS))
    engines = PooledRtpEngines()
    scene = scene_with(engines)
    call = scene.begun_call(Intent(offer=OFFER.replace("IP4 192.0.2.10", "IP6 2001:db8::10")), script=refuses(486))
    run(scene, 500)
    assert (call.final, engines.playing) == (486, {})
    scene.close()
    run(scene, 5_000)
    assert engines.calls == {}


@pytest.mark.parametrize(
    ("candidates", "of_engines", "is_played"),
    [
        (("2001:db8::10",), HOSTS_6, True),
        (("2001:db8::10",), HOSTS, False),
        (("192.0.2.10",), HOSTS, True),
        (("192.0.2.10",), HOSTS_6, False),
        (("2001:db8::10", "192.0.2.10"), HOSTS, True),
        (("2001:db8::10", "192.0.2.10"), HOSTS_6, True),
        (("5b7f2c1e.local",), HOSTS_6, True),
    ],
)
@pytest.mark.parametrize("address", ["IP4 192.0.2.10", "IP6 2001:db8::10"])
def test_the_candidates_of_a_caller_decide_of_which_family_its_sound_is(
    address, candidates, of_engines, is_played, monkeypatch
):
    """Media come by a candidate, whatever address stands above them and whatever family its SIP has."""
    have_one_family(monkeypatch, dict(of_engines))
    engines = PooledRtpEngines()
    scene = scene_with(engines, customer_media=MediaSettings(ice=IceMode.LITE))
    offer = with_ice(OFFER.replace("IP4 192.0.2.10", address), *candidates)
    call = scene.begun_call(Intent(offer=offer), script=refuses(486))
    run(scene, 1_000)
    early = [each.body for each in call.responses if each.status == 183 and each.body]
    assert [bool(families_of_ice(each.encode())) for each in early] == [True] * is_played
    assert len(engines.playing) == is_played
    run(scene, 3_000)
    assert call.final == 486
    scene.close()
    run(scene, 5_000)
    assert engines.calls == {}


def test_the_callers_hear_why_their_call_fails(engines):
    scene = scene_with(engines)
    call = scene.begun_call(script=refuses(486))
    run(scene, 1_000)
    early = next(each for each in call.responses if each.status == 183)
    medium = media_of(early.body.encode())[0]
    assert (medium.host, medium.port != 9) == (HOSTS["one"], True)
    ((_, leg),) = engines.playing
    assert list(engines.playing.values()) == [("/srv/busy.wav", 1)]
    assert leg in {each[2] for each in engines.blocked}, "the sound has the caller for itself"
    assert call.final is None
    run(scene, 2_000)
    assert call.final == 486
    media = json.loads(scene.close().media)
    assert media["engine"] == "rtpengine"
    assert [(each["to"], each["sound"], each["codec"]) for each in media["played"]] == [("caller", "busy", "PCMU")]
    assert engines.calls == {}


def test_a_caller_whose_rtpengine_is_lost_in_its_sound_gets_the_code_at_once(engines):
    scene = scene_with(engines)
    call = scene.begun_call(script=refuses(486))
    run(scene, 900)
    began_by = scene.wire.clock.now().mono
    assert (call.final, len(engines.playing)) == (None, 1)
    engines.lose("one")
    run(scene, 20)
    assert call.final == 486
    assert scene.wire.clock.now().mono - began_by == 20
    (heard,) = json.loads(scene.close().media)["played"]
    assert (heard["sound"], 800 < heard["ms"] < 900) == ("busy", True)
    assert engines.calls == {}


class WalkedLegs(dict):
    """Legs by their numbers; counts the searches among all of them."""

    walks = 0

    def values(self):
        self.walks += 1
        return super().values()


def test_the_loss_of_an_rtpengine_ends_many_sounds_a_few_at_a_time(engines, monkeypatch):
    """Each would be searched among all legs, and all in one turn of the event loop."""
    scene = scene_with(engines)
    scene.vendor.script = refuses(486)
    calls = [scene.caller.call(CALLEE, Intent(cancel_after_ms=950 if index == 59 else None)) for index in range(60)]
    run(scene, 900)
    assert len(engines.playing) == 60
    legs = scene.exchange.switch.media_events._services.media._parts.legs
    walked = WalkedLegs(legs.by_number)
    monkeypatch.setattr(legs, "by_number", walked)
    engines.lose("one")
    run(scene, 20)
    assert [call.final for call in calls].count(486) == 25
    scene.exchange.rtp_calls.poll()
    run(scene, 100)
    assert [call.final for call in calls].count(486) == 50
    assert calls[59].final == 487
    scene.exchange.rtp_calls.poll()
    run(scene, 20)
    assert [call.final for call in calls].count(486) == 59
    assert walked.walks == 0
    assert scene.exchange.rtp_calls._failed_sounds == {}


@pytest.mark.parametrize("ends", ["cancelled", "over"])
def test_a_sound_that_has_ended_before_its_rtpengine_is_lost_changes_nothing(engines, ends):
    scene = scene_with(engines)
    call = scene.begun_call(Intent(cancel_after_ms=900 if ends == "cancelled" else None), script=refuses(486))
    run(scene, 4_000)
    engines.lose("one")
    run(scene, 100)
    assert call.final == (487 if ends == "cancelled" else 486)
    assert scene.exchange.rtp_calls._sounds == {}
    scene.close()


def test_a_caller_is_not_played_codecs_that_its_trunk_may_not_use(engines):
    media = MediaSettings(codecs=("G729", "G722"))
    scene = scene_with(engines, vendor_gateway(0), customer_media=media)
    call = scene.begun_call(Intent(offer=OFFER.replace("AVP 0", "AVP 0 18")), script=refuses(486))
    run(scene, 1_000)
    early = next(each for each in call.responses if each.status == 183)
    assert media_of(early.body.encode())[0].payloads == (18,)
    run(scene, 2_000)
    (heard,) = json.loads(scene.close().media)["played"]
    assert heard["codec"] == "G729"


def test_a_caller_without_a_codec_that_its_trunk_may_use_gets_the_code_alone(engines):
    media = MediaSettings(codecs=("G729",))
    gateway = vendor_gateway(0, sound=GatewaySound("busy", 2, 480), allow_unrated=True)
    scene = scene_with(engines, gateway, customer_media=media)
    call = scene.caller.call(CALLEE)
    run(scene, 1_000)
    assert (call.final is None, engines.playing) == (False, {})
    assert 183 not in call.statuses
    scene.close()


def test_an_encrypted_caller_hears_it_encrypted(engines):
    scene = scene_with(engines)
    call = scene.begun_call(Intent(offer=SEALED_OFFER), script=refuses(486))
    run(scene, 1_000)
    early = next(each for each in call.responses if each.status == 183)
    assert protection_of(early.body.encode()) is Protection.SDES
    run(scene, 2_000)
    assert call.final == 486
    scene.close()


@pytest.mark.parametrize("fault", ["cannot_play", "is_silent"])
def test_without_the_sound_the_caller_gets_the_code_at_once(engines, fault):
    scene = scene_with(engines)
    call = scene.begun_call(script=Script((Line(0, 183, ANSWER), Line(100, 486))))
    scene.wire.run_until(lambda: any(each.status == 183 for each in call.responses))
    setattr(engines, fault, True)
    run(scene, 1_800)
    assert call.final == 486
    engines.is_silent = False
    assert scene.close().media is None


def test_a_caller_that_hangs_up_meanwhile_leaves_nothing(engines):
    scene = scene_with(engines)
    call = scene.begun_call(Intent(cancel_after_ms=900), script=refuses(486))
    run(scene, 1_500)
    assert call.final == 487
    assert (engines.calls, engines.playing) == ({}, {})
    scene.close()


@pytest.mark.parametrize("cancel_after_ms", [60, 100, 140])
def test_a_caller_that_hangs_up_while_the_sound_is_asked_for_leaves_nothing(cancel_after_ms):
    engines = PooledRtpEngines(after_ms=40)
    scene = scene_with(engines)
    call = scene.begun_call(Intent(cancel_after_ms=cancel_after_ms), script=refuses(486))
    run(scene, 3_000)
    assert call.final == 487
    assert len({each.call for each in engines.sessions}) == 2, "the sound was asked for"
    assert (engines.calls, engines.playing) == ({}, {})
    scene.close()


def test_a_gateway_that_is_a_sound_is_played_as_often_as_it_says(engines):
    gateway = vendor_gateway(0, sound=GatewaySound("busy", 2, 480), allow_unrated=True)
    scene = scene_with(engines, gateway)
    call = scene.caller.call(CALLEE)
    run(scene, 1_000)
    assert list(engines.playing.values()) == [("/srv/busy.wav", 2)]
    run(scene, 4_000)
    assert call.final == 480
    scene.close()


def test_the_next_gateway_is_tried_where_the_rtpengine_of_a_sound_is_lost(engines):
    gateway = vendor_gateway(0, sound=GatewaySound("busy", 2, 480), allow_unrated=True)
    scene = scene_with(engines, gateway, replace(vendor_gateway(1), priority=2))
    scene.vendors[1].script = answers()
    call = scene.caller.call(CALLEE)
    run(scene, 1_000)
    assert (call.final, len(engines.playing)) == (None, 1)
    engines.lose("one")
    run(scene, 20)
    assert [each.status for each in call.responses].count(183) == 1
    assert len(scene.vendors[1].calls) == 1
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 200
    record = scene.finish(call)
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", 0), ("vendor-1", 200)]
    assert [each["sound"] for each in json.loads(record.media)["played"]] == ["busy"]
    assert engines.calls == {}


def polled(scene):
    """Let a scene ask its rtpengines for figures, as the switch does."""

    def tick():
        scene.exchange.poll_rtpengines()
        scene.wire.after(100, tick)

    scene.wire.after(100, tick)


def ringing_scene(engines, *lines, first=RINGS, offer=OFFER, customer_media=None, **media):
    gateway = vendor_gateway(0, media=MediaSettings(local_ring=True, **media))
    scene = scene_with(engines, gateway, ring_back="busy", customer_media=customer_media)
    scene.vendor.script = Script((first, *lines))
    polled(scene)
    return scene, scene.caller.call(CALLEE, Intent(offer))


def of_two_vendors(engines, first, *, rings):
    """Return a scene whose first vendor fails, and a call; both vendors want ring-back, or the second one alone."""
    gateways = (
        vendor_gateway(0, media=MediaSettings(local_ring=rings)),
        vendor_gateway(1, media=MediaSettings(local_ring=True)),
    )
    scene = scene_with(engines, *gateways, ring_back="busy")
    scene.vendors[0].script = Script(first)
    scene.vendors[1].script = Script((Line(0, 180), Line(15_000, 200, ANSWER)))
    polled(scene)
    return scene, scene.caller.call(CALLEE)


def test_a_caller_hears_ring_back_from_its_own_port_after_the_pause_until_the_answer(engines):
    scene, call = ringing_scene(engines, Line(6_000, 200, ANSWER))
    run(scene, 1_000)
    rings = next(each for each in call.responses if each.status == 180)
    port = media_of(rings.body.encode())[0].port
    assert engines.playing == {}
    run(scene, 3_000)
    assert [file for file, _ in engines.playing.values()] == ["/srv/busy.wav"]
    scene.wire.run_until(lambda: call.final == 200)
    run(scene)
    assert media_of(call.theirs.encode())[0].port == port
    assert (engines.playing, engines.blocked) == ({}, set())
    scene.finish(call)


@pytest.mark.parametrize("of_engines", ["both families", "its own family"])
def test_a_caller_gets_ring_back_in_the_family_of_its_media_whatever_its_sip_has(of_engines, monkeypatch):
    wanted, answer = dict(HOSTS_6), ANSWER
    if of_engines == "its own family":
        have_one_family(monkeypatch, wanted)
        answer = ANSWER.replace("IP4 192.0.2.20", "IP6 2001:db8::20")
    offer = OFFER.replace("IP4 192.0.2.10", "IP6 2001:db8::10")
    scene, call = ringing_scene(PooledRtpEngines(), Line(6_000, 200, answer), offer=offer)
    run(scene, 1_000)
    rings = next(each for each in call.responses if each.status == 180)
    medium = media_of(rings.body.encode())[0]
    assert medium.host in wanted.values()
    scene.wire.run_until(lambda: call.final == 200)
    now = media_of(call.theirs.encode())[0]
    assert (now.host, now.port) == (medium.host, medium.port)
    scene.finish(call)


def test_a_caller_of_a_family_of_which_no_rtpengine_has_an_address_keeps_its_own_ring_back(monkeypatch):
    have_one_family(monkeypatch, dict(HOSTS))
    scene, call = ringing_scene(
        PooledRtpEngines(), Line(2_000, 486), offer=OFFER.replace("IP4 192.0.2.10", "IP6 2001:db8::10")
    )
    scene.wire.run_until(lambda: call.final == 486)
    assert [each.body for each in call.responses if each.status == 180] == [""]
    scene.close()


@pytest.mark.parametrize(
    ("candidates", "is_played"),
    [(("2001:db8::10",), False), (("192.0.2.10",), True), (("2001:db8::10", "192.0.2.10"), True)],
)
def test_the_candidates_of_a_caller_decide_whether_it_gets_ring_back(candidates, is_played, monkeypatch):
    have_one_family(monkeypatch, dict(HOSTS))
    offer = with_ice(OFFER.replace("IP4 192.0.2.10", "IP6 2001:db8::10"), *candidates)
    scene, call = ringing_scene(
        PooledRtpEngines(), Line(4_000, 486), offer=offer, customer_media=MediaSettings(ice=IceMode.LITE)
    )
    scene.wire.run_until(lambda: call.final == 486)
    rings = next(each for each in call.responses if each.status == 180)
    assert bool(rings.body) is is_played
    scene.close()


def test_media_of_the_callee_end_ring_back_and_not_their_mere_description(engines):
    scene, call = ringing_scene(engines, Line(4_000, 183, ANSWER), Line(9_000, 200, ANSWER))
    run(scene, 6_000)
    assert len(engines.playing) == 1
    there = scene.vendor.only_call
    engines.packets[media_of(there.theirs.encode())[0].port] = 5
    run(scene, 1_000)
    assert (engines.playing, call.final) == ({}, None)
    scene.wire.run_until(lambda: call.final == 200)
    run(scene)
    scene.finish(call)


def test_a_callee_that_is_offered_encryption_leaves_the_ringing_to_the_callers_telephone(engines):
    scene, call = ringing_scene(engines, Line(5_000, 486), encryption=Encryption.REQUIRED)
    run(scene, 4_500)
    assert [each.body for each in call.responses if each.status == 180] == [""]
    assert engines.playing == {}
    run(scene, 4_000)
    assert call.final == 486
    scene.close()


def test_a_call_that_is_answered_in_the_pause_hears_no_ring_back(engines):
    scene, call = ringing_scene(engines, Line(1_000, 200, ANSWER))
    run(scene, 5_000)
    assert call.final == 200
    assert engines.blocked == set()
    scene.finish(call)


def test_who_is_believed_at_the_callees_port_is_said_with_ring_back_already(engines):
    """An rtpengine keeps the way of learning that the first answer has said (seen with 10.5.3)."""
    scene, call = ringing_scene(engines, Line(5_000, 200, ANSWER), source=MediaTrust.ANY)
    run(scene, 1_000)
    assert "endpoint-learning-immediate" in engines.sessions[-1].flags
    scene.wire.run_until(lambda: call.final == 200)
    run(scene)
    scene.finish(call)


def test_a_vendor_that_rings_again_after_its_early_media_goes_on_with_them(engines):
    scene, call = ringing_scene(engines, Line(1_000, 180), Line(8_000, 200, ANSWER), first=Line(0, 183, ANSWER))
    for _ in range(70):
        run(scene, 100)
        assert (engines.playing, engines.blocked) == ({}, set())
    assert call.response(180).body == ""
    assert [type(each) for each in engines.sessions] == [RtpOffer, RtpAnswer]
    scene.wire.run_until(lambda: call.final == 200)
    run(scene)
    scene.finish(call)


def test_an_answer_right_behind_the_ringing_leaves_nothing_blocked(engines):
    scene, call = ringing_scene(engines, Line(1, 200, ANSWER))
    run(scene, 200)
    assert (call.final, engines.blocked) == (200, set())
    for _ in range(50):
        run(scene, 100)
        assert engines.playing == {}
    scene.finish(call)


def test_the_answer_has_an_early_dialog_of_its_own(engines):
    scene, call = ringing_scene(engines, Line(4_000, 200, ANSWER))
    scene.wire.run_until(lambda: call.final == 200)
    assert call.response(180).body
    assert call.response(180)["To"] != call.response(200)["To"]
    run(scene)
    scene.finish(call)


def test_ring_back_has_a_codec_that_the_vendor_may_use(engines):
    offer = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18 8 0 101")
    scene, call = ringing_scene(engines, Line(4_000, 200, ANSWER), offer=offer, codecs=("PCMU",))
    scene.wire.run_until(lambda: call.final == 200)
    assert media_of(call.response(180).body.encode())[0].codecs == ("PCMU",)
    run(scene)
    scene.finish(call)


def test_the_answer_behind_ring_back_comes_behind_the_offer_again(engines):
    """An rtpengine would convert it into the codec of the ring-back, which the switch has answered with."""
    offer = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 0 8 101")
    answer = ANSWER.replace("RTP/AVP 0 101", "RTP/AVP 8").replace("a=rtpmap:0 PCMU", "a=rtpmap:8 PCMA")
    scene, call = ringing_scene(engines, Line(4_000, 183, answer), Line(6_000, 200, answer), offer=offer)
    scene.wire.run_until(lambda: call.final == 200)
    assert [type(each) for each in engines.sessions] == [RtpOffer, RtpAnswer, RtpOffer, RtpAnswer, RtpAnswer]
    assert engines.sessions[2].sdp == engines.sessions[0].sdp
    run(scene)
    scene.finish(call)


def test_early_media_of_a_vendor_that_has_failed_do_not_end_ring_back(engines):
    scene, call = of_two_vendors(engines, (Line(0, 183, ANSWER), Line(2_000, 503)), rings=False)
    run(scene, 1_000)
    engines.packets[media_of(scene.vendors[0].only_call.theirs.encode())[0].port] = 40
    run(scene, 5_000)
    for _ in range(90):
        run(scene, 100)
        assert len(engines.playing) == 1
    scene.wire.run_until(lambda: call.final == 200)
    run(scene)
    assert engines.playing == {}
    assert [tag for *_, tag in engines.blocked] == [engines.sessions[0].reader], "the vendor that has failed"
    scene.finish(call)


def test_the_next_vendor_that_rings_has_ring_back_in_its_own_early_dialog(engines):
    scene, call = of_two_vendors(engines, (Line(0, 180), Line(5_000, 503)), rings=True)
    run(scene, 10_000)
    first, second = (each for each in call.responses if each.status == 180)
    assert first["To"] != second["To"]
    assert media_of(first.body.encode()) == media_of(second.body.encode())
    assert len(engines.playing) == 1
    engines.packets[media_of(scene.vendors[1].only_call.theirs.encode())[0].port] = 5
    run(scene, 700)
    assert len(engines.playing) == 1, "nothing is forwarded from a vendor that has described no media"
    scene.wire.run_until(lambda: call.final == 200)
    run(scene)
    assert (engines.playing, {each[2] for each in engines.blocked}) == ({}, {engines.sessions[0].reader})
    scene.finish(call)
