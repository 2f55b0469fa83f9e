"""The terms on which invoices are made: those of the issuer and of the account."""

from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.invoice_pdf import form_of
from vosd.admin.office.office import Office
from vosd.base.money import ZERO
from vosd.billing.accounts import Account, AccountType
from vosd.billing.invoice_terms import InvoiceCycle, InvoiceTerms, IssuerTerms
from vosd.catalogue.problems import ConfigError
from vosd.catalogue.stored_objects import in_force_at
from vosd.invoicing.invoice import InvoiceDocument, InvoiceParty
from vosd.invoicing.numbers import NumberForm
from vosd.invoicing.periods import day_of, midnight
from vosd.invoicing.settlement import is_paid
from vosd.storage.database_clock import check_has_come
from vosd.storage.invoices import INVOICE, IssuePlan, StoredInvoice


def is_vendor(account: Account | None) -> bool:
    """Return whether an account is one of a vendor (``clearing``)."""
    return account is not None and account.type is AccountType.CLEARING


class ConfiguredTerms:
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
        return None if is_vendor(await self.account(name)) else (await self.of_account(name)).cycle

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
            document=lambda number: encoded_document(_dated(content, number, today, due, is_settled=is_settled)),
            template=self._prepared[key],
        )


def _dated(content: InvoiceDocument, number: str, today: date, due: date, *, is_settled: bool) -> InvoiceDocument:
    due_on = due.isoformat() if content.kind == INVOICE else ""
    return msgspec.structs.replace(
        content, number=number, issued_on=today.isoformat(), due_on=due_on, is_settled=is_settled
    )


def encoded_document(document: InvoiceDocument) -> str:
    """Return a document as it is stored."""
    return msgspec.json.encode(document).decode()
