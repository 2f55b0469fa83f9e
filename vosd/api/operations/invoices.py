"""Operations about invoices: make and issue them, show what is paid, print them, take them back."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

from vosd.admin.office.invoice_changes import cancel_invoice, issue_invoice, pay_invoice
from vosd.admin.office.invoice_run import InvoiceRunSheet, RunInvoices, run_invoices
from vosd.admin.office.invoices import (
    ReadInvoicedCalls,
    list_invoices,
    print_invoice,
    read_invoiced_calls,
    show_invoice,
)
from vosd.admin.office.jobs import JobKind
from vosd.admin.office.mailed_invoices import SendInvoice, send_invoice
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.api.http import Answer, HttpRequest
from vosd.api.job import Long, Work
from vosd.api.listing import CSV, begun, csv_answer
from vosd.api.operation import Listing, Operation
from vosd.api.operations.jobs import never
from vosd.api.operations.money import Booked, booked
from vosd.storage.invoices import CLAIMED_MS

PDF: Final = "application/pdf"


async def run(office: Office, who: Principal, order: RunInvoices, work: Work) -> list[InvoiceRunSheet]:
    """Make the invoices of a period."""
    return await run_invoices(office, who, order, lambda part, _accounts: work.progress(part))


async def pdf_answer(_office: Office, _request: HttpRequest, content: bytes) -> Answer:
    """Return the printed form."""
    return Answer(content=content, content_type=PDF)


async def read_calls(office: Office, who: Principal, order: ReadInvoicedCalls) -> AsyncGenerator[str, None]:
    """Return the calls of an invoice."""
    return await begun(read_invoiced_calls(office, who, order))


_OF_PAYMENT: Final = (
    "balance_too_large", "may_not_act", "no_such_invoice", "not_issued", "other_currency", "out_of_scope",
    "own_payment", "reference_taken", "right_lacking", "too_little_left", "unknown_account", "was_refused",
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "POST /invoices/runs",
        "Job: make the invoices of a period, and issue them; a second run makes none again.",
        never,
        use_case=run_invoices,
        takes=RunInvoices,
        status=HTTPStatus.ACCEPTED,
        long=Long(JobKind.INVOICE_RUN, run, is_always=True),
    ),
    Operation(
        "GET /invoices",
        "Invoices and credit notes with what is paid, the newest first.",
        list_invoices,
        problems=("bad_period", "out_of_scope", "right_lacking", "unknown_account", "unknown_name"),
        fixed={"oldest_first": False},
        listing=Listing("id", sorts=("id",), descends=True, in_parts=True, backwards="oldest_first"),
    ),
    Operation(
        "GET /invoices/{id}",
        "An invoice with its lines, taxes, payments and balances.",
        show_invoice,
        problems=("invoice_altered", "no_such_invoice"),
    ),
    Operation(
        "GET /invoices/{id}/pdf",
        "The printed form of an invoice, by the template of the time of its issue.",
        print_invoice,
        problems=("invoice_altered", "no_such_invoice"),
        answer=pdf_answer,
        forms={PDF: bytes},
    ),
    Operation(
        "GET /invoices/{id}/calls",
        "The calls of an invoice and the corrections of calls, as CSV.",
        read_calls,
        use_case=read_invoiced_calls,
        result=bytes,
        problems=("no_such_invoice",),
        answer=csv_answer,
        forms={CSV: bytes},
    ),
    Operation(
        "POST /invoices/{id}/issue",
        "Issue a draft: it gets its number, and never changes any more.",
        issue_invoice,
        problems=("draft_early", "invoice_altered", "invoice_moved", "no_such_invoice", "not_a_draft"),
    ),
    Operation(
        "POST /invoices/{id}/payments",
        "Book a payment of an account for one of its invoices.",
        pay_invoice,
        result=Booked,
        shown=booked,
        problems=_OF_PAYMENT,
        reference="reference",
    ),
    Operation(
        "POST /invoices/{id}/mail",
        "Mail an issued invoice as PDF to the addresses of its account, or to others.",
        send_invoice,
        takes=SendInvoice,
        problems=("invoice_altered", "invoice_not_sent", "no_such_invoice", "not_issued"),
        patience_s=CLAIMED_MS / 1_000,
    ),
    Operation(
        "POST /invoices/{id}/cancel",
        "Take the last invoice of an account back; the answer is the credit note.",
        cancel_invoice,
        problems=("invoice_altered", "invoice_moved", "no_such_invoice", "not_issued"),
    ),
)
