"""The tables, defined once: accounts, their ledger, calls and their attempts, registrations, who runs here.

Migrations bring a database here and a test holds both together. Refuses to hold statements.

One counter orders every commit: a transaction takes its next numbers first, so the row's lock lines writers up
and whoever reads in the counter's order misses nothing (``cdr.export_seq``, ``account.changed``).
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from vosd.storage.types import CallKey, Moment, Money

REVISION: Final = "0003"
"""The migration that this schema corresponds to."""

ACCOUNT_LENGTH: Final = 64
REFERENCE_LENGTH: Final = 128
NAME_LENGTH: Final = 64
NUMBER_LENGTH: Final = 64
ADDRESS_LENGTH: Final = 64
SIP_CALL_ID_LENGTH: Final = 255
CODEC_LENGTH: Final = 32
PREFIX_LENGTH: Final = 32
AREA_LENGTH: Final = 128
REASON_LENGTH: Final = 32
SOURCE_LENGTH: Final = 8
CURRENCY_LENGTH: Final = 3
REASON_TEXT_LENGTH: Final = 128
KIND_LENGTH: Final = 16
MEMO_LENGTH: Final = 255
BREAKDOWN_LENGTH: Final = 1_000_000
CONTACT_LENGTH: Final = 512
PATH_LENGTH: Final = 1_100
AGENT_LENGTH: Final = 128
ID_LENGTH: Final = 36
HOST_LENGTH: Final = 64
PROCESS_LENGTH: Final = 128

COMMITS: Final = "commits"
"""Name of the counter that orders commits."""

metadata: Final = MetaData()

_IN_MYSQL: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",  # names compare by their characters: Acme is not acme
}

counter: Final = Table(
    "counter",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
    **_IN_MYSQL,
)

account: Final = Table(
    "account",
    metadata,
    Column("id", String(ACCOUNT_LENGTH), primary_key=True),
    Column("balance", Money, nullable=False),
    Column("seq", BigInteger, nullable=False, comment="of the account's latest ledger entry; 0 = none"),
    Column("changed", BigInteger, nullable=False, comment="the commit that last changed the balance"),
    Column("currency", String(CURRENCY_LENGTH)),
    Index("account_changed", "changed"),  # what the daemon polls every second
    **_IN_MYSQL,
)

ledger_entry: Final = Table(
    "ledger_entry",
    metadata,
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
    Unique("account", "kind", "reference", name="ledger_entry_once"),  # makes a retry harmless (DESIGN D4)
    Unique("account", "seq", name="ledger_entry_chain"),  # two writers cannot both take the next number
    Index("ledger_entry_call", "call_id"),
    **_IN_MYSQL,
)

cdr: Final = Table(
    "cdr",
    metadata,
    Column("export_seq", BigInteger, nullable=False, comment="order of commit"),
    Column("call_id", CallKey, primary_key=True),
    Column("node", String(NAME_LENGTH), nullable=False),
    Column("mapping_gateway", String(NAME_LENGTH)),
    Column("routing_gateway", String(NAME_LENGTH)),
    Column("customer_account", String(ACCOUNT_LENGTH)),
    Column("vendor_account", String(ACCOUNT_LENGTH)),
    Column("currency", String(CURRENCY_LENGTH)),
    Column("caller_in", String(NUMBER_LENGTH), nullable=False),
    Column("callee_in", String(NUMBER_LENGTH), nullable=False),
    Column("caller_out", String(NUMBER_LENGTH)),
    Column("callee_out", String(NUMBER_LENGTH)),
    Column("callee_billing", String(NUMBER_LENGTH)),
    Column("sip_call_id_in", String(SIP_CALL_ID_LENGTH), nullable=False),
    Column("sip_call_id_out", String(SIP_CALL_ID_LENGTH)),
    Column("source_address", String(ADDRESS_LENGTH), nullable=False),
    Column("destination_address", String(ADDRESS_LENGTH)),
    Column("codec", String(CODEC_LENGTH)),
    Column("started_at", Moment, nullable=False),
    Column("ringing_at", Moment),
    Column("answered_at", Moment),
    Column("ended_at", Moment, nullable=False),
    Column("pdd_ms", Integer),
    Column("hold_time_ms", BigInteger, nullable=False),
    Column("hold_time_s", Integer, nullable=False),
    Column("billed_seconds", Integer, nullable=False),
    Column("vendor_billed_seconds", Integer, nullable=False),
    Column("fee", Money, nullable=False),
    Column("tax", Money, nullable=False),
    Column("cost", Money, nullable=False),
    Column("cost_tax", Money, nullable=False),
    Column("rate_group", String(NAME_LENGTH)),
    Column("rate_prefix", String(PREFIX_LENGTH)),
    Column("rate_area", String(AREA_LENGTH)),
    Column("vendor_rate_prefix", String(PREFIX_LENGTH)),
    Column("fee_breakdown", Text().with_variant(MEDIUMTEXT(), "mysql"), nullable=False),
    Column("hangup_source", String(SOURCE_LENGTH), nullable=False),
    Column("end_reason", String(REASON_LENGTH), nullable=False),
    Column("sip_code", SmallInteger),
    Column("q850_cause", SmallInteger),
    Column("vendor_answered_at", Moment),
    Column("vendor_currency", String(CURRENCY_LENGTH)),
    Column("reason_text", String(REASON_TEXT_LENGTH)),
    Column("acknowledged_at", Moment),
    Unique("export_seq", name="cdr_export"),
    Index("cdr_started", "started_at", "call_id"),
    Index("cdr_customer", "customer_account", "started_at"),
    Index("cdr_vendor", "vendor_account", "started_at"),
    Index("cdr_mapping", "mapping_gateway", "started_at"),
    Index("cdr_routing", "routing_gateway", "started_at"),
    Index("cdr_callee", "callee_in", "started_at", "call_id"),
    Index("cdr_caller", "caller_in", "started_at", "call_id"),
    Index("cdr_reason", "end_reason", "started_at", "call_id"),
    Index("cdr_sip_in", "sip_call_id_in"),
    Index("cdr_sip_out", "sip_call_id_out"),
    **_IN_MYSQL,
)

cdr_attempt: Final = Table(
    "cdr_attempt",
    metadata,
    Column("call_id", CallKey, primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    Column("gateway", String(NAME_LENGTH), nullable=False),
    Column("code", SmallInteger, nullable=False, comment="final SIP code; 0 = no response"),
    Column("ms", Integer, nullable=False),
    Column("pdd_ms", Integer),
    Column("reason", String(REASON_LENGTH), nullable=False),
    sqlite_with_rowid=False,
    **_IN_MYSQL,
)

registration: Final = Table(
    "registration",
    metadata,
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
    **_IN_MYSQL,
)

identity: Final = Table(
    "identity",
    metadata,
    Column("id", String(ID_LENGTH), primary_key=True, comment="random; another database has another"),
    **_IN_MYSQL,
)

lease: Final = Table(
    "lease",
    metadata,
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
    **_IN_MYSQL,
)
