"""Addresses at which calls fail in a row: when they rest, for how long, and what brings them back."""

import pytest

from vosd.routing.breaker import (
    CIRCUITS_MAX,
    PROBE_MS,
    REFUSALS,
    REFUSED,
    REST_MAX_MS,
    REST_MS,
    SILENCES,
    SILENT,
    UNREACHED,
    BreakerPlace,
    Breakers,
    Circuit,
    counts_as_failure,
)
from vosd.routing.routes import Cause

PLACE = BreakerPlace("carrier", "203.0.113.1", 5060)
NOW = 50_000


@pytest.fixture
def breakers():
    return Breakers()


def fail(breakers, times=1, *, at=NOW, began=None, is_silent=True, place=PLACE):
    for _ in range(times):
        breakers.failed(place, is_silent=is_silent, began_ms=at - 5_000 if began is None else began, mono_ms=at)


def test_an_address_rests_after_so_many_silences_in_a_row_and_not_before(breakers):
    fail(breakers, SILENCES - 1)
    assert (breakers.remaining_ms(PLACE, NOW), breakers.resting) == (0, {})
    fail(breakers)
    assert (breakers.remaining_ms(PLACE, NOW), breakers.resting) == (REST_MS, {"carrier": 1})


def undelivered(breakers, times, *, at=NOW):
    for _ in range(times):
        breakers.failed(PLACE, is_silent=True, is_undelivered=True, began_ms=at, mono_ms=at)


def test_a_rest_of_an_address_that_nothing_listens_at_says_so(breakers):
    undelivered(breakers, SILENCES)
    assert breakers.reason(PLACE) == UNREACHED


def test_a_rest_after_one_call_that_was_waited_for_is_of_silence(breakers):
    undelivered(breakers, SILENCES - 1)
    fail(breakers)
    assert breakers.reason(PLACE) == SILENT


def test_probes_that_cannot_be_delivered_change_the_reason_of_a_rest(breakers):
    fail(breakers, SILENCES)
    undelivered(breakers, SILENCES - 1, at=NOW + 60_000)
    assert breakers.reason(PLACE) == SILENT
    undelivered(breakers, 1, at=NOW + 120_000)
    assert breakers.reason(PLACE) == UNREACHED
    fail(breakers, at=NOW + 300_000)
    assert breakers.reason(PLACE) == SILENT


def doubtful(breakers, times, payer="acme"):
    for _ in range(times):
        breakers.failed(PLACE._replace(payer=payer), is_silent=True, began_ms=NOW, mono_ms=NOW, is_doubtful=True)


def test_failures_of_one_payer_that_may_be_of_its_numbers_are_a_rest_for_its_calls_alone(breakers):
    doubtful(breakers, SILENCES)
    of_payer, other = (PLACE._replace(payer=name) for name in ("acme", "bingo"))
    assert [breakers.remaining_ms(each, NOW) for each in (of_payer, other, PLACE)] == [REST_MS, 0, 0]
    assert [breakers.reason(each) for each in (of_payer, other, PLACE)] == [SILENT, "", ""]
    assert breakers.resting_of("carrier", NOW) == [of_payer]
    assert breakers.resting_of("carrier", NOW + REST_MS) == breakers.resting_of("other", NOW) == []
    breakers.succeeded(of_payer, NOW + 1)
    assert (breakers.remaining_ms(of_payer, NOW), breakers.resting) == (0, {})


def test_failures_of_several_payers_are_those_of_the_address(breakers):
    for payer in ("acme", "bingo") * SILENCES:
        doubtful(breakers, 1, payer)
    assert breakers.remaining_ms(PLACE, NOW) == REST_MS


def test_failures_that_no_number_explains_are_counted_for_all_payers_at_once(breakers):
    fail(breakers, SILENCES, place=PLACE._replace(payer="acme"))
    assert [*breakers.failing] == [PLACE]


def test_the_reason_of_a_rest_is_that_of_the_longer_one(breakers):
    fail(breakers, REFUSALS, is_silent=False)
    assert breakers.reason(PLACE) == REFUSED
    of_payer = PLACE._replace(payer="acme")
    breakers.ask_for_rest(of_payer, REST_MS - 1, NOW)
    assert breakers.reason(of_payer) == REFUSED
    breakers.ask_for_rest(of_payer, REST_MS + 1, NOW)
    assert breakers.reason(of_payer) == Cause.RESTING.detail


def test_a_success_ends_the_row(breakers):
    fail(breakers, SILENCES - 1)
    breakers.succeeded(PLACE, NOW)
    assert len(breakers.failing) == 0
    fail(breakers, SILENCES - 1)
    assert breakers.resting == {}


def test_refusals_count_less_than_silence_and_show_that_the_vendor_answers(breakers):
    fail(breakers, SILENCES - 1)
    fail(breakers, is_silent=False)
    fail(breakers, SILENCES - 1)
    fail(breakers, REFUSALS - 2 * SILENCES, is_silent=False)
    assert breakers.resting == {}
    fail(breakers, is_silent=False)
    assert breakers.resting == {"carrier": 1}


def test_after_the_rest_one_call_is_let_through_and_no_other_until_its_outcome(breakers):
    fail(breakers, SILENCES)
    over = NOW + REST_MS
    assert breakers.remaining_ms(PLACE, over - 1) == 1
    assert breakers.remaining_ms(PLACE, over) == 0
    breakers.begin(PLACE, over)
    assert breakers.remaining_ms(PLACE, over) == PROBE_MS
    assert breakers.remaining_ms(PLACE, over + PROBE_MS) == 0  # it was cancelled, perhaps: another may


def test_each_rest_is_twice_as_long_as_the_one_before_up_to_a_limit(breakers):
    fail(breakers, SILENCES)
    at, rests = NOW, []
    for _ in range(6):
        at += breakers.remaining_ms(PLACE, at)
        breakers.begin(PLACE, at)
        fail(breakers, at=at + 5_000, began=at)
        at += 5_000
        rests.append(breakers.remaining_ms(PLACE, at))
    assert rests == [2 * REST_MS, 4 * REST_MS, 8 * REST_MS, REST_MAX_MS, REST_MAX_MS, REST_MAX_MS]


def test_attempts_that_began_before_the_rest_do_not_prolong_it(breakers):
    fail(breakers, SILENCES)
    fail(breakers, 20, at=NOW + 3_000, began=NOW - 1)
    assert breakers.remaining_ms(PLACE, NOW + 3_000) == REST_MS - 3_000


def test_a_success_resets_the_failures_and_the_length_of_the_rest(breakers):
    fail(breakers, SILENCES)
    fail(breakers, at=NOW + REST_MS + 5_000, began=NOW + REST_MS)
    breakers.succeeded(PLACE, NOW)
    assert (breakers.resting, breakers.remaining_ms(PLACE, NOW)) == ({}, 0)
    fail(breakers, SILENCES)
    assert breakers.remaining_ms(PLACE, NOW) == REST_MS


def test_other_addresses_of_the_gateway_do_not_rest(breakers):
    fail(breakers, SILENCES)
    assert breakers.remaining_ms(PLACE._replace(host="203.0.113.2"), NOW) == 0


def test_the_resting_addresses_of_a_gateway_are_counted(breakers):
    other = PLACE._replace(port=5070)
    for place in (PLACE, other):
        fail(breakers, SILENCES, place=place)
    assert breakers.resting == {"carrier": 2}
    breakers.succeeded(other, NOW)
    assert breakers.resting == {"carrier": 1}


def test_every_change_is_reported_once(breakers):
    reported = []
    breakers.on_change = lambda *change: reported.append(change)
    fail(breakers, SILENCES)
    fail(breakers, 2)
    breakers.succeeded(PLACE, NOW)
    breakers.succeeded(PLACE, NOW)
    assert reported == [(PLACE, Circuit.RESTING, REST_MS), (PLACE, Circuit.WELL, 0)]


def test_an_address_that_asks_for_a_rest_gets_one_of_that_length(breakers):
    breakers.ask_for_rest(PLACE, 60_000, NOW)
    assert (breakers.resting, breakers.remaining_ms(PLACE, NOW)) == ({"carrier": 1}, 60_000)
    breakers.ask_for_rest(PLACE, 30_000, NOW)
    assert (breakers.resting, breakers.remaining_ms(PLACE, NOW)) == ({"carrier": 1}, 60_000)


def test_an_address_is_in_a_pause_because_it_asked_and_not_because_it_failed(breakers):
    fail(breakers, SILENCES)
    assert breakers.paused_ms(PLACE, NOW) == 0
    breakers.ask_for_rest(PLACE, 5_000, NOW)
    assert breakers.paused_ms(PLACE._replace(payer="acme"), NOW) == 5_000
    assert breakers.paused_ms(PLACE._replace(host="203.0.113.2"), NOW) == 0
    assert breakers.paused_ms(PLACE, NOW + 5_000) == 0
    assert breakers.remaining_ms(PLACE, NOW + 5_000) == REST_MS - 5_000


def test_the_rest_that_an_address_asks_for_is_reported_with_its_length(breakers):
    reported = []
    breakers.on_change = lambda *change: reported.append(change)
    breakers.ask_for_rest(PLACE, 60_000, NOW)
    assert reported == [(PLACE, Circuit.RESTING, 60_000)]


def test_a_failure_does_not_cut_the_rest_short_that_the_address_asked_for():
    breakers, first, again = Breakers(), NOW, NOW + 121_000
    for at in (first, again):
        breakers.begin(PLACE, at)
        breakers.ask_for_rest(PLACE, 120_000, at)
        fail(breakers, at=at, began=at, is_silent=False)
        assert breakers.remaining_ms(PLACE, at) == 120_000
        assert breakers.remaining_ms(PLACE, at + 119_999) == 1
        assert breakers.remaining_ms(PLACE, at + 120_000) == 0


def test_the_refusal_that_asks_for_a_short_rest_does_not_make_it_longer(breakers):
    breakers.ask_for_rest(PLACE, 5_000, NOW)
    fail(breakers, at=NOW, began=NOW, is_silent=False)
    assert breakers.remaining_ms(PLACE, NOW) == 5_000


@pytest.mark.parametrize("began", [NOW - 1_000, NOW + 1_000], ids=["before it asked", "during the rest"])
def test_a_call_that_began_before_the_rest_is_over_does_not_end_it(breakers, began):
    reported = []
    breakers.ask_for_rest(PLACE, 120_000, NOW)
    breakers.on_change = lambda *change: reported.append(change)
    breakers.succeeded(PLACE, began)
    assert (breakers.remaining_ms(PLACE, NOW + 2_000), breakers.resting, reported) == (118_000, {"carrier": 1}, [])
    breakers.succeeded(PLACE, NOW + 120_000)
    assert (breakers.failing, breakers.resting, reported) == ({}, {}, [(PLACE, Circuit.WELL, 0)])


def test_a_success_ends_what_a_rest_has_besides_the_wish_of_the_address(breakers):
    fail(breakers, SILENCES)
    breakers.ask_for_rest(PLACE, 5_000, NOW)
    assert breakers.remaining_ms(PLACE, NOW) == REST_MS
    breakers.succeeded(PLACE, NOW - 1_000)
    assert breakers.remaining_ms(PLACE, NOW) == 5_000


def test_gateways_that_are_gone_are_forgotten(breakers):
    other = PLACE._replace(gateway="other")
    fail(breakers, SILENCES)
    fail(breakers, place=other)
    breakers.keep(lambda place: place.gateway == "other")
    assert (breakers.resting, len(breakers.failing)) == ({}, 1)


def test_the_number_of_addresses_kept_is_bounded(breakers):
    fail(breakers, SILENCES)
    for number in range(CIRCUITS_MAX):
        fail(breakers, place=PLACE._replace(host=f"host-{number}"))
    assert (len(breakers.failing), breakers.resting) == (CIRCUITS_MAX, {})


@pytest.mark.parametrize(
    ("code", "q850", "counts"),
    [
        (503, None, True),
        (502, None, True),
        (504, None, True),
        (500, 41, True),  # temporary failure
        (408, None, True),
        (503, 34, True),  # no circuit available
        (503, 1, False),  # unallocated number
        (500, 17, False),  # user busy
        (486, None, False),
        (404, None, False),
        (403, None, False),
    ],
)
def test_codes_about_the_vendor_count_except_with_causes_about_the_called_number(code, q850, counts):
    assert counts_as_failure(code, q850) is counts
