"""How much of a ledger entry is tax, so that statements show net and tax of a month.

Entries from before have none; what reads them takes the tax of the call's charge.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0024"
down_revision = "0018"
branch_labels = None
depends_on = None
compatible_with = "0019"

COMMENT = "what of the amount is tax; null = none, or an earlier version booked it"


def money() -> sa.types.TypeEngine[Any]:
    return sa.BigInteger().with_variant(mysql.NUMERIC(20, 8), "mysql")


def upgrade() -> None:
    if "tax" not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns("ledger_entry")}:
        op.add_column("ledger_entry", sa.Column("tax", money(), comment=COMMENT))


def downgrade() -> None:
    op.drop_column("ledger_entry", "tax")
