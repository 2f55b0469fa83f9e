"""What a call costs whose peer vanished: until that was noticed, or until the latest proof of life."""

import json

import pytest
from doubles.data.builders import applied_rate
from doubles.timed_scene import TimedScene
from doubles.virtual.vendor import answers

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.session_timer import Probe
from vosd.billing.rater import rate_call


def scene_of(billing, *, probe=Probe.NONE, **switch):
    return TimedScene({"probe": probe}, {"probe": probe}, parameters={"dead_call_billing": billing}, **switch)


def end(scene):
    """Return how long the call was, in seconds, and how its record names that."""
    scene.wire.run_until(lambda: scene.exchange.sink.records, within_ms=10**9)
    assert scene.exchange.residue() == {}
    record = scene.record
    assert record.end_reason == "Session Timeout"
    assert record.fee == rate_call(applied_rate(), record.hold_time_ms).total
    assert record.ended_at == record.answered_at + record.hold_time_ms
    assert -record.fee == scene.exchange.statement("acme") == scene.exchange.credits["acme"].unbooked
    said = json.loads(record.fee_breakdown)
    return record.hold_time_ms / 1_000, said["dead_call_billing"], said["noticed_at"]


@pytest.mark.parametrize(("billing", "length_s"), [(DeadCallBilling.DETECTION, 900), (DeadCallBilling.PROOF, 300)])
def test_a_call_with_two_dead_peers(billing, length_s):
    scene = scene_of(billing)
    sides = scene.answered()
    scene.run(400)
    for side in sides:
        side.gone = 0
    answered_at = scene.exchange.sink.open[next(iter(scene.exchange.sink.open))].record.answered_at
    length, named, noticed = end(scene)
    assert (length, named) == (length_s, billing.value)
    assert scene.record.answered_at == answered_at
    assert noticed.startswith("20")


def test_the_record_has_the_time_of_detection():
    noticed = {}
    for billing in DeadCallBilling:
        scene = scene_of(billing)
        scene.answered()[0].gone = 0
        *_, noticed[billing] = end(scene)
    assert len(set(noticed.values())) == 1


@pytest.mark.parametrize("which", ["caller", "callee"])
def test_one_live_leg_is_enough(which):
    scene = scene_of(DeadCallBilling.PROOF)
    call, there = scene.answered()
    scene.run(400)
    dead, alive = (call, there) if which == "caller" else (there, call)
    dead.gone = 0
    scene.run(100)
    alive.ask("OPTIONS")
    length, *_ = end(scene)
    assert length == 600  # it has answered the refresh at that second


def test_a_pressed_key_counts_as_proof_of_life():
    scene = scene_of(DeadCallBilling.PROOF)
    call, there = scene.answered()
    scene.run(310)
    call.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay")
    scene.run(1)
    call.gone = there.gone = 0
    assert end(scene)[0] == 310


def test_refusals_are_proof_of_life_except_those_of_a_missing_call():
    lengths = {}
    for status in (488, 500, 408, 503, 0):
        scene = scene_of(DeadCallBilling.PROOF)
        call, there = scene.answered()
        scene.run(301)
        call.gone = there.gone = status
        lengths[status] = end(scene)[0]
    assert lengths[408] == lengths[503] == lengths[0] == 300
    assert 850 < lengths[488] <= 900
    assert 850 < lengths[500] <= 900


@pytest.mark.parametrize(("billing", "length_s"), [(DeadCallBilling.DETECTION, 600), (DeadCallBilling.PROOF, 300)])
def test_a_peer_that_has_forgotten_the_call(billing, length_s):
    scene = scene_of(billing)
    call, there = scene.answered()
    scene.run(400)
    call.gone = 481
    there.gone = 0
    assert end(scene)[:2] == (length_s, billing.value)


def test_no_charge_is_negative():
    scene = scene_of(DeadCallBilling.PROOF)
    call, there = scene.answered()
    call.gone = there.gone = 0
    assert end(scene)[0] == 0
    assert scene.record.fee == 0


@pytest.mark.parametrize("lateness_ms", [0, 2_500])
def test_an_answered_probe_is_proof_of_life(lateness_ms):
    scene = scene_of(DeadCallBilling.PROOF, probe=Probe.OPTIONS, lateness_ms=lateness_ms)
    call, there = scene.answered(None, answers())
    scene.run(1_000)
    call.gone = there.gone = 0
    length, *_ = end(scene)
    assert 900 <= length <= 900 + 3 * lateness_ms / 1_000


@pytest.mark.parametrize("billing", list(DeadCallBilling))
def test_a_call_that_was_hung_up_is_billed_as_ever(billing):
    scene = scene_of(billing)
    call, _ = scene.answered()
    scene.run(400)
    call.hang_up()
    scene.run(1)
    assert scene.record.hold_time_ms == 400_000
    assert "dead_call_billing" not in scene.record.fee_breakdown


def test_a_side_that_does_not_answer_a_proposal_is_dead_too():
    scene = scene_of(DeadCallBilling.PROOF)
    call, there = scene.answered()
    scene.run(100)
    there.gone = 0
    call.propose("a=sendonly")
    length, named, _ = end(scene)
    assert (length, named) == (100, "proof")


@pytest.mark.parametrize("lateness_ms", [0, 700, 2_500])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_silence_is_noticed_when_its_time_is_over_and_not_later(lateness_ms, method):
    scene = scene_of(DeadCallBilling.DETECTION, lateness_ms=lateness_ms)
    call, there = scene.answered()
    scene.run(100)
    there.gone = 0
    call.propose("a=sendonly", method=method)
    assert end(scene)[0] == 132
