"""Terms by which an account gets invoices."""

from enum import Enum

import msgspec


class InvoiceCycle(Enum):
    """Length of the periods of invoices."""

    MONTH = "month"
    HALF_MONTH = "half_month"
    """Days 1 to 15, and the rest of the month."""
    WEEK = "week"
    """From Monday, as ISO 8601 numbers them."""
    DAY = "day"


class InvoiceLines(Enum):
    """Key by which calls are added up on an invoice."""

    AREA = "area"
    PREFIX = "prefix"


class InvoiceTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of one account; None = as the issuer has it."""

    cycle: InvoiceCycle = InvoiceCycle.MONTH
    name: str | None = None
    """Name that invoices are addressed to; None = that of the account."""
    address: tuple[str, ...] = ()
    """Lines of the postal address."""
    tax_id: str = ""
    mail: tuple[str, ...] = ()
    """Addresses that invoices are sent to."""
    language: str | None = None
    due_days: int | None = None
    lines: InvoiceLines | None = None


class IssuerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of who issues invoices: the installation, or an agent to the accounts below it."""

    name: str = ""
    address: tuple[str, ...] = ()
    tax_id: str = ""
    bank: tuple[str, ...] = ()
    """Lines that say where to pay."""
    contact: tuple[str, ...] = ()
    number: str = "{year}-{number:06}"
    """Form of numbers (``vosd.invoicing.numbers``)."""
    credit_number: str = "C{year}-{number:06}"
    due_days: int = 14
    language: str = "en"
    lines: InvoiceLines = InvoiceLines.AREA
