"""The use case that compares a vendor's bill with our calls (docs/books.md)."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.bill_comparison import BillComparison, billed_call, other_rates, sent_call, tried_number
from vosd.admin.foreign_calls import BadRowError, opened
from vosd.admin.names import configured
from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.reconciliations import BadRowSheet, KeptComparison, ReconciliationSheet, sheet_now
from vosd.admin.shadow_rating import BAD_ROWS_SHOWN, CdrMap
from vosd.admin.sorted_calls import SortedCalls
from vosd.base.errors import VosError
from vosd.billing.accounts import AccountType
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.clearing.calls import BilledCall, SentCall
from vosd.clearing.explanations import Judge
from vosd.clearing.matching import Matcher
from vosd.clearing.time_shift import TimeShift
from vosd.control.calls import ListCalls
from vosd.control.money import CountRefused, CountUnbooked
from vosd.engine.journal.quarantine import DIRECTORY as QUARANTINE, Quarantine
from vosd.storage.reconciliations import StoredReconciliation, TriedCall


async def unbooked_calls(office: Office, vendor: str, since: int, until: int) -> int:
    """Return how many calls that began in a span may be those of a vendor and are not booked; UTC milliseconds.

    A running switch counts them, since its files may be closed to this user: its waiting calls together, those of all
    vendors that began before the end of the span.

    Raises:
        DaemonUnreachableError, DaemonRefusedError: a switch runs and does not say which calls are not booked.
        JournalUnreadableError, QuarantineError: the journal, or the refused records cannot be read.
    """
    from vosd.admin.reconcile import count_waiting  # loads the journal of the switch, which other orders need not

    def is_of_vendor(record: CallRecord) -> bool:
        return record.vendor_account == vendor and since <= record.started_at < until

    state_dir = office.definitions.settings.state_dir
    calls = await office.switch.ask_if_running(ListCalls())
    if calls is None:
        pending = await asyncio.to_thread(count_waiting, state_dir, is_of_vendor)
        content = await asyncio.to_thread(Quarantine(state_dir / QUARANTINE).read)
        return pending + content.count_of(vendor, since, until)
    waiting = await office.switch.ask_if_running(CountUnbooked(until)) or 0
    refused = await office.switch.ask_if_running(CountRefused(vendor, since, until)) or 0
    begin, end = iso_utc(since), iso_utc(until)
    running = [each for each in calls if begin <= each.started_at < end and each.vendor_account in {None, vendor}]
    return waiting + refused + len(running)


SETUP_MAX_MS: Final = 3_600_000
"""Time from the INVITE to the answer that is allowed for, where calls are matched by their answer."""
ZONES_MAX_MS: Final = 50_400_000
"""Most by which the times of a file are away from ours where its zone is wrong."""
TRIED_MAX_MS: Final = 600_000
"""Longest time from the INVITE of a call to its last attempt at which a vendor's call is looked for."""
_TRIED_AT_ONCE_MS: Final = 3_600_000
TOLERANCE_MAX: Final = 600
"""Seconds."""
_NO_TIME_MS: Final = 86_400_000
"""Starts before this are no times: files have a 0, in their time zone, for the answer of an attempt that had none."""
_REPORTED_EVERY: Final = 1_000
_EXPLAINED_AT_ONCE: Final = 500


class NoUsableRowError(VosError):
    """No row of the file can be read by the map; nothing was imported."""


class BillTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms by which a vendor's file of calls is compared with ours."""

    account: str
    """Account of the vendor."""
    since: int | None = None
    """First moment of the period that the file is for; None = that of its first call."""
    until: int | None = None
    """First moment behind that period; None = behind its last call."""
    tolerance: float = 3.0
    """Seconds by which the starts of a call may differ."""
    duration_tolerance: float = 2.0
    """Seconds by which the durations of a call may differ."""
    again: bool = False
    """Compare a file that was imported before once more, in the place of that comparison."""

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise OrderError("until", "is not behind `since`")
        for name in ("tolerance", "duration_tolerance"):
            if not 0 <= getattr(self, name) <= TOLERANCE_MAX:
                raise OrderError(name, f"must be 0 to {TOLERANCE_MAX} seconds")


class ImportBill(BillTerms, frozen=True, kw_only=True):
    """A vendor's file of calls and a map of its columns, on the machine of the switch."""

    file: str
    map: str
    name: str | None = None
    """Name that the file is listed by; None = that of the file."""


@needs(Permission.BOOKS_CHANGE)
@waits_for_rows
async def import_bill(
    office: Office, who: Principal, order: ImportBill, report: Callable[[float, int], None]
) -> ReconciliationSheet:
    """Compare the calls of a vendor's file with ours, and keep the result; a file is compared once.

    ``report`` receives a part of 1 and a count of calls.

    Raises:
        UnknownAccountError, OrderError: the account is none of a vendor.
        ConfigError: the map or the configuration is invalid.
        ForeignFileError, NoUsableRowError: the file cannot be read, or none of its rows.
        DroppedPeriod: calls of the period were dropped, or their numbers are masked.
        DaemonUnreachableError, DaemonRefusedError: a switch runs and does not say which calls are not booked.
        JournalUnreadableError, QuarantineError: the journal, or the refused records cannot be read.
        StoreUnavailable: nothing was kept.
    """
    account = configured(office.definitions.accounts(), order.account)
    if account.type is AccountType.DIRECT:
        raise OrderError("account", f"is {order.account}, which is no vendor", "vosd account list has their types")
    wanted = office.definitions.cdr_map(Path(order.map), vendor=order.account)
    digest = await asyncio.to_thread(_digest, Path(order.file))
    earlier = await office.stores.reconciliations.of_file(order.account, digest)
    if earlier is not None and not order.again:
        return await sheet_now(office, earlier, is_repeated=True)
    with SortedCalls(BilledCall) as theirs, SortedCalls(SentCall) as ours, SortedCalls(BilledCall) as lacking:
        work = _Work(office, order, wanted, theirs, ours, report)
        await work.read_bill()
        await work.count_unbooked()
        await work.read_calls()
        comparison = await work.compare(lacking)
    mine, other = comparison.sums.totals
    made = StoredReconciliation(
        id=0,
        account=order.account,
        digest=digest,
        file=_name_of(order),
        since=work.since,
        until=work.until,
        made_at=office.now(),
        operator=who.recorded,
        currency=account.currency,
        ours=mine,
        theirs=other,
        result=msgspec.json.encode(work.result(comparison)).decode(),
    )
    noted = msgspec.structs.replace(order, file=made.file, map="", name=None)  # paths of this machine say nothing
    line = office.audit_line(who, noted, order.account)
    kept, is_new = await office.stores.reconciliations.add(made, comparison.chunks, line, again=order.again)
    return await sheet_now(office, kept, is_repeated=not is_new)


class _Work:
    """Steps of one comparison."""

    def __init__(
        self,
        office: Office,
        order: ImportBill,
        wanted: CdrMap,
        theirs: SortedCalls[BilledCall],
        ours: SortedCalls[SentCall],
        report: Callable[[float, int], None],
    ) -> None:
        self._office, self._order, self._wanted, self._report = office, order, wanted, report
        self._theirs, self._ours = theirs, ours
        self._rows = self._bad = self._unbooked = 0
        self._bad_rows: list[BadRowSheet] = []
        self._tolerance_ms = round(1_000 * order.tolerance)
        self._time_shift = TimeShift(self._tolerance_ms, round(1_000 * order.duration_tolerance))
        self._latest_correction = 0
        self.since = self.until = 0

    async def read_bill(self) -> None:
        """Read the file; the period is that of its calls unless the order says it.

        Raises:
            NoUsableRowError: no row can be read.
            OrderError: all calls are before the begin that the order says, or behind the end.
        """
        first, last = None, 0
        with opened(Path(self._order.file), self._wanted.layout) as file:
            for line, call in file.rows():
                self._rows += 1
                if isinstance(call, BadRowError):
                    self._bad += 1
                    if len(self._bad_rows) < BAD_ROWS_SHOWN:
                        self._bad_rows.append(BadRowSheet(line, str(call)))
                else:
                    if call.started_at >= _NO_TIME_MS:
                        first = call.started_at if first is None else min(first, call.started_at)
                        last = max(last, call.started_at)
                    self._theirs.add(billed_call(line, call))
                if self._rows % _REPORTED_EVERY == 0:
                    self._report(file.part * 0.3, self._rows)
                    await asyncio.sleep(0)
        if first is None:
            why = self._bad_rows[0].reason if self._bad_rows else "it has none with a start"
            raise NoUsableRowError(f"no row of {_name_of(self._order)} can be read: {why}")
        self.since = first if self._order.since is None else self._order.since
        self.until = last + 1 if self._order.until is None else self._order.until
        if self.since >= self.until:
            if self._order.since is None:
                raise OrderError("until", "is not behind the first call of the file")
            raise OrderError("since", "is behind the last call of the file")

    async def count_unbooked(self) -> None:
        """Count calls that cannot be compared: before ours are read, so that none is booked in between."""
        self._unbooked = await unbooked_calls(self._office, self._order.account, self.since, self.until)

    async def read_calls(self) -> None:
        """Read our calls of the period, and those around it that may be in the file."""
        await self._office.stores.reconciliations.check_kept(self.since)
        self._latest_correction = await self._office.stores.reconciliations.latest_correction()
        since, until = self.since - self._tolerance_ms, self.until + self._tolerance_ms
        pages = self._office.stores.reconciliations.calls(self._order.account, max(0, since - SETUP_MAX_MS), until)
        async with aclosing(pages):
            async for page in pages:
                for each in page:
                    call = sent_call(each, self._wanted)
                    if since <= call.at < until:
                        self._ours.add(call)
                self._report(0.3 + 0.3 * (page[-1].started_at - since) / (until - since), self._ours.count)
        await self._office.stores.reconciliations.check_kept(self.since)  # calls may be dropped between two pages

    async def compare(self, lacking: SortedCalls[BilledCall]) -> BillComparison:
        """Match the calls of both books, and explain those that differ.

        ``lacking`` receives the calls of the file that have no partner.
        """
        catalogue, order = self._office.definitions.catalogue(), self._order
        judge = Judge(
            round(1_000 * order.duration_tolerance),
            includes_tax=self._wanted.includes_tax,
            others=tuple(other_rates(catalogue, order.account)),
        )
        comparison = BillComparison(judge, self.since, self.until, self._time_shift, lacking)
        whole = self._ours.count + self._theirs.count
        matcher = Matcher(self._tolerance_ms, round(1_000 * order.duration_tolerance))
        for done, pair in enumerate(matcher.pairs(self._ours, self._theirs)):
            comparison.add(pair)
            if len(comparison.waiting) >= _EXPLAINED_AT_ONCE:
                await self._explain(comparison)
            if done % _REPORTED_EVERY == 0:
                self._report(0.6 + 0.8 * done / whole, done)
                await asyncio.sleep(0)
        await self._explain(comparison)
        unrecorded = await self._office.stores.reconciliations.unrecorded(
            order.account, max(0, self.since - self._tolerance_ms), self.until + self._tolerance_ms
        )
        steps = comparison.add_unrecorded(unrecorded, self._wanted, SETUP_MAX_MS, self._tolerance_ms)
        for done, _ in enumerate(steps):
            if done % _REPORTED_EVERY == 0:
                await asyncio.sleep(0)
        if order.since is None and order.until is None and self._lacks_most(comparison):
            await self._note_around({each.number for each in comparison.unsent})
        comparison.settle_unsent(await self._tried(catalogue, comparison.unsent))
        comparison.close()
        return comparison

    def _lacks_most(self, comparison: BillComparison) -> bool:
        """Return whether we have not sent most of the calls of the file; attempts are none."""
        return 2 * comparison.lacking > self._theirs.count - comparison.attempts

    async def _note_around(self, numbers: Container[str]) -> None:
        """Note our calls to the numbers of a file as far before and behind it as zones differ.

        A file of an hour whose zone is wrong has none of our calls of its time.
        """
        begin, end = max(0, self.since - ZONES_MAX_MS), self.until + ZONES_MAX_MS
        async with aclosing(self._office.stores.reconciliations.calls(self._order.account, begin, end)) as pages:
            async for page in pages:
                for each in page:
                    call = sent_call(each, self._wanted)
                    if call.number in numbers and not self.since <= call.at < self.until:
                        self._time_shift.add_ours(call)

    async def _tried(self, catalogue: Catalogue, unsent: Sequence[BilledCall]) -> Mapping[int, TriedCall]:
        """Return attempts of ours at the vendor's gateways that failed, by the lines of the file that bill them.

        An attempt is of one line, and the earliest line gets it. The time of the file must be within the call.
        """
        gateways = [each.name for each in catalogue.routing_gateways.values() if each.account == self._order.account]
        found: dict[int, TriedCall] = {}
        used: set[tuple[str, str]] = set()
        for some in _near(sorted(unsent, key=lambda each: each.at)) if gateways else ():
            since, until = some[0].at - self._tolerance_ms - TRIED_MAX_MS, some[-1].at + self._tolerance_ms + 1
            by_number: dict[str, list[TriedCall]] = defaultdict(list)
            for call in await self._office.stores.reconciliations.tried(gateways, max(0, since), until):
                for number in tried_number(call, self._wanted):
                    by_number[number].append(call)
            for theirs in some:
                for call in by_number[theirs.number]:
                    is_within = call.started_at <= theirs.at + self._tolerance_ms
                    is_within = is_within and theirs.at - self._tolerance_ms <= call.ended_at
                    if is_within and (call.call_id, call.gateway) not in used:
                        used.add((call.call_id, call.gateway))
                        found[theirs.line] = call
                        break
        return found

    async def _explain(self, comparison: BillComparison) -> None:
        calls = [pair.ours.call_id for pair in comparison.waiting if pair.ours is not None]
        if calls:
            comparison.judge(await self._office.stores.reconciliations.breakdowns(calls))

    def result(self, comparison: BillComparison) -> KeptComparison:
        """Return the counts and classes."""
        shift_ms = self._time_shift.found()
        return KeptComparison(
            rows=self._rows,
            bad_rows=self._bad,
            first_bad_rows=tuple(self._bad_rows),
            attempts=comparison.attempts,
            tolerance=self._order.tolerance,
            duration_tolerance=self._order.duration_tolerance,
            classes=tuple(comparison.sums.sheets()),
            time_shift=None if shift_ms is None else shift_ms // 1_000,
            lacks_seconds=self._time_shift.lacks_seconds(),
            zone=str(self._wanted.layout.zone),
            unbooked=self._unbooked,
            latest_correction=self._latest_correction,
        )


def _near(calls: Sequence[BilledCall]) -> Iterable[Sequence[BilledCall]]:
    """Divide calls, sorted by time, into parts of which one query reads the attempts."""
    some: list[BilledCall] = []
    for call in calls:
        if some and (call.at - some[-1].at > TRIED_MAX_MS or call.at - some[0].at > _TRIED_AT_ONCE_MS):
            yield some
            some = []
        some.append(call)
    if some:
        yield some


def _name_of(order: ImportBill) -> str:
    return order.name or Path(order.file).name


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
