"""Use cases of retention: drop old records, and list what was dropped."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.payment_archive import ArchiveSheet, checked_archive
from vosd.admin.retention import Retention, RetentionRun
from vosd.storage.daily_totals import SqlDailyTotals, TotalsLine
from vosd.storage.database_clock import check_has_come
from vosd.storage.drop_history import DropRecord, drop_history


class RunRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order to drop the records whose time is over; ``is_trial``: nothing is dropped."""

    is_trial: bool = False


@needs(Permission.INSTALLATION_RUN)
async def run_retention(
    office: Office, who: Principal, order: RunRetention, report: Callable[[int], None]
) -> RetentionRun:
    """Drop what may go, in small steps; the switch may run meanwhile. The history names the principal.

    The audit has a line for each kind of records of which some were dropped, written with the first of them.

    ``report`` receives after each step how many records were looked at.

    Raises:
        RetentionError: nothing says how long records are kept, another run goes on, or the journal is not here.
        ExportBlocked: the state of an export cannot be read.
        ClockAhead: the clock of this machine is ahead of the database's.
        StoreUnavailable: the next run goes on.
    """
    settings, database = office.definitions.settings, office.stores.database
    await check_has_come(database, office.now())
    return await Retention(
        database,
        settings.retention,
        settings.state_dir,
        who.recorded,
        office.now,
        is_trial=order.is_trial,
        show=report,
        audit=lambda kind: office.audit_line(who, order, kind),
    ).run()


class ListDrops(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records that were dropped or masked, by run and month."""


@needs(Permission.INSTALLATION_RUN)
async def list_drops(office: Office, who: Principal, _order: ListDrops) -> Sequence[DropRecord]:
    """Return them, the latest first."""
    return await drop_history(office.stores.database)


class ShowDroppedTotals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Totals of dropped calls, from one day to another, UTC, both included."""

    first: str = "0001-01-01"
    last: str = "9999-12-31"
    by_month: bool = False


@needs(Permission.BOOKS_SEE)
async def show_dropped_totals(office: Office, who: Principal, order: ShowDroppedTotals) -> Sequence[TotalsLine]:
    """Return the totals by accounts, gateways and currencies."""
    return await SqlDailyTotals(office.stores.database).lines(order.first, order.last, by_month=order.by_month)


class CheckArchive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An archive of dropped payments on the machine of the switch."""

    file: str


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def check_archive(office: Office, who: Principal, order: CheckArchive) -> ArchiveSheet:
    """Read a whole archive, and return how many payments it has with their sums.

    Raises:
        OrderError: no file is named.
        ArchiveFault: it is no archive, damaged, incomplete or cannot be read.
    """
    if not order.file:
        raise OrderError("file", "is empty")
    return checked_archive(Path(order.file))
