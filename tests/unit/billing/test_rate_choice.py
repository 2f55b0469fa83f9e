"""Which of several rates prices a call, and that what was held for it is enough whichever that is in the end."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from doubles.data.builders import rating_policy
from doubles.recomputed import recompute

from vosd.billing.origin_rates import OriginRates, RateOrigin
from vosd.billing.period_rates import Period, PeriodTable
from vosd.billing.ports import Rates
from vosd.billing.rate_choice import (
    PricedPrefixes,
    RateCandidate,
    RateChoice,
    RateSelection,
    RateSource,
    locked_prefix,
    of_types,
)
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import breakdown, charged_by, itemise, rate_call, total_at
from vosd.billing.rates import AppliedRate, Rate

TRUNK, ACCOUNT, PERIOD, MAIN = RateSource


def group(name: str, prices: dict[str, str], **terms: Any) -> RateGroup:
    rates = [Rate(prefix, Decimal(price), 1, **terms) for prefix, price in prices.items()]
    return RateGroup(name, "USD", rating_policy(), RateRows(rates, f"{name}-1"), f"{name}-1")


def choice(selection: RateSelection = RateSelection.CHEAPEST, **groups: Rates) -> RateChoice:
    return RateChoice([RateCandidate(RateSource(name), each) for name, each in groups.items()], selection, 60)


FOUR = {
    "trunk": group("phone", {"44": "0.03"}),
    "account": group("own", {"44": "0.02"}),
    "period": group("night", {"44": "0.015"}),
    "main": group("sell", {"44": "0.04", "*": "0.5"}),
}


def test_the_cheapest_of_all_rates_prices_a_call():
    found = choice(**FOUR).find("442012", 0)
    assert (found.group, found.source, found.rate.billing_rate) == ("night", "period", Decimal("0.015"))
    assert [each.group for each in found.candidates] == ["phone", "own", "night", "sell"]


@pytest.mark.parametrize("first", ["trunk", "main"])
def test_a_choice_depends_on_the_caller_where_one_of_its_groups_does(first):
    plain = group("plain", {"44": "0.03"})
    by_origin = OriginRates(plain, [(RateOrigin("near", "near", prefixes=("49",)), group("near", {"44": "0.02"}))])
    groups = {first: by_origin, "account": plain}
    assert choice(**groups).depends_on_caller
    assert not choice(trunk=plain, account=plain).depends_on_caller


def test_by_priority_the_first_with_a_rate_prices_a_call():
    by_priority = choice(RateSelection.PRIORITY, **FOUR)
    found = by_priority.find("442012", 0)
    assert (found.group, found.source, found.candidates) == ("phone", "trunk", ())
    assert [each.group for each in by_priority.found("442012", 0)] == ["phone", "own", "night", "sell"]


@pytest.mark.parametrize("selection", RateSelection)
def test_a_group_without_a_rate_for_the_number_is_no_candidate(selection):
    several = choice(selection, **FOUR)
    found = several.find("33142", 0)
    assert (found.group, found.source, found.candidates) == ("sell", "main", ())
    assert choice(selection, trunk=FOUR["trunk"]).find("33142", 0) is None


def test_the_longest_prefix_decides_inside_a_group_and_the_price_between_groups():
    own = group("own", {"44": "0.001", "4420": "0.05"})
    found = choice(account=own, main=FOUR["main"]).find("442012", 0)
    assert (found.group, found.rate.prefix) == ("sell", "44")
    assert choice(account=own, main=FOUR["main"]).find("441", 0).group == "own"


def test_of_equal_prices_the_first_source_is_chosen():
    twin = group("twin", {"44": "0.04"})
    found = choice(account=twin, main=FOUR["main"]).find("442012", 0)
    assert found.source == "account"
    assert charged_by(found, 60_000).source == "account"


def test_one_group_in_two_places_is_told_apart():
    twice = choice(RateSelection.PRIORITY, trunk=group("a", {"44": "1"}), main=group("a", {"44": "1", "*": "1"}))
    assert twice.find("442012", 0).source == "trunk"
    assert twice.find("33", 0).source == "main"


def test_a_rate_by_the_caller_s_origin_is_of_two_sources_and_one_of_a_period_of_that_alone():
    night = PeriodTable("tariff")
    night.add(Period("night", rate_group="night"), None, FOUR["period"])
    by_origin = OriginRates(FOUR["main"], [(RateOrigin("uk", "own", ("44",)), FOUR["account"])])
    found = choice(period=night, main=by_origin).found("442012", 0, "441234567")
    assert [each.source for each in found] == ["period night", "main, origin uk"]


def test_calls_that_find_the_same_rates_share_the_choice():
    several = choice(**FOUR)
    assert several.find("442012", 0) is several.find("441", 0)


LUMP = group("lump", {"44": "0"}, first_rate=Decimal("0.60"), first_duration=60)
STEADY = group("steady", {"44": "0.30"})


def test_the_cheapest_is_found_again_at_the_end_of_the_call():
    applied = choice(account=LUMP, main=STEADY).find("442012", 0)
    assert applied.group == "steady", "0.30 against 0.60 for the first minute"
    short, long = charged_by(applied, 60_000), charged_by(applied, 600_000)
    assert (short.group, long.group) == ("steady", "lump")
    assert rate_call(applied, 60_000).fee == Decimal("0.30")
    assert rate_call(applied, 600_000).fee == Decimal("0.60")
    assert total_at(applied, 600) == Decimal("0.60")


def test_the_breakdown_names_every_candidate_and_rates_the_call_again():
    applied = choice(account=LUMP, main=STEADY).find("442012", 0)
    steps = breakdown(applied, 600_000)
    assert [(each["source"], each["group"], each["total"]) for each in steps if each["step"] == "candidate"] == [
        ("account", "lump", "0.60"),
        ("main", "steady", "3.00"),
    ]
    row = next(each for each in steps if each["step"] == "rate")
    assert (row["group"], row["source"]) == ("lump", "account")
    assert recompute(steps) == rate_call(applied, 600_000)


def test_a_rate_without_choice_says_nothing_of_one():
    applied = STEADY.find("442012", 0)
    _, text = itemise(applied, 60_000)
    assert "source" not in text
    assert "candidate" not in text
    assert msgspec.json.decode(msgspec.json.encode(applied)).keys() == {
        "group",
        "version",
        "currency",
        "rate",
        "policy",
    }


def test_a_choice_survives_the_journal():
    applied = choice(account=LUMP, main=STEADY).find("442012", 0)
    assert msgspec.json.decode(msgspec.json.encode(applied), type=AppliedRate) == applied


def test_what_routes_compare_is_the_least_that_a_minute_may_bring():
    assert choice(account=LUMP, main=STEADY).find("442012", 0).price_per_minute == 0


def test_priced_prefixes_are_the_longest_of_several_rates():
    joined = PricedPrefixes(choice(trunk=FOUR["trunk"], main=group("x", {"4420": "1", "*": "1"})))
    assert joined.find("442012", 0, "").prefix == "4420"
    assert joined.find("441", 0, "").prefix == "44"
    assert joined.find("33", 0, "").prefix == "*"
    assert PricedPrefixes(FOUR["trunk"]).find("33", 0, "") is None
    by_origin = OriginRates(FOUR["trunk"], [(RateOrigin("uk", "own", ("44",)), FOUR["account"])])
    assert [PricedPrefixes(by_origin).find("33", 0, caller) for caller in ("441234567", "")] == [None, None]
    any_and_one_digit = choice(trunk=group("all", {"*": "1"}), main=group("one", {"3": "1"}))
    assert PricedPrefixes(any_and_one_digit).find("33", 0, "").prefix == "3"


def test_a_locked_prefix_is_not_priced():
    usual, locked = (Rate(prefix, Decimal(1), 1, locked=prefix == "4479") for prefix in ("44", "4479"))
    closed = RateGroup("closed", "USD", rating_policy(), RateRows([usual, locked], "1"), "1")
    assert PricedPrefixes(closed).find("447912", 0, "") is None
    assert PricedPrefixes(closed).find("4420", 0, "").prefix == "44"
    assert [locked_prefix(closed, number, 0) for number in ("447912", "4420", "33")] == ["4479", None, None]
    assert PricedPrefixes(choice(trunk=closed, main=STEADY)).find("447912", 0, "").prefix == "44"


def test_a_rate_of_another_type_does_not_price_a_call_of_an_authorised_one():
    local, far = (
        group("near", {"44": "0.02"}, rate_type="local"),
        group("far", {"44": "0.01"}, rate_type="international"),
    )
    both = {"local", "international"}
    found = choice(account=local, main=far).find("442012", 0)
    assert found.rate.rate_type == "international"
    assert of_types(found, frozenset({"local"})) is None
    assert of_types(found, frozenset(both)) is found
    only = of_types(found, frozenset({"international"}))
    assert (only.group, only.candidates) == ("far", ())
    third = group("third", {"44": "0.03"}, rate_type="international")
    kept = of_types(choice(trunk=third, account=local, main=far).find("442012", 0), frozenset({"international"}))
    assert [each.group for each in kept.candidates] == ["third", "far"]


def test_a_rate_without_type_is_of_no_authorised_one():
    assert of_types(STEADY.find("442012", 0), frozenset({"local"})) is None
