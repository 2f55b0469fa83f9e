"""Prices of calls of usual length are kept by the catalogue that compares them, and not without end."""

from decimal import Decimal
from weakref import ref

import pytest
from doubles.data.builders import applied_rate

from vosd.billing import typical
from vosd.billing.typical import TypicalPrices, typical_price


@pytest.mark.parametrize("seconds", [0, 5, 60, 90])
def test_a_price_that_is_kept_is_the_price_that_is_computed(seconds: int) -> None:
    prices = TypicalPrices()
    for rate in (applied_rate("0.6", billing_cycle=60), applied_rate("0.5", billing_cycle=1), applied_rate("0")):
        for _ in range(2):
            assert prices.price(rate, seconds) == typical_price(rate, seconds)
        assert prices[seconds][rate] == typical_price(rate, seconds)


def test_no_more_than_so_many_prices_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typical, "_KEPT_MAX", 3)
    prices = TypicalPrices()
    for cents in range(1, 11):
        rate = applied_rate(str(Decimal(cents) / 100))
        assert prices.price(rate, 60) == Decimal(cents) / 100
        assert sum(map(len, prices.values())) == prices.size <= 3


def test_another_catalogue_has_prices_of_its_own() -> None:
    rate = applied_rate("0.6")
    TypicalPrices().price(rate, 60)
    assert not TypicalPrices()


def test_prices_of_a_catalogue_that_a_reload_replaces_are_freed_at_once() -> None:
    """A reload puts what there is out of sight of the collector: what only that would free stays for good."""
    prices = TypicalPrices()
    prices.price(applied_rate("0.6"), 60)
    of_length, left = prices[60], ref(prices)
    del prices
    assert left() is None
    assert of_length[applied_rate("0.3")] == Decimal("0.3")
