"""Quarantine: call records that the database refuses, each in a file of its own until the cause is corrected.

One JSON file for each call in ``state_dir/quarantine``, synced before the journal may drop the call. ``vosd spool``
reads the files, with a running switch or without. It does not know databases.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from vosd.base.clock import LATEST_KEPT_MS, KeptTime
from vosd.base.errors import VosError
from vosd.base.text import escaped
from vosd.base.undecodable import UNDECODABLE
from vosd.cdr.ports import RejectedRecord
from vosd.cdr.record import CallRecord
from vosd.engine.journal.files import entries
from vosd.obs.events import Event, log as _log
from vosd.processes.whole_file import replace_file, sync_directory

DIRECTORY: Final = "quarantine"
"""Name of the directory within ``state_dir``."""
_SUFFIX: Final = ".json"
_TIMES: Final = tuple(name for name in CallRecord.__struct_fields__ if name.endswith("_at"))
"""Times of a record, which people may edit as the rest of it."""


class Refused(msgspec.Struct, frozen=True):
    """A call record that the database refused."""

    record: CallRecord
    why: str
    refused_at: int
    """UTC milliseconds."""


class Unreadable(NamedTuple):
    """A file of the quarantine that this version cannot read."""

    path: Path
    why: str


class Content(NamedTuple):
    """Content of the quarantine."""

    records: list[Refused]
    """In the order of their refusal."""
    unreadable: list[Unreadable]

    def count_of(self, vendor: str, since: int, until: int) -> int:
        """Return how many may be calls of a vendor that began in a span, UTC milliseconds; an unreadable one may be."""
        fitting = (
            each.record.vendor_account == vendor and since <= each.record.started_at < until for each in self.records
        )
        return len(self.unreadable) + sum(fitting)


class QuarantineError(VosError):
    """The quarantine cannot be read or written."""


class _Kept(msgspec.Struct):
    """Form of a file."""

    record: msgspec.Raw
    why: str
    refused_at: KeptTime
    checksum: int | None = None
    """CRC of the record as it is written: its amounts are booked. Files of earlier versions have none."""


_decode: Final = msgspec.json.Decoder(_Kept).decode
_decode_record: Final = msgspec.json.Decoder(CallRecord).decode


class Quarantine:
    """One directory of refused records; it may be missing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ids: set[str] = set()
        self.owed: Final[set[str]] = set()
        """Calls in quarantine whose cost the running switch counts as owed until they are booked."""
        self.count()

    def __len__(self) -> int:
        """Return the number of records at the last count or change by this process."""
        return len(self._ids)

    def __contains__(self, call_id: str) -> bool:
        """Return whether a record was there at the last count or change by this process."""
        return call_id in self._ids

    def count(self) -> int:
        """Count the records again: another process may have booked some.

        Raises:
            QuarantineError: the directory, or the one above, may not be read by this user.
        """
        self._ids = {path.stem for path in self._paths()}
        return len(self._ids)

    def ids(self) -> frozenset[str]:
        """Read the directory again and return the ids of the calls."""
        self.count()
        return frozenset(self._ids)

    def put(self, rejected: Iterable[RejectedRecord]) -> None:
        """Keep records, synced to disk, which may take milliseconds for each.

        Raises:
            OSError: some are not kept.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = []
        try:
            for record, reason in rejected:
                path = self._path(record.call_id)
                refused = Refused(record, reason, time.time_ns() // 1_000_000)
                replace_file(path, _encode(refused), synced=True)
                written.append(record.call_id)
        finally:
            sync_directory(self._directory)
            self._ids.update(written)

    async def take(self, rejected: Sequence[RejectedRecord]) -> set[str]:
        """Keep records, in a thread, and count their cost as owed; return the calls of those that could be written."""
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.put, rejected)
        except OSError as error:
            _log.error("quarantine_write_failed", means="refused calls stay in the journal", error=str(error))
        kept = {record.call_id for record, _ in rejected if record.call_id in self}
        for record, reason in rejected:
            if record.call_id in kept:
                do = "vosd spool list, show, retry"
                _log.error(Event.RECORD_QUARANTINED, call_id=record.call_id, why=reason, do=do)
        self.owed.update(kept)
        return kept

    def remove(self, call_ids: Iterable[str]) -> None:
        """Remove records that are in the database now."""
        for call_id in call_ids:
            self._path(call_id).unlink(missing_ok=True)
            self._ids.discard(call_id)
        if self._directory.exists():
            sync_directory(self._directory)

    def get(self, call_id: str) -> Refused | None:
        """Return one record, or None; raises QuarantineError where its file cannot be read."""
        try:
            return _refused_in(self._path(call_id))
        except FileNotFoundError:
            return None
        except (OSError, *UNDECODABLE) as error:
            raise QuarantineError(f"{self._path(call_id)} cannot be read: {error}") from error

    def read(self) -> Content:
        """Return all records, and the files that cannot be read.

        Raises:
            QuarantineError: the directory may not be read by this user.
        """
        records, unreadable = [], []
        for path in sorted(self._paths()):
            try:
                records.append(_refused_in(path))
            except FileNotFoundError:
                continue  # booked meanwhile
            except (OSError, *UNDECODABLE) as error:
                unreadable.append(Unreadable(path, str(error)))
        records.sort(key=lambda each: (each.refused_at, each.record.call_id))
        return Content(records, unreadable)

    def _paths(self) -> list[Path]:
        try:
            return entries(self._directory, f"*{_SUFFIX}")
        except PermissionError as error:
            raise self._forbidden() from error

    def _forbidden(self) -> QuarantineError:
        own = f"chown -R {os.geteuid()}: {self._directory}"
        said = f"{self._directory} cannot be read: run this as the user of the switch"
        return QuarantineError(f"{said}; if it is that, {own}")

    def _path(self, call_id: str) -> Path:
        return self._directory / f"{Path(call_id).name}{_SUFFIX}"


def _encode(refused: Refused) -> bytes:
    try:
        record = msgspec.json.encode(refused.record)
    except UnicodeEncodeError:
        record = msgspec.json.encode(escaped(refused.record))
    why = refused.why.encode(errors="backslashreplace").decode()
    return msgspec.json.encode(_Kept(msgspec.Raw(record), why, refused.refused_at, crc32(record)))


def _refused_in(path: Path) -> Refused:
    """Return what a file has; raises OSError or one of UNDECODABLE where that cannot be read, or is not that record."""
    kept = _decode(path.read_bytes())
    if kept.checksum not in {None, crc32(kept.record)}:
        raise msgspec.ValidationError(
            "its record is damaged, or was edited; without its checksum it is booked as it stands"
        )
    record = _decode_record(kept.record)
    if record.call_id != path.stem:
        raise msgspec.ValidationError(f"its record is of another call, {record.call_id}")
    for name in _TIMES:
        at = getattr(record, name)
        if at is not None and not 0 <= at <= LATEST_KEPT_MS:
            raise msgspec.ValidationError(f"{name} of its record is no date: {at}")
    return Refused(record, kept.why, kept.refused_at)
