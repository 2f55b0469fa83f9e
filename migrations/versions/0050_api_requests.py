"""Requests of the management API that may be repeated: their keys, kept with the change."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "api_request",
        sa.Column("principal", sa.String(64), primary_key=True, comment="the name that was proved"),
        sa.Column("request_key", sa.String(128), primary_key=True, comment="Idempotency-Key"),
        sa.Column("fingerprint", sa.String(64), nullable=False, comment="digest of method, path and body"),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("status", sa.Integer, comment="null = the change is made, its answer was not kept"),
        sa.Column("answer", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), comment="as it was sent"),
        sa.Index("api_request_made_at", "made_at"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("api_request")
