"""The use case that disputes a vendor's bill, and settles the dispute (docs/books.md)."""

from dataclasses import replace
from decimal import Decimal

import msgspec

from vosd.admin.office.bookings import for_account, refresh_balances
from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.payments import ManualBooking, WaitingSheet, book_by_hand, needs_second
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.reconciliations import (
    FOLLOWING,
    ReconciliationOrder,
    ReconciliationSheet,
    corrected_since,
    disputable_part,
    sheet_of,
)
from vosd.base.iso4217 import unit_of_currency
from vosd.base.money import Rounding, format_amount, round_to_unit
from vosd.billing.accounts import AccountType
from vosd.storage.disputes import DisputeState, StoredDispute
from vosd.storage.ledger_values import EARNED, EntryFilter
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.reconciliations import StoredReconciliation


class DisputeBill(ReconciliationOrder, frozen=True):
    """A dispute about a comparison: opened, or its state and amount changed."""

    state: DisputeState | None = None
    """State that it comes to; None = it stays, and a new one is open."""
    amount: Decimal | None = None
    """Amount that the vendor is asked to credit, at most its bill; None = it stays, of a new one all disputable."""
    reference: str | None = None
    """Reference of the vendor's credit note, and of its entry in the ledger; empty = none, None = it stays."""
    memo: str | None = None
    """A sentence for the letter; empty = none, None = it stays."""
    book: bool = False
    """Whether settling it books the amount on the account of the vendor: where the ledger has what is credited."""


@needs(Permission.BOOKS_CHANGE)
async def dispute_bill(office: Office, who: Principal, order: DisputeBill) -> ReconciliationSheet:
    """Open a dispute, or change its state and amount; an order that changes nothing leaves no line in the audit.

    Settling it books nothing by itself: the ledger has the calls at our own cost, never what the vendor asks above it.
    With ``book`` it books the amount as an adjustment of the vendor's account, in the same transaction and by the
    limits of payments: an amount above the limit of the principal waits for a second person. The dispute is
    ``accepted`` until that person has confirmed the payment and the order is given again, with ``book`` or without.

    Raises:
        PermissionLackingError: it would book money, and the principal may not.
        NoSuchReconciliationError: there is none of the number.
        OrderError: the state cannot follow the present one, its payment waits, or the amount is none, is more than the
            bill, or would be booked and is more than is disputable.
        DisputeMovedError: another person has changed it meanwhile.
        WasRefusedError: a second person has refused the payment.
        ReferenceTaken, OtherCurrency, UnknownAccountError: nothing was booked or changed.
    """
    stored = await office.stores.reconciliations.one(order.id)
    before = (await office.stores.reconciliations.disputes([order.id])).get(order.id)
    corrected = await corrected_since(office, stored)  # read before the change: else one that is made may seem to fail
    amount = order.amount
    if amount is not None and amount <= 0:
        raise OrderError("amount", f"is {format_amount(amount)}: it must be above zero")
    disputable = disputable_part(stored)
    if before is None:
        wanted = _opened(office, who, order, stored, disputable if amount is None else amount)
    else:
        wanted = _changed(office, who, order, before, amount)
    if before is None or wanted.amount != before.amount:
        _check_on_bill(stored, wanted.amount, disputable)
    line, settlement, waiting = office.audit_line(who, order, stored.account), None, None
    settles = wanted.state is DisputeState.SETTLED and (before is None or before.state is not wanted.state)
    if settles and not order.book:
        wanted = await _settled_unbooked(office, who, wanted, stored.since)
    elif settles:
        require(who, Permission.MONEY_BOOK)
        settlement = await _settlement(office, who, wanted, stored.since)
        is_booked = await office.stores.payments.earlier(settlement) is not None
        most = creditable(disputable, stored.currency)
        if wanted.amount > most and not is_booked:
            raise OrderError(
                "amount",
                f"is {format_amount(wanted.amount)}: no more is booked than is disputable, {format_amount(most)}",
                "vosd payment add books a credit for calls that agree",
            )
        wanted = msgspec.structs.replace(wanted, booked=settlement.amount)
        if needs_second(office, who, settlement.amount) and not is_booked:
            asked = await book_by_hand(office, who, _by_hand(settlement), line)
            if isinstance(asked, WaitingSheet):  # else a second person has confirmed it just now
                wanted, settlement, waiting = _agreed(wanted), None, asked.id
                line = line._replace(request=None)  # its key was kept with the payment, and is kept once
    if before is not None and before == msgspec.structs.replace(
        wanted, changed_at=before.changed_at, operator=before.operator
    ):
        wanted = before  # nothing was changed, and so neither was its time
    else:
        await office.stores.reconciliations.dispute(wanted, before, line, settlement)
        if settlement is not None:
            await refresh_balances(office.switch)
    return msgspec.structs.replace(sheet_of(stored, wanted), waiting=waiting, corrected=corrected)


def _check_on_bill(stored: StoredReconciliation, amount: Decimal, disputable: Decimal) -> None:
    # Credits in the file may make the bill less than its calls that differ.
    exact = max(stored.theirs, disputable)
    most = creditable(exact, stored.currency)
    if amount > most:
        given, bound, billed = map(format_amount, (amount, most, exact))
        raise OrderError("amount", f"is {given}: at most {bound}, for the vendor bills {billed}")


def creditable(exact: Decimal, currency: str | None) -> Decimal:
    """Round a sum of calls up as a bill or credit note may: no vendor writes parts of the smallest unit of money."""
    return round_to_unit(exact, unit_of_currency(currency or ""), Rounding.UP)


async def _settled_unbooked(office: Office, who: Principal, dispute: StoredDispute, since: int) -> StoredDispute:
    """Return a dispute that is settled and books nothing now: an entry that was confirmed before is its settlement.

    Raises:
        OrderError: its payment waits for a second person, who would confirm an entry that the dispute does not name.
        ReferenceTaken: that entry is of another amount.
    """
    entry = await _settlement(office, who, dispute, since)
    own = entry.account, entry.kind, entry.reference
    for each in await office.stores.waiting_payments.waiting():  # first: one that is confirmed meanwhile is booked then
        if (each.account, each.kind, each.reference) == own:
            remedy = f"vosd payment confirm {each.id}, or vosd payment refuse {each.id}"
            raise OrderError("state", f"cannot be settled: payment {each.id} waits for a second person", remedy)
    is_booked = await office.stores.payments.earlier(entry) is not None
    return msgspec.structs.replace(dispute, booked=entry.amount) if is_booked else dispute


async def _settlement(office: Office, who: Principal, dispute: StoredDispute, since: int) -> Payment:
    """Return the entry that settles a dispute: what the vendor credits. ``since`` is when the bill begins.

    The balance of a vendor falls by what its calls cost, so a credit raises it; that of a partner, which is paid for
    calls by its balance, falls. An account that is no longer configured is a partner where calls since then have
    raised its balance.
    """
    account = office.definitions.accounts().get(dispute.account)
    if account is None:
        earned = EntryFilter(account=dispute.account, since=since, kinds=(EARNED,))
        is_earning = await office.stores.ledger.are_more(earned, 0)
    else:
        is_earning = account.type is AccountType.PARTNER
    credit_note = f"credit note {dispute.reference} of dispute" if dispute.reference else "dispute"
    payment = Payment(
        account=dispute.account,
        kind=EntryKind.ADJUSTMENT,
        reference=dispute.settled_as,
        made_at=office.now(),
        amount=-dispute.amount if is_earning else dispute.amount,
        operator=who.recorded,
        memo=f"{credit_note} {dispute.reconciliation}",
    )
    return replace(payment, must_exist=True) if account is None else for_account(account, payment)


def _by_hand(payment: Payment) -> ManualBooking:
    return ManualBooking(
        account=payment.account, kind=payment.kind, amount=payment.amount, reference=payment.reference,
        memo=payment.memo,
    )  # fmt: skip


def _agreed(dispute: StoredDispute) -> StoredDispute:
    """Return a dispute that would be settled if its payment did not wait for a second person."""
    return msgspec.structs.replace(dispute, state=DisputeState.ACCEPTED, booked=None)


def _opened(
    office: Office, who: Principal, order: DisputeBill, stored: StoredReconciliation, amount: Decimal
) -> StoredDispute:
    if amount <= 0:
        raise OrderError("amount", "is missing: the vendor asks for no more than is booked here")
    now = office.now()
    return StoredDispute(
        reconciliation=stored.id,
        account=stored.account,
        state=order.state or DisputeState.OPEN,
        amount=amount,
        currency=stored.currency,
        reference=_noted(order.reference, None),
        memo=_noted(order.memo, None),
        opened_at=now,
        changed_at=now,
        operator=who.recorded,
    )


def _changed(
    office: Office, who: Principal, order: DisputeBill, before: StoredDispute, amount: Decimal | None
) -> StoredDispute:
    state = order.state or before.state
    if state is not before.state and state not in FOLLOWING[before.state]:
        raise OrderError("state", f"cannot be {state.value}: the dispute is {before.state.value}")
    if before.state is DisputeState.SETTLED and amount not in {None, before.amount}:
        raise OrderError(
            "amount", f"was settled with {format_amount(before.amount)}", "vosd payment add books the rest"
        )
    reference = _noted(order.reference, before.reference)
    if before.state is DisputeState.SETTLED and reference != (before.reference or None):
        raise OrderError("reference", "stays as it is: the dispute is settled")
    if before.state is DisputeState.SETTLED and order.state is not None and order.book and before.booked is None:
        raise OrderError(
            "book", "books nothing: the dispute was settled without an entry", "vosd payment add books one"
        )
    return msgspec.structs.replace(
        before,
        state=state,
        amount=before.amount if amount is None else amount,
        reference=reference,
        memo=_noted(order.memo, before.memo),
        changed_at=office.now(),
        operator=who.recorded,
    )


def _noted(given: str | None, before: str | None) -> str | None:
    """Return a note of a dispute as an order leaves it."""
    return (before if given is None else given) or None
