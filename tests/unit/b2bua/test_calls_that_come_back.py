"""A call that a vendor sends back to us is not sent there again (ADR 211)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, TRIES, answers

from vosd.trunks.gateways import Address
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

CALLER = "12025550100"
OTHER_PLACE = OFFER.replace("20000", "20002")
PARTNER = Endpoint(VENDORS[0].host, 5090)
"""A vendor that is a customer, too, and calls from another port."""


def scene_of(*vendors: int, **terms: object) -> Scene:
    gateways = [vendor_gateway(index, **terms) for index in vendors]
    partner = mapping_gateway("partner", f"{PARTNER.host}/32", account="acme")
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), partner, *gateways]))


def called_back(scene: Scene, **intent: str):
    """Let a customer call, and the vendor that gets the call send it back; return both calls."""
    scene.vendor.script = TRIES
    first = scene.caller.call(CALLEE, Intent(caller=CALLER))
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 1)
    back = scene.exchange.caller(PARTNER).call(CALLEE, Intent(**{"caller": CALLER, **intent}))
    scene.wire.run_for(500)
    return first, back


def end(scene: Scene, *calls) -> list:
    for call in calls:
        if not call.is_over:
            call.cancel()
    scene.wire.run_until(lambda: all(each.is_over for each in calls))
    assert scene.exchange.leftovers() == {}
    assert scene.exchange.residue() == {}
    return scene.exchange.sink.records


def test_a_call_that_comes_back_is_a_loop_where_no_other_gateway_is_left():
    scene = scene_of(0)
    first, back = called_back(scene)
    assert (back.final, len(scene.vendor.calls)) == (482, 1)
    assert "Reason: Q.850;cause=25" in scene.bytes_to(PARTNER).decode()
    records = end(scene, first, back)
    assert [each.end_reason for each in records] == ["Loop", "Cancelled"]


def test_a_call_whose_media_are_relayed_comes_back_with_our_port():
    partner = mapping_gateway("partner", f"{PARTNER.host}/32", account="acme")
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), partner, vendor_gateway(0)]
    relayed = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = Scene(catalogue(known, media=relayed), relay=VirtualRelay())
    scene.vendor.script = TRIES
    first = scene.caller.call(CALLEE, Intent(caller=CALLER))
    scene.wire.run_until(lambda: len(scene.vendor.calls) == 1)
    offered = scene.vendor.only_call.theirs
    assert offered != OFFER
    back = scene.exchange.caller(PARTNER).call(CALLEE, Intent(caller=CALLER, offer=offered))
    scene.wire.run_for(500)
    assert (back.final, len(scene.vendor.calls)) == (482, 1)
    end(scene, first, back)


def test_a_service_that_sends_calls_back_for_another_vendor_gets_them_through():
    scene = scene_of(0, 1)
    scene.vendors[1].script = answers()
    first, back = called_back(scene)
    scene.wire.run_until(lambda: back.final is not None)
    assert (back.final, len(scene.vendor.calls), len(scene.vendors[1].calls)) == (200, 1, 1)
    back.hang_up()
    end(scene, first, back)


@pytest.mark.parametrize("intent", [{"offer": OTHER_PLACE}, {"caller": "12025550199"}, {"offer": ""}])
def test_another_call_to_the_same_number_goes_there(intent):
    """Persons of a PBX show one number, and may call one number of that PBX at a time."""
    scene = scene_of(0)
    first, second = called_back(scene, **intent)
    assert (second.final, len(scene.vendor.calls)) == (None, 2)
    end(scene, first, second)


def test_a_call_of_a_pbx_that_is_called_by_the_same_number_itself_goes_there_at_each_of_its_addresses():
    places = tuple(Address(VENDORS[0].host, port) for port in (5070, VENDORS[0].port))
    scene = scene_of(0, addresses=places, response_timeout_ms=200)
    scene.vendor.script = TRIES
    call = scene.exchange.caller(PARTNER).call(CALLEE, Intent(caller=CALLER))
    scene.wire.run_for(500)
    assert (call.final, len(scene.vendor.calls)) == (None, 1)
    end(scene, call)


def test_a_call_is_none_that_comes_back_once_the_first_is_over():
    scene = scene_of(0)
    first, back = called_back(scene)
    end(scene, first, back)
    later = scene.exchange.caller(Endpoint(PARTNER.host, 5091)).call(CALLEE, Intent(caller=CALLER))
    scene.wire.run_for(500)
    assert (later.final, len(scene.vendor.calls)) == (None, 2)
    end(scene, later)


@pytest.mark.parametrize("script", [answers(0), RINGS])
def test_the_calls_that_are_not_answered_are_forgotten_at_the_answer_or_the_end(script):
    scene = scene_of(0)
    scene.vendor.script = script
    call = scene.caller.call(CALLEE, Intent(caller=CALLER))
    scene.wire.run_for(500)
    running = scene.exchange.switch.services.running
    assert bool(running.unanswered) is (call.final is None)
    call.hang_up() if call.final == 200 else call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    assert running.unanswered == {}
    scene.close()
