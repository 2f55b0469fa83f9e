"""Rate tables as CSV: small files become objects, larger ones are compiled. What is accepted and said is the same."""

from datetime import datetime
from decimal import Decimal
from itertools import chain

import pytest
from doubles.data.builders import rates_in

from vosd.billing.rate_file import RateFile
from vosd.billing.sections import format_sections
from vosd.config.assembly import rate_orders, rate_report
from vosd.config.assembly.rate_report import problems_of_rounding


@pytest.fixture(params=["objects", "compiled"], autouse=True)
def way(request, monkeypatch):
    """Take every file in one way, whatever its size."""
    monkeypatch.setattr(rate_orders, "SMALL_BYTES", -1 if request.param == "compiled" else 1 << 30)
    return request.param


def test_a_file_is_read_in_the_way_that_the_test_is_about(way, group):
    assert isinstance(group("prefix,billing_rate\n44,1\n").table, RateFile) is (way == "compiled")


@pytest.fixture
def group(site):
    """Load one group from the CSV text."""

    def load(csv: str | bytes):
        site.directory.joinpath("rates.csv").write_bytes(csv if isinstance(csv, bytes) else csv.encode())
        return site.load("rate_groups: [{name: g, rates_file: rates.csv}]\n").catalogue.rate_groups["g"]

    return load


@pytest.fixture
def errors(site):
    """Return the errors of one group from the CSV text."""

    def load(csv: str | bytes):
        site.directory.joinpath("rates.csv").write_bytes(csv if isinstance(csv, bytes) else csv.encode())
        return site.errors("rate_groups: [{name: g, rates_file: rates.csv}]\n")

    return load


@pytest.mark.parametrize(
    "csv",
    [
        'prefix,billing_rate,billing_cycle,first_rate,first_duration,area\n44,0.0120,6,,,"Kingdom, United"\n',
        (
            "\ufeffrate_prefix,billing_rate,billing_cycle,first_time_rate,first_time_duration,area_name\r\n"
            '44,0.0120,6,,,"Kingdom, United"\r\n\r\n'
        ),
        "Area Name;PREFIX;billing_rate;billing_cycle\n".replace(" ", "_") + "Kingdom, United; 44 ;0.0120;6",
        "area\tprefix\tbilling_rate\tbilling_cycle\nKingdom, United\t44\t0.0120\t6\n\t\t\t\n",
    ],
)
def test_a_table_is_read_in_any_of_its_usual_forms(group, csv):
    (rate,) = rates_in(group(csv))

    assert (rate.prefix, str(rate.billing_rate), rate.billing_cycle, rate.area) == (
        "44",
        "0.0120",
        6,
        "Kingdom, United",
    )


def test_a_table_with_all_columns_by_their_other_names_is_read(group):
    header = (
        "rate_prefix,area_prefix,area_name,rate_type,billing_rate,billing_cycle,first_time_rate,first_time_duration,"
        "connection_fee,tax_rate,section_rates,effective_time,expire_time,locked,memo"
    )

    (rate,) = rates_in(group(f"{header}\n44,,UK,international,0.01,6,,,,,,,,,from the carrier\n"))
    assert rate.area == "UK"


def test_sections_and_fees_of_a_table_are_read_by_either_of_their_names(group):
    (rate,) = rates_in(
        group(
            "rate_prefix,billing_rate,billing_cycle,connection_fee,section_rates,minimum_charge,locked\n"
            "44,0.05,60,0.01,0.10@60;0.18@120,0.02,no\n"
        )
    )
    assert (format_sections(rate.sections), rate.connection_fee, rate.minimum_charge, rate.locked) == (
        "0.10@60;0.18@120", Decimal("0.01"), Decimal("0.02"), False,
    )  # fmt: skip


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def test_a_prefix_has_the_rate_that_came_into_force_last(group):
    deck = group(
        "prefix,billing_rate,effective_from,effective_to\n"
        "44,0.01,,\n44,0.02,2026-02-01T00:00:00Z,\n44,0.03,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z\n"
        "4420,0.09,2026-02-15T00:00:00Z,\n33,0.5,,2026-02-01T00:00:00Z\n"
    )

    def price(number: str, moment: str) -> str | None:
        found = deck.find(number, at(moment))
        return None if found is None else str(found.rate.billing_rate)

    assert price("4420", "2026-01-31T23:59:59.999Z") == "0.01"
    assert price("4420", "2026-02-01T00:00:00.000Z") == "0.02", "a longer prefix that is not in force hides nothing"
    assert price("4420", "2026-02-15T00:00:00.000Z") == "0.09"
    assert [price("4470", f"2026-03-0{day}T00:00:00Z") for day in (1, 2)] == ["0.03", "0.02"]
    assert [price("331", f"2026-02-01T00:00:00.000{zone}") for zone in ("+01:00", "Z")] == ["0.5", None]


def test_warnings_about_single_rates_are_made_one_by_one_for_there_may_be_a_million(site, monkeypatch):
    (site.directory / "rates.csv").write_text(
        "prefix,billing_rate\n" + "".join(f"{prefix},0.001\n" for prefix in range(100, 200))
    )
    loaded = site.load("rate_groups: [{name: g, fee_precision: 2, rates_file: rates.csv}]")
    examined = []

    def noted(rate, policy):
        examined.append(rate.prefix)
        return problems_of_rounding(rate, policy)

    monkeypatch.setattr(rate_report, "problems_of_rounding", noted)
    (found,) = loaded.reports_by_group()
    assert ["rates[100]" in next(found).key, "rates[100]" in next(found).key] == [True, True]
    assert examined == ["100"]


def test_every_price_of_time_is_in_the_report_on_rounding(site):
    (site.directory / "rates.csv").write_text(
        "prefix,billing_rate,billing_cycle,first_rate,first_duration,sections,locked\n"
        "44,0.60,60,0.2101,60,,\n49,0.60,60,,,0.10@60;0.1849@120,\n33,0.001,60,,,,yes\n39,0.60,60,0.21,60,0.10@60,\n"
    )
    loaded = site.load("rate_groups: [{name: g, fee_precision: 2, rates_file: rates.csv}]")
    assert [site.shown(str(problem)) for problem in chain.from_iterable(loaded.reports_by_group())] == [
        (
            "rates.csv:2: warning: rate_groups[g].rates[44].first_rate: value '0.2101': "
            "expected at most 2 decimals; VOS3000 would have stored 0.21"
        ),
        (
            "rates.csv:3: warning: rate_groups[g].rates[49].sections: value '0.1849': "
            "expected at most 2 decimals; VOS3000 would have stored 0.18"
        ),
    ]


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ("44,1,2026-02-01T00:00:00Z,\n44,2,2026-02-01T01:00:00+01:00,\n", (
            "rates.csv:3: rate_groups[g].rates_file.prefix: value '44': "
            "expected each prefix once in a rate group, or with another effective_from; it also stands at rates.csv:2"
        )),
        ("44,1,2026-02-01T00:00:00Z,2026-01-01T00:00:00Z\n", (
            "rates.csv:2: rate_groups[g].rates_file.effective_to: value '2026-01-01T00:00:00Z': "
            "expected a time after effective_from"
        )),
        ("44,1,01/02/2026,\n", (
            "rates.csv:2: rate_groups[g].rates_file.effective_from: value '01/02/2026': "
            "expected a day such as 2026-12-31, or a time with its zone such as 2026-12-31T18:00:00Z"
        )),
    ],
    ids=["same moment", "ends before it begins", "ambiguous day"],
)  # fmt: skip
def test_a_mistake_in_a_validity_is_named(errors, rows, error):
    assert errors(f"prefix,billing_rate,effective_from,effective_to\n{rows}") == [error]


def test_every_bad_row_is_named_with_its_line(errors):
    assert errors(
        'prefix,billing_rate,tax_rate\n44,0.01,\n4420,"1,000.00",\n4.4E+10,0.01,\n49,1e-3,200\n44,0.02,\n33,0.01\n,0.5,\n'
    ) == [
        (
            "rates.csv:3: rate_groups[g].rates_file.billing_rate: value '1,000.00': "
            "expected an amount of 0 or more with at most 8 decimals, such as 0.012"
        ),
        (
            "rates.csv:4: rate_groups[g].rates_file.prefix: value '4.4E+10': "
            "expected digits without + or blanks, or * for any number"
        ),
        (
            "rates.csv:5: rate_groups[g].rates_file.billing_rate: value '1e-3': "
            "expected an amount of 0 or more with at most 8 decimals, such as 0.012"
        ),
        (
            "rates.csv:5: rate_groups[g].rates_file.tax_rate: value '200': "
            "expected percent from 0 to 100, with at most 4 decimals"
        ),
        (
            "rates.csv:6: rate_groups[g].rates_file.prefix: value '44': "
            "expected each prefix once in a rate group, or with another effective_from; it also stands at rates.csv:2"
        ),
        "rates.csv:7: rate_groups[g].rates_file: expected 3 columns as in the header, not 2",
        (
            "rates.csv:8: rate_groups[g].rates_file.prefix: "
            "expected this key: digits without + or blanks, or * for any number"
        ),
    ]


def test_a_column_is_named_as_the_header_spells_it(errors):
    assert errors("rate_prefix,billing_rate,first_time_rate\n44,0.01,x\n") == [
        (
            "rates.csv:2: rate_groups[g].rates_file.first_time_rate: value 'x': "
            "expected an amount of 0 or more with at most 8 decimals, such as 0.012"
        )
    ]


def areas_of(rates):
    return {rate.prefix: rate.area for rate in rates}


def test_a_row_without_area_has_that_of_its_area_prefix(group):
    text = "prefix,billing_rate,area_prefix,area\n4420,0.2,44,\n44,0.1,,UK\n4477,0.3,44,Mobile\n49,0.4,7,\n1,0.5,,\n"
    named = {"4420": "UK", "44": "UK", "4477": "Mobile", "49": "7", "1": ""}
    assert areas_of(rates_in(group(text))) == named
    # The same in rows that are read one by one, because a cell of each is unusual: "*" is no digit.
    assert areas_of(rates_in(group(text + "*,0.9,44,\n"))) == {**named, "*": "UK"}


def test_areas_of_prefixes_that_are_not_always_in_force_are_named_by_the_first_row_that_has_one(group):
    text = (
        "prefix,billing_rate,area_prefix,area,effective_from\n44,0.1,,,2026-01-01\n44,0.1,,UK,2026-02-01\n"
        "44,0.1,,GB,2026-03-01\n4420,0.2,44,,\n"
    )
    assert {rate.area for rate in rates_in(group(text)) if rate.prefix == "4420"} == {"UK"}


def test_an_area_prefix_is_digits(errors):
    assert errors("prefix,billing_rate,area_prefix\n44,0.01,UK\n") == [
        "rates.csv:2: rate_groups[g].rates_file.area_prefix: value 'UK': expected digits without + or blanks"
    ]


@pytest.mark.parametrize(
    ("csv", "error"),
    [
        ("prefix,bill_rate\n",
         "rates.csv:1: rate_groups[g].rates_file: value 'bill_rate': expected a known column; did"),
        ("prefix,prefix,billing_rate\n",
         "rates.csv:1: rate_groups[g].rates_file: value 'prefix': expected each column once; 'prefix' is the same"),
        ("prefix,rate_prefix,billing_rate\n",
         ("rates.csv:1: rate_groups[g].rates_file: value 'rate_prefix': "
         "expected each column once; 'prefix' is the same")),
        ("prefix,area\n", "rates.csv:1: rate_groups[g].rates_file: expected a header line with a column billing_rate"),
        ("", "rates.csv:1: rate_groups[g].rates_file: expected a header line with a column prefix"),
        ("prefix,billing_rate\n44,\"0.01", "rates.csv:2: rate_groups[g].rates_file: expected valid CSV: "),
        (b"prefix,billing_rate\n44,\xff", "rates.csv:2: expected UTF-8 text"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_rate_table_is_named(errors, csv, error):
    assert errors(csv)[0].startswith(error)


def test_a_table_that_is_missing_is_named_where_it_is_asked_for(site):
    assert site.errors("rate_groups: [{name: g, rates_file: rates.csv}]\n") == [
        (
            "vosd.yaml:1: rate_groups[g].rates_file: value 'rates.csv': "
            "expected a readable file: no such file or directory"
        )
    ]


def test_a_table_full_of_mistakes_gives_a_bounded_list(errors):
    found = errors("prefix,billing_rate\n" + "x,1\n" * 250)

    assert len(found) == 101
    assert found[-1] == "vosd.yaml:1: rate_groups[g]: expected rates without mistakes; 150 more rows have some"


def test_a_large_table_arrives_whole(group):
    rows = "".join(f"{10_000 + n},0.0{n % 97 + 1},6\n" for n in range(20_000))

    loaded = group(f"prefix,billing_rate,billing_cycle\n{rows}")

    assert loaded.table.size == 20_000
    assert loaded.find("2999955512", 0).rate.prefix == "29999"


@pytest.mark.parametrize("content", ["prefix,billing_rate\n", "prefix,billing_rate\n\n , \n", "prefix,billing_rate"])
def test_a_rate_file_without_a_rate_is_an_error(site, content):
    site.write("rates.csv", content)
    assert site.errors("rate_groups: [{name: g, rates_file: rates.csv}]") == [
        (
            "vosd.yaml:1: rate_groups[g].rates_file: "
            "expected at least one rate behind the header: without rates all calls are refused; rates: [] says so"
        )
    ]
    assert site.load("rate_groups: [{name: g, rates: []}]").catalogue.rate_groups["g"].table.size == 0
