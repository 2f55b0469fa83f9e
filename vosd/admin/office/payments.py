"""Use cases of payments: money that does not come from calls, booked, moved, taken back, confirmed by another person.

An amount above the limit of the person (``billing.confirm_above``), in whatever currency, waits until another person
confirms it (ADR 95).
"""

import re
from asyncio import CancelledError
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import Final, TypeVar
from uuid import uuid4

import msgspec

from vosd.admin.agents import authority_of, recorded_as
from vosd.admin.ledger import known_standing
from vosd.admin.office.bookings import (
    PaymentReceipt,
    add_payment,
    decimals_exceeded,
    least_left,
    make_transfer,
    try_payment,
    try_transfer,
)
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.base.errors import VosError
from vosd.base.money import ZERO, AmountText, format_amount
from vosd.billing.accounts import Account, AccountType
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import OutcomeUnknown
from vosd.invoicing.settlement import REFERENCE, named_invoice, reference_of_undo, undone_entry
from vosd.storage.access import OF_TOKEN
from vosd.storage.audit_line import AuditLine
from vosd.storage.ledger_values import LedgerEntry
from vosd.storage.ports import (
    UNDONE_AS,
    EntryKind,
    MoneyTransfer,
    OtherCurrency,
    Payment,
    Settlement,
    TooLittleLeft,
    UndoneEntry,
    check_same_currency,
    other_ends,
)
from vosd.storage.waiting_values import WAITING, WaitingPayment

_CONFIRMED: Final = "confirmed"
_SECOND_PERSON: Final = re.compile(rf"({_CONFIRMED}) by .*?(?=: |\Z)", re.DOTALL)
_SECOND_PERSON_OF_TRANSFER: Final = re.compile(rf"(?:to|from) .*?: {_SECOND_PERSON.pattern}", re.DOTALL)
"""Such a memo begins with the account at the other end, whose name may have a colon."""

Booking = TypeVar("Booking", "BookPayment", "MoveMoney")


class NoSuchPaymentError(VosError):
    """No entry that was booked by hand has the number."""


class OwnPaymentError(VosError):
    """The person who has asked for a payment cannot confirm it."""


class AskerMayNotError(VosError):
    """The agent that has asked for a payment may not order it any more."""

    remedy = "refuse it"


class AboveLimitError(VosError):
    """The amount needs a second person, and this kind of booking does not wait for one."""


class WasRefusedError(VosError):
    """A second person has refused the payment."""


class ManualBooking(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be booked by hand."""

    account: str
    """Account of the payment; of a transfer the one that pays."""
    kind: EntryKind
    amount: Decimal = ZERO
    """As the ledger gets it: a refund is below zero. Of a transfer what is moved; ``ZERO`` has none."""
    at_most: Decimal | None = None
    """Most that ``ZERO`` books, with its sign; None = any."""
    reference: str
    memo: str | None = None
    target: str = ""
    """The account that gets a transfer."""
    forced: bool = False
    """Take what running calls hold, too."""
    is_trial: bool = False
    """Book nothing, and have nothing wait."""


class WaitingSheet(msgspec.Struct, frozen=True):
    """A payment that waits for a second person; money and times as text."""

    id: int
    """Number of the payment; 0 in a trial."""
    account: str
    target: str | None
    """Account that gets the money of a transfer; None = it is no transfer."""
    type: str
    """Type of the payment."""
    amount: AmountText
    reference: str
    memo: str | None
    asked_by: str
    """Name of the person who has ordered it."""
    asked_at: str
    """Time of the order, RFC 3339."""
    currency: str | None
    """Currency in which it was asked for; None = the account has none any more."""
    repeated: bool = False
    """The reference was asked for before: nothing more waits now."""


Receipts = tuple[PaymentReceipt, ...]
"""Entries that were booked; a transfer has two: source and target."""


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
    """Amount; a refund has the amount that is paid back. Type zero alone has none. Below zero, a payment takes back one
    that was booked; ``adjustment`` and ``refund`` say why money is taken."""
    type: PaymentType = PaymentType.PAYMENT
    """Type of the payment."""
    reference: str | None = None
    """A reference that was used before books nothing again; None = a new one."""
    memo: str | None = None
    force: bool = False
    """For a refund: take what running calls hold, too."""
    is_trial: bool = False
    """Say what would be booked, and book nothing."""

    def __post_init__(self) -> None:
        amount, kind = self.amount, self.type
        if (amount is None) != (kind is PaymentType.ZERO):
            raise OrderError("amount", "is needed, except with `type` zero, which takes none")
        if amount is not None and not amount:
            raise OrderError("amount", "0 books nothing")
        if kind is PaymentType.REFUND and amount is not None and amount < 0:
            raise OrderError("amount", "of a refund is what is paid back", "say it without a minus sign")
        _check_reference(self.reference)


@needs(Permission.MONEY_BOOK, by_account=True)
async def book_payment(
    office: Office, who: Principal, order: BookPayment, *, is_open_sum: bool = False, said: str | None = ""
) -> Receipts | WaitingSheet:
    """Book a payment once, or have it wait for a second person; the running switch knows the balance afterwards.

    A payment or refund has no more decimals than the money of its account; ``is_open_sum``: it is what an invoice asks
    for, and has as many as that. ``said``: the reference by which its sender orders it again; None = without one, empty
    = that of the entry.

    Raises:
        OrderError: it makes no sense, has too many decimals, or is not for agents.
        UnknownAccountError, ReferenceTaken, OtherCurrency, TooLittleLeft: nothing was booked.
        WasRefusedError: a second person has refused it before.
        DaemonUnreachableError, DaemonRefusedError: nothing was booked.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    scope = office.scope_of(who)
    if scope.agent is not None:
        _check_payment_of_agent(order, scope)
    elif order.force and order.type is not PaymentType.REFUND:  # agents must not read that others are booked anyway
        raise OrderError("force", "is for `type` refund", "the others are booked whatever is left")
    amount = order.amount or ZERO
    scope.require_ledger(order.account)
    order = _referred(order)
    wanted = _by_hand(scope, order, amount)
    has_decimals = not is_open_sum and order.type in {PaymentType.PAYMENT, PaymentType.REFUND}
    is_checked = has_decimals or named_invoice(wanted.reference)
    if is_checked and not await _is_repeat(office, who, wanted):  # which is answered as the first order was
        if has_decimals:
            check_decimals(office, (await payees(office, [order.account])).get(order.account), amount)
        await check_invoice(office, order.account, wanted.reference)
    with _repeatable(wanted.reference if said == "" else said):
        return await book_by_hand(office, who, wanted, office.audit_line(who, order, order.account))


def _by_hand(scope: Scope, order: BookPayment, amount: Decimal) -> ManualBooking:
    is_own = scope.agent in {None, order.account}
    return ManualBooking(
        account=order.account if is_own else str(scope.agent),
        kind=EntryKind(order.type.value) if is_own else EntryKind.TRANSFER,
        amount=-amount if order.type is PaymentType.REFUND else amount,
        reference=str(order.reference),
        memo=order.memo,
        target="" if is_own else order.account,
        forced=order.force,
        is_trial=order.is_trial,
    )


async def faults_of(
    office: Office, who: Principal, orders: Sequence[BookPayment], faults_max: int
) -> list[VosError | None]:
    """Return for each payment that is booked later why it will not be; None = nothing is known that is against it.

    One that was booked before has any decimals. After ``faults_max`` faults, none with more is looked for among those
    that wait: each search reads the database.

    Raises:
        StoreUnavailable: whether they were booked is not known.
    """
    scope, now = office.scope_of(who), office.now()
    accounts = await payees(office, [order.account for order in orders])
    by_hand = [_by_hand(scope, order, order.amount or ZERO) for order in orders]
    earlier = await office.stores.payments.earlier_of([_first_entry(each, who, now) for each in by_hand])
    faults: list[VosError | None] = [each if isinstance(each, VosError) else None for each in earlier]
    wrong = await misnamed(
        office, [(each.account, wanted.reference) for each, wanted in zip(orders, by_hand, strict=True)]
    )
    count = len(faults) - faults.count(None)
    for place, (order, wanted) in enumerate(zip(orders, by_hand, strict=True)):
        if earlier[place] is not None:
            continue
        try:
            check_decimals(office, accounts.get(order.account), order.amount or ZERO)
            if (fault := wrong[place]) is not None:
                raise fault
        except OrderError as error:
            if count > faults_max or not await _has_waited(office, who, wanted):
                faults[place] = error
                count += 1
    return faults


async def payees(office: Office, names: Collection[str]) -> dict[str, Account]:
    """Return the accounts of payments by name; of one that is no longer configured the currency of its money alone."""
    accounts = office.definitions.accounts()
    found = {name: account for name in names if (account := accounts.get(name)) is not None}
    removed = [name for name in names if name not in found]
    if removed:
        currencies = (await office.stores.books.standings_of(removed)).currencies
        found |= {name: Account(name, AccountType.DIRECT, None, ZERO, code) for name, code in currencies.items()}
    return found


def check_decimals(office: Office, account: Account | None, amount: Decimal) -> None:
    """Raise OrderError where a payment has more decimals than the money of its account; None = it has had none."""
    if account is None or (places := decimals_exceeded(office.definitions, account, amount)) is None:
        return
    shown = format_amount(amount)
    raise OrderError("amount", f"{shown} has more decimals than {account.currency} of account {account.id}: {places}")


async def check_invoice(office: Office, account: str, reference: str) -> None:
    """Raise OrderError where a reference names an invoice that its account does not have."""
    (fault,) = await misnamed(office, [(account, reference)])
    if fault is not None:
        raise fault


async def misnamed(office: Office, references: Sequence[tuple[str, str]]) -> list[OrderError | None]:
    """Return an error for each account and reference that names an invoice which the account does not have.

    An account without any may be invoiced by other software.
    """
    named = [(account, named_invoice(reference)) for account, reference in references]
    accounts = {account for account, name in named if name}
    names = await office.stores.invoices.names_of(accounts) if accounts else {}
    remedy = f"correct the number; one that does not begin with {REFERENCE} pays the oldest invoice"
    return [
        OrderError("reference", f"names invoice {name}, and account {account} has none of that number", remedy)
        if name and names[account] and name not in names[account]
        else None
        for account, name in named
    ]


def _check_payment_of_agent(order: BookPayment, scope: Scope) -> None:
    for field, is_given in (("type", order.type is not PaymentType.PAYMENT), ("force", order.force)):
        if is_given:
            raise OrderError(field, f"is not for agents, such as {scope.agent}")
    if order.amount is None or order.amount <= 0:
        raise OrderError("amount", "of an agent is above zero")


def _referred(order: Booking) -> Booking:
    """Return an order with a reference, by which its entry and its line in the audit belong together."""
    return order if order.reference is not None else msgspec.structs.replace(order, reference=str(uuid4()))


@contextmanager
def _repeatable(reference: str | None) -> Iterator[None]:
    """Say by which reference a booking is ordered again that may have been made; its sender may have given none.

    None = it follows from the rest of the order. A request that is given up says the note of what has ended it.
    """
    remedy = "it is not known whether it was booked: order the same again, by which it is booked once"
    if reference is not None:
        remedy = (
            f"it is not known whether it was booked: order the same again under the reference {reference}, by which it"
            " is booked once"
        )
    try:
        yield
    except OutcomeUnknown as error:
        error.remedy = remedy
        raise
    except CancelledError as error:
        error.add_note(remedy)
        raise


def _check_reference(reference: str | None) -> None:
    if reference is not None and undone_entry(reference) is not None:
        raise OrderError("reference", "is one by which a payment is undone", "undo that payment, or say another one")
    if reference == "":  # an unset variable of a script would book the payment again at each run
        raise OrderError("reference", "is empty", "leave it out for a payment that need not be repeatable")
    if reference is not None and reference != reference.strip():  # one that was copied would be booked a second time
        raise OrderError("reference", "begins or ends with a blank", "take the blank away")


class MoveMoney(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that is moved between two accounts of one currency; an agent moves from its own."""

    source: str
    """Account that gives the money."""
    target: str
    """Account that gets the money."""
    amount: Decimal
    """Amount above zero, as text."""
    reference: str | None = None
    """A reference that was used before moves nothing again; None = a new one."""
    memo: str | None = None
    force: bool = False
    """Take what running calls hold, too."""
    is_trial: bool = False
    """Say what would be moved, and move nothing."""

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise OrderError("amount", "of a transfer is above zero", "`from` and `to` say its direction")
        if self.source == self.target:
            raise OrderError("to", "and `from` are the same account")
        _check_reference(self.reference)


@needs(Permission.MONEY_BOOK, by_account=True)
async def move_money(office: Office, who: Principal, order: MoveMoney) -> Receipts | WaitingSheet:
    """Book both entries or none, once, or have them wait for a second person.

    Raises:
        OrderError: it makes no sense, names an invoice that the target does not have, or is not for agents.
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
    wanted = ManualBooking(
        account=order.source,
        kind=EntryKind.TRANSFER,
        amount=order.amount,
        reference=str(order.reference),
        memo=order.memo,
        target=order.target,
        forced=order.force,
        is_trial=order.is_trial,
    )
    if named_invoice(wanted.reference) and not await _is_repeat(office, who, wanted):
        await check_invoice(office, order.target, wanted.reference)
    with _repeatable(wanted.reference):
        return await book_by_hand(office, who, wanted, office.audit_line(who, order, order.source))


class UndoPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take back a payment, adjustment, refund, zeroing or transfer that was booked by mistake."""

    id: int
    """Number of its entry in the ledger; of a transfer that of either entry."""
    memo: str | None = None
    """Why."""


@needs(Permission.MONEY_BOOK)
async def undo_payment(office: Office, who: Principal, order: UndoPayment) -> Receipts | WaitingSheet:
    """Book the reverse of an entry once, whatever is left, or have it wait for a second person; of a transfer of both.

    The validity that the payment has extended is as before, unless it was changed since. A dispute that it has settled
    is open again.

    Raises:
        NoSuchPaymentError: no entry that was booked by hand has the number.
        OrderError: it is an undo, one of nothing, or half of a transfer whose other entry was dropped.
        WasRefusedError: a second person has refused to undo it.
        OtherCurrency, StoreUnavailable: nothing was booked, as far as is known.
    """
    entry = await office.stores.ledger.entry(order.id)
    kind = None if entry is None else UNDONE_AS.get(EntryKind(entry.kind))
    if entry is None or kind is None:
        raise NoSuchPaymentError(f"no payment has the number {order.id}: the ledger of an account lists them")
    if undone_entry(entry.reference) is not None:
        raise OrderError("id", "takes back another payment", "book that one anew, under another reference")
    if not entry.amount:
        raise OrderError("id", "has moved no money")
    amount, undone, target = -entry.amount, entry, ""
    if kind is EntryKind.TRANSFER:
        other = await office.stores.ledger.other_half(entry)
        if other is None:
            raise OrderError("id", "is a transfer whose other entry is in an archive", "move the money back by another")
        gave, undone = sorted((entry, other), key=lambda each: each.amount)
        amount, target = undone.amount, gave.account
    said = f"takes back {entry.kind} {entry.reference}"
    wanted = ManualBooking(
        account=undone.account,
        kind=kind,
        amount=amount,
        reference=reference_of_undo(undone.reference, undone.id),
        memo=f"{said}: {order.memo}" if order.memo else said,
        target=target,
    )
    return await book_by_hand(office, who, wanted, office.audit_line(who, order, entry.account))


class ListWaitingPayments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payments that wait for a second person."""


@needs(Permission.MONEY_SEE)
async def list_waiting_payments(office: Office, who: Principal, _order: ListWaitingPayments) -> list[WaitingSheet]:
    """Return them, the oldest first."""
    return await _sheets(office, await office.stores.waiting_payments.waiting())


class ConfirmPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Book a payment that waits."""

    id: int


@needs(Permission.MONEY_BOOK)
async def confirm_payment(office: Office, who: Principal, order: ConfirmPayment) -> Receipts:
    """Book it as it was asked for; the entry names both persons. A ``zero`` books at most the amount that is listed.

    Raises:
        OwnPaymentError: the principal has asked for it, or one and the same person is behind both.
        NotWaiting: it does not wait.
        AskerMayNotError: an agent has asked for it, and has lost the right or the account since; it waits on.
        UnknownAccountError, OtherCurrency, TooLittleLeft, BalanceMoved, StoreUnavailable: it waits on.
    """
    asked = await office.stores.waiting_payments.find(order.id)
    if who.person == await _person_behind(office, asked.login) or who.recorded == asked.operator:
        raise OwnPaymentError(
            f"payment {order.id} was asked for by {asked.operator} ({asked.login}): another person confirms it; "
            "a token counts as the person who has made it"
        )
    _check_asker(office, asked)
    confirmed, is_zero = f"{_CONFIRMED} by {who.recorded}", asked.kind is EntryKind.ZERO
    wanted = ManualBooking(
        account=asked.account, kind=asked.kind, reference=asked.reference, target=asked.target, forced=asked.forced,
        amount=ZERO if is_zero else asked.amount, at_most=asked.amount if is_zero else None,
        memo=f"{confirmed}: {asked.memo}" if asked.memo else confirmed,
    )  # fmt: skip
    account = office.definitions.accounts().get(asked.account)
    if account is not None and asked.currency not in {None, account.currency}:
        raise OtherCurrency(
            f"payment {order.id} was asked for in {asked.currency}, the configuration says {account.currency} for "
            f"account {account.id}: set its currency back, or refuse the payment and order it anew"
        )
    settles = Settlement(order.id, who.recorded, office.now())
    line = office.audit_line(who, order, f"payment {order.id}")
    try:
        return await _book(office, wanted, asked.operator, settles, line)
    except TooLittleLeft as error:  # it is confirmed as it was asked for, and that was without `force`
        raise TooLittleLeft(error.said, "refuse it, and order another one with `force`") from error


def _check_asker(office: Office, asked: WaitingPayment) -> None:
    """Raise AskerMayNotError where an agent may not order any more what it has asked for: it has waited for days."""
    accounts, agent = office.definitions.accounts(), asked.account
    if asked.operator != recorded_as(agent):
        return
    try:
        authority = authority_of(accounts, office.definitions.hierarchy(), agent, was_agent=True)
        authority.require_ledger(asked.target or agent)
    except VosError as error:
        message = f"payment {asked.id} was asked for by agent {agent}, which may not order it any more: {error}"
        raise AskerMayNotError(message) from error


async def _person_behind(office: Office, login: str) -> str:
    """Return what ``Principal.person`` was of a login."""
    if not login.startswith(OF_TOKEN):
        return login
    line = await office.stores.access.line_of(login.removeprefix(OF_TOKEN))
    return line.makers[-1] if line is not None and line.makers else login


def without_second_person(kind: str, memo: str) -> str:
    """Return the memo of an entry of a kind without the name of the person who confirmed it."""
    pattern = _SECOND_PERSON_OF_TRANSFER if kind == EntryKind.TRANSFER.value else _SECOND_PERSON
    found = pattern.match(memo)
    return memo if found is None else memo[: found.end(1)] + memo[found.end() :]


def without_unseen_account(kind: str, memo: str, accounts: Container[str], sees: Callable[[str], bool]) -> str:
    """Return the memo of an entry without the account at the other end of a transfer, unless its reader sees that."""
    if kind != EntryKind.TRANSFER.value:
        return memo
    ends = other_ends(memo)
    end = next((each for each in reversed(ends) if each in accounts), ends[0])
    return memo if sees(end) else memo.partition(" ")[2][len(end) :].removeprefix(": ")


class RefusePayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Refuse a payment that waits, or take back one's own."""

    id: int
    memo: str | None = None
    """Why; who asks again under the reference reads it."""


@needs(Permission.MONEY_BOOK)
async def refuse_payment(office: Office, who: Principal, order: RefusePayment) -> WaitingSheet:
    """Refuse it; raises NotWaiting where it does not wait."""
    waiting = office.stores.waiting_payments
    asked = await waiting.find(order.id)
    (sheet,) = await _sheets(office, [asked])
    line = office.audit_line(who, order, f"payment {order.id}")
    await waiting.refuse(order.id, who.recorded, office.now(), order.memo, line)
    return sheet


async def book_by_hand(
    office: Office, who: Principal, wanted: ManualBooking, audit: AuditLine
) -> Receipts | WaitingSheet:
    """Book money, or have it wait where it is above the limit; of a trial nothing is kept.

    A repeat of a booking books nothing, and one of a payment that waits returns it again.

    Raises:
        WasRefusedError: it was refused before.
        UnknownAccountError, ReferenceTaken, OtherCurrency, TooLittleLeft, StoreUnavailable: as ``add_payment``.
        BalanceMoved: a ``zero`` is above the limit now; order it again.
    """
    accounts, stores, now = office.definitions.accounts(), office.stores, office.now()
    amount = wanted.amount
    if wanted.kind is EntryKind.ZERO:
        standing = await known_standing(lambda: accounts, stores.queries, wanted.account)
        amount, limit = ZERO if standing is None else -standing.balance, alone_at_most(office, who)
        wanted = msgspec.structs.replace(wanted, at_most=None if limit is None else limit.copy_sign(amount))
    if not needs_second(office, who, amount) or await _is_booked(office, who, wanted):
        try:
            return await _book(office, wanted, who.recorded, None, audit)
        except TooLittleLeft as error:
            if office.scope_of(who).agent is None:
                raise
            raise TooLittleLeft(error.said) from error  # agents cannot force it
    ends = [*filter(None, (wanted.account, wanted.target))]
    for name in ends:
        await known_standing(lambda: accounts, stores.queries, name)
    those = await payees(office, ends)
    currencies = {name: each.currency for name, each in those.items()}
    if len({*currencies.values()}) > 1:  # while it waits, both accounts are held in one
        check_same_currency(_transfer(wanted, who.recorded, now, None, None), *map(currencies.get, ends))
    waiting = WaitingPayment(
        0, wanted.account, wanted.target, wanted.kind, wanted.reference, amount, wanted.forced, wanted.memo,
        who.recorded, who.login, now, currency=currencies.get(wanted.account),
    )  # fmt: skip
    asked, is_repeated = await stores.waiting_payments.ask(waiting, audit, is_trial=wanted.is_trial)
    if asked.state != WAITING:
        decided_by = office.scope_of(who).shown_operator(asked.decided_by or "")
        remedy = "book an adjustment" if undone_entry(asked.reference) is not None else "give another reference"
        raise WasRefusedError(
            f"reference {asked.reference} of account {asked.account} was refused by {decided_by}"
            f"{f': {asked.reason}' if asked.reason else ''}; {remedy}"
        )
    return msgspec.structs.replace(_sheet(asked, those.get(asked.account)), repeated=is_repeated)


def needs_second(office: Office, who: Principal, amount: Decimal) -> bool:
    """Return whether an amount is more than this person books alone."""
    limit = alone_at_most(office, who)
    return limit is not None and abs(amount) > limit


def alone_at_most(office: Office, who: Principal) -> Decimal | None:
    """Return the highest amount that a person books alone, and a token no more than those who have made it.

    None = any.
    """
    limits = map(office.definitions.confirm_above, (who.login, *who.makers))
    return min((limit for limit in limits if limit is not None), default=None)


def waiting_of(payment: Payment, who: Principal) -> WaitingPayment:
    """Return a payment of a principal as it waits for a second person."""
    return WaitingPayment(
        0, payment.account, "", payment.kind, payment.reference, payment.amount, False, payment.memo,
        who.recorded, who.login, payment.made_at, currency=payment.currency,
    )  # fmt: skip


async def _is_repeat(office: Office, who: Principal, wanted: ManualBooking) -> bool:
    return await _is_booked(office, who, wanted) or await _has_waited(office, who, wanted)


async def _has_waited(office: Office, who: Principal, wanted: ManualBooking) -> bool:
    if not needs_second(office, who, wanted.amount):  # it would be booked now, whatever waits
        return False
    return await office.stores.waiting_payments.was_asked(wanted.account, wanted.kind, wanted.reference)


async def _is_booked(office: Office, who: Principal, wanted: ManualBooking) -> bool:
    return await office.stores.payments.earlier(_first_entry(wanted, who, office.now())) is not None


def _first_entry(wanted: ManualBooking, who: Principal, now: int) -> Payment:
    """Return the payment, of a transfer that of its source."""
    if wanted.target:
        return _transfer(wanted, who.recorded, now, None, None).payments[0]
    return _payment(wanted, who.recorded, now, None, None)


async def _book(
    office: Office, wanted: ManualBooking, operator: str, settles: Settlement | None, audit: AuditLine
) -> Receipts:
    accounts, stores, now = office.definitions.accounts(), office.stores, office.now()
    entry = await _undone(office, wanted)
    undone = None if entry is None else UndoneEntry(entry.reference, entry.created_at, EntryKind(entry.kind))
    least = None
    if not wanted.forced and undone is None and wanted.kind in {EntryKind.REFUND, EntryKind.TRANSFER}:
        overrides = (await stores.overrides.load()).at(now)
        least = least_left(accounts, overrides, wanted.account)
    if wanted.target:
        transfer = replace(_transfer(wanted, operator, now, least, settles), audit=audit)
        target = accounts.get(wanted.target)
        if target is not None and operator == recorded_as(wanted.account):  # for the target it is a payment
            days, expiry = target.payment_extends_days, target.expires_at
            transfer = replace(transfer, extends_days=days, configured_expiry=expiry)
        elif entry is not None:
            other, source = await stores.ledger.other_half(entry), accounts.get(wanted.account)
            transfer = replace(
                transfer,
                undoes=undone,
                target_reference=None if other is None else reference_of_undo(other.reference, other.id),
                configured_expiry=None if source is None else source.expires_at,
            )
        move = try_transfer if wanted.is_trial else make_transfer
        return await move(accounts, stores.payments, office.switch, transfer)
    payment = replace(_payment(wanted, operator, now, least, settles), audit=audit, undoes=undone)
    book = try_payment if wanted.is_trial else add_payment
    return (await book(accounts, stores.payments, office.switch, payment),)


async def _undone(office: Office, wanted: ManualBooking) -> LedgerEntry | None:
    """Return the entry that a booking takes back, by its reference: what has waited knows no more of it.

    Of a transfer it is the entry of the account that has got the money.
    """
    number = undone_entry(wanted.reference)
    entry = None if number is None else await office.stores.ledger.entry(number)
    amount = wanted.amount if wanted.target else -wanted.amount
    return entry if entry is not None and (entry.account, entry.amount) == (wanted.account, amount) else None


def _payment(
    order: ManualBooking, operator: str, now: int, least: Decimal | None, settles: Settlement | None
) -> Payment:
    return Payment(
        account=order.account, kind=order.kind, reference=order.reference, made_at=now, amount=order.amount,
        at_most=order.at_most, operator=operator, memo=order.memo, least_left=least, settles=settles,
    )  # fmt: skip


def _transfer(
    order: ManualBooking, operator: str, now: int, least: Decimal | None, settles: Settlement | None
) -> MoneyTransfer:
    return MoneyTransfer(
        source=order.account, target=order.target, amount=order.amount, reference=order.reference, made_at=now,
        operator=operator, memo=order.memo, least_left=least, settles=settles,
    )  # fmt: skip


async def _sheets(office: Office, asked: Sequence[WaitingPayment]) -> list[WaitingSheet]:
    accounts = await payees(office, {each.account for each in asked})
    return [_sheet(each, accounts.get(each.account)) for each in asked]


def _sheet(asked: WaitingPayment, account: Account | None) -> WaitingSheet:
    return WaitingSheet(
        asked.id, asked.account, asked.target or None, asked.kind.value, format_amount(asked.amount), asked.reference,
        asked.memo, asked.operator, iso_utc(asked.asked_at),
        asked.currency or (None if account is None else account.currency),
    )  # fmt: skip
