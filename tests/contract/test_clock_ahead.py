"""A clock of the switch that is ahead of the database server's: nothing is dropped, booked, closed or sent by it."""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call
from doubles.office import office_on, operator

from vosd.admin.ledger import Month
from vosd.admin.office.closing import CloseAccount, close_account
from vosd.admin.office.invoice_changes import CancelInvoice, IssueInvoice, cancel_invoice, issue_invoice
from vosd.admin.office.invoice_run import RunInvoices, run_invoices
from vosd.admin.office.ledger import ClosePeriod, close_period
from vosd.admin.office.minimum import BookMinimums, book_minimums
from vosd.admin.office.months import CloseMonth, close_month
from vosd.admin.office.office import Office
from vosd.admin.office.retention import RunRetention, run_retention
from vosd.billing.accounts import AccountType
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.cdr.retention import DAY_MS, Age
from vosd.daemon import report_process, retention_process
from vosd.daemon.nightly_process import Minimum, NightlyOrder, work_of_the_night
from vosd.daemon.report_process import ReportOrder
from vosd.daemon.retention_process import RetentionOrder
from vosd.engine.settings import ReportForm, RetentionSettings
from vosd.storage.books import SqlBooks
from vosd.storage.database_clock import ClockAhead
from vosd.storage.overrides import SqlOverrides
from vosd.storage.queries import SqlQueries

pytestmark = [pytest.mark.mariadb, pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)]
NOT_COME = "has not come by the database's clock"
Order = Callable[[Office, Month], Awaitable[object]]
ORDERS: dict[str, Order] = {
    "invoice run": lambda office, month: run_invoices(office, operator(), RunInvoices(period=str(month))),
    "invoice run --draft": lambda office, month: run_invoices(
        office, operator(), RunInvoices(period=str(month), draft=True)
    ),
    "ledger minimum": lambda office, month: book_minimums(office, operator(), BookMinimums(month)),
    "ledger close": lambda office, month: close_period(office, operator(), ClosePeriod(month.bounds(UTC)[1])),
    "account close": lambda office, _month: close_account(office, operator(), CloseAccount(account="acme")),
    "month close": lambda office, month: close_month(office, operator(), CloseMonth(month=month), lambda *_: None),
    "month close --dry-run": lambda office, month: close_month(
        office, operator(), CloseMonth(month=month, is_trial=True), lambda *_: None
    ),
}
UTC = ZoneInfo("UTC")


@pytest.fixture
def late_server() -> None:
    """The clock of the server itself, in place of one that has reached every time."""


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


@pytest.mark.parametrize("name", ORDERS)
async def test_an_order_for_a_month_is_refused_by_a_clock_that_is_ahead(database, tmp_path, name):
    def office_at(now: int) -> tuple[Office, Month]:
        acme = account("acme", minimum_consumption=Decimal(50))
        return office_on(database, acme, now=now, socket=tmp_path / "vosd.sock"), Month.before(now, UTC)

    now = time.time_ns() // 1_000_000
    with pytest.raises(ClockAhead, match=NOT_COME):
        await ORDERS[name](*office_at(now + 40 * DAY_MS))
    await ORDERS[name](*office_at(now))


async def test_no_invoice_is_dated_by_a_clock_that_is_ahead(database, tmp_path):
    def office_at(now: int) -> Office:
        return office_on(database, account("acme"), now=now, socket=tmp_path / "vosd.sock")

    now = time.time_ns() // 1_000_000
    month = Month.before(now, UTC)
    since, _ = month.bounds(UTC)
    await SqlBooks(database).book([answered_call(since - STARTED, customer_account="acme", vendor_account="carrier")])
    (draft,) = await run_invoices(office_at(now), operator(), RunInvoices(period=str(month), draft=True))
    ahead = office_at(now + 2 * DAY_MS)
    issue, cancel = IssueInvoice(id=draft.id), CancelInvoice(id=draft.id)

    with pytest.raises(ClockAhead, match=NOT_COME):
        await run_invoices(ahead, operator(), RunInvoices(period=str(month)))
    with pytest.raises(ClockAhead, match=NOT_COME):
        await issue_invoice(ahead, operator(), issue)
    issued = await issue_invoice(office_at(now), operator(), issue)
    with pytest.raises(ClockAhead, match=NOT_COME):
        await cancel_invoice(ahead, operator(), cancel)
    assert (await cancel_invoice(office_at(now), operator(), cancel)).gross == f"-{issued.gross}"


async def test_retention_by_hand_is_refused_by_a_clock_that_is_ahead(database, tmp_path):
    now = time.time_ns() // 1_000_000
    (tmp_path / "journal").mkdir()
    office = office_on(database, now=now + 2 * DAY_MS, socket=tmp_path / "vosd.sock")
    with pytest.raises(ClockAhead, match=NOT_COME):
        await run_retention(office, operator(), RunRetention(is_trial=True), lambda _: None)


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
