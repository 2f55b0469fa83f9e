"""CSV with cells of any text."""

import csv
import gc
import io
import time
import weakref
from itertools import product

import pytest

from vosd.base.csv_text import LINE_MAX, CsvWriter, bounded_lines, is_shortened, neutralised, unneutralised

CELLS = ["10\r00", "10\n00", "10\r\n00", '10"00', "10,00;00", "=1+1", "+4930123", "", "ends\r", "ends\r\n", " a "]


@pytest.mark.parametrize(
    ("end", "quotes_all", "delimiter"), list(product(["\n", "\r\n"], [False, True], [",", ";", "\t"]))
)
def test_rows_are_read_as_they_were_written(end, quotes_all, delimiter):
    out = io.StringIO(newline="")
    writer = CsvWriter(out, delimiter=delimiter, quotes_all=quotes_all, end=end)
    writer.row(CELLS)
    writer.rows([[cell, "1"] for cell in CELLS])
    text = out.getvalue()
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    assert read == [CELLS, *([cell, "1"] for cell in CELLS)]
    assert text.endswith(('1"' if quotes_all else "1") + end)


def test_only_what_needs_quotes_has_them():
    out = io.StringIO(newline="")
    CsvWriter(out).row(["=1+1", "+4930123", 'a"b', "10\r00", None, 7])
    assert out.getvalue() == '=1+1,+4930123,"a""b","10\r00",,7\n'


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+4930123", "'+4930123"),
        ("-cmd", "'-cmd"),
        ("@SUM(1)", "'@SUM(1)"),
        ("  =1", "'  =1"),
        ("'=1", "''=1"),
        ("'-7", "''-7"),
        ("''=1;'=1", "'''=1;''=1"),
        ("'s-Gravenhage", "'s-Gravenhage"),
        ("\t=1", "'\t'=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("Bob;=1+1", "Bob;'=1+1"),  # where the delimiter of the spreadsheet is the semicolon
        ("Bob\n=1+1", "Bob\n'=1+1"),
        ("-0.50", "-0.50"),
        ("-7", "-7"),
        ("1-2=3", "1-2=3"),
        ("", ""),
        (-0.5, -0.5),
        (None, None),
    ],
)
def test_for_people_no_cell_begins_a_formula(cell, shown):
    assert neutralised(cell) == shown
    if shown:
        assert unneutralised(str(shown)) == str(cell)
    out = io.StringIO(newline="")
    CsvWriter(out, for_people=True).rows([[cell, "x"]])
    assert [*csv.reader(io.StringIO(out.getvalue(), newline=""), strict=True)] == [
        ["" if shown is None else str(shown), "x"]
    ]


@pytest.mark.parametrize("blank", ["\t'", "\t", "\r\n"])
def test_a_cell_of_blanks_is_looked_at_once(blank):
    cells = [f"{blank * 100_000}{end}" for end in ("=1", "-", "x-1")]
    start_s = time.thread_time()
    for each in cells:
        assert unneutralised(neutralised(each)) == each
        unneutralised(each)
    assert time.thread_time() - start_s < 10  # each took minutes


@pytest.mark.parametrize("cell", ["4.42012E+11", "4,42012E+11", "4E+11", "1.2e+012"])
def test_a_number_that_a_spreadsheet_has_shortened_is_known(cell):
    assert is_shortened(cell)


@pytest.mark.parametrize(
    "cell", ["442012345678", "12E45", "E+11", "INV-1E+5", "4.42012E+11-2", "44.2E+11", "4E-11", ""]
)
def test_a_number_or_name_of_another_form_is_not_shortened(cell):
    assert not is_shortened(cell)


def test_a_line_without_end_is_not_read_into_memory():
    text = io.StringIO("a,b\n" + "x" * LINE_MAX + "\nc,d\n")
    rows = csv.reader(bounded_lines(text))
    assert next(rows) == ["a", "b"]
    with pytest.raises(csv.Error, match="at most 1048576 characters"):
        next(rows)
    assert text.tell() == 4 + LINE_MAX
    assert [*csv.reader(bounded_lines(io.StringIO("a\r\nb\n\nc", newline="")))] == [["a"], ["b"], [], ["c"]]


def test_what_was_written_stays_in_memory_no_longer_than_its_writer():
    """A process that exports collects garbage once in 50,000 objects, which are the text of hundreds of pages."""
    text = io.StringIO()
    there = weakref.ref(text)
    gc.disable()
    try:
        CsvWriter(text, for_people=True).rows([["a", "b"]])
        del text
        assert there() is None
    finally:
        gc.enable()
