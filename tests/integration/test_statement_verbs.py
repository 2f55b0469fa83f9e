"""Statements of many accounts, balances of the past, and calls by their end."""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.records import answered_call, call_id, charge_row
from doubles.installation import Installation


def test_statements_of_all_accounts_come_at_once_with_net_and_tax(installation: Installation) -> None:
    parties = {"customer_account": "customer-1", "vendor_account": "gone"}
    installation.book([answered_call(1, **parties, fee=Decimal("1.20"), tax=Decimal("0.24"))])
    words = ("ledger", "statement", "--month", "2026-09")
    sheets = installation.document(*words, "--all")
    assert [each["account"] for each in sheets] == ["customer-1", "vendor-1", "gone"]
    of_calls = {"kind": "call", "count": 1, "amount": "-1.44", "net": "-1.20", "tax": "-0.24"}
    assert sheets[0]["movements"] == [of_calls]
    assert [
        each["account"] for each in installation.document(*words, "--account", "gone", "--account", "customer-1")
    ] == ["gone", "customer-1"]
    rows = list(csv.reader(io.StringIO(installation.vosd(*words, "--all", "--csv").stdout)))
    assert rows[:3] == [
        ["account", "currency", "line", "count", "amount", "net", "tax"],
        ["customer-1", "USD", "opening", "", "0.00", "", ""],
        ["customer-1", "USD", "call", "1", "-1.44", "-1.20", "-0.24"],
    ]
    assert installation.document(*words, "--group", "none") == []
    assert installation.vosd(*words).exit_code == 2
    entry = installation.document("ledger", "list", "--account", "customer-1")[0]
    assert (entry["amount"], entry["net"], entry["tax"]) == ("-1.44", "-1.20", "-0.24")


def test_balances_of_all_accounts_are_shown_at_a_moment_of_the_past(booked: Installation) -> None:
    found = booked.document("ledger", "balances", "--at", "2026-09-30T22:00:00Z")
    assert found == {
        "at": "2026-09-30T22:00:00.000Z",
        "accounts": [
            {"account": "customer-1", "currency": "USD", "balance": "-0.02469"},
            {"account": "vendor-1", "currency": "USD", "balance": "-0.019752"},
        ],
    }
    assert "customer-1,USD,0.00" in booked.vosd("ledger", "balances", "--at", "2026-09-01T00:00:00Z", "--csv").stdout


def test_profit_is_shown_for_a_time_in_each_currency(booked: Installation) -> None:
    span = ("--since", "2026-09-01T00:00:00Z", "--until", "2026-10-01T00:00:00Z")
    assert booked.document("ledger", "profit", *span) == [
        {
            "currency": "USD",
            "calls": 3,
            "income": "0.037035",
            "cost": "0.029628",
            "profit": "0.007407",
            "margin_percent": "20.00",
            "in_two_currencies": 0,
        }
    ]
    assert "0.007407" in booked.vosd("ledger", "profit", *span).stdout


def test_calls_are_listed_by_their_end_as_the_statement_counts_them(booked: Installation) -> None:
    began, ended = 1_790_805_500_000, 1_790_807_400_000  # 21:58 and 22:30
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1"}
    earlier = answered_call(5, **parties, started_at=began, ended_at=began + 60_000)
    booked.book([answered_call(4, **parties, started_at=began, ended_at=ended), earlier])
    since, until = "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"
    found = booked.document("cdr", "list", "--ended-since", since, "--ended-until", until)
    assert [each["call_id"] for each in found] == [call_id(4)]
    assert booked.document("cdr", "list", "--since", since) == []


def test_the_list_of_invoices_shows_the_day_until_which_each_is_paid_in_time(installation: Installation) -> None:
    installation.book([answered_call(1, customer_account="customer-1", ended_at=1_788_000_000_000)])
    (made,) = installation.document("invoice", "run", "--period", "2026-08")
    (listed,) = installation.document("invoice", "list")
    assert listed["due_on"] < listed["due_at"][:10], "overdue from the midnight behind that day"
    for words in (("list",), ("show", made["number"])):
        shown = installation.vosd("invoice", *words).stdout
        assert (listed["due_on"] in shown, listed["due_at"][:10] in shown) == (True, False), shown
    (row,) = csv.DictReader(io.StringIO(installation.vosd("invoice", "list", "--csv").stdout))
    assert installation.vosd("invoice", "list", "--csv", "--json").exit_code == 2
    assert (row["due_on"], row["due_at"]) == (listed["due_on"], listed["due_at"])


def test_a_run_of_invoices_says_what_to_do_for_the_accounts_that_got_none(installation: Installation) -> None:
    """Calls of September were sold by two agents, and the invoice of October waits for that of September."""
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1"}
    installation.book([answered_call(1, **parties, ended_at=1_788_000_000_000)])
    installation.document("invoice", "run", "--period", "2026-08")
    sold = (*answered_call(2, **parties).charges, charge_row("south", "agent", 1, Decimal("0.01")))
    installation.book([answered_call(2, **parties, charges=sold), answered_call(3, **parties)])
    installation.book([answered_call(4, **parties, ended_at=1_791_200_000_000)])
    for period, outcome, how in (
        ("2026-10", "earlier missing", ""),
        ("2026-09", "agent changed", ", in shorter periods where the agent changed"),
    ):
        result = installation.vosd("invoice", "run", "--period", period)
        said = f"1 accounts have no invoice yet (1 {outcome}): see the detail, then run the period again{how}\n"
        assert (result.exit_code, result.stderr.endswith(said)) == (1, True)


def test_a_printed_invoice_is_a_file_of_its_issuer_and_number_also_where_its_id_was_said(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1"}
    sold = (*answered_call(1, **parties).charges, charge_row("south", "agent", 1, Decimal("0.01")))
    installation.book([answered_call(1, **parties, charges=sold, ended_at=1_788_000_000_000)])
    monkeypatch.chdir(tmp_path)
    run = ("invoice", "run", "--period", "2026-08")
    (draft,) = installation.document(*run, "--draft")
    assert installation.vosd("invoice", "pdf", f"#{draft['id']}").stdout == f"south-draft-{draft['id']}.pdf\n"
    (issued,) = installation.document(*run)
    for said in (f"#{issued['id']}", issued["number"]):
        assert installation.vosd("invoice", "pdf", said).stdout == f"south-{issued['number']}.pdf\n"
    assert sorted(each.name for each in tmp_path.glob("south-*.pdf")) == [
        f"south-{issued['number']}.pdf",
        f"south-draft-{draft['id']}.pdf",
    ]
