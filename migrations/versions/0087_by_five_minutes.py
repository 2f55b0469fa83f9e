"""Calls by five minutes, lost packets of calls, and prefixes of areas, in the sums of reports.

The columns are added at their end, with a default, so no row is written anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0087"
down_revision = "0086"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_SUMS = ("traffic", "traffic_day", "traffic_zone")
_COUNTS = ("caller_measured", "caller_lost", "callee_measured", "callee_lost")


def upgrade() -> None:
    comment = "of the quarter: 0, 5 or 10"
    op.add_column(
        "traffic_key", sa.Column("minute", sa.SmallInteger(), nullable=False, server_default="0", comment=comment)
    )
    for table in _SUMS:
        for name in _COUNTS:
            op.add_column(table, sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "traffic_area",
        sa.Column("area", sa.String(128), primary_key=True, comment="of customers' rates"),
        sa.Column("prefix", sa.String(32), nullable=False, comment="beginning of the prefixes of its calls' rates"),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("traffic_area")
    op.execute("DELETE FROM counter WHERE name IN ('traffic_five', 'traffic_five_at')")
    op.execute("DELETE FROM traffic WHERE kind IN (6, 7)")
    op.execute("DELETE FROM traffic_day WHERE kind IN (6, 7)")
    op.execute("DELETE FROM traffic_zone WHERE kind IN (6, 7)")
    for table in _SUMS:
        for name in _COUNTS:
            op.drop_column(table, name)
    op.execute("DELETE FROM traffic_key WHERE kind IN ('five_in', 'five_out')")
    # Keys of attempts are kept with their counts, and lose their minute: an upgrade may not find them by it again.
    key = sa.table("traffic_key", sa.column("id"), sa.column("digest"), sa.column("minute"))
    unfindable = sa.literal("-") + sa.cast(key.c.id, sa.String(31))  # no digest has a hyphen
    op.execute(key.update().where(key.c.minute != 0).values(digest=unfindable))
    op.drop_column("traffic_key", "minute")
