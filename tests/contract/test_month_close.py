"""The end of a month: what is missing, the page that is left, and a close that is killed and repeated."""

import asyncio
import csv
import gzip
import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.collisions import colliding
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call, refused_call, rejected
from doubles.dying import Steps, is_killed
from doubles.fake_switch import FakeSwitch
from doubles.journals import write_ended
from doubles.ledger_entries import closed_of
from doubles.migrated import copy_database, migrated
from doubles.office import agent, office_on, operator
from sqlalchemy import event, insert, update

from vosd.admin.export_files import ExportBlocked
from vosd.admin.ledger import Month
from vosd.admin.month_archive import MonthArchive
from vosd.admin.month_page import MissingOfMonth, MonthObstacle, MonthPage
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.invoice_changes import CancelInvoice, cancel_invoice
from vosd.admin.office.invoice_run import RunInvoices, run_invoices
from vosd.admin.office.invoices import ListInvoices, list_invoices
from vosd.admin.office.ledger import ClosePeriod, close_period
from vosd.admin.office.month_checks import MonthChecks
from vosd.admin.office.months import (
    DIRECTORY as DIRECTORY_OF_MONTHS,
    ClosedMonthSheet,
    CloseMonth,
    MonthOpenError,
    close_month,
)
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, OrderError
from vosd.billing.accounts import AccountType
from vosd.billing.invoice_terms import InvoiceCycle, InvoiceTerms
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.ports import Collided
from vosd.cdr.record import VENDOR
from vosd.cdr.retention import DropPlan, RecordKind
from vosd.control.calls import CallSnapshot, ListCalls
from vosd.control.money import CountUnbooked, ListUnbooked, RefreshBalances
from vosd.control.order import OrderDone
from vosd.engine.journal import Journal
from vosd.engine.journal.quarantine import DIRECTORY, Quarantine
from vosd.storage import schema
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import Database
from vosd.storage.disputes import DisputeState, StoredDispute
from vosd.storage.month_closes import SqlMonthCloses, StoredMonthClose
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.reconciliations import StoredReconciliation
from vosd.storage.retention import SqlRetention

DAY = 86_400_000
ACCOUNTS = (
    account("south"), account("acme", agent="south", minimum_consumption=Decimal(5)),
    account("carrier", type=AccountType.CLEARING),
)  # fmt: skip
SEPTEMBER, OCTOBER = (int(datetime(2026, month, 1, tzinfo=UTC).timestamp() * 1_000) for month in (9, 10))
NOW = OCTOBER + DAY
MONTH = Month(2026, 9)
ALL_PASSED = CloseMonth(
    month=MONTH, despite=(MonthObstacle.VENDOR_UNMATCHED, MonthObstacle.DISPUTE_OPEN), reason="the vendor is late"
)
LINE = AuditLine(NOW, "ann", "operator", "ann", "terminal", "", "Test", "carrier", "{}")
TERMS = {
    "customer_account": "acme", "vendor_account": "carrier", "fee": Decimal("0.50"), "tax": Decimal("0.10"),
    "cost": Decimal("0.20"), "cost_tax": Decimal("0.04"),
}  # fmt: skip


async def prepare(database: Database, directory: Path) -> Office:
    """Book calls of September, one of October, a payment, and add all of it up."""
    office = office_on(database, *ACCOUNTS, now=NOW, socket=directory / "vosd.sock")
    stores = office.stores
    calls = [answered_call(number, **TERMS) for number in range(1, 6)]
    payment = Payment(
        account="acme",
        kind=EntryKind.PAYMENT,
        reference="p-1",
        made_at=SEPTEMBER + DAY,
        amount=Decimal(25),
        currency="USD",
    )
    await stores.payments.add(payment)
    await stores.books.book([*calls, refused_call(7), answered_call(OCTOBER + 9 - STARTED, **TERMS)])
    while await stores.traffic.advance() or await stores.traffic.close_day(NOW + 30 * DAY):
        pass
    return office


async def reconcile(office: Office, since: int = SEPTEMBER, until: int = OCTOBER, digest: str = "a") -> int:
    made = StoredReconciliation(
        id=0, account="carrier", digest=digest, file="september.csv", since=since, until=until, made_at=NOW,
        operator="ann", currency="USD", ours=Decimal("1.20"), theirs=Decimal("1.30"), result="{}",
    )  # fmt: skip
    kept, _ = await office.stores.reconciliations.add(made, [], LINE, again=False)
    return kept.id


async def dispute(office: Office, number: int, state: DisputeState) -> None:
    found = (await office.stores.reconciliations.disputes([number])).get(number)
    wanted = StoredDispute(
        reconciliation=number, account="carrier", state=state, amount=Decimal("0.10"), currency="USD", reference=None,
        memo=None, opened_at=NOW, changed_at=NOW, operator="ann",
    )  # fmt: skip
    await office.stores.reconciliations.dispute(wanted, found, LINE)


async def reconcile_later(database: Database, count: int) -> None:
    """Write comparisons of the next month."""
    row = {
        "account": "carrier", "file": "october.csv", "since": OCTOBER, "until": OCTOBER + DAY, "made_at": NOW,
        "operator": "ann", "currency": "USD", "ours": Decimal(1), "theirs": Decimal(1), "result": "{}",
    }  # fmt: skip
    async with database.writing() as connection:
        rows = [row | {"digest": f"later-{number}"} for number in range(count)]
        await connection.execute(insert(schema.reconciliation), rows)


async def close(office: Office, order: CloseMonth = ALL_PASSED, **changes: object) -> ClosedMonthSheet:
    order = msgspec.structs.replace(order, **changes)
    return await close_month(office, operator(), order, lambda *_: None)


async def missing(office: Office) -> dict[str, str]:
    found = await close(office, CloseMonth(month=MONTH, is_trial=True))
    assert not found.closed
    return {each.obstacle.value: each.detail for each in found.missing}


async def test_a_bill_of_the_month_is_found_behind_any_number_of_later_ones(office: Office, database: Database) -> None:
    number = await reconcile(office)
    await dispute(office, number, DisputeState.OPEN)
    await reconcile_later(database, 1_000)
    assert await missing(office) == {"dispute_open": f"dispute {number} with carrier about 0.10 USD is open"}


@pytest.fixture
async def office(database: Database, tmp_path: Path) -> Office:
    return await prepare(database, tmp_path)


async def test_a_trial_says_what_is_missing_until_nothing_is(office: Office, database: Database) -> None:
    assert await missing(office) == {
        "vendor_unmatched": "5 answered calls of carrier, 1.00 USD, are in no reconciliation"
    }
    number = await reconcile(office, until=STARTED - 2 * DAY)
    assert "vendor_unmatched" in await missing(office)  # the calls came after the period of the bill
    await dispute(office, number, DisputeState.OPEN)
    number = await reconcile(office, since=STARTED - 2 * DAY, digest="b")
    assert await missing(office) == {"dispute_open": f"dispute {number - 1} with carrier about 0.10 USD is open"}
    await dispute(office, number - 1, DisputeState.SETTLED)
    assert await missing(office) == {}
    async with database.writing() as connection:
        await connection.execute(update(schema.traffic_day).values(calls=schema.traffic_day.c.calls + 1))
    assert {*await missing(office)} == {"sums_differ"}
    async with database.writing() as connection:
        await connection.execute(update(schema.traffic).values(calls=schema.traffic.c.calls + 1))
        counter = schema.counter.c
        await connection.execute(update(schema.counter).where(counter.name == schema.TRAFFIC_DAYS).values(value=0))
        await connection.execute(update(schema.account).where(schema.account.c.id == "acme").values(balance=Decimal(9)))
    late = answered_call(78, **TERMS)
    await office.stores.books.book([late])
    found = await missing(office)
    assert {*found} == {"sums_differ", "sums_missing", "days_open", "ledger_differs", "invoices_missing"}
    assert found["sums_missing"] == "1 calls are not in the sums yet"
    assert found["days_open"] == "the day 2026-09-21 has no sums of its own yet"
    with pytest.raises(MonthOpenError, match=r"2026-09 cannot be closed: ledger_differs.*vosd ledger verify"):
        await close(office)
    assert await office.stores.checkpoints.closed_until() is None


async def test_calls_that_a_replica_lacks_keep_a_month_open(tmp_path: Path) -> None:
    database = Database(migrated(tmp_path / "vosd.db"), replica=migrated(tmp_path / "copy.db"))
    assert [*await missing(await prepare(database, tmp_path))] == ["vendor_unmatched"]
    await database.close()


async def test_a_month_that_is_not_over_is_not_closed(office: Office) -> None:
    with pytest.raises(MonthOpenError, match=r"not_over: it ends at 2026-11-01T00:00:00\.000Z$"):
        await close(office, CloseMonth(month=Month(2026, 10)))


async def test_calls_that_run_or_wait_keep_a_month_open(office: Office, tmp_path: Path) -> None:
    began = "2026-09-30T23:59:00.000Z"
    calls = [
        CallSnapshot("a", "talking", "in", "out", "acme", "carrier", "1", "2", each, each, 3_000, 3_000)
        for each in (began, "2026-10-01T00:00:01.000Z")
    ]
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(ListCalls, calls).answers(CountUnbooked, 2)
    async with switch:
        found = await close(office, CloseMonth(month=MONTH, is_trial=True))
    assert [each.detail for each in found.missing if each.obstacle is MonthObstacle.UNBOOKED] == [
        "1 calls run that began in the month or before",
        "2 calls that began in the month or before are not booked yet",
    ]
    assert CountUnbooked(OCTOBER) in switch.asked


async def test_a_bill_that_was_compared_before_its_calls_were_booked_is_compared_again(
    office: Office, database: Database
) -> None:
    number = await reconcile(office)
    assert await missing(office) == {}
    async with database.writing() as connection:
        await connection.execute(update(schema.reconciliation).values(result='{"rows": 5, "unbooked": 2}'))
    said = f"2 calls were not booked yet when reconciliation {number} of carrier was made"
    assert await missing(office) == {"vendor_unmatched": said}


async def test_a_bill_whose_calls_were_rated_again_since_is_compared_again(office: Office) -> None:
    number = await reconcile(office)
    cheaper = ChargeChange(VENDOR, 0, Amounts(Decimal("0.10"), Decimal("0.02"), 60))
    calls = [answered_call(number, **TERMS).call_id for number in (1, 2)]
    made = [Correction(call_id, (cheaper,), "rerate-1", "ann", "the contract", NOW + 1) for call_id in calls]
    await office.stores.corrections.book(made)
    said = f"the cost of 2 calls was corrected since reconciliation {number} of carrier was made"
    assert (await missing(office))["vendor_unmatched"] == said


async def test_each_order_of_the_end_of_a_month_that_collides_is_tried_thrice(
    office: Office, database: Database
) -> None:
    number = await reconcile(office)
    with colliding(database, "INTO audit", lambda _: True) as begun, pytest.raises(Collided):
        await dispute(office, number, DisputeState.OPEN)
    assert (len(begun), await office.stores.reconciliations.disputes([number])) == (3, {})
    with colliding(database, "INTO audit", lambda before: before % 3 < 2):
        await dispute(office, number, DisputeState.OPEN)
        await close(office)
        (issued,) = await list_invoices(office, operator(), ListInvoices(account="acme"))
        await cancel_invoice(office, operator(), CancelInvoice(id=issued.id))
    orders = [each.action for each in await list_audit(office, operator(), ListAudit())]
    assert orders[:-1] == ["CancelInvoice", "CloseMonth", "RunInvoices", "ClosePeriod", "BookMinimums", LINE.action]


async def test_a_month_is_not_closed_while_a_minimum_waits_for_calls(office: Office, tmp_path: Path) -> None:
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(ListCalls, []).answers(CountUnbooked, 0)
    async with switch.answers(ListUnbooked, {"acme": "1.00"}).answers(RefreshBalances, OrderDone()):
        with pytest.raises(MonthOpenError, match=r"unbooked: minimums of 1 accounts are not booked.*acme"):
            await close(office)
        passed = (*ALL_PASSED.despite, MonthObstacle.QUARANTINED, MonthObstacle.INVOICES_MISSING)
        page = (await close(office, despite=passed)).page
    assert page is not None
    assert MonthObstacle.QUARANTINED in {each.obstacle for each in page.passed}


async def test_the_page_names_accounts_that_were_opened_behind_the_month(database: Database, tmp_path: Path) -> None:
    office = await prepare(database, tmp_path)
    later = office_on(
        database, *ACCOUNTS, account("later", minimum_consumption=Decimal(5)), now=NOW, socket=tmp_path / "vosd.sock"
    )
    made = await close(later)
    assert made.page is not None
    assert made.page.minimums_not_begun == ("later",)
    assert "opened after the month: later." in (Path(made.directory or "") / "month.md").read_text()
    assert (await close(office)).page == made.page


async def test_the_page_names_accounts_whose_minimum_of_the_month_is_not_known(
    database: Database, tmp_path: Path
) -> None:
    office = await prepare(database, tmp_path)
    least = ("${LEAST}", SEPTEMBER), ("5", OCTOBER)
    terms = {"kind": "accounts", "name": "fixed", "made_at": 0, "operator": "ann"}
    versions = [
        ObjectVersion(**terms, version=version, body=f'{{"minimum_consumption": "{minimum}"}}', begins_at=begins)
        for version, (minimum, begins) in enumerate(least, 1)
    ]
    await office.stores.objects.add(versions)
    fixed = account("fixed", minimum_consumption=Decimal(5))
    made = await close(office_on(database, *ACCOUNTS, fixed, now=NOW, socket=tmp_path / "vosd.sock"))
    assert made.page is not None
    assert (made.page.minimums_not_begun, made.page.minimums_unknown) == ((), ("fixed",))
    assert "is not known, and not booked, of: fixed." in (Path(made.directory or "") / "month.md").read_text()


async def test_calls_of_a_stopped_switch_and_refused_ones_are_missing(office: Office, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.open()
    journal.settle()
    write_ended(journal, answered_call(77, **TERMS))
    journal.close()
    of_october = answered_call(OCTOBER + 78 - STARTED)
    quarantine = Quarantine(tmp_path / DIRECTORY)
    quarantine.put(rejected("too long", of_october))
    found = await missing(office)
    assert found["unbooked"] == "no switch runs, and 1 calls of its journal are not booked"
    assert "quarantined" not in found
    over_midnight = msgspec.structs.replace(answered_call(OCTOBER - 60_000 - STARTED), ended_at=OCTOBER + 300_000)
    quarantine.put(rejected("too long", over_midnight))
    assert (await missing(office))["quarantined"].startswith("1 records of calls were refused, the first is of call ")
    unreadable = next((tmp_path / DIRECTORY).iterdir()).with_stem("broken")
    unreadable.write_text("{")
    found = (await close(office, CloseMonth(month=MONTH, is_trial=True))).missing
    assert f"1 records of calls cannot be read, the first is {unreadable}" in [each.detail for each in found]
    assert MonthObstacle.LEDGER_DIFFERS not in {each.obstacle for each in found}, "a month may be closed despite it"


async def test_sums_of_days_of_other_zones_are_counted_again_too(office: Office, database: Database) -> None:
    while await office.stores.traffic.close_zone_day(NOW, [ZoneInfo("Europe/Berlin")]):
        pass
    assert "sums_differ" not in await missing(office)
    async with database.writing() as connection:
        await connection.execute(update(schema.traffic_zone).values(calls=schema.traffic_zone.c.calls + 1))
    assert "sums_differ" in await missing(office)


async def test_a_month_whose_sums_were_dropped_says_so_once_beside_what_else_is_missing(office: Office) -> None:
    await dispute(office, await reconcile(office), DisputeState.OPEN)
    await SqlRetention(office.stores.database).begin(DropPlan(RecordKind.SUMS, SEPTEMBER + DAY, SEPTEMBER + DAY, ()))
    found = (await close(office, CloseMonth(month=MONTH, is_trial=True))).missing
    assert [(each.obstacle, each.do) for each in found] == [
        (MonthObstacle.CALLS_DROPPED, "vosd retention history"),
        (MonthObstacle.DISPUTE_OPEN, found[1].do),
    ]
    assert found[0].detail.startswith("sums for reports from before 2026-09-02")


def test_only_what_others_delay_is_passed_over_and_with_a_reason() -> None:
    with pytest.raises(OrderError, match="`despite` sums_differ cannot be passed over"):
        CloseMonth(month=MONTH, despite=(MonthObstacle.SUMS_DIFFER,), reason="never mind")
    with pytest.raises(OrderError, match="`reason` is missing"):
        CloseMonth(month=MONTH, despite=(MonthObstacle.DISPUTE_OPEN,))


async def test_a_month_is_for_operators(office: Office) -> None:
    with pytest.raises(OperatorsOnlyError):
        await close_month(office, agent("south"), ALL_PASSED, lambda *_: None)


def rows_of(file: Path) -> list[str]:
    content = file.read_bytes()
    return (gzip.decompress(content) if file.suffix == ".gz" else content).decode().splitlines()


async def test_a_closed_month_leaves_a_page_whose_figures_are_those_of_its_files(office: Office) -> None:
    parts: list[float] = []
    made = await close_month(office, operator(), ALL_PASSED, lambda part, _calls: parts.append(part))
    assert parts == sorted(parts)
    assert 0 <= parts[0] < parts[-1] <= 1
    page, directory = made.page, Path(made.directory or "")
    assert page is not None
    assert (made.closed, made.repeated, page.reason) == (True, False, "the vendor is late")
    assert [each.obstacle for each in page.passed] == [MonthObstacle.VENDOR_UNMATCHED]
    for file in page.files:
        content = (directory / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    digests = dict(line.split("  ")[::-1] for line in (directory / "SHA256SUMS").read_text().splitlines())
    assert {*digests} == {"month.md", "month.json", *(file.name for file in page.files)}
    assert digests == {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in digests}
    calls, entries = ([*csv.DictReader(rows_of(directory / name))] for name in ("calls.csv.gz", "ledger.csv.gz"))
    assert (page.calls, page.answered) == (len(calls), sum(bool(each["answered_at"]) for each in calls)) == (6, 5)
    (money,) = page.money
    assert (money.currency, money.fee, money.tax, money.cost, money.cost_tax) == ("USD", "2.50", "0.50", "1.00", "0.20")
    assert {each["kind"] for each in entries} == {"call", "minimum", "payment"}
    shown = [(each.kind, each.entries, each.amount, each.tax) for each in page.ledger]
    assert shown == [
        ("call", 10, "-4.20", "-0.70"), ("minimum", 1, "-2.50", "0.00"), ("payment", 1, "25.00", "0.00"),
    ]  # fmt: skip
    (invoices,) = page.invoices
    assert (invoices.issuer, page.invoice_periods) == ("", ("2026-09",))  # no agent was charged for the calls
    assert (invoices.invoices, invoices.net, invoices.tax, invoices.gross) == (1, "5.00", "0.50", "5.50")
    assert len(rows_of(directory / "invoices.csv")) == 2
    (balances,) = page.balances
    assert (balances.accounts, balances.opening, balances.moved, balances.closing) == (2, "0.00", "18.30", "18.30")
    assert sum(Decimal(each["amount"]) for each in entries) == Decimal(balances.moved)
    text = (directory / "month.md").read_text()
    for command in ("vosd report verify", "vosd ledger verify --whole", "vosd ledger balances", "sha256sum -c"):
        assert command in text
    assert msgspec.json.decode((directory / "month.json").read_bytes(), type=MonthPage) == page
    assert await office.stores.checkpoints.closed_until() == OCTOBER


def modes_of(paths: Iterable[Path]) -> set[int]:
    return {each.stat().st_mode & 0o777 for each in paths}


async def test_the_files_of_a_month_are_for_their_owner_alone(office: Office) -> None:
    """An earlier version left directories that others could enter."""
    months = office.definitions.settings.state_dir / DIRECTORY_OF_MONTHS
    months.mkdir(mode=0o755)
    made = await close_month(office, operator(), ALL_PASSED, lambda _part, _calls: None)
    directory = Path(made.directory or "")
    assert modes_of(directory.iterdir()) == {0o600}  # noqa: ASYNC240 - nothing else runs
    assert modes_of((directory, months)) == {0o700}


async def test_no_cell_of_the_files_is_a_formula_for_a_spreadsheet(database: Database, tmp_path: Path) -> None:
    office = office_on(database, account("=acme"), ACCOUNTS[2], now=NOW, socket=tmp_path / "vosd.sock")
    made_by_others = TERMS | {"customer_account": "=acme", "caller_in": "=1+1"}
    await office.stores.books.book([answered_call(1, **made_by_others)])
    while await office.stores.traffic.advance() or await office.stores.traffic.close_day(NOW + 30 * DAY):
        pass
    directory = Path((await close(office)).directory or "")
    for name in ("calls.csv.gz", "ledger.csv.gz", "balances.csv", "invoices.csv"):
        cells = [cell for row in csv.reader(rows_of(directory / name)) for cell in row]
        assert "'=acme" in cells, name
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))], name
    assert "'=1+1" in "".join(rows_of(directory / "calls.csv.gz"))
    assert "apostrophe" in (directory / "month.md").read_text()


async def test_charges_that_are_on_no_invoice_are_passed_over_with_a_reason(office: Office, database: Database) -> None:
    async with database.writing() as connection:
        entry = schema.ledger_entry.c
        for seq, days in ((2, 40), (3, 1)):
            early = (entry.account == "acme") & (entry.seq == seq)
            await connection.execute(update(schema.ledger_entry).where(early).values(created_at=SEPTEMBER - days * DAY))
    await run_invoices(office, operator(), RunInvoices(period="2026-07"))
    tried = await close(office, CloseMonth(month=MONTH, is_trial=True))
    assert [each.obstacle for each in tried.missing][-1] is MonthObstacle.INVOICES_MISSING
    with pytest.raises(
        MonthOpenError, match=r"invoices_missing: charges of 1 accounts .* 2026-08-31 are on no invoice"
    ):
        await close(office)
    made = await close(office, despite=(*ALL_PASSED.despite, MonthObstacle.INVOICES_MISSING))
    assert made.page is not None
    assert [each.obstacle.value for each in made.page.passed] == ["vendor_unmatched", "invoices_missing"]
    assert made.page.invoices == ()


async def test_a_first_month_that_is_closed_leaves_no_earlier_charges_out(office: Office, database: Database) -> None:
    async with database.writing() as connection:
        entry = schema.ledger_entry.c
        early = (entry.account == "acme") & (entry.seq == 2)
        await connection.execute(update(schema.ledger_entry).where(early).values(created_at=SEPTEMBER - DAY))
    said = r"invoices_missing: charges of 1 accounts .* 2026-08-31 are on no invoice: .* \(anew\)"
    with pytest.raises(MonthOpenError, match=said):
        await close(office)
    assert await list_invoices(office, operator(), ListInvoices()) == []
    await run_invoices(office, operator(), RunInvoices(period="2026-09", anew=True))
    assert (await close(office)).closed


async def test_halves_of_the_month_are_invoiced_and_on_the_page(database: Database, tmp_path: Path) -> None:
    await prepare(database, tmp_path)
    halves = msgspec.structs.replace(ACCOUNTS[1], invoice=InvoiceTerms(cycle=InvoiceCycle.HALF_MONTH))
    office = office_on(database, halves, ACCOUNTS[2], now=NOW, socket=tmp_path / "vosd.sock")
    made = await close(office)
    assert made.page is not None
    assert made.page.invoice_periods == ("2026-09-H2",)
    assert [(each.invoices, each.gross) for each in made.page.invoices] == [(1, "5.50")]
    directory = Path(made.directory or "")
    assert len(rows_of(directory / "invoices.csv")) == 2
    assert "vosd invoice list --period 2026-09-H2" in (directory / "month.md").read_text()


async def test_a_trial_counts_with_invoices_that_the_close_makes_first(database: Database, tmp_path: Path) -> None:
    await prepare(database, tmp_path)
    async with database.writing() as connection:
        entry = schema.ledger_entry.c
        first = (entry.account == "acme") & (entry.seq == 2)
        await connection.execute(update(schema.ledger_entry).where(first).values(created_at=SEPTEMBER + DAY))
    halves = msgspec.structs.replace(ACCOUNTS[1], invoice=InvoiceTerms(cycle=InvoiceCycle.HALF_MONTH))
    office = office_on(database, halves, ACCOUNTS[2], now=NOW, socket=tmp_path / "vosd.sock")
    assert [*await missing(office)] == ["vendor_unmatched"]
    assert await list_invoices(office, operator(), ListInvoices()) == []
    page = (await close(office)).page
    assert page is not None
    assert page.invoice_periods == ("2026-09-H1", "2026-09-H2")


async def test_a_trial_shows_how_much_of_the_ledger_is_verified(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was silent until the calls of the month were counted again."""
    monkeypatch.setattr("vosd.storage.verify._CALLS_AT_ONCE", 1)
    shown: list[tuple[float, int]] = []
    order = msgspec.structs.replace(ALL_PASSED, is_trial=True)
    await close_month(office, operator(), order, lambda part, calls: shown.append((part, calls)))
    verified = [(part, calls) for part, calls in shown if calls]
    assert [calls for _, calls in verified[:3]] == [1, 2, 3]
    assert verified[-1][0] == 0.25
    assert [part for part, _ in shown] == sorted(part for part, _ in shown)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati"])
async def test_the_counting_again_of_a_month_of_any_zone_is_seen_in_the_progress(office: Office, zone: str) -> None:
    since, until = MONTH.bounds(ZoneInfo(zone))
    parts: list[float] = []
    await MonthChecks(office, since, until, lambda part, _calls: parts.append(part)).missing()
    assert parts == sorted(parts)
    assert parts[-1] == 1
    assert len([part for part in parts if 0.5 < part <= 0.75]) >= 24 * 30  # hours
    assert len([part for part in parts if 0.75 < part < 1]) >= 28  # days


async def test_the_making_and_the_trial_of_invoices_are_seen_in_the_progress(
    database: Database, tmp_path: Path
) -> None:
    """With many accounts they take the longest."""
    await prepare(database, tmp_path)
    daily = msgspec.structs.replace(ACCOUNTS[1], invoice=InvoiceTerms(cycle=InvoiceCycle.DAY))
    office = office_on(database, daily, ACCOUNTS[2], now=NOW, socket=tmp_path / "vosd.sock")
    for is_trial in (True, False):
        order, parts = msgspec.structs.replace(ALL_PASSED, is_trial=is_trial), [0.0]
        await close_month(office, operator(), order, lambda part, _calls, parts=parts: parts.append(part))
        assert parts == sorted(parts)
        assert parts[-1] > 0.9
        steps = [after - before for before, after in pairwise(parts) if before >= 0.5]
        assert len(steps) >= 30
        assert max(steps) < 0.2


async def test_minimums_and_the_close_of_the_ledger_are_seen_in_the_progress(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were silent, minutes with many accounts."""
    await prepare(database, tmp_path)
    monkeypatch.setattr("vosd.storage.checkpoints._ACCOUNTS_AT_ONCE", 1)
    more = [account(name, minimum_consumption=Decimal(1)) for name in "abcdefgh"]
    office = office_on(database, *ACCOUNTS, *more, now=NOW, socket=tmp_path / "vosd.sock")
    parts: list[float] = []
    await close_month(office, operator(), ALL_PASSED, lambda part, _calls: parts.append(part))
    assert parts == sorted(parts)
    assert len([part for part in parts if 0.5 < part < 0.55]) >= 7  # minimums of accounts
    assert len([part for part in parts if 0.55 < part < 0.6]) >= 1  # checkpoints of accounts with entries
    parts.clear()
    await close_period(office, operator(), ClosePeriod(NOW), lambda part, _calls: parts.append(part))
    assert parts == sorted(parts)
    assert (len([part for part in parts if part > 0.8]) >= 2, parts[-1]) == (True, 1)


async def test_an_account_that_ended_is_invoiced_by_its_cycle_though_no_other_has_it(
    database: Database, tmp_path: Path
) -> None:
    office = office_on(database, *ACCOUNTS, now=NOW, socket=tmp_path / "vosd.sock")
    gone = msgspec.structs.replace(account("gone"), invoice=InvoiceTerms(cycle=InvoiceCycle.HALF_MONTH))
    bodies = (1, msgspec.json.encode(gone).decode(), SEPTEMBER), (2, None, OCTOBER)
    name = {"kind": "accounts", "name": "gone", "operator": "ann"}
    versions = [ObjectVersion(**name, version=each, body=body, begins_at=at, made_at=at) for each, body, at in bodies]
    await office.stores.objects.add(versions)
    await office.stores.books.book([answered_call(1, **TERMS | {"customer_account": "gone"})])
    while await office.stores.traffic.advance() or await office.stores.traffic.close_day(NOW + 30 * DAY):
        pass
    page = (await close(office)).page
    assert page is not None
    assert [(each.invoices, each.gross) for each in page.invoices] == [(1, "0.60")]
    (issued,) = await list_invoices(office, operator(), ListInvoices(account="gone"))
    assert (issued.period, issued.gross) == ("2026-09-H2", "0.60")


async def test_calls_of_two_agents_are_invoiced_by_shorter_periods_before_the_close(office: Office) -> None:
    plain = answered_call(DAY, **TERMS)
    (pays,) = [each for each in plain.charges if each.role == "customer"]
    sold = msgspec.structs.replace(pays, account="south", role="agent", level=1)
    paid = msgspec.structs.replace(plain.postings[0], account="south", reference=f"{plain.call_id}/agent-1")
    charged = msgspec.structs.replace(plain, charges=(*plain.charges, sold), postings=(*plain.postings, paid))
    await office.stores.books.book([charged])
    while await office.stores.traffic.advance() or await office.stores.traffic.close_day(NOW + 30 * DAY):
        pass
    with pytest.raises(MonthOpenError) as refused:
        await close(office)
    remedy = "vosd invoice run --account acme, with shorter periods than 2026-09 in their order"
    assert str(refused.value).endswith(f"({remedy})")
    for day in ("2026-09-21", "2026-09-22"):
        await run_invoices(office, operator(), RunInvoices(period=day, accounts=("acme",)))
    assert (await close(office)).closed


async def test_a_month_is_closed_once_whatever_comes_later(office: Office) -> None:
    made = await close(office)
    await office.stores.books.book([answered_call(99, **TERMS)])
    directory = Path(made.directory or "")
    (directory / "month.md").unlink()
    again = await close(office)
    assert (again.repeated, again.page) == (True, made.page)
    assert (directory / "month.md").is_file()
    lines = await list_audit(office, operator(), ListAudit())
    assert [each.action for each in lines] == ["CloseMonth", "RunInvoices", "ClosePeriod", "BookMinimums"]


async def test_a_page_of_an_earlier_version_is_written_again_as_it_was(office: Office, database: Database) -> None:
    made = await close(office)
    directory, page = Path(made.directory or ""), msgspec.to_builtins(made.page)
    del page["formulas_neutralised"], page["invoice_periods"], page["minimums_not_begun"], page["minimums_unknown"]
    text = re.sub(r"A cell .* apostrophe .*\n\n", "", (directory / "month.md").read_text())
    async with database.writing() as connection:
        await connection.execute(update(schema.month_close).values(page=msgspec.json.encode(page).decode()))
    again = await close(office)
    assert "apostrophe" not in text
    assert (directory / "month.md").read_text() == text
    assert (directory / "month.json").read_bytes() == msgspec.json.format(msgspec.json.encode(page))
    check_digests(again)


async def test_invoices_that_are_issued_after_the_close_of_their_month_are_on_the_next_page(office: Office) -> None:
    first = await close(office)
    (issued,) = await list_invoices(office, operator(), ListInvoices(account="acme"))
    later = Office(office.definitions, lambda: office.stores, lambda: office.switch, lambda: NOW + 5 * DAY)
    await cancel_invoice(later, operator(), CancelInvoice(id=issued.id))
    await run_invoices(later, operator(), RunInvoices(period="2026-09"))
    while await office.stores.traffic.advance() or await office.stores.traffic.close_day(NOW + 60 * DAY):
        pass
    november = Office(office.definitions, lambda: office.stores, lambda: office.switch, lambda: NOW + 31 * DAY)
    second = await close(november, month=Month(2026, 10))
    assert first.page is not None
    assert second.page is not None
    counted = [[(each.invoices, each.credit_notes) for each in page.invoices] for page in (first.page, second.page)]
    assert counted == [[(1, 0)], [(2, 1)]]
    assert second.page.invoice_periods == ("2026-09", "2026-10")
    pages = [rows_of(Path(each.directory or "") / "invoices.csv") for each in (first, second)]
    listed = await list_invoices(november, operator(), ListInvoices())
    names = pages[0][0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for page in pages for line in page[1:]]
    assert sorted((row["issuer"], row["number"], row["period"]) for row in rows) == sorted(
        (each.issuer, each.number or "", each.period) for each in listed
    )


async def test_closes_of_one_month_at_once_make_one_page(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second has asked whether the month is closed before the first closes it."""
    missing, orders = MonthChecks.missing, [close(office), close(later(office, 1))]

    async def checked(self: MonthChecks) -> list[MissingOfMonth]:
        found = await missing(self)
        if orders:
            made.append(await orders.pop())
        return found

    made: list[ClosedMonthSheet] = []
    monkeypatch.setattr(MonthChecks, "missing", checked)
    second = await orders.pop(0)
    assert [(each.closed, each.repeated) for each in (*made, second)] == [(True, False), (True, True)]
    assert second.page == made[0].page
    check_digests(second)


async def test_a_close_is_refused_while_another_writes_the_files_of_the_month(office: Office) -> None:
    directory = office.definitions.settings.state_dir / DIRECTORY_OF_MONTHS / str(MONTH)
    archive = MonthArchive(office.stores, directory, str(MONTH), SEPTEMBER, OCTOBER)
    with archive.opened(), pytest.raises(ExportBlocked, match="another run"):
        await close(office)
    assert await office.stores.checkpoints.closed_until() is None


async def test_files_of_a_month_that_another_machine_has_closed_since_are_those_of_its_page(
    office: Office, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = office_on(database, *ACCOUNTS, now=NOW, socket=tmp_path / "other" / "vosd.sock")
    made: list[ClosedMonthSheet] = []
    add = SqlMonthCloses.add

    async def added(self: SqlMonthCloses, *close_of_it: Any) -> StoredMonthClose:
        monkeypatch.undo()
        await make_again(later(elsewhere, 5), "acme")
        made.append(await close(later(elsewhere, 6)))
        return await add(self, *close_of_it)

    monkeypatch.setattr(SqlMonthCloses, "add", added)
    second = await close(office)
    assert (second.repeated, second.page) == (True, made[0].page)
    assert second.directory != made[0].directory
    for each in (made[0], second):
        check_digests(each)


def check_digests(made: ClosedMonthSheet) -> None:
    directory = Path(made.directory or "")
    for line in (directory / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert (name, hashlib.sha256((directory / name).read_bytes()).hexdigest()) == (name, digest)


def later(office: Office, days: int) -> Office:
    return Office(office.definitions, lambda: office.stores, lambda: office.switch, lambda: NOW + days * DAY)


async def make_again(office: Office, name: str) -> None:
    listed = await list_invoices(office, operator(), ListInvoices(account=name))
    issued = max((each for each in listed if not each.cancels), key=lambda each: each.id)
    await cancel_invoice(office, operator(), CancelInvoice(id=issued.id))
    await run_invoices(office, operator(), RunInvoices(period=issued.period))


async def check_each_document_is_on_one_page(office: Office, pages: list[ClosedMonthSheet]) -> None:
    found = [rows_of(Path(each.directory or "") / "invoices.csv") for each in pages]
    names = found[0][0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for page in found for line in page[1:]]
    listed = await list_invoices(office, operator(), ListInvoices())
    assert sorted((row["issuer"], row["number"]) for row in rows) == sorted(
        (each.issuer, each.number or "") for each in listed
    )


@pytest.mark.parametrize(
    ("database_url", "months"),
    [("sqlite", (11, 10)), pytest.param("mariadb", (11, 12, 10), marks=pytest.mark.mariadb)],
    indirect=["database_url"],
)
async def test_each_document_is_on_one_page_in_whatever_order_months_are_closed(
    office: Office, months: tuple[int, ...]
) -> None:
    pages = [await close(office)]
    await make_again(later(office, 5), "acme")
    await run_invoices(later(office, 31), operator(), RunInvoices(period="2026-10"))
    while await office.stores.traffic.advance() or await office.stores.traffic.close_day(NOW + 170 * DAY):
        pass
    for index, month in enumerate(months):
        pages.append(await close(later(office, 100 + 2 * index), month=Month(2026, month)))
        await make_again(later(office, 101 + 2 * index), "acme")
    pages.append(await close(later(office, 150), month=Month(2027, 1)))
    await check_each_document_is_on_one_page(office, pages)


@pytest.mark.parametrize(
    ("database_url", "closed"),
    [  # the page that has a document is chosen among all that are read, whatever they are read from
        ("sqlite", ((10, "UTC"), (11, "UTC"), (12, "UTC"), (9, "UTC"))),
        ("sqlite", ((9, "UTC"), (10, "Asia/Shanghai"), (11, "Asia/Shanghai"))),
        pytest.param("mariadb", ((10, "UTC"), (11, "UTC"), (9, "Asia/Shanghai")), marks=pytest.mark.mariadb),
    ],
    indirect=["database_url"],
)
async def test_late_documents_of_a_month_are_on_one_page_where_it_is_closed_last_or_its_bounds_have_moved(
    database: Database, tmp_path: Path, closed: tuple[tuple[int, str], ...]
) -> None:
    await prepare(database, tmp_path)
    office = office_on(database, *ACCOUNTS, account("zeta"), now=NOW, socket=tmp_path / "vosd.sock")
    await office.stores.books.book([answered_call(50, **{**TERMS, "customer_account": "zeta"})])
    await run_invoices(office, operator(), RunInvoices(period="2026-09"))
    while await office.stores.traffic.advance() or await office.stores.traffic.close_day(NOW + 170 * DAY):
        pass
    pages, settings = [], office.definitions.settings
    for index, (month, zone) in enumerate(closed):
        office.definitions.settings = replace(settings, invoices=replace(settings.invoices, zone=zone))  # type: ignore[misc]
        pages.append(await close(later(office, 100 + 2 * index), month=Month(2026, month)))
        await make_again(later(office, 101 + 2 * index), "zeta")
    pages.append(await close(later(office, 150), month=Month(2027, 1)))
    await check_each_document_is_on_one_page(office, pages)


async def test_an_entry_that_is_booked_after_the_close_is_in_the_next_month(office: Office) -> None:
    await close(office)
    await office.stores.books.book([answered_call(99, **TERMS)])
    counted = [
        [entry.reference async for page in office.stores.ledger.counted(since, until) for entry in page]
        for since, until in ((SEPTEMBER, OCTOBER), (OCTOBER, OCTOBER + 31 * DAY))
    ]
    assert [len(each) for each in counted] == [12, 4]  # the minimum, booked behind a call of October, is of September
    assert {*counted[0]}.isdisjoint(counted[1])


def test_a_close_that_is_killed_at_any_step_and_repeated_leaves_the_same(tmp_path: Path) -> None:
    """It is killed before each commit, and before each file appears."""
    before = tmp_path / "before.db"
    asyncio.run(_with(Database(migrated(before)), lambda database: prepare(database, tmp_path)))
    file = tmp_path / "vosd.db"
    database = Database(f"sqlite+aiosqlite:///{file}")
    copy_database(before, file)
    whole, _ = closed(database, tmp_path / "0", 0)
    number, is_dead = 0, True
    while is_dead:
        number += 1
        copy_database(before, file)
        found, is_dead = closed(database, tmp_path / f"{number}", number)
        assert found == whole, number
    assert number > 8


def closed(database: Database, directory: Path, number: int) -> tuple[object, bool]:
    """Close a month, which is killed at a step unless it is 0, and repeat it; return what is left, and whether."""
    directory.mkdir()
    is_dead = number > 0 and is_killed(lambda: _dying(database, directory, Steps(number)))
    return asyncio.run(_with(database, lambda database: _repeated(database, directory))), is_dead


def _dying(database: Database, directory: Path, steps: Steps) -> int:
    replace = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        steps.step()
        return replace(self, target)

    async def act(database: Database) -> ClosedMonthSheet:
        event.listen(database.engine.sync_engine, "commit", lambda _connection: steps.step())
        return await close(_office(database, directory))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", replaced)
        asyncio.run(_with(database, act))
    return 0


async def _repeated(database: Database, directory: Path) -> object:
    office = _office(database, directory)
    left = Path((await close(office)).directory or "")
    lines = await list_audit(office, operator(), ListAudit())
    return files_of(left), [each.action for each in lines], await closed_of(database, "acme")


def files_of(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir() if not file.name.startswith(".")}


def _office(database: Database, directory: Path) -> Office:
    return office_on(database, *ACCOUNTS, now=NOW, socket=directory / "vosd.sock")


async def _with(database, act):
    try:
        return await act(database)
    finally:
        await database.close()
