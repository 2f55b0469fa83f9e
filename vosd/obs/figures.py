"""Figures of ``vosd status``: what is alive now, and what was counted since the start.

``Figure`` declares each once, with its meaning and its metric; ``vosd status --explain``, the metrics and the tests
derive from it. It does not know how anything is counted.
"""

from enum import StrEnum
from typing import Final

SINCE: Final = "since the start: "


class Figure(StrEnum):
    """A key of ``vosd status --json`` with its meaning. None is renamed, because programs of operators read them."""

    meaning: str
    metric: str
    """Name of the metric with the same value; empty = metrics tell it apart by labels, or in another unit."""

    def __new__(cls, name: str, meaning: str, metric: str = "") -> "Figure":
        """Make the figure of a name."""
        made = str.__new__(cls, name)
        made._value_, made.meaning, made.metric = name, meaning, metric
        return made

    @property
    def is_total(self) -> bool:
        """Whether it counts since the start; else it returns to zero when nothing is left to do."""
        return self.meaning.startswith(SINCE)

    CALLS = "calls", "calls that are set up, ringing or answered"
    CALLS_LOST = (
        "calls_lost",
        f"{SINCE}charged calls of the process before that ended as Lost, because this one could not go on with them",
        "vosd_calls_lost_total",
    )
    LEGS = "legs", "legs of these calls", "vosd_call_legs"
    DIALOGS = "dialogs", "SIP dialogs; zero without calls", "vosd_dialogs"
    TRANSACTIONS = (
        "transactions",
        "SIP transactions; they stay for 64·T1 (32 s) to answer packets that come late",
        "vosd_transactions",
    )
    TIMERS = "timers", "timers of transactions and calls", "vosd_timers"
    MEDIA_LEGS = "media_legs", "legs whose session descriptions the switch may rewrite", "vosd_media_legs"
    MEDIA_PORTS = "media_ports", "ports of the media relay that are open, one or two of UDP each", "vosd_media_ports"
    ANNOUNCEMENTS = (
        "announcements",
        f"{SINCE}calls whose callers were played a sound before the refusal",
        "vosd_announcements_total",
    )
    ANNOUNCEMENTS_MISSED = (
        "announcements_missed",
        f"{SINCE}calls that were refused without their announcement: no port of IVR_RTP_PORT, no codec, no memory",
        "vosd_announcements_missed_total",
    )
    HOLDS = "holds", "calls for which money of an account is reserved", "vosd_call_holds"
    PHONES_ONLINE = "phones_online", "phones that are registered", "vosd_phones_online"
    REGISTRATIONS = "registrations", "bindings of phones and gateways", "vosd_registrations"
    REGISTRATIONS_UNWRITTEN = (
        "registrations_unwritten",
        "changed users whose bindings wait for the database",
        "vosd_registrations_unwritten",
    )
    HEP_DROPPED = (
        "hep_dropped",
        f"{SINCE}copies of messages that the capture server could not be sent",
        "vosd_hep_dropped_total",
    )
    LOG_LINES_LOST = (
        "log_lines_lost",
        f"{SINCE}lines of the log that could not be written (vosd alarms says why)",
        "vosd_log_lines_lost_total",
    )
    RELAYS = ("relays", "messages and notifications that wait for the answer of their receiver", "vosd_relays")
    MESSAGES_DELIVERED = (
        "messages_delivered",
        f"{SINCE}MESSAGE requests that a phone or trunk has taken",
        "vosd_messages_delivered_total",
    )
    MESSAGES_REFUSED = (
        "messages_refused",
        f"{SINCE}MESSAGE requests of known senders that were refused, here or by their receiver",
        "vosd_messages_refused_total",
    )
    NOTIFICATIONS = (
        "notifications",
        f"{SINCE}notifications of waiting messages that a phone has taken",
        "vosd_notifications_total",
    )
    CDR_QUEUE = (
        "cdr_queue",
        "calls that wait in memory for the database; zero within a second in normal running",
        "vosd_cdr_queue_calls",
    )
    SPOOL_ROWS = (
        "spool_rows",
        "calls in the journal and not yet in the database; zero within a second in normal running",
        "vosd_journal_unbooked_calls",
    )
    SPOOL_MB = "spool_mb", "MiB of the journal's files that stay because of these calls"
    SPOOL_OLDEST_S = (
        "spool_oldest_s",
        "seconds since the oldest call of the journal that is not yet in the database ended",
        "vosd_journal_oldest_unbooked_seconds",
    )
    QUARANTINED = "quarantined", "calls that the database refuses (vosd spool list)", "vosd_quarantined_calls"
    JOURNAL_SHORT = (
        "journal_short",
        "1 while the disk of state_dir is full or fails: the journal is written to its reserve, no new call is taken",
        "vosd_journal_short",
    )
    JOURNAL_BACKLOG = (
        "journal_backlog",
        "bytes of the journal that wait in memory; more than 0 for long = its reserve is used up, too",
        "vosd_journal_backlog_bytes",
    )
    LOCKED_OUT = (
        "locked_out",
        "sources that are blocked for wrong passwords or a flood (vosd unblock --list)",
        "vosd_blocked_sources",
    )
    BLACKLISTED = "blacklisted", "callers on the dynamic blacklist (vosd blacklist list)", "vosd_blacklisted_callers"
    LOOKUPS = (
        "lookups",
        "open questions to the servers of number_portability, redirect_server and stir.verify",
        "vosd_lookups",
    )
    LOOKUPS_FAILED = (
        "lookups_failed",
        "since the start: questions to number_portability, redirect_server and stir.verify without a usable answer",
        "vosd_lookups_failed_total",
    )
    CALL_REPORTS = (
        "call_reports",
        "reports of calls that wait for the server of call_reports; zero within a second",
        "vosd_call_reports_waiting",
    )
    CALL_REPORTS_DROPPED = (
        "call_reports_dropped",
        "since the start: reports of calls that the server did not get (vosd alarms says why)",
    )
    WEBHOOK_EVENTS = (
        "webhook_events",
        "events that wait for the receivers of webhooks; zero within a second",
        "vosd_webhook_events_waiting",
    )
    RADIUS_ACCOUNTING = (
        "radius_accounting",
        "accounting records that wait for the servers of radius; zero within a second",
        "vosd_radius_accounting_waiting",
    )
    RADIUS_ACCOUNTING_DROPPED = (
        "radius_accounting_dropped",
        "since the start: accounting records that no server got (vosd alarms says why)",
        "vosd_radius_accounting_dropped_total",
    )
    RADIUS_SERVERS_DOWN = (
        "radius_servers_down",
        "servers of radius that are out of service for accounting",
        "vosd_radius_servers_down",
    )
    RADIUS_PASSWORDS = (
        "radius_passwords",
        "requests that wait until a server of radius has judged their password",
        "vosd_radius_passwords_waiting",
    )
    RADIUS_AUTH_SERVERS_DOWN = (
        "radius_auth_servers_down",
        "servers of radius that are out of service for authentication",
        "vosd_radius_auth_servers_down",
    )
    RADIUS_FAILED = (
        "radius_failed",
        "since the start: requests that no server of radius has answered; accounting requests are repeated",
        "vosd_radius_failed_total",
    )
    BLACKLIST_FORGOTTEN = (
        "blacklist_forgotten",
        "since the start: callers that the dynamic blacklist stopped to count because there were too many",
        "vosd_blacklist_forgotten_total",
    )
    CALLS_WITHOUT_CDR = (
        "calls_without_cdr",
        "since the start: calls that left no CDR because of SERVER_BILLING_RECORD_... or SERVER_BILLING_NO_CDR_E164S",
        "vosd_calls_without_cdr_total",
    )
    OVERRIDES = "overrides", "operational overrides in force (vosd overrides list)", "vosd_overrides"
    REFUSED_FOR_OVERLOAD = (
        "refused_for_overload",
        "since the start: requests refused with 503 for Overload, without CDR",
        "vosd_refused_for_overload_total",
    )
