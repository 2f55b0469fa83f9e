"""Payments in the office: orders that make no sense, the accounts an agent pays for, the audit, and two persons."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data import builders
from doubles.fake_switch import FakeSwitch
from doubles.ledger_entries import entries_of
from doubles.office import agent, office_on, operator
from doubles.statements import statements_of
from sqlalchemy import delete

from vosd.admin.office import payment_file
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.office import Office
from vosd.admin.office.payment_file import (
    BadPaymentFile,
    FilePayment,
    ImportOutcome,
    ImportPayments,
    PaymentOfFile,
    ReadPayments,
    import_payments,
    read_payment_file,
    read_payments,
)
from vosd.admin.office.payments import (
    AskerMayNotError,
    BookPayment,
    ConfirmPayment,
    ListWaitingPayments,
    MoveMoney,
    NoSuchPaymentError,
    OwnPaymentError,
    PaymentType,
    RefusePayment,
    UndoPayment,
    WaitingSheet,
    book_payment,
    confirm_payment,
    list_waiting_payments,
    move_money,
    refuse_payment,
    undo_payment,
)
from vosd.admin.office.principal import ALL, Means, OperatorsOnlyError, OrderError, Principal, Role
from vosd.billing.accounts import DAY_MS
from vosd.billing.authority import OutOfScopeError
from vosd.billing.rights import Right
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import StoreUnavailable
from vosd.control.money import Commitments, ListCommitments, RefreshBalances
from vosd.control.order import OrderDone
from vosd.storage import schema
from vosd.storage.audit import SqlAudit
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.ledger_values import LedgerEntry
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment, ReferenceTaken, TooLittleLeft
from vosd.storage.validity import SqlValidity

NOW = 1_790_000_000_000
ACCOUNTS = (
    builders.account("south", rights=frozenset(Right)),
    builders.account("shop", agent="south"),
    builders.account("acme"),
    builders.account("tokyo", fee_precision=0, currency="JPY"),
)


@pytest.fixture
def office(database: Database) -> Office:
    return office_on(database, *ACCOUNTS, now=NOW, confirm_above=Decimal(100))


async def audit(database: Database) -> list[AuditLine]:
    return list(await SqlAudit(database).newest(100))


def pays(amount: str | None = "10", **more: Any) -> BookPayment:
    return BookPayment(**{"account": "acme", "amount": None if amount is None else Decimal(amount), **more})


def moves(amount: str = "5", source: str = "south", target: str = "shop", **more: Any) -> MoveMoney:
    return MoveMoney(source=source, target=target, amount=Decimal(amount), **more)


@pytest.mark.parametrize(
    ("make", "words", "field"),
    [
        (pays, {"amount": None}, "amount"),
        (pays, {"type": PaymentType.ZERO}, "amount"),
        (pays, {"amount": "0"}, "amount"),
        (pays, {"amount": "-1", "type": PaymentType.REFUND}, "amount"),
        (pays, {"reference": ""}, "reference"),
        (pays, {"reference": " bank-77"}, "reference"),
        (pays, {"reference": "bank-77\u00a0"}, "reference"),
        (pays, {"reference": "undo 7"}, "reference"),
        (pays, {"reference": "invoice/2026-000001 undo 7"}, "reference"),
        (moves, {"amount": "0"}, "amount"),
        (moves, {"target": "south"}, "to"),
        (moves, {"reference": ""}, "reference"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_its_field(
    make: Callable[..., Any], words: dict[str, Any], field: str
) -> None:
    with pytest.raises(OrderError) as refused:
        make(**words)
    assert (refused.value.field, refused.value.code) == (field, "order")


async def test_a_person_with_a_limit_of_its_own_books_up_to_that_alone(database: Database) -> None:
    """By the login that was proved: the name that the records keep is what a person says."""
    limits = {"ann": Decimal(5), "chief": None}
    office = office_on(database, *ACCOUNTS, now=NOW, confirm_above=Decimal(100), confirm_above_by=limits)
    as_bob = msgspec.structs.replace(operator("ann"), name="bob")
    for who, booked, waits in ((operator("ann"), "5", "6"), (as_bob, "5", "5.01"), (operator("bob"), "100", "101")):
        assert isinstance(await book_payment(office, who, pays(booked)), tuple)
        assert isinstance(await book_payment(office, who, pays(waits)), WaitingSheet)
    assert isinstance(await book_payment(office, operator("chief"), pays("99999")), tuple)


async def test_a_payment_has_the_decimals_of_its_account_and_an_adjustment_any(office: Office) -> None:
    said = r"^`amount` 0\.50 has more decimals than JPY of account tokyo: 0$"
    for kind in (PaymentType.PAYMENT, PaymentType.REFUND):
        with pytest.raises(OrderError, match=said):
            await book_payment(office, operator(), pays("0.5", account="tokyo", type=kind))
    for amount, kind in (("50", PaymentType.PAYMENT), ("0.12345678", PaymentType.ADJUSTMENT)):
        (receipt,) = await book_payment(office, operator(), pays(amount, account="tokyo", type=kind))
    assert receipt.after == "50.12345678"
    (receipt,) = await book_payment(office, operator(), pays("0.5", account="tokyo"), is_open_sum=True)
    assert receipt.after == "50.62345678"
    with pytest.raises(OutOfScopeError):
        await book_payment(office, agent("south"), pays("0.5", account="tokyo"))


async def test_an_account_that_is_not_configured_any_more_has_payments_in_the_currency_of_its_money(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book_payment(office, operator(), pays("50", account="tokyo"))
    later = office_on(database, builders.account("acme"), now=NOW)
    monkeypatch.setattr(later.definitions, "decimals_of", lambda account: 0 if account.currency == "JPY" else 8)
    said = r"0\.50 has more decimals than JPY of account tokyo: 0"
    with pytest.raises(OrderError, match=said):
        await book_payment(later, operator(), pays("0.5", account="tokyo"))
    (receipt,) = await book_payment(later, operator(), pays("5", account="tokyo", reference="yen"))
    (again,) = await book_payment(later, operator(), pays("5", account="tokyo", reference="yen"))
    assert (receipt.currency, receipt.after, again.currency) == ("JPY", "55.00", "JPY")
    of_file = ReadPayments(content="account,amount,reference\ntokyo,7,a\n")
    assert [each.currency for each in (await read_payments(later, operator(), of_file)).payments] == ["JPY"]
    for line, why in (
        (FilePayment(2, "tokyo", Decimal("0.5"), "a", None, None), said),
        (FilePayment(2, "tokyo", Decimal(7), "a", None, "USD"), r"USD, account tokyo has JPY$"),
    ):
        with pytest.raises(BadPaymentFile, match=f"^nothing was booked:\nline 2: {why}"):
            await import_payments(later, operator(), ImportPayments((line,)))
    (booked,) = await import_payments(
        later, operator(), ImportPayments((FilePayment(2, "tokyo", Decimal(7), "a", None, None),))
    )
    assert (booked.currency, booked.after) == ("JPY", "62.00")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_a_file_for_a_request_has_ten_thousand_lines_at_most(
    office: Office, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_file, "LINES_MAX", 4)
    lines = ["account,amount,reference", "acme,1,a", "acme,2,b", "acme,3,c", "acme,4,d"]
    found = await read_payments(office, operator(), ReadPayments(content=end.join(lines)))
    assert [each.reference for each in found.payments] == ["a", "b", "c", "d"]
    with pytest.raises(BadPaymentFile, match="more than 4 lines: make several files of it"):
        await read_payments(office, operator(), ReadPayments(content=end.join([*lines, "acme,5,e"])))


async def test_a_long_file_is_checked_in_parts_and_the_faults_of_all_are_named(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_file, "_CHECKED_AT_ONCE", 2)
    checked, faults_of = list[list[str | None]](), payment_file.faults_of

    async def counted(office: Office, who: Principal, orders: Sequence[BookPayment], faults_max: int) -> Any:
        checked.append([each.reference for each in orders])
        return await faults_of(office, who, orders, faults_max)

    monkeypatch.setattr(payment_file, "faults_of", counted)
    amounts = ("5", "0.5", "6", "7", "0.7")
    lines = [f"tokyo,{amount},r{number}" for number, amount in enumerate(amounts)]
    file = ReadPayments(content="\n".join(["account,amount,reference", *lines]))
    with pytest.raises(BadPaymentFile) as refused:
        await read_payments(office, operator(), file)
    assert [each.said[:23] for each in refused.value.mistakes] == ["line 3: `amount` 0.50 h", "line 6: `amount` 0.70 h"]
    assert checked == [["r0", "r1"], ["r2", "r3"], ["r4"]]


async def test_a_payment_is_repeated_though_its_account_has_fewer_decimals_by_now(
    database: Database, office: Office
) -> None:
    order = pays("0.5", account="tokyo", reference="yen")
    await book_payment(office_on(database, builders.account("tokyo", currency="JPY"), now=NOW), operator(), order)
    (receipt,) = await book_payment(office, operator(), order)
    assert receipt.repeated
    of_file = ReadPayments(content="account,amount,reference\ntokyo,0.5,yen\n")
    assert len((await read_payments(office, operator(), of_file)).payments) == 1
    with pytest.raises(ReferenceTaken):
        await book_payment(office, operator(), pays("0.6", account="tokyo", reference="yen"))
    with pytest.raises(OrderError, match="has more decimals"):
        await book_payment(office, operator(), pays("0.5", account="tokyo", reference="another"))


async def test_a_payment_that_waits_is_repeated_though_its_account_has_fewer_decimals_by_now(
    database: Database, office: Office
) -> None:
    order = pays("500.5", account="tokyo", reference="yen")
    then = office_on(database, builders.account("tokyo", currency="JPY"), now=NOW, confirm_above=Decimal(100))
    waits = await book_payment(then, operator(), order)
    assert isinstance(waits, WaitingSheet)
    assert await book_payment(office, operator(), order) == msgspec.structs.replace(waits, repeated=True)
    one, another = (FilePayment(2, "tokyo", Decimal("500.5"), name, None, None) for name in ("yen", "another"))
    (line,) = await import_payments(office, operator(), ImportPayments((one,)))
    assert line.outcome == ImportOutcome.WAITING.value
    with pytest.raises(OrderError, match="has more decimals"):
        await book_payment(office, operator(), pays("500.5", account="tokyo", reference="another"))
    with pytest.raises(BadPaymentFile, match="has more decimals"):
        await import_payments(office, operator(), ImportPayments((another,)))
    with pytest.raises(OrderError, match="has more decimals"):  # it would not wait
        await book_payment(office, operator(), pays("7.25", account="tokyo", reference="yen"))
    small = FilePayment(2, "tokyo", Decimal("7.25"), "yen", None, None)
    with pytest.raises(BadPaymentFile, match="has more decimals"):
        await import_payments(office, operator(), ImportPayments((small,)))


async def test_a_file_is_read_before_its_payments_are_booked_one_by_one(office: Office) -> None:
    content = "\ufeffReference;Amount;Account;Currency\r\nb-1;12;tokyo;JPY\r\nb-2;7;gone;\r\n"
    with pytest.raises(BadPaymentFile, match="line 3: no account 'gone' is configured"):
        await read_payments(office, operator(), ReadPayments(content=content))
    await SqlBooks(office.stores.database).open_accounts(["gone"])  # it is in the ledger
    assert (await read_payments(office, operator(), ReadPayments(content=content))).payments == (
        PaymentOfFile(2, "tokyo", "12.00", "b-1", None, "JPY"),
        PaymentOfFile(3, "gone", "7.00", "b-2", None, None),
    )
    header = "account,amount,reference,memo,currency\n"
    for row, said in (
        ("acme,1,234.50,INV-2,", "line 2: is 1,234.50 one amount?"),
        ("acme,1,234.50,INV-2,,", "line 2: 6 cells, not 5 as in the header"),
        ("acme,INV-1,Debit 1,234.50,", "line 2: 'INV-1' is not an amount"),
        ("acme,5,b-1,,EUR", "line 2: EUR, account acme has USD"),
        ("acme,5,b-1,,\ntokyo,5.5,b-2,,", "line 3: `amount` 5.50 has more decimals than JPY of account tokyo: 0"),
    ):
        with pytest.raises(BadPaymentFile) as refused:
            await read_payments(office, operator(), ReadPayments(content=f"{header}{row}\n"))
        ((field, fault),) = refused.value.mistakes
        assert field == "content"
        assert fault.startswith(said)
    for content, said in (
        ("account,amount,reference,Amount\nacme,5,b-1,6\n", "line 1: two columns are called amount"),
        ("acme,5,b-1\n", "line 1: the header has no columns .* it is 'acme,5,b-1': write these names into it$"),
        ("sep=;\nacme;5;b-1\n", "line 2: the header has no columns account, amount, reference"),
        ("sep=,\naccount;amount;reference\n", "line 2: the header has no columns"),
        ("sep=;\naccount;amount;reference\nacme;0;b-1\n", "line 3: 0.00 is no payment"),
        ("sep=;\naccount;amount;reference\nacme;1;b-1\nacme;0;b-2\n", "line 4: 0.00 is no payment"),
        (f"account,amount,reference,{'x' * 200_000}\n", "line 1: field larger than field limit"),
    ):
        with pytest.raises(BadPaymentFile, match=said):
            await read_payments(office, operator(), ReadPayments(content=content))


@pytest.mark.parametrize(
    ("account", "amount", "said"),
    [
        ("acme", "50.000", "50.000 may be 50000 or 50.00"),
        ("acme", "1.234", "1.234 may be 1234 or 1.2340"),
        ("tokyo", "999.999", "999.999 may be 999999 or 999.9990"),
        ("gone", "2.500", "2.500 may be 2500 or 2.50"),
        ("acme", "0.500", None), ("acme", "1000.000", None), ("acme", "1.2340", None), ("acme", "50.00", None),
        ("kuwait", "50.000", None),
    ],
)  # fmt: skip
async def test_an_amount_that_may_be_of_thousands_is_not_booked_from_a_file(
    database: Database, account: str, amount: str, said: str | None
) -> None:
    office = office_on(database, *ACCOUNTS, builders.account("kuwait", currency="KWD"), now=NOW)
    await SqlBooks(database).open_accounts(["gone"])
    content = f"account,amount,reference\n{account},{amount},r\n"
    if said is None:
        (read,) = (await read_payments(office, operator(), ReadPayments(content=content))).payments
        assert Decimal(read.amount) == Decimal(amount)
        return
    for refused in (
        read_payments(office, operator(), ReadPayments(content=content)),
        import_payments(
            office, operator(), ImportPayments(tuple(read_payment_file(content.splitlines(keepends=True))))
        ),
    ):
        with pytest.raises(BadPaymentFile, match=f"line 2: {said}: write the one that is meant"):
            await refused


async def test_the_currency_of_a_line_says_how_many_decimals_its_amount_has_where_its_account_is_not_configured(
    database: Database,
) -> None:
    office = office_on(database, *ACCOUNTS, now=NOW)
    await SqlBooks(database).open_accounts(["gone"])
    content = "account,amount,reference,currency\ngone,50.000,r,{}\n"
    (read,) = (await read_payments(office, operator(), ReadPayments(content=content.format("KWD")))).payments
    assert Decimal(read.amount) == 50
    with pytest.raises(BadPaymentFile, match=r"line 2: 50\.000 may be 50000 or 50\.00"):
        await read_payments(office, operator(), ReadPayments(content=content.format("USD")))


async def test_a_line_is_told_that_its_account_is_unknown_and_that_its_amount_may_be_of_thousands(
    office: Office,
) -> None:
    """The account was told in the next run alone, where the amount was mended."""
    content = "account,amount,reference\nacmee,50.000,r\nacme,1.000,s\n"
    faults = (
        "line 2: no account 'acmee' is configured", "line 2: 50.000 may be 50000 or 50.00",
        "line 3: 1.000 may be 1000 or 1.00",
    )  # fmt: skip
    read = tuple(read_payment_file(content.splitlines(keepends=True)))
    for refused in (
        read_payments(office, operator(), ReadPayments(content=content)),
        import_payments(office, operator(), ImportPayments(read)),
    ):
        with pytest.raises(BadPaymentFile) as told:
            await refused
        said = [each.said for each in told.value.mistakes]
        assert len(said) == 3
        assert all(any(each.startswith(fault) for each in said) for fault in faults)


async def test_amounts_that_may_be_of_thousands_are_named_with_the_decimal_comma_that_they_are_written_with(
    office: Office,
) -> None:
    (read,) = read_payment_file(["account;amount;reference\n", "acme;50,000;r\n"], has_decimal_comma=True)
    with pytest.raises(BadPaymentFile, match="line 2: 50,000 may be 50000 or 50,00: write the one that is meant"):
        await import_payments(office, operator(), ImportPayments((read,)))


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_a_line_with_the_separator_may_stand_above_the_header_of_a_file(office: Office, line_end: str) -> None:
    content = line_end.join(("\ufeffsep=;", "Account;Amount;Reference", "acme;12;b-1,2", ""))
    read = await read_payments(office, operator(), ReadPayments(content=content))
    assert read.payments == (PaymentOfFile(3, "acme", "12.00", "b-1,2", None, "USD"),)


@pytest.mark.parametrize(
    "begins",
    [b"PK\x03\x04\x14\x00\x06\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16), b"\xff\xfea\x00c\x00c\x00"],
)
async def test_a_workbook_is_refused_with_the_form_in_which_to_save_it(office: Office, begins: bytes) -> None:
    content = begins.decode("utf-8", "replace") + "\nacme,5,b-1\n"
    with pytest.raises(BadPaymentFile) as refused:
        await read_payments(office, operator(), ReadPayments(content=content))
    ((field, said),) = refused.value.mistakes
    assert (field, said.endswith("a workbook or another one: save it as CSV UTF-8")) == ("content", True)


async def test_a_file_whose_text_was_lost_is_not_read(office: Office) -> None:
    """A browser decodes any file as UTF-8: references that differ in what was lost would be one."""
    written = "account;amount;reference;memo\nacme;5;b-1;\nacme;5;K\u00f6ln 11;\nacme;6;b-2;M\u00fcller\n"
    content = written.encode("cp1252").decode("utf-8", "replace")
    with pytest.raises(BadPaymentFile) as refused:
        await read_payments(office, operator(), ReadPayments(content=content))
    said = "characters that cannot be read: save the file as UTF-8"
    assert [fault for _, fault in refused.value.mistakes] == [f"line 3: {said}", f"line 4: {said}"]
    assert len((await read_payments(office, operator(), ReadPayments(content=written))).payments) == 3


async def test_references_of_a_file_that_were_booked_for_other_amounts_are_found_before_it_is_booked(
    office: Office, database: Database
) -> None:
    await book_payment(office, operator(), pays("5", account="acme", reference="b-7"))
    await book_payment(office, operator(), pays("5", account="acme", reference="b-9"))
    lines = "".join(f"acme,{6 if number == 9 else 5},b-{number}\n" for number in range(2_000))
    content = f"account,amount,reference\n{lines}acme,5,{'x' * 300}\n"
    with statements_of(database) as asked, pytest.raises(BadPaymentFile) as refused:
        await read_payments(office, operator(), ReadPayments(content=content))
    taken, unstorable = (fault for _, fault in refused.value.mistakes)
    assert taken == "line 11: reference b-9 of account acme was booked for 5.00, not 6.00: give another reference"
    assert unstorable.startswith("line 2002: ")
    assert len(asked) < 50
    await book_payment(office, operator(), pays("50", account="south"))
    moved = pays("5", account="shop", reference="b-7")
    await book_payment(office, agent("south"), moved)
    with pytest.raises(BadPaymentFile, match="account south was booked for -5"):
        await read_payments(office, agent("south"), ReadPayments(content="account,amount,reference\nshop,6,b-7\n"))


async def test_a_file_with_many_faults_says_how_many_more_there_are(office: Office) -> None:
    content = "account,amount,reference\n" + "acme,0,b\n" * 23
    with pytest.raises(BadPaymentFile) as refused:
        await read_payments(office, operator(), ReadPayments(content=content))
    faults = [fault for _, fault in refused.value.mistakes]
    assert (len(faults), faults[-1]) == (21, "... and 3 more")


async def test_a_file_of_many_amounts_that_are_too_fine_is_refused_by_few_questions(
    office: Office, database: Database
) -> None:
    content = "account,amount,reference\n" + "".join(f"tokyo,{number}.5,b-{number}\n" for number in range(1, 2_001))
    with statements_of(database) as asked, pytest.raises(BadPaymentFile) as refused:
        await read_payments(office, operator(), ReadPayments(content=content))
    assert refused.value.mistakes[-1].said == "... and 1980 more"
    assert len(asked) < 200


async def test_a_file_of_unknown_accounts_is_refused_by_few_questions(office: Office, database: Database) -> None:
    names = ["a" * 300, "odd \u6f22 '\\ %s", *(f"gone-{number}" for number in range(2_000)), "acmee", "acme"]
    content = "account,amount,reference\n" + "".join(f"{name},5,b-1\n" for name in names)
    await SqlBooks(office.stores.database).open_accounts(["gone-7"])
    with statements_of(database) as asked, pytest.raises(BadPaymentFile) as refused:
        await read_payments(office, operator(), ReadPayments(content=content))
    faults = [fault for _, fault in refused.value.mistakes]
    assert faults[-1] == "... and 1982 more"
    assert faults[9] == "line 12: no account 'gone-8' is configured; vosd account list names them"
    assert len(asked) < 20


def _lines(count: int) -> tuple[FilePayment, ...]:
    return tuple(FilePayment(line, "acme", Decimal(line), f"b-{line}", None, None) for line in range(2, count + 2))


async def test_an_interrupted_import_is_completed_by_the_same_file(
    office: Office, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_file, "_BOOKED_AT_ONCE", 3)
    add_all, parts = SqlPayments.add_all, list[int]()

    async def away_in_the_second_part(self: SqlPayments, wanted: Sequence[Payment], *, is_trial: bool) -> Any:
        if not is_trial:
            parts.append(len(wanted))
            if len(parts) == 2:
                raise StoreUnavailable("the connection was cut")
        return await add_all(self, wanted, is_trial=is_trial)

    monkeypatch.setattr(SqlPayments, "add_all", away_in_the_second_part)
    with pytest.raises(StoreUnavailable):
        await import_payments(office, operator(), ImportPayments(_lines(8)))
    assert [each.reference for each in await entries_of(database)] == ["b-2", "b-3", "b-4"]
    done = await import_payments(office, operator(), ImportPayments(_lines(8)))
    assert [each.outcome for each in done] == ["booked before"] * 3 + ["booked"] * 5
    assert (done[-1].after, parts) == ("44.00", [3, 3, 3, 3, 2])
    assert [json.loads(each.detail)["reference"] for each in await audit(database)] == [
        f"b-{n}" for n in range(9, 1, -1)
    ]


async def test_a_running_switch_reads_the_balances_once_for_many_payments_of_a_file(
    database: Database, tmp_path: Path
) -> None:
    socket = tmp_path / "vosd.sock"
    async with FakeSwitch(socket).answers(RefreshBalances, OrderDone()) as switch:
        office = office_on(database, *ACCOUNTS, now=NOW, socket=socket)
        await import_payments(office, operator(), ImportPayments(_lines(80)))
    assert switch.asked == [RefreshBalances()]


async def test_lines_of_a_file_that_wait_stand_among_those_that_are_booked(office: Office) -> None:
    lines = tuple(
        FilePayment(line, "acme", Decimal(amount), f"b-{line}", None, None)
        for line, amount in enumerate((5, 500, 6, 7, 800), 2)
    )
    done = await import_payments(office, operator(), ImportPayments(lines))
    assert [(each.line, each.outcome.split()[0]) for each in done] == [
        (2, "booked"), (3, "waits"), (4, "booked"), (5, "booked"), (6, "waits"),
    ]  # fmt: skip
    assert done[3].after == "18.00"


async def test_the_faults_of_a_file_stand_in_the_order_of_its_lines(office: Office) -> None:
    lines = (
        FilePayment(2, "tokyo", Decimal("0.5"), "a", None, None), FilePayment(3, "acmee", Decimal(1), "b", None, None),
        FilePayment(4, "acme", Decimal(500), "undo 7", None, None), FilePayment(5, "acme", Decimal(1), " ", None, None),
        FilePayment(6, "acme", Decimal(1), "d" * 300, None, None), FilePayment(7, "acme", Decimal(1), "e", None, None),
    )  # fmt: skip
    with pytest.raises(BadPaymentFile) as refused:
        await import_payments(office, operator(), ImportPayments(lines))
    said = [each.said for each in refused.value.mistakes]
    assert [each.partition(":")[0] for each in said] == ["line 2", "line 3", "line 4", "line 5", "line 6"]
    assert said[1] == "line 3: no account 'acmee' is configured; did you mean 'acme'?"


async def test_a_file_of_unknown_accounts_is_not_imported_by_few_questions(office: Office, database: Database) -> None:
    lines = tuple(FilePayment(line, f"gone-{line}", Decimal(1), "a", None, None) for line in range(2, 402))
    with statements_of(database) as asked, pytest.raises(BadPaymentFile) as refused:
        await import_payments(office, operator(), ImportPayments(lines))
    assert refused.value.mistakes[0].said == "line 2: no account 'gone-2' is configured; vosd account list names them"
    assert refused.value.mistakes[-1].said == "... and 380 more"
    assert len(asked) < 30


async def test_a_file_of_an_agent_says_nothing_about_accounts_that_the_agent_does_not_see(office: Office) -> None:
    content = "account,amount,reference,currency\nacme,5,b-1,EUR\n"
    for name in ("acme", "absent"):
        with pytest.raises(BadPaymentFile, match=f"line 2: agent south has no account {name}$"):
            await read_payments(office, agent("south"), ReadPayments(content=content.replace("acme", name)))
    with pytest.raises(BadPaymentFile, match="line 2: EUR, account shop has USD"):
        await read_payments(office, agent("south"), ReadPayments(content=content.replace("acme", "shop")))


async def test_a_payment_below_zero_is_booked_but_not_for_an_agent(office: Office, database: Database) -> None:
    (receipt,) = await book_payment(office, operator(), pays("-1"))
    assert (receipt.type, receipt.amount) == ("payment", "-1.00")
    with pytest.raises(OrderError, match="of an agent is above zero"):
        await book_payment(office, agent("south"), pays("-1", account="shop"))
    assert len(await audit(database)) == 1


async def test_a_payment_leaves_a_line_that_says_who_by_what_and_from_where(office: Office, database: Database) -> None:
    token = Principal(
        role=Role.PROGRAM, name="bank", login="tok-7", means=Means.TOKEN, source="192.0.2.7", permissions=ALL
    )
    order = pays("10", reference="wire-7")
    (receipt,) = await book_payment(office, token, order)
    assert receipt.after == "10.00"
    (line,) = await audit(database)
    assert line._replace(detail="", number=None) == AuditLine(
        NOW, "bank", "program", "tok-7", "token", "192.0.2.7", "BookPayment", "acme", ""
    )
    assert json.loads(line.detail)["amount"] == "10"
    (again,) = await book_payment(office, token, order)
    assert again.repeated
    assert len(await audit(database)) == 1, "nothing was changed"


async def test_a_payment_without_a_reference_gets_one_that_is_in_the_audit(office: Office, database: Database) -> None:
    (receipt,) = await book_payment(office, operator(), pays("10"))
    (line,) = await audit(database)
    assert json.loads(line.detail)["reference"] == receipt.reference


async def test_what_is_refused_is_not_in_the_audit(office: Office, database: Database) -> None:
    with pytest.raises(TooLittleLeft):
        await book_payment(office, operator(), pays("10", type=PaymentType.REFUND))
    assert await audit(database) == []


async def test_a_trial_says_what_would_be_booked_and_leaves_nothing(office: Office, database: Database) -> None:
    await book_payment(office, operator(), pays("20", account="south"))
    before = await audit(database)
    (receipt,) = await book_payment(office, operator(), pays("5", account="south", reference="t", is_trial=True))
    assert (receipt.before, receipt.amount, receipt.after, receipt.repeated) == ("20.00", "5.00", "25.00", False)
    ends = await book_payment(office, agent("south"), pays("3", account="shop", is_trial=True))
    moved = await move_money(office, operator(), moves("3", is_trial=True))
    for source, target in (ends, moved):
        assert (source.account, source.after, target.account, target.after) == ("south", "17.00", "shop", "3.00")
    waits = await book_payment(office, operator("ann"), pays("101", reference="big", is_trial=True))
    assert isinstance(waits, WaitingSheet)
    assert (waits.id, waits.amount, waits.repeated) == (0, "101.00", False)
    assert await list_waiting_payments(office, operator(), ListWaitingPayments()) == []
    with pytest.raises(TooLittleLeft):
        await book_payment(office, operator(), pays("21", account="south", type=PaymentType.REFUND, is_trial=True))
    with pytest.raises(OutOfScopeError):
        await book_payment(office, agent("south"), pays("3", account="acme", is_trial=True))
    assert await audit(database) == before
    (receipt,) = await book_payment(office, operator(), pays("5", account="south", reference="t"))
    assert (receipt.before, receipt.after, receipt.repeated) == ("20.00", "25.00", False)


async def test_a_trial_of_a_refund_counts_what_calls_hold_and_withholds_nothing(
    database: Database, tmp_path: Path
) -> None:
    switch = FakeSwitch(tmp_path / "vosd.sock").answers(ListCommitments, {"south": Commitments("6.00", "-1.00")})
    async with switch:
        office = office_on(database, *ACCOUNTS, now=NOW, socket=tmp_path / "vosd.sock")
        await SqlPayments(database).add(
            Payment(account="south", kind=EntryKind.PAYMENT, reference="r", made_at=NOW, amount=Decimal(20))
        )
        refunds = {"account": "south", "type": PaymentType.REFUND, "is_trial": True}
        (receipt,) = await book_payment(office, operator(), pays("13", **refunds))
        assert (receipt.before, receipt.after, receipt.untold) == ("20.00", "7.00", "")
        with pytest.raises(TooLittleLeft):
            await book_payment(office, operator(), pays("13.01", **refunds))
    assert {*map(type, switch.asked)} == {ListCommitments}


async def test_an_agent_pays_for_accounts_below_it_from_its_own(office: Office, database: Database) -> None:
    await book_payment(office, operator(), pays("20", account="south"))
    source, target = await book_payment(office, agent("south"), pays("3", account="shop"))
    assert (source.account, source.after, target.account, target.after) == ("south", "17.00", "shop", "3.00")
    assert {(line.principal, line.role, line.subject) for line in (await audit(database))[:1]} == {
        ("agent south", "agent", "shop")
    }
    with pytest.raises(OutOfScopeError):
        await book_payment(office, agent("south"), pays("3", account="acme"))


async def test_money_from_an_agent_extends_the_validity_below_it_as_a_payment_and_is_the_last_one(
    database: Database,
) -> None:
    day = {"payment_extends_days": 30, "expires_at": NOW + DAY_MS}
    south, shop = builders.account("south", rights=frozenset(Right)), builders.account("shop", agent="south", **day)
    office = office_on(database, south, shop, now=NOW, confirm_above=Decimal(50))
    await book_payment(office, operator(), pays("40", account="south"))
    trial = await book_payment(office, agent("south"), pays("3", account="shop", is_trial=True))
    assert trial[1].expires_at == iso_utc(NOW + 31 * DAY_MS)
    (_, paid) = await book_payment(office, agent("south"), pays("3", account="shop", reference="p"))
    assert paid.expires_at == iso_utc(NOW + 31 * DAY_MS)
    (_, again) = await book_payment(office, agent("south"), pays("3", account="shop", reference="p"))
    assert (again.repeated, again.expires_at) == (True, msgspec.UNSET)
    (_, moved) = await move_money(office, operator(), moves("5"))
    assert moved.expires_at is msgspec.UNSET
    assert await SqlValidity(database).expiry("shop") == NOW + 31 * DAY_MS
    assert (await office.stores.ledger.last_payments([NOW + 1], None))[0]["shop"] == (NOW, Decimal(3))
    (_, more) = await move_money(office, agent("south"), moves("4"))
    assert more.expires_at == iso_utc(NOW + 61 * DAY_MS)
    assert (await office.stores.ledger.last_payments([NOW + 1], None))[0]["shop"] == (NOW, Decimal(4))


async def test_money_from_an_agent_extends_the_validity_when_a_second_person_confirms_it(database: Database) -> None:
    day = {"payment_extends_days": 30, "expires_at": NOW + DAY_MS}
    south, shop = builders.account("south", rights=frozenset(Right)), builders.account("shop", agent="south", **day)
    office = office_on(database, south, shop, now=NOW, confirm_above=Decimal(50))
    for part in range(2):
        await book_payment(office, operator(), pays("50", account="south", reference=str(part)))
    waits = await book_payment(office, agent("south"), pays("60", account="shop"))
    assert isinstance(waits, WaitingSheet)
    (_, paid) = await confirm_payment(office, operator("bob"), ConfirmPayment(waits.id))
    assert paid.expires_at == iso_utc(NOW + 31 * DAY_MS)


@pytest.mark.parametrize("lost", ["the right", "the account", "a right of its own", "its own account", "its place"])
async def test_what_an_agent_has_asked_for_is_not_confirmed_when_it_may_not_order_it_any_more(
    database: Database, lost: str
) -> None:
    everything = frozenset(Right)
    south, shop = builders.account("south", rights=everything), builders.account("shop", agent="south")
    office = office_on(database, south, shop, now=NOW, confirm_above=Decimal(50))
    for part in range(2):
        await book_payment(office, operator(), pays("50", account="south", reference=str(part)))
    own = "own" in lost
    waits = await book_payment(office, agent("south"), pays("60", account="south" if own else "shop"))
    assert isinstance(waits, WaitingSheet)
    left = everything - {Right.OWN_PAYMENTS if own else Right.SUB_PAYMENTS} if "right" in lost else everything
    south = builders.account("south", rights=left, enabled=lost != "its own account")
    shop = builders.account("shop", agent=None if lost == "the account" else "south")
    accounts = (shop,) if lost == "its place" else (south, shop)
    later = office_on(database, *accounts, now=NOW, confirm_above=Decimal(50))
    with pytest.raises(AskerMayNotError, match="agent south, which may not order it any more"):
        await confirm_payment(later, operator("bob"), ConfirmPayment(waits.id))
    assert [each.id for each in await list_waiting_payments(later, operator("bob"), ListWaitingPayments())] == [
        waits.id
    ]
    await confirm_payment(office, operator("bob"), ConfirmPayment(waits.id))


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (pays("1", account="shop", type=PaymentType.ADJUSTMENT), "type"),
        (pays("1", account="shop", type=PaymentType.REFUND, force=True), "type"),
        (pays("1", account="shop", force=True), "force"),
        (pays("-1", account="shop"), "amount"),
        (moves(force=True), "force"),
        (moves(source="shop", target="south"), "from"),
    ],
)
async def test_an_agent_has_no_other_ways(office: Office, order: Any, field: str) -> None:
    act = move_money if isinstance(order, MoveMoney) else book_payment
    with pytest.raises(OrderError) as refused:
        await act(office, agent("south"), order)
    assert refused.value.field == field


async def test_only_a_refund_can_be_forced(office: Office) -> None:
    with pytest.raises(OrderError, match="`force` is for `type` refund") as refused:
        await book_payment(office, operator(), pays(force=True))
    assert refused.value.field == "force"


@pytest.mark.parametrize("order", [pays("21", account="shop"), moves("21"), pays("21", account="shop", is_trial=True)])
async def test_who_cannot_force_a_payment_is_not_offered_it(office: Office, order: Any) -> None:
    await book_payment(office, operator(), pays("20", account="south"))
    act = move_money if isinstance(order, MoveMoney) else book_payment
    with pytest.raises(TooLittleLeft, match=r"south has 20\.00 to spare .*, less than 21\.00$") as refused:
        await act(office, agent("south"), order)
    assert refused.value.remedy == ""
    with pytest.raises(TooLittleLeft, match=r"less than 21\.00; `force` books it all the same$") as offered:
        await move_money(office, operator(), moves("21"))
    assert offered.value.remedy == "`force` books it all the same"


async def test_who_confirms_a_payment_is_not_offered_to_force_it(office: Office) -> None:
    await book_payment(office, operator("ann"), pays("99", account="south"))
    waits = await move_money(office, operator("ann"), moves("101"))
    assert isinstance(waits, WaitingSheet)
    with pytest.raises(TooLittleLeft, match=r"less than 101\.00; refuse it, and order another one with `force`$"):
        await confirm_payment(office, operator("bob"), ConfirmPayment(waits.id))


async def test_a_large_payment_is_booked_by_two_persons_and_both_are_in_the_audit(
    office: Office, database: Database
) -> None:
    waits = await book_payment(office, operator("ann"), pays("101"))
    assert isinstance(waits, WaitingSheet)
    assert [each.id for each in await list_waiting_payments(office, operator(), ListWaitingPayments())] == [waits.id]
    with pytest.raises(OwnPaymentError):
        await confirm_payment(office, operator("ann"), ConfirmPayment(waits.id))
    for act, order in ((confirm_payment, ConfirmPayment(waits.id)), (refuse_payment, RefusePayment(waits.id))):
        with pytest.raises(OperatorsOnlyError):
            await act(office, agent("south"), order)
    (receipt,) = await confirm_payment(office, operator("bob"), ConfirmPayment(waits.id))
    assert receipt.after == "101.00"
    refused = await book_payment(office, operator("ann"), pays("102"))
    assert isinstance(refused, WaitingSheet)
    await refuse_payment(office, operator("bob"), RefusePayment(refused.id, "why"))
    assert [(line.action, line.principal) for line in reversed(await audit(database))] == [
        ("BookPayment", "ann"), ("ConfirmPayment", "bob"), ("BookPayment", "ann"), ("RefusePayment", "bob"),
    ]  # fmt: skip


async def entries(database: Database) -> list[LedgerEntry]:
    return await entries_of(database)


@pytest.mark.parametrize(
    ("order", "kind", "amount"),
    [
        (pays("10", reference="r"), "payment", "-10"),
        (pays("-3", reference="r"), "payment", "3"),
        (pays("7", type=PaymentType.ADJUSTMENT, reference="r"), "adjustment", "-7"),
        (pays("4", type=PaymentType.REFUND, reference="r", force=True), "refund", "4"),
        (pays(None, type=PaymentType.ZERO, reference="r"), "adjustment", "50"),
    ],
)
async def test_a_payment_is_undone_once_by_the_reverse_that_names_it(
    office: Office, database: Database, order: BookPayment, kind: str, amount: str
) -> None:
    await book_payment(office, operator(), pays("50", reference="before"))
    await book_payment(office, operator(), order)
    wrong = (await entries(database))[-1]
    (receipt,) = await undo_payment(office, operator("bob"), UndoPayment(id=wrong.id, memo="a typo"))
    assert (receipt.after, receipt.repeated) == ("50.00", False)
    undo = (await entries(database))[-1]
    assert (undo.kind, undo.amount, undo.reference, undo.operator, undo.memo) == (
        kind, Decimal(amount), f"undo {wrong.id}", "bob", f"takes back {wrong.kind} r: a typo",
    )  # fmt: skip
    line = (await audit(database))[0]
    assert (line.action, line.subject, json.loads(line.detail)["id"]) == ("UndoPayment", "acme", wrong.id)
    (again,) = await undo_payment(office, operator(), UndoPayment(id=wrong.id))
    assert (again.after, again.repeated, len(await entries(database))) == ("50.00", True, 3)
    with pytest.raises(OrderError, match="takes back another payment"):
        await undo_payment(office, operator(), UndoPayment(id=undo.id))


async def test_money_that_was_spent_since_is_taken_back_all_the_same(office: Office, database: Database) -> None:
    await book_payment(office, operator(), pays("10"))
    await book_payment(office, operator(), pays("-8", type=PaymentType.ADJUSTMENT))
    (receipt,) = await undo_payment(office, operator(), UndoPayment(id=(await entries(database))[0].id))
    assert receipt.after == "-8.00"


async def test_the_undo_of_a_payment_for_an_invoice_is_about_that_invoice(office: Office, database: Database) -> None:
    await book_payment(office, operator(), pays("10", reference="invoice/2026-000017 bank-3"))
    (entry,) = await entries(database)
    (receipt,) = await undo_payment(office, operator(), UndoPayment(id=entry.id))
    assert receipt.reference == f"invoice/2026-000017 undo {entry.id}"


@pytest.mark.parametrize("half", [0, 1])
async def test_a_transfer_is_undone_once_by_either_entry_whatever_is_left(database: Database, half: int) -> None:
    office = office_on(database, *ACCOUNTS, builders.account("depot"), now=NOW)
    await book_payment(office, operator(), pays("20", account="south"))
    for amount, more in (("5", {"source": "acme", "target": "depot"}), ("5", {})):  # another one of the same reference
        await move_money(office, operator(), moves(amount, reference="wire: 7", force=True, memo="to: shop", **more))
    await book_payment(office, operator(), pays("-4", account="shop", type=PaymentType.ADJUSTMENT))
    moved = [each for each in await entries(database) if each.account in {"south", "shop"}][1:3]
    order = UndoPayment(id=moved[half].id, memo="of another shop")
    source, target = await undo_payment(office, operator("bob"), order)
    assert (source.account, source.after, target.account, target.after) == ("shop", "-4.00", "south", "20.00")
    said = "takes back transfer wire: 7: of another shop"
    undos = (await entries(database))[-2:]
    assert [(each.kind, each.account, each.amount, each.reference, each.memo) for each in undos] == [
        ("transfer", "shop", Decimal(-5), f"undo {moved[1].id}", f"to south: {said}"),
        ("transfer", "south", Decimal(5), f"undo {moved[0].id}", f"from shop: {said}"),
    ]  # fmt: skip
    line = (await audit(database))[0]
    assert (line.action, line.subject, line.principal) == ("UndoPayment", moved[half].account, "bob")
    count = len(await entries(database))
    for each in moved:
        again = await undo_payment(office, operator(), UndoPayment(id=each.id))
        assert isinstance(again, tuple)
        assert [receipt.repeated for receipt in again] == [True, True]
    for undo in undos:
        with pytest.raises(OrderError, match="takes back another payment"):
            await undo_payment(office, operator(), UndoPayment(id=undo.id))
    assert len(await entries(database)) == count


async def test_the_undo_of_an_agents_payment_waits_and_takes_the_validity_back_when_it_is_confirmed(
    database: Database,
) -> None:
    terms = {"payment_extends_days": 30, "expires_at": NOW + DAY_MS}
    south, shop = builders.account("south", rights=frozenset(Right)), builders.account("shop", agent="south", **terms)
    limits = {"confirm_above": Decimal(50), "confirm_above_by": {"chief": None, "south": None}}
    office = office_on(database, south, shop, now=NOW, **limits)
    await book_payment(office, operator("chief"), pays("100", account="south"))
    paid = await book_payment(office, agent("south"), pays("60", account="shop"))
    if isinstance(paid, WaitingSheet):
        paid = await confirm_payment(office, operator("chief"), ConfirmPayment(paid.id))
    assert await SqlValidity(database).expiry("shop") == NOW + 31 * DAY_MS
    assert (await office.stores.ledger.last_payments([NOW + 1], None))[0]["shop"] == (NOW, Decimal(60))
    gave, got = (await entries(database))[-2:]
    waits = await undo_payment(office, operator("ann"), UndoPayment(id=gave.id))
    assert isinstance(waits, WaitingSheet)
    assert (waits.account, waits.target, waits.amount) == ("shop", "south", "60.00")
    again = await undo_payment(office, operator("ann"), UndoPayment(id=got.id))
    assert again == msgspec.structs.replace(waits, repeated=True)
    source, target = await confirm_payment(office, operator("bob"), ConfirmPayment(waits.id))
    assert (source.after, source.expires_at) == ("0.00", iso_utc(NOW + DAY_MS))
    assert (target.after, target.expires_at) == ("100.00", msgspec.UNSET)
    assert [each.reference for each in (await entries(database))[-2:]] == [f"undo {got.id}", f"undo {gave.id}"]
    assert (await office.stores.ledger.last_payments([NOW + 1], None))[0].keys() == {"south"}
    assert await SqlValidity(database).expiry("shop") is None


async def test_a_transfer_whose_other_entry_is_in_an_archive_is_not_undone(office: Office, database: Database) -> None:
    await move_money(office, operator(), moves(force=True))
    gave, got = await entries(database)
    async with database.writing() as connection:
        await connection.execute(delete(schema.ledger_entry).where(schema.ledger_entry.c.id == got.id))
    with pytest.raises(OrderError, match="is in an archive"):
        await undo_payment(office, operator(), UndoPayment(id=gave.id))


async def test_a_zeroing_of_nothing_and_what_is_no_payment_are_not_undone(office: Office, database: Database) -> None:
    await book_payment(office, operator(), pays(None, type=PaymentType.ZERO))
    (nothing,) = await entries(database)
    with pytest.raises(OrderError, match="has moved no money") as refused:
        await undo_payment(office, operator(), UndoPayment(id=nothing.id))
    assert refused.value.field == "id"
    with pytest.raises(NoSuchPaymentError):
        await undo_payment(office, operator(), UndoPayment(id=nothing.id + 1))
    await move_money(office, operator(), moves(force=True))
    for each in await entries(database):
        with pytest.raises(OperatorsOnlyError):
            await undo_payment(office, agent("south"), UndoPayment(id=each.id))
    assert len(await entries(database)) == 3


async def test_the_undo_of_a_large_payment_waits_and_takes_the_validity_back_when_it_is_confirmed(
    database: Database,
) -> None:
    ends = NOW + DAY_MS
    office = office_on(
        database,
        builders.account("acme", expires_at=ends, payment_extends_days=30),
        now=NOW,
        confirm_above=Decimal(100),
        confirm_above_by={"chief": None},
    )
    (receipt,) = await book_payment(office, operator("chief"), pays("500"))
    assert receipt.expires_at == iso_utc(ends + 30 * DAY_MS)
    (entry,) = await entries(database)
    waits = await undo_payment(office, operator("ann"), UndoPayment(id=entry.id))
    assert isinstance(waits, WaitingSheet)
    assert (waits.amount, waits.repeated) == ("-500.00", False)
    again = await undo_payment(office, operator("ann"), UndoPayment(id=entry.id))
    assert again == msgspec.structs.replace(waits, repeated=True)
    assert await SqlValidity(database).expiry("acme") == ends + 30 * DAY_MS
    (receipt,) = await confirm_payment(office, operator("bob"), ConfirmPayment(waits.id))
    assert (receipt.after, receipt.expires_at) == ("0.00", iso_utc(ends))
    assert await SqlValidity(database).expiry("acme") is None


async def test_the_audit_is_read_by_person_and_by_subject(office: Office) -> None:
    await book_payment(office, operator("ann"), pays("10", reference="r1"))
    await book_payment(office, operator("bob"), pays("20", account="south"))
    lines = await list_audit(office, operator(), ListAudit())
    assert [(line.principal, line.subject) for line in lines] == [("bob", "south"), ("ann", "acme")]
    for order in (ListAudit(principal="ann"), ListAudit(subject="acme"), ListAudit(limit=9, principal="ann")):
        (line,) = await list_audit(office, operator(), order)
        assert (line.at, line.means, line.detail["reference"]) == (iso_utc(NOW), "terminal", "r1")
