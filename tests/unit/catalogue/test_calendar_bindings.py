"""One calendar, bound to a gateway and to a period rate: when it holds, and what a check says of it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from vosd.admin.routing import explain_route, idle_state
from vosd.base.clock import Instant
from vosd.catalogue.problems import ConfigError
from vosd.config.load import Loaded, load

WEEK = ["mon", "tue", "wed", "thu", "fri"]
NIGHTS = {"name": "nights", "timezone": "UTC", "entries": [{"working": False, "from": "18:00", "to": "09:00"}]}
OFFICE = {
    "name": "office",
    "timezone": "UTC",
    "entries": [{"weekdays": WEEK, "from": "09:00", "to": "18:00"}, {"working": False, "date": "2026-12-31"}],
}
NOON, EVENING = "2026-06-01T12:00:00+00:00", "2026-06-01T20:00:00+00:00"


def site(directory: Path, calendar: str, gateway: dict[str, Any], period: dict[str, Any]) -> Loaded:
    """Load a customer with period rates and a vendor, both bound to the calendar."""
    rates = {name: {"name": name, "rates": [{"prefix": "44", "billing_rate": "0.01"}]} for name in ("main", "other")}
    clearing = {"type": "clearing", "overdraft_limit": "unlimited", "rate_group": "main"}
    file = {
        "rate_groups": [*rates.values()],
        "calendars": [NIGHTS, OFFICE],
        "period_rates": [
            {"name": "t", "periods": [{"name": "p", "calendar": calendar, "multiplier": "0.5", **period}]}
        ],
        "accounts": [{"id": "acme", "rate_group": "main", "period_rates": "t"}, {"id": "v", **clearing}],
        "mapping_gateways": [{"name": "pbx", "account": "acme", "hosts": "192.0.2.1", "loss_guard": "off"}],
        "routing_gateways": [{"name": "gw", "account": "v", "address": "192.0.2.9", "calendar": calendar, **gateway}],
    }
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(file))
    return load(path, {})


def in_use(loaded: Loaded, moment: str) -> tuple[bool, bool]:
    """Return whether the gateway is in use at a moment, and the period in force."""
    at = Instant(0, round(datetime.fromisoformat(moment).timestamp() * 1_000))
    catalogue = loaded.catalogue
    found = explain_route(catalogue, idle_state(catalogue, None), gateway="pbx", caller="", callee="4420", at=at)
    assert found.rate is not None
    return bool(found.candidates), found.rate.price_per_minute < catalogue.rate_groups["main"].find(
        "44", 0
    ).price_per_minute


@pytest.mark.parametrize(
    ("calendar", "binding", "noon", "evening"),
    [
        ("nights", {}, (False, True), (True, False)),
        ("nights", {"while": "listed"}, (False, False), (True, True)),
        ("nights", {"while": "not_working"}, (False, False), (True, True)),
        ("nights", {"while": "working"}, (True, True), (False, False)),
        ("office", {}, (True, True), (False, False)),
        ("office", {"while": "working"}, (True, True), (False, False)),
        ("office", {"while": "not_working"}, (False, False), (True, True)),
        ("office", {"while": "listed"}, (True, True), (False, False)),
    ],
)
def test_a_calendar_holds_for_a_gateway_and_a_period_while_the_binding_says(tmp_path, calendar, binding, noon, evening):
    loaded = site(tmp_path, calendar, binding, binding)
    assert (in_use(loaded, NOON), in_use(loaded, EVENING)) == (noon, evening)


def test_a_listed_day_off_is_listed_and_not_working(tmp_path):
    moment = "2026-12-31T12:00:00+00:00"
    assert in_use(site(tmp_path, "office", {"while": "listed"}, {"while": "listed"}), moment) == (True, True)
    assert in_use(site(tmp_path, "office", {"while": "working"}, {"while": "working"}), moment) == (False, False)


def test_a_gateway_says_by_which_part_of_its_calendar_it_is_left_out(tmp_path):
    catalogue = site(tmp_path, "office", {"while": "not_working"}, {}).catalogue
    at = Instant(0, round(datetime.fromisoformat(NOON).timestamp() * 1_000))
    found = explain_route(catalogue, idle_state(catalogue, None), gateway="pbx", caller="", callee="4420", at=at)
    assert [each.reason for each in found.left] == [
        "calendar: office, Monday 2026-06-01 12:00 (UTC): working, it is used while not_working"
    ]


def warnings(loaded: Loaded) -> list[str]:
    return [str(each) for each in loaded.problems if "in the coming week" in str(each)]


def test_a_check_warns_of_bindings_that_may_mean_the_opposite_and_shows_the_coming_week(tmp_path):
    (period,) = warnings(site(tmp_path, "nights", {}, {}))
    assert "period_rates[t].periods: expected while: listed, working or not_working" in period
    assert "no entry of calendar nights is working; without it period p is in force while none of them fits" in period
    assert " 09:00 to " in period
    (gateway,) = warnings(site(tmp_path, "office", {}, {}))
    assert "routing_gateways[gw].calendar: expected while: listed, working or not_working" in gateway
    assert "Mon 09:00 to Mon 18:00" in gateway
    assert warnings(site(tmp_path, "nights", {}, {"while": "listed"})) == []
    assert warnings(site(tmp_path, "nights", {}, {"when": "rest"})) == []
    assert warnings(site(tmp_path, "office", {"while": "working"}, {})) == []


@pytest.mark.parametrize("period", [{"while": "listed", "when": "rest"}, {"while": "sometimes"}])
def test_a_binding_says_it_once_and_in_words_that_are_known(tmp_path, period):
    with pytest.raises(ConfigError, match="while"):
        site(tmp_path, "office", {}, period)
