"""A call has one timer: it is set for the next of its deadlines, and set again where that was moved to a later time."""

import pytest
from doubles.sockets.peer import ANSWER
from doubles.timed_scene import TimedScene
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, Scene, usual_catalogue
from doubles.virtual.vendor import RINGS, Line, Script


def live_call_of(scene):
    (live_call,) = scene.exchange.switch.calls()
    return live_call


def timers_of(scene):
    return scene.exchange.switch.census()["timers"]


def test_a_call_that_refreshes_both_sessions_has_one_timer():
    scene = TimedScene()
    call, there = scene.answered()
    scene.run(100)
    assert timers_of(scene) == 1
    scene.run(1_000)
    assert timers_of(scene) == 1
    assert (len(call.asked["UPDATE"]), len(there.asked["UPDATE"])) == (3, 3)


def test_the_timer_of_the_first_response_is_set_again_when_it_fires():
    scene = Scene(usual_catalogue(terms={"response_timeout_ms": 4_000, "ring_timeout_ms": 30_000}))
    scene.vendor.script = RINGS
    scene.caller.call(CALLEE)
    scene.wire.run_for(100)
    live_call = live_call_of(scene)
    first = live_call.timer
    scene.wire.run_for(3_800)
    assert live_call.timer is first
    scene.wire.run_for(300)
    assert live_call.timer is not first
    assert live_call.call.state.name == "RINGING"
    scene.wire.run_for(25_000)
    assert live_call.call.state.name == "RINGING"
    scene.wire.run_for(2_000)
    assert scene.record.end_reason == "No Answer"
    assert scene.record.ended_at - scene.record.started_at in range(30_000, 30_100)


@pytest.mark.parametrize("earlier_ms", [0, 1, 500])
def test_a_deadline_that_is_moved_to_an_earlier_time_is_met(earlier_ms):
    scene = Scene()
    scene.answered_call()
    live_call, clock = live_call_of(scene), scene.exchange.clock
    ends_ms = live_call.due_ms
    reached = []
    live_call.call = Noted(clock, reached)
    live_call.set_deadline(ends_ms - earlier_ms)
    scene.wire.run_for(ends_ms - clock.now().mono + 100)
    assert len(reached) == 1
    assert reached[0] in range(ends_ms - earlier_ms, ends_ms - earlier_ms + 10)


class Noted:
    """A call that notes when its deadline is reached."""

    def __init__(self, clock, reached):
        self.clock = clock
        self.reached = reached

    def deadline_due(self, now):
        self.reached.append(self.clock.now().mono)


def test_a_vendor_is_refreshed_while_the_answer_waits_for_a_prack():
    scene = TimedScene(vendor={"ttl_s": 90, "segment": 9})
    intent = Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE), pracks=False)
    timed = ("Supported: timer", "Session-Expires: 90;refresher=uac", *KNOWS_UPDATE)
    script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER, timed)))
    scene.vendor.script = script
    scene.caller.call(CALLEE, intent)
    scene.run(25)
    assert live_call_of(scene).call.state.name == "ANSWERED"
    assert len(scene.vendor.only_call.asked["UPDATE"]) == 2
    scene.run(10)
    assert scene.record.end_reason == "Unavailable"
