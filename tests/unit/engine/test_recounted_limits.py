"""Limits that gateways share count the calls that run when a limit is added, or a gateway joins (ADR 209)."""

import pytest
from doubles.asking_steps import Located, ScriptedAsker, looking_up, steps_with
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.successor import without_holds
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, answers, refuses

from vosd.base.cause import EndReason
from vosd.billing.accounts import AccountType
from vosd.engine.calls import terms_in_force
from vosd.engine.calls.saved import SavedSwitch
from vosd.engine.node import Node
from vosd.engine.settings import TraceSettings
from vosd.routing.plan import RouteRow, RoutingPlan
from vosd.sip.settings import SipSettings
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope

CROWD = LimitScope.GROUP, "crowd"
PLACES = {
    "account": (LimitScope.VENDOR, "carriers"),
    "line": (LimitScope.ROUTE, "own/44/vendor-0"),
    "group": CROWD,
    "group of the customer": CROWD,
}
MOST = 3


def content(limited="", *, most=MOST, members=("vendor-0",), vendors=1):
    """Return a plan whose calls go to one vendor, with one shared limit."""
    group_limit = most if limited.startswith("group") else None
    customer_groups = frozenset({"crowd"}) if limited == "group of the customer" else frozenset()
    rows = [
        RouteRow("44", f"vendor-{index}", max_calls=most if limited == "line" else None) for index in range(vendors)
    ]
    carriers = account("carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None,
                       max_concurrent=most if limited == "account" else None)  # fmt: skip
    joined = frozenset() if limited == "group of the customer" else frozenset(members)
    groups = [GatewayGroup("crowd", joined, max_concurrent=group_limit)] if joined or customer_groups else []
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", account="acme", routing_plan="own", groups=customer_groups)
    gateways = [vendor_gateway(index) for index in range(vendors)]
    plans = [RoutingPlan("own", routes=tuple(rows))]
    return catalogue([trunk, *gateways], accounts=[carriers], plans=plans, groups=groups)


def calls(stage, number, *, seconds=60):
    """Make calls; return how many are answered."""
    made = [stage.caller.call(CALLEE, Intent(hang_up_after_ms=seconds * 1_000)) for _ in range(number)]
    stage.wire.run_for(2_500)
    return [each.final for each in made].count(200)


def active(stage, place):
    return stage.exchange.switch.live.occupancy.active(*place)


def take_over(stage):
    """Replace the switch by another process that goes on with its calls."""
    exchange = stage.exchange
    saved, left = SavedSwitch.of(exchange.endpoint, exchange.switch.services)
    assert left == []
    exchange.credits = {name: without_holds(credit) for name, credit in exchange.credits.items()}
    exchange.surroundings = exchange.surroundings._replace(credits=exchange.credits)
    node = Node("sw1", SipSettings(), TraceSettings(), exchange.endpoint.flows.listeners, exchange.switch.catalogue,
                exchange.surroundings)  # fmt: skip
    exchange.take_node(node)
    exchange.switch.continuation.restore(saved)
    exchange.switch.continuation.begin_again(exchange.clock.now())
    exchange.flush()


def assert_nothing_is_left(stage):
    stage.wire.run_for(120_000)
    assert stage.exchange.leftovers() == {}
    assert stage.exchange.residue() == {}


@pytest.mark.parametrize("limited", PLACES)
def test_a_limit_that_a_reload_adds_counts_the_calls_that_run(limited):
    stage = Scene(content())
    assert calls(stage, 2) == 2
    stage.exchange.swap_catalogue(content(limited))
    assert active(stage, PLACES[limited]) == 2
    assert calls(stage, 3) == 1
    take_over(stage)
    assert active(stage, PLACES[limited]) == 3
    assert calls(stage, 1) == 0
    assert_nothing_is_left(stage)


@pytest.mark.parametrize("limited", PLACES)
def test_a_restart_with_another_configuration_counts_the_calls_that_go_on(limited):
    stage = Scene(content())
    assert calls(stage, 2) == 2
    saved, _ = SavedSwitch.of(stage.exchange.endpoint, stage.exchange.switch.services)
    stage.exchange.swap_catalogue(content(limited))
    stage.exchange.take_node(
        Node("sw1", SipSettings(), TraceSettings(), stage.exchange.endpoint.flows.listeners, content(limited),
             stage.exchange.surroundings._replace(
                 credits={name: without_holds(each) for name, each in stage.exchange.credits.items()}))
    )  # fmt: skip
    stage.exchange.switch.continuation.restore(saved)
    assert active(stage, PLACES[limited]) == 2


@pytest.mark.parametrize("limited", PLACES)
def test_a_place_is_released_where_the_call_ends_or_the_limit_goes(limited):
    stage = Scene(content(limited))
    calls(stage, 1, seconds=20)
    calls(stage, 1)
    stage.exchange.swap_catalogue(content())
    stage.exchange.swap_catalogue(content(limited, most=2))
    assert active(stage, PLACES[limited]) == 2
    assert calls(stage, 1) == 0
    stage.wire.run_for(20_000)
    assert active(stage, PLACES[limited]) == 1
    assert calls(stage, 2) == 1
    assert_nothing_is_left(stage)


def test_a_gateway_that_joins_a_group_brings_its_calls_and_takes_them_away_when_it_leaves():
    stage = Scene(content("group", vendors=2))
    assert calls(stage, 2) == 2
    assert active(stage, CROWD) == 2
    stage.exchange.swap_catalogue(content("group", members=("vendor-1",), vendors=2))
    assert active(stage, CROWD) == 0
    stage.exchange.swap_catalogue(content("group", members=("vendor-0", "vendor-1"), vendors=2))
    assert active(stage, CROWD) == 2
    assert_nothing_is_left(stage)


@pytest.mark.parametrize("limited", ["account", "line", "group"])
def test_a_search_that_began_before_goes_on_by_the_limits_of_now(limited):
    stage = Scene(content(vendors=2))
    stage.vendors[0].script = refuses(503, after_ms=2_000)
    made = stage.begun_call(Intent(hang_up_after_ms=60_000), after_ms=500)
    members = "vendor-0", "vendor-1"
    stage.exchange.swap_catalogue(content(limited, vendors=2, members=members))
    stage.wire.run_for(5_000)
    assert made.final == 200
    place = (LimitScope.ROUTE, "own/44/vendor-1") if limited == "line" else PLACES[limited]
    assert active(stage, place) == 1
    assert_nothing_is_left(stage)


def test_a_search_that_began_before_is_refused_where_the_limit_of_now_is_reached():
    stage = Scene(content(vendors=2))
    stage.vendors[0].script = refuses(503, after_ms=2_000)
    made = [stage.caller.call(CALLEE, Intent(hang_up_after_ms=60_000)) for _ in range(3)]
    stage.wire.run_for(500)
    stage.exchange.swap_catalogue(content("group", most=2, vendors=2, members=("vendor-1",)))
    stage.wire.run_for(5_000)
    assert [each.final for each in made].count(200) == 2
    assert_nothing_is_left(stage)


def test_calls_that_ring_or_wait_for_an_answer_are_counted_once():
    asker = ScriptedAsker(lambda _ticket, _question: None)
    stage = Scene(content(), steps=steps_with(looking_up()), asker=asker)
    waiting = stage.begun_call(script=RINGS)
    ringing = stage.begun_call(after_ms=50)
    stage.exchange.take_answer(asker.asked[1].ticket, Located(CALLEE))
    stage.wire.run_for(200)
    stage.exchange.swap_catalogue(content("group of the customer"))
    assert active(stage, CROWD) == 2
    stage.exchange.swap_catalogue(content("group"))
    assert active(stage, CROWD) == 1
    stage.exchange.take_answer(asker.asked[0].ticket, Located(CALLEE))
    stage.wire.run_for(200)
    assert active(stage, CROWD) == 2
    for each in (waiting, ringing):
        each.cancel()
    assert_nothing_is_left(stage)


def test_thousands_of_calls_are_counted_in_parts(monkeypatch):
    monkeypatch.setattr(terms_in_force, "RECOUNTED_AT_ONCE", 2)
    stage = Scene(content())
    stage.vendor.script = answers()
    calls(stage, 5)
    assert len(list(stage.exchange.switch.terms.recount())) == 2


def test_a_call_that_talks_keeps_no_catalogue_of_before_a_reload():
    """An hour's calls would keep those of all reloads within the hour. One that rings may try other gateways."""
    stage = Scene(content())
    assert calls(stage, 1) == 1
    transferor = stage.answered_call(talk_ms=500)
    transferor.ask("REFER", headers=[f"Refer-To: <sip:{CALLEE}@192.0.2.1>"])
    stage.wire.run_for(2_000)
    assert transferor.is_over
    stage.begun_call(script=RINGS, after_ms=500)
    switch = stage.exchange.switch
    *talking, rings = switch.calls()
    before = rings.gateways.vendors
    assert [each.gateways.vendors for each in talking] == [before] * 3
    stage.exchange.swap_catalogue(content())
    assert switch.services.admission.vendors is not before
    assert [each.gateways.vendors for each in talking] == [switch.services.admission.vendors] * 3
    assert rings.gateways.vendors is before
    stage.exchange.end_all(EndReason.ADMINISTRATIVE)
    assert_nothing_is_left(stage)
