"""Rates made of those of another table: which prices change and how, and which rate of the two tables holds."""

from decimal import Decimal

from vosd.base.money import Rounding
from vosd.billing.derived_rates import Derivation, DerivedTable
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate
from vosd.billing.sections import RateSection

NONE = RateRows([], "none")
BASE = RateRows([Rate("44", Decimal("0.0123"), 6), Rate("4420", Decimal("0.01"), 1), Rate("*", Decimal(1), 1)], "base")


def table(own: RateRows = NONE, **terms) -> DerivedTable:
    return DerivedTable(BASE, Derivation(**terms), own, "derived")


def test_prices_are_multiplied_added_to_and_rounded():
    derived = table(factor=Decimal("1.1"), offset=Decimal("0.002"), decimals=4, rounding=Rounding.UP)
    assert derived.find("4410", 0).billing_rate == Decimal("0.0156"), "0.0123 * 1.1 + 0.002 = 0.01553"
    assert derived.find("442012", 0).billing_rate == Decimal("0.0130")
    assert derived.find("33", 0).billing_rate == Decimal("1.1020")
    assert table().find("4410", 0).billing_rate == Decimal("0.0123")


def test_a_price_above_zero_is_never_rounded_to_zero():
    for rounding in Rounding:
        derived = table(factor=Decimal("0.1"), decimals=2, rounding=rounding)
        assert derived.find("4410", 0).billing_rate == Decimal("0.01")
        assert derived.find("4410", 0).connection_fee == 0
    assert table(factor=Decimal(0)).find("4410", 0).billing_rate == 0


def test_every_price_of_a_rate_is_derived_and_nothing_else():
    base = Rate(
        "44", Decimal("0.60"), 6, first_rate=Decimal("0.90"), first_duration=90, tax_rate=Decimal(19), area="UK",
        rate_type="international", connection_fee=Decimal("0.05"), minimum_charge=Decimal("0.10"),
        sections=(RateSection(Decimal("0.50"), 30),),
    )  # fmt: skip
    found = Derivation(factor=Decimal(2), offset=Decimal("0.20")).rate(base)
    assert found.billing_rate == Decimal("1.40")
    assert found.first_rate == Decimal("2.10"), "1.80, and 0.20 a minute for 90 s"
    assert found.sections == (RateSection(Decimal("1.10"), 30),)
    assert (found.connection_fee, found.minimum_charge) == (Decimal("0.10"), Decimal("0.20"))
    assert (found.tax_rate, found.area, found.rate_type, found.billing_cycle) == (19, "UK", "international", 6)


def test_an_offset_of_rates_by_the_cycle_is_for_a_cycle():
    base = Rate("44", Decimal("0.10"), 30, per_cycle=True, first_rate=Decimal("0.15"), first_duration=60)
    found = Derivation(offset=Decimal("0.02")).rate(base)
    assert (found.billing_rate, found.first_rate) == (Decimal("0.12"), Decimal("0.19"))


def test_own_rates_win_for_their_prefixes_and_longer_prefixes_win_over_shorter_ones():
    own = RateRows([Rate("44", Decimal(5), 1), Rate("331", Decimal(6), 1)], "own")
    derived = table(own, factor=Decimal(2))
    assert derived.find("4410", 0).billing_rate == 5
    assert derived.find("442012", 0).billing_rate == Decimal("0.02")
    assert derived.find("3312", 0).billing_rate == 6
    assert derived.find("3322", 0).billing_rate == 2
    any_own = RateRows([Rate("*", Decimal(7), 1), Rate("331", Decimal(6), 1)], "own")
    short = DerivedTable(RateRows([Rate("4", Decimal(1), 1)], "short"), Derivation(), any_own, "derived")
    assert [short.find(number, 0).billing_rate for number in ("44", "3312", "1")] == [1, 6, 7]
    assert sorted(derived.prefixes()) == ["*", "331", "44", "4420"]
    assert (derived.has("331"), derived.has("4420"), derived.has("*"), derived.has("33")) == (True, True, True, False)


def test_a_rate_is_derived_once_for_the_calls_that_follow():
    derived = table(factor=Decimal(2))
    assert derived.find("4410", 0) is derived.find("4411", 0)


def test_a_rate_is_derived_anew_from_the_next_one_of_its_prefix():
    rows = [Rate("44", Decimal(1), 1), Rate("44", Decimal(3), 1)]
    pair = iter(rows)

    class Changing:
        size = 1

        def find(self, _number: str, _wall_ms: int) -> Rate:
            return next(pair)

    derived = DerivedTable(Changing(), Derivation(factor=Decimal(2)), NONE, "derived")
    assert [derived.find("4410", 0).billing_rate for _ in rows] == [2, 6]


def test_a_number_without_rate_has_none():
    assert DerivedTable(RateRows([], "empty"), Derivation(), NONE, "1").find("44", 0) is None
