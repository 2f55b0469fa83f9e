"""Causes of Q.850 that a trunk uses in its own way: what it sends counts as others, and it is sent others instead."""

import re

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, sides, vendor_gateway
from doubles.virtual.vendor import RINGS, answers, refuses

from vosd.trunks.causes import TrunkCauses
from vosd.trunks.dialect import CalleeDialect, CallerDialect

OF_CUSTOMER = TrunkCauses(received={"31": 16}, sent={"17": 34})
OF_VENDOR = TrunkCauses(received={"127": 17}, sent={"16": 90})
CAUSE = re.compile(rb"^Reason: Q\.850;cause=(\d+);", re.MULTILINE)


@pytest.fixture
def scene() -> Scene:
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(causes=OF_CUSTOMER))
    vendors = [vendor_gateway(index, dialect=CalleeDialect(causes=OF_VENDOR), **STOPS) for index in range(2)]
    return Scene(catalogue([customer, *vendors]))


STOPS = {"stop_causes": frozenset({17})}


def causes_sent(scene: Scene, host: str, beginning: bytes) -> set[int]:
    sent = [each.data for each in scene.wire.packets if each.target.host == host and each.data.startswith(beginning)]
    return {int(cause) for data in sent for cause in CAUSE.findall(data)}


def test_a_refusal_is_judged_and_recorded_by_the_cause_that_it_counts_as(scene):
    for vendor in scene.vendors:
        vendor.script = refuses(503, headers=("Reason: Q.850;cause=127",))
    scene.whole_call()
    record = scene.close()
    assert (record.q850_cause, len(record.attempts)) == (17, 1)
    assert causes_sent(scene, CUSTOMER.host, b"SIP/2.0 503") == {34}


@pytest.mark.parametrize(
    ("first", "cause", "recorded", "other", "sent"),
    [
        ("callee", 127, 17, CUSTOMER.host, 34),
        ("caller", 31, 16, VENDORS[0].host, 90),
        ("callee", 20, 20, CUSTOMER.host, 20),
    ],
)
def test_a_bye_passes_on_the_cause_in_the_words_of_both_trunks(scene, first, cause, recorded, other, sent):
    call, there = scene.talk()
    side, _ = sides(first, call, there)
    side.hang_up(f"Reason: Q.850;cause={cause}")
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    scene.wire.run_for(10)
    assert scene.close().q850_cause == recorded
    assert causes_sent(scene, other, b"BYE") == {sent}


def test_a_cancel_passes_on_the_cause_that_it_counts_as(scene):
    scene.vendor.script = RINGS
    cancelled = Intent(cancel_after_ms=1_000, cancel_headers=("Reason: Q.850;cause=31",))
    scene.whole_call(cancelled)
    scene.wire.run_for(10)
    scene.close()
    assert causes_sent(scene, VENDORS[0].host, b"CANCEL") == {90}


def test_trunks_without_causes_of_their_own_pass_them_as_they_are():
    scene = Scene()
    scene.vendor.script = answers(0)
    call, there = scene.talk()
    there.hang_up("Reason: Q.850;cause=127")
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    scene.wire.run_for(10)
    assert scene.close().q850_cause == 127
    assert causes_sent(scene, CUSTOMER.host, b"BYE") == {127}
