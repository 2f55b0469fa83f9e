"""References of payments that were dropped, as digests, so that a repeat of an old payment still books nothing."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def money() -> sa.types.TypeEngine[Any]:
    return sa.BigInteger().with_variant(sa.Numeric(20, 8), "mysql")


def upgrade() -> None:
    op.create_table(
        "dropped_reference",
        sa.Column("digest", sa.String(64), primary_key=True, comment="SHA-256 of account, kind and reference"),
        sa.Column("amount", money(), nullable=False),
        sa.Column("balance_after", money(), nullable=False),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("dropped_reference")
