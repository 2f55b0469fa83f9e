"""Use case of the end of a month: say what is missing, close it, leave a page for the auditor (ADR 134)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from vosd import __version__
from vosd.admin.ledger import Month
from vosd.admin.month_archive import ClosedMonth, MonthArchive
from vosd.admin.month_page import MissingOfMonth, MonthObstacle, MonthPage
from vosd.admin.office.invoice_run import (
    UNFINISHED,
    InvoiceOutcome,
    InvoiceRunSheet,
    RunInvoices,
    cycles_of_ledger,
    run_invoices,
)
from vosd.admin.office.ledger import ClosePeriod, close_period
from vosd.admin.office.minimum import BookMinimums, MinimumOutcome, MinimumSheet, book_minimums
from vosd.admin.office.month_checks import MonthChecks
from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.invoicing.periods import period_of, periods_that_end
from vosd.storage.month_closes import StoredMonthClose

DIRECTORY = "months"
"""Directory of ``state_dir`` with one for each closed month."""
_CHECKS = 0.5
"""Part of the time that the checks take."""
_MINIMUMS = 0.05
"""Part of the time that the booking of minimums takes; a trial books none."""
_LEDGER = 0.05
"""Part of the time that the close of the ledger takes; a trial closes none."""
_INVOICES = 0.15
"""Part of the time that invoices take; in a trial all of the rest."""


class MonthOpenError(VosError):
    """Work is missing before the month can be closed."""

    def __init__(self, month: Month, missing: Sequence[MissingOfMonth]) -> None:
        said = "; ".join(f"{each.obstacle}: {each.detail}" + (f" ({each.do})" if each.do else "") for each in missing)
        super().__init__(f"{month} cannot be closed: {said}")


class CloseTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms of the close of a month."""

    despite: tuple[MonthObstacle, ...] = ()
    """Kinds of missing work that are passed over: ``quarantined``, ``vendor_unmatched``, ``dispute_open``,
    ``invoices_missing``."""
    reason: str | None = None
    """Reason for that."""
    is_trial: bool = False
    """Only say what is missing."""

    def __post_init__(self) -> None:
        check_despite(self.despite, self.reason)


class CloseMonth(CloseTerms, frozen=True, kw_only=True):
    """Order to close a month."""

    month: Month


class ClosedMonthSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A month: what is missing, or how it was closed."""

    month: str
    missing: tuple[MissingOfMonth, ...]
    """Work that is missing; of a closed month none."""
    closed: bool
    """Whether the month is closed."""
    repeated: bool
    """Whether it was closed before: this is the page of then."""
    directory: str | None
    """Directory with its files on the machine of the switch; null = it is not closed."""
    page: MonthPage | None
    """The auditor's page; null = it is not closed."""


def check_despite(despite: Sequence[MonthObstacle], reason: str | None) -> None:
    """Check what a close passes over.

    Raises:
        OrderError: it has no reason, or may not be passed over.
    """
    for each in despite:
        if not each.may_pass:
            allowed = ", ".join(other for other in MonthObstacle if other.may_pass)
            raise OrderError("despite", f"{each} cannot be passed over", f"only {allowed}")
    if despite and not reason:
        raise OrderError("reason", "is missing", "it goes together with `despite`")


@needs(Permission.BOOKS_CHANGE)
@waits_for_rows
async def close_month(
    office: Office, who: Principal, order: CloseMonth, report: Callable[[float, int], None]
) -> ClosedMonthSheet:
    """Close a month, once: after a failure the same order completes it, and a further one returns the page of then.

    It begins and ends where the periods of invoices do. ``report`` receives a part of 1 and a count of calls, or 0.

    Raises:
        MonthOpenError: work is missing that is not passed over; the ledger is closed where only invoices are missing.
        ClockAhead: the month has ended by the clock of this machine, and not by the database's.
        DroppedPeriod: calls or entries of the month were dropped.
        InvoiceFormError: invoices are missing.
        DaemonUnreachableError, DaemonRefusedError: a switch runs and does not say which calls are not booked.
        JournalUnreadableError: the journal cannot be read.
        ExportBlocked: another run closes the month.
        StoreUnavailable, OSError: the same again completes it.
    """
    month, stores = str(order.month), office.stores
    settings = office.definitions.settings
    zone = settings.invoices.zone
    since, until = order.month.bounds(ZoneInfo(zone))
    directory = settings.state_dir / DIRECTORY / month
    archive = MonthArchive(stores, directory, month, since, until)
    checks = MonthChecks(office, since, until, partial(_share, report, 0, _CHECKS))
    stored = await stores.month_closes.of_month(month)
    missing = () if stored is not None else tuple(await checks.missing())
    if order.is_trial:
        if stored is not None:
            return _shown(directory, stored, is_repeated=True)
        if until <= office.now():
            rest = partial(_share, report, _CHECKS, 1)
            missing += await _invoiced(office, who, month, rest, is_trial=True)
        return ClosedMonthSheet(month=month, missing=missing, closed=False, repeated=False, directory=None, page=None)
    _refuse(order, missing)
    with archive.opened():
        stored = await stores.month_closes.of_month(month)  # another run may have closed it during the checks
        if stored is not None:
            archive.show(stored.page)
            return _shown(directory, stored, is_repeated=True)
        ledger_from = _CHECKS + _MINIMUMS
        booked = partial(_share, report, _CHECKS, ledger_from)
        minimums = await book_minimums(
            office, who, BookMinimums(order.month, zone), lambda part, _accounts: booked(part)
        )
        missing += _waiting_minimums(minimums, is_refused=MonthObstacle.QUARANTINED in order.despite)
        _refuse(order, missing)
        closed_until = await stores.checkpoints.closed_until()
        if closed_until is None or closed_until <= until:
            verified = ClosePeriod(until, order.reason, is_forced=True)  # by the checks
            await close_period(office, who, verified, partial(_share, report, ledger_from, ledger_from + _LEDGER))
        invoices_from = ledger_from + _LEDGER
        files_from = invoices_from + _INVOICES
        missing += await _invoiced(office, who, month, partial(_share, report, invoices_from, files_from))
        _refuse(order, missing)
        closed_at = office.now()
        closes = await stores.month_closes.all()
        before = [ClosedMonth(each.month, each.closed_at) for each in closes if each.month != month]
        write = partial(archive.write, report=partial(_share, report, files_from, 1))
        written = await write(closed_at, before)
        page = MonthPage(
            month=month,
            zone=zone,
            since=iso_utc(since),
            until=iso_utc(until),
            closed_at=iso_utc(closed_at),
            operator=who.recorded,
            version=__version__,
            passed=missing,
            reason=order.reason if missing else None,
            vendors=await checks.vendors(),
            formulas_neutralised=True,
            minimums_not_begun=_of_outcome(minimums, MinimumOutcome.NOT_BEGUN),
            minimums_unknown=_of_outcome(minimums, MinimumOutcome.UNKNOWN),
            **written._asdict(),
        )
        made = StoredMonthClose(month, zone, closed_at, who.recorded, msgspec.json.encode(page).decode())
        stored = await stores.month_closes.add(made, office.audit_line(who, order, month))
        if stored.page != made.page:  # another machine on this database has closed it since
            await write(stored.closed_at, [each for each in before if each.closed_at < stored.closed_at])
        archive.show(stored.page)
        return _shown(directory, stored, is_repeated=stored.page != made.page)


def _share(report: Callable[[float, int], None], begin: float, end: float, part: float, count: int = 0) -> None:
    """Report a part of a step that takes the time between two parts of the whole."""
    report(begin + (end - begin) * part, count)


def _refuse(order: CloseMonth, missing: Sequence[MissingOfMonth]) -> None:
    blocking = [each for each in missing if each.obstacle not in order.despite]
    if blocking:
        raise MonthOpenError(order.month, blocking)


def _waiting_minimums(minimums: Sequence[MinimumSheet], *, is_refused: bool) -> tuple[MissingOfMonth, ...]:
    """Return the minimums that are not known yet, as calls of the month are not booked or, passed over, refused."""
    waiting = _of_outcome(minimums, MinimumOutcome.WAITING)
    if not waiting:
        return ()
    obstacle = MonthObstacle.QUARANTINED if is_refused else MonthObstacle.UNBOOKED
    detail = f"minimums of {len(waiting)} accounts are not booked, as calls of theirs are not: {', '.join(waiting)}"
    return (MissingOfMonth(obstacle, detail, f"vosd ledger minimum --month {minimums[0].month}"),)


def _of_outcome(minimums: Sequence[MinimumSheet], outcome: MinimumOutcome) -> tuple[str, ...]:
    return tuple(each.account for each in minimums if each.outcome == outcome.value)


async def _invoiced(
    office: Office, who: Principal, month: str, report: Callable[[float], None], *, is_trial: bool = False
) -> tuple[MissingOfMonth, ...]:
    """Make the invoices whose periods end in a month; return what is missing. ``report`` receives a part of 1.

    A trial makes none: charges that the invoice of a period before would have are not missing then.
    """
    whole = period_of(month)
    open_ones: list[tuple[str, InvoiceRunSheet]] = []
    drafted: set[str] = set()
    cycles = await cycles_of_ledger(office)
    periods = [str(each) for cycle in cycles for each in periods_that_end(whole.first, whole.behind, cycle)]
    for number, period in enumerate(periods):

        def passed(part: float, _accounts: int, number: int = number) -> None:
            report((number + part) / len(periods))

        runs = await run_invoices(office, who, RunInvoices(period=period), passed, is_trial=is_trial)
        open_ones += [
            (period, each)
            for each in runs
            if each.outcome in UNFINISHED
            and not (each.outcome is InvoiceOutcome.EARLIER_MISSING and each.account in drafted)
        ]
        drafted |= {each.account for each in runs if each.outcome is InvoiceOutcome.DRAFT}
    if not open_ones:
        return ()
    period, first = open_ones[0]
    accounts = len({each.account for _, each in open_ones})
    detail = f"charges of {accounts} accounts are on no invoice, the first is {first.account}: {first.detail}"
    remedy = f"vosd invoice run --period {period}"
    if first.outcome is InvoiceOutcome.AGENT_CHANGED:
        remedy = f"vosd invoice run --account {first.account}, with shorter periods than {period} in their order"
    if first.outcome is InvoiceOutcome.EARLIER_MISSING:
        remedy = f"{remedy}, behind the run of the period of that day; docs/books.md says more"
    return (MissingOfMonth(MonthObstacle.INVOICES_MISSING, detail, remedy),)


def _page(stored: StoredMonthClose) -> MonthPage:
    return msgspec.json.decode(stored.page, type=MonthPage)


def _shown(directory: Path, stored: StoredMonthClose, *, is_repeated: bool) -> ClosedMonthSheet:
    month, page = stored.month, _page(stored)
    return ClosedMonthSheet(
        month=month, missing=(), closed=True, repeated=is_repeated, directory=str(directory), page=page
    )
