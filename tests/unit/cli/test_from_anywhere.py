"""Commands find the installation of ``$VOSD_CONFIG`` from any directory; a payment records its operator."""

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from doubles.closed import closed
from doubles.fake_switch import FakeSwitch, status_of
from doubles.kept_log import log_as_it_was
from doubles.migrated import migrated

from vosd.admin.office import change_check, objects_in_use, taken_change
from vosd.cli.main import main
from vosd.config.load import load
from vosd.config.places import found_from, installation_of, recorded_in
from vosd.control.calls import ListCalls
from vosd.control.installation import GetStatus
from vosd.control.money import Commitments, ListCommitments
from vosd.daemon.claim import StateDirectory, user_name
from vosd.storage.migrate import migrate_async

CONFIGURATION = """
database: {url: "sqlite+aiosqlite:///var/vosd.db"}
state_dir: var
control_socket: var/vosd.sock
accounts:
  - {id: acme, overdraft_limit: "5"}
"""
_MADE = ", who may not use what root makes there: run this as that user, or chown -R "


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A source tree in which a switch was started, seen from another directory."""
    tree = tmp_path / "tree"
    (tree / "config").mkdir(parents=True)
    (tree / "config" / "vosd.yaml").write_text(CONFIGURATION)
    migrated(tree / "var" / "vosd.db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("VOSD_CONFIG", str(tree / "config" / "vosd.yaml"))
    yield tree
    assert list(elsewhere.iterdir()) == []


def vosd(*words: str) -> Result:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done


def operators(tree: Path) -> list[str]:
    """Return the operators of the payments in the ledger."""
    import sqlite3

    connection = sqlite3.connect(tree / "var" / "vosd.db")
    try:
        return [row[0] for row in connection.execute("SELECT operator FROM ledger_entry ORDER BY id")]
    finally:
        connection.close()


def test_the_database_is_found_beside_the_configuration(tree: Path) -> None:
    vosd("payment", "add", "--account", "acme", "--amount", "3")
    assert json.loads(vosd("account", "show", "acme", "--json").stdout)["balance"] == "3.00"
    assert json.loads(vosd("cdr", "list", "--json").stdout) == []


async def test_the_running_switch_is_found_beside_the_configuration(tree: Path) -> None:
    switch = FakeSwitch(tree / "var" / "vosd.sock").answers(ListCalls, [])
    async with switch.answers(ListCommitments, {"acme": Commitments(reserved="1.00", unbooked="0.00")}):
        assert (await asyncio.to_thread(vosd, "calls")).stdout == "no calls\n"
        shown = await asyncio.to_thread(vosd, "account", "show", "acme", "--json")
        assert json.loads(shown.stdout)["reserved"] == "1.00"


def test_what_is_in_the_working_directory_goes_first(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tree.parent / "own"
    migrated(own / "var" / "vosd.db")
    monkeypatch.chdir(own)
    vosd("payment", "add", "--account", "acme", "--amount", "3")
    monkeypatch.chdir(tree.parent / "elsewhere")
    assert json.loads(vosd("account", "show", "acme", "--json").stdout)["balance"] == "0.00"


def test_an_empty_file_in_the_working_directory_is_no_installation(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tree.parent / "own"
    (own / "var" / "lock").mkdir(parents=True)
    (own / "var" / "vosd.db").touch()
    monkeypatch.chdir(own)
    assert json.loads(vosd("account", "show", "acme", "--json").stdout)["balance"] == "0.00"


def test_the_database_that_other_verbs_use_is_the_one_that_is_migrated(tree: Path) -> None:
    (tree / "var" / "vosd.db").unlink()
    asyncio.run(migrate_async(f"sqlite+aiosqlite:///{tree}/var/vosd.db", "0024"))

    assert vosd("migrate").stdout == f"the database {tree}/var/vosd.db is at this version\n"

    assert json.loads(vosd("account", "show", "acme", "--json").stdout)["balance"] == "0.00"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("migrate",), _MADE),
        (("month", "close", "2026-08", "--yes"), _MADE),
        (("retention", "run"), _MADE),
        (("check",), ": run this as that user, since root may read files that the switch may not\n"),
    ],
    ids=["migrate", "month", "retention", "check"],
)
def test_root_is_warned_where_the_switch_is_another_user(
    tree: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], advice: str
) -> None:
    (tree / "var" / "journal").mkdir()
    if os.geteuid() == 0:
        os.chown(tree / "var", 65534, -1)
    owner = (tree / "var").stat().st_uid
    warning = f"{tree}/var belongs to the user {user_name(owner)}{advice}"
    for user in (0, owner):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert (warning in CliRunner().invoke(main, words).stderr) is (user == 0)


def test_a_check_says_where_a_start_by_its_user_fails(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "var" / "journal").mkdir()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    checked = CliRunner().invoke(main, ["check"])
    assert (checked.exit_code, f"{tree}/var may not be used by" in checked.stderr) == (0, True)


@pytest.mark.parametrize("words", [("check",), ("run",), ("status",)])
def test_a_file_that_this_user_may_not_read_is_a_bad_configuration_with_what_to_do(
    tree: Path, words: tuple[str, ...]
) -> None:
    config = tree / "config" / "vosd.yaml"
    with closed(config), log_as_it_was():  # a start sets the log up
        done = CliRunner().invoke(main, [*words, "-c", str(config)])
    said = "expected a readable file: permission denied; let the group of the switch read it (chgrp vosd, chmod 640)"
    assert (done.exit_code, said in done.output) == (3, True), done.output


def test_a_new_installation_gets_its_database_in_the_working_directory(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "var" / "vosd.db").unlink()
    new = tree.parent / "new"
    new.mkdir()
    monkeypatch.chdir(new)

    assert vosd("migrate").stdout == "the database is at this version\n"

    assert (new / "var" / "vosd.db").stat().st_size > 0
    assert not (tree / "var" / "vosd.db").exists()


@pytest.mark.parametrize("is_absolute", [False, True])
def test_archives_and_exports_of_retention_are_those_of_the_switch(
    tree: Path, monkeypatch: pytest.MonkeyPatch, *, is_absolute: bool
) -> None:
    config = tree / "config" / "vosd.yaml"
    kept = "{calls: 2 years, ledger: 2 years, payments: 2 years, payments_archive: old, exports: [cdrs, /srv/cdrs]}"
    text = f"{CONFIGURATION}retention: {kept}\n"
    config.write_text(text.replace("var", f"{tree}/var") if is_absolute else text)
    claim = started(tree, config, monkeypatch)
    monkeypatch.chdir(tree.parent / "elsewhere")
    found = found_from(config, load(config).settings).retention
    claim.release()
    assert found.payments_archive == tree / "old"
    assert found.exports == (tree / "cdrs", Path("/srv/cdrs"))


def started(directory: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    """Lock a state directory as a switch does that is started in ``directory``."""
    monkeypatch.chdir(directory)
    claim = StateDirectory(Path("var"), installation_of(config, "sw1", Path("var/vosd.sock")))
    claim.claim()
    return claim


def stored_account(directory: Path) -> Path:
    """Return a file with the keys of an account."""
    file = directory / "stored-account.yaml"
    file.write_text("{id: stored, overdraft_limit: '5'}\n")
    return file


def test_a_change_that_the_switch_does_not_answer_is_made_and_ends_with_exit_code_4(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, limit in ((objects_in_use, "STATUS_S"), (change_check, "STATUS_S"), (taken_change, "_RELOAD_S")):
        monkeypatch.setattr(module, limit, 0.1)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tree / "var" / "vosd.sock"))
        mute.listen()
        words = ["definitions", "set", "accounts", "stored", "--file", str(stored_account(tree)), "--yes", "--json"]
        done = CliRunner().invoke(main, words)
    assert (done.exit_code, json.loads(done.stdout)["in_force"]) == (4, False)
    assert "stored, but the running switch has not taken it yet: it takes the change when it works again" in done.stderr


class TestTwoConfigurationsWithTheSameRelativePaths:
    @pytest.fixture
    def other(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """The directory of a second switch, which is where commands are given."""
        other = tree.parent / "other"
        other.mkdir()
        (other / "vosd.yaml").write_text(CONFIGURATION)
        migrated(other / "var" / "vosd.db")
        claims = [
            started(tree, tree / "config" / "vosd.yaml", monkeypatch),
            started(other, other / "vosd.yaml", monkeypatch),
        ]
        yield other
        for each in claims:
            each.release()

    def test_money_is_booked_with_the_switch_of_the_configuration_that_is_named(self, tree: Path, other: Path) -> None:
        vosd("payment", "add", "--account", "acme", "--amount", "3")
        assert len(operators(tree)) == 1
        assert operators(other) == []

    def test_without_a_switch_of_its_own_the_one_that_was_reached_is_named(self, tree: Path, other: Path) -> None:
        third = other / "third.yaml"
        third.write_text(CONFIGURATION)

        done = CliRunner().invoke(main, ["payment", "add", "--account", "acme", "--amount", "3", "-c", str(third)])

        found = installation_of(other / "vosd.yaml", "sw1")
        assert done.exit_code == 1
        assert f"of the switch 'sw1' (id {found.id}) of {other}/vosd.yaml" in done.stderr
        assert operators(other) == []
        asked = CliRunner().invoke(main, ["calls", "-c", str(third)])
        assert "no running switch answers" in asked.stderr, "there is no socket either"

    @pytest.mark.parametrize("broken", ["rates: [[[", "", None], ids=["no YAML", "emptied", "moved away"])
    async def test_the_switch_of_a_file_that_cannot_be_read_is_asked_and_no_other(
        self, other: Path, broken: str | None
    ) -> None:
        def break_it(file: Path) -> None:
            file.unlink() if broken is None else file.write_text(broken)

        def calls(file: Path, *words: str) -> Result:
            return CliRunner().invoke(main, ["calls", "-c", str(file), *words])

        break_it(other / "vosd.yaml")
        async with FakeSwitch(other / "var" / "vosd.sock").answers(ListCalls, []).answers(GetStatus, status_of()):
            done = await asyncio.to_thread(calls, other / "vosd.yaml")
            assert (done.exit_code, done.stdout) == (0, "no calls\n"), done.output
            assert "vosd.yaml cannot be read (vosd check says why): the switch that runs on it is asked" in done.stderr
            done = await asyncio.to_thread(calls, other / "vosd.yaml", "--account", "acme")
            assert (done.exit_code, done.stdout) == (0, "no calls\n"), done.output
            third = other / "third.yaml"
            third.touch()
            break_it(third)
            assert (await asyncio.to_thread(calls, third)).exit_code == 3, "no switch runs on this one"
        assert (await asyncio.to_thread(calls, other / "vosd.yaml")).exit_code == 3, "nor on that any more"

    def test_a_changed_copy_of_its_file_is_checked_and_simulated_with_the_database_of_the_switch(
        self, other: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the README says, beside the switch that ``make run`` has started: all paths are relative."""
        monkeypatch.setenv("VOSD_CONFIG", str(other / "vosd.yaml"))
        vosd("definitions", "set", "accounts", "stored", "--file", str(stored_account(other)))
        copy = other / "var" / "new.yaml"
        copy.write_text(CONFIGURATION + "mapping_gateways:\n  - {name: pbx, account: stored, hosts: [192.0.2.1]}\n")

        checked = vosd("check", "-c", str(copy))
        assert (
            f"the database of the switch 'sw1' (id {installation_of(other / 'vosd.yaml', 'sw1').id})" in checked.stderr
        )
        assert "2 accounts" in checked.stdout
        span = ("--since", "2026-10-01T00:00:00Z", "--until", "2026-11-01T00:00:00Z")
        assert json.loads(vosd("route", "simulate", *span, "--with", str(copy), "--json").stdout)["calls"] == 0

    def test_a_configuration_that_was_renamed_is_still_that_of_its_switch(self, other: Path) -> None:
        (other / "vosd.yaml").rename(other / "renamed.yaml")
        vosd("payment", "add", "--account", "acme", "--amount", "3", "-c", str(other / "renamed.yaml"))
        assert len(operators(other)) == 1

    def test_a_program_that_locks_the_directory_for_a_moment_leaves_the_record(self, tmp_path: Path) -> None:
        first = StateDirectory(tmp_path, installation_of(tmp_path / "a.yaml", "a"))
        first.claim()
        first.release()
        StateDirectory(tmp_path).claim()
        assert recorded_in(tmp_path) == installation_of(tmp_path / "a.yaml", "a")


class TestWhoPaid:
    def test_under_sudo_it_is_the_one_who_called_it(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_USER", "alice")
        vosd("payment", "add", "--account", "acme", "--amount", "3")
        assert operators(tree) == ["alice"]

    def test_it_can_be_printed(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_USER", "alice")
        vosd("payment", "add", "--account", "acme", "--amount", "3", "--operator", "billing portal, bob")
        assert operators(tree) == ["billing portal, bob"]

    def test_otherwise_it_is_who_is_logged_in(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import pwd

        monkeypatch.delenv("SUDO_USER", raising=False)
        vosd("payment", "add", "--account", "acme", "--amount", "3")
        assert operators(tree) == [pwd.getpwuid(os.getuid()).pw_name]

    @pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\x1b[31mb"])
    def test_a_name_that_does_not_fit_is_wrong_usage(self, tree: Path, name: str) -> None:
        words = ["payment", "add", "--account", "acme", "--amount", "3", "--operator", name]
        assert CliRunner().invoke(main, words).exit_code == 2
        assert operators(tree) == []
