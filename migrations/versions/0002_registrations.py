"""Registrations: where phones and gateways that register with us are, so that a restart does not lose them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "registration",
        sa.Column("node", sa.String(64), primary_key=True, comment="whose sockets it came in by"),
        sa.Column("name", sa.String(64), primary_key=True, comment="number of the phone, or name of the gateway"),
        sa.Column("slot", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("contact", sa.String(512), nullable=False),
        sa.Column("q", sa.SmallInteger, nullable=False, comment="preference in thousandths"),
        sa.Column("call_id", sa.String(255), nullable=False),
        sa.Column("cseq", sa.BigInteger, nullable=False),
        sa.Column("registered_at", moment(), nullable=False),
        sa.Column(
            "until",
            moment(),
            nullable=False,
            comment="refreshes before then are not written, hence ahead of the expiry",
        ),
        sa.Column("lifetime_s", sa.Integer, nullable=False),
        sa.Column("listener", sa.String(64), nullable=False),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("path", sa.String(1100), nullable=False),
        sa.Column("instance", sa.String(512), nullable=False),
        sa.Column("reg_id", sa.Integer, nullable=False),
        sa.Column("user_agent", sa.String(128), nullable=False),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("registration")
