"""Bounds of one call that hold for all (INTERFACES section 6), and how one is billed whose peer vanished."""

from dataclasses import dataclass
from enum import Enum


class DeadCallBilling(Enum):
    """Until when a call is billed whose peer vanished (DESIGN D10)."""

    DETECTION = "detection"
    """Until it was noticed."""
    PROOF = "proof"
    """Until the latest proof of life on either leg."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How long and how often a call may look for a gateway, and what it costs when its peer is gone."""

    max_attempts: int = 10
    search_ms: int = 30_000
    """No attempt begins later than this after the INVITE came."""
    challenges_max: int = 6
    """SS_SIP_AUTHENTICATION_RETRY: how many challenges to one request of ours are answered (REG-06)."""
    dead_call_billing: DeadCallBilling = DeadCallBilling.DETECTION
