"""The exchange rate by which the cost of a call was compared with its fee: a correction compares them again."""

import sqlalchemy as sa
from alembic import op

revision = "0092"
down_revision = "0091"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("cost_rate", sa.String(32)))


def downgrade() -> None:
    op.drop_column("cdr", "cost_rate")
