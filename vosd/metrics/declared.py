"""Every metric: its name, kind, labels and meaning. ``docs/metrics.md``, the exposition and the tests derive from it.

Names follow the conventions of Prometheus: base units, ``_total`` for counters. None is renamed, because dashboards and
alert rules of operators read them. No label has an account, a number or an address.
"""

from enum import Enum, StrEnum

from vosd.obs.figures import SINCE, Figure


class Kind(Enum):
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
    "attempts at it, or calls of it, when they end: answered; user (480, 486, 600, 603); redirected (3xx); ineffective"
    " (no response, 408, 500, 503, 504); cancelled (487); other"
)


def _of(figure: Figure) -> tuple[str, Kind, tuple[str, ...], str]:
    """Return the metric that a figure of ``vosd status`` declares."""
    return figure.metric, Kind.COUNTER if figure.is_total else Kind.GAUGE, (), figure.meaning.removeprefix(SINCE)


class Metric(StrEnum):
    """A metric of the switch."""

    kind: Kind
    labels: tuple[str, ...]
    meaning: str

    def __new__(cls, name: str, kind: Kind, labels: tuple[str, ...], meaning: str) -> "Metric":
        """Make the metric of a name."""
        made = str.__new__(cls, name)
        made._value_, made.kind, made.labels, made.meaning = name, kind, labels, meaning
        return made

    # The process.
    BUILD = "vosd_build_info", Kind.GAUGE, ("version", "node"), "1; the labels are the version and the name of the node"
    READY = "vosd_ready", Kind.GAUGE, (), "1 if new calls are taken, as /readyz says; 0 if not"
    OVERLOADED = "vosd_overloaded", Kind.GAUGE, (), "1 while new calls are refused because the switch is overloaded"
    LOOP_LAG = (
        "vosd_event_loop_lag_seconds",
        Kind.HISTOGRAM,
        (),
        "lateness of the event loop, measured every 20 ms while there is traffic",
    )
    CATALOGUE = "vosd_catalogue_info", Kind.GAUGE, ("version",), "1; the label is the catalogue in force"
    CATALOGUE_LOADED = (
        "vosd_catalogue_loaded_timestamp_seconds",
        Kind.GAUGE,
        (),
        "when the configuration in force was loaded, seconds since 1970",
    )
    RELOAD_FAILED = (
        "vosd_reload_failed",
        Kind.GAUGE,
        (),
        "1 if the files or the database hold a configuration that was not taken; vosd status says why",
    )

    ALARMS = (
        "vosd_alarms",
        Kind.GAUGE,
        ("alarm", "level"),
        "alarms that hold, by their name in operations/alarms.md and their level; vosd alarms has their subjects",
    )

    # Calls.
    CALLS = (
        "vosd_calls",
        Kind.GAUGE,
        ("state",),
        "calls by state: setup, hunting, ringing, answered (caller not answered yet), talking",
    )
    LEGS = _of(Figure.LEGS)
    HOLDS = _of(Figure.HOLDS)
    ENDED = (
        "vosd_calls_ended_total",
        Kind.COUNTER,
        ("reason",),
        "ended and refused calls by end reason, those without CDR included; without unknown sources",
    )
    SETUP = (
        "vosd_call_setup_seconds",
        Kind.HISTOGRAM,
        (),
        "from the INVITE to the answer that was passed on, of answered calls",
    )
    POST_DIAL_DELAY = (
        "vosd_call_post_dial_delay_seconds",
        Kind.HISTOGRAM,
        (),
        "from the INVITE to the first 18x or 200 that was passed on (RFC 6076 section 4.3.1, SRD)",
    )
    DURATION = "vosd_call_duration_seconds", Kind.HISTOGRAM, (), "talk of answered calls (RFC 6076 section 4.5, SDT)"
    ATTEMPTS = (
        "vosd_attempts_total",
        Kind.COUNTER,
        ("code",),
        "attempts at all routing gateways by final SIP status, 0 = no response",
    )
    WITHOUT_CDR = _of(Figure.CALLS_WITHOUT_CDR)
    REFUSED_FOR_OVERLOAD = _of(Figure.REFUSED_FOR_OVERLOAD)
    REFRESHES_FAILED = (
        "vosd_session_refresh_failures_total",
        Kind.COUNTER,
        ("gateway",),
        "refreshes of a session that a peer did not take; all phones together are `others`",
    )
    BYES_UNANSWERED = (
        "vosd_byes_unanswered_total",
        Kind.COUNTER,
        (),
        "BYEs of ours without answer: the peer may bill on",
    )
    BLACKLISTED = _of(Figure.BLACKLISTED)
    BLACKLIST_FORGOTTEN = _of(Figure.BLACKLIST_FORGOTTEN)
    LOOKUPS = _of(Figure.LOOKUPS)
    LOOKUPS_FAILED = _of(Figure.LOOKUPS_FAILED)
    OVERRIDES = _of(Figure.OVERRIDES)

    # Reports of calls to an HTTP server.
    CALL_REPORTS = _of(Figure.CALL_REPORTS)
    CALL_REPORTS_DONE = (
        "vosd_call_reports_total",
        Kind.COUNTER,
        ("outcome",),
        "reports that wait no more: delivered; refused, full, expired, failed, unwanted (operations/exports.md)",
    )
    CALL_REPORTS_FAILURES = (
        "vosd_call_report_failures_total",
        Kind.COUNTER,
        (),
        "failed deliveries of reports, which are repeated",
    )

    # SIP.
    DIALOGS = _of(Figure.DIALOGS)
    TRANSACTIONS = _of(Figure.TRANSACTIONS)
    TIMERS = _of(Figure.TIMERS)
    RETRANSMISSIONS = (
        "vosd_retransmissions_total",
        Kind.COUNTER,
        ("direction",),
        "messages that we sent again because nothing came (sent), requests that peers sent again (received)",
    )
    DROPPED = (
        "vosd_messages_dropped_total",
        Kind.COUNTER,
        ("reason",),
        "messages dropped or refused before they began anything, by cause, as in the log (messages_dropped)",
    )
    AUTHENTICATION_FAILURES = (
        "vosd_authentication_failures_total",
        Kind.COUNTER,
        (),
        "requests with a wrong user name or password",
    )
    BLOCKED_SOURCES = _of(Figure.LOCKED_OUT)
    REGISTRATIONS = _of(Figure.REGISTRATIONS)
    REGISTRATIONS_UNWRITTEN = _of(Figure.REGISTRATIONS_UNWRITTEN)
    PHONES_ONLINE = _of(Figure.PHONES_ONLINE)
    KEEPALIVE_SWEEP = (
        "vosd_keepalive_sweep_seconds",
        Kind.GAUGE,
        (),
        "how long the latest finished round of NAT keep-alives took; 0 = none was finished",
    )

    # Journal and database.
    CDR_QUEUE = _of(Figure.CDR_QUEUE)
    UNBOOKED = _of(Figure.SPOOL_ROWS)
    UNBOOKED_BYTES = (
        "vosd_journal_unbooked_bytes",
        Kind.GAUGE,
        (),
        "size of the journal's files that stay because of these calls, in steps of 1 MiB",
    )
    UNBOOKED_AGE = _of(Figure.SPOOL_OLDEST_S)
    QUARANTINED = _of(Figure.QUARANTINED)
    JOURNAL_BACKLOG = _of(Figure.JOURNAL_BACKLOG)
    DATABASE_STATE = (
        "vosd_database_state",
        Kind.GAUGE,
        ("state",),
        "1 for the state of the database, 0 for the others: well, away, regressed, lease_lost",
    )
    BOOKING = "vosd_database_booking_seconds", Kind.HISTOGRAM, (), "duration of the booking of a batch of calls"
    LEASE = (
        "vosd_database_lease_seconds",
        Kind.HISTOGRAM,
        (),
        "duration of the renewal of the lease, one small transaction a second: the latency of the database",
    )
    DATABASE_FAILURES = (
        "vosd_database_failures_total",
        Kind.COUNTER,
        ("operation",),
        "bookings (booking) and renewals of the lease (lease) that failed because the database was away",
    )

    # Gateways; `kind` is routing or mapping.
    GATEWAYS = "vosd_gateways", Kind.GAUGE, ("kind", "state"), "gateways by state, as vosd status --gateways names them"
    GATEWAYS_LEFT_OUT = (
        "vosd_gateways_left_out",
        Kind.GAUGE,
        (),
        "gateways that have no metrics of their own because there are more than metrics.max_gateways",
    )
    GATEWAY_UP = (
        "vosd_gateway_up",
        Kind.GAUGE,
        _GATEWAY,
        "1 if it is up or registered, 0 if down, blocked, resting, unregistered or not located; none if disabled",
    )
    GATEWAY_CALLS = "vosd_gateway_calls", Kind.GAUGE, _GATEWAY, "its calls"
    GATEWAY_LIMIT = "vosd_gateway_calls_limit", Kind.GAUGE, _GATEWAY, "its max_concurrent, if it has one"
    GATEWAY_ATTEMPTS = (
        "vosd_gateway_attempts_total",
        Kind.COUNTER,
        (*_GATEWAY, "outcome"),
        _OUTCOMES,
    )
    GATEWAY_DELAY = (
        "vosd_gateway_post_dial_delay_seconds",
        Kind.SUMMARY,
        _GATEWAY,
        "from the INVITE to the first 18x or 200",
    )
    GATEWAY_TALK = (
        "vosd_gateway_call_duration_seconds",
        Kind.SUMMARY,
        _GATEWAY,
        "talk of answered calls, when they end",
    )
    GATEWAY_ASR = (
        "vosd_gateway_asr_ratio",
        Kind.GAUGE,
        _GATEWAY,
        "answered attempts by attempts in the window by which routing judges quality (ITU-T E.425)",
    )
    GATEWAY_NER = (
        "vosd_gateway_ner_ratio",
        Kind.GAUGE,
        _GATEWAY,
        "attempts that reached the called terminal by attempts in the same window (ITU-T E.425)",
    )
    GATEWAY_ACD = (
        "vosd_gateway_acd_seconds",
        Kind.GAUGE,
        _GATEWAY,
        "mean talk of calls that ended in the same window",
    )
    GATEWAY_PDD = "vosd_gateway_pdd_seconds", Kind.GAUGE, _GATEWAY, "mean post-dial delay in the same window"


PROCESSES = {
    "": "the switch",
    "vosd_bookkeeper": "the process that books calls",
    "vosd_exporter": "the process that answers HTTP here",
}
"""Prefixes of the metrics of processes: memory, processor time, open files, as every client library names them."""
