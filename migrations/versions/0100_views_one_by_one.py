"""A row that is locked while a view is added: without it two at once could pass the number that an owner may have."""

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = "0099"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    counter = sa.table("counter", sa.column("name"), sa.column("value"))
    op.bulk_insert(counter, [{"name": "saved_views", "value": 0}])


def downgrade() -> None:
    op.execute("DELETE FROM counter WHERE name = 'saved_views'")
