"""A clock of the switch that is ahead of the database server's: nothing is dropped, booked or sent by it."""

import time
from decimal import Decimal

import pytest
from doubles.data.records import answered_call

from vosd.billing.accounts import AccountType
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.cdr.retention import DAY_MS, Age
from vosd.daemon import report_process, retention_process
from vosd.daemon.nightly_process import Minimum, NightlyOrder, work_of_the_night
from vosd.daemon.report_process import ReportOrder
from vosd.daemon.retention_process import RetentionOrder
from vosd.engine.settings import ReportForm, RetentionSettings
from vosd.storage.books import SqlBooks
from vosd.storage.overrides import SqlOverrides
from vosd.storage.queries import SqlQueries

pytestmark = [pytest.mark.mariadb, pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)]
NOT_COME = "has not come by the database's clock"


@pytest.mark.parametrize("days_ahead", [2, 0])
async def test_the_daily_work_is_refused_by_a_clock_that_is_ahead(database, database_url, tmp_path, days_ahead):
    await SqlBooks(database).book([answered_call(1, customer_account="acme", vendor_account="carrier")])
    now = time.time_ns() // 1_000_000 + days_ahead * DAY_MS
    (tmp_path / "journal").mkdir()

    minimums = (Minimum(AccountType.DIRECT, "USD", Decimal(50), ("acme",)),)
    night = NightlyOrder(database_url, str(tmp_path), str(tmp_path / "none"), now, False, minimums, "2026-09")
    retention = RetentionOrder(database_url, str(tmp_path), now, RetentionSettings(numbers=Age(days=1)))
    report = ReportOrder(
        url=database_url, node="sw1", name="r", period="p", since=now - 60_000, until=now, report="daily", zone="UTC",
        group=None, criteria={}, form=ReportForm.CSV, directory=str(tmp_path / "reports"), mail=None,
    )  # fmt: skip
    said = [
        (await work_of_the_night(night)).failed.get("minimum", ""),
        (await retention_process._outcome(retention)).error,
        (await report_process.delivered(report, now)).failed,
    ]

    assert [NOT_COME in each for each in said] == [bool(days_ahead)] * 3, said
    assert (await SqlQueries(database).standing("acme")).seq == (1 if days_ahead else 2)  # the call, and the minimum


async def test_no_override_ends_by_a_clock_that_is_ahead(database):
    now = time.time_ns() // 1_000_000
    store = SqlOverrides(database)
    blocks = [
        Override(Target.ACCOUNT, name, Setting.BLOCKED, "", "noc", now, until=until)
        for name, until in (("week", now + 7 * DAY_MS), ("over", now - DAY_MS))
    ]
    await store.put(blocks[:1], now)
    await store.put(blocks[1:], now + 30 * DAY_MS)
    await store.expire(now + 30 * DAY_MS)
    assert [each.name for each in (await store.load()).by_key.values()] == ["week"]
