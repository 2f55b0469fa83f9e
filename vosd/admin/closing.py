"""Close an account: no more calls, and its money paid out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from vosd.admin.accounts import commitments, configured
from vosd.admin.overrides import OverrideOrder, Selection, clear_overrides, set_overrides
from vosd.admin.payments import add_payment
from vosd.admin.second_person import AboveLimitError
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.ports import OverrideStore
from vosd.control.calls import ListCalls
from vosd.control.client import RunningSwitch
from vosd.storage.ports import EntryKind, Payment, Payments, Queries


class AccountInUseError(VosError):
    """Calls of the account run, or are not booked yet."""


class MoneyLeftError(VosError):
    """The balance is not zero, and is not to be, or cannot be, paid out."""


class ClosedSheet(msgspec.Struct, frozen=True):
    """An account that was closed; money as text."""

    account: str
    paid_out: str
    balance: str
    untold: str = ""
    """Why a running switch does not know it yet; empty if it does, or if none runs."""


async def close_account(
    accounts: Mapping[str, Account],
    queries: Queries,
    payments: Payments,
    overrides: OverrideStore,
    switch: RunningSwitch,
    account_id: str,
    *,
    pay_out: bool,
    confirm_above: Decimal | None = None,
    operator: str,
    memo: str | None,
    now: int,
) -> ClosedSheet:
    """Refuse all further calls of an account, and book its balance as a refund where it is to be paid out.

    It is closed before the money is paid, and opened again where a call was set up meanwhile. After a failure the same
    command completes it.

    Raises:
        UnknownAccountError: it is not configured.
        AccountInUseError: its calls run, or are not booked yet.
        AboveLimitError: a second person has to confirm such a refund.
        MoneyLeftError: its balance is below zero, or above and not to be paid out.
        StoreUnavailable: it may be closed and not paid out; try the same again.
    """
    configured(accounts, account_id)
    await _check_idle(switch, account_id)
    balance = await _balance(queries, account_id)
    if balance < 0:
        message = (
            f"account {account_id} owes {format_amount(-balance)}: book its payment, or vosd payment add --type zero"
        )
        raise MoneyLeftError(message)
    if balance and not pay_out:
        message = f"account {account_id} has {format_amount(balance)}: --pay-out books it as a refund"
        raise MoneyLeftError(message)
    if confirm_above is not None and balance > confirm_above:
        message = (
            f"account {account_id} has {format_amount(balance)}, more than billing.confirm_above of "
            f"{format_amount(confirm_above)}: book the refund first, a second person confirms it (vosd payment add)"
        )
        raise AboveLimitError(message)
    order = OverrideOrder({Setting.CLOSED: ""}, operator, now, memo=memo)
    closed = await set_overrides(account_id, (Target.ACCOUNT,), order, overrides, switch)
    try:
        await _check_idle(switch, account_id)
    except AccountInUseError:
        await clear_overrides(Selection((Target.ACCOUNT,), account_id, Setting.CLOSED), order, overrides, switch)
        raise
    balance = await _balance(queries, account_id)
    if balance <= 0:
        return ClosedSheet(account_id, "0.00", format_amount(balance), closed.untold)
    refund = Payment(
        account=account_id,
        kind=EntryKind.REFUND,
        reference=f"close/{now}",
        made_at=now,
        amount=-balance,
        operator=operator,
        memo=memo,
        least_left=ZERO,
    )
    receipt = await add_payment(accounts, payments, switch, refund)
    return ClosedSheet(account_id, format_amount(balance), receipt.after, receipt.untold or closed.untold)


async def _balance(queries: Queries, account_id: str) -> Any:
    standing = await queries.standing(account_id)
    return ZERO if standing is None else standing.balance


async def _check_idle(switch: RunningSwitch, account_id: str) -> None:
    """Check that no call of an account runs or waits to be booked.

    Raises:
        AccountInUseError: one does.
        DaemonUnreachableError: a switch runs and does not say.
    """
    running = await switch.ask_if_running(ListCalls()) or ()
    calls = [call for call in running if account_id in {call.customer_account, call.vendor_account}]
    if calls:
        message = f"account {account_id} has {len(calls)} running calls: vosd hangup --account {account_id} ends them"
        raise AccountInUseError(message)
    committed = (await commitments(switch)).get(account_id)
    if committed is not None:
        message = (
            f"calls of account {account_id} reserve {committed.reserved}, and {committed.unbooked} is not booked yet: "
            "try again when they have ended and are booked"
        )
        raise AccountInUseError(message)
