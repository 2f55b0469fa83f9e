"""Calls that change are written in the turn of their change, but only so often between two marks of time."""

from vosd.engine.journal.journal import AT_ONCE_MAX, CHANGED_AT_ONCE, CallChanges


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


def test_calls_that_change_together_are_written_in_several_turns_and_the_latest_change_first():
    """One REGISTER moves all calls of a PBX: to describe a thousand takes 0.1 s."""
    changes = CallChanges()
    calls = [f"call {number}" for number in range(3 * CHANGED_AT_ONCE)]
    for each in calls:
        changes.note(each, at_once=False)
    found = [*changes.due()]
    changes.note(calls[0], at_once=False)
    turns = [len(found)]
    while turn := [*changes.due()]:
        found += turn
        turns.append(len(turn))
    assert turns == [CHANGED_AT_ONCE] * 3
    assert sorted(found) == sorted(calls)
    assert found[CHANGED_AT_ONCE] == calls[0]


def test_no_more_calls_are_written_with_a_mark_than_in_one_turn():
    changes = CallChanges()
    calls = [f"call {number}" for number in range(CHANGED_AT_ONCE + 1)]
    for _ in range(2):
        for each in calls:
            changes.note(each, at_once=False)
        while [*changes.due()]:
            pass
    assert len([*changes.due_at_mark()]) == CHANGED_AT_ONCE
    assert len([*changes.due()]) == 1
