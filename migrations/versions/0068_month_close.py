"""Months that were closed, with the auditor's page of each."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0068"
down_revision = "0063"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "month_close",
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("zone", sa.String(64), nullable=False, comment="in which the month begins and ends"),
        sa.Column("closed_at", sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql"), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column(
            "page",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
            comment="JSON: the auditor's page",
        ),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("month_close")
