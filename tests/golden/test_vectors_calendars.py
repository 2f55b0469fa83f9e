"""The worked examples of calendars in tests/vectors/routing.json, through the configuration and the routes of calls."""

import json
from datetime import UTC, datetime

from golden.worked import of
from vosd.admin.office.accounts import WorkTimes
from vosd.base.clock import Instant
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.config.load import load
from vosd.routing.calendar import Tier
from vosd.routing.pipeline import Cause, RouteRequest, examine_routes


def ms(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def written(calendar):
    """Write a calendar of a vector, which is one entry, as the configuration has it."""
    entry = {"working": "yes" if calendar["work_type"] == "Working" else "no"}
    if "start" in calendar:
        entry |= {"from": calendar["start"], "to": calendar["end"]}
    if "weekdays" in calendar:
        entry["weekdays"] = [day.lower() for day in calendar["weekdays"]]
    if "date" in calendar:
        entry["date"] = calendar["date"]
    if "date_from" in calendar:
        entry["dates"] = f"{calendar['date_from']}..{calendar['date_to']}"
    return {"name": calendar["name"], "timezone": "UTC", "entries": [entry]}


def catalogue_of(directory, file):
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(file))
    return load(path, {}).catalogue


@of("calendar_match")
def test_calendars_fit_by_their_entries_and_the_closest_wins(given, expect, tmp_path):
    calendars = catalogue_of(tmp_path, {"calendars": [written(each) for each in given["calendars"]]}).calendars
    tiers = {name: each.tier(ms(given["at"])) for name, each in calendars.items()}
    assert [name for name, tier in tiers.items() if tier is not None] == expect["fits"]
    best = min((tier for tier in tiers.values() if tier is not None), default=Tier.DEFAULT)
    assert best == expect["tier"]
    winner = next((name for name, tier in tiers.items() if tier is best), None)
    assert winner == expect["winner"]


@of("work_state")
def test_an_account_is_working_or_not(given, expect, tmp_path):
    calendar = given["calendar"]
    entry = {
        "weekdays": [day.lower() for day in calendar["working_days"]],
        "from": calendar["working_start"],
        "to": calendar["working_end"],
    }
    schedule = {
        "name": calendar["name"],
        "timezone": "UTC",
        "entries": [entry],
        "holidays": {"dates": calendar["holidays"]},
    }
    file = {"calendars": [schedule], "accounts": [{"id": "acme", "calendar": calendar["name"]}]}
    catalogue = catalogue_of(tmp_path, file)
    work_times = WorkTimes(lambda: catalogue.calendars, ms(given["at"]))
    assert work_times.state_of(catalogue.accounts["acme"]) == expect["state"]


@of("calendar_gateway")
def test_gateways_are_tried_by_the_tiers_of_their_calendars(given, expect, tmp_path):
    gateways = [
        {"name": each["name"], "account": "carrier", "address": "192.0.2.9", "priority": each["priority"]}
        | {key: each[key] for key in ("calendar", "valid_from", "valid_to") if each[key]}
        for each in given["gateways"]
    ]
    file = {
        "calendars": [written(each) for each in given["calendars"]],
        "rate_groups": [{"name": "buy", "rates": [{"prefix": "*", "billing_rate": "0.01"}]}],
        "accounts": [{"id": "carrier", "rate_group": "buy", "overdraft_limit": "unlimited"}],
        "routing_gateways": gateways,
    }
    catalogue, live = catalogue_of(tmp_path, file), LiveState()
    request = RouteRequest(callee="442079460000", caller="", at=Instant(0, ms(given["at"])))
    found = examine_routes(request, catalogue.routes, live.occupancy, live.rests, LiveVendors(catalogue, live))
    assert [choice.gateway.name for choice in found.choices] == expect["order"]
    assert {each.cause for each in found.left} <= {Cause.CALENDAR, Cause.EXPIRED}
