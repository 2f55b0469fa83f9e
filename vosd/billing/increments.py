"""From a measured duration to seconds and cycles: the two roundings of time (REQ_BILLING section 4).

Owns whole numbers only; what a cycle costs is for ``rater``.
"""


def hold_seconds(duration_ms: int, threshold_ms: int) -> int:
    """Return the whole seconds of a call: a fraction of at least ``threshold_ms`` is one more (DUR-05).

    An exact second stays as it is, even with a threshold of zero (DUR-07).
    """
    whole, fraction = divmod(duration_ms, 1000)
    return whole + 1 if fraction >= max(threshold_ms, 1) else whole


def cycles(seconds: int, cycle: int) -> int:
    """Return how many billing cycles of ``cycle`` seconds were begun (DUR-20: always the ceiling)."""
    return -(-seconds // cycle)
