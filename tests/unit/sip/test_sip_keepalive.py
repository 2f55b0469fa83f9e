"""Sweeps of keep-alives: batches, slices, and no burst whatever happens to the clock."""

from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from hypothesis import given, strategies as st

from vosd.sip.registration.keepalive import KeepAlive, Sweeps
from vosd.sip.wire.outgoing import Peer

START = 5_000


def endpoints(count: int) -> list[Peer]:
    return [Peer(0, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060) for number in range(count)]


def on_time(_due: int) -> int:
    return 0


def sent(sweeps: Sweeps, until: int, lateness: Callable[[int], int] = on_time) -> Iterator[tuple[int, list[Peer]]]:
    """Wake the sweeps when they want it, or so much later; yield every instant at which something left."""
    now = START
    while now <= until:
        due = list(sweeps.due(now))
        if due:
            yield now, due
        wanted = sweeps.next_due(now)
        assert wanted > now
        now = wanted + lateness(wanted)


def test_every_endpoint_is_reached_once_a_sweep_and_sweeps_begin_a_period_apart():
    all_endpoints = endpoints(7_000)
    log = list(sent(Sweeps(KeepAlive(), lambda: all_endpoints, START), START + 59_999))
    assert [peer for _, due in log for peer in due] == all_endpoints * 2
    begins = [log[0][0], next(at for at, due in log if at > START + 10_000)]
    assert begins == [START, START + 30_000]
    assert log[-1][0] < START + 32_000


@pytest.mark.parametrize("batch", [3_000, 1_000, 60, 7, 1])
def test_slices_of_a_batch_are_even(batch):
    """Also where a batch is smaller than it may be: it takes the whole interval."""
    sizes = [len(due) for _, due in sent(Sweeps(KeepAlive(), lambda: endpoints(batch), START), START + 499)]
    assert sum(sizes) == batch
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= KeepAlive().slice_max == 60
    assert len(sizes) == min(batch, 50)


@pytest.mark.parametrize(
    ("interval", "batch", "largest"), [(500, 3_000, 60), (15, 100, 67), (1, 10, 10), (7, 10, 10), (10_000, 3, 1)]
)
def test_the_bound_of_a_slice_is_its_share_of_the_interval(interval, batch, largest):
    pace = KeepAlive(send_interval_ms=interval, send_one_time=batch)
    assert pace.slice_max == largest
    sizes = [len(due) for _, due in sent(Sweeps(pace, lambda: endpoints(10 * batch), START), START + 10 * interval - 1)]
    assert sum(sizes) == 10 * batch
    assert max(sizes) <= largest


def test_who_registers_during_a_sweep_is_reached_by_the_next():
    registered = endpoints(100)
    sweeps = Sweeps(KeepAlive(), lambda: tuple(registered), START)
    sweeps.due(START)
    registered += [Peer(0, "192.0.2.1", 1)]
    log = list(sent(sweeps, START + 29_999))
    assert registered[-1] not in [peer for _, due in log for peer in due]
    assert registered[-1] in [peer for _, due in sent(sweeps, START + 31_000) for peer in due]


def test_an_empty_sweep_waits_for_the_next():
    sweeps = Sweeps(KeepAlive(), tuple, START)
    assert (list(sweeps.due(START)), sweeps.next_due(START)) == ([], START + 30_000)
    assert not sweeps.overruns


def test_an_overrun_sweep_is_reported_and_followed_at_once():
    pace = KeepAlive(period_ms=10_000, send_interval_ms=1_000, send_one_time=10)
    all_endpoints = endpoints(150)
    sweeps = Sweeps(pace, lambda: all_endpoints, START)
    told = [(at, sweeps.overruns) for at, _ in sent(sweeps, START + 31_000)]
    assert [at for at, overruns in told if overruns] == [at for at, _ in told if at >= START + 10_000]
    log = [peer for _, due in sent(Sweeps(pace, lambda: all_endpoints, START), START + 45_000) for peer in due]
    assert log[:450] == all_endpoints * 3, "one after the other, never two at once"


def test_a_sweep_that_fits_again_ends_the_overrun():
    registered = endpoints(150)
    pace = KeepAlive(period_ms=10_000, send_interval_ms=1_000, send_one_time=10)
    sweeps = Sweeps(pace, lambda: tuple(registered), START)
    told = {}
    for at, _ in sent(sweeps, START + 40_000):
        told[at - START] = sweeps.overruns
        if at >= START + 14_000:
            del registered[20:]
    assert told[10_000]
    assert told[14_900], "until the next sweep is over"
    assert not told[max(told)]


MANY = endpoints(50_000)
paces = st.builds(
    KeepAlive,
    period_ms=st.integers(10_000, 60_000),
    send_interval_ms=st.integers(1, 10_000),
    send_one_time=st.integers(1, 10_000),
)


@given(
    pace=paces,
    count=st.integers(0, 50_000),
    lateness=st.lists(st.integers(0, 400) | st.just(0), min_size=1, max_size=50),
)
def test_no_burst_whatever_the_numbers_and_however_late_the_clock(pace, count, lateness):
    """50,000 endpoints: no slice over the bound, and no window longer than a slice that makes up for lost time."""
    all_endpoints = MANY[:count]
    late = cycle(lateness)
    sweeps = Sweeps(pace, lambda: all_endpoints, START)
    log: list[tuple[int, int]] = []
    reached: list[Peer] = []
    for step, (at, due) in enumerate(sent(sweeps, START + 120_000, lambda _due: next(late))):
        log.append((at, len(due)))
        reached += due
        assert len(due) <= pace.slice_max
        if step > 3_000:
            break
    for length in (1, 5, 50, len(log)):
        for first in range(0, max(0, len(log) - length), max(1, length)):
            window = log[first : first + length + 1]
            lasted = window[-1][0] - window[0][0]
            allowed = pace.slice_max + 1 + lasted * pace.send_one_time / pace.send_interval_ms
            assert sum(size for _, size in window) <= allowed
    assert reached == [all_endpoints[index % count] for index in range(len(reached))], "in order, none twice or never"


@given(pace=paces, count=st.integers(1, 5_000))
def test_batches_begin_when_they_should(pace, count):
    """On time: each batch within its interval, every endpoint reached in the given order, exactly once."""
    pace = KeepAlive(b"x", 86_400_000, pace.send_interval_ms, max(pace.send_one_time, count // 200 + 1))
    all_endpoints = MANY[:count]
    log = list(sent(Sweeps(pace, lambda: all_endpoints, START), START + 86_000_000))
    assert [peer for _, due in log for peer in due] == all_endpoints
    place = {peer: at - START for at, due in log for peer in due}
    for index, peer in enumerate(all_endpoints):
        assert place[peer] // pace.send_interval_ms == index // pace.send_one_time
