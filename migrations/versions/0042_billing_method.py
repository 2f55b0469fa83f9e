"""As what the caller of a call pays."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0030"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("billing_method", sa.String(8)))


def downgrade() -> None:
    op.drop_column("cdr", "billing_method")
