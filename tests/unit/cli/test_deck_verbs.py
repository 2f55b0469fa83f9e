"""``vosd rates``: import, versions, roll back, look up, export, on a database of its own; no switch runs."""

import asyncio
import json
import os
import time

import click.testing
import pytest
from doubles.data.records import answered_call
from doubles.deck_site import Site
from msgspec.structs import replace

from vosd.cdr.record import CallRecord
from vosd.cli.main import main
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

SHEET = """prefix,area,billing_rate,interval,effective_from
*,Rest,0.15,60/60,
44,United Kingdom,0.0120,30/6,
4420,"London, City",0.010,1/1,
4479,Closed,,,
49,Germany,0.005,1/1,2026-01-01T00:00:00+01:00
"""


@pytest.fixture(autouse=True)
def priority(monkeypatch) -> list[int]:
    """Keep the priority of the tests, and return what it was set to."""
    wanted: list[int] = []
    monkeypatch.setattr("os.setpriority", lambda _which, _who, niceness: wanted.append(niceness))
    return wanted


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


def test_an_import_makes_a_version_and_an_export_has_its_rates(site):
    made = site.ask("import", "acme", site.write(SHEET), "--memo", "first", "--operator", "ann")
    assert (made["version"], made["replaced"], made["rates"], made["dry_run"]) == (1, None, 5, False)
    assert made["changes"] == {"new": 4, "up": 0, "down": 0, "changed": 0, "unchanged": 0, "closed": 1, "opened": 0}
    assert [each["prefix"] for each in made["examples"]["new"]] == ["*", "44", "4420", "49"]
    header, *lines = site.exported().splitlines()
    assert header.startswith("prefix,effective_from,effective_to,locked,billing_rate,area,")
    assert lines[1].startswith("44,,,,0.0120,United Kingdom,")
    assert lines[2].startswith('4420,,,,0.010,"London, City",')
    assert lines[3].startswith("4479,,,yes,0,Closed,")
    assert lines[4].startswith("49,2025-12-31T23:00:00.000Z,,,0.005,Germany,")
    (version,) = site.ask("versions", "acme")
    assert (version["version"], version["operator"], version["memo"], version["mode"]) == (1, "ann", "first", "full")


def test_an_import_gives_way_to_calls(site, priority):
    site.run("import", "acme", site.write(SHEET))
    assert priority
    assert min(priority) >= 10


WITH_ACCOUNT = "accounts: [{id: north, rate_group: acme, overdraft_limit: 5}]\n"


def explained(site: Site, code: int = 0) -> str:
    words = ("rate", "explain", "--account", "north", "--callee", "4420", "--duration", "60", "--json")
    result = click.testing.CliRunner().invoke(main, ["-c", str(site.config), *words])
    assert result.exit_code == code, result.output
    return str(json.loads(result.stdout)["fee"]) if code == 0 else result.output


@pytest.mark.parametrize("has_state_dir", [True, False])
def test_verbs_use_the_deck_in_force_without_a_running_switch(site, has_state_dir):
    if has_state_dir:
        (site.directory / "state").mkdir()
    site.config.write_text(site.config.read_text() + WITH_ACCOUNT)
    check = ["-c", str(site.config), "check", "--json"]
    assert "vosd rates import" in click.testing.CliRunner().invoke(main, check).stdout
    site.run("import", "acme", site.write(SHEET))
    assert explained(site) == "0.01"
    assert "vosd rates import" not in click.testing.CliRunner().invoke(main, check).stdout
    site.run("import", "acme", site.write(SHEET.replace("0.010", "0.03")))
    assert explained(site) == "0.03"
    rerate = ["-c", str(site.config), "rerate", "--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02T00:00:00Z"]
    assert click.testing.CliRunner().invoke(main, rerate).exit_code == 0
    assert (site.directory / "state").exists() is has_state_dir


def test_without_its_database_a_verb_uses_what_the_switch_read_last_and_says_so(site):
    (site.directory / "state").mkdir()
    site.config.write_text(site.config.read_text() + WITH_ACCOUNT)
    (site.directory / "vosd.db").unlink()
    assert "as the switch read it last" in explained(site, code=1)


PARTNER = """accounts: [{id: peer, type: partner, rate_group: PAYS, overdraft_limit: 500}]
mapping_gateways: [{name: peer-in, account: peer, hosts: [192.0.2.5]}]
routing_gateways: [{name: peer-out, account: peer, rate_group: PAID, address: 192.0.2.5, prefixes: ["44"]}]
"""


@pytest.mark.parametrize(
    ("pays", "paid", "costs", "change"),
    [("plain", "acme", ("0.60", "1.20"), "-0.60"), ("acme", "plain", ("0.00", "0.00"), "0.00")],
)
def test_a_trial_takes_the_calls_that_vendors_were_paid_for_by_the_deck(site, pays, paid, costs, change):
    """What a partner is paid by is on its gateway; the rate group of its account is what it pays."""
    site.config.write_text(site.config.read_text() + PARTNER.replace("PAYS", pays).replace("PAID", paid))
    site.run("import", "acme", site.write("prefix,billing_rate\n44,0.60\n"))
    at = time.time_ns() // 1_000_000 - 3_600_000
    times = {"started_at": at, "answered_at": at, "vendor_answered_at": at, "ended_at": at + 60_000}
    call = answered_call(1, vendor_account="peer", routing_gateway="peer-out", rate_group="retail", **times)
    customer, vendor = call.charges
    asyncio.run(book(site, replace(call, charges=(customer, replace(vendor, rate_group=paid)))))
    dearer = site.write("prefix,billing_rate\n44,1.20\n")
    margin = site.ask("import", "acme", dearer, "--dry-run", "--traffic", "1")["margin"]
    assert (margin["cost_before"], margin["cost_after"]) == costs
    assert (margin["fee_before"], margin["fee_after"], margin["change"]) == ("0.00", "0.00", change)


def test_a_trial_rates_the_calls_that_are_sold_by_groups_derived_from_the_deck(site):
    """A dearer vendor is a gain where customers pay its prices and a share."""
    groups = "rate_groups:\n  - {name: resale, derive: {from: acme, factor: 1.15}}\n"
    site.config.write_text(site.config.read_text().replace("rate_groups:\n", groups))
    site.run("import", "acme", site.write("prefix,billing_rate\n44,1.00\n"))
    have_sold(site, "resale", bought_by="acme")
    dearer = site.write("prefix,billing_rate\n44,1.10\n")
    margin = site.ask("import", "acme", dearer, "--dry-run", "--traffic", "1")["margin"]
    assert (margin["cost_before"], margin["cost_after"]) == ("1.00", "1.10")
    assert (margin["fee_before"], margin["fee_after"], margin["change"]) == ("1.15", "1.265", "0.015")


def test_a_trial_of_a_derived_group_rates_what_its_deck_leaves_out_by_its_base(site):
    groups = "rate_groups:\n  - {name: resale, deck: true, derive: {from: acme, factor: 1.15}}\n"
    site.config.write_text(
        site.config.read_text().replace("rate_groups:\n", groups)
        + WITH_ACCOUNT.replace("rate_group: acme", "rate_group: resale")
    )
    site.run("import", "acme", site.write("prefix,billing_rate\n44,1.00\n"))
    site.run("import", "resale", site.write("prefix,billing_rate\n4420,0.70\n4421,0.70\n"))
    have_sold(site, "resale", bought_by="acme")
    rest = site.write("prefix,billing_rate\n4421,0.70\n")
    margin = site.ask("import", "resale", rest, "--dry-run", "--traffic", "1", "--force")["margin"]
    assert (margin["fee_before"], margin["fee_after"], margin["change"]) == ("0.70", "1.15", "0.45")


def have_sold(site: Site, rate_group: str, bought_by: str) -> None:
    """Book a call of an hour ago and 60 s, sold by one rate group and bought by another one."""
    at = time.time_ns() // 1_000_000 - 3_600_000
    times = {"started_at": at, "answered_at": at, "vendor_answered_at": at, "ended_at": at + 60_000}
    call = answered_call(1, rate_group=rate_group, **times)
    customer, vendor = call.charges
    charges = replace(customer, rate_group=rate_group), replace(vendor, rate_group=bought_by)
    asyncio.run(book(site, replace(call, charges=charges)))


async def book(site: Site, record: CallRecord) -> None:
    database = Database(f"sqlite+aiosqlite:///{site.directory}/vosd.db")
    await SqlBooks(database).book([record])
    await database.close()


def test_earlier_days_are_rated_by_the_present_version_whatever_they_had_then(site):
    """A price without a begin holds for the past too; the version of then, exported, has what held."""
    site.config.write_text(site.config.read_text() + WITH_ACCOUNT)
    site.run("import", "acme", site.write("prefix,billing_rate\n44,0.60\n"))
    then = site.ask("versions", "acme")[0]["made_at"]
    site.run("import", "acme", site.write("prefix,billing_rate\n44,0.90\n"))
    assert site.ask("lookup", "acme", "44", "--at", then)["rate"]["billing_rate"] == "0.60"
    assert priced(site, then) == "0.90"
    later = ("2126-01-01T00:00:00Z", "2126-02-01T00:00:00Z")
    site.run("import", "acme", site.write("prefix,billing_rate\n44,1.20\n"), "--effective", later[0])
    assert [priced(site, at) for at in (then, *later)] == ["0.90", "1.20", "1.20"]  # 0.90 stays until then
    site.exported("--version", "1")
    site.config.write_text(site.config.read_text().replace("deck: true", "rates_file: out.csv"))
    assert [priced(site, at) for at in (then, *later)] == ["0.60"] * 3


def priced(site: Site, at: str) -> str:
    """Return the price of a minute by the version in force, as rating again has it."""
    words = ("rate", "explain", "--account", "north", "--callee", "4420", "--duration", "60", "--at", at, "--json")
    result = click.testing.CliRunner().invoke(main, ["-c", str(site.config), *words])
    assert result.exit_code == 0, result.output
    return str(json.loads(result.stdout)["steps"][0]["billing_rate"])


def test_a_trial_changes_nothing(site):
    tried = site.ask("import", "acme", site.write(SHEET), "--dry-run")
    assert (tried["version"], tried["dry_run"], tried["changes"]["new"]) == (None, True, 4)
    assert site.ask("versions", "acme") == []


def test_a_trial_of_a_deck_dated_ahead_says_from_when_its_numbers_fall_to_a_shorter_prefix(site):
    site.run("import", "acme", site.write(SHEET))
    without = site.write("prefix,billing_rate,interval\n*,0.15,60/60\n44,0.0120,30/6\n49,0.005,1/1\n")
    text = site.run("import", "acme", without, "--dry-run", "--effective", "2099-11-25T00:00:00Z")
    assert "closed: 4420 0.010 to 0.0120 of 44 from 2099-11-25T00:00:00Z\n" in text
    assert "opened again: 4479 closed to 0.0120 of 44 from 2099-11-25T00:00:00Z\n" in text
    made = site.ask("import", "acme", without, "--dry-run", "--effective", "2099-11-25T00:00:00Z")
    (closed,) = made["examples"]["closed"]
    assert (closed["prefix"], closed["fallback"], closed["begins"]) == (
        "4420", {"prefix": "44", "price": "0.0120"}, "2099-11-25T00:00:00.000Z",
    )  # fmt: skip


def test_a_trial_says_which_prefixes_a_full_deck_opens_again_and_which_fall_to_a_shorter_one(site):
    site.run("import", "acme", site.write(SHEET))
    without = site.write("prefix,billing_rate,interval\n*,0.15,60/60\n44,0.0120,1/1\n49,0.006,1/1\n")
    text = site.run("import", "acme", without, "--dry-run")
    assert "prefixes: 0 new, 1 up, 0 down, 2 changed, 0 unchanged, 1 closed, 1 opened again; 3 rates\n" in text
    assert "up: 49 0.005 to 0.006 (area Germany to none)\n" in text
    assert "44 0.0120 (area United Kingdom to none, interval 30/6 to 1/1)\n" in text
    assert "closed: 4420 0.010 to 0.0120 of 44\n" in text
    assert "opened again: 4479 closed to 0.0120 of 44\n" in text
    assert (
        "not in the file: 2 whose calls then have the rate of a shorter prefix, 0 whose calls then have no rate" in text
    )
    made = site.ask("import", "acme", without)
    assert (made["changes"]["opened"], made["fallen"], made["unrated"]) == (1, 2, 0)
    assert made["examples"]["opened"][0]["fallback"] == {"prefix": "44", "price": "0.0120"}
    assert site.ask("lookup", "acme", "4479")["rate"]["prefix"] == "44"
    assert site.ask("versions", "acme")[0]["changes"]["opened"] == 1
    assert "taken out, closed ones too" in " ".join(site.run("import", "--help").split())


def test_a_check_names_the_deck_whose_rates_it_warns_of(site):
    site.config.write_text(site.config.read_text() + WITH_ACCOUNT)
    site.run("import", "acme", site.write(SHEET.replace("0.0120", "0.00001234")))
    check = click.testing.CliRunner().invoke(main, ["-c", str(site.config), "check", "--json"])
    found = [each for each in json.loads(check.stdout) if each["key"].endswith("rates[44].billing_rate")]
    assert found
    assert {(each["file"], each["line"]) for each in found} == {("deck acme (version 1) in the database", 3)}
    assert site.exported().splitlines()[2].startswith("44,")


def test_one_bad_row_is_enough_to_import_nothing(site):
    site.run("import", "acme", site.write(SHEET))
    refused = site.ask(
        "import", "acme", site.write(SHEET.replace("0.0120", "0,012").replace("*,Rest", "**,Rest")), code=1
    )
    assert refused["version"] is None
    assert refused["invalid_rows"] == 2
    assert [(each["line"], each["column"], each["value"]) for each in refused["invalid"]] == [
        (2, "prefix", "**"),
        (3, "", None),
    ]
    assert len(site.ask("versions", "acme")) == 1
    text = site.run("import", "acme", site.write("prefix,billing_rate\n44,1e5\n"), "--dry-run", code=1)
    assert "rates.csv:2: billing_rate: value '1e5': expected an amount" in text


def test_a_rollback_is_a_new_version_with_old_rates(site):
    site.run("import", "acme", site.write(SHEET))
    first = site.exported()
    site.run("import", "acme", site.write(SHEET.replace("0.0120", "0.0130")))
    assert site.exported() != first
    back = site.ask("rollback", "acme", "--memo", "too dear")
    assert (back["version"], back["content"], back["mode"], back["replaced"]) == (3, 1, "rollback", 2)
    assert site.exported() == first
    assert site.exported("--version", "2") != first
    assert [each["version"] for each in site.ask("versions", "acme")] == [3, 2, 1]
    assert "in force already" in site.run("rollback", "acme", "--to", "1", code=1)
    assert "no version 9" in site.run("rollback", "acme", "--to", "9", code=1)
    assert "would be taken out" in (said := site.run("rollback", "acme", "--to", "0", code=1))
    assert "say --force" in said
    assert site.exported() == first
    assert site.ask("rollback", "acme", "--to", "0", "--force")["rates"] == 0


def test_a_rollback_takes_back_the_map_as_well(site):
    def map_with(date_format: str) -> str:
        columns = "columns: {prefix: Code, billing_rate: Rate, effective_from: Date}"
        return site.write(f'{columns}\ndate_format: "{date_format}"\n', f"{date_format[1]}.yaml")

    sheet = site.write("Code,Rate,Date\n44,0.05,01/12/2025\n", "dated.csv")
    right, wrong = map_with("%d/%m/%Y"), map_with("%m/%d/%Y")
    site.run("import", "acme", site.write("prefix,billing_rate\n44,0.01\n"))
    site.run("import", "acme", sheet, "--map", wrong)
    site.run("rollback", "acme")
    site.run("import", "acme", sheet, code=1)
    site.run("import", "acme", sheet, "--map", right)
    site.run("import", "acme", sheet, "--map", wrong)
    site.run("rollback", "acme", "--to", "4")
    assert site.ask("import", "acme", sheet, "--dry-run")["layout"] == "d.yaml"
    site.run("rollback", "acme", "--to", "5")
    assert site.ask("import", "acme", sheet, "--dry-run")["layout"] == "m.yaml"


def test_the_rate_of_a_number_has_amounts_and_seconds_as_explained_calls_have_them(site):
    columns = "prefix,billing_rate,billing_cycle,first_rate,first_duration,connection_fee,minimum_charge,tax_rate"
    site.run("import", "acme", site.write(f"{columns}\n44,0.0120,6,0.100,60,1,0.2,10.0\n"))
    assert site.ask("lookup", "acme", "44")["rate"] == {
        "prefix": "44", "billing_rate": "0.012", "billing_cycle": 6, "first_rate": "0.10", "first_duration": 60,
        "connection_fee": "1.00", "minimum_charge": "0.20", "tax_rate": "10.0",
    }  # fmt: skip


def test_a_deck_is_exported_to_standard_output(site, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    site.run("import", "acme", site.write(SHEET))
    site.run("export", "acme", "acme.csv")
    assert site.run("export", "acme", "-") == (tmp_path / "acme.csv").read_text()
    assert not (tmp_path / "-").exists()


def test_a_number_is_looked_up_in_the_version_of_the_moment(site):
    site.run("import", "acme", site.write(SHEET))
    found = site.ask("lookup", "acme", "+442071234")
    assert found["rate"] == {
        "prefix": "4420", "billing_rate": "0.01", "area": "London, City", "interval": "1/1",
    }  # fmt: skip
    assert [each["prefix"] for each in found["neighbours"]] == ["44", "*"]
    made_at = site.ask("versions", "acme")[0]["made_at"]
    site.run("import", "acme", site.write("prefix,billing_rate\n4420,0.5\n"), "--mode", "delta")
    assert site.ask("lookup", "acme", "4420")["rate"]["billing_rate"] == "0.50"
    assert site.ask("lookup", "acme", "4420", "--at", made_at)["rate"]["billing_rate"] == "0.01"
    closed = site.ask("lookup", "acme", "4479123", code=1)
    assert (closed["closed"], closed["rate"]) == (True, None)
    assert "first imported" in site.run("lookup", "acme", "44", "--at", "2020-01-01T00:00:00Z", code=1)


def test_a_change_comes_into_force_when_it_says(site):
    site.run("import", "acme", site.write("prefix,billing_rate\n1,0.01\n2,0.01\n"))
    site.run(
        "import", "acme", site.write("prefix,billing_rate\n1,0.02\n"), "--effective", "2126-12-01T00:00:00Z", "--force"
    )
    before, behind = "2126-11-30T23:59:59.999Z", "2126-12-01T00:00:00Z"
    assert site.ask("lookup", "acme", "1", "--at", before)["rate"]["billing_rate"] == "0.01"
    assert site.ask("lookup", "acme", "1", "--at", behind)["rate"]["billing_rate"] == "0.02"
    assert site.ask("lookup", "acme", "2", "--at", before)["rate"]["billing_rate"] == "0.01"
    assert site.ask("lookup", "acme", "2", "--at", behind, code=1)["rate"] is None


def test_a_full_sheet_that_is_dated_ahead_closes_nothing_before_its_date(site):
    site.run("import", "acme", site.write("prefix,billing_rate\n2127,0.06323\n212742,0.06606\n44,0.01\n"))
    sheet = "prefix,billing_rate,effective_from\n2127,0.06323,2126-11-25T00:00:00Z\n44,0.02,2126-11-26T00:00:00Z\n"
    ahead = site.write(sheet)
    text = site.run("import", "acme", ahead, "--dry-run", "--force")
    assert "closed: 212742 0.06606 to 0.06323 of 2127 from 2126-11-25T00:00:00Z\n" in text
    assert "up: 44 0.01 to 0.02 from 2126-11-26T00:00:00Z\n" in text
    made = site.ask("import", "acme", ahead, "--force")
    assert made["effective"] == "2126-11-25T00:00:00.000Z"
    prices = [
        site.ask("lookup", "acme", "2127421", "--at", at)["rate"]["billing_rate"]
        for at in ("2126-11-24T23:59:59.999Z", "2126-11-25T00:00:00Z")
    ]
    assert prices == ["0.06606", "0.06323"]
    assert site.ask("lookup", "acme", "2127421")["rate"]["billing_rate"] == "0.06606"


def test_a_full_sheet_with_a_row_without_date_closes_at_once_unless_the_import_says_when(site):
    site.run("import", "acme", site.write("prefix,billing_rate\n1,0.01\n2,0.01\n"))
    mixed = site.write("prefix,billing_rate,effective_from\n1,0.01,\n3,0.02,2126-11-25\n")
    assert "closed: 2 0.01 to no rate\n" in site.run("import", "acme", mixed, "--dry-run")
    text = site.run("import", "acme", mixed, "--dry-run", "--effective", "2126-11-20T00:00:00Z")
    assert "closed: 2 0.01 to no rate from 2126-11-20T00:00:00Z\n" in text


def test_closing_much_has_to_be_confirmed(site):
    site.run("import", "acme", site.write(SHEET))
    shorter = site.write("prefix,billing_rate\n44,0.0120\n")
    assert "3 of 5 prefixes" in site.run("import", "acme", shorter, code=1)
    assert site.ask("import", "acme", shorter, "--force")["version"] == 2


def test_a_group_without_deck_and_a_file_without_rates_are_refused(site):
    path = site.write(SHEET)
    assert "deck: true" in site.run("import", "plain", path, code=1)
    assert "'acne'" in site.run("import", "acne", path, code=1)
    assert "at least one rate" in site.run("import", "acme", site.write("prefix,billing_rate\n", "none.csv"), code=1)
    assert "no deck yet" in site.run("lookup", "acme", "44", code=1)
    site.write("columns: {prefix: [}", "map.yaml")
    site.run("import", "acme", path, "--map", str(site.directory / "map.yaml"), code=3)
    assert "cannot be written" in site.run("import", "acme", path) + site.run(
        "export", "acme", str(site.directory / "missing" / "out.csv"), code=1
    )


def test_an_export_into_a_pipe_is_written_there(site):
    site.run("import", "acme", site.write(SHEET))
    pipe = site.directory / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    site.run("export", "acme", str(pipe))
    assert os.read(reader, 65_536).startswith(b"prefix,")
    os.close(reader)
    assert pipe.is_fifo()


def test_the_import_of_an_export_changes_nothing(site):
    site.run("import", "acme", site.write(SHEET))
    exported = site.exported()
    for mode in ("full", "delta"):
        again = site.ask("import", "acme", site.write(exported), "--mode", mode)
        assert (again["version"], again["replaced"], again["changes"]["unchanged"]) == (None, 1, 5)
    assert site.exported() == exported
