"""Vendors that send no response: which could not be reached, which were silent, and which did not ring."""

import pytest
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import VENDORS, Scene, usual_catalogue
from doubles.virtual.vendor import RINGS, SILENT, TRIES, answers, refuses

from vosd.base.cause import EndReason
from vosd.routing.breaker import UNREACHED
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer


@pytest.fixture
def scene() -> Scene:
    """All vendors are called over TCP, and send nothing before their connection fails."""
    scene = Scene(listeners=(Listener(*SWITCH, "tcp"),))
    for vendor in scene.vendors:
        vendor.script = SILENT
    return scene


def connection_fails(scene: Scene, vendor: int) -> None:
    exchange = scene.exchange
    for event in exchange.endpoint.transport_failed(Peer(0, *VENDORS[vendor]), exchange.clock.now()):
        exchange.switch.handle(event)
    exchange.flush()


def end_of(record):
    return record.end_reason, record.hangup_source, record.sip_code, record.q850_cause


def attempts_of(record):
    return [(attempt.code, attempt.reason) for attempt in record.attempts]


def test_vendors_without_connection_are_unreachable_and_not_silent(scene):
    """RFC 3261 section 8.1.3.1: an error of the transport counts as 503, a missing response as 408."""
    call = scene.begun_call(after_ms=100)
    connection_fails(scene, 0)
    scene.wire.run_for(100)
    connection_fails(scene, 1)
    record = scene.end_of(call)
    assert end_of(record) == ("Unreachable", "switch", 503, 38)
    assert attempts_of(record) == [(0, "Unreachable"), (0, "Unreachable")]
    assert call.refusal["Reason"] == 'Q.850;cause=38;text="Unreachable"'


def test_a_vendor_that_responds_says_more_than_one_without_connection(scene):
    scene.vendors[1].script = refuses(500)
    call = scene.begun_call(after_ms=100)
    connection_fails(scene, 0)
    record = scene.end_of(call)
    assert end_of(record) == ("Unavailable", "callee", 500, 41)
    assert attempts_of(record) == [(0, "Unreachable"), (500, "Unavailable")]


def test_a_vendor_that_refuses_the_connection_is_followed_by_the_next(scene):
    scene.vendors[1].script = answers()
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=100)
    connection_fails(scene, 0)
    scene.wire.run_until(lambda: call.is_over)
    assert attempts_of(scene.close()) == [(0, "Unreachable"), (200, "Answered")]


def test_an_address_without_connection_rests_after_three_calls(scene):
    scene.vendors[1].script = answers()
    for _ in range(3):
        call = scene.begun_call(Intent(hang_up_after_ms=100), after_ms=100)
        connection_fails(scene, 0)
        scene.wire.run_until(lambda call=call: call.is_over)
    call = scene.whole_call(Intent(hang_up_after_ms=100))
    assert attempts_of(scene.exchange.sink.records[-1]) == [(200, "Answered")]
    breakers = scene.exchange.switch.live.breakers
    assert [breakers.reason(place) for place in breakers.failing] == [UNREACHED]


@pytest.mark.parametrize(("script", "status", "cause"), [(SILENT, 408, 102), (TRIES, 480, 18), (RINGS, 480, 19)])
def test_only_a_party_that_was_alerted_gives_no_answer_from_user(script, status, cause):
    scene = Scene(usual_catalogue(vendors=1, terms={"ring_timeout_ms": 10_000}))
    call = scene.whole_call(script=script)
    record = scene.close()
    assert end_of(record) == (EndReason.NO_ANSWER.text, "switch", status, cause)
    assert call.refusal["Reason"] == f'Q.850;cause={cause};text="No Answer"'
    told = [cancel["Reason"] for cancel in scene.vendor.received("CANCEL")]
    assert told == ([] if script is SILENT else [f'Q.850;cause={cause};text="No Answer"'])
