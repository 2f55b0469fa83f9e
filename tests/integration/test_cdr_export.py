"""``vosd cdr export`` on SQLite, without a daemon: files, manifests, profiles, and a kill at every step."""

import csv
import errno
import gzip
import hashlib
import io
import json
import os
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from doubles.data.records import answered_call, call_id, refused_call
from doubles.dying import Steps, is_killed
from doubles.export_site import Site
from doubles.full_disk import fill, mounted
from hypothesis import Phase, given, settings, strategies as st

from vosd.admin import export_files
from vosd.cdr.columns import KEYS


@pytest.fixture
def site(tmp_path, migrated) -> Site:
    return Site(tmp_path, migrated)


def calls(*indices: int):
    return [answered_call(index, customer_account="acme", vendor_account="carrier") for index in indices]


def test_without_a_directory_the_calls_are_printed_in_the_order_of_their_booking(site):
    site.book(calls(2, 1))
    site.book([refused_call(3)])
    rows = list(csv.DictReader(io.StringIO(site.vosd("cdr", "export").output)))
    assert [row["call_id"] for row in rows] == [call_id(2), call_id(1), call_id(3)]
    listed = site.document("cdr", "list")
    assert sorted(site.document("cdr", "export"), key=lambda each: each["call_id"]) == sorted(
        listed, key=lambda each: each["call_id"]
    )
    printed = site.vosd("cdr", "list", "--csv-raw").output.splitlines()
    assert sorted(site.vosd("cdr", "export").output.splitlines()) == sorted(printed)
    (last,) = site.document("cdr", "export", "--after", rows[1]["export_seq"])
    assert last["call_id"] == call_id(3)


def test_each_run_goes_on_where_the_one_before_ended(site):
    site.book(calls(1, 2))
    (first,) = site.export("--after", "0")
    assert site.export() == []
    site.book(calls(3))
    (second,) = site.export()
    assert (first["number"], first["rows"], second["number"], second["rows"]) == (1, 2, 2, 1)
    assert site.exported() == [call_id(1), call_id(2), call_id(3)]
    said = site.vosd("cdr", "export", "--after", "0", "--out", str(site.out))
    assert (said.stdout, said.exit_code) == ("nothing new\n", 0)
    assert "is for the first run only" in said.stderr


def test_a_run_that_wants_none_of_the_new_calls_goes_on_behind_them(site):
    """Old calls behind the position of an export are kept (retention)."""
    site.book(calls(1))
    assert len(site.export(profile="customers: [acme]")) == 1
    site.book([refused_call(2)])
    *_, newest = site.document("cdr", "export")
    assert site.export(profile="customers: [acme]") == []
    assert export_files.positions(site.out)["cdr"] >= newest["export_seq"]


def test_an_export_that_begins_behind_the_newest_call_goes_on_there(site):
    site.book(calls(1, 2))
    (*_, newest) = site.document("cdr", "export")
    assert site.export("--after", newest["export_seq"]) == []
    site.book(calls(3))
    (first,) = site.export()
    assert (first["rows"], site.exported()) == (1, [call_id(3)])


def test_a_manifest_says_what_its_file_holds(site):
    site.book([*calls(1, 2), refused_call(3)])
    (shown,) = site.export()
    (manifest,) = site.manifests()
    (file,) = site.files()
    assert manifest == shown
    rows = site.document("cdr", "list")
    assert manifest["file"] == file.name == f"cdr-{manifest['first']:012d}-{manifest['last']:012d}.csv"
    assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (manifest["bytes"], manifest["rows"], manifest["corrected_rows"]) == (file.stat().st_size, 3, 0)
    assert manifest["formulas_neutralised"] is False  # for programs
    assert [manifest["first"], manifest["last"]] == [pick(row["export_seq"] for row in rows) for pick in (min, max)]
    for key in ("fee", "tax", "cost", "cost_tax"):
        assert Decimal(manifest["sums"]["USD"][key]) == sum(Decimal(row[key]) for row in rows)
    assert file.stat().st_mode & 0o007 == 0, "it has telephone numbers"


def test_a_corrected_call_comes_again_and_the_manifest_says_so(site):
    site.book(calls(1, 2))
    site.export()
    site.correct(1, "0.01", "t1")
    columns = "columns: [call_id, fee, corrected]"
    (manifest,) = site.export(profile=columns)
    assert site.files()[1].read_text() == f"call_id,fee,corrected\n{call_id(1)},0.01,1\n"
    assert (manifest["rows"], manifest["corrected_rows"]) == (1, 1)
    assert manifest["corrected_sums"] == manifest["sums"]
    assert manifest["sums"]["USD"]["fee"] == "0.01"
    site.correct(1, "0.01", "t2")  # changes nothing
    assert site.export(profile=columns) == []
    assert site.vosd("ledger", "verify").exit_code == 0


PROFILE = """
name: billing
columns:
  - {title: Source, value: vosd-1}
  - {column: answered_at, title: Answer}
  - {column: callee_in, title: "B;Number"}
  - {column: fee, title: Fee}
  - node
delimiter: ";"
quoting: all
line_end: crlf
times: {format: "%d.%m.%Y %H:%M:%S", zone: Asia/Kolkata}
money: {decimals: 3, decimal_comma: yes}
answered_only: yes
customers: acme
max_rows: 2
compression: gzip
"""


def test_a_profile_says_how_files_look(site):
    others = [answered_call(index, customer_account="other", vendor_account="carrier") for index in (6, 7)]
    site.book([*calls(1), refused_call(2), *others, *calls(3, 4)])
    first, second = site.export(profile=PROFILE)
    assert (first["rows"], second["rows"], first["format"], first["compression"]) == (2, 1, "csv", "gzip")
    assert first["profile_sha256"] == hashlib.sha256(PROFILE.encode()).hexdigest()
    text = gzip.decompress(site.files()[0].read_bytes()).decode()
    header, row, *_, end = text.split("\r\n")
    assert header == '"Source";"Answer";"B;Number";"Fee";"node"'
    (shown,) = (each for each in site.document("cdr", "list") if each["call_id"] == call_id(1))
    cells = [cell.strip('"') for cell in row.split(";")]
    assert (cells[0], cells[2], cells[4], end) == ("vosd-1", shown["callee_in"], shown["node"], "")
    assert len(cells[3].partition(",")[2]) == 3
    assert cells[1].endswith(f":{shown['answered_at'][17:19]}")
    assert site.export(profile=PROFILE) == [], "the other calls are of no interest"


@pytest.mark.parametrize("key", ["customers", "vendors"])
def test_a_misspelt_account_in_a_profile_is_refused_and_passes_over_no_call(site, key):
    site.book(calls(1))
    site.profile.write_text(f"{key}: [acme, carrier, acmee]")
    refused = site.vosd("cdr", "export", "--profile", str(site.profile), "--out", str(site.out))
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no account 'acmee' is configured or recorded: did you mean 'acme'?" in refused.stderr
    (first,) = site.export(profile=f"{key}: [acme, carrier]")
    assert (first["rows"], site.exported()) == (1, [call_id(1)])


@pytest.mark.parametrize(("line_end", "end"), [("lf", "\n"), ("crlf", "\r\n")])
@pytest.mark.parametrize("quoting", ["minimal", "all"])
def test_line_ends_in_a_number_do_not_end_a_row(site, line_end, end, quoting):
    """The caller chooses it: <sip:10%0D00@…>."""
    numbers = ["10\r00", "10\n00", '10"00', "=1+1", "+4930123"]
    site.book([answered_call(index, caller_in=number) for index, number in enumerate(numbers)])
    profile = f"columns: [caller_in, node]\nquoting: {quoting}\nline_end: {line_end}"
    site.export(profile=profile)
    text = site.files()[0].read_bytes().decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [["caller_in", "node"], *([number, "sw1"] for number in numbers)]
    quote = '"' if quoting == "all" else ""
    assert text.endswith(f"{end}{quote}+4930123{quote},{quote}sw1{quote}{end}")
    listed = site.vosd("cdr", "list", "--csv-raw").stdout_bytes.decode()
    assert {row["caller_in"] for row in csv.DictReader(io.StringIO(listed, newline=""))} == set(numbers)


def test_json_lines_have_objects_and_numbers(site):
    site.book(calls(1))
    site.export(profile="{format: jsonl, columns: [call_id, started_at, attempts, charges, fee_breakdown, ringing_at],"
                " times: {format: epoch_ms}}")  # fmt: skip
    (line,) = site.files()[0].read_text().splitlines()
    (shown,) = site.document("cdr", "list")
    row = json.loads(line)
    assert {key: row[key] for key in ("call_id", "attempts", "charges", "fee_breakdown")} == {
        key: shown[key] for key in ("call_id", "attempts", "charges", "fee_breakdown")
    }
    assert isinstance(row["started_at"], int)


@pytest.mark.parametrize(
    ("profile", "line", "said"),
    [
        ("columns: [call_id, fea]", 1, "a column of calls, not 'fea'; did you mean 'fee'?"),
        ("name: a/b", 1, "letters, digits"),
        ("columns:\n  - call_id\n  - {colum: fee}", 3, "the name of a column, or {column: NAME, title: TEXT}"),
        ("columns: [fee, fee]", 1, "'fee' stands twice"),
        ("\nmax_rows: 0", 2, "a whole number from 1"),
        ("times: {zone: Europe/Berlim}", 1, "Europe/Berlin"),
        ("times: {format: today}", 1, "one of iso, epoch_ms, epoch, or a format"),
        ("times: {format: '%s'}", 1, "one of iso, epoch_ms, epoch, or a format"),
        ("times: {format: '%d %%%-010Es'}", 1, "one of iso, epoch_ms, epoch, or a format"),
        ("money: {decimal_comma: yes}", 1, "another delimiter"),
        ("delimiter: '\"'", 1, "one character, or tab"),
        ("colums: [fee]", 1, "did you mean 'columns'?"),
        ("columns: []", 1, "at least one column"),
    ],
)
def test_a_mistake_in_a_profile_has_its_line(site, profile, line, said):
    site.profile.write_text(profile)
    result = site.vosd("cdr", "export", "--profile", str(site.profile))
    assert result.exit_code == 3
    assert said in result.output
    assert f"profile.yaml:{line}" in result.output


def test_a_directory_that_is_missing_is_named(site):
    result = site.vosd("cdr", "export", "--out", str(site.out / "missing"))
    assert result.exit_code == 1
    assert "is no directory" in result.output


def test_a_file_of_another_user_is_named(site, monkeypatch):
    site.book(calls(1))
    lock = site.out / ".cdr.lock"

    def refuse(path, _mode=0):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(export_files, "open_private", refuse)
    result = site.vosd("cdr", "export", "--out", str(site.out))
    assert result.exit_code == 1
    assert f"{lock} cannot be written: Permission denied; give all of {site.out} to the user" in result.output


def test_a_file_that_fills_its_disk_is_removed_and_the_next_run_has_its_calls(site):
    numbers = range(1, 101)
    site.book(calls(*numbers))
    with mounted(site.out / "disk", "1m") as site.out:
        fill(site.out)
        ballast = site.out / "ballast"
        os.truncate(ballast, ballast.stat().st_size - 16_384)
        result = site.vosd("cdr", "export", "--out", str(site.out))
        assert result.exit_code == 1
        assert "No space left on device; the next run goes on where this one ended" in result.output
        left = os.statvfs(site.out)
        assert left.f_bavail * left.f_frsize == 16_384
        ballast.unlink()
        assert len(site.export()) == 1
        assert site.exported() == [call_id(number) for number in numbers]


def test_two_runs_do_not_export_to_one_directory_at_once(site):
    site.book(calls(1))
    with export_files.opened(site.out, "cdr"):
        result = site.vosd("cdr", "export", "--out", str(site.out))
    assert result.exit_code == 1
    assert "another run exports cdr" in result.output
    assert len(site.export()) == 1


def test_a_database_that_was_restored_is_refused(site):
    site.book(calls(1))
    earlier = site.database.read_bytes()
    site.book(calls(2, 3))
    site.export()
    site.go_back_to(earlier)
    result = site.vosd("cdr", "export", "--out", str(site.out))
    assert (result.exit_code, "its newest number is" in result.output) == (1, True)
    site.book(calls(4, 5, 6, 7))  # the numbers are given to others
    result = site.vosd("cdr", "export", "--out", str(site.out))
    assert (result.exit_code, "is another call's now" in result.output) == (1, True)
    assert len(site.files()) == 1


def run(killed_at: int, work) -> int:
    """Run in a process of its own, which is killed before a write to the disk."""
    steps = Steps(killed_at)

    def dying(act):
        def do(*arguments, **named):
            steps.step()
            return act(*arguments, **named)

        return do

    export_files.os = SimpleNamespace(**{**vars(os), "fsync": dying(os.fsync)})
    Path.replace = dying(Path.replace)
    return work()


@settings(max_examples=5, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(data=st.data())
def test_whenever_it_is_killed_every_number_is_in_one_file(tmp_path_factory, migrated, data):
    """A model: the calls booked and corrected so far, in the order of their numbers, are what the files hold."""
    site = Site(tmp_path_factory.mktemp("killed"), migrated)
    booked = corrections = 0
    site.profile.write_text("max_rows: 3")
    taken: dict[str, bytes] = {}
    words = ("cdr", "export", "--out", str(site.out), "--profile", str(site.profile))
    for _ in range(data.draw(st.integers(2, 4))):
        if count := data.draw(st.integers(0, 4)):
            site.book(calls(*range(booked + 1, booked + count + 1)))
            booked += count
        if booked and data.draw(st.booleans()):
            corrections += 1
            site.correct(data.draw(st.integers(1, booked)), f"1.{corrections:02d}", f"t{corrections}")
        is_killed(partial(run, data.draw(st.integers(1, 25)), lambda: site.vosd(*words).exit_code))
        for path in site.files():
            assert taken.setdefault(path.name, path.read_bytes()) == path.read_bytes(), "a file never changes"
    assert site.vosd(*words).exit_code == 0
    rows = [row for path in site.files() for row in csv.DictReader(io.StringIO(path.read_text()))]
    numbers = [int(row["export_seq"]) for row in rows]
    assert numbers == sorted(set(numbers)), "no number twice, and in order"
    newest = {row["call_id"]: row for row in rows}
    assert {key: row["fee"] for key, row in newest.items()} == {
        each["call_id"]: each["fee"] for each in site.document("cdr", "list", "--limit", "1000")
    }, "the newest row of every call has what it costs"
    manifests = site.manifests()
    assert [each["number"] for each in manifests] == list(range(1, len(manifests) + 1))
    assert [each["file"] for each in manifests] == [path.name for path in site.files()]
    for manifest, path in zip(manifests, site.files(), strict=True):
        assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(newest) == {call_id(index) for index in range(1, booked + 1)}
    assert set(rows[0]) == set(KEYS) if rows else not booked
