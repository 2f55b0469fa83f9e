"""``vosd account list`` and ``show``: who is an agent, and what stands below one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from doubles.migrated import migrated

from vosd.cli.main import main

CONFIGURATION = """
database: {{url: "sqlite+aiosqlite:///{directory}/vosd.db"}}
control_socket: {directory}/vosd.sock
state_dir: {directory}
templates: {{below: {{agent: reseller, type: direct}}}}
accounts:
  - {{id: wholesaler}}
  - {{id: reseller, agent: wholesaler}}
  - {{id: acme, template: below}}
  - {{id: bingo, template: below, agent: wholesaler}}
  - {{id: carrier, type: clearing}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    migrated(directory / "vosd.db")
    (directory / "vosd.yaml").write_text(CONFIGURATION.format(directory=directory))
    return directory


def vosd(directory: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(directory / "vosd.yaml"), *words])


def names(directory: Path, *words: str) -> list[str]:
    return [each["id"] for each in json.loads(vosd(directory, "account", "list", *words, "--json").stdout)]


def test_an_account_that_others_name_is_shown_as_an_agent(site: Path) -> None:
    sheets = json.loads(vosd(site, "account", "list", "--json").stdout)
    assert {each["id"]: (each["type"], each.get("category"), each.get("agent")) for each in sheets} == {
        "wholesaler": ("direct", "agent", None),
        "reseller": ("direct", "agent", "wholesaler"),
        "acme": ("direct", None, "reseller"),
        "bingo": ("direct", None, "wholesaler"),
        "carrier": ("clearing", None, None),
    }
    shown = json.loads(vosd(site, "account", "show", "reseller", "--json").stdout)
    assert (shown["category"], shown["agent"]) == ("agent", "wholesaler")


def test_the_accounts_below_an_agent_are_listed_directly_or_all(site: Path) -> None:
    assert names(site, "--agent", "wholesaler") == ["reseller", "bingo"]
    assert names(site, "--agent", "wholesaler", "--all") == ["reseller", "acme", "bingo"]
    assert names(site, "--agent", "acme") == []


def test_an_agent_that_does_not_exist_is_said_to_be_unknown(site: Path) -> None:
    done = vosd(site, "account", "list", "--agent", "reseler")
    assert (done.exit_code, "did you mean 'reseller'?" in done.stderr) == (1, True)
    assert vosd(site, "account", "list", "--all").exit_code == 2
