"""Fair queues of several sources: order, bounds, and which item is dropped."""

from collections import Counter, defaultdict, deque

import pytest
from hypothesis import given, strategies as st

from vosd.engine.overload.fair_queue import FairQueue, LateFairQueue


@pytest.fixture
def queue() -> FairQueue[str]:
    return FairQueue(6)


def drained(queue: FairQueue[str]) -> list[str]:
    items = []
    while (item := queue.take()) is not None:
        items.append(item)
    return items


def test_sources_take_turns(queue):
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        assert queue.put(item[0], item) is None
    assert drained(queue) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert queue.oldest() is None


def test_the_longest_queue_loses_an_item(queue):
    for item in ("a1", "a2", "a3", "a4", "b1", "b2"):
        queue.put(item[0], item)
    assert queue.put("c", "c1") == "a1"
    assert queue.put("c", "c2") == "a2"
    assert len(queue) == 6
    assert drained(queue) == ["a3", "b1", "c1", "a4", "b2", "c2"]


def test_the_only_source_gives_way_to_itself(queue):
    assert [queue.put("a", f"a{index}") for index in range(8)] == [None] * 6 + ["a0", "a1"]


def test_the_oldest_of_the_longest_line_is_seen_and_dropped(queue):
    for item in ("b1", "a1", "a2"):
        queue.put(item[0], item)
    assert queue.oldest() == "a1"
    assert queue.drop() == "a1"
    assert len(queue) == 2


steps = st.lists(st.one_of(st.sampled_from("abcde"), st.just("take"), st.just("drop")), max_size=300)


@given(steps, st.integers(1, 12))
def test_the_queue_agrees_with_a_model_for_any_operations(steps, most):
    """Against a model: bounded, in order within a source, the longest line gives way, nothing lost or doubled."""
    queue: FairQueue[tuple[str, int]] = FairQueue(most)
    lines: defaultdict[str, deque[tuple[str, int]]] = defaultdict(deque)
    for number, step in enumerate(steps):
        if step == "take":
            item = queue.take()
            assert (item is None) == (not any(lines.values()))
        elif step == "drop":
            item = queue.drop() if len(queue) else None
            assert item is None or len(lines[item[0]]) == max(map(len, lines.values()))
        else:
            lines[step].append((step, number))
            item = queue.put(step, (step, number))
            assert item is None or len(lines[item[0]]) == max(map(len, lines.values()))
        if item is not None:
            assert lines[item[0]].popleft() == item
        assert len(queue) == sum(map(len, lines.values())) <= most
        longest = max(map(len, lines.values()), default=0)
        assert queue.oldest() is None if not longest else len(lines[queue.oldest()[0]]) == longest


@given(st.integers(1, 500), st.integers(1, 5))
def test_every_source_is_served_beside_a_flood(flood, others):
    queue: FairQueue[str] = FairQueue(100)
    for index in range(flood):
        queue.put("flood", f"flood{index}")
    for index in range(others):
        queue.put(f"small{index}", f"small{index}")
    first = [queue.take() for _ in range(others + 1)]
    assert Counter(str(item).startswith("small") for item in first)[True] == others


def test_while_few_wait_they_are_served_as_they_came_and_of_more_sources_take_turns():
    queue: LateFairQueue[str] = LateFairQueue(100, 2)
    for item in ("a1", "a2", "a3", "a4", "a5", "b1", "b2"):
        assert queue.put(item[0], item) is None
    assert len(queue) == 7
    assert drained(queue) == ["a1", "a2", "a3", "b1", "a4", "b2", "a5"]


@given(st.lists(st.one_of(st.sampled_from("abc"), st.just("take")), max_size=100))
def test_what_one_source_puts_in_comes_out_in_order(steps):
    queue: LateFairQueue[tuple[str, int]] = LateFairQueue(200, 3)
    out: list[tuple[str, int]] = []
    for number, step in enumerate(steps):
        if step != "take":
            assert queue.put(step, (step, number)) is None
        elif (item := queue.take()) is not None:
            out.append(item)
    while (item := queue.take()) is not None:
        out.append(item)
    for source in "abc":
        assert [item for item in out if item[0] == source] == [(source, n) for n, s in enumerate(steps) if s == source]
