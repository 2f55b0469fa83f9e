"""By which map the sheet of a deck was read, so that the next one with the same header is read by it again."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0024"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    op.add_column("rate_deck", sa.Column("layout", sa.Text(), comment="JSON: header and map; null = our own names"))


def downgrade() -> None:
    op.drop_column("rate_deck", "layout")
