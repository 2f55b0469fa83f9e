"""Places on gateways and accounts, and calls in the last second."""

import pytest
from doubles.compared_time import ComparedTime
from hypothesis import given, strategies as st

from vosd.routing.capacity import NothingTaken, Occupancy
from vosd.routing.ports import Full
from vosd.trunks.scope import LimitScope


def test_concurrency_limit_frees_with_each_release():
    occupancy = Occupancy()
    assert occupancy.take(LimitScope.MAPPING, "a", 1, None, 0) is None
    assert occupancy.take(LimitScope.MAPPING, "a", 1, None, 0) is Full.CONCURRENCY
    occupancy.release(LimitScope.MAPPING, "a")
    assert occupancy.take(LimitScope.MAPPING, "a", 1, None, 0) is None


def test_limit_of_zero_takes_nothing():
    assert Occupancy().take(LimitScope.ROUTING, "a", 0, None, 0) is Full.CONCURRENCY
    assert Occupancy().take(LimitScope.ROUTING, "a", None, 0, 0) is Full.RATE


def test_window_slides_and_a_call_leaves_it_after_exactly_one_second():
    occupancy = Occupancy()
    assert occupancy.take(LimitScope.MAPPING, "a", None, 2, 0) is None
    assert occupancy.take(LimitScope.MAPPING, "a", None, 2, 600) is None
    assert occupancy.take(LimitScope.MAPPING, "a", None, 2, 999) is Full.RATE
    assert occupancy.take(LimitScope.MAPPING, "a", None, 2, 1_000) is None
    assert occupancy.take(LimitScope.MAPPING, "a", None, 2, 1_599) is Full.RATE
    assert occupancy.recent(LimitScope.MAPPING, "a", 1_600) == 1


def test_refused_calls_do_not_count_in_the_window():
    occupancy = Occupancy()
    occupancy.take(LimitScope.MAPPING, "a", None, 1, 0)
    for mono_ms in range(100, 1_000, 100):
        assert occupancy.take(LimitScope.MAPPING, "a", None, 1, mono_ms) is Full.RATE
    assert occupancy.take(LimitScope.MAPPING, "a", None, 1, 1_000) is None


def test_ended_call_stays_in_the_window():
    occupancy = Occupancy()
    occupancy.take(LimitScope.MAPPING, "a", None, 1, 0)
    occupancy.release(LimitScope.MAPPING, "a")
    assert occupancy.take(LimitScope.MAPPING, "a", None, 1, 10) is Full.RATE


def test_calls_taken_without_a_limit_count_when_a_reload_sets_one():
    occupancy = Occupancy()
    for _ in range(3):
        occupancy.take(LimitScope.MAPPING, "a", None, None, 0)
    assert occupancy.would_refuse(LimitScope.MAPPING, "a", 3, None, 10) is Full.CONCURRENCY
    assert occupancy.would_refuse(LimitScope.MAPPING, "a", None, 3, 10) is Full.RATE


def test_a_check_takes_nothing():
    occupancy = Occupancy()
    for _ in range(3):
        assert occupancy.would_refuse(LimitScope.ROUTING, "a", 1, 1, 0) is None
    assert occupancy.total() == 0


def test_an_undone_take_leaves_nothing():
    occupancy = Occupancy()
    occupancy.take(LimitScope.ACCOUNT, "a", None, 2, 0)
    occupancy.take(LimitScope.ACCOUNT, "a", None, 2, 5)
    occupancy.undo(LimitScope.ACCOUNT, "a", 5)
    assert (occupancy.active(LimitScope.ACCOUNT, "a"), occupancy.recent(LimitScope.ACCOUNT, "a", 5)) == (1, 1)
    assert occupancy.take(LimitScope.ACCOUNT, "a", None, 2, 5) is None


def test_a_call_that_is_refused_otherwise_costs_the_same_beside_thousands():
    occupancy = Occupancy()
    for mono_ms in range(900):
        occupancy.take(LimitScope.ACCOUNT, "a", None, None, ComparedTime(mono_ms))
    before = ComparedTime.compared
    occupancy.undo(LimitScope.ACCOUNT, "a", ComparedTime(899))
    assert (occupancy.recent(LimitScope.ACCOUNT, "a", 900), ComparedTime.compared - before < 50) == (899, True)


def test_a_call_that_is_undone_late_takes_its_own_arrival_out_of_the_window_and_none_of_another():
    occupancy = Occupancy()
    for mono_ms in (0, 400, 800):
        occupancy.take(LimitScope.ACCOUNT, "a", None, None, mono_ms)
    occupancy.undo(LimitScope.ACCOUNT, "a", 400)
    assert [occupancy.recent(LimitScope.ACCOUNT, "a", mono_ms) for mono_ms in (900, 1_500)] == [2, 1]
    occupancy.undo(LimitScope.ACCOUNT, "a", 0)  # that arrival has left the window
    assert [occupancy.recent(LimitScope.ACCOUNT, "a", mono_ms) for mono_ms in (1_500, 1_800)] == [1, 0]
    assert occupancy.active(LimitScope.ACCOUNT, "a") == 1


@pytest.mark.parametrize("give_back", [Occupancy.release, lambda *place: Occupancy.undo(*place, 0)])
def test_a_place_that_was_never_taken_cannot_be_released(give_back):
    occupancy = Occupancy()
    occupancy.take(LimitScope.MAPPING, "a", None, None, 0)
    with pytest.raises(NothingTaken, match="routing 'a'"):
        give_back(occupancy, LimitScope.ROUTING, "a")
    assert occupancy.total() == 1


def test_scopes_and_names_are_counted_apart_and_summed():
    occupancy = Occupancy()
    occupancy.take(LimitScope.ACCOUNT, "a", None, None, 0)
    occupancy.take(LimitScope.MAPPING, "a", None, None, 0)
    occupancy.take(LimitScope.MAPPING, "b", None, None, 0)
    assert [occupancy.active(scope, "a") for scope in LimitScope] == [1, 1, 0, 0, 0, 0]
    assert occupancy.total() == 3


def test_a_place_that_is_taken_again_counts_as_a_call_and_not_as_an_arrival():
    occupancy = Occupancy()
    assert occupancy.take(LimitScope.MAPPING, "a", 1, 1, 0) is None
    occupancy.release(LimitScope.MAPPING, "a")
    assert occupancy.take_again(LimitScope.MAPPING, "a", 1) is None
    assert occupancy.take_again(LimitScope.MAPPING, "a", 1) is Full.CONCURRENCY
    assert (occupancy.active(LimitScope.MAPPING, "a"), occupancy.recent(LimitScope.MAPPING, "a", 0)) == (1, 1)


def test_a_peak_is_the_most_at_a_time_and_the_most_of_a_second():
    occupancy, scope = Occupancy(), LimitScope.ROUTING
    for mono_ms in (0, 100, 200, 1_050):
        occupancy.take(scope, "a", None, None, mono_ms)
        if mono_ms == 100:
            occupancy.release(scope, "a")
    assert occupancy.take_peak(scope, "a", 5_000) == ("a", 3, 3)
    occupancy.release(scope, "a")
    assert occupancy.take_peak(scope, "a", 9_000) == ("a", 3, 0), "calls that go on count, their arrival is over"
    for _ in range(2):
        occupancy.release(scope, "a")
    assert occupancy.take_peak(scope, "a", 9_500) == ("a", 2, 0)
    assert occupancy.take_peak(scope, "a", 9_600) is None


def test_a_place_that_was_taken_back_is_in_no_peak():
    occupancy, scope = Occupancy(), LimitScope.MAPPING
    occupancy.take(scope, "a", None, None, 0)
    occupancy.take(scope, "a", None, None, 10)
    occupancy.undo(scope, "a", 10)
    occupancy.take(scope, "a", None, None, 2_000)
    occupancy.release(scope, "a")
    assert occupancy.take_peak(scope, "a", 3_000) == ("a", 2, 1)


@given(st.lists(st.tuples(st.sampled_from(["take", "end", "read"]), st.integers(0, 900)), max_size=60))
def test_peaks_are_those_of_a_plain_count(steps):
    """Each reading has the most calls of any moment since the one before, and of any second that ends since then."""
    occupancy, scope, now, last_read = Occupancy(), LimitScope.ROUTING, 0, -1
    began: list[int] = []
    active, most = 0, 0
    for step, passes in steps:
        now += passes
        if step == "take":
            occupancy.take(scope, "a", None, None, now)
            began.append(now)
            active += 1
            most = max(most, active)
        elif step == "end" and active:
            occupancy.release(scope, "a")
            active -= 1
        elif step == "read":
            ends = [each for each in began if each > last_read]
            seconds = max((sum(end - 1_000 < each <= end for each in began) for end in ends), default=0)
            wanted = ("a", most, seconds) if most or seconds else None
            assert occupancy.take_peak(scope, "a", now) == wanted
            last_read, most = now, active
