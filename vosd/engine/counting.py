"""Figures of ``vosd status``: what is alive now, and what was counted since the start.

``Figure`` declares each with its meaning; ``vosd status --explain`` and the tests derive from it. The parts of the
switch return the values. Refuses to know how anything is counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Figure(StrEnum):
    """A key of ``vosd status --json`` with its meaning. None is renamed, because programs of operators read them."""

    meaning: str
    is_total: bool
    """Whether it counts since the start; else it returns to zero when nothing is left to do."""

    def __new__(cls, name: str, meaning: str, is_total: bool = False) -> "Figure":
        """Make the figure of a name."""
        made = str.__new__(cls, name)
        made._value_, made.meaning, made.is_total = name, meaning, is_total
        return made

    CALLS = "calls", "calls that are set up, ringing or answered"
    LEGS = "legs", "legs of these calls"
    DIALOGS = "dialogs", "SIP dialogs; zero without calls"
    TRANSACTIONS = "transactions", "SIP transactions; they stay for 64·T1 (32 s) to answer packets that come late"
    TIMERS = "timers", "timers of transactions and calls"
    HOLDS = "holds", "calls for which money of an account is reserved"
    PHONES_ONLINE = "phones_online", "phones that are registered"
    REGISTRATIONS = "registrations", "bindings of phones and gateways"
    REGISTRATIONS_UNWRITTEN = "registrations_unwritten", "changed users whose bindings wait for the database"
    CDR_QUEUE = "cdr_queue", "calls that wait in memory for the database; zero within a second in normal running"
    SPOOL_ROWS = "spool_rows", "calls in the journal and not yet in the database; zero within a second likewise"
    SPOOL_MB = "spool_mb", "MiB of the journal's files that stay because of these calls"
    SPOOL_OLDEST_S = "spool_oldest_s", "seconds since the oldest of these calls has ended"
    QUARANTINED = "quarantined", "calls that the database refuses (vosd spool list)"
    JOURNAL_BACKLOG = (
        "journal_backlog",
        "bytes of the journal that the disk did not take yet; zero normally",
    )
    LOCKED_OUT = "locked_out", "sources that are blocked for wrong passwords or a flood (vosd unblock --list)"
    BLACKLISTED = "blacklisted", "callers on the dynamic blacklist (vosd blacklist list)"
    LOOKUPS = "lookups", "open questions to the servers of number_portability and redirect_server"
    LOOKUPS_FAILED = (
        "lookups_failed",
        "since the start: questions to these servers that had no usable answer in time",
        True,
    )
    CALL_REPORTS = "call_reports", "reports of calls that wait for the server of call_reports; zero within a second"
    CALL_REPORTS_DROPPED = (
        "call_reports_dropped",
        "since the start: reports of calls that the server did not get (vosd alarms says why)",
        True,
    )
    BLACKLIST_FORGOTTEN = (
        "blacklist_forgotten",
        "since the start: callers that the dynamic blacklist stopped to count because there were too many",
        True,
    )
    CALLS_WITHOUT_CDR = (
        "calls_without_cdr",
        "since the start: calls that left no CDR because of SERVER_BILLING_RECORD_... or SERVER_BILLING_NO_CDR_E164S",
        True,
    )
    OVERRIDES = "overrides", "operational overrides in force (vosd overrides list)"
    REFUSED_FOR_OVERLOAD = (
        "refused_for_overload",
        "since the start: refused with 503 for Overload, without CDR",
        True,
    )


class Counting:
    """A part of the switch with figures. ``SwitchService.parts`` has each of them once."""

    def census(self) -> Mapping[Figure, int]:
        """Count what is alive and what waits; every figure is zero when the part has nothing to do."""
        return {}

    def totals(self) -> Mapping[Figure, int]:
        """Return the counters since the start."""
        return {}


def census_of(parts: Iterable[Counting]) -> dict[str, int]:
    """Return the figures of several parts.

    Raises:
        ValueError: two parts count the same figure.
    """
    found: dict[str, int] = {}
    for part in parts:
        for figure, count in part.census().items():
            if figure.value in found:
                message = f"two parts of the switch count {figure}"
                raise ValueError(message)
            found[figure.value] = count
    return found


def totals_of(parts: Iterable[Counting]) -> dict[str, int]:
    """Return all counters, zero where no part counted; those of the same figure are added up."""
    found = Counter({figure.value: 0 for figure in Figure if figure.is_total})
    for part in parts:
        found.update({figure.value: count for figure, count in part.totals().items()})
    return dict(found)
