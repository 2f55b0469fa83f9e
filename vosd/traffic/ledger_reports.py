"""Reports over the ledger, beside those over calls: what each has for columns."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from vosd.traffic.reports import OWNER, SUMMED_GROUPS


class LedgerColumn(NamedTuple):
    """A column of such a report."""

    name: str
    kind: str
    """``text``, ``count`` or ``money``."""
    meaning: str


class LedgerReport(NamedTuple):
    """A report over entries of the ledger by the dates of the entries."""

    name: str
    meaning: str
    columns: tuple[LedgerColumn, ...]
    group: str = "whole"
    """Spans into which it is divided where the order says none."""
    groups: tuple[str, ...] = SUMMED_GROUPS
    """Spans into which it can be divided."""
    criteria: tuple[str, ...] = ("account", "below")
    """Criteria of its entries."""


_ACCOUNT: Final = LedgerColumn("account", "text", "account of the ledger")
_CURRENCY: Final = LedgerColumn("currency", "text", "currency of its amounts")
_OWNER: Final = tuple(LedgerColumn(name, "text", meaning) for name, meaning in OWNER.items())
_TYPE: Final = LedgerColumn("type", "text", "type of the account; empty = it is no longer configured")
_REPORTS: Final = (
    LedgerReport(
        "balances",
        "Balances of all accounts at the end of a time, and when each was paid last.",
        (
            _ACCOUNT,
            *_OWNER,
            _CURRENCY,
            _TYPE,
            LedgerColumn("balance", "money", "balance at the end of the time"),
            LedgerColumn("overdraft_limit", "text", "amount to which calls may take it below zero, as configured now"),
            LedgerColumn("reserved", "money", "what running calls hold; only where the time ends now"),
            LedgerColumn("available", "text", "what further calls may cost; only where the time ends now"),
            LedgerColumn("expires_at", "text", "when its calls are refused, as of now, RFC 3339; empty = never"),
            LedgerColumn("last_payment", "text", "date of the last payment before, RFC 3339"),
            LedgerColumn("last_amount", "money", "amount of that payment"),
        ),
    ),
    LedgerReport(
        "payments",
        "Payments, refunds and other entries that are not of calls, by account and kind.",
        (
            _ACCOUNT,
            _CURRENCY,
            LedgerColumn("kind", "text", "kind of the entries"),
            LedgerColumn("entries", "count", "number of the entries"),
            LedgerColumn("amount", "money", "sum of the entries; above zero = to the account"),
        ),
    ),
    LedgerReport(
        "clearing",
        "Accounts of vendors, partners, agents and customers: opening balance, calls, payments, closing balance.",
        (
            _ACCOUNT,
            *_OWNER,
            _CURRENCY,
            _TYPE,
            LedgerColumn("opening", "money", "balance before"),
            LedgerColumn("calls", "count", "entries of calls that the account pays, or that a vendor is paid for"),
            LedgerColumn("charged", "money", "sum of these entries, with tax"),
            LedgerColumn("carried", "count", "entries of calls that a partner has carried"),
            LedgerColumn("earned", "money", "sum of these entries, with tax"),
            LedgerColumn("corrections", "money", "corrections of charges"),
            LedgerColumn("payments", "money", "payments, refunds and transfers"),
            LedgerColumn("others", "money", "adjustments, minimums and other entries"),
            LedgerColumn("closing", "money", "balance behind: the sum of the amounts before"),
        ),
        group="month",
    ),
)
LEDGER_REPORTS: Final[Mapping[str, LedgerReport]] = {report.name: report for report in _REPORTS}
