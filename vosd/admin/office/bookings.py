"""Book payments and transfers, and have the running switch read the new balances before the command returns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.admin.names import configured
from vosd.admin.office.ports import ConfiguredObjects
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount, has_more_decimals
from vosd.billing.accounts import Account
from vosd.catalogue.overrides import Overrides
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import StoreUnavailable
from vosd.control.client import REFRESH_S, DaemonRefusedError, DaemonUnreachableError, RunningSwitch
from vosd.control.money import BeginWithdrawal, Commitments, EndWithdrawal, ListCommitments, RefreshBalances, Withdrawal
from vosd.control.order import Order, OrderDone
from vosd.storage.ports import MoneyTransfer, NoSuchAccount, Payment, Receipt

if TYPE_CHECKING:
    from vosd.storage.payments import SqlPayments


class PaymentReceipt(msgspec.Struct, frozen=True):
    """Result of a booking, or of its trial; money as text."""

    account: str
    type: str
    """``payment``, ``adjustment``, ``refund``, ``zero`` or ``transfer``."""
    reference: str
    amount: str
    currency: str | None
    """ISO 4217; None = the account is not configured any more, and has had no money."""
    before: str
    """Balance before, as text."""
    after: str
    """Balance now, as text."""
    repeated: bool
    """The reference was booked before: nothing was booked now, and the balances are those of that booking."""
    untold: str = ""
    """Why a running switch does not know the balance yet; empty if it does, or if none runs."""
    id: int | None = None
    """Number of the entry, by which it is taken back; None = it was a trial, or the entry was dropped since."""
    expires_at: str | msgspec.UnsetType = msgspec.UNSET
    """Until when the account is valid by this booking: a payment extends that, and its undo takes it back; absent where
    the validity stays as it was, or the account does not expire."""


_NOTHING_WITHHELD: Final = Withdrawal()


async def add_payment(
    accounts: Mapping[str, Account], payments: "SqlPayments", switch: RunningSwitch, payment: Payment
) -> PaymentReceipt:
    """Book a payment once, and have a running switch read the new balance.

    Where ``least_left`` limits it, a running switch withholds the amount from calls until it has read the balance.
    An account that is no longer configured can still be credited and debited while it is in the ledger.

    Raises:
        OtherCurrency: it is configured with another currency than its ledger has.
        ReferenceTaken: the reference was used for another amount.
        TooLittleLeft: the account has less to spare.
        DaemonUnreachableError: a switch runs and does not answer; nothing was booked.
        DaemonRefusedError: it cannot read the balances; nothing was booked.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    payment = _of_account(accounts, payment)
    withdrawal = _NOTHING_WITHHELD
    if payment.least_left is not None:
        withdrawal = await _begin_withdrawal(switch, payment.account, -payment.amount)
    try:
        receipt = await payments.add(replace(payment, available=withdrawal.available))
    except StoreUnavailable:
        raise  # it may be booked: the switch withholds the amount until it cannot be any more
    except VosError as error:
        await _have_balances_read(switch, withdrawal)
        if isinstance(error, NoSuchAccount):
            configured(accounts, payment.account)
        raise
    return _shown(payment, receipt, await _have_balances_read(switch, withdrawal))


async def try_payment(
    accounts: Mapping[str, Account], payments: "SqlPayments", switch: RunningSwitch, payment: Payment
) -> PaymentReceipt:
    """Return what ``add_payment`` would; nothing is booked, nor withheld from calls. Raises as it does."""
    payment = _of_account(accounts, payment)
    least = await _least_beside_calls(switch, payment.account, payment.least_left)
    try:
        receipt = await payments.add(replace(payment, least_left=least), is_trial=True)
    except NoSuchAccount:
        configured(accounts, payment.account)
        raise
    return _shown(payment, _of_trial(receipt), "")


async def add_payments(
    accounts: Mapping[str, Account],
    payments: "SqlPayments",
    switch: RunningSwitch,
    wanted: Sequence[Payment],
    *,
    is_trial: bool,
) -> list[PaymentReceipt | VosError]:
    """Book payments that bring money, in one transaction; return for each why ``add_payment`` would refuse it.

    A running switch reads the new balances once. ``is_trial``: nothing is booked.

    Raises:
        StoreUnavailable: none was booked, as far as is known.
    """
    wanted = [_of_account(accounts, each) for each in wanted]
    receipts = await payments.add_all(wanted, is_trial=is_trial)
    untold = "" if is_trial else await refresh_balances(switch)
    return [
        receipt if isinstance(receipt, VosError) else _shown(payment, receipt, untold)
        for payment, receipt in zip(wanted, receipts, strict=True)
    ]


async def make_transfer(
    accounts: Mapping[str, Account], payments: "SqlPayments", switch: RunningSwitch, transfer: MoneyTransfer
) -> tuple[PaymentReceipt, PaymentReceipt]:
    """Move money once between two accounts, as ``add_payment`` takes it; a running switch reads both balances.

    Raises:
        OtherCurrency: the accounts have different currencies, or one is configured with another than its ledger has.
        ReferenceTaken: the reference was used for another transfer.
        TooLittleLeft: the source has less to spare.
        DaemonUnreachableError, DaemonRefusedError: as in ``add_payment``.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    ends = (transfer.source, transfer.target)
    transfer = replace(transfer, currencies={name: accounts[name].currency for name in ends if name in accounts})
    withdrawal = _NOTHING_WITHHELD
    if transfer.least_left is not None:
        withdrawal = await _begin_withdrawal(switch, transfer.source, transfer.amount)
    try:
        receipts = await payments.transfer(replace(transfer, available=withdrawal.available))
    except StoreUnavailable:
        raise  # as in ``add_payment``
    except VosError as error:
        await _have_balances_read(switch, withdrawal)
        if isinstance(error, NoSuchAccount):
            for name in ends:
                configured(accounts, name)
        raise
    return _both_shown(transfer, receipts, await _have_balances_read(switch, withdrawal))


async def try_transfer(
    accounts: Mapping[str, Account], payments: "SqlPayments", switch: RunningSwitch, transfer: MoneyTransfer
) -> tuple[PaymentReceipt, PaymentReceipt]:
    """Return what ``make_transfer`` would; nothing is moved, nor withheld from calls. Raises as it does."""
    ends = (transfer.source, transfer.target)
    currencies = {name: accounts[name].currency for name in ends if name in accounts}
    least = await _least_beside_calls(switch, transfer.source, transfer.least_left)
    try:
        receipts = await payments.transfer(replace(transfer, currencies=currencies, least_left=least), is_trial=True)
    except NoSuchAccount:
        for name in ends:
            configured(accounts, name)
        raise
    source, target = receipts
    return _both_shown(transfer, (_of_trial(source), _of_trial(target)), "")


async def _least_beside_calls(switch: RunningSwitch, account: str, least: Decimal | None) -> Decimal | None:
    """Return what must be left on an account, with what running calls hold and ended ones owe; None = any balance.

    Raises:
        DaemonUnreachableError: a switch runs and does not answer.
    """
    if least is None:
        return None
    committed = (await switch.ask_if_running(ListCommitments()) or {}).get(account, Commitments())
    return least + committed.taken


def decimals_exceeded(definitions: ConfiguredObjects, account: Account, amount: Decimal) -> int | None:
    """Return the decimals of the money of an account where a payment has more; None = it has not."""
    places = definitions.decimals_of(account)
    return places if has_more_decimals(amount, places) else None


def least_left(accounts: Mapping[str, Account], overrides: Overrides, account_id: str) -> Decimal | None:
    """Return the lowest balance that calls alone may leave on an account; None = it has no overdraft limit.

    What is taken from an account by hand must leave as much, and what running calls hold besides, which the running
    switch knows (``add_payment``).
    """
    account = accounts.get(account_id)
    limit = ZERO if account is None else overrides.overdraft_limit(account)
    return None if limit is None else -limit


def for_account(account: Account, payment: Payment) -> Payment:
    """Return a payment in the currency of its account and with what it does to the validity."""
    return replace(
        payment,
        currency=account.currency,
        extends_days=account.payment_extends_days,
        configured_expiry=account.expires_at,
    )


def _of_account(accounts: Mapping[str, Account], payment: Payment) -> Payment:
    """Return a payment as ``for_account``, or one that must find its account in the ledger: it is not configured."""
    account = accounts.get(payment.account)
    return replace(payment, must_exist=True) if account is None else for_account(account, payment)


def _of_trial(receipt: Receipt) -> Receipt:
    """Return the receipt of a trial, whose entry is not kept."""
    return receipt if receipt.repeated else receipt._replace(entry=None)


def _shown(payment: Payment, receipt: Receipt, untold: str) -> PaymentReceipt:
    return PaymentReceipt(
        account=payment.account,
        type=payment.kind.value,
        reference=payment.reference,
        amount=format_amount(receipt.after - receipt.before),
        currency=payment.currency or receipt.currency,
        before=format_amount(receipt.before),
        after=format_amount(receipt.after),
        repeated=receipt.repeated,
        untold=untold,
        id=receipt.entry,
        expires_at=msgspec.UNSET if receipt.expires_at is None else iso_utc(receipt.expires_at),
    )


def _both_shown(
    transfer: MoneyTransfer, receipts: tuple[Receipt, Receipt], untold: str
) -> tuple[PaymentReceipt, PaymentReceipt]:
    source, target = (
        _shown(payment, receipt, untold) for payment, receipt in zip(transfer.payments, receipts, strict=True)
    )
    return source, target


async def refresh_balances(switch: RunningSwitch) -> str:
    """Have the switch read balances and expiries; return why it does not, empty if it does or if none runs.

    What was booked stays so, and the switch reads it at its next poll.
    """
    return await _asked(switch, RefreshBalances())


async def _asked(switch: RunningSwitch, order: Order[OrderDone]) -> str:
    """Have the switch carry out an order if it runs; return why it does not, empty if it does."""
    try:
        await switch.patient(REFRESH_S).ask_if_running(order)
    except (DaemonRefusedError, DaemonUnreachableError) as error:
        return str(error)
    return ""


async def _begin_withdrawal(switch: RunningSwitch, account: str, amount: Decimal) -> Withdrawal:
    """Have the running switch withhold an amount from calls, so that none of them gets it before it is booked.

    Raises:
        DaemonUnreachableError: a switch runs and does not answer.
        DaemonRefusedError: it cannot read the balances.
    """
    return await switch.ask_if_running(BeginWithdrawal(account, amount)) or _NOTHING_WITHHELD


async def _have_balances_read(switch: RunningSwitch, withdrawal: Withdrawal) -> str:
    """Have the switch read balances and release what it withheld; return why it does not, as ``refresh_balances``."""
    if withdrawal.id is None:
        return await refresh_balances(switch)
    return await _asked(switch, EndWithdrawal(withdrawal.id))
