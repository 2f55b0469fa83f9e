"""Use case of the end of an account: no more calls, and its money paid out."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.ledger import Month
from vosd.admin.names import configured
from vosd.admin.office.accounts import commitments
from vosd.admin.office.bookings import add_payment
from vosd.admin.office.minimum import BookMinimums, MinimumOutcome, book_for
from vosd.admin.office.office import Office, needs
from vosd.admin.office.overrides import ClearOverrides, tell_overrides
from vosd.admin.office.payments import AboveLimitError, BookPayment, PaymentType, alone_at_most
from vosd.admin.office.principal import Permission, Principal
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account, AccountType
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.catalogue.ports import SetByOthersError
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import DroppedPeriod
from vosd.control.calls import ListCalls
from vosd.control.client import RunningSwitch
from vosd.invoicing.settlement import whole_units
from vosd.storage.ports import EntryKind, Payment, TooLittleLeft


class AccountInUseError(VosError):
    """Calls of the account run, or are not booked yet."""


class MoneyLeftError(VosError):
    """The balance is not zero, and is not to be, or cannot be, paid out, or it will not be: a payment waits."""


class MinimumUnknownError(VosError):
    """The calls by which the minimum consumption of the last month is judged were dropped, and it is not booked."""


class ClosedSheet(msgspec.Struct, frozen=True):
    """An account that was closed; money as text."""

    account: str
    paid_out: str
    balance: str
    untold: str = ""
    """Why a running switch does not know it yet; empty if it does, or if none runs."""


class CloseAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End of an account: it has no more calls, and no money."""

    account: str
    pay_out: bool = False
    """Book the balance as a refund, and what of it no bank transfers (below the smallest unit) as brought to zero."""
    without_minimum: bool = False
    """Also where its minimum consumption of the last month is not booked, and the calls of that month were dropped."""
    memo: str | None = None


@needs(Permission.BOOKS_CHANGE)
async def close_account(office: Office, who: Principal, order: CloseAccount) -> ClosedSheet:
    """Refuse all further calls of an account, and book its balance as a refund where it is to be paid out.

    What it lacks of its minimum consumption of the last month that is over is booked first. It is closed before the
    money is paid, and opened again where a call or a payment that keeps it from its end came meanwhile, unless it was
    closed before, or a colleague has closed it as well; each step has its line in the audit.
    After a failure, or where this process is killed meanwhile, the same order completes it, or says that it is closed
    already.

    Raises:
        AccountInUseError: its calls run, or are not booked yet.
        AboveLimitError: a second person has to confirm such a refund.
        MinimumUnknownError: calls of the last month were dropped, its minimum is not booked, and not waived.
        MoneyLeftError: its balance is below zero, or above and not to be paid out, or a payment waits for a second
            person; or money came or left between the last look and the refund, and the account is closed.
        BalanceMoved: money came between the refund and the rest, and is left on it; try the same again.
        StoreUnavailable: it may be closed and not paid out; try the same again.
    """
    name, now, stores, switch = order.account, office.now(), office.stores, office.switch
    accounts = office.definitions.accounts()
    configured(accounts, name)
    account = accounts[name]
    was = await _earlier_close(office, name, now)
    with _saying_that_it_is_closed(was):
        await _check_idle(switch, name)
        await _settled_balance(office, account)  # else the minimum is booked, and the close refused nevertheless
        await _book_minimum(office, who, account, is_waived=order.without_minimum)
        await _payable_balance(office, who, account, order)
    was = await _earlier_close(office, name, now)  # a colleague may have closed it meanwhile
    since = now if was is None else was.since  # from then on it has no minimum consumption
    closed = Override(Target.ACCOUNT, name, Setting.CLOSED, "", who.recorded, since, memo=order.memo)
    await stores.overrides.put([closed], now, audit=office.audit_line(who, order, name))
    untold = await tell_overrides(switch)
    try:
        with _saying_that_it_is_closed(was):
            await _check_idle(switch, name)
            balance = await _payable_balance(office, who, account, order)  # a call or a payment may have come meanwhile
    except (AccountInUseError, AboveLimitError, MoneyLeftError):
        if was is None:
            await _open_again(office, who, closed)
        raise
    if not balance:
        return ClosedSheet(name, "0.00", "0.00", untold)
    whole, after = whole_units(balance, account.currency), format_amount(balance)
    rest = balance - whole
    for kind, amount in ((PaymentType.REFUND, whole), (PaymentType.ZERO, rest)):
        if not amount:
            continue
        is_zero = kind is PaymentType.ZERO
        booked = BookPayment(
            account=name, amount=None if is_zero else amount, type=kind, reference=f"close/{now}", memo=order.memo
        )
        movement = Payment(
            account=name,
            kind=EntryKind(kind.value),
            reference=f"close/{now}",
            made_at=now,
            amount=ZERO if is_zero else -amount,
            operator=who.recorded,
            memo=order.memo,
            least_left=None if is_zero else ZERO,
            at_most=-rest if is_zero else None,
            audit=office.audit_line(who, booked, name),
        )
        try:
            receipt = await add_payment(accounts, stores.payments, switch, movement)
        except TooLittleLeft as error:  # its remedy is for a refund: a close takes no more than there is
            raise MoneyLeftError(
                f"account {name} is closed, and money has left it meanwhile, so that {format_amount(whole)} was not"
                " paid out: the same order pays out what is left"
            ) from error
        after, untold = receipt.after, receipt.untold or untold
    if Decimal(after):
        raise MoneyLeftError(
            f"account {name} is closed, {format_amount(whole)} was paid out, and it has {after}:"
            " money came meanwhile, and the same order pays it out"
        )
    return ClosedSheet(name, format_amount(whole), after, untold)


async def _earlier_close(office: Office, account: str, now: int) -> Override | None:
    """Return what has closed an account; None = it is open."""
    return (await office.stores.overrides.load()).at(now).named(Target.ACCOUNT, Setting.CLOSED).get(account)


@contextmanager
def _saying_that_it_is_closed(was: Override | None) -> Iterator[None]:
    """Say in a refusal that the account is closed already: by a close that was killed before its end, for one.

    That account has no calls, so who reads only that its money is left would believe that it goes on.
    """
    try:
        yield
    except (AccountInUseError, AboveLimitError, MoneyLeftError, MinimumUnknownError) as error:
        if was is None:
            raise
        raise type(error)(
            f"{error}; account {was.name} is closed already, since {iso_utc(was.since)} {was}:"
            f" vosd overrides clear {was.name} --setting closed opens it again"
        ) from error


async def _open_again(office: Office, who: Principal, closed: Override) -> None:
    """Take back what closed an account; who may close may do so: to clear overrides is another permission."""
    audit = office.audit_line(who, ClearOverrides(name=closed.name, setting=Setting.CLOSED), closed.name)
    with suppress(SetByOthersError):  # a colleague has closed it as well, and may have paid it out: closed it stays
        await office.stores.overrides.clear([closed.key], who.recorded, office.now(), audit, set_by=[who.recorded])
    await tell_overrides(office.switch)


async def _payable_balance(office: Office, who: Principal, account: Account, order: CloseAccount) -> Decimal:
    """Return the balance that a close pays out; raise AboveLimitError or MoneyLeftError where it may pay out none."""
    balance = await _settled_balance(office, account)
    if balance and not order.pay_out:
        raise MoneyLeftError(f"account {account.id} has {format_amount(balance)}: `pay_out` books it as a refund")
    limit = alone_at_most(office, who)
    if limit is not None and balance > limit:
        raise AboveLimitError(
            f"account {account.id} has {format_amount(balance)}, more than billing.confirm_above of"
            f" {format_amount(limit)}: book the refund first, a second person confirms it (vosd payment add)"
        )
    return balance


async def _book_minimum(office: Office, who: Principal, account: Account, *, is_waived: bool) -> None:
    """Book what an account lacks of its minimum consumption of the last month that is over, unless it is booked.

    Raises:
        AccountInUseError: calls of that month are not booked yet.
        MinimumUnknownError: they were dropped, and what is not known then is not waived.
    """
    now, zone = office.now(), office.definitions.settings.invoices.zone
    order = BookMinimums(Month.before(now, ZoneInfo(zone)), zone)
    try:
        sheets = await book_for({account.id: account}, office.stores, office.switch, who, order, now)
    except DroppedPeriod as error:
        if is_waived:
            return
        raise MinimumUnknownError(
            f"calls of {order.month} were dropped, and no minimum consumption of account {account.id} is booked for it:"
            " `without_minimum` closes it without one"
        ) from error
    for sheet in sheets:
        if sheet.outcome == MinimumOutcome.WAITING.value:
            message = f"calls of account {account.id} of {sheet.month} are not booked yet: its minimum is not known"
            raise AccountInUseError(message)


async def _settled_balance(office: Office, account: Account) -> Decimal:
    """Return the balance; raise MoneyLeftError where it is below zero, a vendor is owed that, or a payment waits."""
    waits = await office.stores.waiting_payments.of_account(account.id)
    if waits is not None:
        message = f"payment {waits.id} of account {account.id} waits for a second person: confirm or refuse it first"
        raise MoneyLeftError(message)
    standing = await office.stores.queries.standing(account.id)
    balance = ZERO if standing is None else standing.balance
    if balance < 0:
        owed = format_amount(-balance)
        message = f"account {account.id} owes {owed}: book its payment, or vosd payment add --type zero"
        if account.type is AccountType.CLEARING:
            message = f"account {account.id} is owed {owed}: book what is paid to it, or vosd payment add --type zero"
        raise MoneyLeftError(message)
    return balance


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
        raise AccountInUseError(
            f"calls of account {account_id} reserve {committed.reserved}, and {committed.unbooked} is not booked yet: "
            "try again when they have ended and are booked"
        )
