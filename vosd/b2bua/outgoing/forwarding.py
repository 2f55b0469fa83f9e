"""Diversion (RFC 5806) made of History-Info (RFC 7044), and the other way round, as RFC 7544 says it.

A history has all numbers that a call was for, the oldest first; a diversion is the number that sent a call on, the
latest first. A target with a cause of RFC 4458 was reached from a number that diverted.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from vosd.sip.headers.diversion import Diversion
from vosd.sip.headers.history_info import HistoryEntry

_CAUSES: Final[Mapping[str, int]] = {
    "unconditional": 302, "user-busy": 486, "no-answer": 408, "deflection": 480, "unavailable": 503,
}  # fmt: skip
_UNKNOWN: Final = 404
"""Cause of every other reason."""
_REASONS: Final[Mapping[int, str]] = {**{cause: reason for reason, cause in _CAUSES.items()}, 487: "deflection"}
_DOTS_MAX: Final = 15
"""Deepest index that is written."""
_FIRST: Final = "1"


def history_of(diversions: Sequence[Diversion], callee: str) -> tuple[HistoryEntry, ...]:
    """Return the history that diversions tell of, the latest first; ``callee`` is the number that is called now."""
    entries: list[HistoryEntry] = []
    place, cause = _FIRST, None
    found: tuple[tuple[str, str], ...] = ()
    for left, diversion in zip(range(len(diversions), 0, -1), reversed(diversions), strict=True):
        is_withheld = diversion.privacy in {"full", "name", "uri"}
        entries.append(HistoryEntry(diversion.number, place, found, cause, None, is_withheld))
        found, cause = (("mp", place),), _CAUSES.get(diversion.reason, _UNKNOWN)
        room = _DOTS_MAX - place.count(".") - (left - 1)
        place += ".1" * max(1, min(int(diversion.counter or 1), room))
    return (*entries, HistoryEntry(callee, place, found, cause, None, False))


def diversions_of(history: Sequence[HistoryEntry], *, is_withheld: bool) -> tuple[Diversion, ...]:
    """Return the diversions in a history, the latest first; ``is_withheld``: the caller withholds all of it."""
    by_place = {entry.place: entry for entry in history}
    diversions = []
    for entry in history:
        if entry.cause is None:
            continue
        origin = dict(entry.found).get("mp") or entry.place.rpartition(".")[0]
        diverting = by_place.get(origin)
        if diverting is None:
            continue
        steps = max(1, entry.place.count(".") - diverting.place.count("."))
        privacy = "full" if is_withheld or diverting.is_withheld else "off"
        diversions.append(Diversion(diverting.number, _REASONS.get(entry.cause, "unknown"), str(steps), privacy))
    return tuple(reversed(diversions))
