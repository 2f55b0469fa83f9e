"""The run that makes the invoices and credit notes of a period (docs/books.md)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Final

import msgspec

from vosd.admin.names import configured
from vosd.admin.office.configured_terms import ConfiguredTerms, encoded_document, is_vendor
from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.payments import without_second_person, without_unseen_account
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.base.errors import VosError
from vosd.base.money import format_amount
from vosd.billing.invoice_terms import InvoiceCycle
from vosd.control.money import ListUnbooked
from vosd.invoicing.invoice import InvoiceDocument, InvoiceParty, InvoiceUnsoundError, summed
from vosd.invoicing.periods import InvoicePeriod, day_of, period_of
from vosd.storage.database_clock import check_has_come
from vosd.storage.invoice_sums import InvoicedPart
from vosd.storage.invoices import INVOICE, InvoiceMovedError, StoredInvoice


class PeriodNotOverError(VosError):
    """The period has not ended, so its invoice cannot be issued."""

    remedy = "a draft shows what there is so far"


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
    terms = ConfiguredTerms(office)
    found = {await terms.cycle_of(row.id) for row in await office.stores.invoices.accounts()}
    return [each for each in InvoiceCycle if each in found]


class _Run:
    """Steps of one run."""

    def __init__(
        self, office: Office, who: Principal, order: RunInvoices, period: InvoicePeriod, *, is_trial: bool
    ) -> None:
        self._office, self._who, self._order, self._period = office, who, order, period
        self._is_trial = is_trial
        self._terms = ConfiguredTerms(office)
        self._hierarchy = office.definitions.hierarchy()
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
                if is_vendor(await self._terms.account(name)):
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
            if last.period != str(self._period):
                detail = f"the last invoice, {last.number}, is of {last.period}"
                return _without_invoice(name, InvoiceOutcome.INVOICED_BEFORE, detail=detail)
            return InvoiceRunSheet(account=name, outcome=InvoiceOutcome.INVOICED_BEFORE, id=last.id, number=last.number)
        if name in self.unbooked:
            detail = f"calls of {self.unbooked[name]} are not booked"
            return _without_invoice(name, InvoiceOutcome.WAITING, detail=detail)
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
            return _without_invoice(name, InvoiceOutcome.EARLIER_MISSING, detail=detail)
        if part is None or not part.part.charged:
            return _without_invoice(name, InvoiceOutcome.NOTHING)
        if len(part.sellers) > 1 and self._period.cycle is not InvoiceCycle.DAY:
            sold = " and ".join(f"agent {each}" if each else "the installation" for each in part.sellers)
            detail = f"calls of the period were sold by {sold}: make invoices of shorter periods, down to days"
            return _without_invoice(name, InvoiceOutcome.AGENT_CHANGED, detail=detail)
        try:
            draft = await self._draft(name, part, last)
        except InvoiceUnsoundError as error:
            return _without_invoice(name, InvoiceOutcome.UNSOUND, detail=str(error))
        return await self._made(draft, msgspec.structs.replace(self._order, accounts=(name,), anew=begins_here))

    async def _made(self, draft: StoredInvoice, noted: RunInvoices) -> InvoiceRunSheet:
        """Store a draft, or issue it at once; the audit has ``noted``."""
        plan = None if self._order.draft or self._is_trial else await self._terms.plan(draft)
        audit = self._office.audit_line(self._who, noted, draft.account)
        try:
            made = draft if self._is_trial else await self._office.stores.invoices.add(draft, plan, audit)
        except InvoiceMovedError as error:
            return _without_invoice(draft.account, InvoiceOutcome.MOVED, detail=str(error))
        return InvoiceRunSheet(
            account=made.account,
            outcome=InvoiceOutcome.DRAFT if plan is None else InvoiceOutcome.ISSUED,
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
            begin_until=part.span.begin.until,
            begin_seq=part.span.begin.seq,
            floor_seq=part.span.begin.floor,
            end_seq=part.span.end_seq,
            open_seq=part.span.open_seq,
            currency=currency,
            net=sums.net,
            tax=sums.tax,
            opening=part.part.opening,
            carried=sums.carried,
            closing=sums.closing,
            made_at=self._office.now(),
            operator=self._who.recorded,
            document=encoded_document(document),
        )


def _without_invoice(account: str, outcome: InvoiceOutcome, *, detail: str = "") -> InvoiceRunSheet:
    return InvoiceRunSheet(account=account, outcome=outcome, detail=detail)
