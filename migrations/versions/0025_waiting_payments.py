"""Payments that wait for a second person, and what became of them."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0025"
down_revision = "0027"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "waiting_payment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(64), nullable=False, comment="of a transfer the one that pays"),
        sa.Column("target", sa.String(64), nullable=False, comment="of a transfer; else empty"),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(128), nullable=False),
        sa.Column(
            "amount",
            sa.BigInteger().with_variant(sa.Numeric(20, 8), "mysql"),
            nullable=False,
            comment="as the ledger gets it; of zero the balance when it was asked for",
        ),
        sa.Column("forced", sa.SmallInteger(), nullable=False, comment="1 = whatever is left"),
        sa.Column("memo", sa.String(255)),
        sa.Column("operator", sa.String(64), nullable=False, comment="who asked, as the ledger names it"),
        sa.Column("login", sa.String(64), nullable=False, comment="who asked, by the machine"),
        sa.Column("asked_at", moment(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="waiting, booked or refused"),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", moment()),
        sa.Column("reason", sa.String(255), comment="why it was refused"),
        sa.UniqueConstraint("account", "kind", "reference", name="waiting_payment_once"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("waiting_payment")
