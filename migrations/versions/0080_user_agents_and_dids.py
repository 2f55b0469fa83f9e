"""Products of both peers of a call, and the number of the inventory that was called."""

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0073"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("did", sa.String(64)))
    op.add_column("cdr", sa.Column("caller_user_agent", sa.String(128)))
    op.add_column("cdr", sa.Column("callee_user_agent", sa.String(128)))


def downgrade() -> None:
    op.drop_column("cdr", "callee_user_agent")
    op.drop_column("cdr", "caller_user_agent")
    op.drop_column("cdr", "did")
