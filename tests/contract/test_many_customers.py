"""An agent with more customers than a statement of SQLite takes parameters: here 8,000, as shipped 32,766."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any, Final

import msgspec
import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call
from doubles.office import agent, office_on, operator
from sqlalchemy import event

from vosd.admin.office.invoice_run import RunInvoices, run_invoices
from vosd.admin.office.invoices import ListInvoices, list_invoices
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.records import ListRecords, ShowRecord, list_records, show_record
from vosd.admin.office.reports import ShowReport, show_report
from vosd.billing.accounts import AccountType
from vosd.billing.rights import Right
from vosd.cdr.retention import DAY_MS
from vosd.storage import traffic_sums
from vosd.storage.average_use import SqlAverageUse
from vosd.storage.database import Database
from vosd.traffic.reports import REPORTS

SINCE: Final = STARTED - STARTED % DAY_MS
NOW: Final = SINCE + 40 * DAY_MS
CUSTOMERS: Final = [f"customer-{number}" for number in range(9_000)]
CALLING: Final = [*CUSTOMERS[::1_125], "elsewhere"]
TAKEN: Final = 8_000


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    """Three calls of each of some customers in as many days, and of an account that is not below the agent."""
    own = [account(name, agent="reseller") for name in CUSTOMERS]
    others = (
        account("elsewhere"),
        account("reseller", rights=frozenset(Right)),
        account("carrier", type=AccountType.CLEARING),
    )
    office = office_on(database, *own, *others, now=NOW)
    terms = {"vendor_account": "carrier", "fee": Decimal(3), "cost": Decimal(1), "callee_in": "+44207"}
    calls = [
        answered_call(day * DAY_MS + number * 7_200_000, customer_account=name, **terms)
        for day, (number, name) in product(range(3), enumerate(CALLING))
    ]
    await office.stores.books.book(calls)
    while await office.stores.traffic.advance() or await office.stores.traffic.close_day(NOW):
        pass

    def take_few(connection: Any, _: object) -> None:
        if database.is_sqlite:
            connection.driver_connection._conn.setlimit(9, TAKEN)  # SQLITE_LIMIT_VARIABLE_NUMBER

    await database.close()  # its next connections are those below
    listening = database.engine.sync_engine, "connect", take_few
    event.listen(*listening)
    yield office
    event.remove(*listening)


def principal() -> Principal:
    return msgspec.structs.replace(agent("reseller"), permissions=operator().permissions)


@pytest.mark.parametrize(
    "criteria", [{}, {"callee": "44"}, {"callee": "44", "account": CALLING[1]}, {"answered": True}]
)
async def test_its_calls(office: Office, criteria: dict[str, Any]) -> None:
    listed = [call.record async for call in list_records(office, principal(), ListRecords(**criteria))]
    paying = [criteria["account"]] if "account" in criteria else CALLING[:-1]
    assert {call.customer_account for call in listed} == {*paying}
    for record in listed:
        shown = await show_record(office, principal(), ShowRecord(call_id=record.call_id))
        assert shown.record.call_id == record.call_id


async def test_its_invoices(office: Office) -> None:
    period = f"{datetime.fromtimestamp(SINCE / 1_000, UTC):%Y-%m}"
    await run_invoices(office, operator(), RunInvoices(period=period))
    listed = await list_invoices(office, principal(), ListInvoices())
    assert {each.account for each in listed} == {*CALLING[:-1]}


@pytest.mark.parametrize("name", [*REPORTS])
async def test_a_report_is_that_of_few_customers(office: Office, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers that do not call make no difference; all names are in a statement once or for each of its spans."""
    few = [account(each, agent="reseller") for each in CALLING[:-1]]
    others = (
        account("elsewhere"),
        account("reseller", rights=frozenset(Right)),
        account("carrier", type=AccountType.CLEARING),
    )
    of_few = office_on(office.stores.database, *few, *others, now=NOW)
    groups = ("whole", "hour", "day") if "hour" in REPORTS[name].groups else REPORTS[name].groups
    for group in groups:
        order = ShowReport(
            name=name, since=SINCE, until=SINCE + 4 * DAY_MS, group=group, account="reseller", below=True
        )
        expected = await show_report(of_few, operator(), order)
        assert await show_report(office, operator(), order) == expected
        with monkeypatch.context() as patch:
            patch.setattr(traffic_sums, "_VALUES_AT_ONCE", 0)
            assert await show_report(of_few, operator(), order) == expected


async def test_a_report_that_reads_calls(office: Office) -> None:
    order = ShowReport(
        name="durations",
        since=SINCE,
        until=SINCE + 4 * DAY_MS,
        group="whole",
        callee_digits=5,
        account="reseller",
        below=True,
    )
    report = await show_report(office, operator(), order)
    assert sum(int(row["calls"] or 0) for row in report.rows) == 3 * len(CALLING[:-1])


async def test_what_their_calls_cost(office: Office) -> None:
    currencies = dict.fromkeys([*CUSTOMERS, "carrier"], "USD")
    used = await SqlAverageUse(office.stores.database).used(currencies, ["carrier"], NOW // 900_000, 50)
    assert {*used} == {*CALLING[:-1], "carrier"}


async def test_when_they_called_last(office: Office) -> None:
    assert {*await office.stores.queries.last_calls(CUSTOMERS, as_vendors=False)} == {*CALLING[:-1]}
