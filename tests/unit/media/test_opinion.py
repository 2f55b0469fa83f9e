"""Mean opinion scores."""

import pytest

from vosd.media.opinion import PACKETS_MIN, mean_opinion


@pytest.mark.parametrize(
    ("codec", "lost", "jitter_ms", "trip_ms", "score"),
    [
        ("PCMU", 0.0, 0.0, None, 4.4),
        ("pcma", 0.0, 0.0, 200.0, 4.4),
        ("G729", 0.0, 0.0, None, 4.1),
        ("PCMU", 5.0, 0.0, None, 3.9),
        ("G729", 2.0, 0.0, None, 3.8),
        ("PCMU", 100.0, 0.0, None, 1.2),
        ("G729", 100.0, 0.0, 4_000.0, 1.0),
        ("PCMU", 0.0, 0.0, 600.0, 4.0),
        ("PCMU", 0.0, 150.0, None, 4.0),
        ("PCMU", 0.0, 0.0, 2_000.0, 2.5),
    ],
)
def test_scores_fall_with_loss_and_delay(codec, lost, jitter_ms, trip_ms, score):
    assert mean_opinion(codec, PACKETS_MIN, lost, jitter_ms, trip_ms) == score


@pytest.mark.parametrize(("codec", "packets"), [("opus", 1_000), ("", 1_000), ("PCMU", PACKETS_MIN - 1)])
def test_there_is_none_for_unknown_codecs_nor_for_few_packets(codec, packets):
    assert mean_opinion(codec, packets, 0.0, 0.0, None) is None
