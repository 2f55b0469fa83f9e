"""Lines that are cut at their delimiters have the cells, numbers and mistakes that the csv module finds in them."""

import csv
from io import StringIO

import pytest
from hypothesis import example, given, strategies as st

from vosd.config.assembly import rate_cells
from vosd.config.assembly.rate_cells import Body, BrokenLineError

HEADER = "prefix,billing_rate\n"
LINES = st.lists(
    st.sampled_from(["44,0.5", "1,2", "M\u00fcnchen,1", "", ",", "1", "1,2,3", '"a,b",1', '"two\nlines",1', '"',
                     'a"b,1', '"a"b,1', "44;0.5", "\t", "1,2\r3,4", "\u2028,1", "\x0b,\x1c", "\0,1", "a" * 40 + ",1"]),
    max_size=30,
)  # fmt: skip
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])


def by_csv(text: str) -> tuple[list[tuple[int, list[str]]], str | None]:
    """Return the lines that are left of a text, with their numbers, and the mistake that ends it."""
    found: list[tuple[int, list[str]]] = []
    lines = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        found.extend((lines.line_num, cells) for cells in lines)
    except csv.Error as error:
        return found[1:], f"{lines.line_num}: {error}"
    return found[1:], None


def by_parts(text: str, width: int) -> tuple[list[tuple[int, list[str]]], str | None]:
    found: list[tuple[int, list[str]]] = []
    try:
        for part in Body(text.encode(), len(HEADER), 1, ",", width).parts():
            assert len(part.columns) == width
            fitting = zip(part.lines, zip(*part.columns, strict=True), strict=True)
            rows = [*((line, [*cells]) for line, cells in fitting), *((line, [*cells]) for cells, line in part.odd)]
            assert all(len(cells) != width for cells, _ in part.odd)
            found += sorted(rows, key=lambda row: row[0])
    except BrokenLineError as error:
        return found, f"{error.line}: {error}"
    return found, None


@pytest.mark.parametrize("size", [1, 30, 1 << 16])
@given(lines=LINES, ends=st.lists(ENDS, min_size=1, max_size=3), is_ended=st.booleans())
@example(lines=["44,0.5"] * 20, ends=["\n"], is_ended=False)
@example(lines=["44,0.5"] * 20 + [""], ends=["\r\n"], is_ended=True)
@example(lines=["44,0.5"] * 9 + ['"x', "44,0.5", 'y",1'] + ["44,0.5"] * 9, ends=["\n"], is_ended=True)
def test_a_file_in_parts_has_the_lines_of_the_whole(size, lines, ends, is_ended):
    text = HEADER + "".join(line + ends[place % len(ends)] for place, line in enumerate(lines))
    if not is_ended:
        text = HEADER + text.removeprefix(HEADER).rstrip("\r\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_cells, "BYTES_AT_ONCE", size)
        assert by_parts(text, 2) == by_csv(text)


def test_a_cell_that_is_longer_than_csv_allows_is_refused_where_it_stands():
    text = HEADER + "44,0.5\n" + "1" * (csv.field_size_limit() + 1) + ",0.5\n45,0.5\n"
    found, mistake = by_parts(text, 2)
    assert ([line for line, _ in found], mistake) == ([2], "3: field larger than field limit (131072)")
    assert by_csv(text) == (found, mistake)
