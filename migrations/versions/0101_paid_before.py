"""Milliseconds of a late answer that the CDR of its call has charged."""

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = "0100"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("vendor_paid_ms", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("cdr", "vendor_paid_ms")
