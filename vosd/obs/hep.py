"""Packets of HEP 3, by which messages are copied to a capture server such as Homer.

The format is that of "HEP/EEP, Extensible Encapsulation protocol, revision 12": a head and chunks, each with vendor 0,
a type, its length and its content. Which messages are copied is decided in ``engine.trace.hep_mirror``, and
``engine.trace.hep_sender`` sends the packets.
"""

from functools import lru_cache
from ipaddress import ip_address
from struct import Struct
from typing import Final

SIP: Final = 1
"""Type of a packet with a SIP message."""
LOG: Final = 100
"""Type of a packet with a line of a log, as Homer shows it beside the messages of its call."""
PACKET_MAX: Final = 65_000
"""Longest packet in bytes; a longer message is not copied."""
_HEAD: Final = Struct("!4sH")
_HEAD_BYTES: Final = _HEAD.size
_MOMENT: Final = Struct("!HHHIHHHI")
"""Seconds (type 9) and microseconds (type 10)."""
_CHUNK: Final = Struct("!HHH")
_CHUNK_BYTES: Final = _CHUNK.size
_UDP, _TCP = 17, 6
"""Numbers of the protocols (type 2)."""


def hep_trailer(kind: int, capture_id: int, key: str) -> bytes:
    """Return the chunks that packets of a kind share: kind of content, number of the capture agent, and its key."""
    chunks = _chunk(11, bytes([kind])) + _chunk(12, capture_id.to_bytes(4, "big"))
    return chunks + _chunk(14, key.encode()) if key else chunks


def hep_middle(trailer: bytes, wall_ms: int, correlation: bytes) -> bytes:
    """Return the chunks that packets of a call at one moment share; ``correlation`` is the id of the call."""
    seconds, ms = divmod(wall_ms, 1_000)
    moment = _MOMENT.pack(0, 9, 10, seconds, 0, 10, 10, 1_000 * ms)
    return b"%b%b%b%b" % (moment, trailer, _CHUNK.pack(0, 17, _CHUNK_BYTES + len(correlation)), correlation)


def hep_packet(route: bytes, middle: bytes, content: bytes) -> bytes:
    """Return a packet with the results of ``hep_route`` and ``hep_middle`` before its content."""
    size = _CHUNK_BYTES + len(content)
    length = _HEAD_BYTES + len(route) + len(middle) + size
    return b"%b%b%b%b%b" % (_HEAD.pack(b"HEP3", length), route, middle, _CHUNK.pack(0, 15, size), content)


@lru_cache(maxsize=8_192)
def hep_route(transport: str, source: str, source_port: int, target: str, target_port: int) -> bytes:
    """Return the chunks with family, protocol, addresses and ports, which messages of a trunk share."""
    from_address, to_address = ip_address(source.partition("%")[0]), ip_address(target.partition("%")[0])
    family, source_type, target_type = (2, 3, 4) if from_address.version == 4 else (10, 5, 6)  # AF_INET, AF_INET6
    return b"".join(
        (
            _chunk(1, bytes([family])),
            _chunk(2, bytes([_UDP if transport == "udp" else _TCP])),
            _chunk(source_type, from_address.packed),
            _chunk(target_type, to_address.packed),
            _chunk(7, source_port.to_bytes(2, "big")),
            _chunk(8, target_port.to_bytes(2, "big")),
        )
    )


def _chunk(kind: int, content: bytes) -> bytes:
    return _CHUNK.pack(0, kind, _CHUNK_BYTES + len(content)) + content
