"""Runs of many transactions wait for rows that another one holds for longer than the database lets one of them wait.

A writer in SQLite holds all rows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call
from doubles.ledger_entries import entries_of
from doubles.office import office_on, operator
from sqlalchemy import event

from vosd.admin.ledger import Month
from vosd.admin.month_page import MonthObstacle
from vosd.admin.office.invoice_run import RunInvoices, run_invoices
from vosd.admin.office.invoices import ListInvoices, list_invoices
from vosd.admin.office.ledger import ClosePeriod, close_period
from vosd.admin.office.minimum import BookMinimums, book_minimums
from vosd.admin.office.months import CloseMonth, close_month
from vosd.admin.office.office import Office
from vosd.admin.office.payment_file import FilePayment, ImportPayments, import_payments
from vosd.admin.office.payments import BookPayment, book_payment
from vosd.admin.retention import Retention
from vosd.billing.accounts import AccountType
from vosd.cdr.ports import RowsLocked
from vosd.cdr.retention import DAY_MS, Age, RecordKind
from vosd.daemon.nightly_process import Minimum, NightlyOrder, work_of_the_night
from vosd.engine.settings import RetentionSettings
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.drop_history import drop_history
from vosd.storage.dropped import note_dropped
from vosd.storage.verify import verify_ledger

OCTOBER = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1_000)
NOW = OCTOBER + DAY_MS
MONTH = Month(2026, 9)
NAMES = "acme", "beta", "gamma"
ACCOUNTS = (
    *(account(name, minimum_consumption=Decimal(5)) for name in NAMES),
    account("carrier", type=AccountType.CLEARING),
)
BETA = "SELECT balance FROM account WHERE id = 'beta' FOR UPDATE"
"""The second of the accounts: the first one is booked already, and is not booked twice."""


class Held:
    """Rows that another session holds until a run says that it waits for them."""

    def __init__(self, office: Office, database: Database) -> None:
        self.office, self.database = office, database
        self.told = asyncio.Event()

    async def until_told(self, statement: str, run: Awaitable[Any]) -> Any:
        """Return the result of a run that begins while the rows of a statement are held."""
        if self.database.is_sqlite:
            statement = statement.removesuffix(" FOR UPDATE")
        saying = asyncio.create_task(self.told.wait())
        async with Database(self.database.url) as other:
            async with other.writing() as connection:
                assert (await connection.exec_driver_sql(statement)).all()
                running = asyncio.ensure_future(run)
                await asyncio.wait({running, saying}, return_when=asyncio.FIRST_COMPLETED)
            saying.cancel()
            return await running

    async def amounts(self) -> dict[str, list[str]]:
        """Return the amounts of the entries that are not of calls, by account."""
        found = await entries_of(self.database, kinds=("payment", "minimum"))
        return {name: [str(each.amount.normalize()) for each in found if each.account == name] for name in NAMES}


@pytest.fixture
async def held(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Held]:
    """A call of September of each account, and a database that lets a transaction wait for a second at most."""
    await database.close()  # its next connections are those below

    def wait_briefly(connection: Any, _: object) -> None:
        setting = "PRAGMA busy_timeout = 100" if database.is_sqlite else "SET SESSION innodb_lock_wait_timeout = 1"
        connection.cursor().execute(setting)

    held = Held(office_on(database, *ACCOUNTS, now=NOW, socket=tmp_path / "vosd.sock"), database)
    monkeypatch.setattr(database, "_remark", lambda _: held.told.set())
    terms = {"vendor_account": "carrier", "fee": Decimal(2), "cost": Decimal("0.20")}
    calls = [answered_call(number, customer_account=name, **terms) for number, name in enumerate(NAMES)]
    await held.office.stores.books.book(calls)
    while await held.office.stores.traffic.advance() or await held.office.stores.traffic.close_day(NOW + 30 * DAY_MS):
        pass
    await database.close()
    listening = database.engine.sync_engine, "connect", wait_briefly
    event.listen(*listening)
    yield held
    event.remove(*listening)
    assert (await verify_ledger(database)).differences == ()


async def test_payments_of_a_file(held: Held) -> None:
    rows = [FilePayment(line, name, Decimal(line), f"p-{line}", None, None) for line, name in enumerate(NAMES, 2)]
    await held.until_told(BETA, import_payments(held.office, operator(), ImportPayments(tuple(rows))))
    assert await held.amounts() == {"acme": ["2"], "beta": ["3"], "gamma": ["4"]}


async def test_minimums_of_a_month(held: Held) -> None:
    await held.until_told(BETA, book_minimums(held.office, operator(), BookMinimums(MONTH)))
    assert await held.amounts() == {name: ["-3"] for name in NAMES}


async def test_the_work_of_a_night(held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vosd.storage.engines._LOCK_WAIT_S", 1)
    monkeypatch.setattr("vosd.storage.database._BUSY_S", 1)
    monkeypatch.setattr(Database, "_note_locked", lambda *_: held.told.set())
    minimums = (Minimum(AccountType.DIRECT, "USD", Decimal(5), NAMES),)
    night = NightlyOrder(
        held.database.url, str(tmp_path), str(tmp_path / "none"), NOW, False, minimums, str(MONTH), invoices=True
    )
    assert (await held.until_told(BETA, work_of_the_night(night))).failed == {}
    assert await held.amounts() == {name: ["-3"] for name in NAMES}


async def test_the_end_of_a_month(held: Held) -> None:
    passed = CloseMonth(month=MONTH, despite=(MonthObstacle.VENDOR_UNMATCHED,), reason="the vendor is late")
    sheet = await held.until_told(BETA, close_month(held.office, operator(), passed, lambda *_: None))
    assert sheet.closed
    assert await held.amounts() == {name: ["-3"] for name in NAMES}
    issued = await list_invoices(held.office, operator(), ListInvoices(oldest_first=True))
    assert [(each.account, each.net) for each in issued] == [(name, "5.00") for name in NAMES]


async def test_invoices_of_a_period(held: Held) -> None:
    await run_invoices(held.office, operator(), RunInvoices(period=str(MONTH), accounts=("acme",)))
    every = RunInvoices(period=str(MONTH))
    await held.until_told("SELECT last FROM invoice_series FOR UPDATE", run_invoices(held.office, operator(), every))
    issued = await list_invoices(held.office, operator(), ListInvoices(oldest_first=True))
    assert [each.account for each in issued] == [*NAMES]
    assert [int((each.number or "")[-4:]) for each in issued] == [1, 2, 3]


async def test_first_invoices_while_payments_are_dropped(held: Held) -> None:
    """None is made between the look at what is kept for the account and the drop."""
    async with held.database.writing() as connection:
        await note_dropped(connection, RecordKind.PAYMENTS, 1)
    mark = "SELECT value FROM counter WHERE name = 'dropped_payments' FOR UPDATE"
    drafts = RunInvoices(period=str(MONTH), draft=True)
    made = await held.until_told(mark, run_invoices(held.office, operator(), drafts))
    assert (held.told.is_set(), [each.account for each in made]) == (True, [*NAMES])


async def test_the_close_of_a_period(held: Held) -> None:
    await close_period(held.office, operator(), ClosePeriod(STARTED - DAY_MS))
    found = await held.until_told(
        "SELECT value FROM counter WHERE name = 'closed_entry' FOR UPDATE",
        close_period(held.office, operator(), ClosePeriod(OCTOBER)),
    )
    assert (found.accounts, found.entries) == (4, 6)


async def test_a_run_of_the_retention(held: Held, tmp_path: Path) -> None:
    await close_period(held.office, operator(), ClosePeriod(OCTOBER))
    (tmp_path / "journal").mkdir()
    work = Retention(held.database, RetentionSettings(calls=Age(days=1)), tmp_path, "ann", lambda: NOW + DAY_MS)
    (sheet,) = (await held.until_told("SELECT call_id FROM cdr FOR UPDATE", work.run())).kinds
    dropped = {(each.month, each.records) for each in sheet.months}
    assert dropped == {(each.month, each.records) for each in await drop_history(held.database)} == {("2026-09", 3)}


async def test_sums_for_reports_that_are_made_anew(held: Held) -> None:
    async def rebuild() -> list[int]:
        return [end async for end in held.office.stores.traffic.rebuild(STARTED, STARTED + 1)]

    mark = f"SELECT value FROM counter WHERE name = '{schema.TRAFFIC}' FOR UPDATE"
    assert len(await held.until_told(mark, rebuild())) == 1


async def test_a_payment_of_a_person_does_not_wait(held: Held) -> None:
    order = BookPayment(account="beta", amount=Decimal(1), reference="p-1")
    with pytest.raises(RowsLocked):
        await held.until_told(BETA, book_payment(held.office, operator(), order))
    assert (held.told.is_set(), (await held.amounts())["beta"]) == (False, [])
