"""Ended calls are counted once: by reason, by what gateways said, by how long they took."""

from decimal import Decimal

import pytest
from doubles.data.records import answered_call, charge_row
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import Scene, usual_catalogue
from doubles.virtual.vendor import Line, Script
from hypothesis import given, strategies as st

from vosd.base.histogram import Histogram
from vosd.cdr.record import AGENT, ANNOUNCEMENT, CUSTOMER, LATE_ANSWER, VENDOR, Attempt
from vosd.engine.peers import call_totals
from vosd.engine.peers.call_totals import CallTotals
from vosd.engine.peers.gateways import note_call
from vosd.routing.figures import CLASSES, AttemptClass, Figures
from vosd.traffic.counted import MEASURES, TrafficAttempt, TrafficCall, TrafficKind, TrafficSums
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


def test_an_unanswered_call_has_no_set_up_and_a_gateway_that_was_sent_nothing_said_nothing():
    totals = CallTotals()
    unsent = Attempt("other", 0, 0, None, "No Common Codec")
    attempts = (unsent, Attempt("a", 503, 9, None, "x"), Attempt("b", 0, 9, None, "y"))
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


def counted(*records):
    """Return the figures and the totals of some ended calls of acme."""
    figures, totals = Figures(), CallTotals()
    figures.adopt(LimitScope.ROUTING, ["vendor-0", "vendor-1"])
    figures.adopt(LimitScope.MAPPING, ["acme"])
    for record in records:
        note_call(figures, record, 0)
        totals.note(record)
    return figures, totals


def counted_of(record):
    """Return what reports read of an ended call."""
    return TrafficCall(*(getattr(record, name) for name in TrafficCall._fields))


def reported_sums(*records):
    """Return the sums that reports are made of, of some ended calls."""
    sums = TrafficSums()
    for record in records:
        attempts = [TrafficAttempt(row.gateway, row.code, row.pdd_ms, row.reason) for row in record.attempts]
        sums.add(counted_of(record), attempts, ())
    return sums


def test_the_loss_of_a_call_that_the_vendor_alone_has_answered_is_in_the_currency_of_its_last_agent():
    alone = answered_call(
        1, answered_at=None, fee=Decimal(0), cost=Decimal("0.30"), currency="USD", loss=Decimal("0.75"),
        loss_currency="EUR", charges=(charge_row("carrier", VENDOR, 0, Decimal("0.30")),),
    )  # fmt: skip
    found = reported_of(reported_sums(alone), TrafficKind.CALL, "income_currency", "below_cost", "loss")
    assert found == {"EUR": [1, Decimal("0.75")]}


def reported_of(sums, kind, by, *measures):
    """Return measures of a kind, by a name that calls have in common; empty = of all."""
    found = {}
    for (_, key), values in sums.rows.items():
        if key.kind is kind:
            row = found.setdefault(getattr(key, by) if by else "", [0] * len(measures))
            row[:] = [each + values[MEASURES.index(name)] for each, name in zip(row, measures, strict=True)]
    return found


def outcomes(figures, name, scope=LimitScope.ROUTING):
    """Return how many attempts of a gateway have each class."""
    counts = figures.totals(scope, name).attempts
    return {each: count for each, count in zip(CLASSES, counts, strict=True) if count}


@pytest.mark.parametrize(
    ("reason", "pdd_ms", "expected"),
    [
        ("Cancelled", 900, AttemptClass.CANCELLED),
        ("Cancelled", None, AttemptClass.CANCELLED),
        ("Answered Elsewhere", 900, AttemptClass.CANCELLED),
        ("Picked Up Elsewhere", 900, AttemptClass.CANCELLED),
        ("Refused Elsewhere", None, AttemptClass.CANCELLED),
        ("No Answer", 900, AttemptClass.USER),
        ("No Answer", None, AttemptClass.INEFFECTIVE),
        ("Unreachable", None, AttemptClass.INEFFECTIVE),
        ("Lost", None, AttemptClass.INEFFECTIVE),
    ],
)
def test_an_attempt_without_a_final_status_has_the_class_of_its_reason(reason, pdd_ms, expected):
    attempts = (Attempt("vendor-0", 0, 9_000, pdd_ms, reason),)
    figures, totals = counted(answered_call(1, answered_at=None, pdd_ms=None, attempts=attempts))
    assert outcomes(figures, "vendor-0") == {expected: 1}
    assert totals.codes == {0: 1}


@pytest.mark.parametrize(
    ("end_reason", "expected"), [("Cancelled", AttemptClass.CANCELLED), ("Shutdown", AttemptClass.INEFFECTIVE)]
)
def test_a_sound_that_was_not_played_to_its_end_has_the_class_of_the_end_of_its_call(end_reason, expected):
    attempts = (Attempt("vendor-0", 0, 300, None, ANNOUNCEMENT),)
    record = answered_call(1, answered_at=None, pdd_ms=None, attempts=attempts, end_reason=end_reason)
    figures, _ = counted(record)
    assert outcomes(figures, "vendor-0") == {expected: 1}


@pytest.mark.parametrize("is_forked", [False, True])
def test_an_answer_in_vain_is_a_cost_and_neither_a_call_nor_an_attempt(is_forked):
    scene = Scene(usual_catalogue())
    late, after_3_s = Script((Line(7_000, 200, ANSWER),)), Script((Line(0, 180), Line(3_000, 200, ANSWER)))
    forked = Script((Line(0, 180), Line(1_000, 200, ANSWER)), forks=(after_3_s,))
    scene.vendors[0].script = forked if is_forked else late
    scene.vendors[1].script = Script((Line(0, 200, ANSWER),))
    scene.whole_call(Intent(hang_up_after_ms=10_000))
    scene.close()
    costs = [each for each in scene.exchange.sink.all_records if each.customer_account is None]
    assert [[row.reason for row in each.attempts] for each in costs] == [["Forked" if is_forked else "Late Answer"]]
    figures, totals = counted(*scene.exchange.sink.all_records)
    if is_forked:
        assert outcomes(figures, "vendor-0") == {AttemptClass.ANSWERED: 1}
        assert (totals.codes, +totals.reasons) == ({200: 1}, {"Normal": 1})
    else:
        assert outcomes(figures, "vendor-0") == {AttemptClass.INEFFECTIVE: 1}
        assert outcomes(figures, "vendor-1") == {AttemptClass.ANSWERED: 1}
        assert (totals.codes, +totals.reasons) == ({0: 1, 200: 1}, {"Normal": 1})
    assert outcomes(figures, "acme", LimitScope.MAPPING) == {AttemptClass.ANSWERED: 1}
    hours = [figures.last_hour(LimitScope.ROUTING, name, 0) for name in ("vendor-0", "vendor-1")]
    records = scene.exchange.sink.all_records
    assert sum(hour.cost for hour in hours) == sum(each.cost for each in records) > 0
    assert sum(hour.billed_s for hour in hours) == sum(each.vendor_billed_seconds for each in records)
    [sums] = totals.traded.values()
    assert (sums.calls, sums.cost) == (1, sum(each.cost for each in records))
    assert [each.is_cost_of_another for each in records] == [counted_of(each).is_cost_of_another for each in records]
    reported = reported_sums(*records)
    whole = reported_of(reported, TrafficKind.CALL, "", "calls", "answered", "cost", "vendor_billed_seconds")
    assert whole == {"": [1, 1, sums.cost, sum(each.vendor_billed_seconds for each in records)]}
    tried = reported_of(reported, TrafficKind.ATTEMPT, "routing_gateway", "calls", "answered", "failed_over")
    assert tried == ({"vendor-0": [1, 1, 0]} if is_forked else {"vendor-0": [1, 0, 1], "vendor-1": [1, 1, 0]})
    for kind in (TrafficKind.FIVE_IN, TrafficKind.FIVE_OUT, TrafficKind.CALLEES, TrafficKind.CALLERS):
        assert reported_of(reported, kind, "", "calls", "answered") == {"": [1, 1]}


def test_a_late_answer_of_a_call_that_a_kill_has_cut_off_is_its_attempt():
    attempts = (Attempt("vendor-0", 200, 9_000, None, LATE_ANSWER),)
    record = answered_call(1, answered_at=None, attempts=attempts, end_reason="Lost", customer_account=None)
    figures, totals = counted(record)
    assert outcomes(figures, "vendor-0") == {AttemptClass.OTHER: 1}
    assert (totals.codes, totals.reasons) == ({200: 1}, {"Lost": 1})
    reported = reported_sums(record)
    assert reported_of(reported, TrafficKind.CALL, "", "calls", "answered") == {"": [1, 0]}
    assert reported_of(reported, TrafficKind.ATTEMPT, "routing_gateway", "calls", "answered") == {"vendor-0": [1, 1]}


def test_a_late_answer_of_an_answered_call_that_a_kill_has_cut_off_is_in_vain():
    attempts = (
        Attempt("vendor-0", 0, 5_000, None, "No Response"), Attempt("vendor-0", 200, 9_000, None, LATE_ANSWER),
        Attempt("vendor-1", 200, 4_000, 940, "Answered"),
    )  # fmt: skip
    record = answered_call(1, attempts=attempts, end_reason="Lost", routing_gateway="vendor-1")
    figures, totals = counted(record)
    assert outcomes(figures, "vendor-0") == {AttemptClass.INEFFECTIVE: 1}
    assert totals.codes == {0: 1, 200: 1}
    tried = reported_of(reported_sums(record), TrafficKind.ATTEMPT, "routing_gateway", "calls", "answered")
    assert tried == {"vendor-0": [1, 0], "vendor-1": [1, 1]}


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
