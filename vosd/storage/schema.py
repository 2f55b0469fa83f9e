"""Tables: accounts, ledger and checkpoints, calls with attempts and charges, registrations, lease, overrides, decks.

The migrations lead to this schema, and a test compares both. The columns of calls are those that the record declares
(ADR 38). Refuses to hold statements.

One counter orders all commits: a transaction takes its numbers first and so locks the counter's row until it ends. A
reader in the order of the counter misses no commit (``cdr.export_seq``, ``account.changed``).
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint as Unique,
    or_,
)
from sqlalchemy.dialects.mysql import MEDIUMBLOB, MEDIUMTEXT
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from vosd.cdr.columns import ATTEMPT_COLUMNS, CHARGE_COLUMNS, EXPORT_SEQ, RECORD_COLUMNS
from vosd.cdr.kinds import (
    ACCOUNT_LENGTH,
    ADDRESS_LENGTH,
    CURRENCY_LENGTH,
    NAME_LENGTH,
    REASON_LENGTH,
    SIP_CALL_ID_LENGTH,
    Column as CdrColumn,
    ColumnKind,
)
from vosd.cdr.record import ROLE_LENGTH, UNSENT_REASONS
from vosd.storage.types import CallKey, Document, Moment, Money, MoneySum
from vosd.traffic.counted import AMOUNTS, COUNTS, LOSSES

REFERENCE_LENGTH: Final = 128
KIND_LENGTH: Final = 16
REQUEST_KEY_LENGTH: Final = 128
JOB_FILE_LENGTH: Final = 64
MEMO_LENGTH: Final = 255
CONTACT_LENGTH: Final = 512
PATH_LENGTH: Final = 1_100
AGENT_LENGTH: Final = 128
ID_LENGTH: Final = 36
HOST_LENGTH: Final = 64
PROCESS_LENGTH: Final = 128
SETTING_LENGTH: Final = 32
VALUE_LENGTH: Final = 64
DIGEST_LENGTH: Final = 64
PREFIX_LENGTH: Final = 32
AREA_LENGTH: Final = 128
TRAFFIC_DIGEST_LENGTH: Final = 32
MONTH_LENGTH: Final = 7
DAY_LENGTH: Final = 10
REVISION_LENGTH: Final = 32
INVOICE_NUMBER_LENGTH: Final = 32
CALL_ID_INDEXED: Final = 20
"""Characters of a SIP Call-ID that MySQL has in its index; the row is compared in full."""

CHARGES_FROM_CDR: Final = "charges_cdr"
"""Name of the number up to which ``cdr.export_seq`` is of calls that have no rows in ``cdr_charge``."""
CHARGES_FROM_ENTRY: Final = "charges_entry"
"""Name of the number up to which ``ledger_entry.id`` is of calls that have no rows in ``cdr_charge``."""
CLOSED_ENTRY: Final = "closed_entry"
"""Name of the number up to which ``ledger_entry.id`` was booked before the latest period was closed."""
TRAFFIC: Final = "traffic"
"""Name of the number up to which calls, by ``cdr.export_seq``, are added to ``traffic``."""
TRAFFIC_DAYS: Final = "traffic_days"
"""Name of the slot before which ``traffic_day`` has the sums of whole days."""
TRAFFIC_LIVE: Final = "traffic_live"
"""Name of the number of the live counts that were written last."""
COMMITS: Final = "commits"
"""Name of the counter that orders commits."""
OVERRIDES: Final = "overrides"
"""Name of the counter that every change of an operational override advances."""
CATALOGUE: Final = "catalogue"
"""Name of the counter that every change of a definition advances."""
LEASES: Final = "lease"
"""Name of the counter that every taking of the lease advances."""
SAVED_VIEWS: Final = "saved_views"
"""Name of the row that is locked while a view is added."""

metadata: Final = MetaData()

_IN_MYSQL: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",  # names are compared by their characters: Acme is not acme
}

_NUMBERS: Final[Mapping[int, type[TypeEngine[int]]]] = {16: SmallInteger, 32: Integer, 64: BigInteger}
"""Column types of whole numbers by their width in bits."""
_COMMENTS: Final = {"export_seq": "order of commit", "code": "final SIP code; 0 = no response"}
"""Comments that the first migration gave to columns of calls; ``docs/cdr.md`` explains all of them."""


def _table(name: str, *parts: SchemaItem, **options: Any) -> Table:
    """Return a table of this schema; ``options`` are those that few tables have."""
    return Table(name, metadata, *parts, **_IN_MYSQL, **options)


def _column(column: CdrColumn) -> Column[Any]:
    return Column(
        column.name,
        _type(column),
        primary_key=column.kind is ColumnKind.CALL_ID,
        nullable=column.is_optional,
        comment=_COMMENTS.get(column.name),
    )


def _type(column: CdrColumn) -> TypeEngine[Any]:
    match column.kind:
        case ColumnKind.CALL_ID:
            return CallKey()
        case ColumnKind.ACCOUNT | ColumnKind.WORD | ColumnKind.TEXT:
            return String(column.size)
        case ColumnKind.NUMBER:
            return _NUMBERS[column.size]()
        case ColumnKind.AMOUNT:
            return Money()
        case ColumnKind.TIME:
            return Moment()
        case ColumnKind.DOCUMENT:
            return Document()
        case ColumnKind.ROWS:
            raise ValueError(f"{column.name} is a table of its own")


counter: Final = _table(
    "counter", Column("name", String(16), primary_key=True), Column("value", BigInteger, nullable=False)
)

account: Final = _table(
    "account",
    Column("id", String(ACCOUNT_LENGTH), primary_key=True),
    Column("balance", Money, nullable=False),
    Column("seq", BigInteger, nullable=False, comment="of the account's latest ledger entry; 0 = none"),
    Column("changed", BigInteger, nullable=False, comment="the commit that last changed the balance"),
    Column("currency", String(CURRENCY_LENGTH)),
    Column("expires_at", Moment, comment="null = as configured"),
    Column("opened_at", Moment, comment="null = a version before this column opened it"),
    Index("account_changed", "changed"),  # the daemon polls by it every second
)

ledger_entry: Final = _table(
    "ledger_entry",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("account", String(ACCOUNT_LENGTH), nullable=False),
    Column("seq", BigInteger, nullable=False, comment="1, 2, 3 ... within the account"),
    Column("amount", Money, nullable=False),
    Column("balance_after", Money, nullable=False),
    Column("kind", String(KIND_LENGTH), nullable=False),
    Column("reference", String(REFERENCE_LENGTH), nullable=False),
    Column("call_id", CallKey, comment="the CDR; null where the call left none, and for all but calls"),
    Column("operator", String(NAME_LENGTH)),
    Column("memo", String(MEMO_LENGTH)),
    Column("created_at", Moment, nullable=False),
    Column("currency", String(CURRENCY_LENGTH)),
    Column("tax", Money, comment="what of the amount is tax; null = none, or an earlier version booked it"),
    Unique("account", "kind", "reference", name="ledger_entry_once"),  # a retry books nothing twice (ADR 5)
    Unique("account", "seq", name="ledger_entry_chain"),  # two writers cannot both take the next number
    Index("ledger_entry_call", "call_id"),
)

ledger_checkpoint: Final = _table(
    "ledger_checkpoint",
    Column("account", String(ACCOUNT_LENGTH), primary_key=True),
    Column("closed_until", Moment, primary_key=True, comment="entries dated before are closed"),
    Column("seq", BigInteger, nullable=False, comment="of the last closed entry; 0 = none"),
    Column("balance", Money, nullable=False, comment="after that entry"),
    Column("closed_at", Moment, nullable=False),
    Column("operator", String(NAME_LENGTH)),
    Column("memo", String(MEMO_LENGTH)),
    Index("ledger_checkpoint_until", "closed_until"),
    sqlite_with_rowid=False,
)

cdr: Final = _table(
    "cdr",
    *(_column(column) for column in (EXPORT_SEQ, *RECORD_COLUMNS)),
    Unique("export_seq", name="cdr_export"),
    Index("cdr_started", "started_at", "call_id"),
    Index("cdr_customer", "customer_account", "started_at"),
    Index("cdr_vendor", "vendor_account", "started_at"),
    Index("cdr_mapping", "mapping_gateway", "started_at"),
    Index("cdr_routing", "routing_gateway", "started_at"),
    Index("cdr_callee", "callee_in", "started_at", "call_id"),
    Index("cdr_caller", "caller_in", "started_at", "call_id"),
    Index("cdr_reason", "end_reason", "started_at", "call_id"),
    # A Call-ID is random in its first characters, or somewhere behind a few of them.
    Index("cdr_sip_in", "sip_call_id_in", mysql_length=CALL_ID_INDEXED),
    Index("cdr_sip_out", "sip_call_id_out", mysql_length=CALL_ID_INDEXED),
)

cdr_attempt: Final = _table(
    "cdr_attempt",
    Column("call_id", CallKey, primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    *(_column(column) for column in ATTEMPT_COLUMNS),
    sqlite_with_rowid=False,
)

ATTEMPT_WAS_SENT: Final = or_(
    cdr_attempt.c.code > 0, cdr_attempt.c.pdd_ms.is_not(None), cdr_attempt.c.reason.not_in(UNSENT_REASONS)
)
"""Whether the gateway of an attempt was sent the INVITE, as ``was_sent`` says."""

cdr_charge: Final = _table(
    "cdr_charge",
    Column("call_id", CallKey, primary_key=True, comment="of a call without CDR too"),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    *(_column(column) for column in CHARGE_COLUMNS),
    sqlite_with_rowid=False,
)

cdr_correction: Final = _table(
    "cdr_correction",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("call_id", CallKey, nullable=False),
    Column("reference", String(REFERENCE_LENGTH), nullable=False),
    Column("position", SmallInteger, nullable=False, comment="of the charge in cdr_charge"),
    Column("account", String(ACCOUNT_LENGTH), nullable=False),
    Column("role", String(ROLE_LENGTH), nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("fee_before", Money, nullable=False),
    Column("fee_after", Money, nullable=False),
    Column("tax_before", Money, nullable=False),
    Column("tax_after", Money, nullable=False),
    Column("seconds_before", Integer, nullable=False, comment="billed seconds"),
    Column("seconds_after", Integer, nullable=False),
    Column("currency", String(CURRENCY_LENGTH)),
    Column("operator", String(NAME_LENGTH), nullable=False),
    Column("memo", String(MEMO_LENGTH), nullable=False, comment="why"),
    Column("corrected_at", Moment, nullable=False),
    Column("tax_rate_before", Money, comment="percent; null = that of the steps of the charge"),
    Column("tax_rate_after", Money),
    Unique("call_id", "reference", "position", name="cdr_correction_once"),  # a repeat corrects nothing twice
)

retention_drop: Final = _table(
    "retention_drop",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", String(KIND_LENGTH), nullable=False, comment="calls or ledger"),
    Column("month", String(MONTH_LENGTH), nullable=False, comment="of the calls, or of the entries"),
    Column("dropped_before", Moment, nullable=False, comment="older records were dropped"),
    Column("records", BigInteger, nullable=False),
    Column("amounts", Text, nullable=False, comment="JSON: sums by currency"),
    Column("begun_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("operator", String(NAME_LENGTH), nullable=False),
)

waiting_payment: Final = _table(
    "waiting_payment",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("account", String(ACCOUNT_LENGTH), nullable=False, comment="of a transfer the one that pays"),
    Column("target", String(ACCOUNT_LENGTH), nullable=False, comment="of a transfer; else empty"),
    Column("kind", String(KIND_LENGTH), nullable=False),
    Column("reference", String(REFERENCE_LENGTH), nullable=False),
    Column("amount", Money, nullable=False, comment="as the ledger gets it; of zero the balance when it was asked for"),
    Column("forced", SmallInteger, nullable=False, comment="1 = whatever is left"),
    Column("memo", String(MEMO_LENGTH)),
    Column("operator", String(NAME_LENGTH), nullable=False, comment="who asked, as the ledger names it"),
    Column("login", String(NAME_LENGTH), nullable=False, comment="who asked, by the machine"),
    Column("asked_at", Moment, nullable=False),
    Column("state", String(KIND_LENGTH), nullable=False, comment="waiting, booked or refused"),
    Column("decided_by", String(NAME_LENGTH)),
    Column("decided_at", Moment),
    Column("reason", String(MEMO_LENGTH), comment="why it was refused"),
    Column("currency", String(CURRENCY_LENGTH), comment="in which it was asked for; null = that of the account"),
    Unique("account", "kind", "reference", name="waiting_payment_once"),
)

access_role: Final = _table(
    "access_role",
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("acts_for", String(KIND_LENGTH), nullable=False, comment="installation, agent or customer"),
    Column("permissions", Text, nullable=False, comment="JSON: their names; of a role that ships null"),
    Column("wants_totp", SmallInteger, nullable=False, comment="1 = people log in with a second factor"),
    sqlite_with_rowid=False,
)

api_token: Final = _table(
    "api_token",
    Column("id", String(ID_LENGTH), primary_key=True),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("digest", String(DIGEST_LENGTH), nullable=False, comment="SHA-256 of the secret"),
    Column("role", String(NAME_LENGTH), nullable=False),
    Column("scopes", Text, nullable=False, comment="JSON: what narrows the role; empty = nothing does"),
    Column("account", String(ACCOUNT_LENGTH)),
    Column("networks", Text, nullable=False, comment="JSON: where it may come from; empty = anywhere"),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(NAME_LENGTH), nullable=False),
    Column("expires_at", Moment),
    Column("used_at", Moment, comment="to the minute"),
    Column("revoked_at", Moment),
    Column(
        "maker",
        String(NAME_LENGTH),
        comment="person, token and its id, or terminal after a space; null = see the audit",
    ),
    sqlite_with_rowid=False,
)

person: Final = _table(
    "person",
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("role", String(NAME_LENGTH), nullable=False),
    Column("account", String(ACCOUNT_LENGTH)),
    Column("password", String(MEMO_LENGTH), comment="argon2id in PHC form; empty = none yet"),
    Column("totp", String(MEMO_LENGTH), comment="secret of the second factor, encrypted by a key of state_dir"),
    Column("totp_step", BigInteger, comment="of the last code that was used"),
    Column("totp_begun", String(MEMO_LENGTH), comment="such a secret that no code has confirmed yet"),
    Column("recovery", Text, nullable=False, comment="JSON: SHA-256 of each code that is left"),
    Column("link", String(DIGEST_LENGTH), comment="SHA-256 of the secret of the one-time link"),
    Column("link_until", Moment),
    Column("identity", String(DIGEST_LENGTH), comment="SHA-256 of issuer and subject at the identity provider"),
    Column("disabled_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(NAME_LENGTH), nullable=False),
    Column("logged_in_at", Moment),
    Index("person_identity", "identity", unique=True),
    sqlite_with_rowid=False,
)

person_session: Final = _table(
    "person_session",
    Column("digest", String(DIGEST_LENGTH), primary_key=True, comment="SHA-256 of the id that the cookie has"),
    Column("person", String(NAME_LENGTH), nullable=False),
    Column("csrf", String(DIGEST_LENGTH), nullable=False, comment="what requests that change something repeat"),
    Column("source", String(ADDRESS_LENGTH), nullable=False, comment="address of the log-in"),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment, nullable=False, comment="to the minute"),
    Column("ends_at", Moment, nullable=False),
    Column(
        "by_provider", SmallInteger, nullable=False, server_default="0", comment="1 = logged in by an identity provider"
    ),
    Index("person_session_person", "person"),
    sqlite_with_rowid=False,
)

saved_view: Final = _table(
    "saved_view",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("owner", String(NAME_LENGTH), nullable=False, comment="person, or token and its id"),
    Column("page", String(KIND_LENGTH), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("query", Text, nullable=False, comment="of the address of the page"),
    Column("shared", SmallInteger, nullable=False, comment="1 = all operators see it"),
    Column("version", Integer, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("changed_by", String(NAME_LENGTH), nullable=False),
    Unique("owner", "page", "name", name="saved_view_once"),
    Index("saved_view_shared", "shared"),
)

dropped_reference: Final = _table(
    "dropped_reference",
    Column("digest", String(DIGEST_LENGTH), primary_key=True, comment="SHA-256 of account, kind and reference"),
    Column("amount", Money, nullable=False),
    Column("balance_after", Money, nullable=False),
)

dropped_credit: Final = _table(
    "dropped_credit",
    Column("invoice", BigInteger, primary_key=True, comment="id of the first one of the account"),
    Column(
        "number", String(INVOICE_NUMBER_LENGTH), primary_key=True, comment="of the invoice that is named; empty = none"
    ),
    Column("amount", MoneySum, nullable=False),
)

daily_total: Final = _table(
    "daily_total",
    Column("day", String(DAY_LENGTH), primary_key=True, comment="UTC, in which the calls began"),
    Column("customer_account", String(ACCOUNT_LENGTH), primary_key=True, comment="empty = none"),
    Column("vendor_account", String(ACCOUNT_LENGTH), primary_key=True),
    Column("mapping_gateway", String(NAME_LENGTH), primary_key=True),
    Column("routing_gateway", String(NAME_LENGTH), primary_key=True),
    Column("currency", String(CURRENCY_LENGTH), primary_key=True),
    Column("vendor_currency", String(CURRENCY_LENGTH), primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("answered", BigInteger, nullable=False),
    Column("billed_seconds", BigInteger, nullable=False),
    Column("vendor_billed_seconds", BigInteger, nullable=False),
    Column("fee", MoneySum, nullable=False),
    Column("tax", MoneySum, nullable=False),
    Column("cost", MoneySum, nullable=False),
    Column("cost_tax", MoneySum, nullable=False),
    sqlite_with_rowid=False,
)

traffic_key: Final = _table(
    "traffic_key",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("digest", String(TRAFFIC_DIGEST_LENGTH), nullable=False, comment="of the columns that follow"),
    Column("kind", String(ROLE_LENGTH), nullable=False, comment="call, agent, attempt or wait"),
    Column("party", String(ACCOUNT_LENGTH), nullable=False, comment="agent whose charges these are; else empty"),
    Column("customer_account", String(ACCOUNT_LENGTH), nullable=False, comment="empty = none, as in all columns"),
    Column("vendor_account", String(ACCOUNT_LENGTH), nullable=False),
    Column("mapping_gateway", String(NAME_LENGTH), nullable=False),
    Column("routing_gateway", String(NAME_LENGTH), nullable=False),
    Column("billing_method", String(ROLE_LENGTH), nullable=False),
    Column("area", String(AREA_LENGTH), nullable=False, comment="of the customer's rate; else its prefix"),
    Column("rate_type", String(KIND_LENGTH), nullable=False),
    Column("currency", String(CURRENCY_LENGTH), nullable=False),
    Column("vendor_currency", String(CURRENCY_LENGTH), nullable=False),
    Column("income_currency", String(CURRENCY_LENGTH), nullable=False),
    Column("end_reason", String(REASON_LENGTH), nullable=False),
    Column("sip_code", SmallInteger, nullable=False, comment="of unanswered calls; else 0"),
    Column("hangup_source", String(ROLE_LENGTH), nullable=False, comment="of unanswered calls"),
    Column("wait_ms", Integer, nullable=False, comment="step of the wait for the first ringing; else 0"),
    Column("minute", SmallInteger, nullable=False, server_default="0", comment="of the quarter: 0, 5 or 10"),
    Unique("digest", name="traffic_key_once"),
)


def _sums(name: str, meaning: str) -> Table:
    return _table(
        name,
        Column(
            "kind", SmallInteger, primary_key=True, autoincrement=False, comment="0 call, 1 agent, 2 attempt, 3 wait"
        ),
        Column("slot", Integer, primary_key=True, autoincrement=False, comment=meaning),
        Column("key_id", BigInteger, primary_key=True, autoincrement=False),
        *(Column(count, BigInteger, nullable=False) for count in COUNTS if count not in LOSSES),
        *(Column(amount, MoneySum, nullable=False) for amount in AMOUNTS),
        *(Column(count, Integer, nullable=False, server_default="0") for count in LOSSES),
        sqlite_with_rowid=False,
    )


traffic: Final = _sums("traffic", "quarters of an hour since 1970, in which the calls began")
traffic_day: Final = _sums("traffic_day", "the first quarter of the UTC day")
traffic_zone: Final = _sums("traffic_zone", "the first quarter of a day of 24 hours of another zone than UTC")
traffic_zone_day: Final = _table(
    "traffic_zone_day",
    Column("slot", Integer, primary_key=True, autoincrement=False, comment="first quarter of a day in traffic_zone"),
    sqlite_with_rowid=False,
)
traffic_area: Final = _table(
    "traffic_area",
    Column("area", String(AREA_LENGTH), primary_key=True, comment="of customers' rates"),
    Column("prefix", String(PREFIX_LENGTH), nullable=False, comment="beginning of the prefixes of its calls' rates"),
    sqlite_with_rowid=False,
)
traffic_peak: Final = _table(
    "traffic_peak",
    Column("slot", Integer, primary_key=True, autoincrement=False, comment="quarter of an hour since 1970"),
    Column("side", String(ROLE_LENGTH), primary_key=True, comment="switch, mapping or routing"),
    Column("name", String(NAME_LENGTH), primary_key=True, comment="of the gateway; empty = all calls of the switch"),
    Column("concurrent", Integer, nullable=False, comment="most calls at a time"),
    Column("per_second", Integer, nullable=False, comment="most calls that began within a second"),
    sqlite_with_rowid=False,
)

registration: Final = _table(
    "registration",
    Column("node", String(NAME_LENGTH), primary_key=True, comment="whose sockets it came in by"),
    Column("name", String(NAME_LENGTH), primary_key=True, comment="number of the phone, or name of the gateway"),
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", String(CONTACT_LENGTH), nullable=False),
    Column("q", SmallInteger, nullable=False, comment="preference in thousandths"),
    Column("call_id", String(SIP_CALL_ID_LENGTH), nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("until", Moment, nullable=False, comment="refreshes before then are not written, hence ahead of the expiry"),
    Column("lifetime_s", Integer, nullable=False),
    Column("listener", String(ADDRESS_LENGTH), nullable=False),
    Column("host", String(ADDRESS_LENGTH), nullable=False),
    Column("port", Integer, nullable=False),
    Column("path", String(PATH_LENGTH), nullable=False),
    Column("instance", String(CONTACT_LENGTH), nullable=False),
    Column("reg_id", Integer, nullable=False),
    Column("user_agent", String(AGENT_LENGTH), nullable=False),
    sqlite_with_rowid=False,
)

identity: Final = _table(
    "identity", Column("id", String(ID_LENGTH), primary_key=True, comment="random; another database has another")
)

lease: Final = _table(
    "lease",
    Column("node", String(NAME_LENGTH), primary_key=True),
    Column("holder", String(ID_LENGTH), nullable=False, comment="random id of the process that took it"),
    Column("host", String(HOST_LENGTH), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process", String(PROCESS_LENGTH), nullable=False, comment="tells the process from others on its host"),
    Column("epoch", BigInteger, nullable=False, comment="how often the lease was taken"),
    Column("renewals", BigInteger, nullable=False, comment="how often its holder has renewed it"),
    Column("taken_at", Moment, nullable=False, comment="by the database's clock"),
    Column("renewed_at", Moment, nullable=False, comment="by the database's clock"),
    Column("released", SmallInteger, nullable=False, comment="1 = the holder has stopped"),
)

schema_compatibility: Final = _table(
    "schema_compatibility",
    Column(
        "oldest", String(REVISION_LENGTH), primary_key=True, comment="the oldest schema whose programs work with this"
    ),
)

operational_override: Final = _table(
    "operational_override",
    Column("target", String(KIND_LENGTH), primary_key=True, comment="account, mapping or routing"),
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("setting", String(SETTING_LENGTH), primary_key=True),
    Column("value", String(VALUE_LENGTH), nullable=False, comment="empty for a block"),
    Column("operator", String(NAME_LENGTH), nullable=False),
    Column("set_at", Moment, nullable=False),
    Column("expires_at", Moment, comment="null = when it is cleared"),
    Column("memo", String(MEMO_LENGTH)),
)

override_change: Final = _table(
    "override_change",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("changed_at", Moment, nullable=False),
    Column("action", String(KIND_LENGTH), nullable=False, comment="set, cleared or expired"),
    Column("changed_by", String(NAME_LENGTH), comment="null = it expired"),
    Column("target", String(KIND_LENGTH), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("setting", String(SETTING_LENGTH), nullable=False),
    Column("value", String(VALUE_LENGTH), nullable=False),
    Column("operator", String(NAME_LENGTH), nullable=False, comment="who had set it"),
    Column("set_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("memo", String(MEMO_LENGTH)),
    Column("value_before", String(VALUE_LENGTH), comment="null = it was as configured"),
    Index("override_change_name", "name"),
)

audit: Final = _table(
    "audit",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("principal", String(NAME_LENGTH), nullable=False, comment="who, as the records name it"),
    Column("role", String(KIND_LENGTH), nullable=False, comment="operator, agent, customer or program"),
    Column("login", String(NAME_LENGTH), nullable=False, comment="the name that was proved"),
    Column("means", String(KIND_LENGTH), nullable=False, comment="terminal, token, page or switch"),
    Column("source", String(NAME_LENGTH), nullable=False, comment="an address; empty = this machine"),
    Column("action", String(NAME_LENGTH), nullable=False, comment="name of the order"),
    Column("subject", String(NAME_LENGTH), nullable=False, comment="the object that it is about"),
    Column("detail", Text, nullable=False, comment="JSON: the order"),
    Index("audit_subject", "subject"),
    Index("audit_at", "at"),
    Index("audit_principal", "principal"),
    Index("audit_login", "login"),
    Index("audit_action", "action"),
)

api_request: Final = _table(
    "api_request",
    Column("principal", String(NAME_LENGTH), primary_key=True, comment="the name that was proved"),
    Column("request_key", String(REQUEST_KEY_LENGTH), primary_key=True, comment="Idempotency-Key"),
    Column("fingerprint", String(64), nullable=False, comment="digest of method, path and body"),
    Column("made_at", Moment, nullable=False),
    Column("status", Integer, comment="null = the change is made, its answer was not kept"),
    Column("answer", Text().with_variant(MEDIUMTEXT(), "mysql"), comment="as it was sent"),
    Column("headers", Text, comment="JSON: headers of the answer, names and values"),
    Index("api_request_made_at", "made_at"),
)

job: Final = _table(
    "job",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", String(SETTING_LENGTH), nullable=False),
    Column("subject", String(NAME_LENGTH), nullable=False, comment="the object that it is about"),
    Column("login", String(NAME_LENGTH), nullable=False, comment="the name of who has ordered it, as it was proved"),
    Column("means", String(KIND_LENGTH), nullable=False, comment="token, page or terminal"),
    Column("who", Text, nullable=False, comment="JSON: who has ordered it, with permissions"),
    Column(
        "job_order", Text().with_variant(MEDIUMTEXT(), "mysql"), nullable=False, comment="JSON; empty once it has ended"
    ),
    Column("upload", String(JOB_FILE_LENGTH), comment="file of the order, in state_dir/jobs"),
    Column("state", String(KIND_LENGTH), nullable=False, comment="queued, running, done, failed or cancelled"),
    Column("attempt", Integer, nullable=False, comment="of how many beginnings this is the last"),
    Column("progress", Integer, nullable=False, comment="thousandths"),
    Column("queued_at", Moment, nullable=False),
    Column("begun_at", Moment),
    Column("committed_at", Moment, comment="written in the transaction of its change"),
    Column("ended_at", Moment),
    Column("result", Text().with_variant(MEDIUMTEXT(), "mysql"), comment="JSON"),
    Column("result_file", String(JOB_FILE_LENGTH), comment="in state_dir/jobs"),
    Column("problem", Text().with_variant(MEDIUMTEXT(), "mysql"), comment="JSON: why it has failed"),
    Index("job_state", "state"),
)

definition: Final = _table(
    "definition",
    Column("kind", String(SETTING_LENGTH), primary_key=True, comment="section of the configuration"),
    Column("name", String(NAME_LENGTH), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False, comment="1, 2, 3 ... of the object"),
    Column("body", Text().with_variant(MEDIUMTEXT(), "mysql"), comment="JSON: keys and values; null = it ends"),
    Column("begins_at", Moment, nullable=False, comment="in force is the one that began last"),
    Column("made_at", Moment, nullable=False),
    Column("operator", String(NAME_LENGTH), nullable=False),
    Column("memo", String(MEMO_LENGTH)),
    Column("changed", BigInteger, nullable=False, comment="version of all definitions that it made"),
    Index("definition_changed", "changed"),
    Index("definition_begins_at", "begins_at"),
)

rate_deck: Final = _table(
    "rate_deck",
    Column("rate_group", String(NAME_LENGTH), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False, comment="1, 2, 3 ... the highest is in force"),
    Column("content", Integer, nullable=False, comment="the version whose chunks hold its rates"),
    Column("replaced", Integer, comment="the version before it; null = none"),
    Column("made_at", Moment, nullable=False),
    Column("operator", String(NAME_LENGTH), nullable=False),
    Column("mode", String(KIND_LENGTH), nullable=False, comment="full, delta or rollback"),
    Column("effective", Moment, comment="null = at once"),
    Column("rates", Integer, nullable=False),
    Column("digest", String(DIGEST_LENGTH), nullable=False, comment="SHA-256 of the uncompressed content"),
    Column("changes", Text, nullable=False, comment="JSON: prefixes by kind of change"),
    Column("memo", String(MEMO_LENGTH)),
    Column("layout", Text, comment="JSON: header and map; null = our own names"),
)

rate_deck_chunk: Final = _table(
    "rate_deck_chunk",
    Column("rate_group", String(NAME_LENGTH), primary_key=True),
    Column("content", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("first_prefix", String(PREFIX_LENGTH), nullable=False),
    Column("compressed", LargeBinary().with_variant(MEDIUMBLOB(), "mysql"), nullable=False, comment="zlib"),
)

reconciliation: Final = _table(
    "reconciliation",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("account", String(ACCOUNT_LENGTH), nullable=False, comment="of the vendor"),
    Column("digest", String(DIGEST_LENGTH), nullable=False, comment="SHA-256 of the vendor's file"),
    Column("file", String(MEMO_LENGTH), nullable=False, comment="its name"),
    Column("since", Moment, nullable=False, comment="first moment of the span that is compared"),
    Column("until", Moment, nullable=False, comment="first moment behind it"),
    Column("made_at", Moment, nullable=False),
    Column("operator", String(NAME_LENGTH), nullable=False),
    Column("currency", String(CURRENCY_LENGTH)),
    Column("ours", MoneySum, nullable=False, comment="cost of the span as it is booked here"),
    Column("theirs", MoneySum, nullable=False, comment="price of the file"),
    Column("result", Text().with_variant(MEDIUMTEXT(), "mysql"), nullable=False, comment="JSON: classes and counts"),
    Unique("account", "digest", name="reconciliation_once"),  # a repeated import adds nothing
)

reconciliation_chunk: Final = _table(
    "reconciliation_chunk",
    Column("reconciliation", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column(
        "compressed", LargeBinary().with_variant(MEDIUMBLOB(), "mysql"), nullable=False, comment="calls that differ"
    ),
    sqlite_with_rowid=False,
)

long_call: Final = _table(
    "long_call",
    Column("ended_at", Moment, primary_key=True),
    Column("call_id", CallKey, primary_key=True),
    sqlite_with_rowid=False,
)
reconciliation_dispute: Final = _table(
    "reconciliation_dispute",
    Column("reconciliation", BigInteger, primary_key=True, autoincrement=False),
    Column("account", String(ACCOUNT_LENGTH), nullable=False),
    Column("state", String(KIND_LENGTH), nullable=False, comment="open, sent, accepted, rejected or settled"),
    Column("amount", Money, nullable=False, comment="that the vendor is asked to credit"),
    Column("currency", String(CURRENCY_LENGTH)),
    Column("reference", String(REFERENCE_LENGTH), comment="of the vendor's credit note, and of its ledger entry"),
    Column("memo", String(MEMO_LENGTH)),
    Column("opened_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("operator", String(NAME_LENGTH), nullable=False, comment="who changed it last"),
    Column("booked", Money, comment="entry of the ledger that settled it; null = nothing was booked"),
    Column(
        "undone", Integer, nullable=False, server_default="0", comment="entries that settled it and were taken back"
    ),
    Index("reconciliation_dispute_state", "state"),
)
invoice: Final = _table(
    "invoice",
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("issuer", String(ACCOUNT_LENGTH), nullable=False, comment="account of an agent; empty = the installation"),
    Column("account", String(ACCOUNT_LENGTH), nullable=False, comment="who is to pay"),
    Column("kind", String(KIND_LENGTH), nullable=False, comment="invoice or credit_note"),
    Column("state", String(KIND_LENGTH), nullable=False, comment="draft, issued or cancelled"),
    Column("number", String(INVOICE_NUMBER_LENGTH), comment="null = a draft"),
    Column("follows", BigInteger, comment="the invoice of the account before it; null = the first one"),
    Column("cancels", BigInteger, comment="of a credit note: the invoice"),
    Column("period", String(KIND_LENGTH), nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("begin_until", Moment, nullable=False, comment="entries dated before it, up to begin_seq, are not on it"),
    Column("begin_seq", BigInteger, nullable=False),
    Column("floor_seq", BigInteger, nullable=False, comment="entries up to it are not on it"),
    Column("end_seq", BigInteger, nullable=False, comment="entries dated before until, up to this one, are on it"),
    Column("open_seq", BigInteger, nullable=False, comment="behind it is every entry that is on no invoice yet"),
    Column("currency", String(CURRENCY_LENGTH), nullable=False),
    Column("net", MoneySum, nullable=False),
    Column("tax", MoneySum, nullable=False),
    Column("opening", MoneySum, nullable=False),
    Column("carried", MoneySum, nullable=False, comment="what calls of a partner have earned"),
    Column("closing", MoneySum, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("issued_at", Moment),
    Column("due_at", Moment, comment="first moment at which it is overdue"),
    Column("sent_at", Moment, comment="when it was mailed last"),
    Column("claimed_at", Moment, comment="when the order began that mails it now; null = none does"),
    Column("operator", String(NAME_LENGTH), nullable=False, comment="who has made or issued it"),
    Column("document", Text().with_variant(MEDIUMTEXT(), "mysql"), nullable=False, comment="JSON: what is printed"),
    Column("digest", String(DIGEST_LENGTH), nullable=False, comment="SHA-256 of the document"),
    Column("template", String(DIGEST_LENGTH), comment="SHA-256 of the template; null = a draft"),
    Unique("issuer", "number", name="invoice_number"),
    Index("invoice_account", "account", "id"),
    Index("invoice_state", "state", "due_at"),
)
invoice_series: Final = _table(
    "invoice_series",
    Column("issuer", String(ACCOUNT_LENGTH), primary_key=True),
    Column("series", String(INVOICE_NUMBER_LENGTH), primary_key=True),
    Column("last", BigInteger, nullable=False, comment="number that was given last"),
    sqlite_with_rowid=False,
)
invoice_template: Final = _table(
    "invoice_template",
    Column("digest", String(DIGEST_LENGTH), primary_key=True),
    Column("content", LargeBinary().with_variant(MEDIUMBLOB(), "mysql"), nullable=False, comment="JSON: its files"),
)

month_close: Final = _table(
    "month_close",
    Column("month", String(MONTH_LENGTH), primary_key=True),
    Column("zone", String(NAME_LENGTH), nullable=False, comment="in which the month begins and ends"),
    Column("closed_at", Moment, nullable=False),
    Column("operator", String(NAME_LENGTH), nullable=False),
    Column("page", Text().with_variant(MEDIUMTEXT(), "mysql"), nullable=False, comment="JSON: the auditor's page"),
)
