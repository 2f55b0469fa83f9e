"""SIP messages as a capture file for Wireshark and tshark.

Every message becomes one UDP datagram between the two sockets at the time it was seen, whatever its transport: a
capture of TLS would show nothing, and one of TCP only segments. Opens no files.
"""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from vosd.obs.traced import Direction, TracedMessage

_RAW_IP: Final = 101
"""LINKTYPE_RAW: packets begin with their IP header, of either version."""
_SNAPSHOT_BYTES: Final = 262_144
_UDP: Final = 17
_HOPS: Final = 64
_UDP_HEADER_BYTES: Final = 8
_IPV4_HEADER_BYTES: Final = 20
_LARGEST_PAYLOAD: Final = 65_535 - _IPV4_HEADER_BYTES - _UDP_HEADER_BYTES

FILE_HEADER: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAPSHOT_BYTES, _RAW_IP)
"""Header of a capture file: libpcap's format 2.4, times in microseconds."""


def packet(message: TracedMessage) -> bytes:
    """Return one record of a capture file; bytes beyond one datagram are cut off and counted as not captured."""
    ours = (_address(message.local_host), message.local_port)
    theirs = (_address(message.remote_host), message.remote_port)
    if ours[0].version != theirs[0].version:
        ours, theirs = (_mapped(ours[0]), ours[1]), (_mapped(theirs[0]), theirs[1])
    source, target = (theirs, ours) if message.way is Direction.IN else (ours, theirs)
    payload = message.data[:_LARGEST_PAYLOAD]
    datagram = _datagram(*source, *target, payload)
    seconds, ms = divmod(message.at, 1_000)
    cut = len(message.data) - len(payload)
    return struct.pack("<IIII", seconds, ms * 1_000, len(datagram), len(datagram) + cut) + datagram


def _datagram(
    source: IPv4Address | IPv6Address,
    source_port: int,
    target: IPv4Address | IPv6Address,
    target_port: int,
    payload: bytes,
) -> bytes:
    length = _UDP_HEADER_BYTES + len(payload)
    ports = struct.pack("!HHH", source_port, target_port, length)
    addresses = source.packed + target.packed
    # RFC 768 and RFC 8200 section 8.1: both pseudo-headers add up to the same sum; zero is sent as all ones
    checksum = _checksum(addresses + struct.pack("!II", _UDP, length) + ports + payload) or 0xFFFF
    udp = ports + struct.pack("!H", checksum) + payload
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, length, _UDP, _HOPS) + addresses + udp
    before = struct.pack("!BBHHHBB", 0x45, 0, _IPV4_HEADER_BYTES + length, 0, 0, _HOPS, _UDP)
    return before + struct.pack("!H", _checksum(before + addresses)) + addresses + udp


def _checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071 over pairs of bytes."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(host: str) -> IPv4Address | IPv6Address:
    return ip_address(host.partition("%")[0])  # a capture cannot hold the zone of a link-local address


def _mapped(address: IPv4Address | IPv6Address) -> IPv6Address:
    return address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")
