"""Decks of rates: their versions, and their rates in compressed chunks."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "rate_deck",
        sa.Column("rate_group", sa.String(64), primary_key=True),
        sa.Column(
            "version", sa.Integer, primary_key=True, autoincrement=False, comment="1, 2, 3 ... the highest is in force"
        ),
        sa.Column("content", sa.Integer, nullable=False, comment="the version whose chunks hold its rates"),
        sa.Column("replaced", sa.Integer, comment="the version before it; null = none"),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False, comment="full, delta or rollback"),
        sa.Column("effective", moment(), comment="null = at once"),
        sa.Column("rates", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the uncompressed content"),
        sa.Column("changes", sa.Text, nullable=False, comment="JSON: prefixes by kind of change"),
        sa.Column("memo", sa.String(255)),
        **IN_MYSQL,
    )
    op.create_table(
        "rate_deck_chunk",
        sa.Column("rate_group", sa.String(64), primary_key=True),
        sa.Column("content", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("first_prefix", sa.String(32), nullable=False),
        sa.Column(
            "compressed", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"), nullable=False, comment="zlib"
        ),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("rate_deck_chunk")
    op.drop_table("rate_deck")
