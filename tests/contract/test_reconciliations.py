"""A vendor's file against the calls of a database: imported once, explained, disputed."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from doubles.collisions import LOCKED, colliding
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, routing_gateway
from doubles.data.records import STARTED, refused_call, rejected
from doubles.dying import Steps, is_killed
from doubles.ended_calls import ended_call
from doubles.fake_switch import FakeSwitch
from doubles.ledger_entries import entries_of
from doubles.office import office_on, operator
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import ANSWER, RINGS, SILENT, Line, Script, answers, refuses
from sqlalchemy import event, insert, update

from vosd.admin import bill_comparison
from vosd.admin.bill_comparison import sent_call
from vosd.admin.foreign_calls import ForeignLayout
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.bill_disputes import DisputeBill, dispute_bill
from vosd.admin.office.bill_import import ImportBill, NoUsableRowError, import_bill
from vosd.admin.office.office import Office, PermissionLackingError
from vosd.admin.office.payments import (
    BookPayment,
    ConfirmPayment,
    MoveMoney,
    PaymentType,
    Receipts,
    RefusePayment,
    UndoPayment,
    WaitingSheet,
    book_payment,
    confirm_payment,
    move_money,
    refuse_payment,
    undo_payment,
)
from vosd.admin.office.principal import ALL, OrderError, Permission
from vosd.admin.office.reconciliations import (
    ListReconciliations,
    NoDisputeError,
    ReadDifferences,
    ReconciliationSheet,
    ShowReconciliation,
    WriteLetter,
    list_reconciliations,
    read_differences,
    show_reconciliation,
    write_letter,
)
from vosd.admin.shadow_rating import CdrMap, RatedSide
from vosd.base.ids import uuid7
from vosd.base.money import format_amount
from vosd.billing.accounts import AccountType
from vosd.billing.rater import rate_call
from vosd.catalogue.problems import ConfigError
from vosd.cdr.columns import iso_utc
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import CUSTOMER as PAYER, VENDOR, Attempt, CallRecord
from vosd.cdr.retention import DroppedPeriod, RecordKind
from vosd.clearing.calls import BillClass
from vosd.control.calls import CallSnapshot, ListCalls
from vosd.control.money import CountRefused, CountUnbooked
from vosd.engine.journal import Journal
from vosd.engine.journal.quarantine import DIRECTORY, Quarantine
from vosd.storage import reconciliations, schema
from vosd.storage.audit_line import AuditLine, RequestKey
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database import Database
from vosd.storage.disputes import DisputeMovedError, DisputeState, StoredDispute
from vosd.storage.dropped import note_dropped
from vosd.storage.ledger_values import LedgerEntry
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment, Receipt, ReferenceTaken
from vosd.storage.reconciliations import NoSuchReconciliationError, SqlReconciliations, StoredReconciliation, VendorCall

NOW = STARTED + 86_400_000
BUY = applied_rate("0.0123", prefix="44")
MAP = """
columns: {callee: number, start: start, duration: seconds, price: price, caller: from}
strip_ours: "99"
"""
HELD_MS = (61_500, 30_200, 12_000, 600_100, 5_000, 90_000, 44_000)


def call(index: int) -> CallRecord:
    record = ended_call(index, applied_rate("0.60"), BUY, held_ms=HELD_MS[index])
    began, ended = record.started_at + 10_000 * index, record.ended_at + 10_000 * index
    moved = {"started_at": began, "vendor_answered_at": ended - HELD_MS[index], "ended_at": ended}
    return msgspec.structs.replace(record, vendor_account="carrier", callee_out=f"99{record.callee_billing}", **moved)


CALLS = [call(index) for index in range(len(HELD_MS))]


def row(record: CallRecord, *, unit: int = 1, extra_ms: int = 0, rate: str = "0.0123", late_ms: int = 400) -> list[str]:
    assert record.vendor_answered_at is not None
    ms = record.ended_at - record.vendor_answered_at + extra_ms
    price = rate_call(applied_rate(rate, unit), ms).fee
    start = iso_utc(record.vendor_answered_at + late_ms)
    return [f"+{record.callee_billing}", start, str(Decimal(ms) / 1_000), str(price), f"00{record.caller_out}"]


class Site:
    """The office, and a directory for files of the vendor."""

    def __init__(self, office: Office, directory: Path) -> None:
        self.office, self.directory = office, directory

    def order(self, rows: list[list[str]], name: str = "october.csv", map_text: str = MAP, **more: Any) -> ImportBill:
        (self.directory / "map.yaml").write_text(map_text)
        lines = ["number,start,seconds,price,from", *(",".join(each) for each in rows)]
        (self.directory / name).write_text("\n".join(lines) + "\n")
        files = {"file": str(self.directory / name), "map": str(self.directory / "map.yaml")}
        return ImportBill(**{"account": "carrier", **files, **more})

    async def imported(self, *args: Any, **more: Any) -> ReconciliationSheet:
        return await import_bill(self.office, operator(), self.order(*args, **more), lambda _part, _count: None)

    async def differing(self, number: int, result: BillClass | None = None) -> list[dict[str, str]]:
        order = ReadDifferences(id=number, result=result)
        text = "".join([part async for part in read_differences(self.office, operator(), order)])
        return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
async def site(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(reconciliations, "CALLS_AT_ONCE", 3)
    await SqlBooks(database).book(CALLS)
    vendor = account("carrier", type=AccountType.CLEARING)
    return Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)


def faulty() -> list[list[str]]:
    """Return the file: two calls agree, one each has another unit, duration and rate, and each side lacks one."""
    agreed, unit, lacking, longer, dearer, _ = CALLS[:6]
    unknown = ["+447700900999", iso_utc(lacking.started_at), "60", "0.0123", ""]
    attempt = ["+447700900111", iso_utc(lacking.started_at), "0", "0", ""]
    return [
        row(CALLS[6]),
        row(dearer, rate="0.0147"),
        row(longer, extra_ms=60_000),
        row(unit, unit=60),
        row(agreed),
        unknown,
        attempt,
        row(CALLS[5]),
        ["+44", "soon", "1", "1", ""],
    ]


def classes(sheet: ReconciliationSheet) -> dict[tuple[str, str], tuple[int, str, str]]:
    found = sheet.comparison.classes
    return {(each.result.value, each.explanation): (each.calls, each.ours, each.theirs) for each in found}


async def test_a_file_is_compared_once_and_every_difference_has_its_class_and_money(site: Site) -> None:
    made = await site.imported(faulty())
    assert classes(made) == {
        ("matched", ""): (3, "0.04018", "0.04018"),
        ("missing_here", ""): (1, "0.00", "0.0123"),
        ("missing_there", ""): (1, "0.00246", "0.00"),
        ("duration_differs", "their duration"): (1, "0.123205", "0.135505"),
        ("unit_differs", "their unit is 60 s"): (1, "0.006355", "0.0123"),
        ("rate_differs", "price of 0.0147 a minute"): (1, "0.001025", "0.001225"),
    }
    compared = made.comparison
    assert (compared.rows, compared.bad_rows, compared.attempts) == (9, 1, 1)
    assert (compared.first_bad_rows[0].line, "soon" in compared.first_bad_rows[0].reason) == (10, True)
    assert made.difference == str(Decimal(made.theirs) - Decimal(made.ours))
    again = await site.imported(faulty(), name="the-same.csv")
    assert (again.id, again.repeated, again.file) == (made.id, True, "october.csv")
    assert [each.id for each in await list_reconciliations(site.office, operator(), ListReconciliations())] == [made.id]
    lines = await list_audit(site.office, operator(), ListAudit())
    assert [(each.action, each.subject) for each in lines] == [("ImportBill", "carrier")]


async def test_a_comparison_is_written_although_another_transaction_holds_rows(site: Site, database: Database) -> None:
    """It may have taken minutes."""
    with colliding(database, "INTO reconciliation_chunk", lambda before: before < 2, LOCKED) as begun:
        made = await site.imported(faulty())
    assert (len(begun), made.repeated) == (3, False)
    assert len(await site.differing(made.id)) == len(await site.differing((await site.imported(faulty())).id)) > 0


async def test_a_comparison_says_how_many_calls_of_its_time_are_not_booked(site: Site) -> None:
    """In the journal of a stopped switch, in quarantine, and of a switch that runs; the same file again counts anew."""
    late = CALLS[-1]
    missing = [
        msgspec.structs.replace(late, call_id=str(UUID(int=number)), **changes)
        for number, changes in enumerate(({}, {"vendor_account": "rival"}, {"started_at": CALLS[0].started_at - 1}), 1)
    ]
    span = {"since": CALLS[0].started_at, "until": late.started_at + 1}
    assert (await site.imported(faulty(), **span)).comparison.unbooked == 0
    journal = Journal(site.directory / "journal")
    journal.open()
    for each in missing:
        journal.ended(each)
    journal.flush()
    journal.close()
    assert (await site.imported(faulty(), **span)).comparison.unbooked == 0, "it was compared before"
    assert (await site.imported(faulty(), again=True, **span)).comparison.unbooked == 1
    Quarantine(site.directory / DIRECTORY).put(rejected("too long", missing[0]))
    assert (await site.imported(faulty(), again=True, **span)).comparison.unbooked == 2
    begun = iso_utc(late.started_at)
    calls = [
        CallSnapshot("a", "talking", "in", "out", "acme", vendor, "1", "2", begun, begun, 3, 3)
        for vendor in ("carrier", "rival")
    ]
    running = FakeSwitch(site.directory / "s").answers(ListCalls, calls).answers(CountUnbooked, 5)
    (site.directory / DIRECTORY).rename(site.directory / "closed")  # to members of the group of the switch
    async with running.answers(CountRefused, 1) as switch:
        made = await site.imported(faulty(), again=True, **span)
    asked = CountUnbooked(span["until"]), CountRefused("carrier", *span.values())
    assert (made.comparison.unbooked, switch.asked[-2:]) == (7, [*asked])


async def test_a_comparison_says_how_many_calls_had_their_cost_corrected_since(site: Site, database: Database) -> None:
    """A customer's fee is none of the vendor's; the vendor that bills the price of before is told that."""
    whole = [row(each) for each in CALLS]
    made = await site.imported(whole)
    assert (classes(made).keys(), made.corrected) == ({("matched", "")}, 0)
    cheaper = ChargeChange(VENDOR, 0, Amounts(CALLS[0].cost - Decimal("0.002"), Decimal(0), 62))
    goodwill = ChargeChange(PAYER, 0, Amounts(Decimal("0.10"), Decimal(0), 62))
    corrections = SqlCorrections(database)
    for number, change in ((0, cheaper), (0, goodwill), (1, goodwill)):
        correction = Correction(CALLS[number].call_id, (change,), f"ticket-{change.role}", "ann", "contract", NOW)
        await corrections.book([correction])
    order = ShowReconciliation(id=made.id)
    assert (await show_reconciliation(site.office, operator(), order)).corrected == 1
    again = await site.imported(whole, again=True)
    cost = CALLS[0].cost
    found = classes(again)["rate_differs", "our price before it was corrected"]
    assert (again.corrected, found) == (0, (1, format_amount(cost - Decimal("0.002")), format_amount(cost)))
    by_earlier_version = msgspec.json.encode(again.comparison).decode()
    for made_at, corrected in ((NOW - 1, 1), (NOW, 0)):
        async with database.writing() as connection:
            values = {"result": by_earlier_version, "made_at": made_at}
            await connection.execute(update(schema.reconciliation).values(**values))
        assert (await show_reconciliation(site.office, operator(), order)).corrected == corrected


async def test_times_without_seconds_are_noticed_and_match_by_a_greater_tolerance(site: Site) -> None:
    whole, span = [row(each) for each in CALLS], {"since": 0, "until": NOW}
    cut_off = [[number, f"{start[:17]}00Z", *others] for number, start, *others in whole]
    made = await site.imported(cut_off, **span)
    assert made.comparison.lacks_seconds
    again = await site.imported(cut_off, again=True, tolerance=60.0, **span)
    assert (set(classes(again)), again.comparison.lacks_seconds) == ({("matched", "")}, False)
    assert not (await site.imported(whole, name="whole.csv", **span)).comparison.lacks_seconds


async def test_calls_that_differ_are_not_read_of_two_comparisons(
    site: Site, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vosd.admin.bill_comparison.CHUNK", 1)
    made = await site.imported(faulty())
    parts = read_differences(site.office, operator(), ReadDifferences(id=made.id))
    await anext(parts), await anext(parts)
    await site.imported(faulty(), again=True, tolerance=0.0, duration_tolerance=600.0)
    async with database.writing() as connection:
        await connection.execute(update(schema.reconciliation).values(made_at=NOW + 1))
    with pytest.raises(NoSuchReconciliationError, match="was made again meanwhile"):
        await anext(parts)


@pytest.mark.parametrize("name", ["dropped_calls", "masked_calls"])
async def test_a_comparison_that_cannot_be_made_again_does_not_ask_for_it(
    site: Site, database: Database, name: str
) -> None:
    made = await site.imported([row(each) for each in CALLS])
    change = ChargeChange(VENDOR, 0, Amounts(CALLS[0].cost - Decimal("0.002"), Decimal(0), 62))
    await SqlCorrections(database).book([Correction(CALLS[0].call_id, (change,), "ticket", "ann", "contract", NOW)])
    order = ShowReconciliation(id=made.id)
    assert (await show_reconciliation(site.office, operator(), order)).corrected == 1
    async with database.writing() as connection:
        await connection.execute(insert(schema.counter).values(name=name, value=NOW))
    assert (await show_reconciliation(site.office, operator(), order)).corrected is None


async def test_a_late_answer_and_the_ringing_that_its_call_has_charged_are_one_call_of_the_vendor(
    database: Database, tmp_path: Path
) -> None:
    """With SS_STARTBILLINGTIME 1; the vendor bills the attempt once, from its INVITE."""
    whole = CALLS[3]
    ringing = msgspec.structs.replace(
        CALLS[2], answered_at=None, vendor_answered_at=None, end_reason="Cancelled", sip_call_id_out="out-1",
        started_at=whole.started_at, cost=Decimal("0.05"), cost_tax=Decimal(0), postings=(), charges=(),
        customer_account=None, vendor_billed_seconds=10,
    )  # fmt: skip
    late = msgspec.structs.replace(
        whole, sip_call_id_out="out-1", vendor_paid_ms=10_000, cost=whole.cost - ringing.cost,
        postings=(), charges=(), vendor_billed_seconds=whole.vendor_billed_seconds - 10,
    )  # fmt: skip
    await SqlBooks(database).book([ringing, late, CALLS[6]])
    vendor = account("carrier", type=AccountType.CLEARING)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    made = await site.imported([row(whole), row(CALLS[6])])
    cost = str(whole.cost + CALLS[6].cost)
    assert classes(made) == {("matched", ""): (2, cost, cost)}


MATCHED, LENGTH_DIFFERS = ("matched", ""), ("duration_differs", "their duration")


@pytest.mark.parametrize(
    ("of", "seconds", "found"),
    [("answer", "12.5", MATCHED), ("answer", "1", LENGTH_DIFFERS), ("invite", "12.5", MATCHED)],
)
async def test_a_late_answer_whose_whole_price_its_call_has_paid_is_found_in_the_bill(
    database: Database, tmp_path: Path, of: str, seconds: str, found: tuple[str, str]
) -> None:
    """By 60/60 the ringing has paid the minute, for which the vendor's bill has one row: nothing is to be disputed."""
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, account="carrier")],
        rate_groups=[rate_group("sell", applied_rate("6.00")), rate_group("buy", applied_rate("0.60", 60))],
        accounts=[account("acme", overdraft_limit=None), account("carrier", rate_group="buy", overdraft_limit=None)],
        charges_ringing=True,
    )
    scene = Scene(content)
    scene.whole_call(Intent(cancel_after_ms=10_000), script=Script((Line(0, 180),), accepts_cancel=False))
    scene.wire.run_for(1_500)
    answered = scene.wire.clock.now().wall
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(40_000)
    await SqlBooks(database).book(scene.exchange.sink.all_records)
    began = scene.exchange.sink.records[0].started_at
    vendor = account("carrier", type=AccountType.CLEARING)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    rows = [[f"+{CALLEE}", iso_utc(answered if of == "answer" else began), seconds, "0.60", ""]]
    made = await site.imported(rows, map_text=f"{MAP}start: {{of: {of}}}\n", since=began - 1_000, until=began + 60_000)
    assert (classes(made), Decimal(made.disputable)) == ({found: (1, "0.60", "0.60")}, 0)


async def test_comparisons_are_listed_page_by_page_to_the_oldest(site: Site) -> None:
    numbers = [(await site.imported([row(each)], name=f"{each.call_id}.csv")).id for each in CALLS[:5]]

    async def listed(**criteria: Any) -> list[int]:
        order = ListReconciliations(**criteria)
        found = await list_reconciliations(site.office, operator(), order)
        page = msgspec.structs.replace(order, limit=2)
        assert await list_reconciliations(site.office, operator(), page) == found[:2]
        return [each.id for each in found]

    assert await listed() == numbers[::-1]
    assert await listed(oldest_first=True) == numbers
    assert await listed(after=numbers[3]) == numbers[2::-1]
    assert await listed(account="carrier", operator="ann") == numbers[::-1]
    assert await listed(file=f"{CALLS[1].call_id}.csv") == [numbers[1]]
    assert [*await listed(account="acme"), *await listed(operator="bob"), *await listed(file="none")] == []


async def test_calls_that_differ_are_listed_with_both_sides(site: Site) -> None:
    made = await site.imported(faulty())
    found = await site.differing(made.id)
    assert len(found) == 5
    (unit,) = [each for each in found if each["result"] == "unit_differs"]
    assert (unit["line"], unit["our_billed_seconds"], unit["difference"]) == ("5", "31", "0.005945")
    assert (unit["call_id"], unit["rate_prefix"]) == (str(CALLS[1].call_id), "44")
    (lacking,) = await site.differing(made.id, BillClass.MISSING_THERE)
    assert (lacking["call_id"], lacking["line"], lacking["their_price"]) == (str(CALLS[2].call_id), "", "")


async def test_a_file_that_is_compared_again_takes_the_place_of_the_first_and_keeps_the_dispute(site: Site) -> None:
    made = await site.imported(faulty())
    await dispute_bill(site.office, operator(), DisputeBill(id=made.id))
    order = msgspec.structs.replace(site.order(faulty()), again=True, duration_tolerance=60.0)
    again = await import_bill(site.office, operator(), order, lambda _part, _count: None)
    assert (again.id, again.repeated, again.comparison.duration_tolerance) == (made.id, False, 60.0)
    assert again.dispute is not None
    assert len(await site.differing(made.id)) == 5


async def test_the_period_of_the_bill_says_which_calls_must_be_in_it(site: Site) -> None:
    until = (CALLS[3].vendor_answered_at or 0) + 1_000
    made = await site.imported([row(each) for each in CALLS[:5]], since=STARTED, until=until)
    assert classes(made)["missing_here", "outside of the period"][0] == 1
    assert ("missing_there", "") not in classes(made)
    everything = await site.imported([row(CALLS[0])], name="two.csv", since=0, until=NOW)
    assert classes(everything)["missing_there", ""][0] == len(CALLS) - 1


async def test_an_attempt_without_a_start_is_no_begin_of_the_period(site: Site) -> None:
    in_unix = f"{MAP}start: {{format: unix}}\n"
    rows = [row(each) for each in CALLS[5:]]
    for each in rows:
        each[1] = str(int(datetime.fromisoformat(each[1]).timestamp()))
    made = await site.imported([*rows, ["+447700900111", "0", "0", "0", ""]], map_text=in_unix)
    first = iso_utc(min(int(each[1]) for each in rows) * 1_000)
    assert (made.since, made.comparison.attempts) == (first, 1)
    assert [key for key in classes(made) if key[0] == "missing_there"] == []
    with pytest.raises(NoUsableRowError, match="none with a start"):
        await site.imported([["+447700900111", "0", "0", "0", ""]], name="attempts.csv", map_text=in_unix)


@pytest.mark.parametrize(("bound", "said"), [("since", "behind the last"), ("until", "not behind the first")])
async def test_a_period_that_has_no_call_of_the_file_on_its_side_is_refused(site: Site, bound: str, said: str) -> None:
    moment = {"since": NOW, "until": STARTED}[bound]
    with pytest.raises(OrderError, match=said):
        await site.imported([row(each) for each in CALLS], **{bound: moment})


async def test_prices_with_more_decimals_than_amounts_have_are_rounded_half_up(site: Site) -> None:
    by_spreadsheet, long = row(CALLS[0]), row(CALLS[1])
    by_spreadsheet[3], long[3] = f"{by_spreadsheet[3]}00000000001", f"{long[3]}005000"
    made = await site.imported([by_spreadsheet, long])
    ours = [CALLS[0].cost, CALLS[1].cost]
    assert made.theirs == format_amount(sum(ours, Decimal("0.00000001")))
    assert classes(made)["matched", ""] == (1, format_amount(ours[0]), format_amount(ours[0]))
    (differing,) = [each for each in await site.differing(made.id) if each["line"] == "3"]
    assert (differing["difference"], Decimal(differing["their_price"]) - ours[1]) == ("0.00000001", Decimal("1E-8"))


async def test_a_file_may_have_the_time_of_the_invite_and_billed_seconds_alone(site: Site) -> None:
    text = f"{MAP}start: {{of: invite}}\n".replace("price: price, ", "billed: price, ")
    rows = [[*row(each)[:1], iso_utc(each.started_at), "62", "62", ""] for each in CALLS[:1]]
    assert set(classes(await site.imported(rows, map_text=text))) == {("matched", "")}


BEGAN_MONO = ManualClock().now().mono
OTHER_VENDOR = vendor_gateway(0, account="other", failover_after_ringing=True, ring_timeout_ms=4_000)
SEVERAL_TRIED = {
    "a silent vendor before": ((SILENT, answers(after_ms=7_000)), {}),
    "a vendor before that rang": ((RINGS, answers(after_ms=7_000)), {}),
    "a late answer": ((answers(4_500)._replace(accepts_cancel=False), answers(after_ms=7_000)), {"is_late": True}),
    "ringing charged": ((RINGS, answers(after_ms=7_000)), {"charges_ringing": True}),
    "ringing charged, unanswered": ((RINGS, refuses(486, after_ms=9_000)), {"charges_ringing": True}),
}


@pytest.mark.parametrize("tried", SEVERAL_TRIED.values(), ids=SEVERAL_TRIED)
async def test_the_time_of_the_invite_is_that_of_the_invite_to_the_vendor_that_is_paid(
    database: Database, tried: tuple[tuple[Script, Script], dict[str, Any]]
) -> None:
    scripts, more = tried[0], dict(tried[1])
    billing = VENDORS[0] if more.pop("is_late", False) else VENDORS[1]
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), OTHER_VENDOR, vendor_gateway(1, account="carrier")]
    scene = Scene(catalogue(gateways, **more))
    for vendor, script in zip(scene.vendors, scripts, strict=False):
        vendor.script = script
    outgoing = scene.caller.call(CALLEE, Intent(hang_up_after_ms=30_000))
    scene.wire.run_until(lambda: outgoing.is_over, within_ms=100_000)
    scene.wire.run_for(40_000)
    await SqlBooks(database).book(scene.exchange.sink.all_records)
    account_of = "other" if billing == VENDORS[0] else "carrier"
    pages = SqlReconciliations(database).calls(account_of, 0, scene.wire.clock.now().wall)
    (call,) = [each async for page in pages for each in page]
    sent = next(each.sent_at for each in scene.wire.packets if each.target == billing and each.data[:6] == b"INVITE")
    at = STARTED - BEGAN_MONO + sent
    ours = sent_call(call, CdrMap(ForeignLayout("", "", ""), RatedSide.BUY, includes_tax=False, starts_at_invite=True))
    assert (ours.at, ours.at + ours.from_invite_ms) == (pytest.approx(at, abs=20), call.ended_at)


@pytest.mark.parametrize("of", ["answer", "invite"])
async def test_calls_without_cdr_are_ours_as_the_ledger_has_them(database: Database, tmp_path: Path, of: str) -> None:
    calls = [msgspec.structs.replace(each, recorded=index not in {0, 2, 4}) for index, each in enumerate(CALLS)]
    del calls[5:]
    calls[0], calls[2], calls[4] = (_begun(calls[index]) for index in (0, 2, 4))
    await SqlBooks(database).book(calls)
    vendor = account("carrier", type=AccountType.CLEARING)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    rows = [row(each) for each in (CALLS[0], CALLS[1], CALLS[3])] + [row(CALLS[2], unit=60)]
    if of == "invite":
        rows = [[number, iso_utc(_moment(start) - 3_900), *rest] for number, start, *rest in rows]
    unknown = [["+4420999", rows[0][1], "12", "0.00246", ""], ["+33142", rows[0][1], "61.5", "0.0126", ""]]
    text = f"{MAP}start: {{of: {of}}}\n"
    made = await site.imported([*rows, *unknown], map_text=text, since=STARTED, until=STARTED + 65_000)
    assert classes(made) == {
        ("matched", ""): (3, "0.14227", "0.14227"),
        ("unit_differs", "their unit is 60 s"): (1, "0.00246", "0.0123"),
        ("missing_here", ""): (2, "0.00", "0.01506"),
        ("missing_there", "our call has left no CDR"): (1, "0.001025", "0.00"),
    }
    (lacking,) = await site.differing(made.id, BillClass.MISSING_THERE)
    assert (lacking["callee"], lacking["call_id"], lacking["our_cost"]) == ("44", calls[4].call_id, "0.001025")


async def test_more_calls_without_cdr_than_are_looked_up_among_attempts_have_their_partners(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bill_comparison, "LOOKED_UP_MAX", 3)
    await SqlBooks(database).book([_begun(msgspec.structs.replace(each, recorded=False)) for each in CALLS])
    vendor = account("carrier", type=AccountType.CLEARING)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    unknown = [["+33142", iso_utc(CALLS[0].started_at + index), "61.5", "0.0126", ""] for index in range(5)]
    made = await site.imported([*unknown, *(row(each) for each in CALLS)])
    found = classes(made)
    assert (found["matched", ""][0], found["missing_here", ""][0]) == (len(CALLS), 5)
    assert set(found) == {("matched", ""), ("missing_here", "")}
    assert len(await site.differing(made.id, BillClass.MISSING_HERE)) == 5


@pytest.mark.parametrize("prefix", ["9944", "0044", "+44", "99"])
async def test_a_call_without_cdr_is_found_by_a_prefix_that_is_written_otherwise(
    database: Database, tmp_path: Path, prefix: str
) -> None:
    """The rate of the vendor has the routing prefix, or that of international calls; its bill has neither."""
    sold, bought = applied_rate("0.60"), applied_rate("0.0123", prefix=prefix)
    record = ended_call(0, sold, bought, held_ms=HELD_MS[0], recorded=False)
    await SqlBooks(database).book([_begun(record)])
    vendor = account("carrier", type=AccountType.CLEARING)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    made = await site.imported([row(CALLS[0])])
    assert classes(made) == {("matched", ""): (1, "0.01271", "0.01271")}


def _without_cdr(index: int, prefix: str, answered_at: int) -> CallRecord:
    """Return a call of 60 s that left no CDR, by a rate of a prefix."""
    bought = applied_rate("0.0123", prefix=prefix)
    record = ended_call(index, applied_rate("0.60"), bought, held_ms=60_000, recorded=False)
    later_ms = answered_at - (record.ended_at - 60_000)
    began, ended = record.started_at + later_ms, record.ended_at + later_ms
    return _begun(msgspec.structs.replace(record, started_at=began, ended_at=ended))


@pytest.mark.parametrize(("prefix", "strip", "number"), [("*", "99", "442079460000"), ("4", "44", "2079460000")])
async def test_a_call_without_cdr_is_found_where_its_prefix_says_nothing_of_the_number(
    database: Database, tmp_path: Path, prefix: str, strip: str, number: str
) -> None:
    record = _without_cdr(0, prefix, STARTED + 6_000)
    await SqlBooks(database).book([record])
    vendor = account("carrier", type=AccountType.CLEARING)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    start = iso_utc(record.ended_at - 60_000)
    text = MAP.replace('"99"', f'"{strip}"')
    made = await site.imported([[number, start, "60", "0.0123", ""]], map_text=text)
    assert classes(made) == {("matched", ""): (1, "0.0123", "0.0123")}
    lost = await site.imported([[number, start, "12", "0.0123", ""]], name="other.csv", map_text=text)
    rows = await site.differing(lost.id, BillClass.MISSING_THERE)
    assert [(each["callee"], each["rate_prefix"]) for each in rows] == [(prefix, prefix)]


async def test_calls_without_cdr_of_the_second_time_of_an_hour_are_found_and_a_repeated_row_is_told(
    database: Database, tmp_path: Path
) -> None:
    second = round(datetime.fromisoformat("2026-10-25T01:30:00Z").timestamp() * 1_000)  # 02:30 again, in Berlin
    calls = [_without_cdr(0, "44", second), _without_cdr(1, "4420", second + 3_600_000)]
    await SqlBooks(database).book(calls)
    vendor = account("carrier", type=AccountType.CLEARING)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    text = MAP + "start: {format: '%d.%m.%Y %H:%M:%S', zone: Europe/Berlin}\n"
    times = ("25.10.2026 02:30:00", "25.10.2026 02:30:01", "25.10.2026 03:30:00")
    rows = [["44207946", each, "60", "0.0123", ""] for each in times]
    made = await site.imported(rows, map_text=text, since=second - 7_200_000, until=second + 7_200_000)
    assert classes(made) == {
        ("matched", ""): (2, "0.0246", "0.0246"),
        ("missing_here", "billed twice"): (1, "0.00", "0.0123"),
    }


def _begun(record: CallRecord) -> CallRecord:
    """Return a call of the vendor under an id that begins with the time of its INVITE, as the switch makes them."""
    identity = uuid7(record.started_at, bytes(10))
    postings = [
        msgspec.structs.replace(
            each,
            reference=each.reference.replace(record.call_id, identity),
            account="carrier" if each.reference.endswith("/vendor") else each.account,
        )
        for each in record.postings
    ]
    charges = [
        msgspec.structs.replace(each, account="carrier" if each.role == "vendor" else each.account)
        for each in record.charges
    ]
    return msgspec.structs.replace(record, call_id=identity, postings=tuple(postings), charges=tuple(charges))


def _moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


async def test_a_price_that_the_file_does_not_say_is_not_zero(site: Site) -> None:
    """At stake is what the vendor's seconds cost by our own rate."""
    agreed, longer, unit, unexplained = CALLS[0], CALLS[3], CALLS[1], CALLS[5]
    rows = [row(agreed), row(longer, extra_ms=60_000), row(unit), row(unexplained)]
    for each, billed in zip(rows, ("62", "661", "60", "7"), strict=True):
        each[3] = billed
    without = await site.imported(rows, map_text=MAP.replace("price: price", "billed: price"))
    assert {key: values for key, values in classes(without).items() if key[0] != "missing_there"} == {
        ("matched", ""): (1, "0.01271", "0.01271"),
        ("duration_differs", "their duration"): (1, "0.123205", "0.135505"),
        ("unit_differs", "their unit is 60 s"): (1, "0.006355", "0.0123"),
        ("unit_differs", ""): (1, "0.01845", "0.01845"),
    }
    assert without.disputable == "0.018245"
    differing = [each for each in await site.differing(without.id) if each["line"]]
    assert [each["difference"] for each in differing] == ["", "", ""]
    emptied = [row(agreed)]
    emptied[0][3] = ""
    assert classes(await site.imported(emptied, name="empty.csv")) == {("matched", ""): (1, "0.01271", "0.01271")}


@pytest.mark.parametrize(
    ("unit", "duration", "billed"),
    [
        ("duration_unit: milliseconds\nbilled_unit: seconds", "{ms}", "{seconds}"),
        ("duration_unit: clock", "{clock}", "{seconds}"),
        ("duration_unit: minutes\nbilled_unit: clock", "{minutes}", "{clock}"),
        ("duration_unit: minutes\nbilled_unit: minutes", "{minutes}", "{minutes}"),
        ("duration_unit: milliseconds\nbilled_unit: milliseconds", "{ms}", "{ms}"),
        ("billed_unit: minutes", "{seconds}", "{minutes}"),
        ("", "{seconds}", ""),
    ],
)
async def test_billed_seconds_have_their_own_unit(site: Site, unit: str, duration: str, billed: str) -> None:
    rows = [row(each) for each in CALLS]
    for each, ours in zip(rows, CALLS, strict=True):
        seconds = ours.vendor_billed_seconds
        shown = {
            "seconds": seconds,
            "ms": 1_000 * seconds,
            "minutes": f"{Decimal(seconds) / 60:.4f}",
            "clock": f"{seconds // 3_600}:{seconds // 60 % 60:02}:{seconds % 60:02}",
        }
        each[2], each[4] = duration.format(**shown), billed.format(**shown)
    made = await site.imported(rows, map_text=f"{MAP.replace('caller: from', 'billed: from')}{unit}\n")
    assert classes(made) == {("matched", ""): (7, made.ours, made.theirs)}
    assert made.ours == made.theirs


@pytest.mark.parametrize("unit", ["minutes", "milliseconds"])
async def test_a_map_says_the_unit_of_billed_time_where_that_of_the_duration_is_not_seconds(
    site: Site, unit: str
) -> None:
    with pytest.raises(ConfigError, match="billed_unit: expected the unit of the column billed"):
        await site.imported(
            [row(CALLS[0])], map_text=f"{MAP.replace('caller: from', 'billed: from')}duration_unit: {unit}\n"
        )
    await site.imported([row(CALLS[0])], map_text=f"{MAP}duration_unit: {unit}\n")


async def test_a_dispute_goes_from_state_to_state_and_its_letter_says_what_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await site.imported(faulty())
    office, who = site.office, operator()
    with pytest.raises(NoDisputeError):
        await write_letter(office, who, WriteLetter(id=made.id))
    opened = await dispute_bill(office, who, DisputeBill(id=made.id, memo="Please answer within 30 days."))
    assert opened.dispute is not None
    assert (opened.dispute.state, opened.dispute.amount) == (DisputeState.OPEN, made.disputable)
    assert [each.value for each in opened.dispute.may_become] == ["sent", "accepted", "rejected", "settled"]
    letter = (await write_letter(office, who, WriteLetter(id=made.id))).text
    assert f"We dispute **{made.disputable} USD**" in letter
    assert "| Calls whose billing unit differs (their unit is 60 s) | 1 | 0.0123 | 0.006355 | 0.005945 |" in letter
    assert "Please answer within 30 days." in letter
    order = DisputeBill(
        id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), reference="credit-17", book=True
    )
    settled = await dispute_bill(office, who, order)
    assert await dispute_bill(office, who, order) == settled, "a repeat changes nothing"
    assert settled.dispute is not None
    assert settled.dispute.may_become == ()
    assert (await show_reconciliation(office, who, ShowReconciliation(id=made.id))).dispute == settled.dispute
    with pytest.raises(OrderError, match=r"was settled with 0\.02"):
        await dispute_bill(office, who, DisputeBill(id=made.id, amount=Decimal(7)))
    for reference in ("credit-18", ""):
        with pytest.raises(OrderError, match="stays as it is"):
            await dispute_bill(office, who, DisputeBill(id=made.id, reference=reference))
    kept = (await show_reconciliation(office, who, ShowReconciliation(id=made.id))).dispute
    monkeypatch.setattr(office, "now", lambda: NOW + 60_000)
    assert (await dispute_bill(office, who, order)).dispute == kept, "the time of the last change stays"
    with pytest.raises(OrderError, match="cannot be open: the dispute is settled"):
        await dispute_bill(office, who, DisputeBill(id=made.id, state=DisputeState.OPEN))
    with pytest.raises(OrderError, match="above zero"):
        await dispute_bill(office, who, DisputeBill(id=made.id, amount=Decimal(0)))
    lines = await list_audit(office, who, ListAudit(action="DisputeBill"))
    assert len(lines) == 2


async def test_the_notes_of_a_dispute_are_emptied_by_an_empty_text_alone(site: Site) -> None:
    made = await site.imported(faulty())

    async def notes(**given: str) -> tuple[str | None, str | None]:
        sheet = (await dispute_bill(site.office, operator(), DisputeBill(id=made.id, **given))).dispute
        assert sheet is not None
        return sheet.reference, sheet.memo

    assert await notes(reference="", memo="") == (None, None)
    assert await notes(reference="DSP-1", memo="of our own") == ("DSP-1", "of our own")
    assert await notes() == ("DSP-1", "of our own")
    assert await notes(memo="") == ("DSP-1", None)
    assert await notes(reference="") == (None, None)
    letter = (await write_letter(site.office, operator(), WriteLetter(id=made.id))).text
    assert "of our own" not in letter


async def adjustments(site: Site) -> list[LedgerEntry]:
    """Return the adjustments in the ledger of the vendor."""
    return await entries_of(site.office.stores.database, account="carrier", kinds=("adjustment",))


async def credited(site: Site) -> list[tuple[str, Decimal, str | None]]:
    return [(each.reference, each.amount, each.memo) for each in await adjustments(site)]


async def balance_of(site: Site) -> Decimal:
    found = (await site.office.stores.books.standings_of(["carrier"])).standings
    return found["carrier"].balance if "carrier" in found else Decimal(0)


async def test_a_dispute_that_is_settled_books_what_was_agreed_once(site: Site) -> None:
    made, before = await site.imported(faulty()), await balance_of(site)
    await dispute_bill(site.office, operator(), DisputeBill(id=made.id, amount=Decimal("0.05")))
    assert await credited(site) == []
    order = DisputeBill(
        id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), reference="credit-17", book=True
    )
    for _ in range(2):
        settled = await dispute_bill(site.office, operator(), order)
    assert settled.dispute is not None
    assert (settled.dispute.booked, settled.waiting) == ("0.02", None)
    memo = f"credit note credit-17 of dispute {made.id}"
    assert await credited(site) == [(f"dispute/{made.id}", Decimal("0.02"), memo)]
    assert await balance_of(site) == before + Decimal("0.02")
    lines = await list_audit(site.office, operator(), ListAudit(action="DisputeBill"))
    assert "credit-17" in str(lines[0])


async def test_an_answer_that_cannot_be_read_leaves_the_dispute_as_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await site.imported(faulty())

    async def away(*_: object) -> int:
        raise StoreUnavailable("the connection was cut")

    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True)
    with monkeypatch.context() as patched:
        patched.setattr(SqlReconciliations, "corrected", away)
        with pytest.raises(StoreUnavailable):
            await dispute_bill(site.office, operator(), order)
    assert (await show_reconciliation(site.office, operator(), ShowReconciliation(id=made.id))).dispute is None
    assert await credited(site) == []


async def undone(site: Site, entry: LedgerEntry) -> Receipts | WaitingSheet:
    return await undo_payment(site.office, operator("bob"), UndoPayment(id=entry.id))


async def test_a_dispute_whose_settlement_is_taken_back_is_open_again_and_is_settled_anew(site: Site) -> None:
    made, other = await site.imported(faulty()), await site.imported(faulty()[:-1])
    show, before = ShowReconciliation(id=made.id), await balance_of(site)
    for number in (made.id, other.id):
        await dispute_bill(
            site.office,
            operator(),
            DisputeBill(id=number, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True),
        )
    for round_, amount in enumerate(("0.02", "0.01", "0.01")):
        reference = f"dispute/{made.id}/{round_ + 1}" if round_ else f"dispute/{made.id}"
        order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal(amount), book=True)
        settled = (await dispute_bill(site.office, operator(), order)).dispute
        assert settled is not None
        assert (settled.state, settled.booked, settled.booked_as) == (DisputeState.SETTLED, amount, reference)
        (entry,) = [each for each in await adjustments(site) if each.reference == reference]
        for _ in range(2):
            await undone(site, entry)
        again = (await show_reconciliation(site.office, operator(), show)).dispute
        assert again is not None
        assert (again.state, again.amount, again.booked) == (DisputeState.OPEN, amount, None)
        assert (again.booked_as, again.operator) == (None, "bob")
    left = (await show_reconciliation(site.office, operator(), ShowReconciliation(id=other.id))).dispute
    assert left is not None
    assert left.state is DisputeState.SETTLED
    assert await balance_of(site) == before + Decimal("0.02")


async def test_the_undo_of_another_entry_opens_no_dispute(site: Site) -> None:
    made = await site.imported(faulty())
    by_hand = {"account": "carrier", "type": PaymentType.ADJUSTMENT, "amount": Decimal(3)}
    for reference in ("dispute/", f"dispute/{made.id}/2", f"dispute/{10**30}", "CN-1"):
        await book_payment(site.office, operator(), BookPayment(reference=reference, **by_hand))
    of_another = by_hand | {"account": "acme", "reference": f"dispute/{made.id}"}
    await book_payment(site.office, operator(), BookPayment(**of_another))
    entries = await entries_of(site.office.stores.database, kinds=("adjustment",))
    assert len(entries) == 5
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), reference="CN-1")
    settled = await dispute_bill(site.office, operator(), order)
    for each in entries:
        await undone(site, each)
    assert (await show_reconciliation(site.office, operator(), ShowReconciliation(id=made.id))) == settled


@pytest.mark.parametrize("kind", ["payment", "refund", "zero", "transfer"])
async def test_the_undo_of_another_entry_of_the_same_reference_opens_no_dispute(site: Site, kind: str) -> None:
    made, amount = await site.imported(faulty()), Decimal("0.02")
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=amount, book=True)
    settled = await dispute_bill(site.office, operator(), order)
    reference = f"dispute/{made.id}"
    if kind == "transfer":
        move = MoveMoney(source="acme", target="carrier", amount=amount, reference=reference, force=True)
        await move_money(site.office, operator(), move)
    else:
        money, force = None if kind == "zero" else amount, kind == "refund"
        by_hand = BookPayment(account="carrier", type=PaymentType(kind), amount=money, reference=reference, force=force)
        await book_payment(site.office, operator(), by_hand)
    found = await entries_of(site.office.stores.database, account="carrier")
    (entry,) = [each for each in found if each.kind == kind]
    await undone(site, entry)
    assert (await show_reconciliation(site.office, operator(), ShowReconciliation(id=made.id))) == settled


@pytest.mark.parametrize("permissions", [ALL, ALL - {Permission.MONEY_BOOK}])
async def test_a_bill_less_its_credit_note_is_paid_and_the_vendor_is_owed_nothing(
    site: Site, permissions: frozenset[Permission]
) -> None:
    """The overcharge was never booked, so that its credit is not booked either."""
    made, paid = await site.imported(faulty()), {"account": "carrier", "type": PaymentType.PAYMENT}
    amount = Decimal(made.theirs) - Decimal(made.ours)
    assert amount != 0
    await book_payment(site.office, operator(), BookPayment(reference="before", amount=Decimal(5), **paid))
    before = await balance_of(site)
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=abs(amount))
    who = msgspec.structs.replace(operator(), permissions=permissions)
    settled = await dispute_bill(site.office, who, order)
    assert settled.dispute is not None
    assert (settled.dispute.state, settled.dispute.booked) == (DisputeState.SETTLED, None)
    assert await balance_of(site) == before


async def test_a_dispute_is_of_no_more_than_the_bill_and_books_no_more_than_is_disputable(site: Site) -> None:
    made, before = await site.imported(faulty()), await balance_of(site)
    assert (made.disputable, made.theirs) == ("0.030745", "0.20151")
    bill, cent = Decimal("0.21"), Decimal("0.01")  # as the vendor writes it, and so are its credit notes
    above = DisputeBill(id=made.id, amount=bill + cent)
    with pytest.raises(OrderError, match=r"is 0\.22: at most 0\.21, for the vendor bills 0\.20151"):
        await dispute_bill(site.office, operator(), above)
    await dispute_bill(site.office, operator(), DisputeBill(id=made.id, amount=bill))
    with pytest.raises(OrderError, match="the vendor bills"):
        await dispute_bill(site.office, operator(), above)
    booked = DisputeBill(id=made.id, state=DisputeState.SETTLED, book=True)
    for order in (booked, msgspec.structs.replace(booked, amount=Decimal("0.05"))):
        with pytest.raises(OrderError, match=r"no more is booked than is disputable, 0\.04"):
            await dispute_bill(site.office, operator(), order)
    assert await balance_of(site) == before
    credit_note = msgspec.structs.replace(booked, amount=Decimal("0.04"))
    settled = await dispute_bill(site.office, operator(), credit_note)
    assert (settled.dispute and settled.dispute.booked) == "0.04"


@pytest.mark.parametrize(("currency", "bill", "credit"), [("JPY", "1.00", "1.00"), ("KWD", "0.202", "0.031")])
async def test_the_bounds_of_a_dispute_are_rounded_up_to_the_unit_of_its_currency(
    database: Database, tmp_path: Path, currency: str, bill: str, credit: str
) -> None:
    await SqlBooks(database).book(CALLS)
    of_vendor = account("carrier", type=AccountType.CLEARING, currency=currency)
    site = Site(office_on(database, of_vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    made = await site.imported(faulty())
    assert (made.disputable, made.theirs) == ("0.030745", "0.20151")
    least = Decimal("0.001")
    for amount, how in ((bill, {}), (credit, {"state": DisputeState.SETTLED, "book": True})):
        above = DisputeBill(id=made.id, amount=Decimal(amount) + least, **how)
        with pytest.raises(OrderError, match=r"at most|no more is booked"):
            await dispute_bill(site.office, operator(), above)
        made = await dispute_bill(site.office, operator(), msgspec.structs.replace(above, amount=Decimal(amount)))
    assert (made.dispute and made.dispute.booked) == credit


async def test_a_credit_of_a_partner_takes_from_what_it_has_earned(database: Database, tmp_path: Path) -> None:
    await SqlBooks(database).book(CALLS)
    partner = account("carrier", type=AccountType.PARTNER)
    site = Site(office_on(database, partner, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    made = await site.imported(faulty())
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True)
    await dispute_bill(site.office, operator(), order)
    assert [amount for _, amount, _ in await credited(site)] == [Decimal("-0.02")]


@pytest.mark.parametrize(("kind", "credit"), [(AccountType.PARTNER, "-0.02"), (AccountType.CLEARING, "0.02")], ids=str)
async def test_a_credit_has_the_same_sign_when_its_vendor_is_no_longer_configured(
    database: Database, tmp_path: Path, kind: AccountType, credit: str
) -> None:
    sign = 1 if kind is AccountType.PARTNER else -1
    charged = []
    for each in CALLS:
        paid, cost = each.postings
        booked = msgspec.structs.replace(cost, account="carrier", amount=sign * abs(cost.amount))
        charged.append(msgspec.structs.replace(each, postings=(paid, booked)))
    await SqlBooks(database).book(charged)
    vendor = account("carrier", type=kind)
    site = Site(office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    made = await site.imported(faulty())
    site = Site(office_on(database, account("acme"), now=NOW, socket=tmp_path / "s"), tmp_path)
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True)
    await dispute_bill(site.office, operator(), order)
    assert [amount for _, amount, _ in await credited(site)] == [Decimal(credit)]


async def test_a_settlement_above_the_limit_waits_for_a_second_person(database: Database, tmp_path: Path) -> None:
    await SqlBooks(database).book(CALLS)
    vendor = account("carrier", type=AccountType.CLEARING)
    limit = Decimal("0.01")
    office = office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s", confirm_above=limit)
    site = Site(office, tmp_path)
    made = await site.imported(faulty())
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True)
    key = RequestKey(operator().login, "settle-1", "digest")
    for request in (key, None):
        asked = await dispute_bill(office, msgspec.structs.replace(operator(), request=request), order)
        assert asked.dispute is not None
        assert (asked.dispute.state, asked.dispute.booked) == (DisputeState.ACCEPTED, None)
        assert await office.stores.requests.find(key) is not None
        assert await credited(site) == []
    assert asked.waiting is not None
    await confirm_payment(office, operator("bob"), ConfirmPayment(asked.waiting))
    settled = await dispute_bill(office, operator(), order)
    assert settled.dispute is not None
    assert (settled.dispute.state, settled.dispute.booked) == (DisputeState.SETTLED, "0.02")
    assert [amount for _, amount, _ in await credited(site)] == [Decimal("0.02")]


async def test_a_dispute_whose_payment_is_confirmed_while_it_is_settled_is_settled(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqlBooks(database).book(CALLS)
    vendor = account("carrier", type=AccountType.CLEARING)
    limit = Decimal("0.01")
    office = office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s", confirm_above=limit)
    site = Site(office, tmp_path)
    made = await site.imported(faulty())
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True)
    waiting = (await dispute_bill(office, operator(), order)).waiting
    assert waiting is not None
    earlier = SqlPayments.earlier

    async def confirmed_behind(self: SqlPayments, payment: Payment) -> Receipt | None:
        found = await earlier(self, payment)
        monkeypatch.setattr(SqlPayments, "earlier", earlier)
        await confirm_payment(office, operator("bob"), ConfirmPayment(waiting))
        return found

    monkeypatch.setattr(SqlPayments, "earlier", confirmed_behind)
    settled = (await dispute_bill(office, operator(), order)).dispute
    assert settled is not None
    assert (settled.state, settled.booked) == (DisputeState.SETTLED, "0.02")
    assert [amount for _, amount, _ in await credited(site)] == [Decimal("0.02")]


async def test_a_settlement_that_was_undone_before_the_dispute_is_settled_is_booked_anew(
    database: Database, tmp_path: Path
) -> None:
    await SqlBooks(database).book(CALLS)
    vendor = account("carrier", type=AccountType.CLEARING)
    limit = Decimal("0.01")
    office = office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s", confirm_above=limit)
    site = Site(office, tmp_path)
    made, before = await site.imported(faulty()), await balance_of(site)
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True)

    async def confirmed(number: int | None) -> None:
        assert number is not None
        await confirm_payment(office, operator("bob"), ConfirmPayment(number))

    await confirmed((await dispute_bill(office, operator(), order)).waiting)
    (entry,) = await adjustments(site)
    undo = await undo_payment(office, operator(), UndoPayment(id=entry.id))
    assert isinstance(undo, WaitingSheet)
    await confirmed(undo.id)
    left = (await show_reconciliation(office, operator(), ShowReconciliation(id=made.id))).dispute
    assert left is not None
    assert left.state is DisputeState.ACCEPTED
    asked = await dispute_bill(office, operator(), order)
    assert asked.dispute is not None
    assert (asked.dispute.state, asked.dispute.booked) == (DisputeState.ACCEPTED, None)
    await confirmed(asked.waiting)
    settled = (await dispute_bill(office, operator(), order)).dispute
    assert settled is not None
    assert (settled.state, settled.booked_as) == (DisputeState.SETTLED, f"dispute/{made.id}/2")
    assert await balance_of(site) == before + Decimal("0.02")


@pytest.mark.parametrize("is_confirmed", [True, False])
async def test_the_entry_that_a_second_person_confirms_settles_the_dispute_without_book_too(
    database: Database, tmp_path: Path, *, is_confirmed: bool
) -> None:
    """An entry that is in the ledger is never one that the dispute does not name."""
    await SqlBooks(database).book(CALLS)
    vendor = account("carrier", type=AccountType.CLEARING)
    limit = Decimal("0.01")
    office = office_on(database, vendor, account("acme"), now=NOW, socket=tmp_path / "s", confirm_above=limit)
    site = Site(office, tmp_path)
    made, before = await site.imported(faulty()), await balance_of(site)
    plain = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"))
    asked = await dispute_bill(office, operator(), msgspec.structs.replace(plain, book=True))
    assert asked.waiting is not None
    with pytest.raises(OrderError, match=f"payment {asked.waiting} waits"):
        await dispute_bill(office, operator(), plain)
    left = (await show_reconciliation(office, operator(), ShowReconciliation(id=made.id))).dispute
    assert left == asked.dispute
    if is_confirmed:
        await confirm_payment(office, operator("bob"), ConfirmPayment(asked.waiting))
        with pytest.raises(ReferenceTaken):
            await dispute_bill(office, operator(), msgspec.structs.replace(plain, amount=Decimal("0.03")))
    else:
        await refuse_payment(office, operator("bob"), RefusePayment(asked.waiting))
    who = msgspec.structs.replace(operator(), permissions=ALL - {Permission.MONEY_BOOK})
    settled = (await dispute_bill(office, who, plain)).dispute
    assert settled is not None
    found = ("0.02", f"dispute/{made.id}") if is_confirmed else (None, None)
    assert (settled.state, settled.booked, settled.booked_as) == (DisputeState.SETTLED, *found)
    assert await balance_of(site) == before + (Decimal("0.02") if is_confirmed else 0)


async def test_a_dispute_that_was_settled_without_an_entry_says_that_it_books_none(site: Site) -> None:
    made = await site.imported(faulty())
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"))
    settled = await dispute_bill(site.office, operator(), order)
    with pytest.raises(OrderError, match="settled without an entry"):
        await dispute_bill(site.office, operator(), msgspec.structs.replace(order, book=True))
    assert await dispute_bill(site.office, operator(), order) == settled
    assert await credited(site) == []


async def test_a_person_who_may_not_book_money_settles_nothing(site: Site) -> None:
    made = await site.imported(faulty())
    who = msgspec.structs.replace(operator(), permissions=ALL - {Permission.MONEY_BOOK})
    order = DisputeBill(id=made.id, state=DisputeState.SETTLED, amount=Decimal("0.02"), book=True)
    with pytest.raises(PermissionLackingError):
        await dispute_bill(site.office, who, order)
    assert (await dispute_bill(site.office, who, DisputeBill(id=made.id))).dispute is not None
    assert await credited(site) == []


async def test_a_settlement_that_loses_against_another_person_books_nothing(site: Site) -> None:
    made = await site.imported(faulty())
    await dispute_bill(site.office, operator(), DisputeBill(id=made.id))
    store = site.office.stores.reconciliations
    read: StoredDispute = (await store.disputes([made.id]))[made.id]
    await dispute_bill(site.office, operator("bob"), DisputeBill(id=made.id, state=DisputeState.REJECTED))
    line = site.office.audit_line(operator(), DisputeBill(id=made.id), "carrier")
    payment = Payment(
        account="carrier", kind=EntryKind.ADJUSTMENT, reference=f"dispute/{made.id}", made_at=NOW, amount=Decimal(1)
    )
    with pytest.raises(DisputeMovedError):
        await store.dispute(msgspec.structs.replace(read, state=DisputeState.SETTLED), read, line, payment)
    assert await credited(site) == []


@pytest.mark.parametrize("change", [{"state": DisputeState.SENT}, {"reference": "CN-1"}, {"memo": "By phone."}])
async def test_a_dispute_that_another_person_has_changed_is_not_changed_over_it(
    site: Site, change: dict[str, Any]
) -> None:
    made = await site.imported(faulty())
    await dispute_bill(site.office, operator(), DisputeBill(id=made.id))
    store = site.office.stores.reconciliations
    read: StoredDispute = (await store.disputes([made.id]))[made.id]
    await dispute_bill(site.office, operator("bob"), DisputeBill(id=made.id, **change))
    line = site.office.audit_line(operator(), DisputeBill(id=made.id), "carrier")
    for before in (read, None):
        with pytest.raises(DisputeMovedError):
            await store.dispute(read, before, line)


def test_an_import_that_is_killed_is_kept_as_a_whole_or_not_at_all(database_url: str) -> None:
    """It is killed behind each of its statements, and repeated."""
    number, found, is_dead = 0, [], True
    while is_dead:
        number += 1
        is_dead = is_killed(lambda number=number: 0 * with_store(database_url, number, Steps(number)))
        found.append(with_store(database_url, number))
        with_store(database_url, number, Steps(0))
        assert with_store(database_url, number) == 2
    assert {*found} == {-1, 2}
    assert found.count(-1) >= 4
    assert found == sorted(found)


def with_store(url: str, number: int, steps: Steps | None = None) -> int:
    """Write a comparison of this number, or return how many chunks it has; -1 = it is not there."""
    made = StoredReconciliation(
        id=0, account="carrier", digest=f"{number}", file="f", since=0, until=1, made_at=NOW, operator="ann",
        currency="USD", ours=Decimal(1), theirs=Decimal(2), result="{}",
    )  # fmt: skip
    line = AuditLine(NOW, "ann", "operator", "ann", "terminal", "", "ImportBill", "carrier", "{}")

    async def act(database: Database) -> int:
        store = SqlReconciliations(database)
        if steps is not None:
            event.listen(database.engine.sync_engine, "after_cursor_execute", lambda *_: steps.step())
            await store.add(made, [b"one", b"two"], line, again=False)
            return 0
        kept = await store.of_file("carrier", made.digest)
        return -1 if kept is None else len([each async for each in store.chunks(kept)])

    async def run() -> int:
        async with Database(url) as database:
            return await act(database)

    return asyncio.run(run())


async def test_a_call_that_the_vendor_bills_is_looked_up_among_our_attempts(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor bills a call that it refused, one that another vendor has taken over, and two that were not made."""
    refused = refused_call(
        91, callee_out="99447700900001", callee_billing="447700900001", routing_gateway="carrier-trunk",
        attempts=(Attempt("carrier-trunk", 503, 900, None, "Unavailable"),),
    )  # fmt: skip
    taken = CALLS[1]
    attempts = (
        Attempt("carrier-2", 0, 4_000, None, "No Answer"), Attempt("other-trunk", 200, 4_000, None, "Normal"),
    )  # fmt: skip
    elsewhere = msgspec.structs.replace(taken, vendor_account="other", attempts=attempts)
    await SqlBooks(database).book([CALLS[0], refused, elsewhere])
    office = office_on(
        database, account("carrier", type=AccountType.CLEARING), account("acme"), now=NOW, socket=tmp_path / "s"
    )
    trunks = [routing_gateway(name, account="carrier") for name in ("carrier-trunk", "carrier-2")]
    monkeypatch.setattr(office.definitions, "catalogue", lambda: catalogue(trunks))
    site = Site(office, tmp_path)
    at = iso_utc(refused.started_at + 1_500)
    rows = [
        row(CALLS[0]),
        ["+447700900001", at, "12", "0.0123", ""],
        ["447700900001", iso_utc(refused.started_at + 1_900), "0.5", "0.0123", ""],  # one attempt is one call
        row(taken),
        ["+447700900777", at, "12", "0.0123", ""],
        ["+447700900001", iso_utc(refused.ended_at + 60_000), "12", "0.0123", ""],
    ]
    made = await site.imported(rows)
    assert classes(made) == {
        ("matched", ""): (1, "0.01271", "0.01271"),
        ("missing_here", ""): (3, "0.00", "0.0369"),
        ("missing_here", "our attempt was not answered: 0 No Answer"): (1, "0.00", "0.006355"),
        ("missing_here", "our attempt was not answered: 503 Unavailable"): (1, "0.00", "0.0123"),
    }
    found = {each["line"]: each for each in await site.differing(made.id)}
    assert (found["3"]["call_id"], found["3"]["gateway"]) == (str(refused.call_id), "carrier-trunk")
    assert (found["5"]["call_id"], found["5"]["gateway"]) == (str(taken.call_id), "carrier-2")
    assert {found[line]["call_id"] for line in ("4", "6", "7")} == {""}


async def test_times_of_another_zone_are_noticed(site: Site) -> None:
    late = [row(each, late_ms=3_600_000) for each in CALLS]
    made = await site.imported(late, since=0, until=NOW)
    assert (set(classes(made)), made.comparison.time_shift) == ({("missing_here", ""), ("missing_there", "")}, 3_600)


@pytest.mark.parametrize("shift_s", [19_800, -50_400])
async def test_times_of_another_zone_are_noticed_in_a_short_file(site: Site, shift_s: int) -> None:
    """None of our calls is in the time of the file, and no calls beyond it count; attempts in it say nothing."""
    calls = [row(each, late_ms=1_000 * shift_s) for each in CALLS]
    attempts = [[f"+4477009{index:05}", calls[0][1], "0", "0", ""] for index in range(2 * len(calls))]
    made = await site.imported([*calls, *attempts])
    assert (made.ours, set(classes(made))) == ("0.00", {("missing_here", "")})
    assert made.comparison.time_shift == shift_s


@pytest.mark.parametrize("name", ["dropped_calls", "masked_calls"])
async def test_calls_that_are_gone_or_have_no_numbers_are_no_faults_of_the_vendor(
    site: Site, database: Database, name: str
) -> None:
    begin = CALLS[2].started_at
    async with database.writing() as connection:
        await connection.execute(insert(schema.counter).values(name=name, value=begin))
    with pytest.raises(DroppedPeriod):
        await site.imported([row(each) for each in CALLS])
    made = await site.imported([row(each) for each in CALLS[2:]], since=begin, until=NOW)
    assert set(classes(made)) == {("matched", "")}


async def test_calls_that_are_dropped_while_they_are_read_are_no_faults_of_the_vendor(
    site: Site, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = SqlReconciliations.calls

    async def dropping(*args: Any) -> AsyncGenerator[Sequence[VendorCall], None]:
        async with database.writing() as connection:
            await note_dropped(connection, RecordKind.CALLS, CALLS[2].started_at)
        async for page in reading(*args):
            yield page

    monkeypatch.setattr(SqlReconciliations, "calls", dropping)
    with pytest.raises(DroppedPeriod):
        await site.imported([row(each) for each in CALLS])


async def test_what_cannot_be_compared_is_refused(site: Site) -> None:
    with pytest.raises(OrderError, match="is acme, which is no vendor"):
        await site.imported(faulty(), account="acme")
    with pytest.raises(OrderError, match="is not behind"):
        await site.imported(faulty(), since=NOW, until=NOW)
    with pytest.raises(NoUsableRowError, match=r"^no row of january\.csv can be read: start 'soon'"):
        await site.imported(faulty()[-1:], name="january.csv")
    with pytest.raises(NoSuchReconciliationError):
        await show_reconciliation(site.office, operator(), ShowReconciliation(id=1))
    matched = await site.imported([row(each) for each in CALLS])
    assert set(classes(matched)) == {("matched", "")}
    with pytest.raises(OrderError, match="asks for no more"):
        await dispute_bill(site.office, operator(), DisputeBill(id=matched.id))
