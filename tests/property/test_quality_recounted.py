"""The sliding windows of quality against a naive recount of everything that ever happened."""

from collections import Counter

from hypothesis import given, strategies as st

from vosd.base.clock import Instant
from vosd.routing.quality import Quality, QualityFigures

SLICE = 1_000
WALL = 1_790_000_000_000
GATEWAYS, DESTINATIONS = ("a", "b"), ("44", "1", "*")

moves = st.tuples(
    st.sampled_from(["answered", "failed", "reached", "talked"]),
    st.sampled_from(GATEWAYS),
    st.sampled_from(DESTINATIONS),
    st.one_of(st.none(), st.integers(0, 5_000)),
    st.sampled_from([0, 1, 400, 999, 1_000, 2_500, 9_000]),
)


def _happen(quality, what, gateway, destination, value, at):
    match what:
        case "answered":
            quality.answered(gateway, destination, value, at)
        case "talked":
            quality.talked(gateway, destination, value or 0, at)
        case _:
            quality.failed(gateway, destination, value, at, is_effective=what == "reached")


def _recounted(history, kept, now, gateway, destination=None):
    """Count what happened in this slice and in those before it that are kept."""
    sums = Counter()
    for what, name, where, value, at in history:
        if name != gateway or destination not in {None, where} or at // SLICE <= now // SLICE - kept:
            continue
        if what == "talked":
            sums["talks"] += 1
            sums["talk_ms"] += value or 0
            continue
        sums["attempts"] += 1
        sums["answered"] += what == "answered"
        sums["effective"] += what != "failed"
        if value is not None:
            sums["rang"] += 1
            sums["pdd_ms"] += value
    return QualityFigures(**sums)


@given(st.lists(moves, max_size=60), st.integers(1, 4), st.booleans())
def test_at_every_moment_the_figures_equal_a_recount(story, kept, restarts):
    quality, history, at = Quality(SLICE, kept), [], 0
    for what, gateway, destination, value, later in story:
        at += later
        if restarts and later == 999:
            saved, quality = quality.saved(Instant(at, WALL + at)), Quality(SLICE, kept)
            quality.restore(saved, Instant(at, WALL + at))
        _happen(quality, what, gateway, destination, value, at)
        history.append((what, gateway, destination, value, at))
        for name in GATEWAYS:
            assert quality.figures(name, at) == _recounted(history, kept, at, name)
            for where in DESTINATIONS:
                found = _recounted(history, kept, at, name, where)
                shown = found if found.attempts >= 3 else _recounted(history, kept, at, name)
                assert quality.figures_of(name, where, at, 3) == shown
