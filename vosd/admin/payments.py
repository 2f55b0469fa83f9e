"""Book payments and corrections, and have the running switch read the new balance before the command returns."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from vosd.admin.accounts import configured
from vosd.admin.control import DaemonRefusedError, DaemonUnreachableError, RunningSwitch
from vosd.base.money import format_amount
from vosd.billing.accounts import Account
from vosd.storage.ports import NoSuchAccount, Payment, Payments


class PaymentReceipt(msgspec.Struct, frozen=True):
    """Result of a booking; money as text."""

    account: str
    type: str
    reference: str
    amount: str
    before: str
    after: str
    repeated: bool
    """The reference was booked before: nothing was booked now, and the balances are those of that booking."""
    untold: str = ""
    """Why a running switch does not know the balance yet; empty if it does, or if none runs."""


async def add_payment(
    accounts: Mapping[str, Account], payments: Payments, switch: RunningSwitch, payment: Payment
) -> PaymentReceipt:
    """Book a payment once, and have a running switch read the new balance.

    An account that is no longer configured can still be credited and debited while it is in the ledger.

    Raises:
        UnknownAccountError: the account is neither configured nor in the ledger.
        OtherCurrency: it is configured with another currency than its ledger has.
        ReferenceTaken: the reference was used for another amount.
        StoreUnavailable: nothing was booked, as far as is known.
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
        untold=await _refresh_balances(switch),
    )


async def _refresh_balances(switch: RunningSwitch) -> str:
    """Have the switch read the balances; if that fails, the money is booked, and the switch polls balances anyway."""
    try:
        await switch.ask_if_running("refresh_balances")
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return str(error)
    return ""
