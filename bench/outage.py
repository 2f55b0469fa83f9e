"""``python -m bench.outage HOST PORT PHONES``: phones that register at the same moment, each from its own address.

They retransmit as in RFC 3261 section 17.1.2 (timer E) until they are answered; the result is printed.
"""

import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from itertools import count

T1_S = 0.5
T2_S = 4.0
GIVEN_UP_S = 32.0
PORT = 15_205
BUFFER_BYTES = 16 * 1024 * 1024
_FORCE_RECEIVE_BUFFER = 33
_IP_PKTINFO = 8


class Phones:
    """One socket that sends from every address of 127.64.0.0/10."""

    def __init__(self, host: str, port: int, number: int) -> None:
        self._switch = (host, port)
        self._addresses = [
            f"127.{64 + (index >> 16)}.{index >> 8 & 255}.{index & 255}" for index in range(1, number + 1)
        ]
        self._waiting: dict[str, tuple[float, float]] = {}
        """Time of each phone's next retransmission, and the interval after it."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _FORCE_RECEIVE_BUFFER, BUFFER_BYTES)
        self._socket.bind(("0.0.0.0", PORT))
        self.sent = 0

    def register(self) -> float:
        """Register all, and return the time until the last was answered."""
        began = time.perf_counter()
        for address in self._addresses:
            self._send(address)
            self._waiting[address] = (time.perf_counter() + T1_S, 2 * T1_S)
        while self._waiting and time.perf_counter() - began < GIVEN_UP_S:
            for address in self._answered(0.01):
                self._waiting.pop(address, None)
            now = time.perf_counter()
            for address, (due, pause) in list(self._waiting.items()):
                if due <= now:
                    self._send(address)
                    self._waiting[address] = (now + pause, min(2 * pause, T2_S))
        return time.perf_counter() - began

    @property
    def unanswered(self) -> int:
        """Return the number of phones without answer."""
        return len(self._waiting)

    def _send(self, address: str) -> None:
        self.sent += 1
        data = (
            f"REGISTER sip:{self._switch[0]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {address}:{PORT};rport;branch=z9hG4bK-{address}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:1001@{self._switch[0]}>;tag=a\r\nTo: <sip:1001@{self._switch[0]}>\r\n"
            f"Call-ID: {address}\r\nCSeq: 1 REGISTER\r\nContact: <sip:1001@{address}:{PORT}>\r\n"
            "Expires: 3600\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        from_ = struct.pack("=i4s4s", 0, socket.inet_aton(address), bytes(4))
        self._socket.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, from_)], 0, self._switch)

    def _answered(self, patience_s: float) -> Iterator[str]:
        if not select.select([self._socket], [], [], patience_s)[0]:
            return
        for _ in count():
            try:
                data = self._socket.recv(2_000, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            yield data.partition(b"Call-ID: ")[2].partition(b"\r\n")[0].decode()


def main() -> None:
    """Register, and print the result."""
    host, port, number = sys.argv[1:]
    phones = Phones(host, int(port), int(number))
    took_s = phones.register()
    print(f"{number} phones: all but {phones.unanswered} challenged within {took_s:.1f} s, {phones.sent} REGISTERs")


if __name__ == "__main__":
    main()
