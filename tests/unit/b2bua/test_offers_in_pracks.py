"""A PRACK that proposes another session (RFC 3262 section 5): the other side is asked, and answers in the 2xx."""

import pytest
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers_reliably

NEW_OFFER = OFFER.replace("1 1", "1 2").replace("20000", "20008")
SETTLED_AND_UPDATING = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(3_000, 200)))


def proposed_in_prack(scene, script, *replies):
    """Let the caller's PRACK make an offer; return both ends."""
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), script=script, after_ms=100)
    there = scene.vendor.only_call
    there.will("UPDATE", *replies)
    ringing = call.response(183)
    call.remote, call.target = ringing["To"], ringing.target
    call.ask("PRACK", headers=(f"RAck: {ringing['RSeq']} 1 INVITE",), body=NEW_OFFER)
    scene.wire.run_until(lambda: call.final == 200)
    return call, there


def test_an_offer_in_a_prack_is_the_other_sides_to_answer_in_its_2xx(scene):
    """RFC 3262 section 5; the vendor is asked by UPDATE (RFC 3311)."""
    call, there = proposed_in_prack(scene, SETTLED_AND_UPDATING)
    assert call.got["PRACK"] == [200]
    (update,) = there.asked["UPDATE"]
    assert update.body == NEW_OFFER
    (answer,) = [each for each in scene.caller.heard if each.status == 200 and each["CSeq"].endswith("PRACK")]
    assert (answer.body, answer.every("Contact")) == (there.mine, [])
    assert call.response(200).body == ""
    assert scene.finish(call).end_reason == "Normal"


def test_an_offer_in_a_prack_that_changes_nothing_is_answered_here(scene):
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), script=SETTLED_AND_UPDATING, after_ms=100)
    ringing = call.response(183)
    call.remote, call.target = ringing["To"], ringing.target
    call.ask("PRACK", headers=(f"RAck: {ringing['RSeq']} 1 INVITE",), body=OFFER)
    scene.wire.run_until(lambda: call.final == 200)
    assert call.got["PRACK"] == [200]
    assert scene.vendor.only_call.asked["UPDATE"] == []
    scene.finish(call)


def test_an_offer_in_a_prack_that_the_other_side_refuses_changes_nothing(scene):
    call, there = proposed_in_prack(scene, SETTLED_AND_UPDATING, Reply(488))
    assert call.got["PRACK"] == [488]
    assert len(there.asked["UPDATE"]) == 1
    assert len({response["RSeq"] for response in call.responses if response.every("RSeq")}) == 1
    assert scene.finish(call).end_reason == "Normal"


def test_nothing_is_left_of_an_offer_in_a_prack_that_was_refused_before_a_restart(scene):
    """The next process took its transaction for one that waits, and kept it for ever."""
    call, _ = proposed_in_prack(scene, SETTLED_AND_UPDATING, Reply(488))
    assert call.got["PRACK"] == [488]
    replace_node(scene)
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(
    "script",
    [answers_reliably(), Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER)))],
    ids=["knows no UPDATE", "has settled nothing"],
)
def test_an_offer_in_a_prack_that_the_other_side_cannot_be_asked_about_is_488(scene, script):
    """The response is heard all the same."""
    call, there = proposed_in_prack(scene, script)
    assert call.got["PRACK"] == [488]
    assert there.asked["UPDATE"] == []
    assert scene.finish(call).end_reason == "Normal"


def test_an_offer_in_a_prack_that_waits_outlasts_the_ack_of_the_answer(scene):
    lines = Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(300, 180, "", KNOWS_UPDATE, True)
    scene.vendor.script = Script((Line(0, 100), *lines))
    call = scene.begun_call(Intent(headers=(*INSISTS_ON_RELIABLE, *KNOWS_UPDATE)), after_ms=100)
    there = scene.vendor.only_call
    there.will("UPDATE", Reply(200, after_ms=3_000))
    call.intent = call.intent._replace(pracks=False)
    scene.wire.run_for(300)
    prack = call.ask("PRACK", headers=(f"RAck: {call.response(180)['RSeq']} 1 INVITE",), body=NEW_OFFER)
    scene.wire.run_for(100)
    there.respond(Line(0, 200))
    scene.wire.run_for(200)
    scene.hang_up(there, wait_ms=9_000)
    assert [response.status for response in prack.responses] == [487]
    scene.close()
