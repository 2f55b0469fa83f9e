"""Session-ID (RFC 7989) of whole calls: passed between the sides, made for a side that has none, or not sent."""

import re

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, refuses

from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.header_rules import HeaderRules, SessionIdUse, TrunkHeaders

CALLER_ID, CALLEE_ID, NIL = "ab30317f1a784dc48ff824d0d3715d86", "47755a9de7794ba387653f2099600ef2", "0" * 32
GIVEN = f"Session-ID: {CALLER_ID.upper()};remote={NIL}"
OFF, PASS, MAKE = SessionIdUse.OFF, SessionIdUse.PASS, SessionIdUse.MAKE
LINE = re.compile(r"^Session-ID: ([0-9a-f]{32});remote=([0-9a-f]{32})\r$", re.MULTILINE)


def scene_of(to_customer: SessionIdUse, to_vendor: SessionIdUse, rules: HeaderRules | None = None) -> Scene:
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(session_id=to_customer))
    headers = None if rules is None else TrunkHeaders(rules)
    dialect = CalleeDialect(session_id=to_vendor, headers=headers)
    return Scene(catalogue([customer, *[vendor_gateway(index, dialect=dialect) for index in range(2)]]))


def answering(*headers: str) -> Script:
    return Script((Line(0, 100, headers=headers), Line(0, 180, headers=headers), Line(500, 200, ANSWER, headers)))


def call_through(scene: Scene, *headers: str) -> OutgoingCall:
    return scene.whole_call(Intent(headers=headers, hang_up_after_ms=1_000))


def identifiers(scene: Scene, host: str, beginning: str) -> list[tuple[str, str]]:
    """Return both identifiers in each message that begins so and went to a host; empty ones where it has none."""
    sent = [each.data.decode() for each in scene.wire.packets if each.target.host == host]
    found = [(text, LINE.findall(text)) for text in sent if text.startswith(beginning)]
    assert all(len(lines) <= 1 for _, lines in found)
    return [lines[0] if lines else ("", "") for _, lines in found]


def test_each_side_gets_the_identifier_of_the_other_first_and_its_own_behind_it():
    scene = scene_of(PASS, PASS)
    scene.vendor.script = answering(f"Session-ID: {CALLEE_ID};remote={CALLER_ID}")
    call_through(scene, GIVEN)
    vendor, customer = VENDORS[0].host, CUSTOMER.host
    assert identifiers(scene, vendor, "INVITE") == [(CALLER_ID, NIL)]
    for request in ("ACK", "BYE"):
        assert identifiers(scene, vendor, request) == [(CALLER_ID, CALLEE_ID)]
    assert set(identifiers(scene, customer, "SIP/2.0 180")) == {(CALLEE_ID, CALLER_ID)}
    assert set(identifiers(scene, customer, "SIP/2.0 200")) == {(CALLEE_ID, CALLER_ID)}
    scene.close()


@pytest.mark.parametrize("headers", [(), ("Session-ID: nonsense",), (f"Session-ID: {NIL}",), ("Session-ID: 47755a9d",)])
def test_what_is_no_identifier_is_not_passed(headers):
    scene = scene_of(PASS, PASS)
    scene.vendor.script = answering(*headers)
    call_through(scene, *headers)
    for host, beginning in ((VENDORS[0].host, "INVITE"), (CUSTOMER.host, "SIP/2.0 200")):
        assert set(identifiers(scene, host, beginning)) == {("", "")}
    scene.close()


def test_identifiers_are_made_for_sides_without_and_stay_through_attempts():
    scene = scene_of(MAKE, MAKE)
    scene.vendors[0].script, scene.vendors[1].script = refuses(503), answering()
    call_through(scene)
    invites = [identifiers(scene, each.host, "INVITE") for each in VENDORS[:2]]
    tried = [each for each in invites if each]
    (made, remote) = tried[-1][0]
    assert {each for found in tried for each in found} == {(made, NIL)}
    assert remote == NIL
    responses = set(identifiers(scene, CUSTOMER.host, "SIP/2.0 200"))
    assert len(responses) == 1
    assert made not in {each for pair in responses for each in pair}
    assert made[12] == "5"  # an identifier that is made of a name (RFC 4122 section 4.3)
    scene.close()


def test_a_made_identifier_gives_way_to_that_of_the_side():
    scene = scene_of(MAKE, MAKE)
    scene.vendor.script = answering(f"Session-ID: {CALLEE_ID};remote={NIL}")
    call_through(scene, GIVEN)
    assert identifiers(scene, VENDORS[0].host, "INVITE") == [(CALLER_ID, NIL)]
    assert set(identifiers(scene, CUSTOMER.host, "SIP/2.0 200")) == {(CALLEE_ID, CALLER_ID)}
    scene.close()


def test_a_trunk_that_wants_none_gets_none():
    scene = scene_of(OFF, OFF)
    scene.vendor.script = answering(f"Session-ID: {CALLEE_ID}")
    call_through(scene, GIVEN)
    assert all(b"Session-ID" not in each.data for each in scene.wire.packets if each.source == scene.caller.switch)
    scene.close()


def test_the_key_wins_over_a_rule_that_passes_all_headers():
    scene = scene_of(OFF, PASS, HeaderRules(passes=("*",)))
    call_through(scene, GIVEN)
    assert identifiers(scene, VENDORS[0].host, "INVITE") == [(CALLER_ID, NIL)]
    scene.close()


def test_a_cancel_has_the_identifiers_of_its_invite():
    scene = scene_of(OFF, MAKE)
    scene.whole_call(Intent(headers=(GIVEN,), cancel_after_ms=2_000), script=Script((Line(0, 180),)))
    assert identifiers(scene, VENDORS[0].host, "CANCEL") == [(CALLER_ID, NIL)]
    scene.close()
