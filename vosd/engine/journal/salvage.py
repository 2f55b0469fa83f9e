"""Examine one journal file, whole or damaged: what it holds, and what of it can be read."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import NAMES, Ended, entries_in, id_text, name_of
from vosd.engine.journal.frames import NO_CALL, Damage, Frame

DAMAGES_LISTED: Final = 1_000


class DamagedPart(msgspec.Struct, frozen=True):
    """One part of a file that cannot be read."""

    at: int
    """Offset in bytes."""
    fault: str
    call_id: str | None
    """The call that the lost record was about, where that is known."""


class Examination(msgspec.Struct):
    """Content of a journal file."""

    file: str
    records: dict[str, int]
    """Number of records of each kind."""
    damaged: list[DamagedPart]
    """The first of them; ``damages`` counts all."""
    damages: int


def examine(path: Path) -> Examination:
    """Read a whole file and count; raises OSError where it cannot be read."""
    counts = Counter(dict.fromkeys((*NAMES, "unknown"), 0))
    damaged: list[DamagedPart] = []
    damages = 0
    with path.open("rb") as file:
        for part in entries_in(file):
            match part:
                case Damage():
                    damages += 1
                    if len(damaged) < DAMAGES_LISTED:
                        call_id = None if part.call == NO_CALL else id_text(part.call)
                        damaged.append(DamagedPart(part.offset, part.fault.value, call_id))
                case Frame():
                    counts["unknown"] += 1
                case _:
                    counts[name_of(part)] += 1
    return Examination(str(path), dict(counts), damaged, damages)


def has_records(path: Path) -> bool:
    """Return whether any record can be read in a file; without one it is hardly a file of the journal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return any(not isinstance(part, Damage) for part in entries_in(file))


def ended_in(path: Path) -> Iterator[CallRecord]:
    """Yield every ended call that can be read in a file; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        for part in entries_in(file):
            if isinstance(part, Ended):
                yield part.record
