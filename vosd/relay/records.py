"""Memory that a relay worker and the switch share: figures of ports, and a sign of life (``vosd.media.record``).

It has no file: it lives as long as one of the two has its descriptor, and no disk delays a write.
"""

import mmap
import os
from collections import deque
from time import monotonic_ns, time_ns
from typing import Final

import msgspec

from vosd.media.figures import PortFigures
from vosd.media.record import BASE_AT, ID, ORDERS_AT, RECORD_BYTES, figures_of, last_packet_ns

RECORDS: Final = 32_768
"""Most ports of a worker, and one: all pairs of the range of ports that the kernel has."""
BYTES: Final = RECORDS * RECORD_BYTES
"""The kernel gives memory for the pages that are written to."""
RESTING: Final = 2_048
"""Records that rest before they are used again: a worker may still write into that of a port that it is to close. So
memory grows with the most ports that were ever open, and not with all calls."""
_LENGTH_BYTES: Final = 2
_NO_LENGTH: Final = bytes(_LENGTH_BYTES)
_USED_BYTES: Final = BASE_AT + _LENGTH_BYTES
"""Bytes of a record without figures of workers before."""
_EMPTY: Final = bytes(_USED_BYTES)
_NS_PER_MS: Final = 1_000_000
_BASE_BYTES: Final = RECORD_BYTES - BASE_AT - _LENGTH_BYTES


class FigureRecords:
    """Records of one worker's ports; that with the number 0 is about the worker: its last turn, messages sent to it."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor`` is from ``new_memory``; it becomes this object's.

        Raises:
            OSError: there is no memory.
        """
        self.descriptor = descriptor
        self.memory = mmap.mmap(descriptor, BYTES)
        self._unused = deque(range(1, RECORDS))
        """Records that no port has had."""
        self._resting: deque[int] = deque()
        """Records of ports that were closed, the one that has rested longest first."""
        self._kept: set[int] = set()
        """Records in use that still stand among the unused ones."""

    def take(self) -> int | None:
        """Return the number of a free record; None = there is none."""
        while self._unused or self._resting:
            has_rested = len(self._resting) > RESTING or not self._unused
            number = (self._resting if has_rested else self._unused).popleft()
            if number not in self._kept:
                return number
            self._kept.discard(number)
        return None

    def keep(self, number: int) -> None:
        """Take a record that is in use: that of a port of an earlier switch, of which there are thousands."""
        self._kept.add(number)

    def give_back(self, number: int) -> None:
        """Free a record."""
        if number in self._kept:
            self._kept.discard(number)
        else:
            self._resting.append(number)

    def begin(self, number: int, before: PortFigures | None) -> None:
        """Clear a record for a port, with its figures of workers before."""
        at = number * RECORD_BYTES
        self.memory[at : at + _USED_BYTES] = _EMPTY
        if before is not None:
            content = msgspec.msgpack.encode(before)
            if len(content) > _BASE_BYTES:  # never: a host has at most 46 characters, a number nine bytes
                return
            start = at + BASE_AT
            self.memory[start : start + _LENGTH_BYTES] = len(content).to_bytes(_LENGTH_BYTES, "big")
            self.memory[start + _LENGTH_BYTES : start + _LENGTH_BYTES + len(content)] = content

    def figures(self, number: int, port: int) -> PortFigures:
        """Return the figures of a port, with those of workers before."""
        start = number * RECORD_BYTES + BASE_AT
        length = self.memory[start : start + _LENGTH_BYTES]
        now = figures_of(self.memory, number * RECORD_BYTES, port, time_ns() - monotonic_ns())
        if length == _NO_LENGTH:
            return now
        content = self.memory[start + _LENGTH_BYTES : start + _LENGTH_BYTES + int.from_bytes(length, "big")]
        return msgspec.msgpack.decode(content, type=PortFigures).plus(now)

    def last_packet_ms(self, number: int, port: int) -> int | None:
        """Return when the last packet came to a port, on the monotonic clock; None = none has. Cheaper than figures."""
        at = number * RECORD_BYTES
        if self.memory[at + BASE_AT : at + BASE_AT + _LENGTH_BYTES] != _NO_LENGTH:
            return self.figures(number, port).alive_mono  # another worker had it
        last_ns = last_packet_ns(self.memory, at, port)
        return last_ns // _NS_PER_MS if last_ns else None

    def turn_at_ns(self) -> int:
        """Return the time of the worker's last turn on the monotonic clock; 0 = it has had none."""
        return int(ID.unpack_from(self.memory)[0])

    def note_orders(self) -> None:
        """Note that a message with orders was sent: the worker looks at that before it takes packets."""
        ID.pack_into(self.memory, ORDERS_AT, ID.unpack_from(self.memory, ORDERS_AT)[0] + 1)

    def close(self) -> None:
        """Give back memory and descriptor."""
        self.memory.close()
        os.close(self.descriptor)


def new_memory() -> int:
    """Return the descriptor of empty memory.

    Raises:
        OSError: there is none.
    """
    descriptor = os.memfd_create("vosd-media", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, BYTES)
    return descriptor
