"""Headers of RTP, and reports of RTCP."""

import pytest
from doubles.sockets.rtp import report_block, rtp, sender_report

from vosd.media.rtcp import read_rtcp
from vosd.media.rtp import FOREIGN, RTCP, is_whole, units_by_kind


@pytest.mark.parametrize(
    ("packet", "is_so"),
    [
        (rtp(1), True),
        (rtp(1, body=b""), True),
        (rtp(1)[:11], False),
        (b"", False),
        (b"\x00" + rtp(1)[1:], False),
        (b"\x82" + rtp(1, body=bytes(8))[1:], True),
        (b"\x82" + rtp(1, body=bytes(7))[1:], False),
        (b"\x90" + rtp(1, body=b"\xbe\xde\x00\x01abcd")[1:], True),
        (b"\x90" + rtp(1, body=b"\xbe\xde\x00\x02abcd")[1:], False),
        (b"\x90" + rtp(1, body=b"\xbe\xde")[1:], False),
        (b"\xa0" + rtp(1, body=b"ab\x02")[1:], True),
        (b"\xa0" + rtp(1, body=b"encrypted")[1:], True),
        (b"\xa0" + rtp(1, body=b"")[1:], False),
    ],
)
def test_a_packet_is_as_long_as_its_header_says(packet, is_so):
    assert is_whole(packet) is is_so


def test_units_are_those_of_agreed_payload_types_with_and_without_marker():
    units = units_by_kind((0, 101), (8_000, 48_000), is_multiplexed=False)
    assert (units[0], units[0x80], units[101]) == (125_000.0, 125_000.0, 1e9 / 48_000)
    assert (units[8], units[200]) == (FOREIGN, FOREIGN)
    assert units_by_kind((0,), (8_000,), is_multiplexed=True)[200] == RTCP


def test_reports_of_a_compound_packet_are_read():
    packet = read_rtcp(
        sender_report(1, 0xABCD_1234, report_block(2, fraction=64, lost=-3, jitter=80, last=7, delay=65_536), 1)
        + b"\x81\xca\x00\x01\x00\x00\x00\x01"
    )
    assert packet is not None
    assert packet.sent_report == 0xABCD_1234
    (report,) = packet.receptions
    assert (report.ssrc, report.lost_percent, report.lost, report.jitter) == (2, 25.0, -3, 80)
    assert (report.last_report, report.delay_ns) == (7, 10**9)


@pytest.mark.parametrize("data", [b"", b"\x80\xc8", rtp(1), b"\x40\xc8\x00\x00", b"\x80\xc8\x00\x09" + bytes(8)])
def test_other_packets_are_no_rtcp(data):
    assert read_rtcp(data) is None


def test_no_report_is_read_from_the_packet_behind_it():
    packet = read_rtcp(sender_report(1, 5, report_block(2), count=2) + sender_report(3, 7, report_block(4), count=1))
    assert packet is not None
    assert [report.ssrc for report in packet.receptions] == [2, 4]


@pytest.mark.parametrize(("before", "is_read"), [(15, True), (16, False)])
def test_of_a_datagram_that_is_full_of_small_packets_the_first_ones_are_read(before, is_read):
    packet = read_rtcp(b"\x80\xca\x00\x00" * before + sender_report(1, 5, report_block(2), count=1))
    assert packet is not None
    assert (packet.sent_report, len(packet.receptions)) == ((5, 1) if is_read else (None, 0))


def test_an_encrypted_rest_is_not_read():
    encrypted = sender_report(1)[:8] + b"\xff" * 20 + b"\x80\x00\x00\x01" + bytes(10)
    packet = read_rtcp(encrypted)
    assert packet is not None
    assert packet.receptions == ()


@pytest.mark.parametrize("length", range(0, 52, 4))
def test_reports_that_are_cut_are_not_read(length):
    whole = sender_report(1, 5, report_block(2), 1)
    packet = read_rtcp(whole[:length])
    assert packet is None or packet.receptions == ()
