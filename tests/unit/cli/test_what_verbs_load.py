"""A verb reads only what it needs of the configuration: unreadable rates do not prevent a payment."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from doubles.migrated import migrated

from vosd.cli.main import main
from vosd.config import load
from vosd.config.assembly import rate_groups
from vosd.config.assembly.rate_groups import read_rate_group

CONFIGURATION = """
node: sw1
database: {{url: "sqlite+aiosqlite:///{directory}/vosd.db"}}
state_dir: {directory}/var
control_socket: {directory}/vosd.sock
templates:
  credit: {{overdraft_limit: "5"}}
rate_groups:
  - {{name: sell, currency: EUR, rates: [{{prefix: "44", billing_rate: "0.60"}}]}}
  - {{name: huge, rates_file: not-there.csv}}
accounts:
  - {{id: acme, rate_group: sell, template: credit}}
  - {{id: other, rate_group: huge}}
  - {{id: broken, overdraft_limit: much}}
mapping_gateways:
  - {{name: acme-pbx, account: unknown, hosts: everywhere}}
routing_gateways:
  - {{name: carrier, account: acme, address: 192.0.2.9, colour: red}}
phones:
  - {{number: "7001", account: acme, passwrd: x}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    migrated(directory / "vosd.db")
    (directory / "vosd.yaml").write_text(CONFIGURATION.format(directory=directory))
    return directory


def vosd(directory: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(directory / "vosd.yaml"), *words])


@pytest.fixture
def no_catalogue(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let nothing build a catalogue, and note the rate groups that are read."""

    def refuse(*_: object) -> None:
        raise AssertionError("the whole configuration was read")

    groups: list[str] = []

    def read(section, key, *more):
        groups.append(key)
        return read_rate_group(section, key, *more)

    monkeypatch.setattr(load, "assemble", refuse)
    for module in (rate_groups, load):
        monkeypatch.setattr(module, "read_rate_group", read)
    return groups


@pytest.mark.parametrize(
    "words",
    [
        ("account", "show", "acme"),
        ("account", "show", "other"),
        ("payment", "add", "--account", "acme", "--amount", "1"),
        ("cdr", "list"),
        ("cdr", "list", "--account", "other", "--gateway", "carrier"),
        ("ledger", "verify"),
        ("spool", "list"),
        ("migrate",),
    ],
    ids=" ".join,
)
def test_a_verb_about_money_or_calls_reads_no_rates_and_judges_no_gateways(
    site: Path, no_catalogue: list[str], words: tuple[str, ...]
) -> None:
    done = vosd(site, *words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert no_catalogue == []


@pytest.mark.parametrize("words", [("status",), ("calls",), ("unblock", "--list"), ("registrations",), ("reload",)])
def test_a_verb_that_asks_the_running_switch_reads_where_its_socket_is(
    site: Path, no_catalogue: list[str], words: tuple[str, ...]
) -> None:
    done = vosd(site, *words)
    assert done.exit_code == 4
    assert f"{site}/vosd.sock" in done.stderr
    assert no_catalogue == []


def test_explaining_a_rate_reads_its_own_rate_group_only(site: Path, no_catalogue: list[str]) -> None:
    done = vosd(site, "rate", "explain", "--account", "acme", "--callee", "4420", "--duration", "60", "--json")
    assert json.loads(done.stdout)["fee"] == "0.60"
    assert no_catalogue == ["rate_groups[sell]"]


def test_an_account_has_its_template_and_the_currency_of_its_rate_group(site: Path) -> None:
    shown = json.loads(vosd(site, "account", "show", "acme", "--json").stdout)
    assert (shown["overdraft_limit"], shown["currency"]) == ("5.00", "EUR")
    assert json.loads(vosd(site, "account", "show", "other", "--json").stdout)["currency"] == "USD"


def test_an_account_with_mistakes_is_bad_configuration_for_those_who_need_it(site: Path) -> None:
    for words in (("account", "show", "broken"), ("account", "list")):
        done = vosd(site, *words)
        assert done.exit_code == 3
        assert "accounts[broken].overdraft_limit: value 'much'" in done.stderr


@pytest.mark.parametrize(
    ("groups", "account", "mistake"),
    [
        ("{name: sell, currency: EUR}", "rate_group: sel", "site.yaml:4: accounts[acme].rate_group: value 'sel'"),
        ("", "rate_group: sell", "site.yaml:4: accounts[acme].rate_group: value 'sell'"),
        ("{name: sell, curency: EUR}", "rate_group: sell", "site.yaml:5: rate_groups[sell].curency"),
        ("{name: sell, currency: EURO}", "rate_group: sell", "site.yaml:5: rate_groups[sell].currency: value 'EURO'"),
        (
            "{name: sell, currency: EUR}",
            "rate_group: sell, currency: USD",
            "site.yaml:4: accounts[acme].currency: value 'USD'",
        ),
    ],
)
def test_an_account_whose_currency_is_in_doubt_is_not_paid(
    tmp_path: Path, groups: str, account: str, mistake: str
) -> None:
    file = tmp_path / "site.yaml"
    url = migrated(tmp_path / "vosd.db")
    lines = [
        f"database: {{url: '{url}'}}",
        f"control_socket: {tmp_path}/vosd.sock",
        "accounts:",
        f"  - {{id: acme, {account}}}",
        f"rate_groups: [{groups}]",
    ]
    file.write_text("\n".join(lines))
    paying = ["-c", str(file), "payment", "add", "--account", "acme", "--amount", "1"]
    done = CliRunner().invoke(main, paying)
    assert (done.exit_code, mistake in done.stderr) == (3, True), done.stderr
    file.write_text("\n".join([*lines[:3], "  - {id: acme, currency: GBP}"]))
    assert CliRunner().invoke(main, paying).exit_code == 0  # the account was not given another currency


def test_an_unknown_account_is_named_with_similar_ones(site: Path) -> None:
    done = vosd(site, "account", "show", "acm")
    assert (done.exit_code, "did you mean 'acme'?" in done.stderr) == (1, True)


def test_files_that_are_no_yaml_are_bad_configuration_for_every_verb(tmp_path: Path) -> None:
    (tmp_path / "vosd.yaml").write_text("node: [sw1\n")
    for words in (("account", "show", "acme"), ("cdr", "list"), ("status",)):
        assert vosd(tmp_path, *words).exit_code == 3


def test_what_is_left_out_may_be_an_anchor_that_other_parts_need(tmp_path: Path) -> None:
    migrated(tmp_path / "vosd.db")
    (tmp_path / "vosd.yaml").write_text(
        "mapping_gateways: [{name: &name acme, account: acme, hosts: 192.0.2.1}]\naccounts: [{id: *name}]\n"
        f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/vosd.db'}}\ncontrol_socket: {tmp_path}/vosd.sock\n"
    )
    assert vosd(tmp_path, "account", "show", "acme").exit_code == 0


def test_a_list_of_accounts_fits_the_screen_and_cuts_no_amount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = migrated(tmp_path / "vosd.db")
    name = "a-customer-with-a-name-that-takes-up-half-of-the-screen"
    (tmp_path / "vosd.yaml").write_text(
        f"database: {{url: '{url}'}}\ncontrol_socket: {tmp_path}/vosd.sock\n"
        f"accounts: [{{id: {name}, overdraft_limit: 1000000}}, {{id: acme, type: clearing}}]\n"
    )
    amount = "1234567.12345678"
    assert vosd(tmp_path, "payment", "add", "--account", name, "--amount", amount, "--yes").exit_code == 0
    monkeypatch.delenv("COLUMNS", raising=False)
    head, *_ = vosd(tmp_path, "account", "list").stdout.splitlines()
    assert head.split() == [
        "id", "type", "balance", "overdraft_limit", "reserved", "available", "currency", "blocked",
    ]  # fmt: skip
    for columns in (80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = vosd(tmp_path, "account", "list").stdout.splitlines()
        assert max(map(len, lines)) <= columns
        assert [amount in line for line in lines] == [False, True, False]
        assert lines[0].split()[-3:] == ["available", "currency", "blocked"]
        assert name in vosd(tmp_path, "account", "list", "--json").stdout
