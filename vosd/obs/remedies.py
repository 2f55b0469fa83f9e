"""The first thing to do about each alarm, in one sentence; docs/operations/alarms.md has the steps."""

from collections.abc import Mapping
from typing import Final

from vosd.obs.events import Event

REMEDIES: Final[Mapping[Event, str]] = {
    Event.DATABASE_AWAY: (
        "look at the database server and the network; calls wait, so do not restart; a refused password: correct it,"
        " vosd reload (docs/operations/database.md)"
    ),
    Event.DATABASE_DAMAGED: "the error says what to repair: a database that is gone is put back, or vosd restore FILE",
    Event.DATABASE_REGRESSED: "wait until it is completed from the journal, then vosd ledger verify",
    Event.PAYMENTS_LOST: (
        "put the lost database back, vosd restore FILE, or book the payments again; then vosd alarms --confirm ALARM"
    ),
    Event.OVERRIDES_LOST: "set anew what is lost, end what has returned; then vosd alarms --confirm ALARM",
    Event.LEASE_LOST: "vosd status names the other switch: stop one of the two",
    Event.JOURNAL_WRITE_FAILED: "make room on the disk of state_dir (df, df -i), not in its journal",
    Event.JOURNAL_REMOVED: (
        "find who removes files of state_dir/journal; compare with the vendors' bills; then vosd alarms --confirm ALARM"
    ),
    Event.JOURNAL_RESERVE_MISSING: "make room on the disk of state_dir (df, df -i), not in its journal",
    Event.ANSWERED_CALL_REFUSED: "make room on the disk of state_dir; compare the vendor's bill with vosd cdr list",
    Event.CDR_QUEUE_LONG: "is the database slow or away? spool_rows in vosd status",
    Event.BOOKING_LATE: "is the database slow or away? spool_rows in vosd status",
    Event.CATALOGUE_FALLBACK: "correct the file or the deck that the why names, then vosd reload",
    Event.RTP_PORT_EXHAUSTED: "media_ports in vosd status; a wider range, here or at the rtpengine; or LimitNOFILE",
    Event.DISK_LOW: "df -h and df -i of state_dir (room, files), du in it: old logs, backups, journal.keep_files",
    Event.ADDRESS_GONE: "ip addr: give the address back to this machine, or see which one has it now",
    Event.JOURNAL_RECORD_UNREADABLE: "vosd spool check FILE, then vosd spool salvage FILE",
    Event.JOURNAL_FILE_SET_ASIDE: (
        "vosd spool check FILE; if it says unknown, vosd spool salvage --book FILE of the version that wrote it"
    ),
    Event.JOURNAL_KEPT_FILE_REMOVED: "make room on the disk of state_dir",
    Event.JOURNAL_SLOW: "iostat -x 5: other programs or recordings on the disk of state_dir, or one that fails",
    Event.QUARANTINE_FILLED: "vosd spool list says why; repair, then vosd spool retry",
    Event.RELOAD_REFUSED: "vosd reload names the mistakes, or what it would remove, and what to do",
    Event.API_CERTIFICATE_REFUSED: "put a certificate and its key into the files of api.tls; vosd reload",
    Event.DEFINITIONS_OUTDATED: (
        "look at the database server, the network to it and the rights of its user; the definitions are then read again"
    ),
    Event.OVERLOAD_BEGINS: "vosd status: a flood, or more calls than the machine carries",
    Event.CPU_HIGH: "calls a second in vosd status, a flood, log.level debug; else a faster core",
    Event.MEMORY_HIGH: "ps: which program has it; trace.recent_mb",
    Event.LOOP_LATE: "look for other programs on the machine and a slow disk",
    Event.LOG_NOT_WRITTEN: (
        "make room on the disk of the log, or look at the program that reads it; where it has ended, restart the switch"
    ),
    Event.CLOCK_JUMPED: "look at NTP; durations of calls are right",
    Event.GATEWAY_DOWN: "vosd gateway show NAME; the network, the vendor; calls go to the next gateway",
    Event.GATEWAY_RESTING: "vosd cdr list --gateway NAME; ask the vendor",
    Event.GATEWAY_NAME_LOST: "look at the name server",
    Event.SOURCE_CONFLICT: "ask who has the name; addresses in place of it, or a tech_prefix for one of both",
    Event.GATEWAY_UNREGISTERED: "its network, its password; vosd registrations",
    Event.REGISTRATION_LOST: "ask the vendor; register in the configuration",
    Event.REGISTRATION_REFUSED: "the status says why; user name and password of register",
    Event.ACCOUNT_REFUSED: "our balance with the vendor, our credentials there",
    Event.ASR_LOW: "vosd cdr list --gateway NAME: codes; vosd call test; vosd gateway block NAME --for 1h",
    Event.CUSTOMER_ASR_LOW: "vosd report failures --gateway NAME: wrong numbers, no money, no route? Ask the customer",
    Event.PDD_HIGH: "ask the vendor; move it back in the routes",
    Event.MEDIA_LOSS_HIGH: "media of its calls in vosd cdr list; ask the vendor; move it back in the routes",
    Event.CUSTOMER_MEDIA_LOSS_HIGH: "media of its calls in vosd cdr list: ask the customer to look at its network",
    Event.IVR_PORT_EXHAUSTED: "announcements_missed in vosd status; a wider IVR_RTP_PORT",
    Event.SOUND_NOT_PLAYED: "error of the event; free -m, MemoryMax of the service: sounds are shared memory",
    Event.MEDIA_WORKER_ENDED: "free -m, journalctl -k: killed for want of memory? Else report its lines in the log",
    Event.MEDIA_WORKER_NOT_STARTED: "error of the event; free -m, MemoryMax and TasksMax of the service",
    Event.RECORDING_NOT_BEGUN: "room, rights and inodes of the disk of state_dir/recordings: old recordings",
    Event.RECORDING_STOPPED: "room on the disk of state_dir: old recordings; file is not the whole call",
    Event.RTP_PORTS_LOW: "media_ports in vosd status; a wider range of ports, here or at the rtpengine",
    Event.SHORT_CALLS: "vosd report false-answers; vosd call test --via NAME --callee N to a telephone beside you",
    Event.ACD_LOW: "vosd cdr list --gateway NAME: false answers, one-way audio, a dialler",
    Event.SETUP_SLOW: "vosd status --gateways: is it one vendor?",
    Event.MARGIN_LOW: "vosd ledger profit --since 2h --until now; vosd cdr list --loss --since 2h; the latest decks",
    Event.PREFIX_MARGIN_LOW: "vosd route explain for a number of the prefix; the latest decks; loss_guard of the plan",
    Event.OVERDRAFT_HIGH: "ask the customer for a payment; pay the vendor that is paid in advance",
    Event.HOLIDAYS_MISSING: "add the dates of next year, or name the country; vosd reload",
    Event.SIGNING_CERTIFICATE_ENDS: "publish the next certificate, put it and its key into stir.sign; vosd reload",
    Event.CERTIFICATE_ENDS: "put the next certificate and its key into the files; vosd reload",
    Event.TRUST_ENDS: "fetch the latest roots and list of revoked certificates of stir.verify; vosd reload",
    Event.BYE_UNANSWERED: "ask a vendor whether the call has ended there: it may bill it; a customer pays nothing more",
    Event.BYE_REFUSED: "ask a vendor whether the call has ended there: it may bill it; a customer pays nothing more",
    Event.ANSWER_UNHEARD: (
        "the customer's trunk does not acknowledge early media: ask it, or reliable_provisionals: off"
    ),
    Event.SESSION_REFRESH_FAILED: "session_timer of the gateway; ask the peer which refreshes it takes",
    Event.BALANCE_LOW: "ask the customer for a payment; pay the vendor that is paid in advance",
    Event.LOSS_CALLS: "vosd cdr list --loss; compare the prices, or loss_guard of the plan",
    Event.SPEND_LIMIT_REACHED: "fraud or growth? vosd cdr list --account ID",
    Event.FRAUD_SUSPECTED: (
        "vosd cdr list --account ID; ask the customer, then vosd account unblock ID --destination CLASS"
    ),
    Event.DESTINATION_NEW: "is it meant? vosd cdr list --account ID --callee N",
    Event.WITHOUT_CDR_HIGH: "vosd report mapping-gateways --since 2h: column without_cdr; SERVER_BILLING_RECORD_...",
    Event.CPS_HIGH: "a dialler, a loop, an attack? vosd trace --gateway NAME; vosd gateway set NAME --max-cps N",
    Event.CALL_TOO_LONG: "vosd calls --ladder ID; vosd hangup ID",
    Event.AUTH_LOCKOUT: "vosd unblock --list: a phone with an old password, or an attack",
    Event.AUTH_USER_ATTACKED: "nothing: guesses wait; a password that is guessable should be changed",
    Event.SOURCE_BLOCKED: "vosd unblock --list; block it in the firewall",
    Event.SOURCE_DENIED: "put its network in access.allow, or take it out of access.deny; vosd reload",
    Event.ACCESS_REFUSED: "is the user abroad? If not, its password is stolen: give it another one",
    Event.COUNTRIES_UNREADABLE: "get the file of access.database again; it is read within ten seconds",
    Event.CALLER_BLACKLISTED: "vosd blacklist list; vosd blacklist clear NUMBER",
    Event.PHONE_OFFLINE: "vosd registrations",
    Event.PHONE_SERVICE_DOWN: "start the program of phone_service; reports wait",
    Event.PHONE_SERVICE_REFUSED: "look at the log of the program of phone_service",
    Event.LOOKUP_SERVICE_DOWN: "look at the server that is asked; fail_open says what becomes of calls",
    Event.RTPENGINE_DOWN: "start it, or look at the network to it; media.fallback says what becomes of calls",
    Event.NAT_SWEEP_OVERRUN: (
        "fewer keep-alives: a longer SS_SIP_NAT_KEEP_ALIVE_PERIOD; or more at once: SS_SIP_NAT_KEEP_ALIVE_SEND_ONE_TIME"
    ),
    Event.ALARMS_LEFT_OUT: "the log names the others; gateways and phones that are gone for good: take them out",
    Event.ALARM_OUTPUT_DOWN: "look at the server of the output; changes wait, the oldest are dropped first",
    Event.RETENTION_BLOCKED: "the why names the guard; often vosd ledger close",
    Event.ACCOUNT_EXPIRES: "book its payment, vosd account set ID --expires-at TIME, or let it expire",
    Event.ACCOUNT_CLOSE_UNFINISHED: "vosd account close ID --pay-out, or vosd overrides clear ID --setting closed",
    Event.LEDGER_DIFFERS: "vosd ledger verify says what differs; correct nothing by hand before its cause is known",
    Event.INVOICES_OVERDUE: "vosd invoice list --state overdue has them; remind the customers, or block the accounts",
    Event.NIGHTLY_FAILED: "the why; vosd ledger verify, vosd ledger minimum do it by hand",
    Event.REPORT_FAILED: "the why: mail server, directory or database; it is tried again by itself",
    Event.BILATERAL_DIFFERS: "the prefixes and gateways; vosd cdr list of them here and there shows which calls differ",
    Event.BILATERAL_AWAY: "the why; is the token valid, is the partner's management API open to this address",
    Event.ALARM_REFUSED: "the receiver's log: it takes no report of this kind",
    Event.CALL_REPORTS_DOWN: "look at the server of the receiver of webhooks, if one is named, else of call_reports",
    Event.CALL_REPORTS_DROPPED: "why counts the causes; look at the server, as for call_reports_down",
    Event.CALL_REPORTS_UNWRITTEN: "room and rights in state_dir: its call-reports, or webhooks",
    Event.RADIUS_UNREACHABLE: "look at that server: its log names a wrong secret or an unknown client",
    Event.RADIUS_ACCOUNTING_DOWN: "look at the servers of radius; records wait, radius.accounting.queue of them",
    Event.RADIUS_ACCOUNTING_DROPPED: "why counts the causes; bill those calls from the CDRs",
    Event.RADIUS_ACCOUNTING_UNWRITTEN: "room and rights in state_dir/radius-accounting",
}
