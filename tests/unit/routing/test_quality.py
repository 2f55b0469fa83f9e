"""The windows of quality: what is counted, what is dropped, and what a restart continues with."""

import msgspec
import pytest

from vosd.base.clock import Instant
from vosd.routing.failover import AttemptOutcome
from vosd.routing.quality import LENGTH_CALLS, Quality, QualityFigures, SavedQuality, is_effective

SLICE = 60_000
HOUR = 3_600_000
UK, US = "44", "1"


def test_the_ratios_are_those_of_the_recommendation():
    quality = Quality()
    for pdd_ms in (1_000, 2_000):
        quality.answered("a", UK, pdd_ms, 0)
    quality.failed("a", UK, 3_000, 0, is_effective=True)
    for _ in range(5):
        quality.failed("a", UK, None, 0, is_effective=False)
    quality.talked("a", UK, 30_000, 0)
    quality.talked("a", UK, 60_000, 0)
    figures = quality.figures("a", 0)
    assert figures == QualityFigures(8, 2, 3, 3, 6_000, 2, 90_000)
    assert (figures.asr, figures.ner, figures.acd_s, figures.mean_pdd_ms) == (25.0, 37.5, 45.0, 2_000.0)


def test_without_attempts_there_is_no_ratio():
    figures = Quality().figures("a", 0)
    assert (figures.asr, figures.ner, figures.acd_s, figures.mean_pdd_ms) == (None,) * 4


def test_a_call_that_still_talks_does_not_shorten_the_average():
    quality = Quality()
    quality.answered("a", UK, None, 0)
    quality.answered("a", UK, None, 0)
    quality.talked("a", UK, 40_000, 0)
    assert (quality.figures("a", 0).asr, quality.figures("a", 0).acd_s) == (100.0, 40.0)


def test_the_oldest_slice_is_dropped_when_a_new_one_starts():
    quality = Quality(SLICE, slices=3)
    for minute in range(3):
        quality.answered("a", UK, None, minute * SLICE)
    assert [quality.figures("a", at).attempts for at in (2 * SLICE, 3 * SLICE - 1, 3 * SLICE, 4 * SLICE)] == [
        3,
        3,
        2,
        1,
    ]
    quality.answered("a", UK, None, 5 * SLICE)
    assert quality.figures("a", 5 * SLICE).attempts == 1
    assert quality.figures_of("a", UK, 7 * SLICE, 1).attempts == 1
    assert quality.figures_of("a", UK, 8 * SLICE, 1).attempts == 0


def test_a_destination_with_too_few_attempts_is_seen_by_the_whole_gateway():
    quality = Quality()
    for _ in range(3):
        quality.answered("a", UK, None, 0)
    quality.failed("a", US, None, 0, is_effective=False)
    assert quality.figures_of("a", UK, 0, 3).asr == 100.0
    assert quality.figures_of("a", US, 0, 1).asr == 0.0
    assert quality.figures_of("a", US, 0, 2).asr == quality.figures("a", 0).asr == 75.0
    assert quality.figures_of("b", US, 0, 0) == QualityFigures()


def test_the_destination_without_calls_for_longest_makes_room_for_a_new_one():
    quality = Quality(rows_max=2)
    for destination in (UK, US, UK, "49"):
        quality.answered("a", destination, None, 0)
    assert len(quality) == 2
    assert [quality.figures_of("a", each, 0, 1).attempts for each in (UK, US, "49")] == [
        2,
        4,
        1,
    ]  # 4: the whole gateway


def test_a_reload_keeps_the_gateways_that_stay_and_begins_anew_with_slices_of_another_length():
    quality = Quality(SLICE, 3)
    for gateway in ("a", "b"):
        quality.answered(gateway, UK, None, 0)
    quality.keep({"b"})
    assert (quality.figures("a", 0).attempts, quality.figures("b", 0).attempts, len(quality)) == (0, 1, 1)
    quality.adjust(SLICE, 2)
    assert (quality.figures("b", SLICE).attempts, quality.figures("b", 2 * SLICE).attempts) == (1, 0)
    quality.answered("b", UK, None, 2 * SLICE)
    quality.adjust(2 * SLICE, 2)
    assert (quality.figures("b", 2 * SLICE).attempts, len(quality)) == (0, 0)


@pytest.mark.parametrize("booted_ms", [0, 7 * SLICE, 1_000 * HOUR])
def test_a_restart_continues_with_what_was_counted_and_drops_it_in_time(booted_ms):
    """The monotonic clock of the other process may have begun at any time."""
    quality = Quality(SLICE, slices=3)
    quality.answered("a", UK, 500, 0)
    quality.talked("a", UK, 9_000, SLICE)
    saved = msgspec.json.decode(msgspec.json.encode(quality.saved(Instant(SLICE, HOUR))), type=SavedQuality)
    restarted = Quality(SLICE, slices=3)
    now = Instant(booted_ms, HOUR)
    restarted.restore(saved, now)
    assert restarted.figures("a", now.mono) == quality.figures("a", SLICE) == QualityFigures(1, 1, 1, 1, 500, 1, 9_000)
    assert restarted.figures_of("a", UK, now.mono, 1).answered == 1
    restarted.failed("a", UK, None, now.mono, is_effective=False)
    assert restarted.figures("a", now.mono).asr == 50.0
    assert restarted.figures("a", now.mono + 2 * SLICE).attempts == 1
    assert restarted.figures("a", now.mono + 2 * SLICE).talks == 1, "the talk was of the slice that ran at the end"
    assert restarted.figures("a", now.mono + 3 * SLICE) == QualityFigures()


@pytest.mark.parametrize(("talk_ms", "seconds"), [(30_499, 30), (30_500, 31), (300, 1)])
def test_the_length_of_calls_is_rounded_to_seconds_and_known_again_after_a_restart(talk_ms, seconds):
    quality = Quality(SLICE, slices=3)
    for _ in range(LENGTH_CALLS - 1):
        quality.talked("a", UK, talk_ms, 0, UK)
    assert quality.lengths == {}
    quality.talked("a", UK, talk_ms, 0, UK)
    restarted = Quality(SLICE, slices=3)
    restarted.restore(quality.saved(Instant(0, HOUR)), Instant(0, HOUR))
    assert quality.lengths == restarted.lengths == {UK: seconds}


def test_what_was_counted_before_a_long_stop_is_not_used():
    quality = Quality(SLICE, slices=3)
    quality.answered("a", UK, None, 0)
    saved = quality.saved(Instant(0, HOUR))
    restarted = Quality(SLICE, slices=3)
    restarted.restore(saved, Instant(5 * HOUR, 2 * HOUR))
    assert restarted.figures("a", 5 * HOUR) == QualityFigures()
    other_length = Quality(2 * SLICE, slices=3)
    other_length.restore(saved, Instant(0, HOUR))
    assert len(other_length) == 0


@pytest.mark.parametrize(
    ("outcome", "rang", "wanted"),
    [
        (AttemptOutcome.final(486), False, True),
        (AttemptOutcome.final(600), False, True),
        (AttemptOutcome.final(480), False, True),
        (AttemptOutcome.final(603), False, True),
        (AttemptOutcome.final(403), False, False),
        (AttemptOutcome.final(404), False, False),
        (AttemptOutcome.final(503), False, False),
        (AttemptOutcome.final(503, q850=17), False, True),
        (AttemptOutcome.final(480, q850=3), False, False),
        (AttemptOutcome.final(503, rang=True), True, True),
        (AttemptOutcome.silent(), False, False),
        (AttemptOutcome.unreachable(), False, False),
        (AttemptOutcome.ring_timeout(rang=True), True, True),
        (None, True, True),
        (None, False, False),
    ],
)
def test_an_attempt_is_effective_when_it_reached_the_called_terminal(outcome, rang, wanted):
    assert is_effective(outcome, rang=rang) is wanted


def test_the_latest_slices_tell_what_a_gateway_does_now() -> None:
    quality = Quality(slice_ms=SLICE, slices=6)
    assert quality.latest("a", 0, 2).attempts == 0
    for number in range(4):
        quality.answered("a", UK, 500, number * SLICE)
    quality.failed("a", UK, None, 4 * SLICE, is_effective=False)
    assert quality.figures("a", 4 * SLICE).attempts == 5
    latest = quality.latest("a", 4 * SLICE, 2)
    assert (latest.attempts, latest.answered, latest.mean_pdd_ms) == (2, 1, 500)
    assert quality.latest("a", 5 * SLICE, 2).attempts == 1
    assert quality.latest("a", 7 * SLICE, 2).attempts == 0
