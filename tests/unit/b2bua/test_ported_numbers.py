"""Ported numbers within whole calls: which number is routed, rated, shown and sent."""

import msgspec
import pytest
from doubles.conformance import faults_of
from doubles.data.builders import account, applied_rate, phone, rate_group, routing_gateway
from doubles.lookup_scene import SERVER, LookupScene, by_sip, content_of
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, VENDORS, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses
from structlog.testing import capture_logs

from vosd.engine.lookups.availability import FAILURES
from vosd.engine.settings import LookupSettings
from vosd.routing.lookups import PortabilityTerms
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.dialect import CalleeDialect, PortedNumber
from vosd.trunks.gateways import Address
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers

ASKS = PortabilityTerms(asks=True)
ROUTING = "4499"


def ported(number=ROUTING, status=302):
    return refuses(status, headers=(f"Contact: <sip:{CALLEE};npdi;rn={number}@{SERVER}>",))


NOT_PORTED = refuses(302, headers=(f"Contact: <sip:{CALLEE};npdi@{SERVER}>",))


def recipient(form=PortedNumber.DIALLED):
    """The gateway of the network that has the number; numbers that are not ported go to vendor-0."""
    host, port = VENDORS[1]
    return routing_gateway(
        "recipient", ROUTING, addresses=(Address(host, port),), account="carriers",
        dialect=CalleeDialect(ported_number=form),
    )  # fmt: skip


def scene_of(script=None, terms=ASKS, form=PortedNumber.DIALLED, settings=None, **content):
    whole = content_of(vendor_gateway(0), recipient(form), number_portability=terms, **content)
    return LookupScene(whole, by_sip() if settings is None else settings, script)


def settled(scene):
    scene.wire.run_for(40_000)
    assert len(scene.lookups.portability) == 0
    scene.expect_nothing_left(within_ms=0)
    assert faults_of(scene.wire.packets, SWITCH) == []


def asked(scene):
    return [each.start_line.split()[1].partition("@")[0] for each in scene.server.received("INVITE")]


UNUSABLE = {
    "no Contact": (),
    "a Contact that cannot be read": (f"Contact: <sip:{CALLEE}@{SERVER}",),
    "no number": (f"Contact: <sip:{CALLEE};npdi;rn=not-a-number@{SERVER}>",),
}


@pytest.mark.parametrize("headers", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize(("fail_open", "final"), [(True, 200), (False, 503)])
def test_an_answer_that_cannot_be_used_is_none_and_is_not_kept(headers, fail_open, final):
    scene = scene_of(refuses(302, headers=headers), PortabilityTerms(asks=True, fail_open=fail_open))
    for asked_before in range(FAILURES + 1):
        assert len(asked(scene)) == asked_before, "it lets no server rest that others ask, too"
        assert scene.dial().final == final
    assert scene.tried() == ([("vendor-0", CALLEE)] if fail_open else [])
    settled(scene)


def test_the_most_preferred_contact_of_an_answer_has_the_routing_number():
    plain, preferred = f"<sip:{CALLEE}@{SERVER}>;q=0.1", f"<sip:{CALLEE};npdi;rn={ROUTING}@{SERVER}>;q=0.9"
    scene = scene_of(refuses(302, headers=(f"Contact: {plain}", f"Contact: {preferred}")))
    assert scene.dial().final == 200
    assert scene.tried() == [("recipient", CALLEE)]
    settled(scene)


def test_a_customer_s_routing_number_that_cannot_be_used_is_looked_up():
    scene = scene_of(ported(), customer={"accept_routing_number": True})
    assert scene.dial(f"{CALLEE};npdi;rn=not-a-number").final == 200
    assert scene.tried() == [("recipient", CALLEE)]
    assert len(asked(scene)) == 1
    settled(scene)


@pytest.mark.parametrize("status", [300, 301, 302])
def test_a_ported_number_is_routed_by_its_routing_number_and_shown_as_dialled(status):
    scene = scene_of(ported(status=status))
    assert scene.dial().final == 200
    assert scene.tried() == [("recipient", CALLEE)]
    record = scene.exchange.sink.records[-1]
    assert (record.callee_in, record.callee_billing, record.rate_prefix) == (CALLEE, CALLEE, "44")
    assert record.routing_number == ROUTING
    assert asked(scene) == [f"sip:{CALLEE}"]
    settled(scene)


@pytest.mark.parametrize("script", [NOT_PORTED, refuses(404), refuses(604)])
def test_a_number_that_is_not_ported_is_routed_as_dialled(script):
    scene = scene_of(script, terms=PortabilityTerms(asks=True, fail_open=False))
    assert scene.dial().final == 200
    assert scene.tried() == [("vendor-0", CALLEE)]
    assert scene.exchange.sink.records[-1].routing_number is None
    settled(scene)


@pytest.mark.parametrize("script", [SILENT, RINGS, refuses(503), refuses(486), answers(0)])
@pytest.mark.parametrize("fail_open", [True, False])
def test_without_an_answer_the_call_is_routed_as_dialled_or_refused(script, fail_open):
    scene = scene_of(script, terms=PortabilityTerms(asks=True, fail_open=fail_open))
    assert scene.dial().final == (200 if fail_open else 503)
    record = scene.exchange.sink.records[-1]
    assert [each.gateway for each in record.attempts] == (["vendor-0"] if fail_open else [])
    assert record.end_reason == ("Normal" if fail_open else "No Available Route")
    settled(scene)


def test_an_emergency_number_is_not_looked_up():
    terms = PortabilityTerms(asks=True, fail_open=False)
    scene = scene_of(SILENT, terms=terms, special_numbers=SpecialNumbers(emergency=frozenset({CALLEE})))
    assert (scene.dial().final, asked(scene)) == (200, [])
    settled(scene)


def test_the_rates_may_be_those_of_the_routing_number():
    rates = [
        rate_group("sell", applied_rate("0.60"), applied_rate("1.20", prefix=ROUTING)),
        rate_group("buy", applied_rate("0.30"), applied_rate("0.90", prefix=ROUTING)),
    ]
    accounts = [account("acme"), account("carriers", rate_group="buy", overdraft_limit=None)]
    for by_routing_number, prefix in ((False, "44"), (True, ROUTING)):
        terms = PortabilityTerms(asks=True, rate_by_routing_number=by_routing_number)
        scene = scene_of(ported(), terms=terms, rate_groups=rates, accounts=accounts)
        scene.dial()
        record = scene.exchange.sink.records[-1]
        assert (record.rate_prefix, record.vendor_rate_prefix) == (prefix, prefix)
        assert record.callee_billing == (ROUTING if by_routing_number else CALLEE)
        assert record.callee_out == CALLEE


def test_a_call_without_rate_or_money_is_not_looked_up():
    for callee, payer, reason in (
        ("33142", account("acme"), "No Matching Rate"),
        (CALLEE, account("acme", rate_types=frozenset({"local"})), "Rate Type Not Allowed"),
        (CALLEE, account("acme", advance_s=3_600_000), "Insufficient Balance"),
    ):
        for fail_open in (True, False):
            terms = PortabilityTerms(asks=True, fail_open=fail_open)
            scene = scene_of(ported(), terms=terms, accounts=[payer])
            scene.dial(callee)
            assert scene.exchange.sink.records[-1].end_reason == reason
            assert asked(scene) == []
            settled(scene)


@pytest.mark.parametrize(
    "accounts",
    [
        [account("acme", advance_s=3_600_000, max_call_seconds=60)],
        [
            account("acme", advance_s=3_600_000, agent="reseller"),
            account("reseller", max_call_seconds=60, overdraft_limit=None),
        ],
    ],
    ids=["of its account", "of an agent"],
)
def test_a_call_is_looked_up_that_its_longest_duration_makes_affordable(accounts):
    scene = scene_of(ported(), accounts=accounts)
    assert scene.dial().final == 200
    assert scene.tried() == [("recipient", CALLEE)]
    settled(scene)


@pytest.mark.parametrize(
    ("form", "uri", "to"),
    [
        (PortedNumber.DIALLED, f"sip:{CALLEE}@{VENDORS[1]}", CALLEE),
        (PortedNumber.ROUTING, f"sip:{ROUTING}@{VENDORS[1]}", ROUTING),
        (PortedNumber.PARAMETERS, f"sip:{CALLEE};npdi;rn={ROUTING}@{VENDORS[1]}", CALLEE),
    ],
)
def test_each_gateway_is_sent_the_form_that_it_wants(form, uri, to):
    scene = scene_of(ported(), form=form)
    scene.dial()
    invite = scene.vendors[1].only_call.invite
    assert invite.start_line == f"INVITE {uri} SIP/2.0"
    assert f"<sip:{to}@" in invite["To"]
    settled(scene)


def test_a_plus_of_the_routing_number_is_sent_and_does_not_matter_for_prefixes():
    scene = scene_of(ported(f"+{ROUTING}"), form=PortedNumber.PARAMETERS)
    scene.dial()
    assert scene.vendors[1].only_call.invite.start_line.startswith(f"INVITE sip:{CALLEE};npdi;rn=+{ROUTING}@")


def test_an_answer_is_kept_for_its_time():
    scene = scene_of(ported(), settings=by_sip(cache_ttl_s=60))
    for _ in range(3):
        scene.dial()
    assert len(asked(scene)) == 1
    assert {each for each, _ in scene.tried()} == {"recipient"}
    scene.wire.run_for(60_000)
    scene.dial(script=NOT_PORTED)
    scene.dial(script=ported())
    assert len(asked(scene)) == 2
    assert scene.tried() == [("vendor-0", CALLEE)], "that it is not ported is kept, too"


def test_the_number_of_answers_that_are_kept_is_bounded():
    scene = scene_of(NOT_PORTED, settings=by_sip(cache_entries=2))
    for number in ("441", "442", "443", "441"):
        scene.dial(number)
    assert [each.removeprefix("sip:") for each in asked(scene)] == ["441", "442", "443", "441"]
    scene = scene_of(NOT_PORTED, settings=by_sip(cache_entries=0))
    scene.dial()
    scene.dial()
    assert len(asked(scene)) == 2


def test_calls_to_the_same_number_share_a_lookup():
    scene = scene_of(Script((Line(0, 100), Line(500, 302, "", (f"Contact: <sip:{CALLEE};npdi;rn={ROUTING}@x>",)))))
    calls = [scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000)) for _ in range(3)]
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    assert len(asked(scene)) == 1
    assert [each.routing_gateway for each in scene.exchange.sink.records] == ["recipient"] * 3
    settled(scene)


def test_a_lookup_that_no_call_waits_for_any_more_fills_the_cache():
    scene = scene_of(Script((Line(0, 100), Line(500, 302, "", (f"Contact: <sip:{CALLEE};npdi;rn={ROUTING}@x>",)))))
    assert scene.dial(cancel_after_ms=100).final == 487
    scene.wire.run_for(1_000)
    scene.dial(script=SILENT)
    assert scene.tried() == [("recipient", CALLEE)]
    assert len(asked(scene)) == 1
    settled(scene)


def test_an_answer_that_comes_after_the_deadline_is_not_used():
    late = Line(1_500, 302, "", (f"Contact: <sip:{CALLEE};npdi;rn={ROUTING}@x>",))
    scene = scene_of(Script((Line(0, 100), late), accepts_cancel=False))
    assert scene.dial(hang_up_after_ms=5_000).final == 200
    assert scene.tried() == [("vendor-0", CALLEE)]
    settled(scene)


def test_a_server_that_is_silent_is_left_alone_for_a_while():
    scene = scene_of(SILENT)
    with capture_logs() as logs:
        for number in range(FAILURES + 1):
            scene.dial(f"4420{number}")
    assert len({each["Call-ID"] for each in scene.server.received("INVITE")}) == FAILURES
    assert [each["service"] for each in logs if each["event"] == "lookup_service_down"] == ["number_portability"]
    assert scene.lookups.portability.availability.failed_total == FAILURES
    settled(scene)


def test_numbers_of_one_customer_that_the_server_fails_at_do_not_keep_it_from_those_of_others():
    scene = scene_of(refuses(500))
    for number in range(FAILURES + 1):
        scene.dial(f"4420{number}")
    assert len(asked(scene)) == FAILURES, "that customer waits"
    available, now = scene.lookups.portability.availability, scene.clock.now()
    assert not available.rests(now.mono, "other")
    available.failed("status 500", now, "other")
    assert available.rests(now.mono, "third"), "it fails at the numbers of several"
    available.answered()
    for _ in range(FAILURES):
        available.failed("status 500", now, "third")
    assert [each for each in ("customer", "other", "third") if available.rests(now.mono, each)] == ["third"]
    settled(scene)


def test_a_server_that_answers_between_failures_is_not_left_alone():
    scene = scene_of(SILENT)
    for turn in range(3):
        for number in range(FAILURES - 1):
            scene.dial(f"4420{turn}{number}", script=SILENT)
        scene.dial(f"4430{turn}", script=NOT_PORTED)
    assert len(set(asked(scene))) == 3 * FAILURES
    settled(scene)


def test_another_server_of_a_reload_is_asked_although_the_earlier_one_was_silent():
    scene = scene_of(SILENT)
    for number in range(FAILURES):
        scene.dial(f"4420{number}")
    scene.lookups.adjust(by_sip(timeout_ms=900))
    for number in range(FAILURES - 1):
        scene.dial(f"4430{number}")
    scene.dial(script=ported())
    assert scene.tried() == [("recipient", CALLEE)]
    settled(scene)


def test_a_late_answer_of_the_server_before_a_reload_says_nothing_about_the_next_one():
    scene = scene_of(Script((Line(0, 100), Line(500, 404))))
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=100)
    scene.lookups.adjust(by_sip(timeout_ms=900))
    available = scene.lookups.portability.availability
    for _ in range(FAILURES):
        available.failed("no answer in time", scene.clock.now())
    scene.wire.run_until(lambda: call.final == 200)
    assert available.rests(scene.clock.now().mono)
    scene.wire.run_until(lambda: call.is_over)
    settled(scene)


def test_a_server_that_refuses_numbers_is_asked_for_the_next_one():
    scene = scene_of(refuses(484))
    for number in range(FAILURES + 1):
        scene.dial(f"4420{number}")
    assert len(asked(scene)) == FAILURES + 1
    assert scene.lookups.portability.availability.failed_total == FAILURES + 1
    settled(scene)


@pytest.mark.parametrize("callee", ["44abc", "44%2a1", "44%D9%A3"])
def test_what_is_no_number_is_not_looked_up(callee):
    scene = scene_of(ported())
    scene.dial(callee)
    assert asked(scene) == []
    settled(scene)


@pytest.mark.parametrize("ending", ["#", "*", "*#"])
def test_a_number_with_signs_behind_it_is_looked_up_without_them(ending):
    """Else its caller would choose between the price of the dialled and that of the routing number."""
    sell = rate_group("sell", applied_rate("0.10"), applied_rate("6.00", prefix=ROUTING))
    terms = PortabilityTerms(asks=True, rate_by_routing_number=True)
    scene = scene_of(ported(), terms=terms, rate_groups=[sell])
    scene.dial(f"{CALLEE}{ending.replace('#', '%23')}")
    assert asked(scene) == [f"sip:{CALLEE}"]
    assert scene.tried() == [("recipient", CALLEE + ending)]
    assert scene.exchange.record.rate_prefix == ROUTING
    settled(scene)


def test_only_numbers_with_the_prefixes_are_looked_up_and_none_of_our_phones():
    scene = scene_of(ported(), terms=PortabilityTerms(asks=True, prefixes=("4470", "1")))
    scene.dial()
    scene.dial("447012")
    assert asked(scene) == ["sip:447012"]
    scene = scene_of(ported(), phones=[phone(CALLEE)])
    assert scene.dial().final == 480
    assert asked(scene) == []


def test_a_customer_may_be_exempt():
    scene = scene_of(ported(), customer={"ask_number_portability": False})
    scene.dial()
    assert (asked(scene), scene.tried()) == ([], [("vendor-0", CALLEE)])


def test_a_reload_may_name_another_server_whose_answers_count_from_then_on():
    scene = scene_of(ported())
    scene.dial()
    scene.lookups.adjust(by_sip(timeout_ms=900))
    scene.dial(script=NOT_PORTED)
    assert scene.tried() == [("vendor-0", CALLEE)]
    scene.lookups.adjust(LookupSettings())
    scene.dial(script=ported())
    assert scene.tried() == [("vendor-0", CALLEE)]
    assert len(asked(scene)) == 2


def test_the_number_is_looked_up_as_rewritten_and_sent_as_the_gateway_rewrites_it():
    content = content_of(
        vendor_gateway(0),
        msgspec.structs.replace(recipient(), numbers=OutgoingNumbers(callee_rewrite=(("44", "00"),))),
        number_portability=ASKS,
        customer={"numbers": IncomingNumbers(callee_rewrite=(("0", "44"),))},
    )
    scene = LookupScene(content, by_sip(), ported())
    assert scene.dial("02079").final == 200
    assert asked(scene) == ["sip:442079"]
    assert scene.tried() == [("recipient", "002079")]
    assert scene.exchange.sink.records[-1].callee_billing == "442079"


def test_a_denied_prefix_is_one_of_the_routing_number():
    denying = msgspec.structs.replace(recipient(), denied_prefixes=(CALLEE[:5],))
    scene = LookupScene(content_of(vendor_gateway(0), denying, number_portability=ASKS), by_sip(), ported())
    scene.dial()
    assert scene.tried() == [("recipient", CALLEE)]
    denying = msgspec.structs.replace(recipient(), denied_prefixes=(ROUTING,))
    scene = LookupScene(content_of(vendor_gateway(0), denying, number_portability=ASKS), by_sip(), ported())
    scene.dial()
    assert scene.tried() == [("vendor-0", CALLEE)]


# -- routing numbers that customers send ----------------------------------------------------------------------------


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize("terms", [ASKS, None])
def test_a_routing_number_of_a_customer_counts_only_where_it_may_choose_the_route(accepts, terms):
    scene = scene_of(NOT_PORTED, terms=terms, customer={"accept_routing_number": accepts})
    assert scene.dial(f"{CALLEE};npdi;rn=+{ROUTING}").final == 200
    assert scene.tried() == [("recipient" if accepts else "vendor-0", CALLEE)]
    assert len(asked(scene)) == (terms is not None and not accepts)
    record = scene.exchange.sink.records[-1]
    assert (record.callee_in, record.callee_billing) == (CALLEE, CALLEE)


def test_a_routing_number_of_a_customer_routes_no_emergency_number():
    emergency = SpecialNumbers(emergency=frozenset({CALLEE}))
    scene = scene_of(customer={"accept_routing_number": True}, special_numbers=emergency)
    assert scene.dial(f"{CALLEE};npdi;rn=+{ROUTING}").final == 200
    assert scene.tried() == [("vendor-0", CALLEE)]


def test_a_number_that_the_customer_has_looked_up_is_not_looked_up_again():
    scene = scene_of(ported(), customer={"accept_routing_number": True})
    scene.dial(f"{CALLEE};npdi")
    assert (asked(scene), scene.tried()) == ([], [("vendor-0", CALLEE)])


def test_a_routing_number_without_the_word_that_it_was_looked_up_is_looked_up():
    scene = scene_of(NOT_PORTED, customer={"accept_routing_number": True})
    scene.dial(f"{CALLEE};rn={ROUTING}")
    assert (len(asked(scene)), scene.tried()) == (1, [("vendor-0", CALLEE)])
