"""Attestation of a call, and whether its caller's signature was verified."""

import sqlalchemy as sa
from alembic import op

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("attestation", sa.String(1)))
    op.add_column("cdr", sa.Column("verstat", sa.String(32)))


def downgrade() -> None:
    op.drop_column("cdr", "verstat")
    op.drop_column("cdr", "attestation")
