"""Accounts as the catalogue defines them; their balances live in ``holds``."""

from decimal import Decimal
from enum import Enum

import msgspec

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal


class AccountType(Enum):
    """What an account is for: a customer, or a vendor to be settled with."""

    DIRECT = "direct"
    CLEARING = "clearing"


class Account(msgspec.Struct, frozen=True):
    """One account of the catalogue."""

    id: str
    type: AccountType
    rate_group: str | None
    overdraft_limit: Decimal | None
    """How far below zero calls may take the balance; None = unlimited."""
    currency: str
    enabled: bool = True
    expires_at: int | None = None
    """UTC milliseconds; calls from then on are refused."""
    max_concurrent: int | None = None
    max_cps: int | None = None
    max_call_seconds: int | None = None
    balance_low: Decimal | None = None
    """The log reports it once when less than this is left for calls; None = never."""
    advance_s: int = 60
    """Seconds reserved at a time: SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME, or the account's own."""


def admissible(account: Account, wall_ms: int) -> Refusal | None:
    """Refuse a call of a disabled or expired account ; return None for any other."""
    if not account.enabled:
        return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"account {account.id} is disabled")
    if account.expires_at is not None and wall_ms >= account.expires_at:
        return Refusal(EndReason.ACCOUNT_EXPIRED, 403, f"account {account.id} has expired")
    return None
