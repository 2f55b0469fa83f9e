"""Calling numbers of a customer in the form that its trunk demands: enforced, or replaced."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import answers

from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.number_format import CallerFormat, NumberNotation
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers, Pairs

MAIN = "+4930123400"


def called(form: CallerFormat, caller: str, callee: str = CALLEE, callee_rewrite: Pairs = (), **parameters: object):
    numbers = IncomingNumbers(caller_format=form, callee_rewrite=callee_rewrite)
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=numbers)
    scene = Scene(catalogue([customer, vendor_gateway(0, prefixes=("*",), allow_unrated=True)], **parameters))
    call = scene.whole_call(Intent(caller=caller, hang_up_after_ms=1_000), script=answers(0), callee=callee)
    invites = [each.invite for each in scene.vendor.calls]
    return call, scene.close(), invites


@pytest.mark.parametrize(
    ("form", "fitting", "other"),
    [
        (NumberNotation.PLUS_E164, "+4930123456", "4930123456"),
        (NumberNotation.E164, "4930123456", "+4930123456"),
        (NumberNotation.NATIONAL, "030123456", "4930123456"),
        (NumberNotation.AS_IS, "7001001", "7001"),
    ],
)
def test_another_form_is_replaced_and_the_right_one_is_shown(form, fitting, other):
    demanded = CallerFormat(form, replacement=MAIN)
    for caller, shown in ((fitting, fitting), (other, MAIN)):
        _, record, (invite,) = called(demanded, caller)
        assert f"<sip:{shown}@" in invite["From"]
        assert (record.caller_in, record.caller_out) == (caller, shown)


def test_a_caller_that_stays_unknown_has_the_replacement_in_the_record_alone():
    _, record, (invite,) = called(CallerFormat(NumberNotation.E164, replacement=MAIN), "anonymous")
    assert "<sip:anonymous@anonymous.invalid>" in invite["From"]
    assert record.caller_out == MAIN


@pytest.mark.parametrize("replacement", ["", MAIN])
def test_an_emergency_call_shows_the_number_that_it_has(replacement):
    form = CallerFormat(NumberNotation.E164, replacement=replacement)
    call, record, (invite,) = called(form, "7001", "112", special_numbers=SpecialNumbers(free=("112",)))
    assert (call.final, record.caller_out) == (200, "7001")
    assert "<sip:7001@" in invite["From"]


@pytest.mark.parametrize(
    ("rewriting", "strip_digits"), [({"callee_rewrite": (("9112", "112"),)}, 0), ({}, 1), ({"callee_rewrite": ()}, 1)]
)
def test_an_emergency_call_is_known_behind_what_its_trunk_dials_in_front_of_the_number(rewriting, strip_digits):
    form = CallerFormat(NumberNotation.E164)
    special = SpecialNumbers(free=("112",), strip_digits=strip_digits)
    call, record, (invite,) = called(form, "7001", "9112", special_numbers=special, **rewriting)
    assert (call.final, record.caller_out, record.callee_billing) == (200, "7001", "112")
    assert "<sip:7001@" in invite["From"]


def test_without_a_replacement_the_call_is_refused_and_recorded():
    call, record, invites = called(CallerFormat(NumberNotation.PLUS_E164), "4930123456")
    assert (call.final, record.end_reason, record.caller_in, invites) == (403, "Number Not Allowed", "4930123456", [])


def sent_to(*forms: CallerFormat | None, caller: str, **keys: object):
    """Return the record of a call and what each vendor was sent as its caller; each has a form of its own."""
    vendors = [
        vendor_gateway(index, prefixes=("*",), allow_unrated=True, numbers=OutgoingNumbers(caller_format=form, **keys))
        for index, form in enumerate(forms)
    ]
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *vendors]))
    for vendor in scene.vendors[: len(forms)]:
        vendor.script = answers(0)
    scene.whole_call(Intent(caller=caller, hang_up_after_ms=1_000))
    invites = [[each.invite for each in vendor.calls] for vendor in scene.vendors[: len(forms)]]
    return scene.close(), [["".join(invite["From"]) for invite in each] for each in invites]


def test_a_vendor_is_left_out_for_callers_of_another_form_than_it_wants():
    form = CallerFormat(NumberNotation.E164, shortest=10)
    record, (first, second) = sent_to(form, None, caller="7001")
    assert (first, len(second), record.routing_gateway) == ([], 1, "vendor-1")
    record, _ = sent_to(form, caller="7001")
    assert (record.end_reason, record.sip_code) == ("No Available Route", 503)
    assert "calling number 7001 has not the form of caller_format" in str(record.verdicts)
    record, _ = sent_to(form, None, caller="493012345600")
    assert record.routing_gateway == "vendor-0"


def test_a_vendor_may_be_sent_another_number_in_place_of_one_in_another_form():
    form = CallerFormat(NumberNotation.E164, replacement="4930123400")
    record, ((shown,), _) = sent_to(form, None, caller="+4930555", caller_rewrite=(("49", "0"),))
    assert "<sip:030123400@" in shown
    assert record.caller_out == "030123400"
