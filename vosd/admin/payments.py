"""Booking money that does not come from calls, so that a running switch knows of it when the command returns."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from vosd.admin.accounts import configured
from vosd.admin.control import DaemonRefusedError, DaemonUnreachableError, RunningSwitch
from vosd.base.money import format_amount
from vosd.billing.accounts import Account
from vosd.storage.ports import NoSuchAccount, Payment, Payments


class PaymentReceipt(msgspec.Struct, frozen=True):
    """What was booked; money as text."""

    account: str
    type: str
    reference: str
    amount: str
    before: str
    after: str
    repeated: bool
    """The reference was booked before: nothing happened now, and the balances are those of then."""
    untold: str = ""
    """Why a running switch does not know of it yet; empty when it does, or when none runs."""


async def add_payment(
    accounts: Mapping[str, Account], payments: Payments, switch: RunningSwitch, payment: Payment
) -> PaymentReceipt:
    """Book a payment once and have a running switch take the new balance.

    An account that is not configured any more can be paid, and paid out, as long as it is in the ledger.

    Raises:
        UnknownAccountError: the account is neither configured nor in the ledger.
        OtherCurrency: it is configured with another currency than its ledger has.
        ReferenceTaken: the reference was used for another amount.
        StoreUnavailable: as far as is known nothing was booked.
    """
    account = accounts.get(payment.account)
    currency = None if account is None else account.currency
    try:
        receipt = await payments.add(replace(payment, currency=currency, must_exist=account is None))
    except NoSuchAccount:
        configured(accounts, payment.account)
        raise
    return PaymentReceipt(
        account=payment.account,
        type=payment.kind.value,
        reference=payment.reference,
        amount=format_amount(receipt.after - receipt.before),
        before=format_amount(receipt.before),
        after=format_amount(receipt.after),
        repeated=receipt.repeated,
        untold=await _tell(switch),
    )


async def _tell(switch: RunningSwitch) -> str:
    """Have the switch read the balances; the money is booked whatever it answers, and it polls them anyway."""
    try:
        await switch.ask_if_running("refresh_balances")
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return str(error)
    return ""
