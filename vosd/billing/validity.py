"""Until when an account may be used: payments extend it.

It does not know where the date is kept.
"""

from typing import Final

DAY_MS: Final = 86_400_000
NEVER: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, UTC: an account that expires then does not expire."""


def extended(expires_at: int | None, paid_at: int, days: int) -> int | None:
    """Return when an account expires that was paid at a time; UTC milliseconds, None = never.

    The days of 24 hours count from the present expiry, or from the payment where that is later. An account that does
    not expire stays so.
    """
    if expires_at is None or expires_at >= NEVER or days <= 0:
        return expires_at
    return min(max(expires_at, paid_at) + days * DAY_MS, NEVER)
