"""The choice of a RADIUS server, on virtual time."""

from vosd.radius.servers import ChosenServer, DeathRules, ServerChoice

RULES = DeathRules(failures=2, dead_ms=30_000, successes=2)
FIRST, SECOND = ChosenServer(0, is_trial=False), ChosenServer(1, is_trial=False)
TRIAL = ChosenServer(0, is_trial=True)


def asked(choice: ServerChoice, now: int, *before: int) -> ChosenServer | None:
    return choice.next(frozenset(before), now)


def test_servers_are_asked_in_their_order():
    choice = ServerChoice(2, RULES)
    assert asked(choice, 0) == ChosenServer(0, is_trial=False)
    assert asked(choice, 0, 0) == ChosenServer(1, is_trial=False)
    assert asked(choice, 0, 0, 1) is None


def test_a_server_is_out_after_failures_in_a_row():
    choice = ServerChoice(2, RULES)
    assert not choice.failed(FIRST, 0)
    assert not choice.answered(FIRST)
    assert not choice.failed(FIRST, 10)
    assert choice.failed(FIRST, 20)
    assert not choice.failed(FIRST, 30), "it is out already"
    assert choice.dead == [0]
    assert asked(choice, 40) == ChosenServer(1, is_trial=False)


def test_one_request_at_a_time_tries_a_server_that_has_rested_and_two_answers_bring_it_back():
    choice = ServerChoice(2, RULES)
    choice.failed(FIRST, 0)
    choice.failed(FIRST, 0)
    assert asked(choice, 29_999) == ChosenServer(1, is_trial=False)
    assert choice.trials({1}, 29_999) == []
    assert choice.trials({0, 1}, 30_000) == [], "it has not answered this question"
    assert choice.trials({1}, 30_000) == [TRIAL]
    assert choice.trials({1}, 30_000) == [], "one is tried already"
    assert asked(choice, 30_000) == SECOND, "no question waits for it"
    assert not choice.answered(TRIAL)
    assert choice.dead == [0]
    assert choice.trials({1}, 30_001) == [TRIAL]
    assert choice.answered(TRIAL)
    assert asked(choice, 30_002) == ChosenServer(0, is_trial=False)


def test_an_answer_now_and_then_brings_no_server_back():
    choice = ServerChoice(2, RULES)
    choice.failed(FIRST, 0)
    choice.failed(FIRST, 0)
    now = 30_000
    for _ in range(5):
        assert choice.trials({1}, now) == [TRIAL]
        assert not choice.answered(TRIAL)
        assert choice.trials({1}, now) == [TRIAL]
        assert not choice.failed(TRIAL, now)
        assert choice.trials({1}, now + 29_999) == []
        now += 30_000
    assert choice.dead == [0]


def test_while_all_are_out_they_are_tried_each_second():
    choice = ServerChoice(2, RULES)
    for server in (FIRST, FIRST, SECOND, SECOND):
        choice.failed(server, 5_000)
    assert asked(choice, 5_999) is None
    assert asked(choice, 6_000) == ChosenServer(0, is_trial=True)
    assert asked(choice, 6_000, 0) == ChosenServer(1, is_trial=True)
    assert asked(choice, 6_000) is None


def test_a_question_that_was_given_up_says_nothing():
    choice = ServerChoice(1, RULES)
    choice.failed(FIRST, 0)
    choice.failed(FIRST, 0)
    assert asked(choice, 1_000) == ChosenServer(0, is_trial=True)
    choice.put_back(TRIAL)
    assert asked(choice, 1_000) == ChosenServer(0, is_trial=True)


def test_late_answers_to_questions_from_before_its_death_bring_no_server_back():
    choice = ServerChoice(2, RULES)
    for _ in range(5):
        assert asked(choice, 0) == FIRST
    choice.failed(FIRST, 1_000)
    assert choice.failed(FIRST, 1_000)
    assert not choice.answered(FIRST)
    assert not choice.answered(FIRST)
    assert choice.dead == [0]
    assert asked(choice, 30_999) == SECOND
    assert asked(choice, 31_000, 1) == TRIAL, "where the other one has not answered"
    assert not choice.failed(FIRST, 31_000), "nor do late failures make its rest longer, or end the trial"
    choice.put_back(FIRST)
    assert choice.trials({1}, 31_000) == [], "the trial is under way"
    assert not choice.answered(TRIAL)
    assert asked(choice, 31_000, 1) == TRIAL
    assert choice.answered(TRIAL)


def test_a_late_answer_takes_back_failures_and_ends_a_rest():
    choice = ServerChoice(2, RULES)
    choice.failed(FIRST, 0)
    assert not choice.answered_late(FIRST)
    assert not choice.failed(FIRST, 10), "no two in a row"
    assert choice.failed(FIRST, 20)
    assert not choice.answered_late(FIRST)
    assert choice.dead == [0]
    assert choice.trials({1}, 21) == [TRIAL], "without its rest"
    assert not choice.failed(TRIAL, 22)
    assert not choice.answered_late(TRIAL)
    assert choice.answered_late(TRIAL)
    assert choice.dead == []
    assert not choice.answered_late(TRIAL), "it is back already"


def test_an_answer_to_a_question_from_before_its_death_ends_the_rest_of_a_server():
    choice = ServerChoice(1, RULES)
    for _ in range(RULES.failures):
        choice.failed(FIRST, 0)
    assert asked(choice, 1) is None
    assert not choice.answered(FIRST)
    assert choice.dead == [0]
    assert asked(choice, 1) == TRIAL


def test_questions_that_say_nothing_by_their_silence_keep_no_other_from_a_trial():
    choice = ServerChoice(1, RULES)
    choice.failed(FIRST, 0)
    choice.failed(FIRST, 0)
    assert choice.next((), 999, is_doubtful=True) is None
    for _ in range(2):
        assert choice.next((), 1_000, is_doubtful=True) == TRIAL
    assert asked(choice, 1_000) == TRIAL
    assert asked(choice, 1_000) is None
    assert choice.next((), 1_000, is_doubtful=True) == TRIAL


def test_where_no_other_is_in_service_one_answer_lets_all_questions_pass():
    choice = ServerChoice(1, RULES)
    choice.failed(FIRST, 0)
    choice.failed(FIRST, 0)
    assert asked(choice, 1_000) == TRIAL
    assert not choice.answered(TRIAL)
    assert [asked(choice, 1_001) for _ in range(3)] == [TRIAL] * 3
    assert choice.answered(TRIAL)
    assert not choice.answered(TRIAL), "it is back already"
    assert not choice.failed(TRIAL, 1_002)
    assert choice.dead == []
