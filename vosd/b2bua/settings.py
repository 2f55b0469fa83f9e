"""Limits of all calls, and the billing of a call whose peer vanished."""

from dataclasses import dataclass
from enum import Enum


class DeadCallBilling(Enum):
    """Billed end of a call whose peer vanished."""

    DETECTION = "detection"
    """Until it was detected."""
    PROOF = "proof"
    """Until the last proof of life on either leg, after a transfer of both calls."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Limits of the search for a gateway, and the billing of dead calls."""

    max_attempts: int = 10
    search_ms: int = 30_000
    """No attempt begins later than this after the INVITE arrived."""
    challenges_max: int = 6
    """SS_SIP_AUTHENTICATION_RETRY: most challenges answered for one request of ours."""
    dead_call_billing: DeadCallBilling = DeadCallBilling.DETECTION
    charges_ringing: bool = False
    """Calls are charged from their first INVITE to a gateway on, answered or not (SS_STARTBILLINGTIME 1)."""
