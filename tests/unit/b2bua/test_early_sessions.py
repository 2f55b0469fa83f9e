"""Sessions that change while it rings: UPDATE (RFC 3311) within what a reliable response has settled (RFC 3262)."""

import pytest
from doubles.data.sessions import answering, revised
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import sides
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import Line, Script

from vosd.b2bua.leg_facts import LegSessions


@pytest.fixture
def early(scene):
    """A call whose session is agreed upon while it rings, both ends of which know UPDATE."""
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=100)
    return call, scene.vendor.only_call


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_an_early_session_is_changed_by_update(scene, early, side):
    """The example of RFC 3311 section 4: INVITE, reliable 183, PRACK, then UPDATE from either side, then the 200."""
    call, there = early
    asking, asked = sides(side, call, there)
    before = asked.mine
    offer = asking.propose("a=sendonly", method="UPDATE")
    scene.wire.run_for(100)
    assert asking.got["UPDATE"] == [200]
    assert [update.body for update in asked.asked["UPDATE"]] == [offer]
    assert asking.theirs == answering(offer, before)
    assert call.agrees_with(there)
    there.respond(Line(0, 200))
    scene.wire.run_for(100)
    assert call.response(200).body == ""
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_before_anything_is_agreed_upon_an_update_has_to_wait(scene, side):
    """RFC 3311 section 5.2: 500 with Retry-After to the one whose offer has no answer, 491 to the other one."""
    scene.vendor.script = Script((Line(0, 100), Line(0, 180, "", KNOWS_UPDATE, True)))
    call = scene.begun_call(Intent(headers=(*INSISTS_ON_RELIABLE, *KNOWS_UPDATE)), after_ms=100)
    there = scene.vendor.only_call
    asking = call if side == "caller" else there
    update = asking.ask("UPDATE", body=OFFER.replace("1 1", "1 2"))
    scene.wire.run_for(100)
    assert asking.got["UPDATE"] == [{"caller": 500, "callee": 491}[side]]
    assert side == "callee" or 0 <= int(update.final["Retry-After"]) <= 10
    there.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(100)
    assert call.agrees_with(there)
    scene.finish(call)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_an_early_session_is_not_changed_where_the_other_side_knows_no_update(scene, side):
    """RFC 3311 is the only way before the answer: 488, and the call goes on."""
    allow = {"caller": ((), KNOWS_UPDATE), "callee": (KNOWS_UPDATE, ())}[side]
    callers, vendors = reversed(allow) if side == "callee" else (allow[1], allow[0])
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, vendors, True)))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *callers)), after_ms=100)
    there = scene.vendor.only_call
    asking = call if side == "caller" else there
    scene.propose(asking, method="UPDATE", wait_ms=100)
    assert asking.got["UPDATE"] == [488]
    there.respond(Line(0, 200))
    scene.wire.run_for(100)
    assert call.agrees_with(there)
    scene.finish(call)


@pytest.mark.parametrize("status", [488, 491])
def test_an_early_update_that_is_refused_changes_nothing(scene, early, status):
    call, there = early
    there.will("UPDATE", *[Reply(status)] * 5)
    scene.propose(call, "a=inactive", method="UPDATE", wait_ms=20_000)
    assert call.got["UPDATE"] == [status]
    there.respond(Line(0, 200))
    scene.wire.run_for(100)
    assert (call.mine, call.theirs) == (there.theirs, there.mine) == (OFFER, ANSWER)
    scene.finish(call)


def test_a_pending_early_update_is_let_go_with_the_call(scene, early):
    call, there = early
    there.will("UPDATE", SILENCE)
    scene.propose(call, "a=inactive", method="UPDATE", wait_ms=100)
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    assert call.got["UPDATE"] == [487]
    scene.wire.run_for(100)
    assert there.is_over
    scene.close()


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("lines", [(Line(0, 200),), (Line(0, 200, ANSWER),), (Line(0, 180, ANSWER), Line(0, 200))])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_session_that_an_update_has_changed_holds_when_the_call_is_answered(scene, early, side, lines, is_restarted):
    """RFC 3261 section 13.2.1: after a reliable answer, descriptions in later responses to the INVITE are ignored."""
    call, there = early
    asking, asked = sides(side, call, there)
    if side == "caller":
        asked.will("UPDATE", Reply(200, revised(ANSWER.replace("30000", "31000"))))
    asking.mine = asking.mine.replace("m=audio ", "m=audio 1")
    scene.propose(asking, "a=sendrecv", method="UPDATE", wait_ms=100)
    mine, theirs = there.mine, there.theirs
    if is_restarted:
        replace_node(scene)
    for line in lines:
        there.respond(line)
        scene.wire.run_for(100)
    assert [response.body for response in call.responses[-len(lines) :]] == [""] * len(lines)
    there.mine = mine
    assert call.agrees_with(there)
    there.ask("INVITE", body=mine)
    scene.wire.run_for(100)
    assert there.got["INVITE"] == [200]
    assert (there.theirs, call.asked["INVITE"]) == (theirs, []), "an unchanged description is a refresh"
    scene.propose(call, "a=sendonly", wait_ms=100)
    assert call.agrees_with(there)
    scene.finish(call)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_session_that_was_changed_in_one_early_dialog_is_not_that_of_another(scene, is_restarted):
    """RFC 3261 section 12.1, RFC 3311 section 5.1: the fork that answers has been sent the INVITE, and nothing else."""
    other = Script((Line(100, 183, ANSWER.replace("192.0.2.20", "192.0.2.21"), KNOWS_UPDATE, True),))
    timed = "Supported: timer", "Session-Expires: 600;refresher=uac", "Allow: INVITE, ACK, BYE"
    scene.vendor.script = Script((Line(0, 180), Line(2_000, 200, ANSWER, timed)), forks=(other,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=500)
    scene.propose(call, "a=inactive", method="UPDATE")
    winner, ringing = scene.vendor.calls
    assert [len(each.asked["UPDATE"]) for each in (winner, ringing)] == [0, 1]
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: bool(winner.asked["INVITE"]))
    refresh, *_ = winner.asked["INVITE"]
    assert refresh.body == OFFER
    call.mine = OFFER
    call.ask("INVITE", body=OFFER)
    scene.wire.run_for(100)
    assert call.got["INVITE"] == [200]
    assert len(winner.asked["INVITE"]) == 1, "an unchanged description is a refresh"
    scene.finish(call)


@pytest.mark.parametrize("ends", [None, "caller", "callee"])
def test_an_update_that_waits_outlasts_the_ack_of_the_answer(scene, early, ends):
    """The ACK of the INVITE says nothing of the UPDATE: that has its own response, or 487 with the end of the call."""
    call, there = early
    there.will("UPDATE", Reply(200, after_ms=2_000))
    scene.propose(call, "a=sendonly", method="UPDATE", wait_ms=100)
    there.respond(Line(0, 200))
    scene.wire.run_for(200)
    leaving = {"caller": call, "callee": there}.get(ends)
    if leaving is None:
        scene.propose(there, "a=recvonly", wait_ms=100)
        assert there.got["INVITE"] == [491], "one change at a time"
    else:
        leaving.hang_up()
    scene.wire.run_for(5_000)
    assert call.got["UPDATE"] == [200 if leaving is None else 487]
    if leaving is None:
        assert call.agrees_with(there)
        scene.finish(call)
    else:
        scene.close()


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL])
@pytest.mark.parametrize("is_reliable", [False, True])
def test_the_answer_after_a_422_is_in_another_early_dialog_than_the_session_before_it(scene, headers, is_reliable):
    """RFC 3261 section 13.2.2.3: the refusal has ended that dialog, and another INVITE has made this one."""
    other = ANSWER.replace("30000", "31000")
    refusing = Line(300, 422, "", ("Min-SE: 7200",))
    scene.vendor.script = Script((Line(0, 183, ANSWER, (), is_reliable), refusing))
    call = scene.begun_call(Intent(headers=headers), after_ms=200)
    scene.vendor.script = Script((Line(500, 200, other),))
    scene.wire.run_until(lambda: call.final == 200)
    early, final = call.response(183), call.response(200)
    assert (early.body, final.body) == (ANSWER, other)
    assert early.to_tag != final.to_tag
    scene.wire.run_for(1_000)
    assert call.asked["INVITE"] == []
    scene.finish(call)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_an_update_without_response_in_one_early_dialog_does_not_delay_offers_in_another(scene, side):
    """RFC 3311 section 5.1: the limit of one offer at a time is one of a dialog."""
    other = ANSWER.replace("30000", "31000")
    winner = Script((Line(0, 180, "", KNOWS_UPDATE), Line(2_000, 200, other, KNOWS_UPDATE)))
    scene.vendor.script = Script((Line(0, 183, ANSWER, KNOWS_UPDATE, True),), forks=(winner,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=500)
    first, there = scene.vendor.calls
    asking, asked = sides(side, call, first)
    asked.will("UPDATE", SILENCE)
    asking.propose("a=sendonly", method="UPDATE")
    scene.await_answer(call, talk_ms=500)
    for each in (call, there):
        scene.propose(each, "a=sendonly", wait_ms=100)
        assert each.got["INVITE"] == [200]
        assert call.agrees_with(there)
    scene.finish(call)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_fork_that_may_have_accepted_an_update_given_up_is_offered_the_session_when_it_answers(scene, is_restarted):
    """The caller has left its early dialog before the response, and got 487: the change does not hold for it."""
    other = Script((Line(1_000, 183, ANSWER.replace("30000", "31000"), KNOWS_UPDATE, True),))
    lines = Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(6_000, 200, "", KNOWS_UPDATE)
    scene.vendor.script = Script(lines, forks=(other,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=500)
    there, _ = scene.vendor.calls
    there.will("UPDATE", Reply(200, after_ms=2_000))
    scene.propose(call, "a=inactive", method="UPDATE")
    if is_restarted:
        replace_node(scene)
    scene.await_answer(call, talk_ms=1_000)
    assert call.got["UPDATE"] == [487]
    assert (len(there.asked["INVITE"]), "a=inactive" in there.theirs) == (1, False)
    scene.propose(call, "a=sendonly")
    assert (call.got["INVITE"], "a=sendonly" in there.theirs) == ([200], True)
    scene.finish(call)


def test_a_proposal_of_such_a_fork_does_not_wait_for_the_ack_of_the_caller(scene):
    """It is sent the session in force after that ACK, and may propose another one then."""
    other = Script((Line(1_000, 183, ANSWER.replace("30000", "31000"), KNOWS_UPDATE, True),))
    lines = Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(6_000, 200, "", KNOWS_UPDATE)
    scene.vendor.script = Script(lines, forks=(other,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False), after_ms=500)
    there, _ = scene.vendor.calls
    there.will("UPDATE", Reply(200, after_ms=2_000))
    scene.propose(call, "a=inactive", method="UPDATE")
    scene.await_answer(call, talk_ms=100)
    scene.propose(there, "a=sendonly")
    assert there.got["INVITE"] == [491]
    call.acknowledge()
    scene.wire.run_for(1_000)
    assert (len(there.asked["INVITE"]), "a=inactive" in there.theirs) == (1, False)
    scene.finish(call)


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_who_may_have_accepted_an_update_given_up_is_offered_the_session_after_a_kill_too(tmp_path, side, is_killed):
    """The call is killed after its answer, before the caller has acknowledged that."""
    scene = KilledScene(tmp_path)
    other = Script((Line(1_000, 183, ANSWER.replace("30000", "31000"), KNOWS_UPDATE, True),))
    lines = Line(0, 183, ANSWER, KNOWS_UPDATE, True), Line(6_000, 200, "", KNOWS_UPDATE)
    scene.vendor.script = Script(lines, forks=(other,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), acknowledges=False), after_ms=500)
    there, _ = scene.vendor.calls
    asking, asked = sides(side, call, there)
    asked.will("UPDATE", Reply(200, after_ms=2_000))
    asking.propose("a=inactive", method="UPDATE")
    scene.wire.run_until(lambda: call.final == 200)
    if is_killed:
        scene.kill(then_ms=1_500)
    call.acknowledge()
    scene.wire.run_for(4_000)
    assert (len(asked.asked["INVITE"]), "a=inactive" in asked.theirs) == (1, False)
    scene.propose(asking, "a=sendonly")
    assert (asking.got["INVITE"], "a=sendonly" in asked.theirs) == ([200], True)
    scene.finish(call)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_the_version_of_an_early_update_that_was_refused_is_that_of_no_other_after_a_kill(tmp_path, side):
    """A side would else take the next offer for the one that it has refused (RFC 3264 section 8)."""
    scene = KilledScene(tmp_path)
    scene.vendor.script = Script((Line(0, 100), Line(0, 183, ANSWER, KNOWS_UPDATE, True)))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=100)
    there = scene.vendor.only_call
    asking, asked = sides(side, call, there)
    asked.will("UPDATE", Reply(488))
    scene.propose(asking, "a=inactive", method="UPDATE", wait_ms=1_000)
    there.respond(Line(0, 200, "", KNOWS_UPDATE))
    scene.wire.run_for(100)
    scene.kill(then_ms=1_500)
    scene.propose(asking, "a=sendonly")
    assert (asking.got["UPDATE"], asking.got["INVITE"], "a=sendonly" in asked.theirs) == ([488], [200], True)
    scene.finish(call)


def test_a_description_that_is_left_out_gives_the_version_of_a_refused_one_to_no_other():
    said, refused, early, late = (
        revised(ANSWER, *lines).encode() for lines in ((), ("a=x-refused",), ("a=x-early",), ("a=x-late",))
    )
    sessions = LegSessions(said=said, refused=refused.replace(b"1 2 IN", b"1 3 IN"))
    sessions.said = sessions.numbered(early)
    sessions.undoing(said, b"")()
    assert b"1 4 IN" in sessions.numbered(late)
