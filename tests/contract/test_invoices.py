"""Invoices over a database: each entry of the ledger on one invoice, totals to the last digit, numbers without gaps."""

import asyncio
import csv
import hashlib
import io
import random
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Set
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import msgspec
import pytest
from contract.conftest import seeded
from doubles.data.builders import account, applied_rate, rating_policy
from doubles.data.records import answered_call
from doubles.dying import Steps, Traces, is_killed
from doubles.kept_rows import Rows, rows_of, write_rows
from doubles.ledger_entries import entries_of
from doubles.migrated import copy_database, migrated
from doubles.office import agent, customer, office_on, operator
from doubles.postbox import Postbox
from doubles.turns import turns
from pypdf import PdfReader
from sqlalchemy import delete, event, insert, select, text, update

from vosd.admin.ledger import Month
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.invoice_changes import (
    CancelInvoice,
    DraftEarlyError,
    IssueInvoice,
    NotADraftError,
    PayInvoice,
    cancel_invoice,
    issue_invoice,
    pay_invoice,
)
from vosd.admin.office.invoice_run import InvoiceOutcome, InvoiceRunSheet, PeriodNotOverError, RunInvoices, run_invoices
from vosd.admin.office.invoices import (
    FindInvoice,
    InvoiceSheet,
    ListInvoices,
    NotIssuedError,
    PrintInvoice,
    ReadInvoicedCalls,
    ShowInvoice,
    find_invoice,
    list_invoices,
    print_invoice,
    read_invoiced_calls,
    show_invoice,
)
from vosd.admin.office.ledger import ShowStatements, show_statements
from vosd.admin.office.mailed_invoices import InvoiceNotSentError, ListUnsent, SendInvoice, list_unsent, send_invoice
from vosd.admin.office.minimum import BookMinimums, MinimumOutcome, MinimumSheet, book_minimums
from vosd.admin.office.office import Office
from vosd.admin.office.payment_file import (
    BadPaymentFile,
    ImportPayments,
    ReadPayments,
    import_payments,
    read_payment_file,
    read_payments,
)
from vosd.admin.office.payments import (
    BookPayment,
    ConfirmPayment,
    ListWaitingPayments,
    MoveMoney,
    PaymentType,
    UndoPayment,
    WaitingSheet,
    book_payment,
    confirm_payment,
    list_waiting_payments,
    move_money,
    undo_payment,
)
from vosd.admin.office.principal import OrderError
from vosd.admin.office.report_sums import AddUpCalls, add_up_calls
from vosd.admin.office.reports import ShowReport, show_report
from vosd.admin.typesetting import printed_beside
from vosd.b2bua.stamps import Ending
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.money import format_amount
from vosd.billing.accounts import Account, AccountType
from vosd.billing.authority import NoAgentError, OutOfScopeError
from vosd.billing.invoice_terms import InvoiceCycle, InvoiceLines, InvoiceTerms, IssuerTerms
from vosd.billing.named_areas import BY_NUMBER
from vosd.billing.parties import CallSide, Party
from vosd.billing.rates import AppliedRate
from vosd.billing.rights import Right
from vosd.callcontrol.bookkeeping import conclude
from vosd.callcontrol.open_call import OpenCall
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cdr.columns import iso_utc
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.ports import OutcomeUnknown, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.cdr.retention import DroppedPeriod, RecordKind
from vosd.engine.settings import InvoiceSettings, MailSecurity, MailSettings
from vosd.invoicing.invoice import InvoiceParty
from vosd.invoicing.periods import BadPeriodError
from vosd.invoicing.settlement import Credit, InvoiceState
from vosd.storage import invoices, schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.corrections import SqlCorrections
from vosd.storage.database import Database
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.dropped import note_dropped
from vosd.storage.faults import BookFault
from vosd.storage.invoices import (
    InvoiceAlteredError,
    InvoiceFilter,
    InvoiceMovedError,
    InvoicesSeen,
    NoSuchInvoiceError,
    SqlInvoices,
)
from vosd.storage.ledger_values import LedgerEntry
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, MoneyTransfer, Payment
from vosd.storage.verify import verify_ledger
from vosd.storage.verify_invoices import parts_by_length

ZONE = "Europe/Berlin"
SELL = [
    ("London", applied_rate("0.0371", prefix="4420", tax_rate="19")),
    ("London", applied_rate("0.0377", prefix="44207", tax_rate="19")),
    ("Paris", applied_rate("0.09", 60, prefix="331", tax_rate="7.5")),
    ("Mars", applied_rate("0.5", prefix="99", tax_rate="19", policy=rating_policy(tax_exempt=True))),
    ("", applied_rate("0.01", prefix="7")),
]
BUY = applied_rate("0.02", prefix="4")
TERMS = InvoiceTerms(address=("Way 2", "12345 City"), tax_id="GB1")
ACCOUNTS = (
    msgspec.structs.replace(account("acme"), name="Acme Ltd", invoice=TERMS),
    account("peer", type=AccountType.PARTNER),
    account("reseller", rights=frozenset({Right.OWN_PAYMENTS, Right.SUB_PAYMENTS})),
    account("shop", agent="reseller"),
    account("carrier", type=AccountType.CLEARING),
    account("idle"),
)


def at(text: str) -> int:
    """Return a time of Berlin as UTC milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1_000)


def call(
    index: int, customer_name: str, ended: int, area: str, rate: AppliedRate, held_ms: int = 61_500, vendor: str = ""
) -> CallRecord:
    """Return a call as call control makes it; calls of the shop are charged to the reseller, too."""
    plain = answered_call(
        index, fee_breakdown="{}", charges=(), postings=(), customer_account=customer_name,
        vendor_account=vendor or "carrier", rate_group=rate.group, rate_prefix=rate.rate.prefix, rate_area=area or None,
        end_reason="Lost",
    )  # fmt: skip
    begun = ended - held_ms - 4_000
    shift = begun - plain.started_at
    times = {name: getattr(plain, name) + shift for name in ("started_at", "ringing_at", "answered_at")}
    fresh = msgspec.structs.replace(plain, **times, ended_at=times["answered_at"])
    agents = (Party("reseller", CallSide.AGENT, 1, applied_rate("0.03")),) if customer_name == "shop" else ()
    ending = Ending(EndReason.NORMAL, HangupSource.CALLER, Instant(4_000 + held_ms, 0), 200, 16)
    opened = OpenCall(fresh, rate, BUY, 4_000, 4_000, agents=agents, vendor_earns=vendor == "peer")
    return conclude(opened, ending, "PCMU", "PCMU", recorded=True)


class Site:
    """An office whose clock the test sets, and its books."""

    def __init__(
        self, database: Database, *accounts: Account, confirm_above: Decimal | None = None, **settings: Any
    ) -> None:
        self.database = database
        self.now = 0
        office = office_on(database, *(accounts or ACCOUNTS), now=0, confirm_above=confirm_above)
        defined = office.definitions
        self.settings = InvoiceSettings(zone=ZONE, **settings)
        defined.settings = replace(defined.settings, invoices=self.settings)
        self.office = Office(defined, lambda: office.stores, lambda: office.switch, lambda: self.now)

    async def pay(self, name: str, amount: str, when: int, kind: EntryKind = EntryKind.PAYMENT, ref: str = "") -> None:
        reference = ref or f"{kind.value}-{when}-{amount}"
        await SqlPayments(self.database).add(
            Payment(account=name, kind=kind, reference=reference, made_at=when, amount=Decimal(amount), currency="USD")
        )

    async def run(
        self, period: str, now: str, *accounts: str, draft: bool = False, anew: bool = False
    ) -> dict[str, InvoiceRunSheet]:
        self.now = at(now)
        order = RunInvoices(period=period, accounts=accounts, draft=draft, anew=anew)
        return {each.account: each for each in await run_invoices(self.office, operator(), order)}

    async def entries(self, name: str) -> list[LedgerEntry]:
        return await entries_of(self.office.stores.database, account=name)

    async def listed(self, who: Any = None, **criteria: Any) -> list[InvoiceSheet]:
        return await list_invoices(self.office, who or operator(), ListInvoices(**criteria))

    async def shown(self, number: str | None) -> Any:
        assert number is not None
        found = await find_invoice(self.office, operator(), FindInvoice(number))
        return await show_invoice(self.office, operator(), ShowInvoice(id=found.id))


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def some_traffic(dice: random.Random, count: int, first: date, days: int) -> list[CallRecord]:
    calls = []
    for index in range(1, count + 1):
        area, rate = dice.choice(SELL)
        name = dice.choice(["acme", "acme", "peer", "reseller", "shop"])
        ended = at(first.isoformat()) + dice.randrange(days * 86_400_000)
        calls.append(call(index, name, ended, area, rate, dice.randrange(1, 400_000)))
    return calls


def tax_rate(record: CallRecord) -> str:
    rate = next(each for _, each in SELL if each.rate.prefix == record.rate_prefix)
    return "0" if rate.policy.tax_exempt else str(rate.rate.tax_rate)


class Change(NamedTuple):
    """A charge at one time, by the tax rate of then."""

    rate: str
    fee: Decimal
    tax: Decimal


def expected(
    name: str,
    taken: list[LedgerEntry],
    records: dict[str, CallRecord],
    changes: dict[str, tuple[Change, Change]],
    since: int,
) -> Any:
    """Return an invoice's lines and taxes made plainly of its entries: by section, area and tax rate."""
    own = {each.call_id: each for each in taken if each.kind == "call"}
    lines: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    taxes: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    latest: dict[str, str] = {}
    """The tax rate at which a call stands in the end."""
    for entry in sorted(taken, key=lambda each: each.seq, reverse=True):
        if entry.kind not in {"call", "correction", "minimum"}:
            continue
        tax = -(entry.tax or Decimal(0))
        if entry.kind == "minimum":
            key, counts = ("minimum", ""), {"0": (1, 0)}
            parts = [Change("0", -entry.amount - tax, tax)]
        else:
            record = records[str(entry.call_id)]
            booked = own.get(entry.call_id)
            section = "corrections" if booked is None else "earlier_calls" if booked.created_at < since else "calls"
            key = (section, record.rate_area or "")
            rate = "0" if entry.reference.endswith("agent-1") else tax_rate(record)
            charge = next(each for each in record.charges if each.account == name)
            parts = [Change(rate, -entry.amount - tax, tax)]
            if entry.kind == "call":
                counts = {latest.get(entry.reference, rate): (1, charge.billed_seconds)}
            else:
                before, after = changes[entry.reference]
                latest.setdefault(entry.reference.partition("/")[2], after.rate)
                parts = [before._replace(fee=-before.fee, tax=-before.tax), after]
                counts = dict.fromkeys((before.rate, after.rate), (int(booked is None), 0))
        for rate, (calls, seconds) in counts.items():
            line = lines[(*key, rate)]
            line[0], line[1] = line[0] + calls, line[1] + seconds
        for rate, fee, tax in parts:
            lines[(*key, rate)][2] += fee
            taxes[rate][0] += fee
            taxes[rate][1] += tax
    # Of a tax rate from which everything was moved away nothing is left; calls that cost nothing stand.
    taxes = {rate: sums for rate, sums in taxes.items() if any(sums) or any(key[2] == rate for key in lines)}
    return {key: line for key, line in lines.items() if any(line)}, taxes


def made(document: Any) -> Any:
    lines: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    for each in document.lines:
        line = lines[each.section.value, each.area, each.tax_rate]
        line[0], line[1], line[2] = line[0] + each.calls, line[1] + each.seconds, line[2] + Decimal(each.net)
    taxes = {each.rate: [Decimal(each.net), Decimal(each.tax)] for each in document.taxes}
    return dict(lines), taxes


@seeded(1, 2)
async def test_every_entry_is_on_one_invoice_with_the_totals_of_the_ledger(site: Site, seed: int) -> None:
    dice = random.Random(seed)
    calls = some_traffic(dice, 70, date(2026, 9, 20), 70)
    records = {each.call_id: each for each in calls}
    books, corrections = SqlBooks(site.database), SqlCorrections(site.database)
    late = [each for each in calls if dice.random() < 0.2]
    on_time = sorted((each for each in calls if each not in late), key=lambda each: each.ended_at)
    invoiced: dict[str, set[int]] = defaultdict(set)
    closing: dict[str, str] = {}
    numbers = []
    latest: dict[str, str] = {}
    changes: dict[str, tuple[Change, Change]] = {}
    for period, until, now in (
        ("2026-10", at("2026-11-01"), "2026-11-02"),
        ("2026-11", at("2026-12-01"), "2026-12-03"),
    ):
        since = at(f"{period}-01")
        await books.book([each for each in on_time if each.ended_at < at(now)])
        on_time = [each for each in on_time if each.ended_at >= at(now)]
        for name in ("acme", "peer", "shop"):
            await site.pay(name, str(dice.randrange(1, 10_000) / 100), since + dice.randrange(10**9))
            await site.pay(name, "-0.07", until - 1, EntryKind.MINIMUM, f"minimum/{period}")
        booked = [each for each in calls if each not in late and each.ended_at < at(now)]
        for number, each in enumerate([*dice.sample(booked, 6), *dice.sample(booked, 6)]):
            fee = Decimal(dice.randrange(10**6)) / 10**6
            own, before = tax_rate(each), records[each.call_id]
            then = latest.get(each.call_id, own)
            rate = dice.choice([then, own, "16", "21.5"])
            tax = (fee * Decimal(rate) / 100).quantize(Decimal("0.000001"))
            by = None if rate == then else Decimal(rate)
            change = ChargeChange("customer", 0, Amounts(fee, tax, 61), by)
            reference = f"{period}-{number}"
            await corrections.book([Correction(each.call_id, (change,), reference, "ann", "wrong", at(now) - 9)])
            found = await site.office.stores.queries.call(each.call_id)
            records[each.call_id], latest[each.call_id] = found.record, rate
            changes[f"{reference}/{each.call_id}/customer"] = (
                Change(then, before.fee, before.tax), Change(rate, fee, tax)
            )  # fmt: skip
        runs = await site.run(period, now, anew=period == "2026-10")
        assert "carrier" not in runs
        assert "idle" not in runs
        for name, run in runs.items():
            assert run.outcome is InvoiceOutcome.ISSUED
            numbers.append((run.number, "reseller" if name == "shop" else ""))
            detail = await site.shown(f"#{run.id}")
            entries = await site.entries(name)
            first = period == "2026-10"
            taken = [
                each for each in entries
                if each.created_at < until and each.id not in invoiced[name] and not (first and each.created_at < since)
            ]  # fmt: skip
            before = sum((each.amount for each in entries if first and each.created_at < since), Decimal(0))
            assert detail.opening == closing.get(name, detail.opening)
            if first:
                assert Decimal(detail.opening) == before
            total = sum((each.amount for each in taken), Decimal(0))
            assert Decimal(detail.closing) == Decimal(detail.opening) + total
            charged = [each for each in taken if each.kind in {"call", "correction", "minimum"}]
            charges = sum((each.amount for each in charged), Decimal(0))
            assert Decimal(detail.gross) == -charges == Decimal(detail.net) + Decimal(detail.tax)
            assert made(detail.document) == expected(name, taken, records, changes, since)
            moved = sum((Decimal(each.amount) for each in detail.document.movements), Decimal(0))
            assert moved == total - charges
            order = ReadInvoicedCalls(id=detail.id)
            text = "".join([part async for part in read_invoiced_calls(site.office, operator(), order)])
            listed = list(csv.DictReader(io.StringIO(text)))
            for each in listed:
                of = records[each["call_id"]]
                times = [iso_utc(of.started_at), iso_utc(of.answered_at), str(of.hold_time_s)]
                assert [each["started_at"], each["answered_at"], each["hold_time_s"]] == times
            minimum = sum(1 for each in charged if each.kind == "minimum") * Decimal("0.07")
            assert sum((Decimal(each["gross"]) for each in listed), Decimal(0)) == Decimal(detail.gross) - minimum
            closing[name] = detail.closing
            invoiced[name] |= {each.id for each in taken} | {
                each.id for each in entries if first and each.created_at < since
            }
        again = await site.run(period, now)
        assert {each.outcome for each in again.values()} == {InvoiceOutcome.INVOICED_BEFORE}
        assert {name: each.number for name, each in again.items()} == {name: each.number for name, each in runs.items()}
        await books.book([each for each in late if each.ended_at < at(now)])  # of the invoice behind
        late = [each for each in late if each.ended_at >= at(now)]
    for issuer in ("", "reseller"):
        own = sorted(str(number) for number, by in numbers if by == issuer)
        assert own == [f"2026-{index:06}" for index in range(1, len(own) + 1)]
    assert (await verify_ledger(site.database, whole=True)).differences == ()


async def test_a_correction_by_another_tax_rate_stands_on_the_invoice_at_both(site: Site) -> None:
    """A call of 1.00 at 19 % is rated again at 16 %: once before its invoice, once behind it."""
    london, corrections = SELL[0], SqlCorrections(site.database)
    calls = [call(number, "acme", at("2026-10-05") + number, *london) for number in (1, 2)]
    await SqlBooks(site.database).book(calls)

    async def correct(record: CallRecord, when: str, fee: str, tax: str, rate: str | None) -> None:
        change = ChargeChange("customer", 0, Amounts(Decimal(fee), Decimal(tax), 62), rate and Decimal(rate))
        reference = f"{when} {fee} {tax}"
        await corrections.book([Correction(record.call_id, (change,), reference, "ann", "tax", at(when))])

    for each in calls:
        await correct(each, "2026-10-06", "1.00", "0.19", "19")
    await correct(calls[0], "2026-10-07", "1.00", "0.16", "16")
    document = (await site.shown((await site.run("2026-10", "2026-11-02"))["acme"].number)).document
    assert [(each.section.value, each.tax_rate, each.calls, each.seconds, each.net) for each in document.lines] == [
        ("calls", "16", 1, 62, "1.00"), ("calls", "19", 1, 62, "1.00"),
    ]  # fmt: skip
    assert [(each.rate, each.net, each.tax) for each in document.taxes] == [
        ("16", "1.00", "0.16"), ("19", "1.00", "0.19"),
    ]  # fmt: skip
    await correct(calls[1], "2026-11-05", "1.00", "0.16", "16")
    await correct(calls[0], "2026-11-05", "0.50", "0.08", None)
    document = (await site.shown((await site.run("2026-11", "2026-12-02"))["acme"].number)).document
    assert [(each.section.value, each.tax_rate, each.calls, each.seconds, each.net) for each in document.lines] == [
        ("corrections", "16", 2, 0, "0.50"), ("corrections", "19", 1, 0, "-1.00"),
    ]  # fmt: skip
    assert [(each.rate, each.net, each.tax) for each in document.taxes] == [
        ("16", "0.50", "0.08"), ("19", "-1.00", "-0.19"),
    ]  # fmt: skip
    # Two taxes of one amount: the ledger has an entry of nothing, so that the invoice says it.
    await correct(calls[1], "2026-12-05", "0.94", "0.22", "23.4")
    (entry,) = [each for each in await site.entries("acme") if each.created_at == at("2026-12-05")]
    assert (entry.amount, entry.tax) == (0, Decimal("-0.06"))
    document = (await site.shown((await site.run("2026-12", "2027-01-02"))["acme"].number)).document
    assert [(each.rate, each.net, each.tax) for each in document.taxes] == [
        ("16", "-1.00", "-0.16"), ("23.4", "0.94", "0.22"),
    ]  # fmt: skip
    assert (await verify_ledger(site.database)).differences == ()


async def test_a_correction_behind_the_period_is_on_the_next_invoice_though_this_one_was_not_made_yet(
    site: Site,
) -> None:
    """As on the statements: a correction is dated when it is made."""
    calls = [call(number, "acme", at("2026-10-05") + number, *SELL[4]) for number in (1, 2)]
    await SqlBooks(site.database).book(calls)
    for record, when in zip(calls, ("2026-10-31", "2026-11-01"), strict=True):
        change = ChargeChange("customer", 0, Amounts(Decimal("0.004"), Decimal(0), 62))
        correction = Correction(record.call_id, (change,), "ticket 7", "ann", "wrong", at(when))
        await SqlCorrections(site.database).book([correction])
    made_of = []
    for period, now in (("2026-10", "2026-11-02"), ("2026-11", "2026-12-02")):
        shown = await site.shown((await site.run(period, now))["acme"].number)
        made_of.append([(each.section.value, each.calls, each.net) for each in shown.document.lines])
    assert made_of == [[("calls", 2, "0.014333")], [("corrections", 1, "-0.006333")]]


def as_earlier(record: CallRecord) -> CallRecord:
    """Return a call as versions have booked it that knew the tax rates of charges by their steps alone."""
    charges = tuple(msgspec.structs.replace(each, tax_rate=None) for each in record.charges)
    return msgspec.structs.replace(record, charges=charges)


async def test_a_tax_rate_that_changes_and_changes_back_is_seen_whatever_the_tax_rounds_to(site: Site) -> None:
    """A deck lowers the tax of a prefix for three days; calls of a minute and, taxed with nothing, of a second."""
    in_cents = rating_policy(fee_precision=2)
    high, low = (applied_rate("0.60", prefix="331", tax_rate=percent, policy=in_cents) for percent in ("19", "7"))
    days = (("05", high), ("11", low), ("12", low), ("20", high))
    calls = [
        call(index, name, at(f"2026-10-{day}"), "Paris", rate, held_ms)
        for index, (name, (day, rate), held_ms) in enumerate(
            product(("acme", "peer", "shop"), days, (60_000, 1_000)), start=1
        )
    ]
    await SqlBooks(site.database).book(calls)
    half = ChargeChange("customer", 0, Amounts(Decimal("0.30"), Decimal("0.06"), 30), Decimal(19))
    again = [Correction(each.call_id, (half,), "again", "ann", "half", at("2026-11-05")) for each in calls[:8:2]]
    await SqlCorrections(site.database).book(again)
    runs = await site.run("2026-10", "2026-11-02")
    for name in ("acme", "peer", "shop"):
        document = (await site.shown(f"#{runs[name].id}")).document
        assert [(each.area, each.tax_rate, each.calls, each.net) for each in document.lines] == [
            ("Paris", "7", 4, "1.22"), ("Paris", "19", 4, "1.22"),
        ]  # fmt: skip
        assert [(each.rate, each.net, each.tax) for each in document.taxes] == [
            ("7", "1.22", "0.08"), ("19", "1.22", "0.22"),
        ]  # fmt: skip
    document = (await site.shown((await site.run("2026-11", "2026-12-02"))["acme"].number)).document
    assert [(each.rate, each.net, each.tax) for each in document.taxes] == [
        ("7", "-1.20", "-0.08"), ("19", "0.00", "0.02"),
    ]  # fmt: skip


@pytest.mark.parametrize("is_earlier", [False, True])
async def test_calls_by_one_price_stand_on_the_invoice_at_the_tax_rate_that_each_had(
    site: Site, *, is_earlier: bool
) -> None:
    """The tax rate of a prefix changes on a day that its deck names: the version stays, and the price."""
    until, since = (applied_rate("0.60", prefix="331", tax_rate=percent) for percent in ("19", "16"))
    days = (("2026-10-05", "Paris", until), ("2026-10-20", "Paris", since), ("2026-10-21", "Lyon", since))
    calls = [
        call(index, name, at(day), area, rate)
        for index, (name, (day, area, rate)) in enumerate(product(("acme", "peer"), days), start=1)
    ]
    there_and_back = (("2026-06-05", until), ("2026-08-20", since), ("2026-10-20", until))
    # An id begins with its time.
    calls += [call(at(day) - at("2026-06-01"), "reseller", at(day), "Paris", rate) for day, rate in there_and_back]
    await SqlBooks(site.database).book([as_earlier(each) if is_earlier else each for each in calls])
    half = ChargeChange("customer", 0, Amounts(Decimal("0.31"), Decimal("0.0496"), 62), Decimal(16))
    again = [
        Correction(each.call_id, (half,), "again", "ann", "half", at("2026-11-05")) for each in (*calls[:3], *calls[6:])
    ]
    same = ChargeChange("customer", 0, Amounts(Decimal("0.62"), Decimal("0.1302"), 62), Decimal(21))
    again += [Correction(each.call_id, (same,), "again", "ann", "tax", at("2026-11-05")) for each in calls[3:6]]
    await SqlCorrections(site.database).book(again)
    runs = await site.run("2026-10", "2026-11-02", anew=True)
    for name in ("acme", "peer"):
        document = (await site.shown(runs[name].number)).document
        assert [(each.area, each.tax_rate, each.calls, each.net) for each in document.lines] == [
            ("Lyon", "16", 1, "0.62"), ("Paris", "16", 1, "0.62"), ("Paris", "19", 1, "0.62"),
        ]  # fmt: skip
        assert [(each.rate, each.net, each.tax) for each in document.taxes] == [
            ("16", "1.24", "0.1984"), ("19", "0.62", "0.1178"),
        ]  # fmt: skip
    runs = await site.run("2026-11", "2026-12-02")
    document = (await site.shown(runs["peer"].number)).document
    assert [(each.area, each.tax_rate, each.calls, each.net) for each in document.lines] == [
        ("Lyon", "16", 1, "-0.62"), ("Lyon", "21", 1, "0.62"),
        ("Paris", "16", 1, "-0.62"), ("Paris", "19", 1, "-0.62"), ("Paris", "21", 2, "1.24"),
    ]  # fmt: skip
    document = (await site.shown(runs["reseller"].number)).document
    assert [(each.tax_rate, each.calls, each.net) for each in document.lines] == [("16", 3, "0.31"), ("19", 2, "-1.24")]
    november = await site.shown(runs["acme"].number)
    document = november.document
    assert [(each.area, each.tax_rate, each.calls, each.net) for each in document.lines] == [
        ("Lyon", "16", 1, "-0.31"), ("Paris", "16", 2, "0.00"), ("Paris", "19", 1, "-0.62"),
    ]  # fmt: skip
    assert [(each.rate, each.net, each.tax) for each in document.taxes] == [
        ("16", "-0.31", "-0.0496"), ("19", "-0.62", "-0.1178"),
    ]  # fmt: skip
    content = await print_invoice(site.office, operator(), PrintInvoice(id=november.id))
    page = PdfReader(io.BytesIO(content)).pages[0].extract_text()
    for said in ("Paris 16 % 0.00", "Paris 19 % -0.62", "Tax 16 % (-0.31) -0.0496", "Tax 19 % (-0.62) -0.1178"):
        assert said.replace("-", "\u2212") in page


async def test_an_invoice_has_what_is_dated_in_its_period_though_the_books_were_closed_before(site: Site) -> None:
    def of(index: int, ended: int) -> CallRecord:
        return call(index, "acme", ended, *SELL[0])

    midnight = at("2026-11-01")
    books = SqlBooks(site.database)
    far = at("2080-01-01")  # by a wrong clock
    await site.pay("acme", "0.01", far)
    await SqlCheckpoints(site.database).close(at("2026-10-01"), "ann", None, midnight)
    for record in (of(1, midnight - 5_000), of(4, far), of(2, midnight + 1_000), of(3, midnight - 1_000)):
        await books.book([record])  # the last one ended in October, and was booked behind one of November
    await site.pay("acme", "-0.07", midnight - 1, EntryKind.MINIMUM, "minimum/2026-10")
    await SqlCheckpoints(site.database).close(midnight, "ann", None, midnight + 10_000)
    shown = await site.shown((await site.run("2026-10", "2026-11-02"))["acme"].number)
    assert {line.section.value: line.calls for line in shown.document.lines} == {"calls": 3, "minimum": 1}
    await books.book([of(5, far)])
    november = await site.shown((await site.run("2026-11", "2026-12-02"))["acme"].number)
    assert {line.section.value: line.calls for line in november.document.lines} == {"calls": 1}
    assert november.opening == shown.closing
    statements = []
    for month in (10, 11):
        order = ShowStatements(month=Month(2026, month), zone=ZONE, accounts=("acme",))
        async with aclosing(show_statements(site.office, operator(), order)) as sheets:
            statements.append(await anext(sheets))
    counted = [{each.kind: each.count for each in statement.movements} for statement in statements]
    assert counted == [{"call": 2, "minimum": 1}, {"call": 2}]
    async with aclosing(site.office.stores.ledger.balances(midnight)) as balances:
        assert [format_amount(each.balance) async for each in balances if each.account == "acme"] == [
            statements[0].closing
        ]
    assert statements[0].closing == statements[1].opening
    assert statements[1].closing == november.closing
    await SqlCheckpoints(site.database).close(at("2026-12-01"), "ann", None, at("2026-12-03"))
    december = await site.shown((await site.run("2026-12", "2027-01-02"))["acme"].number)
    assert december.opening == november.closing
    counts = []
    for invoice in (shown, november, december):
        lists = read_invoiced_calls(site.office, operator(), ReadInvoicedCalls(id=invoice.id))
        counts.append(len("".join([part async for part in lists]).splitlines()) - 1)
    assert counts == [3, 1, 1]
    assert [each.paid for each in await site.listed()] == ["0.00", "0.00", "0.01"]


async def test_lines_by_prefix_have_prices_and_the_words_of_the_account(site: Site, database: Database) -> None:
    calls = [call(index, "acme", at("2026-10-05") + index, *SELL[index % 3]) for index in range(6)]
    calls += [call(6, "acme", at("2026-10-06"), *SELL[3]), call(7, "acme", at("2026-10-06"), *SELL[4])]
    converted = calls[6].fee_breakdown.replace('{"step":"fee"', '{"step":"exchange","from":"EUR"},{"step":"fee"', 1)
    assert converted != calls[6].fee_breakdown
    await SqlBooks(database).book([*calls[:6], msgspec.structs.replace(calls[6], fee_breakdown=converted), calls[7]])
    change = ChargeChange("customer", 0, Amounts(Decimal("0.02"), Decimal(0), 62))
    await SqlCorrections(database).book([Correction(calls[7].call_id, (change,), "c-1", "ann", "", at("2026-10-07"))])
    site = Site(
        database, issuer=IssuerTerms(name="Ours", lines=InvoiceLines.PREFIX, number="R-{number:04}", due_days=7)
    )
    run = (await site.run("2026-10", "2026-11-02"))["acme"]
    assert run.number == "R-0001"
    shown = await site.shown("R-0001")
    assert [(line.prefix, line.price, line.per, line.calls) for line in shown.document.lines] == [
        ("7", None, None, 1), ("4420", "0.0371", "minute", 2), ("44207", "0.0377", "minute", 2), ("99", None, None, 1),
        ("331", "0.09", "minute", 2),
    ]  # fmt: skip
    document = shown.document
    assert (document.issuer.name, document.recipient.name, document.recipient.address) == (
        "Ours", "Acme Ltd", ("Way 2", "12345 City"),
    )  # fmt: skip
    assert (document.issued_on, document.due_on, document.currency) == ("2026-11-02", "2026-11-09", "USD")
    assert (document.first_day, document.last_day) == ("2026-10-01", "2026-10-31")
    assert shown.due_at == "2026-11-09T23:00:00.000Z"  # the midnight of Berlin behind the ninth
    assert shown.due_on == "2026-11-09"

    defined = site.office.definitions
    defined.settings = replace(defined.settings, invoices=replace(site.settings, zone="Asia/Tokyo"))
    assert (await site.shown("R-0001")).due_on == "2026-11-09"
    assert [each.due_on for each in await site.listed()] == ["2026-11-09"]
    note = await cancel_invoice(site.office, operator(), CancelInvoice(id=shown.id))
    assert (note.due_on, note.due_at) == (None, None)
    assert [(each.due_on, each.due_at) for each in await site.listed()] == [(None, None), ("2026-11-09", None)]


async def test_an_invoice_of_an_agent_has_the_terms_that_are_configured_for_it(database: Database) -> None:
    terms = IssuerTerms(address=("Way 9",), tax_id="GB9", bank=("IBAN 9",), number="S-{number:03}", due_days=5)
    ours = IssuerTerms(name="Ours", tax_id="GB2", due_days=30)
    reseller = msgspec.structs.replace(account("reseller"), name="Seller Ltd")
    shop = account("shop", agent="reseller")
    site = Site(
        database, reseller, shop, account("carrier", type=AccountType.CLEARING), agents={"reseller": terms}, issuer=ours
    )
    await SqlBooks(database).book([sold_by("reseller", 1, at("2026-10-05"))])
    issued = (await site.run("2026-10", "2026-11-02"))["shop"]
    shown = await site.shown(issued.number)
    assert issued.number == "S-001"
    assert shown.document.issuer == InvoiceParty(
        account="reseller", name="Seller Ltd", address=("Way 9",), tax_id="GB9", bank=("IBAN 9",)
    )
    assert shown.document.due_on == "2026-11-07"


async def test_an_invoice_of_a_currency_without_cents_is_paid_by_whole_units(database: Database) -> None:
    site = Site(database, account("yen", currency="JPY"))
    rate = msgspec.structs.replace(applied_rate("28.435636", prefix="4420"), exchange_rate=Decimal(1), paid_in="JPY")
    await SqlBooks(database).book([call(1, "yen", at("2026-10-05"), "London", rate, 60_000)])
    issued = (await site.run("2026-10", "2026-11-02"))["yen"]
    payments, (listed,) = SqlPayments(database), await site.listed()
    assert (issued.gross, listed.currency, listed.state) == ("28.435636", "JPY", InvoiceState.OPEN)
    for amount, state in (("27", InvoiceState.PART_PAID), ("1", InvoiceState.PAID)):
        paid = Payment(
            account="yen", kind=EntryKind.PAYMENT, reference=amount, made_at=site.now, amount=Decimal(amount),
            currency="JPY",
        )  # fmt: skip
        await payments.add(paid)
        assert [each.state for each in await site.listed()] == [state]


async def test_a_draft_is_replaced_by_the_next_run_and_issued_once(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    early = (await site.run("2026-10", "2026-10-20", draft=True))["acme"]
    with pytest.raises(PeriodNotOverError):
        await site.run("2026-10", "2026-10-20")
    with pytest.raises(DraftEarlyError):
        await issue_invoice(site.office, operator(), IssueInvoice(id=early.id))
    await SqlBooks(site.database).book([call(2, "acme", at("2026-10-25"), *SELL[0])])
    draft = (await site.run("2026-10", "2026-11-02", draft=True))["acme"]
    assert (draft.outcome, draft.number) == (InvoiceOutcome.DRAFT, None)
    assert [each.id for each in await site.listed()] == [draft.id]
    assert await site.listed(customer("acme")) == []
    assert print_is_pdf(await print_invoice(site.office, operator(), PrintInvoice(id=draft.id)))
    issued = await issue_invoice(site.office, operator(), IssueInvoice(id=draft.id))
    assert (issued.number, issued.state) == ("2026-000001", InvoiceState.OPEN)
    with pytest.raises(NotADraftError):
        await issue_invoice(site.office, operator(), IssueInvoice(id=draft.id))
    audit = await list_audit(site.office, operator(), ListAudit())
    assert [each.action for each in audit][-3:] in (
        ["RunInvoices", "RunInvoices", "IssueInvoice"], ["IssueInvoice", "RunInvoices", "RunInvoices"],
    )  # fmt: skip


def print_is_pdf(content: bytes) -> bool:
    return content.startswith(b"%PDF")


async def test_money_pays_the_oldest_invoice_and_a_named_payment_its_own(site: Site) -> None:
    rate = applied_rate("60", prefix="4420")  # a unit a second
    books = SqlBooks(site.database)
    for month, seconds in ((9, 10), (10, 20), (11, 30)):
        await books.book([call(month, "acme", at(f"2026-{month:02}-05"), "London", rate, 1_000 * seconds)])
        await site.run(f"2026-{month:02}", f"2026-{month + 1:02}-02")
    first, second, third = reversed(await site.listed())
    assert [each.gross for each in (first, second, third)] == ["10.00", "20.00", "30.00"]
    assert {each.state for each in (first, second)} == {InvoiceState.OVERDUE}
    await pay_invoice(site.office, operator(), PayInvoice(id=third.id, amount=Decimal(12), reference="bank 7"))
    await pay_invoice(site.office, operator(), PayInvoice(id=third.id, amount=Decimal(12), reference="bank 7"))
    await site.pay("acme", "15", site.now)

    async def states() -> list[tuple[str, InvoiceState]]:
        return [(each.paid, each.state) for each in reversed(await site.listed(account="acme"))]

    assert await states() == [
        ("10.00", InvoiceState.PAID), ("5.00", InvoiceState.OVERDUE), ("12.00", InvoiceState.PART_PAID),
    ]  # fmt: skip
    await pay_invoice(site.office, operator(), PayInvoice(id=third.id))
    with pytest.raises(OrderError):
        await pay_invoice(site.office, operator(), PayInvoice(id=third.id))
    assert await states() == [
        ("10.00", InvoiceState.PAID), ("5.00", InvoiceState.OVERDUE), ("30.00", InvoiceState.PAID),
    ]  # fmt: skip
    assert [each.period for each in await site.listed(state=InvoiceState.OVERDUE)] == ["2026-10"]
    before = third.digest
    assert (await site.shown(third.number)).digest == before


async def test_a_credit_note_takes_the_last_invoice_back_and_its_charges_come_again(site: Site) -> None:
    books = SqlBooks(site.database)
    await books.book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    await books.book([call(2, "acme", at("2026-11-05"), *SELL[0])])
    await site.run("2026-11", "2026-12-02")
    second, first = await site.listed()
    with pytest.raises(InvoiceMovedError):
        await cancel_invoice(site.office, operator(), CancelInvoice(id=first.id))
    note = await cancel_invoice(site.office, operator(), CancelInvoice(id=second.id, memo="wrong address"))
    assert (note.number, note.kind, note.gross, note.cancels) == (
        "C2026-000001", "credit_note", f"-{second.gross}", second.id,
    )  # fmt: skip
    shown = [await show_invoice(site.office, operator(), ShowInvoice(id=each.id)) for each in (first, second, note)]
    assert [each.credit_note and (each.credit_note.id, each.credit_note.number) for each in shown] == [
        None, (note.id, note.number), None,
    ]  # fmt: skip
    with pytest.raises(NotIssuedError):
        await cancel_invoice(site.office, operator(), CancelInvoice(id=second.id))
    with pytest.raises(NotIssuedError):
        await pay_invoice(site.office, operator(), PayInvoice(id=note.id))
    again = (await site.run("2026-11", "2026-12-02"))["acme"]
    assert (again.number, again.gross) == ("2026-000003", second.gross)
    assert [each.state for each in await site.listed()] == [
        InvoiceState.OPEN, InvoiceState.ISSUED, InvoiceState.CANCELLED, InvoiceState.OVERDUE,
    ]  # fmt: skip


async def test_invoices_of_a_state_are_those_of_all_and_cost_statements_by_pages_not_by_accounts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"shop{index}" for index in range(6)]
    site = Site(database, *map(account, names), account("carrier", type=AccountType.CLEARING))
    rate = applied_rate("60", prefix="4420")  # a unit a second
    books = SqlBooks(database)
    for month in (9, 10, 11):
        calls = [call(10 * month + index, name, at(f"2026-{month:02}-05"), "London", rate, 10_000)
                 for index, name in enumerate(names)]  # fmt: skip
        await books.book(calls)
        await site.run(f"2026-{month:02}", f"2026-{month + 1:02}-02")
    for index, name in enumerate(names):
        for paid in range(index):
            await site.pay(name, "5" if paid else "10", site.now + paid)
    newest = {each.account: each for each in reversed(await site.listed())}
    await cancel_invoice(site.office, operator(), CancelInvoice(id=newest["shop0"].id))
    await site.run("2026-11", "2026-12-02", "shop0", draft=True)
    await pay_invoice(site.office, operator(), PayInvoice(id=newest["shop1"].id, amount=Decimal(7), reference="b 1"))
    everything = await site.listed()
    assert {each.state for each in everything} == set(InvoiceState)
    asked: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda _c, _k, each, *_: asked.append(each))
    for state in InvoiceState:
        asked.clear()
        assert await site.listed(state=state) == [each for each in everything if each.state is state]
        assert len(asked) <= 12
    monkeypatch.setattr("vosd.admin.office.invoices.LISTED_MAX", 2)
    for state, oldest_first in product(InvoiceState, (False, True)):
        wanted = [each for each in everything if each.state is state]
        asked.clear()
        found = await site.listed(state=state, oldest_first=oldest_first)
        assert found == (wanted[::-1] if oldest_first else wanted)
        owed = [
            each for each in asked if each.startswith("SELECT") and "ledger_entry" in each and "sum(" in each.lower()
        ]
        assert len(owed) <= len(names), "what an account has paid is asked once"


async def test_accounts_without_charges_cost_a_run_few_statements(database: Database) -> None:
    site = Site(database)
    await SqlBooks(database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    for name in ("acme", *(f"idle{number}" for number in range(10))):
        await site.pay(name, "5", site.now)
    asked: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda _c, _k, each, *_: asked.append(each))
    assert await site.run("2026-11", "2026-12-02") == {}
    assert sum("ledger_entry" in each for each in asked) <= 11
    await SqlBooks(database).book([call(2, "idle3", at("2026-12-05"), *SELL[0])])
    made = await site.run("2026-12", "2027-01-02")
    assert [(name, each.outcome) for name, each in made.items()] == [("idle3", InvoiceOutcome.ISSUED)]


async def test_the_minimum_of_a_vendor_is_on_no_invoice_and_in_no_revenue(database: Database) -> None:
    acme = account("acme", minimum_consumption=Decimal(50))
    carrier = account("carrier", type=AccountType.CLEARING, minimum_consumption=Decimal(1000))
    site = Site(database, acme, carrier)
    site.now = at("2026-11-02")
    charged = call(1, "acme", at("2026-10-05"), *SELL[0])
    await SqlBooks(database).book([charged])
    missing = {"acme": 50 - charged.fee, "carrier": 1000 - (charged.cost or 0)}

    async def book() -> dict[str, MinimumSheet]:
        order = BookMinimums(Month(2026, 10), "Europe/Berlin")
        return {each.account: each for each in await book_minimums(site.office, operator(), order)}

    booked = await book()
    assert {name: Decimal(each.charged) for name, each in booked.items()} == missing
    async with aclosing(add_up_calls(site.office, operator(), AddUpCalls())) as steps:
        async for _ in steps:
            pass
    order = ShowReport(name="revenue", since=at("2026-10-01"), until=at("2026-11-01"), zone=ZONE, group="whole")
    report = await show_report(site.office, operator(), order)
    assert [(row["customer_account"], Decimal(str(row["minimum"]))) for row in report.rows] == [
        ("acme", missing["acme"])
    ]

    with pytest.raises(OrderError, match="`accounts` names carrier, a vendor's account"):
        await site.run("2026-10", "2026-11-02", "carrier")
    later = Site(database, acme)  # the vendor is configured no longer
    assert (await later.run("2026-10", "2026-11-02")).keys() == {"acme"}
    assert (await later.run("2026-10", "2026-11-02", "carrier"))["carrier"].outcome is InvoiceOutcome.NOTHING
    assert {each.outcome for each in (await book()).values()} == {MinimumOutcome.BOOKED_BEFORE.value}


async def test_revenue_is_shown_without_minimums_where_old_entries_were_dropped(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    async with aclosing(add_up_calls(site.office, operator(), AddUpCalls())) as steps:
        async for _ in steps:
            pass
    order = ShowReport(name="revenue", since=at("2026-10-01"), until=at("2026-11-01"), zone=ZONE, group="whole")
    before = await show_report(site.office, operator(), order)
    async with site.database.writing() as connection:
        await note_dropped(connection, RecordKind.PAYMENTS, at("2026-10-15"))
    after = await show_report(site.office, operator(), order)
    assert {"minimum", "corrections"} == before.rows[0].keys() - after.rows[0].keys()
    assert [row | after.rows[place] for place, row in enumerate(before.rows)] == before.rows
    assert [each for each in before.columns if each.name not in {"minimum", "corrections"}] == [*after.columns]


async def test_an_invoice_whose_payment_was_returned_is_paid_by_a_reference_of_its_own(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    await pay_invoice(site.office, operator(), PayInvoice(id=issued.id))
    await site.pay("acme", f"-{issued.gross}", site.now, EntryKind.REFUND, f"invoice/{issued.number} return")
    for amount in (None, Decimal(issued.gross)):
        with pytest.raises(OrderError, match="`reference` is missing: invoice 2026-000001 had a payment of"):
            await pay_invoice(site.office, operator(), PayInvoice(id=issued.id, amount=amount))
    await pay_invoice(site.office, operator(), PayInvoice(id=issued.id, reference="bank 8"))
    assert [each.state for each in await site.listed()] == [InvoiceState.PAID]


async def test_an_invoice_is_not_paid_by_what_a_payment_below_zero_takes_back_until_that_is_undone(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    await pay_invoice(site.office, operator(), PayInvoice(id=issued.id))
    await site.pay("acme", f"-{issued.gross}", site.now)
    assert [each.state for each in await site.listed()] == [InvoiceState.OPEN]
    *_, back = await site.entries("acme")
    await undo_payment(site.office, operator(), UndoPayment(id=back.id))
    assert [each.state for each in await site.listed()] == [InvoiceState.PAID]


async def test_the_payment_of_an_invoice_is_found_though_a_replica_does_not_have_it_yet(tmp_path: Path) -> None:
    database = Database(migrated(tmp_path / "vosd.db"), replica=migrated(tmp_path / "copy.db"))
    site = Site(database, account("acme", invoice=TERMS))
    await SqlBooks(database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    part = PayInvoice(id=issued.id, amount=Decimal("0.01"))
    await pay_invoice(site.office, operator(), part)
    with pytest.raises(OrderError, match=r"had a payment of 0\.01 without one at 2026-11-"):
        await pay_invoice(site.office, operator(), part)
    await database.close()


async def test_a_reference_names_no_invoice_that_its_account_does_not_have(site: Site) -> None:
    """The money would pay a later invoice of that number, and what it was meant for would be overdue again."""
    typed = BookPayment(account="acme", amount=Decimal("0.01"), reference="invoice/2026-000002 bank 7")
    await book_payment(site.office, operator(), typed)  # the account has none: other software may invoice it
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    (again,) = await book_payment(site.office, operator(), typed)
    assert again.repeated
    said = "names invoice 2026-000002, and account acme has none of that number: correct the number"
    for kind in (PaymentType.PAYMENT, PaymentType.REFUND, PaymentType.ADJUSTMENT):
        wrong = msgspec.structs.replace(typed, reference="invoice/2026-000002", type=kind)
        with pytest.raises(OrderError, match=said):
            await book_payment(site.office, operator(), wrong)
    move = MoveMoney(source="shop", target="acme", amount=Decimal(1), reference="invoice/2026-000002", force=True)
    with pytest.raises(OrderError, match=said):
        await move_money(site.office, operator(), move)
    with pytest.raises(ContentRefused):  # MariaDB finds the invoices of acme
        await move_money(site.office, operator(), msgspec.structs.replace(move, target="acme "))
    await move_money(site.office, operator(), msgspec.structs.replace(move, reference="invoice/2026-000001"))
    (again, _) = await move_money(
        site.office, operator(), msgspec.structs.replace(move, reference="invoice/2026-000001")
    )
    assert again.repeated
    file = "account,amount,reference\nacme,1,{0}\nacme,1,invoice/2026-000001\nacme,1,invoice/{{{1}}}\n"
    text = file.format("invoice/2026-000002", issued.id)
    lines = tuple(read_payment_file(io.StringIO(text)))
    with pytest.raises(BadPaymentFile, match=f"^nothing was booked:\nline 2: `reference` {said}[^\n]*$"):
        await read_payments(site.office, operator(), ReadPayments(content=text))
    with pytest.raises(BadPaymentFile, match=f"^nothing was booked:\nline 2: `reference` {said}[^\n]*$"):
        await import_payments(site.office, operator(), ImportPayments(lines))
    await import_payments(site.office, operator(), ImportPayments(lines[1:]))


async def test_the_invoices_that_a_file_of_payments_names_are_looked_up_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    names_of = SqlInvoices.names_of

    async def noted(self: SqlInvoices, accounts: Collection[str]) -> Mapping[str, Set[str]]:
        asked.append({*accounts})
        return await names_of(self, accounts)

    monkeypatch.setattr(SqlInvoices, "names_of", noted)
    lines = [f"{name},1,invoice/2026-{number}" for name in ("acme", "shop") for number in range(20)]
    text = "\n".join(["account,amount,reference", "idle,1,bank 7", *lines])
    await read_payments(site.office, operator(), ReadPayments(content=text))
    assert asked == [{"acme", "shop"}]


@pytest.mark.parametrize("has_other_number", [False, True])
async def test_what_an_agent_pays_for_a_customer_is_nothing_of_its_own_invoice(
    database: Database, has_other_number: bool
) -> None:
    """Its entry has the reference of the customer's: by the number of an own invoice that one would be overdue."""
    site = Site(database, *ACCOUNTS[:2], msgspec.structs.replace(ACCOUNTS[2], overdraft_limit=None), *ACCOUNTS[3:])
    calls = [call(1, "shop", at("2026-10-05"), *SELL[0])]
    if has_other_number:
        calls.append(call(2, "acme", at("2026-10-05"), *SELL[0]))
    await SqlBooks(database).book(calls)
    await site.run("2026-10", "2026-11-02")
    (own,), (sold,) = await site.listed(account="reseller"), await site.listed(account="shop")
    assert (own.number != sold.number) is has_other_number
    await pay_invoice(site.office, operator(), PayInvoice(id=own.id))
    paid = await pay_invoice(site.office, agent("reseller"), PayInvoice(id=sold.id))
    assert isinstance(paid, tuple)

    async def states() -> list[InvoiceState]:
        return [(await site.listed(account=name))[0].state for name in ("reseller", "shop")]

    assert await states() == [InvoiceState.PAID, InvoiceState.PAID]
    assert paid[0].id is not None
    await undo_payment(site.office, operator(), UndoPayment(id=paid[0].id))
    assert await states() == [InvoiceState.PAID, InvoiceState.OPEN]


def test_a_payment_for_an_invoice_takes_no_money() -> None:
    with pytest.raises(OrderError, match=r"`amount` .* what was received: book what was returned as a refund"):
        PayInvoice(id=1, amount=Decimal("-0.01"), reference="typo")


async def test_invoices_of_two_issuers_with_one_number_are_paid_apart(site: Site) -> None:
    for month, issuer in ((10, ""), (11, "reseller")):
        await SqlBooks(site.database).book([sold_by(issuer, month, at(f"2026-{month}-05"))])
        await site.run(f"2026-{month}", f"2026-{month + 1}-02", "shop")
    first, second = await site.listed(account="shop", oldest_first=True)
    assert (first.number, second.number) == ("2026-000001", "2026-000001")
    await pay_invoice(site.office, operator(), PayInvoice(id=second.id))
    await pay_invoice(site.office, operator(), PayInvoice(id=second.id, amount=Decimal("0.001"), reference="bank 7"))

    async def paid() -> list[str]:
        return [each.paid for each in await site.listed(account="shop", oldest_first=True)]

    assert await paid() == ["0.001", second.gross]
    await pay_invoice(site.office, operator(), PayInvoice(id=first.id))
    assert await paid() == [first.gross, second.gross]
    named = f"{{{second.id}}}"
    references = [each.reference for each in await site.entries("shop") if each.kind == "payment"]
    assert references == [f"invoice/{named}", f"invoice/{named} bank 7", "invoice/2026-000001"]
    back = f"invoice/{named} return"
    await site.pay("shop", f"-{second.gross}", site.now, EntryKind.REFUND, back)
    # The number is that of both: its money pays the whole units of the first, and its rest goes to the second.
    assert await paid() == ["0.04", format_amount(Decimal(first.gross) - Decimal("0.04"))]


async def test_the_second_of_two_equal_parts_of_an_invoice_is_not_taken_for_the_first(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    half = PayInvoice(id=issued.id, amount=Decimal(issued.gross) / 2)
    await pay_invoice(site.office, operator(), half)
    paid = f"of {format_amount(half.amount)} without one at 2026-11-01T23:00:00.000Z: if this is that payment, nothing"
    with pytest.raises(OrderError, match=f"`reference` is missing: invoice 2026-000001 .* {paid}"):
        await pay_invoice(site.office, operator(), half)
    await pay_invoice(site.office, operator(), msgspec.structs.replace(half, reference="second half"))
    assert [(each.state, each.paid) for each in await site.listed()] == [(InvoiceState.PAID, issued.gross)]


async def test_the_second_part_of_an_invoice_is_not_taken_for_the_first_that_waits_for_a_second_person(
    database: Database,
) -> None:
    site = Site(database, confirm_above=Decimal("0.01"))
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    half = PayInvoice(id=issued.id, amount=Decimal(issued.gross) / 2)
    first = await pay_invoice(site.office, operator(), half)
    asked = f"{format_amount(half.amount)} without one waits for invoice 2026-000001 since 2026-11-01T23:00:00.000Z"
    with pytest.raises(OrderError, match=f"`reference` is missing: a payment of {asked}: if this is that payment"):
        await pay_invoice(site.office, operator(), half)
    second = await pay_invoice(site.office, operator(), msgspec.structs.replace(half, reference="second half"))
    assert await list_waiting_payments(site.office, operator(), ListWaitingPayments()) == [first, second]


async def test_a_minimum_that_the_account_has_as_that_of_a_customer_is_not_booked_again(database: Database) -> None:
    site = Site(database, account("carrier", type=AccountType.CLEARING, minimum_consumption=Decimal(1000)))
    site.now = at("2026-11-02")
    await SqlBooks(database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.pay("carrier", "-999", at("2026-11-01") - 1, EntryKind.MINIMUM, "minimum/2026-10")
    (sheet,) = await book_minimums(site.office, operator(), BookMinimums(Month(2026, 10), ZONE))
    assert (sheet.outcome, sheet.charged) == (MinimumOutcome.BOOKED_BEFORE.value, "999.00")


@pytest.mark.parametrize("kind", [RecordKind.CALLS, RecordKind.PAYMENTS])
async def test_an_invoice_that_could_not_be_made_again_is_not_taken_back(site: Site, kind: RecordKind) -> None:
    calls = [call(1, "acme", at("2026-10-05"), *SELL[0]), call(2, "acme", at("2026-11-05"), *SELL[0])]
    await SqlBooks(site.database).book(calls)
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()

    async def drop_until(day: str) -> None:
        async with site.database.writing() as connection:
            await note_dropped(connection, kind, at(day))

    await drop_until("2026-10-05")
    with pytest.raises(DroppedPeriod, match=r"invoice 2026-000001 cannot be made again: (calls|ledger entries) from"):
        await cancel_invoice(site.office, operator(), CancelInvoice(id=issued.id))
    assert await site.listed() == [issued]

    await site.run("2026-11", "2026-12-02")
    later = (await site.listed())[0]
    await drop_until("2026-11-01")
    note = await cancel_invoice(site.office, operator(), CancelInvoice(id=later.id))
    assert note.cancels == later.id


@pytest.mark.parametrize(
    ("paid_on", "left", "is_asked"),
    [
        ("2026-10-20", "0", False),
        ("2026-10-20", "0.003", False),
        ("2026-10-20", "0.01", True),
        ("2026-11-01", "0", False),
        ("2026-11-03", "0", True),
    ],
    ids=["paid before", "all but what no bank transfers", "all but a cent", "paid before it was issued", "paid later"],
)
async def test_an_invoice_asks_for_nothing_where_it_is_paid_when_it_is_issued(
    site: Site, paid_on: str, left: str, is_asked: bool
) -> None:
    """A customer who is asked once more may pay twice."""
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0], held_ms=6_001_000)])
    gross = (await site.run("2026-10", "2026-11-02T12", "acme", draft=True))["acme"].gross
    assert gross is not None
    is_later = paid_on > "2026-11-02"
    if not is_later:
        await site.pay("acme", format_amount(Decimal(gross) - Decimal(left)), at(paid_on))
    run = (await site.run("2026-10", "2026-11-02T12", "acme"))["acme"]
    if is_later:
        await site.pay("acme", gross, at(paid_on))
    assert run.id is not None
    shown = await show_invoice(site.office, operator(), ShowInvoice(id=run.id))
    assert shown.document.is_settled is not is_asked
    assert (shown.state is InvoiceState.PAID) is (is_later or not is_asked)
    pages = PdfReader(io.BytesIO(await print_invoice(site.office, operator(), PrintInvoice(id=run.id)))).pages
    assert ("Please pay by" in pages[0].extract_text()) is is_asked
    settings = site.office.definitions.settings
    async with listening("ehlo", "mail from:<vosd@example.com>", "rcpt to:<books@example.com>", "data") as postbox:
        server = MailSettings("127.0.0.1", postbox.port, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)
        site.office.definitions.settings = replace(settings, alarms=replace(settings.alarms, mail=server))
        order = SendInvoice(id=run.id, to=("books@example.com",))
        await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)
        message = await asyncio.wait_for(postbox.mails.get(), 60)
    assert ("Please pay by" in message.get_body().get_content()) is (is_asked and not is_later)


async def test_an_invoice_whose_payment_bounced_before_it_was_issued_asks_for_it(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0], held_ms=6_001_000)])
    gross = (await site.run("2026-10", "2026-11-02T12", "acme", draft=True))["acme"].gross
    await site.pay("acme", gross, at("2026-10-20"))
    await site.pay("acme", f"-{gross}", at("2026-11-01"))
    run = (await site.run("2026-10", "2026-11-02T12", "acme"))["acme"]
    shown = await show_invoice(site.office, operator(), ShowInvoice(id=run.id))
    assert (shown.state, shown.document.is_settled) == (InvoiceState.OPEN, False)


async def test_an_issued_invoice_is_mailed_as_pdf_and_noted(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    run = (await site.run("2026-10", "2026-11-02", draft=True))["acme"]
    assert run.id is not None
    order = SendInvoice(id=run.id, to=("books@example.com",))
    with pytest.raises(NotIssuedError):
        await send_invoice(site.office, operator(), order)
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    order = msgspec.structs.replace(order, id=issued.id)
    with pytest.raises(OrderError, match=r"has no `invoice\.mail`"):
        await send_invoice(site.office, operator(), SendInvoice(id=issued.id))
    with pytest.raises(InvoiceNotSentError, match="no mail server is configured"):
        await send_invoice(site.office, operator(), order)
    settings = site.office.definitions.settings
    async with listening("ehlo", "mail from:<vosd@example.com>", "rcpt to:<books@example.com>", "data") as postbox:
        server = MailSettings("127.0.0.1", postbox.port, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)
        site.office.definitions.settings = replace(settings, alarms=replace(settings.alarms, mail=server))
        sent = await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)
        message = await asyncio.wait_for(postbox.mails.get(), 60)
        postbox.refusals = 1
        with pytest.raises(InvoiceNotSentError, match=r"127\.0\.0\.1 has not taken the mail"):
            await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)
        postbox.taken_answer = b""
        with pytest.raises(InvoiceNotSentError, match="not confirmed the mail: the server may have the mail"):
            await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)
    assert (sent.sent_at, sent.digest, sent.state) == (iso_utc(site.now), issued.digest, InvoiceState.OPEN)
    (line,) = await list_audit(site.office, operator(), ListAudit(action="SendInvoice"))
    assert line.subject == "acme"
    assert (message["To"], message["Subject"]) == ("books@example.com", "Invoice 2026-000001")
    (pdf,) = message.iter_attachments()
    assert (pdf.get_filename(), print_is_pdf(pdf.get_content())) == ("2026-000001.pdf", True)
    assert postbox.faults == []
    with pytest.raises(OrderError, match="is no address"):
        SendInvoice(id=1, to=("books@example.com\r\nBcc: all@example.com",))


async def unsent(site: Site) -> list[str]:
    return [*(await list_unsent(site.office, operator(), ListUnsent(period="2026-10"))).values()]


async def test_all_unsent_invoices_of_a_period_are_found_the_oldest_first(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vosd.admin.office.mailed_invoices.LISTED_MAX", 2)
    names = ("acme", "reseller", "peer", "idle")
    calls = [call(place, name, at("2026-10-05"), *SELL[0]) for place, name in enumerate(names, 1)]
    await SqlBooks(site.database).book(calls)
    await site.run("2026-10", "2026-11-02")
    await site.run("2026-11", "2026-12-02")
    numbers = [f"2026-00000{place}" for place in range(1, 5)]
    assert await unsent(site) == numbers
    for each in (await site.listed(oldest_first=True))[:2]:
        await mailed(site, each.id)
    assert await unsent(site) == numbers[2:]
    for order in (ListUnsent, ListInvoices):
        with pytest.raises(BadPeriodError):
            order(period="2026-13")


async def test_a_list_of_more_invoices_than_a_page_has_all_of_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("acme", "reseller", "peer")
    calls = [call(place, name, at("2026-10-05"), *SELL[0]) for place, name in enumerate(names, 1)]
    await SqlBooks(site.database).book(calls)
    await site.run("2026-10", "2026-11-02")
    whole = await site.listed()
    assert [each.due_on for each in whole] == ["2026-11-16"] * 3
    assert ListInvoices().limit is None
    monkeypatch.setattr("vosd.admin.office.invoices.LISTED_MAX", 1)
    assert await site.listed(state=InvoiceState.OPEN) == whole
    assert await site.listed(oldest_first=True) == whole[::-1]
    assert await site.listed(limit=2) == whole[:2]
    assert await site.listed(limit=2, after=whole[1].id) == whole[2:]


async def test_a_cancelled_invoice_is_not_mailed_and_its_credit_note_only_where_the_invoice_was(site: Site) -> None:
    await SqlBooks(site.database).book([
        call(place, name, at("2026-10-05"), *SELL[0]) for place, name in enumerate(("acme", "reseller"), 1)
    ])  # fmt: skip
    await site.run("2026-10", "2026-11-02")
    first, second = await site.listed(oldest_first=True)
    await mailed(site, first.id)
    for each in (first, second):
        await cancel_invoice(site.office, operator(), CancelInvoice(id=each.id))
    assert await unsent(site) == ["C2026-000001"]
    await site.run("2026-10", "2026-11-02")
    assert await unsent(site) == ["C2026-000001", "2026-000003", "2026-000004"]
    with pytest.raises(NotIssuedError, match="2026-000002 is cancelled: its credit note can be sent"):
        await mailed(site, second.id)


async def test_an_invoice_that_is_cancelled_while_it_is_mailed_is_not_answered_as_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    begun, taken = threading.Event(), threading.Event()

    def deliver(*_: object) -> dict[str, tuple[int, bytes]]:
        begun.set()
        taken.wait()
        return {}

    monkeypatch.setattr("vosd.admin.office.mailed_invoices.deliver", deliver)
    mailing = asyncio.ensure_future(mailed(site, issued.id))
    await asyncio.to_thread(begun.wait)
    await cancel_invoice(site.office, operator(), CancelInvoice(id=issued.id))
    taken.set()
    with pytest.raises(NotIssuedError, match="2026-000001 was cancelled while it was mailed: send its credit note"):
        await mailing
    assert await unsent(site) == ["C2026-000001"], "its credit note is sent where the invoice was"


async def test_two_orders_at_once_mail_an_invoice_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    begun, taken, mails = threading.Event(), threading.Event(), 0

    def deliver(*_: object) -> dict[str, tuple[int, bytes]]:
        nonlocal mails
        mails += 1
        begun.set()
        taken.wait()
        if mails == 1:
            raise ConnectionResetError
        return {}

    monkeypatch.setattr("vosd.admin.office.mailed_invoices.deliver", deliver)
    for why in (InvoiceNotSentError, None):
        begun.clear()
        taken.clear()
        mailing = asyncio.ensure_future(mailed(site, issued.id))
        try:
            await asyncio.to_thread(begun.wait)
            with pytest.raises(InvoiceNotSentError, match="another order mails 2026-000001 at this moment"):
                await mailed(site, issued.id)
        finally:
            taken.set()
            found = await asyncio.gather(mailing, return_exceptions=True)
        assert [type(each) for each in found] == [why or type(None)], "one that failed keeps no other from it"
    assert mails == 2
    order = SendInvoice(id=issued.id, to=("books@example.com",))
    sent = await send_invoice(site.office, operator(), order, is_repeated=False)
    assert (mails, sent.sent_at) == (2, iso_utc(site.now)), "a run of all unsent ones mails it no more"
    await mailed(site, issued.id)
    assert mails == 3


async def test_a_mail_that_is_noted_and_cannot_be_read_again_is_not_said_to_have_failed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    issued = (await site.run("2026-10", "2026-11-02"))["acme"]

    async def away(*_: object) -> Mapping[int, str]:
        raise StoreUnavailable("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr("vosd.admin.office.mailed_invoices.deliver", lambda *_: {})
        patched.setattr(SqlInvoices, "due_days", away)
        with pytest.raises(OutcomeUnknown):
            await mailed(site, issued.id)
    assert [each.sent_at for each in await site.listed()] == [iso_utc(site.now)]


async def test_calls_by_one_prefix_stand_on_the_invoice_in_the_area_of_each_where_areas_go_by_the_number(
    site: Site,
) -> None:
    """The first and the last call of the prefix are of one area, and those between them are not."""
    plain = applied_rate("0.60", prefix="44", tax_rate="19")
    named = msgspec.structs.replace(plain, version=f"3-0123456789abcdef{BY_NUMBER}")
    areas = ("United Kingdom", "UK mobile", "UK mobile", "", "United Kingdom")
    calls = [call(index, "acme", at(f"2026-10-0{index}"), area, named) for index, area in enumerate(areas, start=1)]
    await SqlBooks(site.database).book([*calls, call(9, "acme", at("2026-10-09"), "United Kingdom", plain)])
    half = ChargeChange("customer", 0, Amounts(Decimal("0.31"), Decimal("0.0589"), 62), Decimal(19))
    await SqlCorrections(site.database).book(
        [Correction(each.call_id, (half,), "again", "ann", "half", at("2026-11-05")) for each in calls[:3]]
    )
    october, november = [
        (await site.shown((await site.run(*when))["acme"].number)).document.lines
        for when in (("2026-10", "2026-11-02"), ("2026-11", "2026-12-02"))
    ]
    assert [(each.area, each.calls, each.net) for each in october] == [
        ("", 1, "0.62"), ("UK mobile", 2, "1.24"), ("United Kingdom", 3, "1.86"),
    ]  # fmt: skip
    assert [(each.area, each.calls, each.net) for each in november] == [
        ("UK mobile", 2, "-0.62"), ("United Kingdom", 1, "-0.31"),
    ]  # fmt: skip


@pytest.mark.parametrize("reference", ["bank-7", None])
async def test_a_payment_of_an_invoice_whose_outcome_is_not_known_is_ordered_again_by_the_reference_that_it_had(
    site: Site, monkeypatch: pytest.MonkeyPatch, reference: str | None
) -> None:
    """The reference of the entry names the invoice as well; that of the order may be of a key which is sent once."""
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    own, order = SqlPayments.add, PayInvoice(id=issued.id, amount=Decimal(issued.gross), reference=reference)

    async def lost(*arguments: Any, **named: Any) -> None:
        await own(*arguments, **named)
        raise OutcomeUnknown("the database went away")

    with monkeypatch.context() as patched:
        patched.setattr(SqlPayments, "add", lost)
        with pytest.raises(OutcomeUnknown) as unknown:
            await pay_invoice(site.office, operator(), order)
    under = "" if reference is None else f" under the reference {reference}"
    assert f"order the same again{under}, by which it is booked once" in unknown.value.remedy
    (receipt,) = await pay_invoice(site.office, operator(), order)
    assert receipt.repeated


async def test_an_order_finds_that_another_one_has_mailed_its_invoice_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    begun, go_on = asyncio.Barrier(3), asyncio.Event()

    async def slow(make: Callable[[], bytes]) -> bytes:
        await begun.wait()
        await go_on.wait()
        return await printed_beside(make)

    monkeypatch.setattr("vosd.admin.office.mailed_invoices.printed_beside", slow)
    settings = site.office.definitions.settings
    server = MailSettings("127.0.0.1", 1, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)
    site.office.definitions.settings = replace(settings, alarms=replace(settings.alarms, mail=server))
    order = SendInvoice(id=issued.id, to=("books@example.com",))
    late = [
        asyncio.ensure_future(send_invoice(site.office, operator(), order, is_repeated=each)) for each in (False, True)
    ]
    try:
        await begun.wait()
        monkeypatch.setattr("vosd.admin.office.mailed_invoices.printed_beside", printed_beside)
        await mailed(site, issued.id)
    finally:
        go_on.set()
        of_all, of_one = await asyncio.gather(*late, return_exceptions=True)
    assert isinstance(of_all, InvoiceSheet)
    assert of_all.sent_at == iso_utc(site.now)
    assert isinstance(of_one, InvoiceNotSentError)
    assert str(of_one) == "another order has mailed 2026-000001 just now: the same again mails it anew"


async def test_an_order_that_fails_in_an_unexpected_way_keeps_no_other_from_its_invoice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()

    def fail(*_: object) -> None:
        raise UnicodeError

    with monkeypatch.context() as patched:
        patched.setattr("vosd.admin.office.mailed_invoices.deliver", fail)
        with pytest.raises(UnicodeError):
            await mailed(site, issued.id)
    await mailed(site, issued.id)
    assert await unsent(site) == []


@pytest.mark.parametrize("is_taken", [True, False])
async def test_an_interrupted_order_notes_what_has_become_of_its_mail(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, is_taken: bool
) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    begun, answers = threading.Event(), threading.Event()

    def deliver(*_: object) -> dict[str, tuple[int, bytes]]:
        begun.set()
        answers.wait()
        if not is_taken:
            raise ConnectionResetError
        return {}

    settings = site.office.definitions.settings
    server = MailSettings("127.0.0.1", 1, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)
    site.office.definitions.settings = replace(settings, alarms=replace(settings.alarms, mail=server))
    order = SendInvoice(id=issued.id, to=("books@example.com",))
    with monkeypatch.context() as patched:
        patched.setattr("vosd.admin.office.mailed_invoices.deliver", deliver)
        mailing = asyncio.ensure_future(send_invoice(site.office, operator(), order))
        await asyncio.to_thread(begun.wait)
        for _ in range(2):  # the patience of its request is over, and then the process is to end
            mailing.cancel()
            await asyncio.sleep(0)
        answers.set()
        with pytest.raises(asyncio.CancelledError):
            await mailing
    assert await unsent(site) == ([] if is_taken else ["2026-000001"])
    lines = await list_audit(site.office, operator(), ListAudit(action="SendInvoice"))
    assert len(lines) == is_taken
    await mailed(site, issued.id)


async def test_an_order_that_was_killed_keeps_others_from_its_invoice_for_some_minutes(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    stored = site.office.stores.invoices
    assert await stored.claim(await stored.one(issued.id), site.now)
    for later in (-1_000, invoices.CLAIMED_MS):
        site.now += later
        with pytest.raises(InvoiceNotSentError, match="it can be sent after 20 minutes"):
            await mailed(site, issued.id)
    site.now += 1_001
    await mailed(site, issued.id)
    assert await unsent(site) == []


async def mailed(site: Site, number: int) -> None:
    order = SendInvoice(id=number, to=("books@example.com",))
    settings = site.office.definitions.settings
    async with listening("ehlo", "mail from:<vosd@example.com>", "rcpt to:<books@example.com>", "data") as postbox:
        server = MailSettings("127.0.0.1", postbox.port, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)
        site.office.definitions.settings = replace(settings, alarms=replace(settings.alarms, mail=server))
        await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)


async def test_the_calls_of_an_invoice_are_mailed_with_it_while_they_fit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed()
    order = SendInvoice(id=issued.id, to=("books@example.com",), calls=True)
    settings = site.office.definitions.settings
    async with listening("ehlo", "mail from:<vosd@example.com>", "rcpt to:<books@example.com>", "data") as postbox:
        server = MailSettings("127.0.0.1", postbox.port, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)
        site.office.definitions.settings = replace(settings, alarms=replace(settings.alarms, mail=server))
        await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)
        message = await asyncio.wait_for(postbox.mails.get(), 60)
        monkeypatch.setattr("vosd.admin.office.mailed_invoices.MOST_BYTES_OF_CALLS", 10)
        with pytest.raises(InvoiceNotSentError, match="invoice show 2026-000001 --calls FILE"):
            await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)
    _, calls = message.iter_attachments()
    assert calls.get_filename() == "2026-000001-calls.zip"
    with ZipFile(io.BytesIO(calls.get_content())) as archive:
        mailed = archive.read("calls.csv").decode()
    shown = [part async for part in read_invoiced_calls(site.office, operator(), ReadInvoicedCalls(id=issued.id))]
    assert mailed == "".join(shown)
    assert mailed.count("\n") == 2, "a header and one call"


async def test_an_address_that_the_mail_server_refuses_is_named_and_the_others_have_the_mail(site: Site) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    (issued,) = await site.listed(account="acme")
    order = SendInvoice(id=issued.id, to=("books@example.com", "gone@example.com"))
    settings = site.office.definitions.settings
    async with listening("ehlo", "mail from", "rcpt to:<books@example.com>", "rcpt to:<here@", "data") as postbox:
        server = MailSettings("127.0.0.1", postbox.port, "vosd@example.com", ("noc@example.com",), MailSecurity.NONE)
        site.office.definitions.settings = replace(settings, alarms=replace(settings.alarms, mail=server))
        with pytest.raises(
            InvoiceNotSentError, match=r"gone@example.com is refused: 503 bad sequence; the other addresses"
        ):
            await asyncio.wait_for(send_invoice(site.office, operator(), order), 60)
        assert postbox.mails.qsize() == 1
    (noted,) = await site.listed(account="acme")
    assert noted.sent_at is not None


@asynccontextmanager
async def listening(*commands: str) -> AsyncIterator[Postbox]:
    postbox = Postbox(commands)
    await postbox.listen()
    try:
        yield postbox
    finally:
        postbox.close()
        await turns(5)  # its connections are closed by the loop


async def test_charges_of_a_period_without_invoice_keep_the_next_one_from_being_made(site: Site) -> None:
    books = SqlBooks(site.database)
    await books.book([call(1, "acme", at("2026-09-05"), *SELL[0]), call(2, "acme", at("2026-10-05"), *SELL[0])])
    await books.book([call(3, "acme", at("2026-11-05"), *SELL[0])])
    await site.run("2026-09", "2026-10-02")
    run = (await site.run("2026-11", "2026-12-02"))["acme"]
    assert (run.outcome, run.detail) == (InvoiceOutcome.EARLIER_MISSING, "charges of 2026-10-05 are on no invoice")
    assert (await site.run("2026-10", "2026-12-02"))["acme"].outcome is InvoiceOutcome.ISSUED
    assert (await site.run("2026-11", "2026-12-02"))["acme"].outcome is InvoiceOutcome.ISSUED


FIRST_OR_ANEW = ": make that of the period of that day first, or begin with this period (anew)"


async def test_a_first_invoice_leaves_earlier_charges_out_only_where_that_is_ordered(site: Site) -> None:
    """A mistyped period would leave them on no invoice; who begins to make invoices late says so once, for all."""
    books, issued = SqlBooks(site.database), InvoiceOutcome.ISSUED
    days = [("acme", "2026-08-05"), ("acme", "2026-10-05"), ("peer", "2026-09-30"), ("peer", "2026-10-05")]
    await books.book([call(index, name, at(day), *SELL[0]) for index, (name, day) in enumerate(days)])
    await site.pay("acme", "7", at("2026-09-20"))
    for period in ("2026-10", "2026-12"):  # December has no charges
        runs = await site.run(period, "2027-01-02")
        assert {name: (run.outcome, run.detail) for name, run in runs.items()} == {
            name: (InvoiceOutcome.EARLIER_MISSING, f"charges of {day} are on no invoice{FIRST_OR_ANEW}")
            for name, day in (("acme", "2026-08-05"), ("peer", "2026-09-30"))
        }
    made = await site.run("2026-09", "2027-01-02", "peer")
    assert made["peer"].outcome is issued
    drafted = await site.run("2026-10", "2027-01-02", "acme", draft=True, anew=True)
    assert drafted["acme"].outcome is InvoiceOutcome.DRAFT
    again = await site.run("2026-10", "2027-01-02", "acme")  # a draft orders nothing
    assert again["acme"].detail == f"charges of 2026-08-05 are on no invoice{FIRST_OR_ANEW}"
    made = await site.run("2026-10", "2027-01-02", anew=True)
    assert {name: run.outcome for name, run in made.items()} == {"acme": issued, "peer": issued}
    assert [each.opening for each in await site.listed(period="2026-10", account="acme")] == ["6.954379"]
    assert [each.opening for each in await site.listed(period="2026-10", account="peer")] == ["-0.045621"]
    orders = await list_audit(site.office, operator(), ListAudit())
    assert {each.subject: each.detail["anew"] for each in orders[:2]} == {"acme": True, "peer": False}
    early = (await site.run("2026-08", "2027-01-02", "acme"))["acme"]
    last = (await site.listed(account="acme"))[0].number
    assert (early.outcome, early.number, early.detail) == (
        InvoiceOutcome.INVOICED_BEFORE, None, f"the last invoice, {last}, is of 2026-10",
    )  # fmt: skip


async def cancel_newest(site: Site) -> None:
    newest = (await site.listed(account="acme", state=InvoiceState.OPEN))[0]
    await cancel_invoice(site.office, operator(), CancelInvoice(id=newest.id))


async def test_a_first_invoice_that_was_cancelled_is_made_again_before_the_next_one(site: Site) -> None:
    async def run(period: str, *, anew: bool = False) -> tuple[InvoiceOutcome, str]:
        made = (await site.run(period, "2027-01-02", "acme", anew=anew))["acme"]
        return made.outcome, made.detail

    issued = InvoiceOutcome.ISSUED, ""
    missing = InvoiceOutcome.EARLIER_MISSING, f"charges of 2026-10-05 are on no invoice{FIRST_OR_ANEW}"
    books = SqlBooks(site.database)
    days = ("2026-08-05", "2026-10-05", "2026-11-05")
    await books.book([call(index, "acme", at(day), *SELL[0]) for index, day in enumerate(days)])
    assert [await run("2026-10", anew=True), await run("2026-11")] == [issued, issued]
    await cancel_newest(site)
    await cancel_newest(site)
    assert [await run("2026-11"), await run("2026-12")] == [missing, missing]  # December has no charges
    assert [await run("2026-10"), await run("2026-11")] == [issued, issued]
    november, october = await site.listed(account="acme", state=InvoiceState.OPEN)
    assert (october.period, november.period, november.opening) == ("2026-10", "2026-11", october.closing)
    for each in (october, november):
        assert [line.calls for line in (await site.shown(each.number)).document.lines] == [1]


async def in_force(site: Site) -> list[tuple[str, str, str, list[tuple[str, int]]]]:
    """Return period, opening and closing balance and calls by section of the invoices, the oldest first."""
    found = []
    for each in reversed(await site.listed(account="acme", state=InvoiceState.OPEN)):
        lines = (await site.shown(each.number)).document.lines
        found.append((each.period, each.opening, each.closing, [(line.section.value, line.calls) for line in lines]))
    return found


async def test_charges_that_cancelled_invoices_had_are_on_those_that_are_made_again(site: Site) -> None:
    books, one, issued = SqlBooks(site.database), Decimal("0.045621"), InvoiceOutcome.ISSUED
    await books.book(
        [call(index, "acme", at(f"2026-{month}-05"), *SELL[0]) for index, month in enumerate(("08", "10"))]
    )
    assert (await site.run("2026-10", "2027-01-02", "acme", anew=True))["acme"].outcome is issued
    late, of_november = call(2, "acme", at("2026-09-28"), *SELL[0]), call(3, "acme", at("2026-11-05"), *SELL[0])
    await books.book([late, of_november])
    assert (await site.run("2026-11", "2027-01-02"))["acme"].outcome is issued
    for _ in range(2):
        await cancel_newest(site)
    for period in ("2026-10", "2026-11"):
        assert (await site.run(period, "2027-01-02"))["acme"].outcome is issued
    assert await in_force(site) == [
        ("2026-10", format_amount(-one), format_amount(-3 * one), [("calls", 1), ("earlier_calls", 1)]),
        ("2026-11", format_amount(-3 * one), format_amount(-4 * one), [("calls", 1)]),
    ]
    for _ in range(2):
        await cancel_newest(site)
    # An earlier period may be the first one now: only what the cancelled ones left out stays in its opening balance.
    assert (await site.run("2026-09", "2027-01-02"))["acme"].outcome is InvoiceOutcome.ISSUED
    assert await in_force(site) == [("2026-09", format_amount(-one), format_amount(-2 * one), [("calls", 1)])]


async def test_a_cancellation_that_cannot_be_read_again_is_not_said_to_have_failed(site: Site, monkeypatch) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    issued = (await site.run("2026-10", "2026-11-02"))["acme"]

    async def away(*_: object) -> Mapping[int, str]:
        raise StoreUnavailable("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(SqlInvoices, "due_days", away)
        with pytest.raises(OutcomeUnknown):
            await cancel_invoice(site.office, operator(), CancelInvoice(id=issued.id))
    assert [each.number for each in await site.listed()] == ["C2026-000001", issued.number]


async def test_an_account_begins_anew_where_its_cancelled_invoices_are_not_to_be_made_again(site: Site) -> None:
    await SqlBooks(site.database).book([call(each, "acme", at(f"2026-{each}-05"), *SELL[0]) for each in (10, 11, 12)])
    await site.run("2026-10", "2027-01-02")
    with pytest.raises(OrderError, match=r"anew.*acme, whose invoice 2027-000001 is in force"):
        await site.run("2026-11", "2027-01-02", "acme", anew=True)
    await cancel_newest(site)
    for anew in (False, True):  # of all accounts those without any invoice alone begin anew
        made = await site.run("2026-11", "2027-01-02", anew=anew)
        assert made["acme"].outcome is InvoiceOutcome.EARLIER_MISSING
    assert (await site.run("2026-11", "2027-01-02", "acme", anew=True))["acme"].outcome is InvoiceOutcome.ISSUED
    november = [("2026-11", "-0.045621", "-0.091242", [("calls", 1)])]
    assert await in_force(site) == november
    assert (await list_audit(site.office, operator(), ListAudit()))[0].detail["anew"] is True
    await cancel_newest(site)  # what was begun anew stays so
    detail = (await site.run("2026-12", "2027-01-02"))["acme"].detail
    assert detail == f"charges of 2026-11-05 are on no invoice{FIRST_OR_ANEW}"
    assert (await site.run("2026-11", "2027-01-02"))["acme"].outcome is InvoiceOutcome.ISSUED
    assert await in_force(site) == november


async def test_charges_of_dropped_calls_do_not_keep_later_invoices_from_being_made(site: Site) -> None:
    days = ("2026-10-05", "2026-11-05", "2026-12-05", "2027-01-05")
    await SqlBooks(site.database).book([call(index, "acme", at(day), *SELL[0]) for index, day in enumerate(days)])
    for period in ("2026-10", "2026-11", "2026-12"):
        assert (await site.run(period, "2027-01-02"))["acme"].outcome is InvoiceOutcome.ISSUED
    for _ in range(3):
        await cancel_newest(site)
    async with site.database.writing() as connection:
        await note_dropped(connection, RecordKind.CALLS, at("2026-12-01"))
    for period in ("2026-10", "2026-11"):
        with pytest.raises(DroppedPeriod):
            await site.run(period, "2027-02-02")
    detail = (await site.run("2027-01", "2027-02-02"))["acme"].detail
    assert detail == f"charges of 2026-12-05 are on no invoice{FIRST_OR_ANEW}"
    for period in ("2026-12", "2027-01"):
        assert (await site.run(period, "2027-02-02"))["acme"].outcome is InvoiceOutcome.ISSUED
    assert await in_force(site) == [
        ("2026-12", "-0.091242", "-0.136863", [("calls", 1)]),
        ("2027-01", "-0.136863", "-0.182484", [("calls", 1)]),
    ]


@pytest.mark.parametrize(("wrong", "right", "section"), [
    ("UTC", "America/New_York", "earlier_calls"), ("America/New_York", "UTC", "calls"),
])  # fmt: skip
async def test_a_first_invoice_is_made_again_by_another_zone(site: Site, wrong: str, right: str, section: str) -> None:
    times = ("2026-09-15", "2026-10-01T03:00:00", "2026-10-20")
    await SqlBooks(site.database).book([call(index, "acme", at(each), *SELL[0]) for index, each in enumerate(times)])
    defined = site.office.definitions
    for zone in (wrong, right):
        defined.settings = replace(defined.settings, invoices=InvoiceSettings(zone=zone))
        made = await site.run("2026-10", "2026-11-02", anew=zone == wrong)
        assert made["acme"].outcome is InvoiceOutcome.ISSUED
        if zone == wrong:
            await cancel_newest(site)
    ((_, opening, closing, calls),) = await in_force(site)
    assert (opening, closing) == ("-0.045621", "-0.136863")
    assert dict(calls)[section] == (1 if section == "earlier_calls" else 2)


async def test_an_entry_of_a_wrong_clock_that_a_cancelled_first_invoice_had_is_on_the_next_one(site: Site) -> None:
    books = SqlBooks(site.database)
    await books.book([call(1, "acme", at("2080-01-01"), *SELL[0])])
    await SqlCheckpoints(site.database).close(at("2026-11-01"), "ann", None, at("2026-11-01") + 10_000)
    await books.book([call(2, "acme", at("2026-11-05"), *SELL[0])])
    await site.run("2026-10", "2026-12-02")
    await cancel_newest(site)
    assert (await site.run("2026-11", "2026-12-02"))["acme"].outcome is InvoiceOutcome.ISSUED
    assert await in_force(site) == [("2026-11", "0.00", "-0.091242", [("calls", 2)])]


def sold_by(agent: str, index: int, ended: int, *, recorded: bool = True) -> CallRecord:
    """Return a call of the shop that an agent was charged for; of none if it is empty. ``recorded``: with a CDR."""
    plain = call(index, "shop", ended, *SELL[0])
    kept = [each for each in plain.charges if agent or each.role != "agent"]
    named = tuple(msgspec.structs.replace(each, account=agent) if each.role == "agent" else each for each in kept)
    return msgspec.structs.replace(plain, charges=named, recorded=recorded)


@pytest.mark.parametrize("with_cdr", [{1, 2, 3, 4, 5}, {3, 5}, {1, 4}, set()])
async def test_the_agent_that_sold_the_calls_issues_the_invoice_whatever_is_configured_now(
    site: Site, with_cdr: set[int]
) -> None:
    sold = [
        ("reseller", "2026-10-05"), ("", "2026-11-05"), ("reseller", "2026-12-04"), ("", "2026-12-05T10:00:00"),
        ("second", "2026-12-05T11:00:00"),
    ]  # fmt: skip
    for index, (name, ended) in enumerate(sold, 1):
        await SqlBooks(site.database).book([sold_by(name, index, at(ended), recorded=index in with_cdr)])
    for period, issuer in (("2026-10", "reseller"), ("2026-11", "")):
        assert (await site.run(period, "2027-01-02"))["shop"].outcome is InvoiceOutcome.ISSUED
        assert (await site.listed(account="shop"))[0].issuer == issuer
    run = (await site.run("2026-12", "2027-01-02"))["shop"]
    said = "calls of the period were sold by agent reseller and the installation and agent second: "
    assert (run.outcome, run.detail.startswith(said)) == (InvoiceOutcome.AGENT_CHANGED, True)
    for day, issuer in (("2026-12-04", "reseller"), ("2026-12-05", "second")):
        assert (await site.run(day, "2027-01-02", "shop"))["shop"].outcome is InvoiceOutcome.ISSUED
        assert (await site.listed(account="shop"))[0].issuer == issuer


@pytest.mark.parametrize("recorded", [True, False])
async def test_calls_that_were_booked_late_alone_are_invoiced_by_the_agent_that_sold_them(
    site: Site, recorded: bool
) -> None:
    books = SqlBooks(site.database)
    await books.book([sold_by("second", 1, at("2026-10-05"))])
    assert (await site.run("2026-10", "2026-11-02"))["shop"].outcome is InvoiceOutcome.ISSUED
    await books.book([sold_by("second", 2, at("2026-10-06"), recorded=recorded)])
    run = (await site.run("2026-11", "2026-12-02"))["shop"]
    assert run.outcome is InvoiceOutcome.ISSUED
    assert [each.issuer for each in await site.listed(account="shop")] == ["second", "second"]
    (line,) = (await site.shown(f"#{run.id}")).document.lines
    assert (line.section.value, line.calls, line.seconds, line.tax_rate) == ("earlier_calls", 1, 62, "19")


@pytest.mark.parametrize("named", [False, True])
async def test_money_that_is_dated_before_the_first_invoice_and_booked_behind_it_pays_it(
    site: Site, named: bool
) -> None:
    """As by a clock that was put back: the opening balance of the invoice does not have it."""
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    await site.pay("acme", "0.01", at("2026-09-10"))
    number = (await site.run("2026-10", "2026-11-02", "acme"))["acme"].number
    (before,) = await site.listed(account="acme")
    await site.pay("acme", before.gross, at("2026-09-20"), ref=f"invoice/{number}" if named else "")
    (after,) = await site.listed(account="acme")
    assert (before.opening, after.paid, after.state) == ("0.01", before.gross, InvoiceState.PAID)


async def test_what_a_partner_has_earned_before_its_first_invoice_is_no_charge(site: Site) -> None:
    earned = call(1, "acme", at("2026-09-05"), *SELL[0], vendor="peer")
    await SqlBooks(site.database).book([earned, call(2, "peer", at("2026-10-05"), *SELL[0])])
    assert (await site.run("2026-10", "2026-11-02", "peer"))["peer"].outcome is InvoiceOutcome.ISSUED
    assert [each.opening for each in await site.listed()] == [format_amount(earned.cost + earned.cost_tax)]


async def test_calls_that_an_earlier_version_has_booked_stand_by_area_prefix_and_seconds_of_their_cdrs(
    site: Site,
) -> None:
    calls = [call(index, "acme", at("2026-10-05"), *SELL[place]) for index, place in enumerate((0, 4), start=1)]
    await SqlBooks(site.database).book(calls)
    async with site.database.writing() as connection:
        await connection.execute(delete(schema.cdr_charge))
    document = (await site.shown((await site.run("2026-10", "2026-11-02"))["acme"].number)).document
    assert [(each.area, each.prefix, each.calls, each.seconds) for each in document.lines] == [
        ("", "7", 1, 62), ("London", "", 1, 62),
    ]  # fmt: skip


async def test_calls_without_cdr_have_their_prefix_and_seconds_among_the_calls_of_an_invoice(site: Site) -> None:
    both = [sold_by("reseller", 1, at("2026-10-05")), sold_by("reseller", 2, at("2026-10-06"), recorded=False)]
    await SqlBooks(site.database).book(both)
    run = (await site.run("2026-10", "2026-11-02"))["shop"]
    pages = read_invoiced_calls(site.office, operator(), ReadInvoicedCalls(id=run.id or 0))
    written = "".join([page async for page in pages])
    rows = list(csv.DictReader(io.StringIO(written)))
    assert [(each["call_id"] == "", each["prefix"], each["billed_seconds"]) for each in rows] == [
        (False, "4420", "62"),
        (True, "4420", "62"),
    ]


async def test_the_calls_of_an_invoice_are_refused_where_calls_of_its_period_were_dropped(site: Site) -> None:
    """Those that began before the period may lack their CDR: their seconds are not known then, which is not 0."""
    calls = [call(1, "acme", at("2026-10-05"), *SELL[0]), call(2, "acme", at("2026-10-01") + 5, *SELL[0])]
    await SqlBooks(site.database).book(calls)
    run = (await site.run("2026-10", "2026-11-02"))["acme"]

    async def listed_after_drops_until(day: str) -> list[dict[str, str]]:
        async with site.database.writing() as connection:
            await note_dropped(connection, RecordKind.CALLS, at(day))
        pages = read_invoiced_calls(site.office, operator(), ReadInvoicedCalls(id=run.id or 0))
        return list(csv.DictReader(io.StringIO("".join([page async for page in pages]))))

    async with site.database.writing() as connection:
        await connection.execute(delete(schema.cdr_charge).where(schema.cdr_charge.c.call_id == calls[1].call_id))
        await connection.execute(delete(schema.cdr).where(schema.cdr.c.call_id == calls[1].call_id))
    rows = await listed_after_drops_until("2026-10-01")
    assert [(each["callee"] != "", each["billed_seconds"]) for each in rows] == [(True, "62"), (False, "")]
    with pytest.raises(DroppedPeriod, match=r"calls from before 2026-10-0\S+ were dropped"):
        await listed_after_drops_until("2026-10-05")


async def test_the_agent_of_now_issues_an_invoice_that_has_a_minimum_beside_calls_that_were_booked_late(
    site: Site,
) -> None:
    books = SqlBooks(site.database)
    await books.book([sold_by("second", 1, at("2026-10-05"))])
    await site.run("2026-10", "2026-11-02")
    await books.book([sold_by("second", 2, at("2026-10-06"))])
    await site.pay("shop", "-50.00", at("2026-11-30T22:59:59"), EntryKind.MINIMUM, "minimum/2026-11")
    assert (await site.run("2026-11", "2026-12-02"))["shop"].outcome is InvoiceOutcome.ISSUED
    assert [each.issuer for each in await site.listed(account="shop")] == ["reseller", "second"]


async def test_the_agent_that_has_issued_an_invoice_sees_it_and_the_next_agent_of_the_account_does_not(
    database: Database,
) -> None:
    rights = frozenset({Right.OWN_PAYMENTS, Right.SUB_PAYMENTS})
    agents = account("top", rights=rights), account("old", agent="top", rights=rights), account("new", rights=rights)
    accounts = *agents, account("other", agent="old"), account("shop", agent="new"), account("plain", rights=rights)
    site = Site(database, *accounts, account("below", agent="plain"))
    await SqlBooks(database).book([sold_by("old", 1, at("2026-10-05")), sold_by("new", 2, at("2026-11-05"))])
    await SqlBooks(database).book([sold_by("", 3, at("2026-12-05"))])
    for period, now in (("2026-10", "2026-11-02"), ("2026-11", "2026-12-02"), ("2026-12", "2027-01-02")):
        assert (await site.run(period, now))["shop"].outcome is InvoiceOutcome.ISSUED
    of_account = {each.period: each for each in await site.listed(account="shop")}
    visible = {"old": ["2026-10"], "top": ["2026-10"], "new": ["2026-12", "2026-11"], "plain": []}
    for name, periods in visible.items():
        listed = await site.listed(agent(name))
        assert [each.period for each in listed if each.account == "shop"] == periods, name
        for period, invoice in of_account.items():
            if period in periods:
                assert (await print_invoice(site.office, agent(name), PrintInvoice(id=invoice.id))).startswith(b"%PDF")
                continue
            with pytest.raises(NoSuchInvoiceError):
                await print_invoice(site.office, agent(name), PrintInvoice(id=invoice.id))
    assert [each.period for each in await site.listed(customer("shop"))] == ["2026-12", "2026-11", "2026-10"]
    assert await site.listed(customer("old")) == [], "a customer sees its own invoices alone"
    with pytest.raises(OutOfScopeError):
        await pay_invoice(site.office, agent("old"), PayInvoice(id=of_account["2026-10"].id, reference="a"))
    bare = Site(database, *(msgspec.structs.replace(each, rights=frozenset()) for each in accounts))
    bare.now = site.now
    assert await bare.listed(agent("old")) == []


async def test_invoices_of_agents_that_ended_are_seen_above_them_and_those_of_old_agents_by_themselves(
    database: Database,
) -> None:
    rights = frozenset({Right.OWN_PAYMENTS, Right.SUB_PAYMENTS})
    accounts = [account(name, rights=rights) for name in ("top", "new", "old", "never")]
    site = Site(database, *accounts, account("other", agent="top"), account("shop", agent="new"))
    versions = [
        ObjectVersion(
            kind="accounts", name=ended.id, operator="ann", version=number, body=body, begins_at=at(day), made_at=1
        )
        for ended in (account("middle", agent="top"), account("low", agent="middle"), account("foreign", agent="new"))
        for number, day, body in ((1, "2026-09-01", msgspec.json.encode(ended).decode()), (2, "2026-12-01", None))
    ]
    await site.office.stores.objects.add(versions)
    site.office.definitions.templates["resold"] = {"agent": "middle"}  # type: ignore[attr-defined]
    for name, template in (("formed", "resold"), ("lost", "ended")):
        text = f'{{"template": "{template}"}}'
        bodies = ((1, "2026-09-01", text), (2, "2026-12-01", None))
        own = {"kind": "accounts", "name": name, "operator": "ann", "made_at": 1}
        versions = [ObjectVersion(**own, version=number, body=body, begins_at=at(day)) for number, day, body in bodies]
        await site.office.stores.objects.add(versions)
    for month, name in ((8, "lost"), (9, "formed"), (10, "low"), (11, "foreign"), (12, "old")):
        await SqlBooks(database).book([sold_by(name, month, at(f"2026-{month:02}-05"))])
        run = await site.run(f"2026-{month:02}", "2027-01-02")
        assert run["shop"].outcome is InvoiceOutcome.ISSUED
    visible = {"top": ["low", "formed"], "new": ["foreign"], "old": ["old"]}
    for name, issuers in visible.items():
        listed = await site.listed(agent(name))
        assert [each.issuer for each in listed if each.account == "shop"] == issuers
        shown = [each for each in listed if each.account == "shop"]
        assert (await print_invoice(site.office, agent(name), PrintInvoice(id=shown[0].id))).startswith(b"%PDF")
        assert (
            await show_invoice(site.office, agent(name), ShowInvoice(id=shown[0].id))
        ).document.issuer.account in issuers
    with pytest.raises(NoAgentError):
        await site.listed(agent("never"))


async def test_an_account_that_ended_gets_its_last_invoice_by_its_last_terms(site: Site) -> None:
    gone = msgspec.structs.replace(
        account("gone", agent="reseller"),
        name="Gone Ltd",
        invoice=msgspec.structs.replace(TERMS, cycle=InvoiceCycle.HALF_MONTH, language="de", due_days=3),
    )
    former = msgspec.structs.replace(gone, name="Former Ltd", invoice=InvoiceTerms(cycle=InvoiceCycle.WEEK))
    # the last one that began was planned before another one was made, and has an earlier number
    made = (gone, "2026-10-10"), (former, "2026-10-01"), (None, "2026-10-20")
    name = {"kind": "accounts", "name": "gone", "operator": "ann"}
    versions = [
        ObjectVersion(
            **name,
            version=number,
            body=None if each is None else msgspec.json.encode(each).decode(),
            begins_at=at(day),
            made_at=at("2026-09-20"),
        )
        for number, (each, day) in enumerate(made, start=1)
    ]
    await site.office.stores.objects.add(versions)
    await SqlBooks(site.database).book([call(1, "gone", at("2026-10-05"), *SELL[0])])
    assert "gone" not in await site.run("2026-10", "2026-11-02")
    assert (await site.run("2026-10-H1", "2026-11-02"))["gone"].outcome is InvoiceOutcome.ISSUED
    (issued,) = await site.listed(account="gone")
    recipient = (await site.shown(f"#{issued.id}")).document.recipient
    assert (recipient.name, recipient.address, recipient.tax_id) == ("Gone Ltd", TERMS.address, TERMS.tax_id)
    assert issued.due_at == iso_utc(at("2026-11-06"))


async def test_halves_weeks_and_days_follow_each_other(site: Site) -> None:
    books = SqlBooks(site.database)
    await books.book([call(day, "acme", at(f"2026-10-{day:02}T12:00:00"), *SELL[0]) for day in range(1, 32)])
    counts = {}
    for period in ("2026-10-H1", "2026-10-16", "2026-W43", "2026-10"):
        run = (await site.run(period, "2026-11-02", "acme"))["acme"]
        assert run.outcome in {InvoiceOutcome.ISSUED, InvoiceOutcome.EARLIER_MISSING}
        if run.number:
            counts[period] = sum(line.calls for line in (await site.shown(run.number)).document.lines)
    assert counts == {"2026-10-H1": 15, "2026-10-16": 1, "2026-10": 15}  # two days are before the week
    assert InvoiceCycle.WEEK.value == "week"


async def test_agents_and_customers_see_the_invoices_of_their_accounts(site: Site) -> None:
    books = SqlBooks(site.database)
    await books.book([call(1, "acme", at("2026-10-05"), *SELL[0]), call(2, "shop", at("2026-10-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    of_acme = (await site.listed(account="acme"))[0]
    assert [each.account for each in await site.listed(customer("acme"))] == ["acme"]
    assert sorted(each.account for each in await site.listed(agent("reseller"))) == ["reseller", "shop"]
    with pytest.raises(NoSuchInvoiceError):
        await show_invoice(site.office, customer("shop"), ShowInvoice(id=of_acme.id))
    with pytest.raises(NoSuchInvoiceError):  # the reseller's first invoice has the same number
        await find_invoice(site.office, operator(), FindInvoice("2026-000001"))
    of_number = [
        await site.listed(who, number="2026-000001") for who in (operator(), agent("reseller"), customer("acme"))
    ]
    assert [sorted(each.account for each in found) for found in of_number] == [["acme", "shop"], ["shop"], ["acme"]]
    own = await find_invoice(site.office, agent("reseller"), FindInvoice("2026-000001"))
    assert (own.account, own.issuer, own.operator) == ("shop", "reseller", "operator")
    assert of_acme.operator == operator().recorded
    shown = await show_invoice(site.office, customer("acme"), ShowInvoice(id=of_acme.id))
    assert {shown.operator, *(each.operator for each in await site.listed(customer("acme")))} == {"operator"}


AGENTS = 40
OF_AGENT = 5


async def many_invoices(database: Database) -> None:
    """Issue invoices to the customers of many agents, half of them by the installation, those of one agent first."""
    values = dict.fromkeys(each.name for each in schema.invoice.c if not each.nullable and each.name != "id") | {
        "kind": "invoice", "state": "issued", "period": "2026-09", "currency": "EUR", "operator": "", "digest": "",
        "document": "{}" + " " * 1_000, "net": Decimal(1), "tax": Decimal(0), "opening": Decimal(0),
        "carried": Decimal(0), "closing": Decimal(0),
    }  # fmt: skip
    values |= {name: 0 for name, value in values.items() if value is None}
    rows = [
        values
        | {"issuer": f"agent-{of}" * (number % 2), "account": f"shop-{of}-{number % OF_AGENT}", "number": str(number)}
        for of in range(AGENTS)
        for number in range(100 * of, 100 * of + 100)
    ]
    rows += [values | {"issuer": "", "account": f"agent-{of}", "number": f"own-{of}"} for of in range(AGENTS)]
    async with database.writing() as connection:
        await connection.execute(insert(schema.invoice), rows)
        of = [{"issuer": issuer, "series": "#", "last": 0} for issuer in ("", *(f"agent-{of}" for of in range(AGENTS)))]
        await connection.execute(insert(schema.invoice_series), of)
        if not database.is_sqlite:
            await connection.exec_driver_sql("ANALYZE TABLE invoice, invoice_series")


async def test_the_list_of_an_agent_is_read_by_indexes_and_is_what_it_sees(database: Database) -> None:
    await many_invoices(database)
    store, statements = SqlInvoices(database), list[tuple[str, Any]]()
    every = await store.list(InvoiceFilter(limit=10_000))
    visible = ["agent-0", *(f"shop-0-{number}" for number in range(OF_AGENT))]
    listen = database.engine.sync_engine, "before_cursor_execute"
    event.listen(*listen, lambda _c, _k, asked, parameters, *_: statements.append((asked, parameters)))
    for sees_own, sees_below in product((True, False), repeat=2):
        seen = InvoicesSeen("agent-0", visible, sees_own, sees_below)
        expected = [each.id for each in every if seen.has(each)]
        assert len(expected) == sees_own + 100 * sees_below
        listed: list[int] = []
        for _ in range(5):
            last = listed[-1] if listed else None
            listed += [each.id for each in await store.list(InvoiceFilter(seen=seen, limit=30, after=last))]
        assert listed == expected
        if not expected:
            continue
        statements.clear()
        await store.list(InvoiceFilter(seen=seen, limit=30, drafts=False))
        [(asked, parameters)] = [each for each in statements if "FROM invoice" in each[0]]
        words = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN FORMAT=TRADITIONAL"
        async with database.reading() as connection:
            plan = (await connection.exec_driver_sql(f"{words} {asked}", parameters)).mappings().all()
        if database.is_sqlite:
            assert not [each["detail"] for each in plan if each["detail"].startswith("SCAN invoice")]
            assert not sees_below or sum("account=?" in each["detail"] for each in plan) == sees_own + 1
        else:
            assert sum(int(each["rows"]) for each in plan) < 10 * len(expected) + 100, plan


async def test_an_invoice_is_found_by_its_number_of_each_issuer_and_by_an_index(database: Database) -> None:
    await many_invoices(database)
    store, statements = SqlInvoices(database), list[tuple[str, Any]]()
    listen = database.engine.sync_engine, "before_cursor_execute"
    event.listen(*listen, lambda _c, _k, asked, parameters, *_: statements.append((asked, parameters)))
    (found,) = await store.list(InvoiceFilter(number="117"))
    assert (found.number, found.issuer, found.account) == ("117", "agent-1", "shop-1-2")
    [(asked, parameters)] = [each for each in statements if "FROM invoice" in each[0]]
    async with database.reading() as connection:
        if database.is_sqlite:
            plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", parameters)).mappings().all()
            used = [each["detail"] for each in plan if " invoice " in f"{each['detail']} "]
            assert used, plan
            assert all("USING INDEX" in each and "number=?" in each for each in used), plan
        else:
            await connection.exec_driver_sql("FLUSH STATUS")
            (await connection.exec_driver_sql(asked, parameters)).all()
            counts = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
            read = sum(int(count) for name, count in counts if name != "Handler_read_rnd_deleted")
            assert read <= 6 * AGENTS, "one or two entries of each issuer, and not 4,000 invoices"
    seen = InvoicesSeen("agent-0", ["agent-0", *(f"shop-0-{number}" for number in range(OF_AGENT))], True, True)
    assert await store.list(InvoiceFilter(number="117", seen=seen)) == []
    assert [each.number for each in await store.list(InvoiceFilter(number="17", seen=seen))] == ["17"]
    assert await store.list(InvoiceFilter(number="11")) != await store.list(InvoiceFilter(number="1"))


@pytest.mark.parametrize("number", [2, 20])
async def test_the_money_of_accounts_is_read_without_their_calls(database: Database, number: int) -> None:
    """A ledger has thousands of calls for each payment, and statistics that are not of this hour."""
    await many_invoices(database)
    entry = {"tax": None, "currency": "EUR", "balance_after": Decimal(0), "created_at": 10}
    calls, names = 8_000 // number, [f"shop-{each // OF_AGENT}-{each % OF_AGENT}" for each in range(number)]
    entries = [
        entry | {"account": name, "seq": seq, "kind": kind, "reference": f"{kind} {seq}", "amount": Decimal(1)}
        for name in names
        for seq, kind in enumerate([*["call"] * calls, "payment"], start=1)
    ]
    store, statements = SqlInvoices(database), list[tuple[str, Any]]()
    async with database.writing() as connection:
        await connection.execute(insert(schema.ledger_entry), entries)
    firsts = list({each.account: each for each in await store.list(InvoiceFilter(limit=10_000))}.values())
    firsts = [each for each in firsts if each.account in names]
    assert len(firsts) == number
    event.listen(
        database.engine.sync_engine, "before_cursor_execute",
        lambda _c, _k, asked, parameters, *_: statements.append((asked, parameters)),
    )  # fmt: skip
    assert await store.credits(firsts) == {name: [Credit("", Decimal(1), False)] for name in names}
    asked = [each for each in statements if "ledger_entry" in each[0]]
    assert len(asked) == 2
    async with database.reading() as connection:
        for statement, parameters in asked:
            if database.is_sqlite:
                plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).mappings()
                assert [each["detail"] for each in plan if "SEARCH ledger_entry" in each["detail"]], statement
                continue
            await connection.exec_driver_sql("FLUSH STATUS")
            (await connection.exec_driver_sql(statement, parameters)).all()
            counts = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
            read = sum(int(count) for name, count in counts if name != "Handler_read_rnd_deleted")
            assert read <= 100 + 60 * number, (read, statement)


async def test_runs_at_the_same_time_make_each_invoice_once(site: Site) -> None:
    books = SqlBooks(site.database)
    for index, name in enumerate(["acme", "peer", "reseller"]):
        await books.book([call(index, name, at("2026-10-05"), *SELL[0])])
    site.now = at("2026-11-02")
    order = RunInvoices(period="2026-10")
    runs = [run_invoices(site.office, operator(), order) for _ in range(3)]
    done = [each for run in await asyncio.gather(*runs) for each in run]
    assert {each.outcome for each in done if each.id is None} <= {InvoiceOutcome.MOVED}
    await run_invoices(site.office, operator(), order)
    found = await site.listed()
    assert sorted(each.account for each in found) == ["acme", "peer", "reseller"]
    assert sorted(str(each.number) for each in found) == ["2026-000001", "2026-000002", "2026-000003"]


T = TypeVar("T")
U = TypeVar("U")


async def at_once(
    monkeypatch: pytest.MonkeyPatch, database: Database, first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]
) -> tuple[T, U | BaseException]:
    """Run the second while the transaction of the first has checked and not written; until it is over or must wait."""
    written, others = invoices._written, []
    waiting = text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")

    async def is_waiting() -> bool:
        async with database.reading() as connection:
            return (await connection.execute(waiting)).one()[1] != "0"

    async def written_later(*given: Any) -> Any:
        if not others:
            others.append(asyncio.create_task(second))
            while not others[0].done() and not await is_waiting():
                pass
        return await written(*given)

    monkeypatch.setattr(invoices, "_written", written_later)
    done = await first
    (other,) = await asyncio.gather(*others, return_exceptions=True)
    return done, other


async def test_money_that_comes_in_while_invoices_are_made_and_months_closed_is_on_one_of_them(site: Site) -> None:
    dice, books, checkpoints = random.Random(5), SqlBooks(site.database), SqlCheckpoints(site.database)
    await books.book([call(1, "acme", at("2026-10-05"), *SELL[0]), call(2, "acme", at("2026-11-05"), *SELL[0])])
    pace = iter(range(3, 200))

    async def money_comes_in() -> None:
        for number in pace:
            when = at(dice.choice(("2026-10-30", "2026-11-02", "2026-11-29", "2026-12-02"))) + number
            await site.pay("acme", f"{number}.01", when)
            if number % 5 == 0:
                await books.book([call(number, "acme", when, *SELL[0])])
            if number % 7 == 0:
                currencies = {"acme": "USD", "idle": "USD"}
                moved = MoneyTransfer(
                    source="acme", target="idle", amount=Decimal(1), reference=f"moved/{number}", made_at=when,
                    currencies=currencies,
                )  # fmt: skip
                await SqlPayments(site.database).transfer(moved)
            if number > 40:
                return

    async def books_are_closed() -> None:
        for month, now in (("2026-10", "2026-11"), ("2026-11", "2026-12")):
            await checkpoints.close(at(f"{now}-01"), "ann", None, at(f"{now}-03"))
            assert (await site.run(month, f"{now}-03", "acme"))["acme"].outcome is InvoiceOutcome.ISSUED

    await asyncio.gather(money_comes_in(), books_are_closed())
    await books.book([call(900, "acme", at("2026-12-05"), *SELL[0])])
    assert (await site.run("2026-12", "2027-01-03", "acme"))["acme"].outcome is InvoiceOutcome.ISSUED
    shown = [(await site.shown(each.number)).document for each in reversed(await site.listed(account="acme"))]
    assert [each.opening for each in shown[1:]] == [each.closing for each in shown[:-1]]
    entries = await site.entries("acme")
    assert Decimal(shown[-1].closing) == sum(each.amount for each in entries)
    moved = sorted((line.kind, line.reference, line.amount) for each in shown for line in each.movements)
    others = [each for each in entries if each.kind not in {"call", "minimum"}]
    assert moved == sorted((each.kind, each.reference, format_amount(each.amount)) for each in others)
    assert sum(line.calls for each in shown for line in each.lines) == sum(each.kind == "call" for each in entries)
    assert (await verify_ledger(site.database)).differences == ()


async def test_the_movements_of_an_invoice_do_not_name_the_person_who_has_confirmed_them(database: Database) -> None:
    site = Site(database, confirm_above=Decimal(100))
    await SqlBooks(database).book([sold_by("reseller", 1, at("2026-10-05"))])
    site.now = at("2026-10-20")
    await site.pay("reseller", "100", site.now)
    paid = BookPayment(account="shop", amount=Decimal(200), memo="cash")
    moved = MoveMoney(source="reseller", target="shop", amount=Decimal(150), memo="x", force=True)
    for waits in (await book_payment(site.office, operator(), paid), await move_money(site.office, operator(), moved)):
        assert isinstance(waits, WaitingSheet)
        await confirm_payment(site.office, operator("bob"), ConfirmPayment(waits.id))
    run = (await site.run("2026-10", "2026-11-02"))["shop"]
    movements = (await site.shown(f"#{run.id}")).document.movements
    assert [each.memo for each in movements] == ["confirmed: cash", "confirmed: x"]
    run = (await site.run("2026-10", "2026-11-02", "reseller"))["reseller"]
    movements = (await site.shown(f"#{run.id}")).document.movements
    assert [each.memo for each in movements if each.kind == "transfer"] == ["to shop: confirmed: x"], "it is below it"


on_server = pytest.mark.parametrize("database_url", [pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
"""A writer keeps all others out in SQLite alone."""


@on_server
async def test_an_invoice_is_not_cancelled_while_one_that_follows_it_is_issued(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [call(month, "acme", at(f"2026-{month}-05"), *SELL[0]) for month in (10, 11)]
    await SqlBooks(site.database).book(both)
    await site.run("2026-10", "2026-11-02")
    (october,) = await site.listed()
    cancel = cancel_invoice(site.office, operator(), CancelInvoice(id=october.id))
    run, refused = await at_once(monkeypatch, site.database, site.run("2026-11", "2026-12-02"), cancel)
    assert run["acme"].outcome is InvoiceOutcome.ISSUED
    assert isinstance(refused, InvoiceMovedError)
    assert [each.state for each in await site.listed()] == [InvoiceState.OPEN, InvoiceState.OVERDUE]


@on_server
async def test_a_run_goes_on_with_other_accounts_where_an_invoice_is_cancelled_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, (month, name) in enumerate(product((10, 11), ("acme", "peer"))):
        await SqlBooks(site.database).book([call(index, name, at(f"2026-{month}-05"), *SELL[0])])
    await site.run("2026-10", "2026-11-02")
    october = (await site.listed(account="acme"))[0]
    cancel = cancel_invoice(site.office, operator(), CancelInvoice(id=october.id))
    note, run = await at_once(monkeypatch, site.database, cancel, site.run("2026-11", "2026-12-02"))
    assert note.cancels == october.id
    assert isinstance(run, dict)
    assert {name: each.outcome.value for name, each in run.items()} == {"acme": "moved", "peer": "issued"}
    again = [(await site.run(period, "2026-12-02"))["acme"].outcome for period in ("2026-10", "2026-11")]
    assert again == [InvoiceOutcome.ISSUED, InvoiceOutcome.ISSUED]


@on_server
async def test_runs_with_other_numbers_make_the_first_invoice_of_an_account_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await SqlBooks(site.database).book([call(1, "acme", at("2026-10-05"), *SELL[0])])
    other = Site(site.database, issuer=IssuerTerms(number="N{year}-{number}"))
    runs = [each.run("2026-10", "2026-11-02") for each in (site, other)]
    first, second = await at_once(monkeypatch, site.database, *runs)
    assert isinstance(second, dict)
    assert (first["acme"].number, second["acme"].outcome) == ("2026-000001", InvoiceOutcome.MOVED)


def test_a_run_that_is_killed_at_any_step_is_completed_by_the_next(tmp_path: Path) -> None:
    before, file = tmp_path / "before.db", tmp_path / "vosd.db"

    async def book() -> None:
        first = Database(migrated(before))
        both = enumerate(("acme", "peer"))
        await SqlBooks(first).book([call(index, name, at("2026-10-05"), *SELL[0]) for index, name in both])
        await first.close()

    async def act(steps: Steps | Traces | None) -> list[tuple[str, str | None]]:
        async with Database(f"sqlite+aiosqlite:///{file}") as database:
            site = Site(database)
            if steps is not None:
                for name in ("after_cursor_execute", "commit"):
                    event.listen(database.engine.sync_engine, name, lambda *_: steps.step())
            await site.run("2026-10", "2026-11-02")
            return sorted((each.account, each.number) for each in await site.listed())

    asyncio.run(book())
    copy_database(before, file)
    traces = Traces(file)
    issued = [("acme", "2026-000001"), ("peer", "2026-000002")]
    assert asyncio.run(act(traces)) == issued
    assert asyncio.run(act(None)) == issued
    assert len(traces.numbers) > 4
    for number in traces.numbers:
        copy_database(before, file)
        steps = Steps(number)
        assert is_killed(lambda steps=steps: 0 * len(asyncio.run(act(steps))))
        assert asyncio.run(act(None)) == issued


_THREE: dict[bool, tuple[Rows, list[InvoiceSheet]]] = {}
"""By whether it is SQLite."""


async def three_invoices(site: Site) -> list[InvoiceSheet]:
    """Issue invoices of two months, and cancel the second."""
    if site.database.is_sqlite in _THREE:
        rows, made = _THREE[site.database.is_sqlite]
        await write_rows(site.database, rows)
        site.now = at("2026-12-02")
        return made
    for day, period, now in (("2026-10-05", "2026-10", "2026-11-02"), ("2026-11-05", "2026-11", "2026-12-02")):
        await SqlBooks(site.database).book([call(int(day[5:7]), "acme", at(day), *SELL[0])])
        await site.run(period, now)
    first, second = [each for each in reversed(await site.listed()) if each.account == "acme"]
    note = await cancel_invoice(site.office, operator(), CancelInvoice(id=second.id))
    assert (await verify_ledger(site.database)).differences == ()
    made = [first, second, note]
    _THREE[site.database.is_sqlite] = (await rows_of(site.database), made)
    return made


async def altered(site: Site, invoice: int, /, **values: Any) -> list[tuple[BookFault, str | None]]:
    """Change an invoice in the database, and return what the audit finds."""
    async with site.database.writing() as connection:
        table = schema.invoice
        await connection.execute(update(table).where(table.c.id == invoice).values(**values))
    found = (await verify_ledger(site.database, whole=True)).differences
    return [(each.fault, each.invoice) for each in found]


async def columns_of(site: Site, invoice: int, *names: str) -> dict[str, Any]:
    async with site.database.reading() as connection:
        table = schema.invoice
        asked = select(*(table.c[name] for name in names)).where(table.c.id == invoice)
        return {**(await connection.execute(asked)).mappings().one()}


async def test_an_invoice_whose_document_was_changed_is_found_and_not_shown(site: Site) -> None:
    first, second, note = await three_invoices(site)
    shown = await show_invoice(site.office, operator(), ShowInvoice(id=first.id))
    document = msgspec.json.encode(msgspec.structs.replace(shown.document, net="1")).decode()
    assert await altered(site, first.id, document=document) == [(BookFault.INVOICE_DOCUMENT, first.number)]
    for refused in (
        show_invoice(site.office, operator(), ShowInvoice(id=first.id)),
        print_invoice(site.office, operator(), PrintInvoice(id=first.id)),
        cancel_invoice(site.office, operator(), CancelInvoice(id=first.id)),
    ):
        with pytest.raises(InvoiceAlteredError, match=f"the document of invoice {first.number} was changed"):
            await refused
    await show_invoice(site.office, operator(), ShowInvoice(id=second.id))
    assert (BookFault.INVOICE_DOCUMENT, note.number) in await altered(site, note.id, digest="0" * 64)


async def test_a_document_that_is_not_readable_is_found_though_its_digest_fits(site: Site) -> None:
    first, second, _ = await three_invoices(site)
    shown = msgspec.to_builtins((await site.shown(first.number)).document)
    assert (BookFault.INVOICE_AMOUNTS, second.number) in await altered(site, second.id, net=Decimal(99))
    expected = {
        (BookFault.INVOICE_DOCUMENT, first.number),
        (BookFault.INVOICE_AMOUNTS, second.number),
        (BookFault.INVOICE_ORDER, second.number),
    }
    for document in (
        "no JSON",
        "{}",
        '{"lines": ' + 5_000 * "[" + 5_000 * "]" + "}",
        *(
            msgspec.json.encode(shown | change).decode()
            for change in (
                {"net": 1},
                {"net": "one"},
                {"net": "NaN"},
                {"net": "1E+13"},
                {"movements": [{"kind": "carried", "amount": "sNaN"}]},
                {"movements": [{"kind": "carried", "amount": "9E999999"}] * 2},
                {"due_on": "soon"},
            )
        ),
    ):
        digest = hashlib.sha256(document.encode()).hexdigest()
        found = await altered(site, first.id, document=document, digest=digest, closing=Decimal(99))
        assert expected <= {*found}, document[-300:]


async def test_invoices_are_listed_where_the_document_of_one_is_no_json(site: Site) -> None:
    first, second, note = await three_invoices(site)
    await altered(site, first.id, document="no JSON")
    listed = {each.id: each.due_on for each in await site.listed()}
    assert listed[first.id] is None
    assert listed[second.id] == second.due_on is not None
    assert note.id in listed


async def test_amounts_of_an_invoice_that_are_not_those_of_its_document_are_found(site: Site) -> None:
    first, second, _ = await three_invoices(site)
    right = await columns_of(site, first.id, "net", "tax", "opening", "carried", "closing")
    for name in right:
        found = await altered(site, first.id, **right | {name: Decimal(99)})
        assert (BookFault.INVOICE_AMOUNTS, first.number) in found, name
        assert ((BookFault.INVOICE_ORDER, second.number) in found) == (name == "closing")
    assert await altered(site, first.id, **right) == []


async def test_an_invoice_that_was_removed_is_found_by_the_one_that_follows_it(site: Site) -> None:
    first, second, _ = await three_invoices(site)
    async with site.database.writing() as connection:
        await connection.execute(delete(schema.invoice).where(schema.invoice.c.id == first.id))
    found, counted = (await verify_ledger(site.database)).differences
    assert (found.fault, found.invoice, found.account) == (BookFault.INVOICE_ORDER, second.number, "acme")
    opening = (await columns_of(site, second.id, "opening"))["opening"]
    assert (found.expected, found.found) == (0, opening)
    assert opening
    assert (counted.fault, counted.expected, counted.found) == (BookFault.INVOICE_NUMBERS, 3, 2)
    assert f"account acme invoice {second.number}: the invoice does not begin" in str(found)


async def test_invoices_from_before_the_latest_close_are_audited_with_the_whole_alone(site: Site) -> None:
    first, *_ = await three_invoices(site)
    await SqlCheckpoints(site.database).close(at("2026-12-02"), "ann", None, at("2026-12-03"))
    assert await altered(site, first.id, document="{}") == [(BookFault.INVOICE_DOCUMENT, first.number)]
    assert (await verify_ledger(site.database)).differences == ()
    made = (await site.run("2026-11", "2026-12-04"))["acme"]
    await altered(site, made.id, document="{}")
    (found,) = (await verify_ledger(site.database)).differences
    assert (found.fault, found.invoice) == (BookFault.INVOICE_DOCUMENT, made.number)


async def test_an_audit_of_a_few_invoices_at_once_finds_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _, note = await three_invoices(site)
    monkeypatch.setattr("vosd.storage.verify_invoices._AT_ONCE", 1)
    await altered(site, first.id, tax=Decimal(1))
    assert await altered(site, note.id, digest="") == [
        (BookFault.INVOICE_AMOUNTS, first.number), (BookFault.INVOICE_DOCUMENT, note.number),
    ]  # fmt: skip


async def test_the_audit_reads_long_documents_one_after_another(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await three_invoices(site)
    async with site.database.reading() as connection:
        issued = schema.invoice.c.number.is_not(None)
        numbers = (await connection.scalars(select(schema.invoice.c.id).where(issued))).all()
    read: list[str] = []
    columns = "invoice.document, invoice.digest"
    event.listen(
        site.database.engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _k, asked, *_: read.append(asked) if columns in asked else None,
    )
    await verify_ledger(site.database, whole=True)
    assert len(read) == 1
    read.clear()
    monkeypatch.setattr("vosd.storage.verify_invoices._LENGTH_AT_ONCE", 100)
    await verify_ledger(site.database, whole=True)
    assert len(read) == len(numbers) > 1


def test_documents_are_read_in_parts_of_a_length_together() -> None:
    sized = [(1, 40), (2, 60), (3, 1), (4, 500), (5, 100), (7, 30), (9, 30)]
    assert list(parts_by_length(sized, 100)) == [[1, 2], [3], [4], [5], [7, 9]]
    assert list(parts_by_length([], 100)) == []


async def test_columns_of_an_invoice_that_are_not_those_of_its_document_are_found(site: Site) -> None:
    first, *_ = await three_invoices(site)
    wrong = [
        ("currency", "EUR"), ("number", "2026-000077"), ("kind", "credit_note"), ("account", "peer"),
        ("issuer", "lion"), ("period", "2026-09"), ("due_at", at("2026-12-24")), ("due_at", None),
    ]  # fmt: skip
    right = await columns_of(site, first.id, *{name: None for name, _ in wrong})
    for name, value in wrong:
        number = value if name == "number" else first.number
        found = await altered(site, first.id, **right | {name: value})
        assert (BookFault.INVOICE_COLUMNS, number) in found, (name, value)
    assert await altered(site, first.id, **right) == []


async def test_an_invoice_that_was_issued_in_another_zone_than_its_draft_is_sound(site: Site) -> None:
    first, *_ = await three_invoices(site)
    (due,) = (await columns_of(site, first.id, "due_at")).values()
    for hours in (-14, -1, 1, 12):
        assert await altered(site, first.id, due_at=due + hours * 3_600_000) == [], hours


async def test_a_cancelled_invoice_and_its_credit_note_that_do_not_belong_together_are_found(site: Site) -> None:
    first, second, note = await three_invoices(site)
    assert await altered(site, first.id, state="cancelled") == [(BookFault.INVOICE_CANCELLED, first.number)]
    assert await altered(site, first.id, state="issued") == []
    assert await altered(site, second.id, state="issued") == [(BookFault.INVOICE_CANCELLED, note.number)]
    assert await altered(site, second.id, state="cancelled") == []
    for cancels in (first.id, None, 999):
        found = await altered(site, note.id, cancels=cancels)
        assert found == [(BookFault.INVOICE_CANCELLED, each.number) for each in (second, note)]
    await altered(site, note.id, cancels=second.id)
    right = await columns_of(site, second.id, "account", "issuer")
    for name, value in (("account", "peer"), ("issuer", "lion")):
        found = await altered(site, second.id, **right | {name: value})
        assert (BookFault.INVOICE_CANCELLED, note.number) in found, name


async def test_two_invoices_that_follow_the_same_one_are_found(site: Site) -> None:
    _, second, _ = await three_invoices(site)
    made = (await site.run("2026-11", "2026-12-03"))["acme"]
    assert (await verify_ledger(site.database, whole=True)).differences == ()
    assert (BookFault.INVOICE_TWICE, made.number) in await altered(site, second.id, state="issued")
    await altered(site, second.id, state="cancelled")
    assert await altered(site, made.id, follows=None) == [(BookFault.INVOICE_TWICE, made.number)]


async def test_two_invoices_that_follow_the_same_one_are_found_behind_the_latest_close_without_the_whole(
    site: Site,
) -> None:
    _, second, _ = await three_invoices(site)
    made = (await site.run("2026-11", "2026-12-03"))["acme"]
    await altered(site, second.id, state="issued")
    for closed, found in (("2026-12-02", [made.number]), ("2026-12-04", [])):
        await SqlCheckpoints(site.database).close(at(closed), "ann", None, at("2026-12-05"))
        differences = (await verify_ledger(site.database)).differences
        assert [each.invoice for each in differences if each.fault is BookFault.INVOICE_TWICE] == found, closed


async def test_a_draft_is_audited_as_no_invoice_that_was_issued(site: Site) -> None:
    await three_invoices(site)
    made = (await site.run("2026-11", "2026-12-03", draft=True))["acme"]
    assert made.outcome is InvoiceOutcome.DRAFT
    assert (await verify_ledger(site.database, whole=True)).differences == ()


async def test_the_last_invoice_that_was_removed_is_found_by_the_count_of_numbers(site: Site) -> None:
    await three_invoices(site)
    made = (await site.run("2026-11", "2026-12-03"))["acme"]
    async with site.database.writing() as connection:
        await connection.execute(delete(schema.invoice).where(schema.invoice.c.id == made.id))
    (found,) = (await verify_ledger(site.database)).differences
    assert (found.fault, found.expected, found.found) == (BookFault.INVOICE_NUMBERS, 4, 3)
    assert str(found).endswith(": expected 4, found 3")
