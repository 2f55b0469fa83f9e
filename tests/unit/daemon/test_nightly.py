"""Once a night the books are verified and minimums booked; what differs or was not done is an alarm."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from doubles import forked_child
from doubles.data.records import answered_call
from doubles.migrated import migrated
from doubles.office import office_on, operator
from doubles.turns import turns
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.admin.office.invoice_run import RunInvoices, run_invoices
from vosd.admin.office.minimum import MinimumOutcome, MinimumSheet
from vosd.admin.office.overdue import OverdueAccount, lock_overdue
from vosd.base.secret import Secret
from vosd.billing.accounts import Account, AccountType
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.control.client import RunningSwitch
from vosd.daemon import daily, nightly, retention
from vosd.daemon.nightly import DailyParts, NightlyPart, month_before
from vosd.daemon.nightly_process import THE_SWITCH, NightlyOutcome, work_of_the_night
from vosd.engine.kept_file import KeptFile
from vosd.engine.settings import InvoiceSettings, NightlySettings, Settings
from vosd.engine.steady_clock import SETTLED_MS
from vosd.obs.alarms import KINDS
from vosd.obs.events import BACK, GONE, Event
from vosd.sip.settings import SipSettings
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.stored_objects import SqlObjects
from vosd.storage.stores import SqlStores

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("moment", "zone", "month"),
    [
        ("2026-11-01T04:30:00Z", UTC, "2026-10"),
        ("2026-11-07T04:30:00Z", UTC, "2026-10"),
        ("2026-11-08T04:30:00Z", UTC, "None"),
        ("2026-10-31T23:30:00Z", BERLIN, "2026-10"),
        ("2027-01-02T04:30:00Z", UTC, "2026-12"),
    ],
)
def test_the_minimum_of_a_month_is_booked_in_the_first_nights_of_the_next(moment, zone, month):
    assert str(month_before(at(moment), zone)) == month


def test_the_months_of_minimums_are_those_of_invoices(tmp_path):
    now = at("2026-10-31T23:30:00Z")
    assert part_of(tmp_path, zone=BERLIN).order(now).month == ""
    order = part_of(tmp_path, "Europe/Berlin", zone=UTC).order(now)
    assert (order.month, order.zone) == ("2026-10", "Europe/Berlin")


@pytest.mark.parametrize("is_reloaded", [False, True])
@pytest.mark.parametrize(
    ("last", "month"), [("2026-09-28", "2026-10"), ("2026-10-31", "2026-10"), ("2026-11-01", ""), ("2026-11-19", "")]
)
async def test_the_first_night_behind_a_stop_over_all_days_of_minimums_books_them(
    tmp_path, monkeypatch, last, month, is_reloaded
):
    monkeypatch.setattr(daily, "LOOK_S", 0)
    clock = ManualClock(wall=at(f"{last}T04:30:00Z"))
    KeptFile(tmp_path / "nightly.json", int, "last_run").write(clock.now().wall)
    clock.set_wall(at("2026-11-20T12:00:00Z") - clock.now().wall)
    part = part_of(tmp_path, clock=clock, at_s=16_200, zone=UTC)
    orders = []

    async def note(_process, order, _kind):
        orders.append(order.month)
        return NightlyOutcome()

    monkeypatch.setattr(nightly, "answer_of", note)
    await part.begin()
    if is_reloaded:
        await part.adjust(NightlySettings(at_s=16_200, zone=UTC, verify=False), InvoiceSettings())
    clock.move_to(clock.now().mono + SETTLED_MS)
    await turns(4)
    clock.move_to(clock.now().mono + 86_400_000)
    await turns(4)
    await part.end()
    assert orders == [month, ""]


@pytest.fixture
def forked(monkeypatch):
    """Fork the process of the night in place of executing it, which takes half a second."""
    monkeypatch.setattr(daily, "started", forked_child.started)


@pytest.fixture
def booked(tmp_path):
    """A database with a call of September."""
    url = migrated(tmp_path / "vosd.db")

    async def book():
        database = Database(url)
        await SqlBooks(database).book([answered_call(1, customer_account="acme", vendor_account="carrier")])
        await database.close()

    asyncio.run(book())


def part_of(tmp_path, invoices_zone="UTC", least=Decimal(50), clock=None, **settings):
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD", minimum_consumption=least)
    installation = SimpleNamespace(
        database_url=Secret(f"sqlite+aiosqlite:///{tmp_path}/vosd.db"),
        state_dir=tmp_path,
        control_socket=tmp_path / "vosd.sock",
        nightly=NightlySettings(**settings),
        invoices=InvoiceSettings(lock_after_days=3, zone=invoices_zone),
    )
    return NightlyPart(installation, clock or ManualClock(), lambda: SimpleNamespace(accounts={"acme": account}))


async def log_of(part):
    with capture_logs() as log:
        await part.run(at("2026-10-01T04:30:00Z"))
    return {line["event"]: line for line in log}


async def test_the_books_are_verified_and_the_minimum_is_booked_once(tmp_path, booked, forked):
    part = part_of(tmp_path)
    found = await log_of(part)
    assert {"ledger_agrees", "nightly_done", "minimum_booked", "invoices_paid"} == found.keys()
    booked = found["minimum_booked"]
    assert (booked["account"], booked["month"], booked["charged"]) == ("acme", "2026-09", "49.987655")
    assert "minimum_booked" not in await log_of(part)
    with closing(sqlite3.connect(tmp_path / "vosd.db")) as books, books:
        rows = books.execute("SELECT reference, operator FROM ledger_entry WHERE kind = 'minimum'").fetchall()
        lines = books.execute("SELECT principal, role, means, action, subject FROM audit").fetchall()
    assert rows == [("minimum/2026-09", "the switch")]
    assert lines == [("the switch", "program", "switch", "BookMinimums", "acme")]


async def define(tmp_path, before, after):
    """Define acme in the database, with other keys since the night that books September."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/vosd.db")
    bodies = {1: before, 2: after}
    begins = {1: at("2026-08-01"), 2: at("2026-10-01T02:00:00Z")}
    terms = {"kind": "accounts", "name": "acme", "made_at": 0, "operator": "ann"}
    versions = [ObjectVersion(version=each, body=bodies[each], begins_at=begins[each], **terms) for each in bodies]
    await SqlObjects(database).add(versions)
    await database.close()


async def test_a_minimum_that_was_removed_after_the_end_of_the_month_is_booked(tmp_path, booked, forked):
    await define(tmp_path, '{"minimum_consumption": "50"}', "{}")
    booked = (await log_of(part_of(tmp_path, least=None)))["minimum_booked"]
    assert (booked["account"], booked["minimum"], booked["charged"]) == ("acme", "50.00", "49.987655")


async def test_accounts_whose_minimum_of_the_month_is_not_known_are_named(tmp_path, booked, forked):
    await define(tmp_path, '{"minimum_consumption": "${LEAST}"}', '{"minimum_consumption": "50"}')
    found = await log_of(part_of(tmp_path))
    assert "minimum_booked" not in found
    line = found["minimum_not_begun"]
    assert (line["month"], line["count"], line["accounts"]) == ("2026-09", 1, "acme")


async def test_accounts_without_a_minimum_because_they_were_opened_later_are_named(tmp_path, forked):
    migrated(tmp_path / "vosd.db")
    found = await log_of(part_of(tmp_path))
    line = found["minimum_not_begun"]
    assert (line["month"], line["count"], line["accounts"]) == ("2026-09", 1, "acme")


async def test_differences_are_an_alarm_until_a_night_finds_none(tmp_path, booked, forked):
    part = part_of(tmp_path, minimum=False, invoices=False)
    for statement, event in (("+ 1", "ledger_differs"), ("- 1", "ledger_agrees")):
        with closing(sqlite3.connect(tmp_path / "vosd.db")) as books, books:
            books.execute(f"UPDATE account SET balance = balance {statement} WHERE id = 'acme'")
        found = await log_of(part)
        assert event in found
        assert len(found) == 2
    assert BACK[Event.LEDGER_DIFFERS] is Event.LEDGER_AGREES
    assert {Event.LEDGER_DIFFERS, Event.NIGHTLY_FAILED} <= KINDS.keys()


async def test_overdue_invoices_are_an_alarm_and_lock_their_account_until_they_are_paid(tmp_path, booked):
    url = f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
    database = Database(url)
    office = office_on(
        database, Account("acme", AccountType.DIRECT, None, Decimal(0), "USD"), now=at("2026-10-02T00:00:00Z")
    )
    (made,) = await run_invoices(office, operator(), RunInvoices(period="2026-09"))
    now, part = at("2026-10-16T04:00:00Z"), part_of(tmp_path, minimum=False, verify=False)
    blocked = []
    for days, paid in ((0, False), (1, False), (3, False), (1, True), (1, True)):
        now += days * 86_400_000
        if paid:
            await SqlPayments(database).add(
                Payment(account="acme", kind=EntryKind.PAYMENT, reference="r", made_at=1, amount=Decimal(1))
            )
        with capture_logs() as log:
            await part.report(await work_of_the_night(part.order(now)), ["invoices"])
        found = {line["event"]: line for line in log}
        overrides = (await SqlStores(database).overrides.load()).named(Target.ACCOUNT, Setting.BLOCKED)
        blocked.append((sorted(found.keys() - {"nightly_done"}), [each.memo for each in overrides.values()]))
    assert blocked == [
        (["invoices_paid"], []),
        (["invoices_overdue"], []),
        (["account_locked", "invoices_overdue"], [f"overdue invoice {made.number}"]),
        (["account_opened", "invoices_paid"], []),
        (["invoices_paid"], []),
    ]
    assert found["invoices_paid"]["log_level"] == "info"
    assert BACK[Event.INVOICES_OVERDUE] is Event.INVOICES_PAID
    await database.close()


async def test_blocks_end_once_no_night_looks_for_overdue_invoices(tmp_path):
    database = Database(migrated(tmp_path / "vosd.db"))
    stores = SqlStores(database)
    now = at("2026-10-16T04:00:00Z")
    owing = OverdueAccount("acme", "2026-000001", at("2026-10-01"), 1, Decimal(9), "USD")
    switch = RunningSwitch(tmp_path / "vosd.sock")
    assert (await lock_overdue(stores, switch, THE_SWITCH, [owing], 3, now, BERLIN))[0] == ["acme"]
    part = part_of(tmp_path, minimum=False, verify=False, invoices=False)
    order = part.order(now + 86_400_000)
    with capture_logs() as log:
        await part.report(await work_of_the_night(order), order.works)
    assert [(line["event"], line["account"], line["why"]) for line in log] == [
        ("account_opened", "acme", "nightly.invoices is off")
    ]
    assert not (await stores.overrides.load()).named(Target.ACCOUNT, Setting.BLOCKED)
    await database.close()


async def test_the_lines_of_many_accounts_are_written_a_part_at_a_time(tmp_path):
    """Calls of the switch go on meanwhile."""
    outcome = NightlyOutcome(locked=tuple(map(str, range(1_000))), opened=tuple(map(str, range(1_000))))
    written, turns = [], []
    with capture_logs() as log:
        reported = asyncio.create_task(part_of(tmp_path).report(outcome, ["invoices"]))
        while not reported.done():
            turns.append(len(log) - len(written))
            written = [*log]
            await asyncio.sleep(0)
    assert [len(log), max(turns) < 110] == [2_002, True]


@pytest.mark.parametrize(
    ("night", "zone", "advice"),
    [
        ("2026-10-06T00:30:00Z", "UTC", ": the next night tries again"),
        ("2026-10-07T00:30:00Z", "UTC", "--month 2026-09"),
        ("2021-11-07T00:30:00-04:00", "America/New_York", "--month 2026-09"),  # a day of 25 hours
    ],
)
async def test_the_last_night_that_books_minimums_says_that_those_which_wait_are_booked_by_hand(
    tmp_path, monkeypatch, night, zone, advice
):
    waiting = MinimumSheet("acme", "2026-09", "50.00", "1.00", "0.00", MinimumOutcome.WAITING.value)

    async def answer(*_arguments):
        return NightlyOutcome(sheets=(waiting,))

    monkeypatch.setattr(nightly, "answer_of", answer)
    part = part_of(tmp_path, zone, at_s=1_800, zone=ZoneInfo(zone), verify=False, invoices=False)
    with capture_logs() as log:
        await part.run(at(night))
    (line,) = log
    assert (line["event"], line["work"]) == ("nightly_failed", "minimum")
    assert line["why"].startswith("calls of 1 accounts are not booked yet (acme)")
    assert line["why"].endswith(advice)


async def test_the_end_of_a_block_says_whether_the_account_has_paid(tmp_path):
    owing = OverdueAccount("acme", "2026-000001", at("2026-10-01"), 1, Decimal(9), "USD")
    with capture_logs() as log:
        await part_of(tmp_path).report(NightlyOutcome(overdue=(owing,), opened=("acme", "shop")), ["invoices"])
    assert {line["account"]: line["why"] for line in log if line["event"] == "account_opened"} == {
        "acme": "invoices.lock_after_days is another one",
        "shop": "its overdue invoices are paid",
    }


async def test_work_that_is_not_done_is_an_alarm_and_goes_when_it_is_not_wanted_any_more(tmp_path):
    part = part_of(tmp_path, at_s=0)
    with capture_logs() as log:
        await part.report(NightlyOutcome(failed={"minimum": "no database"}), ["verify", "minimum"])
        await part.begin()
        await part.adjust(NightlySettings(at_s=5, minimum=False), InvoiceSettings())
        await part.end()
    shown = [(line["event"], line.get("work"), line.get("why", "")) for line in log]
    assert shown[:3] == [
        ("nightly_done", "verify", ""),
        ("nightly_failed", "minimum", "no database"),
        ("ledger_agrees", None, ""),
    ]
    assert shown[3:] == [("nightly_done", "minimum", GONE)]


async def test_alarms_of_an_earlier_run_go_with_their_work(tmp_path):
    part = part_of(tmp_path, at_s=0)
    with capture_logs() as log:
        await part.begin()
        await part.adjust(NightlySettings(at_s=None), InvoiceSettings())
        await part.end()
    assert {line["event"] for line in log if line["why"] == GONE} == {"nightly_done", "ledger_agrees", "invoices_paid"}


async def test_another_password_of_the_database_is_used_by_the_next_work(monkeypatch):
    before, after = (Secret(f"mysql+aiomysql://vosd:{password}@db/vosd") for password in ("old", "new"))
    settings = Settings("sw1", SipSettings(), (), (), before, Path(), Path())
    given = []

    async def note(_process, order, _kind):
        given.append(order.url)
        raise EOFError

    monkeypatch.setattr(retention, "answer_of", note)
    parts = DailyParts(settings, ManualClock(), lambda: SimpleNamespace(accounts={}))
    await parts.adjust(replace(settings, database_url=after))
    await parts._retention.run(0)
    given.append(parts._nightly.order(0).url)
    assert given == [after.reveal()] * 2
