"""Lost packets of gateways."""

from vosd.engine.media.media_parts import GATEWAYS_MAX, PACKETS_MIN, SLICE_MS, SLICES, MediaLosses


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


def test_gateways_and_phones_of_the_past_make_room_for_others():
    losses = MediaLosses()
    for number in range(GATEWAYS_MAX):
        losses.note(f"phone-{number}", 100, 0, 0)
    losses.note("new", PACKETS_MIN, 300, SLICE_MS)
    losses.note("phone-0", PACKETS_MIN, 30, SLICES * SLICE_MS - 1)
    assert "new" not in dict(losses.percents(SLICE_MS)), "all of these are of the last half hour"
    losses.note("new", PACKETS_MIN, 300, SLICES * SLICE_MS)
    assert dict(losses.percents(SLICES * SLICE_MS)) == {"phone-0": 1.0, "new": 10.0}
