"""Private and period rates in the configuration: what they make of accounts and gateways, and mistakes in them."""

import json
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec
import pytest

from vosd.admin.routing import explain_route, idle_state
from vosd.base.clock import Instant
from vosd.billing.named_areas import BY_NUMBER
from vosd.billing.rate_group import RateGroup
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.problems import ConfigError
from vosd.config.excerpt import Excerpt
from vosd.config.load import Loaded, load


def group(name: str, price: str = "1", prefix: str = "44", **more: Any) -> dict[str, Any]:
    return {"name": name, "rates": [{"prefix": prefix, "billing_rate": price}], **more}


FILE: dict[str, Any] = {
    "rate_groups": [group("sell", "0.04"), group("own", "0.02"), group("phone", "0.03"), group("night", "0.015")],
    "period_rates": [{"name": "tariff", "periods": [{"name": "night", "rate_group": "night"}]}],
    "routing_plans": [{"name": "by-cost", "order": ["cost"]}],
    "accounts": [
        {"id": "acme", "rate_group": "sell"},
        {"id": "carrier", "type": "clearing", "rate_group": "sell", "overdraft_limit": "unlimited"},
    ],
    "mapping_gateways": [{"name": "pbx", "account": "acme", "hosts": "192.0.2.1"}],
    "routing_gateways": [{"name": "trunk", "account": "carrier", "address": "192.0.2.9"}],
}


def site(directory, changes: dict[str, Any]) -> Loaded:
    """Load the file with other keys in the first objects of its lists."""
    file = json.loads(json.dumps(FILE))
    for top, keys in changes.items():
        if isinstance(keys, dict):
            file[top][0].update(keys)
            file[top][0] = {key: value for key, value in file[top][0].items() if value is not None}
        else:
            file[top] += keys
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(file))
    return load(path, {})


def priced_by(loaded: Loaded) -> tuple[str, str]:
    """Return the source and the group of the rate of a customer's call."""
    catalogue = loaded.catalogue
    call = CallRequest("192.0.2.1", 5060, 70, at=Instant(0, 0), callee="4420")
    call.mapping, call.account = catalogue.mapping_gateways["pbx"], catalogue.accounts["acme"]
    assert Admission(catalogue, LiveState()).find_sell_rate(call) is None
    assert call.rate is not None
    return call.rate.source, call.rate.group


def test_one_rate_group_and_nothing_else_is_no_choice(tmp_path):
    loaded = site(tmp_path, {})
    assert priced_by(loaded) == ("", "sell")
    catalogue = loaded.catalogue
    assert (catalogue.customer_rates, catalogue.account_rates, catalogue.vendor_rates) == ({}, {}, {})


def test_the_cheapest_of_four_rates_prices_a_call_and_by_priority_the_first(tmp_path):
    rates = {"private_rate_group": "own", "period_rates": "tariff"}
    changes = {"mapping_gateways": {"private_rate_group": "phone"}, "accounts": rates}
    assert priced_by(site(tmp_path, changes)) == ("period night", "night")
    changes = {**changes, "accounts": {**rates, "rate_selection": "priority"}}
    assert priced_by(site(tmp_path, changes)) == ("trunk", "phone")


def test_a_rate_group_may_bring_its_period_rates_and_an_account_has_others(tmp_path):
    assert priced_by(site(tmp_path, {"rate_groups": {"period_rates": "tariff"}})) == ("period night", "night")
    other = [{"name": "other", "periods": [{"name": "half", "multiplier": "0.5"}]}]
    changes = {"rate_groups": {"period_rates": "tariff"}, "period_rates": other, "accounts": {"period_rates": "other"}}
    assert priced_by(site(tmp_path, changes)) == ("period half", "sell")


SURCHARGE = {
    "calendars": [{"name": "week", "timezone": "UTC", "entries": [{"weekdays": ["sat", "sun"]}]}],
    "period_rates": [{"name": "tariff", "periods": [{"name": "weekend", "calendar": "week", "multiplier": "1.5"}]}],
}
THURSDAY, SATURDAY = 0, 2 * 86_400_000


def with_surcharge(directory, **keys: Any) -> Loaded:
    """Load the file with dearer weekends for the customer and the vendor; the customer's account has more keys."""
    file = {**FILE, **SURCHARGE, "accounts": [{**each, "period_rates": "tariff"} for each in FILE["accounts"]]}
    file["accounts"][0] |= keys
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(file))
    return load(path, {})


@pytest.mark.parametrize("moment", [THURSDAY, SATURDAY])
@pytest.mark.parametrize("selection", ["cheapest", "priority"])
def test_a_multiplier_takes_the_place_of_the_rate_group_also_where_it_is_dearer(tmp_path, selection, moment):
    rates = with_surcharge(tmp_path, rate_selection=selection).catalogue.account_rates["acme"]
    source, price = ("period weekend", "0.060") if moment == SATURDAY else ("main", "0.04")
    found = rates.find("4420", moment)
    assert (found.source, found.rate.billing_rate, found.candidates) == (source, Decimal(price), ())
    assert len(rates.tables_at(moment)) == 1


def test_private_rates_that_are_cheaper_than_the_multiplied_ones_price_the_call(tmp_path):
    rates = with_surcharge(tmp_path, private_rate_group="own").catalogue.account_rates["acme"]
    assert [(each.source, each.rate.billing_rate) for each in rates.found("4420", SATURDAY)] == [
        ("account", Decimal("0.02")),
        ("period weekend", Decimal("0.06")),
    ]
    assert rates.find("4420", SATURDAY).source == "account"


def test_a_vendor_s_dearer_period_is_what_it_costs(tmp_path):
    catalogue = with_surcharge(tmp_path).catalogue
    vendors = LiveVendors(catalogue, LiveState())
    prices = [
        vendors.terms(catalogue.routing_gateways["trunk"], "4420", at, "").price_per_minute
        for at in (THURSDAY, SATURDAY)
    ]
    assert prices == [Decimal("0.04"), Decimal("0.06")]


@pytest.mark.parametrize("account", [{"private_rate_group": "own"}, {"period_rates": "tariff"}])
def test_an_account_needs_no_rate_group_beside_other_rates(tmp_path, account):
    loaded = site(tmp_path, {"accounts": {"rate_group": None, **account}, "rate_groups": []})
    assert priced_by(loaded)[1] in {"own", "night"}
    assert not [each for each in loaded.problems if "rate_group" in each.expected]


def test_a_vendor_s_gateway_may_have_its_own_buy_rates(tmp_path):
    for keys, expected in (({"rate_group": "own"}, ""), ({"private_rate_group": "own"}, "trunk")):
        catalogue = site(tmp_path, {"routing_gateways": keys}).catalogue
        terms = LiveVendors(catalogue, LiveState()).terms(catalogue.routing_gateways["trunk"], "4420", 0, "")
        assert (terms.group, terms.source) == ("own", expected)


def test_a_gateway_takes_the_prefixes_of_all_its_buy_rates(tmp_path):
    changes = {
        "rate_groups": [group("france", "0.1", "33")],
        "routing_gateways": {"private_rate_group": "france", "prefixes": "from_rates"},
    }
    routes = site(tmp_path, changes).catalogue.routes
    for number, prefix in (("33142", "33"), ("4420", "44")):
        assert [each.prefix for each in routes.fit(number, 0).ranked] == [prefix]
    assert not routes.fit("49", 0).ranked


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"accounts": {"private_rate_group": "owm"}}, "accounts[acme].private_rate_group"),
        ({"accounts": {"period_rates": "tarif"}}, "accounts[acme].period_rates"),
        ({"rate_groups": {"period_rates": "tarif"}}, "rate_groups[sell].period_rates"),
        ({"mapping_gateways": {"private_rate_group": "owm"}}, "mapping_gateways[pbx].private_rate_group"),
        ({"routing_gateways": {"rate_group": "owm"}}, "routing_gateways[trunk].rate_group"),
        ({"period_rates": {"periods": [{"name": "n", "rate_group": "nigth"}]}}, "periods[0].rate_group"),
        ({"period_rates": {"periods": [{"name": "n", "calendar": "c", "multiplier": "1"}]}}, "periods[0].calendar"),
        ({"period_rates": {"periods": [{"name": "n"}]}}, "either rate_group or multiplier"),
        ({"period_rates": {"periods": [{"name": "n", "when": "rest", "multiplier": "1"}]}}, "a calendar as well"),
        ({"period_rates": {"periods": []}}, "at least one period"),
        (
            {"period_rates": {"periods": [{"name": "n", "multiplier": "1"}, {"name": "n", "multiplier": "2"}]}},
            "each name once",
        ),
        (
            {"rate_groups": [group("euro", currency="EUR")], "accounts": {"private_rate_group": "euro"}},
            "a rate group in USD",
        ),
        (
            {"rate_groups": [group("euro", currency="EUR")], "routing_gateways": {"private_rate_group": "euro"}},
            "a rate group in USD",
        ),
        (
            {
                "rate_groups": [group("euro", currency="EUR")],
                "period_rates": {"periods": [{"name": "n", "rate_group": "euro"}]},
                "accounts": {"period_rates": "tariff"},
            },
            "periods[0].rate_group: value 'euro': expected a rate group in USD",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path, changes, named):
    with pytest.raises(ConfigError) as refused:
        site(tmp_path, changes)
    assert named in str(refused.value)


def test_prefixes_that_one_period_lacks_are_reported(tmp_path):
    periods = [{"name": "day", "rate_group": "own"}, {"name": "france", "rate_group": "france"}]
    loaded = site(tmp_path, {"rate_groups": [group("france", prefix="33")], "period_rates": {"periods": periods}})
    (problem,) = [
        each for each in chain.from_iterable(loaded.reports_by_group()) if each.key == "period_rates[tariff].periods"
    ]
    assert "(own, france); not all have these 2: 33, 44" in problem.expected


def test_rate_types_are_one_or_a_list(tmp_path):
    for written, read in (("local", {"local"}), (["net", "domestic"], {"net", "domestic"})):
        assert site(tmp_path, {"accounts": {"rate_types": written}}).catalogue.accounts["acme"].rate_types == read
    with pytest.raises(ConfigError, match="one of net, local, domestic, international"):
        site(tmp_path, {"accounts": {"rate_types": "locale"}})


DERIVED = [{"name": "resale", "derive": {"from": "sell", "factor": "1.5", "offset": "0.001", "decimals": "3"}}]


def test_a_rate_group_is_derived_from_another_one(tmp_path):
    catalogue = site(tmp_path, {"rate_groups": DERIVED, "accounts": {"rate_group": "resale"}}).catalogue
    found = catalogue.rate_groups["resale"].find("+4420", 0)
    assert (found.group, str(found.rate.billing_rate)) == ("resale", "0.061")
    dearer = site(tmp_path, {"rate_groups": [{**DERIVED[0], "derive": {"from": "own"}}]}).catalogue
    assert dearer.rate_groups["resale"].version != catalogue.rate_groups["resale"].version
    excerpt = Excerpt(tmp_path / "vosd.yaml", {})
    assert str(excerpt.rate_group("resale").find("4420", 0).rate.billing_rate) == "0.02000000"


def test_rates_beside_derived_ones_win(tmp_path):
    rates = [{"prefix": "44", "billing_rate": "9"}]
    catalogue = site(tmp_path, {"rate_groups": [{**DERIVED[0], "rates": rates}]}).catalogue
    assert catalogue.rate_groups["resale"].find("4420", 0).rate.billing_rate == 9


LIST = {
    "name": "list",
    "currency": "EUR",
    "rates": [
        {"prefix": "44", "billing_rate": "0", "area": "United Kingdom"},
        {"prefix": "4420", "billing_rate": "0", "area": "London"},
        {"prefix": "447", "billing_rate": "0"},
    ],
}


def areas(found: RateGroup, *numbers: str) -> list[str]:
    return [found.find(number, 0).rate.area for number in numbers]


def test_rates_without_area_have_those_of_another_group(tmp_path):
    derived = [
        LIST,
        {**DERIVED[0], "name": "of-named", "rates": [{"prefix": "4477", "billing_rate": "1"}]},
        {**group("plain"), "area_names": "list"},
        {
            "name": "of-plain",
            "derive": {"from": "own"},
            "area_names": "list",
            "rates": group("", prefix="4477")["rates"],
        },
        {"name": "deep", "area_names": "deep", "rates": [*LIST["rates"], {"prefix": "4479", "billing_rate": "1"}]},
    ]
    loaded = site(tmp_path, {"rate_groups": derived})
    written = json.loads((tmp_path / "vosd.yaml").read_text())
    written["rate_groups"][0]["area_names"] = "list"
    (tmp_path / "vosd.yaml").write_text(json.dumps(written))
    named, excerpt = load(tmp_path / "vosd.yaml", {}), Excerpt(tmp_path / "vosd.yaml", {})
    uk, london = "United Kingdom", "London"
    for groups in (named.catalogue.rate_groups.__getitem__, excerpt.rate_group):
        assert areas(groups("sell"), "4410", "+442012", "4477") == [uk, london, uk]
        assert areas(groups("plain"), "4420") == [london]
        assert areas(groups("of-named"), "4420", "4477") == [london, ""], "what is derived has the area of its base"
        assert areas(groups("of-plain"), "4420", "4477") == [london, uk]
        assert areas(groups("deep"), "4479", "447", "4420") == [uk, uk, london], "its own shorter prefixes name them"
    assert areas(loaded.catalogue.rate_groups["sell"], "4420") == [""]
    by_number = {name for name, each in named.catalogue.rate_groups.items() if each.rate_version.endswith(BY_NUMBER)}
    assert by_number == {"sell", "plain", "of-named", "of-plain", "deep"}, "invoices look at each call of these"
    before, after = (each.catalogue.rate_groups["sell"] for each in (loaded, named))
    assert before.version != after.version, "calls are told apart by their areas"
    assert before.find("4420", 0).rate.billing_rate == after.find("4420", 0).rate.billing_rate


def test_a_group_follows_the_areas_of_the_other_one(tmp_path):
    named = {"rate_groups": [LIST, {**group("plain"), "area_names": "list"}]}
    before = site(tmp_path, named).catalogue.rate_groups["plain"]
    changed = [{**LIST, "rates": [{"prefix": "44", "billing_rate": "0", "area": "UK"}]}, named["rate_groups"][1]]
    after = site(tmp_path, {"rate_groups": changed}).catalogue.rate_groups["plain"]
    assert (areas(before, "4420"), areas(after, "4420")) == (["London"], ["UK"])
    assert before.version != after.version


@pytest.mark.parametrize(
    ("groups", "named"),
    [
        ([{"name": "resale", "derive": {"from": "sel"}}], "rate_groups[resale].derive.from"),
        ([*DERIVED, {"name": "again", "derive": {"from": "resale"}}], "a rate group that is not derived itself"),
        ([{"name": "resale", "derive": {"from": "resale"}}], "a rate group that is not derived itself"),
        ([{"name": "resale", "currency": "EUR", "derive": {"from": "sell"}}], "a rate group in EUR"),
        ([{"name": "resale", "derive": {"factor": "2"}}], "the name of a rate group"),
        ([{"name": "resale", "derive": {"from": "sell", "factor": "11"}}], "a number from 0 to 10"),
        ([{"name": "resale", "derive": {"from": "sell", "offset": "1001"}}], "at most 1000"),
        ([{"name": "resale"}], "rates, a rates_file, deck: true, or derive"),
        ([{**group("plain"), "area_names": "lst"}, LIST], "rate_groups[plain].area_names: value 'lst': expected"),
        ([*DERIVED, {**group("plain"), "area_names": "resale"}], "expected a rate group that is not derived itself"),
    ],
)
def test_a_mistake_in_a_derivation_or_in_the_group_that_names_areas_is_named(tmp_path, groups, named):
    with pytest.raises(ConfigError) as refused:
        site(tmp_path, {"rate_groups": groups})
    assert named in str(refused.value)


def test_a_derived_price_that_cannot_be_booked_is_an_error(tmp_path):
    large = {"name": "large", "rates": [{"prefix": "44", "billing_rate": "90000000", "billing_cycle": "1"}]}
    assert site(tmp_path, {"rate_groups": [large]})
    with pytest.raises(ConfigError, match="more cannot be booked"):
        site(tmp_path, {"rate_groups": [large, {"name": "resale", "derive": {"from": "large", "factor": "10"}}]})


def test_a_template_gives_rate_groups_their_rounding(tmp_path):
    file = {**FILE, "templates": {"wholesale": {"fee_precision": "3", "fee_rounding": "up"}}}
    sell, *others = FILE["rate_groups"]
    file["rate_groups"] = [{**sell, "template": "wholesale", "fee_precision": "4"}, *others]
    path = tmp_path / "vosd.yaml"
    path.write_text(json.dumps(file))
    for found in (load(path, {}).catalogue.rate_groups["sell"], Excerpt(path, {}).rate_group("sell")):
        assert (found.policy.fee_precision, found.policy.rounding.value) == (4, "up")


ORIGINS = [{"name": "eea", "prefixes": ["33", "49"], "rate_group": "own"}]
HIDDEN = {"name": "hidden", "callers": ["invalid", "missing"], "rate_group": "night"}


def test_the_rates_of_both_sides_depend_on_the_caller_s_origin(tmp_path):
    catalogue = site(tmp_path, {"rate_groups": {"origins": [*ORIGINS, HIDDEN]}}).catalogue
    vendors, trunk = LiveVendors(catalogue, LiveState()), catalogue.routing_gateways["trunk"]
    for caller, name in (("+4930123456", "own"), ("+12015551234", "sell"), ("", "night")):
        call = CallRequest("192.0.2.1", 5060, 70, at=Instant(0, 0), caller=caller, callee="4420")
        call.mapping, call.account = catalogue.mapping_gateways["pbx"], catalogue.accounts["acme"]
        assert Admission(catalogue, LiveState()).find_sell_rate(call) is None
        assert call.rate.group == name
        assert vendors.terms(trunk, "4420", 0, caller).group == name
    excerpt = Excerpt(tmp_path / "vosd.yaml", {})
    assert excerpt.rates_of(excerpt.accounts()["acme"]).find("4420", 0, "33612345678").group == "own"


@pytest.mark.parametrize(
    ("origins", "named"),
    [
        ([{**ORIGINS[0], "rate_group": "owm"}], "rate_groups[sell].origins[0].rate_group"),
        ([{"name": "eea", "rate_group": "own"}], "prefixes, callers, or areas"),
        ([{**ORIGINS[0], "areas": ["1205,1251", "1251"]}], "each prefix in one area"),
        ([{**ORIGINS[0], "areas": ["1205"]}, {**HIDDEN, "areas": ["1"]}], "areas in one of them only"),
        ([*ORIGINS, {**ORIGINS[0], "name": "twin"}], "each prefix once"),
        ([*ORIGINS, {**ORIGINS[0], "prefixes": "1"}], "each name once"),
        ([{**ORIGINS[0], "callers": "absent"}], "one of missing, invalid"),
    ],
)
def test_a_mistake_in_origins_is_named(tmp_path, origins, named):
    with pytest.raises(ConfigError) as refused:
        site(tmp_path, {"rate_groups": {"origins": origins}})
    assert named in str(refused.value)


def test_gateways_of_one_account_are_compared_by_their_own_rates(tmp_path):
    changes = {
        "routing_gateways": [{"name": "cheap", "account": "carrier", "address": "192.0.2.8", "rate_group": "night"}],
        "accounts": {"routing_plan": "by-cost"},
    }
    catalogue = site(tmp_path, changes).catalogue
    live = idle_state(catalogue, None)
    found = explain_route(catalogue, live, gateway="pbx", caller="", callee="4420", at=Instant(0, 0), is_live=False)
    assert [(each.routing_gateway, each.cost) for each in found.candidates] == [("cheap", "0.015"), ("trunk", "0.04")]


def test_an_explained_route_names_the_rates_that_may_price_the_call(tmp_path):
    catalogue = site(tmp_path, {"accounts": {"private_rate_group": "own"}}).catalogue
    live = idle_state(catalogue, None)
    found = explain_route(catalogue, live, gateway="pbx", caller="", callee="4420", at=Instant(0, 0), is_live=False)
    shown = [("account", "own", "0.02"), ("main", "sell", "0.04")]
    rates = [
        {
            "rate_group": group,
            "rate_prefix": "44",
            "price_per_minute": price,
            "effective_price": price,
            "currency": "USD",
            "source": source,
        }
        for source, group, price in shown
    ]
    assert msgspec.to_builtins(found)["rate"] == {**rates[0], "candidates": tuple(rates)}


def test_areas_are_lists_of_prefixes(tmp_path):
    origins = [{"name": "intrastate", "areas": ["1205, 1251", ["1907", "1908"]], "rate_group": "own"}]
    (origin,) = site(tmp_path, {"rate_groups": {"origins": origins}}).catalogue.rate_groups["sell"].origins
    assert origin.areas == (("1205", "1251"), ("1907", "1908"))
