"""The declared metrics: names by the conventions of Prometheus, bounded labels, the page of documentation."""

import re
from pathlib import Path

import pytest
from manuals.metrics import manual

from vosd.metrics.declared import METRICS, MetricKind
from vosd.obs.figures import Figure

ROOT = Path(__file__).resolve().parents[3]
LABELS = {
    "version",
    "node",
    "state",
    "reason",
    "code",
    "gateway",
    "group",
    "kind",
    "outcome",
    "direction",
    "operation",
    "alarm",
    "level",
    "file",
    "process",
}
"""Permitted labels: none is an account, a number or an address."""


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_its_unit_and_its_kind(metric):
    assert re.fullmatch(r"vosd(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent|count|sum|bucket)(_|$)", metric.name)
    if metric.kind in {MetricKind.HISTOGRAM, MetricKind.SUMMARY}:
        assert metric.name.endswith("_seconds")
    assert set(metric.labels) <= LABELS
    assert len(metric.meaning.split()) > 1 or metric.meaning == "its calls"


def test_every_figure_of_status_is_a_metric():
    told_apart = {Figure.CALLS, Figure.CALL_REPORTS_DROPPED, Figure.SPOOL_MB}  # by state, by outcome, in bytes
    assert {figure for figure in Figure if not figure.metric} == told_apart
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)


def test_the_page_of_metrics_is_generated_from_the_declarations():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == manual(), "run: python tests/manuals/metrics.py > docs/metrics.md"
