"""The counter of changes of definitions in the database."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0011"
branch_labels = None
depends_on = None

COUNTER = sa.table("counter", sa.column("name", sa.String), sa.column("value", sa.BigInteger))


def upgrade() -> None:
    if op.get_bind().scalar(sa.select(COUNTER.c.value).where(COUNTER.c.name == "catalogue")) is None:
        op.bulk_insert(COUNTER, [{"name": "catalogue", "value": 0}])


def downgrade() -> None:
    op.execute(sa.delete(COUNTER).where(COUNTER.c.name == "catalogue"))
