"""Time at which an order began to mail an invoice: two at once mailed it twice."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    moment = sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")
    comment = "when the order began that mails it now; null = none does"
    op.add_column("invoice", sa.Column("claimed_at", moment, comment=comment))


def downgrade() -> None:
    op.drop_column("invoice", "claimed_at")
