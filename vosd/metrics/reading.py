"""One reading of all figures, as the switch hands it to the process that writes it for Prometheus."""

from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from vosd.base.histogram import Histogram


class QuestionTopic(Enum):
    """The question of the exporter to the switch."""

    READING = "reading"
    HEALTH = "health"
    READINESS = "readiness"


class ExporterQuestion(msgspec.Struct, frozen=True, array_like=True):
    """A question to the switch; the answers carry its number."""

    number: int
    wanted: QuestionTopic


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One value of a metric."""

    metric: str
    value: float
    labels: tuple[str, ...] = ()
    """In the order of its declaration."""


class Distribution(msgspec.Struct, frozen=True, array_like=True):
    """The counts of a histogram, in milliseconds."""

    metric: str
    bounds: tuple[float, ...]
    counts: list[int]
    total_ms: float

    @classmethod
    def of(cls, metric: str, histogram: Histogram) -> "Distribution":
        """Return what a histogram has counted."""
        return cls(metric, histogram.bounds, list(histogram.counts), histogram.total_ms)


class GatewayReading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The figures of one gateway; None = there is none."""

    gateway: str
    kind: str
    is_up: bool | None
    calls: int
    limit: int | None
    attempts: tuple[int, ...]
    """By ``routing.figures.CLASSES``."""
    rang: int
    pdd_ms: int
    talk_ms: int
    asr: float | None = None
    """Per hundred."""
    ner: float | None = None
    """Per hundred."""
    acd_s: float | None = None
    window_pdd_ms: float | None = None


class ExporterAnswer(msgspec.Struct, frozen=True, array_like=True):
    """A part of the answer to a question; the last one is marked."""

    number: int
    is_last: bool = True
    is_well: bool = True
    """Whether the switch is ready."""
    text: str = ""
    """Why it is not."""
    processes: tuple[tuple[str, int], ...] = ()
    """Prefixes of ``declared.PROCESSES`` and process ids."""
    outcomes: tuple[str, ...] = ()
    """Names of the classes of ``GatewayReading.attempts``."""
    samples: list[Sample] = []
    distributions: list[Distribution] = []
    gateways: list[GatewayReading] = []


class ExporterOpening(msgspec.Struct, frozen=True, array_like=True):
    """The first message to the exporter."""

    allow: tuple[str, ...]
    """Networks of the clients."""

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return them."""
        return tuple(ip_network(each) for each in self.allow)
