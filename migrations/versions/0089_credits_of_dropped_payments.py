"""Sums of dropped payments that invoices count, so that an invoice stays paid when its payment is dropped."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0089"
down_revision = "0088"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "dropped_credit",
        sa.Column("invoice", sa.BigInteger, primary_key=True, comment="id of the first one of the account"),
        sa.Column("number", sa.String(32), primary_key=True, comment="of the invoice that is named; empty = none"),
        sa.Column("amount", sa.BigInteger().with_variant(sa.Numeric(20, 8), "mysql"), nullable=False),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("dropped_credit")
