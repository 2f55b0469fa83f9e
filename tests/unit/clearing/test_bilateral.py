"""Totals of two switches: which differences count, and the prefixes and gateways that they come from."""

from decimal import Decimal

import pytest

from vosd.clearing.bilateral import (
    EDGE_MS,
    PERIOD_MS,
    Book,
    Deviation,
    DeviationLimit,
    PartnerCall,
    PartnerDirection,
    PartnerTotals,
    add_up,
    compare,
)

BEGIN = 1_790_000_100_000
HOUR = BEGIN + 12 * PERIOD_MS
LAST = HOUR - PERIOD_MS
THRESHOLD = DeviationLimit(Decimal(1), Decimal(1))


def call(
    at: int,
    amount: str = "0.60",
    prefix: str = "4420",
    direction: PartnerDirection = PartnerDirection.SENT,
    gateway: str = "ours",
    seconds: int = 60,
) -> PartnerCall:
    return PartnerCall(direction, at, gateway, prefix, seconds, Decimal(amount))


def there(*calls: PartnerCall) -> Book:
    """Return the same calls as the other switch has them."""
    sent, received = PartnerDirection
    turned = {sent: received, received: sent}
    return add_up(each._replace(direction=turned[each.direction], gateway="theirs") for each in calls)


def found(ours: Book, theirs: Book, *, has_money: bool = True) -> list[Deviation]:
    return list(compare(ours, theirs, THRESHOLD, BEGIN, HOUR, has_money=has_money))


CALLS = [call(BEGIN + 2_000 + each * 20_000) for each in range(179)]
assert BEGIN % PERIOD_MS == 0


def test_books_that_agree_have_no_deviation():
    assert found(add_up(CALLS), there(*CALLS)) == []
    assert found({}, {}) == []


def test_the_clock_of_the_other_switch_may_put_a_call_into_the_next_period():
    edge = call(HOUR - EDGE_MS // 2, "50")
    assert found(add_up([*CALLS, edge]), there(*CALLS)) == []
    assert len(found(add_up([*CALLS, edge._replace(ended_at=HOUR - 2 * EDGE_MS)]), there(*CALLS))) == 1


@pytest.mark.parametrize(
    ("at", "is_edge"),
    [(LAST, True), (LAST + EDGE_MS - 1, True), (LAST + EDGE_MS, False), (HOUR - EDGE_MS - 1, False),
     (HOUR - EDGE_MS, True), (HOUR - 1, True)],
)  # fmt: skip
def test_calls_that_end_within_a_second_of_a_border_are_added_up_for_themselves_too(at: int, is_edge: bool):
    (totals,) = add_up([call(at), call(at, "0.40", seconds=30), call(LAST + 5_000, "9")]).values()
    edges = (90, Decimal("1.00")) if is_edge else (0, Decimal(0))
    assert totals == PartnerTotals(3, 150, Decimal("10.00"), *edges)


@pytest.mark.parametrize(
    "edge",
    [
        pytest.param(call(BEGIN + 6 * PERIOD_MS, "50"), id="of a border within the span"),
        pytest.param(call(HOUR - 1, "50", direction=PartnerDirection.RECEIVED), id="of the other direction"),
        pytest.param(call(HOUR - 1, "0.01", seconds=3_600), id="long and cheap"),
    ],
)
def test_calls_at_a_border_excuse_no_other_difference(edge: PartnerCall):
    (one,) = found(add_up([*CALLS, edge, call(LAST + 5_000, "9")]), there(*CALLS, edge))
    assert one.direction is PartnerDirection.SENT


def test_a_deviation_of_the_newest_period_names_prefixes_and_gateways():
    wrong = [each._replace(amount=Decimal("0.90"), prefix="4477") for each in CALLS if each.ended_at >= LAST]
    right = [each._replace(prefix="4477") for each in wrong]
    (one,) = found(
        add_up([*CALLS, *(each._replace(gateway="mobile", amount=Decimal("0.60")) for each in right)]),
        there(*CALLS, *wrong),
    )
    assert (one.direction, one.since, one.until) == (PartnerDirection.SENT, LAST, HOUR)
    assert (one.prefixes, one.gateways, one.their_gateways) == (("4477",), ("mobile",), ("theirs",))
    assert one.text == "we have sent 28 calls, 1680 s, 16.80; they have received 28 calls, 1680 s, 21.00"


def test_a_small_share_of_each_period_is_found_in_the_sum_of_the_hour():
    dearer = [each._replace(amount=each.amount * Decimal("1.02")) for each in CALLS]
    (one,) = found(add_up(CALLS), there(*dearer))
    assert (one.since, one.until) == (BEGIN, HOUR)


@pytest.mark.parametrize(("share", "deviates"), [("1.005", False), ("1.0101", False), ("1.02", True)])
def test_less_than_the_percentage_is_none(share, deviates):
    calls = [each._replace(amount=each.amount * 100) for each in CALLS]
    dearer = [each._replace(amount=each.amount * Decimal(share)) for each in calls]
    assert bool(found(add_up(calls), there(*dearer))) is deviates


def test_less_than_a_unit_of_money_is_none():
    assert found(add_up([call(LAST + 5_000, "0.99")]), {}) == []
    assert len(found(add_up([call(LAST + 5_000, "1.01")]), {})) == 1


def test_both_directions_are_compared():
    received = call(LAST + 5_000, "9", direction=PartnerDirection.RECEIVED)
    (one,) = found(add_up(CALLS), there(*CALLS, received))
    assert (one.direction, one.ours.calls, one.theirs.calls) == (PartnerDirection.RECEIVED, 0, 1)
    assert one.text.startswith("we have received 0 calls")


def test_seconds_are_compared_where_the_currencies_differ():
    foreign = [each._replace(amount=each.amount * 7) for each in CALLS]
    assert found(add_up(CALLS), there(*foreign), has_money=False) == []
    longer = [*foreign, call(LAST + 7_000, "0", seconds=90)]
    assert len(found(add_up(CALLS), there(*longer), has_money=False)) == 1


@pytest.mark.parametrize(("seconds", "at", "deviates"), [(60, 7_000, False), (61, 7_000, True), (90, 0, False)])
def test_of_two_currencies_more_than_a_minute_counts_that_is_not_at_a_border(seconds: int, at: int, deviates: bool):
    more = call(LAST + at, "0.50", seconds=seconds)
    assert bool(found(add_up([more]), {}, has_money=False)) is deviates


def test_what_differs_most_is_named_first():
    more = [
        call(LAST + 5_000, amount, prefix, gateway=gateway)
        for amount, prefix, gateway in (("2", "4477", "a"), ("9", "4420", "b"), ("2", "4478", "c"))
    ]
    (one,) = found(add_up(more), {})
    assert (one.prefixes, one.gateways) == (("4420", "4477", "4478"), ("b", "a", "c"))
