"""Trace: the messages of running calls, and those of failed calls, within two limits of memory.

The messages of a turn are added to the record of their call, which the switch names: nothing is searched (ADR 44).
Those of timers, and of no call, are found by their Call-ID. The record is dropped when its call has ended well, unless
calls are followed, and kept among the failed ones otherwise. Messages of unknown sources have a small room of their own
until a call has their Call-ID, as after a challenge; registrations, which phones send in large numbers, are not kept.
Does not format messages.
"""

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from vosd.b2bua import states
from vosd.b2bua.call_port import CallPort
from vosd.base.clock import Instant
from vosd.cdr.record import CallRecord
from vosd.engine.settings import TraceSettings
from vosd.engine.trace.call_messages import MESSAGE_OVERHEAD_BYTES, CallMessages, CallOutcome, Entry, Room
from vosd.obs.traced import Direction
from vosd.sip.wire.outgoing import Datagram, Peer

SET_UP_WITHIN_MS: Final = 180_000
"""A call in set-up is not removed for so long: RFC 3261 section 16.6 gives INVITEs three minutes."""
PACKED_AFTER_MS: Final = 1_000
"""Messages of a call that runs are compressed after so long: most of the calls that fail have ended by then."""
PACKED_AT_ONCE: Final = 4
"""Most records that one new call may compress."""
PACK_EVERY_MS: Final = 50
"""Pause of the new calls that look for some, where none is left."""
UNKNOWN_BYTES: Final = 256 * 1024
"""Room for messages of unknown sources."""
_SPARED_AT_ONCE: Final = 4
"""Most records of calls in set-up that one message may skip, so that its cost does not depend on their number."""
_CALL_ID: Final = b"\r\nCall-ID: "
_CALL_ID_LENGTH: Final = len(_CALL_ID)
_OTHERWISE_WRITTEN: Final = re.compile(rb"^(?:call-id|i)[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_SEARCHED_BYTES: Final = 4_096
"""Bytes searched for an unusual Call-ID: junk of 64 KiB must cost little."""
_FINAL: Final = tuple(f"SIP/2.0 {digit}".encode() for digit in range(2, 7))
_BEGIN_NOTHING: Final = (b"SIP/", b"ACK ", b"BYE ", b"REGISTER ")
"""First bytes of messages for which no record is begun: late ones of a call whose record was dropped, registrations."""

_IN, _OUT = Direction  # access to enum members is slow
_OPEN, _WELL, _FAILED = CallOutcome


class Traced(NamedTuple):
    """One message, and the leg of its call (0 = the caller's)."""

    leg: int
    entry: Entry


class MessageMirror(Protocol):
    """Copies messages as they come and go (``engine.trace.hep_mirror``)."""

    def turn(self, call: CallPort, now: Instant, source: Peer, data: bytes, sent: Sequence[Datagram]) -> None:
        """Copy a message of a call, and those that were sent for it."""

    def message(self, at: int, direction: Direction, peer: Peer, data: bytes) -> None:
        """Copy a message that belongs to no event of a call."""

    def ended(self, record: CallRecord, messages: Iterable[Traced], *, has_failed: bool) -> None:
        """Copy what is due at the end of a call."""


class CallTraces:
    """The records of calls. Holds at most both limits of its settings together, and ``UNKNOWN_BYTES``."""

    def __init__(self, settings: TraceSettings, knows: Callable[[str, int], bool]) -> None:
        """``knows`` returns whether a host and port belong to a known source."""
        self._knows = knows
        self.mirror: MessageMirror | None = None
        """Copies messages for a capture server; None = there is none."""
        self.is_followed = False
        """Whether new calls are followed: then messages of unknown sources and of calls that ended well are kept."""
        self._recent = Room(settings.recent_bytes)
        self._failed = Room(settings.failed_bytes)
        self._unknown = Room(min(UNKNOWN_BYTES, settings.recent_bytes))
        """Nothing of it is shown."""
        self.of_calls: dict[str, CallMessages] = {}
        """By the ids of running calls; who finds none there begins one by ``begin_call``."""
        self._by_call_id: dict[str, CallMessages] = {}
        self._unpacked: OrderedDict[CallMessages, None] = OrderedDict()
        """Records with messages that are not compressed, in the order of the first of these; none that was dropped."""
        self._pack_at = 0
        self._position = 0

    # -- in -----------------------------------------------------------------------------------------------------

    def begin_call(self, call: CallPort, at: int) -> CallMessages | None:
        """Begin the record of a running call; one that has its Call-ID already is continued.

        None after the end of the call. ``at`` is in UTC milliseconds.
        """
        if call.state is states.OVER:
            return None
        if at >= self._pack_at:
            self._pack(at)
        arrival, attempts, by_call_id = call.arrival, call.journey.sip_call_ids_out, self._by_call_id
        call_ids = (arrival.sip_call_id_in, *attempts)
        messages = by_call_id.get(arrival.sip_call_id_in)
        if messages is None and by_call_id.keys().isdisjoint(call_ids):
            messages = CallMessages(at, call_ids)
            for call_id in call_ids:
                by_call_id[call_id] = messages
            self._recent.admit(messages)
        else:
            messages = self._continued(messages, call_ids, at)
        messages.calls += (arrival.call_id,)
        messages.attempts = len(attempts)
        self.of_calls[arrival.call_id] = messages
        return messages

    def turn(
        self, call: CallPort, messages: CallMessages, now: Instant, source: Peer, data: bytes, sent: Sequence[Datagram]
    ) -> None:
        """Keep a message of a call, and what was sent for it; ``messages`` is the record that the call had before."""
        if self.mirror is not None:
            self.mirror.turn(call, now, source, data, sent)
        room = messages.room
        if room is None:
            return  # the call has ended well
        attempts = call.journey.sip_call_ids_out
        if messages.attempts != len(attempts):
            messages.attempts = len(attempts)
            self._name(messages, (call.arrival.sip_call_id_in, *attempts))
        entries = messages.entries
        if not entries:
            self._unpacked[messages] = None
        position = self._position + 1
        size = len(data) + MESSAGE_OVERHEAD_BYTES
        at = now.wall
        entries.append((position, at - now.waited_ms, _IN, source, data))
        for datagram in sent:
            position += 1
            size += len(datagram.data) + MESSAGE_OVERHEAD_BYTES
            entries.append((position, at, _OUT, datagram.peer, datagram.data))
        self._position = position
        messages.size_bytes += size
        room.held_bytes += size
        if room.held_bytes > room.limit_bytes:
            self._make_room(room, messages, at)

    def message(self, at: int, direction: Direction, peer: Peer, data: bytes) -> None:
        """Keep one received or sent message that belongs to no event of a call."""
        if self.mirror is not None:
            self.mirror.message(at, direction, peer, data)
        start = data.find(_CALL_ID) + _CALL_ID_LENGTH
        if start >= _CALL_ID_LENGTH:
            call_id = data[start : data.find(b"\r\n", start)].strip().decode("utf-8", "surrogateescape")
        else:
            call_id = _call_id_of(data)
        messages = self._by_call_id.get(call_id)
        if messages is None:
            if not call_id or data.startswith(_BEGIN_NOTHING):
                return
            messages = CallMessages(at)
            is_known = direction is _OUT or self.is_followed or self._knows(peer.host, peer.port)
            (self._recent if is_known else self._unknown).admit(messages)
            self._name(messages, (call_id,))
        if not messages.entries:
            self._unpacked[messages] = None
        self._position += 1
        messages.entries.append((self._position, at, direction, peer, data))
        size = len(data) + MESSAGE_OVERHEAD_BYTES
        messages.size_bytes += size
        room = messages.room
        if room is not None:
            room.held_bytes += size
            if room.held_bytes > room.limit_bytes:
                self._make_room(room, messages, at)

    def ended(self, call_id: str, sip_call_ids: tuple[str, ...], outcome: CallOutcome, at: int) -> None:
        """Note the end of a call with these legs, the caller's first; it may be one that was refused at once."""
        messages = self.of_calls.pop(call_id, None) or self._by_call_id.get(sip_call_ids[0])
        if messages is None:
            if outcome is _WELL:
                return
            messages = CallMessages(at)
            self._recent.admit(messages)
        if messages.calls != (call_id,):
            messages.calls = tuple(each for each in messages.calls if each != call_id)
        else:
            messages.calls = ()
        if outcome is _FAILED:
            messages.outcome = _FAILED
        if messages.calls:
            return  # it goes on with the other call of a transfer
        if messages.outcome is _FAILED:
            self._name(messages, sip_call_ids)
            self._move(messages, self._failed)
            self._make_room(self._failed, messages, at)
        elif self.is_followed:
            messages.outcome = _WELL
        else:
            self._drop(messages)

    # -- out ----------------------------------------------------------------------------------------------------

    @property
    def held_bytes(self) -> int:
        """Cost of all messages."""
        return self._recent.held_bytes + self._failed.held_bytes + self._unknown.held_bytes

    def call_of(self, sip_call_ids: Iterable[str]) -> list[Traced]:
        """Return the messages of an ended call, in order, by any one of its Call-IDs."""
        found = [self._by_call_id[call_id] for call_id in sip_call_ids if call_id in self._by_call_id]
        return self.messages(dict.fromkeys(call_id for each in found for call_id in each.call_ids))

    def note_together(self, call_id: str, together: tuple[tuple[str, str], ...]) -> None:
        """Note the gateways of legs of a running call that rang together, by their Call-IDs."""
        messages = self.of_calls.get(call_id)
        if messages is not None:
            messages.together = together

    def together_in(self, sip_call_ids: Iterable[str]) -> list[tuple[int, str]]:
        """Return the legs of ``call_of`` that rang together, and the gateway of each."""
        found = [self._by_call_id[call_id] for call_id in sip_call_ids if call_id in self._by_call_id]
        legs = {
            call_id: leg for leg, call_id in enumerate(dict.fromkeys(one for each in found for one in each.call_ids))
        }
        pairs = dict(pair for each in found for pair in each.together)
        return [(legs[call_id], gateway) for call_id, gateway in pairs.items() if call_id in legs]

    def messages(self, sip_call_ids: Iterable[str], after: int = 0) -> list[Traced]:
        """Return the messages after a position with the given Call-IDs, in order; the first is the caller's."""
        legs = {call_id: leg for leg, call_id in enumerate(sip_call_ids)}
        records = {
            id(each): each
            for each in map(self._by_call_id.get, legs)
            if each is not None and each.room is not self._unknown
        }
        found = []
        for record in records.values():
            entries = record.all_entries()
            for entry in entries[bisect_right(entries, after, key=_position) :]:
                leg = legs.get(_call_id_of(entry[4]))
                if leg is not None:
                    found.append(Traced(leg, entry))
        found.sort(key=lambda traced: _position(traced.entry))
        return found

    # -- inside -------------------------------------------------------------------------------------------------

    def _continued(self, messages: CallMessages | None, call_ids: tuple[str, ...], at: int) -> CallMessages:
        """Return the record of a call of which messages are kept already."""
        if messages is None:
            messages = CallMessages(at)
            self._recent.admit(messages)
        elif messages.room is not self._recent:
            self._move(messages, self._recent)
        elif messages.outcome is _WELL:
            messages.outcome = _OPEN
        self._name(messages, call_ids)
        return messages

    def _name(self, messages: CallMessages, call_ids: tuple[str, ...]) -> None:
        """Let a record be found by Call-IDs; it absorbs those that were begun for one of them without a call."""
        for call_id in call_ids:
            other = self._by_call_id.get(call_id)
            if other is not None and other is not messages and not other.calls:
                messages.absorb(other)
                self._unpacked[messages] = None
                self._drop(other)
            self._by_call_id[call_id] = messages
        for call_id in messages.name_legs(call_ids):
            if self._by_call_id.get(call_id) is messages:  # else another record has it since
                del self._by_call_id[call_id]

    def _pack(self, at: int) -> None:
        """Compress messages of running calls that have waited long enough, a few of them."""
        unpacked, packed = self._unpacked, 0
        while unpacked:
            messages = next(iter(unpacked))
            entries = messages.entries
            if entries and at - entries[0][1] < PACKED_AFTER_MS:
                break
            if packed == PACKED_AT_ONCE:
                return  # the next call goes on
            del unpacked[messages]
            if entries and messages.outcome is _OPEN:
                messages.has_final = messages.has_final or _has_final(entries)
                messages.pack()
                packed += 1
        self._pack_at = at + PACK_EVERY_MS

    def _make_room(self, room: Room, busiest: CallMessages, now: int) -> None:
        """Remove the oldest records until the limit is met; ``busiest`` has just grown."""
        busiest.shorten()
        spared = 0
        while room.held_bytes > room.limit_bytes:
            messages = room.oldest()
            if messages.shorten():
                continue
            # A call may ring for minutes; without its INVITE the trace of its failure would explain nothing.
            if messages.outcome is _OPEN and spared < _SPARED_AT_ONCE and _is_being_set_up(messages, now):
                room.spare(messages)
                spared += 1
            else:
                self._drop(messages)

    def _move(self, messages: CallMessages, room: Room) -> None:
        before = messages.room
        if before is not None:
            del before.by_age[messages]
            before.held_bytes -= messages.size_bytes
        room.admit(messages)

    def _drop(self, messages: CallMessages) -> None:
        """Forget a record, also in the queue of the uncompressed, which nothing else empties while no call begins."""
        room = messages.room
        if room is not None:
            messages.room = None
            del room.by_age[messages]
            room.held_bytes -= messages.size_bytes
        for call_id in messages.call_ids:
            if self._by_call_id.get(call_id) is messages:
                del self._by_call_id[call_id]
        for call_id in messages.calls:
            del self.of_calls[call_id]
        self._unpacked.pop(messages, None)
        messages.entries, messages.packed = [], ()


def _position(entry: Entry) -> int:
    return entry[0]


def _call_id_of(data: bytes) -> str:
    """Return the Call-ID of a message; empty if there is none."""
    start = data.find(_CALL_ID) + _CALL_ID_LENGTH
    if start >= _CALL_ID_LENGTH:
        call_id = data[start : data.find(b"\r\n", start)]
    else:
        head_end = data.find(b"\r\n\r\n")
        found = _OTHERWISE_WRITTEN.search(data, 0, _SEARCHED_BYTES if head_end < 0 else min(head_end, _SEARCHED_BYTES))
        call_id = found[1] if found else b""
    return call_id.strip().decode("utf-8", "surrogateescape")


def _has_final(entries: Sequence[Entry]) -> bool:
    return any(data.startswith(_FINAL) and b" INVITE\r\n" in data for *_, data in entries)


def _is_being_set_up(messages: CallMessages, now: int) -> bool:
    """Return whether a record is that of a call that is still being set up."""
    if messages.has_final or now - messages.began_at > SET_UP_WITHIN_MS:
        return False
    entries = messages.entries
    if not messages.packed and not (entries and entries[0][4].startswith(b"INVITE ")):
        return False
    return not _has_final(entries)
