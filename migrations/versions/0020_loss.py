"""By how much calls cost more than they were sold for."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0023"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("loss", sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")))


def downgrade() -> None:
    op.drop_column("cdr", "loss")
