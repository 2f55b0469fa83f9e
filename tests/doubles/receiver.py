"""All receivers at once: one socket for all loopback addresses, with the time of each packet."""

import socket
import struct
from threading import Thread
from typing import Final, NamedTuple, Self

_BUFFER_BYTES: Final = 16 * 1024 * 1024
_TIMESTAMP: Final = 35
"""``SO_TIMESTAMPNS`` of Linux, which Python has no name for."""
_ARRIVED_AT: Final = 8
"""``IP_PKTINFO``, likewise: which address a packet was sent to."""
_LOOK_S: Final = 0.1


class Received(NamedTuple):
    """One datagram."""

    at_ms: float
    """When the kernel took it, of its own clock."""
    address: str
    """Where it was sent to."""
    data: bytes


class Receiver:
    """Receives what is sent to any loopback address at one port; a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
        self._socket.setsockopt(socket.IPPROTO_IP, _ARRIVED_AT, 1)
        self._socket.bind(("0.0.0.0", 0))
        self._socket.settimeout(_LOOK_S)
        self.port: int = self._socket.getsockname()[1]
        self.received: list[Received] = []
        self._is_closing = False
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_closing = True
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._is_closing:
            try:
                data, notes, _, _ = self._socket.recvmsg(2_048, 256)
            except TimeoutError:
                continue
            said = {kind: note for _, kind, note in notes}
            seconds, nanoseconds = struct.unpack("qq", said[_TIMESTAMP])
            address = socket.inet_ntoa(said[_ARRIVED_AT][8:12])
            self.received.append(Received(1_000 * seconds + nanoseconds / 1_000_000, address, data))
