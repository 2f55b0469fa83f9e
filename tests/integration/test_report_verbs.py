"""``vosd report``: rows of each report, totals, spreadsheets, what agents see, and the check of the sums."""

import csv
import io
import json
import re
import shutil
import subprocess
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.records import STARTED, answered_call, refused_call
from doubles.installation import Installation
from python_calamine import CalamineWorkbook

from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import DroppedPeriod
from vosd.cli import progress
from vosd.processes.life import NICENESS
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.ledger import SqlLedger
from vosd.storage.traffic import SqlTraffic
from vosd.traffic.reports import REPORTS
from vosd.wiring.configured_switch import ConfiguredSwitch

SPAN = ("--since", iso_utc(STARTED // 3_600_000 * 3_600_000), "--until", iso_utc(STARTED + 3_600_000))


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Installation:
    installation = Installation(tmp_path)
    shutil.copy(migrated, installation.database)
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1"}
    calls = [answered_call(number, **parties, fee=Decimal("0.10"), cost=Decimal("0.04")) for number in (1, 2, 3)]
    installation.book([*calls, answered_call(4, vendor_account="vendor-1", fee=Decimal("0.20")), refused_call(5)])
    assert installation.vosd("report", "rebuild").exit_code == 0
    return installation


def test_revenue_is_shown_by_account_with_totals(installation: Installation) -> None:
    sheet = installation.document("report", "revenue", *SPAN)
    (row,) = [row for row in sheet["rows"] if row["customer_account"] == "customer-1"]
    assert (row["calls"], row["answered"], row["fee"], row["cost"], row["profit"]) == (3, 3, "0.30", "0.12", "0.18")
    (total,) = sheet["totals"]
    assert (total["calls"], total["answered"], total["fee"]) == (5, 4, "0.50")
    assert sheet["missing"] == 0
    assert [column["name"] for column in sheet["columns"]] == [*row]


def test_columns_of_entries_that_were_dropped_are_named_with_why(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def dropped(*_: object) -> None:
        raise DroppedPeriod("ledger entries from before 2026-10-22 were dropped")

    monkeypatch.setattr(SqlLedger, "charged_beside_calls", dropped)
    said = "without minimum, corrections: ledger entries from before 2026-10-22 were dropped\n"
    for form in ((), ("--csv",)):
        shown = installation.vosd("report", "revenue", *SPAN, "--group", "whole", *form)
        assert shown.exit_code == 0
        assert shown.stderr.startswith(said)
    assert installation.document("report", "revenue", *SPAN)["without"] == said.removeprefix("without ").strip()
    printed = installation.vosd("report", "revenue", *SPAN, "--pdf", str(tmp_path / "revenue.pdf"))
    assert printed.exit_code == 0


def test_a_time_that_is_widened_to_quarters_of_an_hour_is_said(installation: Installation) -> None:
    words = ("report", "revenue", "--since", iso_utc(STARTED - 1), "--until", iso_utc(STARTED + 1))
    begin = STARTED // 900_000 * 900_000
    said = f"from {iso_utc(begin)} to {iso_utc(begin + 900_000)}: reports are of whole quarters of an hour\n"
    assert installation.vosd(*words).stderr == said
    exact = ("--since", iso_utc(begin), "--until", iso_utc(begin + 900_000))
    assert installation.vosd("report", "revenue", *exact).stderr == ""


def test_a_report_is_asked_for_in_one_form(installation: Installation, tmp_path: Path) -> None:
    page, sheet = tmp_path / "revenue.pdf", tmp_path / "revenue.xlsx"
    for forms in (("--csv", "--json"), ("--xlsx", str(sheet), "--pdf", str(page)), ("--csv-raw", "--xlsx", str(sheet))):
        refused = installation.vosd("report", "revenue", *SPAN, *forms)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "one of them" in refused.stderr
    assert [*tmp_path.glob("revenue.*")] == []


def test_all_reports_have_the_same_calls(installation: Installation) -> None:
    for name, report in REPORTS.items():
        sheet = installation.document("report", name, *SPAN, "--group", "whole")
        wanted = {"phones": 0, "agents": 0, "failures": 1}.get(name, 5)
        assert sum(total["calls"] for total in sheet["totals"]) == wanted, name
        assert all(column["meaning"] for column in sheet["columns"])
        assert installation.vosd("report", name, *SPAN).exit_code == 0, report.meaning


def test_five_minutes_and_prefixes_are_rows(installation: Installation) -> None:
    sheet = installation.document("report", "performance", *SPAN, "--group", "5min", "--vendor", "vendor-1")
    assert [(row["span"], row["calls"]) for row in sheet["rows"]] == [("2026-09-21T14:10+0000", 4)]
    printed = installation.vosd("report", "durations", *SPAN, "--callee-digits", "3", "--csv").stdout
    assert [(row["callee_prefix"], row["calls"]) for row in csv.DictReader(io.StringIO(printed))] == [("442", "5")]
    assert installation.vosd("report", "daily", *SPAN, "--callee-digits", "3").exit_code == 2
    gateways = installation.document("report", "routing-gateways", *SPAN)["rows"]
    assert {row["vendor_account"] for row in gateways if row["calls"]} >= {"vendor-1"}


def test_a_report_is_csv_for_programs_and_a_spreadsheet_for_people(installation: Installation, tmp_path: Path) -> None:
    printed = installation.vosd("report", "areas", *SPAN, "--csv").stdout
    rows = [*csv.DictReader(io.StringIO(printed))]
    assert [row["calls"] for row in rows if row["area"] == "United Kingdom London"] == ["4"]
    file = tmp_path / "areas.xlsx"
    assert installation.vosd("report", "areas", *SPAN, "--xlsx", str(file)).exit_code == 0
    page = CalamineWorkbook.from_path(str(file)).get_sheet_by_name("areas").to_python()
    header, *body = page
    london = next(row for row in body if row[1] == "United Kingdom London")
    assert dict(zip(header, london, strict=True))["fee"] == 0.5
    assert len(rows) > 1
    assert [row[0] for row in body[len(rows) :]] == ["total"], "the row behind those of the report is no destination"
    assert (
        installation.vosd("report", "areas", *SPAN, "--area", "United Kingdom London", "--xlsx", str(file)).exit_code
        == 0
    )
    alone = CalamineWorkbook.from_path(str(file)).get_sheet_by_name("areas").to_python()
    assert [row[1] for row in alone[1:]] == ["United Kingdom London"], "one row has no total"


def test_a_report_is_read_from_the_replica_behind_the_calls_of_a_switch(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replica has not got the latest calls: they are missing, and the report says so."""
    nicenesses: list[int] = []
    monkeypatch.setattr("os.setpriority", lambda _which, _who, niceness: nicenesses.append(niceness))
    copy = tmp_path / "copy.db"
    shutil.copy(installation.database, copy)
    installation.book([answered_call(number) for number in (7, 8)])
    assert installation.vosd("report", "rebuild").exit_code == 0
    written = installation.config.read_text()
    replica = f"database: {{replica: 'sqlite+aiosqlite:///{copy}', report_seconds: 7, "
    assert written.count("database: {") == 1
    installation.config.write_text(written.replace("database: {", replica))
    behind = installation.vosd("report", "daily", *SPAN, "--json")
    sheet = json.loads(behind.stdout)
    assert f"{sheet['missing']} calls are missing: the replica" in behind.stderr
    assert sum(row["calls"] for row in sheet["rows"]) == 5
    assert sheet["missing"] == sheet["missing_in_replica"] >= 2
    assert nicenesses[-1] == NICENESS
    installation.book([answered_call(9)])  # not added up, which is nothing to a report that reads the calls themselves
    read = installation.vosd("report", "durations", *SPAN, "--callee-digits", "5")
    assert "calls are missing: the replica" in read.stderr
    assert "rebuild" not in read.stderr
    assert installation.vosd("report", "rebuild").exit_code == 0
    copy.unlink()
    shown = installation.vosd("report", "daily", *SPAN, "--json")
    sheet = json.loads(shown.stdout)
    assert (sum(row["calls"] for row in sheet["rows"]), sheet["missing"]) == (8, 0)
    assert "the replica is away" in shown.stderr
    with closing(ConfiguredSwitch(installation.config)) as configured:
        assert configured.report_database == (f"sqlite+aiosqlite:///{copy}", 7)
    installation.config.write_text(written)
    with closing(ConfiguredSwitch(installation.config)) as configured:
        assert configured.report_database == (None, 60)


def test_a_planted_difference_is_found_and_mended(installation: Installation) -> None:
    assert installation.vosd("report", "verify", *SPAN).exit_code == 0
    installation.tamper("UPDATE traffic SET fee = fee + 1")
    found = installation.vosd("report", "verify", *SPAN)
    assert found.exit_code == 1
    assert "fee" in found.stdout
    assert "kind call, customer_account customer-1, " in found.stdout
    rebuilt = installation.vosd("report", "rebuild", *SPAN)
    assert (rebuilt.exit_code, rebuilt.stderr.count("done until")) == (0, 1)
    assert installation.vosd("report", "verify", *SPAN).exit_code == 0


def test_the_check_of_sums_says_how_far_it_is(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    checked = installation.vosd("report", "verify", *SPAN)
    assert checked.stdout == "all sums agree\n"
    assert re.search(r"^50%: \d+ hours, ", checked.stderr, re.MULTILINE)


def test_calls_that_are_not_added_up_yet_are_counted_by_the_check_and_added_by_the_rebuilding_of_their_time(
    installation: Installation,
) -> None:
    installation.book([answered_call(9)])
    checked = installation.vosd("report", "verify", *SPAN)
    assert (checked.exit_code, checked.stdout) == (0, "all sums agree\n")
    assert "1 calls of this time are not compared: they are not added up yet; vosd report rebuild" in checked.stderr
    assert installation.vosd("report", "rebuild", *SPAN).exit_code == 0
    sheet = installation.document("report", "daily", *SPAN)
    assert (sum(row["calls"] for row in sheet["rows"]), sheet["missing"]) == (6, 0)
    assert "not compared" not in installation.vosd("report", "verify", *SPAN).stderr


def test_the_first_rebuilding_says_once_how_many_calls_were_added(tmp_path: Path, migrated: Path) -> None:
    """It adds up the days since then, too, of which each is a step."""
    installation = Installation(tmp_path)
    shutil.copy(migrated, installation.database)
    installation.book([answered_call(number) for number in (1, 2)])
    assert installation.vosd("report", "rebuild").stderr == "2 calls added\n"


def test_an_empty_report_says_that_none_of_the_calls_belongs_to_it(installation: Installation) -> None:
    asked = ("report", "failures", *SPAN, "--vendor", "vendor-1")
    assert installation.vosd(*asked).stdout == "no call of that time belongs to this report\n"
    installation.book([answered_call(9)])
    found = installation.vosd(*asked)
    assert found.stdout == "no call of that time that is added up belongs to this report\n"
    assert "calls are missing: they are not added up yet" in found.stderr


def test_a_time_is_made_anew_though_calls_cannot_be_added_and_their_number_is_said(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum that is too large for its column keeps the calls out that follow, of any time."""
    installation.tamper("UPDATE traffic SET fee = fee + 1")
    installation.book([answered_call(number) for number in (7, 8)])
    asked: list[int] = []

    async def too_large(traffic: SqlTraffic) -> int:
        asked.append(1)
        raise ContentRefused("Out of range value for column 'fee'")

    with monkeypatch.context() as patched:
        patched.setattr(SqlTraffic, "advance", too_large)
        assert "Out of range" in installation.vosd("report", "rebuild").stderr
        rebuilt = installation.vosd("report", "rebuild", *SPAN)
        assert (rebuilt.exit_code, len(asked)) == (1, 3)
        assert "done until" in rebuilt.stderr
        assert "2 calls could not be added: Out of range value for column 'fee'" in rebuilt.stderr
    verified = installation.vosd("report", "verify", *SPAN)
    assert (verified.exit_code, verified.stdout) == (0, "all sums agree\n")
    add, refused = SqlTraffic.advance, [True]

    async def too_large_at_first(traffic: SqlTraffic) -> int:
        if refused and refused.pop():
            raise ContentRefused("Out of range value for column 'fee'")
        return await add(traffic)

    monkeypatch.setattr(SqlTraffic, "advance", too_large_at_first)
    assert installation.vosd("report", "rebuild", *SPAN).exit_code == 0
    sheet = installation.document("report", "daily", *SPAN)
    assert (sum(row["calls"] for row in sheet["rows"]), sheet["missing"]) == (7, 0)


def test_what_was_rebuilt_is_one_json_document(installation: Installation) -> None:
    done = installation.document("report", "rebuild", *SPAN)
    assert done == {"done_until": iso_utc(STARTED // 3_600_000 * 3_600_000 + 4_500_000)}, "the last quarter is counted"
    assert installation.document("report", "rebuild") == {"calls_added": 0}


def test_a_month_is_checked_and_closed_and_its_page_is_shown_again(installation: Installation, tmp_path: Path) -> None:
    installation.config.write_text(f"{installation.config.read_text()}state_dir: {tmp_path}/var\n")
    checked = installation.vosd("month", "close", "2026-09", "--dry-run")
    assert (checked.exit_code, "vendor_unmatched" in checked.stdout) == (1, True)
    assert installation.vosd("month", "close", "2026-09", "--yes").exit_code == 1
    assert not (tmp_path / "var" / "months").exists()
    passed = ("--despite", "vendor_unmatched", "--reason", "no file yet", "--yes")
    closed = installation.vosd("month", "close", "2026-09", *passed)
    assert (closed.exit_code, closed.stdout.startswith("# Month 2026-09\n")) == (0, True)
    for line in closed.stdout.splitlines():  # each proof but the last is a command of ours
        if line.startswith("vosd "):
            assert installation.vosd(*line.split()[1:]).exit_code == 0, line
    (directory,) = (tmp_path / "var" / "months").iterdir()
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=directory, check=True, capture_output=True, text=True)
    assert sums.stdout.count(": OK") == 6
    again = installation.document("month", "close", "2026-09", "--yes")
    page = again["page"]
    assert (again["repeated"], page["reason"], page["calls"]) == (True, "no file yet", 5)
    (total,) = installation.document("report", "revenue", *SPAN, "--group", "whole")["totals"]
    (money,) = page["money"]
    assert [total[name] for name in ("fee", "tax", "cost")] == [money[name] for name in ("fee", "tax", "cost")]
    (balances,) = page["balances"]
    shown = installation.document("ledger", "balances", "--at", page["until"])["accounts"]
    assert sum(Decimal(each["balance"]) for each in shown) == Decimal(balances["closing"])


def test_wrong_usage_says_what_is_expected(installation: Installation) -> None:
    assert installation.vosd("report", "nothing").exit_code == 2
    assert installation.vosd("report", "rebuild", "--since", "8h").exit_code == 2
    refused = installation.vosd("report", "daily", "--since", "2026-09-02T00:00:00Z", "--until", "2026-09-01T00:00:00Z")
    assert (refused.exit_code, "ends before it begins" in refused.stderr) == (1, True)
