"""Parties that pay or are paid for a call: the customer, the agents above it, the vendor.

It does not know amounts: ``rater`` computes them, ``callcontrol.bookkeeping`` books them (ADR 54).
"""

from enum import Enum

import msgspec

from vosd.billing.rates import AppliedRate


class CallSide(Enum):
    """On which side of a call an account stands."""

    CUSTOMER = "customer"
    AGENT = "agent"
    VENDOR = "vendor"


class Party(msgspec.Struct, frozen=True, gc=False):
    """An account that a call is charged to, and the rate that it keeps to the end of the call."""

    account: str
    role: CallSide
    level: int
    """0 = the customer itself or the vendor, 1 = the customer's agent, 2 = the agent of that one, and so on."""
    applied: AppliedRate
