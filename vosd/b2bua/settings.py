"""Bounds of one call that hold for all (INTERFACES section 6)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How long and how often a call may look for a gateway."""

    max_attempts: int = 10
    search_ms: int = 30_000
    """No attempt begins later than this after the INVITE came."""
    challenges_max: int = 6
    """SS_SIP_AUTHENTICATION_RETRY: how many challenges to one request of ours are answered (REG-06)."""
