"""Nothing of one side reaches the other but the numbers and the session description."""

import re

import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, Line, Script, refuses

CALLERS_OWN = (
    "User-Agent: Secret-PBX/1.0",
    "X-Secret: 1",
    "Subject: secret",
    "P-Charging-Vector: secret",
    "Record-Route: <sip:secret-proxy.customer.example;lr>",
    "Via: SIP/2.0/UDP secret-hop.customer.example;branch=z9hG4bK-secret",
    "Organization: Secret Ltd",
)
VENDORS_OWN = (
    "Server: Hidden-Switch/2",
    "X-Hidden: 1",
    "Record-Route: <sip:hidden-proxy.vendor.example;lr>",
    "Warning: 399 hidden.vendor.example hidden",
    "P-Hidden: yes",
)
OF_CALLER = re.compile(rb"secret|198\.51\.100\.10|customer-|Secret Name", re.IGNORECASE)
OF_VENDOR = re.compile(rb"hidden|203\.0\.113\.|vendor-", re.IGNORECASE)

SCRIPTS = {
    "answered": Script(
        (Line(0, 100, "", VENDORS_OWN), Line(0, 183, ANSWER, VENDORS_OWN), Line(900, 200, ANSWER, VENDORS_OWN)),
        hang_up_after_ms=9_000,
    ),
    "refused": refuses(486, headers=(*VENDORS_OWN, "Contact: <sip:hidden@203.0.113.77>")),
    "redirected": refuses(302, headers=("Contact: <sip:hidden@203.0.113.77>", *VENDORS_OWN)),
    "challenged": refuses(407, headers=('Proxy-Authenticate: Digest realm="hidden"', *VENDORS_OWN)),
    "failed over": Script((Line(0, 183, ANSWER, VENDORS_OWN), Line(500, 503, "", VENDORS_OWN))),
    "cancelled": RINGS,
}


@pytest.mark.parametrize("story", SCRIPTS)
def test_no_byte_of_one_side_reaches_the_other(scene, story):
    scene.vendor.script = scene.vendors[1].script = SCRIPTS[story]
    intent = Intent(headers=CALLERS_OWN, cancel_after_ms=3_000 if story == "cancelled" else None)
    scene.whole_call(intent)
    scene.close()
    assert len(scene.bytes_to(VENDORS[0])) > 500
    for address in VENDORS:
        assert not OF_CALLER.search(scene.bytes_to(address))
    told = re.sub(rb"(?m)^(Via|From|Record-Route): .*$", b"", scene.bytes_to(CUSTOMER))  # his own, repeated to him
    assert len(told) > 200
    assert not OF_VENDOR.search(told)


def test_the_new_leg_has_a_dialog_of_its_own(scene):
    scene.whole_call(Intent(hang_up_after_ms=1_000))
    invite = scene.vendor.only_call.invite
    assert invite["Max-Forwards"] == "69"
    assert invite["Contact"] == "<sip:192.0.2.1:5060>"
    assert invite.every("Via") == [invite["Via"]]
    assert invite["From"].startswith("<sip:12025550100@192.0.2.1>;tag=")
    assert invite["To"] == f"<sip:{CALLEE}@{VENDORS[0].host}>"
    assert invite["CSeq"] == "1 INVITE"
    assert "To" not in scene.bytes_to(CUSTOMER).decode().partition("tag=")[0][:3]
    scene.close()


@pytest.mark.parametrize("number", ["x%0d%0aX-Evil:%20yes", "x%0aX-Evil:yes", "x%3cevil%3e%40evil", "x%00"])
def test_an_escaped_name_stays_inside_its_uri(number):
    """What the caller percent-encodes cannot end a header of the vendor's INVITE."""
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, prefixes=("*",), allow_unrated=True)]
    scene = Scene(catalogue(gateways, rate_groups=[rate_group("sell", applied_rate("0.60", prefix="*"))]))
    scene.whole_call(Intent(hang_up_after_ms=1_000), callee=number)
    invite = scene.vendor.only_call.invite
    assert sorted({name for name, _ in invite.headers}) == sorted(
        ["via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "user-agent", "allow", "supported",
         "session-expires", "min-se", "content-type", "content-length"]
    )  # fmt: skip
    assert all(ord(character) >= 32 for _, value in invite.headers for character in value)
    scene.close()


def test_a_caller_without_a_number_goes_out_as_anonymous(scene):
    scene.whole_call(Intent(caller="", hang_up_after_ms=1_000))
    assert scene.vendor.only_call.invite["From"].startswith("<sip:anonymous@192.0.2.1>;tag=")
    assert scene.close().caller_in == ""


def test_a_caller_with_invalid_utf8_becomes_anonymous(scene):
    """Bytes that no record can hold must not keep a call out of the books."""
    intent = Intent(caller="\udcff\udcfe", headers=("X-Odd: \udcff",), hang_up_after_ms=1_000)
    scene.whole_call(intent)
    assert scene.close().caller_in == ""


def test_a_call_with_bytes_that_no_record_can_hold_is_refused(scene):
    scene.caller.call("44\udcff")
    call = OutgoingCall(scene.caller, CALLEE, Intent())
    scene.caller.send(call.request("INVITE", 1, "z9hG4bK-odd").replace(call.call_id, "\udcff"))
    scene.wire.run_for(100)
    assert [message.status for message in scene.caller.heard] == [400, 400]
    assert scene.exchange.sink.records == []
    assert scene.exchange.residue() == {}
