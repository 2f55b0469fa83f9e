"""Currencies and exchange rates in the configuration: which pairs are needed, since when, and how fees are rounded."""

import json
from decimal import Decimal
from typing import Any

import pytest

from vosd.admin.routing import explain_route, idle_state
from vosd.base.clock import Instant
from vosd.billing.rater import rate_call
from vosd.billing.rates import AppliedRate
from vosd.catalogue.problems import ConfigError
from vosd.config.excerpt import Excerpt
from vosd.config.load import Loaded, load

NOW = 1_790_000_000_000
"""September 2026."""
RATE: dict[str, Any] = {"base": "USD", "quote": "EUR", "rate": "0.9215"}
BACK: dict[str, Any] = {"base": "EUR", "quote": "USD", "rate": "1.08"}


def group(name: str, currency: str, price: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "currency": currency, "rates": [{"prefix": "44", "billing_rate": price}], **more}


FILE: dict[str, Any] = {
    "rate_groups": [group("sell", "USD", "0.60"), group("buy", "USD", "0.30"), group("euros", "EUR", "0.20")],
    "accounts": [
        {"id": "acme", "rate_group": "sell"},
        {"id": "carrier", "type": "clearing", "rate_group": "buy", "overdraft_limit": "unlimited"},
        {"id": "other", "type": "clearing", "rate_group": "buy", "overdraft_limit": "unlimited"},
    ],
    "mapping_gateways": [{"name": "pbx", "account": "acme", "hosts": "192.0.2.1"}],
    "routing_gateways": [
        {"name": "first", "account": "carrier", "address": "192.0.2.9"},
        {"name": "second", "account": "other", "address": "192.0.2.10", "priority": 2},
    ],
    "exchange_rates": [],
    "currencies": [],
    "gateway_groups": [],
    "routing_plans": [{"name": "by-cost", "order": ["cost"]}],
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the file with other keys in objects of its lists, named ``list.name``, and more in its lists."""
    file: dict[str, Any] = json.loads(json.dumps(FILE))
    for where, value in changes.items():
        top, _, name = where.partition(".")
        if name:
            (found,) = (each for each in file[top] if name in (each.get("id"), each.get("name")))
            found.update(value)
        else:
            file[top] += value
    return file


def loaded(directory, changes: dict[str, Any], now_ms: int = NOW) -> Loaded:
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(changed(changes)))
    return load(path, {}, now_ms=now_ms)


def refused(directory, changes: dict[str, Any], now_ms: int = NOW) -> list[str]:
    with pytest.raises(ConfigError) as error:
        loaded(directory, changes, now_ms)
    return [str(each) for each in error.value.problems]


def sell_rate(found: Loaded, wall_ms: int = NOW) -> AppliedRate:
    rates = found.catalogue.customer_rates.get("pbx") or found.catalogue.rate_groups["sell"]
    rate = rates.find("4420", wall_ms)
    assert rate is not None
    return rate


EURO_CUSTOMER: dict[str, Any] = {"accounts.acme": {"currency": "EUR"}}


def test_an_account_of_another_currency_than_its_rate_group_is_charged_at_the_exchange_rate(tmp_path):
    found = loaded(tmp_path, {**EURO_CUSTOMER, "exchange_rates": [RATE]})
    assert found.catalogue.accounts["acme"].currency == "EUR"
    charge = rate_call(sell_rate(found), 61_000)
    assert charge.fee == Decimal("0.562115")  # 0.61 dollars
    rates = Excerpt(tmp_path / "vosd.yaml", {}).rates_of(found.catalogue.accounts["acme"])
    assert rates is not None
    assert rates.find("4420", NOW) == sell_rate(found)


def test_one_currency_alone_makes_no_rates_of_its_own(tmp_path):
    catalogue = loaded(tmp_path, {"exchange_rates": [RATE]}).catalogue
    assert (catalogue.customer_rates, catalogue.account_rates, catalogue.vendor_rates) == ({}, {}, {})


@pytest.mark.parametrize(
    ("changes", "key", "names"),
    [
        (EURO_CUSTOMER, "accounts[acme].currency", "base: USD and quote: EUR"),
        ({"accounts.acme": {"private_rate_group": "euros"}}, "accounts[acme].private_rate_group", "base: EUR"),
        ({"mapping_gateways.pbx": {"rate_group": "euros"}}, "mapping_gateways[pbx].rate_group", "base: EUR"),
        ({"routing_gateways.first": {"rate_group": "euros"}}, "routing_gateways[first].rate_group", "base: EUR"),
        ({"accounts.other": {"rate_group": "euros"}}, "routing_gateways[second].account", "base: EUR and quote: USD"),
        (
            {"rate_groups.sell": {"origins": [{"name": "eea", "prefixes": "49", "rate_group": "euros"}]}},
            "rate_groups[sell].origins[0].rate_group",
            "base: EUR and quote: USD",
        ),
    ],
)
def test_a_pair_without_exchange_rate_is_an_error_with_both_currencies_and_goes_away_with_one(
    tmp_path, changes, key, names
):
    (problem,) = refused(tmp_path, changes)
    assert problem.startswith(f"{tmp_path / 'vosd.yaml'}:1: {key}: ")
    assert f"exchange_rates with {names}" in problem
    assert "EUR" in problem
    assert "USD" in problem
    pair = RATE if "base: USD" in names else BACK
    assert loaded(tmp_path, {**changes, "exchange_rates": [pair]})


def test_the_other_direction_is_not_enough(tmp_path):
    assert refused(tmp_path, {**EURO_CUSTOMER, "exchange_rates": [BACK]})


def test_a_pair_whose_first_rate_is_not_in_force_yet_is_an_error_that_says_when(tmp_path):
    later = {**RATE, "effective_from": "2026-12-01T00:00:00+01:00"}
    (problem,) = refused(tmp_path, {**EURO_CUSTOMER, "exchange_rates": [later]})
    assert "that are in force, not from 2026-11-30T23:00:00.000Z on" in problem
    begins = 1_796_079_600_000
    assert loaded(tmp_path, {**EURO_CUSTOMER, "exchange_rates": [later]}, now_ms=begins)
    found = loaded(tmp_path, {**EURO_CUSTOMER, "exchange_rates": [later, {**RATE, "rate": "0.9"}]})
    at = {moment: sell_rate(found, moment).exchange_rate for moment in (begins - 1, begins)}
    assert at == {begins - 1: Decimal("0.9"), begins: Decimal("0.9215")}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"exchange_rates": [RATE, RATE]}, "each pair once, or with another effective_from"),
        ({"exchange_rates": [{**RATE, "rate": "0"}]}, "a number above 0"),
        ({"exchange_rates": [{**RATE, "rate": "1e-3"}]}, "a number above 0"),
        ({"exchange_rates": [{**RATE, "quote": "USD"}]}, "another currency than base"),
        ({"exchange_rates": [{**RATE, "effective_from": "2026-12-01T00:00:00"}]}, "a time with its zone"),
        ({"currencies": [{"code": "JPY", "fee_precision": "0", "fee_unit": "0.5"}]}, "at least 1"),
        ({"currencies": [{"code": "JPY", "fee_precision": "9"}]}, "8"),
        ({"currencies": [{"code": "yen", "fee_precision": "0"}]}, "ISO 4217"),
        ({"currencies": [{"code": "JPY", "fee_precision": "0"}] * 2}, "each code once"),
    ],
)
def test_a_mistake_is_named(tmp_path, more, expected):
    assert expected in refused(tmp_path, more)[0]


@pytest.mark.parametrize(
    ("changes", "fee"),
    [
        ({}, "0.610001"),
        ({"currencies": [{"code": "USD", "fee_precision": "3"}]}, "0.61"),
        ({"currencies": [{"code": "USD", "fee_precision": "3", "fee_unit": "0.05"}]}, "0.6"),
        ({"currencies": [{"code": "USD", "fee_precision": "0"}], "rate_groups.sell": {"fee_precision": "1"}}, "0.6"),
        (
            {
                "currencies": [{"code": "USD", "fee_precision": "0"}],
                "rate_groups.sell": {"fee_precision": "1"},
                "accounts.acme": {"fee_precision": "5"},
            },
            "0.61",
        ),
        ({"currencies": [{"code": "JPY", "fee_precision": "0"}]}, "0.610001"),
    ],
)
def test_decimals_are_those_of_account_then_rate_group_then_currency_then_parameter(tmp_path, changes, fee):
    rates = {"rates": [{"prefix": "44", "billing_rate": "0.6100005", "billing_cycle": "60"}]}
    changes = {**changes, "rate_groups.sell": {**changes.get("rate_groups.sell", {}), **rates}}
    assert rate_call(sell_rate(loaded(tmp_path, changes)), 60_000).fee == Decimal(fee)


def test_the_decimals_of_a_group_are_for_its_own_currency_alone(tmp_path):
    changes = {
        **EURO_CUSTOMER,
        "exchange_rates": [RATE],
        "currencies": [{"code": "EUR", "fee_precision": "3"}],
        "rate_groups.sell": {"fee_precision": "0"},
    }
    assert rate_call(sell_rate(loaded(tmp_path, changes)), 61_000).fee == Decimal("0.562")


def routes(found: Loaded, wall_ms: int = NOW) -> Any:
    catalogue = found.catalogue
    return explain_route(
        catalogue, idle_state(catalogue, None), gateway="pbx", caller="4930", callee="4420", at=Instant(0, wall_ms)
    )


def test_gateways_are_ordered_by_their_cost_in_the_customer_s_currency(tmp_path):
    """0.28 euros are 0.3024 dollars, which is more than 0.30; with a dearer dollar they are 0.28 and less."""
    changes = {
        "rate_groups": [group("cheap", "EUR", "0.28")],
        "accounts.other": {"rate_group": "cheap"},
        "accounts.acme": {"routing_plan": "by-cost"},
        "exchange_rates": [BACK, {**BACK, "rate": "1", "effective_from": "2027-01-01T00:00:00Z"}],
    }
    found = loaded(tmp_path, changes)
    assert [each.routing_gateway for each in routes(found).candidates] == ["first", "second"]
    in_2027 = 1_800_000_000_000
    assert [each.routing_gateway for each in routes(found, in_2027).candidates] == ["second", "first"]


def test_the_guard_against_losses_compares_in_the_customer_s_currency(tmp_path):
    """0.58 euros are less than 0.60, and 0.6264 dollars are more."""
    changes = {
        "rate_groups": [group("dear", "EUR", "0.58")],
        "accounts.other": {"rate_group": "dear"},
        "exchange_rates": [BACK],
    }
    explained = routes(loaded(tmp_path, changes))
    assert [each.routing_gateway for each in explained.candidates] == ["first"]
    (left,) = explained.left
    assert left.reason.startswith("loss: sold for 0.60 a minute and bought for 0.6264: a margin of -0.0264")


def test_a_customer_whose_plan_has_no_gateway_of_another_currency_needs_no_exchange_rate(tmp_path):
    changes = {
        "accounts.other": {"rate_group": "euros"},
        "routing_plans": [{"name": "dollars", "gateways": ["first"]}],
        "accounts.acme": {"routing_plan": "dollars"},
        "gateway_groups": [{"name": "group", "gateways": ["first"]}],
    }
    assert loaded(tmp_path, changes)
    changes["routing_plans"] = [{"name": "dollars", "gateways": ["group"]}]
    assert loaded(tmp_path, changes)
    changes["gateway_groups"] = [{"name": "group", "gateways": ["first", "second"]}]
    (problem,) = refused(tmp_path, changes)
    assert "account 'other' is paid in EUR" in problem


def test_an_agent_pays_in_its_own_currency(tmp_path):
    changes = {
        "accounts": [{"id": "reseller", "rate_group": "sell", "currency": "EUR"}],
        "accounts.acme": {"agent": "reseller"},
        "exchange_rates": [RATE],
    }
    found = loaded(tmp_path, changes)
    (level,) = routes(found).agents
    assert (level.account, level.price_per_minute) == ("reseller", "0.5529")


def test_new_exchange_rates_make_another_version_of_the_catalogue(tmp_path):
    one = loaded(tmp_path, {**EURO_CUSTOMER, "exchange_rates": [RATE]}).catalogue
    other = loaded(tmp_path, {**EURO_CUSTOMER, "exchange_rates": [{**RATE, "rate": "0.93"}]}).catalogue
    assert one.version != other.version
