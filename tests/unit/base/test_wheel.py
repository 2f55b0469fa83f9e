"""The timer wheel: never early, at most one tick late, cheap to cancel."""

import tracemalloc
from itertools import islice

import pytest
from hypothesis import given, strategies as st

from vosd.base.wheel import SPARE_TICKS, Timer, TimerWheel

TICK_MS = 10


@pytest.fixture
def wheel() -> TimerWheel[str]:
    return TimerWheel(TICK_MS)


def test_a_timer_fires_at_the_first_tick_that_is_not_before_it(wheel):
    wheel.schedule(101, "owner")
    assert list(wheel.expire(109)) == []
    assert wheel.next_due() == 110
    assert list(wheel.expire(110)) == ["owner"]
    assert wheel.next_due() is None


def test_timers_of_one_tick_fire_in_the_order_they_were_set(wheel):
    for owner in ("first", "second", "third"):
        wheel.schedule(100, owner)
    assert list(wheel.expire(100)) == ["first", "second", "third"]


def test_who_takes_some_of_a_tick_at_a_time_does_not_pay_for_all_that_remain_each_time(wheel):
    """A start finds that 20,000 calls are due, and handles 100 of them before messages get their turn."""
    for number in range(20_000):
        wheel.schedule(100, f"owner {number}")
    tracemalloc.start()
    try:
        taken = list(islice(wheel.expire(100), 100))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    taken += list(wheel.expire(100))
    assert taken == [f"owner {number}" for number in range(20_000)]


def test_a_cancelled_timer_does_not_fire_and_is_not_waited_for(wheel):
    cancelled = wheel.schedule(100, "cancelled")
    wheel.schedule(300, "kept")
    wheel.cancel(cancelled)
    assert len(wheel) == 1
    assert wheel.next_due() == 300
    assert list(wheel.expire(1_000)) == ["kept"]


def test_cancelling_a_timer_that_has_fired_or_was_cancelled_changes_nothing(wheel):
    fired = wheel.schedule(100, "fired")
    cancelled = wheel.schedule(200, "cancelled")
    assert list(wheel.expire(100)) == ["fired"]
    wheel.cancel(cancelled)
    wheel.cancel(cancelled)
    wheel.cancel(fired)
    assert len(wheel) == 0


def test_a_timer_cancelled_by_another_of_its_tick_does_not_fire(wheel):
    wheel.schedule(100, "canceller")
    victim = wheel.schedule(100, "victim")
    fired = []
    for owner in wheel.expire(100):
        fired.append(owner)
        wheel.cancel(victim)
    assert fired == ["canceller"]
    assert len(wheel) == 0


def test_a_timer_set_for_the_past_while_others_fire_still_fires(wheel):
    wheel.schedule(100, "late")
    fired = []
    for owner in wheel.expire(100):
        fired.append(owner)
        if owner == "late":
            wheel.schedule(50, "past")
            wheel.schedule(100, "now")
    assert sorted(fired) == ["late", "now", "past"]
    assert len(wheel) == 0


def test_looking_ahead_while_timers_fire_disturbs_nothing(wheel):
    wheel.schedule(100, "last of its tick")
    wheel.schedule(300, "later")
    for _ in wheel.expire(200):
        assert wheel.next_due() == 300
    assert list(wheel.expire(300)) == ["later"]


def test_a_reader_that_stops_half_way_leaves_the_rest_for_the_next_time(wheel):
    for owner in ("taken", "left"):
        wheel.schedule(100, owner)
    assert next(wheel.expire(100)) == "taken"
    assert list(wheel.expire(100)) == ["left"]


def test_cancelled_timers_leave_nothing_behind_though_a_nearer_one_waits(wheel):
    """Peers name far instants, such as the end of an INVITE, and nearly all of these timers are cancelled."""
    wheel.schedule(100, "near")
    for number in range(1, 20_001):
        wheel.cancel(wheel.schedule(1_000_000 * number, "far"))
    assert len(wheel._buckets) == 1
    assert len(wheel._order) <= 2 + SPARE_TICKS


def test_a_tick_that_is_used_again_and_again_leaves_nothing_behind(wheel):
    wheel.schedule(100, "near")
    for _ in range(20_000):
        wheel.cancel(wheel.schedule(1_000_000, "far"))
    assert len(wheel._buckets) == 1
    assert len(wheel._order) <= 2 + SPARE_TICKS


def test_a_timer_cancelled_twice_does_not_take_another_of_its_tick_along(wheel):
    first = wheel.schedule(100, "first")
    wheel.cancel(first)
    wheel.schedule(100, "second")
    wheel.cancel(first)
    assert len(wheel) == 1
    assert list(wheel.expire(100)) == ["second"]


def test_ticks_of_cancelled_timers_may_be_forgotten_while_others_fire(wheel):
    for owner in ("a", "b"):
        wheel.schedule(100, owner)
    wheel.schedule(200, "c")
    fired = []
    for owner in wheel.expire(200):
        fired.append(owner)
        for number in range(2 * SPARE_TICKS):
            wheel.cancel(wheel.schedule(1_000 * number, "gone"))
    assert fired == ["a", "b", "c"]
    assert wheel.next_due() is None
    assert not wheel._buckets


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["set", "cancel", "expire", "look"]), st.integers(0, 30), st.integers(0, 300)),
        max_size=80,
    )
)
def test_timers_set_cancelled_and_fired_in_any_order_are_those_that_a_plain_list_has(steps):
    wheel: TimerWheel[int] = TimerWheel(TICK_MS)
    handles: list[Timer[int]] = []
    waiting: dict[int, int] = {}
    for number, (what, which, at) in enumerate(steps):
        if what == "set":
            waiting[len(handles)] = -(-at // TICK_MS) * TICK_MS
            handles.append(wheel.schedule(at, len(handles)))
        elif what == "cancel" and handles:
            wheel.cancel(handles[which % len(handles)])
            waiting.pop(which % len(handles), None)
        elif what == "expire":
            fired = list(wheel.expire(at))
            assert fired == sorted((each for each in waiting if waiting[each] <= at), key=lambda each: waiting[each])
            for each in fired:
                del waiting[each]
        else:
            assert wheel.next_due() == min(waiting.values(), default=None)
        assert len(wheel) == len(waiting), number


@given(
    timers=st.lists(st.tuples(st.integers(0, 2_000), st.booleans()), max_size=40),
    looks=st.lists(st.integers(0, 2_500), max_size=20),
)
def test_every_timer_fires_once_within_its_tick_unless_cancelled(timers, looks):
    wheel: TimerWheel[int] = TimerWheel(TICK_MS)
    handles = [wheel.schedule(at, number) for number, (at, _) in enumerate(timers)]
    for handle, (_, cancelled) in zip(handles, timers, strict=True):
        if cancelled:
            wheel.cancel(handle)
    kept = {number: at for number, (at, cancelled) in enumerate(timers) if not cancelled}
    assert len(wheel) == len(kept)
    fired_at: dict[int, int] = {}
    before = -1
    for now in [*sorted(looks), 5_000]:
        for number in wheel.expire(now):
            assert number not in fired_at
            fired_at[number] = now
            assert before < -(-kept[number] // TICK_MS) * TICK_MS <= now
        before = now
    assert fired_at.keys() == kept.keys()


def test_timers_that_are_added_again_at_their_position_fire_in_the_same_order():
    wheel = TimerWheel(10)
    times = {"b": 25, "c": 11, "a": 29, "gone": 21}
    timers = [wheel.schedule(at, name) for name, at in times.items()]
    wheel.cancel(timers[3])
    positions = [wheel.position(timer) for timer in timers]
    assert positions == [(3, 0), (2, 0), (3, 1), None]
    other = TimerWheel(10)
    for (tick, _), name in sorted(zip(positions[:3], times, strict=False)):
        other.add(Timer(tick), name)
    assert list(other.expire(30)) == list(wheel.expire(30)) == ["c", "b", "a"]
    assert len(other) == 0
