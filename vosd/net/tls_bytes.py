"""Bytes of a connection over TLS that are no data.

A peer may send changes of its keys without end (RFC 8446 section 4.6.3), 27 bytes each. They never reach the reader of
the connection, and each costs as much as a message: an unknown source could have all of the time that calls need.
OpenSSL has no limit for them, so what the kernel has received is compared with what was data.
"""

import socket
import struct
from typing import Final, Protocol

UNKNOWN_LOOK_S: Final = 0.1
LOOK_S: Final = 5.0
"""Intervals at which the bytes are compared, of an unknown source and of others."""
OF_UNKNOWN_MAX: Final = 24 * 1024
"""Most bytes beside the data of an unknown source on its connection: one record is received in parts, and some more
wait in the kernel (``UNKNOWN_BYTES``).
"""
IN_LOOK_MAX: Final = 1024 * 1024
"""Most bytes beside the data of others in one interval: more than can wait to be read."""
BYTES_FOR_ONE: Final = 8
"""Bytes of TLS that come with one byte of data: a keep-alive of four has 26 in all."""
_RECEIVED: Final = struct.Struct("@128xQ")
"""Linux: number of bytes that a connection has brought, in ``tcp_info``."""


class Kernel(Protocol):
    """A socket that can be asked for its options."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """Return the bytes of an option."""

    def fileno(self) -> int:
        """Return the number of its file; negative = it is closed, below TLS a turn before the connection is lost."""


class TlsBytes:
    """The bytes of one connection, as they were sent and of its data."""

    __slots__ = ("_looked_at", "_sock", "data")

    def __init__(self, sock: Kernel) -> None:
        """Begin behind the handshake."""
        self._sock = sock
        self.data = 0
        """Number of bytes that the peer has sent as data."""
        self._looked_at = self._brought(), 0
        """Bytes that the connection had brought, and those of data, since which others are counted."""

    def has_too_many(self, *, is_unknown: bool) -> bool:
        """Return whether far more bytes came than data; call it at each look, while what came is being read."""
        (brought, data), now = self._looked_at, (self._brought(), self.data)
        if not is_unknown:
            self._looked_at = now
        most = OF_UNKNOWN_MAX if is_unknown else IN_LOOK_MAX
        return now[0] - brought > most + BYTES_FOR_ONE * (now[1] - data)

    def _brought(self) -> int:
        if self._sock.fileno() < 0:
            return 0
        [brought] = _RECEIVED.unpack(self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size))
        return int(brought)
