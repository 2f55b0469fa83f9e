"""Telephones for the relay: sockets that send and receive RTP and RTCP."""

import socket
import struct
from collections.abc import Iterator

from vosd.media.rtp import HEADER


def rtp(sequence: int, stamp: int = 0, *, payload: int = 0, ssrc: int = 0x1234, body: bytes = b"\xff" * 160) -> bytes:
    """Return an RTP packet."""
    return HEADER.pack(0x80, payload, sequence & 0xFFFF, stamp & 0xFFFF_FFFF, ssrc) + body


def sender_report(ssrc: int, ntp: int = 0, blocks: bytes = b"", count: int = 0) -> bytes:
    """Return an RTCP sender report; ``ntp`` = the middle 32 bits of its time."""
    words = 6 + len(blocks) // 4
    high, low = ntp >> 16, (ntp & 0xFFFF) << 16
    return struct.pack("!BBHIIIIII", 0x80 | count, 200, words, ssrc, high, low, 0, 0, 0) + blocks


def report_block(
    ssrc: int, *, fraction: int = 0, lost: int = 0, jitter: int = 0, last: int = 0, delay: int = 0
) -> bytes:
    """Return a reception report block."""
    return struct.pack("!IIIIII", ssrc, fraction << 24 | lost & 0xFF_FFFF, 0, jitter, last, delay)


class RtpPeer:
    """A socket that sends a stream."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, ssrc: int = 0x1234) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind((host, port))
        self.sock.setblocking(False)
        self._received: list[bytes] = []
        self.all_received: list[bytes] = []
        """All packets that were ever received."""
        self.ssrc = ssrc
        self.body = b"\xff" * 160
        self.sequence = 1_000
        self.stamp = 0

    @property
    def host(self) -> str:
        return str(self.sock.getsockname()[0])

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def send(self, to: tuple[str, int], packets: int = 1, *, payload: int = 0) -> list[bytes]:
        """Send packets of 20 ms; return them."""
        sent = list(self._packets(packets, payload))
        for data in sent:
            self.sock.sendto(data, to)
        return sent

    def has(self, packets: int) -> bool:
        """Return whether at least so many packets have been received."""
        while True:
            try:
                data = self.received(self.sock.recv(2_048))
            except BlockingIOError:
                return len(self._received) >= packets
            if data is not None:
                self._received.append(data)

    def has_last(self, packets: list[bytes]) -> bool:
        """Return whether these are the last that have been received; others may have come late before them."""
        return self.has(len(packets)) and self._received[-len(packets) :] == packets

    def received(self, data: bytes) -> bytes | None:
        """Return what a datagram holds; None = it is dropped."""
        return data

    def taken(self) -> list[bytes]:
        """Return the packets that have been received since the last time."""
        self.has(0)
        received, self._received = self._received, []
        self.all_received += received
        return received

    def close(self) -> None:
        self.sock.close()

    def _packets(self, packets: int, payload: int) -> Iterator[bytes]:
        for _ in range(packets):
            yield rtp(self.sequence, self.stamp, payload=payload, ssrc=self.ssrc, body=self.body)
            self.sequence += 1
            self.stamp += 160
