"""Pools of calling numbers."""

import pytest

from vosd.routing.pools import NumberPool, PoolMode, PoolTurn, PoolTurns


def drawing(*numbers):
    left = iter(numbers)
    return lambda below: next(left) % below


def taken(turns, pool, calls, draw=None):
    return "".join(turns.take(pool, draw or drawing()) or "-" for _ in range(calls))


def pool(numbers="ABC", **terms):
    return NumberPool("berlin", tuple(numbers), **terms)


def test_numbers_in_turn():
    assert taken(PoolTurns(), pool(), 7) == "ABCABCA"


def test_a_number_is_reused_as_often_as_the_pool_says():
    assert taken(PoolTurns(), pool(reuse=2), 7) == "AABBCCA"
    assert taken(PoolTurns(), pool(reuse=2, mode=PoolMode.RANDOM), 5, drawing(2, 0, 1)) == "CCAAB"


def test_numbers_at_random():
    assert taken(PoolTurns(), pool(mode=PoolMode.RANDOM), 4, drawing(1, 1, 5, 0)) == "BBCA"


def test_an_empty_pool_has_no_number():
    assert PoolTurns().take(pool(""), drawing()) is None


def test_each_pool_has_its_own_turn_and_those_that_vanish_lose_theirs():
    turns, other = PoolTurns(), NumberPool("paris", ("X", "Y"))
    assert taken(turns, pool(), 2) + taken(turns, other, 1) + taken(turns, pool(), 1) == "ABXC"
    turns.keep(["paris"])
    assert taken(turns, pool(), 1) + taken(turns, other, 1) == "AY"


@pytest.mark.parametrize(("numbers", "after"), [("ABCD", "CD"), ("AB", "AB"), ("", "--")])
def test_a_changed_pool_goes_on_where_it_was(numbers, after):
    turns = PoolTurns()
    assert taken(turns, pool(), 2) == "AB"
    assert taken(turns, pool(numbers), 2) == after


@pytest.mark.parametrize("mode", PoolMode)
def test_a_pool_that_has_become_shorter_shows_no_number_again_that_it_has_lost(mode):
    turns = PoolTurns()
    turns.restore({"berlin": PoolTurn(2, 1)})
    assert taken(turns, pool("AB", reuse=2, mode=mode), 2, drawing(0)) == "AA"


def test_a_copy_leaves_the_turn_as_it_is():
    turns = PoolTurns()
    taken(turns, pool(), 1)
    assert taken(turns.copied(), pool(), 1) == "B"
    assert taken(turns, pool(), 1) == "B"


def test_the_turns_of_an_earlier_run_go_on():
    before, after = PoolTurns(), PoolTurns()
    assert taken(before, pool(reuse=2), 3) == "AAB"
    after.restore(before.all())
    assert (taken(after, pool(reuse=2), 2), before.taken, after.taken) == ("BC", 3, 2)
