"""Messages of netlink: attributes, and requests that the kernel answers at once."""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Final

ROUTES: Final = 0
"""NETLINK_ROUTE."""
IPSEC: Final = 6
"""NETLINK_XFRM."""
NETFILTER: Final = 12
"""NETLINK_NETFILTER."""
REQUEST: Final = 0x1
ACKNOWLEDGE: Final = 0x4
DUMP: Final = 0x300
ERROR: Final = 2
DONE: Final = 3
NESTED: Final = 0x8000
HEADER: Final = struct.Struct("=IHHII")
"""Length, type, flags, sequence number, port."""
_ATTRIBUTE: Final = struct.Struct("=HH")
_CODE: Final = struct.Struct("=i")
_KIND: Final = 0x3FFF
_ALIGNED: Final = 4
_REPLY_BYTES: Final = 65_536

Message = tuple[int, bytes]
"""Type and content."""


def attribute(kind: int, content: bytes) -> bytes:
    """Return an attribute."""
    size = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(size, kind) + content + bytes(-size % _ALIGNED)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds others."""
    return attribute(kind | NESTED, b"".join(attributes))


def number(kind: int, value: int) -> bytes:
    """Return an attribute with a number of 32 bits, as netfilter has them."""
    return attribute(kind, struct.pack(">I", value & 0xFFFF_FFFF))


def text(kind: int, value: str) -> bytes:
    """Return an attribute with a name."""
    return attribute(kind, value.encode() + b"\0")


def attributes_of(content: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of attributes."""
    while start + _ATTRIBUTE.size <= len(content):
        size, kind = _ATTRIBUTE.unpack_from(content, start)
        if size < _ATTRIBUTE.size:
            return
        yield kind & _KIND, content[start + _ATTRIBUTE.size : start + size]
        start += size + -size % _ALIGNED


def messages_of(data: bytes) -> Iterator[Message]:
    """Yield the messages of one datagram of the kernel."""
    start = 0
    while start + HEADER.size <= len(data):
        size, kind, _, _, _ = HEADER.unpack_from(data, start)
        if size < HEADER.size:
            return
        yield kind, data[start + HEADER.size : start + size]
        start += size + -size % _ALIGNED


def error_of(content: bytes) -> int:
    """Return the error number of a message of the kind ``ERROR`` or ``DONE``; 0 = none, it acknowledges."""
    return -int(_CODE.unpack_from(content)[0]) if len(content) >= _CODE.size else 0


class Netlink:
    """A connection to the kernel, which answers before it returns from what was sent: nothing here waits."""

    def __init__(self, protocol: int, groups: int = 0) -> None:
        """``groups`` is a mask of those whose notes are received; raises OSError."""
        self.sock = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol
        )
        try:
            self.sock.bind((0, groups))
        except OSError:
            self.sock.close()
            raise
        self._sequence = 0

    @property
    def port(self) -> int:
        """Number that no other connection of this protocol has in this network: that of the process, if it is free."""
        return int(self.sock.getsockname()[0])

    def message(self, kind: int, flags: int, content: bytes) -> bytes:
        """Return a message as it is sent."""
        self._sequence += 1
        return HEADER.pack(HEADER.size + len(content), kind, flags | REQUEST, self._sequence, 0) + content

    def send(self, messages: Sequence[bytes]) -> None:
        """Send messages as one datagram; raises OSError."""
        self.sock.send(b"".join(messages))

    def receive(self) -> list[Message]:
        """Return some messages of the kernel; none if there are none.

        Raises:
            OSError: ENOBUFS, notes were lost.
        """
        try:
            return list(messages_of(self.sock.recv(_REPLY_BYTES)))
        except BlockingIOError:
            return []

    def request(self, messages: Sequence[bytes]) -> list[Message]:
        """Send messages; return what the kernel says of them, but for acknowledgements.

        Raises:
            OSError: it refuses one of them.
        """
        self.send(messages)
        said: list[Message] = []
        failed = 0
        is_acknowledged = False
        while found := self.receive():
            for kind, content in found:
                if kind != ERROR:
                    said.append((kind, content))
                else:
                    is_acknowledged = True
                    failed = failed or error_of(content)
        if not failed and not said and not is_acknowledged:
            failed = errno.ENOMSG
        if failed:
            raise OSError(failed, os.strerror(failed))
        return said

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()
