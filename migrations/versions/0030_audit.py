"""The audit: who has changed what, by what and from where; a line is written in the transaction of its change."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0030"
down_revision = "0033"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", moment(), nullable=False),
        sa.Column("principal", sa.String(64), nullable=False, comment="who, as the records name it"),
        sa.Column("role", sa.String(16), nullable=False, comment="operator, agent, customer or program"),
        sa.Column("login", sa.String(64), nullable=False, comment="the name that was proved"),
        sa.Column("means", sa.String(16), nullable=False, comment="terminal, token, page or switch"),
        sa.Column("source", sa.String(64), nullable=False, comment="an address; empty = this machine"),
        sa.Column("action", sa.String(64), nullable=False, comment="name of the order"),
        sa.Column("subject", sa.String(64), nullable=False, comment="the object that it is about"),
        sa.Column("detail", sa.Text, nullable=False, comment="JSON: the order"),
        sa.Index("audit_subject", "subject"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("audit")
