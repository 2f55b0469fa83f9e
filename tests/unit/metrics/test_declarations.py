"""The declared metrics: names by the conventions of Prometheus, bounded labels, the page of documentation."""

import re
from pathlib import Path

import pytest

from vosd.daemon.metrics.readings import NAMES
from vosd.metrics.declared import Metric, MetricKind
from vosd.metrics.manual import manual
from vosd.obs.figures import Figure

ROOT = Path(__file__).resolve().parents[3]
LABELS = {
    "version",
    "node",
    "state",
    "reason",
    "code",
    "gateway",
    "kind",
    "outcome",
    "direction",
    "operation",
    "alarm",
    "level",
}
"""What labels may say: none is an account, a number or an address."""


@pytest.mark.parametrize("metric", Metric, ids=str)
def test_a_name_says_its_unit_and_its_kind(metric):
    assert re.fullmatch(r"vosd(_[a-z]+)+", metric.value)
    assert metric.value.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent|count|sum|bucket)(_|$)", metric.value)
    if metric.kind in {MetricKind.HISTOGRAM, MetricKind.SUMMARY}:
        assert metric.value.endswith("_seconds")
    assert set(metric.labels) <= LABELS
    assert len(metric.meaning.split()) > 1 or metric.meaning == "its calls"


def test_every_figure_of_status_is_a_metric_of_its_kind():
    told_apart = {Figure.CALLS, Figure.LEGS, Figure.HOLDS, Figure.CALL_REPORTS_DROPPED}  # by state, by outcome
    assert NAMES.keys() | told_apart == set(Figure)
    assert {figure.is_total for figure, metric in NAMES.items() if metric.kind is MetricKind.COUNTER} == {True}
    assert {figure.is_total for figure, metric in NAMES.items() if metric.kind is MetricKind.GAUGE} == {False}
    assert len(set(NAMES.values())) == len(NAMES)


def test_the_page_of_metrics_is_generated_from_the_declarations():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == manual(), "run: python -m vosd.metrics.manual > docs/metrics.md"
