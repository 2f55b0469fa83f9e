"""Which gateways may be tried, and what each of the others was left out for."""

import msgspec
import pytest
from doubles.data.builders import applied_rate, routing_gateway
from doubles.priced_vendors import PricedByTerms

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.credentials import Login
from vosd.base.errors import Refusal
from vosd.base.secret import Secret
from vosd.callcontrol.explain import Offered, PassedOver, explain_routes
from vosd.routing.capacity import Occupancy
from vosd.routing.pipeline import Cause, FoundRoutes, LeftOut, RouteChoice, RouteRequest, examine_routes, find_routes
from vosd.routing.plan import RoutingPlan
from vosd.routing.quality import QualityFigures
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.routing.routes import Destination
from vosd.routing.weights import Turns
from vosd.trunks.gateways import Address, Ping, Registration, RoutingGateway
from vosd.trunks.scope import LimitScope

REQUEST = RouteRequest(callee="+442071", caller="+4930", at=Instant(10_000, 1_790_000_000_000))
TERMS = applied_rate("0.30")

HALF_ANSWERED = QualityFigures(attempts=8, answered=4)


class Vendors(PricedByTerms):
    """Which vendors have no buy rate, funds, address or registration, and which are down or fail, by name."""

    def __init__(self, unrated=(), unfunded=(), lost=(), unregistered=(), down=(), failing=(), asking=(), paused=()):
        self.resting, self.asking = frozenset(failing).union(paused), frozenset(asking)
        self.paused = frozenset(paused)
        self.asked = []
        """Whose terms were looked up, for which number and moment."""
        self.unrated, self.unfunded, self.lost = frozenset(unrated), frozenset(unfunded), frozenset(lost)
        self.blocked = {}
        self.unregistered, self.down = frozenset(unregistered), frozenset(down)

    @property
    def turns(self):
        """No gateway has had a turn yet: equal gateways are tried in the order of their definition."""
        return Turns()

    def down_ms(self, gateway, mono_ms):
        return 7_900 if gateway.account in self.down else None

    def paused_ms(self, gateway, mono_ms):
        return 5_200 if gateway.account in self.paused else 0

    def resting_ms(self, gateway, mono_ms, payer=""):
        return 4_100 if gateway.account in self.resting else 0

    def why_resting(self, gateway, mono_ms, payer=""):
        return Cause.RESTING.detail if gateway.account in self.asking else "failed"

    def located(self, gateway):
        return gateway.account not in self.lost

    def is_barred(self, gateway, callee, wall_ms):
        return False

    def terms(self, gateway, callee, wall_ms, caller):
        self.asked.append((gateway.account, callee, wall_ms))
        return None if gateway.account in self.unrated else TERMS

    def quality(self, gateway, prefix, callee, caller, at, min_attempts):
        return HALF_ANSWERED

    def funded(self, gateway, terms):
        return gateway.account not in self.unfunded


def search(*gateways: RoutingGateway, occupancy=None, rests=None, vendors=None) -> FoundRoutes | Refusal:
    """All routes and what was left out, or the refusal of a call that has none."""
    asked = REQUEST, RouteTable(gateways), occupancy or Occupancy(), rests or Rests(), vendors or Vendors()
    found = find_routes(*asked)
    if isinstance(found, Refusal):
        return found
    routes = examine_routes(*asked)
    assert tuple(found) == routes.choices
    return routes


def busy(name: str, calls: int) -> Occupancy:
    occupancy = Occupancy()
    for _ in range(calls):
        occupancy.take(LimitScope.ROUTING, name, None, None, REQUEST.at.mono)
    return occupancy


def resting(name: str, seconds: int = 7) -> Rests:
    rests = Rests()
    rests.begin(name, seconds, REQUEST.at.mono)
    return rests


def test_choice_carries_the_prefix_the_numbers_as_they_go_out_and_the_terms():
    gateway = routing_gateway("a", "44")
    assert search(gateway) == FoundRoutes((RouteChoice(gateway, "44", "+442071", "+4930", TERMS),), ())


def test_each_cause_leaves_its_gateway_out_and_the_others_keep_their_order():
    gateways = [
        routing_gateway("off", enabled=False),
        routing_gateway("tired"),
        routing_gateway("lost", addresses=(Address("sip.example.net", None),)),
        routing_gateway("poor"),
        routing_gateway("dear"),
        routing_gateway("full", max_concurrent=2),
        routing_gateway("fast", max_cps=3),
        routing_gateway("second", priority=2),
        routing_gateway("first"),
    ]
    occupancy = busy("full", 2)
    for _ in range(3):
        occupancy.take(LimitScope.ROUTING, "fast", None, None, REQUEST.at.mono)
    vendors = Vendors(unrated={"dear"}, unfunded={"poor"}, lost={"lost"})
    routes = search(*gateways, occupancy=occupancy, rests=resting("tired"), vendors=vendors)
    assert [choice.gateway.name for choice in routes.choices] == ["first", "second"]
    causes = [Cause.DISABLED, Cause.RESTING, Cause.NOT_LOCATED, Cause.NO_FUNDS, Cause.NO_BUY_RATE, Cause.FULL]
    causes.append(Cause.TOO_FAST)
    assert list(routes.left) == [LeftOut(gateway, cause) for gateway, cause in zip(gateways, causes, strict=False)]


REGISTRATION = Registration(
    server=Address("sip.example.net", None),
    domain="example.net",
    user="alice",
    contact_user="alice",
    login=Login("alice", Secret("secret")),
)
PING = Ping(30_000, 4_000, 3, 2)


def test_a_gateway_that_requires_a_registration_gets_calls_only_with_it():
    gateways = [routing_gateway("a", registration=REGISTRATION), routing_gateway("b")]
    assert [choice.gateway.name for choice in search(*gateways).choices] == ["a", "b"]
    routes = search(*gateways, vendors=Vendors(unregistered={"a", "b"}))
    assert [choice.gateway.name for choice in routes.choices] == ["b"]
    assert routes.left == (LeftOut(gateways[0], Cause.UNREGISTERED),)


def test_a_gateway_that_gets_options_gets_calls_only_while_it_is_up():
    gateways = [routing_gateway("a", ping=PING), routing_gateway("b")]
    assert [choice.gateway.name for choice in search(*gateways).choices] == ["a", "b"]
    routes = search(*gateways, vendors=Vendors(down={"a", "b"}))
    assert [choice.gateway.name for choice in routes.choices] == ["b"]
    assert routes.left == (LeftOut(gateways[0], Cause.DOWN),)


def test_explanation_says_which_gateways_are_not_registered_and_which_are_down():
    table = RouteTable([routing_gateway("a", registration=REGISTRATION), routing_gateway("b", ping=PING)])
    vendors = Vendors(unregistered={"a"}, down={"b"})
    explanation = explain_routes(REQUEST, table, Occupancy(), Rests(), vendors)
    assert explanation.left == (
        PassedOver("a", "unregistered: not registered at sip.example.net; `vosd registrations` says more"),
        PassedOver("b", "down: answers no OPTIONS for 7 s"),
    )


def test_a_gateway_that_rests_after_failures_gets_calls_only_where_there_is_no_other():
    gateways = [routing_gateway("a"), routing_gateway("b", max_concurrent=1), routing_gateway("c")]
    routes = search(*gateways, vendors=Vendors(failing={"a", "c"}))
    assert [choice.gateway.name for choice in routes.choices] == ["b"]
    assert routes.left == (LeftOut(gateways[0], Cause.FAILING), LeftOut(gateways[2], Cause.FAILING))
    routes = search(*gateways, vendors=Vendors(failing={"a", "c"}), occupancy=busy("b", 1))
    assert [(choice.gateway.name, choice.is_last_resort) for choice in routes.choices] == [("a", True), ("c", True)]
    assert routes.left == (LeftOut(gateways[1], Cause.FULL),)


def test_a_gateway_in_doubt_is_tried_after_all_others_unless_calls_to_it_fail_as_well():
    gateways = [routing_gateway("a"), routing_gateway("b"), routing_gateway("c")]
    vendors = Vendors(failing={"c"})
    vendors.doubted = {"a": "short calls", "c": "short calls"}
    routes = search(*gateways, vendors=vendors)
    assert [choice.gateway.name for choice in routes.choices] == ["b", "a"]
    assert routes.left == (LeftOut(gateways[2], Cause.FAILING, "short calls"),)
    named = msgspec.structs.replace(REQUEST, targets=tuple(Destination(each, "+442071") for each in gateways))
    assert examine_routes(named, RouteTable(gateways), Occupancy(), Rests(), vendors) == routes
    explained = explain_routes(REQUEST, RouteTable(gateways), Occupancy(), Rests(), vendors)
    assert [each.reason for each in explained.candidates] == [
        "prefix *, priority 1",
        "prefix *, priority 1; after all others: too many of its answered calls are short",
    ]
    vendors.resting_ms = lambda *_: 0  # its rest is over, and no call has shown since that it answers
    routes = search(*gateways, vendors=vendors)
    assert [choice.gateway.name for choice in routes.choices] == ["b", "a", "c"]


def test_explanation_says_which_gateways_rest_and_when_one_is_tried_all_the_same():
    gateways = [routing_gateway("a"), routing_gateway("b")]
    explanation = explain_routes(REQUEST, RouteTable(gateways), Occupancy(), Rests(), Vendors(failing={"a"}))
    why = "resting: calls to it failed in a row, one is let through in 5 s"
    assert explanation.left == (PassedOver("a", why),)
    asked = Vendors(failing={"a"}, asking={"a"})
    explanation = explain_routes(REQUEST, RouteTable(gateways), Occupancy(), Rests(), asked)
    assert explanation.left == (PassedOver("a", "resting: answered 503 and asked to be left alone: 5 s remain"),)
    paused = Vendors(paused={"a"})
    explanation = explain_routes(REQUEST, RouteTable(gateways[:1]), Occupancy(), Rests(), paused)
    assert explanation.candidates == ()
    assert explanation.left == (PassedOver("a", "resting: answered 503 and asked to be left alone: 6 s remain"),)
    explanation = explain_routes(REQUEST, RouteTable(gateways[:1]), Occupancy(), Rests(), Vendors(failing={"a"}))
    assert [offered.reason for offered in explanation.candidates] == [
        "prefix *, priority 1; resting after failures, but there is no other"
    ]


def test_a_call_to_an_emergency_number_is_offered_to_gateways_that_asked_for_a_pause_or_are_down_behind_all_others():
    gateways = [routing_gateway("a", ping=PING), routing_gateway("b"), routing_gateway("c"), routing_gateway("d")]
    rests = Rests()
    rests.begin("c", 60, REQUEST.at.mono)
    vendors = Vendors(down={"a"}, paused={"b"})
    emergency = msgspec.structs.replace(REQUEST, is_emergency=True)
    named = msgspec.structs.replace(emergency, targets=tuple(Destination(each, "+442071") for each in gateways))
    for asked in (emergency, named):
        routes = examine_routes(asked, RouteTable(gateways), Occupancy(), rests, vendors)
        assert [(each.gateway.name, each.is_last_resort) for each in routes.choices] == [
            ("d", False), ("a", True), ("b", True), ("c", True),
        ]  # fmt: skip
        assert routes.left == ()
    explained = explain_routes(emergency, RouteTable(gateways[:1]), Occupancy(), rests, vendors)
    why = "behind all others: it rests or answers no OPTIONS, but calls to emergency numbers are tried"
    assert [each.reason for each in explained.candidates] == [f"prefix *, priority 1; {why}"]
    usual = examine_routes(REQUEST, RouteTable(gateways), Occupancy(), rests, vendors)
    assert [each.gateway.name for each in usual.choices] == ["d"]
    assert [each.cause for each in usual.left] == [Cause.DOWN, Cause.RESTING, Cause.RESTING]


def test_a_call_to_an_emergency_number_is_offered_to_gateways_in_doubt_alone_before_those_that_asked_for_a_pause():
    gateways = [routing_gateway("a"), routing_gateway("b"), routing_gateway("c")]
    vendors = Vendors(paused={"a", "b"})
    vendors.doubted = {"b": "short calls", "c": "short calls"}
    emergency = msgspec.structs.replace(REQUEST, is_emergency=True)
    routes = examine_routes(emergency, RouteTable(gateways), Occupancy(), Rests(), vendors)
    assert [(each.gateway.name, each.is_last_resort, each.is_at_rest) for each in routes.choices] == [
        ("c", True, False), ("a", True, True), ("b", True, True),
    ]  # fmt: skip
    explained = explain_routes(emergency, RouteTable(gateways), Occupancy(), Rests(), vendors)
    assert [each.reason.partition("; ")[2].partition(":")[0] for each in explained.candidates] == [
        "after all others", "behind all others", "behind all others",
    ]  # fmt: skip


def test_the_gateways_behind_one_that_takes_an_emergency_call_are_named_with_their_own_reason():
    gateways = [routing_gateway("a", ping=PING), routing_gateway("b"), routing_gateway("c"), routing_gateway("d")]
    vendors = Vendors(down={"a"}, paused={"b"}, failing={"c"})
    emergency, left = msgspec.structs.replace(REQUEST, is_emergency=True), []
    routes = find_routes(emergency, RouteTable(gateways), Occupancy(), Rests(), vendors, left)
    assert next(routes).gateway.name == "d"
    assert [each.cause for each in left] == [Cause.DOWN, Cause.RESTING, Cause.FAILING]


def test_unrated_gateway_is_kept_where_that_was_allowed():
    routes = search(routing_gateway("a", allow_unrated=True), vendors=Vendors(unrated={"a"}))
    assert [choice.gateway.name for choice in routes.choices] == ["a"]


def test_terms_are_looked_up_once_and_only_for_the_gateways_that_are_reached():
    gateways = [routing_gateway("off", enabled=False), routing_gateway("a"), routing_gateway("b"), routing_gateway("c")]
    vendors = Vendors()
    routes = find_routes(REQUEST, RouteTable(gateways), Occupancy(), Rests(), vendors)
    assert not isinstance(routes, Refusal)
    assert vendors.asked == [("a", "+442071", 1_790_000_000_000)]
    assert [next(routes).terms, next(routes).terms] == [TERMS, TERMS]
    assert vendors.asked == [(name, "+442071", 1_790_000_000_000) for name in "ab"]


def test_a_choice_without_buy_rate_has_no_terms_and_a_last_resort_keeps_its_own():
    unrated, failing = routing_gateway("a", allow_unrated=True), routing_gateway("b")
    (choice,) = search(unrated, vendors=Vendors(unrated={"a"})).choices
    assert choice.terms is None
    (choice,) = search(failing, vendors=Vendors(failing={"b"})).choices
    assert (choice.is_last_resort, choice.terms) == (True, TERMS)


def test_choices_can_be_sorted_by_what_their_vendors_charge():
    class Priced(Vendors):
        def terms(self, gateway, callee, wall_ms, caller):
            return prices[gateway.name]

    prices = {
        "minute": applied_rate("0.30", 60),
        "cycle": applied_rate("0.02", 6, per_cycle=True),
        "low": applied_rate("0.19"),
    }
    routes = search(*map(routing_gateway, prices), vendors=Priced())
    by_price = sorted(routes.choices, key=lambda choice: choice.terms.price_per_minute)
    assert [choice.gateway.name for choice in by_price] == ["low", "cycle", "minute"]


def test_the_search_takes_no_place():
    occupancy = Occupancy()
    gateway = routing_gateway("a", max_concurrent=1, max_cps=1)
    for _ in range(3):
        assert isinstance(search(gateway, occupancy=occupancy), FoundRoutes)


def test_the_next_route_is_examined_only_when_it_is_asked_for():
    """What changed while the first was tried counts: the second has filled up meanwhile."""
    occupancy = Occupancy()
    table = RouteTable([routing_gateway("a"), routing_gateway("b", max_concurrent=1), routing_gateway("c")])
    routes = find_routes(REQUEST, table, occupancy, Rests(), Vendors())
    assert not isinstance(routes, Refusal)
    assert next(routes).gateway.name == "a"
    occupancy.take(LimitScope.ROUTING, "b", 1, None, REQUEST.at.mono)
    assert [choice.gateway.name for choice in routes] == ["c"]


def test_number_that_no_prefix_fits_is_refused_with_404():
    refusal = search(routing_gateway("a", "1"))
    assert refusal == Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, "no gateway's prefix fits +442071")


def test_a_ported_number_that_no_prefix_fits_is_refused_by_the_number_that_was_compared():
    """A gateway has a prefix for the number that was dialled."""
    request = msgspec.structs.replace(REQUEST, routing_number="4979")
    refusal = find_routes(request, RouteTable([routing_gateway("a", "44")]), Occupancy(), Rests(), Vendors())
    detail = "no gateway's prefix fits 4979, the routing number of +442071"
    assert refusal == Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, detail)


def test_number_whose_gateways_are_all_left_out_is_refused_with_503():
    refusal = search(routing_gateway("a", enabled=False), routing_gateway("b", max_concurrent=0))
    assert (refusal.reason, refusal.status) == (EndReason.NO_AVAILABLE_ROUTE, 503)
    assert refusal.detail == "left out for +442071: a (disabled), b (full)"


SHOWN = (HALF_ANSWERED, "USD", "0.30", None)
"""Quality, currency, effective cost, and no margin: the request does not say what it is sold for."""


def test_explanation_says_why_each_gateway_is_tried_or_left():
    gateways = [
        routing_gateway("other", "1"),
        routing_gateway("off", enabled=False),
        routing_gateway("tired"),
        routing_gateway("lost", addresses=(Address("sip.example.net", None),)),
        routing_gateway("poor"),
        routing_gateway("dear"),
        routing_gateway("full", max_concurrent=2),
        routing_gateway("fast", max_cps=3),
        routing_gateway("second", priority=2),
        routing_gateway("first", "4420", priority=7),
    ]
    occupancy = busy("full", 2)
    for _ in range(3):
        occupancy.take(LimitScope.ROUTING, "fast", None, None, REQUEST.at.mono)
    vendors = Vendors(unrated={"dear"}, unfunded={"poor"}, lost={"lost"})
    explanation = explain_routes(REQUEST, RouteTable(gateways), occupancy, resting("tired"), vendors)
    assert explanation.candidates == (
        Offered("first", 1, "+442071", "+4930", "prefix 4420, priority 7", "4420", 7, 100, "0.30", *SHOWN),
        Offered("second", 2, "+442071", "+4930", "prefix *, priority 2", "*", 2, 100, "0.30", *SHOWN),
    )
    assert explanation.left == (
        PassedOver("off", "disabled: by the configuration"),
        PassedOver("tired", "resting: answered 503 and asked to be left alone: 7 s remain"),
        PassedOver("lost", "not located: no address is known for sip.example.net"),
        PassedOver("poor", "no funds: vendor account poor cannot pay for the first seconds of a call"),
        PassedOver("dear", "no buy rate: vendor account dear has none for +442071"),
        PassedOver("full", "capacity: 2 of 2 calls"),
        PassedOver("fast", "rate limit: 3 calls in the last second, 3 allowed"),
    )
    assert explanation.unfit == 1


@pytest.mark.parametrize("plan", [None, RoutingPlan("own", gateways=frozenset({"fitting", "other"}))])
def test_gateways_that_the_number_does_not_fit_are_counted_and_never_listed(plan):
    gateways = [routing_gateway("fitting"), routing_gateway("other", "1"), routing_gateway("third", "33")]
    everything = RouteTable(gateways)
    table = everything if plan is None else everything.by_plan(plan)
    found = explain_routes(REQUEST, table, Occupancy(), Rests(), Vendors(), others=everything)
    assert [each.routing_gateway for each in found.candidates] == ["fitting"]
    assert (found.left, found.unfit) == ((), 2)


def test_gateways_behind_the_attempts_of_a_call_are_left_out_and_phones_are_no_attempts():
    phones = Destination(routing_gateway("phone", account=None), "442071"), Destination(routing_gateway("a"), "442071")
    gateways = [routing_gateway(name) for name in ("a", "b", "c")]
    behind = "search over: behind as many attempts as a call may make: 2"
    explained = explain_routes(REQUEST, RouteTable(gateways), Occupancy(), Rests(), Vendors(), max_attempts=2)
    assert [each.routing_gateway for each in explained.candidates] == ["a", "b"]
    assert explained.left == (PassedOver("c", behind),)
    to_phone = msgspec.structs.replace(REQUEST, targets=phones, is_given=True)
    explained = explain_routes(to_phone, RouteTable(gateways), Occupancy(), Rests(), Vendors(), max_attempts=1)
    assert [each.routing_gateway for each in explained.candidates] == ["phone", "a"]


def test_protected_gateways_come_last_whatever_their_prefix_and_priority_are():
    reserve = routing_gateway("reserve", "4420", protect_ms=2_500)
    other = routing_gateway("other", "442071", priority=9, protect_ms=10_000)
    plain = routing_gateway("plain", "44", priority=5)
    table = RouteTable((reserve, other, plain))
    explained = explain_routes(REQUEST, table, Occupancy(), Rests(), Vendors())
    assert [(each.routing_gateway, each.reason) for each in explained.candidates] == [
        ("plain", "prefix 44, priority 5"),
        ("other", "prefix 442071, priority 9; protected, so behind the others or 10 s after the INVITE"),
        ("reserve", "prefix 4420, priority 1; protected, so behind the others or 2.5 s after the INVITE"),
    ]
    assert {choice.protect_times for choice in search(reserve, other, plain).choices} == {(2_500, 10_000)}
    assert {choice.protect_times for choice in search(plain).choices} == {()}
