"""Whole calls between trunks with dialects of their own: numbers, identities, codes, and vendors that want a rest."""

import re

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import OFFER
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import answers, refuses

from vosd.b2bua.outgoing.presentation import ANONYMOUS_FROM
from vosd.sip.flows import Listener
from vosd.trunks.dialect import (
    CalleeDialect,
    CalleeSource,
    CallerDialect,
    CallerSource,
    IdentityHeader,
    Passing,
    Privacy,
    ReasonForm,
)

BRIEF = 1_000
VOS3000 = CallerDialect(callee_from=CalleeSource.TO, caller_from=(CallerSource.FROM,))


def scene_of(customer: CallerDialect | None = None, vendor: CalleeDialect | None = None) -> Scene:
    """Set up a customer and two vendors that speak so."""
    customers = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=customer or CallerDialect())
    vendors = [vendor_gateway(index, dialect=vendor or CalleeDialect()) for index in range(2)]
    return Scene(catalogue([customers, *vendors]))


def call_through(scene: Scene, *headers: str, callee: str = CALLEE, caller: str = "12025550100") -> OutgoingCall:
    """Make a call and see it to its end."""
    intent = Intent(headers=headers, caller=caller, hang_up_after_ms=BRIEF)
    return scene.whole_call(intent, callee=callee)


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_with_vos3000s_dialect_the_numbers_are_those_of_to_and_from():
    scene = scene_of(VOS3000)
    call = OutgoingCall(scene.caller, CALLEE, Intent(headers=("P-Asserted-Identity: <sip:+499@h>",)))
    call.target = f"sip:gateway@{scene.caller.switch}"
    scene.caller.calls[call.call_id] = call
    call.invite()
    scene.wire.run_until(lambda: call.final is not None)
    scene.hang_up(call)
    assert scene.vendor.only_call.invite.start_line.startswith(f"INVITE sip:{CALLEE}@")
    record = scene.close()
    assert (record.callee_in, record.caller_in) == (CALLEE, "12025550100")


def test_a_number_that_is_not_where_the_trunk_has_it_is_answered_484():
    scene = scene_of(VOS3000)
    call = call_through(scene, callee="")
    assert call.statuses == [484]
    assert scene.exchange.residue() == {}


# -- identities -------------------------------------------------------------------------------------------------------


def test_a_caller_that_stays_unknown_is_known_to_trusted_vendors_and_to_the_record():
    scene = scene_of(vendor=CalleeDialect(identity=(IdentityHeader.ASSERTED,)))
    call_through(scene, "P-Asserted-Identity: <sip:+442071838750@h>", "Privacy: id", caller="anonymous")
    invite = scene.vendor.only_call.invite
    assert invite["From"].startswith(f"{ANONYMOUS_FROM};tag=")
    assert invite["P-Asserted-Identity"] == "<sip:+442071838750@192.0.2.1>"
    assert invite["Privacy"] == "id"
    assert scene.close().caller_in == "+442071838750"


def test_a_caller_that_stays_unknown_does_so_on_every_request_of_the_call():
    scene = scene_of()
    call_through(scene, "P-Asserted-Identity: <sip:+442071838750@h>", "Privacy: id", caller="anonymous")
    scene.close()
    told = scene.bytes_to(VENDORS[0])
    assert len(re.findall(rb"(?m)^(INVITE|ACK|BYE) ", told)) == 3
    assert b"442071838750" not in told


FORWARDED = (
    'Diversion: "secret" <sip:+442071838750@secret.customer.example:5080>;reason=no-answer;screen=secret',
    "History-Info: <sip:+442071838750@secret.customer.example?Reason=SIP%3Btext%3Dsecret>;index=1;secret=1",
    "Remote-Party-ID: <sip:12025550100@secret.customer.example>;party=calling;secret=1",
    "P-Preferred-Identity: <sip:12025550100@secret.customer.example>",
)


def test_of_what_passes_nothing_names_the_customers_network():
    everything = CalleeDialect(
        identity=(IdentityHeader.ASSERTED, IdentityHeader.REMOTE_PARTY),
        privacy=Privacy.PASS,
        diversion=Passing.PASS,
        history_info=Passing.PASS,
    )
    scene = scene_of(vendor=everything)
    call_through(scene, *FORWARDED)
    invite = scene.vendor.only_call.invite
    assert invite["Diversion"] == "<sip:+442071838750@192.0.2.1>;reason=no-answer"
    assert invite["History-Info"] == "<sip:+442071838750@192.0.2.1>;index=1"
    scene.close()
    assert not re.search(rb"secret|198\.51\.100\.10|customer-", scene.bytes_to(VENDORS[0]), re.IGNORECASE)


def test_each_vendor_of_a_call_gets_its_own_dialect():
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    first = vendor_gateway(0, dialect=CalleeDialect(privacy=Privacy.ANONYMISE))
    second = vendor_gateway(1, dialect=CalleeDialect(display_name=Passing.PASS))
    scene = Scene(catalogue([customer, first, second]))
    scene.vendor.script = refuses(503)
    call_through(scene)
    assert scene.vendor.only_call.invite["From"].startswith(ANONYMOUS_FROM)
    assert scene.vendors[1].only_call.invite["From"].startswith('"Secret Name" <sip:12025550100@192.0.2.1>;tag=')
    scene.close()


@pytest.mark.parametrize(
    ("asserted", "named"),
    [
        ('"Acme Ltd" <sip:12025550111@h>', '"Acme Ltd" <sip:12025550111@192.0.2.1>'),
        ("<sip:12025550111@h>", "<sip:12025550111@192.0.2.1>"),
        ("<sip:12025550100@h>", '"Secret Name" <sip:12025550100@192.0.2.1>'),
    ],
)
def test_a_vendor_gets_the_name_of_the_header_that_has_the_number(asserted, named):
    scene = scene_of(vendor=CalleeDialect(display_name=Passing.PASS))
    call_through(scene, f"P-Asserted-Identity: {asserted}")
    assert scene.vendor.only_call.invite["From"].partition(";")[0] == named
    scene.close()


# -- codes ------------------------------------------------------------------------------------------------------------


def test_a_customer_is_sent_the_code_that_it_wants_for_another():
    scene = scene_of(CallerDialect(reject_codes={"486": 480}))
    scene.vendor.script = refuses(486)
    call = call_through(scene)
    assert call.statuses == [480]
    record = scene.close()
    assert (record.end_reason, record.sip_code) == ("Busy", 480)
    assert record.attempts[0].code == 486


def test_the_codes_of_our_own_refusals_are_replaced_too():
    scene = scene_of(CallerDialect(reject_codes={"4xx": 503}, reasons=ReasonForm.NONE))
    call = call_through(scene, callee="999")
    assert call.statuses == [503]
    assert call.refusal.every("Reason") == []
    record = scene.close()
    assert (record.end_reason, record.sip_code) == ("No Matching Rate", 503)


def test_a_cancelled_call_ends_with_487_whatever_is_replaced():
    scene = scene_of(CallerDialect(reject_codes={"4xx": 503}))
    call = scene.whole_call(Intent(cancel_after_ms=500))
    assert call.statuses[-1] == 487
    assert scene.close().end_reason == "Cancelled"


def test_a_vendors_code_counts_as_what_the_operator_says():
    """Busy, by this vendor, means that its trunks are: the next vendor is tried."""
    scene = scene_of(vendor=CalleeDialect(reject_codes={"486": 503}))
    scene.vendor.script = refuses(486)
    call = call_through(scene)
    assert 200 in call.statuses
    assert scene.close().routing_gateway == "vendor-1"


# -- a rest -----------------------------------------------------------------------------------------------------------


def winner(scene: Scene) -> str | None:
    """Make a call and return which vendor got it."""
    before = len(scene.exchange.sink.records)
    call_through(scene)
    assert scene.exchange.leftovers() == {}
    (record,) = scene.exchange.sink.records[before:]
    return record.routing_gateway


@pytest.mark.parametrize("wanted", ["30", "30 (busy hour);duration=60"])
def test_a_vendor_that_asks_for_a_rest_gets_no_call_until_it_is_over(wanted):
    scene = scene_of()
    scene.vendor.script = refuses(503, headers=(f"Retry-After: {wanted}",))
    assert winner(scene) == "vendor-1"
    scene.vendor.script = answers()
    assert winner(scene) == "vendor-1"
    assert len(scene.vendor.calls) == 1
    scene.wire.run_for(30_000)
    assert winner(scene) == "vendor-0"


@pytest.mark.parametrize(
    "script",
    [
        refuses(503),
        refuses(503, headers=("Retry-After: 0",)),
        refuses(503, headers=("Retry-After: soon",)),
        refuses(480, headers=("Retry-After: 30",)),
        refuses(500, headers=("Retry-After: 30",)),
    ],
)
def test_other_refusals_say_nothing_about_the_next_call(script):
    scene = scene_of()
    scene.vendor.script = script
    assert winner(scene) == "vendor-1"
    scene.vendor.script = answers()
    assert winner(scene) == "vendor-0"


def test_a_vendors_wish_for_a_rest_is_not_passed_on():
    scene = scene_of()
    for vendor in scene.vendors:
        vendor.script = refuses(503, headers=("Retry-After: 30",))
    call = call_through(scene)
    assert call.statuses == [503]
    assert call.refusal.every("Retry-After") == []
    call = call_through(scene)
    assert call.statuses == [503]
    assert [len(vendor.calls) for vendor in scene.vendors[:2]] == [1, 1]


# -- why a call failed ------------------------------------------------------------------------------------------------


def test_the_vendors_cause_stands_in_the_record_and_goes_on_without_its_text():
    scene = scene_of()
    for vendor in scene.vendors:
        vendor.script = refuses(503, headers=('Reason: SIP;cause=1, Q.850;cause=34;text="hidden"',))
    call = call_through(scene)
    assert call.refusal.every("Reason") == ['Q.850;cause=34;text="Unavailable"']
    assert scene.close().q850_cause == 34


@pytest.mark.parametrize(("interface", "transport"), [(None, "TCP"), ("udp:192.0.2.1:5060", "UDP")])
def test_a_socket_of_its_own_fixes_a_trunks_transport(interface, transport):
    """RFC 3261 section 18.1.1: only where nothing is fixed does a large INVITE take TCP."""
    udp, tcp = Listener("192.0.2.1", 5060, name="udp:192.0.2.1:5060"), Listener("192.0.2.1", 5060, "tcp")
    vendor = vendor_gateway(0, dialect=CalleeDialect(interface=interface))
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    assert vendor.addresses[0].transport is None
    scene = Scene(catalogue([customer, vendor]), listeners=(udp, tcp))
    scene.whole_call(Intent(offer=OFFER + "a=fill:" + "x" * 1_300 + "\r\n", hang_up_after_ms=BRIEF))
    assert scene.vendor.only_call.invite["Via"].startswith(f"SIP/2.0/{transport} ")
    scene.close()
