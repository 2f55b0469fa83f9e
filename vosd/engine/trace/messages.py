"""The messages of recent calls, always kept, within a bound of memory: failed calls stay longer.

On the path of every packet a message costs an entry in a list; it is filed under its Call-ID with many others, and
everything else is done when somebody asks, or when memory is used up. What then leaves first is the oldest
conversation; that of a call that failed moves to a room of its own. Strangers' messages are not kept unless new calls
are followed, nor are registrations, of which thousands of phones send many. Refuses to draw, and to know who looks on.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from vosd.engine.settings import TraceSettings
from vosd.engine.trace.call_messages import MESSAGE_OVERHEAD_BYTES, Conversation, Entry, Fate, Room
from vosd.obs.traced import Direction
from vosd.sip.wire.compose import Peer

SET_UP_WITHIN_MS: Final = 180_000
"""A call that is still being set up is spared for so long: RFC 3261 section 16.6 gives INVITEs three minutes."""
UNFILED_MAX: Final = 256
"""Messages and outcomes that wait to be filed together."""
SMALL_BYTES: Final = 4_096
"""A longer message is filed at once, with all that waits."""
_SPARED_AT_ONCE: Final = 4
"""How many conversations one message may spare: what it costs must not depend on how many are being set up."""
_CALL_ID: Final = b"\r\nCall-ID: "
_CALL_ID_LENGTH: Final = len(_CALL_ID)
_OTHERWISE_WRITTEN: Final = re.compile(rb"^(?:call-id|i)[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_SEARCHED_BYTES: Final = 4_096
"""How far an unusual Call-ID is looked for: junk of 64 KiB must cost little."""
_FINAL: Final = tuple(f"SIP/2.0 {digit}".encode() for digit in range(2, 7))

Keep = Callable[[int, Direction, Peer, bytes], None]
"""What is told of every message: UTC milliseconds, way, peer, bytes."""


_Said = tuple[int, Direction, Peer, bytes]
_Outcome = tuple[Sequence[str], Fate]


class Traced(NamedTuple):
    """One message as it was found, and to which leg of its call it belongs (0 = the caller's)."""

    leg: int
    entry: Entry


class Trace:
    """The ring of what went over the wire.

    Holds no more than both limits of its settings together, and what waits to be filed: at most ``UNFILED_MAX``
    messages, none but the last above ``SMALL_BYTES``.
    """

    def __init__(self, settings: TraceSettings, knows: Callable[[str, int], bool]) -> None:
        """``knows`` says whether a host and port are a gateway of ours."""
        self._knows = knows
        self.keeps_strangers = False
        """Whether unknown sources are kept as well: while new calls are followed."""
        self._recent = Room(settings.recent_bytes)
        self._failed = Room(settings.failed_bytes)
        self._conversations = self._recent.conversations
        self._unfiled: list[_Said | _Outcome] = []

    # -- in -----------------------------------------------------------------------------------------------------

    def message(self, at: int, direction: Direction, peer: Peer, data: bytes) -> None:
        """Keep one message that came or leaves; ``at`` is UTC milliseconds.

        It is filed with others later: many in a row cost a third of what each costs between packets.
        """
        unfiled = self._unfiled
        unfiled.append((at, direction, peer, data))
        if len(unfiled) >= UNFILED_MAX or len(data) > SMALL_BYTES:
            self._file()

    def ended(self, sip_call_ids: Sequence[str], fate: Fate) -> None:
        """Learn which conversations were one call, the caller's first, and what became of it."""
        self._unfiled.append((sip_call_ids, fate))

    def _file(self) -> None:
        """Put what has come into its conversations."""
        unfiled, self._unfiled = self._unfiled, []
        for item in unfiled:
            if len(item) == 4:
                self._file_message(*item)
            else:
                self._file_outcome(*item)

    def _file_message(self, at: int, direction: Direction, peer: Peer, data: bytes) -> None:
        start = data.find(_CALL_ID) + _CALL_ID_LENGTH
        written_usually = start >= _CALL_ID_LENGTH
        call_id = data[start : data.find(b"\r\n", start)] if written_usually else _call_id_of(data)
        conversation = self._conversations.get(call_id)
        if conversation is None:
            call_id = call_id.strip()
            conversation = self._conversations.get(call_id) or self._begin(call_id, at, direction, peer, data)
            if conversation is None:
                return
        recent = self._recent
        written = recent.written = recent.written + len(data) + MESSAGE_OVERHEAD_BYTES
        conversation.entries.append((written, at, direction, peer, data))
        if written > recent.full_at:
            self._make_room(conversation, at)

    def _file_outcome(self, sip_call_ids: Sequence[str], fate: Fate) -> None:
        legs = tuple(_keys(sip_call_ids))
        recent, failed = self._conversations, self._failed.conversations
        for leg in legs:
            conversation = recent.get(leg)
            if conversation is not None:
                conversation.belongs_to(legs, fate)
            conversation = failed.get(leg) if failed else None
            if conversation is not None:
                conversation.belongs_to(legs, fate)

    # -- out ----------------------------------------------------------------------------------------------------

    @property
    def held_bytes(self) -> int:
        """What everything that is filed costs."""
        self._file()
        return self._recent.held_bytes + self._failed.held_bytes

    def call_of(self, sip_call_ids: Iterable[str]) -> list[Traced]:
        """Return what is left of an ended call, in order; any one of its Call-IDs is enough."""
        self._file()
        found = [each for call_id in _keys(sip_call_ids) for each in self._find(call_id)]
        return self._messages(list(dict.fromkeys(leg for each in found for leg in each.legs or (each.call_id,))))

    def messages(self, sip_call_ids: Iterable[str], after: int = 0) -> list[Traced]:
        """Return what came after a position under the given Call-IDs, in order; the first is the caller's."""
        self._file()
        return self._messages(_keys(sip_call_ids), after)

    def _messages(self, legs: Sequence[bytes], after: int = 0) -> list[Traced]:
        found = [
            Traced(leg, entry)
            for leg, call_id in enumerate(legs)
            for conversation in self._find(call_id)
            for entry in conversation.entries[bisect_right(conversation.entries, after, key=_position) :]
        ]
        found.sort(key=lambda traced: _position(traced.entry))
        return found

    def _find(self, call_id: bytes) -> list[Conversation]:
        rooms = (self._failed.conversations, self._recent.conversations)
        return [room[call_id] for room in rooms if call_id in room]

    # -- inside -------------------------------------------------------------------------------------------------

    def _begin(self, call_id: bytes, at: int, direction: Direction, peer: Peer, data: bytes) -> Conversation | None:
        """Return the conversation that a message begins; None where it begins none."""
        if not call_id:
            return None
        kept = self._failed.conversations.get(call_id)
        if kept is not None:
            position = self._recent.pass_on(len(data))
            self._add_late(kept, (position, at, direction, peer, data))
            return None
        if (direction is Direction.IN or data.startswith(b"SIP/")) and not self._is_kept_of(peer):
            return None
        if _is_of_registration(data):
            return None
        conversation = Conversation(call_id)
        self._recent.admit(conversation)
        return conversation

    def _is_kept_of(self, peer: Peer) -> bool:
        return self.keeps_strangers or self._knows(peer.host, peer.port)

    def _add_late(self, conversation: Conversation, entry: Entry) -> None:
        self._failed.shorten(conversation)
        self._failed.add(conversation, entry)
        self._make_room_for_failed()

    def _make_room(self, busiest: Conversation, now: int) -> None:
        """Let the oldest go until the bound holds again; ``busiest`` has just grown."""
        recent, by_age = self._recent, self._recent.by_age
        recent.shorten(busiest)
        spared = 0
        while recent.written > recent.full_at:
            conversation = by_age[0]
            fate = conversation.fate
            if recent.shorten(conversation):
                continue
            if fate is Fate.OPEN and spared < _SPARED_AT_ONCE and _is_being_set_up(conversation, now):
                by_age.rotate(-1)
                spared += 1
                continue
            recent.dismiss_oldest()
            if fate is Fate.FAILED:
                self._failed.admit(conversation)
                self._make_room_for_failed()

    def _make_room_for_failed(self) -> None:
        while self._failed.is_overfull:
            self._failed.dismiss_oldest()


def _keys(sip_call_ids: Iterable[str]) -> list[bytes]:
    return [call_id.encode("utf-8", "surrogateescape") for call_id in sip_call_ids]


def _position(entry: Entry) -> int:
    return entry[0]


def _call_id_of(data: bytes) -> bytes:
    """Return the Call-ID of a message that does not write it in the usual way, empty where there is none."""
    head_end = data.find(b"\r\n\r\n")
    found = _OTHERWISE_WRITTEN.search(data, 0, _SEARCHED_BYTES if head_end < 0 else min(head_end, _SEARCHED_BYTES))
    return found[1].strip() if found else b""


def _is_of_registration(data: bytes) -> bool:
    """Say whether a message is a REGISTER or answers one, as far as it is written in the usual way."""
    return data.startswith(b"REGISTER ") or (data.startswith(b"SIP/") and b" REGISTER\r\n" in data)


def _is_being_set_up(conversation: Conversation, now: int) -> bool:
    """Say whether a conversation that is open is that of a call whose outcome nobody knows yet."""
    entries = conversation.entries
    if not entries or now - entries[0][1] > SET_UP_WITHIN_MS:
        return False
    return entries[0][4].startswith(b"INVITE ") and not any(
        data.startswith(_FINAL) and b" INVITE\r\n" in data for *_, data in entries
    )
