"""The journal: what must survive a crash, on disk before the peers are told (DESIGN D9).

An append-only run of framed records: an answered call with all that is needed to bill it, an ended call ready to
be booked, a mark of time every second while calls run, and which calls are booked. Records are written before the
datagrams that they belong to leave, which survives kill -9; they are synced at most ``SYNC_S`` later, which bounds
what a power loss takes. Knows no database: the recorder books what stands here.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec
import structlog

from vosd.base.clock import Instant
from vosd.base.errors import VosError
from vosd.cdr.record import CallRecord
from vosd.engine.bookkeeping import OpenCall

SYNC_S: Final = 0.05
SEGMENT_BYTES: Final = 64 * 1024 * 1024
BACKLOG_BYTES: Final = 16 * 1024 * 1024
"""Records that may wait in memory while the disk takes nothing; beyond it new calls are refused."""
_FRAME: Final = 8

_log = structlog.get_logger()


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A call that is over and priced."""

    record: CallRecord


class Mark(msgspec.Struct, frozen=True, tag="mark"):
    """The switch was alive at this instant; ``boot`` tells monotonic clocks apart."""

    mono: int
    wall: int


class Booked(msgspec.Struct, frozen=True, tag="booked"):
    """These calls stand in the database."""

    call_ids: tuple[str, ...]


Entry = OpenCall | Ended | Mark | Booked

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Entry)


class JournalUnusableError(VosError):
    """The state directory cannot hold the journal."""


class Remains(msgspec.Struct):
    """What an earlier life of the switch left unfinished."""

    open_calls: dict[str, OpenCall] = {}
    unbooked: dict[str, CallRecord] = {}
    last_mono: int = 0
    """The latest instant that any record proves, on the clock of the life that wrote it."""


class Journal:
    """One directory of segments; the newest is written, the others go when all their calls are booked."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._number = 0
        self._size = 0
        self._buffer: list[bytes] = []
        self._backlog = 0
        self._dirty = False
        self._sync_wanted = asyncio.Event()
        self._open_calls: dict[str, OpenCall] = {}
        self._segment_of: dict[str, int] = {}
        self._unbooked: dict[int, int] = {}
        self._failed = False

    # -- life ---------------------------------------------------------------------------------------------------

    def open(self) -> Remains:
        """Read what an earlier life left, and begin a new segment.

        The old segments stay until ``settle`` says that everything in them stands in the new one.

        Raises:
            JournalUnusableError: the directory cannot be made, read or written.
        """
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            old = self._segments()
            remains = read_segments(old)
            self._number = (int(old[-1].stem.rpartition("-")[2]) if old else 0) + 1
            self._descriptor = self._create(self._number)
        except OSError as error:
            message = f"the journal in {self._directory} cannot be used: {error.strerror or error}; mend state_dir"
            raise JournalUnusableError(message) from error
        return remains

    def settle(self) -> None:
        """Everything that an earlier life left has been written again: remove its segments."""
        self.flush()
        os.fdatasync(self._descriptor)
        for segment in self._segments():
            if segment != self._path(self._number):
                segment.unlink()

    def close(self) -> None:
        """Write and sync what is left."""
        self.flush()
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        if not self._segment_of and not self._open_calls:
            self._path(self._number).unlink()

    # -- records ------------------------------------------------------------------------------------------------

    @property
    def unbooked(self) -> int:
        """How many ended calls wait for the database."""
        return len(self._segment_of)

    @property
    def is_overfull(self) -> bool:
        """Whether the disk has refused so much that no new call may be taken."""
        return self._backlog > BACKLOG_BYTES

    def answered(self, call: OpenCall) -> None:
        """Keep an answered call."""
        self._open_calls[call.record.call_id] = call
        self._append(call)

    def ended(self, record: CallRecord) -> None:
        """Keep an ended call until it is booked."""
        self._open_calls.pop(record.call_id, None)
        self._segment_of[record.call_id] = self._number
        self._unbooked[self._number] = self._unbooked.get(self._number, 0) + 1
        self._append(Ended(record))

    def mark(self, now: Instant) -> None:
        """Prove that the switch lives."""
        self._append(Mark(now.mono, now.wall))

    def booked(self, call_ids: Iterable[str]) -> None:
        """Note that calls stand in the database, and drop segments that nobody needs any more."""
        done = tuple(call_id for call_id in call_ids if call_id in self._segment_of)
        for call_id in done:
            self._unbooked[self._segment_of.pop(call_id)] -= 1
        self._append(Booked(done))
        self.flush()
        for number in [number for number, left in self._unbooked.items() if left == 0 and number < self._number]:
            del self._unbooked[number]
            self._path(number).unlink(missing_ok=True)

    def flush(self) -> None:
        """Hand everything to the operating system; called before datagrams leave.

        A disk that takes nothing is logged once and tried again at the next flush; nothing is dropped.
        """
        if not self._buffer:
            return
        data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            if not self._failed:
                _log.error("journal cannot be written, new calls will be refused", error=str(error))
            self._failed = True
            written = 0
        else:
            self._failed = False
        self._size += written
        rest = data[written:]
        self._buffer = [rest] if rest else []
        self._backlog = len(rest)
        if not self._dirty and written:
            self._dirty = True
            self._sync_wanted.set()
        if self._size >= SEGMENT_BYTES and not rest:
            self._begin_segment()

    async def keep_synced(self) -> None:
        """Sync what was written, again and again, without holding up the calls; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._sync_wanted.wait()
            await asyncio.sleep(SYNC_S)
            self._sync_wanted.clear()
            self._dirty = False
            descriptor = os.dup(self._descriptor)
            try:
                await loop.run_in_executor(None, os.fdatasync, descriptor)
            finally:
                os.close(descriptor)

    # -- inside -------------------------------------------------------------------------------------------------

    def _append(self, entry: Entry) -> None:
        payload = _encoder.encode(entry)
        frame = len(payload).to_bytes(4, "big") + crc32(payload).to_bytes(4, "big") + payload
        self._buffer.append(frame)
        self._backlog += len(frame)

    def _begin_segment(self) -> None:
        """Go on in a new file, which begins with the calls that are still open."""
        finished = self._descriptor
        os.fdatasync(finished)
        os.close(finished)
        self._number += 1
        self._size = 0
        self._descriptor = self._create(self._number)
        for call in self._open_calls.values():
            self._append(call)
        self.flush()
        previous = self._number - 1
        if not self._unbooked.get(previous):
            self._unbooked.pop(previous, None)
            self._path(previous).unlink(missing_ok=True)

    def _create(self, number: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path(number), flags, 0o600)

    def _path(self, number: int) -> Path:
        return self._directory / f"journal-{number:08d}.log"

    def _segments(self) -> list[Path]:
        return sorted(self._directory.glob("journal-*.log"))


def read_segments(segments: Iterable[Path]) -> Remains:
    """Read segments in order and return what was left unfinished in them."""
    remains = Remains()
    for segment in segments:
        for entry in _read(segment):
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


def _read(segment: Path) -> Iterable[Entry]:
    """Yield the records of one file up to its end or the first that was not written whole."""
    data = segment.read_bytes()
    position = 0
    while position + _FRAME <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        payload = data[position + _FRAME : position + _FRAME + length]
        if len(payload) < length or crc32(payload) != int.from_bytes(data[position + 4 : position + _FRAME], "big"):
            break
        yield _decoder.decode(payload)
        position += _FRAME + length
    if position < len(data):
        _log.warning("journal ends in a record that was not written whole", file=segment.name, at=position)


def counts(remains: Remains) -> Mapping[str, int]:
    """Return what is to be told of remains at start."""
    return {"running_when_lost": len(remains.open_calls), "ended_unbooked": len(remains.unbooked)}
