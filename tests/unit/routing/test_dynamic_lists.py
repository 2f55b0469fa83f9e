"""The dynamic blacklist: what is counted, for which caller, for how long, and how much of it is kept."""

import tracemalloc

import pytest
from doubles.compared_time import ComparedTime

from vosd.base.clock import Instant
from vosd.routing.dynamic_lists import (
    CountedCall,
    DynamicLists,
    ListedCaller,
    ListingCause,
    NotCountedError,
    RecentTimes,
)
from vosd.trunks.gateways import CallerLimits

WALL = 1_790_000_000_000
LIMITS = CallerLimits(concurrent_limit=3, frequency_limit=5, no_answer_limit=3, target_limit=4, expire_s=600)


def at(seconds):
    return Instant(round(1_000 * seconds), WALL + round(1_000 * seconds))


@pytest.fixture
def lists():
    return DynamicLists()


def call(lists, seconds, *, caller="1001", gateway="acme", target="4420", limits=LIMITS, ends=True):
    counted = lists.take(gateway, caller, target, limits, at(seconds))
    if ends and isinstance(counted, CountedCall):
        counted.give_back()
    return counted


def unanswered(lists, seconds, caller, limits):
    counted = call(lists, seconds, caller=caller, limits=limits, ends=False)
    counted.unanswered(at(seconds).mono)
    counted.give_back()


def test_what_was_listed_is_refused_until_the_very_instant_of_its_end(lists):
    for seconds in range(4):
        call(lists, seconds, target=f"442{seconds}", ends=False)
    first = lists.find("acme", "1001", at(3).mono)
    assert (first.cause, first.limit, first.since, first.until) == (
        ListingCause.CONCURRENT, 3, at(3).wall, at(603).wall,
    )  # fmt: skip
    assert call(lists, 602.999, target="1") is first
    assert str(first) == "caller in dynamic blacklist: 1001 of acme, concurrent above 3"
    assert call(lists, 603, target="1") is not first


def test_a_call_that_is_refused_otherwise_costs_the_same_with_the_highest_limit():
    recent = RecentTimes()
    for mono in range(19_999):
        recent.add(("acme",), 10_000, 60_000, ComparedTime(mono))
    before = ComparedTime.compared
    recent.undo(("acme",), ComparedTime(19_998))
    assert (recent.size, ComparedTime.compared - before < 50) == (19_998, True)


def test_calls_to_one_target_count_by_themselves(lists):
    for seconds in range(4):
        assert isinstance(call(lists, seconds, target="4420"), CountedCall)
    assert isinstance(call(lists, 4, target="4421"), CountedCall)
    limits = CallerLimits(target_limit=4)
    assert call(lists, 5, target="4420", limits=limits).cause is ListingCause.ONE_TARGET


def test_the_window_moves_with_each_call(lists):
    limits = CallerLimits(frequency_limit=2, window_s=10)
    assert isinstance(call(lists, 0, limits=limits), CountedCall)
    assert isinstance(call(lists, 9, limits=limits), CountedCall)
    assert isinstance(call(lists, 10, limits=limits), CountedCall), "the first is out of the window"
    assert call(lists, 18.9, limits=limits).cause is ListingCause.FREQUENCY


def test_the_same_number_of_another_customer_is_another_caller(lists):
    limits = CallerLimits(frequency_limit=1)
    call(lists, 0, limits=limits)
    assert isinstance(call(lists, 1, limits=limits), ListedCaller)
    assert isinstance(call(lists, 2, limits=limits, gateway="other"), CountedCall)


def test_a_call_that_something_else_refuses_does_not_count(lists):
    limits = CallerLimits(concurrent_limit=1, frequency_limit=2, target_limit=2, no_answer_limit=1)
    for seconds in range(10):
        counted = call(lists, seconds, limits=limits, ends=False)
        counted.undo()
        counted.unanswered(at(seconds).mono)  # the end of the call comes later
    assert lists.total() == 0
    for times in (lists.calls, lists.to_targets, lists.unanswered):
        assert (times.size, len(times)) == (0, 0)


def test_a_call_that_waited_is_taken_back_between_others(lists):
    limits = CallerLimits(frequency_limit=3)
    first = call(lists, 0, limits=limits, ends=False)
    call(lists, 1, limits=limits)
    first.undo()
    call(lists, 2, limits=limits)
    assert isinstance(call(lists, 3, limits=limits), CountedCall)
    assert isinstance(call(lists, 4, limits=limits), ListedCaller)


def test_a_call_is_released_once(lists):
    counted = call(lists, 0, ends=False)
    assert lists.active("acme", "1001") == 1
    counted.give_back()
    with pytest.raises(NotCountedError, match="release once for each take"):
        counted.give_back()


def test_a_caller_begins_anew_when_its_time_is_over_or_it_is_cleared(lists):
    limits = CallerLimits(frequency_limit=2, window_s=3_600, expire_s=60)
    for seconds in range(3):
        call(lists, seconds, limits=limits)
    assert lists.clear("1001", at(3).mono) == 1
    assert isinstance(call(lists, 3, limits=limits), CountedCall)
    assert isinstance(call(lists, 4, limits=limits), CountedCall)
    assert isinstance(call(lists, 5, limits=limits), ListedCaller)
    assert isinstance(call(lists, 65, limits=limits), CountedCall)


@pytest.mark.parametrize("limits", [LIMITS, CallerLimits(concurrent_limit=1, no_answer_limit=1, expire_s=60)])
def test_clearing_a_caller_forgets_its_calls_that_ended_while_it_was_listed(lists, limits):
    running = [call(lists, 0, limits=limits, ends=False) for _ in range(limits.concurrent_limit)]
    assert call(lists, 1, limits=limits).cause is ListingCause.CONCURRENT
    for each in running:
        each.unanswered(at(2).mono)
        each.give_back()
    lists.clear("1001", at(3).mono)
    assert isinstance(call(lists, 4, limits=limits), CountedCall)


def test_one_number_or_all_can_be_cleared(lists):
    limits = CallerLimits(frequency_limit=1)
    for caller, gateway in [("1001", "acme"), ("1001", "other"), ("1002", "acme")]:
        call(lists, 0, caller=caller, gateway=gateway, limits=limits)
        call(lists, 1, caller=caller, gateway=gateway, limits=limits)
    assert [each.caller for each in lists.listed(at(2).mono)] == ["1001", "1001", "1002"]
    changes = []
    for caller, count in (("7", 0), ("1001", 2), (None, 1)):
        before = lists.changes
        assert lists.clear(caller, at(2).mono) == count
        changes.append(lists.changes > before)
    assert lists.size == 0
    assert changes == [False, True, True], "the file of the list follows its changes"


def test_callers_whose_time_is_over_leave_the_list(lists):
    limits = CallerLimits(frequency_limit=1, expire_s=60)
    call(lists, 0, limits=limits)
    call(lists, 1, limits=limits)
    lists.expire(at(60.9).mono)
    assert lists.size == 1
    before = lists.changes
    lists.expire(at(61).mono)
    assert (lists.size, lists.changes) == (0, before + 1)
    lists.expire(at(62).mono)
    assert lists.changes == before + 1


def test_the_callers_of_a_gateway_that_is_gone_leave_the_list(lists):
    limits = CallerLimits(frequency_limit=1)
    for gateway in ("acme", "other"):
        call(lists, 0, gateway=gateway, limits=limits)
        call(lists, 1, gateway=gateway, limits=limits)
    lists.keep({"other"})
    assert [each.gateway for each in lists.listed(at(2).mono)] == ["other"]


def test_a_judgement_changes_nothing(lists):
    limits = CallerLimits(frequency_limit=1, concurrent_limit=2)
    assert lists.judge("acme", "1001", "4420", limits, at(0)) is None
    call(lists, 0, limits=limits)
    assert lists.judge("acme", "1001", "4420", limits, at(1)).cause is ListingCause.FREQUENCY
    assert (lists.size, lists.changes, lists.total()) == (0, 0, 0)
    listed = call(lists, 1, limits=limits)
    ends = Instant(listed.until_mono, listed.until)
    assert lists.judge("acme", "1001", "4420", limits, ends.plus(-1)) is listed
    assert lists.judge("acme", "1001", "4420", limits, ends) is None


def test_a_flood_of_numbers_is_counted_and_takes_bounded_memory():
    lists = DynamicLists(times_max=1_000)
    limits = CallerLimits(frequency_limit=60, no_answer_limit=20, target_limit=10)
    tracemalloc.start()
    for number in range(1_500):
        unanswered(lists, 1, f"{number}", limits)
    full, _ = tracemalloc.get_traced_memory()
    for number in range(1_500, 4_000):
        unanswered(lists, 2, f"{number}", limits)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lists.calls.size == len(lists.calls) == lists.to_targets.size == lists.unanswered.size == 1_000
    assert after < full * 1.1
    assert lists.forgotten == 9_000
    assert lists.total() == 0


def test_one_caller_is_remembered_no_longer_than_its_limit_needs():
    times = RecentTimes()
    for number in range(10_000):
        times.add(("acme", "1"), 50, 60_000, number)
        assert times.size == number + 1 if number < 100 else 50 <= times.size <= 100
    assert times.is_full(("acme", "1"), 50, 50, 9_999)
    assert not times.is_full(("acme", "1"), 50, 49, 9_999)


def test_callers_that_are_silent_are_forgotten_while_others_call():
    times = RecentTimes()
    for number in range(1_000):
        times.add((f"{number}",), 5, 60_000, 0)
    for number in range(600):
        times.add(("busy",), 5, 60_000, 60_000 + number)
    assert (len(times), times.forgotten) == (1, 0)


def test_the_list_is_bounded_too():
    lists, limits = DynamicLists(listed_max=20), CallerLimits(frequency_limit=1)
    for number in range(30):
        call(lists, 0, caller=f"{number}", limits=limits)
        call(lists, 1, caller=f"{number}", limits=limits)
    assert (lists.size, lists.overflows) == (20, 10)
    assert lists.find("acme", "9", at(2).mono) is None
    assert lists.find("acme", "10", at(2).mono) is not None


def test_a_caller_that_is_listed_again_is_the_last_to_leave_a_full_list():
    lists, limits = DynamicLists(listed_max=2), CallerLimits(frequency_limit=1, expire_s=60)

    def list_caller(caller, seconds):
        for _ in range(2):
            call(lists, seconds, caller=caller, limits=limits)

    list_caller("first", 0)
    list_caller("second", 30)
    list_caller("first", 70)  # its time was over
    assert [each.caller for each in lists.listed(at(70).mono)] == ["second", "first"]
    list_caller("third", 80)
    assert [each.caller for each in lists.listed(at(80).mono)] == ["first", "third"]
    assert lists.overflows == 1
