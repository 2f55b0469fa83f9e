"""Profit of a call: its income less its cost, both without tax.

It brings what the highest account above it pays: its last agent, else the customer. What agents charge among themselves
is not ours.
"""

from decimal import Decimal

from vosd.base.money import EXACT, ZERO
from vosd.cdr.record import VENDOR, CallRecord


def profit_of(record: CallRecord) -> tuple[Decimal, str | None] | None:
    """Return the profit of a call and its currency; None where no one is charged, or in two currencies."""
    if not record.charges:
        return None
    income = cost = ZERO
    payer = vendor = None
    for each in record.charges:
        if each.role == VENDOR:
            cost, vendor = each.fee, each
        else:
            income, payer = each.fee, each
    if payer is not None and vendor is not None and payer.currency != vendor.currency:
        return None
    charged = payer or vendor
    return EXACT.subtract(income, cost), None if charged is None else charged.currency
