"""Type of the rate that a call was charged by."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("rate_type", sa.String(16)))


def downgrade() -> None:
    op.drop_column("cdr", "rate_type")
