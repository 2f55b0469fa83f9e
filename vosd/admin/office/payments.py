"""Use cases of payments: money that does not come from calls, booked, moved, and confirmed by a second person."""

from decimal import Decimal
from enum import Enum
from typing import TypeVar
from uuid import uuid4

import msgspec

from vosd.admin.office.errors import OrderError
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.scope import Scope
from vosd.admin.payment_file import FilePayment, ImportedPayment, book_file
from vosd.admin.second_person import ByHand, PaymentOrder, Person, Receipts, WaitingSheet
from vosd.base.money import ZERO
from vosd.storage.audit_line import AuditLine
from vosd.storage.ports import EntryKind

Booking = TypeVar("Booking", "BookPayment", "MoveMoney")


class PaymentType(Enum):
    """Kind of a booking by hand."""

    PAYMENT = "payment"
    ADJUSTMENT = "adjustment"
    REFUND = "refund"
    ZERO = "zero"


class BookPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money for one account; an agent pays for an account below it from its own."""

    account: str
    amount: Decimal | None = None
    """Amount; a refund has the amount that is paid back. None for type zero alone."""
    type: PaymentType = PaymentType.PAYMENT
    reference: str | None = None
    """A reference that was used before books nothing again; None = a new one."""
    memo: str | None = None
    force: bool = False
    """For a refund: take what running calls hold, too."""

    def __post_init__(self) -> None:
        """Raise OrderError where the order makes no sense, whatever the state of the switch."""
        amount, kind = self.amount, self.type
        if (amount is None) != (kind is PaymentType.ZERO):
            raise OrderError("amount", "is needed, except with `type` zero, which takes none")
        if amount is not None and not amount:
            raise OrderError("amount", "0 books nothing")
        if kind is PaymentType.REFUND and amount is not None and amount < 0:
            raise OrderError("amount", "of a refund is what is paid back", "say it without a minus sign")
        if self.force and kind is not PaymentType.REFUND:
            raise OrderError("force", "is for `type` refund", "the others are booked whatever is left")
        _check_reference(self.reference)


async def book_payment(office: Office, who: Principal, order: BookPayment) -> Receipts | WaitingSheet:
    """Book a payment once, or have it wait for a second person; the running switch knows the balance afterwards.

    Raises:
        OrderError: it makes no sense, or is not for agents.
        OutOfScopeError, RightLackingError: the principal may not pay for the account.
        UnknownAccountError, ReferenceTaken, OtherCurrency, TooLittleLeft: nothing was booked.
        WasRefusedError: a second person has refused it before.
        DaemonUnreachableError, DaemonRefusedError: nothing was booked.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    scope = office.scope_of(who)
    if scope.agent is not None:
        _check_payment_of_agent(order, scope)
    amount = order.amount or ZERO
    if order.type is PaymentType.PAYMENT and amount < 0:
        remedy = "a correction is `type` adjustment, and what is paid back is `type` refund without a minus sign"
        raise OrderError("amount", "of a payment is what was received", remedy)
    scope.require_ledger(order.account)
    order = _referred(order)
    is_own = scope.agent in {None, order.account}
    wanted = PaymentOrder(
        account=order.account if is_own else str(scope.agent),
        kind=EntryKind(order.type.value) if is_own else EntryKind.TRANSFER,
        amount=-amount if order.type is PaymentType.REFUND else amount,
        reference=str(order.reference),
        memo=order.memo,
        target="" if is_own else order.account,
        forced=order.force,
    )
    return await _by_hand(office).book(wanted, _person(who), office.now(), office.audit_line(who, order, order.account))


def _check_payment_of_agent(order: BookPayment, scope: Scope) -> None:
    for field, is_given in (("type", order.type is not PaymentType.PAYMENT), ("force", order.force)):
        if is_given:
            raise OrderError(field, f"is not for agents, such as {scope.agent}")
    if order.amount is None or order.amount <= 0:
        raise OrderError("amount", "of an agent is above zero")


def _referred(order: Booking) -> Booking:
    """Return an order with a reference, by which its entry and its line in the audit belong together."""
    return order if order.reference is not None else msgspec.structs.replace(order, reference=str(uuid4()))


def _check_reference(reference: str | None) -> None:
    if reference == "":  # an unset variable of a script would book the payment again at each run
        raise OrderError("reference", "is empty", "leave it out for a payment that need not be repeatable")


class MoveMoney(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that is moved between two accounts of one currency; an agent moves from its own."""

    source: str
    target: str
    amount: Decimal
    reference: str | None = None
    """A reference that was used before moves nothing again; None = a new one."""
    memo: str | None = None
    force: bool = False
    """Take what running calls hold, too."""

    def __post_init__(self) -> None:
        """Raise OrderError where the order makes no sense, whatever the state of the switch."""
        if self.amount <= 0:
            raise OrderError("amount", "of a transfer is above zero", "`from` and `to` say its direction")
        if self.source == self.target:
            raise OrderError("to", "and `from` are the same account")
        _check_reference(self.reference)


async def move_money(office: Office, who: Principal, order: MoveMoney) -> Receipts | WaitingSheet:
    """Book both entries or none, once, or have them wait for a second person.

    Raises:
        OrderError: it makes no sense, or is not for agents.
        OutOfScopeError, RightLackingError: the principal may not pay for the target.
        UnknownAccountError, ReferenceTaken, OtherCurrency, TooLittleLeft: nothing was booked.
        WasRefusedError: a second person has refused it before.
        DaemonUnreachableError, DaemonRefusedError: nothing was booked.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    scope = office.scope_of(who)
    if scope.agent is not None:
        if order.force:
            raise OrderError("force", f"is not for agents, such as {scope.agent}")
        if order.source != scope.agent:
            raise OrderError("from", f"is the agent's own account, {scope.agent}", "it pays from no other one")
        scope.require_ledger(order.target)
    order = _referred(order)
    wanted = PaymentOrder(
        account=order.source,
        kind=EntryKind.TRANSFER,
        amount=order.amount,
        reference=str(order.reference),
        memo=order.memo,
        target=order.target,
        forced=order.force,
    )
    return await _by_hand(office).book(wanted, _person(who), office.now(), office.audit_line(who, order, order.source))


class ImportPayments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payments of a file of the bank; ``is_trial``: everything is checked, and nothing booked."""

    payments: tuple[FilePayment, ...]
    is_trial: bool = False


async def import_payments(office: Office, who: Principal, order: ImportPayments) -> list[ImportedPayment]:
    """Check all payments, then book them one by one; those above the limit wait for a second person.

    Raises:
        OperatorsOnlyError: an agent orders it.
        BadPaymentFile: a line cannot be booked; nothing was.
        WasRefusedError: a second person has refused one of them before.
        StoreUnavailable: some may be booked: import the same file again.
    """
    office.scope_of(who).require_operator()

    def line_of(each: FilePayment) -> AuditLine:
        booked = BookPayment(account=each.account, amount=each.amount, reference=each.reference, memo=each.memo)
        return office.audit_line(who, booked, each.account)

    stores = office.stores
    return await book_file(
        office.definitions.accounts(),
        stores.queries,
        stores.payments,
        office.switch,
        order.payments,
        by_hand=_by_hand(office),
        person=_person(who),
        now=office.now(),
        is_trial=order.is_trial,
        audit_of=line_of,
    )


class ListWaitingPayments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payments that wait for a second person."""


async def list_waiting_payments(office: Office, who: Principal, _order: ListWaitingPayments) -> list[WaitingSheet]:
    """Return them, the oldest first.

    Raises:
        OperatorsOnlyError: an agent asks.
        StoreUnavailable: try again.
    """
    office.scope_of(who).require_operator()
    return await _by_hand(office).waiting()


class ConfirmPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Book a payment that waits."""

    id: int


async def confirm_payment(office: Office, who: Principal, order: ConfirmPayment) -> Receipts:
    """Book it as it was asked for; the entry names both persons.

    Raises:
        OperatorsOnlyError: an agent orders it.
        OwnPaymentError: the principal has asked for it.
        NotWaiting: it does not wait.
        UnknownAccountError, OtherCurrency, TooLittleLeft, StoreUnavailable: it waits on.
    """
    office.scope_of(who).require_operator()
    line = office.audit_line(who, order, f"payment {order.id}")
    return await _by_hand(office).confirm(order.id, _person(who), office.now(), line)


class RefusePayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Refuse a payment that waits, or take back one's own."""

    id: int
    memo: str | None = None
    """Why; who asks again under the reference reads it."""


async def refuse_payment(office: Office, who: Principal, order: RefusePayment) -> WaitingSheet:
    """Refuse it.

    Raises:
        OperatorsOnlyError: an agent orders it.
        NotWaiting: it does not wait.
        StoreUnavailable: try again.
    """
    office.scope_of(who).require_operator()
    line = office.audit_line(who, order, f"payment {order.id}")
    return await _by_hand(office).refuse(order.id, _person(who), office.now(), order.memo, line)


def _person(who: Principal) -> Person:
    return Person(who.recorded, who.login)


def _by_hand(office: Office) -> ByHand:
    definitions = office.definitions
    return ByHand(definitions.accounts(), office.stores, office.switch, definitions.confirm_above)
