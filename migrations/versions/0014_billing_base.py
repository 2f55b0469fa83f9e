"""How many milliseconds a call is charged for, where that is not since its answer (SS_STARTBILLINGTIME 1)."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cdr", sa.Column("billing_base_ms", sa.BigInteger))
    op.add_column("cdr", sa.Column("vendor_billing_base_ms", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("cdr", "vendor_billing_base_ms")
    op.drop_column("cdr", "billing_base_ms")
