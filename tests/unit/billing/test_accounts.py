"""Which accounts may make calls: enabled ones that have not expired."""

from vosd.base.cause import EndReason
from vosd.billing.accounts import Account, AccountType, admissible


def account(**terms) -> Account:
    return Account("acme", AccountType.DIRECT, "sell", overdraft_limit=None, currency="USD", **terms)


def test_enabled_account_without_expiry_is_admitted():
    assert admissible(account(), wall_ms=10**13) is None


def test_disabled_account_is_refused_even_before_its_expiry():
    refusal = admissible(account(enabled=False, expires_at=2_000), wall_ms=1_000)
    assert (refusal.reason, refusal.status) == (EndReason.ACCOUNT_DISABLED, 403)


def test_account_is_refused_from_the_instant_of_its_expiry():
    assert admissible(account(expires_at=2_000), wall_ms=1_999) is None
    refusal = admissible(account(expires_at=2_000), wall_ms=2_000)
    assert (refusal.reason, refusal.status) == (EndReason.ACCOUNT_EXPIRED, 403)
