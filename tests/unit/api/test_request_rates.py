"""How many requests a second a sender has."""

import pytest

from vosd.api import request_rates
from vosd.api.http import RequestError
from vosd.api.request_rates import RequestRates, network_of


def taken(rates: RequestRates, sender: str, now_s: float, number: int) -> int:
    """Return how many of so many requests of one moment are taken."""
    count = 0
    for _ in range(number):
        try:
            rates.take(sender, now_s)
        except RequestError:
            break
        count += 1
    return count


def test_two_seconds_worth_may_come_at_once_and_then_one_after_the_other():
    rates = RequestRates(10, "this token")
    assert taken(rates, "a", 100.0, 50) == 20
    assert taken(rates, "a", 100.05, 1) == 0
    assert taken(rates, "a", 100.11, 5) == 1
    assert taken(rates, "a", 103.2, 50) == 20, "what was not used is there again, and no more"


def test_one_sender_takes_nothing_from_another():
    rates = RequestRates(1, "this token")
    assert [taken(rates, sender, 5.0, 9) for sender in ("a", "b")] == [2, 2]


def test_a_refusal_says_when_to_come_again():
    rates = RequestRates(1, "this address")
    taken(rates, "a", 5.0, 2)
    with pytest.raises(RequestError, match="more than 1 requests a second of this address") as refused:
        rates.take("a", 5.0)
    assert (refused.value.status, refused.value.headers) == (429, (("Retry-After", "1"),))


def test_without_a_limit_nothing_is_counted():
    assert taken(RequestRates(0, "this token"), "a", 5.0, 100_000) == 100_000


def test_of_too_many_senders_the_one_that_was_quiet_longest_is_forgotten(monkeypatch):
    monkeypatch.setattr(request_rates, "SENDERS_MAX", 2)
    rates = RequestRates(1, "this token")
    for sender in ("a", "b"):
        assert taken(rates, sender, 5.0, 9) == 2
    assert taken(rates, "a", 5.0, 1) == 0
    assert taken(rates, "c", 5.0, 9) == 2
    assert [taken(rates, sender, 5.0, 1) for sender in ("a", "b")] == [0, 1]


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1:2:3:4", "2001:db8::"), ("::ffff:192.0.2.1", "192.0.2.1"), ("", "")],
)
def test_addresses_of_one_customer_share_a_limit(address, network):
    assert network_of(address) == network
