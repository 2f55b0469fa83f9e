"""Visual separators in numbers (RFC 3966 section 5.1.1): no price, list, limit or route depends on them."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, phone, rate_group
from doubles.lookup_scene import ADDRESS, SERVER, LookupScene, by_sip, content_of
from doubles.month_of_calls import past_of
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.messenger import MessagingTrunk, ask
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
        vendor_gateway(0, **{"prefixes": ("1",), **(vendor or {})}),
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
        ("sip:1%209005551234@192.0.2.1", "1 9005551234"),
        ("sip:%2B1%20900-555%201234@192.0.2.1", "+1 900-555 1234"),
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


AMBIGUOUS = (
    "1+9005551234", "1%2B9005551234", "1,9005551234", "1%2C900-555-1234", "++19005551234", "%2B%2B1900",
    "1*9005551234", "1%239005551234", "1-900-alice", "19w005551234", "%2B1,900", "1%00900", "1%0A900",
    "1%E2%80%90900", "1%D9%A9005551234", ",19005551234", "1'9005551234", "1%3B9005551234", "1%409005551234", "7001a",
)  # fmt: skip
"""Text in which prefixes see another number than a vendor who removes what is no digit."""


@pytest.mark.parametrize("dialled", AMBIGUOUS)
def test_text_that_begins_like_a_number_and_is_none_is_refused(dialled):
    anything = [
        rate_group(name, applied_rate("0.10", prefix="*"), applied_rate("0.20", prefix="1")) for name in ("sell", "buy")
    ]
    scene = scene_of(rate_groups=anything, vendor={"prefixes": ("*",)})
    record = called(scene, uri=f"sip:{dialled}@192.0.2.1")
    assert (record.end_reason, record.sip_code, scene.vendor.calls) == ("Number Not Allowed", 484, [])
    explained = explain_route(
        scene.exchange.switch.catalogue, scene.exchange.switch.live, gateway="acme", caller="1205",
        callee=record.callee_in, at=scene.exchange.clock.now(),
    )  # fmt: skip
    assert (explained.result, explained.candidates) == ("Number Not Allowed", [])
    simulation = Simulation(scene.exchange.switch.catalogue)
    simulation.add(past_of(record))
    assert simulation.to_json(10)["after"]["calls"] == 0


@pytest.mark.parametrize("dialled", ["19005551234#", "%2B19005551234", "1900-", "1900%20%20555"])
def test_a_number_that_all_read_alike_is_called(dialled):
    scene = scene_of()
    record = called(scene, uri=f"sip:{dialled}@192.0.2.1")
    assert (record.end_reason, record.rate_prefix) == ("Normal", "1900")


@pytest.mark.parametrize(("dialled", "code"), [(f"{DEAR}%23", 403), (f"{DEAR}**", 403), (f"1{DEAR}%23", 200)])
def test_a_denied_number_is_denied_with_signs_behind_it(dialled, code):
    scene = scene_of(acme={"numbers": IncomingNumbers(callee_deny=(DEAR,))})
    assert called(scene, uri=f"sip:{dialled}@192.0.2.1").sip_code == code


@pytest.mark.parametrize("dialled", ["anne.smith", "anne%20smith", "_x1900", "*21*1900%23", "%2331%23900"])
def test_a_name_or_a_code_has_the_price_and_the_route_of_any_number(dialled):
    sell = rate_group("sell", applied_rate("0.10", prefix="*"), applied_rate("0.20", prefix="1"))
    scene = scene_of(rate_groups=[sell], vendor={"prefixes": ("*",), "allow_unrated": True})
    assert called(scene, uri=f"sip:{dialled}@192.0.2.1").rate_prefix == "*"
    scene = scene_of(vendor={"prefixes": ("*",)})
    assert called(scene, uri=f"sip:{dialled}@192.0.2.1").rate_prefix is None


@pytest.mark.parametrize("dialled", ["1%209005551234", "1,9005551234", "1+9005551234", "1*9005551234"])
def test_no_sign_in_a_number_passes_a_section_a_list_or_a_class(dialled):
    dear = {
        "acme": {"numbers": IncomingNumbers(callee_deny=("1900*",))},
        "accounts": [msgspec.structs.replace(UNLIMITED, denied_prefixes=("1900",))],
    }
    for key, value in dear.items():
        scene = scene_of(**{key: value})
        assert called(scene, uri=f"sip:{dialled}@192.0.2.1").end_reason == "Number Not Allowed"
        assert called(scene).end_reason == "Number Not Allowed"
        assert scene.vendor.calls == []


def test_a_phone_whose_number_has_a_sign_is_called_and_no_number_behind_it():
    scene = scene_of(phones=[phone("1*01")])
    assert called(scene, "1*01").end_reason == "Unavailable"
    assert called(scene, "1*011").sip_code == 484


@pytest.mark.parametrize(
    ("dialled", "code", "sent_to"),
    [
        ("0+19005551234", 200, "+19005551234"), ("9#19005551234", 200, "19005551234"), ("0,19005551234", 484, None),
        ("01*9005551234", 484, None), ("0++1900", 484, None), ("77", 200, "1900"), ("1900F", 200, "1900"),
        ("1,900F", 484, None),
    ],
)  # fmt: skip
def test_rules_may_remove_signs_and_what_they_leave_must_be_a_number(dialled, code, sent_to):
    rules = (("0", ""), ("9#", ""), ("77", "1-900"), ("~F$", ""))
    scene = scene_of(acme={"numbers": IncomingNumbers(callee_rewrite=rules)})
    record = called(scene, uri=f"sip:{dialled.replace('#', '%23')}@192.0.2.1")
    assert (record.sip_code, record.callee_out) == (code, sent_to)
    if sent_to:
        assert (record.rate_prefix, sent(scene)[0]) == ("1900", sent_to)


def test_lists_see_the_digits_of_a_number_that_rules_will_shorten():
    scene = scene_of(acme={"numbers": IncomingNumbers(callee_deny=("01900*",), callee_rewrite=(("0", ""),))})
    assert called(scene, "0+19005551234").end_reason == "Number Not Allowed"
    assert called(scene, "0+12055551234").end_reason == "Normal"


@pytest.mark.parametrize("dialled", ["01,9005551234", "01900F", "0,1+900"])
def test_lists_see_the_digits_of_text_that_rules_will_make_a_number_of(dialled):
    rules = (("~^0(1),(9.*)", r"\1\2"), ("~^0,(1).(9.*)", r"\1\2"), ("~^0(.*)F$", r"\1"))
    for denied, reason in (((), "Normal"), (("01900*",), "Number Not Allowed")):
        scene = scene_of(acme={"numbers": IncomingNumbers(callee_deny=denied, callee_rewrite=rules)})
        assert called(scene, dialled).end_reason == reason


WRITES_SIGNS = (
    ("44", "99#44"),
    ("1", "99*1"),
    ("49", "+99#49"),
    ("~^(33)(.*)$", r"99w\1*\2"),
    ("123#", "123#"),
    ("77", "$$#"),
)


@pytest.mark.parametrize(
    ("dialled", "sent_to"),
    [
        ("4420", "99#4420"), ("+4420", "99#4420"), ("44-20#", "99#4420#"), ("19005551234", "99*19005551234"),
        ("4930", "+99#4930"), ("3311", "99w33*11"), ("123#4420", "123#4420"), ("7712", "77#12"),
        ("441,900", None), ("44#20", None), ("44+20", None), ("4420a", None), ("1*900", None), ("49**1", None),
        ("331*2", None), ("123#4#4", None), ("124#4420", None), ("77#1", None),
    ],
)  # fmt: skip
def test_signs_that_rules_write_pass_and_no_others_with_them(dialled, sent_to):
    anything = [rate_group(name, applied_rate("0.10", prefix="*")) for name in ("sell", "buy")]
    acme = {"numbers": IncomingNumbers(callee_rewrite=WRITES_SIGNS)}
    scene = scene_of(acme=acme, vendor={"prefixes": ("*",)}, rate_groups=anything)
    record = called(scene, uri=f"sip:{dialled.replace('#', '%23')}@192.0.2.1")
    assert (record.sip_code, record.callee_out) == ((484, None) if sent_to is None else (200, sent_to))


@pytest.mark.parametrize("right", ["9", "9#", "9*0", "+9#", "9-"])
@pytest.mark.parametrize("dialled", AMBIGUOUS)
def test_a_rule_for_every_number_makes_no_ambiguous_text_a_number(dialled, right):
    scene = scene_of(acme={"numbers": IncomingNumbers(callee_rewrite=(("", right), ("1", f"{right}1")))})
    assert called(scene, uri=f"sip:{dialled}@192.0.2.1").sip_code == 484


@pytest.mark.parametrize("dialled", ["7001,1900", "70011,900", "7001++1900"])
def test_what_is_left_behind_a_tech_prefix_must_be_a_number(dialled):
    scene = scene_of(acme={"tech_prefix": "7001"})
    assert called(scene, dialled).sip_code == 484


@pytest.mark.parametrize(("dialled", "status"), [("1,900", 484), ("1+900", 484), ("1%20900", 200)])
def test_a_message_to_ambiguous_text_is_refused(dialled, status):
    made = [mapping_gateway("acme", f"{CUSTOMER.host}/32", messages_per_minute=600),
            vendor_gateway(0, dialect=CalleeDialect(messages=True), prefixes=("1",))]  # fmt: skip
    exchange = Exchange(catalogue(made), balances={"acme": 0})
    sender, vendor = (MessagingTrunk(exchange.wire, each, SWITCH) for each in (CUSTOMER, VENDORS[0]))
    assert ask(sender, "MESSAGE", dialled, body="Hi").answer.status == status
    assert [each.start_line for each in vendor.taken] == [f"MESSAGE sip:1900@{VENDORS[0]} SIP/2.0"] * (status == 200)


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
    call = scene.answered_call(Intent(caller=CALLER), callee="12515551234", talk_ms=1_000)
    call.ask("REFER", headers=["Refer-To: <tel:+1-900-555-1234>"])
    scene.wire.run_for(3_000)
    assert sent(scene)[0] == f"+{DEAR}"
    for each in scene.vendor.calls:
        each.hang_up()
    scene.wire.run_for(3_000)
    (record,) = [each for each in scene.exchange.sink.records if each.callee_in == "+1-900-555-1234"]
    assert (record.callee_billing, record.rate_prefix, record.vendor_rate_prefix) == (DEAR, "1900", "1900")


@pytest.mark.parametrize("target", ["sip:1,9005551234@x", "sip:1+9005551234@x", "tel:1%2C900"])
def test_a_transfer_to_ambiguous_text_is_refused(target):
    scene = scene_of()
    call = scene.answered_call(Intent(caller=CALLER), callee="12515551234", talk_ms=1_000)
    call.ask("REFER", headers=[f"Refer-To: <{target}>"])
    scene.wire.run_for(3_000)
    assert (len(scene.vendor.calls), scene.exchange.sink.records[-1].sip_code) == (1, 484)
    scene.hang_up(call, wait_ms=3_000)


@pytest.mark.parametrize(
    ("contact", "is_followed"),
    [("1-205-555-9999", True), ("1-900-555-1234", False), ("1,9005551234", False), ("1+9005551234", False)],
)
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


@pytest.mark.parametrize("contact", ["0011%2312515551234", "1*2515551234"])
def test_a_redirect_server_names_the_signs_of_a_vendor(contact):
    script = refuses(302, headers=(f"Contact: <sip:{contact}@{VENDORS[1]}>",))
    made = [vendor_gateway(index, prefixes=("1",), allow_unrated=True) for index in range(2)]
    groups = [rate_group("sell", applied_rate("9.00", prefix="1")), rate_group("buy", applied_rate("0.30", prefix="1"))]
    content = content_of(*made, rate_groups=groups, accounts=[UNLIMITED], redirect_server=RedirectTerms())
    scene = LookupScene(content, LookupSettings(redirect_server=ADDRESS), script)
    scene.dial("12515551234")
    assert scene.tried() == [("vendor-1", contact.replace("%23", "#"))]


@pytest.mark.parametrize("dialled", ["7001-1-900-5551234", "700.1+1-9005551234", "+7-0011(900)5551234"])
def test_the_tech_prefix_is_found_among_separators(dialled):
    scene = scene_of(acme={"tech_prefix": "7001"})
    record = called(scene, dialled)
    assert (record.callee_in, record.callee_billing, record.rate_prefix) == (dialled, DEAR, "1900")
    explained = explain_route(
        scene.exchange.switch.catalogue, scene.exchange.switch.live, gateway="acme", caller="1-205", callee=dialled,
        at=scene.exchange.clock.now(),
    )  # fmt: skip
    assert (explained.callee_billed, explained.caller_routed, explained.rate.rate_prefix) == (DEAR, "1205", "1900")
    simulation = Simulation(scene.exchange.switch.catalogue)
    simulation.add(past_of(record))
    found = simulation.to_json(10)
    assert (found["calls"], found["changed"], found["before"]) == (1, 0, found["after"])
