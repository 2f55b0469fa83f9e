"""Book payments and transfers, and have the running switch read the new balances before the command returns."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import msgspec

from vosd.admin.accounts import commitments, configured
from vosd.admin.control import DaemonRefusedError, DaemonUnreachableError, RunningSwitch
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account
from vosd.catalogue.overrides import Overrides
from vosd.cdr.columns import iso_utc
from vosd.storage.ports import NoSuchAccount, Payment, Payments, Receipt, Transfer


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
    expires_at: str | msgspec.UnsetType = msgspec.UNSET
    """Until when the payment has extended the validity of the account; absent if it has not."""


async def add_payment(
    accounts: Mapping[str, Account], payments: Payments, switch: RunningSwitch, payment: Payment
) -> PaymentReceipt:
    """Book a payment once, and have a running switch read the new balance.

    An account that is no longer configured can still be credited and debited while it is in the ledger.

    Raises:
        UnknownAccountError: the account is neither configured nor in the ledger.
        OtherCurrency: it is configured with another currency than its ledger has.
        ReferenceTaken: the reference was used for another amount.
        TooLittleLeft: the account has less to spare.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    account = accounts.get(payment.account)
    payment = replace(payment, must_exist=True) if account is None else _for_account(account, payment)
    try:
        receipt = await payments.add(payment)
    except NoSuchAccount:
        configured(accounts, payment.account)
        raise
    return _shown(payment, receipt, await refresh_balances(switch))


async def make_transfer(
    accounts: Mapping[str, Account], payments: Payments, switch: RunningSwitch, transfer: Transfer
) -> tuple[PaymentReceipt, PaymentReceipt]:
    """Move money once between two accounts, and have a running switch read both balances.

    Raises:
        UnknownAccountError: an account is neither configured nor in the ledger.
        OtherCurrency: the accounts have different currencies, or one is configured with another than its ledger has.
        ReferenceTaken: the reference was used for another transfer.
        TooLittleLeft: the source has less to spare.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    ends = (transfer.source, transfer.target)
    transfer = replace(transfer, currencies={name: accounts[name].currency for name in ends if name in accounts})
    try:
        receipts = await payments.transfer(transfer)
    except NoSuchAccount:
        for name in ends:
            configured(accounts, name)
        raise
    untold = await refresh_balances(switch)
    source, target = (
        _shown(payment, receipt, untold) for payment, receipt in zip(transfer.payments, receipts, strict=True)
    )
    return source, target


async def least_left(
    accounts: Mapping[str, Account], overrides: Overrides, switch: RunningSwitch, account_id: str
) -> Decimal | None:
    """Return the lowest balance of an account that covers its running calls; None = it has no overdraft limit.

    What is taken from an account by hand must leave as much: the holds of running calls, and what ended calls owe that
    are not booked yet, less the overdraft limit.

    Raises:
        DaemonUnreachableError: a switch runs but does not report what its calls reserve.
    """
    account = accounts.get(account_id)
    limit = ZERO if account is None else overrides.overdraft_limit(account)
    if limit is None:
        return None
    committed = (await commitments(switch)).get(account_id)
    held = ZERO if committed is None else Decimal(committed.reserved) - Decimal(committed.unbooked)
    return held - limit


def _for_account(account: Account, payment: Payment) -> Payment:
    """Return a payment in the currency of its account and with what it does to the validity."""
    return replace(
        payment,
        currency=account.currency,
        extends_days=account.payment_extends_days,
        configured_expiry=account.expires_at,
    )


def _shown(payment: Payment, receipt: Receipt, untold: str) -> PaymentReceipt:
    return PaymentReceipt(
        account=payment.account,
        type=payment.kind.value,
        reference=payment.reference,
        amount=format_amount(receipt.after - receipt.before),
        before=format_amount(receipt.before),
        after=format_amount(receipt.after),
        repeated=receipt.repeated,
        untold=untold,
        expires_at=msgspec.UNSET if receipt.expires_at is None else iso_utc(receipt.expires_at),
    )


async def refresh_balances(switch: RunningSwitch) -> str:
    """Have the switch read balances and expiries; return why it does not, empty if it does or if none runs.

    What was booked stays so, and the switch reads it at its next poll.
    """
    try:
        await switch.ask_if_running("refresh_balances")
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return str(error)
    return ""
