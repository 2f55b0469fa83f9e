"""How the route of a call was found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cdr", sa.Column("verdicts", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")))


def downgrade() -> None:
    op.drop_column("cdr", "verdicts")
