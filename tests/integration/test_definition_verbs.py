"""``vosd definitions``: objects of the database beside those of the files, validated together; no switch runs."""

import asyncio
import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from doubles.data.records import answered_call
from doubles.fake_switch import FakeSwitch
from doubles.installation import Installation

from vosd.config.places import installation_of
from vosd.control.calls import CallSnapshot, ListCalls
from vosd.control.installation import Reload, ReloadOutcome
from vosd.daemon.start import as_mistakes
from vosd.engine.booking.balances import CurrencyChangedError
from vosd.processes import whole_file
from vosd.wiring import change_check
from vosd.wiring.change_check import check_here
from vosd.wiring.configured_switch import ConfiguredSwitch

NOW_AND_LATER = "2099-01-01T00:00:00Z"
BASIC = "currency: USD\nrate_group: sell\n"
PROMO = 'rates: [{prefix: "44", billing_rate: "0.05"}]\n'
TRUNK = "account: shop\nhosts: [192.0.2.77]\nmax_concurrent: 30\n"


def define(installation: Installation, kind: str, name: str, text: str, *more: str) -> dict:
    file = installation.config.with_name("object.yaml")
    file.write_text(text, encoding="utf-8")
    words = ("definitions", "set", kind, name, "--file", str(file), "--operator", "ann", *more)
    return installation.document(*words)


def names(installation: Installation) -> list[tuple[str, str, int]]:
    return [(each["kind"], each["name"], each["version"]) for each in installation.document("definitions", "list")]


def test_an_account_and_its_trunk_live_in_the_database_and_other_verbs_know_them(installation: Installation) -> None:
    made = define(installation, "accounts", "shop", BASIC + "overdraft_limit: 5\n", "--memo", "ticket 4711")
    assert made["in_force"] is False
    assert [(each["action"], each["version"]) for each in made["changes"]] == [("defined", 1)]
    define(installation, "mapping_gateways", "shop-trunk", TRUNK)
    assert names(installation) == [("accounts", "shop", 1), ("mapping_gateways", "shop-trunk", 1)]
    assert installation.document("account", "show", "shop")["currency"] == "USD"
    assert installation.vosd("check").exit_code == 0
    explained = installation.vosd(
        "route", "explain", "--gateway", "shop-trunk", "--caller", "1", "--callee", "442012345678"
    )
    assert "trunk" in explained.stdout


def test_an_account_of_the_database_with_money_in_another_currency_is_named_as_operators_know_it(
    installation: Installation,
) -> None:
    define(installation, "accounts", "shop & co", "rate_group: sell\n")
    installation.document("payment", "add", "--account", "shop & co", "--amount", "10")
    text = installation.config.read_text()
    installation.config.write_text(text.replace("- name: sell\n", "- name: sell\n    currency: EUR\n"))
    mistake = "accounts shop & co (version 1) in the database: accounts[shop & co].currency: value 'EUR': expected USD"
    (checked,) = installation.vosd("check").stdout.splitlines()
    assert checked.startswith(mistake)
    with closing(ConfiguredSwitch(installation.config)) as switch:
        refused = as_mistakes(CurrencyChangedError({"shop & co": "USD"}), switch.load())
    assert str(refused).startswith(mistake)


def test_a_check_says_that_the_database_has_to_be_migrated_before_a_start(installation: Installation) -> None:
    assert installation.vosd("check").stderr == ""
    installation.tamper("UPDATE alembic_version SET version_num = '0104'")
    checked = installation.vosd("check")
    assert (checked.exit_code, "holds:" in checked.stdout) == (0, True), checked.output
    assert "a start would fail: " in checked.stderr
    assert checked.stderr.endswith("run vosd migrate\n")


def test_a_check_warns_of_a_planned_moment_at_which_the_files_will_not_do(installation: Installation) -> None:
    text = installation.config.read_text()
    more = text.replace(
        "rate_groups:\n", "rate_groups:\n  - {name: spare, rates: [{prefix: '44', billing_rate: '1'}]}\n"
    )
    installation.config.write_text(more)
    define(installation, "accounts", "shop", "rate_group: spare\n", "--at", NOW_AND_LATER)
    assert "begins_at" not in installation.vosd("check").stdout
    installation.config.write_text(text)
    checked = installation.vosd("check")
    assert checked.exit_code == 0
    first, second, *_, holds = checked.stdout.splitlines()
    assert first.startswith(
        f"accounts shop (version 1) in the database: warning: begins_at: value '{NOW_AND_LATER[:-1]}.000Z': "
    )
    assert second.startswith(
        "accounts shop (version 1) in the database: warning: accounts[shop].rate_group: value 'spare'"
    )
    assert "holds:" in holds
    found = installation.document("check")
    assert {each["severity"] for each in found} == {"warning"}
    installation.document("definitions", "delete", "accounts", "shop", "--at", NOW_AND_LATER)
    assert "begins_at" not in installation.vosd("check").stdout


def test_a_check_names_each_mistake_of_planned_moments_once_and_each_present_warning_once(
    installation: Installation,
) -> None:
    text = installation.config.read_text()
    spare = "rate_groups:\n  - {name: spare, rates: [{prefix: '44', billing_rate: '1'}]}\n"
    installation.config.write_text(text.replace("rate_groups:\n", spare))
    for year, name in ((2097, "shop"), (2098, "cafe"), (2099, "cafe")):
        group = "spare" if year < 2099 else "sell"
        define(installation, "accounts", name, f"rate_group: {group}\n", "--at", f"{year}-01-01T00:00:00Z")
    define(installation, "accounts", "bar", "rate_group: sell\nrecord: 100\n")
    installation.config.write_text(text)
    checked = installation.vosd("check").stdout.splitlines()
    moment = "expected a configuration that is valid then, too: the mistakes of that moment follow"
    unknown = "value 'spare': expected the name of a rate group"
    accounts = [f"accounts {name} (version 1) in the database: warning: " for name in ("bar", "shop", "cafe")]
    present, *planned = checked[:-1]
    assert present.startswith(f"{accounts[0]}accounts[bar].record: expected media.engine as well")
    assert [each.partition(";")[0] for each in planned] == [
        f"{accounts[1]}begins_at: value '2097-01-01T00:00:00.000Z': {moment}",
        f"{accounts[1]}accounts[shop].rate_group: {unknown}",
        f"{accounts[2]}begins_at: value '2098-01-01T00:00:00.000Z': {moment}",
        f"{accounts[2]}accounts[cafe].rate_group: {unknown}",
    ]
    assert "holds: " in checked[-1]


def test_an_account_that_ended_is_invoiced_by_the_terms_of_its_last_version(installation: Installation) -> None:
    invoice = "invoice: {cycle: half_month, name: Shop Ltd, address: [Way 2], mail: [a@example.com]}\n"
    define(installation, "templates", "usual", "overdraft_limit: 50\n")
    define(installation, "rate_groups", "promo", PROMO)
    define(installation, "accounts", "shop", f"template: usual\nrate_group: promo\n{invoice}")
    parties = {"customer_account": "shop", "vendor_account": "vendor-1", "fee": Decimal(10), "tax": Decimal(1)}
    installation.book([answered_call(1, **parties)])
    installation.document("payment", "add", "--account", "shop", "--amount", "11")
    for kind, name in (("accounts", "shop"), ("rate_groups", "promo")):
        installation.document("definitions", "delete", kind, name)
    (made,) = installation.document("invoice", "run", "--period", "2026-09-H2")
    shown = installation.document("invoice", "show", made["number"])
    assert (shown["account"], shown["gross"]) == ("shop", "11.00")
    recipient = shown["document"]["recipient"]
    assert (recipient["name"], recipient["address"]) == ("Shop Ltd", ["Way 2"])
    (line,) = shown["document"]["lines"]
    header, row = installation.vosd("invoice", "show", made["number"]).stdout.splitlines()[-3:-1]
    assert header.split()[-4:] == ["price", "per", "tax_rate", "net"]
    assert row.split()[-3:] == [line["price"], "minute", "10.00"]
    sent = installation.vosd("invoice", "send", made["number"])
    assert "no mail server is configured" in sent.stderr  # it has the address


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\x00\x08\x8f\x04", " is no text in UTF-8 (byte 8): a workbook is imported with --map"),
        (None, ": No such file or directory"),
    ],
)
def test_a_file_of_objects_that_cannot_be_read_is_named_once(
    installation: Installation, content: bytes | None, said: str
) -> None:
    file = installation.config.with_name("customers.xlsx")
    if content is not None:
        file.write_bytes(content)
    refused = installation.vosd("definitions", "import", str(file))
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (2, f"Error: {file}{said}")


def test_what_does_not_go_together_is_refused_with_the_object_named_and_nothing_is_stored(
    installation: Installation,
) -> None:
    file = installation.config.with_name("object.yaml")
    file.write_text("account: shop\nhosts: [192.0.2.77]\nmax_concurent: 30\n", encoding="utf-8")
    refused = installation.vosd("definitions", "set", "mapping_gateways", "shop-trunk", "--file", str(file))
    assert refused.exit_code == 3
    assert "mapping_gateways shop-trunk (version 1) in the database" in refused.stderr + refused.stdout
    assert "'max_concurrent'" in refused.stderr + refused.stdout
    assert names(installation) == []


def test_the_same_object_in_a_file_and_in_the_database_is_an_error_that_names_both(installation: Installation) -> None:
    file = installation.config.with_name("object.yaml")
    file.write_text(BASIC, encoding="utf-8")
    refused = installation.vosd("definitions", "set", "accounts", "customer-1", "--file", str(file))
    said = refused.stdout + refused.stderr
    assert refused.exit_code == 3
    assert "accounts customer-1 (version 1) in the database" in said
    assert f"it also stands at {installation.config}:" in said


def test_each_version_stays_and_an_earlier_one_comes_back(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC + "overdraft_limit: 5\n")
    changed = define(installation, "accounts", "shop", BASIC + "overdraft_limit: 10\nmemo: VIP\n", "--memo", "why")
    assert changed["changes"][0]["keys"] == {"overdraft_limit": ["5", "10"], "memo": [None, "VIP"]}
    again = define(installation, "accounts", "shop", BASIC + "overdraft_limit: 10\nmemo: VIP\n")
    assert (again["changes"][0]["action"], again["changes"][0]["version"]) == ("unchanged", None)
    back = installation.document("definitions", "revert", "accounts", "shop", "--to", "1")
    assert back["changes"][0]["version"] == 3
    history = installation.document("definitions", "history", "accounts", "shop")
    assert [(each["version"], each["memo"]) for each in history] == [(3, None), (2, "why"), (1, None)]
    assert history[1]["operator"] == "ann"
    difference = installation.document("definitions", "diff", "accounts", "shop", "--from", "1", "--to", "2")
    assert difference["keys"] == {"overdraft_limit": ["5", "10"], "memo": [None, "VIP"]}
    shown = installation.vosd("definitions", "show", "accounts", "shop", "--version", "2").stdout
    assert shown.endswith("currency: USD\nrate_group: sell\noverdraft_limit: '10'\nmemo: VIP\n")


def test_the_history_of_a_parameter_says_what_each_version_changed(installation: Installation) -> None:
    define(installation, "parameters", "SS_SIP_SESSION_TTL", "900\n")
    define(installation, "parameters", "SS_SIP_SESSION_TTL", "600\n", "--memo", "ticket 7")
    installation.document("definitions", "delete", "parameters", "SS_SIP_SESSION_TTL")
    shown = installation.vosd("definitions", "history", "parameters", "SS_SIP_SESSION_TTL").stdout
    assert ["ends" in line for line in shown.splitlines()[1:]] == [True, False, False]
    assert ["value: 900 -> 600" in shown, "value: (not set) -> 900" in shown] == [True, True]
    define(installation, "accounts", "shop", BASIC)
    define(installation, "accounts", "shop", BASIC + "rate_types: [international]\n")
    define(installation, "accounts", "shop", BASIC + "rate_types: [international]\nmemo: VIP\noverdraft_limit: 10\n")
    shown = installation.vosd("definitions", "history", "accounts", "shop").stdout
    assert ["overdraft_limit, memo" in shown or "memo, overdraft_limit" in shown, "[" in shown] == [True, False]


def test_the_changes_of_all_parameters_are_one_list(installation: Installation) -> None:
    assert installation.document("definitions", "history", "parameters") == []
    define(installation, "parameters", "SS_SIP_SESSION_TTL", "900\n")
    define(installation, "parameters", "SS_BILLINGUNIT", "6\n", "--memo", "ticket 7")
    define(installation, "parameters", "SS_SIP_SESSION_TTL", "700\n", "--at", NOW_AND_LATER)
    define(installation, "parameters", "SS_SIP_SESSION_TTL", "600\n")
    installation.document("definitions", "delete", "parameters", "SS_BILLINGUNIT")
    found = installation.document("definitions", "history", "parameters")
    assert [(each["name"], each["version"], each["keys"]) for each in found] == [
        ("SS_BILLINGUNIT", 2, {"value": ["6", None]}),
        ("SS_SIP_SESSION_TTL", 3, {"value": ["900", "600"]}),
        ("SS_SIP_SESSION_TTL", 2, {"value": ["600", "700"]}),
        ("SS_BILLINGUNIT", 1, {"value": [None, "6"]}),
        ("SS_SIP_SESSION_TTL", 1, {"value": [None, "900"]}),
    ]
    assert (found[3]["memo"], found[2]["begins_at"][:4], found[3]["operator"]) == ("ticket 7", "2099", "ann")
    assert installation.document("definitions", "history", "parameters", "--limit", "2") == found[:2]
    shown = installation.vosd("definitions", "history", "parameters", "--limit", "2")
    assert ["SS_BILLINGUNIT" in shown.stdout, "value: 900 -> 600" in shown.stdout] == [True, True]
    assert "only the first 2 versions" in shown.stderr
    refused = installation.vosd("definitions", "history", "accounts")
    assert (refused.exit_code, "only parameters" in refused.stderr) == (2, True)


def test_an_end_keeps_the_versions_and_what_others_need_cannot_end(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    define(installation, "mapping_gateways", "shop-trunk", TRUNK)
    refused = installation.vosd("definitions", "delete", "accounts", "shop")
    assert refused.exit_code == 3
    assert refused.stderr.strip().endswith("nothing uses it any more; it is used by mapping gateway shop-trunk")
    installation.document("definitions", "delete", "mapping_gateways", "shop-trunk")
    installation.document("definitions", "delete", "accounts", "shop")
    assert names(installation) == []
    assert len(installation.document("definitions", "history", "accounts", "shop")) == 2
    gone = installation.vosd("definitions", "delete", "accounts", "shop")
    assert (gone.exit_code, "defines no accounts shop" in gone.stderr) == (1, True)


def test_a_trial_says_what_it_would_do_and_changes_nothing(installation: Installation) -> None:
    trial = define(installation, "accounts", "shop", BASIC, "--dry-run")
    assert trial["dry_run"] is True
    assert trial["changes"][0]["keys"] == {"currency": [None, "USD"], "rate_group": [None, "sell"]}
    assert names(installation) == []


def test_a_trial_says_in_words_which_running_calls_use_the_object(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    alone = installation.vosd("definitions", "delete", "accounts", "shop", "--dry-run")
    assert "which running calls use them is not known: no switch runs" in alone.stderr
    calls = [
        CallSnapshot(f"call-{number}", "answered", "pbx", "trunk", "shop", None, "1", "2", "", None, 9, None)
        for number in range(6)
    ]

    async def ask() -> Result:
        async with FakeSwitch(installation.config.with_name("vosd.sock")).answers(ListCalls, calls):
            return await asyncio.to_thread(installation.vosd, "definitions", "delete", "accounts", "shop", "--dry-run")

    assert asyncio.run(ask()).stdout.splitlines()[1:] == [
        "  currency: USD -> (not set)",
        "  rate_group: sell -> (not set)",
        (
            "  running calls that use it: 6 (call-0, call-1, call-2, call-3, call-4 ...); they go on, and a running "
            "switch takes it with --yes only"
        ),
    ]


def test_warnings_of_the_running_switch_are_shown_beside_the_change(installation: Installation) -> None:
    file = installation.config.with_name("shop.yaml")
    file.write_text(BASIC, encoding="utf-8")
    words = ("definitions", "set", "accounts", "shop", "--file", str(file))
    warning = "vosd.yaml:2: warning: sip.listen: expected a restart: the change takes effect after it"

    async def ask(*more: str) -> Result:
        outcome = ReloadOutcome("abc", [warning])
        async with FakeSwitch(installation.config.with_name("vosd.sock")).answers(Reload, outcome):
            return await asyncio.to_thread(installation.vosd, *words, *more)

    shown = asyncio.run(ask())
    assert (warning in shown.stderr, "accounts shop defined" in shown.stdout) == (True, True)
    file.write_text(BASIC + "max_cps: 3\n", encoding="utf-8")
    assert json.loads(asyncio.run(ask("--json")).stdout)["warnings"] == [warning]


def test_a_planned_change_is_seen_in_the_history_and_not_in_force(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC + "overdraft_limit: 5\n")
    planned = define(installation, "accounts", "shop", BASIC + "overdraft_limit: 9\n", "--at", NOW_AND_LATER)
    assert planned["in_force"] is None
    assert "overdraft_limit: '5'" in installation.vosd("definitions", "show", "accounts", "shop").stdout
    assert names(installation) == [("accounts", "shop", 1)]
    now = define(installation, "accounts", "shop", BASIC + "overdraft_limit: 6\n")
    assert now["changes"][0]["planned"] == [2]
    define(installation, "accounts", "shop", BASIC + "overdraft_limit: 8\n", "--at", NOW_AND_LATER)
    now = define(installation, "accounts", "shop", BASIC + "overdraft_limit: 7\n")
    assert now["changes"][0]["planned"] == [4]


def test_an_object_of_the_database_is_defined_at_its_version(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    said = installation.vosd("account", "add", "shop").stderr
    assert "account shop is defined at accounts shop (version 1) in the database" in said
    define(installation, "rate_groups", "retail", "currency: USD\nrates: [{prefix: '44', billing_rate: '1'}]\n")
    said = installation.vosd("rates", "versions", "retail").stderr
    assert said.startswith("Error: rate_groups retail (version 1) in the database: rate group retail has its rates")


def test_passwords_are_hidden_but_in_an_export(installation: Installation) -> None:
    define(installation, "phones", "7001", "account: customer-1\npassword: '%very-Secret 1'\n")
    changed = define(installation, "phones", "7001", "account: customer-1\npassword: other-Secret-2\n")
    shown = installation.vosd("definitions", "show", "phones", "7001").stdout
    assert "ecret" not in shown + str(changed) + str(installation.document("definitions", "history", "phones", "7001"))
    assert "other-Secret-2" in installation.vosd("definitions", "show", "phones", "7001", "--secrets").stdout
    assert "other-Secret-2" in installation.vosd("definitions", "export").stdout


def test_a_trial_of_a_change_of_a_template_names_the_objects_that_take_it(installation: Installation) -> None:
    text = installation.config.read_text().replace("accounts:\n", "accounts:\n  - {id: a-file, template: gold}\n", 1)
    installation.config.write_text(text)
    file = installation.config.with_name("many.yaml")
    of_template = "template: gold, currency: USD"
    many = "".join(f"  - {{id: gold-{number}, {of_template}}}\n" for number in range(7))
    own = f"  - {{id: own, {of_template}, max_cps: 7}}\n  - {{id: silver, currency: USD, memo: gold}}\n"
    phones = "phones:\n  - {number: 7001, template: gold, account: own, password: very-Secret-word}\n"
    file.write_text(f"templates:\n  gold: {{max_cps: 5}}\naccounts:\n{many}{own}{phones}")
    installation.document("definitions", "import", str(file))
    installation.document("definitions", "delete", "accounts", "gold-0")
    changed = "max_cps: 6\n"
    (found,) = define(installation, "templates", "gold", changed, "--dry-run")["changes"]
    named = ["a-file", *(f"gold-{number}" for number in range(1, 5))]
    of_accounts = {"kind": "accounts", "number": 8, "first": named, "own": {"max_cps": {"number": 1, "first": ["own"]}}}
    assert found["users"] == [of_accounts, {"kind": "phones", "number": 1, "first": ["7001"], "own": {}}]
    file.write_text(changed)
    said = installation.vosd("definitions", "set", "templates", "gold", "--file", str(file), "--dry-run").stdout
    assert "\n  accounts that take it: 8 (a-file, gold-1, gold-2, gold-3, gold-4 ...)\n" in said
    assert "\n    with max_cps of their own: 1 (own)\n  phones that take it: 1 (7001)\n" in said
    moved = f"  - {{id: gold-1, currency: USD}}\n  - {{id: silver, {of_template}}}\n"
    file.write_text(f"templates:\n  gold: {{max_cps: 6}}\naccounts:\n{moved}")
    (found, *_) = installation.document("definitions", "import", str(file), "--dry-run")["changes"]
    assert (found["users"][0]["number"], found["users"][0]["first"][:2]) == (8, ["a-file", "gold-2"])
    (made,) = define(installation, "templates", "gold", changed)["changes"]
    assert made["users"] == []


def test_an_export_is_a_configuration_and_is_imported_without_a_difference(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC + "memo: 'A & B: \"x\"'\n")
    define(installation, "mapping_gateways", "shop-trunk", TRUNK)
    define(installation, "templates", "small", "max_concurrent: 5\n")
    define(installation, "parameters", "SS_SIP_SESSION_TTL", "900\n")
    file = installation.config.with_name("export.yaml")
    file.write_text("an earlier one, for everyone")
    file.chmod(0o644)
    installation.vosd("definitions", "export", "--out", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    again = installation.document("definitions", "import", str(file))
    assert {each["action"] for each in again["changes"]} == {"unchanged"}
    for each in again["changes"][::-1]:
        installation.document("definitions", "delete", each["kind"], each["name"])
    assert names(installation) == []
    with installation.config.open("a", encoding="utf-8") as config:
        config.write(f"include: [{file.name}]\n")
    assert installation.vosd("check").exit_code == 0


def test_an_export_is_accepted_in_the_directory_of_its_installation(
    tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = tmp_path / "var"
    state.mkdir()
    shutil.copy(migrated, state / "vosd.db")
    installation = Installation(tmp_path)
    lines = installation.config.read_text().splitlines()
    installation.config.write_text("\n".join(line for line in lines if not line.startswith(("database", "control"))))
    define(installation, "rate_groups", "retail", PROMO)
    define(installation, "accounts", "shop", "rate_group: retail\nmemo: 'A & B'\n")
    define(installation, "accounts", "shop", "rate_group: retail\n", "--at", NOW_AND_LATER)
    define(installation, "mapping_gateways", "shop-trunk", TRUNK)
    define(installation, "templates", "small", "max_concurrent: 5\n")
    define(installation, "parameters", "SS_SIP_SESSION_TTL", "900\n")
    written = copy(installation)
    written.config = tmp_path / "export.yaml"
    installation.vosd("definitions", "export", "--out", str(written.config))
    assert written.vosd("check").exit_code == 0
    (state / "lock").write_text(f"1\n{json.dumps(installation_of(installation.config, 'sw1')._asdict())}\n")
    said = written.vosd("check")
    assert (said.exit_code, "checked with what the database of the switch 'sw1'" in said.stderr) == (0, True)
    text = written.config.read_text()
    written.config.write_text(text.replace("A & B", "A & C"))
    said = written.vosd("check")
    assert (said.exit_code, said.stdout.count("expected each id once")) == (3, 1)
    (state / "lock").write_text(f"1\n{json.dumps(installation_of(written.config, 'sw1')._asdict())}\n")
    written.config.write_text(text)
    said = written.vosd("check")
    assert (said.exit_code, said.stdout.count("expected each id once")) == (3, 1), "it is its configuration"


def test_an_export_that_cannot_be_written_leaves_the_earlier_one_and_says_why(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(installation, "accounts", "shop", BASIC)
    said = installation.vosd("definitions", "export", "--out", "/proc/export.yaml")
    assert (said.exit_code, "/proc/export.yaml cannot be written: " in said.stderr) == (1, True)
    file = installation.config.with_name("export.yaml")
    file.write_text("an earlier one")

    def full(_file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(whole_file, "sync_file", full)
    said = installation.vosd("definitions", "export", "--out", str(file))
    assert (said.exit_code, "No space left on device" in said.stderr) == (1, True)
    assert file.read_text() == "an earlier one"
    assert [*file.parent.glob(".export*")] == []


def test_an_export_into_a_pipe_is_written_there(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    pipe = installation.config.with_name("pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    installation.vosd("definitions", "export", "--out", str(pipe))
    assert b"id: shop" in os.read(reader, 65_536)
    os.close(reader)
    assert pipe.is_fifo()


def test_what_breaks_when_a_planned_version_begins_is_refused_with_the_version_named(
    installation: Installation,
) -> None:
    define(installation, "rate_groups", "promo", PROMO)
    installation.vosd("definitions", "delete", "rate_groups", "promo", "--at", NOW_AND_LATER)
    file = installation.config.with_name("shop.yaml")
    file.write_text("rate_group: promo\n")
    for at in ((), ("--at", "2098-01-01T00:00:00Z")):
        said = installation.vosd("definitions", "set", "accounts", "shop", "--file", str(file), *at)
        assert said.exit_code == 3
        assert "rate_groups promo (version 2) in the database: begins_at: value '2099-01-01T00:00:00" in said.stderr
        assert "accounts[shop].rate_group: value 'promo'" in said.stderr
    assert names(installation) == [("rate_groups", "promo", 1)]
    define(installation, "accounts", "shop", BASIC)


def test_what_is_planned_is_listed_with_its_moment_and_until_it_is_called_off_says_what_it_changes(
    installation: Installation,
) -> None:
    define(installation, "rate_groups", "promo", PROMO)
    said = installation.vosd("definitions", "list", "--planned")
    assert (said.exit_code, said.stdout) == (0, "no version is planned\n")
    words = ("definitions", "delete", "rate_groups", "promo", "--at", NOW_AND_LATER, "--memo", "over", "--yes")
    installation.vosd(*words, "--operator", "bob")
    (row,) = installation.vosd("definitions", "list", "rate_groups", "--planned").stdout.splitlines()[1:]
    assert row.split() == ["2099-01-01T00:00:00.000Z", "rate_groups", "promo", "2", "bob", "ends", "over"]
    (planned,) = installation.document("definitions", "list", "--planned")
    assert (planned["begins_at"], planned["replaces"], planned["operator"]) == ("2099-01-01T00:00:00.000Z", 1, "bob")
    words = ("definitions", "revert", "rate_groups", "promo", "--to", "1", "--at", NOW_AND_LATER)
    installation.document(*words, "--operator", "ann")
    (row,) = installation.vosd("definitions", "list", "--planned").stdout.splitlines()[1:]
    assert row.split()[3:6] == ["3", "ann", "nothing"]


def test_an_empty_file_takes_no_keys_away(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    empty = installation.config.with_name("empty.yaml")
    empty.write_text("# nothing\n")
    for kind, name in (("accounts", "shop"), ("templates", "small")):
        said = installation.vosd("definitions", "set", kind, name, "--file", str(empty))
        assert (said.exit_code, f"{empty} is empty: expected keys and values" in said.stderr) == (1, True)
    said = installation.vosd("definitions", "set", "parameters", "SS_SIP_SESSION_TTL", "--file", "/dev/null")
    assert (said.exit_code, "/dev/null is empty: expected " in said.stderr) == (1, True)
    said = installation.vosd("definitions", "import", str(empty))
    assert (said.exit_code, f"{empty} has no objects" in said.stderr) == (1, True)
    assert names(installation) == [("accounts", "shop", 1)]
    define(installation, "accounts", "shop", "id: shop\n")


def test_what_cannot_be_read_or_written_is_an_error_of_one_line(installation: Installation) -> None:
    vosd = (str(Path(sys.executable).with_name("vosd")), "-c", str(installation.config))
    with Path("/dev/full").open("wb") as full:
        said = subprocess.run([*vosd, "definitions", "export"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (said.returncode, said.stderr) == (0, b""), "there is nothing to be written"
    define(installation, "accounts", "shop", BASIC)
    with Path("/dev/full").open("wb") as full:
        said = subprocess.run([*vosd, "definitions", "export"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (said.returncode, said.stderr) == (1, b"Error: standard output: No space left on device\n")
    words = [*vosd, "definitions", "import", "-"]
    said = subprocess.run(words, input=b"accounts: \xff", capture_output=True, check=False)
    assert (said.returncode, b"Error: standard input is no text in UTF-8" in said.stderr) == (2, True)


def test_objects_are_exported_into_a_pipe(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    said = installation.vosd("definitions", "export")
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe:
        with os.fdopen(writing, "wb"):
            piped = installation.vosd("definitions", "export", "--out", f"/dev/fd/{writing}")
        assert (piped.exit_code, pipe.read()) == (0, said.stdout)


def test_plans_for_one_moment_go_together_in_any_number_of_commands(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    define(installation, "mapping_gateways", "shop-trunk", TRUNK)
    at = ("--at", NOW_AND_LATER)
    define(installation, "accounts", "new", BASIC, *at)
    define(installation, "mapping_gateways", "new-trunk", "account: new\nhosts: [192.0.2.78]\n", *at)
    assert installation.vosd("definitions", "delete", "accounts", "shop", *at).exit_code == 3
    installation.document("definitions", "delete", "mapping_gateways", "shop-trunk", *at)
    installation.document("definitions", "delete", "accounts", "shop", *at)
    assert installation.vosd("check").exit_code == 0


def test_a_planned_moment_that_is_not_valid_by_itself_keeps_no_other_change_away(installation: Installation) -> None:
    define(installation, "rate_groups", "promo", PROMO)
    define(installation, "accounts", "shop", "rate_group: promo\n", "--at", NOW_AND_LATER)
    database = sqlite3.connect(installation.database)
    with database:
        database.execute("DELETE FROM definition WHERE kind = 'rate_groups'")
    database.close()
    define(installation, "accounts", "other", BASIC)
    assert names(installation) == [("accounts", "other", 1)]


def test_a_customer_ends_whole(installation: Installation) -> None:
    define(installation, "accounts", "shop", BASIC)
    define(installation, "mapping_gateways", "shop-trunk", TRUNK)
    words = ("definitions", "delete", "accounts", "shop", "mapping_gateways")
    assert installation.vosd(*words).exit_code == 2
    ended = installation.document(*words, "shop-trunk")["changes"]
    assert [(each["name"], each["action"]) for each in ended] == [("shop", "ended"), ("shop-trunk", "ended")]
    assert names(installation) == []


def test_of_two_commands_at_once_that_contradict_each_other_the_later_is_refused(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was valid by itself: stored both, they kept every later change out of force."""
    define(installation, "accounts", "shop", BASIC)
    checks = []

    def check_slowly(*words: Any) -> Any:
        found = check_here(*words)
        checks.append(words)
        if len(checks) == 1:
            with ThreadPoolExecutor() as beside:
                beside.submit(define, installation, "mapping_gateways", "rival", TRUNK).result()
        return found

    monkeypatch.setattr(change_check, "check_here", check_slowly)
    file = installation.config.with_name("trunk.yaml")
    file.write_text(TRUNK)
    said = installation.vosd("definitions", "set", "mapping_gateways", "late", "--file", str(file))
    assert (said.exit_code, "'late' and 'rival' both claim 192.0.2.77/32" in said.stderr) == (3, True), said.stderr
    assert names(installation) == [("accounts", "shop", 1), ("mapping_gateways", "rival", 1)]
    assert len(checks) == 2
    file.write_text(TRUNK.replace("77", "78"))
    checks.clear()
    define(installation, "mapping_gateways", "rival", TRUNK + "max_cps: 3\n")
    assert installation.vosd("definitions", "set", "mapping_gateways", "late", "--file", str(file)).exit_code == 0


def test_a_file_of_the_configuration_moves_into_the_database(installation: Installation) -> None:
    file = installation.config.with_name("shop.yaml")
    file.write_text(
        "accounts:\n- {id: shop, rate_group: sell}\nmapping_gateways:\n"
        "- {name: shop-trunk, account: shop, hosts: [192.0.2.77]}\n",
        encoding="utf-8",
    )
    trial = installation.document("definitions", "import", str(file), "--dry-run")
    assert [each["action"] for each in trial["changes"]] == ["defined", "defined"]
    installation.document("definitions", "import", str(file))
    assert names(installation) == [("accounts", "shop", 1), ("mapping_gateways", "shop-trunk", 1)]
    assert installation.vosd("check").exit_code == 0


def test_an_import_says_what_it_does_and_what_it_has_done(installation: Installation) -> None:
    file = installation.config.with_name("many.yaml")
    file.write_text("accounts:\n" + "".join(f"- {{id: shop-{each}, currency: EUR}}\n" for each in range(1_000)))
    said = installation.vosd("definitions", "import", str(file), "--dry-run").stderr
    assert "1,000 objects read: the whole configuration is checked with them, nothing is stored" in said
    assert "1,000 objects: 1,000 would be defined" in said
    file.write_text("accounts:\n- {id: shop-1, currency: EUR}\n- {id: shop-2, currency: USD}\n")
    define(installation, "accounts", "shop-1", "currency: EUR\n")
    said = installation.vosd("definitions", "import", str(file)).stderr
    assert ("objects read" in said, "2 objects: 1 unchanged, 1 defined" in said) == (False, True)


def test_a_kind_that_does_not_exist_is_said_at_once(installation: Installation) -> None:
    refused = installation.vosd("definitions", "list", "acounts")
    assert (refused.exit_code, "did you mean 'accounts'" in refused.stderr) == (2, True)


CUSTOMER = """\
accounts: [{id: cafe, currency: USD, rate_group: sell}]
mapping_gateways: [{name: cafe-pbx, hosts: [192.0.2.78]}]
phones: [{number: "49301234", username: cafe-1, password: long-enough-1}]
"""


def test_a_customer_is_provisioned_with_its_first_payment_once_for_a_reference(installation: Installation) -> None:
    file = installation.config.with_name("customer.yaml")
    file.write_text(CUSTOMER, encoding="utf-8")
    words = ("definitions", "provision", str(file), "--payment", "50", "--reference", "c1", "--operator", "ann")
    made = installation.document(*words)
    assert [each["name"] for each in made["changes"]] == ["cafe", "cafe-pbx", "49301234"]
    again = installation.document(*words)
    assert (made["repeated"], again["repeated"], again["payment"]) == (False, True, made["payment"])
    assert installation.document("account", "show", "cafe")["balance"] == "50.00"
    other = installation.vosd(*words[:-3], "c2", "--operator", "ann")
    assert "the database defines accounts cafe already, by version 1" in other.output
    file.write_text(CUSTOMER + "calendars: [{name: work}]\n", encoding="utf-8")
    assert "expected one account, its mapping_gateways and phones" in installation.vosd(*words).output
