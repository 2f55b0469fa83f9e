"""When the next gateway is tried, and what the caller is sent in the end."""

import pytest
from doubles.data.builders import routing_gateway

from vosd.base.cause import EndReason
from vosd.routing.failover import AttemptOutcome, Verdict, tries_next, verdict

final, silent, ring_timeout = AttemptOutcome.final, AttemptOutcome.silent, AttemptOutcome.ring_timeout
unreachable = AttemptOutcome.unreachable
PLAIN = routing_gateway("carrier")


@pytest.mark.parametrize("code", [401, 402, 403, 404, 407, 408, 428, 436, 437, 438, 480, 488, 500, 503, 504, 580, 599])
def test_next_gateway_is_tried_after(code):
    assert tries_next(PLAIN, final(code))


@pytest.mark.parametrize("code", [300, 302, 400, 410, 415, 484, 486, 487, 491, 600, 603, 604, 606])
def test_search_stops_at(code):
    assert not tries_next(PLAIN, final(code))


def test_final_code_after_ringing_follows_the_same_rule():
    assert tries_next(PLAIN, final(503, rang=True))
    assert not tries_next(PLAIN, final(486, rang=True))


def test_silent_gateway_is_followed_by_the_next():
    assert tries_next(PLAIN, silent())
    assert tries_next(PLAIN, unreachable())


def test_ring_timeout_stops_the_search_once_it_rang():
    assert tries_next(PLAIN, ring_timeout(rang=False))
    assert not tries_next(PLAIN, ring_timeout(rang=True))
    assert tries_next(routing_gateway("carrier", failover_after_ringing=True), ring_timeout(rang=True))


def test_gateways_own_codes_replace_the_default_but_not_the_rule_for_silence():
    own = routing_gateway("carrier", failover_codes=frozenset({486}))
    assert tries_next(own, final(486))
    assert not tries_next(own, final(503))
    assert tries_next(own, silent())


def test_a_cause_of_the_gateway_leads_to_the_next_whatever_the_code_is():
    """As 34, no circuit available, behind a 486."""
    own = routing_gateway("carrier", failover_causes=frozenset({34}))
    assert tries_next(own, final(486, q850=34))
    assert not tries_next(own, final(486, q850=17))
    assert not tries_next(own, final(486))
    assert tries_next(own, final(503, q850=17)), "the codes still count"


def test_a_cause_can_stop_the_search_whatever_the_code_is():
    """As 1, unallocated number, behind a 503; it comes before the causes and codes that go on."""
    own = routing_gateway("carrier", stop_causes=frozenset({1, 17}), failover_causes=frozenset({17}))
    assert not tries_next(own, final(503, q850=1))
    assert not tries_next(own, final(503, q850=17))
    assert tries_next(own, final(503, q850=41))


def test_no_other_gateway_is_tried_once_it_rang_where_the_gateway_says_so():
    own = routing_gateway("carrier", stop_after_ringing=True, failover_after_ringing=True)
    assert not tries_next(own, final(503, rang=True))
    assert not tries_next(own, ring_timeout(rang=True))
    assert tries_next(own, final(503))
    assert tries_next(own, ring_timeout(rang=False))


def test_no_other_gateway_is_tried_once_there_was_early_media_where_the_gateway_says_so():
    own = routing_gateway("carrier", stop_after_early_media=True, failover_after_ringing=True)
    assert not tries_next(own, final(503, rang=True, had_media=True))
    assert not tries_next(own, ring_timeout(rang=True, had_media=True))
    assert tries_next(own, final(503, rang=True))
    assert tries_next(PLAIN, final(503, rang=True, had_media=True))


@pytest.mark.parametrize(
    ("outcome", "reason", "status"),
    [
        (final(486), EndReason.BUSY, 486),
        (final(600), EndReason.BUSY, 600),
        (ring_timeout(rang=True), EndReason.NO_ANSWER, 480),
        (ring_timeout(rang=False), EndReason.NO_ANSWER, 480),
        (silent(), EndReason.NO_ANSWER, 408),
        (unreachable(), EndReason.UNREACHABLE, 503),
        (final(403), EndReason.REJECTED, 403),
        (final(603), EndReason.REJECTED, 603),
        (final(607), EndReason.REJECTED, 607),
        (final(608), EndReason.REJECTED, 608),
        (final(404), EndReason.NOT_FOUND, 404),
        (final(410), EndReason.NOT_FOUND, 410),
        (final(604), EndReason.NOT_FOUND, 604),
        (final(480), EndReason.UNAVAILABLE, 480),
        (final(488), EndReason.UNAVAILABLE, 488),
        (final(503), EndReason.UNAVAILABLE, 503),
        (final(606), EndReason.UNAVAILABLE, 606),
        (final(300), EndReason.UNAVAILABLE, 480),
        (final(302), EndReason.UNAVAILABLE, 480),
        (final(401), EndReason.UNAVAILABLE, 503),
        (final(402), EndReason.UNAVAILABLE, 503),
        (final(407), EndReason.UNAVAILABLE, 503),
        *((final(code), EndReason.UNAVAILABLE, 503) for code in (420, 421, 422, 423, 489, 494)),
        (final(400), EndReason.UNAVAILABLE, 400),
        (final(399), EndReason.UNAVAILABLE, 480),
    ],
)
def test_the_status_for_the_caller_after_a_single_attempt(outcome, reason, status):
    assert verdict([outcome])[:2] == (reason, status)


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (silent(), 102),
        (unreachable(), 38),
        (ring_timeout(rang=False), 18),
        (ring_timeout(rang=True), 19),
        (final(480), None),
        (final(480, q850=20), 20),
    ],
)
def test_the_cause_says_whether_it_was_silent_unreachable_or_rang(outcome, cause):
    """RFC 3398 section 8.2.6.1; cause 19 is for a party that was alerted (Q.850)."""
    assert verdict([outcome]).q850 == cause


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([final(503), final(486)], Verdict(EndReason.BUSY, 486)),
        ([silent(), final(403), final(404), final(503)], Verdict(EndReason.NO_ANSWER, 408, 102)),
        ([unreachable(), silent(), unreachable()], Verdict(EndReason.NO_ANSWER, 408, 102)),
        ([final(500), unreachable()], Verdict(EndReason.UNAVAILABLE, 500)),
        ([final(404), final(403)], Verdict(EndReason.REJECTED, 403)),
        ([final(404), final(500)], Verdict(EndReason.NOT_FOUND, 404)),
        ([final(500), final(480)], Verdict(EndReason.UNAVAILABLE, 480)),
        ([final(480), final(407)], Verdict(EndReason.UNAVAILABLE, 503)),
        ([silent(), ring_timeout(rang=True)], Verdict(EndReason.NO_ANSWER, 480, 19)),
    ],
)
def test_the_most_specific_reason_wins_and_within_it_the_last_code(outcomes, expected):
    assert verdict(outcomes) == expected


def test_call_without_attempt_has_no_verdict():
    with pytest.raises(ValueError, match="at least one attempt"):
        verdict([])
