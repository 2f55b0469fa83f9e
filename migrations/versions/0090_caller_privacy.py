"""Whether the caller of a call withholds its number: such calls are rated as those without one."""

import sqlalchemy as sa
from alembic import op

revision = "0090"
down_revision = "0089"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("caller_privacy", sa.String(8)))


def downgrade() -> None:
    op.drop_column("cdr", "caller_privacy")
