"""The messages with one Call-ID, and rooms that hold such legs within a bound of memory.

Owns the accounting: who writes to a room removes the oldest legs while it is overfull. Does not read messages.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final

from vosd.obs.traced import Direction
from vosd.sip.wire.compose import Peer

MESSAGE_OVERHEAD_BYTES: Final = 240
"""Largest cost of a message beside its own bytes: its entry and two numbers."""
LEG_OVERHEAD_BYTES: Final = 1_000
"""Largest cost of a leg beside its messages and Call-ID: its entry, its share in the list of the legs of its call, and
two peers, shared by its messages.
"""
MESSAGES_MAX: Final = 256
"""The oldest messages of a longer leg are dropped first when memory is needed, so that no leg takes all of it."""
LEGS_MAX: Final = 16
"""More than one call has; if a caller uses a Call-ID again, the later ones are kept."""
_SHED: Final = 64

Entry = tuple[int, int, Direction, Peer, bytes]
"""One message: position, UTC milliseconds, direction, peer, bytes; a plain tuple, because one is made for every
message.

The position is the number of bytes written to the buffer up to this message: it orders messages of one millisecond. The
bytes are those received or sent: nothing is copied.
"""


class CallOutcome(Enum):
    """The outcome of the call that a leg belongs to."""

    OPEN = "it goes on, or there is none"
    WELL = "it was answered, and a party hung up"
    FAILED = "it ended in any other way"


class LegMessages:
    """Every message with one Call-ID, in order."""

    __slots__ = ("call_id", "call_ids", "entries", "outcome")

    def __init__(self, call_id: bytes) -> None:
        self.call_id = call_id
        self.entries: list[Entry] = []
        self.outcome = CallOutcome.OPEN
        self.call_ids: tuple[bytes, ...] = ()
        """The Call-IDs of all legs of its call, the caller's first; empty until the call has ended."""

    def belongs_to(self, call_ids: tuple[bytes, ...], outcome: CallOutcome) -> None:
        """Record the end of the call; it is merged with an earlier one of the same Call-ID."""
        if self.call_ids:
            call_ids = tuple(dict.fromkeys((*self.call_ids, *call_ids)))
            call_ids = call_ids[:1] + call_ids[1:][-LEGS_MAX:]
        self.call_ids = call_ids
        if self.outcome is not CallOutcome.FAILED:
            self.outcome = outcome

    @property
    def standing_bytes(self) -> int:
        """Cost without its messages; the Call-ID is stored here and in the list of legs."""
        return LEG_OVERHEAD_BYTES + 2 * len(self.call_id)

    @property
    def size_bytes(self) -> int:
        """Total cost."""
        return self.standing_bytes + cost_of(self.entries)


def cost_of(entries: Sequence[Entry]) -> int:
    """Return what messages cost in a room, in bytes."""
    return sum([len(entry[4]) for entry in entries]) + MESSAGE_OVERHEAD_BYTES * len(entries)


class Room:
    """Legs in the order of their age."""

    __slots__ = ("_limit_bytes", "by_age", "by_call_id", "full_at", "written")

    def __init__(self, limit_bytes: int) -> None:
        self.by_call_id: dict[bytes, LegMessages] = {}
        self._limit_bytes = limit_bytes
        self.by_age: deque[LegMessages] = deque()
        """The oldest first."""
        self.written = 0
        """Number of bytes ever added."""
        self.full_at = limit_bytes
        """Limit of ``written``; grows by whatever is removed, so that adding needs one sum and one comparison."""

    @property
    def held_bytes(self) -> int:
        """Cost of all its content."""
        return self.written - (self.full_at - self._limit_bytes)

    @property
    def is_overfull(self) -> bool:
        """Return whether something must be removed."""
        return self.written > self.full_at

    def admit(self, leg_messages: LegMessages) -> None:
        """Add a leg as the youngest."""
        self.by_call_id[leg_messages.call_id] = leg_messages
        self.by_age.append(leg_messages)
        self.written += leg_messages.size_bytes

    def add(self, leg_messages: LegMessages, entry: Entry) -> None:
        """Add a message to a leg that is in the room."""
        leg_messages.entries.append(entry)
        self.written += cost_of((entry,))

    def pass_on(self, size_bytes: int) -> int:
        """Count bytes that are stored elsewhere, and return their position."""
        self.written += size_bytes
        self.full_at += size_bytes
        return self.written

    def dismiss_oldest(self) -> None:
        """Remove the oldest leg."""
        leg_messages = self.by_age.popleft()
        del self.by_call_id[leg_messages.call_id]
        self.full_at += leg_messages.size_bytes

    def shorten(self, leg_messages: LegMessages) -> bool:
        """Drop a few of the oldest messages of a leg with more than ``MESSAGES_MAX``; return whether it had more."""
        entries = leg_messages.entries
        if len(entries) <= MESSAGES_MAX:
            return False
        self.full_at += cost_of(entries[:_SHED])
        del entries[:_SHED]
        return True
