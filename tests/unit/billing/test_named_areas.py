"""Areas of rates that have none: those of another table, by the longest prefix of the number that has one."""

from decimal import Decimal

import pytest

from vosd.billing.named_areas import NamedTable
from vosd.billing.rate_columns import RateColumns
from vosd.billing.rate_file import RateFile
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate


def row(prefix: str, area: str = "", **terms) -> Rate:
    return Rate(prefix, Decimal("0.01"), 1, area=area, **terms)


def compiled(*rates: Rate) -> RateFile:
    columns = RateColumns(per_cycle=False)
    for each in rates:
        columns.add(each)
    return RateFile(memoryview(b"".join(columns.encoded())))


OWN = row("44"), row("4420", "London by us"), row("49", "49"), row("7", "7"), row("*")
LIST = (
    row("44", "United Kingdom"), row("447", "UK mobile"), row("44791"), row("4420", "London"), row("49", "Germany"),
    row("390", "Italy", locked=True),
)  # fmt: skip


@pytest.mark.parametrize("kind", ["rows", "files"])
@pytest.mark.parametrize(
    ("number", "prefix", "area"),
    [
        ("441", "44", "United Kingdom"),
        ("447700", "44", "UK mobile"),  # by the number, and not by the prefix of the rate
        ("4479112", "44", "UK mobile"),  # the list has no area for 44791
        ("44201", "4420", "London by us"),
        ("4930", "49", "Germany"),  # the digits of an area_prefix
        ("7495", "7", "7"),  # which no one names
        ("39012", "*", "Italy"),  # a price that is locked there is one there
        ("33", "*", ""),
    ],
)
def test_a_rate_without_area_has_that_of_the_longest_prefix_of_the_number_with_one(kind, number, prefix, area):
    own, names = (compiled(*OWN), compiled(*LIST)) if kind == "files" else (RateRows(OWN, "own"), RateRows(LIST, "l"))
    found = NamedTable(own, names, "named").find(number, 0)
    assert (found.prefix, found.area) == (prefix, area)
    assert found.billing_rate == Decimal("0.01")


def test_calls_of_an_area_share_the_rate_until_the_table_has_another_one():
    table = NamedTable(RateRows([row("*")], "own"), RateRows(LIST, "list"), "named")
    london, mobile = table.find("44201", 0), table.find("4477", 0)
    assert table.find("442055", 0) is london
    assert table.find("4478", 0) is mobile
    assert (london.area, mobile.area) == ("London", "UK mobile")


def test_a_row_for_any_number_names_all_others():
    table = NamedTable(RateRows([row("*")], "own"), RateRows([row("44", "UK"), row("*", "Rest")], "list"), "named")
    assert [table.find(number, 0).area for number in ("441", "33", "")] == ["UK", "Rest", "Rest"]
    without = NamedTable(RateRows([row("*")], "own"), RateRows([row("44", "UK"), row("*")], "list"), "named")
    assert [without.find(number, 0).area for number in ("441", "33")] == ["UK", ""]


def test_an_area_is_that_of_the_moment():
    columns = RateColumns(per_cycle=False)
    columns.add(row("44", "Old name"), 0, 0, 1_000)
    columns.add(row("44", "New name"), 0, 1_000, 2_000)
    table = NamedTable(RateRows([row("44")], "own"), RateFile(memoryview(b"".join(columns.encoded()))), "named")
    assert [table.find("441", at).area for at in (999, 1_000, 2_000)] == ["Old name", "New name", ""]


def test_prefixes_and_numbers_without_a_rate_are_those_of_the_table():
    table = NamedTable(RateRows([row("44")], "own"), RateRows(LIST, "list"), "named")
    assert (table.size, [*table.prefixes()], table.has("44"), table.has("49")) == (1, ["44"], True, False)
    assert table.find("4930", 0) is None


def test_the_areas_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr("vosd.billing.named_areas._KEPT_MAX", 2)
    table = NamedTable(RateRows([row("*")], "own"), RateRows(LIST, "list"), "named")
    assert [table.find(number, 0).area for number in ("441", "447", "49", "441")] == [
        "United Kingdom", "UK mobile", "Germany", "United Kingdom",
    ]  # fmt: skip
