"""Framing of journal records: the layout of a record in a file, and the reading of damaged files.

A frame is a head, the payload and a tail. The tail repeats the fields of the head, and each of the two has its own mark
and checksum; the payload has another checksum. So a record is found although one field, head or tail is damaged, and
after any damage reading continues at the next mark. Head and tail contain the call and the time of the record, which
remain known if the payload is damaged. It does not know what payloads mean.

::

    mark 4 | kind 1 | call id 16 | milliseconds 8 | payload length 4 | payload CRC 4 | CRC of these 4 | payload | tail
"""

from collections.abc import Iterator
from enum import Enum
from struct import Struct
from typing import BinaryIO, Final, NamedTuple
from zlib import crc32

HEAD_MARK: Final = b"\xff\xc1JH"
TAIL_MARK: Final = b"\xff\xc1JT"
"""The first two bytes do not occur in UTF-8 text, so no text of a call can look like a mark."""
NO_CALL: Final = bytes(16)
WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Size of the part of a file in memory, unless a single record is longer."""

_FIELDS: Final = Struct(">B16sQII")
_SUM_BYTES: Final = 4
_EDGE_BYTES: Final = len(HEAD_MARK) + _FIELDS.size + _SUM_BYTES
"""Length of a head, and of a tail."""


class Frame(NamedTuple):
    """One record of a file."""

    kind: int
    call: bytes
    """Call id, 16 bytes; zeros if the record is not of one call."""
    at: int
    """Time of the record, in milliseconds of the monotonic clock of its writer."""
    payload: bytes


class FrameFault(Enum):
    """Kinds of damage."""

    DAMAGED = "damaged"
    TORN = "not written whole"
    """The file ends within a record: the process or the machine stopped."""


class Damage(NamedTuple):
    """A part of a file that could not be read; if it is one record, ``kind``, ``call`` and ``at`` may be known."""

    offset: int
    fault: FrameFault
    kind: int = 0
    call: bytes = NO_CALL
    at: int = 0


def framed(kind: int, call: bytes, at: int, payload: bytes) -> bytes:
    """Return a record as it is written to a file."""
    fields = _FIELDS.pack(kind, call, at, len(payload), crc32(payload))
    fields += crc32(fields).to_bytes(_SUM_BYTES, "big")
    return b"".join((HEAD_MARK, fields, payload, TAIL_MARK, fields))


def kind_of(frame: bytes) -> int:
    """Return the kind of a record that ``framed`` made."""
    return frame[len(HEAD_MARK)]


def frames_in(file: BinaryIO, window: int = WINDOW_BYTES) -> Iterator[Frame | Damage]:
    """Yield the records of a file in order, and the damaged parts between them; never raises for their content.

    Zeros at the end are no damage: they are left by a power loss, and in a file that was allocated beforehand.
    """
    yield from FrameReader(file, window).read()


class _Edge(NamedTuple):
    """Fields of a head or a tail."""

    kind: int
    call: bytes
    at: int
    length: int
    checksum: int


class FrameReader:
    """Reads records from where ``file`` stands, which must be between two of them, a part of the file at a time.

    Positions are counted from the beginning of that part, offsets from the beginning of the file.
    """

    end = 0
    """Offset in the file behind the record that was yielded last."""
    _until: int | None = None
    """Offset up to which the file is read; None = to its end."""

    def __init__(self, file: BinaryIO, window: int = WINDOW_BYTES) -> None:
        self._file = file
        self._window = window
        self._base = file.tell()
        self._data = b""
        self._is_last = False

    def read_until(self, offset: int | None) -> None:
        """Read the file up to there and no further, or to its end, although it was read to an earlier place before.

        A file that is being written is whole only as far as it was written when reading began. In one that was
        allocated beforehand there are zeros behind that: the reader passes over them, and over what is written there.
        """
        self._until, self._is_last = offset, False

    def read(self) -> Iterator[Frame | Damage]:
        """Yield the records and the damaged parts, as ``frames_in`` does."""
        position = self._grow(0)
        while True:
            edge = self._edge(position, HEAD_MARK)
            end = position + 2 * _EDGE_BYTES + (edge.length if edge else 0)
            if end > len(self._data) and not self._is_last:
                position = self._grow(position)
            elif edge is not None and end - _EDGE_BYTES <= len(self._data):
                self.end = self._offset(end)
                yield self._record(edge, position, position + _EDGE_BYTES)
                position = end
            elif not self._data[position:].strip(b"\0"):
                if self._is_last:
                    return
                position = self._grow(len(self._data))
            else:
                is_torn = edge is not None or len(self._data) - position < _EDGE_BYTES
                yield self._damage(edge, position, FrameFault.TORN if is_torn else FrameFault.DAMAGED)
                found = self._find(position)
                if found is None:
                    return
                record, position = found
                if record is not None:
                    yield record

    def _find(self, begin: int) -> tuple[Frame | Damage | None, int] | None:
        """Find the next head after a damaged one, or the tail of a record that begins at ``begin`` or later.

        Return that record (None for a head) and the position at which to continue.
        """
        position = begin + 1
        while (found := self._find_in_window(position, begin)) is None and not self._is_last:
            kept = max(begin, len(self._data) - self._window)
            position, begin = len(self._data) - _EDGE_BYTES - kept, 0
            self._grow(kept)
            position = max(position, 1)
        return found

    def _find_in_window(self, position: int, begin: int) -> tuple[Frame | Damage | None, int] | None:
        while (position := self._data.find(HEAD_MARK[:-1], position)) >= 0:
            if self._edge(position, HEAD_MARK) is not None:
                return None, position
            edge = self._edge(position, TAIL_MARK)
            if edge is not None and position - edge.length >= begin:
                return self._record(edge, position - edge.length, position - edge.length), position + _EDGE_BYTES
            if edge is not None:
                return self._damage(edge, position, FrameFault.DAMAGED), position + _EDGE_BYTES
            position += 1
        return None

    def _record(self, edge: _Edge, position: int, payload_at: int) -> Frame | Damage:
        payload = self._data[payload_at : payload_at + edge.length]
        if crc32(payload) != edge.checksum:
            return self._damage(edge, position, FrameFault.DAMAGED)
        return Frame(edge.kind, edge.call, edge.at, payload)

    def _damage(self, edge: _Edge | None, position: int, fault: FrameFault) -> Damage:
        offset = self._offset(position)
        return Damage(offset, fault) if edge is None else Damage(offset, fault, edge.kind, edge.call, edge.at)

    def _edge(self, position: int, mark: bytes) -> _Edge | None:
        begin, end = position + len(mark), position + _EDGE_BYTES
        if self._data[position:begin] != mark or end > len(self._data):
            return None
        fields = self._data[begin : end - _SUM_BYTES]
        if crc32(fields) != int.from_bytes(self._data[end - _SUM_BYTES : end], "big"):
            return None
        return _Edge._make(_FIELDS.unpack(fields))

    def _grow(self, position: int) -> int:
        """Read more and drop everything before ``position``; return the new position."""
        size = self._window
        if self._until is not None:
            size = min(size, max(0, self._until - self._file.tell()))
        more = self._file.read(size)
        self._is_last = not more
        self._data = self._data[position:] + more
        self._base += position
        return 0

    def _offset(self, position: int) -> int:
        return self._base + position
