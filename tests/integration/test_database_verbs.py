"""Verbs that need the database but no daemon, on SQLite."""

import asyncio
import csv
import io
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from doubles.data.records import STARTED, answered_call, call_id, refused_call
from doubles.installation import CONFIGURATION, Installation

from vosd.catalogue.overrides import Override, Setting, Target
from vosd.cdr.columns import KEYS
from vosd.cli.main import main
from vosd.storage.database import Database
from vosd.storage.overrides import SqlOverrides


@pytest.fixture
def booked(installation: Installation) -> Installation:
    breakdown = json.dumps({"customer": [{"step": "fee", "raw": "0.0123"}]})
    calls = [
        answered_call(1, customer_account="customer-1", vendor_account="vendor-1", fee_breakdown=breakdown),
        answered_call(2, customer_account="customer-2", vendor_account="vendor-1", started_at=STARTED + 60_000),
        refused_call(3, started_at=STARTED + 120_000),
    ]
    installation.book(calls)
    return installation


def test_migrate_makes_the_database_and_may_be_repeated(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    assert installation.vosd("cdr", "list").exit_code == 1
    assert [installation.vosd("migrate").exit_code for _ in range(2)] == [0, 0]
    assert installation.document("cdr", "list") == []


def test_calls_are_listed_newest_first_with_every_key(booked: Installation) -> None:
    calls = booked.document("cdr", "list")
    assert [call["call_id"] for call in calls] == [call_id(3), call_id(2), call_id(1)]
    assert all(tuple(call) == KEYS for call in calls)
    assert (calls[2]["fee"], calls[0]["fee"], calls[0]["answered_at"]) == ("0.012345", "0.00", None)


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        (["--limit", "1"], [3]),
        (["--account", "customer-1"], [1]),
        (["--account", "vendor-1"], [2, 1]),
        (["--gateway", "customer-2-pbx"], [2]),
        (["--gateway", "vendor-1-trunk"], [2, 1]),
        (["--callee", "4420"], [3, 2, 1]),
        (["--caller", "+4930"], [2, 1]),
        (["--reason", "no matching rate"], [3]),
        (["--since", "2026-09-21T14:14:20Z", "--until", "2026-09-21T16:15:20+02:00"], [2]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_each_criterion_selects(booked: Installation, criteria: list[str], found: list[int]) -> None:
    assert [call["call_id"] for call in booked.document("cdr", "list", *criteria)] == list(map(call_id, found))


def test_the_csv_form_has_a_header_and_the_same_calls(booked: Installation) -> None:
    rows = list(csv.reader(io.StringIO(booked.vosd("cdr", "list", "--csv").stdout)))
    assert tuple(rows[0]) == KEYS
    assert [row[0] for row in rows[1:]] == [call_id(3), call_id(2), call_id(1)]
    assert booked.vosd("cdr", "list", "--csv", "--json").exit_code == 2


def test_calls_are_listed_in_80_columns_on_one_line_each_with_ids_that_find_them(booked: Installation) -> None:
    long = "Insufficient Balance"
    booked.book([refused_call(4, caller_in="anonymous.of.a.long.name", end_reason=long, mapping_gateway="pbx")])
    lines = booked.vosd("cdr", "list", columns=80).stdout.splitlines()
    assert len(lines) == 1 + 4
    assert max(map(len, lines)) <= 80
    assert all(word in lines[0].split() for word in ("id", "started,", "caller", "callee", "reason", "s", "fee"))
    for line, index in zip(lines[1:], (3, 2, 4, 1), strict=True):
        short = line.split()[0]
        assert len(short) == 13
        assert booked.document("cdr", "show", short)["call_id"] == call_id(index)
    assert "+442000000001" in lines[4]
    assert {"vendor-1-trunk", "customer-1-pbx", "200"} <= {*booked.vosd("cdr", "list", columns=140).stdout.split()}


def test_a_table_in_a_pipe_keeps_every_column_whole(booked: Installation) -> None:
    assert call_id(1) in booked.vosd("cdr", "list").stdout


def test_ids_that_begin_alike_are_shown_longer_and_none_is_guessed(booked: Installation) -> None:
    twin = f"{call_id(1)[:-1]}f"
    booked.book([refused_call(1, call_id=twin)])
    listed = booked.vosd("cdr", "list", columns=200).stdout
    assert call_id(1) in listed
    assert twin in listed
    result = booked.vosd("cdr", "show", call_id(1)[:13])
    assert result.exit_code == 1
    assert call_id(1) in result.stderr
    assert twin in result.stderr


def test_a_listing_goes_on_where_the_last_one_ended(booked: Installation) -> None:
    first = booked.vosd("cdr", "list", "--limit", "2", columns=80)
    last = first.stdout.splitlines()[-1].split()[0]
    assert f"--before {last}" in first.stderr
    rest = booked.document("cdr", "list", "--before", last)
    assert [call["call_id"] for call in rest] == [call_id(1)]
    assert booked.vosd("cdr", "list", "--before", "0000000000").exit_code == 1
    assert booked.vosd("cdr", "list", "--before", "yesterday").exit_code == 2


def test_calls_are_found_by_the_call_id_of_either_leg(booked: Installation) -> None:
    for sip_call_id in (f"{call_id(2)}@192.0.2.10", call_id(2)[:20]):
        found = booked.document("cdr", "list", "--sip-call-id", sip_call_id)
        assert [call["call_id"] for call in found] == [call_id(2)]


@pytest.mark.parametrize(
    ("words", "exit_code", "meant"),
    [
        (["--account", "custmer-1"], 1, "'customer-1'"),
        (["--account", "Vendor-1"], 1, "'vendor-1'"),
        (["--gateway", "pbxx"], 1, "'pbx'"),
        (["--gateway", "ouch"], 1, "vosd status --gateways"),
        (["--reason", "Buzy"], 2, "'Busy'"),
        (["--reason", "balance"], 2, "'Insufficient Balance'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_an_unknown_name_is_an_error_with_similar_names(
    booked: Installation, words: list[str], exit_code: int, meant: str, form: str
) -> None:
    result = booked.vosd("cdr", "list", *words, form)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert meant in result.stderr


def test_who_was_removed_from_the_configuration_is_no_typing_mistake(booked: Installation) -> None:
    assert len(booked.document("cdr", "list", "--account", "customer-2")) == 1
    nothing = ["--since", "2031-01-01T00:00:00Z"]
    assert booked.document("cdr", "list", "--account", "customer-2", *nothing) == []
    assert booked.document("cdr", "list", "--gateway", "customer-2-pbx", *nothing) == []
    assert booked.document("cdr", "list", "--gateway", "trunk", *nothing) == []
    assert booked.document("cdr", "list", "--account", "customer-1", *nothing) == []


def test_one_call_is_shown_with_its_attempts_and_the_steps_of_its_price(booked: Installation) -> None:
    shown = booked.document("cdr", "show", call_id(1))
    assert (shown["call_id"], shown["attempts"][0]["gateway"]) == (call_id(1), "vendor-1-trunk")
    text = booked.vosd("cdr", "show", call_id(1)).stdout
    assert "vendor-1-trunk" in text
    assert "raw 0.0123" in text
    assert " ".join(line for line in text.splitlines() if line.startswith("profit")).split() == [
        "profit", "0.002469", "USD",
    ]  # fmt: skip
    assert "profit" not in shown  # programs have what it is made of


def test_a_call_that_was_not_booked_is_exit_1_and_what_is_no_call_id_exit_2(booked: Installation) -> None:
    assert booked.vosd("cdr", "show", call_id(9)).exit_code == 1
    assert booked.vosd("cdr", "show", "yesterday's").exit_code == 2


def test_payments_may_be_negative_and_zero_settles(installation: Installation) -> None:
    def pay(*words: str) -> Any:
        return installation.document("payment", "add", "--account", "customer-1", *words)

    assert pay("--amount", "10.50", "--memo", "wire")["after"] == "10.50"
    assert pay("--amount", "-0.25", "--type", "adjustment")["after"] == "10.25"
    settled = pay("--type", "zero")
    assert (settled["amount"], settled["before"], settled["after"]) == ("-10.25", "10.25", "0.00")
    assert installation.document("ledger", "verify")["differences"] == []


def test_the_same_reference_books_once_and_says_so(installation: Installation) -> None:
    words = ("payment", "add", "--account", "customer-1", "--amount", "5", "--reference", "wire-7")
    assert not installation.document(*words)["repeated"]
    again = installation.vosd(*words)
    assert again.exit_code == 0
    assert "wire-7 was booked before; nothing was booked now" in again.stdout
    assert installation.document("account", "show", "customer-1")["balance"] == "5.00"
    other_amount = installation.vosd(*words[:4], "--amount", "6", "--reference", "wire-7")
    assert (other_amount.exit_code, "give another reference" in other_amount.stderr) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ["--amount", "5", "--type", "zero"],
        ["--type", "adjustment"],
        ["--amount", "0"],
        ["--amount", "5", "--type", "credit"],
    ],
    ids=" ".join,
)
def test_a_payment_that_makes_no_sense_is_wrong_usage(installation: Installation, words: list[str]) -> None:
    assert installation.vosd("payment", "add", "--account", "customer-1", *words).exit_code == 2


def test_an_account_that_left_the_configuration_can_be_shown_paid_and_paid_out(installation: Installation) -> None:
    pay = ("payment", "add", "--account", "customer-1")
    installation.document(*pay, "--amount", "10")
    installation.config.write_text(installation.config.read_text().replace("customer-1", "customer-9"))
    shown = installation.document("account", "show", "customer-1")
    assert (shown["type"], shown["balance"], shown["currency"]) == (None, "10.00", "USD")
    assert installation.document(*pay, "--amount", "-2", "--type", "adjustment")["after"] == "8.00"
    assert installation.document(*pay, "--type", "zero")["after"] == "0.00"
    assert installation.document("ledger", "verify")["differences"] == []
    unheard_of = installation.vosd("payment", "add", "--account", "unknown", "--amount", "1")
    assert (unheard_of.exit_code, "no account 'unknown' is configured" in unheard_of.stderr) == (1, True)


def test_a_payment_in_another_currency_than_the_accounts_is_refused(installation: Installation) -> None:
    pay = ("payment", "add", "--account", "customer-1", "--amount", "10")
    installation.document(*pay)
    euro = installation.config.read_text().replace("name: sell\n", "name: sell\n    currency: EUR\n")
    installation.config.write_text(euro)
    refused = installation.vosd(*pay)
    assert refused.exit_code == 1
    assert "account customer-1 has money in USD, the configuration says EUR: set its currency back" in refused.stderr
    assert installation.document("account", "show", "customer-1")["balance"] == "10.00"


def test_accounts_show_what_the_ledger_holds(booked: Installation) -> None:
    shown = booked.document("account", "show", "customer-1")
    assert shown == {
        "id": "customer-1",
        "type": "direct",
        "balance": "-0.012345",
        "overdraft_limit": "0.00",
        "reserved": "0.00",
        "available": "-0.012345",
        "currency": "USD",
        "blocked": False,
    }
    listed = booked.document("account", "list")
    assert [account["id"] for account in listed] == ["customer-1", "vendor-1", "customer-2"]
    assert booked.vosd("account", "show", "unknown").exit_code == 1


def test_a_ledger_in_order_verifies(booked: Installation) -> None:
    document = booked.document("ledger", "verify")
    assert (document["accounts"], document["entries"], document["calls"]) == (3, 4, 3)
    assert document["differences"] == []
    assert booked.vosd("ledger", "verify").stdout.endswith("no differences\n")


def test_a_balance_that_was_changed_by_hand_is_found_and_is_exit_1(booked: Installation) -> None:
    booked.tamper("UPDATE account SET balance = balance + 100 WHERE id = 'customer-1'")
    (difference,) = booked.document("ledger", "verify", exit_code=1)["differences"]
    assert (difference["account"], difference["fault"]) == ("customer-1", "the balance is not the sum of the entries")
    assert Decimal(difference["found"]) - Decimal(difference["expected"]) == Decimal("0.000001")
    assert "account customer-1" in booked.vosd("ledger", "verify").stdout


def test_a_rate_is_explained_from_the_configuration_alone(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    words = ("rate", "explain", "--account", "customer-1", "--callee", "442012")
    found = installation.document(*words, "--duration", "61.5", "--caller", "1", "--at", "2026-01-01T00:00:00Z")
    assert set(found) == {"rate_group", "rate_prefix", "rate_area", "billed_seconds", "fee", "tax", "steps"}
    assert (found["rate_prefix"], found["rate_area"], found["billed_seconds"]) == ("44", "United Kingdom", 66)
    assert (found["fee"], found["tax"]) == ("0.0132", "0.00")
    cost = ("rate", "explain", "--account", "vendor-1", "--callee", "442012", "--duration", "60", "--buy")
    assert installation.document(*cost)["fee"] == "0.012"
    own = [each.replace("vendor-1", "customer-1") for each in cost]
    assert "customer-1 is a customer's" in installation.vosd(*own).stderr
    installation.config.write_text(
        installation.config.read_text().replace("trunk, account: vendor", "trunk, account: customer")
    )
    assert installation.document(*own)["fee"] == "0.012"  # the account that a gateway names is paid, whatever its type
    taxed = ("rate", "explain", "--account", "customer-1", "--callee", "1212", "--duration", "60", "--json")
    assert json.loads(installation.vosd(*taxed).stdout)["tax"] == "0.001"
    unrated = installation.vosd("rate", "explain", "--account", "customer-1", "--callee", "33", "--duration", "1")
    assert (unrated.exit_code, "No Matching Rate" in unrated.stderr) == (1, True)
    shown = installation.vosd(*words, "--duration", "1").stdout
    assert ("cycle 6" in shown, "None" in shown) == (True, False)


def test_a_free_number_is_explained_as_its_calls_are_billed(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    with installation.config.open("a") as file:
        file.write("parameters: {SERVER_BILLING_FREE_E164S: '442012*', SERVER_BILLING_NO_CDR_E164S: '449'}\n")
    words = ("rate", "explain", "--account", "customer-1", "--callee", "4420123", "--duration", "61.5")
    found = installation.document(*words)
    assert (found["rate_group"], found["rate_prefix"], found["fee"]) == ("free number", "442012*", "0.00")
    assert (found["billed_seconds"], found["tax"]) == (62, "0.00")
    bought = installation.document("rate", "explain", "--account", "vendor-1", *words[4:], "--buy")
    assert bought["fee"] != "0.00"
    assert installation.document("rate", "explain", "--account", "vendor-1", *words[4:]) == bought  # it pays for none
    words = ("rate", "explain", "--account", "customer-1", "--callee", "449", "--duration", "61.5")
    assert installation.document(*words)["rate_group"] == "free number"


def test_a_route_is_explained_with_the_balances_of_the_database(installation: Installation) -> None:
    words = ("route", "explain", "--gateway", "pbx", "--caller", "1000", "--callee", "442012")
    assert installation.document(*words)["result"] == "Insufficient Balance"
    installation.document("payment", "add", "--account", "customer-1", "--amount", "5")
    assert installation.document(*words)["result"] == "ok"
    assert installation.vosd(*words).stdout.startswith("ok (number billed: 442012)\n")
    assert installation.vosd(*words, "--live").exit_code == 4


def test_under_a_plan_by_cost_the_text_has_what_is_compared(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    written = installation.config.read_text().replace("{name: pbx,", "{name: pbx, routing_plan: cheap,")
    vendors = 'rate_groups:\n  - {name: buy, rates: [{prefix: "44", billing_rate: "0.004", billing_cycle: 60}]}'
    written = written.replace("rate_groups:", vendors, 1).replace(
        "clearing, rate_group: sell", "clearing, rate_group: buy"
    )
    installation.config.write_text(
        f"{written}routing_plans: [{{name: cheap, order: [cost]}}]\nrouting: {{typical_seconds: 30}}\n"
    )
    shown = installation.vosd("route", "explain", "--gateway", "pbx", "--caller", "1000", "--callee", "442012").stdout
    _, plan, by, sold, heads, line = shown.splitlines()
    assert (plan, by) == ("plan cheap: cost; costs of a minute in a call of", "30 s (routing.typical_seconds)")
    assert sold == "sold for 0.012 USD (price 0.012)"
    assert heads.split() == ["position", "routing_gateway", "cost", "effective_cost", "currency", "margin", "reason"]
    assert line.split()[:6] == ["1", "trunk", "0.004", "0.008", "USD", "0.004"]


def test_a_route_of_the_past_has_the_overrides_of_then_and_says_what_is_not_kept(installation: Installation) -> None:
    words = ("route", "explain", "--gateway", "pbx", "--caller", "1000", "--callee", "442012")
    name = _first_gateway(installation)
    hour_ms, now_ms = 3_600_000, time.time_ns() // 1_000_000

    async def block() -> None:
        database = Database(installation.url)
        overrides, began = SqlOverrides(database), now_ms - 3 * hour_ms
        blocked = Override(Target.ROUTING, name, Setting.BLOCKED, "", "ann", began)
        await overrides.put([blocked], began)
        await overrides.clear([blocked.key], "ann", now_ms - hour_ms)
        await database.close()

    asyncio.run(block())
    at = datetime.fromtimestamp((now_ms - 2 * hour_ms) / 1_000, UTC).isoformat()
    result = installation.vosd(*words, "--at", at, "--json")
    then, now = json.loads(result.stdout), installation.document(*words)
    blocked = [each for each in then["left"] if each["reason"].startswith("blocked: by ann")]
    assert ([each["routing_gateway"] for each in blocked], now["left"]) == ([name], [])
    assert "quality" in then["not_known"]
    assert "Not kept, hence not considered: quality" in result.stderr
    assert installation.vosd(*words, "--live", "--at", at).exit_code == 2


def _first_gateway(installation: Installation) -> str:
    words = ("route", "explain", "--gateway", "pbx", "--caller", "1000", "--callee", "442012")
    return str(installation.document(*words)["candidates"][0]["routing_gateway"])


def test_a_route_is_explained_without_a_database_too_and_says_what_is_not_judged(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    words = ("route", "explain", "--gateway", "pbx", "--caller", "1000", "--callee", "442012", "--json")
    result = installation.vosd(*words)
    assert json.loads(result.stdout)["result"] == "ok"
    assert result.stderr.startswith("balances are not judged: ")


def test_check_says_what_the_file_holds_and_lists_every_mistake(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    good = installation.vosd("check")
    assert good.exit_code == 0
    assert good.stdout.endswith("holds: 2 accounts, 1 mapping gateway, 1 routing gateway, 2 rates\n")
    installation.config.write_text(CONFIGURATION + "colour: red\nnode: [\n")
    assert installation.vosd("check").exit_code == 3
    broken = CONFIGURATION.replace("billing_cycle: 6", "billing_cycle: six").replace("account: vendor-1", "account: x")
    installation.config.write_text(broken)
    problems = installation.document("check", exit_code=3)
    assert [(problem["line"], problem["value"], problem["severity"]) for problem in problems] == [
        (8, "six", "error"),
        (16, "x", "error"),
    ]
    assert all(set(problem) == {"file", "line", "key", "value", "expected", "severity"} for problem in problems)
    assert len(installation.vosd("check").stdout.splitlines()) == 2


def test_a_configuration_file_that_is_not_there_is_exit_3(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", "-c", str(tmp_path / "nowhere.yaml")])
    assert result.exit_code == 3
    assert "nowhere.yaml" in result.stdout
