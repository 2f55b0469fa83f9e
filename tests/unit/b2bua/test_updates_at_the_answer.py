"""An UPDATE that is in flight when the vendor answers: its session is the one of the call (RFC 3311, RFC 3264)."""

import pytest
from doubles.data.sessions import revised
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import sides
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script

from vosd.sdp.media import media_of

SIDES = pytest.mark.parametrize("side", ["caller", "callee"])
OTHER = revised(ANSWER).replace("30000", "34000")
"""Another description than that of the reliable 183, as some gateways have it in their 200."""
FORKED = ANSWER.replace("30000", "40000")
"""That of another fork."""


def moved(session, *attributes):
    """Return the next description of an origin, with media at another port."""
    return revised(session, *attributes).replace("0000 RTP", "1000 RTP")


def update_in_flight(scene, side, attribute="a=sendrecv", status=200, after_ms=400):
    """Let a session be agreed on while it rings, one side send an UPDATE, and the vendor answer before its response.

    The caller does not acknowledge the answer. Return both ends, that which has sent the UPDATE first, and its offer.
    """
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    intent = Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False)
    call = scene.begun_call(intent, after_ms=100)
    asking, asked = sides(side, call, scene.vendor.only_call)
    answer = moved(asked.mine, *({"a=sendonly": ["a=recvonly"]}.get(attribute, [attribute])))
    asked.will("UPDATE", Reply(status, answer if status == 200 else None, after_ms))
    offer = moved(asking.mine, attribute)
    asking.ask("UPDATE", body=offer)
    scene.wire.run_for(100)
    return asking, asked, offer


def answer(scene, body=""):
    """Let the vendor answer; return both ends of the call."""
    there = scene.vendor.only_call
    there.respond(Line(0, 200, body))
    scene.wire.run_for(100)
    (call,) = scene.caller.calls.values()
    assert (call.final, call.response(200).body) == (200, "")
    return call, there


@pytest.mark.parametrize("attribute", ["a=sendrecv", "a=sendonly", "a=inactive"])
@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("body", ["", ANSWER, OTHER])
@pytest.mark.parametrize("is_acknowledged_first", [False, True])
@SIDES
def test_the_session_of_an_update_that_is_answered_after_the_vendor_has_answered_holds(
    scene, side, is_acknowledged_first, body, is_restarted, attribute
):
    """The ACK says nothing of it, nor does a description in the 200 (RFC 3261 section 13.2.1)."""
    asking, _, offer = update_in_flight(scene, side, attribute)
    call, there = answer(scene, body)
    if is_restarted:
        replace_node(scene)
    if is_acknowledged_first:
        call.acknowledge()
    scene.wire.run_for(500)
    if is_restarted:
        replace_node(scene)
    assert asking.got["UPDATE"] == [200]
    call.acknowledge()
    scene.wire.run_for(5_000)
    assert (call.asked["INVITE"], there.asked["INVITE"]) == ([], [])
    if side == "callee":
        there.mine = offer
    else:
        call.mine = offer
    assert call.agrees_with(there)
    for each in (call, there):
        scene.propose(each, "a=sendrecv")
        assert (each.got["INVITE"].pop(), call.agrees_with(there)) == (200, True)
    scene.finish(call)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("is_acknowledged_first", [False, True])
@pytest.mark.parametrize("status", [488, 491, 500])
@SIDES
def test_the_answer_holds_where_an_update_is_refused_after_it(scene, side, status, is_acknowledged_first, is_restarted):
    """The gateway has its media elsewhere than its reliable response said: the caller is offered that once."""
    asking, asked, _ = update_in_flight(scene, side, status=status)
    call, there = answer(scene, OTHER)
    mine = OTHER, call.intent.offer
    if is_acknowledged_first:
        call.acknowledge()
    if is_restarted:
        replace_node(scene)
    asked.will("UPDATE", *[Reply(status)] * 4)
    scene.wire.run_until(lambda: "UPDATE" in asking.got)
    there.mine, call.mine = mine
    call.acknowledge()
    scene.wire.run_for(5_000)
    assert asking.got["UPDATE"] == [status]
    assert (len(call.asked["INVITE"]), there.asked["INVITE"]) == (1, [])
    assert "m=audio 34000 " in call.theirs
    scene.finish(call)


@pytest.mark.parametrize("body", ["", OTHER])
@SIDES
def test_after_a_kill_the_session_of_an_update_holds_that_was_answered_before_the_ack(tmp_path, side, body):
    scene = KilledScene(tmp_path)
    asking, _, _ = update_in_flight(scene, side)
    call, there = answer(scene, body)
    scene.wire.run_for(500)
    scene.kill(then_ms=1_500)
    call.acknowledge()
    scene.wire.run_for(5_000)
    assert asking.got["UPDATE"] == [200]
    assert (call.asked["INVITE"], there.asked["INVITE"]) == ([], [])
    scene.finish(call)


@pytest.mark.parametrize("is_killed", [False, True])
@SIDES
def test_the_session_of_an_update_holds_that_is_answered_while_the_200_waits_for_a_prack(tmp_path, side, is_killed):
    """Another reliable response with media came before the vendor's answer, and after the UPDATE."""
    scene = KilledScene(tmp_path)
    asking, _, _ = update_in_flight(scene, side)
    (call,), there = scene.caller.calls.values(), scene.vendor.only_call
    call.intent = call.intent._replace(pracks=False)
    there.respond(Line(0, 183, OTHER, KNOWS_UPDATE))
    there.respond(Line(0, 200))
    scene.wire.run_until(lambda: "UPDATE" in asking.got)
    assert (asking.got["UPDATE"], call.final) == ([200], None)
    call.intent = call.intent._replace(pracks=True)
    scene.wire.run_until(lambda: call.final == 200)
    if is_killed:
        scene.kill(then_ms=1_500)
    call.acknowledge()
    scene.wire.run_for(5_000)
    # A caller that has answered the UPDATE may have taken the media of the 183 after it.
    assert [media_of(each.body.encode())[0].port for each in call.asked["INVITE"]] == [31_000] * (side == "callee")
    assert there.asked["INVITE"] == []
    scene.finish(call)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("is_acknowledged_first", [False, True])
@pytest.mark.parametrize("body", ["", FORKED])
@SIDES
def test_an_update_in_flight_with_the_fork_that_answers_holds(scene, side, body, is_acknowledged_first, is_restarted):
    """The caller had agreed on another session with a fork that it was shown before."""
    last = Script((Line(500, 183, FORKED, KNOWS_UPDATE, True), Line(2_000, 200, body)))
    scene.vendor.script = Script((Line(0, 183, ANSWER, KNOWS_UPDATE, True),), forks=(last,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False), after_ms=200)
    scene.propose(call, "a=sendonly", method="UPDATE", wait_ms=1_700)
    first, there = scene.vendor.calls
    asking, asked = sides(side, call, there)
    asked.will("UPDATE", Reply(body=moved(asked.mine), after_ms=400))
    offer = moved(asking.mine)
    asking.ask("UPDATE", body=offer)
    scene.wire.run_until(lambda: call.final == 200)
    if is_restarted:
        replace_node(scene)
    if is_acknowledged_first:
        call.acknowledge()
    scene.wire.run_for(1_000)
    call.acknowledge()
    scene.wire.run_for(5_000)
    asking.mine = offer
    assert asking.got["UPDATE"][-1] == 200
    assert [each.asked["INVITE"] for each in (call, first, there)] == [[], [], []]
    assert call.agrees_with(there)
    scene.finish(call)


@pytest.mark.parametrize("is_acknowledged_first", [False, True])
def test_an_offer_in_a_prack_that_is_answered_after_the_vendor_has_answered_holds(scene, is_acknowledged_first):
    """It is an UPDATE for the vendor, and its answer is in the 2xx to the PRACK (RFC 3262 section 5)."""
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    intent = Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False, pracks=False)
    call = scene.begun_call(intent, after_ms=100)
    ringing, there = call.response(183), scene.vendor.only_call
    call.remote, call.target = ringing["To"], ringing.target
    there.will("UPDATE", Reply(body=moved(ANSWER), after_ms=400))
    offer = moved(call.mine)
    prack = call.ask("PRACK", body=offer, headers=(f"RAck: {ringing['RSeq']} 1 INVITE",))
    scene.wire.run_for(100)
    answer(scene)
    if is_acknowledged_first:
        call.acknowledge()
    scene.wire.run_until(lambda: "PRACK" in call.got)
    call.acknowledge()
    scene.wire.run_for(5_000)
    assert (call.got["PRACK"], prack.final.body) == ([200], there.mine)
    assert (there.theirs, there.mine) == (offer, moved(ANSWER))
    assert (call.asked["INVITE"], there.asked["INVITE"]) == ([], [])
    scene.finish(call)
