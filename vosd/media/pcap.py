"""Packets of RTP as a capture file of IP packets (pcap), which Wireshark plays."""

from ipaddress import ip_address
from struct import Struct
from typing import Final

HEADER: Final = Struct("<IHHiIII").pack(0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
"""Beginning of a file whose packets begin with an IP header (LINKTYPE_RAW)."""
_RECORD: Final = Struct("<IIII")
_IPV4: Final = Struct("!BBHHHBBH4s4s")
_IPV6: Final = Struct("!IHBB16s16s")
_UDP: Final = Struct("!HHHH")
_SHORTEST: Final = _IPV4.size + _UDP.size
_LONGEST: Final = _IPV6.size + _UDP.size + 2_048
"""No longer datagram is read: what looks like a packet of such a length is in the media of one."""
_PROTOCOL: Final = 17
_HOPS: Final = 64

Place = tuple[str, int]


def record(data: bytes, source: Place, destination: Place, wall_ns: int) -> bytes:
    """Return one packet as it stands in the file; its checksums are left out."""
    first, second = (ip_address(host.partition("%")[0]) for host, _ in (source, destination))
    size = _UDP.size + len(data)
    if first.version == 4:
        head = _IPV4.pack(0x45, 0, _IPV4.size + size, 0, 0, _HOPS, _PROTOCOL, 0, first.packed, second.packed)
    else:
        head = _IPV6.pack(6 << 28, size, _PROTOCOL, _HOPS, first.packed, second.packed)
    length = len(head) + size
    stamp = _RECORD.pack(wall_ns // 1_000_000_000, wall_ns // 1_000 % 1_000_000, length, length)
    return stamp + head + _UDP.pack(source[1], destination[1], size, 0) + data


def whole_bytes(part: bytes, *, is_beginning: bool) -> int | None:
    """Return how much of the end of a file has whole packets; None = none begins in it.

    A process that is killed while it writes leaves a part of one behind. ``is_beginning``: a packet begins here. Else
    the first one is to be found, and media may hold what looks like one: what reaches the end is right, else most is.
    """
    if is_beginning:
        return _end_of_packets(part, 0, set())
    seen: set[int] = set()
    longest, found = 0, None
    for start in range(len(part)):
        end = _end_of_packets(part, start, seen)
        if end == len(part):
            return end
        if end - start > longest:
            longest, found = end - start, end
    return found


def _end_of_packets(part: bytes, at: int, seen: set[int]) -> int:
    """Return where whole packets that follow each other end; ``seen`` has places of those before, and gets these."""
    while at not in seen and (length := _length_at(part, at)) is not None and at + length <= len(part):
        seen.add(at)
        at += length
    return at


def _length_at(part: bytes, at: int) -> int | None:
    """Return the length of the packet that begins at a place, as it stands in the file; None = none begins there."""
    if len(part) < at + _RECORD.size + _SHORTEST:
        return None
    _, microseconds, length, original = _RECORD.unpack_from(part, at)
    if length != original or not _SHORTEST <= length <= _LONGEST or microseconds >= 1_000_000:
        return None
    head = at + _RECORD.size
    if part[head] == 0x45:
        named = int.from_bytes(part[head + 2 : head + 4], "big")
    elif part[head] == 6 << 4:
        named = _IPV6.size + int.from_bytes(part[head + 4 : head + 6], "big")
    else:
        return None
    return _RECORD.size + length if named == length else None
