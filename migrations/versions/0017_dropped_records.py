"""What was dropped because its time was over: sums of each run, and totals of calls by day."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def money() -> sa.types.TypeEngine[Any]:
    return sa.BigInteger().with_variant(sa.Numeric(20, 8), "mysql")


def upgrade() -> None:
    op.create_table(
        "retention_drop",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(16), nullable=False, comment="calls or ledger"),
        sa.Column("month", sa.String(7), nullable=False, comment="of the calls, or of the entries"),
        sa.Column("dropped_before", moment(), nullable=False, comment="older records were dropped"),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("amounts", sa.Text(), nullable=False, comment="JSON: sums by currency"),
        sa.Column("begun_at", moment(), nullable=False),
        sa.Column("ended_at", moment(), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        **IN_MYSQL,
    )
    op.create_table(
        "daily_total",
        sa.Column("day", sa.String(10), primary_key=True, comment="UTC, in which the calls began"),
        sa.Column("customer_account", sa.String(64), primary_key=True, comment="empty = none"),
        sa.Column("vendor_account", sa.String(64), primary_key=True),
        sa.Column("mapping_gateway", sa.String(64), primary_key=True),
        sa.Column("routing_gateway", sa.String(64), primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("vendor_currency", sa.String(3), primary_key=True),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.Column("billed_seconds", sa.BigInteger(), nullable=False),
        sa.Column("vendor_billed_seconds", sa.BigInteger(), nullable=False),
        sa.Column("fee", money(), nullable=False),
        sa.Column("tax", money(), nullable=False),
        sa.Column("cost", money(), nullable=False),
        sa.Column("cost_tax", money(), nullable=False),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("daily_total")
    op.drop_table("retention_drop")
