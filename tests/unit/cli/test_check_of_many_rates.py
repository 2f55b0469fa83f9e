"""``vosd check`` where a deck has warnings for thousands of rates."""

import json

import click.testing
import pytest
from doubles.deck_site import Site

from vosd.cli.main import main

RATES = 2_195


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    monkeypatch.setattr("os.setpriority", lambda *_: None)
    made = Site(tmp_path)
    made.run(
        "import",
        "acme",
        made.write("prefix,billing_rate\n" + "".join(f"{n},0.00001234\n" for n in range(1, RATES + 1))),
    )
    return made


def check(site: Site, *words: str) -> str:
    result = click.testing.CliRunner().invoke(main, ["-c", str(site.config), "check", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_warnings_about_the_rates_of_a_deck_do_not_fill_the_screen(site):
    lines = check(site).splitlines()
    assert len(lines) < 20
    assert sum("rates[" in line for line in lines) == 10
    warnings = len([each for each in json.loads(check(site, "--json")) if "rates[" in each["key"]])
    assert warnings >= RATES
    assert f"and {warnings - 10} more such warnings as the last one: vosd check --report FILE has all" in lines


def test_all_warnings_go_to_a_file(site):
    file = site.directory / "problems.txt"
    assert f": {file} has all" in check(site, "--report", str(file))
    assert sum("rates[" in line for line in file.read_text(encoding="utf-8").splitlines()) >= RATES


def test_the_mistakes_of_a_configuration_go_to_the_file_too(site):
    site.config.write_text(site.config.read_text() + "colour: red\n")
    file = site.directory / "problems.txt"
    result = click.testing.CliRunner().invoke(main, ["-c", str(site.config), "check", "--report", str(file)])
    assert result.exit_code == 3
    assert "colour" in file.read_text(encoding="utf-8")


def test_a_deck_whose_last_prefix_was_taken_out_is_no_mistake(site):
    keys = "columns: {prefix: Code, billing_rate: Rate}\nstatus: {column: Change, remove: [Deleted]}\n"
    sheet = "Code;Rate;Change\n" + "".join(f"{n};;Deleted\n" for n in range(1, RATES + 1))
    words = ("--map", site.write(keys, "map.yaml"), "--mode", "delta", "--force")
    assert site.ask("import", "acme", site.write(sheet), *words)["rates"] == 0
    assert "holds:" in check(site)
