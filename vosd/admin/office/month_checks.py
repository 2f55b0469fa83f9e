"""Checks before a month is closed: each finds work that is missing, and changes nothing."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from vosd.admin.month_page import MissingOfMonth, MonthObstacle, VendorOfMonth
from vosd.admin.office.office import Office
from vosd.admin.office.reconciliations import corrected_since
from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import DroppedPeriod, DroppedSums
from vosd.control.calls import ListCalls
from vosd.control.money import CountUnbooked
from vosd.engine.journal.quarantine import DIRECTORY as QUARANTINE, Quarantine
from vosd.storage.database_clock import check_has_come
from vosd.storage.disputes import DisputeState
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.reconciliations import StoredReconciliation
from vosd.storage.traffic_sums import TrafficQuery, TrafficRow
from vosd.traffic.counted import SLOT_MS, TrafficKind
from vosd.traffic.spans import ReportSpan

_OPEN: Final = frozenset({DisputeState.OPEN, DisputeState.SENT, DisputeState.ACCEPTED})
_IN_QUARANTINE: Final = frozenset({BookFault.QUARANTINED, BookFault.QUARANTINE_UNREADABLE})
"""Differences that are named by what lies in quarantine."""
_VERIFIED: Final = 0.5
"""Part of the time of the checks after which the ledger is verified."""


class _Compared(msgspec.Struct, frozen=True):
    """The part of a stored comparison that is looked at."""

    unbooked: int = 0


class MonthChecks:
    """The checks of one month; times are UTC milliseconds."""

    def __init__(self, office: Office, since: int, until: int, report: Callable[[float, int], None]) -> None:
        """``report`` receives a part of 1 and a count of calls: they are verified, and then counted again."""
        self._office, self._stores = office, office.stores
        self._since, self._until, self._report = since, until, report
        self._span = f" --since {iso_utc(since)} --until {iso_utc(until)}"

    async def missing(self) -> list[MissingOfMonth]:
        """Return the work that is missing.

        Raises:
            ClockAhead: the month has ended by the clock of this machine, and not by the database's.
            DaemonUnreachableError, DaemonRefusedError: a switch runs and does not say which calls are not booked.
            JournalUnreadableError, QuarantineError: the journal, or the refused records cannot be read.
        """
        if self._until > self._office.now():
            detail = f"it ends at {iso_utc(self._until)}"
            return [MissingOfMonth(MonthObstacle.NOT_OVER, detail, "")]
        await check_has_come(self._stores.database, self._until)
        found = []
        for check in (self._unbooked, self._ledger, self._refused, self._sums, self._vendors):
            async with aclosing(check()) as some:
                found += [each async for each in some]
        return found

    async def vendors(self) -> tuple[VendorOfMonth, ...]:
        """Return the comparisons of vendors' bills with calls of the month."""
        bills = await self._bills()
        disputes = await self._stores.reconciliations.disputes([each.id for each in bills])
        return tuple(
            VendorOfMonth(
                each.id, each.account, each.currency, format_amount(each.theirs), format_amount(each.ours),
                None if (dispute := disputes.get(each.id)) is None else dispute.state.value,
                None if dispute is None else format_amount(dispute.amount),
            )
            for each in bills
        )  # fmt: skip

    async def _unbooked(self) -> AsyncGenerator[MissingOfMonth, None]:
        switch = self._office.switch
        calls = await switch.ask_if_running(ListCalls())
        waiting = await switch.ask_if_running(CountUnbooked(self._until))
        running = [each for each in calls or () if each.started_at < iso_utc(self._until)]
        if running:
            detail = f"{len(running)} calls run that began in the month or before"
            yield MissingOfMonth(MonthObstacle.UNBOOKED, detail, "vosd calls")
        if waiting:
            detail = f"{waiting} calls that began in the month or before are not booked yet"
            yield MissingOfMonth(MonthObstacle.UNBOOKED, detail, "vosd status")

    async def _ledger(self) -> AsyncGenerator[MissingOfMonth, None]:
        from vosd.admin.reconcile import reconcile  # loads the journal of the switch, which other orders need not

        faults: list[BookDifference] = []
        await self._stores.verify(faults.append, passed=lambda part, calls: self._report(part * _VERIFIED, calls))
        journal = await reconcile(self._stores.booked_calls, self._office.definitions.settings.state_dir)
        if journal is not None:
            faults += journal.differences
            if journal.waiting and await self._office.switch.ask_if_running(ListCalls()) is None:
                detail = f"no switch runs, and {journal.waiting} calls of its journal are not booked"
                yield MissingOfMonth(MonthObstacle.UNBOOKED, detail, "vosd spool check")
        others = [each for each in faults if each.fault not in _IN_QUARANTINE]
        if others:
            detail = f"{len(others)} differences, the first is: {others[0]}"
            yield MissingOfMonth(MonthObstacle.LEDGER_DIFFERS, detail, "vosd ledger verify")

    async def _refused(self) -> AsyncGenerator[MissingOfMonth, None]:
        content = Quarantine(self._office.definitions.settings.state_dir / QUARANTINE).read()
        refused = [each.record.call_id for each in content.records if each.record.started_at < self._until]
        if refused:
            detail = f"{len(refused)} records of calls were refused, the first is of call {refused[0]}"
            yield MissingOfMonth(MonthObstacle.QUARANTINED, detail, "vosd spool list")
        if content.unreadable:
            detail = (
                f"{len(content.unreadable)} records of calls cannot be read, the first is {content.unreadable[0].path}"
            )
            yield MissingOfMonth(MonthObstacle.QUARANTINED, detail, "vosd spool list")

    async def _sums(self) -> AsyncGenerator[MissingOfMonth, None]:
        traffic = self._stores.traffic
        lacking = (await traffic.missing(self._since, self._until)).calls
        if lacking:
            yield MissingOfMonth(
                MonthObstacle.SUMS_MISSING, f"{lacking} calls are not in the sums yet", "vosd report rebuild"
            )
        day = await traffic.first_open_day(self._until)
        if day is not None:
            detail = f"the day {iso_utc(day)[:10]} has no sums of its own yet"
            yield MissingOfMonth(MonthObstacle.DAYS_OPEN, detail, "vosd report rebuild")
        count, first = 0, None
        try:
            async with aclosing(traffic.differences(self._since, self._until, self._counted)) as differences:
                async for each in differences:
                    count, first = count + 1, first or each
        except DroppedPeriod as error:
            yield MissingOfMonth(MonthObstacle.CALLS_DROPPED, str(error), "vosd retention history")
        if first is not None:
            detail = (
                f"{count} sums differ, the first is {first.measure} at {iso_utc(first.slot * SLOT_MS)}: "
                f"{first.stored} instead of {first.counted}"
            )
            yield MissingOfMonth(MonthObstacle.SUMS_DIFFER, detail, f"vosd report rebuild{self._span}")

    def _counted(self, part: float, _hours: int) -> None:
        self._report(_VERIFIED + part * (1 - _VERIFIED), 0)

    async def _vendors(self) -> AsyncGenerator[MissingOfMonth, None]:
        bills = await self._bills()
        for vendor in await self._vendors_used():
            gaps = self._gaps([each for each in bills if each.account == vendor])
            rows = [row for row in await self._traffic(gaps, vendor) if row.sums[0] or row.sums[1]] if gaps else []
            if rows:
                cost = ", ".join(f"{format_amount(row.sums[1])} {row.by[1]}".rstrip() for row in rows)
                detail = (
                    f"{sum(row.sums[0] for row in rows)} answered calls of {vendor}, {cost}, are in no reconciliation"
                )
                do = f"vosd reconcile import {vendor} FILE{self._span}"
                yield MissingOfMonth(MonthObstacle.VENDOR_UNMATCHED, detail, do)
        for bill in bills:
            unbooked = msgspec.json.decode(bill.result, type=_Compared).unbooked
            if unbooked:
                yield MissingOfMonth(
                    MonthObstacle.VENDOR_UNMATCHED,
                    f"{unbooked} calls were not booked yet when reconciliation {bill.id} of {bill.account} was made",
                    f"vosd reconcile import --again {bill.account} FILE",
                )
            corrected = await corrected_since(self._office, bill)
            if corrected:
                yield MissingOfMonth(
                    MonthObstacle.VENDOR_UNMATCHED,
                    f"the cost of {corrected} calls was corrected since reconciliation {bill.id} of {bill.account} "
                    "was made",
                    f"vosd reconcile import --again {bill.account} FILE",
                )
        disputes = await self._stores.reconciliations.disputes([each.id for each in bills])
        for number, each in sorted(disputes.items()):
            if each.state in _OPEN:
                amount = f"{format_amount(each.amount)} {each.currency or ''}".rstrip()
                detail = f"dispute {number} with {each.account} about {amount} is {each.state.value}"
                yield MissingOfMonth(
                    MonthObstacle.DISPUTE_OPEN,
                    detail,
                    f"vosd reconcile dispute {number} --state settled --amount AMOUNT",
                )

    async def _vendors_used(self) -> list[str]:
        """Return the vendors of the calls of the month; none where sums of then were dropped, which ``_sums`` says."""
        try:
            rows = await self._traffic([(self._since, self._until)])
        except DroppedSums:
            return []
        return sorted({str(row.by[0]) for row in rows} - {""})

    async def _bills(self) -> Sequence[StoredReconciliation]:
        return await self._stores.reconciliations.within(self._since, self._until)

    def _gaps(self, bills: list[StoredReconciliation]) -> list[tuple[int, int]]:
        """Return the parts of the month that no bill of a vendor is for, in whole quarters of an hour."""
        gaps, begin = [], self._since
        for each in sorted(bills, key=lambda bill: bill.since):
            gaps.append((begin, min(each.since, self._until)))
            begin = max(begin, each.until)
        gaps.append((begin, self._until))
        whole = [(-(-first // SLOT_MS) * SLOT_MS, end // SLOT_MS * SLOT_MS) for first, end in gaps]
        return [(first, end) for first, end in whole if first < end]

    async def _traffic(self, spans: list[tuple[int, int]], vendor: str | None = None) -> list[TrafficRow]:
        """Return answered calls and cost by vendor and currency, of all spans together.

        They are read from the database itself: the calls of a vendor may be those that a replica lacks.
        """
        where = () if vendor is None else ((("vendor_account",), [vendor]),)
        query = TrafficQuery(TrafficKind.CALL, ("vendor_account", "vendor_currency"), ("answered", "cost"), where)
        wanted = [ReportSpan(*span, "") for span in spans]
        (rows,) = (await self._stores.traffic_sums.rows(wanted, [query], may_lag=False)).rows
        together: dict[tuple[str | int, ...], TrafficRow] = {}
        for row in rows:
            before = together.get(row.by)
            sums = row.sums if before is None else tuple(a + b for a, b in zip(before.sums, row.sums, strict=True))
            together[row.by] = TrafficRow(0, row.by, sums)
        return [*together.values()]
