"""Which charges are what a partner earns: they are added to the balance of its account."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cdr_charge", sa.Column("earned", sa.SmallInteger()))


def downgrade() -> None:
    op.drop_column("cdr_charge", "earned")
