"""Figures of ``vosd status``: what is alive now, and what was counted since the start.

A part of the switch has ``census`` for what returns to zero when nothing is left to do, and ``totals`` for counters
that only grow. ``SwitchService`` lists the parts. Refuses to know what is counted.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol


class HasCensus(Protocol):
    """A part of the switch with something that can be alive or wait."""

    def census(self) -> Mapping[str, int]:
        """Count what is alive and what waits; every figure is zero when the part has nothing to do."""
        ...


class HasTotals(Protocol):
    """A part of the switch that counts what happens."""

    def totals(self) -> Mapping[str, int]:
        """Return the counters since the start."""
        ...


def census_of(*parts: HasCensus) -> dict[str, int]:
    """Return the figures of several parts.

    Raises:
        ValueError: two parts use the same name.
    """
    found: dict[str, int] = {}
    for part in parts:
        for name, count in part.census().items():
            if name in found:
                message = f"two parts of the switch count {name}"
                raise ValueError(message)
            found[name] = count
    return found


def totals_of(*parts: HasTotals) -> dict[str, int]:
    """Return the counters of several parts; those of the same name are added up."""
    found: Counter[str] = Counter()
    for part in parts:
        found.update(part.totals())
    return dict(found)
