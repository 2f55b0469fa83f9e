"""Ports of media: where they begin, and how many there are."""

import pytest

from vosd.media.port_pool import OCCUPIED_MS, QUARANTINE_MS, PortPool
from vosd.trunks.media import PortRange


def taken(pool: PortPool, ports: PortRange, *, is_multiplexed: bool, start: int = 0) -> int | None:
    return pool.take(ports, is_multiplexed=is_multiplexed, start=start, now_ms=0)


@pytest.mark.parametrize(("is_multiplexed", "legs"), [(False, 15_000), (True, 30_000)])
def test_a_range_of_ports_serves_so_many_legs(is_multiplexed, legs):
    pool, ports = PortPool(), PortRange(10_000, 39_999)
    given = [taken(pool, ports, is_multiplexed=is_multiplexed) for _ in range(legs)]
    assert len(set(given)) == legs
    assert None not in given
    assert taken(pool, ports, is_multiplexed=is_multiplexed) is None
    assert pool.used(ports, 0) == ports.size


def test_the_first_port_is_random_and_the_range_goes_round():
    ports = PortRange(10_000, 10_005)
    assert [taken(PortPool(), ports, is_multiplexed=False, start=start) for start in (0, 1, 2, 3, 7)] == [
        10_000, 10_002, 10_004, 10_000, 10_002,
    ]  # fmt: skip


def test_two_multiplexed_streams_share_a_pair():
    pool, ports = PortPool(), PortRange(10_000, 10_003)
    assert [taken(pool, ports, is_multiplexed=True) for _ in range(5)] == [10_000, 10_001, 10_002, 10_003, None]


def test_a_port_rests_after_use():
    pool, ports = PortPool(), PortRange(10_000, 10_001)
    assert taken(pool, ports, is_multiplexed=False) == 10_000
    pool.rest(10_000, 10_001, now_ms=100)
    ends = (99 + QUARANTINE_MS, 100 + QUARANTINE_MS)
    assert [pool.take(ports, is_multiplexed=False, start=0, now_ms=at) for at in ends] == [None, 10_000]


def test_a_port_that_another_program_has_is_not_tried_for_long():
    pool, ports = PortPool(), PortRange(10_000, 10_001)
    assert taken(pool, ports, is_multiplexed=False) == 10_000
    pool.set_aside(10_000, 10_001, now_ms=100)
    ends = (100 + QUARANTINE_MS, 99 + OCCUPIED_MS, 100 + OCCUPIED_MS)
    assert [pool.take(ports, is_multiplexed=False, start=0, now_ms=at) for at in ends] == [None, None, 10_000]


def test_ports_of_calls_that_go_on_are_not_given_out():
    pool, ports = PortPool(), PortRange(10_000, 10_003)
    pool.adopt(10_000, 10_001)
    assert taken(pool, ports, is_multiplexed=False) == 10_002
