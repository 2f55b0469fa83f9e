"""Ends of certificates, of which the operator is warned in time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vosd.base.errors import VosError
from vosd.catalogue.problems import ProblemList, SourceLine

_DAY_MS: Final = 86_400_000
_WARN_DAYS: Final = 14


def time_left(ends_ms: int, now_ms: int) -> str:
    """Return how long something lasts that ends soon, or since when it is over; empty = it lasts longer."""
    days, is_over = abs(ends_ms - now_ms) // _DAY_MS, ends_ms < now_ms
    if is_over:
        return f"ended {days} days ago"
    return f"has {days} days left" if days < _WARN_DAYS else ""


def certificate_ends(
    shown: Mapping[Path, tuple[SourceLine, str]], now_ms: int, problems: ProblemList
) -> Mapping[str, int]:
    """Return when the first certificate of each file ends, UTC milliseconds; warn of those that end soon.

    ``shown`` has the place and the key that name a file. A peer needs the whole chain: the first end counts.
    """
    if not shown:
        return {}
    from vosd.stir.certificates import first_end

    ends = {}
    for path, (place, key) in shown.items():
        try:
            end = first_end(path.read_bytes().decode("latin-1"))
        except (OSError, VosError) as error:
            problems.warning(place, key, f"a certificate whose end can be read: {error}", str(path))
            continue
        ends[str(path)] = end
        left = time_left(end, now_ms)
        if left:
            problems.warning(place, key, f"certificates that last: one of {path} {left}")
    return ends
