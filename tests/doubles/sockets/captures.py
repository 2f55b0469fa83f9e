"""Capture files with a stream of RTP, as SIPp plays them."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from doubles.sockets.rtp import rtp


class SentPacket(NamedTuple):
    """A packet of a capture."""

    sequence: int
    stamp: int
    at_us: int


def write_capture(path: Path, sent: Sequence[SentPacket]) -> None:
    """Write a capture file of Ethernet, as SIPp plays it."""
    content = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)]
    for each in sent:
        data = rtp(each.sequence, each.stamp, ssrc=7)
        udp = struct.pack("!4H", 4_000, 4_000, 8 + len(data), 0) + data
        ip = struct.pack("!BBHHHBBH8x", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
        frame = bytes(12) + b"\x08\x00" + ip + udp
        content.append(struct.pack("<4I", *divmod(each.at_us, 1_000_000), len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(content))
