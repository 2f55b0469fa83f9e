"""Amounts that settled disputes have booked on the vendors' accounts."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None
compatible_with = "0019"


def money() -> sa.types.TypeEngine[Any]:
    return sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "reconciliation_dispute",
        sa.Column("booked", money(), comment="entry of the ledger that settled it; null = nothing was booked"),
    )


def downgrade() -> None:
    op.drop_column("reconciliation_dispute", "booked")
