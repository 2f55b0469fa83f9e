"""Whether the caller of a call withholds its number, and whether the vendor is sent it: calls are rated by that."""

import sqlalchemy as sa
from alembic import op

revision = "0090"
down_revision = "0089"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("caller_privacy", sa.String(16)))
    op.add_column("cdr", sa.Column("caller_hidden", sa.SmallInteger))


def downgrade() -> None:
    op.drop_column("cdr", "caller_hidden")
    op.drop_column("cdr", "caller_privacy")
