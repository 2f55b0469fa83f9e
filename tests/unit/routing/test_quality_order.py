"""Comparison of gateways in bands of quality, and by a blend of figures and price."""

from decimal import Decimal

from hypothesis import given, strategies as st

from vosd.routing.quality import QualityFigures
from vosd.routing.quality_order import Blend, QualityTerms, banded, blend_ranks, quality_ranks

TERMS = QualityTerms(asr_band=5, acd_band_s=30, min_attempts=20)
UNKNOWN = QualityFigures(attempts=19)


def figures(asr: int, acd_s: int | None = None, pdd_ms: int = 0) -> QualityFigures:
    talks = 0 if acd_s is None else 1
    return QualityFigures(100, asr, asr, int(bool(pdd_ms)), pdd_ms, talks, (acd_s or 0) * 1_000)


def test_ratios_less_than_a_band_apart_are_equal_wherever_they_are():
    assert quality_ranks([figures(46), figures(44), figures(42)], TERMS) == [0, 0, 0]
    assert quality_ranks([figures(41), figures(46), figures(36)], TERMS) == [1, 0, 2]


def test_within_a_band_of_the_ratio_the_length_of_calls_decides():
    found = [figures(46, 60), figures(44, 120), figures(45, 95), figures(20, 900)]
    assert quality_ranks(found, TERMS) == [1, 0, 0, 2]


def test_a_gateway_with_too_few_attempts_counts_as_good_as_the_best():
    assert quality_ranks([figures(20), UNKNOWN, figures(60)], TERMS) == [1, 0, 0]
    assert quality_ranks([figures(46, 60), UNKNOWN, figures(44, 120)], TERMS) == [1, 0, 0]
    assert quality_ranks([UNKNOWN, UNKNOWN], TERMS) == [0, 0]
    assert quality_ranks([], TERMS) == []


def test_a_gateway_whose_calls_all_last_still_is_not_judged_by_their_length():
    assert quality_ranks([figures(46, 60), figures(45)], TERMS) == [0, 0]


def test_without_a_band_every_difference_counts():
    assert banded([10.0, 10.0, 9.9], 0) == [0, 0, 1]


def test_a_blend_weighs_quality_against_price():
    found = [figures(50, 100, 1_000), figures(40, 100, 1_000)]
    prices = [Decimal("0.020"), Decimal("0.010")]
    assert blend_ranks(found, prices, TERMS, Blend(asr=75, cost=25)) == [0, 0]  # 87.5 and 85 of 100
    assert blend_ranks(found, prices, TERMS, Blend(asr=90, cost=10)) == [0, 1]  # 95 and 82
    assert blend_ranks(found, prices, TERMS, Blend(asr=50, cost=50)) == [1, 0]  # 75 and 90
    assert blend_ranks(found, prices, TERMS, Blend()) == [0, 0]


def test_a_blend_counts_length_and_delay():
    assert blend_ranks([figures(50, 100), figures(50, 50)], [None, None], TERMS, Blend(acd=1)) == [0, 1]
    assert blend_ranks([figures(50, 9, 3_000), figures(50, 9, 1_000)], [None, None], TERMS, Blend(pdd=1)) == [1, 0]


def test_in_a_blend_what_is_unknown_is_best_and_a_missing_price_worst():
    found = [UNKNOWN, figures(40, 60, 1_000)]
    assert blend_ranks(found, [Decimal("0.01"), Decimal("0.01")], TERMS, Blend(1, 1, 1, 1)) == [0, 0]
    assert blend_ranks(found, [None, Decimal("0.01")], TERMS, Blend(cost=1)) == [1, 0]
    assert blend_ranks(found, [Decimal(0), Decimal("0.01")], TERMS, Blend(cost=1)) == [0, 1]


@given(st.lists(st.one_of(st.none(), st.floats(0, 100))), st.floats(0.5, 20))
def test_a_value_is_never_behind_a_lower_one_nor_beside_one_a_whole_band_away(values, width):
    bands = banded(values, width)
    for one, one_band in zip(values, bands, strict=True):
        assert (one is not None) or one_band == 0
        for other, other_band in zip(values, bands, strict=True):
            if one is not None and other is not None:
                assert one_band <= other_band if one > other else True
                assert one_band != other_band if abs(one - other) >= width else True
    known = [band for band, value in zip(bands, values, strict=True) if value is not None]
    assert sorted(set(known)) == list(range(len(set(known))))
