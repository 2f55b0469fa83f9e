"""A histogram of durations: counts between bounds, and their sum."""

from bisect import bisect_left


class Histogram:
    """Counts of durations in milliseconds since the start.

    In the path of a call the counting is written out, which saves two calls of functions:
    ``seen.counts[bisect_left(seen.bounds, ms)] += 1; seen.total_ms += ms``.
    """

    __slots__ = ("bounds", "counts", "total_ms")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """``bounds`` are the upper ends of all ranges but the last, in milliseconds, in order; each is in its range."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total_ms = 0.0

    def add(self, ms: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(self.bounds, ms)] += 1
        self.total_ms += ms
