"""Use cases that issue, cancel and pay one invoice (docs/books.md)."""

from decimal import Decimal

import msgspec

from vosd.admin.office.configured_terms import ConfiguredTerms, encoded_document
from vosd.admin.office.invoices import (
    InvoiceOrder,
    InvoiceSheet,
    owed_for,
    paid_for,
    require_issued,
    scope_for_invoices,
    sheet_of_made,
    visible_invoice,
)
from vosd.admin.office.office import Office, needs
from vosd.admin.office.payments import BookPayment, Receipts, WaitingSheet, book_payment
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.base.errors import VosError
from vosd.base.money import ZERO
from vosd.cdr.columns import iso_utc
from vosd.invoicing.invoice import InvoiceDocument, taken_back
from vosd.invoicing.settlement import REFERENCE, is_paid, name_in_reference
from vosd.storage.invoices import CREDIT_NOTE, StoredInvoice, StoredState


class DraftEarlyError(VosError):
    """The draft was made before its period had ended: it lacks calls."""

    remedy = "make it again (vosd invoice run)"


class IssueInvoice(InvoiceOrder, frozen=True):
    """Issue a draft."""


class CancelInvoice(InvoiceOrder, frozen=True):
    """Take an issued invoice back by a credit note; its charges are on the next invoice again."""

    memo: str | None = None


class PayInvoice(InvoiceOrder, frozen=True):
    """Book a payment for one invoice."""

    amount: Decimal | None = None
    """Amount above zero; None = what is not paid of it yet."""
    reference: str | None = None
    """A reference that was used before books nothing again; None = one payment that has the number alone."""
    memo: str | None = None

    def __post_init__(self) -> None:
        if self.amount is not None and self.amount < ZERO:
            remedy = (
                "book what was returned as a refund of the account, whose reference begins with invoice/ and the number"
            )
            raise OrderError("amount", "of a payment for an invoice is what was received", remedy)


@needs(Permission.BOOKS_CHANGE)
async def issue_invoice(office: Office, who: Principal, order: IssueInvoice) -> InvoiceSheet:
    """Issue a draft: it gets its number, and never changes any more.

    Raises:
        NoSuchInvoiceError, InvoiceMovedError: there is no such draft, or it does not follow the last invoice any more.
        DraftEarlyError: its period had not ended when it was made.
        InvoiceAlteredError: its document was changed since.
        ClockAhead: the clock of this machine is ahead of the database's.
        OutcomeUnknown: it may be issued.
        StoreUnavailable: it is not.
    """
    draft = await office.stores.invoices.one(order.id)
    if draft.state is not StoredState.DRAFT:
        raise NotADraftError(f"invoice {draft.number} is issued already")
    if draft.made_at < draft.until:
        raise DraftEarlyError(f"draft #{draft.id} was made before {draft.period} was over")
    draft.check_document()
    plan = await ConfiguredTerms(office).plan(draft)
    made = await office.stores.invoices.issue(draft, plan, office.audit_line(who, order, draft.account))
    return await sheet_of_made(office, who, made)


class NotADraftError(VosError):
    """The invoice is issued already."""


@needs(Permission.BOOKS_CHANGE)
async def cancel_invoice(office: Office, who: Principal, order: CancelInvoice) -> InvoiceSheet:
    """Take the last invoice of an account back, and return the credit note; the ledger is not changed.

    Raises:
        NoSuchInvoiceError: there is none of the id.
        NotIssuedError: it is a draft, a credit note or cancelled.
        InvoiceAlteredError: its document was changed since.
        InvoiceMovedError: a later invoice of the account was issued: that one is to be cancelled first.
        ClockAhead: the clock of this machine is ahead of the database's.
        DroppedPeriod: calls or entries of its period were dropped, so it could not be made again.
        OutcomeUnknown: it may be cancelled.
        StoreUnavailable: it is not.
    """
    invoice = await office.stores.invoices.one(order.id)
    require_issued(invoice)
    invoice.check_document()
    taken = taken_back(msgspec.json.decode(invoice.document, type=InvoiceDocument))
    note = msgspec.structs.replace(
        invoice,
        id=0,
        kind=CREDIT_NOTE,
        state=StoredState.DRAFT,
        number=None,
        follows=None,
        cancels=invoice.id,
        net=-invoice.net,
        tax=-invoice.tax,
        made_at=office.now(),
        issued_at=None,
        due_at=None,
        sent_at=None,
        claimed_at=None,
        operator=who.recorded,
        document=encoded_document(taken),
    )
    plan = await ConfiguredTerms(office).plan(note)
    made = await office.stores.invoices.cancel(invoice, note, plan, office.audit_line(who, order, invoice.account))
    return await sheet_of_made(office, who, made)


@needs(Permission.MONEY_BOOK, by_account=True)
async def pay_invoice(office: Office, who: Principal, order: PayInvoice) -> Receipts | WaitingSheet:
    """Book a payment of an account for one of its invoices, or have it wait for a second person.

    Raises:
        NoSuchInvoiceError: there is none of the id, or the principal may not see it.
        NotIssuedError: it is a draft, a credit note or cancelled.
        OrderError: nothing of it is to be paid, and no amount is said; or it is open and needs a reference of its own.
        OutOfScopeError, RightLackingError, ReferenceTaken, OtherCurrency, TooLittleLeft: nothing was booked.
        DaemonUnreachableError, DaemonRefusedError: nothing was booked.
        StoreUnavailable: nothing was booked, as far as is known.
    """
    invoice = await visible_invoice(office, await scope_for_invoices(office, who), order.id)
    require_issued(invoice)
    amount = order.amount
    owed = [owed_for(each) for each in (await office.stores.invoices.owed([invoice.account]))[invoice.account]]
    named = name_in_reference(owed_for(invoice), [*owed, owed_for(invoice)])
    reference = f"{REFERENCE}{named}{f' {order.reference}' if order.reference else ''}"
    if amount is None:
        paid = (await paid_for(office, [invoice]))[invoice.id]
        amount = invoice.gross - paid
        if is_paid(invoice.gross, paid, invoice.currency):
            raise OrderError("amount", f"is missing: invoice {invoice.number} is paid")
    booked = BookPayment(account=invoice.account, amount=amount, reference=reference, memo=order.memo)
    done = await book_payment(office, who, booked, is_open_sum=order.amount is None, said=order.reference or None)
    is_repeated = done.repeated if isinstance(done, WaitingSheet) else done[0].repeated
    if is_repeated and not order.reference:
        paid = (await paid_for(office, [invoice]))[invoice.id]
        if not is_paid(invoice.gross, paid, invoice.currency):
            # The same reference books nothing: a second part, or one behind a payment that was returned, would be lost.
            raise await _second_without_reference(office, invoice, done)
    return done


async def _second_without_reference(
    office: Office, invoice: StoredInvoice, done: Receipts | WaitingSheet
) -> OrderError:
    number = invoice.number
    remedy = "if this is that payment, nothing is to be done"
    if isinstance(done, WaitingSheet):
        problem = f"is missing: a payment of {done.amount} without one waits for invoice {number} since {done.asked_at}"
        return OrderError("reference", problem, remedy)
    booked = done[-1]
    entry = None if booked.id is None else await office.stores.ledger.entry(booked.id)
    if entry is None:
        problem = f"is missing: invoice {number} had a payment of {booked.amount} without one, whose entry was dropped"
    else:
        at = iso_utc(entry.created_at)
        problem = f"is missing: invoice {number} had a payment of {booked.amount} without one at {at}"
    return OrderError("reference", problem, remedy)
