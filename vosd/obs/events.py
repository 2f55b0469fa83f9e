"""Names of log events that programs wait for. A name is stable: it is never changed.

Each reports a change of state, or warns about a peer, at most once a minute. The logger of every module stands here,
too: it has no name, and takes level and form of each line from ``obs.log``.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import structlog

log: Final[Any] = structlog.get_logger()

GONE: Final = "gone"
"""``why`` of an event about a subject that the operator has removed or switched off: no alarm holds for it any more."""


class Event(StrEnum):
    """Events for alarms and monitoring."""

    DATABASE_AWAY = "database_away"
    """A part of the switch (``part``) cannot reach the database, or gets no answer in time."""
    DATABASE_BACK = "database_back"
    DATABASE_DAMAGED = "database_damaged"
    """The tables are not as expected: the error says what to repair."""
    DATABASE_REGRESSED = "database_regressed"
    """It has lost commits: new calls are refused until it has been compared with the journal."""
    DATABASE_MENDED = "database_mended"
    PAYMENTS_LOST = "payments_lost"
    """After lost commits, noticed at ``lost_at``, balances are not those of before: payments or other entries are
    missing. It ends when a person confirms it."""
    OVERRIDES_LOST = "overrides_lost"
    """The database has lost commits, noticed at ``lost_at``: blocks and limits that operators have set hold no more,
    and others that were ended hold again. It ends when a person confirms it."""
    AWAY_CAP_REACHED = "away_cap_reached"
    """The calls of an account have cost as much as they may while the database is away: others are refused."""
    CDR_QUEUE_LONG = "cdr_queue_long"
    """80 % of SERVER_MAX_CDR_PENDING_LIST_LENGTH calls wait for the database."""
    CDR_QUEUE_SHORT = "cdr_queue_short"
    LEASE_LOST = "lease_lost"
    """Another switch uses the database: new calls are refused here."""
    LEASE_REGAINED = "lease_regained"
    JOURNAL_WRITE_FAILED = "journal_write_failed"
    """The disk accepts no more data: new calls are refused."""
    JOURNAL_RECOVERED = "journal_recovered"
    JOURNAL_REMOVED = "journal_removed"
    """Files of the journal in use were removed, or are missing at a start. It ends when a person confirms it."""
    JOURNAL_RESERVE_MISSING = "journal_reserve_missing"
    """At the start the disk has no room for the journal's reserve: calls are refused."""
    JOURNAL_KEPT_FILE_REMOVED = "journal_kept_file_removed"
    """A booked file was removed before its time, because the disk is full."""
    JOURNAL_RECORD_UNREADABLE = "journal_record_unreadable"
    """A file of the journal contains a record that cannot be read."""
    JOURNAL_FILE_SET_ASIDE = "journal_file_set_aside"
    """A file of the journal holds records of another version, and is kept for it."""
    ANSWERED_CALL_REFUSED = "answered_call_refused"
    """A gateway has answered, and the journal could not store it: the caller got 503."""
    RECORD_QUARANTINED = "record_quarantined"
    """The database rejects the record of a call."""
    PHONE_ONLINE = "phone_online"
    PHONE_OFFLINE = "phone_offline"
    PHONE_SERVICE_DOWN = "phone_service_down"
    """The program that receives reports of phones cannot be reached."""
    PHONE_SERVICE_UP = "phone_service_up"
    PHONE_SERVICE_REFUSED = "phone_service_refused"
    """It rejects a report, which is not repeated."""
    GATEWAY_REGISTERED = "gateway_registered"
    """A gateway has registered with us."""
    GATEWAY_UNREGISTERED = "gateway_unregistered"
    GATEWAY_UP = "gateway_up"
    """A routing gateway answers again."""
    GATEWAY_DOWN = "gateway_down"
    ADDRESS_GONE = "address_gone"
    """The machine has an address no more at which the switch listens, or from which it sends media."""
    ADDRESS_BACK = "address_back"
    GATEWAY_NAME_LOST = "gateway_name_lost"
    """A gateway's name cannot be resolved; known addresses are used for a while."""
    GATEWAY_NAME_FOUND = "gateway_name_found"
    SOURCE_CONFLICT = "source_conflict"
    """A name of a mapping gateway has an address from which the calls of another one come."""
    SOURCE_CONFLICT_OVER = "source_conflict_over"
    GATEWAY_RESTING = "gateway_resting"
    """Calls to an address of a routing gateway fail repeatedly, or it sent 503 with Retry-After."""
    GATEWAY_WELL = "gateway_well"
    """A call to that address succeeds again."""
    ACCOUNT_REFUSED = "account_refused"
    """A vendor answers our calls with 401, 402 or 407: it rejects our credentials, or wants payment."""
    REGISTRATION_GAINED = "registration_gained"
    """A vendor has accepted our registration."""
    REGISTRATION_LOST = "registration_lost"
    REGISTRATION_REFUSED = "registration_refused"
    """A vendor rejects our credentials."""
    AUTH_LOCKOUT = "auth_lockout"
    """A source has failed to authenticate too often."""
    AUTH_UNBLOCKED = "auth_unblocked"
    AUTH_USER_ATTACKED = "auth_user_attacked"
    """Wrong passwords of a user come from several sources: those that are new wait longer with each."""
    BALANCE_LOW = "balance_low"
    """An account has little left, by ``balance_low`` or ``balance_low_hours``: soon calls are refused, then ended."""
    LOSS_CALLS = "loss_calls"
    """A call was sold below cost: the vendor charges more than the customer pays."""
    SPEND_LIMIT_REACHED = "spend_limit_reached"
    """The calls of an account have cost, with what they hold, as much as one of its ``spend_limits``."""
    NAT_SWEEP_OVERRUN = "nat_sweep_overrun"
    """Keep-alives take longer than their period."""
    NAT_SWEEP_IN_TIME = "nat_sweep_in_time"
    OVERRIDE_SET = "override_set"
    """An operational override is in force from now on."""
    OVERRIDE_ENDED = "override_ended"
    """It was cleared or has expired (``why``)."""
    RELOAD_REFUSED = "reload_refused"
    """A reload changed nothing: the file is invalid, or removes something without confirmation."""
    METRICS_UNAVAILABLE = "metrics_unavailable"
    """The socket of ``metrics.listen`` cannot be opened; calls are not affected, and it is tried again."""
    DEFINITIONS_OUTDATED = "definitions_outdated"
    """The definitions in the database cannot be read: those that were read last hold."""
    DEFINITIONS_READ = "definitions_read"
    CALL_NOT_CONTINUED = "call_not_continued"
    """A call of an earlier run cannot go on (``why``): it ends as Lost, and its parties get BYE."""
    CATALOGUE_FALLBACK = "catalogue_fallback"
    """At the start the configuration and the database do not go together: the last good catalogue is in force."""
    API_CERTIFICATE_REFUSED = "api_certificate_refused"
    """The files of ``api.tls`` do not belong together or cannot be read: the API cannot be started."""
    API_CERTIFICATE_ACCEPTED = "api_certificate_accepted"
    OVERLOAD_BEGINS = "overload_begins"
    OVERLOAD_ENDS = "overload_ends"
    SOURCE_BLOCKED = "source_blocked"
    """A source floods the switch and is blocked for a while."""
    SOURCE_DENIED = "source_denied"
    """The requests of a trunk or a registered phone are dropped, because ``access`` denies their address (``why``)."""
    ACCESS_REFUSED = "access_refused"
    """A trunk or phone (``name``) calls or registers from where it may not, or with another agent: a stolen password?
    """
    COUNTRIES_UNREADABLE = "countries_unreadable"
    """The ``file`` of ``access.database`` has changed and cannot be used: the countries known before stay."""
    COUNTRIES_READ = "countries_read"
    BYE_UNANSWERED = "bye_unanswered"
    """A peer does not answer our BYE and may continue to bill."""
    BYE_REFUSED = "bye_refused"
    """A peer refuses our BYE, perhaps for our credentials, and may continue to bill."""
    ANSWER_UNHEARD = "answer_unheard"
    """A vendor has answered and is paid; the caller did not get the answer and pays nothing."""
    LOOKUP_SERVICE_DOWN = "lookup_service_down"
    """A server that is asked about numbers (``service``) does not answer: it is not asked for some seconds."""
    LOOKUP_SERVICE_UP = "lookup_service_up"
    RTPENGINE_DOWN = "rtpengine_down"
    """An rtpengine answers no pings: its calls are moved to others, new ones do not use it."""
    RTPENGINE_UP = "rtpengine_up"
    CALLER_BLACKLISTED = "caller_blacklisted"
    """A caller exceeded a limit of ``dynamic_blacklist``: its calls are refused until then."""
    SESSION_REFRESH_FAILED = "session_refresh_failed"
    """A peer does not accept our refreshes of a session."""
    CONFIGURATION_LOADED = "configuration_loaded"
    """A reload has put another configuration in force."""
    BALANCE_RECOVERED = "balance_recovered"
    """Money was added to an account with a low balance."""
    ASR_LOW = "asr_low"
    """Fewer attempts at a routing gateway are answered than ``alarms.asr`` percent."""
    ASR_RECOVERED = "asr_recovered"
    CUSTOMER_ASR_LOW = "customer_asr_low"
    """Fewer calls of a mapping gateway are answered than ``alarms.customer_asr`` percent: nearly all fail."""
    CUSTOMER_ASR_RECOVERED = "customer_asr_recovered"
    PDD_HIGH = "pdd_high"
    """A routing gateway takes longer than ``alarms.pdd`` until it rings or answers, on average."""
    PDD_RECOVERED = "pdd_recovered"
    SHORT_CALLS = "short_calls"
    """Too many answered calls of a routing gateway, or to one ``destination`` of it, are short: false answers?"""
    SHORT_CALLS_OVER = "short_calls_over"
    ACD_LOW = "acd_low"
    """Calls through a routing gateway are shorter than ``alarms.acd``, on average."""
    ACD_RECOVERED = "acd_recovered"
    SETUP_SLOW = "setup_slow"
    """Calls take longer than ``alarms.setup`` from the INVITE to the answer, on average."""
    SETUP_RECOVERED = "setup_recovered"
    MARGIN_LOW = "margin_low"
    """The profit of an hour is less than ``alarms.margin`` percent of the income, in one ``currency``."""
    MARGIN_RECOVERED = "margin_recovered"
    PREFIX_MARGIN_LOW = "prefix_margin_low"
    """The profit of the calls to one ``prefix`` in an hour is less than ``alarms.prefix_margin`` percent."""
    PREFIX_MARGIN_RECOVERED = "prefix_margin_recovered"
    OVERDRAFT_HIGH = "overdraft_high"
    """An ``account`` has used more of its overdraft limit than ``alarms.overdraft_used`` percent."""
    OVERDRAFT_RECOVERED = "overdraft_recovered"
    HOLIDAYS_MISSING = "holidays_missing"
    """A calendar with holidays has none in the next twelve months."""
    HOLIDAYS_KNOWN = "holidays_known"
    SIGNING_CERTIFICATE_ENDS = "signing_certificate_ends"
    """The ``certificate`` of ``stir.sign`` ends within two weeks, or has ended: others refuse our calls then."""
    SIGNING_CERTIFICATE_LASTS = "signing_certificate_lasts"
    CERTIFICATE_ENDS = "certificate_ends"
    """One of our certificates for TLS ends within two weeks, or has ended: peers refuse connections then."""
    CERTIFICATE_LASTS = "certificate_lasts"
    TRUST_ENDS = "trust_ends"
    """A root of ``stir.verify`` ends within two weeks, or has ended, or a list of revoked certificates is too old."""
    TRUST_LASTS = "trust_lasts"
    BOOKING_LATE = "booking_late"
    """The oldest call that waits for the database has ended longer than ``alarms.booking_age`` ago."""
    BOOKING_IN_TIME = "booking_in_time"
    JOURNAL_SLOW = "journal_slow"
    """The disk took longer than ``alarms.journal_sync`` for what was written to the journal."""
    JOURNAL_IN_TIME = "journal_in_time"
    QUARANTINE_FILLED = "quarantine_filled"
    """Calls are in quarantine: the database has rejected their records."""
    QUARANTINE_EMPTIED = "quarantine_emptied"
    RTP_PORT_EXHAUSTED = "rtp_port_exhausted"
    RTP_PORTS_FREE = "rtp_ports_free"
    RTP_PORTS_LOW = "rtp_ports_low"
    """More of a range of media ports, or of those of an rtpengine, are in use than ``alarms.media_ports`` percent."""
    RTP_PORTS_RECOVERED = "rtp_ports_recovered"
    IVR_PORT_EXHAUSTED = "ivr_port_exhausted"
    """No port of IVR_RTP_PORT is free for an announcement: the caller gets the code alone."""
    SOUND_NOT_PLAYED = "sound_not_played"
    """There is no shared memory for a sound: callers get the code alone, a side on hold the media of the other."""
    MEDIA_WORKER_ENDED = "media_worker_ended"
    """A worker that relays media has ended, and is started again on the same ports."""
    MEDIA_WORKER_NOT_STARTED = "media_worker_not_started"
    """A worker that relays media cannot be started: its calls have no media until it can."""
    RECORDING_NOT_BEGUN = "recording_not_begun"
    """A call that was to be recorded is not: its file cannot be written, or the disk is nearly full."""
    RECORDING_STOPPED = "recording_stopped"
    """A recording has stopped in the middle of its call: the disk is nearly full, or too slow."""
    MEDIA_LOSS_HIGH = "media_loss_high"
    """More packets of a routing gateway are lost than ``alarms.media_loss`` percent."""
    MEDIA_LOSS_RECOVERED = "media_loss_recovered"
    CUSTOMER_MEDIA_LOSS_HIGH = "customer_media_loss_high"
    """More packets of a mapping gateway are lost than ``alarms.customer_media_loss`` percent."""
    CUSTOMER_MEDIA_LOSS_RECOVERED = "customer_media_loss_recovered"
    DISK_LOW = "disk_low"
    """Less than ``alarms.disk_free`` percent of the disk of ``state_dir`` is free."""
    DISK_RECOVERED = "disk_recovered"
    CPU_HIGH = "cpu_high"
    """A process of the switch has used more than ``alarms.cpu`` percent of one core over a minute, or the machine that
    much of all its processors."""
    CPU_RECOVERED = "cpu_recovered"
    MEMORY_HIGH = "memory_high"
    """More than ``alarms.memory`` percent of the memory of the machine, or of the service's limit, is in use."""
    MEMORY_RECOVERED = "memory_recovered"
    LOOP_LATE = "loop_late"
    """The event loop does its work later than ``alarms.loop_lag``, on average over ten seconds."""
    LOOP_IN_TIME = "loop_in_time"
    LOG_NOT_WRITTEN = "log_not_written"
    """Lines of the log cannot be written (``error``): a full disk, or the program that reads them has ended."""
    LOG_WRITTEN = "log_written"
    CLOCK_JUMPED = "clock_jumped"
    """The machine's clock was set: records have its time."""
    CALL_TOO_LONG = "call_too_long"
    """A call lasts longer than ``alarms.call_seconds``."""
    LONG_CALL_ENDED = "long_call_ended"
    FRAUD_SUSPECTED = "fraud_suspected"
    """An account uses a class of destinations much more than it did: ``destination_limits``."""
    FRAUD_OVER = "fraud_over"
    DESTINATION_NEW = "destination_new"
    """An account calls a class of destinations that it has not called for ``alarms.past_days``."""
    WITHOUT_CDR_HIGH = "without_cdr_high"
    """Within an hour more calls left no CDR than ``alarms.without_cdr``."""
    WITHOUT_CDR_RECOVERED = "without_cdr_recovered"
    CPS_HIGH = "cps_high"
    """A mapping gateway has far more calls a second than in its past hours."""
    CPS_RECOVERED = "cps_recovered"
    ALARMS_LEFT_OUT = "alarms_left_out"
    """There are so many alarms of one name that further ones are neither listed nor delivered."""
    ALARMS_LISTED = "alarms_listed"
    ALARM_OUTPUT_DOWN = "alarm_output_down"
    """Alarms cannot be delivered to an ``output``: the webhook or the mail server."""
    ALARM_OUTPUT_UP = "alarm_output_up"
    RETENTION_BLOCKED = "retention_blocked"
    """Records of a ``kind`` are kept although their time is over: a guard keeps them, or the run has failed."""
    RETENTION_DROPPED = "retention_dropped"
    """Records of a month were dropped: how many, and what they add up to."""
    RETENTION_DONE = "retention_done"
    """No record of a kind is kept longer than ``retention`` says."""
    ACCOUNT_EXPIRES = "account_expires"
    """An ``account`` expires in the next ``days`` days (``alarms.expiry_days``, then 3, then 1): its calls are refused
    from then on."""
    ACCOUNT_EXPIRY_OVER = "account_expiry_over"
    """An ``account`` was extended, or has expired."""
    ACCOUNT_CLOSE_UNFINISHED = "account_close_unfinished"
    """An ``account`` is closed, and has a balance: its close was killed, or a payment or a call was booked since."""
    ACCOUNT_CLOSE_FINISHED = "account_close_finished"
    """The balance of a closed ``account`` is zero, or it was opened again."""
    LEDGER_DIFFERS = "ledger_differs"
    """The verification of the night found differences: ``count`` of them, the first in ``what``."""
    LEDGER_AGREES = "ledger_agrees"
    """The verification of the night found none."""
    INVOICES_OVERDUE = "invoices_overdue"
    """Invoices of so many ``accounts`` are overdue, the first in ``what``."""
    INVOICES_PAID = "invoices_paid"
    """No invoice is overdue."""
    REPORT_FAILED = "report_failed"
    """A scheduled ``report`` about a ``period`` was not delivered; it is tried again after ``retry_s``."""
    REPORT_SENT = "report_sent"
    """A scheduled ``report`` was delivered."""
    NIGHTLY_FAILED = "nightly_failed"
    """A ``work`` of the night was not done, or not all of it: ``verify`` or ``minimum``."""
    NIGHTLY_DONE = "nightly_done"
    """A ``work`` of the night was done."""
    BILATERAL_DIFFERS = "bilateral_differs"
    """The switch of a partner (``account``) has other totals of the calls between both."""
    BILATERAL_AGREES = "bilateral_agrees"
    BILATERAL_AWAY = "bilateral_away"
    """The calls of a partner (``account``) are not compared: its switch does not answer, or the database."""
    BILATERAL_BACK = "bilateral_back"
    ALARM_REFUSED = "alarm_refused"
    """An ``output`` refuses an alarm, which is not repeated."""
    CALL_REPORTS_DOWN = "call_reports_down"
    """The server of ``call_reports``, or a ``receiver`` of webhooks, cannot be reached or is not well: reports wait."""
    CALL_REPORTS_UP = "call_reports_up"
    CALL_REPORTS_DROPPED = "call_reports_dropped"
    """Reports of calls were not delivered and will not be (``why``)."""
    CALL_REPORTS_UNWRITTEN = "call_reports_unwritten"
    """The spool of ``call_reports`` cannot be written: reports wait in memory alone."""
    CALL_REPORTS_WRITTEN = "call_reports_written"
    CALL_REPORTS_RESTORED = "call_reports_restored"
    CALL_REPORTS_LEFT = "call_reports_left"
    CALL_REPORT_REFUSED = "call_report_refused"
    CALL_REPORT_NOT_MADE = "call_report_not_made"
    RADIUS_UNREACHABLE = "radius_unreachable"
    """A ``server`` of ``radius`` is out of service for a ``purpose``: it has left requests without an answer."""
    RADIUS_REACHED = "radius_reached"
    """It answers again."""
    RADIUS_ACCOUNTING_DOWN = "radius_accounting_down"
    """No server of ``radius`` takes accounting records: they wait."""
    RADIUS_ACCOUNTING_UP = "radius_accounting_up"
    RADIUS_ACCOUNTING_DROPPED = "radius_accounting_dropped"
    """Accounting records were not delivered and will not be (``why``)."""
    RADIUS_ACCOUNTING_UNWRITTEN = "radius_accounting_unwritten"
    """The spool of accounting records cannot be written: they wait in memory alone."""
    RADIUS_ACCOUNTING_WRITTEN = "radius_accounting_written"
    RADIUS_ACCOUNTING_RESTORED = "radius_accounting_restored"
    RADIUS_ACCOUNTING_LEFT = "radius_accounting_left"
    RADIUS_RECORD_REFUSED = "radius_record_refused"
    RADIUS_RECORD_NOT_MADE = "radius_record_not_made"


BACK: Final[Mapping[Event, Event]] = {
    Event.DATABASE_AWAY: Event.DATABASE_BACK,
    Event.DATABASE_DAMAGED: Event.DATABASE_BACK,
    Event.DATABASE_REGRESSED: Event.DATABASE_MENDED,
    Event.CDR_QUEUE_LONG: Event.CDR_QUEUE_SHORT,
    Event.LEASE_LOST: Event.LEASE_REGAINED,
    Event.ADDRESS_GONE: Event.ADDRESS_BACK,
    Event.JOURNAL_WRITE_FAILED: Event.JOURNAL_RECOVERED,
    Event.PHONE_OFFLINE: Event.PHONE_ONLINE,
    Event.PHONE_SERVICE_DOWN: Event.PHONE_SERVICE_UP,
    Event.LOOKUP_SERVICE_DOWN: Event.LOOKUP_SERVICE_UP,
    Event.GATEWAY_UNREGISTERED: Event.GATEWAY_REGISTERED,
    Event.RTPENGINE_DOWN: Event.RTPENGINE_UP,
    Event.GATEWAY_DOWN: Event.GATEWAY_UP,
    Event.GATEWAY_RESTING: Event.GATEWAY_WELL,
    Event.GATEWAY_NAME_LOST: Event.GATEWAY_NAME_FOUND,
    Event.SOURCE_CONFLICT: Event.SOURCE_CONFLICT_OVER,
    Event.REGISTRATION_LOST: Event.REGISTRATION_GAINED,
    Event.REGISTRATION_REFUSED: Event.REGISTRATION_GAINED,
    Event.NAT_SWEEP_OVERRUN: Event.NAT_SWEEP_IN_TIME,
    Event.ALARMS_LEFT_OUT: Event.ALARMS_LISTED,
    Event.OVERLOAD_BEGINS: Event.OVERLOAD_ENDS,
    Event.JOURNAL_RESERVE_MISSING: Event.JOURNAL_RECOVERED,
    Event.AUTH_LOCKOUT: Event.AUTH_UNBLOCKED,
    Event.SHORT_CALLS: Event.SHORT_CALLS_OVER,
    Event.COUNTRIES_UNREADABLE: Event.COUNTRIES_READ,
    Event.BALANCE_LOW: Event.BALANCE_RECOVERED,
    Event.RELOAD_REFUSED: Event.CONFIGURATION_LOADED,
    Event.DEFINITIONS_OUTDATED: Event.DEFINITIONS_READ,
    Event.CATALOGUE_FALLBACK: Event.CONFIGURATION_LOADED,
    Event.API_CERTIFICATE_REFUSED: Event.API_CERTIFICATE_ACCEPTED,
    Event.ASR_LOW: Event.ASR_RECOVERED,
    Event.CUSTOMER_ASR_LOW: Event.CUSTOMER_ASR_RECOVERED,
    Event.PDD_HIGH: Event.PDD_RECOVERED,
    Event.ACD_LOW: Event.ACD_RECOVERED,
    Event.SETUP_SLOW: Event.SETUP_RECOVERED,
    Event.MARGIN_LOW: Event.MARGIN_RECOVERED,
    Event.PREFIX_MARGIN_LOW: Event.PREFIX_MARGIN_RECOVERED,
    Event.OVERDRAFT_HIGH: Event.OVERDRAFT_RECOVERED,
    Event.HOLIDAYS_MISSING: Event.HOLIDAYS_KNOWN,
    Event.SIGNING_CERTIFICATE_ENDS: Event.SIGNING_CERTIFICATE_LASTS,
    Event.CERTIFICATE_ENDS: Event.CERTIFICATE_LASTS,
    Event.TRUST_ENDS: Event.TRUST_LASTS,
    Event.BOOKING_LATE: Event.BOOKING_IN_TIME,
    Event.QUARANTINE_FILLED: Event.QUARANTINE_EMPTIED,
    Event.RTP_PORT_EXHAUSTED: Event.RTP_PORTS_FREE,
    Event.RTP_PORTS_LOW: Event.RTP_PORTS_RECOVERED,
    Event.MEDIA_LOSS_HIGH: Event.MEDIA_LOSS_RECOVERED,
    Event.CUSTOMER_MEDIA_LOSS_HIGH: Event.CUSTOMER_MEDIA_LOSS_RECOVERED,
    Event.JOURNAL_SLOW: Event.JOURNAL_IN_TIME,
    Event.DISK_LOW: Event.DISK_RECOVERED,
    Event.LOG_NOT_WRITTEN: Event.LOG_WRITTEN,
    Event.CPU_HIGH: Event.CPU_RECOVERED,
    Event.MEMORY_HIGH: Event.MEMORY_RECOVERED,
    Event.LOOP_LATE: Event.LOOP_IN_TIME,
    Event.CALL_TOO_LONG: Event.LONG_CALL_ENDED,
    Event.FRAUD_SUSPECTED: Event.FRAUD_OVER,
    Event.CPS_HIGH: Event.CPS_RECOVERED,
    Event.WITHOUT_CDR_HIGH: Event.WITHOUT_CDR_RECOVERED,
    Event.ALARM_OUTPUT_DOWN: Event.ALARM_OUTPUT_UP,
    Event.RETENTION_BLOCKED: Event.RETENTION_DONE,
    Event.ACCOUNT_EXPIRES: Event.ACCOUNT_EXPIRY_OVER,
    Event.ACCOUNT_CLOSE_UNFINISHED: Event.ACCOUNT_CLOSE_FINISHED,
    Event.LEDGER_DIFFERS: Event.LEDGER_AGREES,
    Event.INVOICES_OVERDUE: Event.INVOICES_PAID,
    Event.NIGHTLY_FAILED: Event.NIGHTLY_DONE,
    Event.REPORT_FAILED: Event.REPORT_SENT,
    Event.BILATERAL_DIFFERS: Event.BILATERAL_AGREES,
    Event.BILATERAL_AWAY: Event.BILATERAL_BACK,
    Event.CALL_REPORTS_DOWN: Event.CALL_REPORTS_UP,
    Event.CALL_REPORTS_UNWRITTEN: Event.CALL_REPORTS_WRITTEN,
    Event.RADIUS_UNREACHABLE: Event.RADIUS_REACHED,
    Event.RADIUS_ACCOUNTING_DOWN: Event.RADIUS_ACCOUNTING_UP,
    Event.RADIUS_ACCOUNTING_UNWRITTEN: Event.RADIUS_ACCOUNTING_WRITTEN,
}
"""The event that ends the state reported by another one."""

FOLLOWED: Final = frozenset({Event.OVERRIDE_SET, Event.OVERRIDE_ENDED})
"""Events that raise and clear no alarm, and that followers of the switch receive."""
