"""Find out why the times of a vendor's file are away from ours: another zone than its map says, or no seconds."""

from collections import Counter
from typing import Final

from vosd.clearing.calls import BilledCall, SentCall

SAMPLE: Final = 5_000
"""Calls of each book that are looked at: the first that have no partner."""
_STEP_MS: Final = 900_000
"""Zones differ by quarters of an hour."""
_LEAST: Final = 5
"""Calls that must be shifted alike, or lack their seconds."""
_MINUTE_MS: Final = 60_000


class TimeShift:
    """Calls of both books that have no partner, as far as they say by how much the times are apart."""

    def __init__(self, tolerance_ms: int, duration_tolerance_ms: int) -> None:
        self._tolerance, self._length_tolerance = tolerance_ms, duration_tolerance_ms
        self._ours: dict[str, list[SentCall]] = {}
        self._theirs: list[BilledCall] = []
        self._count = 0

    def add_ours(self, call: SentCall) -> None:
        """Note a call that the vendor's file has not."""
        if self._count < SAMPLE:
            self._count += 1
            self._ours.setdefault(call.number, []).append(call)

    def add_theirs(self, call: BilledCall) -> None:
        """Note a call that we have not."""
        if len(self._theirs) < SAMPLE:
            self._theirs.append(call)

    def found(self) -> int | None:
        """Return the milliseconds by which the times of the file are after ours; None = no shift stands out.

        It is the shift by which most calls of equal numbers and lengths would be one, if that is a fifth of them.
        """
        votes: Counter[int] = Counter()
        for billed in self._theirs:
            shifts = {
                self._shift(billed.at - call.at)
                for call in self._ours.get(billed.number, ())
                if abs(call.duration_ms - billed.duration_ms) <= self._length_tolerance
            }
            votes.update(each for each in shifts if each)
        best = votes.most_common(1)
        if not best or best[0][1] < max(_LEAST, len(self._theirs) // 5):
            return None
        return best[0][0]

    def lacks_seconds(self) -> bool:
        """Return whether the starts of the file are whole minutes, and a fifth of its calls are ours but for that."""
        if any(billed.at % _MINUTE_MS for billed in self._theirs):
            return False
        cut_off = sum(
            any(
                0 < call.at - billed.at < _MINUTE_MS
                and abs(call.duration_ms - billed.duration_ms) <= self._length_tolerance
                for call in self._ours.get(billed.number, ())
            )
            for billed in self._theirs
        )
        return cut_off >= max(_LEAST, len(self._theirs) // 5)

    def _shift(self, difference_ms: int) -> int:
        """Return the quarters of an hour that a difference is near to, in milliseconds; 0 = it is near to none."""
        shift = round(difference_ms / _STEP_MS) * _STEP_MS
        return shift if abs(difference_ms - shift) <= self._tolerance else 0
