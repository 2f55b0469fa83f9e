"""Capture files, read back byte by byte as their formats say: libpcap 2.4, IPv4, IPv6, UDP."""

import struct
from ipaddress import ip_address
from typing import NamedTuple

import pytest

from vosd.obs.pcap import FILE_HEADER, packet
from vosd.obs.traced import Direction, TracedMessage

AT = 1_790_000_000_123


class Read(NamedTuple):
    """One packet of a capture."""

    at_us: int
    source: str
    target: str
    payload: bytes
    original: int


def ones_complement_sum(data: bytes) -> int:
    total = 0
    for index in range(0, len(data) + len(data) % 2, 2):
        total += int.from_bytes(data[index : index + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def read(capture: bytes) -> list[Read]:
    magic, major, minor, zone, accuracy, _, link = struct.unpack_from("<IHHiIII", capture)
    assert (magic, major, minor, zone, accuracy, link) == (0xA1B2C3D4, 2, 4, 0, 0, 101)
    packets, offset = [], 24
    while offset < len(capture):
        seconds, microseconds, kept, original = struct.unpack_from("<IIII", capture, offset)
        offset += 16
        data = capture[offset : offset + kept]
        assert len(data) == kept
        offset += kept
        packets.append(read_packet(data, seconds * 1_000_000 + microseconds, original))
    return packets


def read_packet(data: bytes, at_us: int, original: int) -> Read:
    if data[0] >> 4 == 4:
        assert data[0] == 0x45
        assert data[9] == 17
        assert int.from_bytes(data[2:4], "big") == len(data)
        assert ones_complement_sum(data[:20]) == 0xFFFF
        addresses, udp = data[12:20], data[20:]
    else:
        assert data[0] >> 4 == 6
        assert data[6] == 17
        assert int.from_bytes(data[4:6], "big") == len(data) - 40
        addresses, udp = data[8:40], data[40:]
    source_port, target_port, length, checksum = struct.unpack_from("!HHHH", udp)
    assert length == len(udp)
    assert checksum != 0
    assert ones_complement_sum(addresses + struct.pack("!II", 17, length) + udp) == 0xFFFF
    half = len(addresses) // 2
    source, target = ip_address(addresses[:half]), ip_address(addresses[half:])
    return Read(at_us, f"{source} {source_port}", f"{target} {target_port}", udp[8:], original)


def message(
    data: bytes, way: Direction = Direction.IN, local: str = "192.0.2.1", remote: str = "198.51.100.10", **also
):
    return TracedMessage(
        **{
            "at": AT,
            "way": way,
            "leg": 0,
            "transport": "udp",
            "local_host": local,
            "local_port": 5060,
            "remote_host": remote,
            "remote_port": 5070,
            "data": data,
            **also,
        }
    )


def test_messages_become_datagrams_between_the_two_sockets_at_their_times():
    capture = FILE_HEADER + packet(message(b"INVITE")) + packet(message(b"SIP/2.0 100", Direction.OUT, at=AT + 1))
    assert read(capture) == [
        Read(AT * 1_000, "198.51.100.10 5070", "192.0.2.1 5060", b"INVITE", 34),
        Read((AT + 1) * 1_000, "192.0.2.1 5060", "198.51.100.10 5070", b"SIP/2.0 100", 39),
    ]


def test_ipv6_keeps_its_addresses():
    (found,) = read(FILE_HEADER + packet(message(b"INVITE!", Direction.OUT, "2001:db8::1", "fe80::2%eth0")))
    assert (found.source, found.target, found.payload) == ("2001:db8::1 5060", "fe80::2 5070", b"INVITE!")


def test_addresses_of_both_families_meet_in_ipv6():
    """The address that is announced to peers need not be of the family that was used."""
    (found,) = read(FILE_HEADER + packet(message(b"INVITE", Direction.IN, "192.0.2.1", "2001:db8::2")))
    assert (found.source, found.target) == ("2001:db8::2 5070", f"{ip_address('::ffff:c000:201')} 5060")


@pytest.mark.parametrize("remote", ["198.51.100.10", "2001:db8::2"])
@pytest.mark.parametrize("size", [0, 1, 1_400, 65_507])
def test_any_size_that_a_datagram_holds_is_whole(remote, size):
    local = "2001:db8::1" if ":" in remote else "192.0.2.1"
    data = bytes(index % 251 for index in range(size))
    (found,) = read(FILE_HEADER + packet(message(data, local=local, remote=remote)))
    assert found.payload == data


def test_what_no_datagram_holds_is_cut_and_counted():
    (found,) = read(FILE_HEADER + packet(message(b"x" * 65_535, transport="tcp")))
    assert found.payload == b"x" * 65_507
    assert found.original == 28 + 65_535
