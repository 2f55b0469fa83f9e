"""Currency in which a payment that waits for a second person was asked for: its account may have had no row yet."""

import sqlalchemy as sa
from alembic import op

revision = "0106"
down_revision = "0105"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    comment = "in which it was asked for; null = that of the account"
    op.add_column("waiting_payment", sa.Column("currency", sa.String(3), comment=comment))


def downgrade() -> None:
    op.drop_column("waiting_payment", "currency")
