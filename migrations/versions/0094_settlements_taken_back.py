"""Number of entries that settled a dispute and were taken back: the next one has a reference of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0094"
down_revision = "0093"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    comment = "entries that settled it and were taken back"
    undone = sa.Column("undone", sa.Integer, nullable=False, server_default="0", comment=comment)
    op.add_column("reconciliation_dispute", undone)


def downgrade() -> None:
    op.drop_column("reconciliation_dispute", "undone")
