"""A stop that keeps the calls, and the start behind it: they go on exactly, whatever has become of one of them."""

import pytest
from doubles.killed import KilledScene

from vosd.testing.data.builders import catalogue, mapping_gateway
from vosd.testing.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from vosd.testing.virtual.vendor import TRIES, Line, Script, answers, refuses

TRUNK = mapping_gateway("acme", f"{CUSTOMER.host}/32")


RINGS_AND_ANSWERS = Script((Line(0, 180), Line(6_000, 200)))
RINGS_AND_REFUSES = Script((Line(0, 180), Line(6_000, 480)))


def content_of(*vendors):
    """Return a catalogue with these of the vendors."""
    return catalogue([TRUNK, *(vendor_gateway(each) for each in vendors)])


def states(scene):
    """Return the states of the live calls, and the gateways that they are at."""
    return [(each.call.state.name, each.call.callee.choice.gateway.name) for each in scene.exchange.switch.calls()]


def begin(tmp_path, *scripts):
    """Return a switch with a call in talk and one that rings, both at the second vendor."""
    scene = KilledScene(tmp_path, content_of(0, 1, 2))
    for vendor, script in zip(scene.vendors, scripts, strict=True):
        vendor.script = script
    scene.vendors[1].script = answers()
    talking = scene.caller.call(CALLEE)
    scene.wire.run_for(2_000)
    scene.vendors[1].script = scripts[1]
    ringing = scene.caller.call(CALLEE)
    scene.wire.run_for(2_000)
    assert states(scene) == [("TALKING", "vendor-1"), ("RINGING", "vendor-1")]
    return scene, talking, ringing


def restart(scene, content):
    """Stop the switch and start it with another file; its calls are as they were."""
    before = states(scene)
    scene.content = content
    scene.stop_and_keep()
    scene.wire.run_for(1_000)
    assert states(scene) == before
    assert scene.lost == []


@pytest.mark.parametrize("left", [(0, 1, 2), (1, 2), (0, 1), (1,)], ids=str)
def test_gateways_that_have_refused_a_call_or_would_be_next_may_leave_the_file(tmp_path, left):
    scene, talking, ringing = begin(tmp_path, refuses(480), RINGS_AND_ANSWERS, answers())
    restart(scene, content_of(*left))
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == 200
    for call in (talking, ringing):
        call.hang_up()
    scene.wire.run_for(1_000)
    assert [record.end_reason for record in scene.sink.records] == ["Normal", "Normal"]


@pytest.mark.parametrize(("left", "final"), [((1, 2), 200), ((1,), 480)])
def test_the_search_goes_on_with_the_gateways_that_are_left(tmp_path, left, final):
    scene, _, ringing = begin(tmp_path, refuses(480), RINGS_AND_REFUSES, answers())
    restart(scene, content_of(*left))
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == final


@pytest.mark.parametrize(("left", "final"), [((0, 1, 2), 200), ((0, 1), 480), ((1,), 480)])
def test_a_protected_gateway_that_comes_next_may_leave_the_file(tmp_path, left, final):
    """It is among the next hops, beside the gateway that is tried."""
    scene = KilledScene(tmp_path, content_of(0, 1, 2))
    protected = [vendor_gateway(0), *(vendor_gateway(each, protect_ms=1_000) for each in (1, 2))]
    scene.exchange.swap_catalogue(catalogue([TRUNK, *protected]))
    for vendor, script in zip(scene.vendors, (TRIES, RINGS_AND_REFUSES, answers()), strict=True):
        vendor.script = script
    ringing = scene.caller.call(CALLEE)
    scene.wire.run_for(2_000)
    assert states(scene) == [("RINGING", "vendor-1")]
    restart(scene, catalogue([TRUNK, *(protected[each] for each in left)]))
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == final
