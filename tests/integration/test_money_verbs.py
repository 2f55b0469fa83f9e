"""Verbs of money that need the database but no daemon: entries, statements, refunds, transfers."""

import csv
import io
import re
from typing import Any

import pytest
from doubles.data.records import call_id
from doubles.installation import Installation

from vosd.admin.office.invoice_run import PeriodNotOverError
from vosd.cdr.ports import OutcomeUnknown
from vosd.cli.ledger import KINDS
from vosd.storage.overrides import SqlOverrides
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind

PAY = ("payment", "add", "--account", "customer-1", "--operator", "ann")


def test_entries_are_listed_in_every_form(booked: Installation) -> None:
    booked.document(*PAY, "--amount", "10", "--reference", "wire-7", "--memo", "cash")
    entries = booked.document("ledger", "list", "--account", "customer-1")
    assert [(each["seq"], each["kind"], each["balance_after"]) for each in entries] == [
        (1, "call", "-0.012345"),
        (2, "call", "-0.02469"),
        (3, "call", "-0.037035"),
        (4, "payment", "9.962965"),
    ]
    assert (entries[0]["call_id"], entries[0]["created_at"]) == (call_id(1), "2026-09-21T14:14:24.001Z")
    assert (entries[3]["reference"], entries[3]["operator"], entries[3]["memo"]) == ("wire-7", "ann", "cash")

    rows = list(csv.reader(io.StringIO(booked.vosd("ledger", "list", "--account", "customer-1", "--csv").stdout)))
    assert rows[0] == list(entries[0])
    assert rows[4][3:7] == ["10.00", "9.962965", "payment", "wire-7"]
    lines = booked.vosd("ledger", "list", "--account", "customer-1").stdout.splitlines()
    assert lines[4].split()[2:] == ["payment", "10.00", "9.962965", "wire-7", "(cash)"]


def test_entries_are_selected_by_time_kind_and_operator(booked: Installation) -> None:
    booked.document(*PAY, "--amount", "10")
    of_calls = booked.document("ledger", "list", "--account", "vendor-1", "--since", "2026-09-30T22:00:00Z")
    assert [each["seq"] for each in of_calls] == [3]
    assert [each["kind"] for each in booked.document("ledger", "list", "--operator", "ann")] == ["payment"]
    assert booked.document("ledger", "list", "--type", "refund") == []
    assert booked.vosd("ledger", "list", "--type", "refunds").exit_code == 2
    assert (*(kind.value for kind in EntryKind), "earned") == KINDS
    assert booked.vosd("ledger", "list", "--type", "refund", "--csv").stdout.count("\n") == 1
    assert booked.vosd("ledger", "list", "--type", "refund").stdout == "no entries\n"


def test_text_of_an_argument_that_is_not_utf_8_is_wrong_usage_of_each_order(booked: Installation) -> None:
    for words in (
        (*PAY, "--amount", "10", "--memo", "caf\udce9"),
        ("account", "block", "customer-1", "--memo", "caf\udce9"),
    ):
        refused = booked.vosd(*words)
        assert (refused.exit_code, refused.exception.__class__) == (2, SystemExit), words
        assert "has bytes that are not UTF-8: write it in a terminal" in refused.stderr
    assert booked.document("ledger", "list", "--type", "payment") == []


@pytest.mark.parametrize("verb", ["add", "transfer"])
def test_a_payment_whose_outcome_is_not_known_names_the_reference_by_which_it_is_booked_once(
    booked: Installation, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Ordered again without one, as an operator does who reads of an error alone, it would be paid twice."""
    ends = {"add": ("--account", "customer-1"), "transfer": ("--from", "customer-1", "--to", "vendor-1")}
    booked.document(*PAY, "--amount", "10")
    words = ("payment", verb, *ends[verb], "--amount", "5")
    lose_the_answer_of(SqlPayments, verb, monkeypatch)
    lost = booked.vosd(*words)
    assert lost.exit_code == 1
    said = re.search(r"\nit is not known whether it was booked: order .* reference (\S+), by which", lost.stderr)
    assert said is not None, lost.stderr
    monkeypatch.undo()
    again = booked.vosd(*words, "--reference", said[1])
    assert f"reference {said[1]} was booked before; nothing was booked now" in again.stdout


def test_an_order_whose_outcome_is_not_known_says_so(booked: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_the_answer_of(SqlOverrides, "put", monkeypatch)
    lost = booked.vosd("account", "block", "customer-1")
    assert (lost.exit_code, lost.stderr.splitlines()[-1]) == (1, OutcomeUnknown.remedy)
    assert [each["name"] for each in booked.document("overrides", "list")] == ["customer-1"]


def test_an_error_says_what_to_do_about_it(booked: Installation) -> None:
    refused = booked.vosd("invoice", "run", "--period", "2099-01", "--account", "customer-1")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[1:] == [PeriodNotOverError.remedy]


def test_what_to_do_is_said_once_and_in_the_words_of_the_command(booked: Installation) -> None:
    refused = booked.vosd(*PAY, "--type", "refund", "--amount", "1000000")
    (said,) = refused.stderr.splitlines()
    assert said.endswith("; --force books it all the same")


def lose_the_answer_of(store: type, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database commit an order, and go away before it says so."""
    carry_out = getattr(store, method)

    async def lost(*arguments: Any, **named: Any) -> None:
        await carry_out(*arguments, **named)
        raise OutcomeUnknown("the database went away")

    monkeypatch.setattr(store, method, lost)


def test_a_statement_holds_for_a_month_of_a_zone(booked: Installation) -> None:
    words = ("ledger", "statement", "--account", "customer-1", "--month")
    september = booked.document(*words, "2026-09")
    assert september == {
        "account": "customer-1",
        "currency": "USD",
        "month": "2026-09",
        "zone": "UTC",
        "since": "2026-09-01T00:00:00.000Z",
        "until": "2026-10-01T00:00:00.000Z",
        "opening": "0.00",
        "movements": [{"kind": "call", "count": 3, "amount": "-0.037035", "net": "-0.037035", "tax": "0.00"}],
        "closing": "-0.037035",
        "closed": False,
    }
    in_berlin = booked.document(*words, "2026-10", "--zone", "Europe/Berlin")
    assert (in_berlin["since"], in_berlin["opening"]) == ("2026-09-30T22:00:00.000Z", "-0.02469")
    assert [(each["kind"], each["count"], each["amount"]) for each in in_berlin["movements"]] == [
        ("call", 1, "-0.012345")
    ]
    rows = list(csv.reader(io.StringIO(booked.vosd(*words, "2026-09", "--csv").stdout)))
    assert rows == [["line", "count", "amount", "net", "tax"], ["opening", "", "0.00", "", ""],
                    ["call", "3", "-0.037035", "-0.037035", "0.00"], ["closing", "", "-0.037035", "", ""]]  # fmt: skip
    assert booked.vosd(*words, "2026-09").stdout.startswith("customer-1 2026-09 (UTC), USD\n")


def test_the_statement_of_an_account_without_entries_is_empty(installation: Installation) -> None:
    words = ("ledger", "statement", "--account", "customer-1", "--month", "2026-12")
    found = installation.document(*words)
    assert (found["until"], found["currency"], found["movements"]) == ("2027-01-01T00:00:00.000Z", "USD", [])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["ledger", "list", "--account", "custmer-1"], 1, "'customer-1'"),
        (["ledger", "statement", "--account", "custmer-1", "--month", "2026-09"], 1, "'customer-1'"),
        (["ledger", "statement", "--account", "customer-1", "--month", "2026-13"], 2, "not a month"),
        (["ledger", "statement", "--month", "2026-09"], 2, "--account or --group or --all: say one of the three"),
        (["ledger", "statement", "--account", "customer-1", "--month", "9999-12"], 2, "not a month"),
        (["ledger", "close", "--yes", "--until", "9999-12-31T23:59:59-14:00"], 2, "years 1 to 9999"),
        (["ledger", "statement", "--account", "customer-1", "--month", "2026-09", "--zone", "Mars/X"], 2, "time zone"),
        (["ledger", "list", "--since", "2026-09-01T00:00"], 2, "has no zone"),
        (["ledger", "list", "--csv", "--json"], 2, "not both"),
    ],
)
def test_wrong_words_are_answered(booked: Installation, words: list[str], code: int, said: str) -> None:
    result = booked.vosd(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_a_refund_lowers_the_balance_and_takes_no_more_than_there_is(installation: Installation) -> None:
    installation.document(*PAY, "--amount", "10")
    refund = (*PAY, "--type", "refund", "--amount")
    receipt = installation.document(*refund, "4", "--reference", "r1")
    assert (receipt["type"], receipt["amount"], receipt["after"]) == ("refund", "-4.00", "6.00")
    assert installation.document(*refund, "4", "--reference", "r1")["repeated"]
    refused = installation.vosd(*refund, "6.01")
    assert (refused.exit_code, "6.00 to spare" in refused.stderr) == (1, True)
    installation.document("account", "set", "customer-1", "--overdraft-limit", "1")
    assert installation.document(*refund, "6.01")["after"] == "-0.01"
    assert installation.document(*refund, "5", "--force")["after"] == "-5.01"
    assert installation.document("ledger", "verify")["differences"] == []


def test_what_is_paid_to_a_vendor_raises_its_balance_again(booked: Installation) -> None:
    paid = booked.document("payment", "add", "--account", "vendor-1", "--amount", "5", "--memo", "their invoice 7")
    assert (paid["before"], paid["after"]) == ("-0.029628", "4.970372")


def test_a_transfer_moves_money_once_and_not_more_than_there_is(installation: Installation) -> None:
    installation.document(*PAY, "--amount", "10")
    move = ("payment", "transfer", "--from", "customer-1", "--to", "vendor-1", "--operator", "ann", "--amount")
    source, target = installation.document(*move, "7", "--reference", "m1", "--memo", "mistaken")
    assert (source["account"], source["before"], source["after"]) == ("customer-1", "10.00", "3.00")
    assert (target["account"], target["amount"], target["after"]) == ("vendor-1", "7.00", "7.00")
    assert "nothing was booked now" in installation.vosd(*move, "7", "--reference", "m1").stdout
    refused = installation.vosd(*move, "3.01")
    assert (refused.exit_code, "customer-1 has 3.00 to spare" in refused.stderr) == (1, True)
    assert installation.document(*move, "3.01", "--force")[0]["after"] == "-0.01"
    entries = installation.document("ledger", "list", "--type", "transfer", "--account", "vendor-1")
    assert (entries[0]["reference"], entries[0]["memo"]) == ("m1", "from customer-1: mistaken")
    assert installation.document("ledger", "verify")["differences"] == []


def test_a_transfer_to_another_currency_is_refused(installation: Installation) -> None:
    in_euro = "  - {id: customer-2, type: direct, currency: EUR}\nmapping_gateways:"
    installation.config.write_text(installation.config.read_text().replace("mapping_gateways:", in_euro))
    installation.document(*PAY, "--amount", "10")
    refused = installation.vosd("payment", "transfer", "--from", "customer-1", "--to", "customer-2", "--amount", "1")
    assert (refused.exit_code, "money in USD, account customer-2 in EUR" in refused.stderr) == (1, True)
    assert len(installation.document("ledger", "list")) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--from", "customer-1", "--to", "customer-1", "--amount", "1"], 2, "same account"),
        (["--from", "customer-1", "--to", "vendor-1", "--amount", "-1"], 2, "above zero"),
        (["--from", "customer-1", "--to", "vendor-1", "--amount", "1", "--reference", ""], 2, "--reference is empty"),
        (["--from", "customer-1", "--to", "vendr-1", "--amount", "1", "--force"], 1, "'vendor-1'"),
    ],
)
def test_a_transfer_that_makes_no_sense_is_refused(
    installation: Installation, words: list[str], code: int, said: str
) -> None:
    result = installation.vosd("payment", "transfer", *words)
    assert (result.exit_code, said in result.stderr) == (code, True)
    assert installation.document("ledger", "list") == []


def test_a_refund_is_said_without_sign_and_force_is_for_it_alone(installation: Installation) -> None:
    assert installation.vosd(*PAY, "--type", "refund", "--amount", "-4").exit_code == 2
    assert installation.vosd(*PAY, "--amount", "4", "--force").exit_code == 2


def expiring(installation: Installation) -> Installation:
    text = installation.config.read_text()
    terms = "rate_group: sell, expires_at: '2095-06-10T00:00:00Z', payment_extends_days: 30}"
    installation.config.write_text(text.replace("rate_group: sell}", terms, 1))
    return installation


def test_a_payment_extends_the_validity_and_says_so(installation: Installation) -> None:
    expiring(installation)
    assert installation.document("account", "show", "customer-1")["expires_at"] == "2095-06-10T00:00:00.000Z"
    assert installation.document(*PAY, "--amount", "5")["expires_at"] == "2095-07-10T00:00:00.000Z"
    assert "expires_at" not in installation.document(*PAY, "--amount", "-5", "--type", "adjustment")
    assert installation.document("account", "show", "customer-1")["expires_at"] == "2095-07-10T00:00:00.000Z"
    (listed, _) = installation.document("account", "list")
    assert listed["expires_at"] == "2095-07-10T00:00:00.000Z"
    assert "2095-08-09T00:00:00.000Z" in installation.vosd(*PAY, "--amount", "5").stdout


def test_an_expiry_that_is_set_wins_over_the_configuration(installation: Installation) -> None:
    expiring(installation)
    installation.document(*PAY, "--amount", "5")
    explain = ("route", "explain", "--gateway", "pbx", "--caller", "1000", "--callee", "442012")
    change = ("account", "set", "customer-1", "--expires-at")
    assert installation.document(*explain)["result"] == "ok"
    assert installation.document(*change, "2020-01-01T00:00:00Z")["expires_at"] == "2020-01-01T00:00:00.000Z"
    assert installation.document(*explain)["result"] == "Account Expired"
    assert installation.document(*change, "never")["expires_at"] is None
    assert "expires_at" not in installation.document("account", "show", "customer-1")
    assert installation.document(*change, "configured")["expires_at"] == "2095-06-10T00:00:00.000Z"
    assert installation.vosd(*change, "never", "--until", "2095-01-01T00:00:00Z").exit_code == 2
    assert installation.vosd(*change, "2095-01-01").exit_code == 2
    assert installation.vosd("account", "set", "customer-1").exit_code == 2


def test_the_history_of_an_account_has_every_change_with_before_and_after(installation: Installation) -> None:
    expiring(installation)
    by_ann = ("--operator", "ann")
    installation.document(*PAY, "--amount", "5", "--reference", "wire-7", "--memo", "cash")
    installation.document("account", "set", "customer-1", "--overdraft-limit", "2", *by_ann)
    installation.document("account", "set", "customer-1", "--overdraft-limit", "3", *by_ann, "--memo", "more")
    installation.document("overrides", "clear", "customer-1", "--operator", "bob")
    installation.document("account", "block", "customer-1", *by_ann)
    installation.document("payment", "transfer", "--from", "customer-1", "--to", "vendor-1", "--amount", "1", *by_ann)
    changes = installation.document("account", "history", "customer-1")
    facts = [(each["action"], each["what"], each["before"], each["after"], each["by"]) for each in changes]
    assert facts == [
        ("booked", "transfer", "5.00", "4.00", "ann"),
        ("set", "blocked", None, "yes", "ann"),
        ("cleared", "overdraft_limit", "3.00", None, "bob"),
        ("set", "overdraft_limit", "2.00", "3.00", "ann"),
        ("set", "overdraft_limit", "0.00", "2.00", "ann"),
        ("booked", "payment", "0.00", "5.00", "ann"),
        ("set", "expires_at", "2095-06-10T00:00:00.000Z", "2095-07-10T00:00:00.000Z", "ann"),
    ]
    assert (changes[3]["memo"], changes[5]["reference"], changes[5]["amount"]) == ("more", "wire-7", "5.00")
    assert changes[6]["memo"] == "payment wire-7"
    assert [each["what"] for each in installation.document("account", "history", "customer-1", "--limit", "2")] == [
        "transfer",
        "blocked",
    ]
    assert "wire-7" in installation.vosd("account", "history", "customer-1", columns=160).stdout
    assert installation.document("account", "history", "vendor-1")[0]["after"] == "1.00"
    assert installation.vosd("account", "history", "unknown").exit_code == 1


def test_an_account_is_closed_once_its_money_is_paid_out(installation: Installation) -> None:
    by_ann = ("--operator", "ann")
    installation.document(*PAY, "--amount", "10")
    close = ("account", "close", "customer-1", *by_ann)
    refused = installation.vosd(*close)
    assert (refused.exit_code, "customer-1 has 10.00: --pay-out" in refused.stderr) == (1, True)
    assert "closed" not in installation.document("account", "show", "customer-1")

    closed = installation.document(*close, "--pay-out", "--memo", "contract ended")
    assert closed == {"account": "customer-1", "paid_out": "10.00", "balance": "0.00", "untold": ""}
    shown = installation.document("account", "show", "customer-1")
    assert (shown["closed"], shown["blocked"], shown["balance"]) == (True, True, "0.00")
    assert (shown["closed_by"], "close_unfinished" in shown) == ("ann", False)
    assert installation.document(*close, "--pay-out")["paid_out"] == "0.00"
    explain = ("route", "explain", "--gateway", "pbx", "--caller", "1000", "--callee", "442012")
    explained = installation.document(*explain)
    assert (explained["result"], explained["detail"]) == ("Account Disabled", "account customer-1 is closed by ann")
    facts = [(each["what"], each["after"]) for each in installation.document("account", "history", "customer-1")]
    assert facts == [("closed", "yes"), ("refund", "0.00"), ("closed", "yes"), ("payment", "10.00")]
    assert installation.document("ledger", "verify")["differences"] == []
    installation.document(*PAY, "--amount", "-1", "--type", "adjustment")
    told = installation.vosd("account", "show", "customer-1")
    assert ("customer-1 is closed, but not at its end" in told.stderr, "close_unfinished" in told.stdout) == (
        True,
        True,
    )


def test_clearing_overrides_opens_no_closed_account_unless_that_is_said(installation: Installation) -> None:
    installation.document("account", "close", "customer-1")
    installation.document("account", "set", "customer-1", "--overdraft-limit", "5")
    installation.document("overrides", "clear", "--yes")
    assert installation.document("account", "show", "customer-1")["closed"] is True
    assert installation.vosd("overrides", "clear", "customer-1").exit_code == 1
    installation.document("overrides", "clear", "customer-1", "--setting", "closed")
    assert installation.document("account", "show", "customer-1")["blocked"] is False


def test_an_account_that_owes_is_not_closed(booked: Installation) -> None:
    for words in ((), ("--pay-out",)):
        refused = booked.vosd("account", "close", "customer-1", *words)
        assert (refused.exit_code, "customer-1 owes 0.037035" in refused.stderr) == (1, True)
    assert booked.vosd("account", "close", "customer-7").exit_code == 1


def test_accounts_are_listed_and_added_up_by_group(installation: Installation) -> None:
    text = installation.config.read_text().replace("rate_group: sell}", "rate_group: sell, group: retail}", 1)
    more = "  - {id: customer-2, type: direct, rate_group: sell, group: retail}\n  - {id: vendor-1"
    installation.config.write_text(text.replace("  - {id: vendor-1", more))
    installation.document(*PAY, "--amount", "10")
    installation.document("payment", "add", "--account", "customer-2", "--amount", "2.5")
    listed = installation.document("account", "list", "--group", "retail")
    assert [(each["id"], each["group"]) for each in listed] == [("customer-1", "retail"), ("customer-2", "retail")]
    assert installation.document("account", "groups") == [
        {"group": "retail", "currency": "USD", "accounts": 2, "balance": "12.50", "reserved": "0.00"},
        {"group": None, "currency": "USD", "accounts": 1, "balance": "0.00", "reserved": "0.00"},
    ]
    assert "(none)" in installation.vosd("account", "groups").stdout
    unknown = installation.vosd("account", "list", "--group", "retial")
    assert (unknown.exit_code, "vosd account groups" in unknown.stderr) == (1, True)


def test_a_period_is_closed_and_verified_from_there(booked: Installation) -> None:
    booked.document(*PAY, "--amount", "10")
    close = ("ledger", "close", "--yes", "--operator", "ann", "--until")
    assert booked.document(*close, "2026-10-01T00:00:00Z") == {
        "closed_until": "2026-10-01T00:00:00.000Z",
        "accounts": 2,
        "entries": 6,
    }
    assert booked.document("ledger", "verify")["entries"] == 1
    assert booked.document("ledger", "verify", "--whole")["entries"] == 7
    assert booked.document("ledger", "verify")["differences"] == []
    statement = booked.document("ledger", "statement", "--account", "customer-1", "--month", "2026-09")
    assert (statement["closed"], statement["closing"]) == (True, "-0.037035")
    assert "closed until 2026-10-01T00:00:00.000Z: 0 accounts" in booked.vosd(*close, "2026-10-01T00:00:00Z").stdout
    earlier = booked.vosd(*close, "2026-09-01T00:00:00Z")
    assert (earlier.exit_code, "closed until 2026-10-01" in earlier.stderr) == (1, True)
    assert booked.vosd(*close, "2999-01-01T00:00:00Z").exit_code == 1
    assert booked.vosd(*close, "2026-11-01T00:00:00").exit_code == 2


def test_a_ledger_with_differences_is_closed_by_force_only(booked: Installation) -> None:
    booked.tamper("UPDATE account SET balance = balance + 100 WHERE id = 'customer-1'")
    close = ("ledger", "close", "--yes", "--until", "2026-10-01T00:00:00Z")
    refused = booked.vosd(*close)
    assert (refused.exit_code, "account customer-1: the balance is not" in refused.stderr) == (1, True)
    assert booked.document(*close, "--force", "--memo", "looked into")["accounts"] == 2
