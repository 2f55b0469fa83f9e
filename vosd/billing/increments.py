"""From a measured duration to whole seconds and billing cycles (docs/rating.md)."""


def hold_seconds(duration_ms: int, threshold_ms: int) -> int:
    """Return the whole seconds of a call: a fraction of at least ``threshold_ms`` is one more.

    An exact second stays as it is, even with a threshold of zero.
    """
    whole, fraction = divmod(duration_ms, 1000)
    return whole + 1 if fraction and fraction >= threshold_ms else whole


def cycles(seconds: int, cycle: int) -> int:
    """Return how many billing cycles of ``cycle`` seconds were begun: always the ceiling."""
    return -(-seconds // cycle)
