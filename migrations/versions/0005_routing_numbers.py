"""The number by which a ported number was routed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cdr", sa.Column("routing_number", sa.String(64)))


def downgrade() -> None:
    op.drop_column("cdr", "routing_number")
