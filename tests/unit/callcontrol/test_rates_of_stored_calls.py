"""The rates by which stored calls are priced again."""

from doubles.data import builders
from doubles.data.builders import account, applied_rate, mapping_gateway, rate_group

from vosd.callcontrol.rates_again import RatesAgain
from vosd.routing.special_numbers import SpecialNumbers

NOW = 1_790_000_000_000


def test_a_call_of_an_account_that_is_gone_has_no_rate_whatever_numbers_are_free():
    """The account that would be charged nothing is not known any more."""
    catalogue = builders.catalogue(
        [mapping_gateway("acme", "192.0.2.1/32")],
        accounts=[account("acme", rate_group="sell")],
        rate_groups=[rate_group("sell", applied_rate("0.60", prefix="*"))],
        special_numbers=SpecialNumbers(free=("1800*",)),
    )
    rates = RatesAgain(catalogue)
    assert rates.of_customer("gone", "acme", "18001", NOW, "") is None
    assert rates.of_customer("acme", "acme", "18001", NOW, "").group == "free number"
    assert rates.of_customer("acme", "acme", "4420", NOW, "").group == "sell"
