"""Keys of calls that an rtpengine encrypts: through refreshes, transfers, and the loss of the rtpengine."""

import json
import re
from functools import partial

import msgspec
import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import rekeyed, revised, with_ice
from doubles.keypad_scene import KEYS, TARGET, press
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.rtpengines import VirtualRtpEngines, key_in
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script
from structlog.testing import capture_logs

from vosd.media.rtpengine_orders import RtpOffer
from vosd.sdp.media import media_of
from vosd.sdp.security import Protection
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import (
    Encryption,
    EncryptionKind,
    IceMode,
    MediaEngine,
    MediaMode,
    MediaParameters,
    MediaSettings,
)

SEALED = MediaSettings(encryption=Encryption.REQUIRED, timeout_ms=30_000)
OPEN = MediaSettings(timeout_ms=30_000)
BY_DTLS = MediaSettings(encryption=Encryption.REQUIRED, encryption_by=EncryptionKind.DTLS, timeout_ms=30_000)
BROWSER = msgspec.structs.replace(BY_DTLS, ice=IceMode.LITE)
KEY = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40}\r\n"


def sealed(session):
    return rekeyed(session.replace("RTP/AVP", "RTP/SAVP") + KEY)


def scene_with(customer, vendor, make=Scene):
    """Return a scene whose customer and vendor encrypt or do not; numbers of a vendor have sessions of their own."""
    engines = VirtualRtpEngines()
    dialect = CallerDialect(transfer_keys=KEYS)
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=customer, dialect=dialect),
        vendor_gateway(0, media=vendor),
    ]
    scene = make(
        catalogue(trunks, media=MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)), rtpengines=engines
    )
    scene.vendor.renews_keys = scene.caller.renews_keys = True
    answer = sealed(ANSWER) if vendor is SEALED else ANSWER
    scene.vendor.script = Script((Line(0, 180), Line(200, 200, answer)))
    return scene, engines


def talk(scene, customer, number=CALLEE):
    call = scene.answered_call(
        Intent(offer=sealed(OFFER) if customer is SEALED else OFFER), callee=number, talk_ms=1_000
    )
    return call, scene.vendor.calls[-1]


def hear(scene, engines, *sides, packets):
    """Let packets of both sides come within 5 seconds, in which figures are asked for."""
    for side in sides:
        port = media_of(side.theirs.encode())[0].port
        engines.packets[port] = engines.packets.get(port, 0) + packets
        engines.last_packet_s[port] = scene.exchange.clock.now().wall // 1_000
    for _ in range(10):
        scene.poll_rtpengines(wait_ms=500)


def transfer(scene, call):
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(500)


def poll(scene, seconds=5):
    for _ in range(2 * seconds):
        scene.poll_rtpengines(wait_ms=500)


def expect_understood(engines, *sides):
    for side in sides:
        assert bool(key_in(side.mine)) == bool(key_in(side.theirs))
        assert engines.understands(side.mine, side.theirs), (side.mine, side.theirs, engines.taken, engines.given)


@pytest.mark.parametrize(("customer", "vendor"), [(OPEN, SEALED), (SEALED, OPEN), (SEALED, SEALED)])
def test_calls_go_on_encrypted_by_the_next_rtpengine_when_theirs_is_lost(customer, vendor):
    scene, engines = scene_with(customer, vendor)
    call, there = talk(scene, customer)
    expect_understood(engines, call, there)
    engines.lose("one")
    poll(scene)
    assert {engine for engine, _ in engines.calls} == {"two"}
    expect_understood(engines, call, there)
    scene.finish(call)


@pytest.mark.parametrize(("customer", "vendor"), [(OPEN, SEALED), (SEALED, OPEN), (SEALED, SEALED)])
def test_keys_of_a_side_that_makes_no_offers_are_those_of_its_last_answer(customer, vendor):
    scene, engines = scene_with(customer, vendor)
    call, there = talk(scene, customer)
    there.will("INVITE", Reply(488))
    engines.lose("one")
    poll(scene)
    assert [bool(each.body) for each in there.asked["INVITE"]] == [False, True]
    expect_understood(engines, call, there)
    scene.finish(call)


@pytest.mark.parametrize("refreshed", ["caller", "callee"])
def test_new_keys_in_the_answer_to_a_changed_answer_are_known(refreshed):
    scene, engines = scene_with(SEALED, SEALED)
    call, there = talk(scene, SEALED)
    side, other = (call, there) if refreshed == "caller" else (there, call)
    port = media_of(side.mine.encode())[0].port
    side.will("INVITE", Reply(200, revised(side.mine).replace(f"audio {port}", f"audio {port + 2}")))
    (leg,) = (
        leg
        for live in scene.exchange.switch.calls()
        for leg in live.call.conversation.all_legs
        if leg.host == side.agent.address.host
    )
    leg.supervision.offer_again(scene.exchange.clock.now())
    scene.wire.run_for(2_000)
    assert len(other.asked["INVITE"]) == 1
    expect_understood(engines, call, there)
    scene.finish(call)


@pytest.mark.parametrize("after_ms", [5, 300, 700])
def test_a_switch_that_is_killed_while_both_sides_agree_on_keys_has_them_agree_in_the_next(tmp_path, after_ms):
    scene, engines = scene_with(SEALED, SEALED, partial(KilledScene, tmp_path))
    call, there = talk(scene, SEALED)
    call.will("INVITE", Reply(after_ms=600))
    there.will("INVITE", Reply(after_ms=150))
    engines.lose("one")
    scene.poll_rtpengines(wait_ms=after_ms)
    scene.kill(200, then_ms=3_000)
    engines.lose("one")
    poll(scene, 10)
    expect_understood(engines, call, there)
    scene.finish(call)


@pytest.mark.parametrize(("customer", "vendor"), [(OPEN, SEALED), (SEALED, OPEN), (SEALED, SEALED)])
def test_a_blind_transfer_of_an_encrypted_call(customer, vendor):
    scene, engines = scene_with(customer, vendor)
    call, party = talk(scene, customer)
    transfer(scene, call)
    scene.wire.run_for(5_000)
    assert call.is_over
    target = scene.vendor.calls[-1]
    expect_understood(engines, party, target)
    scene.hang_up(party, wait_ms=3_000)
    assert engines.calls == {}


@pytest.mark.parametrize("first", ["caller", "callee"])
@pytest.mark.parametrize("side", [SEALED, OPEN])
def test_a_refresh_by_an_unchanged_offer_is_answered_with_one_key(side, first):
    scene, engines = scene_with(SEALED if first == "caller" else side, SEALED if first == "callee" else side)
    call, there = talk(scene, SEALED if first == "caller" else side)
    one = call if first == "caller" else there
    before = key_in(one.theirs)
    one.ask("INVITE", body=one.mine)
    scene.wire.run_for(1_000)
    assert one.got["INVITE"][-1] == 200
    assert one.theirs.count("a=crypto:") == 1
    assert key_in(one.theirs) == before
    expect_understood(engines, call, there)
    scene.finish(call)


@pytest.mark.parametrize("vendor", [OPEN, SEALED])
def test_sides_of_two_calls_that_are_joined_are_heard_at_one_rtpengine(vendor):
    scene, engines = scene_with(OPEN, vendor)
    sides = [talk(scene, OPEN, number) for number in (CALLEE, TARGET)]
    (first, party), (second, target) = sides
    for _ in range(10):
        hear(scene, engines, party, target, packets=100)
    first.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1?Replaces={second.replaces_in_uri}>"])
    scene.wire.run_for(3_000)
    assert first.is_over
    assert len(engines.calls) == 1
    expect_understood(engines, party, target)
    for _ in range(12):
        hear(scene, engines, party, target, packets=20)
    assert not party.is_over
    scene.hang_up(party, wait_ms=3_000)
    assert engines.calls == {}
    legs = [json.loads(each.media)["legs"]["callee"] for each in scene.exchange.sink.records]
    assert [leg["packets_in"] for leg in legs] == [1_240, 1_240]


def joined(media: tuple[MediaSettings, MediaSettings], numbers: tuple[str, str], *, begins_anew: bool = False):
    """Return scene, rtpengines, and the parties of two vendors whose calls were joined, with their ports before."""
    engines = VirtualRtpEngines()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=OPEN),
        vendor_gateway(0, prefixes=(CALLEE[:6],), media=media[0]),
        vendor_gateway(1, prefixes=(TARGET[:6],), media=media[1]),
    ]
    parameters = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    scene = Scene(catalogue(trunks, media=parameters), rtpengines=engines)
    fingerprint = f"a=fingerprint:sha-256 {':'.join(['AA'] * 32)}\r\na=setup:active\r\n"
    for vendor, settings in zip(scene.vendors, media, strict=False):
        by_dtls = ANSWER.replace("RTP/AVP", "UDP/TLS/RTP/SAVP") + fingerprint
        answers = {OPEN: ANSWER, BY_DTLS: by_dtls, BROWSER: with_ice(by_dtls, "192.0.2.20")}
        vendor.script = Script((Line(0, 180), Line(200, 200, answers[settings])))
        vendor.begins_anew = begins_anew
    first, second = [scene.answered_call(Intent(offer=OFFER), callee=number, talk_ms=1_000) for number in numbers]
    parties = [vendor.calls[-1] for vendor in scene.vendors[:2]]
    before = [media_of(party.theirs.encode())[0].port for party in parties]
    first.ask("REFER", headers=[f"Refer-To: <sip:{numbers[1]}@192.0.2.1?Replaces={second.replaces_in_uri}>"])
    scene.wire.run_for(3_000)
    assert first.is_over
    assert len(engines.calls) == 1
    return scene, engines, parties, before


@pytest.mark.parametrize("numbers", [(CALLEE, TARGET), (TARGET, CALLEE)])
def test_a_party_by_dtls_keeps_its_port_where_two_calls_are_joined(numbers):
    """A browser makes no other handshake with an end point of the certificate that it knows."""
    scene, engines, (party, browser), before = joined((OPEN, BY_DTLS), numbers)
    assert media_of(browser.theirs.encode())[0].port == before[1]
    engines.lose("one")  # the next one has another certificate
    poll(scene)
    assert "a=fingerprint:sha-256" in browser.theirs
    scene.hang_up(party, wait_ms=3_000)
    assert engines.calls == {}


@pytest.mark.parametrize(("media", "digest"), [(BROWSER, "sha-1"), (BY_DTLS, "sha-256")], ids=["ice", "no ice"])
@pytest.mark.parametrize("numbers", [(CALLEE, TARGET), (TARGET, CALLEE)])
def test_of_two_parties_by_dtls_the_one_that_moves_gets_another_fingerprint_if_it_has_ice(numbers, media, digest):
    """It keeps that. Without ICE it makes a new handshake for the other port."""
    scene, engines, parties, before = joined((media, media), numbers)
    for _ in range(2):
        hashes = [re.findall("a=fingerprint:(\\S+)", party.theirs) for party in parties]
        moved = [media_of(party.theirs.encode())[0].port != port for party, port in zip(parties, before, strict=True)]
        assert sorted(moved) == [False, True]
        assert hashes == [[digest if has_moved else "sha-256"] for has_moved in moved]
        scene.propose(parties[moved.index(False)], "a=sendonly")
    scene.hang_up(parties[0], wait_ms=3_000)
    assert engines.calls == {}


@pytest.mark.parametrize("media", [BY_DTLS, BROWSER])
def test_an_rtpengine_is_given_the_offer_once_by_which_two_calls_are_joined(media):
    """From a second one rtpengine 26.3 takes RTCP to be multiplexed before the answer, and closes its port."""
    _, engines, _, _ = joined((media, media), (CALLEE, TARGET))
    assert [type(order) for order in engines.orders].count(RtpOffer) == 3


@pytest.mark.parametrize("numbers", [(CALLEE, TARGET), (TARGET, CALLEE)])
def test_a_party_that_begins_its_media_anew_where_two_calls_are_joined_gets_another_port_as_the_one_that_moves_does(
    numbers,
):
    """At the port of before an rtpengine would not answer its handshake."""
    scene, engines, parties, before = joined((BROWSER, BROWSER), numbers, begins_anew=True)
    for _ in range(2):
        ports = [media_of(party.theirs.encode())[0].port for party in parties]
        assert set(ports).isdisjoint(before)
        assert sorted(re.findall("a=fingerprint:(\\S+)", party.theirs)[0] for party in parties) == ["sha-1", "sha-256"]
        (call,) = engines.calls.values()
        assert {port for leg in call.values() for port in leg} == set(ports)
        scene.propose(parties[0], "a=sendonly")
    scene.hang_up(parties[0], wait_ms=3_000)
    assert engines.calls == {}


@pytest.mark.parametrize(("customer", "vendor"), [(OPEN, SEALED), (SEALED, OPEN), (SEALED, SEALED)])
@pytest.mark.parametrize("key", ["*9", "*0"])
def test_a_transfer_by_keys_with_a_consultation_of_an_encrypted_call(customer, vendor, key):
    scene, engines = scene_with(customer, vendor)
    call, party = talk(scene, customer)
    press(scene, call, f"*2{TARGET}#")
    scene.wire.run_for(3_000)
    target = scene.vendor.calls[-1]
    assert "a=inactive" in party.theirs
    expect_understood(engines, call, target)
    press(scene, call, key)
    scene.wire.run_for(3_000)
    left = (party, target) if key == "*9" else (call, party)
    expect_understood(engines, *left)
    scene.hang_up(party, wait_ms=3_000)
    assert engines.calls == {}


@pytest.mark.parametrize(("customer", "vendor"), [(OPEN, SEALED), (SEALED, OPEN), (SEALED, SEALED)])
def test_another_telephone_takes_an_encrypted_call_over(customer, vendor):
    scene, engines = scene_with(customer, vendor)
    call, party = talk(scene, customer)
    offer = sealed(OFFER) if customer is SEALED else OFFER
    other = scene.settled_call(Intent(offer=offer, headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_for(1_000)
    assert other.final == 200
    assert call.is_over
    expect_understood(engines, other, party)
    scene.hang_up(other, wait_ms=3_000)
    assert engines.calls == {}


def test_a_refresh_of_a_side_whose_transferor_has_left_has_its_keys():
    scene, engines = scene_with(OPEN, SEALED)
    call, party = talk(scene, OPEN)
    scene.vendor.script = Script((Line(0, 180), Line(5_000, 200, sealed(ANSWER))))
    transfer(scene, call)
    scene.hang_up(call, wait_ms=500)
    (first,) = (
        each.call
        for each in scene.exchange.switch.services.running.all()
        if each.call.caller.leg is None
        and each.call.conversation.is_established is False
        and each.call.callee.leg.dialog is not None
    )
    before, asked = key_in(party.theirs), len(party.asked["INVITE"])
    first.callee.leg.supervision.offer_again(scene.exchange.clock.now())
    scene.wire.run_for(1_000)
    assert len(party.asked["INVITE"]) == asked + 1
    assert "RTP/SAVP" in party.theirs
    assert key_in(party.theirs) == before
    scene.wire.run_for(5_000)
    expect_understood(engines, party, scene.vendor.calls[-1])
    scene.hang_up(party, wait_ms=3_000)
    assert engines.calls == {}


def test_an_acknowledgement_without_keys_of_a_caller_that_has_to_encrypt_ends_the_call():
    scene, engines = scene_with(SEALED, OPEN)
    scene.whole_call(Intent(offer=""))
    assert OFFER.partition("m=")[2] not in scene.vendor.only_call.theirs
    scene.wire.run_for(1_000)
    assert scene.vendor.only_call.is_over
    assert engines.calls == {}
    assert scene.close().end_reason == "No Common Codec"


@pytest.mark.parametrize("first", ["caller", "callee"])
def test_a_fax_that_cannot_be_encrypted_is_refused_without_new_keys(first):
    scene, engines = scene_with(*((OPEN, SEALED) if first == "caller" else (SEALED, OPEN)))
    call, there = talk(scene, OPEN if first == "caller" else SEALED)
    one, other = (call, there) if first == "caller" else (there, call)
    asked = len(engines.sessions)
    one.ask("INVITE", body=revised(one.mine) + "m=image 30004 udptl t38\r\n")
    scene.wire.run_for(1_000)
    assert one.got["INVITE"] == [488]
    assert len(engines.sessions) == asked
    assert not one.asked["INVITE"]
    assert not other.asked["INVITE"]
    expect_understood(engines, call, there)
    scene.finish(call)


@pytest.mark.parametrize("first", ["caller", "callee"])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_later_offer_without_keys_is_refused_and_changes_nothing(first, method):
    scene, engines = scene_with(*((SEALED, OPEN) if first == "caller" else (OPEN, SEALED)))
    call, there = talk(scene, SEALED if first == "caller" else OPEN)
    one, other = (call, there) if first == "caller" else (there, call)
    asked, before = len(engines.sessions), other.theirs
    plain = revised(OFFER.partition("a=crypto")[0].replace("192.0.2.10", "192.0.2.66"))
    one.ask(method, body=plain)
    scene.wire.run_for(2_000)
    assert one.got[method][-1] == 488
    assert (len(engines.sessions), other.theirs) == (asked, before)
    scene.finish(call)


@pytest.mark.parametrize("vendor", [OPEN, SEALED])
@pytest.mark.parametrize("headers", [(), ("Supported: 100rel",)])
def test_a_stop_lets_no_description_of_the_vendor_out_that_waits_for_an_rtpengine(vendor, headers):
    scene, engines = scene_with(SEALED, vendor)
    answer = sealed(ANSWER) if vendor is SEALED else ANSWER
    scene.vendor.script = Script((Line(500, 183, answer), Line(2_000, 200, answer)))
    call = scene.begun_call(Intent(offer=sealed(OFFER), headers=headers), after_ms=400)
    engines.is_silent = True
    scene.wire.run_for(400)
    scene.exchange.switch.continuation.open_doors(scene.exchange.clock.now())
    engines.is_silent = False
    scene.wire.run_until(lambda: call.final == 200)
    assert next(response.body for response in call.responses if response.status == 183) == ""
    scene.finish(call)


def test_early_media_without_keys_of_a_fork_do_not_reach_the_caller():
    scene, engines = scene_with(SEALED, SEALED)
    plain = Script((Line(100, 183, ANSWER),))
    scene.vendor.script = Script(
        (Line(0, 180), Line(500, 183, sealed(ANSWER)), Line(900, 200, sealed(ANSWER))), forks=(plain,)
    )
    call = scene.answered_call(Intent(offer=sealed(OFFER)), talk_ms=1_000)
    early = [response.body for response in call.responses if response.status == 183]
    assert [bool(key_in(body)) for body in early if body] == [True] * len([body for body in early if body])
    assert all(key_in(each.sdp) for each in engines.sessions)
    expect_understood(engines, call)
    scene.hang_up(call, wait_ms=40_000)
    assert engines.calls == {}


def test_an_error_of_the_switch_sends_no_plain_description_to_one_that_has_to_encrypt():
    scene, engines = scene_with(OPEN, SEALED)

    def fails(*_, **__):
        raise KeyError("engine")

    engines.ask = fails
    scene.vendor.script = Script((Line(0, 486),))
    with capture_logs() as lines:
        call = scene.caller.call(CALLEE)
        scene.wire.run_until(lambda: call.final == 486)
    assert scene.vendor.only_call.theirs == ""
    assert "doorkeeper_failed" in [line["event"] for line in lines]
    scene.close()


@pytest.mark.parametrize("refused_by", ["switch", "vendor"])
def test_a_side_whose_offer_without_keys_was_refused_is_offered_media_by_those_that_it_has(refused_by):
    """No DTLS beside the keys of SDES that it goes on with."""
    scene, engines = scene_with(MediaSettings(encryption=Encryption.OPTIONAL), SEALED)
    call = scene.answered_call(Intent(offer=sealed(OFFER)), talk_ms=1_000)
    there, lines = scene.vendor.calls[-1], call.mine.splitlines(keepends=True)
    bare = revised("".join(line for line in lines if not line.startswith("a=crypto")))
    if refused_by == "vendor":
        there.will("INVITE", Reply(488))
        bare = bare.replace("SAVP", "AVP")
    call.ask("INVITE", body=bare)
    scene.wire.run_for(1_000)
    assert (call.got["INVITE"], len(there.asked.get("INVITE", ()))) == ([488], refused_by == "vendor")
    (leg,) = [
        each for each in scene.exchange.switch.calls()[0].call.conversation.all_legs if each.host == CUSTOMER.host
    ]
    assert leg.facts.media.protection is Protection.SDES
    scene.propose(there)
    assert there.got["INVITE"] == [200]
    assert [each.dtls for each in engines.orders if isinstance(each, RtpOffer)][-1] == "off"
    expect_understood(engines, call, there)
    scene.finish(call)
