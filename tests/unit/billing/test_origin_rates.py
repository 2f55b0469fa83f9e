"""Rates by the caller's origin: whose calls another group prices, and what a caller without number pays."""

from decimal import Decimal

import pytest
from doubles.data.builders import rating_policy

from vosd.billing.origin_rates import CallerKind, OriginRates, RateOrigin, kind_of
from vosd.billing.rate_choice import RateCandidate, RateChoice, RateSelection, RateSource
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate
from vosd.callcontrol.sell_rate import rate_in


def group(name: str, **prices: str) -> RateGroup:
    rates = [Rate(prefix[1:], Decimal(price), 60) for prefix, price in prices.items()]
    return RateGroup(name, "USD", rating_policy(), RateRows(rates, f"{name}-1"), f"{name}-1")


BASE = group("base", p44="0.10", p33="0.20")
EEA = (RateOrigin("eea", "eea", prefixes=("33", "49")), group("eea", p44="0.02"))
FRENCH = (RateOrigin("paris", "paris", prefixes=("331",)), group("paris", p44="0.01"))
ROW = (RateOrigin("row", "row", prefixes=("*",)), group("row", p44="0.50"))
MISSING = (RateOrigin("none", "none", callers=(CallerKind.MISSING,)), group("none", p44="0.30"))


@pytest.mark.parametrize(
    ("caller", "kind"),
    [
        ("4930123456", None), ("1234567", None), ("123456789012345", None),
        ("", CallerKind.MISSING), ("Anonymous", CallerKind.MISSING), ("unavailable", CallerKind.MISSING),
        ("123456", CallerKind.INVALID), ("1234567890123456", CallerKind.INVALID), ("030123456", CallerKind.INVALID),
        ("bob", CallerKind.INVALID), ("extension", CallerKind.INVALID), ("٤٩٣٠١٢٣٤٥٦", CallerKind.INVALID),
    ],
)  # fmt: skip
def test_a_calling_number_is_valid_missing_or_invalid(caller, kind):
    assert kind_of(caller) is kind


def test_the_longest_prefix_of_the_calling_number_decides():
    rates = OriginRates(BASE, [EEA, FRENCH])
    for caller, name, price in (
        ("+33612345678", "eea", "0.02"),
        ("33112345678", "paris", "0.01"),
        ("12015551234", "base", "0.10"),
    ):
        found = rates.find("442012", 0, caller)
        assert (found.group, found.rate.billing_rate) == (name, Decimal(price)), caller
    assert OriginRates(BASE, [EEA, ROW]).find("442012", 0, "12015551234").source == "origin row"


def test_a_number_that_the_origin_does_not_price_is_priced_by_the_group_itself():
    found = OriginRates(BASE, [EEA]).find("33142", 0, "+4930123456")
    assert (found.group, found.source) == ("base", "")
    assert OriginRates(BASE, [EEA]).find("1201", 0, "+4930123456") is None


def test_a_refusal_names_no_prefix_that_is_locked_for_callers_of_another_origin():
    barring = RateGroup("eea", "USD", rating_policy(), RateRows([Rate("39", Decimal(1), 60, locked=True)], "1"), "1")
    refused = [rate_in(rates, "3906", 0, "12015551234") for rates in (barring, OriginRates(BASE, [(EEA[0], barring)]))]
    assert [each.detail for each in refused] == ["eea rates no 3906: prefix 39 is locked", "base rates no 3906"]


def test_a_caller_without_number_has_the_dearest_rate_unless_an_origin_names_it():
    rates = OriginRates(BASE, [EEA, ROW])
    assert {rates.find("442012", 0, caller).group for caller in ("", "anonymous", "123", "bob")} == {"row"}
    assert rates.find("33142", 0, "").group == "base"
    assert rates.find("1201", 0, "") is None
    named = OriginRates(BASE, [EEA, ROW, MISSING])
    assert named.find("442012", 0, "").group == "none"
    assert named.find("442012", 0, "123").group == "row"


def test_calls_of_an_origin_share_its_rate():
    rates = OriginRates(BASE, [EEA])
    assert rates.find("442012", 0, "33612345678") is rates.find("4410", 0, "4930123456")
    assert len(rates.tables_at(0)) == 2


def test_an_origin_beside_a_choice_is_named_with_it():
    own, main = group("own", p44="0.05"), OriginRates(BASE, [EEA])
    candidates = [RateCandidate(RateSource.ACCOUNT, own), RateCandidate(RateSource.MAIN, main)]
    found = RateChoice(candidates, RateSelection.CHEAPEST, 60).find("442012", 0, "+4930123456")
    assert (found.group, found.source) == ("eea", "main, origin eea")


STATES = (("1205", "1251"), ("1907",), ("19075",))
WITHIN = (RateOrigin("intrastate", "intra", areas=STATES), group("intra", p1="0.03"))
BETWEEN = (RateOrigin("interstate", "inter", prefixes=("1",)), group("inter", p1="0.01"))
LONG_DISTANCE = group("ld", p1="0.05", p44="0.02")


def test_a_call_within_an_area_has_the_rates_of_that_and_others_those_of_the_caller():
    rates = OriginRates(LONG_DISTANCE, [BETWEEN, WITHIN])
    for caller, callee, name in (
        ("+12055551234", "12515551234", "intra"),
        ("12055551234", "+12055559999", "intra"),
        ("12055551234", "19075551234", "inter"),
        ("19074441234", "19075551234", "inter"),
        ("14155551234", "14155559999", "inter"),
        ("12055551234", "442012345678", "ld"),
        ("493012345678", "12055551234", "ld"),
        ("", "12055551234", "ld"),
    ):
        assert rates.find(callee.removeprefix("+"), 0, caller).group == name, (caller, callee)


def test_areas_are_compared_by_the_number_behind_the_forward_prefix():
    within = (WITHIN[0], group("intra", p99="0.30", p1="0.03"))
    between = (BETWEEN[0], group("inter", p99="0.10", p1="0.01"))
    choice = RateChoice(
        [RateCandidate(RateSource.MAIN, OriginRates(LONG_DISTANCE, [between, within]))] * 2, RateSelection.PRIORITY, 60
    )
    for rates in (OriginRates(LONG_DISTANCE, [between, within]), choice):
        assert rates.find("9912515551234", 0, "12055551234", "99").group == "intra"
        assert rates.find("+9912515551234", 0, "12055551234", "99").group == "intra"
        assert rates.find("9919075551234", 0, "12055551234", "99").group == "inter"
        assert rates.find("9912515551234", 0, "12055551234").group == "inter"


def test_where_the_jurisdiction_is_undetermined_the_dearest_rate_holds():
    cheap = OriginRates(group("ld", p1="0.002"), [BETWEEN, WITHIN])
    assert cheap.find("12055551234", 0, "anonymous").source == "origin intrastate"


def test_a_number_that_the_origins_group_locks_is_not_priced_by_the_group_itself():
    locked = RateRows([Rate("44", Decimal("0.50"), 60, locked=True), Rate("33", Decimal("0.50"), 60)], "row-1")
    barred = (RateOrigin("row", "row", prefixes=("*",)), RateGroup("row", "USD", rating_policy(), locked, "row-1"))
    rates = OriginRates(BASE, [EEA, barred])
    for caller in ("12015551234", "", "anonymous", "bob"):
        assert rates.find("+442012", 0, caller) is None, caller
        assert rates.find("+33142", 0, caller).group == "row", caller
    assert rates.find("442012", 0, "4930123456").group == "eea"
