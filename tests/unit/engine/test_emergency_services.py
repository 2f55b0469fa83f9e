"""Emergency services by URN (RFC 5031) are called at the number that is configured for them."""

import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.probe import request
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import answers

from vosd.admin.routing import explain_route, idle_state
from vosd.admin.why import why
from vosd.base.clock import Instant
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.dialect import CalleeSource, CallerDialect

NUMBERS = SpecialNumbers(services={"sos": "112", "sos.police": "110"}, free=("112", "110"))


def content(numbers=NUMBERS, *, record_zero_hold_time=True, **acme):
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32", **acme), vendor_gateway(0, prefixes=("11",))]
    rates = [rate_group("sell", applied_rate(prefix="1")), rate_group("buy", applied_rate(prefix="1"))]
    return catalogue(gateways, rate_groups=rates, special_numbers=numbers, record_zero_hold_time=record_zero_hold_time)


def called(scene, uri):
    call = OutgoingCall(scene.caller, uri, Intent(hang_up_after_ms=1_000))
    call.target = uri
    scene.caller.calls[call.call_id] = call
    call.invite()
    scene.wire.run_until(lambda: call.is_over, within_ms=60_000)
    return call, scene.exchange.sink.records[-1]


@pytest.mark.parametrize(
    ("urn", "number"),
    [
        ("urn:service:sos", "112"),
        ("urn:service:sos.police", "110"),
        ("URN:service:SOS.Police", "110"),
        ("urn:service:sos.fire", "112"),
        ("urn:service:sos.police.municipal", "110"),
    ],
)
@pytest.mark.parametrize("acme", [{}, {"tech_prefix": "99#"}, {"dialect": CallerDialect(callee_from=CalleeSource.TO)}])
def test_an_emergency_service_is_called_at_its_number(urn, number, acme):
    scene = Scene(content(**acme))
    scene.vendor.script = answers(100)
    call, record = called(scene, urn)
    assert call.final == 200
    assert (record.callee_in, record.callee_out, record.callee_billing) == (urn.lower(), number, number)
    assert scene.bytes_to(VENDORS[0]).startswith(f"INVITE sip:{number}@".encode())


@pytest.mark.parametrize("records_zero", [True, False])
def test_a_service_without_a_number_is_refused_and_leaves_a_record_that_says_why(records_zero):
    """416 lets the phone dial a number instead (RFC 3261 section 8.1.3.5)."""
    scene = Scene(content(SpecialNumbers(), record_zero_hold_time=records_zero))
    call, record = called(scene, "urn:service:sos.ambulance")
    assert call.final == 416
    assert (record.mapping_gateway, record.callee_in, record.sip_code) == ("acme", "urn:service:sos.ambulance", 416)
    assert record.end_reason == "Number Not Allowed"
    assert record.recorded
    assert "urn:service:sos.ambulance is none of routing.emergency_services" in why(record)["refusal"]


@pytest.mark.parametrize("numbers", [NUMBERS, SpecialNumbers()])
def test_a_call_to_a_service_that_is_refused_before_its_trunk_is_known_leaves_a_record(numbers):
    scene = Scene(content(numbers))
    scene.wire.send(CUSTOMER, SWITCH, request(uri="urn:service:sos", headers="Require: foo\r\n"))
    scene.wire.run_for(100)
    (record,) = scene.exchange.sink.records
    assert (record.callee_in, record.sip_code, record.recorded) == ("urn:service:sos", 420, True)


@pytest.mark.parametrize("uri", ["urn:service:counseling", "urn:service:sosx", "urn:service:sos.", "urn:nena:sos"])
def test_another_urn_is_416_without_a_record(uri):
    scene = Scene(content())
    scene.wire.send(CUSTOMER, SWITCH, request(uri=uri))
    scene.wire.run_for(100)
    assert {packet.data[8:11] for packet in scene.wire.packets if packet.target == CUSTOMER} == {b"416"}
    assert scene.exchange.sink.records == []


def test_explain_shows_the_number_of_a_service():
    known = content()
    explanation = explain_route(
        known,
        idle_state(known, None),
        gateway="acme",
        caller="1",
        callee="urn:service:sos.police",
        at=Instant(0, 1_790_000_000_000),
    )
    assert (explanation.result, explanation.callee_billed) == ("ok", "110")
