"""The figures of the last hour, by gateway."""

from decimal import Decimal

import pytest

from vosd.routing.figures import Figures, Hour
from vosd.trunks.scope import LimitScope

MINUTE = 60_000


@pytest.fixture
def figures():
    figures = Figures()
    figures.adopt(LimitScope.ROUTING, ["carrier-a", "carrier-b"])
    figures.adopt(LimitScope.MAPPING, ["carrier-a"])
    return figures


def test_ratio_length_and_delay_are_of_the_calls_that_have_them(figures):
    figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=30_000, pdd_ms=1_000)
    figures.note(LimitScope.ROUTING, "carrier-a", 5, talk_ms=61_000, pdd_ms=2_001)
    figures.note(LimitScope.ROUTING, "carrier-a", 9, talk_ms=None, pdd_ms=None)
    hour = figures.last_hour(LimitScope.ROUTING, "carrier-a", 9)
    assert (hour.asr, hour.acd_s, hour.mean_pdd_ms) == (66.7, 45.5, 1_500)
    assert (hour.attempts, hour.answered) == (3, 2)


def test_the_totals_count_the_calls_that_rang_and_their_delay(figures):
    for pdd_ms in (1_000, 2_001, None):
        figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=30_000, pdd_ms=pdd_ms)
    totals = figures.totals(LimitScope.ROUTING, "carrier-a")
    assert (totals.rang, totals.pdd_ms, totals.talk_ms) == (2, 3_001, 90_000)


def test_without_calls_there_are_no_figures(figures):
    hour = figures.last_hour(LimitScope.ROUTING, "carrier-b", 0)
    assert hour == Hour()
    assert (hour.asr, hour.acd_s, hour.mean_pdd_ms) == (None, None, None)


def test_unanswered_calls_alone_make_a_ratio_of_zero_and_no_length(figures):
    figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=None, pdd_ms=700)
    hour = figures.last_hour(LimitScope.ROUTING, "carrier-a", 0)
    assert (hour.asr, hour.acd_s, hour.mean_pdd_ms) == (0.0, None, 700)


def test_a_call_counts_for_an_hour(figures):
    figures.note(LimitScope.ROUTING, "carrier-a", MINUTE, talk_ms=1, pdd_ms=1)
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 61 * MINUTE).attempts == 1
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 62 * MINUTE).attempts == 0


def note_minutes(figures, count, calls, *, answered=0, barred=0):
    """Note so many calls in each of as many minutes."""
    for minute in range(count):
        for number in range(calls):
            talk_ms = 1 if number < answered else None
            is_barred = calls - number <= barred
            figures.note(
                LimitScope.MAPPING, "carrier-a", minute * MINUTE, talk_ms=talk_ms, pdd_ms=None, is_barred=is_barred
            )


def test_the_latest_calls_are_those_of_a_quarter_of_an_hour_where_that_is_enough(figures):
    note_minutes(figures, 40, 10, answered=4)
    latest = figures.latest(LimitScope.MAPPING, "carrier-a", 39 * MINUTE, 100)
    assert latest == (160, 64)
    assert latest.asr == 40


@pytest.mark.parametrize(("at_least", "calls"), [(33, 34), (61, 62), (122, 122), (1_000, 122)])
def test_where_they_are_too_few_the_latest_calls_are_of_as_much_of_the_hour_as_it_takes(figures, at_least, calls):
    note_minutes(figures, 90, 2)
    assert figures.latest(LimitScope.MAPPING, "carrier-a", 89 * MINUTE, at_least) == (calls, 0)


def test_the_latest_calls_are_without_those_that_an_operator_bars(figures):
    note_minutes(figures, 10, 10, answered=1, barred=7)
    assert figures.latest(LimitScope.MAPPING, "carrier-a", 9 * MINUTE, 100) == (30, 10)
    assert figures.last_hour(LimitScope.MAPPING, "carrier-a", 9 * MINUTE).attempts == 100
    assert figures.latest(LimitScope.MAPPING, "carrier-a", 71 * MINUTE, 100).asr is None


def test_a_gateway_keeps_a_row_for_each_of_the_last_minutes_and_no_more(figures):
    for minute in range(10_000):
        figures.note(LimitScope.ROUTING, "carrier-a", minute * MINUTE, talk_ms=None, pdd_ms=None)
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 9_999 * MINUTE).attempts == 61
    assert len(figures._windows[LimitScope.ROUTING]["carrier-a"]) == 61


def test_customers_and_vendors_of_one_name_are_counted_apart(figures):
    figures.note(LimitScope.MAPPING, "carrier-a", 0, talk_ms=None, pdd_ms=None)
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 0).attempts == 0
    assert figures.last_hour(LimitScope.MAPPING, "carrier-a", 0).attempts == 1


def test_figures_outlive_a_reload_and_are_removed_with_their_gateway(figures):
    figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=None, pdd_ms=None)
    figures.note(LimitScope.ROUTING, "carrier-b", 0, talk_ms=None, pdd_ms=None)
    figures.adopt(LimitScope.ROUTING, ["carrier-a", "carrier-c"])
    figures.note(LimitScope.ROUTING, "carrier-b", 0, talk_ms=None, pdd_ms=None)
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 0).attempts == 1
    assert figures.last_hour(LimitScope.ROUTING, "carrier-b", 0).attempts == 0
    figures.adopt(LimitScope.ROUTING, ["carrier-b"])
    assert figures.last_hour(LimitScope.ROUTING, "carrier-b", 0).attempts == 0


def test_the_cost_of_a_minute_is_the_average_of_what_was_charged(figures):
    figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=30_000, pdd_ms=None, cost=Decimal("0.01"), billed_s=30)
    figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=None, pdd_ms=None, cost=Decimal("0.05"), billed_s=90)
    figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=None, pdd_ms=None)
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 0).cost_per_minute == Decimal("0.03")
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 61 * MINUTE).cost_per_minute is None


def test_a_reload_does_not_look_at_gateways_without_calls(figures):
    class Many:
        def __contains__(self, name):
            return name == "carrier-a"

        def __len__(self):
            return 100_000

        def __iter__(self):
            raise AssertionError("all gateways were looked at")

    figures.note(LimitScope.ROUTING, "carrier-a", 0, talk_ms=30_000, pdd_ms=None)
    figures.adopt(LimitScope.ROUTING, Many())
    figures.note(LimitScope.ROUTING, "carrier-a", 1, talk_ms=None, pdd_ms=None)
    figures.note(LimitScope.ROUTING, "carrier-b", 1, talk_ms=None, pdd_ms=None)
    assert figures.last_hour(LimitScope.ROUTING, "carrier-a", 2).attempts == 2
    assert figures.last_hour(LimitScope.ROUTING, "carrier-b", 2).attempts == 0
