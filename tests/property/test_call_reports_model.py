"""Reports of calls against a model: a server that fails as drawn, restarts, kills, and more reports than may wait."""

import os
import tempfile
from pathlib import Path

from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.engine.reports.queue import ReportOutcome, ReportQueue
from vosd.engine.reports.report import CallReport
from vosd.engine.reports.spool import ReportSpool
from vosd.engine.settings import CallReportSettings

KINDS = (
    "report", "report", "report", "report", "send", "send", "take", "fail", "fail", "refuse", "give up", "time",
    "much time", "tidy", "kill", "stop",
)  # fmt: skip
ACTIONS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), max_size=80)
SETTINGS = CallReportSettings("http://192.0.2.1/", queue=12, max_age_s=600, retry_interval_ms=5_000)


class Model:
    """A switch that reports calls, a server that takes what it is given, and what must be true of both."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._now = 1_000_000
        self._number = 0
        self.made: list[CallReport] = []
        self.taken: list[CallReport] = []
        """Of the server, repeated ones too."""
        self.lost: set[int] = set()
        self._lost_by_killed = 0
        self._under_way: list[CallReport] = []
        self._begin()

    def do(self, action: str, which: int) -> None:
        """Do one thing; ``which`` chooses a call, or among the reports under way."""
        report = self._under_way[which % len(self._under_way)] if self._under_way else None
        match action:
            case "report":
                self._number += 1
                made = CallReport(self._number, f"call-{which}", self._now, b'{"n":%d}' % self._number)
                self.made.append(made)
                self.spool.add(made)
                self._drop(self.queue.put(made))
            case "take":
                self._take()
            case "send":
                self._take()
                if self._under_way:
                    self._deliver(self._under_way.pop(0))
            case "fail" if report is not None:
                self._under_way.remove(report)
                assert not self.queue.failed(report, self._now)
            case "refuse" if report is not None:
                self._under_way.remove(report)
                self.queue.refused(report)
                self.lost.add(report.number)
                self.spool.done(report)
            case "give up" if report is not None:
                self._under_way.remove(report)
                self.queue.put_back(report)
            case "time" | "much time":
                self._now += 6_000 if action == "time" else 700_000
                for old in self.queue.drop_old(self._now):
                    self._drop(old)
            case "tidy":
                self.spool.tidy()
            case "stop":
                self.spool.close()
                self._begin()
            case "kill":
                os.close(self.spool._descriptor)
                self._begin()
        self.check()

    def _begin(self) -> None:
        """Start a process, with what the one before has left."""
        self._under_way.clear()
        if self._number:
            self._lost_by_killed += self._lost_counted
        self.spool = ReportSpool(self._directory)
        self.queue = ReportQueue(SETTINGS)
        spooled = self.spool.open()
        assert spooled.unreadable == 0
        done = {each.number for each in self.taken} | self.lost
        assert {each.number for each in spooled.reports} >= {each.number for each in self.made} - done
        for report in spooled.reports:
            self._drop(self.queue.put(report))

    @property
    def _lost_counted(self) -> int:
        counted = self.queue.counted
        return sum(counted.values()) - counted[ReportOutcome.DELIVERED]

    def _take(self) -> None:
        report = self.queue.take(self._now)
        if report is not None:
            assert report.call_id not in {each.call_id for each in self._under_way}, "of a call one at a time"
            self._under_way.append(report)

    def _deliver(self, report: CallReport) -> None:
        self.taken.append(report)
        self.queue.delivered(report)
        self.spool.done(report)

    def _drop(self, report: CallReport | None) -> None:
        if report is not None:
            self.lost.add(report.number)
            self.spool.done(report)

    def check(self) -> None:
        """Require what must always be true."""
        assert len(self.queue) <= SETTINGS.queue + len(self._under_way)
        assert self.lost == set() or self._lost_by_killed + self._lost_counted >= len(self.lost), "losses are counted"
        waiting = {each.number for each in self.queue.waiting()}
        done = {each.number for each in self.taken} | self.lost
        assert waiting | done == {each.number for each in self.made}
        for call_id in {each.call_id for each in self.taken}:
            numbers = [each.number for each in self.taken if each.call_id == call_id]
            firsts = [each for each in dict.fromkeys(numbers) if each not in self.lost]
            assert firsts == sorted(firsts), "the order of a call is kept"

    def expect_all_done(self) -> None:
        """Let the server take everything."""
        for report in self._under_way:
            self.queue.put_back(report)
        self._under_way.clear()
        for _ in range(3 * len(self.made) + 1):
            self._now += SETTINGS.retry_interval_ms
            self.do("send", 0)
        assert len(self.queue) == 0
        assert self.queue.wait_ms(self._now) is None
        assert {each.number for each in self.taken} | self.lost == {each.number for each in self.made}
        self.spool.tidy()
        self.spool.close()
        assert ReportSpool(self._directory).open().reports == []


@settings(max_examples=examples(36, 1_000), deadline=None)
@given(ACTIONS)
@example([("report", 1), ("report", 1), ("take", 0), ("fail", 0), ("report", 2), ("take", 0), ("fail", 0), ("kill", 0)])
@example([("report", 1), ("send", 0), ("kill", 0), ("report", 1), ("send", 0), ("send", 0)])
@example([("report", each) for each in range(10)] * 2 + [("take", 0)] * 5 + [("report", 9)] * 12)
def test_each_report_is_delivered_in_the_order_of_its_call_or_counted_as_lost(actions: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model(Path(directory))
        for action, which in actions:
            model.do(action, which)
        model.expect_all_done()
