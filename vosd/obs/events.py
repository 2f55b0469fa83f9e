"""The names of log lines that programs wait for: once a name is here it stays as it is.

Each says that a state has changed, or warns of a peer, once a minute at most.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Event(StrEnum):
    """What alarms and monitoring hold on to."""

    DATABASE_AWAY = "database_away"
    """A part of the switch cannot reach the database, or gets no answer in time: ``part`` says which."""
    DATABASE_BACK = "database_back"
    DATABASE_DAMAGED = "database_damaged"
    """Its tables are not in order: the error says what to mend."""
    DATABASE_REGRESSED = "database_regressed"
    """It has lost commits: no new call is taken until it has been compared with the journal."""
    DATABASE_MENDED = "database_mended"
    LEASE_LOST = "lease_lost"
    """Another switch runs on the database: no new call is taken here."""
    LEASE_REGAINED = "lease_regained"
    JOURNAL_WRITE_FAILED = "journal_write_failed"
    """The disk takes no more: no new call is taken."""
    JOURNAL_RECOVERED = "journal_recovered"
    JOURNAL_RESERVE_MISSING = "journal_reserve_missing"
    """At the start the disk has no room for the journal's reserve: no call is taken."""
    JOURNAL_KEPT_FILE_REMOVED = "journal_kept_file_removed"
    """A booked file was removed before its time: the disk is full."""
    JOURNAL_RECORD_UNREADABLE = "journal_record_unreadable"
    """A file of the journal holds something that cannot be read."""
    ANSWERED_CALL_REFUSED = "answered_call_refused"
    """A gateway has answered, and the journal could not take it: the caller got 503."""
    RECORD_QUARANTINED = "record_quarantined"
    """The database refuses the record of a call."""
    PHONE_ONLINE = "phone_online"
    PHONE_OFFLINE = "phone_offline"
    PHONE_SERVICE_DOWN = "phone_service_down"
    """The program that is told of phones cannot be reached."""
    PHONE_SERVICE_UP = "phone_service_up"
    PHONE_SERVICE_REFUSED = "phone_service_refused"
    """It refuses a report, which is not repeated."""
    GATEWAY_REGISTERED = "gateway_registered"
    """A gateway has registered with us."""
    GATEWAY_UNREGISTERED = "gateway_unregistered"
    GATEWAY_UP = "gateway_up"
    """A routing gateway answers again."""
    GATEWAY_DOWN = "gateway_down"
    GATEWAY_NAME_LOST = "gateway_name_lost"
    """A gateway's name leads nowhere, or no name server answers; known addresses are used for a while."""
    GATEWAY_NAME_FOUND = "gateway_name_found"
    GATEWAY_RESTING = "gateway_resting"
    """Calls to an address of a routing gateway fail in a row, or it asked for a rest (503 with Retry-After)."""
    GATEWAY_WELL = "gateway_well"
    """A call there succeeds again."""
    ACCOUNT_REFUSED = "account_refused"
    """A vendor answers our calls with 401, 402 or 407: it does not take our credentials, or wants money."""
    REGISTRATION_GAINED = "registration_gained"
    """A vendor has taken our registration."""
    REGISTRATION_LOST = "registration_lost"
    REGISTRATION_REFUSED = "registration_refused"
    """A vendor does not believe our credentials."""
    AUTH_LOCKOUT = "auth_lockout"
    """A source has guessed too often (REG-07)."""
    AUTH_UNBLOCKED = "auth_unblocked"
    BALANCE_LOW = "balance_low"
    """An account has less left for calls than its ``balance_low``: soon they will be refused, then ended."""
    NAT_SWEEP_OVERRUN = "nat_sweep_overrun"
    """Keep-alives take longer than their period (NAT-10)."""
    NAT_SWEEP_IN_TIME = "nat_sweep_in_time"
    RELOAD_REFUSED = "reload_refused"
    """A reload changed nothing: the file is bad, or takes away what was not confirmed."""
    OVERLOAD_BEGINS = "overload_begins"
    OVERLOAD_ENDS = "overload_ends"
    SOURCE_BLOCKED = "source_blocked"
    """A source floods us and is not heard for a while."""
    BYE_UNANSWERED = "bye_unanswered"
    """A peer does not answer our BYE: it may bill on."""
    BYE_REFUSED = "bye_refused"
    """A peer refuses our BYE, perhaps for our credentials: it may bill on."""
    ANSWER_UNHEARD = "answer_unheard"
    """A vendor has answered and is paid, the caller was never told of it and pays nothing."""
    SESSION_REFRESH_FAILED = "session_refresh_failed"
    """A peer does not take our refreshes of a session."""


BACK: Final[Mapping[Event, Event]] = {
    Event.DATABASE_AWAY: Event.DATABASE_BACK,
    Event.DATABASE_DAMAGED: Event.DATABASE_BACK,
    Event.DATABASE_REGRESSED: Event.DATABASE_MENDED,
    Event.LEASE_LOST: Event.LEASE_REGAINED,
    Event.JOURNAL_WRITE_FAILED: Event.JOURNAL_RECOVERED,
    Event.PHONE_OFFLINE: Event.PHONE_ONLINE,
    Event.PHONE_SERVICE_DOWN: Event.PHONE_SERVICE_UP,
    Event.GATEWAY_UNREGISTERED: Event.GATEWAY_REGISTERED,
    Event.GATEWAY_DOWN: Event.GATEWAY_UP,
    Event.GATEWAY_RESTING: Event.GATEWAY_WELL,
    Event.GATEWAY_NAME_LOST: Event.GATEWAY_NAME_FOUND,
    Event.REGISTRATION_LOST: Event.REGISTRATION_GAINED,
    Event.REGISTRATION_REFUSED: Event.REGISTRATION_GAINED,
    Event.NAT_SWEEP_OVERRUN: Event.NAT_SWEEP_IN_TIME,
    Event.OVERLOAD_BEGINS: Event.OVERLOAD_ENDS,
}
"""What says that all is well again, for every state that is not."""
