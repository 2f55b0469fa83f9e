"""Vendors given by name: packets go to what DNS says, the name stays in the messages (RFC 3263 section 4)."""

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, refuses

from vosd.sip.flows import Hop
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import Address

NAME = "trunk-7.carrier.example"


def scene_of(*gateways, **switch):
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways]), **switch)


@pytest.mark.parametrize("written", [NAME, f"{NAME}:5070", f"{NAME}:5070;transport=udp"])
def test_the_name_stands_in_request_uri_and_to_of_an_invite_and_its_cancel(written):
    """Carriers with many customers at one address tell their trunks apart by it."""
    scene = scene_of(vendor_gateway(0, addresses=(Address(*VENDORS[0], name=NAME, written=written),)))
    scene.whole_call(Intent(cancel_after_ms=1_000), script=RINGS)
    scene.wire.run_for(10)
    for method in ("INVITE", "CANCEL"):
        [request] = scene.vendor.received(method)
        assert request.start_line == f"{method} sip:{CALLEE}@{written} SIP/2.0"
        assert request["To"] == f"<sip:{CALLEE}@{NAME}>"
    assert faults_of(scene.wire.packets, SWITCH) == []
    assert scene.close().destination_address == str(VENDORS[0])


@pytest.mark.parametrize("is_redirected", [False, True])
def test_the_certificate_must_bear_the_name_of_the_very_gateway(is_redirected):
    """Another gateway's name may lead to the same place. Where a 3xx leads, its name is what is demanded."""
    address = Address(*VENDORS[0], name=NAME, written=NAME, is_redirected=is_redirected)
    scene = scene_of(vendor_gateway(0, addresses=(address,)))
    call = scene.begun_call(Intent(cancel_after_ms=1_000), script=RINGS)
    scene.wire.run_until(lambda: bool(scene.vendor.received("INVITE")))
    [invite] = scene.exchange.endpoint.store.clients
    sent = scene.exchange.endpoint.store.clients[invite].retry.sent.data
    assert scene.exchange.endpoint.server_name_of(sent) == NAME
    scene.wire.run_until(lambda: bool(scene.vendor.received("CANCEL")))
    [cancel] = [each for key, each in scene.exchange.endpoint.store.clients.items() if key.endswith("CANCEL")]
    assert scene.exchange.endpoint.server_name_of(cancel.retry.sent.data) == NAME
    scene.wire.run_until(lambda: call.is_over)


def names_of_requests(scene, method):
    """Return the names that the certificates must bear for the requests of a method that the vendor got."""
    packets = [each.data for each in scene.wire.packets if each.target == VENDORS[0]]
    endpoint = scene.exchange.endpoint
    return [endpoint.server_name_of(data) for data in packets if data.startswith(method.encode() + b" ")]


@pytest.mark.parametrize("next_process", [None, "kill", "stop_and_keep"])
def test_the_cancel_needs_it_too_where_another_process_sends_it(tmp_path, next_process):
    gateway = vendor_gateway(0, addresses=(Address(*VENDORS[0], name=NAME, written=NAME),))
    scene = KilledScene(tmp_path, catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))
    call = scene.begun_call(script=RINGS, after_ms=2_000)
    if next_process is not None:
        getattr(scene, next_process)()
    if next_process != "kill":  # a start after a kill cancels what rings by itself
        call.cancel()
    scene.wire.run_until(lambda: bool(scene.vendor.received("CANCEL")))
    assert names_of_requests(scene, "CANCEL") == [NAME]


@pytest.mark.parametrize("next_process", [None, "kill", "stop_and_keep"])
def test_requests_within_the_call_need_it_too_where_they_go_to_the_place_of_the_invite(tmp_path, next_process):
    """Another process knows it as well."""
    gateway = vendor_gateway(0, addresses=(Address(*VENDORS[0], name=NAME, written=NAME),))
    scene = KilledScene(tmp_path, catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))
    call, there = scene.talk()
    scene.wire.run_for(2_000)
    if next_process is not None:
        getattr(scene, next_process)()
        scene.wire.run_for(100)
    call.propose()
    scene.wire.run_until(lambda: len(scene.vendor.received("INVITE")) == 2)
    assert names_of_requests(scene, "INVITE")[-1] == NAME
    scene.wire.run_for(1_000)
    assert names_of_requests(scene, "ACK")[-1] == NAME
    call.hang_up()
    scene.wire.run_until(lambda: bool(scene.vendor.received("BYE")))
    assert there.is_over
    assert names_of_requests(scene, "BYE") == [NAME]
    scene.wire.run_until(lambda: call.is_over)


@pytest.mark.parametrize("next_process", [None, "stop_and_keep"])
def test_the_ack_of_a_failure_that_comes_again_needs_it_too(tmp_path, next_process):
    gateway = vendor_gateway(0, addresses=(Address(*VENDORS[0], name=NAME, written=NAME),))
    scene = KilledScene(tmp_path, catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))
    scene.vendor.script = refuses(486)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(10)
    if next_process is not None:
        getattr(scene, next_process)()
        scene.wire.run_for(100)
    assert names_of_requests(scene, "ACK") == [NAME]


def test_an_address_stands_there_where_the_vendor_is_given_by_it():
    scene = scene_of(vendor_gateway(1))
    scene.whole_call(Intent(hang_up_after_ms=10))
    [invite] = scene.vendors[1].received("INVITE")
    assert invite.start_line == f"INVITE sip:{CALLEE}@{VENDORS[1]} SIP/2.0"
    assert invite["To"] == f"<sip:{CALLEE}@{VENDORS[1].host}>"


def test_the_name_that_a_redirection_gives_stays_too():
    """Section 8.1.3.4 of RFC 3261: the contact is the next Request-URI."""
    host, port = VENDORS[1]
    gateway = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = scene_of(gateway, locate=lambda hop, _: Hop(host, port, None) if hop.host == NAME else None)
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{NAME}>",))
    scene.whole_call(Intent(hang_up_after_ms=10))
    [invite] = scene.vendors[1].received("INVITE")
    assert (invite.start_line, invite["To"]) == (f"INVITE sip:{CALLEE}@{NAME} SIP/2.0", f"<sip:{CALLEE}@{NAME}>")
    assert scene.close().end_reason == "Normal"


def test_no_certificate_must_bear_the_final_dot_of_a_name_that_a_3xx_gives():
    """The dot is one of DNS, which makes a name absolute (RFC 1034 section 3.1); names in certificates lack it."""
    gateway = vendor_gateway(1, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = scene_of(gateway, locate=lambda hop, _: Hop(*VENDORS[0], None))
    scene.vendors[1].script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{NAME}.>",))
    call = scene.begun_call(Intent(cancel_after_ms=1_000), script=RINGS)
    scene.wire.run_until(lambda: bool(scene.vendor.received("INVITE")))
    assert names_of_requests(scene, "INVITE") == [NAME]
    assert scene.vendor.received("INVITE")[0].start_line == f"INVITE sip:{CALLEE}@{NAME}. SIP/2.0"
    scene.wire.run_until(lambda: call.is_over)


@pytest.mark.parametrize("next_process", [None, "kill", "stop_and_keep"])
def test_requests_to_a_place_that_a_3xx_names_need_the_name_that_it_has_given(tmp_path, next_process):
    """Another process has not looked it up: without the name it would demand a certificate with the address."""
    host, port = VENDORS[0]
    gateway = vendor_gateway(1, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway])
    scene = KilledScene(tmp_path, content, locate=lambda hop, _: Hop(host, port, None) if hop.host == NAME else None)
    scene.vendors[1].script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{NAME}>",))
    call, there = scene.talk()
    scene.wire.run_for(2_000)
    if next_process is not None:
        getattr(scene, next_process)()
        scene.wire.run_for(100)
    call.hang_up()
    scene.wire.run_until(lambda: bool(scene.vendor.received("BYE")))
    assert there.is_over
    assert names_of_requests(scene, "BYE") == [NAME]
    scene.wire.run_until(lambda: call.is_over)
