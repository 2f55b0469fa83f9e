"""``vosd rates import`` of sheets in a vendor's layout: saved layouts, partial sheets, the whole difference, notice."""

import csv
import json
import subprocess
from decimal import Decimal
from typing import Any

import click.testing
import pytest
from doubles.deck_site import Site
from doubles.workbook import xlsx

from vosd.cli.main import main

MAP = """columns: {prefix: Code, area: Destination, billing_rate: Rate}
status: {column: Change, close: [Blocked], remove: [Deleted], keep: [New]}
decimal: ","
"""
SHEET = "Code;Destination;Rate;Change;Comment\n44;UK;0,012;New;\n4470;UK Personal;NA;;x\n+33;France;0,01;;\n"


@pytest.fixture(autouse=True)
def _keeps_priority(monkeypatch) -> None:
    monkeypatch.setattr("os.setpriority", lambda *_: None)


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


def test_a_layout_is_saved_with_an_import_and_found_again_by_the_header(site):
    sheet = site.write(SHEET)
    site.run("import", "acme", sheet, "--map", site.write(MAP, "acme.yaml"))
    assert "4470" in site.exported()
    again = site.write(SHEET.replace("0,012", "0,013"))
    text = site.run("import", "acme", again, "--dry-run")
    assert "read by the layout that was saved from acme.yaml\n" in text
    assert "assumed: line 3, Rate 'NA': no price, so the prefix is closed\n" in text
    assert "assumed: line 4, Code '+33': the code behind the plus sign\n" in text
    assert "columns that are not read: Comment\n" in text
    assert "up: 44 0.012 to 0.013\n" in text
    made = site.ask("import", "acme", again)
    assert (made["version"], made["layout"], made["unread_columns"]) == (2, "acme.yaml", ["Comment"])
    assert made["assumed"][0] == {
        "line": 3, "column": "Rate", "value": "NA", "meaning": "no price, so the prefix is closed",
    }  # fmt: skip
    site.run("rollback", "acme")
    assert site.ask("import", "acme", again)["layout"] == "acme.yaml"


def test_a_sheet_whose_header_has_changed_is_refused_with_the_difference(site):
    site.run("import", "acme", site.write(SHEET), "--map", site.write(MAP, "acme.yaml"))
    text = site.run("import", "acme", site.write(SHEET.replace("Comment", "Valid from")), code=1)
    assert "not that of the layout that was saved from acme.yaml (without 'comment'; with 'valid from')" in text
    assert len(site.ask("versions", "acme")) == 1


def test_a_workbook_that_is_read_by_a_saved_layout_is_parsed_once(site, monkeypatch):
    rows = [line.split(";") for line in SHEET.splitlines()]
    site.run("import", "acme", site.write(SHEET), "--map", site.write(MAP, "acme.yaml"))
    opened = []

    class Counted(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **options: Any) -> None:
            opened.append(words)
            super().__init__(*words, **options)

    monkeypatch.setattr(subprocess, "Popen", Counted)
    file = xlsx(site.directory / "again.xlsx", [*rows, ["49", "Germany", "0,02", "New", ""]])
    made = site.ask("import", "acme", str(file))
    assert (made["version"], made["layout"], made["rates"]) == (2, "acme.yaml", 4)
    assert len(opened) == 1


def test_codes_with_the_international_prefix_are_a_warning_with_their_number_and_the_first_ones(site):
    codes = [f"00{code}" for code in range(30, 42)]
    sheet = site.write("prefix,billing_rate\n44,0.01\n" + "".join(f"{code},0.02\n" for code in codes))
    text = site.run("import", "acme", sheet, "--dry-run")
    assert (
        "warning: 12 prefixes begin with 00 and price no number in international form (E.164): 0030, 0031, 0032, 0033, "
        "0034, 0035, 0036, 0037, 0038, 0039 and 2 more; import the codes without 00\n"
    ) in text
    made = site.ask("import", "acme", sheet)
    assert (made["dialled_prefixes"], made["dialled_examples"]) == (12, codes[:10])
    assert "begin with 00" not in site.run("import", "acme", site.write("prefix,billing_rate\n44,0.01\n"), "--dry-run")


def test_rates_by_which_calls_cost_nothing_are_listed(site):
    """A vendor that writes 0 for what it does not offer would be the cheapest one."""
    codes = [f"4{code}" for code in range(40, 52)]
    sheet = site.write(
        "prefix,billing_rate,connection_fee,first_rate,first_duration\n44,0.01,,,\n45,0.00,0.02,,\n46,0,,0.1,60\n47,,,,\n"
        + "".join(f"{code},0.000,,,\n" for code in codes)
    )
    text = site.run("import", "acme", sheet, "--dry-run")
    assert f"rates with a price of 0, by which calls cost nothing: {', '.join(codes[:10])} and 2 more\n" in text
    made = site.ask("import", "acme", sheet)
    assert (made["free_rates"], made["free_examples"]) == (12, codes[:10])
    assert "price of 0" not in site.run("import", "acme", site.write("prefix,billing_rate\n44,0.01\n"), "--dry-run")


def test_a_trial_saves_no_layout(site):
    site.run("import", "acme", site.write(SHEET), "--map", site.write(MAP, "acme.yaml"), "--dry-run")
    assert "a known column" in site.run("import", "acme", site.write(SHEET), code=1)


def test_a_partial_sheet_leaves_the_values_of_the_columns_that_it_does_not_have(site):
    site.run("import", "acme", site.write("prefix,billing_rate,interval,area,tax_rate\n44,0.01,30/6,UK,19\n45,1,,,\n"))
    site.run("import", "acme", site.write("prefix,billing_rate\n44,0.02\n46,0.03\n"), "--mode", "delta")
    assert site.ask("lookup", "acme", "44")["rate"] == {
        "prefix": "44", "billing_rate": "0.02", "area": "UK", "interval": "30/6", "tax_rate": "19",
    }  # fmt: skip
    site.run("import", "acme", site.write("prefix,billing_rate,billing_cycle\n44,0.02,60\n"), "--mode", "delta")
    rate = site.ask("lookup", "acme", "44")["rate"]
    assert (rate["billing_cycle"], rate.get("interval"), rate["tax_rate"]) == (60, None, "19")
    site.run("import", "acme", site.write("prefix,billing_rate,area\n44,0.02,\n"), "--mode", "delta")
    assert "area" not in site.ask("lookup", "acme", "44")["rate"]  # the sheet says that there is none


def test_a_status_takes_prefixes_out_of_a_partial_sheet_on_their_date(site):
    site.run("import", "acme", site.write("prefix,billing_rate\n44,0.01\n4470,0.02\n4471,0.03\n"))
    keys = MAP.replace("billing_rate: Rate}", "billing_rate: Rate, effective_from: Date}")
    sheet = "Code;Destination;Rate;Change;Date\n4470;;;Deleted;2126-11-25\n4471;;;deleted;\n4472;;;Deleted;\n"
    words = ("import", "acme", site.write(sheet), "--map", site.write(keys, "acme.yaml"), "--mode", "delta", "--force")
    text = site.run(*words)
    assert "closed: 4470 0.02 to 0.01 of 44 from 2126-11-2" in text
    assert ", 4471 0.03 to 0.01 of 44\n" in text
    assert [line.split(",")[0] for line in site.exported().splitlines()[1:]] == ["44", "4470"]
    assert site.ask("lookup", "acme", "4470")["rate"]["billing_rate"] == "0.02"
    assert site.ask("lookup", "acme", "4470", "--at", "2126-11-27T00:00:00Z")["rate"]["billing_rate"] == "0.01"


def test_the_whole_difference_goes_to_a_file(site):
    old = "".join(f"{number},0.01,60/60\n" for number in range(1_000, 1_300))
    site.run("import", "acme", site.write(f"prefix,billing_rate,interval\n{old}"))
    new = "".join(f"{number},0.02,60/60\n" for number in range(1_000, 1_300))
    sheet = site.write(f"prefix,billing_rate,interval\n{new.replace('1299,0.02,60/60', '12990,0.1,1/1')}10,0.3,1/1\n")
    changes = site.directory / "changes.csv"
    text = site.run("import", "acme", sheet, "--dry-run", "--changes", str(changes))
    assert "and 289 more\n" in text
    with changes.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 302
    closed = next(row for row in rows if row["prefix"] == "1299")
    assert (closed["change"], closed["price_before"], closed["price_then"], closed["prefix_then"]) == (
        "closed", "0.01", "", "",
    )  # fmt: skip
    assert {(row["change"], row["price_before"], row["price_after"]) for row in rows} == {
        ("up", "0.01", "0.02"), ("closed", "0.01", ""), ("new", "", "0.1"), ("new", "", "0.3"),
    }  # fmt: skip
    assert {(row["change"], row["interval_before"], row["interval_after"]) for row in rows} == {
        ("up", "60/60", "60/60"), ("closed", "60/60", ""), ("new", "", "1/1"),
    }  # fmt: skip


def test_increases_with_less_than_the_notice_of_the_vendor_are_listed(site):
    text = site.config.read_text()
    site.config.write_text(text.replace("{name: acme, deck: true}", "{name: acme, deck: true, notice_days: 7}"))
    site.run("import", "acme", site.write("prefix,billing_rate\n1,0.01\n2,0.01\n3,0.01\n4,0.01\n"))
    sheet = site.write("prefix,billing_rate,effective_from\n1,0.02,\n2,0.02,2126-11-25T00:00:00Z\n3,0.005,\n4,0.01,\n")
    shown = site.run("import", "acme", sheet, "--dry-run")
    assert "increases with less than 7 days' notice: 1 0.01 to 0.02\n" in shown
    tried = site.ask("import", "acme", sheet, "--dry-run")
    assert (tried["notice_days"], tried["short_notice"], tried["short_examples"][0]["prefix"]) == (7, 1, "1")


def test_a_rise_to_come_that_is_brought_forward_or_put_off_is_told(site):
    text = site.config.read_text()
    site.config.write_text(text.replace("{name: acme, deck: true}", "{name: acme, deck: true, notice_days: 7}"))
    now, rise = "prefix,billing_rate\n44,0.01\n49,0.03\n", "prefix,billing_rate\n44,0.05\n49,0.03\n"
    site.run("import", "acme", site.write(now))
    site.run("import", "acme", site.write(rise), "--effective", "2126-12-20T00:00:00Z")
    forward = site.run(
        "import", "acme", site.write(rise), "--dry-run", "--changes", str(site.directory / "changes.csv")
    )
    assert "1 up, 0 down, 0 changed, 1 unchanged" in forward
    assert "up: 44 0.01 to 0.05 instead of 0.05 from 2126-12-20T00:00:00Z\n" in forward
    assert "increases with less than 7 days' notice: 44 0.01 to 0.05\n" in forward
    with (site.directory / "changes.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["price_before"], row["planned_price"], row["planned_begins"]) == (
        "0.01", "0.05", "2126-12-20T00:00:00.000Z",
    )  # fmt: skip
    later = site.write(rise)
    asked = site.run("import", "acme", later, "--effective", "2127-01-15T00:00:00Z")
    told = (
        "rates that the deck has from an earlier date already, and that begin then: 44 0.05 from 2126-12-20T00:00:00Z\n"
    )
    assert asked.endswith(f"{told}version 2 has these rates already: nothing was imported\n")
    both = "prefix,billing_rate,effective_from\n44,0.01,\n44,0.05,2127-01-15T00:00:00Z\n49,0.03,\n"
    moved = site.run("import", "acme", site.write(both))
    assert "changed: 44 0.05 from 2127-01-15T00:00:00Z instead of 0.05 from 2126-12-20T00:00:00Z\n" in moved
    assert "notice" not in moved
    for at, price in (("2127-01-14T00:00:00Z", "0.01"), ("2127-01-16T00:00:00Z", "0.05")):
        assert site.ask("lookup", "acme", "44", "--at", at)["rate"]["billing_rate"] == price


def test_many_mistakes_of_a_sheet_do_not_fill_the_screen(site):
    sheet = site.write("prefix,billing_rate\n" + "".join(f"{number},x\n" for number in range(1, 2_196)))
    text = site.run("import", "acme", sheet, "--dry-run", code=1)
    assert len(text.splitlines()) < 20
    assert "and 2185 more rows with mistakes: --json names the first thousand\n" in text


MINUTE = "prices are of a minute: 44 at 0.0050 is 0.005 a minute\n"
CYCLE = "prices are of a billing cycle, here 6 s: 44 at 0.0050 is 0.05 a minute\n"
PRECISE = "parameters: {SERVER_BILLING_FEE_PRECISTION: 4, SERVER_BILLING_FEE_UNIT: '0.0001'}\n"


@pytest.mark.parametrize(
    ("settings", "group", "said", "minute"),
    [
        ("", "", MINUTE, "0.005"),
        ("", ", price_per: cycle", CYCLE, "0.05"),
        ("preset: vos3000\n", "", CYCLE, "0.05"),
        ("preset: vos3000\n", ", price_per: minute", MINUTE, "0.005"),
    ],
)
def test_an_import_says_by_which_time_prices_are_read_and_what_a_minute_costs(site, settings, group, said, minute):
    text = site.config.read_text().replace("deck: true}", f"deck: true{group}}}")
    accounts = "accounts: [{id: north, rate_group: acme, overdraft_limit: 5}]\n"
    site.config.write_text(settings + PRECISE + text + accounts)
    sheet = site.write("Rate Prefix,Billing Rate,Billing Cycle\n1,,6\n44,0.0050,6\n")
    assert said in site.run("import", "acme", sheet, "--dry-run")
    made = site.ask("import", "acme", sheet)
    assert (made["example"]["prefix"], made["example"]["minute"]) == ("44", minute)
    words = ("rate", "explain", "--account", "north", "--callee", "4420", "--duration", "60", "--json")
    priced = click.testing.CliRunner().invoke(main, ["-c", str(site.config), *words])
    assert priced.exit_code == 0, priced.output
    assert Decimal(json.loads(priced.stdout)["fee"]) == Decimal(minute)
