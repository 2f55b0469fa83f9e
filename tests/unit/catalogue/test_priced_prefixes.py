"""Gateways that take the numbers which their buy rates price: closed codes, and periods that are not in force."""

import json
from pathlib import Path
from typing import Any

import pytest

from vosd.admin.routing import explain_route, idle_state
from vosd.base.clock import Instant
from vosd.catalogue.catalogue import Catalogue
from vosd.config.load import load

MONDAY = 1_790_000_000_000 // 86_400_000 * 86_400_000
NOON, EVENING = MONDAY + 43_200_000, MONDAY + 72_000_000
"""The calendar ``office`` is working time at noon."""


def group(name: str, *prefixes: str, locked: str = "") -> dict[str, Any]:
    rates = [{"prefix": prefix, "billing_rate": "0.01"} for prefix in prefixes]
    return {
        "name": name,
        "rates": [*rates, *([{"prefix": locked, "billing_rate": "0.01", "locked": True}] if locked else [])],
    }


def site(
    directory: Path, closing: dict[str, Any], *groups: dict[str, Any], account: dict[str, Any], strip: int = 0
) -> Catalogue:
    """Load a vendor ``closing`` before a vendor ``other`` that takes 44; routing prefixes have ``strip`` digits."""
    clearing = {"type": "clearing", "overdraft_limit": "unlimited"}
    gateways = [
        {"name": "closing", "account": "a", "address": "192.0.2.8", **closing},
        {"name": "other", "account": "b", "address": "192.0.2.9", "prefixes": ["44"], "priority": 5},
    ]
    periods = [
        {"name": "day", "calendar": "office", "rate_group": "by-day"},
        {"name": "night", "rate_group": "by-night"},
    ]
    names = {each["name"] for each in groups}
    path = directory / "vosd.yaml"
    file = {
        "rate_groups": [group("sell", "44"), *groups],
        "calendars": [{"name": "office", "timezone": "UTC", "entries": [{"from": "08:00", "to": "18:00"}]}],
        "period_rates": [{"name": "tariff", "periods": periods}] if "by-day" in names else [],
        "accounts": [
            {"id": "acme", "rate_group": "sell", "overdraft_limit": "unlimited"},
            {"id": "a", **clearing, **account},
            {"id": "b", "rate_group": "sell", **clearing},
        ],
        "mapping_gateways": [{"name": "pbx", "account": "acme", "hosts": "192.0.2.1", "billing_strip_digits": strip}],
        "routing_gateways": gateways,
    }
    path.write_text(json.dumps({key: value for key, value in file.items() if value}))
    return load(path, {}).catalogue


def tried(catalogue: Catalogue, callee: str, wall_ms: int = NOON) -> list[tuple[str, str]]:
    found = explain_route(
        catalogue, idle_state(catalogue, None), gateway="pbx", caller="", callee=callee, at=Instant(0, wall_ms)
    )
    return [(each.routing_gateway, each.prefix) for each in found.candidates]


STOPPING = {"prefixes": "from_rates", "prefix_mode": "stop"}


def test_a_closed_code_ends_no_search(tmp_path):
    catalogue = site(tmp_path, STOPPING, group("deck", "4420", locked="4479"), account={"rate_group": "deck"})
    assert tried(catalogue, "442079") == [("closing", "4420")]
    assert tried(catalogue, "447912") == [("other", "44")]


@pytest.mark.parametrize(("moment", "prefix"), [(NOON, "44"), (EVENING, "4420")])
def test_a_gateway_stands_in_the_order_by_the_prefix_of_the_period_in_force(tmp_path, moment, prefix):
    groups = (group("main", "1"), group("by-day", "44"), group("by-night", "4420"))
    account = {"rate_group": "main", "period_rates": "tariff"}
    catalogue = site(tmp_path, {"prefixes": "from_rates"}, *groups, account=account)
    assert ("closing", prefix) in tried(catalogue, "442079", moment)


@pytest.mark.parametrize(("moment", "is_tried"), [(NOON, True), (EVENING, False)])
def test_a_lock_holds_in_its_period_alone(tmp_path, moment, is_tried):
    groups = (group("main", "1"), group("by-day", "33"), group("by-night", "33", locked="44"))
    account = {"rate_group": "main", "period_rates": "tariff"}
    catalogue = site(tmp_path, {"prefixes": ["44"], "allow_unrated": True}, *groups, account=account)
    assert (("closing", "44") in tried(catalogue, "442079", moment)) is is_tried


@pytest.mark.parametrize(("caller", "prefix", "asr"), [("4930123456", "4420", 0), ("33123456789", "44", 100)])
def test_rates_by_origin_count_for_order_and_quality_as_they_price_the_call(tmp_path, caller, prefix, asr):
    rates = {**group("deck", "44"), "origins": [{"name": "near", "prefixes": ["49"], "rate_group": "near"}]}
    catalogue = site(
        tmp_path,
        {"prefixes": "from_rates", "priority": 4},
        rates,
        group("near", "4420"),
        account={"rate_group": "deck"},
    )
    live, now = idle_state(catalogue, None), Instant(0, NOON)
    for _ in range(20):
        live.quality.failed("closing", "4420", None, now.mono, is_effective=False)
        live.quality.answered("closing", "44", 100, now.mono)
    found = explain_route(catalogue, live, gateway="pbx", caller=caller, callee="442079", at=now)
    first = found.candidates[0]
    assert (first.routing_gateway, first.prefix, first.asr) == ("closing", prefix, asr)


@pytest.mark.parametrize(
    ("callee", "expected"), [("9999442079", [("closing", "4420")]), ("4930442079", [("closing", "4420")])]
)
def test_buy_rates_take_the_number_without_its_routing_prefix(tmp_path, callee, expected):
    catalogue = site(
        tmp_path, {"prefixes": "from_rates"}, group("deck", "4420"), account={"rate_group": "deck"}, strip=4
    )
    assert tried(catalogue, callee) == expected


def test_a_routing_prefix_routes_those_whose_prefixes_are_listed(tmp_path):
    catalogue = site(tmp_path, {"prefixes": ["9999"]}, group("deck", "4420"), account={"rate_group": "deck"}, strip=4)
    assert tried(catalogue, "9999442079") == [("closing", "9999")]
