"""The ledger entries of one call: account, signed amount and reference (docs/rating.md)."""

from decimal import Decimal
from typing import NamedTuple

from vosd.billing.rater import Charge


class CallEntry(NamedTuple):
    """One movement on one account; ``amount`` is signed, a charge is negative.

    An account can be the customer and the vendor of the same call, so the reference names its part: both entries are
    kept, and booking the call again changes nothing.
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
