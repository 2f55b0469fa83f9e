"""The currency of the loss of a call: no charge says it where the vendor alone has answered."""

import sqlalchemy as sa
from alembic import op

revision = "0099"
down_revision = "0098"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("loss_currency", sa.String(3)))


def downgrade() -> None:
    op.drop_column("cdr", "loss_currency")
