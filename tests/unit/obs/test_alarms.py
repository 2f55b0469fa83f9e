"""Alarms are raised and cleared by events, on virtual time."""

import io
import json
import re
from pathlib import Path

import pytest
import structlog
from doubles.kept_log import log_as_it_was

from vosd.obs import log
from vosd.obs.alarms import (
    CONFIRMED_DAILY_MS,
    CONFIRMED_MS,
    HISTORY_MAX,
    KINDS,
    PASSES_MS,
    SUBJECTS_MAX,
    WATCHED,
    AlarmChange,
    Alarms,
    Level,
)
from vosd.obs.events import BACK, Event
from vosd.obs.remedies import REMEDIES
from vosd.obs.stream import WAITING_MAX, EventStream, Noted


def told(changes: list[AlarmChange]) -> list[tuple[str, str, bool]]:
    return [(each.alarm.event.value, each.alarm.subject, each.is_raised) for each in changes]


def test_an_alarm_is_raised_once_counts_its_repetitions_and_is_cleared_by_the_event_of_its_end():
    alarms = Alarms()
    assert told(alarms.note("gateway_down", {"gateway": "a"}, 1_000)) == [("gateway_down", "a", True)]
    assert alarms.note("gateway_down", {"gateway": "a", "why": "silence"}, 2_000) == []
    assert told(alarms.note("gateway_down", {"gateway": "b"}, 3_000)) == [("gateway_down", "b", True)]
    (latest, first) = alarms.active()
    assert alarms.counted() == {("gateway_down", "warning"): 2}
    assert (latest.subject, first.subject) == ("b", "a")
    assert (first.since, first.last, first.count, first.text) == (1_000, 2_000, 2, "why: silence")
    assert alarms.note("gateway_up", {"gateway": "c"}, 4_000) == []
    assert told(alarms.note("gateway_up", {"gateway": "a"}, 5_000)) == [("gateway_down", "a", False)]
    assert [each.subject for each in alarms.active()] == ["b"]
    (ended,) = alarms.history()
    assert (ended.subject, ended.cleared_at, ended.count) == ("a", 5_000, 2)


def test_definitions_are_outdated_until_they_are_read_also_by_the_next_start():
    alarms = Alarms()
    alarms.note("definitions_outdated", {"why": "Access denied"}, 0)
    again = Alarms()
    again.restore(alarms.kept(), 1)
    assert again.note("configuration_loaded", {}, 2) == [], "a reload that could not read them"
    assert told(again.note("definitions_read", {}, 3)) == [("definitions_outdated", "", False)]


def test_one_event_ends_every_alarm_that_it_is_the_opposite_of_for_the_same_subject():
    alarms = Alarms()
    for event, part in (("database_away", "booking"), ("database_damaged", "booking"), ("database_away", "lease")):
        alarms.note(event, {"part": part}, 0)
    assert told(alarms.note("database_back", {"part": "booking"}, 1)) == [
        ("database_away", "booking", False),
        ("database_damaged", "booking", False),
    ]
    assert [each.subject for each in alarms.active()] == ["lease"]


def test_the_rest_of_one_address_for_one_customer_is_an_alarm_of_its_own():
    alarms = Alarms()
    for facts in ({}, {"customer": "acme"}):
        alarms.note("gateway_resting", {"gateway": "a", "address": "192.0.2.1:5060", **facts}, 0)
    assert [each.subject for each in alarms.active()] == ["a 192.0.2.1:5060", "a 192.0.2.1:5060 acme"]
    assert len(alarms.note("gateway_well", {"gateway": "a", "address": "192.0.2.1:5060"}, 1)) == 1


def test_a_report_passes_when_it_is_not_repeated_and_a_state_does_not():
    alarms = Alarms()
    alarms.note("auth_lockout", {"source": "192.0.2.66"}, 0)
    alarms.note("gateway_down", {"gateway": "a"}, 0)
    alarms.note("auth_lockout", {"source": "192.0.2.66"}, 1_000)
    assert alarms.expire(PASSES_MS + 999) == []
    assert told(alarms.expire(PASSES_MS + 1_000)) == [("auth_lockout", "192.0.2.66", False)]
    assert [each.event for each in alarms.active()] == [Event.GATEWAY_DOWN]


def test_reports_and_alarms_of_before_the_start_pass_as_soon_where_the_clock_was_years_ahead():
    years = 10 * 366 * 86_400_000
    before = Alarms()
    before.note("gateway_down", {"gateway": "a"}, 1)
    alarms = Alarms()
    alarms.restore(before.kept(), years)
    alarms.await_causes(years, {})
    alarms.note("auth_lockout", {"source": "192.0.2.66"}, years)
    assert [alarms.expire(2_000), alarms.expire(2_000 + CONFIRMED_MS - 1)] == [[], []]
    assert [each.last for each in alarms.active() if each.event is Event.AUTH_LOCKOUT] == [2_000]
    assert told(alarms.expire(2_000 + CONFIRMED_MS)) == [("gateway_down", "a", False)]
    assert told(alarms.expire(2_000 + PASSES_MS)) == [("auth_lockout", "192.0.2.66", False)]


def test_the_most_urgent_alarm_is_first():
    alarms = Alarms()
    alarms.note("lease_lost", {}, 0)
    alarms.note("caller_blacklisted", {"gateway": "a", "caller": "44"}, 1)
    alarms.note("gateway_down", {"gateway": "a"}, 2)
    assert [each.level for each in alarms.active()] == [Level.CRITICAL, Level.WARNING, Level.INFO]


def test_levels_are_changed_also_of_alarms_that_hold_and_one_that_is_off_is_cleared_and_not_raised():
    alarms = Alarms()
    alarms.note("gateway_down", {"gateway": "a"}, 5)
    assert alarms.set_levels({Event.GATEWAY_DOWN: Level.CRITICAL}) == []
    assert [each.level for each in alarms.active()] == [Level.CRITICAL]
    assert told(alarms.set_levels({Event.GATEWAY_DOWN: Level.OFF})) == [("gateway_down", "a", False)]
    assert alarms.note("gateway_down", {"gateway": "a"}, 6) == []
    assert alarms.active() == []


def test_a_scanner_fills_neither_the_list_nor_the_history_and_hides_no_other_alarm():
    alarms = Alarms()
    for number in range(2 * SUBJECTS_MAX):
        alarms.note("auth_lockout", {"source": f"192.0.2.{number}"}, 0)
    assert len(alarms.active()) == SUBJECTS_MAX
    assert alarms.left_out() == {Event.AUTH_LOCKOUT: SUBJECTS_MAX}
    assert told(alarms.note("gateway_down", {"gateway": "a"}, 0)) == [("gateway_down", "a", True)]
    for number in range(2 * HISTORY_MAX):
        alarms.note("gateway_down", {"gateway": str(number)}, 0)
        alarms.note("gateway_up", {"gateway": str(number)}, 0)
    assert len(alarms.history()) == HISTORY_MAX


def test_what_was_left_out_is_forgotten_once_half_of_the_alarms_are_over():
    alarms = Alarms()
    for number in range(SUBJECTS_MAX + 3):
        alarms.note("gateway_down", {"gateway": str(number)}, 0)
    for number in range(SUBJECTS_MAX // 2):
        assert alarms.left_out() == {Event.GATEWAY_DOWN: 3}
        alarms.note("gateway_up", {"gateway": str(number)}, 0)
    assert alarms.left_out() == {}
    assert told(alarms.note("gateway_down", {"gateway": "another"}, 0)) == [("gateway_down", "another", True)]
    assert alarms.left_out() == {}


def test_what_a_caller_sends_is_shown_as_one_line_without_control_characters():
    alarms = Alarms()
    facts = {"gateway": "a", "caller": "44\x1b[2J\n\udcff", "cause": "x" * 1_000}
    (change,) = alarms.note("caller_blacklisted", facts, 0)
    assert change.alarm.subject == r"a 44\x1b[2J\n\udcff"
    assert len(change.alarm.text) < 400


def test_the_advice_behind_the_words_of_a_database_server_is_shown_and_the_mark_of_a_traceback_is_not():
    error = (
        "mysql+aiomysql://vosd@db1.example.com:3306/vosd (database.url): (pymysql.err.OperationalError) (1290, 'The "
        "MariaDB server is running with the --read-only option so it cannot execute this statement'): this server "
        "takes no changes: make it the primary, or have database.url lead to the one that is"
    )
    (change,) = Alarms().note("database_away", {"part": "booking", "error": error}, 0)
    assert change.alarm.text == f"error: {error}"
    (change,) = Alarms().note("reload_refused", {"why": "a fault of the program", "exc_info": True}, 0)
    assert change.alarm.text == "why: a fault of the program"


def test_names_in_the_facts_of_an_alarm_have_commas_between_them():
    facts = {"peer": "198.51.100.7:5060", "gateways": ["north-1", "north-2"], "unanswered": 1}
    (change,) = Alarms().note("bye_unanswered", facts, 0)
    assert change.alarm.text == "gateways: north-1, north-2, unanswered: 1"


def test_every_bad_state_is_an_alarm_that_its_opposite_clears_with_the_same_facts():
    assert set(BACK) <= set(KINDS)
    for raised, back in BACK.items():
        alarms = Alarms()
        alarms.set_levels({raised: Level.INFO})
        facts = dict.fromkeys(KINDS[raised].subject, "it")
        assert len(alarms.note(raised.value, facts, 0)) == 1
        assert told(alarms.note(back.value, facts, 1)) == [(raised.value, " ".join(facts.values()), False)]


@pytest.fixture
def quiet_log():
    """A log that writes errors alone."""
    written = io.StringIO()
    with log_as_it_was():
        log.configure("error", written)
        log.events.taken()
        yield written
        log.events.taken()


def test_events_reach_the_alarms_whatever_the_level_of_the_log(quiet_log):
    logger = structlog.get_logger()
    logger.info(Event.GATEWAY_UP, gateway="a")
    logger.warning(Event.GATEWAY_DOWN.value, gateway="a")
    logger.warning("something_else", gateway="a")
    logger.error(Event.LEASE_LOST, why="another switch")
    assert [(each.event, dict(each.facts)) for each in log.events.taken()] == [
        ("gateway_up", {"gateway": "a"}),
        ("gateway_down", {"gateway": "a"}),
        ("lease_lost", {"why": "another switch"}),
    ]
    assert log.events.taken() == []
    (line,) = quiet_log.getvalue().splitlines()
    assert json.loads(line)["event"] == "lease_lost"


def test_events_that_are_not_taken_do_not_fill_the_memory():
    stream = EventStream()
    for number in range(WAITING_MAX + 5):
        stream.put(Noted("gateway_down", {}, number))
    assert [each.at for each in stream.taken()][:1] == [5]


def test_the_operator_finds_every_alarm_with_its_level_and_what_to_do():
    page = (Path(__file__).parents[3] / "docs/operations/alarms.md").read_text()
    entries = re.findall(r"^### (.+)\n\*\*([a-z]+)\*\*", page, re.MULTILINE)
    levels = {name: level for heading, level in entries for name in re.findall("`([a-z_]+)`", heading)}
    assert levels == {event.value: kind.level.value for event, kind in KINDS.items()}


def test_every_alarm_has_one_runbook_which_says_how_it_ends():
    page = (Path(__file__).parents[3] / "docs/operations/alarms.md").read_text()
    entries = [each.partition("\n## ")[0].partition("\n") for each in page.split("\n### ")[1:]]
    named = [Event(name) for heading, _, _ in entries for name in re.findall("`([a-z_]+)`", heading)]
    assert sorted(named) == sorted(KINDS)
    for heading, _, text in entries:
        assert len(text.split()) > 15, heading
        ends = {BACK[event].value for event in map(Event, re.findall("`([a-z_]+)`", heading)) if event in BACK}
        assert ends <= set(re.findall("`([a-z_]+)`", text)), heading
        has_no_end = [event for event in map(Event, re.findall("`([a-z_]+)`", heading)) if KINDS[event].stands]
        assert ends or "asses" in text or (has_no_end and "confirms it" in text), heading


def test_what_an_operator_did_is_no_alarm():
    assert not {Event.OVERRIDE_SET, Event.OVERRIDE_ENDED, Event.CALL_NOT_CONTINUED} & WATCHED


def test_every_alarm_says_what_to_do_in_one_line():
    assert list(REMEDIES) == list(KINDS)
    assert all(10 < len(text) < 160 for text in REMEDIES.values())


def test_a_line_of_an_alarm_has_the_level_of_the_alarm():
    with log_as_it_was():
        written = io.StringIO()
        log.configure("info", written)
        try:
            for event in ("lease_lost", "session_refresh_failed", "gateway_down", "gateway_up"):
                structlog.get_logger().warning(event, gateway="a")
            log.set_alarm_levels({Event.GATEWAY_DOWN: Level.CRITICAL})
            structlog.get_logger().warning("gateway_down", gateway="a")
        finally:
            log.set_alarm_levels({})
            log.events.taken()
        levels = [json.loads(line)["level"] for line in written.getvalue().splitlines()]
    assert levels == ["error", "info", "warning", "warning", "error"]


def test_an_alarm_is_confirmed_until_it_begins_again():
    alarms = Alarms()
    alarms.note("gateway_down", {"gateway": "a"}, 1)
    assert alarms.confirm(Event.GATEWAY_DOWN, "b", "ann", None, None) is None
    confirmed = alarms.confirm(Event.GATEWAY_DOWN, "a", "ann", "the vendor knows", None)
    assert (confirmed.confirmed_by, confirmed.note) == ("ann", "the vendor knows")
    alarms.note("gateway_down", {"gateway": "a"}, 2)
    assert alarms.active()[0].confirmed_by == "ann"
    alarms.note("gateway_up", {"gateway": "a"}, 3)
    assert alarms.history()[0].note == "the vendor knows"
    (again,) = alarms.note("gateway_down", {"gateway": "a"}, 4)
    assert (again.alarm.confirmed_by, again.alarm.is_held_back) == (None, False)


def test_an_alarm_whose_cause_is_looked_at_once_a_day_is_kept_over_a_restart_until_it_was_looked_at():
    alarms = Alarms()
    alarms.note("ledger_differs", {"count": 3}, 1)
    alarms.note("nightly_failed", {"work": "minimum"}, 1)
    alarms.note("gateway_down", {"gateway": "a"}, 1)
    restarted = Alarms()
    restarted.restore(alarms.kept(), 2)
    restarted.await_causes(2, {})
    assert [each.alarm.event for each in restarted.expire(2 + CONFIRMED_MS)] == [Event.GATEWAY_DOWN]
    (agreed,) = restarted.note("ledger_agrees", {}, 2 + 86_400_000)
    assert (agreed.is_raised, agreed.alarm.event) == (False, Event.LEDGER_DIFFERS)
    assert [each.alarm.subject for each in restarted.expire(2 + CONFIRMED_DAILY_MS)] == ["minimum"]


def test_an_alarm_about_lost_payments_holds_over_restarts_until_it_is_confirmed():
    alarms = Alarms()
    alarms.note("payments_lost", {"lost_at": "noon", "accounts": 2, "less": "7.00 EUR"}, 1)
    alarms.note("gateway_down", {"gateway": "a"}, 1)
    assert alarms.note("database_mended", {}, 2) == []
    restarted = Alarms()
    restarted.restore(alarms.kept(), 3)
    restarted.await_causes(3, {})
    assert [each.alarm.event for each in restarted.expire(3 + 10 * CONFIRMED_DAILY_MS)] == [Event.GATEWAY_DOWN]
    (alarm,) = restarted.active()
    assert (alarm.subject, alarm.text) == ("noon", "accounts: 2, less: 7.00 EUR")
    restarted.confirm(Event.PAYMENTS_LOST, "noon", "ann", "booked again", None)
    assert restarted.end_standing(Event.PAYMENTS_LOST, "night", 4) == []
    assert told(restarted.end_standing(Event.PAYMENTS_LOST, "noon", 4)) == [("payments_lost", "noon", False)]
    assert ([*restarted.active()], restarted.history()[0].confirmed_by) == ([], "ann")


def test_alarms_of_before_a_start_wait_for_their_causes_from_its_end_on_and_some_of_them_longer():
    alarms = Alarms()
    for gateway in ("a", "b", "c"):
        alarms.note("gateway_down", {"gateway": gateway}, 1)
    restarted = Alarms()
    restarted.restore(alarms.kept(), 2)
    assert restarted.expire(2 + 10 * CONFIRMED_MS) == [], "the start goes on: no cause can report"
    end = 2 + 10 * CONFIRMED_MS
    restarted.await_causes(end, {(Event.GATEWAY_DOWN, "b"): 1_000})
    restarted.note("gateway_down", {"gateway": "c"}, end + 1)
    assert [each.alarm.subject for each in restarted.expire(end + CONFIRMED_MS)] == ["a"]
    assert restarted.expire(end + CONFIRMED_MS + 999) == []
    assert [each.alarm.subject for each in restarted.expire(end + CONFIRMED_MS + 1_000)] == ["b"]
    assert [each.subject for each in restarted.active()] == ["c"]


def test_an_alarm_whose_cause_a_start_has_found_over_is_cleared_at_once_unless_it_was_reported_since():
    alarms = Alarms()
    for part in ("lease", "balances"):
        alarms.note("database_away", {"part": part}, 1)
    alarms.note("gateway_down", {"gateway": "a"}, 1)
    restarted = Alarms()
    restarted.restore(alarms.kept(), 2)
    restarted.note("database_away", {"part": "balances"}, 3)
    restarted.await_causes(4, {})
    assert restarted.expire(4) == []
    restarted.await_no_longer(Event.DATABASE_AWAY, 4)
    assert told(restarted.expire(4)) == [("database_away", "lease", False)]
    assert sorted(each.subject for each in restarted.active()) == ["a", "balances"]


def test_an_alarm_that_begins_again_while_it_is_silent_is_held_back_until_then():
    alarms = Alarms()
    alarms.note("gateway_down", {"gateway": "a"}, 1)
    alarms.confirm(Event.GATEWAY_DOWN, "a", "ann", None, 100)
    (ended,) = alarms.note("gateway_up", {"gateway": "a"}, 3)
    assert not ended.alarm.is_held_back, "its beginning was delivered, so its end is, too"
    restarted = Alarms()
    restarted.restore(alarms.kept(), 4)
    (again,) = restarted.note("gateway_down", {"gateway": "a"}, 5)
    assert again.alarm.is_held_back
    assert restarted.note("gateway_down", {"gateway": "b"}, 6)[0].alarm.is_held_back is False
    assert restarted.no_longer_silent(99) == []
    (late,) = restarted.no_longer_silent(100)
    assert (late.is_raised, late.alarm.subject, late.alarm.is_held_back) == (True, "a", False)
    assert restarted.no_longer_silent(101) == []
    restarted.note("gateway_up", {"gateway": "a"}, 102)
    (anew,) = restarted.note("gateway_down", {"gateway": "a"}, 103)
    assert not anew.alarm.is_held_back


def test_a_silence_that_was_lifted_stays_so_over_a_restart():
    alarms = Alarms()
    for name, at in (("gateway_down", 1), ("gateway_up", 3), ("gateway_down", 4), ("gateway_up", 6)):
        alarms.note(name, {"gateway": "a"}, at)
        if name == "gateway_down":
            alarms.confirm(Event.GATEWAY_DOWN, "a", "ann", None, 100 if at == 1 else None)
    restarted = Alarms()
    restarted.restore(alarms.kept(), 7)
    (again,) = restarted.note("gateway_down", {"gateway": "a"}, 8)
    assert (again.alarm.is_held_back, again.alarm.silent_until) == (False, None)


def test_an_account_that_expires_is_one_alarm_that_is_delivered_at_each_stage_and_not_again_by_a_restart():
    def report(at: int, days: int, alarms: Alarms) -> list[tuple[str, str, bool]]:
        return told(alarms.note("account_expires", {"account": "acme", "days": days}, at))

    alarms, raised = Alarms(), [("account_expires", "acme", True)]
    assert report(0, 7, alarms) == raised
    assert report(1, 7, alarms) == []
    again = Alarms()
    again.restore(alarms.kept(), 2)
    assert report(3, 7, again) == []
    assert report(4, 3, again) == raised
    again.confirm(Event.ACCOUNT_EXPIRES, "acme", "ann", None, silent_until=9)
    assert report(5, 1, again) == []
    (held,) = again.active()
    assert (held.since, held.count, held.text, held.is_held_back) == (0, 5, "days: 1", False)
    assert told(again.note("account_expiry_over", {"account": "acme"}, 6)) == [("account_expires", "acme", False)]


def test_what_begins_and_ends_while_it_is_silent_is_delivered_to_no_one():
    alarms = Alarms()
    alarms.note("gateway_down", {"gateway": "a"}, 1)
    alarms.confirm(Event.GATEWAY_DOWN, "a", "ann", None, 100)
    alarms.note("gateway_up", {"gateway": "a"}, 2)
    changes = [*alarms.note("gateway_down", {"gateway": "a"}, 3), *alarms.note("gateway_up", {"gateway": "a"}, 4)]
    assert [each.alarm.is_held_back for each in changes] == [True, True]
    alarms.note("gateway_down", {"gateway": "a"}, 5)
    alarms.confirm(Event.GATEWAY_DOWN, "a", "ann", None, None)
    assert [each.alarm.subject for each in alarms.no_longer_silent(6)] == ["a"]


def test_the_console_leads_to_the_subject_of_each_alarm_that_has_a_page():
    table = (Path(__file__).parents[3] / "console/src/parts/subject.tsx").read_text()
    leads = dict(re.findall(r'^  ([a-z_]+): "([a-z]+)",$', table, re.MULTILINE))
    by_fact = {"gateway": {"gateway"}, "customer": {"gateway"}, "account": {"account"}, "call_id": {"call"}}
    by_fact |= {"calendar": {"calendar"}, "report": {"report"}, "source": {"source", "search"}}
    by_fact |= {"peer": {"search"}, "username": {"search"}, "name": {"gateway", "phone", "search"}}
    expected = {
        event.value: by_fact[kind.subject[0]] for event, kind in KINDS.items() if set(kind.subject[:1]) & {*by_fact}
    }
    assert leads.keys() == expected.keys()
    assert [name for name, lead in leads.items() if lead not in expected[name]] == []
