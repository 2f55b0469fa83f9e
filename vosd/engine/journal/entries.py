"""Entries of the journal, and how each kind is encoded and read."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO, Final, get_args
from uuid import UUID

import msgspec

from vosd.callcontrol.bookkeeping import OpenCall
from vosd.cdr.record import CallRecord
from vosd.engine.journal.frames import NO_CALL, Damage, Frame, framed, frames_in
from vosd.sip.dialog.snapshot import CallerSnapshot, DialogSnapshot, InviteSnapshot


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A call that is over, whatever became of it."""

    record: CallRecord


class EndOf(msgspec.Struct, frozen=True, array_like=True):
    """That an answered call has ended, and when on the monotonic clock."""

    call_id: str
    mono: int


class Mark(msgspec.Struct, frozen=True, tag="mark"):
    """The switch was alive at this instant; ``wall`` is for people who read the file."""

    mono: int
    wall: int
    ended: tuple[EndOf, ...] = ()
    """Answered calls that have ended since the mark before: their own records may be damaged."""


class Booked(msgspec.Struct, frozen=True, tag="booked"):
    """These calls stand in the database."""

    call_ids: tuple[str, ...]


class Quarantined(msgspec.Struct, frozen=True, tag="quarantined"):
    """These calls were refused by the database and stand in the quarantine."""

    call_ids: tuple[str, ...]


class PlacedCall(msgspec.Struct, frozen=True, tag="placed"):
    """A gateway is asked to take a call."""

    call_id: str
    invite: InviteSnapshot
    caller: CallerSnapshot | None = None
    """With the first of a call: who waits for its final response."""


class LeftOver(msgspec.Struct, frozen=True, tag="left_over"):
    """Legs of a call of an earlier life that are still to be hung up."""

    call_id: str
    dialogs: tuple[DialogSnapshot, ...] = ()
    invites: tuple[InviteSnapshot, ...] = ()
    callers: tuple[CallerSnapshot, ...] = ()


class HungUp(msgspec.Struct, frozen=True, tag="hung_up"):
    """Every leg of the earlier life was hung up."""


Entry = PlacedCall | OpenCall | Ended | Mark | Booked | Quarantined | LeftOver | HungUp
NAMES: Final = tuple(str(entry.__struct_config__.tag) for entry in get_args(Entry))
"""The names of the kinds, as people read them."""

KIND_ANSWERED: Final = 1
KIND_ENDED: Final = 2
KIND_MARK: Final = 3
KIND_BOOKED: Final = 4
KIND_QUARANTINED: Final = 5
KIND_PLACED: Final = 6
KIND_LEFT_OVER: Final = 7
KIND_HUNG_UP: Final = 8
_KNOWN: Final = frozenset(range(KIND_HUNG_UP + 1))
"""0 is that of a file of format 1."""

_encode_text: Final = msgspec.msgpack.Encoder().encode
_decode: Final[Callable[[bytes], Entry]] = msgspec.msgpack.Decoder(Entry).decode


def _encode(entry: Entry) -> bytes:
    try:
        return _encode_text(entry)
    except UnicodeEncodeError:
        return _encode_text(escaped(entry))


def escaped(entry: msgspec.Struct) -> Any:
    """Return an entry with whatever is no UTF-8 escaped: what peers write need not be."""
    return _escaped(msgspec.to_builtins(entry, builtin_types=(bytes, Decimal)))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value


def answered_frame(call: OpenCall) -> bytes:
    """Return the record of an answered call as it stands in a file."""
    return framed(KIND_ANSWERED, id_bytes(call.record.call_id), call.answered_mono, _encode(call))


def ended_frame(record: CallRecord, mono: int) -> bytes:
    """Return the record of a call that ended at ``mono``; 0 for one that was not answered."""
    return framed(KIND_ENDED, id_bytes(record.call_id), mono, _encode(Ended(record)))


def mark_frame(mark: Mark) -> bytes:
    """Return a mark of time as it stands in a file."""
    return framed(KIND_MARK, NO_CALL, mark.mono, _encode(mark))


def booked_frame(booked: Booked) -> bytes:
    """Return the record of what was booked as it stands in a file."""
    return framed(KIND_BOOKED, NO_CALL, 0, _encode(booked))


def quarantined_frame(quarantined: Quarantined) -> bytes:
    """Return the record of what was refused as it stands in a file."""
    return framed(KIND_QUARANTINED, NO_CALL, 0, _encode(quarantined))


def placed_frame(placed: PlacedCall) -> bytes:
    """Return the record of an INVITE to a gateway as it stands in a file."""
    return framed(KIND_PLACED, id_bytes(placed.call_id), 0, _encode(placed))


def left_over_frame(left_over: LeftOver) -> bytes:
    """Return the record of legs that are to be hung up as it stands in a file."""
    return framed(KIND_LEFT_OVER, id_bytes(left_over.call_id), 0, _encode(left_over))


def hung_up_frame() -> bytes:
    """Return the record that nothing is left to be hung up as it stands in a file."""
    return framed(KIND_HUNG_UP, NO_CALL, 0, _encode(HungUp()))


def name_of(entry: Entry) -> str:
    """Return the name of the entry's kind."""
    return str(entry.__struct_config__.tag)


def entries_in(file: BinaryIO) -> Iterator[Entry | Frame | Damage]:
    """Yield what a file holds: entries, records of another version of vosd as they are, and damaged parts."""
    for part in frames_in(file):
        yield part if isinstance(part, Damage) else _entry_in(part)


def _entry_in(frame: Frame) -> Entry | Frame:
    if frame.kind not in _KNOWN:
        return frame
    try:
        return _decode(frame.payload)
    except msgspec.DecodeError:
        return frame


def id_bytes(call_id: str) -> bytes:
    """Return the 16 bytes of a call id."""
    return bytes.fromhex(call_id.replace("-", ""))


def id_text(call: bytes) -> str:
    """Return the call id that 16 bytes stand for."""
    return str(UUID(bytes=call))
