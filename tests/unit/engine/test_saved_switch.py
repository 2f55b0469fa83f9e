"""Which calls a switch can describe as data, and what the switch that restores them must have."""

import pytest
from doubles.waiting_scene import WaitingScene

from vosd.b2bua.states import CallState
from vosd.engine.node import Node
from vosd.engine.settings import TraceSettings
from vosd.sip.settings import SipSettings
from vosd.testing.virtual.scene import CALLEE, Scene, usual_catalogue
from vosd.testing.virtual.vendor import RINGS


def another_node(exchange, content):
    listeners = exchange.endpoint.flows.listeners
    return Node("sw1", SipSettings(), TraceSettings(), listeners, content, exchange.surroundings)


def test_a_call_whose_set_up_waits_for_an_answer_cannot_be_described():
    waiting = WaitingScene()
    waiting.call()
    saved, left = waiting.exchange.switch.snapshot()
    assert saved.calls == ()
    assert [call.state for call in left] == [CallState.SETUP]


def test_describing_a_call_changes_nothing_about_it():
    scene = Scene()
    scene.vendor.script = RINGS
    scene.caller.call(CALLEE)
    scene.wire.run_for(1_000)
    switch = scene.exchange.switch
    assert switch.snapshot() == switch.snapshot()
    scene.wire.run_for(120_000)
    assert scene.record.end_reason == "No Answer"


def test_a_call_is_not_restored_without_its_gateway():
    scene = Scene()
    call, _ = scene.talk()
    saved, _ = scene.exchange.switch.snapshot()
    with pytest.raises(KeyError, match="vendor-0"):
        another_node(scene.exchange, usual_catalogue(vendors=0)).switch.restore(saved)
    scene.finish(call)


def test_a_restored_call_occupies_what_it_did():
    scene = Scene()
    call, _ = scene.talk()
    exchange = scene.exchange
    saved, _ = exchange.switch.snapshot()
    reserved, places = exchange.credits["acme"].reserved, exchange.switch.live.occupancy.total()
    exchange.credits["acme"] = exchange.credits["acme"].snapshot().restored()
    exchange.take_node(another_node(exchange, exchange.switch.catalogue))
    exchange.switch.restore(saved)
    assert (exchange.credits["acme"].reserved, exchange.switch.live.occupancy.total()) == (reserved, places)
    assert scene.finish(call).end_reason == "Normal"
