"""Figures of a port that another worker has taken over: both parts are added up."""

import pytest

from vosd.media.figures import DroppedPackets, PeerReport, PortFigures

BEFORE = PortFigures(
    id=7, latched_host="192.0.2.1", latched_port=4_000, payload=8, packets_in=300, packets_out=280, unsent=1,
    expected=310, lost=10, jitter_ms=2.0, jitter_max_ms=9.0, first_at=1_000, last_at=7_000, alive_at=7_100,
    alive_mono=70, dropped=DroppedPackets(1, 2, 3, 4, 5), peer=PeerReport(1.0, 3, 2.0), round_trip_ms=40.0,
    forwarded=200, octets_in=60_000,
)  # fmt: skip
LATER = PortFigures(
    id=7, latched_host="192.0.2.2", latched_port=4_002, payload=18, packets_in=100, packets_out=90, unsent=2,
    expected=155, lost=55, jitter_ms=8.0, jitter_max_ms=12.0, first_at=8_000, last_at=9_000, alive_at=9_100,
    alive_mono=91, dropped=DroppedPackets(10, 20, 30, 40, 50), peer=PeerReport(4.0, 7, 5.0), round_trip_ms=60.0,
    forwarded=50, octets_in=20_000,
)  # fmt: skip


def test_counts_are_added_and_of_what_is_no_count_the_later_one_holds():
    assert BEFORE.plus(LATER) == PortFigures(
        id=7, latched_host="192.0.2.2", latched_port=4_002, payload=8, packets_in=400, packets_out=370, unsent=3,
        expected=465, lost=65, jitter_ms=4.0, jitter_max_ms=12.0, first_at=1_000, last_at=9_000, alive_at=9_100,
        alive_mono=91, dropped=DroppedPackets(11, 22, 33, 44, 55), peer=PeerReport(4.0, 7, 5.0), round_trip_ms=60.0,
        forwarded=250, octets_in=80_000,
    )  # fmt: skip


@pytest.mark.parametrize("figures", [BEFORE, PortFigures(id=7)])
def test_a_part_without_media_changes_nothing(figures):
    assert figures.plus(PortFigures(id=7)) == figures
    assert PortFigures(id=7).plus(figures) == figures


def test_the_payload_type_is_that_of_the_part_with_more_packets():
    assert LATER.plus(BEFORE).payload == 8


def test_loss_is_a_share_of_what_was_sent_with_one_decimal():
    assert (BEFORE.lost_percent, LATER.lost_percent, PortFigures(id=7).lost_percent) == (3.2, 35.5, 0.0)
    assert (BEFORE.foreign, BEFORE.latched, PortFigures(id=7).latched) == (15, ("192.0.2.1", 4_000), None)
