"""Indexes by which the audit is searched."""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None
compatible_with = "0019"

_SEARCHED = ("at", "principal", "login", "action")


def upgrade() -> None:
    for column in _SEARCHED:
        op.create_index(f"audit_{column}", "audit", [column])


def downgrade() -> None:
    for column in _SEARCHED:
        op.drop_index(f"audit_{column}", "audit")
