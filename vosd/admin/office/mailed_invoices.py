"""Use cases that mail invoices (docs/books.md)."""

import asyncio
import io
import re
import smtplib
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from vosd.admin.invoice_mail import InvoiceFiles, invoice_mail
from vosd.admin.invoice_pdf import printed, words_of
from vosd.admin.office.configured_terms import ConfiguredTerms
from vosd.admin.office.invoices import (
    LISTED_MAX,
    InvoiceOrder,
    InvoiceSheet,
    NotIssuedError,
    ReadInvoicedCalls,
    paid_for,
    read_invoiced_calls,
    sheet_for,
    sheet_of_made,
)
from vosd.admin.office.office import Office, needs, to_the_end
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.typesetting import printed_beside
from vosd.base.errors import VosError
from vosd.base.money import ZERO
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.alarms.mail import UnansweredMailError, deliver, refusals, why_not_sent
from vosd.invoicing.invoice import InvoiceDocument
from vosd.invoicing.periods import period_of
from vosd.invoicing.settlement import is_paid
from vosd.storage.invoices import CLAIMED_MS, InvoiceFilter, StoredInvoice, StoredState

if TYPE_CHECKING:
    from email.message import EmailMessage

    from vosd.engine.settings import MailSettings

_ADDRESS: Final = re.compile(r"[^\s@,;<>\"]{1,64}@[A-Za-z0-9.-]{1,253}")
_TOO_LARGE: Final = 552
"""Answer to MAIL, which names the size of the mail, where the server takes no larger one (RFC 1870 section 6)."""
MOST_BYTES_OF_CALLS: Final = 10 << 20
"""Size of the file of calls that a mail may have: many mail servers take no more than 20 MiB with its encoding."""


class InvoiceNotSentError(VosError):
    """The invoice was not mailed."""

    @property
    def is_of_the_server(self) -> bool:
        """Whether the server cannot be reached or takes no mail at all, as far as is known."""
        cause = self.__cause__
        if isinstance(cause, smtplib.SMTPSenderRefused) and cause.smtp_code == _TOO_LARGE:
            return False
        refused = smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError
        return isinstance(cause, OSError) and not isinstance(cause, refused)


class SendInvoice(InvoiceOrder, frozen=True):
    """Mail an issued invoice or credit note."""

    to: tuple[str, ...] = ()
    """Addresses; empty = those of the account."""
    calls: bool = False
    """Whether its calls are attached, too: CSV in a ZIP file."""

    def __post_init__(self) -> None:
        for each in self.to:
            if not _ADDRESS.fullmatch(each):
                raise OrderError("to", f"{each!r} is no address", "such as books@example.com")


class ListUnsent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Issued invoices and credit notes of a period that were not mailed."""

    period: str
    """Period, such as 2026-10."""

    def __post_init__(self) -> None:
        period_of(self.period)


@needs(Permission.BOOKS_CHANGE)
async def list_unsent(office: Office, who: Principal, order: ListUnsent) -> dict[int, str]:
    """Return the numbers of the issued invoices and credit notes that were not mailed by their ids, the oldest first.

    A cancelled invoice is none of them, nor the credit note that takes back an invoice which was not mailed.
    """
    found: dict[int, str] = {}
    after: int | None = None
    while True:
        page = InvoiceFilter(period=order.period, after=after, oldest_first=True, limit=LISTED_MAX, is_to_send=True)
        some = await office.stores.invoices.list(page)
        found |= {each.id: each.number or f"#{each.id}" for each in some}
        if len(some) < LISTED_MAX:
            return found
        after = some[-1].id


@needs(Permission.BOOKS_CHANGE)
async def send_invoice(office: Office, who: Principal, order: SendInvoice, *, is_repeated: bool = True) -> InvoiceSheet:
    """Mail an issued invoice or credit note as PDF, by the server of ``alarms.mail``, with its calls where ordered.

    ``is_repeated``: also one that was mailed already; otherwise that one is returned as it is.

    Raises:
        NoSuchInvoiceError: there is none of the id.
        InvoiceAlteredError: its document was changed since.
        NotIssuedError: it is a draft, or cancelled: the mail would ask for its amount. Or it was cancelled meanwhile,
            and its credit note is to be sent, too.
        OrderError: neither the order nor the account has an address.
        InvoiceNotSentError: no mail server is configured, it has not taken the mail for
            every address, the calls are too many for one, or another order mails it at this moment or has just done so.
        InvoiceFormError: the template has a mistake.
        MissingLetterError: no font on the machine has a letter that is printed.
        OutcomeUnknown: it is sent, or may be.
        StoreUnavailable: it may be sent and not noted; a repeated mail has the same Message-ID.
    """
    found = await office.stores.invoices.one(order.id)
    if found.state is StoredState.DRAFT or found.template is None:
        raise NotIssuedError(f"invoice #{found.id} is a draft")
    if found.sent_at is not None and not is_repeated:
        return await sheet_for(office, office.scope_of(who), found)
    found.check_document()
    if found.state is StoredState.CANCELLED:
        raise NotIssuedError(f"invoice {found.number} is cancelled: its credit note can be sent")
    recipients = order.to or (await ConfiguredTerms(office).of_account(found.account)).mail
    if not recipients:
        raise OrderError("to", f"is missing: account {found.account} has no `invoice.mail`")
    server = office.definitions.settings.alarms.mail
    if server is None:
        raise InvoiceNotSentError("no mail server is configured: `alarms.mail` has it")
    form = await office.stores.invoices.template(found)
    pdf = await printed_beside(partial(printed, form, found.document, found.issued_at))
    document = msgspec.json.decode(found.document, type=InvoiceDocument)
    files = InvoiceFiles(pdf, await _zipped_calls(office, who, found) if order.calls else None)
    words = words_of(form, document.language)
    paid = (await paid_for(office, [found])).get(found.id, ZERO)
    is_settled = is_paid(found.gross, paid, found.currency)
    message = invoice_mail(
        document, words, server.sender, recipients, files, found.id, office.now(), is_paid=is_settled
    )
    # to its end also where the caller is interrupted: the server may take the mail all the same
    outcome = await to_the_end(_mailed(office, who, order, found, server, message, recipients))
    if outcome is None:
        mailed = await _mailed_meanwhile(office, found)
        if is_repeated:
            raise InvoiceNotSentError(f"another order has mailed {found.number} just now: the same again mails it anew")
        return await sheet_for(office, office.scope_of(who), mailed)
    sent, refused = outcome
    if sent.state is StoredState.CANCELLED:
        raise NotIssuedError(f"invoice {sent.number} was cancelled while it was mailed: send its credit note, too")
    if refused:
        raise InvoiceNotSentError(f"{refusals(refused)}; the other addresses have the mail")
    return await sheet_of_made(office, who, sent)


async def _mailed(
    office: Office,
    who: Principal,
    order: SendInvoice,
    invoice: StoredInvoice,
    server: "MailSettings",
    message: "EmailMessage",
    recipients: Sequence[str],
) -> tuple[StoredInvoice, Mapping[str, tuple[int, bytes]]] | None:
    """Mail an invoice and note it; return it with the addresses that were refused. None = another order mails it.

    Raises:
        InvoiceNotSentError: the server has not taken the mail, or has not said that it has.
    """
    claimed_at = office.now()
    if not await office.stores.invoices.claim(invoice, claimed_at):
        return None
    try:
        refused = await asyncio.to_thread(deliver, server, message)
    except Exception as error:  # of any kind: the mail was not taken, as far as is known
        with suppress(StoreUnavailable):  # the claim ends by itself
            await office.stores.invoices.give_back(invoice, claimed_at)
        if not isinstance(error, OSError | smtplib.SMTPException):
            raise
        if isinstance(error, UnansweredMailError):
            raise InvoiceNotSentError(f"{server.server} has not confirmed the mail: {error}") from error
        raise InvoiceNotSentError(f"{server.server} has not taken the mail: {why_not_sent(error)}") from error
    has_it = tuple(each for each in recipients if each not in refused)
    noted = office.audit_line(who, msgspec.structs.replace(order, to=has_it), invoice.account)
    with office.stores.database.waiting_for_rows():  # it is mailed: what is not noted would be mailed again
        return await office.stores.invoices.note_sent(invoice, office.now(), noted), refused


async def _mailed_meanwhile(office: Office, read: StoredInvoice) -> StoredInvoice:
    """Return an invoice that another order has mailed since it was read; raises InvoiceNotSentError if it mails yet."""
    found = await office.stores.invoices.one(read.id)
    if found.sent_at == read.sent_at:
        passed = f"where that one was killed, it can be sent after {CLAIMED_MS // 60_000} minutes"
        raise InvoiceNotSentError(f"another order mails {found.number} at this moment: {passed}")
    return found


async def _zipped_calls(office: Office, who: Principal, invoice: StoredInvoice) -> bytes:
    """Return the calls of an invoice as CSV in a ZIP file: as one, CSV of a month fits into most mailboxes."""
    written = io.BytesIO()
    parts = read_invoiced_calls(office, who, ReadInvoicedCalls(id=invoice.id))
    with ZipFile(written, "w", ZIP_DEFLATED) as archive, archive.open("calls.csv", "w") as file:
        async with aclosing(parts):
            async for part in parts:
                file.write(part.encode())
                if written.tell() > MOST_BYTES_OF_CALLS:
                    message = f"the calls of {invoice.number} are over {MOST_BYTES_OF_CALLS >> 20} MiB for a mail"
                    raise InvoiceNotSentError(f"{message}: `vosd invoice show {invoice.number} --calls FILE` has them")
    return written.getvalue()
