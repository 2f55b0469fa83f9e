"""Media of attempts: the step that has decided whether they are relayed, and why a description was not forwarded.

The columns are added at the end and may be null, so no row is written anew. Attempts of earlier versions have none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0097"
down_revision = "0096"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("cdr_attempt", sa.Column("media_path", sa.String(8)))
    op.add_column("cdr_attempt", sa.Column("media_step", sa.SmallInteger))
    op.add_column("cdr_attempt", sa.Column("media_fault", sa.String(64)))


def downgrade() -> None:
    for name in ("media_fault", "media_step", "media_path"):
        op.drop_column("cdr_attempt", name)
