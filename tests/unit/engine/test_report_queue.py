"""Reports to a server that never answers some of them, on virtual time: they delay no others."""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import pairwise

import pytest

from vosd.config.keys.radius import RadiusAccountingKeys
from vosd.engine.reports.queue import HOPELESS, ReportOutcome, ReportQueue
from vosd.engine.reports.report import CallReport
from vosd.engine.settings import AccountingSettings, DeliverySettings
from vosd.radius.settings import RadiusSettings

SILENCE_MS = 30_000
"""Time for which an answer is waited for, as accounting does."""
WORK_MS = 20
"""Time that the server needs for a report which it takes."""


def accounting() -> AccountingSettings:
    keys = RadiusAccountingKeys()
    return AccountingSettings(RadiusSettings((), "sw1"), queue=keys.queue, connections=keys.connections)


class Stage:
    """A queue, its couriers and a server, on virtual time."""

    def __init__(self, settings: DeliverySettings, is_taken: Callable[[CallReport, int], bool]) -> None:
        self.queue = ReportQueue(settings)
        self.waited: list[int] = []
        """Times from the arrivals of reports to the answers."""
        self.attempts: list[tuple[int, int]] = []
        """Moment and number of each attempt."""
        self.now = 0
        self._is_taken = is_taken
        self._free = settings.couriers
        self._ends: list[tuple[int, int, CallReport, bool]] = []

    def run(self, arrivals: list[CallReport], until_ms: int) -> None:
        """Let reports come at their times."""
        coming = deque(arrivals)
        while self.now < until_ms:
            while coming and coming[0].made_at <= self.now:
                self.queue.put(coming.popleft())
            while self._ends and self._ends[0][0] <= self.now:
                self._end(*heappop(self._ends)[2:])
            while self._free and (report := self.queue.take(self.now)) is not None:
                self._begin(report)
            wait_ms = self.queue.wait_ms(self.now) if self._free else None
            assert wait_ms != 0, "a courier would look again and again"
            moments = [until_ms]
            moments += [self.now + wait_ms] if wait_ms is not None else []
            moments += [self._ends[0][0]] if self._ends else []
            moments += [coming[0].made_at] if coming else []
            self.now = min(moments)

    def _begin(self, report: CallReport) -> None:
        self._free -= 1
        self.attempts.append((self.now, report.number))
        is_taken = self._is_taken(report, self.now)
        heappush(self._ends, (self.now + (WORK_MS if is_taken else SILENCE_MS), report.number, report, is_taken))

    def _end(self, report: CallReport, is_taken: bool) -> None:
        self._free += 1
        if is_taken:
            self.waited.append(self.now - report.made_at)
            self.queue.delivered(report)
        else:
            self.queue.failed(report, self.now)


def calls(count: int, every_ms: int) -> list[CallReport]:
    return [CallReport(number, f"call-{number}", every_ms * number, b"") for number in range(count)]


@pytest.mark.parametrize(
    ("is_bad", "longest_ms"),
    [
        (lambda number: 100 <= number < 112, 500),
        (lambda number: 100 <= number < 150, 65_000),  # all connections wait for these at the same time
        (lambda number: number % 80 == 0, 500),
        (lambda number: number % 16 == 0, 500),  # 2.5 a second, each unanswered for half a minute
    ],
    ids=["twelve in a row", "more than connections", "one in eighty", "one in sixteen"],
)
def test_reports_that_are_never_answered_hold_up_no_others(is_bad: Callable[[int], bool], longest_ms: int) -> None:
    count, every_ms = 16_000, 25
    stage = Stage(accounting(), lambda report, _: not is_bad(report.number))
    stage.run(calls(count, every_ms), count * every_ms + 1_000)
    bad = sum(map(is_bad, range(count)))
    assert len(stage.waited) == count - bad
    assert max(stage.waited) <= longest_ms
    assert len(stage.queue) == bad


def test_reports_of_an_earlier_run_hold_up_no_others():
    left = [CallReport(number, f"left-{number}", 0, b"") for number in range(-1_000, 0)]
    stage = Stage(accounting(), lambda report, _: report.number >= -10)
    for each in left:
        stage.queue.put(each, is_left=True)
    stage.run(calls(20_000, 100), 2_001_000)
    assert len(stage.waited) == 20_010
    assert sorted(stage.waited)[-11] <= 500, "all but the ten of the earlier run"
    assert [number for _, number in stage.attempts if number < 0][:16] == list(range(-1_000, -984)), "in their order"
    assert len(stage.queue) == 990


def test_a_report_that_is_never_answered_makes_no_server_away_by_itself():
    """In a quiet hour nothing else is sent; Interim-Updates of the calls that run would pause for ever."""
    stage = Stage(accounting(), lambda report, _now: report.number != 0)
    stage.run(calls(1, 0), 3_600_000)
    assert len(stage.attempts) > 50
    assert not stage.queue.is_away
    both = Stage(accounting(), lambda _report, _now: False)
    both.run(calls(2, 0), 60_000)
    assert both.queue.is_away, "two different ones are of the server"


def test_reports_of_an_earlier_run_make_no_server_away():
    """That of a customer whose number no server can write is left for a week, over each start."""
    stage = Stage(accounting(), lambda _report, _now: False)
    for number in range(-3, 0):
        stage.queue.put(CallReport(number, f"left-{number}", 0, b""), is_left=True)
    stage.run([], 600_000)
    assert len(stage.attempts) > 3
    assert not stage.queue.is_away


def away() -> ReportQueue:
    """Return a queue two of whose reports have failed at 0."""
    queue = ReportQueue(AccountingSettings(RadiusSettings((), "sw1"), retry_interval_ms=1_000))
    for number in range(2):
        queue.put(CallReport(number, f"call-{number}", 0, b""))
    for each in [queue.take(0), queue.take(0)]:
        assert each is not None
        queue.failed(each, 0)
    assert queue.is_away
    return queue


def test_while_a_server_is_away_one_report_that_has_failed_is_tried_in_each_interval():
    queue = away()
    tried = queue.take(1_000)
    assert tried is not None
    assert queue.take(1_000) is None
    queue.failed(tried, 1_500)
    assert queue.take(2_499) is None
    assert queue.take(2_500) not in {None, tried}


def test_while_a_server_is_away_a_new_report_waits_for_none_that_has_failed():
    queue = away()
    assert queue.take(1_000) is not None
    queue.put(CallReport(7, "new", 0, b""))
    assert queue.wait_ms(1_000) == 0
    assert queue.take(1_000) == CallReport(7, "new", 0, b"")
    assert queue.take(1_000) is None


def test_a_late_answer_ends_an_outage():
    queue = away()
    assert queue.delivered_late(CallReport(0, "call-0", 0, b""))
    assert not queue.is_away


def test_a_report_that_is_dropped_while_it_waits_for_its_repetition_is_not_tried():
    queue = away()
    assert len(queue.drop_old(1_000 * queue.settings.max_age_s)) == 2
    assert queue.take(1_000) is None
    assert queue.wait_ms(1_000) is None


def test_what_has_failed_takes_half_of_the_connections_for_another_server_too():
    queue = ReportQueue(AccountingSettings(RadiusSettings((), "sw1"), connections=4))
    for number in range(-5, 0):
        queue.put(CallReport(number, f"left-{number}", 0, b""), is_left=True)
    given_up = queue.take(0)
    assert given_up is not None
    queue.put_back(given_up)
    queue.try_again()
    assert [queue.take(0), queue.take(0), queue.take(0)] == [given_up, CallReport(-4, "left--4", 0, b""), None]


def test_what_was_left_is_given_up_only_where_the_server_has_answered_something():
    """A start in its outage has nothing else to judge by."""
    queue, now = ReportQueue(accounting()), 0
    left, other = CallReport(1, "left", 0, b""), CallReport(2, "other", 0, b"")
    queue.put(left, is_left=True)
    for _ in range(HOPELESS):
        now += queue.wait_ms(now) or 0
        assert queue.take(now) == left
        assert not queue.failed(left, now)
    assert not queue.is_hopeless
    queue.put(other)
    assert queue.take(now) == other
    queue.delivered(other)
    assert queue.is_hopeless


def test_the_rest_of_a_call_follows_behind_a_reload_whose_first_report_was_dropped():
    queue = ReportQueue(DeliverySettings(queue=3, max_age_s=10))
    reports = [CallReport(number, "call", number * 1_000, b"") for number in range(3)]
    for report in reports:
        queue.put(report)
    assert queue.take(0) == reports[0]
    assert not queue.failed(reports[0], 1_000)
    assert queue.drop_old(10_500) == [reports[0]]
    queue.try_again()
    for report in reports[1:]:
        assert queue.take(20_000) == report
        queue.delivered(report)
    assert len(queue) == 0


def test_a_report_that_is_taken_after_it_was_given_up_is_done():
    queue = ReportQueue(DeliverySettings(retry_interval_ms=1_000))
    first, second = CallReport(1, "one", 0, b""), CallReport(2, "one", 0, b"")
    queue.put(first)
    queue.put(second)
    assert queue.take(0) == first
    assert not queue.failed(first, 0)
    assert queue.delivered_late(first)
    assert queue.take(0) == second, "the next one of the call need not wait"
    assert not queue.failed(second, 0)
    assert queue.take(1_000) == second
    assert not queue.delivered_late(second), "it is on its way again"
    assert queue.failed(second, 31_000)
    assert not queue.delivered_late(second)
    assert len(queue) == 0
    assert queue.counted == {ReportOutcome.DELIVERED: 2}
    assert queue.failures == 2


def test_a_report_that_is_never_answered_is_tried_ever_later():
    stage = Stage(accounting(), lambda report, _: report.number != 1)
    stage.run(calls(100_000, 100), 10_000_000)
    moments = [moment for moment, number in stage.attempts if number == 1]
    gaps = [after - before - SILENCE_MS for before, after in pairwise(moments)]
    assert gaps[:9] == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 900_000]
    assert set(gaps[9:]) == {900_000}


def test_a_report_that_fails_at_once_between_others_is_tried_ever_later():
    queue = ReportQueue(DeliverySettings(retry_interval_ms=1_000, retry_max_ms=8_000))
    gaps, now = [], 0
    queue.put(CallReport(1, "bad", 0, b""))
    for number in range(2, 8):
        bad = queue.take(now)
        assert bad is not None
        queue.failed(bad, now)
        queue.put(CallReport(number, "good", 0, b""))
        good = queue.take(now)
        assert good is not None
        queue.delivered(good)
        gaps.append(queue.wait_ms(now))
        now += gaps[-1] or 0
    assert gaps == [1_000, 1_000, 2_000, 4_000, 8_000, 8_000]


def test_after_an_outage_all_that_waited_is_taken_soon():
    """Failures of an outage are none of the reports'."""
    stage = Stage(accounting(), lambda _, now: not 10_000 <= now < 3_600_000)
    stage.run(calls(400, 10_000), 4_000_000)
    assert len(stage.queue) == 0
    probes = [moment for moment, _ in stage.attempts if 60_000 < moment < 3_600_000]
    assert all(after - before == SILENCE_MS + 5_000 for before, after in pairwise(probes))
    assert max(stage.waited) <= 3_600_000 + SILENCE_MS + 10_000


def test_where_only_reports_wait_that_failed_often_the_couriers_sleep():
    settings = DeliverySettings(connections=4, retry_interval_ms=1_000, retry_max_ms=600_000)
    stage = Stage(settings, lambda report, _: report.number > 1)
    stage.run(calls(400, 1_000), 4_000_000)
    assert len(stage.queue) == 2
