"""ICMP errors about datagrams that one UDP socket has sent: which of them can never arrive (RFC 3261 section 18.4).

The kernel queues an error only if the datagram that it quotes was sent from the address of the socket (Linux ip(7),
``IP_RECVERR``). Addresses can be guessed: the receiver of an error compares the quoted bytes, too. Knows no SIP.
"""

import socket
import struct
from collections.abc import Iterator
from typing import Final

ERRORS_AT_ONCE: Final = 64
"""Most errors read in one turn; the kernel keeps the rest."""
ERRORS_A_SECOND: Final = 2_000
"""Most errors that are read in a second; more are forged or useless, and fill the buffer of the socket."""

_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_OPTIONS: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_RECVERR),
    socket.AF_INET6: (socket.IPPROTO_IPV6, _IPV6_RECVERR),
}
_MSG_ERRQUEUE: Final = 0x2000
_QUOTED_BYTES: Final = 2_048
_ANCILLARY_BYTES: Final = 512
_ERROR: Final = struct.Struct("=IBBB")
"""Beginning of struct sock_extended_err: errno, origin, type, code."""
_FRAGMENTATION_NEEDED: Final = 4
_FINAL_TYPES: Final = {2: (3, 12), 3: (1, 4)}
"""By origin (2 = ICMP, 3 = ICMPv6) the types that RFC 3261 section 18.4 means: unreachable, parameter problem."""


def enable(sock: socket.socket, *, wanted: bool) -> None:
    """Let the kernel queue errors of this socket, or drop those that are queued and queue no more."""
    sock.setsockopt(*_OPTIONS[sock.family], int(wanted))


def queued(sock: socket.socket) -> Iterator[tuple[bytes, str, int] | None]:
    """Read queued errors, at most ``ERRORS_AT_ONCE``: quoted bytes, host and port of the datagram.

    Yields None for an error that does not mean that the peer cannot be reached. An error that is not read fails the
    next system call on the socket, whatever it is for, and keeps the event loop awake.
    """
    for _ in range(ERRORS_AT_ONCE):
        try:
            quoted, ancillary, _, address = sock.recvmsg(_QUOTED_BYTES, _ANCILLARY_BYTES, _MSG_ERRQUEUE)
        except OSError:  # there is none left
            return
        is_final = any(_is_final(text) for level, kind, text in ancillary if (level, kind) == _OPTIONS[sock.family])
        yield (quoted, address[0], address[1]) if is_final else None


def _is_final(error: bytes) -> bool:
    _, origin, kind, code = _ERROR.unpack_from(error)
    if kind not in _FINAL_TYPES.get(origin, ()):
        return False
    return (origin, kind, code) != (2, 3, _FRAGMENTATION_NEEDED)
