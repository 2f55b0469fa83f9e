"""Two sides that are connected while an INVITE of ours is in progress with one of them (RFC 3261 section 14.1)."""

import pytest
from doubles import keypad_scene
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER, OFFER, Message
from doubles.successor import replace_node
from doubles.virtual.customer import KNOWS_UPDATE, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import Line, Script, answers, answers_timed

from vosd.base.session_timer import SessionTimerSettings
from vosd.trunks.dialect import CalleeDialect, CallerDialect

TARGET = "442071111111"
TIMED = SessionTimerSettings(ttl_s=120)
THEIRS = ANSWER.replace("30000", "31000")
SLOW_MS = 900


def stage(*, timed=True):
    """Return a scene whose calls have session timers that we refresh, or none."""
    dialects = {} if not timed else {"dialect": CalleeDialect(session_timer=TIMED)}
    caller = {} if not timed else {"dialect": CallerDialect(session_timer=TIMED)}
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", **caller)
    scene = Scene(catalogue([trunk, vendor_gateway(0, **dialects)]))
    scene.vendor.script = answers_timed("120;refresher=uac", knows_update=False)
    scene.vendor.by_number = {TARGET: answers(1_000, body=THEIRS)}
    return scene


def refer(call, to=f"<sip:{TARGET}@192.0.2.1>"):
    call.ask("REFER", headers=[f"Refer-To: {to}"])


def replacing(other):
    """Return the Refer-To of an attended transfer to the target of another call."""
    return f"<sip:{TARGET}@192.0.2.1?Replaces={other.replaces_in_uri}>"


def media_of(session):
    return session.partition("\r\nt=")[2]


def refused(scene):
    """Return the final responses above 300 that peers have sent, but for those to an INVITE that was cancelled."""
    lines = [each.data.partition(b"\r\n")[0].decode() for each in scene.wire.packets if each.target == SWITCH]
    return [line for line in lines if line.startswith("SIP/2.0 ") and line[8] > "2" and line[8:11] != "487"]


def overlapping(scene):
    """Return the INVITEs of ours that were sent before the final response to the one before in their dialog."""
    open_invites, found = {}, []
    for packet in scene.wire.packets:
        message = Message(packet.data, packet.source)
        number, _, method = message["CSeq"].partition(" ")
        waiting = open_invites.setdefault(message["Call-ID"], set())
        if packet.source == SWITCH and message.method == "INVITE":
            found += [message.start_line] * bool(waiting - {number})
            waiting.add(number)
        elif packet.target == SWITCH and method == "INVITE" and (message.status or 0) >= 200:
            waiting.discard(number)
    return found


def talk_together(scene, party, target):
    """Require that two are connected, and that either ends both calls."""
    assert overlapping(scene) == []
    assert (party.is_over, target.is_over) == (False, False)
    assert media_of(party.theirs) == media_of(target.mine)
    assert media_of(target.theirs) == media_of(party.mine)
    scene.hang_up(target, wait_ms=2_000)
    assert party.is_over
    assert [record.end_reason for record in scene.exchange.sink.records] == ["Normal", "Normal"]
    scene.expect_nothing_left(within_ms=0)


def joined_while_a_refresh_is_unanswered(scene):
    """Return party and target at the moment when they were connected: 200 ms after our refresh of the party."""
    call, party = scene.talk()
    party.will("INVITE", Reply(after_ms=SLOW_MS))
    scene.wire.run_for(58_200)
    refer(call)
    scene.wire.run_for(1_000)
    assert len(party.asked["INVITE"]) == 1
    scene.wire.run_for(50)
    return party, scene.vendor.calls[-1]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_side_is_offered_the_session_of_the_other_when_it_has_answered_our_refresh(is_replaced):
    """Also by another process that has only the description of the first."""
    scene = stage()
    party, target = joined_while_a_refresh_is_unanswered(scene)
    if is_replaced:
        replace_node(scene)
    scene.wire.run_for(3_000)
    assert len(party.asked["INVITE"]) == 2
    assert refused(scene) == []
    talk_together(scene, party, target)


@pytest.mark.parametrize("who", ["party", "target"])
@pytest.mark.parametrize("is_changed", [False, True])
def test_an_offer_of_a_side_meanwhile_gets_491_and_takes_nothing_away(who, is_changed):
    scene = stage()
    party, target = joined_while_a_refresh_is_unanswered(scene)
    asking = party if who == "party" else target
    if is_changed:
        asking.propose("a=sendrecv")
    else:
        asking.ask("INVITE", body=asking.mine)
    scene.wire.run_for(100)
    assert asking.got["INVITE"] == [491]
    scene.wire.run_for(5_000)
    assert refused(scene) == []
    talk_together(scene, party, target)


def test_the_second_side_is_offered_the_session_of_the_first_when_it_has_answered_our_refresh():
    """Attended transfer just when our refresh of the target was sent."""
    scene = stage()
    call, party = scene.talk()
    scene.wire.run_for(1_000)
    scene.vendor.by_number[TARGET] = answers_timed("120;refresher=uac", knows_update=False)
    other = scene.answered_call(callee=TARGET)
    target = scene.vendor.calls[-1]
    target.will("INVITE", Reply(after_ms=SLOW_MS))
    scene.wire.run_until(lambda: len(target.asked["INVITE"]) == 1)
    changed = party.mine.replace("30000", "33000").replace("o=- 1 1", "o=- 1 2")
    party.will("INVITE", Reply(200, changed, after_ms=300))
    refer(call, replacing(other))
    scene.wire.run_for(3_000)
    assert len(target.asked["INVITE"]) == 2
    assert refused(scene) == []
    talk_together(scene, party, target)


@pytest.mark.parametrize(("wait", "waits_ms"), [("3", 3_000), ("0", 0), ("600", 10_000)])
def test_a_side_that_has_another_invite_to_answer_is_asked_again_when_it_says(wait, waits_ms):
    """500 with Retry-After (RFC 3261 section 14.2), but not for longer than that section has it wait."""
    scene = stage(timed=False)
    call, party = scene.talk()
    party.will("INVITE", Reply(500, headers=(f"Retry-After: {wait}",)))
    refer(call)
    scene.wire.run_until(lambda: len(party.asked["INVITE"]) == 1)
    began = scene.exchange.clock.now().mono
    scene.wire.run_until(lambda: len(party.asked["INVITE"]) == 2)
    assert scene.exchange.clock.now().mono - began in range(waits_ms, waits_ms + 30)
    scene.wire.run_for(1_000)
    talk_together(scene, party, scene.vendor.calls[-1])


@pytest.mark.parametrize(("headers", "times"), [((), 1), (("Retry-After: 1",), 5)])
def test_a_side_that_does_not_take_the_other_session_is_not_asked_for_ever(headers, times):
    scene = stage(timed=False)
    call, party = scene.talk()
    party.will("INVITE", *[Reply(500, headers=headers)] * 9)
    refer(call)
    scene.wire.run_for(20_000)
    assert len(party.asked["INVITE"]) == times
    assert party.is_over
    assert {record.end_reason for record in scene.exchange.sink.records} == {"No Common Codec", "Normal"}


@pytest.mark.parametrize("reply", [Reply(after_ms=SLOW_MS), SILENCE], ids=["slow", "mute"])
def test_an_offer_of_the_one_who_leaves_that_was_withdrawn_has_its_final_response_first(reply):
    """Its CANCEL is answered by 487; a side that does not answer at all is lost 64*T1 after its INVITE."""
    scene = stage(timed=False)
    call, party = scene.talk()
    other = scene.answered_call(callee=TARGET)
    target = scene.vendor.calls[-1]
    scene.wire.run_for(1_000)
    party.will("INVITE", reply)
    scene.propose(call, "a=sendonly", wait_ms=100)
    refer(call, replacing(other))
    scene.wire.run_for(5_000)
    if reply is SILENCE:
        assert len({each["CSeq"] for each in party.asked["INVITE"]}) == 1
        return
    assert len(party.asked["CANCEL"]) == 1
    assert len(party.asked["INVITE"]) == 2
    assert refused(scene) == []
    talk_together(scene, party, target)


def test_a_hold_that_was_withdrawn_has_its_final_response_before_the_side_is_connected():
    """The one who consults hangs up before the party that waits has answered that it is on hold."""
    scene = keypad_scene.keypad_scene()
    scene.vendor.by_number = {keypad_scene.TARGET: answers(1_000), **scene.vendor.by_number}
    call = keypad_scene.talking(scene)
    party = scene.vendor.calls[-1]
    party.will("INVITE", Reply(after_ms=SLOW_MS))
    keypad_scene.press(scene, call, f"*2{keypad_scene.TARGET}#")
    scene.wire.run_until(lambda: len(party.asked["INVITE"]) == 1)
    target = scene.vendor.calls[-1]
    scene.wire.run_for(200)
    scene.hang_up(call, wait_ms=3_000)
    assert refused(scene) == []
    assert len(party.asked["INVITE"]) == 2
    talk_together(scene, party, target)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("reply", [Reply(after_ms=SLOW_MS), Reply(488, after_ms=SLOW_MS), SILENCE])
def test_an_update_of_the_one_who_leaves_has_its_response_before_the_target_is_offered_another_session(
    reply, is_restarted
):
    """RFC 3311 section 5.1, RFC 3264 section 8: it cannot be cancelled, and another session has a later version."""
    scene = stage(timed=False)
    scene.vendor.script = answers_timed("", knows_update=True)
    scene.vendor.by_number = {TARGET: Script((Line(100, 200, THEIRS, KNOWS_UPDATE),))}
    call, party = scene.talk(Intent(headers=KNOWS_UPDATE))
    other = scene.answered_call(
        Intent(offer=OFFER.replace("20000", "20002"), headers=KNOWS_UPDATE), callee=TARGET, talk_ms=1_000
    )
    target = scene.vendor.calls[-1]
    target.will("UPDATE", reply)
    party.will("INVITE", Reply(after_ms=2 * SLOW_MS))
    scene.propose(other, "a=sendrecv", method="UPDATE", wait_ms=10)
    refer(call, replacing(other))
    scene.wire.run_for(100)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_for(500)
    assert target.asked["INVITE"] == []
    if reply is SILENCE:
        target.theirs = target.asked["UPDATE"][0].body
        scene.wire.run_for(32_000)
    scene.wire.run_for(5_000)
    assert len(target.asked["INVITE"]) == 1
    talk_together(scene, party, target)
