"""Audio that the switch plays."""

import pytest

from vosd.media.player import FRAME, Player, ring_back
from vosd.media.rtp import HEADER

MS = 1_000_000


def test_a_sound_is_played_again_and_again_from_a_moment_on():
    player = Player(bytes(range(160)) + bytes(160), 8, 65_535, 1_000 * MS)
    assert list(player.due(999 * MS)) == []
    packets = [packet for at in range(1_000, 1_080, 20) for packet in player.due(at * MS)]
    headers = [HEADER.unpack_from(packet) for packet in packets]
    assert [header[2] for header in headers] == [65_535, 0, 1, 2]
    assert [header[3] for header in headers] == [65_535 + FRAME * number for number in range(4)]
    assert [header[1] for header in headers] == [8 | 0x80, 8, 8 | 0x80, 8]
    assert [packet[12:] for packet in packets] == [bytes(range(160)), bytes(160)] * 2


def test_packets_that_are_late_are_left_out():
    player = Player(bytes(160), 0, 1, 0)
    assert len(player.due(10**12 * MS)) == 11
    assert len(player.due(10**12 * MS + 20 * MS)) == 1


@pytest.mark.parametrize(("payload", "silence"), [(0, 0xFF), (8, 0xD5)])
def test_a_ring_lasts_a_second_and_its_pause_four(payload, silence):
    sound = ring_back(payload)
    assert len(sound) == 40_000
    assert set(sound[8_000:]) == {silence}
    assert len(set(sound[:8_000])) > 30


def test_a_sound_of_another_codec_ends_after_the_last_time():
    player = Player(bytes(range(48)), 4, 7, 0, packet_bytes=24, packet_ms=30, times=2)
    packets = [packet for at in range(0, 400, 10) for packet in player.due(at * MS)]
    assert [packet[12:] for packet in packets] == [bytes(range(24)), bytes(range(24, 48))] * 2
    assert [HEADER.unpack_from(packet)[3] for packet in packets] == [7, 247, 487, 727]
    assert player.is_over


def test_nothing_is_lost_while_it_is_not_known_where_to_send():
    player = Player(bytes(160), 0, 1, 0, times=20)
    player.wait(10**12 * MS)
    assert not player.has_begun
    assert len(player.due(10**12 * MS)) == 1
    assert player.due_ns == 10**12 * MS + 20 * MS
