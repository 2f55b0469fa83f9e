"""Gateways that are bound to calendars: which of them take a call, and what is said of the others."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, phone, rate_group, routing_gateway

from vosd.base.calendar_use import CalendarUse
from vosd.base.clock import Instant
from vosd.base.margin import LossGuard
from vosd.billing.accounts import AccountType
from vosd.callcontrol.explain import PassedOver, explain_routes
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.routing.calendar import Calendar, CalendarEntry
from vosd.routing.pipeline import RouteRequest
from vosd.routing.plan import Criterion, RouteRow, RoutingPlan
from vosd.trunks.gateways import Address, PrefixMode
from vosd.trunks.number_rules import OutgoingNumbers

WORK = CalendarEntry(True, (0, 1, 2, 3, 4), 9 * 3_600, 18 * 3_600)
CHRISTMAS = date(2026, 12, 25)
CALENDARS = (
    Calendar("office", UTC, (WORK,), frozenset({CHRISTMAS})),
    Calendar("christmas", UTC, (CalendarEntry(first=CHRISTMAS, last=CHRISTMAS),)),
    Calendar("daytime", UTC, (CalendarEntry(from_s=8 * 3_600, until_s=20 * 3_600),)),
)


def explained(at, *gateways, phones=(), callee="442079460000", blocked=None, of=None, plan=None, **parameters):
    """``of`` are further fields of the request, ``plan`` is a plan of the customer."""
    plans = () if plan is None else (plan,)
    made = catalogue(gateways, phones=phones, calendars=CALENDARS, plans=plans, **parameters)
    live = LiveState(addresses_of=lambda gateway: gateway.addresses)
    live.blocks.called.update(blocked or {})
    wall_ms = round(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1_000)
    request = RouteRequest(**{"callee": callee, "caller": "", "at": Instant(60_000, wall_ms), **(of or {})})
    table = made.routes if plan is None else made.plans[plan.name]
    return explain_routes(request, table, live.occupancy, live.rests, LiveVendors(made, live))


def tried(*args, **options):
    return [each.routing_gateway for each in explained(*args, **options).candidates]


OFFICE, FESTIVE, DAILY, PLAIN = (
    routing_gateway(name, "44", calendar=name) for name in ("office", "christmas", "daytime", "")
)
PLAIN = msgspec.structs.replace(PLAIN, name="plain", account="plain", calendar=None)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-06-01T10:00", ["office", "plain"]),
        ("2026-06-01T08:30", ["daytime", "plain"]),
        ("2026-06-06T10:00", ["daytime", "plain"]),
        ("2026-06-06T22:00", ["plain"]),
        ("2026-12-25T10:00", ["christmas", "plain"]),
    ],
)
def test_the_closest_calendar_takes_the_calls(at, expected):
    assert tried(at, PLAIN, DAILY, FESTIVE, OFFICE) == expected


def test_each_of_the_others_is_left_with_the_word_and_the_reason():
    left = explained("2026-12-25T10:00", PLAIN, DAILY, FESTIVE, OFFICE).left
    assert {*left} == {
        PassedOver("daytime", "calendar: the calendar of another gateway fits more closely"),
        PassedOver("office", "calendar: office, Friday 2026-12-25 10:00 (UTC): not working by its date"),
    }


@pytest.mark.parametrize("plan", [None, RoutingPlan("own")])
def test_gateways_whose_prefix_does_not_fit_are_not_listed_as_left_out(plan):
    elsewhere = [routing_gateway(f"elsewhere-{number}", f"33{number}") for number in range(3)]
    found = explained("2026-06-01T10:00", *elsewhere, OFFICE, plan=plan)
    assert ([each.routing_gateway for each in found.candidates], found.left) == (["office"], ())


def test_the_calendar_comes_before_the_length_of_the_prefix():
    """An order of criteria that begins with the prefix is a plan's."""
    narrow = routing_gateway("narrow", "442079")
    assert tried("2026-06-01T10:00", narrow, OFFICE) == ["office", "narrow"]


@pytest.mark.parametrize("order", [(Criterion.PRIORITY,), (Criterion.WEIGHT,), (Criterion.PRIORITY, Criterion.COST)])
@pytest.mark.parametrize("blocked", [{}, {"elsewhere": "by ann"}])
def test_a_plan_without_calendar_in_its_order_leaves_out_less_close_calendars(order, blocked):
    cheap, dear = (msgspec.structs.replace(each, priority=place) for place, each in ((1, PLAIN), (2, FESTIVE)))
    gateways = (cheap, dear, msgspec.structs.replace(DAILY, priority=1))
    at, plan = "2026-12-25T10:00", RoutingPlan("own", order=order)
    found = explained(at, *gateways, plan=plan, blocked=blocked)
    names = [each.routing_gateway for each in found.candidates]
    assert (names if order[0] is Criterion.PRIORITY else sorted(names, reverse=True)) == ["plain", "christmas"]
    assert found.left == (PassedOver("daytime", "calendar: the calendar of another gateway fits more closely"),)
    ignoring = msgspec.structs.replace(plan, ignores_calendars=True)
    assert {*tried(at, *gateways, plan=ignoring, blocked=blocked)} == {"plain", "christmas", "daytime"}
    by_calendar = msgspec.structs.replace(ignoring, order=(Criterion.CALENDAR, *order))
    assert {*tried(at, *gateways, plan=by_calendar, blocked=blocked)} == {"plain", "christmas", "daytime"}
    assert tried("2026-06-01T22:00", *gateways, plan=plan, blocked=blocked) == ["plain"]


@pytest.mark.parametrize("blocked", [{}, {"elsewhere": "by ann"}])
@pytest.mark.parametrize(
    ("daily_priority", "expected"), [(1, ["daytime", "plain", "christmas"]), (2, ["plain", "christmas"])]
)
def test_behind_another_criterion_a_calendar_leaves_out_only_gateways_that_are_equal_by_it(
    daily_priority, expected, blocked
):
    festive, daily = (
        msgspec.structs.replace(each, priority=place) for each, place in ((FESTIVE, 2), (DAILY, daily_priority))
    )
    plan = RoutingPlan("own", order=(Criterion.PRIORITY, Criterion.CALENDAR))
    assert tried("2026-12-25T10:00", PLAIN, festive, daily, plan=plan, blocked=blocked) == expected


@pytest.mark.parametrize("blocked", [{}, {"elsewhere": "by ann"}])
@pytest.mark.parametrize(
    "order",
    [
        (Criterion.CALENDAR, Criterion.COST),
        (Criterion.COST,),
        (Criterion.CALENDAR, Criterion.PREFIX, Criterion.PRIORITY, Criterion.COST, Criterion.ROUND_ROBIN),
    ],
)
def test_further_criteria_decide_between_gateways_whose_calendars_fit_alike(order, blocked):
    prices = {"dear": "0.50", "cheap": "0.30"}
    gateways = [routing_gateway(name, "44", calendar="daytime") for name in prices]
    known = {
        "accounts": [account(name, type=AccountType.CLEARING, rate_group=name) for name in prices],
        "rate_groups": [rate_group(name, applied_rate(price)) for name, price in prices.items()],
    }
    found = tried("2026-06-01T10:00", *gateways, plan=RoutingPlan("own", order=order), blocked=blocked, **known)
    assert found == ["cheap", "dear"]


def test_with_the_strict_rule_gateways_without_calendar_are_out_while_a_calendar_fits():
    assert tried("2026-06-01T10:00", PLAIN, OFFICE, calendar_strict=True) == ["office"]
    assert tried("2026-06-06T10:00", PLAIN, OFFICE, calendar_strict=True) == ["plain"]
    assert tried("2026-06-06T10:00", PLAIN, calendar_strict=True) == ["plain"]


CLOSED = routing_gateway("closed", "44", calendar="office", calendar_use=CalendarUse.NOT_WORKING)
EVENING = "2026-06-01T21:00"


@pytest.mark.parametrize("blocked", [{}, {"elsewhere": "by ann"}])
@pytest.mark.parametrize("order", [None, (Criterion.PREFIX, Criterion.CALENDAR, Criterion.WEIGHT)])
def test_times_that_no_entry_names_are_closer_than_no_calendar_and_less_close_than_any_entry(order, blocked):
    plan = None if order is None else RoutingPlan("own", order=order)
    named = {"plan": plan, "blocked": blocked}
    assert tried(EVENING, PLAIN, CLOSED, OFFICE, **named) == ["closed", "plain"]
    assert tried("2026-06-06T10:00", PLAIN, CLOSED, OFFICE, DAILY, **named) == ["daytime", "plain"]
    strict = named if plan is None else {**named, "plan": msgspec.structs.replace(plan, calendar_strict=True)}
    assert tried(EVENING, PLAIN, CLOSED, calendar_strict=True, **strict) == ["closed"]
    assert tried("2026-06-01T10:00", PLAIN, CLOSED, calendar_strict=True, **strict) == ["plain"]


@pytest.mark.parametrize("blocked", [{}, {"elsewhere": "by ann"}])
def test_a_plan_without_calendar_in_its_order_leaves_out_times_that_no_entry_names_for_a_closer_calendar(blocked):
    plan = RoutingPlan("own", order=(Criterion.PRIORITY,))
    assert tried("2026-12-25T21:00", CLOSED, FESTIVE, plan=plan) == ["closed", "christmas"]  # both by the date
    assert tried("2026-06-06T10:00", CLOSED, DAILY, plan=plan, blocked=blocked) == ["daytime"]


def test_a_disabled_gateway_takes_the_calls_from_no_other():
    off = msgspec.structs.replace(FESTIVE, enabled=False)
    assert tried("2026-12-25T10:00", DAILY, off, PLAIN) == ["daytime", "plain"]


def test_a_blocked_gateway_takes_the_calls_from_no_other():
    assert tried("2026-12-25T10:00", DAILY, FESTIVE, PLAIN, blocked={"christmas": "by ann"}) == ["daytime", "plain"]


BEFORE_MS = 1_500_000_000_000
ORDERS = {
    "the usual order": RoutingPlan("own"),
    "the price before the calendar": RoutingPlan("own", order=(Criterion.COST, Criterion.CALENDAR)),
    "the priority before the calendar": RoutingPlan("own", order=(Criterion.PRIORITY, Criterion.CALENDAR)),
}


@pytest.mark.parametrize("plan", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize(
    ("terms", "of"),
    [
        ({"valid_to": BEFORE_MS}, {}),
        ({"denied_prefixes": ("4420",)}, {}),
        ({"denied_prefixes": ("4915",)}, {"routing_number": "4915"}),
        ({"partner": "twin"}, {"partner": "twin"}),
        ({}, {"allowed": frozenset({"daytime", "plain"}), "is_selective": True}),
        ({}, {"denied": frozenset({"christmas"}), "is_selective": True}),
    ],
    ids=["expired", "denied prefix", "denied routing number", "partner", "not allowed", "denied"],
)
def test_a_gateway_that_the_call_may_not_use_takes_it_from_no_other(terms, of, plan):
    gateways = [msgspec.structs.replace(each, prefixes=("*",), account="one") for each in (DAILY, FESTIVE, PLAIN)]
    gateways[1] = msgspec.structs.replace(gateways[1], **terms)
    assert tried("2026-12-25T10:00", *gateways, plan=plan, of=of) == ["daytime", "plain"]


VENDORS = [account(name, type=AccountType.CLEARING, rate_group=name) for name in ("unrated", "dear")]
RATES = [
    rate_group("unrated", applied_rate("0.30", prefix="49")),
    rate_group("dear", applied_rate("0.50", prefix="44")),
]
OF_SALE = {
    "currency": "USD",
    "sell_price": Decimal("0.40"),
    "guard": LossGuard(min_margin=Decimal(0), max_price_per_second=None),
}
NOT_FOR_THE_CALL = {
    "denied caller": {"numbers": OutgoingNumbers(caller_deny=("1*",))},
    "caller not allowed": {"numbers": OutgoingNumbers(caller_allow=("44*",))},
    "no buy rate": {"account": "unrated"},
    "loss": {"account": "dear"},
}


@pytest.mark.parametrize("plan", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("terms", NOT_FOR_THE_CALL.values(), ids=NOT_FOR_THE_CALL)
def test_a_gateway_that_may_not_take_the_caller_or_the_price_takes_the_call_from_no_other(terms, plan):
    gateways = [msgspec.structs.replace(each, prefixes=("*",), account="one") for each in (DAILY, FESTIVE, PLAIN)]
    gateways[1] = msgspec.structs.replace(gateways[1], **terms)
    known = {"of": {**OF_SALE, "caller": "1000"}, "plan": plan, "accounts": VENDORS, "rate_groups": RATES}
    found = explained("2026-12-25T10:00", *gateways, **known)
    assert [each.routing_gateway for each in found.candidates] == ["daytime", "plain"]
    assert [each.routing_gateway for each in found.left] == ["christmas"]
    gateways[1] = msgspec.structs.replace(FESTIVE, prefixes=("*",), account="one")
    assert tried("2026-12-25T10:00", *gateways, **known) == ["christmas", "plain"]


@pytest.mark.parametrize("terms", NOT_FOR_THE_CALL.values(), ids=NOT_FOR_THE_CALL)
def test_a_gateway_that_may_not_take_the_caller_or_the_price_ends_no_search(terms):
    ending = msgspec.structs.replace(PLAIN, name="ending", prefixes=("4420",), prefix_mode=PrefixMode.STOP, **terms)
    known = {"of": {**OF_SALE, "caller": "1000"}, "accounts": VENDORS, "rate_groups": RATES}
    assert tried("2026-12-25T10:00", ending, FESTIVE, **known) == ["christmas"]
    ending = msgspec.structs.replace(PLAIN, name="ending", prefixes=("4420",), prefix_mode=PrefixMode.STOP)
    assert tried("2026-12-25T10:00", ending, FESTIVE, **known) == ["ending"]


@pytest.mark.parametrize("plan", ORDERS.values(), ids=ORDERS)
def test_a_gateway_whose_media_the_caller_cannot_reach_takes_the_call_from_no_other(plan):
    six = {"addresses": (Address("2001:db8::66", 5060),)}
    known = {"of": {"mapping": "acme", "media_family": 4}, "plan": plan}
    acme = mapping_gateway("acme", "198.51.100.10/32")
    festive = msgspec.structs.replace(FESTIVE, **six)
    assert tried("2026-12-25T10:00", acme, DAILY, festive, PLAIN, **known) == ["daytime", "plain"]
    assert tried("2026-12-25T10:00", acme, DAILY, FESTIVE, PLAIN, **known) == ["christmas", "plain"]
    ending = msgspec.structs.replace(PLAIN, name="ending", prefixes=("4420",), prefix_mode=PrefixMode.STOP, **six)
    assert tried("2026-12-25T10:00", acme, ending, FESTIVE, **known) == ["christmas"]


def test_a_gateway_takes_the_calls_that_it_is_there_for_from_others():
    some = msgspec.structs.replace(FESTIVE, denied_prefixes=("4420",), partner="twin")
    assert tried("2026-12-25T10:00", DAILY, some, PLAIN, callee="442179460000") == ["christmas", "plain"]


def test_an_expired_line_of_a_plan_takes_the_call_from_no_other():
    rows = (
        RouteRow("44", "daytime"),
        RouteRow("44", "christmas", valid_to=BEFORE_MS),
        RouteRow("44", "plain", calendar="office"),
        RouteRow("4", "plain", calendar="christmas", valid_to=BEFORE_MS),
    )
    assert tried("2026-12-25T10:00", DAILY, FESTIVE, PLAIN, plan=RoutingPlan("own", routes=rows)) == ["daytime"]


def test_with_the_strict_rule_the_calendar_of_such_a_gateway_keeps_none_out():
    expired = msgspec.structs.replace(FESTIVE, valid_to=BEFORE_MS)
    assert tried("2026-12-25T10:00", expired, PLAIN, calendar_strict=True) == ["plain"]


def test_without_calendars_gateways_are_bound_to_none():
    assert tried("2026-06-06T22:00", OFFICE, PLAIN, uses_calendars=False) == ["office", "plain"]


def test_the_offline_gateway_of_a_phone_is_left_out_when_its_calendar_does_not_fit():
    desk = phone("7001", offline_gateway="office")
    any_number = msgspec.structs.replace(OFFICE, allow_unrated=True)
    assert tried("2026-06-01T10:00", any_number, phones=[desk], callee="7001") == ["office"]
    assert tried("2026-06-06T10:00", any_number, phones=[desk], callee="7001") == []


def test_calendars_of_protected_gateways_count_among_themselves():
    reserves = [msgspec.structs.replace(each, protect_ms=2_500) for each in (FESTIVE, OFFICE)]
    at_christmas = "2026-12-25T10:00"
    assert tried(at_christmas, DAILY, *reserves) == ["daytime", "christmas"]  # whose date leaves out no other
    assert tried("2026-06-01T10:00", DAILY, *reserves) == ["daytime", "office"]
    assert tried(at_christmas, msgspec.structs.replace(DAILY, protect_ms=2_500), *reserves) == ["christmas"]


def test_a_prefix_that_ends_the_search_does_so_before_calendars_are_compared():
    ending = routing_gateway("ending", "4420", calendar="daytime", prefix_mode=PrefixMode.STOP)
    assert tried("2026-12-25T10:00", ending, FESTIVE) == ["ending"]
    assert tried("2026-12-25T22:00", ending, FESTIVE) == ["christmas"]  # it is not there for the call
    assert tried("2026-12-25T10:00", ending, FESTIVE, callee="4430") == ["christmas"]
