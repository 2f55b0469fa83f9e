"""Use cases that show invoices (docs/books.md)."""

from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.admin.invoice_pdf import form_of, printed
from vosd.admin.names import check_account
from vosd.admin.office.agent_objects import agent_of
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import Permission, Principal, Scope
from vosd.admin.typesetting import printed_beside
from vosd.base.csv_text import csv_of
from vosd.base.errors import VosError
from vosd.base.money import ZERO, AmountText, format_amount
from vosd.billing.authority import NoAgentError
from vosd.billing.rights import Right
from vosd.catalogue.stored_objects import in_force_at
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import OutcomeUnknown, StoreUnavailable
from vosd.cdr.shown import shown_as
from vosd.invoicing.invoice import InvoiceDocument
from vosd.invoicing.periods import period_of
from vosd.invoicing.settlement import InvoiceState, Owed, paid_of, state_of
from vosd.storage.invoices import (
    CREDIT_NOTE,
    INVOICE,
    InvoiceFilter,
    InvoicesSeen,
    NoSuchInvoiceError,
    StoredInvoice,
    StoredState,
)

if TYPE_CHECKING:
    from vosd.storage.stores import SqlStores

LISTED_MAX: Final = 1_000
_STORED: Final = {InvoiceState.DRAFT: StoredState.DRAFT, InvoiceState.CANCELLED: StoredState.CANCELLED}
_KINDS: Final = {
    InvoiceState.ISSUED: CREDIT_NOTE, InvoiceState.PAID: INVOICE, InvoiceState.OPEN: INVOICE,
    InvoiceState.PART_PAID: INVOICE, InvoiceState.OVERDUE: INVOICE,
}  # fmt: skip
"""Kinds of the invoices that states are of; the others are of both."""
CALL_COLUMNS: Final = (
    "call_id", "ended_at", "caller", "callee", "area", "prefix", "billed_seconds", "net", "tax", "gross", "kind",
    "started_at", "answered_at", "hold_time_s",
)  # fmt: skip


class NotIssuedError(VosError):
    """The order is for issued invoices that are not cancelled."""


class InvoiceSheet(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or a credit note; money as text, times are RFC 3339."""

    id: int
    """Id among all invoices, drafts included."""
    number: str | None
    """Number; null while it is a draft."""
    kind: str
    """``invoice`` or ``credit_note``."""
    state: InvoiceState
    """State by what is paid now."""
    account: str
    """Account that is to pay."""
    issuer: str
    """Account of the agent that issues it; empty = the installation."""
    period: str
    """Period, such as 2026-10."""
    since: str
    """First moment of the period, RFC 3339."""
    until: str
    """First moment behind the period, RFC 3339."""
    currency: str
    net: AmountText
    """Amount without tax, as text."""
    tax: AmountText
    gross: AmountText
    """Amount with tax, as text."""
    paid: AmountText
    """Amount that is paid of it, as text."""
    opening: AmountText
    """Balance of the account before, as text."""
    closing: AmountText
    """Balance of the account behind, as text."""
    issued_at: str | None
    """Time of issue; null while it is a draft."""
    due_at: str | None
    """Time from which it is overdue unless it is paid; null of drafts, cancelled invoices and credit notes."""
    due_on: str | None
    """Last day on which it is paid in time, as it is printed; null while it is a draft, and of a credit note."""
    sent_at: str | None
    """Time at which it was mailed last; null = it was not."""
    cancels: int | None
    """Id of the invoice that a credit note takes back; null = it is an invoice."""
    digest: str
    """SHA-256 of the document; of an issued invoice it never changes."""
    operator: str


class CreditNoteName(msgspec.Struct, frozen=True, kw_only=True):
    """A credit note by its id and number."""

    id: int
    """Id among all invoices."""
    number: str
    """Number of the credit note."""


class InvoiceDetail(InvoiceSheet, frozen=True, kw_only=True):
    """An invoice with its document."""

    document: InvoiceDocument
    """Contents, as they are printed."""
    credit_note: CreditNoteName | None
    """Credit note that takes it back; null = none does."""


class InvoiceOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One invoice."""

    id: int


class ShowInvoice(InvoiceOrder, frozen=True):
    """An invoice with its document, and what is paid of it."""


class PrintInvoice(InvoiceOrder, frozen=True):
    """The printed form of an invoice."""


class ReadInvoicedCalls(InvoiceOrder, frozen=True):
    """The calls that an invoice is about."""


class FindInvoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The invoice of a number."""

    number: str
    """Number, or ``#`` and the id."""


class ListInvoices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Invoices and credit notes, the newest first unless ``oldest_first``; all given criteria must hold."""

    account: str | None = None
    """None = all that the principal may see."""
    state: InvoiceState | None = None
    """State, by what is paid now; None = any."""
    period: str | None = None
    """Period, such as 2026-10; None = any."""
    number: str | None = None
    """The whole number; an agent may have issued one with the number of another one."""
    after: int | None = None
    """Invoices that are listed after the one with this id."""
    oldest_first: bool = False
    """Whether the invoice that was made first comes first."""
    limit: int | None = None
    """None = all."""

    def __post_init__(self) -> None:
        if self.period is not None:
            period_of(self.period)


def require_issued(invoice: StoredInvoice) -> None:
    """Raise NotIssuedError unless it is an issued invoice."""
    if invoice.kind == INVOICE and invoice.state is StoredState.ISSUED:
        return
    said = "a draft" if invoice.state is StoredState.DRAFT else "a credit note"
    if invoice.state is StoredState.CANCELLED:
        said = "cancelled"
    raise NotIssuedError(f"invoice {invoice.number or f'#{invoice.id}'} is {said}")


@needs(Permission.MONEY_SEE, by_account=True)
async def list_invoices(office: Office, who: Principal, order: ListInvoices) -> list[InvoiceSheet]:
    """Return invoices and credit notes; agents and customers see issued ones alone (``InvoicesSeen``).

    Raises:
        UnknownNameError: nothing fits, and the account is unknown.
    """
    scope = await scope_for_invoices(office, who)
    if order.account is not None:
        scope.require_ledger(order.account)
    seen = await _seen(office, scope)
    sheets: list[InvoiceSheet] = []
    paid: dict[int, Decimal] = {}
    after = order.after
    while order.limit is None or len(sheets) < order.limit:
        page = InvoiceFilter(
            order.account, seen, period=order.period, after=after, oldest_first=order.oldest_first, limit=LISTED_MAX,
            drafts=seen is None, number=order.number, state=None if order.state is None else _STORED.get(order.state),
            kind=None if order.state is None else _KINDS.get(order.state), due=_due(order.state, office.now()),
        )  # fmt: skip
        found = await office.stores.invoices.list(page)
        paid |= await paid_for(office, [each for each in found if each.id not in paid])
        made = _shown(office, scope, found, paid)
        wanted = [each for each in made if order.state in {None, each.state}]
        sheets += await _with_due_days(office, wanted[: None if order.limit is None else order.limit - len(sheets)])
        if len(found) < LISTED_MAX:
            break
        after = found[-1].id
    if not sheets and scope.agent is None:
        await check_account(order.account, office.definitions, office.stores, office.now())
    return sheets


def _due(state: InvoiceState | None, now: int) -> tuple[int | None, int | None]:
    """Return behind which moment invoices of a state are due, and by which one."""
    match state:
        case InvoiceState.OVERDUE:
            return None, now
        case InvoiceState.OPEN | InvoiceState.PART_PAID:
            return now, None
        case _:
            return None, None


async def scope_for_invoices(office: Office, who: Principal) -> Scope:
    """Return the scope of a principal; an agent that has issued invoices is one without accounts, too."""
    try:
        return office.scope_of(who)
    except NoAgentError:
        if who.account not in await office.stores.invoices.issuers():
            raise
        return office.scope_of(who, was_agent=True)


async def _seen(office: Office, scope: Scope) -> InvoicesSeen | None:
    """Return the invoices that a principal sees; None = all."""
    if scope.agent is None or scope.visible is None:
        return None
    own, below = scope.has_right(Right.OWN_PAYMENTS), scope.has_right(Right.SUB_PAYMENTS)
    ended = await _ended_below(office, scope.visible) if below else set[str]()
    return InvoicesSeen(scope.agent, scope.visible | ended, sees_own=own, sees_below=below)


async def _ended_below(office: Office, visible: Set[str]) -> set[str]:
    """Return the agents with invoices that have ended and were below one of some accounts then."""
    accounts, found = office.definitions.accounts(), set[str]()
    for issuer in await office.stores.invoices.issuers() - accounts.keys():
        name, passed = issuer, set[str]()
        while name not in accounts and name not in passed:
            passed.add(name)
            versions = await office.stores.objects.history("accounts", name)
            last = in_force_at((each for each in versions if each.body is not None), office.now())
            if last is None or (above := agent_of(office.definitions, last)) is None:
                break
            name = above
        if name in visible:
            found.add(issuer)
    return found


@needs(Permission.MONEY_SEE, by_account=True)
async def find_invoice(office: Office, who: Principal, order: FindInvoice) -> InvoiceSheet:
    """Return the invoice or credit note of a number.

    Raises:
        NoSuchInvoiceError: there is none, the principal may not see it, or several issuers have one.
    """
    found = await office.stores.invoices.numbered(order.number)
    scope = await scope_for_invoices(office, who)
    seen = await _seen(office, scope)
    found = [each for each in found if seen is None or seen.has(each)]
    if len(found) > 1:
        named = " or ".join(f"#{each.id}" for each in found)
        raise NoSuchInvoiceError(f"several issuers have an invoice {order.number}: say {named}")
    if not found:
        raise _none(order.number)
    return await sheet_for(office, scope, found[0])


def _none(named: str) -> NoSuchInvoiceError:
    return NoSuchInvoiceError(f"there is no invoice {named}: vosd invoice list has them")


@needs(Permission.MONEY_SEE, by_account=True)
async def show_invoice(office: Office, who: Principal, order: ShowInvoice) -> InvoiceDetail:
    """Return an invoice with its document.

    Raises:
        NoSuchInvoiceError: there is none of the id, or the principal may not see it.
        InvoiceAlteredError: its document was changed since.
    """
    scope = await scope_for_invoices(office, who)
    found = await visible_invoice(office, scope, order.id)
    found.check_document()
    document = msgspec.json.decode(found.document, type=InvoiceDocument)
    note = await office.stores.invoices.credit_note(found)
    return InvoiceDetail(
        **msgspec.structs.asdict(await sheet_for(office, scope, found)),
        document=document,
        credit_note=None if note is None else CreditNoteName(id=note.id, number=note.number or ""),
    )


@needs(Permission.MONEY_SEE, by_account=True)
async def print_invoice(office: Office, who: Principal, order: PrintInvoice) -> bytes:
    """Return the PDF of an invoice, by the template of the time of its issue; a draft's by the one of now.

    Raises:
        NoSuchInvoiceError: there is none of the id, or the principal may not see it.
        InvoiceAlteredError: its document was changed since.
        InvoiceFormError: the template has a mistake.
        MissingLetterError: no font on the machine has a letter that is printed.
    """
    found = await visible_invoice(office, await scope_for_invoices(office, who), order.id)
    found.check_document()
    is_draft = found.template is None
    form = form_of(office.definitions.settings.invoices) if is_draft else await office.stores.invoices.template(found)
    return await printed_beside(partial(printed, form, found.document, found.issued_at))


@needs(Permission.MONEY_SEE, by_account=True)
async def read_invoiced_calls(office: Office, who: Principal, order: ReadInvoicedCalls) -> AsyncGenerator[str, None]:
    """Yield the calls of an invoice, and the corrections of calls, as CSV with a header.

    Raises:
        NoSuchInvoiceError: there is none of the id, or the principal may not see it.
        DroppedPeriod: calls or entries of its period were dropped.
        StoreUnavailable: what was yielded is correct, and is not all.
    """
    invoice = await visible_invoice(office, await scope_for_invoices(office, who), order.id)
    rows: list[Sequence[str]] = [CALL_COLUMNS]
    pages = office.stores.invoices.calls(invoice)
    async with aclosing(pages):
        async for page in pages:
            rows += (
                [
                    each.call_id or "",
                    iso_utc(each.ended_at),
                    each.caller or "",
                    each.callee or "",
                    each.area or "",
                    each.prefix or "",
                    "" if each.seconds is None else str(each.seconds),
                    format_amount(-each.amount + (each.tax or ZERO)),
                    format_amount(-(each.tax or ZERO)),
                    format_amount(-each.amount),
                    each.kind,
                    "" if each.started_at is None else iso_utc(each.started_at),
                    "" if each.answered_at is None else iso_utc(each.answered_at),
                    "" if each.hold_time_s is None else str(each.hold_time_s),
                ]
                for each in page
            )
            yield csv_of(rows)
            rows = []
    if rows:
        yield csv_of(rows)


async def visible_invoice(office: Office, scope: Scope, number: int) -> StoredInvoice:
    """Return an invoice; raises NoSuchInvoiceError where there is none, or the principal may not see it."""
    seen = await _seen(office, scope)
    found = await office.stores.invoices.one(number)
    if seen is not None and not seen.has(found):
        raise _none(f"#{number}")
    return found


async def sheet_for(office: Office, scope: Scope, invoice: StoredInvoice) -> InvoiceSheet:
    """Return an invoice as a principal sees it, with what is paid of it."""
    return (await _with_due_days(office, await _sheets(office, scope, [invoice])))[0]


async def sheet_of_made(office: Office, who: Principal, invoice: StoredInvoice) -> InvoiceSheet:
    """Return what was issued or mailed; raises OutcomeUnknown where the database goes away behind the commit."""
    try:
        return await sheet_for(office, office.scope_of(who), invoice)
    except StoreUnavailable as error:
        raise OutcomeUnknown(str(error)) from error


async def _sheets(office: Office, scope: Scope, found: Sequence[StoredInvoice]) -> list[InvoiceSheet]:
    """Return invoices as a principal sees them: agents and customers without the names of operators."""
    return _shown(office, scope, found, await paid_for(office, found))


def _shown(
    office: Office, scope: Scope, found: Sequence[StoredInvoice], paid: Mapping[int, Decimal]
) -> list[InvoiceSheet]:
    sheets = [_sheet_of(each, paid.get(each.id, ZERO), office.now()) for each in found]
    return [msgspec.structs.replace(each, operator=scope.shown_operator(each.operator)) for each in sheets]


async def _with_due_days(office: Office, sheets: Sequence[InvoiceSheet]) -> list[InvoiceSheet]:
    """Take the days from the documents: ``invoices.timezone`` may have changed since they were printed."""
    days = await office.stores.invoices.due_days([each.id for each in sheets if each.issued_at is not None])
    return [msgspec.structs.replace(each, due_on=days.get(each.id)) for each in sheets]


async def paid_for(office: Office, found: Sequence[StoredInvoice]) -> Mapping[int, Decimal]:
    """Return what is paid of issued invoices, by id."""
    live = {each.account for each in found if each.kind == INVOICE and each.state is StoredState.ISSUED}
    return await paid_by_invoice(office.stores, sorted(live))


def owed_for(invoice: StoredInvoice) -> Owed:
    """Return what an invoice asks for."""
    return Owed(invoice.id, invoice.number or "", invoice.gross, invoice.currency)


async def paid_by_invoice(stores: "SqlStores", accounts: Sequence[str]) -> Mapping[int, Decimal]:
    """Return what is paid of the issued invoices of some accounts, by id."""
    if not accounts:
        return {}
    owed = await stores.invoices.owed(accounts)
    credits = await stores.invoices.credits([each[0] for each in owed.values() if each])
    paid: dict[int, Decimal] = {}
    for name, invoices in owed.items():
        if not invoices:
            continue
        opening = invoices[0].opening + sum((each.carried for each in invoices), ZERO)
        found = paid_of(opening, [owed_for(each) for each in invoices], credits[name])
        paid |= {each.id: amount for each, amount in zip(invoices, found, strict=True)}
    return paid


def _sheet_of(invoice: StoredInvoice, paid: Decimal, now: int) -> InvoiceSheet:
    match invoice.state:
        case StoredState.DRAFT:
            state = InvoiceState.DRAFT
        case StoredState.CANCELLED:
            state = InvoiceState.CANCELLED
        case StoredState.ISSUED:
            state = InvoiceState.ISSUED
            if invoice.kind == INVOICE:
                state = state_of(invoice.gross, paid, invoice.currency, invoice.due_at or 0, now)
    is_due = invoice.kind == INVOICE and invoice.state is StoredState.ISSUED
    return shown_as(
        InvoiceSheet,
        invoice,
        state=state,
        paid=format_amount(paid),
        due_at=iso_utc(invoice.due_at) if is_due and invoice.due_at is not None else None,
        due_on=None,
    )
