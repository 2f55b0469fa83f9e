"""Explanations of routes and rates: what a call would meet, through the steps of a real one."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from doubles.asking_steps import looking_up, steps_with
from doubles.data import builders
from doubles.recomputed import recompute

from vosd.admin.names import UnknownAccountError
from vosd.admin.rating import NoRateError, RateExplanation, explain_rate
from vosd.admin.routing import NoNumberError, UnknownGatewayError, explain_route, idle_state
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account, AccountType, WhileAway
from vosd.billing.rate_choice import RateCandidate, RateChoice, RateSelection, RateSource
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.questions import Step
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.ports import Standing
from vosd.control.routes import LeftOutSheet, RouteSheet
from vosd.routing.plan import Criterion, RoutingPlan
from vosd.routing.quality_order import QualityTerms
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.dids import Did
from vosd.trunks.gateways import Address
from vosd.trunks.media import (
    DEFAULT_MEDIA,
    Encryption,
    EncryptionKind,
    IceMode,
    MediaEngine,
    MediaMode,
    MediaParameters,
    MediaSettings,
)
from vosd.trunks.ringing import RingOrder
from vosd.trunks.scope import LimitScope

NOW = Instant(1_000, 1_790_000_000_000)
SHORT = Rate("44", Decimal("0.06"), 1)
RICH = {"acme": Standing(Decimal(100), 1)}
ACME = builders.mapping_gateway("acme", "127.0.0.1/32", tech_prefix="7001", max_concurrent=1)
FIRST = builders.routing_gateway("first", "44", max_concurrent=1)
SECOND = builders.routing_gateway("second", "44", priority=2)
ELSEWHERE = builders.routing_gateway("elsewhere", "1")
CATALOGUE: Catalogue = builders.catalogue([ACME, FIRST, SECOND, ELSEWHERE])


def explain(
    callee: str = "442012", *, catalogue: Catalogue = CATALOGUE, live: LiveState | None = None, at: Instant = NOW
) -> RouteSheet:
    state = live or idle_state(catalogue, RICH)
    return explain_route(catalogue, state, gateway="acme", caller="1000", callee=callee, at=at)


def document_of(found: RouteSheet) -> dict[str, Any]:
    return dict(msgspec.to_builtins(found))


def test_a_gateway_is_shown_with_how_calls_to_this_destination_went() -> None:
    live = idle_state(CATALOGUE, RICH)
    for _ in range(20):
        live.quality.answered("first", "44", 900, NOW.mono)
    live.quality.talked("first", "44", 61_449, NOW.mono)
    live.quality.failed("second", "44", None, NOW.mono, is_effective=False)
    for _ in range(30):
        live.quality.failed("first", "1", None, NOW.mono, is_effective=False)
    names = ("asr", "acd_s", "ner", "pdd_ms")
    shown = [[each[name] for name in names] for each in document_of(explain(live=live))["candidates"]]
    assert shown == [[100.0, 61.4, 100.0, 900.0], [0.0, None, 0.0, None]]
    idle = explain_route(CATALOGUE, live, gateway="acme", caller="1000", callee="442012", at=NOW, is_live=False)
    assert all("asr" not in each and "acd_s" not in each for each in document_of(idle)["candidates"])


@pytest.mark.parametrize("criterion", [Criterion.QUALITY, Criterion.BLEND])
def test_a_gateway_with_too_few_attempts_to_be_compared_says_so_in_place_of_its_figures(criterion: Criterion) -> None:
    plan = RoutingPlan("best", order=(criterion, Criterion.WEIGHT), quality=QualityTerms(min_attempts=2))
    acme = builders.account("acme", routing_plan="best")
    catalogue = builders.catalogue([ACME, FIRST, SECOND], accounts=[acme], plans=[plan])
    live = idle_state(catalogue, RICH)
    for name, attempts in (("first", 1), ("second", 2)):
        for _ in range(attempts):
            live.quality.failed(name, "44", None, NOW.mono, is_effective=True)
    shown = {
        each["routing_gateway"]: (each["reason"], each["asr"], each["acd_s"], each["ner"])
        for each in document_of(explain(catalogue=catalogue, live=live))["candidates"]
    }
    few = "as good as the best by quality, with 1 of the 2 attempts that are compared"
    assert shown == {
        "first": (f"prefix 44, priority 1; {few}", None, None, None),
        "second": ("prefix 44, priority 2", 0.0, None, 100.0),
    }
    idle = explain_route(catalogue, live, gateway="acme", caller="1000", callee="442012", at=NOW, is_live=False)
    assert not any(few in each.reason for each in idle.candidates)


def test_the_offline_gateway_of_a_phone_keeps_its_figures_for_no_quality_moves_it() -> None:
    phones = [builders.phone("442012", offline_gateway="first")]
    plan = RoutingPlan("best", order=(Criterion.QUALITY, Criterion.WEIGHT), quality=QualityTerms(min_attempts=2))
    acme = builders.account("acme", routing_plan="best")
    catalogue = builders.catalogue([ACME, FIRST], accounts=[acme], plans=[plan], phones=phones)
    live = idle_state(catalogue, RICH)
    live.quality.failed("first", "44", None, NOW.mono, is_effective=True)
    offline = document_of(explain(catalogue=catalogue, live=live))["candidates"][-1]
    assert offline["reason"] == "takes the calls of phone 442012 while it is not registered"
    assert (offline["asr"], offline["ner"]) == (0.0, 100.0)


def test_a_call_that_is_carried_lists_its_gateways_in_order_and_why_others_are_left() -> None:
    found = explain()
    assert (found.result, found.detail, found.callee_billed) == ("ok", "", "442012")
    assert [(each.routing_gateway, each.position) for each in found.candidates] == [("first", 1), ("second", 2)]
    assert (found.left, found.unfit) == ([], 1)


def test_a_gateway_that_is_an_announcement_says_what_it_plays() -> None:
    closed = msgspec.structs.replace(FIRST, addresses=(), allow_unrated=True, sound=GatewaySound("closed", 2, 503))
    (found,) = explain(catalogue=builders.catalogue([ACME, closed])).candidates
    assert found.reason == "prefix 44, priority 1; plays closed, then 503"
    assert found.relayed is msgspec.UNSET


def test_the_document_has_the_keys_that_programs_hold_on_to() -> None:
    document = document_of(explain())
    assert list(document) == [
        "result", "detail", "steps", "callee_billed", "caller_routed", "rate", "plan", "order", "typical_seconds",
        "typical_seconds_measured", "candidates", "left",
        "unfit",
    ]  # fmt: skip
    assert document["candidates"][0] == {
        "routing_gateway": "first",
        "position": 1,
        "callee_out": "442012",
        "caller_out": "1000",
        "reason": "prefix 44, priority 1",
        "prefix": "44",
        "priority": 1,
        "weight": 100,
        "cost": "0.30",
        "currency": "USD",
        "effective_cost": "0.30",
        "margin": "0.30",
        "asr": None,
        "acd_s": None,
        "ner": None,
        "pdd_ms": None,
    }
    assert (document["left"], document["unfit"]) == ([], 1)


def relays(caller: MediaSettings, callee: MediaSettings, **parameters: Any) -> list[tuple[object, object]]:
    media = MediaParameters(**{"engine": MediaEngine.RELAY, **parameters})
    acme = builders.mapping_gateway("acme", "127.0.0.1/32", media=caller)
    first = builders.routing_gateway("first", "44", media=callee)
    document = document_of(explain(catalogue=builders.catalogue([acme, first, SECOND], media=media)))
    return [(each.get("relayed", "-"), each.get("media_step", "-")) for each in document["candidates"]]


def test_encryption_is_said_of_both_sides() -> None:
    web = MediaSettings(encryption=Encryption.REQUIRED, ice=IceMode.LITE)
    trunk = MediaSettings(encryption=Encryption.OPTIONAL, encryption_by=EncryptionKind.SDES)
    media = MediaParameters(engine=MediaEngine.RTPENGINE)
    acme = builders.mapping_gateway("acme", "127.0.0.1/32", media=web)
    first = builders.routing_gateway("first", "44", media=trunk)
    document = document_of(explain(catalogue=builders.catalogue([acme, first, SECOND], media=media)))
    assert [(each["encryption"], each["media_step"]) for each in document["candidates"]] == [
        ("caller required, ICE; gateway optional by sdes", 5),
        ("caller required, ICE", 5),
    ]


def test_whether_media_would_be_relayed_is_said_of_each_gateway() -> None:
    must, off = MediaSettings(mode=MediaMode.MUST_ON), MediaSettings(mode=MediaMode.OFF)
    assert relays(DEFAULT_MEDIA, must) == [(True, 1), (True, 6)]
    assert relays(DEFAULT_MEDIA, must, between_networks=False) == [(True, 1), (None, None)]
    assert relays(off, must) == [(True, 1), (False, 2)]
    assert relays(DEFAULT_MEDIA, MediaSettings(local_ring=True), between_networks=False, behind_nat=False) == [
        (True, 4),
        (False, 8),
    ]
    assert relays(off, must, mode=MediaMode.MUST_ON) == [(True, 0)] * 2
    assert relays(off, must, engine=MediaEngine.NONE) == [("-", "-")] * 2, "nothing relays"


def test_steps_by_networks_and_nat_are_said_with_their_answers_and_reasons() -> None:
    media = MediaParameters(engine=MediaEngine.RELAY, between_networks=False)
    (first,) = document_of(explain(catalogue=builders.catalogue([ACME, FIRST], media=media)))["candidates"]
    assert [(each["step"], each["relayed"]) for each in first["media_steps"]] == [(6, False), (7, None), (8, False)]
    assert first["media_steps"][0]["reason"] == "SS_MEDIAPROXYBETWEENNET is Off"
    (first,) = document_of(explain(catalogue=builders.catalogue([ACME, FIRST])))["candidates"]
    assert "media_steps" not in first, "there is no engine"


def test_a_gateway_of_the_other_address_family_is_left_out_where_it_would_not_be_relayed() -> None:
    acme = builders.mapping_gateway("acme", "127.0.0.1/32")
    six = builders.routing_gateway(
        "six", "44", addresses=(Address("::1", 5060),), media=MediaSettings(mode=MediaMode.OFF)
    )
    media = MediaParameters(engine=MediaEngine.RELAY)
    document = document_of(explain(catalogue=builders.catalogue([acme, six, SECOND], media=media)))
    assert [each["routing_gateway"] for each in document["candidates"]] == ["second"]
    assert [each["reason"] for each in document["left"]] == [
        "address family: the caller's media are IPv4, those of the gateway IPv6, and they are not relayed (step 2)"
    ]


def test_the_number_may_have_a_tech_prefix_and_a_plus() -> None:
    assert explain("7001442012").callee_billed == "442012"
    assert explain("+442012").callee_billed == "442012"


def test_without_money_the_hold_fails_and_the_routes_are_still_listed() -> None:
    found = explain(live=idle_state(CATALOGUE, {}))
    assert found.result == "Insufficient Balance"
    assert "account acme has 0.00 USD available" in found.detail
    assert [each.routing_gateway for each in found.candidates] == ["first", "second"]


def test_with_unknown_balances_money_is_not_judged() -> None:
    assert explain(live=idle_state(CATALOGUE, None)).result == "ok"


def test_a_number_without_rate_is_refused_before_routes_are_looked_for() -> None:
    found = explain("3312")
    assert (found.result, found.candidates, found.left) == ("No Matching Rate", [], [])


def test_a_number_with_rate_but_no_gateway_is_refused_and_the_gateways_are_counted() -> None:
    catalogue = builders.catalogue([ACME, ELSEWHERE])
    found = explain(catalogue=catalogue)
    assert (found.result, found.candidates) == ("No Available Route", [])
    assert (found.left, found.unfit) == ([], 1)


def test_an_account_is_judged_at_the_time_asked_for() -> None:
    expiring = builders.account("acme", expires_at=NOW.wall)
    catalogue = builders.catalogue([ACME, FIRST], accounts=[expiring])
    assert explain(catalogue=catalogue).result == "Account Expired"
    assert explain(catalogue=catalogue, at=NOW.plus(-1)).result == "ok"


def test_a_disabled_gateway_sends_no_calls() -> None:
    disabled = builders.mapping_gateway("acme", "127.0.0.1/32", enabled=False)
    found = explain(catalogue=builders.catalogue([disabled, FIRST]))
    assert (found.result, found.detail) == ("Account Disabled", "mapping gateway acme is disabled")


def test_a_live_switch_is_judged_by_the_calls_that_it_has() -> None:
    live = idle_state(CATALOGUE, RICH)
    live.occupancy.take(LimitScope.ROUTING, "first", 1, None, NOW.mono)
    found = explain(live=live)
    assert [each.routing_gateway for each in found.candidates] == ["second"]
    assert LeftOutSheet("first", "capacity: 1 of 1 calls") in found.left


def test_an_explanation_leaves_nothing_behind() -> None:
    live = idle_state(CATALOGUE, RICH)
    before = (live.occupancy.total(), live.credits["acme"].reserved)
    # The gateway takes one call at a time: a place that was kept would refuse the second explanation.
    assert [explain(live=live).result for _ in range(3)] == ["ok"] * 3
    assert (live.occupancy.total(), live.credits["acme"].reserved) == before == (0, 0)
    assert live.occupancy.recent(LimitScope.MAPPING, "acme", NOW.mono) == 0


def test_an_explanation_does_not_report_a_low_balance() -> None:
    live = idle_state(CATALOGUE, {"acme": Standing(Decimal(1), 1)})
    credit = live.credits["acme"]
    credit.lows, credit.low_below = [], Decimal("0.995")  # what the hold leaves is less
    assert explain(live=live).result == "ok"
    assert credit.lows == []


def test_the_number_may_begin_with_a_plus_before_the_tech_prefix_as_in_a_call() -> None:
    assert explain("+7001442012").callee_billed == "442012"


def test_what_a_call_would_ask_is_named_and_counts_as_unanswered() -> None:
    def found(*steps: Step) -> RouteSheet:
        state = idle_state(CATALOGUE, RICH)
        return explain_route(CATALOGUE, state, gateway="acme", caller="1", callee="442012", at=NOW, steps=steps)

    refused, carried = found(*steps_with(looking_up())), found(*steps_with(looking_up(None)))
    assert (refused.result, refused.detail) == ("Unavailable", "the lookup gave no answer")
    assert (carried.result, document_of(carried)["unasked"]) == ("ok", ["directory"])


def test_a_call_that_the_switch_would_not_take_now_is_refused_as_it_would_be() -> None:
    live = idle_state(CATALOGUE, RICH)
    live.is_database_away = True
    wary = msgspec.structs.replace(CATALOGUE.accounts["acme"], database_away=WhileAway.REFUSE)
    refusing = builders.catalogue([ACME, FIRST], accounts=[wary])
    assert (explain(live=live).result, explain(catalogue=refusing, live=live).result) == ("ok", "Overload")
    closed = Refusal(EndReason.SHUTDOWN, 503, "the switch is stopping")
    found = explain_route(CATALOGUE, live, gateway="acme", caller="1", callee="442012", at=NOW, closed=closed)
    assert (found.result, found.detail) == ("Shutdown", "the switch is stopping")


def test_a_gateway_that_does_not_exist_is_an_error_that_names_those_that_do() -> None:
    with pytest.raises(UnknownGatewayError, match="no mapping gateway 'unknown' is configured; there are acme"):
        explain_route(CATALOGUE, idle_state(CATALOGUE, RICH), gateway="unknown", caller="1", callee="44", at=NOW)


@pytest.mark.parametrize("callee", ["", "44" + "2" * 123, "700144" + "2" * 123])
def test_what_is_no_number_for_a_call_is_refused_as_a_call_is(callee: str) -> None:
    with pytest.raises(NoNumberError, match="answered 484"):
        explain(callee)
    assert explain("44" + "2" * 122).result == "ok"


def test_a_rate_is_explained_by_steps_that_rate_it_again() -> None:
    found = explain_rate(CATALOGUE.accounts, CATALOGUE.rates_of, "acme", "442012", 61_000, NOW.wall)
    assert (found.rate_group, found.rate_prefix, found.billed_seconds) == ("sell", "44", 61)
    assert (found.fee, found.tax) == ("0.61", "0.00")
    assert recompute(found.steps).fee == Decimal("0.61")


def test_a_rate_of_several_is_explained_by_the_steps_of_the_one_that_prices_the_call() -> None:
    begun = RateGroup("begun", "USD", builders.rating_policy(hold_time_precision_ms=0), RateRows([SHORT], "1"), "1")
    dearer = msgspec.structs.replace(SHORT, billing_rate=Decimal("0.0601"))
    whole = RateGroup("whole", "USD", builders.rating_policy(hold_time_precision_ms=999), RateRows([dearer], "1"), "1")
    candidates = [RateCandidate(RateSource.ACCOUNT, begun), RateCandidate(RateSource.MAIN, whole)]
    rates = RateChoice(candidates, RateSelection.CHEAPEST, 60)
    found = explain_rate({"acme": builders.account("acme")}, lambda _: rates, "acme", "442012", 10_500, 0)
    assert (found.rate_group, found.fee) == ("whole", "0.010017"), "11 seconds at 0.06 are more than 10 at 0.0601"
    row = next(each for each in found.steps if each["step"] == "rate")
    assert (row["group"], recompute(found.steps).fee) == ("whole", Decimal("0.010017"))
    totals = [each["total"] for each in found.steps if each["step"] == "candidate"]
    assert totals == [each.total for each in found.candidates] == ["0.011", "0.010017"]


def test_separators_in_a_number_change_no_rate() -> None:
    groups = [builders.rate_group("sell", builders.applied_rate("0.60"), builders.applied_rate("6.00", prefix="4490"))]
    dear = builders.catalogue([ACME, FIRST], rate_groups=groups)
    assert explain_rate(dear.accounts, dear.rates_of, "acme", "+44-90-1", 60_000, NOW.wall).rate_prefix == "4490"
    assert explain("70.01+44-90-1", catalogue=dear).callee_billed == "44901"


def test_a_vendor_s_account_is_rated_by_what_is_paid_to_it() -> None:
    assert explain_rate(CATALOGUE.accounts, CATALOGUE.rates_of, "first", "442012", 60_000, NOW.wall).fee == "0.30"


def test_a_missing_rate_is_an_error_that_names_the_group() -> None:
    with pytest.raises(NoRateError, match="rate group sell rates no 3312"):
        explain_rate(CATALOGUE.accounts, CATALOGUE.rates_of, "acme", "3312", 1_000, NOW.wall)
    with pytest.raises(UnknownAccountError):
        explain_rate(CATALOGUE.accounts, CATALOGUE.rates_of, "unknown", "44", 1_000, NOW.wall)
    with pytest.raises(NoRateError, match="rates no"):
        explain_rate(CATALOGUE.accounts, CATALOGUE.rates_of, "acme", "++442012", 1_000, NOW.wall)
    bars = builders.applied_rate(prefix="4490", locked=True)
    locked = builders.rate_group("sell", builders.applied_rate("0.60"), bars)
    barring = builders.catalogue([ACME, FIRST], rate_groups=[locked])
    with pytest.raises(NoRateError, match="rate group sell rates no 44901: prefix 4490 is locked"):
        explain_rate(barring.accounts, barring.rates_of, "acme", "44901", 1_000, NOW.wall)
    unrated = builders.account("free", type=AccountType.CLEARING, rate_group=None)
    with pytest.raises(NoRateError, match="account free has no rate_group"):
        explain_rate({"free": unrated}, CATALOGUE.rates_of, "free", "44", 1_000, NOW.wall)


def test_calls_of_a_phone_are_explained_with_the_number_that_it_may_show() -> None:
    catalogue = builders.catalogue([FIRST], phones=[builders.phone("1001")])
    for caller in ("1001", "1002"):
        found = explain_route(
            catalogue, idle_state(catalogue, RICH), gateway="1001", caller=caller, callee="442012", at=NOW
        )
        assert [each.caller_out for each in found.candidates] == ["1001"]


def test_without_the_running_switch_phones_count_as_not_known() -> None:
    phones = [builders.phone("442012", offline_gateway="first")]
    catalogue = builders.catalogue([ACME, FIRST], phones=phones)

    def reasons(*, is_live: bool) -> list[tuple[str, str]]:
        found = explain_route(
            catalogue, idle_state(catalogue, None), gateway="acme", caller="1", callee="442012", at=NOW, is_live=is_live
        )
        return [(each.routing_gateway, each.reason) for each in found.candidates]

    instead = ("first", "takes the calls of phone 442012 while it is not registered")
    taken = ("442012", "the number is this phone's, taken to be registered (the running switch knows)")
    assert reasons(is_live=False) == [taken, instead]
    assert reasons(is_live=True) == [("442012", "the number is this phone's, which is registered"), instead]


def test_what_the_phones_of_a_number_bring_is_explained_as_it_is_called() -> None:
    follows = CalleeDialect(redirects=Redirects.FOLLOW)
    server = builders.routing_gateway("server", "9", allow_unrated=True, dialect=follows)
    desks = [
        builders.phone(number, offline_gateway="first", redirect_server="server") for number in ("442012", "442013")
    ]

    def reasons(*phones: str, order: RingOrder = RingOrder.IN_TURN) -> list[tuple[str, str]]:
        dids = [Did("442099", "acme", phones=phones, ring=order)]
        catalogue = builders.catalogue([ACME, FIRST, server], phones=desks, dids=dids)
        state = idle_state(catalogue, RICH)
        found = explain_route(catalogue, state, gateway="acme", caller="1", callee="442099", at=NOW)
        return [(each.routing_gateway, each.reason) for each in found.candidates]

    asked = ("server", "is asked where the calls of phone 442012 go, or takes them while it is not registered")
    instead = ("first", "takes the calls of phone 442012 while it is not registered")
    alone = "the number is this phone's{}, which is registered"
    assert reasons("442012") == [asked, ("442012", alone.format("")), instead]
    beside = alone.format("; all its places ring at once")
    assert reasons("442012", order=RingOrder.TOGETHER) == [asked, ("442012", beside), instead]
    last = "takes the calls where none of the phones can be reached; it is the offline gateway of phone 442013"
    turn = "one of the phones of 442099, which rings in turn for 20 s, which is registered"
    assert reasons("442012", "442013") == [("442012", turn), ("442013", turn), ("first", last)]


@pytest.mark.parametrize(
    ("is_live", "presence"),
    [(True, "which is registered"), (False, "taken to be registered (the running switch knows)")],
)
def test_without_the_running_switch_registered_vendors_count_as_not_known(is_live: bool, presence: str) -> None:
    proof = builders.credentials("box", "secret")
    catalogue = builders.catalogue([ACME, builders.routing_gateway("box", "44", addresses=(), credentials=proof)])
    found = explain_route(
        catalogue, idle_state(catalogue, None), gateway="acme", caller="1", callee="442012", at=NOW, is_live=is_live
    )
    assert [each.reason for each in found.candidates] == [f"prefix 44, priority 1, {presence}"]


def test_the_agents_above_the_customer_are_listed_with_their_rates_and_nothing_is_held() -> None:
    accounts = [builders.account("acme", agent="reseller"), builders.account("reseller", rate_group="wholesale")]
    group = builders.rate_group("wholesale", builders.applied_rate("0.45"))
    content = builders.catalogue([ACME, FIRST], accounts=accounts, rate_groups=[group])
    live = idle_state(content, {**RICH, "reseller": Standing(Decimal("0.45"), 1)})
    for _ in range(2):  # what the first one holds would refuse the second
        found = explain(catalogue=content, live=live)
        assert found.result == "ok"
    assert document_of(found)["agents"] == [
        {"account": "reseller", "level": 1, "rate_group": "wholesale", "rate_prefix": "44", "price_per_minute": "0.45"}
    ]
    assert "agents" not in document_of(explain())
    poor = explain(catalogue=content, live=idle_state(content, RICH))
    assert (poor.result, poor.detail[:37]) == ("Insufficient Balance", "agent reseller: account reseller has ")


def test_the_explanation_of_a_rate_has_what_each_agent_above_the_account_pays() -> None:
    accounts = {
        "acme": builders.account("acme", agent="reseller"),
        "reseller": builders.account("reseller", rate_group="wholesale", agent="top"),
        "top": builders.account("top", rate_group="wholesale", rate_types=frozenset({"national"})),
    }
    groups = {
        "sell": builders.rate_group("sell", builders.applied_rate("0.60")),
        "wholesale": builders.rate_group("wholesale", builders.applied_rate("0.45", 60, tax_rate="10")),
    }

    def explained(account_id: str, accounts: Mapping[str, Account]) -> RateExplanation:
        return explain_rate(accounts, lambda each: groups.get(each.rate_group or ""), account_id, "442012", 61_000, 0)

    free_to_call = {**accounts, "top": builders.account("top", rate_group="wholesale")}
    found = explained("acme", free_to_call)
    assert [msgspec.to_builtins(each) for each in found.agents] == [
        {"account": name, "level": level, "rate_group": "wholesale", "rate_prefix": "44", "billed_seconds": 120,
         "fee": "0.90", "tax": "0.09", "currency": "USD"}
        for level, name in enumerate(("reseller", "top"), start=1)
    ]  # fmt: skip
    assert explained("top", free_to_call).agents == ()
    with pytest.raises(NoRateError, match="agent top: account top may call national"):
        explained("acme", accounts)


def test_gateways_are_compared_by_the_buy_rates_of_the_number_behind_its_routing_prefix() -> None:
    gateway = builders.routing_gateway("first", "*")
    content = builders.catalogue(
        [builders.mapping_gateway("acme", "127.0.0.1/32"), gateway],
        rate_groups=[
            builders.rate_group("sell", builders.applied_rate("0.60")),
            builders.rate_group("buy", builders.applied_rate("0.30"), builders.applied_rate("0.90", prefix="*")),
        ],
        special_numbers=SpecialNumbers(strip_digits=2),
    )
    live = idle_state(content, RICH)
    for _ in range(20):
        live.quality.answered("first", "44", 900, NOW.mono)
    live.quality.failed("first", "*", None, NOW.mono, is_effective=False)
    found = explain("00442012", catalogue=content, live=live)
    assert (found.callee_billed, [each.cost for each in found.candidates]) == ("442012", ["0.30"])
    assert [each["asr"] for each in document_of(found)["candidates"]] == [100.0]


def test_the_country_of_the_source_is_that_which_the_live_state_knows() -> None:
    abroad = builders.mapping_gateway("acme", "8.8.8.8/32", countries=frozenset({"US"}))
    content = builders.catalogue([abroad, FIRST])
    for country, result in (("US", "ok"), ("CA", "Geofence Blocked")):
        live = idle_state(content, RICH)
        live.country_of = {"8.8.8.8": country}.__getitem__
        found = explain_route(content, live, gateway="acme", caller="1000", callee="442012", at=NOW, source="8.8.8.8")
        assert found.result == result
