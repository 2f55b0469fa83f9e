"""Calls of more than two hours by their ends, for totals that two switches compare."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0072"
down_revision = "0075"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "long_call",
        sa.Column("ended_at", sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql"), primary_key=True),
        sa.Column("call_id", sa.LargeBinary().with_variant(sa.BINARY(16), "mysql"), primary_key=True),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("long_call")
