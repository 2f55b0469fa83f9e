"""Rate tables: one suite over the rows in memory and over the bytes of a compiled file, with validity windows."""

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from doubles.data.builders import rating_policy
from doubles.exploring import examples
from doubles.recomputed import recompute
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Intent
from doubles.virtual.scene import Scene, usual_catalogue
from hypothesis import given, settings, strategies as st

from vosd.billing.ports import RateTable
from vosd.billing.rate_columns import RateColumns
from vosd.billing.rate_file import RateFile
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_layout import ALWAYS
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import breakdown, rate_call
from vosd.billing.rates import Rate
from vosd.billing.sections import parse_sections

NOW = 1_790_000_000_000


class Window(NamedTuple):
    """A rate, and from when until before when it is in force (UTC milliseconds)."""

    rate: Rate
    begins: int = ALWAYS[0]
    ends: int = ALWAYS[1]


def file_of(windows: Iterable[Window], *, per_cycle: bool = False) -> RateFile:
    """Compile rates into the bytes of a file."""
    columns = RateColumns(per_cycle=per_cycle)
    for line, (rate, begins, ends) in enumerate(windows, 2):
        columns.add(rate, line, begins, ends)
    return RateFile(memoryview(b"".join(columns.encoded())))


Make = Callable[[Sequence[Rate], str], RateTable]
IMPLEMENTATIONS: dict[str, Make] = {"rows": RateRows, "file": lambda rates, _version: file_of(map(Window, rates))}
WINDOWED = [pytest.param(lambda windows, _version: file_of(windows), id="file")]
"""Tables whose rates have validity windows; the rows of a configuration file have none."""

windowed = pytest.mark.parametrize("make_windowed", WINDOWED)


@pytest.fixture(params=IMPLEMENTATIONS)
def make(request) -> Make:
    return IMPLEMENTATIONS[request.param]


def rate(prefix: str, price: str = "0.60", cycle: int = 1) -> Rate:
    return Rate(prefix, Decimal(price), cycle)


def rates(*prefixes: str) -> list[Rate]:
    return [rate(prefix, f"0.{position + 1:02}") for position, prefix in enumerate(prefixes)]


def group_of(table: RateTable) -> RateGroup:
    return RateGroup("sell", "USD", rating_policy(), table, "g1")


def test_the_longest_prefix_that_fits_has_the_rate(make):
    table = make(rates("44", "4420", "442", "33"), "v1")
    found = {number: table.find(number, NOW) for number in ("44207946", "4423", "4470", "33", "4", "49")}
    assert {number: each and each.prefix for number, each in found.items()} == {
        "44207946": "4420", "4423": "442", "4470": "44", "33": "33", "4": None, "49": None,
    }  # fmt: skip
    assert found["44207946"].billing_rate == Decimal("0.02")


def test_the_catch_all_fits_every_number_even_an_empty_one(make):
    table = make(rates("*", "44"), "v1")
    assert [table.find(number, NOW).prefix for number in ("44", "331", "")] == ["44", "*", "*"]


def test_a_table_without_rates_finds_none(make):
    table = make([], "v1")
    assert (table.size, list(table.prefixes()), table.find("44", NOW)) == (0, [], None)


def test_a_table_says_how_many_rates_it_has_and_of_which_prefixes(make):
    table = make(rates("4420", "*", "33"), "v1")
    assert table.size == 3
    assert sorted(table.prefixes()) == ["*", "33", "4420"]
    assert [table.has(prefix) for prefix in ("*", "33", "4420", "44", "442", "44201", "")] == [True] * 3 + [
        False
    ] * 3 + [True]


def test_rates_are_equal_by_value_however_often_they_are_looked_up(make):
    table = make(rates("44"), "v1")
    assert table.find("4420", NOW) == table.find("4470", NOW) == rate("44", "0.01")


def test_a_call_keeps_the_version_of_the_table_that_rated_it(make):
    table = make(rates("44"), "deck-7")
    applied = group_of(table).find("+4420", NOW)
    assert (applied.version, applied.rate.prefix) == (table.version, "44")
    steps = breakdown(applied, 61_000)
    assert steps[0]["version"] == table.version
    assert recompute(json.loads(json.dumps(steps))) == rate_call(applied, 61_000)


def test_a_locked_prefix_has_no_rate_nor_that_of_a_shorter_one(make):
    locked = Rate("4479", Decimal("0.20"), 1, locked=True)
    group = group_of(make([*rates("44", "447900"), locked], "v1"))
    found = {number: group.find(number, NOW) for number in ("4420", "4479123", "447900123")}
    assert {number: each and each.rate.prefix for number, each in found.items()} == {
        "4420": "44", "4479123": None, "447900123": "447900",
    }  # fmt: skip


digits = st.text("0123", max_size=6)
long_digits = st.builds("".join, st.lists(st.sampled_from(["0", "12345678", "1234567890123456", "9"]), max_size=5))
amounts = st.decimals(0, 999_999_999_999, places=None, allow_nan=False).map(
    lambda amount: Decimal(str(round(amount, 8)))
) | st.sampled_from([*map(Decimal, ("0", "0.0120", "-0", "99999999999.12345678", "999999999999.99999999", "7"))])
some_rates = st.builds(
    Rate,
    prefix=(digits | long_digits).map(lambda prefix: prefix[:32] or "*"),
    billing_rate=amounts,
    billing_cycle=st.integers(1, 3_600),
    first_rate=st.none() | amounts,
    first_duration=st.integers(0, 86_400),
    tax_rate=st.sampled_from([*map(Decimal, ("0", "0.00", "19", "7.7", "100.0000"))]),
    area=st.sampled_from(["", "UK", "M\u00fcnchen", "a" * 200]),
    rate_type=st.sampled_from(["", "net", "international"]),
    connection_fee=amounts,
    minimum_charge=amounts,
    sections=st.sampled_from(["", "0.10@60", "0.10@60;0.180@120;0.25@180"]).map(
        lambda text: parse_sections(text) if text else ()
    ),
    locked=st.booleans(),
)
called = (digits | long_digits | st.text(max_size=20)) | st.builds(
    "{}{}".format, digits, st.text("0*#a\u0663-", max_size=3)
)
"""Whatever a caller may dial, which need not be digits."""
moments = st.integers(0, 6).map(lambda step: NOW + step)


def _window(rate: Rate, is_bounded: bool, *times: int) -> Window:
    return Window(rate, *sorted(times)) if is_bounded else Window(rate)


windows = st.builds(_window, some_rates, st.booleans(), moments, moments)


def _digits(prefix: str) -> str:
    return "" if prefix == "*" else prefix


def naive(rows: Sequence[Window], number: str, wall_ms: int) -> Rate | None:
    """Compare every row: the longest prefix, of several in force the one that came into force last."""
    fitting = [
        (len(_digits(row.rate.prefix)), row.begins, position)
        for position, row in enumerate(rows)
        if number.startswith(_digits(row.rate.prefix)) and row.begins <= wall_ms < row.ends
    ]
    return rows[max(fitting)[2]].rate if fitting else None


@pytest.mark.parametrize("size", [63, 64, 65, 128, 1_000])
def test_a_file_of_several_blocks_finds_its_rates(size):
    prefixes = [f"{1_000 + 7 * place}" for place in range(size)]
    table, wanted = file_of(map(Window, rates(*prefixes))), RateRows(rates(*prefixes), "v1")
    for number in [*prefixes, *(f"{prefix}9" for prefix in prefixes), "0", "0999", "1", "9" * 20, "#"]:
        assert table.find(number, NOW) == wanted.find(number, NOW)


@settings(max_examples=examples(30, 1_000))
@given(rows=st.lists(windows, max_size=12), numbers=st.lists(called, max_size=6), wall_ms=moments)
def test_a_compiled_file_finds_what_comparing_every_row_finds(rows, numbers, wall_ms):
    table = file_of(rows)
    for number in numbers + [_digits(row.rate.prefix) + "5" for row in rows]:
        wanted = naive(rows, number, wall_ms)
        for found in (table.find(number, wall_ms), table.find(number, wall_ms)):  # made, then remembered
            assert found == wanted
            assert found is None or str(found) == str(wanted)  # the zeros at the end of a price, too
    prefixes = {row.rate.prefix for row in rows}
    assert list(table.prefixes()) == sorted(prefixes)
    assert all(table.has(prefix) for prefix in prefixes)
    assert not any(table.has(number + "4") for number in prefixes)
    assert sorted((each.line, str(each.rate)) for each in table.every()) == [
        (line, str(row.rate)) for line, row in enumerate(rows, 2)
    ]


@settings(max_examples=examples(30, 1_000))
@given(before=st.lists(some_rates, max_size=12), after=st.lists(some_rates, max_size=12))
def test_a_compiled_file_knows_what_another_one_lacks(before, after):
    gone = {each.prefix for each in before} - {each.prefix for each in after}
    found = file_of(map(Window, before)).gone_in(file_of(map(Window, after)), 2)
    assert found == (len(gone), len({each.prefix for each in before}), tuple(sorted(gone))[:2])


@settings(max_examples=examples(30, 1_000))
@given(rows=st.lists(some_rates, max_size=8, unique_by=lambda each: each.prefix))
def test_the_order_of_the_source_changes_no_rate(rows):
    one, other = file_of(map(Window, rows)), file_of(map(Window, reversed(rows)))
    assert {str(each.rate) for each in one.every()} == {str(each.rate) for each in other.every()}
    assert list(one.prefixes()) == list(other.prefixes())


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@given(prefixes=st.sets(digits | st.just("*"), max_size=12).map(lambda found: found - {""}), number=digits)
def test_a_look_up_finds_what_comparing_every_prefix_finds(name, prefixes, number):
    fitting = ["" if prefix == "*" else prefix for prefix in prefixes if prefix == "*" or number.startswith(prefix)]
    found = IMPLEMENTATIONS[name](rates(*prefixes), "v1").find(number, NOW)
    assert (found and found.prefix) == ((max(fitting, key=len) or "*") if fitting else None)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_a_call_is_routed_and_charged_by_any_table(name):
    sell = group_of(IMPLEMENTATIONS[name]([rate("44", "0.60")], "s1"))
    buy = RateGroup("buy", "USD", rating_policy(), IMPLEMENTATIONS[name]([rate("4420", "0.30")], "b1"), "g2")
    scene = Scene(usual_catalogue(rate_groups=[sell, buy]))
    scene.whole_call(Intent(hang_up_after_ms=10_000))
    record = scene.close()
    assert (record.fee, record.cost) == (Decimal("0.10"), Decimal("0.05"))
    assert (record.rate_prefix, record.vendor_rate_prefix) == ("44", "4420")


@windowed
def test_a_rate_is_found_from_when_it_comes_into_force_until_it_ends(make_windowed):
    table = make_windowed([Window(rate("44", "0.01"), ends=NOW), Window(rate("44", "0.02"), NOW, NOW + 10)], "v1")
    found = [table.find("4420", NOW + ms) for ms in (-1, 0, 9, 10)]
    assert [each and each.billing_rate for each in found] == [Decimal("0.01"), Decimal("0.02"), Decimal("0.02"), None]
    assert (table.size, list(table.prefixes())) == (2, ["44"])


@windowed
def test_a_longer_prefix_that_is_not_in_force_does_not_hide_a_shorter_one(make_windowed):
    table = make_windowed([Window(rate("4420"), begins=NOW), Window(rate("44"))], "v1")
    assert [table.find("4420", NOW + ms).prefix for ms in (-1, 0)] == ["44", "4420"]


@windowed
def test_the_breakdown_tells_two_rates_of_one_prefix_apart(make_windowed):
    group = group_of(
        make_windowed([Window(rate("44", "0.01"), ends=NOW), Window(rate("44", "0.02"), begins=NOW)], "v1")
    )
    applied = [group.find("44", NOW + ms) for ms in (-1, 0, -1)]
    prices = [breakdown(each, 60_000)[0]["billing_rate"] for each in applied]
    assert list(map(Decimal, prices)) == [Decimal("0.01"), Decimal("0.02"), Decimal("0.01")]


@windowed
def test_a_call_is_charged_on_both_sides_by_the_rates_that_are_in_force_when_it_arrives(make_windowed):
    """The new rates come into force while the call talks."""
    change = ManualClock().now().wall + 5_000

    def group(name: str, before: str, after: str) -> RateGroup:
        windows = [Window(rate("44", before), ends=change), Window(rate("44", after), begins=change)]
        return RateGroup(name, "USD", rating_policy(), make_windowed(windows, f"{name}-v1"), "g1")

    scene = Scene(usual_catalogue(rate_groups=[group("sell", "0.60", "6.00"), group("buy", "0.30", "3.00")]))
    fees = []
    for _ in range(2):
        scene.whole_call(Intent(hang_up_after_ms=10_000))
        record = scene.exchange.sink.records[-1]
        fees.append((record.fee, record.cost))
    assert fees == [(Decimal("0.10"), Decimal("0.05")), (Decimal("1.00"), Decimal("0.50"))]


def test_prefixes_are_read_from_one_on(make):
    table = make(rates("44", "*", "4420", "33", "0" * 18), "v1")
    every = ["*", "0" * 18, "33", "44", "4420"]
    assert [*table.prefixes()] == every
    for first in ("", "*", "0", "0" * 17 + "1", "33", "34", "44", "441", "4420", "5"):
        assert [*table.prefixes(first)] == [prefix for prefix in every if prefix >= first], first
