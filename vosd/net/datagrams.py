"""Receive datagrams in batches and send them, without releasing Python's global lock.

Python's own socket calls release the lock around each system call. With another thread at work (booking), getting it
back may take a whole switch interval of 5 ms: at 5,000 datagrams a second the 99th percentile of the read delay was 150
ms. These calls never block, so the lock is kept (``ctypes.PyDLL``): 10 ms.
"""

import ctypes
import mmap
import socket
import struct
from typing import Final

from vosd.sip.wire.outgoing import Peer

BATCH: Final = 32
"""Datagrams of one system call."""
DATAGRAM_MAX: Final = 65_536
ADDRESSES_MAX: Final = 4_096
"""Addresses cached in both forms: struct sockaddr, and ``Peer`` or (host, port)."""

_NAME_BYTES: Final = 28
"""Size of struct sockaddr_in6, the longer of the two."""
_NAME_STRIDE: Final = 32
_NAME_WORDS: Final = _NAME_STRIDE // 8
"""Family, port and address of a struct sockaddr_in are its first eight bytes: one number, which needs no copy."""
_STAMP_BYTES: Final = socket.CMSG_SPACE(struct.calcsize("@ll"))
"""Size of the control message with the time at which a datagram came: its header, seconds and microseconds."""
_STAMP_WORDS: Final = _STAMP_BYTES // 8
FIRST_SECONDS: Final = 2
"""Place of the seconds of the first datagram in ``Datagrams.stamps``, behind the header."""

_libc: Final = ctypes.PyDLL(None)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vector", ctypes.POINTER(_Vector)),
        ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint32))


_STRIDE: Final = ctypes.sizeof(_Message) // 4
_LENGTH: Final = _Message.length.offset // 4
"""Offset of the length in each mmsghdr, in 32-bit words."""

_NOT_WAITING: Final = int(socket.MSG_DONTWAIT)

# Without ``argtypes``, whose checks take a third of a call: int is passed as int, bytes as char *, None as NULL.
_receive = _libc.recvmmsg
_send = _libc.sendto
_send.restype = ctypes.c_ssize_t


class Datagrams:
    """Reads and writes one UDP socket; the caller owns and closes the socket."""

    def __init__(self, sock: socket.socket, flow: int) -> None:
        """``flow`` is the index of the listener."""
        self._flow = flow
        self._file = sock.fileno()
        self._is_version6 = sock.family == socket.AF_INET6
        # The kernel gives a page of these when it is first written; ctypes would write zeroes to all 2 MB at once.
        pages = mmap.mmap(-1, BATCH * DATAGRAM_MAX, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._buffer = (ctypes.c_char * len(pages)).from_buffer(pages)
        self._names = (ctypes.c_char * (BATCH * _NAME_STRIDE))()
        self._control = (ctypes.c_char * (BATCH * _STAMP_BYTES))()
        self._vectors = (_Vector * BATCH)()
        self._messages = (_Message * BATCH)()
        for index in range(BATCH):
            self._vectors[index] = _Vector(ctypes.addressof(self._buffer) + index * DATAGRAM_MAX, DATAGRAM_MAX)
            message = self._messages[index].header
            message.name = ctypes.addressof(self._names) + index * _NAME_STRIDE
            message.name_length = _NAME_BYTES
            message.vector = ctypes.pointer(self._vectors[index])
            message.vectors = 1
            message.control = ctypes.addressof(self._control) + index * _STAMP_BYTES
            message.control_length = _STAMP_BYTES
        self._first = ctypes.byref(self._messages)
        self._data = memoryview(self._buffer).cast("B")
        self._sender_bytes = memoryview(self._names).cast("B")
        self._sender_words = self._sender_bytes.cast("Q")
        self._words = memoryview(self._messages).cast("B").cast("I")
        self.stamps = memoryview(self._control).cast("B").cast("q")
        """Times at which the datagrams of the latest batch came, as the kernel writes them where ``SO_TIMESTAMP`` is on
        (``came``); else 0."""
        self._senders_by_name: dict[bytes | int, Peer] = {}
        self._names_by_sender: dict[tuple[str, int], bytes] = {}

    def read(self) -> list[tuple[bytes, Peer]]:
        """Return at most ``BATCH`` received datagrams with their senders; none where an ICMP error is pending.

        The senders that are cached share one object with all their messages in the trace.
        """
        data, words, known = self._data, self._words, self._senders_by_name
        name: bytes | int
        batch = []
        for index in range(_receive(self._file, self._first, BATCH, _NOT_WAITING, None)):
            if self._is_version6:
                name = self._sender_bytes[index * _NAME_STRIDE : index * _NAME_STRIDE + _NAME_BYTES].tobytes()
            else:
                name = self._sender_words[index * _NAME_WORDS]
            sender = known.get(name) or self._sender_of(name, index)
            start = index * DATAGRAM_MAX
            batch.append((data[start : start + words[index * _STRIDE + _LENGTH]].tobytes(), sender))
        return batch

    def came(self) -> list[float]:
        """Return when each datagram of the latest batch came, in seconds of the wall clock."""
        stamps = self.stamps
        return [
            stamps[start] + stamps[start + 1] / 1_000_000
            for start in range(FIRST_SECONDS, BATCH * _STAMP_WORDS, _STAMP_WORDS)
        ]

    def send(self, data: bytes, to: tuple[str, int]) -> bool:
        """Send one datagram; return whether the kernel accepted it."""
        name = self._names_by_sender.get(to) or self._name(to)
        taken: int = _send(self._file, data, len(data), _NOT_WAITING, name, len(name))
        return taken >= 0

    def close(self) -> None:
        """Stop using the socket: the number of a closed file descriptor may soon belong to another file."""
        self._file = -1

    def _sender_of(self, name: bytes | int, index: int) -> Peer:
        """Convert the struct sockaddr of a datagram, and cache the result by its ``name``."""
        if len(self._senders_by_name) >= ADDRESSES_MAX:
            self._senders_by_name.clear()
        start = index * _NAME_STRIDE
        written = self._sender_bytes[start : start + _NAME_BYTES].tobytes()
        (port,) = struct.unpack_from("!H", written, 2)
        if self._is_version6:
            sender = Peer(self._flow, socket.inet_ntop(socket.AF_INET6, written[8:24]), port)
        else:
            sender = Peer(self._flow, socket.inet_ntop(socket.AF_INET, written[4:8]), port)
        self._senders_by_name[name] = sender
        return sender

    def _name(self, to: tuple[str, int]) -> bytes:
        """Convert (host, port) to a struct sockaddr, and cache it; empty where ``host`` is no address of the family."""
        if len(self._names_by_sender) >= ADDRESSES_MAX:
            self._names_by_sender.clear()
        host, port = to
        try:
            if self._is_version6:
                packed = struct.pack("!HI16sI", port, 0, socket.inet_pton(socket.AF_INET6, host), 0)
                name = struct.pack("=H", socket.AF_INET6) + packed
            else:
                name = struct.pack("=H", socket.AF_INET) + struct.pack(
                    "!H4s8x", port, socket.inet_pton(socket.AF_INET, host)
                )
        except (OSError, ValueError):  # bytes that no address has are a ValueError
            return b""
        self._names_by_sender[to] = name
        return name
