"""Which accounts may make calls: enabled ones that have not expired."""

from doubles.data.builders import account, catalogue

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.accounts import NEVER
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState


def refusal_at(wall_ms: int, by_ledger: int | None = None, **terms) -> Refusal | None:
    call = CallRequest("198.51.100.1", 5060, 69, at=Instant(1_000, wall_ms), account=account("acme", **terms))
    credit = AccountCredit("acme", limit=None)
    credit.expires_at = by_ledger
    return Admission(catalogue([]), LiveState({"acme": credit})).check_account(call)


def test_enabled_account_without_expiry_is_admitted():
    assert refusal_at(10**13) is None


def test_disabled_account_is_refused_even_before_its_expiry():
    refusal = refusal_at(1_000, enabled=False, expires_at=2_000)
    assert (refusal.reason, refusal.status) == (EndReason.ACCOUNT_DISABLED, 403)


def test_account_is_refused_from_the_instant_of_its_expiry():
    assert refusal_at(1_999, expires_at=2_000) is None
    refusal = refusal_at(2_000, expires_at=2_000)
    assert (refusal.reason, refusal.status) == (EndReason.ACCOUNT_EXPIRED, 403)


def test_the_expiry_of_the_ledger_wins_over_the_configured_one():
    assert refusal_at(2_000, by_ledger=3_000, expires_at=2_000) is None
    assert refusal_at(3_000, by_ledger=3_000, expires_at=9_000).reason is EndReason.ACCOUNT_EXPIRED
    assert refusal_at(2_000, by_ledger=NEVER, expires_at=2_000) is None
    assert refusal_at(3_000, by_ledger=3_000).reason is EndReason.ACCOUNT_EXPIRED
