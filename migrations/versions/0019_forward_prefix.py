"""By which digits in front of the called number a forwarded call was sold (SERVER_BILLING_FORWARD_PREFIX)."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cdr", sa.Column("forward_prefix", sa.String(16)))


def downgrade() -> None:
    op.drop_column("cdr", "forward_prefix")
