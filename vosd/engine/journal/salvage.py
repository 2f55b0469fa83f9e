"""Looking into one journal file, whole or damaged: what stands in it, and what can be read."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from vosd.callcontrol.bookkeeping import OpenCall
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import (
    Booked,
    Ended,
    Entry,
    HungUp,
    LeftOver,
    Mark,
    PlacedCall,
    Quarantined,
    entry_in,
    id_text,
)
from vosd.engine.journal.frames import NO_CALL, Damage, frames_in

DAMAGES_LISTED: Final = 1_000

_NAMES: Final[dict[type[Entry], str]] = {
    PlacedCall: "placed", OpenCall: "answered", Ended: "ended", Mark: "mark", Booked: "booked",
    Quarantined: "quarantined", LeftOver: "left_over", HungUp: "hung_up",
}  # fmt: skip


class DamagedPart(msgspec.Struct, frozen=True):
    """One part of a file that cannot be read."""

    at: int
    """Offset in bytes."""
    fault: str
    call_id: str | None
    """The call that the lost record was about, where that is known."""


class Examination(msgspec.Struct):
    """What a journal file holds."""

    file: str
    records: dict[str, int]
    """How many records there are of each kind."""
    damaged: list[DamagedPart]
    """The first of them; ``damages`` counts all."""
    damages: int


def examine(path: Path) -> Examination:
    """Read a whole file and count.

    Raises:
        OSError: it cannot be read.
    """
    counts = Counter(dict.fromkeys((*_NAMES.values(), "unknown"), 0))
    damaged: list[DamagedPart] = []
    damages = 0
    with path.open("rb") as file:
        for part in frames_in(file):
            if isinstance(part, Damage):
                damages += 1
                if len(damaged) < DAMAGES_LISTED:
                    call_id = None if part.call == NO_CALL else id_text(part.call)
                    damaged.append(DamagedPart(part.offset, part.fault.value, call_id))
            else:
                entry = entry_in(part)
                counts["unknown" if entry is None else _NAMES[type(entry)]] += 1
    return Examination(str(path), dict(counts), damaged, damages)


def ended_in(path: Path) -> Iterator[CallRecord]:
    """Yield every ended call that can be read in a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        for part in frames_in(file):
            entry = None if isinstance(part, Damage) else entry_in(part)
            if isinstance(entry, Ended):
                yield entry.record
