"""Mean opinion score of a received stream, by the E-model of ITU-T G.107 with its default values."""

import math
from typing import Final

PACKETS_MIN: Final = 100
"""Fewer packets tell nothing: two seconds of usual audio."""

_BASE: Final = 93.2
"""R with all default values of G.107 and neither delay nor loss."""
_CODECS: Final = {
    "PCMU": (0.0, 25.1),
    "PCMA": (0.0, 25.1),
    "G729": (11.0, 19.0),
    "G723": (15.0, 16.1),
    "GSM-EFR": (5.0, 10.0),
}
"""Equipment impairment factor and robustness against loss (G.113 Appendix I); telephones conceal loss of G.711."""
_DELAY_FREE_MS: Final = 100.0
"""One-way delay that has no effect (G.107 section 7.4)."""
_JITTERS_BUFFERED: Final = 2.0
"""Delay of a jitter buffer, as a multiple of the jitter."""


def mean_opinion(
    codec: str, packets: int, lost_percent: float, jitter_ms: float, round_trip_ms: float | None
) -> float | None:
    """Return the score, 1 to 4.5 with one decimal; None for unknown codecs, and with too few packets.

    The delay is half of the round trip, if that is known, and a jitter buffer.
    """
    factors = _CODECS.get(codec.upper())
    if factors is None or packets < PACKETS_MIN:
        return None
    impairment, robustness = factors
    delay_ms = (round_trip_ms or 0.0) / 2 + _JITTERS_BUFFERED * jitter_ms
    by_loss = impairment + (95 - impairment) * lost_percent / (lost_percent + robustness)
    rating = _BASE - _by_delay(delay_ms) - by_loss
    if rating <= 0:
        return 1.0
    return round(1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6, 1)


def _by_delay(delay_ms: float) -> float:
    """Return the impairment factor Idd (G.107 section 7.4)."""
    if delay_ms <= _DELAY_FREE_MS:
        return 0.0
    x = math.log2(delay_ms / _DELAY_FREE_MS)
    return 25 * (_sixth_root(1 + x**6) - 3 * _sixth_root(1 + (x / 3) ** 6) + 2)


def _sixth_root(value: float) -> float:
    return math.pow(value, 1 / 6)
