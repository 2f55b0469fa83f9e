"""Workbooks whose cells are not all that a spreadsheet shows: merged cells, hidden sheets and rows, number formats."""

from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import pytest
import xlsxwriter
from doubles.forked_program import Subprocesses
from xlsxwriter.worksheet import Worksheet

from vosd.config.decks import workbooks
from vosd.config.decks.conversion import HEADER, SheetReader
from vosd.config.decks.number_formats import format_of
from vosd.config.decks.sheet_map import SheetMapKeys, parse_map
from vosd.config.decks.sheets import SheetFile
from vosd.config.decks.sorting import in_order
from vosd.config.decks.workbook_errors import UnusualWorkbookError, unusual_in
from vosd.config.decks.workbooks import SheetError
from vosd.config.keys.rates import PricePer

TITLES = ["prefix", "area", "billing_rate", "connection_fee", "tax_rate"]
CODES = ["44", "4420", "447"]


class Desk:
    """Writes workbooks, and reads their first sheet for a rate group in euros."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.book = xlsxwriter.Workbook(path)
        self.mistakes: list[tuple[int, str, str | None]] = []
        self.assumed: list[str] = []

    def page(self, *rows: list[object], name: str = "Rates") -> Worksheet:
        page = self.book.add_worksheet(name)
        for number, cells in enumerate([TITLES, *rows]):
            page.write_row(number, 0, cells)
        return page

    def read(self, keys: SheetMapKeys | None = None) -> list[dict[str, str]]:
        if not self.book.fileclosed:
            self.book.close()
        reader, file = SheetReader("rates.xlsx", PricePer.MINUTE, keys, currency="EUR"), SheetFile(self.path)
        assert file.header(1, None, None)
        lines = [*in_order(reader.lines(file.lines(1, None, None, reader.assumed)))]
        self.mistakes = [(each.line, each.key, each.value) for each in reader.problems]
        self.assumed = [str(each) for each in reader.assumed.in_order()]
        cells = [line.rpartition("\t")[0].split(",") for line in lines]
        return [{name: cell for name, cell in zip(HEADER.split(","), each, strict=True) if cell} for each in cells]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(workbooks, "subprocess", Subprocesses)
    return Desk(tmp_path / "rates.xlsx")


def test_a_value_that_is_merged_over_rows_is_that_of_each_of_them(desk: Desk) -> None:
    page = desk.page(*([code, "UK"] for code in CODES))
    page.merge_range("C2:C4", 0.0125)
    page.merge_range("B2:B3", "United Kingdom")
    rates = desk.read()
    assert [(each["area"], each["billing_rate"]) for each in rates] == [
        ("United Kingdom", "0.0125"),
        ("United Kingdom", "0.0125"),
        ("UK", "0.0125"),
    ]
    assert desk.assumed == [
        "line 3, area 'United Kingdom': the value of the merged cell",
        "line 3, billing_rate '0.0125': the value of the merged cell",
    ]


def test_a_value_that_may_be_that_of_either_column_is_refused(desk: Desk) -> None:
    page = desk.page(["44", "UK", 0.01], ["45", "DK"], ["46"])
    page.merge_range("C3:D3", 0.02)
    page.merge_range("A4:B4", "46")
    page.write("C4", 0.03)
    assert [each["prefix"] for each in desk.read()] == ["44"]
    assert desk.mistakes == [(3, "connection_fee", "#MERGED"), (4, "area", "#MERGED")]


@pytest.mark.parametrize(("merged", "hidden"), [("C2:C3", [3]), ("B2:C2", [2]), ("C1:C3", [2, 3]), ("C4:C4", [])])
def test_a_price_that_a_merged_cell_hides_is_refused(desk: Desk, merged: str, hidden: list[int]) -> None:
    """A spreadsheet shows the first cell of a range alone; others may have values that were there before."""
    first = {"C2:C3": ["44", "UK", ""], "B2:C2": ["44", "", 0.01]}.get(merged, ["44", "UK", 0.01])
    desk.page(first, ["45", "DK", 0.02], ["46", "SE", 0.03])
    merge(desk, merged)
    desk.read()
    assert desk.mistakes == [(line, "billing_rate", "#MERGED") for line in hidden]


@pytest.mark.parametrize(
    ("merged", "prices", "hidden"),
    [
        (["A2:A3", "C2:C3"], {"44": "0.01", "46": "0.03"}, [3]),
        (["A2:C2"], {"45": "0.02", "46": "0.03"}, [2]),
        (["A2:C3"], {"46": "0.03"}, [2, 3]),
    ],
)
def test_a_price_under_merged_cells_with_a_value_is_no_rate(
    desk: Desk, merged: list[str], prices: dict[str, str], hidden: list[int]
) -> None:
    desk.page(["44", "", 0.01], ["45", "", 0.02], ["46", "SE", 0.03])
    merge(desk, *merged)
    assert {each["prefix"]: each["billing_rate"] for each in desk.read()} == prices
    assert {line for line, _, written in desk.mistakes if written == "#MERGED"} == {*hidden}


def merge(desk: Desk, *merged: str) -> None:
    """Merge cells that all have values, which the writer of workbooks does not do."""
    desk.book.close()
    with ZipFile(desk.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
    cells = f'</sheetData><mergeCells count="{len(merged)}">{ranges}</mergeCells>'.encode()
    members["xl/worksheets/sheet1.xml"] = members["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", cells)
    with ZipFile(desk.path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_rows_of_nothing_but_merged_cells_are_read_by_the_same_rules(desk: Desk) -> None:
    page = desk.page(["44"], *[[]] * 4)
    page.merge_range("C2:C3", 0.02)
    page.merge_range("A3:A4", 45)
    page.write("C4", 0.03)
    page.merge_range("A5:B5", 46)
    page.merge_range("C5:D5", 0.04)
    assert [(each["prefix"], each["billing_rate"]) for each in desk.read()] == [
        ("44", "0.02"),
        ("45", "0.02"),
        ("45", "0.03"),
    ]
    assert desk.mistakes == [(5, "area", "#MERGED"), (5, "connection_fee", "#MERGED")]


def test_a_merged_note_behind_the_rates_is_a_footer_and_a_row_of_two_lines_is_one_rate(desk: Desk) -> None:
    page = desk.page(["44", "UK", 0.01])
    for column, value in enumerate(["45", "DK", 0.02, 0.5, 19]):
        page.merge_range(2, column, 3, column, value)
    page.merge_range("A6:E7", "Valid from 2026-12-01, without VAT")
    assert [(each["prefix"], each["billing_rate"]) for each in desk.read()] == [("44", "0.01"), ("45", "0.02")]
    assert desk.mistakes == []
    assert [each.split(":")[0] for each in desk.assumed] == ["line 6, 'Valid from 2026-12-01, without VAT'"]


def test_a_zero_of_a_sheet_that_shows_none_is_refused(desk: Desk) -> None:
    page = desk.page(["44", "UK", 0], ["45", "DK", 0.02, "0"], ["46", "SE", 0.03, 0.0])
    page.hide_zero()
    desk.read()
    assert desk.mistakes == [(2, "billing_rate", "#FORMAT"), (4, "connection_fee", "#FORMAT")]


def test_the_first_visible_sheet_is_read_and_named(desk: Desk) -> None:
    desk.page(["44", "", 0.01], name="November").hide()
    desk.page(["44", "", 0.02], name="December").activate()
    assert [each["billing_rate"] for each in desk.read()] == ["0.02"]
    assert desk.assumed == ["sheet 'December': the first visible one of 2 sheets"]


def test_hidden_rows_are_read_and_named(desk: Desk) -> None:
    page = desk.page(*([code, "", 0.01] for code in CODES))
    for row in (2, 3, 900):
        page.set_row(row, options={"hidden": True})
    assert len(desk.read()) == 3
    assert desk.assumed == ["line 3: hidden rows are read as others"]


FORMATS = [
    ("0%", 0.1, "10%"),
    ("0.00%", 0.07, "7%"),
    ("[$€-2] 0.0000", 1.2, "€ 1.2"),
    ('_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)', -12.5, "$-12.5"),
    ('_-* #,##0.00\\ "€"_-;\\-* #,##0.00\\ "€"_-;_-* "-"??\\ "€"_-;_-@_-', 0.0, "0 €"),
    ("000000", 12345.0, "012345"),
    ("000\\-00\\-0000", 123.0, "000000123"),
    ('"44"0', 20.0, "4420"),
    ('0" sec"', 30.0, "30 sec"),
    ('0.00;-0.00;"blocked"', 0.0, "blocked"),
    ("0.0,", 12500.0, "#FORMAT"),
    ("#,##0,.000", 12.0, "#FORMAT"),
    ("0\\.0000", 12.0, "#FORMAT"),
    ('0"."0000', 12.0, "#FORMAT"),
    ('0","00', 12.0, "#FORMAT"),
    (";;;", 5.0, "#FORMAT"),
    ("0.00;;", 5.0, "5"),
    ("0.00;;", -5.0, "#FORMAT"),
    ("0.0000;", 0.0, "0"),
    ('0.00;"none"', -5.0, "#FORMAT"),
    ("[<5]0.00;0.00%", 5.0, "#FORMAT"),
    ('0"44"0', 12.0, "#FORMAT"),
    ("0.00;;", 0.0, "#FORMAT"),
    ("0.00;-0.00;", 0.0, "#FORMAT"),
    ("0.00;-0.00;#", 0.0, "#FORMAT"),
    ("#,###", 0.0, "#FORMAT"),
    ("#.####", 0.5, "0.5"),
    ('"Rs."0.00', 1.5, "Rs.1.5"),
    ('0.00;-0.00;"Closed"??', 0.0, "Closed"),
    ('0.00;-0.00;"free" 0.00', 0.0, "free 0"),
    ('0.00 "kr";-0.00 "kr";"-"?? "kr"', 0.0, "0 kr"),
    ("0.00_),", 1200.0, "#FORMAT"),
    ("0.00%,", 1200.0, "#FORMAT"),
    ('0.00"0"', 5.0, "#FORMAT"),
    ('0"00"', 44.0, "4400"),
    ('0"00"', 44.5, "#FORMAT"),
    ('"0."0000', 79.0, "0.0079"),
    ('"0."0000', 79.5, "#FORMAT"),
]
PLAIN = [
    "General",
    "@",
    "0",
    "#,##0.00",
    "#,##0.00_);[Red](#,##0.00)",
    '0.00;-0.00;"-"',
    "0.00E+00",
    "# ?/?",
    "dd/mm/yyyy",
]


@pytest.mark.parametrize(("code", "number", "shown"), FORMATS)
def test_a_number_is_read_with_what_its_format_shows_around_it(code: str, number: float, shown: str) -> None:
    found = format_of(code)
    assert found is not None
    assert found.shown(Decimal(repr(number))) == shown


@pytest.mark.parametrize("code", PLAIN)
def test_a_format_that_shows_digits_alone_changes_nothing(code: str) -> None:
    assert format_of(code) is None


@pytest.mark.parametrize("part", ["[$", "0", ".", '"'])
def test_a_code_that_no_spreadsheet_has_takes_no_time_and_is_unclear(part: str) -> None:
    found = format_of(part * 20_000)
    assert found is not None
    assert found.shown(Decimal(1)) == "#FORMAT"


def test_percentages_currencies_and_zeros_in_front_of_a_workbook_are_read_as_those_of_a_csv_file(desk: Desk) -> None:
    page = desk.page(["", "", 0.01], ["45", "DK"], ["46", "SE", 0.03, 0.5])
    page.write("A2", 44, desk.book.add_format({"num_format": "0000"}))
    page.write("C3", 0.02, desk.book.add_format({"num_format": "[$€-407] 0.0000"}))
    page.write("E3", 0.075, desk.book.add_format({"num_format": "0.0%"}))
    page.write("C4", 0.03, desk.book.add_format({"num_format": '0.00 "kr"'}))
    page.write("D4", 0.5, desk.book.add_format({"num_format": 44}))
    first, second = desk.read()
    assert (first["prefix"], second["billing_rate"], second["tax_rate"]) == ("0044", "0.02", "7.5")
    assert desk.mistakes == [(4, "billing_rate", "0.03 kr"), (4, "connection_fee", "¤0.5")]
    assert desk.assumed == ["line 3, billing_rate '€ 0.02': an amount in EUR"]


def test_a_percentage_of_a_workbook_is_read_where_the_comma_is_decimal(desk: Desk) -> None:
    desk.page(["44", "UK", 0.01]).write("E2", 0.075, desk.book.add_format({"num_format": "0.0%"}))
    columns = "{prefix: prefix, billing_rate: billing_rate, tax_rate: tax_rate}"
    keys = parse_map(f"columns: {columns}\ndecimal: ','", "map.yaml")
    assert [each["tax_rate"] for each in desk.read(keys)] == ["7.5"]


def test_a_conditional_format_of_the_same_number_is_not_that_of_a_cell(desk: Desk) -> None:
    page = desk.page(["44", "UK"])
    page.write("C2", 0.5, desk.book.add_format({"num_format": "0.000"}))
    desk.book.close()
    with ZipFile(desk.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    conditional = b'<dxfs count="1"><dxf><numFmt numFmtId="164" formatCode="0.0,"/></dxf></dxfs>'
    members["xl/styles.xml"] = members["xl/styles.xml"].replace(b'<dxfs count="0"/>', conditional)
    assert conditional in members["xl/styles.xml"]
    with ZipFile(desk.path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert [each["billing_rate"] for each in desk.read()] == ["0.5"]


def by_hand(path: Path, sheet: str, styles: int) -> Path:
    """Write a workbook that has a sheet and some styles that show words, and nothing else."""
    identifiers = range(200, 200 + styles)
    codes = (f'<numFmt numFmtId="{each}" formatCode="0 &quot;x&quot;"/>' for each in identifiers)
    cells = (f'<xf numFmtId="{each}"/>' for each in identifiers)
    parts = {
        "workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="Rates" sheetId="1" r:id="a"/></sheets></workbook>',
        "_rels/workbook.xml.rels": '<Relationships><Relationship Id="a" Type="x/worksheet" Target="sheet.xml"/>'
        '<Relationship Id="b" Type="x/styles" Target="styles.xml"/></Relationships>',
        "styles.xml": f"<styleSheet><numFmts>{''.join(codes)}</numFmts>"
        f'<cellXfs><xf numFmtId="0"/>{"".join(cells)}</cellXfs></styleSheet>',
        "sheet.xml": sheet,
    }
    with ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"xl/{name}", content)
    return path


@pytest.mark.parametrize("part", [61, 1 << 20])
@pytest.mark.parametrize("styles", [3, 60])
def test_cells_are_found_wherever_a_part_of_the_sheet_ends(tmp_path, monkeypatch, part, styles):
    monkeypatch.setattr("vosd.config.decks.workbook_errors._PART", part)
    rows = "".join(
        f'<x:row hidden="1" r="{row}"><x:c r="A{row}" s="{row % 5}"><x:v>1</x:v></x:c>'
        f'<x:c r="B{row}"><x:f>IF(A1="a:c",":row ")</x:f><x:v/></x:c><x:c s="1" t="e" r="C{row}"><x:v>#N/A</x:v></x:c>'
        f'<x:c r="D{row}" s="2"/></x:row>'
        for row in range(1, 40)
    )
    found = unusual_in(str(by_hand(tmp_path / "a.xlsx", f"<x:worksheet>{rows}</x:worksheet>", styles)), "Rates")
    assert found.unusable == {(row, column) for row in range(1, 40) for column in (2, 3)}
    assert found.hidden == {*range(1, 40)}
    shown = {row: [column for column, _ in cells] for row, cells in found.formats.items()}
    assert shown == {row: [1, 3] if row % 5 and row % 5 <= styles else [3] for row in range(1, 40)}


@pytest.mark.parametrize("text", ["<c ", '<c t="e" ', "<c><f> ", "<row ", "<x:c "])
def test_a_sheet_that_is_made_to_take_long_does_not(tmp_path, text):
    sheet = f"<worksheet><!--{text * 300_000}< --><sheetData/></worksheet>"
    assert not unusual_in(str(by_hand(tmp_path / "a.xlsx", sheet, 3)), "Rates").unusable


def test_what_stands_behind_the_rows_may_be_long_and_a_cell_may_not(tmp_path):
    links = "<hyperlink ref='A1'/>" * 300_000
    rows = "<row r='1'><c r='A1' s='1'><v>1</v></c><c r='B1' s='1'/></row>"
    assert unusual_in(str(by_hand(tmp_path / "a.xlsx", f"<worksheet>{rows}{links}</worksheet>", 3)), "Rates").formats
    with pytest.raises(UnusualWorkbookError):
        unusual_in(str(by_hand(tmp_path / "b.xlsx", f"<worksheet><row><c>{links}</worksheet>", 3)), "Rates")


def test_a_workbook_with_a_wrong_byte_is_refused_as_one(desk: Desk) -> None:
    desk.page(["44", "UK", 0.01])
    desk.book.close()
    whole = desk.path.read_bytes()
    with ZipFile(desk.path) as archive:
        sheet = archive.getinfo("xl/worksheets/sheet1.xml")
    version = whole.index(b"PK\x01\x02") + 6
    for place in (version, sheet.header_offset + 30 + len(sheet.filename) + 20):
        desk.path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x61]) + whole[place + 1 :])
        with pytest.raises(SheetError, match=r"expected a workbook as spreadsheets write it|expected an XLSX file"):
            SheetFile(desk.path).header(1, None, None)


@pytest.mark.parametrize("rows", [b"<row/>" * 1_048_575, b'<row r="1048577"><c r="A1048577"><v>44</v></c></row>'])
def test_a_sheet_with_more_rows_than_spreadsheets_have_is_refused_before_its_rows_are_read(
    desk: Desk, rows: bytes
) -> None:
    desk.page(["44", "UK", 0.01])
    desk.book.close()
    with ZipFile(desk.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = members[sheet].replace(b"</sheetData>", rows + b"</sheetData>")
    with ZipFile(desk.path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(SheetError, match="expected a workbook as spreadsheets write it"):
        SheetFile(desk.path).header(1, None, None)
