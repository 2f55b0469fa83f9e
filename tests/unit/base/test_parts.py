"""Long lists in parts give what one call gives, and other threads get their turn between two of them."""

from hypothesis import given
from hypothesis import strategies as st

from vosd.base import parts


@given(st.lists(st.integers(), max_size=14), st.integers(1, 4))
def test_a_list_in_parts_has_the_same_items_in_the_same_order(items, at_once):
    usual, parts.AT_ONCE = parts.AT_ONCE, at_once
    try:
        found = [*parts.in_parts(items)]
    finally:
        parts.AT_ONCE = usual
    assert [each for part in found for each in part] == items
    assert all(len(part) == at_once for part in found[:-1])
    assert all(part for part in found)


def test_other_threads_go_first_where_that_is_wanted_alone():
    turns: list[str] = []
    parts.give_way()
    with parts.giving_way(lambda: turns.append("outer")):
        parts.give_way()
        with parts.giving_way(lambda: turns.append("inner")):
            parts.give_way()
        parts.give_way()
    parts.give_way()
    assert turns == ["outer", "inner", "outer"]
