"""Tax rates of charges: an invoice puts each call at the rate by which it was taxed.

The column is added at its end and may be null, so no row is written anew. Charges that earlier versions have booked
have their tax rate in their steps alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0095"
down_revision = "0094"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    percent = sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")
    op.add_column("cdr_charge", sa.Column("tax_rate", percent))


def downgrade() -> None:
    op.drop_column("cdr_charge", "tax_rate")
