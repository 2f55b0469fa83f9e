"""Every metric: its name, kind, labels and meaning. ``docs/metrics.md``, the exposition and the tests derive from it.

Names follow the conventions of Prometheus: base units, ``_total`` for counters. None is renamed, because dashboards and
alert rules of operators read them. No label has an account, a number or an address.
"""

from enum import Enum, StrEnum
from typing import Final

import msgspec

from vosd.obs.figures import SINCE, Figure


class MetricKind(Enum):
    """The way in which the values of a metric develop."""

    GAUGE = "gauge"
    """Goes up and down."""
    COUNTER = "counter"
    """Counts since the start."""
    HISTOGRAM = "histogram"
    """Counts of durations in ranges: ``_bucket``, ``_sum``, ``_count``."""
    SUMMARY = "summary"
    """Sum and number of durations: ``_sum``, ``_count``."""


_GATEWAY = ("gateway", "kind")
_OUTCOMES = (
    "attempts at it, or calls of it, when they end: answered; user (480, 486, 600, 603, rang in vain);"
    " redirected (3xx); ineffective (no response, 408, 500, 503, 504); cancelled (487, given up for the caller, or"
    " another telephone has decided the call); barred (an operator has blocked"
    " or disabled it); other"
)


class Declared(msgspec.Struct, frozen=True):
    """A metric as the exposition and the page of metrics have it."""

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    meaning: str


def _gauge(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Declared:
    return Declared(name, MetricKind.GAUGE, labels, meaning)


def _counter(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Declared:
    return Declared(name, MetricKind.COUNTER, labels, meaning)


def _histogram(name: str, meaning: str) -> Declared:
    return Declared(name, MetricKind.HISTOGRAM, (), meaning)


def _summary(name: str, meaning: str, labels: tuple[str, ...]) -> Declared:
    return Declared(name, MetricKind.SUMMARY, labels, meaning)


class Metric(StrEnum):
    """A metric that is no figure of ``vosd status``."""

    declared: Declared

    def __new__(cls, declared: Declared) -> "Metric":
        """Make the metric of a declaration."""
        made = str.__new__(cls, declared.name)
        made._value_, made.declared = declared.name, declared
        return made

    # The process.
    BUILD = _gauge("vosd_build_info", "1; the labels are the version and the name of the node", ("version", "node"))
    READY = _gauge("vosd_ready", "1 if new calls are taken, as /readyz says; 0 if not")
    OVERLOADED = _gauge("vosd_overloaded", "1 while new calls are refused because the switch is overloaded")
    LOOP_LAG = _histogram(
        "vosd_event_loop_lag_seconds", "lateness of the event loop, measured every 20 ms while there is traffic"
    )
    PROCESSOR_USE = _gauge(
        "vosd_processor_use_ratio",
        "use of one core by a process over a minute: switch, bookkeeper, and each media worker by its number; machine:"
        " of all processors together",
        ("process",),
    )
    NETWORK = _gauge(
        "vosd_machine_network_bytes_per_second",
        "bytes of the network devices of the machine (where it has none, as a container, of all interfaces but the"
        " loopback), over a minute: received, sent",
        ("direction",),
    )
    CATALOGUE = _gauge("vosd_catalogue_info", "1; the label is the catalogue in force", ("version",))
    CATALOGUE_LOADED = _gauge(
        "vosd_catalogue_loaded_timestamp_seconds", "when the configuration in force was loaded, seconds since 1970"
    )
    RELOAD_FAILED = _gauge(
        "vosd_reload_failed",
        "1 if the files or the database hold a configuration that was not taken; vosd status says why",
    )

    CERTIFICATE_END = _gauge(
        "vosd_certificate_end_timestamp_seconds",
        "when the first certificate of a file ends that peers and clients of the API are shown, seconds since 1970",
        ("file",),
    )
    ALARMS = _gauge(
        "vosd_alarms",
        "alarms that hold, by their name in operations/alarms.md and their level; vosd alarms has their subjects",
        ("alarm", "level"),
    )

    # Calls.
    CALLS = _gauge(
        "vosd_calls",
        "calls by state: setup, hunting, ringing, answered (caller not answered yet), talking, announcing",
        ("state",),
    )
    ENDED = _counter(
        "vosd_calls_ended_total",
        "ended and refused calls by end reason, those without CDR included; without unknown sources",
        ("reason",),
    )
    SETUP = _histogram("vosd_call_setup_seconds", "from the INVITE to the answer that was passed on, of answered calls")
    POST_DIAL_DELAY = _histogram(
        "vosd_call_post_dial_delay_seconds",
        "from the INVITE to the first 18x or 200 that was passed on (RFC 6076 section 4.3.1, SRD)",
    )
    DURATION = _histogram("vosd_call_duration_seconds", "talk of answered calls (RFC 6076 section 4.5, SDT)")
    ATTEMPTS = _counter(
        "vosd_attempts_total",
        "attempts at gateways and phones by final SIP status, 0 = there was none: silent, rang in vain, cancelled",
        ("code",),
    )
    REFRESHES_FAILED = _counter(
        "vosd_session_refresh_failures_total",
        "refreshes of a session that a peer did not take; all phones together are `others`",
        ("gateway",),
    )
    BYES_UNANSWERED = _counter("vosd_byes_unanswered_total", "BYEs of ours without answer: the peer may bill on")

    # Reports of calls to an HTTP server.
    CALL_REPORTS_DONE = _counter(
        "vosd_call_reports_total",
        "reports that wait no more: delivered; refused, full, expired, failed, unwanted (operations/exports.md)",
        ("outcome",),
    )
    CALL_REPORTS_FAILURES = _counter(
        "vosd_call_report_failures_total", "failed deliveries of reports, which are repeated"
    )

    API_ANSWERS = _counter(
        "vosd_api_answers_total",
        "answers of the management API by the class of their status: 2xx, 3xx, 4xx, 5xx; none: the client has gone",
        ("code",),
    )

    # RADIUS.

    # SIP.
    RETRANSMISSIONS = _counter(
        "vosd_retransmissions_total",
        "messages that we sent again because nothing came (sent), requests that peers sent again (received)",
        ("direction",),
    )
    DROPPED = _counter(
        "vosd_messages_dropped_total",
        "messages dropped or refused before they began anything, by cause, as in the log (messages_dropped)",
        ("reason",),
    )
    AUTHENTICATION_FAILURES = _counter(
        "vosd_authentication_failures_total", "requests with a wrong user name or password"
    )
    KEEPALIVE_SWEEP = _gauge(
        "vosd_keepalive_sweep_seconds",
        "how long the latest finished round of NAT keep-alives took; 0 = none was finished",
    )

    # Journal and database.
    UNBOOKED_BYTES = _gauge(
        "vosd_journal_unbooked_bytes", "size of the journal's files that stay because of these calls, in steps of 1 MiB"
    )
    DATABASE_STATE = _gauge(
        "vosd_database_state",
        "1 for the state of the database, 0 for the others: well, away, regressed, lease_lost",
        ("state",),
    )
    BOOKING = _histogram("vosd_database_booking_seconds", "duration of the booking of a batch of calls")
    LEASE = _histogram(
        "vosd_database_lease_seconds",
        "duration of the renewal of the lease, one small transaction a second: the latency of the database",
    )
    DATABASE_FAILURES = _counter(
        "vosd_database_failures_total",
        "bookings (booking) and renewals of the lease (lease) that failed because the database was away",
        ("operation",),
    )

    # Gateways; `kind` is routing or mapping.
    GATEWAYS = _gauge("vosd_gateways", "gateways by state, as vosd status --gateways names them", ("kind", "state"))
    GATEWAYS_LEFT_OUT = _gauge(
        "vosd_gateways_left_out",
        "gateways that have no metrics of their own because there are more than metrics.max_gateways",
    )
    GATEWAY_UP = _gauge(
        "vosd_gateway_up",
        "1 if it is up or registered, 0 if down, blocked, resting, unregistered or not located; none if disabled",
        _GATEWAY,
    )
    GATEWAY_CALLS = _gauge("vosd_gateway_calls", "its calls", _GATEWAY)
    GATEWAY_LIMIT = _gauge("vosd_gateway_calls_limit", "its max_concurrent, if it has one", _GATEWAY)
    GROUP_CALLS = _gauge("vosd_gateway_group_calls", "calls of the gateways of a group that has limits", ("group",))
    GROUP_LIMIT = _gauge("vosd_gateway_group_calls_limit", "its max_concurrent, if it has one", ("group",))
    GATEWAY_ATTEMPTS = _counter("vosd_gateway_attempts_total", _OUTCOMES, (*_GATEWAY, "outcome"))
    GATEWAY_DELAY = _summary(
        "vosd_gateway_post_dial_delay_seconds", "from the INVITE to the first 18x or 200", _GATEWAY
    )
    GATEWAY_TALK = _summary("vosd_gateway_call_duration_seconds", "talk of answered calls, when they end", _GATEWAY)
    GATEWAY_ASR = _gauge(
        "vosd_gateway_asr_ratio",
        "answered attempts by attempts in the window by which routing judges quality (ITU-T E.425)",
        _GATEWAY,
    )
    GATEWAY_NER = _gauge(
        "vosd_gateway_ner_ratio",
        "attempts that reached the called terminal by attempts in the same window (ITU-T E.425)",
        _GATEWAY,
    )
    GATEWAY_ACD = _gauge("vosd_gateway_acd_seconds", "mean talk of calls that ended in the same window", _GATEWAY)
    GATEWAY_PDD = _gauge("vosd_gateway_pdd_seconds", "mean post-dial delay in the same window", _GATEWAY)
    GATEWAY_LOSS = _gauge(
        "vosd_gateway_media_loss_ratio",
        "lost packets by packets of calls that ended in half an hour; none where there were fewer than 3,000",
        _GATEWAY,
    )


def _of(figure: Figure) -> Declared:
    """Return the metric that a figure of ``vosd status`` declares."""
    declare = _counter if figure.is_total else _gauge
    return declare(figure.metric, figure.meaning.removeprefix(SINCE))


METRICS: Final = tuple(
    sorted(
        [*(metric.declared for metric in Metric), *(_of(figure) for figure in Figure if figure.metric)],
        key=lambda metric: metric.name,
    )
)

PROCESSES = {
    "": "the switch",
    "vosd_bookkeeper": "the process that books calls",
    "vosd_exporter": "the process that answers HTTP here",
}
"""Prefixes of the metrics of processes: memory, processor time, open files, as every client library names them."""
