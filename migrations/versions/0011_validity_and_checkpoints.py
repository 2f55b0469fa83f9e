"""Until when accounts are valid, the value before each change, and checkpoints of the ledger."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0007"
branch_labels = None
depends_on = None

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def money() -> sa.types.TypeEngine[Any]:
    return sa.BigInteger().with_variant(sa.Numeric(20, 8), "mysql")


def upgrade() -> None:
    op.add_column("account", sa.Column("expires_at", moment(), comment="null = as configured"))
    op.add_column("override_change", sa.Column("value_before", sa.String(64), comment="null = it was as configured"))
    op.create_table(
        "ledger_checkpoint",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("closed_until", moment(), primary_key=True, comment="entries dated before are closed"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="of the last closed entry; 0 = none"),
        sa.Column("balance", money(), nullable=False, comment="after that entry"),
        sa.Column("closed_at", moment(), nullable=False),
        sa.Column("operator", sa.String(64)),
        sa.Column("memo", sa.String(255)),
        sa.Index("ledger_checkpoint_until", "closed_until"),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("ledger_checkpoint")
    op.drop_column("override_change", "value_before")
    op.drop_column("account", "expires_at")
