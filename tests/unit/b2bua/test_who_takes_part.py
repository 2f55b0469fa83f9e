"""A change of who takes part in a call is written in the same turn, and ends a change of the session in progress."""

import pytest
from doubles.keypad_scene import TARGET, keypad_scene, press, talking as telephoning
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene
from doubles.virtual.side import SILENCE
from doubles.virtual.vendor import RINGS, answers

ANYWHERE = "192.0.2.1"


def refer(call, to):
    call.ask("REFER", headers=[f"Refer-To: {to}"])


def blind(call):
    refer(call, f"<sip:{TARGET}@{ANYWHERE}>")


def attended(call, other):
    refer(call, f"<sip:{TARGET}@{ANYWHERE}?Replaces={other.replaces_in_uri}>")


def replacing(call):
    return Intent(headers=(f"Replaces: {call.replaces}",))


def written_at_once(scene, run_ms=200):
    """Return how many calls are written at once in a while that begins now."""
    scene.exchange.sink.hurried.clear()
    scene.wire.run_for(run_ms)
    return len(scene.exchange.sink.hurried)


# -- written in the same turn -------------------------------------------------------------------------------------


def test_a_leg_that_is_replaced_is_written_at_once():
    scene = Scene()
    call, party = scene.talk()
    pickup = scene.caller.call(CALLEE, replacing(call))
    assert written_at_once(scene, 1_000) == 1
    assert call.is_over
    party.hang_up()
    scene.end_of(pickup)


def test_a_transferor_that_leaves_and_a_target_that_is_connected_are_written_at_once():
    scene = Scene()
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call, party = scene.talk()
    blind(call)
    scene.wire.run_for(200)
    call.hang_up()
    assert written_at_once(scene) == 1
    assert written_at_once(scene, 1_000) == 2
    scene.expect_nothing_left(party)


def test_a_transfer_to_a_call_that_was_there_is_written_at_once():
    scene = Scene()
    call, party = scene.talk()
    other, _ = scene.talk()
    attended(call, other)
    assert written_at_once(scene) == 2
    scene.expect_nothing_left(party)


def test_a_transferor_that_leaves_by_its_key_is_written_at_once():
    scene = keypad_scene()
    scene.vendor.by_number = {TARGET: RINGS}
    call = telephoning(scene)
    press(scene, call, f"*1{TARGET}#*")
    call.ask("INFO", body="Signal=9\r\nDuration=160\r\n", kind="application/dtmf-relay")
    assert written_at_once(scene) == 1
    assert call.is_over
    scene.expect_nothing_left(scene.vendor.calls[0])


@pytest.mark.parametrize("end", ["returns", "leaves"])
def test_a_consultation_and_its_end_are_written_at_once(end):
    scene = keypad_scene()
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = telephoning(scene)
    press(scene, call, f"*2{TARGET}#", every_ms=50)
    assert written_at_once(scene, 1_500) == 2
    press(scene, call, "*")
    key = "0" if end == "returns" else "9"
    call.ask("INFO", body=f"Signal={key}\r\nDuration=160\r\n", kind="application/dtmf-relay")
    assert written_at_once(scene) == (1 if end == "returns" else 2)
    scene.expect_nothing_left(scene.vendor.calls[0])


# -- a change of the session that is in progress ------------------------------------------------------------------


def test_an_offer_to_the_transferor_is_given_up_when_the_target_is_connected_with_it():
    scene = keypad_scene()
    scene.vendor.by_number = {TARGET: answers(1_000)}
    call = telephoning(scene)
    (party,) = scene.vendor.calls
    call.will("INVITE", SILENCE)
    press(scene, call, f"*2{TARGET}#", every_ms=50)
    scene.propose(party, "a=sendonly")
    assert party.got["INVITE"] == [487]
    scene.hang_up(call, wait_ms=500)
    scene.expect_nothing_left(party)


def test_an_offer_to_a_transferor_that_leaves_by_its_key_is_given_up():
    scene = keypad_scene()
    scene.vendor.by_number = {TARGET: RINGS}
    call = telephoning(scene)
    (party,) = scene.vendor.calls
    press(scene, call, f"*1{TARGET}#*")
    call.will("INVITE", SILENCE)
    scene.propose(party, "a=sendonly", wait_ms=100)
    press(scene, call, "9")
    assert party.got["INVITE"] == [487]
    scene.expect_nothing_left(party)


def test_an_offer_in_the_call_to_the_target_is_given_up_when_the_transferor_leaves_it():
    scene = Scene()
    call, party = scene.talk()
    other, target = scene.talk()
    other.will("INVITE", SILENCE)
    scene.propose(target, "a=sendonly", wait_ms=100)
    attended(call, other)
    scene.wire.run_for(1_000)
    assert target.got["INVITE"] == [487]
    assert scene.bytes_to(CUSTOMER).count(b"BYE sip:") == 2
    scene.expect_nothing_left(party)
