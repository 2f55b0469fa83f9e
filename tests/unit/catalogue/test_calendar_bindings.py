"""One calendar, bound to a gateway and to a period rate: when it holds, and what a check says of it."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from vosd.admin.office.accounts import NON_WORKING, WORKING, WorkTimes
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
SUNDAY, NOON, EVENING = "2026-05-31T12:00:00+00:00", "2026-06-01T12:00:00+00:00", "2026-06-01T20:00:00+00:00"


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1_000)


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
    return load(path, {}, now_ms=_ms(SUNDAY))


def in_use(loaded: Loaded, moment: str) -> tuple[bool, bool]:
    """Return whether the gateway is in use at a moment, and the period in force."""
    at = Instant(0, _ms(moment))
    catalogue = loaded.catalogue
    found = explain_route(catalogue, idle_state(catalogue, None), gateway="pbx", caller="", callee="4420", at=at)
    assert found.rate is not None
    usual = catalogue.rate_groups["main"].find("44", 0).price_per_minute
    return bool(found.candidates), Decimal(found.rate.price_per_minute) < usual


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
    at = Instant(0, _ms(NOON))
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


def with_routes(directory: Path, header: str, *lines: str, account: dict[str, Any] | None = None) -> Loaded:
    """Load a customer whose plan has these routes, by a gateway that is bound to nothing."""
    (directory / "routes.csv").write_text("\n".join((f"prefix,gateway,{header}", *lines, "")))
    group = {"name": "main", "rates": [{"prefix": "44", "billing_rate": "0.01"}]}
    customer = {"id": "acme", "rate_group": "main", "routing_plan": "own", **(account or {})}
    vendor = {"id": "v", "type": "clearing", "overdraft_limit": "unlimited", "rate_group": "main"}
    file = {
        "rate_groups": [group],
        "calendars": [NIGHTS, OFFICE],
        "routing_plans": [{"name": "own", "routes_file": "routes.csv"}],
        "accounts": [customer, vendor],
        "mapping_gateways": [{"name": "pbx", "account": "acme", "hosts": "192.0.2.1", "loss_guard": "off"}],
        "routing_gateways": [{"name": "gw", "account": "v", "address": "192.0.2.9"}],
    }
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(file))
    return load(path, {}, now_ms=_ms(SUNDAY))


def takes_calls(loaded: Loaded, moment: str) -> bool:
    at = Instant(0, _ms(moment))
    catalogue = loaded.catalogue
    found = explain_route(catalogue, idle_state(catalogue, None), gateway="pbx", caller="", callee="4420", at=at)
    return bool(found.candidates)


@pytest.mark.parametrize(
    ("calendar", "use", "noon", "evening"),
    [
        ("nights", "", False, True),
        ("nights", "listed", False, True),
        ("nights", "working", True, False),
        ("office", "not_working", False, True),
    ],
)
def test_a_line_of_a_routes_file_is_used_while_its_binding_says(tmp_path, calendar, use, noon, evening):
    loaded = with_routes(tmp_path, "calendar,while", f"44,gw,{calendar},{use}")
    assert (takes_calls(loaded, NOON), takes_calls(loaded, EVENING)) == (noon, evening)


def test_lines_of_one_gateway_may_use_a_calendar_in_opposite_ways(tmp_path):
    loaded = with_routes(tmp_path, "calendar,while", "44,gw,nights,listed", "4,gw,nights,working")
    assert (takes_calls(loaded, NOON), takes_calls(loaded, EVENING)) == (True, True)


def test_a_line_that_says_while_without_a_calendar_is_a_mistake(tmp_path):
    with pytest.raises(ConfigError, match=r"routes.csv:2.*while: value 'listed': expected a calendar in the same line"):
        with_routes(tmp_path, "calendar,while", "44,gw,,listed")


@pytest.mark.parametrize(
    ("binding", "noon", "evening"),
    [
        ({"calendar": "nights"}, WORKING, NON_WORKING),
        ({"calendar": "nights", "while": "listed"}, NON_WORKING, WORKING),
        ({"calendar": "nights", "while": "not_working"}, NON_WORKING, WORKING),
        ({"calendar": "office", "while": "not_working"}, NON_WORKING, WORKING),
    ],
)
def test_an_account_works_while_its_binding_says(tmp_path, binding, noon, evening):
    loaded = with_routes(tmp_path, "priority", "44,gw,1", account=binding)
    account = loaded.catalogue.accounts["acme"]
    moments = [_ms(each) for each in (NOON, EVENING)]
    times = [WorkTimes(lambda: loaded.catalogue.calendars, each) for each in moments]
    assert [each.state_of(account) for each in times] == [noon, evening]


def test_a_check_warns_of_lines_and_accounts_that_may_mean_the_opposite(tmp_path):
    lines = "44,gw,office", "441,gw,office", "442,gw,nights"
    warned = warnings(with_routes(tmp_path, "calendar", *lines, account={"calendar": "nights"}))
    account, line = sorted(warned, key=lambda each: "routes.csv" in each)
    assert (
        "accounts[acme].calendar: expected while: listed, working or not_working, for no entry of calendar" in account
    )
    assert "without it the account works while none of them fits: in the coming week" in account
    assert "routes.csv:2: warning: " in line, "once for a calendar of a plan"
    assert "for calendar office has entries of both kinds; without it the line is used while a working one" in line
    lines = "44,gw,office,working", "442,gw,nights,"
    bound = {"calendar": "nights", "while": "listed"}
    assert warnings(with_routes(tmp_path, "calendar,while", *lines, account=bound)) == []


@pytest.mark.parametrize("period", [{"while": "listed", "when": "rest"}, {"while": "sometimes"}])
def test_a_binding_says_it_once_and_in_words_that_are_known(tmp_path, period):
    with pytest.raises(ConfigError, match="while"):
        site(tmp_path, "office", {}, period)
