"""What can be charged can be booked: bounds of rates, and one currency a call."""

import pytest

from vosd.base.money import LIMIT, QUANTUM
from vosd.config.assembly.rate_report import BOOKED_AT_MOST

EURO_VENDOR = "name: buy, currency: EUR,"


@pytest.mark.parametrize("column", ["billing_rate", "first_rate"])
def test_a_rate_by_which_the_longest_call_could_not_be_booked_is_refused_where_it_stands(site, column):
    rate = {"billing_rate": "0.01", "first_rate": "0.01", "first_duration": "60", column: "999999999999"}
    row = ", ".join(f'{name}: "{value}"' for name, value in rate.items())
    text = site.minimal.replace('billing_rate: "0.012"', row)
    (error,) = site.errors(text)
    assert error.startswith("vosd.yaml:2: rate_groups[sell].rates[44].billing_rate: value ")
    assert "a call of limits.max_call_seconds (43200 s) costs at most 90000000000.00 USD" in error


def test_the_bound_is_that_of_the_longest_call(site):
    """125,000,000 a minute for twelve hours is the bound to the cent."""
    text = site.minimal.replace("0.012", "125000000")
    assert site.load(text)
    (error,) = site.errors(text.replace("125000000", "125000001"))
    assert "not 90000000720.00" in error
    assert site.load(text.replace("125000000", "125000001") + "limits: {max_call_seconds: 3600}\n")
    assert len(site.errors(text + "limits: {max_call_seconds: 86400}\n")) == 1


def test_tax_counts_towards_the_bound(site):
    text = site.minimal.replace('billing_rate: "0.012"', 'billing_rate: "100000000", tax_rate: "50"')
    assert len(site.errors(text)) == 1


def test_a_price_of_a_cycle_is_bound_by_its_cycles(site):
    text = site.minimal.replace("name: sell,", "name: sell, price_per: cycle, billing_unit: 1,")
    assert len(site.errors(text.replace("0.012", "3000000"))) == 1
    assert site.load(text.replace("0.012", "1000"))


def test_a_rate_in_a_file_is_named_by_its_line_there(site):
    site.write("sell.csv", "prefix,billing_rate\n44,0.01\n45,999999999999\n")
    text = site.minimal.replace('rates: [{prefix: "44", billing_rate: "0.012"}]', "rates_file: sell.csv")
    (error,) = site.errors(text)
    assert error.startswith("sell.csv:3: rate_groups[sell].rates[45].billing_rate: value '999999999999'")


def test_what_a_call_may_cost_fits_into_the_columns_of_both_databases():
    """SQLite's integers count 1e-8 in 64 bits; DECIMAL(20,8) has twelve digits before the point."""
    assert BOOKED_AT_MOST / QUANTUM < 2**63
    assert BOOKED_AT_MOST < LIMIT


def test_a_vendor_that_is_paid_in_another_currency_than_a_customer_pays_is_refused_with_both_places(site):
    (error,) = site.errors(site.minimal.replace("name: buy,", EURO_VENDOR))
    assert error == (
        "vosd.yaml:10: routing_gateways[carrier].account: value 'carrier': expected an account in USD, or "
        "exchange_rates with base: EUR and quote: USD: calls of mapping_gateways[acme-pbx] (vosd.yaml:8, account "
        "'acme', USD) may go out here, and account 'carrier' is paid in EUR"
    )


def test_phones_are_customers_too(site):
    text = site.minimal.replace("name: buy,", EURO_VENDOR).replace(
        "mapping_gateways:\n  - {name: acme-pbx, account: acme, hosts: 192.0.2.1}",
        'phones:\n  - {number: "1001", account: acme, password: secret12}',
    )
    (error,) = site.errors(text)
    assert ": calls of phones[1001] (vosd.yaml:8, account 'acme', USD)" in error


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("address: 192.0.2.9", "address: 192.0.2.9, enabled: no"),
        ("hosts: 192.0.2.1", "hosts: 192.0.2.1, enabled: no"),
        ("type: clearing, rate_group: buy", "type: clearing, currency: EUR"),
        ("name: sell,", "name: sell, currency: EUR,"),
    ],
    ids=["the vendor is off", "the customer is off", "the vendor is paid by no rates", "both are in EUR"],
)
def test_who_can_share_no_call_may_differ_in_currency(site, old, new):
    assert site.load(site.minimal.replace("name: buy,", EURO_VENDOR).replace(old, new))
