"""Messages with descriptors over a socket that keeps messages apart, never waiting."""

import array
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

from vosd.relay.protocol import MESSAGE_BYTES

_DESCRIPTORS_MAX: Final = 253
"""Most descriptors of one message (SCM_MAX_FD of Linux)."""
_DESCRIPTOR: Final = "i"
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_DESCRIPTORS_MAX * array.array(_DESCRIPTOR).itemsize)


class ChannelFullError(Exception):
    """The other side has not read for so long that no more messages are kept."""


class MessageChannel:
    """Both directions of a connection. Messages that the kernel does not take yet are kept, in a queue with a limit."""

    __slots__ = ("_buffer", "_limit", "_queue", "sock")

    def __init__(self, sock: socket.socket, limit: int) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._limit = limit
        self._queue: deque[tuple[bytes, Sequence[int]]] = deque()
        # A new one of this size for each message would be mapped by the kernel, page by page.
        self._buffer = memoryview(bytearray(MESSAGE_BYTES))

    @property
    def is_waiting(self) -> bool:
        """Whether messages are kept until the socket can be written to."""
        return bool(self._queue)

    def send(self, content: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a message with copies of descriptors.

        Raises:
            ChannelFullError: too many messages are kept.
            OSError: the other side has ended, or this process may have no more descriptors (``EMFILE``).
        """
        if len(self._queue) >= self._limit:
            raise ChannelFullError
        if self._queue or not self._is_sent(content, descriptors):
            self._queue.append((content, _copies(descriptors)))

    def flush(self) -> bool:
        """Send messages that were kept, as far as the socket takes them; return whether all are; raises OSError."""
        queue = self._queue
        while queue and self._is_sent(*queue[0]):
            close_all(queue.popleft()[1])
        return not queue

    def _is_sent(self, content: bytes, descriptors: Sequence[int]) -> bool:
        try:
            if descriptors:
                rights = array.array(_DESCRIPTOR, descriptors)
                self.sock.sendmsg([content], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            else:
                self.sock.send(content)
        except BlockingIOError:
            return False
        return True

    def receive(self) -> tuple[bytes, list[int]] | None:
        """Return the next message and its descriptors, which are the caller's; None if there is none.

        Raises:
            EOFError: the other side has ended.
            OSError: the connection is broken.
        """
        try:
            size, ancillary, _, _ = self.sock.recvmsg_into([self._buffer], _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        if not size:
            raise EOFError
        descriptors = array.array(_DESCRIPTOR)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        return bytes(self._buffer[:size]), list(descriptors)

    def close(self) -> None:
        """Close the connection; messages that were kept are lost."""
        while self._queue:
            close_all(self._queue.popleft()[1])
        self.sock.close()


def _copies(descriptors: Sequence[int]) -> list[int]:
    copies: list[int] = []
    try:
        copies.extend(os.dup(each) for each in descriptors)
    except OSError:
        close_all(copies)
        raise
    return copies


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for each in descriptors:
        os.close(each)
