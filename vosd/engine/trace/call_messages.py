"""What was said under one Call-ID, and rooms that hold such conversations within a bound of memory.

Owns the accounting: whoever writes to a room lets the oldest go while it is overfull. Refuses to read messages.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final

from vosd.obs.traced import Direction
from vosd.sip.wire.compose import Peer

MESSAGE_OVERHEAD_BYTES: Final = 240
"""What a message costs beside its own bytes, at most: its entry and two numbers."""
CONVERSATION_OVERHEAD_BYTES: Final = 1_000
"""What a conversation costs beside its messages and Call-ID, at most: its place, its share in the list of the legs of
its call, and two peers, shared by its messages."""
MESSAGES_MAX: Final = 256
"""A conversation that is longer loses its oldest messages first when room is needed: none takes it all."""
LEGS_MAX: Final = 16
"""More than one call has; where a caller uses a Call-ID again, the later ones stay."""
_SHED: Final = 64

Entry = tuple[int, int, Direction, Peer, bytes]
"""One message: position, UTC milliseconds, way, peer, bytes; a plain tuple, for one is made with every message.

The position is how many bytes had been written to the ring with this message: it puts those of one millisecond in
order. The bytes are those that came or went: nothing is copied.
"""


class Fate(Enum):
    """What has become of the call that a conversation belongs to."""

    OPEN = "it goes on, or there is none"
    WELL = "it was answered, and a party hung up"
    FAILED = "it ended in any other way"


class Conversation:
    """Every message with one Call-ID, in order."""

    __slots__ = ("call_id", "entries", "fate", "legs")

    def __init__(self, call_id: bytes) -> None:
        self.call_id = call_id
        self.entries: list[Entry] = []
        self.fate = Fate.OPEN
        self.legs: tuple[bytes, ...] = ()
        """The Call-IDs of all legs of its call, the caller's first; empty until the call has ended."""

    def belongs_to(self, legs: tuple[bytes, ...], fate: Fate) -> None:
        """Write down a call that has ended; with an earlier one of the same Call-ID it becomes one story."""
        if self.legs:
            legs = tuple(dict.fromkeys((*self.legs, *legs)))
            legs = legs[:1] + legs[1:][-LEGS_MAX:]
        self.legs = legs
        if self.fate is not Fate.FAILED:
            self.fate = fate

    @property
    def standing_bytes(self) -> int:
        """What it costs without its messages; the Call-ID is here and in the list of legs."""
        return CONVERSATION_OVERHEAD_BYTES + 2 * len(self.call_id)

    @property
    def size_bytes(self) -> int:
        """What it costs in all."""
        return self.standing_bytes + cost_of(self.entries)


def cost_of(entries: Sequence[Entry]) -> int:
    """Return what messages cost in a room, in bytes."""
    return sum([len(entry[4]) for entry in entries]) + MESSAGE_OVERHEAD_BYTES * len(entries)


class Room:
    """Conversations in the order of their age."""

    __slots__ = ("_limit_bytes", "by_age", "conversations", "full_at", "written")

    def __init__(self, limit_bytes: int) -> None:
        self.conversations: dict[bytes, Conversation] = {}
        self._limit_bytes = limit_bytes
        self.by_age: deque[Conversation] = deque()
        """The oldest first."""
        self.written = 0
        """Bytes ever taken in."""
        self.full_at = limit_bytes
        """What ``written`` may be; moves on by whatever leaves, so that a writer has one sum and one comparison."""

    @property
    def held_bytes(self) -> int:
        """What everything in it costs."""
        return self.written - (self.full_at - self._limit_bytes)

    @property
    def is_overfull(self) -> bool:
        """Whether something has to leave."""
        return self.written > self.full_at

    def admit(self, conversation: Conversation) -> None:
        """Take a conversation in as the youngest."""
        self.conversations[conversation.call_id] = conversation
        self.by_age.append(conversation)
        self.written += conversation.size_bytes

    def add(self, conversation: Conversation, entry: Entry) -> None:
        """Write one more message of a conversation that is here."""
        conversation.entries.append(entry)
        self.written += cost_of((entry,))

    def pass_on(self, size_bytes: int) -> int:
        """Count bytes that are written elsewhere and return their position."""
        self.written += size_bytes
        self.full_at += size_bytes
        return self.written

    def dismiss_oldest(self) -> None:
        """Let the oldest conversation go."""
        conversation = self.by_age.popleft()
        del self.conversations[conversation.call_id]
        self.full_at += conversation.size_bytes

    def shorten(self, conversation: Conversation) -> bool:
        """Take a few of its oldest messages off a conversation of more than ``MESSAGES_MAX``; say whether it was."""
        entries = conversation.entries
        if len(entries) <= MESSAGES_MAX:
            return False
        self.full_at += cost_of(entries[:_SHED])
        del entries[:_SHED]
        return True
