"""Parts of the switch that return figures of ``vosd status``. It does not know how anything is counted."""

from collections import Counter
from collections.abc import Iterable, Mapping

from vosd.obs.figures import Figure


class Counting:
    """A part of the switch with figures. ``SwitchService.parts`` has each of them once."""

    def census(self) -> Mapping[Figure, int]:
        """Count what is alive and what waits; every figure is zero when the part has nothing to do."""
        return {}

    def totals(self) -> Mapping[Figure, int]:
        """Return the counters since the start."""
        return {}


def census_of(parts: Iterable[Counting]) -> dict[str, int]:
    """Return the figures of several parts; raises ValueError where two parts count the same figure."""
    found: dict[str, int] = {}
    for part in parts:
        for figure, count in part.census().items():
            if figure.value in found:
                raise ValueError(f"two parts of the switch count {figure}")
            found[figure.value] = count
    return found


def totals_of(parts: Iterable[Counting]) -> dict[str, int]:
    """Return all counters, zero where no part counted; those of the same figure are added up."""
    found = Counter({figure.value: 0 for figure in Figure if figure.is_total})
    for part in parts:
        found.update({figure.value: count for figure, count in part.totals().items()})
    return dict(found)
