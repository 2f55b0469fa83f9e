"""Messages that lay ready for a while: bills go by when they came (DESIGN D2), what we do goes by the clock."""

from vosd.testing.customer import Intent
from vosd.testing.scene import CALLEE, Scene, usual_catalogue
from vosd.testing.vendor import RINGS, SILENT, answers


def test_an_invite_that_waited_leaves_the_gateway_all_its_time():
    scene = Scene(usual_catalogue(vendors=2, terms={"response_timeout_ms": 5_000}))
    scene.vendor.script = SILENT
    scene.vendors[1].script = answers(100)
    scene.exchange.waiting_ms = 4_900
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: bool(scene.vendor.calls))
    scene.exchange.waiting_ms = 0
    began = scene.exchange.clock.now()
    scene.wire.run_until(lambda: call.final == 200)
    assert scene.exchange.clock.now().mono - began.mono > 5_000
    record = scene.finish(call)
    silent, answered = record.attempts
    assert silent.ms in range(5_000, 5_011)
    assert answered.code == 200
    assert began.wall - record.started_at in range(4_900, 4_910), "the call began when its INVITE came"


def test_an_invite_that_waited_is_repeated_at_the_usual_times():
    scene = Scene()
    scene.vendor.script = SILENT
    scene.exchange.waiting_ms = 4_900
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=3_000))
    scene.wire.run_until(lambda: bool(scene.vendor.calls))
    sent = [packet for packet in scene.wire.packets if packet.target == scene.vendor.address]
    scene.wire.run_for(400)
    assert [packet for packet in scene.wire.packets if packet.target == scene.vendor.address] == sent
    scene.wire.run_until(lambda: call.is_over)


def test_a_bye_that_waited_ends_the_call_when_it_came():
    scene = Scene()
    call, _ = scene.talk()
    scene.exchange.waiting_ms = 250
    call.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    at = scene.exchange.clock.now().wall
    record = scene.close()
    assert at - record.ended_at in range(250, 260)
    assert record.end_reason == "Normal"


def test_a_200_that_waited_is_billed_from_when_it_came():
    scene = Scene()
    scene.vendor.script = answers(1_000)
    call = scene.caller.call(CALLEE)
    scene.wire.run_for(500)
    scene.exchange.waiting_ms = 250
    scene.wire.run_until(lambda: call.final == 200)
    at = scene.exchange.clock.now().wall
    scene.exchange.waiting_ms = 0
    record = scene.finish(call)
    assert record.answered_at is not None
    assert at - record.answered_at in range(250, 260)
    assert record.hold_time_ms == record.ended_at - record.answered_at


def test_a_cancel_that_waited_ends_the_call_when_it_came():
    scene = Scene()
    scene.vendor.script = RINGS
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=3_000))
    scene.wire.run_for(2_000)
    scene.exchange.waiting_ms = 250
    scene.wire.run_until(lambda: call.is_over)
    at = scene.exchange.clock.now().wall
    assert at - scene.close().ended_at in range(250, 260)


def test_the_window_of_new_calls_goes_by_the_clock():
    """Calls that waited unequally must not turn its time back: one would count as long gone or as yet to come."""
    scene = Scene(usual_catalogue(customer={"max_cps": 2}))
    scene.vendor.script = answers(100)
    finals = []
    for waited_ms in (0, 900, 0):
        scene.exchange.waiting_ms = waited_ms
        call = scene.caller.call(CALLEE)
        scene.wire.run_for(50)
        finals.append(call)
    scene.exchange.waiting_ms = 0
    scene.wire.run_for(500)
    assert [call.final for call in finals] == [200, 200, 503]
    scene.wire.run_for(1_000)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 200
