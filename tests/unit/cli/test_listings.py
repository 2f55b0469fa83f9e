"""Listings that choose: running calls, gateways, the newest entries of the ledger; unknown names and periods."""

import asyncio
import csv
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from smtplib import SMTPAuthenticationError, SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from doubles.data.records import answered_call
from doubles.fake_switch import FakeSwitch, status_of
from doubles.migrated import migrated
from python_calamine import CalamineWorkbook

from vosd.admin.office import mailed_invoices
from vosd.admin.office.office import Office
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.cli import progress
from vosd.cli.main import main
from vosd.control.calls import CallSnapshot, ListCalls
from vosd.control.installation import GetStatus
from vosd.control.peers import GatewayRow, ListGateways
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.decks import SqlDecks
from vosd.storage.stored_objects import SqlObjects
from vosd.storage.stores import SqlStores

CONFIGURATION = """
templates: {usual: {max_concurrent: 10}}
accounts: [{id: acme, name: "=Acme"}, {id: carrier, type: clearing}]
mapping_gateways:
  - {name: pbx, account: acme, hosts: [192.0.2.1], template: usual, auth: {username: pbx, password: a-secret-word}}
"""
CALLS = [
    CallSnapshot(
        call_id=f"0190a0c2-0000-7000-8000-00000000000{index}", state="talking", mapping_gateway=gateway,
        routing_gateway="trunk", customer_account=account, vendor_account="carrier", caller="1", callee="2",
        started_at="2026-03-01T12:00:00.000Z", answered_at=None, age_s=age, talk_s=None,
    )
    for index, (account, gateway, age) in enumerate([("acme", "pbx", 5_000), ("acme", "b", 100), ("globex", "g", 9)])
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vosd.yaml").write_text(
        f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\ncontrol_socket: {tmp_path}/s{CONFIGURATION}"
    )
    monkeypatch.setenv("VOSD_CONFIG", str(tmp_path / "vosd.yaml"))
    migrated(tmp_path / "vosd.db")
    return tmp_path


def vosd(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize(
    ("words", "ages"),
    [
        ((), [5_000, 100, 9]),
        (("--account", "acme"), [5_000, 100]),
        (("--account", "carrier"), [5_000, 100, 9]),
        (("--gateway", "pbx"), [5_000]),
        (("--longer", "1h"), [5_000]),
        (("--longer", "90s"), [5_000, 100]),
    ],
)
async def test_running_calls_are_chosen(site: Path, words: tuple[str, ...], ages: list[int]) -> None:
    async with FakeSwitch(site / "s").answers(ListCalls, CALLS):
        shown = await asyncio.to_thread(vosd, "calls", "--json", *words)
    assert [call["age_s"] for call in json.loads(shown.stdout)] == ages


def test_a_gateway_is_shown_as_it_is_defined_without_its_password(site: Path) -> None:
    shown = vosd("gateway", "show", "pbx")
    assert shown.exit_code == 0, shown.output
    assert f"mapping_gateways, defined at {site}/vosd.yaml:6" in shown.stdout
    assert "max_concurrent" in shown.stdout, "its template is part of it"
    assert "a-secret-word" not in shown.output
    assert "no switch runs" in shown.stderr
    assert vosd("gateway", "show", "pbxx").exit_code == 1


async def test_gateways_are_listed_as_the_status_lists_them(site: Path) -> None:
    row = GatewayRow("pbx", "mapping", "up", None, None, None, 0, None, 0, 0, None, None, None, None, None)
    async with FakeSwitch(site / "s").answers(ListGateways, [row]):
        listed = await asyncio.to_thread(vosd, "gateway", "list", "--json")
        shown = await asyncio.to_thread(vosd, "gateway", "show", "pbx", "--json")
    assert [row["gateway"] for row in json.loads(listed.stdout)] == ["pbx"]
    assert json.loads(shown.stdout)["running"][0]["state"] == "up"


def test_the_newest_entries_are_listed_and_fit_a_screen(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (site / "vosd.db").exists()
    for amount in range(1, 5):
        paid = vosd("payment", "add", "--account", "acme", "--amount", str(amount), "--memo", "a memo of many words")
        assert paid.exit_code == 0
    newest = json.loads(vosd("ledger", "list", "--limit", "2", "--json").stdout)
    assert [entry["amount"] for entry in newest] == ["3.00", "4.00"]
    of_account = json.loads(vosd("ledger", "list", "--account", "acme", "--limit", "1", "--json").stdout)
    assert [entry["amount"] for entry in of_account] == ["4.00"]
    assert len(json.loads(vosd("ledger", "list", "--limit", "9", "--json").stdout)) == 4
    monkeypatch.setenv("COLUMNS", "80")
    lines = vosd("ledger", "list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "10.00" in lines[-1]


def test_payments_of_all_accounts_are_listed_and_exported_with_the_balance_before_and_after(site: Path) -> None:
    for account, amount, kind, person in (
        ("acme", "12.50", "payment", "ann"), ("carrier", "7", "payment", "bob"), ("acme", "-2.5", "adjustment", "bob"),
    ):  # fmt: skip
        words = ("--account", account, "--amount", amount, "--type", kind, "--operator", person, "--memo", "wire")
        assert vosd("payment", "add", *words).exit_code == 0

    def listed(*words: str) -> list[tuple[str, str | None, str, str, str]]:
        found = json.loads(vosd("payment", "list", "--json", *words).stdout)
        names = ("account", "account_name", "amount", "balance_before", "balance_after")
        return [tuple(each[name] for name in names) for each in found]

    first, second = ("acme", "=Acme", "12.50", "0.00", "12.50"), ("carrier", None, "7.00", "0.00", "7.00")
    third = ("acme", "=Acme", "-2.50", "12.50", "10.00")
    assert listed() == [first, second, third]
    assert listed("--newest-first", "--limit", "2") == [third, second]
    assert listed("--account", "acme", "--type", "payment") == [first]
    assert listed("--operator", "bob") == [second, third]
    assert listed("--since", "2126-01-01T00:00:00Z") == listed("--until", "2020-01-01T00:00:00Z") == []
    table = [*csv.DictReader(vosd("payment", "list", "--csv").stdout.splitlines())]
    assert [(each["account_name"], each["operator"], each["memo"]) for each in table] == [
        ("'=Acme", "ann", "wire"), ("", "bob", "wire"), ("'=Acme", "bob", "wire"),
    ]  # fmt: skip
    (site / "p.draft").write_text("a file of the user")
    assert vosd("payment", "list", "--xlsx", str(site / "p.xlsx")).stderr == f"3 rows: {site / 'p.xlsx'}\n"
    assert vosd("payment", "list", "--limit", "1", "--xlsx", str(site / "one.xlsx")).stderr.startswith("1 row: ")
    assert (site / "p.draft").read_text() == "a file of the user"
    refused = vosd("payment", "list", "--xlsx", str(site / "missing" / "p.xlsx"))
    assert (refused.exit_code, "missing/p.xlsx cannot be written: No such file" in refused.stderr) == (1, True)
    header, *body = CalamineWorkbook.from_path(str(site / "p.xlsx")).get_sheet_by_name("payments").to_python()
    last = dict(zip(header, body[-1], strict=True))
    assert (last["amount"], last["balance_before"], last["account_name"]) == (-2.5, 12.5, "=Acme")
    assert header[-3:] == ["balance_before", "account_name", "taken_back_by"]
    assert vosd("payment", "undo", str(table[0]["id"])).exit_code == 0
    undone = [*csv.DictReader(vosd("payment", "list", "--csv", "--limit", "4").stdout.splitlines())]
    assert [each["taken_back_by"] for each in undone] == [undone[-1]["id"], "", "", ""]
    assert vosd("payment", "list", "--csv", "--json").exit_code == 2


def test_where_an_account_is_to_be_defined_is_said(site: Path) -> None:
    said = vosd("account", "add", "globex")
    assert said.exit_code == 1
    assert f"add these lines to {site}/vosd.yaml" in said.stderr
    assert "- id: globex" in said.stderr
    assert f"account acme is defined at {site}/vosd.yaml:4" in vosd("account", "add", "acme").stderr


@pytest.mark.parametrize(
    "words", ["invoice list", "reconcile list", "did list", "report profit --since 2026-10-01T00:00:00Z", "why"]
)
async def test_a_list_of_an_account_that_never_was_there_is_no_empty_list(site: Path, words: str) -> None:
    async with FakeSwitch(site / "s").answers(ListCalls, []):
        unknown = await asyncio.to_thread(vosd, *words.split(), "--account", "globex")
        known = await asyncio.to_thread(vosd, *words.split(), "--account", "acme")
    assert unknown.exit_code == 1
    assert "no account 'globex' is configured or recorded" in unknown.stderr
    assert known.exit_code == 0


async def test_running_calls_of_a_name_that_never_was_there_are_no_empty_list(site: Path) -> None:
    async with FakeSwitch(site / "s").answers(ListCalls, []).answers(GetStatus, status_of()):
        for what, name in (("account", "globex"), ("gateway", "pbxx")):
            said = await asyncio.to_thread(vosd, "calls", f"--{what}", name, "--json")
            assert (said.exit_code, f"no {what} '{name}' is configured or recorded" in said.stderr) == (1, True)


@pytest.mark.parametrize("is_damaged", [False, True])
async def test_who_waits_for_the_last_call_of_a_removed_account_or_gateway_finds_an_empty_list(
    site: Path, is_damaged: bool
) -> None:
    """Without the database a removed name is not told from one that never was there, and the list needs none."""
    database = Database(f"sqlite+aiosqlite:///{site}/vosd.db")
    await SqlBooks(database).book([answered_call(1, customer_account="gone", mapping_gateway="old")])
    await database.close()
    if is_damaged:
        (site / "vosd.db").write_text("no database")
    async with FakeSwitch(site / "s").answers(ListCalls, []).answers(GetStatus, status_of()):
        for words in (("--account", "gone"), ("--gateway", "old")):
            found = await asyncio.to_thread(vosd, "calls", *words, "--json")
            assert (found.exit_code, json.loads(found.stdout)) == (0, [])


async def test_calls_and_numbers_of_what_begins_later_are_none_yet(site: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{site}/vosd.db")
    later = [
        ObjectVersion(
            kind=kind, name=name, version=1, body="{}", begins_at=4_922_000_000_000, made_at=0, operator="ann"
        )
        for kind, name in (("accounts", "later"), ("routing_gateways", "later-trunk"))
    ]
    await SqlObjects(database).add(later)
    await database.close()
    async with FakeSwitch(site / "s").answers(ListCalls, []).answers(GetStatus, status_of()):
        for words in ("calls --account later", "calls --gateway later-trunk", "did list --account later"):
            found = await asyncio.to_thread(vosd, *words.split(), "--json")
            assert (found.exit_code, json.loads(found.stdout or "0")) == (0, []), found.output
        unknown = await asyncio.to_thread(vosd, "calls", "--account", "later", "--gateway", "pbxx", "--json")
        assert "no gateway 'pbxx' is configured or recorded" in unknown.stderr


async def test_running_calls_do_not_wait_for_a_database_that_the_switch_waits_for(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To connect to one that hangs takes many seconds."""
    monkeypatch.setattr(Office, "stores", property(lambda _: pytest.fail("the database was asked")))
    async with FakeSwitch(site / "s").answers(ListCalls, []).answers(GetStatus, status_of("away")):
        found = await asyncio.to_thread(vosd, "calls", "--account", "acme", "--json")
    assert (found.exit_code, json.loads(found.stdout)) == (0, [])


async def test_running_calls_wait_for_a_database_for_a_moment_only(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: SqlDecks) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(SqlDecks, "version", hang)
    monkeypatch.setattr("vosd.admin.office.calls._DATABASE_S", 0.01)
    async with FakeSwitch(site / "s").answers(ListCalls, []).answers(GetStatus, status_of()):
        found = await asyncio.to_thread(vosd, "calls", "--account", "globex", "--json")
    assert (found.exit_code, json.loads(found.stdout)) == (0, [])


async def test_the_time_to_load_what_reads_a_database_is_no_wait_for_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, wait = Office.stores.fget, "vosd.admin.office.calls._DATABASE_S"
    assert opened is not None

    def load(office: Office) -> SqlStores:
        monkeypatch.setattr(wait, 60.0)
        return opened(office)

    monkeypatch.setattr(wait, 0.0)
    monkeypatch.setattr(Office, "stores", property(load))
    async with FakeSwitch(site / "s").answers(ListCalls, []).answers(GetStatus, status_of()):
        said = await asyncio.to_thread(vosd, "calls", "--account", "globex", "--json")
    assert (said.exit_code, "no account 'globex' is configured or recorded" in said.stderr) == (1, True)


@pytest.mark.parametrize("verb", ["run", "list", "send"])
def test_a_period_of_invoices_that_is_none_is_wrong_usage(site: Path, verb: str) -> None:
    said = vosd("invoice", verb, "--period", "2026-13")
    assert said.exit_code == 2
    assert "'2026-13' is no period: expected one such as 2026-10, 2026-10-H1" in said.stderr


def test_the_mails_of_a_period_say_how_many_were_tried(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be thousands, each of some tenths of a second."""

    async def unsent(*_order: object) -> dict[int, str]:
        return {number: f"2026-{number}" for number in (1, 2)}

    monkeypatch.setattr(mailed_invoices, "list_unsent", unsent)
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    said = vosd("invoice", "send", "--period", "2026-10")
    *steps, first, second, _error = said.stderr.splitlines()
    assert [step.partition(",")[0] for step in steps] == ["50%: 1 invoices", "100%: 2 invoices"]
    assert first.startswith("invoice 2026-1 is not sent")
    assert second.startswith("invoice 2026-2 is not sent")


@pytest.mark.parametrize(
    ("fault", "tried"),
    [
        (TimeoutError("timed out"), 3),
        (SMTPAuthenticationError(535, b"no"), 3),
        (SMTPRecipientsRefused({"books@example.com": (550, b"no such user")}), 9),
        (SMTPDataError(554, b"looks like spam"), 9),
        (SMTPSenderRefused(552, b"5.3.4 message size exceeds fixed limit", "books@example.com"), 9),
        (SMTPSenderRefused(550, b"sender rejected", "books@example.com"), 3),
        (None, 9),
    ],
)
def test_the_mails_of_a_period_end_where_the_server_takes_none(
    site: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError | None, tried: int
) -> None:
    """Each of thousands would wait for it as long."""
    asked: list[int] = []

    async def unsent(*_order: object) -> dict[int, str]:
        return {number: f"2026-{number}" for number in range(1, 10)}

    async def refused(_office: object, _who: object, order: mailed_invoices.SendInvoice, **_how: object) -> None:
        asked.append(order.id)
        raise mailed_invoices.InvoiceNotSentError("mail.example.com has not taken the mail") from fault

    monkeypatch.setattr(mailed_invoices, "list_unsent", unsent)
    monkeypatch.setattr(mailed_invoices, "send_invoice", refused)
    said = vosd("invoice", "send", "--period", "2026-10")
    assert said.exit_code == 1
    assert len(asked) == tried
    assert ("the mail server takes none: 6 further invoices were not tried" in said.stderr) is (tried < 9)
    assert f"{tried} invoices are not sent" in said.stderr


async def test_the_audit_of_the_ledger_says_how_many_calls_it_has_compared(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite+aiosqlite:///{site}/vosd.db")
    await SqlBooks(database).book([answered_call(1)])
    await database.close()
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    for words, lines in (
        (("verify",), ["100%: 1 calls"]),
        (("close", "--until", "2026-01-01", "--yes", "--force"), []),
        (("close", "--until", "2026-01-02", "--yes"), ["80%: 1 calls"]),  # the rest is for the checkpoints
    ):
        said = await asyncio.to_thread(vosd, "ledger", *words)
        assert (said.exit_code, re.findall("[0-9]+%: 1 calls", said.stderr)) == (0, lines)


def test_a_verb_says_how_fast_the_part_is_that_counts_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter((0, 20, 100, 200, 300, 310, 320))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    shown = progress.Meter("calls")
    for part, count in ((0.1, 2_000), (0.5, 10_000), (0.6, 0), (0.7, 0), (0.8, 500), (0.9, 40)):
        shown.show(part, count)
    assert capsys.readouterr().err.splitlines() == [
        "10%: 2,000 calls, 100 a second", "50%: 10,000 calls, 100 a second", "60%", "70%",
        "80%: 500 calls, 50 a second", "90%: 40 calls, 4 a second",
    ]  # fmt: skip


def test_a_difference_in_the_ledger_has_a_line_of_its_own_on_a_terminal_with_a_bar(site: Path) -> None:
    database = site / "vosd.db"

    async def book() -> None:
        async with Database(f"sqlite+aiosqlite:///{database}") as opened:
            await SqlBooks(opened).book([answered_call(1)])

    asyncio.run(book())
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE account SET balance = balance + 1")
    terminal, end = pty.openpty()
    code = "from vosd.cli.main import main; main(['ledger', 'verify'])"
    done = subprocess.run([sys.executable, "-c", code], stdout=end, stderr=end, check=False)
    os.close(end)
    shown = b""
    with suppress(OSError):  # at its end
        while part := os.read(terminal, 10_000):
            shown += part
    os.close(terminal)
    assert done.returncode == 1
    assert b"\x1b[2Kaccount " in shown


def test_what_a_verb_prints_beside_its_bar_goes_to_its_file() -> None:
    """The bar is on the terminal, to which it would take what is printed."""
    terminal, end = pty.openpty()
    code = "from vosd.cli.progress import meter\nwith meter('calls'): print('a difference')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=end, text=True, check=True)
    os.close(end)
    assert done.stdout == "a difference\n"
    assert b"calls" in os.read(terminal, 10_000)
    os.close(terminal)
