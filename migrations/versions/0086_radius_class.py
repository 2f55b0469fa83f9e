"""Class of the RADIUS server that has judged the password of a call (RFC 2865 section 5.25)."""

import sqlalchemy as sa
from alembic import op

revision = "0086"
down_revision = "0081"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("radius_class", sa.String(2100)))


def downgrade() -> None:
    op.drop_column("cdr", "radius_class")
