"""Requests within early dialogs: keys for announcements, and questions of either side, before any 2xx.

A 18x with a To tag makes an early dialog, whether it is sent reliably or not (RFC 3261 section 12.1).
"""

import pytest
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, TRIES, Line, Script, refuses

KEY = "Signal=5\r\nDuration=160\r\n"
RELAY = "application/dtmf-relay"
UNRELIABLY = Script((Line(0, 100), Line(0, 183, ANSWER), Line(5_000, 200, ANSWER)))
RELIABLY = Script((Line(0, 100), Line(0, 183, ANSWER, (), True), Line(5_000, 200)))

both_sides = pytest.mark.parametrize("side", ["caller", "callee"])
both_scripts = pytest.mark.parametrize("script", [UNRELIABLY, RELIABLY], ids=["unreliable", "reliable"])


def ringing(scene, script=UNRELIABLY, intent=Intent(headers=SUPPORTS_100REL)):  # noqa: B008 - frozen
    """Make a call that rings; return both ends, which know each other's tags."""
    call = scene.begun_call(intent, script=script, after_ms=100)
    rings = next(each for each in call.responses if 180 <= each.status < 190)
    call.remote, call.target = rings["To"], rings.target
    return call, scene.vendor.calls[0]


def finish(scene, call):
    scene.await_answer(call, talk_ms=100)
    return scene.finish(call)


@both_sides
@both_scripts
def test_a_key_before_the_answer_is_forwarded(scene, side, script):
    ends = ringing(scene, script)
    asking, asked = ends if side == "caller" else ends[::-1]
    for _ in range(2):
        asking.ask("INFO", body=KEY, kind=RELAY)
        scene.wire.run_for(100)
    assert [info.body for info in asked.asked["INFO"]] == [KEY, KEY]
    assert asking.got["INFO"] == [200, 200]
    assert finish(scene, ends[0]).end_reason == "Normal"


@pytest.mark.parametrize("said", [415, 481])
def test_a_vendor_that_takes_no_keys_before_the_answer_loses_no_call(scene, said):
    call, there = ringing(scene)
    there.will("INFO", Reply(said))
    call.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(100)
    assert call.got["INFO"][0] >= 400
    assert finish(scene, call).end_reason == "Normal"


@both_sides
def test_keys_while_the_200_waits_for_a_prack_are_forwarded_in_their_order(scene, side):
    """The vendor has answered, its 200 has its ACK, and the caller has an early dialog."""
    script = Script((Line(0, 100), Line(0, 183, ANSWER), Line(500, 200, ANSWER)))
    call, there = ringing(scene, script, Intent(headers=SUPPORTS_100REL, pracks=False))
    scene.wire.run_until(lambda: there.acks)
    asking, asked = (call, there) if side == "caller" else (there, call)
    for key in "12":
        asking.ask("INFO", body=KEY.replace("5", key), kind=RELAY)
        scene.wire.run_for(100)
    assert [info.body[7] for info in asked.asked["INFO"]] == ["1", "2"]
    assert asking.got["INFO"] == [200, 200]
    reliable = call.response(183)
    call.ask("PRACK", headers=(f"RAck: {reliable['RSeq']} {reliable['CSeq']}",))
    assert finish(scene, call).end_reason == "Normal"


@both_sides
def test_keys_while_the_answer_of_the_caller_is_missing_are_forwarded(scene, side):
    """The offer was the vendor's, and the ACK of our 200 has the answer: the ACK of the vendor's 200 waits for it."""
    scene.vendor.script = Script((Line(0, 180), Line(0, 200, ANSWER)))
    call = scene.answered_call(Intent(offer="", acknowledges=False))
    there = scene.vendor.only_call
    asking, asked = (call, there) if side == "caller" else (there, call)
    asking.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(100)
    assert [info.body for info in asked.asked["INFO"]] == [KEY]
    assert asking.got["INFO"] == [200]
    assert there.acks == []
    call.acknowledge()
    assert finish(scene, call).end_reason == "Normal"
    assert len(there.acks) == 1


def test_a_key_before_the_vendor_rings_has_no_dialog_to_go_to(scene):
    call = scene.begun_call(script=TRIES, after_ms=100)
    there = scene.vendor.only_call
    there.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(100)
    assert there.got["INFO"] == [481]
    call.cancel()
    scene.end_of(call)


@both_scripts
@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("UPDATE", 200), ("INFO", 200), ("REFER", 403), ("MESSAGE", 405)]
)
def test_questions_of_a_ringing_vendor_are_answered_in_its_dialog(scene, script, method, status):
    call, there = ringing(scene, script)
    there.ask(method, headers=("Refer-To: <sip:1@192.0.2.1>",) if method == "REFER" else ())
    scene.wire.run_for(100)
    assert there.got[method] == [status]
    assert finish(scene, call).end_reason == "Normal"


def test_an_offer_of_a_vendor_waits_until_offer_and_answer_are_complete(scene):
    """RFC 3311 section 5.2: 491. An unreliable answer may be lost, so it completes nothing before the 2xx."""
    call, there = ringing(scene)
    there.ask("UPDATE", body=ANSWER)
    scene.wire.run_for(100)
    assert there.got["UPDATE"] == [491]
    assert finish(scene, call).end_reason == "Normal"


def test_each_fork_has_a_dialog_of_its_own_and_keys_go_to_the_one_that_speaks(scene):
    second = Script((Line(50, 183, ANSWER), Line(5_000, 200, ANSWER)))
    script = Script((Line(0, 100), Line(0, 180)), forks=(second,))
    call, first = ringing(scene, script)
    speaking = scene.vendor.calls[1]
    for fork in (first, speaking):
        fork.ask("OPTIONS")
        fork.ask("UPDATE")
    scene.wire.run_for(100)
    assert [fork.got for fork in (first, speaking)] == [{"OPTIONS": [200], "UPDATE": [200]}] * 2
    call.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(100)
    assert (len(first.asked["INFO"]), len(speaking.asked["INFO"])) == (0, 1)
    first.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(100)
    assert first.got["INFO"] == [491]
    scene.wire.run_until(lambda: call.final == 200)
    first.over()
    scene.wire.run_for(100)
    assert scene.finish(call).end_reason == "Normal"


def test_the_requests_of_an_early_dialog_count_in_the_call(scene):
    """RFC 3261 section 12.2.1.1: an INFO and the BYE after it have growing numbers in one dialog."""
    call, _ = ringing(scene)
    call.ask("INFO", body=KEY, kind=RELAY)
    scene.await_answer(call, talk_ms=100)
    scene.finish(call)
    numbers = [int(each["CSeq"].split()[0]) for method in ("INFO", "BYE") for each in scene.vendor.received(method)]
    assert numbers == sorted(set(numbers))


def test_a_key_that_waits_when_the_vendor_refuses_is_answered(scene):
    scene.vendors[1].script = refuses(486)
    call, there = ringing(scene, Script((Line(0, 100), Line(0, 180), Line(300, 503))))
    there.will("INFO", Reply(0))
    call.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(40_000)
    assert call.got["INFO"][0] >= 400
    assert scene.close().end_reason == "Busy"


def test_the_early_dialogs_of_a_vendor_end_with_its_attempt(scene):
    scene.vendors[1].script = RINGS
    call, there = ringing(scene, Script((Line(0, 100), Line(0, 180), Line(300, 503))))
    scene.wire.run_for(1_000)
    there.ask("OPTIONS")
    scene.wire.run_for(100)
    assert there.got["OPTIONS"] == [481]
    call.cancel()
    scene.end_of(call)
