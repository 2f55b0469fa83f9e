"""An external redirect server as the source of routes, within whole calls."""

import pytest
from doubles.asking_steps import ScriptedAsker
from doubles.conformance import faults_of
from doubles.data.builders import account, applied_rate, phone, rate_group
from doubles.lookup_scene import ADDRESS, SERVER, LookupScene, content_of
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, VENDORS, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses
from structlog.testing import capture_logs

from vosd.callcontrol.number_tools import Redirected, WhereTo
from vosd.engine.lookups.availability import FAILURES, REST_MS
from vosd.engine.settings import LookupSettings
from vosd.routing.lookups import PortabilityTerms, RedirectTarget, RedirectTerms
from vosd.routing.plan import RoutingPlan
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.dialect import CalleeDialect, PortedNumber
from vosd.trunks.gateways import Address

OTHER = "442071111111"
SETTINGS = LookupSettings(redirect_server=ADDRESS)


def scene_of(script=None, *gateways, terms=None, **content):
    return LookupScene(content_of(*gateways, redirect_server=terms or RedirectTerms(), **content), SETTINGS, script)


def contacts(*values, status=302):
    return refuses(status, headers=tuple(f"Contact: {value}" for value in values))


def at(vendor, number=OTHER, params=""):
    return f"<sip:{number}@{VENDORS[vendor]}>{params}"


def settled(scene):
    scene.wire.run_for(40_000)
    assert len(scene.lookups.redirects) == 0
    scene.expect_nothing_left(within_ms=0)
    assert faults_of(scene.wire.packets, SWITCH) == []


@pytest.mark.parametrize(("status", "fail_open"), [(300, True), (301, True), (302, True), (302, False)])
def test_the_contact_names_gateway_and_number(status, fail_open):
    scene = scene_of(contacts(at(1), status=status), terms=RedirectTerms(fail_open=fail_open))
    assert scene.dial().final == 200
    assert scene.tried() == [("vendor-1", OTHER)]
    record = scene.exchange.sink.records[-1]
    assert (record.callee_in, record.callee_billing) == (CALLEE, CALLEE)
    settled(scene)


def test_contacts_are_tried_in_the_order_of_their_preference():
    scene = scene_of(contacts(at(0, "441", ";q=0.2"), at(1, "442", ";q=0.9")))
    scene.vendors[1].script = refuses(503)
    assert scene.dial().final == 200
    assert scene.tried() == [("vendor-1", "441"), ("vendor-0", "441")]
    settled(scene)


def test_several_contacts_in_one_line_and_one_for_the_same_place_twice():
    scene = scene_of(contacts(f"{at(1, '441')}, {at(1, '441')}, {at(1, '442')}"))
    scene.vendors[1].script = refuses(503)
    assert scene.dial().final == 503
    assert [name for name, _ in scene.tried()] == ["vendor-1", "vendor-1"]
    settled(scene)


@pytest.mark.parametrize("code", [404, 480])
def test_another_number_at_the_same_gateway_is_tried_after_a_refusal(code):
    scene = scene_of(contacts(at(1, "441", ";q=0.9"), at(1, "442", ";q=0.5"), at(1, "441", ";q=0.1")))
    scene.vendors[1].by_number = {"441": refuses(code), "442": answers(0)}
    assert scene.dial().final == 200
    assert [attempt.code for attempt in scene.exchange.sink.records[-1].attempts] == [code, 200]
    assert scene.tried()[-1] == ("vendor-1", "442")
    settled(scene)


@pytest.mark.parametrize(
    "script",
    [
        refuses(404),
        refuses(486),
        refuses(603),
        refuses(305, headers=(f"Contact: {at(1)}",)),
        refuses(302),
        contacts("<sip:44@198.51.100.200>"),
        contacts("<tel:44>"),
        contacts("garbage;;;<", "<>", "<sip:>"),
        contacts(f"<sip:44@{SWITCH}>"),
        contacts(f"<sip:44@{SERVER}>"),
        contacts(f"<sip:{VENDORS[1]}>"),
        contacts(f"<sip:{'4' * 200}@{VENDORS[1]}>"),
        SILENT,
        RINGS,
    ],
    ids=[
        "404", "486", "603", "305", "no contact", "unknown host", "no host", "garbage", "ourselves",
        "the server itself", "no number", "a long number", "silence", "ringing",
    ],
)  # fmt: skip
@pytest.mark.parametrize("fail_open", [True, False])
def test_any_other_answer_leaves_the_call_to_the_switch_or_refuses_it(script, fail_open):
    scene = scene_of(script, terms=RedirectTerms(fail_open=fail_open))
    began = scene.exchange.clock.now().mono
    call = scene.dial()
    assert call.final == (200 if fail_open else 503)
    record = scene.exchange.sink.records[-1]
    assert record.end_reason == ("Normal" if fail_open else "No Available Route")
    assert [each.gateway for each in record.attempts] == (["vendor-0"] if fail_open else [])
    assert scene.exchange.clock.now().mono - began < 5_000
    settled(scene)


@pytest.mark.parametrize("script", [SILENT, refuses(404)])
def test_the_switch_routes_an_emergency_call_itself_where_no_gateway_is_named(script):
    emergency = SpecialNumbers(emergency=frozenset({CALLEE}))
    scene = scene_of(script, terms=RedirectTerms(fail_open=False), special_numbers=emergency)
    assert scene.dial().final == 200
    assert scene.server.received("INVITE")
    settled(scene)


def test_the_request_is_no_offer_and_does_not_name_the_customer():
    scene = scene_of(contacts(at(1)))
    scene.dial(headers=("X-Secret: 1",))
    (invite,) = scene.server.received("INVITE")
    assert invite.start_line == f"INVITE sip:{CALLEE}@{SERVER} SIP/2.0"
    assert invite.body == ""
    assert invite["From"].startswith(f"<sip:12025550100@{SWITCH.host}>;tag=")
    assert invite["Max-Forwards"] == "69"
    assert "198.51.100.10" not in invite.data.decode()
    assert [each.method for each in scene.server.heard] == ["INVITE", "ACK"]


def test_a_server_that_answers_the_call_itself_is_hung_up():
    scene = scene_of(answers(0))
    assert scene.dial().final == 200
    assert scene.tried() == [("vendor-0", CALLEE)]
    assert [each.method for each in scene.server.heard if each.method] == ["INVITE", "ACK", "BYE"]
    settled(scene)


def test_an_answer_that_comes_too_late_changes_nothing():
    scene = scene_of(Script((Line(0, 100), Line(4_000, 302, "", (f"Contact: {at(1)}",))), accepts_cancel=False))
    assert scene.dial(hang_up_after_ms=10_000).final == 200
    assert scene.tried() == [("vendor-0", CALLEE)]
    assert "CANCEL" in [each.method for each in scene.server.heard]
    settled(scene)


def test_a_late_answer_to_an_abandoned_question_is_hung_up():
    scene = scene_of(Script((Line(0, 100), Line(4_000, 200)), accepts_cancel=False))
    assert scene.dial(hang_up_after_ms=10_000).final == 200
    assert "BYE" in [each.method for each in scene.server.heard]
    settled(scene)


def test_a_caller_that_gives_up_meanwhile_cancels_the_question():
    scene = scene_of(RINGS)
    assert scene.dial(cancel_after_ms=500).final == 487
    scene.wire.run_for(100)
    assert [each.method for each in scene.server.heard if each.method] == ["INVITE", "CANCEL", "ACK"]
    assert scene.exchange.sink.records[-1].end_reason == "Cancelled"
    settled(scene)


def test_a_gateway_that_is_named_must_meet_its_conditions_all_the_same():
    gateways = (vendor_gateway(0), vendor_gateway(1, enabled=False), vendor_gateway(2, max_concurrent=0))
    scene = scene_of(contacts(at(1), at(2)), *gateways)
    assert scene.dial().final == 503
    record = scene.exchange.sink.records[-1]
    assert (record.end_reason, record.attempts) == ("No Available Route", ())
    settled(scene)


@pytest.mark.parametrize(("fail_open", "final"), [(True, 200), (False, 503)])
def test_a_gateway_that_a_reload_adds_while_the_server_is_asked_counts_as_none(fail_open, final):
    """The call uses the definitions of its arrival, and is routed freely only where that is allowed."""
    terms, script = (
        RedirectTerms(fail_open=fail_open),
        Script((Line(0, 100), Line(1_000, 302, "", (f"Contact: {at(1)}",)))),
    )
    scene = scene_of(script, vendor_gateway(0), terms=terms)
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=500)
    scene.exchange.swap_catalogue(content_of(redirect_server=terms))
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == final


def test_the_vendor_is_paid_for_the_number_that_it_is_sent():
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    buy = rate_group("buy", applied_rate("0.30"), applied_rate("0.50", prefix="4470"))
    scene = scene_of(contacts(at(1, "447000")), accounts=[vendors], rate_groups=[buy])
    scene.dial()
    record = scene.exchange.sink.records[-1]
    assert (record.rate_prefix, record.vendor_rate_prefix) == ("44", "4470")


@pytest.mark.parametrize(
    ("named", "prefix"),
    [("00" + CALLEE, "44"), (f"+00{CALLEE}", "44"), ("00" + OTHER, "*"), (CALLEE, "44")],
    ids=["as dialled", "with a plus sign", "another number", "without routing prefix"],
)
def test_the_routing_prefix_is_no_part_of_the_rated_number_where_the_server_names_the_dialled_one(named, prefix):
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    buy = rate_group("buy", applied_rate("0.30", prefix="44"), applied_rate("0.90", prefix="*"))
    scene = scene_of(
        contacts(at(1, named)),
        accounts=[vendors],
        rate_groups=[rate_group("sell", applied_rate("0.95")), buy],
        special_numbers=SpecialNumbers(strip_digits=2),
    )
    assert scene.dial("00" + CALLEE).final == 200
    record = scene.exchange.sink.records[-1]
    assert scene.tried() == [("vendor-1", named)]
    assert (record.rate_prefix, record.callee_billing) == ("44", CALLEE)
    assert record.vendor_rate_prefix == prefix


def test_the_vendor_is_paid_by_the_routing_number_where_the_server_names_the_dialled_one():
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    rates = [
        rate_group("sell", applied_rate("0.95", prefix="33")),
        rate_group("buy", applied_rate("0.30", prefix="33")),
    ]
    terms = PortabilityTerms(rate_by_routing_number=True)
    customer = {"accept_routing_number": True}
    made = {"accounts": [vendors], "rate_groups": rates, "number_portability": terms, "customer": customer}
    scene = scene_of(contacts(at(1, CALLEE)), **made)
    assert scene.dial(f"{CALLEE};npdi;rn=33999").final == 200
    record = scene.exchange.sink.records[-1]
    assert (record.rate_prefix, record.vendor_rate_prefix) == ("33", "33")


@pytest.mark.parametrize(
    ("form", "sent"), [(PortedNumber.ROUTING, "33999"), (PortedNumber.PARAMETERS, f"{CALLEE};npdi;rn=33999")]
)
def test_a_ported_number_is_sent_as_its_vendor_wants_it_where_the_server_names_the_dialled_one(form, sent):
    wants = CalleeDialect(ported_number=form)
    vendors = [vendor_gateway(index, dialect=wants) for index in range(2)]
    scene = scene_of(contacts(at(1, CALLEE), at(1, OTHER)), *vendors, customer={"accept_routing_number": True})
    scene.vendors[1].script = refuses(503)
    scene.dial(f"{CALLEE};npdi;rn=33999")
    of_dialled, of_other = [call.invite.start_line for call in scene.vendors[1].calls]
    assert of_dialled == f"INVITE sip:{sent}@{VENDORS[1]} SIP/2.0"
    assert of_other == f"INVITE sip:{OTHER}@{VENDORS[1]} SIP/2.0"


def test_a_gateway_that_is_named_and_would_lose_money_is_left_out():
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    buy = rate_group("buy", applied_rate("0.30"), applied_rate("1.20", prefix="4470"))
    scene = scene_of(contacts(at(1, "447000"), at(0, "4420")), accounts=[vendors], rate_groups=[buy])
    assert scene.dial().final == 200
    assert scene.tried()[-1] == ("vendor-0", "4420")
    assert len(scene.vendors[1].calls) == 0


def test_a_gateway_that_is_named_must_be_one_of_the_routing_plan():
    plan = RoutingPlan("narrow", gateways=frozenset({"vendor-0"}))
    for targets, tried in (((at(1), at(0)), ["vendor-0"]), ((at(1),), [])):
        scene = scene_of(contacts(*targets), plans=[plan], customer={"routing_plan": "narrow"})
        assert scene.dial().final == (200 if tried else 503)
        assert [name for name, _ in scene.tried()] == tried


def test_of_several_gateways_at_a_host_the_port_tells_them_apart():
    host, port = VENDORS[1]
    twin = vendor_gateway(2, addresses=(ADDRESS._replace(host=host, port=port + 1),))
    scene = scene_of(contacts(f"<sip:{OTHER}@{host}:{port}>"), vendor_gateway(0), twin, vendor_gateway(1))
    scene.dial()
    assert scene.tried() == [("vendor-1", OTHER)]


def test_a_host_alone_names_the_gateway_at_another_port():
    scene = scene_of(contacts(f"<sip:{OTHER}@{VENDORS[1].host}>"))
    assert VENDORS[1].port != 5060
    scene.dial()
    assert scene.tried() == [("vendor-1", OTHER)]


def test_a_customer_and_a_phone_of_ours_may_be_exempt():
    scene = scene_of(contacts(at(1)), customer={"ask_redirect_server": False})
    scene.dial()
    assert scene.tried() == [("vendor-0", CALLEE)]
    scene = scene_of(contacts(at(1)), phones=[phone(CALLEE)])
    assert scene.dial().final == 480
    assert scene.server.heard == []


def test_a_server_that_is_silent_is_left_alone_for_a_while():
    scene = scene_of(SILENT)
    with capture_logs() as logs:
        for _ in range(FAILURES):
            scene.dial()
        asked = len({each["Call-ID"] for each in scene.server.received("INVITE")})
        began = scene.exchange.clock.now().mono
        assert scene.dial().final == 200
        assert scene.exchange.clock.now().mono - began < 3_000, "the call did not wait for the server"
        assert len({each["Call-ID"] for each in scene.server.received("INVITE")}) == asked == FAILURES
        scene.wire.run_for(REST_MS)
        scene.dial(script=contacts(at(1)))
    assert scene.tried() == [("vendor-1", OTHER)]
    assert [(each["event"], each["service"]) for each in logs if "lookup" in each["event"]] == [
        ("lookup_service_down", "redirect_server"),
        ("lookup_service_up", "redirect_server"),
    ]
    settled(scene)


@pytest.mark.parametrize("ahead_ms", [0, 40])
def test_a_server_that_is_silent_is_one_also_where_the_time_of_the_call_is_over_first(ahead_ms):
    """A switch that is busy asks a moment after the arrival of the call, from which its time counts."""
    scene = scene_of(SILENT)
    scene.clock.ahead_ms = ahead_ms
    for number in range(FAILURES):
        assert scene.lookups.redirects.availability.failed_total == number
        assert scene.dial().final == 200
    assert scene.lookups.redirects.availability.rests(scene.clock.now().mono)
    settled(scene)


def test_a_server_that_is_asked_again_after_a_restart_for_the_rest_of_a_calls_time_is_not_silent():
    scene = scene_of(SILENT)
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=1_500)
    (asked,) = scene.lookups.redirects._open
    scene.lookups.redirects.cancel(asked)
    assert scene.lookups.ask(asked, WhereTo(CALLEE, "12025550100", 69, 2_000)) is None
    scene.wire.run_until(lambda: call.is_over, within_ms=120_000)
    assert scene.lookups.redirects.availability.failed_total == 0
    settled(scene)


def test_a_reload_may_take_the_server_away():
    scene = scene_of(contacts(at(1)))
    scene.lookups.adjust(LookupSettings())
    assert scene.dial().final == 200
    assert scene.tried() == [("vendor-0", CALLEE)]
    assert scene.server.heard == []


@pytest.mark.parametrize("ahead_ms", [0, 40])
def test_what_the_server_before_a_reload_does_not_answer_says_nothing_about_the_next_one(ahead_ms):
    """A server is replaced because it is silent: calls wait for it at that moment."""
    scene = scene_of(SILENT)
    scene.clock.ahead_ms = ahead_ms
    for _ in range(FAILURES):
        scene.begun_call(Intent(hang_up_after_ms=1_000))
    scene.wire.run_for(500)
    assert len(scene.lookups.redirects) == FAILURES
    scene.lookups.adjust(LookupSettings(redirect_server=Address(*VENDORS[2])))
    settled(scene)
    assert scene.lookups.redirects.availability.failed_total == 0
    assert not scene.lookups.redirects.availability.rests(0)


def test_a_late_answer_of_the_server_before_a_reload_does_not_wake_the_next_one():
    scene = scene_of(refuses(302, 1_000, headers=(f"Contact: {at(1)}",)))
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=500)
    scene.lookups.adjust(LookupSettings(redirect_server=Address(*VENDORS[2])))
    available = scene.lookups.redirects.availability
    for _ in range(FAILURES):
        available.failed("no answer in time", scene.clock.now())
    scene.wire.run_until(lambda: call.final == 200)
    assert available.rests(scene.clock.now().mono)
    scene.wire.run_until(lambda: call.is_over)
    assert scene.tried() == [("vendor-1", OTHER)]
    settled(scene)


def test_a_call_that_was_redirected_goes_on_in_another_switch():
    scene = scene_of(contacts(at(1)))
    scene.vendors[1].script = answers(5_000)
    call = scene.begun_call(after_ms=1_000)
    assert len(scene.vendors[1].calls) == 1
    replace_node(scene)
    scene.wire.run_until(lambda: call.final == 200)
    scene.hang_up(call)
    assert scene.exchange.sink.records[-1].callee_out == OTHER


def test_a_switch_that_takes_over_asks_the_open_question_again():
    scene = scene_of(RINGS)
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=200)
    assert len(scene.lookups.redirects) == 1
    asker = ScriptedAsker()
    scene.exchange.surroundings = scene.exchange.surroundings._replace(asker=asker)
    replace_node(scene)
    (asked,) = asker.asked
    assert asked.question == WhereTo(CALLEE, "12025550100", 69, 2_000)
    scene.exchange.take_answer(asked.ticket, Redirected((RedirectTarget("vendor-1", OTHER),)))
    scene.wire.run_until(lambda: call.is_over)
    assert scene.tried() == [("vendor-1", OTHER)]
    assert scene.exchange.leftovers() == {}
