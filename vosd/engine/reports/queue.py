"""Reports that wait for delivery: which one is next, what a failure means, what is dropped.

Pure: the time is an argument. Of one call only the oldest report may be on its way, so the order of a call is kept, and
a report that the server cannot take delays no other call: one that fails while others are taken says nothing of the
server, it is tried again ever later, and reports that have failed take half of the connections at most. A report whose
answer is overdue, as later ones were answered, takes no connection from others where there are more couriers than
connections. After two other failures in a row the server is taken as away: one report is then tried in each
``retry_interval_ms``, until one is taken, and beside one that has failed before one that has not.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from enum import Enum
from heapq import heappop, heappush
from typing import Final, NamedTuple

from vosd.engine.reports.report import CallReport
from vosd.engine.settings import DeliverySettings

FAILURES_MAX: Final = 2
"""Failures in a row after which the server is taken as away."""
OVERTAKEN_MAX: Final = 8
"""Later reports that are answered before one; then its own answer is overdue, and may never come."""
HOPELESS: Final = 3
"""Failures of a report after which a stop of the switch does not count on it."""
LONG_AGO_MS: Final = -(1 << 62)
"""Time before all others: what an earlier run has left is tried in its order, at once."""


class ReportOutcome(Enum):
    """Outcomes of a report; with all but the first it is lost."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    """The server answered, with 400, 410 or 422 for one: it would not take it later either."""
    FULL = "full"
    """There were more than ``queue``; the oldest are dropped first."""
    EXPIRED = "expired"
    """It could not be delivered within ``max_age``."""
    FAILED = "failed"
    """The only attempt failed, as ``retry`` is ``no``."""
    UNWANTED = "unwanted"
    """The server was taken out of the configuration."""


class _Failures(NamedTuple):
    all: int
    of_its_own: int
    """Failures while the server answered others."""
    answered: int
    """Reports that were answered by the last one."""


class ReportQueue:
    """The reports of one switch."""

    def __init__(self, settings: DeliverySettings) -> None:
        self.settings = settings
        self.counted: Counter[ReportOutcome] = Counter()
        """Reports that are done, since the start."""
        self.failures = 0
        """Failed deliveries since the start."""
        self._waiting: OrderedDict[int, CallReport] = OrderedDict()
        """By number, the oldest first; a dict would look for its first entry behind all that were taken out before."""
        self._minor: OrderedDict[int, CallReport] = OrderedDict()
        """Waiting reports that are dropped before all others, the oldest first."""
        self._of_call: dict[str, deque[CallReport]] = {}
        self._ready: OrderedDict[str, None] = OrderedDict()
        """Calls whose oldest report may be sent and was not tried yet, in order."""
        self._later: dict[str, int] = {}
        """Calls whose oldest report has failed, and when it is tried again."""
        self._due: list[tuple[int, str]] = []
        """The moments in ``_later``, the earliest first; those of calls that are there no more stay until then."""
        self._on_their_way: dict[str, int] = {}
        """Calls whose oldest report is being sent, and how many were answered before."""
        self._repeated: set[str] = set()
        """Calls among them for which it has failed before."""
        self._overtaken: dict[str, int] = {}
        """Calls among them that others have overtaken, and how many did."""
        self._overdue = 0
        """Calls among them whose answer is overdue."""
        self._answered_late: set[str] = set()
        """Calls among them whose report the server has taken by an earlier attempt."""
        self._failed: dict[str, _Failures] = {}
        """Failures of the oldest report of calls."""
        self._answered = 0
        """Reports that the server has taken or refused."""
        self._failed_in_row = 0
        self._paused_until = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_failing(self) -> bool:
        """Whether the latest deliveries have failed."""
        return self._failed_in_row >= FAILURES_MAX

    @property
    def is_away(self) -> bool:
        """Whether the server is taken as away, and reports wait for it."""
        return self.settings.retry and self._failed_in_row >= FAILURES_MAX

    @property
    def has_untried(self) -> bool:
        """Whether the oldest report of a call has not failed yet."""
        return len(self._of_call) > len(self._failed)

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing waits, or only what a server that is well has left unanswered again and again."""
        if not self._of_call:
            return True
        is_well = self._answered > 0 and not self.is_away
        return is_well and not self.has_untried and all(each.all >= HOPELESS for each in self._failed.values())

    def waits_of(self, call_id: str) -> bool:
        """Return whether a report of a call waits."""
        return call_id in self._of_call

    def is_doubtful(self, call_id: str) -> bool:
        """Return whether the oldest report of a call has failed before: the server may never take it."""
        return call_id in self._failed

    def waiting(self) -> Iterable[CallReport]:
        """Return the reports that wait, the oldest first."""
        return self._waiting.values()

    def put(self, report: CallReport, *, is_minor: bool = False, is_left: bool = False) -> CallReport | None:
        """Add a report; return the one that is dropped in its place, if there are too many.

        ``is_minor``: it is dropped before the reports that are not, however young it is. ``is_left``: an earlier run
        has left it, perhaps because the server never takes it, so it counts as failed.
        """
        self._waiting[report.number] = report
        if is_minor:
            self._minor[report.number] = report
        reports = self._of_call.get(report.call_id)
        if reports is None:
            self._of_call[report.call_id] = deque((report,))
            if is_left:
                self._failed[report.call_id] = _Failures(0, 0, self._answered)
            self._try_soon(report.call_id)
        else:
            reports.append(report)
        return self.drop_surplus() if len(self._waiting) > self.settings.queue else None

    def drop_surplus(self) -> CallReport | None:
        """Drop the oldest report that is not on its way, minor ones first, if there are too many; return it."""
        if len(self._waiting) <= self.settings.queue:
            return None
        for reports in (self._minor, self._waiting):
            oldest = next((each for each in reports.values() if each.call_id not in self._on_their_way), None)
            if oldest is not None:
                self.counted[ReportOutcome.FULL] += 1
                self.remove(oldest)
                return oldest
        return None

    def drop_old(self, wall_ms: int) -> list[CallReport]:
        """Drop the reports that are older than ``max_age``; return them."""
        before, old = wall_ms - 1_000 * self.settings.max_age_s, []
        for report in self._waiting.values():
            if report.made_at > before:
                break
            if report.call_id not in self._on_their_way:
                old.append(report)
        for report in old:
            self.counted[ReportOutcome.EXPIRED] += 1
            self.remove(report)
        return old

    def drop_all(self) -> None:
        """Drop everything: nothing is to be reported any more; nothing may be on its way."""
        self.counted[ReportOutcome.UNWANTED] += len(self._waiting)
        self._due.clear()
        for each in (self._waiting, self._minor, self._of_call, self._ready, self._later, self._failed):
            each.clear()

    def remove(self, report: CallReport) -> None:
        """Remove a report of a call of which none is on its way; behind its oldest the next one may be sent."""
        del self._waiting[report.number]
        self._minor.pop(report.number, None)
        call_id = report.call_id
        reports = self._of_call[call_id]
        if reports[0].number != report.number:
            reports.remove(report)
            return
        reports.popleft()
        self._failed.pop(call_id, None)
        if not reports:
            del self._of_call[call_id]
            self._ready.pop(call_id, None)
            self._later.pop(call_id, None)
        elif call_id not in self._later:
            self._ready[call_id] = None

    def take(self, mono_ms: int) -> CallReport | None:
        """Return the next report to send; None = none may be sent now. Say then what became of it."""
        if self._is_full or (self.is_away and mono_ms < self._paused_until):
            return None
        if self._ready:
            # the youngest tells whether the server is back: older ones may be of those that it never takes
            call_id = next(reversed(self._ready) if self.is_away else iter(self._ready))
            del self._ready[call_id]
        else:
            due = self._repeat_at()
            if due is None or due > mono_ms:
                return None
            _, call_id = heappop(self._due)
            del self._later[call_id]
            self._repeated.add(call_id)
        self._on_their_way[call_id] = self._answered
        return self._of_call[call_id][0]

    def wait_ms(self, mono_ms: int) -> int | None:
        """Return after how many milliseconds ``take`` may return a report; None = not before another event."""
        if self._is_full:
            return None
        due = mono_ms if self._ready else self._repeat_at()
        if due is None:
            return None
        return max(0, (max(due, self._paused_until) if self.is_away else due) - mono_ms)

    @property
    def _is_full(self) -> bool:
        if self.is_away:  # what has failed before says nothing where it fails again, so it holds up nothing else
            return len(self._on_their_way) > len(self._repeated)
        return len(self._on_their_way) - self._overdue >= self.settings.connections

    def delivered(self, report: CallReport) -> None:
        """Note that the server has taken a report."""
        self._answer(report, ReportOutcome.DELIVERED)

    def refused(self, report: CallReport) -> None:
        """Note that the server answered, and refused a report."""
        self._answer(report, ReportOutcome.REFUSED)

    def delivered_late(self, report: CallReport) -> bool:
        """Note that the server has taken a report by an attempt that was given up; return whether it is done.

        One that is on its way again is done when that attempt ends.
        """
        self._failed_in_row = 0
        if report.number not in self._waiting:
            return False
        call_id = report.call_id
        if call_id in self._on_their_way:
            self._answered_late.add(call_id)
            return False
        self._later.pop(call_id, None)
        self.counted[ReportOutcome.DELIVERED] += 1
        self.remove(report)
        return True

    def failed(self, report: CallReport, mono_ms: int) -> bool:
        """Note that a report could not be delivered; return whether it is done all the same."""
        call_id = report.call_id
        if call_id in self._answered_late:
            self.delivered(report)
            return True
        self.failures += 1
        before = self._failed.get(call_id, _Failures(0, 0, self._on_their_way[call_id]))
        failures = before.of_its_own
        if self._answered > before.answered:  # the server is well, so it is the report
            failures += 1
        # The server may never take this report: its repetitions alone do not make the server count as away.
        elif call_id not in self._failed or self.is_away or not self.settings.retry_one_max_ms:
            self._failed_in_row += 1
            self._paused_until = mono_ms + self._gap_ms(self._failed_in_row, self.settings.retry_max_ms)
        if not self.settings.retry:
            self._done(report, ReportOutcome.FAILED)
            return True
        self._end_attempt(call_id)
        self._failed[call_id] = _Failures(before.all + 1, failures, self._answered)
        longest_ms = max(self.settings.retry_max_ms, self.settings.retry_one_max_ms)
        self._try_at(mono_ms + self._gap_ms(failures, longest_ms), call_id)
        return False

    def _try_soon(self, call_id: str) -> None:
        if call_id in self._failed:
            self._try_at(self._of_call[call_id][0].number + LONG_AGO_MS, call_id)
        else:
            self._ready[call_id] = None

    def _try_at(self, mono_ms: int, call_id: str) -> None:
        self._later[call_id] = mono_ms
        heappush(self._due, (mono_ms, call_id))

    def _repeat_at(self) -> int | None:
        """Return when a report that has failed may be sent again, the first of ``_due``; None = not now."""
        if len(self._repeated) >= (1 if self.is_away else max(1, self.settings.connections // 2)):
            return None
        while self._due:
            due, call_id = self._due[0]
            if self._later.get(call_id) == due:
                return due
            heappop(self._due)
        return None

    def _gap_ms(self, failures: int, longest_ms: int) -> int:
        """Return after which time is tried again what has failed so often."""
        gap_ms = self.settings.retry_interval_ms
        return min(gap_ms << min(max(failures - 1, 0), 20), max(gap_ms, longest_ms))

    def put_back(self, report: CallReport) -> None:
        """Note that sending of a report was given up, and says nothing of the server."""
        self._end_attempt(report.call_id)
        self._try_soon(report.call_id)

    def try_again(self) -> None:
        """Take the server as well, because it is another one; nothing may be on its way."""
        self._failed_in_row = 0
        self._due.clear()
        later, self._later = self._later, {}
        for call_id in later:
            self._try_soon(call_id)

    def _answer(self, report: CallReport, outcome: ReportOutcome) -> None:
        for call_id in self._on_their_way:  # in the order in which they were sent
            if call_id == report.call_id:
                break
            overtaken = self._overtaken[call_id] = self._overtaken.get(call_id, 0) + 1
            self._overdue += overtaken == OVERTAKEN_MAX
        self._answered += 1
        self._failed_in_row = 0
        self._done(report, outcome)

    def _done(self, report: CallReport, outcome: ReportOutcome) -> None:
        self._end_attempt(report.call_id)
        self.counted[outcome] += 1
        self.remove(report)

    def _end_attempt(self, call_id: str) -> None:
        del self._on_their_way[call_id]
        self._repeated.discard(call_id)
        self._answered_late.discard(call_id)
        self._overdue -= self._overtaken.pop(call_id, 0) >= OVERTAKEN_MAX
