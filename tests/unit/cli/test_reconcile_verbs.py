"""``vosd reconcile``: a vendor's file compared, shown and disputed from the command line; no switch runs."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.data.builders import applied_rate
from doubles.ended_calls import ended_call
from doubles.installation import Installation
from doubles.migrated import migrated

from vosd.admin.office import bilateral
from vosd.admin.partner_totals import FoundDeviation, PartnerOutcome
from vosd.cdr.columns import iso_utc

MAP = "columns: {callee: number, start: start, duration: seconds, price: price}\nstart: {of: invite}\n"


@pytest.fixture
def site(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path)
    migrated(installation.database)
    record = ended_call(4, applied_rate("0.60"), applied_rate("0.30"))
    record = msgspec.structs.replace(record, vendor_account="vendor-1", vendor_answered_at=record.ended_at - 61_500)
    installation.book([record])
    directory = installation.config.parent
    (directory / "map.yaml").write_text(MAP)
    start = iso_utc(record.started_at)
    rows = f"number,start,seconds,price\n{record.callee_out},{start},61.5,0.60\n442,{start},7,0.07\n442,soon,7,0.07\n"
    (directory / "bill.csv").write_text(rows)
    return installation


def test_a_bill_is_imported_once_shown_and_disputed(site: Installation) -> None:
    directory: Path = site.config.parent
    words = ("reconcile", "import", "vendor-1", str(directory / "bill.csv"), "--map", str(directory / "map.yaml"))
    said = site.vosd(*words)
    assert said.exit_code == 0, said.output
    assert "unit_differs" in said.stdout
    assert "their unit is 60 s" in said.stdout
    assert "1 of 3 rows could not be read" in said.stderr
    assert "imported before, as reconciliation 1" in site.vosd(*words).stderr
    shown = site.document("reconcile", "show", "1")
    assert (shown["theirs"], shown["ours"], shown["disputable"], shown["dispute"]) == ("0.67", "0.31", "0.36", None)
    files = ("--calls", str(directory / "calls.csv"), "--letter", str(directory / "letter.md"))
    disputed = site.document("reconcile", "dispute", "1", "--amount", "0.35", "--memo", "See the file.", *files)
    assert (disputed["dispute"]["state"], disputed["dispute"]["amount"]) == ("open", "0.35")
    with (directory / "calls.csv").open() as calls:
        assert sorted(each["result"] for each in csv.DictReader(calls)) == ["missing_here", "unit_differs"]
    assert "We dispute **0.35" in (directory / "letter.md").read_text()
    assert "dispute: sent, 0.35" in site.vosd("reconcile", "dispute", "1", "--state", "sent").stdout
    emptied = site.document("reconcile", "dispute", "1", "--memo", "")
    assert (emptied["dispute"]["state"], emptied["dispute"]["memo"]) == ("sent", None)
    of_class = ("--class", "missing_here", "--calls", str(directory / "few.csv"))
    assert site.vosd("reconcile", "show", "1", *of_class).exit_code == 0
    assert len((directory / "few.csv").read_text().splitlines()) == 2
    assert (directory / "few.csv").stat().st_mode & 0o777 == 0o600
    full = site.vosd("reconcile", "show", "1", "--calls", "/dev/full")
    assert (full.exit_code, "/dev/full cannot be written: No space" in full.stderr) == (1, True)
    listed = site.vosd("reconcile", "list").stdout.splitlines()
    assert (len(listed), listed[1].split()[-1]) == (2, "sent")


def test_an_amount_above_the_disputable_one_is_said_and_one_above_the_bill_refused(site: Installation) -> None:
    directory = site.config.parent
    site.document("reconcile", "import", "vendor-1", str(directory / "bill.csv"), "--map", str(directory / "map.yaml"))
    refused = site.vosd("reconcile", "dispute", "1", "--amount", "3.6")
    assert (refused.exit_code, "--amount is 3.60: at most 0.67, for the vendor bills 0.67" in refused.stderr) == (
        2,
        True,
    )
    said = site.vosd("reconcile", "dispute", "1", "--amount", "0.5")
    assert "the amount of the dispute is more than is disputable: 0.36" in said.stderr
    assert "more than is disputable" not in site.vosd("reconcile", "dispute", "1", "--amount", "0.36").stderr


def test_an_amount_that_a_credit_note_rounds_up_is_not_said_to_be_more_than_is_disputable(site: Installation) -> None:
    bill = site.config.parent / "bill.csv"
    bill.write_text(bill.read_text().replace("0.07", "0.0705"))
    imported = site.document("reconcile", "import", "vendor-1", str(bill), "--map", str(bill.with_name("map.yaml")))
    assert imported["disputable"] == "0.3605"
    assert "more than is disputable" not in site.vosd("reconcile", "dispute", "1", "--amount", "0.37").stderr
    said = site.vosd("reconcile", "dispute", "1", "--amount", "0.38")
    assert "the amount of the dispute is more than is disputable: 0.37" in said.stderr


def test_a_prepayment_and_a_credit_note_of_a_vendor_are_entries_of_the_ledger_once(site: Installation) -> None:
    before = site.document("account", "show", "vendor-1")["balance"]
    for words in (
        ("--amount", "50", "--reference", "prepayment"),
        ("--amount", "0.35", "--type", "adjustment", "--reference", "credit-1"),
        ("--amount", "0.35", "--type", "adjustment", "--reference", "credit-1"),
        ("--amount", "-0.05", "--type", "adjustment", "--reference", "debit-1"),
    ):
        site.document("payment", "add", "--account", "vendor-1", *words)
    after = site.document("account", "show", "vendor-1")["balance"]
    assert Decimal(after) - Decimal(before) == Decimal("50.30")
    kinds = [each["kind"] for each in site.document("ledger", "list", "--account", "vendor-1")]
    assert sorted(kinds) == ["adjustment", "adjustment", "payment"]


def test_a_settled_dispute_books_nothing_unless_it_is_asked_for(site: Installation) -> None:
    directory = site.config.parent

    def disputed(name: str, *words: str) -> Any:
        (directory / name).write_text((directory / "bill.csv").read_text() + "\n" * len(name))
        said = ("reconcile", "import", "vendor-1", str(directory / name), "--map", str(directory / "map.yaml"))
        number = site.document(*said)["id"]
        return site.document("reconcile", "dispute", str(number), "--state", "settled", "--amount", "0.35", *words)

    before = Decimal(site.document("account", "show", "vendor-1")["balance"])
    assert disputed("nothing.csv")["dispute"]["booked"] is None
    assert Decimal(site.document("account", "show", "vendor-1")["balance"]) == before
    settled = disputed("credited.csv", "--book")
    assert (settled["dispute"]["booked"], settled["dispute"]["booked_as"]) == ("0.35", f"dispute/{settled['id']}")
    assert Decimal(site.document("account", "show", "vendor-1")["balance"]) == before + Decimal("0.35")


def test_a_partner_that_does_not_answer_is_said(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    text = site.config.read_text()
    entry = "{account: vendor-1, url: 'http://127.0.0.1:9/api/v1', their_account: us, token: t}"
    with_partner = site.config.parent / "partner.yaml"
    with_partner.write_text(f"{text}bilateral: [{entry}]\n")
    monkeypatch.setattr(site, "config", with_partner)
    said = site.vosd("reconcile", "partner", "vendor-1")
    assert (said.exit_code, "nothing was compared: " in said.stderr) == (1, True), said.output


def test_the_exit_code_says_whether_a_partner_has_the_same_calls(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = [PartnerOutcome("vendor-1")]

    async def compared(*_arguments: object) -> PartnerOutcome:
        return outcome[0]

    monkeypatch.setattr(bilateral, "compare_partner", compared)
    said = site.vosd("reconcile", "partner", "vendor-1")
    assert (said.exit_code, said.stdout) == (0, "both switches agree\n")
    assert site.document("reconcile", "partner", "vendor-1")["deviations"] == []
    found = FoundDeviation("we have sent 2 calls; they have 1", "09:00", "09:05", ("a",), ("b",), ("4420",))
    outcome[0] = PartnerOutcome("vendor-1", (found,))
    said = site.vosd("reconcile", "partner", "vendor-1")
    assert (said.exit_code, said.stdout) == (
        1, "09:00 to 09:05: we have sent 2 calls; they have 1\n  prefixes 4420; gateways a\n",
    )  # fmt: skip
    assert site.document("reconcile", "partner", "vendor-1", exit_code=1)["deviations"][0]["prefixes"] == ["4420"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("show", "9"), 1, "there is no reconciliation 9: vosd reconcile list has them"),
        (("import", "customer-1", "bill.csv", "--map", "map.yaml"), 2, "ACCOUNT is customer-1, which is no vendor"),
        (("import", "vendor-1", "bill.csv", "--map", "map.yaml", "--tolerance", "-1"), 2, "--tolerance must be"),
        (("partner", "vendor-1"), 2, "ACCOUNT is vendor-1, which is no partner: `bilateral` lists partners"),
    ],
    ids=["no such comparison", "no vendor", "tolerance below zero", "no partner"],
)
def test_what_makes_no_sense_is_said(
    site: Installation, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(site.config.parent)
    said = site.vosd("reconcile", *words)
    assert (said.exit_code, message in said.stderr) == (code, True), said.stderr
