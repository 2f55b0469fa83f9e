"""The profit of a call: what the highest account above it pays, less what the vendor gets."""

from decimal import Decimal

import msgspec
from doubles.data.records import answered_call, charge_row

from vosd.cdr.charges import profit_of
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR

_PAYS = charge_row("acme", CUSTOMER, 0, Decimal("2.00"), Decimal("0.20"))
_AGENT = charge_row("reseller", AGENT, 1, Decimal("1.50"))
_GETS = charge_row("carrier", VENDOR, 0, Decimal("0.60"), Decimal("0.06"))


def test_a_call_brings_what_its_last_agent_pays_without_tax():
    assert profit_of(answered_call(1, charges=(_PAYS, _GETS))) == (Decimal("1.40"), "USD")
    assert profit_of(answered_call(1, charges=(_PAYS, _AGENT, _GETS))) == (Decimal("0.90"), "USD")


def test_a_call_that_is_not_sold_costs_and_one_that_has_no_vendor_brings():
    assert profit_of(answered_call(1, charges=(_GETS,))) == (Decimal("-0.60"), "USD")
    assert profit_of(answered_call(1, charges=(_PAYS,))) == (Decimal("2.00"), "USD")


def test_there_is_no_profit_of_two_currencies_nor_without_charges():
    in_euros = msgspec.structs.replace(_GETS, currency="EUR")
    assert profit_of(answered_call(1, charges=(_PAYS, in_euros))) is None
    assert profit_of(answered_call(1, charges=())) is None
