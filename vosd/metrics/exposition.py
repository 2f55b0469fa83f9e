"""Write a reading in a form of Prometheus, by its client library."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from vosd.metrics.declared import METRICS, Declared, Metric, MetricKind
from vosd.metrics.reading import Distribution, ExporterAnswer, GatewayReading, Sample

_GAUGES: Final[Mapping[str, Callable[[GatewayReading], float | None]]] = {
    Metric.GATEWAY_UP: lambda gateway: gateway.is_up,
    Metric.GATEWAY_CALLS: lambda gateway: gateway.calls,
    Metric.GATEWAY_LIMIT: lambda gateway: gateway.limit,
    Metric.GATEWAY_ASR: lambda gateway: _divided(gateway.asr, 100),
    Metric.GATEWAY_NER: lambda gateway: _divided(gateway.ner, 100),
    Metric.GATEWAY_ACD: lambda gateway: gateway.acd_s,
    Metric.GATEWAY_PDD: lambda gateway: _divided(gateway.window_pdd_ms, 1_000),
}
_SUMMARIES: Final[Mapping[str, Callable[[GatewayReading], tuple[int, int]]]] = {
    Metric.GATEWAY_DELAY: lambda gateway: (gateway.rang, gateway.pdd_ms),
    Metric.GATEWAY_TALK: lambda gateway: (gateway.attempts[0], gateway.talk_ms),
}
"""Number and sum in milliseconds."""


def written(parts: Sequence[ExporterAnswer], accept: str = "") -> tuple[bytes, str]:
    """Return a reading in the form that the client accepts, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(parts))
    processes = [*(each for part in parts for each in part.processes), ("vosd_exporter", os.getpid())]
    for prefix, pid in processes:
        _Process(namespace=prefix, pid=partial(int, pid), registry=registry)
    write, content_type = choose_encoder(accept)
    return write(registry), content_type


class _Process(ProcessCollector):
    """Figures of one process, also where a unit with ``ProcSubset=pid`` hides ``/proc/stat``."""

    def _boot_time(self) -> float:
        """Return when the machine was started, seconds since 1970; without it the library shows nothing at all."""
        return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)


class _Reading(Collector):
    def __init__(self, parts: Sequence[ExporterAnswer]) -> None:
        self._samples: dict[str, list[Sample]] = defaultdict(list)
        for part in parts:
            for sample in part.samples:
                self._samples[sample.metric].append(sample)
        self._distributions = {each.metric: each for part in parts for each in part.distributions}
        self._gateways = [gateway for part in parts for gateway in part.gateways]
        self._outcomes = next((part.outcomes for part in parts if part.outcomes), ())

    def collect(self) -> Iterator[Family]:
        """Yield each declared metric that has a value, by name."""
        for metric in METRICS:
            family = self._family(metric)
            if family.samples:
                yield family

    def _family(self, metric: Declared) -> Family:
        name, meaning, labels = metric.name, metric.meaning, metric.labels
        match metric.kind:
            case MetricKind.GAUGE:
                gauge = GaugeMetricFamily(name, meaning, labels=labels)
                for values, value in self._gauges(name):
                    gauge.add_metric(values, value)
                return gauge
            case MetricKind.COUNTER:
                counter = CounterMetricFamily(name, meaning, labels=labels)
                for values, value in self._counters(name):
                    counter.add_metric(values, value)
                return counter
            case MetricKind.HISTOGRAM:
                histogram = HistogramMetricFamily(name, meaning)
                if name in self._distributions:
                    seen = self._distributions[name]
                    histogram.add_metric((), _buckets(seen), seen.total_ms / 1_000)
                return histogram
            case MetricKind.SUMMARY:
                summary, count_of = SummaryMetricFamily(name, meaning, labels=labels), _SUMMARIES[name]
                for gateway in self._gateways:
                    count, total_ms = count_of(gateway)
                    summary.add_metric((gateway.gateway, gateway.kind), count, total_ms / 1_000)
                return summary

    def _gauges(self, name: str) -> Iterator[tuple[Sequence[str], float]]:
        value_of = _GAUGES.get(name)
        if value_of is not None:
            for gateway in self._gateways:
                value = value_of(gateway)
                if value is not None:
                    yield (gateway.gateway, gateway.kind), value
        yield from self._plain(name)

    def _counters(self, name: str) -> Iterator[tuple[Sequence[str], float]]:
        if name == Metric.GATEWAY_ATTEMPTS:
            for gateway in self._gateways:
                for outcome, count in zip(self._outcomes, gateway.attempts, strict=True):
                    yield (gateway.gateway, gateway.kind, outcome), count
        yield from self._plain(name)

    def _plain(self, name: str) -> Iterator[tuple[Sequence[str], float]]:
        for sample in self._samples.get(name, ()):
            yield sample.labels, sample.value


def _buckets(seen: Distribution) -> list[tuple[str, float]]:
    """Return the counts up to each bound in seconds, the last without bound."""
    bounds = [*(str(bound / 1_000) for bound in seen.bounds), "+Inf"]
    return list(zip(bounds, accumulate(seen.counts), strict=True))


def _divided(value: float | None, by: float) -> float | None:
    return None if value is None else value / by
