"""Findings of an audit of the books: kinds of differences, and one difference in words."""

from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.money import format_amount


class BookFault(Enum):
    """Kinds of differences."""

    BALANCE = "the balance is not the sum of the entries"
    COUNT = "the account's seq is not the number of its entries"
    CHAIN = "the entry does not continue the one before, in number or balance"
    CHECKPOINT = "the checkpoint of the account is not what its entries say"
    NO_ACCOUNT = "entries of an account that has no row"
    CURRENCY = "the entry is in another currency than its account"
    KIND = "the entry is of a kind that this version does not know"
    CALL = "the entries of a call are not what its CDR says"
    CALL_TAX = "the tax in the entries of a call is not what its CDR says"
    CALL_CURRENCY = "the CDR, the charges and the entries of a call have different currencies"
    CHARGES = "the charges of a call are not what its CDR says"
    CHARGES_TAX = "the tax of the charges of a call is not what its CDR says"
    SECONDS = "the billed seconds of the charges of a call are not what its CDR says"
    CHARGES_WITHOUT_CDR = "the entries of a call without CDR are not what its charges say"
    TAX_WITHOUT_CDR = "the tax in the entries of a call without CDR is not what its charges say"
    CORRECTION = "the correction entries of a call are not what the table of corrections says"
    CORRECTION_TAX = "the tax in the correction entries of a call is not what the table of corrections says"
    INVOICE_DOCUMENT = "the document of the invoice is not the one that was issued"
    INVOICE_AMOUNTS = "the amounts of the invoice are not those of its document"
    INVOICE_ORDER = "the invoice does not begin with the balance with which the one before it ends"
    INVOICE_COLUMNS = (
        "number, kind, account, issuer, period, currency or due day of the invoice are not those of its document"
    )
    INVOICE_CANCELLED = "there is not one credit note for one cancelled invoice"
    INVOICE_TWICE = "two invoices in force follow the same one"
    INVOICE_NUMBERS = "the issuer has given another number of invoice numbers than it has invoices and credit notes"
    COUNTER = "the counter of commits is behind what was numbered by it"
    NO_CDR = "the journal has the call, the database has no CDR of it"
    POSTING = "the entry is not what the journal says"
    QUARANTINED = "the database has refused the call, vosd spool show says why"
    QUARANTINE_UNREADABLE = "the file of the call in quarantine cannot be read, vosd spool list says why"
    UNREADABLE = "the record of the call in the journal is damaged and there is no CDR of it, see vosd spool check"


_NUMBERS: Final = frozenset({BookFault.COUNT, BookFault.COUNTER, BookFault.SECONDS, BookFault.INVOICE_NUMBERS})
"""Faults whose two sides are numbers, not money."""


class BookDifference(NamedTuple):
    """One difference; ``found`` is the value in the database, ``expected`` the value computed from the rest."""

    fault: BookFault
    account: str
    """Empty if the fault is of no account."""
    expected: Decimal
    found: Decimal
    seq: int | None = None
    call_id: str | None = None
    invoice: str | None = None
    """Number of an invoice or of a credit note."""

    def __str__(self) -> str:
        parts = (
            ("account", self.account or None),
            ("entry", self.seq),
            ("call", self.call_id),
            ("invoice", self.invoice),
        )
        where = " ".join(f"{name} {value}" for name, value in parts if value is not None)
        said = f"{where}: {self.fault.value}" if where else self.fault.value
        if self.expected == self.found:
            return said
        write = str if self.fault in _NUMBERS else format_amount
        return f"{said}: expected {write(self.expected)}, found {write(self.found)}"


class Verification(NamedTuple):
    """Result of an audit: how much was compared, and the differences, unless they were reported one by one."""

    accounts: int
    entries: int
    calls: int
    calls_without_cdr: int
    """Calls that leave no CDR by configuration, whatever number of parties pays for each; not a difference."""
    differences: tuple[BookDifference, ...]
