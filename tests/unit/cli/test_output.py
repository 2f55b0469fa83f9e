"""Results for people and for programs."""

import json

import pytest

from vosd.cli import output


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


def test_remarks_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    output.remark("balances are not judged")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "balances are not judged\n")
