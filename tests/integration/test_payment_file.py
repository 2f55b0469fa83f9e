"""``vosd payment import``: a file of the bank is checked as a whole, and books each payment once."""

import json
from typing import Any

import pytest
from doubles.data.records import answered_call
from doubles.installation import Installation

from vosd.cdr.ports import RowsLocked
from vosd.cli import progress
from vosd.config.assembly import currencies
from vosd.config.assembly.currencies import read_currencies
from vosd.storage import payments_together

BANK = """Kunde;Betrag;Buchungs-ID;Text
customer-1;"1.234,50";2026-11-03/17;Rechnung 7
gone;10;2026-11-03/18;
"""


def test_payments_of_a_bank_file_are_checked_together_and_booked_once(installation: Installation) -> None:
    installation.book([answered_call(1, customer_account="gone", vendor_account="vendor-1")])
    file = installation.config.with_name("bank.csv")
    file.write_text(BANK, encoding="cp1252")
    words = ("payment", "import", str(file), "--operator", "ann", "--decimal-comma", "--encoding", "cp1252")
    titles = ("account=Kunde", "amount=Betrag", "reference=Buchungs-ID", "memo=Text")
    words = (*words, *(word for title in titles for word in ("--column", title)))
    trial = installation.document(*words, "--dry-run")
    assert [(each["line"], each["amount"], each["outcome"]) for each in trial] == [
        (2, "1234.50", "new"),
        (3, "10.00", "new"),
    ]
    assert installation.document("ledger", "list", "--type", "payment") == []
    assert [each["outcome"] for each in installation.document(*words)] == ["booked", "booked"]
    assert [each["outcome"] for each in installation.document(*words)] == ["booked before", "booked before"]
    entry = installation.document("ledger", "list", "--account", "customer-1")[0]
    assert (entry["amount"], entry["reference"], entry["memo"]) == ("1234.50", "2026-11-03/17", "Rechnung 7")
    assert "booked before: 2, 1244.50 USD" in installation.vosd(*words).stdout


def test_a_file_of_another_encoding_than_was_said_is_refused(installation: Installation) -> None:
    file = installation.config.with_name("bank.csv")
    for said, written in (("utf-8", "utf-16"), ("utf-16", "utf-16-le"), ("hex", "utf-8")):
        file.write_text("account,amount,reference\ncustomer-1,1,a\n", encoding=written)
        refused = installation.vosd("payment", "import", str(file), "--encoding", said)
        assert (refused.exit_code, f"is not {said}" in refused.stderr) == (2, True)


def test_an_import_says_how_far_it_is(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    file = installation.config.with_name("bank.csv")
    file.write_text("account,amount,reference\ncustomer-1,1,a\ncustomer-1,2,b\n")
    for words, parts in (("--dry-run",), ["0%", "50%"]), ((), ["0%", "25%", "75%", "100%"]):
        said = installation.vosd("payment", "import", str(file), *words).stderr.splitlines()
        assert [line.partition(":")[0] for line in said] == parts
    assert said[-1].startswith("100%: 2 payments, ")


@pytest.mark.parametrize("shortened", ["2.02611E+14", '"2,02611E+14"', "2E+14", "2.026e+014"])
def test_a_reference_that_a_spreadsheet_has_shortened_keeps_a_file_from_being_booked(
    installation: Installation, shortened: str
) -> None:
    """The file of the next day has the same one: its payment would count as booked before."""
    file = installation.config.with_name("bank.csv")
    file.write_text(f"account,amount,reference\ncustomer-1,100,2026111200001\ncustomer-1,100,{shortened}\n")
    refused = installation.vosd("payment", "import", str(file))
    reference = shortened.strip('"')
    said = f"line 3: reference {reference} has lost its digits: a spreadsheet has shortened it"
    assert (refused.exit_code, said in refused.stderr) == (1, True)
    assert installation.document("ledger", "list") == []


def test_a_payment_has_no_more_decimals_than_its_currency(installation: Installation) -> None:
    installation.config.write_text(f"{installation.config.read_text()}currencies: [{{code: USD, fee_precision: 2}}]\n")
    file = installation.config.with_name("bank.csv")
    file.write_text("account,amount,reference\ncustomer-1,3.10,a\ncustomer-1,3.14159,b\n")
    said = "3.14159 has more decimals than USD of account customer-1: 2"
    refused = installation.vosd("payment", "import", str(file))
    assert (refused.exit_code, f"line 3: {said}" in refused.stderr) == (1, True)
    words = ("payment", "add", "--account", "customer-1", "--amount", "3.14159")
    refused = installation.vosd(*words)
    assert (refused.exit_code, f"--amount {said}" in refused.stderr) == (2, True)
    assert installation.vosd(*words, "--type", "adjustment").exit_code == 0


def test_what_was_booked_is_repeated_though_its_currency_has_fewer_decimals_by_now(installation: Installation) -> None:
    written = installation.config.read_text()
    installation.config.write_text(f"{written}currencies: [{{code: USD, fee_precision: 6}}]\n")
    file = installation.config.with_name("bank.csv")
    file.write_text("account,amount,reference\ncustomer-1,3.141590,pi\n")
    assert installation.vosd("payment", "import", str(file)).exit_code == 0
    installation.config.write_text(f"{written}currencies: [{{code: USD, fee_precision: 2}}]\n")
    assert "booked before: 1, 3.14159 USD" in installation.vosd("payment", "import", str(file)).stdout
    words = ("payment", "add", "--account", "customer-1", "--amount", "3.141590", "--reference")
    assert installation.document(*words, "pi")["repeated"]
    assert installation.vosd(*words, "another").exit_code == 2
    assert len(installation.document("ledger", "list")) == 1


def test_currencies_are_read_once_for_all_rows_of_a_file(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return read_currencies(*arguments)

    monkeypatch.setattr(currencies, "read_currencies", counted)
    file = installation.config.with_name("bank.csv")
    file.write_text("account,amount,reference\ncustomer-1,1,a\ncustomer-1,2,b\nvendor-1,3,c\n")
    assert "booked: 3" in installation.vosd("payment", "import", str(file)).stdout
    assert len(calls) == 1


def test_cells_that_are_quoted_are_two_whatever_they_look_like_together(installation: Installation) -> None:
    file = installation.config.with_name("bank.csv")
    file.write_text(
        'account,amount,reference,memo\ncustomer-1,1,"234.50","of 1,234.50"\ncustomer-1,"12",345,\n'
        'customer-1,50,"12 kr",\ncustomer-1,"7","8",\n'
    )
    booked = installation.document("payment", "import", str(file))
    assert [(each["amount"], each["reference"]) for each in booked] == [
        ("1.00", "234.50"),
        ("12.00", "345"),
        ("50.00", "12 kr"),
        ("7.00", "8"),
    ]
    file.write_text('account,reference,amount\ncustomer-1,"RM 1",234.50\ncustomer-1,INV-2,"345.00"\n')
    booked = installation.document("payment", "import", str(file))
    assert [(each["amount"], each["reference"]) for each in booked] == [("234.50", "RM 1"), ("345.00", "INV-2")]
    file.write_text("reference,amount,account\na,5,345\n")
    refused = installation.vosd("payment", "import", str(file))
    assert (refused.exit_code, "line 2: no account '345'" in refused.stderr) == (1, True)


def test_references_and_dates_that_cannot_be_half_an_amount_need_no_quotation_marks(installation: Installation) -> None:
    file = installation.config.with_name("bank.csv")
    before = ["INV-2031,345.00", "P02,250.00", "2026-11-27,500", "INV-7,50", "INV-8,1234.50", "R7/B8,345.00"]
    file.write_text("\n".join(["account,reference,amount", *(f"customer-1,{each}" for each in before)]) + "\n")
    booked = installation.document("payment", "import", str(file))
    assert [f"{each['reference']},{each['amount']}" for each in booked] == [
        "INV-2031,345.00",
        "P02,250.00",
        "2026-11-27,500.00",
        "INV-7,50.00",
        "INV-8,1234.50",
        "R7/B8,345.00",
    ]
    behind = ["100,2031", "50,27/11/2026", "5,A-100", "50.00,100", "7,12:30 cash"]
    file.write_text("\n".join(["account,amount,reference", *(f"customer-1,{each}" for each in behind)]) + "\n")
    booked = installation.document("payment", "import", str(file))
    assert [each["reference"] for each in booked] == ["2031", "27/11/2026", "A-100", "100", "12:30 cash"]
    memos = ["2026-11-27,50", "27.11.2026,250", "Invoice 4711,250.00", "Order 7,50.00", "+49 30 123,5", "cash,50"]
    rows = [f"customer-1,m-{number},{each}" for number, each in enumerate(memos)]
    file.write_text("\n".join(["account,reference,memo,amount", *rows]) + "\n")
    booked = installation.document("payment", "import", str(file))
    assert [each["amount"] for each in booked] == ["50.00", "250.00", "250.00", "50.00", "5.00", "50.00"]


@pytest.mark.parametrize(
    "row",
    [
        "customer-1,50,12,",
        "customer-1,1234,50 kr,INV-1",
        "customer-1,1234,50 Kč,INV-1",
        "customer-1,1.234,50-,INV-6",
        "customer-1,50,INV-1,1234",
        "customer-1, 1.234, 5,INV-1",
    ],
)
def test_amounts_with_a_decimal_comma_need_quotation_marks_in_a_file_with_commas(
    installation: Installation, row: str
) -> None:
    file = installation.config.with_name("bank.csv")
    file.write_text(f"account,amount,reference,memo\n{row}\n")
    refused = installation.vosd("payment", "import", str(file), "--decimal-comma")
    said = f"line 2: put quotation marks around {row.split(',')[1].strip()}, or separate by semicolons"
    assert (refused.exit_code, said in refused.stderr) == (1, True)
    file.write_text('account,amount,reference,memo\ncustomer-1,"1.234,50",7,8\ncustomer-1,"12",345,\n')
    booked = installation.document("payment", "import", str(file), "--decimal-comma")
    assert [(each["amount"], each["reference"]) for each in booked] == [("1234.50", "7"), ("12.00", "345")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("account,amount\ncustomer-1,5\n", "the header has no columns account, amount, reference"),
        ("account,amount,reference\ncustomer-1,5,a\nvendr-1,5,b\n", "line 3: no account 'vendr-1' is configured"),
        ("account,amount,reference\ncustomer-1,5,a\ncustomer-1,-5,b\n", "line 3: -5.00 is no payment"),
        ("account,amount,reference\ncustomer-1,5,a\ncustomer-1,6,a\n", "line 3: reference a of account customer-1"),
        ("account,amount,reference\ncustomer-1,5,\n", "line 2: no reference"),
        ("account,amount,reference\ncustomer-1,1.000.5,a\n", "line 2: '1.000.5' is not an amount"),
        ("account;amount;reference\ncustomer-1;12.50;a\n", "line 2: '12.50' is not an amount with a decimal comma"),
        ("account,amount,reference,currency\ncustomer-1,5,a,EUR\n", "line 2: EUR, account customer-1 has USD"),
        ("account,amount,reference\ncustomer-1,1,234.50,a\n", "line 2: 4 cells, not 3 as in the header"),
        (
            "account,amount,memo,reference\ncustomer-1,1,234.50,a\n",
            "line 2: is 1,234.50 one amount? Put quotation marks",
        ),
        ("account,amount,reference,memo\ncustomer-1,12,345,678.5\n", "line 2: is 12,345 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,1,234.50\n", "line 2: is 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,1,234.50\n", "line 2: is 1,234.50 one amount?"),
        ("account,amount,reference,memo\ncustomer-1, 1,234.50,INV-1\n", "line 2: is 1,234.50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,USD 1,234.50\n", "line 2: is USD 1,234.50 one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1,234.50-,INV-1\n", "line 2: is 1,234.50- one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1,234.50 DR,INV-1\n", "line 2: is 1,234.50 DR one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1,234.50 USD Cr.,INV\n", "line 2: is 1,234.50 USD Cr. one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1,234.50/-,INV-1\n", "line 2: is 1,234.50/- one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,€1,234.50\n", "line 2: is €1,234.50 one amount?"),
        ("account,amount,reference,memo\ncustomer-1,50,100 USD,cash\n", "line 2: is 50,100 USD one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1 ,234.50,INV-1\n", "line 2: is 1,234.50 one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1,234.50 ,INV-1\n", "line 2: is 1,234.50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,\u20131,234.50\n", "line 2: is \u20131,234.50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,Debit 1,234.50\n", "line 2: is Debit 1,234.50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,US $1,234.50\n", "line 2: is US $1,234.50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,KSh 1,234.50\n", "line 2: is KSh 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,人民币1,234.50\n", "line 2: is 人民币1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,DR 1,234.50\n", "line 2: is DR 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,DR: 1,234.50\n", "line 2: is DR: 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,RM -1,234.50\n", "line 2: is RM -1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,RM 1,234.50\n", "line 2: is RM 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,Rs 1,234.50\n", "line 2: is Rs 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,CR 1,234.50\n", "line 2: is CR 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,RM1,234.50\n", "line 2: is RM1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,KSh 1,234.50\n", "line 2: is KSh 1,234.50 one amount?"),
        ("account,reference,amount\ncustomer-1,Rs 12,345.00\n", "line 2: is Rs 12,345.00 one amount?"),
        ("account,reference,amount\ncustomer-1,INV-2,345.00\n", "line 2: is INV-2,345.00 one amount?"),
        ("account,reference,amount\ncustomer-1,TRX7,500\n", "line 2: is TRX7,500 one amount?"),
        (
            "account,reference,memo,amount\ncustomer-1,INV-1,Account debit 1,234.50\n",
            "line 2: is Account debit 1,234.50 one amount?",
        ),
        ("account,reference,memo,amount\ncustomer-1,INV-1,Order 7,345.00\n", "line 2: is Order 7,345.00 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,1234,50\n", "line 2: is 1234,50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,EUR 12,5\n", "line 2: is EUR 12,5 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,1.234,50\n", "line 2: is 1.234,50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,1 234 567,50\n", "line 2: is 1 234 567,50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,INV-1,1.234,567.50\n", "line 2: is 1.234,567.50 one amount?"),
        ("account,reference,memo,amount\ncustomer-1,1,034,567.50\n", "line 2: is 034,567.50 one amount?"),
        ("account,reference,date,amount\ncustomer-1,INV-1,TND 4711,250\n", "line 2: is TND 4711,250 one amount?"),
        ("account,amount,reference\ncustomer-1,12,50\n", "line 2: is 12,50 one amount?"),
        ("account,amount,reference\ncustomer-1,1.234,50\n", "line 2: is 1.234,50 one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1,234.5 KSh,INV-1\n", "line 2: is 1,234.5 KSh one amount?"),
        ("account,amount,reference,memo\ncustomer-1,1,234 KSh,INV-1\n", "line 2: is 1,234 KSh one amount?"),
        (
            "account,amount,reference,memo\ncustomer-1,1,234.50 Indian Rupees,INV\n",
            "line 2: is 1,234.50 Indian Rupees one amount?",
        ),
        ("account,amount,reference,memo\ncustomer-1,1,23,456.00\n", "line 2: is 1,23 one amount?"),
        ("account,amount,reference,memo\ncustomer-1,+1,234.50,INV-1\n", "line 2: is +1,234.50 one amount?"),
        ("account,amount,reference,currency\n\ncustomer-1,5,a\n", "line 3: 3 cells, not 4 as in the header"),
        ('account,amount,reference\ncustomer-1,5,"a\ncustomer-1,6,b\n', "line 2: its quotation marks are not in pairs"),
        ('account,amount,reference\ncustomer-1,5,"a"b"\n', "line 2: its quotation marks are not in pairs"),
        (
            'account,amount,reference\ncustomer-1,5,"a\ncustomer-1,6,b"\n',
            "line 2: a cell of several lines: is a quotation",
        ),
        ('account,amount,reference\ncustomer-1,5,"a\nb"\n', "line 2: a line break in reference"),
        (
            'account,amount,reference,memo\ncustomer-1,5,a,"Ltd\ncustomer-1,6,b,\ncustomer-1,7,c,monitor 19"\n',
            "line 2: a cell of several lines: is a quotation mark missing?",
        ),
        ('account,amount,memo,reference\ncustomer-1,5,"a\nb",c\ncustomer-1,6,d,\n', "line 4: no reference"),
        (
            "account,amount,reference\ncustomer-1,5,a\ncustomer-1,6,K\ufffdln\n",
            "line 3: characters that cannot be read",
        ),
        ("account,amount,reference\ncustomer-1,7,old\n", "line 2: reference old of account customer-1 was booked for"),
        ("account,amount,reference\ncustomer-1,5,a\ncustomer-1,5,undo 7\n", "line 3: `reference` is one by which"),
        (f"account,amount,reference\ncustomer-1,5,a\ncustomer-1,5,{'x' * 129}\n", "line 3: 'xxx"),
    ],
)
def test_one_line_that_is_not_clear_keeps_a_bank_file_from_being_booked(
    installation: Installation, lines: str, said: str
) -> None:
    installation.document("payment", "add", "--account", "customer-1", "--amount", "5", "--reference", "old")
    file = installation.config.with_name("bank.csv")
    file.write_text(lines)
    options = ("--decimal-comma",) if ";" in lines else ()
    result = installation.vosd("payment", "import", str(file), *options)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(installation.document("ledger", "list")) == 1


def test_a_file_whose_payments_wait_for_another_transaction_says_so_apart_from_its_result(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = installation.config.with_name("bank.csv")
    file.write_text("account,amount,reference\ncustomer-1,3,a\n")
    lock, held = payments_together.lock_accounts, iter([True])

    async def held_once(*what: Any) -> Any:
        if next(held, False):
            raise RowsLocked("another transaction holds locks")
        return await lock(*what)

    monkeypatch.setattr(payments_together, "lock_accounts", held_once)
    imported = installation.vosd("payment", "import", str(file), "--json")
    assert [each["outcome"] for each in json.loads(imported.stdout)] == ["booked"]
    assert imported.stderr == "another transaction holds locks: this waits up to a minute for them\n"
