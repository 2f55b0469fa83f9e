"""``invoices``: who issues them, their numbers and their form; and ``accounts[].invoice``: who gets them."""

from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Final

from vosd.billing.invoice_terms import InvoiceCycle, InvoiceLines, IssuerTerms
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    line_of_text,
    mail_address,
    object_name,
    whole,
)
from vosd.config.reader.files import file_path
from vosd.config.reader.times import time_zone
from vosd.invoicing.numbers import BadFormError, NumberForm

_DEFAULT: Final = IssuerTerms()


def _number_form() -> FromText:
    """Read the form of numbers."""

    def read(text: str) -> str:
        try:
            NumberForm(text)
        except BadFormError as error:
            raise ExpectedError(str(error)) from None
        return text

    return FromText("a form of numbers such as {year}-{number:06}", read)


def _language() -> FromText:
    """Read the name of a language."""

    def read(text: str) -> str:
        if not text.isascii() or not text.replace("-", "").isalpha() or not 2 <= len(text) <= 8:
            raise ValueError
        return text.lower()

    return FromText("a language such as en or zh", read)


PrintedLines = Annotated[tuple[Annotated[str, line_of_text(1, 128)], ...], ONE_OR_MANY]


class InvoiceTermKeys(Keys):
    """Terms of the invoices of an account; a term that is left out is that of the issuer."""

    cycle: Annotated[InvoiceCycle, choice(InvoiceCycle)] = InvoiceCycle.MONTH
    """Length of its periods: ``month``, ``half_month``, ``week`` or ``day``."""
    name: Annotated[str | None, line_of_text(1, 128)] = None
    """Name that invoices are addressed to. Default: ``name`` of the account."""
    address: PrintedLines = ()
    """Lines of the postal address."""
    tax_id: Annotated[str, line_of_text(0, 64)] = ""
    """Number that its tax office knows it by."""
    mail: Annotated[tuple[Annotated[str, mail_address()], ...], ONE_OR_MANY] = ()
    """Addresses that `vosd invoice send` sends its invoices to, by the server of ``alarms.mail``."""
    language: Annotated[str | None, _language()] = None
    """Language of its invoices. Default: that of ``invoices``."""
    due_days: Annotated[int | None, whole(0, 365)] = None
    """Days from the date of an invoice until it is due. Default: those of ``invoices``."""
    lines: Annotated[InvoiceLines | None, choice(InvoiceLines)] = None
    """Lines of its invoices. Default: those of ``invoices``."""


class IssuerKeys(Keys):
    """Issuer of invoices, as it is printed on them."""

    name: Annotated[str, line_of_text(0, 128)] = ""
    """Name that is printed. Default: ``node``; of an agent the name of its account."""
    address: PrintedLines = ()
    """Lines of the postal address."""
    tax_id: Annotated[str, line_of_text(0, 64)] = ""
    """Number that the tax office knows it by."""
    bank: PrintedLines = ()
    """Lines that say where to pay."""
    contact: PrintedLines = ()
    """Lines that say where to ask."""
    number: Annotated[str, _number_form()] = _DEFAULT.number
    """Form of the numbers of invoices, with {year}, {month} and {number}; ``{number:06}`` has six digits. Each issuer
    counts without gaps, anew where the text around the number changes."""
    credit_number: Annotated[str, _number_form()] = _DEFAULT.credit_number
    """Form of the numbers of credit notes."""
    due_days: Annotated[int, whole(0, 365)] = _DEFAULT.due_days
    """Days from the issue in which an invoice is to be paid."""
    language: Annotated[str, _language()] = _DEFAULT.language
    """Language of the printed form: ar, de, en, es, fr or zh; ``labels_file`` may have others."""
    lines: Annotated[InvoiceLines, choice(InvoiceLines)] = _DEFAULT.lines
    """Key by which calls are added up: ``area``, or ``prefix``, which has the price, too."""

    def _judge(self) -> None:
        if self.number == self.credit_number:
            raise KeyProblemError("credit_number", "another form than that of number")


class AgentIssuerKeys(IssuerKeys):
    """An agent that issues invoices to the accounts below it."""

    account: Annotated[str, object_name("accounts")]
    """Account of the agent."""


class InvoiceKeys(IssuerKeys):
    """Invoices (docs/books.md). A reload changes all of it."""

    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone in which periods begin and end. Default: UTC."""
    agents: tuple[AgentIssuerKeys, ...] = ()
    """Agents whose invoices look otherwise than the defaults, each by itself."""
    template_file: Annotated[Path | None, file_path()] = None
    """Template of the printed form, typst. Default: the one that ships (`vosd invoice template`)."""
    labels_file: Annotated[Path | None, file_path()] = None
    """JSON file with the words of the form by language, which add to those that ship."""
    logo_file: Annotated[Path | None, file_path()] = None
    """PNG, JPEG or SVG file that is printed at the top."""
    lock_after_days: Annotated[int | None, whole(1, 365)] = None
    """Calls of an account are refused when an invoice is overdue for so many days. Default: never."""

    def _judge(self) -> None:
        super()._judge()
        if len({each.account for each in self.agents}) < len(self.agents):
            raise KeyProblemError("agents", "each account once")
