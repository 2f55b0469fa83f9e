"""Use cases of invoices: make and issue them, show what is paid, take them back, print them (docs/books.md)."""

import asyncio
import io
import re
import smtplib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence, Set
from contextlib import aclosing, suppress
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZipFile
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.invoice_mail import InvoiceFiles, invoice_mail
from vosd.admin.invoice_pdf import form_of, printed, words_of
from vosd.admin.names import check_account, configured
from vosd.admin.office.agent_objects import agent_of
from vosd.admin.office.office import Office, needs, to_the_end, waits_for_rows
from vosd.admin.office.payments import (
    BookPayment,
    Receipts,
    WaitingSheet,
    book_payment,
    without_second_person,
    without_unseen_account,
)
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.admin.typesetting import printed_beside
from vosd.base.csv_text import csv_of
from vosd.base.errors import VosError
from vosd.base.money import ZERO, AmountText, format_amount
from vosd.billing.accounts import Account, AccountType
from vosd.billing.agents import Hierarchy
from vosd.billing.authority import NoAgentError
from vosd.billing.invoice_terms import InvoiceCycle, InvoiceTerms, IssuerTerms
from vosd.billing.rights import Right
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import in_force_at
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import OutcomeUnknown, StoreUnavailable
from vosd.cdr.shown import shown_as
from vosd.control.money import ListUnbooked
from vosd.engine.alarms.mail import UnansweredMailError, deliver, refusals, why_not_sent
from vosd.invoicing.invoice import InvoiceDocument, InvoiceParty, InvoiceUnsoundError, summed, taken_back
from vosd.invoicing.numbers import NumberForm
from vosd.invoicing.periods import InvoicePeriod, day_of, midnight, period_of
from vosd.invoicing.settlement import REFERENCE, InvoiceState, Owed, is_paid, name_in_reference, paid_of, state_of
from vosd.storage.database_clock import check_has_come
from vosd.storage.invoice_sums import InvoicedPart
from vosd.storage.invoices import (
    CLAIMED_MS,
    CREDIT_NOTE,
    INVOICE,
    InvoiceFilter,
    InvoiceMovedError,
    InvoicesSeen,
    IssuePlan,
    NoSuchInvoiceError,
    StoredInvoice,
    StoredState,
)

if TYPE_CHECKING:
    from email.message import EmailMessage

    from vosd.engine.settings import MailSettings
    from vosd.storage.stores import SqlStores

_ADDRESS: Final = re.compile(r"[^\s@,;<>\"]{1,64}@[A-Za-z0-9.-]{1,253}")
LISTED_MAX: Final = 1_000
_STORED: Final = {InvoiceState.DRAFT: StoredState.DRAFT, InvoiceState.CANCELLED: StoredState.CANCELLED}
_KINDS: Final = {
    InvoiceState.ISSUED: CREDIT_NOTE, InvoiceState.PAID: INVOICE, InvoiceState.OPEN: INVOICE,
    InvoiceState.PART_PAID: INVOICE, InvoiceState.OVERDUE: INVOICE,
}  # fmt: skip
"""Kinds of the invoices that states are of; the others are of both."""
_TOO_LARGE: Final = 552
"""Answer to MAIL, which names the size of the mail, where the server takes no larger one (RFC 1870 section 6)."""
MOST_BYTES_OF_CALLS: Final = 10 << 20
"""Size of the file of calls that a mail may have: many mail servers take no more than 20 MiB with its encoding."""
CALL_COLUMNS: Final = (
    "call_id", "ended_at", "caller", "callee", "area", "prefix", "billed_seconds", "net", "tax", "gross", "kind",
    "started_at", "answered_at", "hold_time_s",
)  # fmt: skip


class PeriodNotOverError(VosError):
    """The period has not ended, so its invoice cannot be issued."""

    remedy = "a draft shows what there is so far"


class DraftEarlyError(VosError):
    """The draft was made before its period had ended: it lacks calls."""

    remedy = "make it again (vosd invoice run)"


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


class NotIssuedError(VosError):
    """The order is for issued invoices that are not cancelled."""


class InvoiceOutcome(Enum):
    """Result of a run for one account."""

    ISSUED = "issued"
    DRAFT = "draft"
    INVOICED_BEFORE = "invoiced before"
    NOTHING = "nothing"
    """There are no charges that are on no invoice."""
    WAITING = "waiting"
    """Calls of the period are not booked yet: try again."""
    EARLIER_MISSING = "earlier missing"
    """Charges of an earlier period are on no invoice: run that period first."""
    AGENT_CHANGED = "agent changed"
    """Calls of the period were sold by two agents: make invoices of shorter periods."""
    UNSOUND = "unsound"
    """The entries do not make what the balance has moved by: ``vosd ledger verify`` finds what does not agree."""
    MOVED = "moved"
    """Another invoice of the account was issued or cancelled meanwhile: run the period again."""


UNFINISHED: Final = frozenset(
    {
        InvoiceOutcome.WAITING, InvoiceOutcome.EARLIER_MISSING, InvoiceOutcome.AGENT_CHANGED, InvoiceOutcome.UNSOUND,
        InvoiceOutcome.MOVED,
    }
)  # fmt: skip
"""Outcomes of accounts that have charges and no invoice."""


class RunInvoices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make the invoices of a period: of some accounts, or of all that have periods of that length."""

    period: str
    """Period, such as 2026-10, 2026-10-H1, 2026-W41 or 2026-10-05."""
    accounts: tuple[str, ...] = ()
    """Accounts; empty = all that have invoices of such periods."""
    draft: bool = False
    """Make drafts, which are issued one by one, or replaced by the next run."""
    anew: bool = False
    """Begin with this period where an account has no invoice yet; earlier charges stay in the opening balance.

    So it is for named accounts whose invoices are all cancelled.
    """

    def __post_init__(self) -> None:
        period_of(self.period)


class InvoiceRunSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a run for one account; money as text."""

    account: str
    outcome: InvoiceOutcome
    """Outcome for the account."""
    id: int | None = None
    """Id of the invoice; null = there is none."""
    number: str | None = None
    """Number; null while it is a draft."""
    net: str | None = None
    """Amount without tax, as text."""
    tax: str | None = None
    gross: str | None = None
    """Amount with tax, as text."""
    currency: str | None = None
    detail: str = ""
    """Sentence about what is missing; empty = nothing is."""


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


class IssueInvoice(InvoiceOrder, frozen=True):
    """Issue a draft."""


class CancelInvoice(InvoiceOrder, frozen=True):
    """Take an issued invoice back by a credit note; its charges are on the next invoice again."""

    memo: str | None = None


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


class ReadInvoicedCalls(InvoiceOrder, frozen=True):
    """The calls that an invoice is about."""


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


class ListUnsent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Issued invoices and credit notes of a period that were not mailed."""

    period: str
    """Period, such as 2026-10."""

    def __post_init__(self) -> None:
        period_of(self.period)


@needs(Permission.BOOKS_CHANGE)
@waits_for_rows
async def run_invoices(
    office: Office,
    who: Principal,
    order: RunInvoices,
    report: Callable[[float, int], None] | None = None,
    *,
    is_trial: bool = False,
) -> list[InvoiceRunSheet]:
    """Make the invoices of a period; a second run makes none again. Each is complete in itself if the run is killed.

    ``report`` receives a part of 1 and a count of accounts. Accounts without charges have no row unless they are named.
    ``is_trial``: nothing is made, whether calls are booked is not asked, and what would be made is called a draft.

    Raises:
        BadPeriodError, PeriodNotOverError: the period is none, or has not ended.
        ClockAhead: the clock of this machine is ahead of the database's.
        OrderError: an account that is named is a vendor's, or shall begin anew and has an invoice in force.
        InvoiceFormError: the template cannot be read; nothing was made.
        DroppedPeriod: the invoices made so far stay, the others are missing.
        DaemonUnreachableError, DaemonRefusedError: a switch runs and does not say which calls are not booked.
        StoreUnavailable: some may be made; try the same again.
    """
    period = period_of(order.period)
    run = _Run(office, who, order, period, is_trial=is_trial)
    if run.until <= office.now():
        await check_has_come(office.stores.database, run.until)
    elif not order.draft:
        raise PeriodNotOverError(f"{period} is not over in {run.zone.key}")
    # Asked before the entries are read: what is booked in between is found there.
    if not is_trial:
        run.unbooked = await office.switch.ask_if_running(ListUnbooked(run.since, run.until)) or {}
    names = await run.accounts()
    sheets = []
    for done, name in enumerate(names):
        sheet = await run.one(name)
        if sheet.outcome is not InvoiceOutcome.NOTHING or order.accounts:
            sheets.append(sheet)
        if report is not None:
            report((done + 1) / len(names), done + 1)
    return sheets


async def cycles_of_ledger(office: Office) -> Sequence[InvoiceCycle]:
    """Return the cycles of all accounts that have entries, also of those that ended."""
    terms = _Terms(office)
    found = {await terms.cycle_of(row.id) for row in await office.stores.invoices.accounts()}
    return [each for each in InvoiceCycle if each in found]


class _Run:
    """Steps of one run."""

    def __init__(
        self, office: Office, who: Principal, order: RunInvoices, period: InvoicePeriod, *, is_trial: bool
    ) -> None:
        self._office, self._who, self._order, self._period = office, who, order, period
        self._is_trial = is_trial
        self._terms = _Terms(office)
        self._hierarchy = Hierarchy.of(self._terms.accounts)
        self.zone: Final = self._terms.zone
        self.since, self.until = period.bounds(self.zone)
        self.unbooked: Mapping[str, str] = {}
        self._currencies: dict[str, str | None] = {}
        self._last: dict[str, StoredInvoice] = {}
        self._cancelled: dict[str, StoredInvoice] = {}

    async def accounts(self) -> Sequence[str]:
        """Return the accounts to look at."""
        invoices, known = self._office.stores.invoices, self._terms.accounts
        rows = {row.id: row for row in await invoices.accounts()}
        self._currencies = {name: row.currency for name, row in rows.items()}
        self._last = await invoices.last()
        if not (self._order.anew and self._order.accounts):
            self._cancelled = await invoices.cancelled_firsts()
        if self._order.accounts:
            for name in self._order.accounts:
                if name not in rows:
                    configured(known, name)
                if _is_vendor(await self._terms.account(name)):
                    raise OrderError("accounts", f"names {name}, a vendor's account", "vendors get no invoices")
                if self._order.anew and name in self._last:
                    message = f"is not for {name}, whose invoice {self._last[name].number} is in force"
                    raise OrderError("anew", message, "the next one begins where that one ends")
            return list(dict.fromkeys(self._order.accounts))
        return [name for name in rows if await self._terms.cycle_of(name) is self._period.cycle]

    async def one(self, name: str) -> InvoiceRunSheet:
        """Make the invoice of an account."""
        last = self._last.get(name)
        if last is not None and last.until >= self.until:
            is_this = last.period == str(self._period)
            return InvoiceRunSheet(
                account=name,
                outcome=InvoiceOutcome.INVOICED_BEFORE,
                id=last.id if is_this else None,
                number=last.number if is_this else None,
                detail="" if is_this else f"the last invoice, {last.number}, is of {last.period}",
            )
        if name in self.unbooked:
            detail = f"calls of {self.unbooked[name]} are not booked"
            return InvoiceRunSheet(account=name, outcome=InvoiceOutcome.WAITING, detail=detail)
        before = None if last is None else last.end
        again = self._cancelled.get(name)
        begun = None if again is None else again.begin
        part = await self._office.stores.invoices.part(name, self.since, self.until, self.zone, before, begun)
        # The same period may begin later than it did where `invoices.timezone` was corrected.
        is_again = last is None and again is not None and again.period == str(self._period)
        begins_here = self._order.anew and last is None and again is None
        if part is not None and part.skipped is not None and not is_again and not begins_here:
            day = day_of(part.skipped, self.zone)
            detail = f"charges of {day} are on no invoice"
            if last is None:
                detail = (
                    f"charges of {day} are on no invoice: make that of the period of that day first, or begin with this"
                    " period (anew)"
                )
            return InvoiceRunSheet(account=name, outcome=InvoiceOutcome.EARLIER_MISSING, detail=detail)
        if part is None or not part.part.charged:
            return InvoiceRunSheet(account=name, outcome=InvoiceOutcome.NOTHING)
        if len(part.sellers) > 1 and self._period.cycle is not InvoiceCycle.DAY:
            sold = " and ".join(f"agent {each}" if each else "the installation" for each in part.sellers)
            detail = f"calls of the period were sold by {sold}: make invoices of shorter periods, down to days"
            return InvoiceRunSheet(account=name, outcome=InvoiceOutcome.AGENT_CHANGED, detail=detail)
        try:
            draft = await self._draft(name, part, last)
        except InvoiceUnsoundError as error:
            return InvoiceRunSheet(account=name, outcome=InvoiceOutcome.UNSOUND, detail=str(error))
        plan = None if self._order.draft or self._is_trial else await self._terms.plan(draft)
        noted = msgspec.structs.replace(self._order, accounts=(name,), anew=begins_here)
        audit = self._office.audit_line(self._who, noted, name)
        try:
            made = draft if self._is_trial else await self._office.stores.invoices.add(draft, plan, audit)
        except InvoiceMovedError as error:
            return InvoiceRunSheet(account=name, outcome=InvoiceOutcome.MOVED, detail=str(error))
        outcome = InvoiceOutcome.DRAFT if plan is None else InvoiceOutcome.ISSUED
        return InvoiceRunSheet(
            account=name,
            outcome=outcome,
            id=made.id,
            number=made.number,
            net=format_amount(made.net),
            tax=format_amount(made.tax),
            gross=format_amount(made.gross),
            currency=made.currency,
        )

    def _memo(self, account: str, kind: str, memo: str) -> str:
        """Return the memo of an entry as the account itself sees it: it sees itself, and accounts below it."""

        def sees(other: str) -> bool:
            return other == account or account in self._hierarchy.above(other)

        return without_unseen_account(kind, without_second_person(kind, memo), self._terms.accounts, sees)

    async def _draft(self, name: str, part: InvoicedPart, last: StoredInvoice | None) -> StoredInvoice:
        terms = self._terms
        account = await terms.account(name)
        agent = None if account is None else account.agent
        issuer = part.sellers[-1] if part.sellers else agent or ""
        wanted, from_issuer = await terms.of_account(name), await terms.of_issuer(issuer)
        sums = summed(part.part, wanted.lines or from_issuer.lines)
        currency = self._currencies.get(name) or ("" if account is None else account.currency)
        document = InvoiceDocument(
            kind=INVOICE,
            number="",
            cancels="",
            issuer=await terms.issuing_party(issuer),
            recipient=InvoiceParty(
                account=name,
                name=wanted.name or (account.name if account is not None else None) or name,
                address=wanted.address,
                tax_id=wanted.tax_id,
            ),
            period=str(self._period),
            first_day=self._period.first.isoformat(),
            last_day=(self._period.behind - timedelta(days=1)).isoformat(),
            zone=self.zone.key,
            issued_on="",
            due_on="",
            currency=currency,
            language=wanted.language or from_issuer.language,
            lines=sums.lines,
            taxes=sums.taxes,
            net=format_amount(sums.net),
            tax=format_amount(sums.tax),
            gross=format_amount(sums.gross),
            opening=format_amount(part.part.opening),
            movements=tuple(
                msgspec.structs.replace(each, memo=self._memo(name, each.kind, each.memo)) for each in sums.movements
            ),
            closing=format_amount(sums.closing),
        )
        return StoredInvoice(
            issuer=issuer,
            account=name,
            follows=None if last is None else last.id,
            period=str(self._period),
            since=self.since,
            until=self.until,
            begin_until=part.begin.until,
            begin_seq=part.begin.seq,
            floor_seq=part.begin.floor,
            end_seq=part.end_seq,
            open_seq=part.open_seq,
            currency=currency,
            net=sums.net,
            tax=sums.tax,
            opening=part.part.opening,
            carried=sums.carried,
            closing=sums.closing,
            made_at=self._office.now(),
            operator=self._who.recorded,
            document=_encoded(document),
        )


def _is_vendor(account: Account | None) -> bool:
    return account is not None and account.type is AccountType.CLEARING


class _Terms:
    """Terms of issuers and accounts, as they are configured now, or were when the account ended."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.settings: Final = office.definitions.settings.invoices
        self.zone: Final = ZoneInfo(self.settings.zone)
        self.accounts: Final = office.definitions.accounts()
        self._ended: dict[str, Account | None] = {}
        self._prepared: dict[tuple[str, str], str] = {}

    async def account(self, name: str) -> Account | None:
        """Return an account, by its last version if it has ended; None = files had it, or it is not valid now."""
        if name in self.accounts:
            return self.accounts[name]
        if name not in self._ended:
            self._ended[name] = await self._as_it_ended(name)
        return self._ended[name]

    async def _as_it_ended(self, name: str) -> Account | None:
        versions = await self._office.stores.objects.history("accounts", name)
        last = in_force_at((each for each in versions if each.body is not None), self._office.now())
        if last is None:
            return None
        try:
            return self._office.definitions.accounts([last])[name]
        except ConfigError:  # such as by a template that has ended, too: its calls are invoiced all the same
            return None

    async def of_account(self, name: str) -> InvoiceTerms:
        """Return the terms of an account."""
        account = await self.account(name)
        return InvoiceTerms() if account is None else account.invoice

    async def cycle_of(self, name: str) -> InvoiceCycle | None:
        """Return the cycle of an account's invoices; None = it is a vendor's, which get none."""
        return None if _is_vendor(await self.account(name)) else (await self.of_account(name)).cycle

    async def of_issuer(self, issuer: str) -> IssuerTerms:
        """Return the terms of an issuer, as ``InvoiceSettings`` has them."""
        account = await self.account(issuer) if issuer else None
        return self.settings.terms_of(issuer, None if account is None else account.name)

    async def issuing_party(self, issuer: str) -> InvoiceParty:
        """Return an issuer as it is printed."""
        terms = await self.of_issuer(issuer)
        return InvoiceParty(
            account=issuer,
            name=terms.name,
            address=terms.address,
            tax_id=terms.tax_id,
            bank=terms.bank,
            contact=terms.contact,
        )

    async def plan(self, draft: StoredInvoice) -> IssuePlan:
        """Return the terms by which a draft is issued now.

        Raises:
            ClockAhead: now has not come by the database's clock: the number and the date would be of another day.
        """
        now = self._office.now()
        await check_has_come(self._office.stores.database, now)
        issuer, today = await self.of_issuer(draft.issuer), day_of(now, self.zone)
        wanted = await self.of_account(draft.account)
        is_invoice = draft.kind == INVOICE
        form = NumberForm(issuer.number if is_invoice else issuer.credit_number)
        due = today + timedelta(days=issuer.due_days if wanted.due_days is None else wanted.due_days)
        behind = await self._office.stores.invoices.credit_behind(draft) if is_invoice else ZERO
        # Money that went away behind the period, such as a debit that bounced, counts as that which came.
        is_settled = is_invoice and is_paid(-draft.closing, behind, draft.currency)
        series = form.series(today)
        key = draft.issuer, series
        if key not in self._prepared:
            template = form_of(self.settings)
            self._prepared[key] = await self._office.stores.invoices.prepare(draft.issuer, series, template)
        content = msgspec.json.decode(draft.document, type=InvoiceDocument)
        return IssuePlan(
            series=series,
            written=lambda counted: form.written(today, counted),
            at=now,
            due_at=midnight(due + timedelta(days=1), self.zone),
            document=lambda number: _encoded(_dated(content, number, today, due, is_settled=is_settled)),
            template=self._prepared[key],
        )


def _dated(content: InvoiceDocument, number: str, today: date, due: date, *, is_settled: bool) -> InvoiceDocument:
    due_on = due.isoformat() if content.kind == INVOICE else ""
    return msgspec.structs.replace(
        content, number=number, issued_on=today.isoformat(), due_on=due_on, is_settled=is_settled
    )


def _encoded(document: InvoiceDocument) -> str:
    return msgspec.json.encode(document).decode()


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
    plan = await _Terms(office).plan(draft)
    made = await office.stores.invoices.issue(draft, plan, office.audit_line(who, order, draft.account))
    return await _sheet_of_made(office, who, made)


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
    _require_issued(invoice)
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
        document=_encoded(taken),
    )
    plan = await _Terms(office).plan(note)
    made = await office.stores.invoices.cancel(invoice, note, plan, office.audit_line(who, order, invoice.account))
    return await _sheet_of_made(office, who, made)


def _require_issued(invoice: StoredInvoice) -> None:
    if invoice.kind == INVOICE and invoice.state is StoredState.ISSUED:
        return
    said = "a draft" if invoice.state is StoredState.DRAFT else "a credit note"
    if invoice.state is StoredState.CANCELLED:
        said = "cancelled"
    raise NotIssuedError(f"invoice {invoice.number or f'#{invoice.id}'} is {said}")


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
    invoice = await _visible(office, await _scope(office, who), order.id)
    _require_issued(invoice)
    amount = order.amount
    owed = [_owed(each) for each in (await office.stores.invoices.owed([invoice.account]))[invoice.account]]
    named = name_in_reference(_owed(invoice), [*owed, _owed(invoice)])
    reference = f"{REFERENCE}{named}{f' {order.reference}' if order.reference else ''}"
    if amount is None:
        paid = (await _paid(office, [invoice]))[invoice.id]
        amount = invoice.gross - paid
        if is_paid(invoice.gross, paid, invoice.currency):
            raise OrderError("amount", f"is missing: invoice {invoice.number} is paid")
    booked = BookPayment(account=invoice.account, amount=amount, reference=reference, memo=order.memo)
    done = await book_payment(office, who, booked, is_open_sum=order.amount is None, said=order.reference or None)
    is_repeated = done.repeated if isinstance(done, WaitingSheet) else done[0].repeated
    if is_repeated and not order.reference:
        paid = (await _paid(office, [invoice]))[invoice.id]
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


@needs(Permission.MONEY_SEE, by_account=True)
async def list_invoices(office: Office, who: Principal, order: ListInvoices) -> list[InvoiceSheet]:
    """Return invoices and credit notes; agents and customers see issued ones alone (``InvoicesSeen``).

    Raises:
        UnknownNameError: nothing fits, and the account is unknown.
    """
    scope = await _scope(office, who)
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
        paid |= await _paid(office, [each for each in found if each.id not in paid])
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


async def _scope(office: Office, who: Principal) -> Scope:
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
    scope = await _scope(office, who)
    seen = await _seen(office, scope)
    found = [each for each in found if seen is None or seen.has(each)]
    if len(found) > 1:
        named = " or ".join(f"#{each.id}" for each in found)
        raise NoSuchInvoiceError(f"several issuers have an invoice {order.number}: say {named}")
    if not found:
        raise _none(order.number)
    return await _sheet(office, scope, found[0])


def _none(named: str) -> NoSuchInvoiceError:
    return NoSuchInvoiceError(f"there is no invoice {named}: vosd invoice list has them")


@needs(Permission.MONEY_SEE, by_account=True)
async def show_invoice(office: Office, who: Principal, order: ShowInvoice) -> InvoiceDetail:
    """Return an invoice with its document.

    Raises:
        NoSuchInvoiceError: there is none of the id, or the principal may not see it.
        InvoiceAlteredError: its document was changed since.
    """
    scope = await _scope(office, who)
    found = await _visible(office, scope, order.id)
    found.check_document()
    document = msgspec.json.decode(found.document, type=InvoiceDocument)
    note = await office.stores.invoices.credit_note(found)
    return InvoiceDetail(
        **msgspec.structs.asdict(await _sheet(office, scope, found)),
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
    found = await _visible(office, await _scope(office, who), order.id)
    found.check_document()
    is_draft = found.template is None
    form = form_of(office.definitions.settings.invoices) if is_draft else await office.stores.invoices.template(found)
    return await printed_beside(partial(printed, form, found.document, found.issued_at))


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
        return await _sheet(office, office.scope_of(who), found)
    found.check_document()
    if found.state is StoredState.CANCELLED:
        raise NotIssuedError(f"invoice {found.number} is cancelled: its credit note can be sent")
    recipients = order.to or (await _Terms(office).of_account(found.account)).mail
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
    paid = (await _paid(office, [found])).get(found.id, ZERO)
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
        return await _sheet(office, office.scope_of(who), mailed)
    sent, refused = outcome
    if sent.state is StoredState.CANCELLED:
        raise NotIssuedError(f"invoice {sent.number} was cancelled while it was mailed: send its credit note, too")
    if refused:
        raise InvoiceNotSentError(f"{refusals(refused)}; the other addresses have the mail")
    return await _sheet_of_made(office, who, sent)


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


@needs(Permission.MONEY_SEE, by_account=True)
async def read_invoiced_calls(office: Office, who: Principal, order: ReadInvoicedCalls) -> AsyncGenerator[str, None]:
    """Yield the calls of an invoice, and the corrections of calls, as CSV with a header.

    Raises:
        NoSuchInvoiceError: there is none of the id, or the principal may not see it.
        DroppedPeriod: calls or entries of its period were dropped.
        StoreUnavailable: what was yielded is correct, and is not all.
    """
    invoice = await _visible(office, await _scope(office, who), order.id)
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


async def _visible(office: Office, scope: Scope, number: int) -> StoredInvoice:
    seen = await _seen(office, scope)
    found = await office.stores.invoices.one(number)
    if seen is not None and not seen.has(found):
        raise _none(f"#{number}")
    return found


async def _sheet(office: Office, scope: Scope, invoice: StoredInvoice) -> InvoiceSheet:
    return (await _with_due_days(office, await _sheets(office, scope, [invoice])))[0]


async def _sheet_of_made(office: Office, who: Principal, invoice: StoredInvoice) -> InvoiceSheet:
    """Return what was issued or mailed; raises OutcomeUnknown where the database goes away behind the commit."""
    try:
        return await _sheet(office, office.scope_of(who), invoice)
    except StoreUnavailable as error:
        raise OutcomeUnknown(str(error)) from error


async def _sheets(office: Office, scope: Scope, found: Sequence[StoredInvoice]) -> list[InvoiceSheet]:
    """Return invoices as a principal sees them: agents and customers without the names of operators."""
    return _shown(office, scope, found, await _paid(office, found))


def _shown(
    office: Office, scope: Scope, found: Sequence[StoredInvoice], paid: Mapping[int, Decimal]
) -> list[InvoiceSheet]:
    sheets = [_sheet_of(each, paid.get(each.id, ZERO), office.now()) for each in found]
    return [msgspec.structs.replace(each, operator=scope.shown_operator(each.operator)) for each in sheets]


async def _with_due_days(office: Office, sheets: Sequence[InvoiceSheet]) -> list[InvoiceSheet]:
    """Take the days from the documents: ``invoices.timezone`` may have changed since they were printed."""
    days = await office.stores.invoices.due_days([each.id for each in sheets if each.issued_at is not None])
    return [msgspec.structs.replace(each, due_on=days.get(each.id)) for each in sheets]


async def _paid(office: Office, found: Sequence[StoredInvoice]) -> Mapping[int, Decimal]:
    """Return what is paid of issued invoices, by id."""
    live = {each.account for each in found if each.kind == INVOICE and each.state is StoredState.ISSUED}
    return await paid_by_invoice(office.stores, sorted(live))


def _owed(invoice: StoredInvoice) -> Owed:
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
        found = paid_of(opening, [_owed(each) for each in invoices], credits[name])
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
