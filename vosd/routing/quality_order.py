"""Comparison of gateways by their quality, in bands, so that small differences do not move routes.

A gateway with too few attempts is neutral: it counts as good as the best one that is known, so the next criterion of
the plan decides between them.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from vosd.routing.quality import QualityFigures


class QualityTerms(msgspec.Struct, frozen=True):
    """When the quality of two gateways differs."""

    asr_band: int = 5
    """Percentage points; a gateway whose answer-seizure ratio is less than this below the best one equals it."""
    acd_band_s: int = 30
    """Seconds; the same for the average call duration, between gateways that are equal by the ratio."""
    min_attempts: int = 20
    """A gateway with fewer attempts is neutral."""


class Blend(msgspec.Struct, frozen=True):
    """The weight of each figure, relative to the others; 0 = it does not count."""

    asr: int = 0
    acd: int = 0
    pdd: int = 0
    cost: int = 0
    band: int = 5
    """Points of a hundred; a gateway whose score is less than this below the best one equals it."""


NEUTRAL_RANK: Final = 0


def quality_ranks(found: Sequence[QualityFigures], terms: QualityTerms) -> list[int]:
    """Return the rank of each gateway, 0 = best: by answer-seizure ratio first, then by call duration."""
    known = [figures if figures.attempts >= terms.min_attempts else None for figures in found]
    by_asr = banded([None if each is None else each.asr for each in known], terms.asr_band)
    ranks = [NEUTRAL_RANK] * len(found)
    above = 0
    for band in range(max(by_asr, default=-1) + 1):
        places = [place for place, each in enumerate(by_asr) if each == band]
        durations = [None if (each := known[place]) is None else each.acd_s for place in places]
        by_acd = banded(durations, terms.acd_band_s)
        for place, rank in zip(places, by_acd, strict=True):
            ranks[place] = NEUTRAL_RANK if known[place] is None else above + rank
        above += max(by_acd, default=-1) + 1
    return ranks


def blend_ranks(
    found: Sequence[QualityFigures], prices: Sequence[Decimal | None], terms: QualityTerms, blend: Blend
) -> list[int]:
    """Return the rank of each gateway, 0 = best, by the weighted mean of its figures and its price.

    Each part is relative to the best of these gateways: 1 for the best, 0.5 for half as good or twice as dear. What is
    not known of a gateway counts as the best; a gateway without price as the dearest.
    """
    known = [figures if figures.attempts >= terms.min_attempts else None for figures in found]
    parts = (
        (blend.asr, _of_most([None if each is None else each.asr for each in known])),
        (blend.acd, _of_most([None if each is None else each.acd_s for each in known])),
        (blend.pdd, _of_least([None if each is None else each.mean_pdd_ms for each in known], unknown=1.0)),
        (blend.cost, _of_least([None if each is None else float(each) for each in prices], unknown=0.0)),
    )
    weights = sum(weight for weight, _ in parts)
    if not weights:
        return [NEUTRAL_RANK] * len(found)
    scores = [100 * sum(weight * part[place] for weight, part in parts) / weights for place in range(len(found))]
    return banded(scores, blend.band)


def banded(values: Sequence[float | None], width: float) -> list[int]:
    """Return the band of each value, 0 = the highest values; None belongs to the best.

    A band begins with the highest value that is in none yet, and has what is less than ``width`` below that. So two
    values that differ by less than the width are never in the wrong order, wherever a fixed grid would have its lines.
    """
    bands = [0] * len(values)
    highest, band = None, -1
    for value, place in sorted(((each, place) for place, each in enumerate(values) if each is not None), reverse=True):
        if highest is None or (highest - value >= width and highest != value):
            highest, band = value, band + 1
        bands[place] = band
    return bands


def _of_most(values: Sequence[float | None]) -> list[float]:
    """Return each value as a part of the greatest one; 1 for one that is not known."""
    most = max((each for each in values if each is not None), default=0.0)
    return [1.0 if each is None or not most else each / most for each in values]


def _of_least(values: Sequence[float | None], *, unknown: float) -> list[float]:
    """Return for each value how often the least one contains it; ``unknown`` for one that is not known."""
    least = min((each for each in values if each is not None), default=0.0)
    return [unknown if each is None else 1.0 if each <= least else least / each for each in values]
