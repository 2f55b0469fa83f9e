"""What a strict peer would refuse, and we get by with, is never passed on to the other side."""

import pytest
from doubles.sockets.loopback import Endpoint
from doubles.virtual.exchange import SWITCH
from doubles.virtual.probe import SDP, request
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue
from doubles.virtual.vendor import Line, Script

from vosd.sip import parse_message
from vosd.trunks.dialect import CalleeDialect, IdentityHeader, Passing, Privacy

SLOPPY = Endpoint(CUSTOMER.host, 5099)
"""At the customer's address: says one INVITE and hears nothing."""

TELLS_ALL = CalleeDialect(
    identity=tuple(IdentityHeader), privacy=Privacy.PASS, display_name=Passing.PASS, diversion=Passing.PASS,
    history_info=Passing.PASS,
)  # fmt: skip
"""A vendor who gets all that may be passed on."""

OF_CALLERS = (
    {"from_": "Bell, Alexander <sip:12025550100@h>;tag=1"},
    {"from_": "J\u00fcrgen <sip:12025550100@h>;tag=1"},
    {"from_": '"\udcff\x07" <sip:12025550100@h>;tag=1'},
    {"from_": "<sip:1202#555@h>;tag=1"},
    {"from_": "<sip:12025550100@h>;tag=1;;x"},
    {"to": '"Watson, Thomas" < sip:t.watson@example.org >'},
    {"call_id": "a b{c"},
    {"uri": f"sip:{CALLEE}@under_score"},
    {"headers": "Date: Fri, 01 Jan 2010 16:00:00 EST\r\nIdentity: x;info=<h>\r\n"},
    {"headers": "P-Asserted-Identity: A, B <sip:12025550100@h>\r\n"},
    {"headers": "P-Asserted-Identity: <sip:1202%0d%0aEvil: 1@h>\r\n"},
    {"headers": "Diversion: <sip:1@h>;reason=\x00;;counter=-1\r\n"},
    {"headers": "History-Info: sip:1@h;index=1, <sip:2@h?Reason=\x07>;index=1.1\r\n"},
    {"headers": "Remote-Party-ID: x, <sip:1@h>;;party=calling\r\n"},
    {"headers": "Privacy: id, , critical\r\nReason: ;;\r\nSubject: \x00\r\nUser-Agent: @\r\n"},
    {"headers": "X-Any: \x00\r\nOrganization: \udcff\r\nPriority: a b\r\nTimestamp: now\r\nExpires: never\r\n"},
    {"headers": "Route: sip:a;lr,,\r\nRecord-Route: sip:b;lr;;\r\nSupported: 100rel,,x\r\nAllow: INVITE,,BYE\r\n"},
)
OF_VENDORS = (
    "Contact: Bell, A <sip:v_x@203.0.113.1>;;",
    "Warning: 1812 overture In Progress",
    "Retry-After: 949302838503028349304023988",
    'Reason: Q.850;cause=16;text="open',
    "Server: @\x07",
    "Allow: INVITE,,BYE",
    "Require: ,",
    "Record-Route: sip:a;lr,,",
    "Date: yesterday",
    "P-Asserted-Identity: A, B <sip:1@h>\x07",
)


def problems_told(scene, *addresses: Endpoint) -> list[tuple[str, list[str]]]:
    """Return what was sent there and has problems."""
    told = [parse_message(packet.data) for packet in scene.wire.packets if packet.target in addresses]
    assert told
    return [(repr(message), message.problems()) for message in told if message.problems()]


@pytest.mark.parametrize("dialect", [CalleeDialect(), TELLS_ALL], ids=["reticent", "tells all"])
@pytest.mark.parametrize("changes", OF_CALLERS, ids=lambda changes: next(iter(changes)))
def test_a_fault_of_the_caller_does_not_reach_the_vendor(changes, dialect):
    scene = Scene(usual_catalogue(terms={"dialect": dialect}))
    data = request(**{"uri": f"sip:{CALLEE}@192.0.2.1", **changes}, body=SDP)
    assert parse_message(data).problems()
    scene.wire.send(SLOPPY, SWITCH, data)
    scene.wire.run_for(100_000)
    assert problems_told(scene, *VENDORS) == []


@pytest.mark.parametrize("status", [183, 200, 302, 503])
@pytest.mark.parametrize("header", OF_VENDORS, ids=lambda header: header.partition(":")[0])
def test_a_fault_of_the_vendor_does_not_reach_the_caller(scene, header, status):
    final = () if status != 183 else (Line(900, 486),)
    scene.settled_call(script=Script((Line(0, 100), Line(100, status, headers=(header,)), *final)))
    assert problems_told(scene, CUSTOMER) == []
