"""The view cdr_report has what both sides are charged for where that runs from the INVITE (SS_STARTBILLINGTIME 1)."""

import sqlalchemy as sa
from alembic import context, op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
compatible_with = "0019"

ADDED = {"billing_base_ms": "billed_seconds", "vendor_billing_base_ms": "vendor_billed_seconds"}
"""Each column, and the one before which it stands."""


def report_before() -> str:
    """Return the statement that made the view before."""
    statement: str = context.script.get_revision("0016").module.report()
    return statement


def replace_view(statement: str) -> None:
    """Replace the view: MySQL does it at once, so that no reader finds none, SQLite within the transaction."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(sa.text("DROP VIEW cdr_report"))
    else:
        statement = statement.replace("CREATE ", "CREATE OR REPLACE ", 1)
    op.get_bind().exec_driver_sql(statement)


def upgrade() -> None:
    statement = report_before()
    for name, following in ADDED.items():
        place = f"cdr.{following} AS {following}"
        statement = statement.replace(place, f"cdr.{name} AS {name}, {place}", 1)
    replace_view(statement)


def downgrade() -> None:
    replace_view(report_before())
