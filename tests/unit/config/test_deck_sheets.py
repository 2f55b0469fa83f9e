"""Sheets as vendors send them, to lines of a deck: columns, codes, amounts, dates, and what is refused."""

import re
import resource
import signal
import subprocess
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from doubles.forked_program import Subprocesses
from doubles.workbook import Raw, xlsx

from vosd.base.csv_text import neutralised
from vosd.catalogue.problems import ConfigError
from vosd.config.decks import workbooks
from vosd.config.decks.conversion import BAD_ROWS_NAMED, HEADER, SheetReader
from vosd.config.decks.instants import instant_reader
from vosd.config.decks.sheet_map import SheetMapKeys, read_map
from vosd.config.decks.sheets import lines_of
from vosd.config.decks.sorting import in_order
from vosd.config.decks.workbooks import SheetError
from vosd.config.keys.rates import PricePer
from vosd.config.reader.fields import ExpectedError

NAMES = HEADER.split(",")


class Read:
    """What a sheet was read as."""

    def __init__(
        self, path: Path, sheet_map: SheetMapKeys | None = None, effective: str = "", **kind: PricePer
    ) -> None:
        self.reader = SheetReader(str(path), kind.get("price_per", PricePer.MINUTE), sheet_map, effective)
        keys = sheet_map
        lines = lines_of(path, header_line=keys.header_line if keys else 1, sheet=keys.sheet if keys else None)
        self.lines = [*self.reader.each_once(in_order(self.reader.lines(lines)))]

    @property
    def rates(self) -> list[dict[str, str]]:
        return [{name: cell for name, cell in zip(NAMES, line.split(","), strict=True) if cell} for line in self.lines]

    @property
    def mistakes(self) -> list[tuple[int, str, str | None]]:
        return [(each.line, each.key, each.value) for each in self.reader.problems]


@pytest.fixture(autouse=True)
def _forked(monkeypatch):
    monkeypatch.setattr(workbooks, "subprocess", Subprocesses)


@pytest.fixture
def sheet(tmp_path):
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "rates.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def mapped(tmp_path):
    def write(text: str) -> SheetMapKeys:
        path = tmp_path / "map.yaml"
        path.write_text(text)
        return read_map(path)

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_csv_is_read_with_any_delimiter_and_with_a_byte_order_mark(sheet, encoding, delimiter, line_end):
    text = line_end.join(delimiter.join(row) for row in (("prefix", "billing_rate"), ("44", "0.012"), ("1", "0.0045")))
    read = Read(sheet(text, encoding))
    assert read.rates == [{"prefix": "1", "billing_rate": "0.0045"}, {"prefix": "44", "billing_rate": "0.012"}]
    assert not read.mistakes


@pytest.mark.parametrize("said", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_line_with_the_delimiter_may_stand_above_the_header(sheet, said, line_end):
    text = line_end.join((said, "prefix;area;billing_rate", "44;UK;1", "45;;x", ""))
    read = Read(sheet(text))
    assert [rate["prefix"] for rate in read.rates] == ["44"]
    assert read.mistakes == [(4, "billing_rate", "x")]


@pytest.mark.parametrize(("name", "start"), [("rates.xls", b"\xd0\xcf\x11\xe0\xa1\xb1"), ("rates.ods", b"PK\x03\x04")])
def test_a_workbook_of_another_kind_is_refused_with_what_to_do(tmp_path, name, start):
    (tmp_path / name).write_bytes(start)
    with pytest.raises(SheetError, match="save the sheet as XLSX, or as CSV UTF-8"):
        Read(tmp_path / name)


def test_prices_keep_their_digits(sheet):
    read = Read(sheet("prefix,billing_rate\n1,0.010\n2,0.00000001\n3,7\n"))
    assert [rate["billing_rate"] for rate in read.rates] == ["0.010", "0.00000001", "7"]


def test_the_names_of_another_switch_are_accepted_and_values_get_one_form(sheet):
    read = Read(sheet("Rate_Prefix,Area_Name,Rate_Type,billing_rate,billing_cycle,tax_rate\n44,UK,NET,1,060,0.00\n"))
    assert read.rates == [
        {"prefix": "44", "area": "UK", "rate_type": "net", "billing_rate": "1", "billing_cycle": "60"}
    ]


def test_the_prefix_that_names_the_area_is_kept(sheet):
    read = Read(sheet("prefix,area,area_prefix,billing_rate\n44,UK,,1\n4420,,44,2\n4421,,London,2\n"))
    assert [(rate["prefix"], rate.get("area_prefix")) for rate in read.rates] == [("44", None), ("4420", "44")]
    assert "area_prefix" in read.mistakes[0]


@pytest.mark.parametrize("area", ["=cmd", "+1 Canada", "-x", "@home", "  =cmd", "UK;=1+1", "'=cmd"])
def test_an_area_comes_back_from_a_download_for_a_spreadsheet_as_it_was(sheet, area):
    (rate,) = Read(sheet(f'prefix,area,billing_rate\n44,"{neutralised(area)}",1\n')).rates
    assert rate["area"] == area.strip()


def test_an_area_keeps_an_apostrophe_of_its_own(sheet):
    (rate,) = Read(sheet("prefix,area,billing_rate\n44,'s-Gravenhage,1\n")).rates
    assert rate["area"] == "'s-Gravenhage"


def test_quotes_stay_around_an_area_with_a_comma(sheet):
    (line,) = Read(sheet('prefix;area;billing_rate\n44;"London, ""City""";1\n')).lines
    assert '"London, ""City"""' in line


def test_a_blank_price_closes_the_prefix(sheet):
    read = Read(sheet("prefix,billing_rate,locked\n44,,\n45,0.01,yes\n46,0.01,no\n"))
    assert [(rate["prefix"], rate.get("locked")) for rate in read.rates] == [("44", "yes"), ("45", "yes"), ("46", None)]


@pytest.mark.parametrize(
    "price", ["1e-3", "4.4E+10", "1,234.5", "1 234", "-0.01", "0.123456789", "$0.01", "1'000", "0,012", "inf"]
)
def test_what_is_no_plain_amount_is_refused(sheet, price):
    read = Read(sheet(f'prefix,billing_rate\n44,"{price}"\n'))
    assert read.mistakes == [(2, "billing_rate", price)]
    assert not read.lines


@pytest.mark.parametrize("prefix", ["4.4E+10", "++44", "44a", "", "44-", "45-44", "4-44", "1" * 33, "44.0", "٤٤"])
def test_what_is_no_code_is_refused(sheet, prefix):
    read = Read(sheet(f"prefix,billing_rate\n{prefix},0.01\n"))
    assert [(line, key) for line, key, _ in read.mistakes] == [(2, "prefix")]


def test_every_bad_row_is_named_by_line_column_and_value(sheet):
    text = "prefix,billing_rate,billing_cycle,rate_type,area\n44,x,60,net,a\n45,1,0,lunar,b\n46,1,60\n\n47,1,60,net,c\n"
    read = Read(sheet(text))
    assert read.mistakes == [
        (2, "billing_rate", "x"),
        (3, "rate_type", "lunar"),
        (3, "billing_cycle", "0"),
        (4, "", None),
    ]
    assert (read.reader.bad_rows, read.reader.rows) == (3, 1)


def test_bad_rows_are_counted_where_they_are_too_many_to_be_named(sheet):
    rows = "".join(f"{number},x\n" for number in range(BAD_ROWS_NAMED + 50))
    read = Read(sheet(f"prefix,billing_rate\n{rows}"))
    assert read.reader.bad_rows == BAD_ROWS_NAMED + 50
    assert len(read.mistakes) == BAD_ROWS_NAMED


def test_a_prefix_twice_is_refused_with_both_lines(sheet):
    read = Read(sheet("prefix,billing_rate\n44,1\n45,1\n44,2\n"))
    ((line, key, value),) = read.mistakes
    assert (line, key, value) == (4, "prefix", "44")
    assert "line 2" in read.reader.problems[0].expected


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("prefix,price", "price"),
        ("prefix,billing_rate,billing_rate", "billing_rate"),
        ("prefix,rate_prefix,billing_rate", "rate_prefix"),
        ("area,billing_rate", "prefix"),
        ("", "prefix"),
    ],
)
def test_a_header_without_the_columns_is_refused(sheet, header, named):
    with pytest.raises(SheetError, match=named):
        Read(sheet(f"{header}\n44,1,1\n"))


def test_terms_that_contradict_each_other_are_refused(sheet):
    path = sheet("prefix,billing_rate,interval,billing_cycle\n44,1,30/6,6\n45,1,30/6,\n46,1,,6\n")
    assert [line for line, _, _ in Read(path).mistakes] == [2]
    assert [line for line, _, _ in Read(path, price_per=PricePer.CYCLE).mistakes] == [2, 3]


VENDOR = """My Carrier Ltd;;;;;
Rates of December;;;;;
Country Code;Codes;Destination;Rate;Valid  From;Increments
44;20;United Kingdom London;0,0110;01.12.2026;6/6
44;7000-7002,7011;United Kingdom Mobile;0,2;;60/60
49;;Germany;0,005;01.12.2026;60/60
"""
MAP = """
columns:
  prefix: [Country Code, Codes]
  area: destination
  billing_rate: RATE
  effective_from: valid from
  interval: Increments
constants: {rate_type: international}
date_format: "%d.%m.%Y"
timezone: Europe/Berlin
decimal: ","
header_line: 3
"""


def test_a_vendors_sheet_is_read_by_a_map(sheet, mapped):
    read = Read(sheet(VENDOR), mapped(MAP))
    assert not read.mistakes
    assert [(rate["prefix"], rate["billing_rate"], rate.get("effective_from")) for rate in read.rates] == [
        ("4420", "0.0110", "2026-11-30T23:00:00.000Z"),
        ("447000", "0.2", None),
        ("447001", "0.2", None),
        ("447002", "0.2", None),
        ("447011", "0.2", None),
        ("49", "0.005", "2026-11-30T23:00:00.000Z"),
    ]
    assert {rate["rate_type"] for rate in read.rates} == {"international"}
    assert read.rates[0]["interval"] == "6/6"


def test_mistakes_say_how_another_decimal_sign_and_another_form_of_dates_are_read(sheet, mapped):
    keys = mapped("columns: {prefix: Code, billing_rate: Rate, effective_from: Date}")
    read = Read(sheet('Code,Rate,Date\n44,"0,01",2026-01-01\n49,0.01,31.12.2026\n'), keys)
    assert read.mistakes == [(2, "Rate", "0,01"), (3, "Date", "31.12.2026")]
    amount, date = (problem.expected for problem in read.reader.problems)
    assert "such as 0.012" in amount
    assert "another decimal sign" in amount
    assert "`decimal` in a map" in amount
    assert "say the form of dates (`date_format` in a map)" in date


@pytest.mark.parametrize("codes", [("", "", "20"), ("44", "", "20"), ("", "20", "")])
def test_an_empty_cell_ahead_of_a_code_may_mean_that_of_the_row_above(sheet, mapped, codes):
    keys = mapped("columns: {prefix: [Country, Area, Codes], billing_rate: Rate}")
    row = ",".join(codes)
    read = Read(sheet(f"Country,Area,Codes,Rate\n44,,,0.01\n44,1,,0.01\n{row},0.008\n,,*,0.02\n"), keys)
    assert read.mistakes == [(4, "Codes", codes[-1])]
    assert "of the row above" in read.reader.problems[0].expected
    assert [rate["prefix"] for rate in read.rates] == ["*", "44", "441"]


def test_a_range_that_may_be_a_country_and_an_area_is_said(sheet, mapped):
    rows = 'prefix,billing_rate\n44-79,1\n"870-874;881",2\n4420-4429,3\n'
    assert [(each.line, each.value, each.meaning) for each in Read(sheet(rows)).reader.assumed.in_order()] == [
        (2, "44-79", "a range, each code from 44 to 79; an area of a country is written 4479"),
        (3, "870-874;881", "a range, each code from 870 to 874; an area of a country is written 870874"),
    ]
    keys = mapped("columns: {prefix: [Country, Codes], billing_rate: Rate}")
    assert not Read(sheet("Country,Codes,Rate\n44,20-29,1\n"), keys).reader.assumed.in_order()


def test_where_the_comma_is_decimal_a_point_separates_thousands_and_is_refused(sheet, mapped):
    read = Read(sheet(VENDOR.replace("0,0110", "1.000,5")), mapped(MAP))
    assert read.mistakes == [(4, "Rate", "1.000,5")]


def test_a_percentage_has_the_decimal_mark_of_its_sheet(sheet, mapped):
    keys = mapped("columns: {prefix: Code, billing_rate: Rate, tax_rate: Tax}\ndecimal: ','")
    read = Read(sheet("Code;Rate;Tax\n44;0,01;7,5%\n45;0,01;7,5 %\n46;0,01;7,5\n47;x;7,5%\n48;1;7.5%\n"), keys)
    assert [each["tax_rate"] for each in read.rates] == ["7.5"] * 3
    assert read.mistakes == [(5, "Rate", "x"), (6, "Tax", "7.5%")]


def test_messages_name_the_columns_of_the_sheet(sheet, mapped):
    read = Read(
        sheet(VENDOR.replace("01.12.2026;6/6", "2026/12/01;6+6").replace("7000-7002", "7002-7000")), mapped(MAP)
    )
    assert read.mistakes == [(4, "Valid  From", "2026/12/01"), (4, "Increments", "6+6"), (5, "Codes", "7002-7000,7011")]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("columns: {prefix: Code}", "billing_rate"),
        ("columns: {prefix: Code, billing_rate: Rate, prize: P}", "prize"),
        ("columns: {prefix: Code, billing_rate: [A, B]}", "billing_rate"),
        ("columns: {prefix: Code, billing_rate: Rate}\ndecimal: ';'", "decimal"),
        ("columns: {prefix: Code, billing_rate: Rate}\ndate_format: '%d.%m'", "date_format"),
        ("columns: {prefix: Code, billing_rate: Rate}\ndate_format: '%d.%q.%Y'", "date_format"),
        ("columns: {prefix: Code, billing_rate: Rate}\ndate_format: '%d.%m.%Y %H:%M:%M'", "date_format"),
        ("columns: {prefix: Code, billing_rate: Rate}\nconstants: {billing_rate: '1'}", "constants"),
        ("columns: {prefix: Code, billing_rate: Rate}\ncolour: red", "colour"),
        ("", "columns"),
        ("columns: [", "YAML"),
    ],
)
def test_a_map_with_mistakes_is_refused(mapped, text, named):
    with pytest.raises(ConfigError, match=named):
        mapped(text)


def test_a_column_of_the_map_that_the_sheet_lacks_is_named(sheet, mapped):
    for column in ("Price", "${HOME}"):
        with pytest.raises(SheetError, match=f"'{re.escape(column)}', as the map says; one of Codes"):
            Read(sheet(VENDOR), mapped(MAP.replace("RATE", column)))


def test_no_rate_begins_before_the_change_is_in_force(sheet):
    soon, later = "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"
    read = Read(sheet(f"prefix,billing_rate,effective_from\n1,1,\n2,1,{later}\n3,1,2026-01-01\n"), effective=soon)
    assert [rate["effective_from"] for rate in read.rates] == [soon, later, soon]


@pytest.mark.parametrize("last", ["", ",,\n", "Rates are subject to change,,\n", "Valid from,,2026-11-01\n"])
def test_lines_that_are_no_rates_do_not_say_when_the_rates_of_a_sheet_begin(sheet, last):
    reader = Read(
        sheet(f"prefix,billing_rate,effective_from\n1,1,2026-12-15\n2,1,2026-12-01\n3,1,2027-01-01\n{last}")
    ).reader
    assert not reader.problems
    assert (reader.first_begin, reader.last_begin) == ("2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z")


def test_a_rate_that_ends_before_it_begins_is_refused(sheet):
    read = Read(
        sheet("prefix,billing_rate,effective_from,effective_to\n1,1,2026-12-02,2026-12-01\n2,1,2026-12-02,2026-12-02\n")
    )
    assert read.mistakes == [(2, "effective_to", "2026-12-01")]
    assert read.rates[0]["effective_to"] == "2026-12-03T00:00:00.000Z"  # a day is valid to its last instant


@pytest.mark.parametrize(
    ("text", "date_format", "zone", "read"),
    [
        ("2026-12-31", None, UTC, "2026-12-31T00:00:00.000Z"),
        ("2026-12-31T18:00:00+02:00", None, UTC, "2026-12-31T16:00:00.000Z"),
        ("2026-12-31 18:00", None, ZoneInfo("Europe/Berlin"), "2026-12-31T17:00:00.000Z"),
        ("31/12/2026", "%d/%m/%Y", UTC, "2026-12-31T00:00:00.000Z"),
        ("12/31/2026 11:30 PM", "%m/%d/%Y %I:%M %p", UTC, "2026-12-31T23:30:00.000Z"),
        ("1/2/2026", "%d/%m/%Y", UTC, "2026-02-01T00:00:00.000Z"),
        ("01122026", "%d%m%Y", UTC, "2026-12-01T00:00:00.000Z"),
        ("01122026 9:30 PM", "%d%m%Y %I:%M %p", UTC, "2026-12-01T21:30:00.000Z"),
        ("1Dec26 0930", "%d%b%y %H%M", UTC, "2026-12-01T09:30:00.000Z"),
        ("2026-07-01", "%d/%m/%Y", ZoneInfo("Europe/Berlin"), "2026-06-30T22:00:00.000Z"),
        ("2024-04-26", None, ZoneInfo("Africa/Cairo"), "2024-04-25T22:00:00.000Z"),  # it begins at 01:00
        ("08.09.2024", "%d.%m.%Y", ZoneInfo("America/Santiago"), "2024-09-08T04:00:00.000Z"),
        ("2024-11-03", None, ZoneInfo("America/Havana"), "2024-11-03T04:00:00.000Z"),  # its first hour comes twice
    ],
)
def test_dates_are_read_in_their_zone(text, date_format, zone, read):
    assert instant_reader(date_format, zone)(text) == read


@pytest.mark.parametrize(("is_end", "read"), [(False, "2026-11-30T21:00:00.000Z"), (True, "2026-12-01T21:00:00.000Z")])
def test_a_day_with_an_offset_begins_and_ends_by_it(is_end, read):
    assert instant_reader("%d.%m.%Y %z", ZoneInfo("Asia/Tokyo"), is_end=is_end)("01.12.2026 +0300") == read


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")], ids=str)
@pytest.mark.parametrize(
    ("text", "date_format"), [("9999-12-31", None), ("31.12.9999", "%d.%m.%Y"), ("9999-12-31 23:59:59", None)]
)
def test_the_last_day_of_all_is_the_end_of_what_never_ends(text, date_format, zone):
    assert instant_reader(date_format, zone, is_end=True)(text) == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("text", "date_format", "zone"),
    [
        ("01/02/2026", None, UTC),  # which of both is the month?
        ("31.12.2026", None, UTC),
        ("2026-02-30", None, UTC),
        ("31/31/2026", "%d/%m/%Y", UTC),
        ("1122026", "%d%m%Y", UTC),  # 01122026 whose zero is lost, or 11 February?
        ("1122026", "%m%d%Y", UTC),
        ("11226", "%d%m%y", UTC),
        ("01122026 930", "%d%m%Y %H%M", UTC),
        ("2026-03-29 02:30", None, ZoneInfo("Europe/Berlin")),  # the clocks skip it
        ("2026-10-25 02:30", None, ZoneInfo("Europe/Berlin")),  # the clocks show it twice
        ("9999-12-31T23:00:00-05:00", None, UTC),  # in the year 10000
        ("0001-01-01", None, ZoneInfo("Asia/Tokyo")),  # before the year 1
    ],
)
def test_a_date_that_could_mean_another_is_refused(text, date_format, zone):
    with pytest.raises(ExpectedError):
        instant_reader(date_format, zone)(text)


def test_real_dates_beside_texts_may_have_day_and_month_exchanged(tmp_path, mapped):
    terms = 'columns: {prefix: Code, billing_rate: Rate, effective_from: Date}\ndate_format: "%d/%m/%Y"\n'
    rows = [
        ["Code", "Rate", "Date"],
        *([str(code), "0.01", date] for code, date in enumerate(("13/02/2026", 46024), 1)),
    ]
    read = Read(xlsx(tmp_path / "rates.xlsx", rows), mapped(terms))  # 46024 is 2 January 2026
    assert read.mistakes == [(3, "Date", "2026-01-02")]
    rows[2][2] = 46035  # 13 January: no month, so no day that was taken for one
    assert not Read(xlsx(tmp_path / "rates.xlsx", rows), mapped(terms)).mistakes
    rows[1][2] = 46024
    assert not Read(xlsx(tmp_path / "rates.xlsx", rows), mapped(terms)).mistakes
    rows[2][2] = "13/02/2026"
    assert Read(xlsx(tmp_path / "rates.xlsx", rows), mapped(terms)).mistakes == [(3, "Date", "13/02/2026")]
    time_first = mapped(terms.replace("%d/%m/%Y", "%H:%M %d/%m/%Y"))
    rows[2][2] = "10:00 13/02/2026"
    assert Read(xlsx(tmp_path / "rates.xlsx", rows), time_first).mistakes == [(3, "Date", "10:00 13/02/2026")]
    year_first = mapped(terms.replace("%d/%m/%Y", "%Y/%m/%d"))
    rows[2][2] = "2026/02/13"
    assert not Read(xlsx(tmp_path / "rates.xlsx", rows), year_first).mistakes
    constant = mapped(terms.replace("effective_from", "effective_to") + "constants: {effective_from: 2026-01-02}")
    rows[1][2] = "01/02/2026"
    assert not Read(xlsx(tmp_path / "rates.xlsx", [*rows[:2], ["3", "0.01", ""]]), constant).mistakes


def test_any_number_of_lines_is_sorted_in_parts():
    lines = [f"{number * 7919 % 1000}" for number in range(1_000)]
    assert [*in_order(lines, at_once=64)] == sorted(lines)
    assert [*in_order([], at_once=64)] == []
    assert [*in_order(["b", "a"], at_once=2)] == ["a", "b"]


def test_a_file_that_is_no_text_is_refused(sheet):
    with pytest.raises(SheetError, match="UTF-8"):
        Read(sheet("prefix,area,billing_rate\n44,\x81,1\n", "latin-1"))  # no character in Windows-1252 either
    with pytest.raises(SheetError, match="CSV"):
        Read(sheet('prefix,billing_rate\n44,"1\n'))
    with pytest.raises(SheetError, match="no such file"):
        Read(Path("missing.csv"))


@pytest.mark.parametrize("memo", ["", ", memo: Note"])
@pytest.mark.parametrize("between", ["", "4420,0.02,x\n", "4420,0.02,x\n4421,,\n"])
def test_rows_in_a_cell_are_refused_and_a_comment_of_several_lines_is_not(sheet, mapped, memo, between):
    header, columns = "Code,Price,Note\n43,0.01,", mapped(f"columns: {{prefix: Code, billing_rate: Price{memo}}}\n")
    with pytest.raises(SheetError, match=r"rates.csv:\d: expected one row, not several in a cell"):
        Read(sheet(f'{header}"UK\n{between}447,0.25,mobile 19"\n'), columns)
    assert len(Read(sheet(f'{header}"UK\n{between.replace(",", ", a, ")}\nand all of it, too"\n'), columns).rates) == 1


def test_a_workbook_is_read_with_the_digits_that_it_shows(tmp_path):
    rows = [
        ["prefix", "area", "billing_rate", "effective_from"],
        [Decimal(44), "UK", Decimal("4.4999999999999997E-3"), 46357],  # how 0.0045 and a date are kept
        ["0049", "DE", Decimal("1E-05"), "2026-12-31"],
        [Decimal(441234567890123), "long", Decimal(7), ""],
    ]
    read = Read(xlsx(tmp_path / "rates.xlsx", rows))
    assert not read.mistakes
    assert [(each["prefix"], each["billing_rate"], each.get("effective_from")) for each in read.rates] == [
        ("0049", "0.00001", "2026-12-31T00:00:00.000Z"),
        ("44", "0.0045", "2026-12-01T00:00:00.000Z"),
        ("441234567890123", "7", None),
    ]


def test_rows_of_a_workbook_are_counted_from_the_first_one_also_where_it_is_blank(tmp_path, mapped):
    rows = [[], [], ["Code", "Price"], ["44", Raw('t="e"><v>#N/A</v>')], ["45", Decimal(1)]]
    read = Read(
        xlsx(tmp_path / "rates.xlsx", rows), mapped("columns: {prefix: Code, billing_rate: Price}\nheader_line: 3")
    )
    assert read.mistakes == [(4, "Price", "#ERROR")]
    assert read.rates == [{"prefix": "45", "billing_rate": "1"}]


def test_numbers_of_a_workbook_are_prices_as_they_are_whatever_the_decimal_mark(tmp_path, mapped):
    rows = [
        ["Code", "Price", "Fee"],
        ["44", Decimal("0.0125"), "0,5"],
        ["45", "1.250", Decimal("12.345")],
        [Decimal("46.5"), "1", Decimal(2)],
    ]
    columns = "columns: {prefix: Code, billing_rate: Price, connection_fee: Fee}\ndecimal: ','"
    read = Read(xlsx(tmp_path / "rates.xlsx", rows), mapped(columns))
    assert [(each["prefix"], each["billing_rate"], each["connection_fee"]) for each in read.rates] == [
        ("44", "0.0125", "0.5")
    ]
    assert read.mistakes == [(3, "Price", "1.250"), (4, "Code", "46.5")]


def test_a_workbook_with_macros_is_read(tmp_path):
    read = Read(xlsx(tmp_path / "rates.xlsm", [["prefix", "billing_rate"], ["44", Decimal(1)]]))
    assert read.rates == [{"prefix": "44", "billing_rate": "1"}]


def test_a_code_that_a_spreadsheet_may_have_rounded_is_refused(tmp_path):
    rows = [["prefix", "billing_rate"], [Decimal(4412345678901234), Decimal(1)]]
    with pytest.raises(SheetError, match="15 digits"):
        Read(xlsx(tmp_path / "rates.xlsx", rows))


def test_a_sheet_is_chosen_by_name(tmp_path, mapped):
    path = xlsx(tmp_path / "rates.xlsx", [["Code", "Price"], ["44", Decimal("0.1")]], "December")
    columns = "columns: {prefix: Code, billing_rate: Price}\n"
    assert Read(path, mapped(f"{columns}sheet: December")).rates == [{"prefix": "44", "billing_rate": "0.1"}]
    with pytest.raises(SheetError, match="December"):
        Read(path, mapped(f"{columns}sheet: January"))


def test_a_file_that_is_no_workbook_is_refused(tmp_path):
    (tmp_path / "rates.xlsx").write_bytes(b"prefix,billing_rate\n44,1\n")
    with pytest.raises(SheetError, match="XLSX"):
        Read(tmp_path / "rates.xlsx")


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = xlsx(tmp_path / "rates.xlsx", [["prefix", "billing_rate", "area"], ["44", Decimal(1), "A" * 3_000_000]])
    assert path.stat().st_size < 10_000
    monkeypatch.setattr("vosd.config.decks.workbooks.UNPACKED_MAX", 1 << 20)
    monkeypatch.setattr(workbooks, "subprocess", None)
    with pytest.raises(SheetError, match="unpacks to at most 1 MiB, not 2"):
        Read(path)


def test_a_workbook_takes_no_more_memory_than_its_process_may_have(tmp_path, monkeypatch):
    rates = [[str(code), Decimal(1), f"{code}{'A' * 30_000}"] for code in range(2_000, 4_000)]
    path = xlsx(tmp_path / "rates.xlsx", [["prefix", "billing_rate", "area"], *rates])
    monkeypatch.setattr(workbooks, "subprocess", subprocess)  # the program itself: a fork has the memory of the test
    monkeypatch.setattr(workbooks, "MEMORY_MAX", 150 << 20)
    with pytest.raises(SheetError, match="fits into 150 MiB of memory"):
        Read(path)


@pytest.fixture
def started(monkeypatch):
    processes = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **terms: Any) -> None:
            super().__init__(*arguments, **terms)
            processes.append(self)

    monkeypatch.setattr(workbooks, "subprocess", subprocess)
    monkeypatch.setattr("subprocess.Popen", Noted)
    return processes


def test_the_process_that_reads_a_workbook_ends_with_its_reader(tmp_path, started):
    wide = "A" * 1_000  # 5 MB in all: more than the pipe takes, so the process waits and cannot have ended by itself
    rows: list[list[object]] = [["prefix", "area"], *([str(number), wide] for number in range(5_000))]
    lines = lines_of(xlsx(tmp_path / "rates.xlsx", rows))
    assert next(lines).cells == ["prefix", "area"]
    assert resource.prlimit(started[0].pid, resource.RLIMIT_CPU) == (600, 601)
    lines.close()
    assert [each.returncode for each in started] == [-9]
    assert len([*lines_of(tmp_path / "rates.xlsx")]) == 5_001


def test_a_workbook_that_takes_too_long_is_refused_with_the_reason(tmp_path, started):
    rows: list[list[object]] = [["prefix", "area"], *([str(number), "A" * 1_000] for number in range(5_000))]
    lines = lines_of(xlsx(tmp_path / "rates.xlsx", rows))
    next(lines)
    started[0].send_signal(signal.SIGXCPU)  # as the kernel does at the limit
    with pytest.raises(SheetError, match="is read in 600 seconds"):
        list(lines)


def test_a_cell_that_no_spreadsheet_has_is_refused(tmp_path):
    path = xlsx(tmp_path / "rates.xlsx", [["prefix", "billing_rate", "area"], ["44", Decimal(1), "A" * 32_768]])
    with pytest.raises(SheetError, match=r"rates\.xlsx:2: expected cells of at most 32767 characters"):
        Read(path)


def test_text_of_another_encoding_than_the_map_says_is_refused(sheet, mapped):
    keys = mapped("columns: {prefix: Code, billing_rate: Rate}\nencoding: utf-16\n")
    for written in ("utf-8", "utf-16-le"):  # the latter has no mark, without which no byte is the first
        with pytest.raises(SheetError, match="expected text in utf-16"):
            [*lines_of(sheet("Code,Rate\n44,0.1\n", written), encoding=keys.encoding)]


@pytest.mark.parametrize("name", ["utf-8", "utf-16le", "utf-16be"])
def test_text_of_the_encoding_that_a_map_says_may_begin_with_its_mark(sheet, mapped, name):
    keys = mapped(f"columns: {{prefix: Code, billing_rate: Rate}}\nencoding: {name}\n")
    path = sheet("\ufeffsep=;\r\nCode;Rate\r\n44;0.1\r\n", name)
    assert [line.cells for line in lines_of(path, encoding=keys.encoding)] == [["Code", "Rate"], ["44", "0.1"]]


@pytest.mark.parametrize("name", ["hex", "base64", "rot13"])
def test_an_encoding_of_a_map_is_one_of_text(mapped, name):
    with pytest.raises(ConfigError, match="encoding of text"):
        mapped(f"columns: {{prefix: Code, billing_rate: Rate}}\nencoding: {name}\n")
