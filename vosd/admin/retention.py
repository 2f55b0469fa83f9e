"""``vosd retention run``: drop records and mask numbers whose time is over, as far as no guard keeps them (ADR 73, 83).

Works in small steps with pauses that are as long as the steps, so that bookings come through. One run at a time.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.export_files import FETCHED, KEPT, positions
from vosd.admin.payment_archive import ArchiveFault, PaymentArchive
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import (
    Age,
    DropPlan,
    ExportProgress,
    Guard,
    RecordKind,
    RetentionFacts,
    RetentionHold,
    plan_calls,
    plan_ledger,
    plan_numbers,
    plan_payments,
    plan_sums,
)
from vosd.engine.journal import files
from vosd.engine.journal.kept import oldest_call
from vosd.engine.journal.quarantine import DIRECTORY as QUARANTINE
from vosd.engine.settings import RetentionSettings
from vosd.storage.audit_line import AuditLine
from vosd.storage.daily_totals import SqlDailyTotals
from vosd.storage.database import Database
from vosd.storage.drop_history import Drops, DropTerms
from vosd.storage.emptied_months import EmptiedMonths, drop_emptied_months
from vosd.storage.masking import SqlMasking
from vosd.storage.old_payments import AT_ONCE, SqlOldPayments, UnlikeArchive
from vosd.storage.old_sums import drop_keys, drop_sums
from vosd.storage.retention import SqlRetention

JOURNAL: Final = "journal"
DAILY_TOTALS: Final = "daily_totals"
"""Subject of the audit where the totals of dropped calls are dropped; the kinds of records have their own."""
ARCHIVE: Final = "archive"
PAUSE_S: Final = 0.02
"""Shortest pause between two steps."""


class RetentionError(VosError):
    """Nothing can be dropped now; the message says why."""


class MonthSheet(msgspec.Struct, frozen=True):
    """Records of a month that were dropped, or would be; ``amounts`` are sums by currency."""

    month: str
    records: int
    amounts: Mapping[str, Mapping[str, str]]


class HoldSheet(msgspec.Struct, frozen=True):
    """Why records are kept although their time is over."""

    guard: str
    kept_from: str | None
    """Records from then on are kept; None = all."""
    why: str


class KindSheet(msgspec.Struct, frozen=True):
    """Result for records of one kind."""

    kind: str
    age: str
    older_than: str
    """Time before which records are due."""
    dropped_before: str | None
    """Time before which records were dropped; None = nothing."""
    months: tuple[MonthSheet, ...]
    held: tuple[HoldSheet, ...]
    late: int = 0
    """Calls from before ``dropped_before`` that stay: they were booked behind the close of the books or corrected."""


class RetentionRun(msgspec.Struct, frozen=True):
    """Result of a run, or of its rehearsal."""

    dry_run: bool
    kinds: tuple[KindSheet, ...]
    daily_totals_dropped: int = 0
    partitions_dropped: tuple[str, ...] = ()
    """Months of MySQL that are empty now, as ``table month``."""
    partitions_left: str = ""
    """Why others that are empty were not dropped, such as a missing right; they are dropped by another run."""


class Retention:
    """One run on a database and the state of its switch."""

    def __init__(
        self,
        database: Database,
        settings: RetentionSettings,
        state_dir: Path,
        operator: str,
        now: Callable[[], int],
        *,
        is_trial: bool = False,
        show: Callable[[int], None] = lambda _: None,
        audit: Callable[[str], AuditLine] | None = None,
    ) -> None:
        """``now`` returns UTC milliseconds; ``show`` receives after each step how many records were looked at.

        ``audit`` makes the line of the audit for a kind of records; None = no person has ordered the run.
        """
        self._database = database
        self._store = SqlRetention(database)
        self._settings = settings
        self._state_dir = state_dir
        self._operator = operator
        self._now = now
        self._is_trial = is_trial
        self._show = show
        self._audit = audit
        self._looked_at = 0

    async def run(self) -> RetentionRun:
        """Drop what may go.

        Raises:
            RetentionError: nothing says how long records are kept, another run goes on, or the journal is not here.
            ExportBlocked: the state of an export cannot be read.
            StoreUnavailable: the next run goes on.
        """
        settings = self._settings
        others = settings.payments, settings.daily_totals, settings.sums
        ages = settings.calls, settings.ledger, settings.numbers, *others
        if all(age is None for age in ages):
            raise RetentionError(
                "`retention` in this configuration does not say how long records are kept: nothing is dropped or "
                "masked; a configuration for the owner of the tables needs the `retention` of the switch, too"
            )
        with _alone(self._state_dir), self._database.waiting_for_rows():
            begun_at = self._now()
            sheets: list[KindSheet] = []
            calls_until, kept = await self._store.calls_dropped_before(), set[str]()
            calls_gone = calls_until
            found = RetentionFacts(await self._store.closes(), None)
            if settings.calls is not None or settings.numbers is not None:
                oldest, kept_oldest = await asyncio.to_thread(_oldest_outside, self._state_dir)
                exports, uncounted = await self._exports(), await self._store.oldest_not_added_up()
                found = RetentionFacts(found.closes, oldest, exports, uncounted, kept_oldest)
            if settings.calls is not None:
                plan = plan_calls(settings.calls, begun_at, found, settings.minimum)
                calls_gone = max(calls_gone, plan.until)
                if not await self._store.has_calls(plan.until):
                    plan = plan._replace(until=0)  # no period lacks calls then, and one that is booked later stays
                drops = self._drops(plan, begun_at)
                if plan.until:
                    steps = self._store.drop_calls(plan, max(found.closes, default=0), drops)
                    await self._drop(plan, steps)
                    marked, kept = await self._store.calls_dropped_before(), drops.kept_calls
                    calls_until = max(marked, plan.until) if self._is_trial else marked
                sheets.append(await self._sheet(plan, str(settings.calls), drops))
            if settings.ledger is not None:
                plan = plan_ledger(settings.ledger, begun_at, found, calls_until, settings.minimum)
                drops = self._drops(plan, begun_at)
                drops.kept_calls = kept
                if plan.until:
                    await self._drop(plan, self._store.drop_entries(plan, calls_until, drops))
                sheets.append(await self._sheet(plan, str(settings.ledger), drops))
            if settings.numbers is not None:
                plan = plan_numbers(settings.numbers, begun_at, found)
                drops = self._drops(plan, begun_at)
                drops.kept_calls = kept
                if plan.until:
                    await self._drop(plan, SqlMasking(self._database).mask_calls(plan, drops, calls_until))
                sheets.append(await self._sheet(plan, str(settings.numbers), drops))
            if settings.payments is not None:
                sheets.append(await self._drop_payments(settings.payments, begun_at, found))
            if settings.sums is not None:
                sheets.append(await self._drop_sums(settings.sums, begun_at, calls_gone))
            totals = await self._drop_totals(begun_at)
            months = EmptiedMonths() if self._is_trial else await drop_emptied_months(self._database, calls_until)
            return RetentionRun(self._is_trial, tuple(sheets), totals, tuple(months.dropped), months.left)

    async def _drop(self, plan: DropPlan, steps: AsyncGenerator[int, None]) -> None:
        """Note from before when records are dropped, and drop them."""
        if not self._is_trial:
            await self._store.begin(plan)
        await self._go_through(steps)

    async def _go_through(self, steps: AsyncGenerator[int, None]) -> None:
        """Go through the steps, with pauses that are as long as they are."""
        begun = time.monotonic()
        async with aclosing(steps):
            async for looked_at in steps:
                self._looked_at += looked_at
                self._show(self._looked_at)
                if not self._is_trial:
                    await asyncio.sleep(max(PAUSE_S, time.monotonic() - begun))
                begun = time.monotonic()

    async def _drop_sums(self, age: Age, begun_at: int, calls_gone: int) -> KindSheet:
        """Drop sums for reports; where there are none so old, no report of then is refused."""
        plan = plan_sums(age, begun_at, calls_gone, self._settings.minimum)
        if not await self._store.has_any(plan.kind, 0, plan.until):
            plan = plan._replace(until=0)
        drops = self._drops(plan, begun_at)
        if plan.until:
            await self._drop(plan, drop_sums(self._database, plan, drops))
        if not self._is_trial:
            await self._go_through(drop_keys(self._database))  # also those that a run has left that was killed
        return await self._sheet(plan, str(age), drops)

    async def _drop_payments(self, age: Age, begun_at: int, found: RetentionFacts) -> KindSheet:
        """Archive and drop payments; a run that was killed is completed from its archive first."""
        plan = plan_payments(age, begun_at, found, self._settings.minimum)
        drops, store = self._drops(plan, begun_at), SqlOldPayments(self._database)
        begun = await store.dropped_before()
        directory = self._settings.payments_archive or self._state_dir / ARCHIVE
        try:
            if self._is_trial:
                async for page in store.closed(max(plan.until, begun)):
                    drops.add_entries(page)
            else:
                if await store.has_any(begun):
                    unfinished = PaymentArchive(directory, begun)
                    await self._drop(plan._replace(until=begun), _drop_archived(unfinished, store, drops))
                if plan.until > begun and await store.has_any(plan.until):
                    mode = KEPT if self._settings.payments_archive is None else FETCHED
                    archive = PaymentArchive(directory, plan.until, mode)
                    await archive.write(store.closed(plan.until))
                    await self._drop(plan, _drop_archived(archive, store, drops))
        except (ArchiveFault, UnlikeArchive) as error:
            plan = plan._replace(until=0, holds=[RetentionHold(Guard.ARCHIVE, 0, str(error))])
        return await self._sheet(plan, str(age), drops)

    async def _drop_totals(self, now: int) -> int:
        if self._settings.daily_totals is None:
            return 0
        first_kept, totals = iso_utc(self._settings.daily_totals.before(now))[:10], SqlDailyTotals(self._database)
        if self._is_trial:
            return await totals.count(first_kept)
        return await totals.drop(first_kept, self._audited(DAILY_TOTALS))

    async def _exports(self) -> Sequence[ExportProgress]:
        """Return how far each of the exports is; one that has taken nothing yet holds all calls."""
        exports = []
        for directory in self._settings.exports:
            found = positions(directory)
            if not found:
                exports.append(ExportProgress(str(directory), 0))
            for name, last in found.items():
                exports.append(ExportProgress(f"{directory} ({name})", await self._store.oldest_behind(last)))
        return exports

    def _drops(self, plan: DropPlan, begun_at: int) -> Drops:
        terms, audit = DropTerms(plan.until, begun_at, self._operator), self._audited(plan.kind.value)
        return Drops(plan.kind, terms, self._now, is_trial=self._is_trial, audit=audit)

    def _audited(self, kind: str) -> Callable[[], AuditLine] | None:
        return None if self._audit is None else partial(self._audit, kind)

    async def _sheet(self, plan: DropPlan, age: str, drops: Drops) -> KindSheet:
        """Return what was done; holds are named only if they keep anything."""
        holds: Sequence[RetentionHold] = plan.holds
        if holds and not await self._store.has_any(plan.kind, plan.until, plan.wanted):
            holds = ()
        return KindSheet(
            plan.kind.value,
            age,
            iso_utc(plan.wanted),
            iso_utc(plan.until) if plan.until else None,
            tuple(MonthSheet(name, each.records, each.shown()) for name, each in sorted(drops.months.items())),
            tuple(_held(hold) for hold in holds),
            len(drops.kept_calls) if plan.kind is RecordKind.CALLS else 0,
        )


async def _drop_archived(archive: PaymentArchive, store: SqlOldPayments, drops: Drops) -> AsyncGenerator[int, None]:
    """Drop what an archive has and the database still has, once the archive was read as a whole."""
    await asyncio.to_thread(archive.publish)
    for batch in archive.batches(AT_ONCE):
        await store.drop(batch, drops)
        yield len(batch)


def _held(hold: RetentionHold) -> HoldSheet:
    return HoldSheet(hold.guard.value, iso_utc(hold.until) if hold.until else None, hold.why)


def _oldest_outside(state_dir: Path) -> tuple[int | None, int | None]:
    """Return when the oldest call began that the journal or the quarantine has, and that of booked files that are kept.

    Raises:
        RetentionError: there is no journal, or it cannot be read, so it is not known which calls may be booked yet.
    """
    directory = state_dir / JOURNAL
    try:
        if not directory.is_dir():
            message = f"{directory} is not here: run this where the switch runs, its journal says what must be kept"
            raise RetentionError(message)
        waiting = oldest_call(directory, files.IN_USE, files.UNBOOKED, files.DAMAGED)
        kept = oldest_call(directory, files.KEPT)  # behind the others: one that is booked meanwhile is not passed over
        outside = [each for each in (waiting, _oldest_refused(state_dir / QUARANTINE)) if each is not None]
    except PermissionError as error:
        raise RetentionError(f"{error.filename} cannot be read: run this as the user of the switch") from error
    return min(outside, default=None), kept


def _oldest_refused(directory: Path) -> int | None:
    digits = (path.stem.replace("-", "")[:12] for path in files.entries(directory, "*.json"))
    return min((int(each, 16) for each in digits if all(digit in "0123456789abcdef" for digit in each)), default=None)


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Let no other run begin.

    Raises:
        RetentionError: another one goes on, or the directory is not there.
    """
    try:
        lock = os.open(state_dir / "retention.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RetentionError(f"state_dir {state_dir} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise RetentionError("another run drops records now: wait until it has ended") from error
    finally:
        os.close(lock)
