"""Rows of the reports over the ledger: balances, payments, accounts from balance to balance."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from vosd.admin.ledger import available
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import NEVER
from vosd.cdr.columns import iso_utc
from vosd.control.money import Commitments
from vosd.storage.ledger_values import EARNED, Balance, Turnover
from vosd.storage.ports import EntryKind
from vosd.traffic.ledger_reports import LedgerReport
from vosd.traffic.spans import ReportSpan

if TYPE_CHECKING:
    from vosd.storage.stores import SqlStores

ReportCells = dict[str, str | int | None]


class AccountTerms(msgspec.Struct, frozen=True):
    """Terms of an account that reports show beside its figures."""

    type: str
    overdraft_limit: str
    """Amount as text, or ``unlimited``."""
    name: str = ""
    """The owner of the account, in words."""
    agent: str = ""
    """Account above it; empty = it is at the top."""
    expires_at: int | None = None
    """As configured, UTC milliseconds; None = never."""
    currency: str = ""


def _no_terms(_account: str) -> AccountTerms | None:
    return None


class AccountsBeside(NamedTuple):
    """Facts about accounts that are not in the ledger."""

    terms: Callable[[str], AccountTerms | None] = _no_terms
    """Returns the terms of an account; None = it is not configured any more."""
    names: Collection[str] = ()
    """All configured accounts."""
    committed: Mapping[str, Commitments] | None = None
    """Amounts that calls hold and owe; None = not known, such as at a moment that has passed."""


_NO_ENTRIES: Final = (0, ZERO)
_PAID: Final = {EntryKind.PAYMENT.value, EntryKind.REFUND.value, EntryKind.TRANSFER.value}


async def ledger_rows(
    stores: "SqlStores",
    report: LedgerReport,
    spans: Sequence[ReportSpan],
    accounts: Collection[str] | None,
    beside: AccountsBeside,
    most: int,
) -> tuple[list[ReportCells], list[ReportCells]]:
    """Return the rows of a report, and its totals by currency.

    Args:
        stores: the database.
        report: one of ``LEDGER_REPORTS``.
        spans: times, one behind the other.
        accounts: those that the report is about; None = all.
        beside: what reports show beside the ledger.
        most: rows after which they may end, as there are too many; balances are as many as accounts.

    Raises:
        DroppedPeriod: entries of then were dropped.
        StoreUnavailable: try again.
    """
    if report.name == "balances":
        rows = await _balances(stores, spans, accounts, beside)
    else:
        make = {"clearing": _clearing, "payments": _payments}[report.name]
        rows = await make(stores, spans, accounts, beside, most)
    return rows, _totals(report, rows)


async def _balances(
    stores: "SqlStores", spans: Sequence[ReportSpan], accounts: Collection[str] | None, beside: AccountsBeside
) -> list[ReportCells]:
    rows: list[ReportCells] = []
    expiries = (await stores.books.standings_between("", None)).expiries
    moments = [span.until for span in spans]
    payments = await stores.ledger.last_payments(moments, accounts)
    of_spans = await stores.ledger.balances_at(moments, accounts)
    # no switch has run with these accounts yet
    without = [name for name in asked_of(beside.names, accounts) if name not in of_spans[0]]
    fresh = {name: Balance(name, _currency(beside.terms(name)), ZERO) for name in without}
    for span, known, paid in zip(spans, of_spans, payments, strict=True):
        committed_by = beside.committed if span is spans[-1] else None
        balances = {**known, **fresh}
        for name in sorted(balances):
            each = balances[name]
            at, amount = paid.get(each.account, (None, None))
            terms = beside.terms(each.account)
            committed = None if committed_by is None else committed_by.get(each.account, Commitments())
            expires_at = expiries.get(each.account, terms.expires_at if terms else None)
            rows.append(
                {
                    "span": span.label,
                    **_shown(each.account, each.currency, terms),
                    "balance": format_amount(each.balance),
                    "overdraft_limit": terms.overdraft_limit if terms else "",
                    "reserved": None if committed is None else committed.reserved,
                    "available": None
                    if committed is None or terms is None
                    else available(each.balance, terms.overdraft_limit, committed),
                    "expires_at": None if expires_at is None or expires_at >= NEVER else iso_utc(expires_at),
                    "last_payment": None if at is None else iso_utc(at),
                    "last_amount": None if amount is None else format_amount(amount),
                }
            )
    return rows


def asked_of(names: Collection[str], accounts: Collection[str] | None) -> Collection[str]:
    """Return the names that are among the accounts of a report; None = all are."""
    return names if accounts is None else {*names} & {*accounts}


def _shown(account: str, currency: str | None, terms: AccountTerms | None) -> ReportCells:
    """Return what a row has of its account; ``terms`` None = it is not configured any more."""
    return {
        "account": account,
        "name": terms.name if terms else "",
        "agent": terms.agent if terms else "",
        "currency": currency or "",
        "type": terms.type if terms else "",
    }


def _currency(terms: AccountTerms | None) -> str | None:
    return None if terms is None else terms.currency


async def _payments(
    stores: "SqlStores",
    spans: Sequence[ReportSpan],
    accounts: Collection[str] | None,
    _beside: AccountsBeside,
    most: int,
) -> list[ReportCells]:
    return [
        {
            "span": spans[each.time].label,
            "account": each.account,
            "currency": each.currency or "",
            "kind": each.kind,
            "entries": each.entries,
            "amount": format_amount(each.amount),
        }
        for each in await stores.ledger.by_kind(spans[0].since, [span.until for span in spans], accounts, most)
    ]


async def _clearing(
    stores: "SqlStores",
    spans: Sequence[ReportSpan],
    accounts: Collection[str] | None,
    beside: AccountsBeside,
    most: int,
) -> list[ReportCells]:
    turnovers = await stores.ledger.turnovers(spans[0].since, [span.until for span in spans], accounts, most)
    return [
        {"span": span.label, **_shown(name, each.currency, beside.terms(name)), **_of(each)}
        for span, of_span in zip(spans, turnovers, strict=True)
        for name, each in sorted(of_span.items())
    ]


def _of(turnover: Turnover) -> ReportCells:
    by_kind = dict(turnover.by_kind)
    calls, charged = by_kind.pop(EntryKind.CALL.value, _NO_ENTRIES)
    carried, earned = by_kind.pop(EARNED, _NO_ENTRIES)
    _, corrected = by_kind.pop(EntryKind.CORRECTION.value, _NO_ENTRIES)
    paid = sum((amount for kind, (_, amount) in by_kind.items() if kind in _PAID), ZERO)
    others = sum((amount for kind, (_, amount) in by_kind.items() if kind not in _PAID), ZERO)
    return {
        "opening": format_amount(turnover.opening),
        "calls": calls,
        "charged": format_amount(charged),
        "carried": carried,
        "earned": format_amount(earned),
        "corrections": format_amount(corrected),
        "payments": format_amount(paid),
        "others": format_amount(others),
        "closing": format_amount(turnover.closing),
    }


_NO_SUMS: Final = {"opening", "closing", "last_amount"}
"""Amounts whose sum over rows has no meaning."""


def _totals(report: LedgerReport, rows: Sequence[ReportCells]) -> list[ReportCells]:
    """Return the sums of counts and amounts by currency; balances of several moments are not added up."""
    if report.name == "balances" and len({row["span"] for row in rows}) > 1:
        return []
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    summed = [each for each in report.columns if each.kind != "text" and each.name not in _NO_SUMS]
    for row in rows:
        for column in summed:
            sums[str(row["currency"])][column.name] += Decimal(str(row[column.name] or 0))
    totals: list[ReportCells] = []
    for currency, of in sorted(sums.items()):
        total: ReportCells = {"currency": currency}
        for each in summed:
            total[each.name] = format_amount(of[each.name]) if each.kind == "money" else int(of[each.name])
        if report.name == "balances" and all(row["reserved"] is None for row in rows):
            total["reserved"] = None  # it is not known of the past
        totals.append(total)
    return totals
