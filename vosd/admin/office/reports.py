"""Use cases of reports over calls and the ledger: list those that there are, and make one."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.ledger import shown_limit
from vosd.admin.ledger_reports import AccountsBeside, AccountTerms, asked_of, ledger_rows
from vosd.admin.names import check_names, end_reason
from vosd.admin.office.accounts import commitments
from vosd.admin.office.criteria import NO_CURRENCY, refuse_plus_alone, zone_named
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.base.cause import HangupSource
from vosd.base.csv_text import csv_of
from vosd.base.errors import VosError
from vosd.base.money import format_amount
from vosd.base.number import for_matching
from vosd.billing.accounts import Account
from vosd.billing.rights import Right
from vosd.catalogue.overrides import Overrides
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import DroppedPeriod
from vosd.control.installation import ListScheduledReports, ScheduledReportRow
from vosd.storage.call_sums import PrefixQuery
from vosd.storage.ledger_values import ChargedBeside
from vosd.storage.ports import CallFilter, EntryKind
from vosd.storage.traffic import MissingCalls, SumMarks
from vosd.storage.traffic_sums import Condition, PeakRow, TrafficQuery, TrafficRow
from vosd.traffic.counted import DIGITS_SUMMED, TrafficKind
from vosd.traffic.ledger_reports import LEDGER_REPORTS, LedgerReport
from vosd.traffic.reports import (
    CRITERIA,
    DIGITS_MAX,
    FIGURES,
    OF_NUMBERS,
    OWNER,
    READ_MAX,
    REPORTS,
    SERVED_BY,
    FigureKind,
    Report,
)
from vosd.traffic.spans import Grouping, ReportSpan, begin_of, spans_of
from vosd.traffic.tables import PEAKS, Line, Peak, ReportLayout, ReportRow, ReportSource, layout_of, table_of

if TYPE_CHECKING:
    from vosd.storage.stores import SqlStores

BALANCES: Final = "balances"
WITH_TERMS: Final = frozenset({BALANCES, "clearing", *(each.name for each in REPORTS.values() if each.shows_owner)})
"""Reports that show terms of accounts."""
NOTHING_BESIDE: Final = AccountsBeside()
ROWS_MAX: Final = 50_000
"""Most rows of a report."""
_ACCOUNT_COLUMN: Final = "customer_account"
_AREA: Final = "area"
_UTC: Final = "UTC"
_LATEST: Final = 253_402_300_800_000 - 33 * 86_400_000
"""End of the calendar that is known here, less than a month and a zone before the year 10000; UTC milliseconds."""
_EARLIEST: Final = 2 * 86_400_000
"""Earliest end of a report, UTC milliseconds: in every zone the day that ends then begins in 1970."""
_AREA_PREFIX: Final = "area_prefix"
_OF_WAITS: Final = frozenset({"customer_account", "mapping_gateway", "routing_gateway"})
"""Names that sums of waits know."""
_SIDES: Final = tuple(side.text for side in HangupSource)
_NOT_FOR_AGENTS: Final = ("gateway", "vendor")
_OF_COMMON: Final = {
    "party": "the agent",
    "customer_account": "account that pays the fee",
    "vendor_account": "account that the cost is booked on",
    "mapping_gateway": "mapping gateway or phone that the calls came from",
    "routing_gateway": "routing gateway that was tried last",
    "area": "area of the customer's rate; where the rate has none, its prefix",
    "area_prefix": "digits with which the prefixes of the area begin, as far as calls have used them",
    "rate_type": "type of the customer's rate",
    "caller_prefix": "first digits of calling numbers as received",
    "callee_prefix": "first digits of called numbers as rated; as received where they were not rated",
    "end_reason": "why the calls ended",
    "sip_code": "final code as the caller saw it",
    "hangup_source": "who ended the calls: caller, callee or switch",
    "currency": "currency of fees",
    "vendor_currency": "currency of costs",
    "income_currency": "currency of income and profit",
}


class NoSuchReportError(VosError):
    """There is no report of that name, or it is not for the principal."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no report {name} that you may see: there are {', '.join(known)}")


class TooManyRowsError(VosError):
    """The report has more rows than it may have."""

    remedy = "ask for one account, gateway or area, for a shorter time, or for longer spans"


class TooManyToReadError(VosError):
    """The report would read more calls one by one than it may."""

    remedy = "ask for a shorter time, for one account or gateway, or leave the digits out"


class ColumnSheet(msgspec.Struct, frozen=True):
    """A column of a report."""

    name: str
    kind: str
    """``text``, ``count``, ``seconds``, ``percent`` or ``money``."""
    meaning: str
    """Sentence about its values."""


class ReportKindSheet(msgspec.Struct, frozen=True):
    """A report that there is."""

    name: str
    meaning: str
    """Sentence about its rows."""
    columns: tuple[ColumnSheet, ...]
    """Columns of its rows, as the one who asks sees them."""
    group: str
    """Spans into which it is divided where the order says none."""
    groups: tuple[str, ...]
    """Spans into which it can be divided."""
    criteria: tuple[str, ...]
    """Criteria of its calls, as fields of the order for it."""


class CurrenciesOfCalls(msgspec.Struct, frozen=True):
    """Criteria of `GET /cdrs` that find the calls of a row among those of rows that differ by currency alone."""

    currency: str | None = None
    vendor_currency: str | None = None


class SpanSheet(msgspec.Struct, frozen=True):
    """A span of a report."""

    span: str
    """As in its rows; empty where the report is not divided."""
    since: str
    until: str


class ReportSheet(msgspec.Struct, frozen=True):
    """A report: rows of figures, and their totals."""

    name: str
    since: str
    until: str
    zone: str
    """Time zone in which hours, days, weeks and months begin."""
    group: str
    """Spans into which it is divided."""
    columns: tuple[ColumnSheet, ...]
    """Columns of its rows, in order."""
    rows: list[dict[str, str | int | None]]
    """Values by column; money and figures with decimals as text, null where a figure has no meaning."""
    totals: list[dict[str, str | int | None]]
    """Values over all rows, one for each currency."""
    missing: int
    """Calls that are booked and not in it: they are not added up, or not in the replica yet; nearly always 0."""
    missing_in_replica: int
    """Missing calls that the database has added up: only the replica, which was read, does not have them yet."""
    calls: list[CurrenciesOfCalls | None] = []
    """Currencies that find the calls of each row; null = they would find calls of another row, too.

    Both of a row null = no other row differs by currency alone, and none are needed. Empty for a report of the ledger.
    """
    spans: list[SpanSheet] = []
    """Spans into which it is divided, one behind the other, also those without rows."""
    without: str = ""
    """Columns that it lacks, and why: entries of the ledger from that time were dropped; empty = it has all."""

    def table(self) -> list[list[str | int | None]]:
        """Return the names of the columns, then the values of the rows, without the totals."""
        names = [column.name for column in self.columns]
        return [[*names], *([row.get(name) for name in names] for row in self.rows)]

    def csv(self) -> bytes:
        """Return it as CSV for people, without the totals."""
        return csv_of(self.table()).encode()

    def total_rows(self) -> list[dict[str, str | int | None]]:
        """Return the totals as rows that say so in their first cell, where they are more than a repetition of rows."""
        first = self.columns[0].name
        return [{first: "total", **each} for each in self.totals if first not in each] if len(self.rows) > 1 else []


class ListReports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """List the reports that one may see."""


@needs(Permission.STATE_SEE, without_database=True)
async def list_scheduled_reports(
    office: Office, who: Principal, order: ListScheduledReports
) -> list[ScheduledReportRow]:
    """Return the reports that the switch makes at fixed times."""
    return await office.switch.ask(order)


class ShowReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a report over the calls that began in a time; all given criteria must hold."""

    name: str
    since: int | None = None
    """Calls that began in the quarter of an hour of this moment, or later; None = since midnight."""
    until: int | None = None
    """Calls that began before the end of the quarter of an hour of this moment; None = until now."""
    group: str | None = None
    """``whole``, ``5min``, ``hour``, ``day``, ``week`` or ``month``; None = as the report says."""
    zone: str = ""
    """In which hours, days, weeks and months begin; empty = that of the account that asks, of operators UTC."""
    account: str | None = None
    """Account of the customer; in reports about vendors' gateways that of the vendor."""
    gateway: str | None = None
    """Gateway or phone of either side."""
    area: str | None = None
    """Area, or prefix where rates have none."""
    vendor: str | None = None
    """Account of the vendor; for operators."""
    below: bool = False
    """Also the accounts below ``account``, as configured now."""
    reason: str | None = None
    """Why the calls ended, such as Busy."""
    answered: bool | None = None
    """Answered calls alone, or unanswered ones; None = both."""
    caller: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Beginning of the calling numbers as received; with more than three digits every call is read."""
    callee: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Beginning of the called numbers as rated, with or without `+`; with more than four digits every call is read."""
    caller_digits: Annotated[int, msgspec.Meta(ge=1, le=DIGITS_MAX)] | None = None
    """Rows by so many first digits of the calling numbers; from four on every call is read."""
    callee_digits: Annotated[int, msgspec.Meta(ge=1, le=DIGITS_MAX)] | None = None
    """Rows by so many first digits of the called numbers; from five on every call is read."""


@needs(Permission.CALLS_SEE, by_account=True, without_database=True)
async def list_reports(office: Office, who: Principal, order: ListReports) -> list[ReportKindSheet]:
    """Return the reports that the principal may see, each with the columns that it sees."""
    scope = office.scope_of(who)
    is_inside = _is_inside(who, scope)
    of_ledger = LEDGER_REPORTS.values() if is_inside or _sees_money(who, scope) else ()
    return [
        ReportKindSheet(
            each.name,
            each.meaning,
            _columns(each, layout_of(each, is_inside=is_inside), each.group),
            each.group,
            each.groups,
            tuple(name for name in each.criteria if scope.agent is None or name not in _NOT_FOR_AGENTS),
        )
        for each in _seen(is_inside=is_inside)
    ] + [
        ReportKindSheet(
            each.name, each.meaning, _columns_of_ledger(each, each.group), each.group, each.groups, each.criteria
        )
        for each in of_ledger
    ]


@needs(Permission.CALLS_SEE, by_account=True)
async def show_report(office: Office, who: Principal, order: ShowReport) -> ReportSheet:
    """Return a report; an agent or a customer sees the calls of its accounts, and nothing of vendors.

    Raises:
        NoSuchReportError: there is none of that name, or it is not for the principal.
        OrderError, EmptySpan, TooManySpans: the order makes no sense.
        UnknownNameError: there is no such end reason; or the report is empty, and an account or the gateway is unknown.
        TooManyRowsError, TooManyToReadError: the report would be too long.
        RightLackingError: the report is over the ledger, and the agent may not read the entries, or none at all.
    """
    scope = office.scope_of(who)
    if order.name in LEDGER_REPORTS and not (_is_inside(who, scope) or _sees_money(who, scope)):
        raise NoSuchReportError(order.name, [each.name for each in _seen(is_inside=_is_inside(who, scope))])
    now, beside = office.now(), NOTHING_BESIDE
    if not order.zone and scope.agent is not None and scope.agent in office.definitions.accounts():
        order = msgspec.structs.replace(order, zone=office.definitions.accounts()[scope.agent].timezone)
    if order.name in WITH_TERMS:
        overrides = (await office.stores.overrides.load()).at(now) if order.name == BALANCES else None
        accounts = office.definitions.accounts()
        beside = AccountsBeside(
            lambda name: None if name not in accounts else _terms(accounts[name], overrides, scope), accounts.keys()
        )
    if order.name == BALANCES and (order.until is None or order.until >= now):
        beside = beside._replace(committed=await commitments(office.switch, scope.visible))
    below = _below(office, order, scope) if order.below else ()
    if scope.agent is None:  # else no gateway is a criterion, and none is named as a vendor's
        _check_side(office, order)
    found = await report_of(office.stores, order, scope, now, beside, below, is_inside=_is_inside(who, scope))
    if not found.rows and scope.agent is None:
        named = CallFilter(account=order.account, vendor=order.vendor, gateway=order.gateway)
        await check_names(named, office.definitions, office.stores, now)
    return found


def _below(office: Office, order: ShowReport, scope: Scope) -> Sequence[str]:
    """Return the accounts below that of the order; a customer sees none of them, also where its account is an agent."""
    if order.account is None:
        raise OrderError("below", "is about the account that is named", "account")
    return tuple(name for name in office.definitions.hierarchy().all_below(order.account) if scope.sees(name))


def _check_side(office: Office, order: ShowReport) -> None:
    """Refuse a vendor's gateway where the sums know callers' gateways alone: the report would be empty.

    Raises:
        OrderError: it says which report has it.
    """
    report = REPORTS.get(order.name)
    if order.gateway is None or report is None or {part.kind for part in report.parts} != {TrafficKind.AGENT}:
        return
    names = office.definitions.gateways_by_list()
    if order.gateway in names["routing_gateways"] - names["mapping_gateways"] - names["phones"]:
        remedy = "vosd report profit-gateways --gateway has it"
        raise OrderError("gateway", "is a vendor's: this report knows those that calls came from", remedy)


def terms_of(accounts: Mapping[str, Account]) -> Mapping[str, AccountTerms]:
    """Return the terms of accounts that reports show, as they are configured."""
    return {name: _terms(account, None, Scope(None)) for name, account in accounts.items()}


def _terms(account: Account, overrides: Overrides | None, scope: Scope) -> AccountTerms:
    """Return the terms of an account; that above it has no name for principals who do not see it."""
    agent = account.agent if account.agent is not None and scope.sees(account.agent) else ""
    limit = account.overdraft_limit if overrides is None else overrides.overdraft_limit(account)
    shown = shown_limit(limit)
    return AccountTerms(account.type.value, shown, account.name or "", agent, account.expires_at, account.currency)


async def report_of(
    stores: "SqlStores",
    order: ShowReport,
    scope: Scope,
    now: int,
    beside: AccountsBeside = NOTHING_BESIDE,
    below: Sequence[str] = (),
    *,
    is_inside: bool,
    is_exact: bool = False,
) -> ReportSheet:
    """Return a report as ``show_report`` does, for a scope; ``is_inside``: with costs and vendors.

    ``beside`` has the facts about accounts that are not in the database, ``below`` the accounts that count with that of
    the order. ``is_exact``: calls of other times are not missing, however many wait, which may take long to find out.
    """
    if order.name in LEDGER_REPORTS:
        return await _ledger_report(stores, LEDGER_REPORTS[order.name], order, scope, now, beside, below)
    report = REPORTS.get(order.name)
    if report is None or (report.is_inside and not is_inside):
        raise NoSuchReportError(order.name, [each.name for each in _seen(is_inside=is_inside)])
    _check_criteria(report, order)
    zone, group = zone_named(order.zone or _UTC), _grouping(report, order.group)
    where = _conditions(report, order, scope, below)
    spans = _ordered_spans(order, group, zone, now)
    layout = _layout(report, order, group, is_inside=is_inside)
    added_up = await stores.traffic.added_up()
    read = await _read(stores, report, layout, order, group, spans, where)
    if read.late is not None:
        # Only a replica can lack booked calls; whether they are added up is nothing to a report that reads the calls.
        missing = MissingCalls(read.late, read.late)
    elif is_exact:
        missing = await stores.traffic.missing(spans[0].since, spans[-1].until, SumMarks(read.mark, added_up))
    else:
        missing = await stores.traffic.behind(SumMarks(read.mark, added_up), spans[0].since, spans[-1].until)
    _check_rows(len(read.by_source[0][1]))
    peaks: Sequence[PeakRow] = ()
    if report.peaks is not None and layout.has_peaks and _have_peaks(report, order, scope):
        peaks = await stores.traffic_sums.peaks(spans, report.peaks)
    charged: Sequence[ChargedBeside] = ()
    without = ""
    if not {*report.beside}.isdisjoint(layout.figures):
        times = [(span.since, span.until) for span in spans]
        accounts = None if order.account is None else [order.account, *below]
        try:
            charged = await stores.ledger.charged_beside_calls(times, accounts)
        except DroppedPeriod as error:  # the sums of calls are there all the same
            without = f"{', '.join(name for name in layout.figures if name in report.beside)}: {error}"
            left = tuple(name for name in layout.figures if name not in report.beside)
            layout = layout._replace(figures=left)
    # In a thread: a process that serves others does not stop for a long table.
    rows, totals, calls = await asyncio.to_thread(_sheet, report, layout, group, spans, read, peaks, charged)
    if report.shows_owner:
        rows = [_with_owner(row, beside) for row in rows]
    if _AREA in layout.by:
        prefixes = await stores.traffic_sums.area_prefixes()
        rows = [_with_prefix(row, prefixes) for row in rows]
    return ReportSheet(
        name=report.name,
        since=iso_utc(spans[0].since),
        until=iso_utc(spans[-1].until),
        zone=zone.key,
        group=group.value,
        columns=_columns(report, layout, group),
        rows=rows,
        totals=totals,
        missing=missing.calls,
        missing_in_replica=missing.in_replica,
        calls=calls,
        spans=_spans(spans),
        without=without,
    )


def _spans(spans: Sequence[ReportSpan]) -> list[SpanSheet]:
    return [SpanSheet(each.label, iso_utc(each.since), iso_utc(each.until)) for each in spans]


def _layout(report: Report, order: ShowReport, group: Grouping, *, is_inside: bool) -> ReportLayout:
    """Return the columns of a report as it was ordered."""
    layout, left_out = layout_of(report, is_inside=is_inside), set[str]()
    if any(getattr(order, name) is not None for name in ("vendor", "gateway", "area", "reason", "answered")):
        left_out |= {*report.beside}  # entries of the ledger are of an account alone
    if group is Grouping.FIVE_MINUTES:
        left_out |= PEAKS  # they are kept by quarters of an hour
    layout = layout._replace(figures=tuple(name for name in layout.figures if name not in left_out))
    given = [name for name in ("caller_digits", "callee_digits") if getattr(order, name) is not None]
    return layout._replace(by=tuple(name.replace("digits", "prefix") for name in given)) if given else layout


class _ReportRead(NamedTuple):
    """Sums that a report is made of."""

    mark: int
    """Number of the latest commit that is in them."""
    by_source: list[tuple[ReportSource, list[TrafficRow]]]
    waits: Sequence[TrafficRow] = ()
    late: int | None = None
    """Calls that were booked before they were read and are not in the replica that was read; None = sums were read."""


async def _read(
    stores: "SqlStores",
    report: Report,
    layout: ReportLayout,
    order: ShowReport,
    group: Grouping,
    spans: Sequence[ReportSpan],
    where: Sequence[Condition],
) -> _ReportRead:
    if any(getattr(order, name) is not None for name in OF_NUMBERS):
        by_digits = await _read_digits(stores, report, layout, order, group, spans, where)
        return by_digits or await _read_calls(stores, report, layout, order, spans, where)
    own, of_waits = _queries(report, layout, where)
    if group is Grouping.FIVE_MINUTES:
        own = [each for source, query in own for each in _by_five(source, query, order)]
        read = await stores.traffic_sums.rows_by_five(spans, [query for _, query in own])
    else:
        read = await stores.traffic_sums.rows(spans, [*(query for _, query in own), *of_waits])
    by_source = [(source, rows) for (source, _), rows in zip(own, read.rows[: len(own)], strict=True)]
    return _ReportRead(read.mark, by_source, read.rows[-1] if of_waits else ())


def _as_rated(callee: str | None) -> str | None:
    """Return the beginning of called numbers as they are rated: without a leading plus sign."""
    return None if callee is None else for_matching(callee)


async def _read_digits(
    stores: "SqlStores",
    report: Report,
    layout: ReportLayout,
    order: ShowReport,
    group: Grouping,
    spans: Sequence[ReportSpan],
    where: Sequence[Condition],
) -> _ReportRead | None:
    """Read the sums by the first digits of numbers; None = they do not know what is asked for."""
    given = {name.partition("_")[0] for name in OF_NUMBERS if getattr(order, name) is not None}
    if where or len(given) > 1 or group is Grouping.FIVE_MINUTES:
        return None
    kind, digits, begins = (
        (TrafficKind.CALLEES, order.callee_digits, _as_rated(order.callee))
        if given == {"callee"}
        else (TrafficKind.CALLERS, order.caller_digits, order.caller)
    )
    if max(digits or 0, len(begins or "")) > DIGITS_SUMMED[kind]:
        return None
    (source,) = layout.sources(report)
    by = () if digits is None else ("area",)
    query = TrafficQuery(kind, by, tuple(source.measures.values()), (), digits, begins or "")
    read = await stores.traffic_sums.rows(spans, [query], ROWS_MAX)
    return _ReportRead(read.mark, [(source, read.rows[0])])


async def _read_calls(
    stores: "SqlStores",
    report: Report,
    layout: ReportLayout,
    order: ShowReport,
    spans: Sequence[ReportSpan],
    where: Sequence[Condition],
) -> _ReportRead:
    """Read the calls themselves, where the sums say that they are not too many."""
    whole = [ReportSpan(spans[0].since, spans[-1].until, "")]
    # Calls are found by accounts and gateways; all of these are read to find those to an area, or that ended so.
    found_by = [each for each in where if not {_AREA, "end_reason", "hangup_source"}.issuperset(each[0])]
    counted = await stores.traffic_sums.rows(whole, [TrafficQuery(TrafficKind.CALL, (), ("calls",), found_by)])
    calls = sum(row.sums[0] for row in counted.rows[0])
    if calls > READ_MAX:
        raise TooManyToReadError(f"the report would read {calls:,} calls one by one, and {READ_MAX:,} are the most")
    (source,) = layout.sources(report)
    digits = order.caller_digits, order.callee_digits
    query = PrefixQuery(
        *digits, tuple(source.measures.values()), where, order.caller or "", _as_rated(order.callee) or ""
    )
    booked = await stores.traffic.newest()
    mark, rows = await stores.call_sums.rows(spans, query, ROWS_MAX)
    return _ReportRead(mark, [(source, rows)], late=max(0, booked - mark))


def _by_five(source: ReportSource, query: TrafficQuery, order: ShowReport) -> list[tuple[ReportSource, TrafficQuery]]:
    """Return what is read by five minutes instead of a query.

    Calls are counted on each side for itself. A gateway may be on both sides of a call, which then counts as one that
    came in.

    Raises:
        OrderError: the criteria are not those of one side.
    """
    if source.kind is not TrafficKind.CALL:
        return [(source, query)]
    given = [name for name in ("account", "vendor", "gateway") if getattr(order, name) is not None]
    others = [name for name in ("area", "reason", "answered") if getattr(order, name) is not None]
    if others or len(given) > 1:
        name = (others or given)[-1]
        raise OrderError(name, "is too much for five minutes", "one of account, vendor and gateway, or none")
    if order.vendor is not None:
        return [(source, query._replace(kind=TrafficKind.FIVE_OUT))]
    if order.gateway is None:
        return [(source, query._replace(kind=TrafficKind.FIVE_IN))]
    came_in: list[Condition] = [(("mapping_gateway",), [order.gateway])]
    went_out: list[Condition] = [(("routing_gateway",), [order.gateway]), (("mapping_gateway",), [""])]
    return [
        (source, query._replace(kind=TrafficKind.FIVE_IN, where=came_in)),
        (source, query._replace(kind=TrafficKind.FIVE_OUT, where=went_out)),
    ]


def _check_rows(count: int) -> None:
    if count > ROWS_MAX:
        raise TooManyRowsError(f"the report would have {count:,} rows or more, and {ROWS_MAX:,} are the most")


def _ordered_spans(order: ShowReport, group: Grouping, zone: ZoneInfo, now: int) -> list[ReportSpan]:
    until = now if order.until is None else max(_EARLIEST, min(order.until, _LATEST))
    # A report until midnight is of the day that ends then.
    since = begin_of(Grouping.DAY, until - 1, zone) if order.since is None else max(0, order.since)
    return spans_of(since, until, group, zone)


async def _ledger_report(
    stores: "SqlStores",
    report: LedgerReport,
    order: ShowReport,
    scope: Scope,
    now: int,
    beside: AccountsBeside,
    below: Sequence[str],
) -> ReportSheet:
    _check_criteria(report, order)
    accounts = None if scope.visible is None else [name for name in scope.visible if _has_ledger(scope, name)]
    if accounts == []:  # without any entries that it may read, a report without rows would be wrong
        scope.require_right(Right.OWN_PAYMENTS, Right.SUB_PAYMENTS)
    if order.account is not None:
        scope.require_ledger(order.account)
        accounts = [order.account, *(name for name in below if _has_ledger(scope, name))]
    zone, group = zone_named(order.zone or _UTC), _grouping(report, order.group)
    spans = _ordered_spans(order, group, zone, now)
    if report.name == BALANCES:  # known before they are read: a row for each account and span
        _check_rows(len(spans) * len(asked_of(beside.names, accounts)))
    rows, totals = await ledger_rows(stores, report, spans, accounts, beside, ROWS_MAX)
    _check_rows(len(rows))
    columns = _columns_of_ledger(report, group)
    if group is Grouping.WHOLE:
        rows = [{name: value for name, value in row.items() if name != "span"} for row in rows]
    return ReportSheet(
        name=report.name,
        since=iso_utc(spans[0].since),
        until=iso_utc(spans[-1].until),
        zone=zone.key,
        group=group.value,
        columns=columns,
        rows=rows,
        totals=totals,
        missing=0,
        missing_in_replica=0,
        spans=_spans(spans),
    )


def _columns_of_ledger(report: LedgerReport, group: str) -> tuple[ColumnSheet, ...]:
    spans = [] if group == Grouping.WHOLE else [ColumnSheet("span", "text", f"begin of the {group}")]
    return (*spans, *(ColumnSheet(*each) for each in report.columns))


def _has_ledger(scope: Scope, account: str) -> bool:
    try:
        scope.require_ledger(account)
    except VosError:
        return False
    return True


def _sees_money(who: Principal, scope: Scope) -> bool:
    return scope.visible is not None and Permission.MONEY_SEE in who.permissions


def _is_inside(who: Principal, scope: Scope) -> bool:
    return scope.agent is None and Permission.BOOKS_SEE in who.permissions


def _seen(*, is_inside: bool) -> list[Report]:
    return [each for each in REPORTS.values() if is_inside or not each.is_inside]


def _grouping(report: Report | LedgerReport, given: str | None) -> Grouping:
    name = given or report.group
    if name not in report.groups:
        raise OrderError("group", f"{name!r} is none of this report", f"one of {', '.join(report.groups)}")
    return Grouping(name)


def _check_criteria(report: Report | LedgerReport, order: ShowReport) -> None:
    """Refuse a criterion that the report does not know.

    Raises:
        OrderError: there is one; it says which orders know it.
    """
    for name in CRITERIA:
        if name not in report.criteria and getattr(order, name) is not None:
            summed, listed = SERVED_BY[name]
            raise OrderError(name, "is no criterion of this report", f"{summed} has it, {listed} the calls themselves")
    for name in ("caller", "callee"):
        refuse_plus_alone(name, getattr(order, name))


def _conditions(report: Report, order: ShowReport, scope: Scope, below: Sequence[str]) -> list[Condition]:
    where: list[Condition] = [((name,), [value]) for name, value in report.only.items()]
    if order.account is not None:
        scope.require_visible(order.account)
        where.append(((report.account,), [order.account, *below]))
    elif scope.visible is not None:
        where.append(((report.account,), sorted(scope.visible)))
    if order.gateway is not None:
        if scope.agent is not None:
            raise OrderError("gateway", "is not for agents and customers")
        where.append((("mapping_gateway", "routing_gateway"), [order.gateway]))
    if order.vendor is not None:
        if scope.agent is not None:
            raise OrderError("vendor", "is not for agents and customers")
        where.append((("vendor_account",), [order.vendor]))
    if order.area is not None:
        where.append((("area",), [order.area]))
    if order.reason is not None:
        where.append((("end_reason",), [end_reason(order.reason)]))
    if order.answered is not None:
        where.append((("hangup_source",), [""] if order.answered else _SIDES))
    return where


def _queries(
    report: Report, layout: ReportLayout, where: Sequence[Condition]
) -> tuple[list[tuple[ReportSource, TrafficQuery]], list[TrafficQuery]]:
    """Return what is read of the sums for rows, and of the waits: nothing where a criterion is none of theirs."""
    own = [
        (source, TrafficQuery(source.kind, source.by, tuple(source.measures.values()), where))
        for source in layout.sources(report)
    ]
    if not layout.has_waits or not all(_OF_WAITS.issuperset(names) for names, _ in where):
        return own, []
    return own, [TrafficQuery(TrafficKind.WAIT, (layout.by[0], "wait_ms"), ("calls",), where)]


def _have_peaks(report: Report, order: ShowReport, scope: Scope) -> bool:
    """Return whether the peaks are of the calls of the report: they are counted by gateway, and for all together."""
    is_of_all = scope.visible is None and order.account is None and order.gateway is None and order.vendor is None
    is_of_some = order.area is not None or order.reason is not None or order.answered is not None
    return not is_of_some and (is_of_all or bool(report.by))


def _sheet(
    report: Report,
    layout: ReportLayout,
    group: Grouping,
    spans: Sequence[ReportSpan],
    read: _ReportRead,
    peaks: Sequence[PeakRow],
    charged: Sequence[ChargedBeside],
) -> tuple[list[dict[str, str | int | None]], list[dict[str, str | int | None]], list[CurrenciesOfCalls | None]]:
    waited: dict[tuple[int, str | int], dict[int, int]] = defaultdict(dict)
    for row in read.waits:
        waited[row.span, row.by[0]][int(row.by[1])] = row.sums[0]
    highest: dict[tuple[int, str | int], Peak] = {
        (each.span, each.name): (each.concurrent, each.per_second) for each in peaks
    }
    lines = chain(_lines_of(layout, read.by_source), (_line_beside(layout, each) for each in charged))
    table = table_of(report, layout, spans, lines, waited, highest)
    has_spans = group is not Grouping.WHOLE
    return (
        [_values(layout, row, has_spans=has_spans) for row in table.rows],
        [_values(layout, row, has_spans=False, has_names=False) for row in table.totals],
        [_apart(row) for row in table.rows],
    )


def _lines_of(layout: ReportLayout, by_source: Iterable[tuple[ReportSource, list[TrafficRow]]]) -> Iterator[Line]:
    """Yield the lines of the rows that were read, and take these out of their lists: together they are many."""
    for source, rows in by_source:
        rows.reverse()
        while rows:
            row = rows.pop()
            yield layout.line(source, row.span, row.by, row.sums)


def _apart(row: ReportRow) -> CurrenciesOfCalls | None:
    if row.apart is None:
        return None
    named = {name: sorted(each or NO_CURRENCY for each in some) for name, some in row.apart.items()}
    return CurrenciesOfCalls(**{name: ",".join(each) for name, each in named.items()})


def _line_beside(layout: ReportLayout, charged: ChargedBeside) -> Line:
    paid_in = tuple(charged.currency or "" if name == "currency" else "" for name in layout.currencies)
    name = "minimum" if charged.kind == EntryKind.MINIMUM.value else "corrections"
    return Line(charged.time, (charged.account,), paid_in, {name: charged.amount})


def _values(
    layout: ReportLayout, row: ReportRow, *, has_spans: bool, has_names: bool = True
) -> dict[str, str | int | None]:
    values: dict[str, str | int | None] = {"span": row.span} if has_spans else {}
    if has_names:
        values |= dict(zip(layout.by, row.by, strict=True))
    values |= dict(zip(layout.currencies, row.currencies, strict=True))
    for name, figure in zip(layout.figures, row.figures, strict=True):
        is_money = FIGURES[name].kind is FigureKind.MONEY and figure is not None
        values[name] = format_amount(figure) if is_money else str(figure) if isinstance(figure, Decimal) else figure
    return values


def _with_owner(row: dict[str, str | int | None], beside: AccountsBeside) -> dict[str, str | int | None]:
    """Return a row with the columns ``OWNER`` behind its account."""
    shown: dict[str, str | int | None] = {}
    for column, value in row.items():
        shown[column] = value
        if column == _ACCOUNT_COLUMN:
            terms = beside.terms(str(value))
            shown |= {"name": terms.name if terms else "", "agent": terms.agent if terms else ""}
    return shown


def _with_prefix(row: dict[str, str | int | None], prefixes: Mapping[str, str]) -> dict[str, str | int | None]:
    """Return a row with the prefix of its area before the area; an area without a name is its own prefix."""
    shown: dict[str, str | int | None] = {}
    for column, value in row.items():
        if column == _AREA:
            area = str(value)
            shown[_AREA_PREFIX] = prefixes.get(area, area if area.isdigit() else "")
        shown[column] = value
    return shown


def _columns(report: Report, layout: ReportLayout, group: str) -> tuple[ColumnSheet, ...]:
    spans = [] if group == Grouping.WHOLE else [ColumnSheet("span", "text", f"begin of the {group}")]
    common = [ColumnSheet(name, "text", _OF_COMMON[name]) for name in (*layout.by, *layout.currencies)]
    if report.shows_owner:
        place = 1 + layout.by.index(_ACCOUNT_COLUMN)
        common[place:place] = [ColumnSheet(name, "text", meaning) for name, meaning in OWNER.items()]
    if _AREA in layout.by:
        names = [column.name for column in common]
        common.insert(names.index(_AREA), ColumnSheet(_AREA_PREFIX, "text", _OF_COMMON[_AREA_PREFIX]))
    figures = [ColumnSheet(name, FIGURES[name].kind.value, FIGURES[name].meaning) for name in layout.figures]
    return (*spans, *common, *figures)
