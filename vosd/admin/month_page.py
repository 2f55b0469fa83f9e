"""The auditor's page of a closed month: calls, money, taxes, balances, files, each with the command that proves it."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec


class MonthObstacle(StrEnum):
    """Kinds of work that is missing before a month can be closed."""

    NOT_OVER = "not_over"
    """The month has not ended."""
    UNBOOKED = "unbooked"
    """Calls of the month run, or have ended and are not booked."""
    QUARANTINED = "quarantined"
    """The database has refused records of calls."""
    LEDGER_DIFFERS = "ledger_differs"
    """The ledger does not agree with the calls, the balances or the journal."""
    CALLS_DROPPED = "calls_dropped"
    """Calls or entries of the month were dropped."""
    SUMS_MISSING = "sums_missing"
    """Calls are not in the sums of reports yet."""
    SUMS_DIFFER = "sums_differ"
    """Sums of reports are not those of their calls."""
    DAYS_OPEN = "days_open"
    """Days of the month have no sums of their own yet."""
    VENDOR_UNMATCHED = "vendor_unmatched"
    """Calls of a vendor are in no reconciliation."""
    DISPUTE_OPEN = "dispute_open"
    """A dispute about the month has not ended."""
    INVOICES_MISSING = "invoices_missing"
    """Charges are on no invoice; found when the invoices are made."""

    @property
    def may_pass(self) -> bool:
        """Whether a month may be closed despite it, with a reason."""
        return self in _MAY_PASS


_MAY_PASS: Final = frozenset(
    {
        MonthObstacle.QUARANTINED,
        MonthObstacle.VENDOR_UNMATCHED,
        MonthObstacle.DISPUTE_OPEN,
        MonthObstacle.INVOICES_MISSING,
    }
)


class MissingOfMonth(msgspec.Struct, frozen=True):
    """Work that is missing before a month can be closed."""

    obstacle: MonthObstacle
    """Kind of the work."""
    detail: str
    """Sentence with the numbers."""
    do: str
    """Command that does the work, or shows more; empty where only time helps."""


class CallMoney(msgspec.Struct, frozen=True):
    """Sums of the calls that began in the month, of one currency; money as text."""

    currency: str
    fee: str
    """Charges of customers without tax."""
    tax: str
    """Tax on them."""
    cost: str
    """Charges of vendors without tax."""
    cost_tax: str
    """Tax on them."""


class LedgerMoney(msgspec.Struct, frozen=True):
    """Entries of the month of one kind and currency; money as text."""

    currency: str
    kind: str
    """Kind of the entries, as statements have it."""
    entries: int
    """Number of the entries."""
    amount: str
    """Sum of the entries, as text."""
    tax: str | None
    """The part of the amount that is tax; null = not known of some entries."""


class BalanceMoney(msgspec.Struct, frozen=True):
    """Balances of all accounts of one currency; money as text."""

    currency: str
    accounts: int
    """Number of the accounts."""
    opening: str
    """Sum of the balances at the begin of the month, as text."""
    moved: str
    """Sum of the entries of the month, as text."""
    closing: str
    """Sum of the balances at its end, as text."""


class InvoiceMoney(msgspec.Struct, frozen=True, kw_only=True):
    """Invoices and credit notes of the month, of one issuer and currency; money as text."""

    issuer: str = ""
    """Agent that has issued them to its customers; empty = they are this installation's own."""
    currency: str
    invoices: int
    """Number of the invoices."""
    credit_notes: int
    """Number of the credit notes; what they take back is in the sums."""
    net: str
    """Sum without tax, as text."""
    tax: str
    gross: str
    """Sum with tax, as text."""


class VendorOfMonth(msgspec.Struct, frozen=True):
    """A comparison of a vendor's bill with the calls of the month; money as text."""

    id: int
    """Number of the comparison."""
    account: str
    """Account of the vendor."""
    currency: str | None
    theirs: str
    """Price of the vendor, as text."""
    ours: str
    """Cost that is booked here, as text."""
    dispute: str | None
    """State of the dispute; null = nothing is disputed."""
    disputed: str | None
    """Amount of the dispute, as text."""


class MonthFile(msgspec.Struct, frozen=True):
    """A file of the month."""

    name: str
    """Name of the file."""
    rows: int
    """Lines of the file without the header."""
    bytes: int
    sha256: str
    """Digest of the file as it is, in hexadecimal digits."""


class MonthPage(msgspec.Struct, frozen=True, kw_only=True):
    """The auditor's page; times are RFC 3339."""

    month: str
    zone: str
    """Time zone in which the month begins and ends."""
    since: str
    until: str
    closed_at: str
    """Time of the close."""
    operator: str
    version: str
    """Version of the program."""
    passed: tuple[MissingOfMonth, ...]
    """Work that was missing, and that the month was closed despite of."""
    reason: str | None
    """The reason for that."""
    calls: int
    """Calls that began in the month."""
    answered: int
    """Answered calls of these."""
    money: tuple[CallMoney, ...]
    """Sums of these calls, by currency."""
    ledger: tuple[LedgerMoney, ...]
    """Entries of the month, by currency and kind."""
    balances: tuple[BalanceMoney, ...]
    """Balances, by currency."""
    invoices: tuple[InvoiceMoney, ...]
    """Invoices whose periods end in the month, and those of earlier ones that were issued since the last close."""
    invoice_periods: tuple[str, ...] = ()
    """Periods of these invoices."""
    formulas_neutralised: bool = False
    """An apostrophe stands before cells that a spreadsheet would take for formulas; months closed earlier have none."""
    minimums_not_begun: tuple[str, ...] = ()
    """Accounts with a minimum consumption that owe none for the month, because they were opened after it."""
    minimums_unknown: tuple[str, ...] = ()
    """Accounts whose minimum at the end of the month is not known: a variable or a file had it."""
    vendors: tuple[VendorOfMonth, ...]
    """Comparisons of vendors' bills."""
    files: tuple[MonthFile, ...]
    """Files of the month."""


_NEUTRALISED: Final = (
    "A cell that a spreadsheet would take for a formula has an apostrophe before it, such as a number with `+`.",
    "",
)


def page_as_text(page: MonthPage) -> str:
    """Return the page as Markdown."""
    span = f" --since {page.since} --until {page.until}"
    passed = [f"- {each.obstacle}: {each.detail} (`{each.do}`)" for each in page.passed]
    if passed:
        passed = ["", "Closed despite:", "", *passed, "", f"Reason: {page.reason}"]
    when = f"From {page.since} to {page.until} ({page.zone}). Closed at {page.closed_at} by {page.operator}"
    counted = f"{page.calls} calls began in the month, {page.answered} of them were answered."
    lines = [
        f"# Month {page.month}",
        "",
        f"{when}, with vosd {page.version}.",
        *passed,
        "",
        "## Calls",
        counted,
        "A call is counted in the month in which it begins; its money is in the ledger of the month in which it ends.",
        "",
        *_table(CallMoney, page.money),
        "",
        *_proof(
            f"vosd report revenue{span} --group whole",
            f"vosd report routing-gateways{span} --group whole",
            f"vosd report verify{span}",
        ),
        "## Ledger and taxes",
        *_table(LedgerMoney, page.ledger),
        "",
        *_proof(f"vosd ledger statement --all --month {page.month} --zone {page.zone}", "vosd ledger verify --whole"),
        *_named("No minimum consumption is owed by accounts that were opened after the month", page.minimums_not_begun),
        *_named("The minimum at the end of the month is not known, and not booked, of", page.minimums_unknown),
        "## Balances",
        *_table(BalanceMoney, page.balances),
        "",
        *_proof(f"vosd ledger balances --at {page.since}", f"vosd ledger balances --at {page.until}"),
        "## Invoices",
        "Invoices whose periods end in the month, and those of earlier periods that were issued since the last close.",
        "Those with an issuer, and their tax, are of that agent.",
        "",
        *_table(InvoiceMoney, page.invoices),
        "",
        *_proof(*(f"vosd invoice list --period {each}" for each in page.invoice_periods or (page.month,))),
        "## Vendors' bills",
        *_table(VendorOfMonth, page.vendors),
        "",
        *_proof("vosd reconcile list", *(f"vosd reconcile show {each.id}" for each in page.vendors)),
        "## Files",
        *(_NEUTRALISED if page.formulas_neutralised else ()),
        *_table(MonthFile, page.files),
        "",
        *_proof("sha256sum -c SHA256SUMS"),
    ]
    return "\n".join(lines)


def _named(words: str, accounts: Sequence[str]) -> Iterable[str]:
    return (f"{words}: {', '.join(accounts)}.", "") if accounts else ()


def _table(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct]) -> Iterable[str]:
    if not rows:
        return ["None."]
    names = kind.__struct_fields__
    cells = (["" if value is None else str(value) for value in msgspec.structs.astuple(row)] for row in rows)
    head = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return [*head, *(f"| {' | '.join(each)} |" for each in cells)]


def _proof(*commands: str) -> Iterable[str]:
    return ["```", *commands, "```", ""]
