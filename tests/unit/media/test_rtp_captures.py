"""Capture files of media."""

import struct

import pytest

from vosd.media.pcap import HEADER, record


def test_a_file_begins_with_the_header_of_raw_ip_packets():
    assert struct.unpack("<IHHiIII", HEADER) == (0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)


@pytest.mark.parametrize(
    ("source", "destination", "head", "version"),
    [(("192.0.2.1", 4_000), ("192.0.2.2", 5_000), 20, 4), (("2001:db8::1", 4_000), ("2001:db8::2", 5_000), 40, 6)],
)
def test_a_packet_has_the_headers_of_ip_and_udp(source, destination, head, version):
    packet = record(b"audio", source, destination, 1_700_000_000_123_456_789)
    assert struct.unpack_from("<IIII", packet) == (1_700_000_000, 123_456, head + 13, head + 13)
    assert packet[16] >> 4 == version
    assert struct.unpack_from("!HHHH", packet, 16 + head) == (4_000, 5_000, 13, 0)
    assert packet.endswith(b"audio")
    assert len(packet) == 16 + head + 13
