"""Local numbers are called, priced and explained in their context (RFC 3966 section 5.1.5)."""

import pytest
from doubles.data.builders import account, applied_rate, catalogue, credentials, mapping_gateway, rate_group
from doubles.month_of_calls import past_of
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import answers

from vosd.admin.routing import explain_route, idle_state
from vosd.admin.simulate import Simulation
from vosd.admin.why import why
from vosd.base.clock import Instant
from vosd.catalogue.catalogue import Catalogue

LOCAL = "4471234567"
UK, GERMANY = applied_rate("0.60", prefix="44"), applied_rate("6.00", prefix="49")
OURS = frozenset({"example.org"})


def content(**acme) -> Catalogue:
    return catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32", **acme), vendor_gateway(0, prefixes=("44", "49", "1", "7"))],
        rate_groups=[
            rate_group("sell", UK, GERMANY, applied_rate(prefix="1"), applied_rate(prefix="7")),
            rate_group("buy", applied_rate(prefix="")),
        ],
        accounts=[account("acme", overdraft_limit=None)],
        local_domains=OURS,
    )


def scene_of(**acme) -> Scene:
    scene = Scene(content(**acme))
    scene.vendor.script = answers(100)
    return scene


def called(scene, uri, caller="12055551234"):
    call = OutgoingCall(scene.caller, CALLEE, Intent(caller=caller, hang_up_after_ms=1_000))
    call.target = uri
    scene.caller.calls[call.call_id] = call
    call.invite()
    scene.wire.run_until(lambda: call.is_over, within_ms=60_000)
    return call, scene.exchange.sink.records[-1]


def is_routed_alike(scene, record) -> bool:
    """Return whether the stored call would be routed and rated as it was."""
    simulation = Simulation(scene.exchange.switch.catalogue)
    simulation.add(past_of(record))
    found = simulation.to_json(10)
    return (found["calls"], found["changed"], found["before"]) == (1, 0, found["after"])


@pytest.mark.parametrize(
    "uri",
    [
        f"tel:{LOCAL};phone-context=+49",
        "tel:447-123.4567;Phone-Context=+4-9",
        f"sip:{LOCAL};phone-context=+49@192.0.2.1;user=phone",
        f"sip:{LOCAL};phone-context=%2B49@192.0.2.1",
        f"sip:{LOCAL}@192.0.2.1;user=phone;phone-context=+49",
    ],
)
def test_a_number_with_a_global_context_is_the_global_number(uri):
    scene = scene_of()
    _, record = called(scene, uri)
    assert (record.callee_billing, record.rate_prefix, record.callee_in) == (f"49{LOCAL}", "49", f"+49{LOCAL}")
    assert record.callee_out == f"+49{LOCAL}"
    assert f"INVITE sip:+49{LOCAL}@".encode() in scene.bytes_to(VENDORS[0])
    assert is_routed_alike(scene, record)


@pytest.mark.parametrize("context", ["+1", "example.com", "Example.ORG."])
def test_a_global_number_is_the_same_in_every_context(context):
    _, record = called(scene_of(), f"tel:+{LOCAL};phone-context={context}")
    assert (record.callee_billing, record.rate_prefix, record.sip_code) == (LOCAL, "44", 200)


def test_a_local_number_of_a_domain_of_ours_is_taken_as_it_is():
    _, record = called(scene_of(), f"tel:{LOCAL};phone-context=Example.ORG.")
    assert (record.callee_billing, record.callee_in, record.sip_code) == (LOCAL, LOCAL, 200)


def test_the_domain_of_a_phone_or_trunk_is_one_of_ours():
    other = mapping_gateway("tenant", credentials=credentials("tenant", "secret", domain="tenant.example"))
    given = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), other, vendor_gateway(0)])
    scene = Scene(given)
    _, record = called(scene, f"tel:{CALLEE};phone-context=tenant.example")
    assert record.sip_code == 200


@pytest.mark.parametrize(
    ("context", "status", "why_not"),
    [
        ("example.com", 404, "phone-context example.com is none of routing.local_domains"),
        ("sub.example.org", 404, "phone-context sub.example.org is none of routing.local_domains"),
        ("+", 404, "phone-context + is no number"),
        ("+49x", 404, "phone-context +49x is no number"),
    ],
)
def test_a_local_number_of_another_context_is_refused_and_its_record_says_why(context, status, why_not):
    call, record = called(scene_of(), f"tel:{LOCAL};phone-context={context}")
    assert call.final == status
    assert (record.sip_code, record.end_reason, record.callee_in) == (status, "No Available Route", LOCAL)
    assert (record.mapping_gateway, why(record)["refusal"]) == ("acme", why_not)
    found = explain(f"{LOCAL};phone-context={context}")
    assert (found.result, found.detail) == ("No Available Route", why_not)


@pytest.mark.parametrize("context", ["+49", "example.com", "+"])
def test_an_emergency_number_is_the_same_in_every_context(context):
    _, record = called(scene_of(), f"tel:112;phone-context={context}")
    assert record.callee_billing == "112"
    assert explain(f"112;phone-context={context}").callee_billed == "112"


def test_the_context_comes_behind_the_tech_prefix():
    scene = scene_of(tech_prefix="99")
    _, record = called(scene, f"tel:99{LOCAL};phone-context=+49")
    assert (record.callee_in, record.callee_billing) == (f"99+49{LOCAL}", f"49{LOCAL}")
    assert is_routed_alike(scene, record)


def explain(callee: str):
    given = content()
    return explain_route(
        given, idle_state(given, None), gateway="acme", caller="1", callee=callee, at=Instant(0, 1_790_000_000_000)
    )


def test_route_explain_takes_the_context_behind_the_number():
    found = explain(f"{LOCAL};phone-context=+49")
    assert (found.result, found.callee_billed, found.candidates[0].callee_out) == ("ok", f"49{LOCAL}", f"+49{LOCAL}")
    assert explain(f"{LOCAL};phone-context=example.org").callee_billed == LOCAL


def test_the_calling_number_is_global_too():
    scene = scene_of()
    call = OutgoingCall(
        scene.caller,
        CALLEE,
        Intent(headers=("P-Asserted-Identity: <tel:205-5551234;phone-context=+1>",), hang_up_after_ms=1_000),
    )
    scene.caller.calls[call.call_id] = call
    call.invite()
    scene.wire.run_until(lambda: call.is_over, within_ms=60_000)
    assert scene.record.caller_out == "+12055551234"


@pytest.mark.parametrize(
    ("context", "status", "called_number", "dialled", "rate_prefix"),
    [
        ("+49", 202, f"+49{LOCAL}", f"+49{LOCAL}", "49"),
        ("example.org", 202, LOCAL, LOCAL, "44"),
        ("x.org", 404, CALLEE, LOCAL, None),
    ],
)
def test_the_target_of_a_transfer_has_its_context(context, status, called_number, dialled, rate_prefix):
    scene = scene_of()
    call, _ = scene.talk()
    call.ask("REFER", headers=[f"Refer-To: <tel:{LOCAL};phone-context={context}>"])
    scene.wire.run_for(2_000)
    assert call.got["REFER"] == [status]
    assert scene.vendor.calls[-1].invite.start_line.startswith(f"INVITE sip:{called_number}@")
    for each in (*scene.vendor.calls, *([call] if status != 202 else [])):
        each.hang_up()
    scene.wire.run_for(60_000)
    [record] = [each for each in scene.exchange.sink.records if each.callee_in != CALLEE]
    assert (record.callee_in, record.rate_prefix) == (dialled, rate_prefix)
