"""Vendors on changing addresses: they register with us, prove who they are, and are called where they are."""

from decimal import Decimal

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, routing_gateway
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import SILENT, refuses

from vosd.base.nat import Nat
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.number_format import NumberFormat, NumberNotation

HOME = Endpoint("203.0.113.66", 41_234)
MOVED = Endpoint("203.0.113.99", 40_000)
USER = "gsm-box"
INSIDE = f"sip:{USER}@192.168.1.20:5062;line=7"
"""What it says of itself behind a router."""
PROOF = credentials(USER, "secret")


def dynamic(**terms):
    known = {"addresses": (), "priority": 0, "account": "carriers", "credentials": PROOF}
    return routing_gateway("dynamic", "44", **{**known, "dialect": CalleeDialect(nat=Nat.AUTO), **terms})


def stage(*gateways) -> Scene:
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    return Scene(catalogue([trunk, *(gateways or (dynamic(), vendor_gateway(1)))]))


def box(scene: Scene, address: Endpoint = HOME, contact: str | None = None):
    return scene.exchange.telephone(USER, address, contact=contact)


def called(scene: Scene, **intent):
    call = scene.caller.call(CALLEE, Intent(**intent))
    scene.wire.run_until(lambda: call.final is not None, within_ms=120_000)
    return call


def test_it_is_called_for_the_number_where_it_is_registered_and_its_account_is_paid():
    scene = stage()
    vendor = box(scene, contact=INSIDE)
    assert vendor.register().status == 200
    call = called(scene)
    scene.wire.run_for(10_000)
    record = scene.finish(call)
    (invite,) = vendor.received("INVITE")
    assert invite.start_line == f"INVITE sip:{CALLEE}@192.168.1.20:5062;line=7 SIP/2.0"
    assert (record.routing_gateway, record.vendor_account) == ("dynamic", "carriers")
    assert record.destination_address == str(HOME)
    assert record.cost == Decimal("0.05")
    assert len(vendor.received("ACK")) == len(vendor.received("BYE")) == 1, "behind NAT they come where it is seen"


@pytest.mark.parametrize(
    ("form", "user"),
    [
        (NumberNotation.AS_IS, CALLEE),
        (NumberNotation.PLUS_E164, f"+{CALLEE}"),
        (NumberNotation.NATIONAL, f"0{CALLEE[2:]}"),
        (NumberNotation.TEL, f"+{CALLEE}"),
    ],
)
def test_the_number_that_it_is_called_for_has_the_form_of_its_request_uri(form, user):
    forms = NumberFormat(request_uri=form, to=NumberNotation.PLUS_E164, country="44")
    scene = stage(dynamic(dialect=CalleeDialect(nat=Nat.AUTO, number_format=forms)))
    vendor = box(scene, contact=INSIDE)
    vendor.register()
    call = called(scene)
    scene.finish(call)
    (invite,) = vendor.received("INVITE")
    assert invite.start_line == f"INVITE sip:{user}@192.168.1.20:5062;line=7 SIP/2.0"
    assert invite["To"].startswith(f"<sip:+{CALLEE}@")


def test_until_it_registers_the_next_vendor_has_its_calls():
    scene = stage()
    call = called(scene)
    assert scene.finish(call).routing_gateway == "vendor-1"
    box(scene).register()
    again = called(scene)
    scene.hang_up(again)
    assert [record.routing_gateway for record in scene.exchange.sink.records] == ["vendor-1", "dynamic"]


def test_alone_and_not_registered_it_leaves_no_route():
    scene = stage(dynamic())
    assert called(scene).final == 503
    assert scene.record.end_reason == "No Available Route"


def test_where_it_is_silent_or_refuses_the_next_vendor_is_tried():
    for script in (SILENT, refuses(503)):
        scene = stage()
        vendor = box(scene)
        vendor.register()
        vendor.script = script
        record = scene.finish(called(scene))
        assert [attempt.gateway for attempt in record.attempts] == ["dynamic", "vendor-1"]


def test_one_that_moves_is_called_at_its_new_place_and_its_running_calls_go_on_there():
    scene = stage(dynamic())
    inside = Endpoint("192.168.1.20", 5_062)
    vendor = box(scene, inside)
    scene.wire.hide(inside, HOME)
    vendor.register()
    call = called(scene)
    scene.wire.hide(inside, MOVED)
    vendor.register()
    assert scene.finish(call).end_reason == "Normal"
    assert called(scene).final == 200
    assert [call.is_over for call in vendor.calls] == [True, False]


@pytest.mark.parametrize("login", [Login(USER, "guess"), Login("unknown", "secret")])
def test_wrong_credentials_register_nothing(login):
    scene = stage()
    assert scene.exchange.request_client(HOME, USER).prove(login, "REGISTER").status == 401
    assert list(scene.exchange.registrations.listed()) == []


def test_its_credentials_do_not_make_it_a_customer():
    scene = stage()
    box(scene).register()
    assert scene.exchange.request_client(HOME, USER).prove(Login(USER, "secret")).status == 403
    assert scene.exchange.sink.records == []


def test_one_that_a_reload_takes_away_is_registered_no_more():
    scene = stage()
    box(scene).register()
    assert [row.kind.value for row in scene.exchange.registrations.listed()] == ["routing_gateway"]
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    scene.exchange.swap_catalogue(catalogue([trunk, vendor_gateway(1)]))
    assert list(scene.exchange.registrations.listed()) == []


def test_one_that_is_switched_off_may_not_register():
    scene = stage(dynamic(enabled=False))
    assert box(scene).register().status == 403
