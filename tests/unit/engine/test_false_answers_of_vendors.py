"""Vendors whose answers may be false: counted by calls through a whole switch, and what routing makes of it."""

import pytest
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, Scene, usual_catalogue
from doubles.virtual.vendor import answers, refuses

from vosd.admin.advice import advice
from vosd.admin.routing import explain_route
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.routing.false_answers import WHOLE, ShortCallTerms


def scene(**terms):
    stage = Scene(usual_catalogue(vendors=2, short_calls=ShortCallTerms(**terms)))
    stage.wire.delays = lambda _packet: (0,)
    return stage


def call(stage, talk_ms):
    made = stage.whole_call(Intent(hang_up_after_ms=talk_ms))
    assert made.final == 200
    stage.exchange.switch.live.false_answers.look(stage.exchange.clock.now().mono)
    return stage.exchange.sink.records[-1]


def figures(stage, destination):
    live, now = stage.exchange.switch.live, stage.exchange.clock.now().mono
    return live.false_answers.figures("vendor-0", destination, now)


def test_answered_calls_are_counted_by_gateway_and_destination():
    stage = scene(percent=50)
    stage.vendor.script = answers(0)
    call(stage, 2_000)
    call(stage, 60_000)
    for destination in (WHOLE, "44"):
        assert figures(stage, destination)[:3] == (2, 1, 2)


def test_without_terms_nothing_is_counted():
    stage = scene()
    stage.vendor.script = answers(0)
    call(stage, 2_000)
    assert len(stage.exchange.switch.live.false_answers) == 0


@pytest.mark.parametrize(("rest", "then"), [(True, "vendor-1"), (False, "vendor-0")])
def test_a_vendor_with_too_many_short_calls_is_tried_last_if_that_is_wanted(rest, then):
    stage = scene(percent=50, min_calls=2, rest=rest)
    for vendor in stage.vendors:
        vendor.script = answers(0)
    for _ in range(2):
        assert call(stage, 2_000).routing_gateway == "vendor-0"
    record = call(stage, 2_000)
    assert record.routing_gateway == then
    explained = explain_route(
        stage.exchange.switch.catalogue, stage.exchange.switch.live, gateway="acme", caller="1", callee=CALLEE,
        at=stage.exchange.clock.now(),
    )  # fmt: skip
    assert explained.left == []
    last = "prefix 44, priority 0; after all others: too many of its answered calls are short"
    assert (explained.candidates[-1].reason == last) is rest
    stage.vendors[1].script = refuses(503)
    tried = [each.gateway for each in call(stage, 2_000).attempts]
    assert tried == (["vendor-1", "vendor-0"] if rest else ["vendor-0"])


@pytest.mark.parametrize(("order", "share"), [(True, 0.0), (False, 100.0)])
def test_its_quality_counts_short_calls_as_unanswered_if_that_is_wanted(order, share):
    stage = scene(percent=50, min_calls=2, order=order)
    stage.vendor.script = answers(0)
    for _ in range(2):
        call(stage, 2_000)
    catalogue, now = stage.exchange.switch.catalogue, stage.exchange.clock.now()
    vendors = LiveVendors(catalogue, stage.exchange.switch.live)
    seen = vendors.quality(catalogue.routing_gateways["vendor-0"], "44", CALLEE, "", now, 1)
    assert seen.asr == share


def test_the_only_vendor_is_tried_all_the_same():
    stage = Scene(usual_catalogue(vendors=1, short_calls=ShortCallTerms(percent=50, min_calls=2, rest=True)))
    stage.vendor.script = answers(0)
    for _ in range(4):
        assert call(stage, 2_000).routing_gateway == "vendor-0"


def test_why_names_the_signs_of_a_false_answer():
    stage = scene(percent=50)
    stage.vendor.script = answers(0)
    said = advice(call(stage, 2_000))
    assert "vendor-0 answered 0.0 s after the INVITE, without ringing; the call lasted 2.0 s" in said.said
    assert "vosd report false-answers" in said.todo
    assert "false answer" not in advice(call(stage, 60_000)).said
