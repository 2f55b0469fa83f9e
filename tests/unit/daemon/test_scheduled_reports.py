"""Reports at fixed times: each period once, through failures, restarts and changes."""

import asyncio
import csv
import shutil
import threading
from dataclasses import replace
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles import forked_child
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call
from doubles.migrated import migrated
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.base.secret import Secret
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import RecordKind
from vosd.control.installation import ListScheduledReports
from vosd.daemon import daily, report_process, scheduled_reports
from vosd.daemon.report_process import ReportDelivery, ReportOrder, delivered
from vosd.daemon.scheduled_reports import MADE_UP_MS, RETRY_MAX_MS, RETRY_MS, CallsOutside, ScheduledReportPart
from vosd.engine.settings import MailSettings, ReportForm, ScheduledReport
from vosd.obs.events import BACK, Event
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.dropped import note_dropped
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.traffic import SqlTraffic
from vosd.traffic.schedule import ReportRhythm, period_at

DAY = 86_400_000
UTC = ZoneInfo("UTC")
MIDNIGHT = STARTED // DAY * DAY + DAY
SERVER = MailSettings("mx.example.com", 25, "switch@example.com", ("noc@example.com",), password=Secret("secret"))
WANTED = ScheduledReport(
    "m", "daily", ReportRhythm.DAY, 21_600, "UTC", None, None, None, None, ReportForm.CSV, Path("out"), ()
)


class Stage:
    """The part on a clock of the test, and the orders that it has given; the answers are those of the test."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, *reports: ScheduledReport) -> None:
        self.directory, self.reports = directory, reports
        self.clock = ManualClock(wall=MIDNIGHT + 3_600_000)
        self.orders: list[ReportOrder] = []
        self.answers: list[str] = []
        self.refused: tuple[str, ...] = ()
        self.outside, self.outside_until = CallsOutside(0, 0), MIDNIGHT
        """Calls outside of the database that began before a time."""
        self.counted_at: list[int] = []
        """Times at which they were counted."""
        monkeypatch.setattr(scheduled_reports, "answer_of", self._answer)
        self.part = self.started()

    async def _answer(self, _process: str, order: ReportOrder, _kind: type) -> ReportDelivery:
        self.orders.append(order)
        return ReportDelivery(self.answers.pop(0), self.refused) if self.answers else ReportDelivery()

    def started(self) -> ScheduledReportPart:
        part = ScheduledReportPart(
            self.settings(*self.reports),
            self.clock,
            lambda: {"acme": account("acme"), "shop": account("shop", agent="acme")},
            self._count,
        )
        part.read_kept()
        return part

    def _count(self, until: int) -> CallsOutside:
        self.counted_at.append(self.clock.now().wall)
        return self.outside if until == self.outside_until else CallsOutside(0, 0)

    def settings(self, *reports: ScheduledReport, **changes: object) -> Any:
        terms: dict[str, object] = {
            "database_url": Secret("sqlite://"), "replica": None, "report_statement_s": 60, "node": "sw1",
            "reports": reports, "state_dir": self.directory, "alarms": SimpleNamespace(mail=SERVER),
        }  # fmt: skip
        return SimpleNamespace(**terms | changes)

    async def pass_time(self, hours: float, step_ms: int = 1_800_000) -> list[str]:
        """Let time pass; return the periods that were ordered."""
        before = len(self.orders)
        for _ in range(round(hours * 3_600_000 / step_ms)):
            self.clock.move_to(self.clock.now().mono + step_ms)
            for each in self.part._reports:
                await self.part.look(each)
        return [each.period for each in self.orders[before:]]


def day(offset: int) -> str:
    return period_at(MIDNIGHT + offset * DAY, ReportRhythm.DAY, 0, scheduled_reports.ZoneInfo("UTC")).name


def test_accounts_below_count_in_a_report_alone_where_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that is mailed to a customer has no money of another one."""
    stage = Stage(tmp_path, monkeypatch)
    period = period_at(MIDNIGHT, ReportRhythm.DAY, 0, UTC)
    terms = ((None, False), (None, True), ("acme", False), ("acme", True), ("shop", True))
    reports = [replace(WANTED, account=account_id, below=below) for account_id, below in terms]
    assert [stage.part.order(each, period).below for each in reports] == [(), (), (), ("shop",), ()]


async def test_each_day_is_delivered_once_from_the_first_one_that_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    assert await stage.pass_time(4) == []
    assert await stage.pass_time(24) == [day(-1)]
    assert await stage.pass_time(48) == [day(0), day(1)]
    order = stage.orders[-1]
    assert (order.since, order.until, order.report, order.directory, order.mail) == (
        MIDNIGHT + DAY, MIDNIGHT + 2 * DAY, "daily", "out", None,
    )  # fmt: skip


async def test_a_report_that_was_delivered_while_the_disk_was_full_is_delivered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery, and the addresses that have refused it, are written as soon as there is room."""
    stage = Stage(tmp_path, monkeypatch, replace(WANTED, mail=("a@example.com", "b@example.com")))
    await stage.pass_time(4)
    kept = {name: (tmp_path / name).with_suffix(".draft") for name in ("reports.json", "report_states.json")}
    for draft in kept.values():
        draft.mkdir()  # nothing can be written there
    stage.answers, stage.refused = ["b@example.com: refused"], ("b@example.com",)
    assert await stage.pass_time(1) == [day(-1)]
    kept["report_states.json"].rmdir()
    await stage.part.look(stage.reports[0])
    stage.part = stage.started()
    assert (await stage.pass_time(0.5), stage.orders[-1].mail.recipients) == ([day(-1)], ("b@example.com",))

    kept["reports.json"].rmdir()
    await stage.part.look(stage.reports[0])
    stage.part = stage.started()
    assert await stage.pass_time(12) == []


async def test_a_report_waits_for_calls_that_are_not_booked_and_two_hours_for_those_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    stage.outside = CallsOutside(1, 700)
    stage.part._done["m"] = MIDNIGHT - DAY
    assert await stage.pass_time(12) == []  # it is due at six
    (row,) = await stage.part.listed(ListScheduledReports())
    assert (row.why, row.retry_at) == ("1 calls of the period or before run, 700 are not booked yet", None)
    stage.outside = CallsOutside(1, 0)
    assert await stage.pass_time(0.5) == [day(-1)]
    assert stage.orders[-1].running == 1
    (row,) = await stage.part.listed(ListScheduledReports())
    assert row.why is None

    stage.outside_until = MIDNIGHT + DAY
    assert await stage.pass_time(24 - 12.5 + 5 + 1.5) == []  # until 07:30 of the next day
    assert await stage.pass_time(0.5) == [day(0)]

    stage.outside_until, stage.outside = MIDNIGHT + 2 * DAY, CallsOutside(0, 0)
    assert await stage.pass_time(22) == [day(1)]
    assert stage.orders[-1].running == 0


async def test_a_report_that_has_waited_leaves_time_for_the_sums_and_counts_calls_every_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    stage.part._done["m"] = MIDNIGHT - DAY
    stage.clock.move_to(stage.clock.now().mono + 5 * 3_600_000)  # to the time at which it is due
    stage.outside = CallsOutside(3, 1)
    due_at = stage.clock.now().wall
    assert await stage.pass_time(21 / 3_600, step_ms=1_000) == []
    assert stage.counted_at == [due_at + 1_000 + 5_000 * each for each in range(5)]
    stage.outside = CallsOutside(0, 0)  # booked now, right behind a count
    assert await stage.pass_time(10 / 3_600, step_ms=1_000) == []
    assert await stage.pass_time(5 / 3_600, step_ms=1_000) == [day(-1)]


async def test_days_that_end_while_the_switch_is_stopped_are_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    await stage.pass_time(24)
    stage.clock.move_to(stage.clock.now().mono + 3 * DAY)
    stage.part = stage.started()
    assert await stage.pass_time(3) == [day(0), day(1), day(2)]
    stage.clock.move_to(stage.clock.now().mono + 400 * DAY)
    stage.part = stage.started()
    assert len(await stage.pass_time(30)) in {35, 36, 37}  # a year of reports is not sent


async def test_a_clock_that_is_ahead_for_a_while_sends_nothing_and_one_that_was_ahead_for_long_silences_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    await stage.pass_time(24)
    stage.clock.set_wall(365 * DAY)
    assert await stage.pass_time(0.5, step_ms=60_000) == []
    stage.clock.set_wall(-365 * DAY)
    assert await stage.pass_time(24) == [day(0)]
    stage.clock.set_wall(365 * DAY)
    assert await stage.pass_time(1.5)
    stage.clock.set_wall(-365 * DAY)
    assert await stage.pass_time(48) == [day(2)]  # the day on which the clock was set back comes first
    assert await stage.pass_time(24) == [day(3)]


async def test_a_report_that_fails_while_the_clock_jumps_ahead_is_tried_again_when_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    await stage.pass_time(4)
    answer = stage._answer

    async def answer_late(*given: Any) -> ReportDelivery:
        stage.clock.set_wall(365 * DAY)
        return await answer(*given)

    stage.answers = ["full"]
    monkeypatch.setattr(scheduled_reports, "answer_of", answer_late)
    assert await stage.pass_time(1, step_ms=60_000) == [day(-1)]
    monkeypatch.setattr(scheduled_reports, "answer_of", answer)
    stage.clock.set_wall(-365 * DAY)
    assert await stage.pass_time(1, step_ms=60_000) == [day(-1)]


async def test_a_reload_holds_for_the_reports_behind_one_that_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (replace(WANTED, name=name, mail=(f"{name}@example.com",)) for name in ("a", "b", "c"))
    stage = Stage(tmp_path, monkeypatch, first, second, third)
    going, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(_process: str, order: ReportOrder, _kind: type) -> ReportDelivery:
        stage.orders.append(order)
        if order.name == "a":
            going.set()
            await go_on.wait()
            return ReportDelivery("no route to the mail server")
        done.set()
        return ReportDelivery()

    monkeypatch.setattr(scheduled_reports, "answer_of", answer)
    monkeypatch.setattr(scheduled_reports, "LOOK_S", 0)
    assert [row.name for row in await stage.part.listed(ListScheduledReports())] == ["a", "b", "c"]
    await stage.part.end()
    stage.clock.move_to(stage.clock.now().mono + DAY)
    with capture_logs() as log:
        await stage.part.begin()
        async with asyncio.timeout(60):
            await going.wait()
            stage.part.adjust(stage.settings(replace(second, mail=("successor@example.com",))))
            go_on.set()
            await done.wait()
        await stage.part.end()
    sent = [(order.name, order.mail.recipients) for order in stage.orders if order.mail is not None]
    assert sent == [("a", ("a@example.com",)), ("b", ("successor@example.com",))]
    assert [line for line in log if line["event"] == Event.REPORT_FAILED.value] == []


async def test_a_failure_is_an_alarm_and_is_tried_again_with_growing_pauses_until_it_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    stage.answers = ["no route to the mail server"] * 9
    with capture_logs() as log:
        ordered = await stage.pass_time(24, step_ms=10_000)
    assert ordered == [day(-1)] * 10
    pauses = [line["retry_s"] * 1_000 for line in log if line["event"] == Event.REPORT_FAILED.value]
    assert pauses == [min(RETRY_MS * 2**each, RETRY_MAX_MS) for each in range(9)]
    assert [line["event"] for line in log][-1] == Event.REPORT_SENT.value
    assert BACK[Event.REPORT_FAILED] is Event.REPORT_SENT
    assert log[0]["why"] == "no route to the mail server"


async def test_a_report_that_one_address_refuses_is_sent_again_there_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, replace(WANTED, mail=("a@example.com", "b@example.com")))
    stage.answers, stage.refused = ["b@example.com is refused: 550 no", "no mail server"], ("b@example.com",)
    await stage.pass_time(5.5)
    stage.answers, stage.part = ["no mail server"], stage.started()  # the refused one is known behind a restart
    await stage.pass_time(6)
    sent_to = [order.mail.recipients for order in stage.orders if order.mail is not None]
    assert sent_to[:2] == [("a@example.com", "b@example.com"), ("b@example.com",)]
    assert {*sent_to[2:]} == {("b@example.com",)}
    stage.part = stage.started()
    await stage.pass_time(24)
    assert stage.orders[-1].mail is not None
    assert stage.orders[-1].mail.recipients == ("a@example.com", "b@example.com"), "the next period is for all"


async def test_the_list_says_what_comes_next_and_why_one_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    (row,) = await stage.part.listed(ListScheduledReports())
    assert (row.name, row.report, row.every, row.form, row.directory) == ("m", "daily", "day", "csv", "out")
    due = iso_utc(MIDNIGHT + 21_600_000)
    assert (row.period, row.due_at, row.done_until) == (day(-1), due, iso_utc(MIDNIGHT - DAY))
    stage.answers = ["full"]
    await stage.pass_time(5)
    (row,) = await stage.part.listed(ListScheduledReports())
    assert (row.period, row.why, row.retry_at) == (day(-1), "full", iso_utc(stage.clock.now().wall + RETRY_MS))
    await stage.pass_time(1)
    (row,) = await stage.part.listed(ListScheduledReports())
    assert (row.period, row.done_until, row.why, row.retry_at) == (day(0), iso_utc(MIDNIGHT), None, None)


async def test_a_report_whose_definition_has_only_moved_keeps_its_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, replace(WANTED, source="vosd.yaml:7"))
    stage.answers = ["full"] * 9
    await stage.pass_time(6)
    (before,) = await stage.part.listed(ListScheduledReports())
    stage.part.adjust(stage.settings(replace(WANTED, source="vosd.yaml:9")))
    (after,) = await stage.part.listed(ListScheduledReports())
    assert (before.source, after.source, after.why) == ("vosd.yaml:7", "vosd.yaml:9", "full")
    assert after.retry_at == before.retry_at


async def test_a_process_that_dies_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)

    async def killed(*_: object) -> ReportDelivery:
        raise EOFError

    monkeypatch.setattr(scheduled_reports, "answer_of", killed)
    with capture_logs() as log:
        await stage.pass_time(6)
    assert log[0]["why"] == "its process ended without an answer: it was killed, or the log has the fault (run_failed)"


async def test_a_report_that_is_taken_out_has_no_alarm_and_one_that_changes_is_tried_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    stage.answers = ["full"] * 99
    await stage.pass_time(6, step_ms=600_000)
    stage.answers = []
    criteria: dict[str, Any] = {"account": "acme", "below": True, "callee_digits": 1}
    changed = replace(WANTED, report="durations", mail=("boss@example.com",), **criteria)
    url = Secret("sqlite://new")
    stage.part.adjust(
        stage.settings(changed, database_url=url, replica=Secret("sqlite:///copy"), report_statement_s=None)
    )
    await stage.part.look(stage.part._reports[0])
    order = stage.orders[-1]
    assert order.mail is not None
    assert (order.mail.recipients, order.mail.password) == (("boss@example.com",), Secret("secret"))
    assert (order.url, order.replica, order.statement_s) == ("sqlite://new", "sqlite:///copy", None)
    assert (order.criteria, order.below) == (criteria, ("shop",))
    (row,) = await stage.part.listed(ListScheduledReports())
    assert row.criteria == "account acme, below yes, callee_digits 1"
    stage.answers = ["full"]
    await stage.pass_time(24)
    with capture_logs() as log:
        stage.part._raised.add("m")
        stage.part.adjust(stage.settings())
    assert [(line["event"], line["report"]) for line in log] == [("report_sent", "m")]


@pytest.mark.parametrize("by_reload", [True, False])
async def test_a_report_that_comes_back_goes_on_for_35_days_and_begins_anew_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_reload: bool
) -> None:
    other, both = replace(WANTED, name="other"), ("a@example.com", "b@example.com")
    wanted = replace(WANTED, mail=both)
    stage = Stage(tmp_path, monkeypatch, wanted, other)

    async def change_to(*reports: ScheduledReport) -> None:
        stage.reports = reports
        if by_reload:
            stage.part.adjust(stage.settings(*reports))
        else:
            stage.part = stage.started()
        await stage.part.end()

    stage.answers, stage.refused = ["b@example.com is refused"], ("b@example.com",)
    assert await looked(stage) == []
    assert await stage.pass_time(5.5, step_ms=19_800_000) == [day(-1)] * 2  # one has failed for b
    await change_to(other)
    stage.clock.move_to(stage.clock.now().mono + 60_000)
    assert await looked(stage) == []
    await change_to(wanted, other)
    (order,) = await looked(stage)
    assert order.mail is not None
    assert (order.period, order.mail.recipients) == (day(-1), ("b@example.com",))
    await change_to(other)
    stage.clock.move_to(stage.clock.now().mono + DAY)
    await change_to(wanted, other)
    assert [(order.name, order.period) for order in await looked(stage)] == [("m", day(0)), ("other", day(0))]

    await change_to(other)
    assert stage.part._kept.read() == {"m": MIDNIGHT + DAY, "other": MIDNIGHT + DAY}
    stage.clock.move_to(stage.clock.now().mono + MADE_UP_MS + DAY)
    await change_to(other)
    assert stage.part._kept.read() == {"other": MIDNIGHT + DAY}
    await change_to(wanted, other)
    assert [order.name for order in await looked(stage)] == ["other"]


@pytest.mark.parametrize("by_reload", [True, False])
@pytest.mark.parametrize("before", [ReportRhythm.MONTH, ReportRhythm.WEEK])
async def test_a_report_that_becomes_daily_sends_no_day_that_was_over_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: ReportRhythm, by_reload: bool
) -> None:
    stage = Stage(tmp_path, monkeypatch, replace(WANTED, every=before))
    stage.part._done["m"] = period_at(MIDNIGHT, before, 0, UTC).since
    await stage.part.end()
    stage.clock.move_to(stage.clock.now().mono + 3 * DAY + 6 * 3_600_000)
    stage.reports = (WANTED,)
    if by_reload:
        stage.part.adjust(stage.settings(WANTED))
    else:
        stage.part = stage.started()
    assert await stage.pass_time(1) == []
    assert await stage.pass_time(24) == [day(3)]


async def test_another_rhythm_repeats_nothing_and_one_of_a_reload_holds_over_a_report_that_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monthly = replace(WANTED, every=ReportRhythm.MONTH)
    stage = Stage(tmp_path, monkeypatch, WANTED)
    stage.part._done["m"] = MIDNIGHT
    stage.part.adjust(stage.settings(monthly))
    assert stage.part._done == {"m": MIDNIGHT}

    month = period_at(MIDNIGHT, ReportRhythm.MONTH, 0, UTC)
    stage.part._done["m"] = month.since
    stage.clock.set_wall(month.until + 7 * DAY - stage.clock.now().wall)
    stage.reports = (monthly,)
    stage.part = stage.started()
    stage.part._done["m"] = month.since

    async def answer(_process: str, order: ReportOrder, _kind: type) -> ReportDelivery:
        stage.orders.append(order)
        stage.part.adjust(stage.settings(WANTED))
        return ReportDelivery()

    monkeypatch.setattr(scheduled_reports, "answer_of", answer)
    await stage.part.look(monthly)
    assert [order.until for order in stage.orders] == [month.until]
    assert stage.part._done["m"] >= month.until + 6 * DAY


async def test_a_mail_goes_to_those_who_do_not_have_it_where_a_refused_address_is_mended_or_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, typo, mended = "a@x.org", "typo@x.org", "type@x.org"
    wanted = replace(WANTED, mail=(right, typo), directory=None)
    stage = Stage(tmp_path, monkeypatch, wanted)
    stage.answers, stage.refused = ["typo@x.org is refused"], (typo,)
    assert await looked(stage) == []
    assert await stage.pass_time(5.5, step_ms=19_800_000) == [day(-1)]

    stage.part.adjust(stage.settings(replace(wanted, mail=(right, mended), at_s=18_000)))
    stage.answers, stage.refused = ["type@x.org is refused"], (mended,)
    (order,) = await looked(stage)
    assert order.mail is not None
    assert order.mail.recipients == (mended,)

    stage.part.adjust(stage.settings(replace(wanted, mail=(right,))))
    assert await looked(stage) == []
    (row,) = await stage.part.listed(ListScheduledReports())
    assert (row.why, row.done_until) == (None, iso_utc(MIDNIGHT)), "nothing is left to send: it is delivered"


async def test_a_report_with_another_content_goes_to_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = replace(WANTED, mail=("a@x.org", "typo@x.org"))
    stage = Stage(tmp_path, monkeypatch, wanted)
    stage.answers, stage.refused = ["typo@x.org is refused"], ("typo@x.org",)
    assert await looked(stage) == []
    assert await stage.pass_time(5.5, step_ms=19_800_000) == [day(-1)]
    stage.part.adjust(stage.settings(replace(wanted, account="acme")))
    (order,) = await looked(stage)
    assert order.mail is not None
    assert order.mail.recipients == wanted.mail


async def test_a_change_of_content_that_is_undone_sends_the_report_to_those_alone_who_do_not_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(WANTED, mail=("a@x.org", "b@x.org"), directory=None)
    stage = Stage(tmp_path, monkeypatch, wanted)
    stage.answers, stage.refused = ["b@x.org is refused"], ("b@x.org",)
    assert await looked(stage) == []
    assert await stage.pass_time(5.5, step_ms=19_800_000) == [day(-1)]
    stage.part.adjust(stage.settings(replace(wanted, account="acme")))
    stage.part.adjust(stage.settings(wanted))
    stage.part = stage.started()
    (order,) = await looked(stage)
    assert order.mail is not None
    assert order.mail.recipients == ("b@x.org",)


@pytest.mark.parametrize("refused", [(), ("b@x.org",)])
async def test_a_report_that_is_changed_while_it_is_made_is_sent_to_no_one_again_where_the_change_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: tuple[str, ...]
) -> None:
    wanted = replace(WANTED, mail=("a@x.org", "b@x.org"), directory=None)
    stage = Stage(tmp_path, monkeypatch, wanted)
    assert await looked(stage) == []

    async def answer(_process: str, order: ReportOrder, _kind: object) -> ReportDelivery:
        stage.orders.append(order)
        stage.part.adjust(stage.settings(replace(wanted, account="acme")))
        return ReportDelivery("refused" if refused else "", refused)

    with monkeypatch.context() as patched:
        patched.setattr(scheduled_reports, "answer_of", answer)
        assert await stage.pass_time(5.5, step_ms=19_800_000) == [day(-1)]
    stage.part.adjust(stage.settings(wanted))
    stage.part = stage.started()
    assert [order.mail and order.mail.recipients for order in await looked(stage)] == [refused] * bool(refused)
    assert await looked(stage) == []


async def test_another_report_under_a_name_that_was_free_sends_no_period_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    assert await stage.pass_time(24) == [day(-1)]
    stage.part.adjust(stage.settings())
    stage.clock.move_to(stage.clock.now().mono + 30 * DAY)
    stage.part.adjust(stage.settings(replace(WANTED, report="profit", account="shop")))
    assert await looked(stage) == []
    assert await stage.pass_time(24) == [day(30)]


@pytest.mark.parametrize(
    ("changes", "ordered"),
    [
        ({"account": "acme", "mail": ("a@x.org", "b@x.org")}, [("acme", ("a@x.org", "b@x.org"))]),
        ({"account": "acme"}, [("acme", ("a@x.org",))]),
        ({"mail": ("a@x.org", "b@x.org")}, [(None, ("b@x.org",))]),
        ({"mail": ("b@x.org",)}, [(None, ("b@x.org",))]),
        ({"directory": Path("out")}, [(None, None)]),
        ({"mail": ()}, []),
        ({"at_s": 0}, []),
    ],
    ids=str,
)
async def test_a_report_that_is_changed_while_it_is_made_is_delivered_as_it_is_now(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    ordered: list[tuple[str | None, tuple[str, ...] | None]],
) -> None:
    wanted = replace(WANTED, mail=("a@x.org",), directory=None)
    stage = Stage(tmp_path, monkeypatch, wanted)
    assert await looked(stage) == []

    async def answer(_process: str, order: ReportOrder, _kind: type) -> ReportDelivery:
        stage.orders.append(order)
        stage.part.adjust(stage.settings(replace(wanted, **changes)))
        return ReportDelivery()

    monkeypatch.setattr(scheduled_reports, "answer_of", answer)
    assert await stage.pass_time(5.5, step_ms=19_800_000) == [day(-1)]
    monkeypatch.setattr(scheduled_reports, "answer_of", stage._answer)
    assert await stage.pass_time(5) == [day(-1)] * len(ordered)
    found = [(each.criteria.get("account"), each.mail and each.mail.recipients) for each in stage.orders[1:]]
    assert found == ordered


async def test_a_failing_report_whose_new_rhythm_has_nothing_due_has_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, WANTED)
    stage.answers = ["the mail server is away"] * 3
    assert await stage.pass_time(6) == [day(-1)] * 3
    with capture_logs() as log:
        stage.part.adjust(stage.settings(replace(WANTED, at_s=21_000)))
    assert log == [], "it is due, and fails still"
    with capture_logs() as log:
        stage.part.adjust(stage.settings(replace(WANTED, every=ReportRhythm.MONTH)))
    assert [(line["event"], line["report"], line["why"]) for line in log] == [("report_sent", "m", "gone")]


async def looked(stage: Stage) -> list[ReportOrder]:
    """Return what is ordered at this moment."""
    before = len(stage.orders)
    for each in stage.part._reports:
        await stage.part.look(each)
    return stage.orders[before:]


def order_of(url: str, **changes: object) -> ReportOrder:
    terms: dict[str, Any] = {
        "url": url, "node": "sw1", "name": "m", "period": "2026-09-21", "since": STARTED // DAY * DAY,
        "until": STARTED // DAY * DAY + DAY, "report": "revenue", "zone": "UTC", "group": None, "criteria": {},
        "form": ReportForm.CSV, "directory": None, "mail": None,
    }  # fmt: skip
    return ReportOrder(**terms | changes)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database with a call that is added up."""
    made = migrated(tmp_path / "vosd.db")

    async def fill() -> None:
        database = Database(made)
        await SqlBooks(database).book([answered_call(1, customer_account="=acme")])
        while await SqlTraffic(database).advance():
            pass
        await database.close()

    asyncio.run(fill())
    return made


@pytest.mark.parametrize(("form", "begins"), [("csv", b"span,customer_account"), ("xlsx", b"PK"), ("pdf", b"%PDF")])
async def test_a_report_is_written_to_the_directory_in_its_form(
    tmp_path: Path, url: str, form: str, begins: bytes
) -> None:
    order = order_of(url, form=ReportForm(form), directory=str(tmp_path / "new" / "out"))
    for _ in range(2):  # the same order again replaces the file
        assert await delivered(order, STARTED + DAY) == ReportDelivery()
    (file,) = (tmp_path / "new" / "out").iterdir()
    assert file.name == f"m-2026-09-21.{form}"
    content = file.read_bytes()
    assert content.startswith(begins)
    if form == "csv":
        (row,) = csv.DictReader(content.decode().splitlines())
        assert (row["customer_account"], row["calls"], row["fee"]) == ("'=acme", "1", "0.012345")
        unanswered = order_of(url, directory=str(tmp_path), criteria={"answered": False})
        assert await delivered(unanswered, STARTED + DAY) == ReportDelivery()
        assert [*csv.DictReader((tmp_path / file.name).read_text().splitlines())] == []
        above = order_of(url, directory=str(tmp_path), criteria={"account": "top", "below": True}, below=("=acme",))
        assert await delivered(above, STARTED + DAY) == ReportDelivery()
        assert (tmp_path / file.name).read_bytes() == content


async def test_a_directory_has_the_number_of_calls_that_are_missing_in_a_report(tmp_path: Path, url: str) -> None:
    note = tmp_path / "m-2026-09-21.csv.missing.txt"
    order = order_of(url, directory=str(tmp_path), running=2)
    assert await delivered(order, STARTED + DAY) == ReportDelivery()
    assert "2 calls that began in it or before still run" in note.read_text()
    assert await delivered(msgspec.structs.replace(order, running=0), STARTED + DAY) == ReportDelivery()
    assert not note.exists()


async def test_mail_and_directory_say_which_columns_a_report_lacks(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[EmailMessage] = []
    monkeypatch.setattr(report_process, "deliver", lambda _settings, message: sent.append(message))
    async with Database(url) as database, database.writing() as connection:
        await note_dropped(connection, RecordKind.LEDGER, STARTED)
    mail = MailSettings("mx", 25, "s@example.com", ("a@b.c",))
    for form in ReportForm:
        order = order_of(url, form=form, directory=str(tmp_path / form.value), mail=mail)
        assert await delivered(order, STARTED + DAY) == ReportDelivery()
        body = sent.pop().get_body()
        assert body is not None
        said = f"Without minimum, corrections: ledger entries from before {iso_utc(STARTED)} were dropped"
        assert said in body.get_content()
        assert said in (tmp_path / form.value / f"m-2026-09-21.{form.value}.missing.txt").read_text()


async def test_the_process_beside_the_switch_makes_the_report(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily, "started", forked_child.started)
    settings: Any = SimpleNamespace(
        database_url=Secret(url), replica=None, report_statement_s=60, node="sw1",
        reports=(replace(WANTED, report="durations", callee="4", callee_digits=2, directory=tmp_path / "out"),),
        state_dir=tmp_path, alarms=SimpleNamespace(mail=None),
    )  # fmt: skip
    clock = ManualClock(wall=MIDNIGHT + 3_600_000)
    part = ScheduledReportPart(settings, clock, dict, lambda _: CallsOutside(0, 0))
    for hours in (0, 6):
        clock.move_to(clock.now().mono + hours * 3_600_000)
        await part.look(settings.reports[0])
    (row,) = csv.DictReader((tmp_path / "out" / f"m-{day(-1)}.csv").read_text().splitlines())
    assert (row["calls"], row["callee_prefix"], row["span"]) == ("1", "44", day(-1))
    assert part._kept.read() == {"m": MIDNIGHT}


async def test_a_report_is_mailed_with_the_file_and_a_name_that_a_repeat_has_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[MailSettings, EmailMessage]] = []
    monkeypatch.setattr(report_process, "deliver", lambda settings, message: sent.append((settings, message)))
    mail = MailSettings("mx", 25, "s@example.com", ("a@b.c", "d@e.f"), username="ann", password=Secret("secret"))
    for _ in range(2):
        assert await delivered(order_of(url, mail=mail), STARTED + DAY) == ReportDelivery()
    (settings, message), (_, again) = sent
    assert settings.password is not None
    assert (settings.server, settings.password.reveal(), message["To"]) == ("mx", "secret", "a@b.c, d@e.f")
    assert message["Subject"] == "[vosd sw1] m 2026-09-21"
    assert message["Message-ID"] == again["Message-ID"]
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("m-2026-09-21.csv", "text/csv")


def test_an_order_brings_its_process_the_password_of_the_mail_server() -> None:
    order = order_of("", mail=SERVER)
    written = msgspec.msgpack.encode(order, enc_hook=daily._text)
    assert msgspec.msgpack.decode(written, type=ReportOrder, dec_hook=daily._of_text) == order


def test_the_process_of_a_report_that_is_to_end_does_not_wait_for_the_mail_server(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answers, ended = threading.Event(), threading.Event(), threading.Event()

    def deliver(*_: object) -> None:
        begun.set()
        answers.wait(60)
        ended.set()

    async def interrupted() -> None:
        delivering = asyncio.ensure_future(delivered(order_of(url, mail=mail), STARTED + DAY))
        await asyncio.to_thread(begun.wait, 60)
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)

    monkeypatch.setattr(report_process, "deliver", deliver)
    mail = MailSettings("mx", 25, "s@example.com", ("a@b.c",))
    asyncio.run(interrupted())
    assert begun.is_set()
    assert not ended.is_set()
    answers.set()


def test_each_report_has_its_own_file_and_its_own_mails() -> None:
    mail = MailSettings("mx", 25, "s@example.com", ("a@b.c",))
    named = [("收入日报", "sw1"), ("网关日报", "sw1"), ("sales/eu", "sw1"), ("sales-eu", "sw1"), ("sales-eu", "sw2")]
    orders = [msgspec.structs.replace(order_of("", mail=mail), name=name, node=node) for name, node in named]
    messages = [report_process.report_mail(order, mail, b"", 0) for order in orders]
    messages.append(report_process.report_mail(orders[0], replace(mail, sender="s@example.org"), b"", 0))
    assert len({message["Message-ID"] for message in messages}) == 6
    files = [attached.get_filename() for each in messages[:4] for attached in each.iter_attachments()]
    assert len(set(files)) == 4
    assert files[3] == "sales-eu-2026-09-21.csv"
    late = report_process.report_mail(msgspec.structs.replace(orders[0], running=2), mail, b"", 0).get_body()
    assert late is not None
    assert "2 calls that began in it or before still run" in late.get_content()


async def test_a_report_waits_for_the_calls_of_its_period(tmp_path: Path, url: str) -> None:
    database = Database(url)
    await SqlBooks(database).book([answered_call(2)])
    order = order_of(url, directory=str(tmp_path / "out"))
    assert (await delivered(order, STARTED)).failed == "1 calls of the period are not added up yet"
    assert not (tmp_path / "out").exists()
    while await SqlTraffic(database).advance():
        pass
    await database.close()
    assert await delivered(order, STARTED) == ReportDelivery()


async def test_a_report_is_read_from_the_replica_and_waits_until_that_has_the_period(tmp_path: Path, url: str) -> None:
    shutil.copy(tmp_path / "vosd.db", tmp_path / "copy.db")
    copy, directory = f"sqlite+aiosqlite:///{tmp_path}/copy.db", tmp_path / "out"

    async def book(where: str) -> None:
        database = Database(where)
        await SqlBooks(database).book([answered_call(2)])
        while await SqlTraffic(database).advance():
            pass
        await database.close()

    await book(url)
    order = order_of(url, report="daily", directory=str(directory), replica=copy)
    assert (await delivered(order, STARTED)).failed == "1 calls of the period are not in the sums that were read"
    assert not directory.exists()
    await book(copy)
    assert await delivered(order, STARTED) == ReportDelivery()
    (row,) = csv.DictReader((directory / "m-2026-09-21.csv").read_text().splitlines())
    assert row["calls"] == "2"


async def test_payments_that_a_replica_lacks_are_in_reports_over_the_ledger(tmp_path: Path, url: str) -> None:
    shutil.copy(tmp_path / "vosd.db", tmp_path / "copy.db")
    copy, directory = f"sqlite+aiosqlite:///{tmp_path}/copy.db", tmp_path / "out"
    database = Database(url)
    for kind, reference in ((EntryKind.PAYMENT, "paid"), (EntryKind.MINIMUM, "least")):
        booked = Payment(
            account="acme", kind=kind, reference=reference, made_at=STARTED + 1, amount=Decimal(7), currency="USD"
        )
        await SqlPayments(database).add(booked)
    await database.close()
    columns = {"balances": "last_amount", "payments": "amount", "revenue": "minimum"}
    for report, column in columns.items():
        order = order_of(url, report=report, directory=str(directory / report), replica=copy)
        assert await delivered(order, STARTED) == ReportDelivery()
        (file,) = (directory / report).iterdir()
        rows = csv.DictReader(file.read_text().splitlines())
        assert {abs(Decimal(row[column])) for row in rows if row[column]} - {Decimal(0)} == {Decimal(7)}, report


async def test_what_cannot_be_written_says_why(tmp_path: Path, url: str) -> None:
    (tmp_path / "file").write_text("")
    outcome = await delivered(order_of(url, directory=str(tmp_path / "file")), STARTED)
    assert "File exists" in outcome.failed


async def test_balances_have_the_terms_of_the_accounts_that_are_in_force(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(WANTED, report="balances")
    stage = Stage(tmp_path / "state", monkeypatch, wanted)
    order = stage.part.order(wanted, period_at(MIDNIGHT, wanted.every, wanted.at_s, UTC))
    assert order.terms["acme"].type == "direct"
    directory = tmp_path / "out"
    made = order_of(url, report="balances", directory=str(directory), terms=order.terms)
    await delivered(made, STARTED + DAY)
    rows = [*csv.DictReader((directory / "m-2026-09-21.csv").read_text().splitlines())]
    assert {(row["type"], row["reserved"]) for row in rows if row["account"] not in order.terms} == {("", "")}
    assert {row["account"] for row in rows} >= order.terms.keys()
