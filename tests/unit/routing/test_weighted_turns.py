"""The turns of gateways that share calls: copies, and what is kept of them at a reload."""

import pytest

from vosd.routing.weights import Share, ShareKey, Turns

KEY = ShareKey("default", "44", 1)
EVEN = [Share("a", 1), Share("b", 1)]


@pytest.fixture
def turns() -> Turns:
    """Return turns in which ``a`` has had the first call."""
    found = Turns()
    found.take(KEY, EVEN, "a")
    assert found.next_of(KEY, EVEN) == 1
    return found


def test_a_copy_begins_as_the_turns_are_and_changes_apart_from_them(turns: Turns):
    copied = turns.copied()
    assert copied.next_of(KEY, EVEN) == 1
    copied.take(KEY, EVEN, "b")
    assert (copied.next_of(KEY, EVEN), turns.next_of(KEY, EVEN)) == (0, 1)


@pytest.mark.parametrize(
    ("plans", "gateways", "in_a_row"),
    [({"default"}, {"a", "b"}, 3), ({"other"}, {"a", "b"}, 0), ({"default"}, {"b"}, 2), ({"default"}, {"a"}, 2)],
)
def test_plans_and_gateways_that_are_gone_begin_anew(turns: Turns, plans: set[str], gateways: set[str], in_a_row: int):
    for _ in range(2):
        turns.take(KEY, EVEN, "a")
    turns.keep(plans, gateways)
    found = 0
    while turns.next_of(KEY, EVEN) == 1:
        turns.take(KEY, EVEN, "b")
        found += 1
    assert found == in_a_row
