"""Rate tables: one suite over the rows in memory and over sorted columns with validity windows.

The columns show that a table may keep numbers and bytes only, and make a ``Rate`` when it is asked for one.
"""

import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vosd.billing.ports import RateTable
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import breakdown, rate_call, recompute
from vosd.billing.rates import Rate
from vosd.testing.data.builders import rating_policy
from vosd.testing.virtual.clock import ManualClock
from vosd.testing.virtual.customer import Intent
from vosd.testing.virtual.scene import CALLEE, Scene, usual_catalogue

NOW = 1_790_000_000_000
ALWAYS = (0, 2**62)


class Window(NamedTuple):
    """A rate, and from when until before when it is in force (UTC milliseconds)."""

    rate: Rate
    begins: int = ALWAYS[0]
    ends: int = ALWAYS[1]


class SortedColumns:
    """Rates as columns, sorted by prefix and by when they come into force."""

    _PLACES = 8

    def __init__(self, windows: Sequence[Window], version: str) -> None:
        rows = sorted(windows, key=lambda each: (_key(each.rate.prefix), each.begins))
        self._prefixes = [_key(row.rate.prefix) for row in rows]
        self._prices = array("q", [int(row.rate.billing_rate.scaleb(self._PLACES)) for row in rows])
        self._cycles = array("H", [row.rate.billing_cycle for row in rows])
        self._begins = array("q", [row.begins for row in rows])
        self._ends = array("q", [row.ends for row in rows])
        self.version = version

    @property
    def size(self) -> int:
        return len(self._prefixes)

    def find(self, number: str, wall_ms: int) -> Rate | None:
        digits = number.encode()
        for length in range(len(digits), -1, -1):
            first = bisect_left(self._prefixes, digits[:length])
            for row in range(first, len(self._prefixes)):
                if self._prefixes[row] != digits[:length]:
                    break
                if self._begins[row] <= wall_ms < self._ends[row]:
                    return self._rate(row)
        return None

    def prefixes(self) -> Iterator[str]:
        return iter(dict.fromkeys(prefix.decode() or "*" for prefix in self._prefixes))

    def _rate(self, row: int) -> Rate:
        price = Decimal(self._prices[row]).scaleb(-self._PLACES)
        return Rate(self._prefixes[row].decode() or "*", price, self._cycles[row])


def _key(prefix: str) -> bytes:
    return b"" if prefix == "*" else prefix.encode()


Make = Callable[[Sequence[Rate], str], RateTable]
IMPLEMENTATIONS: dict[str, Make] = {
    "rows": RateRows,
    "columns": lambda rates, version: SortedColumns([Window(rate) for rate in rates], version),
}
WINDOWED = [pytest.param(SortedColumns, id="columns")]
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


def test_rates_are_equal_by_value_however_often_they_are_looked_up(make):
    table = make(rates("44"), "v1")
    assert table.find("4420", NOW) == table.find("4470", NOW) == rate("44", "0.01")


def test_a_call_keeps_the_version_of_the_table_that_rated_it(make):
    applied = group_of(make(rates("44"), "deck-7")).find("+4420", NOW)
    assert (applied.version, applied.rate.prefix) == ("deck-7", "44")
    steps = breakdown(applied, rate_call(applied, 61_000))
    assert steps[0]["version"] == "deck-7"
    assert recompute(json.loads(json.dumps(steps))) == rate_call(applied, 61_000)


digits = st.text("0123", max_size=6)


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
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10_000))
    scene.wire.run_until(lambda: call.is_over)
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
    prices = [breakdown(each, rate_call(each, 60_000))[0]["billing_rate"] for each in applied]
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
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10_000))
        scene.wire.run_until(lambda call=call: call.is_over)
        record = scene.exchange.sink.records[-1]
        fees.append((record.fee, record.cost))
    assert fees == [(Decimal("0.10"), Decimal("0.05")), (Decimal("1.00"), Decimal("0.50"))]
