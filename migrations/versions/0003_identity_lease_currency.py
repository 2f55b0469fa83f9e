"""Who runs on this database, which database it is, currencies in the books, and indexes for looking up calls."""

from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

INDEXES = {
    "cdr_started": ["started_at", "call_id"],
    "cdr_caller": ["caller_in", "started_at", "call_id"],
    "cdr_callee": ["callee_in", "started_at", "call_id"],
    "cdr_reason": ["end_reason", "started_at", "call_id"],
    "cdr_sip_in": ["sip_call_id_in"],
    "cdr_sip_out": ["sip_call_id_out"],
}

SHORTER_BEFORE = {"cdr_started": ["started_at"], "cdr_callee": ["callee_in", "started_at"]}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.add_column("cdr", sa.Column("vendor_answered_at", moment()))
    op.add_column("cdr", sa.Column("vendor_currency", sa.String(3)))
    op.add_column("cdr", sa.Column("reason_text", sa.String(128)))
    op.add_column("cdr", sa.Column("acknowledged_at", moment()))
    op.add_column("account", sa.Column("currency", sa.String(3)))
    op.add_column("ledger_entry", sa.Column("currency", sa.String(3)))

    for name in SHORTER_BEFORE:
        op.drop_index(name, "cdr")
    for name, columns in INDEXES.items():
        op.create_index(name, "cdr", columns)

    identity = op.create_table(
        "identity",
        sa.Column("id", sa.String(36), primary_key=True, comment="random; another database has another"),
        **IN_MYSQL,
    )
    if op.get_bind().scalar(sa.select(identity.c.id)) is None:  # else an attempt that was killed has written it
        op.bulk_insert(identity, [{"id": str(uuid4())}])

    op.create_table(
        "lease",
        sa.Column("node", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(36), nullable=False, comment="random id of the process that took it"),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process", sa.String(128), nullable=False, comment="tells the process from others on its host"),
        sa.Column("epoch", sa.BigInteger, nullable=False, comment="how often the lease was taken"),
        sa.Column("renewals", sa.BigInteger, nullable=False, comment="how often its holder has renewed it"),
        sa.Column("taken_at", moment(), nullable=False, comment="by the database's clock"),
        sa.Column("renewed_at", moment(), nullable=False, comment="by the database's clock"),
        sa.Column("released", sa.SmallInteger, nullable=False, comment="1 = the holder has stopped"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("lease")
    op.drop_table("identity")
    for name in INDEXES:
        op.drop_index(name, "cdr")
    for name, columns in SHORTER_BEFORE.items():
        op.create_index(name, "cdr", columns)
    op.drop_column("ledger_entry", "currency")
    op.drop_column("account", "currency")
    for name in ("acknowledged_at", "reason_text", "vendor_currency", "vendor_answered_at"):
        op.drop_column("cdr", name)
