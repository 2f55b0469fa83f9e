"""The rates by which stored calls are priced again."""

from doubles.data import builders
from doubles.data.builders import account, applied_rate, mapping_gateway, phone, rate_group
from doubles.virtual.scene import vendor_gateway

from vosd.billing.rate_group import RateGroup
from vosd.callcontrol.rates_again import RatesAgain
from vosd.cdr.past import ALWAYS_READ, PastCall
from vosd.routing.special_numbers import SpecialNumbers

NOW = 1_790_000_000_000


def planned() -> RateGroup:
    return rate_group("planned", applied_rate("0.50", prefix="*"))


def past_call(**known: str | None) -> PastCall:
    return PastCall(**{**dict.fromkeys(ALWAYS_READ), **known})


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


def test_other_rates_of_an_account_are_its_own_alone():
    catalogue = builders.catalogue(
        [],
        accounts=[account("acme", rate_group="sell"), account("other", rate_group="sell")],
        rate_groups=[rate_group("sell", applied_rate("0.60", prefix="*")), planned()],
    )
    rates = RatesAgain(catalogue, planned(), "acme")
    assert [rates.of_agent(name, "4420", NOW, "").group for name in ("acme", "other")] == ["planned", "sell"]
    assert [rates.of_customer(name, "", "4420", NOW, "").group for name in ("acme", "other")] == ["planned", "sell"]


def test_a_call_from_a_phone_is_rated_by_a_number_that_the_phone_may_show():
    catalogue = builders.catalogue([vendor_gateway(0)], phones=[phone("1001")])
    rates = RatesAgain(catalogue)
    assert rates.caller_of(past_call(mapping_gateway="1001", caller_in="4420 5550")) == "1001"
    assert rates.caller_of(past_call(mapping_gateway="gone", caller_in="4420-5550")) == "44205550"
    assert rates.caller_of(past_call(mapping_gateway=None, caller_in="44205550")) == "44205550"
    sent = past_call(mapping_gateway="1001", caller_in="44205550", routing_gateway="vendor-0", caller_out="1002")
    assert rates.caller_of(sent) == "1002"
