"""Media of a call: whether and why they were relayed, and their quality."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0075"
down_revision = "0071"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("media", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")))


def downgrade() -> None:
    op.drop_column("cdr", "media")
