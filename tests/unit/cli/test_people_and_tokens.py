"""``vosd user`` and ``vosd token`` on a database, as a program uses them."""

import json
import os
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from doubles.migrated import migrated

from vosd.cli.main import main

CONFIG = """
node: sw1
state_dir: {directory}
database: {{url: "{url}"}}
sip: {{listen: ["udp:127.0.0.1:5060"]}}
api: {{listen: "127.0.0.1:8080"}}
accounts: [{{id: acme, currency: USD, rate_group: sell}}]
rate_groups: [{{name: sell, currency: USD, rates: [{{prefix: "1", price: 1}}]}}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vosd.yaml"
    path.write_text(CONFIG.format(directory=tmp_path, url=migrated(tmp_path / "vosd.db")))
    return path


def run(config: Path, *words: str, typed: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, [words[0], words[1], "-c", str(config), *words[2:]], input=typed)


def test_a_token_is_printed_once_and_revoked(config: Path) -> None:
    made = run(config, "token", "add", "crm", "--role", "customer", "--account", "acme", "--scope", "money", "--json")
    assert made.exit_code == 0, made.output
    token = json.loads(made.stdout)
    assert set(token) == {"id", "token"}
    (shown,) = json.loads(run(config, "token", "list", "--json").stdout)
    assert (shown["id"], shown["account"], "digest" in shown) == (token["id"], "acme", False)
    assert json.loads(run(config, "token", "show", token["id"], "--json").stdout)["permissions"] == ["money.see"]
    lines = [each.split() for each in run(config, "token", "show", token["id"]).stdout.splitlines()]
    assert ["permissions", "money.see"] in lines
    assert run(config, "token", "revoke", token["id"]).exit_code == 0
    assert "there are no tokens" in run(config, "token", "list").output
    assert run(config, "token", "revoke", token["id"]).exit_code == 1
    assert run(config, "token", "add", "crm", "--role", "customer").exit_code == 2


def test_a_person_gets_a_link_and_a_password(config: Path, tmp_path: Path) -> None:
    link = json.loads(run(config, "user", "add", "ann", "--role", "night", "--json").stdout)["link"]
    assert link.startswith("http://127.0.0.1:8080/#/first-login/")
    assert run(config, "user", "passwd", "ann", typed="short\n").exit_code == 2
    assert run(config, "user", "passwd", "ann", typed="correct horse battery\n").exit_code == 0
    for words in (("disable", "ann"), ("enable", "ann"), ("role", "ann", "finance")):
        assert run(config, "user", *words).exit_code == 0
    (shown,) = json.loads(run(config, "user", "list", "--json").stdout)
    assert (shown["name"], shown["role"], shown["state"]) == ("ann", "finance", "active")
    assert json.loads(run(config, "user", "reset", "ann", "--json").stdout)["link"] != link
    assert run(config, "user", "add", "ann", "--role", "night").exit_code == 1
    with closing(sqlite3.connect(tmp_path / "vosd.db")) as database, database:
        noted = database.execute("SELECT group_concat(detail) FROM audit").fetchone()[0]
    assert "correct horse" not in noted
    assert "first-login" not in noted


@pytest.mark.parametrize("typed", [b"correct h\xf6rse battery\n", "correct h\udcf6rse battery\n"])
def test_a_password_that_is_no_text_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, typed: str | bytes
) -> None:
    assert run(config, "user", "add", "ann", "--role", "night").exit_code == 0
    if isinstance(typed, str):  # as the locale C reads these bytes
        monkeypatch.setattr("vosd.cli.users.sys", SimpleNamespace(stdin=StringIO(typed)))
        typed = ""
    refused = run(config, "user", "passwd", "ann", typed=typed)
    assert (refused.exit_code, "the password is no text" in refused.output) == (2, True)
    (shown,) = json.loads(run(config, "user", "list", "--json").stdout)
    assert shown["state"] == "invited"


def test_own_roles_are_made_and_removed(config: Path) -> None:
    words = ("role-set", "desk", "--permission", "calls.see", "--permission", "block")
    assert json.loads(run(config, "user", *words, "--json").stdout)["permissions"] == ["block", "calls.see"]
    assert run(config, "user", "role-set", "desk", "--permission", "everything").exit_code == 2
    assert "desk" in run(config, "user", "roles").stdout
    assert run(config, "user", "role-drop", "desk").exit_code == 0
    assert [each["name"] for each in json.loads(run(config, "user", "roles", "--json").stdout)][-1] == "customer"


def test_the_first_administrator_gets_a_link_until_one_can_log_in(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(config, "user", "first").stdout
    assert first.startswith("console: http://127.0.0.1:8080/#/first-login/")
    second = run(config, "user", "first").stdout
    assert second.startswith("console: http://127.0.0.1:8080/#/first-login/")
    assert second != first
    (shown,) = json.loads(run(config, "user", "list", "--json").stdout)
    assert (shown["name"], shown["role"], shown["state"]) == ("admin", "administrator", "invited")
    monkeypatch.setenv("JOURNAL_STREAM", "{0.st_dev}:{0.st_ino}".format(os.fstat(1)))
    assert run(config, "user", "first").stdout == "console: http://127.0.0.1:8080/\n"
    monkeypatch.delenv("JOURNAL_STREAM")
    assert run(config, "user", "passwd", "admin", typed="correct horse battery\n").exit_code == 0
    assert run(config, "user", "first").stdout == "console: http://127.0.0.1:8080/\n"


def test_a_person_that_logs_in_with_another_role_is_not_made_the_first_administrator(config: Path) -> None:
    assert run(config, "user", "add", "admin", "--role", "customer", "--account", "acme").exit_code == 0
    assert run(config, "user", "passwd", "admin", typed="correct horse battery\n").exit_code == 0
    refused = run(config, "user", "first")
    assert (refused.exit_code, "has the role customer" in refused.output) == (2, True)
    assert json.loads(run(config, "user", "list", "--json").stdout)[0]["role"] == "customer"


def test_there_is_no_first_link_without_a_console(config: Path) -> None:
    config.write_text(config.read_text().replace("api: {", "api: {console: no, "))
    assert run(config, "user", "first").exit_code == 1
