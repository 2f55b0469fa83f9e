"""Every gateway's state and figures."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, override, routing_gateway
from doubles.data.records import answered_call, refused_call
from doubles.virtual.clock import ManualClock

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.overrides import Overrides, Target
from vosd.cdr.record import Attempt
from vosd.control.peers import GatewayRow
from vosd.engine.peers.gateways import Gateways
from vosd.routing.breaker import REFUSALS, SILENCES, place_of
from vosd.trunks.gateways import Address, HostName, Ping, Registration
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope


class Stage:
    """A catalogue, its live state and its figures."""

    def __init__(self, *gateways) -> None:
        self.catalogue = catalogue(gateways)
        self.live = LiveState()
        self.clock = ManualClock()
        self.gateways = Gateways(self.clock, self.catalogue)

    def later(self, ms: int) -> None:
        self.clock.move_to(self.clock.now().mono + ms)

    def row(self, name, *, registered=frozenset(), departed=frozenset(), blocked=()) -> GatewayRow:
        sources = blocked if isinstance(blocked, frozenset) else frozenset(blocked)
        rows = self.gateways.rows(self.live, registered, departed, sources)
        (row,) = [each for each in rows if each is not None and each.gateway == name]
        return row


@pytest.fixture
def stage():
    return Stage(
        mapping_gateway("acme", "198.51.100.10/32", max_concurrent=7),
        mapping_gateway("wide", "198.51.0.0/16"),
        routing_gateway("trunk", "44", max_concurrent=5),
        routing_gateway("off", "44", enabled=False),
        routing_gateway("nowhere", "44", addresses=()),
        routing_gateway("moving", "44", addresses=(), credentials=credentials("moving", "secret")),
        routing_gateway("pair", "44", addresses=(Address("203.0.113.7", 5060), Address("203.0.113.8", 5060))),
    )


def test_gateways_are_found_by_a_part_of_their_names(stage):
    rows = [*stage.gateways.rows(stage.live, frozenset(), frozenset(), frozenset(), "W")]
    assert [each.gateway for each in rows if each is not None] == ["nowhere", "wide"]
    assert len(rows) == 7, "calls get their turn as often as where all are listed"


def test_a_gateway_without_problems_is_up(stage):
    row = stage.row("trunk")
    assert (row.kind, row.state, row.calls, row.max_concurrent) == ("routing", "up", 0, 5)
    assert (row.attempts, row.asr, row.acd_s, row.pdd_ms) == (0, None, None, None)
    row = stage.row("acme")
    assert (row.kind, row.state, row.calls, row.max_concurrent) == ("mapping", "up", 0, 7)


def test_a_gateway_that_was_switched_off_is_disabled_and_one_without_address_not_located(stage):
    assert stage.row("off").state == "disabled"
    assert stage.row("nowhere").state == "not located"
    assert stage.row("moving").state == "unregistered"


def test_a_gateway_that_answers_no_options_is_down_with_its_duration(stage):
    live, now = stage.live, stage.clock.now()
    live.health.watch("trunk", Ping(10_000, 1_000, 1, 1))
    live.health.failed("trunk", now.mono)
    stage.later(65_000)
    row = stage.row("trunk")
    assert (row.state, row.since_s) == ("down", 65)
    live.health.answered("trunk", stage.clock.now().mono)
    assert stage.row("trunk").state == "up"


def test_a_gateway_in_a_retry_after_pause_is_resting_with_the_remaining_time(stage):
    stage.live.rests.begin("trunk", 30, stage.clock.now().mono)
    stage.later(10_500)
    row = stage.row("trunk")
    assert (row.state, row.rest_s, row.rest) == ("resting", 20, "answered 503 and asked to be left alone")


def test_a_gateway_at_which_calls_fail_in_a_row_is_resting_too(stage):
    gateway, now = stage.catalogue.routing_gateways["trunk"], stage.clock.now().mono
    for _ in range(SILENCES):
        place = place_of(gateway, gateway.addresses[0])
        stage.live.breakers.failed(place, is_silent=True, began_ms=now, mono_ms=now)
    stage.later(2_500)
    row = stage.row("trunk")
    assert (row.state, row.rest_s) == ("resting", 8)
    assert row.rest == "calls in a row got neither ringing nor a refusal in time"
    stage.later(60_000)
    assert (stage.row("trunk").state, stage.row("trunk").rest) == ("up", None)


def test_the_first_address_of_a_gateway_to_be_called_again_says_why_it_rests(stage):
    breakers, now = stage.live.breakers, stage.clock.now().mono
    gateway = stage.catalogue.routing_gateways["pair"]
    refused, asking = (place_of(gateway, each) for each in gateway.addresses)
    for _ in range(REFUSALS):
        breakers.failed(refused, is_silent=False, began_ms=now, mono_ms=now)
    of_one = "at 203.0.113.7:5060: calls in a row were refused with 408, 500, 502, 503 or 504"
    assert (stage.row("pair").state, stage.row("pair").rest_s, stage.row("pair").rest) == ("up", None, of_one)
    breakers.ask_for_rest(asking, 60_000, now)
    assert stage.row("pair").rest == "calls in a row were refused with 408, 500, 502, 503 or 504"
    breakers.failed(refused, is_silent=False, began_ms=now + 11_000, mono_ms=now + 51_000)
    stage.later(51_000)
    row = stage.row("pair")
    assert (row.rest_s, row.rest) == (9, "answered 503 and asked to be left alone")


def test_a_gateway_that_rests_for_one_payer_alone_is_up_and_names_the_payer(stage):
    breakers, now = stage.live.breakers, stage.clock.now().mono
    gateway = stage.catalogue.routing_gateways["trunk"]
    place = place_of(gateway, gateway.addresses[0], "acme")
    for _ in range(SILENCES):
        breakers.failed(place, is_silent=True, began_ms=now, mono_ms=now, is_doubtful=True)
    row = stage.row("trunk")
    assert (row.state, row.rest_s) == ("up", None)
    assert row.rest == f"for calls of acme at {place}: calls in a row got neither ringing nor a refusal in time"
    stage.later(10_001)
    assert stage.row("trunk").rest is None


def test_a_gateway_that_needs_our_registration_is_registered_or_not():
    server = Address("203.0.113.1", 5060)
    login = Login("alice", Secret("secret"))
    registration = Registration(server, "example.com", "alice", "alice", login)
    stage = Stage(mapping_gateway("acme", "198.51.100.10/32"), routing_gateway("wants", registration=registration))
    assert stage.row("wants").state == "registered"
    stage.live.unregistered.add("wants")
    assert stage.row("wants").state == "unregistered"


def test_a_trunk_that_registers_with_us_is_registered(stage):
    assert stage.row("acme", registered={"acme"}).state == "registered"


def test_a_trunk_that_has_ended_its_registration_is_unregistered(stage):
    assert stage.row("acme", departed={"acme"}).state == "unregistered"
    assert stage.row("acme", departed={"acme"}, blocked={"198.51.100.10"}).state == "blocked"


@pytest.mark.parametrize(
    ("source", "acme"), [("198.51.100.10", "blocked"), ("198.51.100.11", "up"), ("2001:db8::/64", "up")]
)
def test_a_customer_is_blocked_with_its_only_address_but_not_with_one_of_many(stage, source, acme):
    assert stage.row("acme", blocked=[source]).state == acme
    assert stage.row("wide", blocked=[source]).state == "up"


def test_running_calls_are_counted(stage):
    for _ in range(3):
        stage.live.occupancy.take(LimitScope.ROUTING, "trunk", 5, None, 0)
    stage.live.occupancy.take(LimitScope.MAPPING, "acme", 7, None, 0)
    assert (stage.row("trunk").calls, stage.row("acme").calls) == (3, 1)


def test_the_gateways_of_a_group_are_counted_together_where_it_has_limits():
    stage = Stage(routing_gateway("trunk", "44"))
    groups = [GatewayGroup("pair", frozenset({"trunk"}), max_concurrent=9), GatewayGroup("plain", frozenset({"trunk"}))]
    stage.gateways.override(catalogue([routing_gateway("trunk", "44")], groups=groups))
    stage.live.occupancy.take(LimitScope.GROUP, "pair", 9, None, 0)
    row = stage.row("pair")
    assert (row.kind, row.state, row.calls, row.max_concurrent, row.attempts) == ("group", "up", 1, 9, 0)
    assert (row.groups, stage.row("trunk").groups) == ([], ["pair", "plain"])
    rows = stage.gateways.rows(stage.live, frozenset(), frozenset(), frozenset())
    assert {each.gateway for each in rows if each is not None} == {"trunk", "pair"}


def test_a_row_has_the_account_of_the_gateway_and_its_limit_of_calls_a_second():
    group = GatewayGroup("cheap", frozenset(), max_concurrent=9, max_cps=30)
    stage = Stage(
        mapping_gateway("acme", "198.51.100.10/32", max_cps=7),
        routing_gateway("trunk", "44", max_cps=20, account="north"),
    )
    stage.catalogue.gateway_groups["cheap"] = group
    found = [(each.account, each.max_cps) for each in map(stage.row, ("acme", "trunk", "cheap"))]
    assert found == [("acme", 7), ("north", 20), (None, 30)]


def test_a_customer_shows_the_groups_that_it_is_in():
    stage, names = Stage(), frozenset({"pair", "crowd"})
    acme = mapping_gateway("acme", "198.51.100.10/32", groups=names)
    stage.gateways.adopt(catalogue([acme], groups=[GatewayGroup(each, frozenset()) for each in names]))
    assert stage.row("acme").groups == ["crowd", "pair"]


def test_a_customer_by_name_has_the_addresses_of_now_and_is_not_located_without():
    named = mapping_gateway("acme", named_hosts=(HostName("acme.example", None),))
    stage = Stage(named)
    assert (stage.row("acme").state, stage.row("acme").addresses) == ("not located", [])
    found = catalogue([named])
    sources = found.sources.located(lambda _name: ["192.0.2.7", "192.0.2.5"], found.sources)
    stage.gateways.override(replace(found, sources=sources))
    assert (stage.row("acme").state, stage.row("acme").addresses) == ("up", ["192.0.2.5", "192.0.2.7"])


def test_a_customer_that_may_be_anywhere_is_unregistered_until_it_registers():
    stage = Stage(
        mapping_gateway("moving", credentials=credentials("moving", "secret")),
        mapping_gateway("guarded", "198.51.100.10/32", credentials=credentials("guarded", "secret")),
        mapping_gateway("shown", certificate_names=frozenset({"pbx.example"})),
    )
    names = ("moving", "guarded", "shown")
    assert [stage.row(each).state for each in names] == ["unregistered", "up", "up"]
    assert [stage.row(each, registered=frozenset(names)).state for each in names] == ["registered"] * 3
    assert stage.row("guarded", departed=frozenset(names)).state == "unregistered"


def test_a_call_counts_for_its_customer_and_for_every_gateway_that_was_tried(stage):
    tried = (
        Attempt("nowhere", 503, 20, None, "Unavailable"),
        Attempt("trunk", 200, 4_000, 880, "Normal"),
        Attempt("nowhere", 200, 9_000, None, "Cancelled"),
    )
    record = answered_call(1, pdd_ms=900, hold_time_ms=60_000, attempts=tried)
    record = msgspec.structs.replace(record, mapping_gateway="acme", routing_gateway="trunk")
    for each in (record, refused_call(2, mapping_gateway="acme"), refused_call(3)):
        stage.gateways.note(each)
    row = stage.row("acme")
    assert (row.attempts, row.answered, row.asr, row.acd_s, row.pdd_ms) == (2, 1, 50.0, 60.0, 900)
    row = stage.row("trunk")
    assert (row.attempts, row.answered, row.asr, row.acd_s, row.pdd_ms) == (1, 1, 100.0, 60.0, 880)
    row = stage.row("nowhere")
    assert (row.attempts, row.answered, row.asr, row.acd_s, row.pdd_ms) == (2, 0, 0.0, None, None)


def test_refusals_that_an_operator_has_ordered_are_none_of_the_latest_calls_of_a_customer(stage):
    for reason, status in (("Account Disabled", 403), ("Not Found", 404), ("Insufficient Balance", 402)):
        refused = refused_call(1, mapping_gateway="acme", end_reason=reason, sip_code=status)
        stage.gateways.note(refused)
    stage.gateways.note(answered_call(2, mapping_gateway="acme"))
    assert [*stage.gateways.customers()] == ["acme"]
    assert stage.gateways.latest_calls("acme", 1) == (3, 1)
    assert stage.row("acme").attempts == 4


def test_an_answered_test_call_is_no_failure_of_its_gateway(stage):
    tried = (Attempt("trunk", 200, 4_000, 880, "Normal"),)
    stage.gateways.note(answered_call(1, attempts=tried, mapping_gateway="acme", routing_gateway="trunk"))
    test = {"mapping_gateway": None, "customer_account": None, "answered_at": None, "hold_time_ms": 0}
    stage.gateways.note(answered_call(2, attempts=tried, routing_gateway="trunk", **test))
    row = stage.row("trunk")
    assert (row.attempts, row.answered, row.asr) == (1, 1, 100.0)


def test_the_cost_of_a_minute_is_that_of_the_calls_of_the_last_hour(stage):
    assert (stage.row("trunk").cost, stage.row("trunk").currency) == (None, None)
    won = (Attempt("nowhere", 503, 20, None, "Unavailable"), Attempt("trunk", 200, 4_000, 880, "Normal"))
    terms = {"attempts": won, "mapping_gateway": "acme", "routing_gateway": "trunk"}
    sold = answered_call(1, cost=Decimal("0.0125"), vendor_billed_seconds=30, **terms)
    unheard = answered_call(2, cost=Decimal("0.02"), vendor_billed_seconds=60, answered_at=None, **terms)
    for record in (sold, unheard):
        stage.gateways.note(record)
    row = stage.row("trunk")
    assert (row.cost, row.currency) == ("0.02166667", "USD")
    assert (stage.row("nowhere").cost, stage.row("acme").cost) == (None, None)
    stage.later(3_700_000)
    assert stage.row("trunk").cost is None


class ManySources(frozenset):
    """Sources of a large flood, which are not gone through for each gateway."""

    def __iter__(self):
        raise AssertionError("went through all sources")


def test_the_sources_of_a_flood_are_not_gone_through_for_each_gateway(stage):
    many = ManySources([f"203.0.{number >> 8}.{number & 255}" for number in range(50_000)] + ["198.51.100.10"])
    assert (stage.row("acme", blocked=many).state, stage.row("wide", blocked=many).state) == ("blocked", "up")


def test_a_gateway_that_an_operator_has_blocked_says_who_and_why(stage):
    stage.live.blocks.set(
        Overrides([override(Target.ROUTING, "trunk", memo="no audio"), override(Target.MAPPING, "acme")]),
        stage.catalogue,
    )
    assert (stage.row("trunk").state, stage.row("trunk").blocked) == ("blocked", "by ann: no audio")
    assert (stage.row("acme").state, stage.row("acme").blocked) == ("blocked", "by ann")
    assert (stage.row("wide").state, stage.row("wide").blocked) == ("up", None)
