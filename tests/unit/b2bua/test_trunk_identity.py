"""The switch as one trunk sees it: hosts, routes, Contact, product, and the form of numbers."""

from typing import Any

import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import IncomingCall, refuses

from vosd.trunks.dialect import CalleeDialect, CallerDialect, IdentityHeader, Passing, Redirects
from vosd.trunks.number_format import NumberFormat, NumberNotation

TO_ALL = [rate_group("sell", applied_rate("0.6", prefix="*")), rate_group("buy", applied_rate("0.1", prefix="*"))]


def scene_of(customer: CallerDialect | None = None, **vendor: Any) -> Scene:
    customers = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=customer or CallerDialect())
    vendors = [vendor_gateway(index, dialect=CalleeDialect(**vendor)) for index in range(2)]
    return Scene(catalogue([customers, *vendors]))


def whole_call(scene: Scene, *headers: str, caller: str = "12025550100") -> tuple[OutgoingCall, IncomingCall]:
    call = scene.whole_call(Intent(headers=headers, caller=caller, hang_up_after_ms=1_000))
    scene.close()
    return call, scene.vendor.only_call


def sent_to(scene: Scene, host: str, method: str) -> list[str]:
    """Return the messages that begin so and went to a host, in order."""
    return [
        packet.data.decode()
        for packet in scene.wire.packets
        if packet.target.host == host and packet.data.startswith(method.encode())
    ]


def test_request_from_and_to_have_the_hosts_that_the_vendor_wants():
    scene = scene_of(
        request_host="sip.carrier.example:5070", from_host="acme.example", to_host="carrier.example",
        identity=(IdentityHeader.ASSERTED,),
    )  # fmt: skip
    _, there = whole_call(scene)
    assert there.invite.start_line == f"INVITE sip:{CALLEE}@sip.carrier.example:5070 SIP/2.0"
    assert there.invite["From"].startswith("<sip:12025550100@acme.example>;tag=")
    assert there.invite["To"] == f"<sip:{CALLEE}@carrier.example>"
    assert there.invite["P-Asserted-Identity"] == "<sip:12025550100@acme.example>"
    bye = sent_to(scene, VENDORS[0].host, "BYE")[0]
    assert "From: <sip:12025550100@acme.example>;tag=" in bye
    assert f"To: <sip:{CALLEE}@carrier.example>;tag=" in bye


def test_the_host_of_the_request_line_stands_in_to_without_its_port():
    _, there = whole_call(scene_of(request_host="sip.carrier.example:5070"))
    assert there.invite["To"] == f"<sip:{CALLEE}@sip.carrier.example>"


def test_routes_stand_in_the_first_request_and_in_no_later_one():
    scene = scene_of(request_host="carrier.example", route=("<sip:proxy.example;lr>", "<sip:core.example;lr>"))
    _, there = whole_call(scene)
    assert there.invite.start_line == f"INVITE sip:{CALLEE}@carrier.example SIP/2.0"
    assert there.invite["Route"] == "<sip:proxy.example;lr>, <sip:core.example;lr>"
    assert all("\r\nRoute:" not in each for each in sent_to(scene, VENDORS[0].host, "BYE"))


def test_a_strict_proxy_stands_in_the_request_line_and_the_callee_at_the_end_of_the_route():
    route = ("<sip:proxy.example>", "<sip:core.example;lr>")
    _, there = whole_call(scene_of(request_host="carrier.example", route=route, is_strict=True))
    assert there.invite.start_line == "INVITE sip:proxy.example SIP/2.0"
    assert there.invite["Route"] == f"<sip:core.example;lr>, <sip:{CALLEE}@carrier.example>"


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"request_host": "carrier.example"},
        {"request_host": "carrier.example", "route": ("<sip:proxy.example;lr>",)},
        {"request_host": "carrier.example", "route": ("<sip:proxy.example>",), "is_strict": True},
        {"request_host": "carrier.example", "number_format": NumberFormat(request_uri=NumberNotation.PLUS_E164)},
    ],
)
def test_a_redirected_call_is_addressed_to_the_place_that_was_named(where):
    """RFC 3261 section 8.1.3.4: the Contact of the 3xx is the new Request-URI."""
    scene = scene_of(redirects=Redirects.FOLLOW, **where)
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>",))
    scene.whole_call(Intent(hang_up_after_ms=1_000))
    invite = scene.vendors[1].only_call.invite
    plus = "+" if "number_format" in where else ""
    assert invite.start_line == f"INVITE sip:{plus}{CALLEE}@{VENDORS[1]} SIP/2.0"
    assert "\r\nRoute:" not in sent_to(scene, VENDORS[1].host, "INVITE")[0]
    assert invite["To"].startswith(f"<sip:{CALLEE}@{where.get('request_host', VENDORS[1].host)}>")
    scene.close()


def test_the_vendor_sees_its_own_contact_and_product_in_every_message():
    scene = scene_of(contact_user="trunk2", contact_host="sbc.example.com", user_agent="Acme SBC/7")
    _, there = whole_call(scene)
    assert there.invite["Contact"] == f"<sip:trunk2@sbc.example.com:{scene.vendor.switch.port}>"
    assert there.invite["User-Agent"] == "Acme SBC/7"
    everything = scene.bytes_to(VENDORS[0]).decode()
    assert "vosd/" not in everything
    assert everything.count("Contact: ") == everything.count("Contact: <sip:trunk2@sbc.example.com:")


def test_the_customer_sees_its_own_contact_and_product_too():
    scene = scene_of(CallerDialect(contact_user="42", user_agent="Acme SBC/7"))
    whole_call(scene)
    everything = scene.bytes_to(CUSTOMER).decode()
    assert "vosd/" not in everything
    assert "Contact: <sip:42@" in everything
    assert everything.count("Contact: ") == everything.count("Contact: <sip:42@")
    assert "User-Agent: vosd/" in scene.bytes_to(VENDORS[0]).decode()


@pytest.mark.parametrize(
    ("form", "caller", "callee"),
    [
        (NumberNotation.AS_IS, "sip:12025550100@", f"sip:{CALLEE}@"),
        (NumberNotation.E164, "sip:12025550100@", f"sip:{CALLEE}@"),
        (NumberNotation.PLUS_E164, "sip:+12025550100@", f"sip:+{CALLEE}@"),
        (NumberNotation.NATIONAL, "sip:0012025550100@", f"sip:0{CALLEE[2:]}@"),
        (NumberNotation.TEL, "tel:+12025550100", f"tel:+{CALLEE}"),
    ],
)
def test_numbers_have_the_form_that_the_vendor_wants(form, caller, callee):
    forms = NumberFormat(request_uri=form, from_=form, to=form, pai=form, diversion=form, country="44")
    scene = scene_of(number_format=forms, identity=(IdentityHeader.ASSERTED,), diversion=Passing.PASS)
    _, there = whole_call(scene, "Diversion: <sip:442070000000@pbx.example>;reason=user-busy")
    assert there.invite.start_line.startswith(f"INVITE {callee}")
    assert there.invite["To"].startswith(f"<{callee}")
    assert there.invite["From"].startswith(f"<{caller}")
    assert there.invite["P-Asserted-Identity"].startswith(f"<{caller}")
    assert "2070000000" in there.invite["Diversion"]


def test_user_phone_is_for_numbers_alone():
    forms = NumberFormat(from_=NumberNotation.PLUS_E164, user_phone=True)
    _, there = whole_call(scene_of(number_format=forms))
    assert there.invite["From"].startswith("<sip:+12025550100@")
    assert ";user=phone>;tag=" in there.invite["From"]
    _, there = whole_call(scene_of(number_format=forms), caller="alice")
    assert "user=phone" not in there.invite["From"]


def test_an_emergency_number_goes_out_as_it_was_dialled():
    forms = NumberFormat(
        request_uri=NumberNotation.PLUS_E164, to=NumberNotation.TEL, country="61", international_prefix="0011"
    )
    vendor = vendor_gateway(0, prefixes=("*",), dialect=CalleeDialect(number_format=forms))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor], rate_groups=TO_ALL))
    scene.whole_call(Intent(hang_up_after_ms=1_000), callee="000")
    scene.close()
    there = scene.vendor.only_call.invite
    assert there.start_line.startswith("INVITE sip:000@")
    assert there["To"].startswith("<sip:000@")
