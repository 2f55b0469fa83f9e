"""Counts of the running switch that no stored call has: attempts without a CDR, and peaks (ADR 138)."""

from enum import StrEnum
from typing import Final

import msgspec

from vosd.cdr.record import CallRecord
from vosd.traffic.counted import FIVE_MS, FIVES_OF_SLOT, TrafficKey, TrafficKind

KEYS_MAX: Final = 20_000
"""Most keys of attempts that are kept until they are written; further ones count without their details."""


class PeakSide(StrEnum):
    """Kinds of objects that have peaks."""

    SWITCH = "switch"
    """All calls together; its name is empty."""
    MAPPING = "mapping"
    ROUTING = "routing"


class AttemptCount(msgspec.Struct, frozen=True, array_like=True):
    """Attempts of five minutes that have something in common and left no CDR."""

    slot: int
    """Quarter since 1970."""
    key: TrafficKey
    calls: int
    answered: int
    rang: int = 0
    """Unanswered ones that rang."""


class TrafficPeak(msgspec.Struct, frozen=True, array_like=True):
    """Most calls of an object within a quarter of an hour."""

    slot: int
    side: PeakSide
    name: str
    concurrent: int
    per_second: int


class LiveCounts(msgspec.Struct, frozen=True, array_like=True):
    """Counts that are written together, once."""

    number: int
    """Random: the database knows by it that these counts are written already."""
    attempts: tuple[AttemptCount, ...] = ()
    peaks: tuple[TrafficPeak, ...] = ()


class AttemptsWithoutCdr:
    """Attempts that left no CDR since they were taken last."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, TrafficKey], list[int]] = {}
        """Attempts, those that were answered, and those that rang in vain, by five minutes since 1970 and key."""

    def note(self, record: CallRecord) -> None:
        """Count a call whose record is not stored."""
        is_answered = record.answered_at is not None
        key = TrafficKey(
            TrafficKind.NO_CDR,
            "",
            record.customer_account or "",
            record.vendor_account or "",
            record.mapping_gateway or "",
            record.routing_gateway or "",
            record.billing_method or "",
            record.rate_area or record.rate_prefix or "",
            record.rate_type or "",
            end_reason=record.end_reason,
            sip_code=0 if is_answered else record.sip_code or 0,
            hangup_source="" if is_answered else record.hangup_source,
        )
        has_rung = not is_answered and record.ringing_at is not None
        self._count(record.started_at // FIVE_MS, key, int(is_answered), int(has_rung))

    def note_refused(self, wall_ms: int, key: TrafficKey) -> None:
        """Count an INVITE for which no record was made; ``wall_ms`` is its arrival, UTC milliseconds."""
        self._count(wall_ms // FIVE_MS, key, 0, 0)

    def _count(self, five: int, key: TrafficKey, answered: int, rang: int) -> None:
        counts = self._counts.get((five, key))
        if counts is None:
            if len(self._counts) >= KEYS_MAX:
                key = TrafficKey(key.kind, hangup_source=key.hangup_source)  # the side tells answered ones
            counts = self._counts.setdefault((five, key), [0, 0, 0])
        counts[0] += 1
        counts[1] += answered
        counts[2] += rang

    def take(self) -> tuple[AttemptCount, ...]:
        """Return the counts, and begin anew."""
        counts, self._counts = self._counts, {}
        return tuple(
            AttemptCount(five // FIVES_OF_SLOT, key._replace(minute=five % FIVES_OF_SLOT * 5), *values)
            for (five, key), values in counts.items()
        )
