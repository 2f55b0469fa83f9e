"""Vendors that answer behind a kill of a call that is not charged while it rings: each answer is paid once."""

import pytest
from doubles.announcing import scene_with
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.vendor import ANSWER, Line, Script

RINGS_ON = Script((Line(0, 180),), accepts_cancel=False)


def ringing(directory):
    """Return a call that rings at the second of two vendors; the first one has not accepted its CANCEL."""
    terms = {"ring_timeout_ms": 5_000, "failover_after_ringing": True}
    scene = KilledScene(
        directory,
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(vendor_gateway(n, **terms) for n in range(2))]),
    )
    for vendor in scene.vendors:
        vendor.script = RINGS_ON
    scene.caller.call(CALLEE)
    scene.wire.run_for(7_000)
    return scene


def answer(scene, vendor):
    scene.vendors[vendor].only_call.respond(Line(0, 200, ANSWER))


def repeated(scene, packet):
    scene.wire.send(packet.source, packet.target, packet.data)
    scene.wire.run_for(1_500)


def latest_answer(scene):
    return next(each for each in reversed(scene.wire.packets) if each.data.startswith(b"SIP/2.0 200"))


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("latest_too", [False, True])
def test_a_vendor_that_was_left_before_the_kill_is_paid_for_its_answer_behind_it(tmp_path, kills, latest_too):
    """Its row was in the record of the call, and its cost nowhere."""
    scene = ringing(tmp_path)
    for _ in range(kills):
        scene.kill()
        scene.wire.run_for(500)
    answer(scene, 0)
    if latest_too:
        answer(scene, 1)
    scene.wire.run_for(70_000)
    late, cut = sorted(scene.exchange.sink.all_records, key=lambda record: record.end_reason)
    rows = [
        ("vendor-0", "No Answer"),
        ("vendor-0", "Late Answer"),
        ("vendor-1", "Late Answer" if latest_too else "Lost"),
    ]
    assert [(row.gateway, row.reason) for row in cut.attempts] == rows
    assert (cut.end_reason, cut.routing_gateway, cut.vendor_billed_seconds) == ("Lost", "vendor-1", int(latest_too))
    assert (late.routing_gateway, late.vendor_billed_seconds, late.vendor_paid_ms) == ("vendor-0", 1, None)
    assert (late.is_cost_of_another, late.customer_account, late.cost > 0) == (True, None, True)
    assert [row.reason for row in late.attempts] == ["Late Answer"]


@pytest.mark.parametrize("kills", [1, 2])
def test_an_answer_that_was_booked_before_the_kill_is_not_booked_again(tmp_path, kills):
    """The vendor repeats its 200, whose ACK was lost, while another one rings."""
    scene = ringing(tmp_path)
    answer(scene, 0)
    scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = latest_answer(scene)
    scene.wire.run_for(3_000)
    for _ in range(kills):
        scene.kill(10)
        scene.wire.run_for(10)
        repeated(scene, sent)
    scene.wire.run_for(70_000)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.end_reason, cut.routing_gateway, cut.cost, late.routing_gateway) == ("Lost", "vendor-1", 0, "vendor-0")


def test_an_answer_that_was_booked_during_an_announcement_before_the_kill_costs_nothing_in_the_record_of_the_call(
    tmp_path,
):
    """A second was charged again where the vendor repeated its 200."""
    scene, _ = scene_with({"No Answer": "long"}, directory=tmp_path)
    scene.vendor.script = RINGS_ON
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: any(each.status == 183 for each in call.responses))
    scene.wire.run_for(4_000)
    answer(scene, 0)
    scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = latest_answer(scene)
    scene.kill()
    scene.wire.run_for(10)
    repeated(scene, sent)
    scene.wire.run_for(60_000)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.end_reason, cut.cost, late.cost > 0) == ("Lost", 0, True)
