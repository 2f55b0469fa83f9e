"""Call record files of other switches: how they are read, and what their calls cost by our rates."""

import csv
import gzip
import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vosd.admin.foreign_calls import BadRowError, ForeignCall, ForeignFileError, opened
from vosd.base.csv_text import CsvWriter
from vosd.catalogue.problems import ConfigError
from vosd.cli.main import main
from vosd.config.cdr_map import read_cdr_map

CONFIGURATION = """
rate_groups:
  - name: sell
    rates:
      - {prefix: "44", billing_rate: "0.60", tax_rate: "10"}
      - {prefix: "4420", billing_rate: "0.30", interval: "30/6"}
  - name: buy
    rates: [{prefix: "44", billing_rate: "0.10"}]
accounts:
  - {id: acme, rate_group: sell}
  - {id: carrier, type: clearing, rate_group: buy, overdraft_limit: unlimited}
mapping_gateways: [{name: acme-pbx, account: acme, hosts: 192.0.2.1}]
routing_gateways: [{name: trunk, account: carrier, address: 203.0.113.1}]
"""
MAP = """
columns: {callee: Called, account: Customer, start: Begin, duration: Seconds, price: Charge}
accounts: [{theirs: "ACME Ltd.", ours: acme}]
"""
FILE = """Customer,Called,Begin,Seconds,Charge
ACME Ltd.,447900123,2026-10-01T10:00:00Z,60,0.60
ACME Ltd.,+442012345,2026-10-01T10:00:01+02:00,61,0.33
acme,442012345,2026-10-01T10:00:02Z,10,0.05
unknown,447900123,2026-10-01T10:00:03Z,10,0.10
acme,33123,2026-10-01T10:00:04Z,10,0.10
acme,447900123,yesterday,10,0.10
acme,447900123,2026-10-01T10:00:05Z,0,0
"""


class Site:
    """A directory with a configuration, a map and a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("vosd.yaml", CONFIGURATION)

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def calls(self, map_text: str, text: str) -> list[Any]:
        """Read a file by a map."""
        wanted = read_cdr_map(self.write("map.yaml", map_text))
        with opened(self.write("calls.csv", text), wanted.layout) as file:
            return [call for _, call in file.rows()]

    def verb(self, *words: str, map_text: str = MAP, text: str = FILE) -> Result:
        """Run ``vosd rate cdr-file``."""
        files = [str(self.write("calls.csv", text)), "--map", str(self.write("map.yaml", map_text))]
        config = ["-c", str(self.directory / "vosd.yaml")]
        return CliRunner().invoke(main, [*config, "rate", "cdr-file", *files, *words])

    def answer(self, *words: str, **texts: str) -> dict[str, Any]:
        """Return its document."""
        found = self.verb("--json", *words, **texts)
        assert found.exit_code == 0, found.output
        document: dict[str, Any] = json.loads(found.stdout)
        return document


FOR_SPREADSHEETS = (
    ("Called", "Customer", "Trunk", "Begin", "Seconds", "Calling"),
    ("+442012345", "-west", "@trunk", "2026-10-01T10:00:00Z", "61", "+4930123456"),
    ("442012345", "acme", "trunk", "2026-10-01T10:00:01Z", "61", "=12*3"),
)
UNPAID = """Customer,Called,Begin,Seconds,Charge
acme,447900123,2026-10-01T10:00:00Z,60,0.60
,447900123,2026-10-01T10:00:01Z,10,0.00
,44,2026-10-01T10:00:01Z,0,
acme,33123,2026-10-01T10:00:04Z,0,0.00
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_differences_are_shown_by_account_prefix_and_call(site: Site) -> None:
    answer = site.answer()
    assert (answer["rows"], answer["bad_rows"], answer["charges"], answer["differ"]) == (7, 1, 6, 3)
    accounts = {row["account"]: row for row in answer["accounts"]}
    assert (accounts["acme"]["before"], accounts["acme"]["after"]) == ("1.08", "1.08")
    assert (accounts["acme"]["differ"], accounts["acme"]["without_rate"]) == (2, 1)
    assert (accounts["acme"]["before_without_rate"], accounts["acme"]["difference"]) == ("0.10", "0.10")
    assert (accounts["unknown"]["without_rate"], accounts["unknown"]["after"]) == (1, "0.00")
    (prefix,) = [row for row in answer["prefixes"] if row["prefix"] == "4420"]
    assert (prefix["calls"], prefix["differ"], prefix["difference"]) == (2, 1, "0.10")
    greatest = answer["greatest"][0]
    assert (greatest["call"], greatest["callee"], greatest["before"], greatest["after"]) == (
        "line 4", "442012345", "0.05", "0.15",
    )  # fmt: skip
    assert answer["first_bad_rows"][0]["line"] == 7
    assert "yesterday" in answer["first_bad_rows"][0]["reason"]


def test_a_file_for_spreadsheets_has_the_numbers_and_names_of_one_for_programs(site: Site) -> None:
    """A bill that another vosd has written for people has an apostrophe before each plus sign."""
    columns = "callee: Called, account: Customer, gateway: Trunk, caller: Calling, start: Begin, duration: Seconds"
    read = {}
    for for_people in (True, False):
        file = StringIO()
        CsvWriter(file, for_people=for_people).rows(FOR_SPREADSHEETS)
        read[for_people] = site.calls(f"columns: {{{columns}}}", file.getvalue())
        assert ("'+442012345" in file.getvalue()) is for_people
    assert read[True] == read[False]
    assert [(each.callee, each.account, each.gateway, each.caller) for each in read[True]] == [
        (row[0], row[1], row[2], row[5]) for row in FOR_SPREADSHEETS[1:]
    ]


@pytest.mark.parametrize("mark", [".", ","])
def test_numbers_that_a_spreadsheet_has_shortened_are_read_as_no_others(site: Site, mark: str) -> None:
    """They would be calls that no one has made, and the whole bill would be in dispute."""
    text = "Called;Customer;Begin;Seconds;Calling\n"
    for callee in (f"4{mark}42012E+11", "4E+11", f"442012345678{mark}0", f"+442012345{mark}0", "44.20.12.34.0", "x4e1"):
        text += f"{callee};acme;2026-10-01T10:00:00Z;61;4930123456{mark}0\n"
    columns = "callee: Called, account: Customer, caller: Calling, start: Begin, duration: Seconds"
    *lost, whole, international, grouped, name = site.calls(f"columns: {{{columns}}}", text)
    assert [str(each) for each in lost if isinstance(each, BadRowError)] == [
        f"called number {callee!r} has lost its digits: a spreadsheet has shortened it"
        for callee in (f"4{mark}42012E+11", "4E+11")
    ]
    calls = whole, international, grouped, name
    assert [each.callee for each in calls] == ["442012345678", "+442012345", "442012340", "x4e1"]
    assert {each.caller for each in calls} == {"4930123456"}


def test_every_call_is_printed_as_csv(site: Site) -> None:
    rows = site.verb("--csv-raw").stdout.splitlines()
    assert rows[0].startswith(
        "line,account,callee,started_at,duration_ms,rate_group,rate_prefix,billed_seconds,fee,tax"
    )
    assert rows[1] == "2,acme,447900123,2026-10-01T10:00:00.000Z,60000,sell,44,60,0.60,0.06,0.60,0.00"
    assert rows[2].startswith("3,acme,+442012345,2026-10-01T08:00:01.000Z,61000,sell,4420,66,0.33,")
    assert rows[4].startswith("5,unknown,447900123,")
    assert rows[4].endswith(",,,,,,0.10,")


def test_prices_may_contain_tax_and_stand_in_another_column(site: Site) -> None:
    text = "Customer,Called,Begin,Seconds,Charge,Gross\nacme,4479,2026-10-01T10:00:00Z,60,9,0.66\n"
    gross = f"{MAP}price_includes_tax: yes\n"
    assert site.answer(map_text=gross, text=text)["differ"] == 1
    assert site.answer("--diff", "Gross", map_text=gross, text=text)["differ"] == 0


def test_without_prices_only_ours_are_shown(site: Site) -> None:
    bare = MAP.replace(", price: Charge", "")
    answer = site.answer(map_text=bare)
    assert (answer["compares"], answer["accounts"][0]["after"]) == (False, "1.14")
    assert "price with tax" in site.verb(map_text=bare).stdout


def test_what_vendors_charge_is_rated_by_buy_rates_and_gateways(site: Site) -> None:
    map_text = """
    columns: {callee: "2", gateway: "1", start: "3", duration: "4", price: "5"}
    header: no
    delimiter: ";"
    decimal_comma: yes
    side: buy
    gateways: [{theirs: T7, ours: trunk}]
    start: {format: "%d.%m.%Y %H:%M:%S", zone: Europe/Berlin}
    duration_unit: clock
    strip: ["00", "+"]
    """
    answer = site.answer(map_text=map_text, text="T7;00447900;01.10.2026 12:00:00;1:01:00;6,10\n")
    point = site.verb(map_text=map_text, text="T7;00447900;01.10.2026 12:00:00;1:01:00;6.10\n")
    assert "price '6.10' is not a number" in point.stderr
    (row,) = answer["accounts"]
    assert (row["account"], row["role"], row["differ"], row["after"]) == ("carrier", "vendor", 0, "6.10")


def test_numbers_with_separators_are_rated_as_those_of_calls(site: Site) -> None:
    map_text = """
    columns: {callee: Called, caller: Calling, account: Customer, start: Begin, duration: Seconds}
    strip: ["00"]
    """
    text = "Customer,Called,Calling,Begin,Seconds\nacme,0044-20-12345,+1(205)555-1234,2026-10-01T10:00:00Z,60\n"
    pasted = "acme,\u202a0044\u00a020\u202f12345\u202c,\ufeffJohn\u00a0Doe,2026-10-01T10:00:00Z,60\n"
    call, other = site.calls(map_text, text + pasted)
    assert (call.callee, call.caller) == ("442012345", "+12055551234")
    assert (other.callee, other.caller) == ("442012345", "John Doe")


@pytest.mark.parametrize(
    ("start", "written", "expected"),
    [
        ("iso", "2026-10-01 10:00:00.250", 1_790_848_800_250),
        ("iso", "2026-10-01T12:00:00+02:00", 1_790_848_800_000),
        ("unix", "1790848800.5", 1_790_848_800_500),
        ("unix_ms", "1790848800500", 1_790_848_800_500),
        ('"%Y%m%d%H%M%S"', "20261001100000", 1_790_848_800_000),
    ],
)
def test_starts_are_read_in_the_form_of_the_map(site: Site, start: str, written: str, expected: int) -> None:
    (call,) = site.calls(
        f"{MAP}start: {{format: {start}}}\n", f"Customer,Called,Begin,Seconds,Charge\na,1,{written},1,\n"
    )
    assert isinstance(call, ForeignCall)
    assert (call.started_at, call.price) == (expected, None)


def test_a_name_that_several_columns_have_names_none(site: Site) -> None:
    """The file of a billing program has the gross and the net amount under one name."""
    text = "Customer,Called,Begin,Seconds,Charge,Charge\na,1,2026-10-01 10:00:00,1,0.10,0.08\n"
    with pytest.raises(ForeignFileError, match="several columns 'Charge'"):
        site.calls(MAP, text)
    (call,) = site.calls(MAP.replace("price: Charge", 'price: "6"'), text)
    assert isinstance(call, ForeignCall)
    assert call.price == Decimal("0.08")


def test_rows_may_end_in_a_delimiter_that_the_header_lacks_where_it_is_no_comma(site: Site) -> None:
    text = "Customer;Called;Begin;Seconds;Charge\na;1;2026-10-01;1;0.5;\na;1;2026-10-01;1;0;5\n"
    call, wide = site.calls(MAP, text)
    assert isinstance(call, ForeignCall)
    assert (call.price, isinstance(wide, BadRowError)) == (Decimal("0.5"), True)
    (comma,) = site.calls(MAP, text.partition("\na;1;2026-10-01;1;0;5")[0].replace(";", ","))
    assert isinstance(comma, BadRowError)


@pytest.mark.parametrize(
    ("form", "written", "is_read"),
    [
        ("%Y%m%d%H%M%S%f", "20261001100000250", True),
        ("%Y%m%d%H%M%S%f", "20261001100000250000", True),
        ("%Y%m%d%H%M%S%f", "20261001100000", False),
        ("%d.%m.%Y %H%M%S%f", "1.10.2026 10000025", True),
        ("%d%m%Y%H%M%S%f", "01102026100000250000", True),
        ("%d%m%Y%H%M%S%f", "1102026100000250", False),
    ],
)
def test_a_fraction_at_the_end_of_numbers_that_stand_together_has_any_digits(
    site: Site, form: str, written: str, is_read: bool
) -> None:
    rows = f"Customer,Called,Begin,Seconds,Charge\na,1,{written},1,0\n"
    (call,) = site.calls(f'{MAP}start: {{format: "{form}"}}\n', rows)
    assert isinstance(call, ForeignCall) is is_read
    assert not is_read or call.started_at == 1_790_848_800_250


def test_a_start_whose_numbers_stand_together_needs_every_digit(site: Site) -> None:
    map_text = f'{MAP}start: {{format: "%d%m%Y%H%M"}}\n'
    rows = "Customer,Called,Begin,Seconds,Charge\na,1,010220261000,1,0\na,1,10220261000,1,0\n"
    whole, cut = site.calls(map_text, rows)
    assert isinstance(whole, ForeignCall)
    assert isinstance(cut, BadRowError)


def test_a_time_without_zone_is_of_the_zone_of_the_map(site: Site) -> None:
    starts = ("2026-07-01 12:00:00", "2026-12-01 12:00:00", "2026-10-25 02:30:00", "2026-03-29 02:30:00")
    rows = "Customer,Called,Begin,Seconds,Charge\n" + "".join(f"a,1,{start},1,0\n" for start in starts)
    calls = site.calls(f"{MAP}start: {{zone: Europe/Berlin}}\n", rows)
    assert [call.started_at % 86_400_000 for call in calls] == [36_000_000, 39_600_000, 1_800_000, 5_400_000]
    assert [call.again_ms for call in calls] == [0, 0, 3_600_000, 0]


@pytest.mark.parametrize(
    ("unit", "written", "expected"),
    [
        ("seconds", "61", 61_000),
        ("seconds", "61.25", 61_250),
        ("seconds", "", 0),
        ("milliseconds", "61250", 61_250),
        ("minutes", "1.5", 90_000),
        ("clock", "1:02:03", 3_723_000),
        ("clock", "62:03.5", 3_723_500),
    ],
)
def test_durations_are_read_in_the_unit_of_the_map(site: Site, unit: str, written: str, expected: int) -> None:
    row = f"Customer,Called,Begin,Seconds,Charge\na,1,2026-10-01,{written},0\n"
    (call,) = site.calls(f"{MAP}duration_unit: {unit}\n", row)
    assert isinstance(call, ForeignCall)
    assert call.duration_ms == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,1,2026-10-01", "3 columns"),
        ("a,,2026-10-01,1,0", "no called number"),
        ("a,1,2026-13-01,1,0", "start"),
        ("a,1,2026-10-01,-1,0", "duration"),
        ("a,1,2026-10-01,1e99,0", "duration"),
        ("a,1,2026-10-01,x,0", "duration"),
        ("a,1,2026-10-01,1,NaN", "price"),
        ('a,1,2026-10-01,1,"1,5"', "price"),
        ("a,1,2026-10-01,1,0,01", "6 columns, the first line has 5"),
        ('"a\nb",1,2026-10-01,1,0', "several lines"),
    ],
)
def test_a_row_that_cannot_be_read_says_why_and_the_next_is_read(site: Site, row: str, reason: str) -> None:
    first, second = site.calls(MAP, f"Customer,Called,Begin,Seconds,Charge\n{row}\na,1,2026-10-01,1,0\n")
    assert isinstance(first, BadRowError)
    assert reason in str(first)
    assert isinstance(second, ForeignCall)


@pytest.mark.parametrize("second", ["", '"'])
def test_a_quotation_mark_that_stands_alone_takes_no_rows_away(site: Site, second: str) -> None:
    rows = f'a,1,2026-10-01,1,0\n"a,2,2026-10-01,1,0\na,3,2026-10-01,1,0\n{second}a,4,2026-10-01,1,0\n'
    with pytest.raises(ForeignFileError, match="line 3 or one soon after it cannot be read"):
        site.calls(MAP, f"Customer,Called,Begin,Seconds,Charge\n{rows}")


def test_rows_in_a_cell_of_a_column_that_is_not_read_are_a_bad_row(site: Site) -> None:
    rows = 'a,1,2026-10-01,1,0,"x\na,2,2026-10-01,1,0,\na,3,2026-10-01,1,0,19"\na,4,2026-10-01,1,0,"Main Road\nYork"\n'
    joined, call = site.calls(MAP, f"Customer,Called,Begin,Seconds,Charge,Name\n{rows}")
    assert "is a quotation mark missing?" in str(joined)
    assert isinstance(call, ForeignCall)


@pytest.mark.parametrize("between", ["", "a,2,2026-10-01,1,0\n", "a,2,2026-10-01,1,0,,\n"])
@pytest.mark.parametrize("last", ['19"', '19",', 'x,19"'])
def test_rows_in_a_cell_are_found_where_empty_cells_at_the_ends_of_rows_are_left_out(
    site: Site, between: str, last: str
) -> None:
    rows = f'a,1,2026-10-01,1,0,"x\n{between}a,3,2026-10-01,1,0,{last}\na,4,2026-10-01,1,0,"Main Road, 2\nYork, UK"\n'
    joined, call = site.calls(MAP, f"Customer,Called,Begin,Seconds,Charge,Name,Note,Other,More\n{rows}")
    assert "is a quotation mark missing?" in str(joined)
    assert isinstance(call, ForeignCall)


@pytest.mark.parametrize("note", ["Main Road 2\nYork", "x\n\ny", "x\ny\nz", "Main Road 2\nYork, UK"])
@pytest.mark.parametrize("before", ["", "7,"])
def test_a_note_of_several_lines_before_what_is_read_is_no_row(site: Site, note: str, before: str) -> None:
    title = "Id," if before else ""
    (call,) = site.calls(
        MAP, f'{title}Note,Customer,Called,Begin,Seconds,Charge\n{before}"{note}",a,4,2026-10-01,1,0\n'
    )
    assert isinstance(call, ForeignCall)


def test_a_row_of_many_cells_of_several_lines_is_read_in_no_time(site: Site) -> None:
    titles, notes = ",".join(f"n{number}" for number in range(60)), ",".join(['"x\ny"'] * 60)
    text = f"Customer,Called,Begin,Seconds,Charge,{titles}\na,1,2026-10-01,1,0,{notes}\n"
    (call,) = site.calls(MAP, text)
    assert isinstance(call, ForeignCall)


@pytest.mark.parametrize("duration_unit", ["seconds", "clock"])
@pytest.mark.parametrize(
    ("form", "start", "duration"),
    [
        ("unix", "1760000000000", "60"),  # of milliseconds in truth
        ("unix", "1e9999999", "60"),
        ("unix_ms", "-1", "60"),
        ("iso", "0001-01-01T00:00:00Z", "60"),
        ("unix", "1760000000", "9" * 5_000),
        ("unix", "1760000000", "1:1e9999999"),
        ("unix", "1760000000", "1e99999999:1"),
    ],
)
def test_a_huge_number_or_a_time_of_no_call_is_a_bad_row(
    site: Site, form: str, start: str, duration: str, duration_unit: str
) -> None:
    map_text = f"{MAP}\nduration_unit: {duration_unit}\nstart: {{format: {form}}}\n"
    (call,) = site.calls(map_text, f"Customer,Called,Begin,Seconds,Charge\nacme,44,{start},{duration},1\n")
    assert isinstance(call, BadRowError)


def test_a_byte_order_mark_a_tab_and_compression_are_no_obstacle(site: Site) -> None:
    text = "\ufeffCustomer\tCalled\tBegin\tSeconds\tCharge\r\nacme\t44\t2026-10-01\t1\t0\r\n"
    assert len(site.calls(MAP, text)) == 1
    path = site.directory / "calls.csv.gz"
    path.write_bytes(gzip.compress(FILE.encode()))
    with opened(path, read_cdr_map(site.directory / "map.yaml").layout) as file:
        assert len([*file.rows()]) == 7
        assert file.part == 1.0


@pytest.mark.parametrize("said", ["", "delimiter: ';'\n"])
def test_a_line_that_names_the_separator_may_stand_above_all_others(site: Site, said: str) -> None:
    above = '"sep=,"' if said else "sep=;"
    text = (
        f"\ufeff{above}\r\nCustomer, or name;Called;Begin;Seconds;Charge\r\n,,;44;2026-10-01;1;0\r\nacme;44;x;1;0\r\n"
    )
    map_text = MAP.replace("account: Customer", "account: 'Customer, or name'") + said
    with opened(site.write("calls.csv", text), read_cdr_map(site.write("map.yaml", map_text)).layout) as file:
        (first, call), (second, bad) = file.rows()
    assert (first, isinstance(call, ForeignCall), second, isinstance(bad, BadRowError)) == (3, True, 4, True)
    untitled = f"columns: {{callee: 1, start: 2, duration: 3}}\nheader: no\naccount: acme\n{said}"
    text = f"{above}\n44;2026-10-01;1\n"
    with opened(site.write("calls.csv", text), read_cdr_map(site.write("map.yaml", untitled)).layout) as file:
        ((line, call),) = file.rows()
    assert (line, isinstance(call, ForeignCall)) == (2, True)


def test_a_file_that_does_not_fit_the_map_is_refused_with_what_it_has(site: Site) -> None:
    with pytest.raises(ForeignFileError, match=r"no column 'Called' in the file; there are 'a', 'b'"):
        site.calls(MAP, "a,b\n1,2\n")
    with pytest.raises(ForeignFileError, match=r"no column '\$\{HOME\}' in the file"):
        site.calls(MAP.replace("Called", "'${HOME}'"), FILE)
    latin = "Customer,Called,Begin,Seconds,Charge\nM\xfcller,1,2026-10-01,1,0\n".encode("latin-1")
    (site.directory / "latin.csv").write_bytes(latin)
    with (
        pytest.raises(ForeignFileError, match="utf-8"),
        opened(site.directory / "latin.csv", read_cdr_map(site.write("map.yaml", MAP)).layout) as file,
    ):
        list(file.rows())
    with pytest.raises(ForeignFileError, match="UTF-16"):  # which has no mark at its beginning
        site.calls(f"{MAP}encoding: utf-16\n", FILE)


@pytest.mark.parametrize("ahead", ["", FILE])
def test_a_small_compressed_file_with_a_huge_line_is_refused(site: Site, ahead: str) -> None:
    path = site.directory / "calls.csv.gz"
    path.write_bytes(gzip.compress(f"{ahead}{'x' * 5_000_000}".encode()))
    assert path.stat().st_size < 10_000
    with (
        pytest.raises(ForeignFileError, match="lines of at most"),
        opened(path, read_cdr_map(site.write("map.yaml", MAP)).layout) as file,
    ):
        list(file.rows())


def test_a_compressed_file_with_a_wrong_byte_is_refused_or_is_the_same(site: Site) -> None:
    path, layout = site.directory / "calls.csv.gz", read_cdr_map(site.write("map.yaml", MAP)).layout
    whole, refused = gzip.compress(FILE.encode(), mtime=0), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            with opened(path, layout) as file:
                assert len([*file.rows()]) == 7
        except ForeignFileError:
            refused += 1
    assert refused > len(whole) - 10, "the head has a time and the name of a system"


def test_a_file_of_which_no_row_can_be_read_fails(site: Site) -> None:
    found = site.verb(text="Customer,Called,Begin,Seconds,Charge\nx\n")
    assert (found.exit_code, "does the map fit the file?" in found.output) == (1, True)


@pytest.mark.parametrize(
    ("map_text", "problem"),
    [
        ("columns: {callee: a, start: b, duration: c}\n", "account: expected an account of all calls"),
        ("columns: {callee: a, start: b}\naccount: acme\n", "columns.duration: expected this key"),
        (f"{MAP}start: {{zone: Europe/Berlim}}\n", "did you mean 'Europe/Berlin'"),
        (f"{MAP}start: {{format: dd.mm}}\n", "or a format such as"),
        (f"{MAP}start: {{format: '%d.%m.%Y %H:%M:%M'}}\n", "with each directive once"),
        (f"{MAP}duration_unit: hours\n", "one of seconds, milliseconds, minutes, clock"),
        (f"{MAP}delimiter: ab\n", "one character, or tab"),
        (f"{MAP}colour: red\n", "expected a known key"),
        (f"{MAP}include: [vosd.yaml]\n", "include: expected a known key"),
    ],
)
def test_mistakes_in_a_map_are_named_with_their_line(site: Site, map_text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem.replace("(", r"\(")):
        site.calls(map_text, FILE)
    assert site.verb(map_text=map_text).exit_code == 3


def test_csv_and_json_at_once_is_wrong_usage(site: Site) -> None:
    assert site.verb("--csv", "--json").exit_code == 2


def test_an_account_in_another_currency_than_its_rate_group_is_compared_in_its_own(site: Site) -> None:
    exchange = """exchange_rates:
  - {base: USD, quote: EUR, rate: "0.90"}
  - {base: USD, quote: EUR, rate: "0.80", effective_from: "2026-10-01T10:30:00Z"}
currencies: [{code: EUR, fee_precision: 2}]
"""
    site.write("vosd.yaml", exchange + CONFIGURATION.replace("{id: acme,", "{id: acme, currency: EUR,"))
    calls = """Customer,Called,Begin,Seconds,Charge
acme,447900123,2026-10-01T10:00:00Z,61,0.55
acme,447900123,2026-10-01T10:30:00Z,61,0.49
acme,447900123,2026-10-01T10:30:01Z,61,0.55
"""
    found = site.answer("--diff", "Charge", text=calls)
    (row,) = found["accounts"]
    assert (row["account"], row["currency"], row["calls"], row["differ"]) == ("acme", "EUR", 3, 1)
    assert (row["before"], row["after"]) == ("1.59", "1.53")


def test_a_row_names_the_rates_that_priced_it(site: Site) -> None:
    private = '{name: private, rates: [{prefix: "442", billing_rate: "0", first_rate: "1.00", first_duration: 60}]}'
    changed = CONFIGURATION.replace("rate_group: sell", "rate_group: sell, private_rate_group: private")
    site.write("vosd.yaml", changed.replace("rate_groups:", f"rate_groups:\n  - {private}"))
    text = "Customer,Called,Begin,Seconds,Charge\nacme,442012345,2026-10-01T10:00:00Z,{},9\n"
    for seconds, *priced in ((60, "sell", "4420", "0.30"), (600, "private", "442", "1.00")):
        (row,) = csv.DictReader(site.verb("--csv", text=text.format(seconds)).stdout.splitlines())
        assert [row["rate_group"], row["rate_prefix"], row["fee"]] == priced
        (prefix,) = site.answer(text=text.format(seconds))["prefixes"]
        assert prefix["prefix"] == priced[1]


def test_own_test_calls_and_refused_calls_without_rate_differ_in_nothing(site: Site) -> None:
    """A test call has no customer; a number without rate was refused, and no call of no seconds costs anything."""
    found = site.answer(text=UNPAID)
    accounts = {each["account"]: each for each in found["accounts"]}
    assert (found["charges"], found["differ"], found["greatest"], found["prefixes_differ"]) == (2, 0, [], 0)
    assert (found["rows"], found["unpaid_rows"], [*accounts], accounts["acme"]["without_rate"]) == (4, 2, ["acme"], 1)
    headline = "4 rows, 0 differ, 1 without rate, 2 left out: neither account nor charge (test calls)"
    assert site.verb(text=UNPAID).stdout.splitlines()[0] == headline
    for before, after in (("10,0.00", "10,0.05"), ("04Z,0,0.00", "04Z,7,0.00")):
        assert site.answer(text=UNPAID.replace(before, after))["differ"] == 1
