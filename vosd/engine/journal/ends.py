"""Facts that a start needs of an older journal file, written beside it so that the file is not read (ADR 76).

Of a file that newer ones have replaced, only the ended calls count. ``journal-00000012.ends`` names them with what they
will take from accounts, and names the calls that the file says are booked. It is a copy: a start that finds none, or
one that does not fit the file, reads the file.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final
from zlib import crc32

import msgspec

from vosd.base.money import ZERO
from vosd.cdr.record import Posting
from vosd.engine.journal.entries import KIND_BOOKED, KIND_ENDED, KIND_QUARANTINED, is_known, postings_in, settled_by
from vosd.engine.journal.files import ENDS
from vosd.engine.journal.frames import Damage, frames_in
from vosd.obs.events import log as _log
from vosd.processes.whole_file import replace_file

ID_BYTES: Final = 16
_EACH: Final = Struct(f"{ID_BYTES}s")
_SUM_BYTES: Final = 4

_Taken = tuple[tuple[str, Decimal], ...]
"""Amounts that one call takes from accounts."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_taken: Final = msgspec.msgpack.Decoder(_Taken).decode
_decode_each: Final = msgspec.msgpack.Decoder(list[bytes]).decode


class Unsealable(Exception):  # noqa: N818 - it says what the file is
    """A file that has to be read whole: it has damaged records, or some of another version of vosd."""


class Ends(msgspec.Struct, frozen=True, array_like=True):
    """The ended calls of one file."""

    size: int
    """Size of the file, in bytes."""
    ids: bytes
    """Calls that the file does not say are booked, 16 bytes each, in their order."""
    settled: bytes
    """Calls that it says are booked or in quarantine, whichever file has their ends."""
    owed: dict[str, Decimal]
    """Amounts that the calls of ``ids`` take from each account: amounts below zero, without what a partner earns (ADR
    65)."""
    postings: bytes
    """Amounts of each call, in the order of ``ids``; read only where some of them are booked since."""

    def taken_by(self, calls: Collection[bytes]) -> Mapping[str, Decimal]:
        """Return what some of these calls take from each account; each is named once."""
        if len(calls) * ID_BYTES == len(self.ids):
            return self.owed
        calls = set(calls)
        owed: dict[str, Decimal] = {}
        for call, taken in zip(split(self.ids), _decode_each(self.postings), strict=True):
            if call in calls:
                _add(owed, _decode_taken(taken), 1)
        return owed


class EndsBeingRead:
    """The ended calls of a file, while it is read."""

    def __init__(self) -> None:
        self._taken: dict[bytes, bytes] = {}
        self._settled: dict[bytes, None] = {}
        self._owed: dict[str, Decimal] = {}

    def ended(self, call: bytes, postings: Iterable[Posting]) -> None:
        """Add an ended call; one that is there already is replaced."""
        self._forget(call)
        taken = tuple((each.account, each.amount) for each in postings if each.amount < 0)
        self._taken[call] = _encode(taken)
        _add(self._owed, taken, 1)

    def settled(self, calls: Iterable[bytes]) -> None:
        """Remove calls that are booked or in quarantine, and note them for older files."""
        for call in calls:
            self._forget(call)
            self._settled[call] = None

    def whole(self, size: int) -> Ends:
        """Return what was read of a file of so many bytes."""
        ids, settled = b"".join(self._taken), b"".join(self._settled)
        return Ends(size, ids, settled, self._owed, _encode(list(self._taken.values())))

    def _forget(self, call: bytes) -> None:
        taken = self._taken.pop(call, None)
        if taken is not None:
            _add(self._owed, _decode_taken(taken), -1)


def _add(owed: dict[str, Decimal], taken: _Taken, times: int) -> None:
    for account, amount in taken:
        owed[account] = owed.get(account, ZERO) + times * amount


def read_ends(file: BinaryIO, found: EndsBeingRead) -> Iterator[None]:
    """Read the ended calls of a file, one record at each step.

    Raises:
        Unsealable: it has to be read whole.
        OSError: it cannot be read.
    """
    for part in frames_in(file):
        if isinstance(part, Damage) or not is_known(part):
            raise Unsealable
        if part.kind == KIND_ENDED:
            postings = postings_in(part)
            if postings is None:
                raise Unsealable
            found.ended(part.call, postings)
        elif part.kind in {KIND_BOOKED, KIND_QUARANTINED}:
            settled = settled_by(part)
            if settled is None:
                raise Unsealable
            found.settled(settled)
        yield


def write_ends(file: Path, ends: Ends) -> None:
    """Write the copy of a file's ends beside it, synced.

    Raises:
        OSError: there is none now.
    """
    payload = _encode(ends)
    replace_file(file.with_suffix(ENDS), crc32(payload).to_bytes(_SUM_BYTES, "big") + payload, synced=True)


def ends_beside(file: Path) -> Ends | None:
    """Return the copy of a file's ends; None if there is none that can be used, and the file is to be read."""
    try:
        data = file.with_suffix(ENDS).read_bytes()
        size = file.stat().st_size
    except OSError:
        return None
    payload = data[_SUM_BYTES:]
    try:
        ends = _decode(payload) if crc32(payload).to_bytes(_SUM_BYTES, "big") == data[:_SUM_BYTES] else None
    except msgspec.DecodeError:
        ends = None
    if ends is None or ends.size != size:
        _log.warning("journal_ends_unusable", file=file.with_suffix(ENDS).name, means="the file itself is read")
        return None
    return ends


def split(ids: bytes | bytearray) -> Iterator[bytes]:
    """Yield the ids of a row of them."""
    return chain.from_iterable(_EACH.iter_unpack(ids))


_decode: Final = msgspec.msgpack.Decoder(Ends).decode
