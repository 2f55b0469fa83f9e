"""Lost packets of gateways."""

from vosd.engine.media.media_parts import PACKETS_MIN, SLICE_MS, SLICES, MediaLosses


def test_packets_of_a_gateway_are_added_up_over_half_an_hour():
    losses = MediaLosses()
    losses.note("a", PACKETS_MIN - 1, 100, 0)
    losses.note("b", 0, 0, 0)
    assert dict(losses.percents(0)) == {"a": None}
    losses.note("a", 1_001, 300, 1)
    assert dict(losses.percents(1)) == {"a": 10.0}
    later = SLICES * SLICE_MS
    losses.note("a", PACKETS_MIN, 30, later - 1)
    assert dict(losses.percents(later - 1)) == {"a": 100 * 430 / 7_000}
    assert dict(losses.percents(later)) == {"a": 1.0}
    assert dict(losses.percents(3 * later)) == {"a": None}
