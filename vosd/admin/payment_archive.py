"""Archive files of payments that are dropped: JSON lines, compressed, with a digest of themselves (ADR 94).

The first line says what the file is, the last one what it holds: number, sums and SHA-256 of the lines before. Refuses
to know when payments are dropped.
"""

import gzip
import hashlib
from collections.abc import AsyncIterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from vosd.admin.export_files import FETCHED, KEPT, ExportPart, make_kept_directory
from vosd.admin.ledger import entry_sheet
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.base.unzippable import UNZIPPABLE
from vosd.cdr.columns import iso_utc
from vosd.processes.whole_file import sync_directory
from vosd.storage.ledger_values import LedgerEntry

_TITLE: Final = "vosd payments"
_VERSION: Final = 1
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class ArchiveFault(VosError):  # noqa: N818 - states what was found
    """An archive is missing or damaged, or cannot be written; the message says what to do."""


class ArchiveSheet(msgspec.Struct, frozen=True):
    """Content of an archive; ``amounts`` are sums by currency."""

    file: str
    dropped_before: str
    entries: int
    amounts: dict[str, str]
    sha256: str
    """SHA-256 of all lines but the last, uncompressed."""


class PaymentArchive:
    """The archive of the payments that are dropped up to one date."""

    def __init__(self, directory: Path, until: int, mode: int = FETCHED) -> None:
        """``mode`` is that of the file; ``KEPT`` in the state directory."""
        self._mode = mode
        self._until = iso_utc(until)
        name = f"payments-before-{self._until.replace(':', '')}.jsonl.gz"
        self.path: Final = directory / name
        self._part = directory / f".{name}.part"
        """Complete, but nothing of it is dropped yet."""

    async def write(self, pages: AsyncIterable[Sequence[LedgerEntry]]) -> None:
        """Write entries to a file that ``publish`` gives its name, and read it again.

        Raises:
            ArchiveFault: it cannot be written, or differs when it is read.
        """
        sums, lines = _Sums(), hashlib.sha256()
        if self.path.exists():
            raise ArchiveFault(
                f"{self.path} has payments that the database still has: it is of an earlier time; move the file away"
            )
        try:
            if self._mode == KEPT:
                make_kept_directory(self._part.parent)
            else:
                self._part.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            part = ExportPart(self._part, is_compressed=True, mode=self._mode)

            def add(document: object) -> None:
                line = msgspec.json.encode(document) + b"\n"
                lines.update(line)
                part.write(line)

            add({"archive": _TITLE, "version": _VERSION, "dropped_before": self._until})
            async for page in pages:
                for entry in page:
                    add(msgspec.structs.asdict(entry_sheet(entry)))
                    sums.add(entry)
            add({"entries": sums.entries, "amounts": sums.shown(), "sha256": lines.hexdigest()})
            part.finish()
        except OSError as error:
            raise ArchiveFault(f"{self._part.parent} cannot be written to: {error.strerror or error}") from error
        checked_archive(self._part)

    def publish(self) -> None:
        """Give a file its name that was written completely; without one there is the archive already.

        Raises:
            ArchiveFault: neither is there.
        """
        try:
            if self._part.exists() and not self.path.exists():
                checked_archive(self._part)
                self._part.replace(self.path)
                sync_directory(self.path.parent)
        except OSError as error:
            raise ArchiveFault(f"{self.path} cannot be written: {error.strerror or error}") from error
        if not self.path.exists():
            raise ArchiveFault(f"{self.path} is missing, of whose payments some were dropped already: put it back")
        checked_archive(self.path)

    def batches(self, size: int) -> Iterator[list[LedgerEntry]]:
        """Yield the entries of the published archive."""
        batch: list[LedgerEntry] = []
        for document in _documents(self.path):
            if "id" in document:
                batch.append(_entry(document))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch


def checked_archive(path: Path) -> ArchiveSheet:
    """Read a whole archive and return what it holds.

    Raises:
        ArchiveFault: it is no archive, damaged, incomplete or cannot be read.
    """
    sums, lines, last = _Sums(), hashlib.sha256(), b""
    try:
        with gzip.open(path) as file:
            for line in file:
                lines.update(last)
                last = line
                document = _decode(line)
                if "id" in document:
                    sums.add(_entry(document))
        first, end = next(_documents(path)), _decode(last)
        if first.get("archive") != _TITLE or first.get("version") != _VERSION:
            raise ArchiveFault(f"{path} is no archive of payments of this version")
        said = {"entries": sums.entries, "amounts": sums.shown(), "sha256": lines.hexdigest()}
        if end != said:
            raise ArchiveFault(f"{path} is damaged: its last line says {end}, it has {said}")
    except FileNotFoundError as error:
        raise ArchiveFault(f"{path} is not there") from error
    except (OSError, KeyError, StopIteration, TypeError, ArithmeticError, *UNZIPPABLE) as error:
        raise ArchiveFault(f"{path} is damaged, or no archive of payments: {error}") from error
    return ArchiveSheet(str(path), first["dropped_before"], sums.entries, sums.shown(), lines.hexdigest())


class _Sums:
    """Number and sums of entries."""

    def __init__(self) -> None:
        self.entries = 0
        self._amounts: dict[str, Decimal] = {}

    def add(self, entry: LedgerEntry) -> None:
        self.entries += 1
        currency = entry.currency or ""
        self._amounts[currency] = self._amounts.get(currency, ZERO) + entry.amount

    def shown(self) -> dict[str, str]:
        return {currency: format_amount(amount) for currency, amount in sorted(self._amounts.items())}


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        for line in file:
            yield _decode(line)


def _entry(document: dict[str, Any]) -> LedgerEntry:
    fields: dict[str, Any] = {name: document.get(name) for name in LedgerEntry._fields}
    money = {name: Decimal(document[name]) for name in ("amount", "balance_after")}
    at = datetime.fromisoformat(document["created_at"])
    return LedgerEntry(**fields | money | {"created_at": round(at.timestamp() * 1_000), "tax": None})
