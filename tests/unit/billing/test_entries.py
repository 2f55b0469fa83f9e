"""What an answered call books on the customer and on the vendor."""

from decimal import Decimal

from vosd.billing.entries import CallEntry, customer_posting, vendor_posting
from vosd.billing.rater import Charge

CHARGE = Charge(65, 66, Decimal("0.0132"), Decimal("0.00132"))


def test_charge_with_tax_leaves_the_account():
    assert customer_posting("c1", "acme", CHARGE) == CallEntry("acme", Decimal("-0.01452"), "c1/customer")
    assert vendor_posting("c1", "carrier", CHARGE) == CallEntry("carrier", Decimal("-0.01452"), "c1/vendor")


def test_account_that_is_both_parties_of_a_call_gets_two_references():
    both = {customer_posting("c1", "acme", CHARGE).reference, vendor_posting("c1", "acme", CHARGE).reference}
    assert len(both) == 2


def test_call_that_costs_nothing_books_nothing():
    free = Charge(5, 0, Decimal("0.00"), Decimal(0))
    assert customer_posting("c1", "acme", free) is None
    assert vendor_posting("c1", "acme", free) is None
