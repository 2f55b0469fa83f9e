"""The view cdr_report has the milliseconds of a late answer that the CDR of its call has charged."""

from alembic import context

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None
compatible_with = "0019"


def replace_view(added: dict[str, str]) -> None:
    """Replace the view by one with these columns, each before the one that follows it."""
    earlier = context.script.get_revision("0018").module
    statement = earlier.report_before()
    for name, following in (earlier.ADDED | added).items():
        place = f"cdr.{following} AS {following}"
        statement = statement.replace(place, f"cdr.{name} AS {name}, {place}", 1)
    earlier.replace_view(statement)


def upgrade() -> None:
    replace_view({"vendor_paid_ms": "vendor_billed_seconds"})


def downgrade() -> None:
    replace_view({})
