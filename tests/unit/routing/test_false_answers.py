"""Signs of false answers, counted by gateway and destination over an hour of virtual time."""

import pytest

from vosd.routing.false_answers import (
    SLICE_MS,
    SLICES,
    WHOLE,
    AnsweredCall,
    AnswerFigures,
    FalseAnswers,
    ShortCallTerms,
    is_unrung,
)

TERMS = ShortCallTerms(percent=50, min_calls=4)


class Counted:
    """Calls that end one after the other."""

    def __init__(self, terms=TERMS, **limits):
        self.answers = FalseAnswers(**limits)
        self.answers.adjust(terms, {"a", "b"})
        self.now = 10_000_000

    def call(self, talk_s, *, gateway="a", destination="44", ring_ms=2_000, answer_ms=7_000, parties=None, wait_s=60):
        self.now += 1_000 * wait_s + answer_ms + round(1_000 * talk_s)
        caller, callee = parties or (str(self.now), "4420")
        call = AnsweredCall(gateway, destination, caller, callee, ring_ms, answer_ms, round(1_000 * talk_s))
        self.answers.note(call, self.now)

    def found(self):
        return [(each.gateway, each.destination) for each in self.answers.look(self.now)]


@pytest.mark.parametrize(
    ("ring_ms", "answer_ms", "unrung"),
    [(None, 5_000, True), (5_000, 5_000, True), (200, 900, True), (200, 5_000, False)],
)
def test_an_answer_needs_ringing_before_and_time(ring_ms, answer_ms, unrung):
    assert is_unrung(ring_ms, answer_ms) is unrung


def test_each_sign_is_counted_for_the_destination_and_for_the_whole_gateway():
    counted = Counted()
    counted.call(3, ring_ms=None, answer_ms=4_200)
    counted.call(60, answer_ms=4_900)  # after the same number of whole seconds
    counted.call(60, destination="33", answer_ms=9_000)
    assert counted.answers.figures("a", "44", counted.now) == AnswerFigures(2, 1, 1, 1, 0)
    assert counted.answers.figures("a", WHOLE, counted.now) == AnswerFigures(3, 1, 1, 1, 0)
    assert counted.answers.figures("b", WHOLE, counted.now) == AnswerFigures()


def test_a_pair_that_talks_again_at_once_speaks_against_the_short_call_before():
    counted = Counted()
    parties = ("1001", "4420")
    counted.call(3, parties=parties)
    counted.call(300, gateway="b", parties=parties, wait_s=30)
    counted.call(3, parties=parties, wait_s=10)  # the one before was not short
    counted.call(300, parties=parties, wait_s=31)  # too late
    assert counted.answers.figures("a", "44", counted.now).again == 1
    assert counted.answers.figures("b", "44", counted.now).again == 0


def test_too_many_short_calls_are_found_and_end_with_a_margin():
    counted = Counted()
    for talk_s in (3, 60, 3):
        counted.call(talk_s)
    assert counted.found() == []  # too few calls
    counted.call(60)
    assert counted.found() == [("a", WHOLE), ("a", "44")]
    counted.call(60)  # 40 percent
    assert counted.found() == []
    counted.call(3)
    assert counted.found() == [("a", WHOLE), ("a", "44")]
    counted.call(3)
    counted.call(60)
    counted.call(60)
    counted.call(3)
    counted.call(60)  # 5 of 11
    assert counted.found() == [("a", WHOLE), ("a", "44")]  # not a tenth below the limit
    counted.call(60)
    assert counted.found() == []


def test_the_margin_is_for_what_was_found_before_alone():
    counted = Counted()
    for talk_s in (3, 60, 60, 3, 60, 3, 60, 3, 60, 3, 60):
        counted.call(talk_s)
    assert counted.found() == []  # 5 of 11


def test_each_quarter_of_an_hour_is_forgotten_for_itself():
    counted = Counted()
    counted.now = SLICES * SLICE_MS
    counted.call(3)
    counted.call(3, wait_s=(SLICES - 1) * SLICE_MS // 1_000)
    ages = [counted.answers.figures("a", "44", counted.now + later).answered for later in (0, SLICE_MS)]
    assert ages == [2, 1]


def test_what_is_older_than_an_hour_does_not_count_and_a_gateway_is_tried_again():
    counted = Counted(ShortCallTerms(percent=50, min_calls=4, rest=True))
    for _ in range(4):
        counted.call(3)
    counted.found()
    assert counted.answers.resting == {"a": "too many of its answered calls are short"}
    resting = counted.answers.resting
    counted.now += (SLICES + 1) * SLICE_MS
    assert counted.found() == []
    assert resting == {}  # the same mapping, which routing has
    assert counted.answers.figures("a", WHOLE, counted.now) == AnswerFigures()


def test_only_a_gateway_that_is_bad_as_a_whole_rests_and_only_if_that_is_wanted():
    counted = Counted(ShortCallTerms(percent=50, min_calls=4, rest=True))
    for _ in range(4):
        counted.call(3)
        counted.call(60, destination="33")
        counted.call(60, destination="33")
    assert counted.found() == [("a", "44")]
    assert counted.answers.resting == {}
    counted.answers.adjust(TERMS, {"a", "b"})
    for _ in range(8):
        counted.call(3)
    assert ("a", WHOLE) in counted.found()
    assert counted.answers.resting == {}


def test_memory_is_bounded_and_gateways_that_are_gone_are_forgotten():
    counted = Counted(rows_max=4, pairs_max=3)
    for number in range(10):
        counted.call(3, destination=str(number))
    assert len(counted.answers) == 4
    assert counted.answers.figures("a", WHOLE, counted.now).answered == 10
    counted.answers.adjust(TERMS, {"b"})
    assert len(counted.answers) == 0
    counted.call(3)
    counted.answers.adjust(ShortCallTerms(), {"a"})
    assert len(counted.answers) == 0
