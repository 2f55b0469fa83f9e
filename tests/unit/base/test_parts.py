"""Long lists in parts give what one call gives, and other threads get their turn between two of them."""

import pytest
from hypothesis import given, strategies as st

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


class Thing:
    """Object whose end is counted."""

    freed = 0

    def __del__(self) -> None:
        Thing.freed += 1


def test_objects_are_freed_some_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "_FREED_AT_ONCE", 4)
    monkeypatch.setattr(Thing, "freed", 0)
    steps: list[int] = []
    with parts.giving_way(lambda: steps.append(Thing.freed)):
        parts.free([Thing() for _ in range(10)])
        parts.take_apart({1: Thing(), 2: Thing()}, {}, {3: Thing()})
    assert steps == [4, 8, 10, 11, 12, 13]


def test_mappings_are_emptied_also_where_no_thread_waits():
    mapping = {1: 2, 3: 4}
    parts.take_apart(mapping, {})
    assert mapping == {}
