"""The books: accounts, ledger, calls and their attempts.

A migration states its tables in full and never changes again; ``vosd.storage.schema`` moves on.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def money() -> sa.types.TypeEngine[Any]:
    return sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def call_key() -> sa.types.TypeEngine[Any]:
    return sa.LargeBinary().with_variant(sa.BINARY(16), "mysql")


def upgrade() -> None:
    counter = op.create_table(
        "counter",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
        **IN_MYSQL,
    )
    if op.get_bind().scalar(sa.select(counter.c.value)) is None:
        op.bulk_insert(counter, [{"name": "commits", "value": 0}])

    op.create_table(
        "account",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("balance", money(), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, comment="of the account's latest ledger entry; 0 = none"),
        sa.Column("changed", sa.BigInteger, nullable=False, comment="the commit that last changed the balance"),
        sa.Index("account_changed", "changed"),
        **IN_MYSQL,
    )

    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, comment="1, 2, 3 ... within the account"),
        sa.Column("amount", money(), nullable=False),
        sa.Column("balance_after", money(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(128), nullable=False),
        sa.Column("call_id", call_key(), comment="the CDR; null where the call left none, and for all but calls"),
        sa.Column("operator", sa.String(64)),
        sa.Column("memo", sa.String(255)),
        sa.Column("created_at", moment(), nullable=False),
        sa.UniqueConstraint("account", "kind", "reference", name="ledger_entry_once"),
        sa.UniqueConstraint("account", "seq", name="ledger_entry_chain"),
        sa.Index("ledger_entry_call", "call_id"),
        **IN_MYSQL,
    )

    op.create_table(
        "cdr",
        sa.Column("export_seq", sa.BigInteger, nullable=False, comment="order of commit"),
        sa.Column("call_id", call_key(), primary_key=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("mapping_gateway", sa.String(64)),
        sa.Column("routing_gateway", sa.String(64)),
        sa.Column("customer_account", sa.String(64)),
        sa.Column("vendor_account", sa.String(64)),
        sa.Column("currency", sa.String(3)),
        sa.Column("caller_in", sa.String(64), nullable=False),
        sa.Column("callee_in", sa.String(64), nullable=False),
        sa.Column("caller_out", sa.String(64)),
        sa.Column("callee_out", sa.String(64)),
        sa.Column("callee_billing", sa.String(64)),
        sa.Column("sip_call_id_in", sa.String(255), nullable=False),
        sa.Column("sip_call_id_out", sa.String(255)),
        sa.Column("source_address", sa.String(64), nullable=False),
        sa.Column("destination_address", sa.String(64)),
        sa.Column("codec", sa.String(32)),
        sa.Column("started_at", moment(), nullable=False),
        sa.Column("ringing_at", moment()),
        sa.Column("answered_at", moment()),
        sa.Column("ended_at", moment(), nullable=False),
        sa.Column("pdd_ms", sa.Integer),
        sa.Column("hold_time_ms", sa.BigInteger, nullable=False),
        sa.Column("hold_time_s", sa.Integer, nullable=False),
        sa.Column("billed_seconds", sa.Integer, nullable=False),
        sa.Column("vendor_billed_seconds", sa.Integer, nullable=False),
        sa.Column("fee", money(), nullable=False),
        sa.Column("tax", money(), nullable=False),
        sa.Column("cost", money(), nullable=False),
        sa.Column("cost_tax", money(), nullable=False),
        sa.Column("rate_group", sa.String(64)),
        sa.Column("rate_prefix", sa.String(32)),
        sa.Column("rate_area", sa.String(128)),
        sa.Column("vendor_rate_prefix", sa.String(32)),
        sa.Column("fee_breakdown", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), nullable=False),
        sa.Column("hangup_source", sa.String(8), nullable=False),
        sa.Column("end_reason", sa.String(32), nullable=False),
        sa.Column("sip_code", sa.SmallInteger),
        sa.Column("q850_cause", sa.SmallInteger),
        sa.UniqueConstraint("export_seq", name="cdr_export"),
        sa.Index("cdr_started", "started_at"),
        sa.Index("cdr_customer", "customer_account", "started_at"),
        sa.Index("cdr_vendor", "vendor_account", "started_at"),
        sa.Index("cdr_mapping", "mapping_gateway", "started_at"),
        sa.Index("cdr_routing", "routing_gateway", "started_at"),
        sa.Index("cdr_callee", "callee_in", "started_at"),
        **IN_MYSQL,
    )

    op.create_table(
        "cdr_attempt",
        sa.Column("call_id", call_key(), primary_key=True),
        sa.Column("position", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("code", sa.SmallInteger, nullable=False, comment="final SIP code; 0 = no response"),
        sa.Column("ms", sa.Integer, nullable=False),
        sa.Column("pdd_ms", sa.Integer),
        sa.Column("reason", sa.String(32), nullable=False),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    for table in ("cdr_attempt", "cdr", "ledger_entry", "account", "counter"):
        op.drop_table(table)
