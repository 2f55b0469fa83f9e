"""Payments whose time is over go to an archive file and from the ledger; balances, statements and references stay."""

import gzip
import json
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path

import msgspec
import pytest
from doubles.data.records import STARTED, answered_call
from doubles.ledger_entries import entries_of
from doubles.office import office_on, operator
from doubles.statements import statements_of
from sqlalchemy import func, select, update

from vosd.admin.invoice_pdf import form_of, words_of
from vosd.admin.office.invoice_changes import CancelInvoice, IssueInvoice, cancel_invoice, issue_invoice
from vosd.admin.office.invoice_run import InvoiceOutcome, RunInvoices, run_invoices
from vosd.admin.office.invoices import (
    ReadInvoicedCalls,
    ShowInvoice,
    paid_by_invoice,
    read_invoiced_calls,
    show_invoice,
)
from vosd.admin.office.payments import UndoPayment, undo_payment
from vosd.admin.payment_archive import ArchiveFault, checked_archive
from vosd.admin.retention import Retention
from vosd.billing.accounts import Account, AccountType
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import DAY_MS, Age, DroppedPeriod, RecordKind
from vosd.engine.settings import RetentionSettings
from vosd.invoicing.settlement import is_paid
from vosd.storage import old_payments, schema
from vosd.storage.books import SqlBooks
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.drop_history import drop_history
from vosd.storage.dropped import note_dropped
from vosd.storage.invoices import SqlInvoices
from vosd.storage.ledger import SqlLedger
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, MoneyTransfer, Payment, ReferenceTaken
from vosd.storage.stores import SqlStores
from vosd.storage.verify import verify_ledger

FIRST = STARTED - STARTED % DAY_MS + DAY_MS
NOW = FIRST + 400 * DAY_MS
AMOUNT = Decimal("3.00000001")


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr("vosd.admin.retention.PAUSE_S", 0)
    monkeypatch.setattr("vosd.admin.retention.AT_ONCE", 4)
    monkeypatch.setattr(old_payments, "AT_ONCE", 4)


@pytest.fixture
def state_dir(tmp_path) -> Path:
    return tmp_path


@pytest.fixture
def run(database, state_dir):
    async def run(days=200, *, dry_run=False, now=NOW):
        settings = RetentionSettings(payments=Age(days=days))
        work = Retention(database, settings, state_dir, "ann", lambda: now, is_trial=dry_run)
        (sheet,) = (await work.run()).kinds
        return sheet

    return run


async def pay(database, day, **changes):
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "reference": f"bank/{day}", "amount": AMOUNT} | changes
    return await SqlPayments(database).add(Payment(made_at=FIRST + day * DAY_MS, operator="ann", **fields))


@pytest.fixture
async def booked(database):
    """A payment, a transfer and a call every twenty days; the books are closed every 100 days."""
    for day in range(0, 400, 20):
        if day and day % 100 == 0:
            await SqlCheckpoints(database).close(FIRST + day * DAY_MS, "ann", None, NOW)
        at = day * DAY_MS
        await pay(database, day)
        moved = MoneyTransfer(
            source="acme",
            target="other",
            amount=Decimal("0.5"),
            reference=f"move/{day}",
            made_at=FIRST + at,
            currencies={"acme": "USD", "other": "USD"},
        )
        await SqlPayments(database).transfer(moved)
        made = answered_call(at + DAY_MS, customer_account="acme", vendor_account="carrier")
        await SqlBooks(database).book([made])
    return database


async def payments_left(database):
    entry = schema.ledger_entry.c
    async with database.reading() as connection:
        query = select(func.count()).where(entry.kind.in_(old_payments.KINDS))
        return (await connection.execute(query)).scalar_one()


async def audited(database):
    found = [await verify_ledger(database), await verify_ledger(database, whole=True)]
    return [str(each) for result in found for each in result.differences]


def archived(state_dir):
    found = []
    for path in sorted((state_dir / "archive").glob("*.jsonl.gz")):
        checked_archive(path)
        found += [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return [each for each in found if "id" in each]


async def test_old_payments_are_in_the_archive_and_balances_and_statements_stay(booked, run, state_dir):
    ledger, until = SqlLedger(booked), FIRST + 200 * DAY_MS
    listed = await entries_of(booked, until=until, kinds=old_payments.KINDS)
    before = (await SqlBooks(booked).standings()).standings
    statement = await ledger.statement("acme", until, until + 100 * DAY_MS)
    trial = await run(dry_run=True)
    assert not (state_dir / "archive").exists()
    assert await payments_left(booked) == 60

    done = await run()

    assert (done, await payments_left(booked)) == (trial, 30)
    assert sum(each.records for each in done.months) == 30
    assert [each["id"] for each in archived(state_dir)] == sorted((each.id for each in listed), key=_order(listed))
    assert {(each["account"], each["reference"], each["amount"], each["operator"]) for each in archived(state_dir)} >= {
        ("acme", "bank/0", "3.00000001", "ann"),
        ("other", "move/180", "0.50", None),
    }
    assert (await SqlBooks(booked).standings()).standings == before
    assert await ledger.statement("acme", until, until + 100 * DAY_MS) == statement
    with pytest.raises(DroppedPeriod, match="ledger entries from before"):
        await ledger.statement("acme", until - 100 * DAY_MS, until)
    assert await audited(booked) == []
    assert {each.kind for each in await drop_history(booked)} == {"payments"}
    assert (await run()).months == ()
    assert sum(each.records for each in (await run(100)).months) == 15
    assert len({each["id"] for each in archived(state_dir)}) == len(archived(state_dir)) == 45
    assert await audited(booked) == []


async def test_accounts_without_payments_are_not_asked_for_theirs(booked, run):
    with statements_of(booked, "ledger_entry.account = ") as asked:
        sheet = await run()

    accounts = {each.parameters[0] for each in asked if "ledger_checkpoint" not in each.text}
    assert accounts == {"acme", "other"}  # of the carrier there are calls alone
    assert sum(each.records for each in sheet.months) == 30


def _order(listed):
    places = {each.id: (each.account, each.seq) for each in listed}
    return places.__getitem__


async def test_the_reference_of_a_dropped_payment_books_nothing_again(booked, run):
    before = (await SqlBooks(booked).standings()).standings
    await run()
    again = await pay(booked, 40)
    assert again.repeated
    assert again.after - again.before == AMOUNT
    with pytest.raises(ReferenceTaken):
        await pay(booked, 40, amount=Decimal(1))
    same = Payment(made_at=NOW, account="acme", kind=EntryKind.PAYMENT, reference="bank/40", amount=AMOUNT)
    known, taken = await SqlPayments(booked).earlier_of([same, replace(same, amount=Decimal(1))])
    assert known == await SqlPayments(booked).earlier(same)
    assert known is not None
    assert isinstance(taken, ReferenceTaken)
    assert not (await pay(booked, 40, kind=EntryKind.ADJUSTMENT, amount=Decimal(0))).repeated
    assert (await SqlBooks(booked).standings()).standings["acme"].balance == before["acme"].balance


async def test_nothing_goes_that_is_not_in_a_sound_archive(booked, run, state_dir):
    (state_dir / "archive").write_text("a file where the directory should be")
    held = (await run()).held[0]
    assert (held.guard, await payments_left(booked)) == ("archive", 60)
    (state_dir / "archive").unlink()
    await run()
    (path,) = (state_dir / "archive").iterdir()
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    sound = path.read_bytes()
    lines = gzip.decompress(sound).splitlines(keepends=True)
    others = (b"5\n", b"null\n", b'{"id": 1, "amount": null}\n', b'{"id": 1, "amount": "x", "balance_after": "1"}\n')
    for damaged in (
        sound[:-20],
        *(sound[:place] + bytes([sound[place] ^ 0x10]) + sound[place + 1 :] for place in range(12, 400, 7)),
        *(gzip.compress(b"".join([*lines[:3], *changed])) for changed in ([], lines[4:], *([each] for each in others))),
        gzip.compress(b"".join(lines[:-1])),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ArchiveFault, match="damaged"):
            checked_archive(path)


async def test_a_run_that_ends_in_the_middle_is_completed_from_its_archive(booked, run, state_dir, monkeypatch):
    """No payment is lost, none is in two files, whatever the next run would drop."""

    class KilledError(Exception):
        pass

    async def killed(*_):
        raise KilledError

    for when, left in (("checked_archive", 60), ("begin", 60), ("publish", 60), ("drop", 60)):
        with monkeypatch.context() as patch:
            match when:
                case "checked_archive":
                    patch.setattr("vosd.admin.payment_archive.checked_archive", lambda _: exec("raise KeyError"))
                case "begin":
                    patch.setattr("vosd.storage.retention.SqlRetention.begin", killed)
                case "publish":
                    patch.setattr("vosd.admin.payment_archive.PaymentArchive.publish", lambda _: exec("raise KeyError"))
                case _:
                    patch.setattr("vosd.storage.old_payments.SqlOldPayments.drop", killed)
            with pytest.raises((KilledError, KeyError)):
                await run()
        assert await payments_left(booked) == left
    steps = old_payments.SqlOldPayments.drop

    async def third(self, batch, drops, counted=[]):  # noqa: B006 - counts over the calls
        counted.append(batch)
        if len(counted) == 3:
            raise KilledError
        await steps(self, batch, drops)

    with monkeypatch.context() as patch:
        patch.setattr("vosd.storage.old_payments.SqlOldPayments.drop", third)
        with pytest.raises(KilledError):
            await run()
    assert await payments_left(booked) == 60 - 8
    (path,) = (state_dir / "archive").glob("payments*")
    path.rename(state_dir / "elsewhere")
    assert "put it back" in (await run(100)).held[0].why
    (state_dir / "elsewhere").rename(path)
    await run(100)
    assert await payments_left(booked) == 15
    assert len({each["id"] for each in archived(state_dir)}) == len(archived(state_dir)) == 45
    assert await audited(booked) == []


@pytest.mark.parametrize(
    "changed", [{"amount": AMOUNT * 2}, {"balance_after": Decimal(1)}, {"reference": "bank/other"}]
)
async def test_an_entry_that_is_not_as_its_archive_says_stays_with_those_behind_it(booked, run, monkeypatch, changed):
    """As where a database was put back that is older than the archive of a run that was killed."""
    with monkeypatch.context() as patch:
        patch.setattr("vosd.storage.old_payments.SqlOldPayments.drop", None)
        with pytest.raises(TypeError):
            await run()
    entry = schema.ledger_entry.c
    async with booked.writing() as connection:
        own = entry.account == "acme", entry.reference == "bank/60"
        await connection.execute(update(schema.ledger_entry).where(*own).values(**changed))
    (held,) = (await run()).held
    assert (held.guard, "account acme differs from the one in the archive" in held.why) == ("archive", True)
    assert await payments_left(booked) == 60 - 4


@pytest.mark.parametrize(("late", "expected"), [(0, [0, 2, 1, 0]), (6, [AMOUNT, 2, 3, 0])])
async def test_invoices_stay_paid_when_their_payments_are_dropped(database, run, late, expected):
    """Money may be late: dated before the first invoice, by a clock that was put back, and booked behind it."""
    terms = {"customer_account": "acme", "vendor_account": "carrier"}
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")
    office, stores = office_on(database, account, now=NOW), SqlStores(database)
    calls = [answered_call(DAY_MS * day, fee=Decimal(10), **terms) for day in (1, 30, 60, 210)]
    await pay(database, -40, reference="before the first invoice")
    await SqlBooks(database).book(calls[:3])
    periods = [iso_utc(each.ended_at)[:7] for each in calls]
    made = [(await run_invoices(office, operator(), RunInvoices(period=period)))[0] for period in periods[:3]]
    await pay(database, 62, reference=f"invoice/{made[2].number} bank 7", amount=Decimal(4))
    await pay(database, 63, amount=Decimal("9.5"))
    await pay(database, 64, reference=f"invoice/{made[2].number} return", kind=EntryKind.REFUND, amount=Decimal(-1))
    await pay(database, 110, amount=Decimal(1))
    await pay(database, 111, reference=f"invoice/{{{made[1].id}}}", amount=Decimal(2))
    await pay(database, 112, kind=EntryKind.ADJUSTMENT, amount=Decimal(-5))
    for_customer = f"invoice/{made[2].number}"  # the number of an invoice of the account that gets the money
    await pay(database, 112, kind=EntryKind.TRANSFER, reference=for_customer, amount=Decimal(-10))
    for kind in (EntryKind.REFUND, EntryKind.PAYMENT):
        await pay(database, 113, kind=kind, amount=Decimal(-1))  # of what was paid by name
    if late:
        await pay(database, -30, amount=Decimal(late))
    await pay(database, 201, amount=Decimal("0.5"))
    await SqlBooks(database).book(calls[3:])
    for until in (100, 200):
        await SqlCheckpoints(database).close(FIRST + until * DAY_MS, "ann", None, NOW)
    made += await run_invoices(office, operator(), RunInvoices(period=periods[3]))
    paid = await paid_by_invoice(stores, ["acme"])
    assert [paid[each.id] for each in made] == expected
    for days in (300, 200):
        assert (await run(days)).months
        assert await paid_by_invoice(stores, ["acme"]) == paid
    assert await payments_left(database) == 1

    async with database.writing() as connection:
        await note_dropped(connection, RecordKind.LEDGER, FIRST + 100 * DAY_MS)

    async def lines_of(invoice):
        return "".join(
            [each async for each in read_invoiced_calls(office, operator(), ReadInvoicedCalls(id=invoice.id))]
        )

    with pytest.raises(DroppedPeriod, match="ledger entries from before"):
        await lines_of(made[0])
    assert len((await lines_of(made[3])).splitlines()) == 2


@pytest.mark.parametrize("is_again", [False, True])
async def test_the_draft_of_a_first_invoice_is_paid_by_payments_that_were_dropped_before_its_issue(
    database, run, is_again
):
    """One of another account changes nothing for it, nor does one from before its begin, which its opening contains."""
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")
    office, stores = office_on(database, account, now=NOW), SqlStores(database)
    call = answered_call(DAY_MS, fee=Decimal(10), customer_account="acme", vendor_account="carrier")
    await pay(database, -40, amount=Decimal(1))
    await SqlBooks(database).book([call])
    month = RunInvoices(period=iso_utc(call.ended_at)[:7])
    if is_again:
        (first,) = await run_invoices(office, operator(), month)
        await cancel_invoice(office, operator(), CancelInvoice(id=first.id))
    (draft,) = await run_invoices(office, operator(), msgspec.structs.replace(month, draft=True))
    await pay(database, 62, amount=Decimal(7))
    await pay(database, 63, amount=Decimal(10), account="other")
    await SqlCheckpoints(database).close(FIRST + 200 * DAY_MS, "ann", None, NOW)
    assert (await run()).months
    assert await payments_left(database) == 0
    issued = await issue_invoice(office, operator(), IssueInvoice(id=draft.id))
    assert await paid_by_invoice(stores, ["acme"]) == {issued.id: Decimal(8)}


async def test_a_draft_leaves_no_dropped_payments_to_the_one_in_its_place(database, run):
    """They are in the opening balance of that one, which has the same id in SQLite."""
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")
    office, stores = office_on(database, account, now=NOW), SqlStores(database)
    calls = [
        answered_call(DAY_MS * day, fee=Decimal(10), customer_account="acme", vendor_account="carrier")
        for day in (1, 250)
    ]
    await SqlBooks(database).book(calls[:1])
    periods = [iso_utc(each.ended_at)[:7] for each in calls]
    await run_invoices(office, operator(), RunInvoices(period=periods[0], draft=True))
    await pay(database, 62, amount=Decimal(12))
    await SqlCheckpoints(database).close(FIRST + 200 * DAY_MS, "ann", None, NOW)
    assert (await run()).months
    await SqlBooks(database).book(calls[1:])
    (made,) = await run_invoices(office, operator(), RunInvoices(period=periods[1], anew=True))
    assert await paid_by_invoice(stores, ["acme"]) == {made.id: Decimal(2)}


async def test_a_first_invoice_is_not_made_of_entries_of_which_payments_are_dropped_meanwhile(
    database, run, monkeypatch
):
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")
    office = office_on(database, account, now=NOW)
    call = answered_call(DAY_MS, fee=Decimal(10), customer_account="acme", vendor_account="carrier")
    await SqlBooks(database).book([call])
    await pay(database, 62, amount=Decimal(10))
    await SqlCheckpoints(database).close(FIRST + 200 * DAY_MS, "ann", None, NOW)
    add = SqlInvoices.add

    async def late(self, *terms):
        await run()
        return await add(self, *terms)

    monkeypatch.setattr(SqlInvoices, "add", late)
    with pytest.raises(
        DroppedPeriod, match=r"of account acme cannot begin there any more: ledger entries .*; begin with"
    ):
        await run_invoices(office, operator(), RunInvoices(period=iso_utc(call.ended_at)[:7]))


async def test_the_rest_of_money_that_was_taken_away_is_left_out_of_payments_that_were_dropped_too(database, run):
    cents, wrong = Decimal("0.045621"), Decimal("-3.004")
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")
    office, stores = office_on(database, account, now=NOW), SqlStores(database)
    calls = [
        answered_call(DAY_MS * day, fee=cents, customer_account="acme", vendor_account="carrier") for day in (1, 40)
    ]
    await SqlBooks(database).book(calls)
    await pay(database, 2, kind=EntryKind.ADJUSTMENT, amount=Decimal("-0.005621"))
    await pay(database, 3, kind=EntryKind.ADJUSTMENT, amount=wrong, reference="wrong")
    listed = await entries_of(database, kinds=old_payments.KINDS)
    (mistaken,) = (each for each in listed if each.reference == "wrong")
    then = office_on(database, account, now=FIRST + 4 * DAY_MS)
    await undo_payment(then, operator(), UndoPayment(id=mistaken.id))
    made = []
    for each in calls:
        made += await run_invoices(office, operator(), RunInvoices(period=iso_utc(each.ended_at)[:7]))
    for day in (70, 75):
        await pay(database, day, amount=Decimal("0.04"))
    for until in (100, 200):
        await SqlCheckpoints(database).close(FIRST + until * DAY_MS, "ann", None, NOW)
    paid = {each.id: Decimal("0.04") for each in made}
    assert await paid_by_invoice(stores, ["acme"]) == paid
    assert {is_paid(cents, each, "USD") for each in paid.values()} == {True}
    await run(200)
    assert await payments_left(database) == 0
    assert await paid_by_invoice(stores, ["acme"]) == paid


UNDONE = {
    f"acme-{number}": each
    for number, each in enumerate(
        product([(0, 0, 100), (-100, 40, 100), (-100, 0, 60)], ["invoice/R-77", "bank/wrong"], [False, True])
    )
}
"""Accounts by debt, further money and how much of the invoice is paid; a reference; whether money is moved or paid."""


@pytest.mark.parametrize("undone_on", [64, 110])
async def test_undone_payments_leave_invoices_as_paid_as_without_them(database, run, undone_on):
    """One of two is from before the first invoice; the archive takes each before its undo, or with it.

    With a debt and no more money the invoice is paid in part, so an undone payment that still counts changes that.
    """
    stores = SqlStores(database)
    accounts = [Account(name, AccountType.DIRECT, None, Decimal(0), "USD") for name in UNDONE]
    calls = [
        answered_call(DAY_MS + number, fee=Decimal(100), customer_account=name, vendor_account="carrier")
        for number, name in enumerate(UNDONE)
    ]

    async def get(name: str, day: int, reference: str, amount: int, *, is_moved: bool) -> None:
        if not is_moved:
            await pay(database, day, account=name, reference=reference, amount=Decimal(amount))
            return
        money = {"amount": Decimal(amount), "made_at": FIRST + day * DAY_MS, "reference": reference}
        source = f"bingo of {name}"
        currencies = {source: "USD", name: "USD"}
        await stores.payments.transfer(MoneyTransfer(source=source, target=name, currencies=currencies, **money))

    for name, ((debt, _, _), reference, is_moved) in UNDONE.items():
        if debt:
            await pay(database, -41, account=name, kind=EntryKind.ADJUSTMENT, amount=Decimal(debt))
        await get(name, -40, reference, 40, is_moved=is_moved)
    await SqlBooks(database).book(calls)
    office = office_on(database, *accounts, now=NOW)
    runs = await run_invoices(office, operator(), RunInvoices(period=iso_utc(calls[0].ended_at)[:7]))
    made = {each.account: each for each in runs}
    for name, ((debt, more, _), reference, is_moved) in UNDONE.items():
        await get(name, 61, f"{reference}/2", 30, is_moved=is_moved)
        await pay(database, 62, account=name, reference=f"invoice/{made[name].number}", amount=Decimal(100))
        if more:
            await pay(database, 63, account=name, amount=Decimal(more))
        if debt:
            await pay(database, 63, account=name, reference="back", kind=EntryKind.REFUND, amount=Decimal(-40))
        else:
            await pay(database, 63, account=name, kind=EntryKind.ADJUSTMENT, amount=Decimal(-60))
    listed = await entries_of(database, kinds=old_payments.KINDS)
    then = office_on(database, *accounts, now=FIRST + undone_on * DAY_MS)
    undone = [each for each in listed if each.reference.startswith(("invoice/R-77", "bank/wrong"))]
    assert len(undone) == 36, "12 accounts with two payments or transfers, which have two entries"
    for each in undone:
        await undo_payment(then, operator(), UndoPayment(id=each.id))
    paid = {made[name].id: terms[2] for name, (terms, _, _) in UNDONE.items()}
    assert await paid_by_invoice(stores, [*UNDONE]) == paid
    for until in (100, 200):
        await SqlCheckpoints(database).close(FIRST + until * DAY_MS, "ann", None, NOW)
    for days in (300, 200):
        await run(days)
        assert await paid_by_invoice(stores, [*UNDONE]) == paid
    assert await payments_left(database) == 0


async def test_an_invoice_behind_dropped_payments_has_the_balance_of_the_ledger(database, run):
    terms = {"customer_account": "acme", "vendor_account": "carrier"}
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")
    office = office_on(database, account, now=NOW)
    calls = [answered_call(DAY_MS * day, fee=Decimal(fee), **terms) for day, fee in ((1, 10), (330, 7))]

    async def invoiced(call):
        await SqlBooks(database).book([call])
        (made,) = await run_invoices(office, operator(), RunInvoices(period=iso_utc(call.ended_at)[:7]))
        return await show_invoice(office, operator(), ShowInvoice(id=made.id))

    first = await invoiced(calls[0])
    await pay(database, 100, amount=Decimal(9))
    await SqlCheckpoints(database).close(FIRST + 110 * DAY_MS, "ann", None, NOW)
    await pay(database, 120, kind=EntryKind.REFUND, amount=Decimal("-0.5"))
    await SqlCheckpoints(database).close(FIRST + 200 * DAY_MS, "ann", None, NOW)
    await pay(database, 210, amount=Decimal(1))
    assert (await run()).months
    second = await invoiced(calls[1])
    document = second.document
    shown = [(each.date == "", each.kind, each.amount) for each in document.movements]
    assert shown == [(True, "dropped", "8.50"), (False, "payment", "1.00")]
    assert (second.opening, second.gross) == (first.closing, "7.00")
    assert Decimal(second.closing) == (await SqlBooks(database).standings()).standings["acme"].balance
    assert words_of(form_of(office.definitions.settings.invoices), "de")["dropped"] == "Frühere Buchungen"


async def test_the_first_invoice_behind_dropped_payments_opens_with_the_balance_of_the_newest_of_several_closes(
    database, run
):
    terms = {"customer_account": "acme", "vendor_account": "carrier"}
    office = office_on(database, Account("acme", AccountType.DIRECT, None, Decimal(0), "USD"), now=NOW)
    await SqlBooks(database).book([answered_call(DAY_MS, fee=Decimal(10), **terms)])
    await pay(database, 100, amount=Decimal(9))
    await SqlCheckpoints(database).close(FIRST + 110 * DAY_MS, "ann", None, NOW)
    await pay(database, 120, kind=EntryKind.REFUND, amount=Decimal("-0.5"))
    await SqlCheckpoints(database).close(FIRST + 200 * DAY_MS, "ann", None, NOW)
    await pay(database, 210, amount=Decimal(1))
    assert (await run()).months
    late = answered_call(DAY_MS * 330, fee=Decimal(7), **terms)
    await SqlBooks(database).book([late])
    (made,) = await run_invoices(office, operator(), RunInvoices(period=iso_utc(late.ended_at)[:7]))
    first = await show_invoice(office, operator(), ShowInvoice(id=made.id))
    balance = (await SqlBooks(database).standings()).standings["acme"].balance
    assert (first.opening, first.gross, Decimal(first.closing)) == ("-0.50", "7.00", balance)


async def test_an_invoice_behind_one_without_the_dropped_payments_makes_up_for_it_and_keeps_no_other_back(
    database, run
):
    """Such invoices were issued before there was a line of dropped entries."""
    accounts = [Account(name, AccountType.DIRECT, None, Decimal(0), "USD") for name in ("acme", "zeta")]
    office = office_on(database, *accounts, now=NOW)

    async def made_on(day, *names):
        calls = [
            answered_call(DAY_MS * day + number, fee=Decimal(7), customer_account=name, vendor_account="carrier")
            for number, name in enumerate(names)
        ]
        await SqlBooks(database).book(calls)
        return await run_invoices(office, operator(), RunInvoices(period=iso_utc(calls[0].ended_at)[:7]))

    async def invoiced(day, *names):
        made = await made_on(day, *names)
        return [await show_invoice(office, operator(), ShowInvoice(id=each.id)) for each in made]

    await invoiced(1, "acme")
    await pay(database, 100, amount=Decimal(9))
    await SqlCheckpoints(database).close(FIRST + 200 * DAY_MS, "ann", None, NOW)
    assert (await run()).months
    (second,) = await invoiced(301, "acme")
    stored = schema.invoice
    async with database.writing() as connection:
        wrong = Decimal(second.closing) - 9
        await connection.execute(update(stored).where(stored.c.id == second.id).values(closing=wrong))
    third, other = await invoiced(330, "acme", "zeta")
    balances = (await SqlBooks(database).standings()).standings
    assert [(each.kind, each.amount) for each in third.document.movements] == [("dropped", "9.00")]
    assert Decimal(third.closing) == balances["acme"].balance
    assert (other.account, Decimal(other.closing)) == ("zeta", balances["zeta"].balance)
    async with database.writing() as connection:
        row = schema.account.c
        await connection.execute(update(schema.account).where(row.id == "acme").values(balance=Decimal(-1)))
    made = await made_on(361, "acme", "zeta")
    assert [each.outcome for each in made] == [InvoiceOutcome.UNSOUND, InvoiceOutcome.ISSUED]


async def test_no_invoice_is_made_whose_balance_is_not_that_of_the_ledger(database):
    account = Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")
    call = answered_call(DAY_MS, fee=Decimal(10), customer_account="acme", vendor_account="carrier")
    await SqlBooks(database).book([call])
    async with database.writing() as connection:
        row = schema.account.c
        await connection.execute(update(schema.account).where(row.id == "acme").values(balance=Decimal(-9)))
    office, order = office_on(database, account, now=NOW), RunInvoices(period=iso_utc(call.ended_at)[:7])
    (made,) = await run_invoices(office, operator(), order)
    assert (made.outcome, made.id) == (InvoiceOutcome.UNSOUND, None)
    assert made.detail.startswith("the charges are 10.00 and the movements 0.00, but the balance has moved by -9.00")
