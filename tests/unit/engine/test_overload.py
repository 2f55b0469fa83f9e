"""An overload is a lag that does not go away, and it is over when the lag is well gone."""

from itertools import pairwise, product, repeat

import pytest

from vosd.engine.overload.load import LASTING_S, OVER_S, START_S, Load, LoadWatch, OverloadSettings

INTERVAL_S = 0.02


@pytest.fixture
def watch() -> LoadWatch:
    return LoadWatch(OverloadSettings(max_lag_ms=50))


def observe(watch: LoadWatch, lag_ms: float, seconds: float, start: float) -> list[Load]:
    """Look every beat from ``start`` on; return the changes."""
    measurements = round(seconds / INTERVAL_S)
    changes = [
        watch.observe(lag_ms / 1000, start + measurement * INTERVAL_S) for measurement in range(measurements + 1)
    ]
    return [change for change in changes if change is not None]


def test_a_burst_is_no_overload(watch):
    for second in range(10):
        assert observe(watch, 200, LASTING_S - 2 * INTERVAL_S, second) == []
        assert observe(watch, 10, 0.5, second + 0.5) == []
    assert not watch.is_too_late(10.0)


def test_a_lag_that_lasts_is_one_and_its_end_takes_a_calm_second(watch):
    assert observe(watch, 60, LASTING_S, 0.0) == [Load.OVERLOADED]
    assert watch.is_too_late(0.050)
    assert not watch.is_too_late(0.049)
    assert observe(watch, 30, 5.0, 1.0) == []  # below the bound, not below half of it
    assert observe(watch, 20, OVER_S - 2 * INTERVAL_S, 10.0) == []
    assert observe(watch, 30, 0.0, 11.0) == []
    assert observe(watch, 20, OVER_S, 12.0) == [Load.NORMAL]
    assert not watch.is_too_late(10.0)


def test_no_call_is_refused_if_configured():
    watch = LoadWatch(OverloadSettings(max_lag_ms=0))
    assert observe(watch, 5_000, 10.0, 0.0) == []
    assert not watch.is_too_late(10.0)


def test_an_overload_ends_when_it_is_switched_off(watch):
    assert observe(watch, 60, 1.0, 0.0) == [Load.OVERLOADED]
    watch.settings = OverloadSettings(max_lag_ms=0)
    assert observe(watch, 60, 2.0, 2.0) == [Load.NORMAL]


def test_it_begins_at_most_once_a_second_or_so():
    """Whatever the lengths in which a long lag and one below half of the limit alternate."""
    found = set()
    for high, low in product(range(19, 24), range(19, 60)):
        watch = LoadWatch(OverloadSettings(max_lag_ms=50))
        lags = [lag for _ in range(4) for lag in (*repeat(1.0, high), *repeat(0.024, low))]
        changes = [watch.observe(lag, measurement * INTERVAL_S) for measurement, lag in enumerate(lags)]
        begun = [measurement for measurement, change in enumerate(changes) if change is Load.OVERLOADED]
        found |= {later - earlier for earlier, later in pairwise(begun)}
    assert len(found) > 1
    assert min(found) >= OVER_S / INTERVAL_S


def test_the_lag_of_a_start_is_no_overload_and_one_that_goes_on_is(watch):
    watch.begin(100.0)
    assert observe(watch, 400, START_S - 0.1, 100.0) == []
    assert watch.load is Load.NORMAL
    assert observe(watch, 400, LASTING_S + 0.2, 100.0 + START_S) == [Load.OVERLOADED]
