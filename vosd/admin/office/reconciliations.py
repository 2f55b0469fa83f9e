"""Use cases of vendors' bills: compare a file with our calls, show what differs, dispute it (docs/books.md)."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Container, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.bill_comparison import (
    CSV_COLUMNS,
    BillComparison,
    billed_call,
    csv_row,
    other_rates,
    read_chunk,
    sent_call,
    tried_number,
)
from vosd.admin.dispute_letter import dispute_letter
from vosd.admin.foreign_calls import BadRowError, opened
from vosd.admin.names import check_account, configured
from vosd.admin.office.bookings import for_account, refresh_balances
from vosd.admin.office.office import Office, needs, require, waits_for_rows
from vosd.admin.office.payments import ManualBooking, WaitingSheet, book_by_hand, needs_second
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.shadow_rating import BAD_ROWS_SHOWN, CdrMap
from vosd.admin.sorted_calls import SortedCalls
from vosd.base.csv_text import csv_of
from vosd.base.errors import VosError
from vosd.base.iso4217 import unit_of_currency
from vosd.base.money import EXACT, ZERO, AmountText, Rounding, format_amount, round_to_unit
from vosd.billing.accounts import AccountType
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.cdr.retention import DroppedPeriod
from vosd.cdr.shown import shown_as
from vosd.clearing.calls import BillClass, BilledCall, SentCall
from vosd.clearing.explanations import Judge
from vosd.clearing.matching import Matcher
from vosd.clearing.sums import ClassSheet
from vosd.clearing.time_shift import TimeShift
from vosd.control.calls import ListCalls
from vosd.control.money import CountRefused, CountUnbooked
from vosd.engine.journal.quarantine import DIRECTORY as QUARANTINE, Quarantine
from vosd.storage.disputes import DisputeState, StoredDispute
from vosd.storage.ledger_values import EARNED, EntryFilter
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.reconciliations import ReconciliationFilter, StoredReconciliation, TriedCall


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
_REPORTED_EVERY: Final = 1_000
_EXPLAINED_AT_ONCE: Final = 500
_FOLLOWING: Final = {
    DisputeState.OPEN: {DisputeState.SENT, DisputeState.ACCEPTED, DisputeState.REJECTED, DisputeState.SETTLED},
    DisputeState.SENT: {DisputeState.ACCEPTED, DisputeState.REJECTED, DisputeState.SETTLED},
    DisputeState.ACCEPTED: {DisputeState.SETTLED, DisputeState.REJECTED},
    DisputeState.REJECTED: {DisputeState.SENT, DisputeState.SETTLED},
    DisputeState.SETTLED: set(),
}
"""States that may follow each state of a dispute."""


class NoUsableRowError(VosError):
    """No row of the file can be read by the map; nothing was imported."""


class NoDisputeError(VosError):
    """Nothing is disputed of this reconciliation."""


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


class BadRowSheet(msgspec.Struct, frozen=True):
    """A row that could not be read."""

    line: int
    """Line of the file."""
    reason: str
    """Why it could not be read."""


class ComparisonSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and classes of a comparison."""

    rows: int
    """Rows of the file."""
    bad_rows: int
    """Rows that could not be read."""
    first_bad_rows: tuple[BadRowSheet, ...]
    """The first of them, with the reason."""
    attempts: int
    """Rows without seconds and price."""
    tolerance: float
    """Seconds by which the starts of a call may differ."""
    duration_tolerance: float
    """Seconds by which the durations of a call may differ."""
    classes: tuple[ClassSheet, ...]
    """Calls and money by class and explanation."""
    time_shift: int | None = None
    """Seconds by which the times of the file seem to be after ours: the zone of the map may be wrong; null = none."""
    lacks_seconds: bool = False
    """Whether the starts of the file seem to be cut off to whole minutes, and most calls are missing for that."""
    zone: str | None = None
    """Zone of the times of the file that have none of their own; null = an earlier version has compared it."""
    unbooked: int = 0
    """Calls of the period that were not booked yet, and so were not compared: compare the file again when they are."""


class _KeptComparison(ComparisonSheet, frozen=True, kw_only=True):
    """A comparison as it is kept."""

    latest_correction: int
    """Number of the latest correction of a charge before our calls were read."""


class _KeptMark(msgspec.Struct, frozen=True):
    """The part of a kept comparison by which later corrections of charges are known."""

    tolerance: float = 0
    latest_correction: int | None = None
    """None = an earlier version has compared the calls."""


class DisputeSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute with a vendor; money as text, times are RFC 3339."""

    state: DisputeState
    """State of the dispute."""
    may_become: tuple[DisputeState, ...]
    """Other states that it may be changed to."""
    amount: str
    """Amount that the vendor is asked to credit, or has agreed to, as text."""
    reference: str | None
    """Reference of the vendor's credit note."""
    memo: str | None
    booked: str | None = None
    """Amount of the entry that settled it, as the vendor's account has it; null = nothing was booked."""
    booked_as: str | None = None
    """Reference of that entry."""
    opened_at: str
    """Time at which it was opened, RFC 3339."""
    changed_at: str
    """Time of the last change, RFC 3339."""
    operator: str
    """Name of who has changed it last."""


class ReconciliationSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of a vendor's file with our calls; money as text, times are RFC 3339."""

    id: int
    """Number of the comparison."""
    account: str
    """Account of the vendor."""
    file: str
    """Name of the vendor's file."""
    since: str
    """First moment of the period, RFC 3339."""
    until: str
    """First moment behind the period, RFC 3339."""
    made_at: str
    """Time of the comparison."""
    operator: str
    currency: str | None
    ours: AmountText
    """Cost that is booked here, as text."""
    theirs: AmountText
    """Price of the vendor, as text."""
    difference: AmountText
    """Price of the vendor less the cost that is booked here, as text."""
    disputable: AmountText
    """Sum of the classes in which the vendor asks for more than is booked here, as text."""
    comparison: ComparisonSheet
    """Counts and classes."""
    dispute: DisputeSheet | None
    """The dispute; null = nothing is disputed."""
    waiting: int | None = None
    """Number of the payment that a second person must confirm before the dispute can be settled; null = none."""
    repeated: bool = False
    """Whether the same file was imported before: this is the comparison of then."""
    corrected: int | None = None
    """Calls whose cost was corrected since: compare the file again. null = it was not looked up, as in lists, or
    calls of it were dropped: it cannot be compared again."""


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
        return await _sheet(office, earlier, is_repeated=True)
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
    return await _sheet(office, kept, is_repeated=not is_new)


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
        """Read the file; the period is that of its calls unless the order says it."""
        first, last = None, 0
        with opened(Path(self._order.file), self._wanted.layout) as file:
            for line, call in file.rows():
                self._rows += 1
                if isinstance(call, BadRowError):
                    self._bad += 1
                    if len(self._bad_rows) < BAD_ROWS_SHOWN:
                        self._bad_rows.append(BadRowSheet(line, str(call)))
                else:
                    first = call.started_at if first is None else min(first, call.started_at)
                    last = max(last, call.started_at)
                    self._theirs.add(billed_call(line, call))
                if self._rows % _REPORTED_EVERY == 0:
                    self._report(file.part * 0.3, self._rows)
                    await asyncio.sleep(0)
        if first is None:
            why = self._bad_rows[0].reason if self._bad_rows else "it has none"
            raise NoUsableRowError(f"no row of {_name_of(self._order)} can be read: {why}")
        self.since = first if self._order.since is None else self._order.since
        self.until = last + 1 if self._order.until is None else self._order.until

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

    def result(self, comparison: BillComparison) -> _KeptComparison:
        """Return the counts and classes."""
        shift_ms = self._time_shift.found()
        return _KeptComparison(
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


class ListReconciliations(ReconciliationFilter, frozen=True):
    """Comparisons of vendors' files, the newest first unless ``oldest_first``; all given criteria must hold."""


@needs(Permission.BOOKS_SEE)
async def list_reconciliations(office: Office, who: Principal, order: ListReconciliations) -> list[ReconciliationSheet]:
    """Return comparisons with their disputes.

    Raises:
        UnknownNameError: nothing fits, and the account is unknown.
    """
    found = await office.stores.reconciliations.list(order)
    if not found:
        await check_account(order.account, office.definitions, office.stores, office.now())
    disputes = await office.stores.reconciliations.disputes([each.id for each in found])
    return [_made_sheet(each, disputes.get(each.id)) for each in found]


class ReconciliationOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One comparison."""

    id: int


class ShowReconciliation(ReconciliationOrder, frozen=True):
    """Counts, classes and dispute of a comparison."""


class ReadDifferences(ReconciliationOrder, frozen=True):
    """The calls of a comparison that differ."""

    result: BillClass | None = None
    """Class of the calls; None = all that differ."""


class DisputeBill(ReconciliationOrder, frozen=True):
    """A dispute about a comparison: opened, or its state and amount changed."""

    state: DisputeState | None = None
    """State that it comes to; None = it stays, and a new one is open."""
    amount: Decimal | None = None
    """Amount that the vendor is asked to credit, at most its bill; None = it stays, of a new one all disputable."""
    reference: str | None = None
    """Reference of the vendor's credit note, and of its entry in the ledger; empty = none, None = it stays."""
    memo: str | None = None
    """A sentence for the letter; empty = none, None = it stays."""
    book: bool = False
    """Whether settling it books the amount on the account of the vendor: where the ledger has what is credited."""


class WriteLetter(ReconciliationOrder, frozen=True):
    """The letter to the vendor about a dispute."""


class Letter(msgspec.Struct, frozen=True):
    """A letter."""

    text: str
    """The letter as Markdown."""


@needs(Permission.BOOKS_SEE)
async def show_reconciliation(office: Office, who: Principal, order: ShowReconciliation) -> ReconciliationSheet:
    """Return a comparison; raises NoSuchReconciliationError where there is none of the number."""
    return await _sheet(office, await office.stores.reconciliations.one(order.id))


@needs(Permission.BOOKS_SEE)
async def read_differences(office: Office, who: Principal, order: ReadDifferences) -> AsyncGenerator[str, None]:
    """Yield the calls that differ as CSV with a header, in parts: the file that a dispute is sent with.

    Raises:
        NoSuchReconciliationError: there is none of the number.
        StoreUnavailable: what was yielded is correct, and is not all.
    """
    await office.stores.reconciliations.one(order.id)
    yield csv_of([CSV_COLUMNS])
    chunks = office.stores.reconciliations.chunks(order.id)
    async with aclosing(chunks):
        async for compressed in chunks:
            calls = await asyncio.to_thread(read_chunk, compressed)
            yield csv_of(csv_row(each) for each in calls if order.result in {None, each.result})


@needs(Permission.BOOKS_CHANGE)
async def dispute_bill(office: Office, who: Principal, order: DisputeBill) -> ReconciliationSheet:
    """Open a dispute, or change its state and amount; an order that changes nothing leaves no line in the audit.

    Settling it books nothing by itself: the ledger has the calls at our own cost, never what the vendor asks above it.
    With ``book`` it books the amount as an adjustment of the vendor's account, in the same transaction and by the
    limits of payments: an amount above the limit of the principal waits for a second person. The dispute is
    ``accepted`` until that person has confirmed the payment and the order is given again, with ``book`` or without.

    Raises:
        PermissionLackingError: it would book money, and the principal may not.
        NoSuchReconciliationError: there is none of the number.
        OrderError: the state cannot follow the present one, its payment waits, or the amount is none, is more than the
            bill, or would be booked and is more than is disputable.
        DisputeMovedError: another person has changed it meanwhile.
        WasRefusedError: a second person has refused the payment.
        ReferenceTaken, OtherCurrency, UnknownAccountError: nothing was booked or changed.
    """
    stored = await office.stores.reconciliations.one(order.id)
    before = (await office.stores.reconciliations.disputes([order.id])).get(order.id)
    corrected = await corrected_since(office, stored)  # read before the change: else one that is made may seem to fail
    amount = order.amount
    if amount is not None and amount <= 0:
        raise OrderError("amount", f"is {format_amount(amount)}: it must be above zero")
    disputable = _disputable(stored)
    if before is None:
        amount = disputable if amount is None else amount
        if amount <= 0:
            raise OrderError("amount", "is missing: the vendor asks for no more than is booked here")
        wanted = _opened(office, who, order, stored, amount)
    else:
        wanted = _changed(office, who, order, before, amount)
    if before is None or wanted.amount != before.amount:
        _check_on_bill(stored, wanted.amount, disputable)
    line, settlement, waiting = office.audit_line(who, order, stored.account), None, None
    settles = wanted.state is DisputeState.SETTLED and (before is None or before.state is not wanted.state)
    if settles and not order.book:
        wanted = await _settled_unbooked(office, who, wanted, stored.since)
    elif settles:
        require(who, Permission.MONEY_BOOK)
        settlement = await _settlement(office, who, wanted, stored.since)
        is_booked = await office.stores.payments.earlier(settlement) is not None
        most = creditable(disputable, stored.currency)
        if wanted.amount > most and not is_booked:
            raise OrderError(
                "amount",
                f"is {format_amount(wanted.amount)}: no more is booked than is disputable, {format_amount(most)}",
                "vosd payment add books a credit for calls that agree",
            )
        wanted = msgspec.structs.replace(wanted, booked=settlement.amount)
        if needs_second(office, who, settlement.amount) and not is_booked:
            asked = await book_by_hand(office, who, _by_hand(settlement), line)
            assert isinstance(asked, WaitingSheet), "above the limit of the principal, and not booked yet"
            wanted, settlement, waiting = _agreed(wanted), None, asked.id
            line = line._replace(request=None)  # its key was kept with the payment, and is kept once
    if before is None or msgspec.structs.replace(before, changed_at=0, operator="") != msgspec.structs.replace(
        wanted, changed_at=0, operator=""
    ):
        await office.stores.reconciliations.dispute(wanted, before, line, settlement)
        if settlement is not None:
            await refresh_balances(office.switch)
    else:
        wanted = before  # nothing was changed, and so neither was its time
    return msgspec.structs.replace(_made_sheet(stored, wanted), waiting=waiting, corrected=corrected)


def _check_on_bill(stored: StoredReconciliation, amount: Decimal, disputable: Decimal) -> None:
    # Credits in the file may make the bill less than its calls that differ.
    exact = max(stored.theirs, disputable)
    most = creditable(exact, stored.currency)
    if amount > most:
        given, bound, billed = map(format_amount, (amount, most, exact))
        raise OrderError("amount", f"is {given}: at most {bound}, for the vendor bills {billed}")


def creditable(exact: Decimal, currency: str | None) -> Decimal:
    """Round a sum of calls up as a bill or credit note may: no vendor writes parts of the smallest unit of money."""
    return round_to_unit(exact, unit_of_currency(currency or ""), Rounding.UP)


async def corrected_since(office: Office, stored: StoredReconciliation) -> int | None:
    """Return how many calls of a comparison had what their vendor is paid corrected since it was made.

    None = its calls were dropped, or their numbers are masked, so that the file cannot be compared again.
    """
    try:
        await office.stores.reconciliations.check_kept(stored.since)
    except DroppedPeriod:
        return None
    kept = msgspec.json.decode(stored.result, type=_KeptMark)
    return await office.stores.reconciliations.corrected(stored, round(1_000 * kept.tolerance), kept.latest_correction)


async def _settled_unbooked(office: Office, who: Principal, dispute: StoredDispute, since: int) -> StoredDispute:
    """Return a dispute that is settled and books nothing now: an entry that was confirmed before is its settlement.

    Raises:
        OrderError: its payment waits for a second person, who would confirm an entry that the dispute does not name.
        ReferenceTaken: that entry is of another amount.
    """
    entry = await _settlement(office, who, dispute, since)
    own = entry.account, entry.kind, entry.reference
    for each in await office.stores.waiting_payments.waiting():  # first: one that is confirmed meanwhile is booked then
        if (each.account, each.kind, each.reference) == own:
            remedy = f"vosd payment confirm {each.id}, or vosd payment refuse {each.id}"
            raise OrderError("state", f"cannot be settled: payment {each.id} waits for a second person", remedy)
    is_booked = await office.stores.payments.earlier(entry) is not None
    return msgspec.structs.replace(dispute, booked=entry.amount) if is_booked else dispute


async def _settlement(office: Office, who: Principal, dispute: StoredDispute, since: int) -> Payment:
    """Return the entry that settles a dispute: what the vendor credits. ``since`` is when the bill begins.

    The balance of a vendor falls by what its calls cost, so a credit raises it; that of a partner, which is paid for
    calls by its balance, falls. An account that is no longer configured is a partner where calls since then have
    raised its balance.
    """
    account = office.definitions.accounts().get(dispute.account)
    if account is None:
        earned = EntryFilter(account=dispute.account, since=since, kinds=(EARNED,))
        is_earning = await office.stores.ledger.are_more(earned, 0)
    else:
        is_earning = account.type is AccountType.PARTNER
    credit_note = f"credit note {dispute.reference} of dispute" if dispute.reference else "dispute"
    payment = Payment(
        account=dispute.account,
        kind=EntryKind.ADJUSTMENT,
        reference=dispute.settled_as,
        made_at=office.now(),
        amount=-dispute.amount if is_earning else dispute.amount,
        operator=who.recorded,
        memo=f"{credit_note} {dispute.reconciliation}",
    )
    return replace(payment, must_exist=True) if account is None else for_account(account, payment)


def _by_hand(payment: Payment) -> ManualBooking:
    return ManualBooking(
        account=payment.account, kind=payment.kind, amount=payment.amount, reference=payment.reference,
        memo=payment.memo,
    )  # fmt: skip


def _agreed(dispute: StoredDispute) -> StoredDispute:
    """Return a dispute that would be settled if its payment did not wait for a second person."""
    return msgspec.structs.replace(dispute, state=DisputeState.ACCEPTED, booked=None)


def _opened(
    office: Office, who: Principal, order: DisputeBill, stored: StoredReconciliation, amount: Decimal
) -> StoredDispute:
    now = office.now()
    return StoredDispute(
        reconciliation=stored.id,
        account=stored.account,
        state=order.state or DisputeState.OPEN,
        amount=amount,
        currency=stored.currency,
        reference=_noted(order.reference, None),
        memo=_noted(order.memo, None),
        opened_at=now,
        changed_at=now,
        operator=who.recorded,
    )


def _changed(
    office: Office, who: Principal, order: DisputeBill, before: StoredDispute, amount: Decimal | None
) -> StoredDispute:
    state = order.state or before.state
    if state is not before.state and state not in _FOLLOWING[before.state]:
        raise OrderError("state", f"cannot be {state.value}: the dispute is {before.state.value}")
    if before.state is DisputeState.SETTLED and amount not in {None, before.amount}:
        raise OrderError(
            "amount", f"was settled with {format_amount(before.amount)}", "vosd payment add books the rest"
        )
    reference = _noted(order.reference, before.reference)
    if before.state is DisputeState.SETTLED and reference != (before.reference or None):
        raise OrderError("reference", "stays as it is: the dispute is settled")
    if before.state is DisputeState.SETTLED and order.state is not None and order.book and before.booked is None:
        raise OrderError(
            "book", "books nothing: the dispute was settled without an entry", "vosd payment add books one"
        )
    return msgspec.structs.replace(
        before,
        state=state,
        amount=before.amount if amount is None else amount,
        reference=reference,
        memo=_noted(order.memo, before.memo),
        changed_at=office.now(),
        operator=who.recorded,
    )


def _noted(given: str | None, before: str | None) -> str | None:
    """Return a note of a dispute as an order leaves it."""
    return (before if given is None else given) or None


@needs(Permission.BOOKS_SEE)
async def write_letter(office: Office, who: Principal, order: WriteLetter) -> Letter:
    """Return the letter about a dispute: amounts by class and explanation, and what is asked for.

    Raises:
        NoSuchReconciliationError: there is none of the number.
        NoDisputeError: nothing is disputed.
    """
    stored = await office.stores.reconciliations.one(order.id)
    dispute = (await office.stores.reconciliations.disputes([order.id])).get(order.id)
    if dispute is None:
        raise NoDisputeError(f"nothing of reconciliation {order.id} is disputed: vosd reconcile dispute {order.id}")
    name = configured(office.definitions.accounts(), stored.account).id
    return Letter(dispute_letter(stored, dispute, _comparison(stored).classes, name))


async def _sheet(office: Office, stored: StoredReconciliation, *, is_repeated: bool = False) -> ReconciliationSheet:
    disputes = await office.stores.reconciliations.disputes([stored.id])
    sheet = _made_sheet(stored, disputes.get(stored.id))
    return msgspec.structs.replace(sheet, repeated=is_repeated, corrected=await corrected_since(office, stored))


def _comparison(stored: StoredReconciliation) -> ComparisonSheet:
    return msgspec.json.decode(stored.result, type=ComparisonSheet)


def _disputable(stored: StoredReconciliation) -> Decimal:
    found = ZERO
    for each in _comparison(stored).classes:
        if each.result is not BillClass.MATCHED:
            found = EXACT.add(found, max(Decimal(each.difference), ZERO))
    return found


def _made_sheet(stored: StoredReconciliation, dispute: StoredDispute | None) -> ReconciliationSheet:
    return shown_as(
        ReconciliationSheet,
        stored,
        difference=format_amount(EXACT.subtract(stored.theirs, stored.ours)),
        disputable=format_amount(_disputable(stored)),
        comparison=_comparison(stored),
        dispute=None if dispute is None else _dispute_sheet(dispute),
    )


def _dispute_sheet(dispute: StoredDispute) -> DisputeSheet:
    return shown_as(
        DisputeSheet,
        dispute,
        may_become=tuple(each for each in DisputeState if each in _FOLLOWING[dispute.state]),
        booked_as=None if dispute.booked is None else dispute.settled_as,
    )
