"""Visual separators in numbers (RFC 3966 section 5.1.1): no price, list, limit or route depends on them."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, phone, rate_group
from doubles.lookup_scene import ADDRESS, SERVER, LookupScene, by_sip, content_of
from doubles.month_of_calls import past_of
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import answers, refuses

from vosd.admin.rerate import Rerating
from vosd.admin.routing import explain_route
from vosd.admin.simulate import Simulation
from vosd.billing.origin_rates import RateOrigin
from vosd.engine.settings import LookupSettings
from vosd.routing.lookups import PortabilityTerms, RedirectTerms
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import CallerLimits
from vosd.trunks.number_rules import IncomingNumbers

DEAR = "19005551234"
CALLER = "12055551234"
SELL = rate_group("sell", applied_rate("0.60", prefix="1"), applied_rate("6.00", prefix="1900"))
BUY = rate_group("buy", applied_rate("0.30", prefix="1"), applied_rate("3.00", prefix="1900"))
UNLIMITED = account("acme", overdraft_limit=None)


def content(*, acme=None, vendor=None, **more):
    gateways = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", **(acme or {})),
        vendor_gateway(0, prefixes=("1",), **(vendor or {})),
    ]
    return catalogue(gateways, **{"rate_groups": [SELL, BUY], "accounts": [UNLIMITED], **more})


def scene_of(**more):
    scene = Scene(content(**more))
    for vendor in scene.vendors:
        vendor.script = answers(100)
    return scene


def called(scene, callee=DEAR, caller=CALLER, uri="", **intent):
    """Make a call, by default of a minute, and return its record."""
    call = OutgoingCall(scene.caller, callee, Intent(caller=caller, **{"hang_up_after_ms": 60_000, **intent}))
    call.target = uri or call.target
    scene.caller.calls[call.call_id] = call
    call.invite()
    scene.wire.run_until(lambda: call.is_over, within_ms=120_000)
    return scene.exchange.sink.records[-1]


def sent(scene, vendor=0):
    """Return the user parts that a vendor was last sent: of the Request-URI, of To and of From."""
    invite = scene.vendors[vendor].calls[-1].invite
    return [text.partition("sip:")[2].partition("@")[0] for text in (invite.start_line, invite["To"], invite["From"])]


@pytest.mark.parametrize(
    ("uri", "received"),
    [
        ("sip:1-9005551234@switch", "1-9005551234"),
        ("sip:1-900-555-1234@192.0.2.1;user=phone", "1-900-555-1234"),
        ("sip:%2B1%2D900.555.1234@192.0.2.1", "+1-900.555.1234"),
        ("sip:1(900)5551234@192.0.2.1", "1(900)5551234"),
        ("tel:+1-900-555-1234", "+1-900-555-1234"),
        ("tel:+1(900)555.1234;phone-context=x", "+1(900)555.1234"),
    ],
)
def test_a_number_with_separators_is_sold_bought_and_sent_as_the_number_that_it_is(uri, received):
    scene = scene_of()
    record = called(scene, uri=uri)
    plus = "+" if received.startswith("+") else ""
    assert (record.rate_prefix, record.vendor_rate_prefix) == ("1900", "1900")
    assert (record.fee, record.cost) == (Decimal("6.00"), Decimal("3.00"))
    assert (record.callee_in, record.callee_billing, record.callee_out) == (received, DEAR, plus + DEAR)
    assert sent(scene) == [plus + DEAR, plus + DEAR, CALLER]
    again = Rerating(content(), compares_steps=True)
    again.add(past_of(record))
    assert (again.differences.differ, again.steps_differ) == (0, 0)


@pytest.mark.parametrize("dialled", ["1-900-alice", "1%20900", "1900-", "++1-900"])
def test_what_a_text_of_letters_blanks_or_two_signs_is_compared_as(dialled):
    scene = scene_of()
    record = called(scene, uri=f"sip:{dialled}@192.0.2.1")
    expected = {"1-900-alice": ("1-900-alice", "1"), "1%20900": ("1 900", "1"), "1900-": ("1900", "1900")}
    assert (record.callee_billing, record.rate_prefix) == expected.get(dialled, ("+1900", None))


@pytest.mark.parametrize(
    ("rules", "callee", "caller", "is_refused"),
    [
        ({"callee_deny": ("1900*",)}, "1-900-5551234", CALLER, True),
        ({"callee_allow": ("1205*",)}, "1-900-5551234", CALLER, True),
        ({"callee_allow": ("1900*",)}, "1-900-5551234", CALLER, False),
        ({"caller_deny": ("1205*",)}, DEAR, "1-205-5551234", True),
        ({"caller_deny": (CALLER,)}, DEAR, "+1.205.555.1234", True),
        ({"caller_deny": ("list:bad",)}, DEAR, "1-2055551234", True),
        ({"caller_allow": ("1205*",)}, DEAR, "1(205)5551234", False),
        ({"caller_deny": ("1-*",)}, DEAR, "1-alice", True),
    ],
)
def test_separators_pass_no_list(rules, callee, caller, is_refused):
    scene = scene_of(acme={"numbers": IncomingNumbers(**rules)}, number_lists={"bad": [CALLER]})
    assert called(scene, callee, caller).end_reason == ("Number Not Allowed" if is_refused else "Normal")


def test_the_calling_number_is_rewritten_rated_and_sent_without_separators():
    origins = (RateOrigin("interstate", "inter", prefixes=("1205",)),)
    sell = rate_group("sell", applied_rate("0.60", prefix="1"))
    sell.origins = origins
    inter = rate_group("inter", applied_rate("0.90", prefix="1"))
    scene = scene_of(rate_groups=[sell, inter, BUY], vendor={"allow_unrated": True})
    record = called(scene, "12515551234", "1-205-555-1234")
    assert (record.caller_in, record.caller_out, record.rate_group) == ("1-205-555-1234", CALLER, "inter")
    assert sent(scene)[2] == CALLER
    for past in (past_of(record), past_of(record)._replace(routing_gateway=None)):  # by what was sent, or received
        again = Rerating(scene.exchange.switch.catalogue)
        again.add(past)
        assert again.differences.differ == 0
    scene = scene_of(acme={"numbers": IncomingNumbers(caller_rewrite=(("1205", "44"),))})
    assert called(scene, DEAR, "1-205-555-1234").caller_out == "445551234"


def test_one_caller_is_counted_as_one_for_the_dynamic_blacklist():
    scene = scene_of(dynamic_blacklist=CallerLimits(frequency_limit=2))
    callers = (CALLER, "1-205-555-1234", "1-2055551234", "+1.205.555.1234")
    reasons = [called(scene, caller=caller, hang_up_after_ms=1_000).end_reason for caller in callers]
    assert reasons == ["Normal", "Normal", "Number Not Allowed", "Number Not Allowed"]


def test_a_phone_may_show_its_number_in_any_notation_and_is_reached_by_any():
    scene = scene_of(phones=[phone(DEAR)])
    assert called(scene, "1-900-5551234").end_reason == "Unavailable"
    gateway = phone(DEAR, f"{CUSTOMER.host}/32", credentials=None).gateway
    made = catalogue([gateway, vendor_gateway(0, prefixes=("1",))], rate_groups=[SELL, BUY], accounts=[UNLIMITED])
    assert called(Scene(made), CALLER, "1-900-555-1234").caller_out == DEAR


def test_signatures_over_the_numbers_stay_valid_and_pass():
    identity = "Identity: a.b.c;info=<https://cert.example/a.pem>"
    scene = scene_of()
    called(scene, "+1-900-555-1234", "+1-205-555-1234", headers=(identity,))
    invite = scene.vendor.calls[-1].invite
    assert sent(scene) == [f"+{DEAR}", f"+{DEAR}", f"+{CALLER}"]
    assert f"Identity: {invite['Identity']}" == identity


def test_the_target_of_a_transfer_is_rated_and_called_without_separators():
    scene = scene_of()
    call = scene.caller.call("12515551234", Intent(caller=CALLER))
    scene.wire.run_until(lambda: call.final == 200)
    scene.wire.run_for(1_000)
    call.ask("REFER", headers=["Refer-To: <tel:+1-900-555-1234>"])
    scene.wire.run_for(3_000)
    assert sent(scene)[0] == f"+{DEAR}"
    for each in scene.vendor.calls:
        each.hang_up()
    scene.wire.run_for(3_000)
    (record,) = [each for each in scene.exchange.sink.records if each.callee_in == "+1-900-555-1234"]
    assert (record.callee_billing, record.rate_prefix, record.vendor_rate_prefix) == (DEAR, "1900", "1900")


@pytest.mark.parametrize(("contact", "is_followed"), [("1-205-555-9999", True), ("1-900-555-1234", False)])
def test_a_vendor_cannot_redirect_to_a_dearer_number_by_separators(contact, is_followed):
    scene = scene_of(vendor={"dialect": CalleeDialect(redirects=Redirects.FOLLOW)})
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{contact}@{VENDORS[1]}>",))
    record = called(scene, "12515551234")
    assert (record.end_reason == "Normal", len(scene.vendors[1].calls)) == (is_followed, is_followed)
    if is_followed:
        assert (record.callee_out, sent(scene, 1)[0]) == ("12055559999", "12055559999")


def lookup_scene(script, settings, **terms):
    made = content_of(
        *(vendor_gateway(index, prefixes=("1",)) for index in range(2)),
        rate_groups=[rate_group("sell", applied_rate("9.00", prefix="1")), BUY],
        accounts=[UNLIMITED],
        **terms,
    )
    return LookupScene(made, settings, script)


def test_a_redirect_server_is_asked_and_understood_without_separators():
    script = refuses(302, headers=(f"Contact: <sip:+1-900-555-1234@{VENDORS[1]}>",))
    scene = lookup_scene(script, LookupSettings(redirect_server=ADDRESS), redirect_server=RedirectTerms())
    scene.dial("1-251-555-1234")
    assert scene.server.received("INVITE")[0].start_line == f"INVITE sip:12515551234@{SERVER} SIP/2.0"
    assert scene.tried() == [("vendor-1", f"+{DEAR}")]
    assert scene.exchange.sink.records[-1].vendor_rate_prefix == "1900"


def test_the_portability_of_a_number_with_separators_is_looked_up():
    script = refuses(302, headers=(f"Contact: <sip:1-251;npdi;rn=+1-900-555-0000@{SERVER}>",))
    scene = lookup_scene(script, by_sip(), number_portability=PortabilityTerms(asks=True, rate_by_routing_number=True))
    scene.dial("1-251-555-1234")
    assert scene.server.received("INVITE")[0].start_line == f"INVITE sip:12515551234@{SERVER} SIP/2.0"
    record = scene.exchange.sink.records[-1]
    assert (record.callee_billing, record.vendor_rate_prefix) == ("19005550000", "1900")


@pytest.mark.parametrize("dialled", ["7001-1-900-5551234", "700.1+1-9005551234", "+7-0011(900)5551234"])
def test_the_tech_prefix_is_found_among_separators(dialled):
    scene = scene_of(acme={"tech_prefix": "7001"})
    record = called(scene, dialled)
    assert (record.callee_in, record.callee_billing, record.rate_prefix) == (dialled, DEAR, "1900")
    explained = explain_route(
        scene.exchange.switch.catalogue, scene.exchange.switch.live, gateway="acme", caller="1-205", callee=dialled,
        at=scene.exchange.clock.now(),
    )  # fmt: skip
    assert (explained.callee_billed, explained.caller_routed, explained.rate.rate.prefix) == (DEAR, "1205", "1900")
    simulation = Simulation(scene.exchange.switch.catalogue)
    simulation.add(past_of(record))
    found = simulation.to_json(10)
    assert (found["calls"], found["changed"], found["before"]) == (1, 0, found["after"])
