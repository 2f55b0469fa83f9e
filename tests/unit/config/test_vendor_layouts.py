"""Sheets in the layouts that vendors use: read where the meaning is certain, with what was assumed, else refused."""

from decimal import Decimal
from pathlib import Path

import pytest
from doubles.forked_program import Subprocesses
from doubles.workbook import Raw, xlsx

from vosd.catalogue.problems import ConfigError
from vosd.config.decks import workbooks
from vosd.config.decks.conversion import HEADER, SheetReader
from vosd.config.decks.sheet_map import SheetMapKeys, read_map
from vosd.config.decks.sheets import lines_of
from vosd.config.decks.sorting import in_order
from vosd.config.decks.workbooks import SheetError
from vosd.config.keys.rates import PricePer

NAMES = HEADER.split(",")
CODES = "columns: {prefix: Code, area: Destination, billing_rate: Rate"


class Read:
    """The rates that a sheet for a group in euros was read as."""

    def __init__(self, path: Path, sheet_map: SheetMapKeys | None = None, currency: str | None = "EUR") -> None:
        self.reader = SheetReader(str(path), PricePer.MINUTE, sheet_map, currency=currency)
        keys = sheet_map
        lines = lines_of(
            path,
            header_line=keys.header_line if keys else 1,
            encoding=keys.encoding if keys else None,
            assumed=self.reader.assumed,
        )
        self.lines = [*self.reader.each_once(in_order(self.reader.lines(lines)))]

    @property
    def rates(self) -> list[dict[str, str]]:
        return [{name: cell for name, cell in zip(NAMES, line.split(","), strict=True) if cell} for line in self.lines]

    @property
    def prices(self) -> dict[str, str | None]:
        return {rate["prefix"]: None if rate.get("locked") else rate["billing_rate"] for rate in self.rates}

    @property
    def assumed(self) -> list[str]:
        return [str(each) for each in self.reader.assumed.in_order()]

    @property
    def mistakes(self) -> list[tuple[int, str, str | None]]:
        return [(each.line, each.key, each.value) for each in self.reader.problems]


class Desk:
    """Writes sheets and maps."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def csv(self, text: str, encoding: str = "utf-8") -> Path:
        path = self._directory / "rates.csv"
        path.write_bytes(text.encode(encoding))
        return path

    def xlsx(self, text: str, sheet: str = "Rates") -> Path:
        rows: list[list[object]] = [[*line.split(";")] for line in text.splitlines()]
        return xlsx(self._directory / "rates.xlsx", rows, sheet)

    def map(self, text: str) -> SheetMapKeys:
        path = self._directory / "map.yaml"
        path.write_text(text, encoding="utf-8")
        return read_map(path)


@pytest.fixture(autouse=True)
def _forked(monkeypatch) -> None:
    monkeypatch.setattr(workbooks, "subprocess", Subprocesses)


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


VOS3000 = """Rate Prefix;Area Name;Rate Type;Billing Rate;Billing Cycle;First Time Rate;First Time Duration;Tax Rate
44;UK;International;0.05;6;0;0;10%
45;DK;Domestic;0.05;60;0.21;180;0
46;SE;Local;0.05;60;0.3;0;0
"""
LAYOUTS = {
    "our own names": ("prefix;billing_rate\n44;0.012\n", "", {"44": "0.012"}, []),
    "a word in place of a price": (
        "prefix;billing_rate\n44;0.012\n4470;Blocked\n4471;N/A\n4472;NA\n4473;BLOCKED\n",
        "",
        {"44": "0.012", "4470": None, "4471": None, "4472": None, "4473": None},
        [
            "line 3, billing_rate 'Blocked': no price, so the prefix is closed",
            "line 4, billing_rate 'N/A': no price, so the prefix is closed",
            "line 5, billing_rate 'NA': no price, so the prefix is closed",
        ],
    ),
    "codes with a plus sign": (
        "Code;Destination;Rate\n+44;UK;0.012\n+1264;Anguilla;0.1\n",
        CODES + "}",
        {"1264": "0.1", "44": "0.012"},
        ["line 2, Code '+44': the code behind the plus sign"],
    ),
    "a symbol of currency": (
        "prefix;billing_rate;connection_fee\n44;€0.0079;€ 0.01\n45;0.01 €;\n",
        "",
        {"44": "0.0079", "45": "0.01"},
        ["line 2, billing_rate '€0.0079': an amount in EUR", "line 2, connection_fee '€ 0.01': an amount in EUR"],
    ),
    "a code of currency": (
        "prefix;billing_rate\n44;EUR 0.0079\n45;0.01 EUR\n",
        "",
        {"44": "0.0079", "45": "0.01"},
        ["line 2, billing_rate 'EUR 0.0079': an amount in EUR"],
    ),
    "a decimal comma and a currency": (
        "Code;Destination;Rate\n44;UK;€ 0,0079\n",
        CODES + "}\ndecimal: ','",
        {"44": "0.0079"},
        ["line 2, Rate '€ 0,0079': an amount in EUR"],
    ),
    "a currency in the header": (
        "Code;Destination;Rate (EUR)\n44;UK;0.0079\n",
        CODES + " (EUR)}",
        {"44": "0.0079"},
        [],
    ),
    "a column of currencies": ("prefix;billing_rate;Currency\n44;0.0079;EUR\n", "", {"44": "0.0079"}, []),
    "intervals in two columns": (
        "Code;Destination;Rate;First;Next\n44;UK;0.0079;30;6\n45;DK;0.0079;;\n46;SE;0.01;0;0\n",
        CODES + ", interval: [First, Next]}",
        {"44": "0.0079", "45": "0.0079", "46": "0.01"},
        [],
    ),
    "a footer": (
        "prefix;area;billing_rate\n44;UK;0.0079\n;;\nTotal 1 code;;\n;Prices without VAT;\n",
        "",
        {"44": "0.0079"},
        ["line 4, 'Total 1 code': 2 lines without code and price behind the last rate: left out"],
    ),
    "digits of floats": (
        "prefix;billing_rate\n44;0.0079000000000000008\n45;0.30000000000000004\n46;0.07899999999999999\n",
        "",
        {"44": "0.0079", "45": "0.3", "46": "0.079"},
        ["line 2, billing_rate '0.0079000000000000008': 0.0079, the 15 digits that a spreadsheet shows"],
    ),
    "a column of status": (
        "Code;Destination;Rate;Change\n44;UK;0.01;New\n45;DK;0.02;blocked\n46;SE;0.03;\n",
        CODES + "}\nstatus: {column: Change, close: Blocked, keep: [New, Current]}",
        {"44": "0.01", "45": None, "46": "0.03"},
        [],
    ),
    "codes in two columns, with ranges": (
        "Country;Code;Destination;Rate\n+44;7000-7001,7011;UK;0.01\n",
        "columns: {prefix: [Country, Code], area: Destination, billing_rate: Rate}",
        {"447000": "0.01", "447001": "0.01", "447011": "0.01"},
        ["line 2, Code '+447000-7001,7011': the code behind the plus sign"],
    ),
    "trailing columns without a name": ("prefix;billing_rate;;\n44;0.012;;\n", "", {"44": "0.012"}, []),
    "VOS3000's own headings": (
        VOS3000,
        "",
        {"44": "0.05", "45": "0.05", "46": "0.05"},
        ["line 4, First Time Rate '0.3': no first period, for its duration is 0"],
    ),
}


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_usual_layout_is_read_with_what_was_assumed(desk, layout, kind):
    text, map_text, prices, assumed = LAYOUTS[layout]
    path = desk.csv(text) if kind == "csv" else desk.xlsx(text)
    read = Read(path, desk.map(map_text) if map_text else None)
    assert not read.mistakes
    assert read.prices == prices
    assert read.assumed == assumed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_of_a_sheet_is_found_out(desk, encoding):
    read = Read(desk.csv("prefix\tarea\tbilling_rate\n225\tCôte d\u2019Ivoire\t€0.3\n", encoding))
    assert [(each["area"], each["billing_rate"]) for each in read.rates] == [("Côte d\u2019Ivoire", "0.3")]
    guessed = [each for each in read.assumed if "Windows-1252" in each]
    assert len(guessed) == (encoding == "cp1252")


def test_a_map_says_another_encoding(desk):
    keys = desk.map("columns: {prefix: Code, area: Name, billing_rate: Rate}\nencoding: cp1251")
    read = Read(desk.csv("Code,Name,Rate\n7,Россия,0.02\n", "cp1251"), keys)
    assert [each["area"] for each in read.rates] == ["Россия"]
    assert not read.assumed
    with pytest.raises(ConfigError, match="encoding of text"):
        desk.map("columns: {prefix: Code, billing_rate: Rate}\nencoding: martian")


def test_numbers_of_a_workbook_have_the_digits_that_the_spreadsheet_shows(tmp_path):
    rows: list[list[object]] = [
        ["prefix", "billing_rate"],
        ["44", Decimal("7.9000000000000008E-3")],
        ["45", Decimal("0.30000000000000004")],
    ]
    assert Read(xlsx(tmp_path / "rates.xlsx", rows)).prices == {"44": "0.0079", "45": "0.3"}


def test_terms_of_the_other_switch_have_their_meaning(desk):
    read = Read(desk.csv(VOS3000))
    assert [
        (each["billing_cycle"], each.get("first_rate"), each.get("first_duration"), each.get("tax_rate"))
        for each in read.rates
    ] == [("6", None, None, "10"), ("60", "0.21", "180", None), ("60", None, None, None)]
    intervals = Read(desk.csv("prefix,billing_rate,interval\n44,1,0/0\n45,1,30/6\n46,1,0/6\n"))
    assert [each.get("interval") for each in intervals.rates] == [None, "30/6"]
    assert intervals.mistakes == [(4, "interval", "0/6")]


@pytest.mark.parametrize(
    ("text", "map_text", "named"),
    [
        ("Code;Destination;Rate;Status\n44;UK;1;Active\n", CODES + "}", "'Status'.*status, or ignored"),
        ("Code;Destination;Rate;Blocked\n44;UK;1;\n", CODES + "}", "'Blocked'.*status, or ignored"),
        ("Code;Destination;Rate USD\n44;UK;1\n", CODES + " USD}", "prices in EUR"),
        ("Code;Destination;Rate $\n44;UK;1\n", CODES + " $}", "prices in EUR"),
    ],
)
def test_a_header_that_leaves_a_doubt_is_refused(desk, text, map_text, named):
    with pytest.raises(SheetError, match=named):
        Read(desk.csv(text), desk.map(map_text))


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ("44;UK;-;", (2, "Rate", "-")),  # accounting formats write 0 so
        ("44;UK;$0.01;", (2, "Rate", "$0.01")),
        ("44;UK;0.01 USD;", (2, "Rate", "0.01 USD")),
        ("44;UK;#N/A;", (2, "Rate", "#N/A")),
        ("44;UK;Deleted;", (2, "Rate", "Deleted")),  # closed, or the rate of a shorter prefix?
        ("44;UK;0.01;Deleted", (2, "Comment", "Deleted")),
        ("44;UK;0.01;Blocked", (2, "Comment", "Blocked")),
        ("44;UK;0.0079123456789012;", (2, "Rate", "0.0079123456789012")),
        ("UK;;0.01;", (2, "Code", "UK")),
        ("44 or 45;;;", (2, "Code", "44 or 45")),
    ],
)
def test_a_cell_that_leaves_a_doubt_is_refused(desk, row, mistake):
    keys = desk.map(CODES + "}")
    read = Read(desk.csv(f"Code;Destination;Rate;Comment\n{row}\n33;France;0.02;\n"), keys)
    assert read.mistakes == [mistake]
    assert not read.assumed


def test_a_word_of_a_status_in_the_comment_of_a_rate_is_a_mistake(desk):
    read = Read(desk.csv("prefix;billing_rate;Memo\n44;0.01;fine\n33;0.02;DELETED\n"))
    assert read.mistakes == [(3, "Memo", "DELETED")]
    assert not read.reader.unread
    text = "Code;Destination;Rate;Comment\n44;UK;0.01;Deleted\n"
    columns = f"{CODES}, memo: Comment}}"
    assert Read(desk.csv(text), desk.map(columns)).mistakes == [(2, "Comment", "Deleted")]
    assert Read(desk.csv(text), desk.map(f"{columns}\nignored: Comment")).prices == {"44": "0.01"}
    status = "status: {column: Comment, close: Deleted}"
    assert Read(desk.csv(text), desk.map(f"{columns}\n{status}")).rates[0]["locked"] == "yes"


def test_a_line_without_code_and_price_between_rates_is_a_mistake(desk):
    read = Read(desk.csv("prefix;area;billing_rate\n44;UK;0.01\nEurope;;\n33;France;0.02\n"))
    assert read.mistakes == [(3, "prefix", "Europe")]


def test_a_currency_of_a_row_that_is_not_that_of_the_rate_group_is_a_mistake(desk):
    read = Read(desk.csv("prefix;billing_rate;Currency\n44;0.01;EUR\n45;0.01;USD\n"))
    assert read.mistakes == [(3, "Currency", "USD")]
    assert "EUR" in read.reader.problems[0].expected


def test_a_dollar_may_be_that_of_the_rate_group(desk):
    path = desk.csv("prefix;billing_rate\n44;$0.01\n")
    assert Read(path, currency="CAD").prices == {"44": "0.01"}
    assert Read(desk.csv("prefix;billing_rate\n44;US$0.01\n"), currency="CAD").mistakes


def test_columns_that_no_map_names_are_listed(desk):
    text = "Code;Destination;Rate;Comment;;Valid\n44;UK;1;fine;;2026\n"
    assert Read(desk.csv(text), desk.map(CODES + "}")).reader.unread == ["Comment", "column 5, without a name", "Valid"]
    ignored = desk.map(CODES + "}\nignored: [Comment, Valid]")
    assert Read(desk.csv(text), ignored).reader.unread == ["column 5, without a name"]
    assert Read(desk.csv("Code;Destination;Rate;Status\n44;UK;1;x\n"), desk.map(CODES + "}\nignored: Status")).prices


def test_a_word_of_a_status_without_a_meaning_is_a_mistake(desk):
    keys = desk.map(CODES + "}\nstatus: {column: Change, close: [Blocked], remove: [Deleted]}")
    read = Read(desk.csv("Code;Destination;Rate;Change\n44;UK;1;Increase\n45;DK;1;deleted\n"), keys)
    assert read.mistakes == [(2, "Change", "Increase")]
    assert read.rates[0]["locked"] == "out"
    with pytest.raises(ConfigError, match="column"):
        desk.map(CODES + "}\nstatus: {close: [Blocked]}")
    with pytest.raises(ConfigError, match="each word once"):
        desk.map(CODES + "}\nstatus: {column: Change, close: [Blocked], remove: [blocked]}")


@pytest.mark.parametrize(
    "cell",
    [
        't="e"><v>#N/A</v>',
        "t='e'><f>VLOOKUP(A2,X:Y,2)</f><v>#N/A</v>",
        "><f>B1*2</f>",
        "><f>B1*2</f><v></v>",
        "><f/><v/>",
    ],
)
def test_a_price_that_is_an_error_or_was_never_computed_does_not_close_the_prefix(tmp_path, cell):
    rows: list[list[object]] = [["prefix", "billing_rate", "area"], ["44", Raw(cell), "UK"], ["45", "0.1", "DK"]]
    read = Read(xlsx(tmp_path / "rates.xlsx", rows))
    assert read.mistakes == [(2, "billing_rate", "#ERROR")]
    assert read.prices == {"45": "0.1"}


def test_a_price_that_a_formula_has_computed_is_read(tmp_path):
    rows: list[list[object]] = [["prefix", "billing_rate"], ["44", Raw("><f>B1*2</f><v>0.02</v>")], ["45", Raw(">")]]
    rows.append(["46", Raw('t="str"><f>IF(A1=1,"","")</f><v></v>')])
    assert Read(xlsx(tmp_path / "rates.xlsx", rows)).prices == {"44": "0.02", "45": None, "46": None}


def test_errors_in_columns_that_are_not_read_do_not_matter(tmp_path, desk):
    rows: list[list[object]] = [["Code", "Rate", "Was"]]
    rows += [[str(1_000 + number), "0.1", Raw('t="e"><v>#REF!</v>')] for number in range(15_000)]
    keys = desk.map("columns: {prefix: Code, billing_rate: Rate}")
    read = Read(xlsx(tmp_path / "rates.xlsx", rows), keys)
    assert (read.reader.rows, read.reader.bad_rows) == (15_000, 0)
    rows[14_999][1] = Raw('t="e"><v>#REF!</v>')
    assert Read(xlsx(tmp_path / "rates.xlsx", rows), keys).mistakes == [(15_000, "Rate", "#ERROR")]
