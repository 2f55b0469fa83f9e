"""The messages of one call, and rooms that hold such records within a bound of memory.

Messages that have waited for a while are compressed: those of one call repeat each other. Does not read messages.
"""

import zlib
from collections import OrderedDict
from enum import Enum
from typing import Final

import msgspec

from vosd.obs.traced import Direction
from vosd.sip.screening import ACCEPT, ALLOW, SUPPORTED_HEADER
from vosd.sip.wire.outgoing import Peer

MESSAGE_OVERHEAD_BYTES: Final = 240
"""Largest cost of a message beside its own bytes: its entry and two numbers."""
RECORD_OVERHEAD_BYTES: Final = 1_300
"""Largest cost of a record beside its messages and Call-IDs: its parts, its places in the tables of the trace, and two
peers, shared by its messages.
"""
CALL_ID_OVERHEAD_BYTES: Final = 200
"""Largest cost of a Call-ID beside its own characters: two references, and its place in a table."""
PACKED_OVERHEAD_BYTES: Final = 80
MESSAGES_MAX: Final = 256
"""The oldest messages of a longer record are dropped first when memory is needed, so that no call takes all of it."""
LEGS_MAX: Final = 16
"""More than one call has; if a caller uses a Call-ID again, the later ones are kept."""
_SHED: Final = 64
_WINDOW_BITS: Final = -13
"""Eight kilobytes, which hold the messages of a call; no header and no checksum (raw deflate)."""
_MEMORY_LEVEL: Final = 4
_LEVEL: Final = 3
_USUAL: Final = (
    f"{SUPPORTED_HEADER}{ACCEPT}Session-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n"
    "Require: timer\r\nRecord-Route: <sip:;lr>\r\n"
    "SIP/2.0 180 Ringing\r\nSIP/2.0 183 Session Progress\r\nUser-Agent: Server: Content-Length: 0\r\n\r\n"
    "v=0\r\no=- 0 0 IN IP4 \r\ns=-\r\nc=IN IP4 \r\nt=0 0\r\nm=audio  RTP/AVP 8 0 18 101\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\nContent-Type: application/sdp\r\nContent-Length: "
    f"{ALLOW}Max-Forwards: 70\r\nCSeq: 1 ACK\r\nACK sip:SIP/2.0 100 Trying\r\nSIP/2.0 200 OK\r\nCall-ID: "
    "INVITE sip:@ SIP/2.0\r\nVia: SIP/2.0/UDP ;rport;branch=z9hG4bK\r\nFrom: <sip:>;tag=\r\nTo: <sip:\r\n"
    "Contact: <sip:@>\r\nCSeq: 1 INVITE\r\n"
).encode()
"""Common content of messages: the dictionary that compression begins with, so that the first of them is short, too."""

Entry = tuple[int, int, Direction, Peer, bytes]
"""One message: position, UTC milliseconds, direction, peer, bytes; a plain tuple, because one is made for every
message.

The position is the number of messages kept up to this one: it orders messages of one millisecond. The bytes are those
received or sent: nothing is copied.
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class CallOutcome(Enum):
    """The outcome of a call."""

    OPEN = "it goes on, or there is none"
    WELL = "it was answered, and a party hung up"
    FAILED = "it ended in any other way"


_OPEN: Final = CallOutcome.OPEN  # access to enum members is slow


class CallMessages:
    """Every message of one call, in order; or those with one Call-ID that no call has.

    Calls that share a Call-ID share a record: a call that the caller tries again, and the calls of a transfer.
    """

    __slots__ = (
        "attempts", "began_at", "call_ids", "calls", "entries", "has_final", "outcome", "packed",
        "packed_messages", "room", "size_bytes", "together",
    )  # fmt: skip

    def __init__(self, began_at: int, call_ids: tuple[str, ...] = ()) -> None:
        self.began_at = began_at
        """UTC milliseconds of the first message."""
        self.entries: list[Entry] = []
        """The latest messages, not compressed."""
        self.packed: tuple[bytes, ...] = ()
        """Earlier messages, compressed."""
        self.packed_messages = 0
        self.has_final = False
        """Whether an INVITE was answered in a compressed message."""
        self.calls: tuple[str, ...] = ()
        """Ids of the calls that run."""
        self.call_ids = call_ids
        """The Call-IDs of its legs, the caller's first."""
        self.together: tuple[tuple[str, str], ...] = ()
        """Call-IDs and gateways of legs that rang together, once the call is over."""
        self.attempts = 0
        """Number of attempts of the running call among them."""
        self.outcome = _OPEN
        self.room: Room | None = None
        """The room that holds it; None = it was dropped, and nothing is added to it any more."""
        self.size_bytes = RECORD_OVERHEAD_BYTES + CALL_ID_OVERHEAD_BYTES * len(call_ids) + sum(map(len, call_ids))

    def all_entries(self) -> list[Entry]:
        """Return all messages, oldest first."""
        if not self.packed:
            return self.entries
        return [entry for part in self.packed for entry in _unpacked(part)] + self.entries

    def name_legs(self, call_ids: tuple[str, ...]) -> tuple[str, ...]:
        """Add Call-IDs behind those it has; return the ones that had to go for them."""
        before = self.call_ids
        named = tuple(dict.fromkeys((*before, *call_ids)))
        named = named[:1] + named[1:][-LEGS_MAX:]
        gone = tuple(set(before).difference(named))
        self.call_ids = named
        more = CALL_ID_OVERHEAD_BYTES * (len(named) - len(before)) + sum(map(len, named)) - sum(map(len, before))
        self.size_bytes += more
        if self.room is not None:
            self.room.held_bytes += more
        return gone

    def absorb(self, other: "CallMessages") -> None:
        """Take over the messages of another record, in their order."""
        entries = sorted(self.all_entries() + other.all_entries())
        self.began_at = min(self.began_at, other.began_at)
        self._change_size(_cost_of(entries) - self._cost_of_messages())
        self.entries, self.packed, self.packed_messages = entries, (), 0

    def pack(self) -> None:
        """Compress the messages that are not compressed yet."""
        entries, self.entries = self.entries, []
        squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zdict=_USUAL)
        part = squeeze.compress(_encode(entries)) + squeeze.flush()
        self.packed += (part,)
        self.packed_messages += len(entries)
        self._change_size(len(part) + PACKED_OVERHEAD_BYTES - _cost_of(entries))

    def shorten(self) -> bool:
        """Drop some of the oldest of more than ``MESSAGES_MAX`` messages; return whether there were more."""
        if self.packed_messages + len(self.entries) <= MESSAGES_MAX:
            return False
        if self.packed:
            first, self.packed = self.packed[0], self.packed[1:]
            self.packed_messages -= len(_unpacked(first))
            self._change_size(-len(first) - PACKED_OVERHEAD_BYTES)
        else:
            self._change_size(-_cost_of(self.entries[:_SHED]))
            del self.entries[:_SHED]
        return True

    def _cost_of_messages(self) -> int:
        return _cost_of(self.entries) + sum([len(part) + PACKED_OVERHEAD_BYTES for part in self.packed])

    def _change_size(self, by_bytes: int) -> None:
        self.size_bytes += by_bytes
        if self.room is not None:
            self.room.held_bytes += by_bytes


class Room:
    """Records in the order of their age, with what they cost."""

    def __init__(self, limit_bytes: int) -> None:
        self.by_age: OrderedDict[CallMessages, None] = OrderedDict()
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        """Cost of all its content; who adds a message to a record in it adds its cost here."""

    def __len__(self) -> int:
        return len(self.by_age)

    def admit(self, messages: CallMessages) -> None:
        """Add a record as the youngest."""
        messages.room = self
        self.by_age[messages] = None
        self.held_bytes += messages.size_bytes

    def oldest(self) -> CallMessages:
        """Return the oldest record."""
        return next(iter(self.by_age))

    def spare(self, messages: CallMessages) -> None:
        """Let a record be the youngest."""
        self.by_age.move_to_end(messages)


def _unpacked(part: bytes) -> list[Entry]:
    return _decode(zlib.decompressobj(_WINDOW_BITS, zdict=_USUAL).decompress(part))


def _cost_of(entries: list[Entry]) -> int:
    return sum([len(entry[4]) for entry in entries]) + MESSAGE_OVERHEAD_BYTES * len(entries)
