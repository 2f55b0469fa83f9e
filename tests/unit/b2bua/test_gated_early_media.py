"""P-Early-Media of a vendor (RFC 5009): media that are inactive are not opened toward the caller, until they are."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.header_rules import HeaderRules, TrunkHeaders

INACTIVE, OPEN = ("P-Early-Media: inactive",), ("P-Early-Media: sendrecv",)


def talk(*lines: Line, passes=(), removes=(), headers=(), **vendor):
    """Make a call through a vendor with these responses; return it, and the vendor's side."""
    rules = TrunkHeaders(responses=HeaderRules(passes=passes, removes=removes)) if passes else None
    dialect = CallerDialect(headers=rules)
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect)
    scene = Scene(catalogue([customer, vendor_gateway(0, **vendor), vendor_gateway(1)]))
    call, there = scene.talk(Intent(headers=headers), Script((Line(0, 100), *lines)))
    assert call.agrees_with(there)
    scene.finish(call)
    return call, there


@pytest.mark.parametrize(
    "headers",
    [
        ("P-Early-Media: Inactive, gated",),
        ("p-early-media: Inactive, gated",),
        ("P-EARLY-MEDIA: Inactive, gated",),
        ("P-Early-Media: supported", "P-Early-Media: inactive"),
    ],
)
def test_an_inactive_session_is_sent_with_the_answer_alone(headers):
    call, _ = talk(Line(0, 183, ANSWER, headers), Line(500, 200, ANSWER))
    assert (call.response(183).body, call.response(200).body) == ("", ANSWER)


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL])
@pytest.mark.parametrize("is_reliable", [False, True])
@pytest.mark.parametrize("again", [ANSWER, ""])
def test_a_later_response_opens_it(again, is_reliable, headers):
    lines = Line(0, 183, ANSWER, INACTIVE, is_reliable), Line(100, 180, again, OPEN, is_reliable)
    call, _ = talk(*lines, Line(500, 200, ANSWER), headers=headers)
    assert (call.response(183).body, call.response(180).body) == ("", ANSWER)


def test_one_that_was_sent_reliably_comes_with_an_answer_that_has_none():
    vendor = CalleeDialect()
    call, _ = talk(Line(0, 183, ANSWER, INACTIVE, True), Line(500, 200), headers=SUPPORTS_100REL, dialect=vendor)
    assert (call.response(183).body, call.response(200).body) == ("", ANSWER)


@pytest.mark.parametrize("headers", [OPEN, ("P-Early-Media: supported",), ("X-Early-: inactive",), ()])
def test_anything_else_is_early_media(headers):
    call, _ = talk(Line(0, 183, ANSWER, headers), Line(500, 200, ANSWER))
    assert call.response(183).body == ANSWER


@pytest.mark.parametrize("privacy", ["none", "id"])
@pytest.mark.parametrize("passes", [("p-early-media",), ("p-*",), ("*",)])
def test_a_customer_that_is_sent_the_header_decides_by_itself(passes, privacy):
    """Also of a callee that withholds who it is: the header shows no one."""
    said = (*INACTIVE, f"Privacy: {privacy}")
    call, _ = talk(Line(0, 183, ANSWER, said), Line(500, 200, ANSWER), passes=passes)
    assert (call.response(183).body, call.response(183)["P-Early-Media"]) == (ANSWER, "inactive")


@pytest.mark.parametrize("removes", [("p-early-media",), ("p-e*",)])
def test_a_customer_whose_rules_remove_the_header_again_is_not_sent_the_session(removes):
    call, _ = talk(Line(0, 183, ANSWER, INACTIVE), Line(500, 200, ANSWER), passes=("p-*",), removes=removes)
    assert (call.response(183).body, call.response(183).every("P-Early-Media")) == ("", [])


def test_a_gateway_that_has_sent_no_media_yet_is_left_for_the_next_one():
    """``stop_after_early_media``: a session that the caller was not sent does not count."""
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    scene = Scene(catalogue([customer, vendor_gateway(0, stop_after_early_media=True), vendor_gateway(1)]))
    scene.vendors[1].script = Script((Line(0, 100), Line(100, 200, ANSWER)))
    call, _ = scene.talk(None, Script((Line(0, 100), Line(0, 183, ANSWER, INACTIVE), Line(50, 503))))
    assert call.final == 200
    assert len(scene.vendors[1].calls) == 1
    scene.finish(call)
