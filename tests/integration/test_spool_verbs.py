"""``vosd spool`` without a running switch: refused records, and files of the journal."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from doubles.data.records import answered_call, call_id, rejected
from doubles.journals import files_of, open_call, opened, write_ended

from vosd.cli.main import main
from vosd.engine.journal.quarantine import Quarantine

CONFIGURATION = """
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
"""


class Installation:
    """A configuration and a database of its own."""

    def __init__(self, directory: Path, migrated: Path) -> None:
        self.directory = directory
        self._config = directory / "vosd.yaml"
        self._config.write_text(CONFIGURATION.replace("$directory", str(directory)))
        shutil.copy(migrated, directory / "vosd.db")
        self.quarantine = Quarantine(directory / "var" / "quarantine")

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--config", str(self._config)])

    def ask(self, *words: str) -> Any:
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def booked(self) -> Sequence[str]:
        return [record["call_id"] for record in self.ask("cdr", "list")]


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Installation:
    return Installation(tmp_path, migrated)


def test_refused_records_are_listed_shown_and_exported(installation):
    installation.quarantine.put(rejected("too long a name", answered_call(1), answered_call(2)))
    listed = installation.ask("spool", "list")
    assert [(each["call_id"], each["why"]) for each in listed] == [
        (call_id(1), "too long a name"),
        (call_id(2), "too long a name"),
    ]
    assert "too long a name" in installation.run("spool", "list").stdout
    shown = installation.ask("spool", "show", call_id(1))
    assert shown["record"]["fee"] == "0.012345"
    assert [posting["amount"] for posting in shown["record"]["postings"]] == ["-0.012345", "-0.009876"]
    assert call_id(1) in installation.run("spool", "show", call_id(1)).stdout
    target = installation.directory / "refused.json"
    assert "2 records" in installation.run("spool", "export", str(target)).stdout
    assert json.loads(target.read_text()) == installation.ask("spool", "export")
    assert json.loads(target.read_text())[0] == shown


def test_a_refused_record_is_named_by_the_first_digits_of_its_call(installation):
    installation.quarantine.put(rejected("why", answered_call(1), answered_call(2)))
    whole = installation.ask("spool", "show", call_id(1))
    unique = next(length for length in range(8, 37) if call_id(1)[:length] != call_id(2)[:length])
    assert installation.ask("spool", "show", call_id(1)[:unique]) == whole
    several = installation.run("spool", "show", call_id(1)[: unique - 1])
    assert (several.exit_code, "2 refused records begin with" in several.stderr) == (1, True)
    assert installation.run("spool", "show", "abc").exit_code == 2


def test_an_export_that_cannot_be_written_says_so(installation):
    installation.quarantine.put(rejected("why", answered_call(1)))
    result = installation.run("spool", "export", str(installation.directory / "missing" / "refused.json"))
    assert (result.exit_code, "cannot be written: No such file" in result.stderr) == (1, True)


def test_a_retry_books_what_the_database_takes_and_keeps_the_rest(installation):
    unfit = answered_call(2, customer_account="x ")
    installation.quarantine.put(rejected("why", answered_call(1), unfit))
    result = installation.run("spool", "retry", "--json")
    assert result.exit_code == 1
    outcome = json.loads(result.stdout)
    assert outcome["booked"] == [call_id(1)]
    assert "cannot name anything" in outcome["refused"][call_id(2)]
    assert installation.booked() == [call_id(1)]
    assert [each["call_id"] for each in installation.ask("spool", "list")] == [call_id(2)]


def test_only_refused_calls_can_be_shown_or_tried_again(installation):
    for verb in ("show", "retry"):
        result = installation.run("spool", verb, call_id(7))
        assert result.exit_code == 1
        assert "vosd spool list" in result.output
    assert installation.ask("spool", "list") == []
    assert installation.ask("spool", "retry") == {"booked": [], "refused": {}}
    assert "nothing was refused" in installation.run("spool", "list").stdout


def test_a_file_of_the_quarantine_that_cannot_be_read_is_named(installation):
    installation.quarantine.put(rejected("why", answered_call(1)))
    (installation.directory / "var" / "quarantine" / f"{call_id(2)}.json").write_text("?")
    result = installation.run("spool", "list")
    assert call_id(1) in result.stdout
    assert "cannot be read" in result.stderr
    assert installation.run("spool", "show", call_id(2)).exit_code == 1
    exported = installation.run("spool", "export")
    assert [each["call_id"] for each in json.loads(exported.stdout)] == [call_id(1)]
    assert f"{call_id(2)}.json cannot be read" in exported.stderr
    tried = installation.run("spool", "retry", call_id(2))
    assert tried.exit_code == 1
    assert f"{call_id(2)}.json cannot be read" in tried.stdout
    assert tried.stdout.endswith("0 booked, 1 refused\n")


def damaged_journal(directory: Path) -> Path:
    """Return a journal file with one running call and four ended ones, of which one cannot be read."""
    journal = opened(directory / "journal")
    journal.answered(open_call(100))
    for index in range(4):
        journal.ended(answered_call(index))
    journal.flush()
    [name] = files_of(directory / "journal")
    path = directory / "journal" / name
    data = bytearray(path.read_bytes())
    data[data.index(call_id(2).encode())] ^= 1
    path.write_bytes(data)
    return path


def test_a_damaged_file_is_described_and_the_whole_one_is_fine(installation):
    path = damaged_journal(installation.directory)
    result = installation.run("spool", "check", str(path), "--json")
    assert result.exit_code == 1
    [found] = json.loads(result.stdout)
    assert {kind: count for kind, count in found["records"].items() if count} == {"began": 1, "answered": 1, "ended": 3}
    assert [part["call_id"] for part in found["damaged"]] == [call_id(2)]
    assert call_id(2) in installation.run("spool", "check", str(path)).stdout
    whole = opened(installation.directory / "whole")
    write_ended(whole, answered_call(1))
    [name] = files_of(installation.directory / "whole")
    result = installation.run("spool", "check", str(installation.directory / "whole" / name))
    assert (result.exit_code, "1 ended; no damaged parts" in result.stdout) == (0, True)


@pytest.mark.parametrize("words", [(), ("--book",), ("--output", "out.json")], ids=["print", "book", "write"])
@pytest.mark.parametrize("content", [b"", b"no journal at all\n" * 100], ids=["empty", "other file"])
def test_a_file_without_any_record_cannot_be_salvaged(installation, words, content):
    """The operator has named the wrong file: an empty array would look as if it held nothing to save."""
    path = installation.directory / "wrong"
    path.write_bytes(content)
    result = installation.run("spool", "salvage", str(path), *words)
    assert (result.exit_code, "has no record that can be read" in result.stderr) == (1, True)
    assert not (installation.directory / "out.json").exists()


def test_what_can_be_read_of_a_damaged_file_is_written_out_or_booked(installation):
    path = damaged_journal(installation.directory)
    readable = [call_id(0), call_id(1), call_id(3)]
    assert [each["call_id"] for each in installation.ask("spool", "salvage", str(path))] == readable
    target = installation.directory / "salvaged.json"
    assert installation.run("spool", "salvage", str(path), "--output", str(target)).exit_code == 0
    assert [each["call_id"] for each in json.loads(target.read_text())] == readable
    assert target.stat().st_mode & 0o777 == 0o600
    assert installation.booked() == []
    for _ in range(2):
        assert installation.ask("spool", "salvage", str(path), "--book")["booked"] == readable
    assert sorted(installation.booked()) == readable
    assert installation.run("ledger", "verify").exit_code == 0
