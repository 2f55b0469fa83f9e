"""Reports of a time whose calls and entries were dropped: the sums that they are made of are kept."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call, charge_row, refused_call
from doubles.office import office_on, operator

from vosd.admin.office.office import Office
from vosd.admin.office.reports import ListReports, ReportSheet, ShowReport, list_reports, show_report
from vosd.admin.retention import Retention
from vosd.cdr.record import AGENT, CallRecord, Posting
from vosd.cdr.retention import DAY_MS, Age, DroppedPeriod
from vosd.engine.settings import RetentionSettings
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.database import Database
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.traffic import DAY_CLOSED_MS, SqlTraffic

FIRST = STARTED - STARTED % DAY_MS + DAY_MS
NOW = FIRST + 400 * DAY_MS
DAYS = 10
HALF_A_YEAR = Age(days=180)
PARTIES = {"customer_account": "acme", "vendor_account": "carrier", "fee": Decimal("0.25"), "cost": Decimal("0.1")}
OF_ENTRIES = {"balances", "clearing", "payments"}


def call(index: int, day: int) -> CallRecord:
    """Return a call of noon that an agent pays for as well."""
    at = FIRST + day * DAY_MS + DAY_MS // 2
    plain = answered_call(at - STARTED + index, **PARTIES)
    return msgspec.structs.replace(
        plain,
        charges=(plain.charges[0], charge_row("south", AGENT, 1, Decimal("0.2")), plain.charges[1]),
        postings=(*plain.postings, Posting("south", Decimal("-0.2"), f"{plain.call_id}/agent1", "USD")),
        started_at=at,
        ringing_at=at + 900,
        answered_at=at + 4_000,
        ended_at=at + 64_000,
    )


def refused(day: int) -> CallRecord:
    at = FIRST + day * DAY_MS + DAY_MS // 2
    return msgspec.structs.replace(refused_call(at - STARTED + 9), mapping_gateway="acme-pbx")


@pytest.fixture
async def office(database: Database) -> Office:
    """Ten days with calls and payments, closed and added up."""
    days = range(DAYS)
    await SqlBooks(database).book([*(call(index, day) for day in days for index in range(3)), *map(refused, days)])
    for day in (0, 3, 6):
        paid = Payment(
            account="acme", kind=EntryKind.PAYMENT, reference=f"bank/{day}", made_at=FIRST + day * DAY_MS,
            amount=Decimal(3),
        )  # fmt: skip
        await SqlPayments(database).add(paid)
    traffic = SqlTraffic(database)
    while await traffic.advance():
        pass
    while await traffic.close_day(FIRST + DAYS * DAY_MS + DAY_CLOSED_MS):
        pass
    await SqlCheckpoints(database).close(FIRST + 30 * DAY_MS, "ann", None, NOW)
    return office_on(database, account("acme", agent="south"), account("south"), account("carrier"), now=NOW)


async def shown(office: Office) -> Mapping[tuple[str, str], ReportSheet | str]:
    """Return every report of the days with calls, as a whole and by days, or why it is refused."""
    found: dict[tuple[str, str], ReportSheet | str] = {}
    for kind in await list_reports(office, operator(), ListReports()):
        for group in {"whole", "day"}.intersection(kind.groups):
            order = ShowReport(name=kind.name, since=FIRST, until=FIRST + DAYS * DAY_MS, group=group)
            try:
                found[kind.name, group] = await show_report(office, operator(), order)
            except DroppedPeriod as error:
                found[kind.name, group] = str(error)
    return found


async def drop(office: Office, state_dir: Path, **ages: Age) -> None:
    (state_dir / "journal").mkdir(exist_ok=True)
    await Retention(office.stores.database, RetentionSettings(**ages), state_dir, "ann", lambda: NOW).run()


async def test_reports_of_calls_are_as_they_were_when_calls_and_their_entries_are_dropped(
    office: Office, tmp_path: Path
) -> None:
    before = await shown(office)
    assert all(isinstance(each, ReportSheet) and (each.rows or each.name == "phones") for each in before.values())
    await drop(office, tmp_path, calls=HALF_A_YEAR, ledger=HALF_A_YEAR)
    async with office.stores.database.reading() as connection:
        for table in ("cdr", "cdr_charge"):
            assert (await connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}")).scalar() == 0
    assert await shown(office) == before


async def test_reports_of_entries_that_were_dropped_are_refused_or_name_the_columns_that_they_lack(
    office: Office, tmp_path: Path
) -> None:
    before = await shown(office)
    await drop(office, tmp_path, calls=HALF_A_YEAR, ledger=HALF_A_YEAR, payments=HALF_A_YEAR)
    changed = {name: sheet for name, sheet in (await shown(office)).items() if sheet != before[name]}
    refused_ones = {name for name, sheet in changed.items() if isinstance(sheet, str)}
    assert {name for name, _ in refused_ones} == OF_ENTRIES
    others: dict[str, Any] = {name: changed[name, group] for name, group in changed.keys() - refused_ones}
    assert others.keys() == {"revenue"}
    (why,) = {changed[each] for each in refused_ones}
    assert others["revenue"].without == f"minimum, corrections: {why}"
    assert {*others["revenue"].rows[0]} == {each.name for each in others["revenue"].columns}
