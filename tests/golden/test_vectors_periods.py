"""The worked examples of period rates in tests/vectors/billing.json, through the configuration and a step of a call."""

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from doubles.data.builders import applied_rate

from golden.worked import BILLING, of
from vosd.base.clock import Instant
from vosd.billing.rater import rate_call, total_at
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.config.load import load

DAY = "2026-02-02"
"""A Monday."""


def ms(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def group(name, rates):
    return {"name": name, "rates": [{"prefix": prefix, "billing_rate": rate} for prefix, rate in rates.items()]}


def calendar(name, entry, **more):
    return {"name": name, "timezone": "UTC", "entries": [entry], **more}


def site(directory, groups, calendars, periods, parameters=None):
    """Return the catalogue of a customer whose rate group is ``sell``, with period rates."""
    file = {
        "parameters": {"SERVER_BILLING_FEE_PRECISTION": 3, "SERVER_BILLING_FEE_UNIT": "0.001", **(parameters or {})},
        "rate_groups": groups,
        "calendars": calendars,
        "period_rates": [{"name": "tariff", "periods": periods}],
        "accounts": [{"id": "acme", "rate_group": "sell", "period_rates": "tariff"}],
        "mapping_gateways": [{"name": "pbx", "account": "acme", "hosts": "192.0.2.1"}],
    }
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(file))
    return load(path, {}).catalogue


def rate_at(catalogue, number, moment):
    """Return the rate that the set-up of a call finds."""
    call = CallRequest("192.0.2.1", 5060, 70, at=Instant(0, ms(moment)), callee=number)
    call.mapping, call.account = catalogue.mapping_gateways["pbx"], catalogue.accounts["acme"]
    assert Admission(catalogue, LiveState()).find_sell_rate(call) is None
    return call.rate


def working(days="mon-fri", start="08:00", end="18:00", **more):
    entry = {"weekdays": days.split(","), "from": start, "to": end}
    return calendar("business", entry, **more)


WEEK = "mon,tue,wed,thu,fri"
DAY_AND_NIGHT = [
    {"name": "day", "calendar": "business", "rate_group": "day"},
    {"name": "night", "calendar": "business", "when": "rest", "rate_group": "night"},
]


@of("calendar_period")
def test_working_time_has_its_table_and_the_rest_has_the_other(given, expect, tmp_path):
    terms = given["calendar"]
    days = ",".join(day.lower() for day in terms["working_days"])
    calendars = [working(days, terms["start"], terms["end"], holidays={"dates": terms["holidays"]})]
    groups = [group("sell", {"*": "1"}), group("day", {"44": "0.008"}), group("night", {"44": "0.004"})]
    rate = rate_at(site(tmp_path, groups, calendars, DAY_AND_NIGHT), "442012345678", given["at"])
    assert rate.source == ("period day" if expect["period"] == "working" else "period night")


@of("period_rate_tables")
def test_each_table_prices_its_period(given, expect, tmp_path):
    start, end = given["day"].split("-")
    prefix, day, night = given["prefix"], given["day_rate"], given["night_rate"]
    groups = [group("sell", {"*": "1"}), group("day", {prefix: day}), group("night", {prefix: night})]
    catalogue = site(tmp_path, groups, [working(WEEK, start, end)], DAY_AND_NIGHT)
    found = {time: rate_at(catalogue, f"{prefix}1234567", f"{DAY}T{time}:00") for time in ("17:59", "18:01")}
    for time, rate in found.items():
        assert rate.rate.billing_rate == Decimal(expect[f"rate_{time}"])
        assert rate_call(rate, 60_000).fee == Decimal(expect[f"rate_{time}"]), "at three places nothing is lost"
    lower = (1 - found["18:01"].rate.billing_rate / found["17:59"].rate.billing_rate) * 100
    assert lower.quantize(Decimal(1), ROUND_HALF_UP) == Decimal(expect["percent_lower"])


@of("arith", [each for each in BILLING if each["id"].startswith("PERIOD-SAVE-")])
def test_what_calls_at_night_cost_less(given, expect):
    seconds = int(Decimal(given["minutes_per_day"]) * Decimal(given["off_peak_share"])) * 60
    difference = Decimal(given["rate_difference"])
    per_day = total_at(applied_rate("0.012"), seconds) - total_at(applied_rate(Decimal("0.012") - difference), seconds)
    assert per_day == Decimal(expect["per_day"])
    assert per_day * 30 == Decimal(expect["per_month_30"])
    assert per_day * 365 == Decimal(expect["per_year_365"])


TIERS = {vector["id"].rpartition("-")[2]: vector["expect"] for vector in BILLING if vector["rule"] == "multi_period"}


@of("multi_period")
def test_a_day_may_have_any_number_of_periods(given, expect, tmp_path):
    groups, calendars, periods = [group("sell", {"*": "1"})], [], []
    for (name, rates), hours in zip(TIERS.items(), given["tiers"], strict=True):
        start, end = hours.split("-")
        groups.append(group(name, {"880": rates["bd_rate"], "44": rates["uk_rate"]}))
        calendars.append(calendar(name, {"from": start, "to": end}))
        periods.append({"name": name, "calendar": name, "rate_group": name})
    catalogue = site(tmp_path, groups, calendars, periods)
    moment = f"{DAY}T{given['at']}:00"
    assert rate_at(catalogue, "8801711", moment).rate.billing_rate == Decimal(expect["bd_rate"])
    assert rate_at(catalogue, "442012", moment).rate.billing_rate == Decimal(expect["uk_rate"])


@of("period_switch")
@pytest.mark.parametrize("switch", ["SERVER_WORK_CALENDAR_ENABLED", "SERVER_PERIOD_RATE_ENABLED"])
def test_without_calendars_or_period_rates_the_rate_group_alone_counts(given, expect, tmp_path, switch):
    groups = [
        group("sell", {"44": given["default_rate"]}),
        group("day", {"44": given["day_rate"]}),
        group("night", {"44": given["night_rate"]}),
    ]
    catalogue = site(tmp_path, groups, [working(WEEK)], DAY_AND_NIGHT)
    assert rate_at(catalogue, "442012", given["at"]).rate.billing_rate == Decimal(given["night_rate"])
    off = {switch: given["SERVER_WORK_CALENDAR_ENABLED"]}
    rate = rate_at(site(tmp_path, groups, [working(WEEK)], DAY_AND_NIGHT, off), "442012", given["at"])
    assert rate.rate.billing_rate == Decimal(expect["rate"])


ENTRIES = {
    "Business_Hours": {"weekdays": WEEK.split(","), "from": "09:00:00", "to": "18:00:00"},
    "Off_Hours": {"weekdays": WEEK.split(","), "from": "18:00:00", "to": "09:00:00"},
    "Weekend": {"weekdays": ["sat", "sun"], "from": "00:00:00", "to": "23:59:59"},
}
SPECIAL = {"Christmas": {"date": "2026-12-25"}, "Holidays": {"dates": "2026-12-20..2026-12-31"}}


@of("calendar_entries")
def test_the_closest_entry_decides_which_period_it_is(given, expect, tmp_path):
    entries = ENTRIES | (SPECIAL if given["entries"].startswith("as CAL2 plus") else {})
    groups = [group("sell", {"*": "1"}), *(group(name, {"44": "0.004"}) for name in entries)]
    calendars = [calendar(name, entry) for name, entry in entries.items()]
    periods = [{"name": name, "calendar": name, "rate_group": name} for name in entries]
    rate = rate_at(site(tmp_path, groups, calendars, periods), "442012", given["at"])
    assert rate.group == expect["entry"]
