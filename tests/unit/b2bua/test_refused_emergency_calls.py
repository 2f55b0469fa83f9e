"""Calls to emergency numbers that are refused leave a CDR, however early and whatever the parameters say."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import SWITCH
from doubles.virtual.probe import SDP, request
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import refuses

from vosd.admin.why import why
from vosd.routing.special_numbers import SpecialNumbers

REQUIRED = (
    b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--x\r\nContent-Type: application/secret\r\n"
    b"Content-Disposition: signal;handling=required\r\n\r\n?\r\n--x--"
)
PARTS = "Content-Type: multipart/mixed;boundary=x\r\n"
REFUSED = {
    "a part that is required": ({"headers": PARTS, "body": REQUIRED}, 415),
    "parts that cannot be split": ({"headers": PARTS, "body": b"?"}, 400),
    "an extension": ({"headers": "Require: foo\r\n"}, 420),
    "Accept": ({"headers": "Accept: text/plain\r\n"}, 406),
    "a line without colon": ({"headers": "no colon\r\n"}, 400),
    "Max-Forwards": ({"headers": "Max-Forwards: many\r\n", "without": "Max-Forwards: 70\r\n"}, 400),
}


def received(scene: Scene, number: str, changes: dict) -> int:
    changes = dict(changes)
    without = changes.pop("without", "").encode()
    data = request(**{"uri": f"sip:{number}@192.0.2.1", "body": SDP, **changes})
    scene.wire.send(CUSTOMER, SWITCH, data.replace(without, b"") if without else data)
    scene.wire.run_for(100)
    [status] = {packet.data[8:11] for packet in scene.wire.packets if packet.target == CUSTOMER}
    return int(status)


@pytest.mark.parametrize(("changes", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_an_emergency_call_that_is_refused_before_its_trunk_is_known_leaves_a_record(changes, status):
    scene = Scene()
    assert received(scene, "112", changes) == status
    [record] = scene.exchange.sink.records
    assert (record.mapping_gateway, record.customer_account, record.callee_in) == ("acme", "acme", "112")
    assert (record.callee_billing, record.sip_code, record.end_reason) == ("112", status, "Unavailable")
    assert (record.hangup_source, record.recorded, record.fee) == ("switch", True, 0)
    assert why(record)["refusal"]


def test_the_record_says_why():
    scene = Scene()
    received(scene, "911", REFUSED["a part that is required"][0])
    assert why(scene.record)["refusal"] == (
        "415 Unsupported Media Type: Accept: application/sdp, multipart/mixed, multipart/alternative, multipart/related"
    )
    other = Scene()
    received(other, "911", REFUSED["parts that cannot be split"][0])
    assert why(other.record)["refusal"] == "400 Bad Multipart Body"


def test_which_numbers_are_emergency_numbers_is_configured_and_the_tech_prefix_does_not_count():
    numbers = SpecialNumbers(emergency=frozenset({"15"}))
    acme = mapping_gateway("acme", f"{CUSTOMER.host}/32", tech_prefix="99#")
    for number, records in (("99#15", 1), ("99#112", 0), ("15", 0)):
        scene = Scene(catalogue([acme, vendor_gateway(0)], special_numbers=numbers))
        scene.wire.send(
            CUSTOMER, SWITCH, request(uri=f"sip:{number.replace('#', '%23')}@192.0.2.1", headers="Require: foo\r\n")
        )
        scene.wire.run_for(100)
        assert len(scene.exchange.sink.records) == records


@pytest.mark.parametrize(("changes", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_another_number_leaves_none(changes, status):
    scene = Scene()
    assert received(scene, CALLEE, changes) == status
    assert scene.exchange.sink.records == []


def test_a_repeated_invite_leaves_one_record():
    scene = Scene()
    for _ in range(2):
        assert received(scene, "112", REFUSED["a part that is required"][0]) == 415
    assert len(scene.exchange.sink.records) == 1


def test_an_unknown_source_leaves_no_record():
    scene = Scene()
    scene.wire.send(
        Endpoint("198.51.100.99", 5060), SWITCH, request(uri="sip:112@192.0.2.1", headers="Require: foo\r\n")
    )
    scene.wire.run_for(100)
    assert scene.exchange.sink.records == []


def test_without_records_of_calls_of_no_second_a_refused_emergency_call_still_leaves_one():
    """SERVER_BILLING_RECORD_ZERO_HOLD_TIME=0."""
    scene = Scene(usual_catalogue(record_zero_hold_time=False))
    call = scene.caller.call("112")
    scene.wire.run_until(lambda: call.is_over)
    assert scene.record.recorded
    numbers = SpecialNumbers(emergency=frozenset({CALLEE}))
    scene = Scene(usual_catalogue(vendors=1, record_zero_hold_time=False, special_numbers=numbers))
    scene.vendor.script = refuses(486)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    assert scene.close().recorded


def test_an_emergency_call_with_a_location_reaches_the_vendor_with_the_session_alone():
    """RFC 6442 section 4.1, as phones write it: no handling is said of the location."""
    located = (
        b"--x\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--x\r\nContent-Type: application/pidf+xml\r\n"
        b"Content-ID: <place@example.org>\r\n\r\n<presence/>\r\n--x--"
    )
    scene = Scene()
    headers = PARTS + "Geolocation: <cid:place@example.org>\r\nGeolocation-Routing: no\r\n"
    scene.wire.send(CUSTOMER, SWITCH, request(uri=f"sip:{CALLEE}@192.0.2.1", headers=headers, body=located))
    scene.wire.run_for(100)
    sent = scene.bytes_to(VENDORS[0])
    assert sent.startswith(b"INVITE ")
    assert b"\r\nContent-Type: application/sdp\r\n" in sent
    assert b"\r\n\r\n" + SDP in sent
    assert b"eolocation" not in sent
    assert b"presence" not in sent
