"""What holds for every verb: where the configuration is sought, wrong usage, what is not built yet."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from doubles.closed import closed
from doubles.machine_zone import machine_zone
from doubles.migrated import migrated
from doubles.writing_verbs import WRITING

from vosd import __version__
from vosd.cli.arguments import MOMENT, Count
from vosd.cli.command import Invocation
from vosd.cli.commit import commit
from vosd.cli.main import SUMMARIES, VERBS, main
from vosd.wiring import configured_switch
from vosd.wiring.configured_switch import ConfiguredSwitch, NoConfigurationError

TWENTY_DIGITS = "9" * 20
"""More than a database can compare with."""


def test_help_lists_every_verb() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert [word for word in listed if word in VERBS] == list(VERBS)


def test_letters_that_the_locale_lacks_are_printed_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "vosd.yaml"
    file.write_text("node: 中文\nlimits: {max_call_seconds: é中}\n", encoding="utf-8")
    result = CliRunner(charset="latin-1").invoke(main, ["check", "-c", str(file)])
    assert (result.exit_code, type(result.exception)) == (3, SystemExit)
    assert r"é\u4e2d" in result.output


def test_the_list_of_verbs_has_the_words_of_their_pages_and_loads_none() -> None:
    context = click.Context(main, info_name="vosd")
    pages = {name: main.get_command(context, name) for name in VERBS}
    assert {name: page.get_short_help_str(80) for name, page in pages.items() if page is not None} == SUMMARIES
    program = (
        "import sys; from vosd.cli.main import main\ntry: main(['--help'])\nfinally: print('asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("False\n")


def test_help_shows_the_page_of_a_verb() -> None:
    shown = CliRunner().invoke(main, ["help", "cdr", "list"])
    assert (shown.exit_code, shown.stdout.startswith("Usage: vosd cdr list")) == (0, True)
    assert CliRunner().invoke(main, ["help"]).stdout.startswith("Usage: vosd [OPTIONS]")
    assert CliRunner().invoke(main, ["help", "cdr", "dance"]).exit_code == 2


def test_manual_pages_are_written_for_every_verb(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["help", "--man", str(tmp_path)]).exit_code == 0
    refused = CliRunner().invoke(main, ["help", "--man", str(tmp_path / ("n" * 300))])
    assert (refused.exit_code, "cannot be written: File name too long" in refused.output) == (1, True)
    page = (tmp_path / "vosd-cdr-list.1").read_text()
    assert page.startswith('.TH "VOSD-CDR-LIST" 1')
    assert "newest first" in page
    assert {f"vosd-{name}.1" for name in VERBS} <= {each.name for each in tmp_path.iterdir()}


def test_no_page_is_wider_than_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    context = click.Context(main, info_name="vosd")
    for name in VERBS:
        page = CliRunner().invoke(main, ["help", name]).stdout
        assert max(map(len, page.splitlines())) <= 80, name
    assert max(map(len, main.get_help(context).splitlines())) <= 80


HAVANA, BERLIN = "America/Havana", "Europe/Berlin"


@pytest.mark.parametrize(
    ("zone", "now", "said", "utc"),
    [
        (BERLIN, "2026-11-22T20:00:00Z", "today", "2026-11-21T23:00:00Z"),
        (BERLIN, "2026-11-22T20:00:00Z", "yesterday", "2026-11-20T23:00:00Z"),
        (BERLIN, "2026-11-22T20:00:00Z", "tomorrow", "2026-11-22T23:00:00Z"),
        (BERLIN, "2026-11-22T20:00:00Z", "8h", "2026-11-22T12:00:00Z"),
        (BERLIN, "2026-11-22T20:00:00Z", "30min", "2026-11-22T19:30:00Z"),
        (BERLIN, "2026-11-22T20:00:00Z", "now", "2026-11-22T20:00:00Z"),
        # a day without midnight begins with its first hour
        (HAVANA, "2024-03-10T20:00:00Z", "today", "2024-03-10T05:00:00Z"),
    ],
)
def test_times_as_people_say_them_name_the_zone(
    zone: str, now: str, said: str, utc: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vosd.cli.arguments._now_s", datetime.fromisoformat(now).timestamp)
    with machine_zone(zone):
        found = MOMENT.convert(said, None, None)
    assert found == datetime.fromisoformat(utc).timestamp() * 1_000
    assert "the zone of this machine" in capsys.readouterr().err


def test_a_duration_in_place_of_a_coming_time_names_the_option_for_it() -> None:
    """Verbs that read the past take it as so long ago; one that reads what comes would have to guess."""
    result = CliRunner().invoke(main, ["gateway", "block", "carrier-a", "--until", "8h"])
    assert result.exit_code == 2
    assert "--for takes how long, as --for 8h" in result.stderr
    assert "--for" not in CliRunner().invoke(main, ["definitions", "revert", "account", "acme", "--at", "8h"]).stderr


def test_the_version_is_the_package_s_with_the_commit_of_the_build(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["--version"]).stdout
    assert re.fullmatch(rf"vosd, version {re.escape(__version__)}(, commit [0-9a-f]{{8}})?\n", shown)
    (tmp_path / "COMMIT").write_text("0123456789abcdef\n")
    assert commit(tmp_path / "COMMIT") == "01234567"
    git = tmp_path / "git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\nfedcba9876543210 refs/heads/main\n")
    assert commit(tmp_path / "none", git) == "fedcba98"
    assert commit(tmp_path / "none", tmp_path / "nowhere") == ""


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_help_page_that_takes_the_configuration(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "-c, --config FILE" in result.stdout


def test_a_thread_of_a_command_may_read_another_configuration() -> None:
    with click.Context(main):
        invocation = Invocation(Path("a.yaml"))
        with ThreadPoolExecutor() as threads:
            other = threads.submit(invocation.with_file, Path("b.yaml")).result()
        left = other.held(closing(StringIO()))
        assert not left.closed
    assert (invocation.config, other.config, left.closed) == (Path("a.yaml"), Path("b.yaml"), True)


def verbs_below(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    """Yield the verbs of a group, and of the groups in it, with the words that call them."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    with click.Context(command) as context:
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from verbs_below(inner, f"{words} {name}")


def test_the_help_page_of_a_verb_says_of_every_option_what_it_is_for() -> None:
    silent = [
        f"{words} {each.opts[0]}"
        for words, verb in verbs_below(main, "vosd")
        for each in verb.params
        if isinstance(each, click.Option) and not each.hidden and not each.help
    ]
    assert silent == []


def test_the_configuration_may_be_named_after_every_verb() -> None:
    found = dict(verbs_below(main, "vosd"))
    assert len(found) > 100
    options = {words: {each for parameter in verb.params for each in parameter.opts} for words, verb in found.items()}
    assert [words for words, taken in options.items() if "--config" not in taken] == []


@pytest.mark.parametrize(
    "words",
    [["package", "order", "acme", "minutes"], ["package"], ["cards", "list", "--json"], ["help", "package", "order"]],
)
def test_a_verb_that_is_not_built_yet_says_so(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"vosd {words[words[0] == 'help']} is not built yet" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["dance"],
        ["status", "--colour", "red"],
        ["cdr"],
        ["cdr", "list", "--since", "2026-03-01T12:00:00"],
        ["cdr", "list", "--until", "the day before yesterday"],
        ["gateway", "block", "carrier-a", "--until", "8h"],
        ["gateway", "block", "carrier-a", "--for", "8h", "--until", "2030-03-01T00:00:00Z"],
        ["cdr", "list", "--since", "2026-03-01"],
        ["rate", "explain", "--account", "acme", "--callee", "44", "--duration", "60", "--at", "2026-03-01"],
        ["gateway", "block", "carrier-a", "--until", "2030-03-01"],
        ["rates", "import", "acme", "rates.csv", "--effective", "2030-03-01"],
        ["ledger", "close", "--yes", "--until", "2026-02-30"],
        ["ledger", "close", "--yes", "--until", "2026-03-01T00:00:00"],
        ["rate", "explain", "--account", "acme", "--callee", "44", "--duration", "a minute"],
        ["payment", "add", "--account", "acme", "--amount", "1e3"],
        ["payment", "add", "--account", "acme", "--amount", "1,000.00"],
        ["payment", "add", "--account", "acme", "--amount", "10", "--reference", ""],
        ["hangup"],
        ["hangup", "--prefix", "", "--yes"],
        ["gateway", "set", "carrier-a"],
        ["gateway", "set", "carrier-a", "--max-cps", "0"],
        ["gateway", "block", "carrier-a", "--until", "2026-03-01T00:00:00"],
        ["account", "set", "acme"],
        ["account", "set", "acme", "--overdraft-limit", "-5"],
        ["overrides", "clear", "acme", "--setting", "colour"],
        ["definitions", "list", "acounts"],
        ["definitions", "show", "acounts", "acme"],
        ["rates", "export", "acme", "-", "--json"],
        ["cdr", "list", "--caller", ""],
        ["cdr", "list", "--account", ""],
        ["cdr", "list", "--callee", "+"],
        ["why", "--callee", ""],
        ["why", "--caller", "+"],
        ["ledger", "list", "--account", ""],
        ["payment", "list", "--account", ""],
        ["audit", "--limit", TWENTY_DIGITS],
        ["account", "list", "--limit", str(2**63 - 1)],
        ["ledger", "list", "--account", "acme", "--limit", TWENTY_DIGITS],
        ["cdr", "export", "--after", TWENTY_DIGITS],
        ["reconcile", "show", TWENTY_DIGITS],
        ["jobs", "show", TWENTY_DIGITS],
        ["call", "test", "--via", "carrier-a", "--callee", ""],
        ["call", "test", "--via", "carrier-a", "--callee", "4" * 65],
        ["call", "test", "--via", "carrier-a", "--callee", "44", "--caller", "4" * 65],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_and_prints_nothing_to_standard_output(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    "words",
    [
        ["definitions", "import"],
        ["definitions", "provision"],
        ["definitions", "set", "accounts", "acme", "--file"],
        ["definitions", "import", __file__, "--map"],
        ["did", "import"],
        ["payment", "import"],
        ["rates", "import", "acme"],
        ["rates", "import", "acme", __file__, "--map"],
        ["reconcile", "import", "carrier-a"],
        ["retention", "archive"],
        ["restore"],
        ["spool", "check"],
        ["spool", "salvage"],
    ],
    ids=" ".join,
)
def test_a_file_to_be_read_that_is_missing_is_wrong_usage(words: list[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.csv")
    result = CliRunner().invoke(main, [*words, missing])
    assert (result.exit_code, result.stdout) == (2, "")
    assert missing in result.stderr


@pytest.mark.parametrize(
    "words", [["did", "import"], ["trunk", "explain", "--gateway", "carrier-a", "--message"]], ids=" ".join
)
def test_a_file_that_is_no_text_is_wrong_usage(words: list[str], tmp_path: Path) -> None:
    workbook = tmp_path / "numbers.xlsx"
    workbook.write_bytes(b"PK\x03\x04\x14\x00\x08\x8f\x04")
    result = CliRunner().invoke(main, [*words, str(workbook)])
    assert (result.exit_code, "is no text in UTF-8" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", [["hangup", "--older-than", "1h"], ["account", "history", "acme", "--limit", "all"]])
def test_what_is_no_whole_number_is_not_called_a_range(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert f"{words[-1]!r} is not a valid whole number." in result.stderr


def test_no_option_is_shown_as_a_range_of_numbers() -> None:
    assert " --limit N " in CliRunner().invoke(main, ["account", "history", "--help"]).stdout
    assert " --seconds S " in CliRunner().invoke(main, ["call", "test", "--help"]).stdout


def test_no_whole_number_is_without_a_largest_one() -> None:
    """A larger one got an error of the database, with its SQL."""
    found, waiting = [], [(main, click.Context(main, info_name="vosd"))]
    while waiting:
        command, context = waiting.pop()
        for each in command.params:
            is_bounded = isinstance(each.type, Count) or (isinstance(each.type, click.IntRange) and each.type.max)
            if isinstance(each.type, type(click.INT)) and not is_bounded:
                found.append(f"{context.command_path} {each.name}")
        if isinstance(command, click.Group):
            parts = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
            waiting += [(part, click.Context(part, context, name)) for name, part in parts if part is not None]
    assert found == []


def test_without_a_configuration_the_searched_paths_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configured_switch, "CONFIG_PLACES", (tmp_path / "here.yaml", tmp_path / "there.yaml"))
    result = CliRunner(env={"VOSD_CONFIG": None}).invoke(main, ["status"])
    assert result.exit_code == 3
    assert f"none at {tmp_path}/here.yaml, {tmp_path}/there.yaml" in result.stderr


def test_the_first_usual_path_that_exists_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = tmp_path / "there.yaml"
    second.write_text(f"control_socket: {tmp_path / 'found.sock'}\n")
    monkeypatch.setattr(configured_switch, "CONFIG_PLACES", (tmp_path / "here.yaml", second))
    result = CliRunner(env={"VOSD_CONFIG": None}).invoke(main, ["status"])
    assert result.exit_code == 4
    assert "found.sock" in result.stderr


def test_a_usual_path_that_cannot_be_looked_at_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``config/vosd.yaml`` in a directory that the user may not enter; here its name is too long."""
    second = tmp_path / "there.yaml"
    second.write_text(f"control_socket: {tmp_path / 'found.sock'}\n")
    monkeypatch.setattr(configured_switch, "CONFIG_PLACES", (tmp_path / ("x" * 300), second))
    result = CliRunner(env={"VOSD_CONFIG": None}).invoke(main, ["status"])
    assert (result.exit_code, "found.sock" in result.stderr) == (4, True)


def test_where_both_usual_paths_exist_the_one_that_is_used_is_said_once_beside_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = places = (tmp_path / "here.yaml", tmp_path / "there.yaml")
    for place in places:
        url = migrated(place.with_suffix(".db"))
        place.write_text(f"{{database: {{url: '{url}'}}, state_dir: {tmp_path}/var, accounts: [{{id: acme}}]}}\n")
    monkeypatch.setattr(configured_switch, "CONFIG_PLACES", places)
    line = f"the configuration is {here} of this directory, not {there}: -c FILE names another\n"
    unnamed = CliRunner(env={"VOSD_CONFIG": None})

    shown = unnamed.invoke(main, ["account", "show", "acme", "--json"])

    assert (json.loads(shown.stdout)["balance"], shown.stderr.count(line)) == ("0.00", 1), shown.output
    assert line not in unnamed.invoke(main, ["account", "show", "acme", "-c", str(here)]).stderr


def test_a_usual_path_that_this_user_may_not_look_at_is_no_missing_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = Path("etc")  # a relative path: all of pytest's directories are closed to others
    (tmp_path / secret).mkdir()
    tmp_path.chmod(0o711)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configured_switch, "CONFIG_PLACES", (Path("config/vosd.yaml"), secret / "vosd.yaml"))
    monkeypatch.delenv("VOSD_CONFIG", raising=False)
    with closed(secret), pytest.raises(NoConfigurationError) as error:
        ConfiguredSwitch().config_path()
    assert str(error.value) == (
        "no configuration: this user may not look into etc: "
        "run this as root, or as the user of the switch (sudo -u vosd …)"
    )


def test_errors_of_the_database_name_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "vosd.yaml"
    file.write_text(f"database: {{url: 'sqlite+aiosqlite:///{tmp_path}/none/vosd.db'}}\n")
    done = CliRunner().invoke(main, ["cdr", "list", "-c", str(file)])
    said = (
        f"who may write there? A service needs ReadWritePaths= for it (systemctl edit vosd) (database.url of {file})\n"
    )
    assert (done.exit_code, done.stderr.endswith(said)) == (1, True), done.output


@pytest.mark.parametrize(
    ("text", "wall_ms"),
    [
        ("2026-03-01T12:00:00Z", 1_772_366_400_000),
        ("2026-03-01T14:00:00.001+02:00", 1_772_366_400_001),
        ("2004-05-29T18:51:07.613Z", 1_085_856_667_613),  # 612 when it passes through binary fractions
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_a_time_is_read_to_the_millisecond(text: str, wall_ms: int) -> None:
    assert MOMENT.convert(text, None, None) == wall_ms


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_an_order_with_closed_streams_is_done_and_no_file_gets_their_numbers(tmp_path: Path, closed: str) -> None:
    program = f"from doubles.writing_verbs import WRITING; WRITING(['note', '{tmp_path}/noted'])"
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", program], timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0
    assert int((tmp_path / "noted").read_text()) > 2


@pytest.mark.parametrize("letters", [1, 100_000])
def test_a_full_disk_under_a_file_is_not_said_of_standard_output(letters: int) -> None:
    result = CliRunner().invoke(WRITING, ["write", "--out", "/dev/full", str(letters)])
    assert (result.exit_code, result.stderr) == (1, "Error: a file that was to be written: No space left on device\n")


@pytest.mark.parametrize("letters", [1, 100_000])
def test_a_full_disk_under_standard_output_is_an_error_of_one_line(letters: int) -> None:
    """A text longer than the buffers is in none of them when it fails."""
    program = f"from doubles.writing_verbs import WRITING; WRITING(['write', '{letters}'])"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")
