"""Gateways that answer a call before the PRACK of their offer, which has the answer to it (RFC 3262 section 3)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, sides, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script

from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

FINALS = pytest.mark.parametrize("final", ["", OFFER], ids=["without description", "repeats the offer"])
OTHER = revised(OFFER).replace("20000", "41000")
"""Another offer, by the same origin."""
UNFIT = pytest.mark.parametrize(
    "unfit",
    [OTHER.partition("m=")[0], OTHER.replace("41000", "99999"), OTHER.replace("0 101", "18 101")],
    ids=["no medium", "no port", "a codec that the caller may not use"],
)


def relaying(**customer):
    """Make a scene whose switch relays media; return it and the relay."""
    relay, media = VirtualRelay(), MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", **customer), vendor_gateway(0)]
    return Scene(catalogue(trunks, media=media), relay=relay), relay


def rung(scene, final, **intent):
    """Let a vendor answer a call without offer before the PRACK of its own; return the caller's end."""
    lines = Line(0, 100), Line(0, 183, OFFER, KNOWS_UPDATE, True), Line(10, 200, final)
    scene.vendor.script = Script(lines, awaits_pracks=False)
    call = scene.begun_call(Intent(offer="", headers=SUPPORTS_100REL, pracks=False, **intent), after_ms=700)
    assert (scene.vendor.only_call.final, call.final) == (200, None), "the caller's 200 waits for its PRACK"
    return call


def acknowledge_ringing(call, answer):
    """Send the caller's PRACK; an answer in it is not repeated in its ACK."""
    call.mine, ringing = answer, call.response(183)
    call.remote, call.target = ringing["To"], ringing.target
    call.ask("PRACK", headers=(f"RAck: {ringing['RSeq']} 1 INVITE",), body=answer)


@FINALS
@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_answer_in_the_callers_prack_goes_into_prack_and_ack_of_the_gateway(scene, final, is_restarted):
    call = rung(scene, final)
    if is_restarted:
        replace_node(scene)
    acknowledge_ringing(call, ANSWER)
    scene.wire.run_for(1_000)
    there = scene.vendor.only_call
    assert (call.got["PRACK"], call.response(200).body) == ([200], "")
    (prack,) = there.asked["PRACK"]
    assert (prack.body, {ack.body for ack in there.acks}) == (ANSWER, {ANSWER})
    assert there.theirs == ANSWER
    record = scene.finish(call)
    assert (record.end_reason, record.codec, record.vendor_codec) == ("Normal", "PCMU", "PCMU")


def test_an_answer_in_the_callers_ack_still_goes_into_the_ack_of_the_gateways_200(scene):
    """A PRACK without description leaves the offer open, which the 200 makes again."""
    call = rung(scene, "")
    acknowledge_ringing(call, "")
    scene.wire.run_for(1_000)
    there = scene.vendor.only_call
    assert call.response(200).body == OFFER
    assert {ack.body for ack in there.acks} == {call.mine} != {""}
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("is_in_time", [True, False])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_another_offer_in_the_200_is_made_to_the_caller_after_its_ack(scene, is_in_time, is_restarted):
    """RFC 3261 section 13.2.1 forbids it, but there are gateways that change their media so."""
    if is_in_time:
        scene.vendor.script = Script((Line(0, 183, OFFER, KNOWS_UPDATE, True), Line(1_000, 200, OTHER)))
        call = scene.begun_call(Intent(offer="", headers=SUPPORTS_100REL), after_ms=500)
    else:
        call = rung(scene, OTHER)
    if is_restarted:
        replace_node(scene)
    if not is_in_time:
        acknowledge_ringing(call, ANSWER)
    scene.wire.run_for(2_000)
    there = scene.vendor.only_call
    assert [prack.body for prack in there.asked["PRACK"]] == [ANSWER]
    assert {ack.body for ack in there.acks} == {"" if is_in_time else ANSWER}
    assert call.response(200).body == ""
    (offer,) = call.asked["INVITE"]
    assert "m=audio 41000 " in offer.body
    assert there.asked["INVITE"] == []
    assert scene.finish(call).end_reason == "Normal"


@FINALS
def test_both_sides_get_media_of_the_relay(final):
    scene, _ = relaying()
    call = rung(scene, final)
    acknowledge_ringing(call, ANSWER)
    scene.wire.run_for(1_000)
    (ack,) = scene.vendor.only_call.acks
    hosts = [media_of(body.encode())[0].host for body in (call.response(183).body, ack.body)]
    assert not set(hosts) & {media_of(body.encode())[0].host for body in (OFFER, ANSWER)}
    assert scene.finish(call).end_reason == "Normal"


@FINALS
def test_a_switch_killed_before_the_callers_ack_goes_on_with_the_session(tmp_path, final):
    scene = KilledScene(tmp_path)
    call = rung(scene, final, acknowledges=False)
    acknowledge_ringing(call, ANSWER)
    scene.wire.run_until(lambda: call.final == 200)
    scene.kill(then_ms=1_500)
    call.acknowledge()
    scene.wire.run_for(1_000)
    there = scene.vendor.only_call
    assert {ack.body for ack in there.acks} == {ANSWER}
    scene.propose(call, "a=sendonly")
    assert (call.got["INVITE"], "a=sendonly" in there.theirs) == ([200], True)
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("final", [OFFER, revised(OFFER), OTHER.replace("41000", "43000")])
@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("offer", ["", OFFER], ids=["late offer", "offer"])
def test_the_session_of_an_update_before_the_answer_holds_whatever_the_200_describes(
    scene, offer, side, final, is_restarted
):
    scene.vendor.script = Script((Line(0, 183, OFFER, KNOWS_UPDATE, True), Line(3_000, 200, final)))
    call = scene.begun_call(Intent(offer=offer, headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=500)
    there = scene.vendor.only_call
    asking, asked = sides(side, call, there)
    asked.will("UPDATE", Reply(body=revised(asked.mine).replace("0000 RTP", "1000 RTP")))
    asking.ask("UPDATE", body=revised(asking.mine).replace("0000 RTP", "1000 RTP"))
    scene.wire.run_for(500)
    assert asking.got == {**asking.got, "UPDATE": [200]}
    agreed = call.mine, call.theirs
    if is_restarted:
        replace_node(scene)
    scene.wire.run_for(8_000)
    assert (call.final, call.response(200).body) == (200, "")
    assert (call.asked["INVITE"], there.asked["INVITE"]) == ([], [])
    assert (call.mine, call.theirs) == agreed == (there.theirs, agreed[1])
    assert scene.finish(call).end_reason == "Normal"


@UNFIT
@pytest.mark.parametrize("order", ["offer", "late offer", "late offer and PRACK"])
def test_a_description_in_the_200_that_the_caller_cannot_be_sent_leaves_the_session_of_before(order, unfit):
    """The gateway has answered, and charges: what it has described before is still a session."""
    scene, relay = relaying(media=MediaSettings(codecs=("PCMU",)))
    if order == "late offer and PRACK":
        call = rung(scene, unfit)
        acknowledge_ringing(call, ANSWER)
    else:
        scene.vendor.script = Script((Line(0, 183, OFFER, KNOWS_UPDATE, True), Line(500, 200, unfit)))
        offer = OFFER.replace("20000", "30000") if order == "offer" else ""
        call = scene.caller.call(CALLEE, Intent(offer=offer, headers=SUPPORTS_100REL))
    scene.wire.run_for(9_000)
    there = scene.vendor.only_call
    assert (call.final, call.response(200).body, call.asked["INVITE"], there.asked["BYE"]) == (200, "", [], [])
    assert {port.source.rtp for port in relay.open_ports.values()} == {20_000, 30_000}
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("offer", ["", OFFER], ids=["late offer", "offer"])
def test_a_description_in_the_200_without_a_medium_leaves_the_session_of_before_without_a_relay(scene, offer):
    script = Script((Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(1_000, 200, revised(ANSWER).partition("m=")[0])))
    call, there = scene.talk(Intent(offer=offer, headers=SUPPORTS_100REL), script)
    scene.wire.run_for(5_000)
    assert (call.asked["INVITE"], there.asked["INVITE"], call.theirs) == ([], [], ANSWER)
    assert scene.finish(call).end_reason == "Normal"
