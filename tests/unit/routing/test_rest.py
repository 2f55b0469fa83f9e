"""Vendors that asked to be left alone: for how long they are."""

from vosd.routing.rest import REST_MAX_S, Rests

NOW = 50_000


def test_a_gateway_rests_for_as_long_as_it_asked_and_not_a_millisecond_more():
    rests = Rests()
    rests.begin("a", 7, NOW)
    assert [rests.remaining_ms("a", NOW + passed) for passed in (0, 6_999, 7_000, 7_001)] == [7_000, 1, 0, 0]


def test_other_gateways_work_on():
    rests = Rests()
    rests.begin("a", 7, NOW)
    assert rests.remaining_ms("b", NOW) == 0


def test_no_gateway_rests_for_more_than_five_minutes():
    rests = Rests()
    rests.begin("a", 86_400, NOW)
    assert rests.remaining_ms("a", NOW) == 1_000 * REST_MAX_S == 300_000


def test_the_vendors_latest_word_counts_also_where_it_asks_for_less():
    rests = Rests()
    rests.begin("a", 200, NOW)
    rests.begin("a", 3, NOW + 1_000)
    assert rests.remaining_ms("a", NOW + 1_000) == 3_000


def test_a_rest_of_no_time_is_none():
    rests = Rests()
    rests.begin("a", 0, NOW)
    assert rests.remaining_ms("a", NOW) == 0
