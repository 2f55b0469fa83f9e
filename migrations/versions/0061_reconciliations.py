"""Comparisons of vendors' files with our calls, the calls that differ, and disputes about them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0061"
down_revision = "0054"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def money() -> sa.types.TypeEngine[Any]:
    return sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(64), nullable=False, comment="of the vendor"),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the vendor's file"),
        sa.Column("file", sa.String(255), nullable=False, comment="its name"),
        sa.Column("since", moment(), nullable=False, comment="first moment of the span that is compared"),
        sa.Column("until", moment(), nullable=False, comment="first moment behind it"),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3)),
        sa.Column("ours", money(), nullable=False, comment="cost of the span as it is booked here"),
        sa.Column("theirs", money(), nullable=False, comment="price of the file"),
        sa.Column(
            "result",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
            comment="JSON: classes and counts",
        ),
        sa.UniqueConstraint("account", "digest", name="reconciliation_once"),
        **IN_MYSQL,
    )
    op.create_table(
        "reconciliation_chunk",
        sa.Column("reconciliation", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(
            "compressed",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
            comment="calls that differ",
        ),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )
    op.create_table(
        "reconciliation_dispute",
        sa.Column("reconciliation", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="open, sent, accepted, rejected or settled"),
        sa.Column("amount", money(), nullable=False, comment="that the vendor is asked to credit"),
        sa.Column("currency", sa.String(3)),
        sa.Column("reference", sa.String(128), comment="of the vendor's credit note, and of its ledger entry"),
        sa.Column("memo", sa.String(255)),
        sa.Column("opened_at", moment(), nullable=False),
        sa.Column("changed_at", moment(), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False, comment="who changed it last"),
        sa.Index("reconciliation_dispute_state", "state"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("reconciliation_dispute")
    op.drop_table("reconciliation_chunk")
    op.drop_table("reconciliation")
