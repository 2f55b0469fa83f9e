"""Ended calls are counted once: by reason, by what gateways said, by how long they took."""

from decimal import Decimal

import pytest
from doubles.data.records import answered_call, charge_row
from hypothesis import given
from hypothesis import strategies as st

from vosd.base.histogram import Histogram
from vosd.cdr.record import AGENT, CUSTOMER, TOO_DEAR, VENDOR, Attempt
from vosd.engine.peers import call_totals
from vosd.engine.peers.call_totals import CallTotals
from vosd.routing.figures import CLASSES, AttemptClass, Figures
from vosd.trunks.scope import LimitScope


def test_an_answered_call_is_in_the_ranges_of_its_durations():
    totals = CallTotals()
    call = answered_call(1, started_at=1_000, answered_at=5_000, hold_time_ms=60_000, pdd_ms=880)
    totals.note(call)
    totals.note(call)
    for seen, ms in ((totals.setups, 4_000), (totals.durations, 60_000), (totals.post_dial_delays, 880)):
        alone = Histogram(seen.bounds)
        alone.add(ms)
        alone.add(ms)
        assert (seen.counts, seen.total_ms) == (alone.counts, alone.total_ms)
    assert totals.reasons == {call.end_reason: 2}
    assert totals.codes == {200: 2}


def test_an_unanswered_call_has_no_set_up_and_a_gateway_that_was_too_dear_said_nothing():
    totals = CallTotals()
    attempts = (Attempt("dear", 0, 0, None, TOO_DEAR), Attempt("a", 503, 9, None, "x"), Attempt("b", 0, 9, None, "y"))
    totals.note(answered_call(1, answered_at=None, pdd_ms=None, attempts=attempts, end_reason="Unavailable"))
    assert totals.reasons == {"Unavailable": 1}
    assert totals.codes == {503: 1, 0: 1}
    assert sum(totals.setups.counts) == sum(totals.durations.counts) == sum(totals.post_dial_delays.counts) == 0


def test_what_charged_calls_bring_is_paid_by_the_highest_account_above_them():
    totals, pays = CallTotals(), charge_row
    under_an_agent = (
        pays("acme", CUSTOMER, 0, Decimal("2.00")),
        pays("reseller", AGENT, 1, Decimal("1.50")),
        pays("carrier", VENDOR, 0, Decimal("0.60")),
    )
    in_test = (pays("carrier", VENDOR, 0, Decimal("0.10")),)
    for charges in (under_an_agent, under_an_agent, in_test, ()):
        totals.note(answered_call(1, charges=charges))
    assert [*totals.traded] == [("USD", "USD")]
    sums = totals.traded["USD", "USD"]
    assert (sums.calls, sums.income, sums.cost) == (3, Decimal("3.00"), Decimal("1.30"))


def test_calls_are_counted_by_the_prefix_of_the_rate_by_which_they_were_sold(monkeypatch):
    monkeypatch.setattr(call_totals, "PREFIXES_MAX", 2)
    totals, sold = CallTotals(), (charge_row("acme", CUSTOMER, 0, Decimal("2.00")),)
    bought = (*sold, charge_row("carrier", VENDOR, 0, Decimal("0.60")))
    for prefix, charges in (("44", bought), ("49", sold), ("44", sold), ("33", sold), (None, bought), ("44", ())):
        totals.note(answered_call(1, charges=charges, rate_prefix=prefix))
    found = {key: (each.calls, each.income, each.cost) for key, each in totals.traded_by_prefix.items()}
    assert found == {
        ("44", "USD", "USD"): (2, Decimal("4.00"), Decimal("0.60")), ("49", "USD", "USD"): (1, Decimal("2.00"), 0),
    }  # fmt: skip


@given(st.lists(st.integers(0, 5_000)))
def test_a_histogram_counts_every_duration_in_the_first_range_that_holds_it(durations):
    seen = Histogram((10, 100, 1_000))
    for ms in durations:
        seen.add(ms)
    expected = [sum(low < ms <= high for ms in durations) for low, high in ((-1, 10), (10, 100), (100, 1_000))]
    assert seen.counts == [*expected, sum(ms > 1_000 for ms in durations)]
    assert seen.total_ms == sum(durations)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (486, AttemptClass.USER),
        (480, AttemptClass.USER),
        (600, AttemptClass.USER),
        (603, AttemptClass.USER),
        (302, AttemptClass.REDIRECTED),
        (503, AttemptClass.INEFFECTIVE),
        (408, AttemptClass.INEFFECTIVE),
        (500, AttemptClass.INEFFECTIVE),
        (504, AttemptClass.INEFFECTIVE),
        (0, AttemptClass.INEFFECTIVE),
        (487, AttemptClass.CANCELLED),
        (404, AttemptClass.OTHER),
        (200, AttemptClass.OTHER),
    ],
)
def test_an_attempt_without_answer_has_the_class_of_its_status(code, expected):
    figures = Figures()
    figures.adopt(LimitScope.ROUTING, ["a"])
    figures.note(LimitScope.ROUTING, "a", 0, talk_ms=None, pdd_ms=None, code=code)
    assert figures.totals(LimitScope.ROUTING, "a").attempts == [int(each is expected) for each in CLASSES]


def test_a_call_that_an_operator_has_barred_has_a_class_of_its_own():
    figures = Figures()
    figures.adopt(LimitScope.MAPPING, ["a"])
    figures.note(LimitScope.MAPPING, "a", 0, talk_ms=None, pdd_ms=None, code=403, is_barred=True)
    assert figures.totals(LimitScope.MAPPING, "a").attempts == [int(each is AttemptClass.BARRED) for each in CLASSES]


def test_counts_since_the_start_outlive_the_hour_and_a_reload_but_not_their_gateway():
    figures = Figures()
    figures.adopt(LimitScope.ROUTING, ["a", "b"])
    for name in ("a", "b", "unknown"):
        figures.note(LimitScope.ROUTING, name, 0, talk_ms=1_000, pdd_ms=200, code=200)
    figures.adopt(LimitScope.ROUTING, ["a"])
    figures.note(LimitScope.ROUTING, "a", 86_400_000, talk_ms=2_000, pdd_ms=None, code=200)
    totals = figures.totals(LimitScope.ROUTING, "a")
    assert (totals.attempts[CLASSES.index(AttemptClass.ANSWERED)], totals.talk_ms) == (2, 3_000)
    assert (totals.rang, totals.pdd_ms) == (1, 200)
    assert figures.totals(LimitScope.ROUTING, "b").attempts == [0] * len(CLASSES)
    assert (figures.counts(LimitScope.ROUTING, "a"), figures.counts(LimitScope.ROUTING, "b")) == (True, False)
