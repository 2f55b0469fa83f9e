"""The ledger entries of one call: whose account moves, and by how much (INTERFACES section 5, Ledger).

Owns the sign and the reference. How an entry is journalled and booked is for ``cdr`` and ``storage``.
"""

from decimal import Decimal
from typing import NamedTuple

from vosd.billing.rater import Charge


class CallEntry(NamedTuple):
    """One movement on one account; ``amount`` is signed, a charge is negative.

    An account can be the customer and the vendor of the same call, so the reference says in which part it
    moves: that keeps both entries and still makes a repeated booking harmless (DESIGN D4).
    """

    account: str
    amount: Decimal
    reference: str


def customer_posting(call_id: str, account: str, charge: Charge) -> CallEntry | None:
    """Return what the customer pays, fee and tax together, or None for a call that costs nothing."""
    return _entry(account, charge, f"{call_id}/customer")


def vendor_posting(call_id: str, account: str, charge: Charge) -> CallEntry | None:
    """Return what the vendor's account is charged, cost and tax together, or None for a free call."""
    return _entry(account, charge, f"{call_id}/vendor")


def _entry(account: str, charge: Charge, reference: str) -> CallEntry | None:
    total = charge.total
    return CallEntry(account, -total, reference) if total else None
