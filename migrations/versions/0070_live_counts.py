"""Attempts without CDR in the sums of reports, and peaks of calls: both are counted by the running switch."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0068"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "traffic_peak",
        sa.Column("slot", sa.Integer(), primary_key=True, autoincrement=False, comment="quarter of an hour since 1970"),
        sa.Column("side", sa.String(8), primary_key=True, comment="switch, mapping or routing"),
        sa.Column("name", sa.String(64), primary_key=True, comment="of the gateway; empty = all calls of the switch"),
        sa.Column("concurrent", sa.Integer(), nullable=False, comment="most calls at a time"),
        sa.Column("per_second", sa.Integer(), nullable=False, comment="most calls that began within a second"),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )
    counter = sa.table("counter", sa.column("name"), sa.column("value"))
    op.bulk_insert(counter, [{"name": "traffic_live", "value": 0}])


def downgrade() -> None:
    op.execute("DELETE FROM counter WHERE name = 'traffic_live'")
    op.execute("DELETE FROM traffic WHERE kind IN (4, 5)")
    op.execute("DELETE FROM traffic_day WHERE kind IN (4, 5)")
    op.execute("DELETE FROM traffic_key WHERE kind IN ('no_cdr', 'unknown')")
    op.drop_table("traffic_peak")
