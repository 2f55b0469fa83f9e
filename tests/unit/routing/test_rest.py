"""Retry-After pauses of gateways."""

from vosd.routing.rest import REST_MAX_S, Rests

NOW = 50_000


def test_a_gateway_pauses_for_as_long_as_it_asked_and_not_a_millisecond_more():
    rests = Rests()
    rests.begin("a", 7, NOW)
    assert [rests.remaining_ms("a", NOW + passed) for passed in (0, 6_999, 7_000, 7_001)] == [7_000, 1, 0, 0]


def test_other_gateways_do_not_pause():
    rests = Rests()
    rests.begin("a", 7, NOW)
    assert rests.remaining_ms("b", NOW) == 0


def test_no_gateway_pauses_for_more_than_five_minutes():
    rests = Rests()
    rests.begin("a", 86_400, NOW)
    assert rests.remaining_ms("a", NOW) == 1_000 * REST_MAX_S == 300_000


def test_the_latest_pause_counts_even_if_it_is_shorter():
    rests = Rests()
    rests.begin("a", 200, NOW)
    rests.begin("a", 3, NOW + 1_000)
    assert rests.remaining_ms("a", NOW + 1_000) == 3_000


def test_a_pause_of_zero_seconds_is_none():
    rests = Rests()
    rests.begin("a", 0, NOW)
    assert rests.remaining_ms("a", NOW) == 0
