"""Entries of the journal, and how each kind is encoded and read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Final, get_args
from uuid import UUID

import msgspec

from vosd.base.text import escaped
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.open_call import Description, OpenCall
from vosd.cdr.record import CallRecord, Posting
from vosd.engine.journal.frames import NO_CALL, Damage, Frame, framed, frames_in
from vosd.sip.dialog.snapshot import CallerSnapshot, DialogSnapshot, InviteSnapshot


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The record of a call that has ended."""

    record: CallRecord


class EndOf(msgspec.Struct, frozen=True, array_like=True):
    """The end of an answered call, on the monotonic clock."""

    call_id: str
    mono: int


class TimeMark(msgspec.Struct, frozen=True, tag="mark"):
    """The switch was running at this instant; ``wall`` is for people who read the file."""

    mono: int
    wall: int
    ended: tuple[EndOf, ...] = ()
    """Answered calls that ended since the last mark, in case their own records are damaged."""
    acknowledged: tuple[tuple[str, int], ...] = ()
    """Calls whose caller has acknowledged our 200 since the last mark, and when on the monotonic clock."""


class BookedCalls(msgspec.Struct, frozen=True, tag="booked"):
    """Calls that are in the database."""

    call_ids: tuple[str, ...]


class Quarantined(msgspec.Struct, frozen=True, tag="quarantined"):
    """Calls that the database refused and that are in the quarantine."""

    call_ids: tuple[str, ...]


class PlacedCall(msgspec.Struct, frozen=True, tag="placed"):
    """An INVITE to a gateway."""

    call_id: str
    invite: InviteSnapshot
    caller: CallerSnapshot | None = None
    """The caller that waits for the final response; with the first INVITE of a call only."""
    record: CallRecord | None = None
    """The record that the call leaves if it is cut off during this attempt; an earlier version writes none.

    A call that is charged while it rings has none for an attempt whose late answer is booked.
    """
    vendor_rate: AppliedRate | None = None
    """Charge of the vendor of this attempt; an earlier version writes none, and so has one whose late answer is booked.
    """
    vendor_earns: bool = False
    refused: tuple[bytes, ...] = ()
    """Earlier INVITEs of the call that were refused meanwhile, by their Via, each named once.

    Nothing is sent to them any more. A proxy that has sent its failure may still pass on the 200 of another fork (RFC
    3261 section 16.7 step 5).
    """


def refused_among(placed: Iterable[PlacedCall]) -> frozenset[bytes]:
    """Return the INVITEs of one call that were refused before its next one, by their Via."""
    return frozenset(via for each in placed for via in each.refused)


def add_placed(placed: PlacedCall, earlier: list[PlacedCall]) -> bool:
    """Add an INVITE to those of its call, or replace its earlier form; return whether it is new or has changed.

    One that has waited is described when it is sent, with that time in its record, and one whose phone is reached
    elsewhere by then once more. One whose late answer is booked has no price any more, or no record.
    """
    for index, each in enumerate(earlier):
        if each.invite.via == placed.invite.via:
            is_same = placed.record == each.record and placed.vendor_rate == each.vendor_rate
            if each.invite == placed.invite and (each.record is None or is_same):
                return False
            named = tuple(dict.fromkeys((*each.refused, *placed.refused)))
            earlier[index] = msgspec.structs.replace(placed, caller=placed.caller or each.caller, refused=named)
            return True
    earlier.append(placed)
    return True


class LeftOver(msgspec.Struct, frozen=True, tag="left_over"):
    """Legs that no call has any more and that are still to be released, most of them of an earlier run."""

    call_id: str
    """Empty where the call is not known: of an answer that arrived when it was over."""
    dialogs: tuple[DialogSnapshot, ...] = ()
    invites: tuple[InviteSnapshot, ...] = ()
    callers: tuple[CallerSnapshot, ...] = ()
    asked: int = 0
    """Number of processes that have asked the peers to end them."""
    asked_since: int = 0
    """Time of the first start that asked, by the wall clock in milliseconds; 0 = none, or of an earlier version."""
    record: CallRecord | None = None
    """The record of a call without answer, written when it is known what became of its INVITEs."""
    vendor_rate: AppliedRate | None = None
    """Charge of the vendor of the INVITE."""
    vendor_earns: bool = False
    part: CallRecord | None = None
    """The record that a late answer leaves with its cost, where ``record`` is that of a later attempt of the call."""


class Releases(msgspec.Struct, frozen=True, tag="releases"):
    """Progress with the legs of earlier runs, by their keys (``engine.journal.left_over``)."""

    asked: tuple[bytes, ...]
    """The peers of these legs were asked to end them."""
    done: tuple[bytes, ...]
    """The peers of these legs have answered, or had time enough to do so."""
    at: int = 0
    """By the wall clock in milliseconds; an earlier version writes none."""


class HungUp(msgspec.Struct, frozen=True, tag="hung_up"):
    """All legs of the earlier run are released."""


class _Postings(msgspec.Struct, frozen=True):
    """The part of a record that says what the call books."""

    postings: tuple[Posting, ...] = ()


class _EndedPostings(msgspec.Struct, frozen=True, tag="ended"):
    record: _Postings


class Began(msgspec.Struct, frozen=True, tag="began"):
    """A process begins to write; what its messages have in common, so that another one is known by the peers."""

    boot: str
    """Identity of the boot of the machine; empty where it is hidden."""
    mono: int
    wall: int
    """Both clocks at the start: another boot counts ``mono`` anew."""
    mark: str
    """Prefix of every branch of ours."""
    refusal_tag: str
    proven: int | None = None
    """Up to when earlier processes are known to have run, on this clock: their marks are not written again."""


class KeptCall(msgspec.Struct, frozen=True, tag="kept_call"):
    """A call that no gateway has answered, as it was when the process stopped (``engine.calls.saved.SavedCall``)."""

    call_id: str
    saved: bytes


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """The process has stopped and written all its calls exactly; void once anything else is written."""

    mono: int
    wall: int
    calls: tuple[str, ...]
    """All of them: answered ones in their own records, the others in ``KeptCall``."""
    endpoint: bytes
    """``engine.calls.saved.SavedSwitch`` without its calls."""


Entry = (
    Began | KeptCall | Kept | PlacedCall | OpenCall | Ended | TimeMark | BookedCalls | Quarantined | LeftOver | Releases
    | HungUp
)  # fmt: skip
NAMES: Final = tuple(str(entry.__struct_config__.tag) for entry in get_args(Entry))
"""Names of the kinds, for people."""

_NUMBERED: Final[tuple[type[Entry], ...]] = (
    OpenCall, Ended, TimeMark, BookedCalls, Quarantined, PlacedCall, LeftOver, HungUp, Began, KeptCall, Kept, Releases,
)  # fmt: skip
"""The kinds in the order of their numbers on disk, from 1 on: a new one comes last."""
_KINDS: Final[Mapping[type[Entry], int]] = {entry: number for number, entry in enumerate(_NUMBERED, 1)}
KIND_ANSWERED: Final = _KINDS[OpenCall]
KIND_ENDED: Final = _KINDS[Ended]
KIND_BOOKED: Final = _KINDS[BookedCalls]
KIND_QUARANTINED: Final = _KINDS[Quarantined]
_KNOWN: Final = frozenset(_KINDS.values())

BEHIND_KEPT: Final = frozenset({KIND_BOOKED, KIND_QUARANTINED})
"""Records that may follow ``Kept``: any other voids it."""
_OF_ENDS: Final = frozenset({KIND_ENDED, KIND_BOOKED, KIND_QUARANTINED})

_encode_text: Final = msgspec.msgpack.Encoder().encode
_decode: Final[Callable[[bytes], Entry]] = msgspec.msgpack.Decoder(Entry).decode

_decode_postings: Final[Callable[[bytes], _EndedPostings]] = msgspec.msgpack.Decoder(_EndedPostings).decode


def frame_of(entry: Entry, ended_mono: int = 0) -> bytes:
    """Return the frame of an entry; ``ended_mono`` is when the call of ``Ended`` ended, 0 if it was not answered."""
    call_id, at = None, 0
    match entry:
        case OpenCall():
            # The clock of this boot may have begun after the answer, or the end: then the instant is negative.
            call_id, at = entry.record.call_id, max(0, entry.answered_mono)
        case Ended():
            call_id, at = entry.record.call_id, max(0, ended_mono)
        case PlacedCall() | KeptCall() | LeftOver():
            call_id = entry.call_id or None
        case TimeMark() | Kept():
            at = entry.mono
    try:
        payload = _encode_text(entry)
    except UnicodeEncodeError:
        payload = _encode_text(escaped(entry))
    return framed(_KINDS[type(entry)], NO_CALL if call_id is None else id_bytes(call_id), at, payload)


def answered_frame(call: OpenCall, description: Description) -> bytes:
    """Return the frame of an answered call as it is described now."""
    return frame_of(call.described(description))


def ended_frame(record: CallRecord, mono: int) -> bytes:
    """Return the frame of a call that ended at ``mono``; 0 if it was not answered."""
    return frame_of(Ended(record), mono)


def name_of(entry: Entry) -> str:
    """Return the name of the entry's kind."""
    return str(entry.__struct_config__.tag)


def entries_in(file: BinaryIO) -> Iterator[Entry | Frame | Damage]:
    """Yield what a file holds: entries, records of another version of vosd as they are, and damaged parts."""
    for part in frames_in(file):
        yield read(part)


def read(part: Frame | Damage) -> Entry | Frame | Damage:
    """Return what one part of a file holds."""
    return part if isinstance(part, Damage) else _entry_in(part)


def ends_in(file: BinaryIO) -> Iterator[Entry | Frame | Damage]:
    """Yield the same without the entries that say nothing of the ends of calls, which are not read."""
    for part in frames_in(file):
        if isinstance(part, Damage):
            yield part
        elif part.kind not in _KNOWN or part.kind in _OF_ENDS:
            yield _entry_in(part)


def _entry_in(frame: Frame) -> Entry | Frame:
    if frame.kind not in _KNOWN:
        return frame
    try:
        return _decode(frame.payload)
    except msgspec.DecodeError:
        return frame


def ended_of(frame: Frame) -> CallRecord | None:
    """Return the record of the call of a frame of ``KIND_ENDED``; None if it is of another version of vosd."""
    entry = _entry_in(frame)
    return entry.record if isinstance(entry, Ended) else None


def is_known(frame: Frame) -> bool:
    """Return whether this version writes records of that kind."""
    return frame.kind in _KNOWN


def postings_in(frame: Frame) -> tuple[Posting, ...] | None:
    """Return what the call of such a frame books, without reading the rest of it; None where it cannot be read."""
    try:
        return _decode_postings(frame.payload).record.postings
    except msgspec.DecodeError:
        return None


def settled_by(frame: Frame) -> list[bytes] | None:
    """Return the calls that a frame of ``KIND_BOOKED`` or ``KIND_QUARANTINED`` names; None where it cannot be read."""
    entry = _entry_in(frame)
    return [id_bytes(each) for each in entry.call_ids] if isinstance(entry, BookedCalls | Quarantined) else None


def id_bytes(call_id: str) -> bytes:
    """Return a call id as its 16 bytes."""
    return bytes.fromhex(call_id.replace("-", ""))


def id_text(call: bytes) -> str:
    """Return the call id of 16 bytes."""
    return str(UUID(bytes=call))
