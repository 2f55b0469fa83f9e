"""Calls to classes of destinations that are watched go on in the next process, which counts them again (ADR 75)."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from doubles.asking_steps import Located
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.successor import replace_node
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import answers
from doubles.waiting_scene import WaitingScene

from vosd.billing.destinations import DestinationClass, DestinationLimit
from vosd.callcontrol.admission import Admission
from vosd.daemon.fraud import SwitchUnderWatch
from vosd.engine.calls.saved import SavedSwitch
from vosd.routing.special_numbers import SpecialNumbers

RINGS_MS = 1_000


def watched(free=(), **terms):
    """Return a catalogue whose customer has a limit for calls to 44."""
    terms = terms or {"destination_limits": (DestinationLimit("uk"),), "new_destination_alarm": True}
    return catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        accounts=[account("acme", **terms)],
        destination_classes=(DestinationClass("uk", ("44",)),),
        special_numbers=SpecialNumbers(free=free),
    )


def ticks(scene):
    """Let the watch of the switch count the calls that it does not count yet; return its use."""
    exchange = scene.exchange
    asyncio.run(SwitchUnderWatch(SimpleNamespace(switch=exchange.switch)).attach(exchange.clock.now()))
    return exchange.switch.live.destinations.of("acme", "uk", exchange.clock.now().wall)


def test_calls_are_watched_for_a_limit_or_an_alarm_but_to_free_numbers():
    terms = {"destination_limits": (DestinationLimit("uk"),)}, {"new_destination_alarm": True}
    for content, is_watched in (*((watched(**each), True) for each in terms), (watched(("44*",)), False)):
        scene = Scene(content)
        scene.begun_call(script=answers(), after_ms=500)
        (live_call,) = scene.exchange.switch.calls()
        assert (live_call.call_request.watched is not None) is is_watched


@pytest.mark.parametrize("is_answered", [True, False], ids=["talking", "ringing"])
def test_a_watched_call_is_kept_over_a_stop_and_counted_once(is_answered):
    scene = Scene(watched())
    call = scene.begun_call(script=answers(RINGS_MS), after_ms=RINGS_MS + 500 if is_answered else RINGS_MS - 500)
    kept = scene.exchange.switch.continuation.keep()
    assert kept.left == []
    assert len(kept.answered if is_answered else kept.others) == 1
    replace_node(scene)
    use = ticks(scene)
    assert use.running == is_answered
    scene.await_answer(call, talk_ms=1_000)
    assert (ticks(scene).running, use.running, use.held > 0) == (1, 1, True)
    assert scene.finish(call).end_reason == "Normal"
    assert (use.running, use.held) == (0, 0)


def test_a_watched_call_that_has_changed_goes_on_after_a_kill(tmp_path):
    scene = KilledScene(tmp_path, watched())
    call, _ = scene.talk(script=answers())
    scene.propose(call, "a=sendonly", wait_ms=2_000)
    [live_call] = scene.exchange.switch.calls()
    assert scene.exchange.switch.continuation.describe(live_call.call_id).saved
    scene.kill(then_ms=2_000)
    assert scene.lost == []
    use = ticks(scene)
    assert use.running == 1
    assert scene.finish(call).end_reason == "Normal"
    assert (use.running, use.held) == (0, 0)


def test_a_watched_call_whose_set_up_waits_for_an_answer_is_counted_by_the_next_process():
    waiting = WaitingScene(watched())
    waiting.vendor.script = answers()
    call = waiting.call()
    waiting.asker.asked.clear()  # it is asked again
    replace_node(waiting)
    use = ticks(waiting)
    waiting.answer(Located(CALLEE))
    waiting.wire.run_until(lambda: call.final == 200)
    assert use.running == 1
    assert waiting.finish(call).end_reason == "Normal"
    assert use.running == 0


def test_a_call_that_has_not_come_to_its_account_is_counted_once():
    waiting = WaitingScene(watched(), before=Admission.check_account)
    call = waiting.call()
    use = ticks(waiting)
    waiting.answer(Located(CALLEE))
    waiting.wire.run_until(lambda: call.final == 200)
    assert use.running == 1
    assert waiting.finish(call).end_reason == "Normal"
    assert use.running == 0


def test_what_a_description_does_not_know_is_no_silent_loss():
    scene = Scene(watched())
    call, _ = scene.talk()
    [live_call] = scene.exchange.switch.calls()
    live_call.call_request.taken.append(SimpleNamespace(give_back=lambda: None))
    saved, left = SavedSwitch.of(scene.exchange.endpoint, scene.exchange.switch.services)
    assert (saved.calls, left) == ((), [live_call.call])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(saved), type=SavedSwitch) == saved
    scene.finish(call)
