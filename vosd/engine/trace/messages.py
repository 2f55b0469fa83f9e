"""Trace buffer: the messages of recent calls, within a memory limit; those of failed calls are kept longer.

A message costs an entry in a list on the path of its packet; it is filed by Call-ID later, many at a time, and the rest
is done on request or when memory is full. The oldest leg is then removed first; one of a failed call moves to a buffer
of its own. Messages of unknown sources are kept only while new calls are followed; registrations, which phones send in
large numbers, are not kept. Does not format messages.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from vosd.engine.settings import TraceSettings
from vosd.engine.trace.call_messages import MESSAGE_OVERHEAD_BYTES, CallOutcome, Entry, LegMessages, Room
from vosd.obs.traced import Direction
from vosd.sip.wire.compose import Peer

SET_UP_WITHIN_MS: Final = 180_000
"""A call in set-up is not removed for so long: RFC 3261 section 16.6 gives INVITEs three minutes."""
UNFILED_MAX: Final = 256
"""Most messages and outcomes waiting to be filed."""
SMALL_BYTES: Final = 4_096
"""A longer message is filed at once, with all waiting ones."""
_SPARED_AT_ONCE: Final = 4
"""Most legs of calls in set-up that one message may skip, so that its cost does not depend on their number."""
_CALL_ID: Final = b"\r\nCall-ID: "
_CALL_ID_LENGTH: Final = len(_CALL_ID)
_OTHERWISE_WRITTEN: Final = re.compile(rb"^(?:call-id|i)[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_SEARCHED_BYTES: Final = 4_096
"""Bytes searched for an unusual Call-ID: junk of 64 KiB must cost little."""
_FINAL: Final = tuple(f"SIP/2.0 {digit}".encode() for digit in range(2, 7))

Keep = Callable[[int, Direction, Peer, bytes], None]
"""Called with every message: UTC milliseconds, direction, peer, bytes."""


_Said = tuple[int, Direction, Peer, bytes]
_Outcome = tuple[Sequence[str], CallOutcome]


class Traced(NamedTuple):
    """One message, and the leg of its call (0 = the caller's)."""

    leg: int
    entry: Entry


class Trace:
    """Trace buffer.

    Holds at most both limits of its settings together, plus what waits to be filed: at most ``UNFILED_MAX`` messages,
    none but the last above ``SMALL_BYTES``.
    """

    def __init__(self, settings: TraceSettings, knows: Callable[[str, int], bool]) -> None:
        """``knows`` returns whether a host and port belong to a known source."""
        self._knows = knows
        self.keeps_unknown_sources = False
        """Whether messages of unknown sources are kept: while new calls are followed."""
        self._recent = Room(settings.recent_bytes)
        self._failed = Room(settings.failed_bytes)
        self._by_call_id = self._recent.by_call_id
        self._unfiled: list[_Said | _Outcome] = []

    # -- in -----------------------------------------------------------------------------------------------------

    def message(self, at: int, direction: Direction, peer: Peer, data: bytes) -> None:
        """Keep one received or sent message; ``at`` is in UTC milliseconds.

        It is filed later with others: many in a row cost a third of what each costs between packets.
        """
        unfiled = self._unfiled
        unfiled.append((at, direction, peer, data))
        if len(unfiled) >= UNFILED_MAX or len(data) > SMALL_BYTES:
            self._file()

    def ended(self, sip_call_ids: Sequence[str], outcome: CallOutcome) -> None:
        """Note the legs of an ended call, the caller's first, and its outcome."""
        self._unfiled.append((sip_call_ids, outcome))

    def _file(self) -> None:
        """File the waiting messages by Call-ID."""
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
        leg_messages = self._by_call_id.get(call_id)
        if leg_messages is None:
            call_id = call_id.strip()
            leg_messages = self._by_call_id.get(call_id) or self._begin(call_id, at, direction, peer, data)
            if leg_messages is None:
                return
        recent = self._recent
        written = recent.written = recent.written + len(data) + MESSAGE_OVERHEAD_BYTES
        leg_messages.entries.append((written, at, direction, peer, data))
        if written > recent.full_at:
            self._make_room(leg_messages, at)

    def _file_outcome(self, sip_call_ids: Sequence[str], outcome: CallOutcome) -> None:
        call_ids = tuple(_keys(sip_call_ids))
        recent, failed = self._by_call_id, self._failed.by_call_id
        for call_id in call_ids:
            leg_messages = recent.get(call_id)
            if leg_messages is not None:
                leg_messages.belongs_to(call_ids, outcome)
            leg_messages = failed.get(call_id) if failed else None
            if leg_messages is not None:
                leg_messages.belongs_to(call_ids, outcome)

    # -- out ----------------------------------------------------------------------------------------------------

    @property
    def held_bytes(self) -> int:
        """Cost of all filed messages."""
        self._file()
        return self._recent.held_bytes + self._failed.held_bytes

    def call_of(self, sip_call_ids: Iterable[str]) -> list[Traced]:
        """Return the messages of an ended call, in order, by any one of its Call-IDs."""
        self._file()
        found = [each for call_id in _keys(sip_call_ids) for each in self._find(call_id)]
        return self._messages(list(dict.fromkeys(leg for each in found for leg in each.call_ids or (each.call_id,))))

    def messages(self, sip_call_ids: Iterable[str], after: int = 0) -> list[Traced]:
        """Return the messages after a position with the given Call-IDs, in order; the first is the caller's."""
        self._file()
        return self._messages(_keys(sip_call_ids), after)

    def _messages(self, legs: Sequence[bytes], after: int = 0) -> list[Traced]:
        found = [
            Traced(leg, entry)
            for leg, call_id in enumerate(legs)
            for leg_messages in self._find(call_id)
            for entry in leg_messages.entries[bisect_right(leg_messages.entries, after, key=_position) :]
        ]
        found.sort(key=lambda traced: _position(traced.entry))
        return found

    def _find(self, call_id: bytes) -> list[LegMessages]:
        rooms = (self._failed.by_call_id, self._recent.by_call_id)
        return [room[call_id] for room in rooms if call_id in room]

    # -- inside -------------------------------------------------------------------------------------------------

    def _begin(self, call_id: bytes, at: int, direction: Direction, peer: Peer, data: bytes) -> LegMessages | None:
        """Return the leg that a message begins, or None."""
        if not call_id:
            return None
        kept = self._failed.by_call_id.get(call_id)
        if kept is not None:
            position = self._recent.pass_on(len(data))
            self._add_late(kept, (position, at, direction, peer, data))
            return None
        if (direction is Direction.IN or data.startswith(b"SIP/")) and not self._is_kept_of(peer):
            return None
        if _is_of_registration(data):
            return None
        leg_messages = LegMessages(call_id)
        self._recent.admit(leg_messages)
        return leg_messages

    def _is_kept_of(self, peer: Peer) -> bool:
        return self.keeps_unknown_sources or self._knows(peer.host, peer.port)

    def _add_late(self, leg_messages: LegMessages, entry: Entry) -> None:
        self._failed.shorten(leg_messages)
        self._failed.add(leg_messages, entry)
        self._make_room_for_failed()

    def _make_room(self, busiest: LegMessages, now: int) -> None:
        """Remove the oldest legs until the limit is met; ``busiest`` has just grown."""
        recent, by_age = self._recent, self._recent.by_age
        recent.shorten(busiest)
        spared = 0
        while recent.written > recent.full_at:
            leg_messages = by_age[0]
            outcome = leg_messages.outcome
            if recent.shorten(leg_messages):
                continue
            # A call may ring for minutes; without its INVITE the trace of its failure would explain nothing.
            if outcome is CallOutcome.OPEN and spared < _SPARED_AT_ONCE and _is_being_set_up(leg_messages, now):
                by_age.rotate(-1)
                spared += 1
                continue
            recent.dismiss_oldest()
            if outcome is CallOutcome.FAILED:
                self._failed.admit(leg_messages)
                self._make_room_for_failed()

    def _make_room_for_failed(self) -> None:
        while self._failed.is_overfull:
            self._failed.dismiss_oldest()


def _keys(sip_call_ids: Iterable[str]) -> list[bytes]:
    return [call_id.encode("utf-8", "surrogateescape") for call_id in sip_call_ids]


def _position(entry: Entry) -> int:
    return entry[0]


def _call_id_of(data: bytes) -> bytes:
    """Return the Call-ID of a message with an unusual spelling; empty if there is none."""
    head_end = data.find(b"\r\n\r\n")
    found = _OTHERWISE_WRITTEN.search(data, 0, _SEARCHED_BYTES if head_end < 0 else min(head_end, _SEARCHED_BYTES))
    return found[1].strip() if found else b""


def _is_of_registration(data: bytes) -> bool:
    """Return whether a message is a REGISTER or its answer, if written in the usual way."""
    return data.startswith(b"REGISTER ") or (data.startswith(b"SIP/") and b" REGISTER\r\n" in data)


def _is_being_set_up(leg_messages: LegMessages, now: int) -> bool:
    """Return whether an open leg is one of a call that is still being set up."""
    entries = leg_messages.entries
    if not entries or now - entries[0][1] > SET_UP_WITHIN_MS:
        return False
    return entries[0][4].startswith(b"INVITE ") and not any(
        data.startswith(_FINAL) and b" INVITE\r\n" in data for *_, data in entries
    )
