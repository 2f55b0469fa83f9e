"""What stands in the journal: its records, how they lie in a file, and what they say when read again.

Pure but for reading the files it is given; ``journal`` writes them, and decides when they may go.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec
import structlog

from vosd.base.errors import VosError
from vosd.cdr.record import CallRecord
from vosd.engine.bookkeeping import OpenCall

_log = structlog.get_logger()


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A call that is over and priced."""

    record: CallRecord


class Mark(msgspec.Struct, frozen=True, tag="mark"):
    """The switch was alive at this instant; ``mono`` compares only with what the same life wrote."""

    mono: int
    wall: int


class Booked(msgspec.Struct, frozen=True, tag="booked"):
    """These calls stand in the database."""

    call_ids: tuple[str, ...]


Entry = OpenCall | Ended | Mark | Booked

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Entry)
_HEAD_BYTES: Final = 8
"""Before every record: its length, and the checksum that tells a whole one from a spoilt one."""


class JournalUnusableError(VosError):
    """The state directory cannot hold the journal, or holds one that this version cannot read."""


class Remains(msgspec.Struct):
    """What an earlier life of the switch left unfinished."""

    open_calls: dict[str, OpenCall] = {}
    unbooked: dict[str, CallRecord] = {}
    last_mono: int = 0
    """The latest instant that any record proves, on the clock of the life that wrote it."""
    damaged: set[Path] = set()
    """Segments that could not be read whole."""


def framed(entry: Entry) -> bytes:
    """Return a record as it lies in a file."""
    payload = _encoder.encode(entry)
    return len(payload).to_bytes(4, "big") + crc32(payload).to_bytes(4, "big") + payload


def read_segments(segments: Iterable[Path]) -> Remains:
    """Read segments in order and return what was left unfinished in them.

    Raises:
        JournalUnusableError: a record is of a kind that this version does not know.
    """
    remains = Remains()
    for segment in segments:
        for payload in _read(segment, remains):
            try:
                entry = _decoder.decode(payload)
            except msgspec.DecodeError as error:
                message = f"{segment} was written by another version of vosd ({error}); start that version once"
                raise JournalUnusableError(message) from error
            _replay(entry, remains)
    return remains


def _replay(entry: Entry, remains: Remains) -> None:
    match entry:
        case OpenCall():
            remains.open_calls[entry.record.call_id] = entry
            remains.last_mono = max(remains.last_mono, entry.answered_mono)
        case Ended():
            remains.open_calls.pop(entry.record.call_id, None)
            remains.unbooked[entry.record.call_id] = entry.record
        case Mark():
            remains.last_mono = max(remains.last_mono, entry.mono)
        case Booked():
            for call_id in entry.call_ids:
                remains.unbooked.pop(call_id, None)


def _read(segment: Path, remains: Remains) -> Iterator[bytes]:
    """Yield the records of one file up to its end or the first that was not written whole; leave out spoilt ones."""
    data = segment.read_bytes()
    position = 0
    while position + _HEAD_BYTES <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        payload = data[position + _HEAD_BYTES : position + _HEAD_BYTES + length]
        if not length or len(payload) < length:
            break
        if crc32(payload) == int.from_bytes(data[position + 4 : position + _HEAD_BYTES], "big"):
            yield payload
        else:
            _log.error("journal holds a spoilt record", file=segment.name, at=position)
            remains.damaged.add(segment)
        position += _HEAD_BYTES + length
    if data[position:].strip(b"\0"):  # zeros alone are what a power loss leaves of blocks that were never written
        _log.warning("journal ends in a record that was not written whole", file=segment.name, at=position)
        remains.damaged.add(segment)
