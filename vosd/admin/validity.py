"""Set until when accounts may be used, and have the running switch read it before the command returns."""

from collections.abc import Mapping

import msgspec

from vosd.admin.accounts import configured
from vosd.admin.payments import refresh_balances
from vosd.billing.accounts import Account
from vosd.billing.validity import NEVER
from vosd.cdr.columns import iso_utc
from vosd.control.client import RunningSwitch
from vosd.storage.validity import SqlValidity


class ExpirySheet(msgspec.Struct, frozen=True):
    """When an account expires now."""

    account: str
    expires_at: str | None
    """None = it does not expire."""
    untold: str = ""
    """Why a running switch does not know it yet; empty if it does, or if none runs."""


async def set_expiry(
    accounts: Mapping[str, Account],
    validity: SqlValidity,
    switch: RunningSwitch,
    account_id: str,
    expires_at: int | None,
    *,
    operator: str,
    memo: str | None,
    now: int,
) -> ExpirySheet:
    """Set when an account expires; None = as configured. Times are UTC milliseconds.

    Raises:
        UnknownAccountError: it is not configured.
        StoreUnavailable: probably nothing was changed; try the same again.
    """
    account = configured(accounts, account_id)
    await validity.set(account_id, expires_at, account.expires_at, operator, memo, now)
    holds = account.expires_at if expires_at is None else expires_at
    return ExpirySheet(
        account=account_id,
        expires_at=None if holds is None or holds >= NEVER else iso_utc(holds),
        untold=await refresh_balances(switch),
    )
