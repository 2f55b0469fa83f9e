"""Results for people and for programs."""

import io
import json
import sys
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from vosd.admin.office.jobs import JobKind
from vosd.cli import output
from vosd.cli.csv_form import csv_writer
from vosd.cli.output import ScreenColumn
from vosd.storage.jobs import JobState


def test_a_document_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    output.document([{"fee": "0.01", "callee": "44"}])
    captured = capsys.readouterr()
    assert json.loads(captured.out) == [{"fee": "0.01", "callee": "44"}]
    assert captured.err == ""


def test_a_table_puts_figures_to_the_right_and_leaves_no_trailing_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("reason", "fee"), [("Normal", "12.50"), ("Busy", None)], empty="no calls")
    assert capsys.readouterr().out.splitlines() == ["reason    fee", "Normal  12.50", "Busy"]


def test_a_row_that_is_piped_is_never_folded(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("memo",), [("word " * 100,)], empty="")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_no_rows_are_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("reason",), [], empty="no calls")
    assert capsys.readouterr().out == "no calls\n"


def test_a_dialled_escape_sequence_does_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("callee",), [("44\x1b[2J",)], empty="")
    output.sheet({"callee": "44\x1b[2J[bold]"})
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"44\x1b[2J[bold]" in out


@pytest.mark.parametrize("is_screen", [True, False])
def test_csv_that_people_read_does_not_control_their_terminal(monkeypatch: pytest.MonkeyPatch, is_screen: bool) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(printed, "isatty", lambda: is_screen)
    monkeypatch.setattr(sys, "stdout", printed)
    csv_writer("raw").row(["\x1b]0;gone\x07 50 \u20ac", "a\nb\tc", "\x9b2J\rd", "\u202e001"])
    written = '\x1b]0;gone\x07 50 \u20ac,"a\nb\tc","\x9b2J\rd",\u202e001\n'
    escaped = '\\x1b]0;gone\\x07 50 \u20ac,"a\nb\tc","\\x9b2J\\rd",\\u202e001\n'
    assert printed.getvalue() == (escaped if is_screen else written)


def test_json_does_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"memo": "\x9b2J\x7f\x1b \u20ac\u00a0\u202e001\u2069"}
    output.document(value)
    array = output.Documents()
    array.add(value)
    array.close()
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").replace("\u00a0", "").isprintable()
    assert json.loads(printed[: printed.index("[")]) == value
    assert json.loads(printed[printed.index("[") :]) == [value]


def test_what_programs_read_is_utf_8_though_the_locale_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="latin-1", errors="backslashreplace"))
    csv_writer("raw").rows([("中", "é")])
    documents = output.Documents()
    documents.add("😀")
    documents.close()
    output.document("中")
    sys.stdout.flush()
    assert printed.getvalue().decode() == '中,é\n[\n  "😀"\n]\n"中"\n'


def test_remarks_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    output.remark("balances are not judged")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "balances are not judged\n")


@pytest.mark.parametrize("items", [[], [{"fee": "0.01"}], [{"fee": "0.01", "attempts": [{"code": 200}]}, {}, "text\n"]])
def test_documents_one_by_one_are_the_document_of_all(items: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    output.document(items)
    whole = capsys.readouterr().out
    array = output.Documents()
    for item in items:
        array.add(item)
    array.close()
    assert capsys.readouterr().out == whole


CALL = (
    ScreenColumn("id"),
    ScreenColumn("caller", narrowest=8),
    ScreenColumn("to", rank=1, narrowest=4),
    ScreenColumn("code", rank=2, is_figure=True),
    ScreenColumn("s", is_figure=True),
)


def lines_of(capsys: pytest.CaptureFixture[str], row: tuple[object, ...], width: int) -> list[str]:
    output.listing(CALL, [row], width, empty="")
    return capsys.readouterr().out.splitlines()


def test_a_listing_leaves_out_what_matters_least_where_the_screen_is_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    row = ("01a0c450", "+493012345", "carrier-a", 200, 60)
    assert lines_of(capsys, row, 80) == [
        "id       caller     to        code  s",
        "01a0c450 +493012345 carrier-a  200 60",
    ]
    assert lines_of(capsys, row, 35)[0].split() == ["id", "caller", "to", "s"]
    assert lines_of(capsys, row, 25)[0].split() == ["id", "caller", "s"]


def test_a_listing_cuts_long_cells_where_that_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    row = ("01a0c450", "+4930123456789", "carrier-a", 200, 60)
    assert lines_of(capsys, row, 22)[1] == "01a0c450 +49301234… 60"
    assert max(map(len, lines_of(capsys, row, 20))) <= 20
    assert max(map(len, lines_of(capsys, row, 18))) <= 18


def test_a_listing_counts_wide_characters_as_the_screen_does(capsys: pytest.CaptureFixture[str]) -> None:
    (_, line) = lines_of(capsys, ("01a0c450", "東京都港区六本木", "to", 200, 60), 22)
    assert cell_len(line) <= 22


def test_a_dialled_escape_sequence_does_not_reach_the_terminal_from_a_listing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "\x1b" not in "".join(lines_of(capsys, ("01a0c450", "\x1b[2J", "to", 200, 60), 80))


def test_states_are_printed_as_the_words_of_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    row = SimpleNamespace(kind=JobKind.CDR_EXPORT, state=JobState.DONE)
    output.records(("kind", "state"), [row], empty="")
    assert capsys.readouterr().out.split() == ["kind", "state", "cdr_export", "done"]
