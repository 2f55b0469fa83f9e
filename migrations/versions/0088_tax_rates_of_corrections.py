"""Tax rates of corrected charges: an invoice says by which rate each amount was taxed.

The columns are added at their end and may be null, so no row is written anew. Null is the tax rate in the steps of the
charge: what corrections before this one are taken to have.
"""

import sqlalchemy as sa
from alembic import op

revision = "0088"
down_revision = "0087"
branch_labels = None
depends_on = None
compatible_with = "0019"


def _percent() -> sa.types.TypeEngine[object]:
    return sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    comment = "percent; null = that of the steps of the charge"
    op.add_column("cdr_correction", sa.Column("tax_rate_before", _percent(), comment=comment))
    op.add_column("cdr_correction", sa.Column("tax_rate_after", _percent()))


def downgrade() -> None:
    # Sums that an earlier version does not know: of calls by the digits of numbers.
    op.execute("DELETE FROM counter WHERE name IN ('traffic_digit', 'traffic_digit_at')")
    for table in ("traffic", "traffic_day", "traffic_zone"):
        op.execute(f"DELETE FROM {table} WHERE kind IN (8, 9)")  # noqa: S608 - ours
    op.execute("DELETE FROM traffic_key WHERE kind IN ('callees', 'callers')")
    op.drop_column("cdr_correction", "tax_rate_after")
    op.drop_column("cdr_correction", "tax_rate_before")
