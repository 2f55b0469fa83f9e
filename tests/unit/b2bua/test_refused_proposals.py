"""Proposals that come to nothing: refused, unanswered, given up. The session stays as it was, mostly the call too.

RFC 3261 sections 12.2.1.2 and 14.1, RFC 6141.
"""

import pytest
from doubles.data.sessions import revised
from doubles.races import UPDATING
from doubles.sockets.peer import OFFER, Message
from doubles.virtual.customer import KNOWS_UPDATE, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import Scene, sides
from doubles.virtual.side import SILENCE, Reply, Side

from vosd.sdp.origin import alike
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer

both_sides = pytest.mark.parametrize("side", ["caller", "callee"])
both_methods = pytest.mark.parametrize("method", ["INVITE", "UPDATE"])


def have_one_session(one: Side, other: Side) -> bool:
    """Return whether each of both has the other's session but for the version of its origin."""
    sessions = ((one.mine, other.theirs), (other.mine, one.theirs))
    return all(alike(mine.encode(), theirs.encode()) for mine, theirs in sessions)


# -- refused ------------------------------------------------------------------------------------------------------


@both_sides
@both_methods
@pytest.mark.parametrize(
    ("said", "told"), [(488, 488), (415, 415), (487, 487), (500, 500), (603, 603), (302, 503), (401, 503), (407, 503)]
)
def test_a_refused_proposal_changes_nothing_and_the_call_lives_on(scene, ends_that_update, side, method, said, told):
    """RFC 3261 section 14.1; redirections and challenges are between us and that side."""
    call, there = ends_that_update
    asking, asked = sides(side, call, there)
    asked.will(method, Reply(said))
    refused = asking.propose("a=sendonly", method=method)
    scene.wire.run_for(1_000)
    assert asking.got == {method: [told]}
    assert call.agrees_with(there)
    assert asking.mine != refused
    asking.ask(method, body=refused)
    scene.wire.run_for(1_000)
    assert asked.asked[method][-1].body == refused, "the same again is as new as before"
    assert asking.got == {method: [told, 200]}
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
@both_methods
@pytest.mark.parametrize("is_refresh", [True, False])
def test_a_2xx_without_an_answer_is_taken_for_one_to_a_refresh_alone(scene, ends_that_update, side, method, is_refresh):
    """The side that makes an offer needs an answer (RFC 3264 section 5), and the other one may have taken the offer."""
    call, there = ends_that_update
    asking, asked = sides(side, call, there)
    agreed, theirs = asking.theirs, asked.theirs
    asked.will(method, Reply(200, ""))
    offer = revised(asking.mine)
    asking.ask(method, body=offer if is_refresh else offer.replace("a=rtpmap", "a=sendonly\r\na=rtpmap", 1))
    scene.wire.run_for(5_000)
    assert asking.got == {method: [200 if is_refresh else 488]}
    said = [each.data for each in scene.wire.packets if (each.source, each.target) == (SWITCH, asking.agent.address)]
    finals = [each for each in said if each.startswith((b"SIP/2.0 200", b"SIP/2.0 488"))]
    assert (b"m=audio" in finals[-1]) is is_refresh
    assert asking.theirs == agreed
    assert alike(asked.theirs.encode(), theirs.encode())
    assert len(asked.asked["INVITE"]) == (method == "INVITE") + (not is_refresh)
    scene.propose(asking, "a=sendonly", method=method)
    assert asking.got[method][1:] == [200]
    assert have_one_session(asking, asked)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
def test_a_side_that_may_have_taken_a_medium_is_offered_it_rejected_when_it_is_taken_back(
    scene, ends_that_update, side
):
    """RFC 3264 section 8: the next offer has no fewer media, and a strict peer refuses one that has."""
    call, there = ends_that_update
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(200, ""))
    asking.ask("INVITE", body=revised(asking.mine) + "m=video 4002 RTP/AVP 96\r\n")
    scene.wire.run_for(5_000)
    assert (asking.got, asked.theirs.count("m="), "m=video 0 " in asked.theirs) == ({"INVITE": [488]}, 2, True)
    assert asking.theirs.count("m=") == 1
    assert scene.finish(call).end_reason == "Normal"


@both_sides
@both_methods
def test_after_a_refusal_a_refresh_of_the_other_side_is_answered_with_what_was_agreed_upon(
    scene, ends_that_update, side, method
):
    """RFC 6141 section 3.1: a refused proposal has changed nothing, also not in our memory."""
    call, there = ends_that_update
    asking, asked = sides(side, call, there)
    asked.will(method, Reply(488))
    scene.propose(asking, "a=inactive", method=method)
    asked.ask(method, body=asked.mine)
    scene.wire.run_for(1_000)
    assert asked.got == {method: [200]}
    assert call.agrees_with(there)
    scene.finish(call)


@both_sides
@both_methods
@pytest.mark.parametrize("status", [481, 408])
def test_a_side_that_knows_the_call_no_more_ends_it(scene, ends_that_update, side, method, status):
    """RFC 3261 section 12.2.1.2: 481 and 408 to a proposal end the dialog, here both."""
    call, there = ends_that_update
    asking, asked = sides(side, call, there)
    asked.will(method, Reply(status))
    scene.propose(asking, "a=sendonly", method=method)
    assert asking.got[method] == [504]
    assert asking.is_over
    record = scene.close()
    if status == 481:
        assert (record.end_reason, record.hangup_source) == ("Normal", "callee" if side == "caller" else "caller")
    else:
        assert (record.end_reason, record.hangup_source) == ("Session Timeout", "switch")


@both_sides
@both_methods
def test_a_side_that_says_nothing_at_all_is_gone(scene, ends_that_update, side, method):
    call, there = ends_that_update
    asking, asked = sides(side, call, there)
    asked.will(method, SILENCE)
    asking.propose("a=sendonly", method=method)
    scene.wire.run_until(lambda: asking.is_over)
    scene.wire.run_for(100)
    assert asking.got[method] == ([504] if method == "INVITE" else [0, 504]), "it has waited as long as we have"
    record = scene.close()
    assert record.end_reason == "Session Timeout"
    assert 32_000 <= record.hold_time_ms - 1_000 <= 32_100


@both_sides
def test_a_side_that_thinks_for_ever_is_asked_no_longer_and_the_call_lives_on(scene, side):
    """It has shown itself (100), so it exists; a person may have to press a button first."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(100))
    scene.propose(asking, "a=sendonly", wait_ms=40_000)
    assert asking.got == {"INVITE": [504]}
    assert len(asked.asked["CANCEL"]) == 1
    assert call.agrees_with(there)
    scene.propose(asking, "a=sendonly")
    assert asking.got == {"INVITE": [504, 200]}
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


@pytest.fixture
def over_tcp() -> Scene:
    return Scene(listeners=(Listener(*SWITCH, "tcp"),))


def lose_connection(scene: Scene, side: Side, *, tries: int = 2) -> None:
    """Let the connection with a side break, and no other be accepted, if both ``tries`` fail."""
    for _ in range(tries):
        for event in scene.exchange.endpoint.transport_failed(Peer(0, *side.agent.address), scene.exchange.clock.now()):
            scene.exchange.switch.handle(event)
        scene.exchange.flush()


@both_sides
@both_methods
def test_a_side_that_cannot_be_reached_refuses_the_change_alone(over_tcp, side, method):
    """RFC 3261 section 8.1.3.1: an error of the transport is as good as 503, which ends no dialog (12.2.1.2)."""
    scene = over_tcp
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE), UPDATING)
    asking, asked = sides(side, call, there)
    asked.will(method, SILENCE)
    refused = asking.propose("a=sendonly", method=method)
    scene.wire.run_for(100)
    lose_connection(scene, asked)
    scene.wire.run_for(100)
    assert asking.got == {method: [503]}
    assert asking.mine != refused
    asked.will(method, Reply(200))
    scene.propose(asking, "a=inactive", method=method)
    assert asking.got == {method: [503, 200]}
    assert scene.finish(call).end_reason == "Normal"


@both_sides
@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_side_that_knows_our_invite_no_more_refuses_the_change_alone(over_tcp, side, is_cancelled):
    """A 481 to the CANCEL ends the wait, not the dialog (RFC 3261 section 9.2): the call ended 64·T1 later."""
    scene = over_tcp
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(100))
    scene.propose(asking, "a=sendonly")
    asked.forget_request()
    lose_connection(scene, asked, tries=1)
    if is_cancelled:
        asking.asking[0].cancel()
    scene.wire.run_for(6_000 if is_cancelled else 38_000)
    assert len(asked.asked["CANCEL"]) == 1
    assert asking.got == {"INVITE": [487 if is_cancelled else 504]}
    assert call.agrees_with(there)
    scene.wire.run_for(60_000)
    scene.propose(asking, "a=sendonly")
    assert asking.got["INVITE"][1:] == [200]
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


def cancelled_unknown(scene: Scene, side: str, later_ms: int = 10_000) -> tuple[Side, Side, Side, Message]:
    """Return the call, who holds, the other side, which has answered 481 to the CANCEL, and its forgotten INVITE."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(100))
    scene.propose(asking, "a=sendonly")
    invite = asked.forget_request()
    lose_connection(scene, asked, tries=1)
    scene.wire.run_until(lambda: bool(asked.asked["CANCEL"]))
    scene.wire.run_for(later_ms)
    return call, asking, asked, invite


@both_sides
@pytest.mark.parametrize("later_ms", [1_000, 10_000])
def test_a_2xx_that_comes_after_a_481_to_its_cancel_leaves_both_sides_with_one_session(over_tcp, side, later_ms):
    """By RFC 3261 a 2xx ends the transaction of its INVITE; only by RFC 6026 a CANCEL still matches it."""
    scene = over_tcp
    call, asking, asked, invite = cancelled_unknown(scene, side, later_ms)
    asked.answer_forgotten(invite, Reply(200))
    scene.wire.run_for(10_000)
    assert asking.got == {"INVITE": [200 if later_ms == 1_000 else 504]}
    assert len(asked.asked["INVITE"]) == (1 if later_ms == 1_000 else 2)
    assert have_one_session(asking, asked)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
def test_a_2xx_that_comes_late_amid_another_change_that_is_refused_leaves_both_sides_with_one_session(over_tcp, side):
    scene = over_tcp
    call, asking, asked, invite = cancelled_unknown(scene, side)
    asking.will("INVITE", Reply(488, after_ms=2_000))
    scene.propose(asked, "a=inactive")
    asked.answer_forgotten(invite, Reply(200))
    scene.wire.run_for(60_000)
    assert (asking.got, asked.got) == ({"INVITE": [504]}, {"INVITE": [488]})
    assert have_one_session(asking, asked)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
def test_a_side_that_has_accepted_late_and_refuses_the_session_in_force_is_offered_it_later(over_tcp, side):
    """That session is the one that it was sent before: only the doubt about the late 2xx says that it is needed."""
    scene = over_tcp
    call, asking, asked, invite = cancelled_unknown(scene, side)
    asked.will("INVITE", *[Reply(491)] * 5)
    asked.answer_forgotten(invite, Reply(200))
    scene.wire.run_for(70_000)
    assert have_one_session(asking, asked)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
@both_methods
def test_a_2xx_that_comes_over_another_connection_than_the_lost_one_leaves_both_sides_with_one_session(
    over_tcp, side, method
):
    """One side had the offer before the connection broke, and stayed on hold, for the other one had a 503."""
    scene = over_tcp
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE), UPDATING)
    asking, asked = sides(side, call, there)
    asked.will(method, SILENCE)
    scene.propose(asking, "a=sendonly", method=method)
    request = asked.forget_request()
    lose_connection(scene, asked)
    scene.wire.run_for(3_000)
    asked.answer_forgotten(request, Reply(200))
    scene.wire.run_for(10_000)
    assert asking.got == {method: [503]}
    assert len(asked.asked[method]) + len(asked.asked["INVITE"]) == (2 if method == "UPDATE" else 4)
    assert have_one_session(asking, asked)
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_side_that_accepts_a_newcomer_late_that_was_refused_is_offered_the_session_in_force(over_tcp, is_known):
    """It sent its media to the newcomer, for the offer had arrived before the connection broke, or before its 481."""
    scene = over_tcp
    call, there = scene.talk()
    there.will("INVITE", SILENCE if is_known else Reply(100))
    offer = OFFER.replace("20000", "44000")
    pickup = scene.begun_call(Intent(headers=(f"Replaces: {call.replaces}",), offer=offer), after_ms=1_000)
    invite = there.forget_request()
    lose_connection(scene, there, tries=2 if is_known else 1)
    scene.wire.run_for(3_000 if is_known else 60_000)
    assert pickup.final == (503 if is_known else 504)
    there.answer_forgotten(invite, Reply(200))
    scene.wire.run_for(20_000)
    assert alike(call.mine.encode(), there.theirs.encode())
    assert scene.finish(call).end_reason == "Normal"


# -- given up -----------------------------------------------------------------------------------------------------


@both_sides
def test_a_cancelled_proposal_is_cancelled_on_the_other_side_too(scene, side):
    """RFC 3261 section 9: CANCEL of a re-INVITE ends the proposal, not the call."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(200, after_ms=10_000))
    asking.acknowledges = True
    scene.propose(asking, "a=sendonly")
    asking.asking[0].cancel()
    scene.wire.run_for(1_000)
    assert len(asked.asked["CANCEL"]) == 1
    assert asking.got == {"INVITE": [487]}
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
@pytest.mark.parametrize("status", [422, 488, 491])
def test_a_cancelled_proposal_is_not_sent_again_after_a_refusal_that_crosses_the_cancel(scene, side, status):
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(status, after_ms=10, headers=("Min-SE: 3600",)))
    asking.propose("a=sendonly")
    scene.wire.run_until(lambda: asked.asked["INVITE"] != [])
    scene.wire.run_for(9)
    asking.asking[0].cancel()
    scene.wire.run_for(10_000)
    assert len(asked.asked["CANCEL"]) == 1
    assert len(asked.asked["INVITE"]) == 1
    assert asking.got == {"INVITE": [487]}
    assert call.agrees_with(there)
    assert scene.finish(call).end_reason == "Normal"


@both_sides
def test_a_proposal_of_a_call_that_ends_is_answered_and_withdrawn(scene, side):
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asked.will("INVITE", Reply(200, after_ms=10_000))
    scene.propose(asking, "a=sendonly")
    scene.hang_up(asking, wait_ms=1_000)
    assert asking.got == {"INVITE": [487], "BYE": [200]}
    assert asked.is_over
    assert scene.close().end_reason == "Normal"


@both_sides
def test_a_200_to_a_proposal_that_is_never_acknowledged_ends_the_call(scene, side):
    """RFC 3261 section 13.3.1.4 holds within a dialog too: 64·T1, then BYE both ways."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    asking.acknowledges = False
    asking.propose("a=sendonly")
    scene.wire.run_until(lambda: asking.is_over and asked.is_over)
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("No ACK", "switch")
    assert 32_000 <= record.hold_time_ms - 1_000 <= 32_100
