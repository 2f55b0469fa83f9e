"""Calls that change are written in the turn of their change, but only so often between two marks of time."""

from vosd.engine.journal.journal import AT_ONCE_MAX, CallChanges


def written(changes: CallChanges, times: int, *, at_once: bool) -> int:
    """Return how often a call is written that changes so often, in a turn each."""
    count = 0
    for _ in range(times):
        changes.note("call", at_once=at_once)
        count += len([*changes.due()])
    return count


def test_a_call_that_changes_often_is_written_once_and_with_the_next_mark():
    changes = CallChanges()
    assert written(changes, 5, at_once=False) == 1
    assert [*changes.due_at_mark()] == ["call"]
    assert written(changes, 5, at_once=False) == 1


def test_a_change_that_does_not_wait_is_written_though_the_call_was_written_before():
    changes = CallChanges()
    written(changes, 1, at_once=False)
    assert written(changes, 1, at_once=True) == 1
    assert [*changes.due_at_mark()] == []


def test_changes_that_do_not_wait_have_a_limit_too():
    """Requests within calls are unlimited: each accepted offer is such a change."""
    changes = CallChanges()
    assert written(changes, 100, at_once=True) == AT_ONCE_MAX
    assert [*changes.due_at_mark()] == ["call"]
    assert written(changes, 100, at_once=True) == AT_ONCE_MAX
