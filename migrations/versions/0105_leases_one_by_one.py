"""A row that each taking of the lease changes: nodes of a Galera cluster see by it that two were taken at once."""

import sqlalchemy as sa
from alembic import op

revision = "0105"
down_revision = "0104"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    counter = sa.table("counter", sa.column("name"), sa.column("value"))
    # A switch that waits for its database may have made the row already.
    row = sa.insert(counter).values(name="lease", value=0)
    op.execute(row.prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite"))


def downgrade() -> None:
    op.execute("DELETE FROM counter WHERE name = 'lease'")
