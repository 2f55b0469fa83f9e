"""The codec of the vendor's leg, beside that of the caller's."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0022"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("vendor_codec", sa.String(32)))


def downgrade() -> None:
    op.drop_column("cdr", "vendor_codec")
