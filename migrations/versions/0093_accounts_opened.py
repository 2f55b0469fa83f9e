"""Time at which the row of an account was opened: from then on it owes its minimum consumption, also without calls.

Accounts that are there already were opened earlier, at a time that is not known: they count as opened now.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0093"
down_revision = "0092"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    moment = sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")
    comment = "null = a version before this column opened it"
    op.add_column("account", sa.Column("opened_at", moment, comment=comment))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')" if is_sqlite else "UTC_TIMESTAMP(3)"
    op.execute(sa.text(f"UPDATE account SET opened_at = {now} WHERE opened_at IS NULL"))  # noqa: S608 - constant


def downgrade() -> None:
    op.drop_column("account", "opened_at")
