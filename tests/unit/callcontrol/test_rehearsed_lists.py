"""Limits and the dynamic blacklist of calls that are not made."""

import pytest

from vosd.base.clock import Instant
from vosd.callcontrol.rehearsal import RehearsedLists, RehearsedPlaces
from vosd.routing.capacity import NothingTaken, Occupancy
from vosd.routing.dynamic_lists import CountedCall, DynamicLists, ListingCause
from vosd.trunks.gateways import CallerLimits
from vosd.trunks.scope import LimitScope

NOW = Instant(1_000, 1_790_000_000_000)
LIMITS = CallerLimits(frequency_limit=2, expire_s=600)


def test_calls_that_are_rehearsed_are_counted_among_each_other_and_nowhere_else():
    live = DynamicLists()
    lists = RehearsedLists(live)
    assert [type(lists.take("acme", "1001", "4420", LIMITS, NOW)) for _ in range(2)] == [CountedCall] * 2
    assert lists.take("acme", "1001", "4420", LIMITS, NOW).cause is ListingCause.FREQUENCY
    assert (live.size, live.total()) == (0, 0)


def test_a_caller_on_the_list_of_the_switch_is_refused_in_a_rehearsal():
    live = DynamicLists()
    for _ in range(3):
        live.take("acme", "1001", "4420", LIMITS, NOW)
    assert RehearsedLists(live).take("acme", "1001", "4421", CallerLimits(), NOW).cause is ListingCause.FREQUENCY


def test_a_place_that_is_released_in_a_rehearsal_is_not_released_again():
    live = Occupancy()
    limits = RehearsedPlaces(live)
    for _ in range(2):
        assert limits.take(LimitScope.ACCOUNT, "acme", 5, None, 0) is None
    limits.release(LimitScope.ACCOUNT, "acme")
    limits.undo(LimitScope.ACCOUNT, "acme", 0)
    assert (limits.total(), live.total()) == (0, 0)
    with pytest.raises(NothingTaken, match="no call of account 'acme' is counted"):
        limits.release(LimitScope.ACCOUNT, "acme")
